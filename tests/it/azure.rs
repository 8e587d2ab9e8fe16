//! The Azure source in whole syncs against the simulator.

use std::collections::BTreeMap;
use std::time::Duration;

use dewpoint_azure_sim::world::{Change, Power, World as Azure};
use dewpoint_azure_sim::{Effect, Fault, GroupCase};
use jiff::SignedDuration;
use serde_json::Value;

use crate::support::World;
use crate::support::azure::SimulatedAzure;

const TIMERS: &str = "defaults: { min_age: 0s, retire_after: 0s, confirm_missing: 2 }";
const GRAPH: &str = ", collector: resource_graph, rate: { resource_graph: { requests_per_second: 50, burst: 50 } }";

fn counts(sync: &Value) -> BTreeMap<String, u64> {
    World::counts(sync).into_iter().collect()
}

fn none() -> BTreeMap<String, u64> {
    BTreeMap::new()
}

/// How many records are at which stage.
fn stages(cloud: &SimulatedAzure, kind: &str) -> BTreeMap<String, usize> {
    let list = cloud.json(&["list", "--kind", kind], 0);
    let mut stages = BTreeMap::new();
    for ci in list["cis"].as_array().unwrap() {
        *stages.entry(ci["stage"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    stages
}

/// The receipts that are not complete: kind and outcome.
fn gaps(sync: &Value) -> BTreeMap<String, String> {
    let receipts = sync["receipts"].as_array().unwrap().iter().filter(|receipt| receipt["outcome"] != "complete");
    receipts.map(|receipt| (receipt["kind"].as_str().unwrap().to_owned(), receipt["outcome"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn an_estate_is_synced_once_whichever_collector_reads_it() {
    let cloud = SimulatedAzure::start(Azure::generated(3, 2, 60), "", TIMERS);
    let first = cloud.sync(0);
    assert_eq!(gaps(&first), BTreeMap::new());
    assert_eq!(stages(&cloud, "instance").values().sum::<usize>(), 60);
    assert_eq!(counts(&cloud.sync(0)), none(), "the second sync has nothing to do");
    cloud.configure(GRAPH, TIMERS);
    let sync = cloud.sync(0);
    assert_eq!((counts(&sync), gaps(&sync)), (none(), BTreeMap::new()), "the other collector tells the same");
}

#[test]
fn another_case_of_ids_changes_nothing() {
    let cloud = SimulatedAzure::start(Azure::generated(5, 1, 30), "", TIMERS);
    cloud.sync(0);
    for case in [GroupCase::Lower, GroupCase::AsMade, GroupCase::Upper] {
        cloud.sim.settings(|settings| settings.vm_case = case);
        assert_eq!(counts(&cloud.sync(0)), none(), "{case:?}");
    }
}

#[test]
fn an_index_that_is_late_or_leaves_things_out_retires_nothing() {
    let mut azure = Azure::generated(9, 1, 40);
    let account = azure.subscription("sub-0").id.clone();
    let gone = azure.subscription("sub-0").group("rg-new", "westeurope").vm("old-1").id();
    let cloud = SimulatedAzure::start(azure, "", TIMERS);
    cloud.sim.settings(|settings| settings.graph_lag_s = 3600);
    cloud.sync(0);
    let before = stages(&cloud, "instance");
    cloud.sim.edit(|azure| {
        azure.subscription("sub-0").group("rg-new", "westeurope").vm("new-1");
    });
    cloud.sync(0);
    assert_eq!(stages(&cloud, "instance").values().sum::<usize>(), before.values().sum::<usize>() + 1);

    // The index is an hour behind: it does not know what is new, and still shows what is gone.
    cloud.sim.apply(&Change::Delete { id: gone.clone() }).unwrap();
    cloud.configure(GRAPH, TIMERS);
    for _ in 0..3 {
        let plan = cloud.json(&["plan"], 0);
        assert_eq!(plan["changes"], serde_json::json!([]));
        let sync = cloud.sync(0);
        assert_eq!(counts(&sync).get("retire"), None, "{}", sync["counts"]);
        assert_eq!(stages(&cloud, "instance").get("missing"), None);
    }
    // It is up to date again, and what is gone is missing.
    cloud.sim.settings(|settings| settings.graph_lag_s = 0);
    cloud.sync(0);
    assert_eq!(stages(&cloud, "instance").get("missing"), Some(&1));
    // It leaves a third of everything out, without a word: nobody's record changes but that of what is gone.
    cloud.sim.settings(|settings| settings.graph_missing = 0.33);
    for _ in 0..3 {
        let plan = cloud.json(&["plan"], 0);
        let others = plan["changes"].as_array().unwrap().iter().filter(|change| !change["key"].as_str().unwrap().contains("/rg-new/"));
        let others: Vec<&Value> = others.filter(|change| change["reason"]["rule"] != "end").collect();
        assert_eq!(others, Vec::<&Value>::new());
        cloud.sync(0);
    }
    // What is gone is retired all the same, once it was looked up.
    let retired = stages(&cloud, "instance").get("retired").copied();
    assert_eq!(retired, Some(1), "{account}: {gone}");
}

#[test]
fn what_can_no_longer_be_read_stays() {
    let mut azure = Azure::generated(2, 2, 40);
    let denied = azure.subscription("sub-1").id.clone();
    let cloud = SimulatedAzure::start(azure, ", timeout: 4s", TIMERS);
    cloud.sync(0);
    let before = (stages(&cloud, "instance"), stages(&cloud, "network_interface"));
    cloud.sim.faults(vec![Fault::new(Effect::Deny).subscription(&denied)]);
    for _ in 0..3 {
        let plan = cloud.json(&["plan"], 3);
        assert_eq!(plan["changes"], serde_json::json!([]));
        let sync = cloud.sync(3);
        assert_eq!(counts(&sync), none());
        assert!(gaps(&sync).values().all(|outcome| outcome == "denied"), "{:?}", gaps(&sync));
    }
    // A page that fails in the middle.
    cloud.sim.faults(vec![Fault::new(Effect::ProviderError).operation("virtualMachines.list").page(1)]);
    assert_eq!(counts(&cloud.sync(3)), none());
    cloud.sim.faults(Vec::new());
    assert_eq!(counts(&cloud.sync(0)), none());
    assert_eq!((stages(&cloud, "instance"), stages(&cloud, "network_interface")), before);
}

#[test]
fn a_role_that_was_narrowed_is_no_absence() {
    let cloud = SimulatedAzure::start(Azure::generated(4, 1, 30), "", TIMERS);
    cloud.sync(0);
    let before = stages(&cloud, "instance");
    cloud.sim.edit(|azure| {
        let id = azure.subscription("sub-0").id.clone();
        let group = format!("/subscriptions/{id}/resourceGroups/RG-DATA-0");
        azure.application(dewpoint_azure_sim::world::CLIENT).reads_only(&group);
    });
    for _ in 0..3 {
        let sync = cloud.sync(3);
        assert_eq!((counts(&sync).get("retire"), counts(&sync).get("unrelate")), (None, None), "{}", sync["counts"]);
        assert_eq!(gaps(&sync).get("instance").map(String::as_str), Some("denied"));
    }
    assert_eq!(stages(&cloud, "instance"), before);
}

#[test]
fn lives_end_and_begin_and_move_as_azure_tells() {
    let mut azure = Azure::new();
    let mut group = azure.subscription("prod").group("rg-app", "westeurope");
    let (again, moving, stopping) = (group.vm("again-1").id(), group.vm("moving-1").id(), group.vm("stopping-1").id());
    azure.subscription("prod").group("rg-other", "westeurope");
    let cloud = SimulatedAzure::start(azure, "", TIMERS);
    cloud.sync(0);

    cloud.sim.apply(&Change::Recreate { id: again.clone() }).unwrap();
    cloud.sim.apply(&Change::SetPower { id: stopping.clone(), power: Some(Power::Deallocated) }).unwrap();
    cloud.sync(0);
    assert_eq!(stages(&cloud, "instance"), BTreeMap::from([("active".to_owned(), 2), ("inactive".to_owned(), 1)]));
    let history = cloud.json(&["history", &again], 0);
    assert!(
        history["entries"].as_array().unwrap().iter().any(|entry| entry["cause"].as_str().unwrap().contains("a new life")),
        "{history}"
    );

    cloud.sim.apply(&Change::Move { id: moving.clone(), group: "rg-other".to_owned() }).unwrap();
    let plan = cloud.json(&["plan"], 0);
    let created = plan["changes"].as_array().unwrap().iter().filter(|change| change["change"] == "create");
    assert!(created.clone().all(|change| change["kind"] != "instance"), "{:?}", created.collect::<Vec<_>>());
    cloud.sync(0);
    let moved = moving.replace("rg-app", "rg-other");
    let show = cloud.json(&["show", &moved], 0);
    assert_eq!(show["stage"], "active", "{show}");
    let names = cloud.world.query("cmdb.db", "SELECT COUNT(*) FROM ci WHERE kind = 'instance'");
    assert_eq!(names[0][0], "3", "no second record");
}

#[test]
fn a_throttled_subscription_ends_as_throttled_without_sleeping() {
    let cloud = SimulatedAzure::start(Azure::generated(6, 1, 20), ", timeout: 5s", TIMERS);
    cloud.sync(0);
    let throttle = Effect::Throttle { retry_after_s: Some(1200), compute: true };
    cloud.sim.faults(vec![Fault::new(throttle).operation("virtualMachines.list")]);
    let began = std::time::Instant::now();
    let sync = cloud.sync(3);
    assert_eq!((gaps(&sync).get("instance").map(String::as_str), counts(&sync)), (Some("throttled"), none()));
    assert_eq!(gaps(&sync).get("security_group"), None, "networks have limits of their own");
    assert!(began.elapsed() < Duration::from_secs(60), "twenty minutes were asked for");
    cloud.sim.advance(SignedDuration::from_secs(1300));
}
