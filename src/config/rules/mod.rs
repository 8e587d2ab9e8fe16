//! Lifecycle rules: as written, as checked with the place of every mistake, and as meant.
//!
//! The order is that of the configuration's own rules, then those of the presets as they are listed. So the first `do` that matches is the
//! user's where both speak; and what a preset sets never goes over what one of the user's rules sets ([`dewpoint_core::rules`]).

mod cases;
mod leaf;
mod presets;
mod raw;

use std::collections::BTreeMap;
use std::time::Duration;

use dewpoint_core::expression::{Expression, Mistake, Vocabulary, Wanted};
use dewpoint_core::model::attributes;
use dewpoint_core::rules::{Action, ActionWord, Origin, Rule, Rules, Settings};
use serde_json::{Map, Value as Json, json};

pub(super) use cases::try_instant;
pub use cases::{Case, Expected, FROZEN, cases_of_bytes, load_cases};
pub(super) use leaf::{AttributeName, ExpressionText, Flag, PresetName, RecordCondition, RuleName, SubjectKey};
pub(super) use raw::RawRule;

use super::diagnostic::{Place, Report, Span, quote};
use super::leaf::{AnyDuration, DurationOrNever, Leaf};
use super::scalar::locate;
use super::tree::{Node, Value};

/// Keys of a rule.
const KEYS: &[&str] = &["name", "when", "do", "into", "set"];

/// A rule and where it is written.
#[derive(Debug)]
pub(super) struct PlacedRule {
    pub(super) rule: Rule,
    pub(super) place: Place,
}

/// Checks what no schema can say of expressions: of the rules under `lifecycle` and of what targets include, on the tree as written, so that every mistake is told whatever else is wrong.
pub(super) fn cross_check(root: &Node, source: &str, report: &mut Report) {
    for target in root.get("targets").map_or(&[][..], Node::items) {
        check_include(target, source, report);
    }
    let Some(lifecycle) = root.get("lifecycle") else { return };
    let listed = lifecycle.get("presets").map_or(&[][..], Node::items);
    let presets: Vec<PresetName> = listed.iter().filter_map(|node| PresetName::parse(node.text()?).ok()).collect();
    check_list(lifecycle.get("rules").map_or(&[][..], Node::items), source, &presets, report);
}

/// `include.when` of a target.
fn check_include(target: &Node, source: &str, report: &mut Report) {
    let Some(when) = target.get("include").and_then(|include| include.get("when")) else { return };
    let before = target.get("name").and_then(Node::text).map_or_else(String::new, |name| format!("target {}: ", quote(name)));
    check_expression(when, &format!("{before}`include.when`: "), source, report, |text| {
        Expression::compile(text, &Vocabulary::records(), Wanted::Condition)
    });
}

fn check_list(nodes: &[Node], source: &str, presets: &[PresetName], report: &mut Report) {
    let taken: BTreeMap<String, &str> = presets
        .iter()
        .flat_map(|preset| presets::load(preset.0).into_iter().flatten().map(|placed| (placed.rule.name, preset.0)))
        .collect();
    let mut names: BTreeMap<&str, Span> = BTreeMap::new();
    let mut deciding: BTreeMap<String, Span> = BTreeMap::new();
    for node in nodes {
        if let Some(when) = check_rule(node, source, report) {
            doubt_decision(node, &when, &mut deciding, source, report);
        }
        let Some((name, span)) = node.get("name").and_then(|node| Some((node.text()?, node.span))) else { continue };
        if let Some(first) = names.get(name) {
            let text = format!("two rules are named {}: the first in line {}", quote(name), first.start.line);
            let help = "reports and explanations tell rules apart by name: give each its own";
            report.error(span, text).again(*first).help(help);
        } else if let Some(preset) = taken.get(name) {
            let text = format!("a rule of preset `{preset}` is named {} as well", quote(name));
            report.error(span, text).help("reports and explanations tell rules apart by name: give it another");
        } else {
            names.insert(name, span);
        }
    }
}

/// `rule `NAME`: ` before what is wrong with it.
fn of_rule(node: &Node) -> String {
    node.get("name").and_then(Node::text).map_or_else(String::new, |name| format!("rule {}: ", quote(name)))
}

