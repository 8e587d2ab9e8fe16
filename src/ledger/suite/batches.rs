//! Deliveries: what is noted before sending, and what answers make of the rows.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::samples::{at, change, deliver, digest, done, edge, edge_change, failed, fields, key, lease, run, tally, target};
use super::{Place, on_both};
use crate::estate::JournalKind;
use crate::ledger::{Answer, Binding, Rows, TargetNews, TargetRow};
use crate::plan::{ChangeKind, DeliveryState, Missed, RecordBrief, RecordEdge, Refusal};
use crate::target::RecordId;

on_both!(
    what_was_sent_outlives_the_process,
    a_record_s_life,
    a_heartbeat_moves_nothing_else,
    edges_go_with_the_record_they_end_at,
    failures_wait_and_are_unparked,
    a_text_may_hold_anything,
    a_change_that_was_not_sent_leaves_the_row,
    a_change_of_which_nobody_knows_fits_to_nothing,
    a_change_without_an_answer_stays_in_flight,
    a_batch_sent_again_counts_once,
    fields_are_loaded_for_those_asked,
    bindings_are_written_and_removed,
    edges_are_bound_and_forgotten,
    an_edge_that_reads_lack_is_remembered,
    a_record_moves_with_its_edges,
    target_rows_read_back,
);

async fn state(ledger: &dyn crate::ledger::Ledger) -> crate::plan::TargetState {
    ledger.load_target(&target(), Timestamp::MIN).await.unwrap()
}

async fn what_was_sent_outlives_the_process(place: &Place) {
    let ledger = place.open().await;
    let holder = lease(&*ledger, "a", at(0)).await;
    let changes: Vec<_> = (1..=3).map(|n| change(n, ChangeKind::Create)).collect();
    let ids = ledger.begin_batch(&holder, &run(), &changes, &[], at(1)).await.unwrap();
    drop(ledger);

    let sent = place.open().await.in_flight(&target()).await.unwrap();
    assert_eq!(sent.iter().map(|sent| sent.id).collect::<Vec<_>>(), ids);
    assert_eq!(sent.iter().map(|sent| sent.change.clone()).collect::<Vec<_>>(), changes);
    assert!(sent.iter().all(|sent| sent.run == run()));
    assert_eq!(place.open().await.in_flight(&"snow".parse().unwrap()).await.unwrap(), []);
}

async fn a_record_s_life(place: &Place) {
    let ledger = place.open().await;
    ledger.note_target(&target(), "local", "cmdb.db", &TargetNews::Paused(false)).await.unwrap();
    let holder = lease(&*ledger, "a", at(0)).await;
    let mut row = RecordBrief {
        record: Some(RecordId("rec-1".to_owned())),
        class: "vm".to_owned(),
        kind: crate::model::Kind::Instance,
        account: "123456789012".parse().unwrap(),
        state: DeliveryState::Delivered,
        revision: 1,
        basis: Some(digest(1)),
        created_at: Some(at(1)),
        retired_at: None,
        delivered_at: Some(at(1)),
        beat_at: None,
        refusal: None,
        contributed: false,
        carries: None,
        fields: None,
    };
    let brief = async || state(&*ledger).await.records[&key(1)].clone();
    deliver(&*ledger, &holder, vec![(change(1, ChangeKind::Create), done(1))], at(1)).await;
    assert_eq!(brief().await, row);

    deliver(&*ledger, &holder, vec![(change(1, ChangeKind::Update), done(1))], at(2)).await;
    (row.revision, row.delivered_at) = (2, Some(at(2)));
    assert_eq!(brief().await, row);

    deliver(&*ledger, &holder, vec![(change(1, ChangeKind::Retire), done(1))], at(3)).await;
    (row.revision, row.delivered_at, row.retired_at, row.state) = (3, Some(at(3)), Some(at(3)), DeliveryState::Retired);
    assert_eq!(brief().await, row);

    deliver(&*ledger, &holder, vec![(change(1, ChangeKind::Revive), done(1))], at(4)).await;
    (row.revision, row.delivered_at, row.retired_at, row.state) = (4, Some(at(4)), None, DeliveryState::Delivered);
    assert_eq!(brief().await, row, "and its birth is the first one");

    let purged = Answer::Done { record: RecordId("rec-1".to_owned()), class: "vm".to_owned(), fields: None, contributed: false };
    deliver(&*ledger, &holder, vec![(change(1, ChangeKind::Purge), purged)], at(5)).await;
    (row.revision, row.delivered_at, row.basis, row.state) = (5, Some(at(5)), None, DeliveryState::Purged);
    assert_eq!(brief().await, row, "the tombstone keeps the record's id");
    assert_eq!(ledger.records_of(&key(1)).await.unwrap()[&target()].fields, None);

    assert_eq!(ledger.target_row(&target()).await.unwrap().unwrap().delivered_at, Some(at(5)));
    let history = ledger.history(&key(1)).await.unwrap();
    assert!(history.iter().all(|entry| entry.entry == JournalKind::Delivered));
    let named: Vec<_> = history.iter().map(|entry| entry.fields.contains_key("name")).collect();
    assert_eq!(named, [false, true, true, true, true], "a create repeats nothing");
    let causes: Vec<_> = history.iter().map(|entry| entry.cause.as_str()).collect();
    assert_eq!(causes, ["create", "update", "retire", "revive", "purge"].map(|change| format!("target cmdb: {change}")));
}

