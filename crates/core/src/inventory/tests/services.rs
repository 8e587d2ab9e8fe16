//! Services by their members' tags.

use super::*;

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
