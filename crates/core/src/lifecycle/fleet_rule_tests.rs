//! What folding comes to where groups go, fleets do not stand, or nobody can look.
#![expect(clippy::indexing_slicing, clippy::expect_used, reason = "tests may")]

use std::time::Duration;

use super::decider::{Through, decider};
use super::rule_tests::{IS_MACHINE, at, disposition, does, group, into, machine, member, rule, shown, step, under};
use super::*;
use crate::estate::{Disposition, Estate, JournalKind, Stage};
use crate::model::{EdgeId, Key, Kind, Outcome, RelationType, Resource};
use crate::rules::{Action, Rule, Settings};
use crate::source::{Presence, Pull};
use crate::testing::{policy, pull};

const IN_A_FLEET: &str = r#"resource.kind == "instance" && group != null && group.max_size > 1"#;

fn fleets() -> Policy {
    under(vec![does("fleets", IN_A_FLEET, Action::Fold { into: None })])
}

fn pools() -> Rule {
    does("pools", r#"resource.kind == "instance" && "pool" in resource.tags"#, into(r#"resource.tags["pool"]"#))
}

fn fleet(machine: &Resource, name: &str) -> Key {
    Key::fleet(machine.provider, &machine.account, &machine.region, name).expect("a key")
}

fn is_member(estate: &Estate, machine: &Key, fleet: &Key) -> bool {
    estate.edges.contains_key(&EdgeId { from: machine.clone(), relation: RelationType::MemberOf, to: fleet.clone() })
}

/// A run whose look-ups find gone what is proposed.
fn settled(estate: &mut Estate, pull: &Pull, policy: &Policy, minutes: i64) {
    let decisions = step(estate, pull, policy, minutes);
    let gone = decisions.proposed.into_keys().map(|key| (key, Presence::Gone)).collect();
    let _ = confirm(estate, gone, crate::testing::minute(minutes), crate::estate::Fence(minutes));
}

#[test]
fn a_machine_whose_group_is_deleted_becomes_one_of_its_own() {
    let (stays, goes, web) = (machine("i-1", &[]), machine("i-2", &[]), group("web", 4));
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&stays, &goes, &web], vec![member(&stays, &web), member(&goes, &web)]), &fleets(), 1);
    let alone = shown(&[&stays], Vec::new());
    for minutes in [30, 60] {
        settled(&mut estate, &alone, &fleets(), minutes);
    }
    assert_eq!(estate.resources[&web.key].stage, Stage::Retired);
    settled(&mut estate, &alone, &fleets(), 90);
    assert_eq!(disposition(&estate, &stays.key), Disposition::Record);
}

#[test]
fn of_two_groups_the_one_that_is_listed_is_meant() {
    let moves = machine("i-1", &[]);
    for (old, new) in [("aa", "zz"), ("zz", "aa")] {
        let (old, new) = (group(old, 4), group(new, 4));
        let mut estate = Estate::default();
        let _ = step(&mut estate, &shown(&[&moves, &old], vec![member(&moves, &old)]), &fleets(), 1);
        let swapped = shown(&[&moves, &new], vec![member(&moves, &new)]);
        let _ = step(&mut estate, &swapped, &fleets(), 30);
        assert_eq!(estate.resources[&new.key].resource.attributes["member_count"], serde_json::json!(1), "{} is counted", new.key);
        assert_eq!(disposition(&estate, &moves.key), Disposition::Fold);
        for minutes in [60, 90] {
            settled(&mut estate, &swapped, &fleets(), minutes);
        }
        assert_eq!(disposition(&estate, &moves.key), Disposition::Fold);
        assert_eq!(estate.resources[&old.key].stage, Stage::Retired);
    }
}

#[test]
fn a_group_that_one_listing_lacks_keeps_its_members() {
    let (one, web) = (machine("i-1", &[]), group("web", 4));
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&one, &web], vec![member(&one, &web)]), &fleets(), 1);
    let _ = step(&mut estate, &shown(&[&one], Vec::new()), &fleets(), 60);
    assert_eq!(disposition(&estate, &one.key), Disposition::Fold);
}