async fn a_heartbeat_moves_nothing_else(place: &Place) {
    let ledger = place.open().await;
    ledger.note_target(&target(), "local", "cmdb.db", &TargetNews::Paused(false)).await.unwrap();
    let holder = lease(&*ledger, "a", at(0)).await;
    deliver(&*ledger, &holder, (1..=3).map(|n| (change(n, ChangeKind::Create), done(n))).collect(), at(1)).await;
    let before = state(&*ledger).await;
    let history = ledger.history(&key(1)).await.unwrap();
    let shown = Rows { newest_delivered_at: Some(at(50)), ..Rows::default() };
    ledger.bind(&holder, &shown, at(50)).await.unwrap();
    ledger.note_beats(&holder, &[key(1), key(3), key(9)], at(50)).await.unwrap();

    let mut expected = before.clone();
    for n in [1, 3] {
        expected.records.get_mut(&key(n)).unwrap().beat_at = Some(at(50));
    }
    let after = state(&*ledger).await;
    assert_eq!(after, expected, "and one without a row is left out");
    assert_eq!(ledger.history(&key(1)).await.unwrap(), history);
    assert_eq!(
        ledger.target_row(&target()).await.unwrap().unwrap().delivered_at,
        Some(at(50)),
        "what the target shows is no sign of an old ledger"
    );
    deliver(&*ledger, &holder, vec![(change(1, ChangeKind::Update), done(1))], at(60)).await;
    let row = state(&*ledger).await.records[&key(1)].clone();
    assert_eq!((row.delivered_at, row.beat_at), (Some(at(60)), Some(at(50))));
    ledger.bind(&holder, &Rows { moved: vec![(key(3), key(4))], ..Rows::default() }, at(61)).await.unwrap();
    assert_eq!(state(&*ledger).await.records[&key(4)].beat_at, Some(at(50)));

    lease(&*ledger, "b", at(1000)).await;
    let error = ledger.note_beats(&holder, &[key(1)], at(1001)).await.unwrap_err();
    assert!(matches!(error, crate::ledger::LedgerError::LeaseLost { .. }), "{error}");
    assert_eq!(state(&*ledger).await.records[&key(1)].beat_at, Some(at(50)));
}

