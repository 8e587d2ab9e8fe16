//! Asking about what an index does not show, before its absence counts for anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::estate::Estate;
use crate::inventory::Coverage;
use crate::model::{Account, EdgeId, Key, Kind, Receipts, RelationType, Scope, SourceName};
use crate::source::{Presence, Pull, Remark, STATE, Source};
use dewpoint_core::source::facts::from_neighbours;

use super::Context;

/// Looks up what the ledger knows alive and a source that lists late ([`Source::lists_late`]) does not show. What is there is taken into the pull as it looks,
/// with all that was not asked for as unread; what cannot be asked about leaves its scope incomplete. Only what is gone stays absent. What was confirmed as
/// gone before is not asked about again: its retirement is looked up by itself.
pub(super) async fn confirm_absences(
    context: &Context<'_>,
    sources: &[Box<dyn Source>],
    estate: &Estate,
    coverage: &Coverage,
    pull: &mut Pull,
) {
    for source in sources.iter().filter(|source| source.lists_late() && coverage.sources.contains_key(source.name())) {
        // Places are there for as long as something lies in them, which is known only once the rest is.
        let (places, absent): (BTreeMap<_, _>, BTreeMap<_, _>) =
            absent(estate, pull, source.name()).into_iter().partition(|(_, (kind, _))| matches!(kind, Kind::Region | Kind::Zone));
        if absent.is_empty() {
            continue;
        }
        let keys: Vec<(Key, Kind)> = absent.iter().map(|(key, (kind, _))| (key.clone(), *kind)).collect();
        let mut tally = Tally::default();
        // What is there, or may be: the index told nothing of it to anybody.
        let mut untold = BTreeSet::new();
        let mut doubts: BTreeMap<Scope, Vec<String>> = BTreeMap::new();
        let mut answers = source.look_up(&keys, context.meter).await;
        for (key, (_, scope)) in absent {
            match answers.remove(&key) {
                Some(Ok(Presence::Gone)) => tally.gone += 1,
                Some(Ok(Presence::Present(resource))) => {
                    tally.there += 1;
                    take(estate, pull, &key, *resource);
                    untold.insert(key);
                }
                answer => {
                    tally.unknown += 1;
                    let error = answer.and_then(Result::err).map_or_else(|| "no answer came".to_owned(), |error| error.to_string());
                    doubts.entry(scope).or_default().push(format!("{key}: {error}"));
                    untold.insert(key);
                }
            }
        }
        for (scope, unknown) in doubts {
            let Some(first) = unknown.first() else { continue };
            let count = unknown.len();
            let why = format!(
                "its index does not show {count} known resources, and whether these are gone could not be asked; the first: {first}"
            );
            pull.receipts.doubt(&scope, &why);
        }
        let accounts: BTreeSet<&Account> =
            untold.iter().filter_map(|key| estate.resources.get(key)).map(|known| &known.resource.account).collect();
        for key in places.into_keys() {
            if let Some(known) = estate.resources.get(&key).filter(|known| accounts.contains(&known.resource.account)) {
                pull.resources.insert(key.clone(), Arc::clone(&known.resource));
                untold.insert(key);
            }
        }
        keep_around(estate, pull, &untold);
        let Tally { there, gone, unknown } = tally;
        let text = format!(
            "{} known resources are not in its index: {there} are there all the same, {gone} are gone, {unknown} not known",
            keys.len()
        );
        pull.remarks.push(Remark { subject: source.name().to_string(), text });
    }
}

#[derive(Default)]
struct Tally {
    there: usize,
    gone: usize,
    unknown: usize,
}

/// What is known alive, was there in the last listing, and is absent from a complete one of this source: by key, with the scope that says so.
fn absent(estate: &Estate, pull: &Pull, source: &SourceName) -> BTreeMap<Key, (Kind, Scope)> {
    let is_due = |key: &Key| !pull.resources.contains_key(key);
    let scope_of = |scope: &Scope, receipts: &Receipts| {
        let (covering, receipt) = receipts.covering(scope)?;
        (receipt.is_complete() && receipt.source == *source).then(|| covering.clone())
    };
    let known = estate
        .resources
        .iter()
        .filter(|(key, known)| !known.resource.derived && !known.is_ended() && known.missing == 0 && !known.recovered && is_due(key));
    known
        .filter_map(|(key, known)| Some((key.clone(), (known.resource.kind, scope_of(&known.resource.scope(), &pull.receipts)?))))
        .collect()
}

/// Takes a resource in that was looked up: what it was not asked for stays as it is known.
fn take(estate: &Estate, pull: &mut Pull, key: &Key, resource: crate::model::Resource) {
    let mut unread: BTreeSet<String> = BTreeSet::from([STATE.to_owned()]);
    if let Some(known) = estate.resources.get(key) {
        unread.extend(known.resource.attributes.keys().cloned());
    }
    pull.unread.entry(key.clone()).or_default().extend(unread);
    pull.resources.insert(key.clone(), Arc::new(resource));
}

/// Keeps what the index would have told of others out of what it left out: edges, and what a listing has from its neighbours' listings. What was read is
/// taken all the same; only what it lacks stays.
fn keep_around(estate: &Estate, pull: &mut Pull, untold: &BTreeSet<Key>) {
    let around = around(estate, untold);
    for id in estate.edges.keys().filter(|id| around.contains(&id.from) || around.contains(&id.to)) {
        pull.unread_edges.entry(id.proving_end().clone()).or_default().insert(id.relation);
    }
    for key in around.difference(untold) {
        let (Some(resource), Some(known)) = (pull.resources.get_mut(key), estate.resources.get(key)) else { continue };
        for name in from_neighbours(known.resource.kind) {
            let Some(before) = known.resource.attributes.get(*name) else { continue };
            match resource.attributes.get(*name).map(|read| both(before, read)) {
                None => {
                    pull.unread.entry(key.clone()).or_default().insert((*name).to_owned());
                }
                Some(Some(both)) => {
                    Arc::make_mut(resource).attributes.insert((*name).to_owned(), both);
                }
                Some(None) => {}
            }
        }
    }
}

/// Whoever has facts by way of what is not told. A machine has its addresses from its interfaces, and those have theirs from public addresses, so that two
/// steps are taken, along the edges that facts come by; what lies in a resource group has only its manager from it.
fn around(estate: &Estate, untold: &BTreeSet<Key>) -> BTreeSet<Key> {
    let mut around = untold.clone();
    for step in 0..2 {
        let is_way = |id: &EdgeId| match id.relation {
            RelationType::AttachedTo | RelationType::RoutesTo | RelationType::MemberOf => {
                around.contains(&id.from) || around.contains(&id.to)
            }
            RelationType::Contains => step == 0 && untold.contains(&id.from),
            _ => false,
        };
        let next: Vec<Key> = estate.edges.keys().filter(|id| is_way(id)).flat_map(|id| [id.from.clone(), id.to.clone()]).collect();
        around.extend(next);
    }
    around
}

/// What is known and what was read, where the latter may lack something: of lists all that is in either, of counts the greater. `None` where what was read
/// stands as it is.
fn both(known: &Value, read: &Value) -> Option<Value> {
    match (known, read) {
        (Value::Array(known), Value::Array(read)) => {
            let texts = |list: &[Value]| list.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>();
            let both: BTreeSet<String> = texts(known).into_iter().chain(texts(read)).collect();
            Some(Value::Array(both.into_iter().map(Value::String).collect()))
        }
        (Value::Number(before), Value::Number(now)) => (before.as_u64() > now.as_u64()).then(|| known.clone()),
        _ => None,
    }
}
