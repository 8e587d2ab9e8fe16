//! The timers, and what the rules say of each resource.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::explain::RuleOutcome;
use crate::estate::{Disposition, Estate, Known};
use crate::expression::Subject;
use crate::model::{Key, Kind, RelationType, Scope};
use crate::rules::{Failure, Rule, Rules, Verdict};

/// The timers that decide when a resource is recorded, retired and purged. Rules may set any of them for a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timers {
    /// Instances younger than this get no record yet. What a rule sets delays the named fleet as well that they are folded into,
    /// until one of them is as old, or the fleet has stood that long.
    pub min_age: Duration,
    /// Complete listings without a resource before it may be retired; at least 1.
    pub confirm_missing: u32,
    /// How long since it was last seen before it may be retired.
    pub retire_after: Duration,
    /// How long after its delivered retirement a record is removed, where the target purges; `None` for never.
    pub purge_after: Option<Duration>,
    /// A disposition is not changed back within this time.
    pub min_dwell: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        const HOUR: u64 = 3600;
        Self {
            min_age: Duration::from_secs(15 * 60),
            confirm_missing: 2,
            retire_after: Duration::from_secs(24 * HOUR),
            purge_after: None,
            min_dwell: Duration::from_secs(HOUR),
        }
    }
}

/// The lifecycle configuration.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Timers where no rule sets others.
    pub timers: Timers,
    /// The rules, in their order.
    pub rules: Rules,
}

/// Hears what each rule says of a resource.
pub type RuleTracer<'a> = dyn FnMut(&Key, &Rule, RuleOutcome) + 'a;

/// What the policy says of every resource in one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdicts {
    default: Verdict,
    /// Those that are not the default.
    by_key: BTreeMap<Key, Verdict>,
}

impl Default for Verdicts {
    fn default() -> Self {
        Policy::default().no_verdicts()
    }
}

impl Verdicts {
    /// What no rule speaks about: a record for everything, under these timers.
    #[must_use]
    pub fn uniform(timers: &Timers) -> Self {
        Policy { timers: timers.clone(), rules: Rules::default() }.no_verdicts()
    }

    /// What is said of one resource alone.
    pub(super) fn of_one(policy: &Policy, key: &Key, verdict: &Verdict) -> Self {
        Self { by_key: BTreeMap::from([(key.clone(), verdict.clone())]), ..policy.no_verdicts() }
    }

    /// What is said of a resource.
    #[must_use]
    pub fn of(&self, key: &Key) -> &Verdict {
        self.by_key.get(key).unwrap_or(&self.default)
    }

    /// What is said where it is not the default: all keys that a rule speaks about, in order.
    pub fn by_rules(&self) -> impl Iterator<Item = (&Key, &Verdict)> {
        self.by_key.iter()
    }

    /// Rules that could not be asked, by the resource that they could not be asked about.
    pub fn failures(&self) -> impl Iterator<Item = (&Key, &Failure)> {
        self.by_key.iter().filter_map(|(key, verdict)| Some((key, verdict.failure.as_ref()?)))
    }

    /// Notes what is said of a fleet that is not there, where that could not be asked, or is why it never will be.
    pub(super) fn note(&mut self, key: &Key, verdict: Verdict) {
        if verdict.failure.is_some() || verdict.disposition == Disposition::Ignore {
            self.take(key, verdict);
        }
    }

    fn take(&mut self, key: &Key, verdict: Verdict) {
        if verdict == self.default {
            self.by_key.remove(key);
        } else {
            self.by_key.insert(key.clone(), verdict);
        }
    }
}

/// Whether it has ended and nothing shows it any more: no rule can keep it from anything, and nobody can mend its tags.
fn is_over(known: &Known) -> bool {
    known.end.is_some() && known.missing > 0
}

/// The scaling group of each machine, as the clouds show them. A group proves its own edges, so that those of one that is gone stay: a group that has
/// ended has no members, and of several the one that is still listed is meant.
pub(super) fn groups(estate: &Estate) -> BTreeMap<&Key, &Key> {
    let mut groups: BTreeMap<&Key, (bool, &Key)> = BTreeMap::new();
    for (id, _) in estate.edges.iter().filter(|(id, edge)| id.relation == RelationType::MemberOf && !edge.derived) {
        let Some(group) = estate.resources.get(&id.to).filter(|group| group.end.is_none()) else { continue };
        let candidate = (group.missing > 0, &id.to);
        groups.entry(&id.from).and_modify(|chosen| *chosen = candidate.min(*chosen)).or_insert(candidate);
    }
    groups.into_iter().map(|(machine, (_, group))| (machine, group)).collect()
}

/// What the rules are asked about. A machine of which no group is known may be in one where groups are listed but were not read this time.
fn subject<'a>(estate: &'a Estate, groups: &BTreeMap<&Key, &Key>, key: &Key, known: &'a Known, at: Timestamp) -> Subject<'a> {
    let group = groups.get(key).and_then(|group| estate.resources.get(*group)).map(|known| &*known.resource);
    let is_unread = || {
        let listed = Scope { kind: Kind::ScalingGroup, ..known.resource.scope() };
        known.resource.kind == Kind::Instance && estate.covering(&listed).is_some_and(|(_, known)| !known.receipt.is_complete())
    };
    Subject::new(known, group, known.first_seen < at, at).with_group_unread(group.is_none() && is_unread())
}

impl Policy {
    fn default_verdict(&self) -> Verdict {
        Verdict::default_of(Arc::new(self.timers.clone()))
    }

    pub(super) fn no_verdicts(&self) -> Verdicts {
        Verdicts { default: self.default_verdict(), by_key: BTreeMap::new() }
    }

    /// What the rules say of every resource at a time.
    #[must_use]
    pub fn verdicts(&self, estate: &Estate, at: Timestamp) -> Verdicts {
        let mut verdicts = self.no_verdicts();
        self.judge(&mut verdicts, estate, at, |_| true, &mut |_, _, _| {});
        verdicts
    }

    /// Asks the rules about every resource of these.
    pub(super) fn judge(
        &self,
        verdicts: &mut Verdicts,
        estate: &Estate,
        at: Timestamp,
        which: impl Fn(&Known) -> bool,
        trace: &mut RuleTracer<'_>,
    ) {
        if self.rules.is_empty() {
            return;
        }
        let groups = groups(estate);
        for (key, known) in estate.resources.iter().filter(|(_, known)| which(known)) {
            let subject = subject(estate, &groups, key, known, at);
            let verdict = self.rules.judge(&subject, &verdicts.default, |rule, outcome, _| trace(key, rule, outcome));
            verdicts.take(key, if is_over(known) { verdict.without_failures() } else { verdict });
        }
    }

    /// Asks the rules about a resource that the ledger does not know yet, and that is in no group.
    pub(super) fn judge_new(&self, known: &Known, at: Timestamp) -> Verdict {
        self.rules.judge(&Subject::new(known, None, false, at), &self.default_verdict(), |_, _, _| {})
    }

    /// Asks the rules about one resource; `trace` hears of each.
    pub(super) fn judge_one<'a>(
        &'a self,
        estate: &Estate,
        key: &Key,
        at: Timestamp,
        trace: impl FnMut(&'a Rule, RuleOutcome, Option<&str>),
    ) -> Option<Verdict> {
        let known = estate.resources.get(key)?;
        let subject = subject(estate, &groups(estate), key, known, at);
        Some(self.rules.judge(&subject, &self.default_verdict(), trace))
    }
}
