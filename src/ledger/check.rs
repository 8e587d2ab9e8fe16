//! `ledger check`: what must hold between the rows, beyond what the database checks of itself.

use super::LedgerError;
use super::session::{Cell, Database, Session, cells};
use crate::doctor::{Finding, Health};
use crate::model::Resource;

/// Rows that break a rule: name of the check, a count of them, and what to do.
const RULES: &[(&str, &str, &str)] = &[
    (
        "rows name known keys",
        "SELECT (SELECT count(*) FROM resource WHERE NOT EXISTS (SELECT 1 FROM known_key WHERE id = key_id)) \
         + (SELECT count(*) FROM edge WHERE NOT EXISTS (SELECT 1 FROM known_key WHERE id = from_id) \
            OR NOT EXISTS (SELECT 1 FROM known_key WHERE id = to_id)) \
         + (SELECT count(*) FROM record WHERE NOT EXISTS (SELECT 1 FROM known_key WHERE id = key_id)) \
         + (SELECT count(*) FROM record_edge WHERE NOT EXISTS (SELECT 1 FROM known_key WHERE id = from_id) \
            OR NOT EXISTS (SELECT 1 FROM known_key WHERE id = to_id)) \
         + (SELECT count(*) FROM journal WHERE NOT EXISTS (SELECT 1 FROM known_key WHERE id = key_id))",
        RESTORE,
    ),
    (
        "delivered records have an id",
        "SELECT count(*) FROM record WHERE record IS NULL AND state IN ('delivered', 'retired', 'purged')",
        RECOVER,
    ),
    ("records have a class", "SELECT count(*) FROM record WHERE class = ''", RECOVER),
    (
        "revisions count up from nothing",
        "SELECT (SELECT count(*) FROM record WHERE revision < 0) + (SELECT count(*) FROM record_edge WHERE revision < 0)",
        RECOVER,
    ),
    (
        "fields belong to records",
        "SELECT count(*) FROM record_fields f WHERE NOT EXISTS (SELECT 1 FROM record r WHERE r.target = f.target AND r.key_id = f.key_id)",
        RECOVER,
    ),
    // A sync's fence is twice the number that it draws; a plan's is one more than that of the sync before it.
    (
        "no fence is newer than the last one drawn",
        "SELECT (SELECT count(*) FROM resource WHERE fence > (SELECT max(fence) * 2 + 1 FROM sequence)) \
         + (SELECT count(*) FROM scope WHERE fence > (SELECT max(fence) * 2 + 1 FROM sequence) OR complete_fence > fence)",
        RESTORE,
    ),
];

const RESTORE: &str = "restore the newest backup, or begin a new ledger: the next sync recovers it from the targets";
const RECOVER: &str = "run `dewpoint target recover NAME`: it rebuilds these rows from the target";

pub(super) async fn check(db: &dyn Database) -> Result<Vec<Finding>, LedgerError> {
    let mut findings = db.integrity().await?;
    let mut session = db.read().await?;
    let read = &mut *session;
    let births = count(read, "SELECT (SELECT count(*) FROM meta) + (SELECT count(*) FROM sequence)").await?;
    findings.push(finding("the ledger has a name and a sequence", 2 - births, RESTORE));
    for (name, select, mend) in RULES {
        findings.push(finding(name, count(read, select).await?, mend));
    }
    findings.push(finding("resources read back as they were written", unreadable_resources(read).await?, RESTORE));
    findings.push(in_flight(read).await?);
    Ok(findings)
}

async fn count(session: &mut dyn Session, select: &'static str) -> Result<i64, LedgerError> {
    let mut counted = 0;
    session
        .each("check", select, cells![], &mut |row| {
            counted = row.int()?;
            Ok(())
        })
        .await?;
    Ok(counted)
}

async fn unreadable_resources(session: &mut dyn Session) -> Result<i64, LedgerError> {
    let mut broken = 0;
    let select = "SELECT known_key.key, resource.digest, payload FROM resource LEFT JOIN known_key ON known_key.id = resource.key_id";
    session
        .each("check resources", select, Vec::<Cell>::new(), &mut |row| {
            let (key, digest) = (row.opt_text()?, row.digest());
            let sound = match (digest, row.json::<Resource>()) {
                (Ok(digest), Ok(resource)) => {
                    Some(resource.key.as_str()) == key && resource.digest().is_ok_and(|computed| computed == digest)
                }
                _ => false,
            };
            broken += i64::from(!sound);
            Ok(())
        })
        .await?;
    Ok(broken)
}

async fn in_flight(session: &mut dyn Session) -> Result<Finding, LedgerError> {
    let (mut changes, mut oldest) = (0, None);
    session
        .each("check", "SELECT count(*), min(at) FROM in_flight", cells![], &mut |row| {
            (changes, oldest) = (row.int()?, row.opt_time()?);
            Ok(())
        })
        .await?;
    Ok(match oldest {
        None => finding("no run was cut off", 0, RESTORE),
        Some(oldest) => Finding {
            subject: "ledger".to_owned(),
            check: "no run was cut off".to_owned(),
            outcome: Health::Warning,
            text: format!("{changes} changes were sent and not answered, the oldest at {oldest}"),
            mend: Some("the next sync looks them up and finishes them".to_owned()),
        },
    })
}

fn finding(check: &str, broken: i64, mend: &str) -> Finding {
    let sound = broken == 0;
    Finding {
        subject: "ledger".to_owned(),
        check: check.to_owned(),
        outcome: if sound { Health::Ok } else { Health::Error },
        text: if sound { "as it should be".to_owned() } else { format!("{broken} rows are not") },
        mend: (!sound).then(|| mend.to_owned()),
    }
}
