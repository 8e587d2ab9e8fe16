//! Accounts and datacenters that records are identified beside.
//!
//! Most classes of clouds are identified together with the datacenter that hosts them, and that with its account. Where nobody has made these, we do, with our
//! mark, but as scaffold: they are no CIs of the estate until it shows them. A stranger's is addressed by its id and gets no value of ours; what the
//! engine moves on it all the same are `discovery_source` and `last_discovered`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use dewpoint_core::estate::EstateId;
use dewpoint_core::model::{Account, Key, Kind, Provider, Region};
use dewpoint_core::target::{FoundRecord, Identity, RecordId, TargetError};
use jiff::Timestamp;

use crate::book::{Mark, feed};
use crate::ire::{Item, Payload, Relation, RelationSource, SourceInfo};
use crate::keys::{native_key, place_keys};
use crate::mapping::stored;
use crate::records::Reader;

/// Where records lie: provider, account and region.
pub(crate) type PlaceName = (Provider, Account, Region);

/// A record that others are identified beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) record: RecordId,
    pub(crate) class: String,
    pub(crate) is_ours: bool,
}

/// The records of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) account: Host,
    /// Not there for the region `*`.
    pub(crate) datacenter: Option<Host>,
}

/// The places that were found or made since the target was made.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<BTreeMap<PlaceName, Place>>);

impl Places {
    fn get(&self, name: &PlaceName) -> Option<Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn put(&self, name: PlaceName, place: Place) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, place);
    }

    /// The records of these places: found, or made where there are none. A place that cannot be had says why.
    pub(crate) async fn ready(
        &self,
        reader: &Reader<'_>,
        names: &BTreeSet<PlaceName>,
        estate: &EstateId,
        at: Timestamp,
    ) -> Result<BTreeMap<PlaceName, Result<Place, TargetError>>, TargetError> {
        let mut places = BTreeMap::new();
        for name in names {
            if let Some(place) = self.get(name) {
                places.insert(name.clone(), Ok(place));
                continue;
            }
            let made = match Site::find(reader, name).await {
                Ok(site) => site.make(reader, estate, at).await,
                Err(error) => Err(error),
            };
            let place = match made {
                Ok(place) => {
                    self.put(name.clone(), place.clone());
                    Ok(place)
                }
                // What the instance refused of this place says nothing of the others.
                Err(error @ TargetError::Rejected { .. }) => Err(error),
                Err(error) => return Err(error),
            };
            places.insert(name.clone(), place);
        }
        Ok(places)
    }

    /// What stands of these places. Nothing is made.
    pub(crate) async fn sites(
        &self,
        reader: &Reader<'_>,
        names: &BTreeSet<PlaceName>,
    ) -> Result<BTreeMap<PlaceName, Result<Site, TargetError>>, TargetError> {
        let mut sites = BTreeMap::new();
        for name in names {
            match Site::find(reader, name).await {
                Err(error) if !matches!(error, TargetError::Rejected { .. }) => return Err(error),
                site => drop(sites.insert(name.clone(), site)),
            }
        }
        Ok(sites)
    }
}

/// What stands of a place, or would have to be made.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    name: PlaceName,
    pub(crate) account_key: Key,
    pub(crate) region_key: Key,
    pub(crate) account: Option<Host>,
    pub(crate) datacenter: Option<Host>,
}

