//! Items that are not as they should be: one of them spoils neither its list nor what is known of it.

use dewpoint_azure_sim::world::Rule;
use dewpoint_azure_sim::{Effect, Fault, Mishap, Rates};

use super::*;

/// A machine with all that hangs on it, and another beside it. The first of each list is `a-…`.
struct Estate {
    sim: Sim,
    account: String,
    machine: String,
    nic: String,
    nsg: String,
    set: String,
    pool: String,
    subnet: String,
}

fn estate() -> Estate {
    let mut world = World::new();
    let subscription = world.subscription("prod");
    let account = subscription.id.clone();
    let mut group = subscription.group("rg-App", "westeurope");
    let nsg = group.nsg("a-nsg").allow(100, "tcp", "443", "Internet").id();
    group.nsg("b-nsg");
    let pool = group.load_balancer("a-front").pool("web", 443, 8443).pool_id("web");
    group.load_balancer("b-front").pool("web", 80, 80);
    let set = group.flexible_set("a-set").id();
    group.uniform_set("b-set", 2);
    let machine = group.vm("a-web").pool(&pool).nsg(&nsg).public_ip("198.51.100.7").member_of(&set).tag("env", "prod");
    let (machine, nic) = (machine.id(), machine.nic_id());
    group.vm("b-web");
    let subnet = group.vnet("main", "10.0.0.0/16").subnet_id("default");
    Estate { sim: start_with(world, |settings| settings.rates = Rates::unlimited()), account, machine, nic, nsg, set, pool, subnet }
}

const LISTS: [(&str, Kind); 9] = [
    ("virtualMachines.list", Kind::Instance),
    ("virtualMachineScaleSets.list", Kind::ScalingGroup),
    ("virtualMachineScaleSets.virtualMachines.list", Kind::Instance),
    ("disks.list", Kind::Volume),
    ("networkInterfaces.list", Kind::NetworkInterface),
    ("virtualNetworks.list", Kind::Network),
    ("publicIPAddresses.list", Kind::PublicAddress),
    ("loadBalancers.list", Kind::LoadBalancer),
    ("networkSecurityGroups.list", Kind::SecurityGroup),
];

/// The keys of a kind in a pull.
fn keys(pull: &Pull, kind: Kind) -> Vec<&Key> {
    pull.resources.iter().filter(|(_, resource)| resource.kind == kind).map(|(key, _)| key).collect()
}

#[tokio::test]
async fn a_value_that_is_new_costs_nothing_but_itself() {
    let estate = estate();
    let before = setup(&estate.sim).pull().await;
    for (operation, kind) in LISTS.into_iter().filter(|(_, kind)| *kind != Kind::SecurityGroup) {
        estate.sim.faults(vec![Fault::new(Effect::NewEnumValue).operation(operation)]);
        let pull = setup(&estate.sim).pull().await;
        assert_eq!(incomplete(&pull), Vec::<String>::new(), "{operation}");
        assert_eq!(pull.resources.keys().collect::<Vec<_>>(), before.resources.keys().collect::<Vec<_>>(), "{operation}");
        assert_eq!(pull.relations.keys().collect::<Vec<_>>(), before.relations.keys().collect::<Vec<_>>(), "{operation}");
        assert!(!keys(&pull, kind).is_empty());
    }
}

#[cfg(feature = "compute-types")]
#[tokio::test]
async fn what_does_not_fit_the_published_types_is_counted() {
    let estate = estate();
    estate.sim.faults(vec![Fault::new(Effect::NewEnumValue).operation("virtualMachines.list")]);
    let pull = setup(&estate.sim).pull().await;
    let machine = resource(&pull, &estate.machine);
    assert_eq!((machine.attributes["os_family"].as_str(), machine.tags["env"].as_str()), (Some("rehydrating"), "prod"));
    assert_eq!(machine.attributes["size"], "Standard_D2s_v5");
    let remark = pull.remarks.iter().find(|remark| remark.subject == "Microsoft.Compute/virtualMachines").unwrap();
    assert!(remark.text.starts_with("1 of 2 items do not fit"), "{}", remark.text);
    assert!(remark.text.contains("a-web") && remark.text.contains("Rehydrating"), "{}", remark.text);
}

