//! Schemas, object types, attributes, statuses, reference types.

use serde_json::{Value, json};

use crate::support::{Answer, World, start};

fn post(world: &World, path: &str, body: &Value) -> Answer {
    world.call_as("admin", "POST", path, body)
}

fn id(answer: &Answer) -> String {
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[track_caller]
fn refused(answer: &Answer, field: &str) {
    assert!(answer.errors().contains_key(field), "{}", answer.text);
}

fn icon(world: &World) -> String {
    world.get("icon/global").json()[0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_schema_is_made_listed_and_deleted() {
    let world = start();
    let made = post(&world, "objectschema/create", &json!({"name": "Assets", "objectSchemaKey": "AST", "description": "all"}));
    assert_eq!(made.status, 201);
    let schema = id(&made);
    refused(&post(&world, "objectschema/create", &json!({"name": "assets", "objectSchemaKey": "ASU"})), "name");
    refused(&post(&world, "objectschema/create", &json!({"name": "Other", "objectSchemaKey": "AST"})), "objectSchemaKey");
    refused(&post(&world, "objectschema/create", &json!({"name": "Other", "objectSchemaKey": "a b"})), "objectSchemaKey");
    refused(&post(&world, "objectschema/create", &json!({"name": "a;b", "objectSchemaKey": "ASU"})), "name");
    refused(&post(&world, "objectschema/create", &json!({"objectSchemaKey": "ASU"})), "name");
    assert_eq!(post(&world, "objectschema/create", &json!({"name": "x", "objectSchemaKey": "ASU", "key": "x"})).status, 400);
    let list = world.get("objectschema/list?startAt=1&maxResults=5&includeCounts=true").json();
    assert_eq!(
        (list["total"].clone(), list["isLast"].clone(), list["values"][0]["objectSchemaKey"].clone()),
        (json!(2), json!(true), json!("AST"))
    );
    assert_eq!(list["values"][0]["globalId"], world.sim.edit(|site| json!(format!("{}:{schema}", site.workspace_id))));
    let changed = world.call("PUT", &format!("objectschema/{schema}"), &json!({"name": "Everything"}));
    assert_eq!((changed.json()["name"].clone(), changed.json()["description"].clone()), (json!("Everything"), json!("all")));
    refused(&world.call("PUT", &format!("objectschema/{schema}"), &json!({"objectSchemaKey": "NEW"})), "objectSchemaKey");
    let cloud = world.schema;
    world.created(world.group, &[("Name", &["a"]), ("Group ID", &["a"])]);
    assert_eq!(world.call("DELETE", &format!("objectschema/{cloud}"), &Value::Null).status, 403);
    assert_eq!(world.call_as("admin", "DELETE", &format!("objectschema/{cloud}"), &Value::Null).status, 200);
    assert_eq!(world.get(&format!("objectschema/{cloud}")).status, 404);
    assert_eq!(world.sim.edit(|site| (site.objects().count(), site.types.len(), site.attributes.len())), (0, 0, 0));
}

#[test]
fn a_type_is_born_with_attributes() {
    let world = start();
    let (schema, icon) = (world.schema.to_string(), icon(&world));
    let body = |name: &str| json!({"name": name, "objectSchemaId": schema, "iconId": icon});
    let made = world.call("POST", "objecttype/create", &body("Volume"));
    assert_eq!(made.status, 201, "{}", made.text);
    let attributes = world.get(&format!("objecttype/{}/attributes", id(&made))).json();
    let attributes: Vec<(&str, bool, bool, i64)> = attributes
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let flag = |name: &str| one[name].as_bool().unwrap();
            (one["name"].as_str().unwrap(), flag("system"), flag("label"), one["minimumCardinality"].as_i64().unwrap())
        })
        .collect();
    assert_eq!(attributes, [("Key", true, false, 1), ("Name", false, true, 1), ("Created", true, false, 1), ("Updated", true, false, 1)]);
    refused(&world.call("POST", "objecttype/create", &body("volume")), "name");
    refused(&world.call("POST", "objecttype/create", &body("a:b")), "name");
    refused(&world.call("POST", "objecttype/create", &json!({"name": "New", "objectSchemaId": schema})), "iconId");
    refused(&world.call("POST", "objecttype/create", &json!({"name": "New", "objectSchemaId": schema, "iconId": "nosuch"})), "iconId");
    refused(&world.call("POST", "objecttype/create", &json!({"name": "New", "objectSchemaId": "999", "iconId": icon})), "objectSchemaId");
    let mut numeric = body("New");
    numeric["objectSchemaId"] = json!(world.schema);
    assert_eq!(world.call("POST", "objecttype/create", &numeric).status, 400, "ids are text");
}

#[test]
fn attributes_go_down_the_tree() {
    let world = start();
    let (schema, icon) = (world.schema.to_string(), icon(&world));
    let create = |name: &str, parent: Option<&str>, inherited: bool, is_abstract: bool| {
        let body = json!({"name": name, "objectSchemaId": schema, "iconId": icon, "parentObjectTypeId": parent, "inherited": inherited,
            "abstractObjectType": is_abstract});
        world.call("POST", "objecttype/create", &body)
    };
    let parent = id(&create("Resource", None, true, true));
    let child = create("Disk", Some(&parent), false, false);
    assert_eq!(
        (child.json()["parentObjectTypeId"].clone(), child.json()["parentObjectTypeInherited"].clone()),
        (json!(parent.parse::<u64>().unwrap()), json!(true))
    );
    let child = id(&child);
    assert_eq!(
        world.call("POST", &format!("objecttypeattribute/{parent}"), &json!({"name": "Region", "type": 0, "defaultTypeId": 0})).status,
        201
    );
    let names = |path: &str| -> Vec<String> {
        let all = world.get(path).json();
        all.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&format!("objecttype/{child}/attributes")), ["Key", "Name", "Created", "Updated", "Region"]);
    assert!(names(&format!("objecttype/{child}/attributes?excludeParentAttributes=true")).is_empty());
    let clash = world.call("POST", &format!("objecttypeattribute/{child}"), &json!({"name": "region", "type": 0, "defaultTypeId": 0}));
    refused(&clash, "name");
    let number: u64 = parent.parse().unwrap();
    assert!(world.create(number, &[("Name", &["x"])]).errors().contains_key("objectTypeId"), "it has no objects of its own");
    world.created(child.parse().unwrap(), &[("Name", &["x"]), ("Region", &["eu"])]);
    let flat = world.get(&format!("objectschema/{schema}/objecttypes/flat?includeObjectCounts=true")).json();
    let flat: Vec<(&str, u64)> =
        flat.as_array().unwrap().iter().map(|one| (one["name"].as_str().unwrap(), one["objectCount"].as_u64().unwrap())).collect();
    assert_eq!(flat, [("Security Group", 0), ("Instance", 0), ("Resource", 0), ("Disk", 1)]);
    assert_eq!(names(&format!("objectschema/{schema}/objecttypes?excludeAbstract=true")), ["Security Group", "Instance", "Disk"]);
    assert_eq!(world.call("DELETE", &format!("objecttype/{parent}"), &Value::Null).status, 400, "one lies below it");
    assert_eq!(world.call("DELETE", &format!("objecttype/{child}"), &Value::Null).status, 200);
    assert_eq!(world.sim.edit(|site| site.objects().count()), 0);
    let moved = world.call(
        "POST",
        &format!("objecttype/{}/position", world.group),
        &json!({"toObjectTypeId": world.instance.to_string(), "position": 0}),
    );
    assert_eq!((moved.status, moved.json()["parentObjectTypeId"].clone()), (200, json!(world.instance)));
    let renamed = world.call("PUT", &format!("objecttype/{}", world.group), &json!({"name": "Firewall", "description": "d"}));
    assert_eq!((renamed.json()["name"].clone(), renamed.json()["description"].clone()), (json!("Firewall"), json!("d")));
}

