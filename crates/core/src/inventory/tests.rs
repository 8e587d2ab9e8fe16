#![expect(clippy::indexing_slicing, clippy::expect_used, clippy::unwrap_used, clippy::needless_pass_by_value, reason = "tests may")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;
use crate::estate::{Dirty, End, EndCause, Estate, Fence, JournalKind, Known, KnownScope};
use crate::model::{Key, Kind, Outcome, Provider, Region, Relation, RelationType, Resource, Scope, SourceName, Vital};
use crate::ownership::Ownership;
use crate::source::{Pull, STATE, SourceError};
use crate::testing::{coverage, everywhere, key, minute, pull, relation, resource, scope, source};

const A: &str = "111111111111";
const HERE: &str = "eu-west-1";

fn instances() -> Scope {
    scope(A, HERE, Kind::Instance)
}

fn machine(attributes: Value) -> Resource {
    let mut machine = resource(&instances(), "i-1");
    machine.attributes = serde_json::from_value(attributes).expect("attributes");
    machine
}

fn take(estate: &mut Estate, pull: &Pull, fence: i64) -> Observed {
    take_with(estate, pull, fence, &coverage(pull), false)
}

fn take_with(estate: &mut Estate, pull: &Pull, fence: i64, coverage: &Coverage, narrow: bool) -> Observed {
    estate.dirty = Dirty::default();
    let observing = Observing { at: minute(fence), fence: Fence(fence), narrow, coverage };
    observe(estate, pull.clone(), &observing)
}

fn complete(resources: impl IntoIterator<Item = Resource>) -> Pull {
    pull([(instances(), Outcome::Complete)], resources, [])
}

fn row(estate: &Estate) -> &Known {
    &estate.resources[&key(&instances(), "i-1")]
}

/// One machine seen complete, then read again under `outcome`: its attributes afterwards, and the fields that were journalled.
#[track_caller]
fn check_merge(before: Value, outcome: Outcome, read: Value, after: Value, journalled: &[&str]) {
    let mut estate = Estate::default();
    let _ = take(&mut estate, &complete([machine(before)]), 1);
    let _ = take(&mut estate, &pull([(instances(), outcome)], [machine(read)], []), 2);
    assert_eq!(json!(row(&estate).resource.attributes), after);
    let fields: Vec<&str> = estate.dirty.journal.iter().flat_map(|entry| entry.fields.keys()).map(String::as_str).collect();
    assert_eq!(fields, journalled);
}

#[test]
fn facts_are_replaced_only_where_their_scope_is_complete() {
    use Outcome::{Complete, Truncated};
    let both = json!({"size": "a", "private_addresses": ["10.0.0.1"]});
    check_merge(both.clone(), Complete, both.clone(), both.clone(), &[]);
    check_merge(both.clone(), Complete, json!({"size": "b"}), json!({"size": "b"}), &["attributes.private_addresses", "attributes.size"]);
    check_merge(both.clone(), Truncated, json!({}), both.clone(), &[]);
    check_merge(both.clone(), Truncated, json!({"size": null, "private_addresses": []}), both.clone(), &[]);
    check_merge(
        both.clone(),
        Truncated,
        json!({"size": "b", "vcpus": 2}),
        json!({"size": "b", "vcpus": 2, "private_addresses": ["10.0.0.1"]}),
        &["attributes.size", "attributes.vcpus"],
    );
    check_merge(both, Outcome::Denied, json!({"size": "c"}), json!({"size": "c", "private_addresses": ["10.0.0.1"]}), &["attributes.size"]);
}

#[test]
fn addresses_are_frozen_with_the_interface_listing() {
    let interfaces = scope(A, HERE, Kind::NetworkInterface);
    for (outcome, kept) in [(Outcome::Denied, true), (Outcome::Complete, false)] {
        let mut estate = Estate::default();
        let _ = take(&mut estate, &complete([machine(json!({"size": "a", "macs": ["02:00"]}))]), 1);
        let receipts = [(instances(), Outcome::Complete), (interfaces.clone(), outcome)];
        let _ = take(&mut estate, &pull(receipts, [machine(json!({}))], []), 2);
        assert_eq!(row(&estate).resource.attributes.contains_key("macs"), kept, "{outcome}");
        assert!(!row(&estate).resource.attributes.contains_key("size"));
    }
}

#[test]
fn what_was_not_read_of_a_resource_stays() {
    let mut estate = Estate::default();
    let _ = take(&mut estate, &complete([machine(json!({"size": "a", "vcpus": 2, "memory_mib": 4}))]), 1);
    let mut read = complete([machine(json!({"size": "a"}))]);
    read.unread.insert(key(&instances(), "i-1"), ["memory_mib".to_owned()].into());
    let _ = take(&mut estate, &read, 2);
    // The listing proves that there are no vCPUs; of the memory it knows nothing.
    assert_eq!(json!(row(&estate).resource.attributes), json!({"size": "a", "memory_mib": 4}));
    let _ = take(&mut estate, &complete([machine(json!({"size": "a"}))]), 3);
    assert_eq!(json!(row(&estate).resource.attributes), json!({"size": "a"}));
}

/// A complete listing whose machine's state was not read.
fn stateless(machine: Resource) -> Pull {
    let mut read = complete([machine]);
    read.unread.insert(key(&instances(), "i-1"), [STATE.to_owned()].into());
    read
}

