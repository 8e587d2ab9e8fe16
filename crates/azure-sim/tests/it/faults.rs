//! Faults by script.

use dewpoint_azure_sim::{
    Effect, Fault, Mishap, Sim,
    world::{CLIENT, World},
};
use serde_json::{Value, json};

use crate::support::{COMPUTE, bearer, get, pages, send, start_with, target};

/// A list of several pages.
fn estate() -> (Sim, String) {
    let world = World::generated(5, 1, 300);
    let id = world.subscriptions.keys().next().unwrap().clone();
    let sim = start_with(world, |start| start.settings.page_items = (20, 60));
    (sim, format!("/subscriptions/{id}/providers/Microsoft.Compute/virtualMachines?api-version={COMPUTE}"))
}

/// The link on the first page, with this fault on every page.
fn link(effect: Effect) -> (Sim, String, String) {
    let (sim, list) = estate();
    sim.faults(vec![Fault::new(effect).operation("virtualMachines.list").page(1)]);
    let link = get(&sim, &list).json()["nextLink"].as_str().unwrap().to_owned();
    (sim, list, link)
}

#[test]
fn a_page_can_fail() {
    let (sim, list) = estate();
    sim.faults(vec![Fault::new(Effect::ProviderError).operation("virtualMachines.list").page(3)]);
    let mut at = list.clone();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let answer = get(&sim, &at);
        statuses.push(answer.status);
        if answer.status == 200 {
            at = target(&sim, answer.json()["nextLink"].as_str().unwrap());
        } else {
            assert_eq!(answer.refusal(), (502, "ProviderError".to_owned()));
        }
    }
    assert_eq!(statuses, [200, 200, 502]);
    sim.faults(Vec::new());
    assert_eq!(get(&sim, &at).status, 200, "the page is there again");
    sim.faults(vec![Fault::new(Effect::Mishap(Mishap::Html { status: 404 }))]);
    let page = get(&sim, &at);
    assert!(page.status == 404 && page.text.starts_with("<html>"));
    sim.faults(vec![Fault::new(Effect::Mishap(Mishap::CutConnection { share: 0.5 }))]);
    assert!(!get(&sim, &at).is_whole);
    let pages_met: Vec<u32> = sim.calls().iter().map(|call| call.page).collect();
    assert_eq!(pages_met, [1, 2, 3, 3, 3, 3]);
}

#[test]
fn links_can_lead_astray() {
    let (_, _, foreign) = link(Effect::ForeignNextLink { base: "https://elsewhere.example".to_owned() });
    assert!(foreign.starts_with("https://elsewhere.example/subscriptions/"), "{foreign}");

    let (sim, list, repeated) = link(Effect::RepeatNextLink);
    let again = get(&sim, &target(&sim, &repeated)).json();
    assert_eq!(again["nextLink"], repeated.as_str());
    assert_eq!(again["value"], get(&sim, &list).json()["value"]);

    let (sim, list) = estate();
    sim.faults(vec![Fault::new(Effect::LoopNextLink).page(3)]);
    let mut at = list.clone();
    for _ in 0..3 {
        at = target(&sim, get(&sim, &at).json()["nextLink"].as_str().unwrap());
    }
    assert_eq!(get(&sim, &at).json()["value"], get(&sim, &list).json()["value"], "the third page leads to the first");

    let (sim, _, long) = link(Effect::LongNextLink);
    let answer = get(&sim, &target(&sim, &long));
    assert!(answer.status == 404 && answer.text.starts_with("<html>"));

    let (_, _, other) = link(Effect::NextLinkVersion { version: "2015-06-15".to_owned() });
    assert!(other.contains("api-version=2015-06-15&"), "{other}");
}

#[test]
fn a_link_can_be_left_raw() {
    let (sim, list) = estate();
    let mut world = (*sim.world()).clone();
    let set = world.subscriptions.values().next().unwrap().scale_sets.values().find(|set| set.is_flexible()).unwrap().base.id.clone();
    let subscription = world.subscriptions.keys().next().unwrap().clone();
    for number in 0..70 {
        world.subscription(&subscription).group("rg-more", "westeurope").vm(&format!("more-{number}")).member_of(&set);
    }
    sim.edit(|old| *old = world);
    sim.faults(vec![Fault::new(Effect::RawNextLink)]);
    let filter = dewpoint_sim_kit::form::encode(&format!("'virtualMachineScaleSet/id' eq '{set}'"));
    let link = get(&sim, &format!("{list}&$filter={filter}")).json()["nextLink"].as_str().unwrap().to_owned();
    assert!(link.contains("$filter='virtualMachineScaleSet/id' eq '/subscriptions/"), "{link}");
    let mended = target(&sim, &link).replace(' ', "%20");
    assert_eq!(get(&sim, &mended).status, 200);
}

