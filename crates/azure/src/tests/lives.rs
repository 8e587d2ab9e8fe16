//! Ids, and the lives under them: cases that change, machines made again, moved, and on their way out; look-ups.

use dewpoint_azure_sim::world::Change;
use dewpoint_azure_sim::{Effect, Fault, GroupCase, Rates};
use dewpoint_core::estate::Estate;
use dewpoint_core::source::{Presence, SourceError};
use dewpoint_core::testing;

use super::*;

async fn look_up(source: &AzureSource, id: &str, kind: Kind) -> Result<Presence, SourceError> {
    let key = Key::azure(id).unwrap();
    source.look_up(&[(key.clone(), kind)], &Notes::default()).await.remove(&key).unwrap()
}

/// What a look-up says, in a word, or why it cannot.
async fn presence(source: &AzureSource, id: &str, kind: Kind) -> String {
    match look_up(source, id, kind).await {
        Ok(Presence::Present(resource)) => {
            assert_eq!(resource.key, Key::azure(id).unwrap());
            "present".to_owned()
        }
        Ok(Presence::Gone) => "gone".to_owned(),
        Err(error) => error.outcome().to_string(),
    }
}

#[tokio::test]
async fn another_case_is_no_change() {
    let sim = start_with(World::generated(11, 1, 40), |settings| settings.rates = Rates::unlimited());
    let source = setup(&sim).with(|config| config.name = testing::source()).build();
    let mut estate = Estate::default();
    let mut ids: Option<Vec<Key>> = None;
    for (run, case) in [(1, GroupCase::Upper), (2, GroupCase::Lower), (3, GroupCase::AsMade)] {
        sim.settings(|settings| settings.vm_case = case);
        let pull = pull(&source).await;
        let keys: Vec<Key> = pull.resources.keys().cloned().collect();
        assert_eq!(*ids.get_or_insert_with(|| keys.clone()), keys, "{case:?}");
        let observed = testing::run(&mut estate, &pull, &testing::policy(), testing::minute(10 * run), run).0;
        if run > 1 {
            let changes =
                [observed.changed, observed.first_seen, observed.newly_absent, observed.related, observed.rerelated, observed.unrelated];
            assert_eq!(changes, [0; 6], "{case:?}");
        }
    }
    let machine = estate.resources.values().find(|known| known.resource.kind == Kind::Instance).unwrap();
    let group = machine.resource.native_id.split('/').nth(4).unwrap();
    assert_eq!(group, group.to_uppercase(), "the spelling seen first stays");
}

#[tokio::test]
async fn joins_hold_whatever_the_case() {
    let world = World::generated(11, 1, 60);
    let machines: Vec<(String, String)> =
        world.subscriptions.values().flat_map(|found| found.vms.values()).map(|vm| (vm.base.id.clone(), vm.os_disk.clone())).collect();
    let nics: Vec<(String, String)> = world
        .subscriptions
        .values()
        .flat_map(|found| found.vms.values())
        .flat_map(|vm| vm.nics.iter().map(|nic| (nic.clone(), vm.base.id.clone())))
        .collect();
    let sim = start(world);
    let pull = setup(&sim).pull().await;
    assert!(machines.len() > 20);
    for (machine, disk) in &machines {
        assert_eq!(edge(&pull, disk, RelationType::AttachedTo, machine).attributes["delete_on_termination"], true);
    }
    for (nic, machine) in &nics {
        edge(&pull, nic, RelationType::AttachedTo, machine);
    }
    let has_address = |id: &str| !resource(&pull, id).attributes["private_addresses"].as_array().unwrap().is_empty();
    assert!(machines.iter().filter(|(machine, _)| has_address(machine)).count() > 20);
}

/// A machine alone, its subscription, and itself.
fn one_machine() -> (Sim, String, String) {
    let mut world = World::new();
    let subscription = world.subscription("prod");
    let account = subscription.id.clone();
    let machine = subscription.group("rg-old", "westeurope").vm("app-01").data_disk(64).id();
    (start(world), account, machine)
}

