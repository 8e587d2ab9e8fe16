//! Why a resource stands where it stands, and what will happen next.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::decide::{born, due_by_time, is_due};
use super::policy::{Policy, Timers};
use super::words::{after, listings, spelt};
use crate::estate::{Disposition, Estate, Known, KnownScope, Stage, covering};
use crate::inventory::{members_scope, unlisted_members};
use crate::model::{Key, Kind, Outcome, RelationType, Scope, Vital, vocabulary};
use crate::rules::{DEFAULT, Failure, Rule, Settings, Verdict};
use crate::told;

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
    /// What it sets, in the configuration's spelling.
    pub set: BTreeMap<&'static str, String>,
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
    /// Where it stands.
    pub stage: Stage,
    /// Every rule, in order.
    pub rules: Vec<RuleTrace>,
    /// Running timers.
    pub timers: Vec<Timer>,
    /// What will happen next and when, in words.
    pub next: String,
    /// What proves its facts.
    pub evidence: Vec<Evidence>,
}

/// Explains one resource as the ledger knows it; `None` for an unknown key. Timers of records at targets (purge) are theirs to add.
#[must_use]
pub fn explain(estate: &Estate, key: &Key, policy: &Policy, at: Timestamp) -> Option<Explanation> {
    let known = estate.resources.get(key)?;
    let mut rules = Vec::new();
    let trace = |rule: &Rule, outcome| rules.push(RuleTrace { name: rule.name.clone(), outcome, set: set_by(&rule.set) });
    let verdict = policy.judge_one(estate, key, at, trace)?;
    rules.push(RuleTrace { name: DEFAULT.to_owned(), outcome: RuleOutcome::Matched, set: settings(&policy.timers) });
    Some(Explanation {
        key: key.clone(),
        disposition: known.disposition,
        stage: known.stage,
        rules,
        timers: timers(known, &verdict.timers),
        next: next(estate, known, &verdict, at),
        evidence: evidence(estate, key, known),
    })
}

/// The timers that run for a resource now.
#[must_use]
pub fn timers(known: &Known, timers: &Timers) -> Vec<Timer> {
    let timer = |name, due| Timer { name, due: Some(due) };
    match (known.stage, &known.end) {
        (Stage::Deferred, _) if known.resource.kind == Kind::Instance => vec![timer("min_age", after(born(known), timers.min_age))],
        (Stage::Missing, _) => {
            vec![Timer { name: "confirm_missing", due: None }, timer("retire_after", due_by_time(known, timers))]
        }
        (Stage::Retired, Some(end)) if end.cause.is_stated_of_it() && known.missing == 0 && known.resource.vital() != Vital::Ended => {
            vec![timer("min_dwell", after(end.at, timers.min_dwell))]
        }
        _ => Vec::new(),
    }
}

fn settings(timers: &Timers) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("min_age", spelt(timers.min_age)),
        ("confirm_missing", timers.confirm_missing.to_string()),
        ("retire_after", spelt(timers.retire_after)),
        ("purge_after", timers.purge_after.map_or_else(|| "never".to_owned(), spelt)),
        ("min_dwell", spelt(timers.min_dwell)),
    ])
}

/// What a rule sets, in the configuration's spelling.
fn set_by(set: &Settings) -> BTreeMap<&'static str, String> {
    let mut words = BTreeMap::new();
    let timers = [("min_age", set.min_age), ("retire_after", set.retire_after), ("min_dwell", set.min_dwell)];
    words.extend(timers.into_iter().filter_map(|(name, timer)| Some((name, spelt(timer?)))));
    words.extend(set.confirm_missing.map(|count| ("confirm_missing", count.to_string())));
    words.extend(set.purge_after.map(|timer| ("purge_after", timer.map_or_else(|| "never".to_owned(), spelt))));
    words.extend(set.flag.clone().map(|flag| ("flag", flag)));
    words
}

fn next(estate: &Estate, known: &Known, verdict: &Verdict, at: Timestamp) -> String {
    if let Some(Failure { rule, text, freezes: true }) = &verdict.failure {
        return format!("nothing: frozen, because rule `{rule}` could not be asked: {text}");
    }
    let timers = &*verdict.timers;
    match known.stage {
        Stage::Deferred if verdict.is_group_unread => {
            "decided when scaling groups are listed: whether it is in one could not be read".to_owned()
        }
        Stage::Deferred if known.resource.kind == Kind::Instance => {
            let due = told::time(after(born(known), timers.min_age));
            format!("recorded when a listing shows it at {due} or later, {} after its birth", spelt(timers.min_age))
        }
        Stage::Deferred => "recorded together with the machine that it ends with".to_owned(),
        Stage::Active | Stage::Inactive => "nothing, as long as listings show it unchanged".to_owned(),
        Stage::Missing => next_of_missing(estate, known, timers, at),
        Stage::Retired | Stage::Purged
            if known.end.as_ref().is_some_and(|end| end.cause.is_stated_of_it())
                && known.missing == 0
                && known.resource.vital() != Vital::Ended =>
        {
            "revived when a look-up shows it, min_dwell after its end: a listing still shows it".to_owned()
        }
        Stage::Retired | Stage::Purged => "nothing; it is revived if it is seen again".to_owned(),
    }
}

fn next_of_missing(estate: &Estate, known: &Known, timers: &Timers, at: Timestamp) -> String {
    let own = if known.resource.derived {
        unlisted_members(&estate.resources, &estate.edges, &estate.scopes, &known.resource.key)
    } else {
        Some(known.resource.scope())
    };
    if let Some(own) = own {
        match estate.covering(&own).map(|(scope, known)| (scope, known.receipt.outcome)) {
            Some((_, Outcome::Complete)) => {}
            Some((scope, outcome)) => return format!("nothing: frozen, because {scope} is {outcome}"),
            None => return format!("nothing: frozen, because {own} has never been listed"),
        }
    }
    if is_due(known, timers, at) {
        return "retired when the next run's look-up says gone and no guardrail holds it".to_owned();
    }
    let left = timers.confirm_missing.max(1).saturating_sub(known.missing);
    let due = due_by_time(known, timers);
    let time = (due > at).then(|| format!("not before {}", told::time(due)));
    let count = (left > 0).then(|| format!("after {} more without it", listings(left)));
    let conditions: Vec<String> = count.into_iter().chain(time).collect();
    format!("proposed for retirement {}, unless it is seen", conditions.join(" and "))
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
