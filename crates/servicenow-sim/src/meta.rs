//! The CMDB Meta API: what a class looks like on this instance.

use serde_json::{Value, json};

use crate::{
    call::Call,
    reply::{ApiError, Reply},
};

/// Answers `GET /api/now/cmdb/meta/CLASS`.
pub(crate) fn answer(call: &Call<'_>, class: &str) -> Result<Reply, ApiError> {
    if !call.caller.has(&["itil"]) {
        return Err(ApiError::new(403, "Operation Failed", Some("ACL Exception: the user needs the role itil")));
    }
    let schema = &call.instance.schema;
    let table = schema.tables.get(class).filter(|_| schema.is_a(class, "cmdb"));
    let Some(table) = table else {
        return Err(ApiError::new(404, "No Record found", Some(&format!("Invalid class name {class}"))));
    };
    let children: Vec<&str> =
        schema.tables.iter().filter(|(_, child)| child.extends.as_deref() == Some(class)).map(|(name, _)| name.as_str()).collect();
    let attributes: Vec<Value> = schema
        .columns(class)
        .into_iter()
        .map(|(column, is_inherited)| {
            json!({
                "element": column.name,
                "label": column.label(),
                "type": column.kind,
                "max_length": column.max_length.to_string(),
                "is_mandatory": column.mandatory.to_string(),
                "is_read_only": column.read_only.to_string(),
                "is_inherited": is_inherited.to_string(),
                "is_display": column.display.to_string(),
                "default_value": column.default,
            })
        })
        .collect();
    let relations: Vec<Value> = schema
        .hosts
        .iter()
        .flat_map(|(guest, rules)| rules.iter().map(move |rule| (guest, rule)))
        .filter(|(guest, rule)| schema.is_a(class, guest) || schema.is_a(class, &rule.host))
        .map(|(guest, rule)| {
            let (parent, child) = if rule.host_is_parent { (&rule.host, guest) } else { (guest, &rule.host) };
            json!({"parent": parent, "child": child, "relation_type": rule.relation})
        })
        .collect();
    let rules = schema.rule(class).map(|(applies_to, rule)| {
        let identifiers: Vec<Value> = rule
            .entries
            .iter()
            .enumerate()
            .map(|(at, entry)| {
                json!({
                    "attributes": entry.join(","),
                    "table": applies_to,
                    "order": ((at + 1) * 100).to_string(),
                    "condition": "",
                    "referenced_field": "",
                    "exact_count_match": "false",
                    "allow_fallback": "false",
                    "allow_null_attribute": "false",
                    "active": "true",
                })
            })
            .collect();
        json!({
            "name": rule.name,
            "applies_to": applies_to,
            "is_independent": rule.independent.to_string(),
            "active": "true",
            "description": "",
            "identifiers": identifiers,
            "related_rules": [],
        })
    });
    let mut result = json!({
        "name": class,
        "label": table.label,
        "parent": table.extends.as_deref().unwrap_or_default(),
        "children": children,
        "is_extendable": "true",
        "icon": "",
        "icon_url": "",
        "attributes": attributes,
        "relationship_rules": relations,
    });
    if let (Some(rules), Some(result)) = (rules, result.as_object_mut()) {
        result.insert("identification_rules".to_owned(), rules);
    }
    Ok(Reply::result(result))
}
