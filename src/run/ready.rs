//! Making one target ready for planning: the right place, the one writer, and what became of changes whose answers were lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::clock::later;
use crate::config::TargetConfig;
use crate::deliver::{Aftermath, HeldLease, LeaseError};
use crate::estate::EstateId;
use crate::exit::Exit;
use crate::ledger::{LedgerError, TargetRow};
use crate::model::Key;
use crate::plan::{self, DeliveryState, RecordBrief, TargetState};
use crate::target::{FoundRecord, Sample, Target, TargetError};

use super::report::Problem;
use super::setup::{self, Absent};
use super::{Context, Mode, settle};

/// A target that can be planned for.
pub struct Ready<'a> {
    /// What the configuration says of it.
    pub configured: &'a TargetConfig,
    /// The target.
    pub target: Arc<dyn Target>,
    /// The lease; `None` in a plan, which writes nothing.
    pub lease: Option<HeldLease>,
    /// What the ledger knows of it as a whole.
    pub row: TargetRow,
    /// Its records and edges as the ledger knows them.
    pub state: TargetState,
    /// The estate id that its records carry.
    pub estate: EstateId,
    /// Everything it holds of ours, where it was read in full for this run.
    pub found: Option<BTreeMap<Key, FoundRecord>>,
    /// Whether the ledger's map of it is being rebuilt: nothing ends in this run.
    pub recovering: bool,
    /// Whether people asked for that (`dewpoint target recover`).
    pub was_asked_to_recover: bool,
    /// Whether the target shows that the ledger is older than what stands there: what it knows may be as old.
    pub is_ledger_old: bool,
    /// Why the full read that was due (`verify_every`) did not come about. It says nothing, and is due again in the next run.
    pub unread: Option<TargetError>,
}

/// A target that takes no part in this run.
#[derive(Debug)]
pub struct NotReady {
    /// Its name.
    pub target: crate::model::TargetName,
    /// How this ends the run, unless something worse does.
    pub exit: Exit,
    /// What is the matter.
    pub problem: Problem,
}

impl NotReady {
    pub(super) fn new(configured: &TargetConfig, exit: Exit, text: impl Into<String>, hint: Option<String>) -> Self {
        Self { target: configured.name.clone(), exit, problem: Problem { subject: configured.name.to_string(), text: text.into(), hint } }
    }

    /// What a target's failure means for a run.
    #[must_use]
    pub fn of_target(configured: &TargetConfig, error: &TargetError) -> Self {
        let exit = match error {
            TargetError::Credentials { .. } => Exit::Credentials,
            TargetError::Unusable { .. } => Exit::Usage,
            TargetError::Forbidden { .. }
            | TargetError::Rejected { .. }
            | TargetError::Abandoned { .. }
            | TargetError::Unreachable { .. }
            | TargetError::Busy { .. } => Exit::Partly,
        };
        Self::new(configured, exit, error.to_string(), error.hint())
    }
}

/// Why a target could not be made ready.
pub(super) enum Trouble {
    Target(NotReady),
    Ledger(LedgerError),
}

impl From<LedgerError> for Trouble {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

/// Makes a target ready, or says why it takes no part.
///
/// # Errors
/// When the ledger fails: that ends the run, not only the target.
pub async fn ready<'a>(
    context: &Context<'_>,
    configured: &'a TargetConfig,
    own: &EstateId,
) -> Result<Result<Ready<'a>, NotReady>, LedgerError> {
    match prepare(context, configured, own).await {
        Ok(ready) => Ok(Ok(ready)),
        Err(Trouble::Target(not_ready)) => Ok(Err(not_ready)),
        Err(Trouble::Ledger(error)) => Err(error),
    }
}

