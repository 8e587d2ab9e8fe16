//! What searches still see of objects that have changed.

use std::collections::{HashMap, VecDeque};

use dewpoint_sim_kit::clock::{later, seconds};
use jiff::Timestamp;

use crate::object::Object;

/// Objects as they were, and until when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Late(VecDeque<(Timestamp, u64, Option<Object>)>);

impl Late {
    /// Notes what objects were before they changed now, and forgets what no search sees any more.
    pub(crate) fn note(&mut self, changed: Vec<(u64, Option<Object>)>, now: Timestamp, lag_s: u64) {
        self.0.extend(changed.into_iter().map(|(id, before)| (now, id, before)));
        let oldest = later(now, -seconds(lag_s));
        while self.0.front().is_some_and(|(until, _, _)| *until <= oldest) {
            self.0.pop_front();
        }
    }

    /// What searches see in place of the objects that are.
    pub(crate) fn seen(&self, now: Timestamp, lag_s: u64) -> HashMap<u64, Option<&Object>> {
        let at = later(now, -seconds(lag_s));
        let mut seen = HashMap::new();
        // The first change that is not seen yet has what was before it.
        for (_, id, before) in self.0.iter().filter(|(until, _, _)| lag_s > 0 && *until > at) {
            seen.entry(*id).or_insert(before.as_ref());
        }
        seen
    }
}