async fn edges_go_with_the_record_they_end_at(place: &Place) {
    let ledger = place.open().await;
    let holder = lease(&*ledger, "a", at(0)).await;
    let creates = (1..=3).map(|n| (change(n, ChangeKind::Create), done(n)));
    deliver(&*ledger, &holder, creates.collect(), at(1)).await;
    let relates = [(1, 2), (2, 3), (3, 1)].map(|(from, to)| (edge_change(from, to, ChangeKind::Relate), done(from)));
    deliver(&*ledger, &holder, relates.into(), at(2)).await;
    let delivered = RecordEdge {
        basis: Some(digest(1)),
        created_at: Some(at(2)),
        delivered_at: Some(at(2)),
        state: DeliveryState::Delivered,
        revision: 1,
        refusal: None,
        missed: None,
    };
    assert_eq!(state(&*ledger).await.edges[&edge(1, 2)], delivered);
    let related = ledger.history(&key(1)).await.unwrap();
    assert!(related[1].fields.contains_key(&format!("protected_by {}", key(2))), "{related:?}");

    deliver(&*ledger, &holder, vec![(change(1, ChangeKind::Retire), done(1))], at(3)).await;
    assert_eq!(state(&*ledger).await.edges.into_keys().collect::<Vec<_>>(), [edge(2, 3)]);
    deliver(&*ledger, &holder, vec![(edge_change(2, 3, ChangeKind::Relate), done(2))], at(3)).await;
    let again = RecordEdge { basis: Some(digest(2)), delivered_at: Some(at(3)), revision: 2, ..delivered };
    assert_eq!(state(&*ledger).await.edges[&edge(2, 3)], again, "created when it was first delivered");
    deliver(&*ledger, &holder, vec![(edge_change(2, 3, ChangeKind::Unrelate), done(2))], at(4)).await;
    assert_eq!(state(&*ledger).await.edges, BTreeMap::new());
}

async fn failures_wait_and_are_unparked(place: &Place) {
    let ledger = place.open().await;
    let holder = lease(&*ledger, "a", at(0)).await;
    deliver(&*ledger, &holder, vec![(change(2, ChangeKind::Create), done(2))], at(1)).await;
    let answers = vec![
        (change(1, ChangeKind::Create), failed(1, false)),
        (change(2, ChangeKind::Update), failed(7, true)),
        (edge_change(1, 2, ChangeKind::Relate), failed(7, true)),
    ];
    deliver(&*ledger, &holder, answers, at(2)).await;
    let now = state(&*ledger).await;
    let (new, old) = (&now.records[&key(1)], &now.records[&key(2)]);
    assert_eq!((new.state, new.record.clone(), new.revision, new.refusal.as_ref().unwrap().attempts), (DeliveryState::Failed, None, 0, 1));
    assert_eq!(
        (old.state, old.record.clone(), old.revision, old.refusal.as_ref().unwrap().attempts),
        (DeliveryState::Parked, Some(RecordId("rec-2".to_owned())), 1, 7)
    );
    let refusal =
        Refusal { change: change(2, ChangeKind::Update).id, attempts: 7, next_try_at: Some(at(60)), error: "the name is taken".to_owned() };
    assert_eq!(old.refusal.as_deref(), Some(&refusal));
    assert_eq!((now.edges[&edge(1, 2)].state, now.edges[&edge(1, 2)].delivered_at), (DeliveryState::Parked, None));
    let troubles = ledger.troubles().await.unwrap();
    let listed: Vec<_> = troubles.iter().map(|trouble| (trouble.key.clone(), trouble.relation.clone(), trouble.state)).collect();
    let expected =
        [(key(1), None, DeliveryState::Failed), (key(2), None, DeliveryState::Parked), (key(1), Some(edge(1, 2)), DeliveryState::Parked)];
    assert_eq!(listed, expected);

    assert_eq!(ledger.unpark(Some(&"snow".parse().unwrap()), &[]).await.unwrap(), 0);
    assert_eq!(ledger.unpark(None, &[key(2)]).await.unwrap(), 1);
    let due = &state(&*ledger).await.records[&key(2)];
    assert_eq!(due.state, DeliveryState::Failed);
    assert_eq!(due.refusal.as_deref(), Some(&Refusal { attempts: 0, next_try_at: None, ..refusal }));
    assert_eq!(ledger.unpark(Some(&target()), &[]).await.unwrap(), 3);
    assert!(ledger.troubles().await.unwrap().iter().all(|trouble| trouble.attempts == 0 && trouble.state == DeliveryState::Failed));

    deliver(&*ledger, &holder, vec![(change(2, ChangeKind::Update), done(2))], at(3)).await;
    let mended = &state(&*ledger).await.records[&key(2)];
    assert_eq!((mended.state, mended.refusal.clone(), mended.revision), (DeliveryState::Delivered, None, 2));

    let done = done(2);
    deliver(&*ledger, &holder, vec![(change(2, ChangeKind::Retire), done.clone())], at(4)).await;
    deliver(&*ledger, &holder, vec![(change(2, ChangeKind::Purge), done)], at(5)).await;
    deliver(&*ledger, &holder, vec![(change(2, ChangeKind::Create), failed(1, false))], at(6)).await;
    let successor = &state(&*ledger).await.records[&key(2)];
    assert_eq!((successor.state, successor.exists(), successor.revision), (DeliveryState::Failed, false, 4), "the tombstone is no record");
}

