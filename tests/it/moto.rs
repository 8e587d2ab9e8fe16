//! The AWS source against a wire protocol that we did not write. The expectation is what boto3 lists.
//!
//! AWS is read at the real time (`--at` is refused), so the timers of these tests are zero: `min_age: 0s` and `retire_after: 0s`, with
//! the usual two listings of `confirm_missing`.

pub(crate) mod estate;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::moto::{ACCOUNT, Cloud, Credentials, IRELAND, Seen, VIRGINIA, key};

const TIMERS: &str = "min_age: 0s, retire_after: 0s, confirm_missing: 2";

/// The listings of a region with machines, without balancers: `DescribeLoadBalancers` is an action of both generations.
const LISTINGS: &[(&str, usize)] = &[
    ("DescribeAddresses", 1),
    ("DescribeAutoScalingGroups", 1),
    ("DescribeAvailabilityZones", 1),
    ("DescribeInstances", 1),
    ("DescribeLoadBalancers", 2),
    ("DescribeNetworkInterfaces", 1),
    ("DescribeSecurityGroups", 1),
    ("DescribeSubnets", 1),
    ("DescribeTargetGroups", 1),
    ("DescribeVolumes", 1),
    ("DescribeVpcs", 1),
];

/// Calls of one sync where nothing has to be looked up: who am I, which regions, and the listings of each.
fn calls_of_a_sync(regions: &[&str]) -> BTreeMap<String, usize> {
    let mut calls = BTreeMap::from(["GetCallerIdentity", "DescribeRegions"].map(|action| (format!("{} {action}", regions[0]), 1)));
    for region in regions {
        calls.extend(LISTINGS.iter().map(|(action, n)| (format!("{region} {action}"), *n)));
    }
    calls
}

/// Calls since this was last asked, without those for what a type of machine has: whichever region comes first asks, and it is asked once.
fn calls(cloud: &Cloud) -> BTreeMap<String, usize> {
    let mut calls = cloud.calls();
    calls.retain(|call, _| !call.ends_with(" DescribeInstanceTypes"));
    calls
}

/// The call that looks up resources of a kind.
fn look_up_of(key: &str) -> &'static str {
    match key.split([':', '/']).nth(6).unwrap() {
        "network-interface" => "DescribeNetworkInterfaces",
        "security-group" => "DescribeSecurityGroups",
        "volume" => "DescribeVolumes",
        other => panic!("{other}: {key}"),
    }
}

fn counts<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts.into_iter().map(|(name, n)| (name.to_owned(), n)).collect()
}

/// How the listings of a region ended, by kind.
fn outcomes(sync: &Value, region: &str) -> BTreeMap<String, String> {
    let receipts = sync["receipts"].as_array().unwrap().iter().filter(|receipt| receipt["region"] == region);
    receipts.map(|receipt| (receipt["kind"].as_str().unwrap().to_owned(), receipt["outcome"].as_str().unwrap().to_owned())).collect()
}

/// Every kind of a region but the region itself, which is listed elsewhere.
const KINDS: &[&str] = &[
    "instance",
    "load_balancer",
    "network",
    "network_interface",
    "pool",
    "public_address",
    "scaling_group",
    "security_group",
    "subnet",
    "volume",
    "zone",
];

fn all_kinds(outcome: &str) -> BTreeMap<String, String> {
    let of_region = if outcome == "disabled" { "disabled" } else { "complete" };
    KINDS
        .iter()
        .map(|kind| (*kind, outcome))
        .chain([("region", of_region)])
        .map(|(kind, outcome)| (kind.to_owned(), outcome.to_owned()))
        .collect()
}

/// The same, with some that ended otherwise.
fn all_but<const N: usize>(outcome: &str, others: [(&str, &str); N]) -> BTreeMap<String, String> {
    let mut ends = all_kinds(outcome);
    ends.extend(others.map(|(kind, outcome)| (kind.to_owned(), outcome.to_owned())));
    ends
}

/// Stages by key, as `dewpoint list` has them.
fn stages(cloud: &Cloud) -> BTreeMap<String, String> {
    let document = cloud.json(&["list"], 0);
    let cis = document["cis"].as_array().unwrap().iter();
    cis.map(|ci| (ci["key"].as_str().unwrap().to_owned(), ci["stage"].as_str().unwrap().to_owned())).collect()
}

