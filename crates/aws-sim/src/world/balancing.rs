//! Load balancers of both generations.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Tags;

/// What kind of balancer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BalancerKind {
    /// HTTP.
    #[default]
    Application,
    /// TCP and UDP.
    Network,
    /// Appliances.
    Gateway,
}

impl BalancerKind {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Network => "network",
            Self::Gateway => "gateway",
        }
    }

    /// As it stands in an ARN.
    pub(crate) fn in_arn(self) -> &'static str {
        match self {
            Self::Application => "app",
            Self::Network => "net",
            Self::Gateway => "gwy",
        }
    }
}

/// A balancer of the second generation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Balancer {
    /// The ARN.
    pub arn: String,
    /// Unique in its region.
    pub name: String,
    /// What kind.
    pub kind: BalancerKind,
    /// The name it is reached by.
    pub dns: String,
    /// When it was made.
    pub created: Timestamp,
    /// `internet-facing`, `internal`; a gateway has none.
    pub scheme: Option<String>,
    /// The VPC.
    pub vpc: String,
    /// `active`, `provisioning`, `active_impaired`, `failed`.
    pub state: String,
    /// Where it is.
    pub zones: Vec<BalancerZone>,
    /// Security groups by id.
    pub groups: Vec<String>,
    /// `ipv4`, `dualstack`.
    pub ip_type: String,
    /// Listeners by ARN.
    pub listeners: BTreeMap<String, Listener>,
    /// Its tags.
    pub tags: Tags,
}

/// A balancer's foot in a zone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BalancerZone {
    /// The zone.
    pub zone: String,
    /// The subnet.
    pub subnet: String,
    /// Fixed addresses of a network balancer.
    pub ips: Vec<String>,
}

/// A listener.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listener {
    /// The ARN.
    pub arn: String,
    /// A gateway's listener has none.
    pub port: Option<u16>,
    /// `HTTP`, `HTTPS`, `TCP`, …; a gateway's listener has none.
    pub protocol: Option<String>,
    /// Certificates; the first is the default one.
    pub certificates: Vec<Certificate>,
    /// The TLS policy.
    pub tls_policy: Option<String>,
    /// What happens when no rule takes a request.
    pub actions: Vec<Action>,
    /// Rules, without the default one, which is made of `actions`.
    pub rules: Vec<ListenerRule>,
    /// Its tags.
    pub tags: Tags,
}

/// A certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Certificate {
    /// The ARN.
    pub arn: String,
}

/// A listener's rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenerRule {
    /// The ARN.
    pub arn: String,
    /// From 1; the smaller goes first.
    pub priority: u32,
    /// When it takes a request.
    pub conditions: Vec<Condition>,
    /// What happens then.
    pub actions: Vec<Action>,
    /// Its tags.
    pub tags: Tags,
}

/// A rule's condition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Condition {
    /// `host-header` or `path-pattern`.
    pub field: String,
    /// Any of these.
    pub values: Vec<String>,
}

/// What a listener does with a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// To target groups. One group is shown in both of the API's places, several in the newer one only.
    Forward {
        /// The groups.
        groups: Vec<WeightedGroup>,
    },
    /// To one target group, shown in the older place only.
    ForwardArn {
        /// The group's ARN.
        group: String,
    },
    /// To another address.
    Redirect {
        /// `HTTPS`, `#{protocol}`.
        protocol: String,
        /// `443`, `#{port}`.
        port: String,
        /// `HTTP_301`, `HTTP_302`.
        status: String,
    },
    /// An answer of its own.
    FixedResponse {
        /// `503`.
        status: String,
        /// The text.
        body: Option<String>,
    },
}

/// A target group with its share of the requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WeightedGroup {
    /// The ARN.
    pub arn: String,
    /// 0 to 999.
    pub weight: u32,
}

impl Action {
    /// The target groups it sends to.
    pub fn target_groups(&self) -> Vec<&str> {
        match self {
            Self::Forward { groups } => groups.iter().map(|group| group.arn.as_str()).collect(),
            Self::ForwardArn { group } => vec![group],
            Self::Redirect { .. } | Self::FixedResponse { .. } => Vec::new(),
        }
    }
}

