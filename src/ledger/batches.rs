//! Batches: what is noted before changes are sent, and what their answers make of the rows.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::codec::json;
use super::keys;
use super::leases;
use super::observed::write_journal;
use super::records;
use super::session::{Columns, Database, Session, Type, cells, row, write_rows};
use super::{Answer, InFlight, InFlightId, Lease, LedgerError, RunId};
use crate::estate::{Fence, FieldChange, JournalEntry, JournalKind};
use crate::model::{EdgeId, Key, TargetName};
use crate::plan::{Change, ChangeKind, DeliveryState, RecordBrief, RecordEdge, Refusal, Tally};

const TALLY: Columns = &[
    ("target", Type::Text),
    ("change", Type::Text),
    ("change_id", Type::Bytes),
    ("kind", Type::Text),
    ("account", Type::Text),
    ("at", Type::Int),
];

pub(super) async fn begin(
    db: &dyn Database,
    lease: &Lease,
    run: &RunId,
    changes: &[Change],
    tallies: &[Tally],
    at: Timestamp,
) -> Result<Vec<InFlightId>, LedgerError> {
    let mut session = db.write().await?;
    let write = &mut *session;
    leases::hold(write, lease).await?;

    let insert = "INSERT INTO in_flight (target, run, at, size, whole, changes) VALUES ($1, $2, $3, $4, 1, $5) RETURNING id";
    let size = i64::try_from(changes.len()).unwrap_or(i64::MAX);
    let mut batch = None;
    write
        .each("note a batch", insert, cells![lease.target.as_str(), run.0.as_str(), at, size, json(changes)?], &mut |row| {
            batch = Some(row.int()?);
            Ok(())
        })
        .await?;
    let batch = batch.ok_or_else(|| LedgerError::Corrupt { what: "batch", text: "it got no number".to_owned() })?;

    // A batch that is sent again after a crash counts once: the change has the same id. The newer time stays counted longer.
    let upsert = "INSERT INTO tally (target, change, change_id, kind, account, at) \
         SELECT target, change, change_id, kind, account, at FROM input WHERE true ON CONFLICT (target, change, change_id) DO UPDATE SET \
         at = CASE WHEN excluded.at > tally.at THEN excluded.at ELSE tally.at END";
    let unique: BTreeMap<_, &Tally> = tallies.iter().map(|tally| ((tally.change, tally.id), tally)).collect();
    let rows = unique.into_values().map(|tally| {
        Ok(row![lease.target.as_str(), tally.change.as_str(), tally.id, tally.kind.as_str(), tally.account.as_str(), tally.at])
    });
    write_rows(write, "count changes", upsert, TALLY, rows).await?;
    // Noted before it is sent: a record with this time that the answer never told of is no sign of an old ledger.
    note_delivery(write, &lease.target, at).await?;
    session.commit().await?;
    Ok((0..changes.len()).map(|place| InFlightId { batch, place }).collect())
}

pub(super) async fn in_flight(db: &dyn Database, target: &TargetName) -> Result<Vec<InFlight>, LedgerError> {
    let read = &mut *db.read().await?;
    let mut found = Vec::new();
    let select = "SELECT id, run, changes FROM in_flight WHERE target = $1 ORDER BY id";
    read.each("read what is in flight", select, cells![target.as_str()], &mut |row| {
        let (batch, run) = (row.int()?, RunId(row.text()?.to_owned()));
        let changes: Vec<Option<Change>> = row.json()?;
        let left = changes.into_iter().enumerate().filter_map(|(place, change)| Some((place, change?)));
        found.extend(left.map(|(place, change)| InFlight { id: InFlightId { batch, place }, run: run.clone(), change }));
        Ok(())
    })
    .await?;
    Ok(found)
}

pub(super) async fn finish(
    db: &dyn Database,
    lease: &Lease,
    run: &RunId,
    answers: &[(InFlight, Answer)],
    at: Timestamp,
) -> Result<(), LedgerError> {
    let mut session = db.write().await?;
    let write = &mut *session;
    leases::hold(write, lease).await?;
    let target = &lease.target;

    let changes = || answers.iter().map(|(sent, _)| &sent.change);
    let touched: BTreeSet<Key> = changes().filter(|change| change.relation.is_none()).map(|change| change.key.clone()).collect();
    let related: BTreeSet<EdgeId> = changes().filter_map(|change| change.relation.clone()).collect();
    let mut named: BTreeSet<Key> = changes().map(|change| change.key.clone()).collect();
    named.extend(related.iter().flat_map(|edge| [edge.from.clone(), edge.to.clone()]));
    let ids = keys::number(write, &named).await?;

    let mut by_id = BTreeMap::new();
    for key in touched {
        by_id.insert(ids.of(&key)?, key);
    }
    let mut outcome = Outcomes {
        at,
        records: records::briefs(write, target, &by_id).await?,
        edges: records::edges(write, target, &ids, &related).await?.into_iter().map(|(id, edge)| (id, Some(edge))).collect(),
        ..Outcomes::default()
    };
    for (sent, answer) in answers {
        outcome.take(target, &sent.change, answer);
    }

    records::remove_edges_of(write, target, &ids, &outcome.ended).await?;
    records::remove_fields(write, target, &ids, &outcome.purged).await?;
    records::write_briefs(write, target, &ids, outcome.records.iter()).await?;
    records::write_edges(write, target, &ids, &outcome.edges).await?;
    let entries: Vec<JournalEntry> = outcome.journal.into_values().collect();
    write_journal(write, Some(run), &ids, &entries).await?;
    remove_in_flight(write, answers).await?;
    session.commit().await
}

