//! Searches.

use std::collections::BTreeSet;

use dewpoint_assets_sim::{Attribute, Form, Kind, Site};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{World, start, start_with};

/// Three instances and two groups.
fn filled() -> World {
    let world = start();
    world.sim.edit(|site| {
        let [instance, group] = ["Instance", "Security Group"].map(|name| site.type_named(name).unwrap().id);
        site.add_attribute(instance, Attribute::new("Cores", Kind::Default(Form::Integer)));
        site.add_attribute(instance, Attribute::new("Owner", Kind::User { groups: vec![] }));
        let groups = ["web", "db"].map(|name| site.insert(group, &[("Name", name), ("Group ID", &format!("sg-{name}"))]));
        let keys = groups.map(|id| format!("CLOUD-{id}"));
        let cores = ("Cores", "4");
        site.insert(instance, &[("Name", "web-1"), ("Provider ID", "i-1"), ("Security Groups", &keys[0]), ("Lifecycle", "Active"), cores]);
        let cores = ("Cores", "16");
        site.insert(
            instance,
            &[
                ("Name", "web-2"),
                ("Provider ID", "I-2"),
                ("Security Groups", &keys[0]),
                ("Security Groups", &keys[1]),
                cores,
                ("Owner", "reader"),
            ],
        );
        site.insert(instance, &[("Name", "say \"hi\" \\o/"), ("Provider ID", "i-3"), ("Lifecycle", "Closed")]);
    });
    world
}

