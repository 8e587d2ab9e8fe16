//! The REST API of Assets, as far as it is used, on Cloud and on Data Center.
//!
//! Sources: Atlassian, "Assets REST API" (Cloud), "Assets Data Center REST API reference", "Jira Service Management Cloud REST API" (workspaces).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dewpoint_core::target::TargetError;
use dewpoint_http::{HttpError, HttpErrorKind, Repeat, Request};
use dewpoint_target_kit::Caller;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::object::{Id, Object};
use crate::schema::{RawAttribute, RawType, Schema, SchemaHead, Schemas, StatusType};

/// Objects of a page. The end of the list was told too early where 1 000 or more were asked for (JSDCLOUD-16556).
pub(crate) const PAGE_OBJECTS: usize = 500;

/// Pages of a listing: one that does not end must not hold a run for ever.
pub(crate) const PAGES_MAX: usize = 10_000;

/// Bytes of a query that goes into a URL: servers and what stands before them take 8 KiB as a rule, in which some characters count thrice.
const URL_QUERY_MAX: usize = 2048;

/// Schemas of a page.
const PAGE_SCHEMAS: usize = 100;

/// Which product it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deployment {
    /// Jira Service Management Cloud.
    Cloud,
    /// Jira Service Management Data Center.
    DataCenter,
}

/// One site.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    /// Calls the site itself: workspaces, users.
    pub(crate) site: Caller,
    /// Calls Assets; on Data Center that is the site.
    pub(crate) assets: Caller,
    pub(crate) deployment: Deployment,
    /// Where the API of a workspace lies.
    pub(crate) base: Base,
    /// Key of the schema.
    pub(crate) schema_key: String,
    known: Arc<Known>,
}

/// Where Assets' API lies behind the address of [`Api::assets`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Base {
    /// Here: the path.
    Here(String),
    /// Below the workspace that the site names.
    Workspace,
    /// Below the site's id and the workspace that it names.
    CloudAndWorkspace,
}

#[derive(Debug, Default)]
struct Known {
    workspace: OnceCell<String>,
    cloud: OnceCell<String>,
    schema: Mutex<Option<Arc<Schema>>>,
}

/// Where a page of objects starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// How many objects lie before it.
    pub(crate) seen: usize,
    /// Its number, the first is 1.
    pub(crate) number: usize,
}

impl Default for Place {
    fn default() -> Self {
        Self { seen: 0, number: 1 }
    }
}

/// An attribute's values as they are written; none empty it.
pub(crate) type Written = BTreeMap<String, Vec<String>>;

/// Why an object was not written.
#[derive(Debug)]
pub(crate) enum WriteFailure {
    /// It is not there.
    Gone,
    /// Its values are refused: by id of attribute, in the site's words, and what is said beside.
    Invalid { by_attribute: BTreeMap<String, String>, text: String },
    /// Nobody knows whether it was done.
    Doubt(TargetError),
    /// It was not done.
    Other(TargetError),
}

#[derive(Deserialize)]
struct Workspaces {
    #[serde(default)]
    values: Vec<Workspace>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Workspace {
    workspace_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TenantInfo {
    cloud_id: String,
}

/// A page of a search on Cloud.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CloudPage {
    #[serde(default)]
    values: Vec<Object>,
    #[serde(default)]
    is_last: Option<bool>,
    #[serde(default)]
    last: Option<bool>,
    /// How many it gives at most: fewer than were asked for, maybe.
    #[serde(default)]
    max_results: Option<usize>,
}

/// A page of a search on Data Center.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DataCenterPage {
    #[serde(default)]
    object_entries: Vec<Object>,
    #[serde(default)]
    total_filter_count: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Count {
    total_count: u64,
}

/// What Assets says of a refusal.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Refusal {
    error_messages: Vec<String>,
    errors: BTreeMap<String, String>,
}

/// How the errors of an attribute are called.
const ATTRIBUTE_ERROR: &str = "rlabs-insight-attribute-";

impl Api {
    pub(crate) fn new(site: Caller, assets: Caller, deployment: Deployment, base: Base, schema_key: String) -> Self {
        Self { site, assets, deployment, base, schema_key, known: Arc::default() }
    }

    /// The same for requests that end before this.
    pub(crate) fn until(&self, deadline: Instant) -> Self {
        Self { site: self.site.until(deadline), assets: self.assets.until(deadline), ..self.clone() }
    }

