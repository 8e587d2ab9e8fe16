//! Auto Scaling groups.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A scaling group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScalingGroup {
    /// Unique in its region.
    pub name: String,
    /// The ARN.
    pub arn: String,
    /// The template, unless `mixed` has it.
    pub template: Option<LaunchTemplate>,
    /// A policy of several types and of spot beside on demand.
    pub mixed: Option<MixedInstances>,
    /// The older launch configuration.
    pub configuration: Option<String>,
    /// The least.
    pub min: u32,
    /// The most.
    pub max: u32,
    /// The goal.
    pub desired: u32,
    /// The zones.
    pub zones: Vec<String>,
    /// The subnets.
    pub subnets: Vec<String>,
    /// Classic balancers by name.
    pub balancers: Vec<String>,
    /// Target groups by ARN.
    pub target_groups: Vec<String>,
    /// `EC2`, `ELB`.
    pub health_check: String,
    /// The instances, by id.
    pub instances: BTreeMap<String, Member>,
    /// When it was made.
    pub created: Timestamp,
    /// `Delete in progress`, when it is.
    pub status: Option<String>,
    /// Processes that stand still.
    pub suspended: Vec<String>,
    /// Its tags, by key.
    pub tags: BTreeMap<String, ScalingTag>,
}

/// A scaling group's tag.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScalingTag {
    /// The value.
    pub value: String,
    /// Whether new instances get it.
    pub propagate: bool,
}

/// A launch template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LaunchTemplate {
    /// `lt-…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// A number, `$Latest`, `$Default`.
    pub version: String,
}

/// A mixed instances policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MixedInstances {
    /// The template.
    pub template: LaunchTemplate,
    /// Types that may be taken.
    pub overrides: Vec<Override>,
    /// How they are paid.
    pub distribution: Distribution,
}

/// A type that may be taken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Override {
    /// The type.
    pub instance_type: String,
    /// How much it counts.
    pub weight: Option<u32>,
}

/// How much is on demand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Distribution {
    /// So many on demand first.
    pub on_demand_base: u32,
    /// Percent on demand of what comes after.
    pub on_demand_percent: u32,
    /// `lowest-price`, `capacity-optimized`, …
    pub spot_strategy: String,
}

/// An instance in a scaling group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Member {
    /// `InService`, `Pending`, `Standby`, `Terminating:Wait`, …
    pub lifecycle: String,
    /// `Healthy`, `Unhealthy`.
    pub health: String,
    /// Whether scaling in spares it.
    pub protected: bool,
}

impl Default for Member {
    fn default() -> Self {
        Self { lifecycle: "InService".to_owned(), health: "Healthy".to_owned(), protected: false }
    }
}
