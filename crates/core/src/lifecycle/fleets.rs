//! Which fleet a machine is in, and whether the one that it is to be folded into will stand.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::decide::{Around, born, fleet_key, staying};
use super::policy::{Policy, Verdicts, groups};
use super::words::{after, elapsed};
use crate::estate::{Disposition, Estate, Fence, Known};
use crate::inventory::{is_live, named_fleets};
use crate::model::{Key, Kind, RelationType};
use crate::rules::Verdict;

/// What becomes of a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prospect {
    /// It has a record, or gets one.
    Stands,
    /// A rule ignores it.
    Ignored,
    /// Nobody can say yet: it waits, or a rule could not be asked about it.
    Open,
}

/// How the members of a fleet stand to what rules set as their `min_age`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// One is as old, or may be of any age.
    Grown {
        /// Whether a rule sets it for that one.
        is_set: bool,
    },
    /// All are younger, and of those that a rule could not be asked about nobody knows.
    Young(Option<Growing>),
}

/// What will be the first to be old enough: a member, or the fleet for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Growing {
    /// When.
    pub(super) due: Timestamp,
    /// What rules set for the member.
    pub(super) min_age: Duration,
    /// Whether the fleet will have stood that long before the member is as old.
    pub(super) is_stand: bool,
}

/// The ages of the named fleets that the rules fold these machines into, of those that have no record. One that has, or had, does not wait for any.
/// The defaults' `min_age` speaks of machines and their own records, and delays no fleet.
///
/// A fleet that has stood for a member's `min_age`, when that is seen, is as good as that old itself: in a pool whose machines come and go none
/// ever may be.
pub(super) fn ages<'a>(estate: &Estate, verdicts: &Verdicts, folding: impl IntoIterator<Item = (&'a Key, &'a Key)>) -> BTreeMap<Key, Age> {
    let mut ages: BTreeMap<Key, Age> = BTreeMap::new();
    let waits = |fleet: &Key| estate.resources.get(fleet).is_none_or(|known| known.disposition != Disposition::Record);
    for (member, fleet) in folding {
        let Some(known) = estate.resources.get(member).filter(|known| fleet.as_fleet().is_some() && is_live(known)) else { continue };
        if !waits(fleet) {
            continue;
        }
        let verdict = verdicts.of(member);
        let is_open = verdict.freezes() || verdict.is_group_unread;
        // What only stays there for a while says nothing of it.
        if !is_open && fleet_key(known, verdict).as_ref() != Some(fleet) {
            continue;
        }
        let min_age = verdict.timers.min_age;
        let birth = born(known);
        let since = estate.resources.get(fleet).filter(|fleet| fleet.end.is_none()).map_or(birth, |fleet| birth.min(fleet.life_since));
        let age = if is_open {
            Age::Young(None)
        } else if verdict.is_age_set && elapsed(since, known.last_seen) < min_age {
            Age::Young(Some(Growing { due: after(since, min_age), min_age, is_stand: since < birth }))
        } else {
            Age::Grown { is_set: verdict.is_age_set }
        };
        let of_all = ages.entry(fleet.clone()).or_insert(age);
        *of_all = match (*of_all, age) {
            (Age::Grown { is_set: one }, Age::Grown { is_set: other }) => Age::Grown { is_set: one && other },
            (grown @ Age::Grown { .. }, Age::Young(_)) | (Age::Young(_), grown @ Age::Grown { .. }) => grown,
            (Age::Young(one), Age::Young(other)) => Age::Young(one.into_iter().chain(other).min()),
        };
    }
    ages
}

/// The fleet that each machine is in: a fleet of its own before the cloud's group, and none that has ended.
pub(crate) fn placed(estate: &Estate) -> BTreeMap<&Key, &Key> {
    let mut placed = groups(estate);
    let named = estate.edges.iter().filter(|(id, edge)| id.relation == RelationType::MemberOf && edge.derived);
    let stands = |fleet: &Key| estate.resources.get(fleet).is_some_and(|fleet| fleet.end.is_none());
    placed.extend(named.filter(|(id, _)| stands(&id.to)).map(|(id, _)| (&id.from, &id.to)));
    placed
}