    /// The workspace of the site, asked for now.
    pub(crate) async fn ask_workspace(&self) -> Result<String, TargetError> {
        let prefix = match self.base {
            Base::CloudAndWorkspace => format!("/ex/jira/{}", self.cloud().await?),
            Base::Here(_) | Base::Workspace => String::new(),
        };
        let request = Request::get(&format!("{prefix}/rest/servicedeskapi/assets/workspace")).operation("workspace");
        let found: Workspaces = self.jira_caller().get(request, "find the workspace").await?;
        let workspace = found.values.into_iter().next().ok_or_else(|| {
            self.assets.unusable(
                "the site has no Assets workspace that this user may see",
                "Assets is part of Jira Service Management Premium and Enterprise; the user needs access to that product",
            )
        })?;
        let id = path_part(&self.assets, workspace.workspace_id)?;
        // Another one than was known is another CMDB, which whoever asks has to find out.
        let _ = self.known.workspace.set(id.clone());
        Ok(id)
    }

    /// The site's id on Atlassian's platform.
    async fn cloud(&self) -> Result<&str, TargetError> {
        let asked = self.known.cloud.get_or_try_init(async || {
            let request = Request::get("/_edge/tenant_info").operation("tenant info");
            let info: TenantInfo = self.site.get(request, "find the site's id").await?;
            path_part(&self.assets, info.cloud_id)
        });
        Ok(asked.await?.as_str())
    }

    /// Path of Jira's own API.
    pub(crate) async fn jira(&self, path: &str) -> Result<String, TargetError> {
        Ok(match (self.deployment, self.base == Base::CloudAndWorkspace) {
            (Deployment::Cloud, false) => format!("/rest/api/3/{path}"),
            (Deployment::Cloud, true) => format!("/ex/jira/{}/rest/api/3/{path}", self.cloud().await?),
            (Deployment::DataCenter, _) => format!("/rest/api/2/{path}"),
        })
    }

    /// Who calls it.
    pub(crate) fn jira_caller(&self) -> &Caller {
        if self.base == Base::CloudAndWorkspace { &self.assets } else { &self.site }
    }

    /// Path of the API.
    async fn prefix(&self) -> Result<String, TargetError> {
        let workspace = async || match self.known.workspace.get() {
            Some(known) => Ok(known.clone()),
            None => self.ask_workspace().await,
        };
        Ok(match &self.base {
            Base::Here(_) => String::new(),
            Base::Workspace => format!("/jsm/assets/workspace/{}/v1", workspace().await?),
            Base::CloudAndWorkspace => {
                let (cloud, workspace) = (self.cloud().await?, workspace().await?);
                format!("/ex/jira/{cloud}/jsm/assets/workspace/{workspace}/v1")
            }
        })
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        called: &str,
        operation: &'static str,
    ) -> Result<T, TargetError> {
        let request = Request::get(&format!("{}{path}", self.prefix().await?)).operation(called);
        let request = query.iter().fold(request, |request, (name, value)| request.query(name, value));
        self.assets.get(request, operation).await
    }

    /// Makes part of the schema.
    pub(crate) async fn configure<T: DeserializeOwned>(&self, path: &str, body: &Value, operation: &'static str) -> Result<T, TargetError> {
        let request = Request::post(&format!("{}{path}", self.prefix().await?)).json(body).operation("configure");
        self.assets.get(request, operation).await
    }

    /// Changes part of the schema.
    pub(crate) async fn reconfigure(&self, path: &str, body: &Value, operation: &'static str) -> Result<(), TargetError> {
        let request = Request::put(&format!("{}{path}", self.prefix().await?)).json(body).operation("configure").repeat(Repeat::Safe);
        self.assets.send(request, operation).await.map(drop)
    }

    /// The attributes of a type.
    pub(crate) async fn attributes_of(&self, object_type: &str) -> Result<Vec<RawAttribute>, TargetError> {
        self.get(&format!("/objecttype/{object_type}/attributes"), &[], "attributes", "list attributes").await
    }

    /// The schemas that the user may see.
    pub(crate) async fn schemas(&self) -> Result<Vec<SchemaHead>, TargetError> {
        let mut all: Vec<SchemaHead> = Vec::new();
        for _ in 0..PAGES_MAX {
            let query = match self.deployment {
                Deployment::Cloud => vec![("startAt", all.len().to_string()), ("maxResults", PAGE_SCHEMAS.to_string())],
                Deployment::DataCenter => Vec::new(),
            };
            let page: Schemas = self.get("/objectschema/list", &query, "schemas", "list schemas").await?;
            let is_end = page.values.is_empty() || page.is_last != Some(false);
            all.extend(page.values);
            if is_end {
                return Ok(all);
            }
        }
        Err(self.assets.unreachable("list schemas", "the list does not come to an end"))
    }