/// What a target group's targets are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// Instances by id.
    #[default]
    Instance,
    /// Addresses.
    Ip,
    /// A function.
    Lambda,
    /// An application balancer.
    Alb,
}

impl TargetKind {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Ip => "ip",
            Self::Lambda => "lambda",
            Self::Alb => "alb",
        }
    }
}

/// A target group. The balancers it belongs to are those whose listeners and rules forward to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetGroup {
    /// The ARN.
    pub arn: String,
    /// Unique in its region.
    pub name: String,
    /// `HTTP`, `TCP`, …; a function has none.
    pub protocol: Option<String>,
    /// The port; a function has none.
    pub port: Option<u16>,
    /// The VPC; a function has none.
    pub vpc: Option<String>,
    /// What the targets are.
    pub kind: TargetKind,
    /// How health is found out.
    pub health_check: HealthCheck,
    /// The targets. One may be there several times with different ports.
    pub targets: Vec<Target>,
    /// Its tags.
    pub tags: Tags,
}

/// A health check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthCheck {
    /// `HTTP`, `TCP`.
    pub protocol: String,
    /// `traffic-port` or a number.
    pub port: String,
    /// The path.
    pub path: Option<String>,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self { protocol: "HTTP".to_owned(), port: "traffic-port".to_owned(), path: Some("/".to_owned()) }
    }
}

/// A registered target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Target {
    /// An instance's id, an address, or an ARN.
    pub id: String,
    /// The port.
    pub port: Option<u16>,
    /// The zone.
    pub zone: Option<String>,
    /// `initial`, `healthy`, `unhealthy`, `unused`, `draining`, `unavailable`.
    pub state: String,
    /// `Target.FailedHealthChecks`, …
    pub reason: Option<String>,
    /// In words.
    pub description: Option<String>,
}

/// A classic balancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassicBalancer {
    /// Unique in its region.
    pub name: String,
    /// The name it is reached by.
    pub dns: String,
    /// `internet-facing`, `internal`.
    pub scheme: String,
    /// The VPC.
    pub vpc: Option<String>,
    /// The subnets.
    pub subnets: Vec<String>,
    /// The zones.
    pub zones: Vec<String>,
    /// Security groups by id.
    pub groups: Vec<String>,
    /// The listeners.
    pub listeners: Vec<ClassicListener>,
    /// The registered instances, by id.
    pub instances: BTreeMap<String, ClassicMember>,
    /// How health is found out.
    pub health_check: ClassicHealthCheck,
    /// When it was made.
    pub created: Timestamp,
    /// Its tags.
    pub tags: Tags,
}

/// A classic balancer's listener.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassicListener {
    /// `HTTP`, `HTTPS`, `TCP`, `SSL`.
    pub protocol: String,
    /// The port outside.
    pub port: u16,
    /// The protocol inside.
    pub instance_protocol: String,
    /// The port inside.
    pub instance_port: u16,
    /// The certificate's ARN.
    pub certificate: Option<String>,
}

/// An instance behind a classic balancer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassicMember {
    /// `InService`, `OutOfService`, `Unknown`.
    pub state: String,
    /// `N/A`, `Instance`, `ELB`.
    pub reason: String,
    /// In words.
    pub description: String,
}

impl Default for ClassicMember {
    fn default() -> Self {
        Self { state: "InService".to_owned(), reason: "N/A".to_owned(), description: "N/A".to_owned() }
    }
}

/// A classic balancer's health check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassicHealthCheck {
    /// `HTTP:80/`.
    pub target: String,
    /// Seconds between checks.
    pub interval: u32,
    /// Seconds to wait.
    pub timeout: u32,
    /// Failures until it is out.
    pub unhealthy: u32,
    /// Successes until it is in.
    pub healthy: u32,
}

impl Default for ClassicHealthCheck {
    fn default() -> Self {
        Self { target: "TCP:80".to_owned(), interval: 30, timeout: 5, unhealthy: 2, healthy: 10 }
    }
}
