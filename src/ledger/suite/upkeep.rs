//! Holds, verdicts, runs, pruning and checking.

use jiff::Timestamp;
use serde_json::json;

use super::samples::{
    at, change, deliver, digest, done, edge, estate, key, known, known_edge, known_scope, lease, resource, scope, tally, target,
};
use super::{Place, on_both};
use crate::doctor::Health;
use crate::estate::{Fence, JournalEntry, JournalKind};
use crate::ledger::{Pruned, RunId, RunRow};
use crate::model::Digest;
use crate::plan::{ChangeKind, Guardrail, Hold, Verdict, VerdictKind};

on_both!(
    holds_are_replaced_per_target,
    rejected_holds_stay_until_they_are_asked_about_again,
    the_last_verdict_stands,
    runs_are_listed_newest_first,
    the_past_is_read_from_a_time_on,
    pruning_leaves_the_present,
    checking_finds_damage
);

fn hold(n: u32, target: &str) -> Hold {
    Hold {
        id: digest(n),
        target: target.parse().unwrap(),
        guardrails: vec![Guardrail::BlastRadius],
        text: "too many".to_owned(),
        share: Some(33.3),
        limit: Some(20.0),
        changes: vec![change(n, ChangeKind::Retire)],
    }
}

fn verdict(change: Digest, said: VerdictKind, second: i64) -> Verdict {
    Verdict { change, target: target(), verdict: said, fence: Fence(second), at: at(second) }
}

async fn holds_are_replaced_per_target(place: &Place) {
    let ledger = place.open().await;
    let other = "snow".parse().unwrap();
    ledger.put_holds(&target(), &[hold(1, "cmdb"), hold(2, "cmdb")], at(0)).await.unwrap();
    ledger.put_holds(&other, &[hold(3, "snow")], at(0)).await.unwrap();
    ledger.put_holds(&target(), &[hold(2, "cmdb")], at(1)).await.unwrap();
    assert_eq!(ledger.holds().await.unwrap(), [hold(2, "cmdb"), hold(3, "snow")]);
    ledger.put_holds(&target(), &[], at(2)).await.unwrap();
    assert_eq!(ledger.holds().await.unwrap(), [hold(3, "snow")]);
}

async fn rejected_holds_stay_until_they_are_asked_about_again(place: &Place) {
    let ledger = place.open().await;
    ledger.put_holds(&target(), &[hold(1, "cmdb"), hold(2, "cmdb")], at(0)).await.unwrap();
    ledger.judge(&hold(1, "cmdb"), VerdictKind::Rejected, at(1)).await.unwrap();
    assert_eq!(ledger.holds().await.unwrap(), [hold(2, "cmdb")]);
    ledger.put_holds(&target(), &[], at(2)).await.unwrap();
    assert_eq!((ledger.holds().await.unwrap(), ledger.rejected_holds().await.unwrap()), (vec![], vec![hold(1, "cmdb")]));
    let verdicts = ledger.load_target(&target(), at(0)).await.unwrap().verdicts;
    assert_eq!(verdicts.into_values().map(|verdict| verdict.verdict).collect::<Vec<_>>(), [VerdictKind::Rejected]);

    ledger.put_holds(&target(), &[hold(1, "cmdb")], at(3)).await.unwrap();
    assert_eq!((ledger.holds().await.unwrap(), ledger.rejected_holds().await.unwrap()), (vec![hold(1, "cmdb")], vec![]));
    ledger.judge(&hold(1, "cmdb"), VerdictKind::Rejected, at(4)).await.unwrap();
    ledger.judge(&hold(1, "cmdb"), VerdictKind::Approved, at(5)).await.unwrap();
    assert_eq!(ledger.rejected_holds().await.unwrap(), []);

    ledger.judge(&hold(1, "cmdb"), VerdictKind::Rejected, at(6)).await.unwrap();
    ledger.retain_holds(&[target()].into()).await.unwrap();
    assert_eq!(ledger.rejected_holds().await.unwrap(), [hold(1, "cmdb")]);
    ledger.retain_holds(&["snow".parse().unwrap()].into()).await.unwrap();
    assert_eq!((ledger.holds().await.unwrap(), ledger.rejected_holds().await.unwrap()), (vec![], vec![]));
}

async fn the_last_verdict_stands(place: &Place) {
    let ledger = place.open().await;
    ledger.put_verdicts(&[verdict(digest(1), VerdictKind::Rejected, 1), verdict(digest(2), VerdictKind::Approved, 1)]).await.unwrap();
    ledger.put_verdicts(&[verdict(digest(1), VerdictKind::Approved, 2)]).await.unwrap();
    let state = ledger.load_target(&target(), at(0)).await.unwrap();
    let expected = [verdict(digest(1), VerdictKind::Approved, 2), verdict(digest(2), VerdictKind::Approved, 1)];
    assert_eq!(state.verdicts, expected.map(|verdict| (verdict.change, verdict)).into());
    assert!(ledger.load_target(&"snow".parse().unwrap(), at(0)).await.unwrap().verdicts.is_empty());
}

