//! Targets: their rows, records and edges.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::codec::{Reader, json};
use super::keys::{self, AllKeys, Ids};
use super::observed::{current_fence, write_journal};
use super::session::{Cell, Columns, Database, ROWS_PER_STATEMENT, Session, Table, Type, cells, row, write_rows};
use super::{Lease, LedgerError, Rows, TargetNews, TargetRow, Trouble};
use crate::estate::{EstateId, Fence, JournalEntry, JournalKind};
use crate::model::{Digest, EdgeId, Key, RelationType, TargetName};
use crate::plan::{DeliveryState, FieldState, Missed, RecordBrief, RecordEdge, Refusal, Tally, TargetState, Verdict};
use crate::target::RecordId;

/// Columns of `record` as [`read_brief`] reads them.
macro_rules! record_columns {
    () => {
        "record, class, kind, account, state, revision, basis, created_at, retired_at, delivered_at, beat_at, refused, attempts, next_try_at, error, contributed, carries"
    };
}

/// Columns of `record_edge` as [`read_edge`] reads them.
macro_rules! edge_columns {
    () => {
        "basis, created_at, delivered_at, state, revision, refused, attempts, next_try_at, error, missed"
    };
}

const RECORD: Columns = &[
    ("target", Type::Text),
    ("key_id", Type::Int),
    ("record", Type::Text),
    ("class", Type::Text),
    ("kind", Type::Text),
    ("account", Type::Text),
    ("state", Type::Text),
    ("revision", Type::Int),
    ("basis", Type::Bytes),
    ("created_at", Type::Int),
    ("retired_at", Type::Int),
    ("delivered_at", Type::Int),
    ("beat_at", Type::Int),
    ("refused", Type::Bytes),
    ("attempts", Type::Int),
    ("next_try_at", Type::Int),
    ("error", Type::Text),
    ("contributed", Type::Int),
    ("carries", Type::Text),
];
static RECORDS: Table = Table { name: "record", number: "key_id", columns: RECORD };
const UPSERT_RECORD: &str = concat!(
    "INSERT INTO record (target, key_id, ",
    record_columns!(),
    ") SELECT target, key_id, ",
    record_columns!(),
    " FROM input WHERE true ON CONFLICT (target, key_id) DO UPDATE SET record = excluded.record, class = excluded.class, \
     kind = excluded.kind, account = excluded.account, state = excluded.state, revision = excluded.revision, basis = excluded.basis, \
     created_at = excluded.created_at, retired_at = excluded.retired_at, delivered_at = excluded.delivered_at, \
     beat_at = excluded.beat_at, refused = excluded.refused, attempts = excluded.attempts, next_try_at = excluded.next_try_at, \
     error = excluded.error, contributed = excluded.contributed, carries = excluded.carries"
);

const SETTLED: Columns = &[("target", Type::Text), ("key_id", Type::Int), ("basis", Type::Bytes)];
const BEATEN: Columns = &[("target", Type::Text), ("key_id", Type::Int), ("beat_at", Type::Int)];
const RECORD_ID: Columns = &[("target", Type::Text), ("key_id", Type::Int)];
const FIELDS: Columns = &[("target", Type::Text), ("key_id", Type::Int), ("fields", Type::Text)];
const UPSERT_FIELDS: &str = "INSERT INTO record_fields (target, key_id, fields) SELECT target, key_id, fields FROM input WHERE true \
     ON CONFLICT (target, key_id) DO UPDATE SET fields = excluded.fields";