#[tokio::test]
async fn a_machine_made_again_has_another_life() {
    let (sim, _, machine) = one_machine();
    let source = setup(&sim).with(|config| config.name = testing::source()).build();
    let mut estate = Estate::default();
    let first = pull(&source).await;
    let _ = testing::run(&mut estate, &first, &testing::policy(), testing::minute(0), 1);
    sim.apply(&Change::Recreate { id: machine.clone() }).unwrap();
    let second = pull(&source).await;
    let life = |pull: &Pull| resource(pull, &machine).attributes["life"].clone();
    assert_ne!(life(&first), life(&second));
    assert!(resource(&second, &machine).created_at > resource(&first, &machine).created_at);
    let observed = testing::run(&mut estate, &second, &testing::policy(), testing::minute(10), 2).0;
    assert_eq!((observed.reborn, observed.first_seen, observed.newly_absent), (1, 0, 0));
}

#[tokio::test]
async fn a_machine_that_is_moved_keeps_its_life() {
    let (sim, account, machine) = one_machine();
    let source = setup(&sim).build();
    let first = pull(&source).await;
    sim.apply(&Change::Move { id: machine.clone(), group: "rg-New".to_owned() }).unwrap();
    let second = pull(&source).await;
    let moved = machine.replace("rg-old", "rg-new");
    assert_eq!(resource(&first, &machine).attributes["life"], resource(&second, &moved).attributes["life"]);
    assert!(
        !second.resources.contains_key(&Key::azure(&machine).unwrap()) && outcome(&second, &account, Kind::Instance) == Outcome::Complete
    );
    edge(
        &second,
        &moved.replace("Microsoft.Compute/virtualMachines/app-01", "Microsoft.Network/networkInterfaces/app-01-nic"),
        RelationType::AttachedTo,
        &moved,
    );
    assert_eq!(presence(&source, &machine, Kind::Instance).await, "gone");
    assert_eq!(presence(&source, &moved, Kind::Instance).await, "present");
}

#[tokio::test]
async fn a_machine_on_its_way_out_is_listed_and_gone() {
    let (sim, _, machine) = one_machine();
    let source = setup(&sim).build();
    sim.apply(&Change::StartDelete { id: machine.clone() }).unwrap();
    let listed = pull(&source).await;
    let listed = resource(&listed, &machine);
    assert_eq!((listed.state.as_deref(), listed.attributes["provider_state"].as_str()), (Some("stopping"), Some("deleting")));
    assert_eq!(presence(&source, &machine, Kind::Instance).await, "gone");
}

/// One of everything.
fn furnished() -> (Sim, Vec<(String, Kind)>, String) {
    let mut world = World::new();
    let subscription = world.subscription("prod");
    let account = subscription.id.clone();
    let mut group = subscription.group("rg-app", "westeurope");
    let nsg = group.nsg("nsg").id();
    let balancer = group.load_balancer("front").pool("web", 443, 8443);
    let (balancer, pool) = (balancer.id(), balancer.pool_id("web"));
    let network = group.vnet("main", "10.0.0.0/16").id();
    let subnet = format!("{network}/subnets/default");
    let gateway = group.gateway("gateway", &subnet).pool("web", 80, Vec::new());
    let (gateway, gateway_pool) = (gateway.id(), gateway.pool_id("web"));
    let uniform = group.uniform_set("workers", 2).edit(|set| {
        for instance in set.instances.values_mut() {
            instance.public_ip = Some("203.0.113.9".to_owned());
        }
    });
    let set = uniform.id();
    let flexible = group.flexible_set("flexible").id();
    let machine = group.vm("web").public_ip("198.51.100.7").zone("1").member_of(&flexible);
    let (machine, nic) = (machine.id(), machine.nic_id());
    let at = |kind: &str, name: &str| format!("/subscriptions/{account}/resourceGroups/rg-app/providers/{kind}/{name}");
    let instance = format!("{set}/virtualMachines/1");
    let keys = vec![
        (format!("/subscriptions/{account}"), Kind::Account),
        (format!("/subscriptions/{account}/resourceGroups/rg-app"), Kind::ResourceGroup),
        (network, Kind::Network),
        (subnet, Kind::Subnet),
        (nsg, Kind::SecurityGroup),
        (machine, Kind::Instance),
        (instance.clone(), Kind::Instance),
        (set, Kind::ScalingGroup),
        (flexible, Kind::ScalingGroup),
        (nic, Kind::NetworkInterface),
        (format!("{instance}/networkInterfaces/nic-0"), Kind::NetworkInterface),
        (at("Microsoft.Compute/disks", "web-os"), Kind::Volume),
        (at("Microsoft.Network/publicIPAddresses", "web-ip"), Kind::PublicAddress),
        (format!("{instance}/networkInterfaces/nic-0/ipConfigurations/ip-0/publicIPAddresses/pub-0"), Kind::PublicAddress),
        (balancer, Kind::LoadBalancer),
        (pool, Kind::Pool),
        (gateway, Kind::LoadBalancer),
        (gateway_pool, Kind::Pool),
        (format!("/subscriptions/{account}/locations/westeurope"), Kind::Region),
        (format!("/subscriptions/{account}/locations/westeurope/zones/1"), Kind::Zone),
    ];
    (start_with(world, |settings| settings.rates = Rates::unlimited()), keys, account)
}