async fn runs_are_listed_newest_first(place: &Place) {
    let ledger = place.open().await;
    let row = |n: i64| RunRow {
        run: RunId(format!("run-{n}")),
        started_at: at(n),
        finished_at: Some(at(n + 1)),
        outcome: Some("done".to_owned()),
        counts: [("cmdb".to_owned(), [("create".to_owned(), 3)].into())].into(),
        report: Some(json!({"text": "\u{0}", "share": 0.1})),
    };
    for n in 1..=2 {
        ledger.start_run(&row(n).run, at(n)).await.unwrap();
        ledger.finish_run(&row(n)).await.unwrap();
    }
    // By its own clock it began before all others.
    let killed = RunRow { started_at: at(0), finished_at: None, outcome: None, counts: Default::default(), report: None, ..row(3) };
    ledger.start_run(&killed.run, at(0)).await.unwrap();
    let brief = |n| RunRow { report: None, ..row(n) };
    assert_eq!(ledger.runs(2).await.unwrap(), [killed, brief(2)]);
    assert_eq!(ledger.run(&row(1).run).await.unwrap(), Some(row(1)));
    ledger.finish_run(&RunRow { outcome: Some("failed".to_owned()), ..row(1) }).await.unwrap();
    assert_eq!(ledger.run(&row(1).run).await.unwrap(), Some(row(1)), "a run ends once");
    assert_eq!(ledger.run(&RunId("run-9".to_owned())).await.unwrap(), None);
}

async fn the_past_is_read_from_a_time_on(place: &Place) {
    let ledger = place.open().await;
    let entry = |entry, n, second| JournalEntry {
        entry,
        key: key(n),
        at: at(second),
        fence: Fence(2),
        cause: "why".to_owned(),
        fields: Default::default(),
    };
    let mut version = 0;
    // The second run applies a plan that is as old as the first run; the third run's clock stepped back.
    for (run, began, second) in [("first", 10, 10), ("second", 20, 11), ("third", 5, 5)] {
        let mut written = estate([known(resource(1), 1, at(0))]);
        let wanted = [(JournalKind::Observed, 1), (JournalKind::Delivered, 1), (JournalKind::Absent, 2)];
        written.dirty.journal = wanted.into_iter().map(|(kind, n)| entry(kind, n, second)).collect();
        ledger.start_run(&RunId(run.to_owned()), at(began)).await.unwrap();
        version = ledger.commit(&RunId(run.to_owned()), version, &written).await.unwrap();
        let report = Some(json!({ "of": run }));
        let row = RunRow {
            run: RunId(run.to_owned()),
            started_at: at(began),
            finished_at: Some(at(began)),
            outcome: None,
            counts: Default::default(),
            report,
        };
        ledger.finish_run(&row).await.unwrap();
    }
    let mut entries = Vec::new();
    let led_to = ledger.journal(at(15), &mut |run, entry| entries.push((run.map(|run| run.0), entry))).await.unwrap();
    let of = |run: &str, kind, n, second| (Some(run.to_owned()), entry(kind, n, second));
    assert_eq!(led_to, version);
    assert_eq!(
        entries,
        [
            of("second", JournalKind::Observed, 1, 11),
            of("second", JournalKind::Absent, 2, 11),
            of("third", JournalKind::Observed, 1, 5),
            of("third", JournalKind::Absent, 2, 5),
        ]
    );
    let mut runs = Vec::new();
    ledger.reports(at(15), &mut |row| runs.push((row.run.0, row.report))).await.unwrap();
    assert_eq!(runs, [("second".to_owned(), Some(json!({ "of": "second" }))), ("third".to_owned(), Some(json!({ "of": "third" })))]);
    ledger.journal(at(99), &mut |_, entry| panic!("{entry:?}")).await.unwrap();
    ledger.reports(at(99), &mut |row| panic!("{row:?}")).await.unwrap();
}

