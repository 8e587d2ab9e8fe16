//! Sending what is done with one object, and what its answer means.

use std::collections::BTreeMap;
use std::time::Duration;

use dewpoint_core::model::Key;
use dewpoint_core::target::{Operation, TargetError, Write};
use jiff::Timestamp;

use super::job::{Change, Job, On};
use super::values::Draft;
use super::{Answer, Batch, Ground, delivered};
use crate::api::WriteFailure;
use crate::external_id::{distinct_id, external_id};
use crate::mapping::{DELIVERED_AT, EXTERNAL_ID, LIFECYCLE};
use crate::object::Object;
use crate::reading::Stand;

/// What came of a job.
pub(super) struct Done {
    pub(super) answers: Vec<(usize, Answer)>,
    /// How the object stands now, where it does.
    pub(super) stand: Option<(String, Stand)>,
}

/// How often what is refused is sent again without what it is refused for.
const AMENDMENTS_MAX: usize = 3;

/// Pauses between looks for an object that was made without an answer.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// What became of a create that had no answer, or was refused since there is one of its key.
enum Sought {
    /// It is there.
    Ours(String, Box<Stand>),
    NotOurs(String),
    /// An object has the external id of another key, which differs by case alone.
    Another(String),
    NotShown,
}

/// What came of a create.
enum Made {
    New(String),
    /// It was there before.
    Stands(String, Box<Stand>),
}

