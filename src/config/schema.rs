//! The JSON Schema of the configuration, generated from [`super::raw`]: for editors, and for our own validator.

use std::sync::LazyLock;

use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::raw::RawConfig;

/// The schema as the validator reads it, with our own keywords (`x-…`).
pub(super) static WORKING: LazyLock<Value> =
    LazyLock::new(|| worked(SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<RawConfig>()));

/// A generated schema in the form that the validator reads.
pub(super) fn worked(schema: Schema) -> Value {
    let mut schema = schema.to_value();
    for_each_schema(&mut schema, &mut |schema| {
        drop_null(schema);
        unwrap_lines(schema);
    });
    schema
}

/// The JSON Schema (draft 2020-12) of the configuration file, with descriptions and defaults.
#[must_use]
pub fn schema() -> Value {
    let mut schema = WORKING.clone();
    for_each_schema(&mut schema, &mut |schema| {
        schema.retain(|keyword, value| {
            // `uint32` and its like are no formats of the standard; the range says the same.
            let foreign_format = keyword == "format" && value.as_str().is_some_and(|format| format.starts_with("uint"));
            !keyword.starts_with("x-") && !foreign_format
        });
    });
    schema
}

/// An optional key may be left out, but not be left empty: `null` is no value of it.
fn drop_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(branches)) = schema.get_mut("anyOf") {
        branches.retain(|branch| branch.get("type") != Some(&Value::from("null")));
        if let [Value::Object(only)] = branches.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            schema.extend(only);
        }
    }
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
}

/// Comments are broken into lines for the source's width; only empty lines between paragraphs are meant.
fn unwrap_lines(schema: &mut Map<String, Value>) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        let paragraphs: Vec<String> = description.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
        *description = paragraphs.join("\n\n");
    }
}

/// Calls `visit` for a schema and every schema in it.
fn for_each_schema(schema: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    let Value::Object(keywords) = schema else { return };
    visit(keywords);
    for (keyword, value) in keywords {
        match (keyword.as_str(), value) {
            ("properties" | "$defs", Value::Object(named)) => {
                for schema in named.values_mut() {
                    for_each_schema(schema, visit);
                }
            }
            ("oneOf" | "anyOf", Value::Array(schemas)) => {
                for schema in schemas {
                    for_each_schema(schema, visit);
                }
            }
            ("items" | "additionalProperties", schema) => for_each_schema(schema, visit),
            _ => {}
        }
    }
}
