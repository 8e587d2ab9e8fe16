//! Accounts and datacenters that records are identified beside.
//!
//! Most classes of clouds are identified together with the datacenter that hosts them, and that with its account. Where nobody has made these, we do, with our
//! mark, but as scaffold: they are no CIs of the estate until it shows them. A stranger's is addressed by its id and gets no value of ours; what the
//! engine moves on it all the same are `discovery_source` and `last_discovered`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use dewpoint_core::estate::EstateId;
use dewpoint_core::model::{Account, Kind, Provider, Region};
use dewpoint_core::target::{FoundRecord, Identity, RecordId, TargetError};
use jiff::Timestamp;

use crate::ire::{Item, Payload, Relation, RelationSource, SourceInfo};
use crate::keys::{native_key, place_keys};
use crate::mapping::stored;
use crate::records::{Mark, Reader, feed};

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
        deadline: Timestamp,
    ) -> Result<BTreeMap<PlaceName, Result<Place, TargetError>>, TargetError> {
        let mut places = BTreeMap::new();
        for name in names {
            if let Some(place) = self.get(name) {
                places.insert(name.clone(), Ok(place));
                continue;
            }
            let place = match make(reader, name, estate, at, deadline).await {
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
}

async fn make(reader: &Reader<'_>, name: &PlaceName, estate: &EstateId, at: Timestamp, deadline: Timestamp) -> Result<Place, TargetError> {
    let (provider, account, region) = name;
    let api = reader.api;
    let Some((account_key, region_key)) = place_keys(*provider, account, region) else {
        return Err(api.rejected(format!("no datacenter can stand for provider `{provider}`, account `{account}`, region `{region}`")));
    };
    let has_region = !region.is_any();
    let identity = |kind: Kind| match kind {
        Kind::Region => {
            Identity { key: region_key.clone(), kind, native_id: region.to_string(), account: account.clone(), region: region.clone() }
        }
        _ => Identity { key: account_key.clone(), kind, native_id: account.to_string(), account: account.clone(), region: Region::any() },
    };
    let kinds: &[Kind] = if has_region { &[Kind::Account, Kind::Region] } else { &[Kind::Account] };
    let identities: Vec<Identity> = kinds.iter().map(|kind| identity(*kind)).collect();
    let mut found = reader.find(&identities).await?;
    let mut hosts = Vec::new();
    for identity in &identities {
        let records = found.remove(&identity.key).transpose()?.unwrap_or_default();
        hosts.push(choose(reader, identity, &records)?);
    }
    let mut hosts = hosts.into_iter();
    let (known_account, known_region) = (hosts.next().flatten(), hosts.next().flatten());

    let class = |kind: Kind| reader.mapping.class(kind, *provider).unwrap_or("cmdb_ci_logical_datacenter").to_owned();
    let source = |native: &str| SourceInfo {
        source_name: api.source.clone(),
        source_feed: feed(estate, true),
        source_native_key: native.to_owned(),
    };
    let values = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        let seen = stored(at);
        let all = pairs.iter().copied().chain([("last_discovered", seen.as_str())]);
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let mut payload = Payload::default();
    let mut is_new = [false, false];
    payload.items.push(match &known_account {
        Some(host) => stub("account", host, at),
        None => {
            is_new[0] = true;
            Item {
                class_name: class(Kind::Account),
                internal_id: "account".to_owned(),
                values: values(&[
                    ("name", account.as_str()),
                    ("object_id", account.as_str()),
                    ("account_id", account.as_str()),
                    ("datacenter_type", &class(Kind::Region)),
                ]),
                related: Vec::new(),
                settings: None,
                source: Some(source(native_key(&account_key))),
            }
        }
    });
    if has_region {
        payload.items.push(match &known_region {
            Some(host) => stub("datacenter", host, at),
            None => {
                is_new[1] = true;
                Item {
                    class_name: class(Kind::Region),
                    internal_id: "datacenter".to_owned(),
                    values: values(&[("name", region.as_str()), ("object_id", region.as_str()), ("region", region.as_str())]),
                    related: Vec::new(),
                    settings: None,
                    source: Some(source(native_key(&region_key))),
                }
            }
        });
        payload.relations.push(Relation {
            kind: "Hosted on::Hosts".to_owned(),
            parent_id: "datacenter".to_owned(),
            child_id: "account".to_owned(),
            source: RelationSource { source_name: api.source.clone(), source_feed: feed(estate, false) },
        });
    }
    if is_new.contains(&true) {
        let report = api.reconcile(&payload, Some(deadline)).await?;
        let made = |place: usize, kind: Kind| -> Result<Host, TargetError> {
            let what = if kind == Kind::Account { "the account" } else { "the datacenter" };
            let outcome = report.item(place).ok_or_else(|| api.unreachable("reconcile", format!("the answer leaves out {what}")))?;
            let (record, _) = outcome.stands().map_err(|failure| api.rejected(format!("{what} {account} {region}: {}", failure.text)))?;
            Ok(Host { record: RecordId(record.to_owned()), class: class(kind), is_ours: true })
        };
        let note = |host: &Host, key: &dewpoint_core::model::Key| {
            let mark = Mark { key: key.clone(), estate: estate.clone(), is_scaffold: true, class: host.class.clone() };
            reader.book.wrote(&host.record, mark);
        };
        let account_host = match known_account {
            Some(host) => host,
            None => {
                let host = made(0, Kind::Account)?;
                note(&host, &account_key);
                host
            }
        };
        let datacenter = match (has_region, known_region) {
            (false, _) => None,
            (true, Some(host)) => Some(host),
            (true, None) => {
                let host = made(1, Kind::Region)?;
                note(&host, &region_key);
                Some(host)
            }
        };
        return Ok(Place { account: account_host, datacenter });
    }
    let Some(account) = known_account else {
        return Err(api.unreachable("reconcile", "the account was neither found nor made".to_owned()));
    };
    Ok(Place { account, datacenter: known_region })
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
