//! Counting the records that a replay makes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::estate::{Disposition, EndCause, Estate, Known, Stage};
use crate::lifecycle::{RuleOutcome, Verdicts};
use crate::model::{Key, Kind};
use crate::rules::{DEFAULT, Rule, Rules, Verdict};

/// What is created and retired within this time was hardly worth a record.
const SHORT: Duration = Duration::from_secs(24 * 3600);

/// What a replay came to. Only kinds that some target takes are counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[must_use]
pub struct Outcome {
    /// The records.
    pub records: Records,
    /// Resources that were seen and never had a record.
    pub avoided: Avoided,
    /// Created and retired within a day.
    #[serde(rename = "created_and_retired_within_a_day")]
    pub short_lived: BTreeSet<Key>,
    /// Retired for their absence, and seen again later.
    #[serde(rename = "retired_and_seen_again")]
    pub too_early: BTreeSet<Key>,
    /// The rules in their order, and last what decides where none does.
    pub rules: Vec<RuleTally>,
    /// Resources that a rule could not be asked about, so that they were frozen for a time.
    pub frozen: u64,
    /// What became of each resource.
    #[serde(skip)]
    pub fates: BTreeMap<Key, Fate>,
}

/// How many records there were.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Records {
    /// At the start, as the ledger remembers it.
    pub before: u64,
    /// Made.
    pub created: u64,
    /// Retired because the resource ended.
    pub retired: u64,
    /// Retired because a rule wanted no record of its own any more.
    pub retired_by_rule: u64,
    /// Brought back.
    pub revived: u64,
    /// At the end.
    pub after: u64,
    /// Of these, by kind.
    pub by_kind: BTreeMap<Kind, u64>,
}

/// Resources without a record, by why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Avoided {
    /// Too young for one as long as they were seen, or left waiting by a rule.
    pub deferred: u64,
    /// Counted in their fleet's.
    pub folded: u64,
    /// Ignored by rule.
    pub ignored: u64,
}

/// What one rule did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleTally {
    /// Its name; `default` for what decides where no rule does.
    pub name: String,
    /// Resources whose disposition it decided at some time. Of `default`: those of which, while they lived, no rule decided in some run, and none
    /// that could not be asked might have.
    pub decided: u64,
    /// Resources that it matched at some time. One that sets timers decides nothing, and still matches.
    pub matched: u64,
    /// Resources that it could not be asked about at some time.
    pub failed: u64,
}

/// What became of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fate {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Option<String>,
    /// Whether it has a record at the end.
    pub has_record: bool,
    /// Whether it had one at any time.
    pub had_record: bool,
    /// What is wanted of it at the end.
    pub disposition: Disposition,
    /// Where it stands at the end.
    pub stage: Stage,
    /// The rule that decides about it at the end.
    pub rule: String,
}

/// One resource's records so far.
#[derive(Debug, Clone, Default)]
struct Life {
    has_record: bool,
    had_record: bool,
    /// When its record was made, if that was in the recording.
    created_at: Option<Timestamp>,
    /// Its record was retired for absence.
    is_missed: bool,
}

/// Counts while a replay runs.
pub(super) struct Tally<'a> {
    rules: &'a Rules,
    kinds: &'a BTreeSet<Kind>,
    records: Records,
    short_lived: BTreeSet<Key>,
    too_early: BTreeSet<Key>,
    lives: BTreeMap<Key, Life>,
    /// What lived at some time: rules are asked about what has ended long ago as well, and nobody cares.
    living: BTreeSet<Key>,
    matched: BTreeMap<String, BTreeSet<Key>>,
    failed: BTreeMap<String, BTreeSet<Key>>,
    decided: BTreeMap<String, BTreeSet<Key>>,
    by_default: BTreeSet<Key>,
    frozen: BTreeSet<Key>,
}

