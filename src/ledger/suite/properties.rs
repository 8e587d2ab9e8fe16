//! Whatever is written is read back, to the last digit and the oddest letter.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Map, Value};

use super::Place;
use super::samples::{at, change, deliver, edge, key, known, lease, resource, run, scope, target};
use crate::doctor::Health;
use crate::estate::{Disposition, End, EndCause, Estate, Fence, Known, KnownEdge, KnownScope, Settler, Stage};
use crate::ledger::{Answer, Ledger};
use crate::model::{EdgeId, Key, Outcome, Receipt, Scope};
use crate::plan::{Change, ChangeKind, FieldState};
use crate::target::RecordId;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        prop::collection::vec(any::<char>(), 0..6).prop_map(|letters| letters.into_iter().collect()),
        Just("\u{0}".to_owned()),
        Just("a\\u0000\u{0}\u{fffd}\u{1f600}\"'{}$1?".to_owned()),
        Just(String::new()),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has finite numbers only", |number| number.is_finite()).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn values() -> impl Strategy<Value = BTreeMap<String, Value>> {
    prop::collection::btree_map(text(), value(), 0..4)
}

/// Names that no field of this version has.
fn extra() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map(text().prop_map(|name| format!("x_{name}")), value(), 0..3).prop_map(|map| map.into_iter().collect())
}

/// Times as the ledger keeps them in columns: to the microsecond.
fn time() -> impl Strategy<Value = Timestamp> {
    (Timestamp::MIN.as_microsecond()..=Timestamp::MAX.as_microsecond()).prop_map(|micros| Timestamp::from_microsecond(micros).unwrap())
}

/// Times as they stand in JSON: to the nanosecond.
fn fine_time() -> impl Strategy<Value = Timestamp> {
    (time(), 0..1_000_i64).prop_map(|(time, nanos)| time.checked_add(jiff::SignedDuration::from_nanos(nanos)).unwrap_or(time))
}

fn any_known() -> impl Strategy<Value = Known> {
    let payload = (text(), prop::option::of(text()), prop::option::of(text()), values(), extra(), prop::option::of(fine_time()));
    let tags = prop::collection::btree_map(text(), text(), 0..3);
    let life = (time(), time(), time(), time(), time(), time(), 0..4_u32, 0..9_i64, any::<bool>());
    let words = (
        prop::sample::select(Disposition::ALL),
        prop::sample::select(Stage::ALL),
        prop::option::of((time(), prop::sample::select(EndCause::ALL))),
    );
    (0..8_u32, payload, tags, life, words, prop::option::of("[a-zß]{0,9}")).prop_map(|(n, payload, tags, life, words, flag)| {
        let mut resource = resource(n);
        let (first_seen, last_seen, disposition_since, stage_since, life_since, state_since, missing, fence, recovered) = life;
        (resource.native_id, resource.name, resource.state, resource.attributes, resource.extra, resource.observed_at) = payload;
        resource.tags = tags;
        Known {
            first_seen,
            last_seen,
            missing,
            disposition: words.0,
            disposition_since,
            stage: words.1,
            stage_since,
            end: words.2.map(|(at, cause)| End { at, cause }),
            life_since,
            state_since,
            flag,
            recovered,
            ..known(resource, fence, at(0))
        }
    })
}

fn any_edge() -> impl Strategy<Value = (EdgeId, KnownEdge)> {
    (0..8_u32, 0..8_u32, values(), any::<bool>(), extra(), any::<i64>()).prop_map(|(from, to, attributes, derived, extra, fence)| {
        (edge(from, to), KnownEdge { attributes, derived, extra, fence: Fence(fence) })
    })
}

fn any_scope() -> impl Strategy<Value = (Scope, KnownScope)> {
    let receipt = (prop::sample::select(Outcome::ALL), prop::option::of(any::<u64>()), prop::option::of(text()));
    let rest = (0..9_i64, 0..9_i64, time(), prop::option::of(time()), prop::option::of(prop::sample::select(Outcome::ALL)), any::<bool>());
    (prop::sample::select(&["*", "eu-west-1", "us-east-1"][..]), receipt, rest).prop_map(|(region, receipt, rest)| {
        let (fence, complete, at, complete_at, accepted, emptied) = rest;
        let source: crate::model::SourceName = "aws".parse().unwrap();
        let known = KnownScope {
            receipt: Receipt {
                source: source.clone(),
                outcome: receipt.0,
                count: receipt.1,
                error: receipt.2,
                extra: serde_json::Map::new(),
            },
            source,
            fence: Fence(fence.max(complete)),
            at,
            complete_at,
            complete_fence: Fence(complete),
            accepted,
            retire: false,
            emptied,
        };
        (scope(region), known)
    })
}

fn any_estate() -> impl Strategy<Value = Estate> {
    let parts =
        (prop::collection::vec(any_known(), 0..5), prop::collection::vec(any_edge(), 0..5), prop::collection::vec(any_scope(), 0..3));
    parts.prop_map(|(resources, edges, scopes)| Estate {
        resources: resources.into_iter().map(|known| (known.resource.key.clone(), known)).collect(),
        edges: edges.into_iter().collect(),
        scopes: scopes.into_iter().collect(),
        dirty: Default::default(),
    })
}

