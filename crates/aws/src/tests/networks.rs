//! Networks, security groups, and the places that everything lies in.

use dewpoint_aws_sim::world::{GroupPair, Peer, Permission, Region};
use dewpoint_aws_sim::{Effect, Fault};
use dewpoint_core::model::Digest;

use super::world::{OTHER, bare, group_key, instance_key};
use super::*;

fn located_in(to: Key) -> Vec<(RelationType, Key, Value)> {
    vec![(RelationType::LocatedIn, to, json!({}))]
}

#[tokio::test]
async fn accounts_regions_and_zones_contain_each_other() {
    let mut world = bare(OWN, &[EU, US]);
    let zones = &mut world.account(OWN).region(EU).zones;
    zones.get_mut("eu-west-1c").unwrap().opt_in = "not-opted-in".to_owned();
    zones.get_mut("eu-west-1b").unwrap().state = "impaired".to_owned();
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    let account = arn_of_account(OWN);
    let found = one(&pull, &account);
    assert_eq!((found.native_id.as_str(), found.region.as_str(), found.state.as_deref()), (OWN, "*", Some("active")));
    let region = |name: &str| key(OWN, name, &format!("region/{name}"));
    // All that it has, whether or not they are listed.
    let contains = |name| (RelationType::Contains, region(name), json!({}));
    assert_eq!(edges_from(&pull, &account), [contains(EU), contains(US)]);
    assert_eq!(all_of(&pull, Kind::Region).len(), 1);
    assert_eq!(attributes(&pull, &region(EU)), json!({"display_name": EU}));
    let zones: Vec<_> = all_of(&pull, Kind::Zone).iter().map(|zone| (zone.name.clone().unwrap(), zone.state.clone().unwrap())).collect();
    let zone = |name: &str, state: &str| (name.to_owned(), state.to_owned());
    assert_eq!(zones, [zone("eu-west-1a", "available"), zone("eu-west-1b", "impaired")], "no zones that the account did not opt into");
    let zone = key(OWN, EU, "availability-zone/eu-west-1a");
    assert_eq!(attributes(&pull, &zone), json!({"zone_id": "euw1-az1"}));
    assert_eq!(edges_from(&pull, &zone), located_in(region(EU)));
}

fn arn_of_account(id: &str) -> Key {
    Key::aws(&format!("arn:aws:iam::{id}:root")).unwrap()
}

#[tokio::test]
async fn networks_and_subnets_are_mapped_whole() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    let vpc = region.vpc("main");
    vpc.cidrs.push("10.1.0.0/16".to_owned());
    vpc.ipv6_cidrs.push("2001:db8::/56".to_owned());
    vpc.default = true;
    vpc.tags.insert("env".to_owned(), "prod".to_owned());
    let subnet = region.subnet("a", "main", "eu-west-1b");
    subnet.free = 17;
    subnet.ipv6_cidrs.push("2001:db8::/64".to_owned());
    let vpc = key(OWN, EU, &format!("vpc/{}", region.vpc_id("main")));
    let subnet = key(OWN, EU, &format!("subnet/{}", region.subnet_id("a")));
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    let found = one(&pull, &vpc);
    assert_eq!((found.name.as_deref(), found.state.as_deref(), &found.tags["env"]), (Some("main"), Some("available"), &"prod".to_owned()));
    assert_eq!(attributes(&pull, &vpc), json!({"cidrs": ["10.0.0.0/16", "10.1.0.0/16", "2001:db8::/56"], "is_default": true}));
    assert_eq!(edges_from(&pull, &vpc), located_in(key(OWN, EU, "region/eu-west-1")));
    let found = one(&pull, &subnet);
    assert_eq!((found.name.as_deref(), found.state.as_deref()), (Some("a"), Some("available")));
    assert_eq!(
        attributes(&pull, &subnet),
        json!({"cidrs": ["10.0.0.0/20", "2001:db8::/64"], "zone": "eu-west-1b", "network": vpc, "is_default": false, "free_addresses": 17})
    );
    let zone = key(OWN, EU, "availability-zone/eu-west-1b");
    let mut edges = edges_from(&pull, &subnet);
    edges.sort_by_key(|edge| edge.1.clone());
    assert_eq!(edges, [located_in(zone), located_in(vpc)].concat());
}

fn permission(protocol: &str, ports: Option<(i32, i32)>) -> Permission {
    let (from, to) = ports.unzip();
    Permission { protocol: protocol.to_owned(), from, to, ..Permission::default() }
}

