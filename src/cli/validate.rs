//! `dewpoint validate`.

use std::fmt::Write as _;

use serde_json::json;

use super::App;
use super::output::CommandError;

impl App {
    /// Checks the configuration without touching the network; says every error at once, and of a valid one what will hardly be meant.
    pub(super) fn validate(&self) -> Result<(), CommandError> {
        let config = self.config()?;
        let names = |names: Vec<&str>| names.join(", ");
        self.output.answer(&json!({ "errors": [], "warnings": config.warnings }), || {
            let mut text = format!(
                "{} is valid: sources {}; targets {}\n",
                self.global.config.display(),
                names(config.sources.iter().map(|source| source.name.as_str()).collect()),
                names(config.targets.iter().map(|target| target.name.as_str()).collect()),
            );
            for warning in &config.warnings {
                let _ = writeln!(text, "warning: {warning}");
                let _ = warning.help.iter().try_for_each(|help| writeln!(text, "  help: {help}"));
            }
            text
        })
    }
}
