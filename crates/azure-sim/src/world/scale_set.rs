//! Scale sets, and the instances of uniform ones.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Base, Image, Os, Power};

/// How a scale set runs its machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Orchestration {
    /// Instances live under the set.
    #[default]
    Uniform,
    /// The same, in an old set that does not say so.
    Unsaid,
    /// Members are ordinary machines.
    Flexible,
}

/// A scale set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScaleSet {
    /// Id, location, tags.
    pub base: Base,
    /// How it runs its machines.
    pub orchestration: Orchestration,
    /// As `Standard_D4s_v5`.
    pub size: String,
    /// As `1`.
    pub zones: Vec<String>,
    /// `Spot`; missing is regular.
    pub priority: Option<String>,
    /// The operating system.
    pub os: Os,
    /// A marketplace image.
    pub image: Option<Image>,
    /// The interface that every instance gets.
    pub network: InstanceNetwork,
    /// By number; of uniform sets only.
    pub instances: BTreeMap<u32, Instance>,
    /// The number of the next instance: numbers are not used twice.
    pub next: u32,
    /// When it was made.
    pub created: Timestamp,
}

/// The interface that every instance of a uniform set gets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstanceNetwork {
    /// The subnet's id.
    pub subnet: String,
    /// The id of a network security group.
    pub security_group: Option<String>,
    /// Ids of a load balancer's pools.
    pub pools: Vec<String>,
    /// Ids of an application gateway's pools.
    pub gateway_pools: Vec<String>,
    /// Ids of application security groups.
    pub application_groups: Vec<String>,
}

/// An instance of a uniform set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Instance {
    /// Its identity, a GUID.
    pub vm_id: String,
    /// The guest's own name.
    pub computer_name: String,
    /// Missing: the instance view has no power state.
    pub power: Option<Power>,
    /// As `Succeeded`.
    pub provisioning: String,
    /// As `1`.
    pub zone: Option<String>,
    /// Whether it follows the set's newest model.
    pub latest_model: bool,
    /// The interface's address.
    pub private_ip: String,
    /// The interface's public address.
    pub public_ip: Option<String>,
    /// Tags.
    pub tags: Option<super::Tags>,
    /// When it was made.
    pub created: Timestamp,
}

impl ScaleSet {
    /// Whether members are ordinary machines.
    pub fn is_flexible(&self) -> bool {
        self.orchestration == Orchestration::Flexible
    }

    /// The id of an instance.
    pub fn instance_id(&self, number: u32) -> String {
        format!("{}/virtualMachines/{number}", self.base.id)
    }

    /// The id of an instance's interface.
    pub fn nic_id(&self, number: u32) -> String {
        format!("{}/networkInterfaces/nic-0", self.instance_id(number))
    }

    /// The id of the configuration of an instance's address.
    pub fn ip_configuration_id(&self, number: u32) -> String {
        format!("{}/ipConfigurations/ip-0", self.nic_id(number))
    }

    /// The id of an instance's public address.
    pub fn public_ip_id(&self, number: u32) -> String {
        format!("{}/publicIPAddresses/pub-0", self.ip_configuration_id(number))
    }
}
