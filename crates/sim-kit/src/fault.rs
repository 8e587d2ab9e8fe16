//! Faults by script.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::hash::share;

/// A fault as a simulator has it: which requests it is about, when it strikes, and, for the simulator alone, what it does.
pub trait Rule: Clone + Serialize + DeserializeOwned + Send + 'static {
    /// What is known of a request when rules are asked.
    type Target<'a>;

    /// Whether it is about this request, at whatever time.
    fn is_about(&self, target: &Self::Target<'_>) -> bool;

    /// Which of those requests it strikes.
    fn timing(&self) -> Timing;
}

/// Which of the requests that a rule is about it strikes. Without anything: all.
///
/// A simulator's fault has it as the field `timing`, with `#[serde(flatten)]`, so that it is written beside what the fault is about; [`timing_builders`] makes
/// the methods that set it.
///
/// [`timing_builders`]: crate::timing_builders
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// The first of them, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// How many from then on; all when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// None from this simulated time on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Of those, this share by chance; all when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
}

/// Makes the methods of a simulator's fault that set its [`Timing`]. They are its own, so that a test names nothing but the fault to call them.
#[macro_export]
macro_rules! timing_builders {
    ($fault:ty) => {
        impl $fault {
            /// From the nth matching call on.
            #[must_use]
            pub fn nth(mut self, nth: u64) -> Self {
                self.timing.nth = Some(nth);
                self
            }

            /// So many calls and no more.
            #[must_use]
            pub fn times(mut self, times: u64) -> Self {
                self.timing.times = Some(times);
                self
            }

            /// None from this simulated time on.
            #[must_use]
            pub fn until(mut self, end: $crate::Timestamp) -> Self {
                self.timing.until = Some(end);
                self
            }

            /// This share of them, by chance.
            #[must_use]
            pub fn probability(mut self, share: f64) -> Self {
                self.timing.probability = Some(share);
                self
            }
        }
    };
}

impl Timing {
    fn strikes(&self, met: u64, now: Timestamp, seed: u64) -> bool {
        let first = self.nth.unwrap_or(1).max(1);
        met >= first
            && self.times.is_none_or(|times| met - first < times)
            && self.until.is_none_or(|until| now < until)
            && self.probability.is_none_or(|wanted| share(seed, met) < wanted)
    }
}

/// The rules, and how often each was met.
#[derive(Clone, Debug)]
pub struct Script<R> {
    rules: Vec<(R, u64)>,
}

impl<R> Default for Script<R> {
    fn default() -> Self {
        Self { rules: Vec::new() }
    }
}

impl<R: Rule> Script<R> {
    /// A script of these rules, none of them met so far.
    pub fn new(rules: Vec<R>) -> Self {
        Self { rules: rules.into_iter().map(|rule| (rule, 0)).collect() }
    }

    /// Its rules.
    pub fn rules(&self) -> Vec<R> {
        self.rules.iter().map(|(rule, _)| rule.clone()).collect()
    }

    /// The first rule that strikes this request. Rules before it count the request; those behind it do not see it. What is left to chance is drawn from the
    /// seed.
    pub fn strike(&mut self, target: &R::Target<'_>, now: Timestamp, seed: u64) -> Option<R> {
        (0_u64..).zip(&mut self.rules).find_map(|(at, (rule, met))| {
            if !rule.is_about(target) {
                return None;
            }
            *met += 1;
            rule.timing().strikes(*met, now, seed ^ at).then(|| rule.clone())
        })
    }
}
