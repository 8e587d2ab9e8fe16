//! Several targets of one estate: the embedded CMDB, ServiceNow and Assets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dewpoint_assets_sim::{Fault as AssetsFault, Mishap as AssetsMishap, Settings, Sim as Assets, Site, Start};
use dewpoint_servicenow_sim::{Fault as SnowFault, Instance, Mishap as SnowMishap, Sim as Snow};
use serde_json::{Value, json};

use crate::support::World;

/// The program, the sample estate, and simulated CMDBs.
struct Cmdbs {
    world: World,
    snow: Snow,
    assets: Assets,
}

const FIRST: &str = "2026-02-01T00:00:00Z";
const DAY_2: &str = "2026-02-02T12:00:00Z";

fn quickstart() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/quickstart/inventory.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

impl Cmdbs {
    /// With Assets set up.
    fn new(guardrails: &str) -> Self {
        let snow = Snow::start(Instance::new().with_data_source("Dewpoint")).unwrap();
        let start = Start { settings: Settings::default().without_limits(), ..Start::new(Site::new()) };
        let assets = Assets::start_with(start).unwrap();
        let world = World::empty().with("SNOW_PASSWORD", "integration-password").with("ASSETS_TOKEN", "admin-token");
        let text = format!(
            "sources: [{{ name: demo, kind: file, path: inventory.json }}]
{guardrails}
targets:
  - {{ name: cmdb, kind: local, path: cmdb.db }}
  - name: snow
    kind: servicenow
    url: {}
    auth: {{ basic: {{ username: integration, password: env:SNOW_PASSWORD }} }}
    rate: {{ requests_per_second: 1000 }}
  - name: assets
    kind: jsm
    url: {url}
    api_base: {url}
    auth: {{ basic: {{ username: admin@example.com, password: env:ASSETS_TOKEN }} }}
    schema: CLOUD
    rate: {{ requests_per_second: 1000 }}
",
            snow.url(),
            url = assets.url()
        );
        world.write("dewpoint.yaml", &text);
        world.write("inventory.json", &quickstart().to_string());
        let cmdbs = Self { world, snow, assets };
        cmdbs.world.json(&["bootstrap", "assets"], 0);
        cmdbs.clear_calls();
        cmdbs
    }

    fn clear_calls(&self) {
        self.snow.clear_calls();
        self.assets.clear_calls();
    }

    fn writes(&self) -> (u64, u64) {
        (self.snow.counters().writes, self.assets.counters().writes)
    }

    /// External ids of objects, by type; each has one.
    fn objects(&self) -> BTreeMap<String, BTreeSet<String>> {
        self.assets.edit(|site| {
            let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for object in site.objects() {
                let id = site.attribute(object.type_id, "External ID").map(|attribute| object.value(attribute.id).to_owned()).unwrap();
                let of_type = found.entry(site.types[&object.type_id].name.clone()).or_default();
                assert!(!id.is_empty() && of_type.insert(id), "{object:?}");
            }
            found
        })
    }

    /// What the embedded CMDB holds alive, and how many relations.
    fn local(&self) -> (BTreeSet<String>, u64) {
        let keys = self.world.query("cmdb.db", "SELECT key FROM ci WHERE retired = 0").into_iter().flatten().collect();
        (keys, self.world.count("SELECT count(*) FROM ci_relation"))
    }

    /// References that objects hold.
    fn references(&self) -> u64 {
        self.assets.edit(|site| {
            let held = |object| {
                let row: BTreeMap<String, Vec<String>> = site.row(object);
                let names = [
                    "Located In",
                    "Security Groups",
                    "Allowed Groups",
                    "Member Of",
                    "Attached To",
                    "Connected To",
                    "Routed From",
                    "Used By",
                ];
                names.iter().map(|name| row.get(*name).map_or(0, Vec::len) as u64).sum::<u64>()
            };
            site.objects().map(held).sum()
        })
    }
}

