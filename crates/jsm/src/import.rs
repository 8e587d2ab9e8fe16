//! External imports: many new objects handed over at once, which the platform makes by itself.
//!
//! An import source is made by people, who also say there what becomes of objects that an import does not show. No interface tells what they said: unless the
//! configuration says that such objects stay, imports fill types that hold nothing yet, and after each it is looked whether an object that stood before still does.
//!
//! Source: Atlassian, "Assets imports REST API guide" (workflow; schema and mapping).

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
use crate::schema::{Attribute, Form, Schema};

/// Objects of one chunk: how many are taken is not told.
pub(crate) const CHUNK_OBJECTS: usize = 500;

/// Pauses between looks at how far an import is.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// How long before the end of a batch it is waited no more.
const MARGIN: Duration = Duration::from_secs(3);

/// Why objects were not made by an import.
#[derive(Debug)]
pub(crate) enum ImportFailure {
    /// Imports cannot be used: objects are to be made one by one.
    Off(String),
    /// Nothing is to be made now.
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
    links: Option<Links>,
    is_off: bool,
    /// Whether it is known that no import takes anything away that stands there.
    is_harmless: bool,
    running: Option<Running>,
}

/// Where a source's calls go, as it says.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Links {
    get_status: String,
    start: String,
    mapping: String,
}

/// An import under way.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    links: ExecutionLinks,
    /// The objects that it makes, by external id.
    pub(crate) external_ids: BTreeSet<String>,
    /// An object that stood before it.
    pub(crate) witness: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecutionLinks {
    submit_results: String,
    get_execution_status: String,
    cancel: String,
}

/// New objects by the selector of their type.
pub(crate) type Entries = BTreeMap<String, Vec<Value>>;

impl Imports {
    pub(crate) fn new(caller: Caller, from: usize, keeps_missing: bool) -> Self {
        let state = Mutex::new(State { is_harmless: keeps_missing, ..State::default() });
        Self { caller, from, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether so many new objects are for an import.
    pub(crate) fn takes(&self, creates: usize) -> bool {
        let state = self.state();
        !state.is_off && (creates >= self.from || state.running.is_some())
    }

    /// Uses it no more.
    pub(crate) fn switch_off(&self) {
        *self.state() = State { is_off: true, ..State::default() };
    }

    /// The import that was under way when the time of a batch was over.
    pub(crate) fn running(&self) -> Option<Running> {
        self.state().running.clone()
    }

    /// Whether it is not known yet that an import takes nothing away.
    pub(crate) fn must_prove_harmless(&self) -> bool {
        !self.state().is_harmless
    }

    /// Notes that there is nothing that an import could take away.
    pub(crate) fn is_harmless(&self) {
        self.state().is_harmless = true;
    }

    fn off(&self, what: &str, error: &TargetError) -> ImportFailure {
        match error {
            TargetError::Busy { .. } => ImportFailure::Target(error.clone()),
            _ => ImportFailure::Off(format!("{what}: {error}")),
        }
    }

    /// Makes the source ready: it has to be idle and to know our types.
    async fn prepare(&self, caller: &Caller, schema: &Schema, mapping: &Mapping) -> Result<Links, ImportFailure> {
        #[derive(Deserialize)]
        struct Info {
            links: Links,
        }
        #[derive(Deserialize)]
        struct Status {
            status: String,
        }
        if let Some(links) = self.state().links.clone() {
            return Ok(links);
        }
        let request = Request::get("/jsm/assets/v1/imports/info").operation("import");
        let Info { links } = caller.get(request, "find the import source").await.map_err(|error| self.off("its import source", &error))?;
        let request = Request::follow(&links.get_status).operation("import");
        let Status { status } =
            caller.get(request, "look at the import source").await.map_err(|error| self.off("its import source", &error))?;
        let body = document(schema, mapping);
        let request = match status.as_str() {
            "IDLE" => Request::patch(""),
            "MISSING_MAPPING" => Request::put(""),
            other => return Err(ImportFailure::Off(format!("its import source is {other}"))),
        };
        let request = request.to(&links.mapping).json(&body).operation("import").any_body().repeat(Repeat::Safe);
        caller.send(request, "map the import").await.map_err(|error| self.off("the mapping of its import source", &error))?;
        self.state().links = Some(links.clone());
        Ok(links)
    }

    /// Hands objects over and waits until they are made. `witness` is an object that stands there.
    ///
    /// # Errors
    /// [`ImportFailure`]; where the time is over the import goes on, and [`Self::finish`] waits for it.
    pub(crate) async fn make(
        &self,
        schema: &Schema,
        mapping: &Mapping,
        entries: Entries,
        external_ids: BTreeSet<String>,
        witness: Option<String>,
        deadline: Instant,
    ) -> Result<Running, ImportFailure> {
        #[derive(Deserialize)]
        struct Started {
            links: ExecutionLinks,
        }
        let caller = self.caller.until(deadline);
        let links = self.prepare(&caller, schema, mapping).await?;
        let request = Request::post("").to(&links.start).operation("import");
        let Started { links } = caller.get(request, "start an import").await.map_err(|error| self.off("an import", &error))?;
        let running = Running { links, external_ids, witness };
        if let Err(error) = submit(&caller, &running, entries).await {
            // What was handed over is not to be made any more; if it is after all, it is found by its external ids.
            let request = Request::delete("").to(&running.links.cancel).operation("import").any_body().repeat(Repeat::Safe);
            if let Err(error) = self.caller.send(request, "cancel an import").await {
                tracing::warn!(target.name = %self.caller.target(), %error, "An import could not be cancelled: the source takes no other until it is");
            }
            return Err(self.off("an import", &error));
        }
        self.state().running = Some(running.clone());
        Ok(running)
    }

    /// Waits until an import is done.
    ///
    /// # Errors
    /// [`TargetError::Busy`] where the time is over before.
    pub(crate) async fn finish(&self, running: &Running, deadline: Instant) -> Result<(), ImportFailure> {
        #[derive(Deserialize)]
        struct Status {
            status: String,
        }
        let caller = self.caller.until(deadline);
        loop {
            let request = Request::follow(&running.links.get_execution_status).operation("import");
            let asked = caller.get::<Status>(request, "look at an import").await;
            match asked.map_err(|error| self.off("an import", &error))?.status.as_str() {
                "DONE" => {
                    self.state().running = None;
                    return Ok(());
                }
                "INGESTING" | "PROCESSING" => {}
                other => {
                    self.state().running = None;
                    return Err(ImportFailure::Off(format!("an import is {other}")));
                }
            }
            if deadline.saturating_duration_since(Instant::now()) < MARGIN {
                let target = self.caller.target().clone();
                return Err(ImportFailure::Target(TargetError::Busy { target, seconds: 0 }));
            }
            self.caller.clock().sleep(LOOK_PAUSE).await;
        }
    }

    /// That an import took away what stood there.
    pub(crate) fn took_away(&self, id: &str) -> TargetError {
        let text = format!("its import source takes away what an import does not show: object {id} is gone, and others may be");
        let hint = "set the import source to keep objects that are missing in an import, or take `import` out of the configuration; then run `dewpoint target recover`";
        self.caller.unusable(text, hint)
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
