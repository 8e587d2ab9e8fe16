//! Plans and holds as text for people. The same plan gives the same text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::change::{Change, ChangeKind, Plan};
use super::guard::Hold;
use crate::estate::Estate;
use crate::model::TargetName;
use crate::told;

/// Changes of one kind that are shown unless all are asked for.
const SHOWN: usize = 5;

/// Characters of a value that are shown unless all is asked for.
const VALUE_CHARS: usize = 60;

/// A plan: for each target a summary and its changes with their reasons, then what is held. The estate lends the names. `verbose` cuts
/// nothing and gives the keys.
#[must_use]
pub fn plan(plan: &Plan, estate: &Estate, verbose: bool) -> String {
    let mut text = String::new();
    let mut targets: BTreeMap<&TargetName, Vec<&Change>> = plan.forecast.keys().map(|target| (target, Vec::new())).collect();
    for change in &plan.changes {
        targets.entry(&change.target).or_default().push(change);
    }
    for (target, changes) in &targets {
        let is_held = plan.holds.iter().any(|hold| hold.target == **target);
        let summary = if changes.is_empty() && is_held { "nothing but what is held".to_owned() } else { summary(changes.iter().copied()) };
        let records = plan.forecast.get(*target).map(|count| format!("; {} afterwards", many(*count, "record"))).unwrap_or_default();
        let _ = writeln!(text, "{target}: {summary}{records}");
        write_changes(&mut text, changes.iter().copied(), estate, verbose);
    }
    for held in &plan.holds {
        text.push_str(&hold(held, estate, verbose));
    }
    let by = plan.deferred_by;
    let rest = [
        (by.age, "waits for its age", "wait for their age"),
        (by.rule, "is deferred by rule", "are deferred by rule"),
        (by.frozen, "has no record yet and is frozen", "have no record yet and are frozen"),
        (plan.folded, "is folded into fleets", "are folded into fleets"),
        (plan.ignored, "is ignored by rule", "are ignored by rule"),
    ];
    for (count, one, more) in rest {
        if count > 0 {
            let _ = writeln!(text, "{} {}", many(count, "resource"), if count == 1 { one } else { more });
        }
    }
    text
}

/// A hold: why, how to let it go, and what it holds back.
#[must_use]
pub fn hold(hold: &Hold, estate: &Estate, verbose: bool) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "held at {}: {} ({})", hold.target, summary(hold.changes.iter()), words(hold));
    let _ = writeln!(text, "  {}", hold.text);
    write_changes(&mut text, hold.changes.iter(), estate, verbose);
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

fn write_changes<'a>(text: &mut String, changes: impl Iterator<Item = &'a Change>, estate: &Estate, verbose: bool) {
    let mut by_kind: BTreeMap<ChangeKind, Vec<&Change>> = BTreeMap::new();
    for change in changes {
        by_kind.entry(change.change).or_default().push(change);
    }
    for (kind, changes) in by_kind {
        let (shown, left_out) = if verbose { (changes, BTreeMap::new()) } else { sample(&changes) };
        for change in shown {
            write_change(text, change, estate, verbose);
        }
        if !left_out.is_empty() {
            let count: usize = left_out.values().sum();
            let classes: Vec<String> = left_out.iter().map(|(class, count)| format!("{count} {class}")).collect();
            let _ = writeln!(text, "  {kind} … and {count} more: {} (`-v` shows all)", classes.join(", "));
        }
    }
}

/// The changes to show, in their order, and how many of each class (of edges: type) are left out. Every class gets a line before one
/// gets a second, so that the few lines tell of as much as they can.
fn sample<'a>(changes: &[&'a Change]) -> (Vec<&'a Change>, BTreeMap<&'a str, usize>) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ranked: Vec<(usize, usize)> = Vec::with_capacity(changes.len());
    for (place, change) in changes.iter().enumerate() {
        let earlier = seen.entry(class(change)).or_default();
        ranked.push((*earlier, place));
        *earlier += 1;
    }
    ranked.sort_unstable();
    let mut places: Vec<usize> = ranked.into_iter().take(SHOWN).map(|(_, place)| place).collect();
    places.sort_unstable();
    let shown: Vec<&Change> = places.into_iter().filter_map(|place| changes.get(place).copied()).collect();
    for change in &shown {
        if let Some(count) = seen.get_mut(class(change)) {
            *count -= 1;
        }
    }
    seen.retain(|_, count| *count > 0);
    (shown, seen)
}

fn class(change: &Change) -> &str {
    change.relation.as_ref().map_or(change.class.as_str(), |edge| edge.relation.as_str())
}

fn write_change(text: &mut String, change: &Change, estate: &Estate, verbose: bool) {
    let (done, why) = (change.change, told::printable(&change.reason.text));
    let _ = match &change.relation {
        Some(edge) => {
            let (from, to) = (told::known_with_kind(estate, &edge.from), told::known_with_kind(estate, &edge.to));
            writeln!(text, "  {done} {from} {} {to}: {why}", edge.relation)
        }
        None => writeln!(text, "  {done} {} {}: {why}", change.class, told::known(estate, &change.key)),
    };
    if verbose {
        let _ = match &change.relation {
            Some(edge) => writeln!(text, "    from: {}\n    to: {}", edge.from, edge.to),
            None => writeln!(text, "    key: {}", change.key),
        };
    }
    // What a new record holds is told at length only on request; what changes in one that is there is the point of the line.
    let is_told = match change.change {
        ChangeKind::Create | ChangeKind::Relate => verbose,
        _ => true,
    };
    if is_told {
        for (name, field) in change.fields.iter().filter(|(_, field)| field.from != field.to) {
            write_field(text, name, &field.from, &field.to, verbose);
        }
    }
}

/// One field; of structures (tags) only the members that differ.
fn write_field(text: &mut String, name: &str, from: &Value, to: &Value, verbose: bool) {
    if let (Value::Object(old), Value::Object(new)) = (from, to) {
        let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for member in names {
            let (old, new) = (old.get(member).unwrap_or(&Value::Null), new.get(member).unwrap_or(&Value::Null));
            if old != new {
                write_field(text, &format!("{name}.{}", told::printable(member)), old, new, verbose);
            }
        }
        return;
    }
    let to = value(to, verbose);
    let _ = match from {
        Value::Null => writeln!(text, "    {name}: {to}"),
        from => writeln!(text, "    {name}: {} → {to}", value(from, verbose)),
    };
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
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}
