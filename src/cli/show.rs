//! `dewpoint show` and `dewpoint history`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::output::{CommandError, plain};
use super::{App, ledger_error, resolve};
use crate::estate::{Disposition, FieldChange, JournalKind, Stage};
use crate::model::{Key, Kind, TargetName};
use crate::plan::{DeliveryState, RecordBrief};

#[derive(Serialize)]
struct ShowDocument {
    key: Key,
    kind: Kind,
    name: Option<String>,
    native_id: String,
    account: String,
    region: String,
    state: Option<String>,
    stage: Stage,
    disposition: Disposition,
    attributes: Map<String, Value>,
    tags: BTreeMap<String, String>,
    relations: Vec<Value>,
    created_at: Option<Timestamp>,
    first_seen: Timestamp,
    last_seen: Timestamp,
    targets: BTreeMap<TargetName, RecordDocument>,
}

#[derive(Serialize)]
struct RecordDocument {
    state: DeliveryState,
    record: Option<String>,
    class: String,
    delivered_at: Option<Timestamp>,
    error: Option<String>,
}

impl From<RecordBrief> for RecordDocument {
    fn from(row: RecordBrief) -> Self {
        Self { state: row.state, record: row.record.map(|id| id.0), class: row.class, delivered_at: row.delivered_at, error: row.error }
    }
}

#[derive(Serialize)]
struct HistoryDocument {
    key: Key,
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    at: Timestamp,
    cause: String,
    change: JournalKind,
    fields: BTreeMap<String, FieldChange>,
}

impl App {
    /// Shows one resource as the ledger knows it, with its records.
    pub(super) async fn show(&self, text: &str) -> Result<(), CommandError> {
        let (config, ledger) = self.reading().await?;
        let key = resolve(ledger.as_ref(), text).await?;
        let known = ledger
            .resource(&key)
            .await
            .map_err(ledger_error)?
            .ok_or_else(|| CommandError::usage(format!("nothing is known under `{text}`")))?;
        let edges = ledger.edges_of(&key).await.map_err(ledger_error)?;
        let records = ledger.records_of(&key).await.map_err(ledger_error)?;
        let held: Vec<TargetName> = ledger
            .holds()
            .await
            .map_err(ledger_error)?
            .into_iter()
            .filter(|hold| hold.changes.iter().any(|change| change.key == key && change.relation.is_none()))
            .map(|hold| hold.target)
            .collect();
        let mut targets: BTreeMap<TargetName, RecordDocument> = records.into_iter().map(|(target, row)| (target, row.into())).collect();
        for target in &config.targets {
            let state = if !target.include.contains(&known.resource.kind) || !wants_record(known.disposition) {
                DeliveryState::Excluded
            } else {
                DeliveryState::Pending
            };
            targets.entry(target.name.clone()).or_insert(RecordDocument {
                state,
                record: None,
                class: String::new(),
                delivered_at: None,
                error: None,
            });
        }
        for (name, record) in &mut targets {
            if held.contains(name) {
                record.state = DeliveryState::Held;
            }
        }
        let relations = edges
            .into_iter()
            .map(|(edge, known)| {
                let mut line = json!({ "type": edge.relation });
                let (end, other) = if edge.from == key { ("to", &edge.to) } else { ("from", &edge.from) };
                if let Some(fields) = line.as_object_mut() {
                    fields.insert(end.to_owned(), json!(other));
                    if !known.attributes.is_empty() {
                        fields.insert("attributes".to_owned(), json!(known.attributes));
                    }
                }
                line
            })
            .collect();
        let resource = known.resource;
        let document = ShowDocument {
            key,
            kind: resource.kind,
            name: resource.name,
            native_id: resource.native_id,
            account: resource.account.to_string(),
            region: resource.region.to_string(),
            state: resource.state,
            stage: known.stage,
            disposition: known.disposition,
            attributes: resource.attributes.into_iter().collect(),
            tags: resource.tags,
            relations,
            created_at: resource.created_at,
            first_seen: known.first_seen,
            last_seen: known.last_seen,
            targets,
        };
        self.output.answer(&document, || show_text(&document))
    }

    /// Tells what was seen, decided and delivered about one resource.
    pub(super) async fn history(&self, text: &str) -> Result<(), CommandError> {
        let (_, ledger) = self.reading().await?;
        let key = resolve(ledger.as_ref(), text).await?;
        let entries = ledger.history(&key).await.map_err(ledger_error)?;
        let entries = entries
            .into_iter()
            .map(|entry| Entry { at: entry.at, cause: entry.cause, change: entry.entry, fields: entry.fields })
            .collect();
        let document = HistoryDocument { key, entries };
        self.output.answer(&document, || history_text(&document))
    }
}

fn wants_record(disposition: Disposition) -> bool {
    disposition == Disposition::Record
}

fn show_text(document: &ShowDocument) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<18}{value}");
        }
    };
    line("key", document.key.as_str());
    line("kind", document.kind.as_str());
    line("name", document.name.as_deref().unwrap_or_default());
    line("native id", &document.native_id);
    line("account", &document.account);
    line("region", &document.region);
    line("state", document.state.as_deref().unwrap_or_default());
    line("stage", document.stage.as_str());
    line("disposition", document.disposition.as_str());
    line("created", &document.created_at.map(|at| at.to_string()).unwrap_or_default());
    line("first seen", &document.first_seen.to_string());
    line("last seen", &document.last_seen.to_string());
    section(&mut text, "attributes", document.attributes.iter().map(|(name, value)| format!("{name:<18}{}", plain(value))));
    section(&mut text, "tags", document.tags.iter().map(|(name, value)| format!("{name:<18}{value}")));
    section(&mut text, "relations", document.relations.iter().map(relation_line));
    section(
        &mut text,
        "targets",
        document.targets.iter().map(|(name, record)| {
            let id = record.record.as_deref().unwrap_or("no record");
            let at = record.delivered_at.map(|at| format!(", delivered {at}")).unwrap_or_default();
            let error = record.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
            format!("{:<18}{} ({id}{at}){error}", name.as_str(), record.state)
        }),
    );
    text
}

fn relation_line(line: &Value) -> String {
    let relation = line.get("type").and_then(Value::as_str).unwrap_or_default();
    let attributes = line.get("attributes").map(|attributes| format!("  {attributes}")).unwrap_or_default();
    match (line.get("to").and_then(Value::as_str), line.get("from").and_then(Value::as_str)) {
        (Some(to), _) => format!("{relation:<14} -> {to}{attributes}"),
        (None, from) => format!("{relation:<14} <- {}{attributes}", from.unwrap_or_default()),
    }
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_some() {
        let _ = writeln!(text, "\n{title}");
        for line in lines {
            let _ = writeln!(text, "  {line}");
        }
    }
}

fn history_text(document: &HistoryDocument) -> String {
    let mut text = format!("{}\n", document.key);
    for entry in &document.entries {
        let _ = writeln!(text, "\n{}  {}  {}", entry.at, entry.change, entry.cause);
        for (name, field) in &entry.fields {
            let _ = writeln!(text, "    {name}: {} -> {}", plain(&field.from), plain(&field.to));
        }
    }
    if document.entries.is_empty() {
        text.push_str("nothing is in the journal any more (see `journal_keep`)\n");
    }
    text
}