async fn a_text_may_hold_anything(place: &Place) {
    let ledger = place.open().await;
    let holder = lease(&*ledger, "a", at(0)).await;
    let odd = "a\u{0}b\u{1f}\"\\'$1?\u{1f600}".to_owned();
    let failed = Answer::Failed { error: odd.clone(), attempts: 1, next_try_at: None, parked: false, answered: true };
    let answer = Answer::Done { record: RecordId(odd.clone()), class: odd.clone(), fields: None, contributed: false };
    deliver(&*ledger, &holder, vec![(change(1, ChangeKind::Create), failed), (change(2, ChangeKind::Create), answer)], at(1)).await;
    // PostgreSQL's texts hold no NUL; both databases show the same in its place.
    let shown = odd.replace('\0', "\u{fffd}");
    let now = state(&*ledger).await;
    assert_eq!(now.records[&key(1)].refusal.as_ref().map(|refusal| &refusal.error), Some(&shown));
    assert_eq!((&now.records[&key(2)].class, &now.records[&key(2)].record), (&shown, &Some(RecordId(shown.clone()))));
}

async fn a_change_that_was_not_sent_leaves_the_row(place: &Place) {
    let ledger = place.open().await;
    let holder = lease(&*ledger, "a", at(0)).await;
    deliver(&*ledger, &holder, vec![(change(1, ChangeKind::Create), done(1))], at(1)).await;
    let before = state(&*ledger).await;
    deliver(
        &*ledger,
        &holder,
        vec![(change(1, ChangeKind::Retire), Answer::NotSent), (change(2, ChangeKind::Create), Answer::NotSent)],
        at(2),
    )
    .await;
    assert_eq!(state(&*ledger).await, before);
    assert_eq!(ledger.in_flight(&target()).await.unwrap(), []);
}

async fn a_change_of_which_nobody_knows_fits_to_nothing(place: &Place) {
    let ledger = place.open().await;
    let holder = lease(&*ledger, "a", at(0)).await;
    let delivered = vec![
        (change(1, ChangeKind::Create), done(1)),
        (change(2, ChangeKind::Create), done(2)),
        (edge_change(1, 2, ChangeKind::Relate), done(1)),
    ];
    deliver(&*ledger, &holder, delivered, at(1)).await;
    let before = state(&*ledger).await;
    let history = ledger.history(&key(1)).await.unwrap();
    let lost = Answer::Unknown { fields: Some(fields("who knows")) };
    let answers = vec![
        (change(1, ChangeKind::Update), lost.clone()),
        (edge_change(1, 2, ChangeKind::Unrelate), lost.clone()),
        (edge_change(2, 1, ChangeKind::Relate), lost.clone()),
        (edge_change(2, 3, ChangeKind::Unrelate), lost),
    ];
    deliver(&*ledger, &holder, answers, at(2)).await;
    let after = state(&*ledger).await;
    let (was, is) = (&before.records[&key(1)], &after.records[&key(1)]);
    assert_eq!(*is, RecordBrief { basis: None, revision: was.revision + 1, ..was.clone() });
    assert_eq!(ledger.load_fields(&target(), &[key(1)]).await.unwrap()[&key(1)], fields("who knows"));
    let known = RecordEdge { basis: None, state: DeliveryState::Pending, revision: 2, ..before.edges[&edge(1, 2)].clone() };
    let new = RecordEdge { created_at: Some(at(2)), delivered_at: Some(at(2)), revision: 1, ..known.clone() };
    assert_eq!(after.edges, [(edge(1, 2), known), (edge(2, 1), new)].into(), "and none where there was none");
    assert_eq!(ledger.history(&key(1)).await.unwrap(), history, "nothing is told of it");
    assert_eq!(ledger.in_flight(&target()).await.unwrap(), []);
}

