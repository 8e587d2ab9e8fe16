//! `dewpoint show` and `dewpoint history`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::output::CommandError;
use super::{App, ledger_error, resolve, table};
use crate::config::TargetConfig;
use crate::estate::{Disposition, FieldChange, JournalKind, Stage};
use crate::ledger::Ledger;
use crate::lifecycle::{Policy, Verdicts};
use crate::model::{Key, Kind, TargetName};
use crate::plan::{self, DeliveryState, RecordBrief};
use crate::told;
use crate::words::plain;

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
    /// When what was refused is sent again at the earliest; not where it is parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_try_at: Option<Timestamp>,
}

impl From<RecordBrief> for RecordDocument {
    fn from(row: RecordBrief) -> Self {
        Self {
            state: row.state,
            record: row.record.map(|id| id.0),
            class: row.class,
            delivered_at: row.delivered_at,
            next_try_at: row.refusal.as_ref().and_then(|refusal| refusal.next_try_at),
            error: row.refusal.map(|refusal| refusal.error),
        }
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
        // What the rules set may decide it, and they may ask for the group: the estate is needed as a whole.
        let asks = |target: &&TargetConfig| target.include.when.is_some() && !targets.contains_key(&target.name);
        let verdicts = match config.targets.iter().find(asks) {
            Some(_) => {
                let policy = Policy { timers: config.lifecycle.defaults.clone(), rules: config.lifecycle.rules.clone() };
                policy.verdicts(&ledger.load_estate().await.map_err(ledger_error)?.estate, Timestamp::now())
            }
            None => Verdicts::default(),
        };
        for target in config.targets.iter().filter(|target| !targets.contains_key(&target.name)).collect::<Vec<_>>() {
            let is_taken = plan::takes(&target.include, &known, &config.ownership, &verdicts);
            let state = if !is_taken || !wants_record(known.disposition) { DeliveryState::Excluded } else { DeliveryState::Pending };
            targets.entry(target.name.clone()).or_insert(RecordDocument {
                state,
                record: None,
                class: String::new(),
                delivered_at: None,
                error: None,
                next_try_at: None,
            });
        }
        for (name, record) in &mut targets {
            if held.contains(name) {
                record.state = DeliveryState::Held;
            }
        }
        let names = match self.output.is_json() || self.output.verbose > 0 {
            true => BTreeMap::new(),
            false => names(ledger.as_ref(), edges.keys().map(|edge| if edge.from == key { &edge.to } else { &edge.from })).await?,
        };
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
        let resource = Arc::unwrap_or_clone(known.resource);
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
        self.output.answer(&document, || show_text(&document, &names))
    }

    /// Tells what was seen, decided and delivered about one resource.
    pub(super) async fn history(&self, text: &str) -> Result<(), CommandError> {
        let (_, ledger) = self.reading().await?;
        let key = resolve(ledger.as_ref(), text).await?;
        let entries = ledger.history(&key).await.map_err(ledger_error)?;
        let names = names(ledger.as_ref(), std::iter::once(&key)).await?;
        let name = names.get(&key).cloned().unwrap_or_default();
        let entries = entries
            .into_iter()
            .map(|entry| Entry { at: entry.at, cause: entry.cause, change: entry.entry, fields: entry.fields })
            .collect();
        let document = HistoryDocument { key, entries };
        self.output.answer(&document, || history_text(&document, &name, self.output.verbose > 0))
    }
}

/// Kind and name of each of these, where the ledger knows it.
async fn names(ledger: &dyn Ledger, keys: impl Iterator<Item = &Key>) -> Result<BTreeMap<Key, String>, CommandError> {
    let mut names = BTreeMap::new();
    for key in keys {
        if let Some(known) = ledger.resource(key).await.map_err(ledger_error)? {
            names.insert(key.clone(), format!("{} {}", known.resource.kind, told::name(known.resource.name.as_deref(), key)));
        }
    }
    Ok(names)
}

fn wants_record(disposition: Disposition) -> bool {
    disposition == Disposition::Record
}

