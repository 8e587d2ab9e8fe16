//! Compute's items by the types of `azure_mgmt_compute`, one item at a time. Nothing else of that crate is used.

use azure_mgmt_compute::package_2024_07_01::models;
use dewpoint_core::model::Key;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::compute::{Attached, Disk, Machine, ScaleSet, holders, image_name, is_flexible, power};
use crate::ids::{self, ResourceId};
use crate::item::{Head, Item};

/// Why an item does not fit the published type.
#[derive(Debug)]
pub(super) struct Misfit(pub(super) String);

fn decode<T: DeserializeOwned>(raw: &RawValue) -> Result<T, Misfit> {
    let mut reader = serde_json::Deserializer::from_str(raw.get());
    serde_path_to_error::deserialize(&mut reader).map_err(|error| Misfit(format!("{} at `{}`", error.inner(), error.path())))
}

/// The word of one of its enums: the closed ones and the open ones alike are written as they came.
fn word(value: Option<&impl Serialize>) -> Option<String> {
    match serde_json::to_value(value?).ok()? {
        Value::String(word) => filled(Some(&word)).map(str::to_owned),
        _ => None,
    }
}

fn filled(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

fn owned(text: Option<&String>) -> Option<String> {
    filled(text).map(str::to_owned)
}

fn key(text: Option<&String>) -> Option<Key> {
    Key::azure(filled(text)?.trim_end_matches('/')).ok()
}

fn instant(time: Option<time::OffsetDateTime>) -> Option<Timestamp> {
    Timestamp::from_nanosecond(time?.unix_timestamp_nanos()).ok()
}

fn texts(list: &[String]) -> Vec<String> {
    list.iter().filter_map(|text| owned(Some(text))).collect()
}

fn head(resource: &models::Resource) -> Result<Head, Misfit> {
    let id = filled(resource.id.as_ref()).ok_or_else(|| Misfit("it has no id".to_owned()))?;
    let id = ResourceId::parse(id).map_err(|error| Misfit(error.to_string()))?;
    let tags = serde_json::json!({ "tags": resource.tags });
    let region = ids::location(&resource.location).ok_or_else(|| Misfit("its location is empty".to_owned()))?;
    Ok(Head {
        name: owned(resource.name.as_ref()).unwrap_or_else(|| id.name().to_owned()),
        region: Some(region),
        tags: Item(&tags).tags(),
        id,
    })
}

/// What machines of both kinds have in common.
struct Profiles<'a> {
    hardware: Option<&'a models::HardwareProfile>,
    storage: Option<&'a models::StorageProfile>,
    network: Option<&'a models::NetworkProfile>,
    statuses: &'a [models::InstanceViewStatus],
}

fn common(head: Head, profiles: &Profiles<'_>) -> Machine {
    let storage = profiles.storage;
    let os = storage.and_then(|storage| storage.os_disk.as_ref());
    let os_disk = os.and_then(|disk| Some((disk.managed_disk.as_ref()?, word(disk.delete_option.as_ref()))));
    let data = storage.into_iter().flat_map(|storage| &storage.data_disks);
    let data = data.filter_map(|disk| Some((disk.managed_disk.as_ref()?, word(disk.delete_option.as_ref()))));
    let attached = |(disk, option): (&models::ManagedDiskParameters, Option<String>)| {
        Some(Attached::new(key(disk.sub_resource.id.as_ref())?, option.as_deref()))
    };
    let interface = |nic: &models::NetworkInterfaceReference| {
        let option = nic.properties.as_ref().and_then(|properties| word(properties.delete_option.as_ref()));
        Some(Attached::new(key(nic.sub_resource.id.as_ref())?, option.as_deref()))
    };
    Machine {
        head,
        vm_id: None,
        size: profiles.hardware.and_then(|hardware| word(hardware.vm_size.as_ref())),
        priority: None,
        image: storage.and_then(|storage| image(storage.image_reference.as_ref()?)),
        os: os.and_then(|disk| word(disk.os_type.as_ref())),
        interfaces: profiles.network.into_iter().flat_map(|network| &network.network_interfaces).filter_map(interface).collect(),
        disks: os_disk.into_iter().chain(data).filter_map(attached).collect(),
        provisioning: None,
        set: None,
        created_at: None,
        zones: Vec::new(),
        managed_by: None,
        is_dedicated: false,
        power: power(profiles.statuses.iter().filter_map(|status| filled(status.code.as_ref()))),
        is_partial: false,
    }
}

