//! Scale sets, and the instances of uniform ones with their interfaces and addresses.

use serde_json::{Value, json};

use super::{
    View, head, put, reference, some_references, time,
    vm::{image, os_profile},
};
use crate::{
    ids,
    kind::Kind,
    world::{Instance, Orchestration, ScaleSet},
};

pub(super) fn scale_set(set: &ScaleSet, view: View<'_>) -> Value {
    let members = view.index.set_vms.get(&ids::fold(&set.base.id)).copied().unwrap_or_default();
    let capacity = if set.is_flexible() { members } else { set.instances.len() };
    let mut profile = json!({
        "storageProfile": {
            "osDisk": {"osType": set.os.name(), "createOption": "FromImage", "caching": "ReadWrite", "managedDisk": {"storageAccountType": "Premium_LRS"}},
        },
        "osProfile": {"computerNamePrefix": set.base.name(), "adminUsername": "operator"},
        "networkProfile": {"networkInterfaceConfigurations": network_configuration(set)},
    });
    if let Some(storage) = profile.get_mut("storageProfile") {
        put(storage, "imageReference", image(set.image.as_ref()));
    }
    put(&mut profile, "priority", set.priority.clone());
    let mut properties = json!({
        "singlePlacementGroup": false,
        "provisioningState": "Succeeded",
        "uniqueId": ids::guid(&["set", &ids::fold(&set.base.id)]),
        "timeCreated": time(set.created),
        "virtualMachineProfile": profile,
        "platformFaultDomainCount": 1,
    });
    match set.orchestration {
        Orchestration::Uniform => put(&mut properties, "orchestrationMode", Some("Uniform")),
        Orchestration::Flexible => put(&mut properties, "orchestrationMode", Some("Flexible")),
        Orchestration::Unsaid => {}
    }
    if !set.is_flexible() {
        put(&mut properties, "upgradePolicy", Some(json!({"mode": "Manual"})));
        put(&mut properties, "overprovision", Some(true));
    }
    let mut item = head(&set.base, Kind::ScaleSet, &view.vm_case.apply(&set.base.id), properties);
    put(&mut item, "sku", Some(json!({"name": set.size, "tier": "Standard", "capacity": capacity})));
    if !set.zones.is_empty() {
        put(&mut item, "zones", Some(json!(set.zones)));
    }
    item
}

fn network_configuration(set: &ScaleSet) -> Value {
    let network = &set.network;
    let mut address = json!({"primary": true, "subnet": {"id": network.subnet}, "privateIPAddressVersion": "IPv4"});
    put(&mut address, "loadBalancerBackendAddressPools", some_references(&network.pools));
    put(&mut address, "applicationGatewayBackendAddressPools", some_references(&network.gateway_pools));
    put(&mut address, "applicationSecurityGroups", some_references(&network.application_groups));
    let mut properties = json!({
        "primary": true,
        "enableAcceleratedNetworking": false,
        "enableIPForwarding": false,
        "dnsSettings": {"dnsServers": []},
        "ipConfigurations": [{"name": "ip-0", "properties": address}],
    });
    put(&mut properties, "networkSecurityGroup", reference(network.security_group.as_ref()));
    json!([{"name": "nic-0", "properties": properties}])
}

/// An instance of a uniform set.
pub(crate) fn instance(set: &ScaleSet, number: u32, instance: &Instance, view: View<'_>) -> Value {
    let id = view.vm_case.apply(&set.instance_id(number));
    let disk = format!("{}_{}_OsDisk_1_{:08x}", set.base.name(), instance.computer_name, number);
    let disk_id = ids::resource(ids::subscription(&set.base.id), ids::group(&set.base.id), Kind::Disk.full_name(), &disk);
    let mut storage = json!({
        "osDisk": {"osType": set.os.name(), "name": disk, "createOption": "FromImage", "caching": "ReadWrite", "diskSizeGB": 30,
            "managedDisk": {"storageAccountType": "Premium_LRS", "id": disk_id}},
        "dataDisks": [],
    });
    put(&mut storage, "imageReference", image(set.image.as_ref()));
    let mut properties = json!({
        "vmId": instance.vm_id,
        "latestModelApplied": instance.latest_model,
        "modelDefinitionApplied": "VirtualMachineScaleSet",
        "networkProfileConfiguration": {"networkInterfaceConfigurations": network_configuration(set)},
        "hardwareProfile": {"vmSize": set.size},
        "storageProfile": storage,
        "osProfile": os_profile(&instance.computer_name, set.os),
        "networkProfile": {"networkInterfaces": [{"id": set.nic_id(number)}]},
        "provisioningState": instance.provisioning,
        "timeCreated": time(instance.created),
    });
    put(&mut properties, "priority", set.priority.clone());
    let mut item = json!({
        "name": format!("{}_{number}", set.base.name()),
        "id": id,
        "type": "Microsoft.Compute/virtualMachineScaleSets/virtualMachines",
        "location": set.base.location,
        "instanceId": number.to_string(),
        "sku": {"name": set.size, "tier": "Standard"},
        "properties": properties,
    });
    put(&mut item, "tags", instance.tags.as_ref().map(|tags| json!(tags)));
    put(&mut item, "zones", instance.zone.as_ref().map(|zone| json!([zone])));
    item
}

/// The interface of a uniform set's instance. It has neither type nor location.
pub(crate) fn instance_nic(set: &ScaleSet, number: u32, instance: &Instance) -> Value {
    let network = &set.network;
    let mut address = json!({
        "provisioningState": "Succeeded",
        "privateIPAddress": instance.private_ip,
        "privateIPAllocationMethod": "Dynamic",
        "subnet": {"id": network.subnet},
        "primary": true,
        "privateIPAddressVersion": "IPv4",
    });
    put(&mut address, "publicIPAddress", reference(instance.public_ip.is_some().then(|| set.public_ip_id(number))));
    put(&mut address, "loadBalancerBackendAddressPools", some_references(&network.pools));
    put(&mut address, "applicationGatewayBackendAddressPools", some_references(&network.gateway_pools));
    put(&mut address, "applicationSecurityGroups", some_references(&network.application_groups));
    let mut properties = json!({
        "provisioningState": "Succeeded",
        "ipConfigurations": [{"name": "ip-0", "id": set.ip_configuration_id(number), "properties": address}],
        "dnsSettings": {"dnsServers": [], "appliedDnsServers": []},
        "macAddress": "00-00-00-00-00-00",
        "enableAcceleratedNetworking": false,
        "enableIPForwarding": false,
        "primary": true,
        "virtualMachine": {"id": set.instance_id(number)},
    });
    put(&mut properties, "networkSecurityGroup", reference(network.security_group.as_ref()));
    json!({"name": "nic-0", "id": set.nic_id(number), "properties": properties})
}

/// The public address of a uniform set's instance; `None` when it has none.
pub(crate) fn instance_public_ip(set: &ScaleSet, number: u32, instance: &Instance) -> Option<Value> {
    let ip = instance.public_ip.as_ref()?;
    Some(json!({
        "name": "pub-0",
        "id": set.public_ip_id(number),
        "properties": {
            "provisioningState": "Succeeded",
            "ipAddress": ip,
            "publicIPAddressVersion": "IPv4",
            "publicIPAllocationMethod": "Dynamic",
            "idleTimeoutInMinutes": 10,
            "ipConfiguration": {"id": set.ip_configuration_id(number)},
        },
    }))
}
