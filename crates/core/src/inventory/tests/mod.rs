#![expect(clippy::indexing_slicing, clippy::expect_used, clippy::unwrap_used, clippy::needless_pass_by_value, reason = "tests may")]

mod edges;
mod merge;
mod scopes;
mod services;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;
use crate::estate::{Dirty, End, EndCause, Estate, Fence, JournalKind, Known, KnownScope};
use crate::model::{Key, Kind, Outcome, Provider, Region, Relation, RelationType, Resource, Scope, SourceName, Vital};
use crate::ownership::Ownership;
use crate::source::{Pull, STATE, SourceError, TAGS};
use crate::testing::{coverage, everywhere, key, minute, pull, relation, resource, scope, source};

const A: &str = "111111111111";
const HERE: &str = "eu-west-1";

fn instances() -> Scope {
    scope(A, HERE, Kind::Instance)
}

fn machine(attributes: Value) -> Resource {
    let mut machine = resource(&instances(), "i-1");
    machine.attributes = serde_json::from_value(attributes).expect("attributes");
    machine
}

fn take(estate: &mut Estate, pull: &Pull, fence: i64) -> Observed {
    take_with(estate, pull, fence, &coverage(pull), false)
}

fn take_with(estate: &mut Estate, pull: &Pull, fence: i64, coverage: &Coverage, narrow: bool) -> Observed {
    estate.dirty = Dirty::default();
    let observing = Observing { at: minute(fence), fence: Fence(fence), narrow, coverage };
    observe(estate, pull.clone(), &observing)
}

fn complete(resources: impl IntoIterator<Item = Resource>) -> Pull {
    pull([(instances(), Outcome::Complete)], resources, [])
}

fn row(estate: &Estate) -> &Known {
    &estate.resources[&key(&instances(), "i-1")]
}

fn name(text: &str) -> SourceName {
    text.parse().expect("a name")
}