async fn a_change_without_an_answer_stays_in_flight(place: &Place) {
    let ledger = place.open().await;
    let holder = lease(&*ledger, "a", at(0)).await;
    let silence = Answer::Failed { error: "no answer".to_owned(), attempts: 1, next_try_at: Some(at(60)), parked: false, answered: false };
    let answers = vec![(change(1, ChangeKind::Create), silence), (change(2, ChangeKind::Create), failed(1, false))];
    deliver(&*ledger, &holder, answers, at(1)).await;
    let left: Vec<_> = ledger.in_flight(&target()).await.unwrap().into_iter().map(|sent| sent.change.key).collect();
    assert_eq!(left, [key(1)]);
    assert_eq!(state(&*ledger).await.records[&key(1)].state, DeliveryState::Failed);
}

async fn a_batch_sent_again_counts_once(place: &Place) {
    let ledger = place.open().await;
    let holder = lease(&*ledger, "a", at(0)).await;
    let (one, two) = (change(1, ChangeKind::Retire), change(2, ChangeKind::Retire));
    let first = [tally(&one, at(1)), tally(&two, at(1))];
    ledger.begin_batch(&holder, &run(), &[one.clone(), two.clone()], &first, at(1)).await.unwrap();
    ledger.begin_batch(&holder, &run(), std::slice::from_ref(&one), &[tally(&one, at(9))], at(9)).await.unwrap();
    let tallies = state(&*ledger).await.tallies;
    assert_eq!(tallies, [tally(&two, at(1)), tally(&one, at(9))]);
    let recent = ledger.load_target(&target(), at(1)).await.unwrap().tallies;
    assert_eq!(recent, [tally(&one, at(9))]);
}

async fn fields_are_loaded_for_those_asked(place: &Place) {
    let ledger = place.open().await;
    let holder = lease(&*ledger, "a", at(0)).await;
    let creates = (1..=3).map(|n| (change(n, ChangeKind::Create), done(n)));
    deliver(&*ledger, &holder, creates.collect(), at(1)).await;
    assert!(state(&*ledger).await.records.values().all(|row| row.fields.is_none()));
    let loaded = ledger.load_fields(&target(), &[key(3), key(1), key(9)]).await.unwrap();
    assert_eq!(loaded, [(key(1), fields("web")), (key(3), fields("web"))].into());
    assert_eq!(ledger.records_of(&key(2)).await.unwrap()[&target()].fields, Some(fields("web")));
}