async fn pruning_leaves_the_present(place: &Place) {
    const DAY: i64 = 86_400;
    let ledger = place.open().await;
    let entry = |n, second| JournalEntry {
        entry: JournalKind::Observed,
        key: key(n),
        at: at(second),
        fence: Fence(1),
        cause: "seen".to_owned(),
        fields: Default::default(),
    };
    let mut written = estate([known(resource(1), 1, at(0))]);
    written.edges.insert(edge(1, 2), known_edge(1));
    written.dirty.edges.insert(edge(1, 2));
    written.dirty.journal = vec![entry(1, 0), entry(5, 0), entry(1, 90 * DAY)];
    ledger.commit(&RunId("old".to_owned()), 0, &written).await.unwrap();
    let holder = lease(&*ledger, "a", at(0)).await;
    deliver(&*ledger, &holder, vec![(change(3, ChangeKind::Create), done(3))], at(0)).await;
    let retire = change(3, ChangeKind::Retire);
    let late = change(4, ChangeKind::Retire);
    let tallies = [tally(&retire, at(0)), tally(&late, at(90 * DAY))];
    ledger.begin_batch(&holder, &RunId("cut-off".to_owned()), &[retire], &tallies, at(0)).await.unwrap();
    ledger
        .put_verdicts(&[verdict(digest(1), VerdictKind::Approved, 0), verdict(digest(2), VerdictKind::Approved, 90 * DAY)])
        .await
        .unwrap();
    for (name, second) in [("old", 0), ("cut-off", 0), ("new", 90 * DAY)] {
        ledger.start_run(&RunId(name.to_owned()), at(second)).await.unwrap();
    }
    let before = (ledger.load_estate().await.unwrap().estate, ledger.load_target(&target(), at(0)).await.unwrap());

    // The delivery of the create is in the journal, too.
    assert_eq!(ledger.prune(at(30 * DAY)).await.unwrap(), Pruned { journal: 3, runs: 1, other: 2 });
    let after = (ledger.load_estate().await.unwrap().estate, ledger.load_target(&target(), Timestamp::MIN).await.unwrap());
    assert_eq!((&after.0.resources, &after.0.edges), (&before.0.resources, &before.0.edges));
    assert_eq!((&after.1.records, &after.1.edges), (&before.1.records, &before.1.edges));
    assert_eq!(after.1.tallies, [tally(&late, at(90 * DAY))]);
    assert_eq!(after.1.verdicts.into_keys().collect::<Vec<_>>(), [digest(2)]);
    assert_eq!(ledger.history(&key(1)).await.unwrap(), [entry(1, 90 * DAY)]);
    assert_eq!(ledger.in_flight(&target()).await.unwrap().len(), 1);
    let left: Vec<_> = ledger.runs(9).await.unwrap().into_iter().map(|row| row.run.0).collect();
    assert_eq!(left, ["new", "cut-off"]);
    assert_eq!(ledger.prune(at(30 * DAY)).await.unwrap(), Pruned::default());
    let names_known = ledger.check().await.unwrap().into_iter().find(|finding| finding.check == "rows name known keys").unwrap();
    assert_eq!(names_known.outcome, Health::Ok);
}

async fn checking_finds_damage(place: &Place) {
    let ledger = place.open().await;
    let mut written = estate([known(resource(1), 0, at(0)), known(resource(2), 0, at(0))]);
    written.scopes.insert(scope("*"), known_scope(0, at(0)));
    written.dirty.scopes.insert(scope("*"));
    ledger.commit(&super::samples::run(), 0, &written).await.unwrap();
    let unsound = async || {
        let findings = ledger.check().await.unwrap();
        assert!(findings.iter().all(|finding| finding.subject == "ledger" && (finding.outcome == Health::Ok) == finding.mend.is_none()));
        findings.into_iter().filter(|finding| finding.outcome != Health::Ok).map(|finding| finding.check).collect::<Vec<_>>()
    };
    assert_eq!(unsound().await, Vec::<String>::new());

    place.tamper("UPDATE resource SET payload = replace(payload, 'web-1', 'web-7')").await;
    assert_eq!(unsound().await, ["resources read back as they were written"]);
    place.tamper("UPDATE resource SET payload = 'cut' WHERE payload LIKE '%web-7%'").await;
    assert_eq!(unsound().await, ["resources read back as they were written"]);
    assert!(ledger.load_estate().await.is_err(), "and is not read as if it were whole");
    place.tamper("DELETE FROM resource WHERE payload = 'cut'").await;
    assert_eq!(unsound().await, Vec::<String>::new());

    place.tamper("UPDATE scope SET fence = 99").await;
    assert_eq!(unsound().await, ["no fence is newer than the last one drawn"]);
    place.tamper("UPDATE scope SET fence = 0").await;
    let holder = lease(&*ledger, "a", at(0)).await;
    deliver(&*ledger, &holder, vec![(change(1, ChangeKind::Create), done(1))], at(1)).await;
    place.tamper("UPDATE record SET record = NULL, revision = -1").await;
    assert_eq!(unsound().await, ["delivered records have an id", "revisions count up from nothing"]);
    place.tamper("DELETE FROM record").await;
    assert_eq!(unsound().await, ["fields belong to records"]);
    place.tamper("DELETE FROM record_fields; DELETE FROM journal; DELETE FROM known_key WHERE key LIKE '%i-0002'").await;
    assert_eq!(unsound().await, ["rows name known keys", "resources read back as they were written"]);
}