#[test]
fn what_a_rule_cannot_be_asked_about_stays_in_its_fleet() {
    let heavy = does(
        "by weight",
        r#"resource.kind == "instance" && "weight" in resource.tags && int(resource.tags["weight"]) > 1"#,
        into(r#""heavy""#),
    );
    let policy = under(vec![heavy, does("fleets", IN_A_FLEET, Action::Fold { into: None })]);
    let web = group("web", 4);
    let (before, after) = (machine("i-1", &[("weight", "7")]), machine("i-1", &[("weight", "much")]));
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&before, &web], vec![member(&before, &web)]), &policy, 1);
    let heavy = fleet(&before, "heavy");
    assert!(is_member(&estate, &before.key, &heavy));
    for minutes in [30, 60, 90] {
        settled(&mut estate, &shown(&[&after, &web], vec![member(&after, &web)]), &policy, minutes);
    }
    assert!(is_member(&estate, &after.key, &heavy));
    assert_eq!(estate.resources[&heavy].stage, Stage::Active);
}

#[test]
fn a_group_that_a_rule_cannot_be_asked_about_is_not_ignored() {
    let policy = under(vec![
        does("ranked", r#""rank" in resource.tags && int(resource.tags["rank"]) > 1"#, Action::Record),
        does("no groups", r#"resource.kind == "scaling_group""#, Action::Ignore),
        does("fleets", IN_A_FLEET, Action::Fold { into: None }),
    ]);
    let (one, mut web) = (machine("i-1", &[]), group("web", 4));
    web.tags.insert("rank".to_owned(), "7".to_owned());
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&one, &web], vec![member(&one, &web)]), &policy, 1);
    web.tags.insert("rank".to_owned(), "high".to_owned());
    let _ = step(&mut estate, &shown(&[&one, &web], vec![member(&one, &web)]), &policy, 30);
    assert_eq!((disposition(&estate, &web.key), disposition(&estate, &one.key)), (Disposition::Record, Disposition::Fold));
}

#[test]
fn no_record_is_given_up_for_a_fleet_that_has_none() {
    let one = machine("i-1", &[("pool", "blue")]);
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&one], Vec::new()), &policy(), 1);
    assert_eq!(disposition(&estate, &one.key), Disposition::Record);
    // Of a fleet that no cloud shows nobody knows a birth: this cannot be asked about it.
    let dated = rule(
        "dated",
        r#"resource.created_at < timestamp("2020-01-01T00:00:00Z")"#,
        Some(Action::Record),
        Settings { flag: Some("old".to_owned()), ..Settings::default() },
    );
    let failing = under(vec![pools(), dated]);
    let decisions = step(&mut estate, &shown(&[&one], Vec::new()), &failing, 60);
    assert_eq!(disposition(&estate, &one.key), Disposition::Record);
    let blue = fleet(&one, "blue");
    assert!(decisions.verdicts.failures().any(|(key, _)| *key == blue), "{:?}", decisions.verdicts);
    // The rule is mended: the fleet stands, and the machine goes into it.
    let decisions = step(&mut estate, &shown(&[&one], Vec::new()), &under(vec![pools()]), 120);
    assert_eq!((disposition(&estate, &one.key), disposition(&estate, &blue)), (Disposition::Fold, Disposition::Record));
    assert_eq!(decisions.verdicts.failures().count(), 0);
}

#[test]
fn a_name_that_no_fleet_can_have_is_a_failure() {
    let long = "x".repeat(6000);
    for name in ["a\nb", long.as_str()] {
        let one = machine("i-1", &[("pool", name)]);
        let mut estate = Estate::default();
        let decisions = step(&mut estate, &shown(&[&one], Vec::new()), &under(vec![pools()]), 1);
        assert_eq!(decisions.verdicts.failures().count(), 1);
        assert_eq!(disposition(&estate, &one.key), Disposition::Defer);
    }
}

