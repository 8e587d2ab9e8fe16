//! What one listing of a scope read, and what ended it early.

use std::collections::BTreeMap;

use dewpoint_core::model::{Relation, Resource};

use crate::action::Action;
use crate::error::Fault;
use crate::map::{Found, Refused};

/// One listing of a scope.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) found: Found,
    /// The first thing that went wrong; `None` when everything was read to its end and every item could be taken.
    pub(crate) fault: Option<Fault>,
}

impl Listing {
    /// One listing that is read by one action.
    pub(crate) fn of(action: Action, found: Found, fault: Option<Fault>) -> Self {
        let fault = fault.or_else(|| incomplete(action, &found.refused));
        Self { found, fault }
    }

    /// A listing that read nothing.
    pub(crate) fn failed(fault: Fault) -> Self {
        Self { found: Found::default(), fault: Some(fault) }
    }

    /// Notes what went wrong in one of several calls, and what it could not take.
    pub(crate) fn note(&mut self, fault: Option<&Fault>, refused: Vec<Refused>) {
        self.found.refused.extend(refused);
        if self.fault.is_none() {
            self.fault = fault.cloned();
        }
    }

    /// Notes what went wrong elsewhere and concerns this listing as well.
    pub(crate) fn take_faults(&mut self, other: &Self) {
        self.note(other.fault.as_ref(), other.found.refused.clone());
    }

    pub(crate) fn add(&mut self, resource: Resource, relations: Vec<Relation>) {
        self.found.resources.push(resource);
        self.found.relations.extend(relations);
    }

    /// Ends a listing of several calls: items that could not be taken make it incomplete.
    pub(crate) fn finish(mut self, action: Action) -> Self {
        self.fault = self.fault.or_else(|| incomplete(action, &self.found.refused));
        self
    }

    /// Leaves out what names networks, subnets and groups, where their owner and so their keys are not known.
    pub(crate) fn forget_networks(&mut self) {
        for resource in &mut self.found.resources {
            for name in ["network", "subnet"] {
                resource.attributes.remove(name);
            }
        }
        let is_named = |to: &str| [":vpc/", ":subnet/", ":security-group/"].iter().any(|path| to.contains(path));
        self.found.relations.retain(|relation| !is_named(relation.to.as_str()));
    }

    /// Names networks, subnets and groups that another account shares by their owner. AWS names them by id alone, and their key holds the
    /// account.
    pub(crate) fn readdress(&mut self, keys: &BTreeMap<String, dewpoint_core::model::Key>) {
        if keys.is_empty() {
            return;
        }
        for resource in &mut self.found.resources {
            for name in ["network", "subnet"] {
                if let Some(serde_json::Value::String(text)) = resource.attributes.get_mut(name)
                    && let Some(key) = keys.get(text.as_str())
                {
                    *text = key.as_str().to_owned();
                }
            }
        }
        for relation in &mut self.found.relations {
            if let Some(key) = keys.get(relation.to.as_str()) {
                relation.to = key.clone();
            }
        }
    }
}

/// What it means that items could not be taken.
pub(crate) fn incomplete(action: Action, refused: &[Refused]) -> Option<Fault> {
    let first = refused.iter().min()?;
    let text = format!("{} items could not be taken; the first: {}", refused.len(), first.text);
    Some(Fault::truncated(action.name, text))
}
