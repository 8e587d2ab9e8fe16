//! Discovery, and who is let in.

use dewpoint_assets_sim::{Secret, Site, Start, Token};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{Answer, World, basic, bearer, start, start_with, try_send};

const WORKSPACES: &str = "/rest/servicedeskapi/assets/workspace";

fn site_path(world: &World, pattern: &str) -> String {
    world.sim.edit(|site| pattern.replace("{ws}", &site.workspace_id).replace("{cloud}", &site.cloud_id))
}

fn schemas(world: &World, base: &str, credentials: (&str, String)) -> Answer {
    world.send(credentials, "GET", &format!("{}/objectschema/list", site_path(world, base)), &Value::Null)
}

const API: &str = "/jsm/assets/workspace/{ws}/v1";
const EX: &str = "/ex/jira/{cloud}/jsm/assets/workspace/{ws}/v1";
const GATEWAY: &str = "/gateway/api/jsm/assets/workspace/{ws}/v1";

fn token(world: &World, body: &Value) -> Answer {
    let headers = [("Content-Type", "application/json".to_owned())];
    try_send(&world.sim.url(), "POST", "/oauth/token", &headers, &body.to_string()).unwrap()
}

fn client(grant: &str, refresh: &str) -> Value {
    json!({"grant_type": grant, "client_id": "client-id", "client_secret": "client-secret", "refresh_token": refresh})
}

#[test]
fn the_workspace_is_found() {
    let world = start();
    let id = world.sim.edit(|site| site.workspace_id.clone());
    let list = world.get(WORKSPACES).json();
    assert_eq!(
        (list["size"].clone(), list["isLastPage"].clone(), list["values"][0]["workspaceId"].clone()),
        (json!(1), json!(true), json!(id))
    );
    let old = world.get("/rest/servicedeskapi/insight/workspace");
    assert_eq!(old.status, 403);
    assert!(old.text.starts_with("<html>"));
    world.sim.settings(|settings| settings.insight_alias = true);
    assert_eq!(world.get("/rest/servicedeskapi/insight/workspace").json(), list);
    let tenant = try_send(&world.sim.url(), "GET", "/_edge/tenant_info", &[], "").unwrap();
    assert_eq!(tenant.json()["cloudId"], world.sim.edit(|site| json!(site.cloud_id)));
}

#[test]
fn without_the_plan_there_is_none() {
    let world = start();
    world.sim.edit(|site| site.premium = false);
    assert_eq!(world.get(WORKSPACES).json()["values"], json!([]));
    let denied = world.get("objectschema/list");
    assert_eq!((denied.status, denied.json()["errorMessages"][0].clone()), (403, json!("Access to Assets API was denied")));
}

#[test]
fn credentials_have_to_be_good() {
    let world = start();
    let status = |credentials| schemas(&world, API, credentials).status;
    assert_eq!(try_send(&world.sim.url(), "GET", &format!("{}/objectschema/list", world.api()), &[], "").unwrap().status, 401);
    assert_eq!(status(("Authorization", "Basic bm90aGluZw==".to_owned())), 401);
    assert_eq!(status(bearer("integration-token")), 401, "an API token is no bearer");
    assert_eq!(status(basic("integration")), 200);
    assert_eq!(status(basic("nobody")), 403, "no seat");
    assert_eq!(schemas(&world, GATEWAY, basic("integration")).status, 200);
    world.sim.edit(|site| site.user_mut("integration").unwrap().tokens[0].expires = Some("2026-06-01T09:00:00Z".parse().unwrap()));
    assert_eq!(status(basic("integration")), 401);
    world.sim.edit(|site| {
        let user = site.user_mut("integration").unwrap();
        user.tokens[0].expires = None;
        user.active = false;
    });
    assert_eq!(status(basic("integration")), 401);
}

#[test]
fn another_workspace_is_not_there() {
    let world = start();
    assert_eq!(world.get("/jsm/assets/workspace/00000000-0000-4000-a000-000000000000/v1/objectschema/list").status, 404);
    assert_eq!(world.get(&site_path(&world, "/ex/jira/other/jsm/assets/workspace/{ws}/v1/objectschema/list")).status, 404);
    assert_eq!(world.get("objectschema/nosuch/path").status, 404);
    assert_eq!(world.call("DELETE", "icon/global", &Value::Null).status, 405);
}

