#![expect(clippy::indexing_slicing, clippy::expect_used, clippy::cloned_ref_to_slice_refs, reason = "tests may")]

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::estate::{Dirty, Disposition, EndCause, Estate, Fence, JournalKind, Known, Stage};
use crate::inventory::emptied;
use crate::model::{Key, Kind, Outcome, Relation, RelationType, Resource, Scope};
use crate::plan::Reason;
use crate::source::{Presence, Pull, STATE};
use crate::testing::{decide_again, key, minute, policy, pull, relation, resource, run, scope};

fn instances() -> Scope {
    scope("111111111111", "eu-west-1", Kind::Instance)
}

fn volumes() -> Scope {
    Scope { kind: Kind::Volume, ..instances() }
}

fn machine(state: &str) -> Resource {
    let mut machine = resource(&instances(), "i-1");
    machine.state = Some(state.to_owned());
    machine.created_at = Some(minute(-60));
    machine
}

fn id() -> Key {
    key(&instances(), "i-1")
}

fn listed(resources: impl IntoIterator<Item = Resource>) -> Pull {
    pull([(instances(), Outcome::Complete)], resources, [])
}

fn denied() -> Pull {
    pull([(instances(), Outcome::Denied)], [], [])
}

/// One run at a minute; the minute is the fence as well.
fn step(estate: &mut Estate, pull: &Pull, at: i64) -> Decisions {
    estate.dirty = Dirty::default();
    run(estate, pull, &policy(), minute(at), at).2
}

fn stand(estate: &Estate) -> (Disposition, Stage) {
    let known = &estate.resources[&id()];
    (known.disposition, known.stage)
}

/// Runs at their minutes, each with what the listing shows (`None`: denied); the machine's standing after each.
/// The timers are those of [`policy`]: min_age 15m, confirm_missing 2, retire_after 20m, min_dwell 15m.
#[track_caller]
fn check(runs: &[(i64, Option<&[Resource]>, Disposition, Stage)]) {
    let mut estate = Estate::default();
    for (at, shown, disposition, stage) in runs {
        let pull = shown.map_or_else(denied, |resources| listed(resources.to_vec()));
        let decisions = step(&mut estate, &pull, *at);
        // Every look-up says gone.
        let answers = decisions.proposed.into_keys().map(|key| (key, Presence::Gone)).collect();
        let _ = confirm(&mut estate, answers, minute(*at), Fence(*at));
        let _ = decide_again(&mut estate, &policy(), minute(*at));
        assert_eq!(stand(&estate), (*disposition, *stage), "at minute {at}");
    }
}

fn young(born: i64) -> Resource {
    Resource { created_at: Some(minute(born)), ..machine("running") }
}

use Disposition::{Defer, Record};
use Stage::{Active, Deferred, Inactive, Missing, Retired};

#[test]
fn the_young_wait_for_their_age() {
    let born = young(0);
    let birthless = Resource { created_at: None, ..machine("running") };
    check(&[
        (5, Some(&[born.clone()]), Defer, Deferred),
        (14, Some(&[born.clone()]), Defer, Deferred),
        (15, Some(&[born.clone()]), Record, Active),
    ]);
    check(&[
        (5, Some(&[birthless.clone()]), Defer, Deferred),
        (19, Some(&[birthless.clone()]), Defer, Deferred),
        (20, Some(&[birthless]), Record, Active),
    ]);
    // Not seen, not grown.
    check(&[(5, Some(&[born.clone()]), Defer, Deferred), (50, None, Defer, Deferred), (60, Some(&[born]), Record, Active)]);
    // A birth in the future is age zero.
    check(&[(5, Some(&[young(9)]), Defer, Deferred)]);
    // A stopped one waits as well.
    let stopped = Resource { state: Some("stopped".to_owned()), ..young(0) };
    check(&[(5, Some(&[stopped.clone()]), Defer, Deferred), (30, Some(&[stopped]), Record, Inactive)]);
}

#[test]
fn a_state_that_is_once_not_told_moves_no_stage() {
    let untold = Resource { state: None, ..machine("stopped") };
    let unread = |unread: bool| {
        let mut pull = listed([untold.clone()]);
        if unread {
            pull.unread.insert(id(), [STATE.to_owned()].into());
        }
        pull
    };
    let mut estate = Estate::default();
    for (at, pull, stage) in [
        (1, listed([machine("stopped")]), Inactive),
        (2, unread(true), Inactive),
        (3, unread(true), Inactive),
        (4, listed([machine("running")]), Active),
        (5, unread(true), Active),
        (6, listed([machine("stopped")]), Inactive),
        // A listing that proves that there is no state: nothing says that it is stopped.
        (7, unread(false), Active),
    ] {
        let _ = step(&mut estate, &pull, at);
        assert_eq!(stand(&estate), (Record, stage), "at minute {at}");
    }
}