#[test]
fn a_state_that_was_not_read_stays() {
    let stopped = Resource { state: Some("stopped".to_owned()), ..machine(json!({"size": "a", "life": "one"})) };
    let untold = Resource { state: None, ..stopped.clone() };
    let mut estate = Estate::default();
    let _ = take(&mut estate, &complete([stopped.clone()]), 1);
    let observed = take(&mut estate, &stateless(untold.clone()), 2);
    assert_eq!((observed.changed, row(&estate).resource.vital(), row(&estate).state_since), (0, Vital::Inactive, minute(1)));
    assert!(estate.dirty.resources.is_empty() && estate.dirty.journal.is_empty(), "nothing has changed");
    assert_eq!((row(&estate).last_seen, row(&estate).missing), (minute(2), 0), "it was seen all the same");
    // What else was read is taken, and the state is no older for it.
    let resized = Resource { attributes: machine(json!({"size": "b", "life": "one"})).attributes, ..untold.clone() };
    let _ = take(&mut estate, &stateless(resized), 3);
    let fields: Vec<&str> = estate.dirty.journal.iter().flat_map(|entry| entry.fields.keys()).map(String::as_str).collect();
    assert_eq!((fields, row(&estate).state_since), (vec!["attributes.size"], minute(1)));
    // A state that is told counts, whatever is said to be unread.
    let running = Resource { state: Some("running".to_owned()), ..stopped };
    let _ = take(&mut estate, &stateless(running), 4);
    assert_eq!((row(&estate).resource.state.as_deref(), row(&estate).state_since), (Some("running"), minute(4)));
    // Without that word, a complete listing proves that there is no state.
    let _ = take(&mut estate, &complete([untold]), 5);
    assert_eq!((row(&estate).resource.state.as_deref(), row(&estate).state_since), (None, minute(5)));
}

#[test]
fn a_state_that_was_not_read_is_not_that_of_another_life() {
    let life = |life: &str, state: Option<&str>| Resource { state: state.map(str::to_owned), ..machine(json!({"life": life})) };
    let mut estate = Estate::default();
    let _ = take(&mut estate, &stateless(life("one", None)), 1);
    assert_eq!((row(&estate).resource.state.as_deref(), row(&estate).resource.vital()), (None, Vital::Live), "nothing was known");
    let _ = take(&mut estate, &complete([life("one", Some("stopped"))]), 2);
    let observed = take(&mut estate, &stateless(life("two", None)), 3);
    assert_eq!((observed.reborn, row(&estate).resource.state.as_deref()), (1, None));
}

#[test]
fn no_attribute_is_called_as_the_state_is() {
    for kind in Kind::ALL {
        assert!(crate::model::attributes::find(*kind, STATE).is_none(), "{kind}");
    }
}

#[test]
fn edges_that_nobody_looked_for_stay() {
    let mut estate = Estate::default();
    let (from, to) = (key(&instances(), "i-1"), key(&instances(), "i-2"));
    let both = || [machine(json!({})), Resource { key: to.clone(), ..machine(json!({})) }];
    let relation = |to: &Key, port: Option<u16>| {
        let attributes = port.map(|port| ("port".to_owned(), json!(port))).into_iter().collect();
        crate::source::facts::edge(&from, RelationType::RoutesTo, to.clone(), attributes)
    };
    let _ = take(&mut estate, &pull([(instances(), Outcome::Complete)], both(), [relation(&to, Some(80))]), 1);
    let unread = |relations: Vec<Relation>| {
        let mut read = pull([(instances(), Outcome::Complete)], both(), relations);
        read.unread_edges.insert(from.clone(), [RelationType::RoutesTo].into());
        read
    };
    let _ = take(&mut estate, &unread(vec![]), 2);
    assert_eq!(estate.edges.len(), 1);
    let _ = take(&mut estate, &unread(vec![relation(&to, None)]), 3);
    assert_eq!(estate.edges.values().next().map(|edge| json!(edge.attributes)), Some(json!({"port": 80})));
    // Another type was looked for.
    let mut read = pull([(instances(), Outcome::Complete)], both(), []);
    read.unread_edges.insert(from.clone(), [RelationType::ProtectedBy].into());
    let _ = take(&mut estate, &read, 4);
    assert!(estate.edges.is_empty());
}

#[test]
fn another_case_of_an_azure_id_is_no_change() {
    let id = "/subscriptions/s/resourceGroups/RG/providers/Microsoft.Compute/virtualMachines/Web";
    let machine = |id: &str, name: &str| Resource {
        key: Key::azure(id).unwrap(),
        provider: Provider::Azure,
        native_id: id.to_owned(),
        name: Some(name.to_owned()),
        ..machine(json!({}))
    };
    let at = |resource: &Resource| Scope { region: Region::any(), ..resource.scope() };
    let mut estate = Estate::default();
    let (first, second) = (machine(id, "Web"), machine(&id.to_uppercase(), "WEB"));
    let _ = take(&mut estate, &pull([(at(&first), Outcome::Complete)], [first.clone()], []), 1);
    let observed = take(&mut estate, &pull([(at(&first), Outcome::Complete)], [second], []), 2);
    let known = estate.resources.values().next().unwrap();
    assert_eq!((observed.changed, known.resource.native_id.as_str(), known.resource.name.as_deref()), (0, id, Some("Web")));
    assert!(estate.dirty.resources.is_empty(), "nothing to write");
}

