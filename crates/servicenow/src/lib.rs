//! The ServiceNow target: configuration items through the Identification and Reconciliation API (IRE).
//!
//! # Whose records these are
//!
//! IRE finds or makes a record by the instance's own rules, and notes for us in `sys_object_source` which record that was: `name` is our discovery source, `id`
//! the ARN or resource id (our key without its provider), `source_feed` the estate id. That row is the mark by which a record is ours. Every write is checked
//! against it before it goes out.
//!
//! # What goes where
//!
//! - Creates, updates, retirements, revivals and edges: payloads to `identifyreconcile/enhanced`. What stands there is addressed by `sys_id`, which leaves the
//!   engine nothing to guess; what is made travels with its datacenter and account ([`places`](self)). Nothing is parked for later.
//! - Removed edges and tags, purges, edges of retired records: the Table API, many to a batch request.
//! - Reads: the Table API in pages by `sys_id`, since pages by offset lose and double rows.
//!
//! # When a record was delivered
//!
//! `last_discovered` is sent with every write, as the time at which a source last showed the resource, and read back as `delivered_at` where nobody else has
//! written through the engine since. Of what does not change a heartbeat ([`Target::beat`]) refreshes it. It is not asked for in the fingerprint: other sources move it on records that they share with us.

mod api;
mod apply;
mod beats;
mod book;
mod bootstrap;
mod config;
mod doctor;
mod ire;
mod keys;
mod mapping;
mod payload;
mod places;
mod query;
mod records;
mod references;
mod rules;
mod status;
mod survey;
#[cfg(test)]
mod tests;
mod whereabouts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dewpoint_core::doctor::Finding;
use dewpoint_core::model::{Digest, Key, Kind, RelationType, TargetName};
use dewpoint_core::target::{
    Acquaintance, Adapted, Adopt, Authority, Beat, Ci, Delivered, Fingerprint, Foreseen, Foresight, FoundRecord, HostEdge, Identity,
    LeftValue, Page, Sample, Sending, Step, Target, TargetError, Together, Write,
};

use crate::api::Api;
use crate::apply::{Batch, Learnt};
use crate::book::Book;
use crate::places::Places;
use crate::query::Query;
use crate::records::Reader;
use crate::references::References;
use crate::rules::Rules;

pub use crate::config::{Auth, BATCH_SIZE_DEFAULT, BATCH_SIZE_MAX, DISCOVERY_SOURCE_DEFAULT, ServiceNowConfig};
pub use crate::mapping::{Mapping, MappingError, Override, OwnField, RESERVED, value_of};
pub use crate::references::Reference;
pub use crate::status::{STATUS_COLUMNS, Status, StatusError, Statuses};
pub use dewpoint_http::{BaseUrl, BuildError, Clock, Meter, NoMeter, Plaintext, Proxies, Rate, SystemClock};
pub use dewpoint_target_kit::Connection;

/// One ServiceNow instance.
#[derive(Debug)]
pub struct ServiceNowTarget {
    api: Api,
    mapping: Arc<Mapping>,
    authority: BTreeMap<String, Authority>,
    batch_size: usize,
    requests_per_second: f64,
    refers: bool,
    book: Book,
    places: Places,
    references: References,
    rules: Rules,
}

/// Begins [`Fingerprint::instance`] where the user may not read the instance's id (most may not): then the address stands for it.
const AT: &str = "at ";

impl ServiceNowTarget {
    /// A target that asks nothing until it is used.
    ///
    /// # Errors
    /// [`BuildError`] where certificates, proxies or credentials cannot be used.
    pub fn new(config: &ServiceNowConfig) -> Result<Self, BuildError> {
        let caller = config.connection.caller(config.client()?);
        let api = Api::new(caller, config.discovery_source.clone());
        Ok(Self {
            api,
            mapping: Arc::clone(&config.mapping),
            authority: config.authority.clone(),
            batch_size: usize::try_from(config.batch_size.clamp(1, BATCH_SIZE_MAX)).unwrap_or(1),
            requests_per_second: config.rate.per_second,
            refers: config.adopt == Adopt::Never,
            book: Book::default(),
            places: Places::default(),
            references: References::default(),
            rules: Rules::default(),
        })
    }

    fn reader<'a>(&'a self, api: &'a Api) -> Reader<'a> {
        Reader { api, mapping: &self.mapping, book: &self.book, refers: self.refers }
    }