#[test]
fn what_leaves_a_fleet_unseen_gets_no_record() {
    let (stays, goes, web) = (machine("i-1", &[]), machine("i-2", &[]), group("web", 4));
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&stays, &goes, &web], vec![member(&stays, &web), member(&goes, &web)]), &fleets(), 1);
    let scopes =
        || [(at(Kind::Instance), Outcome::Denied), (at(Kind::ScalingGroup), Outcome::Complete), (at(Kind::Volume), Outcome::Complete)];
    let denied = pull(scopes(), [web.clone()], vec![member(&stays, &web)]);
    for minutes in [60, 120] {
        let _ = step(&mut estate, &denied, &fleets(), minutes);
        assert_eq!(disposition(&estate, &goes.key), Disposition::Fold);
    }
    let _ = step(&mut estate, &shown(&[&stays, &goes, &web], vec![member(&stays, &web)]), &fleets(), 180);
    assert_eq!(disposition(&estate, &goes.key), Disposition::Record);
}

#[test]
fn a_machine_does_not_dwell_in_a_fleet_that_it_left() {
    let (one, two, web) = (machine("i-1", &[]), machine("i-2", &[]), group("web", 4));
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&one, &two, &web], vec![member(&one, &web), member(&two, &web)]), &fleets(), 1);
    let _ = step(&mut estate, &shown(&[&one, &two, &web], vec![member(&two, &web)]), &fleets(), 5);
    assert_eq!((disposition(&estate, &one.key), disposition(&estate, &two.key)), (Disposition::Record, Disposition::Fold));
}

#[test]
fn a_fleet_was_last_seen_when_its_members_were() {
    let policy = Policy {
        timers: Timers { retire_after: Duration::from_secs(3600), confirm_missing: 2, ..policy().timers },
        ..under(vec![pools()])
    };
    let (one, two) = (machine("i-1", &[("pool", "blue")]), machine("i-2", &[("pool", "blue")]));
    let blue = fleet(&one, "blue");
    let mut estate = Estate::default();
    settled(&mut estate, &shown(&[&one, &two], Vec::new()), &policy, 1);
    settled(&mut estate, &shown(&[&two], Vec::new()), &policy, 10);
    // Nobody looks for a while: it stands, and was not seen either.
    let denied = pull([(at(Kind::Instance), Outcome::Denied)], Vec::<Resource>::new(), Vec::new());
    settled(&mut estate, &denied, &policy, 15);
    let is = |estate: &Estate, stage, last_seen| {
        let known = &estate.resources[&blue];
        assert_eq!((known.stage, known.last_seen), (stage, crate::testing::minute(last_seen)));
    };
    is(&estate, Stage::Active, 10);
    settled(&mut estate, &shown(&[], Vec::new()), &policy, 20);
    is(&estate, Stage::Active, 10);
    // The last member's end is concluded, and with it the fleet has no members for the first time.
    settled(&mut estate, &shown(&[], Vec::new()), &policy, 75);
    is(&estate, Stage::Active, 10);
    settled(&mut estate, &shown(&[], Vec::new()), &policy, 76);
    let due = explain(&estate, &blue, &policy, crate::testing::minute(76)).expect("an explanation");
    assert_eq!(due.stage, Stage::Missing, "{due:?}");
    settled(&mut estate, &shown(&[], Vec::new()), &policy, 77);
    is(&estate, Stage::Retired, 10);
    // It comes back with a member, and is seen then.
    settled(&mut estate, &shown(&[&two], Vec::new()), &policy, 80);
    is(&estate, Stage::Active, 80);
}

/// Pools whose fleets wait until a member is two hours old.
fn slow_pools() -> Rule {
    Rule { set: Settings { min_age: Some(Duration::from_secs(7200)), ..Settings::default() }, ..pools() }
}

fn born(machine: Resource, minutes: i64) -> Resource {
    Resource { created_at: Some(crate::testing::minute(minutes)), ..machine }
}

