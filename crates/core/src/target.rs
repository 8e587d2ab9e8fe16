//! The seam to the CMDBs: what a target must promise.

mod error;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::doctor::Finding;
use crate::estate::{EstateId, Stage};
use crate::model::{Account, Attributes, EdgeId, Key, Kind, Provider, Region, RelationType, Resource, TargetName, vocabulary};

pub use error::{Retry, TargetError};

/// A target's own id of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordId(pub String);

/// The record we want a CMDB to hold, in our own words. A target turns it into its own class and fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Ci {
    /// Identity; also the external id at the target.
    pub key: Key,
    /// Kind.
    pub kind: Kind,
    /// Provider.
    pub provider: Provider,
    /// Account or subscription.
    pub account: Account,
    /// Region.
    pub region: Region,
    /// The provider's own id.
    pub native_id: String,
    /// Display name; the native id where the resource has none.
    pub name: String,
    /// The resource's state in neutral words.
    pub state: Option<String>,
    /// Where it stands in its life.
    pub stage: Stage,
    /// Technical and ownership attributes (`owner`, `support_group`, `cost_center`, `environment`, `service`), volatile ones included.
    pub attributes: Attributes,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Birth of the machine.
    pub created_at: Option<Timestamp>,
    /// How much is attached to the machine, where the target tells of it ([`Target::counts_attached`]).
    pub attached: Option<Attached>,
}

/// How much is attached to a machine. `None` for what no listing ever showed whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attached {
    /// Network interfaces.
    pub interfaces: Option<u64>,
    /// Volumes.
    pub volumes: Option<u64>,
    /// Size of these volumes, in GiB; `None` also where the size of one is not known.
    pub volume_gib: Option<u64>,
}

vocabulary! {
    /// Who may write a field, and when.
    Authority, "field authority" {
        /// Ours: drift is corrected.
        Owned => "owned",
        /// Written at creation, then people's.
        Initial => "initial",
        /// Written only where the target has no value.
        IfEmpty => "if_empty",
        /// Written at creation; a difference is reported, never mended.
        Report => "report",
        /// Written when the stage changes, then people's until it changes again.
        Transition => "transition",
    }
}

vocabulary! {
    /// What to do where a stranger's record stands for the same thing.
    Adopt, "adoption" {
        /// Hold our create and list it.
        Never => "never",
        /// The record becomes ours.
        Match => "match",
        /// Only our fields are written; never retired or purged by us.
        Contribute => "contribute",
    }
}

vocabulary! {
    /// What becomes of retired records.
    Purge, "purge mode" {
        /// They stay.
        Keep => "keep",
        /// They are removed `purge_after` their retirement was delivered.
        Delete => "delete",
    }
}

/// One field of a desired record, in the target's own shape.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredField {
    /// The value. `null` empties the field.
    pub value: Value,
    /// Who may write it.
    pub authority: Authority,
    /// Moves without a cause: sent with the next change, never a reason for one.
    pub volatile: bool,
    /// The target identifies the record by it.
    pub identifying: bool,
}

/// A CI in a target's own form.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapted {
    /// The target's class.
    pub class: String,
    /// Fields by the target's names.
    pub fields: BTreeMap<String, DesiredField>,
    /// Fields of which the mapping failed, and why. Each stays as it is at the target, neither written nor emptied.
    pub failed: BTreeMap<String, String>,
}

/// How to ask a target whether a record for a CI stands there already, ours or a stranger's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Our external id.
    pub key: Key,
    /// Kind.
    pub kind: Kind,
    /// The provider's own id.
    pub native_id: String,
    /// The name that its record has: some things are told apart by it.
    pub name: String,
    /// Account it lies in; of strangers' records with its native id those count that name no other, nor another kind or region.
    pub account: Account,
    /// Region it lies in.
    pub region: Region,
    /// A stranger's record that stood for it, where one was referred to: an answer holds that as well as long as it is there, whatever it is named by now.
    pub record: Option<RecordId>,
}

impl Identity {
    /// The identity of a resource.
    #[must_use]
    pub fn of(resource: &Resource) -> Self {
        let Resource { key, kind, native_id, name, account, region, .. } = resource;
        Self {
            key: key.clone(),
            kind: *kind,
            native_id: native_id.clone(),
            name: name.clone().unwrap_or_else(|| native_id.clone()),
            account: account.clone(),
            region: region.clone(),
            record: None,
        }
    }
}

