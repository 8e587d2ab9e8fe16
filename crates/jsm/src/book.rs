//! Where objects stand that this process wrote a moment ago: searches may not show it yet.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dewpoint_http::Clock;

use crate::reading::Stand;

/// What was written, and when by the clock's [`Clock::elapsed`].
#[derive(Debug, Default)]
pub(crate) struct Book(Mutex<Written>);

#[derive(Debug, Default)]
struct Written {
    stands: HashMap<String, (Stand, Duration)>,
    last: Option<Duration>,
    /// At which size the old ones are thrown away: a long-lived process would keep all that it ever wrote.
    full_at: usize,
}

/// For how many index lags, and how long at least, what was written is known better than a search shows it.
const TRUSTED_LAGS: u32 = 3;
const TRUSTED_MIN: Duration = Duration::from_secs(60);

/// The least size at which old ones are thrown away.
const FULL_MIN: usize = 1024;

fn is_trusted(now: Duration, at: Duration, lag: Duration) -> bool {
    now.saturating_sub(at) <= lag.saturating_mul(TRUSTED_LAGS).max(TRUSTED_MIN)
}

impl Book {
    /// Notes how an object stands after it was written; `None` where that is not known.
    pub(crate) fn wrote(&self, clock: &dyn Clock, lag: Duration, id: &str, stand: Option<Stand>) {
        let now = clock.elapsed();
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.last = Some(now);
        match stand {
            Some(stand) => drop(written.stands.insert(id.to_owned(), (stand, now))),
            None => drop(written.stands.remove(id)),
        }
        if written.stands.len() > written.full_at.max(FULL_MIN) {
            written.stands.retain(|_, (_, at)| is_trusted(now, *at, lag));
            written.full_at = written.stands.len().saturating_mul(2);
        }
    }

    /// How an object stands, where it was written a moment ago.
    pub(crate) fn stand(&self, clock: &dyn Clock, lag: Duration, id: &str) -> Option<Stand> {
        let now = clock.elapsed();
        let written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.stands.get(id).filter(|(_, at)| is_trusted(now, *at, lag)).map(|(stand, _)| stand.clone())
    }

    /// Forgets how objects stand: a full read is about to tell what people made of them.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).stands.clear();
    }

    /// What was written a moment ago and refers to one of these objects.
    pub(crate) fn leading_to(&self, ids: &HashSet<&str>) -> Vec<(String, Stand)> {
        let written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let leads = |stand: &Stand| stand.references.values().flatten().any(|other| ids.contains(other.as_str()));
        written.stands.iter().filter(|(_, (stand, _))| leads(stand)).map(|(id, (stand, _))| (id.clone(), stand.clone())).collect()
    }

    /// How long a search may still show an older state.
    pub(crate) fn settling(&self, clock: &dyn Clock, lag: Duration) -> Duration {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).last;
        last.map_or(Duration::ZERO, |last| lag.saturating_sub(clock.elapsed().saturating_sub(last)))
    }
}
