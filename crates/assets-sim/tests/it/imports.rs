//! External imports.

use dewpoint_assets_sim::{Missing, Site};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{Answer, World, bearer, start, start_with};

/// A site with an import source, and its id. Its token is `import-token-1`.
fn with_source() -> (World, String) {
    let world = start();
    let id = world.sim.edit(|site| site.add_import(site.schema("CLOUD").unwrap().id, "Clouds"));
    (world, id)
}

/// A request of the source's own.
fn call(world: &World, method: &str, target: &str, body: &Value) -> Answer {
    let url = world.sim.url();
    world.send(bearer("import-token-1"), method, target.strip_prefix(&url).unwrap_or(target), body)
}

fn info(world: &World) -> Answer {
    call(world, "GET", "/jsm/assets/v1/imports/info", &Value::Null)
}

fn link(answer: &Answer, name: &str) -> String {
    answer.json()["links"][name].as_str().unwrap_or_else(|| panic!("{}", answer.text)).to_owned()
}

/// Machines with their groups.
fn document() -> Value {
    let attribute = |id: &str, name: &str, kind: &str| json!({"externalId": id, "name": name, "description": "", "type": kind});
    let with = |mut attribute: Value, member: &str, value: Value| {
        attribute[member] = value;
        attribute
    };
    let mapped = |id: &str, name: &str, locator: &str, is_identity: bool| json!({"attributeExternalId": id, "attributeName": name, "attributeLocators": [locator], "externalIdPart": is_identity});
    let groups = with(attribute("m-groups", "Groups", "referenced_object"), "referenceObjectTypeName", json!("Group"));
    json!({
        "schema": {
            "objectSchema": {"name": "Cloud", "description": "", "objectTypes": [
                {"externalId": "g", "name": "Group", "description": "", "attributes": [
                    with(attribute("g-id", "Provider ID", "text"), "unique", json!(true)),
                    with(attribute("g-name", "Name", "text"), "label", json!(true))]},
                {"externalId": "m", "name": "Machine", "description": "", "attributes": [
                    with(attribute("m-id", "Provider ID", "text"), "unique", json!(true)),
                    with(attribute("m-name", "Name", "text"), "label", json!(true)),
                    attribute("m-cores", "Cores", "integer"),
                    with(attribute("m-state", "State", "status"), "typeValues", json!(["Alive", "Retired"])),
                    with(groups, "maximumCardinality", json!(-1))]}]},
            "statusSchema": {"statuses": [
                {"name": "Alive", "description": "", "category": "active"}, {"name": "Retired", "description": "", "category": "inactive"}]}},
        "mapping": {"objectTypeMappings": [
            {"objectTypeExternalId": "g", "objectTypeName": "Group", "selector": "groups", "description": "", "attributesMapping": [
                mapped("g-id", "Provider ID", "id", true), mapped("g-name", "Name", "name", false)]},
            {"objectTypeExternalId": "m", "objectTypeName": "Machine", "selector": "machines", "description": "", "attributesMapping": [
                mapped("m-id", "Provider ID", "id", true), mapped("m-name", "Name", "name", false),
                mapped("m-cores", "Cores", "size.cores", false), mapped("m-state", "State", "state", false),
                with(mapped("m-groups", "Groups", "groups", false), "objectMappingIQL", json!("\"Provider ID\" IN (${groups})"))]}]}
    })
}

fn mapped() -> (World, String) {
    let (world, id) = with_source();
    let mapping = link(&info(&world), "mapping");
    let answer = call(&world, "PUT", &mapping, &document());
    assert_eq!(answer.status, 204, "{}", answer.text);
    (world, id)
}

fn status(world: &World) -> Value {
    call(world, "GET", &link(&info(world), "getStatus"), &Value::Null).json()["status"].clone()
}

fn started(world: &World) -> Answer {
    let answer = call(world, "POST", &link(&info(world), "start"), &Value::Null);
    assert_eq!((answer.status, answer.json()["result"].clone()), (201, json!("success")), "{}", answer.text);
    answer
}

fn submit(world: &World, execution: &Answer, chunk: &str, data: &Value, is_completed: bool) -> u16 {
    let body = json!({"data": data, "clientGeneratedId": chunk, "completed": is_completed});
    call(world, "POST", &link(execution, "submitResults"), &body).status
}

fn result(world: &World, execution: &Answer) -> Value {
    call(world, "GET", &link(execution, "getExecutionStatus"), &Value::Null).json()
}