/// What a record says of the resource that it stands for, where the target keeps that apart from its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Kind.
    pub kind: Kind,
    /// Account or subscription.
    pub account: Account,
    /// Region.
    pub region: Region,
    /// The provider's own id.
    pub native_id: String,
    /// Display name.
    pub name: Option<String>,
}

/// A record as the target shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundRecord {
    /// The target's id.
    pub id: RecordId,
    /// The target's class.
    pub class: String,
    /// Our external id, where it carries one.
    pub external_id: Option<Key>,
    /// The estate id it carries; `None` for a stranger's.
    pub estate: Option<EstateId>,
    /// When we last delivered to it, as the record says.
    pub delivered_at: Option<Timestamp>,
    /// Whether the record says that it is retired.
    pub retired: bool,
    /// The resource it stands for, as far as it says: what recovery needs where the ledger does not know it any more.
    pub subject: Option<Subject>,
    /// Its fields in the target's own shape.
    pub fields: BTreeMap<String, Value>,
    /// In a full read the edges that we delivered and that start here, by type and by the external id of the record where they end: all that
    /// the target tells ([`Target::tells`]) and that end at a record whose own edges are told as well. `None` where nobody can say: in a look-up's
    /// answer, or of a record whose edges the target cannot read.
    pub edges: Option<FoundEdges>,
}

/// Edges of one record ([`FoundRecord::edges`]) with their attributes; `None` where the target keeps none, so that nobody knows what was sent.
pub type FoundEdges = BTreeMap<(RelationType, Key), Option<Attributes>>;

/// What a target is, so that a moved or cloned one is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The instance's, workspace's or tenant's own id.
    pub instance: String,
    /// The newest `delivered_at` among our records, where the target can sort by it.
    pub newest_delivered_at: Option<Timestamp>,
    /// Whose records stand there, where the id of the instance cannot be had.
    pub sample: Sample,
}

/// What a ledger knows of a CMDB that it met before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acquaintance<'a> {
    /// Its [`Fingerprint::instance`].
    pub instance: &'a str,
    /// The estate id that our records there carry.
    pub estate: &'a EstateId,
}

/// A record picked to tell whether this is the CMDB that it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sample {
    /// Nobody looked, or could.
    #[default]
    NotTaken,
    /// No record carries ours.
    Nothing,
    /// One carries this: ours, or, where none carries ours, another ledger's.
    Of(EstateId),
}

/// What a write's record is identified beside: a target's rules may ask for the datacenter and account of a machine, or for the network of a
/// subnet. Account and region are told by their names, since an inventory need not hold them as resources.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Account or subscription.
    pub account: Account,
    /// Region.
    pub region: Region,
    /// When a listing or a look-up last showed the resource; the run's clock where nobody knows.
    pub seen_at: Option<Timestamp>,
    /// The records of what the target wants to see beside it ([`Target::hosts`]), as far as they stand there or are made before it.
    pub hosts: Vec<Host>,
}

/// A record that another one is identified beside.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Its external id.
    pub key: Key,
    /// Its kind.
    pub kind: Kind,
    /// Its record.
    pub record: End,
}

/// A record that a write speaks of.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// One that stands there.
    Stands(Addressed),
    /// The one that an earlier write of the same batch makes ([`Target::together`]).
    Made(Key),
}

impl End {
    /// The record that stands there already.
    #[must_use]
    pub const fn standing(&self) -> Option<&Addressed> {
        match self {
            Self::Stands(addressed) => Some(addressed),
            Self::Made(_) => None,
        }
    }
}

/// An edge of the estate that leads from a resource to the one whose record it is identified beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostEdge {
    /// Its type.
    pub relation: RelationType,
    /// Kind of the host.
    pub kind: Kind,
    /// Whether it starts at the resource; else it starts at the host.
    pub outgoing: bool,
}

/// One write. External id, `estate` and `delivered_at` go onto every record of ours that is written: one that carries another external
/// id gets this one (a machine that kept its life under a new id).
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// The CI; for edges the `from` end.
    pub key: Key,
    /// Its kind.
    pub kind: Kind,
    /// Where it lies.
    pub place: Place,
    /// What to do.
    pub operation: Operation,
}

