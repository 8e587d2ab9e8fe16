//! Edges that full reads lack.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::super::testing::*;
use super::super::*;
use crate::model::{Key, Kind};
use crate::target::{FoundRecord, RecordId};

/// A pool that routes to machines, as they stand at the target since long before the window.
fn pool_with(machines: usize) -> World {
    let mut world = World::with_instances(machines);
    world.now = at(-9 * DAY);
    world.add("p-1", Kind::Pool);
    for number in 0..machines {
        world.relate("p-1", &machine(number));
    }
    let _ = world.sync();
    world.now = at(0);
    world
}

fn machine(number: usize) -> String {
    format!("i-{number:03}")
}

/// What the target shows, but for the edges from the pool to these machines.
fn shown(world: &World, gone: &[usize]) -> BTreeMap<Key, FoundRecord> {
    let gone: BTreeSet<Key> = gone.iter().map(|number| key(&machine(*number))).collect();
    let record = |(key, row): (&Key, &RecordBrief)| {
        let edges = world.state.edges.keys().filter(|edge| edge.from == *key && !gone.contains(&edge.to));
        let edges = edges.map(|edge| ((edge.relation, edge.to.clone()), None)).collect();
        let fields = row.fields.clone().unwrap_or_default();
        let record = FoundRecord {
            id: row.record.clone().unwrap_or(RecordId(String::new())),
            external_id: Some(key.clone()),
            estate: Some(world.ours.clone()),
            fields: fields.into_iter().filter_map(|(name, field)| Some((name, field.sent.or(field.echoed)?))).collect(),
            edges: Some(edges),
            ..stranger("", &[])
        };
        (key.clone(), record)
    };
    world.state.records.iter().map(record).collect()
}

/// A full read, a day later; gives the edges it lacked: whether each rests.
fn read(world: &mut World, found: &BTreeMap<Key, FoundRecord>) -> Vec<(String, bool)> {
    world.now += jiff::SignedDuration::from_hours(24);
    let absorbed = world.input(|input| absorb(input, found));
    world.state.records.extend(absorbed.rows.clone());
    world.state.edges.extend(absorbed.edges.clone());
    let name = |key: &Key| key.as_str().rsplit('/').next().unwrap_or_default().to_owned();
    absorbed.lost.iter().map(|lost| (name(&lost.edge.to), lost.rests)).collect()
}

fn read_without(world: &mut World, gone: &[usize]) -> Vec<(String, bool)> {
    let found = shown(world, gone);
    read(world, &found)
}

#[test]
fn an_edge_that_is_gone_is_made_again_even_when_that_comes_later() {
    let mut world = pool_with(3);
    assert_eq!(read_without(&mut world, &[]), []);
    assert!(world.plan().changes.is_empty());
    assert_eq!(read_without(&mut world, &[1]), [("i-001".to_owned(), false)]);
    // A run without a read still knows it, and one that reads again says it no more.
    for _ in 0..2 {
        let plan = world.plan();
        assert_eq!(words(&plan.changes), ["relate p-1>i-001"]);
        assert_eq!(plan.changes[0].reason.rule, "drift");
        assert!(plan.changes[0].reason.text.contains("does not show it any more"), "{}", plan.changes[0].reason.text);
        assert_eq!(read_without(&mut world, &[1]), []);
    }
    let _ = world.sync();
    assert!(world.plan().changes.is_empty());
    // Seen there in between, it is somebody's doing each time.
    assert_eq!(read_without(&mut world, &[]), []);
    assert_eq!(world.state.edges[&edge("p-1", "i-001")].missed, None);
    assert_eq!(read_without(&mut world, &[1]), [("i-001".to_owned(), false)]);
    assert_eq!(words(&world.sync().changes), ["relate p-1>i-001"]);
}

#[test]
fn an_edge_that_does_not_stay_is_not_rewritten_for_ever() {
    let mut world = pool_with(2);
    let mut writes = 0;
    for round in 0..6 {
        assert_eq!(read_without(&mut world, &[1]), [("i-001".to_owned(), round > 0)], "read {round}");
        writes += world.sync().changes.len();
    }
    assert_eq!(writes, 1);
    // Another value is tried, once more.
    world.estate.edges.get_mut(&edge("p-1", "i-001")).unwrap().attributes.insert("port".to_owned(), json!(443));
    let plan = world.sync();
    assert_eq!((words(&plan.changes), plan.changes[0].reason.rule.as_str()), (vec!["relate p-1>i-001".to_owned()], "relation"));
    let lost: Vec<bool> = (0..3)
        .map(|_| {
            let rests = read_without(&mut world, &[1])[0].1;
            let _ = world.sync();
            rests
        })
        .collect();
    assert_eq!(lost, [false, true, true]);
    // Where it stays after all, it is as any other.
    assert_eq!(read_without(&mut world, &[]), []);
    assert_eq!(read_without(&mut world, &[1]), [("i-001".to_owned(), false)]);
}

