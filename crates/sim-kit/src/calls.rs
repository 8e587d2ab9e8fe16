//! What was asked, and what came of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A call as a simulator writes it down, with its answer.
pub trait Record: Clone + Serialize + Send + 'static {
    /// Sums over calls, [`Counters`] where nothing more is to be counted.
    type Sums: Clone + Default + Serialize + Send + 'static;

    /// Counts this call.
    fn add_to(&self, sums: &mut Self::Sums);

    /// Forgets what was counted. What tells of the moment, as of calls that are being answered, has to stay.
    fn reset(sums: &mut Self::Sums) {
        *sums = Self::Sums::default();
    }
}

/// The log of calls.
#[derive(Clone, Debug)]
pub struct Log<C: Record> {
    /// One after the other.
    pub calls: Vec<C>,
    /// Sums over them.
    pub sums: C::Sums,
}

impl<C: Record> Default for Log<C> {
    fn default() -> Self {
        Self { calls: Vec::new(), sums: C::Sums::default() }
    }
}

impl<C: Record> Log<C> {
    /// Writes a call down.
    pub fn add(&mut self, call: C) {
        call.add_to(&mut self.sums);
        self.calls.push(call);
    }

    /// Forgets all calls.
    pub fn clear(&mut self) {
        self.calls.clear();
        C::reset(&mut self.sums);
    }
}

/// How many calls there were since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// All of them.
    pub requests: u64,
    /// By what was asked for, in the simulator's own words.
    pub by_operation: BTreeMap<String, u64>,
    /// By the status of the answer.
    pub by_status: BTreeMap<u16, u64>,
}

impl Counters {
    /// Counts one.
    pub fn add(&mut self, operation: impl Into<String>, status: u16) {
        self.requests += 1;
        *self.by_operation.entry(operation.into()).or_default() += 1;
        *self.by_status.entry(status).or_default() += 1;
    }
}