#[test]
fn an_azure_resource_stays_where_it_was_when_nobody_says() {
    let at = |region: &str| Resource {
        key: Key::azure("/subscriptions/s/x").unwrap(),
        provider: Provider::Azure,
        region: region.parse().unwrap(),
        ..machine(json!({}))
    };
    let everywhere = Scope { region: Region::any(), ..at("*").scope() };
    let mut estate = Estate::default();
    let _ = take(&mut estate, &pull([(everywhere.clone(), Outcome::Complete)], [at("westeurope")], []), 1);
    let observed = take(&mut estate, &pull([(everywhere, Outcome::Complete)], [at("*")], []), 2);
    assert_eq!((observed.changed, estate.resources.values().next().unwrap().resource.region.as_str()), (0, "westeurope"));
}

#[test]
fn tags_names_and_births_are_facts_too() {
    let mut first = machine(json!({}));
    first.name = Some("web".to_owned());
    first.created_at = Some(minute(-5));
    first.tags = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "1".to_owned())]);
    let mut second = machine(json!({}));
    second.tags = BTreeMap::from([("a".to_owned(), "2".to_owned())]);

    let mut estate = Estate::default();
    let _ = take(&mut estate, &complete([first.clone()]), 1);
    let _ = take(&mut estate, &pull([(instances(), Outcome::Throttled)], [second.clone()], []), 2);
    let resource = &row(&estate).resource;
    assert_eq!((resource.name.as_deref(), resource.created_at), (Some("web"), Some(minute(-5))));
    assert_eq!(json!(resource.tags), json!({"a": "2", "b": "1"}));

    let _ = take(&mut estate, &complete([second]), 3);
    let resource = &row(&estate).resource;
    assert_eq!((resource.name.as_deref(), resource.created_at), (None, None));
    assert_eq!(json!(resource.tags), json!({"a": "2"}));
    let fields: Vec<_> = estate.dirty.journal[0].fields.keys().map(String::as_str).collect();
    assert_eq!(fields, ["created_at", "name", "tags.b"]);
}

#[test]
fn an_unchanged_row_is_not_written() {
    let mut estate = Estate::default();
    let mut seen = machine(json!({"size": "a"}));
    let _ = take(&mut estate, &complete([seen.clone()]), 1);
    assert_eq!(estate.dirty.journal[0].cause, "first seen aws 111111111111 eu-west-1 instance (complete)");
    seen.observed_at = Some(minute(2));
    let observed = take(&mut estate, &complete([seen.clone()]), 2);
    assert_eq!((observed.seen, observed.changed), (1, 0));
    assert!(estate.dirty.resources.is_empty() && estate.dirty.journal.is_empty());
    assert_eq!((row(&estate).last_seen, row(&estate).news_fence), (minute(2), Fence(1)));

    let _ = take(&mut estate, &pull([(instances(), Outcome::Truncated)], [seen], []), 3);
    assert_eq!(estate.dirty.resources.len(), 1, "no complete receipt stands for this sighting");
    assert!(estate.dirty.journal.is_empty());
}

#[test]
fn volatile_attributes_are_stored_without_a_journal_entry() {
    let pools = scope(A, HERE, Kind::Pool);
    let targets = |healthy: u64, health: &str| {
        let mut pool = resource(&pools, "p");
        pool.attributes.insert("healthy_count".to_owned(), json!(healthy));
        let mut edge = relation(RelationType::RoutesTo, &pool.key, &key(&instances(), "i-1"));
        edge.attributes.insert("health".to_owned(), json!(health));
        pull([(pools.clone(), Outcome::Complete)], [pool], [edge])
    };
    let mut estate = Estate::default();
    let _ = take(&mut estate, &targets(1, "healthy"), 1);
    let observed = take(&mut estate, &targets(0, "unhealthy"), 2);
    assert_eq!((observed.changed, observed.rerelated), (0, 0));
    assert_eq!((estate.dirty.resources.len(), estate.dirty.edges.len(), estate.dirty.journal.len()), (1, 1, 0));
    assert_eq!(estate.edges.values().next().expect("an edge").attributes["health"], "unhealthy");
}

#[test]
fn absence_counts_once_per_complete_listing() {
    let mut estate = Estate::default();
    let _ = take(&mut estate, &complete([machine(json!({}))]), 1);
    let absent = |estate: &mut Estate, outcome, fence| {
        let observed = take(estate, &pull([(instances(), outcome)], [], []), fence);
        (row(estate).missing, observed.newly_absent, row(estate).last_seen)
    };
    assert_eq!(absent(&mut estate, Outcome::Denied, 2), (0, 0, minute(1)));
    assert_eq!(absent(&mut estate, Outcome::Complete, 3), (1, 1, minute(1)));
    assert_eq!(estate.dirty.journal[0].entry, JournalKind::Absent);
    assert_eq!(absent(&mut estate, Outcome::Complete, 3), (1, 0, minute(1)));
    assert_eq!(absent(&mut estate, Outcome::Truncated, 4), (1, 0, minute(1)));
    assert_eq!(absent(&mut estate, Outcome::Complete, 5), (2, 0, minute(1)));
    assert!(estate.dirty.journal.is_empty(), "the first absence is news, the second is not");
    assert_eq!(row(&estate).news_fence, Fence(3));
    let narrow = Pull { resources: BTreeMap::new(), ..complete([]) };
    let _ = take_with(&mut estate, &narrow, 6, &coverage(&narrow), true);
    assert_eq!(row(&estate).missing, 2);
    let observed = take(&mut estate, &complete([machine(json!({}))]), 7);
    assert_eq!((row(&estate).missing, observed.returned), (0, 1));
}

