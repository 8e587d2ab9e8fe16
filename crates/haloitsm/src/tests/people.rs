//! What people keep on assets of theirs and ours stays theirs.

use std::collections::BTreeSet;

use dewpoint_core::model::{Attributes, EdgeId, Kind, RelationType};
use dewpoint_core::target::{Addressed, End, Operation, RecordId, Write};
use dewpoint_core::testing::contract::{create, find, key, native_id, read_all, relate, send, take_over, unrelate, update};
use dewpoint_halo_sim::{Fault, Mishap};
use serde_json::json;

use super::rig::{Rig, answer, copied, id, made, pairs, set};
use crate::tag::tag;

fn stranger(rig: &Rig, number: usize, tag: &str) -> RecordId {
    let values = [("Name", "by hand"), ("Native ID", &native_id(number))];
    RecordId(rig.sim.edit(|tenant| tenant.insert(tenant.type_named("Virtual Machine").unwrap(), tag, &values)).to_string())
}

fn tag_of(rig: &Rig, record: &RecordId) -> String {
    rig.sim.edit(|tenant| tenant.get(id(record)).unwrap().inventory_number.clone())
}

fn put_tag(rig: &Rig, record: &RecordId, tag: &str) {
    rig.sim.edit(|tenant| tenant.change(id(record), |asset| tag.clone_into(&mut asset.inventory_number)));
}

fn size(rig: &Rig, number: usize, record: &RecordId, size: &str) -> Write {
    update(&rig.target, number, record, None, &[("Size", json!(size))])
}

#[tokio::test]
async fn an_asset_that_is_taken_over_keeps_its_tag() {
    let mut rig = Rig::new().await;
    made(&rig, 1).await;
    let record = stranger(&rig, 1, "PC-7");
    for _ in 0..2 {
        send(&rig.target, 1, &[take_over(&rig.target, 1, &record)]).await;
        rig.anew();
        assert_eq!(tag_of(&rig, &record), "PC-7");
    }
    // It is known by its key from then on, with its copies told from it.
    assert_eq!(send(&rig.target, 2, &[create(&rig.target, 1)]).await, std::slice::from_ref(&record));
    let copy = RecordId(copied(&rig, &record, "PC-8").to_string());
    rig.anew();
    let found: Vec<RecordId> = find(&rig.target, 1).await.into_iter().filter(|one| one.estate.is_some()).map(|one| one.id).collect();
    assert_eq!((found, read_all(&rig.target).await.len()), (vec![record.clone()], 2));
    let refused = answer(&rig, 3, size(&rig, 1, &copy, "x")).await.unwrap_err();
    assert!(refused.to_string().contains("copy"), "{refused}");
    // People give it another one, whatever became of the note.
    for lost in [false, true] {
        put_tag(&rig, &record, if lost { "PC-10" } else { "PC-9" });
        if lost {
            set(&rig, &record, "Dewpoint Data", "");
        }
        rig.anew();
        send(&rig.target, 4, &[size(&rig, 1, &record, if lost { "y" } else { "x" })]).await;
        rig.anew();
        send(&rig.target, 5, &[size(&rig, 1, &record, "z")]).await;
        assert_eq!(tag_of(&rig, &record), if lost { "PC-10" } else { "PC-9" });
    }
    put_tag(&rig, &record, "");
    rig.anew();
    send(&rig.target, 6, &[size(&rig, 1, &record, "x")]).await;
    assert_eq!(tag_of(&rig, &record), tag(&key(1)), "none of theirs is in its way");
}

#[tokio::test]
async fn many_that_were_taken_over_are_found_before_they_are_made_again() {
    let mut rig = Rig::new().await;
    let records: Vec<RecordId> = (0..25).map(|number| stranger(&rig, number, &format!("PC-{number}"))).collect();
    let taken: Vec<Write> = records.iter().enumerate().map(|(number, record)| take_over(&rig.target, number, record)).collect();
    send(&rig.target, 1, &taken).await;
    rig.anew();
    let again: Vec<Write> = (0..25).map(|number| create(&rig.target, number)).collect();
    assert_eq!(send(&rig.target, 2, &again).await, records);
    assert_eq!(rig.sim.assets().len(), 25);
}

#[tokio::test]
async fn nothing_is_drawn_or_removed_between_assets_of_people() {
    let rig = Rig::new().await;
    made(&rig, 1).await;
    let records = [1, 2, 3].map(|number| stranger(&rig, number, ""));
    rig.sim.edit(|tenant| tenant.relate(id(&records[0]), id(&records[1]), 1));
    let before = rig.sim.relationships();
    let theirs = |record: &RecordId| Addressed { record: record.clone(), carries: None };
    for to in [1, 2] {
        let edge = EdgeId { from: key(1), relation: RelationType::RoutesTo, to: key(1 + to) };
        let ends = (theirs(&records[0]), theirs(&records[to]));
        let (from, to) = (End::Stands(ends.0.clone()), End::Stands(ends.1.clone()));
        let add = Operation::Relate { edge: edge.clone(), from, to, to_kind: Kind::Instance, attributes: Attributes::new() };
        let remove = Operation::Unrelate { edge, from: ends.0, to: ends.1, to_kind: Kind::Instance };
        for operation in [add, remove] {
            let done = answer(&rig, 1, Write { operation, ..create(&rig.target, 1) }).await.unwrap();
            assert!(done.left["relationships"].contains("neither"), "{done:?}");
            assert_eq!(rig.sim.relationships(), before);
        }
    }
    assert_eq!(rig.calls("asset_post"), 0);
}