    /// Ids of icons by name.
    pub(crate) async fn icons(&self) -> Result<BTreeMap<String, Id>, TargetError> {
        #[derive(Deserialize)]
        struct Icon {
            id: Id,
            name: String,
        }
        let icons: Vec<Icon> = self.get("/icon/global", &[], "icons", "list icons").await?;
        Ok(icons.into_iter().map(|icon| (icon.name, icon.id)).collect())
    }

    /// Types of references by name.
    pub(crate) async fn reference_types(&self) -> Result<BTreeMap<String, Id>, TargetError> {
        #[derive(Deserialize)]
        struct ReferenceType {
            id: Id,
            name: String,
        }
        let all: Vec<ReferenceType> = self.get("/config/referencetype", &[], "reference types", "list reference types").await?;
        Ok(all.into_iter().map(|kind| (kind.name, kind.id)).collect())
    }

    /// The schema as it is now; `None` where there is none of the key.
    pub(crate) async fn read_schema(&self) -> Result<Option<Schema>, TargetError> {
        let head = self.schemas().await?.into_iter().find(|head| head.object_schema_key.eq_ignore_ascii_case(&self.schema_key));
        let Some(SchemaHead { id: Id(id), .. }) = head else { return Ok(None) };
        let id = path_part(&self.assets, id)?;
        let types: Vec<RawType> = self.get(&format!("/objectschema/{id}/objecttypes/flat"), &[], "types", "list object types").await?;
        // Without it nobody is told whose attributes they are.
        let extended = [("extended", "true".to_owned())];
        let attributes: Vec<RawAttribute> =
            self.get(&format!("/objectschema/{id}/attributes"), &extended, "attributes", "list attributes").await?;
        let statuses: Vec<StatusType> =
            self.get("/config/statustype", &[("objectSchemaId", id.clone())], "statuses", "list statuses").await?;
        Ok(Some(Schema::new(id, &types, attributes, statuses)))
    }