#[test]
fn a_fleet_waits_for_the_age_that_rules_set_for_its_members() {
    let one = born(machine("i-1", &[("pool", "blue")]), 0);
    let (two, blue) = (born(machine("i-2", &[("pool", "blue")]), 115), fleet(&one, "blue"));
    let policy = under(vec![slow_pools()]);
    let mut estate = Estate::default();
    for minutes in [20, 119] {
        let decisions = step(&mut estate, &shown(&[&one], Vec::new()), &policy, minutes);
        assert_eq!((decisions.deferred, decisions.folded), (1, 1), "at minute {minutes}");
        assert_eq!((disposition(&estate, &blue), estate.resources[&blue].stage), (Disposition::Defer, Stage::Deferred));
        assert!(is_member(&estate, &one.key, &blue));
    }
    let waiting = explain(&estate, &blue, &policy, crate::testing::minute(119)).expect("an explanation");
    assert_eq!(
        waiting.because.disposition,
        "neither was any of its members seen at the min_age that rules set for it, nor has it stood that long"
    );
    assert_eq!(waiting.timers, [Timer { name: "min_age", due: Some(crate::testing::minute(120)) }]);
    let due = crate::told::time(crate::testing::minute(120));
    assert_eq!(waiting.next, format!("recorded when a listing shows a member at {due} or later, 2h after its birth"));
    let counted = explain(&estate, &one.key, &policy, crate::testing::minute(119)).expect("an explanation");
    assert!(counted.next.ends_with("which has no record yet"), "{}", counted.next);

    let _ = step(&mut estate, &shown(&[&one, &two], Vec::new()), &policy, 120);
    assert_eq!((disposition(&estate, &blue), estate.resources[&blue].stage), (Disposition::Record, Stage::Active));
    let causes: Vec<&str> = estate
        .dirty
        .journal
        .iter()
        .filter(|entry| entry.key == blue && entry.entry == JournalKind::Decided)
        .map(|entry| &*entry.cause)
        .collect();
    assert_eq!(causes, ["min_age: a member was seen at the age that a rule sets for it, or the fleet has stood that long"; 2]);
    // Only the young one is left, and then none and another young one: what has a record waits no more.
    for minutes in [121, 122, 200] {
        settled(&mut estate, &shown(&[&two], Vec::new()), &policy, minutes);
        assert_eq!((disposition(&estate, &blue), estate.resources[&blue].stage), (Disposition::Record, Stage::Active));
    }
    for minutes in [300, 400, 500, 600] {
        settled(&mut estate, &shown(&[], Vec::new()), &policy, minutes);
    }
    assert_eq!(estate.resources[&blue].stage, Stage::Retired);
    let three = born(machine("i-3", &[("pool", "blue")]), 690);
    settled(&mut estate, &shown(&[&three], Vec::new()), &policy, 700);
    assert_eq!((disposition(&estate, &blue), estate.resources[&blue].stage), (Disposition::Record, Stage::Active));
}

#[test]
fn a_young_fleet_leaves_no_trace() {
    let one = born(machine("i-1", &[("pool", "blue")]), 0);
    let (policy, blue) = (under(vec![slow_pools()]), fleet(&one, "blue"));
    let mut estate = Estate::default();
    for (minutes, shown) in [(20, shown(&[&one], Vec::new())), (60, shown(&[], Vec::new())), (200, shown(&[], Vec::new()))] {
        settled(&mut estate, &shown, &policy, minutes);
    }
    for minutes in [300, 400, 500] {
        settled(&mut estate, &shown(&[], Vec::new()), &policy, minutes);
    }
    let known = &estate.resources[&blue];
    assert_eq!((known.disposition, known.stage), (Disposition::Defer, Stage::Retired));
    // One of that name that is made again waits again.
    let two = born(machine("i-2", &[("pool", "blue")]), 550);
    settled(&mut estate, &shown(&[&two], Vec::new()), &policy, 600);
    assert_eq!((disposition(&estate, &blue), estate.resources[&blue].stage), (Disposition::Defer, Stage::Deferred));
    // The rule that sets the age goes: only machines' own records wait for the default.
    settled(&mut estate, &shown(&[&two], Vec::new()), &under(vec![pools()]), 601);
    assert_eq!(disposition(&estate, &blue), Disposition::Record);
    let decided = estate.dirty.journal.iter().filter(|entry| entry.key == blue && entry.entry == JournalKind::Decided);
    assert_eq!(decided.map(|entry| &*entry.cause).collect::<Vec<_>>(), ["no rule decides", "no rule defers it any more"]);
}

