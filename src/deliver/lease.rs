//! Holding a target's lease while a run delivers to it.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::clock::Clock;
use crate::ledger::{Lease, Leasing, Ledger, LedgerError};
use crate::model::TargetName;

/// How long a lease lasts without renewal, on the real clock. A second one-shot sync waits at most this long.
pub const LEASE_TTL: Duration = Duration::from_secs(30);

/// How often a waiting sync asks again.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// A lease that is renewed in the background until this is dropped. Giving it back is the run's, which does so however it ends.
pub struct HeldLease {
    lease: Lease,
    validity: Arc<Mutex<Validity>>,
    renewal: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Clone, Copy)]
struct Validity {
    until: Instant,
    lost: bool,
}

/// Why a lease was not had.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another process holds it, and still did after one lease's time.
    #[error("{holder} is writing to target `{target}`")]
    Held {
        /// The target.
        target: TargetName,
        /// Who.
        holder: String,
    },
    /// Someone asked to stop while it was waited for.
    #[error("interrupted while waiting for the lease of target `{target}`")]
    Interrupted {
        /// The target.
        target: TargetName,
    },
    /// The ledger did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Waits for a target's lease, at most one lease's time on the real clock, and keeps it renewed.
///
/// # Errors
/// [`LeaseError::Held`] when another still has it; [`LeaseError::Ledger`] when the ledger fails.
pub async fn hold(ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>, target: &TargetName, holder: &str) -> Result<HeldLease, LeaseError> {
    let give_up = Instant::now() + LEASE_TTL;
    let mut watched: Option<Timestamp> = None;
    let mut is_renewed = false;
    loop {
        let asked = Instant::now();
        // Nobody renewed it for a whole lease's time by our own clock: its holder is gone, whatever clock it went by.
        let ended = watched.filter(|_| asked >= give_up && !is_renewed);
        match ledger.acquire_lease(target, holder, LEASE_TTL, ended.unwrap_or_else(|| clock.real_now())).await? {
            Leasing::Granted(lease) => return Ok(HeldLease::renewing(&ledger, clock, lease, asked)),
            Leasing::Held { holder, .. } if asked >= give_up => return Err(LeaseError::Held { target: target.clone(), holder }),
            Leasing::Held { until, .. } => {
                is_renewed |= *watched.get_or_insert(until) != until;
                tokio::time::sleep(ASK_EVERY).await;
            }
        }
    }
}

impl HeldLease {
    fn renewing(ledger: &Arc<dyn Ledger>, clock: Arc<dyn Clock>, lease: Lease, asked: Instant) -> Self {
        let validity = Arc::new(Mutex::new(Validity { until: asked + LEASE_TTL, lost: false }));
        let renewal = tokio::spawn({
            let (ledger, lease, validity) = (Arc::clone(ledger), lease.clone(), Arc::clone(&validity));
            async move {
                loop {
                    tokio::time::sleep(LEASE_TTL / 3).await;
                    let asked = Instant::now();
                    match ledger.renew_lease(&lease, LEASE_TTL, clock.real_now()).await {
                        Ok(()) => set(&validity, |now| now.until = asked + LEASE_TTL),
                        Err(LedgerError::LeaseLost { .. }) => {
                            set(&validity, |now| now.lost = true);
                            return;
                        }
                        // The next round tries again; `is_lost` turns true by itself once the time is up.
                        Err(error) => tracing::warn!(target.name = %lease.target, %error, "could not renew the lease"),
                    }
                }
            }
        });
        Self { lease, validity, renewal }
    }

    /// The lease, as writes name it.
    #[must_use]
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// When it ends unless it is renewed: every request must end before.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.validity.lock().map_or_else(|broken| broken.into_inner().until, |now| now.until)
    }

    /// Whether another took over, or the time is up.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        let now = match self.validity.lock() {
            Ok(now) => *now,
            Err(broken) => *broken.into_inner(),
        };
        now.lost || Instant::now() >= now.until
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

fn set(validity: &Mutex<Validity>, change: impl FnOnce(&mut Validity)) {
    match validity.lock() {
        Ok(mut now) => change(&mut now),
        Err(mut broken) => change(broken.get_mut()),
    }
}
