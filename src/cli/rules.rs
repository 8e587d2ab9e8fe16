//! `dewpoint rules`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::args::RulesCommand;
use super::output::CommandError;
use super::{App, config_errors};
use crate::config::Config;
use crate::config::rules::{Case, FROZEN, duration, duration_or_never, load_cases, settings_document};
use crate::estate::Disposition;
use crate::exit::Exit;
use crate::expression::Subject;
use crate::lifecycle::{RuleOutcome, Timers};
use crate::model::Kind;
use crate::rules::{DEFAULT, Fleet, Origin, Rule, Verdict};
use crate::told;
use crate::words::plain;

/// One rule, as `rules show` tells it.
#[derive(Serialize)]
struct RuleDocument<'a> {
    name: &'a str,
    origin: OriginDocument<'a>,
    when: &'a str,
    r#do: Option<&'a str>,
    into: Option<&'a str>,
    set: Map<String, Value>,
}

/// Where a rule comes from.
#[derive(Serialize)]
struct OriginDocument<'a> {
    /// The preset, if it is one's.
    preset: Option<&'a str>,
    file: &'a str,
    line: usize,
    column: usize,
}

/// The timers, as the configuration writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct TimersDocument {
    min_age: String,
    confirm_missing: u32,
    retire_after: String,
    purge_after: String,
    min_dwell: String,
}

impl TimersDocument {
    fn of(timers: &Timers) -> Self {
        let Timers { min_age, confirm_missing, retire_after, purge_after, min_dwell } = timers;
        Self {
            min_age: duration(*min_age),
            confirm_missing: *confirm_missing,
            retire_after: duration(*retire_after),
            purge_after: duration_or_never(*purge_after),
            min_dwell: duration(*min_dwell),
        }
    }
}

/// What became of one case.
#[derive(Serialize)]
struct CaseDocument<'a> {
    name: &'a str,
    line: usize,
    outcome: &'static str,
    differences: Vec<Difference>,
    verdict: VerdictDocument,
    rules: Vec<RuleOutcomeDocument>,
}

/// What was expected, and what the rules say.
#[derive(Serialize)]
struct Difference {
    field: String,
    expected: Value,
    got: Value,
}

/// What the rules say of a resource.
#[derive(Serialize)]
struct VerdictDocument {
    disposition: &'static str,
    rule: String,
    fleet: Option<String>,
    flag: Option<String>,
    timers: TimersDocument,
    attributes: BTreeMap<String, Value>,
    failure: Option<Value>,
}

#[derive(Serialize)]
struct RuleOutcomeDocument {
    name: String,
    outcome: RuleOutcome,
}

impl App {
    /// Shows the rules, tests them, or replays the past through them.
    pub(super) async fn rules(&self, command: &RulesCommand) -> Result<u8, CommandError> {
        match command {
            RulesCommand::Show => self.rules_show(&self.config()?).map(|()| Exit::Done.code()),
            RulesCommand::Test { file } => self.rules_test(&self.config()?, file),
            RulesCommand::Backtest { since, against } => self.rules_backtest(*since, against.as_deref()).await.map(|()| Exit::Done.code()),
        }
    }

    fn rules_show(&self, config: &Config) -> Result<(), CommandError> {
        let rules: Vec<RuleDocument<'_>> = config.lifecycle.rules.iter().map(|rule| document(rule, config)).collect();
        let defaults = TimersDocument::of(&config.lifecycle.defaults);
        self.output.answer(&json!({ "defaults": defaults, "rules": rules }), || show_text(&rules, &defaults))
    }

    fn rules_test(&self, config: &Config, file: &Path) -> Result<u8, CommandError> {
        let names: BTreeSet<&str> = config.lifecycle.rules.iter().map(|rule| rule.name.as_str()).collect();
        let cases = load_cases(file, &names).map_err(|errors| config_errors(&errors, "cases", self.output.colour))?;
        let results: Vec<CaseDocument<'_>> = cases.iter().map(|case| test(case, config)).collect();
        let failed = results.iter().filter(|case| !case.differences.is_empty()).count();
        let document = json!({ "cases": results, "passed": results.len() - failed, "failed": failed });
        self.output.answer(&document, || test_text(&results, failed))?;
        Ok(if failed == 0 { Exit::Done.code() } else { Exit::Failed.code() })
    }
}