#[test]
fn an_attribute_is_made_changed_and_deleted() {
    let world = start();
    let path = format!("objecttypeattribute/{}", world.instance);
    let create = |body: Value| world.call("POST", &path, &body);
    let made = create(
        json!({"name": "Image", "label": false, "description": "ami", "type": 0, "defaultTypeId": 0, "typeValue": null, "typeValueMulti": [],
        "additionalValue": null, "minimumCardinality": 0, "maximumCardinality": 1, "includeChildObjectTypes": false, "hidden": false,
        "uniqueAttribute": false, "summable": false, "regexValidation": null, "qlQuery": null, "options": "", "suffix": ""}),
    );
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.json()["defaultType"], json!({"id": 0, "name": "Text"}));
    let image = id(&made);
    refused(&create(json!({"name": "image", "type": 0, "defaultTypeId": 0})), "name");
    refused(&create(json!({"name": "New", "type": 0})), "defaultTypeId");
    refused(&create(json!({"name": "New", "type": 0, "defaultTypeId": 12})), "defaultTypeId");
    refused(&create(json!({"name": "New", "type": 6})), "type");
    refused(&create(json!({"name": "New", "type": 1, "additionalValue": "1"})), "typeValue");
    refused(&create(json!({"name": "New", "type": 1, "typeValue": world.group.to_string()})), "additionalValue");
    refused(&create(json!({"name": "New", "type": 1, "typeValue": "999", "additionalValue": "1"})), "typeValue");
    refused(&create(json!({"name": "New", "type": 1, "typeValue": world.group.to_string(), "additionalValue": "99"})), "additionalValue");
    refused(&create(json!({"name": "New", "type": 2, "typeValueMulti": ["nosuch"]})), "typeValueMulti");
    refused(&create(json!({"name": "New", "type": 7, "typeValueMulti": ["99"]})), "typeValueMulti");
    refused(&create(json!({"name": "New", "type": 0, "defaultTypeId": 0, "maximumCardinality": 5})), "maximumCardinality");
    refused(&create(json!({"name": "New", "type": 0, "defaultTypeId": 0, "regexValidation": "("})), "regexValidation");
    refused(&create(json!({"name": "New", "type": 0, "defaultTypeId": 7, "additionalValue": "MAYBE"})), "additionalValue");
    assert_eq!(create(json!({"name": "New", "type": 0, "defaultTypeId": 0, "unique": true})).status, 400);
    let reference = create(
        json!({"name": "Peers", "type": 1, "typeValue": world.instance.to_string(), "additionalValue": "1", "maximumCardinality": -1}),
    );
    assert_eq!((reference.status, reference.json()["maximumCardinality"].clone()), (201, json!(-1)));
    assert_eq!(reference.json()["referenceObjectTypeId"], json!(world.instance.to_string()));
    let changed = world.call("PUT", &format!("{path}/{image}"), &json!({"name": "AMI", "uniqueAttribute": true}));
    assert_eq!((changed.status, changed.json()["name"].clone(), changed.json()["description"].clone()), (200, json!("AMI"), json!("ami")));
    refused(&world.call("PUT", &format!("{path}/{image}"), &json!({"type": 4})), "type");
    let object = world.created(world.instance, &[("Name", &["web"]), ("Provider ID", &["i-1"]), ("AMI", &["ami-1"])]);
    let [first, second] = ["a", "b"].map(|name| world.created(world.group, &[("Name", &["same"]), ("Group ID", &[name])]));
    let name = format!("objecttypeattribute/{}/{}", world.group, world.attribute(world.group, "Name"));
    refused(&world.call("PUT", &name, &json!({"uniqueAttribute": true})), "uniqueAttribute");
    world.sim.edit(|site| [first, second].map(|id| site.delete(id)));
    assert_eq!(world.call("PUT", &name, &json!({"uniqueAttribute": true})).status, 200);
    let label = world.call("PUT", &format!("{path}/{image}"), &json!({"label": true}));
    assert_eq!(label.status, 200, "{}", label.text);
    assert_eq!(world.get(&format!("object/{object}")).json()["label"], "ami-1", "there is one label");
    assert_eq!(world.call("DELETE", &format!("objecttypeattribute/{image}"), &Value::Null).status, 400, "it is the label");
    let name = world.attribute(world.instance, "Name");
    assert_eq!(world.call("PUT", &format!("{path}/{name}"), &json!({"label": true})).status, 200);
    assert_eq!(world.call("DELETE", &format!("objecttypeattribute/{image}"), &Value::Null).status, 200);
    assert!(!world.row(object).contains_key("AMI"), "its values go at once");
    let key = world.attribute(world.instance, "Key");
    assert_eq!(world.call("DELETE", &format!("objecttypeattribute/{key}"), &Value::Null).status, 400);
    let all = world.get(&format!("objectschema/{}/attributes?extended=true&onlyValueEditable=true&query=id", world.schema)).json();
    let all: Vec<(&str, &str)> =
        all.as_array().unwrap().iter().map(|one| (one["name"].as_str().unwrap(), one["objectType"]["name"].as_str().unwrap())).collect();
    assert_eq!(all, [("Group ID", "Security Group"), ("Provider ID", "Instance")]);
}

