//! Dewpoint's AWS source: machines and what they hang on, of one account, of several, or of a whole organization.
//!
//! A thin layer over the AWS SDK, in a crate of its own because the SDK's generated code makes rebuilds slow. Each scope
//! (account × region × kind) is listed by itself and ends in its own receipt; an error in one never touches another.

mod accounts;
mod action;
mod body;
mod budget;
mod client;
mod credentials;
mod doctor;
mod error;
mod identity;
mod kinds;
mod listing;
mod load_balancing;
mod look_up;
mod map;
mod meter;
mod paging;
mod region;
mod role;
mod session;
#[cfg(test)]
mod tests;
mod turn;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
pub use dewpoint_aws_settings::{Accounts, ExternalId, InvalidExternalId, ListedAccount, Rate, Rates, Regions, UsualRole};
use dewpoint_core::doctor::Finding;
use dewpoint_core::model::{Key, Kind, Outcome, Provider, Receipt, Region, Scope, SourceName};
use dewpoint_core::source::facts::unread_remark;
use dewpoint_core::source::{Presence, Progress, Pull, Remark, Source, SourceError, Untold};
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use tokio::sync::OnceCell;

use crate::accounts::{Access, Member, Open};
use crate::client::Tuning;
use crate::error::{Fault, Reason};
use crate::identity::{Answer, Identity};
use crate::kinds::instance_types::Catalogue;
use crate::map::{Found, Place};
use crate::region::{RegionListing, Scoped};
use crate::session::{AccountSession, Calls, Terms};
use crate::turn::Turn;

/// The kinds that are listed, one scope each: of an account as a whole, the others per region.
pub const KINDS: [Kind; 13] = [
    Kind::Account,
    Kind::Region,
    Kind::Zone,
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

/// The kinds that are listed per region.
fn regional_kinds() -> impl Iterator<Item = Kind> + Clone {
    KINDS.into_iter().filter(|kind| *kind != Kind::Account)
}

/// The permissions that the source needs in each account that it reads; `deploy/aws/policy.json` allows exactly these.
///
/// `sts:GetCallerIdentity` is called as well, but needs none.
pub const ACTIONS: &[&str] = &[
    kinds::scaling_groups::ACTION.name,
    kinds::addresses::ACTION.name,
    kinds::zones::ACTION.name,
    kinds::instance_types::ACTION.name,
    kinds::instances::ACTION.name,
    kinds::interfaces::ACTION.name,
    kinds::regions::ACTION.name,
    kinds::security_groups::ACTION.name,
    kinds::subnets::ACTION.name,
    kinds::volumes::ACTION.name,
    kinds::networks::ACTION.name,
    kinds::classic::HEALTH.name,
    kinds::listeners::LISTENERS.name,
    kinds::balancers::ACTION.name,
    kinds::listeners::RULES.name,
    kinds::balancers::TAGS.name,
    kinds::pools::ACTION.name,
    kinds::pools::HEALTH.name,
];

/// The permissions that the caller needs beside [`ACTIONS`] to read other accounts, or an organization; `deploy/aws/hub-policy.json` allows
/// exactly these.
pub const HUB_ACTIONS: &[&str] = &[accounts::LIST.name, role::ACTION.name];

/// Accounts opened at the same time.
const ACCOUNTS_AT_ONCE: usize = 8;

/// Regions of all accounts listed at the same time.
const REGIONS_AT_ONCE: usize = 8;

/// Regions whose STS is asked who the caller is, where those of the configuration and the environment refuse: one for each partition, always enabled.
const HOMES: [&str; 3] = ["us-east-1", "us-gov-west-1", "cn-north-1"];

/// Tells the time, for `observed_at`.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the source is built from.
#[derive(Clone)]
pub struct AwsConfig {
    /// Name from the configuration.
    pub name: SourceName,
    /// Which accounts.
    pub accounts: Accounts,
    /// The role in accounts that are not the caller's own.
    pub usual_role: UsualRole,
    /// Which regions of each account.
    pub regions: Regions,
    /// Where all calls go in place of AWS's own addresses: an emulator, a proxy.
    pub endpoint_url: Option<String>,
    /// Longest time for one call, its retries and the wait for a rate limit included.
    pub timeout: Duration,
    /// Budgets for calls.
    pub rates: Rates,
    /// Tells the time. Requests are signed, and clocks compared, by the SDK's own.
    pub clock: Clock,
}

impl fmt::Debug for AwsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, accounts, usual_role, regions, endpoint_url, timeout, rates, clock: _ } = self;
        f.debug_struct("AwsConfig")
            .field("name", name)
            .field("accounts", accounts)
            .field("usual_role", usual_role)
            .field("regions", regions)
            .field("endpoint_url", endpoint_url)
            .field("timeout", timeout)
            .field("rates", rates)
            .finish_non_exhaustive()
    }
}

