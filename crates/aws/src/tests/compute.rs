//! Machines, and what is attached to them.

use dewpoint_aws_sim::world::{Cpu, InstanceState, PrivateAddress, PublicAddress, Region};
use dewpoint_aws_sim::{Effect, Fault};
use jiff::Timestamp;

use super::world::{bare, group_key, instance_key};
use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A machine with all that is read of it.
fn full(region: &mut Region) -> Key {
    region.group("a");
    region.group("b");
    region.group("c");
    let second = region.group_id("c");
    let machine = region.instance("web 1").of_type("m7i.xlarge").windows().groups(&["b", "a"]).tag("env", "prod").tag("empty", "");
    let machine = machine.elastic_ip("203.0.113.5").interface("10.0.1.9").managed_by("eks.amazonaws.com").edit(|one| {
        one.lifecycle = Some("capacity-block".to_owned());
        one.profile = Some("arn:aws:iam::111111111111:instance-profile/web".to_owned());
        one.requester = Some("940372691376".to_owned());
        // Half of what its type has.
        one.cpu = Some(Cpu { cores: 1, threads: 2 });
        one.launched = at("2026-01-01T10:00:00Z");
    });
    let machine = machine.edit_interface(|card| {
        card.addresses.push(PrivateAddress { ip: "10.0.0.4".to_owned(), public: None });
        card.ipv6 = vec!["fd00::5".to_owned(), "2001:db8::5".to_owned()];
        card.mac = "06:AA:00:00:00:01".to_owned();
        card.attachment.as_mut().unwrap().attached = at("2025-06-01T08:00:00Z");
    });
    let id = machine.id();
    let other = region.interfaces.values_mut().find(|card| card.attachment.as_ref().unwrap().device_index == 1).unwrap();
    other.groups = vec![second];
    other.mac = "06:aa:00:00:00:02".to_owned();
    // Attached before the machine was born under its primary interface: cards can be older.
    other.attachment.as_mut().unwrap().attached = at("2024-01-01T00:00:00Z");
    other.addresses[0].public = Some(PublicAddress { ip: "198.51.100.9".to_owned(), allocation: None });
    key(OWN, EU, &format!("instance/{id}"))
}

#[tokio::test]
async fn an_instance_is_mapped_whole() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    let key = full(region);
    let (image, dns) = (region.instances[&region.instance_id("web 1")].image.clone(), "ip-10-0-0-10.eu-west-1.compute.internal");
    let groups: BTreeSet<Key> = ["a", "b", "c"].map(|name| group_key(region, name)).into();
    let arn = |path: String| format!("aws:arn:aws:ec2:{EU}:{OWN}:{path}");
    let (vpc, subnet) = (arn(format!("vpc/{}", region.vpc_id("main"))), arn(format!("subnet/{}", region.subnet_id("main"))));
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    assert_eq!(gaps(&pull), BTreeMap::new());
    assert_eq!(
        serde_json::to_value(one(&pull, &key)).unwrap(),
        json!({
            "key": key, "kind": "instance", "provider": "aws", "native_id": key.as_str().rsplit('/').next().unwrap(),
            "account": OWN, "region": EU, "name": "web 1", "state": "running",
            "tags": {"Name": "web 1", "empty": "", "env": "prod"},
            "created_at": "2025-06-01T08:00:00Z", "observed_at": "2026-01-02T03:04:06Z",
            "attributes": {
                "size": "m7i.xlarge", "vcpus": 2, "memory_mib": 16384, "purchase": "capacity_block", "image": image,
                "os_family": "windows", "architecture": "x86_64", "zone": "eu-west-1a", "network": vpc, "subnet": subnet,
                "launched_at": "2026-01-01T10:00:00Z", "tenancy": "default", "provider_state": "running",
                "instance_profile": "arn:aws:iam::111111111111:instance-profile/web",
                "launched_by": "940372691376", "managed_by": "eks.amazonaws.com",
                "private_addresses": ["10.0.0.10", "10.0.0.4", "10.0.1.9", "fd00::5"],
                "public_addresses": ["198.51.100.9", "2001:db8::5", "203.0.113.5"],
                "macs": ["06:aa:00:00:00:01", "06:aa:00:00:00:02"],
                "private_dns_name": dns, "public_dns_name": "ec2-203-0-113-5.eu-west-1.compute.amazonaws.com",
            },
        })
    );
    let edges = edges_from(&pull, &key);
    let protected: BTreeSet<Key> = edges.iter().filter(|edge| edge.0 == RelationType::ProtectedBy).map(|edge| edge.1.clone()).collect();
    assert_eq!(protected, groups, "of all its interfaces");
    let zone = (RelationType::LocatedIn, super::world::key(OWN, EU, "availability-zone/eu-west-1a"), json!({}));
    assert!(edges.contains(&zone) && edges.len() == 4, "{edges:?}");
}

