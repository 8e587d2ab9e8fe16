use std::collections::BTreeSet;

use serde_json::json;

use super::super::testing::*;
use super::super::*;
use crate::estate::{Disposition, End, EndCause, Fence, KnownEdge, Stage};
use crate::model::{Attributes, EdgeId, Key, Kind, RelationType, Scope};
use crate::target::Purge;

fn names(range: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    range.map(|number| format!("i-{number:03}"))
}

/// Confirmed absent: the look-up found them gone.
fn vanish(world: &mut World, range: std::ops::Range<usize>) {
    for name in names(range) {
        world.propose(&name);
        world.confirm(&name);
    }
}

fn held(plan: &Guarded) -> usize {
    plan.holds.iter().map(|hold| hold.changes.len()).sum()
}

fn scope(world: &mut World) -> Scope {
    world.known("i-000").resource.scope()
}

#[test]
fn sudden_emptiness_holds_what_rests_on_absence() {
    let mut world = World::with_instances(8);
    vanish(&mut world, 0..5);
    for name in names(5..7) {
        world.terminate(&name);
    }
    world.propose("i-007");
    assert_eq!(world.unguarded().len(), 8, "without the guardrail everything in the scope is retired");
    assert_eq!(world.plan().changes.len(), 7, "too few for guardrail 3");
    let here = scope(&mut world);
    world.empty(&here);
    let plan = world.plan();
    assert_eq!(words(&plan.changes), ["retire i-005", "retire i-006"], "what the provider says has ended is no absence");
    assert!(plan.look_up.is_empty());
    assert_eq!((plan.holds.len(), held(&plan)), (1, 6));
    assert_eq!(plan.holds[0].guardrails, [Guardrail::SuddenEmptiness]);
    let text = format!(
        "scope aws 1 eu-west-1 instance lists nothing any more; 6 records would be retired for absence; to go ahead: `dewpoint holds approve {}`",
        plan.holds[0].id
    );
    assert_eq!(plan.holds[0].text, text);
    // A listing over all regions names the scope in its own way.
    let everywhere = Scope { region: crate::model::Region::any(), ..here };
    world.estate.scopes.clear();
    world.empty(&everywhere);
    assert_eq!(held(&world.plan()), 6);
    world.say(&plan.holds[0], VerdictKind::Approved);
    let plan = world.plan();
    assert_eq!((plan.changes.len(), plan.look_up.len(), held(&plan)), (7, 1, 0));
}

#[test]
fn a_named_fleet_waits_with_the_scope_of_its_last_members() {
    let mut world = World::with_instances(6);
    world.include.kinds.insert(Kind::ScalingGroup);
    let here = scope(&mut world);
    world.add("web", Kind::ScalingGroup);
    let mut fleet = world.estate.resources.remove(&key("web")).unwrap();
    let name = Key::fleet(here.provider, &here.account, &here.region, "web").unwrap();
    let resource = std::sync::Arc::make_mut(&mut fleet.resource);
    (resource.key, resource.derived) = (name.clone(), true);
    world.estate.resources.insert(name.clone(), fleet);
    let _ = world.sync();
    let reason = Reason { rule: "retire_after".to_owned(), text: "absent".to_owned() };
    world.proposed.insert(name.clone(), reason);
    let member_of = EdgeId { from: key("i-000"), relation: RelationType::MemberOf, to: name.clone() };
    let edge = KnownEdge { attributes: Attributes::new(), derived: true, extra: serde_json::Map::new(), fence: Fence(1) };
    world.estate.edges.insert(member_of, edge);
    assert_eq!(world.plan().look_up, BTreeSet::from([name]));
    world.empty(&here);
    let plan = world.plan();
    assert_eq!((plan.look_up.len(), held(&plan)), (0, 1));
    assert_eq!(plan.holds[0].guardrails, [Guardrail::SuddenEmptiness]);
}

