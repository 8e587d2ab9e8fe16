//! What folding comes to where groups go, fleets do not stand, or nobody can look.
#![expect(clippy::indexing_slicing, clippy::expect_used, reason = "tests may")]

use std::time::Duration;

use super::rule_tests::{IS_MACHINE, at, disposition, does, group, into, machine, member, rule, shown, step, under};
use super::*;
use crate::estate::{Disposition, Estate, Stage};
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
