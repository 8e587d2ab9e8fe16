//! Objects: made, changed, read, deleted.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::start;

#[test]
fn an_object_is_made_read_changed_and_deleted() {
    let world = start();
    let answer = world.create(world.instance, &[("Name", &["web-1"]), ("Provider ID", &["i-1"])]);
    assert_eq!(answer.status, 201, "{}", answer.text);
    let made = answer.json();
    assert_eq!(made["attributes"], Value::Null, "an object comes without attributes when it was made");
    assert_eq!((made["label"].as_str(), made["objectKey"].as_str()), (Some("web-1"), Some("CLOUD-5001")));
    assert_eq!(made["created"], "2026-06-01T10:00:00.000Z");
    let id = made["id"].as_str().unwrap();
    let read = world.get(&format!("object/{id}")).json();
    let values: BTreeMap<&str, &str> = read["attributes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["objectTypeAttribute"]["name"].as_str().unwrap(), entry["objectAttributeValues"][0]["value"].as_str().unwrap()))
        .collect();
    let times = [("Created", "2026-06-01T10:00:00.000Z"), ("Updated", "2026-06-01T10:00:00.000Z")];
    let expected: BTreeMap<&str, &str> =
        [("Key", "CLOUD-5001"), ("Name", "web-1"), ("Provider ID", "i-1")].into_iter().chain(times).collect();
    assert_eq!(values, expected, "what is empty is not there");
    let update = world.update(5001, world.instance, &[("Lifecycle", &["2"])]);
    assert_eq!(update.status, 200, "{}", update.text);
    assert!(
        update.json()["attributes"].as_array().unwrap().iter().any(|entry| entry["objectAttributeValues"][0]["status"]["name"] == "Active")
    );
    assert_eq!(world.row(5001)["Provider ID"], ["i-1"], "what was not sent stays");
    assert_eq!(world.call("DELETE", "object/5001", &Value::Null).status, 200);
    assert_eq!(world.call("DELETE", "object/5001", &Value::Null).status, 404);
    assert_eq!(world.get("object/5001").status, 404);
    let calls: Vec<_> = world.sim.calls().into_iter().map(|call| (call.operation, call.status, call.objects)).collect();
    let expected = [
        ("object_create", 201, vec![5001]),
        ("object_get", 200, vec![]),
        ("object_update", 200, vec![5001]),
        ("object_delete", 200, vec![5001]),
        ("object_delete", 404, vec![]),
        ("object_get", 404, vec![]),
    ];
    assert_eq!(calls, expected.map(|(operation, status, objects)| (operation.to_owned(), status, objects)));
    assert_eq!(world.sim.counters().writes, 4);
}