#[test]
fn one_that_dies_young_is_counted_and_never_recorded() {
    let dead = Resource { state: Some("terminated".to_owned()), ..young(0) };
    check(&[
        (5, Some(&[young(0)]), Defer, Deferred),
        (30, Some(&[dead.clone()]), Defer, Retired),
        (90, Some(&[dead.clone()]), Defer, Retired),
    ]);
    check(&[(5, Some(&[young(0)]), Defer, Deferred), (20, Some(&[]), Defer, Missing), (30, Some(&[]), Defer, Retired)]);
    let mut estate = Estate::default();
    assert_eq!(step(&mut estate, &listed([young(0)]), 5).deferred, 1);
    let decisions = step(&mut estate, &listed([dead.clone()]), 10);
    assert_eq!((decisions.deferred, decisions.died_deferred), (0, 1));
    assert_eq!(step(&mut estate, &listed([dead]), 20).died_deferred, 0);
}

#[test]
fn a_record_is_never_deferred_again() {
    let life = |life: &str, born| {
        let mut machine = young(born);
        machine.attributes.insert("life".to_owned(), json!(life));
        machine
    };
    check(&[(20, Some(&[life("one", 0)]), Record, Active), (30, Some(&[life("two", 29)]), Record, Active)]);
    check(&[(5, Some(&[life("one", 0)]), Defer, Deferred), (30, Some(&[life("two", 29)]), Defer, Deferred)]);
}

#[test]
fn stages_follow_what_listings_say() {
    let (running, stopped, dead) = (machine("running"), machine("stopped"), machine("terminated"));
    check(&[
        (1, Some(&[running.clone()]), Record, Active),
        (2, Some(&[stopped.clone()]), Record, Inactive),
        (3, Some(&[]), Record, Missing),
        (4, Some(&[stopped]), Record, Inactive),
        (5, Some(&[running]), Record, Active),
        (6, Some(&[dead]), Record, Retired),
    ]);
}

#[test]
fn an_absence_needs_its_count_and_its_time() {
    let running: &[Resource] = &[machine("running")];
    check(&[(1, Some(running), Record, Active), (30, Some(&[]), Record, Missing), (31, Some(&[]), Record, Retired)]);
    check(&[
        (1, Some(running), Record, Active),
        (2, Some(&[]), Record, Missing),
        (3, Some(&[]), Record, Missing),
        (20, Some(&[]), Record, Missing),
        (21, Some(&[]), Record, Retired),
    ]);
    // Denied listings neither count nor reset, and freeze what would be due.
    check(&[
        (1, Some(running), Record, Active),
        (30, Some(&[]), Record, Missing),
        (40, None, Record, Missing),
        (50, None, Record, Missing),
        (60, Some(&[]), Record, Retired),
    ]);
    // Seen again: counted anew.
    check(&[
        (1, Some(running), Record, Active),
        (30, Some(&[]), Record, Missing),
        (31, Some(running), Record, Active),
        (60, Some(&[]), Record, Missing),
        (61, Some(&[]), Record, Retired),
    ]);
}

#[test]
fn what_was_retired_for_its_absence_returns_at_once() {
    let running: &[Resource] = &[machine("running")];
    check(&[
        (1, Some(running), Record, Active),
        (30, Some(&[]), Record, Missing),
        (31, Some(&[]), Record, Retired),
        (32, Some(running), Record, Active),
    ]);
}