impl<'a> Tally<'a> {
    /// What the records are at the start.
    pub(super) fn new(rules: &'a Rules, kinds: &'a BTreeSet<Kind>, start: &Estate) -> Self {
        let mut records = Records::default();
        let mut lives = BTreeMap::new();
        for (key, known) in &start.resources {
            let has_record = is_recorded(known, known.disposition == Disposition::Record);
            let had_record = has_record || known.disposition == Disposition::Record;
            records.before += u64::from(has_record && kinds.contains(&known.resource.kind));
            lives.insert(key.clone(), Life { has_record, had_record, ..Life::default() });
        }
        Self {
            rules,
            kinds,
            records,
            lives,
            short_lived: BTreeSet::new(),
            too_early: BTreeSet::new(),
            living: start.resources.iter().filter(|(_, known)| known.end.is_none()).map(|(key, _)| key.clone()).collect(),
            matched: BTreeMap::new(),
            failed: BTreeMap::new(),
            decided: BTreeMap::new(),
            by_default: BTreeSet::new(),
            frozen: BTreeSet::new(),
        }
    }

    /// What one rule says of one resource.
    pub(super) fn hear(&mut self, key: &Key, rule: &Rule, outcome: RuleOutcome) {
        let heard = match outcome {
            RuleOutcome::NotMatched => return,
            RuleOutcome::Matched => &mut self.matched,
            RuleOutcome::Failed => &mut self.failed,
        };
        if !heard.get(&rule.name).is_some_and(|keys| keys.contains(key)) {
            heard.entry(rule.name.clone()).or_default().insert(key.clone());
        }
    }

    /// A machine goes on under another key, and takes its record along.
    pub(super) fn moved(&mut self, from: &Key, to: &Key) {
        if let Some(life) = self.lives.get_mut(from).filter(|life| life.has_record) {
            let moved = std::mem::take(life);
            self.lives.insert(to.clone(), moved);
        }
    }

    /// One run is over. `verdicts` are its last.
    pub(super) fn turn(&mut self, estate: &mut Estate, verdicts: &Verdicts, at: Timestamp) {
        for key in std::mem::take(&mut estate.dirty.resources) {
            let Some(known) = estate.resources.get(&key) else { continue };
            if known.end.is_none() && !self.living.contains(&key) {
                self.living.insert(key.clone());
            }
            self.follow(&key, known, at);
        }
        self.count_default(estate, verdicts);
        for (key, verdict) in verdicts.by_rules() {
            if verdict.freezes() && !self.frozen.contains(key) {
                self.frozen.insert(key.clone());
            }
            if *verdict.rule == *DEFAULT {
                continue;
            }
            let keys = match self.decided.get_mut(&*verdict.rule) {
                Some(keys) => keys,
                None => self.decided.entry(verdict.rule.to_string()).or_default(),
            };
            if !keys.contains(key) {
                keys.insert(key.clone());
            }
        }
    }

    /// Notes what lives and no rule decides about. All are in the order of their keys, and gone through side by side: it is everything, every run.
    fn count_default(&mut self, estate: &Estate, verdicts: &Verdicts) {
        let mut spoken_of = verdicts.by_rules().peekable();
        let mut counted = self.by_default.iter().peekable();
        let mut new = Vec::new();
        for (key, known) in &estate.resources {
            while spoken_of.next_if(|(other, _)| *other < key).is_some() {}
            while counted.next_if(|other| *other < key).is_some() {}
            let verdict = spoken_of.next_if(|(other, _)| *other == key).map(|(_, verdict)| verdict);
            let is_counted = counted.peek() == Some(&key);
            if !is_counted && known.end.is_none() && verdict.is_none_or(is_default) {
                new.push(key.clone());
            }
        }
        self.by_default.extend(new);
    }

