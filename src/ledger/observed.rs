//! The estate: resources, edges, scopes, and the journal.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::codec::{Reader, json};
use super::keys::{self, AllKeys};
use super::session::{Cell, Columns, Database, ROWS_PER_STATEMENT, Session, Table, Type, cells, row, write_rows};
use super::{Candidate, LedgerError, Loaded, OnEntry, RunId};
use crate::estate::{End, Estate, EstateId, Fence, JournalEntry, JournalKind, Known, KnownEdge, KnownScope, Settler, Stage};
use crate::model::{Digest, EdgeId, Key, Outcome, Provider, RelationType, Resource, Scope};

/// Columns of `resource` as [`read_known`] reads them.
macro_rules! known_columns {
    () => {
        "digest, fence, news_fence, first_seen, last_seen, missing, disposition, disposition_since, stage, stage_since, end_at, end_cause, \
         life_since, state_since, flag, recovered"
    };
}

const RESOURCE: Columns = &[
    ("key_id", Type::Int),
    ("digest", Type::Bytes),
    ("fence", Type::Int),
    ("news_fence", Type::Int),
    ("first_seen", Type::Int),
    ("last_seen", Type::Int),
    ("missing", Type::Int),
    ("disposition", Type::Text),
    ("disposition_since", Type::Int),
    ("stage", Type::Text),
    ("stage_since", Type::Int),
    ("end_at", Type::Int),
    ("end_cause", Type::Text),
    ("life_since", Type::Int),
    ("state_since", Type::Int),
    ("flag", Type::Text),
    ("recovered", Type::Int),
    // From here on what is written only, and the payload.
    ("kind", Type::Text),
    ("native_digest", Type::Bytes),
    ("name_digest", Type::Bytes),
    ("payload", Type::Text),
];

/// What [`load_estate`] reads of every row; the payload carries the rest.
static RESOURCES: Table = Table { name: "resource", number: "key_id", columns: RESOURCE.split_at(17).0 };
static RESOURCE_DIGESTS: Table = Table { name: "resource", number: "key_id", columns: RESOURCE.split_at(2).0 };

const UPSERT_RESOURCE: &str = concat!(
    "INSERT INTO resource (key_id, kind, native_digest, name_digest, ",
    known_columns!(),
    ", payload) SELECT key_id, kind, native_digest, name_digest, ",
    known_columns!(),
    ", payload FROM input WHERE true ON CONFLICT (key_id) DO UPDATE SET kind = excluded.kind, native_digest = excluded.native_digest, \
     name_digest = excluded.name_digest, digest = excluded.digest, fence = excluded.fence, news_fence = excluded.news_fence, first_seen = excluded.first_seen, \
     last_seen = excluded.last_seen, missing = excluded.missing, disposition = excluded.disposition, \
     disposition_since = excluded.disposition_since, stage = excluded.stage, stage_since = excluded.stage_since, \
     end_at = excluded.end_at, end_cause = excluded.end_cause, life_since = excluded.life_since, state_since = excluded.state_since, flag = excluded.flag, \
     recovered = excluded.recovered, payload = excluded.payload"
);

const KEY_ID: Columns = &[("key_id", Type::Int)];
const EDGE_ID: Columns = &[("from_id", Type::Int), ("relation", Type::Text), ("to_id", Type::Int)];
const EDGE: Columns = &[
    ("from_id", Type::Int),
    ("relation", Type::Text),
    ("to_id", Type::Int),
    ("attributes", Type::Text),
    ("derived", Type::Int),
    ("extra", Type::Text),
    ("fence", Type::Int),
];
static EDGES: Table = Table { name: "edge", number: "from_id", columns: EDGE };
const UPSERT_EDGE: &str = "INSERT INTO edge (from_id, relation, to_id, attributes, derived, extra, fence) \
     SELECT from_id, relation, to_id, attributes, derived, extra, fence FROM input WHERE true \
     ON CONFLICT (from_id, relation, to_id) DO UPDATE SET attributes = excluded.attributes, derived = excluded.derived, \
     extra = excluded.extra, fence = excluded.fence";

