//! Tokens, scopes, and what an identity sees.

use dewpoint_halo_sim::{Application, CLIENT_ID, CLIENT_SECRET, Tenant, TenantParameter};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{Answer, Caller, ask_token, form, ids, instance, send, start, start_with};

fn good() -> String {
    form(CLIENT_ID, CLIENT_SECRET, "all")
}

#[track_caller]
fn refused(answer: &Answer, status: u16, error: &str) {
    assert_eq!((answer.status, answer.json()["error"].as_str()), (status, Some(error)), "{}", answer.text);
    assert!(answer.json()["error_description"].is_string());
}

#[test]
fn a_token_is_given_for_credentials() {
    let sim = start();
    let answer = ask_token(&sim, "/auth/token?tenant=ACME", &good());
    let body = answer.json();
    assert_eq!((answer.status, body["token_type"].clone(), body["expires_in"].clone()), (200, json!("Bearer"), json!(3600)));
    assert_eq!(body["scope"], "all");
    refused(&ask_token(&sim, "/auth/token?tenant=acme", &form(CLIENT_ID, "wrong", "all")), 401, "invalid_client");
    refused(&ask_token(&sim, "/auth/token?tenant=acme", &form("stranger", "wrong", "all")), 401, "invalid_client");
    refused(&ask_token(&sim, "/auth/token?tenant=acme", &good().replace("client_credentials", "password")), 400, "unsupported_grant_type");
    refused(&ask_token(&sim, "/auth/token?tenant=acme", "client_id=a"), 400, "invalid_request");
    refused(&ask_token(&sim, "/auth/token?tenant=acme", &form(CLIENT_ID, CLIENT_SECRET, "read:everything")), 400, "invalid_scope");
    refused(&ask_token(&sim, "/auth/token?tenant=acme", &form(CLIENT_ID, CLIENT_SECRET, "")), 400, "invalid_scope");
    let json = [("User-Agent", "test/1.0"), ("Content-Type", "application/json")];
    refused(&send(&sim, "POST", "/auth/token?tenant=acme", &json, "{}"), 400, "invalid_request");
    assert!(sim.calls().iter().all(|call| call.operation == "token"));
}

#[test]
fn several_scopes_are_a_setting() {
    let sim = start();
    let several = form(CLIENT_ID, CLIENT_SECRET, "read:assets+edit:assets");
    refused(&ask_token(&sim, "/auth/token?tenant=acme", &several), 400, "invalid_scope");
    sim.settings(|settings| settings.several_scopes = true);
    assert_eq!(ask_token(&sim, "/auth/token?tenant=acme", &several).status, 200);
}

#[test]
fn a_wrong_tenant_gets_much_html() {
    let sim = start();
    let status = |target: &str| ask_token(&sim, target, &good()).status;
    assert_eq!([status("/auth/token"), status("/auth/token?tenant=other"), status("/auth/token?tenant=acme")], [500, 500, 200]);
    let page = ask_token(&sim, "/auth/token?tenant=other", &good());
    assert!(page.header("content-type").starts_with("text/html") && page.text.len() >= 256 * 1024);
    sim.settings(|settings| settings.tenant_parameter = TenantParameter::Optional);
    assert_eq!([status("/auth/token"), status("/auth/token?tenant=other")], [200, 500]);
    sim.settings(|settings| settings.tenant_parameter = TenantParameter::Ignored);
    assert_eq!(status("/auth/token?tenant=other"), 200);
}

#[test]
fn nobody_is_let_in_without_a_user_agent() {
    let sim = start();
    let form_type = [("Content-Type", "application/x-www-form-urlencoded")];
    let token = send(&sim, "POST", "/auth/token?tenant=acme", &form_type, &good());
    assert_eq!((token.status, token.header("content-type")), (403, "text/html; charset=utf-8"));
    let bearer = format!("Bearer {}", Caller::new(&sim).token);
    let list = || send(&sim, "GET", "/api/Asset", &[("Authorization", bearer.as_str())], "");
    assert_eq!(list().status, 403);
    assert_eq!(send(&sim, "GET", "/api/authinfo", &[], "").status, 403);
    sim.settings(|settings| settings.user_agent_required = false);
    assert_eq!(list().status, 200);
}

#[test]
fn tokens_end() {
    let sim = start();
    let caller = Caller::new(&sim);
    let status = |caller: &Caller<'_>| caller.status("GET", "/api/AssetType", &Value::Null);
    sim.advance(SignedDuration::from_secs(3599));
    assert_eq!(status(&caller), 200);
    sim.advance(SignedDuration::from_secs(1));
    assert_eq!(status(&caller), 401);
    let other = Caller::new(&sim);
    assert_eq!(status(&other), 200);
    sim.expire_tokens();
    assert_eq!(status(&other), 401);
    let agent = [("User-Agent", "test/1.0")];
    assert_eq!(send(&sim, "GET", "/api/AssetType", &agent, "").status, 401);
    assert_eq!(send(&sim, "GET", "/api/AssetType", &[agent[0], ("Authorization", "Bearer nonsense")], "").status, 401);
}

