//! Dewpoint's Azure source: machines and what they hang on, of the subscriptions of a tenant.
//!
//! What is read of a subscription is the same by both collectors: lists of plain items ([`lists`]), out of which a pure mapping ([`map`]) makes resources and
//! relations. Each scope (subscription × kind) ends in its own receipt; an error in one never touches another.

mod action;
mod arm;
mod certificate;
mod credentials;
mod doctor;
mod error;
mod graph;
mod ids;
mod item;
mod listing;
mod lists;
mod look_up;
mod map;
mod sizes;
mod subscriptions;
#[cfg(test)]
mod tests;
mod token_transport;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
pub use certificate::InvalidCertificate;
pub use credentials::CredentialError;
pub use dewpoint_azure_settings::{ApiVersions, Collector, Credential, Endpoints, Rate, Rates, Subscriptions, UserAssigned};
use dewpoint_core::doctor::Finding;
use dewpoint_core::model::{Account, Key, Kind, Outcome, Provider, Receipt, Region, Resource, Scope, SourceName};
use dewpoint_core::source::facts::unread_remark;
use dewpoint_core::source::{Presence, Progress, Pull, Remark, Source, SourceError};
use dewpoint_http::auth::Authenticator;
use dewpoint_http::{BaseUrl, Client, Limits, Origin, Plaintext, Settings};
pub use dewpoint_http::{BuildError, Clock, Proxies, SystemClock};
use futures::{FutureExt, StreamExt};
use url::Url;

use crate::arm::{Arm, Calls, Terms};
use crate::credentials::{Maker, TokenSource};
use crate::error::Fault;
use crate::lists::{Listing, Lists};
use crate::map::{Found, Ground, Mapping, Scoped};
use crate::sizes::Sizes;
use crate::subscriptions::Member;
use crate::token_transport::TokenTransport;
use crate::wire::network::Directory;

/// The kinds that are listed, one scope each, over all regions of a subscription: Azure lists by subscription.
pub const KINDS: [Kind; 14] = [
    Kind::Account,
    Kind::Region,
    Kind::Zone,
    Kind::ResourceGroup,
    Kind::Network,
    Kind::Subnet,
    Kind::SecurityGroup,
    Kind::Instance,
    Kind::ScalingGroup,
    Kind::NetworkInterface,
    Kind::Volume,
    Kind::PublicAddress,
    Kind::LoadBalancer,
    Kind::Pool,
];

/// The actions that the source needs at each subscription that it reads. `deploy/azure/reader-role.json` gives exactly these and [`INDEX_ACTIONS`].
pub const ACTIONS: &[&str] = &names(&doctor::NEEDED);

/// What it needs besides to read by Resource Graph.
pub const INDEX_ACTIONS: &[&str] = &[action::SET_INTERFACE_ROWS.name];

#[expect(clippy::indexing_slicing, reason = "it runs while this is compiled")]
const fn names<const N: usize>(actions: &[action::Action; N]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut at = 0;
    while at < N {
        names[at] = actions[at].name;
        at += 1;
    }
    names
}

/// The action that is needed at a management group whose subscriptions are to be read; `deploy/azure/management-group-role.json` gives it.
pub const MANAGEMENT_GROUP_ACTIONS: &[&str] = &[action::MANAGEMENT_GROUP.name];

/// Subscriptions listed at the same time. What a large tenant holds passes through memory a few subscriptions at a time, and its limits are per subscription.
const SUBSCRIPTIONS_AT_ONCE: usize = 6;

/// What the source is built from.
#[derive(Clone)]
pub struct AzureConfig {
    /// Name from the configuration.
    pub name: SourceName,
    /// Id of the tenant, or a domain of its.
    pub tenant: String,
    /// As whom.
    pub credential: Credential,
    /// Which subscriptions.
    pub subscriptions: Subscriptions,
    /// From where they are read.
    pub collector: Collector,
    /// Where Azure is.
    pub endpoints: Endpoints,
    /// Certificates of authorities to trust beside the system's, in PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// Proxies.
    pub proxies: Proxies,
    /// Versions of APIs, where others than the usual ones are to be asked for.
    pub api_versions: ApiVersions,
    /// Longest time for one call, its repeats and the wait for a rate limit included. A platform that asks for a longer wait ends the scope as throttled.
    pub timeout: Duration,
    /// Budgets for calls.
    pub rates: Rates,
    /// Tells the time, and waits.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for AzureConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureConfig")
            .field("name", &self.name)
            .field("tenant", &self.tenant)
            .field("subscriptions", &self.subscriptions)
            .field("collector", &self.collector)
            .field("endpoints", &self.endpoints)
            .field("timeout", &self.timeout)
            .field("rates", &self.rates)
            .finish_non_exhaustive()
    }
}