const EDGE_ID: Columns = &[("target", Type::Text), ("from_id", Type::Int), ("relation", Type::Text), ("to_id", Type::Int)];
const EDGE: Columns = &[
    ("target", Type::Text),
    ("from_id", Type::Int),
    ("relation", Type::Text),
    ("to_id", Type::Int),
    ("basis", Type::Bytes),
    ("created_at", Type::Int),
    ("delivered_at", Type::Int),
    ("state", Type::Text),
    ("revision", Type::Int),
    ("refused", Type::Bytes),
    ("attempts", Type::Int),
    ("next_try_at", Type::Int),
    ("error", Type::Text),
    ("missed", Type::Text),
];
static EDGES: Table = Table { name: "record_edge", number: "from_id", columns: EDGE };
const UPSERT_EDGE: &str = concat!(
    "INSERT INTO record_edge (target, from_id, relation, to_id, ",
    edge_columns!(),
    ") SELECT target, from_id, relation, to_id, ",
    edge_columns!(),
    " FROM input WHERE true ON CONFLICT (target, from_id, relation, to_id) DO UPDATE SET basis = excluded.basis, \
     created_at = excluded.created_at, delivered_at = excluded.delivered_at, state = excluded.state, revision = excluded.revision, \
     refused = excluded.refused, attempts = excluded.attempts, next_try_at = excluded.next_try_at, error = excluded.error, \
     missed = excluded.missed"
);

pub(super) async fn target_row(db: &dyn Database, target: &TargetName) -> Result<Option<TargetRow>, LedgerError> {
    let read = &mut *db.read().await?;
    let mut found = None;
    let select = "SELECT kind, address, instance, estate, paused, recover, delivered_at, verified_at, succeeded_at, met_at FROM target WHERE name = $1";
    read.each("read a target", select, cells![target.as_str()], &mut |row| {
        found = Some(TargetRow {
            kind: row.text()?.to_owned(),
            address: row.text()?.to_owned(),
            instance: row.opt_string()?,
            estate: row.opt_string()?.map(EstateId),
            paused: row.bool()?,
            recover: row.bool()?,
            delivered_at: row.opt_time()?,
            verified_at: row.opt_time()?,
            succeeded_at: row.opt_time()?,
            met_at: row.opt_time()?,
        });
        Ok(())
    })
    .await?;
    Ok(found)
}

pub(super) async fn note_target(
    db: &dyn Database,
    target: &TargetName,
    kind: &str,
    address: &str,
    news: &TargetNews,
) -> Result<(), LedgerError> {
    let mut write = db.write().await?;
    let insert = "INSERT INTO target (name, kind, address, paused, recover) VALUES ($1, $2, $3, 0, 0) ON CONFLICT (name) DO NOTHING";
    write.run("write a target", insert, cells![target.as_str(), kind, address]).await?;
    let name = target.as_str();
    let (update, cells) = match news {
        TargetNews::Paused(paused) => ("UPDATE target SET paused = $2 WHERE name = $1", cells![name, *paused]),
        TargetNews::Recover(recover) => ("UPDATE target SET recover = $2 WHERE name = $1", cells![name, *recover]),
        TargetNews::Address(address) => ("UPDATE target SET address = $2 WHERE name = $1", cells![name, address.as_str()]),
        TargetNews::Met { address, instance, estate, verified_at, at } => (
            "UPDATE target SET address = $2, instance = $3, estate = $4, verified_at = $5, met_at = $6 WHERE name = $1",
            cells![name, address.as_str(), instance.as_deref(), estate.as_ref().map(|estate| estate.0.as_str()), *verified_at, *at],
        ),
        TargetNews::Succeeded(at) => ("UPDATE target SET succeeded_at = $2 WHERE name = $1", cells![name, *at]),
    };
    write.run("write a target", update, cells).await?;
    write.commit().await
}

