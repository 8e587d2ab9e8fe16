//! Edges as relationships.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::model::{Attributes, EdgeId, Kind, RelationType};
use dewpoint_core::target::{End, Operation, RecordId, Side, Target as _, TargetError, Write};
use dewpoint_core::testing::contract::{create, estate, key, ours, relate, send, send_as, unrelate, update};
use dewpoint_halo_sim::RelationshipWrites;
use serde_json::json;

use super::rig::{Rig, id, made, pairs, tenant};

/// An edge of another type between two of the suite's CIs.
fn edge(relation: RelationType, numbers: (usize, usize), records: &[RecordId]) -> Write {
    let (from, to) = (key(numbers.0), key(numbers.1));
    let end = |number: usize| End::Stands(ours(number, &records[number]));
    let operation = Operation::Relate {
        edge: EdgeId { from: from.clone(), relation, to },
        from: end(numbers.0),
        to: end(numbers.1),
        to_kind: Kind::Instance,
        attributes: Attributes::new(),
    };
    Write { key: from, operation, ..relate(numbers, &records[numbers.0], &records[numbers.1], Attributes::new()) }
}

fn removed(write: Write) -> Write {
    let addressed = |end: End| end.standing().cloned().unwrap();
    let operation = match write.operation {
        Operation::Relate { edge, from, to, to_kind, .. } => {
            Operation::Unrelate { edge, from: addressed(from), to: addressed(to), to_kind }
        }
        other => other,
    };
    Write { operation, ..write }
}

#[tokio::test]
async fn every_edge_has_its_parent_and_its_name() {
    let rig = Rig::new().await;
    let records = made(&rig, 2).await;
    let (from, to) = (id(&records[0]), id(&records[1]));
    for (relation, parent, child, name) in [
        (RelationType::RoutesTo, from, to, "Distributes to"),
        (RelationType::ProtectedBy, to, from, "Protects"),
        (RelationType::MemberOf, to, from, "Contains"),
        (RelationType::AttachedTo, to, from, "Hosts"),
        (RelationType::LocatedIn, to, from, "Contains"),
        (RelationType::DependsOn, from, to, "Depends on"),
    ] {
        let write = edge(relation, (0, 1), &records);
        send(&rig.target, 1, std::slice::from_ref(&write)).await;
        let shown = rig.sim.relationships();
        assert_eq!(shown.len(), 1, "{relation}");
        let named = rig.sim.edit(|tenant| tenant.relationship_named(name)).unwrap();
        assert_eq!((shown[0].parent, shown[0].child, shown[0].relationship_id), (parent, child, named), "{relation}");
        let holder = if rig.target.keeper(relation, Kind::Instance, Kind::Instance) == Some(Side::From) { from } else { to };
        assert_eq!(holder, child, "the child holds it");
        send(&rig.target, 2, &[removed(write)]).await;
        assert!(rig.sim.relationships().is_empty(), "{relation}");
    }
    assert!(rig.sim.unknown_properties().is_empty());
}

#[tokio::test]
async fn a_pair_stands_as_long_as_one_of_its_edges() {
    let rig = Rig::new().await;
    let records = made(&rig, 2).await;
    let both = [edge(RelationType::ProtectedBy, (0, 1), &records), edge(RelationType::LocatedIn, (0, 1), &records)];
    send(&rig.target, 1, &both).await;
    assert_eq!(rig.calls("asset_post"), 1);
    let [first, second] = both.map(removed);
    send(&rig.target, 2, &[first]).await;
    assert_eq!(pairs(&rig), BTreeSet::from([(id(&records[1]), id(&records[0]))]));
    send(&rig.target, 3, &[second]).await;
    assert!(pairs(&rig).is_empty());
}

#[tokio::test]
async fn edges_of_many_records_are_one_request() {
    let rig = Rig::new().await;
    let records = made(&rig, 50).await;
    let batch: Vec<Write> = (1..50)
        .flat_map(|number| [(0, number), (number - 1, number)])
        .map(|numbers| relate(numbers, &records[numbers.0], &records[numbers.1], Attributes::new()))
        .collect();
    send(&rig.target, 1, &batch).await;
    assert_eq!(rig.calls("asset_post"), 1);
    assert_eq!(rig.calls("asset_list"), 1, "parents that this process made are known");
    assert_eq!(rig.calls("asset_get"), 0);
    assert_eq!(pairs(&rig).len(), 97, "the first is above all, and the first two pairs are one");
}

#[tokio::test]
async fn two_writes_for_each_batch_are_enough() {
    let rig = Rig::new().await;
    let count = 120;
    let batch: Vec<Write> = (0..count).map(|number| create(&rig.target, number)).collect();
    let mut records = Vec::new();
    for part in batch.chunks(50) {
        records.extend(send(&rig.target, 0, part).await);
    }
    // As the engine sorts them: by the record that holds them.
    let edges: Vec<Write> = (1..count).map(|number| relate((0, number), &records[0], &records[number], Attributes::new())).collect();
    for part in edges.chunks(50) {
        send(&rig.target, 1, part).await;
    }
    assert_eq!((rig.calls("asset_post"), pairs(&rig).len()), (6, 119));
}

