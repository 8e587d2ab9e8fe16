//! The REST API of HaloITSM, as far as it is used.
//!
//! Sources: Halo API v2 (the vendor's OpenAPI description), guides kbid 1499 (login), 1340 and 1368 (assets); what no page says was seen on tenants by others: pages
//! that are capped, parameters that are ignored, arrays that have to be posted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dewpoint_core::model::RelationType;
use dewpoint_core::target::TargetError;
use dewpoint_http::{Answer, HttpError, HttpErrorKind, Repeat, Request};
use dewpoint_target_kit::Caller;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::asset::{Asset, Id};
use crate::mapping::{MARKS, Mapping};
use crate::schema::{Named, RawField, RawType, Schema};
use crate::tag::folded;

/// Rows that are asked for at once; the server lowers it without a word.
const PAGE_ROWS: usize = 500;

/// Pages of a listing: one that does not end must not hold a run for ever.
const PAGES_MAX: usize = 20_000;

/// How often a listing is begun that ends with another number of rows than were counted.
const LISTINGS_MAX: usize = 3;

/// How old what was read of an asset may be when that is written: fields and notes are sent as a whole, with what people wrote to them.
pub(crate) const FRESH: Duration = Duration::from_secs(5);

/// How long what a tenant is set up with is taken to be what it was.
const SCHEMA_AGE_MAX: Duration = Duration::from_secs(3600);

/// For how long it is not read again, whatever is refused.
const SCHEMA_AGE_MIN: Duration = Duration::from_secs(60);

/// The lookup that lists all lookups.
const LOOKUP_TYPES: &str = "11";

/// The member of an asset by which it is put below others. Versions before 2026 do not know it, and ignore it.
const ADD_PARENTS: &str = "add_parent_assets";

/// One tenant.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) caller: Caller,
    pub(crate) client: String,
    pub(crate) site: String,
    /// How many requests a part of a batch may take.
    pub(crate) requests: usize,
    known: Arc<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// With when it was read, by the clock's `elapsed`.
    schema: Mutex<Option<(Arc<Schema>, Duration)>>,
    links: OnceCell<Links>,
}

/// What the tenant makes of relationships.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Links {
    /// Why they cannot be written; `None` where they can.
    pub(crate) unsupported: Option<String>,
    /// Ids of their names by the type of the edge.
    pub(crate) names: BTreeMap<RelationType, Id>,
}

/// How many requests may go out while a batch has its time, at most: the lease of a batch lasts half a minute, and some of it is gone when it begins.
pub(crate) fn requests_of_a_batch(per_minute: u32) -> usize {
    usize::try_from(per_minute / 4).unwrap_or(usize::MAX).max(2)
}

/// What became of assets that were posted.
#[derive(Debug)]
pub(crate) enum PostFailure {
    /// They were refused. Of several, some may have been stored all the same.
    Refused(String),
    /// Nobody knows whether they were stored.
    Doubt(TargetError),
    /// They were not.
    Other(TargetError),
}

/// A page of a list.
#[derive(Deserialize)]
struct Page<T> {
    #[serde(default)]
    record_count: Option<u64>,
    /// How many rows the server gives at most, whatever was asked for.
    #[serde(default)]
    page_size: Option<u64>,
    #[serde(alias = "assets", alias = "clients", alias = "sites", alias = "users")]
    rows: Vec<T>,
}

/// The rows of one page.
pub(crate) struct Sheaf<T> {
    /// How many rows the whole list has, as it says.
    pub(crate) count: u64,
    /// Whether it has all the rows that a page takes: another one may follow, whatever the count says.
    is_full: bool,
    pub(crate) rows: Vec<T>,
}

impl<T> Sheaf<T> {
    /// Whether it is all that there is.
    pub(crate) fn is_all(&self) -> bool {
        self.count == self.rows.len() as u64 && (self.rows.is_empty() || !self.is_full)
    }
}

/// A row of a list.
pub(crate) trait Row: DeserializeOwned {
    fn id(&self) -> Id;
}

impl Row for Asset {
    fn id(&self) -> Id {
        self.id
    }
}

impl Row for Named {
    fn id(&self) -> Id {
        self.id
    }
}

/// Parameters of a request.
pub(crate) type Query<'q> = [(&'q str, &'q str)];

/// What lists of assets have to show: all of them, with their fields.
const WHOLE: [(&str, &str); 4] =
    [("includeactive", "true"), ("includeinactive", "true"), ("includeassetfields", "true"), ("noicon", "true")];