pub(super) async fn load_target(db: &dyn Database, target: &TargetName, tallies_since: Timestamp) -> Result<TargetState, LedgerError> {
    let read = &mut *db.read().await?;
    let mut state = TargetState {
        target: target.clone(),
        paused: false,
        records: BTreeMap::new(),
        edges: BTreeMap::new(),
        tallies: Vec::new(),
        verdicts: BTreeMap::new(),
    };
    read.each("read a target", "SELECT paused FROM target WHERE name = $1", cells![target.as_str()], &mut |row| {
        state.paused = row.bool()?;
        Ok(())
    })
    .await?;

    let keys = AllKeys::load(read).await?;
    let mut records: Vec<(usize, RecordBrief)> = Vec::new();
    read.scan("load records", &RECORDS, Some(target), &mut |row| {
        row.skip();
        records.push((keys.rank(row.int()?)?, read_brief(row)?));
        Ok(())
    })
    .await?;
    // Sorted by place first: comparing places is far cheaper than comparing keys, and the map takes a sorted list as it is.
    records.sort_unstable_by_key(|(rank, _)| *rank);
    state.records = records.into_iter().map(|(rank, brief)| Ok((keys.at(rank)?, brief))).collect::<Result<_, LedgerError>>()?;

    let mut edges: Vec<((usize, RelationType, usize), RecordEdge)> = Vec::new();
    read.scan("load a target's edges", &EDGES, Some(target), &mut |row| {
        row.skip();
        let from = keys.rank(row.int()?)?;
        let relation = row.parse()?;
        let to = keys.rank(row.int()?)?;
        edges.push(((from, relation, to), read_edge(row)?));
        Ok(())
    })
    .await?;
    edges.sort_unstable_by_key(|(id, _)| *id);
    state.edges = edges
        .into_iter()
        .map(|((from, relation, to), edge)| Ok((EdgeId { from: keys.at(from)?, relation, to: keys.at(to)? }, edge)))
        .collect::<Result<_, LedgerError>>()?;

    let select = "SELECT change, change_id, kind, account, at FROM tally WHERE target = $1 AND at > $2 ORDER BY at, change, change_id";
    read.each("load tallies", select, cells![target.as_str(), tallies_since], &mut |row| {
        let tally = Tally { change: row.parse()?, id: row.digest()?, kind: row.parse()?, account: row.parse()?, at: row.time()? };
        state.tallies.push(tally);
        Ok(())
    })
    .await?;

    let select = "SELECT change_id, verdict, fence, at FROM verdict WHERE target = $1";
    read.each("load verdicts", select, cells![target.as_str()], &mut |row| {
        let change = row.digest()?;
        let verdict = Verdict { change, target: target.clone(), verdict: row.parse()?, fence: Fence(row.int()?), at: row.time()? };
        state.verdicts.insert(change, verdict);
        Ok(())
    })
    .await?;
    Ok(state)
}

pub(super) async fn load_fields(
    db: &dyn Database,
    target: &TargetName,
    wanted: &[Key],
) -> Result<BTreeMap<Key, BTreeMap<String, FieldState>>, LedgerError> {
    let read = &mut *db.read().await?;
    let wanted: BTreeSet<Key> = wanted.iter().cloned().collect();
    let ids = keys::look_up(read, &wanted).await?;
    let mut by_id: BTreeMap<i64, Key> = BTreeMap::new();
    for key in wanted {
        if let Some(id) = ids.find(&key) {
            by_id.insert(id, key);
        }
    }
    let mut found = BTreeMap::new();
    let select = "SELECT key_id, fields FROM record_fields WHERE (target, key_id) IN (SELECT target, key_id FROM input)";
    let numbers: Vec<i64> = by_id.keys().copied().collect();
    for chunk in numbers.chunks(ROWS_PER_STATEMENT) {
        let rows = chunk.iter().flat_map(|id| row![target.as_str(), *id]).collect();
        read.bulk_each("load fields", select, RECORD_ID, rows, &mut |row| {
            let id = row.int()?;
            let key = by_id.get(&id).cloned().ok_or_else(|| row.corrupt("a number that was not asked for"))?;
            found.insert(key, row.json()?);
            Ok(())
        })
        .await?;
    }
    Ok(found)
}

