//! What the published schemas name.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use serde_json::{Map, Value, json};

/// A property of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Property {
    name: &'static str,
    kind: &'static str,
    /// Older versions do not know it.
    is_recent: bool,
}

type Schemas = BTreeMap<&'static str, Vec<Property>>;

static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| parse(include_str!("properties.txt")));
/// By schema and name, whether older versions do not know it.
static KNOWN: LazyLock<HashMap<&'static str, HashMap<&'static str, bool>>> = LazyLock::new(|| {
    let named = |list: &[Property]| list.iter().map(|property| (property.name, property.is_recent)).collect();
    SCHEMAS.iter().map(|(schema, list)| (*schema, named(list))).collect()
});

fn parse(text: &'static str) -> Schemas {
    let mut schemas = Schemas::new();
    let mut current = "";
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            current = name;
            continue;
        }
        let mut words = line.split(' ');
        if let (Some(name), Some(kind)) = (words.next(), words.next()) {
            schemas.entry(current).or_default().push(Property { name, kind, is_recent: words.next().is_some() });
        }
    }
    schemas
}

/// Whether a schema has this property, for a version that is recent or not.
pub(crate) fn is_known(schema: &str, name: &str, recent: bool) -> bool {
    KNOWN.get(schema).and_then(|names| names.get(name)).is_some_and(|is_recent| recent || !is_recent)
}

/// The schemas as OpenAPI describes them.
pub(crate) fn described(recent: bool) -> Value {
    let mut schemas = Map::new();
    for (name, list) in SCHEMAS.iter() {
        let properties: Map<String, Value> = list
            .iter()
            .filter(|property| recent || !property.is_recent)
            .map(|property| (property.name.to_owned(), kind(property.kind)))
            .collect();
        schemas.insert((*name).to_owned(), json!({"type": "object", "properties": properties, "additionalProperties": false}));
    }
    Value::Object(schemas)
}

fn kind(text: &str) -> Value {
    match text {
        "int" => json!({"type": "integer", "format": "int32"}),
        "long" => json!({"type": "integer", "format": "int64"}),
        "double" => json!({"type": "number", "format": "double"}),
        "bool" => json!({"type": "boolean"}),
        "text" => json!({"type": "string", "nullable": true}),
        "date" => json!({"type": "string", "format": "date-time"}),
        "uuid" => json!({"type": "string", "format": "uuid"}),
        "any" => json!({"nullable": true}),
        list if list.starts_with('[') => {
            json!({"type": "array", "nullable": true, "items": kind(list.trim_start_matches('[').trim_end_matches(']'))})
        }
        schema => json!({"$ref": format!("#/components/schemas/{schema}")}),
    }
}