#[test]
fn a_narrow_read_empties_nothing_and_touches_no_receipt() {
    let mut estate = Estate::default();
    let _ = take(&mut estate, &complete([machine(json!({"size": "a", "image": "x"}))]), 1);
    let read = pull([(instances(), Outcome::Complete)], [machine(json!({"size": "b"}))], []);
    let observed = take_with(&mut estate, &read, 2, &coverage(&read), true);
    assert_eq!(json!(row(&estate).resource.attributes), json!({"size": "b", "image": "x"}));
    assert!(observed.receipts.is_empty() && estate.dirty.scopes.is_empty());
    assert_eq!(estate.scopes[&instances()].complete_fence, Fence(1));
}

#[test]
fn what_was_read_since_wins() {
    let mut estate = Estate::default();
    let _ = take(&mut estate, &complete([machine(json!({"size": "a"}))]), 1);
    let newer = complete([machine(json!({"size": "c"}))]);
    let _ = take_with(&mut estate, &newer, 5, &coverage(&newer), true);

    let observed = take(&mut estate, &complete([machine(json!({"size": "b"}))]), 3);
    assert_eq!((observed.superseded, json!(row(&estate).resource.attributes)), (1, json!({"size": "c"})));
    let _ = take(&mut estate, &complete([]), 4);
    assert_eq!(row(&estate).missing, 0, "an older absence says nothing");

    // A complete listing under 6 did not show i-2: an older one that does is old news.
    let _ = take(&mut estate, &complete([machine(json!({}))]), 6);
    let _ = take(&mut estate, &complete([resource(&instances(), "i-2")]), 4);
    assert!(!estate.resources.contains_key(&key(&instances(), "i-2")));
    assert_eq!(estate.scopes[&instances()].fence, Fence(6));
}

#[test]
fn the_ended_keep_their_last_facts_and_edges() {
    let groups = scope(A, HERE, Kind::SecurityGroup);
    let mut alive = machine(json!({"size": "a", "private_addresses": ["10.0.0.1"]}));
    alive.tags.insert("owner".to_owned(), "ann".to_owned());
    let edge = relation(RelationType::ProtectedBy, &alive.key, &key(&groups, "sg-1"));
    let mut dead = machine(json!({"provider_state": "terminated"}));
    dead.state = Some("terminated".to_owned());

    let mut estate = Estate::default();
    let _ = take(&mut estate, &pull([(instances(), Outcome::Complete)], [alive], [edge]), 1);
    let _ = take(&mut estate, &complete([dead]), 2);
    let resource = &row(&estate).resource;
    assert_eq!(resource.state.as_deref(), Some("terminated"));
    let want = json!({"size": "a", "private_addresses": ["10.0.0.1"], "provider_state": "terminated"});
    assert_eq!((json!(resource.attributes), resource.tags.len(), estate.edges.len()), (want, 1, 1));
}

#[test]
fn the_ending_keep_what_their_listing_has_lost() {
    let groups = Scope { kind: Kind::SecurityGroup, ..instances() };
    let interfaces = Scope { kind: Kind::NetworkInterface, ..instances() };
    let edge = relation(RelationType::ProtectedBy, &key(&instances(), "i-1"), &key(&groups, "sg"));
    let receipts = || [instances(), groups.clone(), interfaces.clone()].map(|scope| (scope, Outcome::Complete));
    let facts = json!({"private_addresses": ["10.0.0.5"], "macs": ["0a:00"], "size": "a"});
    let read = |state: &str, attributes: Value, born: i64| Resource {
        state: Some(state.to_owned()),
        created_at: Some(minute(born)),
        ..machine(attributes)
    };
    let whole = pull(receipts(), [read("running", facts.clone(), -60)], [edge.clone()]);
    let mut estate = Estate::default();
    let _ = take(&mut estate, &whole, 1);
    // Shutting down, its interfaces gone first; then terminated. With the interfaces the time of the first attachment is lost.
    for (fence, state) in [(2, "stopping"), (3, "terminated")] {
        let _ = take(&mut estate, &pull(receipts(), [read(state, json!({}), -5)], []), fence);
        let known = row(&estate);
        assert_eq!((json!(known.resource.attributes), known.resource.created_at), (facts.clone(), Some(minute(-60))), "{state}");
        assert!(estate.edges.contains_key(&edge.id()), "{state}");
    }
    // A machine that is only being stopped keeps its interfaces, and its listing tells everything.
    let mut estate = Estate::default();
    let _ = take(&mut estate, &whole, 1);
    let stopping = read("stopping", json!({"private_addresses": ["10.0.0.6"]}), -60);
    let _ = take(&mut estate, &pull(receipts(), [stopping], []), 2);
    assert_eq!(json!(row(&estate).resource.attributes), json!({"private_addresses": ["10.0.0.6"]}));
    assert!(!estate.edges.contains_key(&edge.id()));
}