const SCOPE_ID: Columns = &[("provider", Type::Text), ("account", Type::Text), ("region", Type::Text), ("kind", Type::Text)];
const SCOPE: Columns = &[
    ("provider", Type::Text),
    ("account", Type::Text),
    ("region", Type::Text),
    ("kind", Type::Text),
    ("receipt", Type::Text),
    ("source", Type::Text),
    ("fence", Type::Int),
    ("at", Type::Int),
    ("complete_at", Type::Int),
    ("complete_fence", Type::Int),
    ("accepted", Type::Text),
    ("retire", Type::Int),
    ("emptied", Type::Int),
];
const UPSERT_SCOPE: &str = "INSERT INTO scope (provider, account, region, kind, receipt, source, fence, at, complete_at, complete_fence, accepted, retire, emptied) \
     SELECT provider, account, region, kind, receipt, source, fence, at, complete_at, complete_fence, accepted, retire, emptied FROM input WHERE true \
     ON CONFLICT (provider, account, region, kind) DO UPDATE SET receipt = excluded.receipt, source = excluded.source, \
     fence = excluded.fence, at = excluded.at, complete_at = excluded.complete_at, complete_fence = excluded.complete_fence, \
     accepted = excluded.accepted, retire = excluded.retire, emptied = excluded.emptied";

const JOURNAL: Columns = &[
    ("key_id", Type::Int),
    ("at", Type::Int),
    ("fence", Type::Int),
    ("run", Type::Text),
    ("entry", Type::Text),
    ("cause", Type::Text),
    ("fields", Type::Text),
];

pub(super) async fn estate_id(db: &dyn Database) -> Result<EstateId, LedgerError> {
    let mut found = None;
    let read = &mut *db.read().await?;
    read.each("read the estate id", "SELECT estate FROM meta", cells![], &mut |row| {
        found = Some(EstateId(row.text()?.to_owned()));
        Ok(())
    })
    .await?;
    found.ok_or_else(|| LedgerError::Corrupt { what: "estate id", text: "there is none".to_owned() })
}

pub(super) async fn draw_fence(db: &dyn Database) -> Result<Fence, LedgerError> {
    let mut write = db.write().await?;
    let fence = fence_from(&mut *write, "draw a fence", "UPDATE sequence SET fence = fence + 1 RETURNING fence").await?;
    write.commit().await?;
    Ok(fence)
}

pub(super) async fn current_fence(session: &mut dyn Session) -> Result<Fence, LedgerError> {
    fence_from(session, "read the fence", "SELECT fence FROM sequence").await
}

async fn fence_from(session: &mut dyn Session, operation: &'static str, sql: &'static str) -> Result<Fence, LedgerError> {
    let mut fence = None;
    session
        .each(operation, sql, cells![], &mut |row| {
            fence = Some(Fence(row.int()?));
            Ok(())
        })
        .await?;
    fence.ok_or_else(|| LedgerError::Corrupt { what: "sequence", text: "it has no row".to_owned() })
}

pub(super) async fn load_estate(db: &dyn Database, pulled: &BTreeMap<Key, Arc<Resource>>) -> Result<Loaded, LedgerError> {
    let read = &mut *db.read().await?;
    let mut version = 0;
    read.each("read the version", "SELECT version FROM meta", cells![], &mut |row| {
        version = row.int()?;
        Ok(())
    })
    .await?;
    let keys = AllKeys::load(read).await?;
    let scopes = load_scopes(read).await?;

    let mut payloads = load_payloads(read, &keys, pulled).await?;
    let mut settler = Settler::new(&scopes);
    let mut resources: Vec<(usize, Known)> = Vec::new();
    read.scan("load resources", &RESOURCES, None, &mut |row| {
        let rank = keys.rank(row.int()?)?;
        let resource = payloads.remove(&rank).ok_or_else(|| row.corrupt("a resource without its payload"))?;
        let mut known = read_known(row, resource)?;
        settler.settle(&mut known);
        resources.push((rank, known));
        Ok(())
    })
    .await?;
    resources.sort_unstable_by_key(|(rank, _)| *rank);

    let mut edges: Vec<((usize, RelationType, usize), KnownEdge)> = Vec::new();
    read.scan("load edges", &EDGES, None, &mut |row| {
        let from = keys.rank(row.int()?)?;
        let relation = row.parse()?;
        let to = keys.rank(row.int()?)?;
        edges.push(((from, relation, to), read_edge(row)?));
        Ok(())
    })
    .await?;
    edges.sort_unstable_by_key(|(id, _)| *id);

    let resources = resources.into_iter().map(|(_, known)| (known.resource.key.clone(), known)).collect();
    let edges = edges
        .into_iter()
        .map(|((from, relation, to), edge)| Ok((EdgeId { from: keys.at(from)?, relation, to: keys.at(to)? }, edge)))
        .collect::<Result<_, LedgerError>>()?;
    Ok(Loaded { estate: Estate { resources, edges, scopes, dirty: Default::default() }, version })
}

