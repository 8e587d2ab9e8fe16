//! A recording through other rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::recording::{Change, Recording, TurnSeen};
use super::tally::{Outcome, Tally};
use crate::estate::{EndCause, Estate, Fence};
use crate::inventory::{Coverage, Observing, derive, observe, release_edges};
use crate::lifecycle::{Decisions, Policy, RETIRED_SCOPE, conclude, conclude_moved, confirm, decide_traced, successors};
use crate::model::{EdgeId, Key, Kind, Receipts, Relation, Resource};
use crate::ownership::Ownership;
use crate::plan::Reason;
use crate::source::{Presence, Pull};

/// The configuration that a recording is replayed under.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Timers and rules.
    pub policy: Policy,
    /// Which tags name services.
    pub ownership: Ownership,
    /// Kinds that some target takes; others make no records.
    pub kinds: BTreeSet<Kind>,
}

/// Takes a recording through all that a sync does before it plans, run by run.
pub fn replay(recording: &Recording, terms: &Terms) -> Outcome {
    let mut estate = recording.start.clone();
    let mut tally = Tally::new(&terms.policy.rules, &terms.kinds, &estate);
    let mut clouds = Clouds { shown: recording.shown.clone(), related: recording.related.clone() };
    let mut last = Decisions::default();
    for (index, turn) in recording.turns.iter().enumerate() {
        let fence = Fence(i64::try_from(index).unwrap_or(i64::MAX).saturating_add(1));
        last = take(&mut estate, &mut clouds, turn, fence, terms, &mut tally);
        tally.turn(&mut estate, &last.verdicts, turn.at);
        estate.dirty = Default::default();
    }
    tally.finish(&estate, &last.verdicts)
}

/// What the clouds show at one time.
struct Clouds {
    shown: BTreeMap<Key, Arc<Resource>>,
    related: BTreeMap<EdgeId, Relation>,
}

impl Clouds {
    /// Takes in what changed. Returns the resources that were certainly shown.
    fn change(&mut self, changes: &[Change]) -> BTreeSet<Key> {
        let mut touched = BTreeSet::new();
        for change in changes {
            match change {
                Change::Shown(resource) => {
                    touched.insert(resource.key.clone());
                    self.shown.insert(resource.key.clone(), Arc::clone(resource));
                }
                Change::Hidden(key) => drop(self.shown.remove(key)),
                Change::Related(relation) => drop(self.related.insert(relation.id(), relation.clone())),
                Change::Unrelated(id) => drop(self.related.remove(id)),
                Change::Disowned(_) => {}
            }
        }
        touched
    }

    /// What a pull shows of them. Of a scope that was not listed to the end, only what is known to have been shown.
    fn pull(&self, receipts: &Receipts, touched: &BTreeSet<Key>) -> Pull {
        let resources = if receipts.iter().all(|(_, receipt)| receipt.is_complete()) {
            self.shown.clone()
        } else {
            let is_shown = |(key, resource): &(&Key, &Arc<Resource>)| receipts.proves_absence(&resource.scope()) || touched.contains(*key);
            self.shown.iter().filter(is_shown).map(|(key, resource)| (key.clone(), Arc::clone(resource))).collect()
        };
        Pull { resources, relations: self.related.clone(), receipts: receipts.clone(), exhaustive: true, ..Pull::default() }
    }
}

/// One run: what `src/run` does from the pull to the last look-up, with truthful look-ups.
fn take(estate: &mut Estate, clouds: &mut Clouds, turn: &TurnSeen, fence: Fence, terms: &Terms, tally: &mut Tally<'_>) -> Decisions {
    let coverage = Coverage::default();
    let observing = Observing { at: turn.at, fence, narrow: false, coverage: &coverage };
    let touched = clouds.change(&turn.changes);
    let observed = observe(estate, clouds.pull(&turn.receipts, &touched), &observing);
    let _ = derive(estate, &terms.ownership, &observing);
    let moves = successors(estate);
    for (from, to) in &moves {
        tally.moved(from, to);
    }
    conclude_moved(estate, &moves, turn.at);
    for change in &turn.changes {
        if let Change::Disowned(key) = change {
            let reason = Reason { rule: RETIRED_SCOPE.to_owned(), text: "its retirement was asked for".to_owned() };
            let _ = conclude(estate, key, EndCause::Disowned, &reason, turn.at);
        }
    }
    let mut asked = BTreeSet::new();
    loop {
        let decisions = decide_traced(estate, &terms.policy, &observing, &mut |key, rule, outcome| tally.hear(key, rule, outcome));
        let proposed = decisions.proposed.keys().map(|key| (key.clone(), Presence::Gone));
        let revivals = decisions.revivals_to_confirm.iter().map(|key| {
            let shown = clouds.shown.get(key);
            (key.clone(), shown.map_or(Presence::Gone, |resource| Presence::Present(Box::new(Resource::clone(resource)))))
        });
        let answers: BTreeMap<Key, Presence> = proposed.chain(revivals).filter(|(key, _)| !asked.contains(key)).collect();
        if answers.is_empty() {
            return decisions;
        }
        asked.extend(answers.keys().cloned());
        let _ = confirm(estate, answers, turn.at, fence);
        release_edges(estate, &observed.withheld, &observing);
        let _ = derive(estate, &terms.ownership, &observing);
    }
}
