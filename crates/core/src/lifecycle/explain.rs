//! Why a resource stands where it stands, and what will happen next.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::decide::{born, due_by_time};
use super::outlook::{Outlook, outlasts_its_end, waits_for_revival};
use super::policy::{Policy, Timers};
use super::words::{after, spelt};
use crate::estate::{Disposition, Estate, Known, KnownScope, Stage, covering};
use crate::inventory::members_scope;
use crate::model::{Key, Kind, Outcome, RelationType, Scope, vocabulary};
use crate::rules::{Action, ActionWord, DEFAULT, GROUP_UNREAD, Rule, Settings, Verdict};

vocabulary! {
    /// What one rule said of a resource.
    RuleOutcome, "rule outcome" {
        /// Its condition holds.
        Matched => "matched",
        /// Its condition does not hold.
        NotMatched => "not_matched",
        /// It could not be evaluated.
        Failed => "failed",
    }
}

/// One rule's part in an explanation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleTrace {
    /// Its name; `default` for the configured defaults.
    pub name: String,
    /// What it said.
    pub outcome: RuleOutcome,
    /// Why it could not be asked, where it could not.
    pub text: Option<String>,
    /// What it does where it matches; nothing where it only sets.
    #[serde(rename = "do")]
    pub action: Option<ActionWord>,
    /// What it sets where it matches, in the configuration's spelling; `attributes` by name.
    pub set: BTreeMap<&'static str, Value>,
}

/// One running timer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Timer {
    /// Its name, as in the configuration.
    pub name: &'static str,
    /// When it is due; `None` where it counts something else than time.
    pub due: Option<Timestamp>,
}

/// One fact's evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Group of attributes (`attributes`, `addresses`), or relation type.
    pub fact: String,
    /// The scope that proves it: provider, account, region, kind.
    pub scope: String,
    /// How that scope's latest listing ended; `None` where there was none.
    pub outcome: Option<Outcome>,
    /// When.
    pub at: Option<Timestamp>,
}

/// All that explains one resource. Its serde form is the document of `dewpoint explain`, without `schema_version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The resource.
    pub key: Key,
    /// What the rules decided.
    pub disposition: Disposition,
    /// Since when.
    pub disposition_since: Timestamp,
    /// Where it stands.
    pub stage: Stage,
    /// Since when.
    pub stage_since: Timestamp,
    /// Why.
    pub because: Because,
    /// Every rule, in order.
    pub rules: Vec<RuleTrace>,
    /// Running timers.
    pub timers: Vec<Timer>,
    /// What will happen next and when, in words.
    pub next: String,
    /// What proves its facts.
    pub evidence: Vec<Evidence>,
    /// How long after its delivered retirement its record is removed, where a target purges; `None` for never.
    #[serde(skip)]
    pub purge_after: Option<Duration>,
}

/// Why a resource stands where it stands, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Because {
    /// Why its disposition is what it is: a rule, a machine, or what keeps it from what the rules want.
    pub disposition: String,
    /// Why its stage is what it is.
    pub stage: String,
}

/// Explains one resource as the ledger knows it; `None` for an unknown key. Timers of records at targets (purge) are theirs to add.
#[must_use]
pub fn explain(estate: &Estate, key: &Key, policy: &Policy, at: Timestamp) -> Option<Explanation> {
    let known = estate.resources.get(key)?;
    let mut rules = Vec::new();
    let trace = |rule: &Rule, outcome, text: Option<&str>| {
        let text = text.map(str::to_owned);
        // A fold that matches what is no machine only sets.
        let decides = |action: &&Action| outcome != RuleOutcome::Matched || action.speaks_of(known.resource.kind);
        rules.push(RuleTrace {
            name: rule.name.clone(),
            outcome,
            text,
            action: rule.action.as_ref().filter(decides).map(Action::word),
            set: set_by(&rule.set),
        });
    };
    let verdict = policy.judge_one(estate, key, at, trace)?;
    let set = settings(&policy.timers);
    let action = Some(ActionWord::Record);
    rules.push(RuleTrace { name: DEFAULT.to_owned(), outcome: RuleOutcome::Matched, text: None, action, set });
    let is_unread = |rule: &&RuleTrace| rule.text.as_deref() == Some(GROUP_UNREAD) && !rule.set.is_empty();
    let unread = rules.iter().find(is_unread).map(|rule| rule.name.clone());
    let outlook = Outlook::new(estate, known, &verdict, unread.as_deref(), policy, at);
    let mut timers = timers(known, &verdict);
    timers.extend(outlook.grows_until().map(|due| Timer { name: "min_age", due: Some(due) }));
    timers.extend(outlook.dwells_until().map(|due| Timer { name: "min_dwell", due: Some(due) }));
    Some(Explanation {
        key: key.clone(),
        disposition: known.disposition,
        disposition_since: known.disposition_since,
        stage: known.stage,
        stage_since: known.stage_since,
        because: Because { disposition: outlook.why_disposition(), stage: outlook.why_stage() },
        timers,
        next: outlook.next(at),
        evidence: evidence(estate, key, known),
        purge_after: verdict.timers.purge_after,
        rules,
    })
}

