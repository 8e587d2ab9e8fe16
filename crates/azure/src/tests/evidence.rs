//! A list that was not read, or not whole, proves nothing: what is known stays as it is.

use std::collections::BTreeSet;

use dewpoint_azure_sim::world::{Change, Power};
use dewpoint_azure_sim::{Effect, Fault, Rates};
use dewpoint_core::estate::Estate;
use dewpoint_core::inventory::Observed;
use dewpoint_core::testing;

use super::*;

/// One of everything, without tags: those of an item may be null.
fn furnished() -> (World, String) {
    let mut world = World::new();
    let subscription = world.subscription("prod");
    let account = subscription.id.clone();
    let mut group = subscription.group("rg-App", "westeurope");
    let nsg = group.nsg("a-nsg").allow(100, "Tcp", "443", "Internet").id();
    let pool = group.load_balancer("a-front").pool("web", 443, 8443).pool_id("web");
    let subnet = group.vnet("main", "10.0.0.0/16").subnet_id("default");
    let gateway = group.gateway("a-gateway", &subnet).pool("web", 80, Vec::new()).pool_id("web");
    let set = group.flexible_set("a-flexible").id();
    group.uniform_set("a-uniform", 3).pool(&pool).nsg(&nsg).spot();
    let web = group.vm("a-web").pool(&pool).gateway_pool(&gateway).nsg(&nsg).public_ip("198.51.100.7").zone("1").data_disk(32).spot();
    web.member_of(&set);
    group.vm("b-web").pool(&pool).power(Power::Deallocated);
    (world, account)
}

/// A source whose name is that of core's tests.
fn observed_by(sim: &Sim) -> AzureSource {
    setup(sim).with(|config| config.name = testing::source()).build()
}

/// Takes a pull into an estate.
fn observe(estate: &mut Estate, pull: &Pull, run: i64) -> Observed {
    testing::run(estate, pull, &testing::policy(), testing::minute(10 * run), run).0
}

/// What may be seen twice without anything having happened.
fn check_nothing_happened(observed: &Observed, what: &str) {
    let Observed { changed, reborn, newly_absent, rerelated, unrelated, related, first_seen, .. } = observed;
    assert_eq!([changed, reborn, newly_absent, rerelated, unrelated, related, first_seen], [&0; 7], "{what}");
}

const LISTS: [&str; 16] = [
    "locations.list",
    "permissions.list",
    "resourceGroups.list",
    "skus.list",
    "virtualMachines.list",
    "virtualMachineScaleSets.list",
    "virtualMachineScaleSets.virtualMachines.list",
    "virtualMachineScaleSets.networkInterfaces.list",
    "virtualMachineScaleSets.publicIPAddresses.list",
    "disks.list",
    "networkInterfaces.list",
    "networkSecurityGroups.list",
    "virtualNetworks.list",
    "publicIPAddresses.list",
    "loadBalancers.list",
    "applicationGateways.list",
];

#[tokio::test]
async fn whatever_list_fails_nothing_happens() {
    let (world, _) = furnished();
    let sim = start_with(world, |settings| settings.rates = Rates::unlimited());
    // A new source each time: what one has learnt before, such as sizes, it does not ask for again.
    let first = pull(&observed_by(&sim)).await;
    assert_eq!(incomplete(&first), Vec::<String>::new());
    for list in LISTS {
        for effect in [Effect::Deny, Effect::NullObjects, Effect::TextItem] {
            let mut estate = Estate::default();
            let _ = observe(&mut estate, &first, 1);
            check_nothing_happened(&observe(&mut estate, &first, 2), "the same again");
            sim.faults(vec![Fault::new(effect.clone()).operation(list)]);
            let second = pull(&observed_by(&sim)).await;
            check_nothing_happened(&observe(&mut estate, &second, 3), &format!("{list} {effect:?}"));
        }
    }
    for (effect, is_failure) in [(Effect::ProviderError, true), (Effect::EmptyList, false)] {
        let page = Fault::new(effect).contains("statusOnly");
        let mut estate = Estate::default();
        let _ = observe(&mut estate, &first, 1);
        sim.faults(vec![page]);
        let second = pull(&observed_by(&sim)).await;
        // A list that fails is told; one that shows nothing tells nothing.
        let failed = incomplete(&second).iter().any(|gap| gap.contains(" instance: "));
        assert_eq!(failed, is_failure, "{:?}", incomplete(&second));
        check_nothing_happened(&observe(&mut estate, &second, 2), "how machines run");
        let known = estate.resources.values().filter(|known| known.resource.kind == Kind::Instance);
        let states: BTreeSet<_> = known.filter_map(|known| known.resource.state.as_deref()).collect();
        assert_eq!(states, BTreeSet::from(["running", "stopped"]));
    }
}