async fn bindings_are_written_and_removed(place: &Place) {
    let ledger = place.open().await;
    let holder = lease(&*ledger, "a", at(0)).await;
    deliver(&*ledger, &holder, vec![(change(1, ChangeKind::Create), done(1)), (change(2, ChangeKind::Create), done(2))], at(1)).await;
    deliver(&*ledger, &holder, vec![(edge_change(2, 1, ChangeKind::Relate), done(2))], at(1)).await;
    let mut row = state(&*ledger).await.records[&key(1)].clone();
    row.revision += 1;
    row.basis = None;
    row.contributed = true;
    let without_fields = Binding { key: key(1), row: row.clone() };
    let with_fields = Binding { key: key(3), row: RecordBrief { fields: Some(fields("found")), ..row.clone() } };
    let gone = RecordBrief { record: None, ..row.clone() };
    let without_record = Binding { key: key(2), row: gone.clone() };
    let rows = Rows { bound: vec![without_fields, with_fields, without_record], ..Rows::default() };
    ledger.bind(&holder, &rows, at(5)).await.unwrap();

    let now = state(&*ledger).await;
    assert_eq!(now.records, [(key(1), row.clone()), (key(2), gone), (key(3), row.clone())].into());
    assert_eq!(now.edges, BTreeMap::new(), "an edge goes with the record that it started at");
    let loaded = ledger.load_fields(&target(), &[key(1), key(2), key(3)]).await.unwrap();
    assert_eq!(loaded, [(key(1), fields("web")), (key(3), fields("found"))].into(), "fields that were not given stay");
    assert_eq!(ledger.history(&key(2)).await.unwrap().last().unwrap().cause, "target cmdb: its record is gone");

    let settled = Rows { settled: [(key(1), digest(7))].into(), forgotten: vec![key(2), key(3)], ..Rows::default() };
    ledger.bind(&holder, &settled, at(6)).await.unwrap();
    assert_eq!(state(&*ledger).await.records, [(key(1), RecordBrief { basis: Some(digest(7)), ..row })].into());
    assert_eq!(ledger.load_fields(&target(), &[key(3)]).await.unwrap(), BTreeMap::new());
}

async fn edges_are_bound_and_forgotten(place: &Place) {
    let ledger = place.open().await;
    let holder = lease(&*ledger, "a", at(0)).await;
    deliver(&*ledger, &holder, (1..=3).map(|n| (change(n, ChangeKind::Create), done(n))).collect(), at(1)).await;
    let relates = [(1, 2), (1, 3)].map(|(from, to)| (edge_change(from, to, ChangeKind::Relate), done(from)));
    deliver(&*ledger, &holder, relates.into(), at(1)).await;
    let found = RecordEdge { basis: Some(digest(9)), delivered_at: Some(at(4)), ..state(&*ledger).await.edges[&edge(1, 2)].clone() };
    let bound = BTreeMap::from([(edge(1, 2), found.clone()), (edge(2, 3), found)]);
    let rows = Rows { bound_edges: bound.clone(), forgotten_edges: vec![edge(1, 3), edge(3, 1)], ..Rows::default() };
    ledger.bind(&holder, &rows, at(5)).await.unwrap();
    assert_eq!(state(&*ledger).await.edges, bound);
}

async fn an_edge_that_reads_lack_is_remembered(place: &Place) {
    let ledger = place.open().await;
    let holder = lease(&*ledger, "a", at(0)).await;
    deliver(&*ledger, &holder, (1..=2).map(|n| (change(n, ChangeKind::Create), done(n))).collect(), at(1)).await;
    let relate = || vec![(edge_change(1, 2, ChangeKind::Relate), done(1))];
    deliver(&*ledger, &holder, relate(), at(1)).await;
    let row = || async { state(&*ledger).await.edges[&edge(1, 2)].clone() };
    let bind = async |missed, state| {
        let lacked = RecordEdge { missed: Some(missed), state, ..row().await };
        let bound_edges = BTreeMap::from([(edge(1, 2), lacked.clone())]);
        ledger.bind(&holder, &Rows { bound_edges, ..Rows::default() }, at(2)).await.unwrap();
        assert_eq!(row().await, lacked);
    };
    bind(Missed::Once, DeliveryState::Pending).await;
    deliver(&*ledger, &holder, relate(), at(3)).await;
    let after = row().await;
    assert_eq!(
        (after.missed, after.state, after.created_at),
        (Some(Missed::Once), DeliveryState::Delivered, Some(at(1))),
        "sent once more"
    );
    // Sent for another reason, it begins anew.
    bind(Missed::Rests, DeliveryState::Delivered).await;
    deliver(&*ledger, &holder, relate(), at(4)).await;
    assert_eq!(row().await.missed, None);
}

