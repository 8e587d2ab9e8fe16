//! What this process knows of assets, so that few are asked for twice: requests are scarce.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dewpoint_core::target::{Delivered, TargetError, Write};
use dewpoint_http::Clock;
use dewpoint_target_kit::Carried;
use jiff::Timestamp;

use crate::asset::{Asset, Id};
use crate::tag::tag;

/// How long a full listing is used, kept up by what this process writes.
const LISTING_AGE_MAX: Duration = Duration::from_secs(60);

/// For how long a tag that nothing had is taken to be free: from a plan to its end. What this process makes, it knows; and nobody else makes such tags while it
/// has the lease.
const ABSENCE_AGE_MAX: Duration = Duration::from_secs(3600);

/// For how long a record that this process wrote is taken to carry what it wrote.
const WRITTEN_AGE_MAX: Duration = Duration::from_secs(600);

/// How long a server may still be at work on a request whose answer was lost.
const SETTLING: Duration = Duration::from_secs(5);

/// For how long what was read for a batch is used when that has to be sent once more: requests are let through so slowly that a batch may not have all that it needs
/// before its time is over.
const READ_AGE_MAX: Duration = Duration::from_secs(120);

/// The least size at which old entries are thrown away: a long-lived process would keep all that it ever saw.
const FULL_MIN: usize = 4096;

/// For how long a record that this process made is taken to be related to nothing but what this process related it to.
const BORN_AGE_MAX: Duration = Duration::from_secs(600);

/// For how long the search by tags is taken to find what there is, once it found something.
const PROOF_AGE_MAX: Duration = Duration::from_secs(3600);

/// All assets of our types.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    pub(crate) assets: HashMap<Id, Asset>,
    /// Types of which none are shown, and why.
    pub(crate) refused: BTreeMap<Id, TargetError>,
}

/// What became of posts for assets of a type.
#[derive(Debug, Default)]
struct Posts {
    /// Types of which some were taken.
    taken: HashSet<Id>,
    /// Types of which some were forbidden.
    forbidden: HashSet<Id>,
}

/// What is known, by the clock's `elapsed`.
#[derive(Debug, Default)]
pub(crate) struct Book(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    listing: Option<(Arc<Listing>, Duration)>,
    /// Tags that nothing had.
    absent: HashMap<String, Duration>,
    /// Tags of what was sent without an answer that says what became of it, with the time from which a look tells.
    doubted: HashMap<String, Duration>,
    written: HashMap<Id, (Carried, Duration)>,
    /// What was read for the batch in hand.
    read: HashMap<Id, (Asset, Duration)>,
    /// What has a tag, as was told for the batch in hand.
    told: HashMap<String, (Vec<Asset>, Duration)>,
    /// Tags of which a search for the batch in hand showed nothing: that says nothing before searches are proven.
    unseen: HashMap<String, Duration>,
    /// Types of which the batch in hand was shown nothing that a search can be tried on.
    barren: HashMap<Id, Duration>,
    /// Types that were listed for the batch in hand.
    types: HashMap<Id, (Result<Vec<Asset>, TargetError>, Duration)>,
    /// What was done of the batch in hand, by the time that is delivered.
    finished: Vec<(Timestamp, Write, Delivered)>,
    /// What this process made.
    born: HashMap<Id, Duration>,
    /// When a search by tag last found what has it.
    proven: Option<Duration>,
    /// An asset that was made and has another tag than it was made with.
    untagged: Option<Id>,
    posts: Posts,
    /// Whether lists are not narrowed to ids.
    ignores_ids: bool,
}

impl Known {
    /// Nothing that was read is sure to be as it was.
    fn forget(&mut self) {
        self.listing = None;
        self.written.clear();
        self.forget_looks();
    }

    /// What was looked at for a batch.
    fn forget_looks(&mut self) {
        self.read.clear();
        self.told.clear();
        self.unseen.clear();
        self.barren.clear();
        self.types.clear();
    }
}