#[test]
fn what_an_orphaned_scope_holds_waits_for_people() {
    let mut world = World::with_instances(40);
    world.propose("i-000");
    assert_eq!(world.plan().look_up.len(), 1, "too few for any other guardrail");
    world.disowned = [scope(&mut world)].into();
    let plan = world.plan();
    assert_eq!((plan.look_up.len(), held(&plan)), (0, 1));
    assert_eq!(plan.holds[0].guardrails, [Guardrail::Receipts]);
    // Approved elsewhere: it has ended, and this target still waits for its own approval, also when nobody calls the scope orphaned.
    world.proposed.clear();
    world.disowned.clear();
    let known = world.known("i-000");
    known.stage = Stage::Retired;
    known.end = Some(End { at: at(0), cause: EndCause::Disowned });
    let again = world.plan();
    assert_eq!((again.changes.len(), held(&again), &again.holds[0].id), (0, 1, &plan.holds[0].id));
    assert_eq!(again.holds[0].guardrails, [Guardrail::Receipts]);
    world.say(&plan.holds[0], VerdictKind::Approved);
    assert_eq!(words(&world.plan().changes), ["retire i-000"]);
}

#[test]
fn an_approval_of_what_a_scope_held_stands_when_it_has_ended() {
    let mut world = World::with_instances(3);
    // Seen since it was delivered, and absent from no listing: no source covers it any more.
    let reason = Reason { rule: "scopes retire".to_owned(), text: "asked for".to_owned() };
    world.known("i-000").last_seen = at(-3600);
    world.proposed.insert(key("i-000"), reason);
    world.disowned = [scope(&mut world)].into();
    let plan = world.plan();
    assert_eq!(held(&plan), 1);
    world.say(&plan.holds[0], VerdictKind::Approved);
    assert_eq!(world.plan().look_up, [key("i-000")].into());
    world.proposed.clear();
    let known = world.known("i-000");
    (known.stage, known.missing, known.end) = (Stage::Retired, 1, Some(End { at: at(0), cause: EndCause::Disowned }));
    let plan = world.plan();
    assert_eq!((words(&plan.changes), held(&plan)), (vec!["retire i-000".to_owned()], 0));
}