fn image(image: &models::ImageReference) -> Option<String> {
    let version = filled(image.exact_version.as_ref()).or(filled(image.version.as_ref()));
    let parts = [filled(image.publisher.as_ref()), filled(image.offer.as_ref()), filled(image.sku.as_ref()), version];
    let ids = [&image.sub_resource.id, &image.shared_gallery_image_id, &image.community_gallery_image_id];
    image_name(parts, ids.map(|id| filled(id.as_ref())))
}

pub(super) fn machine(raw: &RawValue) -> Result<Machine, Misfit> {
    let vm: models::VirtualMachine = decode(raw)?;
    let head = head(&vm.resource)?;
    let properties = vm.properties.as_ref().ok_or_else(|| Misfit("it has no properties".to_owned()))?;
    let profiles = Profiles {
        hardware: properties.hardware_profile.as_ref(),
        storage: properties.storage_profile.as_ref(),
        network: properties.network_profile.as_ref(),
        statuses: properties.instance_view.as_ref().map_or(&[][..], |view| &view.statuses),
    };
    let host = properties.host.as_ref().or(properties.host_group.as_ref());
    Ok(Machine {
        vm_id: owned(properties.vm_id.as_ref()),
        priority: word(properties.priority.as_ref()),
        provisioning: owned(properties.provisioning_state.as_ref()),
        set: key(properties.virtual_machine_scale_set.as_ref().and_then(|set| set.id.as_ref())),
        created_at: instant(properties.time_created),
        zones: texts(&vm.zones),
        managed_by: owned(vm.managed_by.as_ref()),
        is_dedicated: filled(host.and_then(|host| host.id.as_ref())).is_some(),
        ..common(head, &profiles)
    })
}

pub(super) fn set_machine(raw: &RawValue) -> Result<Machine, Misfit> {
    let vm: models::VirtualMachineScaleSetVm = decode(raw)?;
    let head = head(&vm.resource)?;
    let properties = vm.properties.as_ref().ok_or_else(|| Misfit("it has no properties".to_owned()))?;
    let profiles = Profiles {
        hardware: properties.hardware_profile.as_ref(),
        storage: properties.storage_profile.as_ref(),
        network: properties.network_profile.as_ref(),
        statuses: properties.instance_view.as_ref().map_or(&[][..], |view| &view.statuses),
    };
    let machine = common(head, &profiles);
    Ok(Machine {
        vm_id: owned(properties.vm_id.as_ref()),
        size: machine.size.or_else(|| owned(vm.sku.as_ref().and_then(|sku| sku.name.as_ref()))),
        provisioning: owned(properties.provisioning_state.as_ref()),
        created_at: instant(properties.time_created),
        zones: texts(&vm.zones),
        ..machine
    })
}

pub(super) fn scale_set(raw: &RawValue) -> Result<ScaleSet, Misfit> {
    let set: models::VirtualMachineScaleSet = decode(raw)?;
    let head = head(&set.resource)?;
    let properties = set.properties.as_ref().ok_or_else(|| Misfit("it has no properties".to_owned()))?;
    let profile = properties.virtual_machine_profile.as_ref();
    let storage = profile.and_then(|profile| profile.storage_profile.as_ref());
    Ok(ScaleSet {
        head,
        is_flexible: is_flexible(word(properties.orchestration_mode.as_ref()).as_deref()),
        size: owned(set.sku.as_ref().and_then(|sku| sku.name.as_ref())),
        capacity: set.sku.as_ref().and_then(|sku| sku.capacity),
        is_single_placement_group: properties.single_placement_group.unwrap_or(false),
        priority: profile.and_then(|profile| word(profile.priority.as_ref())),
        image: storage.and_then(|storage| image(storage.image_reference.as_ref()?)),
        provisioning: owned(properties.provisioning_state.as_ref()),
        created_at: instant(properties.time_created),
        zones: texts(&set.zones),
    })
}

pub(super) fn disk(raw: &RawValue) -> Result<Disk, Misfit> {
    let disk: models::Disk = decode(raw)?;
    let head = head(&disk.resource)?;
    let properties = disk.properties.as_ref().ok_or_else(|| Misfit("it has no properties".to_owned()))?;
    let several = disk.managed_by_extended.iter().filter_map(|id| key(Some(id)));
    Ok(Disk {
        head,
        machines: holders(key(disk.managed_by.as_ref()).into_iter().chain(several)),
        size_gib: properties.disk_size_gb.map(i64::from),
        volume_type: disk.sku.as_ref().and_then(|sku| word(sku.name.as_ref())),
        iops: properties.disk_iops_read_write,
        state: word(properties.disk_state.as_ref()),
        snapshot: owned(properties.creation_data.source_resource_id.as_ref()),
        created_at: instant(properties.time_created),
        zones: texts(&disk.zones),
    })
}
