//! Writes to objects.
//!
//! One request for each object: its attributes, and the references that are its edges. What is related to new objects goes out with them; objects that
//! refer to others wait for these.

mod check;
mod job;
mod send;
mod values;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dewpoint_core::model::Key;
use dewpoint_core::target::{Addressed, Delivered, End, Operation, RecordId, Sending, Side, TargetError, Write};
use futures::StreamExt as _;

use crate::book::Book;
use crate::reading::{Reader, Stand};
use crate::resolver::Resolver;

use job::{Change, Job, On};
use send::Done;

/// Requests under way at a time.
const AT_ONCE: usize = 4;

/// Objects in a row for which no answer may come, before the others are left for another time.
const SILENCES_MAX: u32 = 3;

/// How a batch goes: whether there is any sense in going on.
#[derive(Default)]
struct Course(Mutex<Going>);

#[derive(Default)]
struct Going {
    halted: Option<TargetError>,
    silences: u32,
    has_done_any: bool,
}

impl Course {
    fn going(&self) -> MutexGuard<'_, Going> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn halted(&self) -> Option<TargetError> {
        self.going().halted.clone()
    }

    fn has_done_any(&self) -> bool {
        self.going().has_done_any
    }

    fn note(&self, done: &Done) {
        let mut going = self.going();
        for (_, answer) in &done.answers {
            match answer {
                Ok(_) => (going.silences, going.has_done_any) = (0, true),
                // What is refused may be its own fault.
                Err(TargetError::Rejected { .. }) => (going.silences, going.has_done_any) = (0, true),
                Err(TargetError::Abandoned { .. }) => {}
                Err(error @ TargetError::Unreachable { .. }) => {
                    going.silences += 1;
                    if going.silences >= SILENCES_MAX {
                        going.halted.get_or_insert_with(|| error.clone());
                    }
                }
                Err(error) => drop(going.halted.get_or_insert_with(|| error.clone())),
            }
        }
    }
}

/// A batch on its way.
pub(crate) struct Batch<'a> {
    pub(crate) reader: Reader<'a>,
    pub(crate) book: &'a Book,
    pub(crate) resolver: &'a Resolver,
    /// How long after a write searches may show an older state.
    pub(crate) lag: Duration,
    pub(crate) writes: &'a [Write],
    pub(crate) sending: &'a Sending<'a>,
}

type Answer = Result<Delivered, TargetError>;

/// What is known when a batch is sent.
#[derive(Default)]
struct Ground {
    /// Where objects stand that writes speak of. What is not in it is not there.
    stands: HashMap<String, Stand>,
    /// Objects that this batch made, or found made.
    made: HashMap<Key, String>,
}