/// A service and a fleet lose their last members, one recorded and one folded, with a scope that people gave up.
#[test]
fn what_is_derived_waits_where_its_members_went_by_asking() {
    let mut world = World::with_instances(2);
    world.include.kinds.extend([Kind::Service, Kind::ScalingGroup]);
    world.now = at(-10 * DAY);
    for (name, kind) in [("shop", Kind::Service), ("blue", Kind::ScalingGroup)] {
        let known = world.add(name, kind);
        std::sync::Arc::make_mut(&mut known.resource).derived = true;
    }
    // Keys tell fleets and services apart.
    let fleet = Key::fleet(crate::model::Provider::Aws, &"1".parse().unwrap(), &"eu-west-1".parse().unwrap(), "blue").unwrap();
    let service = Key::service("shop").unwrap();
    for (name, to) in [("blue", &fleet), ("shop", &service)] {
        let mut known = world.estate.resources.remove(&key(name)).unwrap();
        std::sync::Arc::make_mut(&mut known.resource).key = to.clone();
        world.estate.resources.insert(to.clone(), known);
    }
    world.add("i-folded", Kind::Instance).disposition = Disposition::Fold;
    let edges = [
        EdgeId { from: key("i-folded"), relation: RelationType::MemberOf, to: fleet.clone() },
        EdgeId { from: service.clone(), relation: RelationType::DependsOn, to: key("i-000") },
    ];
    for id in edges {
        world
            .estate
            .edges
            .insert(id, KnownEdge { attributes: Attributes::new(), derived: true, extra: serde_json::Map::new(), fence: Fence(1) });
    }
    world.sync();
    world.now = at(0);

    world.disowned = [scope(&mut world)].into();
    let asked = || Reason { rule: "scopes retire".to_owned(), text: "asked for".to_owned() };
    for name in ["i-000", "i-folded"] {
        let known = world.known(name);
        (known.stage, known.missing, known.end) = (Stage::Retired, 1, Some(End { at: at(0), cause: EndCause::Disowned }));
    }
    world.proposed.extend([(fleet.clone(), asked()), (service.clone(), asked())]);
    let plan = world.plan();
    assert_eq!((plan.holds.len(), held(&plan), plan.look_up.len()), (1, 3, 0));
    assert_eq!(plan.holds[0].guardrails, [Guardrail::Receipts]);
    // The service follows its member's approval, the fleet had no other record to approve.
    let only = |key: Key| plan.holds[0].changes.iter().filter(|change| change.key == key).cloned().collect();
    world.say(&Hold { changes: only(key("i-000")), ..plan.holds[0].clone() }, VerdictKind::Approved);
    let plan = world.plan();
    assert_eq!((words(&plan.changes), &plan.look_up, held(&plan)), (vec!["retire i-000".to_owned()], &[service.clone()].into(), 1));
    assert_eq!(plan.holds[0].changes[0].key, fleet);
    // Elsewhere it was approved and has ended: here it still waits, whatever is listed by then.
    world.proposed.clear();
    world.disowned.clear();
    let known = world.estate.resources.get_mut(&fleet).unwrap();
    (known.stage, known.missing, known.end) = (Stage::Retired, 1, Some(End { at: at(0), cause: EndCause::Disowned }));
    let again = world.plan();
    assert_eq!((held(&again), again.holds[0].id), (1, plan.holds[0].id));
    world.say(&plan.holds[0], VerdictKind::Approved);
    assert!(world.plan().changes.iter().any(|change| change.key == fleet && change.change == ChangeKind::Retire));
}

#[test]
fn a_proposed_retirement_is_looked_up_never_sent() {
    let mut world = World::with_instances(3);
    world.propose("i-000");
    let plan = world.plan();
    assert!(plan.changes.is_empty());
    assert_eq!(plan.look_up, [key("i-000")].into());
    world.confirm("i-000");
    let plan = world.plan();
    assert_eq!(words(&plan.changes), ["retire i-000"]);
    assert_eq!(plan.changes[0].reason.text, "absent from 1 complete listing, last seen 2025-12-22T00:00:00Z");
}

/// So many of so many go; the last column says whether they are held.
#[test]
fn blast_radius_by_numbers() {
    let cases = [
        (100, 0..20, false),
        (100, 0..21, true),
        (30, 0..9, false),
        (30, 0..10, true),
        (10, 0..10, true),
        (9, 0..9, false),
        (600, 0..60, false),
        (600, 0..61, true),
    ];
    for (all, gone, is_held) in cases {
        let mut world = World::with_instances(all);
        // Ten percent of six hundred, not the twenty that the share allows.
        world.limits.max_retire = 60;
        let count = gone.len();
        vanish(&mut world, gone);
        assert_eq!(world.unguarded().len(), count, "the damage");
        let plan = world.plan();
        assert_eq!((plan.changes.len(), held(&plan)), if is_held { (0, count) } else { (count, 0) }, "{count} of {all}");
    }
}

#[test]
fn blast_radius_tells_share_limit_and_counts() {
    let mut world = World::with_instances(40);
    vanish(&mut world, 0..5);
    world.sync();
    vanish(&mut world, 5..11);
    let hold = world.plan().holds.remove(0);
    let text = format!(
        "11 of 40 live records would be retired within 24 h (27.5 %), 5 of them already sent; limit: 20 % from 10 on; to go ahead: `dewpoint holds approve {}`",
        hold.id
    );
    assert_eq!((hold.text, hold.share, hold.limit), (text, Some(27.5), Some(20.0)));
}

