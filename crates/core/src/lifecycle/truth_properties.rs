//! What must hold of every conclusion, beside what is true.

#![expect(clippy::indexing_slicing, clippy::expect_used, reason = "tests may")]

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::truth::{MACHINES, MIN_AGE, SLOW_MIN_AGE, State, Story, place, stories};
use super::{Decisions, conclude, confirm, decide};
use crate::estate::{Disposition, EndCause, Estate, Fence, Known, Stage};
use crate::inventory::{Observing, derive, last_members, observe, release_edges};
use crate::model::{Key, Kind, Outcome, RelationType, Resource};
use crate::ownership::{FactTags, Ownership};
use crate::plan::testing::World;
use crate::plan::{Change, ChangeKind, Guarded, Limits, Reason, VerdictKind};
use crate::source::{Presence, Pull};
use crate::testing::{coverage, minute};

/// What listings and look-ups told of one key, however late: enough to say how old it has at most been seen.
struct Told {
    born: Timestamp,
    first: Timestamp,
    last: Timestamp,
}

/// The whole pure half of Dewpoint, living through a story, with a target that takes every change, and people who approve every hold.
struct Teller<'a> {
    story: &'a Story,
    step: usize,
    estate: Estate,
    decisions: Decisions,
    target: World,
    changes: Vec<Change>,
    told: BTreeMap<Key, Told>,
    /// Machines that were once seen at their `min_age`.
    grown: BTreeSet<Key>,
    /// Named fleets that each machine may have been in.
    pools: BTreeMap<Key, BTreeSet<Key>>,
    /// What ends with a machine and was seen long enough without it.
    outlived: BTreeSet<Key>,
    /// Lives that the provider, or a look-up, said had ended.
    stated: BTreeMap<Key, Option<String>>,
    reached: BTreeSet<&'static str>,
}

fn ownership() -> Ownership {
    let service = FactTags { tags: vec!["service".to_owned()], ..FactTags::default() };
    Ownership { service, ..Ownership::default() }
}

/// The fleet that the rule for pools folds a machine into.
fn pool_of(machine: &Resource) -> Option<Key> {
    let Resource { provider, account, region, tags, .. } = machine;
    Key::fleet(*provider, account, region, &format!("pool/{}", tags.get("pool")?))
}

impl<'a> Teller<'a> {
    fn new(story: &'a Story) -> Self {
        let mut target = World::new();
        target.include.kinds = Kind::ALL.iter().copied().collect();
        target.limits = Limits { max_retire_min: u32::MAX, max_retire: u32::MAX, ..Limits::default() };
        Self {
            story,
            step: 0,
            estate: Estate::default(),
            decisions: Decisions::default(),
            target,
            changes: Vec::new(),
            told: BTreeMap::new(),
            grown: BTreeSet::new(),
            pools: BTreeMap::new(),
            outlived: BTreeSet::new(),
            stated: BTreeMap::new(),
            reached: BTreeSet::new(),
        }
    }

    fn tell(&mut self) -> Result<(), TestCaseError> {
        for step in 0..self.story.steps.len() {
            self.step = step;
            let (now, fence) = (self.clock(step), i64::try_from(step).expect("a few steps") * 4);
            if self.story.steps[step].late == 0 {
                self.run(self.story.reading(step), now, fence + 4, false)?;
            }
            for earlier in (0..step).filter(|earlier| earlier + self.story.steps[*earlier].late == step) {
                // A saved plan brings the clock of its reading along, a read that was slow does not.
                let at = if earlier % 2 == 0 { self.clock(earlier) } else { now };
                self.reached.insert("late");
                self.run(self.story.reading(earlier), at, i64::try_from(earlier).expect("a few steps") * 4 + 4, false)?;
            }
            self.hear_events(now);
            if self.story.steps[step].narrow > 0 {
                self.run(self.story.narrow(step), now, fence + 5, true)?;
            }
        }
        Ok(())
    }

    fn clock(&self, step: usize) -> Timestamp {
        minute(self.story.minute(step) + self.story.steps[step].skew)
    }

    /// Events say that machines ended; they are asked about, and only the answer counts.
    fn hear_events(&mut self, at: Timestamp) {
        for machine in (0..MACHINES).filter(|machine| self.story.steps[self.step].events & (1 << machine) != 0) {
            let key = self.story.machine_key(machine);
            if matches!(self.story.answer(key, self.step), Presence::Gone) {
                let reason = Reason { rule: "looked_up".to_owned(), text: "an event said so".to_owned() };
                let _ = conclude(&mut self.estate, key, EndCause::LookedUp, &reason, at);
            }
        }
    }