fn document<'a>(rule: &'a Rule, config: &'a Config) -> RuleDocument<'a> {
    let (word, into) = rule.action.as_ref().map(|action| action.written()).unzip();
    let place = config.lifecycle.places.get(&rule.name);
    let preset = match rule.origin {
        Origin::Preset(name) => Some(name),
        Origin::Configuration => None,
    };
    RuleDocument {
        name: &rule.name,
        origin: OriginDocument {
            preset,
            file: place.map_or("", |place| &place.file),
            line: place.map_or(0, |place| place.position.line),
            column: place.map_or(0, |place| place.position.column),
        },
        when: rule.when.source(),
        r#do: word.map(|word| word.as_str()),
        into: into.flatten(),
        set: settings_document(&rule.set),
    }
}

fn show_text(rules: &[RuleDocument<'_>], defaults: &TimersDocument) -> String {
    let mut text = String::new();
    for rule in rules {
        let OriginDocument { preset, file, line, .. } = &rule.origin;
        let origin = preset.map_or_else(|| format!("{file}:{line}"), |preset| format!("preset {preset}"));
        let _ = writeln!(text, "{}  ({origin})", told::printable(rule.name));
        let mut row = |name: &str, value: &str| {
            let mut lines = value.trim_end().lines();
            let _ = writeln!(text, "  {name:<5} {}", told::printable(lines.next().unwrap_or_default()));
            for line in lines {
                let _ = writeln!(text, "        {}", told::printable(line));
            }
        };
        row("when", rule.when);
        if let Some(word) = rule.r#do {
            row("do", word);
        }
        if let Some(into) = rule.into {
            row("into", into);
        }
        if !rule.set.is_empty() {
            row("set", &list(&rule.set));
        }
    }
    let TimersDocument { min_age, confirm_missing, retire_after, purge_after, min_dwell } = defaults;
    let _ = writeln!(
        text,
        "{DEFAULT}\n  do    record\n  set   min_age {min_age}, confirm_missing {confirm_missing}, retire_after {retire_after}, purge_after {purge_after}, min_dwell {min_dwell}"
    );
    text
}

/// `name value, name value`; of attributes each by itself.
fn list(set: &Map<String, Value>) -> String {
    let attributes = set.get("attributes").and_then(Value::as_object).into_iter().flatten();
    let own = set.iter().filter(|(name, _)| *name != "attributes").map(|(name, value)| format!("{name} {}", plain(value)));
    own.chain(attributes.map(|(name, value)| format!("{name} = {}", plain(value)))).collect::<Vec<_>>().join(", ")
}

/// Asks the rules about a case, and compares.
fn test<'a>(case: &'a Case, config: &Config) -> CaseDocument<'a> {
    let default = Verdict::default_of(Arc::new(config.lifecycle.defaults.clone()));
    let subject = Subject::new(&case.known, case.group.as_ref(), case.has_ci, case.at);
    let mut rules = Vec::new();
    let verdict = config.lifecycle.rules.judge(&subject, &default, |rule, outcome, _| {
        rules.push(RuleOutcomeDocument { name: rule.name.clone(), outcome });
    });
    let names = fleet_names(&verdict, case);
    let document = VerdictDocument {
        disposition: disposition(&verdict, case),
        rule: verdict.rule.to_string(),
        fleet: names.first().cloned(),
        flag: verdict.flag.as_deref().map(str::to_owned),
        timers: TimersDocument::of(&verdict.timers),
        attributes: verdict.attributes.clone(),
        failure: verdict.failure.as_ref().map(|failure| json!({ "rule": failure.rule, "text": failure.text })),
    };
    let differences = differences(case, &document, &names);
    CaseDocument {
        name: &case.name,
        line: case.place.position.line,
        outcome: if differences.is_empty() { "ok" } else { "failed" },
        differences,
        verdict: document,
        rules,
    }
}