#[tokio::test]
async fn copies_below_what_is_retired_stay_as_they_are() {
    let mut rig = Rig::new().await;
    let records = made(&rig, 2).await;
    send(&rig.target, 1, &[relate((0, 1), &records[0], &records[1], Attributes::new())]).await;
    let copy = copied(&rig, &records[1], "PC-8");
    rig.sim.edit(|tenant| tenant.relate(id(&records[0]), copy, 1));
    let before = rig.sim.edit(|tenant| tenant.get(copy).unwrap().values.clone());
    rig.anew();
    send(&rig.target, 2, &[update(&rig.target, 0, &records[0], Some(true), &[])]).await;
    assert_eq!(pairs(&rig), BTreeSet::from([(id(&records[0]), copy)]), "ours goes, and people's stays");
    assert_eq!(rig.sim.edit(|tenant| tenant.get(copy).unwrap().values.clone()), before);
}

#[tokio::test]
async fn edges_go_though_their_note_was_emptied() {
    let mut rig = Rig::new().await;
    let records = made(&rig, 3).await;
    let edges = [0, 2].map(|from| relate((from, 1), &records[from], &records[1], Attributes::new()));
    send(&rig.target, 1, &edges[..1]).await;
    set(&rig, &records[1], "Dewpoint Data", "");
    // Something else is written, which notes anew.
    rig.anew();
    send(&rig.target, 2, &[size(&rig, 1, &records[1], "x")]).await;
    rig.anew();
    send(&rig.target, 3, &edges[1..]).await;
    rig.anew();
    send(&rig.target, 4, &[unrelate((0, 1), &records[0], &records[1])]).await;
    assert_eq!(pairs(&rig), BTreeSet::from([(id(&records[2]), id(&records[1]))]), "what the ledger knows to be delivered is ours");
    // What stood there when it was noted again may be people's.
    set(&rig, &records[1], "Dewpoint Data", "");
    rig.anew();
    send(&rig.target, 5, &edges[1..]).await;
    let done = answer(&rig, 6, unrelate((2, 1), &records[2], &records[1])).await.unwrap();
    assert!(done.left["relationships"].contains("emptied"), "{done:?}");
    assert_eq!(pairs(&rig).len(), 1, "told, not removed");
}

#[tokio::test]
async fn a_retirement_tells_of_what_it_cannot_know() {
    for end in [0, 1] {
        let mut rig = Rig::new().await;
        let records = made(&rig, 2).await;
        send(&rig.target, 1, &[relate((0, 1), &records[0], &records[1], Attributes::new())]).await;
        set(&rig, &records[1], "Dewpoint Data", "");
        rig.anew();
        send(&rig.target, 2, &[size(&rig, 1, &records[1], "x")]).await;
        rig.anew();
        let done = answer(&rig, 3, update(&rig.target, end, &records[end], Some(true), &[])).await.unwrap();
        assert!(done.left.contains_key("relationships"), "{done:?}");
        assert_eq!(pairs(&rig).len(), 1);
        // Nothing is left to be told where nothing stays.
        rig.sim.edit(|tenant| tenant.unrelate(id(&records[0]), id(&records[1])));
        rig.anew();
        let done = answer(&rig, 4, update(&rig.target, end, &records[end], Some(true), &[("Size", json!("y"))])).await.unwrap();
        assert!(done.left.is_empty(), "{done:?}");
    }
}

/// A tag of people's that is found by a search says nothing of tags that are sent.
#[tokio::test]
async fn a_tag_that_was_kept_proves_no_search() {
    let rig = Rig::with(|settings| settings.ignored_members = ["inventory_number".to_owned()].into()).await;
    let record = stranger(&rig, 1, "PC-7");
    send(&rig.target, 1, &[take_over(&rig.target, 1, &record)]).await;
    rig.sim.faults(vec![Fault::new(Mishap::Reset).operation("asset_post").after_commit().times(1)]);
    answer(&rig, 2, create(&rig.target, 0)).await.unwrap_err();
    answer(&rig, 2, create(&rig.target, 0)).await.unwrap();
    assert_eq!(rig.sim.assets().len(), 2);
}

/// What was relabelled and its copy are not taken for copies of each other.
#[tokio::test]
async fn an_original_without_its_tag_is_no_copy_of_its_copy() {
    let mut rig = Rig::with(|settings| settings.ignored_members = ["inventory_number".to_owned()].into()).await;
    let record = send(&rig.target, 0, &[create(&rig.target, 0)]).await.remove(0);
    copied(&rig, &record, "PC-8");
    rig.anew();
    answer(&rig, 1, size(&rig, 0, &record, "x")).await.unwrap();
}

#[tokio::test]
async fn many_that_were_relabelled_are_looked_for_at_once() {
    let mut rig = Rig::new().await;
    let records = made(&rig, 31).await;
    let edges: Vec<Write> = (1..31).map(|number| relate((0, number), &records[0], &records[number], Attributes::new())).collect();
    send(&rig.target, 1, &edges).await;
    records.iter().skip(1).for_each(|record| put_tag(&rig, record, &format!("PC-{}", record.0)));
    rig.anew();
    rig.sim.clear_calls();
    send(&rig.target, 2, &[update(&rig.target, 0, &records[0], Some(true), &[])]).await;
    assert!(pairs(&rig).is_empty());
    assert!(rig.calls("asset_list") <= 20, "{:?}", rig.sim.counters().by_operation);
}
