//! Writes to assets.
//!
//! Each asset that changes is one element of one array that is posted: its fields, its mark as retired, and the assets that it comes below or is taken from below. An
//! array that is refused as a whole is the caller's to halve.

mod draft;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use dewpoint_core::model::{EdgeId, Key, Kind};
use dewpoint_core::target::{Addressed, Authority, Delivered, End, Operation, RecordId, Retry, Sending, Side, TargetError, Write};
use dewpoint_target_kit::{Carried, Sightings, check};
use serde_json::Value;

use crate::api::{FRESH, Links, PostFailure};
use crate::asset::{Asset, Id, Note, Noted, Way};
use crate::mapping::{EdgeMapping, STATUS};
use crate::reading::{FEW_MAX, Reader};
use crate::resolver::Owner;
use crate::tag::{folded, tag};

use draft::{Draft, On};

/// What is sent besides reads of a part of a batch: its own request, and what that may need first.
const OTHER_REQUESTS: usize = 2;

/// How relationships are called among what was left as it was.
const RELATIONSHIPS: &str = "relationships";

/// Writes on their way.
pub(crate) struct Sender<'a> {
    pub(crate) reader: Reader<'a>,
    pub(crate) writes: &'a [Write],
    /// When the resources behind records were seen of which only that is noted.
    pub(crate) sightings: &'a Sightings,
    pub(crate) sending: &'a Sending<'a>,
    /// Most elements of a request.
    pub(crate) size: usize,
    /// Fields whose authority is not the mapping's.
    pub(crate) authority: &'a BTreeMap<String, Authority>,
}

impl Sender<'_> {
    /// Sends all writes, and gives one answer to each. What is done of a batch that fails is remembered: sent again, it goes on where it left off.
    pub(crate) async fn send(&self) -> Result<Vec<Answer>, TargetError> {
        let (book, at) = (self.reader.book, self.sending.at);
        let mut answers: Vec<Option<Answer>> = self.writes.iter().map(|write| book.answer(at, write).map(Ok)).collect();
        let pending: Vec<usize> = answers.iter().enumerate().filter(|(_, answer)| answer.is_none()).map(|(number, _)| number).collect();
        for part in self.parts(&pending) {
            let writes: Vec<&Write> = part.iter().filter_map(|number| self.writes.get(*number)).collect();
            let Self { reader, sightings, sending, size, authority, .. } = *self;
            let batch = Batch { reader, writes, sightings, sending, size, authority };
            let given = match batch.send().await {
                Ok(given) => given,
                // What is done is told, and what is left is not tried in vain.
                Err(error) if is_final(&error) && answers.iter().any(Option::is_some) => {
                    // Somebody else may wait for what was not begun with; this part is what it failed for.
                    let is_busy = matches!(error, TargetError::Busy { .. });
                    for (number, slot) in answers.iter_mut().enumerate().filter(|(_, slot)| slot.is_none()) {
                        let done = self.writes.get(number).and_then(|write| book.answer(at, write));
                        if done.is_some() || is_busy || part.contains(&number) {
                            *slot = Some(done.ok_or_else(|| error.clone()));
                        }
                    }
                    break;
                }
                Err(error) => return Err(error),
            };
            for (number, answer) in part.into_iter().zip(given) {
                if let Some(slot) = answers.get_mut(number) {
                    *slot = Some(answer);
                }
            }
        }
        book.done();
        let target = self.reader.api.caller.target();
        let left_out = || Err(TargetError::Abandoned { target: target.clone(), text: "a part of the batch before it failed".to_owned() });
        Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(left_out)).collect())
    }

    /// Whether the asset that a write changes is read by itself, however the tenant lists assets: what it is above or below is shown in no other way.
    fn is_read_by_itself(&self, write: &Write) -> bool {
        let is_young = |record: &RecordId| {
            let clock = self.reader.api.caller.clock();
            Id::of_record(&record.0).is_some_and(|id| self.reader.book.is_young(clock, id))
        };
        match &write.operation {
            Operation::Update { retired, .. } => *retired == Some(true),
            // Nobody related what was made a moment ago.
            Operation::Relate { .. } => ends(write).is_some_and(|(from, to)| !is_young(&from.record) && !is_young(&to.record)),
            Operation::Create { .. } | Operation::Purge { .. } | Operation::Unrelate { .. } => false,
        }
    }

    /// Parts that need no more requests than there is time for: what cannot end within a lease would be begun for ever.
    fn parts(&self, pending: &[usize]) -> Vec<Vec<usize>> {
        let most = self.reader.api.requests.saturating_sub(OTHER_REQUESTS).max(1);
        let most_assets = if self.reader.book.reads_singly() { most.min(self.size) } else { self.size }.max(1);
        let mut parts: Vec<Vec<usize>> = Vec::new();
        let (mut assets, mut kinds, mut singles) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for number in pending {
            let Some(write) = self.writes.get(*number) else { continue };
            let held = match &write.operation {
                Operation::Create { .. } => None,
                Operation::Update { record, .. } | Operation::Purge { record } => Some((&record.record, write.kind)),
                Operation::Relate { edge, to_kind, .. } | Operation::Unrelate { edge, to_kind, .. } => {
                    let mapped = self.reader.mapping.edge(edge.relation, write.kind, *to_kind);
                    let is_to = mapped.is_some_and(|mapped| mapped.upstream == Side::From);
                    ends(write).map(|(from, to)| if is_to { (&to.record, *to_kind) } else { (&from.record, write.kind) })
                }
            };
            let single = held.filter(|_| self.is_read_by_itself(write)).map(|(asset, _)| asset);
            let is_more = held.is_some_and(|(asset, kind)| {
                (assets.len() >= most_assets && !assets.contains(asset)) || (kinds.len() >= most && !kinds.contains(&kind))
            });
            let is_more = is_more || single.is_some_and(|asset| singles.len() >= most && !singles.contains(asset));
            if is_more || parts.is_empty() {
                parts.push(Vec::new());
                assets.clear();
                kinds.clear();
                singles.clear();
            }
            singles.extend(single);
            assets.extend(held.map(|(asset, _)| asset));
            kinds.extend(held.map(|(_, kind)| kind));
            if let Some(part) = parts.last_mut() {
                part.push(*number);
            }
        }
        parts
    }
}

