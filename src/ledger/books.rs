//! What people said, what runs did, and what is forgotten in time.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::codec::json;
use super::session::{Columns, Database, Session, Type, cells, row, write_rows};
use super::{LedgerError, OnRun, Pruned, RunId, RunRow};
use crate::model::{Digest, Key, TargetName};
use crate::plan::{self, Hold, Verdict, VerdictKind};

const VERDICT: Columns =
    &[("target", Type::Text), ("change_id", Type::Bytes), ("verdict", Type::Text), ("fence", Type::Int), ("at", Type::Int)];

pub(super) async fn put_holds(db: &dyn Database, target: &TargetName, holds: &[Hold], at: Timestamp) -> Result<(), LedgerError> {
    let mut write = db.write().await?;
    write.run("replace holds", "DELETE FROM hold WHERE target = $1 AND rejected = 0", cells![target.as_str()]).await?;
    for hold in holds {
        let insert = "INSERT INTO hold (target, hold_id, at, body, rejected) VALUES ($1, $2, $3, $4, 0) \
             ON CONFLICT (target, hold_id) DO UPDATE SET at = excluded.at, body = excluded.body, rejected = 0";
        write.run("write a hold", insert, cells![target.as_str(), hold.id, at, json(hold)?]).await?;
    }
    write.commit().await
}

pub(super) async fn holds(db: &dyn Database) -> Result<Vec<Hold>, LedgerError> {
    read_holds(&mut *db.read().await?, "SELECT body FROM hold WHERE rejected = 0").await
}

pub(super) async fn rejected_holds(db: &dyn Database) -> Result<Vec<Hold>, LedgerError> {
    let read = &mut *db.read().await?;
    let mut found = read_holds(read, "SELECT body FROM hold WHERE rejected = 1").await?;
    let mut rejected: BTreeSet<(TargetName, Digest)> = BTreeSet::new();
    let select = "SELECT target, change_id FROM verdict WHERE verdict = 'rejected'";
    read.each("read rejections", select, cells![], &mut |row| {
        rejected.insert((row.parse()?, row.digest()?));
        Ok(())
    })
    .await?;
    for hold in &mut found {
        let target = hold.target.clone();
        hold.changes.retain(|change| rejected.contains(&(target.clone(), change.id)));
    }
    found.retain(|hold| !hold.changes.is_empty());
    Ok(found)
}

async fn read_holds(read: &mut dyn Session, select: &'static str) -> Result<Vec<Hold>, LedgerError> {
    let mut found: Vec<Hold> = Vec::new();
    read.each("read holds", select, cells![], &mut |row| {
        found.push(row.json()?);
        Ok(())
    })
    .await?;
    found.sort_by(|a, b| (&a.target, a.id).cmp(&(&b.target, b.id)));
    Ok(found)
}

pub(super) async fn retain_holds(db: &dyn Database, targets: &BTreeSet<TargetName>) -> Result<(), LedgerError> {
    let mut held: BTreeSet<TargetName> = BTreeSet::new();
    let read = &mut *db.read().await?;
    read.each("read holds", "SELECT DISTINCT target FROM hold", cells![], &mut |row| {
        held.insert(row.parse()?);
        Ok(())
    })
    .await?;
    let gone: Vec<&TargetName> = held.difference(targets).collect();
    if gone.is_empty() {
        return Ok(());
    }
    let mut write = db.write().await?;
    for target in gone {
        write.run("clear holds", "DELETE FROM hold WHERE target = $1", cells![target.as_str()]).await?;
    }
    write.commit().await
}

pub(super) async fn judge(db: &dyn Database, hold: &Hold, verdict: VerdictKind, at: Timestamp) -> Result<(), LedgerError> {
    let mut session = db.write().await?;
    write_verdicts(&mut *session, &hold.verdicts(verdict, at)).await?;
    let update = "UPDATE hold SET rejected = $3, at = $4 WHERE target = $1 AND hold_id = $2";
    session.run("judge a hold", update, cells![hold.target.as_str(), hold.id, verdict == VerdictKind::Rejected, at]).await?;
    session.commit().await
}

pub(super) async fn put_verdicts(db: &dyn Database, verdicts: &[Verdict]) -> Result<(), LedgerError> {
    let mut session = db.write().await?;
    write_verdicts(&mut *session, verdicts).await?;
    session.commit().await
}

async fn write_verdicts(session: &mut dyn Session, verdicts: &[Verdict]) -> Result<(), LedgerError> {
    let upsert = "INSERT INTO verdict (target, change_id, verdict, fence, at) SELECT target, change_id, verdict, fence, at FROM input \
         WHERE true ON CONFLICT (target, change_id) DO UPDATE SET verdict = excluded.verdict, fence = excluded.fence, at = excluded.at";
    let last: std::collections::BTreeMap<_, &Verdict> = verdicts.iter().map(|v| ((&v.target, v.change), v)).collect();
    let rows = last
        .into_values()
        .map(|verdict| Ok(row![verdict.target.as_str(), verdict.change, verdict.verdict.as_str(), verdict.fence.0, verdict.at]));
    write_rows(session, "write verdicts", upsert, VERDICT, rows).await
}

