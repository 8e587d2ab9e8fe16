//! Members of an asset that are stored as they are posted, and their defaults.

use serde_json::{Value, json};

use crate::{clock::UNSET, parts::Version, reply::ApiError, value::Members};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// With this default.
    Int(i64),
    Flag,
    Text,
    Date,
}

/// Name, kind, whether rows of lists have it, and whether only versions of 2026 do.
const STORED: [(&str, Kind, bool, bool); 19] = [
    ("aws_id", Kind::Text, true, false),
    ("business_owner_cab_id", Kind::Int(0), true, false),
    ("business_owner_id", Kind::Int(-99), true, false),
    ("contract_id", Kind::Int(0), true, false),
    ("criticality", Kind::Int(0), true, false),
    ("environment", Kind::Int(0), false, true),
    ("is_template", Kind::Flag, true, false),
    ("labour_warranty_end", Kind::Date, true, false),
    ("labour_warranty_start", Kind::Date, true, false),
    ("priority_id", Kind::Int(-1), true, false),
    ("sla_id", Kind::Int(-1), true, false),
    ("supplier_id", Kind::Int(0), true, false),
    ("supplier_reference", Kind::Text, false, false),
    ("technical_owner_cab_id", Kind::Int(0), true, false),
    ("technical_owner_id", Kind::Int(0), true, false),
    ("third_party_id", Kind::Int(0), true, false),
    ("warranty_end", Kind::Date, true, false),
    ("warranty_note", Kind::Text, false, false),
    ("warranty_start", Kind::Date, true, false),
];

fn default(kind: Kind) -> Value {
    match kind {
        Kind::Int(number) => json!(number),
        Kind::Flag => json!(false),
        Kind::Text => Value::Null,
        Kind::Date => json!(UNSET),
    }
}

/// Those that were posted, each with its value; a default is nothing.
pub(crate) fn posted(members: &Members<'_>, version: &Version) -> Result<Vec<(&'static str, Option<Value>)>, ApiError> {
    let mut found = Vec::new();
    for (name, kind, _, is_recent) in STORED {
        if !members.object.contains_key(name) || (is_recent && !version.is_recent()) {
            continue;
        }
        let value = match kind {
            Kind::Int(_) => members.int(name)?.map(|number| json!(number)),
            Kind::Flag => members.flag(name)?.map(|flag| json!(flag)),
            Kind::Text => members.text(name)?.filter(|text| !text.is_empty()).map(|text| json!(text)),
            Kind::Date => members.date(name)?.map(|date| json!(date)),
        };
        found.push((name, value.filter(|value| *value != default(kind))));
    }
    Ok(found)
}

/// Those that a row of a list has, or else a single asset.
pub(crate) fn shown(version: &Version, in_list: bool) -> impl Iterator<Item = (&'static str, Value)> {
    let is_recent = version.is_recent();
    STORED
        .into_iter()
        .filter(move |(_, _, listed, recent)| (*listed || !in_list) && (!*recent || is_recent))
        .map(|(name, kind, ..)| (name, default(kind)))
}
