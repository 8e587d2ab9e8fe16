//! Several targets of one estate: the embedded CMDB, ServiceNow, Assets and HaloITSM.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dewpoint_assets_sim::{Fault as AssetsFault, Mishap as AssetsMishap, Sim as Assets};
use dewpoint_halo_sim::{CLIENT_SECRET, Fault as HaloFault, Mishap as HaloMishap, Sim as Halo};
use dewpoint_servicenow_sim::{Fault as SnowFault, Instance, Mishap as SnowMishap, Sim as Snow};
use serde_json::{Value, json};

use crate::support::World;

/// The program, the sample estate, and simulated CMDBs.
struct Cmdbs {
    world: World,
    snow: Snow,
    assets: Assets,
    halo: Halo,
}

const FIRST: &str = "2026-02-01T00:00:00Z";
const DAY_2: &str = "2026-02-02T12:00:00Z";

pub(crate) fn quickstart() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/quickstart/inventory.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

impl Cmdbs {
    /// With Assets and Halo set up.
    fn new(guardrails: &str) -> Self {
        Self::with(guardrails, "")
    }

    /// With another key for Assets and Halo.
    fn with(guardrails: &str, key: &str) -> Self {
        let snow = Snow::start(Instance::new().with_data_source("Dewpoint")).unwrap();
        let assets = crate::assets::site();
        let halo = crate::halo::tenant();
        let world = World::empty().with("SNOW_PASSWORD", "integration-password").with("ASSETS_TOKEN", "admin-token");
        let world = world.with("HALO_SECRET", CLIENT_SECRET);
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
{}{}",
            snow.url(),
            crate::assets::target(&assets, key),
            crate::halo::target(&halo, key),
        );
        world.write("dewpoint.yaml", &text);
        world.write("inventory.json", &quickstart().to_string());
        let cmdbs = Self { world, snow, assets, halo };
        cmdbs.world.json(&["bootstrap", "assets"], 0);
        cmdbs.world.json(&["bootstrap", "halo"], 0);
        cmdbs.clear_calls();
        cmdbs
    }

    fn clear_calls(&self) {
        self.snow.clear_calls();
        self.assets.clear_calls();
        self.halo.clear_calls();
    }

    /// What was written to ServiceNow, Assets and Halo.
    fn writes(&self) -> [u64; 3] {
        [self.snow.counters().writes, self.assets.counters().writes, self.halo.counters().writes]
    }

    /// Keys of the live assets in Halo, each as often as it is there.
    fn kept_in_halo(&self) -> Vec<String> {
        self.halo.edit(|tenant| {
            let live = tenant.assets().into_iter().filter(|asset| !asset.inactive).map(|asset| asset.id).collect::<Vec<_>>();
            live.into_iter().map(|id| tenant.value(id, "Dewpoint Key").to_owned()).filter(|key| !key.is_empty()).collect()
        })
    }

    fn objects(&self) -> BTreeMap<String, BTreeSet<String>> {
        crate::assets::objects(&self.assets)
    }

    /// What the embedded CMDB holds alive, and how many relations.
    fn local(&self) -> (BTreeSet<String>, u64) {
        let keys = self.world.query("cmdb.db", "SELECT key FROM ci WHERE retired = 0").into_iter().flatten().collect();
        (keys, self.world.count("SELECT count(*) FROM ci_relation"))
    }

    fn references(&self) -> u64 {
        crate::assets::references(&self.assets)
    }
}