fn machines() -> Value {
    json!({"groups": [{"id": "sg-1", "name": "web"}, {"id": "sg-2", "name": "db"}],
        "machines": [{"id": "i-1", "name": "web-1", "size": {"cores": 4}, "state": "Alive", "groups": ["sg-1", "sg-2", "sg-9"]}]})
}

/// Imports one chunk and gives the result.
fn import(world: &World, data: &Value) -> Value {
    let execution = started(world);
    assert_eq!(submit(world, &execution, "chunk-1", data, true), 202);
    result(world, &execution)["progressResult"].clone()
}

#[test]
fn an_import_goes_from_mapping_to_objects() {
    let (world, _) = with_source();
    world.sim.settings(|settings| settings.import_processing_s = 10);
    assert_eq!(status(&world), "MISSING_MAPPING");
    assert_eq!(call(&world, "POST", &link(&info(&world), "start"), &Value::Null).status, 409);
    let mapping = link(&info(&world), "mapping");
    let accepted = call(&world, "PUT", &format!("{mapping}?async=true"), &document());
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    let progress = call(&world, "GET", &format!("{mapping}/progress/{}", accepted.json()["resourceId"].as_str().unwrap()), &Value::Null);
    assert_eq!(progress.json()["status"], "FINISHED");
    assert_eq!(status(&world), "IDLE");
    let execution = started(&world);
    assert_eq!(status(&world), "RUNNING");
    assert_eq!(call(&world, "POST", &link(&info(&world), "start"), &Value::Null).status, 409, "one at a time");
    assert_eq!(submit(&world, &execution, "chunk-1", &machines(), false), 202);
    assert_eq!(
        submit(&world, &execution, "chunk-1", &json!({"machines": [{"id": "i-9"}]}), false),
        202,
        "the same chunk again is not looked at"
    );
    let counts = json!({"objects": {"total": 3, "processed": 3}});
    assert_eq!(call(&world, "PUT", &link(&execution, "submitProgress"), &counts).status, 204);
    assert_eq!(result(&world, &execution)["status"], "INGESTING");
    assert_eq!(call(&world, "POST", &link(&execution, "submitResults"), &json!({"completed": true})).status, 202);
    assert_eq!(submit(&world, &execution, "chunk-2", &machines(), false), 409, "it is complete");
    assert_eq!(result(&world, &execution)["status"], "PROCESSING");
    assert_eq!(world.sim.rows("Machine").len(), 0);
    world.sim.advance(SignedDuration::from_secs(10));
    let done = result(&world, &execution);
    assert_eq!(done["status"], "DONE");
    let counts = ["entriesCreated", "entriesUpdated", "entriesFailed", "entriesProcessed"]
        .map(|name| done["progressResult"][name].as_u64().unwrap());
    assert_eq!(counts, [3, 0, 0, 3]);
    let rows = world.sim.rows("Machine");
    let row = |name: &str| rows[0].get(name).cloned().unwrap_or_default();
    assert_eq!((row("Name"), row("Cores"), row("State")), (vec!["web-1".to_owned()], vec!["4".to_owned()], vec!["Alive".to_owned()]));
    let groups: std::collections::BTreeSet<String> = row("Groups").into_iter().collect();
    assert_eq!(groups, ["db".to_owned(), "web".to_owned()].into(), "what is not there is left out without a word");
    assert_eq!(status(&world), "IDLE");
    assert_eq!(world.sim.counters().objects_written, 3);
    assert_eq!(world.sim.counters().writes, 0);
}

#[test]
fn the_next_import_changes_what_it_knows() {
    let (world, id) = mapped();
    let first = import(&world, &machines());
    assert_eq!((first["entriesCreated"].clone(), first["result"].clone()), (json!(3), json!("OK")));
    let again = import(&world, &machines());
    assert_eq!((again["entriesCreated"].clone(), again["entriesUpdated"].clone()), (json!(0), json!(0)));
    let changed = import(&world, &json!({"machines": [{"id": "i-1", "name": "web-2", "state": "Retired"}]}));
    assert_eq!((changed["entriesCreated"].clone(), changed["entriesUpdated"].clone()), (json!(0), json!(1)));
    let row = world.sim.edit(|site| site.rows("Machine").remove(0));
    assert_eq!(
        (row["Name"].clone(), row["State"].clone(), row.contains_key("Cores")),
        (vec!["web-2".to_owned()], vec!["Retired".to_owned()], false)
    );
    assert_eq!(world.sim.rows("Group").len(), 2, "what an import does not show stays");
    world.sim.edit(|site| site.imports.iter_mut().find(|source| source.id == id).unwrap().missing = Missing::Remove);
    import(&world, &json!({"groups": [{"id": "sg-1", "name": "web"}]}));
    assert_eq!(world.sim.edit(|site| (site.rows("Group").len(), site.rows("Machine").len())), (1, 0));
}