#[test]
fn statuses_and_reference_types_are_global_or_of_a_schema() {
    let world = start();
    let schema = world.schema.to_string();
    let body = |name: &str, category: i64| json!({"name": name, "category": category, "objectSchemaId": schema});
    let made = world.call("POST", "config/statustype", &body("Retired", 0));
    assert_eq!((made.status, made.json()["objectSchemaId"].clone()), (201, json!(schema)));
    let retired = id(&made);
    refused(&world.call("POST", "config/statustype", &body("retired", 0)), "name");
    refused(&world.call("POST", "config/statustype", &body("Odd", 3)), "category");
    assert_eq!(world.call("POST", "config/statustype", &json!({"name": "Global", "category": 1})).status, 403, "an administrator's");
    let names = |path: &str| -> Vec<String> {
        world.get(path).json().as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&format!("config/statustype?objectSchemaId={schema}")), ["Retired"]);
    assert_eq!(names("config/statustype").len(), 7);
    let object = world.created(world.instance, &[("Name", &["web"]), ("Provider ID", &["i-1"]), ("Lifecycle", &[&retired])]);
    assert_eq!(world.row(object)["Lifecycle"], ["Retired"]);
    assert_eq!(world.call("DELETE", &format!("config/statustype/{retired}"), &Value::Null).status, 400, "an object has it");
    let renamed = world.call("PUT", &format!("config/statustype/{retired}"), &json!({"name": "Gone"}));
    assert_eq!((renamed.status, world.row(object)["Lifecycle"].clone()), (200, vec!["Gone".to_owned()]));
    world.sim.edit(|site| site.delete(object));
    assert_eq!(world.call("DELETE", &format!("config/statustype/{retired}"), &Value::Null).status, 200);
    assert_eq!(world.get(&format!("config/statustype/{retired}")).status, 404);
    let made = world.call("POST", "config/referencetype", &json!({"name": "Guards", "color": "#123456", "objectSchemaId": schema}));
    assert_eq!((made.status, made.json()["color"].clone()), (201, json!("#123456")));
    assert_eq!(names(&format!("config/referencetype?objectSchemaId={schema}")), ["Guards"]);
    assert_eq!(names(&format!("config/referencetype?objectSchemaId={schema}&includeAll=true")).len(), 6);
    assert_eq!(world.call("DELETE", &format!("config/referencetype/{}", id(&made)), &Value::Null).status, 200);
}

#[test]
fn names_are_unique_where_the_site_has_it_so() {
    let world = start();
    world.sim.edit(|site| site.name_is_unique = true);
    let made = world.call(
        "POST",
        "objecttype/create",
        &json!({"name": "Account", "objectSchemaId": world.schema.to_string(), "iconId": icon(&world)}),
    );
    let type_id: u64 = id(&made).parse().unwrap();
    assert_eq!(world.create(type_id, &[("Name", &["a"])]).status, 201);
    assert_eq!(world.create(type_id, &[("Name", &["a"])]).status, 400);
}
