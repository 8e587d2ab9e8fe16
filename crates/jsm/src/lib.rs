//! The Jira Service Management target: objects of Assets, on Cloud and on Data Center.
//!
//! # Whose objects these are
//!
//! Each of ours carries, in attributes of its own, the external id (our key, unique), the estate id, the time of the last delivery, and a note of what we
//! related it to. What has no estate id is people's. Every write is checked against that before it goes out.
//!
//! # What goes where
//!
//! - One request for each object, with its fields and the references that are its edges ([`Target::keeper`]). Objects are made in such an order that what they
//!   refer to stands; circles are closed by a second request.
//! - Edges are references from the many to the one: a machine refers to its pools, security groups and zone. People's references in the same attributes stay.
//! - Reads: searches (AQL) in pages, a full one only where it shows as many objects as were counted.
//!
//! # The index
//!
//! Searches may lag behind writes by seconds; an object read by its id is as it is. So what this process wrote a moment ago it knows by itself, what is
//! changed as a whole is read by its id first, a full read waits for the lag to pass, and a create that had no answer, or is refused as there is one of
//! its external id, is looked for until then.

mod api;
mod apply;
mod aql;
mod blueprint;
mod book;
mod bootstrap;
mod config;
mod doctor;
mod external_id;
mod import;
mod mapping;
mod object;
mod reading;
mod resolver;
mod schema;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dewpoint_core::doctor::Finding;
use dewpoint_core::model::{Digest, Key, Kind, RelationType, TargetName};
use dewpoint_core::target::{
    Acquaintance, Adapted, Authority, Beat, Ci, Delivered, Fingerprint, FoundRecord, Identity, LeftValue, Page, Sample, Sending, Side,
    Step, Target, TargetError, Together, Write,
};
use dewpoint_target_kit::{Sightings, requests_within};
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::api::{Api, Base};
use crate::apply::Batch;
use crate::book::Book;
use crate::import::Imports;
use crate::reading::Reader;
use crate::resolver::Resolver;

pub use crate::api::Deployment;
pub use crate::config::{
    ApiBase, Auth, BATCH_SIZE_DEFAULT, BATCH_SIZE_MAX, CLOUD_API, CLOUD_TOKENS, IMPORT_FROM_DEFAULT, IMPORT_FROM_MAX, INDEX_LAG_DEFAULT,
    ImportConfig, JsmConfig, REQUESTS_PER_SECOND_DEFAULT,
};
pub use crate::mapping::{Mapping, RESERVED, Statuses};
pub use crate::shape::{AttributeShape, Reference};
pub use dewpoint_http::{BaseUrl, BuildError, Clock, Meter, NoMeter, Plaintext, Proxies, Rate, SystemClock};
pub use dewpoint_target_kit::{Connection, Override, OwnField, SheetError, value_of};

/// One site.
#[derive(Debug)]
pub struct JsmTarget {
    api: Api,
    mapping: Arc<Mapping>,
    authority: BTreeMap<String, Authority>,
    batch_size: usize,
    requests_per_second: f64,
    lag: Duration,
    book: Book,
    resolver: Resolver,
    imports: Option<Imports>,
}

impl JsmTarget {
    /// A target that asks nothing until it is used.
    ///
    /// # Errors
    /// [`BuildError`] where certificates, proxies or credentials cannot be used.
    pub fn new(config: &JsmConfig) -> Result<Self, BuildError> {
        Ok(Self {
            api: config.api()?,
            mapping: Arc::clone(&config.mapping),
            authority: config.authority.clone(),
            batch_size: config.batch_size(),
            requests_per_second: config.rate.per_second,
            lag: config.index_lag,
            book: Book::default(),
            resolver: Resolver::default(),
            imports: config.imports()?,
        })
    }

    /// What tells this site from another.
    async fn instance(&self) -> Result<String, TargetError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct ServerInfo {
            base_url: String,
        }
        match (self.api.deployment, &self.api.base) {
            (Deployment::DataCenter, _) => {
                let request = dewpoint_http::Request::get(&self.api.jira("serverInfo").await?).operation("server info");
                let info: ServerInfo = self.api.jira_caller().get(request, "ask what the server is").await?;
                Ok(info.base_url)
            }
            // Where it was said where the workspace lies, its schemas have to be shown there; another path is another workspace.
            (Deployment::Cloud, Base::Here(path)) => {
                self.api.schemas().await?;
                Ok(format!("{}{path}", self.api.assets.client().origin()))
            }
            (Deployment::Cloud, _) => self.api.ask_workspace().await,
        }
    }

    async fn send(&self, batch: &[Write], sightings: &Sightings, sending: &Sending<'_>) -> Result<Vec<apply::Answer>, TargetError> {
        let api = self.api.until(sending.deadline);
        let schema = api.schema().await?;
        let reader = Reader { api: &api, mapping: &self.mapping, schema: &schema };
        let imports = self.imports.as_ref();
        let Self { book, resolver, lag, .. } = self;
        let sight = OnceCell::new();
        Batch { reader, book, resolver, imports, lag: *lag, writes: batch, sightings, sending, sight }.send().await
    }

    async fn find_all(&self, identities: &[Identity]) -> Result<BTreeMap<Key, Result<Vec<FoundRecord>, TargetError>>, TargetError> {
        let schema = self.api.schema().await?;
        let reader = Reader { api: &self.api, mapping: &self.mapping, schema: &schema };
        Ok(reader.find(identities).await)
    }
}

