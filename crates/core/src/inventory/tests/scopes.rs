//! Scopes, their receipts, and what is absent from them.

use super::*;

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
