//! Random worlds: what a small estate shows at one time, through good and bad listings, and how it goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Account, region and kind of a listing.
pub type Ground = (&'static str, &'static str, &'static str);

/// Twelve resources that may exist: two accounts, three corners, six kinds.
pub const SLOTS: [(Ground, &str); 12] = [
    (("111111111111", "eu-west-1", "instance"), "i-0"),
    (("111111111111", "eu-west-1", "instance"), "i-1"),
    (("111111111111", "eu-west-1", "instance"), "i-2"),
    (("111111111111", "eu-west-1", "security_group"), "sg-0"),
    (("111111111111", "eu-west-1", "network_interface"), "eni-0"),
    (("111111111111", "eu-west-1", "scaling_group"), "asg-0"),
    (("111111111111", "us-east-1", "instance"), "i-3"),
    (("222222222222", "eu-west-1", "instance"), "i-4"),
    (("222222222222", "eu-west-1", "instance"), "i-5"),
    (("222222222222", "eu-west-1", "security_group"), "sg-2"),
    (("222222222222", "eu-west-1", "volume"), "vol-0"),
    (("222222222222", "eu-west-1", "pool"), "p-0"),
];

/// One resource as one world shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Of an instance.
    pub state: &'static str,
    pub size: Option<u8>,
    pub address: bool,
    pub owner: bool,
    pub service: Option<&'static str>,
    /// Minutes of its birth before or after the first run; absent: not told.
    pub born: Option<i64>,
    /// One bit for each edge that it may have.
    pub edges: u8,
    pub healthy: bool,
}

/// What one file says.
#[derive(Clone)]
pub struct World {
    /// In the order of [`SLOTS`]; absent: not in the file.
    pub looks: Vec<Option<Look>>,
    /// Outcome of each listing; absent: the file has no receipt of it.
    pub receipts: BTreeMap<Ground, &'static str>,
}

/// Only what is there, and only listings that did not end well: a failing case is to be read by people.
impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for ((ground, name), look) in SLOTS.iter().zip(&self.looks) {
            if let Some(look) = look {
                map.entry(&format_args!("{} {} {name}", ground.0.get(..3).unwrap_or_default(), ground.1), &format_args!("{look:?}"));
            }
        }
        for ground in grounds() {
            if self.receipts.get(&ground) != Some(&"complete") {
                map.entry(&format_args!("{ground:?}"), &format_args!("{:?}", self.receipts.get(&ground)));
            }
        }
        map.finish()
    }
}

/// A world and when it is read.
#[derive(Debug, Clone)]
pub struct Step {
    /// Minutes after the first.
    pub minute: i64,
    pub world: World,
}

impl Step {
    pub fn at(&self) -> Timestamp {
        minute(self.minute)
    }
}

pub fn minute(minutes: i64) -> Timestamp {
    "2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes)
}

pub fn grounds() -> BTreeSet<Ground> {
    SLOTS.iter().map(|(ground, _)| *ground).collect()
}

pub fn key(slot: usize) -> String {
    let ((account, region, kind), name) = SLOTS[slot];
    format!("aws:arn:aws:ec2:{region}:{account}:{}/{name}", kind.replace('_', "-"))
}

fn slot(name: &str) -> usize {
    SLOTS.iter().position(|(_, other)| *other == name).unwrap()
}