/// Every row's resource, by the place of its key.
async fn load_payloads(
    session: &mut dyn Session,
    keys: &AllKeys,
    pulled: &BTreeMap<Key, Arc<Resource>>,
) -> Result<HashMap<usize, Arc<Resource>>, LedgerError> {
    const SELECT: &str = "SELECT key_id, payload FROM resource WHERE key_id IN (SELECT key_id FROM input)";
    let mut payloads = HashMap::new();
    let mut unshared: Vec<i64> = Vec::new();
    session
        .scan("compare resources", &RESOURCE_DIGESTS, None, &mut |row| {
            let id = row.int()?;
            let (rank, known) = (keys.rank(id)?, row.digest()?);
            match pulled.get(&keys.at(rank)?).filter(|resource| resource.digest().is_ok_and(|digest| digest == known)) {
                Some(resource) => drop(payloads.insert(rank, Arc::clone(resource))),
                None => unshared.push(id),
            }
            Ok(())
        })
        .await?;
    for chunk in unshared.chunks(ROWS_PER_STATEMENT) {
        let rows = chunk.iter().map(|id| Cell::from(*id)).collect();
        session
            .bulk_each("load resources", SELECT, KEY_ID, rows, &mut |row| {
                let rank = keys.rank(row.int()?)?;
                let resource = Resource { key: keys.at(rank)?, ..row.json()? };
                payloads.insert(rank, Arc::new(resource));
                Ok(())
            })
            .await?;
    }
    Ok(payloads)
}

pub(super) async fn commit(db: &dyn Database, run: &RunId, expected_version: i64, estate: &Estate) -> Result<i64, LedgerError> {
    let mut session = db.write().await?;
    let write = &mut *session;
    // The row stays locked until the end, so that two commits from one version cannot both pass.
    let touched = write.run("commit", "UPDATE meta SET version = version + 1 WHERE version = $1", cells![expected_version]).await?;
    if touched == 0 {
        return Err(LedgerError::Conflict);
    }
    let dirty = &estate.dirty;
    let mut named: BTreeSet<Key> = dirty.resources.clone();
    named.extend(dirty.edges.iter().flat_map(|edge| [edge.from.clone(), edge.to.clone()]));
    named.extend(dirty.journal.iter().map(|entry| entry.key.clone()));
    let ids = keys::number(write, &named).await?;

    let rows =
        dirty.resources.iter().filter_map(|key| estate.resources.get_key_value(key)).map(|(key, known)| known_row(ids.of(key)?, known));
    write_rows(write, "write resources", UPSERT_RESOURCE, RESOURCE, rows).await?;
    let delete = "DELETE FROM resource WHERE key_id IN (SELECT key_id FROM input)";
    let rows = dirty.resources.iter().filter(|key| !estate.resources.contains_key(*key)).map(|key| Ok(row![ids.of(key)?]));
    write_rows(write, "remove resources", delete, KEY_ID, rows).await?;

    let rows = dirty.edges.iter().filter_map(|id| estate.edges.get_key_value(id)).map(|(id, edge)| {
        let (from, to) = ids.ends(id)?;
        let (attributes, extra) = (json(&edge.attributes)?, json(&edge.extra)?);
        Ok(row![from, id.relation.as_str(), to, attributes, edge.derived, extra, edge.fence.0])
    });
    write_rows(write, "write edges", UPSERT_EDGE, EDGE, rows).await?;
    let delete = "DELETE FROM edge WHERE (from_id, relation, to_id) IN (SELECT from_id, relation, to_id FROM input)";
    let rows = dirty.edges.iter().filter(|id| !estate.edges.contains_key(*id)).map(|id| {
        let (from, to) = ids.ends(id)?;
        Ok(row![from, id.relation.as_str(), to])
    });
    write_rows(write, "remove edges", delete, EDGE_ID, rows).await?;

    let rows = dirty.scopes.iter().filter_map(|scope| estate.scopes.get_key_value(scope)).map(|(scope, known)| scope_row(scope, known));
    write_rows(write, "write scopes", UPSERT_SCOPE, SCOPE, rows).await?;
    let delete = "DELETE FROM scope WHERE (provider, account, region, kind) IN (SELECT provider, account, region, kind FROM input)";
    let rows = dirty
        .scopes
        .iter()
        .filter(|scope| !estate.scopes.contains_key(*scope))
        .map(|scope| Ok(row![scope.provider.as_str(), scope.account.as_str(), scope.region.as_str(), scope.kind.as_str()]));
    write_rows(write, "remove scopes", delete, SCOPE_ID, rows).await?;

    write_journal(write, Some(run), &ids, &dirty.journal).await?;
    session.commit().await?;
    Ok(expected_version + 1)
}

