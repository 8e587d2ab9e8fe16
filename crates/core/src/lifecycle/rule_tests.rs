//! What rules come to in an estate.
#![expect(clippy::indexing_slicing, clippy::expect_used, clippy::panic, reason = "tests may")]

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::estate::{Dirty, Disposition, EndCause, Estate, Stage};
use crate::expression::{Expression, Vocabulary, Wanted};
use crate::model::{Key, Kind, Outcome, Relation, RelationType, Resource, Scope};
use crate::plan::Reason;
use crate::rules::{Action, Origin, Rule, Rules, Settings};
use crate::source::Pull;
use crate::testing::{key, minute, policy, pull, relation, resource, run, scope};

pub(super) fn at(kind: Kind) -> Scope {
    scope("111111111111", "eu-west-1", kind)
}

pub(super) fn rule(name: &str, when: &str, action: Option<Action>, set: Settings) -> Rule {
    let when = Expression::compile(when, &Vocabulary::rules(), Wanted::Condition).expect("a condition");
    Rule { name: name.to_owned(), origin: Origin::Configuration, when, action, set }
}

pub(super) fn does(name: &str, when: &str, action: Action) -> Rule {
    rule(name, when, Some(action), Settings::default())
}

pub(super) fn into(text: &str) -> Action {
    Action::Fold { into: Some(Box::new(Expression::compile(text, &Vocabulary::rules(), Wanted::Text).expect("a text"))) }
}

pub(super) fn under(rules: Vec<Rule>) -> Policy {
    Policy { rules: rules.into_iter().collect::<Rules>(), ..policy() }
}

/// A machine that is old enough, with these tags.
pub(super) fn machine(id: &str, tags: &[(&str, &str)]) -> Resource {
    let mut machine = resource(&at(Kind::Instance), id);
    machine.state = Some("running".to_owned());
    machine.created_at = Some(minute(-600));
    machine.tags = tags.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    machine.attributes.insert("size".to_owned(), json!("m5.large"));
    machine
}

pub(super) fn group(id: &str, max: u64) -> Resource {
    let mut group = resource(&at(Kind::ScalingGroup), id);
    group.attributes.insert("max_size".to_owned(), json!(max));
    group
}

pub(super) fn member(machine: &Resource, group: &Resource) -> Relation {
    relation(RelationType::MemberOf, &machine.key, &group.key)
}

pub(super) fn shown(resources: &[&Resource], relations: Vec<Relation>) -> Pull {
    let scopes = [Kind::Instance, Kind::ScalingGroup, Kind::Volume].map(|kind| (at(kind), Outcome::Complete));
    pull(scopes, resources.iter().copied().cloned(), relations)
}

/// One run at a minute; the minute is the fence as well.
pub(super) fn step(estate: &mut Estate, pull: &Pull, policy: &Policy, minutes: i64) -> Decisions {
    estate.dirty = Dirty::default();
    run(estate, pull, policy, minute(minutes), minutes).2
}

pub(super) fn disposition(estate: &Estate, key: &Key) -> Disposition {
    estate.resources[key].disposition
}

pub(super) const IS_MACHINE: &str = r#"resource.kind == "instance""#;

#[test]
fn the_first_rule_that_does_something_decides_and_all_set() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let policy = under(vec![
        rule("patience", IS_MACHINE, None, Settings { retire_after: seconds(60), flag: Some("early".to_owned()), ..Settings::default() }),
        does("runners", r#"resource.kind == "instance" && "role" in resource.tags && resource.tags["role"] == "ci""#, Action::Ignore),
        does("all", IS_MACHINE, Action::Record),
        rule("late", IS_MACHINE, None, Settings { flag: Some("late".to_owned()), min_dwell: seconds(5), ..Settings::default() }),
    ]);
    let (runner, other) = (machine("i-1", &[("role", "ci")]), machine("i-2", &[]));
    let mut estate = Estate::default();
    let decisions = step(&mut estate, &shown(&[&runner, &other], Vec::new()), &policy, 1);
    assert_eq!((disposition(&estate, &runner.key), disposition(&estate, &other.key)), (Disposition::Ignore, Disposition::Record));
    assert_eq!((decisions.ignored, decisions.folded), (1, 0));
    for (machine, rule) in [(&runner, "runners"), (&other, "all")] {
        let verdict = decisions.verdicts.of(&machine.key);
        assert_eq!(
            (&*verdict.rule, verdict.timers.retire_after, verdict.timers.min_dwell),
            (rule, Duration::from_secs(60), Duration::from_secs(5))
        );
        assert_eq!(estate.resources[&machine.key].flag.as_deref(), Some("late"));
    }
}