#[test]
fn a_due_absence_is_proposed_and_waits_for_its_look_up() {
    let mut estate = Estate::default();
    let _ = step(&mut estate, &listed([machine("running")]), 1);
    let _ = step(&mut estate, &listed([]), 30);
    let decisions = step(&mut estate, &listed([]), 31);
    let reason = &decisions.proposed[&id()];
    assert_eq!(reason.rule, "retire_after");
    assert_eq!(reason.text, "absent from 2 complete listings, last seen 2026-01-01T00:01:00Z, 20m or more ago");
    assert_eq!(stand(&estate), (Record, Missing));

    let frozen = step(&mut estate, &denied(), 40);
    assert_eq!((frozen.proposed.len(), &frozen.frozen[&id()]), (0, &instances()));

    let _ = step(&mut estate, &listed([]), 50);
    let confirmed = confirm(&mut estate, BTreeMap::from([(id(), Presence::Gone)]), minute(50), Fence(50));
    assert_eq!(confirmed.retired, [id()]);
    let known = &estate.resources[&id()];
    assert_eq!((known.stage, known.end.as_ref().map(|end| end.cause)), (Retired, Some(EndCause::Absent)));
    assert_eq!(reason_text(known), "absent from 3 complete listings, last seen 2026-01-01T00:01:00Z, and a look-up found it gone");
    let last = estate.dirty.journal.last().expect("an entry");
    assert_eq!((last.entry, last.fields["stage"].to.as_str()), (JournalKind::Decided, Some("retired")));
}

fn reason_text(known: &Known) -> String {
    reason(known).text
}

#[test]
fn a_look_up_that_shows_it_ends_the_absence() {
    let mut estate = Estate::default();
    let mut seen = machine("running");
    seen.attributes.insert("image".to_owned(), json!("x"));
    let _ = step(&mut estate, &listed([seen]), 1);
    let _ = step(&mut estate, &listed([]), 30);
    let mut found = machine("stopped");
    found.attributes.insert("size".to_owned(), json!("a"));
    let confirmed = confirm(&mut estate, BTreeMap::from([(id(), Presence::Present(Box::new(found)))]), minute(31), Fence(31));
    assert_eq!(confirmed.present, [id()]);
    let decisions = decide_again(&mut estate, &policy(), minute(31));
    assert_eq!((decisions.proposed.len(), stand(&estate)), (0, (Record, Inactive)));
    let known = &estate.resources[&id()];
    assert_eq!((known.missing, known.last_seen), (0, minute(31)));
    assert_eq!(json!(known.resource.attributes), json!({"image": "x", "size": "a"}));
}

#[test]
fn answers_that_prove_nothing_change_nothing() {
    let mut estate = Estate::default();
    let _ = step(&mut estate, &listed([machine("running")]), 10);
    estate.dirty = Dirty::default();
    let gone = || BTreeMap::from([(id(), Presence::Gone)]);
    // Nothing missed it.
    let confirmed = confirm(&mut estate, gone(), minute(11), Fence(11));
    assert_eq!((confirmed, stand(&estate)), (Confirmed::default(), (Record, Active)));
    // Something newer is known.
    let _ = step(&mut estate, &listed([]), 12);
    estate.dirty = Dirty::default();
    let confirmed = confirm(&mut estate, gone(), minute(11), Fence(11));
    assert_eq!((confirmed.superseded.as_slice(), stand(&estate)), ([id()].as_slice(), (Record, Missing)));
    assert!(estate.dirty.resources.is_empty());
}

#[test]
fn a_stated_end_is_taken_back_only_by_a_look_up_after_min_dwell() {
    let mut estate = Estate::default();
    let (running, dead) = (machine("running"), machine("terminated"));
    let _ = step(&mut estate, &listed([running.clone()]), 1);
    let _ = step(&mut estate, &listed([dead]), 2);
    // The listing lags behind.
    let decisions = step(&mut estate, &listed([running.clone()]), 10);
    assert_eq!((decisions.revivals_to_confirm.len(), stand(&estate).1), (0, Retired));
    let decisions = step(&mut estate, &listed([running.clone()]), 17);
    assert_eq!((decisions.revivals_to_confirm.first(), stand(&estate).1), (Some(&id()), Retired));

    let mut gone = estate.clone();
    let _ = confirm(&mut gone, BTreeMap::from([(id(), Presence::Gone)]), minute(17), Fence(17));
    let decisions = decide_again(&mut gone, &policy(), minute(17));
    assert_eq!((decisions.revivals_to_confirm.len(), stand(&gone).1), (0, Retired));

    let present = Presence::Present(Box::new(running));
    let confirmed = confirm(&mut estate, BTreeMap::from([(id(), present)]), minute(17), Fence(17));
    assert_eq!((confirmed.revived.as_slice(), stand(&estate).1), ([id()].as_slice(), Active));
}

