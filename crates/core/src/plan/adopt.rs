//! Strangers' records where ours would stand, and own ones whose create was answered by silence (guardrail 4).

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::change::ChangeKind;
use super::diff;
use super::draft::{Draft, Drafter, Wish, is_referred_to};
use super::input::Input;
use super::record::{DeliveryState, FieldState, RecordBrief};
use super::standing::{reason, shown_stage};
use crate::estate::{EstateId, Known, Stage};
use crate::model::{Key, TargetName, Vital};
use crate::target::{Adapted, Adopt, Authority, FoundRecord, RecordId, TargetError};

/// A create that is left out because the target could not say whether the record stands there already.
#[derive(Debug, Clone)]
pub struct Unanswered {
    /// The CI.
    pub key: Key,
    /// What the target said.
    pub error: TargetError,
}

impl Draft {
    /// Takes the answers to [`super::identities`] into the draft. A create without an answer is left out: "could not look" is not "nothing there".
    ///
    /// - No record: the create stands.
    /// - An own record (a create whose answer was lost): it is bound, and updated where it differs. One that another row holds is not.
    /// - One stranger's record for what others are identified beside, where nothing is adopted: it is referred to, and never written. Of several the
    ///   live one; where all are retired the create is held.
    /// - One stranger's record: held, adopted, or contributed to, as the configuration says. More than one, or one that stands for another
    ///   resource as well: always held.
    /// - Our external id under another estate: [`Draft::other_estates`].
    pub fn adopt<'a>(
        mut self,
        input: &'a Input<'a>,
        estate: &EstateId,
        answers: &'a BTreeMap<Key, Result<Vec<FoundRecord>, TargetError>>,
    ) -> Self {
        let drafter = Drafter::new(input);
        let wishes = std::mem::take(&mut self.wishes);
        let claims = Claims { holders: OnceCell::new(), strangers: strangers_claimed(&wishes, answers) };
        for wish in wishes {
            if wish.change.change != ChangeKind::Create {
                self.wishes.push(wish);
                continue;
            }
            let key = wish.change.key.clone();
            match answers.get(&key) {
                Some(Ok(found)) => self.answer(&drafter, &claims, estate, wish, found),
                Some(Err(error)) => self.leave_out(key, error.clone()),
                None => {
                    let error = unanswered(&self.target);
                    self.leave_out(key, error);
                }
            }
        }
        self.sort();
        self
    }

    fn leave_out(&mut self, key: Key, error: TargetError) {
        self.creates_left_out.insert(key.clone());
        self.unanswered.push(Unanswered { key, error });
    }

    fn answer<'a>(&mut self, drafter: &Drafter<'a>, claims: &Claims<'a>, estate: &EstateId, mut wish: Wish, found: &[FoundRecord]) {
        let key = wish.change.key.clone();
        let input = drafter.input;
        let Some(known) = input.estate.resources.get(&key) else { return };
        if let Some(other) =
            found.iter().find(|record| record.external_id.as_ref() == Some(&key) && record.estate.as_ref().is_some_and(|e| e != estate))
        {
            self.other_estates.extend(other.estate.clone().map(|other| (key.clone(), other)));
            self.creates_left_out.insert(key);
            return;
        }
        let mut own: Vec<&FoundRecord> =
            found.iter().filter(|record| record.estate.as_ref() == Some(estate) && record.external_id.as_ref() == Some(&key)).collect();
        own.sort_by(|a, b| (a.retired, &a.id).cmp(&(b.retired, &b.id)));
        let stage = shown_stage(known);
        let Some(adapted) = input.terms.target.adapt(&input.ci(known, stage)) else { return };
        let basis = drafter.bases.make(known, stage).of(&adapted);
        if let Some(own) = own.first() {
            if let Some(holder) = claims.holder(input, &own.id) {
                let text = format!("record {} carries this key, and the ledger knows it as the record of {holder}", own.id.0);
                self.leave_out(key, TargetError::Rejected { target: self.target.clone(), text });
                return;
            }
            let row = bound(input, known, own, &adapted, basis.digest(), input.state.records.get(&key));
            if let Some(change) = drafter.bring_up(known, &row, &adapted, basis) {
                self.wishes.push(Wish { change, evidence: None, duplicate: None });
            }
            self.bindings.insert(key, row);
            return;
        }
        // Our own record of another key is neither a stranger's nor in the way: native ids repeat between regions.
        let mut strangers: Vec<&FoundRecord> = found.iter().filter(|record| record.estate.is_none()).collect();
        strangers.sort_by(|a, b| a.id.cmp(&b.id));
        // What people have retired stands for nothing that lives.
        let refers = is_referred_to(input, known.resource.kind);
        let is_retired = refers && !strangers.is_empty() && strangers.iter().all(|record| record.retired);
        strangers.retain(|record| !refers || is_retired || !record.retired);
        match (strangers.as_slice(), input.terms.adopt) {
            ([], _) => self.wishes.push(wish),
            ([stranger], _) if refers && !is_retired && !claims.is_disputed(input, &key, &stranger.id) => {
                let row = reference(input, known, stranger);
                self.bindings.insert(key, row);
            }
            ([stranger], Adopt::Match | Adopt::Contribute) if !claims.is_disputed(input, &key, &stranger.id) => {
                let contributes = input.terms.adopt == Adopt::Contribute;
                let written = diff::adopt(&adapted, input.terms.authority, &stranger.fields, contributes);
                let text = if contributes {
                    format!("record {} stands for the same thing; only our fields are written", stranger.id.0)
                } else {
                    format!("record {} stands for the same thing; it becomes ours", stranger.id.0)
                };
                let row = input.state.records.get(&key);
                let why = reason("adopt", text);
                let mut change = drafter.record_change(ChangeKind::Adopt, known, row, &stranger.class, written, why, basis.digest());
                change.record = Some(stranger.id.clone());
                change.contributed = contributes;
                self.wishes.push(Wish { change, evidence: None, duplicate: None });
            }
            (strangers, _) => {
                let ids: BTreeSet<&str> = strangers.iter().map(|record| record.id.0.as_str()).collect();
                let state = match ids.len() {
                    _ if !is_retired => "",
                    1 => ", which is retired",
                    _ => ", which are retired",
                };
                wish.duplicate = Some(format!("{}{state}", ids.into_iter().collect::<Vec<_>>().join(", ")));
                self.wishes.push(wish);
            }
        }
    }
}

