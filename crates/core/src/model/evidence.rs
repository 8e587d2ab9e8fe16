//! Which listing proves which fact.

use super::attributes::FactGroup;
use super::kind::Kind;
use super::resource::Resource;
use super::scope::{Receipts, Scope};

/// The scope that proves a group of a resource's attributes, given the receipts at hand.
///
/// The scope is named as its receipt names it (region `*` where one listing covers all regions); where no receipt covers it,
/// the resource's own scope is named, and nothing proves it.
#[must_use]
pub fn proving_scope(resource: &Resource, group: FactGroup, receipts: &Receipts) -> Scope {
    let own = resource.scope();
    if group == FactGroup::Addresses && resource.kind == Kind::Instance {
        let interfaces = Scope { kind: Kind::NetworkInterface, ..own.clone() };
        if let Some((scope, _)) = receipts.covering(&interfaces) {
            return scope.clone();
        }
    }
    match receipts.covering(&own) {
        Some((scope, _)) => scope.clone(),
        None => own,
    }
}
