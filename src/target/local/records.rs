//! The statements. Each works on a whole batch or page: its rows travel as one JSON text, which is several times quicker than a statement per row.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sqlx::sqlite::SqliteConnection;

use super::batch::{Batch, Fields, Row, row_id};
use crate::estate::EstateId;
use crate::model::{Attributes, Key, Kind, Provider, Region};
use crate::target::{End, FoundEdges, FoundRecord, Identity, Operation, RecordId, Subject, Write};

/// Records of one page of a full read.
const PAGE_ROWS: i64 = 1000;

/// Edges of one page, unless one record alone has more.
const PAGE_EDGES: i64 = 20_000;

/// A time as it is stored: of one width, so that the order of the texts is that of the times.
pub(super) fn stored(at: Timestamp) -> String {
    format!("{at:.9}")
}

type Columns =
    (i64, Option<String>, Option<String>, String, Option<String>, Option<String>, bool, Option<String>, Option<String>, Option<String>);

fn decoded<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn encoded<T: Serialize + ?Sized>(value: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

fn row((id, external_id, estate, class, kind, fields, retired, created_at, updated_at, delivered_at): Columns) -> Result<Row, sqlx::Error> {
    let fields = fields.as_deref().map(decoded::<Fields>).transpose()?;
    Ok(Row { id, external_id, estate, class, kind, fields, retired, created_at, updated_at, delivered_at })
}

/// The newest mark of a delivery.
pub(super) async fn newest_delivered_at(connection: &mut SqliteConnection) -> Result<Option<Timestamp>, sqlx::Error> {
    let newest: Option<String> =
        sqlx::query_scalar("SELECT max(delivered_at) FROM record WHERE estate IS NOT NULL").fetch_one(connection).await?;
    newest.map(|text| text.parse().map_err(|error: jiff::Error| sqlx::Error::Decode(error.into()))).transpose()
}

/// Records that carry an estate id, with their edges, from after row `after` on; with the row after which the next page starts.
pub(super) async fn page(connection: &mut SqliteConnection, after: i64) -> Result<(Vec<FoundRecord>, Option<i64>), sqlx::Error> {
    let rows: Vec<Found> = sqlx::query_as(
        "SELECT id, class, external_id, estate, delivered_at, retired, fields FROM record
         WHERE estate IS NOT NULL AND id > ?1 ORDER BY id LIMIT ?2",
    )
    .bind(after)
    .bind(PAGE_ROWS)
    .fetch_all(&mut *connection)
    .await?;
    let full = i64::try_from(rows.len()).is_ok_and(|count| count == PAGE_ROWS);
    let ids: Vec<i64> = rows.iter().map(|row| row.0).collect();
    let kept = fitting(connection, &ids).await?;
    let ids = ids.get(..kept).unwrap_or(&ids);
    let next = ids.last().copied().filter(|_| full || kept < rows.len());
    let mut edges = edges(connection, ids).await?;
    let mut page = Vec::with_capacity(kept);
    for row in rows.into_iter().take(kept) {
        let edges = edges.remove(&row.0).unwrap_or_default();
        page.push(FoundRecord { edges: Some(edges), ..found(row)? });
    }
    Ok((page, next))
}

/// How many of these records fit into a page with their edges; at least one.
async fn fitting(connection: &mut SqliteConnection, ids: &[i64]) -> Result<usize, sqlx::Error> {
    let counts: BTreeMap<i64, i64> =
        sqlx::query_as("SELECT from_id, count(*) FROM relation WHERE from_id IN (SELECT value FROM json_each(?1)) GROUP BY from_id")
            .bind(encoded(ids)?)
            .fetch_all(&mut *connection)
            .await?
            .into_iter()
            .collect();
    let mut total = 0;
    let fitting = ids.iter().take_while(|id| {
        total += counts.get(id).copied().unwrap_or_default();
        total <= PAGE_EDGES
    });
    Ok(fitting.count().max(1).min(ids.len()))
}

/// The edges between own records that start at these and that we delivered: what people drew has no entry in the history. Types that are
/// no words of ours are people's as well.
async fn edges(connection: &mut SqliteConnection, ids: &[i64]) -> Result<BTreeMap<i64, FoundEdges>, sqlx::Error> {
    let rows: Vec<(i64, String, String, String)> = sqlx::query_as(
        "SELECT relation.from_id, relation.type, record.external_id, relation.attributes
         FROM json_each(?1) AS page CROSS JOIN relation ON relation.from_id = page.value
         JOIN record ON record.id = relation.to_id AND record.estate IS NOT NULL
         WHERE EXISTS (
             SELECT 1 FROM history WHERE history.record_id = relation.from_id AND history.change = 'relate'
             AND history.relation_type = relation.type AND history.to_id = relation.to_id
         )",
    )
    .bind(encoded(ids)?)
    .fetch_all(connection)
    .await?;
    let mut edges: BTreeMap<i64, FoundEdges> = BTreeMap::new();
    for (from, relation, to, attributes) in rows {
        if let (Ok(relation), Ok(to)) = (relation.parse(), to.parse()) {
            edges.entry(from).or_default().insert((relation, to), Some(decoded(&attributes)?));
        }
    }
    Ok(edges)
}

/// A found record, after its place among the identities asked for.
type Hit = (i64, i64, String, Option<String>, Option<String>, Option<String>, bool, String);

type Found = (i64, String, Option<String>, Option<String>, Option<String>, bool, String);

fn found((id, class, external_id, estate, delivered_at, retired, fields): Found) -> Result<FoundRecord, sqlx::Error> {
    let fields: BTreeMap<String, Value> = decoded(&fields)?;
    Ok(FoundRecord {
        id: RecordId(id.to_string()),
        // People may write what they like into records of their own: a text that is no key of ours says that it is not ours.
        external_id: external_id.and_then(|text| text.parse().ok()),
        estate: estate.map(EstateId),
        delivered_at: delivered_at.and_then(|text| text.parse().ok()),
        subject: subject(&class, &fields),
        class,
        retired,
        fields,
        edges: None,
    })
}

/// Classes are the kinds' own words and fields the model's own names here, so that a record says all of its subject.
fn subject(class: &str, fields: &BTreeMap<String, Value>) -> Option<Subject> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    Some(Subject {
        kind: class.parse().ok()?,
        account: text("account")?.parse().ok()?,
        region: text("region")?.parse().ok()?,
        native_id: text("native_id")?.to_owned(),
        name: text("name").map(str::to_owned),
    })
}

