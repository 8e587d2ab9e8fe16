//! Token buckets. Which call draws from which bucket is each simulator's own.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What lets no caller in for a second has no time to wait for.
const WAIT_S_MAX: f64 = 3600.0;

/// One bucket's size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// Calls that can be made at once.
    pub capacity: u32,
    /// Calls that come back each second.
    pub refill_per_s: f64,
}

impl Bucket {
    /// A bucket of this size.
    pub const fn new(capacity: u32, refill_per_s: f64) -> Self {
        Self { capacity, refill_per_s }
    }
}

/// How full a bucket was when it was last looked at.
#[derive(Clone, Copy, Debug)]
pub struct Level {
    left: f64,
    at: Timestamp,
}

impl Level {
    /// A full bucket.
    pub fn full(bucket: Bucket, now: Timestamp) -> Self {
        Self { left: f64::from(bucket.capacity), at: now }
    }

    /// Adds what came back since, up to the size that the bucket has now.
    pub fn refill(&mut self, bucket: Bucket, now: Timestamp) {
        let back = now.duration_since(self.at).as_secs_f64().max(0.0) * bucket.refill_per_s;
        self.left = (self.left + back).min(f64::from(bucket.capacity));
        self.at = now;
    }

    /// Whether a call can be made.
    pub fn is_free(&self) -> bool {
        self.left >= 1.0
    }

    /// Counts a call.
    pub fn take(&mut self) {
        self.left -= 1.0;
    }

    /// How many calls can be made.
    pub fn left(&self) -> u32 {
        whole(self.left)
    }

    /// For how many seconds, one at least, a caller has to wait until a call can be made.
    pub fn wait_s(&self, bucket: Bucket) -> u64 {
        let until_free = (1.0 - self.left).max(0.0) / bucket.refill_per_s.max(1e-6);
        u64::from(whole(until_free.clamp(1.0, WAIT_S_MAX).ceil()))
    }
}

fn whole(number: f64) -> u32 {
    // In steps, so that no cast is needed.
    let mut left = 0;
    let mut step = 1_u32 << 20;
    while step > 0 {
        if f64::from(left + step) <= number {
            left += step;
        }
        step /= 2;
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills() {
        let at = |second| Timestamp::from_second(second).unwrap_or_default();
        let bucket = Bucket::new(2, 0.5);
        let mut level = Level::full(bucket, at(0));
        let mut taken = |second| {
            level.refill(bucket, at(second));
            let free = level.is_free();
            if free {
                level.take();
            }
            (free, level.left(), level.wait_s(bucket))
        };
        assert_eq!([taken(0), taken(0), taken(0)], [(true, 1, 1), (true, 0, 2), (false, 0, 2)]);
        assert_eq!([taken(1), taken(2)], [(false, 0, 1), (true, 0, 2)], "half a call a second");
        assert_eq!(
            [taken(1), taken(100)],
            [(false, 0, 2), (true, 1, 1)],
            "neither less than nothing comes back nor more than there is room for"
        );
    }

    #[test]
    fn a_bucket_that_never_fills_has_no_time_to_wait_for() {
        let bucket = Bucket::new(0, 0.0);
        let level = Level::full(bucket, Timestamp::UNIX_EPOCH);
        assert_eq!((level.is_free(), level.wait_s(bucket)), (false, 3600));
    }

    #[test]
    fn a_number_is_cut() {
        assert_eq!([0.0, 0.9, 1.0, 249.5, 1e6].map(whole), [0, 0, 1, 249, 1_000_000]);
    }
}