/// Whether there is no sense in going on with other parts of a batch now.
fn is_final(error: &TargetError) -> bool {
    error.retry() == Retry::Never || matches!(error, TargetError::Busy { .. })
}

/// A part of a batch on its way.
struct Batch<'a> {
    reader: Reader<'a>,
    writes: Vec<&'a Write>,
    sightings: &'a Sightings,
    sending: &'a Sending<'a>,
    size: usize,
    authority: &'a BTreeMap<String, Authority>,
}

/// What became of a write.
pub(crate) type Answer = Result<Delivered, TargetError>;

/// What is known when a batch is sent.
#[derive(Default)]
struct Ground {
    /// Assets as they are, of which the whole has to be known.
    assets: HashMap<Id, Asset>,
    /// When they were read for this, by the clock's `elapsed`.
    read_at: HashMap<Id, Duration>,
    /// What records carry that writes speak of. What is not in it is not there.
    carried: HashMap<Id, Carried>,
    /// Assets that may not be read.
    refused: BTreeMap<Id, TargetError>,
    /// Assets that are but copies of others.
    copies: BTreeMap<Id, Id>,
    /// What assets are above that are being retired, with the types of these.
    below: HashMap<Id, BTreeMap<Id, Option<Id>>>,
    /// What assets are below, of those of which that matters.
    above: HashMap<Id, BTreeSet<Id>>,
    /// Assets of ours that creates found made.
    made: HashMap<Key, Id>,
    /// Why creates cannot be done.
    taken: HashMap<Key, String>,
}

impl Ground {
    fn put(&mut self, assets: impl IntoIterator<Item = (Id, Asset)>, now: Option<Duration>) {
        for (id, asset) in assets {
            self.assets.insert(id, asset);
            match now {
                Some(now) => drop(self.read_at.insert(id, now)),
                None => drop(self.read_at.remove(&id)),
            }
        }
    }

    /// Whether an asset is anybody's of Dewpoint.
    fn is_marked(&self, id: Id) -> bool {
        self.carried.get(&id).is_some_and(|carried| carried.estate.is_some())
    }

    /// Which asset's note holds a relationship, and what it is to that: the child's, or, where that is a stranger's, the parent's.
    fn holder(&self, parent: Id, child: Id) -> (Id, Way, Id) {
        if !self.is_marked(child) && self.is_marked(parent) { (parent, Way::Above, child) } else { (child, Way::Below, parent) }
    }
}

/// An edge as HaloITSM has it.
struct Link<'w> {
    edge: &'w EdgeMapping,
    parent: Option<Id>,
    child: Option<Id>,
}

