//! `dewpoint scopes`.

use std::collections::BTreeMap;

use serde_json::json;

use super::args::ScopesCommand;
use super::output::CommandError;
use super::{App, alone, ledger_error, table};
use crate::estate::{Estate, KnownScope, Stage};
use crate::model::{Outcome, Scope};
use crate::run::report::ReceiptDocument;
use crate::told;

impl App {
    /// Lists scopes with what they hold, or asks to retire what an orphaned one holds.
    pub(super) async fn scopes(&self, command: ScopesCommand) -> Result<(), CommandError> {
        match command {
            ScopesCommand::List => {
                let (_, ledger) = self.reading().await?;
                let estate = ledger.load_estate().await.map_err(ledger_error)?.estate;
                let live = live_by_scope(&estate);
                let scopes: Vec<_> = estate
                    .scopes
                    .iter()
                    .map(|(scope, known)| {
                        let mut line = serde_json::to_value(ReceiptDocument::of_known(scope, known)).unwrap_or_default();
                        if let Some(fields) = line.as_object_mut() {
                            fields.insert("live".to_owned(), json!(live.get(scope).copied().unwrap_or_default()));
                            fields.insert("complete_at".to_owned(), json!(known.complete_at));
                            fields.insert("retire".to_owned(), json!(known.retire));
                        }
                        line
                    })
                    .collect();
                self.output.answer(&json!({ "scopes": scopes }), || list_text(&estate, &live))
            }
            ScopesCommand::Retire { account, region, kind } => {
                let (_, ledger) = self.writing().await?;
                let fits = |scope: &Scope| {
                    scope.account.as_str() == account
                        && region.as_deref().is_none_or(|region| scope.region.as_str() == region)
                        && kind.is_none_or(|kind| scope.kind == kind)
                };
                let orphaned = alone(&ledger, async {
                    let estate = ledger.load_estate().await?.estate;
                    let orphaned = orphaned(estate.scopes.iter().filter(|(scope, _)| fits(scope)), &account);
                    let is_asked = |scope: &Scope| estate.scopes.get(scope).is_some_and(|known| known.retire);
                    let split = orphaned.map(|orphaned| orphaned.into_iter().partition::<Vec<_>, _>(is_asked));
                    if let Ok((_, new)) = &split
                        && !new.is_empty()
                    {
                        ledger.retire_scopes(new).await?;
                    }
                    Ok(split)
                });
                let (already, new) = Box::pin(orphaned).await??;
                let mut scopes: Vec<&Scope> = already.iter().chain(&new).collect();
                scopes.sort();
                self.output.answer(&json!({ "scopes": scopes, "already": already }), || {
                    let count = |scopes: &[Scope]| told::count(scopes.len(), "scope", "scopes");
                    let mut lines = Vec::new();
                    if !new.is_empty() {
                        lines.push(format!("the next sync proposes to retire what {} held, and holds it until you approve", count(&new)));
                    }
                    if !already.is_empty() {
                        let held = count(&already);
                        lines.push(format!(
                            "of {held} it was asked before and stands: `dewpoint holds list` shows what a sync has made of it"
                        ));
                    }
                    lines.join("\n")
                })
            }
        }
    }
}

/// The orphaned ones of the scopes that people named.
fn orphaned<'a>(fitting: impl Iterator<Item = (&'a Scope, &'a KnownScope)>, account: &str) -> Result<Vec<Scope>, CommandError> {
    let fitting: Vec<_> = fitting.collect();
    if fitting.is_empty() {
        return Err(CommandError::usage(format!("no scope of account `{account}` fits")).hint("`dewpoint scopes list` shows them"));
    }
    let is_orphaned = |known: &KnownScope| known.receipt.outcome == Outcome::Orphaned;
    let orphaned: Vec<Scope> = fitting.into_iter().filter(|(_, known)| is_orphaned(known)).map(|(scope, _)| scope.clone()).collect();
    if orphaned.is_empty() {
        return Err(CommandError::usage("a source still covers these scopes: what is gone there is retired by itself")
            .hint("only orphaned scopes can be retired; `dewpoint scopes list` shows which are"));
    }
    Ok(orphaned)
}

fn live_by_scope(estate: &Estate) -> BTreeMap<Scope, u64> {
    let mut live: BTreeMap<Scope, u64> = BTreeMap::new();
    for known in estate.resources.values().filter(|known| !matches!(known.stage, Stage::Retired | Stage::Purged)) {
        let own = known.resource.scope();
        let scope = if estate.scopes.contains_key(&own) { own } else { Scope { region: crate::model::Region::any(), ..own } };
        *live.entry(scope).or_default() += 1;
    }
    live
}

fn list_text(estate: &Estate, live: &BTreeMap<Scope, u64>) -> String {
    let mut rows =
        vec![["PROVIDER", "ACCOUNT", "REGION", "KIND", "OUTCOME", "LIVE", "LAST COMPLETE", "SOURCE"].map(str::to_owned).to_vec()];
    for (scope, known) in &estate.scopes {
        rows.push(vec![
            scope.provider.to_string(),
            scope.account.to_string(),
            scope.region.to_string(),
            scope.kind.to_string(),
            known.receipt.outcome.to_string(),
            live.get(scope).copied().unwrap_or_default().to_string(),
            known.complete_at.map(|at| told::time(at).to_string()).unwrap_or_else(|| "never".to_owned()),
            known.source.to_string(),
        ]);
    }
    if rows.len() == 1 { "nothing was listed yet".to_owned() } else { table(&rows) }
}