#[test]
fn items_can_be_spoilt() {
    let (sim, list) = estate();
    let first = get(&sim, &list).json()["value"][0].clone();
    let spoilt = |effect: Effect| {
        sim.faults(vec![Fault::new(effect).operation("virtualMachines.list")]);
        get(&sim, &list).json()["value"][0].clone()
    };
    let new = spoilt(Effect::NewEnumValue);
    assert_eq!(
        [&new["properties"]["provisioningState"], &new["properties"]["storageProfile"]["osDisk"]["osType"]],
        [&json!("Rehydrating"); 2]
    );
    let nulls = spoilt(Effect::NullObjects);
    assert_eq!([&nulls["properties"]["networkProfile"], &nulls["properties"]["vmId"]], [&Value::Null, &first["properties"]["vmId"]]);
    assert_eq!(spoilt(Effect::NoLocation)["location"], Value::Null);
    assert_eq!(spoilt(Effect::NoId)["id"], Value::Null);
    assert!(spoilt(Effect::TextItem).is_string());
    assert_ne!(spoilt(Effect::MissItem { id: first["id"].as_str().unwrap().to_owned() })["id"], first["id"]);
    sim.faults(vec![Fault::new(Effect::EmptyList)]);
    assert_eq!(pages(&sim, &list), [json!({"value": []})]);
}

#[test]
fn calls_are_written_down() {
    let (sim, list) = estate();
    let mut headers = bearer(&sim.token(CLIENT)).to_vec();
    headers.push(("x-ms-client-request-id", "7a1f".to_owned()));
    let answer = send(&sim, "GET", &list, &headers, "");
    assert!(!answer.header("x-ms-request-id").is_empty() && !answer.header("x-ms-correlation-request-id").is_empty());
    send(&sim, "GET", &list, &[], "");
    let calls = sim.calls();
    assert_eq!(calls[0].client_request_id.as_deref(), Some("7a1f"));
    assert_eq!((calls[0].operation.as_str(), calls[0].client.as_str(), calls[0].has_token), ("virtualMachines.list", CLIENT, true));
    assert_eq!((calls[1].status, calls[1].error.as_deref(), calls[1].has_token), (401, Some("AuthenticationFailed"), false));
    assert_eq!(sim.counters().by_operation["virtualMachines.list"], 2);
}

#[test]
fn a_simulator_is_driven_over_http() {
    let (sim, list) = estate();
    let control = |method: &str, path: &str, body: &str| send(&sim, method, &format!("/_sim/{path}"), &[], body);
    assert_eq!(control("PUT", "faults", r#"[{"operation": "virtualMachines.list", "times": 1, "effect": "deny"}]"#).status, 204);
    assert_eq!([get(&sim, &list).status, get(&sim, &list).status], [403, 200]);
    assert_eq!(control("PUT", "faults", r#"[{"effect": "dany"}]"#).status, 400);
    let world = control("GET", "world", "").json();
    let vm =
        world["subscriptions"].as_object().unwrap().values().next().unwrap()["vms"].as_object().unwrap().keys().next().unwrap().clone();
    assert_eq!(control("POST", "changes", &json!([{"delete": {"id": vm}}]).to_string()).status, 204);
    assert_eq!(control("POST", "changes", &json!([{"delete": {"id": vm}}]).to_string()).status, 404);
    assert_eq!(control("PUT", "world", &world.to_string()).status, 204);
    assert_eq!(control("GET", "world", "").json(), world);
    assert_eq!(control("POST", "generate", r#"{"subscriptions": 2, "vms": 10, "seed": 3}"#).status, 204);
    assert_eq!(sim.world().subscriptions.len(), 2);
    assert_eq!([control("POST", "expire-tokens", "").status, control("GET", "nothing", "").status], [204, 404]);
}
