//! Scopes that held live resources and list none any more (guardrail 2).
//!
//! That a scope is suddenly empty is remembered with the scope, not worked out anew from its members: these end, are looked up or enter by
//! recovery one by one, and none of that says anything about the listing. Only a complete listing that shows something alive does.

use std::collections::{BTreeMap, BTreeSet};

use super::observe::Observing;
use crate::estate::{Dirty, Estate, KnownScope, last_listed};
use crate::model::{Receipts, Scope};

/// A scope with so many live resources that lists none of them is suddenly empty.
pub const EMPTIED_MIN: usize = 5;

/// What a pull's complete listings show of their scopes, as their receipts name these.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Scopes that show something alive.
    pub(super) alive: BTreeSet<Scope>,
    /// How many resources that have not ended are missing from each.
    pub(super) missing: BTreeMap<Scope, usize>,
}

/// Takes what complete listings show into the scopes, where nothing newer is known of them.
pub(super) fn take_emptiness(
    scopes: &mut BTreeMap<Scope, KnownScope>,
    dirty: &mut Dirty,
    receipts: &Receipts,
    shown: &Shown,
    observing: &Observing<'_>,
) {
    for (scope, _) in receipts.iter().filter(|(_, receipt)| receipt.is_complete()) {
        let Some(known) = scopes.get_mut(scope).filter(|known| known.complete_fence == observing.fence) else { continue };
        let is_sudden = shown.missing.get(scope).is_some_and(|missing| *missing >= EMPTIED_MIN);
        let emptied = !shown.alive.contains(scope) && (known.emptied || is_sudden);
        if known.emptied != emptied {
            known.emptied = emptied;
            dirty.scopes.insert(scope.clone());
        }
    }
}

/// The suddenly emptied scope that a resource's own scope belongs to, as its receipt names it (guardrail 2): a complete listing showed
/// nothing alive there while five or more live resources were known, and none has shown anything alive since.
#[must_use]
pub fn emptied<'a>(estate: &'a Estate, own: &Scope) -> Option<&'a Scope> {
    last_listed(&estate.scopes, own).filter(|(_, known)| known.emptied).map(|(scope, _)| scope)
}
