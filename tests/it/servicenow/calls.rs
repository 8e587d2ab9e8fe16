//! How often the instance is asked: an estate of several accounts and regions, cold, unchanged and with one resource in a hundred changed.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_servicenow_sim::{CallRecord, Instance};
use serde_json::{Value, json};

use super::rig::{FIRST, Snow};

const ACCOUNTS: [&str; 3] = ["111111111111", "222222222222", "333333333333"];
const REGIONS: [&str; 3] = ["eu-central-1", "eu-west-1", "us-east-1"];

/// An account and a region.
type Place = (&'static str, &'static str);

fn places() -> Vec<Place> {
    ACCOUNTS.iter().flat_map(|account| REGIONS.iter().map(|region| (*account, *region))).collect()
}

fn key((account, region): Place, kind: &str, id: &str) -> String {
    let service = if matches!(kind, "loadbalancer" | "targetgroup") { "elasticloadbalancing" } else { "ec2" };
    format!("aws:arn:aws:{service}:{region}:{account}:{kind}/{id}")
}

/// Records of one place: `machines` and as many interfaces, and 17 more.
fn records(machines: usize) -> usize {
    2 * machines + 17
}

/// In each place a network with two subnets, ten security groups, machines with an interface each, two balancers and two pools. Machines in the groups of
/// their place, groups that let in those of the next place, and pools that route to machines there. The first `changed` machines of all are larger.
pub(super) fn estate(machines: usize, changed: usize) -> Value {
    let (mut resources, mut relations, mut receipts) = (Vec::new(), Vec::new(), Vec::new());
    let all = places();
    for (number, place) in all.iter().copied().enumerate() {
        let next = all[(number + 1) % all.len()];
        let (account, region) = place;
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut resource = |kind: &'static str, key: String, fields: Value| {
            let native = key.rsplit('/').next().unwrap().to_owned();
            let mut resource = json!({
                "key": key, "kind": kind, "provider": "aws", "native_id": native, "account": account, "region": region, "name": native,
                "tags": { "env": "prod" }, "created_at": "2026-01-01T00:00:00Z", "observed_at": FIRST,
            });
            resource.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            resources.push(resource);
            *counts.entry(kind).or_default() += 1;
        };
        let own = |kind: &str, what: &str, n: usize| key(place, kind, &format!("{what}-{number:02}{n:04}"));
        resource("network", own("vpc", "vpc", 0), json!({ "attributes": { "cidrs": ["10.0.0.0/8"] } }));
        for n in 0..2 {
            resource("subnet", own("subnet", "subnet", n), json!({ "attributes": { "cidrs": ["10.0.0.0/16"] } }));
        }
        for n in 0..10 {
            resource("security_group", own("security-group", "sg", n), json!({ "attributes": { "rules": [] } }));
        }
        for n in 0..machines {
            let size = if number + n * all.len() < changed { "m5.2xlarge" } else { "m5.large" };
            resource("instance", own("instance", "i", n), json!({ "state": "running", "attributes": { "size": size, "vcpus": 2 } }));
            resource(
                "network_interface",
                own("network-interface", "eni", n),
                json!({ "attributes": { "mac": format!("0a:{number:02}:{n:04}") } }),
            );
        }
        for n in 0..2 {
            resource("load_balancer", own("loadbalancer", "lb", n), json!({ "attributes": { "balancer_type": "network" } }));
            resource("pool", own("targetgroup", "tg", n), json!({ "attributes": { "protocol": "TCP", "port": 443 } }));
        }
        let mut relate =
            |kind: &str, from: String, to: String| relations.push(json!({ "type": kind, "from": from, "to": to, "attributes": {} }));
        for n in 0..2 {
            relate("located_in", own("subnet", "subnet", n), own("vpc", "vpc", 0));
            relate("routes_to", own("loadbalancer", "lb", n), own("targetgroup", "tg", n));
        }
        let far = |kind: &str, what: &str, n: usize| key(next, kind, &format!("{what}-{:02}{n:04}", (number + 1) % all.len()));
        for n in 0..10 {
            relate("allows", own("security-group", "sg", n), far("security-group", "sg", n));
        }
        for n in 0..machines {
            relate("protected_by", own("instance", "i", n), own("security-group", "sg", n % 10));
            relate("attached_to", own("network-interface", "eni", n), own("instance", "i", n));
            relate("connected_to", own("network-interface", "eni", n), own("subnet", "subnet", n % 2));
            relate("protected_by", own("network-interface", "eni", n), own("security-group", "sg", n % 10));
            relate("routes_to", own("targetgroup", "tg", n % 2), own("instance", "i", n));
            if n % 10 == 0 {
                relate("routes_to", own("targetgroup", "tg", n % 2), far("instance", "i", n));
            }
        }
        let receipt = |(kind, count): (&&str, &usize)| json!({ "source": "demo", "provider": "aws", "account": account, "region": region, "kind": kind, "outcome": "complete", "count": count });
        receipts.extend(counts.iter().map(receipt));
    }
    json!({ "schema_version": 1, "taken_at": FIRST, "receipts": receipts, "resources": resources, "relations": relations })
}

