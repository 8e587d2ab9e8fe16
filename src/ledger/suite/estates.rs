//! Observations: what is committed is what is loaded, once, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;

use super::samples::{at, edge, estate, key, known, known_edge, known_scope, resource, run, scope};
use super::{Place, on_both};
use crate::estate::{EstateId, Fence, FieldChange, JournalEntry, JournalKind};
use crate::ledger::{Candidate, LedgerError, RunId};
use crate::model::{Key, Kind, Outcome, Provider};

on_both!(
    birth_gives_a_name_that_stays,
    fences_only_grow,
    what_is_absent_is_removed,
    a_stale_version_is_refused_and_leaves_nothing,
    of_two_commits_from_one_version_one_wins,
    unchanged_resources_take_the_listing_of_their_scope,
    what_a_pull_shows_unchanged_is_shared_with_it,
    accepted_gaps_outlive_a_stale_commit,
    history_is_in_order_and_by_key,
    search_finds_keys_ids_and_names,
    edges_are_found_from_either_end,
    more_rows_than_one_statement_takes,
    long_keys_and_names_fit,
);

async fn birth_gives_a_name_that_stays(place: &Place) {
    let first = place.open().await;
    let EstateId(name) = first.estate_id().await.unwrap();
    assert_eq!(name.len(), 32);
    assert_eq!(first.load_estate().await.unwrap().version, 0);
    first.close().await;
    assert_eq!(place.open().await.estate_id().await.unwrap(), EstateId(name));
}

async fn fences_only_grow(place: &Place) {
    let (one, other) = (place.open().await, place.open().await);
    assert_eq!(one.current_fence().await.unwrap(), Fence(0));
    assert_eq!(one.draw_fence().await.unwrap(), Fence(1));
    assert_eq!(other.draw_fence().await.unwrap(), Fence(2));
    assert_eq!(one.current_fence().await.unwrap(), Fence(2));
}

async fn what_is_absent_is_removed(place: &Place) {
    let ledger = place.open().await;
    let mut written = estate([known(resource(1), 1, at(0)), known(resource(2), 1, at(0))]);
    written.edges.insert(edge(1, 2), known_edge(1));
    written.dirty.edges.insert(edge(1, 2));
    written.scopes.insert(scope("*"), known_scope(1, at(0)));
    written.dirty.scopes.insert(scope("*"));
    let version = ledger.commit(&run(), 0, &written).await.unwrap();

    let mut loaded = ledger.load_estate().await.unwrap();
    assert_eq!(loaded.version, version);
    assert_eq!(
        (&loaded.estate.resources, &loaded.estate.edges, &loaded.estate.scopes),
        (&written.resources, &written.edges, &written.scopes)
    );
    loaded.estate.resources.remove(&key(1)).unwrap();
    loaded.estate.edges.clear();
    loaded.estate.scopes.clear();
    loaded.estate.dirty.resources = [key(1)].into();
    loaded.estate.dirty.edges = [edge(1, 2)].into();
    loaded.estate.dirty.scopes = [scope("*")].into();
    ledger.commit(&run(), version, &loaded.estate).await.unwrap();

    let left = ledger.load_estate().await.unwrap().estate;
    assert_eq!(left.resources.into_keys().collect::<Vec<_>>(), [key(2)]);
    assert!(left.edges.is_empty() && left.scopes.is_empty());
    assert_eq!(ledger.resource(&key(1)).await.unwrap(), None);
    assert_eq!(ledger.resource(&key(2)).await.unwrap(), Some(known(resource(2), 1, at(0))));
}

async fn a_stale_version_is_refused_and_leaves_nothing(place: &Place) {
    let ledger = place.open().await;
    ledger.commit(&run(), 0, &estate([known(resource(1), 1, at(0))])).await.unwrap();
    let stale = ledger.commit(&run(), 0, &estate([known(resource(2), 1, at(0))])).await;
    assert!(matches!(stale, Err(LedgerError::Conflict)), "{stale:?}");
    let loaded = ledger.load_estate().await.unwrap();
    assert_eq!(loaded.version, 1);
    assert_eq!(loaded.estate.resources.into_keys().collect::<Vec<_>>(), [key(1)]);
}

