//! From assets to records.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use dewpoint_core::estate::EstateId;
use dewpoint_core::model::{Account, Key, Kind, Region};
use dewpoint_core::target::{FoundRecord, Identity, RecordId, Subject, TargetError};
use dewpoint_target_kit::{Carried, says_the_same};
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde_json::Value;

use crate::api::Api;
use crate::asset::{Asset, Id, Note};
use crate::book::{Book, Listing};
use crate::mapping::{ACCOUNT_ID, DATA, DELIVERED_AT, ESTATE, KEY, Mapping, NAME, NATIVE_ID, REGION};
use crate::schema::Schema;
use crate::shape::FieldShape;
use crate::tag::{folded, tag};

/// Up to how many are looked for one by one; more by a full listing.
pub(crate) const FEW_MAX: usize = 20;

/// Requests under way at a time.
const AT_ONCE: usize = 4;

/// Ids in one request: they go into its address.
const IDS_MAX: usize = 50;

/// Reads assets as records.
pub(crate) struct Reader<'a> {
    pub(crate) api: &'a Api,
    pub(crate) mapping: &'a Mapping,
    pub(crate) schema: &'a Schema,
    pub(crate) book: &'a Book,
}

/// Assets that were looked for one by one.
enum Looked {
    /// Those that were found.
    Found(Vec<Asset>),
    /// The list was not narrowed to what was asked for, or is too long to say.
    Unsure,
}