/// Why a source cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum SourceBuildError {
    /// The connection: a file of certificates, a proxy, an address.
    #[error(transparent)]
    Connection(#[from] BuildError),
    /// The credentials.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
}

/// The Azure source.
pub struct AzureSource {
    config: AzureConfig,
    arm: Arm,
    tokens: Arc<TokenSource>,
    transport: Arc<TokenTransport>,
    sizes: Sizes,
    /// The subscriptions as the last pull saw them; look-ups go by them.
    members: RwLock<Option<Arc<Vec<Member>>>>,
    /// The locations and zones that something lies in, of the subscriptions that the last pull read whole.
    places: RwLock<BTreeMap<Account, BTreeMap<Key, Resource>>>,
}

impl fmt::Debug for AzureSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureSource").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What tests change about a source.
#[derive(Debug, Clone, Default)]
struct Tuning {
    /// Where the metadata service of a machine is asked in place of its own address.
    metadata: Option<Url>,
    /// Limits of time of the HTTP client.
    limits: Option<Limits>,
    /// First pause between two attempts.
    pause: Option<Duration>,
}

impl AzureSource {
    /// Builds the source. Nothing is called before the first use.
    ///
    /// # Errors
    /// [`SourceBuildError`] where the certificate, the file of authorities, a proxy or an address cannot be used.
    pub fn new(config: AzureConfig) -> Result<Self, SourceBuildError> {
        Self::tuned(config, Tuning::default())
    }

    fn tuned(config: AzureConfig, tuning: Tuning) -> Result<Self, SourceBuildError> {
        let base = BaseUrl::parse(config.endpoints.resource_manager.as_str(), Plaintext::Loopback)?;
        let mut settings = Settings::new(config.name.as_str(), base);
        settings.ca_pem.clone_from(&config.ca_pem);
        settings.proxies = config.proxies.clone();
        settings.limits = Limits { call: config.timeout, ..tuning.limits.unwrap_or_default() };
        if let Some(pause) = tuning.pause {
            settings.retry.pause = pause;
        }
        // The metadata service of a machine is asked without a proxy: one would answer for its own machine.
        let beside = Settings { proxies: Proxies::default(), ..settings.clone() };
        let transport = Arc::new(TokenTransport::new(dewpoint_http::pool(&settings)?, dewpoint_http::pool(&beside)?, tuning.metadata));
        let maker = Maker {
            tenant: config.tenant.clone(),
            credential: config.credential.clone(),
            endpoints: config.endpoints.clone(),
            transport: Arc::clone(&transport),
            clock: Arc::clone(&config.clock),
        };
        maker.check()?;
        let authority = Origin::of(&config.endpoints.authority).unwrap_or_else(|| settings.base.origin().clone());
        let tokens = Arc::new(TokenSource::new(maker, authority));
        let client =
            Client::builder(settings).auth(Arc::clone(&tokens) as Arc<dyn Authenticator>).clock(Arc::clone(&config.clock)).build()?;
        let arm = Arm::new(Terms {
            source: config.name.clone(),
            client,
            clock: Arc::clone(&config.clock),
            rates: config.rates,
            versions: config.api_versions.clone(),
            timeout: config.timeout,
        });
        Ok(Self { config, arm, tokens, transport, sizes: Sizes::default(), members: RwLock::default(), places: RwLock::default() })
    }