pub(super) async fn records_of(db: &dyn Database, key: &Key) -> Result<BTreeMap<TargetName, RecordBrief>, LedgerError> {
    let read = &mut *db.read().await?;
    let mut found = BTreeMap::<TargetName, RecordBrief>::new();
    let select =
        concat!("SELECT target, ", record_columns!(), " FROM record WHERE key_id = (SELECT id FROM known_key WHERE known_key.key = $1)");
    read.each("read records", select, cells![key.as_str()], &mut |row| {
        found.insert(row.parse()?, read_brief(row)?);
        Ok(())
    })
    .await?;
    let select = "SELECT target, fields FROM record_fields WHERE key_id = (SELECT id FROM known_key WHERE known_key.key = $1)";
    read.each("read fields", select, cells![key.as_str()], &mut |row| {
        let target: TargetName = row.parse()?;
        if let Some(brief) = found.get_mut(&target) {
            brief.fields = Some(row.json()?);
        }
        Ok(())
    })
    .await?;
    Ok(found)
}

pub(super) async fn bind(db: &dyn Database, lease: &Lease, rows: &Rows, at: Timestamp) -> Result<(), LedgerError> {
    let mut session = db.write().await?;
    let write = &mut *session;
    super::leases::hold(write, lease).await?;
    let target = &lease.target;
    let mut named: BTreeSet<Key> = rows.bound.iter().map(|binding| binding.key.clone()).collect();
    named.extend(rows.settled.keys().chain(&rows.forgotten).cloned());
    named.extend(rows.moved.iter().flat_map(|(from, to)| [from.clone(), to.clone()]));
    named.extend(rows.forgotten_edges.iter().chain(rows.bound_edges.keys()).flat_map(|edge| [edge.from.clone(), edge.to.clone()]));
    let ids = keys::number(write, &named).await?;
    let fence = current_fence(write).await?;
    for (from, to) in &rows.moved {
        move_key(write, target, &ids, from, to).await?;
    }

    // A row without a record is one whose record a read proved gone: what stood there is forgotten with it.
    let gone: Vec<Key> = rows.bound.iter().filter(|binding| binding.row.record.is_none()).map(|binding| binding.key.clone()).collect();
    remove_edges_of(write, target, &ids, &gone).await?;
    remove_fields(write, target, &ids, &gone).await?;
    write_briefs(write, target, &ids, rows.bound.iter().map(|binding| (&binding.key, &binding.row))).await?;

    let update = "UPDATE record SET basis = input.basis, state = 'delivered', refused = NULL, attempts = 0, next_try_at = NULL, error = NULL \
         FROM input WHERE record.target = input.target AND record.key_id = input.key_id";
    let settling = rows.settled.iter().map(|(key, basis)| Ok(row![target.as_str(), ids.of(key)?, *basis]));
    write_rows(write, "settle records", update, SETTLED, settling).await?;

    remove_fields(write, target, &ids, &rows.forgotten).await?;
    let delete = "DELETE FROM record WHERE (target, key_id) IN (SELECT target, key_id FROM input)";
    let forgetting = rows.forgotten.iter().map(|key| Ok(row![target.as_str(), ids.of(key)?]));
    write_rows(write, "remove records", delete, RECORD_ID, forgetting).await?;
    let mut edges: BTreeMap<EdgeId, Option<RecordEdge>> = rows.forgotten_edges.iter().map(|edge| (edge.clone(), None)).collect();
    edges.extend(rows.bound_edges.iter().map(|(edge, row)| (edge.clone(), Some(row.clone()))));
    write_edges(write, target, &ids, &edges).await?;

    let cause = format!("target {target}: its record is gone");
    let entry = |key: &Key| JournalEntry {
        entry: JournalKind::Delivered,
        key: key.clone(),
        at,
        fence,
        cause: cause.clone(),
        fields: BTreeMap::new(),
    };
    let entries: Vec<JournalEntry> = gone.iter().map(entry).collect();
    write_journal(write, None, &ids, &entries).await?;
    if let Some(newest) = rows.newest_delivered_at {
        super::batches::note_delivery(write, target, newest).await?;
    }
    session.commit().await
}

