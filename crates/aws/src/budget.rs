//! Rate budgets: how many calls an account gets in a region, by API family.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::time::Instant;

use crate::action::Family;

/// A token bucket: so many calls at once, and then so many a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Calls per second once the bucket is empty.
    pub per_second: NonZeroU32,
    /// Size of the bucket.
    pub burst: NonZeroU32,
}

impl Rate {
    const fn new(per_second: u32, burst: u32) -> Self {
        let (Some(per_second), Some(burst)) = (NonZeroU32::new(per_second), NonZeroU32::new(burst)) else {
            return Self { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN };
        };
        Self { per_second, burst }
    }
}

/// The budget of each API family. Each account has them anew in each region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// EC2.
    pub ec2: Rate,
    /// Elastic Load Balancing, both generations.
    pub load_balancing: Rate,
    /// Auto Scaling.
    pub auto_scaling: Rate,
    /// Organizations.
    pub organizations: Rate,
    /// STS.
    pub sts: Rate,
}

impl Default for Rates {
    /// EC2's is what AWS publishes for a single action of the paged describe calls; here all of them share it, so that our calls alone
    /// empty no bucket. The others are not published: theirs are below what users report.
    ///
    /// Source: Amazon EC2 Developer Guide, "Request throttling for the Amazon EC2 API".
    fn default() -> Self {
        Self {
            ec2: Rate::new(20, 100),
            load_balancing: Rate::new(10, 40),
            auto_scaling: Rate::new(10, 40),
            organizations: Rate::new(8, 13),
            sts: Rate::new(50, 100),
        }
    }
}

impl Rates {
    const fn of(&self, family: Family) -> Rate {
        match family {
            Family::Ec2 => self.ec2,
            Family::LoadBalancing => self.load_balancing,
            Family::AutoScaling => self.auto_scaling,
            Family::Organizations => self.organizations,
            Family::Sts => self.sts,
        }
    }
}

/// The budgets of one account in one region.
#[derive(Debug)]
pub(crate) struct Budgets(Vec<(Family, DefaultDirectRateLimiter)>);

impl Budgets {
    pub(crate) fn new(rates: &Rates) -> Self {
        let limiter = |family: Family| {
            let rate = rates.of(family);
            (family, RateLimiter::direct(Quota::per_second(rate.per_second).allow_burst(rate.burst)))
        };
        Self(Family::ALL.into_iter().map(limiter).collect())
    }

    fn of(&self, family: Family) -> Option<&DefaultDirectRateLimiter> {
        self.0.iter().find(|(known, _)| *known == family).map(|(_, limiter)| limiter)
    }

    /// Waits until the family has a call left, takes it, and tells how long that took.
    pub(crate) async fn take(&self, family: Family) -> Duration {
        let Some(limiter) = self.of(family) else { return Duration::ZERO };
        if limiter.check().is_ok() {
            return Duration::ZERO;
        }
        let since = Instant::now();
        limiter.until_ready().await;
        since.elapsed()
    }

    /// Books calls that were made without waiting: the SDK's own retries, which come after a back-off.
    pub(crate) fn book(&self, family: Family, calls: u64) {
        if let Some(limiter) = self.of(family) {
            for _ in 0..calls {
                if limiter.check().is_err() {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bucket_gives_its_burst_at_once_and_then_waits() {
        let one = Rate::new(50, 3);
        let budgets = Budgets::new(&Rates { ec2: one, ..Rates::default() });
        for _ in 0..3 {
            assert_eq!(budgets.take(Family::Ec2).await, Duration::ZERO);
        }
        assert!(budgets.take(Family::Ec2).await > Duration::ZERO);
        assert_eq!(budgets.take(Family::LoadBalancing).await, Duration::ZERO, "each family has a budget of its own");
    }

    #[tokio::test]
    async fn retries_count() {
        let budgets = Budgets::new(&Rates { ec2: Rate::new(50, 3), ..Rates::default() });
        assert_eq!(budgets.take(Family::Ec2).await, Duration::ZERO);
        budgets.book(Family::Ec2, 5);
        assert!(budgets.take(Family::Ec2).await > Duration::ZERO);
    }
}