    /// One run, as the program makes it: from pull to delivery, with the look-ups between.
    fn run(&mut self, pull: Pull, at: Timestamp, fence: i64, narrow: bool) -> Result<(), TestCaseError> {
        for resource in pull.resources.values() {
            self.note(resource, at);
        }
        let coverage = coverage(&pull);
        let observing = Observing { at, fence: Fence(fence), narrow, coverage: &coverage };
        let observed = observe(&mut self.estate, pull, &observing);
        let _ = derive(&mut self.estate, &ownership(), &observing);
        self.decisions = decide(&mut self.estate, &self.story.policy, &observing);
        let (mut asked, mut unanswered) = (BTreeSet::new(), BTreeSet::new());
        let guarded = loop {
            let guarded = self.plan(at);
            let mut keys: BTreeSet<Key> = guarded.look_up.iter().chain(&self.decisions.revivals_to_confirm).cloned().collect();
            let is_kept = |key: &&Key| self.target.state.records.get(*key).is_some_and(crate::plan::RecordBrief::is_live);
            keys.extend(self.decisions.proposed.keys().filter(|key| !is_kept(key)).cloned());
            keys.retain(|key| asked.insert(key.clone()));
            if keys.is_empty() {
                break guarded;
            }
            let mut answers = BTreeMap::new();
            for key in keys {
                match self.ask(&key) {
                    Some(answer) => drop(answers.insert(key, answer)),
                    None => drop(unanswered.insert(key)),
                }
            }
            for answer in answers.values() {
                if let Presence::Present(resource) = answer {
                    self.note(resource, at);
                }
            }
            let _ = confirm(&mut self.estate, answers, at, Fence(fence));
            release_edges(&mut self.estate, &observed.withheld, &observing);
            let _ = derive(&mut self.estate, &ownership(), &observing);
            self.decisions = decide(&mut self.estate, &self.story.policy, &observing);
            self.decisions.proposed.retain(|key, _| !unanswered.contains(key));
        };
        self.target.apply(&guarded);
        self.changes = guarded.changes;
        self.look_around();
        self.check()
    }

    fn plan(&mut self, at: Timestamp) -> Guarded {
        self.target.now = at;
        self.target.estate = self.estate.clone();
        self.target.proposed = self.decisions.proposed.clone();
        self.target.verdicts = Some(self.decisions.verdicts.clone());
        let guarded = self.target.plan();
        for hold in &guarded.holds {
            self.target.say(hold, VerdictKind::Approved);
            self.reached.insert("held");
        }
        if guarded.holds.is_empty() { guarded } else { self.target.plan() }
    }

    /// What a look-up says now; `None` where it fails.
    fn ask(&mut self, key: &Key) -> Option<Presence> {
        if key.is_derived() {
            return self.decisions.proposed.contains_key(key).then_some(Presence::Gone);
        }
        let fails = Story::machine_of(key).is_some_and(|machine| self.story.steps[self.step].failing & (1 << machine) != 0);
        let answer = self.story.answer(key, self.step);
        let word = match &answer {
            _ if fails => "look-up failed",
            Presence::Gone => "look-up: gone",
            Presence::Present(_) if self.decisions.revivals_to_confirm.contains(key) => "look-up: alive after its end",
            Presence::Present(_) => "look-up: there",
        };
        self.reached.insert(word);
        (!fails).then_some(answer)
    }

    fn note(&mut self, resource: &Resource, at: Timestamp) {
        let born = resource.created_at.unwrap_or(at);
        let told = self.told.entry(resource.key.clone()).or_insert(Told { born, first: at, last: at });
        (told.born, told.first, told.last) = (told.born.min(born), told.first.min(at), told.last.max(at));
        if let (Kind::Instance, Some(pool)) = (resource.kind, pool_of(resource)) {
            self.pools.entry(resource.key.clone()).or_default().insert(pool);
        }
    }

    /// Minutes between its birth and its last sighting, at most.
    fn age(&self, key: &Key) -> i64 {
        self.told.get(key).map_or(0, |told| told.last.duration_since(told.born).as_mins())
    }

