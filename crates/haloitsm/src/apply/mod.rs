//! Writes to assets.
//!
//! Each asset that changes is one element of one array that is posted: its fields, its mark as retired, and the assets that it comes below or is taken from below. An
//! array that is refused as a whole is the caller's to halve.

mod draft;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use dewpoint_core::model::{EdgeId, Key, Kind};
use dewpoint_core::target::{Addressed, Delivered, End, Operation, RecordId, Sending, Side, TargetError, Write};
use dewpoint_target_kit::{Carried, check};
use serde_json::Value;

use crate::api::{Links, PostFailure};
use crate::asset::{Asset, Id};
use crate::mapping::EdgeMapping;
use crate::reading::Reader;
use crate::tag::{folded, tag};

use draft::{Draft, On};

/// A batch on its way.
pub(crate) struct Batch<'a> {
    pub(crate) reader: Reader<'a>,
    pub(crate) writes: &'a [Write],
    pub(crate) sending: &'a Sending<'a>,
    /// Most elements of a request.
    pub(crate) size: usize,
}

type Answer = Result<Delivered, TargetError>;

/// What is known when a batch is sent.
#[derive(Default)]
struct Ground {
    /// Assets as they are, of which the whole has to be known.
    assets: HashMap<Id, Asset>,
    /// What records carry that writes speak of. What is not in it is not there.
    carried: HashMap<Id, Carried>,
    /// Assets of ours that creates found made.
    made: HashMap<Key, Id>,
    /// Why creates cannot be done.
    taken: HashMap<Key, String>,
}

/// An edge as HaloITSM has it.
struct Link<'w> {
    edge: &'w EdgeMapping,
    parent: Option<Id>,
    child: Option<Id>,
}

