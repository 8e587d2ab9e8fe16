//! The answers of look-ups.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::causes;
use super::decide::set_stage;
use super::stages::stage_alive;
use crate::estate::{Dirty, End, EndCause, Estate, Fence, FieldChange, JournalEntry, JournalKind, Known, Stage};
use crate::inventory::read_narrowly;
use crate::model::{Key, Vital};
use crate::plan::Reason;
use crate::source::Presence;

/// What the look-ups came to.
#[must_use]
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Confirmed {
    /// Absences that are retirements now.
    pub retired: Vec<Key>,
    /// Resources that are there after all; their absence is no longer counted.
    pub present: Vec<Key>,
    /// Ended lives that are back.
    pub revived: Vec<Key>,
    /// Answers that came too late: something newer is known, or the key is not.
    pub superseded: Vec<Key>,
}

/// Takes the answers to the look-ups of [`super::Decisions::proposed`] and [`super::Decisions::revivals_to_confirm`].
///
/// `Gone` retires what a complete listing missed; about anything else it says nothing here. `Present` is a narrow read: what was read is
/// taken, nothing is emptied, and it counts as seen. Keys that could not be looked up are simply not among the answers.
/// A derived resource cannot be looked up in a cloud: that no member is left is its answer, `Gone`.
pub fn confirm(estate: &mut Estate, answers: BTreeMap<Key, Presence>, at: Timestamp, fence: Fence) -> Confirmed {
    let mut confirmed = Confirmed::default();
    let Estate { resources, dirty, .. } = estate;
    for (key, presence) in answers {
        let Some(known) = resources.get_mut(&key).filter(|known| known.fence <= fence) else {
            confirmed.superseded.push(key);
            continue;
        };
        match presence {
            Presence::Gone if known.end.is_none() && known.missing > 0 => {
                let absence = causes::absence(known);
                let text = match known.resource.derived {
                    true => format!("retire_after: {absence}"),
                    false => format!("retire_after: {absence}, and a look-up found it gone"),
                };
                end(&key, known, EndCause::Absent, text, at, dirty);
                confirmed.retired.push(key);
            }
            Presence::Gone => {
                if known.end.is_some() && known.missing == 0 {
                    // A listing lagged behind: the ended life counts as not shown until one shows it again.
                    known.missing = 1;
                    dirty.resources.insert(key);
                }
            }
            Presence::Present(resource) => {
                if resource.key != key {
                    confirmed.superseded.push(key);
                    continue;
                }
                let (was_missing, had_ended) = (known.missing, known.end.is_some());
                let Some(mut fields) = read_narrowly(known, *resource, at, fence) else { continue };
                if was_missing > 0 {
                    fields.insert("missing".to_owned(), FieldChange { from: was_missing.into(), to: 0.into() });
                }
                if !fields.is_empty() {
                    known.news_fence = fence;
                    let cause = "a look-up shows it".to_owned();
                    dirty.journal.push(JournalEntry { entry: JournalKind::Observed, key: key.clone(), at, fence, cause, fields });
                }
                dirty.resources.insert(key.clone());
                if known.resource.vital() == Vital::Ended {
                    continue;
                }
                known.end = None;
                let stage = stage_alive(known);
                set_stage(&key, known, stage, format!("a look-up shows it{}", causes::says(known)), at, dirty);
                if had_ended { confirmed.revived.push(key) } else { confirmed.present.push(key) }
            }
        }
    }
    confirmed
}

/// Concludes the end of a resource for a reason that no listing gives, such as an orphaned scope that people retire. Returns whether
/// there was something to end. It is revived as soon as a later read shows it, except after `looked_up`, which asks for a look-up first.
pub fn conclude(estate: &mut Estate, key: &Key, cause: EndCause, reason: &Reason, at: Timestamp) -> bool {
    let Estate { resources, dirty, .. } = estate;
    let Some(known) = resources.get_mut(key).filter(|known| known.end.is_none()) else { return false };
    end(key, known, cause, format!("{}: {}", reason.rule, reason.text), at, dirty);
    true
}

/// Notes that every target that purges has removed the record of a retired resource. Returns whether its stage changed.
pub fn purged(estate: &mut Estate, key: &Key, at: Timestamp) -> bool {
    let Estate { resources, dirty, .. } = estate;
    let Some(known) = resources.get_mut(key).filter(|known| known.stage == Stage::Retired) else { return false };
    set_stage(key, known, Stage::Purged, "purge_after: every target that purges has removed its record".to_owned(), at, dirty);
    true
}

/// An ended life is one that nothing shows: from now on only a new sighting can say otherwise.
fn end(key: &Key, known: &mut Known, cause: EndCause, text: String, at: Timestamp, dirty: &mut Dirty) {
    known.end = Some(End { at, cause });
    known.missing = known.missing.max(1);
    set_stage(key, known, Stage::Retired, text, at, dirty);
    dirty.resources.insert(key.clone());
}
