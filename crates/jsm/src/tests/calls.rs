//! How many requests there are for what.

use std::collections::BTreeMap;

use dewpoint_assets_sim::Site;
use dewpoint_core::model::{Attributes, EdgeId, Kind, RelationType};
use dewpoint_core::target::{End, Identity, Operation, Target as _, Write};
use dewpoint_core::testing::contract::{create, estate, find, identity, key, read_all, send, send_as, unrelate, update};
use serde_json::json;

use super::rig::Rig;

/// An edge between two records that the batch makes.
fn between_new(rig: &Rig, from: usize, to: usize) -> Write {
    let place = create(&rig.target, from).place;
    let edge = EdgeId { from: key(from), relation: RelationType::RoutesTo, to: key(to) };
    let operation = Operation::Relate {
        edge,
        from: End::Made(key(from)),
        to: End::Made(key(to)),
        to_kind: Kind::Instance,
        attributes: Attributes::new(),
    };
    Write { key: key(from), kind: Kind::Instance, place, operation }
}

fn counts(rig: &Rig) -> BTreeMap<String, u64> {
    let mut counts = rig.sim.counters().by_operation;
    // Once in a process, whatever is sent.
    counts.retain(|operation, _| {
        !["workspace_list", "schema_list", "schema_types_flat", "schema_attributes", "status_list"].contains(&operation.as_str())
    });
    counts.retain(|operation, _| !["user_search", "group_picker"].contains(&operation.as_str()));
    counts
}

fn expect(rig: &Rig, expected: &[(&str, u64)]) {
    assert_eq!(counts(rig), expected.iter().map(|(operation, count)| ((*operation).to_owned(), *count)).collect());
    rig.sim.clear_calls();
}

#[tokio::test]
async fn a_new_object_with_its_edges_is_one_request_and_a_circle_one_more() {
    let rig = Rig::over(Site::new()).await;
    let mut batch: Vec<Write> = (1..=5).map(|number| create(&rig.target, number)).collect();
    // What an edge ends at holds it: 2 refers to 1, 3 to 1 and 2, 4 and 5 to each other.
    batch.extend([(1, 2), (1, 3), (2, 3), (4, 5), (5, 4)].map(|(from, to)| between_new(&rig, from, to)));
    let answers = send_as(&rig.target, &estate("ours"), 0, &batch).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    expect(&rig, &[("object_create", 5), ("object_update", 1)]);
    let edges: usize = read_all(&rig.target).await.into_iter().filter_map(|record| record.edges).map(|edges| edges.len()).sum();
    assert_eq!(edges, 5);
}

#[tokio::test]
async fn many_are_asked_about_at_once() {
    let rig = Rig::over(Site::new()).await;
    let identities: Vec<Identity> = (0..250).map(identity).collect();
    assert_eq!(rig.target.find(&identities).await.len(), 250);
    expect(&rig, &[("aql", 3)]);
}

#[tokio::test]
async fn updates_look_once_at_many_and_edges_at_what_holds_them() {
    let mut rig = Rig::over(Site::new()).await;
    let creates: Vec<Write> = (1..=40).map(|number| create(&rig.target, number)).collect();
    let records = send(&rig.target, 0, &creates).await;
    rig.anew();
    rig.sim.clear_calls();
    let updates: Vec<Write> =
        (1..=40).zip(&records).map(|(number, record)| update(&rig.target, number, record, None, &[("Size", json!("t3.large"))])).collect();
    send(&rig.target, 1, &updates).await;
    expect(&rig, &[("aql", 1), ("object_update", 40)]);
    // What holds an edge is looked at, whatever is believed of it.
    send(&rig.target, 2, &[unrelate((1, 2), &records[0], &records[1])]).await;
    expect(&rig, &[("object_get", 1)]);
    rig.anew();
    send(&rig.target, 2, &[unrelate((1, 2), &records[0], &records[1])]).await;
    expect(&rig, &[("aql", 1), ("object_get", 1)]);
    assert_eq!(find(&rig.target, 7).await.len(), 1);
}

#[tokio::test]
async fn a_full_read_counts_and_lists() {
    let rig = Rig::over(Site::new()).await;
    let creates: Vec<Write> = (0..600).map(|number| create(&rig.target, number)).collect();
    for batch in creates.chunks(50) {
        send(&rig.target, 0, batch).await;
    }
    rig.sim.clear_calls();
    assert_eq!(read_all(&rig.target).await.len(), 600);
    expect(&rig, &[("aql", 2), ("aql_count", 1)]);
    rig.target.fingerprint(None).await.unwrap();
    assert_eq!(rig.sim.counters().requests, 1);
}
