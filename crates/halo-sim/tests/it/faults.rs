//! Faults by script, and the control interface.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use dewpoint_halo_sim::{Effect, Fault, Mishap, Shape, Sim};
use serde_json::{Value, json};

use crate::support::{Answer, Caller, ask_token, form, ids, instance, send, start};

fn struck(sim: &Sim, effect: impl Into<Effect>) -> Answer {
    let caller = Caller::new(sim);
    sim.faults(vec![Fault::new(effect).times(1)]);
    caller.call("GET", "/api/Asset?pageinate=true", &Value::Null)
}

#[test]
fn errors_come_in_all_shapes() {
    let sim = start();
    let shaped = |shape| {
        let answer = struck(&sim, Effect::Error { status: 500, shape, message: "broken".to_owned() });
        assert_eq!(answer.status, 500);
        answer.text
    };
    assert_eq!(shaped(Shape::ResultCode), r#"{"errorMessage":"broken","resultCode":500}"#);
    let exception: Value = serde_json::from_str(&shaped(Shape::Exception)).unwrap();
    assert_eq!((exception["ClassName"].clone(), exception["Message"].clone()), (json!("System.Exception"), json!("broken")));
    assert_eq!(shaped(Shape::Message), r#"{"Message":"broken"}"#);
    assert_eq!(shaped(Shape::LowerMessage), r#"{"message":"broken"}"#);
    assert!(shaped(Shape::Oauth).contains(r#""error_description":"broken""#));
    assert_eq!(shaped(Shape::ModelState), r#"{"[0]":["broken"]}"#);
    assert_eq!([shaped(Shape::Quoted), shaped(Shape::Text), shaped(Shape::Empty)], ["\"broken\"", "broken", ""]);
    let page = shaped(Shape::Page);
    assert!(page.starts_with("<!DOCTYPE html>") && page.len() >= 256 * 1024);
}

#[test]
fn one_error_comes_in_several_shapes() {
    let sim = start();
    sim.settings(|settings| settings.mixed_errors = true);
    let caller = Caller::new(&sim);
    let shapes: BTreeSet<String> = (0..60).map(|_| caller.post(&json!([{"site_id": 18}])).text).collect();
    assert_eq!(shapes.len(), 6);
    assert!(shapes.iter().all(|text| text.contains("An Asset Type must be selected")));
    assert_eq!(sim.calls().last().unwrap().error.as_deref(), Some("An Asset Type must be selected"));
}

#[test]
fn refusals_and_dead_tokens() {
    let sim = start();
    let limited = struck(&sim, Effect::Throttle { retry_after_s: Some(7) });
    assert_eq!((limited.status, limited.header("retry-after")), (429, "7"));
    assert_eq!(struck(&sim, Effect::Throttle { retry_after_s: None }).header("retry-after"), "");
    assert_eq!(struck(&sim, Effect::Forbidden).status, 403);
    let caller = Caller::new(&sim);
    sim.faults(vec![Fault::new(Effect::ExpiredToken).operation("asset_list").times(1)]);
    let list = |caller: &Caller<'_>| caller.status("GET", "/api/Asset", &Value::Null);
    assert_eq!([list(&caller), list(&caller), list(&Caller::new(&sim))], [401, 401, 200]);
    sim.faults(vec![Fault::new(Mishap::Html { status: 503 }).operation("token").times(1)]);
    let token = || ask_token(&sim, "/auth/token?tenant=acme", &form("dewpoint", "dewpoint-secret", "all")).status;
    assert_eq!([token(), token()], [503, 200]);
}

#[test]
fn lists_that_lack_something() {
    let sim = start();
    for number in 1..=8 {
        sim.edit(|tenant| tenant.insert(130, &format!("i-{number}"), &[]));
    }
    let told = |answer: Answer| (answer.json()["record_count"].as_u64().unwrap(), ids(&answer.json()["assets"]).len());
    assert_eq!(told(struck(&sim, Effect::EmptyList)), (0, 0));
    assert_eq!(told(struck(&sim, Effect::MissRows { share: 0.5 })), (8, 4));
    assert_eq!(told(struck(&sim, Effect::WrongCount { count: 3 })), (3, 8));
    let caller = Caller::new(&sim);
    sim.faults(vec![Fault::new(Effect::EmptyList).operation("asset_type_list")]);
    assert_eq!(caller.get("/api/AssetType"), json!([]));
}

#[test]
fn a_lost_reply_leaves_what_was_made() {
    let sim = start();
    let caller = Caller::new(&sim);
    sim.faults(vec![
        Fault::new(Mishap::Reset).operation("asset_post").nth(2).times(1).after_commit(),
        Fault::new(Mishap::Reset).operation("asset_post").body_contains("i-9"),
    ]);
    let post = |tag: &str| caller.try_call("POST", "/api/Asset", &json!([instance(tag)])).map(|answer| answer.status).ok();
    assert_eq!([post("i-1"), post("i-2"), post("i-2"), post("i-9")], [Some(201), None, Some(201), None]);
    assert_eq!([sim.find("i-2").len(), sim.find("i-9").len()], [2, 0], "a repeat makes a double");
    let lost = sim.calls().into_iter().filter(|call| call.fault.as_deref() == Some("reset")).collect::<Vec<_>>();
    assert_eq!(lost.iter().map(|call| (call.status, call.ids.len())).collect::<Vec<_>>(), [(201, 1), (0, 0)]);
    assert_eq!(sim.counters().writes, 4);
}

#[test]
fn answers_that_are_slow_or_cut() {
    let sim = start();
    let before = Instant::now();
    assert_eq!(struck(&sim, Mishap::Latency { ms: 60 }).status, 200);
    assert!(before.elapsed() >= Duration::from_millis(60));
    assert!(serde_json::from_str::<Value>(&struck(&sim, Mishap::CutBody { share: 0.5 }).text).is_err());
    let caller = Caller::new(&sim);
    sim.faults(vec![Fault::new(Mishap::CutConnection { share: 0.5 }).contains("PAGEINATE").times(1)]);
    assert!(caller.try_call("GET", "/api/Asset?pageinate=true", &Value::Null).is_err());
}

fn control(sim: &Sim, method: &str, path: &str, body: &str) -> (u16, Value) {
    let answer = send(sim, method, &format!("/_sim/{path}"), &[], body);
    (answer.status, if answer.text.is_empty() { Value::Null } else { answer.json() })
}

#[test]
fn other_processes_drive_it_too() {
    let sim = start();
    let (status, id) = control(&sim, "POST", "assets", r#"{"type": "server", "tag": "s-1", "values": {"Name": "a"}}"#);
    assert_eq!(status, 200);
    assert_eq!(control(&sim, "POST", "assets", &json!({"id": id, "values": {"Name": "b"}}).to_string()).0, 200);
    assert_eq!(control(&sim, "GET", "assets", "").1[0]["values"]["101"], "b");
    control(&sim, "POST", "assets", r#"{"type": "Server"}"#);
    assert_eq!(control(&sim, "POST", "assets", r#"{"type": "Sever"}"#).0, 400);
    assert_eq!(control(&sim, "POST", "relationships", r#"{"parent": 501, "child": 502, "relationship_id": 1}"#).0, 204);
    assert_eq!(control(&sim, "GET", "relationships", "").1[0]["child"], 502);
    assert_eq!(control(&sim, "DELETE", "relationships", r#"{"parent": 501, "child": 502}"#).0, 204);
    let (_, tenant) = control(&sim, "GET", "tenant", "");
    assert_eq!(control(&sim, "DELETE", "assets/501", "").0, 204);
    assert_eq!(sim.assets().len(), 1);
    assert_eq!(control(&sim, "PUT", "tenant", &tenant.to_string()).0, 204);
    assert_eq!(sim.assets().len(), 2);
    let caller = Caller::new(&sim);
    assert_eq!(control(&sim, "POST", "expire-tokens", "").0, 204);
    assert_eq!(caller.status("GET", "/api/Asset", &Value::Null), 401);
    assert_eq!(control(&sim, "PUT", "faults", r#"[{"operation": "asset_post", "effect": "forbidden"}]"#).0, 204);
    let caller = Caller::new(&sim);
    assert_eq!(caller.post(&json!([{"colr": 1}])).status, 403);
    control(&sim, "DELETE", "faults", "");
    caller.post(&json!([{"colr": 1}]));
    assert_eq!(control(&sim, "GET", "unknown-properties", "").1, json!({"colr": 1}));
    assert_eq!(control(&sim, "GET", "counters", "").1["writes"], 2);
    assert_eq!(control(&sim, "GET", "settings", "").1["page_rows_max"], 50);
    assert_eq!(control(&sim, "GET", "nonsense", "").0, 404);
}
