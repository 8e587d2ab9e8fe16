//! Virtual machines and disks.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Base;

/// How a machine runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Power {
    /// Being made.
    Creating,
    /// On its way up.
    Starting,
    /// Up.
    #[default]
    Running,
    /// On its way down, still paid for.
    Stopping,
    /// Down, still paid for.
    Stopped,
    /// On its way down.
    Deallocating,
    /// Down and not paid for.
    Deallocated,
    /// The platform does not know.
    Unknown,
}

impl Power {
    /// As the code has it, behind `PowerState/`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Deallocating => "deallocating",
            Self::Deallocated => "deallocated",
            Self::Unknown => "unknown",
        }
    }
}

/// The operating system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Os {
    /// Linux.
    #[default]
    Linux,
    /// Windows.
    Windows,
}

impl Os {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linux => "Linux",
            Self::Windows => "Windows",
        }
    }
}

/// A marketplace image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Image {
    /// As `Canonical`.
    pub publisher: String,
    /// As `ubuntu-24_04-lts`.
    pub offer: String,
    /// As `server`.
    pub sku: String,
    /// The version that it stands for today.
    pub exact_version: String,
}

/// A data disk of a machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataDisk {
    /// The logical unit number.
    pub lun: u32,
    /// The disk's id.
    pub id: String,
}

/// A virtual machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vm {
    /// Id, location, tags.
    pub base: Base,
    /// Its identity, a GUID.
    pub vm_id: String,
    /// As `Standard_D4s_v5`.
    pub size: String,
    /// The operating system.
    pub os: Os,
    /// A marketplace image.
    pub image: Option<Image>,
    /// An image by id, in place of a marketplace image.
    pub image_id: Option<String>,
    /// The id of the disk it boots from.
    pub os_disk: String,
    /// More disks.
    pub data_disks: Vec<DataDisk>,
    /// The guest's own name; a machine from a specialised disk has no profile at all.
    pub computer_name: Option<String>,
    /// Ids of interfaces; the first is the primary one.
    pub nics: Vec<String>,
    /// As `1`.
    pub zones: Vec<String>,
    /// Missing: the instance view has no power state.
    pub power: Option<Power>,
    /// As `Succeeded`. A machine that is `Deleting` is listed, and not found when it is asked for by itself.
    pub provisioning: String,
    /// `Regular`, `Low`, `Spot`.
    pub priority: Option<String>,
    /// `Deallocate`, `Delete`.
    pub eviction: Option<String>,
    /// The id of its flexible scale set.
    pub scale_set: Option<String>,
    /// The id of its availability set.
    pub availability_set: Option<String>,
    /// As `Windows_Server`.
    pub license: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// More codes in its instance view, as `HibernationState/Hibernated`.
    pub statuses: Vec<String>,
}

/// A managed disk. Machines say whose it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Disk {
    /// Id, location, tags.
    pub base: Base,
    /// GiB.
    pub size_gb: u32,
    /// As `Premium_LRS`.
    pub sku: String,
    /// Missing for a data disk.
    pub os: Option<Os>,
    /// As `1`.
    pub zones: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
}
