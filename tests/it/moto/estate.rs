//! Two accounts, two regions, every kind: from boto3's hands into the CMDB and out again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{TIMERS, assert_holds, counts, gone_since, listed, stages};
use crate::support::World;
use crate::support::moto::{ACCOUNT, Cloud, IRELAND, OTHER, Place, ROLE, Seen, VIRGINIA, key};

const REGIONS: [&str; 2] = [IRELAND, VIRGINIA];

/// What boto3 lists of both accounts.
fn everything(cloud: &Cloud) -> BTreeMap<String, Seen> {
    let others = REGIONS.iter().flat_map(|region| cloud.listed_other(region));
    listed(cloud, &REGIONS).into_iter().chain(others).chain(cloud.listed_account(Some(ROLE), OTHER, IRELAND)).collect()
}

fn word<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

/// A service behind balancers of all kinds, in a network of its own.
pub(crate) struct Shop {
    pub(crate) web: String,
    pub(crate) db: String,
    /// Machines: two that run, one that is stopped.
    pub(crate) machines: Vec<String>,
    pub(crate) pools: Vec<String>,
    pub(crate) fleet: &'static str,
}

fn pool(cloud: &Cloud, network: &str, name: &str, protocol: &str, port: u16) -> String {
    let arguments =
        json!({ "Name": name, "Protocol": protocol, "Port": port, "VpcId": network, "Tags": [{ "Key": "tier", "Value": name }] });
    word(&cloud.boto("elbv2", IRELAND, "create_target_group", arguments), "/TargetGroups/0/TargetGroupArn").to_owned()
}

fn balancer(cloud: &Cloud, name: &str, kind: &str, subnets: &[String], groups: &[&str]) -> String {
    let mut arguments = json!({ "Name": name, "Type": kind, "Subnets": subnets, "Tags": [{ "Key": "env", "Value": "prod" }] });
    if !groups.is_empty() {
        arguments["SecurityGroups"] = json!(groups);
    }
    word(&cloud.boto("elbv2", IRELAND, "create_load_balancer", arguments), "/LoadBalancers/0/LoadBalancerArn").to_owned()
}

fn register(cloud: &Cloud, pool: &str, ids: &[&str]) {
    let targets: Vec<Value> = ids.iter().map(|id| json!({ "Id": id })).collect();
    cloud.boto("elbv2", IRELAND, "register_targets", json!({ "TargetGroupArn": pool, "Targets": targets }));
}

