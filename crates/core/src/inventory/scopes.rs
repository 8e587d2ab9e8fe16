//! Receipts into the ledger's scopes, and the scopes that this run did not list.

use std::collections::BTreeMap;

use super::gather::SourceCoverage;
use super::observe::Observing;
use crate::estate::{Dirty, Fence, KnownScope, last_listed};
use crate::model::{Account, Outcome, Receipt, Receipts, Region, Scope, SourceName};

/// Takes the receipts of a pull, judges known scopes without one, and returns how every scope ended in this run. A scope that takes
/// another's place is as emptied as that was; what the listings show is for [`super::emptied`] to take.
pub(super) fn take_receipts(
    scopes: &mut BTreeMap<Scope, KnownScope>,
    dirty: &mut Dirty,
    receipts: &Receipts,
    off: &BTreeMap<(Account, Region), String>,
    observing: &Observing<'_>,
) -> BTreeMap<Scope, Receipt> {
    let sources = observing.coverage.by_scope();
    let mut run = BTreeMap::new();
    for (scope, receipt) in receipts.iter() {
        let source = sources.get(scope).map_or(&receipt.source, |name| *name);
        let before = scopes.get(scope);
        let was_emptied = last_listed(scopes, scope).is_some_and(|(_, known)| known.emptied);
        let after = listed(before, receipt, source, was_emptied, observing);
        if before != Some(&after) {
            scopes.insert(scope.clone(), after);
            dirty.scopes.insert(scope.clone());
        }
        run.insert(scope.clone(), receipt.clone());
    }

    let mut covered_widely = Vec::new();
    let mut given_way = Vec::new();
    for (scope, known) in scopes.iter_mut() {
        if run.contains_key(scope) {
            continue;
        }
        if is_replaced(scope, known, receipts) && known.fence <= observing.fence {
            given_way.push(scope.clone());
            continue;
        }
        let receipt = match receipts.covering(scope) {
            // The listing over all regions proves as much; the row of the one region would only hide it.
            Some((covering, wide)) if wide.is_complete() => {
                if known.fence <= observing.fence && known.complete_fence <= observing.fence {
                    covered_widely.push((scope.clone(), known.emptied.then(|| covering.clone())));
                }
                continue;
            }
            Some((_, wide)) => wide.clone(),
            None => match off.get(&(scope.account.clone(), scope.region.clone())) {
                Some(why) => without_listing(known, Outcome::Disabled, Some(why.clone())),
                None => unlisted(known, observing),
            },
        };
        let before = known.clone();
        if known.fence <= observing.fence {
            known.receipt = receipt.clone();
            known.fence = observing.fence;
            known.at = observing.at;
        }
        if *known != before {
            dirty.scopes.insert(scope.clone());
        }
        run.insert(scope.clone(), receipt);
    }
    for (scope, emptied_in) in covered_widely {
        scopes.remove(&scope);
        dirty.scopes.insert(scope);
        if let Some(wide) = emptied_in.as_ref().and_then(|wide| scopes.get_mut(wide)) {
            wide.emptied = true;
        }
        dirty.scopes.extend(emptied_in);
    }
    for scope in given_way {
        scopes.remove(&scope);
        dirty.scopes.insert(scope);
    }
    run
}

/// Whether a row over all regions only says that an account could not be read, and this pull reads its regions one by one. It never listed
/// anything, so nothing belongs to it.
fn is_replaced(scope: &Scope, known: &KnownScope, receipts: &Receipts) -> bool {
    let in_region = |other: &Scope| Scope { region: scope.region.clone(), ..other.clone() } == *scope;
    scope.region.is_any() && known.complete_at.is_none() && receipts.iter().any(|(other, _)| in_region(other))
}

fn listed(before: Option<&KnownScope>, receipt: &Receipt, source: &SourceName, was_emptied: bool, observing: &Observing<'_>) -> KnownScope {
    let mut known = before.cloned().unwrap_or_else(|| KnownScope {
        receipt: receipt.clone(),
        source: source.clone(),
        fence: observing.fence,
        at: observing.at,
        complete_at: None,
        complete_fence: Fence::default(),
        accepted: None,
        retire: false,
        emptied: false,
    });
    if known.fence <= observing.fence {
        known.receipt = receipt.clone();
        known.source = source.clone();
        known.fence = observing.fence;
        known.at = observing.at;
        known.retire = false;
        if receipt.is_complete() {
            known.accepted = None;
        }
    }
    // Apart from the receipt: a complete listing stays evidence under its own fence, even if a later one failed.
    if receipt.is_complete() && known.complete_fence <= observing.fence {
        known.emptied = was_emptied;
        known.complete_at = Some(observing.at);
        known.complete_fence = observing.fence;
    }
    known
}

/// The receipt of a known scope that this pull gave none for.
fn unlisted(known: &KnownScope, observing: &Observing<'_>) -> Receipt {
    let (outcome, error) = match observing.coverage.sources.get(&known.source) {
        Some(SourceCoverage::Skipped) => (Outcome::Skipped, None),
        Some(SourceCoverage::Failed { outcome, error }) => (*outcome, Some(error.clone())),
        Some(SourceCoverage::Read { exhaustive: false, .. }) => {
            (Outcome::Failed, Some("its source could not tell all its accounts and regions".to_owned()))
        }
        _ if observing.coverage.is_exhaustive() => (Outcome::Orphaned, None),
        _ => (Outcome::Skipped, Some("no source listed it, but not every source told all its accounts and regions".to_owned())),
    };
    without_listing(known, outcome, error)
}

fn without_listing(known: &KnownScope, outcome: Outcome, error: Option<String>) -> Receipt {
    Receipt { source: known.receipt.source.clone(), outcome, count: None, error, extra: known.receipt.extra.clone() }
}
