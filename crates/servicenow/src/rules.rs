//! By what an instance tells the records of a class apart.
//!
//! Before each create the instance is asked for a record with the same id ([`asked_by`]). Where its identification rules go by something else, a create can
//! still meet a record that stands there: creates into such classes are asked about through the query endpoint before they are sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use dewpoint_core::model::Kind;
use dewpoint_core::target::TargetError;

use crate::api::{Api, ClassMeta};
use crate::mapping::Mapping;

/// The columns that records of a kind are looked up by, each by itself.
pub(crate) const fn asked_by(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Account => &["object_id", "account_id"],
        Kind::Region => &["object_id", "region"],
        Kind::Service => &["name"],
        _ => &["object_id"],
    }
}

/// The columns of one rule.
pub(crate) type Criteria = Vec<String>;

/// The rules of a class that could find a record which a look-up does not.
pub(crate) fn unasked(meta: &ClassMeta, kind: Kind, mapping: &Mapping) -> Vec<Criteria> {
    let columns: BTreeSet<&str> = mapping.columns(kind).collect();
    let rules = meta.identification_rules.iter().flat_map(|rules| &rules.identifiers).filter(|rule| rule.is_active());
    rules
        .map(|rule| rule.attributes.split(',').map(|attribute| attribute.trim().to_owned()).collect::<Criteria>())
        .filter(|criteria| {
            let is_asked = criteria.iter().any(|column| asked_by(kind).contains(&column.as_str()));
            // One that nothing is written to is skipped by the engine.
            !is_asked && criteria.iter().all(|column| columns.contains(column.as_str()))
        })
        .collect()
}

/// Classes with rules of their own, and these as far as they are known.
pub(crate) type OwnRules = BTreeMap<String, Vec<Criteria>>;

/// What was learnt of classes since the target was made; `None` for those without rules of their own.
#[derive(Debug, Default)]
pub(crate) struct Rules(Mutex<BTreeMap<String, Option<Vec<Criteria>>>>);

impl Rules {
    /// Which of these classes have rules of their own. One that cannot be looked at counts among them.
    pub(crate) async fn own(&self, api: &Api, mapping: &Mapping, classes: BTreeMap<String, Kind>) -> Result<OwnRules, TargetError> {
        let mut all = OwnRules::new();
        for (class, kind) in classes {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&class).cloned();
            let own = match known {
                Some(own) => own,
                None => {
                    let own = match api.class(&class).await {
                        Ok(Some(meta)) => Some(unasked(&meta, kind, mapping)).filter(|own| !own.is_empty()),
                        Ok(None) | Err(TargetError::Forbidden { .. } | TargetError::Rejected { .. }) => Some(Vec::new()),
                        Err(error) => return Err(error),
                    };
                    self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(class.clone(), own.clone());
                    own
                }
            };
            all.extend(own.map(|own| (class, own)));
        }
        Ok(all)
    }
}