fn show_text(document: &ShowDocument, names: &BTreeMap<Key, String>) -> String {
    let known = [
        ("key", document.key.to_string()),
        ("kind", document.kind.to_string()),
        ("name", document.name.clone().unwrap_or_default()),
        ("native id", document.native_id.clone()),
        ("account", document.account.clone()),
        ("region", document.region.clone()),
        ("state", document.state.clone().unwrap_or_default()),
        ("stage", document.stage.to_string()),
        ("disposition", document.disposition.to_string()),
        ("created", document.created_at.map(|at| told::time(at).to_string()).unwrap_or_default()),
        ("first seen", told::time(document.first_seen).to_string()),
        ("last seen", told::time(document.last_seen).to_string()),
    ];
    let lines = known.into_iter().filter(|(_, value)| !value.is_empty());
    let mut text = table(&lines.map(|(name, value)| vec![name.to_owned(), told::printable(&value).into_owned()]).collect::<Vec<_>>());
    let pair = |name: &str, value: String| vec![told::printable(name).into_owned(), value];
    section(&mut text, "attributes", &document.attributes.iter().map(|(name, value)| pair(name, plain(value))).collect::<Vec<_>>());
    section(
        &mut text,
        "tags",
        &document.tags.iter().map(|(name, value)| pair(name, told::printable(value).into_owned())).collect::<Vec<_>>(),
    );
    section(&mut text, "relations", &document.relations.iter().map(|line| relation_row(line, names)).collect::<Vec<_>>());
    section(
        &mut text,
        "targets",
        &document
            .targets
            .iter()
            .map(|(name, record)| {
                let id = record.record.as_deref().map_or_else(|| "no record".to_owned(), |id| format!("record {id}"));
                let at = record.delivered_at.map(|at| format!(", last written {}", told::time(at))).unwrap_or_default();
                let error = record.error.as_deref().map(|error| format!(": {}", told::printable(error))).unwrap_or_default();
                let again = record.next_try_at.map(|at| format!("; sent again from {} on", told::time(at))).unwrap_or_default();
                pair(name.as_str(), format!("{}, {id}{at}{error}{again}", record.state))
            })
            .collect::<Vec<_>>(),
    );
    text
}

/// Relation, direction, the other end by name, and what is known of the edge.
fn relation_row(line: &Value, names: &BTreeMap<Key, String>) -> Vec<String> {
    let part = |name: &str| line.get(name).and_then(Value::as_str);
    let (arrow, other) = match (part("to"), part("from")) {
        (Some(to), _) => ("->", to),
        (None, from) => ("<-", from.unwrap_or_default()),
    };
    let attributes: Vec<String> = line
        .get("attributes")
        .and_then(Value::as_object)
        .map(|attributes| attributes.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect())
        .unwrap_or_default();
    let other = names.get(other).cloned().unwrap_or_else(|| other.to_owned());
    vec![part("type").unwrap_or_default().to_owned(), arrow.to_owned(), other, attributes.join(", ")]
}

fn section(text: &mut String, title: &str, rows: &[Vec<String>]) {
    if !rows.is_empty() {
        let _ = writeln!(text, "\n{title}");
        for line in table(rows).lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
}

/// Lines of what happened at one time for one cause, unless `-v` asks for all: of a fleet that grows, each member is an entry of its own.
const FIELDS_LISTED: usize = 10;

fn history_text(document: &HistoryDocument, name: &str, verbose: bool) -> String {
    let mut text = format!("{name}\n{}\n", document.key);
    for entries in document.entries.chunk_by(|a, b| (a.at, a.change, &a.cause) == (b.at, b.change, &b.cause)) {
        let Some(first) = entries.first() else { continue };
        let _ = writeln!(text, "\n{}  {}: {}", told::time(first.at), first.change, told::printable(&first.cause));
        let count = entries.iter().map(|entry| entry.fields.len()).sum::<usize>();
        // The fields of one entry are never cut.
        let listed = if verbose || entries.len() == 1 { count } else { FIELDS_LISTED };
        for (name, field) in entries.iter().flat_map(|entry| &entry.fields).take(listed) {
            let name = told::printable(name);
            let _ = match (&field.from, &field.to) {
                (Value::Null, Value::Object(edge)) if edge.is_empty() => writeln!(text, "    {name}"),
                (Value::Null, to) => writeln!(text, "    {name}: {}", plain(to)),
                (from, to) => writeln!(text, "    {name}: {} → {}", plain(from), plain(to)),
            };
        }
        if count > listed {
            let _ = writeln!(text, "    … and {} more (`-v` shows all)", count - listed);
        }
    }
    if document.entries.is_empty() {
        text.push_str("nothing is in the journal any more (see `journal_keep`)\n");
    }
    text
}