    fn min_age(&self, machine: usize) -> i64 {
        if self.story.traits[machine].is_slow && self.story.has("slow") { SLOW_MIN_AGE } else { MIN_AGE }
    }

    fn look_around(&mut self) {
        let story = self.story;
        for machine in 0..MACHINES {
            let key = story.machine_key(machine);
            if self.age(key) >= self.min_age(machine) {
                self.grown.insert(key.clone());
            }
            for dependent in story.dependents(machine) {
                let Some(told) = self.told.get(dependent) else { continue };
                let is_left = match self.estate.resources.get(key) {
                    // Nobody knows the machine, so nobody knows what its rules are; where none are listed nobody ever will.
                    None => self.age(dependent) >= MIN_AGE || !self.estate.scopes.contains_key(&place(machine, Kind::Instance)),
                    Some(known) => known.end.as_ref().is_some_and(|end| told.last.duration_since(end.at).as_mins() >= MIN_AGE),
                };
                if is_left {
                    self.outlived.insert(dependent.clone());
                }
            }
        }
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        self.nothing_alive_is_retired()?;
        self.nothing_ended_comes_back()?;
        self.groups_of_the_living_stand()?;
        self.nothing_young_is_recorded()
    }

    fn cloud(&self) -> impl Iterator<Item = (&Key, &Known)> {
        self.estate.resources.iter().filter(|(_, known)| !known.resource.derived)
    }

    fn is_alive(&self, known: &Known) -> bool {
        self.story.is_alive(&known.resource, self.step)
    }

    fn nothing_alive_is_retired(&self) -> Result<(), TestCaseError> {
        for (key, known) in self.cloud().filter(|(_, known)| self.is_alive(known)) {
            // What waits for a record has none to lose, so its absence is believed without a look-up.
            let is_unrecorded =
                known.disposition == Disposition::Defer && known.end.as_ref().is_some_and(|end| end.cause == EndCause::Absent);
            let is_retired = known.end.is_some() || matches!(known.stage, Stage::Retired | Stage::Purged);
            prop_assert!(!is_retired || is_unrecorded, "{} lives, and is {}: {:?}", key, known.stage, known.end);
        }
        for change in self.changes.iter().filter(|change| change.change == ChangeKind::Retire && !change.key.is_derived()) {
            let known = &self.estate.resources[&change.key];
            let is_by_rule = matches!(known.disposition, Disposition::Fold | Disposition::Ignore);
            prop_assert!(is_by_rule || !self.is_alive(known), "the record of {} is retired: {:?}", change.key, change.reason);
            let is_runner = known.resource.tags.get("role").is_some_and(|role| role == "ci");
            prop_assert!(known.resource.kind != Kind::Instance || known.disposition != Disposition::Ignore || is_runner);
        }
        Ok(())
    }

    /// What the provider, or a look-up after an event, said of a life stands, whatever listings still show.
    fn nothing_ended_comes_back(&mut self) -> Result<(), TestCaseError> {
        for (key, known) in self.estate.resources.iter().filter(|(_, known)| !known.resource.derived) {
            prop_assert!(
                known.end.is_none() || matches!(known.stage, Stage::Retired | Stage::Purged),
                "{} ended, and is {}",
                key,
                known.stage
            );
            let life = known.resource.life().map(str::to_owned);
            match &known.end {
                Some(end) if end.cause.is_stated_of_it() => drop(self.stated.insert(key.clone(), life)),
                _ => {
                    // Once a new life was shown, a listing that lags behind the whole of it looks like one more: only a birth could tell.
                    let ended = self.stated.remove(key);
                    prop_assert!(ended.is_none_or(|ended| ended != life), "the end of {key} was taken back: {known:?}");
                }
            }
        }
        Ok(())
    }