/// As a sync decides: a machine that the rules would record waits for its age, and one that was recorded is not deferred any more.
fn disposition(verdict: &Verdict, case: &Case) -> &'static str {
    if verdict.freezes() {
        return FROZEN;
    }
    let has_record = case.has_ci && case.known.disposition != Disposition::Defer;
    let born = case.known.resource.created_at.unwrap_or(case.known.life_since);
    let age = std::time::Duration::try_from(case.at.duration_since(born)).unwrap_or_default();
    let is_young = case.known.resource.kind == Kind::Instance && age < verdict.timers.min_age;
    match verdict.disposition {
        Disposition::Record if is_young && !has_record => Disposition::Defer.as_str(),
        Disposition::Defer if has_record => case.known.disposition.as_str(),
        wanted => wanted.as_str(),
    }
}

/// What the fleet goes by that a machine is folded into: of a scaling group its name, its id and its key. Empty where it is folded into none.
fn fleet_names(verdict: &Verdict, case: &Case) -> Vec<String> {
    match (&verdict.fleet, &case.group) {
        (None, _) => Vec::new(),
        (Some(Fleet::Named(name)), _) => vec![name.clone()],
        (Some(Fleet::Group(_)), Some(group)) => {
            let ids = [group.native_id.clone(), group.key.to_string()];
            group.name.iter().cloned().chain(ids).collect()
        }
        (Some(Fleet::Group(key)), None) => vec![key.to_string()],
    }
}

fn differences(case: &Case, verdict: &VerdictDocument, fleet: &[String]) -> Vec<Difference> {
    let mut all = Vec::new();
    let mut compare = |field: &str, expected: Option<Value>, got: Value| {
        if let Some(expected) = expected.filter(|expected| *expected != got) {
            all.push(Difference { field: field.to_owned(), expected, got });
        }
    };
    let expected = &case.expected;
    let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
    compare("disposition", expected.disposition.map(Value::from), verdict.disposition.into());
    compare("rule", expected.rule.as_deref().map(Value::from), verdict.rule.as_str().into());
    let is_fleet = |wanted: &Option<String>| wanted.as_ref().is_some_and(|wanted| fleet.contains(wanted));
    compare("fleet", expected.fleet.as_ref().filter(|wanted| !is_fleet(wanted)).map(text), text(&verdict.fleet));
    compare("flag", expected.flag.as_ref().map(text), text(&verdict.flag));
    let timers = &verdict.timers;
    compare("timers.min_age", expected.min_age.map(|time| duration(time).into()), timers.min_age.as_str().into());
    compare("timers.confirm_missing", expected.confirm_missing.map(Value::from), timers.confirm_missing.into());
    compare("timers.retire_after", expected.retire_after.map(|time| duration(time).into()), timers.retire_after.as_str().into());
    compare("timers.purge_after", expected.purge_after.map(|time| duration_or_never(time).into()), timers.purge_after.as_str().into());
    compare("timers.min_dwell", expected.min_dwell.map(|time| duration(time).into()), timers.min_dwell.as_str().into());
    for (name, value) in &expected.attributes {
        compare(&format!("attributes.{name}"), Some(value.clone()), verdict.attributes.get(name).cloned().unwrap_or_default());
    }
    all
}

fn test_text(results: &[CaseDocument<'_>], failed: usize) -> String {
    let mut text = String::new();
    for case in results {
        let _ = writeln!(text, "{:<7} {}", case.outcome, told::printable(case.name));
        if case.differences.is_empty() {
            continue;
        }
        for Difference { field, expected, got } in &case.differences {
            let _ = writeln!(text, "          {field}: expected {}, got {}", plain(expected), plain(got));
        }
        let matched: Vec<&str> =
            case.rules.iter().filter(|rule| rule.outcome == RuleOutcome::Matched).map(|rule| rule.name.as_str()).collect();
        let matched = if matched.is_empty() { "none".to_owned() } else { matched.join(", ") };
        let _ = writeln!(text, "          rules that matched: {}", told::printable(&matched));
        if let Some(failure) = &case.verdict.failure {
            let part = |name: &str| failure.get(name).map(plain).unwrap_or_default();
            let _ = writeln!(text, "          rule {} failed: {}", part("rule"), part("text"));
        }
    }
    let _ = match failed {
        0 => writeln!(text, "{}: all as expected", told::count(results.len(), "case", "cases")),
        _ => writeln!(text, "{}: {failed} not as expected", told::count(results.len(), "case", "cases")),
    };
    text
}
