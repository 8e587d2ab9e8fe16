//! Writing assets.

use dewpoint_halo_sim::{
    BatchFailure, Field, FieldsUpdate, LongValues, PostAnswer, RelationshipWrites, Sim, Tenant, TypeField, UNKNOWN, UnknownId,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{Answer, Caller, ids, instance, send, start, start_with};

#[track_caller]
fn refused(answer: &Answer, message: &str) {
    assert_eq!((answer.status, answer.json()["Message"].as_str()), (400, Some(message)), "{}", answer.text);
}

fn value(sim: &Sim, id: i64, field: &str) -> String {
    sim.edit(|tenant| tenant.value(id, field).to_owned())
}

#[test]
fn what_is_posted_is_an_array_in_json() {
    let sim = start();
    let caller = Caller::new(&sim);
    for body in [instance("i-1"), json!([]), json!("x")] {
        let answer = caller.post(&body);
        assert_eq!((answer.status, answer.json()), (400, json!({"Message": "The request is invalid."})));
    }
    assert_eq!(caller.post(&json!([7])).status, 400);
    let bearer = format!("Bearer {}", caller.token);
    let plain = [("User-Agent", "test/1.0"), ("Authorization", bearer.as_str())];
    assert_eq!(send(&sim, "POST", "/api/Asset", &plain, "[{}]").status, 415);
    assert!(sim.assets().is_empty());
}

#[test]
fn one_is_answered_with_an_object_and_several_with_an_array() {
    let sim = start();
    let caller = Caller::new(&sim);
    let ask = |change: PostAnswer, count: usize| {
        sim.settings(|settings| settings.post_answer = change);
        let answer = caller.post(&json!(vec![instance("i-1"); count]));
        assert_eq!(answer.status, 201);
        answer.json().as_array().map(Vec::len)
    };
    assert_eq!([ask(PostAnswer::ByCount, 1), ask(PostAnswer::ByCount, 2)], [None, Some(2)]);
    assert_eq!([ask(PostAnswer::Array, 1), ask(PostAnswer::Object, 2)], [Some(1), None]);
    assert_eq!(sim.find("i-1").len(), 6, "without an id each makes another");
}

#[test]
fn the_answer_is_the_asset() {
    let sim = start();
    let caller = Caller::new(&sim);
    let body = caller.post(&json!([instance("i-1")])).json();
    assert_eq!((body["inventory_number"].clone(), body["key_field"].clone()), (json!("i-1"), json!("name of i-1")));
    assert_eq!(
        (body["assettype_name"].clone(), body["client_id"].clone(), body["status_id"].clone()),
        (json!("Cloud Instance"), json!(12), json!(1))
    );
    assert_eq!((body["sla_id"].clone(), body["business_owner_id"].clone()), (json!(-1), json!(-99)));
    assert!(body["fields"].is_array() && body.get("child_assets").is_none());
}

#[test]
fn ids_may_be_text_and_nothing_else_may() {
    let sim = start();
    let caller = Caller::new(&sim);
    let id = caller.put(&json!({"assettype_id": "130", "site_id": "18", "inactive": "true", "fields": [{"id": "101", "value": "a"}]}));
    assert!(sim.assets()[0].inactive);
    assert_eq!(value(&sim, id, "Name"), "a");
    let odd = caller.post(&json!([instance("i"), {"id": "abc"}]));
    assert_eq!(odd.status, 400);
    assert!(odd.json()["[1].id"][0].as_str().unwrap().starts_with("Could not convert string to integer: abc."), "{}", odd.text);
    for element in [json!({"inactive": "maybe"}), json!({"fields": {"id": 1}}), json!({"fields": [1]}), json!({"warranty_end": "soon"})] {
        let mut asset = instance("i");
        asset.as_object_mut().unwrap().extend(element.as_object().unwrap().clone());
        assert_eq!(caller.post(&json!([asset])).status, 400, "{element}");
    }
}

#[test]
fn type_and_site_are_needed() {
    let sim = start();
    let caller = Caller::new(&sim);
    refused(&caller.post(&json!([{"site_id": 18}])), "An Asset Type must be selected");
    refused(&caller.post(&json!([{"assettype_id": 130}])), "A Site must be selected");
    refused(&caller.post(&json!([{"assettype_id": 999, "site_id": 18}])), "Invalid Asset Type");
    refused(&caller.post(&json!([{"assettype_name": "Cloud Thing", "site_id": 18}])), "Invalid Asset Type");
    refused(&caller.post(&json!([{"assettype_id": 130, "site_id": 999}])), "Invalid Site");
    let site = |members: Value| {
        let mut asset = json!({"assettype_name": "cloud INSTANCE"});
        asset.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let id = caller.put(&asset);
        sim.edit(|tenant| tenant.get(id).unwrap().site_id)
    };
    assert_eq!(site(json!({"client_name": "acme", "site_name": "MAIN"})), 18);
    assert_eq!(site(json!({"client_name": "Acme", "site_name": "Mian"})), UNKNOWN, "filed where nobody looks, without a word");
    assert_eq!(site(json!({"client_name": "Acne", "site_name": "Main"})), UNKNOWN);
    assert_eq!([site(json!({"client_id": 12})), site(json!({"site_name": "Main"}))], [18, 18]);
}

#[test]
fn an_update_leaves_members_that_it_does_not_name() {
    let sim = start();
    let caller = Caller::new(&sim);
    let mut asset = instance("i-1");
    asset["notes"] = json!("mine");
    asset["warranty_end"] = json!("2027-01-29T20:00:00.000Z");
    let id = caller.put(&asset);
    let answer = caller.post(&json!([{"id": id, "status_id": 4, "aws_id": "i-1"}])).json();
    assert_eq!(
        (answer["status_name"].clone(), answer["notes"].clone(), answer["aws_id"].clone()),
        (json!("Retired"), json!("mine"), json!("i-1"))
    );
    assert_eq!(answer["warranty_end"], "2027-01-29T20:00:00", "without a zone");
    assert_eq!(answer["key_field"], "name of i-1", "no fields, no change of them");
    assert_eq!(caller.post(&json!([{"id": id, "warranty_end": null}])).json()["warranty_end"], "1900-01-01T00:00:00");
    assert_eq!(caller.post(&json!([{"id": id, "third_party_id_string": "x"}])).json().get("third_party_id_string"), None);
    let moved = caller.post(&json!([{"id": id, "assettype_id": 120, "_dontupdatetype": true}])).json();
    assert_eq!(moved["assettype_id"], 130);
    assert_eq!(caller.post(&json!([{"id": id, "assettype_id": 120}])).json()["assettype_name"], "Server");
}

#[test]
fn fields_of_an_update_wipe_the_others() {
    let sim = start();
    let caller = Caller::new(&sim);
    let id = caller
        .put(&json!({"assettype_id": 130, "site_id": 18, "fields": [{"id": 101, "value": "a"}, {"name": "provider id", "value": "arn"}]}));
    assert_eq!(value(&sim, id, "Provider ID"), "arn");
    sim.settings(|settings| settings.fields_update = FieldsUpdate::Merge);
    caller.put(&json!({"id": id, "fields": [{"id": 51, "value": "t3"}]}));
    assert_eq!([value(&sim, id, "Name"), value(&sim, id, "Model")], ["a", "t3"]);
    sim.settings(|settings| settings.fields_update = FieldsUpdate::Wipe);
    caller.put(&json!({"id": id, "notes": "n"}));
    assert_eq!(value(&sim, id, "Name"), "a", "without fields nothing is wiped");
    caller.put(&json!({"id": id, "fields": [{"id": 51, "value": "t3"}]}));
    assert_eq!([value(&sim, id, "Name"), value(&sim, id, "Model")], ["", "t3"]);
    caller.put(&json!({"id": id, "fields": [{"id": 51, "value": ""}]}));
    assert_eq!(value(&sim, id, "Model"), "");
}

#[test]
fn what_goes_nowhere_is_counted() {
    let sim = start();
    let caller = Caller::new(&sim);
    let answer = caller.post(&json!([{
        "assettype_id": 130, "site_id": 18, "_dontaddnewfields": false, "colr": "red", "add_child_assets": [],
        "fields": [
            {"id": 101, "value": "a", "vlaue": "b"}, {"id": 999, "value": "x"}, {"name": "Nmae", "value": "x"}, {"id": 117, "value": "not of this type"},
            {"name": "Environment", "value": "Prod"},
        ],
        "customfields": [{"name": "CFOther", "value": "x"}],
    }]));
    assert_eq!(answer.status, 201);
    let expected =
        ["colr", "fields.vlaue", "fields[999]", "fields[Nmae]", "fields[117]", "fields[Environment]=Prod", "customfields[CFOther]"];
    assert_eq!(sim.calls().last().unwrap().unknown_properties, expected);
    assert_eq!(sim.unknown_properties().len(), expected.len());
    sim.clear_calls();
    caller.put(&instance("i-2"));
    assert!(sim.unknown_properties().is_empty());
    sim.edit(|tenant| *tenant = tenant.clone().with_relationships(RelationshipWrites::Ignored));
    caller.put(&json!({"assettype_id": 130, "site_id": 18, "add_child_assets": [{"id": 501}], "environment": 1}));
    assert_eq!(
        sim.unknown_properties().into_keys().collect::<Vec<_>>(),
        ["add_child_assets", "environment"],
        "an older version knows neither"
    );
    assert!(sim.assets().last().unwrap().members.is_empty());
}

#[test]
fn values_are_text_of_4000_characters() {
    let sim = start();
    let caller = Caller::new(&sim);
    let with = |value: Value| caller.post(&json!([{"assettype_id": 130, "site_id": 18, "fields": [{"id": 101, "value": value}]}]));
    refused(&with(json!(7)), "Invalid value for Name");
    refused(&with(json!(["a"])), "Invalid value for Name");
    let id = with(json!("ü".repeat(4001))).json()["id"].as_i64().unwrap();
    assert_eq!(value(&sim, id, "Name"), "ü".repeat(4000));
    let id = with(json!("𐍈".repeat(2001))).json()["id"].as_i64().unwrap();
    assert_eq!(value(&sim, id, "Name").chars().count(), 2000, "as UTF-16 counts");
    sim.settings(|settings| settings.long_values = LongValues::Refuse);
    assert_eq!(with(json!("x".repeat(4001))).status, 400);
    sim.settings(|settings| settings.text_values_only = false);
    let id = with(json!(7)).json()["id"].as_i64().unwrap();
    assert_eq!(value(&sim, id, "Name"), "7");
}

#[test]
fn values_have_the_type_of_their_field() {
    let mut tenant = Tenant::new();
    let date = tenant.field_named("Purchase Date").unwrap();
    tenant.types.get_mut(&130).unwrap().fields.push(TypeField { id: 9, field_id: date, key: None });
    let sim = start_with(tenant, |_| {});
    let caller = Caller::new(&sim);
    let id = caller.put(&json!({"assettype_id": 130, "site_id": 18, "fields": [
        {"name": "Purchase Date", "value": "2026-01-29T20:00:00.000Z"}, {"name": "Environment", "value": "test"}]}));
    let fields = caller.get(&format!("/api/Asset/{id}?includedetails=true"))["fields"].clone();
    let found = |name: &str| fields.as_array().unwrap().iter().find(|field| field["name"] == name).unwrap().clone();
    assert_eq!(found("Purchase Date")["value"], "2026-01-29T20:00:00");
    assert_eq!((found("Environment")["value"].clone(), found("Environment")["display"].clone()), (json!("2"), json!("Test")));
    refused(&caller.post(&json!([{"id": id, "fields": [{"id": date, "value": "soon"}]}])), "Invalid date for Purchase Date");
}

#[test]
fn mandatory_fields_are_filled() {
    let mut tenant = Tenant::new();
    let field = tenant.add_field(Field { mandatory: true, ..Field::text("Cost Centre") });
    tenant.types.get_mut(&130).unwrap().fields.push(TypeField { id: 9, field_id: field, key: None });
    let sim = start_with(tenant, |_| {});
    let caller = Caller::new(&sim);
    refused(&caller.post(&json!([instance("i-1")])), "Cost Centre is mandatory");
    let id = caller.put(&json!({"assettype_id": 130, "site_id": 18, "fields": [{"id": field, "value": "1"}]}));
    refused(&caller.post(&json!([{"id": id, "fields": [{"id": 101, "value": "a"}]}])), "Cost Centre is mandatory");
    let made_by_people = sim.edit(|tenant| tenant.insert(130, "i-2", &[]));
    assert_eq!(caller.post(&json!([{"id": made_by_people, "inactive": true}])).status, 201, "nothing is said of fields");
    refused(&caller.post(&json!([{"id": made_by_people, "fields": []}])), "Cost Centre is mandatory");
    sim.settings(|settings| settings.mandatory_fields = false);
    caller.put(&instance("i-1"));
}

#[test]
fn statuses_are_those_of_the_type() {
    let mut tenant = Tenant::new();
    tenant.types.get_mut(&130).unwrap().statuses = Some([1, 4].into());
    let sim = start_with(tenant, |_| {});
    let caller = Caller::new(&sim);
    let id = caller.put(&instance("i-1"));
    let status = |status: i64| caller.post(&json!([{"id": id, "status_id": status}])).status;
    assert_eq!([status(4), status(2), status(77)], [201, 400, 400]);
}

#[test]
fn owners_that_there_are_not_are_unknown() {
    let sim = start();
    let caller = Caller::new(&sim);
    let id = caller.put(&instance("i-1"));
    let known = caller.post(&json!([{"id": id, "business_owner_id": 31, "technical_owner_id": "8"}])).json();
    assert_eq!((known["business_owner_name"].clone(), known["technical_owner_name"].clone()), (json!("Uma User"), json!("Otto Owner")));
    let unknown = caller.post(&json!([{"id": id, "business_owner_id": 4711}])).json();
    assert_eq!((unknown["business_owner_id"].clone(), unknown.get("business_owner_name")), (json!(-99), None));
}

#[test]
fn an_unknown_id_is_refused_or_makes_another() {
    let sim = start();
    let caller = Caller::new(&sim);
    let mut asset = instance("i-1");
    asset["id"] = json!(4711);
    assert_eq!(caller.post(&json!([asset])).status, 404);
    sim.settings(|settings| settings.unknown_id = UnknownId::Create);
    let id = caller.put(&asset);
    assert_ne!(id, 4711);
    assert_eq!(sim.find("i-1")[0].id, id);
}

#[test]
fn a_failing_element_fails_the_call() {
    let sim = start();
    let caller = Caller::new(&sim);
    let first = caller.put(&instance("i-0"));
    let bad = json!([instance("i-1"), {"id": first, "notes": "changed", "add_child_assets": []}, {"id": 4711}, instance("i-2")]);
    assert_eq!(caller.post(&bad).status, 404);
    assert_eq!((sim.assets().len(), sim.assets()[0].notes.as_str()), (1, ""));
    assert!(sim.edit(|tenant| tenant.changes(first).is_empty()));
    sim.settings(|settings| settings.batch_failure = BatchFailure::Before);
    assert_eq!(caller.post(&bad).status, 404);
    assert_eq!((sim.assets().len(), sim.assets()[0].notes.as_str()), (2, "changed"));
    assert_eq!(sim.calls().last().unwrap().ids.len(), 2);
}

#[test]
fn a_call_has_so_many_elements_and_no_more() {
    let sim = start();
    let caller = Caller::new(&sim);
    assert_eq!(caller.post(&json!(vec![instance("i"); 101])).status, 400);
    assert_eq!(caller.post(&json!(vec![instance("i"); 100])).status, 201);
    sim.settings(|settings| settings.batch_max = None);
    assert_eq!(caller.post(&json!(vec![instance("i"); 101])).status, 201);
}

#[test]
fn tags_are_unique_where_the_tenant_says_so() {
    let sim = start();
    let caller = Caller::new(&sim);
    let [first, second] = [caller.put(&instance("i-1")), caller.put(&instance("i-1"))];
    assert_ne!(first, second, "else a repeat makes a double");
    sim.settings(|settings| settings.unique_tags = true);
    refused(&caller.post(&json!([instance("I-1")])), "Asset tag must be unique");
    refused(&caller.post(&json!([instance("i-2"), instance("i-2")])), "Asset tag must be unique");
    assert_eq!(caller.post(&json!([{"id": first, "notes": "x"}])).status, 201);
    assert_eq!(caller.post(&json!([{"id": first, "inventory_number": "i-3"}])).status, 201);
    caller.post(&json!([{"id": second, "inactive": true}]));
    assert_eq!(caller.post(&json!([instance("i-1")])).status, 400, "what is inactive counts");
}

#[test]
fn tags_are_generated_where_the_tenant_says_so() {
    let sim = start();
    let caller = Caller::new(&sim);
    let tag = || caller.post(&json!([{"assettype_id": 130, "site_id": 18}])).json()["inventory_number"].clone();
    assert_eq!(tag(), "");
    sim.settings(|settings| settings.automatic_tags = true);
    caller.put(&instance("1041"));
    assert_eq!(caller.get("/api/Asset/NextTag"), json!({"last_tag": "1041", "next_tag": "1042"}));
    sim.edit(|tenant| tenant.types.get_mut(&130).unwrap().tag_prefix = "CI".to_owned());
    assert_eq!([tag(), tag()], ["CI1042", "CI1043"]);
}

#[test]
fn changes_leave_rows_and_marks() {
    let sim = start();
    let caller = Caller::new(&sim);
    let id = caller.put(&instance("i-1"));
    let read = || caller.get(&format!("/api/Asset/{id}"));
    let rows = || caller.get(&format!("/api/AssetChange?asset_id={id}"));
    let before = read();
    assert_eq!((before["dlastupdate"].clone(), rows()["record_count"].clone()), (json!("2026-06-01T10:00:00"), json!(0)));
    sim.advance(SignedDuration::from_millis(61_120));
    caller.put(&json!({"id": id, "notes": "", "fields": [{"id": 101, "value": "name of i-1"}]}));
    assert_eq!((read()["changeguid"].clone(), rows()["record_count"].clone()), (before["changeguid"].clone(), json!(0)), "nothing changed");
    caller.put(&json!({"id": id, "status_id": 4, "inactive": true, "fields": [{"id": 51, "value": "t3"}]}));
    let after = read();
    assert_ne!(after["changeguid"], before["changeguid"]);
    assert_eq!(after["dlastupdate"], "2026-06-01T10:01:01.12");
    let rows = rows();
    let told: Vec<(&str, &str, &str)> = rows["changehistory"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["field_name"].as_str().unwrap(), row["old_value"].as_str().unwrap(), row["new_value"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("Name", "name of i-1", ""), ("Model", "", "t3"), ("Inactive", "false", "true"), ("Status", "1", "4")]);
    assert_eq!(rows["changehistory"][0]["who"], "dewpoint");
}

#[test]
fn what_is_retired_is_hidden_and_what_is_deleted_is_gone() {
    let sim = start();
    let caller = Caller::new(&sim);
    let [first, second] = [caller.put(&instance("i-1")), caller.put(&instance("i-2"))];
    sim.edit(|tenant| tenant.relate(first, second, 1));
    caller.put(&json!({"id": first, "inactive": true}));
    assert_eq!(ids(&caller.get("/api/Asset")["assets"]), [second]);
    assert_eq!(caller.get(&format!("/api/Asset/{first}"))["inactive"], true);
    assert_eq!(sim.relationships().len(), 1, "relationships persist");
    let target = format!("/api/Asset/{first}");
    assert_eq!(caller.status("DELETE", &target, &Value::Null), 200);
    assert_eq!([caller.status("GET", &target, &Value::Null), caller.status("DELETE", &target, &Value::Null)], [404, 404]);
    assert!(sim.relationships().is_empty());
    assert_eq!(sim.calls().iter().find(|call| call.operation == "asset_delete").unwrap().ids, [first]);
}

#[test]
fn what_people_do_is_seen() {
    let sim = start();
    let caller = Caller::new(&sim);
    let id = sim.edit(|tenant| tenant.insert(120, "srv-1", &[("Name", "by hand")]));
    let read = || caller.get(&format!("/api/Asset/{id}"));
    let before = read();
    sim.advance(SignedDuration::from_secs(60));
    sim.edit(|tenant| tenant.set(id, "name", "renamed"));
    let after = read();
    assert_eq!((before["key_field"].clone(), after["key_field"].clone()), (json!("by hand"), json!("renamed")));
    assert!(before["changeguid"] != after["changeguid"] && after["dlastupdate"] == "2026-06-01T10:01:00");
    let copy = sim.snapshot();
    sim.edit(|tenant| tenant.delete(id));
    assert_eq!(caller.status("GET", &format!("/api/Asset/{id}"), &Value::Null), 404);
    sim.restore(serde_json::from_value(serde_json::to_value(copy).unwrap()).unwrap());
    assert_eq!((read()["key_field"].clone(), sim.find("SRV-1").len()), (json!("renamed"), 1));
}

#[test]
fn custom_fields_are_a_thing_of_their_own() {
    let sim = start();
    let caller = Caller::new(&sim);
    let mut asset = instance("i-1");
    asset["customfields"] = json!([{"id": 214, "value": "4711"}]);
    let id = caller.put(&asset);
    assert_eq!(caller.get(&format!("/api/Asset/{id}?includedetails=true"))["customfields"][0]["value"], "4711");
    assert_eq!(caller.get("/api/Asset")["assets"][0].get("customfields"), None);
    assert_eq!(caller.get("/api/Asset?include_custom_fields=214")["assets"][0]["customfields"][0]["name"], "CFCostCentre");
    assert_eq!(ids(&caller.get("/api/FieldInfo?typeid=5")), [214]);
    assert_eq!(caller.get("/api/FieldInfo?typeid=1"), json!([]));
}