impl Batch<'_> {
    /// Does what is to be done with one object.
    pub(super) async fn job(&self, job: &Job, ground: &Ground) -> Done {
        match self.changes(job, ground).await {
            Ok(done) => done,
            Err(error) => self.failed(job, &error),
        }
    }

    async fn changes(&self, job: &Job, ground: &Ground) -> Result<Done, TargetError> {
        let mut standing = match &job.on {
            On::Standing(id) => Some(id.clone()),
            On::New(key) => ground.made.get(key).cloned(),
        };
        // What is kept as a whole is never written from an older state.
        let (mut stand, mut is_fresh) = match &standing {
            Some(id) if ground.written.contains(id) => (ground.stands.get(id).cloned(), true),
            Some(id) if self.reads_first(job) => (self.read(id).await?, true),
            Some(id) => (ground.stands.get(id).cloned(), false),
            None => (None, true),
        };
        loop {
            let read = standing.as_deref().map(|id| (id, stand.as_ref()));
            let (mut changes, mut answers) = (Vec::new(), Vec::new());
            for change in &job.changes {
                match self.check_change(change, read, ground) {
                    Ok(()) => changes.push(change),
                    Err(error) => answers.extend(change.numbers().into_iter().map(|number| (number, Err(error.clone())))),
                }
            }
            if changes.is_empty() {
                return Ok(Done { answers, stand: None });
            }
            if let [Change::Purge(number)] = changes.as_slice() {
                let id = standing.as_deref().filter(|_| stand.is_some());
                return self.purge(*number, id).await;
            }
            let creates = changes.iter().find_map(|change| self.create_of(change));
            let mut draft = match (&stand, creates) {
                (Some(stand), _) => Draft::of(stand.clone()),
                (None, Some((class, _))) => Draft::of(Stand::of_nobody(class.clone())),
                (None, None) => return Ok(self.without_object(&changes, answers)),
            };
            let mut put = Vec::new();
            for change in changes {
                match self.put_change(&mut draft, change, ground) {
                    Ok(()) => put.push(change),
                    Err(error) if matches!(change, Change::Write(_)) => return Err(error),
                    Err(error) => answers.extend(change.numbers().into_iter().map(|number| (number, Err(error.clone())))),
                }
            }
            let id = match (&standing, creates) {
                (Some(id), _) => {
                    if draft.rewrites() && !is_fresh {
                        (stand, is_fresh) = (self.read(id).await?, true);
                        continue;
                    }
                    if !(job.is_of_edges() && draft.is_idle()) {
                        self.change(id, &mut draft).await?;
                    }
                    id.clone()
                }
                (None, Some((_, write))) => match self.make(&write.key, &mut draft).await? {
                    Made::New(id) => id,
                    Made::Stands(id, found) => {
                        (standing, stand, is_fresh) = (Some(id), Some(*found), true);
                        continue;
                    }
                },
                (None, None) => return Ok(self.without_object(&put, answers)),
            };
            for change in put {
                for number in change.numbers() {
                    if let Some(answer) = self.answer(change, number, &id, &draft, ground) {
                        answers.push((number, answer));
                    }
                }
            }
            return Ok(Done { answers, stand: Some((id, draft.stand)) });
        }
    }

    /// Whether an object is read before anything is done with it.
    fn reads_first(&self, job: &Job) -> bool {
        job.changes.iter().any(|change| match change {
            Change::Write(number) => self.writes.get(*number).is_some_and(|write| super::reads_first(&write.operation)),
            Change::Purge(_) | Change::Relate(..) | Change::Unrelate(..) | Change::Forget(_) => true,
        })
    }

    pub(super) fn check_change(&self, change: &Change, read: Option<(&str, Option<&Stand>)>, ground: &Ground) -> Result<(), TargetError> {
        match change {
            // Whose it is was looked at when it was found, and is once more here.
            Change::Forget(_) => Ok(()),
            Change::Write(number) | Change::Purge(number) | Change::Relate(number, _) | Change::Unrelate(number, _) => {
                self.writes.get(*number).map_or(Ok(()), |write| self.check(write, read, ground))
            }
        }
    }

    pub(super) fn create_of(&self, change: &Change) -> Option<(&String, &Write)> {
        let Change::Write(number) = change else { return None };
        match self.writes.get(*number) {
            Some(write @ Write { operation: Operation::Create { class, .. }, .. }) => Some((class, write)),
            _ => None,
        }
    }

    /// Edges of an object that was not made wait for it; what is to be taken from one that is not there is taken.
    fn without_object(&self, changes: &[&Change], mut answers: Vec<(usize, Answer)>) -> Done {
        for change in changes {
            match change {
                Change::Forget(_) => {}
                Change::Unrelate(number, _) => {
                    if let Some(Write { operation: Operation::Unrelate { from, .. }, .. }) = self.writes.get(*number) {
                        answers.push((*number, Ok(delivered(&from.record.0, ""))));
                    }
                }
                _ => {
                    let waits = |number| (number, Err(self.abandoned("one of its ends was not made".to_owned())));
                    answers.extend(change.numbers().into_iter().map(waits));
                }
            }
        }
        Done { answers, stand: None }
    }

    /// What is left for another time, since something else went wrong.
    pub(super) fn not_sent(&self, job: &Job, error: &TargetError) -> Done {
        let left = self.put_off(error);
        self.failed(job, &left)
    }

    fn failed(&self, job: &Job, error: &TargetError) -> Done {
        let numbers = job.changes.iter().flat_map(Change::numbers);
        Done { answers: numbers.map(|number| (number, Err(error.clone()))).collect(), stand: None }
    }

    /// What an error of another write means for one that was not sent.
    pub(super) fn put_off(&self, error: &TargetError) -> TargetError {
        match error {
            // It is to be sent again.
            TargetError::Busy { .. } => error.clone(),
            _ => self.abandoned(error.to_string()),
        }
    }

    fn abandoned(&self, text: String) -> TargetError {
        TargetError::Abandoned { target: self.reader.api.assets.target().clone(), text }
    }

    /// Puts a change into the request.
    pub(super) fn put_change(&self, draft: &mut Draft, change: &Change, ground: &Ground) -> Result<(), TargetError> {
        let operation = |number: usize| self.writes.get(number).map(|write| (write, &write.operation));
        match change {
            Change::Purge(_) => {}
            Change::Forget(lost) => {
                // Somebody else's by now.
                if draft.stand.estate.as_ref().is_none_or(|estate| estate == self.sending.estate) {
                    self.take_edges_to(draft, lost.keys());
                }
            }
            Change::Write(number) => match operation(*number) {
                Some((write, Operation::Create { fields, .. })) => {
                    self.put_marks(draft, write);
                    self.put_fields(draft, write, fields);
                }
                Some((_, Operation::Update { record, .. })) if let Some(seen_at) = self.sightings.at(&record.record) => {
                    if draft.stand.estate.is_none() {
                        return Err(self.reader.api.assets.rejected(format!("object {} is not ours", record.record.0)));
                    }
                    draft.seen_at = Some(seen_at);
                }
                Some((write, Operation::Update { record, fields, retired, take_over, .. })) => {
                    if *take_over || record.carries.is_some() || draft.stand.estate.is_some() {
                        self.put_marks(draft, write);
                    }
                    self.put_fields(draft, write, fields);
                    if *retired == Some(true) {
                        self.take_all_edges(draft);
                    }
                }
                _ => {}
            },
            Change::Relate(number, other) => {
                let Some((write, Operation::Relate { edge, to_kind, .. })) = operation(*number) else { return Ok(()) };
                let other = match other {
                    On::Standing(id) => id,
                    On::New(key) => {
                        ground.made.get(key).ok_or_else(|| self.abandoned(format!("{key}, where it leads to, was not made")))?
                    }
                };
                if let Some(held) = self.reader.mapping.edge(edge.relation, write.kind, *to_kind) {
                    self.put_edge(draft, *number, held, other)?;
                }
            }
            Change::Unrelate(number, other) => {
                if let Some((_, Operation::Unrelate { edge, .. })) = operation(*number) {
                    self.take_edge(draft, edge.relation.as_str(), other);
                }
            }
        }
        Ok(())
    }

    /// The answer to a write; `None` where its own object tells it.
    pub(super) fn answer(&self, change: &Change, number: usize, id: &str, draft: &Draft, ground: &Ground) -> Option<Answer> {
        if matches!(change, Change::Forget(_)) {
            return None;
        }
        let rejected = |text: String| Err(self.reader.api.assets.rejected(text));
        Some(match self.writes.get(number).map(|write| &write.operation) {
            Some(Operation::Relate { from, edge, .. }) => {
                if let Some(why) = draft.refusal(number) {
                    return Some(rejected(format!("the site refuses the reference of `{}`: {why}", edge.relation)));
                }
                let from = match super::on(from) {
                    On::Standing(id) => Some(id),
                    On::New(key) => ground.made.get(&key).cloned(),
                };
                Ok(delivered(from.as_deref().unwrap_or(id), &draft.class))
            }
            Some(Operation::Unrelate { from, .. }) => Ok(delivered(&from.record.0, &draft.class)),
            Some(Operation::Update { retired: Some(_), .. }) if draft.left.contains_key(LIFECYCLE) => {
                // Nothing else tells whether a resource has ended.
                let why = draft.left.get(LIFECYCLE).map(String::as_str).unwrap_or_default();
                rejected(format!("`{LIFECYCLE}` was not written: {why}"))
            }
            _ => {
                let mut done = delivered(id, &draft.class);
                done.sent.clone_from(&draft.sent);
                done.left.clone_from(&draft.left);
                Ok(done)
            }
        })
    }

    /// Removes an object, if it is there.
    async fn purge(&self, number: usize, id: Option<&str>) -> Result<Done, TargetError> {
        if let Some(id) = id {
            if !self.reader.api.delete(id).await? {
                self.check_sight().await?;
            }
            self.wrote(id, None);
        }
        let Some(Write { kind, operation: Operation::Purge { record }, .. }) = self.writes.get(number) else {
            return Ok(Done { answers: Vec::new(), stand: None });
        };
        let class = self.reader.mapping.sheet().class(*kind).unwrap_or_default();
        Ok(Done { answers: vec![(number, Ok(delivered(&record.record.0, class)))], stand: None })
    }

    pub(super) fn wrote(&self, id: &str, stand: Option<Stand>) {
        self.book.wrote(self.reader.api.assets.clock(), self.lag, id, stand);
    }

    /// Changes an object.
    async fn change(&self, id: &str, draft: &mut Draft) -> Result<(), TargetError> {
        for _ in 0..=AMENDMENTS_MAX {
            let written = self.compose(draft)?;
            if written.is_empty() {
                return Ok(());
            }
            match self.reader.api.update(id, self.type_id(&draft.class)?, &written).await {
                Ok(shown) => {
                    draft.stand.delivered_at = Some(self.noted_at(draft));
                    let taken = self.check_taken(&shown, draft);
                    self.wrote(id, taken.is_ok().then(|| draft.stand.clone()));
                    return taken;
                }
                Err(WriteFailure::Invalid { by_attribute, text }) => self.amend(draft, &by_attribute, &text)?,
                Err(WriteFailure::Gone) => {
                    self.wrote(id, None);
                    self.check_sight().await?;
                    return Err(self.reader.api.assets.rejected(format!("there is no object {id} any more")));
                }
                Err(WriteFailure::Doubt(error)) => {
                    self.wrote(id, None);
                    return Err(error);
                }
                Err(WriteFailure::Other(error)) => return Err(error),
            }
        }
        Err(self.reader.api.assets.rejected("it is refused for one reason after the other".to_owned()))
    }

    /// Some sites were seen to answer as if all was done, and to leave out what they did not understand.
    fn check_taken(&self, shown: &Object, draft: &Draft) -> Result<(), TargetError> {
        let Some(attribute) = self.reader.schema.attribute(&draft.class, DELIVERED_AT).filter(|_| draft.stand.estate.is_some()) else {
            return Ok(());
        };
        let told = shown.text(&attribute.id).and_then(|text| text.parse::<Timestamp>().ok());
        // It is kept to the millisecond.
        if !shown.has_attributes() || told.is_some_and(|told| told.as_millisecond() == self.noted_at(draft).as_millisecond()) {
            return Ok(());
        }
        let text =
            format!("the site says that it is done, and `{DELIVERED_AT}` is not what was sent: nothing tells what became of the rest");
        Err(self.reader.api.assets.rejected(text))
    }

    /// Makes an object, or finds the one that was made before.
    async fn make(&self, key: &Key, draft: &mut Draft) -> Result<Made, TargetError> {
        let api = self.reader.api;
        let external = self.attribute(&draft.class, EXTERNAL_ID)?;
        if !self.reader.schema.attribute(&draft.class, EXTERNAL_ID).is_some_and(|attribute| attribute.is_unique) {
            let text = format!(
                "`{EXTERNAL_ID}` of type `{}` is not unique, and nothing else keeps a repeated create from making a second object: an Assets administrator makes it unique",
                draft.class
            );
            return Err(api.assets.rejected(text));
        }
        let (mut is_in_doubt, mut is_distinct) = (false, false);
        for _ in 0..=AMENDMENTS_MAX {
            let written = self.compose(draft)?;
            match api.create(self.type_id(&draft.class)?, &written).await {
                Ok(id) => {
                    draft.stand.delivered_at = Some(self.noted_at(draft));
                    self.wrote(&id, Some(draft.stand.clone()));
                    return Ok(Made::New(id));
                }
                Err(WriteFailure::Invalid { by_attribute, .. }) if by_attribute.contains_key(&external) => match self.seek(key).await? {
                    Sought::Ours(id, stand) => return Ok(Made::Stands(id, stand)),
                    Sought::Another(_) if !is_distinct => {
                        draft.go_by_distinct_id(key);
                        is_distinct = true;
                    }
                    Sought::NotOurs(text) | Sought::Another(text) => return Err(api.assets.rejected(text)),
                    Sought::NotShown => {
                        let text = format!("there is an object with the external id `{}`, and searches do not show it", external_id(key));
                        return Err(api.assets.unreachable("find an object", text));
                    }
                },
                Err(WriteFailure::Invalid { by_attribute, text }) => self.amend(draft, &by_attribute, &text)?,
                Err(WriteFailure::Doubt(error)) => {
                    // It may be there, and not shown yet. A second time it is given up.
                    match self.seek(key).await {
                        Ok(Sought::Ours(id, stand)) => return Ok(Made::Stands(id, stand)),
                        Ok(Sought::NotOurs(text)) => return Err(api.assets.rejected(text)),
                        Ok(Sought::NotShown | Sought::Another(_)) if !is_in_doubt => is_in_doubt = true,
                        // Whatever keeps it from being looked for: nobody knows whether it was made.
                        Ok(Sought::NotShown | Sought::Another(_)) | Err(_) => return Err(error),
                    }
                }
                Err(WriteFailure::Gone) => {
                    return Err(api.assets.rejected(format!("there is no type `{}` any more: run `dewpoint bootstrap`", draft.class)));
                }
                Err(WriteFailure::Other(error)) => return Err(error),
            }
        }
        Err(api.assets.rejected("it is refused for one reason after the other".to_owned()))
    }

    /// Looks for the object of a key, for as long as a search may not show it yet.
    async fn seek(&self, key: &Key) -> Result<Sought, TargetError> {
        let api = self.reader.api;
        let texts = [external_id(key), distinct_id(key)];
        let query =
            format!("objectSchemaId = {} AND {}", self.reader.schema.id, crate::aql::any_of(EXTERNAL_ID, texts.iter().map(String::as_str)));
        let mut waited = Duration::ZERO;
        loop {
            let mut another = None;
            for object in api.search(&query).await? {
                let carried = self.reader.stand(&object).external_id;
                if !carried.is_some_and(|text| texts.contains(&text)) {
                    another = Some(object.id.0);
                    continue;
                }
                // A search may show an older state of it.
                let id = object.id.0;
                let Some(stand) = self.read(&id).await? else { continue };
                return Ok(match &stand.estate {
                    Some(estate) if estate == self.sending.estate => Sought::Ours(id, Box::new(stand)),
                    Some(_) => Sought::NotOurs(format!("object {id} has its external id, and carries another estate id")),
                    None => Sought::NotOurs(format!("object {id} has its external id, and carries no estate id")),
                });
            }
            if waited >= self.lag {
                return Ok(match another {
                    Some(id) => Sought::Another(format!("object {id} has its external id but for case")),
                    None => Sought::NotShown,
                });
            }
            let pause = LOOK_PAUSE.min(self.lag.saturating_sub(waited));
            api.assets.clock().sleep(pause).await;
            waited += pause;
        }
    }

    /// Takes out of a request what it was refused for, as far as that can be left.
    fn amend(&self, draft: &mut Draft, by_attribute: &BTreeMap<String, String>, text: &str) -> Result<(), TargetError> {
        if text.is_empty() && draft.amend(by_attribute) {
            return Ok(());
        }
        let attributes = self.reader.schema.types.get(&draft.class).map(|own| &own.attributes);
        let named = by_attribute.iter().map(|(id, text)| {
            let name = attributes.into_iter().flatten().find(|(_, attribute)| attribute.id == *id).map_or(id.as_str(), |(name, _)| name);
            format!("{name}: {text}")
        });
        let words: Vec<String> = std::iter::once(text.to_owned()).filter(|text| !text.is_empty()).chain(named).collect();
        Err(self.reader.api.assets.rejected(words.join("; ")))
    }

    fn type_id(&self, class: &str) -> Result<&str, TargetError> {
        let found = self.reader.schema.types.get(class).map(|own| own.id.as_str());
        found.ok_or_else(|| {
            let assets = &self.reader.api.assets;
            assets.rejected(format!("the schema has no object type `{class}`: run `dewpoint bootstrap {}`", assets.target()))
        })
    }
}