/// The AWS source. The caller's credentials come from the SDK's default chain (environment, profile, web identity, container, instance
/// metadata), on first use.
pub struct AwsSource {
    config: AwsConfig,
    terms: Arc<Terms>,
    tuning: Tuning,
    shared: OnceCell<SdkConfig>,
    catalogue: Catalogue,
    /// The accounts as the last pull opened them. Each pull opens them anew, since credentials may change under a long-lived process; look-ups
    /// use what is there.
    estate: RwLock<Option<Arc<Estate>>>,
}

/// The caller, and the accounts that could be opened.
#[derive(Debug)]
struct Estate {
    caller: Arc<AccountSession>,
    members: Vec<(Member, Result<Open, Fault>)>,
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

    fn tuned(config: AwsConfig, tuning: Tuning) -> Self {
        let terms = Arc::new(Terms {
            source: config.name.clone(),
            endpoint_url: config.endpoint_url.clone(),
            rates: config.rates,
            budgets: std::sync::Mutex::default(),
            timeout: config.timeout,
            pause: tuning.pause,
            untold: Untold::default(),
        });
        Self { config, terms, tuning, shared: OnceCell::new(), catalogue: Catalogue::default(), estate: RwLock::default() }
    }

    fn listed_regions(&self) -> Vec<Region> {
        match &self.config.regions {
            Regions::All => Vec::new(),
            Regions::Listed(regions) => regions.iter().cloned().collect(),
        }
    }

    async fn shared(&self) -> &SdkConfig {
        let first = self.listed_regions().into_iter().next();
        let load = || client::shared_config(first, self.config.endpoint_url.as_deref(), self.config.timeout, &self.tuning);
        self.shared.get_or_init(|| Box::pin(load())).await
    }

    /// Asks who the caller is.
    async fn identify(&self, progress: &dyn Progress) -> Result<Answer, Fault> {
        let shared = self.shared().await;
        let mut regions = self.listed_regions();
        // Where none is listed, and where all that are refuse: they may not be enabled.
        let configured = shared.region().map(|region| region.as_ref().to_owned());
        for region in configured.into_iter().chain(HOMES.map(str::to_owned)).filter_map(|name| name.parse().ok()) {
            if !regions.contains(&region) {
                regions.push(region);
            }
        }
        let turn = Turn { regions, is_one_server: self.config.endpoint_url.is_some() };
        identity::find(shared, &turn, &self.terms, progress).await
    }

    async fn caller(&self, identity: Identity) -> Arc<AccountSession> {
        Arc::new(AccountSession::new(identity, self.shared().await.clone(), Arc::clone(&self.terms)))
    }

    /// The accounts that are to be read.
    async fn members(&self, caller: &AccountSession, progress: &dyn Progress) -> Result<Vec<Member>, Fault> {
        accounts::list(&self.config.accounts, &self.config.usual_role, caller, progress).await
    }

    /// Where accounts are entered.
    fn entrances(&self, caller: &AccountSession) -> Turn {
        accounts::entrances(&caller.identity, &self.listed_regions(), self.config.endpoint_url.is_some())
    }