    fn follow(&mut self, key: &Key, known: &Known, at: Timestamp) {
        if !self.kinds.contains(&known.resource.kind) {
            return;
        }
        if !self.lives.contains_key(key) {
            self.lives.insert(key.clone(), Life::default());
        }
        let Some(life) = self.lives.get_mut(key) else { return };
        if life.is_missed && known.end.is_none() {
            life.is_missed = false;
            self.too_early.insert(key.clone());
        }
        let has_record = is_recorded(known, life.has_record);
        if has_record == life.has_record {
            return;
        }
        life.has_record = has_record;
        if has_record {
            if life.had_record {
                self.records.revived += 1;
            } else {
                self.records.created += 1;
                life.created_at = Some(at);
            }
            life.had_record = true;
            return;
        }
        match &known.end {
            Some(end) => {
                self.records.retired += 1;
                life.is_missed = end.cause == EndCause::Absent;
            }
            None => self.records.retired_by_rule += 1,
        }
        if life.created_at.is_some_and(|created| std::time::Duration::try_from(at.duration_since(created)).is_ok_and(|time| time < SHORT)) {
            self.short_lived.insert(key.clone());
        }
    }

    /// The sums.
    pub(super) fn finish(mut self, estate: &Estate, verdicts: &Verdicts) -> Outcome {
        let mut avoided = Avoided::default();
        let mut fates = BTreeMap::new();
        for (key, known) in &estate.resources {
            let kind = known.resource.kind;
            if !self.kinds.contains(&kind) || !self.living.contains(key) {
                continue;
            }
            let life = self.lives.get(key).cloned().unwrap_or_default();
            if life.has_record {
                self.records.after += 1;
                *self.records.by_kind.entry(kind).or_default() += 1;
            }
            if !life.had_record {
                match known.disposition {
                    Disposition::Record => {}
                    Disposition::Defer => avoided.deferred += 1,
                    Disposition::Fold => avoided.folded += 1,
                    Disposition::Ignore => avoided.ignored += 1,
                }
            }
            let verdict = verdicts.of(key);
            // What ended in the first run.
            if is_default(verdict) && !self.decided.values().any(|keys| keys.contains(key)) {
                self.by_default.insert(key.clone());
            }
            let rule = verdict.rule.to_string();
            let (name, disposition, stage) = (known.resource.name.clone(), known.disposition, known.stage);
            let Life { has_record, had_record, .. } = life;
            fates.insert(key.clone(), Fate { kind, name, has_record, had_record, disposition, stage, rule });
        }
        let count = |heard: &BTreeMap<String, BTreeSet<Key>>, name: &str| {
            let keys = heard.get(name).into_iter().flatten();
            keys.filter(|key| fates.contains_key(*key)).count() as u64
        };
        let mut rules: Vec<RuleTally> = self
            .rules
            .iter()
            .map(|Rule { name, .. }| RuleTally {
                name: name.clone(),
                decided: count(&self.decided, name),
                matched: count(&self.matched, name),
                failed: count(&self.failed, name),
            })
            .collect();
        let by_default = self.by_default.iter().filter(|key| fates.contains_key(*key)).count() as u64;
        rules.push(RuleTally { name: DEFAULT.to_owned(), decided: by_default, matched: by_default, failed: 0 });
        let frozen = self.frozen.iter().filter(|key| fates.contains_key(*key)).count() as u64;
        let Self { records, short_lived, too_early, .. } = self;
        Outcome { records, avoided, short_lived, too_early, rules, frozen, fates }
    }
}

/// Whether no rule decides, nor would one that could not be asked.
fn is_default(verdict: &Verdict) -> bool {
    *verdict.rule == *DEFAULT && !verdict.freezes() && !verdict.is_group_unread
}

/// Whether a resource has a record after a run, given whether it had one before: as the plan for a target that takes its kind decides.
fn is_recorded(known: &Known, had: bool) -> bool {
    if matches!(known.stage, Stage::Retired | Stage::Purged) {
        return false;
    }
    match known.disposition {
        _ if known.recovered => had,
        Disposition::Fold | Disposition::Ignore => false,
        Disposition::Defer | Disposition::Record if had => true,
        Disposition::Defer => false,
        Disposition::Record => !matches!(known.stage, Stage::Missing | Stage::Deferred),
    }
}
