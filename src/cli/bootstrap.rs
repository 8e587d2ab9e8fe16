//! `dewpoint bootstrap`.

use std::fmt::Write as _;

use serde_json::json;

use super::App;
use super::output::CommandError;
use super::target::configured;
use crate::exit::Exit;
use crate::model::TargetName;
use crate::run::ready::NotReady;
use crate::run::setup::{self, Absent};
use crate::target::{Step, StepOutcome};
use crate::told;

impl App {
    /// Makes what a target needs before anything can be delivered to it, or says who has to.
    pub(super) async fn bootstrap(&self, name: &TargetName, dry_run: bool) -> Result<u8, CommandError> {
        let config = self.config()?;
        let configured = configured(&config, name)?;
        let target = setup::target(configured, Absent::Empty, &setup::uncounted());
        let steps = target.bootstrap(dry_run).await.map_err(|error| {
            let NotReady { exit, problem, .. } = NotReady::of_target(configured, &error);
            let failing = if exit == Exit::Partly { Exit::Failed } else { exit };
            CommandError { hint: problem.hint, ..CommandError::new(failing, failing.failure().unwrap_or("failed"), problem.text) }
        })?;
        let refused = steps.iter().find(|step| step.outcome == StepOutcome::Refused);
        let Some(refused) = refused else {
            self.output.answer(&json!({ "target": name, "steps": steps }), || text(name, &steps))?;
            return Ok(Exit::Done.code());
        };
        let why = refused.text.as_deref().unwrap_or("the target does not let us make it");
        let text_of_error = format!("{}: {}: {}", name, refused.what, told::printable(why));
        let error = CommandError { hint: refused.mend.clone(), ..CommandError::new(Exit::Failed, "failed", text_of_error) };
        self.output.answer(&json!({ "target": name, "steps": steps, "error": error.document() }), || text(name, &steps))?;
        self.output.complain(&error);
        Ok(Exit::Failed.code())
    }
}

fn text(name: &TargetName, steps: &[Step]) -> String {
    if steps.is_empty() {
        return format!("{name} needs nothing made beforehand\n");
    }
    let mut text = String::new();
    for step in steps {
        let word = match step.outcome {
            StepOutcome::Present => "there",
            StepOutcome::Made => "made",
            StepOutcome::WouldMake => "would make",
            StepOutcome::Refused => "refused",
        };
        let _ = writeln!(text, "{word:<10}  {}", told::printable(&step.what));
    }
    text
}