/// A record that a write goes to, with what must stand there. An id alone may be another record's by now: in another CMDB under the same
/// address, or after people moved things about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressed {
    /// The target's id.
    pub record: RecordId,
    /// The external id that the record carries, beside our estate id; `None` for a stranger's record, which carries no estate id.
    pub carries: Option<Key>,
}

/// What a write does.
///
/// The target refuses a write, and that write only, whose record is there and is not as [`Addressed`]. What carries the write's own key
/// already (for edges that of the edge's end) is right as well: it has been written before.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// A new record. Upsert by the external id: repeating it never makes a second one.
    Create {
        /// The target's class.
        class: String,
        /// The provider's own id.
        native_id: String,
        /// All fields.
        fields: BTreeMap<String, Value>,
    },
    /// Fields of a record: an update, a revival (`retired: Some(false)`), a retirement (`Some(true)`) or an adoption (`take_over`).
    Update {
        /// The record.
        record: Addressed,
        /// The target's class.
        class: String,
        /// Fields to write; `null` empties.
        fields: BTreeMap<String, Value>,
        /// What the same fields were written or shown as before, where that is known: of a field that holds many values, the difference is ours to
        /// take out, and what people added is not.
        before: BTreeMap<String, Value>,
        /// Whether the record is marked as retired, as live again, or left as it is. The edges of a record that is retired go with it.
        retired: Option<bool>,
        /// Writes our external id and estate id onto a stranger's record (`adopt: match`); one that is anybody's already is refused.
        take_over: bool,
    },
    /// Removal of a record.
    Purge {
        /// The record.
        record: Addressed,
    },
    /// An edge, added or with other attributes.
    Relate {
        /// The edge.
        edge: EdgeId,
        /// Record of the `from` end.
        from: End,
        /// Record of the `to` end.
        to: End,
        /// Kind of the `to` end.
        to_kind: Kind,
        /// Its attributes.
        attributes: Attributes,
    },
    /// Removal of an edge. An edge that is not there is a success.
    Unrelate {
        /// The edge.
        edge: EdgeId,
        /// Record of the `from` end.
        from: Addressed,
        /// Record of the `to` end.
        to: Addressed,
        /// Kind of the `to` end.
        to_kind: Kind,
    },
}

/// What creates go out with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Together {
    /// Nothing: every kind of change is sent by itself.
    #[default]
    Nothing,
    /// By account and region, hosts first, with the edges whose last end they make: a request holds all that its parts depend on.
    Places,
    /// With the edges that the new records hold ([`Target::keeper`]): what a record leads to is made before it, as far as that does not go in circles.
    Edges,
}

/// An end of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where it starts.
    From,
    /// Where it ends.
    To,
}

impl Side {
    /// This end of an edge, and the other one.
    #[must_use]
    pub const fn of(self, edge: &EdgeId) -> (&Key, &Key) {
        match self {
            Self::From => (&edge.from, &edge.to),
            Self::To => (&edge.to, &edge.from),
        }
    }
}

/// What a target answered to one write.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// The record that was written (for edges that of the `from` end).
    pub record: RecordId,
    /// The class the target gave it; empty where it cannot tell, as of a record that was gone before it was removed.
    pub class: String,
    /// The fields as the answer showed them, where it did.
    pub echoed: Option<BTreeMap<String, Value>>,
    /// Fields that were sent in another shape than they were wanted in: the id of a person for their name; `null` of what there is no place for.
    pub sent: BTreeMap<String, Value>,
    /// Fields that the target has left as they were, and why.
    pub left: BTreeMap<String, String>,
}

impl Delivered {
    /// A record that was written as it was wanted.
    #[must_use]
    pub const fn to(record: RecordId, class: String) -> Self {
        Self { record, class, echoed: None, sent: BTreeMap::new(), left: BTreeMap::new() }
    }
}

/// A value that a target left as it was ([`Delivered::left`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeftValue {
    /// Kind of the CI.
    pub kind: Kind,
    /// The field.
    pub field: String,
    /// What was wanted there.
    pub value: Value,
    /// Whether there was nowhere to write it to ([`Delivered::sent`]).
    pub had_no_place: bool,
}

