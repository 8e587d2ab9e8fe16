use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::testing::*;
use super::super::*;
use crate::model::{Key, Kind};
use crate::target::{Authority, FoundRecord, RecordId};

use DriftAction::{Correct, None as Nothing, Report, Rest, WriteOnceMore};

/// `sent` is what we wrote, then what reads showed one after the other; a write clears what was shown.
#[track_caller]
fn check(authority: Authority, sent: &str, reads: &[(&str, DriftAction)]) {
    let mut field = FieldState::delivered(json!(sent), authority != Authority::Owned);
    for (number, (shown, want)) in reads.iter().enumerate() {
        let action = drift(&field, &json!(shown), authority);
        assert_eq!(action, *want, "{authority}: read {number} showed {shown}");
        field = after_read(&field, &json!(shown), action);
        if matches!(action, WriteOnceMore | Correct) {
            field = FieldState { rewritten: field.rewritten.clone(), ..FieldState::delivered(json!(sent), field.people) };
        }
    }
}

#[test]
fn fields_by_authority() {
    use Authority::{IfEmpty, Initial, Owned, Transition};
    check(Owned, "a", &[("a", Nothing), ("a", Nothing), ("x", Correct), ("a", Nothing)]);
    // A target with its own shape: written once more, then left; what people change in it is still drift.
    check(Owned, "a", &[("A", WriteOnceMore), ("A", Rest), ("A", Nothing), ("x", Correct), ("A", Rest), ("A", Nothing)]);
    check(Owned, "a", &[("A", WriteOnceMore), ("a", Nothing), ("A", Correct)]);
    // Only the same form again is the target's own; another one is someone's change.
    check(Owned, "a", &[("x", WriteOnceMore), ("A", WriteOnceMore), ("A", Rest), ("A", Nothing)]);
    check(Initial, "a", &[("x", Nothing), ("y", Nothing)]);
    check(Transition, "a", &[("x", Nothing)]);
    check(Authority::Report, "a", &[("a", Nothing), ("x", Report), ("x", Report), ("a", Nothing)]);
    check(IfEmpty, "a", &[("a", Nothing), ("x", Nothing), ("", Correct), ("", WriteOnceMore), ("", Rest), ("", Nothing)]);
}

fn shown(world: &World, change: impl Fn(&mut BTreeMap<String, Value>)) -> BTreeMap<Key, FoundRecord> {
    let record = |(key, row): (&Key, &RecordBrief)| {
        let fields = row.fields.clone().unwrap_or_default();
        let mut fields = fields.into_iter().filter_map(|(name, field)| Some((name, field.sent.or(field.echoed)?))).collect();
        change(&mut fields);
        let record = FoundRecord {
            id: row.record.clone().unwrap_or(RecordId(String::new())),
            external_id: Some(key.clone()),
            estate: Some(world.ours.clone()),
            ..stranger("", &[])
        };
        (key.clone(), FoundRecord { fields, ..record })
    };
    world.state.records.iter().map(record).collect()
}

fn read(world: &mut World, change: impl Fn(&mut BTreeMap<String, Value>)) -> Absorbed {
    let found = shown(world, change);
    let absorbed = world.input(|input| absorb(input, &found));
    world.state.records.extend(absorbed.rows.clone());
    absorbed
}

#[test]
fn drift_is_corrected_even_when_the_correction_comes_later() {
    let mut world = World::with_instances(1);
    let absorbed = read(&mut world, |_| {});
    assert_eq!((absorbed.drifted.len(), absorbed.rows.len()), (0, 1), "the first read tells how the target shows it");
    assert!(world.plan().changes.is_empty());
    let absorbed = read(&mut world, |fields| {
        fields.insert("name".to_owned(), json!("by hand"));
    });
    assert_eq!(absorbed.drifted[0].action, Correct);
    // A run without a read still knows it.
    for _ in 0..2 {
        let plan = world.plan();
        assert_eq!(words(&plan.changes), ["update i-000"]);
        assert_eq!(plan.changes[0].fields["name"].from, json!("by hand"));
        assert_eq!(plan.changes[0].reason.rule, "drift");
    }
    world.sync();
    assert!(world.plan().changes.is_empty());
}