    /// The subscriptions that are to be read, as they are now.
    async fn members(&self, calls: &Calls<'_>) -> Result<Arc<Vec<Member>>, Fault> {
        let members = Arc::new(subscriptions::list(&self.config.subscriptions, calls).await?);
        *self.members.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&members));
        Ok(members)
    }

    /// The subscriptions as last seen, else as they are now.
    async fn known_members(&self, calls: &Calls<'_>) -> Result<Arc<Vec<Member>>, Fault> {
        let known = self.members.read().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(members) => Ok(members),
            None => self.members(calls).await,
        }
    }

    /// Reads subscriptions, in their order, with the sizes of their machines.
    async fn read(&self, accounts: &[Account], calls: &Calls<'_>) -> Vec<(Lists, Option<Fault>)> {
        for (account, kind) in accounts.iter().flat_map(|account| KINDS.into_iter().map(move |kind| (account, kind))) {
            let scope = Scope { provider: Provider::Azure, account: account.clone(), region: Region::any(), kind };
            calls.progress().scope_started(&self.config.name, &scope);
        }
        let mut indexed = match self.config.collector {
            Collector::Arm => BTreeMap::new(),
            Collector::ResourceGraph => Box::pin(graph::read(calls, accounts)).await,
        };
        let reads = accounts.iter().map(|account| self.read_one(account, indexed.remove(account), calls).boxed()).collect::<Vec<_>>();
        futures::stream::iter(reads).buffered(SUBSCRIPTIONS_AT_ONCE).collect().await
    }

    /// Reads one subscription, or what an index does not tell of it.
    async fn read_one(&self, account: &Account, indexed: Option<Lists>, calls: &Calls<'_>) -> (Lists, Option<Fault>) {
        let listing = Listing { calls, account };
        let read = async {
            match indexed {
                Some(lists) => lists,
                None => listing.read().await,
            }
        };
        let (mut lists, permissions) = futures::join!(read.boxed(), listing.permissions().boxed());
        map::narrow(&mut lists, &permissions, self.config.collector);
        let machines = lists.machines.items.iter().chain(&lists.set_machines.items);
        let wanted: BTreeSet<(Region, String)> =
            machines.filter_map(|machine| Some((machine.head.region.clone()?, machine.size.clone()?))).collect();
        let unsized_because = self.sizes.learn(calls, account, &wanted).await.err();
        (lists, unsized_because)
    }

    /// Adds a scope's listing to the pull: what was read, how it ended, and what is odd about it.
    fn add(&self, pull: &mut Pull, scope: Scope, found: Found, fault: Option<&Fault>, progress: &dyn Progress) -> Result<(), SourceError> {
        let resources: BTreeMap<Key, _> = found.resources.into_iter().map(|resource| (resource.key.clone(), Arc::new(resource))).collect();
        let source = &self.config.name;
        let count = resources.len() as u64;
        let receipt = match fault {
            None => Receipt {
                source: source.clone(),
                outcome: Outcome::Complete,
                count: Some(count),
                error: None,
                extra: serde_json::Map::new(),
            },
            Some(fault) => fault.error(source).receipt(source, Some(count)),
        };
        progress.scope_finished(source, &scope, receipt.outcome, count);
        pull.remarks.extend(found.remarks);
        pull.remarks.extend(unread_remark(&scope, &found.unread, &found.unread_edges));
        pull.unread.extend(found.unread);
        pull.unread_edges.extend(found.unread_edges);
        pull.resources.extend(resources);
        pull.relations.extend(found.relations.into_iter().map(|relation| (relation.id(), relation)));
        pull.receipts.add(scope, receipt)?;
        Ok(())
    }

    /// Keeps where something lies, for look-ups.
    fn remember_places(&self, account: &Account, scopes: &[Scoped]) {
        let of_places = || scopes.iter().filter(|scoped| matches!(scoped.kind, Kind::Region | Kind::Zone));
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        if of_places().any(|scoped| scoped.fault.is_some()) {
            places.remove(account);
        } else {
            let resources = of_places().flat_map(|scoped| &scoped.found.resources);
            places.insert(account.clone(), resources.map(|resource| (resource.key.clone(), resource.clone())).collect());
        }
    }

    /// A subscription of which nothing can be read.
    fn add_unread(&self, pull: &mut Pull, member: &Member, fault: &Fault, progress: &dyn Progress) -> Result<(), SourceError> {
        for kind in KINDS {
            let scope = Scope { provider: Provider::Azure, account: member.account.clone(), region: Region::any(), kind };
            progress.scope_started(&self.config.name, &scope);
            let mut found = Found::default();
            let mut fault = Some(fault);
            if kind == Kind::Account
                && let Some(subscription) = &member.subscription
            {
                found.resources.extend(map::account_resource(subscription, self.config.clock.now()));
                fault = None;
            }
            self.add(pull, scope, found, fault, progress)?;
        }
        Ok(())
    }
}