#[test]
fn an_edge_that_somebody_drew_again_is_not_sent() {
    let mut world = pool_with(2);
    let _ = read_without(&mut world, &[0]);
    assert_eq!(words(&world.plan().changes), ["relate p-1>i-000"]);
    assert_eq!(read_without(&mut world, &[]), []);
    assert!(world.plan().changes.is_empty());
}

#[test]
fn what_a_read_does_not_tell_of_stays_as_it_is() {
    let world = || pool_with(2);
    let untold = |found: &mut BTreeMap<Key, FoundRecord>, name: &str| found.get_mut(&key(name)).unwrap().edges = None;
    let retired = |found: &mut BTreeMap<Key, FoundRecord>, name: &str| found.get_mut(&key(name)).unwrap().retired = true;
    type Change<'a> = (&'a str, Box<dyn Fn(&mut World, &mut BTreeMap<Key, FoundRecord>) + 'a>);
    let cases: Vec<Change<'_>> = vec![
        ("the start tells of no edges", Box::new(|_, found| untold(found, "p-1"))),
        ("the end tells of no edges", Box::new(|_, found| untold(found, "i-000"))),
        ("the end is not shown", Box::new(|_, found| drop(found.remove(&key("i-000"))))),
        ("another record is shown", Box::new(|_, found| found.get_mut(&key("i-000")).unwrap().id = RecordId("other".to_owned()))),
        ("people retired the end", Box::new(|_, found| retired(found, "i-000"))),
        ("nobody wants it any more", Box::new(|world, _| drop(world.estate.edges.remove(&edge("p-1", "i-000"))))),
        (
            "nobody knows whether it was sent",
            Box::new(|world, _| {
                let row = world.state.edges.get_mut(&edge("p-1", "i-000")).unwrap();
                *row = row.doubted();
            }),
        ),
        ("the target cannot tell such edges from others", Box::new(|world, _| world.target.tells = false)),
    ];
    for (why, change) in cases {
        let mut world = world();
        let mut found = shown(&world, &[0]);
        change(&mut world, &mut found);
        let before = world.state.edges.clone();
        assert_eq!(read(&mut world, &found), [], "{why}");
        assert_eq!(world.state.edges, before, "{why}");
    }
}

#[test]
fn many_edges_that_are_gone_are_held_and_few_are_not() {
    let mut world = pool_with(60);
    let nine: Vec<usize> = (0..9).collect();
    assert_eq!(read_without(&mut world, &nine).len(), 9);
    assert_eq!(world.sync().changes.len(), 9);
    let _ = read_without(&mut world, &[]);

    // A third of them: somebody emptied a table, or we look at the wrong one.
    let twenty: Vec<usize> = (0..20).collect();
    assert_eq!(read_without(&mut world, &twenty).len(), 20);
    let plan = world.plan();
    assert!(plan.changes.is_empty(), "{:?}", words(&plan.changes));
    assert_eq!((plan.holds.len(), plan.holds[0].guardrails.as_slice()), (1, [Guardrail::BlastRadius].as_slice()));
    assert!(plan.holds[0].text.starts_with("20 of 60 edges would be made again within 24 h"), "{}", plan.holds[0].text);
    // What people let through is sent, and counts for nothing.
    let hold = plan.holds[0].clone();
    world.say(&hold, VerdictKind::Approved);
    assert_eq!(world.sync().changes.len(), 20);
    assert!(world.plan().changes.is_empty());
}

#[test]
fn an_edge_of_a_record_made_again_is_no_drift() {
    let mut world = pool_with(1);
    let _ = read_without(&mut world, &[0]);
    let row = gone(&world.state.records[&key("i-000")]);
    world.state.records.insert(key("i-000"), row);
    let plan = world.plan();
    assert_eq!(words(&plan.changes), ["create i-000", "relate p-1>i-000"]);
    assert!(!plan.changes[1].recreates && plan.changes[1].reason.rule == "relation", "{:?}", plan.changes[1]);
}

#[test]
fn a_recovery_binds_edges_whose_attributes_the_target_does_not_keep() {
    let mut world = pool_with(2);
    world.estate.edges.get_mut(&edge("p-1", "i-000")).unwrap().attributes.insert("port".to_owned(), json!(443));
    let found = shown(&world, &[1]);
    // The ledger is new.
    world.state.edges.clear();
    let rows = world.input(|input| recovered_edges(input, &found));
    assert_eq!(rows.keys().cloned().collect::<Vec<_>>(), [edge("p-1", "i-000")]);
    world.state.edges.extend(rows.into_iter().filter_map(|(id, row)| Some((id, row?))));
    assert_eq!(words(&world.plan().changes), ["relate p-1>i-001"]);
    let _ = world.sync();

    // Of what cannot be told from others nobody knows: it is sent again.
    world.target.tells = false;
    let found = shown(&world, &[0, 1]);
    let rows = world.input(|input| recovered_edges(input, &found));
    world.state.edges.extend(rows.into_iter().filter_map(|(id, row)| Some((id, row?))));
    assert_eq!(words(&world.plan().changes), ["relate p-1>i-000", "relate p-1>i-001"]);
}