/// Appends to the journal; `ids` knows every key in it.
pub(super) async fn write_journal(
    session: &mut dyn Session,
    run: Option<&RunId>,
    ids: &keys::Ids,
    entries: &[JournalEntry],
) -> Result<(), LedgerError> {
    // Rows of one statement get their numbers in the order of `input`; statements follow one another.
    let insert =
        "INSERT INTO journal (key_id, at, fence, run, entry, cause, fields) SELECT key_id, at, fence, run, entry, cause, fields FROM input";
    let rows = entries.iter().map(|entry| {
        let run = run.map(|run| run.0.as_str());
        let fields = json(&entry.fields)?;
        Ok(row![ids.of(&entry.key)?, entry.at, entry.fence.0, run, entry.entry.as_str(), entry.cause.as_str(), fields])
    });
    write_rows(session, "write the journal", insert, JOURNAL, rows).await?;
    Ok(())
}

pub(super) async fn resource(db: &dyn Database, key: &Key) -> Result<Option<Known>, LedgerError> {
    let read = &mut *db.read().await?;
    let mut found = None;
    let select =
        concat!("SELECT payload, ", known_columns!(), " FROM resource WHERE key_id = (SELECT id FROM known_key WHERE known_key.key = $1)");
    read.each("read a resource", select, cells![key.as_str()], &mut |row| {
        let resource: Resource = row.json()?;
        found = Some(read_known(row, Arc::new(resource))?);
        Ok(())
    })
    .await?;
    if let Some(known) = &mut found {
        let scopes = load_scopes(read).await?;
        Settler::new(&scopes).settle(known);
    }
    Ok(found)
}

pub(super) async fn edges_of(db: &dyn Database, key: &Key) -> Result<BTreeMap<EdgeId, KnownEdge>, LedgerError> {
    let read = &mut *db.read().await?;
    let mut found = BTreeMap::new();
    let select = "SELECT f.key, t.key, relation, attributes, derived, extra, fence FROM edge \
         JOIN known_key f ON f.id = edge.from_id JOIN known_key t ON t.id = edge.to_id \
         WHERE edge.from_id = (SELECT id FROM known_key WHERE key = $1) OR edge.to_id = (SELECT id FROM known_key WHERE key = $1)";
    read.each("read edges", select, cells![key.as_str()], &mut |row| {
        let (from, to) = (row.parse()?, row.parse()?);
        let id = EdgeId { from, relation: row.parse()?, to };
        found.insert(id, read_edge(row)?);
        Ok(())
    })
    .await?;
    Ok(found)
}

