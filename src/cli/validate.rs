//! `dewpoint validate`.

use serde_json::json;

use super::App;
use super::output::CommandError;

impl App {
    /// Checks the configuration without touching the network; says every error at once.
    pub(super) fn validate(&self) -> Result<(), CommandError> {
        let config = self.config()?;
        let names = |names: Vec<&str>| names.join(", ");
        self.output.answer(&json!({ "errors": [] }), || {
            format!(
                "{} is valid: sources {}; targets {}",
                self.global.config.display(),
                names(config.sources.iter().map(|source| source.name.as_str()).collect()),
                names(config.targets.iter().map(|target| target.name.as_str()).collect()),
            )
        })
    }
}