fn peers(values: &[&str]) -> Vec<Peer> {
    values.iter().map(|value| Peer { value: (*value).to_owned(), description: None }).collect()
}

/// A group with one rule of every form.
fn full(region: &mut Region) -> Key {
    let db = region.group("db").id();
    let pair =
        |group: &str, user: Option<&str>| GroupPair { group: group.to_owned(), user: user.map(str::to_owned), ..GroupPair::default() };
    let described = Peer { value: "0.0.0.0/0".to_owned(), description: Some("ssh".to_owned()) };
    region.group("web").edit(|group| {
        group.description = "front door".to_owned();
        group.tags.insert("Name".to_owned(), "an ornament".to_owned());
        group.ingress = vec![
            Permission {
                ipv4: [vec![described], peers(&["10.0.0.0/8"])].concat(),
                ipv6: peers(&["::/0"]),
                ..permission("tcp", Some((22, 22)))
            },
            Permission { prefix_lists: peers(&["pl-1"]), ..permission("17", Some((8000, 8080))) },
            Permission {
                groups: vec![pair(&db, None), pair("sg-theirs", Some(OTHER)), pair("sg-deleted", None)],
                ..permission("tcp", Some((5432, 5432)))
            },
            // The same ports again: AWS shows the two as one.
            Permission { groups: vec![pair(&db, None)], ipv4: peers(&["192.0.2.0/24"]), ..permission("tcp", Some((5432, 5432))) },
            Permission { ipv4: peers(&["0.0.0.0/0"]), ..permission("icmp", Some((8, -1))) },
            Permission { ipv6: peers(&["::/0"]), ..permission("icmpv6", Some((-1, -1))) },
            Permission { groups: vec![pair(&db, None)], ..permission("-1", None) },
            Permission { ipv4: peers(&["198.51.100.0/24"]), ..permission("50", None) },
        ];
        group.egress = vec![
            Permission { ipv4: peers(&["0.0.0.0/0"]), ..permission("-1", None) },
            Permission { groups: vec![pair(&db, None)], ..permission("tcp", Some((0, 65_535))) },
        ];
    });
    group_key(region, "web")
}

#[tokio::test]
async fn rules_have_one_canonical_form() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    let key = full(region);
    let (db, vpc) = (region.group_id("db"), region.vpc_id("main"));
    let sim = start(world);
    let source = setup(&sim, OWN, &[EU]).build();
    let pulled = pull(&source).await;
    let group = one(&pulled, &key);
    assert_eq!((group.name.as_deref(), group.state.as_deref()), (Some("web"), None));
    let rule = |direction: &str, protocol: &str, ports: &str, peer: Value| json!({"direction": direction, "protocol": protocol, "ports": ports, "peer": peer});
    let cidr = |cidr: &str| json!({"type": "cidr", "cidr": cidr});
    let peer = |id: &str, account: Option<&str>| {
        let account = account.map(|account| ("account".to_owned(), json!(account)));
        let fields = [("type".to_owned(), json!("security_group")), ("id".to_owned(), json!(id))];
        Value::Object(fields.into_iter().chain(account).collect())
    };
    let mut ssh = rule("ingress", "tcp", "22", cidr("0.0.0.0/0"));
    ssh["description"] = json!("ssh");
    let wanted = [
        rule("ingress", "all", "all", peer(&db, Some(OWN))),
        rule("ingress", "50", "all", cidr("198.51.100.0/24")),
        rule("ingress", "icmp", "8", cidr("0.0.0.0/0")),
        rule("ingress", "icmpv6", "all", cidr("::/0")),
        ssh,
        rule("ingress", "tcp", "22", cidr("10.0.0.0/8")),
        rule("ingress", "tcp", "22", cidr("::/0")),
        rule("ingress", "tcp", "5432", cidr("192.0.2.0/24")),
        rule("ingress", "tcp", "5432", peer(&db, Some(OWN))),
        rule("ingress", "tcp", "5432", peer("sg-deleted", None)),
        rule("ingress", "tcp", "5432", peer("sg-theirs", Some(OTHER))),
        rule("ingress", "udp", "8000-8080", json!({"type": "prefix_list", "id": "pl-1"})),
        rule("egress", "all", "all", cidr("0.0.0.0/0")),
        rule("egress", "tcp", "all", peer(&db, Some(OWN))),
    ];
    let found = group.attributes["rules"].as_array().unwrap().clone();
    let sorted = |rules: &[Value]| rules.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    assert_eq!(sorted(&found), sorted(&wanted));
    assert_eq!(found.len(), wanted.len(), "no doubles");
    assert_eq!(group.attributes["open_to_world"], json!(["icmp/8", "icmpv6/all", "tcp/22"]));
    assert_eq!(group.attributes["description"], json!("front door"));
    assert_eq!(group.attributes["network"], json!(key_of_vpc(&vpc)));
    let digest = Digest::of_json(&group.attributes["rules"]).unwrap().to_string();
    assert_eq!(group.attributes["rules_digest"], json!(digest));

    let allows = |to: Key, facts: Value| (RelationType::Allows, to, facts);
    let mut edges = edges_from(&pulled, &key);
    edges.sort_by_key(|edge| edge.1.clone());
    let mut expected = vec![
        allows(super::world::key(OWN, EU, &format!("security-group/{db}")), json!({"ingress": ["all", "tcp/5432"], "egress": ["tcp/all"]})),
        allows(super::world::key(OTHER, EU, "security-group/sg-theirs"), json!({"ingress": ["tcp/5432"]})),
    ];
    expected.sort_by_key(|edge| edge.1.clone());
    assert_eq!(edges, expected);

    // Another listing has another order, inside as well; a rule more is another digest.
    let again = pull(&source).await;
    assert_eq!(one(&again, &key).attributes, group.attributes);
    sim.edit_region(OWN, EU, |region| drop(region.group("web").allow("tcp", 80, "0.0.0.0/0").id()));
    let changed = pull(&source).await;
    assert_ne!(attributes(&changed, &key)["rules_digest"], json!(digest));
    assert_eq!(attributes(&changed, &key)["open_to_world"], json!(["icmp/8", "icmpv6/all", "tcp/22", "tcp/80"]));
}

