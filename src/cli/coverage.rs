//! `dewpoint coverage`.

use serde_json::json;

use super::args::CoverageCommand;
use super::output::CommandError;
use super::{App, alone, ledger_error, table};
use crate::estate::KnownScope;
use crate::model::{Outcome, Scope};
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
                self.output.answer(&json!({ "receipts": receipts }), || show_text(scopes.iter()))
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
                        .filter(|(scope, known)| fits(scope) && if undo { known.accepted.is_some() } else { is_gap(known) })
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

/// A receipt that ends a sync with 3 unless it is accepted.
pub(crate) fn is_gap(known: &KnownScope) -> bool {
    matches!(known.receipt.outcome, Outcome::Denied | Outcome::Throttled | Outcome::Truncated | Outcome::Failed)
}

fn show_text<'a>(scopes: impl Iterator<Item = (&'a Scope, &'a KnownScope)>) -> String {
    let mut rows = vec![["SOURCE", "PROVIDER", "ACCOUNT", "REGION", "KIND", "OUTCOME", "COUNT", "AT", "ERROR"].map(str::to_owned).to_vec()];
    for (scope, known) in scopes {
        let accepted = if known.accepted == Some(known.receipt.outcome) { " (accepted)" } else { "" };
        rows.push(vec![
            known.receipt.source.to_string(),
            scope.provider.to_string(),
            scope.account.to_string(),
            scope.region.to_string(),
            scope.kind.to_string(),
            format!("{}{accepted}", known.receipt.outcome),
            known.receipt.count.map(|count| count.to_string()).unwrap_or_default(),
            told::time(known.at).to_string(),
            known.receipt.error.as_deref().map(|error| told::printable(error).into_owned()).unwrap_or_default(),
        ]);
    }
    if rows.len() == 1 { "nothing was listed yet".to_owned() } else { table(&rows) }
}
