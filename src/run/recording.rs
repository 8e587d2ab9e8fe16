//! What the ledger remembers of past runs, for `dewpoint rules backtest`.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::RunError;
use super::report::ReceiptDocument;
use crate::backtest::{Recording, Turn};
use crate::ledger::{Ledger, LedgerError, RunId};
use crate::model::{Receipt, Receipts, Scope};

/// How often a sync may get in between before this gives up.
const TRIES: usize = 5;

/// The clouds as they looked from the first run at or after `since` on.
///
/// # Errors
/// When the ledger fails, or syncs never leave it alone.
pub async fn recording(ledger: &dyn Ledger, since: Timestamp) -> Result<Recording, RunError> {
    for _ in 0..TRIES {
        let loaded = ledger.load_estate().await?;
        let mut turns = Turns::default();
        ledger.reports(since, &mut |row| turns.begin(row.run, row.started_at, row.report)).await?;
        let version = ledger.journal(since, &mut |run, entry| turns.write(run, entry)).await?;
        if version == loaded.version {
            return Ok(Recording::rewind(&loaded.estate, turns.finish()));
        }
    }
    Err(RunError::Ledger(LedgerError::Conflict))
}

/// Runs in the making, in the order in which they began.
#[derive(Default)]
struct Turns {
    turns: Vec<Turn>,
    by_run: HashMap<RunId, usize>,
    /// Entries of runs that the ledger has forgotten: they come before all others.
    forgotten: Vec<Turn>,
    last: Option<Arc<Receipts>>,
}

impl Turns {
    fn begin(&mut self, run: RunId, at: Timestamp, report: Option<Value>) {
        let receipts = report.and_then(receipts).map(|receipts| match &self.last {
            // Mostly the same scopes end the same way: held once.
            Some(last) if **last == receipts => Arc::clone(last),
            _ => Arc::new(receipts),
        });
        if receipts.is_some() {
            self.last.clone_from(&receipts);
        }
        self.by_run.insert(run, self.turns.len());
        self.turns.push(Turn { at, receipts, entries: Vec::new() });
    }

    fn write(&mut self, run: Option<RunId>, entry: crate::estate::JournalEntry) {
        let known = run.and_then(|run| self.by_run.get(&run)).and_then(|index| self.turns.get_mut(*index));
        let turn = match known {
            Some(turn) => turn,
            None => {
                if self.forgotten.last().is_none_or(|turn| turn.at != entry.at) {
                    self.forgotten.push(Turn { at: entry.at, receipts: None, entries: Vec::new() });
                }
                let Some(turn) = self.forgotten.last_mut() else { return };
                turn
            }
        };
        // An applied plan goes by the plan's clock.
        turn.at = entry.at;
        turn.entries.push(entry);
    }

    fn finish(self) -> Vec<Turn> {
        let mut turns = self.forgotten;
        // What failed before it concluded anything, or is still at work, showed nothing.
        turns.extend(self.turns.into_iter().filter(|turn| turn.receipts.is_some() || !turn.entries.is_empty()));
        turns
    }
}

/// How the scopes of a run ended, as its report tells; `None` where nothing was listed.
fn receipts(mut report: Value) -> Option<Receipts> {
    let documents: Vec<ReceiptDocument> = serde_json::from_value(report.get_mut("receipts")?.take()).ok()?;
    let mut receipts = Receipts::default();
    for ReceiptDocument { source, provider, account, region, kind, outcome, count: _, error: _, accepted: _ } in documents {
        let receipt = Receipt { source, outcome, count: None, error: None, extra: serde_json::Map::new() };
        // What a listing over all regions covers stands in the report once more.
        let _ = receipts.add(Scope { provider, account, region, kind }, receipt);
    }
    (!receipts.is_empty()).then_some(receipts)
}
