//! How many calls a pull takes: so many a subscription, so many a uniform set, and pages. None for a machine.

use std::collections::BTreeMap;

use dewpoint_azure::Collector;
use dewpoint_azure_sim::world::{Subscription, World};
use dewpoint_azure_sim::{Settings, Sim, Start};
use dewpoint_core::model::Kind;

/// Calls that every subscription takes, however little is in it: nine lists of its resources and one of its machines' power states; its groups, its
/// locations, what may be read in it, and the sizes of its one location.
const EACH_SUBSCRIPTION: u64 = 14;

/// Calls that a uniform set takes at most, however few machines are in it: for its machines, their interfaces, their addresses.
const EACH_SET: u64 = 3;

/// Items that a machine stands for in all lists together, on the average of these estates: itself, its power state, interfaces, disks, addresses.
const EACH_MACHINE: u64 = 5;

fn start(world: &World, page: usize) -> Sim {
    let settings = Settings { page_items: (page, page), empty_page: false, ..Settings::default() };
    Sim::start_with(Start { settings, ..Start::new(world.clone()) }).unwrap()
}

/// Calls for a list of so many items.
fn pages(items: usize, page: usize) -> u64 {
    u64::try_from(items.div_ceil(page).max(1)).unwrap()
}

/// What the lists of a subscription take, by the action that each needs; sizes apart, which are asked for once.
fn expected(calls: &mut BTreeMap<String, u64>, held: &Subscription, page: usize) {
    let mut add = |action: &str, count: u64| *calls.entry(format!("Microsoft.{action}/read")).or_default() += count;
    add("Resources/subscriptions/locations", 1);
    add("Authorization/permissions", 1);
    add("Resources/subscriptions/resourceGroups", pages(held.groups.len(), page));
    // Once as they are, once with their power states.
    add("Compute/virtualMachines", 2 * pages(held.vms.len(), page));
    add("Compute/virtualMachineScaleSets", pages(held.scale_sets.len(), page));
    add("Compute/disks", pages(held.disks.len(), page));
    add("Network/networkInterfaces", pages(held.nics.len(), page));
    add("Network/networkSecurityGroups", pages(held.security_groups.len(), page));
    add("Network/virtualNetworks", pages(held.vnets.len(), page));
    add("Network/publicIPAddresses", pages(held.public_ips.len(), page));
    add("Network/loadBalancers", pages(held.load_balancers.len(), page));
    add("Network/applicationGateways", pages(held.gateways.len(), page));
    for set in held.scale_sets.values().filter(|set| !set.is_flexible()) {
        add("Compute/virtualMachineScaleSets/virtualMachines", pages(set.instances.len(), page));
        add("Compute/virtualMachineScaleSets/networkInterfaces", pages(set.instances.len(), page));
        let addresses = set.instances.values().filter(|instance| instance.public_ip.is_some()).count();
        if addresses > 0 {
            add("Compute/virtualMachineScaleSets/publicIPAddresses", pages(addresses, page));
        }
    }
}

#[tokio::test]
async fn a_pull_takes_the_pages_of_its_lists() {
    const PAGE: usize = 100;
    let world = World::generated(21, 3, 1500);
    let sim = start(&world, PAGE);
    let (_, mut calls) = super::pull(&sim, Collector::Arm).await;
    let told: u64 = calls.values().sum();
    let served = sim.counters();
    let tokens = served.by_operation.get("token").copied().unwrap_or_default();
    assert_eq!((tokens, told + tokens), (1, served.requests), "what the source tells is what was served: {served:?}");

    let sizes = calls.remove("Microsoft.Compute/skus/read").unwrap_or_default();
    assert!((1..=3).contains(&sizes), "a location is asked for its sizes at most once: {sizes}");
    let mut wanted = BTreeMap::from([("Microsoft.Resources/subscriptions/read".to_owned(), 1)]);
    for held in world.subscriptions.values() {
        expected(&mut wanted, held, PAGE);
    }
    assert_eq!(calls, wanted);
}

/// The bound that people reckon with. Azure's own pages are not promised; these are as small as they come.
#[tokio::test]
async fn calls_grow_by_pages_and_not_by_machines() {
    const PAGE: usize = 50;
    for (subscriptions, machines) in [(1, 0), (1, 600), (4, 600), (4, 2400)] {
        let world = World::generated(22, subscriptions, machines);
        let sim = start(&world, PAGE);
        let (pull, calls) = super::pull(&sim, Collector::Arm).await;
        assert_eq!(pull.resources.values().filter(|resource| resource.kind == Kind::Instance).count(), machines);
        let calls: u64 = calls.values().sum();
        let sets = world.subscriptions.values().flat_map(|held| held.scale_sets.values()).filter(|set| !set.is_flexible()).count();
        let (of, sets) = (u64::try_from(subscriptions).unwrap(), u64::try_from(sets).unwrap());
        let items = u64::try_from(machines).unwrap() * EACH_MACHINE;
        let bound = 1 + of * EACH_SUBSCRIPTION + sets * EACH_SET + items / u64::try_from(PAGE).unwrap();
        println!(
            "{subscriptions} subscriptions, {sets} uniform sets, {machines} machines, {PAGE} items a page: {calls} calls, {} a subscription; at most {bound}",
            calls / of
        );
        assert!(calls <= bound, "{calls} calls, more than {bound}");
    }
}