/// What a rule does where it will hardly be meant, or never comes to it: warnings. `deciding` are conditions for which a rule before it decides.
fn doubt_decision(node: &Node, when: &Expression, deciding: &mut BTreeMap<String, Span>, source: &str, report: &mut Report) {
    let Some(at) = node.get("when") else { return };
    let Some((action, decides)) = node.get("do").and_then(|action| Some((action.text()?, action.span))) else { return };
    let rule = of_rule(node);
    let place = || locate(source, at, &(0..when.source().len()));
    let is_fold = action == ActionWord::Fold.as_str();
    if is_fold && when.holds_of_no_machine() && !when.holds_of_machines_only() {
        let text = format!("{rule}`do: fold` speaks of machines only, and `when` holds of none: it never folds anything");
        report.warning(place(), text).help("ask for machines: `resource.kind == \"instance\" && …`");
    } else if is_fold && !when.holds_of_machines_only() {
        let text = format!("{rule}`do: fold` speaks of machines only, and `when` can hold of other kinds: of those it only sets");
        report.warning(place(), text).help("say so: `resource.kind == \"instance\" && …`");
    }
    let has_name = node.get("into").is_some_and(|into| into.value != Value::Null);
    if is_fold && !has_name && !when.holds_in_groups_only() {
        let text = format!("{rule}`do: fold` without `into` fails on every machine that is in no scaling group, and freezes it");
        report.warning(place(), text).help("ask for the group first: `group != null && …`; or name a fleet by `into`");
    }
    // A fold leaves what is no machine to the rules behind it.
    let leaves_some = is_fold && !when.holds_of_machines_only();
    match deciding.get(when.source().trim()) {
        Some(first) => {
            let text =
                format!("{rule}`do: {action}` never decides: the rule in line {} has the same `when` and decides first", first.start.line);
            report.warning(decides, text).help("remove one of the two, or say in `when` what sets them apart");
        }
        None if leaves_some => {}
        None => {
            deciding.insert(when.source().trim().to_owned(), node.span);
        }
    }
}

/// Reports what is wrong with a rule, and gives its condition, if that compiles.
fn check_rule(node: &Node, source: &str, report: &mut Report) -> Option<Expression> {
    let Value::Map(entries) = &node.value else { return None };
    let rule = of_rule(node);
    let vocabulary = Vocabulary::rules();
    let when = node.get("when").and_then(|when| {
        check_expression(when, &format!("{rule}`when`: "), source, report, |text| Expression::compile(text, &vocabulary, Wanted::Condition))
    });
    if let Some(into) = node.get("into") {
        check_expression(into, &format!("{rule}`into`: "), source, report, |text| into_of(text, when.as_ref()));
    }
    let action = node.get("do").and_then(Node::text);
    let has = |key: &str| node.get(key).is_some_and(|node| node.value != Value::Null);
    if let Some(into) = node.entry("into").filter(|_| has("into") && action != Some(ActionWord::Fold.as_str())) {
        let is_known = action.is_none_or(|word| ActionWord::ALL.iter().any(|action| action.as_str() == word));
        if is_known {
            report.error(into.key_span, format!("{rule}`into` goes with `do: fold` only")).help("add `do: fold`, or remove `into`");
        }
    }
    let sets = node
        .get("set")
        .is_some_and(|set| !matches!(&set.value, Value::Null) && !matches!(&set.value, Value::Map(entries) if entries.is_empty()));
    // A misspelt key is told of already.
    if !has("do") && !sets && entries.iter().all(|entry| KEYS.contains(&entry.key.as_str())) {
        let at = node.entry("name").or(entries.first()).map_or(node.span, |entry| entry.key_span);
        let words: Vec<&str> = ActionWord::ALL.iter().map(|word| word.as_str()).collect();
        report
            .error(at, format!("{rule}it does nothing: expected `do`, `set` or both"))
            .help(format!("add `do:` with one of {}", words.join(", ")));
    }
    if let Some(Value::Map(entries)) = node.get("set").and_then(|set| set.get("attributes")).map(|attributes| &attributes.value) {
        for entry in entries {
            if let Err(wanted) = canonical(&entry.key, entry.node.to_json()) {
                report.error(entry.node.span, format!("{rule}attribute {} must be {wanted}", quote(&entry.key)));
            }
        }
    }
    when
}

/// `into` of a rule, which is asked only where its `when` holds.
fn into_of(text: &str, when: Option<&Expression>) -> Result<Expression, Vec<Mistake>> {
    match when {
        Some(when) => Expression::compile_where(text, &Vocabulary::rules(), Wanted::Text, when),
        None => Expression::compile(text, &Vocabulary::rules(), Wanted::Text),
    }
}

/// Reports every mistake in an expression at its place in the file, and what it will hardly be meant to do.
pub(super) fn check_expression(
    node: &Node,
    before: &str,
    source: &str,
    report: &mut Report,
    compile: impl FnOnce(&str) -> Result<Expression, Vec<Mistake>>,
) -> Option<Expression> {
    let (mistakes, expression) = match compile(node.text().filter(|text| !text.trim().is_empty())?) {
        Ok(expression) => (Vec::new(), Some(expression)),
        Err(mistakes) => (mistakes, None),
    };
    for Mistake { at, text, help } in mistakes {
        let error = report.error(locate(source, node, &at), format!("{before}{text}"));
        if let Some(help) = help {
            error.help(help);
        }
    }
    for Mistake { at, text, help } in expression.iter().flat_map(Expression::doubts).cloned() {
        let warning = report.warning(locate(source, node, &at), format!("{before}{text}"));
        if let Some(help) = help {
            warning.help(help);
        }
    }
    expression
}