#[test]
fn another_life_under_one_id_begins_anew() {
    let born = |life: &str, at| {
        let mut machine = machine(json!({"life": life}));
        machine.created_at = Some(minute(at));
        machine
    };
    let mut estate = Estate::default();
    let _ = take(&mut estate, &complete([born("one", -100)]), 1);
    let id = key(&instances(), "i-1");
    estate.resources.get_mut(&id).expect("a row").end = Some(End { at: minute(1), cause: EndCause::Absent });
    let observed = take(&mut estate, &complete([born("two", 1)]), 2);
    let known = row(&estate);
    assert_eq!((observed.reborn, known.end.as_ref(), known.missing), (1, None, 0));
    assert_eq!((known.first_seen, known.life_since, known.resource.created_at), (minute(1), minute(2), Some(minute(1))));
    let entry = &estate.dirty.journal[0];
    assert_eq!(entry.entry, JournalKind::Reborn);
    assert_eq!(entry.fields["attributes.life"].from, "one");
    assert_eq!(entry.fields["created_at"].from, minute(-100).to_string());
    assert_eq!(entry.fields["life_since"].from, minute(1).to_string());
    assert_eq!(entry.fields["ended_at"].from, minute(1).to_string());
}

#[test]
fn a_state_is_as_old_as_its_word() {
    let read = |state: &str, memory: u64| Resource { state: Some(state.to_owned()), ..machine(json!({"memory_mib": memory})) };
    let mut estate = Estate::default();
    for (fence, state, memory, since) in
        [(1, "running", 1, 1), (2, "running", 2, 1), (3, "stopped", 2, 3), (4, "stopped", 2, 3), (5, "running", 2, 5)]
    {
        let _ = take(&mut estate, &complete([read(state, memory)]), fence);
        assert_eq!(row(&estate).state_since, minute(since), "{state} in {fence}");
    }
}

/// An edge seen complete, then a pull without it: whether it stays.
#[track_caller]
fn check_edge(edge: &Relation, first: &[Resource], second: &Pull, stays: bool) {
    let mut estate = Estate::default();
    let receipts = second.receipts.iter().map(|(scope, _)| (scope.clone(), Outcome::Complete));
    let _ = take(&mut estate, &pull(receipts, first.to_vec(), [edge.clone()]), 1);
    let _ = take(&mut estate, second, 2);
    assert_eq!(estate.edges.contains_key(&edge.id()), stays);
    let removals = estate.dirty.journal.iter().filter(|entry| entry.entry == JournalKind::Related).count();
    assert_eq!(removals > 0, !stays);
}

#[test]
fn an_edge_goes_only_with_its_proof() {
    use Outcome::{Complete, Denied, Truncated};
    let groups = scope(A, HERE, Kind::ScalingGroup);
    let (member, group) = (machine(json!({})), resource(&groups, "g"));
    let mut dead = member.clone();
    dead.state = Some("terminated".to_owned());
    let both = [member.clone(), group.clone()];
    let scopes = |instance, group| [(instances(), instance), (groups.clone(), group)];

    let membership = relation(RelationType::MemberOf, &member.key, &group.key);
    check_edge(&membership, &both, &pull(scopes(Complete, Complete), both.clone(), []), false);
    check_edge(&membership, &both, &pull(scopes(Truncated, Complete), both.clone(), []), false);
    check_edge(&membership, &both, &pull(scopes(Complete, Truncated), both.clone(), []), true);
    check_edge(&membership, &both, &pull(scopes(Complete, Denied), [member.clone()], []), true);
    check_edge(&membership, &both, &pull(scopes(Complete, Complete), [member.clone()], []), true);
    check_edge(&membership, &both, &pull(scopes(Complete, Complete), [dead, group.clone()], []), true);
    check_edge(&membership, &both, &pull(scopes(Complete, Complete), both.clone(), [membership.clone()]), true);

    let unknown = relation(RelationType::AttachedTo, &key(&scope(A, HERE, Kind::Volume), "v"), &member.key);
    check_edge(&unknown, &both, &pull(scopes(Complete, Complete), both.clone(), []), true);
}

#[test]
fn edges_are_journalled_under_both_ends() {
    let groups = scope(A, HERE, Kind::ScalingGroup);
    let (member, group) = (machine(json!({})), resource(&groups, "g"));
    let receipts = [(instances(), Outcome::Complete), (groups, Outcome::Complete)];
    let edge = relation(RelationType::MemberOf, &member.key, &group.key);
    let mut estate = Estate::default();
    let _ = take(&mut estate, &pull(receipts.clone(), [member.clone(), group.clone()], []), 1);
    let _ = take(&mut estate, &pull(receipts, [member.clone(), group.clone()], [edge]), 2);
    let entries: Vec<_> = estate.dirty.journal.iter().map(|e| (e.key.clone(), e.fields.keys().next().cloned())).collect();
    assert_eq!(
        entries,
        [
            (group.key.clone(), Some(format!("member_of from {}", member.key))),
            (member.key.clone(), Some(format!("member_of to {}", group.key))),
        ]
    );
}

fn name(text: &str) -> SourceName {
    text.parse().expect("a name")
}

