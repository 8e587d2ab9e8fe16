//! The services that are simulated.

use serde::{Deserialize, Serialize};

/// One service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// EC2, `2016-11-15`.
    Ec2,
    /// Application, network and gateway balancers, `2015-12-01`.
    Elbv2,
    /// Classic balancers, `2012-06-01`; the same host as [`Service::Elbv2`], told apart by the version.
    Elb,
    /// Auto Scaling, `2011-01-01`.
    AutoScaling,
    /// STS, `2011-06-15`.
    Sts,
    /// Organizations, JSON 1.1.
    Organizations,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Ec2, Self::Elbv2, Self::Elb, Self::AutoScaling, Self::Sts, Self::Organizations];

    /// The name used in fault rules and in the log of calls.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Elbv2 => "elbv2",
            Self::Elb => "elb",
            Self::AutoScaling => "autoscaling",
            Self::Sts => "sts",
            Self::Organizations => "organizations",
        }
    }

    /// The name in the scope of a signature, and before the colon of an action in a policy.
    pub fn signing_name(self) -> &'static str {
        match self {
            Self::Elbv2 | Self::Elb => "elasticloadbalancing",
            other => other.name(),
        }
    }

    /// The date that names the protocol's version.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Ec2 => "2016-11-15",
            Self::Elbv2 => "2015-12-01",
            Self::Elb => "2012-06-01",
            Self::AutoScaling => "2011-01-01",
            Self::Sts => "2011-06-15",
            Self::Organizations => "2016-11-28",
        }
    }

    pub(crate) fn namespace(self) -> &'static str {
        match self {
            Self::Ec2 => "http://ec2.amazonaws.com/doc/2016-11-15/",
            Self::Elbv2 => "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
            Self::Elb => "http://elasticloadbalancing.amazonaws.com/doc/2012-06-01/",
            Self::AutoScaling => "http://autoscaling.amazonaws.com/doc/2011-01-01/",
            Self::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
            Self::Organizations => "",
        }
    }

    /// The service whose scope and version these are; without a version the newer of two on one host.
    pub(crate) fn of(signing_name: &str, version: Option<&str>) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|service| service.signing_name() == signing_name && version.is_none_or(|version| version == service.version()))
    }
}