#[test]
fn failures_are_told_one_by_one() {
    let (world, _) = mapped();
    let execution = started(&world);
    let data = json!({"machines": [{"id": "i-1", "name": "ok"}, {"id": "i-2", "name": "bad", "size": {"cores": "many"}}, {"name": "nobody"}, {"id": "i-3"},
        {"id": "i-4", "name": "state", "state": "Nosuch"}]});
    assert_eq!(submit(&world, &execution, "1", &data, true), 202);
    let done = result(&world, &execution)["progressResult"].clone();
    assert_eq!(
        (done["entriesCreated"].clone(), done["entriesFailed"].clone(), done["result"].clone()),
        (json!(1), json!(4), json!("OK_WITH_ERRORS"))
    );
    let path = link(&execution, "getExecutionStatus").replace("/status", "/history/failed");
    let failed = call(&world, "GET", &path, &Value::Null).json();
    let failed: Vec<(&str, &str)> = failed["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["externalId"].as_str().unwrap(), one["failureReason"].as_str().unwrap()))
        .collect();
    assert!(failed[0].0 == "i-2" && failed[0].1.contains("integer"), "{failed:?}");
    assert_eq!(failed[1], ("", "Provider ID is missing"));
    assert_eq!(failed[2], ("i-3", "Name is required"));
    assert!(failed[3].1.contains("Invalid values"), "{failed:?}");
}

#[test]
fn an_import_is_cancelled() {
    let (world, _) = mapped();
    let execution = started(&world);
    assert_eq!(submit(&world, &execution, "1", &machines(), false), 202);
    assert_eq!(call(&world, "DELETE", &link(&execution, "cancel"), &Value::Null).status, 200);
    assert_eq!(result(&world, &execution)["status"], "CANCELLED");
    assert_eq!(submit(&world, &execution, "2", &machines(), true), 409);
    assert_eq!(call(&world, "DELETE", &link(&execution, "cancel"), &Value::Null).status, 409);
    assert_eq!((status(&world), world.sim.rows("Machine").len()), (json!("IDLE"), 0));
}

#[test]
fn chunks_have_bounds() {
    let (world, _) = mapped();
    world.sim.settings(|settings| settings.import_chunk_max = 2);
    let execution = started(&world);
    assert_eq!(submit(&world, &execution, "1", &machines(), false), 413);
    let url = link(&execution, "submitResults");
    assert_eq!(call(&world, "POST", &url, &json!({"data": {"machines": []}})).status, 400, "a chunk without an id");
    assert_eq!(call(&world, "POST", &url, &json!({"clientGeneratedId": "1"})).status, 400);
    assert_eq!(call(&world, "POST", &url, &json!({"data": [], "clientGeneratedId": "1"})).status, 400);
    assert_eq!(call(&world, "POST", &url, &json!({"Data": {}, "clientGeneratedId": "1"})).status, 400, "case matters");
}

#[test]
fn a_mapping_has_its_form() {
    let (world, _) = with_source();
    let mapping = link(&info(&world), "mapping");
    let status = |change: &dyn Fn(&mut Value)| {
        let mut document = document();
        change(&mut document);
        call(&world, "PUT", &mapping, &document).status
    };
    const MACHINE: &str = "/schema/objectSchema/objectTypes/1";
    let set = |pointer: String, value: Value| move |document: &mut Value| *document.pointer_mut(&pointer).unwrap() = value.clone();
    let remove = |pointer: &'static str, name: &'static str| {
        move |document: &mut Value| drop(document.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(name))
    };
    assert_eq!(status(&remove(MACHINE, "description")), 400);
    assert_eq!(status(&remove(MACHINE, "externalId")), 400, "all have an external id, or none");
    assert_eq!(status(&set(format!("{MACHINE}/externalId"), json!("g"))), 400);
    assert_eq!(status(&set(format!("{MACHINE}/attributes/0/type"), json!("Text"))), 400);
    assert_eq!(status(&|document| document["schema"]["objectschema"] = json!({})), 400, "case matters");
    assert_eq!(status(&set(format!("{MACHINE}/attributes/4/referenceObjectTypeName"), json!("Nosuch"))), 400);
    assert_eq!(status(&set("/schema/statusSchema/statuses/0/name".to_owned(), json!("a_b"))), 400);
    assert_eq!(status(&set("/mapping/objectTypeMappings/0/objectTypeName".to_owned(), json!("Nosuch"))), 400);
    assert_eq!(status(&set("/mapping/objectTypeMappings/0/attributesMapping/0/externalIdPart".to_owned(), json!(false))), 400);
    assert_eq!(status(&|_| {}), 204);
    assert_eq!(status(&|_| {}), 409, "a mapping that is there is patched");
    let patch = |change: &dyn Fn(&mut Value)| {
        let mut document = document();
        change(&mut document);
        call(&world, "PATCH", &mapping, &document)
    };
    assert_eq!(patch(&set(format!("{MACHINE}/attributes/2/name"), json!("CPUs"))).status, 400, "nothing is renamed");
    assert_eq!(patch(&set(format!("{MACHINE}/attributes/2/type"), json!("text"))).status, 400);
    let add = |document: &mut Value| {
        let zone = json!({"externalId": "m-zone", "name": "Zone", "description": "", "type": "text"});
        document.pointer_mut(&format!("{MACHINE}/attributes")).unwrap().as_array_mut().unwrap().push(zone);
        document.pointer_mut("/mapping/objectTypeMappings").unwrap().as_array_mut().unwrap().remove(0);
    };
    let added = patch(&add);
    assert_eq!(added.status, 204, "{}", added.text);
    let machine = world.sim.edit(|site| site.type_named("Machine").unwrap().id);
    world.attribute(machine, "Zone");
    let document = call(&world, "GET", &mapping.replace("/mapping", "/schema-and-mapping"), &Value::Null).json();
    assert_eq!(document["mapping"]["objectTypeMappings"].as_array().unwrap().len(), 2, "nothing is taken away");
    assert_eq!(patch(&|document| document["mapping"] = json!({})).status, 400);
}

#[test]
fn a_token_opens_its_source_and_nothing_else() {
    let (world, id) = mapped();
    assert_eq!(call(&world, "GET", "objectschema/list", &Value::Null).status, 403);
    let other = world.sim.edit(|site| site.add_import(site.schema("CLOUD").unwrap().id, "Other"));
    assert_eq!(call(&world, "GET", &format!("importsource/{other}/configstatus"), &Value::Null).status, 403);
    assert_eq!(world.get(&format!("importsource/{id}/configstatus")).json()["status"], "IDLE", "a manager of the schema may look");
    assert_eq!(world.call_as("developer", "GET", &format!("importsource/{id}/configstatus"), &Value::Null).status, 403);
    assert_eq!(world.get("/jsm/assets/v1/imports/info").status, 401);
    let token = world.call("POST", &format!("importsource/{id}/token"), &json!({}));
    assert_eq!((info(&world).status, token.status), (401, 201), "there is one token");
    let answer = world.send(bearer(token.json()["token"].as_str().unwrap()), "GET", "/jsm/assets/v1/imports/info", &Value::Null);
    assert_eq!(answer.status, 200);
}

#[test]
fn a_source_is_switched_off_and_deleted() {
    let (world, id) = mapped();
    let links = info(&world);
    let edit = |change: &dyn Fn(&mut dewpoint_assets_sim::ImportSource)| {
        world.sim.edit(|site| change(site.imports.iter_mut().find(|source| source.id == id).unwrap()));
    };
    edit(&|source| source.is_disabled = true);
    assert_eq!((status(&world), call(&world, "POST", &link(&links, "start"), &Value::Null).status), (json!("DISABLED"), 409));
    edit(&|source| source.is_deleted = true);
    assert_eq!((info(&world).status, call(&world, "POST", &link(&links, "start"), &Value::Null).status), (404, 404));
}

#[test]
fn an_import_meets_the_limit_of_objects() {
    let world = start_with(Site::new().with_object_limit(1), |_| {});
    world.sim.edit(|site| drop(site.add_import(site.schema("CLOUD").unwrap().id, "Clouds")));
    assert_eq!(call(&world, "PUT", &link(&info(&world), "mapping"), &document()).status, 204);
    let done = import(&world, &machines());
    assert_eq!((done["entriesCreated"].clone(), done["entriesFailed"].clone()), (json!(1), json!(2)));
}