/// A scope known from the test source, then a run without a receipt for it: how it ends.
#[track_caller]
fn check_unlisted(sources: impl IntoIterator<Item = (SourceName, SourceCoverage)>, want: Outcome) {
    let mut estate = Estate::default();
    let _ = take(&mut estate, &complete([machine(json!({}))]), 1);
    let coverage = Coverage { sources: sources.into_iter().collect() };
    let observed = take_with(&mut estate, &Pull::default(), 2, &coverage, false);
    assert_eq!(observed.receipts[&instances()].outcome, want);
    let known = &estate.scopes[&instances()];
    assert_eq!((known.receipt.outcome, known.complete_fence, known.complete_at), (want, Fence(1), Some(minute(1))));
    assert_eq!((&known.source, row(&estate).missing), (&source(), 0));
    assert!(estate.dirty.scopes.contains(&instances()));
}

#[test]
fn scopes_without_a_receipt_are_told_apart() {
    let read = |exhaustive| SourceCoverage::Read { exhaustive, scopes: BTreeSet::new() };
    let failed = SourceCoverage::Failed { outcome: Outcome::Denied, error: "no".to_owned() };
    check_unlisted([(source(), read(true))], Outcome::Orphaned);
    check_unlisted([(name("other"), read(true))], Outcome::Orphaned);
    check_unlisted([(source(), SourceCoverage::Skipped), (name("other"), read(true))], Outcome::Skipped);
    check_unlisted([(source(), failed.clone())], Outcome::Denied);
    check_unlisted([(source(), read(false))], Outcome::Failed);
    check_unlisted([(source(), read(true)), (name("other"), failed)], Outcome::Skipped);
    check_unlisted([(name("other"), SourceCoverage::Skipped)], Outcome::Skipped);
}

#[test]
fn a_region_that_was_switched_off_is_disabled_and_proves_nothing() {
    let mut estate = Estate::default();
    let _ = take(&mut estate, &complete([machine(json!({}))]), 1);
    let Scope { account, region, .. } = instances();
    let off = Pull { exhaustive: true, off: BTreeMap::from([((account, region), "not enabled".to_owned())]), ..Pull::default() };
    let (pull, coverage) = gather(BTreeMap::from([(source(), Ok(off))]), [source()]).expect("no overlap");
    let observed = take_with(&mut estate, &pull, 2, &coverage, false);
    assert_eq!(observed.receipts.keys().collect::<Vec<_>>(), [&instances()]);
    let receipt = &estate.scopes[&instances()].receipt;
    assert_eq!((receipt.outcome, receipt.error.as_deref()), (Outcome::Disabled, Some("not enabled")));
    assert_eq!(row(&estate).missing, 0);
}

#[test]
fn an_accepted_gap_ends_when_the_scope_is_complete() {
    let mut estate = Estate::default();
    let _ = take(&mut estate, &pull([(instances(), Outcome::Denied)], [], []), 1);
    estate.scopes.get_mut(&instances()).expect("a scope").accepted = Some(Outcome::Denied);
    let _ = take(&mut estate, &pull([(instances(), Outcome::Denied)], [], []), 2);
    assert_eq!(estate.scopes[&instances()].accepted, Some(Outcome::Denied));
    let _ = take(&mut estate, &complete([]), 3);
    assert_eq!(estate.scopes[&instances()].accepted, None);
}

#[test]
fn a_listing_over_all_regions_takes_the_place_of_regional_ones() {
    let wide = |outcome| pull([(everywhere(&instances()), outcome)], [], []);
    let mut estate = Estate::default();
    let _ = take(&mut estate, &complete([machine(json!({}))]), 1);
    let _ = take(&mut estate, &wide(Outcome::Denied), 2);
    assert_eq!((estate.scopes[&instances()].receipt.outcome, row(&estate).missing), (Outcome::Denied, 0));
    let _ = take(&mut estate, &wide(Outcome::Complete), 3);
    let scopes: Vec<(&Scope, &KnownScope)> = estate.scopes.iter().collect();
    assert_eq!((scopes.len(), scopes[0].0, row(&estate).missing), (1, &everywhere(&instances()), 1));
    assert!(estate.dirty.scopes.contains(&instances()));
}

#[test]
fn an_account_that_could_not_be_read_leaves_no_row_behind() {
    let wide = everywhere(&instances());
    let denied = pull([(wide.clone(), Outcome::Denied)], [], []);
    let mut estate = Estate::default();
    let _ = take(&mut estate, &complete([machine(json!({}))]), 1);
    let observed = take(&mut estate, &denied, 2);
    assert_eq!(observed.receipts[&instances()].outcome, Outcome::Denied, "what is known of its regions is frozen");
    assert_eq!(estate.scopes[&wide].receipt.outcome, Outcome::Denied);
    let observed = take(&mut estate, &complete([machine(json!({}))]), 3);
    assert_eq!(observed.receipts.keys().collect::<Vec<_>>(), [&instances()]);
    assert_eq!(estate.scopes.keys().collect::<Vec<_>>(), [&instances()]);
    assert!(estate.dirty.scopes.contains(&wide));
}

