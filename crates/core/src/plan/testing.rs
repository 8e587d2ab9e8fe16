//! A small world for this module's tests: a target that stores what it is sent, and an estate to plan from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::doctor::Finding;
use crate::estate::{Disposition, End, EndCause, Estate, EstateId, Fence, Known, KnownEdge, KnownScope, Stage};
use crate::lifecycle::{Timers, Verdicts};
use crate::model::{Attributes, Digest, EdgeId, Key, Kind, Outcome, Provider, Receipt, RelationType, Resource, Scope, TargetName};
use crate::ownership::Ownership;
use crate::target::*;

pub(crate) const DAY: i64 = 86_400;

/// Seconds after the tests' epoch.
pub(crate) fn at(seconds: i64) -> Timestamp {
    "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

pub(crate) fn key(name: &str) -> Key {
    Key::aws(&format!("arn:aws:ec2:eu-west-1:1:thing/{name}")).unwrap()
}

pub(crate) fn edge(from: &str, to: &str) -> EdgeId {
    EdgeId { from: key(from), relation: RelationType::RoutesTo, to: key(to) }
}

pub(crate) struct FakeTarget {
    pub(crate) name: TargetName,
    pub(crate) mapping: u8,
    /// Whether its full reads tell of `routes_to` edges.
    pub(crate) tells: bool,
    /// Whether it tells how much is attached to machines.
    pub(crate) counts: bool,
}

fn field(value: Value, authority: Authority) -> DesiredField {
    DesiredField { value, authority, volatile: false, identifying: false }
}

#[async_trait]
impl Target for FakeTarget {
    fn name(&self) -> &TargetName {
        &self.name
    }

    fn adapt(&self, ci: &Ci) -> Option<Adapted> {
        if ci.kind == Kind::Zone {
            return None;
        }
        let attribute = |name: &str| ci.attributes.get(name).cloned();
        let mut fields = BTreeMap::new();
        fields.insert("name".to_owned(), DesiredField { identifying: true, ..field(json!(ci.name), Authority::Owned) });
        let status = match ci.stage {
            Stage::Retired => "ended",
            Stage::Inactive => "off",
            _ => "on",
        };
        fields.insert("status".to_owned(), field(json!(status), Authority::Transition));
        let plain = [
            ("size", Authority::Owned),
            ("notes", Authority::Initial),
            ("group", Authority::IfEmpty),
            ("serial", Authority::Report),
            ("owner", Authority::Owned),
        ];
        for (name, authority) in plain {
            if let Some(value) = attribute(name) {
                fields.insert(name.to_owned(), field(value, authority));
            }
        }
        if let Some(attached) = ci.attached {
            fields.extend(attached.volumes.map(|count| ("disks".to_owned(), field(json!(count), Authority::Owned))));
        }
        if let Some(value) = attribute("member_count") {
            fields.insert("members".to_owned(), DesiredField { volatile: true, ..field(value, Authority::Owned) });
        }
        let mut failed = BTreeMap::new();
        for name in ci.tags.get("fails").into_iter().flat_map(|names| names.split(' ')) {
            fields.remove(name);
            failed.insert(name.to_owned(), "it has no value".to_owned());
        }
        Some(Adapted { class: format!("c_{}", ci.kind), fields, failed })
    }

    fn relates(&self, relation: RelationType, _: Kind, _: Kind) -> bool {
        relation != RelationType::LocatedIn
    }

    fn tells(&self, relation: RelationType, _: Kind, _: Kind) -> bool {
        self.tells || relation != RelationType::RoutesTo
    }

    fn counts_attached(&self) -> bool {
        self.counts
    }

    fn is_host(&self, kind: Kind) -> bool {
        kind == Kind::Account
    }

    fn mapping_digest(&self) -> Digest {
        Digest::of_parts([[self.mapping].as_slice()])
    }

    async fn fingerprint(&self, _: Option<Acquaintance<'_>>) -> Result<Fingerprint, TargetError> {
        Err(self.no())
    }

    async fn find(&self, _: &[Identity]) -> BTreeMap<Key, Result<Vec<FoundRecord>, TargetError>> {
        BTreeMap::new()
    }

    async fn read(&self, _: Option<&str>) -> Result<Page, TargetError> {
        Err(self.no())
    }

    async fn apply(&self, _: &[Write], _: &Sending<'_>) -> Result<Vec<Result<Delivered, TargetError>>, TargetError> {
        Err(self.no())
    }

    fn batch_size(&self) -> usize {
        1
    }

    async fn doctor(&self) -> Vec<Finding> {
        Vec::new()
    }
}

impl FakeTarget {
    pub(crate) fn no(&self) -> TargetError {
        TargetError::Unreachable { target: self.name.clone(), operation: "find", text: "planning asks no target".to_owned() }
    }
}

/// Everything a plan is made from, and the target's rows.
pub(crate) struct World {
    pub(crate) target: FakeTarget,
    pub(crate) include: Include,
    pub(crate) adopt: Adopt,
    pub(crate) purge: Purge,
    pub(crate) authority: BTreeMap<String, Authority>,
    pub(crate) max_records: Option<u64>,
    pub(crate) estate: Estate,
    pub(crate) proposed: BTreeMap<Key, Reason>,
    pub(crate) state: TargetState,
    pub(crate) timers: Timers,
    /// What the rules say; nothing but the timers where it is `None`.
    pub(crate) verdicts: Option<Verdicts>,
    pub(crate) now: Timestamp,
    pub(crate) limits: Limits,
    pub(crate) disowned: BTreeSet<Scope>,
    pub(crate) recovering: bool,
    pub(crate) ours: EstateId,
    /// What the target answers about creates; nothing found for keys that are not here.
    pub(crate) answers: BTreeMap<Key, Result<Vec<FoundRecord>, TargetError>>,
}

impl World {
    pub(crate) fn new() -> Self {
        let name: TargetName = "cmdb".parse().unwrap();
        Self {
            target: FakeTarget { name: name.clone(), mapping: 0, tells: true, counts: false },
            include: Include { kinds: [Kind::Instance, Kind::Pool, Kind::SecurityGroup, Kind::Zone].into(), when: None },
            adopt: Adopt::Never,
            purge: Purge::Keep,
            authority: BTreeMap::new(),
            max_records: None,
            estate: Estate::default(),
            proposed: BTreeMap::new(),
            state: TargetState {
                target: name,
                paused: false,
                records: BTreeMap::new(),
                edges: BTreeMap::new(),
                tallies: Vec::new(),
                verdicts: BTreeMap::new(),
            },
            timers: Timers::default(),
            verdicts: None,
            now: at(0),
            limits: Limits::default(),
            disowned: BTreeSet::new(),
            recovering: false,
            ours: EstateId("ours".to_owned()),
            answers: BTreeMap::new(),
        }
    }

    /// A world whose target has held `count` instances since long before the window.
    pub(crate) fn with_instances(count: usize) -> Self {
        let mut world = Self::new();
        world.now = at(-10 * DAY);
        for number in 0..count {
            world.add(&format!("i-{number:03}"), Kind::Instance);
        }
        let _ = world.sync();
        world.now = at(0);
        world
    }

    pub(crate) fn add(&mut self, name: &str, kind: Kind) -> &mut Known {
        self.add_in(name, kind, "1")
    }

    pub(crate) fn add_in(&mut self, name: &str, kind: Kind, account: &str) -> &mut Known {
        let key = key(name);
        let resource = Resource {
            key: key.clone(),
            kind,
            provider: Provider::Aws,
            native_id: name.to_owned(),
            account: account.parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            name: Some(name.to_owned()),
            state: (kind == Kind::Instance).then(|| "running".to_owned()),
            tags: BTreeMap::new(),
            created_at: None,
            observed_at: None,
            attributes: Attributes::new(),
            derived: false,
            extra: serde_json::Map::new(),
        };
        let mut known = Known::new(resource, self.now, Fence(1));
        known.disposition = Disposition::Record;
        known.stage = Stage::Active;
        self.estate.resources.entry(key).insert_entry(known).into_mut()
    }

    pub(crate) fn known(&mut self, name: &str) -> &mut Known {
        self.estate.resources.get_mut(&key(name)).unwrap()
    }

    pub(crate) fn row(&self, name: &str) -> &RecordBrief {
        &self.state.records[&key(name)]
    }

    pub(crate) fn set(&mut self, name: &str, attribute: &str, value: Value) {
        let known = self.known(name);
        Arc::make_mut(&mut known.resource).attributes.insert(attribute.to_owned(), value);
        news(known);
    }

    pub(crate) fn unset(&mut self, name: &str, attribute: &str) {
        let known = self.known(name);
        Arc::make_mut(&mut known.resource).attributes.remove(attribute);
        news(known);
    }

    pub(crate) fn tag(&mut self, name: &str, tag: &str, value: &str) {
        let known = self.known(name);
        Arc::make_mut(&mut known.resource).tags.insert(tag.to_owned(), value.to_owned());
        news(known);
    }

    pub(crate) fn untag(&mut self, name: &str, tag: &str) {
        let known = self.known(name);
        Arc::make_mut(&mut known.resource).tags.remove(tag);
        news(known);
    }

    pub(crate) fn rename(&mut self, name: &str, to: &str) {
        let known = self.known(name);
        Arc::make_mut(&mut known.resource).name = Some(to.to_owned());
        news(known);
    }

    /// Absent for long enough, and proposed for retirement.
    pub(crate) fn propose(&mut self, name: &str) {
        let known = self.known(name);
        known.stage = Stage::Missing;
        known.fence.0 += 1;
        if known.missing == 0 {
            news(known);
        }
        known.missing += 1;
        let reason = Reason { rule: "retire_after".to_owned(), text: "absent".to_owned() };
        self.proposed.insert(key(name), reason);
    }

    /// A complete listing of a scope shows nothing any more.
    pub(crate) fn empty(&mut self, scope: &Scope) {
        let receipt = Receipt {
            source: "aws".parse().unwrap(),
            outcome: Outcome::Complete,
            count: Some(0),
            error: None,
            extra: serde_json::Map::new(),
        };
        let known = KnownScope {
            source: receipt.source.clone(),
            receipt,
            fence: Fence(1),
            at: self.now,
            complete_at: Some(self.now),
            complete_fence: Fence(1),
            accepted: None,
            retire: false,
            emptied: true,
        };
        self.estate.scopes.insert(scope.clone(), known);
    }

    /// A look-up found it gone.
    pub(crate) fn confirm(&mut self, name: &str) {
        let now = self.now;
        self.proposed.remove(&key(name));
        let known = self.known(name);
        known.stage = Stage::Retired;
        known.end = Some(End { at: now, cause: EndCause::Absent });
    }

    /// The provider says that it has ended.
    pub(crate) fn terminate(&mut self, name: &str) {
        let now = self.now;
        let known = self.known(name);
        Arc::make_mut(&mut known.resource).state = Some("terminated".to_owned());
        known.stage = Stage::Retired;
        known.end = Some(End { at: now, cause: EndCause::Stated });
        news(known);
    }

    pub(crate) fn show_again(&mut self, name: &str) {
        self.proposed.remove(&key(name));
        let now = self.now;
        let known = self.known(name);
        known.stage = Stage::Active;
        known.missing = 0;
        known.end = None;
        known.last_seen = now;
        news(known);
    }

    pub(crate) fn relate(&mut self, from: &str, to: &str) {
        let known = KnownEdge { attributes: Attributes::new(), derived: false, extra: serde_json::Map::new(), fence: Fence(1) };
        self.estate.edges.insert(edge(from, to), known);
    }

    pub(crate) fn input<R>(&self, look: impl FnOnce(&Input<'_>) -> R) -> R {
        let terms = Terms {
            target: &self.target,
            include: &self.include,
            adopt: self.adopt,
            purge: self.purge,
            authority: &self.authority,
            max_records: self.max_records,
        };
        let verdicts = self.verdicts.clone().unwrap_or_else(|| Verdicts::uniform(&self.timers));
        let ownership = Ownership::default();
        let all = Members::default();
        let attachments = if self.target.counts_attached() { attachments(&self.estate) } else { Attachments::default() };
        let input = Input {
            terms: &terms,
            estate: &self.estate,
            proposed: &self.proposed,
            state: &self.state,
            members: &all,
            attachments: &attachments,
            ownership: &ownership,
            verdicts: &verdicts,
            at: self.now,
        };
        look(&Input { members: &members(&input), ..input })
    }

    pub(crate) fn draft(&self) -> Draft {
        self.input(|input| {
            let draft = draft(input);
            let mut answers = self.answers.clone();
            for identity in identities(input) {
                answers.entry(identity.key).or_insert_with(|| Ok(Vec::new()));
            }
            draft.adopt(input, &self.ours, &answers)
        })
    }

    pub(crate) fn plan(&self) -> Guarded {
        let draft = self.draft();
        let guards = Guards { limits: &self.limits, disowned: &self.disowned, recovering: self.recovering };
        self.input(|input| guard(draft, input, &guards))
    }

    /// Plans as it would be without guardrails: the damage.
    pub(crate) fn unguarded(&self) -> Vec<Change> {
        self.draft().changes().cloned().collect()
    }

    /// Plans, applies, and gives the plan.
    pub(crate) fn sync(&mut self) -> Guarded {
        let plan = self.plan();
        self.apply(&plan);
        plan
    }

    /// What a delivery engine and a ledger make of a plan, when every delivery succeeds.
    pub(crate) fn apply(&mut self, plan: &Guarded) {
        let now = self.now;
        for (key, row) in &plan.bindings {
            self.state.records.insert(key.clone(), row.clone());
        }
        for (key, basis) in &plan.settled {
            let row = self.state.records.get_mut(key).unwrap();
            row.basis = Some(*basis);
            row.state = DeliveryState::Delivered;
        }
        for key in &plan.forgotten {
            self.state.records.remove(key);
        }
        for edge in &plan.forgotten_edges {
            self.state.edges.remove(edge);
        }
        let approved = self.state.approved();
        for change in &plan.changes {
            self.state.tallies.extend(tallies(change, &self.limits, &approved, now));
            match &change.relation {
                Some(edge) => self.apply_edge(change, edge),
                None => self.apply_record(change),
            }
        }
    }

    fn apply_edge(&mut self, change: &Change, edge: &EdgeId) {
        if change.change == ChangeKind::Unrelate {
            self.state.edges.remove(edge);
            return;
        }
        for end in [&edge.from, &edge.to] {
            assert!(self.state.records[end].is_live(), "an edge to a record that is not there: {edge:?}");
        }
        let row = RecordEdge::related(self.state.edges.get(edge), change.basis, self.now);
        self.state.edges.insert(edge.clone(), row);
    }

    fn apply_record(&mut self, change: &Change) {
        let now = self.now;
        let previous = self.state.records.get(&change.key);
        let fields = previous.filter(|row| row.exists()).and_then(|row| row.fields.clone()).unwrap_or_default();
        let is_new = matches!(change.change, ChangeKind::Create | ChangeKind::Adopt);
        let row = RecordBrief {
            record: Some(change.record.clone().unwrap_or_else(|| RecordId(format!("r-{}", change.key)))),
            class: change.class.clone(),
            kind: change.kind,
            account: change.account.clone(),
            state: match change.change {
                ChangeKind::Retire => DeliveryState::Retired,
                ChangeKind::Purge => DeliveryState::Purged,
                _ => DeliveryState::Delivered,
            },
            revision: change.revision + 1,
            basis: Some(change.basis),
            created_at: if is_new { Some(now) } else { previous.and_then(|row| row.created_at) },
            retired_at: match change.change {
                ChangeKind::Retire => Some(now),
                ChangeKind::Purge => previous.and_then(|row| row.retired_at),
                _ => None,
            },
            delivered_at: Some(now),
            beat_at: previous.and_then(|row| row.beat_at),
            refusal: None,
            contributed: match change.change {
                ChangeKind::Adopt => self.adopt == Adopt::Contribute,
                _ => previous.is_some_and(|row| row.contributed),
            },
            carries: None,
            fields: Some(delivered_fields(&fields, change)),
        };
        self.state.records.insert(change.key.clone(), row);
        if matches!(change.change, ChangeKind::Retire | ChangeKind::Purge) {
            self.state.edges.retain(|edge, _| edge.from != change.key && edge.to != change.key);
        }
    }

    /// Says the same of every change of a hold.
    pub(crate) fn say(&mut self, hold: &Hold, verdict: VerdictKind) {
        let verdicts = hold.verdicts(verdict, self.now);
        self.state.verdicts.extend(verdicts.into_iter().map(|verdict| (verdict.change, verdict)));
    }
}

/// A read that told something new.
fn news(known: &mut Known) {
    known.fence.0 += 1;
    known.news_fence = known.fence;
    known.digest = known.resource.digest().unwrap();
}

pub(crate) fn stranger(id: &str, fields: &[(&str, Value)]) -> FoundRecord {
    FoundRecord {
        id: RecordId(id.to_owned()),
        class: "c_instance".to_owned(),
        external_id: None,
        estate: None,
        delivered_at: None,
        retired: false,
        subject: None,
        fields: fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        edges: None,
    }
}

/// `change key` of each change, in order.
pub(crate) fn words(changes: &[Change]) -> Vec<String> {
    let name = |key: &Key| key.as_str().rsplit('/').next().unwrap_or_default().to_owned();
    let word = |change: &Change| match &change.relation {
        Some(edge) => format!("{} {}>{}", change.change, name(&edge.from), name(&edge.to)),
        None => format!("{} {}", change.change, name(&change.key)),
    };
    changes.iter().map(word).collect()
}

pub(crate) fn hours(hours: i64) -> i64 {
    hours * 3600
}

pub(crate) fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}