#[tokio::test]
async fn what_is_there_is_looked_up_as_it_was_listed() {
    let (sim, keys, _) = furnished();
    let source = setup(&sim).build();
    let listed = pull(&source).await;
    sim.clear_calls();
    let asked: Vec<(Key, Kind)> = keys.iter().map(|(id, kind)| (Key::azure(id).unwrap(), *kind)).collect();
    let answers = source.look_up(&asked, &Notes::default()).await;
    assert_eq!(answers.len(), asked.len());
    for (key, _) in &asked {
        let Ok(Presence::Present(found)) = &answers[key] else { panic!("{key}: {:?}", answers[key]) };
        let known = &listed.resources[key];
        assert_eq!(
            (&found.key, &found.name, &found.region, &found.state, &found.tags),
            (&known.key, &known.name, &known.region, &known.state, &known.tags)
        );
        for (name, value) in &found.attributes {
            assert_eq!(Some(value), known.attributes.get(name), "{key} {name}: a look-up tells nothing else than the list");
        }
    }
    let calls = sim.calls().iter().filter(|call| call.operation != "token").count();
    assert!(calls < asked.len(), "what is a part is read with the whole: {calls} calls");
}

#[tokio::test]
async fn only_azures_own_word_means_gone() {
    let (sim, keys, account) = furnished();
    let source = setup(&sim).build();
    pull(&source).await;
    let error_of = |status: u16, code: &str| Effect::Error { status, code: code.to_owned(), message: "by script".to_owned() };
    let asked = || keys.iter().filter(|(_, kind)| !matches!(kind, Kind::Account | Kind::Region | Kind::Zone));
    for (effect, want) in [
        (error_of(404, "ResourceNotFound"), "gone"),
        (error_of(404, "ResourceGroupNotFound"), "gone"),
        (error_of(404, "NotFound"), "failed"),
        (error_of(404, "SubscriptionNotFound"), "failed"),
        (error_of(409, "MissingSubscriptionRegistration"), "failed"),
        (Effect::Deny, "denied"),
        (Effect::TextItem, "truncated"),
        (Effect::NoId, "truncated"),
        (Effect::Mishap(dewpoint_azure_sim::Mishap::Html { status: 404 }), "failed"),
        (Effect::Throttle { retry_after_s: Some(1200), compute: false }, "throttled"),
    ] {
        // A limit that was met is remembered.
        let source = setup(&sim).build();
        sim.faults(vec![]);
        pull(&source).await;
        sim.faults(vec![Fault::new(effect.clone()).subscription(&account)]);
        for (id, kind) in asked() {
            let found = presence(&source, id, *kind).await;
            assert_eq!(found, want, "{id} {effect:?}");
        }
    }
}

