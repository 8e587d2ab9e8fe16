//! The timers, and the place where rules speak.

use std::time::Duration;

use crate::estate::{Disposition, Known};

/// The timers that decide when a resource is recorded, retired and purged. Rules may set any of them for a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timers {
    /// Instances younger than this get no record yet.
    pub min_age: Duration,
    /// Complete listings without a resource before it may be retired; at least 1.
    pub confirm_missing: u32,
    /// How long since it was last seen before it may be retired.
    pub retire_after: Duration,
    /// How long after its delivered retirement a record is removed, where the target purges; `None` for never.
    pub purge_after: Option<Duration>,
    /// A disposition is not changed back within this time.
    pub min_dwell: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        const HOUR: u64 = 3600;
        Self {
            min_age: Duration::from_secs(15 * 60),
            confirm_missing: 2,
            retire_after: Duration::from_secs(24 * HOUR),
            purge_after: None,
            min_dwell: Duration::from_secs(HOUR),
        }
    }
}

/// The lifecycle configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Timers where no rule sets others.
    pub timers: Timers,
}

/// What the policy says of one resource, before age and dependence are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement<'a> {
    /// `record`, `fold` or `ignore`.
    pub disposition: Disposition,
    /// The rule that decided; `default` where none spoke.
    pub rule: &'a str,
    /// The timers of this resource.
    pub timers: &'a Timers,
}

impl Policy {
    /// Judges one resource. Rules will sit here; without them everything deserves a record under the default timers.
    #[must_use]
    pub fn judge(&self, _known: &Known) -> Judgement<'_> {
        Judgement { disposition: Disposition::Record, rule: "default", timers: &self.timers }
    }
}