#[tokio::test]
async fn machines_stay_whole_without_their_interfaces() {
    let (world, account) = furnished();
    let machine = world.find(&account).unwrap().vms.values().next().unwrap().base.id.clone();
    let sim = start(world);
    sim.apply(&Change::Deny { client: CLIENT.to_owned(), action: "Microsoft.Network/networkInterfaces/read".to_owned() }).unwrap();
    let pull = setup(&sim).pull().await;
    assert_eq!(outcome(&pull, &account, Kind::Instance), Outcome::Complete);
    let key = Key::azure(&machine).unwrap();
    assert!(pull.unread_edges[&key].contains(&RelationType::ProtectedBy));
    assert!(pull.unread[&key].is_superset(&["network", "subnet"].map(str::to_owned).into()), "{:?}", pull.unread[&key]);
    assert_eq!(pull.resources[&key].attributes["size"], "Standard_D2s_v5");
}

#[tokio::test]
async fn sets_stay_whole_without_their_machines() {
    let (world, account) = furnished();
    let set = world.find(&account).unwrap().scale_sets.values().next().unwrap().base.id.clone();
    let sim = start(world);
    sim.apply(&Change::Deny { client: CLIENT.to_owned(), action: "Microsoft.Compute/virtualMachines/read".to_owned() }).unwrap();
    let pull = setup(&sim).pull().await;
    assert_eq!(outcome(&pull, &account, Kind::ScalingGroup), Outcome::Complete);
    let key = Key::azure(&set).unwrap();
    assert!(pull.unread_edges[&key].contains(&RelationType::MemberOf) && pull.unread[&key].contains("member_count"));
    assert!(!pull.resources[&key].attributes.contains_key("member_count"));
}

#[tokio::test]
async fn a_subscription_that_is_denied_from_now_on_is_frozen() {
    let (mut world, account) = furnished();
    world.subscription("other").group("rg", "westeurope").vm("vm");
    let sim = start(world);
    let source = observed_by(&sim);
    let mut estate = Estate::default();
    let _ = observe(&mut estate, &pull(&source).await, 1);
    sim.faults(vec![Fault::new(Effect::Deny).subscription(&account)]);
    let second = pull(&source).await;
    assert_eq!(outcome(&second, &account, Kind::Instance), Outcome::Denied);
    check_nothing_happened(&observe(&mut estate, &second, 2), "denied");
    // Its role is gone: it is not even listed any more.
    sim.faults(Vec::new());
    let other = sim.edit(|world| {
        let other = world.subscription("other").id.clone();
        world.application(CLIENT).reads_only(&format!("/subscriptions/{other}"));
        other
    });
    let third = pull(&source).await;
    assert_eq!(outcome(&third, &other, Kind::Instance), Outcome::Complete);
    assert!(!third.receipts.iter().any(|(scope, _)| scope.account.as_str() == account));
    let observed = observe(&mut estate, &third, 3);
    check_nothing_happened(&observed, "hidden");
    let outcomes = observed.receipts.iter().filter(|(scope, _)| scope.account.as_str() == account);
    assert!(outcomes.clone().count() > 0 && outcomes.clone().all(|(_, receipt)| receipt.outcome == Outcome::Orphaned));
}

#[tokio::test]
async fn a_role_that_was_narrowed_takes_nothing_away() {
    let (mut world, account) = furnished();
    world.subscription("prod").group("rg-other", "northeurope").vm("other");
    let sim = start(world);
    let source = observed_by(&sim);
    let mut estate = Estate::default();
    let _ = observe(&mut estate, &pull(&source).await, 1);
    sim.edit(|world| {
        world.application(CLIENT).reads_only(&format!("/subscriptions/{account}/resourceGroups/rg-other"));
    });
    let second = pull(&source).await;
    assert_eq!(all_of(&second, Kind::Instance).len(), 1);
    check_nothing_happened(&observe(&mut estate, &second, 2), "narrowed");
}