#[tokio::test]
async fn what_was_deleted_is_gone() {
    let (sim, keys, account) = furnished();
    let source = setup(&sim).build();
    pull(&source).await;
    let missing = |kind: &str, name: &str| format!("/subscriptions/{account}/resourceGroups/rg-app/providers/{kind}/{name}");
    for (id, kind) in [
        (missing("Microsoft.Compute/virtualMachines", "none"), Kind::Instance),
        (missing("Microsoft.Compute/virtualMachineScaleSets", "none/virtualMachines/0"), Kind::Instance),
        (missing("Microsoft.Compute/virtualMachineScaleSets", "workers/virtualMachines/7"), Kind::Instance),
        (missing("Microsoft.Compute/virtualMachineScaleSets", "workers/virtualMachines/7/networkInterfaces/nic-0"), Kind::NetworkInterface),
        (missing("Microsoft.Network/virtualNetworks", "main/subnets/none"), Kind::Subnet),
        (missing("Microsoft.Network/loadBalancers", "front/backendAddressPools/none"), Kind::Pool),
        (missing("Microsoft.Network/applicationGateways", "gateway/backendAddressPools/none"), Kind::Pool),
        (format!("/subscriptions/{account}/resourceGroups/none"), Kind::ResourceGroup),
        (format!("/subscriptions/{account}/resourceGroups/none/providers/Microsoft.Compute/disks/x"), Kind::Volume),
        (format!("/subscriptions/{account}/locations/eastus"), Kind::Region),
        (format!("/subscriptions/{account}/locations/westeurope/zones/3"), Kind::Zone),
    ] {
        assert_eq!(presence(&source, &id, kind).await, "gone", "{id}");
    }
    sim.faults(vec![Fault::new(Effect::NoLocation).operation("virtualMachines.get")]);
    assert_eq!(presence(&source, &keys[5].0, Kind::Instance).await, "truncated", "it is there, and nowhere");
    sim.faults(Vec::new());
    // Of another subscription nothing is known, and a key of another form says nothing.
    let elsewhere = keys[5].0.replace(&account, "00000000-0000-4000-8000-00000000000b");
    assert_eq!(presence(&source, &elsewhere, Kind::Instance).await, "failed");
    assert_eq!(presence(&source, &keys[5].0, Kind::Volume).await, "failed");
    // Nor is a place gone while something that may lie there was not read.
    sim.faults(vec![Fault::new(Effect::Deny).operation("disks.list")]);
    pull(&source).await;
    assert_eq!(presence(&source, &format!("/subscriptions/{account}/locations/eastus"), Kind::Region).await, "failed");
}

#[tokio::test]
async fn many_are_asked_about_by_their_lists() {
    let mut world = World::new();
    let mut group = world.subscription("prod").group("rg", "westeurope");
    let mut ids: Vec<String> = (0..120).map(|at| group.vm(&format!("vm-{at:03}")).id()).collect();
    let set = group.uniform_set("workers", 40).id();
    ids.extend((0..40).map(|number| format!("{set}/virtualMachines/{number}")));
    let sim = start_with(world, |settings| settings.page_items = (50, 50));
    let source = setup(&sim).build();
    pull(&source).await;
    let gone = [ids[0].clone(), ids[130].clone()];
    sim.edit(|world| {
        let subscription = world.subscription("prod");
        subscription.vms.retain(|_, vm| vm.base.id != gone[0]);
        subscription.scale_sets.values_mut().for_each(|set| set.instances.retain(|number, _| *number != 10));
    });
    sim.clear_calls();
    let asked: Vec<_> = ids.iter().map(|id| (Key::azure(id).unwrap(), Kind::Instance)).collect();
    let answers = source.look_up(&asked, &Notes::default()).await;
    for id in &ids {
        let answer = answers[&Key::azure(id).unwrap()].as_ref().unwrap();
        assert_eq!(matches!(answer, Presence::Gone), gone.contains(id), "{id}");
    }
    let calls: Vec<_> = sim.calls().iter().filter(|call| call.operation != "token").map(|call| call.operation.clone()).collect();
    // Pages of both lists, with an empty one in each, and each machine that these did not show.
    assert!(calls.len() <= 12, "{calls:?}");
    // A list may leave things out, or fail: then each is asked for.
    for (effect, list) in [
        (Effect::EmptyList, "virtualMachines.list"),
        (Effect::EmptyList, "virtualMachineScaleSets.virtualMachines.list"),
        (Effect::Deny, "virtualMachines.list"),
    ] {
        sim.faults(vec![Fault::new(effect).operation(list)]);
        let answers = source.look_up(&asked, &Notes::default()).await;
        let present = answers.values().filter(|answer| matches!(answer, Ok(Presence::Present(_))));
        assert_eq!(present.count(), asked.len() - gone.len(), "{list}");
    }
}
