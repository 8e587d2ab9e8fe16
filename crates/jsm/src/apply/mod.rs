//! Writes to objects.
//!
//! One request for each object: its attributes, and the references that are its edges. What is related to new objects goes out with them; objects that
//! refer to others wait for these.

mod bulk;
mod check;
mod job;
mod send;
mod values;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dewpoint_core::model::{EdgeId, Key};
use dewpoint_core::target::{Addressed, Delivered, End, Operation, RecordId, Sending, Side, TargetError, Write};
use dewpoint_target_kit::Sightings;
use futures::StreamExt as _;
use tokio::sync::OnceCell;

use crate::book::Book;
use crate::import::Imports;
use crate::reading::{Reader, Stand};
use crate::resolver::Resolver;

use job::{Change, Job, On};
use send::Done;

/// Requests under way at a time.
const AT_ONCE: usize = 4;

/// Objects in a row for which no answer may come, before the others are left for another time.
const SILENCES_MAX: u32 = 3;

/// How long before the end of a batch the last object is begun with.
const LAST_START: Duration = Duration::from_secs(2);

/// How a batch goes: whether there is any sense in going on.
#[derive(Default)]
struct Course(Mutex<Going>);

#[derive(Default)]
struct Going {
    halted: Option<TargetError>,
    silences: u32,
}

impl Course {
    fn going(&self) -> MutexGuard<'_, Going> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn halted(&self) -> Option<TargetError> {
        self.going().halted.clone()
    }

    fn halt(&self, error: &TargetError) {
        self.going().halted.get_or_insert_with(|| error.clone());
    }

    /// Takes down how it went with an object: by the first of its answers that says something.
    fn note(&self, done: &Done) {
        let mut answers =
            done.answers.iter().map(|(_, answer)| answer).filter(|answer| !matches!(answer, Err(TargetError::Abandoned { .. })));
        match answers.next() {
            None => {}
            // What is refused may be its own fault, or that of its type.
            Some(Ok(_) | Err(TargetError::Rejected { .. } | TargetError::Forbidden { .. })) => self.going().silences = 0,
            Some(Err(error @ TargetError::Unreachable { .. })) => {
                let silences = {
                    let mut going = self.going();
                    going.silences += 1;
                    going.silences
                };
                if silences >= SILENCES_MAX {
                    self.halt(error);
                }
            }
            Some(Err(error)) => self.halt(error),
        }
    }
}

/// A batch on its way.
pub(crate) struct Batch<'a> {
    pub(crate) reader: Reader<'a>,
    pub(crate) book: &'a Book,
    pub(crate) resolver: &'a Resolver,
    pub(crate) imports: Option<&'a Imports>,
    /// How long after a write searches may show an older state.
    pub(crate) lag: Duration,
    pub(crate) writes: &'a [Write],
    /// When the resources behind records were seen of which only that is noted.
    pub(crate) sightings: &'a Sightings,
    pub(crate) sending: &'a Sending<'a>,
    /// Whether objects of the schema are shown to us, once that was in doubt.
    pub(crate) sight: OnceCell<()>,
}

/// What became of a write.
pub(crate) type Answer = Result<Delivered, TargetError>;

/// What is known when a batch is sent.
#[derive(Default)]
struct Ground {
    /// Where objects stand that writes speak of. What is not in it is not there.
    stands: HashMap<String, Stand>,
    /// Objects that this batch made, or found made.
    made: HashMap<Key, String>,
    /// Objects that this batch wrote to: they stand as it left them.
    written: HashSet<String>,
}

/// Answers as they come in, one place for each write.
struct Answers(Vec<Option<Answer>>);

impl Answers {
    fn put(&mut self, number: usize, answer: Answer) {
        if let Some(slot) = self.0.get_mut(number)
            // What failed in one part failed.
            && !matches!(slot, Some(Err(_)))
        {
            *slot = Some(answer);
        }
    }

    fn is_done(&self, number: usize) -> bool {
        matches!(self.0.get(number), Some(Some(Ok(_))))
    }
}