#[tokio::test]
async fn birth_is_the_older_of_launch_and_first_attachment() {
    let cases = [
        // Stopped and started: launched again, on the old primary interface.
        ("2026-01-01T10:00:00Z", "2025-06-01T08:00:00Z", "2025-06-01T08:00:00Z"),
        // The interface was put in place after the launch.
        ("2025-01-01T10:00:00Z", "2025-01-01T10:00:05Z", "2025-01-01T10:00:00Z"),
        // The interface was changed for another, the root volume stayed.
        ("2026-03-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ];
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    for (n, (launched, attached, _)) in cases.iter().enumerate() {
        let machine = region.instance(&format!("m{n}")).edit(|one| one.launched = at(launched));
        machine.edit_interface(|card| card.attachment.as_mut().unwrap().attached = at(attached));
    }
    let keys: Vec<Key> = (0..cases.len()).map(|n| instance_key(region, &format!("m{n}"))).collect();
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    for (key, (launched, _, born)) in keys.iter().zip(cases) {
        assert_eq!(one(&pull, key).created_at, Some(at(born)));
        assert_eq!(attributes(&pull, key)["launched_at"], json!(launched));
    }
}

#[tokio::test]
async fn sizes_ways_to_buy_and_systems() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    // vCPUs out of the type where the machine does not tell its own.
    region.instance("plain").edit(|one| one.instance_type = "r5.4xlarge".to_owned());
    region.instance("spot").of_type("t3.micro").spot();
    region.instance("unknown").edit(|one| {
        one.instance_type = "m99.Strange".to_owned();
        one.lifecycle = Some("interruptible-capacity-reservation".to_owned());
    });
    region.instance("mac").edit(|one| one.instance_type = "mac2.metal".to_owned());
    region.instance("sql").edit(|one| one.platform_details = "Windows with SQL Server Standard".to_owned());
    let wanted = [
        ("plain", json!([16, 131_072, "on_demand", "linux"])),
        ("spot", json!([2, 1024, "spot", "linux"])),
        ("unknown", json!([null, null, "interruptible_capacity_reservation", "linux"])),
        ("sql", json!([2, 8192, "on_demand", "windows"])),
    ];
    let keys = wanted.each_ref().map(|(name, _)| instance_key(region, name));
    let mac = instance_key(region, "mac");
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    for (key, (name, wanted)) in keys.iter().zip(wanted) {
        let found = attributes(&pull, key);
        let found = json!([found["vcpus"], found["memory_mib"], found["purchase"], found["os_family"]]);
        assert_eq!(found, wanted, "{name}");
    }
    assert_eq!(attributes(&pull, &mac)["os_family"], json!("macos"));
    assert_eq!(gaps(&pull), BTreeMap::new(), "a type that AWS does not name is no gap");
}

#[tokio::test]
async fn sizes_are_asked_for_once() {
    let mut world = bare(OWN, &[EU, US]);
    for region in [EU, US] {
        world.account(OWN).region(region).instance("one").of_type("m5.large");
    }
    let sim = start(world);
    let source = setup(&sim, OWN, &[EU]).build();
    pull(&source).await;
    assert_eq!(count(&sim, "DescribeInstanceTypes"), 1);
    sim.edit_region(OWN, EU, |region| {
        region.instance("two").of_type("m5.large");
        region.instance("three").of_type("c5.large");
    });
    pull(&source).await;
    let asked: Vec<_> = sim.calls().into_iter().filter(|call| call.action == "DescribeInstanceTypes").collect();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].parameters.get("Filter.1.Value.1").map(String::as_str), Some("c5.large"));
    assert!(!asked[1].parameters.contains_key("Filter.1.Value.2"));
}

#[tokio::test]
async fn every_state_has_a_neutral_word() {
    let states = [
        (InstanceState::Pending, "pending"),
        (InstanceState::Running, "running"),
        (InstanceState::Stopping, "stopping"),
        (InstanceState::Stopped, "stopped"),
        (InstanceState::ShuttingDown, "stopping"),
        (InstanceState::Terminated, "terminated"),
    ];
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    for (state, _) in states {
        region.instance(state.as_str()).state(state);
    }
    let keys = states.map(|(state, _)| instance_key(region, state.as_str()));
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    for (key, (state, word)) in keys.iter().zip(states) {
        assert_eq!(one(&pull, key).state.as_deref(), Some(word));
        assert_eq!(attributes(&pull, key)["provider_state"], json!(state.as_str()));
    }
}