impl Reader<'_> {
    /// The text of a field.
    fn text(&self, asset: &Asset, field: &str) -> Option<String> {
        asset.value(self.schema.types.get(&asset.assettype_id?)?.field(field)?.id)
    }

    /// What an asset carries of ours.
    pub(crate) fn carried(&self, asset: &Asset) -> Carried {
        let estate = self.text(asset, ESTATE).map(EstateId);
        let key = self.text(asset, KEY).filter(|_| estate.is_some()).and_then(|text| text.parse().ok());
        Carried { key, estate }
    }

    /// What we noted on an asset; what cannot be read is nothing.
    pub(crate) fn note(&self, asset: &Asset) -> Note {
        self.text(asset, DATA).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Name of an asset's type, as the mapping spells it.
    pub(crate) fn class(&self, asset: &Asset) -> String {
        let shown = asset.assettype_id.and_then(|id| self.schema.types.get(&id)).map_or("", |own| own.name.as_str());
        let same = |class: &&str| folded(class) == folded(shown);
        self.mapping.classes().into_iter().find(same).unwrap_or(shown).to_owned()
    }

    /// An asset as a record.
    pub(crate) fn record(&self, asset: &Asset) -> FoundRecord {
        let class = self.class(asset);
        let Carried { key, estate } = self.carried(asset);
        let kind = self.note(asset).kind.filter(|_| estate.is_some()).or_else(|| self.mapping.sheet().kinds_of(&class).next());
        let text = |field: &str| self.text(asset, field);
        let mut fields = BTreeMap::new();
        for (name, field) in kind.into_iter().flat_map(|kind| self.mapping.sheet().fields(kind)) {
            let shown = match field.shape {
                FieldShape::Status => asset.status().map(str::to_owned),
                FieldShape::Text | FieldShape::Lines => text(name),
            };
            fields.extend(shown.and_then(|text| field.shape.shown(&text)).map(|value| (name.to_owned(), value)));
        }
        let subject = || {
            let account: Account = text(ACCOUNT_ID)?.parse().ok()?;
            let region: Region = text(REGION)?.parse().ok()?;
            Some(Subject { kind: kind?, account, region, native_id: text(NATIVE_ID)?, name: text(NAME) })
        };
        let is_ours = estate.is_some();
        FoundRecord {
            id: RecordId(asset.id.to_string()),
            class,
            external_id: key,
            estate,
            delivered_at: text(DELIVERED_AT).and_then(|text| text.parse::<Timestamp>().ok()).filter(|_| is_ours),
            retired: asset.is_inactive(),
            subject: if is_ours { subject() } else { None },
            fields,
            edges: None,
        }
    }

    /// All assets of the types that ours may have.
    pub(crate) async fn list(&self) -> Result<Arc<Listing>, TargetError> {
        let mut listing = Listing::new();
        for asset_type in self.schema.marked() {
            listing.extend(self.api.of_type(asset_type.id).await?.into_iter().map(|asset| (asset.id, asset)));
        }
        let listing = Arc::new(listing);
        self.book.listed(self.api.caller.clock(), Arc::clone(&listing));
        Ok(listing)
    }

    /// The same, as it is known.
    async fn listing(&self) -> Result<Arc<Listing>, TargetError> {
        match self.book.listing(self.api.caller.clock()) {
            Some(listing) => Ok(listing),
            None => self.list().await,
        }
    }

    /// Everything that carries an estate id.
    pub(crate) async fn all(&self) -> Result<Vec<FoundRecord>, TargetError> {
        let listing = self.list().await?;
        let mut records: Vec<(Id, FoundRecord)> = listing.iter().map(|(id, asset)| (*id, self.record(asset))).collect();
        records.retain(|(_, record)| record.estate.is_some());
        records.sort_unstable_by_key(|(id, _)| *id);
        Ok(records.into_iter().map(|(_, record)| record).collect())
    }

    /// The assets with these tags: one by one where they are few, else by a listing.
    pub(crate) async fn tagged(&self, tags: &HashSet<String>) -> Result<HashMap<String, Vec<Asset>>, TargetError> {
        let clock = self.api.caller.clock();
        let mut found: HashMap<String, Vec<Asset>> = HashMap::new();
        for tag in tags {
            found.extend(self.book.tagged(clock, tag).map(|assets| (tag.clone(), assets)));
        }
        let unknown: HashSet<String> = tags.iter().filter(|tag| !found.contains_key(*tag)).cloned().collect();
        let doubt = self.book.doubt(clock, &unknown);
        if let Some(early) = doubt {
            clock.sleep(early).await;
        }
        // After a lost answer nothing is to be listed that takes longer than the batch has time.
        let mut is_sure = unknown.len() <= FEW_MAX || doubt.is_some();
        if is_sure {
            let looks = unknown.into_iter().map(|tag| self.by_tag(tag));
            let looks: Vec<(String, Looked)> = futures::stream::iter(looks).buffer_unordered(AT_ONCE).try_collect().await?;
            for (tag, looked) in looks {
                match looked {
                    Looked::Found(assets) => drop(found.insert(tag, assets)),
                    Looked::Unsure => is_sure = false,
                }
            }
        }
        if !is_sure {
            let listing = if doubt.is_some() { self.list().await? } else { self.listing().await? };
            found.clear();
            let wanted: HashMap<String, &String> = tags.iter().map(|tag| (folded(tag), tag)).collect();
            for asset in listing.values() {
                if let Some(tag) = wanted.get(&folded(asset.tag())) {
                    found.entry((*tag).clone()).or_default().push(asset.clone());
                }
            }
        }
        self.book.looked_up(tags);
        Ok(found)
    }

    async fn by_tag(&self, tag: String) -> Result<(String, Looked), TargetError> {
        let (count, rows) = self.api.few(("inventory_number", &tag)).await?;
        let is_it = |asset: &Asset| folded(asset.tag()) == folded(&tag);
        // A parameter that is not known is ignored, and all that there is comes back.
        if count != rows.len() as u64 || !rows.iter().all(is_it) {
            return Ok((tag, Looked::Unsure));
        }
        let assets = self.whole(rows).await?;
        self.book.told(self.api.caller.clock(), &tag, &assets);
        Ok((tag, Looked::Found(assets)))
    }

    /// What may be a stranger's record of a native id: it is the tag, a key field, or what the product's own AWS integration knows it by.
    async fn by_native_id(&self, native_id: String) -> Result<Looked, TargetError> {
        let (count, rows) = self.api.few(("search", &native_id)).await?;
        if count != rows.len() as u64 {
            return Ok(Looked::Unsure);
        }
        let names = |asset: &Asset| {
            let texts = asset.key_fields().chain([asset.tag()]).chain(asset.aws_id());
            texts.into_iter().any(|text| folded(text) == folded(&native_id))
        };
        Ok(Looked::Found(self.whole(rows.into_iter().filter(names).collect()).await?))
    }

    /// Assets with their fields, which some lists leave out.
    async fn whole(&self, assets: Vec<Asset>) -> Result<Vec<Asset>, TargetError> {
        let mut whole = Vec::with_capacity(assets.len());
        for asset in assets {
            if asset.fields.is_some() {
                whole.push(asset);
            } else {
                whole.extend(self.api.asset(asset.id).await?);
            }
        }
        Ok(whole)
    }

    /// Records by external or native id.
    pub(crate) async fn find(&self, identities: &[Identity]) -> Result<BTreeMap<Key, Vec<FoundRecord>>, TargetError> {
        let tags: HashSet<String> = identities.iter().map(|identity| tag(&identity.key)).collect();
        let tagged = self.tagged(&tags).await?;
        let is_free = |tag: &String| tagged.get(tag).is_none_or(Vec::is_empty);
        self.book.absent(self.api.caller.clock(), tags.iter().filter(|tag| is_free(tag)).cloned());
        let mut assets: HashMap<Id, Asset> = tagged.into_values().flatten().map(|asset| (asset.id, asset)).collect();
        let natives: HashSet<String> =
            identities.iter().map(|identity| identity.native_id.clone()).filter(|id| !id.trim().is_empty()).collect();
        let mut is_sure = natives.len() <= FEW_MAX;
        if is_sure {
            let looks = natives.into_iter().map(|native_id| self.by_native_id(native_id));
            let looks: Vec<Looked> = futures::stream::iter(looks).buffer_unordered(AT_ONCE).try_collect().await?;
            for looked in looks {
                match looked {
                    Looked::Found(found) => assets.extend(found.into_iter().map(|asset| (asset.id, asset))),
                    Looked::Unsure => is_sure = false,
                }
            }
        }
        if !is_sure {
            assets.extend(self.listing().await?.iter().map(|(id, asset)| (*id, asset.clone())));
        }
        for id in identities.iter().filter_map(|identity| Id::of_record(&identity.record.as_ref()?.0)) {
            if !assets.contains_key(&id) {
                assets.extend(self.api.asset(id).await?.map(|asset| (id, asset)));
            }
        }
        Ok(self.sorted(identities, assets.into_values()))
    }

    /// Which assets stand for what.
    fn sorted(&self, identities: &[Identity], assets: impl Iterator<Item = Asset>) -> BTreeMap<Key, Vec<FoundRecord>> {
        let mut found: BTreeMap<Key, BTreeMap<Id, FoundRecord>> =
            identities.iter().map(|identity| (identity.key.clone(), BTreeMap::new())).collect();
        let mut by_native: HashMap<String, Vec<&Identity>> = HashMap::new();
        let mut by_record: HashMap<Id, Vec<&Identity>> = HashMap::new();
        for identity in identities {
            by_native.entry(folded(&identity.native_id)).or_default().push(identity);
            if let Some(id) = identity.record.as_ref().and_then(|record| Id::of_record(&record.0)) {
                by_record.entry(id).or_default().push(identity);
            }
        }
        for asset in assets {
            let Carried { key, estate } = self.carried(&asset);
            let meant: BTreeSet<Key> = if estate.is_some() {
                key.into_iter().collect()
            } else {
                let named = self.native_ids(&asset);
                let strangers = named.iter().flat_map(|native_id| {
                    let of = by_native.get(&folded(native_id)).into_iter().flatten();
                    of.filter(|identity| self.is_strangers(identity, native_id, &asset)).map(|identity| identity.key.clone())
                });
                let referred = by_record.get(&asset.id).into_iter().flatten().map(|identity| identity.key.clone());
                strangers.chain(referred).collect()
            };
            for key in meant {
                if let Some(records) = found.get_mut(&key) {
                    records.insert(asset.id, self.record(&asset));
                }
            }
        }
        found.into_iter().map(|(key, records)| (key, records.into_values().collect())).collect()
    }

    /// What a stranger's asset may name a native id by.
    fn native_ids(&self, asset: &Asset) -> BTreeSet<String> {
        let texts = [self.text(asset, NATIVE_ID), Some(asset.tag().to_owned()), asset.aws_id().map(str::to_owned)];
        texts.into_iter().flatten().filter(|text| !text.trim().is_empty()).collect()
    }

    /// Whether a stranger's asset stands for this, and says nothing else. What type it has speaks of its kind only where it is one of ours.
    fn is_strangers(&self, identity: &Identity, native_id: &str, asset: &Asset) -> bool {
        let (account, region) = (self.text(asset, ACCOUNT_ID), self.text(asset, REGION));
        let kinds: Vec<Kind> = self.mapping.sheet().kinds_of(&self.class(asset)).collect();
        says_the_same(identity, native_id, account.as_deref(), region.as_deref()) && (kinds.is_empty() || kinds.contains(&identity.kind))
    }

    /// Assets as they are now, with the types that they most likely have. Those that are not there are left out.
    pub(crate) async fn by_ids(&self, ids: &BTreeMap<Id, Option<Id>>) -> Result<HashMap<Id, Asset>, TargetError> {
        let clock = self.api.caller.clock();
        let mut found: HashMap<Id, Asset> = ids.keys().filter_map(|id| Some((*id, self.book.asset(clock, *id)?))).collect();
        let mut by_type: BTreeMap<Id, Vec<Id>> = BTreeMap::new();
        for (id, asset_type) in ids {
            if let Some(asset_type) = asset_type.filter(|_| !found.contains_key(id)) {
                by_type.entry(asset_type).or_default().push(*id);
            }
        }
        for (asset_type, ids) in by_type {
            // One by itself is read whole by one request in any case.
            for chunk in ids.chunks(IDS_MAX).filter(|chunk| chunk.len() > 1) {
                let chunk: BTreeSet<Id> = chunk.iter().copied().collect();
                let assets = self.api.by_ids(asset_type, &chunk).await?.unwrap_or_default();
                self.book.read(clock, &assets);
                found.extend(assets.into_iter().map(|asset| (asset.id, asset)));
            }
        }
        let missing = ids.keys().filter(|id| !found.contains_key(id)).copied().collect::<Vec<_>>();
        found.extend(self.each(missing).await?);
        Ok(found)
    }

    /// Assets read one by one, with what they are above.
    pub(crate) async fn each(&self, ids: impl IntoIterator<Item = Id>) -> Result<HashMap<Id, Asset>, TargetError> {
        let reads = ids.into_iter().map(|id| self.one(id));
        let read: Vec<Option<Asset>> = futures::stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(read.into_iter().flatten().map(|asset| (asset.id, asset)).collect())
    }

    async fn one(&self, id: Id) -> Result<Option<Asset>, TargetError> {
        let clock = self.api.caller.clock();
        if let Some(asset) = self.book.asset(clock, id).filter(Asset::shows_children) {
            return Ok(Some(asset));
        }
        let asset = self.api.asset(id).await?;
        self.book.read(clock, &asset);
        Ok(asset)
    }
}

/// A value as the text that a field takes; `None` empties it.
pub(crate) fn written(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
