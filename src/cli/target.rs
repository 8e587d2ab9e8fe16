//! `dewpoint target`.

use serde_json::json;

use super::args::{SyncArgs, TargetCommand};
use super::output::CommandError;
use super::{App, ledger_error};
use crate::config::{Config, TargetConfig};
use crate::exit::Exit;
use crate::ledger::{Ledger, Mode, TargetNews};
use crate::model::TargetName;
use crate::run::setup::{self, Absent};

impl App {
    /// Pauses, resumes, rebinds or recovers a target.
    pub(super) async fn target(&self, command: TargetCommand) -> Result<u8, CommandError> {
        let config = self.config()?;
        // Pausing comes before a first sync, too: that is when people want to look before anything is written.
        let create = matches!(command, TargetCommand::Pause { .. } | TargetCommand::Resume { .. });
        let name = match &command {
            TargetCommand::Pause { name }
            | TargetCommand::Resume { name }
            | TargetCommand::Rebind { name }
            | TargetCommand::Recover { name } => name,
        };
        configured(&config, name)?;
        let ledger = self.ledger(&config, Mode::ReadWrite { create }).await?;
        match command {
            TargetCommand::Pause { name } => self.pause(&config, ledger.as_ref(), &name, true).await,
            TargetCommand::Resume { name } => self.pause(&config, ledger.as_ref(), &name, false).await,
            TargetCommand::Rebind { name } => self.rebind(&config, ledger.as_ref(), &name).await,
            TargetCommand::Recover { name } => {
                let configured = configured(&config, &name)?;
                note(ledger.as_ref(), configured, TargetNews::Recover(true)).await?;
                ledger.close().await;
                let args =
                    SyncArgs { selection: super::args::Selection { targets: vec![name], ..Default::default() }, ..SyncArgs::default() };
                let ended = Box::pin(self.sync(args)).await;
                // People asked for this attempt: no later sync may take what it finds there for the right place.
                let over = async {
                    let ledger = self.ledger(&config, Mode::ReadWrite { create: false }).await?;
                    note(ledger.as_ref(), configured, TargetNews::Recover(false)).await?;
                    ledger.close().await;
                    Ok::<(), CommandError>(())
                };
                match (ended, over.await) {
                    (Ok(_), Err(error)) => {
                        self.output.complain(&error);
                        Ok(error.exit_code())
                    }
                    (ended, _) => ended,
                }
            }
        }
    }

    async fn pause(&self, config: &Config, ledger: &dyn Ledger, name: &TargetName, paused: bool) -> Result<u8, CommandError> {
        note(ledger, configured(config, name)?, TargetNews::Paused(paused)).await?;
        self.output.answer(&json!({ "target": name, "paused": paused }), || match paused {
            true => format!("target {name} is paused: it is planned and reported, and nothing is sent to it"),
            false => format!("target {name} is served again from the next sync on"),
        })?;
        Ok(Exit::Done.code())
    }

    async fn rebind(&self, config: &Config, ledger: &dyn Ledger, name: &TargetName) -> Result<u8, CommandError> {
        let configured = configured(config, name)?;
        let row = ledger.target_row(name).await.map_err(ledger_error)?;
        let target = setup::target(configured, Absent::Refuse, &setup::uncounted());
        let own = ledger.estate_id().await.map_err(ledger_error)?;
        let found = target.fingerprint(row.as_ref().and_then(|row| row.acquaintance(&own))).await.map_err(|error| {
            let hint = error.hint();
            CommandError { hint, ..CommandError::of(Exit::Failed, "target", &error) }
        })?;
        if row.is_some_and(|row| row.is_contradicted_by(&found, &own)) {
            return Err(CommandError::usage(format!(
                "{} is another CMDB than the one that the ledger knows as `{name}`",
                setup::address(configured)
            ))
            .hint(format!("to keep this one from now on, run `dewpoint target recover {name}`")));
        }
        let address = setup::address(configured);
        note(ledger, configured, TargetNews::Address(address.clone())).await?;
        self.output.answer(&json!({ "target": name, "address": address }), || format!("target {name} is now at {address}"))?;
        Ok(Exit::Done.code())
    }
}

pub(super) fn configured<'a>(config: &'a Config, name: &TargetName) -> Result<&'a TargetConfig, CommandError> {
    config.targets.iter().find(|target| target.name == *name).ok_or_else(|| {
        let names: Vec<&str> = config.targets.iter().map(|target| target.name.as_str()).collect();
        CommandError::usage(format!("no target `{name}` is configured")).hint(format!("configured are: {}", names.join(", ")))
    })
}

async fn note(ledger: &dyn Ledger, configured: &TargetConfig, news: TargetNews) -> Result<(), CommandError> {
    let address = setup::address(configured);
    ledger.note_target(&configured.name, configured.kind.as_str(), &address, &news).await.map_err(ledger_error)
}