#[test]
fn an_oauth_client_gets_tokens() {
    let world = start();
    assert_eq!(token(&world, &json!({"grant_type": "client_credentials", "client_id": "client-id", "client_secret": "wrong"})).status, 401);
    assert_eq!(token(&world, &client("password", "")).status, 403);
    let granted = token(&world, &client("client_credentials", "")).json();
    assert_eq!(
        (granted["token_type"].clone(), granted["expires_in"].clone(), granted["refresh_token"].clone()),
        (json!("Bearer"), json!(3600), Value::Null)
    );
    let access = granted["access_token"].as_str().unwrap().to_owned();
    assert_eq!(schemas(&world, EX, bearer(&access)).status, 200);
    let sites = world.send(bearer(&access), "GET", "/oauth/token/accessible-resources", &Value::Null).json();
    assert_eq!(sites[0]["id"], world.sim.edit(|site| json!(site.cloud_id)));
    assert_eq!(world.get("/oauth/token/accessible-resources").status, 401);
    assert_eq!(schemas(&world, API, bearer(&access)).status, 401, "OAuth goes by the site's id");
    assert_eq!(schemas(&world, EX, basic("integration")).status, 401, "a token without scopes does not");
    world.sim.advance(SignedDuration::from_secs(3600));
    assert_eq!(schemas(&world, EX, bearer(&access)).status, 401);
}

#[test]
fn a_refresh_token_is_good_once() {
    let world = start();
    let first = token(&world, &client("refresh_token", "refresh-token"));
    assert_eq!(first.status, 200, "{}", first.text);
    let again = token(&world, &client("refresh_token", "refresh-token"));
    assert_eq!((again.status, again.json()["error"].clone()), (403, json!("invalid_grant")));
    let second = token(&world, &client("refresh_token", first.json()["refresh_token"].as_str().unwrap()));
    assert_eq!(second.status, 200);
    let access = second.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(schemas(&world, EX, bearer(&access)).status, 200);
    world.sim.revoke_tokens();
    assert_eq!(schemas(&world, EX, bearer(&access)).status, 401);
}

#[test]
fn a_token_needs_its_scope() {
    let world = start();
    world.sim.edit(|site| site.clients[0].scopes = vec!["read:cmdb-schema:jira".to_owned()]);
    let access = token(&world, &client("client_credentials", "")).json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(schemas(&world, EX, bearer(&access)).status, 200);
    let object = format!("{}/object/1", site_path(&world, EX));
    assert_eq!(world.send(bearer(&access), "GET", &object, &Value::Null).status, 403);
    world.sim.settings(|settings| settings.scope_status = 401);
    let refused = world.send(bearer(&access), "GET", &object, &Value::Null);
    assert_eq!((refused.status, refused.json()["message"].clone()), (401, json!("Unauthorized; scope does not match")));
    let scoped = Token { secret: Secret::new("scoped"), scopes: Some(vec!["read:cmdb-object:jira".to_owned()]), expires: None };
    world.sim.edit(|site| site.user_mut("integration").unwrap().tokens = vec![scoped]);
    assert_eq!(world.send(bearer("scoped"), "GET", &object, &Value::Null).status, 404);
    assert_eq!(schemas(&world, EX, bearer("scoped")).status, 401);
}

