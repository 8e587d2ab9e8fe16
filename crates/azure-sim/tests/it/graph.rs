//! Resource Graph.

use dewpoint_azure_sim::{
    Sim,
    world::{CLIENT, Change, World},
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{query, start, start_with};

const VMS: &str = "Resources | where type in~ ('Microsoft.Compute/virtualMachines') | project id, name, type, resourceGroup, vmId = properties.vmId, \
                   power = properties.extended.instanceView.powerState.code | order by id asc";

fn data(sim: &Sim, body: &Value) -> Vec<Value> {
    let answer = query(sim, body);
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["data"].as_array().unwrap().clone()
}

#[test]
fn pages_need_an_id() {
    let world = World::generated(2, 2, 300);
    let count: usize = world.subscriptions.values().map(|found| found.vms.len()).sum();
    let sim = start(world);
    let (mut seen, mut token) = (Vec::new(), Value::Null);
    loop {
        let answer =
            query(&sim, &json!({"query": VMS, "options": {"$top": 60, "$skipToken": token, "resultFormat": "objectArray"}})).json();
        assert_eq!((answer["totalRecords"].as_u64(), answer["resultTruncated"].as_str()), (Some(count as u64), Some("false")));
        seen.extend(answer["data"].as_array().unwrap().clone());
        token = answer["$skipToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(seen.len(), count);
    let ids: Vec<&str> = seen.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "they are in order and distinct");
    assert!(ids.iter().all(|id| id.contains("/resourceGroups/rg-")), "groups are in small letters");
    assert!(seen.iter().all(|row| row["type"] == "microsoft.compute/virtualmachines" && row["vmId"].is_string()));
    assert!(seen.iter().any(|row| row["power"] == "PowerState/deallocated") && seen.iter().any(|row| row["power"].is_null()));

    for text in ["Resources | project name", "Resources | project id, name | limit 150"] {
        let answer = query(&sim, &json!({"query": text})).json();
        assert_eq!((answer["count"].as_u64(), answer["resultTruncated"].as_str()), (Some(100), Some("true")), "{text}");
        assert_eq!(answer["$skipToken"], Value::Null);
    }
    let other = query(&sim, &json!({"query": "Resources | project id", "options": {"$skipToken": token_of(&sim)}}));
    assert_eq!(other.status, 400, "a token is of its query");
}

fn token_of(sim: &Sim) -> String {
    query(sim, &json!({"query": VMS, "options": {"$top": 1}})).json()["$skipToken"].as_str().unwrap().to_owned()
}

#[test]
fn without_an_order_pages_overlap() {
    let sim = start(World::generated(2, 1, 100));
    let text = "Resources | project id";
    let page = |token: &Value| query(&sim, &json!({"query": text, "options": {"$top": 50, "$skipToken": token}})).json();
    let first = page(&Value::Null);
    let second = page(&first["$skipToken"]);
    let ids = |page: &Value| -> Vec<String> { page["data"].as_array().unwrap().iter().map(|row| row["id"].to_string()).collect() };
    assert!(ids(&second).iter().any(|id| ids(&first).contains(id)));
}

#[test]
fn what_is_not_understood_is_refused() {
    let sim = start(World::generated(2, 1, 10));
    sim.settings(|settings| settings.rates = dewpoint_azure_sim::Rates::unlimited());
    for body in [
        json!({"query": "Resources | where name contains 'x'"}),
        json!({"query": "Resources | project nothing"}),
        json!({"query": "Resources | project id | order by name asc"}),
        json!({"query": "Resources", "options": {"$top": 1001}}),
        json!({"query": "Resources", "options": {"$top": 0}}),
        json!({"query": "Resources", "options": {"resultFormat": "xml"}}),
        json!({"query": "Resources", "options": {"colour": "blue"}}),
        json!({"query": "Resources", "options": {"$skipToken": "made up"}}),
        json!({"query": "Resources", "facets": [{"expression": "location"}]}),
        json!({"subscriptions": ["a"]}),
        json!({"query": "Resources", "subscriptions": ["a"], "managementGroups": ["b"]}),
    ] {
        let answer = query(&sim, &body);
        assert_eq!(answer.refusal(), (400, "BadRequest".to_owned()), "{body}");
        assert!(answer.json()["error"]["details"][0]["code"].is_string());
    }
}

#[test]
fn one_subscription_that_cannot_be_read_spoils_the_query() {
    let mut world = World::new();
    let ids = ["one", "two"].map(|name| {
        world.subscription(name).group("rg", "westeurope").vm("vm");
        world.subscription(name).id.clone()
    });
    world.application(CLIENT).reads_only(&format!("/subscriptions/{}", ids[0]));
    world.management_group("mg", None);
    let sim = start(world);
    let body = |partial: bool| json!({"query": VMS, "subscriptions": ids, "options": {"allowPartialScopes": partial}});
    assert_eq!(query(&sim, &body(false)).refusal(), (403, "AuthorizationFailed".to_owned()));
    assert_eq!(data(&sim, &body(true)).len(), 1);
    assert_eq!(data(&sim, &json!({"query": VMS})).len(), 1, "without a scope it is what can be read");
    assert_eq!(data(&sim, &json!({"query": VMS, "managementGroups": ["mg"]})).len(), 0);
}

#[test]
fn the_index_is_late() {
    let mut world = World::new();
    let subscription = world.subscription("prod");
    let old = subscription.group("rg", "westeurope").vm("old").id();
    let new = old.replace("/old", "/new");
    let sim = start_with(world, |start| start.settings.graph_lag_s = 3600);
    sim.advance(SignedDuration::from_hours(2));
    sim.apply(&Change::Create { id: new.clone() }).unwrap();
    sim.apply(&Change::Delete { id: old }).unwrap();
    let names = || data(&sim, &json!({"query": VMS})).iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(), ["old"]);
    assert_eq!(crate::support::get(&sim, &format!("{new}?api-version=2024-07-01")).status, 200, "the provider is not late");
    sim.advance(SignedDuration::from_secs(3599));
    assert_eq!(names(), ["old"]);
    sim.advance(SignedDuration::from_secs(2));
    assert_eq!(names(), ["new"]);
}

#[test]
fn rows_can_be_missing_without_a_word() {
    let world = World::generated(2, 1, 200);
    let count = world.subscriptions.values().next().unwrap().vms.len();
    let sim = start_with(world, |start| start.settings.graph_missing = 0.3);
    let answer = query(&sim, &json!({"query": VMS, "options": {"$top": 1000}})).json();
    let found = usize::try_from(answer["totalRecords"].as_u64().unwrap()).unwrap();
    assert!(found > 0 && found < count, "{found} of {count}");
    assert_eq!(answer["resultTruncated"], "false");
}

#[test]
fn things_are_counted_and_put_into_a_table() {
    let world = World::generated(2, 1, 40);
    let found = world.subscriptions.values().next().unwrap().clone();
    let sim = start(world);
    let rows = data(&sim, &json!({"query": "Resources | summarize count() by type"}));
    let disks = rows.iter().find(|row| row["type"] == "microsoft.compute/disks").unwrap();
    assert_eq!(disks["count_"], found.disks.len());
    let instances: usize = found.scale_sets.values().map(|set| set.instances.len()).sum();
    let text = "ComputeResources | where type =~ 'Microsoft.Compute/virtualMachineScaleSets/virtualMachines' | count";
    assert_eq!(data(&sim, &json!({"query": text})), [json!({"Count": instances})]);
    let text = "ResourceContainers | where type == 'microsoft.resources/subscriptions' | project id, name, state = properties.state";
    let table = query(&sim, &json!({"query": text, "options": {"resultFormat": "table"}})).json();
    let columns: Vec<&str> = table["data"]["columns"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(columns, ["id", "name", "state"]);
    assert_eq!(table["data"]["rows"], json!([[format!("/subscriptions/{}", found.id), "sub-0", "Enabled"]]));
}