    /// The schema as this process knows it.
    pub(crate) async fn schema(&self) -> Result<Arc<Schema>, TargetError> {
        if let Some(schema) = self.known.schema.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(schema);
        }
        let schema = self.read_schema().await?.ok_or_else(|| {
            let (key, target) = (&self.schema_key, self.assets.target());
            self.assets.unusable(
                format!("there is no object schema with the key `{key}`, or the user may not see it"),
                format!("run `dewpoint bootstrap {target}`, which makes it, or give the user a role in it"),
            )
        })?;
        let schema = Arc::new(schema);
        *self.known.schema.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&schema));
        Ok(schema)
    }

    /// Forgets the schema: people or a bootstrap may have changed it.
    pub(crate) fn forget_schema(&self) {
        *self.known.schema.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The objects that a query finds, behind those that were seen; where the next ones start. `None` after the last.
    pub(crate) async fn page(&self, query: &str, at: Place) -> Result<(Vec<Object>, Option<Place>), TargetError> {
        const OPERATION: &str = "search";
        let prefix = self.prefix().await?;
        let query = format!("{query} ORDER BY Key ASC");
        let next = |shown: usize| Place { seen: at.seen + shown, number: at.number + 1 };
        match self.deployment {
            Deployment::Cloud => {
                let request = cloud_search(&prefix, &query, at.seen, PAGE_OBJECTS);
                let CloudPage { values, is_last, last, max_results } = self.assets.get(request, OPERATION).await?;
                // The end is told too early now and then: a page that is full is never taken for the last.
                let is_full = values.len() >= max_results.unwrap_or(PAGE_OBJECTS).min(PAGE_OBJECTS);
                let is_end = values.is_empty() || (!is_full && is_last.or(last) != Some(false));
                let next = next(values.len());
                Ok((values, (!is_end).then_some(next)))
            }
            Deployment::DataCenter => {
                let page: DataCenterPage = self.assets.get(data_center_search(&prefix, &query, at.number), OPERATION).await?;
                let next = next(page.object_entries.len());
                // Its pages may be smaller than was asked for: how many objects there are tells where they end.
                let total = page.total_filter_count.ok_or_else(|| self.assets.unreachable(OPERATION, "the answer holds no count"))?;
                let is_end = next.seen as u64 >= total;
                if page.object_entries.is_empty() && !is_end {
                    let text = format!("its pages end after {} of {total} objects", at.seen);
                    return Err(self.assets.unreachable(OPERATION, text));
                }
                Ok((page.object_entries, (!is_end).then_some(next)))
            }
        }
    }

    /// All objects that a query finds. Made for few: nothing proves that none was left out between two pages but that none was shown twice.
    pub(crate) async fn search(&self, query: &str) -> Result<Vec<Object>, TargetError> {
        let mut found: Vec<Object> = Vec::new();
        let mut ids = BTreeSet::new();
        let mut at = Place::default();
        for _ in 0..PAGES_MAX {
            let (objects, next) = self.page(query, at).await?;
            for object in objects {
                if !ids.insert(object.id.clone()) {
                    let text = format!("its pages overlap: object {} was shown twice, so that others may not have been shown", object.id.0);
                    return Err(self.assets.unreachable("search", text));
                }
                found.push(object);
            }
            match next {
                Some(next) => at = next,
                None => return Ok(found),
            }
        }
        Err(self.assets.unreachable("search", "the pages of an answer do not come to an end"))
    }

    /// How many objects the site says that a schema holds; `None` where it shows no such schema.
    pub(crate) async fn objects_in_schema(&self, id: &str) -> Result<Option<u64>, TargetError> {
        Ok(self.schemas().await?.into_iter().find(|head| head.id.0 == id).and_then(|head| head.object_count))
    }

    /// Any object that a query finds.
    pub(crate) async fn any(&self, query: &str) -> Result<Option<Object>, TargetError> {
        let prefix = self.prefix().await?;
        match self.deployment {
            Deployment::Cloud => {
                let page: CloudPage = self.assets.get(cloud_search(&prefix, query, 0, 1), "search").await?;
                Ok(page.values.into_iter().next())
            }
            Deployment::DataCenter => {
                let page: DataCenterPage = self.assets.get(data_center_search(&prefix, query, 1), "search").await?;
                Ok(page.object_entries.into_iter().next())
            }
        }
    }

    /// How many objects a query finds.
    pub(crate) async fn count(&self, query: &str) -> Result<u64, TargetError> {
        let prefix = self.prefix().await?;
        match self.deployment {
            Deployment::Cloud => {
                let request = Request::post(&format!("{prefix}/object/aql/totalcount"))
                    .json(&json!({ "qlQuery": query }))
                    .operation("count")
                    .repeat(Repeat::Safe);
                Ok(self.assets.get::<Count>(request, "count").await?.total_count)
            }
            Deployment::DataCenter => {
                let request = Request::get(&format!("{prefix}/aql/objects"))
                    .query("qlQuery", query)
                    .query("page", "1")
                    .query("resultPerPage", "1")
                    .query("includeAttributes", "false")
                    .operation("count");
                let page: DataCenterPage = self.assets.get(request, "count").await?;
                page.total_filter_count.ok_or_else(|| self.assets.unreachable("count", "the answer holds no count"))
            }
        }
    }

    /// An object as it is now; `None` where there is none. A search may show an older state of it, or not yet show it.
    pub(crate) async fn object(&self, id: &str) -> Result<Option<Object>, TargetError> {
        let request = Request::get(&format!("{}/object", self.prefix().await?)).segment(id).operation("read object");
        match self.assets.ask(request).await {
            Ok(answer) => Ok(Some(self.assets.json(&answer, "read an object")?)),
            Err(HttpError { kind: HttpErrorKind::NotFound { .. }, .. }) => Ok(None),
            Err(error) => Err(self.assets.failed("read an object", &error)),
        }
    }

    /// Makes an object; its id.
    pub(crate) async fn create(&self, object_type: &str, written: &Written) -> Result<String, WriteFailure> {
        let prefix = self.prefix().await.map_err(WriteFailure::Other)?;
        let request = Request::post(&format!("{prefix}/object/create")).json(&self.body(object_type, written)).operation("create");
        Ok(self.write(request).await?.id.0)
    }

    /// Changes attributes of an object; the object as the answer shows it.
    pub(crate) async fn update(&self, id: &str, object_type: &str, written: &Written) -> Result<Object, WriteFailure> {
        let prefix = self.prefix().await.map_err(WriteFailure::Other)?;
        let request = Request::put(&format!("{prefix}/object"))
            .segment(id)
            .json(&self.body(object_type, written))
            .operation("update")
            // The same values once more change nothing.
            .repeat(Repeat::Safe);
        self.write(request).await
    }

    async fn write(&self, request: Request) -> Result<Object, WriteFailure> {
        let answer = self.assets.ask(request).await.map_err(|error| self.write_failure(&error))?;
        // It says that it is done, and not what.
        answer.json::<Object>().map_err(|error| WriteFailure::Doubt(self.assets.failed("write an object", &error)))
    }

    /// How many objects the site holds in all.
    pub(crate) async fn usage(&self) -> Result<u64, TargetError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Usage {
            total_objects_count: u64,
        }
        Ok(self.get::<Usage>("/usage", &[], "usage", "ask how many objects there are").await?.total_objects_count)
    }

    fn write_failure(&self, error: &HttpError) -> WriteFailure {
        let meant = self.assets.failed("write an object", error);
        if error.is_ambiguous() {
            return WriteFailure::Doubt(meant);
        }
        match &error.kind {
            HttpErrorKind::NotFound { .. } => WriteFailure::Gone,
            HttpErrorKind::Refused { said, .. } if said.status == 400 => {
                let Refusal { error_messages, errors } = said.json().unwrap_or_default();
                // The body was not searched for secrets, nor cut; what was is what the error says.
                let told = |text: String| if said.words.contains(&text) { text } else { "the site refuses it".to_owned() };
                let error_messages: Vec<String> = error_messages.into_iter().map(told).collect();
                let errors = errors.into_iter().map(|(name, text)| (name, told(text)));
                let mut by_attribute = BTreeMap::new();
                let mut words = error_messages;
                for (name, text) in errors {
                    match name.strip_prefix(ATTRIBUTE_ERROR) {
                        Some(id) => drop(by_attribute.insert(id.to_owned(), text)),
                        None => words.push(format!("{name}: {text}")),
                    }
                }
                let text = if words.is_empty() && by_attribute.is_empty() { error.to_string() } else { words.join("; ") };
                WriteFailure::Invalid { by_attribute, text }
            }
            _ => WriteFailure::Other(meant),
        }
    }

    fn body(&self, object_type: &str, written: &Written) -> Value {
        let attributes: Vec<Value> = written
            .iter()
            .map(|(id, values)| {
                let values: Vec<Value> = values.iter().map(|value| json!({ "value": value })).collect();
                json!({ "objectTypeAttributeId": self.id_value(id), "objectAttributeValues": values })
            })
            .collect();
        json!({ "objectTypeId": self.id_value(object_type), "attributes": attributes })
    }

    /// Removes an object; whether it was there.
    pub(crate) async fn delete(&self, id: &str) -> Result<bool, TargetError> {
        let prefix = self.prefix().await?;
        let request = Request::delete(&format!("{prefix}/object")).segment(id).operation("delete").any_body().repeat(Repeat::Safe);
        match self.assets.ask(request).await {
            Ok(_) => Ok(true),
            Err(HttpError { kind: HttpErrorKind::NotFound { .. }, .. }) => Ok(false),
            Err(error) => Err(self.assets.failed("delete an object", &error)),
        }
    }
}

