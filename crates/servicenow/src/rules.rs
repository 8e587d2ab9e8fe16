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
pub(crate) fn unasked(class: &str, meta: &ClassMeta, kind: Kind, mapping: &Mapping) -> Vec<Criteria> {
    // A look-up reads the records of one class.
    let is_inherited = meta.identification_rules.as_ref().is_some_and(|rules| !rules.applies_to.is_empty() && rules.applies_to != class);
    let columns: BTreeSet<&str> = mapping.columns(kind).collect();
    let rules = meta.identification_rules.iter().flat_map(|rules| &rules.identifiers).filter(|rule| rule.is_active());
    rules
        .map(|rule| rule.attributes.split(',').map(|attribute| attribute.trim().to_owned()).collect::<Criteria>())
        .filter(|criteria| {
            let is_asked = !is_inherited && criteria.iter().any(|column| asked_by(kind).contains(&column.as_str()));
            // One that nothing is written to is skipped by the engine.
            !is_asked && criteria.iter().all(|column| columns.contains(column.as_str()))
        })
        .collect()
}

/// Classes with rules of their own, and these as far as they are known.
pub(crate) type OwnRules = BTreeMap<String, Vec<Criteria>>;

/// Columns by class.
pub(crate) type Columns = BTreeMap<String, BTreeSet<String>>;

/// What was learnt of classes since the target was made.
#[derive(Debug, Default)]
pub(crate) struct Rules(Mutex<BTreeMap<String, Facts>>);

/// What the instance says of a class.
#[derive(Debug, Clone, Default)]
struct Facts {
    /// Its own rules, where it has any.
    own: Option<Vec<Criteria>>,
    /// Columns that hold ids of other tables' rows.
    references: BTreeSet<String>,
}

impl Rules {
    /// Which of these classes have rules of their own. One that cannot be looked at counts among them.
    pub(crate) async fn own(&self, api: &Api, mapping: &Mapping, classes: BTreeMap<String, Kind>) -> Result<OwnRules, TargetError> {
        let mut all = OwnRules::new();
        for (class, kind) in classes {
            let facts = self.facts(api, mapping, &class, kind).await?;
            all.extend(facts.own.map(|own| (class, own)));
        }
        Ok(all)
    }

    /// Which columns of these classes hold ids of other tables' rows.
    pub(crate) async fn references(&self, api: &Api, mapping: &Mapping, classes: BTreeMap<String, Kind>) -> Result<Columns, TargetError> {
        let mut all = Columns::new();
        for (class, kind) in classes {
            let facts = self.facts(api, mapping, &class, kind).await?;
            all.insert(class, facts.references);
        }
        Ok(all)
    }

    async fn facts(&self, api: &Api, mapping: &Mapping, class: &str, kind: Kind) -> Result<Facts, TargetError> {
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(class) {
            return Ok(known.clone());
        }
        let facts = match api.class(class).await {
            Ok(Some(meta)) => {
                let references = meta.attributes.iter().filter(|attribute| attribute.is_reference());
                Facts {
                    own: Some(unasked(class, &meta, kind, mapping)).filter(|own| !own.is_empty()),
                    references: references.map(|attribute| attribute.element.clone()).collect(),
                }
            }
            Ok(None) | Err(TargetError::Forbidden { .. } | TargetError::Rejected { .. }) => {
                Facts { own: Some(Vec::new()), ..Facts::default() }
            }
            Err(error) => return Err(error),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(class.to_owned(), facts.clone());
        Ok(facts)
    }
}