impl Batch<'_> {
    /// Sends all writes, and gives one answer to each.
    async fn send(&self) -> Result<Vec<Answer>, TargetError> {
        let links = self.links().await?;
        self.reader.resolver.resolve(self.reader.api, self.owners()).await?;
        let mut ground = self.look().await?;
        let mut answers: Vec<Option<Answer>> = self.refusals(&ground, links);
        let mut orphans = self.orphans(&answers, &ground);
        let mut unsure = BTreeMap::new();
        // Those of what has very many go out by themselves, so that there is an end to it.
        if orphans.len() > self.size {
            let all: Vec<_> = std::mem::take(&mut orphans).into_iter().collect();
            for chunk in all.chunks(self.size.max(1)) {
                let chunk: BTreeMap<Id, Orphan> = chunk.iter().cloned().collect();
                let mut ground = Ground::default();
                self.read_orphans(&chunk, &mut ground, &mut unsure).await?;
                self.refresh(&mut ground).await?;
                let drafts = self.drafts(&mut vec![Some(Err(self.rejected(String::new()))); self.writes.len()], &ground, links, &chunk);
                for parent in chunk.values().flat_map(|orphan| orphan.parents.keys()) {
                    self.reader.book.unread(*parent);
                }
                self.post(&drafts, &mut answers).await?;
            }
        }
        self.read_orphans(&orphans, &mut ground, &mut unsure).await?;
        if self.refresh(&mut ground).await? {
            for (slot, refusal) in answers.iter_mut().zip(self.refusals(&ground, links)) {
                *slot = slot.take().or(refusal);
            }
        }
        let mut drafts = self.drafts(&mut answers, &ground, links, &orphans);
        for (_, draft) in &mut drafts {
            let of_it: BTreeSet<Id> = draft.numbers.iter().filter_map(|number| unsure.get(number)).flatten().copied().collect();
            if let Some(id) = of_it.first().filter(|_| draft.inactive() == Some(true)) {
                let why = format!("nothing on asset {id} below it can be read that tells whose the relationship is: it stays");
                draft.left.insert(RELATIONSHIPS.to_owned(), why);
            }
        }
        self.post(&drafts, &mut answers).await?;
        for (write, slot) in self.writes.iter().zip(&mut answers) {
            if let (Operation::Purge { record }, None) = (&write.operation, &slot) {
                *slot = Some(self.purge(write, record).await);
            }
        }
        let target = self.reader.api.caller.target();
        let left_out = || Err(TargetError::Abandoned { target: target.clone(), text: "a part of the batch before it failed".to_owned() });
        Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(left_out)).collect())
    }

    fn rejected(&self, text: String) -> TargetError {
        self.reader.api.caller.rejected(text)
    }

    fn now(&self) -> Duration {
        self.reader.api.caller.clock().elapsed()
    }

    /// How an edge of a write stands there.
    fn link<'w>(&'w self, write: &Write, edge: &EdgeId, to_kind: Kind, from: &RecordId, to: &RecordId) -> Option<Link<'w>> {
        let mapped = self.reader.mapping.edge(edge.relation, write.kind, to_kind)?;
        let (parent, child) = if mapped.upstream == Side::From { (from, to) } else { (to, from) };
        Some(Link { edge: mapped, parent: Id::of_record(&parent.0), child: Id::of_record(&child.0) })
    }

    /// The pairs that edges of writes stand for: parent, child, and whether the edge is added.
    fn pairs(&self) -> Vec<(Id, Id, bool)> {
        let pair = |write: &&Write| {
            let (Operation::Relate { edge, to_kind, .. } | Operation::Unrelate { edge, to_kind, .. }) = &write.operation else {
                return None;
            };
            let (from, to) = ends(write)?;
            let link = self.link(write, edge, *to_kind, &from.record, &to.record)?;
            Some((link.parent?, link.child?, matches!(write.operation, Operation::Relate { .. })))
        };
        self.writes.iter().filter_map(pair).collect()
    }

    /// The type that records of a kind have.
    fn type_of_kind(&self, kind: Kind) -> Option<Id> {
        Some(self.reader.schema.type_named(self.reader.mapping.sheet().class(kind)?)?.id)
    }

    /// Reads assets for what is to be written now.
    async fn read(&self, ids: &BTreeMap<Id, Option<Id>>, ground: &mut Ground) -> Result<(), TargetError> {
        let (assets, refused) = self.reader.by_ids(ids).await?;
        ground.put(assets, Some(self.now()));
        ground.refused.extend(refused);
        Ok(())
    }

    /// Where the assets stand that writes speak of.
    async fn look(&self) -> Result<Ground, TargetError> {
        let clock = self.reader.api.caller.clock();
        let mut whole: BTreeMap<Id, Option<Id>> = BTreeMap::new();
        // Read one by one: what they are above is shown of no others.
        let mut ending: BTreeSet<Id> = BTreeSet::new();
        let mut types: BTreeMap<Id, Option<Id>> = BTreeMap::new();
        for write in &self.writes {
            let of_kind = self.type_of_kind(write.kind);
            match &write.operation {
                // What is removed is read right before.
                Operation::Create { .. } | Operation::Purge { .. } => {}
                Operation::Update { record, class, retired, .. } => {
                    let Some(id) = Id::of_record(&record.record.0) else { continue };
                    if *retired == Some(true) {
                        ending.insert(id);
                    } else {
                        whole.insert(id, self.reader.schema.type_named(class).map(|own| own.id).or(of_kind));
                    }
                }
                Operation::Relate { edge, to_kind, .. } | Operation::Unrelate { edge, to_kind, .. } => {
                    let Some((from, to)) = ends(write) else { continue };
                    let Some(link) = self.link(write, edge, *to_kind, &from.record, &to.record) else { continue };
                    let kinds = (of_kind, self.type_of_kind(*to_kind));
                    let (of_parent, of_child) = if link.edge.upstream == Side::From { kinds } else { (kinds.1, kinds.0) };
                    whole.extend(link.child.map(|id| (id, of_child)));
                    types.extend(link.parent.map(|id| (id, of_parent)));
                }
            }
        }
        let mut ground = Ground::default();
        let began = self.now();
        let (ending, refused) = self.reader.each(ending).await?;
        ground.refused.extend(refused);
        for (id, asset) in ending {
            ground.below.insert(id, asset.children());
            ground.above.insert(id, asset.parents());
            whole.remove(&id);
            // It may be from an earlier attempt.
            let is_new = self.reader.book.is_read_since(id, began);
            ground.put([(id, asset)], is_new.then_some(began));
        }
        let mut parents: BTreeMap<Id, Option<Id>> = BTreeMap::new();
        for (id, asset_type) in &types {
            if whole.contains_key(id) || ground.assets.contains_key(id) {
                continue;
            }
            match self.reader.book.carried(clock, *id) {
                Some(carried) => drop(ground.carried.insert(*id, carried)),
                None => drop(parents.insert(*id, *asset_type)),
            }
        }
        whole.extend(parents);
        self.read(&whole, &mut ground).await?;
        self.look_for_made(&mut ground).await?;
        self.weigh(&mut ground).await?;
        // What is put above strangers' assets is noted on it.
        let pairs = self.pairs();
        let holders = pairs.iter().map(|(parent, child, _)| ground.holder(*parent, *child).0);
        let unread: BTreeMap<Id, Option<Id>> = holders
            .filter(|id| ground.carried.contains_key(id) && !ground.assets.contains_key(id))
            .map(|id| (id, types.get(&id).copied().flatten()))
            .collect();
        self.read(&unread, &mut ground).await?;
        // What people related before us stays when our edge goes.
        let mut open: BTreeSet<Id> = BTreeSet::new();
        for (parent, child, is_added) in &pairs {
            let (holder, way, other) = ground.holder(*parent, *child);
            let is_young = [parent, child].into_iter().any(|id| self.reader.book.is_young(clock, *id));
            let Some(note) = ground.assets.get(&holder).and_then(|asset| self.reader.noted(asset).note()) else { continue };
            let is_known = note.holds(way, other) && !note.is_found(way, other);
            if *is_added && !is_known && !is_young && ground.is_marked(holder) {
                open.insert(*child);
            }
        }
        let (open, refused) = self.reader.each(open).await?;
        ground.refused.extend(refused);
        for (id, asset) in open {
            ground.above.insert(id, asset.parents());
        }
        Ok(ground)
    }

    /// What the assets carry that were read.
    async fn weigh(&self, ground: &mut Ground) -> Result<(), TargetError> {
        let carried: Vec<(Id, Carried)> = ground.assets.iter().map(|(id, asset)| (*id, self.reader.carried(asset))).collect();
        ground.carried.extend(carried);
        ground.copies = self.reader.copies(ground.assets.values()).await?;
        Ok(())
    }

    /// Reads once more what was read a while ago, where it is to be written as a whole; whether anything was.
    async fn refresh(&self, ground: &mut Ground) -> Result<bool, TargetError> {
        let now = self.now();
        let is_old = |id: &Id| ground.read_at.get(id).is_none_or(|at| now.saturating_sub(*at) > FRESH);
        let old: BTreeMap<Id, Option<Id>> =
            ground.assets.iter().filter(|(id, _)| is_old(id)).map(|(id, asset)| (*id, asset.assettype_id)).collect();
        if old.is_empty() {
            return Ok(false);
        }
        for id in old.keys() {
            ground.assets.remove(id);
            ground.carried.remove(id);
        }
        self.read(&old, ground).await?;
        let carried: Vec<(Id, Carried)> = ground.assets.iter().map(|(id, asset)| (*id, self.reader.carried(asset))).collect();
        ground.carried.extend(carried);
        Ok(true)
    }

    /// Which creates were done before.
    async fn look_for_made(&self, ground: &mut Ground) -> Result<(), TargetError> {
        let clock = self.reader.api.caller.clock();
        let creates = self.writes.iter().filter(|write| matches!(write.operation, Operation::Create { .. }));
        let tags: HashMap<&Key, String> = creates.map(|write| (&write.key, tag(&write.key))).collect();
        let unknown: HashSet<String> = tags.values().filter(|tag| !self.reader.book.is_free(clock, tag)).cloned().collect();
        if unknown.is_empty() {
            return Ok(());
        }
        // Before a request went unanswered, it was looked whether there is an asset of the key; and a listing goes by keys as well.
        let is_few = unknown.len() <= FEW_MAX;
        let otherwise: HashSet<String> = unknown.iter().filter(|tag| is_few && !self.reader.book.is_doubted(tag)).cloned().collect();
        let mut found = self.reader.tagged(&unknown).await?;
        if !otherwise.is_empty() {
            let is_missing =
                |key: &Key| tags.get(key).is_some_and(|tag| otherwise.contains(tag) && found.get(tag).is_none_or(Vec::is_empty));
            let natives = self.writes.iter().filter_map(|write| match &write.operation {
                Operation::Create { native_id, .. } if is_missing(&write.key) => Some((&write.key, native_id.as_str())),
                _ => None,
            });
            let natives: BTreeMap<&Key, &str> = natives.filter(|(_, native_id)| !native_id.trim().is_empty()).collect();
            for asset in self.reader.otherwise_tagged(&natives).await? {
                let tag = self.reader.carried(&asset).key.and_then(|key| tags.get(&key));
                found.entry(tag.cloned().unwrap_or_default()).or_default().push(asset);
            }
        }
        for (key, tag) in tags {
            let found = found.remove(&tag).unwrap_or_default();
            let originals = self.reader.originals(&found);
            if let Some(id) = originals.get(&(self.sending.estate.clone(), key.clone())) {
                ground.made.insert(key.clone(), *id);
            }
            for asset in found {
                let carried = self.reader.carried(&asset);
                let why = match &carried.estate {
                    Some(estate) if estate == self.sending.estate && carried.key.as_ref() == Some(key) => {
                        if ground.made.get(key) == Some(&asset.id) {
                            // How it was told may be from an earlier attempt, or from a list of a minute ago.
                            ground.put([(asset.id, asset)], None);
                        }
                        continue;
                    }
                    Some(estate) if estate == self.sending.estate => "and another external id",
                    Some(_) => "and another estate id",
                    None => "and no estate id",
                };
                ground.taken.insert(key.clone(), format!("asset {} has its tag `{tag}`, {why}", asset.id));
            }
        }
        Ok(())
    }

    /// Who is to have parts in assets.
    fn owners(&self) -> BTreeSet<(Owner, String)> {
        let of_write = |write: &&Write| -> BTreeSet<(Owner, String)> {
            let (Operation::Create { fields, .. } | Operation::Update { fields, .. }) = &write.operation else { return BTreeSet::new() };
            let owner = |name: &str| self.reader.mapping.sheet().field(write.kind, name)?.shape.owner();
            fields.iter().filter_map(|(name, value)| Some((owner(name)?, value.as_str()?.to_owned()))).collect()
        };
        self.writes.iter().flat_map(of_write).collect()
    }

    /// What the tenant makes of relationships, where that matters.
    async fn links(&self) -> Result<Option<&Links>, TargetError> {
        let has_edges = self.writes.iter().any(|write| matches!(write.operation, Operation::Relate { .. } | Operation::Unrelate { .. }));
        if !has_edges {
            return Ok(None);
        }
        self.reader.api.links(self.reader.mapping).await.map(Some)
    }

    /// Puts in what a write says of its own asset. Where that cannot be sent, nothing of the asset is.
    fn put_own(&self, draft: &mut Draft, write: &Write, fields: &BTreeMap<String, Value>, is_marked: bool) -> Result<(), TargetError> {
        let marked = if is_marked { self.put_marks(draft, write) } else { Ok(()) };
        let put = marked.and_then(|()| self.put_fields(draft, write, fields));
        draft.flaw = put.as_ref().err().cloned();
        put
    }

    /// Why writes are not to be done.
    fn refusals(&self, ground: &Ground, links: Option<&Links>) -> Vec<Option<Answer>> {
        self.writes.iter().map(|write| self.refusal(write, ground, links).map(Err)).collect()
    }

    fn refusal(&self, write: &Write, ground: &Ground, links: Option<&Links>) -> Option<TargetError> {
        let addressed: Vec<&Addressed> = match &write.operation {
            // What is removed is judged by what is read right before.
            Operation::Create { .. } | Operation::Purge { .. } => Vec::new(),
            Operation::Update { record, .. } => vec![record],
            Operation::Relate { .. } | Operation::Unrelate { .. } => ends(write).map(|(from, to)| vec![from, to]).unwrap_or_default(),
        };
        for id in addressed.into_iter().filter_map(|record| Id::of_record(&record.record.0)) {
            if let Some(error) = ground.refused.get(&id) {
                return Some(error.clone());
            }
            if let Some(original) = ground.copies.get(&id) {
                return Some(self.rejected(format!("asset {id} is not the one meant: it is a copy of asset {original}")));
            }
        }
        let carried = |record: &RecordId| ground.carried.get(&Id::of_record(&record.0)?).cloned();
        if !matches!(write.operation, Operation::Purge { .. })
            && let Err(why) = check(write, self.sending.estate, "asset", carried)
        {
            return Some(self.rejected(why));
        }
        match &write.operation {
            Operation::Create { class, .. } => {
                if ground.made.contains_key(&write.key) {
                    return None;
                }
                if let Some(why) = ground.taken.get(&write.key) {
                    return Some(self.rejected(why.clone()));
                }
                if let Some(error) = self.reader.schema.flaw(class) {
                    return Some(error.clone());
                }
                if self.reader.schema.type_named(class).is_none() {
                    return Some(self.rejected(format!("there is no asset type `{class}`: run `dewpoint bootstrap`")));
                }
                self.reader.book.untagged().map(|id| {
                    let text =
                        format!("it does not keep the asset tags that it is sent, as of asset {id}: nothing would find what is made");
                    self.reader.api.caller.unusable(text, "let the API set `inventory_number`, and switch off what changes asset tags")
                })
            }
            Operation::Relate { .. } | Operation::Unrelate { .. } => {
                links.and_then(|links| links.unsupported.as_ref()).map(|why| self.rejected(why.clone()))
            }
            Operation::Update { .. } | Operation::Purge { .. } => None,
        }
    }

    /// Assets below others that are being retired.
    fn orphans(&self, answers: &[Option<Answer>], ground: &Ground) -> BTreeMap<Id, Orphan> {
        let mut orphans: BTreeMap<Id, Orphan> = BTreeMap::new();
        for (number, (write, answer)) in self.writes.iter().zip(answers).enumerate() {
            if let (Operation::Update { record, retired: Some(true), .. }, None) = (&write.operation, answer)
                && let Some(id) = Id::of_record(&record.record.0)
            {
                for (child, asset_type) in ground.below.get(&id).into_iter().flatten() {
                    let orphan = orphans.entry(*child).or_default();
                    orphan.asset_type = *asset_type;
                    orphan.parents.insert(id, number);
                }
            }
        }
        orphans
    }

    /// Reads them. `unsure` takes of which nobody knows whether we put them there, by the writes that retire what is above.
    async fn read_orphans(
        &self,
        orphans: &BTreeMap<Id, Orphan>,
        ground: &mut Ground,
        unsure: &mut BTreeMap<usize, BTreeSet<Id>>,
    ) -> Result<(), TargetError> {
        let unread: BTreeMap<Id, Option<Id>> =
            orphans.iter().filter(|(id, _)| !ground.assets.contains_key(id)).map(|(id, orphan)| (*id, orphan.asset_type)).collect();
        self.read(&unread, ground).await?;
        // What is noted on copies came with what they were copied from.
        let copies = self.reader.copies(orphans.keys().filter_map(|child| ground.assets.get(child))).await?;
        ground.copies.extend(copies);
        let mut take_unsure = |numbers: &mut dyn Iterator<Item = &usize>, child: Id| {
            for number in numbers {
                unsure.entry(*number).or_default().insert(child);
            }
        };
        for (child, orphan) in orphans {
            let Some(asset) = ground.assets.get(child) else {
                if ground.refused.contains_key(child) {
                    take_unsure(&mut orphan.parents.values(), *child);
                }
                continue;
            };
            let carried = self.reader.carried(asset);
            let is_ours = carried.estate.is_some();
            ground.carried.insert(*child, carried);
            if ground.copies.contains_key(child) {
                continue;
            }
            let noted = self.reader.noted(asset);
            let was_emptied = noted == Noted::Nothing;
            let is_told = |note: &Note, parent: Id| note.holds(Way::Below, parent) || !was_emptied && !note.was_lost;
            let note = noted.note();
            let untold = orphan.parents.iter().filter(|(parent, _)| is_ours && !note.as_ref().is_some_and(|note| is_told(note, **parent)));
            take_unsure(&mut untold.map(|(_, number)| number), *child);
        }
        Ok(())
    }

    /// What each asset becomes.
    fn drafts(
        &self,
        answers: &mut [Option<Answer>],
        ground: &Ground,
        links: Option<&Links>,
        orphans: &BTreeMap<Id, Orphan>,
    ) -> Vec<(On, Draft)> {
        let mut drafts = Drafts { batch: self, ground, drafts: Vec::new(), places: BTreeMap::new() };
        for (child, orphan) in orphans {
            let Some(asset) = ground.assets.get(child) else { continue };
            let Noted::Read(note) = self.reader.noted(asset) else { continue };
            if self.reader.carried(asset).estate.as_ref() != Some(self.sending.estate) || ground.copies.contains_key(child) {
                continue;
            }
            for (parent, number) in orphan.parents.iter().filter(|(parent, _)| note.holds(Way::Below, **parent)) {
                if let Some(draft) = drafts.standing(*child) {
                    draft.take_asset(Way::Below, *parent);
                    draft.numbers.insert(*number);
                }
            }
        }
        for (number, (write, answer)) in self.writes.iter().zip(answers).enumerate() {
            if answer.is_none() {
                *answer = drafts.put(number, write, links).transpose();
            }
        }
        drafts.drafts
    }

    /// Sends what assets become. Where a request fails that was for several writes, it is not known which of them is to blame: that is the batch's failure.
    async fn post(&self, drafts: &[(On, Draft)], answers: &mut [Option<Answer>]) -> Result<(), TargetError> {
        let mut elements = Vec::new();
        for (on, draft) in drafts {
            match self.element(draft) {
                Ok(Some(element)) => elements.push((on, draft, element)),
                // All that it should be it is.
                Ok(None) => self.note(draft, on, None, answers),
                Err(error) => fail(answers, &draft.numbers, &error),
            }
        }
        for chunk in elements.chunks(self.size.max(1)) {
            let chunk: Vec<&Element<'_>> = chunk.iter().collect();
            match self.post_chunk(&chunk).await {
                Ok(shown) => self.note_all(&chunk, &shown, answers),
                Err(error @ TargetError::Forbidden { .. }) => self.post_by_type(&chunk, &error, answers).await?,
                Err(error) => self.fail_chunk(&chunk, error, answers)?,
            }
        }
        Ok(())
    }

    fn fail_chunk(&self, chunk: &[&Element<'_>], error: TargetError, answers: &mut [Option<Answer>]) -> Result<(), TargetError> {
        let numbers = numbers(chunk);
        if numbers.len() > 1 || !matches!(error, TargetError::Rejected { .. }) {
            return Err(error);
        }
        fail(answers, &numbers, &error);
        // It may speak of what is not there any more.
        self.reader.api.doubt_schema();
        Ok(())
    }

    /// What may not be written of one type stops nothing of the others.
    async fn post_by_type(&self, chunk: &[&Element<'_>], error: &TargetError, answers: &mut [Option<Answer>]) -> Result<(), TargetError> {
        let mut by_type: BTreeMap<Id, Vec<&Element<'_>>> = BTreeMap::new();
        for element in chunk {
            by_type.entry(element.1.type_id).or_default().push(element);
        }
        let is_one = by_type.len() == 1;
        let mut forbidden = Vec::new();
        for (asset_type, part) in by_type {
            let posted = if is_one { Err(error.clone()) } else { self.post_chunk(&part).await };
            match posted {
                Ok(shown) => self.note_all(&part, &shown, answers),
                Err(error @ TargetError::Forbidden { .. }) => forbidden.push((asset_type, numbers(&part), error)),
                Err(error) => self.fail_chunk(&part, error, answers)?,
            }
        }
        for (asset_type, numbers, error) in forbidden {
            // Nothing may be written at all, as it seems.
            if !self.reader.book.forbidden(asset_type) {
                return Err(error);
            }
            fail(answers, &numbers, &error);
        }
        Ok(())
    }

    fn note_all(&self, chunk: &[&Element<'_>], shown: &[Asset], answers: &mut [Option<Answer>]) {
        self.reader.book.posted(chunk.iter().map(|(_, draft, _)| draft.type_id));
        for (on, draft, _) in chunk {
            let found = match on {
                On::Standing(id) => shown.iter().find(|asset| asset.id == *id),
                On::New(key) => self.made(key, draft, shown),
            };
            if let (On::Standing(id), None) = (on, found) {
                self.reader.book.unsure(*id);
            }
            self.note(draft, on, found, answers);
        }
    }

    /// The asset that was made.
    fn made<'s>(&self, key: &Key, draft: &Draft, shown: &'s [Asset]) -> Option<&'s Asset> {
        let is_its = |asset: &&Asset| draft.made_tag().is_some_and(|tag| folded(asset.tag()) == folded(tag));
        let of_key = || {
            let carries = |asset: &&Asset| {
                let carried = self.reader.carried(asset);
                carried.estate.as_ref() == Some(self.sending.estate) && carried.key.as_ref() == Some(key)
            };
            let found = shown.iter().find(carries)?;
            self.reader.book.lost_tag(found.id);
            Some(found)
        };
        shown.iter().filter(is_its).min_by_key(|asset| asset.id).or_else(of_key)
    }

    /// Sends some of them; what the answer shows, with what it left out.
    async fn post_chunk(&self, chunk: &[&Element<'_>]) -> Result<Vec<Asset>, TargetError> {
        let (api, book) = (self.reader.api, self.reader.book);
        let tags: Vec<&str> = chunk.iter().filter_map(|(_, draft, _)| draft.made_tag()).collect();
        let elements: Vec<Value> = chunk.iter().map(|(.., element)| element.clone()).collect();
        book.sending(tags.iter().copied());
        let mut shown = match api.post(&elements).await {
            Ok(shown) => shown,
            Err(PostFailure::Refused(text)) => {
                // Elements before the one that was refused may have been stored.
                book.forget();
                return Err(api.caller.rejected(text));
            }
            Err(PostFailure::Doubt(error)) => {
                book.unanswered(api.caller.clock(), tags.iter().copied());
                return Err(error);
            }
            Err(PostFailure::Other(error)) => return Err(error),
        };
        // By their keys, where a tenant does not keep tags.
        let keys: HashSet<String> = shown.iter().filter_map(|asset| self.reader.carried(asset).key).map(|key| folded(&tag(&key))).collect();
        let is_shown = |tag: &&str| keys.contains(&folded(tag)) || shown.iter().any(|asset| folded(asset.tag()) == folded(tag));
        let untold: HashSet<String> = tags.iter().filter(|tag| !is_shown(tag)).map(|tag| (*tag).to_owned()).collect();
        let unseen: BTreeMap<Id, Option<Id>> = chunk
            .iter()
            .filter_map(|(on, draft, _)| if let On::Standing(id) = on { Some((*id, Some(draft.type_id))) } else { None })
            .filter(|(id, _)| !shown.iter().any(|asset| asset.id == *id && asset.fields.is_some()))
            .collect();
        // It is done, whatever keeps us from looking what it came to: to whoever sent it, that is as if there had been no answer.
        let in_doubt = |error: TargetError| {
            book.unanswered(api.caller.clock(), tags.iter().copied());
            api.caller.unreachable("look at what was written", error.to_string())
        };
        if !untold.is_empty() {
            shown.extend(self.reader.tagged(&untold).await.map_err(in_doubt)?.into_values().flatten());
        }
        if !unseen.is_empty() {
            shown.retain(|asset| !unseen.contains_key(&asset.id));
            shown.extend(self.reader.by_ids(&unseen).await.map_err(in_doubt)?.0.into_values());
        }
        Ok(shown)
    }

    /// Notes what became of an asset, and what that means to the writes that it was for.
    fn note(&self, draft: &Draft, on: &On, shown: Option<&Asset>, answers: &mut [Option<Answer>]) {
        let (book, clock) = (self.reader.book, self.reader.api.caller.clock());
        let id = match (on, shown) {
            (On::Standing(id), _) => *id,
            (On::New(_), Some(asset)) => asset.id,
            (On::New(_), None) => {
                let error = self.reader.api.caller.unreachable("write assets", "it says that it made the asset, and shows none of its tag");
                return fail(answers, &draft.numbers, &error);
            }
        };
        if let Some(asset) = shown {
            let carried = self.reader.carried(asset);
            if asset.fields.is_some() {
                book.wrote(clock, id, carried, Some(asset.clone()));
            }
        }
        if matches!(on, On::New(_)) {
            book.made(clock, id);
        }
        book.unread(id);
        let mut left = draft.left.clone();
        if let Some(why) = shown.and_then(|asset| self.not_taken(draft, asset, &mut left)) {
            return fail(answers, &draft.numbers, &self.rejected(why));
        }
        for number in &draft.numbers {
            let Some(write) = self.writes.get(*number) else { continue };
            // Where several assets change for one write, the one that it is about answers for it.
            let answer = self.answer(write, id, draft, &left);
            if let (Some(slot @ None), Some(answer)) = (answers.get_mut(*number), answer) {
                book.finished(self.sending.at, write, &answer);
                *slot = Some(Ok(answer));
            }
        }
    }

    /// Why what was sent is not done, by what the answer shows. `left` takes single fields that stand as they stood.
    fn not_taken(&self, draft: &Draft, shown: &Asset, left: &mut BTreeMap<String, String>) -> Option<String> {
        let id = shown.id;
        if let Some(wanted) = draft.inactive().filter(|wanted| *wanted != shown.is_inactive()) {
            let verb = if wanted { "is not marked as inactive" } else { "is still marked as inactive" };
            return Some(format!("asset {id} {verb}, though it was sent so"));
        }
        if let Some(wanted) = draft.status()
            && let Some(found) = shown.status().filter(|found| self.reader.schema.status(found) != Some(wanted))
        {
            left.insert(STATUS.to_owned(), format!("it was not taken: asset {id} has status `{found}`"));
        }
        let is_other = |owner: Owner, wanted: Option<Id>| shown.shown_owner(owner).is_some_and(|shown| shown != wanted);
        for (owner, (name, wanted)) in draft.owners.iter().filter(|(owner, (_, wanted))| is_other(**owner, *wanted)) {
            let found = shown.owner(*owner).map_or("nobody".to_owned(), |id| id.to_string());
            let wanted = wanted.map_or("nobody".to_owned(), |id| id.to_string());
            left.insert(name.clone(), format!("it was not taken: `{}` of asset {id} is {found}, and not {wanted}", owner.member()));
        }
        shown.fields.as_ref()?;
        let values = shown.values();
        for (field, wanted) in &draft.values {
            let found = values.get(field).map_or("", String::as_str);
            if same_text(found, wanted) {
                continue;
            }
            match draft.names.get(field) {
                Some(name) => drop(left.insert(name.clone(), format!("it was not taken: asset {id} shows another value"))),
                None => {
                    return Some(format!(
                        "asset {id} does not show what marks it as ours, though it was sent: a field is missing or changed"
                    ));
                }
            }
        }
        None
    }

    fn answer(&self, write: &Write, id: Id, draft: &Draft, left: &BTreeMap<String, String>) -> Option<Delivered> {
        let class = self.reader.schema.types.get(&draft.type_id).map(|own| own.name.clone()).unwrap_or_default();
        match &write.operation {
            Operation::Create { class, .. } => {
                let done = Delivered::to(RecordId(id.to_string()), class.clone());
                Some(Delivered { sent: draft.sent.clone(), left: left.clone(), ..done })
            }
            Operation::Update { record, class: wanted, .. } => {
                let class = if folded(&class) == folded(wanted) { wanted.clone() } else { class };
                let is_it = record.record.0 == id.to_string();
                let done = Delivered::to(RecordId(id.to_string()), class);
                is_it.then(|| Delivered { sent: draft.sent.clone(), left: left.clone(), ..done })
            }
            Operation::Relate { .. } | Operation::Unrelate { .. } => {
                let (from, _) = ends(write)?;
                let class = self.reader.mapping.sheet().class(write.kind).unwrap_or_default();
                let left = left.get_key_value(RELATIONSHIPS).map(|(name, why)| (name.clone(), why.clone())).into_iter().collect();
                Some(Delivered { left, ..Delivered::to(from.record.clone(), class.to_owned()) })
            }
            Operation::Purge { .. } => None,
        }
    }

    /// Removes an asset that still is the one meant when it is read right before.
    async fn purge(&self, write: &Write, record: &Addressed) -> Answer {
        let asset = match Id::of_record(&record.record.0) {
            Some(id) => self.reader.api.asset(id).await?,
            None => None,
        };
        check(write, self.sending.estate, "asset", |_| asset.as_ref().map(|asset| self.reader.carried(asset)))
            .map_err(|why| self.rejected(why))?;
        let Some(asset) = asset else { return Ok(Delivered::to(record.record.clone(), String::new())) };
        if let Some(original) = self.reader.copies(std::iter::once(&asset)).await?.get(&asset.id) {
            return Err(self.rejected(format!("asset {} is not the one meant: it is a copy of asset {original}", asset.id)));
        }
        self.reader.api.delete(asset.id).await?;
        self.reader.book.removed(asset.id);
        let delivered = Delivered::to(record.record.clone(), self.reader.class(&asset));
        self.reader.book.finished(self.sending.at, write, &delivered);
        Ok(delivered)
    }
}

/// An asset with what it becomes, and what is posted of it.
type Element<'d> = (&'d On, &'d Draft, Value);

/// An asset below others that are being retired.
#[derive(Debug, Clone, Default)]
struct Orphan {
    asset_type: Option<Id>,
    /// With the numbers of the writes that retire them.
    parents: BTreeMap<Id, usize>,
}

/// The writes that assets change for.
fn numbers(chunk: &[&Element<'_>]) -> BTreeSet<usize> {
    chunk.iter().flat_map(|(_, draft, _)| draft.numbers.iter().copied()).collect()
}

/// Whether two texts are the same but for blanks around them and how lines end.
fn same_text(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.replace("\r\n", "\n").trim().to_owned();
    one == other || plain(one) == plain(other)
}

/// What failed in one part failed.
fn fail(answers: &mut [Option<Answer>], numbers: &BTreeSet<usize>, error: &TargetError) {
    for number in numbers {
        if let Some(slot) = answers.get_mut(*number) {
            *slot = Some(Err(error.clone()));
        }
    }
}

/// The ends of a write's edge. None is made by the same batch: creates go out by themselves.
fn ends(write: &Write) -> Option<(&Addressed, &Addressed)> {
    match &write.operation {
        Operation::Relate { from: End::Stands(from), to: End::Stands(to), .. } | Operation::Unrelate { from, to, .. } => Some((from, to)),
        _ => None,
    }
}

/// Assets that change, in the order of the writes that change them.
struct Drafts<'b, 'a> {
    batch: &'b Batch<'a>,
    ground: &'b Ground,
    drafts: Vec<(On, Draft)>,
    places: BTreeMap<On, usize>,
}

impl Drafts<'_, '_> {
    fn on(&mut self, on: On, draft: impl FnOnce() -> Option<Draft>) -> Option<&mut Draft> {
        let place = match self.places.get(&on) {
            Some(place) => *place,
            None => {
                self.drafts.push((on.clone(), draft()?));
                self.places.insert(on, self.drafts.len() - 1);
                self.drafts.len() - 1
            }
        };
        self.drafts.get_mut(place).map(|(_, draft)| draft)
    }

    fn standing(&mut self, id: Id) -> Option<&mut Draft> {
        let (batch, ground) = (self.batch, self.ground);
        self.on(On::Standing(id), || batch.draft_of(ground.assets.get(&id)?))
    }

    /// Puts in a write; an answer where nothing has to be sent for it.
    fn put(&mut self, number: usize, write: &Write, links: Option<&Links>) -> Result<Option<Delivered>, TargetError> {
        let (batch, ground) = (self.batch, self.ground);
        let gone = || batch.rejected("its asset shows no type, or is not there any more".to_owned());
        match &write.operation {
            Operation::Create { class, fields, .. } => {
                let asset_type = batch.reader.schema.type_named(class).map(|own| own.id);
                let draft = match ground.made.get(&write.key) {
                    Some(id) => self.standing(*id),
                    None => self.on(On::New(write.key.clone()), || asset_type.map(Draft::new)),
                };
                let draft = draft.ok_or_else(gone)?;
                draft.numbers.insert(number);
                draft.set_inactive(false);
                batch.put_own(draft, write, fields, true)?;
            }
            Operation::Update { record, fields, retired, take_over, .. } => {
                let below = Id::of_record(&record.record.0).and_then(|id| ground.below.get(&id));
                let parents = Id::of_record(&record.record.0).and_then(|id| ground.above.get(&id));
                let is_above_others = below.into_iter().flatten().any(|(child, _)| !ground.is_marked(*child));
                let draft = Id::of_record(&record.record.0).and_then(|id| self.standing(id)).ok_or_else(gone)?;
                if let Some(seen_at) = batch.sightings.at(&record.record) {
                    if !draft.is_ours() {
                        return Err(batch.rejected(format!("asset {} is not ours", record.record.0)));
                    }
                    draft.numbers.insert(number);
                    batch.put_sighting(draft, seen_at)?;
                    return Ok(None);
                }
                let aws_id = draft.aws_id();
                draft.numbers.insert(number);
                let is_marked = *take_over || draft.is_ours();
                batch.put_own(draft, write, fields, is_marked)?;
                if let Some(aws_id) = aws_id {
                    let why = format!("HaloITSM's own AWS integration keeps this asset as `{aws_id}`: two write to it");
                    draft.left.insert("aws_id".to_owned(), why);
                }
                if let Some(retired) = retired {
                    draft.set_inactive(*retired);
                }
                if *retired == Some(true) {
                    if let Some(error) = batch.unreadable(draft) {
                        draft.flaw = Some(error.clone());
                        return Err(error);
                    }
                    draft.take_all(parents, is_above_others);
                }
            }
            Operation::Purge { .. } => return Ok(None),
            Operation::Relate { edge, to_kind, .. } | Operation::Unrelate { edge, to_kind, .. } => {
                let (from, to) = ends(write).ok_or_else(|| batch.rejected("one of its ends is not made yet".to_owned()))?;
                let class = batch.reader.mapping.sheet().class(write.kind).unwrap_or_default().to_owned();
                let done = || Ok(Some(Delivered::to(from.record.clone(), class)));
                let Some(link) = batch.link(write, edge, *to_kind, &from.record, &to.record) else { return done() };
                // What is related to itself has no form there, and is left out; what is not there is below nothing.
                let (Some(parent), Some(child)) = (link.parent, link.child) else { return done() };
                if parent == child || !ground.carried.contains_key(&child) {
                    return done();
                }
                if !ground.is_marked(parent) && !ground.is_marked(child) {
                    let why =
                        format!("neither asset {child} nor asset {parent} is ours: nothing could tell this relationship from people's");
                    return Ok(done()?.map(|done| Delivered { left: BTreeMap::from([(RELATIONSHIPS.to_owned(), why)]), ..done }));
                }
                let (holder, way, other) = ground.holder(parent, child);
                let draft = self.standing(holder).ok_or_else(gone)?;
                let relation = edge.relation.as_str();
                if matches!(write.operation, Operation::Relate { .. }) {
                    let name = links.and_then(|links| links.names.get(&edge.relation).copied());
                    let was_found = ground.above.get(&child).is_some_and(|parents| parents.contains(&parent));
                    batch.put_edge(draft, (way, other), relation, name, was_found)?;
                } else {
                    if let Some(error) = batch.unreadable(draft) {
                        return Err(error);
                    }
                    draft.take_edge(way, relation, other);
                }
                draft.numbers.insert(number);
            }
        }
        Ok(None)
    }
}
