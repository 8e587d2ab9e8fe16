//! Holding a target's lease while a run delivers to it.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::holder::{is_dead, shown};
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
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
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

/// What may still go on after a holder's process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aftermath {
    /// Nothing: what it wrote was done or undone when it ended.
    None,
    /// A server may still be at work on requests that it sent: where changes are in flight, its lease is waited for.
    Requests,
}

/// Waits for a target's lease, at most one lease's time on the real clock, and keeps it renewed.
///
/// The lease of a process that is seen to have ended is taken over at once, as far as its `aftermath` allows. One that nobody renews
/// for a whole lease's time is taken over then, whatever end its holder's clock gave it.
///
/// # Errors
/// [`LeaseError::Held`] when another still has it; [`LeaseError::Ledger`] when the ledger fails.
pub async fn hold(
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    target: &TargetName,
    holder: &str,
    aftermath: Aftermath,
) -> Result<HeldLease, LeaseError> {
    let give_up = Instant::now() + LEASE_TTL;
    let mut watched: Option<(Timestamp, Instant)> = None;
    loop {
        let asked = Instant::now();
        let (other, until) = match ledger.acquire_lease(target, holder, LEASE_TTL, clock.real_now()).await? {
            Leasing::Granted(lease) => return Ok(HeldLease::renewing(&ledger, clock, lease, asked)),
            Leasing::Held { holder, until } => (holder, until),
        };
        let since = watched.filter(|(seen, _)| *seen == until).map_or(asked, |(_, since)| since);
        watched = Some((until, since));
        let is_abandoned =
            since.elapsed() >= LEASE_TTL || is_dead(&other) && (aftermath == Aftermath::None || ledger.in_flight(target).await?.is_empty());
        if is_abandoned && let Some(lease) = take_over(&*ledger, &*clock, target, holder, until).await? {
            tracing::info!(target.name = %target, from = shown(&other), "Took over an abandoned lease");
            return Ok(HeldLease::renewing(&ledger, clock, lease, asked));
        }
        if Instant::now() >= give_up {
            return Err(LeaseError::Held { target: target.clone(), holder: shown(&other).to_owned() });
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Takes a lease that would have ended at `until`; `None` where another was faster.
async fn take_over(
    ledger: &dyn Ledger,
    clock: &dyn Clock,
    target: &TargetName,
    holder: &str,
    until: Timestamp,
) -> Result<Option<Lease>, LedgerError> {
    match ledger.acquire_lease(target, holder, LEASE_TTL, until).await? {
        Leasing::Granted(lease) => {
            // Its end was counted from the old one's.
            ledger.renew_lease(&lease, LEASE_TTL, clock.real_now()).await?;
            Ok(Some(lease))
        }
        Leasing::Held { .. } => Ok(None),
    }
}

impl HeldLease {
    fn renewing(ledger: &Arc<dyn Ledger>, clock: Arc<dyn Clock>, lease: Lease, asked: Instant) -> Self {
        let validity = Arc::new(Mutex::new(Validity { until: asked + LEASE_TTL, lost: false }));
        let renewal = tokio::spawn({
            let (ledger, lease, validity) = (Arc::clone(ledger), lease.clone(), Arc::clone(&validity));
            let clock = Arc::clone(&clock);
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
        Self { lease, ledger: Arc::clone(ledger), clock, validity, renewal }
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

    /// Whether it is still ours. One whose time is up is renewed here, which succeeds only where nobody took over meanwhile: committing
    /// a very large estate keeps SQLite's one writer, and with it the renewals, busy for longer than a lease's time.
    pub async fn is_kept(&self) -> bool {
        if !self.is_lost() {
            return true;
        }
        let asked = Instant::now();
        match self.ledger.renew_lease(&self.lease, LEASE_TTL, self.clock.real_now()).await {
            Ok(()) => {
                set(&self.validity, |now| now.until = asked + LEASE_TTL);
                !self.is_lost()
            }
            Err(error) => {
                tracing::warn!(target.name = %self.lease.target, %error, "could not renew the lease");
                false
            }
        }
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

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
mod tests {
    use jiff::ToSpan as _;

    use super::super::holder::tests::dead_holder;
    use super::*;
    use crate::clock::RunClock;
    use crate::ledger::suite::samples::{change, run, target};
    use crate::ledger::{self, LedgerAddress, Mode};
    use crate::plan::ChangeKind;

    async fn ledger(folder: &std::path::Path) -> Arc<dyn Ledger> {
        let address = LedgerAddress::parse("sqlite://dewpoint.db", folder, None).unwrap();
        Arc::from(ledger::open(&address, Mode::ReadWrite { create: true }).await.unwrap())
    }

    async fn held_by(ledger: &dyn Ledger, holder: &str, now: Timestamp) -> Lease {
        match ledger.acquire_lease(&target(), holder, LEASE_TTL, now).await.unwrap() {
            Leasing::Granted(lease) => lease,
            Leasing::Held { holder, .. } => panic!("it is with {holder}"),
        }
    }

    async fn ask(ledger: &Arc<dyn Ledger>, aftermath: Aftermath) -> Option<HeldLease> {
        let target = target();
        let asked = hold(Arc::clone(ledger), Arc::new(RunClock::new(None)), &target, "me", aftermath);
        tokio::time::timeout(Duration::from_secs(2), asked).await.ok().map(Result::unwrap)
    }

    #[tokio::test]
    async fn a_dead_holder_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(folder.path()).await;
        let dead = held_by(&*ledger, &dead_holder(), Timestamp::now()).await;
        let held = ask(&ledger, Aftermath::Requests).await.unwrap();
        assert!(held.lease().token > dead.token);
        match ledger.acquire_lease(&target(), "another", LEASE_TTL, Timestamp::now()).await.unwrap() {
            Leasing::Held { until, .. } => assert!(until <= Timestamp::now() + 30.seconds(), "it ends as if it had been free: {until}"),
            Leasing::Granted(_) => panic!("it is held"),
        }
    }

    #[tokio::test]
    async fn what_a_server_may_be_working_on_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(folder.path()).await;
        let dead = held_by(&*ledger, &dead_holder(), Timestamp::now()).await;
        ledger.begin_batch(&dead, &run(), &[change(1, ChangeKind::Create)], &[], Timestamp::now()).await.unwrap();
        assert!(ask(&ledger, Aftermath::Requests).await.is_none());
        assert!(ask(&ledger, Aftermath::None).await.is_some());
    }

    #[tokio::test]
    async fn a_holder_elsewhere_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(folder.path()).await;
        held_by(&*ledger, "db-1, process 1 (0123456789abcdef.1.00000001)", Timestamp::now()).await;
        assert!(ask(&ledger, Aftermath::None).await.is_none());
    }

    /// Takes a lease's time, on the real clock: that is what it is about.
    #[tokio::test]
    async fn a_lease_that_nobody_renews_ends_whatever_its_clock_said() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(folder.path()).await;
        held_by(&*ledger, "elsewhere", Timestamp::now() + 8_760.hours()).await;
        let held = hold(Arc::clone(&ledger), Arc::new(RunClock::new(None)), &target(), "me", Aftermath::Requests).await.unwrap();
        assert!(!held.is_lost());
    }

    #[tokio::test]
    async fn a_lease_whose_time_is_up_goes_on_unless_another_took_over() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(folder.path()).await;
        let held = ask(&ledger, Aftermath::None).await.unwrap();
        let time_is_up = || set(&held.validity, |now| now.until = Instant::now());
        time_is_up();
        assert!(held.is_lost());
        assert!(held.is_kept().await);
        assert!(!held.is_lost());

        time_is_up();
        held_by(&*ledger, "another", Timestamp::now() + 1.hour()).await;
        assert!(!held.is_kept().await);
        assert!(held.is_lost());
    }
}
