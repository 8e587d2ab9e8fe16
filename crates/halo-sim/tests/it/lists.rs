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