impl Site {
    /// Looks for the records of a place.
    async fn find(reader: &Reader<'_>, name: &PlaceName) -> Result<Self, TargetError> {
        let (provider, account, region) = name;
        let Some((account_key, region_key)) = place_keys(*provider, account, region) else {
            let text = format!("no datacenter can stand for provider `{provider}`, account `{account}`, region `{region}`");
            return Err(reader.api.rejected(text));
        };
        let (any, native) = (Region::any(), [account.to_string(), region.to_string()]);
        let parts = [(&account_key, Kind::Account, &any), (&region_key, Kind::Region, region)];
        let identities: Vec<Identity> = parts
            .into_iter()
            .zip(native)
            .take(if region.is_any() { 1 } else { 2 })
            .map(|((key, kind, region), native_id)| Identity {
                key: key.clone(),
                kind,
                name: native_id.clone(),
                native_id,
                account: account.clone(),
                region: region.clone(),
            })
            .collect();
        let own = |key: &Key| {
            let (record, mark) = reader.book.standing(key).filter(|(_, mark)| !mark.class.is_empty())?;
            Some(Host { record, class: mark.class, is_ours: true })
        };
        let open: Vec<Identity> = identities.iter().filter(|identity| own(&identity.key).is_none()).cloned().collect();
        let mut found = if open.is_empty() { BTreeMap::new() } else { reader.find(&open).await? };
        let mut hosts = Vec::new();
        for identity in &identities {
            let host = match own(&identity.key) {
                Some(host) => Some(host),
                None => choose(reader, identity, &found.remove(&identity.key).transpose()?.unwrap_or_default())?,
            };
            hosts.push(host);
        }
        let mut hosts = hosts.into_iter();
        let (account, datacenter) = (hosts.next().flatten(), hosts.next().flatten());
        Ok(Self { name: name.clone(), account_key, region_key, account, datacenter })
    }

    pub(crate) fn has_region(&self) -> bool {
        !self.name.2.is_any()
    }

    /// The place, where all of it stands.
    fn whole(&self) -> Option<Place> {
        let account = self.account.clone()?;
        (!self.has_region() || self.datacenter.is_some()).then(|| Place { account, datacenter: self.datacenter.clone() })
    }

    /// The account, the datacenter where the place has one, and their relation; what does not stand yet is scaffold.
    pub(crate) fn payload(&self, reader: &Reader<'_>, estate: &EstateId, at: Timestamp) -> Payload {
        let (provider, account, region) = &self.name;
        let class = |kind: Kind| class_of(reader, kind, *provider);
        let item = |kind: Kind, internal_id: &str, key: &Key, pairs: &[(&str, &str)]| {
            let seen = stored(at);
            let all = pairs.iter().copied().chain([("last_discovered", seen.as_str())]);
            Item {
                class_name: class(kind),
                internal_id: internal_id.to_owned(),
                values: all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
                related: Vec::new(),
                settings: Some(crate::ire::Reclassification::NEVER),
                source: Some(SourceInfo {
                    source_name: reader.api.source.clone(),
                    source_feed: feed(estate, true),
                    source_native_key: native_key(key).to_owned(),
                }),
            }
        };
        let mut payload = Payload::default();
        payload.items.push(match &self.account {
            Some(host) => stub("account", host, at),
            None => {
                let (name, datacenter_type) = (account.as_str(), class(Kind::Region));
                let pairs = [("name", name), ("object_id", name), ("account_id", name), ("datacenter_type", &datacenter_type)];
                item(Kind::Account, "account", &self.account_key, &pairs)
            }
        });
        if self.has_region() {
            let name = region.as_str();
            payload.items.push(match &self.datacenter {
                Some(host) => stub("datacenter", host, at),
                None => item(Kind::Region, "datacenter", &self.region_key, &[("name", name), ("object_id", name), ("region", name)]),
            });
            payload.relations.push(Relation {
                kind: "Hosted on::Hosts".to_owned(),
                parent_id: "datacenter".to_owned(),
                child_id: "account".to_owned(),
                source: RelationSource { source_name: reader.api.source.clone(), source_feed: feed(estate, false) },
            });
        }
        payload
    }