impl Batch<'_> {
    /// Sends all writes, and gives one answer to each.
    pub(crate) async fn send(&self) -> Result<Vec<Answer>, TargetError> {
        self.settle_imports().await?;
        let mut ground = Ground { stands: self.look().await?, ..Ground::default() };
        self.resolver.resolve(&self.reader, self.texts()).await?;
        let mut answers = Answers(self.writes.iter().map(|_| None).collect());
        let course = Course::default();
        let jobs = self.import(self.jobs(), &mut ground, &mut answers, &course).await?;
        self.run(jobs, &mut ground, &mut answers, &course).await;
        let retired = self.retired(&answers);
        match self.inbound(&retired).await {
            Ok(jobs) => self.run(jobs, &mut ground, &mut answers, &course).await,
            Err(error) => retired.values().for_each(|number| answers.put(*number, Err(self.put_off(&error)))),
        }
        let Answers(answers) = answers;
        // Where nothing was done, whoever sends the next batch has to know why. What got no answer may have been done.
        let first =
            course.halted().or_else(|| answers.iter().flatten().find_map(|answer| answer.as_ref().err().filter(is_of_all).cloned()));
        let may_have_done_any = answers.iter().flatten().any(|answer| match answer {
            Ok(_) | Err(TargetError::Rejected { .. }) => true,
            Err(TargetError::Unreachable { .. }) => !matches!(first, Some(TargetError::Unreachable { .. })),
            Err(_) => false,
        });
        if let Some(error) = first.filter(|_| !may_have_done_any) {
            return Err(error);
        }
        let left_out = || Err(self.reader.api.assets.unreachable("apply", "it was not sent"));
        Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(left_out)).collect())
    }

    /// Does all of it, in waves of what does not wait for one another.
    async fn run(&self, mut jobs: Vec<Job>, ground: &mut Ground, answers: &mut Answers, course: &Course) {
        while !jobs.is_empty() {
            let wave = next_wave(&mut jobs);
            let sent = {
                let known = &*ground;
                let sent = wave.into_iter().map(|job| async move {
                    if self.sending.deadline.saturating_duration_since(Instant::now()) < LAST_START {
                        course.halt(&self.later());
                    }
                    let done = match course.halted() {
                        Some(error) => self.not_sent(&job, &error),
                        None => self.job(&job, known).await,
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
                    ground.written.insert(id.clone());
                    ground.stands.insert(id, stand);
                }
                for (number, answer) in done.answers {
                    answers.put(number, answer);
                }
            }
        }
    }

    /// That the time of this batch is over, and the rest is to be sent again at once.
    fn later(&self) -> TargetError {
        TargetError::Busy { target: self.reader.api.assets.target().clone(), seconds: 0 }
    }

    /// Where the objects stand that writes speak of, but for those that are read by themselves when their turn comes.
    async fn look(&self) -> Result<HashMap<String, Stand>, TargetError> {
        let api = self.reader.api;
        let (mut stands, mut asked) = (HashMap::new(), BTreeSet::new());
        let looked_at = || self.writes.iter().flat_map(|write| self.addressed(write).into_iter().map(move |addressed| (write, addressed)));
        for (_, addressed) in looked_at() {
            let id = &addressed.record.0;
            match self.book.stand(api.assets.clock(), self.lag, id) {
                Some(stand) => drop(stands.insert(id.clone(), stand)),
                None => drop(asked.insert(id.clone())),
            }
        }
        let mut found = self.reader.stands(&asked).await?;
        // A search may show an older state, or nothing yet. What is about to be refused for it is looked at itself.
        let mut odd = BTreeSet::new();
        for (write, addressed) in looked_at() {
            let id = &addressed.record.0;
            let fits = found.get(id).is_some_and(|stand| self.fits(write, addressed, stand));
            if !fits && !stands.contains_key(id) {
                odd.insert(id.clone());
            }
        }
        let objects = odd.into_iter().map(|id| async move {
            let stand = self.read(&id).await;
            (id, stand)
        });
        let objects: Vec<_> = futures::stream::iter(objects).buffer_unordered(AT_ONCE).collect().await;
        for (id, stand) in objects {
            match stand? {
                Some(stand) => drop(found.insert(id, stand)),
                None => drop(found.remove(&id)),
            }
        }
        stands.extend(found);
        Ok(stands)
    }

    /// Where an object stands now.
    async fn read(&self, id: &str) -> Result<Option<Stand>, TargetError> {
        if !crate::reading::is_id(id) {
            return Ok(None);
        }
        match self.reader.api.object(id).await? {
            Some(object) => Ok(Some(self.reader.stand(&object))),
            None => {
                self.check_sight().await?;
                Ok(None)
            }
        }
    }

    /// Makes sure that what is not shown is not only hidden from us: whoever lost a role is told of all objects that there are none.
    async fn check_sight(&self) -> Result<(), TargetError> {
        let checked = self.sight.get_or_try_init(async || {
            let (api, schema) = (self.reader.api, &self.reader.schema.id);
            let is_any_shown = match api.any(&format!("objectSchemaId = {schema}")).await {
                Ok(found) => found.is_some(),
                // Sites refuse to search in what they do not show.
                Err(TargetError::Rejected { .. }) => false,
                Err(error) => return Err(error),
            };
            if is_any_shown || api.objects_in_schema(schema).await? == Some(0) {
                return Ok(());
            }
            Err(TargetError::Forbidden {
                target: api.assets.target().clone(),
                operation: "read objects",
                text: "objects that stood there are not shown, and no other of the schema is: give the user a role in it".to_owned(),
            })
        });
        checked.await.copied()
    }

    /// The records that a write speaks of, that stand there, and that are not read by themselves when its turn comes.
    fn addressed<'w>(&self, write: &'w Write) -> Vec<&'w Addressed> {
        let kept = |edge: &EdgeId, to_kind| self.reader.mapping.edge(edge.relation, write.kind, to_kind).map(|held| held.side);
        match &write.operation {
            Operation::Create { .. } => Vec::new(),
            _ if reads_first(&write.operation) => Vec::new(),
            Operation::Update { record, .. } | Operation::Purge { record } => vec![record],
            Operation::Relate { edge, from, to, to_kind, .. } => {
                let other = if kept(edge, *to_kind) == Some(Side::From) { to } else { from };
                other.standing().into_iter().collect()
            }
            Operation::Unrelate { edge, from, to, to_kind } => vec![if kept(edge, *to_kind) == Some(Side::From) { to } else { from }],
        }
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

    /// The records that were retired, by id.
    fn retired(&self, answers: &Answers) -> BTreeMap<String, usize> {
        let mut retired = BTreeMap::new();
        for (number, write) in self.writes.iter().enumerate() {
            if let Operation::Update { record, retired: Some(true), .. } = &write.operation
                && answers.is_done(number)
            {
                retired.insert(record.record.0.clone(), number);
            }
        }
        retired
    }

    /// What is to be done with objects that we related to records that were retired: no search is sure to show all of them, so what was written a moment ago
    /// counts as well.
    async fn inbound(&self, retired: &BTreeMap<String, usize>) -> Result<Vec<Job>, TargetError> {
        let ids: Vec<&str> = retired.keys().map(String::as_str).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut holders: BTreeMap<String, Stand> = self.book.leading_to(&ids.iter().copied().collect()).into_iter().collect();
        for chunk in ids.chunks(crate::aql::LISTED_MAX) {
            let query = format!(
                "objectSchemaId = {} AND object HAVING outboundReferences({})",
                self.reader.schema.id,
                crate::aql::of_ids(chunk.iter().copied())
            );
            for object in self.reader.api.search(&query).await? {
                let stand = self.reader.stand(&object);
                holders.insert(object.id.0, stand);
            }
        }
        let mut jobs = Vec::new();
        for (id, stand) in holders {
            let is_others = stand.estate.is_some_and(|estate| estate != *self.sending.estate);
            let referred: BTreeSet<&String> = stand.references.values().flatten().collect();
            let lost: BTreeMap<String, usize> =
                referred.into_iter().filter_map(|other| Some((other.clone(), *retired.get(other)?))).collect();
            if !is_others && !lost.is_empty() {
                jobs.push(Job::new(On::Standing(id), Change::Forget(lost)));
            }
        }
        Ok(jobs)
    }

    /// What is to be done with each object, in order.
    fn jobs(&self) -> Vec<Job> {
        let mut jobs: Vec<Job> = Vec::new();
        // Where in the list a new object is made.
        let mut makes: HashMap<&Key, usize> = HashMap::new();
        for (number, write) in self.writes.iter().enumerate() {
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

/// Whether a write to an object wants it read right before: what people made of it since the last look must not be undone.
const fn reads_first(operation: &Operation) -> bool {
    match operation {
        Operation::Purge { .. } => true,
        Operation::Update { retired, take_over, .. } => matches!(retired, Some(true)) || *take_over,
        Operation::Create { .. } | Operation::Relate { .. } | Operation::Unrelate { .. } => false,
    }
}

/// Whether an error is about whoever asks, and not about a record.
fn is_of_all(error: &&TargetError) -> bool {
    matches!(
        error,
        TargetError::Credentials { .. } | TargetError::Forbidden { .. } | TargetError::Unusable { .. } | TargetError::Busy { .. }
    )
}

fn on(end: &End) -> On {
    match end {
        End::Stands(addressed) => On::Standing(addressed.record.0.clone()),
        End::Made(key) => On::New(key.clone()),
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
