//! Lists and their pages.

use dewpoint_azure_sim::world::World;

use crate::support::{COMPUTE, NETWORK, get, items, log_in, pages, send, start, start_with};

/// An estate of one subscription, and the id of that.
fn estate(vms: usize) -> (World, String) {
    let world = World::generated(7, 1, vms);
    let id = world.subscriptions.keys().next().unwrap().clone();
    (world, id)
}

fn list(subscription: &str, kind: &str) -> String {
    let version = match kind {
        "Microsoft.Compute/disks" => "2024-03-02",
        kind if kind.starts_with("Microsoft.Network") => NETWORK,
        _ => COMPUTE,
    };
    format!("/subscriptions/{subscription}/providers/{kind}?api-version={version}")
}

#[test]
fn a_client_logs_in_and_lists() {
    let (world, id) = estate(10);
    let sim = start(world);
    let answer = log_in(&sim, "https://management.azure.com/.default");
    assert_eq!(
        (answer.status, answer.json()["token_type"].as_str(), answer.json()["expires_in"].as_u64()),
        (200, Some("Bearer"), Some(3599))
    );
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let headers = [("Authorization", format!("Bearer {token}"))];
    let answer = send(&sim, "GET", "/subscriptions?api-version=2020-01-01", &headers, "");
    assert_eq!(answer.json()["value"][0]["subscriptionId"], id.as_str());
    assert_eq!(answer.json()["value"][0]["state"], "Enabled");
}

#[test]
fn every_list_is_complete() {
    let (world, id) = estate(400);
    let sim = start(world.clone());
    let found = &world.subscriptions[&id];
    for (kind, count) in [
        ("Microsoft.Compute/virtualMachines", found.vms.len()),
        ("Microsoft.Compute/virtualMachineScaleSets", found.scale_sets.len()),
        ("Microsoft.Compute/disks", found.disks.len()),
        ("Microsoft.Network/networkInterfaces", found.nics.len()),
        ("Microsoft.Network/networkSecurityGroups", found.security_groups.len()),
        ("Microsoft.Network/applicationSecurityGroups", found.application_groups.len()),
        ("Microsoft.Network/virtualNetworks", found.vnets.len()),
        ("Microsoft.Network/publicIPAddresses", found.public_ips.len()),
        ("Microsoft.Network/loadBalancers", found.load_balancers.len()),
        ("Microsoft.Network/applicationGateways", found.gateways.len()),
    ] {
        let listed = items(&sim, &list(&id, kind));
        assert_eq!(listed.len(), count, "{kind}");
        // Every item is found by its id, too.
        let first = &listed[0];
        let version = list(&id, kind).split_once('?').unwrap().1.to_owned();
        let single = get(&sim, &format!("{}?{version}", first["id"].as_str().unwrap()));
        assert_eq!(single.json(), *first, "{kind}");
    }
}

#[test]
fn pages_are_uneven_and_one_is_empty() {
    let (world, id) = estate(600);
    let sim = start_with(world, |start| start.settings.page_items = (20, 90));
    let pages = pages(&sim, &list(&id, "Microsoft.Compute/virtualMachines"));
    let sizes: Vec<usize> = pages.iter().map(|page| page["value"].as_array().unwrap().len()).collect();
    assert!(sizes.len() > 4 && sizes[1] == 0, "{sizes:?}");
    assert!(sizes.iter().collect::<std::collections::BTreeSet<_>>().len() > 3, "{sizes:?}");
    let link = pages[0]["nextLink"].as_str().unwrap();
    assert!(link.contains("$skiptoken=AbC%2f") && link.ends_with("%3d"), "{link}");
}
