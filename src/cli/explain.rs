//! `dewpoint explain`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use dewpoint_core::target::Purge;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::holds::{open, silent};
use super::output::CommandError;
use super::sync::only_files;
use super::{App, ledger_error, resolve};
use crate::clock::{later, to_microseconds};
use crate::config::Config;
use crate::estate::Disposition;
use crate::ledger::Mode;
use crate::lifecycle::{self, Explanation, Policy, RuleOutcome, RuleTrace, Timer};
use crate::model::{Digest, TargetName};
use crate::plan::{DeliveryState, Hold, RecordBrief};
use crate::told;

/// Where only files are read: a last sync longer ago than this may have run by `--at`.
const SYNC_AGE_MAX: Duration = Duration::from_secs(24 * 3600);

/// An explanation, with what guardrails hold back of it.
#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    explanation: Explanation,
    /// The time that ages and timers go by.
    at: Timestamp,
    /// The last sync's clock.
    last_sync: Option<Timestamp>,
    /// What is to be known about `at`, where it may not be what is meant.
    note: Option<String>,
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
    pub(super) async fn explain(&self, text: &str, at: Option<Timestamp>) -> Result<(), CommandError> {
        let config = self.config()?;
        let can_choose = match only_files(&config, &[]) {
            Ok(()) => true,
            Err(_) if at.is_none() => false,
            Err(error) => return Err(error.hint("a cloud shows the present only: leave `--at` out")),
        };
        let ledger = self.ledger(&config, Mode::Read).await?;
        let last_sync = ledger.runs(1).await.map_err(ledger_error)?.first().map(|run| run.started_at);
        let (at, note) = as_of(at, last_sync, to_microseconds(Timestamp::now()), can_choose);
        let key = resolve(ledger.as_ref(), text).await?;
        let estate = ledger.load_estate().await.map_err(ledger_error)?.estate;
        let policy = Policy { timers: config.lifecycle.defaults.clone(), rules: config.lifecycle.rules.clone() };
        let mut explanation = lifecycle::explain(&estate, &key, &policy, at)
            .ok_or_else(|| CommandError::usage(format!("nothing is known under `{text}`")))?;
        add_records(&mut explanation, &config, &ledger.records_of(&key).await.map_err(ledger_error)?);
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
        let explanation = Document { explanation, at, last_sync, note, holds, rejected };
        self.output.answer(&explanation, || explain_text(&explanation, &told::known_with_kind(&estate, &key)))
    }
}

/// The time to explain by, and what is to be known about it: the time that is asked for, else now, or the last sync's where that is later, since
/// nothing of what it left has a past before it.
fn as_of(asked: Option<Timestamp>, last_sync: Option<Timestamp>, now: Timestamp, can_choose: bool) -> (Timestamp, Option<String>) {
    if let Some(at) = asked {
        let is_before = last_sync.filter(|last| *last > at);
        return (at, is_before.map(|last| format!("the last sync's clock stood at {}, which is later", told::time(last))));
    }
    match last_sync {
        Some(last) if last > now => (last, Some(format!("this is the last sync's clock, which is later than now, {}", told::time(now)))),
        Some(last) if can_choose && later(last, SYNC_AGE_MAX) < now => {
            let text = format!("the last sync's clock stood at {}; `--at {}` explains as of then", told::time(last), told::time(last));
            (now, Some(text))
        }
        _ => (now, None),
    }
}

/// Adds what comes next of its records at targets: what was refused, the retirement of one that it shall not have, and when a retired one is removed.
fn add_records(explanation: &mut Explanation, config: &Config, records: &BTreeMap<TargetName, RecordBrief>) {
    for target in &config.targets {
        let Some(record) = records.get(&target.name) else { continue };
        if let Some(refusal) = &record.refusal {
            let next = refusal.next_try_at.map_or_else(
                || "it is parked until `dewpoint retry`".to_owned(),
                |at| format!("it is sent again from {} on", told::time(at)),
            );
            let _ = write!(explanation.next, "; {} refused what was sent for it (`dewpoint show` has its words), and {next}", target.name);
        }
        let is_ours = record.is_live() && !record.contributed;
        if is_ours && matches!(explanation.disposition, Disposition::Fold | Disposition::Ignore) {
            let _ = write!(explanation.next, "; its record at {} is retired by the next sync, unless a guardrail holds it", target.name);
        }
        if target.purge == Purge::Delete
            && record.state == DeliveryState::Retired
            && let Some((retired_at, after)) = record.retired_at.zip(explanation.purge_after)
        {
            let due = later(retired_at, after);
            explanation.timers.push(Timer { name: "purge_after", due: Some(due) });
            explanation.next = format!("removed from {} at {} or later, unless it is seen again", target.name, told::time(due));
        }
    }
}

/// What a rule does and sets, as the configuration has it.
fn rule_text(rule: &RuleTrace) -> String {
    let mut parts: Vec<String> = rule.action.iter().map(|action| format!("do {action}")).collect();
    for (name, value) in &rule.set {
        match value {
            Value::Object(attributes) => parts.extend(attributes.iter().map(|(name, value)| format!("{name} = {}", plain(value)))),
            value => parts.push(format!("{name} {}", plain(value))),
        }
    }
    parts.join(", ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| told::printable(text).into_owned())
}

fn explain_text(document: &Document, name: &str) -> String {
    let explanation = &document.explanation;
    let mut text = format!(
        "{name}\n{}\n\nstage        {} since {}: {}\ndisposition  {} since {}: {}\nnext         {}\n",
        explanation.key,
        explanation.stage,
        told::time(explanation.stage_since),
        explanation.because.stage,
        explanation.disposition,
        told::time(explanation.disposition_since),
        explanation.because.disposition,
        explanation.next
    );
    if let Some(note) = &document.note {
        let _ = writeln!(text, "as of        {}: {note}", told::time(document.at));
    }
    for hold in &document.holds {
        let _ = writeln!(text, "held         at {}: {}", hold.target, hold.text);
    }
    for hold in &document.rejected {
        let _ = writeln!(text, "rejected     at {}: {}", hold.target, hold.text);
    }
    let width = explanation.rules.iter().map(|rule| rule.name.chars().count()).max().unwrap_or_default();
    let _ = writeln!(text, "\nrules");
    for rule in &explanation.rules {
        // Of a rule that did not match it would say what is not the case.
        let what = match (&rule.text, rule.outcome) {
            (Some(why), _) => told::printable(why).into_owned(),
            (None, RuleOutcome::Matched) => rule_text(rule),
            (None, _) => String::new(),
        };
        let _ = writeln!(text, "{}", format!("  {:<12} {:<width$}  {what}", rule.outcome, rule.name).trim_end());
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
