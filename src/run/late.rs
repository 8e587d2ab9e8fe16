//! Asking about what an index does not show, before its absence counts for anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::estate::Estate;
use crate::inventory::Coverage;
use crate::model::{Key, Kind, Receipts, RelationType, Scope, SourceName};
use crate::source::{Presence, Pull, Remark, STATE, Source};

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
        let absent = absent(estate, pull, source.name());
        if absent.is_empty() {
            continue;
        }
        let keys: Vec<(Key, Kind)> = absent.iter().map(|(key, (kind, _))| (key.clone(), *kind)).collect();
        let mut tally = Tally::default();
        let mut there = BTreeSet::new();
        for (key, answer) in source.look_up(&keys, context.meter).await {
            match answer {
                Ok(Presence::Gone) => tally.gone += 1,
                Ok(Presence::Present(resource)) => {
                    tally.there += 1;
                    take(estate, pull, &key, *resource);
                    there.insert(key);
                }
                Err(error) => {
                    tally.unknown += 1;
                    if let Some((_, scope)) = absent.get(&key) {
                        let why = format!("its index does not show {key}, and whether that is gone could not be asked: {error}");
                        pull.receipts.doubt(scope, &why);
                    }
                }
            }
        }
        keep_edges(estate, pull, &there);
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

/// Keeps the edges of what was looked up: none of them was asked for.
fn keep_edges(estate: &Estate, pull: &mut Pull, there: &BTreeSet<Key>) {
    if there.is_empty() {
        return;
    }
    let touched = estate.edges.keys().filter(|id| there.contains(&id.from) || there.contains(&id.to));
    let unread: Vec<(Key, RelationType)> = touched.map(|id| (id.proving_end().clone(), id.relation)).collect();
    for (end, relation) in unread {
        pull.unread_edges.entry(end).or_default().insert(relation);
    }
}