#[test]
fn it_says_where_to_log_in_and_what_it_is() {
    let sim = start();
    let info = send(&sim, "GET", "/API/AuthInfo", &[("User-Agent", "test/1.0")], "").json();
    assert_eq!(info, json!({"auth_url": format!("{}/auth", sim.url()), "tenant_id": "acme"}));
    let instance = Caller::new(&sim).get("/api/instanceinfo");
    assert_eq!(instance["app_version"], "2.236.133");
    assert_eq!(send(&sim, "GET", "/api/InstanceInfo", &[("User-Agent", "test/1.0")], "").status, 401);
    assert_eq!(send(&sim, "GET", "/somewhere", &[("User-Agent", "test/1.0")], "").status, 404);
    assert_eq!(Caller::new(&sim).status("GET", "/api/Tickets", &Value::Null), 404);
    assert_eq!(Caller::new(&sim).status("PUT", "/api/Asset", &json!([])), 405);
}

#[test]
fn scopes_are_kept() {
    // Reading and posting assets; reading types; posting a field; sites; statuses; lookups.
    let cases = [
        ("all", [200, 201, 200, 201, 200, 200, 200]),
        ("all:standard", [200, 201, 200, 403, 200, 403, 200]),
        ("read:assets", [200, 403, 200, 403, 403, 403, 200]),
        ("edit:assets", [403, 201, 403, 403, 403, 403, 200]),
        ("read:customers", [403, 403, 403, 403, 200, 403, 200]),
        ("admin", [403, 403, 403, 201, 403, 200, 200]),
    ];
    for (scope, expected) in cases {
        let sim = start();
        let caller = Caller::with(&sim, CLIENT_ID, CLIENT_SECRET, scope);
        let get = |target: &str| caller.status("GET", target, &Value::Null);
        let post = |target: &str, body: Value| caller.status("POST", target, &body);
        let found = [
            get("/api/Asset"),
            post("/api/Asset", json!([instance("i-1")])),
            get("/api/AssetType"),
            post("/api/Field", json!([{"name": "Zone", "kind": "T"}])),
            get("/api/Site"),
            get("/api/Status"),
            get("/api/Lookup?lookupid=11"),
        ];
        assert_eq!(found, expected, "{scope}");
    }
}

#[test]
fn an_application_has_no_more_than_it_was_given() {
    let narrow = Application { scopes: vec!["read:assets".to_owned()], ..Application::new("narrow") };
    let plain = Application { administrator: false, edits_assets: false, deletes_assets: false, ..Application::new("plain") };
    let sim = start_with(Tenant::new().with_application(narrow).with_application(plain), |_| {});
    refused(&ask_token(&sim, "/auth/token?tenant=acme", &form("narrow", "narrow-secret", "edit:assets")), 400, "invalid_scope");
    let narrow = Caller::with(&sim, "narrow", "narrow-secret", "all");
    assert_eq!([narrow.status("GET", "/api/Asset", &Value::Null), narrow.post(&json!([instance("i-1")])).status], [200, 403]);
    let id = sim.edit(|tenant| tenant.insert(130, "i-1", &[]));
    let plain = Caller::with(&sim, "plain", "plain-secret", "all");
    assert_eq!(plain.status("GET", &format!("/api/Asset/{id}"), &Value::Null), 200);
    assert_eq!(plain.post(&json!([instance("i-2")])).status, 403);
    assert_eq!(plain.status("DELETE", &format!("/api/Asset/{id}"), &Value::Null), 403);
    assert_eq!(plain.status("POST", "/api/AssetType", &json!([{"name": "X", "assetgroup_id": 112}])), 403);
}

#[test]
fn types_that_are_not_seen_are_not_there() {
    let blind = Application { asset_types: Some([120].into()), ..Application::new("blind") };
    let sim = start_with(Tenant::new().with_application(blind), |_| {});
    let (server, cloud) = sim.edit(|tenant| (tenant.insert(120, "s-1", &[]), tenant.insert(130, "i-1", &[])));
    let caller = Caller::with(&sim, "blind", "blind-secret", "all");
    assert_eq!(ids(&caller.get("/api/AssetType")), [120]);
    assert_eq!(ids(&caller.get("/api/Asset")["assets"]), [server]);
    assert_eq!(caller.get("/api/Asset?inventory_number=i-1")["record_count"], 0);
    assert_eq!(caller.status("GET", &format!("/api/Asset/{cloud}"), &Value::Null), 404);
    assert_eq!(caller.post(&json!([{"id": cloud, "notes": "x"}])).status, 404);
    assert_eq!(caller.post(&json!([instance("i-2")])).status, 403);
    sim.edit(|tenant| tenant.applications[1].asset_types = Some([].into()));
    assert_eq!((caller.get("/api/Asset")["record_count"].clone(), caller.get("/api/AssetType")), (json!(0), json!([])));
}

#[test]
fn an_agent_that_is_disabled_lets_nobody_in() {
    let tenant = Tenant::new().with_application(Application { agent_id: Some(8), ..Application::new("agent") });
    let sim = start_with(tenant, |_| {});
    let caller = Caller::with(&sim, "agent", "agent-secret", "all");
    assert_eq!(caller.get("/api/Agent/me")["claims"][1]["value"], "Otto Owner");
    sim.edit(|tenant| tenant.agents.get_mut(&8).unwrap().disabled = true);
    assert_eq!(caller.status("GET", "/api/Asset", &Value::Null), 401);
}
