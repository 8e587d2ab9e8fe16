//! Token buckets as AWS keeps them: one per account, region, service and action.

use std::collections::HashMap;

use dewpoint_sim_kit::{Bucket, Level};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::service::Service;

/// The sizes of all buckets. The defaults are AWS's published ones for EC2, and guesses on the small side for the rest, whose sizes AWS does not tell.
///
/// They stand by default: a client that keeps to AWS's limits never notices them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// Whether calls are limited at all.
    pub limited: bool,
    /// EC2 calls that are paged or filtered, or have no unpaged limit of their own.
    pub ec2: Bucket,
    /// EC2 calls that list everything at once.
    pub ec2_unpaged: Bucket,
    /// Both generations of Elastic Load Balancing.
    pub elb: Bucket,
    /// Auto Scaling.
    pub autoscaling: Bucket,
    /// Organizations.
    pub organizations: Bucket,
    /// STS.
    pub sts: Bucket,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            limited: true,
            ec2: Bucket::new(100, 20.0),
            ec2_unpaged: Bucket::new(50, 10.0),
            elb: Bucket::new(40, 10.0),
            autoscaling: Bucket::new(40, 10.0),
            organizations: Bucket::new(20, 10.0),
            sts: Bucket::new(600, 600.0),
        }
    }
}

impl Rates {
    /// No limits.
    pub fn unlimited() -> Self {
        Self { limited: false, ..Self::default() }
    }

    /// The actions that have a smaller bucket when they are neither paged nor filtered.
    /// Source: Amazon EC2 Developer Guide, "Request throttling for the Amazon EC2 API".
    const UNPAGED: [&str; 4] = ["DescribeInstances", "DescribeNetworkInterfaces", "DescribeSecurityGroups", "DescribeVolumes"];

    fn bucket(&self, service: Service, action: &str, unpaged: bool) -> Bucket {
        match service {
            Service::Ec2 if unpaged && Self::UNPAGED.contains(&action) => self.ec2_unpaged,
            Service::Ec2 => self.ec2,
            Service::Elbv2 | Service::Elb => self.elb,
            Service::AutoScaling => self.autoscaling,
            Service::Organizations => self.organizations,
            Service::Sts => self.sts,
        }
    }
}

/// How full each bucket is.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    levels: HashMap<Place, Level>,
}

/// One call's bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) service: Service,
    pub(crate) action: String,
    /// Neither paged nor filtered.
    pub(crate) unpaged: bool,
}

/// A call's leave to be made.
#[derive(Debug)]
#[must_use]
pub(crate) struct Leave<'a> {
    level: Option<&'a mut Level>,
}

impl Leave<'_> {
    /// Counts the call.
    pub(crate) fn take(self) {
        if let Some(level) = self.level {
            level.take();
        }
    }
}

impl Levels {
    /// Asks a call's bucket, which loses nothing yet; `None` when it is empty.
    pub(crate) fn ask(&mut self, rates: &Rates, place: Place, now: Timestamp) -> Option<Leave<'_>> {
        if !rates.limited {
            return Some(Leave { level: None });
        }
        let bucket = rates.bucket(place.service, &place.action, place.unpaged);
        let level = self.levels.entry(place).or_insert(Level::full(bucket, now));
        level.refill(bucket, now);
        level.is_free().then_some(Leave { level: Some(level) })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    fn taken(levels: &mut Levels, unpaged: bool, second: i64) -> usize {
        let place = Place { account: "1".into(), region: "r".into(), service: Service::Ec2, action: "DescribeVolumes".into(), unpaged };
        let now = Timestamp::from_second(second).unwrap();
        (0..1000).map_while(|_| levels.ask(&Rates::default(), place.clone(), now).map(Leave::take)).count()
    }

    #[test]
    fn buckets_empty_and_fill_again() {
        let mut levels = Levels::default();
        assert_eq!(taken(&mut levels, false, 0), 100);
        assert_eq!(taken(&mut levels, false, 1), 20);
        assert_eq!(taken(&mut levels, true, 1), 50);
        assert_eq!(taken(&mut levels, true, 2), 10);
        assert_eq!(taken(&mut levels, false, 60), 100);
    }
}