pub(super) async fn note_beats(db: &dyn Database, lease: &Lease, beaten: &[Key], at: Timestamp) -> Result<(), LedgerError> {
    let mut session = db.write().await?;
    let write = &mut *session;
    super::leases::hold(write, lease).await?;
    let target = &lease.target;
    let ids = keys::look_up(write, &beaten.iter().cloned().collect()).await?;
    let update = "UPDATE record SET beat_at = input.beat_at FROM input WHERE record.target = input.target AND record.key_id = input.key_id";
    let rows = beaten.iter().filter_map(|key| ids.find(key)).map(|id| Ok(row![target.as_str(), id, at]));
    write_rows(write, "note a heartbeat", update, BEATEN, rows).await?;
    session.commit().await
}

async fn move_key(write: &mut dyn Session, target: &TargetName, ids: &Ids, from: &Key, to: &Key) -> Result<(), LedgerError> {
    let cells = || Ok::<_, LedgerError>(cells![target.as_str(), ids.of(from)?, ids.of(to)?]);
    let mut held = false;
    let select = "SELECT 1 FROM record WHERE target = $1 AND key_id = $2 AND key_id <> $3";
    write
        .each("move a record", select, cells()?, &mut |_| {
            held = true;
            Ok(())
        })
        .await?;
    if held {
        // What stands under the new key can only be a create that never succeeded: the record itself carries the old key still.
        for statement in [
            "DELETE FROM record WHERE target = $1 AND key_id = $3 AND key_id <> $2",
            "DELETE FROM record_fields WHERE target = $1 AND key_id = $3 AND key_id <> $2",
            "UPDATE record SET key_id = $3, revision = revision + 1, \
             carries = nullif(coalesce(carries, (SELECT known_key.key FROM known_key WHERE id = $2)), \
             (SELECT known_key.key FROM known_key WHERE id = $3)) WHERE target = $1 AND key_id = $2",
            "UPDATE record_fields SET key_id = $3 WHERE target = $1 AND key_id = $2",
        ] {
            write.run("move a record", statement, cells()?).await?;
        }
    }
    for statement in [
        concat!(
            "INSERT INTO record_edge (target, from_id, relation, to_id, ",
            edge_columns!(),
            ") SELECT target, $3, relation, to_id, ",
            edge_columns!(),
            " FROM record_edge WHERE target = $1 AND from_id = $2 AND from_id <> $3 ON CONFLICT DO NOTHING"
        ),
        "DELETE FROM record_edge WHERE target = $1 AND from_id = $2 AND from_id <> $3",
        concat!(
            "INSERT INTO record_edge (target, from_id, relation, to_id, ",
            edge_columns!(),
            ") SELECT target, from_id, relation, $3, ",
            edge_columns!(),
            " FROM record_edge WHERE target = $1 AND to_id = $2 AND to_id <> $3 ON CONFLICT DO NOTHING"
        ),
        "DELETE FROM record_edge WHERE target = $1 AND to_id = $2 AND to_id <> $3",
    ] {
        write.run("move edges", statement, cells()?).await?;
    }
    Ok(())
}