impl Api {
    pub(crate) fn new(caller: Caller, client: String, site: String, per_minute: u32) -> Self {
        Self { caller, client, site, requests: requests_of_a_batch(per_minute), known: Arc::default() }
    }

    /// The same for requests that end before this.
    pub(crate) fn until(&self, deadline: Instant) -> Self {
        Self { caller: self.caller.until(deadline), ..self.clone() }
    }

    fn request(path: &str, query: &Query<'_>, called: &str) -> Request {
        let request = Request::get(&format!("/api/{path}")).operation(called);
        query.iter().fold(request, |request, (name, value)| request.query(name, value))
    }

    /// An answer as it is.
    pub(crate) async fn ask(&self, path: &str, operation: &'static str) -> Result<Answer, TargetError> {
        self.caller.send(Self::request(path, &[], operation), operation).await
    }

    /// A list that does not come in pages: an array, or an object that holds one.
    pub(crate) async fn bare<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &Query<'_>,
        operation: &'static str,
    ) -> Result<Vec<T>, TargetError> {
        let answer = self.caller.send(Self::request(path, query, operation), operation).await?;
        let rows = match self.caller.json::<Value>(&answer, operation)? {
            Value::Array(rows) => Some(rows),
            Value::Object(members) => members.into_iter().find_map(|(_, value)| match value {
                Value::Array(rows) => Some(rows),
                _ => None,
            }),
            _ => None,
        };
        let rows = rows.ok_or_else(|| self.caller.unreachable(operation, "the answer holds no list"))?;
        let read = |row: Value| serde_json::from_value(row).map_err(|error| self.caller.unreachable(operation, error.to_string()));
        rows.into_iter().map(read).collect()
    }

    /// One page of a list.
    pub(crate) async fn page<T: Row>(
        &self,
        path: &str,
        query: &Query<'_>,
        number: usize,
        operation: &'static str,
    ) -> Result<Sheaf<T>, TargetError> {
        let request = Self::request(path, query, operation)
            .query("pageinate", "true")
            .query("page_size", &PAGE_ROWS.to_string())
            .query("page_no", &number.to_string())
            .query("order", "id");
        let page: Page<T> = self.caller.get(request, operation).await?;
        let count = page.record_count.ok_or_else(|| self.caller.unreachable(operation, "the list does not tell how many rows it has"))?;
        let is_full = page.page_size.is_none_or(|size| page.rows.len() as u64 >= size);
        Ok(Sheaf { count, is_full, rows: page.rows })
    }

    /// All rows of a list that comes in pages. What is not shown to be whole is an error.
    pub(crate) async fn pages<T: Row>(&self, path: &str, query: &Query<'_>, operation: &'static str) -> Result<Vec<T>, TargetError> {
        for _ in 0..LISTINGS_MAX {
            if let Some(rows) = self.listing(path, query, operation).await? {
                return Ok(rows);
            }
        }
        Err(self.caller.unreachable(operation, "its rows were never as many as it counts: nothing shows that the list is whole"))
    }

    /// `None` where the rows are not as many as are counted. How many a page has is the server's affair: none is counted upon. A count that ends with a full page
    /// may be that of the page: only one more page shows that it is not.
    async fn listing<T: Row>(&self, path: &str, query: &Query<'_>, operation: &'static str) -> Result<Option<Vec<T>>, TargetError> {
        let mut rows: Vec<T> = Vec::new();
        let mut ids = BTreeSet::new();
        let mut longest = usize::MAX;
        for number in 1..=PAGES_MAX {
            let page = self.page::<T>(path, query, number, operation).await?;
            let (found, before) = (page.rows.len(), rows.len());
            rows.extend(page.rows.into_iter().filter(|row| ids.insert(row.id())));
            let is_counted = rows.len() as u64 == page.count;
            if found == 0 || rows.len() as u64 > page.count {
                return Ok(is_counted.then_some(rows));
            }
            // Behind the end some servers show the last page once more; one that shows the first page again does not turn pages.
            if rows.len() == before {
                return Ok((is_counted && number > 2).then_some(rows));
            }
            if is_counted && !page.is_full && found < longest {
                return Ok(Some(rows));
            }
            longest = if number == 1 { found } else { longest.max(found) };
        }
        Ok(None)
    }

    /// All assets of a type, inactive ones too, with their fields.
    pub(crate) async fn of_type(&self, asset_type: Id) -> Result<Vec<Asset>, TargetError> {
        let id = asset_type.to_string();
        let query = [&WHOLE[..], &[("assettype_id", id.as_str())]].concat();
        let assets: Vec<Asset> = self.pages("Asset", &query, "list assets").await?;
        if assets.iter().any(|asset| asset.fields.is_none() || asset.assettype_id.is_none()) {
            return Err(self.caller.unreachable("list assets", "the list does not show types and fields of assets"));
        }
        Ok(assets.into_iter().filter(|asset| asset.assettype_id == Some(asset_type)).collect())
    }

    /// The first page of the assets that a filter finds.
    pub(crate) async fn few(&self, filter: (&str, &str)) -> Result<Sheaf<Asset>, TargetError> {
        let query = [&WHOLE[..], &[filter]].concat();
        self.page("Asset", &query, 1, "find assets").await
    }

    /// Assets of a type by their ids, with their fields; `None` where the list shows others: then it was not filtered.
    pub(crate) async fn by_ids(&self, asset_type: Id, ids: &BTreeSet<Id>) -> Result<Option<Vec<Asset>>, TargetError> {
        let (asset_type, wanted) = (asset_type.to_string(), ids.iter().map(Id::to_string).collect::<Vec<_>>().join(","));
        let query = [&WHOLE[..], &[("assettype_id", asset_type.as_str()), ("assets", wanted.as_str())]].concat();
        let mut found: Vec<Asset> = Vec::new();
        for number in 1..=ids.len() {
            let page = self.page::<Asset>("Asset", &query, number, "read assets").await?;
            let is_end = page.rows.is_empty();
            found.extend(page.rows);
            if page.count > ids.len() as u64 || found.iter().any(|asset| !ids.contains(&asset.id)) {
                return Ok(None);
            }
            if is_end || found.len() as u64 >= page.count {
                break;
            }
        }
        Ok(Some(found.into_iter().filter(|asset| asset.fields.is_some()).collect()))
    }

    /// An asset with all that there is of it; `None` where there is none.
    pub(crate) async fn asset(&self, id: Id) -> Result<Option<Asset>, TargetError> {
        const OPERATION: &str = "read an asset";
        let request = Request::get("/api/Asset").segment(&id.to_string()).query("includedetails", "true").operation(OPERATION);
        let asset: Asset = match self.caller.ask(request).await {
            Ok(answer) => self.caller.json(&answer, OPERATION)?,
            Err(HttpError { kind: HttpErrorKind::NotFound { .. }, .. }) => return Ok(None),
            Err(error) => return Err(self.caller.failed(OPERATION, &error)),
        };
        if asset.id != id || asset.fields.is_none() {
            return Err(self.caller.unreachable(OPERATION, "the answer is another asset, or shows no fields"));
        }
        Ok(Some(asset))
    }

    /// Stores assets. They are as a read showed them a moment ago: what is not sent soon is to be read anew, and never sent a second time as it is.
    pub(crate) async fn post(&self, elements: &[Value]) -> Result<Vec<Asset>, PostFailure> {
        const OPERATION: &str = "write assets";
        let begin_by = self.caller.clock().now().checked_add(FRESH).unwrap_or(Timestamp::MAX);
        let request = Request::post("/api/Asset").json(elements).operation(OPERATION).repeat(Repeat::Never).begin_by(begin_by);
        let answer = self.caller.ask(request).await.map_err(|error| {
            let meant = self.caller.failed(OPERATION, &error);
            if error.is_ambiguous() {
                return PostFailure::Doubt(meant);
            }
            match &error.kind {
                // One of the assets is not there.
                HttpErrorKind::NotFound { .. } | HttpErrorKind::Refused { .. } => PostFailure::Refused(error.to_string()),
                _ => PostFailure::Other(meant),
            }
        })?;
        let shown = match answer.json::<Value>() {
            Ok(Value::Array(rows)) => rows,
            Ok(row) => vec![row],
            Err(error) => return Err(PostFailure::Doubt(self.caller.failed(OPERATION, &error))),
        };
        // What cannot be read is looked up as if it had not been shown.
        Ok(shown.into_iter().filter_map(|row| serde_json::from_value(row).ok()).collect())
    }

    /// Removes an asset; one that is not there is a success.
    pub(crate) async fn delete(&self, id: Id) -> Result<(), TargetError> {
        const OPERATION: &str = "delete an asset";
        let request = Request::delete("/api/Asset").segment(&id.to_string()).operation(OPERATION).any_body().repeat(Repeat::Safe);
        match self.caller.ask(request).await {
            Ok(_) | Err(HttpError { kind: HttpErrorKind::NotFound { .. }, .. }) => Ok(()),
            Err(error) => Err(self.caller.failed(OPERATION, &error)),
        }
    }

    /// Makes or changes parts of the configuration.
    pub(crate) async fn configure(&self, path: &str, elements: &[Value]) -> Result<(), TargetError> {
        let request = Request::post(&format!("/api/{path}")).json(elements).operation("configure");
        self.caller.send(request, "make part of the configuration").await.map(drop)
    }

    /// Removes a part of the configuration.
    pub(crate) async fn unmake(&self, path: &str, id: Id) -> Result<(), TargetError> {
        let request = Request::delete(&format!("/api/{path}")).segment(&id.to_string()).operation("configure").any_body();
        self.caller.send(request, "remove part of the configuration").await.map(drop)
    }

    /// What the tenant is set up with, as it is now. `wanted` are the types of which all has to be known.
    pub(crate) async fn read_schema(&self, wanted: &BTreeSet<&str>) -> Result<Schema, TargetError> {
        let mut types: Vec<RawType> = self.bare("AssetType", &[], "list asset types").await?;
        if types.is_empty() {
            return Err(self.caller.unusable(
                "it shows no asset type at all: whoever this application acts as may see none",
                "give the application's agent a role that sees the asset types, and check their access control",
            ));
        }
        let wanted: BTreeSet<String> = wanted.iter().map(|name| folded(name)).collect();
        for own in &mut types {
            let lacks_statuses = own.allowall_status == Some(false) && own.allowed_status.is_none();
            if wanted.contains(&folded(&own.name)) && (own.fields.is_none() || lacks_statuses) {
                let path = format!("AssetType/{}", own.id);
                let request = Self::request(&path, &[("includedetails", "true")], "asset type");
                *own = self.caller.get(request, "read an asset type").await?;
            }
        }
        let fields: Vec<RawField> = self.bare("Field", &[("kind", crate::schema::FIELD_KIND)], "list fields").await?;
        let mut schema = Schema::new(types, fields);
        let named = |status: &Named| Some((folded(status.name.as_deref()?), status.id));
        schema.statuses = self.statuses().await?.map(|found| found.iter().filter_map(named).collect());
        if let Some(client) = self.find_client().await? {
            schema.site = self.find_site(client).await?;
        }
        Ok(schema)
    }

    /// Statuses of assets; `None` where they cannot be had: tickets have statuses with the same ids, and a parameter that is not known is ignored.
    pub(crate) async fn statuses(&self) -> Result<Option<Vec<Named>>, TargetError> {
        let of_assets = match self.bare::<Named>("Status", &[("type", "asset")], "list statuses").await {
            Err(TargetError::Forbidden { .. }) => return Ok(None),
            listed => listed?,
        };
        let of_tickets = self.ticket_statuses().await?;
        let told = |all: &[Named]| all.iter().map(|own| (own.id, own.name.clone())).collect::<BTreeSet<_>>();
        Ok((told(&of_assets) != told(&of_tickets)).then_some(of_assets))
    }

    /// Statuses of tickets.
    pub(crate) async fn ticket_statuses(&self) -> Result<Vec<Named>, TargetError> {
        self.bare("Status", &[], "list statuses").await
    }

    /// The client of new assets.
    pub(crate) async fn find_client(&self) -> Result<Option<Id>, TargetError> {
        let clients: Vec<Named> = self.pages("Client", &[("search", self.client.as_str())], "list clients").await?;
        Ok(clients.into_iter().find(|client| client.is_called(&self.client) && client.inactive != Some(true)).map(|client| client.id))
    }

    /// The site of new assets. A name that nothing has would be filed under Unknown without a word: sites go by their ids.
    pub(crate) async fn find_site(&self, client: Id) -> Result<Option<Id>, TargetError> {
        let id = client.to_string();
        let sites: Vec<Named> = self.pages("Site", &[("client_id", id.as_str()), ("search", self.site.as_str())], "list sites").await?;
        let is_meant = |site: &Named| site.is_called(&self.site) && site.client_id == Some(client) && site.inactive != Some(true);
        Ok(sites.into_iter().find(is_meant).map(|site| site.id))
    }

    /// What the tenant is set up with, as this process knows it. What the mapping needs is there.
    pub(crate) async fn schema(&self, mapping: &Mapping) -> Result<Arc<Schema>, TargetError> {
        let now = self.caller.clock().elapsed();
        let known = self.known.schema.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((schema, _)) = known.filter(|(_, at)| now.saturating_sub(*at) < SCHEMA_AGE_MAX) {
            return Ok(schema);
        }
        let classes = mapping.classes();
        let mut schema = self.read_schema(&classes).await?;
        let target = self.caller.target();
        let bootstrap = || format!("run `dewpoint bootstrap {target}`, or give the application's agent access to it");
        for class in &classes {
            let why = match schema.type_named(class) {
                None => Some(format!("there is no asset type `{class}`, or it may not be seen")),
                Some(own) => {
                    let lacks = |mark: &&&str| own.field(mark).is_none_or(|field| !field.is_plain);
                    MARKS.iter().find(lacks).map(|mark| format!("asset type `{class}` has no text field `{mark}`"))
                }
            };
            if let Some(why) = why {
                schema.flaws.insert(folded(class), self.caller.unusable(why, bootstrap()));
            }
        }
        // Where some types can be used the others stop nothing of theirs.
        if schema.flaws.len() == classes.len()
            && let Some(error) = schema.flaws.values().next()
        {
            return Err(error.clone());
        }
        if schema.site.is_none() {
            let text = format!("there is no site `{}` of a client `{}`", self.site, self.client);
            return Err(self.caller.unusable(text, bootstrap()));
        }
        let schema = Arc::new(schema);
        *self.known.schema.lock().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(&schema), now));
        Ok(schema)
    }

    /// Forgets what the tenant is set up with, where that was not read just now.
    pub(crate) fn doubt_schema(&self) {
        let now = self.caller.clock().elapsed();
        let mut known = self.known.schema.lock().unwrap_or_else(PoisonError::into_inner);
        *known = known.take().filter(|(_, at)| now.saturating_sub(*at) < SCHEMA_AGE_MIN);
    }

    /// Forgets what the tenant is set up with: people or a bootstrap may have changed it.
    pub(crate) fn forget_schema(&self) {
        *self.known.schema.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What the tenant makes of relationships.
    pub(crate) async fn links(&self, mapping: &Mapping) -> Result<&Links, TargetError> {
        self.known.links.get_or_try_init(|| self.read_links(mapping)).await
    }

    async fn read_links(&self, mapping: &Mapping) -> Result<Links, TargetError> {
        let member = format!("\"{ADD_PARENTS}\"");
        let unsupported = match self.caller.ask(Self::request("swagger", &[], "swagger")).await {
            Ok(answer) if answer.body().windows(member.len()).any(|part| part == member.as_bytes()) => None,
            Ok(_) => Some("this version of HaloITSM cannot write relationships of assets (they came in 2026)".to_owned()),
            Err(error) => match self.caller.failed("read the interface's description", &error) {
                TargetError::Forbidden { text, .. } => Some(format!("nothing tells whether relationships can be written: {text}")),
                _ if matches!(error.kind, HttpErrorKind::NotFound { .. }) => {
                    Some("nothing tells whether relationships can be written: the interface has no description".to_owned())
                }
                meant => return Err(meant),
            },
        };
        // Without names they are plain ones.
        let lookups: Vec<Named> = match self.bare("Lookup", &[("lookupid", LOOKUP_TYPES)], "list lookups").await {
            Err(TargetError::Forbidden { .. }) => Vec::new(),
            listed => listed?,
        };
        let is_ours = |lookup: &&Named| {
            let name = lookup.name.as_deref().map(folded).unwrap_or_default();
            name.contains("asset") && name.contains("relationship")
        };
        let mut names = BTreeMap::new();
        if let Some(lookup) = lookups.iter().find(is_ours) {
            let id = lookup.id.to_string();
            let codes: Vec<Named> = self.bare("Lookup", &[("lookupid", id.as_str())], "list relationships").await?;
            for edge in mapping.edges() {
                let found = edge.names.iter().find_map(|name| codes.iter().find(|code| code.is_called(name)));
                names.extend(found.map(|code| (edge.relation, code.id)));
            }
        }
        Ok(Links { unsupported, names })
    }
}
