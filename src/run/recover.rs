//! Records that the ledger has lost sight of: found at a target, shown by no listing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Map;

use crate::estate::{Disposition, End, EndCause, Known, KnownEdge, Stage};
use crate::inventory;
use crate::model::{EdgeId, Key, Kind, Resource};
use crate::target::FoundRecord;

use super::Stand;
use super::stand::Standing;

/// Enters what a recovering target holds and no listing shows: as missing, counted from now on, so that it retires by the usual timers
/// and never at once. What is retired wherever it is found had ended before.
pub(super) fn enter_unknown(stand: &mut Stand, standings: &[Standing<'_>], at: Timestamp) {
    let mut unknown = BTreeMap::new();
    for standing in standings.iter().filter(|standing| standing.ready.recovering) {
        for (key, record) in standing.ready.found.iter().flatten().filter(|(key, _)| !stand.estate.resources.contains_key(*key)) {
            let entry = unknown.entry(key).or_insert((record, false));
            entry.1 |= !record.retired;
        }
    }
    let mut entered = Vec::with_capacity(unknown.len());
    for (key, (record, is_live)) in unknown {
        let Some(resource) = resource(key, record) else { continue };
        let new = Known { disposition: Disposition::Record, ..Known::new(resource, at, stand.fence) };
        entered.push(if is_live {
            Known { recovered: true, ..new }
        } else {
            Known { missing: 1, stage: Stage::Retired, end: Some(End { at, cause: EndCause::Absent }), ..new }
        });
    }
    for known in entered {
        stand.estate.dirty.resources.insert(known.resource.key.clone());
        stand.estate.resources.insert(known.resource.key.clone(), known);
    }
    keep_recorded(stand, standings, at);
}

/// What a recovering target holds a live record of was old enough for one: it is not deferred again, and ends like all that have a record,
/// after a look-up.
fn keep_recorded(stand: &mut Stand, standings: &[Standing<'_>], at: Timestamp) {
    let recovering = standings.iter().filter(|standing| standing.ready.recovering);
    for (key, _) in recovering.flat_map(|standing| standing.ready.found.iter().flatten()).filter(|(_, record)| !record.retired) {
        if let Some(known) = stand.estate.resources.get_mut(key)
            && known.disposition == Disposition::Defer
            && known.end.is_none()
        {
            known.disposition = Disposition::Record;
            known.disposition_since = at;
            stand.estate.dirty.resources.insert(key.clone());
        }
    }
}

/// What an old ledger knows of resources that this run's reading does not show is as old as the ledger: they are missing from now on, not
/// since then, until a listing shows them or proves that they are gone; and nothing is written, made or revived until one shows them.
///
/// Where people asked for the recovery of a target and the ledger is none the older, that is said of those only which the target shows as
/// retired and the ledger does not know to be.
pub(super) fn doubt_unseen(stand: &mut Stand, standings: &[Standing<'_>], at: Timestamp) {
    let nothing = BTreeMap::new();
    // Whether some target shows it live.
    let mut doubtful: BTreeMap<&Key, bool> = BTreeMap::new();
    for ready in standings.iter().map(|standing| &standing.ready).filter(|ready| ready.recovering) {
        let (found, rows) = (ready.found.as_ref().unwrap_or(&nothing), &ready.state.records);
        let is_news = |key: &Key| rows.get(key).is_none_or(|row| row.retired_at.is_none());
        for (key, record) in found.iter().filter(|(key, record)| ready.is_ledger_old || (record.retired && is_news(key))) {
            *doubtful.entry(key).or_default() |= !record.retired;
        }
        for key in rows.keys().filter(|_| ready.is_ledger_old) {
            doubtful.entry(key).or_default();
        }
    }
    let unseen: Vec<(&Key, bool)> = doubtful.into_iter().filter(|(key, _)| !is_seen(stand, key)).collect();
    for (key, is_live) in unseen {
        let Some(known) = stand.estate.resources.get_mut(key) else { continue };
        // An end that the ledger knows of may have been taken back since, where a record says so.
        if known.end.is_some() && !is_live {
            continue;
        }
        known.end = None;
        known.recovered = true;
        known.missing = 0;
        known.last_seen = known.last_seen.max(at);
        if is_live && known.disposition == Disposition::Defer {
            known.disposition = Disposition::Record;
        }
        stand.estate.dirty.resources.insert(key.clone());
    }
}

/// Enters the edges that a recovering target shows, and whose absence this run's reading does not prove: as last known, so that they go
/// when a complete listing does not show them. Of all others the estate knows already whether they are wanted.
pub(super) fn enter_edges(stand: &mut Stand, standings: &[Standing<'_>]) {
    let mut entered = Vec::new();
    for standing in standings.iter().filter(|standing| standing.ready.recovering) {
        for (from, edges) in standing.ready.found.iter().flatten().filter_map(|(key, record)| Some((key, record.edges.as_ref()?))) {
            for ((relation, to), attributes) in edges {
                let id = EdgeId { from: from.clone(), relation: *relation, to: to.clone() };
                if !stand.estate.edges.contains_key(&id) && is_open(stand, &id) {
                    let (derived, extra) = (from.is_derived() || to.is_derived(), Map::new());
                    entered
                        .push((id, KnownEdge { attributes: attributes.clone().unwrap_or_default(), derived, extra, fence: stand.fence }));
                }
            }
        }
    }
    stand.estate.dirty.edges.extend(entered.iter().map(|(id, _)| id.clone()));
    stand.estate.edges.extend(entered);
}

/// Whether an edge that the estate does not have may be there: both ends may live, and the end that proves it was not shown by a complete
/// listing. A service's edges are proven by its members.
fn is_open(stand: &Stand, id: &EdgeId) -> bool {
    let known = |key: &Key| stand.estate.resources.get(key).filter(|known| !known.is_ended());
    let proving = if id.from.is_derived() { &id.to } else { id.proving_end() };
    let (Some(_), Some(_), Some(end)) = (known(&id.from), known(&id.to), known(proving)) else { return false };
    let scope = if end.resource.kind == Kind::ScalingGroup { inventory::members_scope(&end.resource) } else { end.resource.scope() };
    let is_complete = stand.estate.covering(&scope).is_some_and(|(_, scope)| scope.receipt.is_complete());
    !(is_complete && is_shown(stand, end))
}

fn is_shown(stand: &Stand, known: &Known) -> bool {
    known.fence >= stand.fence && known.missing == 0
}

/// Whether this run's reading showed a resource: of what is derived, a member.
fn is_seen(stand: &Stand, key: &Key) -> bool {
    let is_seen = |key: &Key| stand.estate.resources.get(key).is_some_and(|known| is_shown(stand, known));
    if !key.is_derived() {
        return is_seen(key);
    }
    let members = inventory::last_members(&stand.estate.resources, &stand.estate.edges, &BTreeSet::from([key]));
    members.values().flatten().any(|(member, _)| is_seen(member))
}

/// What a record tells of the resource it stands for; `None` where it does not say what it is.
fn resource(key: &Key, record: &FoundRecord) -> Option<Resource> {
    let stub = record.subject.clone()?;
    Some(Resource {
        key: key.clone(),
        kind: stub.kind,
        provider: key.provider(),
        native_id: stub.native_id,
        account: stub.account,
        region: stub.region,
        name: stub.name,
        state: None,
        tags: BTreeMap::new(),
        created_at: None,
        observed_at: None,
        attributes: BTreeMap::new(),
        derived: key.is_derived(),
        extra: Map::new(),
    })
}