#[test]
fn slicing_over_runs_does_not_pass_the_gate() {
    let mut world = World::with_instances(100);
    for slice in 0..5 {
        world.now = at(hours(slice));
        let first = usize::try_from(slice).unwrap() * 4;
        vanish(&mut world, first..first + 4);
        assert_eq!(world.sync().changes.len(), 4);
    }
    vanish(&mut world, 20..21);
    world.now = at(hours(23));
    assert_eq!(held(&world.plan()), 1);
    // The first slice has left the window.
    world.now = at(hours(24));
    assert_eq!(held(&world.plan()), 0);
}

#[test]
fn a_change_that_is_tried_again_counts_once() {
    let mut world = World::with_instances(30);
    vanish(&mut world, 0..6);
    for hour in 0..3 {
        world.now = at(hours(hour));
        let plan = world.plan();
        assert_eq!((plan.changes.len(), held(&plan)), (6, 0));
        // Sent, and refused by the target.
        let tallies = plan.changes.iter().flat_map(|change| tallies(change, &world.limits, &world.state.approved(), world.now));
        world.state.tallies.extend(tallies.collect::<Vec<_>>());
    }
    world.sync();
    vanish(&mut world, 6..10);
    assert_eq!(held(&world.plan()), 4);
}

#[test]
fn entries_from_the_future_count() {
    let mut world = World::with_instances(30);
    world.now = at(hours(100));
    vanish(&mut world, 0..6);
    world.sync();
    world.now = at(0);
    vanish(&mut world, 6..10);
    assert_eq!(held(&world.plan()), 4);
}

#[test]
fn a_groups_first_records_are_its_base_when_the_window_began_without() {
    let mut world = World::new();
    for name in names(0..100) {
        world.add(&name, Kind::Instance);
    }
    world.sync();
    world.now = at(hours(2));
    vanish(&mut world, 0..20);
    assert_eq!(held(&world.plan()), 0);
    vanish(&mut world, 20..21);
    assert_eq!(held(&world.plan()), 21);
}

#[test]
fn accounts_and_kinds_are_groups_of_their_own_and_the_rest_goes_ahead() {
    let mut world = World::new();
    world.now = at(-10 * DAY);
    for name in names(0..200) {
        world.add(&name, Kind::Instance);
    }
    for number in 0..12 {
        world.add_in(&format!("other-{number}"), Kind::Instance, "2");
        world.add_in(&format!("pool-{number}"), Kind::Pool, "1");
    }
    world.sync();
    world.now = at(0);
    vanish(&mut world, 0..3);
    for number in 0..12 {
        world.terminate(&format!("other-{number}"));
        world.known(&format!("pool-{number}")).disposition = Disposition::Ignore;
    }
    let plan = world.plan();
    assert_eq!(words(&plan.changes), ["retire i-000", "retire i-001", "retire i-002"]);
    let groups: Vec<&str> = plan.holds.iter().filter_map(|hold| hold.text.split(" within").next()).collect();
    assert_eq!(groups, ["12 of 12 live records of kind pool would be retired", "12 of 12 live records of account 2 would be retired"]);
}

#[test]
fn edges_are_counted_but_not_those_that_go_with_a_record() {
    let mut world = World::with_instances(60);
    world.now = at(-5 * DAY);
    world.add("p-1", Kind::Pool);
    for name in names(0..60) {
        world.relate("p-1", &name);
    }
    world.sync();
    world.now = at(0);
    vanish(&mut world, 0..9);
    world.estate.edges.retain(|edge, _| edge.to >= key("i-009"));
    let plan = world.sync();
    assert_eq!(plan.changes.len(), 9, "only the retirements");
    world.estate.edges.retain(|edge, _| edge.to >= key("i-021"));
    assert_eq!(world.unguarded().len(), 12, "the damage");
    let plan = world.plan();
    assert_eq!((plan.changes.len(), held(&plan)), (0, 12));
    assert!(plan.holds[0].text.starts_with("12 of 51 edges would be removed within 24 h"), "{}", plan.holds[0].text);
}