#[test]
fn members_are_folded_into_their_group_and_come_back_after_their_dwell() {
    let folding =
        under(vec![does("fleets", r#"resource.kind == "instance" && group != null && group.max_size > 1"#, Action::Fold { into: None })]);
    let (one, two, fleet) = (machine("i-1", &[]), machine("i-2", &[]), group("asg", 4));
    let members = || vec![member(&one, &fleet), member(&two, &fleet)];
    let mut estate = Estate::default();
    let decisions = step(&mut estate, &shown(&[&one, &two, &fleet], members()), &folding, 1);
    assert_eq!(decisions.folded, 2);
    assert_eq!(disposition(&estate, &fleet.key), Disposition::Record);
    assert_eq!(estate.resources[&fleet.key].resource.attributes["sizes"], json!(["m5.large"]));
    // The rule goes: what it folded stays so for `min_dwell` (15 minutes), and is recorded then.
    for (minutes, wanted) in [(10, Disposition::Fold), (16, Disposition::Record)] {
        let _ = step(&mut estate, &shown(&[&one, &two, &fleet], members()), &policy(), minutes);
        assert_eq!(disposition(&estate, &one.key), wanted, "at minute {minutes}");
    }
    assert!(!estate.resources[&fleet.key].resource.attributes.contains_key("spot_share"));
}

#[test]
fn a_named_fleet_is_made_recorded_and_retired() {
    let folding = under(vec![does(
        "pools",
        r#"resource.kind == "instance" && "pool" in resource.tags"#,
        into(r#""karpenter/" + resource.tags["pool"]"#),
    )]);
    let (one, two) = (machine("i-1", &[("pool", "blue")]), machine("i-2", &[("pool", "blue")]));
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&one, &two], Vec::new()), &folding, 1);
    let fleet = Key::fleet(one.provider, &one.account, &one.region, "karpenter/blue").expect("a key");
    let known = &estate.resources[&fleet];
    assert_eq!(
        (known.disposition, known.stage, known.resource.name.as_deref()),
        (Disposition::Record, Stage::Active, Some("karpenter/blue"))
    );
    assert_eq!(known.resource.attributes["member_count"], json!(2));
    // Its members are gone: it follows its own timers.
    let empty = shown(&[], Vec::new());
    let _ = step(&mut estate, &empty, &folding, 30);
    let decisions = step(&mut estate, &empty, &folding, 60);
    for machine in [&one, &two] {
        assert!(decisions.proposed.contains_key(&machine.key));
    }
    let gone = [&one, &two].map(|machine| (machine.key.clone(), crate::source::Presence::Gone)).into();
    let _ = confirm(&mut estate, gone, minute(60), crate::estate::Fence(60));
    for minutes in [90, 120, 150] {
        let decisions = step(&mut estate, &empty, &folding, minutes);
        if decisions.proposed.contains_key(&fleet) {
            return;
        }
    }
    panic!("the fleet is never proposed: {:?}", estate.resources[&fleet]);
}

#[test]
fn a_rule_that_cannot_be_asked_freezes() {
    let policy = |first: bool| {
        let failing = does("by size", r#"resource.kind == "instance" && resource.vcpus > 4"#, Action::Record);
        let ignoring = does("machines", IS_MACHINE, Action::Ignore);
        under(if first { vec![failing, ignoring] } else { vec![ignoring, failing] })
    };
    let one = machine("i-1", &[]);
    let mut estate = Estate::default();
    let decisions = step(&mut estate, &shown(&[&one], Vec::new()), &policy(true), 1);
    assert_eq!((disposition(&estate, &one.key), estate.resources[&one.key].stage), (Disposition::Defer, Stage::Deferred), "new: deferred");
    let failures: Vec<_> = decisions.verdicts.failures().map(|(_, failure)| (failure.rule.as_str(), failure.freezes)).collect();
    assert_eq!(failures, [("by size", true)]);
    // Behind the rule that decides it freezes nothing.
    let decisions = step(&mut estate, &shown(&[&one], Vec::new()), &policy(false), 10);
    assert_eq!(disposition(&estate, &one.key), Disposition::Ignore);
    assert!(decisions.verdicts.failures().all(|(_, failure)| !failure.freezes));

    // Neither its absence nor its end is concluded.
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&one], Vec::new()), &crate::testing::policy(), 1);
    let ended = Resource { state: Some("terminated".to_owned()), ..one.clone() };
    let _ = step(&mut estate, &shown(&[&ended], Vec::new()), &policy(true), 30);
    assert_eq!((disposition(&estate, &one.key), estate.resources[&one.key].stage), (Disposition::Record, Stage::Active));
    for minutes in [60, 90, 120] {
        let decisions = step(&mut estate, &shown(&[], Vec::new()), &policy(true), minutes);
        assert!(decisions.proposed.is_empty() && estate.resources[&one.key].end.is_none());
    }
}