/// Writes one estate after the other over what is there.
async fn estates_read_back(ledger: &dyn Ledger, mut next: Estate) -> Result<(), TestCaseError> {
    let before = ledger.load_estate().await.unwrap();
    next.dirty.resources = before.estate.resources.keys().chain(next.resources.keys()).cloned().collect();
    next.dirty.edges = before.estate.edges.keys().chain(next.edges.keys()).cloned().collect();
    next.dirty.scopes = before.estate.scopes.keys().chain(next.scopes.keys()).cloned().collect();
    ledger.commit(&run(), before.version, &next).await.unwrap();
    let after = ledger.load_estate().await.unwrap().estate;
    for known in next.resources.values_mut() {
        Settler::new(&next.scopes).settle(known);
        let single = ledger.resource(&known.resource.key).await.unwrap();
        prop_assert_eq!(single.as_ref(), Some(&*known));
    }
    prop_assert_eq!(after.resources, next.resources);
    prop_assert_eq!(after.edges, next.edges);
    prop_assert_eq!(after.scopes, next.scopes);
    let digests = ledger.check().await.unwrap().into_iter().find(|finding| finding.check.starts_with("resources read back")).unwrap();
    prop_assert_eq!(digests.outcome, Health::Ok);
    Ok(())
}

fn any_fields() -> impl Strategy<Value = BTreeMap<String, FieldState>> {
    let state = (value(), prop::option::of(value()), prop::option::of(value()), prop::option::of(value()), any::<bool>());
    let state =
        state.prop_map(|(desired, sent, echoed, rewritten, rests)| FieldState { desired, sent, echoed, rewritten, rests, people: false });
    prop::collection::btree_map(text(), state, 0..4)
}

fn any_change() -> impl Strategy<Value = (Change, BTreeMap<String, FieldState>)> {
    let fields = prop::collection::btree_map(text(), (value(), value()), 0..3);
    (fields, text(), text(), any::<bool>(), any_fields()).prop_map(|(fields, class, reason, identifying, states)| {
        let mut change = change(1, ChangeKind::Update);
        change.fields = fields.into_iter().map(|(name, (from, to))| (name, crate::estate::FieldChange { from, to })).collect();
        change.class = class;
        change.reason.text = reason;
        change.identifying = identifying;
        (change, states)
    })
}

/// A change survives being in flight, its fields survive the row and the journal.
async fn deliveries_read_back(ledger: &dyn Ledger, change: Change, fields: BTreeMap<String, FieldState>) -> Result<(), TestCaseError> {
    let holder = lease(ledger, "a", at(0)).await;
    ledger.begin_batch(&holder, &run(), std::slice::from_ref(&change), &[], at(0)).await.unwrap();
    let sent = ledger.in_flight(&target()).await.unwrap();
    prop_assert_eq!(&sent[0].change, &change);
    let answer = |fields| Answer::Done { record: RecordId("rec".to_owned()), class: "vm".to_owned(), fields, contributed: true };
    ledger.finish_batch(&holder, &run(), &[(sent[0].clone(), answer(Some(fields.clone())))], at(1)).await.unwrap();
    let loaded: BTreeMap<Key, _> = ledger.load_fields(&target(), &[key(1)]).await.unwrap();
    prop_assert_eq!(&loaded[&key(1)], &fields);
    let history = ledger.history(&key(1)).await.unwrap();
    prop_assert_eq!(&history.last().unwrap().fields, &change.fields);
    deliver(ledger, &holder, vec![(change, answer(None))], at(2)).await;
    let kept = ledger.load_fields(&target(), &[key(1)]).await.unwrap();
    prop_assert_eq!(&kept[&key(1)], &fields, "an answer without fields leaves them");
    Ok(())
}

fn check(place: impl AsyncFnOnce() -> Place) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let place = runtime.block_on(place());
    let ledger = runtime.block_on(place.open());
    // A runner counts its cases over all that it runs: one for each property.
    // As everywhere, `PROPTEST_CASES` is for long runs.
    let cases = std::env::var("PROPTEST_CASES").map_or(48, |text| text.parse().unwrap());
    let runner = || TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    if let Err(error) = runner().run(&any_estate(), |estate| runtime.block_on(estates_read_back(&*ledger, estate))) {
        panic!("{error}");
    }
    let delivery = |(change, fields)| runtime.block_on(deliveries_read_back(&*ledger, change, fields));
    if let Err(error) = runner().run(&any_change(), delivery) {
        panic!("{error}");
    }
    runtime.block_on(async {
        ledger.close().await;
        place.clear().await;
    });
}

#[test]
fn sqlite_loses_nothing() {
    check(async || Place::file());
}

#[test]
fn postgres_loses_nothing() {
    check(Place::schema);
}
