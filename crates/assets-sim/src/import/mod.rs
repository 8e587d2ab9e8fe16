//! External imports: a mapping, executions, chunks.

mod apply;
mod mapping;

use std::collections::BTreeSet;

use dewpoint_sim_kit::{
    clock::{later, seconds},
    hash::mix,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    call::{Call, missing},
    reply::{ApiError, Reply},
    site::{Role, Secret, Site, uuid},
    value,
};

pub(crate) use apply::settle;

type Answer = Result<Reply, ApiError>;

/// What becomes of objects of a mapped type that an import does not show, whoever made them. An administrator chooses it with the import source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// They stay.
    #[default]
    Keep,
    /// They are deleted.
    Remove,
}

/// An external import source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImportSource {
    /// Its id.
    pub id: String,
    /// The schema that it writes into.
    pub schema_id: u64,
    /// Its name.
    pub name: String,
    /// The token for it.
    pub token: Secret,
    /// An administrator switched it off.
    pub is_disabled: bool,
    /// An administrator deleted it: its token is known, and finds nothing.
    pub is_deleted: bool,
    /// What becomes of objects that an import does not show.
    pub missing: Missing,
    /// The document with schema and mapping.
    pub mapping: Option<Value>,
    /// Its imports, the oldest first.
    pub executions: Vec<Execution>,
}

/// An import.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// Its id.
    pub id: String,
    /// When it began.
    pub started: Timestamp,
    /// When all of its data was there.
    pub completed: Option<Timestamp>,
    /// When it was done.
    pub ended: Option<Timestamp>,
    /// Whether it was cancelled.
    pub is_cancelled: bool,
    /// What was said of its progress: all objects, and how many of them.
    pub progress: Option<(u64, u64)>,
    /// The chunks that came, by the ids that the client gave them.
    pub chunks: BTreeSet<String>,
    /// Their data, in the order in which it came; empty when the import is done.
    pub data: Vec<Value>,
    /// Objects that were made.
    pub created: usize,
    /// Objects that were changed.
    pub updated: usize,
    /// Objects that were looked at.
    pub processed: usize,
    /// What failed: the object as the import knows it, and why.
    pub failures: Vec<(String, String)>,
}

impl Execution {
    fn is_running(&self) -> bool {
        !self.is_cancelled && self.ended.is_none()
    }

    /// Whether all of its data is there, and has been long enough.
    fn is_due(&self, now: Timestamp, processing_s: u64) -> bool {
        self.is_running() && self.completed.is_some_and(|completed| later(completed, seconds(processing_s)) <= now)
    }

    fn status(&self) -> &'static str {
        match (self.is_cancelled, self.completed, self.ended) {
            (true, _, _) => "CANCELLED",
            (_, _, Some(_)) => "DONE",
            (_, Some(_), None) => "PROCESSING",
            (_, None, None) => "INGESTING",
        }
    }
}

impl ImportSource {
    pub(crate) fn new(id: &str, schema_id: u64, name: &str, token: Secret) -> Self {
        Self {
            id: id.to_owned(),
            schema_id,
            name: name.to_owned(),
            token,
            is_disabled: false,
            is_deleted: false,
            missing: Missing::Keep,
            mapping: None,
            executions: Vec::new(),
        }
    }

    fn status(&self) -> &'static str {
        if self.is_disabled {
            "DISABLED"
        } else if self.mapping.is_none() {
            "MISSING_MAPPING"
        } else if self.executions.iter().any(Execution::is_running) {
            "RUNNING"
        } else {
            "IDLE"
        }
    }
}

/// The import source that a path names and the caller may use, by its place in the list.
fn source(call: &Call<'_>, path: &[&str]) -> Result<usize, ApiError> {
    let id = path.first().copied().unwrap_or_default();
    let not_found = || missing("import source", id);
    let at = call.site.imports.iter().position(|source| source.id == id && !source.is_deleted).ok_or_else(not_found)?;
    let schema = call.site.imports.get(at).map(|source| source.schema_id).unwrap_or_default();
    if call.caller.import.as_deref() != Some(id) {
        call.caller.role(call.site, schema).ok_or_else(not_found)?;
        call.check_role(schema, Role::Manager)?;
    }
    Ok(at)
}

fn look<'a>(call: &'a mut Call<'_>, path: &[&str]) -> Result<&'a mut ImportSource, ApiError> {
    let at = source(call, path)?;
    call.site.imports.get_mut(at).ok_or_else(|| missing("import source", path.first().unwrap_or(&"")))
}

fn conflict(message: &str) -> ApiError {
    ApiError::new(409, message)
}

fn address(call: &Call<'_>, id: &str) -> String {
    format!("{}/jsm/assets/workspace/{}/v1/importsource/{id}", call.base_url, call.site.workspace_id)
}