#[tokio::test]
async fn a_terminated_instance_keeps_nothing_that_it_lost() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    let id = region.instance("gone").groups(&["web"]).elastic_ip("198.51.100.1").id();
    let key = instance_key(region, "gone");
    let sim = start(world);
    sim.terminate(OWN, EU, &id).unwrap();
    let source = setup(&sim, OWN, &[EU]).build();
    let first = pull(&source).await;
    assert_eq!(one(&first, &key).state.as_deref(), Some("terminated"));
    let names: Vec<String> = one(&first, &key).attributes.keys().cloned().collect();
    for lost in ["private_addresses", "public_addresses", "macs", "network", "subnet", "private_dns_name", "public_dns_name"] {
        assert!(!names.contains(&lost.to_owned()), "{lost}: an empty value would overwrite the last good one");
    }
    assert!(edges_from(&first, &key).iter().all(|edge| edge.0 == RelationType::LocatedIn), "{:?}", edges_from(&first, &key));
    assert_eq!((all_of(&first, Kind::NetworkInterface).len(), all_of(&first, Kind::Volume).len()), (0, 0));
    let address = all_of(&first, Kind::PublicAddress)[0];
    assert_eq!(address.state.as_deref(), Some("unassociated"));
    assert!(edges_from(&first, &address.key).is_empty());
    // It fades after an hour.
    sim.advance(jiff::SignedDuration::from_hours(2));
    let later = pull(&source).await;
    assert!(!later.resources.contains_key(&key));
    assert_eq!(gaps(&later), BTreeMap::new());
}

#[tokio::test]
async fn a_machine_on_its_way_out_says_nothing_of_addresses_it_has_lost() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    let id = region.instance("dying").state(InstanceState::ShuttingDown).id();
    region.interfaces.retain(|_, card| card.instance() != Some(&id));
    region.instance("dry");
    let dry = region.instance_id("dry");
    region.interfaces.retain(|_, card| card.instance() != Some(&dry));
    let keys = ["dying", "dry"].map(|name| instance_key(region, name));
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    let [dying, dry] = keys.map(|key| attributes(&pull, &key));
    for name in ["private_addresses", "public_addresses", "macs"] {
        assert_eq!((dying.get(name), dry.get(name)), (None, Some(&json!([]))), "{name}");
    }
}

#[tokio::test]
async fn what_services_manage_is_seen_though_the_account_hides_it() {
    let mut world = bare(OWN, &[EU]);
    let account = world.account(OWN);
    account.managed_resources_hidden = true;
    let region = account.region(EU);
    let node = region.instance("node").managed_by("eks.amazonaws.com").id();
    let operator = region.instances[&node].operator.clone();
    region.volumes.values_mut().for_each(|volume| volume.operator.clone_from(&operator));
    let key = instance_key(region, "node");
    let sim = start(world);
    let source = setup(&sim, OWN, &[EU]).build();
    let pull = pull(&source).await;
    assert_eq!(attributes(&pull, &key)["managed_by"], json!("eks.amazonaws.com"));
    let card = all_of(&pull, Kind::NetworkInterface)[0];
    assert_eq!(card.attributes["managed_by"], json!("eks.amazonaws.com"));
    let keys =
        [(key, Kind::Instance), (card.key.clone(), Kind::NetworkInterface), (all_of(&pull, Kind::Volume)[0].key.clone(), Kind::Volume)];
    let answers = source.look_up(&keys, &Notes::default()).await;
    assert!(answers.values().all(|answer| matches!(answer, Ok(dewpoint_core::source::Presence::Present(_)))), "{answers:?}");
}

