//! The simulated estate: plain data that can be written as JSON, built in tests, generated, and changed while it is served.

mod balancing;
mod build;
mod builders;
mod change;
mod compute;
mod generate;
mod network;
mod scaling;
mod types;

use std::{
    collections::{BTreeMap, HashMap},
    sync::OnceLock,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use balancing::{
    Action, Balancer, BalancerKind, BalancerZone, Certificate, ClassicBalancer, ClassicHealthCheck, ClassicListener, ClassicMember,
    Condition, HealthCheck, Listener, ListenerRule, Target, TargetGroup, TargetKind, WeightedGroup,
};
pub use builders::{GroupBuilder, InstanceBuilder};
pub use change::{Change, ChangeError};
pub use compute::{
    Address, Attachment, Cpu, Instance, InstanceState, Interface, Operator, PrivateAddress, PublicAddress, StateReason, Volume,
    VolumeAttachment,
};
pub use generate::Spec;
pub use network::{GroupPair, Peer, Permission, SecurityGroup, Subnet, Vpc, Zone};
pub use scaling::{Distribution, LaunchTemplate, Member, MixedInstances, Override, ScalingGroup, ScalingTag};
pub use types::InstanceType;

/// The action that no policy can deny. No other service has one of this name.
pub(crate) const ALWAYS_PERMITTED: &str = "GetCallerIdentity";

/// Keys and values.
pub type Tags = BTreeMap<String, String>;

/// All accounts of one partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct World {
    /// `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// The partition's regions and how each stands for an account that says nothing else.
    pub regions: BTreeMap<String, OptIn>,
    /// By account number.
    pub accounts: BTreeMap<String, Account>,
    /// The one organization, if there is any.
    pub organization: Option<Organization>,
}

/// An account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Account {
    /// Twelve digits.
    pub id: String,
    /// The partition.
    pub partition: String,
    /// Access keys of users, by key id.
    pub keys: BTreeMap<String, AccessKey>,
    /// Roles by name.
    pub roles: BTreeMap<String, Role>,
    /// What is there, by region; also how a region stands for this account.
    pub places: BTreeMap<String, Region>,
    /// What service control policies forbid; without effect in a management account (see [`Denial`]).
    pub denials: Vec<Denial>,
    /// Whether resources that services manage are left out of listings that do not ask for them.
    pub managed_resources_hidden: bool,
}

/// A user's access key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessKey {
    /// The secret.
    pub secret: String,
    /// The user's name.
    pub user: String,
}

/// A role that others may assume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Role {
    /// The accounts that are trusted.
    pub trusts: Vec<String>,
    /// The external id that the trust asks for.
    pub external_id: Option<String>,
}

/// A denial by a service control policy; what is missing is any.
///
/// It does not apply in the management account of the world's organization, nor to `GetCallerIdentity`, which needs no permission. An account outside that
/// organization counts as a member of another one.
/// Source: AWS Organizations User Guide, "Service control policies"; AWS Security Token Service API Reference, `GetCallerIdentity`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Denial {
    /// The region.
    pub region: Option<String>,
    /// The service, as signed (`ec2`, `elasticloadbalancing`, …).
    pub service: Option<String>,
    /// The action.
    pub action: Option<String>,
}

/// Whether a region can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptIn {
    /// On for everybody.
    #[default]
    OptInNotRequired,
    /// Switched on.
    OptedIn,
    /// Off.
    NotOptedIn,
}

impl OptIn {
    /// As EC2 writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OptInNotRequired => "opt-in-not-required",
            Self::OptedIn => "opted-in",
            Self::NotOptedIn => "not-opted-in",
        }
    }

    /// Whether it can be used.
    pub fn enabled(self) -> bool {
        self != Self::NotOptedIn
    }
}

/// An organization.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Organization {
    /// `o-…`.
    pub id: String,
    /// The management account, the only one that may list the others.
    pub management: String,
    /// The accounts, the management account among them.
    pub members: Vec<MemberAccount>,
    /// Which of the two fields for an account's state are sent.
    pub state_fields: StateFields,
    /// Whether pages without accounts, but with a token, come between the others.
    pub empty_pages: bool,
}

/// How an account's state is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateFields {
    /// `State` and the older `Status`.
    #[default]
    Both,
    /// `State` only.
    State,
    /// `Status` only.
    Status,
}

/// An account in the organization.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemberAccount {
    /// Twelve digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The owner's address.
    pub email: String,
    /// `PENDING_ACTIVATION`, `ACTIVE`, `SUSPENDED`, `PENDING_CLOSURE`, `CLOSED`.
    pub state: String,
    /// `INVITED` or `CREATED`.
    pub joined_by: String,
    /// When it joined.
    pub joined: Timestamp,
}