/// `GET /jsm/assets/v1/imports/info`.
pub(crate) fn info(call: &mut Call<'_>, _: &[&str]) -> Answer {
    let id = call.caller.import.clone().ok_or_else(ApiError::unauthenticated)?;
    source(call, &[&id])?;
    let address = address(call, &id);
    Ok(Reply::ok(json!({"links": {
        "getStatus": format!("{address}/configstatus"),
        "start": format!("{address}/executions"),
        "mapping": format!("{address}/mapping"),
    }})))
}

/// `GET /importsource/{id}`.
pub(crate) fn get(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let source = look(call, path)?;
    Ok(Reply::ok(json!({
        "id": source.id,
        "collectionId": source.schema_id.to_string(),
        "objectSchemaId": source.schema_id.to_string(),
        "name": source.name,
        "importSourceModuleKey": "rlabs-import-type-external",
        "importStatus": {
            "configurationStatusType": if source.is_disabled { "DISABLED" } else { "ENABLED" },
            "validationStatusType": if source.mapping.is_some() { "VALID" } else { "INVALID_CONFIGURATION" },
        },
        "tokenGenerated": true,
    })))
}

/// `GET /importsource/{id}/configstatus`.
pub(crate) fn config_status(call: &mut Call<'_>, path: &[&str]) -> Answer {
    Ok(Reply::ok(json!({"status": look(call, path)?.status()})))
}

/// `POST /importsource/{id}/token`: a new token, in place of the one before.
pub(crate) fn token(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let seed = call.site.seed();
    let token = format!("{}{}", uuid(seed ^ 29, call.chance), uuid(mix(seed ^ 29), call.chance)).replace('-', "");
    look(call, path)?.token = Secret::new(&token);
    Ok(Reply::new(201, json!({"token": token})))
}

/// `GET /importsource/{id}/schema-and-mapping`.
pub(crate) fn mapping_get(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let source = look(call, path)?;
    source.mapping.clone().map(Reply::ok).ok_or_else(|| ApiError::not_found("The import source has no mapping"))
}

/// `PUT /importsource/{id}/mapping`.
pub(crate) fn mapping_put(call: &mut Call<'_>, path: &[&str]) -> Answer {
    submit(call, path, false)
}

/// `PATCH /importsource/{id}/mapping`, which only adds.
pub(crate) fn mapping_patch(call: &mut Call<'_>, path: &[&str]) -> Answer {
    submit(call, path, true)
}

fn submit(call: &mut Call<'_>, path: &[&str], is_patch: bool) -> Answer {
    let at = source(call, path)?;
    let sent: Value = serde_json::from_slice(call.body).map_err(|_| ApiError::bad("The request body could not be read as JSON"))?;
    let (schema_id, old) = {
        let source = call.site.imports.get(at).ok_or_else(|| missing("import source", ""))?;
        match source.status() {
            "DISABLED" => return Err(conflict("The import source is disabled")),
            "RUNNING" => return Err(conflict("Import is already running")),
            _ => {}
        }
        (source.schema_id, source.mapping.clone())
    };
    mapping::read(&sent)?;
    let merged = match (is_patch, old) {
        (true, None) => return Err(conflict("The import source has no mapping")),
        (true, Some(old)) => mapping::merge(&old, &sent)?,
        (false, Some(_)) if !call.settings.import_remap => return Err(conflict("The import source has a mapping: use PATCH")),
        (false, _) => sent,
    };
    let document = mapping::read(&merged)?;
    mapping::build(call, schema_id, &document)?;
    if let Some(source) = call.site.imports.get_mut(at) {
        source.mapping = Some(merged);
    }
    if call.query.contains_key("async") {
        return Ok(Reply::new(202, json!({"resourceId": uuid(31, call.chance)})));
    }
    Ok(Reply::empty(204))
}

/// `GET /importsource/{id}/mapping/progress/{resourceId}`: it is done at once.
pub(crate) fn mapping_progress(call: &mut Call<'_>, path: &[&str]) -> Answer {
    look(call, path)?;
    Ok(Reply::ok(json!({
        "resourceId": path.get(1),
        "category": "imports",
        "status": "FINISHED",
        "progressInPercent": 100,
        "result": "OK",
        "resultMessage": "",
    })))
}

/// `POST /importsource/{id}/executions`.
pub(crate) fn start(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let (now, id) = (call.now, uuid(37, call.chance));
    let source = look(call, path)?;
    match source.status() {
        "DISABLED" => return Err(conflict("The import source is disabled")),
        "MISSING_MAPPING" => return Err(conflict("The import source has no mapping")),
        "RUNNING" => return Err(conflict("Import is already running")),
        _ => {}
    }
    source.executions.push(Execution { id: id.clone(), started: now, ..Execution::default() });
    let address = format!("{}/executions/{id}", address(call, path.first().unwrap_or(&"")));
    Ok(Reply::new(
        201,
        json!({"result": "success", "links": {
            "submitProgress": format!("{address}/progress"),
            "submitResults": format!("{address}/data"),
            "getExecutionStatus": format!("{address}/status"),
            "cancel": address,
        }}),
    ))
}

