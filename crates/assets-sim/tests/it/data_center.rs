//! What is another on Data Center.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dewpoint_assets_sim::{Limits, Site};
use serde_json::{Value, json};

use crate::support::{World, bearer, start_with, try_send};

fn start() -> World {
    start_with(Site::data_center(), |_| {})
}

#[test]
fn ids_are_numbers() {
    let world = start();
    let made = world.create(world.group, &[("Name", &["web"]), ("Group ID", &["sg-1"])]).json();
    assert_eq!(
        (made["id"].clone(), made["workspaceId"].clone(), made["objectType"]["id"].clone()),
        (json!(5001), Value::Null, json!(world.group))
    );
    let read = world.get("object/5001").json();
    assert_eq!(read["attributes"][0]["objectTypeAttributeId"], json!(world.attribute(world.group, "Key")));
    let list = world.get("objectschema/list").json();
    assert_eq!((list["objectschemas"][0]["id"].clone(), list["values"].clone()), (json!(world.schema), Value::Null));
    let body = json!({"objectTypeId": world.group.to_string(), "attributes": []});
    assert_eq!(world.call("POST", "object/create", &body).status, 400);
    let icon = world.get("icon/global").json()[0]["id"].clone();
    let made = world.call("POST", "objecttype/create", &json!({"name": "New", "objectSchemaId": world.schema, "iconId": icon}));
    assert_eq!((made.status, icon), (201, json!(1)), "{}", made.text);
    let deleted = world.call("DELETE", "object/5001", &Value::Null);
    assert_eq!((deleted.status, deleted.json()["id"].clone()), (200, json!(5001)));
}

#[test]
fn texts_are_longer() {
    let world = start();
    let create =
        |length: usize| world.create(world.group, &[("Name", &[&"x".repeat(length)]), ("Group ID", &[&length.to_string()])]).status;
    assert_eq!((create(450), create(451)), (201, 400));
}

#[test]
fn searches_are_by_page() {
    let world = start();
    world.sim.edit(|site| {
        let group = site.type_named("Security Group").unwrap().id;
        for at in 0..7 {
            site.insert(group, &[("Name", &at.to_string())]);
        }
    });
    let page = |number: usize| {
        world
            .get(&format!("aql/objects?qlQuery=objectType%20%3D%20%22Security%20Group%22%20ORDER%20BY%20Key&page={number}&resultPerPage=3"))
            .json()
    };
    let labels = |page: &Value| -> Vec<String> {
        page["objectEntries"].as_array().unwrap().iter().map(|object| object["label"].as_str().unwrap().to_owned()).collect()
    };
    let last = page(3);
    assert_eq!((labels(&page(1)), labels(&last)), (vec!["0".to_owned(), "1".to_owned(), "2".to_owned()], vec!["6".to_owned()]));
    assert_eq!(
        ["totalFilterCount", "startIndex", "toIndex", "pageSize", "pageNumber"].map(|name| last[name].as_u64().unwrap()),
        [7, 7, 7, 3, 3]
    );
    assert!(labels(&page(4)).is_empty());
    let body = json!({"objectTypeId": world.group, "objectSchemaId": world.schema, "qlQuery": "Name IN (1, 2) ORDER BY Name DESC", "page": 1,
        "resultsPerPage": 10});
    assert_eq!(labels(&world.call("POST", "object/navlist/aql", &body).json()), ["2", "1"]);
    assert_eq!(world.get("aql/objects?qlQuery=name%20%3D%201").status, 400, "case matters in names");
    assert_eq!(world.get("aql/objects?qlQuery=Nosuch%20%3D%201").status, 400);
}

#[test]
fn objects_are_put_away() {
    let world = start();
    let id = world.created(world.group, &[("Name", &["web"]), ("Group ID", &["sg-1"])]);
    assert_eq!(world.call("PUT", &format!("object/archive/{id}"), &Value::Null).status, 412, "it is experimental");
    let headers = [bearer("integration-token"), ("X-ExperimentalApi", "opt-in".to_owned())];
    let put = |what: &str| try_send(&world.sim.url(), "PUT", &format!("/rest/assets/1.0/object/{what}/{id}"), &headers, "").unwrap();
    assert_eq!(put("archive").json()["archived"], true);
    let found = || world.get("aql/objects?qlQuery=").json()["totalFilterCount"].clone();
    assert_eq!(found(), 0);
    let refers = world.create(world.instance, &[("Name", &["i"]), ("Provider ID", &["i"]), ("Security Groups", &[&id.to_string()])]);
    assert_eq!(refers.status, 400);
    assert_eq!((put("restore").status, found()), (200, json!(1)));
}

#[test]
fn personal_access_tokens_and_passwords() {
    let world = start();
    let status = |credentials: (&str, String)| world.send(credentials, "GET", "objectschema/list", &Value::Null).status;
    let password = || ("Authorization", format!("Basic {}", STANDARD.encode("integration:integration-password")));
    assert_eq!(status(bearer("integration-token")), 200);
    assert_eq!(status(bearer("wrong")), 401);
    assert_eq!(status(password()), 403, "basic authentication is off");
    world.sim.edit(|site| site.basic = true);
    assert_eq!(status(password()), 200);
    assert_eq!(status(("Authorization", format!("Basic {}", STANDARD.encode("integration:integration-token")))), 401);
}

#[test]
fn there_is_less_of_it() {
    let world = start();
    for path in ["/jsm/assets/v1/imports/info", "/rest/insight/1.0/objectschema/list", "/rest/servicedeskapi/assets/workspace", "usage"] {
        assert_eq!(world.get(path).status, 404, "{path}");
    }
    assert_eq!(world.aql("").status, 405, "a path of objects, and no search");
    let info = world.get("/rest/api/2/serverInfo").json();
    assert_eq!((info["deploymentType"].clone(), info["versionNumbers"].clone()), (json!("Server"), json!([10, 3, 4])));
    assert_eq!(world.get("/rest/api/2/myself").json()["name"], "integration");
    let found = world.get("/rest/api/2/user/search?username=read").json();
    assert_eq!((found[0]["name"].clone(), found[0]["accountId"].clone()), (json!("reader"), Value::Null));
    assert_eq!(world.get("/rest/api/2/groups/picker?query=jira").json()["total"], 2);
}

#[test]
fn rates_are_as_administrators_set_them() {
    let world = start();
    for _ in 0..1100 {
        assert_eq!(world.get("icon/global").status, 200);
    }
    world.sim.settings(|settings| settings.data_center_limits = Limits { total: Some(1), ..Limits::none() });
    assert_eq!(world.get("icon/global").status, 429);
}
