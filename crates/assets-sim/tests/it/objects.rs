//! Objects: made, changed, read, deleted.

use std::collections::BTreeMap;

use dewpoint_assets_sim::{Attribute, Clearing, Form, Kind, Reserved, Site};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{Answer, World, start, start_with};

#[test]
fn an_object_is_made_read_changed_and_deleted() {
    let world = start();
    let answer = world.create(world.instance, &[("Name", &["web-1"]), ("Provider ID", &["i-1"])]);
    assert_eq!(answer.status, 201, "{}", answer.text);
    let made = answer.json();
    assert_eq!(made["attributes"], Value::Null, "an object comes without attributes when it was made");
    assert_eq!((made["label"].as_str(), made["objectKey"].as_str()), (Some("web-1"), Some("CLOUD-5001")));
    assert_eq!(made["created"], "2026-06-01T10:00:00.000Z");
    let id = made["id"].as_str().unwrap();
    let read = world.get(&format!("object/{id}")).json();
    let values: BTreeMap<&str, &str> = read["attributes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["objectTypeAttribute"]["name"].as_str().unwrap(), entry["objectAttributeValues"][0]["value"].as_str().unwrap()))
        .collect();
    let times = [("Created", "2026-06-01T10:00:00.000Z"), ("Updated", "2026-06-01T10:00:00.000Z")];
    let expected: BTreeMap<&str, &str> =
        [("Key", "CLOUD-5001"), ("Name", "web-1"), ("Provider ID", "i-1")].into_iter().chain(times).collect();
    assert_eq!(values, expected, "what is empty is not there");
    let update = world.update(5001, world.instance, &[("Lifecycle", &["2"])]);
    assert_eq!(update.status, 200, "{}", update.text);
    assert!(
        update.json()["attributes"].as_array().unwrap().iter().any(|entry| entry["objectAttributeValues"][0]["status"]["name"] == "Active")
    );
    assert_eq!(world.row(5001)["Provider ID"], ["i-1"], "what was not sent stays");
    assert_eq!(world.call("DELETE", "object/5001", &Value::Null).status, 200);
    assert_eq!(world.call("DELETE", "object/5001", &Value::Null).status, 404);
    assert_eq!(world.get("object/5001").status, 404);
    let calls: Vec<_> = world.sim.calls().into_iter().map(|call| (call.operation, call.status, call.objects)).collect();
    let expected = [
        ("object_create", 201, vec![5001]),
        ("object_get", 200, vec![]),
        ("object_update", 200, vec![5001]),
        ("object_delete", 200, vec![5001]),
        ("object_delete", 404, vec![]),
        ("object_get", 404, vec![]),
    ];
    assert_eq!(calls, expected.map(|(operation, status, objects)| (operation.to_owned(), status, objects)));
    assert_eq!(world.sim.counters().writes, 4);
    assert_eq!(world.sim.counters().objects_written, 3);
}

/// The value entries of an attribute.
fn shown(world: &World, id: u64, name: &str) -> Value {
    let read = world.get(&format!("object/{id}")).json();
    let entries = read["attributes"].as_array().unwrap().clone();
    let found = entries.into_iter().find(|entry| entry["objectTypeAttribute"]["name"] == name);
    found.map_or(Value::Null, |entry| entry["objectAttributeValues"].clone())
}

#[test]
fn values_have_the_shape_of_their_kind() {
    let world = start();
    let type_id = world.instance;
    world.sim.edit(|site| {
        site.add_attribute(type_id, Attribute::new("Owner", Kind::User { groups: vec![] }));
        site.add_attribute(type_id, Attribute::new("Team", Kind::Group));
        site.add_attribute(type_id, Attribute::new("Seen", Kind::Default(Form::DateTime)));
    });
    let user = world.sim.edit(|site| site.user("developer").unwrap().id.clone());
    let group = world.created(world.group, &[("Name", &["sg-web"]), ("Group ID", &["sg-1"])]);
    let key = format!("CLOUD-{group}");
    let id = world.created(
        type_id,
        &[
            ("Name", &["web"]),
            ("Provider ID", &["i-1"]),
            ("Security Groups", &[&key]),
            ("Lifecycle", &["2"]),
            ("State", &["running"]),
            ("Owner", &[&user]),
            ("Team", &["cloud-operations"]),
            ("Seen", &["2026-05-01T08:30:00+02:00"]),
        ],
    );
    let reference = &shown(&world, id, "Security Groups")[0];
    assert_eq!(reference["value"], Value::Null, "a reference has no value");
    assert_eq!(
        (reference["referencedObject"]["id"].clone(), reference["searchValue"].clone(), reference["displayValue"].clone()),
        (json!(group.to_string()), json!(key), json!("sg-web"))
    );
    assert_eq!(reference["referencedType"], true);
    let status = &shown(&world, id, "Lifecycle")[0];
    assert_eq!(
        (status["value"].clone(), status["status"]["id"].clone(), status["status"]["category"].clone()),
        (Value::Null, json!("2"), json!(1))
    );
    let owner = &shown(&world, id, "Owner")[0];
    assert_eq!(
        (owner["value"].clone(), owner["user"]["key"].clone(), owner["displayValue"].clone()),
        (Value::Null, json!(user), json!("Developer"))
    );
    assert_eq!(shown(&world, id, "Team")[0]["group"]["name"], "cloud-operations");
    let seen = &shown(&world, id, "Seen")[0];
    assert_eq!((seen["value"].clone(), seen["displayValue"].clone()), (json!("2026-05-01T06:30:00.000Z"), json!("01/May/26 6:30 AM")));
    assert_eq!(
        shown(&world, id, "State"),
        json!([{"value": "running", "displayValue": "running", "searchValue": "running", "referencedType": false}])
    );
}

/// What an object of one value is told.
fn error(world: &World, name: &str, values: &[&str]) -> String {
    let values: &[(&str, &[&str])] = &[("Name", &["web"]), ("Provider ID", &["i-1"]), (name, values)];
    let answer = world.create(world.instance, values);
    let errors = answer.errors();
    let key = format!("rlabs-insight-attribute-{}", world.attribute(world.instance, name));
    assert_eq!(errors.keys().collect::<Vec<_>>(), [&key], "{errors:?}");
    errors[&key].clone()
}

#[test]
fn what_is_wrong_is_told_by_attribute() {
    let world = start();
    let type_id = world.instance;
    let other_type = world.sim.edit(|site| {
        let number = |name: &str, form| Attribute::new(name, Kind::Default(form));
        site.add_attribute(type_id, number("Cores", Form::Integer));
        site.add_attribute(type_id, Attribute { regex: Some("[a-z]{2}-[0-9]+".to_owned()), ..Attribute::text("Zone") });
        site.add_attribute(type_id, number("Console", Form::Url));
        site.add_attribute(type_id, number("Notes", Form::Textarea));
        site.add_attribute(type_id, Attribute::new("Owner", Kind::User { groups: vec!["cloud-operations".to_owned()] }));
        site.add_attribute(type_id, Attribute::new("Team", Kind::Group));
        site.add_attribute(type_id, Attribute::new("Phase", Kind::Status { allowed: vec![2] }));
        let schema = site.schema("CLOUD").unwrap().id;
        site.add_type(schema, "Other", None)
    });
    let instance = world.created(type_id, &[("Name", &["old"]), ("Provider ID", &["I-0"])]).to_string();
    let group = world.created(world.group, &[("Name", &["sg"]), ("Group ID", &["sg-1"])]).to_string();
    assert!(error(&world, "Cores", &["2147483648"]).contains("invalid"));
    assert!(error(&world, "Cores", &["1", "2"]).contains("can only contain max 1"));
    assert!(error(&world, "Zone", &["eu-west-1"]).contains("invalid"));
    assert!(error(&world, "Console", &["example.com"]).contains("invalid"));
    assert!(error(&world, "State", &["paused"]).contains("Invalid values"));
    assert!(error(&world, "Security Groups", &["999999"]).contains("invalid"));
    assert!(error(&world, "Security Groups", &[&instance]).contains("restrictions"));
    assert!(error(&world, "Security Groups", &[&group, &group]).contains("duplicated"));
    assert!(error(&world, "Lifecycle", &["Active"]).contains("Invalid values"), "a status goes by its id");
    assert!(error(&world, "Lifecycle", &["999"]).contains("Invalid values"));
    assert!(error(&world, "Phase", &["3"]).contains("restrictions"));
    assert!(error(&world, "Owner", &["nobody"]).contains("not found"));
    let developer = world.sim.edit(|site| site.user("developer").unwrap().id.clone());
    assert!(error(&world, "Owner", &[&developer]).contains("restrictions"));
    assert!(error(&world, "Team", &["nosuch"]).contains("Invalid Group"));
    assert!(error(&world, "Notes", &[&"x".repeat(5001)]).contains("5000"));
    assert!(error(&world, "Key", &["CLOUD-1"]).contains("edited"));
    // All of them at once.
    let answer = world.create(type_id, &[("Provider ID", &["i-0"]), ("Cores", &["x"]), ("State", &[&"x".repeat(256)])]);
    let told: BTreeMap<u64, String> = answer
        .errors()
        .into_iter()
        .map(|(key, why)| (key.strip_prefix("rlabs-insight-attribute-").unwrap().parse().unwrap(), why))
        .collect();
    let of = |name: &str| told[&world.attribute(type_id, name)].as_str();
    assert_eq!((of("Name"), of("Provider ID")), ("Name is required", "The value of Provider ID has to be unique"));
    assert!(of("State").contains("255"));
    assert_eq!(told.len(), 4);
    // What is not the type's own.
    let mut body = world.body(type_id, &[("Name", &["web"]), ("Provider ID", &["i-1"])]);
    let foreign = world.attribute(other_type, "Name");
    body["attributes"][0]["objectTypeAttributeId"] = json!(foreign.to_string());
    let errors = world.call("POST", "object/create", &body).errors();
    assert!(errors.contains_key(&format!("rlabs-insight-attribute-{foreign}")) && errors.len() == 2, "{errors:?}");
    assert_eq!(world.sim.edit(|site| site.objects().count()), 2, "nothing was made");
}

#[test]
fn bodies_have_their_form() {
    let world = start();
    let good = || world.body(world.instance, &[("Name", &["web"]), ("Provider ID", &["i-1"])]);
    let status = |change: &dyn Fn(&mut Value)| {
        let mut body = good();
        change(&mut body);
        world.call("POST", "object/create", &body).status
    };
    assert_eq!(status(&|body| body["extra"] = json!(1)), 400);
    assert_eq!(status(&|body| body["attributes"][0]["extra"] = json!(1)), 400);
    assert_eq!(status(&|body| body["attributes"][0]["objectAttributeValues"][0]["displayValue"] = json!("web")), 400);
    assert_eq!(status(&|body| body["objectTypeId"] = json!(world.instance)), 400, "ids are text");
    assert_eq!(status(&|body| body["attributes"][0]["objectAttributeValues"][0]["value"] = json!(1)), 400, "values are text");
    assert_eq!(status(&|body| body["attributes"] = Value::Null), 400);
    assert_eq!(status(&|body| body["objectTypeId"] = json!("999")), 400);
    let twice = |body: &mut Value| {
        let first = body["attributes"][0].clone();
        body["attributes"].as_array_mut().unwrap().push(first);
    };
    assert_eq!(status(&twice), 400);
    world.sim.settings(|settings| settings.integer_attribute_ids = true);
    let ignored = world.call("POST", "object/create", &good());
    assert_eq!(ignored.errors().len(), 1, "an id that is text was not seen, and the name is missing");
    world.sim.settings(|settings| (settings.integer_attribute_ids, settings.strict_ids, settings.text_values_only) = (false, false, false));
    assert_eq!(status(&|body| body["objectTypeId"] = json!(world.instance)), 201);
}

#[test]
fn an_update_takes_what_it_is_given_and_no_more() {
    let world = start();
    let groups: Vec<String> =
        ["a", "b", "c"].iter().map(|name| world.created(world.group, &[("Name", &[name]), ("Group ID", &[name])]).to_string()).collect();
    let id =
        world.created(world.instance, &[("Name", &["web"]), ("Provider ID", &["i-1"]), ("Security Groups", &[&groups[0], &groups[1]])]);
    world.sim.advance(SignedDuration::from_secs(60));
    assert_eq!(world.update(id, world.instance, &[("Security Groups", &[&groups[2]])]).status, 200);
    assert_eq!(
        (world.row(id)["Security Groups"].clone(), world.row(id)["Provider ID"].clone()),
        (vec!["c".to_owned()], vec!["i-1".to_owned()])
    );
    assert_eq!(world.row(id)["Updated"], ["2026-06-01T10:01:00.000Z"]);
    world.sim.advance(SignedDuration::from_secs(60));
    assert_eq!(world.update(id, world.instance, &[("Security Groups", &[&groups[2]]), ("Name", &["web"])]).status, 200);
    assert_eq!(world.row(id)["Updated"], ["2026-06-01T10:01:00.000Z"], "nothing was another");
    assert_eq!(world.update(id, world.instance, &[("Security Groups", &[])]).status, 200);
    assert!(!world.row(id).contains_key("Security Groups"));
    let history = world.get(&format!("object/{id}/history?asc=true")).json();
    let history: Vec<(&str, &str, &str)> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap_or("");
            (text("affectedAttribute"), text("oldValue"), text("newValue"))
        })
        .collect();
    assert_eq!(history, [("", "", "CLOUD-5004"), ("Security Groups", "a, b", "c"), ("Security Groups", "c", "")]);
    let errors = world.update(id, world.instance, &[("Name", &[])]).errors();
    assert!(errors.values().all(|why| why.contains("required")), "{errors:?}");
    assert_eq!(world.update(id, world.instance, &[("Name", &[""])]).status, 400, "an empty value is none");
    assert_eq!(world.update(id, world.group, &[]).status, 400, "an object does not change its type");
    let own = world.update(id, world.instance, &[("Provider ID", &["i-1"])]);
    assert_eq!(own.status, 200, "its own value is not taken");
}

