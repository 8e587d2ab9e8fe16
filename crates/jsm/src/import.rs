//! External imports: many new objects handed over at once, which the platform makes by itself.
//!
//! # What they must not do
//!
//! - **Take things away.** An import source is made by people, who also say there what becomes of objects that an import does not show: with "remove" each import
//!   deletes all others of its types. No interface tells what they said. So they have to say in the configuration that such objects stay, and objects that
//!   stood before an import are looked at after it.
//! - **Write later than we know.** What was handed over may be made long afterwards, on top of what was written meanwhile. Nothing is written before an import
//!   is known to be done or cancelled: ours, and what an earlier process left under way.
//! - **Make things elsewhere.** The token is that of one source, which is of one schema: it has to be ours.
//!
//! Sources: Atlassian, "Assets imports REST API guide" (workflow; schema and mapping); "Assets REST API", import sources (`GET /importsource/{id}`, and
//! `/executions/status` for the execution made last); "Create objects from data using object type mapping" (missing objects).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dewpoint_core::target::TargetError;
use dewpoint_http::{Repeat, Request};
use dewpoint_target_kit::Caller;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::Written;
use crate::blueprint::Blueprint;
use crate::mapping::{EXTERNAL_ID, Mapping};
use crate::object::Id;
use crate::schema::{Attribute, Form, Schema};

/// Objects of one chunk: how many are taken is not told.
pub(crate) const CHUNK_OBJECTS: usize = 500;

/// Objects that are handed over at once at most: so many times those that an import is used from, and at least so many.
const FROMS_AT_ONCE: usize = 5;
const AT_ONCE_MIN: usize = 1000;

/// Pauses between looks at how far an import is.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// How long before the end of a batch it is waited no more.
const MARGIN: Duration = Duration::from_secs(3);

/// Why objects were not made by an import.
#[derive(Debug)]
pub(crate) enum ImportFailure {
    /// Imports cannot be used, and none is under way: objects are to be made one by one.
    Off(String),
    /// Nothing is to be written now.
    Target(TargetError),
}

/// One import source.
#[derive(Debug)]
pub(crate) struct Imports {
    caller: Caller,
    from: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    in_use: InUse,
    /// What was begun and is not known to have ended.
    running: Option<Running>,
    /// External ids of what the last import was to make.
    made: BTreeSet<String>,
    /// By type an object that stands there; `None` where there was none.
    witnesses: BTreeMap<String, Option<String>>,
}

/// Whether it is used.
#[derive(Debug, Clone, Default)]
enum InUse {
    /// It was not looked at yet.
    #[default]
    Unknown,
    /// It is, and whether it knows our types.
    With { links: Links, is_mapped: bool },
    /// No more.
    Off,
    /// It did harm: nothing is written before people looked after it.
    Harmful(TargetError),
}

/// Where a source's calls go, as it says.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Links {
    get_status: String,
    start: String,
    mapping: String,
}

impl Links {
    /// Where the source itself is.
    fn source(&self) -> Option<&str> {
        self.start.strip_suffix("/executions")
    }
}

/// An import under way.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    links: ExecutionLinks,
    /// Where the source tells whether it is at an import.
    source_status: String,
    /// Whether all of it was handed over. Of what was not, nothing is made, and it does not end by itself.
    is_whole: bool,
    external_ids: BTreeSet<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecutionLinks {
    submit_results: String,
    get_execution_status: String,
    cancel: String,
}

/// How an import ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It is done, and made or changed so many objects, where that was told.
    Done(Option<u64>),
    /// It was cancelled.
    Cancelled,
}

