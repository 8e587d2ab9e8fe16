//! Facts of resources, over runs.

use super::*;

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
fn no_attribute_is_called_as_the_state_or_the_tags_are() {
    for kind in Kind::ALL {
        for name in [STATE, TAGS] {
            assert!(crate::model::attributes::find(*kind, name).is_none(), "{kind}");
        }
    }
}

#[test]
fn tags_that_were_not_read_stay() {
    let tagged = |tags: &[(&str, &str)]| Resource {
        tags: tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..machine(json!({}))
    };
    let mut estate = Estate::default();
    let _ = take(&mut estate, &complete([tagged(&[("env", "prod"), ("app", "web")])]), 1);
    let unread = |machine: Resource| {
        let mut read = complete([machine]);
        read.unread.insert(key(&instances(), "i-1"), [TAGS.to_owned()].into());
        read
    };
    let _ = take(&mut estate, &unread(tagged(&[])), 2);
    assert_eq!(row(&estate).resource.tags.len(), 2);
    assert!(estate.dirty.journal.is_empty());
    // Tags that are shown are all that there are.
    let _ = take(&mut estate, &unread(tagged(&[("env", "test")])), 3);
    assert_eq!(json!(row(&estate).resource.tags), json!({"env": "test"}));
    let _ = take(&mut estate, &complete([tagged(&[])]), 4);
    assert!(row(&estate).resource.tags.is_empty());
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