    /// Opens all accounts, and keeps them for look-ups.
    async fn open(&self, progress: &dyn Progress) -> Result<Arc<Estate>, SourceError> {
        let identity = self.identify(progress).await.map_err(|fault| self.no_identity(&fault))?.identity;
        let caller = self.caller(identity).await;
        let members = self.members(&caller, progress).await.map_err(|fault| fault.error(&self.config.name))?;
        let entrances = self.entrances(&caller);
        let open = |member: Member| async {
            let open = Box::pin(member.open(&caller, &entrances, progress)).await;
            (member, open)
        };
        let members = futures::stream::iter(members).map(open).buffered(ACCOUNTS_AT_ONCE).collect().await;
        let estate = Arc::new(Estate { caller, members });
        *self.estate.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&estate));
        Ok(estate)
    }

    /// The accounts as last opened, else opened now.
    async fn opened(&self, progress: &dyn Progress) -> Result<Arc<Estate>, SourceError> {
        let known = self.estate.read().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(estate) => Ok(estate),
            None => self.open(progress).await,
        }
    }

    /// STS refuses nobody whose credentials are good, so every refusal is about the credentials.
    fn no_identity(&self, fault: &Fault) -> SourceError {
        match fault.reason {
            Reason::Unrecognised | Reason::Denied | Reason::Disabled | Reason::Off => {
                Fault { reason: Reason::Credentials, ..fault.clone() }.error(&self.config.name)
            }
            _ => fault.error(&self.config.name),
        }
    }

    fn place(&self, caller: &Identity, member: &Member, region: &Region) -> Place {
        Place {
            partition: caller.partition.clone(),
            account: member.account.clone(),
            region: region.clone(),
            observed_at: (self.config.clock)(),
        }
    }

    /// The regions of an open account that are to be listed, and those of them that are not enabled.
    fn regions_of(&self, open: &Open) -> Result<(Vec<Region>, Vec<Region>), Fault> {
        match (&self.config.regions, &open.regions) {
            (Regions::All, Ok(list)) => Ok(list.named().cloned().partition(|region| !list.is_off(region))),
            (Regions::All, Err(fault)) => Err(fault.clone()),
            (Regions::Listed(regions), Ok(list)) => Ok(regions.iter().cloned().partition(|region| !list.is_off(region))),
            // Without the list, each region says for itself whether it can be read.
            (Regions::Listed(regions), Err(_)) => Ok((regions.iter().cloned().collect(), Vec::new())),
        }
    }

    /// Takes an account into the pull, and returns its regions that are to be listed.
    fn take_account(
        &self,
        pull: &mut Pull,
        caller: &Identity,
        member: &Member,
        open: &Result<Open, Fault>,
    ) -> Result<Vec<Region>, SourceError> {
        let place = self.place(caller, member, &Region::any());
        let list = open.as_ref().ok().and_then(|open| open.regions.as_ref().ok());
        let mut found = Found::default();
        if open.is_ok() || member.is_told() {
            found.take(member.resource(&place, list));
        }
        let whole = match (&member.access, open) {
            (Access::Nobody { why }, _) => Err(Ending::Skipped(why.clone())),
            (_, Err(fault)) => Err(Ending::Fault(fault.clone())),
            (_, Ok(open)) => self.regions_of(open).map_err(Ending::Fault),
        };
        let scope =
            |region: &Region, kind| Scope { provider: Provider::Aws, account: member.account.clone(), region: region.clone(), kind };
        let any = Region::any();
        // Its edges to regions rest on the list of these: without it the account was read in part.
        let ending = match (&whole, open) {
            (Err(ending), _) => Some(ending.clone()),
            (Ok(_), Ok(Open { regions: Err(fault), .. })) => Some(Ending::Fault(fault.clone())),
            (Ok(_), _) => None,
        };
        self.add(pull, scope(&any, Kind::Account), found, ending.as_ref())?;
        match whole {
            Ok((on, off)) if self.config.regions == Regions::All => {
                // Nobody asked for them: what is worth a word is only what is known of one from before.
                for region in off {
                    let why = region::off(&region, kinds::regions::ACTION.name).error(&self.config.name).to_string();
                    pull.off.insert((member.account.clone(), region), why);
                }
                Ok(on)
            }
            Ok((on, off)) => {
                for (region, kind) in off.iter().flat_map(|region| regional_kinds().map(move |kind| (region, kind))) {
                    let ending = Ending::Fault(region::off(region, kinds::regions::ACTION.name));
                    self.add(pull, scope(region, kind), Found::default(), Some(&ending))?;
                }
                Ok(on)
            }
            Err(ending) => {
                for kind in regional_kinds() {
                    self.add(pull, scope(&any, kind), Found::default(), Some(&ending))?;
                }
                Ok(Vec::new())
            }
        }
    }

    async fn list_region(&self, caller: &Identity, member: &Member, open: &Open, region: Region, progress: &dyn Progress) -> Vec<Scoped> {
        let place = self.place(caller, member, &region);
        let session = open.session.region(&region);
        let calls = Calls::new(&session, progress);
        let listing = RegionListing {
            source: &self.config.name,
            place: &place,
            calls: &calls,
            regions: open.regions.as_ref(),
            catalogue: &self.catalogue,
            progress,
        };
        listing.list().await
    }

    /// Adds a scope's listing to the pull: what was read, how it ended, and what is odd about it.
    fn add(&self, pull: &mut Pull, scope: Scope, found: Found, ending: Option<&Ending>) -> Result<(), SourceError> {
        let resources: BTreeMap<Key, _> = found.resources.into_iter().map(|resource| (resource.key.clone(), Arc::new(resource))).collect();
        let source = &self.config.name;
        let count = Some(resources.len() as u64);
        let plain = |outcome, error| Receipt { source: source.clone(), outcome, count, error, extra: serde_json::Map::new() };
        let receipt = match ending {
            None => plain(Outcome::Complete, None),
            Some(Ending::Skipped(why)) => plain(Outcome::Skipped, Some(why.clone())),
            Some(Ending::Fault(fault)) => fault.error(source).receipt(source, count),
            Some(Ending::Error(error)) => error.receipt(source, count),
        };
        for refused in found.refused {
            let subject = if refused.native_id.is_empty() { scope.to_string() } else { refused.native_id };
            pull.remarks.push(Remark { subject, text: refused.text });
        }
        if found.foreign > 0 {
            let text = format!("{} items belong to other accounts and are left to their listings", found.foreign);
            pull.remarks.push(Remark { subject: scope.to_string(), text });
        }
        pull.remarks.extend(unread_remark(&scope, &found.unread, &BTreeMap::new()));
        pull.unread.extend(found.unread);
        pull.resources.extend(resources);
        pull.relations.extend(found.relations.into_iter().map(|relation| (relation.id(), relation)));
        pull.receipts.add(scope, receipt)?;
        Ok(())
    }
}