fn stage_of(seen: &Seen) -> &'static str {
    match (seen.kind.as_str(), seen.state.as_deref()) {
        ("instance", Some("terminated")) => "retired",
        ("instance", Some("stopped")) => "inactive",
        _ => "active",
    }
}

/// What boto3 lists in regions of the usual account, and the account.
fn listed(cloud: &Cloud, regions: &[&str]) -> BTreeMap<String, Seen> {
    let account = cloud.listed_account(None, ACCOUNT, regions[0]);
    regions.iter().flat_map(|region| cloud.listed(region)).chain(account).collect()
}

#[track_caller]
fn assert_agrees(cloud: &Cloud, regions: &[&str], gone: &BTreeMap<String, Seen>) {
    assert_holds(cloud, listed(cloud, regions), gone);
}

/// `list`, `export`, `show` and the views of the CMDB hold what boto3 lists now, and `gone` as it was last.
#[track_caller]
fn assert_holds(cloud: &Cloud, listed: BTreeMap<String, Seen>, gone: &BTreeMap<String, Seen>) {
    // What has ended keeps its last edges, whatever is listed.
    let alive = |all: &BTreeMap<String, Seen>| -> BTreeMap<String, Seen> {
        let mut alive = all.clone();
        alive.retain(|key, _| !gone.contains_key(key));
        for seen in alive.values_mut() {
            seen.edges.retain(|edge| !gone.contains_key(edge.split_once(' ').unwrap().1));
        }
        alive
    };
    let (exported, wanted) = (alive(&cloud.exported()), alive(&listed));
    for (key, seen) in &exported {
        assert_eq!(wanted.get(key), Some(seen), "dewpoint export: {key}");
    }
    assert_eq!(exported.len(), wanted.len(), "dewpoint export");

    let mut expected = listed;
    expected.extend(gone.clone());
    let stage = |key: &String, seen: &Seen| if gone.contains_key(key) { "retired" } else { stage_of(seen) };
    let listed: BTreeMap<String, String> = expected.iter().map(|(key, seen)| (key.clone(), stage(key, seen).to_owned())).collect();
    assert_eq!(stages(cloud), listed, "dewpoint list");
    for (key, seen) in gone {
        let document = cloud.json(&["show", key], 0);
        assert_eq!(Seen::shown(&document), *seen, "dewpoint show {key}");
        assert_eq!(document["targets"]["cmdb"]["state"], "retired", "{key}");
    }

    let rows: BTreeSet<Vec<String>> = expected
        .iter()
        .map(|(key, seen)| {
            let state = seen.state.clone().unwrap_or_else(|| "null".to_owned());
            let name = seen.name.as_ref().unwrap_or(&seen.native_id);
            let retired = if stage(key, seen) == "retired" { "1" } else { "0" };
            [key, &seen.kind, &seen.native_id, name, &state, stage(key, seen), &seen.account, &seen.region, retired]
                .map(str::to_owned)
                .to_vec()
        })
        .collect();
    let found = cloud.world.query("cmdb.db", "SELECT key, kind, native_id, name, state, stage, account, region, retired FROM ci");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), rows, "view ci");

    let addresses: BTreeSet<Vec<String>> = expected
        .iter()
        .filter_map(|(key, seen)| Some(vec![key.clone(), json!(seen.facts.get("private_addresses")?).to_string()]))
        .collect();
    let found = cloud.world.query("cmdb.db", "SELECT key, value FROM ci_attribute WHERE name = 'private_addresses'");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), addresses, "view ci_attribute");

    // Edges to what is not listed wait. Edges of a retired record went with its retirement.
    let is_live = |key: &String| expected.get(key).is_some_and(|seen| stage(key, seen) != "retired");
    let edges: BTreeSet<Vec<String>> = expected
        .iter()
        .flat_map(|(key, seen)| seen.edges.iter().map(|edge| (key.clone(), edge.split_once(' ').unwrap())).collect::<Vec<_>>())
        .filter(|(from, (_, to))| is_live(from) && is_live(&(*to).to_owned()))
        .map(|(from, (relation, to))| vec![from, relation.to_owned(), to.to_owned()])
        .collect();
    let found = cloud.world.query("cmdb.db", "SELECT from_key, type, to_key FROM ci_relation");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), edges, "view ci_relation");
}