#[tokio::test]
async fn an_item_without_a_place_lies_where_its_group_does() {
    let estate = estate();
    let before = setup(&estate.sim).pull().await;
    for (operation, _) in LISTS {
        estate.sim.faults(vec![Fault::new(Effect::NoLocation).operation(operation)]);
        let pull = setup(&estate.sim).pull().await;
        assert_eq!(incomplete(&pull), Vec::<String>::new(), "{operation}");
        let regions =
            |pull: &Pull| pull.resources.values().map(|resource| (resource.key.clone(), resource.region.clone())).collect::<Vec<_>>();
        assert_eq!(regions(&pull), regions(&before), "{operation}");
        assert_eq!(pull.relations.keys().collect::<Vec<_>>(), before.relations.keys().collect::<Vec<_>>(), "{operation}");
    }
}

#[tokio::test]
async fn an_item_that_is_none_truncates_its_list() {
    let estate = estate();
    let whole = setup(&estate.sim).pull().await;
    for (operation, kind) in LISTS {
        for effect in [Effect::NoId, Effect::TextItem] {
            let before = keys(&whole, kind).len();
            estate.sim.faults(vec![Fault::new(effect.clone()).operation(operation)]);
            let pull = setup(&estate.sim).pull().await;
            assert_eq!(outcome(&pull, &estate.account, kind), Outcome::Truncated, "{operation} {effect:?}");
            let text = error(&pull, &estate.account, kind);
            assert!(text.contains("1 items could not be taken"), "{text}");
            assert_eq!(keys(&pull, kind).len(), before - 1, "{operation} {effect:?}: the others are taken");
            assert!(pull.remarks.iter().any(|remark| remark.text.contains("no id")), "{operation} {effect:?}: {:?}", pull.remarks);
        }
    }
}

/// A list with one item of this body in place of what it would hold.
fn lists(operation: &str, item: &serde_json::Value) -> Fault {
    let body = serde_json::json!({ "value": [item] }).to_string();
    Fault::new(Effect::Mishap(Mishap::Answer { status: 200, headers: BTreeMap::new(), body })).operation(operation)
}

#[tokio::test]
async fn an_item_that_says_nothing_of_itself_truncates_its_list() {
    let estate = estate();
    for properties in [serde_json::json!(null), serde_json::json!("x"), serde_json::json!([])] {
        let item = serde_json::json!({"id": estate.nsg, "name": "a-nsg", "location": "westeurope", "properties": properties});
        estate.sim.faults(vec![lists("networkSecurityGroups.list", &item)]);
        let pull = setup(&estate.sim).pull().await;
        assert_eq!(outcome(&pull, &estate.account, Kind::SecurityGroup), Outcome::Truncated);
        let text = error(&pull, &estate.account, Kind::SecurityGroup);
        assert!(text.contains("a-nsg") && text.contains("as its properties"), "{text}");
    }
}

#[tokio::test]
async fn a_machine_with_nulls_keeps_what_it_does_not_tell() {
    let estate = estate();
    estate.sim.faults(vec![Fault::new(Effect::NullObjects).operation("virtualMachines.list")]);
    let pull = setup(&estate.sim).pull().await;
    assert_eq!(incomplete(&pull), Vec::<String>::new());
    let key = resource(&pull, &estate.machine).key.clone();
    let unread = &pull.unread[&key];
    for name in ["size", "vcpus", "memory_mib", "image", "os_family"] {
        assert!(unread.contains(name) && !pull.resources[&key].attributes.contains_key(name), "{name}: {unread:?}");
    }
    assert_eq!(pull.resources[&key].attributes["private_addresses"].as_array().unwrap().len(), 1, "its interface tells them");
    // Which set it is in is not told either.
    let set = Key::azure(&estate.set).unwrap();
    assert!(pull.unread_edges.get(&set).is_some_and(|edges| edges.contains(&RelationType::MemberOf)), "{:?}", pull.unread_edges);
}

