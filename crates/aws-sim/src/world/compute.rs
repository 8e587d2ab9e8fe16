//! Machines, and what is attached to them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Tags;

/// An instance. Its addresses, groups, subnet and VPC are those of its interfaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Instance {
    /// `i-…`.
    pub id: String,
    /// The account that owns it, when it is not the account it lies in.
    pub owner: Option<String>,
    /// The reservation it was launched in; instances may share one.
    pub reservation: String,
    /// The service that launched it.
    pub requester: Option<String>,
    /// `ami-…`.
    pub image: String,
    /// `m7g.large`.
    pub instance_type: String,
    /// Its state.
    pub state: InstanceState,
    /// Why it is in that state.
    pub state_reason: Option<StateReason>,
    /// The reason in words, with the time.
    pub transition_reason: Option<String>,
    /// The time of the last start.
    pub launched: Timestamp,
    /// When it was terminated: some time later it is not shown any more.
    pub terminated: Option<Timestamp>,
    /// `eu-west-1a`.
    pub zone: String,
    /// `default`, `dedicated`, `host`.
    pub tenancy: String,
    /// The placement group.
    pub placement_group: Option<String>,
    /// The dedicated host.
    pub host: Option<String>,
    /// `windows`, or nothing.
    pub platform: Option<String>,
    /// `Linux/UNIX`, `Windows`, `Red Hat Enterprise Linux`, …
    pub platform_details: String,
    /// `RunInstances`, `RunInstances:0002`, …
    pub usage_operation: String,
    /// `x86_64`, `arm64`.
    pub architecture: String,
    /// `spot`, `scheduled`, `capacity-block`; nothing means on demand.
    pub lifecycle: Option<String>,
    /// The request of a spot instance.
    pub spot_request: Option<String>,
    /// Cores and threads, when they are told.
    pub cpu: Option<Cpu>,
    /// The key pair.
    pub key_name: Option<String>,
    /// The instance profile's ARN.
    pub profile: Option<String>,
    /// `optional` or `required`.
    pub http_tokens: String,
    /// The device of the root volume.
    pub root_device: String,
    /// The outpost's ARN.
    pub outpost: Option<String>,
    /// The service that manages it.
    pub operator: Option<Operator>,
    /// Its tags.
    pub tags: Tags,
}

/// The state of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// Starting.
    Pending,
    /// Running.
    #[default]
    Running,
    /// On the way to its end.
    ShuttingDown,
    /// Gone, and shown for a while.
    Terminated,
    /// On the way to a stop.
    Stopping,
    /// Stopped.
    Stopped,
}

impl InstanceState {
    /// As EC2 writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }

    /// The number in the low byte of EC2's code.
    pub fn code(self) -> u16 {
        match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
            Self::Stopping => 64,
            Self::Stopped => 80,
        }
    }
}

/// A state's reason.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StateReason {
    /// `Client.UserInitiatedShutdown`, …
    pub code: String,
    /// In words.
    pub message: String,
}

/// Processor options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cpu {
    /// Cores.
    pub cores: u32,
    /// Threads per core.
    pub threads: u32,
}

/// The service that manages a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Operator {
    /// `eks.amazonaws.com`, …
    pub principal: String,
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Interface {
    /// `eni-…`.
    pub id: String,
    /// The account that owns it, when it is not the account it lies in.
    pub owner: Option<String>,
    /// Who made it.
    pub requester: Option<String>,
    /// Whether a service manages it.
    pub requester_managed: bool,
    /// In words.
    pub description: String,
    /// `interface`, `natGateway`, `network_load_balancer`, …
    pub kind: String,
    /// The subnet.
    pub subnet: String,
    /// The VPC.
    pub vpc: String,
    /// The zone.
    pub zone: String,
    /// Six bytes with colons.
    pub mac: String,
    /// Security groups by id.
    pub groups: Vec<String>,
    /// IPv4 addresses; the first is the primary one.
    pub addresses: Vec<PrivateAddress>,
    /// IPv6 addresses.
    pub ipv6: Vec<String>,
    /// Delegated IPv4 prefixes.
    pub ipv4_prefixes: Vec<String>,
    /// What it is attached to.
    pub attachment: Option<Attachment>,
    /// Whether traffic for others is dropped.
    pub source_dest_check: bool,
    /// The service that manages it.
    pub operator: Option<Operator>,
    /// Its tags.
    pub tags: Tags,
}

/// A private IPv4 address of an interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrivateAddress {
    /// The address.
    pub ip: String,
    /// The public address that leads to it.
    pub public: Option<PublicAddress>,
}

/// A public address of an interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PublicAddress {
    /// The address.
    pub ip: String,
    /// The elastic address's id; nothing for an address that Amazon lends.
    pub allocation: Option<String>,
}

/// What an interface is attached to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Attachment {
    /// `eni-attach-…`.
    pub id: String,
    /// The instance; nothing for a service's interfaces.
    pub instance: Option<String>,
    /// The account, or a name such as `amazon-elb`; the account it lies in when missing.
    pub instance_owner: Option<String>,
    /// 0 is the primary interface.
    pub device_index: u32,
    /// The network card.
    pub card: u32,
    /// When it was attached.
    pub attached: Timestamp,
    /// Whether it goes with the instance.
    pub delete_on_termination: bool,
}

/// A volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Volume {
    /// `vol-…`.
    pub id: String,
    /// GiB.
    pub size: u32,
    /// `gp3`, …
    pub kind: String,
    /// The zone.
    pub zone: String,
    /// Its state, when it does not follow from the attachments: `creating`, `deleting`, `error`.
    pub state: Option<String>,
    /// Operations per second.
    pub iops: Option<u32>,
    /// MiB per second.
    pub throughput: Option<u32>,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// The key's ARN.
    pub kms_key: Option<String>,
    /// The snapshot it was made from.
    pub snapshot: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// Whether several instances may have it.
    pub multi_attach: bool,
    /// Who has it.
    pub attachments: Vec<VolumeAttachment>,
    /// The service that manages it.
    pub operator: Option<Operator>,
    /// Its tags.
    pub tags: Tags,
}

/// A volume's attachment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VolumeAttachment {
    /// The instance.
    pub instance: String,
    /// `/dev/xvda`.
    pub device: String,
    /// When.
    pub attached: Timestamp,
    /// Whether it goes with the instance.
    pub delete_on_termination: bool,
}

/// An elastic address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Address {
    /// `eipalloc-…`.
    pub allocation: String,
    /// The address.
    pub ip: String,
    /// `eipassoc-…`.
    pub association: Option<String>,
    /// The interface it leads to.
    pub interface: Option<String>,
    /// The instance it leads to.
    pub instance: Option<String>,
    /// The private address it leads to.
    pub private_ip: Option<String>,
    /// `alb`, `nlb`, … when a service manages it.
    pub service_managed: Option<String>,
    /// Its tags.
    pub tags: Tags,
}

impl Interface {
    /// The instance it is attached to.
    pub fn instance(&self) -> Option<&str> {
        self.attachment.as_ref()?.instance.as_deref()
    }
}
