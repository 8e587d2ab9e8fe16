//! Rate budgets: how many calls an account gets in a region, by API family.

use std::time::Duration;

use dewpoint_aws_settings::{Rate, Rates};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::time::Instant;

use crate::action::Family;

const fn rate_of(rates: &Rates, family: Family) -> Rate {
    match family {
        Family::Ec2 => rates.ec2,
        Family::LoadBalancing => rates.load_balancing,
        Family::AutoScaling => rates.auto_scaling,
        Family::Organizations => rates.organizations,
        Family::Sts => rates.sts,
    }
}

/// The budgets of one account in one region.
#[derive(Debug)]
pub(crate) struct Budgets(Vec<(Family, DefaultDirectRateLimiter)>);

impl Budgets {
    pub(crate) fn new(rates: &Rates) -> Self {
        let limiter = |family: Family| {
            let rate = rate_of(rates, family);
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