/// How a scope ended that was not read whole.
#[derive(Debug, Clone)]
enum Ending {
    Skipped(String),
    Fault(Fault),
    Error(SourceError),
}

#[async_trait]
impl Source for AwsSource {
    fn name(&self) -> &SourceName {
        &self.config.name
    }

    async fn pull(&self, progress: &dyn Progress) -> Result<Pull, SourceError> {
        let estate = self.open(progress).await?;
        let mut pull = Pull { exhaustive: true, ..Pull::default() };
        let mut listings = Vec::new();
        for (member, open) in &estate.members {
            let regions = self.take_account(&mut pull, &estate.caller.identity, member, open)?;
            if let Ok(open) = open {
                listings.extend(regions.into_iter().map(|region| (member, open, region)));
            }
        }
        let listings: Vec<_> = listings
            .into_iter()
            .map(|(member, open, region)| self.list_region(&estate.caller.identity, member, open, region, progress).boxed())
            .collect();
        let mut regions = futures::stream::iter(listings).buffer_unordered(REGIONS_AT_ONCE);
        while let Some(scopes) = regions.next().await {
            for Scoped { scope, found, error } in scopes {
                self.add(&mut pull, scope, found, error.map(Ending::Error).as_ref())?;
            }
        }
        drop(regions);
        pull.remarks.sort_unstable();
        Ok(pull)
    }

    async fn look_up(&self, keys: &[(Key, Kind)], progress: &dyn Progress) -> BTreeMap<Key, Result<Presence, SourceError>> {
        match self.opened(progress).await {
            Ok(estate) => look_up::look_up(self, &estate, keys, progress).await,
            Err(error) => keys.iter().map(|(key, _)| (key.clone(), Err(error.clone()))).collect(),
        }
    }

    async fn doctor(&self) -> Vec<Finding> {
        doctor::doctor(self).await
    }
}