#[test]
fn an_edge_that_was_related_once_more_was_there_before() {
    let mut world = World::with_instances(40);
    world.now = at(-5 * DAY);
    world.add("p-1", Kind::Pool);
    for name in names(0..40) {
        world.relate("p-1", &name);
    }
    world.sync();
    world.now = at(0);
    // An attribute of all but one changes, and an hour later eight are gone, which is what the limit allows.
    for known in world.estate.edges.values_mut().skip(1) {
        known.attributes.insert("port".to_owned(), json!(443));
    }
    assert_eq!(world.sync().changes.len(), 39);
    world.now = at(hours(1));
    world.limits.max_retire_min = 5;
    world.estate.edges.retain(|edge, _| edge.to >= key("i-008"));
    let plan = world.plan();
    assert_eq!((plan.changes.len(), held(&plan)), (8, 0), "eight of forty are twenty percent: {:?}", plan.holds);
}

#[test]
fn purges_are_counted_by_themselves() {
    let mut world = World::with_instances(200);
    vanish(&mut world, 0..40);
    world.sync();
    world.purge = Purge::Delete;
    world.timers.purge_after = Some(days(0));
    world.now = at(2 * DAY);
    assert_eq!(world.unguarded().len(), 40);
    assert_eq!(held(&world.plan()), 40);
    world.limits.max_retire_percent = 100;
    assert_eq!(world.plan().changes.len(), 40);
}

#[test]
fn updates_of_identifying_fields_are_held_with_the_edges_of_their_records() {
    let mut world = World::with_instances(20);
    world.add("p-1", Kind::Pool);
    for number in 0..10 {
        world.rename(&format!("i-{number:03}"), "same");
        world.set(&format!("i-{number:03}"), "size", json!("m"));
        world.relate("p-1", &format!("i-{number:03}"));
    }
    world.set("i-015", "size", json!("m"));
    world.relate("p-1", "i-015");
    let plan = world.plan();
    assert_eq!(words(&plan.changes), ["create p-1", "update i-015", "relate p-1>i-015"]);
    assert_eq!(held(&plan), 20);
    assert!(plan.holds[0].text.starts_with("10 of 20 live records would change a field that identifies them"), "{}", plan.holds[0].text);
}

#[test]
fn updates_are_counted_where_that_is_on() {
    let mut world = World::with_instances(100);
    for name in names(0..31) {
        world.set(&name, "size", json!("m"));
    }
    assert_eq!(held(&world.plan()), 0);
    world.limits.max_update_percent = Some(30);
    assert_eq!(held(&world.plan()), 31);
    world.limits.max_update_percent = Some(31);
    let plan = world.sync();
    assert_eq!(plan.changes.len(), 31);
    world.set("i-050", "size", json!("m"));
    assert_eq!(held(&world.plan()), 1, "those of the last hours count");
}

#[test]
fn what_two_gates_stop_sits_in_one_hold() {
    let mut world = World::with_instances(20);
    vanish(&mut world, 0..15);
    let here = scope(&mut world);
    world.empty(&here);
    let plan = world.plan();
    assert_eq!((plan.holds.len(), held(&plan)), (1, 15));
    assert_eq!(plan.holds[0].guardrails, [Guardrail::SuddenEmptiness, Guardrail::BlastRadius]);
    assert_eq!((plan.holds[0].share, plan.holds[0].limit), (Some(75.0), Some(20.0)));
}

#[test]
fn holds_keep_their_id_while_nothing_new_is_seen() {
    let mut world = World::with_instances(30);
    for name in names(0..12) {
        world.propose(&name);
    }
    let first = world.plan();
    world.now = at(hours(1));
    for name in names(0..12) {
        // Another complete listing without it.
        world.propose(&name);
    }
    let second = world.plan();
    assert_eq!(first.holds[0].id, second.holds[0].id);
    // Confirmed meanwhile, for another target: still the same wish.
    for name in names(0..12) {
        world.confirm(&name);
    }
    assert_eq!(first.holds[0].id, world.plan().holds[0].id);
    world.show_again("i-000");
    world.propose("i-000");
    assert_ne!(first.holds[0].id, world.plan().holds[0].id);
}