    /// Takes what the engine would find by its own rules, in other classes too: to make it would be to write to it.
    async fn meet(&mut self, reader: &Reader<'_>, estate: &EstateId, at: Timestamp) -> Result<(), TargetError> {
        let report = reader.api.identify(&self.payload(reader, estate, at)).await?;
        let met = |place: usize| {
            let outcome = report.item(place)?;
            let (_, record) = outcome.would().ok()?;
            Some((RecordId(record?.to_owned()), outcome.class_name.clone()))
        };
        let found = [met(0).filter(|_| self.account.is_none()), met(1).filter(|_| self.datacenter.is_none())];
        reader.ask_marks(found.iter().flatten().map(|(record, _)| record)).await?;
        let host = |kind: Kind, (record, class): (RecordId, Option<String>)| {
            let is_ours = reader.book.mark(&record).is_some();
            Host { record, class: class.unwrap_or_else(|| class_of(reader, kind, self.name.0)), is_ours }
        };
        let [account, datacenter] = found;
        let account = account.map(|met| host(Kind::Account, met));
        let datacenter = datacenter.map(|met| host(Kind::Region, met));
        self.account = self.account.take().or(account);
        self.datacenter = self.datacenter.take().or(datacenter);
        Ok(())
    }

    /// The place, made as far as it does not stand.
    async fn make(mut self, reader: &Reader<'_>, estate: &EstateId, at: Timestamp) -> Result<Place, TargetError> {
        if self.whole().is_none() {
            self.meet(reader, estate, at).await?;
        }
        if let Some(place) = self.whole() {
            return Ok(place);
        }
        let api = reader.api;
        let report = api.reconcile(&self.payload(reader, estate, at)).await?;
        let made = |place: usize, kind: Kind, key: &Key| -> Result<Host, TargetError> {
            let (provider, account, region) = &self.name;
            let what = if kind == Kind::Account { "the account" } else { "the datacenter" };
            let outcome = report.item(place).ok_or_else(|| api.unreachable("reconcile", format!("the answer leaves out {what}")))?;
            let (record, _) = outcome.stands().map_err(|failure| api.rejected(format!("{what} {account} {region}: {}", failure.text)))?;
            let host = Host { record: RecordId(record.to_owned()), class: class_of(reader, kind, *provider), is_ours: true };
            let mark = Mark { key: key.clone(), estate: estate.clone(), is_scaffold: true, class: host.class.clone() };
            reader.book.wrote(&host.record, mark);
            Ok(host)
        };
        let account = match self.account.clone() {
            Some(host) => host,
            None => made(0, Kind::Account, &self.account_key)?,
        };
        let datacenter = match self.datacenter.clone() {
            None if self.has_region() => Some(made(1, Kind::Region, &self.region_key)?),
            known => known,
        };
        Ok(Place { account, datacenter })
    }
}

fn class_of(reader: &Reader<'_>, kind: Kind, provider: Provider) -> String {
    reader.mapping.class(kind, provider).unwrap_or("cmdb_ci_logical_datacenter").to_owned()
}

/// Of the records that stand for a place ours, or the only one.
fn choose(reader: &Reader<'_>, identity: &Identity, found: &[FoundRecord]) -> Result<Option<Host>, TargetError> {
    let host = |record: &FoundRecord, is_ours| Host { record: record.id.clone(), class: record.class.clone(), is_ours };
    if let Some(own) = found.iter().find(|record| record.external_id.as_ref() == Some(&identity.key)) {
        return Ok(Some(host(own, true)));
    }
    match found {
        [] => Ok(None),
        [only] => Ok(Some(host(only, only.estate.is_some()))),
        many => {
            let ids: Vec<&str> = many.iter().map(|record| record.id.0.as_str()).collect();
            let text = format!("{} records stand for {} {}: {}", many.len(), identity.kind, identity.native_id, ids.join(", "));
            Err(reader.api.rejected(text))
        }
    }
}

/// An item that only names a record that stands there.
pub(crate) fn stub(internal_id: &str, host: &Host, at: Timestamp) -> Item {
    let mut values: BTreeMap<String, String> = [("sys_id".to_owned(), host.record.0.clone())].into();
    if host.is_ours {
        // Otherwise the engine takes its own clock's time.
        values.insert("last_discovered".to_owned(), stored(at));
    }
    Item {
        class_name: host.class.clone(),
        internal_id: internal_id.to_owned(),
        values,
        related: Vec::new(),
        settings: Some(crate::ire::Reclassification::NEVER),
        source: None,
    }
}
