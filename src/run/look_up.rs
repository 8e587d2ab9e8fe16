//! Asking the clouds about proposed ends before anything is said to a target.

use std::collections::{BTreeMap, BTreeSet};

use crate::estate::{EndCause, EstateId};
use crate::inventory::{Coverage, SourceCoverage};
use crate::lifecycle;
use crate::model::{Digest, Key, Kind, Region, Scope, SourceName};
use crate::plan::Reason;
use crate::source::{Presence, Remark, Source};

use super::stand::Standing;
use super::{Context, RunError, Stand};

/// Looks up every proposed retirement that passed the gates of a target, and every ended life that a listing still shows; takes the
/// answers in, and plans again where they changed something. Only "gone" retires; an error says nothing. Where an answer makes another
/// end due (a service whose last member is gone), that is looked up as well; nothing is looked up twice.
///
/// # Errors
/// When the ledger fails.
pub(super) async fn confirm(
    context: &Context<'_>,
    sources: &[Box<dyn Source>],
    stand: &mut Stand,
    standings: &mut [Standing<'_>],
    own: &EstateId,
    approve: &BTreeSet<Digest>,
) -> Result<(), RunError> {
    let mut asked = BTreeSet::new();
    loop {
        let mut keys: BTreeSet<Key> = standings.iter().flat_map(|standing| standing.to_look_up().cloned().collect::<Vec<_>>()).collect();
        keys.extend(stand.decisions.revivals_to_confirm.iter().cloned());
        // What no target keeps live as ours has no gate to pass: without this it would be missing for ever.
        if standings.len() == context.config.targets.len() {
            keys.extend(stand.decisions.proposed.keys().filter(|key| !standings.iter().any(|standing| standing.keeps(key))).cloned());
        }
        keys.retain(|key| !asked.contains(key));
        if keys.is_empty() {
            return Ok(());
        }
        asked.extend(keys.iter().cloned());
        take_answers(context, sources, stand, keys).await;
        stand.follow_answers(context);
        stand.decide(context);
        for standing in &mut *standings {
            standing.plan(context, stand, own, approve).await?;
        }
    }
}

/// Asks about these keys and takes the answers in.
async fn take_answers(context: &Context<'_>, sources: &[Box<dyn Source>], stand: &mut Stand, mut keys: BTreeSet<Key>) {
    let mut gone_or_there: BTreeMap<Key, Presence> = BTreeMap::new();
    let mut disowned = Vec::new();
    let mut asked: Vec<Vec<(Key, Kind)>> = sources.iter().map(|_| Vec::new()).collect();
    for key in &keys {
        let Some(known) = stand.estate.resources.get(key) else { continue };
        if known.resource.derived {
            // The estate itself is the authority on what it derives: still proposed means that it is proven that no member is left, or that
            // people gave up, and approved here, where the last ones were.
            if stand.decisions.bereft.contains(key) {
                disowned.extend(stand.decisions.proposed.get_key_value(key).map(|(key, reason)| (key.clone(), reason.clone())));
            } else if stand.decisions.proposed.contains_key(key) {
                gone_or_there.insert(key.clone(), Presence::Gone);
            }
            continue;
        }
        let scope = known.resource.scope();
        if let Some((covering, _)) = stand.estate.covering(&scope)
            && stand.decisions.disowned.contains(covering)
        {
            // People approved it: there is nobody to ask.
            disowned.extend(stand.decisions.proposed.get_key_value(key).map(|(key, reason)| (key.clone(), reason.clone())));
            continue;
        }
        match sources.iter().zip(&mut asked).find(|(source, _)| covers(&stand.coverage, source.name(), &scope)) {
            Some((_, list)) => list.push((key.clone(), known.resource.kind)),
            None => not_confirmed(stand, key, "no source covers it, so its absence cannot be confirmed"),
        }
    }
    for (source, keys) in sources.iter().zip(asked) {
        if keys.is_empty() {
            continue;
        }
        for (key, answer) in source.look_up(&keys, context.meter).await {
            match answer {
                Ok(presence) => {
                    gone_or_there.insert(key, presence);
                }
                Err(error) => not_confirmed(stand, &key, &error.to_string()),
            }
        }
    }
    for (key, reason) in &disowned {
        let approved = Reason { rule: reason.rule.clone(), text: format!("{}, and approved", reason.text) };
        let _ = lifecycle::conclude(&mut stand.estate, key, EndCause::Disowned, &approved, context.at());
        keys.remove(key);
    }
    for key in &keys {
        if !gone_or_there.contains_key(key) && !stand.unconfirmed.contains(key) {
            not_confirmed(stand, key, "the source gave no answer about it");
        }
    }
    let _ = lifecycle::confirm(&mut stand.estate, gone_or_there, context.at(), stand.fence);
}

/// Whether a source listed a scope in the reading that this run rests on, by itself or over all regions.
fn covers(coverage: &Coverage, source: &SourceName, scope: &Scope) -> bool {
    match coverage.sources.get(source) {
        Some(SourceCoverage::Read { scopes, .. }) => {
            scopes.contains(scope) || scopes.contains(&Scope { region: Region::any(), ..scope.clone() })
        }
        Some(SourceCoverage::Skipped | SourceCoverage::Failed { .. }) | None => false,
    }
}

fn not_confirmed(stand: &mut Stand, key: &Key, why: &str) {
    let is_ended = stand.estate.resources.get(key).is_some_and(|known| known.end.is_some());
    let left_undone = if is_ended { "not revived" } else { "not retired" };
    stand.remarks.push(Remark { subject: key.to_string(), text: format!("{left_undone}: {why}") });
    stand.unconfirmed.insert(key.clone());
}