#[test]
fn values_of_rules_that_cannot_be_asked_are_unknown() {
    let failing = r#"resource.kind == "instance" && resource.vcpus > 4"#;
    let sets = |name: &str, when: &str, size: &str| {
        let attributes = [("size".to_owned(), json!(size))].into();
        rule(name, when, None, Settings { attributes, ..Settings::default() })
    };
    let preset = |rule: Rule| Rule { origin: Origin::Preset("spot"), ..rule };
    let member = r#"resource.kind == "instance" && group != null"#;
    let nothing: &[&str] = &[];
    let cases = [
        (vec![sets("a", failing, "a")], None, &["a"][..]),
        (vec![sets("a", IS_MACHINE, "a"), sets("b", failing, "b"), sets("c", failing, "c")], Some("a"), &["b", "c"]),
        // What goes over it is known.
        (vec![sets("a", failing, "a"), sets("b", IS_MACHINE, "b")], Some("b"), nothing),
        (vec![sets("a", IS_MACHINE, "a"), preset(sets("b", failing, "b"))], Some("a"), nothing),
        // Behind the deciding rule as before it.
        (vec![does("all", IS_MACHINE, Action::Record), sets("a", failing, "a")], None, &["a"]),
        (vec![sets("a", member, "a")], None, &["a"]),
        (vec![sets("a", r#"resource.kind == "volume""#, "a")], None, nothing),
    ];
    for (number, (rules, known, unknown)) in cases.into_iter().enumerate() {
        let one = machine("i-1", &[]);
        let denied = pull([(at(Kind::Instance), Outcome::Complete), (at(Kind::ScalingGroup), Outcome::Denied)], [one.clone()], []);
        let decisions = step(&mut Estate::default(), &denied, &under(rules), 1);
        let verdict = decisions.verdicts.of(&one.key);
        assert_eq!(verdict.attributes.get("size").and_then(|size| size.as_str()), known, "case {number}");
        let doubted: Vec<_> = verdict.unknown.get("size").into_iter().flatten().filter_map(|size| size.as_str()).collect();
        assert_eq!(doubted, unknown, "case {number}");
    }
}

#[test]
fn a_timer_of_an_unread_group_does_not_run_out_as_the_shorter_one() {
    let week = Some(Duration::from_secs(7 * 86_400));
    let policy = under(vec![rule(
        "members wait",
        r#"resource.kind == "instance" && group != null"#,
        None,
        Settings { retire_after: week, flag: Some("member".to_owned()), ..Settings::default() },
    )]);
    let (web, fleet) = (machine("web", &[]), group("web", 4));
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&fleet, &web], vec![member(&web, &fleet)]), &policy, 1);
    // Its membership is lost from what is known, and groups cannot be read any more.
    estate.edges.retain(|id, _| id.relation != RelationType::MemberOf);
    let denied = || pull([(at(Kind::Instance), Outcome::Complete), (at(Kind::ScalingGroup), Outcome::Denied)], [], Vec::new());
    for minutes in [30, 60, 90] {
        let decisions = step(&mut estate, &denied(), &policy, minutes);
        assert!(decisions.proposed.is_empty(), "at minute {minutes}");
        assert_eq!(estate.resources[&web.key].flag.as_deref(), Some("member"));
    }
}