#[test]
fn roles_say_who_may_do_what() {
    let world = start();
    let object = world.created(world.instance, &[("Name", &["web"]), ("Provider ID", &["i-1"])]);
    let body = world.body(world.instance, &[("Name", &["other"]), ("Provider ID", &["i-2"])]);
    let path = format!("object/{object}");
    let statuses = |user: &str| {
        [
            world.call_as(user, "GET", &path, &Value::Null).status,
            world.call_as(user, "POST", "object/create", &body).status,
            world
                .call_as(user, "POST", "config/statustype", &json!({"name": user, "category": 1, "objectSchemaId": world.id(world.schema)}))
                .status,
            world.call_as(user, "POST", "objectschema/create", &json!({"name": user, "objectSchemaKey": "NEW"})).status,
        ]
    };
    assert_eq!(statuses("reader"), [200, 403, 403, 403]);
    assert_eq!(statuses("developer"), [200, 201, 403, 403]);
    assert_eq!(statuses("integration"), [200, 400, 201, 403], "the object is there by now");
    assert_eq!(statuses("admin"), [200, 400, 201, 201]);
    world.sim.edit(|site| {
        let schema = site.schema("CLOUD").unwrap().id;
        site.user_mut("reader").unwrap().roles.insert(schema, None);
    });
    assert_eq!(world.call_as("reader", "GET", &path, &Value::Null).status, 404, "what nobody shows is not there");
    let list = world.call_as("reader", "GET", "objectschema/list", &Value::Null).json();
    assert_eq!(list["values"].as_array().unwrap().iter().map(|schema| schema["name"].as_str().unwrap()).collect::<Vec<_>>(), ["admin"]);
    let found = world.call_as("reader", "POST", "object/aql", &json!({"qlQuery": ""})).json();
    assert_eq!(found["values"], json!([]));
    let named = world.call_as("reader", "POST", "object/aql", &json!({"qlQuery": "objectType = Instance"}));
    assert_eq!(named.status, 400, "a type that is not seen is not there");
}

#[test]
fn jira_tells_who_there_is() {
    let world = start();
    let info = try_send(&world.sim.url(), "GET", "/rest/api/3/serverInfo", &[], "").unwrap().json();
    assert_eq!(info["deploymentType"], "Cloud");
    assert_eq!(info["serverTime"], "2026-06-01T10:00:00.000+0000");
    let myself = world.get("/rest/api/3/myself").json();
    assert_eq!(myself["emailAddress"], "integration@example.com");
    world.sim.edit(|site| site.user_mut("developer").unwrap().email_hidden = true);
    let found = world.get("/rest/api/3/user/search?query=developer%40example.com").json();
    assert_eq!((found[0]["displayName"].clone(), found[0]["emailAddress"].clone()), (json!("Developer"), json!("")));
    assert_eq!(world.get("/rest/api/3/user/search?query=developer%40").json(), json!([]), "a part of what is hidden finds nobody");
    assert_eq!(
        world.get("/rest/api/3/user/search?query=reader%40").json()[0]["accountId"],
        world.sim.edit(|site| json!(site.user("reader").unwrap().id))
    );
    assert_eq!(world.get("/rest/api/3/user/search").status, 400);
    let groups = world.get("/rest/api/3/groups/picker?query=cloud").json();
    assert_eq!((groups["total"].clone(), groups["groups"][0]["name"].clone()), (json!(1), json!("cloud-operations")));
    let access = token(&world, &client("client_credentials", "")).json()["access_token"].as_str().unwrap().to_owned();
    let path = site_path(&world, "/ex/jira/{cloud}/rest/servicedeskapi/assets/workspace");
    assert_eq!(world.send(bearer(&access), "GET", &path, &Value::Null).json()["size"], 1);
}

#[test]
fn requests_have_a_form() {
    let world = start_with(Site::new(), |start: &mut Start| start.settings.body_bytes_max = 200);
    let path = format!("{}/object/aql", world.api());
    let send = |headers: &[(&str, String)], body: &str| {
        let headers: Vec<(&str, String)> = headers.iter().cloned().chain([basic("integration")]).collect();
        try_send(&world.sim.url(), "POST", &path, &headers, body).unwrap().status
    };
    let json = ("Content-Type", "application/json".to_owned());
    assert_eq!(send(std::slice::from_ref(&json), r#"{"qlQuery": ""}"#), 200);
    assert_eq!(send(&[], r#"{"qlQuery": ""}"#), 415);
    assert_eq!(send(&[json.clone(), ("Accept", "text/html".to_owned())], r#"{"qlQuery": ""}"#), 406);
    assert_eq!(send(std::slice::from_ref(&json), "{"), 400);
    assert_eq!(send(std::slice::from_ref(&json), r#"{"qlQuery": "", "x": 1}"#), 400);
    assert_eq!(send(std::slice::from_ref(&json), &format!(r#"{{"qlQuery": "{}"}}"#, "x".repeat(300))), 413);
    assert_eq!(world.get(&format!("objectschema/list?x={}", "x".repeat(9000))).status, 414);
}
