//! What a run tells while it goes on: bars for people, counts for the report.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dewpoint_servicenow::Meter as RequestMeter;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::model::{Outcome, Scope, SourceName};
use crate::source::Progress;

use super::setup::Requests;

/// Counts calls and waiting per source and target, and draws bars where a terminal listens.
pub struct Meter {
    counts: Arc<Counter>,
    bars: Option<MultiProgress>,
    pull: ProgressBar,
}

/// The counts alone, for who sends requests.
#[derive(Debug, Default)]
struct Counter(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    calls: BTreeMap<String, BTreeMap<String, u64>>,
    waited: BTreeMap<String, f64>,
}

impl Meter {
    /// A meter that draws, or only counts.
    #[must_use]
    pub fn new(draw: bool) -> Self {
        let bars = draw.then(MultiProgress::new);
        let pull = match &bars {
            Some(bars) => bars.add(spinner("pulling")),
            None => ProgressBar::hidden(),
        };
        Self { counts: Arc::default(), bars, pull }
    }

    /// Calls by source or target and operation, and seconds waited.
    #[must_use]
    pub fn take(&self) -> (BTreeMap<String, BTreeMap<String, u64>>, BTreeMap<String, f64>) {
        self.counts.with(|counts| (std::mem::take(&mut counts.calls), std::mem::take(&mut counts.waited)))
    }

    /// Adds calls that were counted elsewhere.
    pub fn add_calls(&self, name: &str, calls: &BTreeMap<String, u64>) {
        self.counts.with(|counts| {
            let own = counts.calls.entry(name.to_owned()).or_default();
            for (operation, n) in calls {
                *own.entry(operation.clone()).or_default() += n;
            }
        });
    }

    /// The pull is over.
    pub fn pulled(&self) {
        self.pull.finish_and_clear();
    }

    /// A bar for the delivery to one target.
    #[must_use]
    pub fn delivery(&self, target: &str, changes: u64) -> ProgressBar {
        match &self.bars {
            Some(bars) if changes > 0 => {
                let bar = bars.add(ProgressBar::new(changes));
                if let Ok(style) = ProgressStyle::with_template("{prefix:>12} {bar:30} {pos}/{len} {elapsed}") {
                    bar.set_style(style);
                }
                bar.set_prefix(target.to_owned());
                bar
            }
            _ => ProgressBar::hidden(),
        }
    }

    /// Who is to be told of requests.
    #[must_use]
    pub fn requests(&self) -> Requests {
        Arc::<Counter>::clone(&self.counts)
    }
}

impl Counter {
    fn with<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        match self.0.lock() {
            Ok(mut counts) => change(&mut counts),
            Err(mut broken) => change(broken.get_mut()),
        }
    }
}

impl RequestMeter for Counter {
    fn called(&self, name: &str, operation: &str) {
        self.with(|counts| *counts.calls.entry(name.to_owned()).or_default().entry(operation.to_owned()).or_default() += 1);
    }

    fn waited(&self, name: &str, seconds: f64) {
        self.with(|counts| *counts.waited.entry(name.to_owned()).or_default() += seconds);
    }
}

fn spinner(prefix: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{prefix:>12} {spinner} {msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(prefix);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

impl Progress for Meter {
    fn scope_started(&self, source: &SourceName, scope: &Scope) {
        self.pull.set_message(format!("{source}: {scope}"));
    }

    fn scope_finished(&self, source: &SourceName, scope: &Scope, outcome: Outcome, count: u64) {
        tracing::info!(source.name = %source, %scope, %outcome, count, "Listed {scope}: {outcome}, {count}");
    }

    fn called(&self, name: &str, operation: &str) {
        self.counts.called(name, operation);
    }

    fn waited(&self, name: &str, seconds: f64) {
        self.counts.waited(name, seconds);
    }
}