#[test]
fn contested_points_are_settings() {
    let world = start();
    let id = world.created(world.instance, &[("Name", &["web"]), ("Provider ID", &["i-1"]), ("State", &["running"])]);
    let status = |values: &[&str]| world.update(id, world.instance, &[("State", values)]).status;
    assert_eq!((status(&[""]), status(&[])), (400, 200));
    world.sim.settings(|settings| settings.clearing = Clearing::EmptyValue);
    assert_eq!((status(&[""]), status(&[])), (200, 400));
    world.sim.settings(|settings| settings.clearing = Clearing::Both);
    assert_eq!((status(&[""]), status(&[])), (200, 200));
    let named = |name: &str| world.create(world.group, &[("Name", &[name]), ("Group ID", &[name])]).status;
    assert_eq!(named("a.b:c"), 201);
    world.sim.settings(|settings| settings.reserved = Reserved::Everywhere);
    assert_eq!(named("a.b:d"), 400);
    assert_eq!(world.get("object/CLOUD-5001").status, 404);
    world.sim.settings(|settings| settings.object_by_key = true);
    assert_eq!(world.get("object/CLOUD-5001").status, 200);
    world.sim.settings(|settings| (settings.update_status, settings.delete_status) = (201, 204));
    assert_eq!(world.update(id, world.instance, &[("State", &["stopped"])]).status, 201);
    assert_eq!(world.call("DELETE", &format!("object/{id}"), &Value::Null).status, 204);
    world.sim.settings(|settings| settings.status_by_name = true);
    let made = world.create(world.instance, &[("Name", &["web"]), ("Provider ID", &["i-2"]), ("Lifecycle", &["active"])]);
    assert_eq!(made.status, 201, "{}", made.text);
}