#[test]
fn approvals_are_per_change_and_survive_growth() {
    let mut world = World::with_instances(40);
    vanish(&mut world, 0..12);
    let hold = world.plan().holds.remove(0);
    world.say(&hold, VerdictKind::Approved);
    vanish(&mut world, 12..24);
    let plan = world.sync();
    assert_eq!((plan.changes.len(), held(&plan)), (12, 12));
    // Approved changes do not count: nine more are below the limit again.
    for name in names(12..24) {
        world.show_again(&name);
    }
    vanish(&mut world, 24..33);
    let plan = world.plan();
    assert_eq!(words(&plan.changes), names(24..33).map(|name| format!("retire {name}")).collect::<Vec<_>>());
}

#[test]
fn an_approval_does_not_speak_of_the_next_absence() {
    let mut world = World::with_instances(30);
    vanish(&mut world, 0..12);
    let hold = world.plan().holds.remove(0);
    world.say(&hold, VerdictKind::Approved);
    world.sync();
    world.now = at(hours(1));
    for name in names(0..12) {
        world.show_again(&name);
    }
    world.sync();
    vanish(&mut world, 0..12);
    assert_eq!(held(&world.plan()), 12);
}

#[test]
fn rejections_silence_until_the_resource_is_seen_again() {
    let mut world = World::with_instances(30);
    vanish(&mut world, 0..12);
    let hold = world.plan().holds.remove(0);
    world.say(&hold, VerdictKind::Rejected);
    for hour in 1..4 {
        world.now = at(hours(hour));
        let plan = world.sync();
        assert_eq!((plan.changes.len(), held(&plan), plan.rejected), (0, 0, 12));
    }
    for name in names(0..12) {
        world.show_again(&name);
    }
    assert_eq!(held(&world.plan()), 0);
    vanish(&mut world, 0..12);
    assert_eq!(held(&world.plan()), 12);
}

#[test]
fn a_rejection_ends_with_any_news_of_the_resource() {
    let mut world = World::with_instances(10);
    for name in names(0..10) {
        world.rename(&name, "same");
    }
    let hold = world.plan().holds.remove(0);
    world.say(&hold, VerdictKind::Rejected);
    assert_eq!(held(&world.plan()), 0);
    // Nothing that this target would store, but it was observed anew.
    world.set("i-000", "unmapped", json!(1));
    let plan = world.plan();
    assert_eq!((words(&plan.changes), plan.rejected), (vec!["update i-000".to_owned()], 9));
}

#[test]
fn the_budget_holds_the_last_creates_and_their_edges_wait() {
    let mut world = World::with_instances(3);
    for name in ["p-1", "p-2", "p-3"] {
        world.add(name, Kind::Pool);
        world.relate(name, "i-000");
    }
    assert_eq!(world.plan().forecast, 6);
    world.max_records = Some(4);
    let plan = world.plan();
    assert_eq!(words(&plan.changes), ["create p-1", "relate p-1>i-000"]);
    assert_eq!(words(&plan.holds[0].changes), ["create p-2", "create p-3"]);
    assert_eq!(plan.forecast, 4);
    assert!(plan.holds[0].text.starts_with("the target would hold 6 records and may hold 4 (max_records); 2 too many"));
    world.say(&plan.holds[0], VerdictKind::Approved);
    assert_eq!(words(&world.plan().holds[0].changes), ["create p-1"], "what was approved takes its place first");
}