/// A page of a full read.
#[derive(Debug, Clone)]
pub struct Page {
    /// Records that carry an estate id (any: more than one estate is for the caller to judge), with their edges where the target can list
    /// them. A page ends early where the edges of its records are many.
    pub records: Vec<FoundRecord>,
    /// Where the next page starts; `None` after the last.
    pub next: Option<String>,
}

/// That a record's resource was seen: nothing about it changed, and the target judges records by when they were last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// The CI.
    pub key: Key,
    /// Its kind.
    pub kind: Kind,
    /// Its account.
    pub account: Account,
    /// Its region: what a target made only to hang records on it is seen with them.
    pub region: Region,
    /// Its record, with what must stand there.
    pub record: Addressed,
    /// The target's class.
    pub class: String,
    /// When it was last seen.
    pub seen_at: Timestamp,
}

/// Under what a batch is sent.
#[derive(Debug, Clone)]
pub struct Sending<'a> {
    /// Goes onto every record.
    pub estate: &'a EstateId,
    /// The run's clock; goes onto every record as `delivered_at`.
    pub at: Timestamp,
    /// The request must end before this: the lease ends then.
    pub deadline: Instant,
}

/// One configured CMDB.
#[async_trait]
pub trait Target: Send + Sync {
    /// Name from the configuration; used in logs, metrics and the ledger.
    fn name(&self) -> &TargetName;

    /// Narrows a desired CI to what this target can store, so that a second plan is empty. Pure. `None` where the target has no class for its kind.
    fn adapt(&self, ci: &Ci) -> Option<Adapted>;

    /// Whether the target stores edges of this type between these kinds. Pure.
    fn relates(&self, relation: RelationType, from: Kind, to: Kind) -> bool;

    /// Whether a full read that tells of edges ([`FoundRecord::edges`]) tells of those of this type between these kinds: a target that keeps different ones in the
    /// same form cannot say which of them is there. Pure.
    fn tells(&self, _relation: RelationType, _from: Kind, _to: Kind) -> bool {
        true
    }

