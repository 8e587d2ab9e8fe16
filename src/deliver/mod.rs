//! The delivery engine: sends a plan's changes to one target, at least once, with idempotent effect.
//!
//! Each batch is noted in the ledger before it is sent and its answers are there before anything that depends on them goes out.
//! A batch that fails as a whole is halved until the bad record stands alone. Nothing here knows one target from another.

mod beats;
mod closures;
#[cfg(test)]
mod closures_tests;
mod holder;
mod lease;
mod put_off;
mod rehearsal;
mod retry;
#[cfg(test)]
mod tests;
mod writer;

pub use beats::{Beaten, Beating};
pub use holder::holder;
pub use lease::{Aftermath, HeldLease, LEASE_TTL, LeaseError, hold};
pub use rehearsal::{Difference, Rehearsal, Rehearsed};
pub use retry::{ATTEMPTS_MAX, back_off};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;
use tokio::task::JoinSet;
use tracing::{Instrument as _, instrument};

use crate::estate::EstateId;
use crate::ledger::{Answer, InFlight, InFlightId, Ledger, LedgerError, RunId};
use crate::model::{Account, EdgeId, Key, Kind, Region};
use crate::plan::{self, Change, ChangeId, ChangeKind, DeliveryState, FieldState, Limits, RecordEdge, Refusal, Tally, TargetState};
use crate::target::{Addressed, Delivered, Retry, Sending, Target, TargetError, Together, Write};

use put_off::PutOff;
use writer::Writer;

/// What is needed to deliver to one target.
pub struct Delivery<'a> {
    /// The target.
    pub target: &'a Arc<dyn Target>,
    /// The ledger.
    pub ledger: &'a dyn Ledger,
    /// The lease on the target, renewed in the background.
    pub lease: &'a HeldLease,
    /// The run.
    pub run: &'a RunId,
    /// The estate id that goes onto every record.
    pub estate: &'a EstateId,
    /// The run's clock.
    pub at: Timestamp,
    /// When this target's share of the sync ends at the latest.
    pub deadline: Instant,
    /// Set when the user or the system asks to stop: the batch in hand is finished, no other is begun.
    pub interrupt: &'a tokio::sync::watch::Receiver<bool>,
    /// What the estate knows of a CI.
    pub about: &'a (dyn Fn(&Key) -> About + Sync),
    /// Puts in what a lean plan left out of a change: called when its turn comes.
    pub fill: &'a (dyn Fn(&mut Change) + Sync),
    /// What guardrail 3 counts.
    pub limits: &'a Limits,
    /// Changes that people approved: they do not count.
    pub approved: &'a BTreeSet<ChangeId>,
    /// Called after every batch with the number of changes that it brought to an end.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

/// What a write says of its CI beside what changes.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// Kind.
    pub kind: Kind,
    /// The provider's own id.
    pub native_id: String,
    /// Account.
    pub account: Account,
    /// Region.
    pub region: Region,
    /// When it was last shown.
    pub seen_at: Option<Timestamp>,
    /// What its record may be identified beside ([`Target::hosts`]), the best first.
    pub hosts: Vec<Key>,
}

/// What became of the changes of one target.
#[derive(Debug, Default)]
#[must_use]
pub struct Outcome {
    /// Changes done, by kind.
    pub done: BTreeMap<ChangeKind, u64>,
    /// Changes refused, or waiting after a refusal.
    pub failed: Vec<Failure>,
    /// Changes not delivered: their record waits for another, the time was up, the run was interrupted, or `unanswered`.
    pub waiting: u64,
    /// New records that wait, and for what.
    pub waits: Vec<(Key, String)>,
    /// Changes that were sent and that the target's answer left out: the next run looks up what became of them.
    pub unanswered: u64,
    /// Fields that the target left as they were, and why.
    pub left: Vec<(Key, String, String)>,
    /// Why delivery to this target ended early, if it did.
    pub stopped: Option<Stop>,
    /// Batches sent, by operation, for the report's `calls`.
    pub calls: BTreeMap<String, u64>,
    /// What became of the heartbeat; `None` where the target has none, or none was to be sent in this run.
    pub beaten: Option<Beaten>,
}