#[test]
fn a_pool_of_short_lives_gets_its_record_once_it_has_stood() {
    let node = |number: i64| born(machine(&format!("i-{number}"), &[("pool", "blue")]), number * 30 - 5);
    let (policy, blue) = (under(vec![slow_pools()]), fleet(&node(0), "blue"));
    let mut estate = Estate::default();
    // Two at a time, and none lives for an hour.
    let seen = |estate: &mut Estate, number: i64| {
        let shown = shown(&[&node(number), &node(number + 1)], Vec::new());
        settled(estate, &shown, &policy, number * 30 + 30);
        (disposition(estate, &blue), estate.resources[&blue].stage)
    };
    for number in 0..4 {
        assert_eq!(seen(&mut estate, number), (Disposition::Defer, Stage::Deferred), "with node {number}");
    }
    let waiting = explain(&estate, &blue, &policy, crate::testing::minute(120)).expect("an explanation");
    assert_eq!(waiting.timers, [Timer { name: "min_age", due: Some(crate::testing::minute(150)) }]);
    let due = crate::told::time(crate::testing::minute(150));
    assert_eq!(waiting.next, format!("recorded when a listing shows a member at {due} or later, 2h after the fleet's first was seen"));
    assert_eq!(seen(&mut estate, 4), (Disposition::Record, Stage::Active));
}

#[test]
fn a_member_that_belongs_no_more_makes_no_record_of_its_fleet() {
    let node = |id: &str, tags: &[(&str, &str)]| born(machine(id, tags), 0);
    let (one, two) = (node("i-1", &[("pool", "blue")]), node("i-2", &[("pool", "blue")]));
    let (bare, blue) = (node("i-1", &[]), fleet(&one, "blue"));
    let of = |estate: &Estate| [&one.key, &blue].map(|key| disposition(estate, key));
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&one, &two], Vec::new()), &under(vec![slow_pools()]), 5);
    // Without the tag it is too young for a record of its own, and then it leaves at once.
    let untagged = shown(&[&bare, &two], Vec::new());
    let _ = step(&mut estate, &untagged, &under(vec![slow_pools()]), 10);
    assert_eq!(of(&estate), [Disposition::Fold, Disposition::Defer]);
    let _ = step(&mut estate, &untagged, &under(vec![slow_pools()]), 20);
    assert_eq!(of(&estate), [Disposition::Record, Disposition::Defer]);
    assert!(!is_member(&estate, &one.key, &blue));

    // The rule defers it by now, or is gone, and with it every member.
    let defers = does("pools", r#"resource.kind == "instance" && "pool" in resource.tags"#, Action::Defer);
    for (rules, left) in [(vec![defers], Disposition::Fold), (Vec::new(), Disposition::Record)] {
        let mut estate = Estate::default();
        let both = shown(&[&one, &two], Vec::new());
        let _ = step(&mut estate, &both, &under(vec![slow_pools()]), 20);
        let _ = step(&mut estate, &both, &under(rules), 30);
        assert_eq!(of(&estate), [left, Disposition::Defer]);
    }
}