/// The timers that run for a resource now, without those of its records.
fn timers(known: &Known, verdict: &Verdict) -> Vec<Timer> {
    let timers = &*verdict.timers;
    let timer = |name, due| Timer { name, due: Some(due) };
    match (known.stage, &known.end) {
        (Stage::Deferred, _) if known.resource.kind == Kind::Instance && verdict.disposition == Disposition::Record => {
            vec![timer("min_age", after(born(known), timers.min_age))]
        }
        (Stage::Missing, _) => {
            vec![Timer { name: "confirm_missing", due: None }, timer("retire_after", due_by_time(known, timers))]
        }
        (Stage::Retired, Some(end)) if waits_for_revival(known) => vec![timer("min_dwell", after(end.at, timers.min_dwell))],
        _ => outlasts_its_end(known, verdict).map(|due| timer("retire_after", due)).into_iter().collect(),
    }
}

fn settings(timers: &Timers) -> BTreeMap<&'static str, Value> {
    let Timers { min_age, confirm_missing, retire_after, purge_after, min_dwell } = timers.clone();
    set_by(&Settings {
        min_age: Some(min_age),
        confirm_missing: Some(confirm_missing),
        retire_after: Some(retire_after),
        purge_after: Some(purge_after),
        min_dwell: Some(min_dwell),
        ..Settings::default()
    })
}

/// What a rule sets, in the configuration's spelling.
fn set_by(set: &Settings) -> BTreeMap<&'static str, Value> {
    let Settings { min_age, confirm_missing, retire_after, purge_after, min_dwell, flag, attributes } = set;
    let times = [("min_age", min_age), ("retire_after", retire_after), ("min_dwell", min_dwell)];
    let mut words: BTreeMap<&'static str, Value> =
        times.into_iter().filter_map(|(name, time)| Some((name, spelt((*time)?).into()))).collect();
    words.extend(confirm_missing.map(|count| ("confirm_missing", count.to_string().into())));
    words.extend(purge_after.map(|time| ("purge_after", time.map_or_else(|| "never".to_owned(), spelt).into())));
    words.extend(flag.clone().map(|flag| ("flag", flag.into())));
    words.extend((!attributes.is_empty()).then(|| ("attributes", attributes.clone().into_iter().collect())));
    words
}

fn evidence(estate: &Estate, key: &Key, known: &Known) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    if !known.resource.derived {
        evidence.push(proof("attributes", &known.resource.scope(), &estate.scopes));
    }
    if known.resource.kind == Kind::Instance {
        let interfaces = Scope { kind: Kind::NetworkInterface, ..known.resource.scope() };
        let scope = if covering(&estate.scopes, &interfaces).is_some() { interfaces } else { known.resource.scope() };
        evidence.push(proof("addresses", &scope, &estate.scopes));
    }
    let mut relations: Vec<(RelationType, Scope)> = estate
        .edges
        .iter()
        .filter(|(id, _)| id.from == *key || id.to == *key)
        .filter_map(|(id, edge)| {
            // What is derived follows from members: a service's edge from the tags of its other end, a fleet's from those folded into it.
            let end = if id.relation == RelationType::DependsOn { &id.to } else { id.proving_end() };
            let end = &estate.resources.get(end)?.resource;
            let is_fleet = edge.derived && end.kind == Kind::ScalingGroup;
            Some((id.relation, if is_fleet { members_scope(end) } else { end.scope() }))
        })
        .collect();
    relations.sort();
    relations.dedup();
    evidence.extend(relations.iter().map(|(relation, scope)| proof(relation.as_str(), scope, &estate.scopes)));
    evidence
}

fn proof(fact: &str, scope: &Scope, scopes: &BTreeMap<Scope, KnownScope>) -> Evidence {
    let known = covering(scopes, scope);
    Evidence {
        fact: fact.to_owned(),
        scope: known.map_or(scope, |(scope, _)| scope).to_string(),
        outcome: known.map(|(_, known)| known.receipt.outcome),
        at: known.map(|(_, known)| known.at),
    }
}
