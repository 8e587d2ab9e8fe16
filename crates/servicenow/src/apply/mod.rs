//! Sending writes: checked against the marks on the records, put into payloads, and answered one by one.

mod asking;
mod removal;
mod values;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dewpoint_core::estate::EstateId;
use dewpoint_core::model::{Key, Kind};
use dewpoint_core::target::{Addressed, Delivered, End, Foreseen, Operation, RecordId, Sending, TargetError, Write};
use serde_json::Value;

use crate::book::{Book, Mark};
use crate::config::BATCH_SIZE_MAX;
use crate::ire::{self, Item, Report};
use crate::mapping::{self, EdgeParent, HostParent, TAGS};
use crate::payload::{Beside, Draft, Entry, Place, Stamp};
use crate::places::{Host, PlaceName, Places, Site};
use crate::records::Reader;
use crate::references::{References, Resolved};
use crate::rules::{Facts, Rules};

/// What was learnt of the instance since the target was made.
#[derive(Clone, Copy)]
pub(crate) struct Learnt<'a> {
    pub(crate) places: &'a Places,
    pub(crate) references: &'a References,
    pub(crate) rules: &'a Rules,
}

/// One batch on its way.
pub(crate) struct Batch<'a> {
    pub(crate) reader: Reader<'a>,
    learnt: Learnt<'a>,
    pub(crate) writes: &'a [Write],
    pub(crate) sending: &'a Sending<'a>,
    answers: Vec<Option<Result<Delivered, TargetError>>>,
    /// What is to be told of each write beside its answer.
    told: Vec<Told>,
    /// Records that this batch made, by key.
    born: HashMap<Key, RecordId>,
    /// Creates that the engine took for records that somebody else made.
    taken: Vec<(usize, RecordId)>,
    /// Of a batch that is only asked about, what the instance would do with each write.
    foreseen: Option<Vec<Option<Foreseen>>>,
}

/// What writes rest on.
struct Ground {
    places: Grounds,
    resolved: Resolved,
    /// What the instance makes of the classes that are written to.
    facts: Facts,
    /// Records to be taken over that hang on nothing yet.
    unhosted: BTreeSet<RecordId>,
}

/// Where creates lie: places that were made, or, where nothing may be, what stands of them.
enum Grounds {
    Places(BTreeMap<PlaceName, Result<crate::places::Place, TargetError>>),
    Sites(BTreeMap<PlaceName, Result<Site, TargetError>>),
}

/// What became of single fields of a write.
#[derive(Debug, Clone, Default)]
struct Told {
    /// In the instance's own shape.
    sent: BTreeMap<String, Value>,
    /// Left as they were, and why.
    left: BTreeMap<String, String>,
    /// Another source keeps the record alive: its end is not written.
    is_kept: bool,
}

type Answers = Vec<Result<Delivered, TargetError>>;

/// Most items of one payload.
const ITEMS_MAX: usize = BATCH_SIZE_MAX as usize;

/// Why a record is not the one that is meant.
pub(crate) fn misplaced(book: &Book, estate: &EstateId, addressed: &Addressed, key: &Key, take_over: bool) -> Option<String> {
    let id = &addressed.record.0;
    match (&addressed.carries, book.mark(&addressed.record)) {
        (Some(_), None) => Some(format!("record {id} does not carry our mark, or is gone")),
        (Some(_), Some(mark)) if mark.estate != *estate => Some(format!("record {id} is another estate's")),
        (Some(carried), Some(mark)) if mark.key != *carried && mark.key != *key => {
            Some(format!("record {id} stands for {} by now", mark.key))
        }
        (None, Some(mark)) if mark.estate != *estate || (take_over && mark.key != *key) => {
            Some(format!("record {id} is somebody's by now"))
        }
        (None, Some(_)) if !take_over => Some(format!("record {id} is ours, and no stranger's")),
        _ => None,
    }
}

