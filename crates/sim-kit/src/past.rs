//! What stood before, for those who see changes late.

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::clock::{later, seconds};

/// Earlier states, and until when each stood. Without a lag none is kept, and none is shown.
#[derive(Debug)]
pub struct Past<T>(VecDeque<(Timestamp, T)>);

impl<T> Default for Past<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: Clone> Past<T> {
    /// Keeps what stands and is about to change, and forgets what nobody sees any more.
    pub fn keep(&mut self, present: &T, now: Timestamp, lag_s: u64) {
        if lag_s > 0 {
            self.0.push_back((now, present.clone()));
        }
        let oldest = later(now, -seconds(lag_s));
        self.0.retain(|(until, _)| *until > oldest);
    }

    /// What is seen with this lag.
    pub fn seen(&self, present: &T, now: Timestamp, lag_s: u64) -> T {
        let at = later(now, -seconds(lag_s));
        self.0.iter().find(|(until, _)| lag_s > 0 && *until > at).map_or(present, |(_, earlier)| earlier).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_after_the_lag() {
        let at = |second| Timestamp::from_second(second).unwrap_or_default();
        let mut past = Past::default();
        past.keep(&"a", at(0), 0);
        assert_eq!(past.seen(&"b", at(0), 10), "b", "without a lag nothing was kept");
        past.keep(&"b", at(5), 10);
        past.keep(&"c", at(8), 10);
        assert_eq!([8, 14, 15, 17, 18].map(|second| past.seen(&"d", at(second), 10)), ["b", "b", "c", "c", "d"]);
        assert_eq!(past.seen(&"d", at(8), 0), "d");
        past.keep(&"d", at(16), 10);
        assert_eq!(past.0.len(), 2, "what nobody sees any more is forgotten");
    }
}
