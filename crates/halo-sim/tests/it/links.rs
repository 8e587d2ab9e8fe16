//! Relationships.

use dewpoint_halo_sim::{AddExisting, Relationship, RelationshipWrites, Restriction, Sim, Tenant};
use serde_json::{Value, json};

use crate::support::{Caller, ids, start_with};

/// Five instances, 501 to 505, and a server, 506.
fn tenant() -> Tenant {
    let mut tenant = Tenant::new();
    for number in 1..=5 {
        tenant.insert(130, &format!("i-{number}"), &[]);
    }
    tenant.insert(120, "srv-1", &[]);
    tenant
}

fn sim() -> Sim {
    start_with(tenant(), |_| {})
}

/// Parent, child, name.
fn pairs(sim: &Sim) -> Vec<(i64, i64, i64)> {
    sim.relationships().into_iter().map(|found| (found.parent, found.child, found.relationship_id)).collect()
}

fn post(sim: &Sim, body: &Value) -> u16 {
    Caller::new(sim).post(&json!([body])).status
}

#[test]
fn lists_add_edit_and_delete() {
    let sim = sim();
    assert_eq!(post(&sim, &json!({"id": 501, "add_child_assets": [{"id": 502, "relationship_id": 3}, {"id": "503"}]})), 201);
    assert_eq!(post(&sim, &json!({"id": 503, "add_parent_assets": [{"id": 502, "relationship_id": 1}]})), 201);
    assert_eq!(pairs(&sim), [(501, 502, 3), (501, 503, 0), (502, 503, 1)]);
    assert_eq!(
        post(&sim, &json!({"id": 501, "edit_child_assets": [{"id": 503, "relationship_id": 2}, {"id": 504, "relationship_id": 2}]})),
        201
    );
    assert_eq!(pairs(&sim), [(501, 502, 3), (501, 503, 2), (502, 503, 1)], "what is not there is not edited");
    let both =
        json!({"id": 501, "delete_child_assets": [{"id": 502}, {"id": 504}], "add_child_assets": [{"id": 502, "relationship_id": 4}]});
    assert_eq!(post(&sim, &both), 201);
    assert_eq!(pairs(&sim), [(501, 502, 4), (501, 503, 2), (502, 503, 1)]);
    assert_eq!(post(&sim, &json!({"id": 503, "delete_parent_assets": [{"id": 501}]})), 201);
    assert_eq!(pairs(&sim), [(501, 502, 4), (502, 503, 1)]);
    assert!(sim.unknown_properties().is_empty());
}

#[test]
fn both_ends_show_a_relationship() {
    let sim = sim();
    let caller = Caller::new(&sim);
    post(&sim, &json!({"id": 501, "add_child_assets": [{"id": 502, "relationship_id": 3}], "add_sibling_assets": [{"id": 503}]}));
    let first = caller.get("/api/Asset/501?includedetails=true");
    let second = caller.get("/api/Asset/502?includedetails=true");
    let third = caller.get("/api/Asset/503?includedetails=true");
    assert_eq!((ids(&first["child_assets"]), ids(&second["parent_assets"])), (vec![502], vec![501]));
    assert_eq!((ids(&first["sibling_assets"]), ids(&third["sibling_assets"])), (vec![503], vec![501]));
    let row = &first["child_assets"][0];
    assert_eq!((row["relationship_id"].clone(), row["parent_id"].clone(), row["child_id"].clone()), (json!(3), json!(501), json!(502)));
    assert_eq!((row["inventory_number"].clone(), row.get("fields")), (json!("i-2"), None));
    assert_eq!((third["parent_assets"].clone(), third["child_assets"].clone()), (json!([]), json!([])));
    post(&sim, &json!({"id": 503, "delete_sibling_assets": [{"id": 501}]}));
    assert_eq!(pairs(&sim), [(501, 502, 3)]);
}

#[test]
fn a_pair_has_one_relationship() {
    let sim = sim();
    let add = |name: i64| post(&sim, &json!({"id": 501, "add_child_assets": [{"id": 502, "relationship_id": name}]}));
    assert_eq!([add(3), add(4)], [201, 201]);
    assert_eq!(pairs(&sim), [(501, 502, 3)], "it keeps its name, without a word");
    sim.settings(|settings| settings.add_existing = AddExisting::Change);
    add(4);
    assert_eq!(pairs(&sim), [(501, 502, 4)]);
    post(&sim, &json!({"id": 502, "add_child_assets": [{"id": 501, "relationship_id": 3}]}));
    assert_eq!(pairs(&sim), [(501, 502, 4), (502, 501, 3)], "the other way round is another pair");
}