    /// The edges that lead to what a record of this kind is identified beside, the first that is there decides. Pure.
    fn hosts(&self, _kind: Kind) -> &'static [HostEdge] {
        &[]
    }

    /// Whether records of this kind are as a rule made by others and hold nothing that is ours alone, such as what all else is identified beside: where a
    /// stranger's stands for such a CI and nothing is adopted, that one is referred to, and neither held nor written. Pure.
    fn is_host(&self, _kind: Kind) -> bool {
        false
    }

    /// Whether records of machines tell how much is attached to them ([`Ci::attached`]). Pure.
    fn counts_attached(&self) -> bool {
        false
    }

    /// What creates go out with. Pure.
    fn together(&self) -> Together {
        Together::default()
    }

    /// The end whose record holds an edge of this type between these kinds, where edges are part of records: all edges of one record are then sent at once, and
    /// count once towards a batch. `None` where an edge is something of its own. Pure.
    fn keeper(&self, _relation: RelationType, _from: Kind, _to: Kind) -> Option<Side> {
        None
    }

    /// Digest of what decides [`Target::adapt`]: its mapping and its version.
    fn mapping_digest(&self) -> crate::model::Digest;

    /// What the target is, by one request. `known` is what the ledger knows of it, if it met it before: a target whose id cannot be had stays what it was as
    /// long as nothing says otherwise, and is told by its records.
    ///
    /// # Errors
    /// When it cannot be asked.
    async fn fingerprint(&self, known: Option<Acquaintance<'_>>) -> Result<Fingerprint, TargetError>;

    /// Records by external or native id, ours and strangers', before a create. One entry for each identity asked.
    async fn find(&self, identities: &[Identity]) -> BTreeMap<Key, Result<Vec<FoundRecord>, TargetError>>;

    /// One page of all records that carry an estate id, in a stable order. An error means that the read as a whole says nothing.
    ///
    /// # Errors
    /// When a page cannot be read.
    async fn read(&self, after: Option<&str>) -> Result<Page, TargetError>;

    /// Sends writes in order, one answer each. Safe to repeat after a crash or a lost reply. [`TargetError::Busy`] of one write says that nothing of it was done
    /// and that it is to be sent again after that time.
    ///
    /// # Errors
    /// When the batch failed as a whole: none of its writes is known to have been done.
    async fn apply(&self, batch: &[Write], sending: &Sending<'_>) -> Result<Vec<Result<Delivered, TargetError>>, TargetError>;

    /// Of values that were left as nothing stood for them ([`Delivered::left`]), which something stands for by now, one answer each. Asked where the target
    /// was read in full.
    ///
    /// # Errors
    /// When it cannot be asked.
    async fn stands_by_now(&self, left: &[LeftValue]) -> Result<Vec<bool>, TargetError> {
        Ok(vec![false; left.len()])
    }

    /// How many writes [`Target::apply`] takes at once.
    fn batch_size(&self) -> usize;

    /// How many new records [`Target::apply`] takes at once, beside the edges that go out with them; it may be another number with each batch.
    fn creates_at_once(&self) -> usize {
        self.batch_size()
    }

    /// How long after a write [`Target::read`] may still show what was before it, count and list alike: whoever reads waits for it. Pure.
    fn read_lag(&self) -> Duration {
        Duration::ZERO
    }

    /// How many records [`Target::beat`] may speak of within this time, by a share of the request budget; `None` where the target does not judge
    /// records by when they were last seen. Pure.
    fn beats_within(&self, _time: Duration) -> Option<usize> {
        None
    }

    /// Notes on records when their resources were last seen, at most [`Target::batch_size`] at once, one answer each. Writes nothing else, moves no time
    /// back, and refuses a record that is not as [`Addressed`]. Safe to repeat.
    ///
    /// # Errors
    /// When the batch failed as a whole.
    async fn beat(&self, _beats: &[Beat], _sending: &Sending<'_>) -> Result<Vec<Result<(), TargetError>>, TargetError> {
        Ok(Vec::new())
    }

    /// The means to ask what the target would do; `None` where it has no interface for that.
    fn foresight(&self) -> Option<&dyn Foresight> {
        None
    }

    /// Whether records are marked as retired by status fields, which are people's between two stages: then a record that somebody retired while its
    /// resource lives is reported, and not brought back. Pure.
    fn retires_by_status(&self) -> bool {
        false
    }

    /// Whether a write ends with the process that sends it, done or undone, as in a file. A server may be at work on a request whose
    /// sender is gone.
    fn ends_with_sender(&self) -> bool {
        false
    }

    /// Credentials, permissions, schema and clock, each with the way to mend it.
    async fn doctor(&self) -> Vec<Finding>;

    /// Makes what must be there before anything is delivered, as far as it is missing; with `dry_run` it only says what it would make. Nothing
    /// that people made is changed. Safe to repeat.
    ///
    /// # Errors
    /// When the target cannot be asked.
    async fn bootstrap(&self, _dry_run: bool) -> Result<Vec<Step>, TargetError> {
        Ok(Vec::new())
    }
}

/// A target that says what it would do with writes, without doing it.
#[async_trait]
pub trait Foresight: Send + Sync {
    /// What the target would do with each of these writes, which may hang on one another as in a batch for [`Target::apply`]; `None` for one that its
    /// interface cannot be asked about. Commits nothing.
    ///
    /// # Errors
    /// When the target cannot be asked.
    async fn foresee(&self, batch: &[Write], sending: &Sending<'_>) -> Result<Vec<Option<Foreseen>>, TargetError>;

    /// How many writes it takes at once.
    fn at_once(&self) -> usize;
}

vocabulary! {
    /// What a target would do with a write.
    Would, "foreseen outcome" {
        /// It would make a record or an edge.
        Create => "create",
        /// It would change a record that stands there.
        Update => "update",
        /// All is there already.
        Nothing => "nothing",
        /// It would refuse.
        Refuse => "refuse",
    }
}

/// What a target says that it would do with one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreseen {
    /// What it would do.
    pub would: Would,
    /// The record that stands there by the target's own rules.
    pub record: Option<RecordId>,
    /// Its own words, where it would refuse.
    pub text: Option<String>,
}

vocabulary! {
    /// How a step of a bootstrap ended.
    StepOutcome, "step outcome" {
        /// It was there already.
        Present => "present",
        /// It was made.
        Made => "made",
        /// It would be made.
        WouldMake => "would_make",
        /// It is missing, and the target does not let us make it.
        Refused => "refused",
    }
}

/// One thing that must be there before anything is delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What it is.
    pub what: String,
    /// How it ended.
    pub outcome: StepOutcome,
    /// Why it was refused, in the target's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Who has to do what, where it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}
