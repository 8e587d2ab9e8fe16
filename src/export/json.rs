//! The inventory file.

use std::collections::BTreeMap;
use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{edges, exists, receipts, rows};
use crate::estate::{Estate, KnownEdge};
use crate::model::{Attributes, EdgeId, Key, Kind, Outcome, Provider, Receipt, RelationType, Scope};
use crate::source::file::SCHEMA_VERSION;

#[derive(Serialize)]
struct ReceiptRow<'a> {
    source: &'a str,
    provider: Provider,
    account: &'a str,
    region: &'a str,
    kind: Kind,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct RelationRow<'a> {
    #[serde(rename = "type")]
    relation: RelationType,
    from: &'a Key,
    to: &'a Key,
    attributes: &'a Attributes,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    derived: bool,
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

impl<'a> RelationRow<'a> {
    fn new(id: &'a EdgeId, edge: &'a KnownEdge) -> Self {
        let KnownEdge { attributes, derived, extra, fence: _ } = edge;
        Self { relation: id.relation, from: &id.from, to: &id.to, attributes, derived: *derived, extra }
    }
}

/// Writes the estate as an inventory file, entry by entry; `out` should be buffered. `taken_at` is the time of the export or of the last sync; it is data only.
///
/// # Errors
/// When `out` takes no more.
pub fn write_json(estate: &Estate, taken_at: Timestamp, mut out: impl Write) -> io::Result<()> {
    let receipts = receipts(estate);
    let rows = rows(estate, &receipts);

    write!(out, "{{\"schema_version\":{SCHEMA_VERSION},\"taken_at\":\"{taken_at}\",\n\"receipts\":[")?;
    entries(&mut out, receipts.iter().map(|(scope, receipt)| row(scope, receipt, &rows)))?;
    write!(out, "],\n\"resources\":[")?;
    entries(&mut out, estate.resources.values().filter(|known| exists(known)).map(|known| &known.resource))?;
    write!(out, "],\n\"relations\":[")?;
    entries(&mut out, edges(estate).map(|(id, edge)| RelationRow::new(id, edge)))?;
    writeln!(out, "]}}")?;
    out.flush()
}

fn row<'a>(scope: &'a Scope, receipt: &'a Receipt, rows: &BTreeMap<Scope, u64>) -> ReceiptRow<'a> {
    ReceiptRow {
        source: receipt.source.as_str(),
        provider: scope.provider,
        account: scope.account.as_str(),
        region: scope.region.as_str(),
        kind: scope.kind,
        outcome: receipt.outcome,
        count: receipt.is_complete().then(|| rows.get(scope).copied().unwrap_or(0)),
        error: receipt.error.as_deref(),
        extra: &receipt.extra,
    }
}

/// Writes each entry on a line of its own.
fn entries<T: Serialize>(out: &mut impl Write, entries: impl Iterator<Item = T>) -> io::Result<()> {
    let mut separator: &[u8] = b"\n";
    for entry in entries {
        out.write_all(separator)?;
        separator = b",\n";
        serde_json::to_writer(&mut *out, &entry)?;
    }
    out.write_all(b"\n")
}