#[test]
fn two_sources_over_one_scope_are_refused_and_one_that_failed_is_not() {
    let both = BTreeMap::from([(name("a"), Ok(complete([]))), (name("b"), Ok(complete([])))]);
    assert!(gather(both, [name("a"), name("b")]).is_err());

    let error = SourceError::Throttled { source_name: name("b"), operation: "ListThings".to_owned(), text: "slow down".to_owned() };
    let one = BTreeMap::from([(name("a"), Ok(complete([]))), (name("b"), Err(error))]);
    let (pull, coverage) = gather(one, [name("a"), name("b"), name("c")]).expect("no overlap");
    assert_eq!((pull.receipts.len(), pull.exhaustive, coverage.is_exhaustive()), (1, false, false));
    assert_eq!(coverage.sources[&name("c")], SourceCoverage::Skipped);
    assert!(matches!(coverage.sources[&name("b")], SourceCoverage::Failed { outcome: Outcome::Throttled, .. }));
    let text = serde_json::to_string(&coverage).expect("JSON");
    assert_eq!(serde_json::from_str::<Coverage>(&text).expect("coverage"), coverage);
}

fn tagged(name: &str, service: &str) -> Resource {
    let mut machine = resource(&instances(), name);
    machine.tags.insert("service".to_owned(), service.to_owned());
    machine
}

fn serve(estate: &mut Estate, pull: &Pull, fence: i64) -> Derived {
    let _ = take(estate, pull, fence);
    let coverage = coverage(pull);
    derive(estate, &Ownership::default(), &Observing { at: minute(fence), fence: Fence(fence), narrow: false, coverage: &coverage })
}

fn service(estate: &Estate, name: &str) -> (String, u64, u32, Vec<String>) {
    let key = Key::service(name).expect("a name");
    let known = &estate.resources[&key];
    let members = estate.edges.keys().filter(|id| id.from == key).map(|id| estate.resources[&id.to].resource.native_id.clone());
    let count = known.resource.attributes["member_count"].as_u64().expect("a count");
    (known.resource.name.clone().expect("a name"), count, known.missing, members.collect())
}

#[test]
fn services_follow_their_members_tags() {
    let mut estate = Estate::default();
    let derived = serve(&mut estate, &complete([tagged("i-1", " shop"), tagged("i-2", "Shop "), tagged("i-3", "  ")]), 1);
    assert_eq!(derived, Derived { services: 1, memberless: 0 });
    let both = vec!["i-1".to_owned(), "i-2".to_owned()];
    assert_eq!(service(&estate, "SHOP"), ("Shop".to_owned(), 2, 0, both.clone()));

    // The tag moves on in a listing that was cut: the new edge is a fact, the old one's absence is not.
    let cut = pull([(instances(), Outcome::Truncated)], [tagged("i-2", "billing")], []);
    let _ = serve(&mut estate, &cut, 2);
    assert_eq!(service(&estate, "shop"), ("shop".to_owned(), 1, 0, both));
    assert_eq!(service(&estate, "billing"), ("billing".to_owned(), 1, 0, vec!["i-2".to_owned()]));

    let _ = serve(&mut estate, &complete([tagged("i-1", "shop"), tagged("i-2", "billing")]), 3);
    assert_eq!(service(&estate, "shop").3, ["i-1"]);
}

#[test]
fn a_service_without_members_is_absent_once_per_proven_run() {
    let mut estate = Estate::default();
    let _ = serve(&mut estate, &complete([tagged("i-1", "shop")]), 1);
    let untagged = resource(&instances(), "i-1");
    for fence in [2, 2] {
        let derived = serve(&mut estate, &complete([untagged.clone()]), fence);
        assert_eq!((derived.memberless, service(&estate, "shop").2), (1, 1));
    }
    let _ = serve(&mut estate, &pull([(instances(), Outcome::Denied)], [], []), 3);
    assert_eq!(service(&estate, "shop").2, 1, "nobody looked");
    let _ = serve(&mut estate, &complete([untagged]), 4);
    assert_eq!(service(&estate, "shop"), ("shop".to_owned(), 1, 2, vec!["i-1".to_owned()]));
    let _ = serve(&mut estate, &complete([tagged("i-1", "shop")]), 5);
    assert_eq!(service(&estate, "shop").2, 0);
}

#[test]
fn a_service_that_no_member_is_known_of_is_absent_only_where_everybody_looked() {
    let recovered = || {
        let mut estate = Estate::default();
        let _ = serve(&mut estate, &complete([tagged("i-1", "shop")]), 1);
        let found = estate.resources.remove(&Key::service("shop").expect("a name")).expect("the service");
        let row = Known { recovered: true, ..found };
        Estate { resources: BTreeMap::from([(row.resource.key.clone(), row)]), ..Estate::default() }
    };
    let absent = |estate: &Estate| estate.resources[&Key::service("shop").expect("a name")].missing;
    let elsewhere = scope(A, "us-east-1", Kind::Instance);
    let both = |here, there| pull([(instances(), here), (elsewhere.clone(), there)], [], []);

    let mut estate = recovered();
    for (fence, outcome) in [(2, Outcome::Denied), (3, Outcome::Throttled), (4, Outcome::Skipped)] {
        let derived = serve(&mut estate, &both(outcome, Outcome::Complete), fence);
        assert_eq!((derived.memberless, absent(&estate)), (1, 0), "{outcome}");
    }
    let _ = serve(&mut estate, &both(Outcome::Complete, Outcome::Complete), 5);
    assert_eq!(absent(&estate), 1);

    // Nor is it absent where nobody looked for anything that could be a member, or a source could not be asked.
    let mut estate = recovered();
    let _ = serve(&mut estate, &pull([(Scope { kind: Kind::Volume, ..instances() }, Outcome::Complete)], [], []), 2);
    assert_eq!(absent(&estate), 0);
    let all = complete([]);
    let mut coverage = coverage(&all);
    coverage.sources.insert(name("other"), SourceCoverage::Failed { outcome: Outcome::Failed, error: "on purpose".to_owned() });
    let _ = take_with(&mut estate, &all, 3, &coverage, false);
    let _ = derive(&mut estate, &Ownership::default(), &Observing { at: minute(3), fence: Fence(3), narrow: false, coverage: &coverage });
    assert_eq!(absent(&estate), 0);
}

