//! `dewpoint rules backtest`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::args::Since;
use super::output::CommandError;
use super::sync::run_error;
use super::{App, config_errors, ledger_error, table, warn_of};
use crate::backtest::{Difference, Fate, Outcome, Recording, RuleTally, Terms, differences, replay};
use crate::config::{self, Config};
use crate::lifecycle::Policy;
use crate::model::Kind;
use crate::rules::DEFAULT;
use crate::run::recording::recording;
use crate::told;

/// Differences that are listed unless `-v` asks for all.
const LISTED: usize = 20;

/// What a replay came to.
#[derive(Serialize)]
struct Document {
    /// The first run that was replayed.
    since: Timestamp,
    /// The last.
    until: Timestamp,
    runs: usize,
    current: Outcome,
    against: Option<Against>,
    differences: Vec<Difference>,
}

#[derive(Serialize)]
struct Against {
    file: String,
    #[serde(flatten)]
    outcome: Outcome,
}

impl App {
    /// Replays the journal through the rules, and through those of another configuration.
    pub(super) async fn rules_backtest(&self, since: Since, against: Option<&Path>) -> Result<(), CommandError> {
        let (config, ledger) = self.reading().await?;
        let other = against.map(config::load).transpose();
        let other = other.map_err(|errors| config_errors(&errors, "configuration", self.output.colour))?;
        other.iter().for_each(warn_of);
        let last = ledger.runs(1).await.map_err(ledger_error)?.into_iter().next();
        let last = last.ok_or_else(|| CommandError::usage("no sync is in the ledger yet, so there is nothing to replay"))?;
        let from = match since {
            Since::At(at) => at,
            Since::Before(time) => before(last.started_at, time),
        };
        let recording = recording(&*ledger, from).await.map_err(run_error)?;
        let (Some(since), Some(until)) = (recording.since(), recording.until()) else {
            let hint = format!("the last one was at {}; `journal_keep` says how long they are remembered", told::time(last.started_at));
            return Err(CommandError::usage(format!("no sync since {} is in the ledger", told::time(from))).hint(hint));
        };
        tracing::info!("Replaying {} since {}", told::count(recording.len(), "sync", "syncs"), told::time(since));
        let (current, outcome) = replay_both(Arc::new(recording), terms(&config), other.as_ref().map(terms)).await?;
        let differences = outcome.as_ref().map(|(outcome, _)| differences(&current.0, outcome)).unwrap_or_default();
        let against = against.zip(outcome).map(|(file, (outcome, _))| Against { file: file.display().to_string(), outcome });
        let (current, runs) = current;
        let document = Document { since, until, runs, current, against, differences };
        self.output.answer(&document, || text(&document, self.output.verbose > 0))
    }
}

fn before(at: Timestamp, time: std::time::Duration) -> Timestamp {
    SignedDuration::try_from(time).ok().and_then(|time| at.checked_sub(time).ok()).unwrap_or(Timestamp::MIN)
}

/// What of a configuration decides about records.
fn terms(config: &Config) -> Terms {
    let policy = Policy { timers: config.lifecycle.defaults.clone(), rules: config.lifecycle.rules.clone() };
    let kinds: BTreeSet<Kind> = config.targets.iter().flat_map(|target| target.include.kinds.iter().copied()).collect();
    Terms { policy, ownership: config.ownership.clone(), kinds }
}

type Replayed = (Outcome, usize);

/// Both replays, side by side, each with the number of its runs.
async fn replay_both(
    recording: Arc<Recording>,
    current: Terms,
    against: Option<Terms>,
) -> Result<(Replayed, Option<Replayed>), CommandError> {
    let start = |terms: Terms| {
        let recording = Arc::clone(&recording);
        tokio::task::spawn_blocking(move || (replay(&recording, &terms), recording.len()))
    };
    let (current, against) = (start(current), against.map(start));
    let failed = |error: tokio::task::JoinError| CommandError::failed(format!("the replay did not come to its end: {error}"));
    let current = current.await.map_err(failed)?;
    let against = match against {
        Some(against) => Some(against.await.map_err(failed)?),
        None => None,
    };
    Ok((current, against))
}

