//! The estate as the ledger knows it, written for other tools (JSON, a valid `file` source) and for people (CSV).
//!
//! # The inventory file
//!
//! One JSON object: `schema_version` (1), `taken_at` (RFC 3339), `receipts`, `resources` and `relations` (lists). It is a promise, versioned;
//! [`crate::source::file`] reads it. The export puts each entry on a line of its own and sorts: receipts by scope, resources by key, relations by
//! `from`, `type` and `to`. Reading an export and exporting again with the same `taken_at` gives the same bytes.
//!
//! What is written is what the ledger last saw exist. A resource that is absent from the latest listing of its scope (`missing`) is left out, so
//! that the file proves the same absence; so is one that was found gone, or that entered by recovery and was never listed. A retired one is
//! written where it is still listed: `terminated`, or no longer wanted by the rules. An edge goes with the end whose listing proves it. What
//! Dewpoint derived (fleets, services and their edges) is marked `derived`, and a reader derives it anew.
//!
//! The latest receipt of each scope is written with its outcome, `skipped` and `orphaned` ones too. A complete one carries `count`: the number of
//! resources that are written for it. A file's receipts may not overlap: where a scope's source went over from one listing per region to one over
//! all of them, or back, the ledger holds both, and the one is written that is not orphaned, or else was read last.

mod csv;
mod json;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeMap;

pub use self::csv::write_csv;
pub use self::json::write_json;
use crate::estate::{EndCause, Estate, Known, KnownEdge, Stage};
use crate::model::{EdgeId, Outcome, Receipts, Scope};

/// Whether the ledger last saw it exist.
fn exists(known: &Known) -> bool {
    let gone = known
        .end
        .as_ref()
        .is_some_and(|end| matches!(end.cause, EndCause::Absent | EndCause::LookedUp | EndCause::AccountClosed | EndCause::Disowned));
    known.missing == 0 && known.stage != Stage::Missing && !gone && !known.recovered
}

/// The edges whose proving end is written, or unknown to the ledger.
fn edges(estate: &Estate) -> impl Iterator<Item = (&EdgeId, &KnownEdge)> {
    estate.edges.iter().filter(|(id, _)| estate.resources.get(id.proving_end()).is_none_or(exists))
}

/// The latest receipts, without those that another one overlaps.
fn receipts(estate: &Estate) -> Receipts {
    let mut scopes: Vec<_> = estate.scopes.iter().collect();
    scopes.sort_by_key(|(scope, known)| (known.receipt.outcome == Outcome::Orphaned, Reverse(known.fence), *scope));
    let mut receipts = Receipts::default();
    for (scope, known) in scopes {
        if receipts.add(scope.clone(), known.receipt.clone()).is_err() {
            tracing::debug!(%scope, "Left a receipt out of the export that another one overlaps");
        }
    }
    receipts
}

/// Resources that are written, by the receipt that covers them.
fn rows(estate: &Estate, receipts: &Receipts) -> BTreeMap<Scope, u64> {
    let mut rows = BTreeMap::new();
    for known in estate.resources.values().filter(|known| exists(known) && !known.resource.derived) {
        if let Some((scope, _)) = receipts.covering(&known.resource.scope()) {
            match rows.get_mut(scope) {
                Some(count) => *count += 1,
                None => drop(rows.insert(scope.clone(), 1)),
            }
        }
    }
    rows
}
