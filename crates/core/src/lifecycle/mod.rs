//! What deserves a record, and where each resource stands in its life.

use std::time::Duration;

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