fn key_of_vpc(id: &str) -> Key {
    key(OWN, EU, &format!("vpc/{id}"))
}

/// The network, one subnet and one group are another account's, shared with this one; the machine is this one's.
fn shared(region: &mut Region) {
    region.subnet("lent", "theirs", "eu-west-1a").owner = Some(OTHER.to_owned());
    region.vpc("theirs").owner = Some(OTHER.to_owned());
    let default = region.group_id("default of theirs");
    region.groups.get_mut(&default).unwrap().owner = Some(OTHER.to_owned());
    let subnet = region.subnet_id("lent");
    let own = region.group("own").edit(|group| group.vpc.clone_from(&subnet)).id();
    let vpc = region.vpc_id("theirs");
    region.groups.get_mut(&own).unwrap().vpc = vpc;
    region.instance("guest").subnet(&subnet).edit_interface(|card| card.groups = vec![own, default]);
    region.vpc("main");
}

#[tokio::test]
async fn what_is_shared_has_its_owners_keys() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    shared(region);
    let guest = instance_key(region, "guest");
    let theirs = |path: String| key(OTHER, EU, &path);
    let (vpc, subnet) = (theirs(format!("vpc/{}", region.vpc_id("theirs"))), theirs(format!("subnet/{}", region.subnet_id("lent"))));
    let default = theirs(format!("security-group/{}", region.group_id("default of theirs")));
    let own = group_key(region, "own");
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    assert_eq!(gaps(&pull), BTreeMap::new());
    for key in [&vpc, &subnet, &default] {
        assert!(!pull.resources.contains_key(key), "{key} belongs to its owner's listing");
    }
    let facts = attributes(&pull, &guest);
    assert_eq!((&facts["network"], &facts["subnet"]), (&json!(vpc), &json!(subnet)));
    let protected = |from: &Key| -> BTreeSet<Key> {
        edges_from(&pull, from).into_iter().filter(|edge| edge.0 == RelationType::ProtectedBy).map(|edge| edge.1).collect()
    };
    assert_eq!(protected(&guest), [default.clone(), own.clone()].into());
    assert_eq!(attributes(&pull, &own)["network"], json!(vpc));
    let card = all_of(&pull, Kind::NetworkInterface)[0];
    assert_eq!(protected(&card.key), [default, own].into());
    assert!(edges_from(&pull, &card.key).contains(&(RelationType::ConnectedTo, subnet, json!({}))));
    let left: Vec<&str> = pull.remarks.iter().map(|remark| remark.subject.as_str()).collect();
    assert_eq!(left, [format!("aws {OWN} {EU} network"), format!("aws {OWN} {EU} security_group"), format!("aws {OWN} {EU} subnet")]);
}

