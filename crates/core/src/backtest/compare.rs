//! Two replays of one recording, side by side.

use serde::Serialize;

use super::tally::{Fate, Outcome};
use crate::model::{Key, Kind, vocabulary};

vocabulary! {
    /// How a resource's records differ between two replays.
    Differing, "difference" {
        /// A record in the first, never one in the second.
        Avoided => "avoided",
        /// Never a record in the first, one in the second.
        Created => "created",
        /// Records in both, and at the end only in the first.
        Retired => "retired",
        /// Records in both, and at the end only in the second.
        Kept => "kept",
    }
}

/// A resource whose records differ between two replays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The resource.
    pub key: Key,
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Option<String>,
    /// How they differ.
    pub differing: Differing,
    /// What became of it in the first; `None` where it was not known there (a fleet that no rule named, say).
    pub current: Option<Fate>,
    /// What became of it in the second.
    pub against: Option<Fate>,
}

/// Every resource whose records differ, by key.
#[must_use]
pub fn differences(current: &Outcome, against: &Outcome) -> Vec<Difference> {
    let only_against = against.fates.keys().filter(|key| !current.fates.contains_key(*key));
    let mut keys: Vec<&Key> = current.fates.keys().chain(only_against).collect();
    keys.sort_unstable();
    let difference = |key: &Key| {
        let [current, against] = [current, against].map(|outcome| outcome.fates.get(key).cloned());
        let differing = differing(current.as_ref(), against.as_ref())?;
        let one = current.as_ref().or(against.as_ref())?;
        Some(Difference { key: key.clone(), kind: one.kind, name: one.name.clone(), differing, current, against })
    };
    keys.into_iter().filter_map(difference).collect()
}

fn differing(current: Option<&Fate>, against: Option<&Fate>) -> Option<Differing> {
    let records = |fate: Option<&Fate>| fate.map_or((false, false), |fate| (fate.had_record, fate.has_record));
    match (records(current), records(against)) {
        ((true, _), (false, _)) => Some(Differing::Avoided),
        ((false, _), (true, _)) => Some(Differing::Created),
        ((true, true), (true, false)) => Some(Differing::Retired),
        ((true, false), (true, true)) => Some(Differing::Kept),
        _ => None,
    }
}