fn execution<'a>(call: &'a mut Call<'_>, path: &[&str]) -> Result<&'a mut Execution, ApiError> {
    let id = path.get(1).copied().unwrap_or_default();
    let found = look(call, path)?.executions.iter_mut().find(|execution| execution.id == id);
    found.ok_or_else(|| missing("import execution", id))
}

/// The execution that a path names, as long as it takes data.
fn open<'a>(call: &'a mut Call<'_>, path: &[&str]) -> Result<&'a mut Execution, ApiError> {
    let execution = execution(call, path)?;
    if execution.status() == "INGESTING" { Ok(execution) } else { Err(conflict("The import execution takes no more data")) }
}

/// `POST /importsource/{id}/executions/{id}/data`.
pub(crate) fn data(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let mut members = call.members(&["data", "clientGeneratedId", "completed"])?;
    let (now, most) = (call.now, call.settings.import_chunk_max);
    let is_completed = members.flag("completed")?.unwrap_or_default();
    let data = members.take("data");
    let chunk = members.text("clientGeneratedId")?.map(str::to_owned);
    if data.is_none() && !is_completed {
        return Err(ApiError::field("data", "The data is required"));
    }
    if let Some(data) = &data {
        let lists = data.as_object().ok_or_else(|| ApiError::field("data", "The data has to be an object"))?;
        let count: usize = lists.values().filter_map(Value::as_array).map(Vec::len).sum();
        if count > most {
            return Err(ApiError::new(413, "The chunk is too large"));
        }
        if chunk.is_none() {
            return Err(ApiError::field("clientGeneratedId", "clientGeneratedId is required"));
        }
    }
    let execution = open(call, path)?;
    let is_new = chunk.is_none_or(|chunk| execution.chunks.insert(chunk));
    if let (true, Some(data)) = (is_new, data) {
        execution.data.push(data);
    }
    if is_completed {
        execution.completed = Some(now);
    }
    Ok(Reply::empty(202))
}

/// `PUT /importsource/{id}/executions/{id}/progress`.
pub(crate) fn progress(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let mut members = call.members(&["objects", "steps"])?;
    let objects = members.take("objects").ok_or_else(|| ApiError::field("objects", "objects is required"))?;
    let objects = call.object(objects, &["total", "processed"])?;
    let count = |name: &str| -> Result<u64, ApiError> {
        let count = objects.number(name)?.and_then(|count| u64::try_from(count).ok());
        count.ok_or_else(|| ApiError::field(name, &format!("{name} is required")))
    };
    let counts = (count("total")?, count("processed")?);
    open(call, path)?.progress = Some(counts);
    Ok(Reply::empty(204))
}

fn shown(execution: &Execution, schema_id: u64) -> Value {
    let mut shown = json!({"executionId": execution.id, "status": execution.status()});
    let result = match (execution.ended, execution.failures.is_empty()) {
        (None, _) => "",
        (_, true) => "OK",
        (_, false) => "OK_WITH_ERRORS",
    };
    if let (Some(completed), Some(members)) = (execution.completed, shown.as_object_mut()) {
        let progress = json!({
            "id": execution.id,
            "started": value::stamp(completed),
            "ended": execution.ended.map(value::stamp),
            "objectSchemaId": schema_id,
            "result": result,
            "status": if execution.ended.is_some() { "FINISHED" } else { "IN_PROGRESS" },
            "entriesCreated": execution.created,
            "entriesUpdated": execution.updated,
            "entriesFailed": execution.failures.len(),
            "entriesProcessed": execution.processed,
        });
        members.insert("progressResult".to_owned(), progress);
    }
    shown
}

/// `GET /importsource/{id}/executions/{id}/status`.
pub(crate) fn status(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let schema_id = look(call, path)?.schema_id;
    Ok(Reply::ok(shown(execution(call, path)?, schema_id)))
}

/// `GET /importsource/{id}/executions/status`: the newest.
pub(crate) fn status_latest(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let source = look(call, path)?;
    let newest = source.executions.last().ok_or_else(|| ApiError::not_found("There was no import yet"))?;
    Ok(Reply::ok(shown(newest, source.schema_id)))
}

/// `GET /importsource/{id}/executions/{id}/history/failed`.
pub(crate) fn failures(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let execution = execution(call, path)?;
    let entries: Vec<Value> = execution.failures.iter().map(|(object, why)| json!({"externalId": object, "failureReason": why})).collect();
    Ok(Reply::ok(json!({"values": entries})))
}

/// `DELETE /importsource/{id}/executions/{id}`.
pub(crate) fn cancel(call: &mut Call<'_>, path: &[&str]) -> Answer {
    let execution = execution(call, path)?;
    if !execution.is_running() {
        return Err(conflict("The import execution has ended"));
    }
    execution.is_cancelled = true;
    execution.data.clear();
    Ok(Reply::empty(200))
}

/// Whether some import's time has come.
pub(crate) fn is_due(site: &Site, now: Timestamp, processing_s: u64) -> bool {
    site.imports.iter().any(|source| source.executions.iter().any(|execution| execution.is_due(now, processing_s)))
}