    /// A batch whose requests all end in time: whoever sends it holds the target no longer.
    fn batch<'a>(&'a self, api: &'a Api, writes: &'a [Write], sending: &'a Sending<'a>) -> Batch<'a> {
        let learnt = Learnt { places: &self.places, references: &self.references, rules: &self.rules };
        Batch::new(self.reader(api), learnt, writes, sending)
    }

    /// The instance's own id; `None` where the user may not read it.
    async fn instance_id(&self) -> Result<Option<String>, TargetError> {
        let query = Query::all().equals("name", "instance_id");
        match self.api.first("sys_properties", &query, &["name", "value"]).await {
            Ok(row) => {
                Ok(row.filter(|row| row.get("name").is_some_and(|name| name == "instance_id")).and_then(|mut row| row.remove("value")))
            }
            Err(TargetError::Forbidden { .. } | TargetError::Rejected { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Target for ServiceNowTarget {
    fn name(&self) -> &TargetName {
        self.api.target()
    }

    fn adapt(&self, ci: &Ci) -> Option<Adapted> {
        Some(self.mapping.adapt(ci, &self.authority)?.0)
    }

    fn relates(&self, relation: RelationType, from: Kind, to: Kind) -> bool {
        self.mapping.edge(relation, from, to).is_some()
    }

    fn tells(&self, relation: RelationType, from: Kind, to: Kind) -> bool {
        self.mapping.tells(relation, from, to)
    }

    fn hosts(&self, kind: Kind) -> &'static [HostEdge] {
        self.mapping.hosts(kind)
    }

    fn is_host(&self, kind: Kind) -> bool {
        // Application services are as a rule what people made: ours stands only where there is none.
        matches!(kind, Kind::Account | Kind::Region | Kind::Service)
    }

    fn counts_attached(&self) -> bool {
        true
    }

    fn together(&self) -> Together {
        Together::Places
    }

    fn retires_by_status(&self) -> bool {
        true
    }

    fn mapping_digest(&self) -> Digest {
        let overrides = self.authority.iter().flat_map(|(field, authority)| [field.as_bytes(), authority.as_str().as_bytes()]);
        Digest::of_parts(std::iter::once(self.mapping.digest().as_bytes().as_slice()).chain(overrides))
    }

    async fn fingerprint(&self, known: Option<Acquaintance<'_>>) -> Result<Fingerprint, TargetError> {
        if let Some(Acquaintance { instance, estate }) = known.filter(|known| known.instance.starts_with(AT)) {
            let sample = self.reader(&self.api).sample(estate).await?;
            return Ok(Fingerprint { instance: instance.to_owned(), newest_delivered_at: None, sample });
        }
        let instance = match (self.instance_id().await?, known) {
            (Some(id), _) => id,
            (None, None) => format!("{AT}{}", self.api.caller.client().origin()),
            (None, Some(_)) => {
                return Err(TargetError::Unusable {
                    target: self.api.target().clone(),
                    text: "it does not show its property `instance_id` to this user any more, by which it was known".to_owned(),
                    hint: format!(
                        "give the user back the role that showed it, or run `dewpoint target recover {}` to know the instance by its address from now on",
                        self.api.target()
                    ),
                });
            }
        };
        Ok(Fingerprint { instance, newest_delivered_at: None, sample: Sample::NotTaken })
    }

    async fn find(&self, identities: &[Identity]) -> BTreeMap<Key, Result<Vec<FoundRecord>, TargetError>> {
        match self.reader(&self.api).find(identities).await {
            Ok(found) => found,
            Err(error) => identities.iter().map(|identity| (identity.key.clone(), Err(error.clone()))).collect(),
        }
    }

    async fn read(&self, after: Option<&str>) -> Result<Page, TargetError> {
        self.reader(&self.api).page(after).await
    }

    async fn apply(&self, batch: &[Write], sending: &Sending<'_>) -> Result<Vec<Result<Delivered, TargetError>>, TargetError> {
        self.batch(&self.api.until(sending.deadline), batch, sending).send().await
    }

    async fn stands_by_now(&self, left: &[LeftValue]) -> Result<Vec<bool>, TargetError> {
        let kinds: BTreeSet<Kind> = left.iter().map(|value| value.kind).collect();
        let classes = self.mapping.classes().iter().filter(|(_, kind)| kinds.contains(kind));
        let classes: BTreeMap<String, Kind> = classes.map(|(class, kind)| (class.clone(), *kind)).collect();
        let facts = self.rules.facts(&self.api, &self.mapping, classes.clone()).await?;
        let of = |kind: Kind| classes.iter().filter(move |(_, of)| **of == kind).map(|(class, _)| class);
        let is_there = |value: &LeftValue| of(value.kind).any(|class| facts.has(class, &value.field));
        let may_be_there = |value: &LeftValue| of(value.kind).any(|class| !facts.lacks(class, &value.field));
        let named = |value: &LeftValue| self.mapping.reference(value.kind, &value.field).zip(value.value.as_str().map(str::to_owned));
        let names: Vec<Option<(&Reference, String)>> = left.iter().map(|value| named(value).filter(|_| may_be_there(value))).collect();
        let wanted = names.iter().flatten().map(|(reference, text)| (*reference, text.as_str())).collect();
        let resolved = self.references.resolve_anew(&self.api, &wanted).await?;
        let stands = |(value, name): (&LeftValue, &Option<(&Reference, String)>)| match name {
            Some((reference, text)) => resolved.get(&(*reference, text)).is_some(),
            // What another source may write and we may not is none of ours by now either.
            None => value.had_no_place && is_there(value) && !of(value.kind).any(|class| facts.is_reference(class, &value.field)),
        };
        Ok(left.iter().zip(&names).map(stands).collect())
    }

    fn batch_size(&self) -> usize {
        self.batch_size
    }

    fn beats_within(&self, time: Duration) -> Option<usize> {
        Some(beats::within(time, self.requests_per_second, self.batch_size))
    }

    async fn beat(&self, beats: &[Beat], sending: &Sending<'_>) -> Result<Vec<Result<(), TargetError>>, TargetError> {
        beats::send(&self.reader(&self.api.until(sending.deadline)), beats, sending).await
    }

    fn foresight(&self) -> Option<&dyn Foresight> {
        Some(self)
    }

    async fn doctor(&self) -> Vec<Finding> {
        doctor::findings(&self.api, &self.mapping, self.requests_per_second).await
    }

    async fn bootstrap(&self, dry_run: bool) -> Result<Vec<Step>, TargetError> {
        bootstrap::bootstrap(&self.api, dry_run).await
    }
}

/// The query endpoint runs the instance's own rules and commits nothing.
#[async_trait]
impl Foresight for ServiceNowTarget {
    async fn foresee(&self, batch: &[Write], sending: &Sending<'_>) -> Result<Vec<Option<Foreseen>>, TargetError> {
        self.batch(&self.api.until(sending.deadline), batch, sending).foresee().await
    }

    fn at_once(&self) -> usize {
        self.batch_size
    }
}
