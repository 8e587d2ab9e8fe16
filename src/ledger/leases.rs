//! Leases: one holder per target at a time.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::session::{Database, Session, cells};
use super::{Lease, Leasing, LedgerError};
use crate::model::TargetName;

/// One statement decides, so that two askers cannot both be granted. The token grows with every grant: an older lease of the same
/// target is void from then on, whatever clock its holder goes by.
pub(super) async fn acquire(
    db: &dyn Database,
    target: &TargetName,
    holder: &str,
    ttl: Duration,
    now: Timestamp,
) -> Result<Leasing, LedgerError> {
    let mut session = db.write().await?;
    let write = &mut *session;
    let upsert = "INSERT INTO lease (target, token, holder, expires) VALUES ($1, 1, $2, $3) ON CONFLICT (target) DO UPDATE SET \
         token = lease.token + 1, holder = excluded.holder, expires = excluded.expires \
         WHERE lease.expires <= $4 OR lease.holder = excluded.holder RETURNING token";
    let mut granted = None;
    write
        .each("take a lease", upsert, cells![target.as_str(), holder, end(now, ttl), now], &mut |row| {
            granted = Some(Lease { target: target.clone(), token: row.int()?, holder: holder.to_owned() });
            Ok(())
        })
        .await?;
    if let Some(lease) = granted {
        session.commit().await?;
        return Ok(Leasing::Granted(lease));
    }
    let mut held = None;
    write
        .each("read a lease", "SELECT holder, expires FROM lease WHERE target = $1", cells![target.as_str()], &mut |row| {
            held = Some(Leasing::Held { holder: row.text()?.to_owned(), until: row.time()? });
            Ok(())
        })
        .await?;
    held.ok_or_else(|| LedgerError::Corrupt { what: "lease", text: format!("that of target `{target}` is gone") })
}

pub(super) async fn renew(db: &dyn Database, lease: &Lease, ttl: Duration, now: Timestamp) -> Result<(), LedgerError> {
    let mut session = db.write().await?;
    let update = "UPDATE lease SET expires = $4 WHERE target = $1 AND token = $2 AND holder = $3";
    let cells = cells![lease.target.as_str(), lease.token, lease.holder.as_str(), end(now, ttl)];
    if session.run("renew a lease", update, cells).await? == 0 {
        return Err(LedgerError::LeaseLost { target: lease.target.clone() });
    }
    session.commit().await
}

pub(super) async fn release(db: &dyn Database, lease: &Lease) -> Result<(), LedgerError> {
    let mut session = db.write().await?;
    // The token moves on, so that a renewal that was under way cannot prolong what was given back.
    let update = "UPDATE lease SET token = token + 1, expires = $4 WHERE target = $1 AND token = $2 AND holder = $3";
    let cells = cells![lease.target.as_str(), lease.token, lease.holder.as_str(), Timestamp::MIN];
    session.run("release a lease", update, cells).await?;
    session.commit().await
}

/// Makes sure, until the transaction ends, that the lease is the newest of its target.
pub(super) async fn hold(session: &mut dyn Session, lease: &Lease) -> Result<(), LedgerError> {
    let update = "UPDATE lease SET token = token WHERE target = $1 AND token = $2 AND holder = $3";
    let cells = cells![lease.target.as_str(), lease.token, lease.holder.as_str()];
    match session.run("check a lease", update, cells).await? {
        0 => Err(LedgerError::LeaseLost { target: lease.target.clone() }),
        _ => Ok(()),
    }
}

fn end(now: Timestamp, ttl: Duration) -> Timestamp {
    SignedDuration::try_from(ttl).ok().and_then(|ttl| now.checked_add(ttl).ok()).unwrap_or(Timestamp::MAX)
}
