//! Faults by script, and the control interface.

use std::time::{Duration, Instant};

use dewpoint_servicenow_sim::{Effect, Fault, Mishap, Sim};
use serde_json::{Value, json};

use crate::support::{VISIBLE, basic, call, chain, enhanced, errors, get, send, start, try_send};

const TABLE: &str = "/api/now/table/cmdb_ci_vm_instance?sysparm_query=ORDERBYsys_id&sysparm_fields=name";
const ENHANCED: &str = "/api/now/identifyreconcile/enhanced?sysparm_data_source=CloudBridge";

fn filled() -> Sim {
    let sim = start();
    enhanced(&sim, VISIBLE, &chain(&[("i-1", "a"), ("i-2", "b"), ("i-3", "c"), ("i-4", "d")]));
    sim
}

fn struck(sim: &Sim, effect: Effect) -> crate::support::Answer {
    sim.faults(vec![Fault::new(effect).times(1)]);
    get(sim, TABLE)
}

#[test]
fn both_kinds_of_429() {
    let sim = filled();
    let limited = struck(&sim, Effect::RateLimited { retry_after_s: 812 });
    assert_eq!((limited.status, limited.header("retry-after")), (429, "812"));
    assert!(!limited.header("x-ratelimit-reset").is_empty());
    let full = struck(&sim, Effect::SemaphoreFull);
    assert_eq!((full.status, full.header("retry-after"), full.header("x-ratelimit-limit")), (429, "", ""));
}

#[test]
fn bodies_that_are_not_what_they_should_be() {
    let sim = filled();
    for status in [502, 503] {
        let html = struck(&sim, Effect::Mishap(Mishap::Html { status }));
        assert_eq!(html.status, status);
        assert!(html.text.starts_with("<html>") && html.header("content-type").starts_with("text/html"));
    }
    let asleep = struck(&sim, Effect::Hibernating);
    assert_eq!(asleep.status, 200);
    assert!(asleep.text.contains("hibernating"));
    let cut = struck(&sim, Effect::Mishap(Mishap::CutBody { share: 0.5 }));
    assert!(cut.is_whole && serde_json::from_str::<Value>(&cut.text).is_err());
    assert!(!struck(&sim, Effect::Mishap(Mishap::CutConnection { share: 0.5 })).is_whole);
    assert_eq!(struck(&sim, Effect::Mishap(Mishap::Empty { status: 200 })).text, "");
    assert_eq!(struck(&sim, Effect::Dropped).status, 202);
    let partial = struck(&sim, Effect::PartialResult { share: 0.5 });
    assert_eq!((partial.status, partial.result().as_array().unwrap().len(), partial.json()["status"].clone()), (200, 2, json!("failure")));
    let error = struck(&sim, Effect::Error { status: 500, message: "m".to_owned(), detail: None });
    assert_eq!(error.json()["error"], json!({"message": "m", "detail": null}));
    assert_eq!(struck(&sim, Effect::Forbidden).status, 403);
    assert_eq!(get(&sim, TABLE).result().as_array().unwrap().len(), 4);
}

#[test]
fn connections_that_break() {
    let sim = filled();
    sim.faults(vec![Fault::new(Mishap::Reset).times(1), Fault::new(Mishap::ResetBody { share: 0.5 }).times(1)]);
    for _ in 0..2 {
        let answer = try_send(&sim.url(), "GET", TABLE, &[basic("integration")], "");
        assert!(answer.as_ref().map_or(true, |answer| !answer.is_whole), "{answer:?}");
    }
    let before = Instant::now();
    sim.faults(vec![Fault::new(Mishap::Latency { ms: 60 }).times(1), Fault::new(Mishap::Slow { bytes: 200, pause_ms: 20 }).times(1)]);
    get(&sim, TABLE);
    assert!(before.elapsed() >= Duration::from_millis(60));
    assert_eq!(get(&sim, TABLE).result().as_array().unwrap().len(), 4);
}

#[test]
fn what_fails_after_the_commit_is_there() {
    let sim = start();
    sim.faults(vec![
        Fault::new(Effect::QuotaKill).api("identifyreconcile").times(1),
        Fault::new(Effect::QuotaKill).api("identifyreconcile").after_commit().times(1),
        Fault::new(Mishap::Reset).api("identifyreconcile").after_commit().times(1),
    ]);
    let send = |id: &str| {
        try_send(
            &sim.url(),
            "POST",
            ENHANCED,
            &[basic("integration"), ("Content-Type", "application/json".to_owned())],
            &chain(&[(id, "web")]).to_string(),
        )
    };
    let first = send("i-1").unwrap();
    assert_eq!(
        (first.status, first.json()["error"]["message"].clone()),
        (500, json!("Transaction cancelled: maximum execution time exceeded"))
    );
    assert_eq!(sim.rows("cmdb_ci", "").len(), 0);
    assert_eq!(send("i-1").unwrap().status, 500);
    assert_eq!(sim.rows("cmdb_ci", "").len(), 3);
    assert!(send("i-2").is_err());
    assert_eq!(sim.rows("cmdb_ci_vm_instance", "").len(), 2);
    assert_eq!(sim.calls().iter().map(|call| call.fault.is_some()).collect::<Vec<_>>(), [true; 3]);
    assert_eq!(sim.counters().operations["INSERT"], 4);
}

