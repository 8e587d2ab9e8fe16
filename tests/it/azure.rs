//! The Azure source in whole syncs against the simulator.

use std::collections::BTreeMap;
use std::time::Duration;

use dewpoint_azure_sim::world::{Change, Power, World as Azure};
use dewpoint_azure_sim::{Effect, Fault, GroupCase, Mishap};
use jiff::SignedDuration;
use serde_json::Value;

use crate::support::World;
use crate::support::azure::SimulatedAzure;
use crate::support::simulated::{HUB, with_credentials};

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
    let usage = &first["usage"]["azure"];
    assert_eq!((&usage["accounts"], &usage["machines"]), (&serde_json::json!(2), &serde_json::json!(60)));
    let (calls, per_account) = (usage["calls"].as_f64().unwrap(), usage["per_account"].as_f64().unwrap());
    assert!((per_account - calls / 2.0).abs() < 0.01 && per_account < 30.0, "no call for each machine: {usage}");
    assert!((usage["per_thousand_machines"].as_f64().unwrap() - calls / 0.06).abs() < 0.01, "{usage}");
    let told = cloud.run(&["sync"]).out;
    assert!(told.contains(" for an account, ") && told.contains(" for a thousand machines)"), "{told}");
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
fn what_an_index_leaves_out_and_nobody_can_ask_about_leaves_all_around_it_as_it_is() {
    let mut azure = Azure::generated(8, 1, 40);
    // The only machine in its zone.
    azure.subscription("sub-0").group("rg-far", "westeurope").vm("far-1").zone("7");
    let cloud = SimulatedAzure::start(azure, ", timeout: 4s", TIMERS);
    cloud.sync(0);
    cloud.configure(GRAPH, TIMERS);
    let is_denied = |operation: &str| Fault::new(Effect::Deny).operation(operation);
    let (interfaces, addresses, machines) = ("networkInterfaces.get", "publicIPAddresses.get", "virtualMachines.get");
    let cases: [(&[&str], f64); 6] = [
        (&[interfaces, addresses, machines], 0.02),
        (&[interfaces, addresses, machines], 0.1),
        // Without the doubt about others that stands in for it.
        (&[interfaces], 0.1),
        (&[addresses], 0.3),
        (&[], 0.1),
        (&[], 0.5),
    ];
    for (denied, missing) in cases {
        cloud.sim.settings(|settings| settings.graph_missing = missing);
        cloud.sim.faults(denied.iter().copied().map(is_denied).collect());
        for _ in 0..2 {
            let ran = cloud.run(&["sync", "--output", "json"]);
            assert!(matches!(ran.code, 0 | 3), "{}", ran.err);
            assert_eq!(counts(&ran.document()), none(), "denied: {denied:?}, missing: {missing}");
        }
    }
    cloud.sim.faults(Vec::new());
    cloud.sim.settings(|settings| settings.graph_missing = 0.0);
    assert_eq!(counts(&cloud.sync(0)), none());
}

#[test]
fn an_interface_that_is_left_out_and_cannot_be_asked_about_takes_nothing_from_its_machine() {
    let mut azure = Azure::new();
    let mut group = azure.subscription("prod").group("rg", "westeurope");
    let nsg = group.nsg("nsg").allow(100, "Tcp", "443", "Internet").id();
    let machine = group.vm("web-1").nsg(&nsg).public_ip("198.51.100.7").id();
    let cloud = SimulatedAzure::start(azure, "", TIMERS);
    cloud.sync(0);
    cloud.configure(GRAPH, TIMERS);
    assert_eq!(counts(&cloud.sync(0)), none());
    let before = cloud.json(&["show", &format!("azure:{machine}")], 0);
    // The index shows all the rest, so that nothing else casts a doubt.
    let body = r#"{"totalRecords": 0, "count": 0, "resultTruncated": "false", "data": []}"#.to_owned();
    let nothing = Effect::Mishap(Mishap::Answer { status: 200, headers: BTreeMap::new(), body });
    let left_out = Fault::new(nothing).operation("resourceGraph").contains("microsoft.network/networkinterfaces'");
    cloud.sim.faults(vec![left_out, Fault::new(Effect::Deny).operation("networkInterfaces.get")]);
    for _ in 0..2 {
        assert_eq!(counts(&cloud.sync(3)), none());
    }
    let after = cloud.json(&["show", &format!("azure:{machine}")], 0);
    assert_eq!((&after["attributes"], &after["relations"]), (&before["attributes"], &before["relations"]));
    assert!(after["attributes"]["private_addresses"].as_array().is_some_and(|addresses| addresses.len() == 1), "{after}");
    cloud.sim.faults(Vec::new());
    assert_eq!(counts(&cloud.sync(0)), none());
}

