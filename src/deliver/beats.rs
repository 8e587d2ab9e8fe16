//! Sending a target's heartbeats, after its changes and under the same lease.
//!
//! A heartbeat is no change: nothing of it is in flight, nothing is retried but by the next run, and what fails is told and ends nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tracing::{Instrument as _, instrument};

use crate::estate::EstateId;
use crate::ledger::{Ledger, LedgerError, Rows};
use crate::model::Key;
use crate::plan::Beats;
use crate::target::{Beat, Retry, Sending, Target, TargetError};

use super::HeldLease;

/// Batches in a row that may fail as a whole before the rest is left to the next run.
const FAILURES_MAX: u32 = 3;

/// What is needed to send one target's heartbeats.
pub struct Beating<'a> {
    /// The target.
    pub target: &'a Arc<dyn Target>,
    /// The ledger.
    pub ledger: &'a dyn Ledger,
    /// The lease on the target, renewed in the background.
    pub lease: &'a HeldLease,
    /// The estate id that the records carry.
    pub estate: &'a EstateId,
    /// The run's clock.
    pub at: Timestamp,
    /// When this target's share of the sync ends at the latest.
    pub deadline: Instant,
    /// Set when the user or the system asks to stop.
    pub interrupt: &'a tokio::sync::watch::Receiver<bool>,
}

/// What became of the heartbeats of one target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Beaten {
    /// Records that were told.
    pub sent: u64,
    /// Records that are without a heartbeat for longer than they should be, and were seen: the budget or the time was short, or theirs failed.
    pub late: u64,
    /// Batches sent.
    pub calls: u64,
    /// What failed: the record, or the target as a whole, and why.
    pub failed: Vec<(Option<Key>, String)>,
}

type Answers = Result<Vec<Result<(), TargetError>>, TargetError>;

impl Beating<'_> {
    /// Sends what is due, in its order.
    pub async fn beat(&self, beats: &Beats) -> Beaten {
        let mut beaten = Beaten::default();
        let mut overdue_sent = 0;
        if let Err(text) = self.send_all(beats, &mut beaten, &mut overdue_sent).await {
            beaten.failed.push((None, text));
        }
        beaten.late = beats.late_after(overdue_sent);
        beaten
    }

    async fn send_all(&self, beats: &Beats, beaten: &mut Beaten, overdue_sent: &mut usize) -> Result<(), String> {
        if beats.due.is_empty() || self.must_stop().await {
            return Ok(());
        }
        // Noted before anything is sent: a record that shows this time is no sign of an old ledger.
        let newest = beats.due.iter().map(|beat| beat.seen_at).fold(self.at, Timestamp::max);
        let shown = Rows { newest_delivered_at: Some(newest), ..Rows::default() };
        self.ledger.bind(self.lease.lease(), &shown, self.at).await.map_err(|error| of_ledger(&error))?;
        let mut failures = 0;
        let mut left: VecDeque<(usize, &Beat)> = beats.due.iter().enumerate().collect();
        while !left.is_empty() {
            if self.must_stop().await {
                return Ok(());
            }
            let batch: Vec<(usize, &Beat)> = left.drain(..left.len().min(self.target.batch_size().max(1))).collect();
            beaten.calls += 1;
            match self.send(batch.iter().map(|(_, beat)| (*beat).clone()).collect()).await {
                Ok(answers) => {
                    failures = 0;
                    let mut done: Vec<Key> = Vec::with_capacity(answers.len());
                    let mut put_off = Vec::new();
                    for ((place, beat), answer) in batch.into_iter().zip(answers) {
                        match answer {
                            Ok(()) => {
                                *overdue_sent += usize::from(place < beats.overdue);
                                done.push(beat.key.clone());
                            }
                            Err(TargetError::Busy { .. }) => put_off.push((place, beat)),
                            Err(error) => beaten.failed.push((Some(beat.key.clone()), error.to_string())),
                        }
                    }
                    // There was no time for them. Where there is none for any they are late.
                    if !done.is_empty() {
                        put_off.into_iter().rev().for_each(|beat| left.push_front(beat));
                    }
                    beaten.sent += done.len() as u64;
                    self.ledger.note_beats(self.lease.lease(), &done, self.at).await.map_err(|error| of_ledger(&error))?;
                }
                Err(error) => {
                    failures += 1;
                    let must_end = failures >= FAILURES_MAX || error.retry() == Retry::Never || matches!(error, TargetError::Busy { .. });
                    if must_end {
                        return Err(error.to_string());
                    }
                    beaten.failed.push((None, error.to_string()));
                }
            }
        }
        Ok(())
    }

    #[instrument(name = "heartbeat", skip_all, fields(target.name = %self.target.name(), size = batch.len()))]
    async fn send(&self, batch: Vec<Beat>) -> Answers {
        let deadline = self.lease.deadline().min(self.deadline);
        let (target, estate, at) = (Arc::clone(self.target), self.estate.clone(), self.at);
        // A task of its own: what breaks off in there ends nothing here.
        let mut task = JoinSet::new();
        let sent = async move { target.beat(&batch, &Sending { estate: &estate, at, deadline }).await };
        task.spawn(sent.in_current_span());
        match task.join_next().await {
            Some(Ok(answers)) => answers,
            Some(Err(_)) | None => {
                let text = "the heartbeat broke off".to_owned();
                Err(TargetError::Unreachable { target: self.target.name().clone(), operation: "beat", text })
            }
        }
    }

    async fn must_stop(&self) -> bool {
        *self.interrupt.borrow() || Instant::now() >= self.deadline || !self.lease.is_kept().await
    }
}

fn of_ledger(error: &LedgerError) -> String {
    crate::words::chain(error)
}