#[test]
fn an_end_that_people_conclude_holds_until_it_is_seen() {
    let mut estate = Estate::default();
    let _ = step(&mut estate, &listed([machine("running")]), 1);
    let reason = Reason { rule: "scopes retire".to_owned(), text: "its scope is orphaned".to_owned() };
    assert!(conclude(&mut estate, &id(), EndCause::Unwanted, &reason, minute(2)));
    assert!(!conclude(&mut estate, &id(), EndCause::Unwanted, &reason, minute(2)));
    let _ = step(&mut estate, &Pull { exhaustive: true, ..Pull::default() }, 3);
    assert_eq!(stand(&estate).1, Retired);
    let _ = step(&mut estate, &listed([machine("running")]), 4);
    assert_eq!(stand(&estate).1, Active);
}

#[test]
fn a_recovered_row_is_missing_until_it_is_seen() {
    let mut estate = Estate::default();
    let mut known = Known::new(machine("running"), minute(1), Fence(1));
    known.recovered = true;
    known.disposition = Record;
    estate.resources.insert(id(), known);
    let _ = step(&mut estate, &denied(), 2);
    assert_eq!(stand(&estate), (Record, Missing));
    let mut seen = estate.clone();
    let _ = step(&mut seen, &listed([machine("running")]), 3);
    assert_eq!(stand(&seen), (Record, Active));
    let _ = step(&mut estate, &listed([]), 3);
    assert_eq!((stand(&estate), estate.resources[&id()].missing), ((Record, Missing), 1));
}

/// A volume attached to machines of these ages at minute 20; whether it is deferred with them.
#[track_caller]
fn check_dependent(births: &[i64], delete_on_termination: bool, want: Disposition) {
    let volume = resource(&volumes(), "v");
    let machines: Vec<Resource> = births
        .iter()
        .enumerate()
        .map(|(n, born)| Resource { created_at: Some(minute(*born)), ..resource(&instances(), &format!("i-{n}")) })
        .collect();
    let attached: Vec<Relation> = machines
        .iter()
        .map(|machine| {
            let mut edge = relation(RelationType::AttachedTo, &volume.key, &machine.key);
            edge.attributes.insert("delete_on_termination".to_owned(), json!(delete_on_termination));
            edge
        })
        .collect();
    let receipts = [(instances(), Outcome::Complete), (volumes(), Outcome::Complete)];
    let everything = machines.into_iter().chain([volume.clone()]);
    let mut estate = Estate::default();
    let _ = step(&mut estate, &pull(receipts, everything, attached), 20);
    assert_eq!(estate.resources[&volume.key].disposition, want);
}

#[test]
fn what_ends_with_a_machine_shares_its_disposition() {
    check_dependent(&[], true, Record);
    check_dependent(&[0], true, Record);
    check_dependent(&[19], true, Defer);
    check_dependent(&[19], false, Record);
    check_dependent(&[19, 18], true, Defer);
    check_dependent(&[19, 0], true, Record);
}

#[test]
fn what_outlives_a_young_machine_gets_its_own_record() {
    let volume = resource(&volumes(), "v");
    let mut edge = relation(RelationType::AttachedTo, &volume.key, &id());
    edge.attributes.insert("delete_on_termination".to_owned(), json!(true));
    let both = |state: &str| {
        let receipts = [(instances(), Outcome::Complete), (volumes(), Outcome::Complete)];
        pull(receipts, [Resource { state: Some(state.to_owned()), ..young(0) }, volume.clone()], [edge.clone()])
    };
    let mut estate = Estate::default();
    for (at, state, want) in [(5, "running", Defer), (10, "terminated", Defer), (24, "terminated", Defer), (25, "terminated", Record)] {
        let _ = step(&mut estate, &both(state), at);
        assert_eq!(estate.resources[&volume.key].disposition, want, "at minute {at}");
    }
}

#[test]
fn a_service_without_members_retires_by_the_usual_timers() {
    let mut tagged = machine("running");
    tagged.tags.insert("service".to_owned(), "shop".to_owned());
    let service = Key::service("shop").expect("a key");
    let mut estate = Estate::default();
    let _ = step(&mut estate, &listed([tagged]), 1);
    assert_eq!(estate.resources[&service].stage, Active);
    let _ = step(&mut estate, &listed([machine("running")]), 30);
    let decisions = step(&mut estate, &listed([machine("running")]), 31);
    assert!(decisions.proposed.contains_key(&service));
    let decisions = step(&mut estate, &denied(), 32);
    assert_eq!((decisions.proposed.len(), &decisions.frozen[&service]), (0, &instances()));
    let confirmed = confirm(&mut estate, BTreeMap::from([(service.clone(), Presence::Gone)]), minute(32), Fence(32));
    assert_eq!(confirmed.retired, [service]);
}

