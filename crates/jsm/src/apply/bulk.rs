//! New objects by an import, where they are many.
//!
//! An import tells neither what became of single objects nor what they are called: it is looked afterwards what stands there. What an import did not make, for
//! whatever reason, is made by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dewpoint_core::target::{Delivered, FoundRecord};

use super::job::{Change, Job, On};
use super::values::Draft;
use super::{Answers, Batch, Course, Ground};
use crate::aql::{LISTED_MAX, any_of};
use crate::external_id::external_id;
use crate::import::{self, Entries, ImportFailure, Imports, Running};
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

impl Batch<'_> {
    /// Makes new objects by imports, where they are many: first those that refer to nothing new, then those that refer to these. What is left of the jobs is to be
    /// done one by one.
    pub(super) async fn import(&self, mut jobs: Vec<Job>, ground: &mut Ground, answers: &mut Answers, course: &Course) -> Vec<Job> {
        let Some(imports) = self.imports else { return jobs };
        let creates = jobs.iter().filter(|job| matches!(job.on, On::New(_))).count();
        if !imports.takes(creates) {
            return jobs;
        }
        loop {
            let (ready, rest): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| self.is_ready(job, ground));
            jobs = rest;
            if ready.is_empty() || course.halted().is_some() {
                jobs.splice(0..0, ready);
                return jobs;
            }
            let left = if ready.len() < WAVE_MIN || !imports.takes(usize::MAX) {
                ready
            } else {
                let mut wave = Wave { ready, ..Wave::default() };
                match self.import_wave(imports, &mut wave, ground, answers).await {
                    Ok(()) => {}
                    Err(ImportFailure::Target(error)) => course.halt(&error),
                    Err(ImportFailure::Off(why)) => {
                        let name = self.reader.api.assets.target();
                        tracing::warn!(target.name = %name, why, "Objects are made one by one: the import cannot be used");
                        imports.switch_off();
                    }
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
        let finished = imports.running();
        if let Some(running) = &finished {
            self.finish(imports, running).await?;
        }
        self.plan_all(wave, ground);
        let own = finished.map(|running| running.external_ids).unwrap_or_default();
        let shown = self.shown(&wave.planned).await?;
        // What stands there already is for those who look before they write; but for what the import of a moment ago made.
        self.take(wave, &shown, &own, ground, answers);
        let (there, new) = std::mem::take(&mut wave.planned).into_iter().partition(|own| shown.contains_key(&own.external_id));
        wave.planned = new;
        wave.left.extend(there.into_iter().map(|own: Planned| own.job));
        if wave.planned.len() < WAVE_MIN {
            return Ok(());
        }
        if imports.must_prove_harmless() {
            self.check_emptiness(imports).await?;
        }
        let mut entries = Entries::new();
        for own in &wave.planned {
            if let Some(own_type) = self.reader.schema.types.get(&own.draft.class) {
                entries.entry(import::selector(&own_type.id)).or_default().push(own.entry.clone());
            }
        }
        let external_ids: BTreeSet<String> = wave.planned.iter().map(|own| own.external_id.clone()).collect();
        let witness = ground.made.values().chain(ground.stands.keys()).next().cloned();
        tracing::info!(target.name = %self.reader.api.assets.target(), count = wave.planned.len(), "Making objects by an import");
        let (schema, mapping) = (self.reader.schema, self.reader.mapping);
        let running = imports.make(schema, mapping, entries, external_ids, witness, self.sending.deadline).await?;
        self.finish(imports, &running).await?;
        self.collect(wave, &running.external_ids, ground, answers).await
    }

    /// Waits for an import, and looks whether it took anything away.
    async fn finish(&self, imports: &Imports, running: &Running) -> Result<(), ImportFailure> {
        imports.finish(running, self.sending.deadline).await?;
        if let Some(witness) = &running.witness
            && self.read(witness).await.map_err(ImportFailure::Target)?.is_none()
        {
            return Err(ImportFailure::Target(imports.took_away(witness)));
        }
        Ok(())
    }

    /// Whether there is nothing that an import could take away.
    async fn check_emptiness(&self, imports: &Imports) -> Result<(), ImportFailure> {
        let classes: BTreeSet<&str> = self.reader.mapping.sheet().classes().map(|(_, class)| class).collect();
        let query = format!("objectSchemaId = {} AND {}", self.reader.schema.id, any_of("objectType", classes));
        let count = self.reader.api.count(&query).await.map_err(ImportFailure::Target)?;
        if count > 0 {
            let why = "there are objects that it might take away: say `keeps_missing: true` if the import source keeps what an import does not show";
            return Err(ImportFailure::Off(why.to_owned()));
        }
        imports.is_harmless();
        Ok(())
    }

    /// What is handed over of the new objects; what cannot be is left.
    fn plan_all(&self, wave: &mut Wave, ground: &Ground) {
        for job in std::mem::take(&mut wave.ready) {
            match self.plan(&job, ground) {
                Some((external_id, draft, entry)) => wave.planned.push(Planned { job, external_id, draft, entry }),
                None => wave.left.push(job),
            }
        }
    }

    fn plan(&self, job: &Job, ground: &Ground) -> Option<(String, Draft, serde_json::Value)> {
        let (class, write) = job.changes.iter().find_map(|change| self.create_of(change))?;
        if !self.reader.schema.attribute(class, EXTERNAL_ID)?.is_unique {
            return None;
        }
        let mut draft = Draft::of(Stand::of_nobody(class.clone()));
        for change in &job.changes {
            self.put_change(&mut draft, change, ground).ok()?;
        }
        let written = self.compose(&mut draft).ok()?;
        let entry = import::entry(self.reader.schema, class, &written)?;
        Some((external_id(&write.key), draft, entry))
    }

    /// Where objects of these external ids stand, as searches show it.
    async fn shown(&self, planned: &[Planned]) -> Result<BTreeMap<String, (FoundRecord, Stand)>, ImportFailure> {
        let mut shown = BTreeMap::new();
        for chunk in planned.chunks(LISTED_MAX) {
            let texts = chunk.iter().map(|own| own.external_id.as_str());
            let query = format!("objectSchemaId = {} AND {}", self.reader.schema.id, any_of(EXTERNAL_ID, texts));
            for object in self.reader.api.search(&query).await.map_err(ImportFailure::Target)? {
                let stand = self.reader.stand(&object);
                if let Some(text) = stand.external_id.clone() {
                    shown.insert(text, (self.reader.record(&object, &stand), stand));
                }
            }
        }
        Ok(shown)
    }

    /// Answers for what an import made, as far as searches show it.
    async fn collect(
        &self,
        wave: &mut Wave,
        made: &BTreeSet<String>,
        ground: &mut Ground,
        answers: &mut Answers,
    ) -> Result<(), ImportFailure> {
        let mut waited = Duration::ZERO;
        loop {
            let shown = self.shown(&wave.planned).await?;
            self.take(wave, &shown, made, ground, answers);
            if wave.planned.is_empty() || waited >= self.lag {
                return Ok(());
            }
            let pause = LOOK_PAUSE.min(self.lag.saturating_sub(waited));
            self.reader.api.assets.clock().sleep(pause).await;
            waited += pause;
        }
    }

    /// Takes what is shown as it was handed over to an import as done.
    fn take(
        &self,
        wave: &mut Wave,
        shown: &BTreeMap<String, (FoundRecord, Stand)>,
        made: &BTreeSet<String>,
        ground: &mut Ground,
        answers: &mut Answers,
    ) {
        for own in std::mem::take(&mut wave.planned) {
            let wanted = &own.draft.stand.references;
            let is_as_wanted = |stand: &Stand| {
                stand.estate.as_ref() == Some(self.sending.estate)
                    && wanted.iter().all(|(attribute, others)| stand.references.get(attribute) == Some(others))
            };
            let found = shown.get(&own.external_id).filter(|(_, stand)| made.contains(&own.external_id) && is_as_wanted(stand));
            let Some((record, _)) = found else {
                wave.planned.push(own);
                continue;
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
            if let On::New(key) = &own.job.on {
                ground.made.insert(key.clone(), id.clone());
            }
            ground.written.insert(id.clone());
            ground.stands.insert(id.clone(), own.draft.stand);
        }
    }
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