async fn of_two_commits_from_one_version_one_wins(place: &Place) {
    let (one, other) = (place.open().await, place.open().await);
    for round in 0..10 {
        let (left, right) = (estate([known(resource(1), round, at(round))]), estate([known(resource(2), round, at(round))]));
        let version = one.load_estate().await.unwrap().version;
        let run = run();
        let (left, right) = tokio::join!(one.commit(&run, version, &left), other.commit(&run, version, &right));
        let conflicts = [&left, &right].iter().filter(|result| matches!(result, Err(LedgerError::Conflict))).count();
        let wins = [&left, &right].iter().filter(|result| matches!(result, Ok(new) if *new == version + 1)).count();
        assert_eq!((wins, conflicts), (1, 1), "{left:?} {right:?}");
    }
}

async fn unchanged_resources_take_the_listing_of_their_scope(place: &Place) {
    let ledger = place.open().await;
    let (mut missing, mut later) = (known(resource(2), 1, at(0)), known(resource(3), 9, at(90)));
    missing.missing = 1;
    Arc::make_mut(&mut later.resource).region = "us-east-1".parse().unwrap();
    later.digest = later.resource.digest().unwrap();
    let mut written = estate([known(resource(1), 1, at(0)), missing.clone(), later.clone()]);
    written.scopes.insert(scope("*"), known_scope(4, at(40)));
    written.scopes.insert(scope("eu-west-1"), known_scope(5, at(50)));
    written.dirty.scopes = written.scopes.keys().cloned().collect();
    ledger.commit(&run(), 0, &written).await.unwrap();

    let loaded = ledger.load_estate().await.unwrap().estate.resources;
    let seen = |n| (loaded[&key(n)].last_seen, loaded[&key(n)].fence);
    assert_eq!(seen(1), (at(50), Fence(5)), "the newest listing that covers it speaks for it");
    assert_eq!(seen(2), (at(0), Fence(5)), "a missing one was not in it, which the listing tells as well");
    assert_eq!(seen(3), (at(90), Fence(9)), "its own row is newer");
    assert_eq!(ledger.resource(&key(1)).await.unwrap().as_ref(), Some(&loaded[&key(1)]));
}

async fn what_a_pull_shows_unchanged_is_shared_with_it(place: &Place) {
    let ledger = place.open().await;
    let written = estate((1..=3).map(|n| known(resource(n), 1, at(0))));
    ledger.commit(&run(), 0, &written).await.unwrap();
    let mut same = resource(1);
    same.observed_at = Some(at(77));
    let mut other = resource(2);
    other.name = Some("renamed".to_owned());
    let pulled: BTreeMap<_, _> = [same, other, resource(4)].map(|read| (read.key.clone(), Arc::new(read))).into();

    let loaded = ledger.load_estate_beside(&pulled).await.unwrap().estate.resources;
    assert!(Arc::ptr_eq(&loaded[&key(1)].resource, &pulled[&key(1)]), "the time of observation is no news");
    let others: Vec<_> = loaded.into_iter().filter(|(known, _)| *known != key(1)).collect();
    assert_eq!(others, [2, 3].map(|n| (key(n), known(resource(n), 1, at(0)))), "neither what is read otherwise nor what is only pulled");
}

async fn accepted_gaps_outlive_a_stale_commit(place: &Place) {
    let ledger = place.open().await;
    let mut written = estate([]);
    written.scopes.insert(scope("eu-west-1"), known_scope(1, at(0)));
    written.dirty.scopes = [scope("eu-west-1")].into();
    let version = ledger.commit(&run(), 0, &written).await.unwrap();
    ledger.accept_scopes(&[(scope("eu-west-1"), Some(Outcome::Denied))]).await.unwrap();
    assert!(matches!(ledger.commit(&run(), version, &written).await, Err(LedgerError::Conflict)));
    let loaded = ledger.load_estate().await.unwrap();
    assert_eq!(loaded.estate.scopes[&scope("eu-west-1")].accepted, Some(Outcome::Denied));
    ledger.accept_scopes(&[(scope("eu-west-1"), None)]).await.unwrap();
    assert_eq!(ledger.load_estate().await.unwrap().estate.scopes[&scope("eu-west-1")].accepted, None);
}