#[tokio::test]
async fn where_owners_are_in_doubt_nothing_that_names_networks_is_complete() {
    const SUBNETS: &str = "DescribeSubnets";
    const VPCS: &str = "DescribeVpcs";
    const GROUPS: &str = "DescribeSecurityGroups";
    let naming = [Kind::Subnet, Kind::SecurityGroup, Kind::Instance, Kind::NetworkInterface, Kind::LoadBalancer, Kind::Pool];
    let with = |kind: Kind| naming.into_iter().chain([kind]).collect::<BTreeSet<_>>();
    let cases: [(bool, &[&str], BTreeSet<Kind>); 8] = [
        (true, &[SUBNETS], naming.into()),
        (true, &[GROUPS], naming.into()),
        // A network has the owner of its subnets.
        (true, &[VPCS], [Kind::Network].into()),
        (true, &[VPCS, SUBNETS], with(Kind::Network)),
        // Who shares nothing owns all that its machines are in.
        (false, &[SUBNETS], [Kind::Subnet].into()),
        (false, &[GROUPS], [Kind::SecurityGroup].into()),
        (false, &[VPCS], [Kind::Network].into()),
        (false, &[VPCS, SUBNETS], with(Kind::Network)),
    ];
    for (is_shared, denied, kinds) in cases {
        let mut world = bare(OWN, &[EU]);
        let region = world.account(OWN).region(EU);
        if is_shared {
            shared(region);
        } else {
            region.instance("guest").groups(&["own"]);
        }
        let guest = instance_key(region, "guest");
        let sim = start(world);
        let whole = setup(&sim, OWN, &[EU]).pull().await;
        sim.faults(denied.iter().map(|action| Fault::new(Effect::Deny).action(action)).collect());
        let pull = setup(&sim, OWN, &[EU]).pull().await;
        let kinds: Vec<Kind> = kinds.into_iter().collect();
        assert_eq!(gaps(&pull), gaps_of(OWN, EU, &kinds, Outcome::Denied), "{is_shared} {denied:?}");
        if kinds.contains(&Kind::Instance) {
            let error = error_of(&pull, OWN, EU, Kind::Instance);
            assert!(error.contains("other accounts may share networks with this one"), "{error}");
            // A key that was guessed was not read.
            assert_eq!(attributes(&pull, &guest)["subnet"], Value::Null);
            let guessed = |id: &&dewpoint_core::model::EdgeId| {
                [":vpc/", ":subnet/", ":security-group/"].iter().any(|path| id.to.as_str().contains(path))
            };
            let of_machines =
                pull.relations.keys().filter(|id| id.relation != RelationType::LocatedIn && id.relation != RelationType::Allows);
            assert_eq!(of_machines.filter(guessed).count(), 0);
        } else {
            assert_eq!(attributes(&pull, &guest), attributes(&whole, &guest), "{is_shared} {denied:?}");
            assert_eq!(edges_from(&pull, &guest), edges_from(&whole, &guest));
        }
    }
}

#[tokio::test]
async fn the_owner_of_a_shared_network_leaves_its_guests_interfaces_to_them() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    region.instance("mine");
    region.instance("theirs");
    let id = region.instance_id("theirs");
    region.interfaces.values_mut().find(|card| card.instance() == Some(&id)).unwrap().owner = Some(OTHER.to_owned());
    region.instances.remove(&id);
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    assert_eq!(gaps(&pull), BTreeMap::new());
    assert_eq!(all_of(&pull, Kind::NetworkInterface).len(), 1);
    assert_eq!(pull.remarks[0].text, "1 items belong to other accounts and are left to their listings");
}

#[tokio::test]
async fn instances_of_another_account_make_a_listing_incomplete() {
    let mut world = bare(OWN, &[EU]);
    let region = world.account(OWN).region(EU);
    region.instance("mine");
    region.instance("theirs").edit(|one| one.owner = Some(OTHER.to_owned()));
    let mine = instance_key(region, "mine");
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    assert_eq!(gaps(&pull), gaps_of(OWN, EU, &[Kind::Instance], Outcome::Truncated));
    assert_eq!(all_of(&pull, Kind::Instance).iter().map(|one| &one.key).collect::<Vec<_>>(), [&mine], "what is ours is taken");
}
