//! The entries of the inventory file as written, and their way into the model.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::fault::Odd;
use super::scan::shorten;
use crate::model::{
    Account, Attributes, Digest, InstanceState, Key, Kind, Outcome, Provider, Receipt, Region, Relation, RelationType, Resource, Scope,
    SourceName, attributes,
};

/// An entry of `resources`.
#[derive(Deserialize)]
#[serde(expecting = "a resource: an object with `key`, `kind`, `provider`, `native_id`, `account` and `region`")]
pub(super) struct RawResource<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    provider: Cow<'a, str>,
    native_id: String,
    #[serde(borrow)]
    account: Cow<'a, str>,
    #[serde(borrow)]
    region: Cow<'a, str>,
    name: Option<String>,
    state: Option<String>,
    #[serde(default)]
    tags: Once<String>,
    created_at: Option<Timestamp>,
    observed_at: Option<Timestamp>,
    #[serde(default)]
    attributes: Once<Value>,
    #[serde(default)]
    derived: bool,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

/// An entry of `relations`.
#[derive(Deserialize)]
#[serde(expecting = "a relation: an object with `type`, `from` and `to`")]
pub(super) struct RawRelation<'a> {
    #[serde(borrow, rename = "type")]
    relation: Cow<'a, str>,
    #[serde(borrow)]
    from: Cow<'a, str>,
    #[serde(borrow)]
    to: Cow<'a, str>,
    #[serde(default)]
    attributes: Once<Value>,
    #[serde(default)]
    derived: bool,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

/// An entry of `receipts`.
#[derive(Deserialize)]
#[serde(expecting = "a receipt: an object with `source`, `provider`, `account`, `region`, `kind` and `outcome`")]
pub(super) struct RawReceipt<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    provider: Cow<'a, str>,
    #[serde(borrow)]
    account: Cow<'a, str>,
    #[serde(borrow)]
    region: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    count: Option<u64>,
    error: Option<String>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

/// An object that gives no name twice.
pub(super) struct Once<V>(pub(super) BTreeMap<String, V>);

impl<V> Default for Once<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Once<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<V>(std::marker::PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Members<V> {
            type Value = Once<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Once<V>, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, V>()? {
                    if members.contains_key(&name) {
                        return Err(A::Error::custom(format_args!("`{}` is given twice", shorten(&name))));
                    }
                    members.insert(name, value);
                }
                Ok(Once(members))
            }
        }

        deserializer.deserialize_map(Members(std::marker::PhantomData))
    }
}

/// Where a resource's entry stands in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) offset: u64,
    pub(super) length: usize,
    pub(super) line: usize,
    pub(super) digest: Digest,
}

/// Texts that many entries share, each kept once.
#[derive(Default)]
pub(super) struct Shared {
    /// Every key that was read; with its entry where it is a resource of the file.
    pub(super) keys: HashMap<Key, Option<Entry>>,
    accounts: HashMap<Account, ()>,
    regions: HashMap<Region, ()>,
}

impl Shared {
    fn key(&mut self, field: &str, text: &str) -> Result<Key, Odd> {
        if let Some((key, _)) = self.keys.get_key_value(text) {
            return Ok(key.clone());
        }
        let key: Key = text.parse().map_err(|error| Odd::new(&[field], format!("{error}")))?;
        // The canonical form may be there already, under another spelling.
        if let Some((known, _)) = self.keys.get_key_value(key.as_str()) {
            return Ok(known.clone());
        }
        self.keys.insert(key.clone(), None);
        Ok(key)
    }

    fn account(&mut self, provider: Provider, text: &str) -> Result<Account, Odd> {
        let text = canonical_case(provider, text);
        intern(&mut self.accounts, &text).map_err(|error| Odd::new(&["account"], error))
    }

    fn region(&mut self, provider: Provider, text: &str) -> Result<Region, Odd> {
        let text = canonical_case(provider, text);
        intern(&mut self.regions, &text).map_err(|error| Odd::new(&["region"], error))
    }
}

/// Azure compares subscription ids and locations without regard to case; one spelling is kept, so that receipts and resources meet.
fn canonical_case(provider: Provider, text: &str) -> Cow<'_, str> {
    match provider {
        Provider::Azure if text.chars().any(char::is_uppercase) => Cow::Owned(text.to_lowercase()),
        _ => Cow::Borrowed(text),
    }
}

fn intern<N>(names: &mut HashMap<N, ()>, text: &str) -> Result<N, String>
where
    N: Clone + Eq + std::hash::Hash + std::borrow::Borrow<str> + FromStr,
    N::Err: fmt::Display,
{
    if let Some((name, ())) = names.get_key_value(text) {
        return Ok(name.clone());
    }
    let name: N = text.parse().map_err(|error: N::Err| error.to_string())?;
    names.insert(name.clone(), ());
    Ok(name)
}