#[derive(Deserialize)]
struct SourceStatus {
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecutionStatus {
    #[serde(default)]
    execution_id: Option<String>,
    status: String,
    #[serde(default)]
    progress_result: Option<Progress>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    #[serde(default)]
    object_schema_id: Option<Id>,
    #[serde(default)]
    entries_created: Option<u64>,
    #[serde(default)]
    entries_updated: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    #[serde(default)]
    object_schema_id: Option<Id>,
}

/// New objects by the selector of their type.
pub(crate) type Entries = BTreeMap<String, Vec<Value>>;

impl Imports {
    pub(crate) fn new(caller: Caller, from: usize) -> Self {
        Self { caller, from, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether so many new objects are for an import.
    pub(crate) fn takes(&self, creates: usize) -> bool {
        let state = self.state();
        matches!(state.in_use, InUse::With { .. }) && creates > 0 && (creates >= self.from || !state.made.is_empty())
    }

    /// How many new objects it is given at once at most; `None` where it is not used.
    pub(crate) fn at_once(&self) -> Option<usize> {
        let is_used = matches!(self.state().in_use, InUse::Unknown | InUse::With { .. });
        is_used.then(|| self.from.saturating_mul(FROMS_AT_ONCE).max(AT_ONCE_MIN))
    }

    /// Uses it no more, since something is in its way.
    pub(crate) fn switch_off(&self, why: &str) {
        tracing::warn!(target.name = %self.caller.target(), why, "Objects are made one by one: the import cannot be used");
        self.state().in_use = InUse::Off;
    }

    /// What was begun and is not known to have ended.
    pub(crate) fn running(&self) -> Option<Running> {
        self.state().running.clone()
    }

    /// External ids of what the last import was to make.
    pub(crate) fn made(&self) -> BTreeSet<String> {
        self.state().made.clone()
    }

    /// An object that stood there, for a type of which that was looked for.
    pub(crate) fn witness(&self, class: &str) -> Option<Option<String>> {
        self.state().witnesses.get(class).cloned()
    }

    /// Notes an object of a type that stands there.
    pub(crate) fn note_witness(&self, class: &str, id: Option<String>) {
        self.state().witnesses.insert(class.to_owned(), id);
    }

    /// The objects that stood before the last import was begun.
    pub(crate) fn witnesses(&self) -> Vec<String> {
        self.state().witnesses.values().flatten().cloned().collect()
    }

    /// What a failure means before anything was handed over.
    fn off(what: &str, error: TargetError) -> ImportFailure {
        match error {
            TargetError::Busy { .. } | TargetError::Unreachable { .. } => ImportFailure::Target(error),
            _ => ImportFailure::Off(format!("{what}: {error}")),
        }
    }

    /// Makes sure that it is known whether an import is under way, and that the source is one of this schema.
    ///
    /// # Errors
    /// [`TargetError`] where nothing is to be written.
    pub(crate) async fn look(&self, schema: &str, deadline: Instant) -> Result<(), TargetError> {
        let looked = self.state().in_use.clone();
        match looked {
            InUse::With { .. } | InUse::Off => return Ok(()),
            InUse::Harmful(error) => return Err(error),
            InUse::Unknown => {}
        }
        let caller = self.caller.until(deadline);
        match self.look_at_source(&caller, schema).await {
            Ok((links, running)) => {
                let mut state = self.state();
                state.in_use = InUse::With { links, is_mapped: false };
                state.running = running;
                Ok(())
            }
            Err(ImportFailure::Off(why)) => {
                self.switch_off(&why);
                Ok(())
            }
            Err(ImportFailure::Target(error)) => Err(error),
        }
    }

    /// Whether the source can be used, in words.
    ///
    /// # Errors
    /// Why not.
    pub(crate) async fn examine(&self, schema: &str) -> Result<String, String> {
        match self.look_at_source(&self.caller, schema).await {
            Ok((_, None)) => Ok("the import source is one of the schema, and idle".to_owned()),
            Ok((_, Some(_))) => Ok("the import source is one of the schema, and at an import".to_owned()),
            Err(ImportFailure::Off(why)) => Err(why),
            Err(ImportFailure::Target(error)) => Err(error.to_string()),
        }
    }

    async fn look_at_source(&self, caller: &Caller, schema: &str) -> Result<(Links, Option<Running>), ImportFailure> {
        #[derive(Deserialize)]
        struct Info {
            links: Links,
        }
        let request = Request::get("/jsm/assets/v1/imports/info").operation("import");
        let Info { links } = caller.get(request, "find the import source").await.map_err(|error| Self::off("its import source", error))?;
        if let Some(address) = links.source() {
            let request = Request::follow(address).operation("import");
            match caller.get::<Source>(request, "look at the import source").await {
                Ok(source) => self.check_schema(source.object_schema_id.as_ref(), schema).map_err(ImportFailure::Target)?,
                Err(error @ (TargetError::Busy { .. } | TargetError::Unreachable { .. })) => return Err(ImportFailure::Target(error)),
                // Nothing says that the token opens that: each import tells its schema as well.
                Err(error) => tracing::debug!(target.name = %self.caller.target(), %error, "The import source does not tell its schema"),
            }
        }
        let SourceStatus { status } = self.ask_status(caller, &links).await.map_err(|error| Self::off("its import source", error))?;
        match status.as_str() {
            "IDLE" | "MISSING_MAPPING" => Ok((links, None)),
            "RUNNING" => {
                let running = self.left_running(caller, &links).await.map_err(ImportFailure::Target)?;
                Ok((links, Some(running)))
            }
            other => Err(ImportFailure::Off(format!("its import source is {other}"))),
        }
    }

    async fn ask_status(&self, caller: &Caller, links: &Links) -> Result<SourceStatus, TargetError> {
        caller.get(Request::follow(&links.get_status).operation("import"), "look at the import source").await
    }

    /// The import that somebody began before: it may make what was handed over then at any time.
    async fn left_running(&self, caller: &Caller, links: &Links) -> Result<Running, TargetError> {
        let request = Request::follow(&format!("{}/status", links.start)).operation("import");
        let asked = caller.get::<ExecutionStatus>(request, "look at an import").await;
        let ExecutionStatus { execution_id, status, .. } = asked.map_err(|error| self.in_doubt(error))?;
        let plain = |character: char| character.is_ascii_alphanumeric() || character == '-';
        let id = execution_id
            .filter(|id| !id.is_empty() && id.chars().all(plain))
            .ok_or_else(|| self.in_doubt(self.caller.unreachable("look at an import", "the answer does not say which")))?;
        let address = format!("{}/{id}", links.start);
        let source_status = links.get_status.clone();
        let links = ExecutionLinks {
            submit_results: format!("{address}/data"),
            get_execution_status: format!("{address}/status"),
            cancel: address,
        };
        tracing::warn!(target.name = %self.caller.target(), status, "The import source is at an import that was begun earlier: it is waited for");
        Ok(Running { links, source_status, is_whole: status != "INGESTING", external_ids: BTreeSet::new() })
    }

    /// What an error means after which nobody knows whether an import is under way.
    fn in_doubt(&self, error: TargetError) -> TargetError {
        match error {
            TargetError::Busy { .. } | TargetError::Unreachable { .. } => error,
            _ => self.caller.unusable(
                format!("nothing tells whether its import source is still at an import, which would write over what is written meanwhile: {error}"),
                "cancel the import in the schema's configuration, or wait until it is done; or give the token of another source",
            ),
        }
    }

    fn check_schema(&self, told: Option<&Id>, ours: &str) -> Result<(), TargetError> {
        match told {
            Some(Id(other)) if other != ours => Err(self.caller.unusable(
                format!("the token of `import` is that of a source of another schema, with the id {other}, where an import would make everything a second time"),
                "give the token of an import source of the schema that `schema` names",
            )),
            _ => Ok(()),
        }
    }

    /// Tells the source of our types, once.
    async fn prepare(&self, caller: &Caller, schema: &Schema, mapping: &Mapping) -> Result<Links, ImportFailure> {
        let looked = self.state().in_use.clone();
        let InUse::With { links, is_mapped } = looked else { return Err(ImportFailure::Off("it is not used".to_owned())) };
        if is_mapped {
            return Ok(links);
        }
        let SourceStatus { status } = self.ask_status(caller, &links).await.map_err(|error| Self::off("its import source", error))?;
        let body = document(schema, mapping);
        let request = match status.as_str() {
            "IDLE" => Request::patch(""),
            "MISSING_MAPPING" => Request::put(""),
            other => return Err(ImportFailure::Off(format!("its import source is {other}"))),
        };
        let request = request.to(&links.mapping).json(&body).operation("import").any_body().repeat(Repeat::Safe);
        caller.send(request, "map the import").await.map_err(|error| Self::off("the mapping of its import source", error))?;
        self.state().in_use = InUse::With { links: links.clone(), is_mapped: true };
        Ok(links)
    }

    /// Begins an import and hands objects over. What then is under way is [`Self::running`], whatever comes of it.
    ///
    /// # Errors
    /// [`ImportFailure`]; where something is under way, it has to be settled before anything is written.
    pub(crate) async fn begin(
        &self,
        schema: &Schema,
        mapping: &Mapping,
        entries: Entries,
        external_ids: BTreeSet<String>,
        deadline: Instant,
    ) -> Result<(), ImportFailure> {
        #[derive(Deserialize)]
        struct Started {
            links: ExecutionLinks,
        }
        let caller = self.caller.until(deadline);
        let links = self.prepare(&caller, schema, mapping).await?;
        let request = Request::post("").to(&links.start).operation("import");
        let started = caller.get::<Started>(request, "start an import").await.map_err(|error| {
            if matches!(error, TargetError::Unreachable { .. }) {
                // It may have been begun, and does not end by itself.
                self.state().in_use = InUse::Unknown;
                return ImportFailure::Target(TargetError::Busy { target: self.caller.target().clone(), seconds: 0 });
            }
            Self::off("an import", error)
        })?;
        let mut running = Running { links: started.links, source_status: links.get_status, is_whole: false, external_ids };
        self.state().running = Some(running.clone());
        submit(&caller, &running, entries).await.map_err(|error| Self::off("an import", error))?;
        running.is_whole = true;
        self.state().running = Some(running);
        Ok(())
    }

    /// Waits until an import has ended; what was not handed over as a whole is cancelled.
    ///
    /// # Errors
    /// [`TargetError::Busy`] where the time is over before; others where nobody knows.
    pub(crate) async fn settle(&self, running: &Running, schema: &str, deadline: Instant) -> Result<Ended, TargetError> {
        let caller = self.caller.until(deadline);
        let mut is_cancelled = running.is_whole;
        loop {
            if !is_cancelled {
                let request = Request::delete("").to(&running.links.cancel).operation("import").any_body().repeat(Repeat::Safe);
                match caller.send(request, "cancel an import").await {
                    // It may have ended: that is looked at.
                    Ok(_) | Err(TargetError::Rejected { .. }) => is_cancelled = true,
                    Err(error) => return Err(self.in_doubt(error)),
                }
            }
            let request = Request::follow(&running.links.get_execution_status).operation("import");
            let asked = caller.get::<ExecutionStatus>(request, "look at an import").await;
            let ExecutionStatus { status, progress_result, .. } = asked.map_err(|error| self.in_doubt(error))?;
            match status.as_str() {
                "DONE" => {
                    let Progress { object_schema_id, entries_created, entries_updated } =
                        progress_result.unwrap_or(Progress { object_schema_id: None, entries_created: None, entries_updated: None });
                    self.check_schema(object_schema_id.as_ref(), schema)?;
                    let written = entries_created.zip(entries_updated).map(|(created, updated)| created.saturating_add(updated));
                    return Ok(Ended::Done(written));
                }
                "CANCELLED" => return Ok(Ended::Cancelled),
                "INGESTING" | "PROCESSING" => {}
                // No word that is known. Where the source is at none, it has ended.
                _ => {
                    let request = Request::follow(&running.source_status).operation("import");
                    let SourceStatus { status } =
                        caller.get(request, "look at the import source").await.map_err(|error| self.in_doubt(error))?;
                    if status != "RUNNING" {
                        return Ok(Ended::Done(None));
                    }
                }
            }
            if deadline.saturating_duration_since(Instant::now()) < MARGIN {
                return Err(TargetError::Busy { target: self.caller.target().clone(), seconds: 0 });
            }
            self.caller.clock().sleep(LOOK_PAUSE).await;
        }
    }

    /// Notes how an import ended, after it is sure that it did no harm.
    pub(crate) fn ended(&self, running: Running, ended: Ended) {
        let mut state = self.state();
        state.running = None;
        state.made = if matches!(ended, Ended::Done(_)) { running.external_ids } else { BTreeSet::new() };
    }

    /// Notes that an import took away what stood there: nothing is written any more before people looked after it.
    pub(crate) fn took_away(&self, id: &str) -> TargetError {
        let text = format!("its import source takes away what an import does not show: object {id} is gone, and others may be");
        let hint = "set the import source to ignore missing objects, or take `import` out of the configuration; then run `dewpoint target recover`";
        let error = self.caller.unusable(text, hint);
        self.state().in_use = InUse::Harmful(error.clone());
        error
    }
}

/// Hands objects over, in chunks.
async fn submit(caller: &Caller, running: &Running, entries: Entries) -> Result<(), TargetError> {
    let flat = entries.into_iter().flat_map(|(selector, list)| list.into_iter().map(move |entry| (selector.clone(), entry)));
    let flat: Vec<(String, Value)> = flat.collect();
    let chunks: Vec<&[(String, Value)]> = flat.chunks(CHUNK_OBJECTS).collect();
    for (number, chunk) in chunks.iter().enumerate() {
        let mut lists: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for (selector, entry) in *chunk {
            lists.entry(selector).or_default().push(entry);
        }
        let mut body = json!({ "data": lists });
        // The same chunk has the same id, so that one whose answer was lost counts once.
        let id = blake3::hash(format!("{} {number} {}", running.links.submit_results, body).as_bytes()).to_hex();
        if let Some(members) = body.as_object_mut() {
            members.insert("clientGeneratedId".to_owned(), uuid(&id).into());
            if number + 1 == chunks.len() {
                members.insert("completed".to_owned(), true.into());
            }
        }
        let request = Request::post("").to(&running.links.submit_results).json(&body).operation("import").any_body().repeat(Repeat::Safe);
        caller.send(request, "hand objects over").await?;
    }
    Ok(())
}

/// How a type's objects are named in what is handed over.
pub(crate) fn selector(type_id: &str) -> String {
    format!("t{type_id}")
}

/// How an attribute is named there.
fn locator(attribute_id: &str) -> String {
    format!("a{attribute_id}")
}

/// An object as it is handed over; `None` where an attribute of it cannot be.
pub(crate) fn entry(schema: &Schema, class: &str, written: &Written) -> Option<Value> {
    let own = schema.types.get(class)?;
    let mut entry = Map::new();
    for (id, values) in written {
        let attribute = own.attributes.values().find(|attribute| attribute.id == *id)?;
        word(attribute.form)?;
        let mut texts = Vec::new();
        for value in values {
            let text = match attribute.form.sort {
                // Statuses go by name.
                7 => schema.statuses.iter().find(|(_, id)| *id == value)?.0,
                _ => value,
            };
            texts.push(Value::from(text.clone()));
        }
        match texts.len() {
            0 => {}
            1 => drop(entry.insert(locator(id), texts.remove(0))),
            _ => drop(entry.insert(locator(id), texts.into())),
        }
    }
    Some(entry.into())
}

/// What an attribute holds, in the words of imports; `None` for what they do not fill.
fn word(form: Form) -> Option<&'static str> {
    Some(match (form.sort, form.plain) {
        (0, Some(0)) => "text",
        (0, Some(1)) => "integer",
        (0, Some(2)) => "boolean",
        (0, Some(3)) => "double",
        (0, Some(4)) => "date",
        (0, Some(5)) => "time",
        (0, Some(6)) => "date_time",
        (0, Some(7)) => "url",
        (0, Some(8)) => "email",
        (0, Some(9)) => "textarea",
        (0, Some(10)) => "select",
        (0, Some(11)) => "ipaddress",
        (1, _) => "referenced_object",
        (7, _) => "status",
        _ => return None,
    })
}

/// What the types look like, and where in what is handed over their attributes stand.
fn document(schema: &Schema, mapping: &Mapping) -> Value {
    let blueprint = Blueprint::of(mapping);
    let (mut types, mut mappings) = (Vec::new(), Vec::new());
    for (class, own) in &blueprint.types {
        let Some(there) = schema.types.get(class) else { continue };
        let (mut attributes, mut places) = (Vec::new(), Vec::new());
        for (name, part) in blueprint.common.iter().chain(&own.parts) {
            let Some(attribute) = there.attributes.get(name).filter(|attribute| attribute.form == part.form) else { continue };
            let Some(described) = described(schema, mapping, name, attribute) else { continue };
            attributes.push(described);
            let place = locator(&attribute.id);
            let mut mapped = json!({ "attributeName": name, "attributeLocators": [place] });
            if let Some(members) = mapped.as_object_mut() {
                if name == EXTERNAL_ID {
                    members.insert("externalIdPart".to_owned(), true.into());
                }
                if attribute.form.sort == 1 {
                    members.insert("objectMappingIQL".to_owned(), format!("objectId IN (${{{place}}})").into());
                }
            }
            places.push(mapped);
        }
        types.push(json!({ "name": class, "description": "Kept by Dewpoint", "attributes": attributes }));
        mappings.push(json!({
            "objectTypeName": class,
            "selector": selector(&there.id),
            "description": "Filled by Dewpoint",
            "attributesMapping": places,
        }));
    }
    json!({
        "schema": { "objectSchema": { "name": "Cloud inventory", "description": "Kept by Dewpoint", "objectTypes": types } },
        "mapping": { "objectTypeMappings": mappings },
    })
}

fn described(schema: &Schema, mapping: &Mapping, name: &str, attribute: &Attribute) -> Option<Value> {
    let mut described = json!({ "name": name, "description": "", "type": word(attribute.form)? });
    let members = described.as_object_mut()?;
    match attribute.form.sort {
        1 => {
            members.insert("referenceObjectTypeName".to_owned(), schema.name_of(attribute.refers_to.as_deref()?)?.into());
            members.insert("maximumCardinality".to_owned(), if attribute.takes_many { -1 } else { 1 }.into());
        }
        7 => {
            let names: BTreeSet<&str> =
                dewpoint_target_kit::Standing::ALL.iter().map(|standing| mapping.statuses().name(*standing)).collect();
            members.insert("typeValues".to_owned(), names.into_iter().collect::<Vec<_>>().into());
        }
        _ if attribute.is_unique => drop(members.insert("unique".to_owned(), true.into())),
        _ => {}
    }
    Some(described)
}

/// The digits of a digest in the form of a UUID, as ids of chunks have it.
fn uuid(digest: &str) -> String {
    let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_a_chunk_has_the_form_of_a_uuid() {
        let id = uuid(&blake3::hash(b"chunk").to_hex());
        assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    }
}