#[test]
fn a_fleet_waits_on_while_its_members_ages_are_not_known() {
    // Whether the patience is asked for, nobody could read, and until then nothing is known of the timers.
    let patience = rule(
        "patience",
        "group != null && group.max_size > 2",
        None,
        Settings { retire_after: Some(Duration::from_secs(60)), ..Settings::default() },
    );
    let policy = under(vec![slow_pools(), patience]);
    let one = born(machine("i-1", &[("pool", "blue")]), 0);
    let blue = fleet(&one, "blue");
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&one], Vec::new()), &policy, 20);
    let denied = pull([(at(Kind::Instance), Outcome::Complete), (at(Kind::ScalingGroup), Outcome::Denied)], [one.clone()], Vec::new());
    for minutes in [40, 150] {
        let decisions = step(&mut estate, &denied, &policy, minutes);
        assert_eq!((decisions.deferred, decisions.deferred_by.frozen), (1, 1));
        assert_eq!(
            disposition(&estate, &blue),
            Disposition::Defer,
            "at minute {minutes}: {:?} {:?}",
            decisions.verdicts.of(&one.key),
            estate.edges
        );
    }
    let told = explain(&estate, &blue, &policy, crate::testing::minute(150)).expect("an explanation");
    assert_eq!(told.because.disposition, "the rules could not be asked about its members");
    assert_eq!(told.next, "decided when the rules can be asked about its members");
    let _ = step(&mut estate, &shown(&[&one], Vec::new()), &policy, 151);
    assert_eq!(disposition(&estate, &blue), Disposition::Record);
}

#[test]
fn a_young_fleet_that_lost_its_members_unread_gets_no_record() {
    let one = born(machine("i-1", &[("pool", "blue")]), 0);
    let (policy, blue) = (under(vec![slow_pools()]), fleet(&one, "blue"));
    let ended = Resource { state: Some("terminated".to_owned()), ..one.clone() };
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&one], Vec::new()), &policy, 20);
    let cut = pull([(at(Kind::Instance), Outcome::Truncated)], [ended.clone()], Vec::new());
    let decisions = step(&mut estate, &cut, &policy, 40);
    assert_eq!((decisions.deferred, decisions.deferred_by.frozen), (1, 1));
    assert_eq!((disposition(&estate, &blue), estate.resources[&blue].missing), (Disposition::Defer, 0));
    let told = explain(&estate, &blue, &policy, crate::testing::minute(40)).expect("an explanation");
    assert_eq!(told.because.disposition, "no machine that the rules fold into it is seen alive");
    assert!(told.next.contains("is truncated"), "{}", told.next);
    for minutes in [60, 80, 100] {
        settled(&mut estate, &shown(&[&ended], Vec::new()), &policy, minutes);
    }
    assert_eq!((disposition(&estate, &blue), estate.resources[&blue].stage), (Disposition::Defer, Stage::Retired));
}

#[test]
fn no_record_is_given_up_for_a_fleet_that_waits() {
    let (one, two) = (born(machine("i-1", &[("pool", "blue")]), 0), born(machine("i-2", &[("pool", "blue")]), 60));
    let (blue, both) = (fleet(&one, "blue"), shown(&[&one, &two], Vec::new()));
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&one], Vec::new()), &policy(), 50);
    assert_eq!(disposition(&estate, &one.key), Disposition::Record);
    let slow = under(vec![slow_pools()]);
    let _ = step(&mut estate, &both, &slow, 100);
    let of = |estate: &Estate| [&one.key, &two.key, &blue].map(|key| disposition(estate, key));
    assert_eq!(of(&estate), [Disposition::Record, Disposition::Fold, Disposition::Defer], "the one without a record has none to lose");
    let why = explain(&estate, &one.key, &slow, crate::testing::minute(100)).expect("an explanation").because.disposition;
    assert!(why.contains("which has no record yet"), "{why}");
    let _ = step(&mut estate, &both, &slow, 121);
    assert_eq!(of(&estate), [Disposition::Fold, Disposition::Fold, Disposition::Record]);
}

