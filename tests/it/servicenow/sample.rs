//! The sample estate, of two clouds: every relationship with its type and direction, and one record of each kind of the second cloud.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::expected::{Holding, Names};
use super::rig::Snow;
use super::{QUICKSTART, quickstart};

/// What an edge is to the instance: `parent | type | child`, where `from` and `to` are the edge's ends. By hand from the discovery patterns and the connectors'
/// resource types; where neither has one, a type that exists everywhere.
fn form(relation: &str, from: &str, to: &str) -> &'static str {
    match (relation, from, to) {
        ("contains", "account", "region") => "to | Hosted on::Hosts | from",
        ("contains", "resource_group", _) => "from | Contains::Contained by | to",
        ("located_in", "network", "region") => "from | Hosted on::Hosts | to",
        ("located_in", "zone" | "resource_group", "region")
        | ("located_in", "subnet", "network")
        | ("located_in", "subnet" | "instance", "zone")
        | ("connected_to", "network_interface", "subnet") => "to | Contains::Contained by | from",
        ("protected_by", "load_balancer", "security_group") => "from | Contains::Contained by | to",
        ("protected_by", "instance" | "network_interface" | "subnet", "security_group") => "from | Uses::Used by | to",
        ("allows", "security_group", "security_group") => "from | Uses::Used by | to",
        ("attached_to", "network_interface" | "volume" | "public_address", "instance") => "to | Uses::Used by | from",
        ("member_of", "instance", "scaling_group") => "from | Managed by::Manages | to",
        ("routes_to", "load_balancer", "pool") => "to | Hosted on::Hosts | from",
        ("routes_to", "pool", "instance") | ("depends_on", "service", "load_balancer" | "pool" | "instance") => {
            "from | Depends on::Used by | to"
        }
        other => panic!("the sample has no {other:?}"),
    }
}

/// Kinds whose records are hosted on their datacenter, whatever the estate's edges say: that is what identifies them.
const HOSTED: &[&str] =
    &["security_group", "instance", "scaling_group", "network_interface", "volume", "public_address", "load_balancer", "network"];

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The relationships that the sample should have, between keys.
fn relations(inventory: &Value) -> BTreeSet<String> {
    // What had ended before anybody saw it has no record.
    let lives = |one: &&Value| text(one, "state") != "terminated";
    let resources: Vec<&Value> = inventory["resources"].as_array().unwrap().iter().filter(lives).collect();
    let kinds: BTreeMap<&str, &str> = resources.iter().map(|one| (text(one, "key"), text(one, "kind"))).collect();
    let spelt = |form: &str, from: &str, to: &str| {
        let end = |end: &str| if end == "from" { from.to_owned() } else { to.to_owned() };
        let parts: Vec<&str> = form.split(" | ").collect();
        format!("{} | {} | {}", end(parts[0]), parts[1], end(parts[2]))
    };
    let mut relations = BTreeSet::new();
    for edge in inventory["relations"].as_array().unwrap() {
        let (from, to) = (text(edge, "from"), text(edge, "to"));
        let (Some(from_kind), Some(to_kind)) = (kinds.get(from), kinds.get(to)) else { continue };
        relations.insert(spelt(form(text(edge, "type"), from_kind, to_kind), from, to));
    }
    for one in &resources {
        let (key, kind) = (text(one, "key"), text(one, "kind"));
        if HOSTED.contains(&kind) {
            let is_its = |other: &&&Value| {
                text(other, "kind") == "region" && ["provider", "account", "region"].iter().all(|name| other[name] == one[name])
            };
            let region = resources.iter().find(is_its).unwrap_or_else(|| panic!("no region for {key}"));
            relations.insert(spelt("from | Hosted on::Hosts | to", key, text(region, "key")));
        }
        // Services are those that tags name, in whatever case.
        let service = ["service", "application"].iter().find_map(|tag| one["tags"][tag].as_str());
        if let (Some(service), "load_balancer" | "pool" | "instance") = (service, kind) {
            let service = format!("service:{}", service.trim().to_lowercase());
            relations.insert(spelt(form("depends_on", "service", kind), &service, key));
        }
    }
    relations
}

#[test]
fn every_relationship_of_the_sample_estate_has_its_type_and_direction() {
    let snow = Snow::new();
    snow.configure("", QUICKSTART);
    let inventory = quickstart();
    snow.world.write("inventory.json", &inventory.to_string());
    snow.json(&["sync"], 0);

    let found = Holding::of(&snow.sim, &Names::default());
    let mut expected = Holding { relations: relations(&inventory), ..Holding::default() };
    expected.records.clone_from(&found.records);
    found.assert_is(&expected);

    let mut names = Names::default();
    for one in inventory["resources"].as_array().unwrap().iter().filter(|one| text(one, "account").starts_with("5d1f0c3a")) {
        let name = text(one, "name").to_owned();
        let (key, native) = (text(one, "key"), text(one, "native_id"));
        names.values.insert(name.clone(), key.strip_prefix("azure:").unwrap().to_owned());
        names.values.insert(format!("{name}.shown"), native.to_owned());
        names.by_key.insert(key.to_owned(), name);
    }
    names.by_key.insert("service:ledger".to_owned(), "ledger".to_owned());
    let expected = Holding::read(include_str!("azure.txt"), &names);
    let mut found = Holding::of(&snow.sim, &names);
    found.records.retain(|name, _| expected.records.contains_key(name));
    found.relations.clear();
    found.assert_is(&expected);
}