/// Whether people's record with the native id of a resource may stand for it: it names no other kind and no other region.
fn may_stand_for(record: &FoundRecord, identity: &Identity) -> bool {
    let is_kind = record.class.parse::<Kind>().is_ok_and(|kind| kind != identity.kind);
    let region = record.fields.get("region").and_then(Value::as_str).filter(|region| !region.is_empty());
    let is_elsewhere =
        identity.region != Region::any() && region.is_some_and(|region| !region.eq_ignore_ascii_case(identity.region.as_str()));
    !is_kind && !is_elsewhere
}

/// For each identity the record with its key, and people's records with its native id in the same account or in none. Azure compares ids
/// without regard to case (Microsoft, "Naming rules and restrictions for Azure resources"), AWS does not.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    identities: &[Identity],
) -> Result<BTreeMap<Key, Vec<FoundRecord>>, sqlx::Error> {
    let folds = |one: &Identity| one.key.provider() == Provider::Azure;
    let asked: Vec<_> = identities.iter().map(|one| (one.key.as_str(), &one.native_id, one.account.as_str(), folds(one))).collect();
    let rows: Vec<Hit> = sqlx::query_as(
        "WITH asked AS MATERIALIZED (
             SELECT key AS place, value ->> 0 AS external_id, value ->> 1 AS native_id, value ->> 2 AS account,
                    value ->> 3 AS folds
             FROM json_each(?1)
         ), hit AS (
             SELECT place, id FROM asked CROSS JOIN record INDEXED BY record_external_id ON record.external_id = asked.external_id
             UNION
             SELECT place, id FROM asked CROSS JOIN record INDEXED BY record_stranger
                 ON record.estate IS NULL AND lower(record.native_id) = lower(asked.native_id)
                 AND (asked.folds OR record.native_id = asked.native_id)
                 AND (record.account IS NULL OR record.account = asked.account OR asked.account = '*'
                     OR (asked.folds AND lower(record.account) = lower(asked.account)))
         )
         SELECT place, id, class, external_id, estate, delivered_at, retired, fields FROM hit JOIN record USING (id) ORDER BY place, id",
    )
    .bind(encoded(&asked)?)
    .fetch_all(connection)
    .await?;

    let mut answers: BTreeMap<Key, Vec<FoundRecord>> = identities.iter().map(|one| (one.key.clone(), Vec::new())).collect();
    for (place, id, class, external_id, estate, delivered_at, retired, fields) in rows {
        let identity = usize::try_from(place).ok().and_then(|place| identities.get(place));
        if let Some((identity, answer)) = identity.and_then(|identity| Some((identity, answers.get_mut(&identity.key)?))) {
            let record = found((id, class, external_id, estate, delivered_at, retired, fields))?;
            let is_asked_for = record.external_id.as_ref() == Some(&identity.key) || may_stand_for(&record, identity);
            // The same identity may have been asked for twice.
            if is_asked_for && !answer.iter().any(|known| known.id == record.id) {
                answer.push(record);
            }
        }
    }
    Ok(answers)
}

