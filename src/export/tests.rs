#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails should stop at once")]

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::estate::{Disposition, End, Fence, KnownScope};
use crate::model::{Attributes, Digest, Key, Kind, Provider, Receipt, Relation, RelationType, Resource};
use crate::source::Pull;
use crate::source::file::tests::parse;

const NOW: &str = "2026-01-02T03:04:05Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn known(resource: Arc<Resource>) -> Known {
    Known {
        digest: resource.digest().unwrap(),
        resource,
        fence: Fence(1),
        news_fence: Fence(1),
        first_seen: now(),
        last_seen: now(),
        missing: 0,
        disposition: Disposition::Record,
        disposition_since: now(),
        stage: Stage::Active,
        stage_since: now(),
        end: None,
        life_since: now(),
        state_since: now(),
        flag: None,
        recovered: false,
    }
}

/// The ledger's view after a first sync of this pull.
fn estate(pull: Pull) -> Estate {
    let scope = |receipt: Receipt| KnownScope {
        source: receipt.source.clone(),
        complete_at: receipt.is_complete().then(now),
        receipt,
        fence: Fence(1),
        at: now(),
        complete_fence: Fence(1),
        accepted: None,
        retire: false,
        emptied: false,
    };
    Estate {
        resources: pull.resources.into_iter().map(|(key, resource)| (key, known(resource))).collect(),
        edges: pull.relations.into_iter().map(|(id, edge)| (id, known_edge(edge))).collect(),
        scopes: pull.receipts.iter().map(|(s, receipt)| (s.clone(), scope(receipt.clone()))).collect(),
        ..Estate::default()
    }
}

fn known_edge(edge: Relation) -> KnownEdge {
    KnownEdge { attributes: edge.attributes, derived: edge.derived, extra: edge.extra, fence: Fence(1) }
}

