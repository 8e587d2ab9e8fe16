//! Machines, scale sets and disks.
//!
//! Source: Azure Compute REST API reference (2024-07-01; disks 2024-03-02): VirtualMachine, VirtualMachineScaleSetVM, VirtualMachineScaleSet, Disk.

use dewpoint_core::model::Key;
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::{Read, Wire, parse};
use crate::item::{Head, Item, Refused};

/// A virtual machine of its own, or an instance of a uniform scale set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) head: Head,
    /// What tells one life under an id from the next.
    pub(crate) vm_id: Option<String>,
    pub(crate) size: Option<String>,
    /// `Regular`, `Spot`, `Low`; an instance of a uniform set does not say.
    pub(crate) priority: Option<String>,
    pub(crate) image: Option<String>,
    pub(crate) os: Option<String>,
    pub(crate) interfaces: Vec<Attached>,
    pub(crate) disks: Vec<Attached>,
    pub(crate) provisioning: Option<String>,
    /// The flexible scale set that it belongs to.
    pub(crate) set: Option<Key>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) zones: Vec<String>,
    pub(crate) managed_by: Option<String>,
    /// Whether it runs on a host of its customer's own.
    pub(crate) is_dedicated: bool,
    /// The word behind `PowerState/`; `None` where nothing is said.
    pub(crate) power: Option<String>,
    /// Parts of it are missing that every machine has.
    pub(crate) is_partial: bool,
}

/// Something that hangs on a machine, and whether it is deleted with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attached {
    pub(crate) key: Key,
    pub(crate) ends_with: bool,
}

impl Attached {
    /// `deleteOption` is `Delete` or `Detach`; where it is not said, it stays.
    pub(super) fn new(key: Key, delete_option: Option<&str>) -> Self {
        Self { key, ends_with: delete_option.is_some_and(|word| word.eq_ignore_ascii_case("delete")) }
    }
}

/// What a machine takes, of both kinds.
const OF_MACHINES: &[&str] = &[
    "properties!/hardwareProfile!/vmSize",
    "properties!/storageProfile!/osDisk/osType",
    "properties!/storageProfile!/osDisk/managedDisk/id",
    "properties!/storageProfile!/osDisk/deleteOption",
    "properties!/storageProfile!/dataDisks[]/managedDisk/id",
    "properties!/storageProfile!/dataDisks[]/deleteOption",
    "properties!/storageProfile!/imageReference",
    "properties!/networkProfile!/networkInterfaces[]/id",
    "properties!/virtualMachineScaleSet/id",
    "properties!/priority",
    "properties!/vmId",
    "properties!/host/id",
    "properties!/hostGroup/id",
    "zones[]",
    "managedBy",
];

impl Wire for Machine {
    const PATHS: &'static [&'static str] = OF_MACHINES;

    fn lenient(item: Item<'_>) -> Result<Self, Refused> {
        let attached = |item: Item<'_>, id: &str, option: &str| Some(Attached::new(item.reference(id)?, item.text(option)));
        let disks = item.0.pointer("/properties/storageProfile/osDisk").map(Item).into_iter();
        let disks = disks.chain(item.items("/properties/storageProfile/dataDisks"));
        Ok(Self {
            head: Head::read(item)?,
            vm_id: item.owned("/properties/vmId"),
            size: item.owned("/properties/hardwareProfile/vmSize").or_else(|| item.owned("/sku/name")),
            priority: item.owned("/properties/priority"),
            image: item.0.pointer("/properties/storageProfile/imageReference").and_then(|image| image_of(Item(image))),
            os: item.owned("/properties/storageProfile/osDisk/osType"),
            interfaces: item
                .items("/properties/networkProfile/networkInterfaces")
                .filter_map(|nic| attached(nic, "/id", "/properties/deleteOption"))
                .collect(),
            disks: disks.filter_map(|disk| attached(disk, "/managedDisk/id", "/deleteOption")).collect(),
            provisioning: item.owned("/properties/provisioningState"),
            set: item.reference("/properties/virtualMachineScaleSet/id"),
            created_at: item.time("/properties/timeCreated"),
            zones: item.texts("/zones").map(str::to_owned).collect(),
            managed_by: item.owned("/managedBy"),
            is_dedicated: item.text("/properties/host/id").or(item.text("/properties/hostGroup/id")).is_some(),
            power: power(item.items("/properties/instanceView/statuses").filter_map(|status| status.text("/code"))),
            is_partial: false,
        })
    }

    fn in_part(self) -> Option<Self> {
        Some(Self { is_partial: true, ..self })
    }

    fn read(raw: &RawValue) -> Result<Read<Self>, Refused> {
        #[cfg(feature = "compute-types")]
        return typed_first(raw, super::typed::machine);
        #[cfg(not(feature = "compute-types"))]
        return Ok(Read { item: Self::lenient(Item(&parse(raw)?))?, misfit: None });
    }
}