    /// Fleets and services have no cloud object that could be looked up: they live as long as one that belongs to them does.
    fn groups_of_the_living_stand(&self) -> Result<(), TestCaseError> {
        let stands = |key: &Key| self.estate.resources.get(key).is_some_and(|known| known.end.is_none() && known.stage != Stage::Retired);
        let members: BTreeMap<&Key, &Key> = self
            .estate
            .edges
            .iter()
            .filter(|(id, edge)| edge.derived && id.relation == RelationType::MemberOf)
            .map(|(id, _)| (&id.from, &id.to))
            .collect();
        let machines = self.cloud().filter(|(_, known)| known.resource.kind == Kind::Instance && self.is_alive(known));
        for (key, known) in machines.filter(|(_, known)| known.disposition != Disposition::Defer) {
            if let Some(service) = known.resource.tags.get("service").and_then(|name| Key::service(name)) {
                prop_assert!(stands(&service), "{} lives, and its service {} does not", key, service);
            }
            if known.disposition != Disposition::Fold {
                continue;
            }
            if let Some(fleet) = members.get(key) {
                prop_assert!(stands(fleet), "{} lives, and its fleet {} does not", key, fleet);
            }
            let verdict = self.decisions.verdicts.of(key);
            // What nobody could decide about stays in the fleet that it was in.
            if verdict.freezes() || verdict.is_group_unread {
                continue;
            }
            if verdict.disposition == Disposition::Fold {
                let mut fleets = self.estate.edges.keys().filter(|id| id.relation == RelationType::MemberOf && id.from == *key);
                prop_assert!(fleets.any(|id| stands(&id.to)), "{} is folded into nothing", key);
            }
            let tags = &known.resource.tags;
            let is_plain = !tags.contains_key("role") && !tags.contains_key("until") && self.story.has("pools");
            if is_plain && tags.contains_key("pool") {
                let fleet = pool_of(&known.resource).expect("a pool");
                prop_assert!(stands(&fleet), "{} lives, and its fleet {} does not", key, fleet);
                prop_assert_eq!(members.get(key), Some(&&fleet));
            }
        }
        Ok(())
    }

    fn nothing_young_is_recorded(&self) -> Result<(), TestCaseError> {
        for machine in 0..MACHINES {
            let key = self.story.machine_key(machine);
            if self.grown.contains(key) {
                continue;
            }
            let disposition = self.estate.resources.get(key).map(|known| known.disposition);
            prop_assert!(disposition != Some(Disposition::Record), "{} was seen for {} minutes only", key, self.age(key));
            prop_assert!(!self.target.state.records.contains_key(key), "{} was seen for {} minutes only", key, self.age(key));
            // It lives again under its old id, and a listing that lags hides that: what hangs on it looks as if it had outlived it.
            if self.estate.resources.get(key).is_some_and(|known| known.end.is_some() && self.is_alive(known)) {
                continue;
            }
            for dependent in self.story.dependents(machine).filter(|dependent| !self.outlived.contains(*dependent)) {
                prop_assert!(!self.target.state.records.contains_key(dependent), "{dependent} has a record, its machine none");
            }
        }
        let is_young = |machine: &Key| {
            let is_slow = Story::machine_of(machine).is_some_and(|machine| self.min_age(machine) == SLOW_MIN_AGE);
            is_slow && !self.grown.contains(machine)
        };
        let members =
            |fleet: &Key| self.pools.iter().filter(|(_, pools)| pools.contains(fleet)).map(|(machine, _)| machine).collect::<Vec<_>>();
        let stood = |members: &[&Key]| {
            let told = || members.iter().filter_map(|machine| self.told.get(*machine));
            let first = told().map(|told| told.first).min();
            told().any(|told| first.is_some_and(|first| told.last.duration_since(first).as_mins() >= SLOW_MIN_AGE))
        };
        let young = |fleet: &Key| {
            let members = members(fleet);
            members.iter().all(|machine| is_young(machine)) && !stood(&members)
        };
        for fleet in self.target.state.records.keys().filter(|key| key.as_fleet().is_some()) {
            prop_assert!(
                !young(fleet),
                "{} has a record, and neither was a member seen at the age that the rule sets, nor has it stood so long",
                fleet
            );
        }
        Ok(())
    }

