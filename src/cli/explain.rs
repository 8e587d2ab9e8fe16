//! `dewpoint explain`.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::output::CommandError;
use super::{App, ledger_error, resolve};
use crate::lifecycle::{self, Explanation, Policy};

impl App {
    /// Says why a resource stands where it stands, and what will happen next.
    pub(super) async fn explain(&self, text: &str) -> Result<(), CommandError> {
        let (config, ledger) = self.reading().await?;
        let key = resolve(ledger.as_ref(), text).await?;
        let estate = ledger.load_estate().await.map_err(ledger_error)?.estate;
        let policy = Policy { timers: config.lifecycle.defaults.clone() };
        let explanation = lifecycle::explain(&estate, &key, &policy, Timestamp::now())
            .ok_or_else(|| CommandError::usage(format!("nothing is known under `{text}`")))?;
        self.output.answer(&explanation, || explain_text(&explanation))
    }
}

fn explain_text(explanation: &Explanation) -> String {
    let mut text = format!(
        "{}\n\nstage        {}\ndisposition  {}\nnext         {}\n",
        explanation.key, explanation.stage, explanation.disposition, explanation.next
    );
    let _ = writeln!(text, "\nrules");
    for rule in &explanation.rules {
        let set: Vec<String> = rule.set.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let _ = writeln!(text, "  {:<12} {:<12} {}", rule.outcome, rule.name, set.join(", "));
    }
    if !explanation.timers.is_empty() {
        let _ = writeln!(text, "\ntimers");
        for timer in &explanation.timers {
            let due = timer.due.map_or_else(|| "counts complete listings".to_owned(), |due| format!("due {due}"));
            let _ = writeln!(text, "  {:<16} {due}", timer.name);
        }
    }
    let _ = writeln!(text, "\nevidence");
    for evidence in &explanation.evidence {
        let outcome = evidence.outcome.map_or_else(|| "never listed".to_owned(), |outcome| outcome.to_string());
        let at = evidence.at.map(|at| format!(" at {at}")).unwrap_or_default();
        let _ = writeln!(text, "  {:<14} {}: {outcome}{at}", evidence.fact, evidence.scope);
    }
    text
}
