//! Dewpoint's AWS source: instances, network interfaces and security groups of the caller's own account.
//!
//! A thin layer over the AWS SDK, in a crate of its own because the SDK's generated code makes rebuilds slow. Each scope
//! (account × region × kind) is listed by itself and ends in its own receipt; an error in one never touches another.

mod body;
mod client;
mod doctor;
mod error;
mod identity;
mod instances;
mod interfaces;
mod listing;
mod look_up;
mod map;
mod regions;
mod security_groups;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, RwLock};

use async_trait::async_trait;
use aws_config::SdkConfig;
use dewpoint_core::doctor::Finding;
use dewpoint_core::model::{Key, Kind, Provider, Receipt, Region, Scope, SourceName};
use dewpoint_core::source::{Presence, Progress, Pull, Remark, Source, SourceError};
use futures::StreamExt;
use jiff::Timestamp;
use tokio::sync::OnceCell;

use crate::client::Tuning;
use crate::error::{Fault, Reason};
use crate::identity::{Answer, Session};
use crate::listing::{Listing, Run};
use crate::map::Place;

/// The kinds that are listed, one scope per region each.
pub const KINDS: &[Kind] = &[Kind::Instance, Kind::NetworkInterface, Kind::SecurityGroup];

/// The permissions that the source needs; `deploy/aws/policy.json` allows exactly these.
///
/// `sts:GetCallerIdentity` is called as well, but needs none.
pub const ACTIONS: &[&str] = &[instances::OPERATION, interfaces::OPERATION, regions::OPERATION, security_groups::OPERATION];

/// Scopes listed at the same time.
const SCOPES_AT_ONCE: usize = 8;

/// Tells the time, for `observed_at` and the clock check.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the source is built from.
#[derive(Clone)]
pub struct AwsConfig {
    /// Name from the configuration.
    pub name: SourceName,
    /// Regions to list, such as `eu-west-1`. Order and doubles do not matter, save that STS is asked in the first one first.
    pub regions: Vec<Region>,
    /// Where all calls go in place of AWS's own addresses: an emulator, a proxy.
    pub endpoint_url: Option<String>,
    /// Tells the time. Requests are signed by the SDK's own clock.
    pub clock: Clock,
}

impl fmt::Debug for AwsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsConfig")
            .field("name", &self.name)
            .field("regions", &self.regions)
            .field("endpoint_url", &self.endpoint_url)
            .finish_non_exhaustive()
    }
}

/// The AWS source. Credentials come from the SDK's default chain (environment, profile, web identity, container, instance
/// metadata), on first use.
pub struct AwsSource {
    config: AwsConfig,
    tuning: Tuning,
    shared: OnceCell<SdkConfig>,
    /// The last caller, with its clients; asked for anew by every pull, since credentials may change under a long-lived process.
    session: RwLock<Option<Arc<Session>>>,
}

impl fmt::Debug for AwsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsSource").field("config", &self.config).finish_non_exhaustive()
    }
}

impl AwsSource {
    /// Builds the source. No I/O: nothing is read or called before the first use.
    #[must_use]
    pub fn new(config: AwsConfig) -> Self {
        Self::tuned(config, Tuning::default())
    }

    fn tuned(mut config: AwsConfig, tuning: Tuning) -> Self {
        let mut seen = std::collections::BTreeSet::new();
        config.regions.retain(|region| seen.insert(region.clone()));
        Self { config, tuning, shared: OnceCell::new(), session: RwLock::new(None) }
    }

    /// Asks who the caller is, and keeps the clients while the answer stays the same.
    async fn identify(&self, progress: &dyn Progress) -> Result<(Arc<Session>, Option<String>), Fault> {
        let Some(region) = self.config.regions.first() else {
            let text = "no region is configured".to_owned();
            return Err(Fault { reason: Reason::Failed, operation: identity::OPERATION, text });
        };
        let endpoint_url = self.config.endpoint_url.as_deref();
        let shared = self.shared.get_or_init(|| Box::pin(client::shared_config(region, endpoint_url, &self.tuning))).await;
        let Answer { identity, date } = identity::identify(shared, &self.config.regions, endpoint_url, &self.config.name, progress).await?;
        if let Some(session) = self.known_session().filter(|session| session.identity == identity) {
            return Ok((session, date));
        }
        let session = Arc::new(Session::new(identity, shared, &self.config.regions, endpoint_url));
        if let Ok(mut slot) = self.session.write() {
            *slot = Some(Arc::clone(&session));
        }
        Ok((session, date))
    }

