//! Faults by script, and the control interface.

use std::time::{Duration, Instant};

use dewpoint_assets_sim::{Effect, Fault, Mishap, Settings};
use serde_json::{Value, json};

use crate::support::{Answer, World, basic, bearer, start, try_send};

fn control(world: &World, method: &str, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    try_send(&world.sim.url(), method, &format!("/_sim/{path}"), &[], &body).unwrap()
}

fn filled() -> World {
    let world = start();
    for name in ["a", "b", "c", "d"] {
        world.created(world.group, &[("Name", &[name]), ("Group ID", &[name])]);
    }
    world
}

#[test]
fn answers_are_what_they_should_not_be() {
    let world = filled();
    let struck = |effect: Effect| {
        world.sim.faults(vec![Fault::new(effect).times(1)]);
        world.aql("ORDER BY Key")
    };
    let limited = struck(Effect::RateLimited { retry_after_s: Some(7) });
    assert_eq!((limited.status, limited.header("retry-after"), limited.header("x-ratelimit-reset")), (429, "7", "2026-06-01T10:00:07Z"));
    assert_eq!(struck(Effect::RateLimited { retry_after_s: None }).header("retry-after"), "");
    assert_eq!(struck(Effect::Unauthenticated).status, 401);
    assert_eq!(struck(Effect::Forbidden).status, 403);
    let error = struck(Effect::Error { status: 500, message: "m".to_owned() });
    assert_eq!((error.status, error.json()), (500, json!({"errorMessages": ["m"], "errors": {}})));
    for status in [429, 503] {
        let html = struck(Effect::Mishap(Mishap::Html { status }));
        assert_eq!((html.status, html.text.starts_with("<html>")), (status, true));
    }
    let cut = struck(Effect::Mishap(Mishap::CutBody { share: 0.5 }));
    assert!(cut.is_whole && serde_json::from_str::<Value>(&cut.text).is_err());
    assert!(!struck(Effect::Mishap(Mishap::CutConnection { share: 0.5 })).is_whole);
    let short = struck(Effect::ShortPage { share: 0.5 }).json();
    assert_eq!((short["values"].as_array().unwrap().len(), short["isLast"].clone()), (2, json!(true)));
    world.sim.faults(vec![Fault::new(Effect::LastPage)]);
    let page = world.call("POST", "object/aql?maxResults=1", &json!({"qlQuery": ""})).json();
    assert_eq!((page["values"].as_array().unwrap().len(), page["isLast"].clone(), page["last"].clone()), (1, json!(true), json!(true)));
}

#[test]
fn what_fails_after_the_commit_is_there() {
    let world = start();
    world.sim.faults(vec![
        Fault::new(Mishap::Reset).operation("object_create").nth(2).times(1).after_commit(),
        Fault::new(Mishap::Html { status: 503 }).operation("object_create").nth(2).times(1),
        Fault::new(Effect::Error { status: 500, message: "poison".to_owned() }).body_contains("poison"),
        Fault::new(Mishap::Latency { ms: 60 }).path_contains("/object/5001").method("GET"),
    ]);
    let create = |name: &str| {
        let headers = [basic("integration"), ("Content-Type", "application/json".to_owned())];
        let body = world.body(world.group, &[("Name", &[name]), ("Group ID", &[name])]).to_string();
        try_send(&world.sim.url(), "POST", &format!("{}/object/create", world.api()), &headers, &body)
    };
    assert_eq!(create("a").unwrap().status, 201);
    assert!(create("b").is_err(), "the reply is lost");
    assert_eq!(create("c").unwrap().status, 503, "the second that the other rule let through");
    assert_eq!(create("poison").unwrap().status, 500);
    assert_eq!(world.found("ORDER BY Key"), ["a", "b"]);
    let before = Instant::now();
    world.get("object/5001");
    assert!(before.elapsed() >= Duration::from_millis(60));
    let calls: Vec<_> = world.sim.calls().into_iter().map(|call| (call.status, call.fault.unwrap_or_default(), call.objects)).collect();
    let struck = |status, fault: &str, objects| (status, fault.to_owned(), objects);
    assert_eq!(
        calls[..4],
        [struck(201, "", vec![5001]), struck(201, "reset", vec![5002]), struck(503, "html", vec![]), struck(500, "error", vec![])]
    );
}

#[test]
fn a_token_dies_in_the_middle() {
    let world = start();
    let body = json!({"grant_type": "client_credentials", "client_id": "client-id", "client_secret": "client-secret"});
    let headers = [("Content-Type", "application/json".to_owned())];
    let granted = try_send(&world.sim.url(), "POST", "/oauth/token", &headers, &body.to_string()).unwrap().json();
    let access = granted["access_token"].as_str().unwrap();
    let path = world.sim.edit(|site| format!("/ex/jira/{}/jsm/assets/workspace/{}/v1/icon/global", site.cloud_id, site.workspace_id));
    world.sim.faults(vec![Fault::new(Effect::RevokeToken).times(1)]);
    let status = || world.send(bearer(access), "GET", &path, &Value::Null).status;
    assert_eq!([status(), status()], [401, 401]);
    assert_eq!(world.sim.calls().iter().filter(|call| call.fault.is_some()).count(), 1);
}

#[test]
fn it_is_driven_over_http() {
    let world = start();
    assert_eq!(control(&world, "GET", "health", &Value::Null).status, 204);
    let made = control(&world, "POST", "objects", &json!({"type_id": world.group, "values": [["Name", "by hand"], ["Group ID", "sg-1"]]}));
    assert_eq!(made.json(), 5001);
    assert_eq!(control(&world, "POST", "objects", &json!({"id": 5001, "values": [["Name", "changed"]]})).status, 200);
    assert_eq!(control(&world, "GET", "objects", &Value::Null).json()["CLOUD-5001"]["Name"], json!(["changed"]));
    let site = control(&world, "GET", "site", &Value::Null);
    assert_eq!(control(&world, "DELETE", "objects/5001", &Value::Null).status, 204);
    assert_eq!(world.get("object/5001").status, 404);
    assert_eq!(control(&world, "PUT", "site", &site.json()).status, 204);
    assert_eq!(world.found("\"Group ID\" = sg-1"), ["changed"], "a site comes back whole");
    assert_eq!(control(&world, "PUT", "faults", &json!([{"operation": "icon_list", "effect": "forbidden"}])).status, 204);
    assert_eq!(world.get("icon/global").status, 403);
    let settings: Settings = serde_json::from_str(&control(&world, "GET", "settings", &Value::Null).text).unwrap();
    assert_eq!(settings.page_max, 1000);
    assert_eq!(control(&world, "PUT", "settings", &json!({"nosuch": 1})).status, 400);
    assert_eq!(control(&world, "GET", "counters", &Value::Null).json()["by_operation"]["icon_list"], 1);
    assert_eq!(control(&world, "POST", "revoke-tokens", &Value::Null).status, 204);
    assert_eq!(control(&world, "GET", "nosuch", &Value::Null).status, 404);
}