#[test]
fn derived_resources_of_a_file_are_passed_over() {
    let mut fleet = resource(&instances(), "x");
    fleet.key = Key::service("stale").expect("a key");
    fleet.derived = true;
    let mut edge = relation(RelationType::DependsOn, &fleet.key, &key(&instances(), "i-1"));
    edge.derived = true;
    let mut estate = Estate::default();
    let _ = take(&mut estate, &pull([(instances(), Outcome::Complete)], [fleet, machine(json!({}))], [edge]), 1);
    assert_eq!((estate.resources.len(), estate.edges.len()), (1, 0));
}

/// `count` machines of the test's own scope.
fn fleet(count: usize) -> Vec<Resource> {
    (0..count).map(|n| resource(&instances(), &format!("i-{n}"))).collect()
}

fn is_emptied(estate: &Estate) -> bool {
    emptied(estate, &instances()).is_some()
}

#[test]
fn a_scope_is_emptied_when_five_live_ones_are_gone_at_once() {
    for (count, want) in [(4, false), (5, true)] {
        let mut estate = Estate::default();
        let _ = take(&mut estate, &complete(fleet(count)), 1);
        let _ = take(&mut estate, &pull([(instances(), Outcome::Denied)], [], []), 2);
        assert!(!is_emptied(&estate), "nobody looked");
        let _ = take(&mut estate, &complete([]), 3);
        assert_eq!(is_emptied(&estate), want, "{count} gone");
    }
}

#[test]
fn a_scope_that_shows_only_what_has_ended_shows_nothing() {
    let dead = |n: usize| Resource { state: Some("terminated".to_owned()), ..fleet(n + 1).remove(n) };
    let mut estate = Estate::default();
    let _ = take(&mut estate, &complete(fleet(6)), 1);
    let _ = take(&mut estate, &complete([dead(0)]), 2);
    assert!(is_emptied(&estate), "five are missing");
    // Those that the provider says have ended are not missing.
    let mut estate = Estate::default();
    let _ = take(&mut estate, &complete(fleet(6)), 1);
    let _ = take(&mut estate, &complete([dead(0), dead(1)]), 2);
    assert!(!is_emptied(&estate), "four are missing");
}

#[test]
fn only_a_complete_listing_that_shows_something_alive_ends_an_emptiness() {
    let mut estate = Estate::default();
    let _ = take(&mut estate, &complete(fleet(6)), 1);
    let _ = take(&mut estate, &complete([]), 2);
    // They end one by one, as after an approval at some target.
    for known in estate.resources.values_mut() {
        known.end = Some(End { at: minute(2), cause: EndCause::Absent });
    }
    let _ = take(&mut estate, &complete([]), 3);
    assert!(is_emptied(&estate), "they ended");
    let mut found = Known::new(resource(&instances(), "i-9"), minute(3), Fence(3));
    found.recovered = true;
    estate.resources.insert(found.resource.key.clone(), found);
    let _ = take(&mut estate, &pull([(instances(), Outcome::Throttled)], [], []), 4);
    assert!(is_emptied(&estate), "found at a target");
    let _ = take(&mut estate, &pull([(instances(), Outcome::Truncated)], fleet(1), []), 5);
    assert!(is_emptied(&estate), "a listing that was cut");
    let all = complete(fleet(2));
    let _ = take_with(&mut estate, &all, 6, &coverage(&all), true);
    assert!(is_emptied(&estate), "a narrow read");
    let _ = take(&mut estate, &complete(fleet(1)), 1);
    assert!(is_emptied(&estate), "an older listing");
    let _ = take(&mut estate, &complete(fleet(1)), 7);
    assert!(!is_emptied(&estate), "it lists something again");
    assert!(estate.dirty.scopes.contains(&instances()));
}

#[test]
fn a_scope_that_takes_anothers_place_takes_its_emptiness() {
    let everywhere = everywhere(&instances());
    let elsewhere = scope(A, "us-east-1", Kind::Instance);
    let listed = |scope: &Scope, resources: Vec<Resource>| pull([(scope.clone(), Outcome::Complete)], resources, []);
    let mut estate = Estate::default();
    let _ = take(&mut estate, &complete(fleet(6)), 1);
    let _ = take(&mut estate, &complete([]), 2);
    for known in estate.resources.values_mut() {
        known.end = Some(End { at: minute(2), cause: EndCause::Absent });
    }
    let _ = take(&mut estate, &listed(&everywhere, vec![]), 3);
    assert_eq!(emptied(&estate, &instances()), Some(&everywhere));
    let _ = take(&mut estate, &complete([]), 4);
    assert_eq!(emptied(&estate, &instances()), Some(&instances()));
    let _ = take(&mut estate, &complete(fleet(1)), 5);
    assert!(!is_emptied(&estate));
    let _ = take(&mut estate, &listed(&everywhere, vec![resource(&elsewhere, "i-1")]), 6);
    assert!(!is_emptied(&estate));
}