#[test]
fn new_records_leave_one_journal_entry_and_every_later_decision_one_more() {
    let mut estate = Estate::default();
    let _ = step(&mut estate, &listed([machine("running")]), 1);
    let entries = |estate: &Estate| -> Vec<JournalKind> { estate.dirty.journal.iter().map(|entry| entry.entry).collect() };
    assert_eq!(entries(&estate), [JournalKind::Observed]);
    let _ = step(&mut estate, &listed([machine("stopped")]), 2);
    assert_eq!(entries(&estate), [JournalKind::Observed, JournalKind::Decided]);
    let _ = step(&mut estate, &listed([machine("stopped")]), 3);
    assert_eq!(entries(&estate), []);
}

#[test]
fn a_scope_stays_emptied_whatever_look_ups_say_of_its_members() {
    let fleet: Vec<Resource> =
        (0..5).map(|n| Resource { created_at: Some(minute(-60)), ..resource(&instances(), &format!("i-{n}")) }).collect();
    let mut estate = Estate::default();
    let _ = step(&mut estate, &listed(fleet.clone()), 1);
    let _ = step(&mut estate, &listed([]), 30);
    let second = step(&mut estate, &listed([]), 31);
    assert_eq!((second.proposed.len(), emptied(&estate, &instances())), (5, Some(&instances())));
    // What look-ups say of some members says nothing about the listing.
    let present = Presence::Present(Box::new(fleet[0].clone()));
    let answers = [(fleet[0].key.clone(), present), (fleet[1].key.clone(), Presence::Gone)];
    let confirmed = confirm(&mut estate, BTreeMap::from(answers), minute(31), Fence(31));
    assert_eq!((confirmed.present.len(), confirmed.retired.len()), (1, 1));
    let again = decide_again(&mut estate, &policy(), minute(31));
    assert_eq!((again.proposed.len(), emptied(&estate, &instances())), (3, Some(&instances())));
    let third = step(&mut estate, &listed([fleet[0].clone()]), 32);
    assert_eq!((third.proposed.len(), emptied(&estate, &instances())), (3, None));
}

#[test]
fn an_explanation_says_what_is_next_and_why() {
    let explain_at = |estate: &Estate, at| explain(estate, &id(), &policy(), minute(at)).expect("a known key");
    let mut estate = Estate::default();
    let _ = step(&mut estate, &listed([young(0)]), 5);
    let told = explain_at(&estate, 5);
    assert_eq!(told.next, "recorded when a listing shows it at 2026-01-01T00:15:00Z or later, 15m after its birth");
    assert_eq!(told.timers, [Timer { name: "min_age", due: Some(minute(15)) }]);
    assert_eq!(told.rules[0].set["retire_after"], "20m");

    let _ = step(&mut estate, &listed([young(0)]), 20);
    let _ = step(&mut estate, &listed([]), 30);
    let told = explain_at(&estate, 30);
    assert_eq!(
        told.next,
        "proposed for retirement after 1 complete listing more without it and not before 2026-01-01T00:40:00Z, unless it is seen"
    );
    let _ = step(&mut estate, &denied(), 60);
    let told = explain_at(&estate, 60);
    assert_eq!(told.next, "nothing: frozen, because aws 111111111111 eu-west-1 instance is denied");
    assert_eq!((told.evidence[0].fact.as_str(), told.evidence[0].outcome), ("attributes", Some(Outcome::Denied)));
    assert!(explain(&estate, &key(&instances(), "i-9"), &policy(), minute(60)).is_none());
}

#[test]
fn what_is_missing_gets_no_record_when_its_machine_does() {
    let volume = resource(&volumes(), "v");
    let mut edge = relation(RelationType::AttachedTo, &volume.key, &id());
    edge.attributes.insert("delete_on_termination".to_owned(), json!(true));
    let receipts = [(instances(), Outcome::Complete), (volumes(), Outcome::Complete)];
    let mut estate = Estate::default();
    let _ = step(&mut estate, &pull(receipts.clone(), [young(0), volume.clone()], [edge]), 5);
    let _ = step(&mut estate, &pull(receipts, [young(0)], []), 30);
    let known = &estate.resources[&volume.key];
    assert_eq!((stand(&estate).0, known.disposition, known.stage), (Record, Defer, Missing));
}

