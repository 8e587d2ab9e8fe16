//! All changes that would make one target true, before the guardrails.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::absorb::gone;
use super::adopt::Unanswered;
use super::basis::{Basis, BasisMaker};
use super::change::{Change, ChangeId, ChangeKind, Reason};
use super::diff::{self, Fields, Moment, Written};
use super::doubt;
use super::input::Input;
use super::record::{DeliveryState, RecordBrief};
use super::standing::{self, Evidence, Standing, end_reason, is_gone, reason, shown_stage};
use crate::estate::{EstateId, FieldChange, Known, Stage};
use crate::model::{Account, Digest, EdgeId, Key, Kind, TargetName};
use crate::target::{Adapted, Adopt, Identity, Purge, RecordId};
use crate::told;

/// One wanted change, with what the guardrails have to know of it.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) change: Change,
    /// For retirements: what they rest on.
    pub(super) evidence: Option<Evidence>,
    /// For creates: why a stranger's record stands in the way.
    pub(super) duplicate: Option<String>,
}

/// All changes that would make one target true, in order, before the guardrails.
#[derive(Debug)]
#[must_use]
pub struct Draft {
    pub(super) target: TargetName,
    pub(super) wishes: Vec<Wish>,
    /// Rows whose record is as we want it although their basis is an older one (or a failure is noted): to be stored with this basis as
    /// `delivered`, without error, without a delivery.
    pub settled: BTreeMap<Key, Digest>,
    /// Rows to be stored before anything is sent: own records whose create was answered by silence, found again by their external id, and strangers'
    /// that are referred to.
    pub bindings: BTreeMap<Key, RecordBrief>,
    /// Rows that only remember a failed create of something that is not wanted any more: to be removed.
    pub forgotten: BTreeSet<Key>,
    /// Edge rows that only remember a failure of something that is not wanted any more: to be removed.
    pub forgotten_edges: BTreeSet<EdgeId>,
    /// Creates that are left out because the target could not say whether the record stands there already.
    pub unanswered: Vec<Unanswered>,
    /// Our external id on records of another estate: two ledgers on one CMDB (guardrail 7). Nothing may be sent.
    pub other_estates: BTreeMap<Key, EstateId>,
    /// Fields of which the mapping failed, and why, by the CI whose record is wanted. They stay as they are at the target.
    pub failed_fields: BTreeMap<Key, BTreeMap<String, String>>,
    pub(super) creates_left_out: BTreeSet<Key>,
    pub(super) is_lean: bool,
}

/// What stands at one end of an edge after the draft.
#[derive(Debug, Clone, Copy)]
pub(super) struct End<'a> {
    pub(super) is_live: bool,
    /// Its record is made or revived by this draft, so that no edge of it can stand there yet.
    pub(super) is_fresh: bool,
    /// A stranger's record that is not referred to any more: no edge of ours may stay there.
    pub(super) is_left: bool,
    pub(super) created_at: Option<jiff::Timestamp>,
    pub(super) record: Option<&'a RecordId>,
    pub(super) kind: Kind,
    pub(super) account: &'a Account,
    /// The row's class, or the place of the create among the wishes.
    pub(super) class: Class<'a>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Class<'a> {
    Row(&'a str),
    Wish(usize),
}

pub(super) struct Drafter<'a> {
    pub(super) input: &'a Input<'a>,
    pub(super) bases: BasisMaker<'a>,
    pub(super) draft: Draft,
}

/// The rows whose fields must be loaded before [`draft`]: those whose basis differs, that did not end well, or that end or come back.
#[must_use]
pub fn stale(input: &Input<'_>) -> BTreeSet<Key> {
    let bases = BasisMaker::new(input);
    let mut stale = BTreeSet::new();
    each(input, |key, known, row| {
        let Some(row) = row.filter(|row| stands(input, row) && !row.is_reference()) else { return };
        let needs_fields = match standing::standing(input, known, row.is_live()) {
            Standing::Wanted => !is_settled(row, bases.make(known, shown_stage(known))),
            Standing::Ended(_) => row.is_live() && !row.contributed,
            Standing::Undecided => false,
        };
        if needs_fields {
            stale.insert(key.clone());
        }
    });
    stale
}

