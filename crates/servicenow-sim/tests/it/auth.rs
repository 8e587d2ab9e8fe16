//! Who is let in.

use dewpoint_servicenow_sim::{ApiKey, CLIENT_CREDENTIALS, PASSWORD_GRANT_OFF, Secret, Sim};
use jiff::SignedDuration;
use serde_json::Value;

use crate::support::{Answer, START, basic, call_as, send, start};

const TABLE: &str = "/api/now/table/cmdb_ci?sysparm_limit=1";

fn token(sim: &Sim, form: &str) -> Answer {
    send(sim, "POST", "/oauth_token.do", &[("Content-Type", "application/x-www-form-urlencoded".to_owned())], form)
}

fn with_token(sim: &Sim, access: &str) -> u16 {
    send(sim, "GET", TABLE, &[("Authorization", format!("Bearer {access}"))], "").status
}

fn text(answer: &Answer, name: &str) -> String {
    answer.json()[name].as_str().unwrap_or_default().to_owned()
}

const CLIENT: &str = "client_id=client-id&client_secret=client-secret";

#[test]
fn nobody_is_let_in_without_credentials() {
    let sim = start();
    for headers in [vec![], vec![("Authorization", "Basic bm9ib2R5Ondyb25n".to_owned())], vec![("Authorization", "Bearer x".to_owned())]] {
        let answer = send(&sim, "GET", TABLE, &headers, "");
        assert_eq!(answer.status, 401);
        assert_eq!(answer.json()["error"]["message"], "User Not Authenticated");
        assert_eq!(answer.json()["error"]["detail"], "Required to provide Auth information");
        assert_eq!(answer.json()["status"], "failure");
    }
    assert_eq!(send(&sim, "GET", TABLE, &[basic("integration")], "").status, 200);
}

#[test]
fn basic_authentication_has_its_limits() {
    let sim = start();
    sim.edit(|instance| instance.users[0].mfa = true);
    let answer = send(&sim, "GET", TABLE, &[basic("integration")], "");
    assert_eq!((answer.status, answer.header("x-mfa_token")), (401, "invalid"));
    sim.edit(|instance| {
        instance.users[0].mfa = false;
        instance.users[0].basic_refused = true;
    });
    assert_eq!(send(&sim, "GET", TABLE, &[basic("integration")], "").status, 401);
    let admin = sim.rows("sys_user", "user_name=admin")[0].0.clone();
    sim.edit(|instance| instance.update(&admin, &[("locked_out", "true")]));
    assert_eq!(send(&sim, "GET", TABLE, &[basic("admin")], "").status, 401);
}

#[test]
fn client_credentials_are_off_until_they_are_switched_on() {
    let sim = start();
    let form = format!("grant_type=client_credentials&{CLIENT}");
    assert_eq!(token(&sim, &form).status, 401);
    sim.edit(|instance| instance.properties.insert(CLIENT_CREDENTIALS.to_owned(), "true".to_owned()));
    let answer = token(&sim, &form);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json().get("refresh_token"), None);
    assert_eq!((answer.json()["expires_in"].clone(), text(&answer, "token_type")), (1799.into(), "Bearer".to_owned()));
    assert_eq!(with_token(&sim, &text(&answer, "access_token")), 200);
    sim.edit(|instance| instance.clients[0].application_user = None);
    assert_eq!(token(&sim, &form).status, 401);
}

#[test]
fn the_same_token_lives_on_and_ends() {
    let sim = start();
    let form = format!("grant_type=password&{CLIENT}&username=integration&password=integration-password");
    let first = token(&sim, &form);
    sim.advance(SignedDuration::from_secs(600));
    let second = token(&sim, &form);
    assert_eq!(text(&first, "access_token"), text(&second, "access_token"));
    assert_eq!(second.json()["expires_in"], 1199);
    sim.advance(SignedDuration::from_secs(1201));
    assert_eq!(with_token(&sim, &text(&first, "access_token")), 401);
    let refreshed = token(&sim, &format!("grant_type=refresh_token&{CLIENT}&refresh_token={}", text(&first, "refresh_token")));
    assert_eq!(refreshed.status, 200);
    assert_ne!(text(&refreshed, "access_token"), text(&first, "access_token"));
    assert_eq!(with_token(&sim, &text(&refreshed, "access_token")), 200);
    sim.advance(SignedDuration::from_hours(24 * 100));
    let late = token(&sim, &format!("grant_type=refresh_token&{CLIENT}&refresh_token={}", text(&first, "refresh_token")));
    assert_eq!((late.status, text(&late, "error")), (401, "invalid_grant".to_owned()));
}

