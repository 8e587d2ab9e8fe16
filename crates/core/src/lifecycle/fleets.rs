//! Which fleet a machine is in, and whether the one that it is to be folded into will stand.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::decide::fleet_key;
use super::policy::{Policy, Verdicts, groups};
use crate::estate::{Disposition, Estate, Fence, Known};
use crate::inventory::named_fleets;
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

/// The fleet that each machine is in: a fleet of its own before the cloud's group, and none that has ended.
pub(crate) fn placed(estate: &Estate) -> BTreeMap<&Key, &Key> {
    let mut placed = groups(estate);
    let named = estate.edges.iter().filter(|(id, edge)| id.relation == RelationType::MemberOf && edge.derived);
    let stands = |fleet: &Key| estate.resources.get(fleet).is_some_and(|fleet| fleet.end.is_none());
    placed.extend(named.filter(|(id, _)| stands(&id.to)).map(|(id, _)| (&id.from, &id.to)));
    placed
}

/// What becomes of each fleet that machines are to be folded into. A named one that is not there yet is judged as its members will make it, and what
/// could not be asked about it stands among the verdicts.
pub(super) fn prospects(estate: &Estate, policy: &Policy, verdicts: &mut Verdicts, at: Timestamp) -> BTreeMap<Key, Prospect> {
    let machines = estate.resources.iter().filter(|(_, known)| known.resource.kind == Kind::Instance);
    let folding: BTreeMap<Key, Key> =
        machines.filter_map(|(key, known)| Some((key.clone(), fleet_key(known, verdicts.of(key))?))).collect();
    let mut prospects = BTreeMap::new();
    for fleet in folding.values() {
        if let Some(known) = estate.resources.get(fleet).filter(|known| known.end.is_none() || known.missing == 0)
            && !prospects.contains_key(fleet)
        {
            prospects.insert(fleet.clone(), prospect(known, verdicts.of(fleet)));
        }
    }
    let unborn: BTreeMap<Key, Key> = folding.into_iter().filter(|(_, fleet)| !prospects.contains_key(fleet)).collect();
    for fleet in named_fleets(estate, &unborn) {
        let known = Known::new(fleet, at, Fence::default());
        let verdict = policy.judge_new(&known, at);
        prospects.insert(known.resource.key.clone(), prospect(&known, &verdict));
        verdicts.note(&known.resource.key, verdict);
    }
    prospects
}

fn prospect(fleet: &Known, verdict: &Verdict) -> Prospect {
    let wanted = if verdict.freezes() || verdict.is_group_unread { fleet.disposition } else { verdict.disposition };
    match wanted {
        Disposition::Ignore => Prospect::Ignored,
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