pub(super) async fn search(db: &dyn Database, text: &str, limit: u32) -> Result<Vec<Candidate>, LedgerError> {
    let read = &mut *db.read().await?;
    let mut found = Vec::new();
    let select = "SELECT known_key.key, resource.kind, resource.payload, resource.stage, resource.end_at \
         FROM resource JOIN known_key ON known_key.id = resource.key_id \
         WHERE resource.native_digest IN ($1, $2) OR resource.name_digest = $3 \
         OR resource.key_id = (SELECT id FROM known_key WHERE known_key.key = $4) \
         ORDER BY CASE WHEN resource.end_at IS NULL AND resource.stage NOT IN ('retired', 'purged') THEN 0 ELSE 1 END, known_key.key LIMIT $5";
    let key = text.parse::<Key>().map_or_else(|_| text.to_owned(), |key| key.as_str().to_owned());
    let cells = cells![exact_digest(text), folded_digest(text), exact_digest(text), key, limit];
    read.each("search", select, cells, &mut |row| {
        let (key, kind) = (row.parse()?, row.parse()?);
        let name = row.json::<Resource>()?.name;
        let stage: Stage = row.parse()?;
        let is_live = row.opt_time()?.is_none() && !matches!(stage, Stage::Retired | Stage::Purged);
        found.push(Candidate { key, kind, name, is_live });
        Ok(())
    })
    .await?;
    Ok(found)
}

pub(super) async fn history(db: &dyn Database, key: &Key) -> Result<Vec<JournalEntry>, LedgerError> {
    let read = &mut *db.read().await?;
    let mut entries = Vec::new();
    let select = "SELECT entry, at, fence, cause, fields FROM journal \
         WHERE key_id = (SELECT id FROM known_key WHERE known_key.key = $1) ORDER BY id";
    read.each("read the journal", select, cells![key.as_str()], &mut |row| {
        entries.push(JournalEntry {
            entry: row.parse()?,
            key: key.clone(),
            at: row.time()?,
            fence: Fence(row.int()?),
            cause: row.text()?.to_owned(),
            fields: row.json()?,
        });
        Ok(())
    })
    .await?;
    Ok(entries)
}

pub(super) async fn journal(db: &dyn Database, since: Timestamp, each: &mut OnEntry<'_>) -> Result<i64, LedgerError> {
    let read = &mut *db.read().await?;
    let mut version = 0;
    read.each("read the version", "SELECT version FROM meta", cells![], &mut |row| {
        version = row.int()?;
        Ok(())
    })
    .await?;
    // From the first entry of the runs that `books::reports` gives, whose entries may be dated earlier: those of an applied plan are as old as the
    // plan. By number from there on: clocks may step back.
    let select = "SELECT journal.run, journal.entry, known_key.key, journal.at, journal.fence, journal.cause, journal.fields \
         FROM journal JOIN known_key ON known_key.id = journal.key_id WHERE journal.id >= (SELECT earliest.id FROM journal earliest \
             WHERE EXISTS (SELECT 1 FROM run WHERE run.run = earliest.run AND run.id >= (SELECT min(id) FROM run WHERE started_at >= $1)) \
             ORDER BY earliest.id LIMIT 1) \
         AND journal.entry <> $2 ORDER BY journal.id";
    read.each("read the journal", select, cells![since, JournalKind::Delivered.as_str()], &mut |row| {
        let run = row.opt_string()?.map(RunId);
        each(
            run,
            JournalEntry {
                entry: row.parse()?,
                key: row.parse()?,
                at: row.time()?,
                fence: Fence(row.int()?),
                cause: row.text()?.to_owned(),
                fields: row.json()?,
            },
        );
        Ok(())
    })
    .await?;
    Ok(version)
}

pub(super) async fn retire_scopes(db: &dyn Database, scopes: &[Scope]) -> Result<(), LedgerError> {
    let mut session = db.write().await?;
    session.run("retire scopes", "UPDATE meta SET version = version + 1", cells![]).await?;
    let update = "UPDATE scope SET retire = 1 WHERE provider = $1 AND account = $2 AND region = $3 AND kind = $4";
    for scope in scopes {
        let cells = cells![scope.provider.as_str(), scope.account.as_str(), scope.region.as_str(), scope.kind.as_str()];
        session.run("retire scopes", update, cells).await?;
    }
    session.commit().await
}

pub(super) async fn accept_scopes(db: &dyn Database, scopes: &[(Scope, Option<Outcome>)]) -> Result<(), LedgerError> {
    let mut session = db.write().await?;
    // A run that loaded before now would write the scope's row back as it was: it has to load anew.
    session.run("accept scopes", "UPDATE meta SET version = version + 1", cells![]).await?;
    let update = "UPDATE scope SET accepted = $5 WHERE provider = $1 AND account = $2 AND region = $3 AND kind = $4";
    for (scope, outcome) in scopes {
        let accepted = outcome.map(Outcome::as_str);
        let cells = cells![scope.provider.as_str(), scope.account.as_str(), scope.region.as_str(), scope.kind.as_str(), accepted];
        session.run("accept scopes", update, cells).await?;
    }
    session.commit().await
}