pub(super) async fn unpark(db: &dyn Database, target: Option<&TargetName>, wanted: &[Key]) -> Result<u64, LedgerError> {
    let mut session = db.write().await?;
    let write = &mut *session;
    let target = target.map(TargetName::as_str);
    let mut due = 0;
    if wanted.is_empty() {
        for update in [
            "UPDATE record SET state = 'failed', attempts = 0, next_try_at = NULL \
             WHERE state IN ('failed', 'parked') AND ($1 IS NULL OR target = $1)",
            "UPDATE record_edge SET state = 'failed', attempts = 0, next_try_at = NULL \
             WHERE state IN ('failed', 'parked') AND ($1 IS NULL OR target = $1)",
        ] {
            due += write.run("unpark", update, cells![target]).await?;
        }
    }
    for key in wanted {
        for update in [
            "UPDATE record SET state = 'failed', attempts = 0, next_try_at = NULL WHERE state IN ('failed', 'parked') \
             AND ($1 IS NULL OR target = $1) AND key_id = (SELECT id FROM known_key WHERE known_key.key = $2)",
            "UPDATE record_edge SET state = 'failed', attempts = 0, next_try_at = NULL WHERE state IN ('failed', 'parked') \
             AND ($1 IS NULL OR target = $1) AND from_id = (SELECT id FROM known_key WHERE known_key.key = $2)",
        ] {
            due += write.run("unpark", update, cells![target, key.as_str()]).await?;
        }
    }
    session.commit().await?;
    Ok(due)
}

pub(super) async fn troubles(db: &dyn Database) -> Result<Vec<Trouble>, LedgerError> {
    let read = &mut *db.read().await?;
    let mut found = Vec::new();
    let select = "SELECT target, known_key.key, state, error, attempts, next_try_at FROM record \
         JOIN known_key ON known_key.id = record.key_id WHERE state IN ('failed', 'parked') ORDER BY target, known_key.key";
    read.each("list failures", select, cells![], &mut |row| {
        found.push(read_trouble(row, |row| Ok((row.parse()?, None)))?);
        Ok(())
    })
    .await?;
    let select = "SELECT target, f.key, relation, t.key, state, error, attempts, next_try_at FROM record_edge \
         JOIN known_key f ON f.id = record_edge.from_id JOIN known_key t ON t.id = record_edge.to_id \
         WHERE state IN ('failed', 'parked') ORDER BY target, f.key, relation, t.key";
    read.each("list failed edges", select, cells![], &mut |row| {
        let trouble = read_trouble(row, |row| {
            let edge = EdgeId { from: row.parse()?, relation: row.parse()?, to: row.parse()? };
            Ok((edge.from.clone(), Some(edge)))
        });
        found.push(trouble?);
        Ok(())
    })
    .await?;
    Ok(found)
}

