//! `dewpoint coverage`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::json;

use super::args::CoverageCommand;
use super::output::CommandError;
use super::{App, alone, ledger_error, table};
use crate::estate::KnownScope;
use crate::model::{Account, Kind, Outcome, Provider, Region, Scope, SourceName};
use crate::run::gaps::{self, Weight, is_gap};
use crate::run::report::ReceiptDocument;
use crate::told;

impl App {
    /// Shows the last receipts, or accepts the gaps among them.
    pub(super) async fn coverage(&self, command: CoverageCommand) -> Result<(), CommandError> {
        match command {
            CoverageCommand::Show => {
                let (_, ledger) = self.reading().await?;
                let scopes = ledger.load_estate().await.map_err(ledger_error)?.estate.scopes;
                let receipts: Vec<ReceiptDocument> = scopes.iter().map(|(scope, known)| ReceiptDocument::of_known(scope, known)).collect();
                self.output.answer(&json!({ "receipts": receipts }), || show_text(scopes.iter(), self.output.verbose > 0))
            }
            CoverageCommand::Accept { account, region, kind, undo } => {
                let (_, ledger) = self.writing().await?;
                let fits = |scope: &Scope| {
                    account.as_deref().is_none_or(|account| scope.account.as_str() == account)
                        && region.as_deref().is_none_or(|region| scope.region.as_str() == region)
                        && kind.is_none_or(|kind| scope.kind == kind)
                };
                let gaps = alone(&ledger, async {
                    let scopes = ledger.load_estate().await?.estate.scopes;
                    let gaps: Vec<(Scope, Option<Outcome>)> = scopes
                        .into_iter()
                        .filter(|(scope, known)| fits(scope) && if undo { known.accepted.is_some() } else { is_gap(known.receipt.outcome) })
                        .map(|(scope, known)| (scope, (!undo).then_some(known.receipt.outcome)))
                        .collect();
                    ledger.accept_scopes(&gaps).await?;
                    Ok(gaps)
                });
                let gaps = Box::pin(gaps).await?;
                let accepted: Vec<&Scope> = gaps.iter().map(|(scope, _)| scope).collect();
                self.output.answer(&json!({ "accepted": !undo, "scopes": accepted }), || match (accepted.len(), undo) {
                    (0, _) => "no scope fits: nothing to do".to_owned(),
                    (n, false) => format!(
                        "accepted {}: the CIs there stay frozen, and a sync no longer ends with 3 for it",
                        told::count(n, "gap", "gaps")
                    ),
                    (n, true) => format!("took back {}", told::count(n, "acceptance", "acceptances")),
                })
            }
        }
    }
}

/// What scopes share that have one row of the table, in the order of the rows. Only what is complete has its own row for each kind: its
/// count says something.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Row<'a> {
    weight: Weight,
    outcome: Outcome,
    provider: Provider,
    account: &'a Account,
    region: &'a Region,
    complete: Option<Kind>,
    source: &'a SourceName,
    at: Timestamp,
    error: Option<&'a str>,
}

fn show_text<'a>(scopes: impl Iterator<Item = (&'a Scope, &'a KnownScope)>, verbose: bool) -> String {
    let mut folded: BTreeMap<Row<'_>, (BTreeSet<Kind>, Option<u64>)> = BTreeMap::new();
    for (scope, known) in scopes {
        let receipt = &known.receipt;
        let row = Row {
            weight: Weight::of(receipt.outcome, known.accepted == Some(receipt.outcome)),
            outcome: receipt.outcome,
            provider: scope.provider,
            account: &scope.account,
            region: &scope.region,
            complete: (receipt.outcome == Outcome::Complete).then_some(scope.kind),
            source: &receipt.source,
            at: known.at,
            error: receipt.error.as_deref(),
        };
        let (kinds, count) = folded.entry(row).or_default();
        kinds.insert(scope.kind);
        *count = receipt.count.map(|own| count.unwrap_or_default().saturating_add(own)).or(*count);
    }
    if folded.is_empty() {
        return "nothing was listed yet".to_owned();
    }
    let mut rows = vec![["SOURCE", "PROVIDER", "ACCOUNT", "REGION", "KIND", "OUTCOME", "COUNT", "AT", "ERROR"].map(str::to_owned).to_vec()];
    rows.extend(folded.into_iter().map(|(row, (of, count))| {
        let accepted = if row.weight == Weight::Accepted { " (accepted)" } else { "" };
        vec![
            row.source.to_string(),
            row.provider.to_string(),
            row.account.to_string(),
            row.region.to_string(),
            gaps::kinds(&of, verbose),
            format!("{}{accepted}", row.outcome),
            count.map(|count| count.to_string()).unwrap_or_default(),
            told::time(row.at).to_string(),
            row.error.map(|error| told::printable(error).into_owned()).unwrap_or_default(),
        ]
    }));
    table(&rows)
}
