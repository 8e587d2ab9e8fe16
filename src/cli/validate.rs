//! `dewpoint validate`.

use serde_json::json;

use super::App;
use super::output::CommandError;
use crate::config;
use crate::exit::Exit;

impl App {
    /// Checks the configuration without touching the network; says every error at once.
    pub(super) fn validate(&self) -> Result<u8, CommandError> {
        match config::load(&self.global.config) {
            Ok(config) => {
                let names = |names: Vec<&str>| names.join(", ");
                let text = || {
                    format!(
                        "{} is valid: sources {}; targets {}",
                        self.global.config.display(),
                        names(config.sources.iter().map(|source| source.name.as_str()).collect()),
                        names(config.targets.iter().map(|target| target.name.as_str()).collect()),
                    )
                };
                self.output.answer(&json!({ "errors": [] }), text)?;
                Ok(Exit::Done.code())
            }
            Err(errors) => {
                self.output.note(&errors.render(self.output.colour));
                if self.output.is_json() {
                    self.output.answer(&json!({ "errors": errors.errors() }), String::new)?;
                }
                Ok(Exit::Usage.code())
            }
        }
    }
}