/// What the target has to be asked before a draft creates anything (guardrail 4), in order.
#[must_use]
pub fn identities(input: &Input<'_>) -> Vec<Identity> {
    let mut identities = Vec::new();
    // Whether a target has a class rests on the kind alone.
    let mut has_class: BTreeMap<Kind, bool> = BTreeMap::new();
    each(input, |_, known, row| {
        if row.is_some_and(|row| stands(input, row)) || standing::standing(input, known, false) != Standing::Wanted {
            return;
        }
        let resource = &known.resource;
        let adapts = || input.terms.target.adapt(&input.ci(known, shown_stage(known))).is_some();
        if *has_class.entry(resource.kind).or_insert_with(adapts) {
            identities.push(Identity::of(resource));
        }
    });
    identities
}

/// All changes that would make the target true, before the guardrails. Input order does not matter, the output is sorted.
pub fn draft(input: &Input<'_>) -> Draft {
    make(Drafter::new(input))
}

/// The same, but with creates whose fields are left out: a first plan of a large estate holds very many, and each is needed only when its
/// batch is sent. [`fill`] puts them in. All else is as in [`draft`], ids included; what a guardrail holds is filled.
pub fn draft_lean(input: &Input<'_>) -> Draft {
    let mut drafter = Drafter::new(input);
    drafter.draft.is_lean = true;
    make(drafter)
}

/// Puts the fields of a create in that [`draft_lean`] left out. The input must be the draft's own.
pub fn fill(input: &Input<'_>, change: &mut Change) {
    if change.change != ChangeKind::Create || !change.fields.is_empty() {
        return;
    }
    let Some(known) = input.estate.resources.get(&change.key) else { return };
    if let Some(adapted) = input.terms.target.adapt(&input.ci(known, shown_stage(known))) {
        let written = diff::create(&adapted, input.terms.authority);
        change.fields = written.fields;
        change.people = written.people;
    }
}

fn make<'a>(mut drafter: Drafter<'a>) -> Draft {
    let input = drafter.input;
    let mut ends: HashMap<&Key, End<'_>> = HashMap::with_capacity(input.estate.resources.len());
    each(input, |key, known, row| {
        if let Some(end) = drafter.resource(key, known, row) {
            ends.insert(key, end);
        }
    });
    drafter.edges(&ends);
    let mut draft = drafter.draft;
    draft.sort();
    draft
}

/// Calls `visit` for each resource, with its row at the target if there is one. Both maps are sorted, so they are walked side by side.
pub(super) fn each<'a>(input: &'a Input<'_>, mut visit: impl FnMut(&'a Key, &'a Known, Option<&'a RecordBrief>)) {
    let mut rows = input.state.records.iter().peekable();
    for (key, known) in &input.estate.resources {
        while rows.next_if(|(row_key, _)| *row_key < key).is_some() {}
        let row = rows.next_if(|(row_key, _)| *row_key == key).map(|(_, row)| row);
        visit(key, known, row);
    }
}

/// Whether a row's record stands for its resource. A stranger's that is only referred to does so as long as it would be referred to again; else the
/// target is asked anew.
fn stands(input: &Input<'_>, row: &RecordBrief) -> bool {
    row.exists() && (!row.is_reference() || is_referred_to(input, row.kind))
}

/// Whether a stranger's record for a CI of this kind is referred to, and not in the way of our own.
pub(super) fn is_referred_to(input: &Input<'_>, kind: Kind) -> bool {
    input.terms.adopt == Adopt::Never && input.terms.target.is_host(kind)
}