#[test]
fn one_pull_goes_to_all_of_them_and_a_second_to_none() {
    let cmdbs = Cmdbs::new("");
    let sync = cmdbs.world.sync_at(FIRST, 0);
    assert_eq!(sync["outcome"], "done", "{sync:#}");
    let creates = |target: &str| sync["counts"][target]["create"].as_u64().unwrap();
    let (keys, relations) = cmdbs.local();
    assert_eq!([creates("assets"), creates("snow"), creates("halo")], [creates("cmdb"); 3]);
    let objects: BTreeSet<String> = cmdbs.objects().into_values().flatten().collect();
    assert_eq!(objects, keys);
    assert_eq!(cmdbs.references(), relations, "each relation in its own form");
    let assets = cmdbs.kept_in_halo();
    assert_eq!((assets.len(), assets.into_iter().collect::<BTreeSet<_>>()), (keys.len(), keys));
    let posts = cmdbs.halo.counters().by_operation["asset_post"];
    assert!(posts <= 2 * creates("halo").div_ceil(50), "{posts} posts");
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
    let nothing = json!({ "assets": {}, "cmdb": {}, "halo": {}, "snow": {} });
    assert_eq!(again["counts"], nothing, "{again:#}");
    assert_eq!((cmdbs.writes(), cmdbs.assets.counters().requests), ([0; 3], 1));
    // Full reads are due, and find all as it was sent.
    let verified = cmdbs.world.sync_at(DAY_2, 0);
    // ServiceNow's heartbeat is due as well.
    assert_eq!((&cmdbs.writes()[1..], &verified["counts"]), (&[0, 0][..], &nothing), "{verified:#}");
}

#[test]
fn one_that_is_down_holds_up_no_other_and_is_brought_level() {
    let cmdbs = Cmdbs::new("");
    let creates =
        |sync: &Value| ["assets", "cmdb", "halo", "snow"].map(|target| sync["counts"][target]["create"].as_u64().unwrap_or_default());
    cmdbs.assets.faults(vec![AssetsFault::new(AssetsMishap::Html { status: 503 })]);
    let sync = cmdbs.world.sync_at(FIRST, 3);
    let (keys, _) = cmdbs.local();
    let count = keys.len() as u64;
    assert_eq!(creates(&sync), [0, count, count, count], "{sync:#}");
    cmdbs.assets.faults(Vec::new());
    for (at, down) in [("2026-02-01T01:00:00Z", "snow"), ("2026-02-01T02:00:00Z", "halo")] {
        // What was brought level by the last sync stays so; a name changes, which only the one that is down does not show.
        let mut estate = quickstart();
        estate["resources"][0]["name"] = json!(format!("renamed at {at}"));
        cmdbs.world.write("inventory.json", &estate.to_string());
        match down {
            "snow" => cmdbs.snow.faults(vec![SnowFault::new(SnowMishap::Html { status: 503 })]),
            _ => cmdbs.halo.faults(vec![HaloFault::new(HaloMishap::Html { status: 503 })]),
        }
        let sync = cmdbs.world.sync_at(at, 3);
        let updates = |target: &str| sync["counts"][target]["update"].as_u64().unwrap_or_default();
        let mut others = ["assets", "cmdb", "snow", "halo"].into_iter().filter(|target| *target != down);
        assert!(others.all(|target| updates(target) == 1 || creates(&sync)[0] == count && target == "assets"), "{sync:#}");
        cmdbs.snow.faults(Vec::new());
        cmdbs.halo.faults(Vec::new());
    }
    let objects: BTreeSet<String> = cmdbs.objects().into_values().flatten().collect();
    assert_eq!(objects, keys);
    let level = cmdbs.world.sync_at("2026-02-01T03:00:00Z", 0);
    assert_eq!(level["counts"]["halo"], json!({ "update": 1 }), "{level:#}");
    cmdbs.clear_calls();
    cmdbs.world.sync_at("2026-02-01T04:00:00Z", 0);
    assert_eq!(cmdbs.writes(), [0; 3]);
}

