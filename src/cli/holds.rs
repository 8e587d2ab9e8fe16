//! `dewpoint holds` and `dewpoint retry`.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::args::HoldsCommand;
use super::output::CommandError;
use super::{App, ledger_error, resolve, table};
use crate::config::Config;
use crate::estate::Estate;
use crate::ledger::{Ledger, Trouble};
use crate::model::{Digest, TargetName};
use crate::plan::{Hold, VerdictKind, document};
use crate::told;

#[derive(Serialize)]
struct Document {
    holds: Vec<Value>,
}

impl App {
    /// Lists, shows, approves or rejects what guardrails stopped.
    pub(super) async fn holds(&self, command: HoldsCommand) -> Result<(), CommandError> {
        match command {
            HoldsCommand::List { rejected } => {
                let (config, ledger) = self.reading().await?;
                let holds = if rejected { self::rejected(&config, &*ledger).await? } else { open(&config, &*ledger).await? };
                let document = Document { holds: holds.iter().map(document::hold).collect() };
                self.output.answer(&document, || list_text(&holds, rejected))
            }
            HoldsCommand::Show { id } => {
                let (config, ledger) = self.reading().await?;
                let hold = one(&config, &*ledger, id).await?;
                let estate = ledger.load_estate().await.map_err(ledger_error)?.estate;
                let verbose = self.output.verbose > 0;
                self.output.answer(&document::hold(&hold), || crate::plan::render::hold(&hold, &estate, verbose))
            }
            HoldsCommand::Approve { id } => self.judge(id, VerdictKind::Approved).await,
            HoldsCommand::Reject { id } => self.judge(id, VerdictKind::Rejected).await,
        }
    }

    async fn judge(&self, id: Digest, verdict: VerdictKind) -> Result<(), CommandError> {
        let (config, ledger) = self.writing().await?;
        let hold = one(&config, &*ledger, id).await?;
        ledger.judge(&hold, verdict, Timestamp::now()).await.map_err(ledger_error)?;
        let document = json!({ "hold": id, "verdict": verdict, "changes": hold.changes.len() });
        let changes = told::count(hold.changes.len(), "change", "changes");
        self.output.answer(&document, || match verdict {
            VerdictKind::Approved => format!("approved {changes} of hold {id}; the next sync applies what is still wanted"),
            VerdictKind::Rejected => format!("rejected {changes} of hold {id}; silent until their resources are observed anew; `dewpoint holds approve {id}` takes that back"),
        })
    }

    /// Makes parked and failed deliveries due at once, or lists them.
    pub(super) async fn retry(&self, keys: &[String], target: Option<TargetName>, list: bool) -> Result<(), CommandError> {
        let (config, ledger) = if list { self.reading().await? } else { self.writing().await? };
        if let Some(name) = &target
            && !config.targets.iter().any(|configured| configured.name == *name)
        {
            return Err(CommandError::usage(format!("no target `{name}` is configured")));
        }
        let mut resolved = Vec::with_capacity(keys.len());
        for key in keys {
            resolved.push(resolve(ledger.as_ref(), key).await?);
        }
        if list {
            let troubles: Vec<Trouble> = ledger
                .troubles()
                .await
                .map_err(ledger_error)?
                .into_iter()
                .filter(|trouble| {
                    target.as_ref().is_none_or(|target| trouble.target == *target)
                        && (resolved.is_empty() || resolved.contains(&trouble.key))
                })
                .collect();
            return self.output.answer(&json!({ "deliveries": troubles }), || troubles_text(&troubles));
        }
        let count = ledger.unpark(target.as_ref(), &resolved).await.map_err(ledger_error)?;
        self.output.answer(&json!({ "retried": count }), || match count {
            0 => "nothing is parked or waiting after a failure".to_owned(),
            1 => "1 delivery is due again; the next sync sends it".to_owned(),
            count => format!("{count} deliveries are due again; the next sync sends them"),
        })
    }
}

fn troubles_text(troubles: &[Trouble]) -> String {
    if troubles.is_empty() {
        return "nothing is parked or waiting after a failure".to_owned();
    }
    let mut rows = vec![["TARGET", "STATE", "ATTEMPTS", "NEXT TRY", "KEY", "ERROR"].map(str::to_owned).to_vec()];
    rows.extend(troubles.iter().map(|trouble| {
        let what = match &trouble.relation {
            None => trouble.key.to_string(),
            Some(edge) => format!("{} {} {}", edge.from, edge.relation, edge.to),
        };
        vec![
            trouble.target.to_string(),
            trouble.state.to_string(),
            trouble.attempts.to_string(),
            trouble.next_try_at.map_or_else(|| "-".to_owned(), |at| told::time(at).to_string()),
            what,
            told::printable(trouble.error.as_deref().unwrap_or("-")).into_owned(),
        ]
    }));
    table(&rows)
}

/// Open holds of the configured targets.
pub(super) async fn open(config: &Config, ledger: &dyn Ledger) -> Result<Vec<Hold>, CommandError> {
    let holds = ledger.holds().await.map_err(ledger_error)?;
    Ok(holds.into_iter().filter(|hold| is_configured(config, hold)).collect())
}

/// Rejected holds of the configured targets, each with what of it is silent.
async fn rejected(config: &Config, ledger: &dyn Ledger) -> Result<Vec<Hold>, CommandError> {
    let holds = ledger.rejected_holds().await.map_err(ledger_error)?;
    if holds.is_empty() {
        return Ok(holds);
    }
    let estate = ledger.load_estate().await.map_err(ledger_error)?.estate;
    Ok(silent(config, holds, &estate))
}

/// Of rejected holds, those of the configured targets, each with what of it is silent.
pub(super) fn silent(config: &Config, holds: Vec<Hold>, estate: &Estate) -> Vec<Hold> {
    let silent = |hold: Hold| Hold { changes: hold.silent(estate).cloned().collect(), ..hold };
    holds.into_iter().filter(|hold| is_configured(config, hold)).map(silent).filter(|hold| !hold.changes.is_empty()).collect()
}

fn is_configured(config: &Config, hold: &Hold) -> bool {
    config.targets.iter().any(|target| target.name == hold.target)
}

async fn one(config: &Config, ledger: &dyn Ledger, id: Digest) -> Result<Hold, CommandError> {
    if let Some(hold) = open(config, ledger).await?.into_iter().find(|hold| hold.id == id) {
        return Ok(hold);
    }
    rejected(config, ledger).await?.into_iter().find(|hold| hold.id == id).ok_or_else(|| {
        CommandError::usage(format!("no hold {id} is open or rejected")).hint(
            "`dewpoint holds list` shows what is open, with `--rejected` what was rejected; a hold's id changes when what it holds changes",
        )
    })
}

fn list_text(holds: &[Hold], rejected: bool) -> String {
    if holds.is_empty() {
        return if rejected { "nothing is rejected" } else { "nothing is held" }.to_owned();
    }
    let mut rows = vec![vec!["HOLD".to_owned(), "TARGET".to_owned(), "CHANGES".to_owned(), "WHY".to_owned()]];
    rows.extend(holds.iter().map(|hold| {
        vec![
            hold.id.to_string(),
            hold.target.to_string(),
            hold.changes.len().to_string(),
            hold.text.lines().next().unwrap_or_default().to_owned(),
        ]
    }));
    format!("{}\n`dewpoint holds show ID` lists the changes, `dewpoint holds approve ID` lets them go", table(&rows))
}