#[test]
fn unique_is_unique() {
    let world = start();
    let (parent, [one, two]) = world.sim.edit(|site| {
        let schema = site.schema("CLOUD").unwrap().id;
        let parent = site.add_type(schema, "Resource", None);
        site.types.get_mut(&parent).unwrap().inherited = true;
        site.add_attribute(parent, Attribute::text("Resource ID").unique());
        (parent, ["One", "Two"].map(|name| site.add_type(schema, name, Some(parent))))
    });
    assert_eq!(world.attribute(one, "Resource ID"), world.attribute(parent, "Resource ID"), "what comes from above is the same attribute");
    let create = |type_id, value: &str| world.create(type_id, &[("Name", &["n"]), ("Resource ID", &[value])]);
    assert_eq!(create(one, "a").status, 201);
    assert_eq!(create(one, "A").status, 400, "case makes no difference");
    assert_eq!(create(two, "a").status, 400, "nor does the type below");
    world.sim.settings(|settings| (settings.unique_across_children, settings.unique_ignores_case) = (false, false));
    assert_eq!((create(two, "a").status, create(one, "A").status, create(one, "a").status), (201, 201, 400));
    let id = world.created(two, &[("Name", &["n"]), ("Resource ID", &["b"])]);
    assert_eq!(world.update(id, two, &[("Resource ID", &["a"])]).status, 400);
}