#[test]
fn fold_without_a_group_is_a_failure_and_other_kinds_are_not_asked() {
    let policy = under(vec![does("all", "true", Action::Fold { into: None })]);
    let (one, fleet) = (machine("i-1", &[]), group("asg", 1));
    let mut estate = Estate::default();
    let decisions = step(&mut estate, &shown(&[&one, &fleet], Vec::new()), &policy, 1);
    assert_eq!(disposition(&estate, &fleet.key), Disposition::Record);
    let failures: Vec<_> = decisions.verdicts.failures().map(|(key, failure)| (key, failure.freezes)).collect();
    assert_eq!(failures, [(&one.key, true)]);
}

#[test]
fn what_a_fold_sets_applies_to_every_kind_that_it_matches() {
    let set = Settings { flag: Some("farm".to_owned()), retire_after: Some(Duration::from_secs(7 * 86_400)), ..Settings::default() };
    let folds = rule("farms", r#""farm" in resource.tags"#, Some(into(r#"resource.tags["farm"]"#)), set);
    // Of other kinds the next rule decides.
    let policy = under(vec![folds, does("no volumes", r#"resource.kind == "volume""#, Action::Ignore)]);
    let mut disk = resource(&at(Kind::Volume), "vol-1");
    disk.tags.insert("farm".to_owned(), "blue".to_owned());
    let one = machine("i-1", &[("farm", "blue")]);
    let mut estate = Estate::default();
    let decisions = step(&mut estate, &shown(&[&one, &disk], Vec::new()), &policy, 1);
    for key in [&one.key, &disk.key] {
        let verdict = decisions.verdicts.of(key);
        assert_eq!((verdict.flag.as_deref(), verdict.timers.retire_after.as_secs()), (Some("farm"), 7 * 86_400), "{key}");
    }
    assert_eq!((disposition(&estate, &one.key), disposition(&estate, &disk.key)), (Disposition::Fold, Disposition::Ignore));
    let explained = explain(&estate, &disk.key, &policy, minute(2)).expect("it is known");
    let told: Vec<_> = explained.rules.iter().map(|rule| (rule.name.as_str(), rule.outcome, rule.action)).collect();
    use crate::rules::ActionWord::{Ignore, Record};
    assert_eq!(
        told,
        [
            ("farms", RuleOutcome::Matched, None),
            ("no volumes", RuleOutcome::Matched, Some(Ignore)),
            ("default", RuleOutcome::Matched, Some(Record)),
        ]
    );
}

#[test]
fn what_is_deferred_is_counted_by_what_it_waits_for() {
    let policy = under(vec![
        does("fails", r#""built" in resource.tags && timestamp(resource.tags["built"]) < now"#, Action::Ignore),
        does("drafts", r#""draft" in resource.tags"#, Action::Defer),
    ]);
    let mut young = machine("i-young", &[]);
    young.created_at = Some(minute(0));
    let mut disks = Vec::new();
    let mut edges = Vec::new();
    let machines = [young, machine("i-built", &[("built", "lately")]), machine("i-draft", &[("draft", "")]), machine("i-old", &[])];
    for machine in &machines {
        let mut disk = resource(&at(Kind::Volume), &format!("vol-{}", machine.native_id));
        disk.attributes.insert("delete_on_termination".to_owned(), json!(true));
        edges.push(relation(RelationType::AttachedTo, &disk.key, &machine.key));
        disks.push(disk);
    }
    let mut estate = Estate::default();
    let all: Vec<&Resource> = machines.iter().chain(&disks).collect();
    let decisions = step(&mut estate, &shown(&all, edges), &policy, 1);
    assert_eq!(decisions.deferred, 6);
    assert_eq!(decisions.deferred_by, DeferredBy { age: 2, rule: 2, frozen: 2 });
}

#[test]
fn folding_into_what_is_ignored_is_ignoring() {
    let policy = under(vec![
        does("fleets", r#"resource.kind == "instance" && group != null"#, Action::Fold { into: None }),
        does("no fleets", r#"resource.kind == "scaling_group""#, Action::Ignore),
    ]);
    let (one, fleet) = (machine("i-1", &[]), group("asg", 4));
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&one, &fleet], vec![member(&one, &fleet)]), &policy, 1);
    assert_eq!((disposition(&estate, &one.key), disposition(&estate, &fleet.key)), (Disposition::Ignore, Disposition::Ignore));
}

#[test]
fn dependents_follow_unless_a_rule_speaks_of_them() {
    let ignoring = r#"resource.kind == "instance""#;
    let one = machine("i-1", &[]);
    let mut volume = resource(&at(Kind::Volume), "vol-1");
    volume.tags.insert("keep".to_owned(), "yes".to_owned());
    let mut attached = relation(RelationType::AttachedTo, &volume.key, &one.key);
    attached.attributes.insert("delete_on_termination".to_owned(), json!(true));
    for (rules, wanted) in [
        (vec![does("machines", ignoring, Action::Ignore)], Disposition::Ignore),
        (vec![does("machines", ignoring, Action::Ignore), does("kept", r#""keep" in resource.tags"#, Action::Record)], Disposition::Record),
    ] {
        let mut estate = Estate::default();
        let _ = step(&mut estate, &shown(&[&one, &volume], vec![attached.clone()]), &under(rules), 1);
        assert_eq!(disposition(&estate, &volume.key), wanted);
    }
}

#[test]
fn what_ends_with_a_machine_that_is_not_known_waits_with_it() {
    let (volume, kept) = (resource(&at(Kind::Volume), "ends"), resource(&at(Kind::Volume), "kept"));
    let attached = |volume: &Resource, ends_with_it: bool| {
        let mut edge = relation(RelationType::AttachedTo, &volume.key, &machine("i-1", &[]).key);
        edge.attributes.insert("delete_on_termination".to_owned(), json!(ends_with_it));
        edge
    };
    // Volumes are listed a moment after machines, or machines could not be listed at all.
    for outcome in [Outcome::Complete, Outcome::Denied] {
        let shown = |machines: Outcome| {
            let scopes = [(at(Kind::Instance), machines), (at(Kind::Volume), Outcome::Complete)];
            pull(scopes, [volume.clone(), kept.clone()], [attached(&volume, true), attached(&kept, false)])
        };
        let mut estate = Estate::default();
        for (minutes, wanted) in [(1, Disposition::Defer), (15, Disposition::Defer), (16, Disposition::Record)] {
            let _ = step(&mut estate, &shown(outcome), &policy(), minutes);
            let dispositions = [&volume, &kept].map(|volume| disposition(&estate, &volume.key));
            assert_eq!(dispositions, [wanted, Disposition::Record], "{outcome} at minute {minutes}");
        }
    }
    // Where nobody lists machines there is none to wait for.
    let mut estate = Estate::default();
    let only = pull([(at(Kind::Volume), Outcome::Complete)], [volume.clone()], [attached(&volume, true)]);
    let _ = step(&mut estate, &only, &policy(), 1);
    assert_eq!(disposition(&estate, &volume.key), Disposition::Record);
}

#[test]
fn what_leaves_a_fleet_or_a_rule_young_has_to_grow_first() {
    let policy = under(vec![
        does("fleets", r#"resource.kind == "instance" && group != null"#, Action::Fold { into: None }),
        does("runners", r#"resource.kind == "instance" && "role" in resource.tags"#, Action::Ignore),
        rule("slow", IS_MACHINE, None, Settings { min_age: Some(Duration::from_secs(3600)), ..Settings::default() }),
    ]);
    let born = |mut machine: Resource| {
        machine.created_at = Some(minute(0));
        machine
    };
    let (member_of_it, runner, fleet) = (born(machine("i-1", &[])), born(machine("i-2", &[("role", "ci")])), group("asg", 4));
    let let_go = born(machine("i-2", &[]));
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&fleet, &member_of_it, &runner], vec![member(&member_of_it, &fleet)]), &policy, 5);
    // `min_dwell` (15 minutes) is over long before it is old enough.
    for (minutes, wanted) in [(30, [Disposition::Fold, Disposition::Ignore]), (59, [Disposition::Fold, Disposition::Ignore])] {
        let _ = step(&mut estate, &shown(&[&fleet, &member_of_it, &let_go], Vec::new()), &policy, minutes);
        assert_eq!([&member_of_it, &let_go].map(|machine| disposition(&estate, &machine.key)), wanted, "at minute {minutes}");
    }
    let _ = step(&mut estate, &shown(&[&fleet, &member_of_it, &let_go], Vec::new()), &policy, 60);
    assert_eq!([&member_of_it, &let_go].map(|machine| disposition(&estate, &machine.key)), [Disposition::Record; 2]);
}

#[test]
fn a_set_retirement_waits_even_for_what_is_certain() {
    let hour = Some(Duration::from_secs(3600));
    let policy = under(vec![rule("slow", IS_MACHINE, None, Settings { retire_after: hour, ..Settings::default() })]);
    let one = machine("i-1", &[]);
    let ended = Resource { state: Some("terminated".to_owned()), ..one.clone() };
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&one], Vec::new()), &policy, 1);
    let mut unlisted = estate.clone();
    for (minutes, stage) in [(10, Stage::Inactive), (60, Stage::Inactive), (71, Stage::Retired)] {
        let _ = step(&mut estate, &shown(&[&ended], Vec::new()), &policy, minutes);
        assert_eq!(estate.resources[&one.key].stage, stage, "at minute {minutes}");
    }
    // Its provider stops listing it long before.
    for (minutes, listed, stage) in [(10, true, Stage::Inactive), (60, false, Stage::Missing), (71, false, Stage::Retired)] {
        let all = [&ended];
        let _ = step(&mut unlisted, &shown(if listed { &all } else { &[] }, Vec::new()), &policy, minutes);
        assert_eq!(unlisted.resources[&one.key].stage, stage, "at minute {minutes}");
    }
}

#[test]
fn a_member_that_vanished_does_not_become_a_machine_of_its_own() {
    let policy = under(vec![does("fleets", r#"resource.kind == "instance" && group != null"#, Action::Fold { into: None })]);
    let (one, fleet, volume) = (machine("i-1", &[]), group("web", 4), resource(&at(Kind::Volume), "v"));
    let mut attached = relation(RelationType::AttachedTo, &volume.key, &one.key);
    attached.attributes.insert("delete_on_termination".to_owned(), json!(true));
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&fleet, &one, &volume], vec![member(&one, &fleet), attached.clone()]), &policy, 1);
    // Neither machine nor membership is listed any more; the volume is, for a while.
    let _ = step(&mut estate, &shown(&[&fleet, &volume], vec![attached]), &policy, 90);
    for key in [&one.key, &volume.key] {
        assert_eq!(disposition(&estate, key), Disposition::Fold, "{key}");
    }
}

#[test]
fn what_may_be_in_an_unread_group_stays_what_it_was() {
    let fold = r#"resource.kind == "instance" && group != null"#;
    let policy = under(vec![
        does("runners", r#"resource.kind == "instance" && "role" in resource.tags"#, Action::Ignore),
        does("fleets", fold, Action::Fold { into: None }),
    ]);
    let (web, old, new, runner) = (machine("web", &[]), machine("old", &[]), machine("new", &[]), machine("runner", &[("role", "ci")]));
    let fleet = group("web", 4);
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&fleet, &web, &old], vec![member(&web, &fleet)]), &policy, 1);
    let denied = [(at(Kind::Instance), Outcome::Complete), (at(Kind::ScalingGroup), Outcome::Denied)];
    let machines = [&web, &old, &new, &runner];
    let _ = step(&mut estate, &pull(denied, machines.map(Clone::clone), Vec::new()), &policy, 2);
    let dispositions = |estate: &Estate| machines.map(|machine| disposition(estate, &machine.key));
    assert_eq!(dispositions(&estate), [Disposition::Fold, Disposition::Record, Disposition::Defer, Disposition::Ignore]);
    let explained = explain(&estate, &new.key, &policy, minute(2)).expect("known");
    assert!(explained.next.starts_with("decided when scaling groups are listed"), "{}", explained.next);
    let edges = vec![member(&web, &fleet), member(&new, &fleet)];
    let _ = step(&mut estate, &shown(&[&fleet, &web, &old, &new, &runner], edges), &policy, 3);
    assert_eq!(dispositions(&estate), [Disposition::Fold, Disposition::Record, Disposition::Fold, Disposition::Ignore]);
    // Where nobody lists groups at all, there are none.
    let mut estate = Estate::default();
    let _ = step(&mut estate, &pull([(at(Kind::Instance), Outcome::Complete)], [new.clone()], Vec::new()), &policy, 1);
    assert_eq!(disposition(&estate, &new.key), Disposition::Record);
}

#[test]
fn what_consisted_of_a_scope_that_people_gave_up_goes_after_it() {
    let folding = under(vec![does("pools", r#"resource.kind == "instance" && "pool" in resource.tags"#, into(r#"resource.tags["pool"]"#))]);
    let one = machine("i-1", &[("pool", "blue"), ("service", "shop")]);
    let far = scope("111111111111", "us-east-1", Kind::Instance);
    let other =
        Resource { tags: [("service".to_owned(), "bank".to_owned())].into(), created_at: Some(minute(-600)), ..resource(&far, "i-2") };
    let two = machine("i-3", &[("service", "bank")]);
    let [fleet, shop, bank] = [Key::fleet(one.provider, &one.account, &one.region, "blue"), Key::service("shop"), Key::service("bank")]
        .map(|key| key.expect("a key"));
    let mut estate = Estate::default();
    let both = [(at(Kind::Instance), Outcome::Complete), (far.clone(), Outcome::Complete)];
    let whole = pull(both, [one.clone(), two.clone(), other.clone()], []);
    let _ = step(&mut estate, &whole, &folding, 1);
    let narrowed = pull([(far.clone(), Outcome::Complete)], [other.clone()], []);
    let decisions = step(&mut estate, &narrowed, &folding, 30);
    assert!(decisions.proposed.is_empty(), "nobody asked: {:?}", decisions.proposed);
    estate.scopes.get_mut(&at(Kind::Instance)).expect("known").retire = true;
    let decisions = step(&mut estate, &narrowed, &folding, 60);
    assert_eq!(decisions.proposed.keys().collect::<Vec<_>>(), [&one.key, &two.key], "members first");
    assert!(decisions.bereft.is_empty());
    for key in [&one.key, &two.key] {
        assert!(conclude(&mut estate, key, EndCause::Disowned, &decisions.proposed[key], minute(60)));
    }
    // All that one and two were is gone; the bank has another member.
    let mut seen = None;
    for minutes in [90, 120, 1200] {
        let decisions = step(&mut estate, &narrowed, &folding, minutes);
        assert_eq!(decisions.bereft, [fleet.clone(), shop.clone()].into(), "at minute {minutes}");
        assert_eq!(decisions.proposed.keys().collect::<Vec<_>>(), [&fleet, &shop]);
        let reason = &decisions.proposed[&fleet];
        assert_eq!(
            (reason.rule.as_str(), reason.text.as_str()),
            (
                "scopes retire",
                "no source covers aws 111111111111 eu-west-1 instance any more, where its last members were, and their retirement was asked for"
            )
        );
        let last_seen = estate.resources[&fleet].last_seen;
        assert_eq!(*seen.get_or_insert(last_seen), last_seen, "the wish stays the same");
        assert_eq!((estate.resources[&fleet].stage, estate.resources[&bank].stage), (Stage::Missing, Stage::Active));
    }
    for key in [&fleet, &shop] {
        let reason = Reason { rule: "scopes retire".to_owned(), text: "asked for".to_owned() };
        assert!(conclude(&mut estate, key, EndCause::Disowned, &reason, minute(1200)));
        assert_eq!(super::reason(&estate.resources[key]).rule, "scopes retire");
    }
    let decisions = step(&mut estate, &narrowed, &folding, 1230);
    assert!(decisions.proposed.is_empty() && decisions.bereft.is_empty());
    // The source comes back, and with it all of them.
    let _ = step(&mut estate, &whole, &folding, 1260);
    for key in [&one.key, &fleet, &shop, &bank] {
        assert_eq!((estate.resources[key].stage, &estate.resources[key].end), (Stage::Active, &None), "{key}");
    }
}

#[test]
fn every_rule_is_explained() {
    let policy = under(vec![
        does("runners", r#"resource.kind == "instance" && "role" in resource.tags"#, Action::Ignore),
        rule("slow", IS_MACHINE, None, Settings { flag: Some("slow".to_owned()), ..Settings::default() }),
        does("by size", r#"resource.kind == "instance" && resource.vcpus > 4"#, Action::Record),
    ]);
    let one = machine("i-1", &[]);
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&one], Vec::new()), &policy, 1);
    let explained = explain(&estate, &one.key, &policy, minute(2)).expect("known");
    let rules: Vec<_> = explained.rules.iter().map(|trace| (trace.name.as_str(), trace.outcome)).collect();
    let (matched, not, failed) = (RuleOutcome::Matched, RuleOutcome::NotMatched, RuleOutcome::Failed);
    assert_eq!(rules, [("runners", not), ("slow", matched), ("by size", failed), ("default", matched)]);
    assert_eq!(explained.rules[1].set["flag"], "slow");
    assert!(explained.next.starts_with("nothing: frozen, because rule `by size` could not be asked: "), "{}", explained.next);
    assert!(key(&at(Kind::Instance), "i-1") == one.key);
}

#[test]
fn what_waits_for_min_dwell_is_explained() {
    let policy =
        under(vec![does("fleets", r#"resource.kind == "instance" && group != null && group.max_size > 1"#, Action::Fold { into: None })]);
    let web = machine("web", &[]);
    let mut estate = Estate::default();
    for (max, minutes) in [(1, 1), (4, 5)] {
        let fleet = group("web", max);
        let _ = step(&mut estate, &shown(&[&fleet, &web], vec![member(&web, &fleet)]), &policy, minutes);
    }
    let told = |estate: &Estate, minutes| explain(estate, &web.key, &policy, minute(minutes)).expect("known");
    let waits = told(&estate, 5);
    assert_eq!(waits.because.disposition, "kept by min_dwell, 15m; wanted is fold: rule `fleets`");
    assert_eq!(waits.next, "folded into scaling_group web at 2026-01-01T00:16:00Z or later, if the rules still say so");
    assert_eq!(waits.timers, [Timer { name: "min_dwell", due: Some(minute(16)) }]);
    assert_eq!(told(&estate, 16).next, "folded into scaling_group web by the next sync");
}

#[test]
fn a_machine_of_an_ignored_fleet_is_explained() {
    let policy = under(vec![
        does("no groups", r#"resource.kind == "scaling_group""#, Action::Ignore),
        does("fleets", r#"resource.kind == "instance" && group != null"#, Action::Fold { into: None }),
    ]);
    let (web, fleet) = (machine("web", &[]), group("web", 4));
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&fleet, &web], vec![member(&web, &fleet)]), &policy, 1);
    let told = explain(&estate, &web.key, &policy, minute(2)).expect("known");
    assert_eq!(told.disposition, Disposition::Ignore);
    assert_eq!(told.because.disposition, "it would be folded into web, which is ignored");
    assert_eq!(told.next, "nothing, it has no record: it would be folded into web, which is ignored");
}