async fn prepare<'a>(context: &Context<'_>, configured: &'a TargetConfig, own: &EstateId) -> Result<Ready<'a>, Trouble> {
    let ledger = &context.ledger;
    let of_target = |error: TargetError| Trouble::Target(NotReady::of_target(configured, &error));
    let mut row = ledger.target_row(&configured.name).await?.unwrap_or_else(|| TargetRow {
        kind: configured.kind.as_str().to_owned(),
        address: setup::address(configured),
        ..TargetRow::default()
    });
    let absent = match (&row.instance, context.mode) {
        (Some(_), _) if !row.recover => Absent::Refuse,
        (_, Mode::Plan) => Absent::Empty,
        (_, Mode::Sync) => Absent::Create,
    };
    let target: Arc<dyn Target> = Arc::from((context.targets)(configured, absent, &context.meter.requests()));
    let acquainted = row.acquaintance(own).filter(|_| !row.recover);
    let fingerprint = target.fingerprint(acquainted).await.map_err(of_target)?;
    check_place(configured, &row, &fingerprint.instance)?;
    if let Sample::Of(there) = &fingerprint.sample
        && row.instance.is_some()
        && *there != *row.estate.as_ref().unwrap_or(own)
    {
        return Err(Trouble::Target(other_estate(configured)));
    }

    let lease = match context.mode {
        Mode::Plan => None,
        Mode::Sync => Some(lease(context, configured, target.as_ref()).await?),
    };
    if let Some(lease) = &lease {
        settle::settle(context, configured, target.as_ref(), lease, row.estate.as_ref().unwrap_or(own)).await?;
        // What another holder wrote while we waited counts.
        if let Some(latest) = ledger.target_row(&configured.name).await? {
            row = latest;
        }
    }

    let first_contact = row.instance.is_none();
    let is_newer = |there: Option<Timestamp>| there.is_some_and(|there| row.delivered_at.is_none_or(|here| there > here));
    let mut is_ledger_old = is_newer(fingerprint.newest_delivered_at) && !first_contact;
    let verification_due =
        configured.verify_every.is_some_and(|every| row.verified_at.is_none_or(|last| later(last, every) <= context.at()));
    let mut estate = row.estate.clone().unwrap_or_else(|| own.clone());
    let mut recovering = row.recover || is_ledger_old;
    let is_read_needed = first_contact || recovering;
    let read = if is_read_needed || verification_due {
        if row.delivered_at.is_some() {
            settle_reads(context, target.as_ref()).await;
        }
        Some(read_all(target.as_ref()).await)
    } else {
        None
    };
    let (records, unread) = match read {
        Some(Err(error)) if !is_read_needed && !stops(&error) => (None, Some(error)),
        read => (read.transpose().map_err(of_target)?, None),
    };
    let mut found = None;
    if let Some(records) = records {
        let there = sole_estate(configured, &records)?;
        match there {
            Some(there) if there != estate && row.delivered_at.is_none() && first_contact => {
                tracing::warn!(target.name = %configured.name, "Taking over the records of an earlier ledger");
                estate = there;
                recovering = true;
            }
            Some(there) if there != estate => return Err(Trouble::Target(other_estate(configured))),
            Some(_) if first_contact => recovering = true,
            _ => {}
        }
        is_ledger_old |= recovering && is_newer(records.iter().filter_map(|record| record.delivered_at).max());
        tell_of_copies(configured, &records);
        found = Some(records.into_iter().filter_map(|record| Some((record.external_id.clone()?, record))).collect::<BTreeMap<_, _>>());
    }
    row.instance = Some(fingerprint.instance);
    row.address = setup::address(configured);
    row.estate = (estate != *own).then(|| estate.clone());
    let state = ledger.load_target(&configured.name, plan::window_start(context.at())).await?;
    let was_asked_to_recover = row.recover;
    let is_ours = |record: &&RecordBrief| record.exists() && !record.contributed && record.state != DeliveryState::Excluded;
    if fingerprint.sample == Sample::Nothing && !first_contact && !recovering && state.records.values().any(|record| is_ours(&record)) {
        return Err(Trouble::Target(emptied(configured)));
    }
    Ok(Ready { configured, target, lease, row, state, estate, found, recovering, was_asked_to_recover, is_ledger_old, unread })
}

/// Whether a read that could be done without failed for a reason that keeps everything else from the target, too: it is another one,
/// or it does not let us in.
fn stops(error: &TargetError) -> bool {
    matches!(error, TargetError::Credentials { .. } | TargetError::Unusable { .. })
}

/// Guardrail 8: the CMDB under this address is the one that the ledger knows.
fn check_place(configured: &TargetConfig, row: &TargetRow, instance: &str) -> Result<(), Trouble> {
    let name = &configured.name;
    let Some(known) = &row.instance else { return Ok(()) };
    if row.recover {
        return Ok(());
    }
    let address = setup::address(configured);
    if known != instance {
        return Err(Trouble::Target(NotReady::new(
            configured,
            Exit::Usage,
            format!("target `{name}` at {address} is not the CMDB that the ledger knows under this name"),
            Some(format!("put the right address back; or, if this CMDB is to be kept from now on, run `dewpoint target recover {name}`")),
        )));
    }
    if row.address != address {
        return Err(Trouble::Target(NotReady::new(
            configured,
            Exit::Usage,
            format!("target `{name}` moved from {} to {address}", row.address),
            Some(format!(
                "if it is the same CMDB under a new address, run `dewpoint target rebind {name}`; if it is a copy, `dewpoint target recover {name}`"
            )),
        )));
    }
    Ok(())
}

