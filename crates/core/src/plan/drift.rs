//! What a full read tells of a field (guardrail 5, second half).

use serde_json::Value;

use super::diff::is_empty;
use super::record::FieldState;
use crate::model::vocabulary;
use crate::target::Authority;

vocabulary! {
    /// What follows from what a read found in a field.
    DriftAction, "drift action" {
        /// Nothing: as it should be, or people's.
        None => "none",
        /// The target shows something else than was written: it is written once more.
        WriteOnceMore => "write_once_more",
        /// It was written twice and the target shows the same form of its own again: left so, reported, tried again when the value or the mapping changes.
        Rest => "rest",
        /// Someone changed it: written again.
        Correct => "correct",
        /// Someone changed it: only reported.
        Report => "report",
    }
}

impl DriftAction {
    /// What follows, in words for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::None => "left as it is",
            Self::WriteOnceMore => "written once more",
            Self::Rest => "the target keeps its own form; left so until the value or the mapping changes",
            Self::Correct => "corrected",
            Self::Report => "only reported",
        }
    }
}

/// What follows from finding `found` in a field that we write under `authority`.
///
/// The first read after a delivery tells how the target shows what was sent, in its own shape; from then on drift is what differs from that.
#[must_use]
pub fn drift(field: &FieldState, found: &Value, authority: Authority) -> DriftAction {
    match (authority, &field.sent, &field.echoed) {
        // Still to be written anyway, or people's once written.
        (Authority::Owned | Authority::Report, None, _) | (Authority::Initial | Authority::Transition, ..) => DriftAction::None,
        (Authority::Owned, Some(_), Some(echoed)) if found != echoed => DriftAction::Correct,
        (Authority::Owned, Some(sent), None) if found != sent => once_more(field, found),
        (Authority::Report, Some(_), Some(echoed)) if found != echoed => DriftAction::Report,
        (Authority::Report, Some(sent), None) if found != sent => DriftAction::Report,
        (Authority::Owned | Authority::Report, ..) => DriftAction::None,
        (Authority::IfEmpty, ..) if field.desired.is_null() || !is_empty(found) => DriftAction::None,
        (Authority::IfEmpty, Some(_), None) => once_more(field, found),
        (Authority::IfEmpty, Some(_), Some(echoed)) if is_empty(echoed) => DriftAction::None,
        (Authority::IfEmpty, ..) => DriftAction::Correct,
    }
}

/// The same form as before it was written once more is the target's own; another one is someone's change.
fn once_more(field: &FieldState, found: &Value) -> DriftAction {
    if field.rewritten.as_ref() == Some(found) { DriftAction::Rest } else { DriftAction::WriteOnceMore }
}

/// The field after the read. Where it is to be written, `sent` is absent: the next draft sees that, in this run or a later one.
#[must_use]
pub fn after_read(field: &FieldState, found: &Value, action: DriftAction) -> FieldState {
    let mut after = field.clone();
    match action {
        DriftAction::None => {
            // What is compared later is what the first read after the delivery showed.
            after.echoed = Some(found.clone());
            // What there is no place for shows nothing, as nothing was sent: that is not what is wanted.
            let is_as_wanted = !found.is_null() || field.desired.is_null();
            if field.sent.as_ref() == Some(found) && is_as_wanted {
                after.rests = false;
            }
        }
        DriftAction::WriteOnceMore => {
            after.echoed = Some(found.clone());
            after.sent = None;
            after.rewritten = Some(found.clone());
        }
        DriftAction::Rest => {
            after.echoed = Some(found.clone());
            after.rests = true;
        }
        DriftAction::Correct => {
            after.echoed = Some(found.clone());
            after.sent = None;
        }
        DriftAction::Report => {
            if field.echoed.is_none() {
                after.echoed = Some(found.clone());
            }
        }
    }
    after
}