#[test]
fn what_cannot_be_related_is_refused() {
    let sim = sim();
    let add = |other: Value| post(&sim, &json!({"id": 501, "notes": "new", "add_child_assets": [other]}));
    assert_eq!(add(json!({"id": 501})), 400, "itself");
    assert_eq!(add(json!({"id": 999})), 400, "nothing");
    assert_eq!(add(json!({"relationship_id": 1})), 400, "nobody");
    assert_eq!(add(json!({"id": 502, "relationship_id": 77})), 400, "no name of a relationship");
    assert_eq!(add(json!(502)), 400, "elements are objects");
    assert!(pairs(&sim).is_empty() && sim.assets()[0].notes.is_empty(), "and nothing of the call is stored");
}

#[test]
fn types_restrict_what_is_above_what() {
    let mut tenant = tenant();
    tenant.restrictions.push(Restriction { upstream_type: 120, downstream_type: 130, relationship_id: 2 });
    let sim = start_with(tenant, |_| {});
    let add = |parent: i64, child: i64, name: i64| {
        post(&sim, &json!({"id": parent, "add_child_assets": [{"id": child, "relationship_id": name}]}))
    };
    assert_eq!([add(506, 501, 2), add(506, 502, 1), add(501, 502, 2)], [201, 400, 400]);
    let details = Caller::new(&sim).get("/api/AssetType/120?includedetails=true");
    assert_eq!(details["downstream_relationship_restrictions"][0]["downstream_type"], 130);
}

#[test]
fn older_versions_know_no_lists() {
    let sim = start_with(tenant().with_relationships(RelationshipWrites::Ignored), |_| {});
    let caller = Caller::new(&sim);
    assert_eq!(post(&sim, &json!({"id": 501, "add_child_assets": [{"id": 502}], "child_assets": [{"id": 503}]})), 201);
    assert!(pairs(&sim).is_empty());
    let knows =
        |caller: &Caller<'_>| caller.get("/api/swagger")["components"]["schemas"]["Device"]["properties"].get("add_child_assets").is_some();
    assert!(!knows(&caller));
    sim.edit(|tenant| *tenant = tenant.clone().with_relationships(RelationshipWrites::Replace));
    post(&sim, &json!({"id": 501, "child_assets": [{"id": 502, "relationship_id": 1}, {"id": 503}]}));
    post(&sim, &json!({"id": 504, "parent_assets": [{"id": 501}]}));
    assert_eq!(pairs(&sim), [(501, 502, 1), (501, 503, 0), (501, 504, 0)]);
    post(&sim, &json!({"id": 501, "notes": "no lists, no change"}));
    assert_eq!(pairs(&sim).len(), 3);
    post(&sim, &json!({"id": 501, "child_assets": [{"id": 503, "relationship_id": 2}]}));
    assert_eq!(pairs(&sim), [(501, 503, 2)], "what is not posted is gone");
    sim.edit(|tenant| *tenant = tenant.clone().with_relationships(RelationshipWrites::Lists));
    assert!(knows(&caller));
    post(&sim, &json!({"id": 501, "child_assets": []}));
    assert_eq!(pairs(&sim).len(), 1, "a version with lists does not read what it shows");
}

#[test]
fn an_asset_can_be_made_below_another() {
    let sim = sim();
    let caller = Caller::new(&sim);
    let made = caller.put(&json!({"assettype_id": 130, "site_id": 18, "parent_id": 501, "relationship_id": 2}));
    caller.put(&json!({"id": 505, "parent_id": 501}));
    assert_eq!(pairs(&sim), [(501, made, 2)], "when it is made only");
    assert_eq!(caller.post(&json!([{"assettype_id": 130, "site_id": 18, "parent_id": 999}])).status, 400);
}

#[test]
fn a_change_of_relationships_marks_the_asset() {
    let sim = sim();
    let caller = Caller::new(&sim);
    let mark = || caller.get("/api/Asset/501")["changeguid"].clone();
    let before = mark();
    post(&sim, &json!({"id": 501, "delete_child_assets": [{"id": 502}]}));
    assert_eq!(mark(), before);
    post(&sim, &json!({"id": 501, "add_child_assets": [{"id": 502}]}));
    assert_ne!(mark(), before);
}

#[test]
fn people_relate_past_all_rules() {
    let sim = sim();
    sim.edit(|tenant| {
        tenant.relate(501, 502, 77);
        tenant.relate(502, 503, 1);
        tenant.unrelate(502, 503);
    });
    assert_eq!(sim.relationships(), [Relationship { parent: 501, child: 502, relationship_id: 77, is_sibling: false }]);
}
