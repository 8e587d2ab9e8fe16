//! Reading.

use dewpoint_halo_sim::{CLIENT_ID, Sim, Tenant};
use serde_json::{Value, json};

use crate::support::{Caller, ids, instance, start, start_with};

/// A tenant with so many instances, `i-1` and so on; each third is inactive.
fn filled(count: usize) -> Tenant {
    let mut tenant = Tenant::new();
    for number in 1..=count {
        let id =
            tenant.insert(130, &format!("i-{number}"), &[("Name", &format!("web-{number}")), ("Provider ID", &format!("arn:{number}"))]);
        if number % 3 == 0 {
            tenant.change(id, |asset| asset.inactive = true);
        }
    }
    tenant
}

fn pages(caller: &Caller<'_>, query: &str) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    for page in 1.. {
        let body = caller.get(&format!("/api/Asset?pageinate=true&page_no={page}&{query}"));
        let rows = body["assets"].as_array().unwrap().clone();
        if rows.is_empty() {
            break;
        }
        found.extend(rows);
    }
    found
}

fn sim(count: usize) -> Sim {
    start_with(filled(count), |_| {})
}

#[test]
fn a_first_asset_goes_in_and_comes_out() {
    let sim = start();
    let caller = Caller::new(&sim);
    let id = caller.put(&instance("i-0abc"));
    let list = caller.get("/api/asset?pageinate=true&page_size=10&assettype_id=130&includeassetfields=true");
    assert_eq!((list["record_count"].clone(), ids(&list["assets"])), (json!(1), vec![id]));
    assert_eq!(list["assets"][0]["key_field"], "name of i-0abc");
    let one = caller.get(&format!("/api/Asset/{id}?includedetails=true"));
    assert_eq!(one["fields"][0]["value"], "name of i-0abc");
    let call = sim.calls().into_iter().find(|call| call.operation == "asset_post").unwrap();
    assert_eq!((call.ids, call.client.as_str(), call.status, call.elements), (vec![id], CLIENT_ID, 201, 1));
    assert_eq!(sim.counters().writes, 1);
}

#[test]
fn pages_are_capped_and_say_so() {
    let sim = sim(130);
    let caller = Caller::new(&sim);
    let body = caller.get("/api/Asset?pageinate=true&page_size=1000&page_no=1&order=id&includeinactive=true&includeactive=true");
    assert_eq!((body["page_no"].clone(), body["page_size"].clone(), body["record_count"].clone()), (json!(1), json!(50), json!(130)));
    assert_eq!(body["assets"].as_array().unwrap().len(), 50);
    let all = pages(&caller, "page_size=1000&order=id&includeinactive=true&includeactive=true");
    assert_eq!(all.len(), 130);
    sim.settings(|settings| settings.page_rows_max = 100);
    assert_eq!(caller.get("/api/Asset?pageinate=true&page_size=1000")["page_size"], 100);
}

#[test]
fn rows_without_an_order_come_in_another_each_time() {
    let sim = sim(120);
    let caller = Caller::new(&sim);
    let read = |query: &str| {
        let mut found: Vec<i64> = pages(&caller, query).iter().map(|row| row["id"].as_i64().unwrap()).collect();
        let count = found.len();
        found.sort_unstable();
        found.dedup();
        (count, found.len())
    };
    let both = "includeinactive=true&includeactive=true";
    let (rows, distinct) = read(both);
    assert_eq!(rows, 120);
    assert!(distinct < 120, "pages overlap, and what they share is missing elsewhere");
    assert_eq!(read(&format!("{both}&order=id")), (120, 120));
    let first = |query: &str| ids(&caller.get(&format!("/api/Asset?pageinate=true&page_size=3&{both}&{query}"))["assets"]);
    assert_eq!([first("order=id"), first("order=id&orderdesc=true")], [vec![501, 502, 503], vec![620, 619, 618]]);
    assert_eq!(first("order=inventory_number"), [501, 510, 600], "as text");
    sim.settings(|settings| settings.unordered_pages = false);
    assert_eq!(read(both), (120, 120));
}

#[test]
fn pages_need_their_misspelled_parameter() {
    let sim = sim(60);
    let caller = Caller::new(&sim);
    let body = caller.get("/api/Asset?paginate=true&page_size=5&page_no=2&includeinactive=true&includeactive=true");
    assert_eq!((body["record_count"].clone(), body.get("page_size")), (json!(60), None), "a list without pages");
    assert_eq!(ids(&caller.get("/api/Asset?pageinate=True&page_size=5&page_no=99")["assets"]), Vec::<i64>::new());
}

#[test]
fn a_count_tells_of_itself_alone() {
    let sim = sim(30);
    let caller = Caller::new(&sim);
    sim.settings(|settings| settings.count_rows_max = 20);
    let both = "includeinactive=true&includeactive=true";
    let body = caller.get(&format!("/api/Asset?count=5000&{both}"));
    assert_eq!((body["record_count"].clone(), body["assets"].as_array().unwrap().len()), (json!(20), 20));
    assert!(!ids(&body["assets"]).contains(&501), "the oldest are hidden");
    assert_eq!(ids(&caller.get(&format!("/api/Asset?count=2&{both}"))["assets"]), [530, 529]);
}