#[test]
fn a_reshaping_target_is_not_rewritten_for_ever() {
    let mut world = World::with_instances(1);
    let mut writes = 0;
    for _ in 0..6 {
        let found = |fields: &mut BTreeMap<String, Value>| {
            fields.insert("name".to_owned(), json!("I-000"));
        };
        let _ = read(&mut world, found);
        writes += world.sync().changes.len();
    }
    assert_eq!(writes, 1);
    assert!(world.row("i-000").fields.as_ref().unwrap()["name"].rests);
    world.rename("i-000", "new");
    assert_eq!(words(&world.sync().changes), ["update i-000"]);
    assert!(!world.row("i-000").fields.as_ref().unwrap()["name"].rests);
}

#[test]
fn records_not_shown_are_looked_up_and_made_again_under_guardrail_3() {
    let mut world = World::with_instances(30);
    world.add("p-1", Kind::Pool);
    world.relate("p-1", "i-000");
    world.sync();
    let mut found = shown(&world, |_| {});
    found.retain(|key, _| key.as_str() > "aws:arn:aws:ec2:eu-west-1:1:thing/i-014");
    let absorbed = world.input(|input| absorb(input, &found));
    assert_eq!(absorbed.unseen.len(), 15);
    let all = absorbed.unseen.clone();
    // One gone: made again, with its edges.
    let first = all.first().unwrap();
    world.state.records.insert(first.clone(), gone(&world.state.records[first]));
    let plan = world.plan();
    assert_eq!(words(&plan.changes), ["create i-000", "relate p-1>i-000"]);
    assert!(plan.changes[0].recreates);
    // Fifteen gone: someone emptied the CMDB, or we look at the wrong one.
    for key in &all {
        world.state.records.insert(key.clone(), gone(&world.state.records[key]));
    }
    let plan = world.plan();
    assert!(plan.changes.is_empty(), "{:?}", words(&plan.changes));
    assert_eq!(plan.holds[0].guardrails, [Guardrail::BlastRadius]);
    assert_eq!(plan.holds[0].changes.len(), 16, "its edge is held with it");
}

#[test]
fn an_own_record_that_the_ledger_does_not_know_is_bound() {
    let mut world = World::with_instances(2);
    let found = shown(&world, |_| {});
    world.state.records.remove(&key("i-001"));
    // Recovery binds it and writes what differs.
    let mut record = found[&key("i-001")].clone();
    record.fields.insert("name".to_owned(), json!("old"));
    record.fields.insert("status".to_owned(), json!("people's"));
    let row = world.input(|input| recovered(input, &key("i-001"), &record)).unwrap();
    world.state.records.insert(key("i-001"), row);
    let plan = world.sync();
    assert_eq!(words(&plan.changes), ["update i-001"]);
    assert_eq!(plan.changes[0].fields.keys().collect::<Vec<_>>(), ["name"]);
    assert!(world.plan().changes.is_empty());
}

#[test]
fn edges_that_a_recovery_is_not_told_of_are_sent_again() {
    let mut world = World::with_instances(1);
    world.add("p-1", Kind::Pool);
    world.relate("p-1", "i-000");
    world.sync();
    let found = shown(&world, |_| {});
    assert!(found.values().all(|record| record.edges.is_none()), "this target cannot list them");
    let edges = world.input(|input| recovered_edges(input, &found));
    assert_eq!(edges.len(), 1);
    world.state.edges.extend(edges.into_iter().filter_map(|(id, row)| Some((id, row?))));
    assert_eq!(words(&world.sync().changes), ["relate p-1>i-000"]);
    assert!(world.plan().changes.is_empty());
}