#[test]
fn the_pull_that_revives_says_as_much_the_second_time() {
    let edge = relation(RelationType::ProtectedBy, &id(), &key(&Scope { kind: Kind::SecurityGroup, ..instances() }, "sg"));
    let mut estate = Estate::default();
    let _ = step(&mut estate, &pull([(instances(), Outcome::Complete)], [machine("running")], [edge.clone()]), 1);
    let reason = Reason { rule: "test".to_owned(), text: "it was gone".to_owned() };
    assert!(conclude(&mut estate, &id(), EndCause::Absent, &reason, minute(2)));
    // It is back without its edge: that goes with the first sight of the revived machine, not with the second.
    let _ = step(&mut estate, &listed([machine("running")]), 3);
    assert!(!estate.edges.contains_key(&edge.id()));
    let _ = step(&mut estate, &listed([machine("running")]), 3);
    assert!(estate.dirty.edges.is_empty() && estate.dirty.journal.is_empty());
}

#[test]
fn a_closed_account_ends_what_lies_in_it() {
    let accounts = Scope { kind: Kind::Account, ..crate::testing::everywhere(&instances()) };
    let account = |state: &str| Resource { state: Some(state.to_owned()), ..resource(&accounts, "account") };
    let elsewhere = scope("222222222222", "eu-west-1", Kind::Instance);
    let listed = |state: &str, outcome: Outcome, machines: Vec<Resource>| {
        let receipts = [(accounts.clone(), Outcome::Skipped), (instances(), outcome), (elsewhere.clone(), Outcome::Complete)];
        let other = resource(&elsewhere, "i-2");
        pull(receipts, machines.into_iter().chain([account(state), other]), [])
    };
    let mut estate = Estate::default();
    let _ = step(&mut estate, &listed("active", Outcome::Complete, vec![machine("running")]), 0);
    assert_eq!(stand(&estate), (Record, Active));

    // Suspended is not closed, and what a failed listing says is nothing.
    let _ = step(&mut estate, &listed("suspended", Outcome::Skipped, vec![]), 30);
    assert_eq!(stand(&estate), (Record, Active));
    let _ = step(&mut estate, &listed("closed", Outcome::Denied, vec![]), 60);
    assert_eq!(stand(&estate), (Record, Active));

    let _ = step(&mut estate, &listed("closed", Outcome::Skipped, vec![]), 90);
    assert_eq!(stand(&estate), (Record, Retired));
    assert_eq!(estate.resources[&id()].end.as_ref().map(|end| end.cause), Some(EndCause::AccountClosed));
    assert!(reason(&estate.resources[&id()]).text.contains("account 111111111111 is closed"));
    assert_eq!(estate.resources[&key(&elsewhere, "i-2")].stage, Active, "another account's");
    let decisions = step(&mut estate, &listed("closed", Outcome::Skipped, vec![]), 120);
    assert_eq!((stand(&estate), decisions.revivals_to_confirm.len()), ((Record, Retired), 0), "nothing has shown it since");

    assert_eq!(estate.resources[&key(&accounts, "account")].stage, Retired);

    // Opened again: what is shown lives, the account itself first.
    let _ = step(&mut estate, &listed("active", Outcome::Complete, vec![machine("running")]), 121);
    assert_eq!(stand(&estate), (Record, Active));
    assert_eq!(estate.resources[&key(&accounts, "account")].stage, Active);
}

#[test]
fn a_look_up_that_shows_it_is_the_cause_that_is_told() {
    let mut estate = Estate::default();
    let _ = step(&mut estate, &listed([young(-60)]), 1);
    let _ = step(&mut estate, &listed([]), 30);
    assert_eq!(estate.resources[&id()].stage, Missing);
    let stopped = Resource { state: Some("stopped".to_owned()), ..young(-60) };
    let _ = confirm(&mut estate, BTreeMap::from([(id(), Presence::Present(Box::new(stopped)))]), minute(31), Fence(31));
    assert_eq!(estate.resources[&id()].stage, Inactive);
    let causes: Vec<&str> = estate.dirty.journal.iter().map(|entry| entry.cause.as_str()).collect();
    assert!(causes.ends_with(&["a look-up shows it", "a look-up shows it: its provider says stopped"]), "{causes:?}");
}