/// Machines that are in a fleet with a record: only for that do they stay there for `min_dwell`.
pub(super) fn dwelling(estate: &Estate) -> BTreeSet<Key> {
    let is_recorded = |fleet: &Key| estate.resources.get(fleet).is_some_and(|fleet| fleet.disposition == Disposition::Record);
    placed(estate).into_iter().filter(|(_, fleet)| is_recorded(fleet)).map(|(machine, _)| machine.clone()).collect()
}

/// What becomes of each fleet that machines are to be folded into. A named one that is not there yet is judged as its members will make it, and what
/// could not be asked about it stands among the verdicts.
pub(super) fn prospects(estate: &Estate, policy: &Policy, verdicts: &mut Verdicts, at: Timestamp) -> BTreeMap<Key, Prospect> {
    let machines = estate.resources.iter().filter(|(_, known)| known.resource.kind == Kind::Instance);
    let folding: BTreeMap<Key, Key> =
        machines.filter_map(|(key, known)| Some((key.clone(), fleet_key(known, verdicts.of(key))?))).collect();
    // Only what is folded in this run can make a fleet stand in it.
    let (nowhere, unknown) = (BTreeSet::new(), BTreeMap::new());
    let around = Around { scopes: &estate.scopes, placed: &nowhere, ages: &unknown };
    let folds = |key: &Key| {
        let known = estate.resources.get(key);
        known.is_some_and(|known| staying(known, Disposition::Fold, &verdicts.of(key).timers, &around, at).is_none())
    };
    let ages = ages(estate, verdicts, folding.iter().filter(|(machine, _)| folds(machine)));
    let is_young = |fleet: &Key| matches!(ages.get(fleet), Some(Age::Young(_)));
    let mut prospects = BTreeMap::new();
    for fleet in folding.values() {
        if let Some(known) = estate.resources.get(fleet).filter(|known| known.end.is_none() || known.missing == 0)
            && !prospects.contains_key(fleet)
        {
            prospects.insert(fleet.clone(), prospect(known, verdicts.of(fleet), is_young(fleet)));
        }
    }
    let unborn: BTreeMap<Key, Key> = folding.into_iter().filter(|(_, fleet)| !prospects.contains_key(fleet)).collect();
    for fleet in named_fleets(estate, &unborn) {
        let known = Known::new(fleet, at, Fence::default());
        let verdict = policy.judge_new(&known, at);
        let key = known.resource.key.clone();
        prospects.insert(key.clone(), prospect(&known, &verdict, is_young(&key)));
        verdicts.note(&key, verdict);
    }
    prospects
}

fn prospect(fleet: &Known, verdict: &Verdict, is_young: bool) -> Prospect {
    let wanted = if verdict.freezes() || verdict.is_group_unread { fleet.disposition } else { verdict.disposition };
    match wanted {
        Disposition::Ignore => Prospect::Ignored,
        Disposition::Record if is_young => Prospect::Open,
        Disposition::Record => Prospect::Stands,
        // What has a record is not deferred any more.
        Disposition::Defer | Disposition::Fold if fleet.disposition == Disposition::Record => Prospect::Stands,
        Disposition::Defer | Disposition::Fold => Prospect::Open,
    }
}

/// What becomes of a machine instead of being folded, by what becomes of its fleet; with why. A record is not given up for one that is not there.
pub(super) fn overruled(machine: &Known, fleet: Option<Prospect>) -> Option<(Disposition, &'static str)> {
    match fleet {
        Some(Prospect::Ignored) => Some((Disposition::Ignore, "the fleet that it is folded into is ignored")),
        Some(Prospect::Stands) => None,
        Some(Prospect::Open) | None if machine.disposition == Disposition::Record => {
            Some((Disposition::Record, "the fleet that it is to be folded into has no record"))
        }
        Some(Prospect::Open) | None => None,
    }
}