pub(super) async fn note_delivery(session: &mut dyn Session, target: &TargetName, at: Timestamp) -> Result<(), LedgerError> {
    let update = "UPDATE target SET delivered_at = $2 WHERE name = $1 AND (delivered_at IS NULL OR delivered_at < $2)";
    session.run("note the delivery", update, cells![target.as_str(), at]).await?;
    Ok(())
}

async fn remove_in_flight(session: &mut dyn Session, answers: &[(InFlight, Answer)]) -> Result<(), LedgerError> {
    let mut answered: BTreeMap<i64, BTreeSet<usize>> = BTreeMap::new();
    for (sent, _) in answers.iter().filter(|(_, answer)| !matches!(answer, Answer::Failed { answered: false, .. })) {
        answered.entry(sent.id.batch).or_default().insert(sent.id.place);
    }
    for (batch, places) in answered {
        let size = i64::try_from(places.len()).unwrap_or(i64::MAX);
        let delete = "DELETE FROM in_flight WHERE id = $1 AND whole = 1 AND size = $2";
        if session.run("clear a batch", delete, cells![batch, size]).await? == 0 {
            clear_some(session, batch, &places).await?;
        }
    }
    Ok(())
}

/// Clears those of a batch that were answered while others were not.
async fn clear_some(session: &mut dyn Session, batch: i64, places: &BTreeSet<usize>) -> Result<(), LedgerError> {
    let mut changes: Vec<Option<Box<RawValue>>> = Vec::new();
    let select = "SELECT changes FROM in_flight WHERE id = $1";
    session
        .each("read a batch", select, cells![batch], &mut |row| {
            changes = row.json()?;
            Ok(())
        })
        .await?;
    for (_, change) in changes.iter_mut().enumerate().filter(|(place, _)| places.contains(place)) {
        *change = None;
    }
    if changes.iter().all(Option::is_none) {
        session.run("clear a batch", "DELETE FROM in_flight WHERE id = $1", cells![batch]).await?;
    } else {
        let update = "UPDATE in_flight SET whole = 0, changes = $2 WHERE id = $1";
        session.run("clear a part of a batch", update, cells![batch, json(&changes)?]).await?;
    }
    Ok(())
}

/// What the answers of a batch make of a target's rows. Starts from the rows as they are.
#[derive(Default)]
struct Outcomes {
    at: Timestamp,
    records: BTreeMap<Key, RecordBrief>,
    /// `None` for edges that are gone.
    edges: BTreeMap<EdgeId, Option<RecordEdge>>,
    /// Keys whose edges go with their records.
    ended: Vec<Key>,
    /// Keys whose fields go.
    purged: Vec<Key>,
    /// One entry per key and kind of change.
    journal: BTreeMap<(Key, ChangeKind), JournalEntry>,
    delivered: bool,
}

impl Outcomes {
    fn take(&mut self, target: &TargetName, change: &Change, answer: &Answer) {
        match (&change.relation, answer) {
            (_, Answer::NotSent) => {}
            (Some(edge), Answer::Done { .. }) => self.edge_done(target, change, edge),
            (None, Answer::Done { .. }) => self.record_done(target, change, answer),
            (Some(edge), Answer::Unknown { .. }) => self.edge_unknown(change, edge),
            (None, Answer::Unknown { fields }) => {
                if let Some(row) = self.records.get_mut(&change.key) {
                    row.basis = None;
                    row.revision += 1;
                    row.fields.clone_from(fields);
                }
            }
            (relation, Answer::Failed { error, attempts, next_try_at, parked, .. }) => {
                let state = if *parked { DeliveryState::Parked } else { DeliveryState::Failed };
                let (attempts, next_try_at) = (*attempts, *next_try_at);
                let refusal = Some(Box::new(Refusal { change: change.id, attempts, next_try_at, error: error.clone() }));
                match relation {
                    Some(edge) => {
                        let row = self.edges.entry(edge.clone()).or_default().get_or_insert_with(new_edge);
                        (row.state, row.refusal) = (state, refusal);
                    }
                    None => {
                        let row = self.records.entry(change.key.clone()).or_insert_with(|| RecordBrief::unborn(change));
                        // What was removed is not there again because its successor was refused.
                        if row.state == DeliveryState::Purged {
                            *row = RecordBrief { revision: row.revision, ..RecordBrief::unborn(change) };
                        }
                        (row.state, row.refusal) = (state, refusal);
                    }
                }
            }
        }
    }