impl Batch<'_> {
    /// Sends all writes, and gives one answer to each.
    pub(crate) async fn send(&self) -> Result<Vec<Answer>, TargetError> {
        let mut ground = self.look().await?;
        let links = self.links().await?;
        let mut answers: Vec<Option<Answer>> = self.writes.iter().map(|write| self.refusal(write, &ground, links).map(Err)).collect();
        let orphans = self.orphans(&answers, &mut ground).await?;
        let drafts = self.drafts(&mut answers, &ground, links, &orphans);
        self.post(&drafts, &mut answers).await?;
        for (number, write) in self.writes.iter().enumerate() {
            if let (Operation::Purge { record }, Some(slot @ None)) = (&write.operation, answers.get_mut(number)) {
                *slot = Some(self.purge(record, &ground).await);
            }
        }
        self.reader.book.done();
        let target = self.reader.api.caller.target();
        let left_out = || Err(TargetError::Abandoned { target: target.clone(), text: "a part of the batch before it failed".to_owned() });
        Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(left_out)).collect())
    }

    fn rejected(&self, text: String) -> TargetError {
        self.reader.api.caller.rejected(text)
    }

    /// How an edge of a write stands there.
    fn link<'w>(&'w self, write: &Write, edge: &EdgeId, to_kind: Kind, from: &RecordId, to: &RecordId) -> Option<Link<'w>> {
        let mapped = self.reader.mapping.edge(edge.relation, write.kind, to_kind)?;
        let (parent, child) = if mapped.upstream == Side::From { (from, to) } else { (to, from) };
        Some(Link { edge: mapped, parent: Id::of_record(&parent.0), child: Id::of_record(&child.0) })
    }

    /// The type that records of a kind have.
    fn type_of_kind(&self, kind: Kind) -> Option<Id> {
        Some(self.reader.schema.type_named(self.reader.mapping.sheet().class(kind)?)?.id)
    }

    /// Where the assets stand that writes speak of.
    async fn look(&self) -> Result<Ground, TargetError> {
        let clock = self.reader.api.caller.clock();
        let mut whole: BTreeMap<Id, Option<Id>> = BTreeMap::new();
        // Read one by one: what they are above is shown of no others.
        let mut ending: BTreeSet<Id> = BTreeSet::new();
        let mut checked: BTreeMap<Id, Option<Id>> = BTreeMap::new();
        for write in self.writes {
            let of_kind = self.type_of_kind(write.kind);
            match &write.operation {
                Operation::Create { .. } => {}
                Operation::Update { record, class, retired, .. } => {
                    let Some(id) = Id::of_record(&record.record.0) else { continue };
                    if *retired == Some(true) {
                        ending.insert(id);
                    } else {
                        whole.insert(id, self.reader.schema.type_named(class).map(|own| own.id).or(of_kind));
                    }
                }
                Operation::Purge { record } => drop(Id::of_record(&record.record.0).map(|id| whole.insert(id, of_kind))),
                Operation::Relate { edge, to_kind, .. } | Operation::Unrelate { edge, to_kind, .. } => {
                    let Some((from, to)) = ends(write) else { continue };
                    let Some(link) = self.link(write, edge, *to_kind, &from.record, &to.record) else { continue };
                    let kinds = (of_kind, self.type_of_kind(*to_kind));
                    let (of_parent, of_child) = if link.edge.upstream == Side::From { kinds } else { (kinds.1, kinds.0) };
                    whole.extend(link.child.map(|id| (id, of_child)));
                    checked.extend(link.parent.map(|id| (id, of_parent)));
                }
            }
        }
        let mut ground = Ground::default();
        whole.retain(|id, _| !ending.contains(id));
        for (id, asset_type) in checked {
            if whole.contains_key(&id) || ending.contains(&id) {
                continue;
            }
            match self.reader.book.carried(clock, id) {
                Some(carried) => drop(ground.carried.insert(id, carried)),
                None => drop(whole.insert(id, asset_type)),
            }
        }
        ground.assets = self.reader.by_ids(&whole).await?;
        ground.assets.extend(self.reader.each(ending).await?);
        ground.carried.extend(ground.assets.iter().map(|(id, asset)| (*id, self.reader.carried(asset))));
        self.look_for_made(&mut ground).await?;
        Ok(ground)
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
        let mut found = self.reader.tagged(&unknown).await?;
        for (key, tag) in tags {
            for asset in found.remove(&tag).unwrap_or_default() {
                let carried = self.reader.carried(&asset);
                let why = match &carried.estate {
                    Some(estate) if estate == self.sending.estate && carried.key.as_ref() == Some(key) => {
                        ground.made.insert(key.clone(), asset.id);
                        ground.assets.insert(asset.id, asset);
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

    /// Why a write is not to be done.
    fn refusal(&self, write: &Write, ground: &Ground, links: Option<&Links>) -> Option<TargetError> {
        let carried = |record: &RecordId| ground.carried.get(&Id::of_record(&record.0)?).cloned();
        if let Err(why) = check(write, self.sending.estate, "asset", carried) {
            return Some(self.rejected(why));
        }
        match &write.operation {
            Operation::Create { class, .. } => {
                if let Some(why) = ground.taken.get(&write.key).filter(|_| !ground.made.contains_key(&write.key)) {
                    return Some(self.rejected(why.clone()));
                }
                if self.reader.schema.type_named(class).is_none() {
                    return Some(self.rejected(format!("there is no asset type `{class}`: run `dewpoint bootstrap`")));
                }
                None
            }
            Operation::Relate { .. } | Operation::Unrelate { .. } => {
                links.and_then(|links| links.unsupported.as_ref()).map(|why| self.rejected(why.clone()))
            }
            Operation::Update { .. } | Operation::Purge { .. } => None,
        }
    }

    /// Assets that we put below others that are being retired, with these and the numbers of the writes that retire them.
    async fn orphans(&self, answers: &[Option<Answer>], ground: &mut Ground) -> Result<BTreeMap<Id, BTreeMap<Id, usize>>, TargetError> {
        let mut orphans: BTreeMap<Id, BTreeMap<Id, usize>> = BTreeMap::new();
        let mut unread: BTreeMap<Id, Option<Id>> = BTreeMap::new();
        for (number, write) in self.writes.iter().enumerate() {
            let is_refused = answers.get(number).is_some_and(Option::is_some);
            if let Operation::Update { record, retired: Some(true), .. } = &write.operation
                && !is_refused
                && let Some(asset) = Id::of_record(&record.record.0).and_then(|id| ground.assets.get(&id))
            {
                for (child, asset_type) in asset.children() {
                    orphans.entry(child).or_default().insert(asset.id, number);
                    unread.insert(child, asset_type);
                }
            }
        }
        unread.retain(|id, _| !ground.assets.contains_key(id));
        ground.assets.extend(self.reader.by_ids(&unread).await?);
        orphans.retain(|child, parents| {
            let Some(asset) = ground.assets.get(child) else { return false };
            let is_ours = self.reader.carried(asset).estate.as_ref() == Some(self.sending.estate);
            let note = self.reader.note(asset);
            parents.retain(|parent, _| is_ours && note.is_below(*parent));
            !parents.is_empty()
        });
        Ok(orphans)
    }

    /// What each asset becomes.
    fn drafts(
        &self,
        answers: &mut [Option<Answer>],
        ground: &Ground,
        links: Option<&Links>,
        orphans: &BTreeMap<Id, BTreeMap<Id, usize>>,
    ) -> Vec<(On, Draft)> {
        let mut drafts = Drafts { batch: self, ground, drafts: Vec::new(), places: BTreeMap::new() };
        for (child, parents) in orphans {
            for (parent, number) in parents {
                if let Some(draft) = drafts.standing(*child) {
                    draft.take_parent(*parent);
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

    /// Sends what assets become. Where the first request fails and was for several writes, none of them is known to have been done: that is the batch's failure.
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
        let mut has_done_any = false;
        for chunk in elements.chunks(self.size.max(1)) {
            let numbers: BTreeSet<usize> = chunk.iter().flat_map(|(_, draft, _)| draft.numbers.iter().copied()).collect();
            match self.post_chunk(chunk).await {
                Ok(shown) => {
                    has_done_any = true;
                    for (on, draft, _) in chunk {
                        let found = shown.iter().find(|asset| match (on, draft.made_tag()) {
                            (On::Standing(id), _) => asset.id == *id,
                            (On::New(_), Some(tag)) => folded(asset.tag()) == folded(tag),
                            (On::New(_), None) => false,
                        });
                        if let (On::Standing(id), None) = (on, found) {
                            self.reader.book.unsure(*id);
                        }
                        self.note(draft, on, found, answers);
                    }
                }
                Err(error) if !has_done_any && (numbers.len() > 1 || !matches!(error, TargetError::Rejected { .. })) => return Err(error),
                Err(error) => {
                    fail(answers, &numbers, &error);
                    if !matches!(error, TargetError::Rejected { .. }) {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Sends some of them; what the answer shows, with what it left out.
    async fn post_chunk(&self, chunk: &[(&On, &Draft, Value)]) -> Result<Vec<Asset>, TargetError> {
        let (api, book) = (self.reader.api, self.reader.book);
        let tags: Vec<&str> = chunk.iter().filter_map(|(_, draft, _)| draft.made_tag()).collect();
        let elements: Vec<Value> = chunk.iter().map(|(.., element)| element.clone()).collect();
        book.sending(tags.iter().copied());
        let mut shown = match api.post(&elements, !tags.is_empty()).await {
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
        let is_shown = |tag: &&str| shown.iter().any(|asset| folded(asset.tag()) == folded(tag));
        let untold: HashSet<String> = tags.iter().filter(|tag| !is_shown(tag)).map(|tag| (*tag).to_owned()).collect();
        if !untold.is_empty() {
            shown.extend(self.reader.tagged(&untold).await?.into_values().flatten());
        }
        Ok(shown)
    }

    /// Notes what became of an asset, and what that means to the writes that it was for.
    fn note(&self, draft: &Draft, on: &On, shown: Option<&Asset>, answers: &mut [Option<Answer>]) {
        let id = match (on, shown) {
            (On::Standing(id), _) => *id,
            (On::New(_), Some(asset)) => asset.id,
            (On::New(_), None) => {
                let error = self.reader.api.caller.unreachable("write assets", "it says that it made the asset, and shows none of its tag");
                return fail(answers, &draft.numbers, &error);
            }
        };
        for number in &draft.numbers {
            let Some(write) = self.writes.get(*number) else { continue };
            // Where several assets change for one write, the one that it is about answers for it.
            let answer = self.answer(write, id, draft);
            if let (Some(slot @ None), Some(answer)) = (answers.get_mut(*number), answer) {
                *slot = Some(Ok(answer));
            }
        }
        if let Some(asset) = shown {
            let carried = self.reader.carried(asset);
            if asset.fields.is_some() {
                self.reader.book.wrote(self.reader.api.caller.clock(), id, carried, asset.tag(), Some(asset.clone()));
            }
        }
    }

    fn answer(&self, write: &Write, id: Id, draft: &Draft) -> Option<Delivered> {
        let class = self.reader.schema.types.get(&draft.type_id).map(|own| own.name.clone()).unwrap_or_default();
        match &write.operation {
            Operation::Create { class, .. } => {
                let done = Delivered::to(RecordId(id.to_string()), class.clone());
                Some(Delivered { sent: draft.sent.clone(), left: draft.left.clone(), ..done })
            }
            Operation::Update { record, class: wanted, .. } => {
                let class = if folded(&class) == folded(wanted) { wanted.clone() } else { class };
                let is_it = record.record.0 == id.to_string();
                let done = Delivered::to(RecordId(id.to_string()), class);
                is_it.then(|| Delivered { sent: draft.sent.clone(), left: draft.left.clone(), ..done })
            }
            Operation::Relate { .. } | Operation::Unrelate { .. } => {
                let (from, _) = ends(write)?;
                let class = self.reader.mapping.sheet().class(write.kind).unwrap_or_default();
                Some(Delivered::to(from.record.clone(), class.to_owned()))
            }
            Operation::Purge { .. } => None,
        }
    }

    async fn purge(&self, record: &Addressed, ground: &Ground) -> Answer {
        let class = Id::of_record(&record.record.0).and_then(|id| ground.assets.get(&id)).map(|asset| self.reader.class(asset));
        if let (Some(id), Some(_)) = (Id::of_record(&record.record.0), &class) {
            self.reader.api.delete(id).await?;
            self.reader.book.removed(id);
        }
        Ok(Delivered::to(record.record.clone(), class.unwrap_or_default()))
    }
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
                let draft = Id::of_record(&record.record.0).and_then(|id| self.standing(id)).ok_or_else(gone)?;
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
                    draft.take_all_parents();
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
                if parent == child || !ground.assets.contains_key(&child) {
                    return done();
                }
                let draft = self.standing(child).ok_or_else(gone)?;
                let relation = edge.relation.as_str();
                if matches!(write.operation, Operation::Relate { .. }) {
                    let name = links.and_then(|links| links.names.get(&edge.relation).copied());
                    batch.put_edge(draft, relation, parent, name)?;
                } else {
                    draft.take_edge(relation, parent);
                }
                draft.numbers.insert(number);
            }
        }
        Ok(None)
    }
}