impl Book {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last full listing, where it is young enough.
    pub(crate) fn listing(&self, clock: &dyn Clock) -> Option<Arc<Listing>> {
        let now = clock.elapsed();
        let known = self.known();
        known.listing.as_ref().filter(|(_, at)| now.saturating_sub(*at) < LISTING_AGE_MAX).map(|(listing, _)| Arc::clone(listing))
    }

    /// Notes a full listing.
    pub(crate) fn listed(&self, clock: &dyn Clock, listing: Arc<Listing>) {
        self.known().listing = Some((listing, clock.elapsed()));
    }

    /// Forgets what people may have changed.
    pub(crate) fn forget(&self) {
        self.known().forget();
    }

    /// Notes what was read for a batch.
    pub(crate) fn read<'a>(&self, clock: &dyn Clock, assets: impl IntoIterator<Item = &'a Asset>) {
        let now = clock.elapsed();
        self.known().read.extend(assets.into_iter().map(|asset| (asset.id, (asset.clone(), now))));
    }

    /// An asset that was read for the batch in hand.
    pub(crate) fn asset(&self, clock: &dyn Clock, id: Id) -> Option<Asset> {
        let now = clock.elapsed();
        self.known().read.get(&id).filter(|(_, at)| now.saturating_sub(*at) < READ_AGE_MAX).map(|(asset, _)| asset.clone())
    }

    /// Whether an asset was read for the batch in hand since then.
    pub(crate) fn is_read_since(&self, id: Id, began: Duration) -> bool {
        self.known().read.get(&id).is_some_and(|(_, at)| *at >= began)
    }

    /// Notes what has a tag.
    pub(crate) fn told(&self, clock: &dyn Clock, tag: &str, assets: &[Asset]) {
        self.known().told.insert(tag.to_owned(), (assets.to_vec(), clock.elapsed()));
    }

    /// What has a tag, as was told for the batch in hand.
    pub(crate) fn tagged(&self, clock: &dyn Clock, tag: &str) -> Option<Vec<Asset>> {
        let now = clock.elapsed();
        self.known().told.get(tag).filter(|(_, at)| now.saturating_sub(*at) < READ_AGE_MAX).map(|(assets, _)| assets.clone())
    }

    /// Notes that a search for a tag showed nothing.
    pub(crate) fn saw_nothing(&self, clock: &dyn Clock, tag: &str) {
        self.known().unseen.insert(tag.to_owned(), clock.elapsed());
    }

    /// Whether a search for a tag showed nothing, for the batch in hand.
    pub(crate) fn is_unseen(&self, clock: &dyn Clock, tag: &str) -> bool {
        let now = clock.elapsed();
        self.known().unseen.get(tag).is_some_and(|at| now.saturating_sub(*at) < READ_AGE_MAX)
    }

    /// Notes that a type shows nothing that a search can be tried on.
    pub(crate) fn found_barren(&self, clock: &dyn Clock, asset_type: Id) {
        self.known().barren.insert(asset_type, clock.elapsed());
    }

    /// Whether a type showed nothing that a search can be tried on, for the batch in hand.
    pub(crate) fn is_barren(&self, clock: &dyn Clock, asset_type: Id) -> bool {
        let now = clock.elapsed();
        self.known().barren.get(&asset_type).is_some_and(|at| now.saturating_sub(*at) < READ_AGE_MAX)
    }

    /// Notes the assets of a type, or why they are not shown.
    pub(crate) fn listed_type(&self, clock: &dyn Clock, asset_type: Id, assets: Result<Vec<Asset>, TargetError>) {
        self.known().types.insert(asset_type, (assets, clock.elapsed()));
    }

    /// The assets of a type as they were listed for the batch in hand.
    pub(crate) fn of_type(&self, clock: &dyn Clock, asset_type: Id) -> Option<Result<Vec<Asset>, TargetError>> {
        let now = clock.elapsed();
        self.known().types.get(&asset_type).filter(|(_, at)| now.saturating_sub(*at) < READ_AGE_MAX).map(|(assets, _)| assets.clone())
    }

    /// The batch is done: the next one reads for itself.
    pub(crate) fn done(&self) {
        let mut known = self.known();
        known.forget_looks();
        known.finished.clear();
    }

    /// Notes that a write is done, though the batch is not: sent again, it is answered from here.
    pub(crate) fn finished(&self, at: Timestamp, write: &Write, delivered: &Delivered) {
        self.known().finished.push((at, write.clone(), delivered.clone()));
    }

    /// What became of a write of the batch in hand.
    pub(crate) fn answer(&self, at: Timestamp, write: &Write) -> Option<Delivered> {
        let known = self.known();
        known.finished.iter().find(|(of, done, _)| *of == at && done == write).map(|(.., delivered)| delivered.clone())
    }

    /// Forgets what was read of an asset for the batch in hand.
    pub(crate) fn unread(&self, id: Id) {
        self.known().read.remove(&id);
    }

    /// Notes that this process made an asset.
    pub(crate) fn made(&self, clock: &dyn Clock, id: Id) {
        let now = clock.elapsed();
        let mut known = self.known();
        known.born.insert(id, now);
        if known.born.len() > FULL_MIN {
            known.born.retain(|_, at| now.saturating_sub(*at) < BORN_AGE_MAX);
        }
    }

    /// Whether this process made it a while ago.
    pub(crate) fn is_young(&self, clock: &dyn Clock, id: Id) -> bool {
        let now = clock.elapsed();
        self.known().born.get(&id).is_some_and(|at| now.saturating_sub(*at) < BORN_AGE_MAX)
    }

    /// Notes that a search by tag found what has it.
    pub(crate) fn prove(&self, clock: &dyn Clock) {
        self.known().proven = Some(clock.elapsed());
    }

    /// Whether what a search by tag does not find is not there.
    pub(crate) fn is_proven(&self, clock: &dyn Clock) -> bool {
        let now = clock.elapsed();
        self.known().proven.is_some_and(|at| now.saturating_sub(at) < PROOF_AGE_MAX)
    }

    /// Notes that a list was not narrowed to the ids that were asked for.
    pub(crate) fn ignores_ids(&self) {
        self.known().ignores_ids = true;
    }

    /// Whether assets have to be read one by one.
    pub(crate) fn reads_singly(&self) -> bool {
        self.known().ignores_ids
    }

    /// Notes an asset that has not the tag that it was made with.
    pub(crate) fn lost_tag(&self, id: Id) {
        self.known().untagged = Some(id);
    }

    /// An asset that has not the tag that it was made with.
    pub(crate) fn untagged(&self) -> Option<Id> {
        self.known().untagged
    }

    /// Notes that assets of these types were taken.
    pub(crate) fn posted(&self, types: impl IntoIterator<Item = Id>) {
        let mut known = self.known();
        for id in types {
            known.posts.forbidden.remove(&id);
            known.posts.taken.insert(id);
        }
    }

    /// Notes that assets of a type may not be written; whether that is all that is known to be so.
    pub(crate) fn forbidden(&self, asset_type: Id) -> bool {
        let posts = &mut self.known().posts;
        posts.taken.remove(&asset_type);
        posts.forbidden.insert(asset_type);
        !posts.taken.is_empty() || posts.forbidden.len() == 1
    }

    /// Notes that nothing has these tags.
    pub(crate) fn absent(&self, clock: &dyn Clock, tags: impl IntoIterator<Item = String>) {
        let now = clock.elapsed();
        let mut known = self.known();
        known.absent.extend(tags.into_iter().map(|tag| (tag, now)));
        if known.absent.len() > FULL_MIN {
            known.absent.retain(|_, at| now.saturating_sub(*at) < ABSENCE_AGE_MAX);
        }
    }

    /// Whether an asset of this tag can be made without a look.
    pub(crate) fn is_free(&self, clock: &dyn Clock, tag: &str) -> bool {
        let now = clock.elapsed();
        let known = self.known();
        !known.doubted.contains_key(tag) && known.absent.get(tag).is_some_and(|at| now.saturating_sub(*at) < ABSENCE_AGE_MAX)
    }

    /// Notes that assets of these tags are about to be made.
    pub(crate) fn sending<'t>(&self, tags: impl IntoIterator<Item = &'t str>) {
        let mut known = self.known();
        // What was looked at before shows none of them.
        known.types.clear();
        known.barren.clear();
        for tag in tags {
            known.absent.remove(tag);
            known.told.remove(tag);
            known.unseen.remove(tag);
            known.doubted.insert(tag.to_owned(), Duration::ZERO);
        }
    }

    /// Notes that no answer came: whatever was sent may be done by now, or soon.
    pub(crate) fn unanswered<'t>(&self, clock: &dyn Clock, tags: impl IntoIterator<Item = &'t str>) {
        let settled_at = clock.elapsed() + SETTLING;
        let mut known = self.known();
        for tag in tags {
            known.doubted.insert(tag.to_owned(), settled_at);
        }
        // What was updated may stand in either form.
        known.forget();
    }

    /// Whether it is not known what became of what was sent with a tag.
    pub(crate) fn is_doubted(&self, tag: &str) -> bool {
        self.known().doubted.contains_key(tag)
    }

    /// Whether it is not known what became of one of these tags, and how long a look would be too early.
    pub(crate) fn doubt(&self, clock: &dyn Clock, tags: &HashSet<String>) -> Option<Duration> {
        let now = clock.elapsed();
        let known = self.known();
        tags.iter().filter_map(|tag| known.doubted.get(tag)).max().map(|settled_at| settled_at.saturating_sub(now))
    }

    /// Notes that a look told what has these tags.
    pub(crate) fn looked_up(&self, tags: &HashSet<String>) {
        self.known().doubted.retain(|tag, _| !tags.contains(tag));
    }

    /// Notes what an asset carries since it was written, and how it was shown then.
    pub(crate) fn wrote(&self, clock: &dyn Clock, id: Id, carried: Carried, shown: Option<Asset>) {
        let now = clock.elapsed();
        let mut known = self.known();
        if let Some(tag) = carried.key.as_ref().map(tag) {
            known.doubted.remove(&tag);
            known.absent.remove(&tag);
        }
        known.written.insert(id, (carried, now));
        if known.written.len() > FULL_MIN {
            known.written.retain(|_, (_, at)| now.saturating_sub(*at) < WRITTEN_AGE_MAX);
        }
        match (&mut known.listing, shown.filter(|asset| asset.fields.is_some())) {
            (Some((listing, _)), Some(asset)) => drop(Arc::make_mut(listing).assets.insert(id, asset)),
            (listing, _) => *listing = None,
        }
    }

    /// Notes that an asset was written, and that nobody showed how it stands.
    pub(crate) fn unsure(&self, id: Id) {
        let mut known = self.known();
        known.written.remove(&id);
        known.listing = None;
    }

    /// Notes that an asset was removed.
    pub(crate) fn removed(&self, id: Id) {
        let mut known = self.known();
        known.written.remove(&id);
        if let Some((listing, _)) = &mut known.listing {
            Arc::make_mut(listing).assets.remove(&id);
        }
    }

    /// What an asset carries, where this process wrote it a while ago.
    pub(crate) fn carried(&self, clock: &dyn Clock, id: Id) -> Option<Carried> {
        let now = clock.elapsed();
        let known = self.known();
        known.written.get(&id).filter(|(_, at)| now.saturating_sub(*at) < WRITTEN_AGE_MAX).map(|(carried, _)| carried.clone())
    }
}
