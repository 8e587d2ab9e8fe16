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

/// What to do about a class without an identification rule.
pub(crate) const RULE_MISSING_MEND: &str =
    "install the store app \"CMDB CI Class Models\", or have an administrator add a rule on `object_id`";

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

/// What an instance makes of a class that is written to, as far as it could be looked at.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClassFacts {
    /// The rules by which a create may meet what no look-up finds; `None` where it has none. One that cannot be looked at may have any.
    own: Option<Vec<Criteria>>,
    /// Its columns; `None` where they are not known.
    columns: Option<BTreeSet<String>>,
    /// Columns that hold ids of other tables' rows.
    references: BTreeSet<String>,
}

/// Facts by class.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts(BTreeMap<String, ClassFacts>);

impl Facts {
    /// The rules by which creates into a class may meet what no look-up finds, as far as they are known.
    pub(crate) fn own_rules(&self, class: &str) -> Option<&[Criteria]> {
        self.0.get(class)?.own.as_deref()
    }

    /// Whether a class is known to lack a column.
    pub(crate) fn lacks(&self, class: &str, column: &str) -> bool {
        let columns = self.0.get(class).and_then(|facts| facts.columns.as_ref());
        columns.is_some_and(|columns| !columns.contains(column))
    }

    /// Whether a class is known to have a column.
    pub(crate) fn has(&self, class: &str, column: &str) -> bool {
        let columns = self.0.get(class).and_then(|facts| facts.columns.as_ref());
        columns.is_some_and(|columns| columns.contains(column))
    }

    /// Whether a column of a class is known to hold ids of another table's rows.
    pub(crate) fn is_reference(&self, class: &str, column: &str) -> bool {
        self.0.get(class).is_some_and(|facts| facts.references.contains(column))
    }
}

/// What was learnt of classes since the target was made.
#[derive(Debug, Default)]
pub(crate) struct Rules(Mutex<BTreeMap<String, ClassFacts>>);

impl Rules {
    /// What the instance makes of these classes.
    pub(crate) async fn facts(&self, api: &Api, mapping: &Mapping, classes: BTreeMap<String, Kind>) -> Result<Facts, TargetError> {
        let mut all = Facts::default();
        for (class, kind) in classes {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&class).cloned();
            let facts = match known {
                Some(facts) => facts,
                None => {
                    let facts = match api.class(&class).await {
                        Ok(Some(meta)) => {
                            let columns: BTreeSet<String> = meta.attributes.iter().map(|attribute| attribute.element.clone()).collect();
                            let references = meta.attributes.iter().filter(|attribute| attribute.is_reference());
                            ClassFacts {
                                own: Some(unasked(&class, &meta, kind, mapping)).filter(|own| !own.is_empty()),
                                columns: Some(columns).filter(|columns| !columns.is_empty()),
                                references: references.map(|attribute| attribute.element.clone()).collect(),
                            }
                        }
                        Ok(None) | Err(TargetError::Forbidden { .. } | TargetError::Rejected { .. }) => {
                            ClassFacts { own: Some(Vec::new()), ..ClassFacts::default() }
                        }
                        Err(error) => return Err(error),
                    };
                    self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(class.clone(), facts.clone());
                    facts
                }
            };
            all.0.insert(class, facts);
        }
        Ok(all)
    }
}
