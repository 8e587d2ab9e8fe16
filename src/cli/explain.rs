//! `dewpoint explain`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dewpoint_core::target::Purge;
use jiff::Timestamp;
use serde::Serialize;

use super::holds::{open, silent};
use super::output::CommandError;
use super::{App, ledger_error, resolve};
use crate::clock::later;
use crate::config::Config;
use crate::lifecycle::{self, Explanation, Policy, Timer};
use crate::model::{Digest, TargetName};
use crate::plan::{DeliveryState, Hold, RecordBrief};
use crate::told;

/// An explanation, with what guardrails hold back of it.
#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    explanation: Explanation,
    holds: Vec<Held>,
    rejected: Vec<Held>,
}

#[derive(Serialize)]
struct Held {
    id: Digest,
    target: TargetName,
    text: String,
}

impl App {
    /// Says why a resource stands where it stands, and what will happen next.
    pub(super) async fn explain(&self, text: &str) -> Result<(), CommandError> {
        let (config, ledger) = self.reading().await?;
        let key = resolve(ledger.as_ref(), text).await?;
        let estate = ledger.load_estate().await.map_err(ledger_error)?.estate;
        let policy = Policy { timers: config.lifecycle.defaults.clone(), rules: config.lifecycle.rules.clone() };
        let mut explanation = lifecycle::explain(&estate, &key, &policy, Timestamp::now())
            .ok_or_else(|| CommandError::usage(format!("nothing is known under `{text}`")))?;
        add_purges(&mut explanation, &config, &ledger.records_of(&key).await.map_err(ledger_error)?);
        let about = |holds: Vec<Hold>| -> Vec<Held> {
            let holds = holds.into_iter().filter(|hold| hold.changes.iter().any(|change| change.key == key && change.relation.is_none()));
            holds.map(|hold| Held { id: hold.id, target: hold.target, text: hold.text }).collect()
        };
        let holds = about(open(&config, &*ledger).await?);
        let rejected = about(silent(&config, ledger.rejected_holds().await.map_err(ledger_error)?, &estate));
        if let Some(first) = rejected.first() {
            explanation.next = format!(
                "nothing at {}: people rejected it, until there is news; `dewpoint holds approve {}` takes that back",
                first.target, first.id
            );
        }
        let explanation = Document { explanation, holds, rejected };
        self.output.answer(&explanation, || explain_text(&explanation, &told::known_with_kind(&estate, &key)))
    }
}

/// Adds the timers that run at targets: when a retired record is removed there.
fn add_purges(explanation: &mut Explanation, config: &Config, records: &BTreeMap<TargetName, RecordBrief>) {
    let Some(after) = config.lifecycle.defaults.purge_after else { return };
    for target in config.targets.iter().filter(|target| target.purge == Purge::Delete) {
        let Some(record) = records.get(&target.name).filter(|record| record.state == DeliveryState::Retired) else { continue };
        let Some(due) = record.retired_at.map(|at| later(at, after)) else { continue };
        explanation.timers.push(Timer { name: "purge_after", due: Some(due) });
        explanation.next = format!("removed from {} at {} or later, unless it is seen again", target.name, told::time(due));
    }
}

fn explain_text(document: &Document, name: &str) -> String {
    let explanation = &document.explanation;
    let mut text = format!(
        "{name}\n{}\n\nstage        {}\ndisposition  {}\nnext         {}\n",
        explanation.key, explanation.stage, explanation.disposition, explanation.next
    );
    for hold in &document.holds {
        let _ = writeln!(text, "held         at {}: {}", hold.target, hold.text);
    }
    for hold in &document.rejected {
        let _ = writeln!(text, "rejected     at {}: {}", hold.target, hold.text);
    }
    let _ = writeln!(text, "\nrules");
    for rule in &explanation.rules {
        let set: Vec<String> = rule.set.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let _ = writeln!(text, "  {:<12} {:<12} {}", rule.outcome, rule.name, set.join(", "));
    }
    if !explanation.timers.is_empty() {
        let _ = writeln!(text, "\ntimers");
        for timer in &explanation.timers {
            let due = timer.due.map_or_else(|| "counts complete listings".to_owned(), |due| format!("due {}", told::time(due)));
            let _ = writeln!(text, "  {:<16} {due}", timer.name);
        }
    }
    let _ = writeln!(text, "\nevidence");
    for evidence in &explanation.evidence {
        let outcome = evidence.outcome.map_or_else(|| "never listed".to_owned(), |outcome| outcome.to_string());
        let at = evidence.at.map(|at| format!(" at {}", told::time(at))).unwrap_or_default();
        let _ = writeln!(text, "  {:<14} {}: {outcome}{at}", evidence.fact, evidence.scope);
    }
    text
}