/// Who has a claim to which record. One record stands for one resource: two rows that share one would undo each other's changes, and the
/// end of one would retire what stands for the other.
struct Claims<'a> {
    /// Whose record is whose, in the ledger; made when it is needed.
    holders: OnceCell<HashMap<&'a RecordId, &'a Key>>,
    /// How many creates each stranger's record stands in the way of.
    strangers: HashMap<&'a RecordId, usize>,
}

impl<'a> Claims<'a> {
    fn holder(&self, input: &'a Input<'_>, record: &RecordId) -> Option<&'a Key> {
        let holders = self.holders.get_or_init(|| {
            let rows = input.state.records.iter().filter(|(_, row)| row.exists());
            rows.filter_map(|(key, row)| Some((row.record.as_ref()?, key))).collect()
        });
        holders.get(record).copied()
    }

    fn is_disputed(&self, input: &'a Input<'_>, key: &Key, stranger: &RecordId) -> bool {
        self.strangers.get(stranger).is_some_and(|claims| *claims > 1) || self.holder(input, stranger).is_some_and(|holder| holder != key)
    }
}

fn strangers_claimed<'a>(
    wishes: &[Wish],
    answers: &'a BTreeMap<Key, Result<Vec<FoundRecord>, TargetError>>,
) -> HashMap<&'a RecordId, usize> {
    let creates = wishes.iter().filter(|wish| wish.change.change == ChangeKind::Create);
    let found = creates.filter_map(|wish| answers.get(&wish.change.key)?.as_ref().ok()).flatten();
    let mut claimed = HashMap::new();
    for stranger in found.filter(|record| record.estate.is_none()) {
        *claimed.entry(&stranger.id).or_default() += 1;
    }
    claimed
}