async fn lease(context: &Context<'_>, configured: &TargetConfig, target: &dyn Target) -> Result<HeldLease, Trouble> {
    let aftermath = if target.ends_with_sender() { Aftermath::None } else { Aftermath::Requests };
    context.lease(&configured.name, aftermath).await.map_err(|error| match error {
        LeaseError::Held { .. } => Trouble::Target(NotReady::new(
            configured,
            Exit::Partly,
            error.to_string(),
            Some("run again when the other sync is done".to_owned()),
        )),
        LeaseError::Interrupted { .. } => {
            Trouble::Target(NotReady::new(configured, Exit::Interrupted, error.to_string(), Some("run it again".to_owned())))
        }
        LeaseError::Ledger(error) => Trouble::Ledger(error),
    })
}

/// Waits until a full read shows what another process wrote last: that was before the lease came to us, and nobody knows how long.
async fn settle_reads(context: &Context<'_>, target: &dyn Target) {
    let lag = target.read_lag();
    if lag.is_zero() {
        return;
    }
    tracing::debug!(target.name = %target.name(), wait_s = lag.as_secs(), "Waiting for the target's index");
    let mut interrupt = context.interrupt.clone();
    tokio::select! {
        () = tokio::time::sleep(lag) => {}
        _ = interrupt.wait_for(|stop| *stop) => {}
    }
}

/// Pages of a full read: a target that never ends its listing must not hold a run for ever.
const PAGES_MAX: usize = 100_000;

async fn read_all(target: &dyn Target) -> Result<Vec<FoundRecord>, TargetError> {
    let mut records = Vec::new();
    let mut after: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let page = target.read(after.as_deref()).await?;
        records.extend(page.records);
        match page.next {
            None => return Ok(records),
            Some(next) if Some(&next) == after.as_ref() => break,
            Some(next) => after = Some(next),
        }
    }
    Err(TargetError::Unreachable {
        target: target.name().clone(),
        operation: "read",
        text: "its listing does not come to an end".to_owned(),
    })
}

/// Records that carry our estate id and no external id of ours are copies that people made: nothing ever writes to them.
fn tell_of_copies(configured: &TargetConfig, records: &[FoundRecord]) {
    let mut copies = records.iter().filter(|record| record.estate.is_some() && record.external_id.is_none()).peekable();
    if let Some(first) = copies.peek().map(|record| record.id.0.clone()) {
        tracing::warn!(
            target.name = %configured.name,
            first,
            count = copies.count(),
            "Records carry the estate id and no external id, as copies do: they are left alone; take the estate id from them or remove them"
        );
    }
}

/// The one estate id that a target's records carry; `None` where there are no records of any.
fn sole_estate(configured: &TargetConfig, records: &[FoundRecord]) -> Result<Option<EstateId>, Trouble> {
    let mut estates = records.iter().filter_map(|record| record.estate.as_ref());
    let Some(first) = estates.next() else { return Ok(None) };
    if estates.any(|other| other != first) {
        return Err(Trouble::Target(other_estate(configured)));
    }
    Ok(Some(first.clone()))
}

/// Guardrail 8: what was delivered is not there, none of it.
fn emptied(configured: &TargetConfig) -> NotReady {
    let name = &configured.name;
    NotReady::new(
        configured,
        Exit::Usage,
        format!("target `{name}` at {} holds none of the records that were delivered there", setup::address(configured)),
        Some(format!(
            "if it is another CMDB, put the right address back; if it was emptied or rebuilt, run `dewpoint target recover {name}`, which makes them again"
        )),
    )
}

/// Guardrail 7: two ledgers on one CMDB are a mistake to report, not to arbitrate.
pub fn other_estate(configured: &TargetConfig) -> NotReady {
    NotReady::new(
        configured,
        Exit::Usage,
        format!("target `{}` holds records of another ledger: two ledgers must not write to one CMDB", configured.name),
        Some("point one of them elsewhere; nothing was sent".to_owned()),
    )
}