#[test]
fn a_rejected_create_is_not_asked_about_and_its_edges_wait() {
    let mut world = World::with_instances(1);
    world.add("p-1", Kind::Pool);
    world.relate("p-1", "i-000");
    world.answers.insert(key("p-1"), Ok(vec![stranger("s-1", &[])]));
    let hold = world.plan().holds.remove(0);
    world.say(&hold, VerdictKind::Rejected);
    let plan = world.plan();
    assert_eq!((plan.changes.len(), plan.holds.len(), plan.rejected), (0, 0, 1));
    world.set("p-1", "size", json!("m"));
    assert_eq!(world.plan().holds.len(), 1, "something new was seen");
}

#[test]
fn recovery_takes_nothing_away() {
    let mut world = World::with_instances(3);
    world.relate("i-000", "i-001");
    world.sync();
    world.estate.edges.clear();
    world.terminate("i-002");
    world.set("i-000", "size", json!("m"));
    world.recovering = true;
    assert_eq!(words(&world.plan().changes), ["update i-000"]);
}

/// Two machines with records, a volume that ends with the first, and a pool in front; then a rule folds them into a fleet.
fn folded() -> World {
    let mut world = World::with_instances(2);
    world.include.kinds.extend([Kind::ScalingGroup, Kind::Volume]);
    world.add("p-1", Kind::Pool);
    world.add("vol-1", Kind::Volume);
    world.relate("p-1", "i-000");
    world.sync();
    world.add("fleet", Kind::ScalingGroup);
    for (name, relation, to) in [
        ("i-000", RelationType::MemberOf, "fleet"),
        ("i-001", RelationType::MemberOf, "fleet"),
        ("vol-1", RelationType::AttachedTo, "i-000"),
    ] {
        world.known(name).disposition = Disposition::Fold;
        let id = EdgeId { from: key(name), relation, to: key(to) };
        let edge = KnownEdge { attributes: Attributes::new(), derived: false, extra: serde_json::Map::new(), fence: Fence(1) };
        world.estate.edges.insert(id, edge);
    }
    world
}

#[test]
fn members_give_way_to_their_fleet_and_to_nothing_else() {
    let mut world = folded();
    assert_eq!(words(&world.plan().changes), ["create fleet", "retire i-000", "retire i-001", "retire vol-1"]);

    // The fleet's record is held: what would give way to it shares the hold.
    world.max_records = Some(4);
    let plan = world.plan();
    assert_eq!(words(&plan.changes), [""; 0]);
    let held: BTreeSet<String> = words(&plan.holds[0].changes).into_iter().collect();
    assert_eq!(held, ["create fleet", "retire i-000", "retire i-001", "retire vol-1"].map(str::to_owned).into());
    world.say(&plan.holds[0], VerdictKind::Approved);
    assert_eq!(world.plan().changes.len(), 4);
    // What was approved was the fleet in their place. It is another one by now, and not approved yet.
    world.set("fleet", "size", json!("m"));
    let plan = world.plan();
    assert_eq!((words(&plan.changes), words(&plan.holds[0].changes)), (Vec::new(), vec!["create fleet".to_owned()]));

    // The target cannot say whether it stands there already: it is not made now, and they wait.
    let mut world = folded();
    world.answers.insert(key("fleet"), Err(world.target.no()));
    let plan = world.plan();
    assert_eq!((words(&plan.changes), plan.holds.len()), (Vec::new(), 0));
}

/// Notes that the target refused to make a record, and when it is asked again; parked where that is `None`.
fn refuse(world: &mut World, name: &str, next_try_at: Option<jiff::Timestamp>) {
    let plan = world.plan();
    let make = plan.changes.iter().find(|change| change.key == key(name)).unwrap();
    let refusal = Refusal { change: make.id, attempts: 5, next_try_at, error: "the name is taken".to_owned() };
    let before = world.state.records.remove(&key(name)).unwrap_or_else(|| RecordBrief::unborn(make));
    let state = if next_try_at.is_some() { DeliveryState::Failed } else { DeliveryState::Parked };
    world.state.records.insert(key(name), RecordBrief { state, refusal: Some(Box::new(refusal)), ..before });
}