pub(super) async fn recorded(db: &dyn Database) -> Result<BTreeSet<Key>, LedgerError> {
    let read = &mut *db.read().await?;
    let mut found = BTreeSet::new();
    let select = "SELECT DISTINCT known_key.key FROM record JOIN known_key ON known_key.id = record.key_id WHERE record.record IS NOT NULL";
    read.each("list what is recorded", select, cells![], &mut |row| {
        found.insert(row.parse()?);
        Ok(())
    })
    .await?;
    Ok(found)
}

pub(super) async fn start_run(db: &dyn Database, run: &RunId, at: Timestamp) -> Result<(), LedgerError> {
    let mut write = db.write().await?;
    let insert = "INSERT INTO run (run, started_at, counts) VALUES ($1, $2, '{}')";
    write.run("note a run", insert, cells![run.0.as_str(), at]).await?;
    write.commit().await
}

pub(super) async fn finish_run(db: &dyn Database, row: &RunRow) -> Result<(), LedgerError> {
    let mut write = db.write().await?;
    let upsert = "INSERT INTO run (run, started_at, finished_at, outcome, counts, report) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (run) DO UPDATE SET started_at = excluded.started_at, finished_at = excluded.finished_at, \
         outcome = excluded.outcome, counts = excluded.counts, report = excluded.report WHERE run.finished_at IS NULL";
    let report = row.report.as_ref().map(json).transpose()?;
    let cells = cells![row.run.0.as_str(), row.started_at, row.finished_at, row.outcome.as_deref(), json(&row.counts)?, report];
    write.run("note the end of a run", upsert, cells).await?;
    write.commit().await
}

pub(super) async fn runs(db: &dyn Database, limit: u32) -> Result<Vec<RunRow>, LedgerError> {
    let select = "SELECT run, started_at, finished_at, outcome, counts, NULL FROM run ORDER BY id DESC LIMIT $1";
    read_runs(db, select, cells![limit]).await
}

pub(super) async fn run(db: &dyn Database, run: &RunId) -> Result<Option<RunRow>, LedgerError> {
    let select = "SELECT run, started_at, finished_at, outcome, counts, report FROM run WHERE run = $1";
    Ok(read_runs(db, select, cells![run.0.as_str()]).await?.pop())
}

/// By number from there on: clocks may step back.
pub(super) async fn reports(db: &dyn Database, since: Timestamp, each: &mut OnRun<'_>) -> Result<(), LedgerError> {
    let select = "SELECT run, started_at, finished_at, outcome, counts, report FROM run \
         WHERE id >= (SELECT min(id) FROM run WHERE started_at >= $1) ORDER BY id";
    each_run(db, select, cells![since], each).await
}

async fn read_runs(db: &dyn Database, select: &'static str, cells: Vec<super::session::Cell>) -> Result<Vec<RunRow>, LedgerError> {
    let mut found = Vec::new();
    each_run(db, select, cells, &mut |row| found.push(row)).await?;
    Ok(found)
}

async fn each_run(
    db: &dyn Database,
    select: &'static str,
    cells: Vec<super::session::Cell>,
    each: &mut OnRun<'_>,
) -> Result<(), LedgerError> {
    let read = &mut *db.read().await?;
    read.each("read runs", select, cells, &mut |row| {
        each(RunRow {
            run: RunId(row.text()?.to_owned()),
            started_at: row.time()?,
            finished_at: row.opt_time()?,
            outcome: row.opt_string()?,
            counts: row.json()?,
            report: row.opt_json()?,
        });
        Ok(())
    })
    .await
}

/// Journal and runs older than `before` go; a run whose batch is still in flight stays. Tallies go once they are out of the window
/// as seen from `before`, which callers take from the real clock, or an earlier one: what a run dated further back may lose is
/// older than everything else that is forgotten here. A verdict older than `before` no longer counts: its change, if it is
/// wanted still, is held and asked about again. Numbers of keys that nothing names any more go last.
pub(super) async fn prune(db: &dyn Database, before: Timestamp) -> Result<Pruned, LedgerError> {
    let mut session = db.write().await?;
    let write = &mut *session;
    let window = plan::window_start(before);
    let journal = write.run("prune the journal", "DELETE FROM journal WHERE at < $1", cells![before]).await?;
    let delete = "DELETE FROM run WHERE started_at < $1 AND (finished_at IS NULL OR finished_at < $1) \
         AND run NOT IN (SELECT run FROM in_flight)";
    let runs = write.run("prune runs", delete, cells![before]).await?;
    let tallies = write.run("prune tallies", "DELETE FROM tally WHERE at < $1", cells![window]).await?;
    let verdicts = write.run("prune verdicts", "DELETE FROM verdict WHERE at < $1", cells![before]).await?;
    write.run("prune rejected holds", "DELETE FROM hold WHERE rejected = 1 AND at < $1", cells![before]).await?;
    session.commit().await?;

    let mut session = db.write_alone().await?;
    let unused = "DELETE FROM known_key WHERE id IN (SELECT id FROM known_key EXCEPT SELECT key_id FROM resource \
         EXCEPT SELECT from_id FROM edge EXCEPT SELECT to_id FROM edge EXCEPT SELECT key_id FROM journal \
         EXCEPT SELECT key_id FROM record EXCEPT SELECT from_id FROM record_edge EXCEPT SELECT to_id FROM record_edge)";
    session.run("prune keys", unused, cells![]).await?;
    session.commit().await?;
    Ok(Pruned { journal, runs, other: tallies + verdicts })
}