/// How many payloads there were for each account and region: one counts for the places of what it makes, and one that makes nothing for those of all that
/// it names.
fn payloads_by_place(snow: &Snow) -> BTreeMap<(String, String), usize> {
    let marks = snow.values("sys_object_source", "name=Dewpoint", &["target_sys_id", "id"]);
    let ids: BTreeMap<&str, &str> = marks.iter().map(|mark| (mark[0].as_str(), mark[1].as_str())).collect();
    let place = |id: &str| {
        let parts: Vec<&str> = id.split(':').collect();
        // An account lies in no region: whatever brings it along says which.
        (!parts[3].is_empty()).then(|| (parts[4].to_owned(), parts[3].to_owned()))
    };
    let mut payloads = BTreeMap::new();
    for call in engine_calls(snow) {
        let made: BTreeSet<_> = call.named.iter().filter(|name| name.starts_with("arn:")).filter_map(|name| place(name)).collect();
        let all: BTreeSet<_> = call.named.iter().filter_map(|name| place(ids.get(name.as_str())?)).collect();
        let places = if made.is_empty() { all } else { made };
        assert!(!places.is_empty(), "{call:?}");
        for place in places {
            *payloads.entry(place).or_default() += 1;
        }
    }
    payloads
}

fn engine_calls(snow: &Snow) -> Vec<CallRecord> {
    snow.sim.calls().into_iter().filter(|call| call.api == "identifyreconcile").collect()
}

pub(super) fn snow(batch_size: usize) -> Snow {
    Snow::over(Instance::new().with_data_source("Dewpoint"), &format!("batch_size: {batch_size}"))
}

/// A cold sync, its writes by account and region, and a second one that sends none.
fn cold(batch_size: usize, machines: usize) -> BTreeMap<(String, String), usize> {
    let snow = snow(batch_size);
    snow.world.write("inventory.json", &estate(machines, 0).to_string());
    let sync = snow.sync_at(FIRST, 0);
    let all = records(machines) * places().len();
    assert_eq!(sync["counts"]["snow"]["create"], all, "{}", sync["counts"]);
    // Accounts and datacenters came along.
    assert_eq!(snow.marked().values().sum::<u64>(), (all + ACCOUNTS.len() + places().len()) as u64);
    let relations = sync["counts"]["snow"]["relate"].as_u64().unwrap();
    assert!(snow.values("cmdb_rel_ci", "", &["sys_id"]).len() as u64 >= relations);

    // Only payloads write, and the report says how many there were, and how many questions.
    let payloads = engine_calls(&snow).len() as u64;
    let counters = snow.sim.counters();
    assert_eq!((counters.writes, &sync["calls"]["snow"]["reconcile"]), (payloads, &json!(payloads)));
    let told: u64 = sync["calls"]["snow"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!((told, counters.by_api["table"]), (counters.requests, sync["calls"]["snow"]["table read"].as_u64().unwrap()));
    let by_place = payloads_by_place(&snow);

    snow.sim.clear_calls();
    let again = snow.sync_at("2026-02-01T00:30:00Z", 0);
    let counters = snow.sim.counters();
    assert_eq!((counters.writes, counters.requests), (0, 1), "{:?}", snow.sim.calls());
    assert_eq!(again["calls"]["snow"], json!({ "table read": 1 }));
    by_place
}

#[test]
fn a_cold_sync_makes_few_writes_for_each_account_and_region() {
    for (batch_size, machines) in [(200, 100), (50, 60)] {
        let by_place = cold(batch_size, machines);
        let batches = records(machines).div_ceil(batch_size);
        // The promise: ceil(N / batch_size) * 1.15 + 20. What there is: the batches, and one for the datacenter.
        let promised = batches as f64 * 1.15 + 20.0;
        assert!(by_place.values().all(|writes| *writes as f64 <= promised), "{batch_size}: {by_place:?}");
        let expected: BTreeMap<_, _> =
            places().into_iter().map(|(account, region)| ((account.to_owned(), region.to_owned()), batches + 1)).collect();
        assert_eq!(by_place, expected, "batches of {batch_size}");
    }
}

#[test]
fn one_in_a_hundred_changed_is_as_many_updates() {
    let snow = snow(200);
    // Nine places of 67 records: 603.
    snow.world.write("inventory.json", &estate(25, 0).to_string());
    snow.sync_at(FIRST, 0);
    let before = snow.inventory();
    snow.sim.clear_calls();
    snow.world.write("inventory.json", &estate(25, 6).to_string());
    let sync = snow.sync_at("2026-02-01T00:30:00Z", 0);
    assert_eq!(sync["counts"]["snow"], json!({ "update": 6 }));
    let counters = snow.sim.counters();
    assert_eq!((counters.writes, &counters.operations), (1, &BTreeMap::from([("UPDATE".to_owned(), 6)])), "{:?}", snow.sim.calls());
    let calls = engine_calls(&snow);
    assert_eq!(calls[0].named.len(), 6, "nothing else travels with them: {calls:?}");
    assert_eq!(snow.values("cmdb_ci_vm_instance", "model_number=m5.2xlarge", &["sys_id"]).len(), 6);
    assert!(snow.inventory() == before, "something was made or removed");
}

#[test]
fn the_report_tells_people_how_often_the_instance_was_asked() {
    let snow = snow(200);
    snow.world.write("inventory.json", &estate(3, 0).to_string());
    let ran = snow.text(&["sync", "--at", FIRST]);
    let counters = snow.sim.counters();
    let words = [("identifyreconcile", "reconcile"), ("identifyreconcile_query", "identify"), ("meta", "class"), ("table", "table read")];
    let mut told = words.map(|(api, word)| (counters.by_api[api], word));
    assert_eq!(told.iter().map(|(n, _)| n).sum::<u64>(), counters.requests, "{counters:?}");
    told.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
    let told = told.map(|(n, word)| format!("{n} {word}")).join(", ");
    let line = format!("asked     snow: {} requests: {told}\n", counters.requests);
    assert!(ran.out.contains(&line), "no `{line}` in\n{}", ran.out);
    let ran = snow.text(&["sync", "--at", "2026-02-01T00:30:00Z"]);
    assert!(ran.out.contains("asked     snow: 1 request: 1 table read\n"), "{}", ran.out);
}