/// Whether a live record is known to be as wanted, so that nothing needs to be looked at.
fn is_settled(row: &RecordBrief, basis: Basis) -> bool {
    row.is_live() && row.state == DeliveryState::Delivered && row.basis == Some(basis.digest())
}

impl Draft {
    pub(super) fn new(target: TargetName) -> Self {
        Self {
            target,
            wishes: Vec::new(),
            settled: BTreeMap::new(),
            bindings: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            forgotten_edges: BTreeSet::new(),
            unanswered: Vec::new(),
            other_estates: BTreeMap::new(),
            failed_fields: BTreeMap::new(),
            creates_left_out: BTreeSet::new(),
            is_lean: false,
        }
    }

    pub(super) fn sort(&mut self) {
        self.wishes.sort_by(|a, b| order(&a.change).cmp(&order(&b.change)));
    }

    /// The wanted changes, in order.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.wishes.iter().map(|wish| &wish.change)
    }
}

/// The order of applying.
pub(super) fn order(change: &Change) -> (ChangeKind, &Key, Option<&EdgeId>) {
    (change.change, &change.key, change.relation.as_ref())
}

impl<'a> Drafter<'a> {
    pub(super) fn new(input: &'a Input<'a>) -> Self {
        Self { input, bases: BasisMaker::new(input), draft: Draft::new(input.state.target.clone()) }
    }

