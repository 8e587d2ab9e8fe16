//! What is odd about the estate, as at Azure.

use dewpoint_azure_sim::{
    GroupCase,
    world::{Change, Power, Rule, World},
};
use serde_json::{Value, json};

use crate::support::{COMPUTE, NETWORK, get, items, start};

fn vms(id: &str, more: &str) -> String {
    format!("/subscriptions/{id}/providers/Microsoft.Compute/virtualMachines?api-version={COMPUTE}{more}")
}

fn network(id: &str, kind: &str) -> String {
    format!("/subscriptions/{id}/providers/Microsoft.Network/{kind}?api-version={NETWORK}")
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn ids_differ_in_case() {
    let world = World::generated(3, 1, 200);
    let id = world.subscriptions.keys().next().unwrap().clone();
    let sim = start(world);
    let machines = items(&sim, &vms(&id, ""));
    assert!(
        machines
            .iter()
            .all(|vm| text(vm, "/id").contains(&format!("/resourceGroups/{}/", text(vm, "/id").split('/').nth(4).unwrap().to_uppercase())))
    );
    let nics = items(&sim, &network(&id, "networkInterfaces"));
    assert!(nics.iter().any(|nic| text(nic, "/id").contains("/resourceGroups/rg-App-0/")));
    let holders: Vec<&str> = nics.iter().map(|nic| text(nic, "/properties/virtualMachine/id")).filter(|id| !id.is_empty()).collect();
    for form in ["/resourceGroups/RG-APP-0/", "/resourceGroups/rg-App-0/", "/resourcegroups/rg-App-0/"] {
        assert!(holders.iter().any(|id| id.contains(form)), "{form}");
    }
    let disks = items(&sim, &format!("/subscriptions/{id}/providers/Microsoft.Compute/disks?api-version=2024-03-02"));
    assert!(disks.iter().any(|disk| text(disk, "/managedBy").contains("/RG-APP-0/")));
    assert!(disks.iter().any(|disk| text(disk, "/managedBy").contains("/rg-App-0/")));
    assert!(disks.iter().any(|disk| disk["tags"].is_null() && disk.as_object().unwrap().contains_key("tags")));
    sim.settings(|settings| settings.vm_case = GroupCase::Lower);
    assert!(items(&sim, &vms(&id, "")).iter().all(|vm| !text(vm, "/id").contains("/RG-")));
}

#[test]
fn status_only_leaves_things_out() {
    let mut world = World::new();
    let subscription = world.subscription("prod");
    let id = subscription.id.clone();
    let mut group = subscription.group("rg", "westeurope");
    group.vm("running").tag("env", "prod");
    group.vm("unknown").edit(|vm| vm.power = None);
    group.vm("failed").edit(|vm| vm.provisioning = "Failed".to_owned());
    group.vm("asleep").power(Power::Deallocated).edit(|vm| vm.statuses = vec!["HibernationState/Hibernated".to_owned()]);
    let sim = start(world);
    let listed = items(&sim, &vms(&id, "&statusOnly=true"));
    let codes = |name: &str| -> Vec<&str> {
        let vm = listed.iter().find(|vm| vm["name"] == name).unwrap();
        assert_eq!([&vm["tags"], &vm["properties"]["storageProfile"], &vm["properties"]["networkProfile"]], [&Value::Null; 3]);
        vm["properties"]["instanceView"]["statuses"].as_array().unwrap().iter().map(|status| status["code"].as_str().unwrap()).collect()
    };
    assert_eq!(codes("running"), ["ProvisioningState/succeeded", "PowerState/running"]);
    assert_eq!(codes("unknown"), ["ProvisioningState/succeeded"]);
    assert_eq!(codes("failed"), ["ProvisioningState/failed", "PowerState/running"]);
    assert_eq!(codes("asleep"), ["ProvisioningState/succeeded", "PowerState/deallocated", "HibernationState/Hibernated"]);
}

/// A world with one machine, the subscription's id, and the machine's.
fn one_vm() -> (World, String, String) {
    let mut world = World::new();
    let subscription = world.subscription("prod");
    let id = subscription.id.clone();
    let vm = subscription.group("rg-old", "westeurope").vm("app-01").data_disk(64).id();
    (world, id, vm)
}

#[test]
fn a_machine_on_its_way_out_is_listed_and_not_found() {
    let (world, id, vm) = one_vm();
    let sim = start(world);
    let single = format!("{vm}?api-version={COMPUTE}");
    assert_eq!(get(&sim, &single).status, 200);
    sim.apply(&Change::StartDelete { id: vm.clone() }).unwrap();
    assert_eq!(items(&sim, &vms(&id, ""))[0]["properties"]["provisioningState"], "Deleting");
    assert_eq!(get(&sim, &single).refusal(), (404, "ResourceNotFound".to_owned()));
    sim.apply(&Change::Delete { id: vm.clone() }).unwrap();
    assert_eq!(items(&sim, &vms(&id, "")).len(), 0);
    assert_eq!(items(&sim, &network(&id, "networkInterfaces")).len(), 0);
    assert!(sim.apply(&Change::Delete { id: vm }).is_err());
}

#[test]
fn a_machine_made_again_has_another_identity() {
    let (world, id, vm) = one_vm();
    let sim = start(world);
    let before = items(&sim, &vms(&id, "")).remove(0);
    sim.apply(&Change::Recreate { id: vm }).unwrap();
    let after = items(&sim, &vms(&id, "")).remove(0);
    assert_eq!(before["id"], after["id"]);
    assert_ne!(before["properties"]["vmId"], after["properties"]["vmId"]);
}

#[test]
fn a_machine_that_is_moved_keeps_its_identity() {
    let (world, id, vm) = one_vm();
    let sim = start(world);
    let before = items(&sim, &vms(&id, "")).remove(0);
    sim.apply(&Change::Move { id: vm, group: "rg-New".to_owned() }).unwrap();
    let after = items(&sim, &vms(&id, "")).remove(0);
    assert_eq!(before["properties"]["vmId"], after["properties"]["vmId"]);
    assert!(text(&after, "/id").contains("/resourceGroups/RG-NEW/"));
    let nic = items(&sim, &network(&id, "networkInterfaces")).remove(0);
    assert_eq!(after["properties"]["networkProfile"]["networkInterfaces"][0]["id"], nic["id"]);
    assert!(text(&nic, "/id").contains("/resourceGroups/rg-New/"));
    assert_eq!(text(&nic, "/properties/virtualMachine/id").to_lowercase(), text(&after, "/id").to_lowercase());
    let disks = items(&sim, &format!("/subscriptions/{id}/providers/Microsoft.Compute/disks?api-version=2024-03-02"));
    assert_eq!(disks.len(), 2);
    assert!(disks.iter().all(|disk| text(disk, "/managedBy").to_lowercase().contains("/rg-new/")));
}

#[test]
fn rules_are_written_in_one_field_or_the_other() {
    let mut world = World::new();
    let subscription = world.subscription("prod");
    let id = subscription.id.clone();
    let mut group = subscription.group("rg", "westeurope");
    let asg = group.asg("web");
    let several = vec!["10.0.0.0/8".to_owned(), "192.168.0.0/16".to_owned()];
    group
        .nsg("nsg")
        .allow(100, "tcp", "443", "Internet")
        .rule(Rule { sources: several, ..Rule::allow_in("several", 110, "Tcp", "80", "") })
        .rule(Rule { sources: Vec::new(), source_groups: vec![asg.clone()], ..Rule::allow_in("group", 120, "*", "*", "") });
    let sim = start(world);
    let nsg = items(&sim, &network(&id, "networkSecurityGroups")).remove(0);
    let rule = |at: usize| &nsg["properties"]["securityRules"][at]["properties"];
    assert_eq!(
        [&rule(0)["protocol"], &rule(0)["sourceAddressPrefix"], &rule(0)["sourceAddressPrefixes"]],
        [&json!("tcp"), &json!("Internet"), &json!([])]
    );
    assert_eq!(rule(1)["sourceAddressPrefix"], Value::Null);
    assert_eq!(rule(1)["sourceAddressPrefixes"], json!(["10.0.0.0/8", "192.168.0.0/16"]));
    assert_eq!([&rule(2)["sourceAddressPrefix"], &rule(2)["sourceApplicationSecurityGroups"][0]["id"]], [&json!(""), &json!(asg)]);
    assert_eq!(nsg["properties"]["defaultSecurityRules"].as_array().unwrap().len(), 6);
    assert_eq!(nsg["properties"]["networkInterfaces"], Value::Null, "nothing refers to it");
}

#[test]
fn pools_have_members_in_every_form() {
    let world = World::generated(3, 1, 200);
    let id = world.subscriptions.keys().next().unwrap().clone();
    let sim = start(world);
    let balancers = items(&sim, &network(&id, "loadBalancers"));
    let pool = |name: &str| {
        let pools = balancers.iter().flat_map(|balancer| balancer["properties"]["backendAddressPools"].as_array().unwrap());
        pools.into_iter().find(|pool| pool["name"] == name).unwrap()["properties"].clone()
    };
    assert!(text(&pool("web"), "/backendIPConfigurations/0/id").contains("/Microsoft.Network/networkInterfaces/"));
    assert!(
        text(&pool("kubernetes"), "/backendIPConfigurations/0/id")
            .contains("/virtualMachineScaleSets/aks-nodes-12345678-vmss/virtualMachines/")
    );
    let (db, nics) = (pool("db"), items(&sim, &network(&id, "networkInterfaces")));
    let ip = text(&db, "/loadBalancerBackendAddresses/0/properties/ipAddress");
    let vnet = text(&db, "/loadBalancerBackendAddresses/0/properties/virtualNetwork/id");
    let subnets: Vec<&str> = nics
        .iter()
        .flat_map(|nic| nic["properties"]["ipConfigurations"].as_array().unwrap())
        .filter(|one| one["properties"]["privateIPAddress"] == ip)
        .map(|one| text(one, "/properties/subnet/id"))
        .collect();
    assert_eq!(subnets.len(), 2, "the address is in two networks");
    assert_eq!(subnets.iter().filter(|subnet| subnet.starts_with(vnet)).count(), 1);
    let gateway = items(&sim, &network(&id, "applicationGateways")).remove(0);
    let pools = &gateway["properties"]["backendAddressPools"];
    assert_eq!(pools[0]["properties"]["backendAddresses"][0]["fqdn"], "backend-0.example.net");
    assert!(text(&pools[2], "/properties/backendIPConfigurations/0/id").contains("/networkInterfaces/"));
}
