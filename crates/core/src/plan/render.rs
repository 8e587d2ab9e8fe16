//! Plans and holds as text for people. The same plan gives the same text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::change::{Change, ChangeKind, Plan};
use super::guard::Hold;
use crate::model::TargetName;

/// Changes of one kind that are shown unless all are asked for.
const SHOWN: usize = 5;

/// Characters of a value that are shown unless all is asked for.
const VALUE_CHARS: usize = 60;

/// A plan: for each target a summary and its changes with their reasons, then what is held. `verbose` cuts nothing.
#[must_use]
pub fn plan(plan: &Plan, verbose: bool) -> String {
    let mut text = String::new();
    let mut targets: BTreeMap<&TargetName, Vec<&Change>> = plan.forecast.keys().map(|target| (target, Vec::new())).collect();
    for change in &plan.changes {
        targets.entry(&change.target).or_default().push(change);
    }
    for (target, changes) in &targets {
        let records = plan.forecast.get(*target).map(|count| format!("; {} afterwards", many(*count, "record"))).unwrap_or_default();
        let _ = writeln!(text, "{target}: {}{records}", summary(changes.iter().copied()));
        write_changes(&mut text, changes.iter().copied(), verbose);
    }
    for held in &plan.holds {
        text.push_str(&hold(held, verbose));
    }
    let rest = [(plan.deferred, "waits for its age", "wait for their age"), (plan.folded, "is", "are"), (plan.ignored, "is", "are")];
    for ((count, one, more), end) in rest.into_iter().zip(["", " folded into fleets", " ignored by rule"]) {
        if count > 0 {
            let _ = writeln!(text, "{} {}{end}", many(count, "resource"), if count == 1 { one } else { more });
        }
    }
    text
}

/// A hold: why, how to let it go, and what it holds back.
#[must_use]
pub fn hold(hold: &Hold, verbose: bool) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "held at {}: {} ({})", hold.target, summary(hold.changes.iter()), words(hold));
    let _ = writeln!(text, "  {}", hold.text);
    write_changes(&mut text, hold.changes.iter(), verbose);
    text
}

fn words(hold: &Hold) -> String {
    hold.guardrails.iter().map(|guardrail| guardrail.as_str()).collect::<Vec<_>>().join(", ")
}

fn summary<'a>(changes: impl Iterator<Item = &'a Change>) -> String {
    let mut counts: BTreeMap<ChangeKind, u64> = BTreeMap::new();
    for change in changes {
        *counts.entry(change.change).or_default() += 1;
    }
    if counts.is_empty() {
        return "nothing to do".to_owned();
    }
    counts.iter().map(|(change, count)| format!("{count} {change}")).collect::<Vec<_>>().join(", ")
}

fn write_changes<'a>(text: &mut String, changes: impl Iterator<Item = &'a Change>, verbose: bool) {
    let mut by_kind: BTreeMap<ChangeKind, Vec<&Change>> = BTreeMap::new();
    for change in changes {
        by_kind.entry(change.change).or_default().push(change);
    }
    for (kind, changes) in by_kind {
        let shown = if verbose { changes.len() } else { SHOWN };
        for change in changes.iter().take(shown) {
            write_change(text, change, verbose);
        }
        if changes.len() > shown {
            let _ = writeln!(text, "  {kind} … and {} more (`-v` shows all)", changes.len() - shown);
        }
    }
}

fn write_change(text: &mut String, change: &Change, verbose: bool) {
    let _ = match &change.relation {
        Some(edge) => writeln!(text, "  {} {} {} {}: {}", change.change, edge.from, edge.relation, edge.to, change.reason.text),
        None => writeln!(text, "  {} {} {}: {}", change.change, change.class, change.key, change.reason.text),
    };
    // What a new record holds is told at length only on request; what changes in one that is there is the point of the line.
    let is_told = match change.change {
        ChangeKind::Create | ChangeKind::Relate => verbose,
        _ => true,
    };
    if is_told {
        for (name, field) in change.fields.iter().filter(|(_, field)| field.from != field.to) {
            let to = value(&field.to, verbose);
            let _ = match &field.from {
                Value::Null => writeln!(text, "    {name}: {to}"),
                from => writeln!(text, "    {name}: {} → {to}", value(from, verbose)),
            };
        }
    }
}

/// A value on one line; control characters in texts are escaped by their JSON form.
fn value(value: &Value, verbose: bool) -> String {
    let whole = value.to_string();
    if verbose || whole.chars().count() <= VALUE_CHARS {
        return whole;
    }
    let mut cut: String = whole.chars().take(VALUE_CHARS).collect();
    cut.push('…');
    cut
}

fn many(count: u64, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}