    fn record_done(&mut self, target: &TargetName, change: &Change, answer: &Answer) {
        let Answer::Done { record, class, fields, contributed } = answer else { return };
        let at = self.at;
        let row = self.records.entry(change.key.clone()).or_insert_with(|| RecordBrief::unborn(change));
        row.record = Some(record.clone());
        row.class.clone_from(class);
        row.revision += 1;
        row.delivered_at = Some(at);
        row.refusal = None;
        row.contributed = *contributed;
        row.carries = None;
        row.fields.clone_from(fields);
        match change.change {
            ChangeKind::Retire => {
                row.state = DeliveryState::Retired;
                row.retired_at = Some(at);
                row.basis = Some(change.basis);
                self.ended.push(change.key.clone());
            }
            ChangeKind::Purge => {
                row.state = DeliveryState::Purged;
                row.basis = None;
                row.fields = None;
                self.ended.push(change.key.clone());
                self.purged.push(change.key.clone());
            }
            ChangeKind::Adopt
            | ChangeKind::Create
            | ChangeKind::Revive
            | ChangeKind::Update
            | ChangeKind::Relate
            | ChangeKind::Unrelate => {
                row.state = DeliveryState::Delivered;
                row.created_at = row.created_at.or(Some(at));
                row.retired_at = None;
                row.basis = Some(change.basis);
            }
        }
        // A purged record that is created again is another record, with another birth.
        if change.change == ChangeKind::Create {
            row.created_at = Some(at);
        }
        self.delivered = true;
        let entry = self.note(target, change);
        // What a new record holds stands in the ledger twice already, as the resource and as the record's fields.
        if change.change != ChangeKind::Create {
            entry.fields.extend(change.fields.clone());
        }
    }

    fn edge_done(&mut self, target: &TargetName, change: &Change, edge: &EdgeId) {
        let row = self.edges.entry(edge.clone()).or_default();
        *row = match change.change {
            ChangeKind::Unrelate => None,
            _ => Some(RecordEdge::related(row.as_ref(), change.basis, self.at)),
        };
        self.delivered = true;
        let side = |pick: fn(&FieldChange) -> &Value| {
            let values = change.fields.iter().map(|(name, field)| (name.clone(), pick(field).clone()));
            Value::Object(values.collect::<Map<_, _>>())
        };
        let fields = match change.change {
            ChangeKind::Unrelate => FieldChange { from: side(|field| &field.from), to: Value::Null },
            _ => FieldChange { from: Value::Null, to: side(|field| &field.to) },
        };
        self.note(target, change).fields.insert(format!("{} {}", edge.relation, edge.to), fields);
    }

    /// An edge that may stand there or not: a row that counts as delivered, so that it is removed if it is not wanted, and that fits to
    /// nothing, so that it is sent if it is.
    fn edge_unknown(&mut self, change: &Change, edge: &EdgeId) {
        let row = self.edges.entry(edge.clone()).or_default();
        if change.change == ChangeKind::Unrelate && row.is_none() {
            return;
        }
        let row = row.get_or_insert_with(new_edge);
        row.state = DeliveryState::Pending;
        row.basis = None;
        row.revision += 1;
        if row.delivered_at.is_none() {
            (row.created_at, row.delivered_at) = (Some(self.at), Some(self.at));
        }
    }

    /// The journal entry that a change belongs to. Edges of one key share one: a cold sync has three edges for each record.
    fn note(&mut self, target: &TargetName, change: &Change) -> &mut JournalEntry {
        let entry = self.journal.entry((change.key.clone(), change.change)).or_insert_with(|| JournalEntry {
            entry: JournalKind::Delivered,
            key: change.key.clone(),
            at: self.at,
            fence: change.fence,
            cause: format!("target {target}: {}", change.change),
            fields: BTreeMap::new(),
        });
        entry.fence = Fence(entry.fence.0.max(change.fence.0));
        entry
    }
}

fn new_edge() -> RecordEdge {
    RecordEdge {
        basis: None,
        created_at: None,
        delivered_at: None,
        state: DeliveryState::Pending,
        revision: 0,
        refusal: None,
        missed: None,
    }
}
