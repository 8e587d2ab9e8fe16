//! What is wrong with an answer on purpose.

use serde_json::{Value, json};

use crate::{fault::Effect, ids};

/// Fields that hold a value of an enumeration, wherever they stand.
const ENUMERATIONS: [&str; 13] = [
    "provisioningState",
    "osType",
    "caching",
    "createOption",
    "priority",
    "protocol",
    "access",
    "direction",
    "privateIPAllocationMethod",
    "publicIPAllocationMethod",
    "orchestrationMode",
    "diskState",
    "level",
];

/// A value that no client knows.
pub(crate) const NEW_VALUE: &str = "Rehydrating";

/// Changes the items of a page as a fault says.
pub(crate) fn spoil(items: &mut Vec<Value>, effect: Option<&Effect>) {
    if let Some(Effect::MissItem { id }) = effect {
        items.retain(|item| item.get("id").and_then(Value::as_str).is_none_or(|found| ids::fold(found) != ids::fold(id)));
    }
    let (Some(first), Some(effect)) = (items.first_mut(), effect) else { return };
    match effect {
        Effect::NewEnumValue => new_values(first),
        Effect::NullObjects => nulls(first),
        Effect::NoLocation => remove(first, "location"),
        Effect::NoId => remove(first, "id"),
        Effect::TextItem => *first = json!("an item that is no object"),
        _ => {}
    }
}

fn remove(item: &mut Value, name: &str) {
    if let Some(fields) = item.as_object_mut() {
        fields.remove(name);
    }
}

fn new_values(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                // The priority of a security rule is a number.
                if ENUMERATIONS.contains(&name.as_str()) && value.is_string() {
                    *value = json!(NEW_VALUE);
                } else {
                    new_values(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(new_values),
        _ => {}
    }
}

/// Objects and lists inside of the item's properties are null, and its tags.
fn nulls(item: &mut Value) {
    if let Some(tags) = item.get_mut("tags") {
        *tags = Value::Null;
    }
    let Some(properties) = item.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for value in properties.values_mut().filter(|value| value.is_object() || value.is_array()) {
        *value = Value::Null;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_spoilt_as_it_should_be() {
        let item =
            json!({"id": "/A", "location": "x", "tags": {}, "properties": {"osType": "Linux", "a": [{"protocol": "tcp", "priority": 1}]}});
        let spoilt = |effect: Effect| {
            let mut items = vec![item.clone(), item.clone()];
            spoil(&mut items, Some(&effect));
            items
        };
        let new = spoilt(Effect::NewEnumValue);
        assert_eq!(
            new.first().map(|item| &item["properties"]),
            Some(&json!({"osType": NEW_VALUE, "a": [{"protocol": NEW_VALUE, "priority": 1}]}))
        );
        assert_eq!(new.last(), Some(&item));
        let nulls = spoilt(Effect::NullObjects);
        assert_eq!(nulls.first(), Some(&json!({"id": "/A", "location": "x", "tags": null, "properties": {"osType": "Linux", "a": null}})));
        assert!(spoilt(Effect::MissItem { id: "/a".to_owned() }).is_empty());
    }
}