/// A search on Cloud: so many objects behind those that were seen.
fn cloud_search(prefix: &str, query: &str, seen: usize, size: usize) -> Request {
    Request::post(&format!("{prefix}/object/aql"))
        .query("startAt", &seen.to_string())
        .query("maxResults", &size.to_string())
        .query("includeAttributes", "true")
        .json(&json!({ "qlQuery": query }))
        .operation("search")
        .repeat(Repeat::Safe)
}

/// A search on Data Center. What is too long for a URL is posted.
///
/// Source: Assets Data Center REST API reference, "AQL" (`/aql/objects`) and "Object" (`/object/navlist/aql`).
fn data_center_search(prefix: &str, query: &str, page: usize) -> Request {
    if query.len() > URL_QUERY_MAX {
        let body = json!({ "qlQuery": query, "page": page, "resultsPerPage": PAGE_OBJECTS, "includeAttributes": true });
        return Request::post(&format!("{prefix}/object/navlist/aql")).json(&body).operation("search").repeat(Repeat::Safe);
    }
    Request::get(&format!("{prefix}/aql/objects"))
        .query("qlQuery", query)
        .query("page", &page.to_string())
        .query("resultPerPage", &PAGE_OBJECTS.to_string())
        .query("includeAttributes", "true")
        .query("includeAttributesDeep", "1")
        .query("includeTypeAttributes", "false")
        .operation("search")
}

/// An id from an answer as part of a path.
fn path_part(caller: &Caller, id: String) -> Result<String, TargetError> {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    if !id.is_empty() && id.chars().all(is_plain) {
        return Ok(id);
    }
    Err(caller.unusable(format!("it named an id that is none: `{}`", id.escape_debug()), "check `url` and `api_base`"))
}
