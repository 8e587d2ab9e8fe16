//! `dewpoint ledger`.

use jiff::Timestamp;
use serde_json::json;

use super::App;
use super::args::LedgerCommand;
use super::doctor::absent;
use super::ledger_error;
use super::output::CommandError;
use crate::clock::earlier;
use crate::exit::Exit;
use crate::told;

impl App {
    /// Checks, prunes or copies the ledger.
    pub(super) async fn ledger_command(&self, command: LedgerCommand) -> Result<u8, CommandError> {
        match command {
            LedgerCommand::Check => {
                let (config, ledger) = self.reading().await?;
                let findings = match absent(&config) {
                    Some(finding) => vec![finding],
                    None => ledger.check().await.map_err(ledger_error)?,
                };
                self.findings(&findings, Exit::Failed)
            }
            LedgerCommand::Prune => {
                let (config, ledger) = self.writing().await?;
                let Some(keep) = config.journal_keep else {
                    self.output.answer(&json!({ "pruned": null }), || "`journal_keep` is `never`: nothing is pruned".to_owned())?;
                    return Ok(Exit::Done.code());
                };
                let before = earlier(Timestamp::now(), keep);
                let pruned = ledger.prune(before).await.map_err(ledger_error)?;
                self.output.answer(&json!({ "before": before, "pruned": pruned }), || {
                    format!(
                        "removed {} journal entries, {} runs and {} other rows older than {}",
                        pruned.journal,
                        pruned.runs,
                        pruned.other,
                        told::time(before)
                    )
                })?;
                Ok(Exit::Done.code())
            }
            LedgerCommand::Backup { file } => {
                let (_, ledger) = self.reading().await?;
                ledger.backup(&file).await.map_err(ledger_error)?;
                self.output.answer(&json!({ "file": file }), || format!("wrote {}", file.display()))?;
                Ok(Exit::Done.code())
            }
        }
    }
}
