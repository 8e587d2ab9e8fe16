//! The simulated estate: plain data that can be written as JSON, built in tests, generated, and changed while it is served.

mod balancing;
mod build;
mod builders;
mod change;
mod compute;
mod generate;
mod identity;
mod network;
mod refs;
mod scale_set;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use balancing::{
    Backend, Frontend, Gateway, GatewayListener, GatewayPool, GatewayRule, LoadBalancer, LoadBalancingRule, NatRule, PathRule, Pool,
    PoolAddress, Probe,
};
pub use build::{GroupBuilder, ScaleSetBuilder};
pub use builders::{BalancerBuilder, GatewayBuilder, NsgBuilder, VmBuilder, VnetBuilder};
pub use change::{Change, ChangeError};
pub use compute::{DataDisk, Disk, Image, Os, Power, Vm};
pub use generate::Spec;
pub use identity::{Application, Assignment, Federation, Secret};
pub use network::{IpConfiguration, Nic, PublicIp, Rule, SecurityGroup, Subnet, Vnet};
pub use scale_set::{Instance, InstanceNetwork, Orchestration, ScaleSet};

use crate::ids;

/// Names and values of tags.
pub type Tags = BTreeMap<String, String>;

/// The tenant that a new world has.
pub const TENANT: &str = "7a0b54c1-2f0e-4a53-9d1c-5f6a1e0b9c01";
/// The application that a new world has. Its secret is [`CLIENT_SECRET`], and it is `Reader` of everything.
pub const CLIENT: &str = "5c1d7f0a-93b4-4e0f-8a77-20e6d1f3a902";
/// The secret of [`CLIENT`].
pub const CLIENT_SECRET: &str = "sim~secret/of+the=client";

/// All that one directory (tenant) and its subscriptions hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct World {
    /// The tenant's id.
    pub tenant: String,
    /// Who can log in, by client id.
    pub applications: BTreeMap<String, Application>,
    /// By name.
    pub management_groups: BTreeMap<String, ManagementGroup>,
    /// By id in lower case.
    pub subscriptions: BTreeMap<String, Subscription>,
}

/// A management group. The tenant's root group, whose name is the tenant's id, is there without being listed here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ManagementGroup {
    /// As people see it.
    pub display_name: String,
    /// The name of the group it is in; the root group when missing.
    pub parent: Option<String>,
}

/// How a subscription stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubscriptionState {
    /// In use.
    #[default]
    Enabled,
    /// The spending limit or a payment is near.
    Warned,
    /// Not paid for.
    PastDue,
    /// Closed: it can be read for a while.
    Disabled,
    /// On its way out.
    Deleted,
}

impl SubscriptionState {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Warned => "Warned",
            Self::PastDue => "PastDue",
            Self::Disabled => "Disabled",
            Self::Deleted => "Deleted",
        }
    }
}

/// A subscription and all that is in it. Resources are kept by their id in lower case; in references ids stand as they were made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Subscription {
    /// A GUID.
    pub id: String,
    /// As people see it.
    pub display_name: String,
    /// The tenant it belongs to, where that is not the world's own.
    pub foreign_tenant: Option<String>,
    /// How it stands.
    pub state: SubscriptionState,
    /// The management group it is in; the root group when missing.
    pub management_group: Option<String>,
    /// A kind of subscription that cannot hold resources: all calls of providers are answered `DisallowedOperation`.
    pub disallowed: bool,
    /// Namespaces, such as `Microsoft.Network`, that are not registered.
    pub unregistered: BTreeSet<String>,
    /// Tags.
    pub tags: Tags,
    /// By name in lower case.
    pub groups: BTreeMap<String, ResourceGroup>,
    /// Virtual machines, members of flexible scale sets among them.
    pub vms: BTreeMap<String, Vm>,
    /// Scale sets; uniform ones hold their instances.
    pub scale_sets: BTreeMap<String, ScaleSet>,
    /// Managed disks.
    pub disks: BTreeMap<String, Disk>,
    /// Network interfaces, without those of uniform scale sets.
    pub nics: BTreeMap<String, Nic>,
    /// Network security groups.
    pub security_groups: BTreeMap<String, SecurityGroup>,
    /// Application security groups.
    pub application_groups: BTreeMap<String, Base>,
    /// Virtual networks.
    pub vnets: BTreeMap<String, Vnet>,
    /// Public addresses, without those of uniform scale sets.
    pub public_ips: BTreeMap<String, PublicIp>,
    /// Load balancers.
    pub load_balancers: BTreeMap<String, LoadBalancer>,
    /// Application gateways.
    pub gateways: BTreeMap<String, Gateway>,
}

/// A resource group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResourceGroup {
    /// As it was made.
    pub name: String,
    /// Where its metadata lies.
    pub location: String,
    /// The id of what manages it, as an AKS cluster.
    pub managed_by: Option<String>,
    /// Tags.
    pub tags: Option<Tags>,
}

/// What all resources have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Base {
    /// As it was made.
    pub id: String,
    /// As `westeurope`.
    pub location: String,
    /// `null` when missing.
    pub tags: Option<Tags>,
}

impl Base {
    /// The last part of the id.
    pub fn name(&self) -> &str {
        ids::name(&self.id)
    }

    /// The resource group as it was made.
    pub fn group(&self) -> &str {
        ids::group(&self.id)
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// An empty tenant [`TENANT`] with the application [`CLIENT`].
    pub fn new() -> Self {
        let mut world = Self {
            tenant: TENANT.to_owned(),
            applications: BTreeMap::new(),
            management_groups: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
        };
        world.application(CLIENT).secrets.push(Secret { value: CLIENT_SECRET.to_owned(), expires: None });
        world
    }

    /// The application of this client id; made as a reader of everything if it is not there.
    pub fn application(&mut self, client: &str) -> &mut Application {
        self.applications.entry(client.to_ascii_lowercase()).or_insert_with(|| Application::reader(client))
    }

    /// The subscription of this name; made if it is not there. A GUID is its own id, and any other name makes one.
    pub fn subscription(&mut self, name: &str) -> &mut Subscription {
        let id = if ids::is_guid(name) { name.to_ascii_lowercase() } else { ids::guid(&["subscription", name]) };
        self.subscriptions.entry(id.clone()).or_insert_with(|| Subscription {
            id,
            display_name: name.to_owned(),
            ..Subscription::default()
        })
    }

    /// Adds a management group below another, or below the root.
    pub fn management_group(&mut self, name: &str, parent: Option<&str>) {
        let group = ManagementGroup { display_name: format!("Group {name}"), parent: parent.map(str::to_owned) };
        self.management_groups.insert(name.to_owned(), group);
    }

    /// The subscription of this id, in whatever case.
    pub fn find(&self, id: &str) -> Option<&Subscription> {
        self.subscriptions.get(&id.to_ascii_lowercase())
    }
}