/// A change that did not succeed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The CI.
    pub key: Key,
    /// The edge, if it is one.
    pub relation: Option<EdgeId>,
    /// What was tried.
    pub change: ChangeKind,
    /// The target's words.
    pub error: String,
    /// Whether it waits for `dewpoint retry`.
    pub parked: bool,
}

/// Why delivery to a target ended early.
#[derive(Debug)]
pub enum Stop {
    /// The target as a whole cannot be used.
    Target(TargetError),
    /// The ledger cannot be written, or the lease is lost.
    Ledger(LedgerError),
    /// The target's `deadline` passed.
    Deadline,
    /// Someone asked to stop.
    Interrupted,
}

/// Records in a row for which the target may give no answer, each sent by itself, before it is given up for this run. One bad record is
/// found by halving whatever the size of its batch; a target that is down fails every half.
const SILENCES_MAX: u32 = 3;

/// A change whose turn has come.
struct Due {
    change: Change,
    write: Write,
    /// In-flight rows of earlier attempts in this run that had no answer.
    unanswered: Vec<InFlightId>,
}

/// A batch that is in the ledger as in flight.
struct Noted {
    in_flight: Vec<InFlight>,
    writes: Arc<Vec<Write>>,
    unanswered: Vec<Vec<InFlightId>>,
}

type Answers = Result<Vec<Result<Delivered, TargetError>>, TargetError>;

struct Engine<'a, 'd> {
    delivery: &'a Delivery<'d>,
    writer: Writer<'d>,
    edges: BTreeMap<EdgeId, RecordEdge>,
    /// What other records give way to and that does not stand yet.
    awaited: BTreeSet<Key>,
    outcome: Outcome,
    silences: u32,
    /// The most that was answered at once after more than that was not: a quota that killed one batch kills the next of its size.
    size_max: usize,
    put_off: Option<PutOff>,
}

impl Delivery<'_> {
    /// Sends changes in their order, phase by phase, and notes every answer.
    pub async fn deliver(&self, changes: Vec<Change>, state: TargetState) -> Outcome {
        let mut engine = Engine {
            delivery: self,
            writer: Writer { records: state.records, born: BTreeMap::new(), about: self.about },
            edges: state.edges,
            awaited: changes.iter().flat_map(|change| &change.gives_way_to).cloned().collect(),
            outcome: Outcome::default(),
            silences: 0,
            size_max: usize::MAX,
            put_off: None,
        };
        let mut phases: BTreeMap<ChangeKind, Vec<Change>> = BTreeMap::new();
        for change in changes {
            phases.entry(change.change).or_default().push(change);
        }
        while let Some((kind, phase)) = phases.pop_first() {
            let together = self.target.together();
            let ended = if kind == ChangeKind::Create && together != Together::Nothing {
                let edges = phases.remove(&ChangeKind::Relate).unwrap_or_default();
                let (left, ended) = engine.closures(together, phase, edges).await;
                phases.insert(ChangeKind::Relate, left);
                ended
            } else {
                engine.phase(kind, phase).await
            };
            if let Err(stop) = ended {
                engine.outcome.waiting += phases.values().map(|left| left.len() as u64).sum::<u64>();
                engine.outcome.stopped = Some(stop);
                break;
            }
        }
        engine.outcome
    }
}