#[test]
fn a_member_that_dwells_makes_no_fleet_for_others() {
    // Old enough, but with a record since a few minutes only: it cannot be folded yet.
    let (old, young) = (born(machine("i-1", &[("pool", "blue")]), -600), born(machine("i-2", &[("pool", "blue")]), 0));
    let (blue, both) = (fleet(&old, "blue"), shown(&[&old, &young], Vec::new()));
    let mut estate = Estate::default();
    let _ = step(&mut estate, &shown(&[&young], Vec::new()), &policy(), 20);
    let _ = step(&mut estate, &both, &policy(), 58);
    let _ = step(&mut estate, &both, &under(vec![slow_pools()]), 60);
    assert_eq!([&old.key, &young.key].map(|key| disposition(&estate, key)), [Disposition::Record; 2]);
    assert!(!estate.resources.contains_key(&blue));
    let _ = step(&mut estate, &both, &under(vec![slow_pools()]), 80);
    assert_eq!(
        [&old.key, &young.key, &blue].map(|key| disposition(&estate, key)),
        [Disposition::Fold, Disposition::Fold, Disposition::Record]
    );
}

#[test]
fn what_is_folded_into_a_fleet_that_never_was_names_the_rule_that_ignores_it() {
    let ignores = does("no pools", r#"resource.kind == "scaling_group""#, Action::Ignore);
    let one = machine("i-1", &[("pool", "blue")]);
    let mut estate = Estate::default();
    let decisions = step(&mut estate, &shown(&[&one], Vec::new()), &under(vec![pools(), ignores]), 1);
    assert_eq!(disposition(&estate, &one.key), Disposition::Ignore);
    assert!(!estate.resources.contains_key(&fleet(&one, "blue")));
    let known = &estate.resources[&one.key];
    assert_eq!(decider(&estate, &decisions.verdicts, known), ("no pools", Through::Fleet));
}

#[test]
fn nobody_is_troubled_by_what_has_long_ended() {
    let one = machine("i-1", &[("built", "soon")]);
    let mut estate = Estate::default();
    for (minutes, pull) in [(1, shown(&[&one], Vec::new())), (30, shown(&[], Vec::new())), (60, shown(&[], Vec::new()))] {
        settled(&mut estate, &pull, &policy(), minutes);
    }
    assert_eq!(estate.resources[&one.key].stage, Stage::Retired);
    let dated = does("dated", r#""built" in resource.tags && timestamp(resource.tags["built"]) < now"#, Action::Ignore);
    let decisions = step(&mut estate, &shown(&[], Vec::new()), &under(vec![dated]), 90);
    assert_eq!(decisions.verdicts.failures().count(), 0);
}

#[test]
fn a_flag_that_might_be_set_keeps_nothing_alive() {
    let flags = rule(
        "large groups",
        "group != null && group.max_size > 70",
        None,
        Settings { flag: Some("large".to_owned()), ..Settings::default() },
    );
    let patient = rule(
        "patience",
        &format!("{IS_MACHINE} && group != null"),
        None,
        Settings { retire_after: Some(Duration::from_secs(7200)), ..Settings::default() },
    );
    let one = machine("i-1", &[]);
    let ended = Resource { state: Some("terminated".to_owned()), ..one.clone() };
    let denied = |machine: &Resource| {
        let scopes = [(at(Kind::Instance), Outcome::Complete), (at(Kind::ScalingGroup), Outcome::Denied)];
        pull(scopes, [machine.clone()], Vec::new())
    };
    for (rules, wanted) in [(vec![flags], Stage::Retired), (vec![patient], Stage::Deferred)] {
        let policy = under(rules);
        let mut estate = Estate::default();
        let _ = step(&mut estate, &denied(&one), &policy, 1);
        estate.resources.get_mut(&one.key).expect("it").flag = Some("large".to_owned());
        let _ = step(&mut estate, &denied(&ended), &policy, 30);
        assert_eq!(estate.resources[&one.key].stage, wanted);
        if wanted == Stage::Retired {
            assert_eq!(estate.resources[&one.key].flag.as_deref(), Some("large"), "what nobody could ask about stays");
        }
    }
}
