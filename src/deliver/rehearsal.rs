//! Asking a target what it would do with changes, without sending any.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use jiff::Timestamp;

use super::About;
use super::writer::Writer;
use crate::estate::EstateId;
use crate::model::{EdgeId, Key};
use crate::plan::{Change, ChangeId, ChangeKind, TargetState};
use crate::target::{Foreseen, Foresight, Sending, Target, TargetError, Would};

/// What is needed to ask one target.
pub struct Rehearsal<'a> {
    /// The target.
    pub target: &'a dyn Target,
    /// The estate id that would go onto every record.
    pub estate: &'a EstateId,
    /// The run's clock.
    pub at: Timestamp,
    /// When asking ends at the latest.
    pub deadline: Instant,
    /// What the estate knows of a CI.
    pub about: &'a (dyn Fn(&Key) -> About + Sync),
}

/// What a target says that it would do, beside what is planned.
#[derive(Debug, Default)]
pub struct Rehearsed {
    /// Changes with which it would do what is planned.
    pub agreed: u64,
    /// Changes of which it cannot be asked: removals, and what hangs on a change that is not made yet.
    pub unasked: u64,
    /// Changes with which it would do something else.
    pub differences: Vec<Difference>,
    /// Why asking ended early, if it did: the changes from there on count as not asked.
    pub stopped: Option<TargetError>,
}

/// A change with which a target would do something else than what is planned.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The CI.
    pub key: Key,
    /// The edge, if it is one.
    pub relation: Option<EdgeId>,
    /// What is planned.
    pub change: ChangeKind,
    /// What the target would do.
    pub foreseen: Foreseen,
}

/// Changes that are asked about at once: each after the creates that it hangs on, which may have been asked about before.
#[derive(Default)]
struct Question<'c> {
    changes: Vec<&'c Change>,
    made: BTreeSet<Key>,
}

impl<'c> Question<'c> {
    fn add(&mut self, change: &'c Change) {
        if change.change == ChangeKind::Create && !self.made.insert(change.key.clone()) {
            return;
        }
        self.changes.push(change);
    }
}

impl Rehearsal<'_> {
    /// Asks about every change; `None` where the target has no interface for that. Nothing that is asked is there for the next question: what a change
    /// hangs on is asked with it.
    pub async fn rehearse(&self, changes: &[Change], state: TargetState) -> Option<Rehearsed> {
        let foresight = self.target.foresight()?;
        let writer = Writer { records: state.records, born: BTreeMap::new(), about: self.about };
        let creates = changes.iter().filter(|change| change.change == ChangeKind::Create).map(|change| (&change.key, change)).collect();
        let mut order: Vec<&Change> = changes.iter().collect();
        order.sort_by_cached_key(|change| {
            let About { account, region, .. } = (self.about)(&change.key);
            (account, region, change.change, change.kind, change.key.clone())
        });
        let size = foresight.at_once().max(1);
        let mut asking = Asking { rehearsal: self, foresight, writer, answered: BTreeSet::new(), rehearsed: Rehearsed::default() };
        let mut question = Question::default();
        for change in order {
            let needed = asking.needed(change, &creates);
            let more = 1 + needed.iter().filter(|create| !question.made.contains(&create.key)).count();
            if !question.changes.is_empty() && question.changes.len() + more > size {
                asking.ask(std::mem::take(&mut question)).await;
            }
            needed.into_iter().for_each(|create| question.add(create));
            question.add(change);
        }
        asking.ask(question).await;
        let mut rehearsed = asking.rehearsed;
        rehearsed.unasked = (changes.len() as u64).saturating_sub(rehearsed.agreed + rehearsed.differences.len() as u64);
        Some(rehearsed)
    }
}

struct Asking<'r, 'a> {
    rehearsal: &'r Rehearsal<'a>,
    foresight: &'r dyn Foresight,
    writer: Writer<'a>,
    answered: BTreeSet<ChangeId>,
    rehearsed: Rehearsed,
}

impl Asking<'_, '_> {
    /// The creates that a change hangs on, what they hang on first.
    fn needed<'c>(&self, change: &Change, creates: &BTreeMap<&Key, &'c Change>) -> Vec<&'c Change> {
        let mut needed = Vec::new();
        let mut seen = BTreeSet::new();
        match &change.relation {
            Some(edge) if change.change == ChangeKind::Relate => {
                for end in [&edge.from, &edge.to] {
                    self.add_create(end, creates, &mut seen, &mut needed);
                }
            }
            None if change.change == ChangeKind::Create => {
                seen.insert(change.key.clone());
                self.add_host(&change.key, creates, &mut seen, &mut needed);
            }
            _ => {}
        }
        needed
    }

    fn add_create<'c>(&self, key: &Key, creates: &BTreeMap<&Key, &'c Change>, seen: &mut BTreeSet<Key>, needed: &mut Vec<&'c Change>) {
        let Some(create) = creates.get(key) else { return };
        if seen.insert(key.clone()) {
            self.add_host(key, creates, seen, needed);
            needed.push(create);
        }
    }

    fn add_host<'c>(&self, key: &Key, creates: &BTreeMap<&Key, &'c Change>, seen: &mut BTreeSet<Key>, needed: &mut Vec<&'c Change>) {
        let hosts = (self.rehearsal.about)(key).hosts;
        let is_there = |host: &&Key| self.writer.addressed(host).is_some() || creates.contains_key(host);
        if let Some(host) = hosts.iter().find(is_there) {
            self.add_create(host, creates, seen, needed);
        }
    }

    async fn ask(&mut self, mut question: Question<'_>) {
        if self.rehearsed.stopped.is_some() || question.changes.is_empty() {
            return;
        }
        // As they would be sent: creates first, and of these what others lie in.
        question.changes.sort_by_key(|change| (change.change, change.kind));
        let mut asked = Vec::new();
        let mut writes = Vec::new();
        for change in &question.changes {
            if let Some(write) = self.writer.make(change, &question.made) {
                asked.push(*change);
                writes.push(write);
            }
        }
        let Rehearsal { estate, at, deadline, .. } = *self.rehearsal;
        match self.foresight.foresee(&writes, &Sending { estate, at, deadline }).await {
            Ok(answers) => {
                for (change, foreseen) in asked.into_iter().zip(answers) {
                    if let Some(foreseen) = foreseen
                        && self.answered.insert(change.id)
                    {
                        self.compare(change, foreseen);
                    }
                }
            }
            Err(error) => self.rehearsed.stopped = Some(error),
        }
    }

    fn compare(&mut self, change: &Change, foreseen: Foreseen) {
        let record = self.writer.addressed(&change.key).map(|addressed| addressed.record).or_else(|| change.record.clone());
        let is_same_record = foreseen.record.is_none() || foreseen.record == record;
        let is_as_planned = match change.change {
            ChangeKind::Create => foreseen.would == Would::Create,
            // One that is there already is as it is to be.
            ChangeKind::Relate => foreseen.would != Would::Refuse,
            _ => foreseen.would == Would::Update && is_same_record,
        };
        if is_as_planned {
            self.rehearsed.agreed += 1;
            return;
        }
        let Change { key, relation, change, .. } = change;
        self.rehearsed.differences.push(Difference { key: key.clone(), relation: relation.clone(), change: *change, foreseen });
    }
}