fn text(document: &Document, verbose: bool) -> String {
    let Document { since, until, runs, current, against, differences } = document;
    let mut text = format!(
        "{} from {} to {}, replayed without guardrails\n\n",
        told::count(*runs, "sync", "syncs"),
        told::time(*since),
        told::time(*until)
    );
    let outcomes: Vec<&Outcome> = std::iter::once(current).chain(against.as_ref().map(|against| &against.outcome)).collect();
    let mut head = vec![String::new(), "AS IT STANDS".to_owned()];
    head.extend(against.as_ref().map(|against| told::printable(&against.file).into_owned()));
    text.push_str(&sums(&head, &outcomes));
    text.push('\n');
    text.push_str(&rules(&head, &outcomes));
    for (outcome, whose) in outcomes.iter().zip(head.iter().skip(1)) {
        for (what, keys) in [("created and retired within a day", &outcome.short_lived), ("retired and seen again", &outcome.too_early)] {
            if verbose && !keys.is_empty() {
                let _ = writeln!(text, "\n{what} ({whose}):");
                for key in keys {
                    let _ = writeln!(text, "  {key}");
                }
            }
        }
    }
    if against.is_some() {
        text.push('\n');
        text.push_str(&differing(differences, if verbose { usize::MAX } else { LISTED }));
    }
    text
}

fn sums(head: &[String], outcomes: &[&Outcome]) -> String {
    let mut rows = vec![head.to_vec()];
    let mut row = |name: &str, number: &dyn Fn(&Outcome) -> u64| {
        let numbers = outcomes.iter().map(|outcome| number(outcome).to_string());
        rows.push(std::iter::once(name.to_owned()).chain(numbers).collect());
    };
    let count = |keys: &BTreeSet<crate::model::Key>| keys.len() as u64;
    row("records before", &|outcome| outcome.records.before);
    row("created", &|outcome| outcome.records.created);
    row("revived", &|outcome| outcome.records.revived);
    row("retired", &|outcome| outcome.records.retired);
    row("retired by a rule", &|outcome| outcome.records.retired_by_rule);
    row("records after", &|outcome| outcome.records.after);
    let kinds: BTreeSet<Kind> = outcomes.iter().flat_map(|outcome| outcome.records.by_kind.keys().copied()).collect();
    for kind in kinds {
        row(&format!("  {kind}"), &|outcome| outcome.records.by_kind.get(&kind).copied().unwrap_or_default());
    }
    row("avoided: deferred", &|outcome| outcome.avoided.deferred);
    row("avoided: folded", &|outcome| outcome.avoided.folded);
    row("avoided: ignored", &|outcome| outcome.avoided.ignored);
    row("created and retired within a day", &|outcome| count(&outcome.short_lived));
    row("retired and seen again", &|outcome| count(&outcome.too_early));
    row("frozen by a rule that failed", &|outcome| outcome.frozen);
    table(&rows)
}

/// How often each rule spoke: those of the first configuration in their order, then those that only the second has, and last the default.
fn rules(head: &[String], outcomes: &[&Outcome]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for rule in outcomes.iter().flat_map(|outcome| &outcome.rules) {
        if !names.contains(&rule.name.as_str()) {
            names.push(&rule.name);
        }
    }
    names.sort_by_key(|name| *name == DEFAULT);
    let mut first = vec!["RULE (DECIDED/MATCHED/FAILED)".to_owned()];
    first.extend(head.iter().skip(1).cloned());
    let mut rows = vec![first];
    for name in names {
        let cell = |outcome: &&Outcome| match outcome.rules.iter().find(|rule| rule.name == name) {
            Some(RuleTally { decided, matched, failed, .. }) => format!("{decided}/{matched}/{failed}"),
            None => "-".to_owned(),
        };
        rows.push(std::iter::once(told::printable(name).into_owned()).chain(outcomes.iter().map(cell)).collect());
    }
    table(&rows)
}

fn differing(differences: &[Difference], listed: usize) -> String {
    if differences.is_empty() {
        return "no resource's records differ\n".to_owned();
    }
    let mut text = format!("{} differ:\n", told::count(differences.len(), "resource's records", "resources' records"));
    for Difference { key, kind, name, differing, current, against } in differences.iter().take(listed) {
        let name = name.as_deref().map(|name| format!(" ({})", told::printable(name))).unwrap_or_default();
        let end = |fate: &Option<Fate>| {
            fate.as_ref().map_or_else(|| "not known".to_owned(), |fate| format!("{} ({})", fate.disposition, told::printable(&fate.rule)))
        };
        let _ = writeln!(text, "  {differing}: {kind} {key}{name}, from {} to {}", end(current), end(against));
    }
    if differences.len() > listed {
        let _ = writeln!(text, "  and {} more; `-v` lists all", differences.len() - listed);
    }
    text
}