#[test]
fn what_is_inactive_is_listed_when_it_is_asked_for() {
    let sim = sim(9);
    let caller = Caller::new(&sim);
    let count = |query: &str| caller.get(&format!("/api/Asset?pageinate=true&{query}"))["record_count"].as_i64().unwrap();
    assert_eq!(count(""), 6);
    assert_eq!([count("includeinactive=true"), count("includeactive=true"), count("includeinactive=true&includeactive=true")], [3, 6, 9]);
}

#[test]
fn lists_are_narrowed() {
    let mut tenant = filled(4);
    let server = tenant.insert(120, "srv-1", &[("Name", "i-am-a-server")]);
    let site = tenant.clone().with_site("Branch").sites.keys().copied().max().unwrap();
    let mut tenant = tenant.with_site("Branch");
    tenant.change(server, |asset| {
        asset.site_id = site;
        asset.status_id = 2;
    });
    tenant.relate(501, 502, 1);
    tenant.relate(server, 501, 1);
    let sim = start_with(tenant, |_| {});
    let caller = Caller::new(&sim);
    let found = |query: &str| {
        let body = caller.get(&format!("/api/Asset?pageinate=true&order=id&{query}"));
        assert_eq!(body["record_count"].as_u64().unwrap(), u64::try_from(body["assets"].as_array().unwrap().len()).unwrap());
        ids(&body["assets"])
    };
    let cases: [(&str, &[i64]); 18] = [
        ("", &[501, 502, 504, 505]),
        ("assettype_id=120", &[505]),
        ("assettypes=120,130", &[501, 502, 504, 505]),
        ("assetgroup_id=112", &[501, 502, 504]),
        ("assetgroups=101", &[505]),
        ("assetstatuses=2,3", &[505]),
        ("client_id=12", &[501, 502, 504, 505]),
        ("client_id=1", &[]),
        ("site_id=18&excludethese=501", &[502, 504]),
        ("assets=502,505,999", &[502, 505]),
        ("inventory_number=I-2", &[502]),
        ("inventory_number=i-", &[]),
        ("search=i-", &[501, 502, 504, 505]),
        ("search=i-&search_inventory_number_only=true", &[501, 502, 504]),
        ("search=ARN:4", &[504]),
        ("linkedto_id=501", &[502, 505]),
        ("assettype=120&provider_id=arn:4", &[501, 502, 504, 505]),
        ("inventory_number=i-1&assettype_id=120", &[]),
    ];
    for (query, expected) in cases {
        assert_eq!(found(query), expected, "{query}");
    }
    for query in ["page_no=first", "pageinate=maybe", "assettype_id=x", "includeinactive=1x"] {
        let answer = caller.call("GET", &format!("/api/Asset?{query}"), &Value::Null);
        let name = query.split('=').next().unwrap();
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.json()[name][0].as_str().unwrap().contains("is not valid"));
    }
}

#[test]
fn fields_are_listed_when_they_are_asked_for() {
    let sim = sim(1);
    let caller = Caller::new(&sim);
    let has = |query: &str| caller.get(&format!("/api/Asset?{query}"))["assets"][0].get("fields").is_some();
    assert!(!has("assettype_id=130"));
    assert!(has("assettype_id=130&includeassetfields=true"));
    assert!(!has("includeassetfields=true"));
    sim.settings(|settings| settings.fields_need_type = false);
    assert!(has("includeassetfields=true"));
    let row = caller.get("/api/Asset?includeassetfields=true")["assets"][0].clone();
    let field = |id: i64| row["fields"].as_array().unwrap().iter().find(|field| field["id"] == id).unwrap().clone();
    assert_eq!((field(148)["name"].clone(), field(148)["value"].clone()), (json!("Provider ID"), json!("arn:1")));
    assert_eq!(field(149).get("value"), None, "what has no value says nothing");
    assert_eq!((row["key_field"].clone(), row["key_field2"].clone(), row.get("key_field3")), (json!("web-1"), json!("arn:1"), None));
    assert_eq!(caller.get("/api/Asset?idonly=true")["assets"], json!([{"id": 501}]));
}

#[test]
fn one_asset_has_more_than_a_row() {
    let sim = sim(2);
    let caller = Caller::new(&sim);
    sim.edit(|tenant| tenant.relate(501, 502, 2));
    let plain = caller.get("/api/Asset/501");
    assert_eq!((plain.get("fields"), plain.get("child_assets"), plain["warranty_end"].clone()), (None, None, json!("1900-01-01T00:00:00")));
    assert!(plain["guid"].is_string() && plain["changeguid"].is_string());
    assert_eq!(
        (plain["client_name"].clone(), plain["site_name"].clone(), plain["status_name"].clone()),
        (json!("Acme"), json!("Main"), json!("Active"))
    );
    let details = caller.get("/api/Asset/501?includedetails=true");
    assert_eq!((ids(&details["child_assets"]), details["parent_assets"].clone()), (vec![502], json!([])));
    assert_eq!(caller.get("/api/Asset")["assets"][0].get("child_assets"), None);
    let allowed = caller.get("/api/Asset/501?includeallowedstatus=true")["allowed_status"].clone();
    assert_eq!((allowed[3]["status_id"].clone(), allowed[3]["status_name"].clone()), (json!(4), json!("Retired")));
    assert_eq!(caller.status("GET", "/api/Asset/77", &Value::Null), 404);
    let odd = caller.call("GET", "/api/Asset/first", &Value::Null);
    assert_eq!((odd.status, odd.json()), (400, json!({"id": ["The value 'first' is not valid."]})));
}