#[test]
fn what_is_deleted_takes_references_along() {
    let world = start();
    let group = world.created(world.group, &[("Name", &["sg"]), ("Group ID", &["sg-1"])]);
    let id = world.created(world.instance, &[("Name", &["web"]), ("Provider ID", &["i-1"]), ("Security Groups", &[&group.to_string()])]);
    let info = world.get(&format!("object/{group}/referenceinfo")).json();
    assert_eq!((info[0]["objectType"]["name"].clone(), info[0]["numberOfReferencedObjects"].clone()), (json!("Instance"), json!(1)));
    assert_eq!(world.call("DELETE", &format!("object/{group}"), &Value::Null).status, 200);
    assert!(!world.row(id).contains_key("Security Groups"));
    assert_eq!(shown(&world, id, "Security Groups"), Value::Null);
    assert_eq!(world.get(&format!("object/{id}/referenceinfo")).json(), json!([]));
}

#[test]
fn other_schemas_have_to_allow_it() {
    let world = start();
    let away = world.sim.edit(|site| {
        let schema = site.add_schema("Away", "AWAY");
        let type_id = site.add_type(schema, "Team", None);
        (schema, site.insert(type_id, &[("Name", "ops")]), type_id)
    });
    let (schema, object, type_id) = away;
    let attribute = |world: &World| -> Answer {
        let body = json!({"name": "Team", "type": 1, "typeValue": type_id.to_string(), "additionalValue": "1"});
        world.call("POST", &format!("objecttypeattribute/{}", world.instance), &body)
    };
    assert!(attribute(&world).errors().contains_key("typeValue"));
    let allow = |is_allowed: bool| {
        let path = format!("global/config/objectschema/{schema}/property");
        assert_eq!(world.call("POST", &path, &json!({"allowOtherObjectSchema": is_allowed})).status, 200);
    };
    allow(true);
    assert_eq!(attribute(&world).status, 201);
    let object = object.to_string();
    let create = |name: &str| world.create(world.instance, &[("Name", &[name]), ("Provider ID", &[name]), ("Team", &[&object])]);
    assert_eq!(create("a").status, 201);
    allow(false);
    assert!(create("b").errors().values().all(|why| why.contains("refers to the schema")));
}

