//! The HaloITSM target: assets and their relationships. HaloPSA and HaloServiceDesk have the same API.
//!
//! # Whose assets these are
//!
//! Each of ours carries, in fields of its own, our key, the estate id, the time of the last delivery, and a note of what we put it below. Its tag
//! (`inventory_number`) is made of the key: by it an asset is looked for before one is made. What has no estate id is people's, and so is a copy of one of ours:
//! of several with one key that with its tag, and the oldest, is meant. Every write is checked against what is read right before it goes out.
//!
//! # What goes where
//!
//! - One array for a batch, with one element for each asset that changes. Where a tenant empties the fields that an update does not name, people's have to be
//!   sent along: what is changed is read first.
//! - Edges are relationships, parent above child: what stops others when it stops is the parent. The child holds the edge ([`Target::keeper`]);
//!   where that is a stranger's asset it is noted on the parent. What people had related before us is noted as well, and stays.
//! - Retirement is the flag `inactive`, with a status beside it. The asset's relationships that are ours go, on both sides.
//! - Reads: lists by asset type in pages, whole only where they have as many rows as they count. They tell of no relationships: of these counts
//!   what our assets note.
//!
//! # What is not trusted
//!
//! Pages are shorter than asked for; parameters that are not known are ignored, so that a filter filters nothing; a list may leave fields out; names that nothing has
//! are filed under Unknown; a lost answer may stand for a stored asset; an array may be answered by one object; what is sent may not be taken, tags among it; a search
//! may find nothing of what is there. Each has its check where it matters: an answer is compared with what was sent, and a search has to find what is known to stand
//! there before its silence counts.
//!
//! # What is scarce
//!
//! Requests: 300 in 5 minutes, at the worst. So what was looked up or written is remembered for as long as nobody else can have changed it (`book`), and a batch that
//! had to wait goes on where it left off, in parts that end within a lease. What is written as a whole is never what was remembered.

mod api;
mod apply;
mod asset;
mod blueprint;
mod book;
mod bootstrap;
mod config;
mod doctor;
mod mapping;
mod reading;
mod resolver;
mod schema;
mod shape;
mod tag;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dewpoint_core::doctor::Finding;
use dewpoint_core::model::{Digest, Key, Kind, RelationType, TargetName};
use dewpoint_core::target::{
    Acquaintance, Adapted, Authority, Beat, Ci, Delivered, Fingerprint, FoundRecord, Identity, LeftValue, Page, Sample, Sending, Side,
    Step, Target, TargetError, Write,
};
use dewpoint_target_kit::{Sightings, requests_within};
use serde::Deserialize;

use crate::api::Api;
use crate::apply::Sender;
use crate::book::Book;
use crate::reading::Reader;
use crate::resolver::Resolver;
use crate::schema::Schema;

pub use crate::config::{
    BATCH_SIZE_DEFAULT, BATCH_SIZE_MAX, CLIENT_DEFAULT, HaloConfig, REQUESTS_PER_MINUTE_DEFAULT, SCOPES_DEFAULT, SITE_DEFAULT,
};
pub use crate::mapping::{Mapping, RESERVED, Statuses, reserved};
pub use crate::shape::FieldShape;
pub use dewpoint_http::{BaseUrl, BuildError, Clock, Meter, NoMeter, Plaintext, Proxies, SystemClock};
pub use dewpoint_target_kit::{Connection, Override, OwnField, SheetError, value_of};

/// One tenant.
#[derive(Debug)]
pub struct HaloTarget {
    api: Api,
    mapping: Arc<Mapping>,
    authority: BTreeMap<String, Authority>,
    batch_size: usize,
    requests_per_second: f64,
    book: Book,
    resolver: Resolver,
}

impl HaloTarget {
    /// A target that asks nothing until it is used.
    ///
    /// # Errors
    /// [`BuildError`] where certificates or proxies cannot be used.
    pub fn new(config: &HaloConfig) -> Result<Self, BuildError> {
        Ok(Self {
            api: config.api()?,
            mapping: Arc::clone(&config.mapping),
            authority: config.authority.clone(),
            batch_size: usize::try_from(config.batch_size.clamp(1, BATCH_SIZE_MAX)).unwrap_or(1),
            requests_per_second: f64::from(config.requests_per_minute.get()) / 60.0,
            book: Book::default(),
            resolver: Resolver::default(),
        })
    }

    fn reader<'a>(&'a self, api: &'a Api, schema: &'a Schema) -> Reader<'a> {
        Reader { api, mapping: &self.mapping, schema, book: &self.book, resolver: &self.resolver }
    }

    async fn send(&self, batch: &[Write], sightings: &Sightings, sending: &Sending<'_>) -> Result<Vec<apply::Answer>, TargetError> {
        let api = self.api.until(sending.deadline);
        let schema = api.schema(&self.mapping).await?;
        let reader = self.reader(&api, &schema);
        Sender { reader, writes: batch, sightings, sending, size: self.batch_size, authority: &self.authority }.send().await
    }

    async fn find_all(&self, identities: &[Identity]) -> Result<BTreeMap<Key, Result<Vec<FoundRecord>, TargetError>>, TargetError> {
        let schema = self.api.schema(&self.mapping).await?;
        self.reader(&self.api, &schema).find(identities).await
    }
}