#[tokio::test]
async fn nulls_in_place_of_parts_are_no_absence_of_them() {
    for (operation, kinds) in [
        ("virtualNetworks.list", [Kind::Network, Kind::Subnet]),
        ("networkSecurityGroups.list", [Kind::SecurityGroup, Kind::SecurityGroup]),
        ("loadBalancers.list", [Kind::LoadBalancer, Kind::Pool]),
        ("networkInterfaces.list", [Kind::NetworkInterface, Kind::NetworkInterface]),
    ] {
        let estate = estate();
        estate.sim.faults(vec![Fault::new(Effect::NullObjects).operation(operation)]);
        let pull = setup(&estate.sim).pull().await;
        for kind in kinds {
            assert_eq!(outcome(&pull, &estate.account, kind), Outcome::Truncated, "{operation}");
        }
        let text = error(&pull, &estate.account, kinds[0]);
        assert!(text.contains("null"), "{operation}: {text}");
    }
    // A look-up of a part goes by the same.
    let estate = estate();
    let source = setup(&estate.sim).build();
    pull(&source).await;
    estate.sim.faults(vec![
        Fault::new(Effect::NullObjects).operation("virtualNetworks.get"),
        Fault::new(Effect::NullObjects).operation("loadBalancers.get"),
    ]);
    for (id, kind) in [(&estate.subnet, Kind::Subnet), (&estate.pool, Kind::Pool)] {
        let key = Key::azure(id).unwrap();
        let answer = source.look_up(&[(key.clone(), kind)], &Notes::default()).await;
        assert!(answer[&key].is_err(), "{kind}: {answer:?}");
    }
}

#[tokio::test]
async fn a_rule_that_is_not_understood_allows_nothing() {
    let estate = estate();
    let before = setup(&estate.sim).pull().await;
    assert_eq!(resource(&before, &estate.nsg).attributes["open_to_world"], serde_json::json!(["tcp/443"]), "`tcp` is `Tcp`");
    estate.sim.faults(vec![Fault::new(Effect::NewEnumValue).operation("networkSecurityGroups.list")]);
    let pull = setup(&estate.sim).pull().await;
    assert!(!pull.resources.contains_key(&Key::azure(&estate.nsg).unwrap()), "a group that is not understood is not told");
    assert_eq!(outcome(&pull, &estate.account, Kind::SecurityGroup), Outcome::Truncated);
    let text = error(&pull, &estate.account, Kind::SecurityGroup);
    assert!(text.contains("allow-100") && text.contains("Rehydrating"), "{text}");
    assert_eq!(keys(&pull, Kind::SecurityGroup).len(), 1, "the other group is taken");
    // What it protects is still protected by it.
    edge(&pull, &estate.machine, RelationType::ProtectedBy, &estate.nsg);
    edge(&pull, &estate.nic, RelationType::ProtectedBy, &estate.nsg);
}

#[tokio::test]
async fn rules_are_told_in_one_form() {
    let mut world = World::new();
    let subscription = world.subscription("prod");
    let mut group = subscription.group("rg", "westeurope");
    let asg = group.asg("Web");
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let nsg = group
        .nsg("nsg")
        .allow(100, "TCP", "22", "internet")
        .rule(Rule { sources: texts(&["10.0.0.0/8", "192.168.0.0/16"]), ..Rule::allow_in("several", 110, "Udp", "53", "") })
        .rule(Rule { sources: Vec::new(), source_groups: vec![asg.to_uppercase()], ..Rule::allow_in("group", 120, "*", "*", "") })
        .rule(Rule { allow: false, ..Rule::allow_in("tag", 130, "Tcp", "443", "storage.westeurope") })
        .rule(Rule { destination_ports: texts(&["80", "8000-8080"]), ..Rule::allow_in("ports", 140, "tcp", "", "10.1.2.3") })
        .id();
    let sim = start(world);
    let pull = setup(&sim).pull().await;
    let group = &resource(&pull, &nsg).attributes;
    assert_eq!(group["open_to_world"], serde_json::json!(["tcp/22"]));
    let rules = group["rules"].as_array().unwrap();
    let named = |name: &str| rules.iter().filter(|rule| rule["name"] == name).collect::<Vec<_>>();
    assert_eq!((named("several").len(), named("ports").len()), (2, 2), "{rules:?}");
    assert_eq!(rules.iter().filter(|rule| rule["default"] == true || rule["is_default"] == true).count(), 6, "{rules:?}");
    let text = serde_json::to_string(&rules).unwrap();
    assert!(text.contains(&asg.to_lowercase()) && text.contains("Storage.WestEurope"), "{text}");
}
