//! Listings as a whole: everything is read, to the last page, in one form.

use dewpoint_core::model::attributes as table;

use super::world::{bare, furnished};
use super::*;

#[tokio::test]
async fn every_kind_is_listed_to_its_last_page() {
    let sim = start(furnished(OWN, &[EU, US]));
    let whole = setup(&sim, OWN, &[EU, US]).pull().await;
    sim.settings(|settings| settings.page_items_max = Some(2));
    sim.clear_calls();
    let notes = Notes::default();
    let pull = setup(&sim, OWN, &[EU, US]).build().pull(&notes).await.unwrap();
    assert!(pull.exhaustive && pull.remarks.is_empty(), "{:?}", pull.remarks);
    assert_eq!(gaps(&pull), BTreeMap::new());
    assert_eq!(contents(&pull), contents(&whole));
    assert!(sim.calls().iter().any(|call| call.page == 2), "the pages were small");

    let receipts = receipts(&pull);
    let scopes: Vec<Scope> = [EU, US].iter().flat_map(|region| regional().into_iter().map(|kind| scope(OWN, region, kind))).collect();
    assert_eq!(receipts.len(), scopes.len() + 1, "and the account's");
    let finished = notes.finished();
    assert_eq!((notes.unbegun(), notes.name().as_deref()), (BTreeSet::new(), Some("cloud")));
    for scope in &scopes {
        let found = all_of(&pull, scope.kind).iter().filter(|resource| resource.region == scope.region).count() as u64;
        assert!(found > 0, "{scope} is empty");
        assert_eq!(receipts[scope].count, Some(found), "{scope}");
        assert_eq!(finished[scope], (Outcome::Complete, found), "{scope}");
    }
    assert_eq!(receipts[&scope(OWN, "*", Kind::Account)].count, Some(1));
    let counted: BTreeMap<String, u64> = sim.calls().iter().fold(BTreeMap::new(), |mut counts, call| {
        let service = if call.service.starts_with("elb") { "elasticloadbalancing" } else { &call.service };
        *counts.entry(format!("{service}:{}", call.action)).or_default() += 1;
        counts
    });
    assert_eq!(notes.calls(), counted, "each call is told once");
}

#[tokio::test]
async fn an_empty_region_is_complete_and_empty() {
    let sim = start(bare(OWN, &[EU]));
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    assert_eq!(gaps(&pull), BTreeMap::new());
    let kinds: BTreeSet<Kind> = pull.resources.values().map(|resource| resource.kind).collect();
    assert_eq!(kinds, [Kind::Account, Kind::Region, Kind::Zone].into());
    assert_eq!(receipts(&pull)[&scope(OWN, EU, Kind::Instance)].count, Some(0));
}

#[tokio::test]
async fn attributes_are_those_of_the_model_in_canonical_form() {
    let sim = start(furnished(OWN, &[EU]));
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    let kinds: BTreeSet<Kind> = pull.resources.values().map(|resource| resource.kind).collect();
    assert_eq!(kinds, crate::KINDS.into());
    for resource in pull.resources.values() {
        for (name, value) in &resource.attributes {
            assert!(table::find(resource.kind, name).is_some(), "{}: unknown attribute {name}", resource.kind);
            assert_eq!(table::canonical(resource.kind, name, value.clone()).as_ref(), Ok(value), "{} {name}", resource.kind);
        }
    }
}

#[tokio::test]
async fn every_edge_of_a_whole_world_has_both_ends() {
    let sim = start(furnished(OWN, &[EU]));
    let pull = setup(&sim, OWN, &[EU]).pull().await;
    for edge in pull.relations.keys() {
        assert!(pull.resources.contains_key(&edge.from) && pull.resources.contains_key(&edge.to), "{edge:?}");
    }
    let types: BTreeSet<RelationType> = pull.relations.keys().map(|edge| edge.relation).collect();
    let all = [
        RelationType::LocatedIn,
        RelationType::Contains,
        RelationType::MemberOf,
        RelationType::ProtectedBy,
        RelationType::Allows,
        RelationType::AttachedTo,
        RelationType::ConnectedTo,
        RelationType::RoutesTo,
    ];
    assert_eq!(types, all.into());
}

#[tokio::test]
async fn the_order_of_answers_does_not_matter() {
    let sim = start(furnished(OWN, &[EU]));
    let first = setup(&sim, OWN, &[EU]).pull().await;
    for seed in 2..5 {
        sim.settings(|settings| (settings.seed, settings.page_items_max) = (seed, Some(usize::try_from(seed).unwrap())));
        let clock: crate::Clock = Arc::new(|| "2026-01-02T03:04:06Z".parse().unwrap());
        let again = setup(&sim, OWN, &[EU]).with(|config, _| config.clock = clock).pull().await;
        assert_eq!(contents(&again), contents(&first));
        assert_eq!(receipts(&again), receipts(&first));
    }
}