impl Batch<'_> {
    /// Sends all writes, and gives one answer to each.
    pub(crate) async fn send(&self) -> Result<Vec<Answer>, TargetError> {
        let mut ground = Ground { stands: self.look().await?, made: HashMap::new() };
        self.resolver.resolve(&self.reader, self.texts()).await?;
        let mut answers: Vec<Option<Answer>> = self.writes.iter().map(|write| self.check(write, &ground.stands).err().map(Err)).collect();
        let inbound = self.inbound(&answers, &ground.stands).await?;
        let mut jobs = self.jobs(&answers, inbound);
        let course = Course::default();
        while !jobs.is_empty() {
            let wave = next_wave(&mut jobs);
            let sent = {
                let (ground, course) = (&ground, &course);
                let sent = wave.into_iter().map(|job| async move {
                    let done = match course.halted() {
                        Some(error) => self.not_sent(&job, &error),
                        None => self.job(&job, ground).await,
                    };
                    course.note(&done);
                    (job, done)
                });
                futures::stream::iter(sent).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await
            };
            for (job, done) in sent {
                if let Some((id, stand)) = done.stand {
                    if let On::New(key) = &job.on {
                        ground.made.insert(key.clone(), id.clone());
                    }
                    ground.stands.insert(id, stand);
                }
                for (number, answer) in done.answers {
                    if let Some(slot) = answers.get_mut(number)
                        // What failed in one part failed.
                        && !matches!(slot, Some(Err(_)))
                    {
                        *slot = Some(answer);
                    }
                }
            }
        }
        // Where nothing was done, whoever sends the next batch has to know why.
        if let Some(error) = course.halted().filter(|_| !course.has_done_any()) {
            return Err(error);
        }
        let left_out = || Err(self.reader.api.assets.unreachable("apply", "it was not sent"));
        Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(left_out)).collect())
    }

    /// Where the objects stand that writes speak of.
    async fn look(&self) -> Result<HashMap<String, Stand>, TargetError> {
        let api = self.reader.api;
        let (mut stands, mut asked, mut held) = (HashMap::new(), BTreeSet::new(), BTreeSet::new());
        for write in self.writes {
            for (addressed, holds) in addressed(write, self.reader.mapping) {
                let id = &addressed.record.0;
                if let Some(stand) = self.book.stand(api.assets.clock(), self.lag, id) {
                    stands.insert(id.clone(), stand);
                } else if holds {
                    held.insert(id.clone());
                } else {
                    asked.insert(id.clone());
                }
            }
        }
        let asked: BTreeSet<String> = asked.difference(&held).cloned().collect();
        let mut found = self.reader.stands(&asked).await?;
        // A search may show an older state, or nothing yet. What is about to be refused for it, or to be written as a whole, is looked at itself.
        for write in self.writes {
            for (addressed, _) in addressed(write, self.reader.mapping) {
                let fits = found.get(&addressed.record.0).is_some_and(|stand| self.fits(write, addressed, stand));
                if !fits && !stands.contains_key(&addressed.record.0) {
                    held.insert(addressed.record.0.clone());
                }
            }
        }
        let held: Vec<String> = held.into_iter().filter(|id| crate::reading::is_id(id)).collect();
        let objects = held.into_iter().map(|id| async move {
            let object = api.object(&id).await;
            (id, object)
        });
        let objects: Vec<_> = futures::stream::iter(objects).buffer_unordered(AT_ONCE).collect().await;
        for (id, object) in objects {
            match object? {
                Some(object) => drop(found.insert(id, self.reader.stand(&object))),
                None => drop(found.remove(&id)),
            }
        }
        stands.extend(found);
        Ok(stands)
    }

    /// Texts that stand for users, groups and objects.
    fn texts(&self) -> BTreeSet<(crate::shape::AttributeShape, String)> {
        let mut texts = BTreeSet::new();
        for write in self.writes {
            let (Operation::Create { fields, .. } | Operation::Update { fields, .. }) = &write.operation else { continue };
            for (name, value) in fields {
                if let Some((field, text)) = self.reader.mapping.sheet().field(write.kind, name).zip(value.as_str())
                    && Resolver::resolves(&field.shape)
                {
                    texts.insert((field.shape.clone(), text.to_owned()));
                }
            }
        }
        texts
    }

    /// The objects that refer to records that are retired, with these: no search is sure to show all of them, so what was written a moment ago is looked at as well.
    async fn inbound(&self, answers: &[Option<Answer>], stands: &HashMap<String, Stand>) -> Result<Vec<(String, Inbound)>, TargetError> {
        let mut retired: BTreeMap<&str, usize> = BTreeMap::new();
        for (number, write) in self.writes.iter().enumerate() {
            let is_refused = answers.get(number).is_some_and(Option::is_some);
            if let Operation::Update { record, retired: Some(true), .. } = &write.operation
                && !is_refused
                && stands.contains_key(&record.record.0)
            {
                retired.insert(&record.record.0, number);
            }
        }
        if retired.is_empty() {
            return Ok(Vec::new());
        }
        let api = self.reader.api;
        let ids: Vec<&str> = retired.keys().copied().collect();
        let mut holders: BTreeSet<String> = self.book.leading_to(&ids.iter().copied().collect()).into_iter().collect();
        for chunk in ids.chunks(crate::aql::LISTED_MAX) {
            let query = format!(
                "objectSchemaId = {} AND object HAVING outboundReferences({})",
                self.reader.schema.id,
                crate::aql::of_ids(chunk.iter().copied())
            );
            holders.extend(api.search(&query).await?.into_iter().map(|object| object.id.0));
        }
        let mut inbound = Vec::new();
        for id in holders {
            let stand = match self.book.stand(api.assets.clock(), self.lag, &id) {
                Some(stand) => stand,
                None => match api.object(&id).await? {
                    Some(object) => self.reader.stand(&object),
                    None => continue,
                },
            };
            if stand.estate.as_ref() != Some(self.sending.estate) {
                continue;
            }
            let Some(data) = &stand.data else { continue };
            let mut removed = Vec::new();
            for (relation, others) in &data.edges {
                for other in others {
                    if let Some(number) = retired.get(other.as_str()) {
                        removed.push((relation.clone(), other.clone(), *number));
                    }
                }
            }
            if !removed.is_empty() {
                inbound.push((id, Inbound { stand, removed }));
            }
        }
        Ok(inbound)
    }

    /// What is to be done with each object, in order.
    fn jobs(&self, answers: &[Option<Answer>], inbound: Vec<(String, Inbound)>) -> Vec<Job> {
        let mut jobs: Vec<Job> = inbound.into_iter().map(|(id, inbound)| Job::forgetting(id, inbound)).collect();
        // Where in the list a new object is made.
        let mut makes: HashMap<&Key, usize> = HashMap::new();
        for (number, write) in self.writes.iter().enumerate() {
            if answers.get(number).is_some_and(Option::is_some) {
                continue;
            }
            match &write.operation {
                Operation::Create { .. } => {
                    makes.insert(&write.key, jobs.len());
                    jobs.push(Job::new(On::New(write.key.clone()), Change::Write(number)));
                }
                Operation::Update { record, .. } => {
                    jobs.push(Job::new(On::Standing(record.record.0.clone()), Change::Write(number)));
                }
                Operation::Purge { record } => {
                    jobs.push(Job::new(On::Standing(record.record.0.clone()), Change::Purge(number)));
                }
                Operation::Relate { edge, from, to, to_kind, .. } => {
                    let Some(held) = self.reader.mapping.edge(edge.relation, write.kind, *to_kind) else { continue };
                    let (holder, other) = if held.side == Side::From { (from, to) } else { (to, from) };
                    let change = Change::Relate(number, on(other));
                    // With the object's own making, where what it leads to is made before it.
                    let made_at = match holder {
                        End::Made(key) => makes.get(key).copied(),
                        End::Stands(_) => None,
                    };
                    let other_at = match other {
                        End::Made(key) => makes.get(key).copied(),
                        End::Stands(_) => None,
                    };
                    match made_at.filter(|made_at| other_at.is_none_or(|other_at| other_at < *made_at)).and_then(|at| jobs.get_mut(at)) {
                        Some(job) => job.changes.push(change),
                        None => self.relate(&mut jobs, on(holder), change),
                    }
                }
                Operation::Unrelate { edge, from, to, to_kind } => {
                    let Some(held) = self.reader.mapping.edge(edge.relation, write.kind, *to_kind) else { continue };
                    let (holder, other) = if held.side == Side::From { (from, to) } else { (to, from) };
                    let change = Change::Unrelate(number, other.record.0.clone());
                    self.relate(&mut jobs, On::Standing(holder.record.0.clone()), change);
                }
            }
        }
        jobs
    }

    /// Puts a change of an edge to those of the same object, where the last thing that is done with it is one.
    fn relate(&self, jobs: &mut Vec<Job>, holder: On, change: Change) {
        match jobs.iter_mut().rev().find(|job| job.on == holder) {
            Some(job) if job.is_of_edges() => job.changes.push(change),
            _ => jobs.push(Job::new(holder, change)),
        }
    }
}

