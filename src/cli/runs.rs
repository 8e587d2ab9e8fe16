//! `dewpoint runs`.

use serde::Serialize;

use super::args::RunsCommand;
use super::output::CommandError;
use super::{App, ledger_error, table};
use crate::ledger::{RunId, RunRow};
use crate::run::report;
use crate::told;

#[derive(Serialize)]
struct Document {
    runs: Vec<RunRow>,
}

impl App {
    /// Lists past runs, or shows the report of one.
    pub(super) async fn runs(&self, command: RunsCommand) -> Result<(), CommandError> {
        let (_, ledger) = self.reading().await?;
        match command {
            RunsCommand::List { limit } => {
                let document = Document { runs: ledger.runs(limit).await.map_err(ledger_error)? };
                self.output.answer(&document, || list_text(&document.runs))
            }
            RunsCommand::Show { run } => {
                let id = match run {
                    Some(run) => RunId(run),
                    None => match ledger.runs(1).await.map_err(ledger_error)?.into_iter().next() {
                        Some(latest) => latest.run,
                        None => return Err(CommandError::usage("no run is in the ledger yet")),
                    },
                };
                let row = ledger.run(&id).await.map_err(ledger_error)?.ok_or_else(|| {
                    CommandError::usage(format!("no run `{}` is in the ledger", id.0)).hint("`dewpoint runs list` shows them")
                })?;
                self.output.answer(&row, || match &row.report {
                    Some(report) => report::text_of(report, self.output.verbose > 0),
                    None => match &row.outcome {
                        Some(outcome) => format!("run {} began {}, ended as {outcome} and left no report", row.run.0, row.started_at),
                        None => format!("run {} began {} and left no report: it is running, or it was killed", row.run.0, row.started_at),
                    },
                })
            }
        }
    }
}

fn list_text(runs: &[RunRow]) -> String {
    if runs.is_empty() {
        return "no run is in the ledger yet".to_owned();
    }
    let mut rows = vec![["RUN", "STARTED", "OUTCOME", "CHANGES"].map(str::to_owned).to_vec()];
    for run in runs {
        let changes: Vec<String> = run
            .counts
            .iter()
            .filter(|(_, counts)| !counts.is_empty())
            .map(|(target, counts)| {
                format!("{target}: {}", counts.iter().map(|(change, n)| format!("{n} {change}")).collect::<Vec<_>>().join(", "))
            })
            .collect();
        rows.push(vec![
            run.run.0.clone(),
            told::time(run.started_at).to_string(),
            run.outcome.clone().unwrap_or_else(|| "running, or killed".to_owned()),
            if changes.is_empty() { "none".to_owned() } else { changes.join("; ") },
        ]);
    }
    table(&rows)
}