#[tokio::test]
async fn an_interface_is_mapped_whole() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    let instance = full(region);
    let id = region.interfaces.values().find(|card| card.attachment.as_ref().unwrap().device_index == 0).unwrap().id.clone();
    let card = region.interfaces.get_mut(&id).unwrap();
    card.tags.insert("Name".to_owned(), "front".to_owned());
    card.description = "web".to_owned();
    card.kind = "efa".to_owned();
    let groups = ["a", "b"].map(|name| group_key(region, name));
    let arn = |path: String| key(OWN, EU, &path);
    let (vpc, subnet) = (arn(format!("vpc/{}", region.vpc_id("main"))), arn(format!("subnet/{}", region.subnet_id("main"))));
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    let key = arn(format!("network-interface/{id}"));
    let interface = one(&pull, &key);
    assert_eq!((interface.name.as_deref(), interface.state.as_deref()), (Some("front"), Some("in-use")));
    assert_eq!(
        attributes(&pull, &key),
        json!({
            "interface_type": "efa", "description": "web", "mac": "06:aa:00:00:00:01", "managed_by": "eks.amazonaws.com",
            "private_addresses": ["10.0.0.10", "10.0.0.4", "fd00::5"], "public_addresses": ["2001:db8::5", "203.0.113.5"],
            "private_dns_name": "ip-10-0-0-10.eu-west-1.compute.internal",
            "public_dns_name": "ec2-203-0-113-5.eu-west-1.compute.amazonaws.com",
            "zone": "eu-west-1a", "network": vpc, "subnet": subnet, "delete_on_termination": true,
        })
    );
    let mut wanted =
        vec![(RelationType::AttachedTo, instance, json!({"delete_on_termination": true})), (RelationType::ConnectedTo, subnet, json!({}))];
    wanted.extend(groups.map(|group| (RelationType::ProtectedBy, group, json!({}))));
    let mut found = edges_from(&pull, &key);
    wanted.sort_by_key(|edge| (edge.0, edge.1.clone()));
    found.sort_by_key(|edge| (edge.0, edge.1.clone()));
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn interfaces_of_services_hang_on_no_machine() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    region.instance("a");
    region.instance("b");
    let mut cards = region.interfaces.values_mut();
    let balancer = cards.next().unwrap();
    balancer.attachment.as_mut().unwrap().instance_owner = Some("amazon-elb".to_owned());
    (balancer.requester, balancer.requester_managed) = (Some("amazon-elb".to_owned()), true);
    let (balancer, loose) = (balancer.id.clone(), cards.next().unwrap());
    loose.attachment = None;
    let loose = loose.id.clone();
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    for (id, managed_by, state) in [(balancer, json!("amazon-elb"), "in-use"), (loose, Value::Null, "available")] {
        let key = key(OWN, EU, &format!("network-interface/{id}"));
        assert!(edges_from(&pull, &key).iter().all(|edge| edge.0 != RelationType::AttachedTo), "{id}");
        assert_eq!(attributes(&pull, &key)["managed_by"], managed_by);
        assert_eq!(one(&pull, &key).state.as_deref(), Some(state));
    }
}

#[tokio::test]
async fn volumes_and_addresses_are_mapped_whole() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    region.instance("db").volume("/dev/sdf", 100).elastic_ip("198.51.100.7");
    let machine = instance_key(region, "db");
    let volume = region.volumes.values_mut().find(|volume| volume.size == 100).unwrap();
    volume.attachments[0].delete_on_termination = false;
    volume.snapshot = Some("snap-1".to_owned());
    volume.kind = "io2".to_owned();
    volume.iops = Some(64_000);
    volume.tags.insert("Name".to_owned(), "data".to_owned());
    let volume = key(OWN, EU, &format!("volume/{}", volume.id));
    let (allocation, address) = region.addresses.iter_mut().next().unwrap();
    address.tags.insert("env".to_owned(), "prod".to_owned());
    let address = key(OWN, EU, &format!("elastic-ip/{allocation}"));
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU]).pull().await;

    let found = one(&pull, &volume);
    assert_eq!((found.name.as_deref(), found.state.as_deref()), (Some("data"), Some("in-use")));
    assert_eq!(found.created_at, Some(at("2026-01-01T00:00:00Z")));
    assert_eq!(
        attributes(&pull, &volume),
        json!({"size_gib": 100, "volume_type": "io2", "iops": 64000, "encrypted": true, "zone": "eu-west-1a", "snapshot": "snap-1"})
    );
    let edge = json!({"device": "/dev/sdf", "delete_on_termination": false});
    assert_eq!(edges_from(&pull, &volume), [(RelationType::AttachedTo, machine.clone(), edge)]);
    let root = all_of(&pull, Kind::Volume).into_iter().find(|one| one.key != volume).unwrap();
    assert_eq!(edges_from(&pull, &root.key)[0].2["delete_on_termination"], json!(true));

    let found = one(&pull, &address);
    assert_eq!((found.state.as_deref(), &found.tags["env"]), (Some("associated"), &"prod".to_owned()));
    assert_eq!(attributes(&pull, &address), json!({"address": "198.51.100.7", "allocation": "static"}));
    let edge = json!({"delete_on_termination": false});
    assert_eq!(edges_from(&pull, &address), [(RelationType::AttachedTo, machine, edge)]);
}

#[tokio::test]
async fn a_type_that_is_not_named_takes_no_size_away() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    region.instance("one").of_type("c7g.medium").edit(|machine| machine.cpu = None);
    region.instance("two").of_type("m7g.large");
    let (one, two) = (instance_key(region, "one"), instance_key(region, "two"));
    let sim = start(world);
    sim.faults(vec![Fault::new(Effect::MissItem { id: "c7g.medium".to_owned() }).action("DescribeInstanceTypes")]);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    assert_eq!(gaps(&pull), BTreeMap::new());
    assert_eq!(attributes(&pull, &two)["memory_mib"], json!(8192));
    assert_eq!(pull.unread, [(one, ["memory_mib", "vcpus"].map(str::to_owned).into())].into());
    assert!(pull.remarks.iter().any(|remark| remark.text.contains("some facts of 1 resources")), "{:?}", pull.remarks);
}