#[async_trait]
impl Source for AzureSource {
    fn name(&self) -> &SourceName {
        &self.config.name
    }

    async fn pull(&self, progress: &dyn Progress) -> Result<Pull, SourceError> {
        let calls = self.arm.calls(progress);
        let members = self.members(&calls).await.map_err(|fault| fault.error(&self.config.name))?;
        let mut pull = Pull { exhaustive: true, ..Pull::default() };
        let mut open = Vec::new();
        let mut closed = None;
        for member in members.iter() {
            match member.readable() {
                Ok(subscription) => open.push((member, subscription)),
                Err(fault) => {
                    self.add_unread(&mut pull, member, &fault, progress)?;
                    closed = closed.or(Some(fault));
                }
            }
        }
        let accounts: Vec<Account> = open.iter().map(|(member, _)| member.account.clone()).collect();
        let read = self.read(&accounts, &calls).await;

        let (directory, elsewhere) = directory(read.iter().map(|(lists, _)| lists));
        let elsewhere = elsewhere.or(closed);
        let observed_at = self.config.clock.now();
        for ((member, subscription), (lists, unsized_because)) in open.iter().zip(read) {
            let ground = Ground {
                subscription,
                lists: &lists,
                directory: &directory,
                elsewhere: elsewhere.as_ref(),
                sizes: &self.sizes,
                observed_at,
            };
            let scopes = Mapping::new(&ground).all();
            self.remember_places(&member.account, &scopes);
            for Scoped { kind, found, fault } in scopes {
                let scope = Scope { provider: Provider::Azure, account: member.account.clone(), region: Region::any(), kind };
                self.add(&mut pull, scope, found, fault.as_ref(), progress)?;
            }
            if let Some(fault) = unsized_because {
                let text = format!("what sizes of machines stand for could not be read: {}", fault.error(&self.config.name));
                pull.remarks.push(Remark { subject: member.account.to_string(), text });
            }
        }
        pull.remarks.sort_unstable();
        Ok(pull)
    }

    fn lists_late(&self) -> bool {
        self.config.collector == Collector::ResourceGraph
    }

    async fn look_up(&self, keys: &[(Key, Kind)], progress: &dyn Progress) -> BTreeMap<Key, Result<Presence, SourceError>> {
        look_up::look_up(self, keys, progress).await
    }

    async fn doctor(&self) -> Vec<Finding> {
        doctor::doctor(self).await
    }
}

/// Who has which address in which network, over all subscriptions, and what kept somebody from being known.
fn directory<'a>(lists: impl Iterator<Item = &'a Lists>) -> (Directory, Option<Fault>) {
    let mut directory = Directory::default();
    let mut fault = None;
    for lists in lists {
        for nic in lists.interfaces.items.iter().chain(&lists.set_interfaces.items) {
            let Some(machine) = &nic.machine else { continue };
            directory.add_interface(&nic.head.id.key, machine);
            for one in &nic.configurations {
                directory.add(one.subnet.as_ref(), one.address.as_deref(), machine);
            }
        }
        // A pool can forward to another balancer by its address.
        let balancers =
            lists.balancers.items.iter().map(|balancer| &balancer.0).chain(lists.gateways.items.iter().map(|gateway| &gateway.0));
        for balancer in balancers {
            for frontend in &balancer.frontends {
                directory.add(frontend.subnet.as_ref(), frontend.private_address.as_deref(), &balancer.head.id.key);
            }
        }
        for network in &lists.networks.items {
            directory.add_peers(&network.head.id.key, &network.peers);
        }
        let faults =
            [&lists.interfaces.fault, &lists.set_interfaces.fault, &lists.networks.fault, &lists.balancers.fault, &lists.gateways.fault];
        fault = fault.or_else(|| faults.into_iter().flatten().next().cloned());
    }
    (directory, fault)
}
