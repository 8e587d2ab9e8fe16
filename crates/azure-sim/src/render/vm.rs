//! Virtual machines and disks.

use serde_json::{Value, json};

use super::{View, head, put, reference, time};
use crate::{
    ids,
    kind::Kind,
    world::{Disk, Image, Os, Power, Subscription, Vm},
};

pub(super) fn vm(vm: &Vm, view: View<'_>) -> Value {
    let id = view.vm_case.apply(&vm.base.id);
    let mut properties = json!({
        "vmId": vm.vm_id,
        "hardwareProfile": {"vmSize": vm.size},
        "storageProfile": storage(vm),
        "networkProfile": {"networkInterfaces": nics(vm)},
        "provisioningState": vm.provisioning,
        "timeCreated": time(vm.created),
    });
    put(&mut properties, "osProfile", vm.computer_name.as_deref().map(|name| os_profile(name, vm.os)));
    put(&mut properties, "priority", vm.priority.clone());
    put(&mut properties, "evictionPolicy", vm.eviction.clone());
    if vm.priority.as_deref() == Some("Spot") {
        put(&mut properties, "billingProfile", Some(json!({"maxPrice": -1.0})));
    }
    put(&mut properties, "licenseType", vm.license.clone());
    put(&mut properties, "virtualMachineScaleSet", reference(vm.scale_set.as_deref().map(ids::group_upper)));
    put(&mut properties, "availabilitySet", reference(vm.availability_set.as_deref().map(ids::group_upper)));
    let mut item = head(&vm.base, Kind::Vm, &id, properties);
    if !vm.zones.is_empty() {
        put(&mut item, "zones", Some(json!(vm.zones)));
    }
    item
}

fn nics(vm: &Vm) -> Value {
    let one = vm.nics.len() == 1;
    vm.nics
        .iter()
        .enumerate()
        .map(|(at, id)| if one { json!({"id": id}) } else { json!({"id": id, "properties": {"primary": at == 0}}) })
        .collect()
}

fn storage(vm: &Vm) -> Value {
    let mut storage = json!({
        "osDisk": {
            "osType": vm.os.name(),
            "name": ids::name(&vm.os_disk),
            "createOption": "FromImage",
            "caching": "ReadWrite",
            "managedDisk": {"id": vm.os_disk},
            "deleteOption": "Delete",
        },
        "dataDisks": vm.data_disks.iter().map(|disk| json!({
            "lun": disk.lun,
            "name": ids::name(&disk.id),
            "createOption": "Attach",
            "caching": "None",
            "managedDisk": {"id": disk.id},
            "deleteOption": "Detach",
            "toBeDetached": false,
        })).collect::<Vec<_>>(),
    });
    put(&mut storage, "imageReference", image(vm.image.as_ref()).or_else(|| reference(vm.image_id.as_ref())));
    storage
}

pub(super) fn image(image: Option<&Image>) -> Option<Value> {
    image.map(|image| {
        json!({
            "publisher": image.publisher,
            "offer": image.offer,
            "sku": image.sku,
            "version": "latest",
            "exactVersion": image.exact_version,
        })
    })
}

pub(super) fn os_profile(name: &str, os: Os) -> Value {
    let mut profile = json!({"computerName": name, "adminUsername": "operator", "secrets": [], "allowExtensionOperations": true});
    let (field, settings) = match os {
        Os::Linux => ("linuxConfiguration", json!({"disablePasswordAuthentication": true, "provisionVMAgent": true})),
        Os::Windows => ("windowsConfiguration", json!({"provisionVMAgent": true, "enableAutomaticUpdates": true})),
    };
    put(&mut profile, field, Some(settings));
    profile
}

/// What `statusOnly=true` and `$expand=instanceView` give.
pub(crate) fn instance_view(power: Option<Power>, provisioning: &str, more: &[String], vm: Option<&Vm>) -> Value {
    let mut statuses = vec![json!({
        "code": format!("ProvisioningState/{}", provisioning.to_ascii_lowercase()),
        "level": if provisioning == "Failed" { "Error" } else { "Info" },
        "displayStatus": format!("Provisioning {}", provisioning.to_ascii_lowercase()),
    })];
    if provisioning != "Deleting"
        && let Some(vm) = vm
        && let Some(status) = statuses.first_mut()
    {
        put(status, "time", Some(time(vm.created)));
    }
    if let Some(power) = power {
        let code = format!("PowerState/{}", power.name());
        statuses.push(json!({"code": code, "level": "Info", "displayStatus": format!("VM {}", power.name())}));
    }
    statuses.extend(more.iter().map(|code| json!({"code": code, "level": "Info", "displayStatus": code})));
    let mut view = json!({"statuses": statuses});
    if let Some(vm) = vm {
        put(&mut view, "computerName", vm.computer_name.clone());
        put(&mut view, "hyperVGeneration", Some("V2"));
        put(&mut view, "disks", Some(json!([{"name": ids::name(&vm.os_disk)}])));
    }
    view
}

/// An item of the list with `statusOnly=true`: neither tags nor profiles. Some do without `vmId`.
pub(crate) fn status_only(vm: &Vm, view: View<'_>) -> Value {
    let mut properties = json!({
        "provisioningState": vm.provisioning,
        "instanceView": instance_view(vm.power, &vm.provisioning, &vm.statuses, None),
    });
    if !vm.vm_id.ends_with(['0', '8']) {
        put(&mut properties, "vmId", Some(vm.vm_id.clone()));
    }
    json!({
        "id": view.vm_case.apply(&vm.base.id),
        "name": vm.base.name(),
        "type": Kind::Vm.full_name(),
        "location": vm.base.location,
        "properties": properties,
    })
}

/// Adds the instance view to a machine in full.
pub(crate) fn set_power(item: &mut Value, vm: &Vm) {
    if let Some(properties) = item.get_mut("properties") {
        put(properties, "instanceView", Some(instance_view(vm.power, &vm.provisioning, &vm.statuses, Some(vm))));
    }
}

pub(super) fn disk(disk: &Disk, view: View<'_>, subscription: &Subscription) -> Value {
    let holder = view.index.disk_vm.get(&ids::fold(&disk.base.id));
    let power = holder.and_then(|id| subscription.vms.get(&ids::fold(id))).and_then(|vm| vm.power);
    let state = match (holder, power) {
        (None, _) => "Unattached",
        (Some(_), Some(Power::Deallocated)) => "Reserved",
        (Some(_), _) => "Attached",
    };
    let mut properties = json!({
        "creationData": {"createOption": if disk.os.is_some() { "FromImage" } else { "Empty" }},
        "diskSizeGB": disk.size_gb,
        "diskSizeBytes": u64::from(disk.size_gb) << 30,
        "diskState": state,
        "timeCreated": time(disk.created),
        "uniqueId": ids::guid(&["disk", &ids::fold(&disk.base.id)]),
        "provisioningState": "Succeeded",
        "encryption": {"type": "EncryptionAtRestWithPlatformKey"},
        "networkAccessPolicy": "AllowAll",
    });
    put(&mut properties, "osType", disk.os.map(Os::name));
    let mut item = head(&disk.base, Kind::Disk, &disk.base.id, properties);
    put(&mut item, "sku", Some(json!({"name": disk.sku, "tier": disk.sku.split('_').next()})));
    put(&mut item, "managedBy", holder.map(|id| ids::mixed(id)));
    if !disk.zones.is_empty() {
        put(&mut item, "zones", Some(json!(disk.zones)));
    }
    item
}
