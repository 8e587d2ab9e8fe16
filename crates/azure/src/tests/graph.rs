//! The Resource Graph collector.

use dewpoint_azure_sim::world::World;
use dewpoint_azure_sim::{Effect, Fault, Mishap};

use super::*;

/// An inventory as both collectors have to tell it: without the time, and ids whatever their case.
fn told(pull: &Pull) -> (BTreeMap<Key, Resource>, BTreeMap<String, serde_json::Value>) {
    let plain = |resource: &Resource| Resource { observed_at: None, native_id: resource.native_id.to_lowercase(), ..resource.clone() };
    let resources = pull.resources.iter().map(|(key, resource)| (key.clone(), plain(resource))).collect();
    let edges = pull.relations.values().map(|edge| (format!("{:?}", edge.id()), serde_json::json!(edge.attributes))).collect();
    (resources, edges)
}

#[tokio::test]
async fn both_collectors_tell_the_same() {
    let sim = start(World::generated(11, 3, 300));
    let (arm, notes) = (setup(&sim).pull().await, Notes::default());
    let source = setup(&sim).with(|config| config.collector = Collector::ResourceGraph).build();
    let graph = source.pull(&notes).await.unwrap();
    assert_eq!((incomplete(&graph), &graph.remarks), (Vec::new(), &arm.remarks));
    let ((resources, edges), (wanted, wanted_edges)) = (told(&graph), told(&arm));
    for (key, resource) in &wanted {
        assert_eq!(resources.get(key), Some(resource), "{key}");
    }
    assert_eq!(resources.len(), wanted.len());
    assert_eq!(edges, wanted_edges);
}

/// A source that reads by the index.
fn indexed(sim: &Sim) -> Setup {
    setup(sim).with(|config| config.collector = Collector::ResourceGraph)
}

#[tokio::test]
async fn a_refusal_for_one_subscription_leaves_the_others_whole() {
    let sim = start(World::generated(3, 5, 100));
    let accounts: Vec<String> = sim.world().subscriptions.keys().cloned().collect();
    sim.faults(vec![Fault::new(Effect::Deny).operation("resourceGraph").contains(&accounts[3])]);
    let pull = indexed(&sim).pull().await;
    for (at, account) in accounts.iter().enumerate() {
        let wanted = if at == 3 { Outcome::Denied } else { Outcome::Complete };
        assert_eq!(outcome(&pull, account, Kind::Instance), wanted, "{account}");
    }
}

#[tokio::test]
async fn an_address_that_the_index_leaves_out_is_not_taken_for_none() {
    let mut world = World::new();
    let mut group = world.subscription("prod").group("rg", "westeurope");
    let balancer = group.load_balancer("front").pool("web", 443, 8443).id();
    let machine = group.vm("web").public_ip("198.51.100.7").id();
    let sim = start(world);
    assert_eq!(resource(&indexed(&sim).pull().await, &balancer).attributes["addresses"].as_array().unwrap().len(), 1);
    let body = r#"{"totalRecords": 0, "count": 0, "resultTruncated": "false", "data": []}"#.to_owned();
    let nothing = Effect::Mishap(Mishap::Answer { status: 200, headers: BTreeMap::new(), body });
    sim.faults(vec![Fault::new(nothing).operation("resourceGraph").contains("publicipaddresses'")]);
    let pull = indexed(&sim).pull().await;
    assert!(all_of(&pull, Kind::PublicAddress).is_empty());
    for (id, name) in [(&balancer, "addresses"), (&machine, "public_addresses")] {
        assert!(!resource(&pull, id).attributes.contains_key(name), "{id}");
        assert!(pull.unread[&Key::azure(id).unwrap()].contains(name), "{id}");
    }
}