    fn resource(&mut self, key: &'a Key, known: &'a Known, row: Option<&'a RecordBrief>) -> Option<End<'a>> {
        let is_live = row.is_some_and(|row| stands(self.input, row) && row.is_live());
        match standing::standing(self.input, known, is_live) {
            Standing::Undecided => None,
            Standing::Wanted => match row.filter(|row| stands(self.input, row)) {
                Some(row) if row.is_reference() => Some(end(known, row, true, false)),
                Some(row) => Some(self.keep(key, known, row)),
                None => self.create(known, row),
            },
            Standing::Ended(evidence) => {
                let row = row?;
                if row.is_reference() {
                    self.draft.forgotten.insert(key.clone());
                    return Some(End { is_left: true, ..end(known, row, true, false) });
                }
                self.end(key, known, row, evidence);
                row.exists().then(|| end(known, row, false, false))
            }
        }
    }

    /// A record that is there and wanted.
    fn keep(&mut self, key: &'a Key, known: &'a Known, row: &'a RecordBrief) -> End<'a> {
        let stage = shown_stage(known);
        let basis = self.bases.make(known, stage);
        if is_settled(row, basis) {
            return end(known, row, true, false);
        }
        let Some(adapted) = doubt::adapt(self.input, known, stage, row) else {
            self.end(key, known, row, Evidence::Excluded);
            return end(known, row, false, false);
        };
        self.note_failed(key, &adapted);
        let basis = basis.of(&adapted);
        match self.bring_up(known, row, &adapted, basis) {
            Some(change) => {
                let is_fresh = change.change == ChangeKind::Revive;
                self.wish(change, None);
                end(known, row, true, is_fresh)
            }
            None => {
                // A row that is as before but for what its mapping still fails for is stored already.
                if !is_settled(row, basis) {
                    self.draft.settled.insert(key.clone(), basis.digest());
                }
                end(known, row, true, false)
            }
        }
    }

    fn note_failed(&mut self, key: &Key, adapted: &Adapted) {
        if !adapted.failed.is_empty() {
            self.draft.failed_fields.insert(key.clone(), adapted.failed.clone());
        }
    }

    /// The update or revival that brings a record up to what is wanted, if one is needed.
    pub(super) fn bring_up(&self, known: &Known, row: &RecordBrief, adapted: &Adapted, basis: Basis) -> Option<Change> {
        let last_basis = row.basis.map(Basis::read);
        let is_revival = row.retired_at.is_some();
        let moment = Moment {
            stage: is_revival || last_basis.is_none_or(|last| !last.same_stage(basis)),
            mapping: last_basis.is_none_or(|last| !last.same_mapping(basis)),
            contributed: row.contributed,
        };
        let empty = Fields::new();
        let written = diff::update(adapted, self.input.terms.authority, row.fields.as_ref().unwrap_or(&empty), moment);
        if written.solid.is_empty() && !is_revival {
            return None;
        }
        let was_wanted = |(name, field): (&String, &FieldChange)| {
            row.fields.as_ref().and_then(|fields| fields.get(name)).is_some_and(|last| last.desired == field.to)
        };
        let is_correction = !is_revival && written.fields.iter().all(was_wanted);
        let (change, why) = match (is_revival, is_correction) {
            (true, _) => (ChangeKind::Revive, standing::return_reason(self.input, known, row)),
            (false, true) => (ChangeKind::Update, reason("drift", "the target shows other values than were written".to_owned())),
            (false, false) => (ChangeKind::Update, reason("observed", "differs from what was last delivered".to_owned())),
        };
        Some(self.record_change(change, known, Some(row), &row.class, written, why, basis.digest()))
    }

    fn create(&mut self, known: &'a Known, row: Option<&'a RecordBrief>) -> Option<End<'a>> {
        let stage = shown_stage(known);
        let adapted = self.input.terms.target.adapt(&self.input.ci(known, stage))?;
        self.note_failed(&known.resource.key, &adapted);
        let written = diff::create(&adapted, self.input.terms.authority);
        let why = standing::create_reason(self.input, known, row);
        let basis = self.bases.make(known, stage).of(&adapted).digest();
        let mut change = self.record_change(ChangeKind::Create, known, row, &adapted.class, written, why, basis);
        if let Some(reference) = row.filter(|row| row.is_reference()) {
            // It is not referred to any more: what is refused must not leave it to us.
            change.record = None;
            self.draft.bindings.insert(change.key.clone(), gone(reference));
        }
        change.recreates = row.is_some_and(is_gone);
        if self.draft.is_lean {
            change.fields = BTreeMap::new();
            change.people = BTreeSet::new();
        }
        self.wish(change, None);
        Some(End {
            is_live: true,
            is_fresh: true,
            is_left: false,
            created_at: None,
            record: None,
            kind: known.resource.kind,
            account: &known.resource.account,
            class: Class::Wish(self.draft.wishes.len().saturating_sub(1)),
        })
    }

    /// A record whose resource has ended, or is not wanted here.
    fn end(&mut self, key: &Key, known: &Known, row: &RecordBrief, evidence: Evidence) {
        if !row.exists() {
            if row.state != DeliveryState::Purged {
                self.draft.forgotten.insert(key.clone());
            }
            return;
        }
        if row.contributed {
            return;
        }
        let Some(retired_at) = row.retired_at else {
            let written = match doubt::adapt(self.input, known, Stage::Retired, row) {
                Some(adapted) => {
                    self.note_failed(key, &adapted);
                    let empty = Fields::new();
                    let moment = Moment { stage: true, mapping: false, contributed: false };
                    let written = diff::update(&adapted, self.input.terms.authority, row.fields.as_ref().unwrap_or(&empty), moment);
                    if known.recovered { self.of_the_end(known, row, &adapted, written) } else { written }
                }
                None => Written::default(),
            };
            let why = end_reason(self.input, key, known, evidence);
            let basis = self.bases.make(known, Stage::Retired).digest();
            let change = self.record_change(ChangeKind::Retire, known, Some(row), &row.class, written, why, basis);
            self.wish(change, Some(evidence));
            return;
        };
        if self.input.terms.purge == Purge::Delete
            && evidence != Evidence::Proposed
            && let Some((due, after)) = standing::purge_due(self.input, known, retired_at)
            && due <= self.input.at
        {
            let why = reason("purge_after", format!("retired {}, purge_after {after}", told::time(retired_at)));
            let basis = row.basis.unwrap_or_else(|| self.bases.make(known, Stage::Retired).digest());
            let change = self.record_change(ChangeKind::Purge, known, Some(row), &row.class, Written::default(), why, basis);
            self.wish(change, None);
        }
    }

    /// Of what a retirement would write, the fields that tell of the end; all others may be newer at the target.
    fn of_the_end(&self, known: &Known, row: &RecordBrief, ended: &Adapted, mut written: Written) -> Written {
        let alive = doubt::adapt(self.input, known, Stage::Active, row);
        let value = |adapted: &Adapted, name: &String| adapted.fields.get(name).map(|field| field.value.clone());
        let tells = |name: &String| alive.as_ref().is_none_or(|alive| value(alive, name) != value(ended, name));
        written.fields.retain(|name, _| tells(name));
        written.solid.retain(|name| tells(name));
        written.people.retain(|name| tells(name));
        written
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one value, each used once")]
    pub(super) fn record_change(
        &self,
        change: ChangeKind,
        known: &Known,
        row: Option<&RecordBrief>,
        class: &str,
        written: Written,
        why: Reason,
        basis: Digest,
    ) -> Change {
        // An absence is one episode from the last sight on, whether a listing or people say so; every other wish lasts until something is
        // delivered to the record.
        let is_absence = change == ChangeKind::Retire && (known.missing > 0 || self.input.proposed.contains_key(&known.resource.key));
        let episode = if is_absence { Some(known.last_seen) } else { row.and_then(|row| row.delivered_at) };
        let values = written.fields.iter().filter(|(name, _)| written.solid.contains(*name));
        let id = change_id(&self.draft.target, change, &known.resource.key, None, values, episode);
        Change {
            id,
            target: self.draft.target.clone(),
            key: known.resource.key.clone(),
            kind: known.resource.kind,
            account: known.resource.account.clone(),
            class: class.to_owned(),
            change,
            fields: written.fields,
            relation: None,
            record: row.and_then(|row| row.record.clone()),
            revision: row.map_or(0, |row| row.revision),
            fence: known.news_fence,
            identifying: change == ChangeKind::Update && written.identifying,
            people: written.people,
            recreates: false,
            contributed: false,
            gives_way_to: BTreeSet::new(),
            reason: why,
            basis,
        }
    }

    pub(super) fn wish(&mut self, change: Change, evidence: Option<Evidence>) {
        self.draft.wishes.push(Wish { change, evidence, duplicate: None });
    }
}

fn end<'a>(known: &'a Known, row: &'a RecordBrief, is_live: bool, is_fresh: bool) -> End<'a> {
    End {
        is_live,
        is_fresh,
        is_left: false,
        created_at: row.created_at,
        record: row.record.as_ref(),
        kind: known.resource.kind,
        account: &known.resource.account,
        class: Class::Row(&row.class),
    }
}

/// See [`ChangeId`].
pub(super) fn change_id<'a>(
    target: &TargetName,
    change: ChangeKind,
    key: &Key,
    relation: Option<&EdgeId>,
    values: impl Iterator<Item = (&'a String, &'a FieldChange)>,
    episode: Option<jiff::Timestamp>,
) -> ChangeId {
    let values: Vec<(&String, &Value)> = values.map(|(name, field)| (name, &field.to)).collect();
    // Maps with text keys always have a JSON form; the debug form rests on the content as well.
    let values = Digest::of_json(&values).unwrap_or_else(|_| Digest::of_parts([format!("{values:?}").as_bytes()]));
    let episode = episode.map(|at| at.as_nanosecond().to_le_bytes());
    let (relation, to) = relation.map_or(("", ""), |edge| (edge.relation.as_str(), edge.to.as_str()));
    Digest::of_parts([
        target.as_str().as_bytes(),
        change.as_str().as_bytes(),
        key.as_str().as_bytes(),
        relation.as_bytes(),
        to.as_bytes(),
        values.as_bytes(),
        episode.as_ref().map_or(&[], |bytes| bytes.as_slice()),
    ])
}