#[tokio::test]
async fn what_a_machine_has_from_others_is_never_taken_in_part() {
    let mut world = World::new();
    let mut group = world.subscription("prod").group("rg", "westeurope");
    let machine = group.vm("two").interface("10.0.9.9").id();
    for at in 0..60 {
        group.vm(&format!("vm-{at:02}"));
    }
    group.uniform_set("spot", 2).spot();
    let sim = start_with(world, |settings| settings.page_items = (5, 5));
    // The list of interfaces breaks off somewhere in the middle, wherever the machine's two stand.
    for page in 2..12 {
        sim.faults(vec![Fault::new(Effect::ProviderError).operation("networkInterfaces.list").page(page)]);
        let pull = setup(&sim).pull().await;
        let facts = &resource(&pull, &machine).attributes;
        let count = facts.get("private_addresses").map(|addresses| addresses.as_array().unwrap().len());
        assert!(matches!(count, None | Some(2)), "page {page}: {facts:?}");
    }
    // What an instance of a set buys is said by the set alone.
    sim.faults(vec![Fault::new(Effect::Deny).operation("resourceGraph").contains("virtualmachinescalesets'")]);
    let graph = setup(&sim).with(|config| config.collector = crate::Collector::ResourceGraph).pull().await;
    assert!(incomplete(&graph).iter().any(|gap| gap.contains(" scaling_group: denied")), "{:?}", incomplete(&graph));
    let members: Vec<_> =
        all_of(&graph, Kind::Instance).into_iter().filter(|machine| machine.native_id.contains("/virtualMachineScaleSets/")).collect();
    assert_eq!(members.len(), 2);
    for member in members {
        assert_ne!(member.attributes.get("purchase").and_then(|word| word.as_str()), Some("on_demand"));
        let is_unread = graph.unread.get(&member.key).is_some_and(|names| names.contains("purchase"));
        assert!(is_unread || member.attributes.contains_key("purchase"));
    }
}

#[tokio::test]
async fn an_interface_that_is_named_and_not_listed_takes_nothing_away() {
    let mut world = World::new();
    let mut group = world.subscription("prod").group("virtualMachines", "westeurope");
    let nsg = group.nsg("nsg").allow(100, "Tcp", "443", "Internet").id();
    let pool = group.load_balancer("front").pool("web", 443, 8443).pool_id("web");
    let plain = group.vm("plain").nsg(&nsg).pool(&pool).id();
    let set = group.uniform_set("workers", 1).nsg(&nsg).id();
    let sim = start(world);
    // As when it was attached between two lists.
    sim.faults(vec![
        Fault::new(Effect::EmptyList).operation("networkInterfaces.list"),
        Fault::new(Effect::EmptyList).operation("virtualMachineScaleSets.networkInterfaces.list"),
    ]);
    let pull = setup(&sim).pull().await;
    assert_eq!(incomplete(&pull), Vec::<String>::new());
    for id in [plain, format!("{set}/virtualMachines/0")] {
        let machine = resource(&pull, &id);
        for name in ["private_addresses", "macs", "subnet"] {
            assert!(!machine.attributes.contains_key(name) && pull.unread[&machine.key].contains(name), "{id}: {name}");
        }
        assert!(pull.unread_edges[&machine.key].contains(&RelationType::ProtectedBy), "{id}");
    }
    assert!(pull.unread_edges[&Key::azure(&pool).unwrap()].contains(&RelationType::RoutesTo));
}

#[tokio::test]
async fn what_machines_tell_of_others_stays_where_they_were_not_read() {
    let mut world = World::new();
    let mut group = world.subscription("prod").group("rg", "westeurope");
    let pool = group.load_balancer("front").pool("web", 443, 8443).pool_id("web");
    let set = group.flexible_set("workers").id();
    group.vm("web").pool(&pool).public_ip("198.51.100.7").member_of(&set);
    let sim = start(world);
    let nobody_says = |pull: &Pull, id: &str, relation: RelationType| {
        pull.unread_edges.get(&Key::azure(id).unwrap()).is_some_and(|relations| relations.contains(&relation))
    };
    let whole = setup(&sim).pull().await;
    let address = all_of(&whole, Kind::PublicAddress)[0].native_id.clone();
    assert!(!nobody_says(&whole, &pool, RelationType::RoutesTo) && !nobody_says(&whole, &address, RelationType::AttachedTo));
    sim.faults(vec![Fault::new(Effect::Deny).operation("virtualMachines.list")]);
    let pull = setup(&sim).pull().await;
    assert!(nobody_says(&pull, &pool, RelationType::RoutesTo) && nobody_says(&pull, &address, RelationType::AttachedTo));
    // How many there should be is not told by how many were read.
    let set = resource(&pull, &set);
    assert!(set.attributes.contains_key("desired_size") || pull.unread[&set.key].contains("desired_size"), "{:?}", set.attributes);
}