#[async_trait]
impl Target for HaloTarget {
    fn name(&self) -> &TargetName {
        self.api.caller.target()
    }

    fn adapt(&self, ci: &Ci) -> Option<Adapted> {
        self.mapping.adapt(ci, &self.authority)
    }

    fn relates(&self, relation: RelationType, from: Kind, to: Kind) -> bool {
        self.mapping.edge(relation, from, to).is_some()
    }

    /// Lists show no relationships.
    fn tells(&self, _relation: RelationType, _from: Kind, _to: Kind) -> bool {
        false
    }

    fn counts_attached(&self) -> bool {
        self.mapping.sheet().counts_attached()
    }

    fn keeper(&self, relation: RelationType, from: Kind, to: Kind) -> Option<Side> {
        self.mapping.edge(relation, from, to).map(mapping::EdgeMapping::downstream)
    }

    fn retires_by_status(&self) -> bool {
        true
    }

    fn mapping_digest(&self) -> Digest {
        let overrides = self.authority.iter().flat_map(|(field, authority)| [field.as_bytes(), authority.as_str().as_bytes()]);
        Digest::of_parts(std::iter::once(self.mapping.digest().as_bytes().as_slice()).chain(overrides))
    }

    async fn fingerprint(&self, _known: Option<Acquaintance<'_>>) -> Result<Fingerprint, TargetError> {
        #[derive(Deserialize)]
        struct Instance {
            #[serde(default)]
            dbid: Option<String>,
            #[serde(default)]
            tenant_id: Option<String>,
        }
        const OPERATION: &str = "ask what the tenant is";
        let answer = self.api.ask("InstanceInfo", OPERATION).await?;
        let Instance { dbid, tenant_id } = self.api.caller.json(&answer, OPERATION)?;
        // A copy of a tenant may have the database's id of the original.
        let parts: Vec<String> = [tenant_id, dbid].into_iter().flatten().filter(|part| !part.is_empty()).collect();
        if parts.is_empty() {
            return Err(self.api.caller.unusable("it does not say which tenant it is", "check `url`"));
        }
        Ok(Fingerprint { instance: parts.join("/"), newest_delivered_at: None, sample: Sample::NotTaken })
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

    /// All of it at once: a list is whole only where its rows are as many as it counts.
    async fn read(&self, _after: Option<&str>) -> Result<Page, TargetError> {
        self.book.forget();
        self.api.forget_schema();
        let schema = self.api.schema(&self.mapping).await?;
        Ok(Page { records: self.reader(&self.api, &schema).all().await?, next: None })
    }

    async fn apply(&self, batch: &[Write], sending: &Sending<'_>) -> Result<Vec<Result<Delivered, TargetError>>, TargetError> {
        self.send(batch, &Sightings::default(), sending).await
    }

    /// A batch is one request, and the reads that come first: one for each type where the tenant gives many assets of a type at once, else one for each asset.
    fn beats_within(&self, time: Duration) -> Option<usize> {
        let requests = requests_within(time, self.requests_per_second);
        let most_reads =
            if self.book.reads_singly() { self.batch_size } else { self.mapping.sheet().classes().count().min(self.batch_size) };
        let (whole, left) = (requests / (most_reads + 1), requests % (most_reads + 1));
        Some(whole.saturating_mul(self.batch_size).saturating_add(left.saturating_sub(1)))
    }

    async fn beat(&self, beats: &[Beat], sending: &Sending<'_>) -> Result<Vec<Result<(), TargetError>>, TargetError> {
        let (sightings, writes) = Sightings::of(beats);
        let answers = self.send(&writes, &sightings, sending).await?;
        Ok(answers.into_iter().map(|answer| answer.map(drop)).collect())
    }

    async fn stands_by_now(&self, left: &[LeftValue]) -> Result<Vec<bool>, TargetError> {
        let schema = self.api.schema(&self.mapping).await?;
        let shape = |value: &LeftValue| self.mapping.sheet().field(value.kind, &value.field).map(|field| field.shape);
        let owner = |value: &LeftValue| Some((shape(value)?.owner()?, value.value.as_str()?.to_owned()));
        self.resolver.forget_nobody();
        self.resolver.resolve(&self.api, left.iter().filter_map(owner).collect()).await?;
        let stands = |value: &LeftValue| {
            let Some(own) = self.mapping.sheet().class(value.kind).and_then(|class| schema.type_named(class)) else { return false };
            match (shape(value), owner(value)) {
                (_, Some((owner, text))) => self.resolver.get(owner, &text).is_ok(),
                (Some(FieldShape::Status), _) => {
                    value.value.as_str().and_then(|name| schema.status(name)).is_some_and(|status| own.allows(status))
                }
                _ => own.field(&value.field).is_some_and(|field| field.is_plain),
            }
        };
        Ok(left.iter().map(stands).collect())
    }

    fn batch_size(&self) -> usize {
        self.batch_size
    }

    async fn doctor(&self) -> Vec<Finding> {
        doctor::findings(&self.api, &self.mapping, &self.book).await
    }

    async fn bootstrap(&self, dry_run: bool) -> Result<Vec<Step>, TargetError> {
        bootstrap::bootstrap(&self.api, &self.mapping, dry_run).await
    }
}
