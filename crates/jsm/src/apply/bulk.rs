//! New objects by an import, where they are many.
//!
//! An import tells neither what became of single objects nor what they are called: it is looked afterwards what stands there. What an import did not make, for
//! whatever reason, is made by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dewpoint_core::target::{Delivered, FoundRecord, TargetError};
use futures::StreamExt as _;

use super::job::{Change, Job, On};
use super::values::Draft;
use super::{AT_ONCE, Answers, Batch, Course, Ground};
use crate::aql::{LISTED_MAX, any_of};
use crate::external_id::external_id;
use crate::import::{self, Ended, Entries, ImportFailure, Imports};
use crate::mapping::EXTERNAL_ID;
use crate::reading::Stand;

/// Objects that an import is worth starting for: it takes seconds.
const WAVE_MIN: usize = 25;

/// Pauses between looks for objects that an import made.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// A new object, with what is handed over of it.
struct Planned {
    job: Job,
    external_id: String,
    draft: Draft,
    entry: serde_json::Value,
}

/// A found object, and how it stands, by the text of its external id, below that text without case: searches and imports compare so.
type Shown = BTreeMap<String, Vec<(String, FoundRecord, Stand)>>;

impl Batch<'_> {
    /// Makes sure that no import is under way, which might write over what is written next.
    pub(super) async fn settle_imports(&self) -> Result<(), TargetError> {
        let Some(imports) = self.imports else { return Ok(()) };
        imports.look(&self.reader.schema.id, self.sending.deadline).await?;
        self.settle(imports).await.map(drop)
    }

    /// Makes new objects by imports, where they are many: first those that refer to nothing new, then those that refer to these. What is left of the jobs is to be
    /// done one by one.
    ///
    /// # Errors
    /// [`TargetError::Unusable`] where an import did harm: nothing that was done is sure to stand.
    pub(super) async fn import(
        &self,
        mut jobs: Vec<Job>,
        ground: &mut Ground,
        answers: &mut Answers,
        course: &Course,
    ) -> Result<Vec<Job>, TargetError> {
        let Some(imports) = self.imports else { return Ok(jobs) };
        let creates = jobs.iter().filter(|job| matches!(job.on, On::New(_))).count();
        if !imports.takes(creates) {
            return Ok(jobs);
        }
        loop {
            let (ready, rest): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| self.is_ready(job, ground));
            jobs = rest;
            if ready.is_empty() || course.halted().is_some() {
                jobs.splice(0..0, ready);
                return Ok(jobs);
            }
            let left = if ready.len() < WAVE_MIN || !imports.takes(creates) {
                ready
            } else {
                let mut wave = Wave { ready, ..Wave::default() };
                match self.import_wave(imports, &mut wave, ground, answers).await {
                    Ok(()) => {}
                    Err(ImportFailure::Target(error @ TargetError::Unusable { .. })) => return Err(error),
                    Err(ImportFailure::Target(error)) => course.halt(&error),
                    Err(ImportFailure::Off(why)) => imports.switch_off(&why),
                }
                wave.rest()
            };
            self.run(left, ground, answers, course).await;
        }
    }

    /// Whether all that a new object refers to stands.
    fn is_ready(&self, job: &Job, ground: &Ground) -> bool {
        let stands = |other: &On| match other {
            On::Standing(_) => true,
            On::New(key) => ground.made.contains_key(key),
        };
        matches!(job.on, On::New(_))
            && job.changes.iter().all(|change| match change {
                Change::Write(_) => true,
                Change::Relate(_, other) => stands(other),
                _ => false,
            })
    }

    async fn import_wave(
        &self,
        imports: &Imports,
        wave: &mut Wave,
        ground: &mut Ground,
        answers: &mut Answers,
    ) -> Result<(), ImportFailure> {
        self.plan_all(wave, ground);
        let shown = self.shown(&wave.planned).await?;
        // What stands there already is for those who look before they write; but for what the import of a moment ago made.
        self.take(imports, wave, &shown, ground, answers);
        let (there, new) = std::mem::take(&mut wave.planned).into_iter().partition(|own| shown.contains_key(&folded(&own.external_id)));
        wave.planned = new;
        wave.left.extend(there.into_iter().map(|own: Planned| own.job));
        if wave.planned.len() < WAVE_MIN {
            return Ok(());
        }
        self.find_witnesses(imports).await.map_err(ImportFailure::Target)?;
        let mut entries = Entries::new();
        for own in &wave.planned {
            if let Some(own_type) = self.reader.schema.types.get(&own.draft.class) {
                entries.entry(import::selector(&own_type.id)).or_default().push(own.entry.clone());
            }
        }
        let external_ids: BTreeSet<String> = wave.planned.iter().map(|own| own.external_id.clone()).collect();
        tracing::info!(target.name = %self.reader.api.assets.target(), count = wave.planned.len(), "Making objects by an import");
        let (schema, mapping) = (self.reader.schema, self.reader.mapping);
        let begun = imports.begin(schema, mapping, entries, external_ids, self.sending.deadline).await;
        match (begun, self.settle(imports).await.map_err(ImportFailure::Target)?) {
            // Whatever came of handing it over, it is done.
            (_, Some(Ended::Done(written))) => self.collect(imports, wave, written, ground, answers).await,
            (Err(failure), _) => Err(failure),
            (Ok(()), _) => Err(ImportFailure::Off("an import was cancelled".to_owned())),
        }
    }

    /// Waits for what is under way, and looks whether it took anything away.
    async fn settle(&self, imports: &Imports) -> Result<Option<Ended>, TargetError> {
        let Some(running) = imports.running() else { return Ok(None) };
        let ended = imports.settle(&running, &self.reader.schema.id, self.sending.deadline).await?;
        let looks = imports.witnesses().into_iter().map(|id| async move {
            let stand = self.read(&id).await;
            (id, stand)
        });
        let looks: Vec<_> = futures::stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
        for (id, stand) in looks {
            if stand?.is_none() {
                return Err(imports.took_away(&id));
            }
        }
        imports.ended(running, ended);
        Ok(Some(ended))
    }

    /// Finds an object of each type that an import could take away.
    async fn find_witnesses(&self, imports: &Imports) -> Result<(), TargetError> {
        let classes: BTreeSet<String> = self.reader.mapping.sheet().classes().map(|(_, class)| class.to_owned()).collect();
        let looks = classes.into_iter().map(|class| async move {
            match imports.witness(&class) {
                // What this process made since is noted.
                Some(None) => return Ok(()),
                Some(Some(id)) if self.read(&id).await?.is_some() => return Ok(()),
                _ => {}
            }
            let query = format!("objectSchemaId = {} AND {}", self.reader.schema.id, any_of("objectType", [class.as_str()]));
            let found = self.reader.api.any(&query).await?;
            let witness = match found {
                // A search may show what is gone.
                Some(object) => self.read(&object.id.0).await?.map(|_| object.id.0),
                None => None,
            };
            imports.note_witness(&class, witness);
            Ok(())
        });
        let looks: Vec<Result<(), TargetError>> = futures::stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
        looks.into_iter().collect()
    }

    /// What is handed over of the new objects; what cannot be is left.
    fn plan_all(&self, wave: &mut Wave, ground: &Ground) {
        for job in std::mem::take(&mut wave.ready) {
            match self.plan(&job, ground) {
                Some((external_id, draft, entry)) => wave.planned.push(Planned { job, external_id, draft, entry }),
                None => wave.left.push(job),
            }
        }
        // Objects whose external ids differ by case alone would be one to an import.
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for own in &wave.planned {
            *counts.entry(folded(&own.external_id)).or_default() += 1;
        }
        let is_alone = |own: &Planned| counts.get(&folded(&own.external_id)) == Some(&1);
        let (alone, alike) = std::mem::take(&mut wave.planned).into_iter().partition(is_alone);
        wave.planned = alone;
        wave.left.extend(alike.into_iter().map(|own: Planned| own.job));
    }

    fn plan(&self, job: &Job, ground: &Ground) -> Option<(String, Draft, serde_json::Value)> {
        let (class, write) = job.changes.iter().find_map(|change| self.create_of(change))?;
        if !self.reader.schema.attribute(class, EXTERNAL_ID)?.is_unique {
            return None;
        }
        let mut draft = Draft::of(Stand::of_nobody(class.clone()));
        for change in &job.changes {
            // What is refused is told by those who make it by itself.
            self.check_change(change, None, ground).ok()?;
            self.put_change(&mut draft, change, ground).ok()?;
        }
        let written = self.compose(&mut draft).ok()?;
        let entry = import::entry(self.reader.schema, class, &written)?;
        Some((external_id(&write.key), draft, entry))
    }

    /// Where objects of these external ids stand, as searches show it.
    async fn shown(&self, planned: &[Planned]) -> Result<Shown, ImportFailure> {
        let mut shown = Shown::new();
        for chunk in planned.chunks(LISTED_MAX) {
            let texts = chunk.iter().map(|own| own.external_id.as_str());
            let query = format!("objectSchemaId = {} AND {}", self.reader.schema.id, any_of(EXTERNAL_ID, texts));
            for object in self.reader.api.search(&query).await.map_err(ImportFailure::Target)? {
                let stand = self.reader.stand(&object);
                if let Some(text) = stand.external_id.clone() {
                    let record = self.reader.record(&object, &stand);
                    shown.entry(folded(&text)).or_default().push((text, record, stand));
                }
            }
        }
        Ok(shown)
    }

    /// Answers for what an import made, as far as searches show it. `written` is how many objects it made or changed, where that was told.
    async fn collect(
        &self,
        imports: &Imports,
        wave: &mut Wave,
        written: Option<u64>,
        ground: &mut Ground,
        answers: &mut Answers,
    ) -> Result<(), ImportFailure> {
        let count = wave.planned.len();
        let mut waited = Duration::ZERO;
        loop {
            let shown = self.shown(&wave.planned).await?;
            self.take(imports, wave, &shown, ground, answers);
            if wave.planned.is_empty() {
                return Ok(());
            }
            if waited >= self.lag {
                break;
            }
            let pause = LOOK_PAUSE.min(self.lag.saturating_sub(waited));
            self.reader.api.assets.clock().sleep(pause).await;
            waited += pause;
        }
        match written {
            _ if wave.planned.len() < count => Ok(()),
            Some(written @ 1..) => {
                let text = format!(
                    "an import made {written} objects, and no search shows one of them yet: `index_lag` may be too short, or the token of `import` that of another schema's source"
                );
                Err(ImportFailure::Target(self.reader.api.assets.unreachable("look for what an import made", text)))
            }
            _ => Err(ImportFailure::Off(format!("an import made none of {count} objects"))),
        }
    }

    /// Takes what is shown as it was handed over to an import as done.
    fn take(&self, imports: &Imports, wave: &mut Wave, shown: &Shown, ground: &mut Ground, answers: &mut Answers) {
        let made = imports.made();
        for own in std::mem::take(&mut wave.planned) {
            let wanted = &own.draft.stand.references;
            let is_as_wanted = |stand: &Stand| {
                stand.estate.as_ref() == Some(self.sending.estate)
                    && wanted.iter().all(|(attribute, others)| stand.references.get(attribute) == Some(others))
            };
            let record = match shown.get(&folded(&own.external_id)).map(Vec::as_slice) {
                Some([(text, record, stand)]) if *text == own.external_id && made.contains(text) && is_as_wanted(stand) => record,
                _ => {
                    wave.planned.push(own);
                    continue;
                }
            };
            let id = &record.id.0;
            for change in &own.job.changes {
                for number in change.numbers() {
                    if let Some(answer) = self.answer(change, number, id, &own.draft, ground) {
                        let fields = matches!(change, Change::Write(_)).then(|| record.fields.clone());
                        answers.put(number, answer.map(|done| Delivered { echoed: fields, ..done }));
                    }
                }
            }
            self.wrote(id, Some(own.draft.stand.clone()));
            if imports.witness(&own.draft.class) == Some(None) {
                imports.note_witness(&own.draft.class, Some(id.clone()));
            }
            if let On::New(key) = &own.job.on {
                ground.made.insert(key.clone(), id.clone());
            }
            ground.written.insert(id.clone());
            ground.stands.insert(id.clone(), own.draft.stand);
        }
    }
}

/// A text without case.
fn folded(text: &str) -> String {
    text.to_lowercase()
}

/// New objects that refer to nothing new.
#[derive(Default)]
struct Wave {
    ready: Vec<Job>,
    /// Those that are handed over.
    planned: Vec<Planned>,
    /// Those that are to be made by themselves.
    left: Vec<Job>,
}

impl Wave {
    /// All that were not made.
    fn rest(self) -> Vec<Job> {
        self.left.into_iter().chain(self.planned.into_iter().map(|own| own.job)).chain(self.ready).collect()
    }
}