/// Loads what the writes touch.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    writes: &[Write],
    estate: &EstateId,
    at: Timestamp,
) -> Result<Batch, sqlx::Error> {
    let mut ids = BTreeSet::new();
    let mut keys = BTreeSet::new();
    let mut ends = BTreeSet::new();
    let mut edges = BTreeSet::new();
    let mut spoken_of = Vec::new();
    for write in writes {
        match &write.operation {
            Operation::Create { .. } => {
                keys.insert(write.key.as_str());
            }
            Operation::Update { record, .. } => {
                ids.extend(row_id(&record.record));
                keys.insert(write.key.as_str());
            }
            Operation::Purge { record } => ids.extend(row_id(&record.record)),
            Operation::Relate { edge, from, to, .. } => {
                let id = |end: &End| end.standing().and_then(|end| row_id(&end.record));
                spoken_of.push((edge, id(from), id(to)));
            }
            Operation::Unrelate { edge, from, to, .. } => spoken_of.push((edge, row_id(&from.record), row_id(&to.record))),
        }
    }
    for (edge, from, to) in spoken_of {
        ends.extend(from);
        ends.extend(to);
        if let (Some(from), Some(to)) = (from, to) {
            edges.insert((from, edge.relation, to));
        }
    }

    let mut rows = Vec::new();
    if !ends.is_empty() {
        let found: Vec<Columns> = sqlx::query_as(
            "SELECT id, external_id, estate, class, kind, NULL, retired, created_at, updated_at, delivered_at
             FROM record WHERE id IN (SELECT value FROM json_each(?1))",
        )
        .bind(encoded(&ends)?)
        .fetch_all(&mut *connection)
        .await?;
        rows = found.into_iter().map(row).collect::<Result<_, _>>()?;
    }
    if !ids.is_empty() || !keys.is_empty() {
        let found: Vec<Columns> = sqlx::query_as(
            "SELECT id, external_id, estate, class, kind, fields, retired, created_at, updated_at, delivered_at FROM record
             WHERE id IN (
                 SELECT value FROM json_each(?1)
                 UNION
                 SELECT record.id FROM json_each(?2) AS asked CROSS JOIN record INDEXED BY record_external_id ON record.external_id = asked.value
             )",
        )
        .bind(encoded(&ids)?)
        .bind(encoded(&keys)?)
        .fetch_all(&mut *connection)
        .await?;
        // After the ends of edges: where a row is both, the one with its fields counts.
        for columns in found {
            rows.push(row(columns)?);
        }
    }

    let mut standing = BTreeMap::new();
    if !edges.is_empty() {
        let found: Vec<(i64, String, i64, String)> = sqlx::query_as(
            "SELECT from_id, relation.type, to_id, attributes FROM json_each(?1) AS asked CROSS JOIN relation
             ON from_id = asked.value ->> 0 AND relation.type = asked.value ->> 1 AND to_id = asked.value ->> 2",
        )
        .bind(encoded(&edges)?)
        .fetch_all(&mut *connection)
        .await?;
        for (from, relation, to, attributes) in found {
            let relation = relation.parse().map_err(|error: crate::model::UnknownWord| sqlx::Error::Decode(error.into()))?;
            standing.insert((from, relation, to), decoded::<Attributes>(&attributes)?);
        }
    }

    let last_id: Option<i64> =
        sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'record'").fetch_optional(&mut *connection).await?;
    Ok(Batch::new(estate.0.clone(), stored(at), rows, standing, last_id.unwrap_or_default()))
}