#[test]
fn queries_find_what_they_say() {
    let world = filled();
    let odd = "say \"hi\" \\o/";
    let schema = world.schema;
    let (instance, all): (_, &[&str]) = (world.instance, &["web-1", "web-2", odd]);
    let cases: [(&str, &[&str]); 40] = [
        ("objectType = Instance", all),
        ("objectType = \"instance\"", all),
        (&format!("objectTypeId = {instance}"), all),
        (&format!("objectSchemaId = {schema} AND objectType IN (\"Instance\")"), all),
        ("objectSchema = CLOUD AND \"Provider ID\" IS NOT EMPTY", all),
        ("Name = WEB-1", &["web-1"]),
        ("Name == WEB-1", &[]),
        ("name == web-1", &["web-1"]),
        ("objectType = Instance AND Name != web-1", &["web-2", odd]),
        ("\"Provider ID\" IN (\"i-1\", \"i-2\", \"i-9\")", &["web-1", "web-2"]),
        ("\"Provider ID\" NOT IN (\"i-1\", \"i-2\")", &[odd]),
        ("Key IN (CLOUD-5003, cloud-5004)", &["web-1", "web-2"]),
        ("Key = CLOUD-5003", &["web-1"]),
        ("objectId = 5003", &["web-1"]),
        ("label = web-2", &["web-2"]),
        ("Name LIKE EB-", &["web-1", "web-2"]),
        ("objectType = Instance AND Name NOT LIKE eb-", &[odd]),
        ("Name startswith web- AND Name endswith 2", &["web-2"]),
        (r#"Name = "say \"hi\" \\o/""#, &[odd]),
        ("Cores > 4", &["web-2"]),
        ("Cores >= 4 AND Cores < 16", &["web-1"]),
        ("Lifecycle = active", &["web-1"]),
        ("Lifecycle IN (Active, Closed)", &["web-1", odd]),
        ("objectType = Instance AND Lifecycle IS EMPTY", &["web-2"]),
        ("Lifecycle IS EMPTY", &["web-2"]),
        ("\"Security Groups\" = web", &["web-1", "web-2"]),
        ("\"Security Groups\" = CLOUD-5002", &["web-2"]),
        ("\"Security Groups\".\"Group ID\" = sg-db", &["web-2"]),
        ("\"Security Groups\".Name LIKE w", &["web-1", "web-2"]),
        ("\"Security Groups\" IS EMPTY", &[odd]),
        ("Owner = Reader", &["web-2"]),
        ("object HAVING inboundReferences(Name = web-1)", &["web"]),
        ("objectType = \"Security Group\" AND object NOT HAVING inboundReferences(Name = web-1)", &["db"]),
        ("object having outR(Name = db)", &["web-2"]),
        ("object having inboundReferences() and object having inR(Cores = 16)", &["web", "db"]),
        ("NOT objectType = Instance", &["web", "db"]),
        ("(Name = web-1 OR Name = web-2) AND NOT (Cores = 4)", &["web-2"]),
        ("Name = web-1 OR Name = web-2 AND Cores = 4", &["web-1"]),
        ("Created < \"2026-01-01\" AND Updated < now() AND objectType = Instance", all),
        ("Created > now(-1d)", &[]),
    ];
    for (query, expected) in cases {
        let found: BTreeSet<String> = world.found(query).into_iter().collect();
        assert_eq!(found, expected.iter().map(|name| (*name).to_owned()).collect(), "{query}");
    }
    assert_eq!(world.found("objectType = Instance ORDER BY Name DESC"), ["web-2", "web-1", odd]);
    assert_eq!(world.found("objectType = Instance ORDER BY Cores"), ["web-1", "web-2", odd], "what is empty comes last");
    assert_eq!(world.found("ORDER BY Key DESC").len(), 5);
    assert_eq!(world.found("").len(), 5);
    assert_eq!(world.sim.calls()[0].aql.as_deref(), Some("objectType = Instance"), "the log has what was asked");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let world = filled();
    for query in [
        "objectType = \"Instance",
        "objectType = Nosuch",
        "objectType IN (Instance, Nosuch)",
        "objectTypeId = 999",
        "objectSchemaId = 999",
        "objectSchema = Nosuch",
        "Nosuch = 1",
        "Name.Nosuch = 1",
        "Name.Name = 1",
        "Name = a b",
        "Name IN objectTypeAndChildren(Instance)",
        "objectType IN objectTypeAndChildren(Nosuch)",
        "anyAttribute = web",
        "Name = web ORDER BY Nosuch",
        "Name =",
        "object having connectedTickets()",
    ] {
        let answer = world.aql(query);
        assert_eq!(answer.status, 400, "{query}: {}", answer.text);
        assert!(!answer.json()["errorMessages"][0].as_str().unwrap().is_empty());
    }
    let list = |count: usize| format!("\"Provider ID\" IN ({})", (0..count).map(|at| format!("\"i-{at}\"")).collect::<Vec<_>>().join(","));
    assert_eq!((world.aql(&list(200)).status, world.aql(&list(201)).status), (200, 400));
    assert_eq!(world.aql(&format!("Name = \"{}\"", "x".repeat(40_000))).status, 400);
    world.sim.settings(|settings| settings.any_attribute = true);
    assert_eq!(world.found("anyAttribute = i-3").len(), 1);
}

#[test]
fn types_below_are_found_by_name_of_that_above() {
    let world = filled();
    world.sim.edit(|site| {
        let (schema, instance) = (site.schema("CLOUD").unwrap().id, site.type_named("Instance").unwrap().id);
        let child = site.add_type(schema, "Spot Instance", Some(instance));
        site.insert(child, &[("Name", "spot")]);
    });
    assert_eq!(world.found("objectType = Instance").len(), 3);
    assert_eq!(world.found("objectType IN objectTypeAndChildren(\"Instance\")").len(), 4);
}

/// Objects whose labels are the numbers below this.
fn many(count: usize) -> World {
    let world = start_with(Site::new(), |_| {});
    world.sim.edit(|site| {
        let type_id = site.type_named("Security Group").unwrap().id;
        for at in 0..count {
            site.insert(type_id, &[("Name", &at.to_string())]);
        }
    });
    world
}

fn page(world: &World, query: &str, start: usize, size: usize) -> (Vec<String>, bool) {
    let answer =
        world.call("POST", &format!("object/aql?startAt={start}&maxResults={size}&includeAttributes=false"), &json!({"qlQuery": query}));
    let body = answer.json();
    assert_eq!(body["last"], body["isLast"]);
    let labels = body["values"].as_array().unwrap().iter().map(|object| object["label"].as_str().unwrap().to_owned()).collect();
    (labels, body["isLast"].as_bool().unwrap())
}

#[test]
fn pages_come_to_an_end() {
    let world = many(25);
    let query = "objectType = \"Security Group\" ORDER BY Key";
    let mut seen = Vec::new();
    loop {
        let (labels, is_last) = page(&world, query, seen.len(), 10);
        seen.extend(labels);
        if is_last {
            break;
        }
    }
    assert_eq!(seen, (0..25).map(|at| at.to_string()).collect::<Vec<_>>());
    assert_eq!(page(&world, query, 25, 10), (vec![], true));
    assert_eq!(page(&world, query, 999, 10), (vec![], true));
    let body = world.aql(query).json();
    assert_eq!(
        (body["total"].clone(), body["objectTypeAttributes"][0]["objectType"]["name"].clone()),
        (Value::Null, json!("Security Group"))
    );
    world.sim.settings(|settings| settings.total = true);
    assert_eq!(world.aql(query).json()["total"], 25);
    assert_eq!(world.call("POST", "object/aql/totalcount", &json!({"qlQuery": query})).json(), json!({"totalCount": 25}));
    assert_eq!(world.call("POST", "object/aql", &json!({"qlQuery": query})).json()["maxResults"], 25);
}

#[test]
fn a_page_of_a_thousand_says_that_it_is_the_last() {
    let world = many(1200);
    assert!(!page(&world, "ORDER BY Key", 0, 500).1);
    let (labels, is_last) = page(&world, "ORDER BY Key", 0, 5000);
    assert_eq!((labels.len(), is_last), (1000, true));
    world.sim.settings(|settings| settings.early_last = false);
    assert!(!page(&world, "ORDER BY Key", 0, 1000).1);
    world.sim.settings(|settings| settings.total = true);
    assert_eq!(world.aql("").json()["total"], 1000, "and no more, whatever there is");
}

#[test]
fn without_an_order_pages_overlap() {
    let world = many(100);
    world.sim.settings(|settings| settings.unordered_pages = true);
    let all = |query: &str| -> BTreeSet<String> { (0..10).flat_map(|at| page(&world, query, at * 10, 10).0).collect() };
    assert!(all("objectType = \"Security Group\"").len() < 100);
    assert_eq!(all("objectType = \"Security Group\" ORDER BY Key").len(), 100);
    assert_eq!(all("objectType = \"Security Group\" ORDER BY Name").len(), 100);
    assert!(all("objectType = \"Security Group\" ORDER BY Created").len() < 100, "what is the same has no order");
}

#[test]
fn searches_see_changes_late() {
    let world = start();
    world.sim.settings(|settings| settings.index_lag_s = 10);
    let group = |name: &str| world.created(world.group, &[("Name", &[name]), ("Group ID", &[name])]);
    let found = |query: &str| world.found(&format!("{query} ORDER BY Key"));
    let (first, second) = (group("a"), group("b"));
    assert_eq!(found("\"Group ID\" IN (a, b)"), [""; 0]);
    assert_eq!(world.get(&format!("object/{first}")).status, 200, "an object itself is there at once");
    assert_eq!(world.create(world.group, &[("Name", &["a"]), ("Group ID", &["a"])]).status, 400, "and it is unique at once");
    world.sim.advance(SignedDuration::from_secs(9));
    assert_eq!(found("\"Group ID\" IN (a, b)"), [""; 0]);
    world.sim.advance(SignedDuration::from_secs(1));
    assert_eq!(found("\"Group ID\" IN (a, b)"), ["a", "b"]);
    assert_eq!(world.update(first, world.group, &[("Group ID", &["c"]), ("Name", &["c"])]).status, 200);
    assert_eq!(world.call("DELETE", &format!("object/{second}"), &Value::Null).status, 200);
    world.sim.edit(|site| site.insert(site.type_named("Security Group").unwrap().id, &[("Name", "by hand")]));
    assert_eq!(found("\"Group ID\" IN (a, b)"), ["a", "b"], "what changed and what went is still seen");
    assert_eq!(found("\"Group ID\" = c"), [""; 0]);
    assert_eq!(found("objectType = \"Security Group\""), ["a", "b"]);
    assert_eq!(world.call("POST", "object/aql/totalcount", &json!({"qlQuery": ""})).json()["totalCount"], 2);
    world.sim.advance(SignedDuration::from_secs(10));
    assert_eq!(found("objectType = \"Security Group\""), ["c", "by hand"]);
}

#[test]
fn what_was_taken_away_is_gone() {
    let world = filled();
    assert_eq!(world.get("aql/objects?qlQuery=Name%3Dweb-1").status, 410);
    let body = json!({"objectTypeId": world.id(world.instance), "objectSchemaId": world.id(world.schema), "qlQuery": "Name startswith web",
        "page": 1, "resultsPerPage": 1, "includeAttributes": false});
    assert_eq!(world.call("POST", "object/navlist/aql", &body).status, 410);
    world.sim.settings(|settings| settings.deprecated_searches = true);
    assert_eq!(world.get("aql/objects?qlQuery=Name%3Dweb-1&resultPerPage=500").json()["pageObjectSize"], 25);
    let list = world.call("POST", "object/navlist/aql", &body).json();
    assert_eq!((list["totalFilterCount"].clone(), list["pageSize"].clone(), list["toIndex"].clone()), (json!(2), json!(2), json!(1)));
}
