//! Where a resource stands: from what its provider says to stages, and which stage may follow which.

use crate::estate::{Disposition, Known, Stage};
use crate::model::Vital;

/// What may follow each stage. A listing, a look-up, a rule or a person moves a resource along these, and nothing else does:
///
/// - what waits for its age is recorded, ends unseen, or is missed meanwhile;
/// - in use and stopped change into each other; what is missed comes back as what it is then, or is retired;
/// - what is retired comes back, is removed where a target purges, or (after the loss of a ledger, until somebody sees it) counts as missing.
const LEGAL: [(Stage, &[Stage]); 6] = [
    (Stage::Deferred, &[Stage::Active, Stage::Inactive, Stage::Missing, Stage::Retired]),
    (Stage::Active, &[Stage::Inactive, Stage::Missing, Stage::Retired]),
    (Stage::Inactive, &[Stage::Active, Stage::Missing, Stage::Retired]),
    (Stage::Missing, &[Stage::Deferred, Stage::Active, Stage::Inactive, Stage::Retired]),
    (Stage::Retired, &[Stage::Deferred, Stage::Active, Stage::Inactive, Stage::Missing, Stage::Purged]),
    (Stage::Purged, &[Stage::Deferred, Stage::Active, Stage::Inactive, Stage::Missing, Stage::Retired]),
];

/// Whether a stage may follow another.
#[must_use]
pub fn may_follow(from: Stage, to: Stage) -> bool {
    LEGAL.iter().any(|(stage, next)| *stage == from && next.contains(&to))
}

/// The stage of a resource that is there.
pub(super) fn stage_alive(known: &Known) -> Stage {
    match (known.disposition, known.resource.vital()) {
        (Disposition::Defer, _) => Stage::Deferred,
        (_, Vital::Inactive) => Stage::Inactive,
        (_, Vital::Live | Vital::Ended) => Stage::Active,
    }
}
