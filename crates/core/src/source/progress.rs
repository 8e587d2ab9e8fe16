//! What a source tells while it reads.

use std::sync::{Mutex, PoisonError};

use crate::model::{Outcome, Scope, SourceName};

/// What a running pull tells of its progress. Implementations draw bars, count calls, or do nothing.
pub trait Progress: Send + Sync {
    /// A scope's listing began.
    fn scope_started(&self, source: &SourceName, scope: &Scope);
    /// A scope's listing ended with so many resources.
    fn scope_finished(&self, source: &SourceName, scope: &Scope, outcome: Outcome, count: u64);
    /// One API call was made.
    fn called(&self, name: &str, operation: &str);
    /// Time was spent waiting for a rate limit.
    fn waited(&self, name: &str, seconds: f64);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn scope_started(&self, _: &SourceName, _: &Scope) {}
    fn scope_finished(&self, _: &SourceName, _: &Scope, _: Outcome, _: u64) {}
    fn called(&self, _: &str, _: &str) {}
    fn waited(&self, _: &str, _: f64) {}
}

/// Calls and waits that nobody was told of yet, in their order: a client can outlive the run, and make calls in the middle of another. Whoever is watched
/// next tells them.
#[derive(Debug, Default)]
pub struct Untold(Mutex<Vec<Event>>);

#[derive(Debug)]
enum Event {
    Called { name: String, operation: String },
    Waited { name: String, seconds: f64 },
}

impl Untold {
    /// Tells what there is, once.
    pub fn tell(&self, progress: &dyn Progress) {
        let events = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for event in events {
            match event {
                Event::Called { name, operation } => progress.called(&name, &operation),
                Event::Waited { name, seconds } => progress.waited(&name, seconds),
            }
        }
    }

    fn note(&self, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

impl Progress for Untold {
    fn scope_started(&self, _: &SourceName, _: &Scope) {}
    fn scope_finished(&self, _: &SourceName, _: &Scope, _: Outcome, _: u64) {}

    fn called(&self, name: &str, operation: &str) {
        self.note(Event::Called { name: name.to_owned(), operation: operation.to_owned() });
    }

    fn waited(&self, name: &str, seconds: f64) {
        self.note(Event::Waited { name: name.to_owned(), seconds });
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Progress for Heard {
        fn scope_started(&self, _: &SourceName, _: &Scope) {}
        fn scope_finished(&self, _: &SourceName, _: &Scope, _: Outcome, _: u64) {}

        fn called(&self, name: &str, operation: &str) {
            self.0.lock().unwrap().push(format!("{name} {operation}"));
        }

        fn waited(&self, name: &str, seconds: f64) {
            self.0.lock().unwrap().push(format!("{name} {seconds} s"));
        }
    }

    #[test]
    fn what_is_told_late_is_told_in_order_and_once() {
        let (untold, heard) = (Untold::default(), Heard::default());
        untold.called("cloud", "list");
        untold.waited("cloud", 1.5);
        untold.called("cloud", "look up");
        untold.tell(&heard);
        untold.tell(&heard);
        assert_eq!(heard.0.into_inner().unwrap(), ["cloud list", "cloud 1.5 s", "cloud look up"]);
    }
}