/// Writes what the batch changed.
pub(super) async fn write(connection: &mut SqliteConnection, batch: &Batch, at: Timestamp) -> Result<(), sqlx::Error> {
    let at = stored(at);
    if !batch.removed.is_empty() {
        sqlx::query("DELETE FROM record WHERE id IN (SELECT value FROM json_each(?1))")
            .bind(encoded(&batch.removed)?)
            .execute(&mut *connection)
            .await?;
    }
    let rows = |ids: &BTreeSet<i64>| encoded(&ids.iter().filter_map(|&id| batch.row(id)).collect::<Vec<_>>());
    if !batch.updated.is_empty() {
        sqlx::query(
            "UPDATE record SET
                 external_id = new.value ->> 'external_id', estate = new.value ->> 'estate', class = new.value ->> 'class',
                 kind = new.value ->> 'kind', fields = new.value -> 'fields', retired = new.value ->> 'retired',
                 updated_at = new.value ->> 'updated_at', delivered_at = new.value ->> 'delivered_at'
             FROM json_each(?1) AS new WHERE record.id = new.value ->> 'id'",
        )
        .bind(rows(&batch.updated)?)
        .execute(&mut *connection)
        .await?;
    }
    if !batch.inserted.is_empty() {
        sqlx::query(
            "INSERT INTO record (id, external_id, estate, class, kind, fields, retired, created_at, updated_at, delivered_at)
             SELECT value ->> 'id', value ->> 'external_id', value ->> 'estate', value ->> 'class', value ->> 'kind', value -> 'fields',
                    value ->> 'retired', value ->> 'created_at', value ->> 'updated_at', value ->> 'delivered_at'
             FROM json_each(?1)",
        )
        .bind(rows(&batch.inserted)?)
        .execute(&mut *connection)
        .await?;
    }
    if !batch.marked.is_empty() {
        sqlx::query("UPDATE record SET delivered_at = ?2 WHERE id IN (SELECT value FROM json_each(?1))")
            .bind(encoded(&batch.marked)?)
            .bind(&at)
            .execute(&mut *connection)
            .await?;
    }
    if !batch.severed.is_empty() {
        // Edges that people drew to records of their own are theirs.
        sqlx::query(
            "WITH severed AS MATERIALIZED (SELECT value AS id FROM json_each(?1))
             DELETE FROM relation WHERE (from_id, type, to_id) IN (
                 SELECT from_id, type, to_id FROM severed JOIN relation ON from_id = severed.id
                 JOIN record ON record.id = to_id AND record.estate IS NOT NULL
                 UNION ALL
                 SELECT from_id, type, to_id FROM severed JOIN relation ON to_id = severed.id
                 JOIN record ON record.id = from_id AND record.estate IS NOT NULL
             )",
        )
        .bind(encoded(&batch.severed)?)
        .execute(&mut *connection)
        .await?;
    }
    if !batch.unrelated.is_empty() {
        sqlx::query(
            "DELETE FROM relation WHERE (from_id, type, to_id) IN (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1))",
        )
        .bind(encoded(&batch.unrelated)?)
        .execute(&mut *connection)
        .await?;
    }
    if !batch.related.is_empty() {
        let edges: Vec<_> = batch.related.iter().map(|edge| (edge.0, edge.1, edge.2, batch.edge(edge))).collect();
        sqlx::query(
            "INSERT INTO relation (from_id, type, to_id, attributes)
             SELECT value ->> 0, value ->> 1, value ->> 2, value -> 3 FROM json_each(?1) WHERE true
             ON CONFLICT (from_id, type, to_id) DO UPDATE SET attributes = excluded.attributes",
        )
        .bind(encoded(&edges)?)
        .execute(&mut *connection)
        .await?;
    }
    if !batch.history.is_empty() {
        sqlx::query(
            "INSERT INTO history (at, record_id, change, fields, relation_type, to_id, external_id)
             SELECT ?2, value ->> 'record', value ->> 'change', value -> 'fields', value ->> 'type', value ->> 'to', value ->> 'external_id'
             FROM json_each(?1)",
        )
        .bind(encoded(&batch.history)?)
        .bind(&at)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