impl Engine<'_, '_> {
    /// Sends the changes of one kind. They do not depend on one another: while the target works on a batch, the answers of the one
    /// before it are stored and the next one is noted.
    async fn phase(&mut self, kind: ChangeKind, mut changes: Vec<Change>) -> Result<(), Stop> {
        changes.sort_by_cached_key(|change| self.keeper(change).cloned());
        let mut rest = changes.into_iter().peekable();
        let first = self.next_batch(&mut rest);
        let mut current = self.begin(first).await?;
        let mut answered = Vec::new();
        let ended = loop {
            let Some(noted) = current.take() else { break Ok(()) };
            if let Some(stop) = self.must_stop().await {
                current = Some(noted);
                break Err(stop);
            }
            let next = self.next_batch(&mut rest);
            let unsent = next.len() as u64;
            self.count_call(kind);
            let (answers, begun) = futures::future::join(self.send(kind, &noted), self.turn(std::mem::take(&mut answered), next)).await;
            current = match begun {
                Ok(begun) => begun,
                Err(stop) => {
                    self.outcome.waiting += rest.len() as u64 + unsent;
                    return Err(stop);
                }
            };
            let taken = match answers {
                Ok(answers) => {
                    self.silences = 0;
                    answered = self.answers(noted, answers);
                    match &self.put_off {
                        None => Ok(()),
                        Some(_) => match self.note(std::mem::take(&mut answered)).await {
                            Ok(_) => self.resend(kind).await,
                            Err(stop) => Err(stop),
                        },
                    }
                }
                Err(error) => self.halve(kind, noted, error).await,
            };
            if let Err(stop) = taken {
                break Err(stop);
            }
        };
        let stored = self.note(answered).await.map(drop);
        let Err(stop) = ended else { return stored };
        self.outcome.waiting += rest.len() as u64;
        if let Some(unsent) = current {
            self.outcome.waiting += unsent.in_flight.len() as u64;
            // Where the ledger fails here too, they stay in flight, and the next run looks them up.
            let _ = self.note(not_sent(unsent.in_flight)).await;
        }
        Err(stop)
    }

    /// The next changes whose turn it is, as many as fit into a batch.
    fn next_batch(&mut self, rest: &mut std::iter::Peekable<std::vec::IntoIter<Change>>) -> Vec<Due> {
        let size = self.batch_size();
        let mut batch: Vec<Due> = Vec::new();
        let mut count = 0;
        while let Some(next) = rest.peek() {
            let goes_along =
                self.keeper(next).is_some_and(|keeper| batch.last().and_then(|last| self.keeper(&last.change)) == Some(keeper));
            if count >= size && !goes_along {
                break;
            }
            let Some(mut change) = rest.next() else { break };
            (self.delivery.fill)(&mut change);
            if let Some(due) = self.due(change, &BTreeSet::new()) {
                count += usize::from(!goes_along);
                batch.push(due);
            }
        }
        batch
    }