fn written(estate: &Estate) -> String {
    let mut out = Vec::new();
    write_json(estate, now(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn table(estate: &Estate) -> Vec<csv_crate::StringRecord> {
    let mut out = Vec::new();
    write_csv(estate, &mut out).unwrap();
    csv_crate::ReaderBuilder::new().has_headers(false).from_reader(out.as_slice()).records().map(Result::unwrap).collect()
}

use ::csv as csv_crate;

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,12}", "\\PC{0,6}", Just("\u{0}\n\t\"\\ü".to_owned()), Just("=1+1".to_owned())]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(text(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Fields of a later version, with names that no field of today has.
fn extra() -> impl Strategy<Value = Map<String, Value>> {
    btree_map("x_[a-z]{1,3}", value(), 0..2).prop_map(|map| map.into_iter().collect())
}

fn attributes_of(kind: Kind) -> impl Strategy<Value = Attributes> {
    let known = crate::model::attributes::of(kind).to_vec();
    let names = prop_oneof![
        text(),
        proptest::sample::select(if known.is_empty() { vec!["odd"] } else { known.iter().map(|row| row.name).collect() })
            .prop_map(str::to_owned),
    ];
    let values = prop_oneof![value(), vec(text(), 0..4).prop_map(Value::from), Just(Value::from("2026-01-01T02:00:00+02:00"))];
    vec((names, values), 0..5).prop_map(move |pairs| {
        let canonical = |(name, value): (String, Value)| {
            let value = crate::model::attributes::canonical(kind, &name, value).ok()?;
            Some((name, value))
        };
        pairs.into_iter().filter_map(canonical).collect()
    })
}

fn time() -> impl Strategy<Value = Option<Timestamp>> {
    proptest::option::of((0_i64..4_000_000_000, 0_i32..1_000_000_000).prop_map(|(seconds, nanos)| Timestamp::new(seconds, nanos).unwrap()))
}

const PLACES: [(Provider, &str, &str); 4] = [
    (Provider::Aws, "111111111111", "eu-west-1"),
    (Provider::Aws, "111111111111", "us-east-1"),
    (Provider::Aws, "222222222222", "eu-west-1"),
    (Provider::Azure, "0000-aaaa", "westeurope"),
];

fn resource() -> impl Strategy<Value = Resource> {
    let fixed = (proptest::sample::select(&PLACES[..]), proptest::sample::select(Kind::ALL), 0_u32..40);
    fixed.prop_flat_map(|((provider, account, region), kind, number)| {
        let key = match provider {
            Provider::Azure => Key::azure(&format!("/subscriptions/{account}/{kind}/{number}")),
            _ => Key::aws(&format!("arn:aws:ec2:{region}:{account}:{kind}/{number}")),
        };
        let state = match kind {
            Kind::Instance => proptest::option::of(Just("terminated".to_owned())).boxed(),
            _ => proptest::option::of(text()).boxed(),
        };
        let rest = (proptest::option::of(text()), state, btree_map(text(), text(), 0..3), time(), time(), attributes_of(kind), extra());
        rest.prop_map(move |(name, state, tags, created_at, observed_at, attributes, extra)| Resource {
            key: key.clone().unwrap(),
            kind,
            provider,
            native_id: format!("N-{number}"),
            account: account.parse().unwrap(),
            region: region.parse().unwrap(),
            name,
            state,
            tags,
            created_at,
            observed_at,
            attributes,
            derived: false,
            extra,
        })
    })
}

/// Any inventory that a source could read: edges may end outside, scopes may be incomplete or without a receipt.
fn pull() -> impl Strategy<Value = Pull> {
    let edge =
        (any::<[proptest::sample::Index; 2]>(), proptest::sample::select(RelationType::ALL), btree_map(text(), value(), 0..2), extra());
    let receipt = (proptest::sample::select(&PLACES[..]), proptest::sample::select(Kind::ALL), proptest::sample::select(Outcome::ALL));
    (vec(resource(), 1..12), vec(edge, 0..12), vec((receipt, any::<bool>(), proptest::option::of(text())), 0..12)).prop_map(
        |(resources, edges, receipts)| {
            let mut pull = Pull { exhaustive: true, ..Pull::default() };
            let outside = Key::aws("arn:aws:ec2:eu-west-1:111111111111:vpc/outside").unwrap();
            let mut ends: Vec<Key> = resources.iter().map(|resource| resource.key.clone()).collect();
            ends.push(outside);
            for ([from, to], relation, attributes, extra) in edges {
                let edge =
                    Relation { relation, from: from.get(&ends).clone(), to: to.get(&ends).clone(), attributes, derived: false, extra };
                pull.relations.insert(edge.id(), edge);
            }
            pull.resources = resources.into_iter().map(|resource| (resource.key.clone(), Arc::new(resource))).collect();
            for (((provider, account, region), kind, outcome), wide, error) in receipts {
                let region = if wide { "*" } else { region };
                let scope = Scope { provider, account: account.parse().unwrap(), region: region.parse().unwrap(), kind };
                let _taken =
                    pull.receipts.add(scope, Receipt { source: "any".parse().unwrap(), outcome, count: None, error, extra: Map::new() });
            }
            pull
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn reading_an_export_gives_what_was_exported(pull in pull()) {
        let file = written(&estate(pull.clone()));
        let read = parse(file.as_bytes()).map_err(TestCaseError::fail)?;
        prop_assert_eq!(&read.resources, &pull.resources);
        prop_assert_eq!(&read.relations, &pull.relations);
        for (scope, receipt) in read.receipts.iter() {
            prop_assert_eq!(receipt.count.is_some(), receipt.is_complete());
            let uncounted = Receipt { count: None, ..receipt.clone() };
            prop_assert_eq!(Some((scope, &uncounted)), pull.receipts.iter().find(|(other, _)| *other == scope));
        }
        prop_assert_eq!(read.receipts.len(), pull.receipts.len());
        prop_assert_eq!(written(&estate(read)), file);
    }

    #[test]
    fn the_order_of_entries_does_not_matter(pull in pull(), seed: u64) {
        let file = written(&estate(pull));
        let mut value: Value = serde_json::from_str(&file).unwrap();
        for name in ["receipts", "resources", "relations"] {
            value[name].as_array_mut().unwrap().sort_by_key(|entry| Digest::of_parts([entry.to_string().as_bytes(), &seed.to_le_bytes()]));
        }
        let read = parse(value.to_string().as_bytes()).map_err(TestCaseError::fail)?;
        prop_assert_eq!(written(&estate(read)), file);
    }

    #[test]
    fn a_file_cut_anywhere_is_never_a_shorter_one(pull in pull(), at: proptest::sample::Index) {
        let file = written(&estate(pull));
        let cut = at.index(file.trim_end().len());
        let found = parse(&file.as_bytes()[..cut]);
        prop_assert!(found.is_err());
    }

    #[test]
    fn a_byte_changed_anywhere_never_panics(pull in pull(), at: proptest::sample::Index, byte: u8) {
        let mut file = written(&estate(pull)).into_bytes();
        let at = at.index(file.len());
        file[at] = byte;
        let _either = parse(&file);
    }

    #[test]
    fn a_table_has_a_row_for_each_resource(pull in pull()) {
        let rows = table(&estate(pull.clone()));
        prop_assert_eq!(rows.len(), pull.resources.len() + 1);
        let texts = rows.iter().flatten().filter(|cell| cell.parse::<f64>().is_err());
        for cell in texts {
            prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "{cell:?}");
        }
    }
}

fn instance(id: &str) -> Resource {
    let fields = json!({"key": format!("aws:arn:aws:ec2:eu-west-1:111111111111:instance/{id}"), "kind": "instance", "provider": "aws",
        "native_id": id, "account": "111111111111", "region": "eu-west-1", "state": "running"});
    serde_json::from_value(fields).unwrap()
}

fn derived_service() -> Resource {
    let fields = json!({"key": "service:shop", "kind": "service", "provider": "*", "native_id": "shop", "account": "*", "region": "*", "derived": true});
    serde_json::from_value(fields).unwrap()
}

fn edge(relation: RelationType, from: &Resource, to: &Resource, derived: bool) -> Relation {
    Relation { relation, from: from.key.clone(), to: to.key.clone(), attributes: BTreeMap::new(), derived, extra: Map::new() }
}

fn receipt_of(resource: &Resource, region: &str, outcome: Outcome) -> (Scope, Receipt) {
    let scope = Scope { region: region.parse().unwrap(), ..resource.scope() };
    (scope, Receipt { source: "aws".parse().unwrap(), outcome, count: None, error: None, extra: Map::new() })
}

#[test]
fn what_was_last_seen_absent_is_not_written() {
    let mut pull = Pull::default();
    let (scope, receipt) = receipt_of(&instance("i-0"), "eu-west-1", Outcome::Complete);
    pull.receipts.add(scope, receipt).unwrap();
    for number in 0..7 {
        let found = instance(&format!("i-{number}"));
        let edge = edge(RelationType::Contains, &found, &instance("i-0"), false);
        pull.relations.insert(edge.id(), edge);
        pull.resources.insert(found.key.clone(), found.into());
    }
    let mut estate = estate(pull);
    let ended = |cause| Some(End { at: now(), cause });
    let mut of = |id: &str, change: &dyn Fn(&mut Known)| change(estate.resources.get_mut(&instance(id).key).unwrap());
    of("i-1", &|known| known.missing = 1);
    of("i-2", &|known| known.stage = Stage::Missing);
    of("i-3", &|known| (known.stage, known.end) = (Stage::Retired, ended(EndCause::LookedUp)));
    of("i-4", &|known| (known.stage, known.end) = (Stage::Retired, ended(EndCause::Unwanted)));
    of("i-5", &|known| (known.stage, known.end) = (Stage::Retired, ended(EndCause::Stated)));
    of("i-6", &|known| known.recovered = true);
    let read = parse(written(&estate).as_bytes()).unwrap();
    let left: Vec<&str> = read.resources.values().map(|resource| resource.native_id.as_str()).collect();
    assert_eq!(left, ["i-0", "i-4", "i-5"]);
    assert_eq!(read.relations.len(), 3, "edges go with the end that proves them");
    assert_eq!(read.receipts.iter().map(|(_, receipt)| receipt.count).collect::<Vec<_>>(), [Some(3)]);
    assert_eq!(table(&estate).len(), 8, "people see all of them");
}

#[test]
fn derived_things_are_marked() {
    let (service, machine) = (derived_service(), instance("i-1"));
    let mut pull = Pull::default();
    let edge = edge(RelationType::DependsOn, &service, &machine, true);
    pull.relations.insert(edge.id(), edge);
    for resource in [service, machine] {
        pull.resources.insert(resource.key.clone(), resource.into());
    }
    let file = written(&estate(pull));
    let value: Value = serde_json::from_str(&file).unwrap();
    assert_eq!(value["resources"][1]["derived"], json!(true));
    assert_eq!(value["relations"][0]["derived"], json!(true));
    let read = parse(file.as_bytes()).unwrap();
    assert_eq!((read.resources.len(), read.relations.len(), read.remarks), (1, 0, vec![]));
}

#[test]
fn of_receipts_that_overlap_the_living_and_the_later_is_written() {
    let machine = instance("i-1");
    let outcome_of = |estate: &Estate| {
        let read = parse(written(estate).as_bytes()).unwrap();
        read.receipts.iter().map(|(scope, receipt)| format!("{} {}", scope.region, receipt.outcome)).collect::<Vec<_>>()
    };
    let with = |narrow: Outcome, wide: Outcome, narrow_fence: i64| {
        let mut found = Estate::default();
        for (region, outcome, fence) in [("eu-west-1", narrow, narrow_fence), ("*", wide, 5)] {
            let mut pull = Pull::default();
            let (scope, receipt) = receipt_of(&machine, region, outcome);
            pull.receipts.add(scope, receipt).unwrap();
            let mut scopes = estate(pull).scopes;
            scopes.values_mut().for_each(|scope| scope.fence = Fence(fence));
            found.scopes.append(&mut scopes);
        }
        outcome_of(&found)
    };
    assert_eq!(with(Outcome::Orphaned, Outcome::Complete, 9), ["* complete"]);
    assert_eq!(with(Outcome::Complete, Outcome::Orphaned, 1), ["eu-west-1 complete"]);
    assert_eq!(with(Outcome::Complete, Outcome::Complete, 9), ["eu-west-1 complete"]);
    assert_eq!(with(Outcome::Complete, Outcome::Complete, 1), ["* complete"]);
}

#[test]
fn tables_are_for_people() {
    let mut machine = instance("i-1");
    machine.name = Some("=HYPERLINK(\"http://x\")".to_owned());
    machine.tags = [("env".to_owned(), "prod".to_owned()), ("owner".to_owned(), "a,b".to_owned())].into();
    let attributes =
        json!({"vcpus": 2, "delta": -3, "state": "odd", "network": "@x", "macs": ["a", "b"], "rules": {"deep": 1}, "unset": null});
    machine.attributes = serde_json::from_value(attributes).unwrap();
    let pull = Pull { resources: [(machine.key.clone(), Arc::new(machine))].into(), ..Pull::default() };
    let rows = table(&estate(pull));
    let heads: Vec<&str> = rows[0].iter().skip(13).collect();
    assert_eq!(heads, ["tags", "delta", "macs", "network", "attribute.state", "vcpus"]);
    let cells: Vec<&str> = rows[1].iter().skip(6).collect();
    let fixed = ["'=HYPERLINK(\"http://x\")", "running", "active", "record", NOW, NOW, "", "env=prod;owner=a,b"];
    assert_eq!(cells[..8], fixed);
    assert_eq!(cells[8..], ["-3", "a;b", "'@x", "odd", "2"]);
}