/// An edge: relation, `from` slot, `to` slot.
pub type Edge = (&'static str, usize, usize);

/// The slot whose listing proves an edge.
pub fn proving(edge: Edge) -> usize {
    if edge.0 == "member_of" { edge.2 } else { edge.1 }
}

/// The edges that a slot's listing can show, one for each bit.
fn edges_of(from: usize) -> Vec<Edge> {
    let to = |relation, names: &[&str]| names.iter().map(|name| (relation, from, slot(name))).collect();
    match SLOTS[from] {
        ((_, _, "instance"), _) => to("protected_by", &["sg-0", "sg-2"]),
        ((_, _, "network_interface"), _) => to("attached_to", &["i-0", "i-1"]),
        ((_, _, "volume"), _) => to("attached_to", &["i-4"]),
        ((_, _, "pool"), _) => to("routes_to", &["i-4", "i-5"]),
        ((_, _, "scaling_group"), _) => ["i-0", "i-1", "i-2"].map(|name| ("member_of", slot(name), from)).into(),
        (_, "sg-0") => to("allows", &["sg-2"]),
        _ => Vec::new(),
    }
}

impl World {
    pub fn is_complete(&self, slot: usize) -> bool {
        self.receipts.get(&SLOTS[slot].0) == Some(&"complete")
    }

    /// The edges that the file shows, with those that end where nothing is.
    pub fn edges(&self) -> BTreeSet<Edge> {
        let shown = self.looks.iter().enumerate().filter_map(|(slot, look)| Some((slot, look.as_ref()?)));
        shown
            .flat_map(|(slot, look)| {
                edges_of(slot).into_iter().enumerate().filter(|(bit, _)| look.edges & (1 << bit) != 0).map(|(_, edge)| edge)
            })
            .collect()
    }

    /// The inventory file, in order.
    pub fn file(&self) -> Value {
        let (receipts, resources, relations) = self.parts();
        json!({ "schema_version": 1, "taken_at": minute(0).to_string(), "receipts": receipts, "resources": resources, "relations": relations })
    }

    /// The same file with its lists in another order.
    pub fn shuffled(&self, seed: u64) -> Value {
        let (mut receipts, mut resources, mut relations) = self.parts();
        for list in [&mut receipts, &mut resources, &mut relations] {
            shuffle(list, seed);
        }
        for resource in &mut resources {
            if let Some(addresses) = resource["attributes"].get_mut("private_addresses") {
                shuffle(addresses.as_array_mut().unwrap(), seed);
            }
        }
        json!({ "relations": relations, "resources": resources, "receipts": receipts, "taken_at": minute(0).to_string(), "schema_version": 1 })
    }

    fn parts(&self) -> (Vec<Value>, Vec<Value>, Vec<Value>) {
        let count = |ground: &Ground| SLOTS.iter().zip(&self.looks).filter(|((other, _), look)| other == ground && look.is_some()).count();
        let receipts = self.receipts.iter().map(|(ground, outcome)| {
            let (account, region, kind) = ground;
            let mut receipt =
                json!({ "source": "estate", "provider": "aws", "account": account, "region": region, "kind": kind, "outcome": outcome });
            match *outcome {
                "complete" => receipt["count"] = json!(count(ground)),
                _ => receipt["error"] = json!("on purpose"),
            }
            receipt
        });
        let resources = self.looks.iter().enumerate().filter_map(|(slot, look)| Some(resource(slot, look.as_ref()?)));
        let relations = self.edges().into_iter().map(|edge| {
            let (relation, from, to) = edge;
            let attributes = match (relation, &self.looks[proving(edge)]) {
                ("routes_to", Some(look)) => {
                    json!({ "port": 80 + u32::from(look.size.unwrap_or(0)), "health": if look.healthy { "healthy" } else { "unhealthy" } })
                }
                _ => json!({}),
            };
            json!({ "type": relation, "from": key(from), "to": key(to), "attributes": attributes })
        });
        (receipts.collect(), resources.collect(), relations.collect())
    }
}

fn resource(slot: usize, look: &Look) -> Value {
    let ((account, region, kind), name) = SLOTS[slot];
    let mut attributes = json!({});
    let mut tags = json!({});
    if look.owner {
        tags["owner"] = json!("ann");
    }
    if let Some(service) = look.service {
        tags["service"] = json!(service);
    }
    let mut resource = json!({
        "key": key(slot), "kind": kind, "provider": "aws", "native_id": name, "account": account, "region": region, "name": name,
        "observed_at": minute(0).to_string(),
    });
    match kind {
        "instance" => {
            resource["state"] = json!(look.state);
            attributes["size"] = json!(look.size.map(|size| format!("t3.{size}")));
            if look.address {
                attributes["private_addresses"] = json!(["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
            }
            if let Some(born) = look.born {
                resource["created_at"] = json!(minute(born).to_string());
            }
        }
        "pool" => attributes["healthy_count"] = json!(u8::from(look.healthy)),
        "volume" => attributes["size_gib"] = json!(look.size),
        _ => {}
    }
    attributes.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    resource["attributes"] = attributes;
    resource["tags"] = tags;
    resource
}

pub fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed | 1;
    for index in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(index, usize::try_from(state >> 33).unwrap() % (index + 1));
    }
}

pub fn any_look() -> impl Strategy<Value = Look> {
    let state = prop_oneof![6 => Just("running"), 1 => Just("stopped"), 1 => Just("terminated")];
    let size = proptest::option::weighted(0.8, 0..3_u8);
    let service = prop_oneof![3 => Just(None), 1 => Just(Some("Shop")), 1 => Just(Some(" shop")), 1 => Just(Some("billing"))];
    let born = prop_oneof![2 => Just(None), 4 => Just(Some(-100_000)), 1 => (-30..200_i64).prop_map(Some)];
    (state, size, any::<bool>(), any::<bool>(), service, born, any::<u8>(), any::<bool>()).prop_map(
        |(state, size, address, owner, service, born, edges, healthy)| Look { state, size, address, owner, service, born, edges, healthy },
    )
}

fn any_sight() -> impl Strategy<Value = Option<Look>> {
    proptest::option::weighted(0.7, any_look())
}

const BAD: [&str; 6] = ["denied", "throttled", "truncated", "failed", "disabled", "skipped"];

pub fn bad_outcome() -> impl Strategy<Value = Option<&'static str>> {
    proptest::option::weighted(0.8, proptest::sample::select(&BAD[..]))
}

/// How all listings end: mostly well.
fn any_receipts() -> impl Strategy<Value = BTreeMap<Ground, &'static str>> {
    let outcome = prop_oneof![7 => Just(Some("complete")), 1 => bad_outcome()];
    vec(outcome, grounds().len()).prop_map(|outcomes| grounds().into_iter().zip(outcomes).filter_map(|(g, o)| Some((g, o?))).collect())
}

pub fn all_complete() -> BTreeMap<Ground, &'static str> {
    grounds().into_iter().map(|ground| (ground, "complete")).collect()
}

/// Minutes between two runs.
fn any_gap() -> impl Strategy<Value = i64> {
    prop_oneof![2 => Just(5_i64), 2 => Just(61), 2 => Just(13 * 60), 3 => Just(25 * 60), 1 => Just(73 * 60)]
}

/// Worlds that follow one another: each is the one before with some of its resources seen anew.
pub fn history(steps: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Step>> {
    let change = proptest::option::weighted(0.3, any_sight());
    let first = vec(any_sight(), SLOTS.len());
    (first, vec((any_gap(), vec(change, SLOTS.len()), any_receipts()), steps)).prop_map(|(first, steps)| {
        let mut looks = first;
        let mut at = 0;
        let mut history = Vec::new();
        for (gap, changes, receipts) in steps {
            history.push(Step { minute: at, world: World { looks: looks.clone(), receipts } });
            at += gap;
            for (look, change) in looks.iter_mut().zip(changes) {
                if let Some(change) = change {
                    *look = change;
                }
            }
        }
        history
    })
}
