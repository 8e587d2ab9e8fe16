//! What commands change in the estate, one at a time with the runs that merge into it.

use std::sync::Arc;

use crate::clock::Clock;
use crate::deliver::{self, Aftermath, HeldLease, LeaseError};
use crate::ledger::{Ledger, LedgerError};
use crate::model::TargetName;

use super::RunError;

/// Name under which the estate itself is leased while it is changed: no target can have it.
const ESTATE_LEASE: &str = "*estate*";

/// The name of the estate's lease.
pub(super) fn estate_lease() -> Result<TargetName, RunError> {
    ESTATE_LEASE.parse().map_err(|_| RunError::Busy)
}

/// How a run or a command ends that did not get the estate's lease.
pub(super) fn not_leased(error: LeaseError) -> RunError {
    match error {
        LeaseError::Held { .. } => RunError::Busy,
        LeaseError::Interrupted { .. } => RunError::Interrupted,
        LeaseError::Ledger(error) => RunError::Ledger(error),
    }
}

/// Does `work` on the estate while no run merges into it, and waits for one that does as a second sync would: a run that loaded the
/// estate before such a change could not commit after it.
///
/// # Errors
/// [`RunError::Busy`] when another keeps the estate for longer than one lease; what `work` fails with.
pub async fn alone<T>(
    ledger: &Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    holder: &str,
    work: impl Future<Output = Result<T, LedgerError>>,
) -> Result<T, RunError> {
    let held = deliver::hold(Arc::clone(ledger), clock, &estate_lease()?, holder, Aftermath::None).await.map_err(not_leased)?;
    let result = work.await;
    release(ledger, held).await?;
    Ok(result?)
}

/// Gives a lease back, once nothing renews it any more.
pub(super) async fn release(ledger: &Arc<dyn Ledger>, held: HeldLease) -> Result<(), LedgerError> {
    let lease = held.lease().clone();
    drop(held);
    ledger.release_lease(&lease).await
}