/// An instance of a uniform scale set: the same as a machine, but for the published type.
#[derive(Debug)]
pub(crate) struct SetMachine(pub(crate) Machine);

impl Wire for SetMachine {
    const PATHS: &'static [&'static str] = OF_MACHINES;

    fn in_part(self) -> Option<Self> {
        self.0.in_part().map(Self)
    }

    fn lenient(item: Item<'_>) -> Result<Self, Refused> {
        Machine::lenient(item).map(Self)
    }

    fn read(raw: &RawValue) -> Result<Read<Self>, Refused> {
        #[cfg(feature = "compute-types")]
        return typed_first(raw, |raw| super::typed::set_machine(raw).map(Self));
        #[cfg(not(feature = "compute-types"))]
        return Ok(Read { item: Self::lenient(Item(&parse(raw)?))?, misfit: None });
    }
}

/// The published type first; where an item does not fit it, leniently.
#[cfg(feature = "compute-types")]
fn typed_first<T: Wire>(raw: &RawValue, typed: impl Fn(&RawValue) -> Result<T, super::typed::Misfit>) -> Result<Read<T>, Refused> {
    match typed(raw) {
        Ok(item) => Ok(Read { item, misfit: None }),
        Err(misfit) => Ok(Read { item: T::lenient(Item(&parse(raw)?))?, misfit: Some(misfit.0) }),
    }
}

/// The run state of a machine, from the list that tells nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunState {
    pub(crate) key: Key,
    pub(crate) power: Option<String>,
}

impl Wire for RunState {
    fn lenient(item: Item<'_>) -> Result<Self, Refused> {
        let codes = item.items("/properties/instanceView/statuses").filter_map(|status| status.text("/code"));
        Ok(Self { key: Head::read(item)?.id.key, power: power(codes) })
    }
}

/// The word behind `PowerState/` among the codes of an instance view. That a machine hibernates has a code beside it, which Resource Graph does not have: to
/// both collectors such a machine is deallocated.
pub(crate) fn power<'a>(mut codes: impl Iterator<Item = &'a str>) -> Option<String> {
    codes.find_map(|code| {
        let (subject, state) = code.split_once('/')?;
        subject.eq_ignore_ascii_case("PowerState").then(|| state.to_lowercase())
    })
}

/// An image in one line: `publisher:offer:sku:version`, or the id of one that is kept elsewhere.
fn image_of(image: Item<'_>) -> Option<String> {
    let ids = ["/id", "/sharedGalleryImageId", "/communityGalleryImageId"];
    let version = image.text("/exactVersion").or(image.text("/version"));
    image_name([image.text("/publisher"), image.text("/offer"), image.text("/sku"), version], ids.map(|id| image.text(id)))
}

pub(super) fn image_name(parts: [Option<&str>; 4], ids: [Option<&str>; 3]) -> Option<String> {
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    let id = ids.into_iter().flatten().next().map(str::to_owned);
    id.or_else(|| (!parts.is_empty()).then(|| parts.join(":")))
}

/// A virtual machine scale set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScaleSet {
    pub(crate) head: Head,
    /// Whether its members are ordinary machines; `None` where it runs them in a way that is not known here.
    pub(crate) is_flexible: Option<bool>,
    pub(crate) size: Option<String>,
    pub(crate) capacity: Option<i64>,
    /// Machines in one placement group cannot be as many.
    pub(crate) is_single_placement_group: bool,
    pub(crate) priority: Option<String>,
    pub(crate) image: Option<String>,
    pub(crate) provisioning: Option<String>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) zones: Vec<String>,
}