#[test]
fn references_can_be_restricted() {
    let world = start();
    let groups: Vec<String> =
        ["a", "b"].iter().map(|name| world.created(world.group, &[("Name", &[name]), ("Group ID", &[name])]).to_string()).collect();
    world.sim.edit(|site| {
        let id = site.attribute(site.type_named("Instance").unwrap().id, "Security Groups").unwrap().id;
        site.attributes.get_mut(&id).unwrap().query = Some("Name = a".to_owned());
    });
    let create =
        |id: &str, group: &str| world.create(world.instance, &[("Name", &["n"]), ("Provider ID", &[id]), ("Security Groups", &[group])]);
    assert_eq!(create("1", &groups[0]).status, 201);
    assert_eq!(create("2", &groups[1]).status, 400);
}

#[test]
fn there_is_a_limit() {
    let world = start_with(Site::new().with_object_limit(1), |_| {});
    world.created(world.group, &[("Name", &["a"]), ("Group ID", &["a"])]);
    let over = world.create(world.group, &[("Name", &["b"]), ("Group ID", &["b"])]);
    assert_eq!((over.status, over.json()["errors"].clone()), (400, json!({})));
    assert!(over.json()["errorMessages"][0].as_str().unwrap().contains("limit"));
    let usage = world.get("usage").json();
    assert_eq!((usage["totalObjectsCount"].clone(), usage["perSchemaUsageInfo"][0]["objectCount"].clone()), (json!(1), json!(1)));
}

#[test]
fn hidden_attributes_are_not_for_users() {
    let world = start();
    world.sim.edit(|site| {
        let id = site.attribute(site.type_named("Instance").unwrap().id, "Provider ID").unwrap().id;
        site.attributes.get_mut(&id).unwrap().hidden = true;
    });
    let id = world.created(world.instance, &[("Name", &["web"]), ("Provider ID", &["i-1"])]);
    let count = |user: &str| world.call_as(user, "GET", &format!("object/{id}/attributes"), &Value::Null).json().as_array().unwrap().len();
    assert_eq!((count("developer"), count("reader")), (5, 4));
}