    /// Once all is listed whole and nothing happens any more, what is concluded is what is true.
    fn told_the_truth(&self) -> Result<(), TestCaseError> {
        for (key, known) in self.cloud() {
            let is_frozen = self.decisions.verdicts.of(key).freezes();
            let row = self.target.state.records.get(key).filter(|row| row.exists());
            if self.is_alive(known) {
                prop_assert_eq!((known.missing, &known.end), (0, &None), "{}", key);
                prop_assert!(matches!(known.stage, Stage::Active | Stage::Inactive | Stage::Deferred), "{} is {}", key, known.stage);
                let is_recorded = known.disposition == Disposition::Record;
                prop_assert_eq!(row.is_some_and(|row| row.retired_at.is_none()), is_recorded, "{}", key);
            } else if !is_frozen {
                prop_assert_eq!(known.stage, Stage::Retired, "{}", key);
                prop_assert!(row.is_none_or(|row| row.retired_at.is_some()), "{} is gone, its record is not", key);
            }
        }
        let Estate { resources, edges, .. } = &self.estate;
        let derived = resources.iter().filter(|(_, known)| known.resource.derived).map(|(key, _)| key).collect();
        let members = last_members(resources, edges, &derived);
        for key in derived {
            // A rule that cannot be asked about what is gone keeps it from ending; before it had a record it counts for nothing.
            let is_live = |member: &Known| !member.is_ended() && (member.missing == 0 || member.disposition != Disposition::Defer);
            let has_live = members.get(key).is_some_and(|members| members.iter().any(|(_, member)| is_live(member)));
            prop_assert_eq!(resources[key].stage != Stage::Retired, has_live, "{} is {}", key, resources[key].stage);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(128), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_lives_is_never_retired_and_what_is_young_never_recorded(story in stories(2..14)) {
        Teller::new(&story).tell()?;
    }

    #[test]
    fn in_quiet_times_the_truth_comes_out(story in stories(1..10)) {
        let story = story.then_quiet(6);
        let mut teller = Teller::new(&story);
        teller.tell()?;
        teller.told_the_truth()?;
    }
}

#[test]
fn the_stories_reach_the_interesting_ends() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    for _ in 0..120 {
        let story = stories(6..14).new_tree(&mut runner).expect("a story").current();
        let mut teller = Teller::new(&story);
        teller.tell().expect("what the property says");
        reached.extend(teller.reached.iter().copied());
        for (key, known) in &teller.estate.resources {
            let is_alive = !known.resource.derived && teller.is_alive(known);
            reached.extend(known.end.as_ref().map(|end| end.cause.as_str()));
            reached.insert(known.stage.as_str());
            reached.insert(known.disposition.as_str());
            reached.extend((is_alive && known.missing > 0 && known.disposition != Disposition::Defer).then_some("alive and missed"));
            reached.extend((key.as_fleet().is_some() && known.end.is_some()).then_some("fleet retired"));
            reached.extend((known.resource.kind == Kind::Service && known.end.is_some()).then_some("service retired"));
            reached.extend(teller.decisions.verdicts.of(key).freezes().then_some("frozen by a rule"));
            reached.extend(teller.decisions.verdicts.of(key).is_set_unread.then_some("group unread"));
            let is_stale = known.end.is_some() && known.missing == 0 && known.resource.state.as_deref() == Some("running");
            reached.extend(is_stale.then_some("ended and shown"));
        }
        let is_young = |machine: &usize| {
            let key = story.machine_key(*machine);
            teller.estate.resources.contains_key(key) && !teller.grown.contains(key)
        };
        let young: Vec<usize> = (0..MACHINES).filter(is_young).collect();
        let waits = |known: &Known| known.resource.key.as_fleet().is_some() && known.disposition == Disposition::Defer;
        reached.extend(teller.estate.resources.values().any(waits).then_some("fleet deferred"));
        reached.extend((!young.is_empty()).then_some("never grown"));
        reached.extend(young.iter().any(|machine| teller.min_age(*machine) == SLOW_MIN_AGE).then_some("slow and never grown"));
        let died = |machine: &usize| story.truth[story.truth.len() - 1][*machine].state == State::Gone;
        reached.extend(young.iter().any(died).then_some("died young"));
        reached.extend(teller.estate.scopes.values().any(|known| known.receipt.outcome == Outcome::Orphaned).then_some("orphaned"));
    }
    for end in
        ["stated", "absent", "looked_up", "deferred", "active", "inactive", "missing", "retired", "record", "defer", "fold", "ignore"]
            .into_iter()
            .chain([
                "late",
                "look-up failed",
                "look-up: gone",
                "look-up: there",
                "alive and missed",
                "fleet retired",
                "fleet deferred",
                "service retired",
            ])
            .chain(["frozen by a rule", "group unread", "ended and shown", "never grown", "slow and never grown", "died young", "orphaned"])
    {
        assert!(reached.contains(end), "no story reached `{end}`: {reached:?}");
    }
}
