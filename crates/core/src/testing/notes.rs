//! What a source tells of its progress, noted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::{Outcome, Scope, SourceName};
use crate::source::Progress;

/// Notes what a source tells of one pull or look-up. Each scope has to begin and to end no more than once, and all calls are those of one source.
#[derive(Debug, Default)]
pub struct Notes(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    begun: BTreeSet<Scope>,
    unbegun: BTreeSet<Scope>,
    finished: BTreeMap<Scope, (Outcome, u64)>,
    name: Option<String>,
    calls: BTreeMap<String, u64>,
    waited_s: f64,
}

impl Notes {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How each scope ended, and with how many resources.
    pub fn finished(&self) -> BTreeMap<Scope, (Outcome, u64)> {
        self.noted().finished.clone()
    }

    /// Scopes that ended without having begun.
    pub fn unbegun(&self) -> BTreeSet<Scope> {
        self.noted().unbegun.clone()
    }

    /// Under which name calls were told.
    pub fn name(&self) -> Option<String> {
        self.noted().name.clone()
    }

    /// Calls by operation.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.noted().calls.clone()
    }

    /// Seconds spent waiting for rate limits.
    pub fn waited_s(&self) -> f64 {
        self.noted().waited_s
    }
}

impl Progress for Notes {
    fn scope_started(&self, _: &SourceName, scope: &Scope) {
        assert!(self.noted().begun.insert(scope.clone()), "{scope} began twice");
    }

    fn scope_finished(&self, _: &SourceName, scope: &Scope, outcome: Outcome, count: u64) {
        let mut noted = self.noted();
        if !noted.begun.contains(scope) {
            noted.unbegun.insert(scope.clone());
        }
        assert!(noted.finished.insert(scope.clone(), (outcome, count)).is_none(), "{scope} ended twice");
    }

    fn called(&self, name: &str, operation: &str) {
        let mut noted = self.noted();
        assert_eq!(noted.name.get_or_insert_with(|| name.to_owned()), name, "whose call of {operation}");
        *noted.calls.entry(operation.to_owned()).or_default() += 1;
    }

    fn waited(&self, _: &str, seconds: f64) {
        self.noted().waited_s += seconds;
    }
}