async fn a_record_moves_with_its_edges(place: &Place) {
    let ledger = place.open().await;
    let holder = lease(&*ledger, "a", at(0)).await;
    let creates = (1..=3).map(|n| (change(n, ChangeKind::Create), done(n)));
    deliver(&*ledger, &holder, creates.collect(), at(1)).await;
    let relates = [(1, 2), (3, 1), (1, 1)].map(|(from, to)| (edge_change(from, to, ChangeKind::Relate), done(from)));
    deliver(&*ledger, &holder, relates.into(), at(1)).await;
    deliver(&*ledger, &holder, vec![(change(9, ChangeKind::Create), failed(1, false))], at(2)).await;
    let before = state(&*ledger).await;
    let moved_rows = Rows { moved: vec![(key(1), key(9))], ..Rows::default() };
    ledger.bind(&holder, &moved_rows, at(3)).await.unwrap();

    let after = state(&*ledger).await;
    let mut moved = before.records[&key(1)].clone();
    moved.revision += 1;
    moved.carries = Some(key(1));
    assert_eq!(after.records[&key(9)], moved);
    assert!(!after.records.contains_key(&key(1)));
    assert_eq!(after.edges.into_keys().collect::<Vec<_>>(), [edge(3, 9), edge(9, 2), edge(9, 9)]);
    assert_eq!(ledger.load_fields(&target(), &[key(9)]).await.unwrap()[&key(9)], fields("web"));
    ledger.bind(&holder, &moved_rows, at(3)).await.unwrap();
    assert_eq!(state(&*ledger).await.records[&key(9)], moved, "nothing moves twice");
    let bind = async |from, to| ledger.bind(&holder, &Rows { moved: vec![(key(from), key(to))], ..Rows::default() }, at(4)).await.unwrap();
    bind(9, 10).await;
    assert_eq!(state(&*ledger).await.records[&key(10)].carries, Some(key(1)), "the record itself has not moved yet");
    bind(10, 1).await;
    assert_eq!(state(&*ledger).await.records[&key(1)].carries, None, "back where it was");
    bind(1, 9).await;
    deliver(&*ledger, &holder, vec![(change(9, ChangeKind::Update), done(1))], at(5)).await;
    assert_eq!(state(&*ledger).await.records[&key(9)].carries, None, "a delivery writes the key");
}

async fn target_rows_read_back(place: &Place) {
    let ledger = place.open().await;
    assert_eq!(ledger.target_row(&target()).await.unwrap(), None);
    let met = TargetNews::Met {
        address: "moved.db".to_owned(),
        instance: Some("f00".to_owned()),
        estate: Some(crate::estate::EstateId("earlier".to_owned())),
        verified_at: Some(at(1)),
        at: at(3),
    };
    let mut row = TargetRow { kind: "local".to_owned(), address: "cmdb.db".to_owned(), ..TargetRow::default() };
    type Change = fn(&mut TargetRow);
    let steps: [(TargetNews, Change); 6] = [
        (TargetNews::Paused(true), |row| row.paused = true),
        (TargetNews::Recover(true), |row| row.recover = true),
        (TargetNews::Address("elsewhere.db".to_owned()), |row| row.address = "elsewhere.db".to_owned()),
        (met, |row| {
            row.address = "moved.db".to_owned();
            row.instance = Some("f00".to_owned());
            row.estate = Some(crate::estate::EstateId("earlier".to_owned()));
            row.verified_at = Some(at(1));
            row.met_at = Some(at(3));
        }),
        (TargetNews::Succeeded(at(2)), |row| row.succeeded_at = Some(at(2))),
        (TargetNews::Recover(false), |row| row.recover = false),
    ];
    for (news, change) in steps {
        ledger.note_target(&target(), "local", "cmdb.db", &news).await.unwrap();
        change(&mut row);
        assert_eq!(ledger.target_row(&target()).await.unwrap(), Some(row.clone()), "{news:?}");
    }
    assert!(state(&*ledger).await.paused);
    ledger.note_target(&"snow".parse().unwrap(), "local", "other.db", &TargetNews::Paused(false)).await.unwrap();
    assert_eq!(ledger.target_row(&target()).await.unwrap(), Some(row));
}