#[tokio::test]
async fn what_people_related_stays() {
    let rig = Rig::new().await;
    let records = made(&rig, 3).await;
    let ids: Vec<i64> = records.iter().map(id).collect();
    send(&rig.target, 1, &[relate((0, 1), &records[0], &records[1], Attributes::new())]).await;
    rig.sim.edit(|tenant| {
        tenant.relate(ids[2], ids[1], 1);
        tenant.relate(ids[1], ids[2], 1);
    });
    send(&rig.target, 2, &[unrelate((2, 1), &records[2], &records[1])]).await;
    assert_eq!(pairs(&rig).len(), 3, "it was never ours to remove");
    send(&rig.target, 3, &[update(&rig.target, 1, &records[1], Some(true), &[])]).await;
    assert_eq!(pairs(&rig), BTreeSet::from([(ids[1], ids[2]), (ids[2], ids[1])]));
}

#[tokio::test]
async fn retirement_takes_edges_away_on_both_sides() {
    let mut rig = Rig::new().await;
    let records = made(&rig, 4).await;
    let edges = [(0, 1), (1, 2), (1, 3)].map(|numbers| relate(numbers, &records[numbers.0], &records[numbers.1], Attributes::new()));
    send(&rig.target, 1, &edges).await;
    assert_eq!(pairs(&rig).len(), 3);
    // Another process knows nothing but what is noted on the assets.
    rig.anew();
    let before: BTreeMap<i64, String> =
        records.iter().map(|record| (id(record), rig.sim.edit(|tenant| tenant.value(id(record), "Size").to_owned()))).collect();
    send(&rig.target, 2, &[update(&rig.target, 1, &records[1], Some(true), &[])]).await;
    assert!(pairs(&rig).is_empty());
    for (id, size) in before {
        let (note, found) = rig.sim.edit(|tenant| (tenant.value(id, "Dewpoint Data").to_owned(), tenant.value(id, "Size").to_owned()));
        assert_eq!((note.as_str(), found), (r#"{"kind":"instance"}"#, size), "nothing is noted of it any more, and all else stays");
    }
}

#[tokio::test]
async fn what_is_related_to_itself_is_left_out() {
    let rig = Rig::new().await;
    let records = made(&rig, 1).await;
    let write = edge(RelationType::Allows, (0, 0), &records);
    send(&rig.target, 1, std::slice::from_ref(&write)).await;
    send(&rig.target, 2, &[removed(write)]).await;
    assert_eq!((rig.calls("asset_post"), pairs(&rig).len()), (0, 0));
}

#[tokio::test]
async fn an_old_version_keeps_assets_without_relationships() {
    let mut rig = Rig::over(tenant().with_relationships(RelationshipWrites::Ignored), |_| {}).await;
    let records = made(&rig, 2).await;
    let write = relate((0, 1), &records[0], &records[1], Attributes::new());
    let answer = send_as(&rig.target, &estate("ours"), 1, &[write]).await.unwrap().remove(0);
    assert!(matches!(&answer, Err(TargetError::Rejected { text, .. }) if text.contains("relationships")), "{answer:?}");
    assert_eq!(rig.calls("asset_post"), 0);
    rig.anew();
    let findings = rig.target.doctor().await;
    assert!(findings.iter().any(|finding| finding.check == "relationships" && finding.mend.is_some()), "{findings:#?}");
    assert!(rig.sim.unknown_properties().is_empty());
}

#[tokio::test]
async fn a_relationship_that_is_not_allowed_stands_alone() {
    let rig = Rig::new().await;
    let records = made(&rig, 2).await;
    rig.sim.edit(|tenant| {
        let machine = tenant.type_named("Virtual Machine").unwrap();
        tenant.restrictions.push(dewpoint_halo_sim::Restriction { upstream_type: machine, downstream_type: 120, relationship_id: 0 });
    });
    let write = relate((0, 1), &records[0], &records[1], Attributes::new());
    let answer = send_as(&rig.target, &estate("ours"), 1, &[write]).await.unwrap().remove(0);
    assert!(matches!(&answer, Err(TargetError::Rejected { text, .. }) if text.contains("not allowed")), "{answer:?}");
}

#[tokio::test]
async fn too_many_parents_are_refused_by_themselves() {
    let rig = Rig::new().await;
    let records = made(&rig, 2).await;
    // As many as a field has room for.
    let parents: Vec<i64> = (1_000_000..1_000_480).collect();
    let note = json!({ "kind": "instance", "parents": { "routes_to": parents } }).to_string();
    rig.sim.edit(|tenant| tenant.set(id(&records[1]), "Dewpoint Data", &note));
    let mut batch = vec![relate((0, 1), &records[0], &records[1], Attributes::new())];
    let answers = send_as(&rig.target, &estate("ours"), 1, &batch).await.unwrap();
    assert!(answers[0].is_ok(), "{answers:?}");
    let parents: Vec<i64> = (1_000_000..1_000_495).collect();
    let note = json!({ "kind": "instance", "parents": { "routes_to": parents } }).to_string();
    rig.sim.edit(|tenant| tenant.set(id(&records[1]), "Dewpoint Data", &note));
    batch.push(relate((1, 0), &records[1], &records[0], Attributes::new()));
    let answers = send_as(&rig.target, &estate("ours"), 2, &batch).await.unwrap();
    assert!(answers[0].is_err() && answers[1].is_ok(), "{answers:?}");
}