fn read_trouble(
    row: &mut Reader<'_>,
    read_what: impl FnOnce(&mut Reader<'_>) -> Result<(Key, Option<EdgeId>), LedgerError>,
) -> Result<Trouble, LedgerError> {
    let target = row.parse()?;
    let (key, relation) = read_what(row)?;
    Ok(Trouble { target, key, relation, state: row.parse()?, error: row.opt_string()?, attempts: row.u32()?, next_try_at: row.opt_time()? })
}

/// Rows of these keys at a target, without fields.
pub(super) async fn briefs(
    session: &mut dyn Session,
    target: &TargetName,
    ids: &BTreeMap<i64, Key>,
) -> Result<BTreeMap<Key, RecordBrief>, LedgerError> {
    let mut found = BTreeMap::new();
    let select = concat!("SELECT key_id, ", record_columns!(), " FROM record WHERE (target, key_id) IN (SELECT target, key_id FROM input)");
    let numbers: Vec<i64> = ids.keys().copied().collect();
    for chunk in numbers.chunks(ROWS_PER_STATEMENT) {
        let rows = chunk.iter().flat_map(|id| row![target.as_str(), *id]).collect();
        session
            .bulk_each("read records", select, RECORD_ID, rows, &mut |row| {
                let id = row.int()?;
                let key = ids.get(&id).cloned().ok_or_else(|| row.corrupt("a number that was not asked for"))?;
                found.insert(key, read_brief(row)?);
                Ok(())
            })
            .await?;
    }
    Ok(found)
}

/// Rows of these edges at a target.
pub(super) async fn edges(
    session: &mut dyn Session,
    target: &TargetName,
    ids: &Ids,
    wanted: &BTreeSet<EdgeId>,
) -> Result<BTreeMap<EdgeId, RecordEdge>, LedgerError> {
    const NUMBERED: Columns =
        &[("ordinal", Type::Int), ("target", Type::Text), ("from_id", Type::Int), ("relation", Type::Text), ("to_id", Type::Int)];
    let select = concat!(
        "SELECT input.ordinal, ",
        edge_columns!(),
        " FROM input JOIN record_edge e ON e.target = input.target AND e.from_id = input.from_id AND e.relation = input.relation \
         AND e.to_id = input.to_id"
    );
    let wanted: Vec<&EdgeId> = wanted.iter().collect();
    let mut found = BTreeMap::new();
    for chunk in wanted.chunks(ROWS_PER_STATEMENT) {
        let mut rows = Vec::with_capacity(chunk.len() * NUMBERED.len());
        for (ordinal, edge) in (0_i64..).zip(chunk) {
            let (from, to) = ids.ends(edge)?;
            rows.extend(row![ordinal, target.as_str(), from, edge.relation.as_str(), to]);
        }
        session
            .bulk_each("read edges", select, NUMBERED, rows, &mut |row| {
                let ordinal = row.int()?;
                let edge = usize::try_from(ordinal).ok().and_then(|ordinal| chunk.get(ordinal));
                let edge = edge.ok_or_else(|| row.corrupt("an ordinal that was not asked for"))?;
                found.insert((*edge).clone(), read_edge(row)?);
                Ok(())
            })
            .await?;
    }
    Ok(found)
}

/// Writes rows whole; fields only where they are given.
pub(super) async fn write_briefs<'a>(
    session: &mut dyn Session,
    target: &TargetName,
    ids: &Ids,
    briefs: impl Iterator<Item = (&'a Key, &'a RecordBrief)> + Clone + Send,
) -> Result<(), LedgerError> {
    let rows = briefs.clone().map(|(key, brief)| Ok(brief_row(target, ids.of(key)?, brief)));
    write_rows(session, "write records", UPSERT_RECORD, RECORD, rows).await?;
    let fielded = briefs.filter_map(|(key, brief)| Some((key, brief.fields.as_ref()?)));
    let rows = fielded.map(|(key, fields)| Ok(row![target.as_str(), ids.of(key)?, json(fields)?]));
    write_rows(session, "write fields", UPSERT_FIELDS, FIELDS, rows).await?;
    Ok(())
}

/// Writes edges (`Some`) and removes edges (`None`).
pub(super) async fn write_edges(
    session: &mut dyn Session,
    target: &TargetName,
    ids: &Ids,
    edges: &BTreeMap<EdgeId, Option<RecordEdge>>,
) -> Result<(), LedgerError> {
    let rows = edges.iter().filter_map(|(id, edge)| edge.as_ref().map(|edge| (id, edge))).map(|(id, edge)| {
        let (from, to) = ids.ends(id)?;
        let (refused, attempts, next_try_at, error) = refusal_cells(edge.refusal.as_deref());
        Ok(row![
            target.as_str(),
            from,
            id.relation.as_str(),
            to,
            edge.basis,
            edge.created_at,
            edge.delivered_at,
            edge.state.as_str(),
            edge.revision,
            refused,
            attempts,
            next_try_at,
            error,
            edge.missed.map(Missed::as_str)
        ])
    });
    write_rows(session, "write edges", UPSERT_EDGE, EDGE, rows).await?;
    let delete = "DELETE FROM record_edge WHERE (target, from_id, relation, to_id) IN (SELECT target, from_id, relation, to_id FROM input)";
    let rows = edges.iter().filter(|(_, edge)| edge.is_none()).map(|(id, _)| id).map(|id| {
        let (from, to) = ids.ends(id)?;
        Ok(row![target.as_str(), from, id.relation.as_str(), to])
    });
    write_rows(session, "remove edges", delete, EDGE_ID, rows).await?;
    Ok(())
}