#[test]
fn each_tells_when_what_did_not_change_was_last_seen() {
    let cmdbs = Cmdbs::with("", "heartbeat: 4h");
    let sync = cmdbs.world.sync_at(FIRST, 0);
    let count = sync["counts"]["assets"]["create"].clone();
    let seen_in_assets = || -> BTreeSet<String> {
        cmdbs.assets.edit(|site| {
            let rows = site.objects().map(|object| site.row(object).into_iter().collect::<BTreeMap<_, _>>()["Delivered At"].concat());
            rows.map(|text| text.parse::<jiff::Timestamp>().unwrap().to_string()).collect()
        })
    };
    let seen_in_halo = || -> BTreeSet<String> {
        cmdbs.halo.edit(|tenant| {
            let ids: Vec<_> = tenant.assets().into_iter().map(|asset| asset.id).collect();
            ids.into_iter().map(|id| tenant.value(id, "Dewpoint Delivered At").to_owned()).collect()
        })
    };
    assert_eq!((seen_in_assets(), seen_in_halo()), ([FIRST.to_owned()].into(), [FIRST.to_owned()].into()));
    let later = "2026-02-01T05:00:00Z";
    let beaten = cmdbs.world.sync_at(later, 0);
    assert_eq!(beaten["counts"], json!({ "assets": {}, "cmdb": {}, "halo": {}, "snow": {} }), "{beaten:#}");
    assert_eq!([&beaten["heartbeats"]["assets"]["sent"], &beaten["heartbeats"]["halo"]["sent"]], [&count, &count], "{beaten:#}");
    assert_eq!((seen_in_assets(), seen_in_halo()), ([later.to_owned()].into(), [later.to_owned()].into()));
    cmdbs.clear_calls();
    let again = cmdbs.world.sync_at("2026-02-01T05:30:00Z", 0);
    assert_eq!(cmdbs.writes()[1..], [0, 0], "{again:#}");
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
    let holds: Vec<&Value> = sync["holds"].as_array().unwrap().iter().map(|hold| &hold["target"]).collect();
    assert!(!holds.is_empty() && holds.iter().all(|target| *target == "assets"), "{sync:#}");
    // The others have it.
    assert!(cmdbs.kept_in_halo().iter().any(|key| key.ends_with(native)));
    assert_eq!(cmdbs.assets.edit(|site| site.get(stranger).cloned()), before);
}

/// The five relations that people ask about, in each CMDB in its own form, and gone from each when they are gone.
#[test]
fn relations_come_and_go_in_all_of_them() {
    let cmdbs = Cmdbs::new("lifecycle: { defaults: { min_age: 0s } }");
    let machine = |id: &str| crate::support::inventory::instance_key(id);
    let key = crate::support::inventory::key;
    let whole = crate::support::Inventory::new()
        .group("sg-1", json!({}))
        .scope("zone", "complete")
        .resource("zone", "eu-west-1a", json!({}), json!({}))
        .scope("scaling_group", "complete")
        .resource("scaling_group", "fleet", json!({}), json!({}))
        .scope("pool", "complete")
        .resource("pool", "pool", json!({}), json!({}))
        .scope("volume", "complete")
        .resource("volume", "vol-1", json!({}), json!({}))
        .scope("load_balancer", "complete")
        .resource("load_balancer", "balancer", json!({}), json!({}))
        .instance("i-0001", json!({}))
        .relation("routes_to", &key("load_balancer", "balancer"), &key("pool", "pool"));
    let relations = [
        ("protected_by", machine("i-0001"), key("security_group", "sg-1")),
        ("located_in", machine("i-0001"), key("zone", "eu-west-1a")),
        ("member_of", machine("i-0001"), key("scaling_group", "fleet")),
        ("routes_to", key("pool", "pool"), machine("i-0001")),
        ("attached_to", key("volume", "vol-1"), machine("i-0001")),
    ];
    let related = relations.iter().fold(whole.clone(), |inventory, (relation, from, to)| inventory.relation(relation, from, to));
    let held = || {
        let snow = cmdbs.snow.rows("cmdb_rel_ci", "").len();
        (cmdbs.local().1, snow, cmdbs.references(), cmdbs.halo.relationships().len())
    };
    cmdbs.world.put(&whole);
    cmdbs.world.sync_at(FIRST, 0);
    let (local, snow, assets, halo) = held();
    cmdbs.world.put(&related);
    cmdbs.world.sync_at("2026-02-01T01:00:00Z", 0);
    assert_eq!(held(), (local + 5, snow + 5, assets + 5, halo + 5));
    cmdbs.world.put(&whole);
    let mut at = 2;
    while held() != (local, snow, assets, halo) && at < 8 {
        cmdbs.world.sync_at(&format!("2026-02-01T0{at}:00:00Z"), 0);
        at += 1;
    }
    assert_eq!(held(), (local, snow, assets, halo));
}