/// An object that refers to records that are retired.
pub(crate) struct Inbound {
    stand: Stand,
    /// Type of the edge, the record, and the number of the write that retires it.
    removed: Vec<(String, String, usize)>,
}

fn on(end: &End) -> On {
    match end {
        End::Stands(addressed) => On::Standing(addressed.record.0.clone()),
        End::Made(key) => On::New(key.clone()),
    }
}

/// The records that a write speaks of and that stand there, and whether the write changes what they refer to.
fn addressed<'w>(write: &'w Write, mapping: &crate::mapping::Mapping) -> Vec<(&'w Addressed, bool)> {
    let sides = |edge: &dewpoint_core::model::EdgeId, to_kind| mapping.edge(edge.relation, write.kind, to_kind).map(|held| held.side);
    match &write.operation {
        Operation::Create { .. } => Vec::new(),
        Operation::Update { record, retired, .. } => vec![(record, *retired == Some(true))],
        Operation::Purge { record } => vec![(record, false)],
        Operation::Relate { edge, from, to, to_kind, .. } => {
            let side = sides(edge, *to_kind);
            let ends = [(from, Side::From), (to, Side::To)];
            ends.into_iter().filter_map(|(end, own)| Some((end.standing()?, side == Some(own)))).collect()
        }
        Operation::Unrelate { edge, from, to, to_kind } => {
            let side = sides(edge, *to_kind);
            vec![(from, side == Some(Side::From)), (to, side == Some(Side::To))]
        }
    }
}

/// The jobs that can be done now, in order: none waits for another of them.
fn next_wave(jobs: &mut Vec<Job>) -> Vec<Job> {
    let mut wave: Vec<Job> = Vec::new();
    let mut held_up: BTreeSet<On> = BTreeSet::new();
    let mut rest = Vec::new();
    for job in jobs.drain(..) {
        let waits = job.waits_for().any(|on| held_up.contains(on));
        // What is done to an object, or rests on it, comes one after the other.
        held_up.insert(job.on.clone());
        if waits { &mut rest } else { &mut wave }.push(job);
    }
    *jobs = rest;
    wave
}

/// What an object is known as once it is written.
fn delivered(id: &str, class: &str) -> Delivered {
    Delivered::to(RecordId(id.to_owned()), class.to_owned())
}