#[async_trait]
impl Target for JsmTarget {
    fn name(&self) -> &TargetName {
        self.api.assets.target()
    }

    fn adapt(&self, ci: &Ci) -> Option<Adapted> {
        self.mapping.adapt(ci, &self.authority)
    }

    fn relates(&self, relation: RelationType, from: Kind, to: Kind) -> bool {
        self.mapping.edge(relation, from, to).is_some()
    }

    fn counts_attached(&self) -> bool {
        self.mapping.sheet().counts_attached()
    }

    fn together(&self) -> Together {
        Together::Edges
    }

    fn keeper(&self, relation: RelationType, from: Kind, to: Kind) -> Option<Side> {
        self.mapping.edge(relation, from, to).map(|edge| edge.side)
    }

    fn retires_by_status(&self) -> bool {
        true
    }

    fn mapping_digest(&self) -> Digest {
        let overrides = self.authority.iter().flat_map(|(field, authority)| [field.as_bytes(), authority.as_str().as_bytes()]);
        Digest::of_parts(std::iter::once(self.mapping.digest().as_bytes().as_slice()).chain(overrides))
    }

    async fn fingerprint(&self, _known: Option<Acquaintance<'_>>) -> Result<Fingerprint, TargetError> {
        // It is asked when a run begins: people may have changed the schema since the last.
        self.api.forget_schema();
        Ok(Fingerprint { instance: self.instance().await?, newest_delivered_at: None, sample: Sample::NotTaken })
    }

    async fn find(&self, identities: &[Identity]) -> BTreeMap<Key, Result<Vec<FoundRecord>, TargetError>> {
        if identities.is_empty() {
            return BTreeMap::new();
        }
        match self.find_all(identities).await {
            Ok(found) => found,
            Err(error) => identities.iter().map(|identity| (identity.key.clone(), Err(error.clone()))).collect(),
        }
    }

    /// All of it at once: where an edge is held is the other end's record, which may stand anywhere in the list.
    async fn read(&self, _after: Option<&str>) -> Result<Page, TargetError> {
        let clock = self.api.assets.clock();
        clock.sleep(self.book.settling(clock, self.lag)).await;
        self.book.forget();
        let schema = self.api.schema().await?;
        let reader = Reader { api: &self.api, mapping: &self.mapping, schema: &schema };
        Ok(Page { records: reader.all().await?, next: None })
    }

    fn read_lag(&self) -> Duration {
        self.lag
    }

    async fn apply(&self, batch: &[Write], sending: &Sending<'_>) -> Result<Vec<Result<Delivered, TargetError>>, TargetError> {
        self.send(batch, &Sightings::default(), sending).await
    }

    /// One request for each object, and one for each search that they are looked at by.
    fn beats_within(&self, time: Duration) -> Option<usize> {
        let requests = requests_within(time, self.requests_per_second);
        Some(requests.saturating_sub(requests.div_ceil(aql::LISTED_MAX + 1)))
    }

    async fn beat(&self, beats: &[Beat], sending: &Sending<'_>) -> Result<Vec<Result<(), TargetError>>, TargetError> {
        let (sightings, writes) = Sightings::of(beats);
        let answers = self.send(&writes, &sightings, sending).await?;
        Ok(answers.into_iter().map(|answer| answer.map(drop)).collect())
    }

    async fn stands_by_now(&self, left: &[LeftValue]) -> Result<Vec<bool>, TargetError> {
        let schema = self.api.schema().await?;
        let reader = Reader { api: &self.api, mapping: &self.mapping, schema: &schema };
        let shape = |value: &LeftValue| self.mapping.sheet().field(value.kind, &value.field).map(|field| field.shape.clone());
        let text = |value: &LeftValue| shape(value).filter(Resolver::resolves).zip(value.value.as_str().map(str::to_owned));
        self.resolver.forget_nothing();
        self.resolver.resolve(&reader, left.iter().filter_map(text).collect::<BTreeSet<_>>()).await?;
        let has_place = |value: &LeftValue| {
            let class = self.mapping.sheet().class(value.kind);
            class.is_some_and(|class| schema.attribute(class, &value.field).is_some())
        };
        let is_status_there = |value: &LeftValue| {
            shape(value) == Some(AttributeShape::Lifecycle) && value.value.as_str().is_some_and(|name| schema.statuses.contains_key(name))
        };
        Ok(left
            .iter()
            .map(|value| match text(value) {
                Some((shape, text)) => has_place(value) && self.resolver.get(&shape, &text).is_ok(),
                None => is_status_there(value) || (value.had_no_place && has_place(value)),
            })
            .collect())
    }

    /// At most what the rate lets through within half of a lease, at two requests for each object.
    fn batch_size(&self) -> usize {
        self.batch_size
    }

    fn creates_at_once(&self) -> usize {
        self.imports.as_ref().and_then(Imports::at_once).unwrap_or(self.batch_size)
    }

    async fn doctor(&self) -> Vec<Finding> {
        doctor::findings(&self.api, &self.mapping, self.imports.as_ref()).await
    }

    async fn bootstrap(&self, dry_run: bool) -> Result<Vec<Step>, TargetError> {
        bootstrap::bootstrap(&self.api, &self.mapping, dry_run).await
    }
}
