//! The Resource Graph collector.

use dewpoint_azure_sim::world::World;

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