#[test]
fn faults_choose_by_class_and_by_text() {
    let sim = start();
    sim.faults(vec![
        Fault::new(Effect::QuotaKill).body_contains("poison"),
        Fault::new(Effect::LockTimeout).class("cmdb_ci_vm_instance").nth(2).times(1),
        Fault::new(Effect::Forbidden).class("cmdb_rel_ci").method("GET"),
    ]);
    assert_eq!(call(&sim, "POST", ENHANCED, &chain(&[("i-1", "poison")])).status, 500);
    assert_eq!(errors(&enhanced(&sim, VISIBLE, &chain(&[("i-2", "good")]))), ["", "", ""]);
    assert_eq!(errors(&enhanced(&sim, VISIBLE, &chain(&[("i-3", "good")]))), ["LOCK_TIMEOUT"; 3]);
    assert_eq!(get(&sim, "/api/now/table/cmdb_rel_ci").status, 403);
}

#[test]
fn the_data_source_goes_in_the_middle() {
    let sim = start();
    sim.faults(vec![Fault::new(Effect::RemoveDataSource { name: "CloudBridge".to_owned() }).api("identifyreconcile").nth(2).times(1)]);
    assert_eq!(errors(&enhanced(&sim, VISIBLE, &chain(&[]))), ["", ""]);
    assert_eq!(errors(&enhanced(&sim, VISIBLE, &chain(&[]))), ["INVALID_INPUT_DATA"; 2]);
    assert_eq!(errors(&enhanced(&sim, VISIBLE, &chain(&[]))), ["INVALID_INPUT_DATA"; 2]);
}

#[test]
fn a_token_is_revoked_in_the_middle() {
    let sim = start();
    let form = "grant_type=password&client_id=client-id&client_secret=client-secret&username=integration&password=integration-password";
    let kind = [("Content-Type", "application/x-www-form-urlencoded".to_owned())];
    let token = || send(&sim, "POST", "/oauth_token.do", &kind, form).json()["access_token"].as_str().unwrap().to_owned();
    let first = token();
    let status = |token: &str| send(&sim, "GET", TABLE, &[("Authorization", format!("Bearer {token}"))], "").status;
    sim.faults(vec![Fault::new(Effect::RevokeToken).api("table").nth(2).times(1)]);
    assert_eq!([status(&first), status(&first), status(&first)], [200, 401, 401]);
    let second = token();
    assert_ne!(first, second);
    assert_eq!(status(&second), 200);
    sim.faults(vec![Fault::new(Mishap::Html { status: 503 }).api("oauth").times(1)]);
    assert_eq!(send(&sim, "POST", "/oauth_token.do", &kind, form).status, 503);
}

#[test]
fn everything_is_driven_over_http_too() {
    let sim = start();
    let control = |method: &str, path: &str, body: Value| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        send(&sim, method, &format!("/_sim/{path}"), &[], &body)
    };
    assert_eq!(control("GET", "health", Value::Null).status, 204);
    assert_eq!(control("PUT", "faults", json!([{"api": "table", "times": 1, "effect": "hibernating"}])).status, 204);
    assert_eq!(control("GET", "faults", Value::Null).json()[0]["effect"], "hibernating");
    assert!(get(&sim, TABLE).text.contains("hibernating"));
    assert_eq!(control("GET", "calls", Value::Null).json()[0]["fault"], "hibernating");
    assert_eq!(control("GET", "counters", Value::Null).json()["requests"], 1);
    assert_eq!(control("DELETE", "calls", Value::Null).status, 204);
    assert_eq!(control("GET", "calls", Value::Null).json(), json!([]));
    assert_eq!(control("POST", "data-sources", json!({"name": "Other"})).status, 204);
    assert_eq!(control("DELETE", "data-sources/CloudBridge", Value::Null).status, 204);
    assert_eq!(sim.rows("sys_choice", "value=Other").len() + sim.rows("sys_choice", "value=CloudBridge").len(), 1);
    let made = control("POST", "records", json!({"table": "cmdb_ci_vm_instance", "values": {"name": "theirs"}})).json();
    let made = made.as_str().unwrap();
    assert_eq!(control("POST", "records", json!({"sys_id": made, "values": {"name": "renamed"}})).status, 200);
    assert_eq!(control("GET", "tables", Value::Null).json()["cmdb_ci_vm_instance"][made]["name"], "renamed");
    let saved = control("GET", "instance", Value::Null).text;
    assert_eq!(control("DELETE", &format!("records/{made}"), Value::Null).status, 204);
    assert_eq!(sim.rows("cmdb_ci", "").len(), 0);
    assert_eq!(send(&sim, "PUT", "/_sim/instance", &[], &saved).status, 204);
    assert_eq!(sim.rows("cmdb_ci", "").len(), 1);
    let before = sim.now();
    assert_eq!(control("POST", "advance", json!({"seconds": 60})).status, 204);
    assert_eq!(sim.now().duration_since(before).as_secs(), 60);
    assert_eq!(control("PUT", "settings", json!({"shuffle_output": false})).status, 204);
    assert_eq!(control("PUT", "settings", json!({"colour": 1})).status, 400);
    assert_eq!(control("PUT", "properties", json!({"a": "b"})).status, 204);
    assert_eq!(control("POST", "revoke-tokens", Value::Null).status, 204);
    assert_eq!(control("GET", "certificate", Value::Null).status, 404);
    assert_eq!(control("GET", "nonsense", Value::Null).status, 404);
}