/// What was listed before and is not any more, as it was, and the machine, which is said to have ended.
fn gone_since(before: &BTreeMap<String, Seen>, now: &BTreeMap<String, Seen>, machine: &str) -> BTreeMap<String, Seen> {
    let mut gone: BTreeMap<String, Seen> =
        before.iter().filter(|(key, _)| !now.contains_key(*key)).map(|(key, seen)| (key.clone(), seen.clone())).collect();
    let mut ended = before[machine].clone();
    ended.state = Some("terminated".to_owned());
    gone.insert(machine.to_owned(), ended);
    gone
}

/// Everything the CMDB holds of a region, with its history and its times.
fn records_of(cloud: &Cloud, region: &str) -> Vec<Vec<String>> {
    let place = format!("aws:arn:aws:ec2:{region}:%");
    let mut rows = Vec::new();
    for (view, column) in [("ci", "key"), ("ci_attribute", "key"), ("ci_relation", "from_key"), ("ci_history", "key")] {
        let mut found = cloud.world.query("cmdb.db", &format!("SELECT * FROM {view} WHERE {column} LIKE '{place}'"));
        found.sort();
        rows.extend(found);
    }
    rows
}

/// The primary interface of an instance, as boto3 names it.
fn primary_interface(cloud: &Cloud, region: &str, instance: &str) -> String {
    let listed = cloud.ec2(region, "describe_instances", json!({ "InstanceIds": [instance] }));
    listed["Reservations"][0]["Instances"][0]["NetworkInterfaces"][0]["NetworkInterfaceId"].as_str().unwrap().to_owned()
}

