//! Assets of Jira Service Management as the program writes to it.

mod kill;

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_assets_sim::{Settings, Sim, Site, Start};
use serde_json::json;

use crate::support::World;

/// Attributes that hold edges, by hand from the mapping.
pub(crate) const HOLDING: &[&str] =
    &["Located In", "Security Groups", "Allowed Groups", "Member Of", "Attached To", "Connected To", "Routed From", "Used By"];

/// A site without limits.
pub(crate) fn site() -> Sim {
    Sim::start_with(Start { settings: Settings::default().without_limits(), ..Start::new(Site::new()) }).unwrap()
}

/// The target of that site, with more keys, each on a line; the administrator's token is in `ASSETS_TOKEN`.
pub(crate) fn target(sim: &Sim, keys: &str) -> String {
    let keys: String = keys.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "  - name: assets
    kind: jsm
    url: {url}
    api_base: {url}
    auth: {{ basic: {{ username: admin@example.com, password: env:ASSETS_TOKEN }} }}
    schema: CLOUD
    rate: {{ requests_per_second: 1000 }}
    index_lag: 0s
{keys}",
        url = sim.url()
    )
}

/// External ids of objects, by type; each has one.
pub(crate) fn objects(sim: &Sim) -> BTreeMap<String, BTreeSet<String>> {
    sim.edit(|site| {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for object in site.objects() {
            let id = site.attribute(object.type_id, "External ID").map(|attribute| object.value(attribute.id).to_owned()).unwrap();
            let of_type = found.entry(site.types[&object.type_id].name.clone()).or_default();
            assert!(!id.is_empty() && of_type.insert(id), "{object:?}");
        }
        found
    })
}

/// How many references objects hold.
pub(crate) fn references(sim: &Sim) -> u64 {
    sim.edit(|site| {
        let held = |object| {
            let row: BTreeMap<String, Vec<String>> = site.row(object);
            HOLDING.iter().map(|name| row.get(*name).map_or(0, Vec::len) as u64).sum::<u64>()
        };
        site.objects().map(held).sum()
    })
}

/// The sample estate and a site that was set up, as the only target.
fn estate(keys: &str) -> (World, Sim) {
    let sim = site();
    let world = World::empty().with("ASSETS_TOKEN", "admin-token").with("IMPORT_TOKEN", "import-token-1");
    world.write("inventory.json", &crate::targets::quickstart().to_string());
    let text = format!("sources: [{{ name: demo, kind: file, path: inventory.json }}]\ntargets:\n{}", target(&sim, keys));
    world.write("dewpoint.yaml", &text);
    world.json(&["bootstrap", "assets"], 0);
    sim.edit(|site| {
        let schema = site.schema("CLOUD").unwrap().id;
        site.add_import(schema, "Dewpoint");
    });
    sim.clear_calls();
    (world, sim)
}

#[test]
fn a_first_load_by_imports_is_as_one_by_one() {
    let (single, there) = estate("");
    single.sync_at("2026-02-01T00:00:00Z", 0);
    let (world, sim) = estate("import: { token: env:IMPORT_TOKEN, from: 25, keeps_missing: true }");
    let told = world.json(&["doctor"], 0).to_string();
    assert!(told.contains("the import source is one of the schema, and idle"), "{told}");
    sim.clear_calls();
    let sync = world.sync_at("2026-02-01T00:00:00Z", 0);
    let by_operation = sim.counters().by_operation;
    let (count, imports) = (sync["counts"]["assets"]["create"].as_u64().unwrap(), by_operation["import_start"]);
    assert_eq!(by_operation["import_submit"], imports, "one chunk each");
    assert!(imports <= 8 && by_operation["object_create"] < count / 5, "few are left to be made one by one: {by_operation:?}");
    assert!(by_operation["aql"] <= count.div_ceil(100) + 20 + 2 * imports, "{by_operation:?}");
    assert_eq!((objects(&sim), references(&sim)), (objects(&there), references(&there)));
    sim.clear_calls();
    let again = world.sync_at("2026-02-01T01:00:00Z", 0);
    assert_eq!((&again["counts"]["assets"], sim.counters().requests), (&json!({}), 1), "{again:#}");
    let verified = world.sync_at("2026-02-02T12:00:00Z", 0);
    assert_eq!((&verified["counts"]["assets"], sim.counters().writes), (&json!({}), 0), "{verified:#}");
}