/// Removes a target's edges that start or end at these keys.
pub(super) async fn remove_edges_of(session: &mut dyn Session, target: &TargetName, ids: &Ids, ends: &[Key]) -> Result<(), LedgerError> {
    for delete in [
        "DELETE FROM record_edge WHERE (target, from_id) IN (SELECT target, key_id FROM input)",
        "DELETE FROM record_edge WHERE (target, to_id) IN (SELECT target, key_id FROM input)",
    ] {
        let rows = ends.iter().map(|key| Ok(row![target.as_str(), ids.of(key)?]));
        write_rows(session, "remove edges", delete, RECORD_ID, rows).await?;
    }
    Ok(())
}

/// Removes the fields of these keys.
pub(super) async fn remove_fields(session: &mut dyn Session, target: &TargetName, ids: &Ids, keys: &[Key]) -> Result<(), LedgerError> {
    let delete = "DELETE FROM record_fields WHERE (target, key_id) IN (SELECT target, key_id FROM input)";
    let rows = keys.iter().map(|key| Ok(row![target.as_str(), ids.of(key)?]));
    write_rows(session, "remove fields", delete, RECORD_ID, rows).await?;
    Ok(())
}

fn refusal_cells(refusal: Option<&Refusal>) -> (Option<Digest>, u32, Option<Timestamp>, Option<&str>) {
    refusal.map_or((None, 0, None, None), |refusal| {
        (Some(refusal.change), refusal.attempts, refusal.next_try_at, Some(refusal.error.as_str()))
    })
}

fn read_refusal(row: &mut Reader<'_>) -> Result<Option<Box<Refusal>>, LedgerError> {
    let (refused, attempts, next_try_at, error) = (row.opt_digest()?, row.u32()?, row.opt_time()?, row.opt_text()?);
    Ok(refused.map(|change| Box::new(Refusal { change, attempts, next_try_at, error: error.unwrap_or_default().to_owned() })))
}

fn brief_row(target: &TargetName, id: i64, brief: &RecordBrief) -> [Cell; 19] {
    let (refused, attempts, next_try_at, error) = refusal_cells(brief.refusal.as_deref());
    row![
        target.as_str(),
        id,
        brief.record.as_ref().map(|record| record.0.as_str()),
        brief.class.as_str(),
        brief.kind.as_str(),
        brief.account.as_str(),
        brief.state.as_str(),
        brief.revision,
        brief.basis,
        brief.created_at,
        brief.retired_at,
        brief.delivered_at,
        brief.beat_at,
        refused,
        attempts,
        next_try_at,
        error,
        brief.contributed,
        brief.carries.as_ref().map(Key::as_str),
    ]
}

fn read_brief(row: &mut Reader<'_>) -> Result<RecordBrief, LedgerError> {
    Ok(RecordBrief {
        record: row.opt_string()?.map(RecordId),
        class: row.text()?.to_owned(),
        kind: row.parse()?,
        account: row.parse()?,
        state: row.parse()?,
        revision: row.int()?,
        basis: row.opt_digest()?,
        created_at: row.opt_time()?,
        retired_at: row.opt_time()?,
        delivered_at: row.opt_time()?,
        beat_at: row.opt_time()?,
        refusal: read_refusal(row)?,
        contributed: row.bool()?,
        carries: read_key(row)?,
        fields: None,
    })
}

fn read_key(row: &mut Reader<'_>) -> Result<Option<Key>, LedgerError> {
    let text = row.opt_string()?;
    text.map(|text| text.parse()).transpose().map_err(|error| row.corrupt(error))
}

fn read_edge(row: &mut Reader<'_>) -> Result<RecordEdge, LedgerError> {
    Ok(RecordEdge {
        basis: row.opt_digest()?,
        created_at: row.opt_time()?,
        delivered_at: row.opt_time()?,
        state: row.parse::<DeliveryState>()?,
        revision: row.int()?,
        refusal: read_refusal(row)?,
        missed: row.opt_parse()?,
    })
}