    fn known_session(&self) -> Option<Arc<Session>> {
        self.session.read().ok().and_then(|slot| slot.clone())
    }

    /// The caller as last seen, else asked for now.
    async fn session(&self, progress: &dyn Progress) -> Result<Arc<Session>, SourceError> {
        match self.known_session() {
            Some(session) => Ok(session),
            None => self.identify(progress).await.map(|(session, _)| session).map_err(|fault| self.no_identity(&fault)),
        }
    }

    /// STS refuses nobody whose credentials are good, so every refusal is about the credentials.
    fn no_identity(&self, fault: &Fault) -> SourceError {
        match fault.reason {
            Reason::Unrecognised | Reason::Denied | Reason::Disabled => {
                Fault { reason: Reason::Credentials, ..fault.clone() }.error(&self.config.name)
            }
            _ => fault.error(&self.config.name),
        }
    }

    fn place(&self, session: &Session, region: &Region) -> Place {
        Place {
            partition: session.identity.partition.clone(),
            account: session.identity.account.clone(),
            region: region.clone(),
            observed_at: (self.config.clock)(),
        }
    }

    /// Lists one scope.
    #[tracing::instrument(name = "scope", skip_all, fields(source.name = %self.config.name, %scope))]
    async fn list(&self, run: &Run<'_>, scope: Scope) -> (Scope, Listing) {
        run.progress.scope_started(run.source, &scope);
        let listing = run.list(scope.kind, &self.place(run.session, &scope.region), None).await;
        run.progress.scope_finished(run.source, &scope, listing.outcome(), listing.found.resources.len() as u64);
        (scope, listing)
    }
}

#[async_trait]
impl Source for AwsSource {
    fn name(&self) -> &SourceName {
        &self.config.name
    }

    async fn pull(&self, progress: &dyn Progress) -> Result<Pull, SourceError> {
        let (session, _) = self.identify(progress).await.map_err(|fault| self.no_identity(&fault))?;
        let run = Run::new(&self.config.name, &session, progress);
        let account = &session.identity.account;
        let scopes = self.config.regions.iter().flat_map(|region| KINDS.iter().map(move |kind| (region, *kind)));
        let scopes: Vec<Scope> = scopes
            .map(|(region, kind)| Scope { provider: Provider::Aws, account: account.clone(), region: region.clone(), kind })
            .collect();
        let listings: Vec<(Scope, Listing)> =
            futures::stream::iter(scopes).map(|scope| Box::pin(self.list(&run, scope))).buffer_unordered(SCOPES_AT_ONCE).collect().await;
        let mut pull = Pull { exhaustive: true, ..Pull::default() };
        for (scope, listing) in listings {
            add(&mut pull, &self.config.name, scope, listing)?;
        }
        pull.remarks.sort_unstable();
        Ok(pull)
    }

    async fn look_up(&self, keys: &[(Key, Kind)], progress: &dyn Progress) -> BTreeMap<Key, Result<Presence, SourceError>> {
        match self.session(progress).await {
            Ok(session) => look_up::look_up(self, &Run::new(&self.config.name, &session, progress), keys).await,
            Err(error) => keys.iter().map(|(key, _)| (key.clone(), Err(error.clone()))).collect(),
        }
    }

    async fn doctor(&self) -> Vec<Finding> {
        doctor::doctor(self).await
    }
}

/// Adds a scope's listing to the pull: what was read, how it ended, and what is odd about it.
fn add(pull: &mut Pull, source: &SourceName, scope: Scope, listing: Listing) -> Result<(), SourceError> {
    let Listing { found, error } = listing;
    let resources: BTreeMap<Key, _> = found.resources.into_iter().map(|resource| (resource.key.clone(), Arc::new(resource))).collect();
    let count = Some(resources.len() as u64);
    let receipt = match &error {
        Some(error) => error.receipt(source, count),
        None => Receipt {
            source: source.clone(),
            outcome: dewpoint_core::model::Outcome::Complete,
            count,
            error: None,
            extra: serde_json::Map::new(),
        },
    };
    for refused in found.refused {
        let subject = if refused.native_id.is_empty() { scope.to_string() } else { refused.native_id };
        pull.remarks.push(Remark { subject, text: refused.text });
    }
    if found.foreign > 0 {
        let text = format!("{} items belong to other accounts and are left to their listings", found.foreign);
        pull.remarks.push(Remark { subject: scope.to_string(), text });
    }
    pull.resources.extend(resources);
    pull.relations.extend(found.relations.into_iter().map(|relation| (relation.id(), relation)));
    pull.receipts.add(scope, receipt)?;
    Ok(())
}