async fn load_scopes(session: &mut dyn Session) -> Result<BTreeMap<Scope, KnownScope>, LedgerError> {
    let mut scopes = BTreeMap::new();
    let select = "SELECT provider, account, region, kind, receipt, source, fence, at, complete_at, complete_fence, accepted, retire, emptied FROM scope";
    session
        .each("load scopes", select, cells![], &mut |row| {
            let scope = Scope { provider: row.parse()?, account: row.parse()?, region: row.parse()?, kind: row.parse()? };
            let known = KnownScope {
                receipt: row.json()?,
                source: row.parse()?,
                fence: Fence(row.int()?),
                at: row.time()?,
                complete_at: row.opt_time()?,
                complete_fence: Fence(row.int()?),
                accepted: row.opt_parse()?,
                retire: row.bool()?,
                emptied: row.bool()?,
            };
            scopes.insert(scope, known);
            Ok(())
        })
        .await?;
    Ok(scopes)
}

fn scope_row(scope: &Scope, known: &KnownScope) -> Result<[Cell; 13], LedgerError> {
    Ok(row![
        scope.provider.as_str(),
        scope.account.as_str(),
        scope.region.as_str(),
        scope.kind.as_str(),
        json(&known.receipt)?,
        known.source.as_str(),
        known.fence.0,
        known.at,
        known.complete_at,
        known.complete_fence.0,
        known.accepted.map(Outcome::as_str),
        known.retire,
        known.emptied,
    ])
}

fn known_row(id: i64, known: &Known) -> Result<[Cell; 21], LedgerError> {
    let resource = &known.resource;
    let native = match resource.provider {
        Provider::Azure => folded_digest(&resource.native_id),
        Provider::Aws | Provider::Any => exact_digest(&resource.native_id),
    };
    Ok(row![
        id,
        known.digest,
        known.fence.0,
        known.news_fence.0,
        known.first_seen,
        known.last_seen,
        known.missing,
        known.disposition.as_str(),
        known.disposition_since,
        known.stage.as_str(),
        known.stage_since,
        known.end.as_ref().map(|end| end.at),
        known.end.as_ref().map(|end| end.cause.as_str()),
        known.life_since,
        known.state_since,
        known.flag.as_deref(),
        known.recovered,
        resource.kind.as_str(),
        native,
        resource.name.as_deref().map(exact_digest),
        json(&**resource)?,
    ])
}

fn read_known(row: &mut Reader<'_>, resource: Arc<Resource>) -> Result<Known, LedgerError> {
    let (digest, fence, news_fence) = (row.digest()?, Fence(row.int()?), Fence(row.int()?));
    let (first_seen, last_seen, missing) = (row.time()?, row.time()?, row.u32()?);
    let (disposition, disposition_since) = (row.parse()?, row.time()?);
    let (stage, stage_since) = (row.parse()?, row.time()?);
    let end = row.opt_time()?.zip(row.opt_parse()?).map(|(at, cause)| End { at, cause });
    let (life_since, state_since) = (row.time()?, row.time()?);
    let (flag, recovered) = (row.opt_string()?, row.bool()?);
    Ok(Known {
        resource,
        digest,
        fence,
        news_fence,
        first_seen,
        last_seen,
        missing,
        disposition,
        disposition_since,
        stage,
        stage_since,
        end,
        life_since,
        state_since,
        flag,
        recovered,
    })
}

fn read_edge(row: &mut Reader<'_>) -> Result<KnownEdge, LedgerError> {
    Ok(KnownEdge { attributes: row.json()?, derived: row.bool()?, extra: row.json()?, fence: Fence(row.int()?) })
}

/// What a native id or name is found by.
fn exact_digest(text: &str) -> Digest {
    Digest::of_parts([text.as_bytes()])
}

/// What an Azure id is found by, whatever its case. The mark keeps it apart from ids that are compared as they are.
fn folded_digest(text: &str) -> Digest {
    Digest::of_parts([b"azure".as_slice(), text.to_lowercase().as_bytes()])
}