#[test]
fn members_keep_their_records_while_the_target_refuses_their_fleets() {
    let later = Some(at(60));
    for next_try_at in [later, None] {
        let mut world = folded();
        refuse(&mut world, "fleet", next_try_at);
        let plan = world.plan();
        assert_eq!((words(&plan.changes), plan.holds.len()), (vec!["create fleet".to_owned()], 0), "next try {next_try_at:?}");
    }

    // It is due again: whether the rest is sent is for delivery to see.
    let mut world = folded();
    refuse(&mut world, "fleet", later);
    world.now = at(60);
    let plan = world.plan();
    assert_eq!(words(&plan.changes), ["create fleet", "retire i-000", "retire i-001", "retire vol-1"]);
    let waits_for = |change: &Change| change.gives_way_to.contains(&key("fleet"));
    assert_eq!(plan.changes.iter().map(waits_for).collect::<Vec<_>>(), [false, true, true, true]);

    // Another wish than the one that was refused.
    let mut world = folded();
    refuse(&mut world, "fleet", None);
    world.set("fleet", "size", json!("m"));
    assert_eq!(world.plan().changes.len(), 4);
}

#[test]
fn a_fleet_record_that_comes_back_is_waited_for_as_well() {
    let mut world = folded();
    let members: BTreeSet<Key> = [key("i-000"), key("i-001"), key("vol-1")].into();
    let dispose = |world: &mut World, disposition| {
        members.iter().for_each(|member| world.estate.resources.get_mut(member).unwrap().disposition = disposition);
    };
    world.sync();
    world.terminate("fleet");
    dispose(&mut world, Disposition::Record);
    world.now = at(hours(1));
    world.sync();
    world.show_again("fleet");
    dispose(&mut world, Disposition::Fold);
    let plan = world.plan();
    assert_eq!(words(&plan.changes), ["revive fleet", "retire i-000", "retire i-001", "retire vol-1"]);
    assert!(plan.changes[1..].iter().all(|change| change.gives_way_to == [key("fleet")].into()));
    // People do not want it back: its members keep their records.
    let Change { id, fence, .. } = plan.changes[0];
    let rejected = Verdict { change: id, target: plan.target.clone(), verdict: VerdictKind::Rejected, fence, at: world.now };
    world.state.verdicts.insert(id, rejected);
    let without = world.plan();
    assert_eq!((words(&without.changes), without.rejected), (Vec::new(), 1));
    world.state.verdicts.clear();
    refuse(&mut world, "fleet", None);
    assert_eq!(words(&world.plan().changes), ["revive fleet"]);
}

#[test]
fn who_gives_way_to_whom_changes_no_wish() {
    let mut world = folded();
    let ids = |plan: &Guarded| plan.changes.iter().filter(|c| c.change == ChangeKind::Retire).map(|c| c.id).collect::<Vec<_>>();
    let before = ids(&world.plan());
    // The fleet's record is there by now, and the members' ends are what is left.
    let mut made = world.plan();
    made.changes.retain(|change| change.change == ChangeKind::Create);
    world.apply(&made);
    let after = world.plan();
    assert_eq!(ids(&after), before);
    assert!(after.changes.iter().all(|change| change.gives_way_to.is_empty()));
}

#[test]
fn a_target_without_fleets_gets_the_machines() {
    let mut world = folded();
    world.include.kinds.remove(&Kind::ScalingGroup);
    assert_eq!(words(&world.sync().changes), ["relate vol-1>i-000"]);
    let known = world.add("i-new", Kind::Instance);
    known.disposition = Disposition::Fold;
    assert_eq!(words(&world.plan().changes), [""; 0], "it is too young for a record");
    world.now += jiff::SignedDuration::from_mins(20);
    let now = world.now;
    world.known("i-new").last_seen = now;
    assert_eq!(words(&world.plan().changes), ["create i-new"]);
}