impl Wire for ScaleSet {
    const PATHS: &'static [&'static str] = &[
        "properties!/orchestrationMode",
        "properties!/virtualMachineProfile/priority",
        "properties!/virtualMachineProfile/storageProfile/imageReference",
        "properties!/singlePlacementGroup",
        "sku/name",
        "sku/capacity",
        "zones[]",
    ];

    fn lenient(item: Item<'_>) -> Result<Self, Refused> {
        let profile = "/properties/virtualMachineProfile";
        Ok(Self {
            head: Head::read(item)?,
            is_flexible: is_flexible(item.text("/properties/orchestrationMode")),
            size: item.owned("/sku/name"),
            capacity: item.count("/sku/capacity"),
            is_single_placement_group: item.flag("/properties/singlePlacementGroup").unwrap_or(false),
            priority: item.owned(&format!("{profile}/priority")),
            image: item.0.pointer(&format!("{profile}/storageProfile/imageReference")).and_then(|image| image_of(Item(image))),
            provisioning: item.owned("/properties/provisioningState"),
            created_at: item.time("/properties/timeCreated"),
            zones: item.texts("/zones").map(str::to_owned).collect(),
        })
    }

    fn read(raw: &RawValue) -> Result<Read<Self>, Refused> {
        #[cfg(feature = "compute-types")]
        return typed_first(raw, super::typed::scale_set);
        #[cfg(not(feature = "compute-types"))]
        return Ok(Read { item: Self::lenient(Item(&parse(raw)?))?, misfit: None });
    }
}

/// A set that does not say is uniform: the mode is younger than the sets.
pub(super) fn is_flexible(mode: Option<&str>) -> Option<bool> {
    match mode {
        None => Some(false),
        Some(mode) if mode.eq_ignore_ascii_case("uniform") => Some(false),
        Some(mode) if mode.eq_ignore_ascii_case("flexible") => Some(true),
        Some(_) => None,
    }
}

/// A managed disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) head: Head,
    /// The machines that it hangs on; several where it is shared.
    pub(crate) machines: Vec<Key>,
    pub(crate) size_gib: Option<i64>,
    pub(crate) volume_type: Option<String>,
    pub(crate) iops: Option<i64>,
    pub(crate) state: Option<String>,
    pub(crate) snapshot: Option<String>,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) zones: Vec<String>,
}

impl Disk {
    /// Whether it says itself that it hangs on nothing.
    pub(crate) fn is_unattached(&self) -> bool {
        self.machines.is_empty() && self.state.as_deref().is_some_and(|state| state.eq_ignore_ascii_case("unattached"))
    }
}

impl Wire for Disk {
    const PATHS: &'static [&'static str] = &[
        "properties!/diskSizeGB",
        "properties!/diskIOPSReadWrite",
        "properties!/diskState",
        "properties!/creationData/sourceResourceId",
        "sku/name",
        "managedBy",
        "managedByExtended[]",
        "zones[]",
    ];

    fn lenient(item: Item<'_>) -> Result<Self, Refused> {
        let several = item.texts("/managedByExtended").filter_map(|id| Key::azure(id).ok());
        Ok(Self {
            head: Head::read(item)?,
            machines: holders(item.reference("/managedBy").into_iter().chain(several)),
            size_gib: item.count("/properties/diskSizeGB"),
            volume_type: item.owned("/sku/name"),
            iops: item.count("/properties/diskIOPSReadWrite"),
            state: item.owned("/properties/diskState"),
            snapshot: item.owned("/properties/creationData/sourceResourceId"),
            created_at: item.time("/properties/timeCreated"),
            zones: item.texts("/zones").map(str::to_owned).collect(),
        })
    }

    fn read(raw: &RawValue) -> Result<Read<Self>, Refused> {
        #[cfg(feature = "compute-types")]
        return typed_first(raw, super::typed::disk);
        #[cfg(not(feature = "compute-types"))]
        return Ok(Read { item: Self::lenient(Item(&parse(raw)?))?, misfit: None });
    }
}

/// Each once, in order.
pub(super) fn holders(keys: impl Iterator<Item = Key>) -> Vec<Key> {
    let keys: std::collections::BTreeSet<Key> = keys.collect();
    keys.into_iter().collect()
}