    /// Where edges are part of records: the end of an edge whose record holds it, and the other one.
    fn held<'c>(&self, change: &'c Change) -> Option<(&'c Key, &'c Key)> {
        let edge = change.relation.as_ref()?;
        Some(self.delivery.target.keeper(edge.relation, change.kind, self.writer.kind_of(&edge.to))?.of(edge))
    }

    fn keeper<'c>(&self, change: &'c Change) -> Option<&'c Key> {
        Some(self.held(change)?.0)
    }

    /// How much of a batch was of this kind: edges that ride with creates do not count, and those of one record count once.
    fn size_of(&self, kind: ChangeKind, batch: &[InFlight]) -> usize {
        let changes = || batch.iter().map(|sent| &sent.change).filter(|change| change.change == kind);
        let keepers: BTreeSet<&Key> = changes().filter_map(|change| self.keeper(change)).collect();
        keepers.len() + changes().filter(|change| self.keeper(change).is_none()).count()
    }

    fn batch_size(&self) -> usize {
        self.delivery.target.batch_size().min(self.size_max).max(1)
    }

    /// A change as a write, where its turn has come. `made` are the records that earlier writes of its batch make.
    fn due(&mut self, change: Change, made: &BTreeSet<Key>) -> Option<Due> {
        match self.write_of(&change, made) {
            Sendable::Now(write) => return Some(Due { change, write: *write, unanswered: Vec::new() }),
            Sendable::NotDue { error, parked } => {
                let Change { key, relation, change, .. } = change;
                self.outcome.failed.push(Failure { key, relation, change, error, parked });
            }
            Sendable::Waits => self.outcome.waiting += 1,
        }
        None
    }

    fn count_call(&mut self, kind: ChangeKind) {
        *self.outcome.calls.entry(kind.as_str().to_owned()).or_default() += 1;
    }

    /// Sends a batch, again after each wait that the target asks for and that its share of the sync has time for: nothing is done of what is answered so.
    async fn send(&self, kind: ChangeKind, noted: &Noted) -> Answers {
        loop {
            let answers = self.send_once(kind, noted).await;
            match &answers {
                Err(TargetError::Busy { seconds, .. }) if self.waited(Duration::from_secs((*seconds).max(1))).await => {}
                _ => return answers,
            }
        }
    }

    /// Whether a wait came to its end with the lease still kept; one that is too long is not begun.
    async fn waited(&self, wait: Duration) -> bool {
        if self.delivery.deadline.saturating_duration_since(Instant::now()) <= wait {
            return false;
        }
        tracing::info!(target.name = %self.delivery.target.name(), wait_s = wait.as_secs(), "The target asks to wait");
        let mut interrupt = self.delivery.interrupt.clone();
        tokio::select! {
            () = tokio::time::sleep(wait) => self.delivery.lease.is_kept().await,
            _ = interrupt.wait_for(|stop| *stop) => false,
        }
    }

    #[instrument(name = "batch", skip_all, fields(target.name = %self.delivery.target.name(), change.kind = %kind, size = noted.writes.len()))]
    async fn send_once(&self, kind: ChangeKind, noted: &Noted) -> Answers {
        let began = Instant::now();
        let deadline = self.delivery.lease.deadline().min(self.delivery.deadline);
        let (target, writes) = (Arc::clone(self.delivery.target), Arc::clone(&noted.writes));
        let (estate, at) = (self.delivery.estate.clone(), self.delivery.at);
        // A task of its own, so that the target and the ledger work side by side where there is more than one core. It ends with the set.
        let mut task = JoinSet::new();
        let sent = async move { target.apply(&writes, &Sending { estate: &estate, at, deadline }).await };
        task.spawn(sent.in_current_span());
        let answers = match task.join_next().await {
            Some(Ok(answers)) => answers,
            Some(Err(_)) | None => {
                let text = "the write broke off".to_owned();
                Err(TargetError::Unreachable { target: self.delivery.target.name().clone(), operation: "apply", text })
            }
        };
        tracing::debug!(elapsed_ms = began.elapsed().as_millis(), taken = answers.is_ok(), "Sent a batch");
        answers
    }

    /// Between two batches: stores the answers to the last one and notes the next.
    async fn turn(&self, answered: Vec<(InFlight, Answer)>, next: Vec<Due>) -> Result<Option<Noted>, Stop> {
        let began = Instant::now();
        self.note(answered).await?;
        let stored_ms = began.elapsed().as_millis();
        let noted = self.begin(next).await?;
        tracing::debug!(stored_ms, noted_ms = began.elapsed().as_millis() - stored_ms, "Stored answers");
        Ok(noted)
    }

    /// Sends the halves of a batch that failed as a whole, until the bad record stands alone.
    async fn halve(&mut self, kind: ChangeKind, noted: Noted, error: TargetError) -> Result<(), Stop> {
        let mut stack: Vec<Vec<Due>> = Vec::new();
        // Where one record stands alone at last it was that, and not the size.
        let mut is_size = matches!(error, TargetError::Unreachable { .. });
        let mut answered_max = 0;
        let mut failure = Some((noted, error));
        loop {
            let left = |stack: &Vec<Vec<Due>>| stack.iter().map(|part| part.len() as u64).sum::<u64>();
            match failure.take() {
                // Halving does not shorten a wait that the target asks for.
                Some((noted, error)) if error.retry() == Retry::Never || matches!(error, TargetError::Busy { .. }) => {
                    self.outcome.waiting += noted.in_flight.len() as u64 + left(&stack);
                    self.note(not_sent(noted.in_flight)).await?;
                    // Someone may have asked to stop during the wait.
                    let is_wait = matches!(error, TargetError::Busy { .. }) && *self.delivery.interrupt.borrow();
                    return Err(if is_wait { Stop::Interrupted } else { Stop::Target(error) });
                }
                Some((noted, error)) if noted.in_flight.len() > 1 => {
                    let mut first = self.parts(noted, &error).await?;
                    let second = first.split_off(first.len() / 2);
                    stack.push(second);
                    stack.push(first);
                }
                Some((noted, error)) => {
                    is_size = false;
                    let answers = noted.in_flight.iter().map(|_| Err(error.clone())).collect();
                    let answered = self.answers(noted, answers);
                    self.note(answered).await?;
                    self.silences = if matches!(error, TargetError::Unreachable { .. }) { self.silences + 1 } else { 0 };
                    if self.silences >= SILENCES_MAX {
                        self.outcome.waiting += left(&stack);
                        return Err(Stop::Target(error));
                    }
                }
                None => {}
            }
            if let Some(stop) = self.must_stop().await {
                self.outcome.waiting += left(&stack);
                return Err(stop);
            }
            let Some(part) = stack.pop() else {
                if is_size && answered_max > 0 {
                    self.size_max = answered_max;
                }
                return Ok(());
            };
            let part = self.anew(part);
            let Some(noted) = self.begin(part).await? else { continue };
            self.count_call(kind);
            match self.send(kind, &noted).await {
                Ok(answers) => {
                    self.silences = 0;
                    answered_max = answered_max.max(self.size_of(kind, &noted.in_flight));
                    let answered = self.answers(noted, answers);
                    self.note(answered).await?;
                    if let Err(stop) = self.resend(kind).await {
                        self.outcome.waiting += left(&stack);
                        return Err(stop);
                    }
                }
                Err(error) => failure = Some((noted, error)),
            }
        }
    }

    /// The changes of a batch that failed as a whole, to be sent again in parts. Where there was no answer they stay in flight until one of
    /// the parts has one: if this run gives up before that, the next one looks up what became of them.
    async fn parts(&self, noted: Noted, error: &TargetError) -> Result<Vec<Due>, Stop> {
        let Noted { in_flight, writes, unanswered } = noted;
        let is_unanswered = matches!(error, TargetError::Unreachable { .. });
        let sent =
            if is_unanswered { in_flight } else { self.note(not_sent(in_flight)).await?.into_iter().map(|(sent, _)| sent).collect() };
        let parts = sent.into_iter().zip(Arc::unwrap_or_clone(writes)).zip(unanswered);
        Ok(parts
            .map(|((sent, write), mut unanswered)| {
                unanswered.extend(is_unanswered.then_some(sent.id));
                Due { change: sent.change, write, unanswered }
            })
            .collect())
    }

    async fn must_stop(&self) -> Option<Stop> {
        if *self.delivery.interrupt.borrow() {
            return Some(Stop::Interrupted);
        }
        if Instant::now() >= self.delivery.deadline {
            return Some(Stop::Deadline);
        }
        (!self.delivery.lease.is_kept().await).then(|| self.lease_lost())
    }

    fn lease_lost(&self) -> Stop {
        Stop::Ledger(LedgerError::LeaseLost { target: self.delivery.target.name().clone() })
    }

    /// A process that was put to sleep finds its transaction undone and its connection closed. What there is to say of that is that its
    /// time is over.
    fn ledger_stop(&self, error: LedgerError) -> Stop {
        if self.delivery.lease.is_lost() { self.lease_lost() } else { Stop::Ledger(error) }
    }

    /// Notes a batch in the ledger as in flight; nothing for an empty one.
    async fn begin(&self, batch: Vec<Due>) -> Result<Option<Noted>, Stop> {
        if batch.is_empty() {
            return Ok(None);
        }
        let delivery = self.delivery;
        let (mut changes, mut writes, mut unanswered) = (Vec::new(), Vec::new(), Vec::new());
        for due in batch {
            changes.push(due.change);
            writes.push(due.write);
            unanswered.push(due.unanswered);
        }
        let tallies: Vec<Tally> =
            changes.iter().flat_map(|change| plan::tallies(change, delivery.limits, delivery.approved, delivery.at)).collect();
        let ids = delivery
            .ledger
            .begin_batch(delivery.lease.lease(), delivery.run, &changes, &tallies, delivery.at)
            .await
            .map_err(|error| self.ledger_stop(error))?;
        let in_flight = ids.into_iter().zip(changes).map(|(id, change)| InFlight { id, run: delivery.run.clone(), change }).collect();
        Ok(Some(Noted { in_flight, writes: Arc::new(writes), unanswered }))
    }

    /// What the target's answers to a batch come to.
    fn answers(&mut self, noted: Noted, answers: Vec<Result<Delivered, TargetError>>) -> Vec<(InFlight, Answer)> {
        // What the target left out stays in flight.
        let left_out = noted.in_flight.len().saturating_sub(answers.len()) as u64;
        self.outcome.unanswered += left_out;
        self.outcome.waiting += left_out;
        let mut notes = Vec::with_capacity(noted.in_flight.len());
        let sent = noted.in_flight.into_iter().enumerate().zip(answers).zip(noted.unanswered);
        for (((number, sent), answer), mut earlier) in sent {
            if let (Err(TargetError::Busy { seconds, .. }), Some(write)) = (&answer, noted.writes.get(number)) {
                let due = Due { change: sent.change.clone(), write: write.clone(), unanswered: earlier };
                self.put_off(due, *seconds);
                notes.push((sent, Answer::NotSent));
                continue;
            }
            // A success speaks for the times before it that had no answer, and what has none again stands for them. What is refused now may have been done then:
            // the next run looks.
            if !matches!(answer, Ok(_) | Err(TargetError::Unreachable { .. })) {
                earlier.pop();
            }
            notes.extend(earlier.into_iter().map(|id| (InFlight { id, ..sent.clone() }, Answer::NotSent)));
            let note = match answer {
                Ok(delivered) => self.done(&sent.change, delivered),
                Err(TargetError::Abandoned { text, .. }) => {
                    self.outcome.waiting += 1;
                    if sent.change.change == ChangeKind::Create {
                        self.outcome.waits.push((sent.change.key.clone(), text));
                    }
                    Answer::NotSent
                }
                Err(error) => self.refused(&sent.change, &error),
            };
            notes.push((sent, note));
        }
        notes
    }

    /// Writes answers to the ledger, and gives them back.
    async fn note(&self, notes: Vec<(InFlight, Answer)>) -> Result<Vec<(InFlight, Answer)>, Stop> {
        if notes.is_empty() {
            return Ok(notes);
        }
        let delivery = self.delivery;
        let count = notes.iter().filter(|(_, answer)| !matches!(answer, Answer::NotSent | Answer::Unknown { .. })).count() as u64;
        delivery
            .ledger
            .finish_batch(delivery.lease.lease(), delivery.run, &notes, delivery.at)
            .await
            .map_err(|error| self.ledger_stop(error))?;
        (delivery.progress)(count);
        Ok(notes)
    }

    fn done(&mut self, change: &Change, delivered: Delivered) -> Answer {
        *self.outcome.done.entry(change.change).or_default() += 1;
        if matches!(change.change, ChangeKind::Adopt | ChangeKind::Create | ChangeKind::Revive) {
            self.awaited.remove(&change.key);
        }
        if change.relation.is_some() {
            self.outcome.left.extend(delivered.left.into_iter().map(|(field, why)| (change.key.clone(), field, why)));
            return Answer::Done { record: delivered.record, class: delivered.class, fields: None, contributed: false };
        }
        let is_kept = !matches!(change.change, ChangeKind::Adopt | ChangeKind::Create);
        let contributed = change.contributed || (is_kept && self.writer.records.get(&change.key).is_some_and(|row| row.contributed));
        let before = self.writer.records.get(&change.key).and_then(|row| row.fields.clone()).unwrap_or_default();
        let mut fields = (change.change != ChangeKind::Purge).then(|| fields_after(&before, change, delivered.echoed.as_ref()));
        for (name, sent) in delivered.sent {
            if let Some(state) = fields.as_mut().and_then(|fields| fields.get_mut(&name)) {
                state.sent = Some(sent);
            }
        }
        for name in delivered.left.keys() {
            // It shows what it showed before. To write the same again at the next look would be in vain.
            let shown = before.get(name).map_or(Some(Value::Null), |last| last.echoed.clone());
            if let Some(state) = fields.as_mut().and_then(|fields| fields.get_mut(name)) {
                state.rests = true;
                state.echoed = shown;
            }
        }
        self.outcome.left.extend(delivered.left.into_iter().map(|(field, why)| (change.key.clone(), field, why)));
        match self.writer.records.get_mut(&change.key) {
            Some(row) => {
                row.record = Some(delivered.record.clone());
                row.state = match change.change {
                    ChangeKind::Purge => DeliveryState::Purged,
                    ChangeKind::Retire => DeliveryState::Retired,
                    _ => DeliveryState::Delivered,
                };
                row.contributed = contributed;
                row.carries = None;
                row.fields.clone_from(&fields);
            }
            None => {
                let carries = (!contributed).then(|| change.key.clone());
                self.writer.born.insert(change.key.clone(), Addressed { record: delivered.record.clone(), carries });
            }
        }
        // What was gone when it was to be removed has no class that the target could tell.
        let class = if delivered.class.is_empty() { change.class.clone() } else { delivered.class };
        Answer::Done { record: delivered.record, class, fields, contributed }
    }

    fn refused(&mut self, change: &Change, error: &TargetError) -> Answer {
        let attempts = 1 + self.refusal(change).map_or(0, |refusal| refusal.attempts);
        let parked = attempts >= ATTEMPTS_MAX;
        let answered = !matches!(error, TargetError::Unreachable { .. });
        let error = error.to_string();
        self.outcome.failed.push(Failure {
            key: change.key.clone(),
            relation: change.relation.clone(),
            change: change.change,
            error: error.clone(),
            parked,
        });
        Answer::Failed { error, attempts, next_try_at: (!parked).then(|| back_off(self.delivery.at, attempts)), parked, answered }
    }

    fn write_of(&self, change: &Change, made: &BTreeSet<Key>) -> Sendable {
        if change.gives_way_to.iter().any(|key| self.awaited.contains(key)) {
            return Sendable::Waits;
        }
        if let Some(refusal) = self.refusal(change) {
            let parked = refusal.attempts >= ATTEMPTS_MAX;
            if parked || refusal.next_try_at.is_some_and(|due| due > self.delivery.at) {
                return Sendable::NotDue { error: refusal.error.clone(), parked };
            }
        }
        match self.writer.make(change, made) {
            Some(write) => Sendable::Now(Box::new(write)),
            None => Sendable::Waits,
        }
    }

    /// What the target said to this very wish when it was last sent. What it said to another one holds nothing up.
    fn refusal(&self, change: &Change) -> Option<&Refusal> {
        let refusal = match &change.relation {
            Some(edge) => self.edges.get(edge).and_then(|row| row.refusal.as_deref()),
            None => self.writer.records.get(&change.key).and_then(|row| row.refusal.as_deref()),
        };
        refusal.filter(|refusal| refusal.change == change.id)
    }
}

fn not_sent(in_flight: Vec<InFlight>) -> Vec<(InFlight, Answer)> {
    in_flight.into_iter().map(|sent| (sent, Answer::NotSent)).collect()
}

enum Sendable {
    Now(Box<Write>),
    NotDue { error: String, parked: bool },
    Waits,
}

/// A row's fields after a change was taken; what the answer showed of them is their echo.
pub fn fields_after(
    fields: &BTreeMap<String, FieldState>,
    change: &Change,
    echoed: Option<&BTreeMap<String, Value>>,
) -> BTreeMap<String, FieldState> {
    let mut after = plan::delivered_fields(fields, change);
    for name in change.fields.keys() {
        // An echo in another form is left to the first read: that decides whether the field is written once more.
        if let (Some(state), Some(shown)) = (after.get_mut(name), echoed.and_then(|shown| shown.get(name)))
            && state.sent.as_ref() == Some(shown)
        {
            state.echoed = Some(shown.clone());
        }
    }
    after
}