#[test]
fn one_pull_goes_to_all_of_them_and_a_second_to_none() {
    let cmdbs = Cmdbs::new("");
    let sync = cmdbs.world.sync_at(FIRST, 0);
    assert_eq!(sync["outcome"], "done", "{sync:#}");
    let creates = |target: &str| sync["counts"][target]["create"].as_u64().unwrap();
    let (keys, relations) = cmdbs.local();
    assert_eq!((creates("assets"), creates("snow")), (creates("cmdb"), creates("cmdb")));
    let objects: BTreeSet<String> = cmdbs.objects().into_values().flatten().collect();
    assert_eq!(objects, keys);
    assert_eq!(cmdbs.references(), relations, "each relation in its own form");
    let by_operation = cmdbs.assets.counters().by_operation;
    let circles = by_operation.get("object_update").copied().unwrap_or_default();
    assert_eq!(
        (by_operation["object_create"], circles),
        (creates("assets"), 1),
        "one request for each object, and one for a group that allows itself"
    );
    let reads = by_operation.iter().filter(|(name, _)| !name.starts_with("object_")).map(|(_, count)| count).sum::<u64>();
    assert!(reads <= creates("assets").div_ceil(100) + 20 + by_operation["user_search"] + by_operation["group_picker"], "{by_operation:?}");

    cmdbs.clear_calls();
    let again = cmdbs.world.sync_at("2026-02-01T01:00:00Z", 0);
    assert_eq!(again["counts"], json!({ "assets": {}, "cmdb": {}, "snow": {} }), "{again:#}");
    assert_eq!((cmdbs.writes(), cmdbs.assets.counters().requests), ((0, 0), 1));
    // Full reads are due, and find all as it was sent.
    let verified = cmdbs.world.sync_at(DAY_2, 0);
    assert_eq!((cmdbs.writes(), &verified["counts"]["assets"]), ((0, 0), &json!({})), "{verified:#}");
}

#[test]
fn one_that_is_down_holds_up_no_other_and_is_brought_level() {
    let cmdbs = Cmdbs::new("");
    cmdbs.assets.faults(vec![AssetsFault::new(AssetsMishap::Html { status: 503 })]);
    let sync = cmdbs.world.sync_at(FIRST, 3);
    let (keys, _) = cmdbs.local();
    assert_eq!(sync["counts"]["snow"]["create"], sync["counts"]["cmdb"]["create"], "{sync:#}");
    assert!(cmdbs.objects().is_empty() && !keys.is_empty());
    // The other way round.
    cmdbs.assets.faults(Vec::new());
    cmdbs.snow.faults(vec![SnowFault::new(SnowMishap::Html { status: 503 })]);
    cmdbs.world.sync_at("2026-02-01T01:00:00Z", 3);
    let objects: BTreeSet<String> = cmdbs.objects().into_values().flatten().collect();
    assert_eq!(objects, keys);
    cmdbs.snow.faults(Vec::new());
    cmdbs.world.sync_at("2026-02-01T02:00:00Z", 0);
    cmdbs.clear_calls();
    cmdbs.world.sync_at("2026-02-01T03:00:00Z", 0);
    assert_eq!(cmdbs.writes(), (0, 0));
}

#[test]
fn a_create_whose_answer_is_lost_is_one_object() {
    for nth in [1, 60, 140] {
        let cmdbs = Cmdbs::new("");
        cmdbs.assets.faults(vec![AssetsFault::new(AssetsMishap::Reset).operation("object_create").nth(nth).times(1).after_commit()]);
        cmdbs.world.sync_at(FIRST, 0);
        let objects: BTreeSet<String> = cmdbs.objects().into_values().flatten().collect();
        assert_eq!(objects, cmdbs.local().0);
    }
}

#[test]
fn what_people_keep_in_assets_stays_as_it_is() {
    let cmdbs = Cmdbs::new("");
    let machine = quickstart()["resources"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["kind"] == "instance" && one["provider"] == "aws")
        .unwrap()
        .clone();
    let (native, account) = (machine["native_id"].as_str().unwrap(), machine["account"].as_str().unwrap());
    let stranger = cmdbs.assets.edit(|site| {
        let object_type = site.type_named("Virtual Machine").unwrap().id;
        site.insert(object_type, &[("Name", "kept by hand"), ("Native ID", native), ("Account ID", account)])
    });
    let before = cmdbs.assets.edit(|site| site.get(stranger).cloned());
    let sync = cmdbs.world.sync_at(FIRST, 4);
    assert!(sync["holds"].as_array().unwrap().iter().any(|hold| hold["target"] == "assets"), "{sync:#}");
    assert_eq!(cmdbs.assets.edit(|site| site.get(stranger).cloned()), before);
}