#[test]
fn tokens_are_refused_in_the_shape_of_oauth() {
    let sim = start();
    let check = |form: &str, error: &str| {
        let answer = token(&sim, form);
        assert_eq!((answer.status, text(&answer, "error").as_str()), (401, error), "{form}");
        assert!(!text(&answer, "error_description").is_empty());
    };
    check(
        "grant_type=password&client_id=client-id&client_secret=wrong&username=integration&password=integration-password",
        "invalid_client",
    );
    check(&format!("grant_type=password&{CLIENT}&username=integration&password=wrong"), "access_denied");
    check(&format!("grant_type=magic&{CLIENT}"), "unsupported_grant_type");
    check(&format!("grant_type=refresh_token&{CLIENT}&refresh_token=x"), "invalid_grant");
    sim.edit(|instance| instance.properties.insert(PASSWORD_GRANT_OFF.to_owned(), "true".to_owned()));
    check(&format!("grant_type=password&{CLIENT}&username=integration&password=integration-password"), "access_denied");
    let json = send(&sim, "POST", "/oauth_token.do", &[("Content-Type", "application/json".to_owned())], "{\"grant_type\": \"password\"}");
    assert_eq!(json.status, 401);
}

#[test]
fn a_token_can_be_revoked() {
    let sim = start();
    let form = format!("grant_type=password&{CLIENT}&username=integration&password=integration-password");
    let first = token(&sim, &form);
    sim.revoke_access_tokens();
    assert_eq!(with_token(&sim, &text(&first, "access_token")), 401);
    let refreshed = token(&sim, &format!("grant_type=refresh_token&{CLIENT}&refresh_token={}", text(&first, "refresh_token")));
    assert_eq!(with_token(&sim, &text(&refreshed, "access_token")), 200);
    sim.revoke_tokens();
    assert_eq!(with_token(&sim, &text(&refreshed, "access_token")), 401);
    let gone = token(&sim, &format!("grant_type=refresh_token&{CLIENT}&refresh_token={}", text(&first, "refresh_token")));
    assert_eq!(gone.status, 401);
}

#[test]
fn an_api_key_needs_a_policy() {
    let sim = start();
    let key = ApiKey {
        key: Secret::new("key-1"),
        user_name: "integration".to_owned(),
        expires: Some(START.parse().unwrap()),
        policies: Vec::new(),
        in_query: false,
    };
    let set = |change: &dyn Fn(&mut ApiKey)| {
        let mut key = key.clone();
        change(&mut key);
        sim.edit(|instance| instance.api_keys = vec![key]);
        let in_header = send(&sim, "GET", TABLE, &[("x-sn-apikey", "key-1".to_owned())], "").status;
        (in_header, send(&sim, "GET", &format!("{TABLE}&x-sn-apikey=key-1"), &[], "").status)
    };
    assert_eq!(set(&|key| key.expires = None), (401, 401), "no policy");
    assert_eq!(set(&|key| key.policies = vec!["table".to_owned()]), (401, 401), "it has ended");
    let usable = |key: &mut ApiKey| {
        key.expires = None;
        key.policies = vec!["table".to_owned()];
    };
    assert_eq!(set(&usable), (200, 401));
    assert_eq!(
        set(&|key| {
            usable(key);
            key.in_query = true;
        }),
        (200, 200)
    );
    assert_eq!(
        send(&sim, "GET", "/api/now/cmdb/meta/cmdb_ci", &[("x-sn-apikey", "key-1".to_owned())], "").status,
        401,
        "another interface"
    );
    let logged = format!("{:?}", sim.calls());
    assert!(!logged.contains("key-1"), "{logged}");
}

#[test]
fn roles_decide() {
    let sim = start();
    let status = |user: &str, method: &str, target: &str| call_as(&sim, user, method, target, &Value::Null).status;
    assert_eq!(status("nobody", "GET", TABLE), 403);
    assert_eq!(status("nobody", "GET", "/api/now/table/sys_choice?sysparm_limit=1"), 200);
    assert_eq!(status("nobody", "GET", "/api/now/cmdb/meta/cmdb_ci"), 403);
    assert_eq!(status("integration", "GET", "/api/now/cmdb/meta/cmdb_ci"), 200);
    assert_eq!(status("integration", "GET", "/api/now/table/sys_properties"), 403);
    let choice = serde_json::json!({"name": "cmdb_ci", "element": "discovery_source", "value": "Mine", "label": "Mine"});
    assert_eq!(call_as(&sim, "integration", "POST", "/api/now/table/sys_choice", &choice).status, 403);
    assert_eq!(call_as(&sim, "admin", "POST", "/api/now/table/sys_choice", &choice).status, 201);
}