/// What one account has in one region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Region {
    /// The account.
    pub account: String,
    /// The region's name.
    pub name: String,
    /// The partition.
    pub partition: String,
    /// How the region stands for this account; as the partition has it when missing.
    pub opt_in: Option<OptIn>,
    /// Zones by name.
    pub zones: BTreeMap<String, Zone>,
    /// VPCs by id.
    pub vpcs: BTreeMap<String, Vpc>,
    /// Subnets by id.
    pub subnets: BTreeMap<String, Subnet>,
    /// Instances by id.
    pub instances: BTreeMap<String, Instance>,
    /// Network interfaces by id.
    pub interfaces: BTreeMap<String, Interface>,
    /// Volumes by id.
    pub volumes: BTreeMap<String, Volume>,
    /// Elastic addresses by allocation id.
    pub addresses: BTreeMap<String, Address>,
    /// Security groups by id.
    pub groups: BTreeMap<String, SecurityGroup>,
    /// Application, network and gateway balancers by ARN.
    pub balancers: BTreeMap<String, Balancer>,
    /// Target groups by ARN.
    pub target_groups: BTreeMap<String, TargetGroup>,
    /// Classic balancers by name.
    pub classic_balancers: BTreeMap<String, ClassicBalancer>,
    /// Scaling groups by name.
    pub scaling_groups: BTreeMap<String, ScalingGroup>,
    /// Instance types that differ from the built-in table, by name.
    pub instance_types: BTreeMap<String, InstanceType>,
    /// Made when it is first asked for.
    #[serde(skip)]
    attached: Attached,
}

/// The interfaces and volumes of each instance, by id.
#[derive(Clone, Debug, Default)]
struct Attached(OnceLock<HashMap<String, Ids>>);

/// Of interfaces, and of volumes.
type Ids = (Vec<String>, Vec<String>);

/// Two regions are the same whether or not they were looked at.
impl PartialEq for Attached {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Region {
    /// The ids of the interfaces and volumes of an instance.
    pub(crate) fn attached_to(&self, instance: &str) -> (&[String], &[String]) {
        let attached = self.attached.0.get_or_init(|| {
            let mut attached: HashMap<String, Ids> = HashMap::with_capacity(self.instances.len());
            for interface in self.interfaces.values() {
                if let Some(instance) = interface.instance() {
                    attached.entry(instance.to_owned()).or_default().0.push(interface.id.clone());
                }
            }
            for volume in self.volumes.values() {
                for attachment in &volume.attachments {
                    attached.entry(attachment.instance.clone()).or_default().1.push(volume.id.clone());
                }
            }
            attached
        });
        attached.get(instance).map_or((&[], &[]), |(interfaces, volumes)| (interfaces, volumes))
    }
}

/// Regions that every account has.
const REGIONS_ON: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];
/// Regions that an account has to switch on.
const REGIONS_OFF: [&str; 10] = [
    "af-south-1",
    "ap-east-1",
    "ap-south-2",
    "ap-southeast-3",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "il-central-1",
    "me-central-1",
    "me-south-1",
];

impl Default for World {
    fn default() -> Self {
        let on = REGIONS_ON.map(|name| (name.to_owned(), OptIn::OptInNotRequired));
        let off = REGIONS_OFF.map(|name| (name.to_owned(), OptIn::NotOptedIn));
        Self { partition: "aws".to_owned(), regions: on.into_iter().chain(off).collect(), accounts: BTreeMap::new(), organization: None }
    }
}

impl World {
    /// Whose access key this is.
    pub(crate) fn key(&self, id: &str) -> Option<(&Account, &AccessKey)> {
        self.accounts.values().find_map(|account| Some((account, account.keys.get(id)?)))
    }

    /// How a region stands for an account; `None` when there is no such region.
    pub fn region_status(&self, account: &Account, region: &str) -> Option<OptIn> {
        account.places.get(region).and_then(|place| place.opt_in).or_else(|| self.regions.get(region).copied())
    }

    /// Whether a service control policy forbids this call.
    pub(crate) fn denies(&self, account: &Account, region: &str, service: &str, action: &str) -> bool {
        let manages = self.organization.as_ref().is_some_and(|organization| organization.management == account.id);
        let free = manages || action == ALWAYS_PERMITTED;
        !free && account.denials.iter().any(|denial| denial.covers(region, service, action))
    }

    /// Fills in what a JSON file need not repeat: the names of accounts and regions inside them, and zones. Forgets what was derived before a change.
    pub(crate) fn complete(&mut self) {
        for (id, account) in &mut self.accounts {
            account.id.clone_from(id);
            account.partition.clone_from(&self.partition);
            for (name, region) in &mut account.places {
                region.attached = Attached::default();
                region.account.clone_from(id);
                region.name.clone_from(name);
                region.partition.clone_from(&self.partition);
                if region.zones.is_empty() {
                    region.zones = network::zones(name);
                }
            }
        }
    }
}

impl Denial {
    /// Whether it is about this call.
    pub(crate) fn covers(&self, region: &str, service: &str, action: &str) -> bool {
        let same = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        same(&self.region, region) && same(&self.service, service) && same(&self.action, action)
    }
}