impl<'a> Batch<'a> {
    pub(crate) fn new(reader: Reader<'a>, learnt: Learnt<'a>, writes: &'a [Write], sending: &'a Sending<'a>) -> Self {
        Self {
            reader,
            learnt,
            writes,
            sending,
            answers: vec![None; writes.len()],
            told: vec![Told::default(); writes.len()],
            born: HashMap::new(),
            taken: Vec::new(),
            foreseen: None,
        }
    }

    /// Sends it all.
    pub(crate) async fn send(mut self) -> Result<Answers, TargetError> {
        self.ask().await?;
        self.check();
        self.find_again().await?;
        self.ask_others().await?;
        self.reconcile().await?;
        self.give_back().await?;
        self.forget_old_keys().await;
        self.remove_tags().await?;
        self.unrelate().await?;
        self.purge().await?;
        self.forget_edges().await?;
        let left_out = || self.reader.api.unreachable("reconcile", "the answer leaves this record out".to_owned());
        Ok(self.answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(left_out()))).collect())
    }

    fn is_open(&self, number: usize) -> bool {
        self.answers.get(number).is_some_and(Option::is_none)
    }

    fn answer(&mut self, number: usize, answer: Result<Delivered, TargetError>) {
        if let Some(slot) = self.answers.get_mut(number) {
            *slot = Some(answer);
        }
    }

    fn reject(&mut self, number: usize, text: String) {
        let error = self.reader.api.rejected(text);
        self.answer(number, Err(error));
    }

    /// Learns whose the records are that are spoken of.
    async fn ask(&self) -> Result<(), TargetError> {
        let mut records: BTreeSet<&RecordId> = BTreeSet::new();
        let mut keys: BTreeSet<&Key> = BTreeSet::new();
        for write in self.writes {
            records.extend(write.place.hosts.iter().filter_map(|host| Some(&host.record.standing()?.record)));
            match &write.operation {
                Operation::Create { .. } => drop(keys.insert(&write.key)),
                Operation::Update { record, .. } | Operation::Purge { record } => drop(records.insert(&record.record)),
                Operation::Relate { from, to, .. } => {
                    records.extend([from, to].into_iter().filter_map(End::standing).map(|end| &end.record));
                }
                Operation::Unrelate { from, to, .. } => records.extend([&from.record, &to.record]),
            }
        }
        self.reader.ask_marks(records).await?;
        self.reader.ask_classes(self.strangers()).await?;
        self.reader.ask_keys(&keys).await?;
        let former = keys.iter().filter_map(|key| Some(self.reader.book.former(key)?.0));
        let standing: Vec<RecordId> = keys.iter().filter_map(|key| self.reader.book.record(key)).chain(former).collect();
        self.reader.ask_whether_there(standing).await
    }

    /// Strangers' records to which edges lead, or beside which something is made. Items name the class that a record has.
    fn strangers(&self) -> BTreeSet<&RecordId> {
        let mut strangers = BTreeSet::new();
        for write in self.writes {
            let hosts = write.place.hosts.iter().map(|host| &host.record);
            let ends = match &write.operation {
                Operation::Relate { from, to, .. } => vec![from, to],
                _ => Vec::new(),
            };
            let standing = hosts.chain(ends).filter_map(End::standing).filter(|end| end.carries.is_none());
            strangers.extend(standing.map(|end| &end.record));
        }
        strangers
    }

    /// Refuses what stands elsewhere than it should.
    fn check(&mut self) {
        for (number, write) in self.writes.iter().enumerate() {
            let refusal = match &write.operation {
                Operation::Create { .. } => match (self.standing(&write.key), self.reader.book.former(&write.key)) {
                    (Some((record, mark)), _) => {
                        let is_theirs = mark.estate != *self.sending.estate;
                        is_theirs.then(|| format!("record {} carries this key for another estate", record.0))
                    }
                    (None, Some((record, row))) => Some(format!(
                        "the instance would take it for record {}, which stood for it once and stands for another machine by now: an administrator removes \
                         row {row} of `sys_object_source`",
                        record.0
                    )),
                    (None, None) => None,
                },
                Operation::Update { record, retired, take_over, .. } => {
                    let is_end = *retired == Some(true) && record.carries.is_none();
                    if is_end && !take_over {
                        Some("a stranger's record is not retired".to_owned())
                    } else {
                        self.misplaced(record, &write.key, *take_over)
                    }
                }
                Operation::Purge { record } if record.carries.is_none() => Some("a stranger's record is not removed".to_owned()),
                // One that is gone is looked after when it is removed.
                Operation::Purge { record } if self.reader.book.mark(&record.record).is_some() => self.misplaced(record, &write.key, false),
                Operation::Purge { .. } => None,
                Operation::Relate { edge, from, to, .. } => {
                    let end = |end: &End, key: &Key| end.standing().and_then(|addressed| self.misplaced(addressed, key, false));
                    end(from, &edge.from).or_else(|| end(to, &edge.to))
                }
                // What carries no mark is gone, or is not ours: looked at when the edge is removed.
                Operation::Unrelate { edge, from, to, .. } => [(from, &edge.from), (to, &edge.to)]
                    .into_iter()
                    .filter(|(end, _)| self.reader.book.mark(&end.record).is_some())
                    .find_map(|(end, key)| self.misplaced(end, key, false)),
            };
            if let Some(text) = refusal {
                self.reject(number, text);
            }
        }
    }

    /// The record of ours that carries a key.
    fn standing(&self, key: &Key) -> Option<(RecordId, Mark)> {
        let record = self.reader.book.record(key)?;
        let mark = self.reader.book.mark(&record)?;
        Some((record, mark))
    }

    fn misplaced(&self, addressed: &Addressed, key: &Key, take_over: bool) -> Option<String> {
        misplaced(self.reader.book, self.sending.estate, addressed, key, take_over)
    }

    fn stamp(&self) -> Stamp<'a> {
        let reader = &self.reader;
        Stamp { source: &reader.api.source, estate: self.sending.estate, at: self.sending.at }
    }

    async fn reconcile(&mut self) -> Result<(), TargetError> {
        let unhosted = self.unhosted().await?;
        let ground = Ground {
            places: self.find_places(&unhosted).await?,
            resolved: self.resolve_references().await?,
            facts: self.facts().await?,
            unhosted,
        };
        let open = (0..self.writes.len()).filter(|number| self.is_open(*number)).collect();
        let later = self.reconcile_these(open, &ground).await?;
        self.reconcile_these(later, &ground).await.map(drop)
    }

    /// Sends these writes. Gives back those that have to wait for what they were sent with.
    async fn reconcile_these(&mut self, numbers: Vec<usize>, ground: &Ground) -> Result<Vec<usize>, TargetError> {
        let mut draft = Draft::default();
        let mut later = Vec::new();
        for number in numbers {
            if draft.len() + 3 > ITEMS_MAX {
                self.flush(std::mem::take(&mut draft), ground).await?;
            }
            self.put(number, &mut draft, ground, &mut later);
        }
        self.flush(draft, ground).await?;
        Ok(later)
    }

    /// The places that creates lie in.
    async fn find_places(&self, unhosted: &BTreeSet<RecordId>) -> Result<Grounds, TargetError> {
        let mut names = BTreeSet::new();
        for (number, write) in self.writes.iter().enumerate() {
            match &write.operation {
                Operation::Create { .. } => {}
                Operation::Update { record, take_over: true, .. } if unhosted.contains(&record.record) => {}
                _ => continue,
            }
            let beside = self.reader.mapping.beside(write.kind).map(|(beside, _)| beside);
            let account = &write.place.account;
            let region = match beside {
                Some(mapping::Beside::Account) => dewpoint_core::model::Region::any(),
                Some(mapping::Beside::Datacenter) => write.place.region.clone(),
                _ => continue,
            };
            if self.is_open(number) && self.standing(&write.key).is_none() && self.made_host(write, beside).is_none() {
                names.insert((write.key.provider(), account.clone(), region));
            }
        }
        if self.foreseen.is_some() {
            return Ok(Grounds::Sites(self.learnt.places.sites(&self.reader, &names).await?));
        }
        Ok(Grounds::Places(self.learnt.places.ready(&self.reader, &names, self.sending.estate, self.sending.at).await?))
    }

    /// Records to be taken over that nothing is the host of: people make records without.
    async fn unhosted(&self) -> Result<BTreeSet<RecordId>, TargetError> {
        let mut unhosted = BTreeSet::new();
        let mut by_relation: BTreeMap<(&str, bool), BTreeSet<&str>> = BTreeMap::new();
        for (number, write) in self.writes.iter().enumerate() {
            if let (true, Operation::Update { record, take_over: true, .. }) = (self.is_open(number), &write.operation)
                && let Some((_, relation)) = self.reader.mapping.beside(write.kind)
            {
                by_relation.entry((&relation.kind, relation.parent == HostParent::Host)).or_default().insert(&record.record.0);
            }
        }
        for ((kind, is_child), ids) in by_relation {
            let (own, other) = if is_child { ("child", "parent") } else { ("parent", "child") };
            let linked = self.reader.linked(ids.iter().copied(), own, other, kind).await?;
            unhosted.extend(ids.into_iter().filter(|id| !linked.contains_key(*id)).map(|id| RecordId(id.to_owned())));
        }
        Ok(unhosted)
    }

    /// The account or region that a write hangs on, where this batch makes it.
    fn made_host(&self, write: &Write, beside: Option<mapping::Beside>) -> Option<&Key> {
        let kind = match beside? {
            mapping::Beside::Account => Kind::Account,
            mapping::Beside::Datacenter => Kind::Region,
            _ => return None,
        };
        let is_it = |other: &&Write| {
            other.kind == kind
                && other.key.provider() == write.key.provider()
                && other.place.account == write.place.account
                && (kind == Kind::Account || other.place.region == write.place.region)
                && matches!(other.operation, Operation::Create { .. })
                && self.standing(&other.key).is_none()
        };
        self.writes.iter().find(is_it).map(|other| &other.key)
    }

    /// The class that a create or an update is written to: that of the record where one stands there.
    pub(super) fn class_written(&self, write: &Write) -> Option<String> {
        let (class, record) = match &write.operation {
            Operation::Create { class, .. } => (class, self.reader.book.record(&write.key)),
            Operation::Update { class, record, .. } => (class, Some(record.record.clone())),
            _ => return None,
        };
        let mark = record.and_then(|record| self.reader.book.mark(&record));
        Some(mark.map(|mark| mark.class).filter(|class| !class.is_empty()).unwrap_or_else(|| class.clone()))
    }

    /// Puts a write into a payload, or answers it.
    fn put(&mut self, number: usize, draft: &mut Draft, ground: &Ground, later: &mut Vec<usize>) {
        let Some(write) = self.writes.get(number) else { return };
        let seen_at = write.place.seen_at.unwrap_or(self.sending.at);
        let stamp = self.stamp();
        match &write.operation {
            Operation::Create { class, fields, .. } => {
                let standing = self.standing(&write.key).map(|(record, _)| record).or_else(|| self.born.get(&write.key).cloned());
                let beside = if standing.is_some() { None } else { self.reader.mapping.beside(write.kind) };
                let beside = match beside {
                    None => None,
                    Some((beside, relation)) => match self.beside(write, beside, &ground.places, draft) {
                        Ok(host) => Some((host, relation)),
                        Err(error) => {
                            self.answer(number, Err(error));
                            return;
                        }
                    },
                };
                let (values, tags) = self.values(number, fields, None, ground);
                let entry = Entry { key: &write.key, class, record: standing.as_ref(), values, tags, seen_at, is_ours: true };
                draft.write(number, &entry, beside.as_ref().map(|(host, relation)| (host, *relation)), &stamp);
            }
            Operation::Update { record, class, fields, retired, take_over, .. } => {
                let (values, tags) = self.values(number, fields, *retired, ground);
                let standing = self.class_written(write);
                let class = standing.as_deref().unwrap_or(class);
                let is_ours = *take_over || record.carries.is_some();
                let entry = Entry { key: &write.key, class, record: Some(&record.record), values, tags, seen_at, is_ours };
                let beside = self.reader.mapping.beside(write.kind).filter(|_| ground.unhosted.contains(&record.record));
                // What it would hang on may not be there: the record stands without.
                let beside =
                    beside.and_then(|(beside, relation)| Some((self.beside(write, beside, &ground.places, draft).ok()?, relation)));
                draft.write(number, &entry, beside.as_ref().map(|(host, relation)| (host, *relation)), &stamp);
            }
            Operation::Relate { edge, from, to, to_kind, .. } => {
                let Some(form) = self.reader.mapping.edge(edge.relation, write.kind, *to_kind) else {
                    self.reject(number, format!("no relationship type is mapped for {}", edge.relation));
                    return;
                };
                let ends = [(from, write.kind), (to, *to_kind)].map(|(end, kind)| self.end(end, kind));
                let starts_at_ours = matches!(ends, [(End::Made(_), ..) | (_, _, true), _]);
                let places = ends.map(|(end, class, is_ours)| draft.end(&end, &class, is_ours, self.sending.at));
                let [Some(from_place), Some(to_place)] = places else {
                    let target = self.reader.api.target().clone();
                    self.answer(number, Err(TargetError::Abandoned { target, text: "an end of the edge was not made".to_owned() }));
                    return;
                };
                let (parent, child) = if form.parent == EdgeParent::From { (from_place, to_place) } else { (to_place, from_place) };
                let (parent_kind, child_kind) =
                    if form.parent == EdgeParent::From { (write.kind, *to_kind) } else { (*to_kind, write.kind) };
                if let Some(host) = self.host_side(form.kind, parent_kind, child_kind)
                    && draft.would_be_second_host(parent, child, host)
                {
                    later.push(number);
                    return;
                }
                draft.edge(number, form.kind, parent, child, &stamp);
                // Columns of strangers' records are theirs.
                if let Some(column) = form.column.filter(|_| starts_at_ours) {
                    draft.refer(from_place, column, to_place);
                }
            }
            Operation::Unrelate { .. } | Operation::Purge { .. } => {}
        }
    }

    /// Of a relationship that identifies one of its ends by the other: which end is the host.
    fn host_side(&self, kind: &str, parent: Kind, child: Kind) -> Option<HostParent> {
        let hangs = |guest: Kind, host: Kind, side: HostParent| {
            self.reader.mapping.beside(guest).is_some_and(|(beside, relation)| {
                let host_kind = match beside {
                    mapping::Beside::Account => Kind::Account,
                    mapping::Beside::Datacenter => Kind::Region,
                    mapping::Beside::Network => Kind::Network,
                    mapping::Beside::LoadBalancer => Kind::LoadBalancer,
                };
                relation.kind == kind && relation.parent == side && host_kind == host
            })
        };
        if hangs(child, parent, HostParent::Host) {
            Some(HostParent::Host)
        } else if hangs(parent, child, HostParent::Guest) {
            Some(HostParent::Guest)
        } else {
            None
        }
    }

    /// The record at an end, with its class and whether it is ours.
    fn end(&self, end: &End, kind: Kind) -> (End, String, bool) {
        let end = match end {
            End::Made(key) => match self.born.get(key).cloned().or_else(|| self.standing(key).map(|(record, _)| record)) {
                Some(record) => End::Stands(Addressed { record, carries: Some(key.clone()) }),
                None => end.clone(),
            },
            stands @ End::Stands(_) => stands.clone(),
        };
        let mark = end.standing().and_then(|addressed| self.reader.book.mark(&addressed.record));
        let class = match &mark {
            Some(mark) => Some(mark.class.clone()).filter(|class| !class.is_empty()),
            None => end.standing().and_then(|addressed| self.reader.book.class(&addressed.record)),
        };
        let class = class.or_else(|| Some(self.reader.mapping.class(kind, dewpoint_core::model::Provider::Aws)?.to_owned()));
        (end, class.unwrap_or_else(|| "cmdb_ci".to_owned()), mark.is_some())
    }

    /// What a record that is to be made is identified beside.
    fn beside(&self, write: &Write, beside: mapping::Beside, places: &Grounds, draft: &mut Draft) -> Result<Beside, TargetError> {
        if let Some(key) = self.made_host(write, Some(beside)) {
            return match self.born.get(key) {
                None => Ok(Beside::New(key.clone())),
                Some(record) => Ok(Beside::Record(self.own_host(record, Kind::Region), None)),
            };
        }
        match beside {
            mapping::Beside::Account | mapping::Beside::Datacenter => {
                let region =
                    if beside == mapping::Beside::Account { dewpoint_core::model::Region::any() } else { write.place.region.clone() };
                let name = (write.key.provider(), write.place.account.clone(), region);
                let nothing = || self.reader.api.rejected(format!("nothing stands for account {}, region {}", name.1, name.2));
                let place = match places {
                    Grounds::Places(places) => places.get(&name).cloned().unwrap_or_else(|| Err(nothing()))?,
                    Grounds::Sites(sites) => {
                        let site = sites.get(&name).cloned().unwrap_or_else(|| Err(nothing()))?;
                        let stamp = self.stamp();
                        let payload = site.payload(&self.reader, stamp.estate, stamp.at);
                        return Ok(draft.site(&site, payload, &stamp));
                    }
                };
                Ok(match place.datacenter {
                    Some(datacenter) => {
                        let above = datacenter.is_ours.then_some(place.account);
                        Beside::Record(datacenter, above)
                    }
                    None => Beside::Record(place.account, None),
                })
            }
            mapping::Beside::Network | mapping::Beside::LoadBalancer => {
                let Some(host) = write.place.hosts.first() else {
                    let what = if beside == mapping::Beside::Network { "its network" } else { "a load balancer that routes to it" };
                    let text = format!(
                        "the instance identifies it beside {what}, of which no record stands there; include that kind, or map this one to a class of its own"
                    );
                    return Err(TargetError::Abandoned { target: self.reader.api.target().clone(), text });
                };
                match self.end(&host.record, host.kind) {
                    (End::Made(key), ..) => Ok(Beside::New(key)),
                    (End::Stands(addressed), class, is_ours) => Ok(Beside::Record(Host { record: addressed.record, class, is_ours }, None)),
                }
            }
        }
    }

    fn own_host(&self, record: &RecordId, kind: Kind) -> Host {
        let class = self.reader.book.mark(record).map(|mark| mark.class).filter(|class| !class.is_empty());
        let class = class.or_else(|| Some(self.reader.mapping.class(kind, dewpoint_core::model::Provider::Aws)?.to_owned()));
        Host { record: record.clone(), class: class.unwrap_or_else(|| "cmdb_ci".to_owned()), is_ours: true }
    }

    /// Sends a payload and takes its answers.
    async fn flush(&mut self, mut draft: Draft, ground: &Ground) -> Result<(), TargetError> {
        if draft.is_empty() {
            return Ok(());
        }
        if self.foreseen.is_some() {
            let report = self.reader.api.identify(&draft.payload).await?;
            for (number, place) in &draft.written {
                let foreseen = self.foresee_one(*number, *place, &report);
                if let Some(slot) = self.foreseen.as_mut().and_then(|all| all.get_mut(*number)) {
                    *slot = foreseen;
                }
            }
            return Ok(());
        }
        if draft.payload.items.iter().any(|item: &Item| item.is_new() && ground.facts.own_rules(&item.class_name).is_some()) {
            let report = self.reader.api.identify(&draft.payload).await?;
            if self.refuse_mistaken(&draft, &ground.facts, &report).await? {
                let numbers: Vec<usize> = draft.written.iter().map(|(number, _)| *number).filter(|number| self.is_open(*number)).collect();
                draft = Draft::default();
                for number in numbers {
                    self.put(number, &mut draft, ground, &mut Vec::new());
                }
                if draft.is_empty() {
                    return Ok(());
                }
            }
        }
        // Made by nobody else: an earlier attempt may have made them without an answer.
        let mut own: BTreeSet<usize> = BTreeSet::new();
        for (number, place) in &draft.written {
            let Place::Item(place) = place else { continue };
            let is_new = draft.payload.items.get(*place).is_some_and(Item::is_new);
            let key = self.writes.get(*number).map(|write| &write.key);
            if !is_new || key.is_some_and(|key| self.reader.book.trying(key)) {
                own.insert(*number);
            }
        }
        let report = self.reader.api.reconcile(&draft.payload).await?;
        if let Some(text) = report.refuses_source(&self.reader.api.source) {
            let hint =
                format!("run `dewpoint bootstrap {0}`: somebody took the discovery source away; then sync again", self.reader.api.target());
            return Err(TargetError::Unusable { target: self.reader.api.target().clone(), text, hint });
        }
        for (number, place) in &draft.written {
            let answer = self.read(*number, *place, &report, own.contains(number));
            self.answer(*number, answer);
        }
        Ok(())
    }

    /// What became of a write. `is_own` says that nobody else can have made its record.
    fn read(&mut self, number: usize, place: Place, report: &Report, is_own: bool) -> Result<Delivered, TargetError> {
        let api = self.reader.api;
        let left_out = || api.unreachable("reconcile", "the answer leaves it out".to_owned());
        let Some(write) = self.writes.get(number) else { return Err(left_out()) };
        let outcome = match place {
            Place::Item(place) => report.item(place),
            Place::Relation(place) => report.relation(place),
        };
        let outcome = outcome.ok_or_else(left_out)?;
        let (id, operation) = outcome.stands().map_err(|failure| match failure.is_consequence() {
            true => TargetError::Abandoned { target: api.target().clone(), text: failure.text },
            false if failure.code == "IDENTIFICATION_RULE_MISSING" => {
                api.rejected(format!("{}: {}, or leave the kind out with `include.kinds`", failure.text, crate::rules::RULE_MISSING_MEND))
            }
            false => api.rejected(failure.text),
        })?;
        if let Operation::Relate { from, .. } = &write.operation {
            let record = match self.end(from, write.kind).0 {
                End::Stands(addressed) => addressed.record,
                End::Made(_) => return Err(left_out()),
            };
            let class = self.reader.book.mark(&record).map(|mark| mark.class).unwrap_or_default();
            return Ok(Delivered::to(record, class));
        }
        let Told { sent, mut left, .. } = self.told.get_mut(number).map(std::mem::take).unwrap_or_default();
        left.extend(outcome.related_failures().into_iter().map(|text| (TAGS.to_owned(), text)));
        let masked = "a reconciliation rule lets another source write it, and not us";
        left.extend(outcome.masked_attributes.iter().map(|field| (field.clone(), masked.to_owned())));
        let record = RecordId(id.to_owned());
        let class = match &write.operation {
            Operation::Create { class, .. } | Operation::Update { class, .. } => {
                outcome.class_name.clone().unwrap_or_else(|| class.clone())
            }
            _ => String::new(),
        };
        if matches!(write.operation, Operation::Create { .. })
            && operation != ire::Operation::Insert
            && !is_own
            && !outcome.is_found_by_source()
        {
            let text = format!("the instance took it for record {id}, which somebody else made: the record has our values now");
            self.taken.push((number, record));
            return Err(api.rejected(text));
        }
        if let (Operation::Create { .. }, Some(mark)) = (&write.operation, self.reader.book.mark(&record))
            && mark.key != write.key
            && !mark.is_scaffold
        {
            return Err(api.rejected(format!("the instance took it for record {id}, which stands for {}", mark.key)));
        }
        let is_ours = match &write.operation {
            Operation::Update { record, take_over, .. } => *take_over || record.carries.is_some(),
            _ => true,
        };
        if is_ours {
            let mark = Mark { key: write.key.clone(), estate: self.sending.estate.clone(), is_scaffold: false, class: class.clone() };
            self.reader.book.wrote(&record, mark);
            self.born.insert(write.key.clone(), record.clone());
        }
        Ok(Delivered { sent, left, ..Delivered::to(record, class) })
    }
}
