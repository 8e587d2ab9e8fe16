//! How fast a source may ask.

use std::num::NonZeroU32;

/// A token bucket: so many calls at once, and then so many a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Calls per second once the bucket is empty.
    pub per_second: NonZeroU32,
    /// Size of the bucket.
    pub burst: NonZeroU32,
}

impl Rate {
    /// A budget; of zero in either, one call.
    #[must_use]
    pub const fn new(per_second: u32, burst: u32) -> Self {
        let (Some(per_second), Some(burst)) = (NonZeroU32::new(per_second), NonZeroU32::new(burst)) else {
            return Self { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN };
        };
        Self { per_second, burst }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_never_zero() {
        assert_eq!(Rate::new(0, 7), Rate::new(1, 1));
        assert_eq!(Rate::new(3, 0), Rate::new(1, 1));
    }
}