fn unanswered(target: &TargetName) -> TargetError {
    TargetError::Unreachable { target: target.clone(), operation: "find", text: "no answer for this record".to_owned() }
}

/// The row of a stranger's record that is referred to. What was related to another record in its place is related anew: it counts as made now.
fn reference(input: &Input<'_>, known: &Known, found: &FoundRecord) -> RecordBrief {
    RecordBrief {
        record: Some(found.id.clone()),
        class: found.class.clone(),
        kind: known.resource.kind,
        account: known.resource.account.clone(),
        state: DeliveryState::Excluded,
        revision: input.state.records.get(&known.resource.key).map_or(0, |row| row.revision),
        basis: None,
        created_at: Some(input.at),
        retired_at: None,
        delivered_at: None,
        beat_at: None,
        refusal: None,
        contributed: true,
        carries: None,
        fields: Some(BTreeMap::new()),
    }
}

/// The row of an own record that a look-up, a full read or a recovery found. Fields of ours that differ are still to be written
/// ([`FieldState`]); all others are left as they were found.
pub(super) fn bound(
    input: &Input<'_>,
    known: &Known,
    found: &FoundRecord,
    adapted: &Adapted,
    basis: crate::model::Digest,
    previous: Option<&RecordBrief>,
) -> RecordBrief {
    let mut is_pending = false;
    let mut fields = BTreeMap::new();
    for (name, field) in &adapted.fields {
        let shown = found.fields.get(name).cloned().unwrap_or_default();
        let is_ours = diff::authority(input.terms.authority, name, field) == Authority::Owned;
        let is_equal = shown == field.value;
        is_pending |= is_ours && !is_equal;
        let sent = if is_ours { is_equal.then(|| field.value.clone()) } else { Some(shown.clone()) };
        let state = FieldState { desired: field.value.clone(), sent, echoed: Some(shown), rewritten: None, rests: false, people: !is_ours };
        fields.insert(name.clone(), state);
    }
    let existed_since = |row: &RecordBrief| row.created_at.filter(|_| row.record.is_some());
    RecordBrief {
        record: Some(found.id.clone()),
        class: found.class.clone(),
        kind: known.resource.kind,
        account: known.resource.account.clone(),
        state: DeliveryState::Delivered,
        revision: previous.map_or(0, |row| row.revision),
        basis: (!is_pending).then_some(basis),
        created_at: previous.and_then(existed_since).or(found.delivered_at).or(Some(input.at)),
        retired_at: found.retired.then(|| found.delivered_at.unwrap_or(input.at)),
        delivered_at: found.delivered_at,
        beat_at: None,
        refusal: None,
        // It carries our marks: a stranger's record to which we contributed does not.
        contributed: false,
        carries: None,
        fields: Some(fields),
    }
}

/// The row of an own record that the ledger does not know, as recovery binds it: fields of ours that differ are written by the next
/// draft, all others are left. `None` where the estate does not know the resource, or the target has no class for it.
#[must_use]
pub fn recovered(input: &Input<'_>, key: &Key, found: &FoundRecord) -> Option<RecordBrief> {
    let known = input.estate.resources.get(key)?;
    let stage = match known.resource.vital() {
        _ if found.retired => Stage::Retired,
        // It is missing to us only; nothing is written until it is shown again, and then it is as it was.
        Vital::Inactive if known.recovered => Stage::Inactive,
        _ if known.recovered => Stage::Active,
        _ => shown_stage(known),
    };
    let adapted = input.terms.target.adapt(&input.ci(known, stage))?;
    let basis = Drafter::new(input).bases.make(known, stage).of(&adapted).digest();
    Some(bound(input, known, found, &adapted, basis, input.state.records.get(key)))
}
