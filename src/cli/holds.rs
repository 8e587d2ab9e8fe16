//! `dewpoint holds` and `dewpoint retry`.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::args::HoldsCommand;
use super::output::CommandError;
use super::{App, ledger_error, resolve, table};
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
            HoldsCommand::List => {
                let (_, ledger) = self.reading().await?;
                let holds = ledger.holds().await.map_err(ledger_error)?;
                let document = Document { holds: holds.iter().map(document::hold).collect() };
                self.output.answer(&document, || list_text(&holds))
            }
            HoldsCommand::Show { id } => {
                let (_, ledger) = self.reading().await?;
                let hold = one(ledger.holds().await.map_err(ledger_error)?, id)?;
                let estate = ledger.load_estate().await.map_err(ledger_error)?.estate;
                let verbose = self.output.verbose > 0;
                self.output.answer(&document::hold(&hold), || crate::plan::render::hold(&hold, &estate, verbose))
            }
            HoldsCommand::Approve { id } => self.judge(id, VerdictKind::Approved).await,
            HoldsCommand::Reject { id } => self.judge(id, VerdictKind::Rejected).await,
        }
    }

    async fn judge(&self, id: Digest, verdict: VerdictKind) -> Result<(), CommandError> {
        let (_, ledger) = self.writing().await?;
        let hold = one(ledger.holds().await.map_err(ledger_error)?, id)?;
        let at = Timestamp::now();
        let verdicts = hold.verdicts(verdict, at);
        ledger.put_verdicts(&verdicts).await.map_err(ledger_error)?;
        let document = json!({ "hold": id, "verdict": verdict, "changes": verdicts.len() });
        let changes = told::count(verdicts.len(), "change", "changes");
        self.output.answer(&document, || match verdict {
            VerdictKind::Approved => format!("approved {changes} of hold {id}; the next sync applies what is still wanted"),
            VerdictKind::Rejected => format!("rejected {changes} of hold {id}; silent until their resources are observed anew"),
        })
    }

    /// Makes parked and failed deliveries due at once.
    pub(super) async fn retry(&self, keys: &[String], target: Option<TargetName>) -> Result<(), CommandError> {
        let (config, ledger) = self.writing().await?;
        if let Some(name) = &target
            && !config.targets.iter().any(|configured| configured.name == *name)
        {
            return Err(CommandError::usage(format!("no target `{name}` is configured")));
        }
        let mut resolved = Vec::with_capacity(keys.len());
        for key in keys {
            resolved.push(resolve(ledger.as_ref(), key).await?);
        }
        let count = ledger.unpark(target.as_ref(), &resolved).await.map_err(ledger_error)?;
        self.output.answer(&json!({ "retried": count }), || match count {
            0 => "nothing is parked or waiting after a failure".to_owned(),
            1 => "1 delivery is due again; the next sync sends it".to_owned(),
            count => format!("{count} deliveries are due again; the next sync sends them"),
        })
    }
}

fn one(holds: Vec<Hold>, id: Digest) -> Result<Hold, CommandError> {
    holds.into_iter().find(|hold| hold.id == id).ok_or_else(|| {
        CommandError::usage(format!("no hold {id} is open"))
            .hint("`dewpoint holds list` shows what is open; a hold's id changes when what it holds changes")
    })
}

fn list_text(holds: &[Hold]) -> String {
    if holds.is_empty() {
        return "nothing is held".to_owned();
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