#[test]
fn what_is_read_is_taken_though_its_neighbour_is_not_told() {
    let mut azure = Azure::new();
    let mut group = azure.subscription("prod").group("rg", "westeurope");
    let (near, beside) = (group.vm("near-1").ip("10.0.0.20").public_ip("198.51.100.7").id(), group.vm("beside-1").ip("10.0.0.30").id());
    let cloud = SimulatedAzure::start(azure, "", TIMERS);
    cloud.sync(0);
    cloud.configure(GRAPH, TIMERS);
    assert_eq!(counts(&cloud.sync(0)), none());
    let body = r#"{"totalRecords": 0, "count": 0, "resultTruncated": "false", "data": []}"#.to_owned();
    let nothing = Effect::Mishap(Mishap::Answer { status: 200, headers: BTreeMap::new(), body });
    let left_out = Fault::new(nothing).operation("resourceGraph").contains("microsoft.network/publicipaddresses'");
    cloud.sim.faults(vec![left_out, Fault::new(Effect::Deny).operation("publicIPAddresses.get")]);
    cloud.sim.edit(|azure| {
        for nic in azure.subscription("prod").nics.values_mut() {
            let address = &mut nic.configurations[0].private_ip;
            *address = address.as_ref().map(|address| address.replace("10.0.0.", "10.0.1."));
        }
    });
    cloud.sync(3);
    let addresses = |id: &str, name: &str| cloud.json(&["show", &format!("azure:{id}")], 0)["attributes"][name].clone();
    assert_eq!(addresses(&beside, "private_addresses"), serde_json::json!(["10.0.1.30"]));
    let of_near = addresses(&near, "private_addresses");
    assert!(of_near.as_array().is_some_and(|list| list.contains(&"10.0.1.20".into())), "{of_near}");
    assert_eq!(addresses(&near, "public_addresses"), serde_json::json!(["198.51.100.7"]), "nobody says that it has lost it");
    cloud.sim.faults(Vec::new());
    cloud.sync(0);
    assert_eq!(addresses(&near, "private_addresses"), serde_json::json!(["10.0.1.20"]));
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

/// Both clouds: a machine of its own and a spot machine each, nodes of a cluster in a group each, and members of a flexible scale set.
fn both_clouds() -> (dewpoint_aws_sim::world::World, Azure) {
    let mut aws = dewpoint_aws_sim::world::World::new();
    let place = aws.account(HUB).region("eu-west-1");
    place.instance("web-aws").tag("service", "shop");
    place.instance("spot-aws").spot();
    let nodes: Vec<String> = ["node-1", "node-2"].map(|name| place.instance(name).tag("eks:nodegroup-name", "pool").id()).into();
    let group = place.scaling_group("nodes-aws");
    group.max = 5;
    for node in nodes {
        group.instances.insert(node, Default::default());
    }

    let mut azure = Azure::new();
    let subscription = azure.subscription("prod");
    let mut group = subscription.group("rg-app", "westeurope");
    let pool = group.load_balancer("front").pool("web", 443, 8443).pool_id("web");
    group.vm("web-azure").tag("service", "shop").pool(&pool);
    group.vm("spot-azure").spot();
    let set = group.flexible_set("flex").id();
    for name in ["flex-1", "flex-2"] {
        group.vm(name).member_of(&set);
    }
    let mut nodes = subscription.group("MC_rg-app_aks_westeurope", "westeurope");
    nodes.uniform_set("aks-pool-vmss", 3).tag("aks-managed-poolName", "pool").pool(&pool);
    (aws, azure)
}

#[test]
fn rules_and_presets_hold_for_both_clouds_side_by_side() {
    let (aws, azure) = both_clouds();
    let aws = dewpoint_aws_sim::Sim::start(aws).unwrap();
    let snow = dewpoint_servicenow_sim::Sim::start(dewpoint_servicenow_sim::Instance::new().with_data_source("Dewpoint")).unwrap();
    let SimulatedAzure { world, sim } = SimulatedAzure::start(azure, "", TIMERS);
    let cloud = SimulatedAzure { world: with_credentials(world, &aws).with("SNOW_PASSWORD", "integration-password"), sim };
    let text = format!(
        "ledger: sqlite://dewpoint.db\nsources:\n  - {}\n  - {{ name: aws, kind: aws, regions: [eu-west-1], endpoint_url: \"{}\" }}\n\
         targets:\n  - {{ name: cmdb, kind: local, path: cmdb.db }}\n  - name: snow\n    kind: servicenow\n    url: {}\n    \
         auth: {{ basic: {{ username: integration, password: env:SNOW_PASSWORD }} }}\n    rate: {{ requests_per_second: 1000 }}\n\
         lifecycle:\n  presets: [kubernetes-nodes, scaling-group-members, spot]\n",
        cloud.source(""),
        aws.url(),
        snow.url()
    );
    cloud.world.write("dewpoint.yaml", &text);
    cloud.json(&["sync"], 0);

    let rows = |sql: &str| cloud.world.query("cmdb.db", sql).into_iter().map(|row| row.join(" ")).collect::<Vec<_>>();
    let machines = rows("SELECT name FROM ci WHERE kind = 'instance' ORDER BY 1");
    assert_eq!(machines, ["spot-aws", "spot-azure", "web-aws", "web-azure"], "members are counted in their groups");
    let groups = rows(
        "SELECT c.name, a.value FROM ci c JOIN ci_attribute a ON a.key = c.key WHERE c.kind = 'scaling_group' AND a.name = 'member_count' ORDER BY 1",
    );
    assert_eq!(groups, ["aks-pool-vmss 3", "flex 2", "nodes-aws 2"]);
    let spot =
        rows("SELECT c.name FROM ci c JOIN ci_attribute a ON a.key = c.key WHERE a.name = 'flag' AND a.value LIKE '%spot%' ORDER BY 1");
    assert_eq!(spot, ["spot-aws", "spot-azure"]);
    let shop = rows("SELECT c.name FROM ci_relation r JOIN ci c ON c.key = r.to_key WHERE r.from_key = 'service:shop' ORDER BY 1");
    assert_eq!(shop, ["web-aws", "web-azure"], "one service over both clouds");
    let pool = rows(
        "SELECT t.name FROM ci_relation r JOIN ci c ON c.key = r.from_key JOIN ci t ON t.key = r.to_key WHERE c.kind = 'pool' AND r.type = 'routes_to' ORDER BY 1",
    );
    assert_eq!(pool, ["aks-pool-vmss", "web-azure"], "a folded member's edge leads to its group");

    let names = |class: &str| {
        let mut names: Vec<String> = snow.rows(class, "").into_iter().filter_map(|(_, row)| row.values.get("name").cloned()).collect();
        names.sort();
        names
    };
    assert_eq!(names("cmdb_ci_vm_instance"), machines);
    let again = cloud.json(&["sync"], 0);
    for target in ["cmdb", "snow"] {
        let changed = again["counts"][target].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>();
        assert_eq!(changed, 0, "{target}: {}", again["counts"][target]);
    }
}