#[test]
fn the_main_job_from_birth_to_retirement() {
    let regions = [IRELAND, VIRGINIA];
    let cloud = Cloud::start(&regions, "min_age: 1h, retire_after: 0s, confirm_missing: 2");
    let (ireland, virginia) = (cloud.place(IRELAND), cloud.place(VIRGINIA));
    let web = cloud.make_group(&ireland, "web");
    let db = cloud.make_group(&ireland, "db");
    let spare = cloud.make_group(&ireland, "spare");
    let edge = cloud.make_group(&virginia, "edge");
    let permissions = json!([
        { "IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5440, "UserIdGroupPairs": [{ "GroupId": web }] },
        { "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{ "CidrIp": "192.0.2.0/24" }, { "CidrIp": "198.51.100.0/24" }] },
    ]);
    cloud.ec2(IRELAND, "authorize_security_group_ingress", json!({ "GroupId": db, "IpPermissions": permissions }));
    let web_1 = cloud.make_instance(&ireland, "web-1", 11, &[&web], json!({}));
    let web_2 = cloud.make_instance(&ireland, "web-2", 12, &[&web], json!({ "InstanceMarketOptions": { "MarketType": "spot" } }));
    let db_1 = cloud.make_instance(&ireland, "db-1", 21, &[&db], json!({ "InstanceType": "r6i.2xlarge" }));
    cloud.make_instance(&virginia, "edge-1", 11, &[&edge], json!({}));
    let interface = json!({ "SubnetId": ireland.subnet, "Groups": [web], "PrivateIpAddress": format!("{}.99", ireland.prefix) });
    let second = cloud.ec2(IRELAND, "create_network_interface", interface);
    let second = second["NetworkInterface"]["NetworkInterfaceId"].as_str().unwrap();
    let attach = json!({ "DeviceIndex": 1, "InstanceId": db_1, "NetworkInterfaceId": second });
    let attachment = cloud.ec2(IRELAND, "attach_network_interface", attach)["AttachmentId"].as_str().unwrap().to_owned();
    cloud.ec2(IRELAND, "stop_instances", json!({ "InstanceIds": [db_1] }));

    // Too young: the machines wait, and their own interfaces with them; the one that outlives its machine does not.
    let sync = cloud.sync(0);
    assert_eq!(sync["deferred"], 8, "{sync:#}");
    let waiting =
        cloud.world.query("cmdb.db", "SELECT kind, count(*) FROM ci WHERE kind IN ('instance', 'network_interface') GROUP BY kind");
    assert_eq!(waiting, [["network_interface", "1"]]);
    assert_eq!(calls(&cloud), calls_of_a_sync(&regions));

    // Old enough: recorded, as boto3 lists them.
    cloud.set_timers(TIMERS);
    assert_eq!(cloud.changes()["create"], 8);
    assert_eq!(calls(&cloud), calls_of_a_sync(&regions));
    assert_agrees(&cloud, &regions, &BTreeMap::new());

    // Nothing changed: nothing is planned and nothing is written.
    let before = (records_of(&cloud, IRELAND), records_of(&cloud, VIRGINIA));
    assert_eq!(cloud.changes(), counts([]));
    assert_eq!(calls(&cloud), calls_of_a_sync(&regions));
    assert_eq!(cloud.json(&["plan", "--exit-code"], 0)["changes"], json!([]));
    assert_eq!((records_of(&cloud, IRELAND), records_of(&cloud, VIRGINIA)), before);

    // Changed: a tag, a name, two states, a rule, a group more on an interface, an interface less on a machine.
    let tags = json!([{ "Key": "env", "Value": "test" }, { "Key": "Name", "Value": "web-one" }]);
    cloud.ec2(IRELAND, "create_tags", json!({ "Resources": [web_1], "Tags": tags }));
    cloud.ec2(IRELAND, "start_instances", json!({ "InstanceIds": [db_1] }));
    cloud.ec2(IRELAND, "stop_instances", json!({ "InstanceIds": [web_2] }));
    let rule = json!([{ "IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "IpRanges": [{ "CidrIp": "0.0.0.0/0" }] }]);
    cloud.ec2(IRELAND, "authorize_security_group_ingress", json!({ "GroupId": spare, "IpPermissions": rule }));
    let primary = primary_interface(&cloud, IRELAND, &web_1);
    cloud.ec2(IRELAND, "modify_network_interface_attribute", json!({ "NetworkInterfaceId": primary, "Groups": [web, db] }));
    cloud.ec2(IRELAND, "detach_network_interface", json!({ "AttachmentId": attachment }));
    let planned = cloud.json(&["plan", "--exit-code"], 6)["changes"].as_array().unwrap().len() as u64;
    let changes = cloud.changes();
    assert_eq!(changes.values().sum::<u64>(), planned);
    // More: web-1 and its interface to db. Less: the second interface to db-1, and so db-1 to web.
    assert_eq!((changes["relate"], changes["unrelate"]), (2, 2), "{changes:?}");
    assert!(!changes.contains_key("create") && !changes.contains_key("retire"), "{changes:?}");
    assert_agrees(&cloud, &regions, &BTreeMap::new());
    assert_eq!(cloud.world.query("cmdb.db", &format!("SELECT environment FROM ci WHERE native_id = '{web_1}'")), [["test"]]);
    assert_eq!(cloud.changes(), counts([]));

    // A machine ends and a group is deleted. What the provider says is believed at once; an absence has to be seen twice.
    let last = listed(&cloud, &regions);
    let machine = key(IRELAND, "instance", &web_1);
    cloud.terminate(IRELAND, &web_1);
    cloud.delete_group(IRELAND, &spare);
    let gone = gone_since(&last, &listed(&cloud, &regions), &machine);
    assert!(gone.contains_key(&key(IRELAND, "network-interface", &primary)) && gone.contains_key(&key(IRELAND, "security-group", &spare)));
    calls(&cloud);
    assert_eq!(cloud.changes()["retire"], 1);
    let found = stages(&cloud);
    for key in gone.keys() {
        assert_eq!(found[key], if *key == machine { "retired" } else { "missing" }, "{key}");
    }
    assert_eq!(calls(&cloud), calls_of_a_sync(&regions));

    // The second time, and asked by name: one call per region and kind.
    let absent = gone.keys().filter(|key| **key != machine);
    assert_eq!(cloud.changes(), counts([("retire", absent.clone().count() as u64)]));
    let mut with_look_ups = calls_of_a_sync(&regions);
    with_look_ups.extend(absent.map(|key| (format!("{IRELAND} {}", look_up_of(key)), 2)));
    assert_eq!(calls(&cloud), with_look_ups);

    // What is retired keeps its last attributes and edges, the public address that the listing has lost among them.
    let machine = &gone[&machine];
    assert!(machine.facts.contains_key("public_addresses") && machine.edges.len() == 3, "{machine:?}");
    assert_agrees(&cloud, &regions, &gone);
    assert_eq!(cloud.changes(), counts([]));
}

#[test]
fn a_denied_region_is_frozen_and_the_other_goes_on() {
    let regions = [IRELAND, VIRGINIA];
    let cloud = Cloud::start(&regions, TIMERS);
    let made = regions.map(|region| {
        let place = cloud.place(region);
        let used = cloud.make_group(&place, "used");
        let unused = cloud.make_group(&place, "unused");
        let ids: Vec<String> = (0..3).map(|n| cloud.make_instance(&place, &format!("machine-{n}"), 10 + n, &[&used], json!({}))).collect();
        (region, ids, unused)
    });
    cloud.changes();
    assert_agrees(&cloud, &regions, &BTreeMap::new());

    // The same happens in both regions, and one of them may not be looked at.
    let last = listed(&cloud, &regions);
    for (region, ids, unused) in &made {
        cloud.terminate(region, &ids[0]);
        cloud.delete_group(region, unused);
        cloud.ec2(region, "create_tags", json!({ "Resources": [ids[1]], "Tags": [{ "Key": "env", "Value": "changed" }] }));
    }
    let now = listed(&cloud, &regions);
    let mut gone = BTreeMap::new();
    for (region, ids, _) in &made {
        gone.extend(gone_since(&last, &now, &key(region, "instance", &ids[0])));
    }
    let lost = |region: &str| gone.keys().filter(|key| key.contains(region)).count() as u64;
    cloud.faults(&json!([{ "region": IRELAND, "fault": "deny" }]));
    let before = (records_of(&cloud, IRELAND), stages(&cloud));
    calls(&cloud);
    let mut delivered = BTreeMap::<String, u64>::new();
    for round in 0..3 {
        let sync = cloud.sync(3);
        assert_eq!(sync["outcome"], "partly");
        assert_eq!((outcomes(&sync, IRELAND), outcomes(&sync, VIRGINIA)), (all_kinds("denied"), all_kinds("complete")));
        let is_denied = |receipt: &&Value| receipt["kind"] == "security_group" && receipt["region"] == IRELAND;
        let denied = sync["receipts"].as_array().unwrap().iter().find(is_denied).unwrap();
        assert!(denied["error"].as_str().unwrap().contains("ec2:DescribeSecurityGroups"), "{denied}");
        // A denial is not tried again, and the absences of the other region are asked for once.
        let calls = calls(&cloud);
        assert_eq!(calls[&format!("{IRELAND} DescribeInstances")], 1);
        assert_eq!(calls[&format!("{VIRGINIA} DescribeSecurityGroups")], if round == 1 { 2 } else { 1 });
        for (name, n) in crate::support::World::counts(&sync) {
            *delivered.entry(name).or_default() += n;
        }
    }
    assert_eq!(delivered["retire"], lost(VIRGINIA), "{delivered:?}");
    assert_eq!(records_of(&cloud, IRELAND), before.0);
    let found = stages(&cloud);
    for (key, stage) in &before.1 {
        let expected = if gone.contains_key(key) && key.contains(VIRGINIA) { "retired" } else { stage };
        assert_eq!(found[key], expected, "{key}");
    }
    assert_eq!(cloud.json(&["show", &made[1].1[1]], 0)["tags"]["env"], "changed");
    assert_eq!(cloud.json(&["show", &made[0].1[1]], 0)["tags"]["env"], "prod");

    // The gap is accepted: still frozen, no longer exit code 3; and back.
    let shown = cloud.json(&["coverage", "show"], 0);
    assert_eq!((outcomes(&shown, IRELAND), outcomes(&shown, VIRGINIA)), (all_kinds("denied"), all_kinds("complete")));
    cloud.json(&["coverage", "accept", "--region", IRELAND], 0);
    let sync = cloud.sync(0);
    assert_eq!(outcomes(&sync, IRELAND), all_kinds("denied"));
    let is_accepted = |receipt: &&Value| receipt["accepted"] == true;
    assert_eq!(sync["receipts"].as_array().unwrap().iter().filter(is_accepted).count(), KINDS.len());
    assert_eq!(records_of(&cloud, IRELAND), before.0);
    // Accepted was a denial; another kind of gap is news.
    cloud.faults(&json!([
        { "service": "ec2", "region": IRELAND, "action": "DescribeInstances", "fault": "truncate" },
        { "region": IRELAND, "fault": "deny" },
    ]));
    assert_eq!(outcomes(&cloud.sync(3), IRELAND)["instance"], "truncated");
    cloud.faults(&json!([{ "region": IRELAND, "fault": "deny" }]));
    cloud.json(&["coverage", "accept", "--region", IRELAND, "--undo"], 0);
    cloud.sync(3);
    assert_eq!(records_of(&cloud, IRELAND), before.0);

    // Allowed again: what happened meanwhile is caught up with, and the absences are counted from now on.
    cloud.faults(&json!([]));
    assert_eq!(cloud.changes()["retire"], 1);
    assert_eq!(cloud.changes(), counts([("retire", lost(IRELAND) - 1)]));
    assert_agrees(&cloud, &regions, &gone);
    assert_eq!(cloud.changes(), counts([]));
}

#[test]
fn broken_answers_prove_nothing() {
    let regions = [IRELAND];
    let cloud = Cloud::start(&regions, TIMERS);
    let place = cloud.place(IRELAND);
    let used = cloud.make_group(&place, "used");
    let unused = cloud.make_group(&place, "unused");
    let ids: Vec<String> = (0..6).map(|n| cloud.make_instance(&place, &format!("machine-{n}"), 10 + n, &[&used], json!({}))).collect();
    let fault = |action: &str, fault: &str| json!({ "service": "ec2", "action": action, "fault": fault });
    let first = |action: &str, fault: &str| json!({ "service": "ec2", "action": action, "fault": fault, "nth": 1 });

    // Once each: tried again, and all is well.
    cloud.faults(&json!([
        first("DescribeInstances", "throttle"),
        first("DescribeNetworkInterfaces", "http500"),
        first("DescribeSecurityGroups", "reset"),
    ]));
    let sync = cloud.sync(0);
    assert_eq!(outcomes(&sync, IRELAND), all_kinds("complete"));
    assert!(sync["waited_s"]["aws"].as_f64().unwrap() > 0.0, "{}", sync["waited_s"]);
    let mut twice = calls_of_a_sync(&regions);
    for action in ["DescribeInstances", "DescribeNetworkInterfaces", "DescribeSecurityGroups"] {
        *twice.get_mut(&format!("{IRELAND} {action}")).unwrap() += 1;
    }
    assert_eq!(calls(&cloud), twice);
    assert_eq!(sync["calls"]["aws"]["ec2:DescribeInstances"], 2);
    assert_agrees(&cloud, &regions, &BTreeMap::new());

    // Always: each scope ends in its own way, after attempts where another attempt may help, and nothing is concluded.
    let last = listed(&cloud, &regions);
    let machine = key(IRELAND, "instance", &ids[0]);
    let interface = key(IRELAND, "network-interface", &primary_interface(&cloud, IRELAND, &ids[0]));
    let group = key(IRELAND, "security-group", &unused);
    cloud.terminate(IRELAND, &ids[0]);
    cloud.delete_group(IRELAND, &unused);
    let gone = gone_since(&last, &listed(&cloud, &regions), &machine);
    let before = (records_of(&cloud, IRELAND), stages(&cloud));
    calls(&cloud);
    cloud.configure(&format!("regions: [{IRELAND}], timeout: 6s"), TIMERS);
    cloud.faults(&json!([
        fault("DescribeInstances", "throttle"),
        fault("DescribeNetworkInterfaces", "truncate"),
        fault("DescribeSecurityGroups", "reset"),
        fault("DescribeVolumes", "deny"),
    ]));
    let sync = cloud.sync(3);
    let ends = [("instance", "throttled"), ("network_interface", "truncated"), ("security_group", "failed"), ("volume", "denied")];
    assert_eq!(outcomes(&sync, IRELAND), all_but("complete", ends));
    let made = calls(&cloud);
    assert!(made[&format!("{IRELAND} DescribeInstances")] > 1 && made[&format!("{IRELAND} DescribeSecurityGroups")] > 1, "{made:?}");
    assert_eq!(made[&format!("{IRELAND} DescribeVolumes")], 1, "{made:?}");
    assert_eq!((records_of(&cloud, IRELAND), stages(&cloud)), before);

    // Half a listing of instances: fewer were read, none is missed; what the other listings prove goes on.
    cloud.faults(&json!([fault("DescribeInstances", "truncate")]));
    let sync = cloud.sync(3);
    assert_eq!(outcomes(&sync, IRELAND)["instance"], "truncated");
    let receipts = sync["receipts"].as_array().unwrap();
    let read = receipts.iter().find(|receipt| receipt["kind"] == "instance").unwrap()["count"].as_u64().unwrap_or_default();
    assert!(read < 6, "{receipts:?}");
    let found = stages(&cloud);
    assert_eq!((found[&interface].as_str(), found[&group].as_str()), ("missing", "missing"));
    assert!(ids.iter().all(|id| found[&key(IRELAND, "instance", id)] == "active"), "{found:?}");

    // A second complete listing without them; but the look-up of the group fails, and a failure is no answer.
    cloud.faults(&json!([
        fault("DescribeInstances", "truncate"),
        { "service": "ec2", "action": "DescribeSecurityGroups", "fault": "deny", "nth": 2 },
    ]));
    let sync = cloud.sync(3);
    let found = stages(&cloud);
    assert_eq!((found[&interface].as_str(), found[&group].as_str()), ("retired", "missing"));
    let remarks = sync["remarks"].as_array().unwrap();
    assert!(
        remarks.iter().any(|remark| remark["subject"] == group.as_str() && remark["text"].as_str().unwrap().starts_with("not retired:")),
        "{remarks:?}"
    );

    // Whole again.
    cloud.faults(&json!([]));
    assert_eq!(cloud.changes(), counts([("retire", 2)]));
    assert_agrees(&cloud, &regions, &gone);
    assert_eq!(cloud.changes(), counts([]));
}

#[test]
fn credentials_and_permissions_are_told_apart() {
    /// A region that moto, too, calls `not-opted-in`.
    const HONG_KONG: &str = "ap-east-1";
    let regions = [IRELAND, HONG_KONG];
    let mut cloud = Cloud::start(&regions, TIMERS);
    let place = cloud.place(IRELAND);
    let group = cloud.make_group(&place, "web");
    cloud.make_instance(&place, "web-1", 11, &[&group], json!({}));
    // Such a region refuses good credentials, those of its STS included.
    let not_enabled = json!({ "region": HONG_KONG, "fault": "auth_failure" });
    let with = |fault: Value| json!([not_enabled, fault]);
    let good = cloud.credentials.clone();

    // A live cloud cannot be read as of another time.
    assert_eq!(cloud.run(&["sync", "--at", "2026-01-01T00:00:00Z"]).code, 2);

    // None, or bad ones: nothing is read, nothing is made.
    cloud.credentials = None;
    let ran = cloud.run(&["sync"]);
    assert_eq!(ran.code, 5, "{}{}", ran.out, ran.err);
    assert_eq!(cloud.calls(), BTreeMap::new());
    assert!(!cloud.world.path("cmdb.db").exists());
    let doctor = cloud.run(&["doctor"]);
    assert_eq!(doctor.code, 5);
    assert!(doctor.out.contains("AWS_ACCESS_KEY_ID"), "{}", doctor.out);
    cloud.credentials = good.clone();
    cloud.faults(&with(json!({ "service": "sts", "fault": "auth_failure" })));
    let sync = cloud.sync(5);
    assert!(sync["problems"][0]["text"].as_str().unwrap().contains("InvalidClientTokenId"), "{sync:#}");
    assert!(!cloud.world.path("cmdb.db").exists());
    // Every listed region's STS had its say, then one that is always enabled in each partition, and no listing was tried.
    let asked =
        regions.into_iter().chain([VIRGINIA, "us-gov-west-1", "cn-north-1"]).map(|region| (format!("{region} GetCallerIdentity"), 1));
    assert_eq!(cloud.calls(), asked.collect());

    // A region that is not enabled is no gap.
    cloud.faults(&json!([not_enabled]));
    let sync = cloud.sync(0);
    assert_eq!((outcomes(&sync, IRELAND), outcomes(&sync, HONG_KONG)), (all_kinds("complete"), all_kinds("disabled")));
    assert_eq!(cloud.calls()[&format!("{IRELAND} DescribeRegions")], 1);
    assert_agrees(&cloud, &[IRELAND], &BTreeMap::new());

    // Credentials that go bad change nothing; a server that is out of order is no matter of credentials.
    let before = (records_of(&cloud, IRELAND), stages(&cloud));
    for (fault, code) in [("auth_failure", 5), ("deny", 5), ("http500", 1)] {
        cloud.faults(&with(json!({ "service": "sts", "fault": fault })));
        cloud.sync(code);
        assert_eq!((records_of(&cloud, IRELAND), stages(&cloud)), before, "{fault}");
    }
    cloud.credentials = None;
    cloud.sync(5);
    assert_eq!((records_of(&cloud, IRELAND), stages(&cloud)), before);
    cloud.credentials = good.clone();

    // The doctor names the action that is missing, and only that one.
    cloud.faults(&with(json!({ "service": "ec2", "region": IRELAND, "action": "DescribeSecurityGroups", "fault": "deny" })));
    let doctor = cloud.run(&["doctor"]);
    assert_eq!(doctor.code, 1, "{}", doctor.out);
    assert!(doctor.out.contains("mend: allow ec2:DescribeSecurityGroups for this identity"), "{}", doctor.out);
    assert!(!doctor.out.contains("allow ec2:DescribeInstances"), "{}", doctor.out);
    let findings = cloud.json(&["doctor"], 1);
    let errors: BTreeSet<&str> = findings["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["outcome"] == "error")
        .map(|finding| finding["check"].as_str().unwrap())
        .collect();
    assert_eq!(
        errors,
        [&*format!("ec2:DescribeSecurityGroups in {IRELAND}")].into(),
        "a region that is not enabled is only worth a warning"
    );

    // Good credentials of another account: what the first one holds is out of sight, not gone.
    cloud.faults(&json!([not_enabled]));
    let arguments = json!({ "RoleArn": "arn:aws:iam::222222222222:role/reader", "RoleSessionName": "test" });
    let role = cloud.boto("sts", IRELAND, "assume_role", arguments);
    let word = |name: &str| role["Credentials"][name].as_str().unwrap().to_owned();
    cloud.credentials = Some(Credentials(word("AccessKeyId"), word("SecretAccessKey"), word("SessionToken")));
    for _ in 0..3 {
        let sync = cloud.sync(0);
        let receipts = sync["receipts"].as_array().unwrap();
        let orphaned = |receipt: &&Value| receipt["account"] == ACCOUNT && receipt["outcome"] == "orphaned";
        // The account itself, and every kind of both regions.
        assert_eq!(receipts.iter().filter(orphaned).count(), 1 + 2 * (KINDS.len() + 1), "{receipts:#?}");
        let retired = &sync["counts"]["cmdb"]["retire"];
        assert!(retired.is_null() || *retired == 0, "{}", sync["counts"]);
    }
    let others = cloud.world.count("SELECT count(*) FROM ci WHERE account = '222222222222' AND kind = 'security_group'");
    assert_eq!(others, 1, "the other account's default group");
    let place = |key: &String| key.contains(ACCOUNT);
    assert_eq!(stages(&cloud).into_iter().filter(|(key, _)| place(key)).collect::<BTreeMap<_, _>>(), before.1);

    // And back.
    cloud.credentials = good;
    cloud.sync(0);
    assert_eq!(stages(&cloud).into_iter().filter(|(key, _)| place(key)).collect::<BTreeMap<_, _>>(), before.1);
}