pub(crate) fn build(cloud: &Cloud, place: &Place) -> Shop {
    let ec2 = |call: &str, arguments: Value| cloud.ec2(IRELAND, call, arguments);
    let network = word(&ec2("create_vpc", json!({ "CidrBlock": "10.20.0.0/16" })), "/Vpc/VpcId").to_owned();
    let subnets: Vec<String> = ["a", "b"]
        .iter()
        .enumerate()
        .map(|(n, zone)| {
            let arguments =
                json!({ "VpcId": network, "CidrBlock": format!("10.20.{n}.0/24"), "AvailabilityZone": format!("{IRELAND}{zone}") });
            word(&ec2("create_subnet", arguments), "/Subnet/SubnetId").to_owned()
        })
        .collect();
    let gateway = ec2("create_internet_gateway", json!({}));
    let gateway = word(&gateway, "/InternetGateway/InternetGatewayId");
    ec2("attach_internet_gateway", json!({ "InternetGatewayId": gateway, "VpcId": network }));

    let own = Place { network: network.clone(), subnet: subnets[0].clone(), prefix: "10.20.0".to_owned(), ..place.clone() };
    let (web, db) = (cloud.make_group(&own, "web"), cloud.make_group(&own, "db"));
    // Two groups that refer to each other, and one door to the world.
    let from = |group: &str, port: u16| json!([{ "IpProtocol": "tcp", "FromPort": port, "ToPort": port, "UserIdGroupPairs": [{ "GroupId": group }] }]);
    ec2("authorize_security_group_ingress", json!({ "GroupId": db, "IpPermissions": from(&web, 5432) }));
    ec2("authorize_security_group_ingress", json!({ "GroupId": web, "IpPermissions": from(&db, 8443) }));
    let world = json!([{ "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{ "CidrIp": "0.0.0.0/0" }] }]);
    ec2("authorize_security_group_ingress", json!({ "GroupId": web, "IpPermissions": world }));

    let machines: Vec<String> =
        (0..3).map(|n| cloud.make_instance(&own, &format!("shop-{n}"), 10 + n, &[&web], json!({ "InstanceType": "m5.xlarge" }))).collect();
    ec2("stop_instances", json!({ "InstanceIds": [machines[2]] }));
    let volume = ec2("create_volume", json!({ "AvailabilityZone": format!("{IRELAND}a"), "Size": 7, "Encrypted": true }));
    ec2("attach_volume", json!({ "VolumeId": word(&volume, "/VolumeId"), "InstanceId": machines[0], "Device": "/dev/sdf" }));
    ec2("create_volume", json!({ "AvailabilityZone": format!("{IRELAND}b"), "Size": 3 }));
    let address = ec2("allocate_address", json!({ "Domain": "vpc" }));
    ec2("associate_address", json!({ "AllocationId": word(&address, "/AllocationId"), "InstanceId": machines[0] }));
    ec2("allocate_address", json!({ "Domain": "vpc" }));

    let pools = [("front", "HTTP", 80), ("api", "HTTP", 8080), ("raw", "TCP", 9000)];
    let pools: Vec<String> = pools.iter().map(|(name, protocol, port)| pool(cloud, &network, name, protocol, *port)).collect();
    register(cloud, &pools[0], &[&machines[0], &machines[1]]);
    register(cloud, &pools[1], &[&machines[1]]);
    register(cloud, &pools[2], &[&machines[0]]);
    let forward = |pool: &str| json!([{ "Type": "forward", "TargetGroupArn": pool }]);
    let application = balancer(cloud, "shop", "application", &subnets, &[&web]);
    let listener = json!({ "LoadBalancerArn": application, "Protocol": "HTTP", "Port": 80, "DefaultActions": forward(&pools[0]) });
    let listener = cloud.boto("elbv2", IRELAND, "create_listener", listener);
    // No default action names this pool: only a rule does.
    let rule = json!({ "ListenerArn": word(&listener, "/Listeners/0/ListenerArn"), "Priority": 1, "Actions": forward(&pools[1]),
                       "Conditions": [{ "Field": "path-pattern", "Values": ["/api/*"] }] });
    cloud.boto("elbv2", IRELAND, "create_rule", rule);
    let raw = balancer(cloud, "raw", "network", &subnets, &[]);
    let listener = json!({ "LoadBalancerArn": raw, "Protocol": "TCP", "Port": 9000, "DefaultActions": forward(&pools[2]) });
    cloud.boto("elbv2", IRELAND, "create_listener", listener);
    let classic = json!({ "LoadBalancerName": "old", "Subnets": subnets, "SecurityGroups": [web], "Tags": [{ "Key": "env", "Value": "prod" }],
                          "Listeners": [{ "Protocol": "HTTP", "LoadBalancerPort": 80, "InstanceProtocol": "HTTP", "InstancePort": 8080 }] });
    cloud.boto("elb", IRELAND, "create_load_balancer", classic);
    let members = json!({ "LoadBalancerName": "old", "Instances": [{ "InstanceId": machines[0] }, { "InstanceId": machines[1] }] });
    cloud.boto("elb", IRELAND, "register_instances_with_load_balancer", members);

    let template = json!({ "LaunchTemplateName": "workers", "LaunchTemplateData": { "ImageId": place.image, "InstanceType": "c5.large" } });
    let template = ec2("create_launch_template", template);
    let fleet = json!({
        "AutoScalingGroupName": "workers", "MinSize": 1, "MaxSize": 4, "DesiredCapacity": 2, "VPCZoneIdentifier": subnets.join(","),
        "TargetGroupARNs": [pools[0]], "Tags": [{ "Key": "env", "Value": "prod", "PropagateAtLaunch": true }],
        "LaunchTemplate": { "LaunchTemplateId": word(&template, "/LaunchTemplate/LaunchTemplateId"), "Version": "$Latest" },
    });
    cloud.boto("autoscaling", IRELAND, "create_auto_scaling_group", fleet);
    Shop { web, db, machines, pools, fleet: "workers" }
}

/// The other account: a machine behind a balancer.
fn build_other(cloud: &Cloud, image: &str) -> String {
    let subnets = cloud.boto_other("ec2", VIRGINIA, "describe_subnets", json!({}));
    let subnet = word(&subnets, "/Subnets/0/SubnetId").to_owned();
    let run = json!({ "ImageId": image, "MinCount": 1, "MaxCount": 1, "InstanceType": "t3.small", "SubnetId": subnet,
                      "TagSpecifications": [{ "ResourceType": "instance", "Tags": [{ "Key": "Name", "Value": "far-away" }] }] });
    let machine = word(&cloud.boto_other("ec2", VIRGINIA, "run_instances", run), "/Instances/0/InstanceId").to_owned();
    let group = json!({ "Name": "far", "Protocol": "TCP", "Port": 22, "VpcId": word(&subnets, "/Subnets/0/VpcId") });
    let group = cloud.boto_other("elbv2", VIRGINIA, "create_target_group", group);
    let pool = word(&group, "/TargetGroups/0/TargetGroupArn");
    cloud.boto_other("elbv2", VIRGINIA, "register_targets", json!({ "TargetGroupArn": pool, "Targets": [{ "Id": machine }] }));
    let balancer = json!({ "Name": "far", "Type": "network", "Subnets": [subnet] });
    let balancer = cloud.boto_other("elbv2", VIRGINIA, "create_load_balancer", balancer);
    let listener = json!({ "LoadBalancerArn": word(&balancer, "/LoadBalancers/0/LoadBalancerArn"), "Protocol": "TCP", "Port": 22,
                           "DefaultActions": [{ "Type": "forward", "TargetGroupArn": pool }] });
    cloud.boto_other("elbv2", VIRGINIA, "create_listener", listener);
    machine
}

/// Outcomes of an account's receipts that are not complete, by region and kind.
fn gaps(sync: &Value, account: &str) -> BTreeMap<(String, String), String> {
    let receipts = sync["receipts"].as_array().unwrap().iter();
    let of = receipts.filter(|receipt| receipt["account"] == account && receipt["outcome"] != "complete");
    let word = |receipt: &Value, name: &str| receipt[name].as_str().unwrap().to_owned();
    of.map(|receipt| ((word(receipt, "region"), word(receipt, "kind")), word(receipt, "outcome"))).collect()
}

fn gap(region: &str, kind: &str, outcome: &str) -> ((String, String), String) {
    ((region.to_owned(), kind.to_owned()), outcome.to_owned())
}

/// Everything that the CMDB holds of an account.
fn records_of(cloud: &Cloud, account: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for (view, column) in [("ci", "key"), ("ci_attribute", "key"), ("ci_relation", "from_key"), ("ci_history", "key")] {
        rows.extend(cloud.world.query("cmdb.db", &format!("SELECT * FROM {view} WHERE {column} LIKE '%:{account}:%' ORDER BY 1, 2, 3, 4")));
    }
    rows
}

#[test]
fn every_kind_of_two_accounts_in_two_regions() {
    let cloud = Cloud::start(&REGIONS, TIMERS);
    let accounts = format!("accounts: [{{ id: \"{ACCOUNT}\" }}, {{ id: \"{OTHER}\", role_arn: \"{ROLE}\" }}]");
    cloud.configure(&format!("{accounts}, regions: [{IRELAND}, {VIRGINIA}]"), TIMERS);
    let place = cloud.place(IRELAND);
    let shop = build(&cloud, &place);
    let far = build_other(&cloud, &cloud.place(VIRGINIA).image);

    // As boto3 lists it, and nothing to do the second time.
    let none = BTreeMap::new();
    assert_eq!(cloud.changes()["create"], everything(&cloud).len() as u64);
    assert_holds(&cloud, everything(&cloud), &none);
    cloud.calls();
    assert_eq!(cloud.changes(), counts([]));
    let made = cloud.calls();
    let of_types = made.iter().filter(|(call, _)| call.ends_with(" DescribeInstanceTypes"));
    assert!(of_types.map(|(_, n)| n).sum::<usize>() <= 4, "at most once in each region: {made:?}");
    // No call per machine: one per pool for health, one per balancer for listeners, one per listener of an application balancer for rules.
    let several = |action: &str| made.iter().filter(|(call, _)| call.ends_with(&format!(" {action}"))).map(|(_, n)| n).sum::<usize>();
    let expected = [
        ("GetCallerIdentity", 1),
        ("AssumeRole", 1),
        ("DescribeRegions", 2),
        ("DescribeInstances", 4),
        ("DescribeNetworkInterfaces", 4),
        ("DescribeVolumes", 4),
        ("DescribeTargetHealth", 4),
        ("DescribeListeners", 3),
        ("DescribeRules", 1),
        ("DescribeInstanceHealth", 1),
        // Of balancers, of pools and of classic balancers; where there are none, nobody asks.
        ("DescribeTags", 5),
    ];
    assert_eq!(expected.map(|(action, _)| (action, several(action))), expected, "{made:?}");

    // The edges that make impact analysis possible say where and how.
    let shown = cloud.json(&["show", &format!("aws:{}", shop.pools[1])], 0);
    let edge = |document: &Value, end: &str, key: &str| {
        let relations = document["relations"].as_array().unwrap().iter();
        relations.clone().find(|relation| relation[end] == key).unwrap_or_else(|| panic!("no {end} {key} in {document:#}"))["attributes"]
            .clone()
    };
    let member = edge(&shown, "to", &key(IRELAND, "instance", &shop.machines[1]));
    assert_eq!(member, json!({ "port": 8080, "health": "healthy" }));
    let shown = cloud.json(&["show", "shop"], 0);
    assert_eq!(edge(&shown, "to", &format!("aws:{}", shop.pools[1])), json!({ "port": 80, "protocol": "HTTP" }));
    let shown = cloud.json(&["show", &key(IRELAND, "security-group", &shop.web)], 0);
    assert_eq!(edge(&shown, "to", &key(IRELAND, "security-group", &shop.db)), json!({ "ingress": ["tcp/8443"] }));
    assert_eq!(shown["attributes"]["open_to_world"], json!(["tcp/443"]));

    // The fleet grows, a pool loses a member, a balancer a tag, a group its door to the world; the stopped machine ends.
    let last = everything(&cloud);
    cloud.boto("autoscaling", IRELAND, "set_desired_capacity", json!({ "AutoScalingGroupName": shop.fleet, "DesiredCapacity": 3 }));
    let leaving = json!({ "TargetGroupArn": shop.pools[0], "Targets": [{ "Id": shop.machines[1] }] });
    cloud.boto("elbv2", IRELAND, "deregister_targets", leaving);
    cloud.boto("elb", IRELAND, "remove_tags", json!({ "LoadBalancerNames": ["old"], "Tags": [{ "Key": "env" }] }));
    let world = json!([{ "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{ "CidrIp": "0.0.0.0/0" }] }]);
    cloud.ec2(IRELAND, "revoke_security_group_ingress", json!({ "GroupId": shop.web, "IpPermissions": world }));
    cloud.terminate(IRELAND, &shop.machines[2]);
    let gone = gone_since(&last, &everything(&cloud), &key(IRELAND, "instance", &shop.machines[2]));
    let first = cloud.changes();
    // A machine with its interface and its volume, as a member of the fleet and of the pool.
    assert_eq!((first["retire"], first["unrelate"]), (1, 1), "{first:?}");
    assert!(first["create"] >= 2 && first["update"] >= 3, "{first:?}");
    assert_eq!(cloud.changes(), counts([("retire", gone.len() as u64 - 1)]));
    assert_holds(&cloud, everything(&cloud), &gone);
    assert_eq!(cloud.changes(), counts([]));

    // The other account's role fails, its machine ends, a pool and a fleet may not be looked into: nothing of that is retired or unlinked.
    let before = records_of(&cloud, OTHER);
    let arguments = json!({ "InstanceIds": [far] });
    cloud.boto_other("ec2", VIRGINIA, "terminate_instances", arguments);
    register(&cloud, &shop.pools[2], &[&shop.machines[1]]);
    cloud.boto("elbv2", IRELAND, "deregister_targets", json!({ "TargetGroupArn": shop.pools[2], "Targets": [{ "Id": shop.machines[0] }] }));
    cloud.ec2(IRELAND, "create_tags", json!({ "Resources": [shop.machines[0]], "Tags": [{ "Key": "env", "Value": "live" }] }));
    cloud.faults(&json!([
        { "action": "AssumeRole", "fault": "deny" },
        { "action": "DescribeTargetHealth", "region": IRELAND, "fault": "deny" },
        { "action": "DescribeAutoScalingGroups", "region": IRELAND, "fault": "truncate" },
    ]));
    let edges = |cloud: &Cloud, relation: &str| {
        let rows = cloud.world.query("cmdb.db", &format!("SELECT from_key, to_key FROM ci_relation WHERE type = '{relation}'"));
        rows.into_iter().collect::<BTreeSet<_>>()
    };
    let links = (edges(&cloud, "routes_to"), edges(&cloud, "member_of"));
    for _ in 0..3 {
        let sync = cloud.sync(3);
        let counted = World::counts(&sync);
        assert!(counted.iter().all(|(change, n)| change == "update" || *n == 0), "{counted:?}");
        assert_eq!(gaps(&sync, ACCOUNT), [gap(IRELAND, "pool", "denied"), gap(IRELAND, "scaling_group", "truncated")].into());
        let of_other = gaps(&sync, OTHER);
        assert!(
            of_other.values().all(|outcome| outcome == "denied") && of_other.contains_key(&("*".to_owned(), "instance".to_owned())),
            "{of_other:?}"
        );
        assert_eq!(records_of(&cloud, OTHER), before);
        assert_eq!((edges(&cloud, "routes_to"), edges(&cloud, "member_of")), links);
    }
    assert_eq!(cloud.json(&["show", &shop.machines[0]], 0)["tags"]["env"], "live");
    let coverage = cloud.json(&["coverage", "show"], 0);
    let of_role = coverage["receipts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|receipt| receipt["account"] == OTHER && receipt["kind"] == "instance")
        .unwrap();
    assert!(word(of_role, "/error").contains(ROLE) && word(of_role, "/error").contains("sts:AssumeRole"), "{of_role}");

    // All is well again: what happened is caught up with.
    cloud.faults(&json!([]));
    let caught_up = cloud.changes();
    assert_eq!((caught_up["retire"], caught_up["relate"]), (1, 1), "{caught_up:?}");
    assert!(caught_up["unrelate"] >= 1, "{caught_up:?}");
    assert!(stages(&cloud)[&format!("aws:arn:aws:ec2:{VIRGINIA}:{OTHER}:instance/{far}")] == "retired");
}
