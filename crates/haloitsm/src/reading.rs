//! From assets to records.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use dewpoint_core::estate::EstateId;
use dewpoint_core::model::{Account, Key, Kind, Region};
use dewpoint_core::target::{FoundEdges, FoundRecord, Identity, RecordId, Side, Subject, TargetError};
use dewpoint_target_kit::{Carried, says_the_same};
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde_json::Value;

use crate::api::Api;
use crate::asset::{Asset, Id, Note, Noted};
use crate::book::{Book, Listing};
use crate::mapping::{ACCOUNT_ID, DATA, DELIVERED_AT, ESTATE, KEY, Mapping, NAME, NATIVE_ID, REGION};
use crate::resolver::Resolver;
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
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) api: &'a Api,
    pub(crate) mapping: &'a Mapping,
    pub(crate) schema: &'a Schema,
    pub(crate) book: &'a Book,
    pub(crate) resolver: &'a Resolver,
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

    /// What we noted on an asset.
    pub(crate) fn noted(&self, asset: &Asset) -> Noted {
        match self.text(asset, DATA) {
            None => Noted::Nothing,
            Some(text) => serde_json::from_str(&text).map_or(Noted::Unreadable, Noted::Read),
        }
    }

    /// The tags that the one asset of a key may have: that of the key, and one of people's that was kept when the asset was taken over.
    fn tags(&self, asset: &Asset, key: &Key) -> HashSet<String> {
        let kept = self.noted(asset).note().and_then(|note| note.tag);
        kept.into_iter().chain([tag(key)]).collect()
    }

    /// Whether an asset has the tag of the key that it carries, or the one that was kept.
    pub(crate) fn is_tagged(&self, asset: &Asset, key: &Key) -> bool {
        self.tags(asset, key).iter().any(|tag| folded(asset.tag()) == folded(tag))
    }

    /// Of assets that carry the same key of the same estate, the one that stands for it: people copy assets with all that stands on them. It is the one with the
    /// tag of that key, and the oldest of several.
    pub(crate) fn originals<'a>(&self, assets: impl IntoIterator<Item = &'a Asset>) -> HashMap<(EstateId, Key), Id> {
        let mut best: HashMap<(EstateId, Key), (bool, Id)> = HashMap::new();
        for asset in assets {
            let Carried { key: Some(key), estate: Some(estate) } = self.carried(asset) else { continue };
            let rank = (!self.is_tagged(asset, &key), asset.id);
            best.entry((estate, key)).and_modify(|found| *found = rank.min(*found)).or_insert(rank);
        }
        best.into_iter().map(|(of, (_, id))| (of, id)).collect()
    }

    /// Of assets those that are copies, with what they are copies of: another one has a tag that goes with the key that both carry, and this one has not.
    pub(crate) async fn copies<'a>(&self, assets: impl Iterator<Item = &'a Asset>) -> Result<BTreeMap<Id, Id>, TargetError> {
        let untagged = |asset: &'a Asset| Some((asset, self.carried(asset).key.filter(|key| !self.is_tagged(asset, key))?));
        let untagged: Vec<(&Asset, Key)> = assets.filter_map(untagged).collect();
        let tags: HashSet<String> = untagged.iter().flat_map(|(asset, key)| self.tags(asset, key)).collect();
        if tags.is_empty() {
            return Ok(BTreeMap::new());
        }
        let found = self.tagged(&tags).await?;
        let original = |asset: &Asset, key: &Key| {
            let carried = self.carried(asset);
            let others = self.tags(asset, key).into_iter().filter_map(|tag| found.get(&tag)).flatten();
            let is_it = |other: &&Asset| other.id != asset.id && self.carried(other) == carried && self.is_tagged(other, key);
            others.filter(is_it).map(|other| other.id).min()
        };
        Ok(untagged.iter().filter_map(|(asset, key)| Some((asset.id, original(asset, key)?))).collect())
    }

    /// Name of an asset's type, as the mapping spells it.
    pub(crate) fn class(&self, asset: &Asset) -> String {
        let shown = asset.assettype_id.and_then(|id| self.schema.types.get(&id)).map_or("", |own| own.name.as_str());
        let same = |class: &&str| folded(class) == folded(shown);
        self.mapping.classes().into_iter().find(same).unwrap_or(shown).to_owned()
    }

    /// An asset as a record. `is_original` is false of one that is only a copy of one of ours; `stands_for` is the kind of what it was looked for as.
    pub(crate) fn record(&self, asset: &Asset, is_original: bool, stands_for: Option<Kind>) -> FoundRecord {
        let class = self.class(asset);
        let Carried { key, estate } = if is_original { self.carried(asset) } else { Carried::default() };
        let is_ours = estate.is_some();
        let noted = match self.noted(asset) {
            Noted::Read(note) => note.kind.filter(|_| is_ours),
            Noted::Nothing | Noted::Unreadable => None,
        };
        // A type may be that of several kinds: where nothing tells of which this is one, all that they have is shown.
        let kinds: Vec<Kind> = match noted.or(stands_for) {
            Some(kind) => vec![kind],
            None => self.mapping.kinds_of(&class),
        };
        let kind = kinds.first().copied().filter(|_| kinds.len() == 1);
        let text = |field: &str| self.text(asset, field);
        let mut fields = BTreeMap::new();
        for (name, field) in kinds.iter().flat_map(|kind| self.mapping.sheet().fields(*kind)) {
            let shown = match field.shape {
                FieldShape::Status => asset.status().map(str::to_owned),
                FieldShape::TechnicalOwner | FieldShape::BusinessOwner => {
                    field.shape.owner().and_then(|owner| asset.owner(owner)).map(|id| id.to_string())
                }
                FieldShape::Text | FieldShape::Lines => text(name),
            };
            fields.extend(shown.and_then(|text| field.shape.shown(&text)).map(|value| (name.to_owned(), value)));
        }
        let subject = || {
            let account: Account = text(ACCOUNT_ID)?.parse().ok()?;
            let region: Region = text(REGION)?.parse().ok()?;
            Some(Subject { kind: kind?, account, region, native_id: text(NATIVE_ID)?, name: text(NAME) })
        };
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
        let mut listing = Listing::default();
        for asset_type in self.schema.marked() {
            match self.api.of_type(asset_type.id).await {
                Ok(assets) => listing.assets.extend(assets.into_iter().map(|asset| (asset.id, asset))),
                Err(error @ TargetError::Forbidden { .. }) => drop(listing.refused.insert(asset_type.id, error)),
                Err(error) => return Err(error),
            }
        }
        Ok(Arc::new(listing))
    }

    /// The same for the batch in hand: sent again, it goes on with the type that it had not come to.
    async fn list_for_batch(&self) -> Result<Arc<Listing>, TargetError> {
        let clock = self.api.caller.clock();
        let mut listing = Listing::default();
        for asset_type in self.schema.marked() {
            let assets = match self.book.of_type(clock, asset_type.id) {
                Some(assets) => assets,
                None => {
                    let assets = self.api.of_type(asset_type.id).await;
                    if matches!(assets, Ok(_) | Err(TargetError::Forbidden { .. })) {
                        self.book.listed_type(clock, asset_type.id, assets.clone());
                    }
                    assets
                }
            };
            match assets {
                Ok(assets) => listing.assets.extend(assets.into_iter().map(|asset| (asset.id, asset))),
                Err(error @ TargetError::Forbidden { .. }) => drop(listing.refused.insert(asset_type.id, error)),
                Err(error) => return Err(error),
            }
        }
        Ok(Arc::new(listing))
    }

    /// The same, as it is known.
    async fn listing(&self) -> Result<Arc<Listing>, TargetError> {
        match self.book.listing(self.api.caller.clock()) {
            Some(listing) => Ok(listing),
            None => self.list_anew().await,
        }
    }

    /// A full listing, which is kept for a while.
    async fn list_anew(&self) -> Result<Arc<Listing>, TargetError> {
        let listing = self.list().await?;
        self.book.listed(self.api.caller.clock(), Arc::clone(&listing));
        Ok(listing)
    }

    /// Everything that carries an estate id. What some types hide is an error: what they hold is not gone.
    pub(crate) async fn all(&self) -> Result<Vec<FoundRecord>, TargetError> {
        if let Some(error) = self.schema.flaws.values().next() {
            return Err(error.clone());
        }
        let listing = self.list_anew().await?;
        if let Some(error) = listing.refused.values().next() {
            return Err(error.clone());
        }
        let originals: HashSet<Id> = self.originals(listing.assets.values()).into_values().collect();
        let is_copy = |asset: &Asset| self.carried(asset).key.is_some() && !originals.contains(&asset.id);
        let mut assets: Vec<&Asset> = listing.assets.values().filter(|asset| !is_copy(asset)).collect();
        assets.sort_unstable_by_key(|asset| asset.id);
        let ours = assets.into_iter().map(|asset| (asset, self.record(asset, true, None))).filter(|(_, record)| record.estate.is_some());
        let (assets, mut records): (Vec<&Asset>, Vec<FoundRecord>) = ours.unzip();
        self.put_noted_edges(&assets, &mut records);
        Ok(records)
    }

    /// Puts in the edges that assets note. Lists tell no relationships: an edge whose relationship people removed is among these.
    fn put_noted_edges(&self, assets: &[&Asset], records: &mut [FoundRecord]) {
        let places: HashMap<Id, usize> = assets.iter().enumerate().map(|(place, asset)| (asset.id, place)).collect();
        let keys: Vec<Option<Key>> = records.iter().map(|record| record.external_id.clone()).collect();
        let key_at = |place: usize| keys.get(place).cloned().flatten();
        let notes: Vec<Option<Note>> = assets.iter().map(|asset| self.noted(asset).note()).collect();
        for (record, note) in records.iter_mut().zip(&notes) {
            record.edges = note.is_some().then(FoundEdges::new);
        }
        for (child, note) in notes.iter().enumerate() {
            for (relation, parents) in note.iter().flat_map(|note| &note.parents) {
                let Some(edge) = self.mapping.edges().iter().find(|edge| edge.relation.as_str() == relation) else { continue };
                for parent in parents.iter().filter_map(|parent| places.get(parent).copied()) {
                    let (from, to) = if edge.upstream == Side::From { (parent, child) } else { (child, parent) };
                    let edges = records.get_mut(from).and_then(|record| record.edges.as_mut());
                    if let (Some(edges), Some(to)) = (edges, key_at(to)) {
                        edges.insert((edge.relation, to), None);
                    }
                }
            }
        }
    }

    /// The assets with these tags as they are now.
    pub(crate) async fn tagged(&self, tags: &HashSet<String>) -> Result<HashMap<String, Vec<Asset>>, TargetError> {
        self.tagged_in(tags, false).await
    }

    /// The assets with these tags: one by one where they are few, else by a listing, which may be one of a while ago.
    async fn tagged_in(&self, tags: &HashSet<String>, may_be_known: bool) -> Result<HashMap<String, Vec<Asset>>, TargetError> {
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
        let has_unknown = !unknown.is_empty();
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
        let is_missing = || tags.iter().any(|tag| found.get(tag).is_none_or(Vec::is_empty));
        if is_sure && has_unknown && is_missing() {
            is_sure = found.values().any(|assets| !assets.is_empty()) || self.proves_searches().await?;
        }
        if !is_sure {
            let listing = if may_be_known && doubt.is_none() { self.listing().await? } else { self.list_for_batch().await? };
            found.clear();
            let wanted: HashMap<String, &String> = tags.iter().map(|tag| (folded(tag), tag)).collect();
            for asset in listing.assets.values() {
                // Where a tenant does not keep tags, the key tells.
                let own = self.carried(asset).key.map(|key| folded(&crate::tag::tag(&key)));
                let named = [Some(folded(asset.tag())), own].into_iter().flatten().find_map(|tag| wanted.get(&tag));
                if let Some(tag) = named {
                    found.entry((*tag).clone()).or_default().push(asset.clone());
                }
            }
            // Of types that are not listed nothing is known but what a search by tag finds.
            if let Some(error) = listing.refused.values().next() {
                for tag in tags.iter().filter(|tag| !found.contains_key(*tag)).cloned().collect::<Vec<_>>() {
                    match self.by_tag(tag).await? {
                        (tag, Looked::Found(assets)) => drop(found.insert(tag, assets)),
                        (_, Looked::Unsure) => return Err(error.clone()),
                    }
                }
            }
        }
        if is_sure {
            for tag in tags {
                self.book.told(clock, tag, found.get(tag).map_or(&[], Vec::as_slice));
            }
        }
        self.book.looked_up(tags);
        Ok(found)
    }

    /// Whether what a search by tag does not find is not there: it has to find an asset of ours that is known to stand there. Tenants may keep no tags that they are
    /// sent, or look for something else than was meant.
    async fn proves_searches(&self) -> Result<bool, TargetError> {
        let clock = self.api.caller.clock();
        if self.book.is_proven(clock) {
            return Ok(true);
        }
        for own in self.schema.marked().filter(|own| !self.book.is_barren(clock, own.id)) {
            let id = own.id.to_string();
            let page = match self.api.few(("assettype_id", &id)).await {
                Err(TargetError::Forbidden { .. }) => continue,
                page => page?,
            };
            let ours = page.rows.iter().find(|asset| self.carried(asset).key.is_some_and(|key| folded(asset.tag()) == folded(&tag(&key))));
            if let Some(ours) = ours {
                let (_, looked) = self.by_tag(ours.tag().to_owned()).await?;
                let has_it = |looked: Looked| matches!(looked, Looked::Found(assets) if assets.iter().any(|asset| asset.id == ours.id));
                let is_found = match self.text(ours, NATIVE_ID).filter(|_| has_it(looked)) {
                    Some(native_id) => has_it(self.by_native_id(native_id).await?),
                    None => false,
                };
                if is_found {
                    self.book.prove(clock);
                }
                return Ok(is_found);
            }
            self.book.found_barren(clock, own.id);
        }
        Ok(false)
    }

    async fn by_tag(&self, tag: String) -> Result<(String, Looked), TargetError> {
        let clock = self.api.caller.clock();
        if self.book.is_unseen(clock, &tag) {
            return Ok((tag, Looked::Found(Vec::new())));
        }
        let page = self.api.few(("inventory_number", &tag)).await?;
        let is_it = |asset: &Asset| folded(asset.tag()) == folded(&tag);
        // A parameter that is not known is ignored, and all that there is comes back.
        if !page.is_all() || !page.rows.iter().all(is_it) {
            return Ok((tag, Looked::Unsure));
        }
        let assets = self.whole(page.rows).await?;
        // That there is none is not known before a search was proven.
        if assets.is_empty() {
            self.book.saw_nothing(clock, &tag);
        } else {
            self.book.told(clock, &tag, &assets);
        }
        Ok((tag, Looked::Found(assets)))
    }

    /// What may be a stranger's record of a native id: it is the tag, a key field, or what the product's own AWS integration knows it by.
    async fn by_native_id(&self, native_id: String) -> Result<Looked, TargetError> {
        let page = self.api.few(("search", &native_id)).await?;
        if !page.is_all() {
            return Ok(Looked::Unsure);
        }
        let names = |asset: &Asset| {
            let texts = asset.key_fields().chain([asset.tag()]).chain(asset.aws_id());
            texts.into_iter().any(|text| folded(text) == folded(&native_id))
        };
        Ok(Looked::Found(self.whole(page.rows.into_iter().filter(names).collect()).await?))
    }

    /// The assets of these few keys that have other tags, as those have that were taken over, by their native ids.
    pub(crate) async fn otherwise_tagged(&self, keys: &BTreeMap<&Key, &str>) -> Result<Vec<Asset>, TargetError> {
        let mut found = Vec::new();
        let mut is_sure = self.schema.marked().all(|own| own.is_searched(NATIVE_ID));
        if is_sure {
            for native_id in keys.values() {
                match self.by_native_id((*native_id).to_owned()).await? {
                    Looked::Found(assets) if assets.is_empty() => is_sure = is_sure && self.proves_searches().await?,
                    Looked::Found(assets) => found.extend(assets),
                    Looked::Unsure => is_sure = false,
                }
            }
        }
        if !is_sure {
            found = self.list_for_batch().await?.assets.values().cloned().collect();
        }
        found.retain(|asset| self.carried(asset).key.is_some_and(|key| keys.contains_key(&key)));
        Ok(found)
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

    /// Records by external or native id, or why nothing can be said of one.
    pub(crate) async fn find(&self, identities: &[Identity]) -> Result<BTreeMap<Key, Result<Vec<FoundRecord>, TargetError>>, TargetError> {
        let flaw = |identity: &Identity| self.schema.flaw(self.mapping.sheet().class(identity.kind)?).cloned();
        let mut answers: BTreeMap<Key, Result<Vec<FoundRecord>, TargetError>> =
            identities.iter().filter_map(|identity| Some((identity.key.clone(), Err(flaw(identity)?)))).collect();
        let identities: Vec<&Identity> = identities.iter().filter(|identity| !answers.contains_key(&identity.key)).collect();
        let tags: HashSet<String> = identities.iter().map(|identity| tag(&identity.key)).collect();
        let tagged = self.tagged_in(&tags, true).await?;
        let mut free: HashSet<String> = tags.into_iter().filter(|tag| tagged.get(tag).is_none_or(Vec::is_empty)).collect();
        let mut assets: HashMap<Id, Asset> = tagged.into_values().flatten().map(|asset| (asset.id, asset)).collect();
        let natives: HashSet<String> =
            identities.iter().map(|identity| identity.native_id.clone()).filter(|id| !id.trim().is_empty()).collect();
        let mut is_sure = natives.len() <= FEW_MAX;
        if is_sure {
            // In a type of people's the native id may be no key field, and searches go through key fields alone.
            is_sure = self.schema.marked().all(|own| own.is_searched(NATIVE_ID));
            let looks = natives.into_iter().map(|native_id| self.by_native_id(native_id));
            let looks: Vec<Looked> = futures::stream::iter(looks).buffer_unordered(AT_ONCE).try_collect().await?;
            for looked in looks {
                match looked {
                    Looked::Found(found) if found.is_empty() => is_sure = is_sure && self.proves_searches().await?,
                    Looked::Found(found) => assets.extend(found.into_iter().map(|asset| (asset.id, asset))),
                    Looked::Unsure => is_sure = false,
                }
            }
        }
        let mut refused = BTreeMap::new();
        if !is_sure {
            let listing = self.listing().await?;
            refused.clone_from(&listing.refused);
            assets.extend(listing.assets.iter().map(|(id, asset)| (*id, asset.clone())));
        }
        for id in identities.iter().filter_map(|identity| Id::of_record(&identity.record.as_ref()?.0)) {
            if !assets.contains_key(&id) {
                assets.extend(self.api.asset(id).await?.map(|asset| (id, asset)));
            }
        }
        // One that was taken over may have another tag.
        for key in assets.values().filter_map(|asset| self.carried(asset).key) {
            free.remove(&tag(&key));
        }
        self.book.absent(self.api.caller.clock(), free);
        let refusal = |kind: Kind| refused.get(&self.schema.type_named(self.mapping.sheet().class(kind)?)?.id).cloned();
        let refusals: BTreeMap<Key, TargetError> =
            identities.iter().filter_map(|identity| Some((identity.key.clone(), refusal(identity.kind)?))).collect();
        for (key, records) in self.sorted(&identities, assets.into_values().collect()) {
            let answer = refusals.get(&key).map_or(Ok(records), |error| Err(error.clone()));
            answers.insert(key, answer);
        }
        Ok(answers)
    }

    /// Which assets stand for what.
    fn sorted(&self, identities: &[&Identity], assets: Vec<Asset>) -> BTreeMap<Key, Vec<FoundRecord>> {
        let mut found: BTreeMap<Key, BTreeMap<Id, FoundRecord>> =
            identities.iter().map(|identity| (identity.key.clone(), BTreeMap::new())).collect();
        let mut by_native: HashMap<String, Vec<&Identity>> = HashMap::new();
        let mut by_record: HashMap<Id, Vec<&Identity>> = HashMap::new();
        let by_key: HashMap<&Key, Kind> = identities.iter().map(|identity| (&identity.key, identity.kind)).collect();
        for identity in identities {
            by_native.entry(folded(&identity.native_id)).or_default().push(identity);
            if let Some(id) = identity.record.as_ref().and_then(|record| Id::of_record(&record.0)) {
                by_record.entry(id).or_default().push(identity);
            }
        }
        let originals: HashSet<Id> = self.originals(&assets).into_values().collect();
        for asset in assets {
            let Carried { key, estate } = self.carried(&asset);
            let is_original = key.is_none() || originals.contains(&asset.id);
            let meant: BTreeMap<&Key, Kind> = if estate.is_some() && is_original {
                key.as_ref().and_then(|key| by_key.get_key_value(key)).map(|(key, kind)| (*key, *kind)).into_iter().collect()
            } else {
                let named = self.native_ids(&asset);
                let strangers = named.iter().flat_map(|native_id| {
                    let of = by_native.get(&folded(native_id)).into_iter().flatten();
                    of.filter(|identity| self.is_strangers(identity, native_id, &asset))
                });
                let referred = by_record.get(&asset.id).into_iter().flatten();
                strangers.chain(referred).map(|identity| (&identity.key, identity.kind)).collect()
            };
            for (key, kind) in meant {
                if let Some(records) = found.get_mut(key) {
                    records.insert(asset.id, self.record(&asset, is_original, Some(kind)));
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
        let kinds = self.mapping.kinds_of(&self.class(asset));
        says_the_same(identity, native_id, account.as_deref(), region.as_deref()) && (kinds.is_empty() || kinds.contains(&identity.kind))
    }

    /// Assets as they are now, with the types that they most likely have. Those that are not there are left out; of those that may not be read the answer says why.
    pub(crate) async fn by_ids(
        &self,
        ids: &BTreeMap<Id, Option<Id>>,
    ) -> Result<(HashMap<Id, Asset>, BTreeMap<Id, TargetError>), TargetError> {
        let (mut found, mut refused) = (HashMap::new(), BTreeMap::new());
        let mut by_type: BTreeMap<Id, Vec<Id>> = BTreeMap::new();
        for (id, asset_type) in ids {
            if let Some(asset_type) = asset_type {
                by_type.entry(*asset_type).or_default().push(*id);
            }
        }
        for (asset_type, ids) in by_type {
            // One by itself is read whole by one request in any case.
            for chunk in ids.chunks(IDS_MAX).filter(|chunk| chunk.len() > 1) {
                let chunk: BTreeSet<Id> = chunk.iter().copied().collect();
                match self.api.by_ids(asset_type, &chunk).await {
                    Ok(Some(assets)) => found.extend(assets.into_iter().map(|asset| (asset.id, asset))),
                    Ok(None) => self.book.ignores_ids(),
                    Err(error @ TargetError::Forbidden { .. }) => refused.extend(chunk.into_iter().map(|id| (id, error.clone()))),
                    Err(error) => return Err(error),
                }
            }
        }
        let missing: Vec<Id> = ids.keys().filter(|id| !found.contains_key(id) && !refused.contains_key(id)).copied().collect();
        let (rest, more_refused) = at_once(missing.into_iter().map(async |id| (id, self.api.asset(id).await))).await?;
        found.extend(rest);
        refused.extend(more_refused);
        Ok((found, refused))
    }

    /// Assets read one by one, with what they are above and below, and why some may not be read.
    pub(crate) async fn each(
        &self,
        ids: impl IntoIterator<Item = Id>,
    ) -> Result<(HashMap<Id, Asset>, BTreeMap<Id, TargetError>), TargetError> {
        at_once(ids.into_iter().map(async |id| (id, self.one(id).await))).await
    }

    async fn one(&self, id: Id) -> Result<Option<Asset>, TargetError> {
        let clock = self.api.caller.clock();
        if let Some(asset) = self.book.asset(clock, id) {
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

/// Reads assets, several at a time: those that are there, and why some may not be read.
async fn at_once(
    reads: impl Iterator<Item = impl Future<Output = (Id, Result<Option<Asset>, TargetError>)>>,
) -> Result<(HashMap<Id, Asset>, BTreeMap<Id, TargetError>), TargetError> {
    let mut reads = futures::stream::iter(reads).buffer_unordered(AT_ONCE);
    let (mut found, mut refused) = (HashMap::new(), BTreeMap::new());
    while let Some((id, read)) = reads.next().await {
        match read {
            Ok(asset) => found.extend(asset.map(|asset| (id, asset))),
            Err(error @ TargetError::Forbidden { .. }) => drop(refused.insert(id, error)),
            Err(error) => return Err(error),
        }
    }
    Ok((found, refused))
}
