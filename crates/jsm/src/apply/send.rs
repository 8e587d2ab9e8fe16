//! Sending what is done with one object, and what its answer means.

use std::collections::BTreeMap;
use std::time::Duration;

use dewpoint_core::model::Key;
use dewpoint_core::target::{Operation, TargetError, Write};

use super::job::{Change, Job, On};
use super::values::Draft;
use super::{Answer, Batch, Ground, Inbound, delivered};
use crate::api::WriteFailure;
use crate::external_id::external_id;
use crate::mapping::EXTERNAL_ID;
use crate::object::Data;
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
    Ours(String, Box<Stand>),
    NotOurs(String),
    NotShown,
}

impl Batch<'_> {
    /// Does what is to be done with one object.
    pub(super) async fn job(&self, job: &Job, ground: &Ground) -> Done {
        if let Some(inbound) = &job.inbound {
            return self.forget(&job.on, inbound).await;
        }
        match self.changes(job, ground).await {
            Ok(done) => done,
            Err(error) => Done { answers: job.changes.iter().map(|change| (change.number(), Err(error.clone()))).collect(), stand: None },
        }
    }

    /// Gives up references to records that are being retired.
    async fn forget(&self, on: &On, Inbound { stand, removed }: &Inbound) -> Done {
        let On::Standing(id) = on else { return Done { answers: Vec::new(), stand: None } };
        let mut draft = Draft::of(stand.clone());
        for (relation, other, _) in removed {
            self.take_edge(&mut draft, relation, other);
        }
        match self.change(id, &mut draft).await {
            Ok(()) => Done { answers: Vec::new(), stand: Some((id.clone(), draft.stand)) },
            Err(error) => Done { answers: removed.iter().map(|(.., number)| (*number, Err(error.clone()))).collect(), stand: None },
        }
    }

    async fn changes(&self, job: &Job, ground: &Ground) -> Result<Done, TargetError> {
        let write = |number: usize| self.writes.get(number).map(|write| &write.operation).zip(self.writes.get(number));
        let standing = match &job.on {
            On::Standing(id) => Some(id.clone()),
            On::New(key) => ground.made.get(key).cloned(),
        };
        if let Some(Change::Purge(number)) = job.changes.first() {
            return self.purge(*number, standing.as_deref()).await;
        }
        let creates = job.changes.iter().find_map(|change| match change {
            Change::Write(number) => match write(*number) {
                Some((Operation::Create { class, fields, .. }, write)) => Some((class, fields, write)),
                _ => None,
            },
            _ => None,
        });
        let stand = standing.as_ref().and_then(|id| ground.stands.get(id)).cloned();
        let mut draft = match (&stand, creates) {
            (Some(stand), _) => Draft::of(stand.clone()),
            (None, Some((class, ..))) => {
                Draft::of(Stand { class: class.clone(), key: None, estate: None, data: Some(Data::default()), references: BTreeMap::new() })
            }
            (None, None) => return Ok(self.without_object(job)),
        };
        let mut answers = Vec::new();
        for change in &job.changes {
            if let Err(error) = self.put_change(&mut draft, change, ground) {
                if matches!(change, Change::Write(_)) {
                    return Err(error);
                }
                answers.push((change.number(), Err(error)));
            }
        }
        let id = match (standing, creates) {
            (Some(id), _) => {
                if !(job.is_of_edges() && draft.is_idle()) {
                    self.change(&id, &mut draft).await?;
                }
                id
            }
            (None, Some((_, _, write))) => self.make(&write.key, &mut draft).await?,
            (None, None) => return Ok(self.without_object(job)),
        };
        let refused: Vec<usize> = answers.iter().map(|(number, _)| *number).collect();
        for change in job.changes.iter().filter(|change| !refused.contains(&change.number())) {
            answers.push((change.number(), self.answer(change, &id, &draft, ground)));
        }
        Ok(Done { answers, stand: Some((id, draft.stand)) })
    }

    /// Edges of an object that was not made wait for it; what is to be taken from one that is not there is taken.
    fn without_object(&self, job: &Job) -> Done {
        let answer = |change: &Change| match (change, self.writes.get(change.number())) {
            (Change::Unrelate(number, _), Some(Write { operation: Operation::Unrelate { from, .. }, .. })) => {
                (*number, Ok(delivered(&from.record.0, "")))
            }
            _ => (change.number(), Err(self.abandoned("one of its ends was not made".to_owned()))),
        };
        Done { answers: job.changes.iter().map(answer).collect(), stand: None }
    }

    /// What is left for another time, since something else went wrong.
    pub(super) fn not_sent(&self, job: &Job, error: &TargetError) -> Done {
        let inbound = job.inbound.iter().flat_map(|inbound| inbound.removed.iter().map(|(.., number)| *number));
        let numbers = inbound.chain(job.changes.iter().map(Change::number));
        Done { answers: numbers.map(|number| (number, Err(self.abandoned(error.to_string())))).collect(), stand: None }
    }

    fn abandoned(&self, text: String) -> TargetError {
        TargetError::Abandoned { target: self.reader.api.assets.target().clone(), text }
    }

    /// Puts a change into the request.
    fn put_change(&self, draft: &mut Draft, change: &Change, ground: &Ground) -> Result<(), TargetError> {
        let Some(write) = self.writes.get(change.number()) else { return Ok(()) };
        match (&write.operation, change) {
            (Operation::Create { fields, .. }, _) => {
                self.put_marks(draft, write);
                self.put_fields(draft, write, fields);
            }
            (Operation::Update { record, fields, retired, take_over, .. }, _) => {
                if *take_over || record.carries.is_some() || draft.stand.estate.is_some() {
                    self.put_marks(draft, write);
                }
                self.put_fields(draft, write, fields);
                if *retired == Some(true) {
                    self.take_all_edges(draft);
                }
            }
            (Operation::Relate { edge, to_kind, .. }, Change::Relate(number, other)) => {
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
            (Operation::Unrelate { edge, .. }, Change::Unrelate(_, other)) => self.take_edge(draft, edge.relation.as_str(), other),
            _ => {}
        }
        Ok(())
    }

    fn answer(&self, change: &Change, id: &str, draft: &Draft, ground: &Ground) -> Answer {
        let write = self.writes.get(change.number()).map(|write| &write.operation);
        match (write, change) {
            (Some(Operation::Relate { from, .. }), _) => {
                if draft.is_refused(change.number()) {
                    return Err(self.reader.api.assets.rejected("the site refuses this reference".to_owned()));
                }
                let from = match super::on(from) {
                    On::Standing(id) => Some(id),
                    On::New(key) => ground.made.get(&key).cloned(),
                };
                Ok(delivered(from.as_deref().unwrap_or(id), &draft.class))
            }
            (Some(Operation::Unrelate { from, .. }), _) => Ok(delivered(&from.record.0, &draft.class)),
            _ => {
                let mut done = delivered(id, &draft.class);
                done.sent.clone_from(&draft.sent);
                done.left.clone_from(&draft.left);
                Ok(done)
            }
        }
    }

    async fn purge(&self, number: usize, id: Option<&str>) -> Result<Done, TargetError> {
        let Some(id) = id else { return Ok(Done { answers: vec![(number, Ok(delivered("", "")))], stand: None }) };
        self.reader.api.delete(id).await?;
        self.wrote(id, None);
        Ok(Done { answers: vec![(number, Ok(delivered(id, "")))], stand: None })
    }

    fn wrote(&self, id: &str, stand: Option<Stand>) {
        self.book.wrote(self.reader.api.assets.clock(), self.lag, id, stand);
    }

    /// Changes an object.
    async fn change(&self, id: &str, draft: &mut Draft) -> Result<(), TargetError> {
        for _ in 0..=AMENDMENTS_MAX {
            let written = self.compose(draft)?;
            match self.reader.api.update(id, self.type_id(&draft.class)?, &written).await {
                Ok(_) => {
                    self.wrote(id, Some(draft.stand.clone()));
                    return Ok(());
                }
                Err(WriteFailure::Invalid { by_attribute, text }) => self.amend(draft, &by_attribute, &text)?,
                Err(WriteFailure::Gone) => {
                    self.wrote(id, None);
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

    /// Makes an object, or finds the one that was made before.
    async fn make(&self, key: &Key, draft: &mut Draft) -> Result<String, TargetError> {
        let api = self.reader.api;
        let external = self.attribute(&draft.class, EXTERNAL_ID)?;
        let mut is_in_doubt = false;
        for _ in 0..=AMENDMENTS_MAX {
            let written = self.compose(draft)?;
            match api.create(self.type_id(&draft.class)?, &written).await {
                Ok(id) => {
                    self.wrote(&id, Some(draft.stand.clone()));
                    return Ok(id);
                }
                Err(WriteFailure::Invalid { by_attribute, .. }) if by_attribute.contains_key(&external) => {
                    return match self.seek(key).await? {
                        Sought::Ours(id, stand) => {
                            draft.join(&stand);
                            self.change(&id, draft).await?;
                            Ok(id)
                        }
                        Sought::NotOurs(text) => Err(api.assets.rejected(text)),
                        Sought::NotShown => {
                            let text =
                                format!("there is an object with the external id `{}`, and searches do not show it", external_id(key));
                            Err(api.assets.unreachable("find an object", text))
                        }
                    };
                }
                Err(WriteFailure::Invalid { by_attribute, text }) => self.amend(draft, &by_attribute, &text)?,
                Err(WriteFailure::Doubt(error)) => {
                    // It may be there, and not shown yet. A second time it is given up.
                    match self.seek(key).await? {
                        Sought::Ours(id, stand) => {
                            self.wrote(&id, Some(*stand));
                            return Ok(id);
                        }
                        Sought::NotOurs(text) => return Err(api.assets.rejected(text)),
                        Sought::NotShown if is_in_doubt => return Err(error),
                        Sought::NotShown => is_in_doubt = true,
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
        let query =
            format!("objectSchemaId = {} AND {}", self.reader.schema.id, crate::aql::any_of(EXTERNAL_ID, [external_id(key).as_str()]));
        let mut waited = Duration::ZERO;
        loop {
            for object in api.search(&query).await? {
                let stand = self.reader.stand(&object);
                let carries = self.reader.external_id(&object, &stand.class).is_some_and(|text| text == external_id(key));
                if !carries {
                    continue;
                }
                return Ok(match &stand.estate {
                    Some(estate) if estate == self.sending.estate => Sought::Ours(object.id.0.clone(), Box::new(stand)),
                    Some(_) => Sought::NotOurs(format!("object {} has its external id, and carries another estate id", object.id.0)),
                    None => Sought::NotOurs(format!("object {} has its external id, and carries no estate id", object.id.0)),
                });
            }
            if waited >= self.lag {
                return Ok(Sought::NotShown);
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