/// A word of a closed vocabulary; the hint names the nearest one.
fn word<W>(field: &str, text: &str, all: &[W]) -> Result<W, Odd>
where
    W: Copy + FromStr + fmt::Display,
    W::Err: fmt::Display,
{
    text.parse().map_err(|error: W::Err| {
        let words: Vec<String> = all.iter().map(ToString::to_string).collect();
        let nearest = words.iter().map(|word| (strsim::damerau_levenshtein(&text.to_lowercase(), word), word)).min();
        let listed = format!("one of {}", words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "));
        let hint = match nearest {
            Some((distance, word)) if distance <= 1 + word.len() / 4 => format!("did you mean `{word}`? It is {listed}"),
            _ => format!("it is {listed}"),
        };
        Odd::new(&[field], shorten(&error.to_string())).hint(hint)
    })
}

impl RawResource<'_> {
    pub(super) fn resource(self, shared: &mut Shared) -> Result<Resource, Odd> {
        let kind = word("kind", &self.kind, Kind::ALL)?;
        let provider = word("provider", &self.provider, Provider::ALL)?;
        let key = shared.key("key", &self.key)?;
        let account = shared.account(provider, &self.account)?;
        let region = shared.region(provider, &self.region)?;
        if kind == Kind::Instance
            && let Some(state) = &self.state
        {
            word("state", state, InstanceState::ALL)?;
        }
        if self.native_id.trim().is_empty() {
            return Err(Odd::new(&["native_id"], "it is blank"));
        }
        if !self.derived && !key.is_derived() {
            agree(&key, provider, &account, &region)?;
        }
        let mut known = Attributes::new();
        for (name, value) in self.attributes.0 {
            match attributes::canonical(kind, &name, value) {
                Ok(value) => known.insert(name, value),
                Err(error) => {
                    return Err(Odd::new(&["attributes", name.as_str()], format!("it must be {} for kind {kind}", error.wanted)));
                }
            };
        }
        Ok(Resource {
            key,
            kind,
            provider,
            native_id: self.native_id,
            account,
            region,
            name: self.name,
            state: self.state,
            tags: self.tags.0,
            created_at: self.created_at,
            observed_at: self.observed_at,
            attributes: known,
            derived: self.derived,
            extra: self.extra,
        })
    }
}

/// Whether a key says the same as the fields beside it. A region `*` is not compared: regions and zones themselves may be listed without one.
fn agree(key: &Key, provider: Provider, account: &Account, region: &Region) -> Result<(), Odd> {
    if key.provider() != provider {
        return Err(Odd::new(&["provider"], format!("it is `{provider}`, but the key is of provider `{}`", key.provider())));
    }
    let (key_account, key_region) = place_of(key);
    if let Some(wanted) = key_account
        && !wanted.eq_ignore_ascii_case(account.as_str())
    {
        return Err(Odd::new(&["account"], format!("it is `{account}`, but the key says `{wanted}`")));
    }
    match key_region {
        Some(wanted) if !region.is_any() && wanted != region.as_str() => {
            Err(Odd::new(&["region"], format!("it is `{region}`, but the key says `{wanted}`")))
        }
        _ => Ok(()),
    }
}

/// Account and region as a key names them, where it does. ARNs of AWS Organizations name the management account, not the one they are about.
pub(super) fn place_of(key: &Key) -> (Option<&str>, Option<&str>) {
    match key.provider() {
        Provider::Aws if !key.is_derived() => {
            let mut parts = key.as_str().splitn(7, ':').skip(3);
            let (service, region, account) = (parts.next(), given(parts.next()), given(parts.next()));
            (account.filter(|_| service != Some("organizations")), region)
        }
        Provider::Azure if !key.is_derived() => (key.as_str().split('/').nth(2), None),
        _ => (None, None),
    }
}

fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

impl RawRelation<'_> {
    pub(super) fn relation(self, shared: &mut Shared) -> Result<Relation, Odd> {
        Ok(Relation {
            relation: word("type", &self.relation, RelationType::ALL)?,
            from: shared.key("from", &self.from)?,
            to: shared.key("to", &self.to)?,
            attributes: self.attributes.0,
            derived: self.derived,
            extra: self.extra,
        })
    }
}

impl RawReceipt<'_> {
    pub(super) fn receipt(self, shared: &mut Shared) -> Result<(Scope, Receipt), Odd> {
        let provider = word("provider", &self.provider, Provider::ALL)?;
        let source: SourceName = self.source.parse().map_err(|error| Odd::new(&["source"], format!("{error}")))?;
        let scope = Scope {
            provider,
            account: shared.account(provider, &self.account)?,
            region: shared.region(provider, &self.region)?,
            kind: word("kind", &self.kind, Kind::ALL)?,
        };
        let outcome = word("outcome", &self.outcome, Outcome::ALL)?;
        Ok((scope, Receipt { source, outcome, count: self.count, error: self.error, extra: self.extra }))
    }
}