async fn history_is_in_order_and_by_key(place: &Place) {
    let ledger = place.open().await;
    let entry = |n, second, cause: &str| JournalEntry {
        entry: JournalKind::Observed,
        key: key(n),
        at: at(second),
        fence: Fence(second),
        cause: cause.to_owned(),
        fields: [("name".to_owned(), FieldChange { from: json!(null), to: json!({"b": 1.0, "a": "\u{0}ß"}) })].into(),
    };
    // The second run's clock is behind: order is that of writing.
    let mut written = estate([]);
    written.dirty.journal = vec![entry(1, 30, "first"), entry(2, 30, "other"), entry(1, 30, "second")];
    ledger.commit(&run(), 0, &written).await.unwrap();
    written.dirty.journal = vec![entry(1, 10, "third")];
    ledger.commit(&RunId("run-2".to_owned()), 1, &written).await.unwrap();
    assert_eq!(ledger.history(&key(1)).await.unwrap(), [entry(1, 30, "first"), entry(1, 30, "second"), entry(1, 10, "third")]);
    assert_eq!(ledger.history(&key(3)).await.unwrap(), []);
}

async fn search_finds_keys_ids_and_names(place: &Place) {
    let ledger = place.open().await;
    let mut vm = resource(9);
    let id = "/subscriptions/S-1/resourceGroups/RG/providers/Microsoft.Compute/virtualMachines/Web";
    vm.key = Key::azure(id).unwrap();
    (vm.provider, vm.native_id, vm.name) = (Provider::Azure, id.to_owned(), Some("web-1".to_owned()));
    let azure = vm.key.clone();
    ledger.commit(&run(), 0, &estate([known(resource(1), 1, at(0)), known(resource(2), 1, at(0)), known(vm, 1, at(0))])).await.unwrap();

    let found = async |text: &str| ledger.search(text, 10).await.unwrap().into_iter().map(|found| found.key).collect::<Vec<_>>();
    assert_eq!(found("i-0002").await, [key(2)]);
    assert_eq!(found("I-0002").await, [], "only Azure ignores case");
    assert_eq!(found(key(1).as_str()).await, [key(1)]);
    assert_eq!(found(&id.to_uppercase()).await, std::slice::from_ref(&azure));
    assert_eq!(found(&format!("azure:{id}")).await, std::slice::from_ref(&azure));
    assert_eq!(found("web-1").await, [key(1), azure]);
    assert_eq!(found("web").await, []);
    let limited = ledger.search("web-1", 1).await.unwrap();
    assert_eq!(limited, [Candidate { key: key(1), kind: Kind::Instance, name: Some("web-1".to_owned()), is_live: true }]);
}

async fn edges_are_found_from_either_end(place: &Place) {
    let ledger = place.open().await;
    let mut written = estate([]);
    for id in [edge(1, 2), edge(2, 3), edge(3, 1)] {
        written.edges.insert(id.clone(), known_edge(1));
        written.dirty.edges.insert(id);
    }
    ledger.commit(&run(), 0, &written).await.unwrap();
    let of_one: BTreeSet<_> = ledger.edges_of(&key(1)).await.unwrap().into_keys().collect();
    assert_eq!(of_one, [edge(1, 2), edge(3, 1)].into());
}

async fn more_rows_than_one_statement_takes(place: &Place) {
    let ledger = place.open().await;
    let mut written = estate((0..2_345).map(|n| known(resource(n), 1, at(0))));
    for n in 0..2_100 {
        written.edges.insert(edge(n, n + 1), known_edge(1));
        written.dirty.edges.insert(edge(n, n + 1));
    }
    ledger.commit(&run(), 0, &written).await.unwrap();
    let loaded = ledger.load_estate().await.unwrap().estate;
    assert_eq!(loaded.resources, written.resources);
    assert_eq!(loaded.edges, written.edges);
}

async fn long_keys_and_names_fit(place: &Place) {
    let ledger = place.open().await;
    // Does not compress: PostgreSQL would fit a repeated letter into an index.
    let noise: String = (0..130).map(|n| super::samples::digest(n).to_string()).collect();
    let mut long = resource(1);
    long.key = Key::aws(&format!("arn:aws:ec2:eu-west-1:123456789012:instance/{}", &noise[..4_000])).unwrap();
    long.native_id = noise.clone();
    long.name = Some(noise.clone());
    let known = known(long, 1, at(0));
    ledger.commit(&run(), 0, &estate([known.clone()])).await.unwrap();
    assert_eq!(ledger.resource(&known.resource.key).await.unwrap().as_ref(), Some(&known));
    assert_eq!(ledger.search(&noise, 2).await.unwrap().len(), 1);
}
