//! Keys and the numbers that stand for them in every other table.

use std::collections::{BTreeSet, HashMap};

use super::LedgerError;
use super::session::{Columns, ROWS_PER_STATEMENT, Session, Table, Type, row, write_rows};
use crate::model::{EdgeId, Key};

const KEY: Columns = &[("key", Type::Text)];
const NUMBERED_KEY: Columns = &[("ordinal", Type::Int), ("key", Type::Text)];

static KNOWN_KEY: Table = Table { name: "known_key", number: "id", columns: &[("id", Type::Int), ("key", Type::Text)] };

/// Numbers of keys.
pub(super) struct Ids(HashMap<Key, i64>);

impl Ids {
    /// The number of a key that was asked for.
    pub(super) fn of(&self, key: &Key) -> Result<i64, LedgerError> {
        self.0.get(key).copied().ok_or_else(|| LedgerError::Corrupt { what: "key", text: format!("`{key}` has no number") })
    }

    /// The same where there may be none.
    pub(super) fn find(&self, key: &Key) -> Option<i64> {
        self.0.get(key).copied()
    }

    /// Numbers of an edge's ends.
    pub(super) fn ends(&self, edge: &EdgeId) -> Result<(i64, i64), LedgerError> {
        Ok((self.of(&edge.from)?, self.of(&edge.to)?))
    }
}

/// Numbers of these keys; new ones get one. In key order, so that two writers cannot wait for each other.
pub(super) async fn number(session: &mut dyn Session, keys: &BTreeSet<Key>) -> Result<Ids, LedgerError> {
    let mut ids = look_up(session, keys).await?;
    let unknown: BTreeSet<Key> = keys.iter().filter(|key| !ids.0.contains_key(*key)).cloned().collect();
    if unknown.is_empty() {
        return Ok(ids);
    }
    const INSERT: &str = "INSERT INTO known_key (key) SELECT key FROM input WHERE true ON CONFLICT DO NOTHING";
    let rows = unknown.iter().map(|key| Ok(row![key.as_str()]));
    write_rows(session, "number keys", INSERT, KEY, rows).await?;
    ids.0.extend(look_up(session, &unknown).await?.0);
    Ok(ids)
}

/// Numbers of those among these keys that have one.
pub(super) async fn look_up(session: &mut dyn Session, keys: &BTreeSet<Key>) -> Result<Ids, LedgerError> {
    const SELECT: &str = "SELECT input.ordinal, known_key.id FROM input JOIN known_key ON known_key.key = input.key";
    let keys: Vec<&Key> = keys.iter().collect();
    let mut ids = HashMap::with_capacity(keys.len());
    for chunk in keys.chunks(ROWS_PER_STATEMENT) {
        let mut rows = Vec::with_capacity(chunk.len() * 2);
        for (ordinal, key) in (0_i64..).zip(chunk) {
            rows.extend(row![ordinal, key.as_str()]);
        }
        session
            .bulk_each("look up keys", SELECT, NUMBERED_KEY, rows, &mut |row| {
                let ordinal = row.int()?;
                let key = usize::try_from(ordinal).ok().and_then(|ordinal| chunk.get(ordinal));
                let key = key.ok_or_else(|| row.corrupt("an ordinal that was not asked for"))?;
                ids.insert((*key).clone(), row.int()?);
                Ok(())
            })
            .await?;
    }
    Ok(Ids(ids))
}

/// Every key with its number, in key order: an estate shares one allocation per key among all that name it.
pub(super) struct AllKeys {
    keys: Vec<Key>,
    ranks: HashMap<i64, usize>,
}

impl AllKeys {
    pub(super) async fn load(session: &mut dyn Session) -> Result<Self, LedgerError> {
        let mut numbered: Vec<(Key, i64)> = Vec::new();
        session
            .scan("load keys", &KNOWN_KEY, None, &mut |row| {
                let id = row.int()?;
                numbered.push((row.parse()?, id));
                Ok(())
            })
            .await?;
        numbered.sort_unstable();
        let ranks = numbered.iter().enumerate().map(|(rank, (_, id))| (*id, rank)).collect();
        Ok(Self { keys: numbered.into_iter().map(|(key, _)| key).collect(), ranks })
    }

    /// The place of a number's key in key order.
    pub(super) fn rank(&self, id: i64) -> Result<usize, LedgerError> {
        self.ranks.get(&id).copied().ok_or_else(|| LedgerError::Corrupt { what: "key", text: format!("number {id} stands for no key") })
    }

    /// The key at a place in key order.
    pub(super) fn at(&self, rank: usize) -> Result<Key, LedgerError> {
        let key = self.keys.get(rank).cloned();
        key.ok_or_else(|| LedgerError::Corrupt { what: "key", text: format!("no key at place {rank}") })
    }
}