/// A value in the form that its attribute has in the ledger, or what it must be. Lists and mappings of a wrong type are the schema's to tell.
fn canonical(name: &str, value: Json) -> Result<Json, &'static str> {
    if AttributeName::is_ownership(name) {
        return match value {
            Json::String(text) if !text.trim().is_empty() => Ok(Json::String(text.trim().to_owned())),
            Json::Null => Ok(Json::Null),
            _ => Err("a text that is not blank"),
        };
    }
    match AttributeName::kind(name) {
        Some(kind) => attributes::canonical(kind, name, value).map_err(|wrong| wrong.wanted),
        None => Ok(value),
    }
}

/// The rules of the presets that are listed, and then the configuration's own, in the order in which they are asked; `None` where one cannot be
/// made, which is reported.
pub(super) fn convert(
    presets: &[PresetName],
    raw: Vec<RawRule>,
    lifecycle: Option<&Node>,
    report: &mut Report,
) -> Option<(Rules, BTreeMap<String, Place>)> {
    let nodes = lifecycle.and_then(|node| node.get("rules")).map_or(&[][..], Node::items);
    let mut placed = convert_list(raw, nodes, Origin::Configuration, report)?;
    for preset in presets {
        match presets::load(preset.0) {
            Ok(rules) => placed.extend(rules),
            Err(errors) => {
                report.error(Span::START, format!("preset `{preset}` cannot be read: {errors}"));
            }
        }
    }
    let places = placed.iter().map(|placed| (placed.rule.name.clone(), placed.place.clone())).collect();
    Some((placed.into_iter().map(|placed| placed.rule).collect(), places))
}

/// `None` where an expression does not compile.
fn convert_list(raw: Vec<RawRule>, nodes: &[Node], origin: Origin, report: &Report) -> Option<Vec<PlacedRule>> {
    let one = |(raw, node): (RawRule, &Node)| {
        let when = Expression::compile(&raw.when.0.0, &Vocabulary::rules(), Wanted::Condition).ok()?;
        let into = match &raw.into {
            Some(into) => Some(into_of(&into.0.0, Some(&when)).ok()?),
            None => None,
        };
        let action = raw.action.map(|action| match ActionWord::from(action) {
            ActionWord::Record => Action::Record,
            ActionWord::Defer => Action::Defer,
            ActionWord::Fold => Action::Fold { into: into.map(Box::new) },
            ActionWord::Ignore => Action::Ignore,
        });
        let set = raw.set.unwrap_or_default();
        let set = Settings {
            min_age: set.min_age.map(|age| age.0.0),
            confirm_missing: set.confirm_missing,
            retire_after: set.retire_after.map(|time| time.0.0),
            purge_after: set.purge_after.map(|time| time.0.0),
            min_dwell: set.min_dwell.map(|time| time.0.0),
            flag: set.flag.map(|flag| flag.0.0),
            attributes: set
                .attributes
                .into_iter()
                .filter_map(|(name, value)| Some((canonical(&name, value.0).ok()?, name)))
                .map(|(value, name)| (name, value))
                .collect(),
        };
        let place = report.place(node.get("name").map_or(node.span, |node| node.span).start);
        Some(PlacedRule { rule: Rule { name: raw.name.0.0, origin, when, action, set }, place })
    };
    raw.into_iter().zip(nodes).map(one).collect()
}

/// A duration as the configuration writes it.
#[must_use]
pub fn duration(duration: Duration) -> String {
    AnyDuration(duration).to_string()
}

/// A duration, or `never`, as the configuration writes it.
#[must_use]
pub fn duration_or_never(duration: Option<Duration>) -> String {
    DurationOrNever(duration).to_string()
}

/// What a rule sets, as the configuration writes it.
#[must_use]
pub fn settings_document(settings: &Settings) -> Map<String, Json> {
    let Settings { min_age, confirm_missing, retire_after, purge_after, min_dwell, flag, attributes } = settings;
    let mut set = Map::new();
    let mut put = |name: &str, value: Option<Json>| set.extend(value.map(|value| (name.to_owned(), value)));
    put("min_age", min_age.map(duration).map(Json::from));
    put("confirm_missing", confirm_missing.map(Json::from));
    put("retire_after", retire_after.map(duration).map(Json::from));
    put("purge_after", purge_after.map(duration_or_never).map(Json::from));
    put("min_dwell", min_dwell.map(duration).map(Json::from));
    put("flag", flag.as_deref().map(Json::from));
    put("attributes", (!attributes.is_empty()).then(|| json!(attributes)));
    set
}

/// All of a rule that decides what it does, for the configuration's digest.
pub(super) fn digested(rule: &Rule) -> Json {
    let preset = match rule.origin {
        Origin::Preset(name) => Some(name),
        Origin::Configuration => None,
    };
    let (word, into) = rule.action.as_ref().map(Action::written).unzip();
    json!({ "name": rule.name, "preset": preset, "when": rule.when.source(), "do": word, "into": into, "set": settings_document(&rule.set) })
}

#[cfg(test)]
mod tests;
