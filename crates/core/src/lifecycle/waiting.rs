//! What deferred resources wait for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::decide::folding;
use super::dependents::machine_of;
use super::fleets::{self, Age};
use super::policy::Verdicts;
use crate::estate::{Disposition, Estate, Known, Stage};
use crate::model::Key;
use crate::rules::Verdict;

/// Deferred resources by what they wait for; what ends with a machine waits for the same as that. Retired ones do not count.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeferredBy {
    /// To be seen at their `min_age`.
    pub age: u64,
    /// For a rule to let them go: its `do: defer` decides.
    pub rule: u64,
    /// For an answer: a rule could not be asked about them, or the group that it asks for was not read. So do named fleets of nothing but such
    /// machines, and those that have lost theirs and not ended yet.
    pub frozen: u64,
}

impl DeferredBy {
    /// Each with its count and what it waits for, as it goes after `deferred:`; those that are none left out.
    pub fn told(&self) -> impl Iterator<Item = (u64, &'static str)> {
        let Self { age, rule, frozen } = *self;
        [(age, "for age"), (rule, "by rule"), (frozen, "frozen")].into_iter().filter(|(count, _)| *count > 0)
    }

    /// Counts the deferred resources of an estate, after their dispositions are decided.
    pub(super) fn of(estate: &Estate, verdicts: &Verdicts) -> Self {
        let mut waiting = Self::default();
        let is_live = |known: &Known| !matches!(known.stage, Stage::Retired | Stage::Purged);
        let deferred: Vec<&Key> = estate
            .resources
            .iter()
            .filter(|(_, known)| known.disposition == Disposition::Defer && is_live(known))
            .map(|(key, _)| key)
            .collect();
        let ages = if deferred.iter().any(|key| key.as_fleet().is_some()) {
            fleets::ages(estate, verdicts, &folding(estate, verdicts))
        } else {
            BTreeMap::new()
        };
        for key in deferred {
            let is_open = key.as_fleet().is_some() && matches!(ages.get(key), None | Some(Age::Young(None)));
            *waiting.count_of(deciding(estate, key, verdicts), is_open) += 1;
        }
        waiting
    }

    fn count_of(&mut self, verdict: &Verdict, is_open: bool) -> &mut u64 {
        if verdict.freezes() || verdict.is_group_unread {
            &mut self.frozen
        } else if verdict.disposition == Disposition::Defer {
            &mut self.rule
        } else if is_open {
            &mut self.frozen
        } else {
            &mut self.age
        }
    }
}

/// The verdict that a resource's disposition rests on: its own, or that of the machine that it ends with.
fn deciding<'a>(estate: &Estate, key: &Key, verdicts: &'a Verdicts) -> &'a Verdict {
    let own = verdicts.of(key);
    if own.is_own || own.freezes() {
        return own;
    }
    machine_of(estate, key, verdicts).map_or(own, |(machine, _)| verdicts.of(machine))
}
