//! One resource as read, and the same as known: what is taken, what is kept, what changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::members;
use crate::estate::{Fence, FieldChange, Known, digest};
use crate::model::attributes::{self, FactGroup};
use crate::model::{Kind, Provider, Resource};
use crate::source::{STATE, TAGS};

/// Whether absences of the two groups of facts are proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proven {
    pub(super) own: bool,
    pub(super) addresses: bool,
}

impl Proven {
    pub(super) const ALL: Self = Self { own: true, addresses: true };
    pub(super) const NOTHING: Self = Self { own: false, addresses: false };
}

/// What became of a known row by a read.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Taken {
    /// Whether the resource differs from before in anything but the time of observation.
    pub(super) changed: bool,
    /// Fields that differ, without volatile ones.
    pub(super) fields: BTreeMap<String, FieldChange>,
    /// Whether this is a new life under the old id.
    pub(super) reborn: bool,
}

/// Takes a read of a resource into its row. Bookkeeping of sightings is the caller's.
pub(super) fn take(known: &mut Known, mut read: Arc<Resource>, proven: Proven) -> Taken {
    if Arc::ptr_eq(&known.resource, &read) || is_same(&known.resource, &read) {
        return Taken::default();
    }
    keep_spelling(&mut read, &known.resource);
    keep_place(&mut read, &known.resource);
    if members::adds_to(&known.resource) || members::adds_to(&read) {
        members::keep_added(Arc::make_mut(&mut read), &known.resource, proven.own);
    }
    let reborn = is_another_life(&known.resource, &read);
    let born = read.created_at;
    if proven != Proven::ALL || read.is_fading() {
        let read = Arc::make_mut(&mut read);
        fill_unproven(read, &known.resource, proven);
        if reborn {
            read.created_at = born;
        }
    }
    Taken { reborn, ..replace(known, read) }
}

/// Azure tells the id of one resource in another case from one call to the next, and after a change on its side for good. That is no change of the
/// resource: the spelling that was seen first stays, also of the name, which the id holds. A subscription's name is people's own.
fn keep_spelling(read: &mut Arc<Resource>, old: &Resource) {
    if read.provider != Provider::Azure || read.derived {
        return;
    }
    let differs = |read: &str, old: &str| read != old && read.eq_ignore_ascii_case(old);
    if differs(&read.native_id, &old.native_id) {
        Arc::make_mut(read).native_id.clone_from(&old.native_id);
    }
    if let (Some(name), Some(before)) = (&read.name, &old.name)
        && read.kind != Kind::Account
        && differs(name, before)
    {
        Arc::make_mut(read).name.clone_from(&old.name);
    }
}

/// Not every item of Azure says where it lies. What has been somewhere has not left for nowhere.
fn keep_place(read: &mut Arc<Resource>, old: &Resource) {
    if read.provider == Provider::Azure && !read.derived && read.region.is_any() && !old.region.is_any() {
        Arc::make_mut(read).region.clone_from(&old.region);
    }
}

/// Whether both say which life they are of, and it is not the same.
fn is_another_life(old: &Resource, new: &Resource) -> bool {
    matches!((old.life(), new.life()), (Some(old), Some(new)) if old != new)
}

/// Puts another view of a resource into its row.
pub(super) fn replace(known: &mut Known, view: Arc<Resource>) -> Taken {
    if is_same(&known.resource, &view) {
        return Taken::default();
    }
    let fields = differences(&known.resource, &view);
    known.digest = digest(&view);
    known.resource = view;
    Taken { changed: true, fields, reborn: false }
}

/// A read of one resource outside its listing: what was read is taken, nothing is emptied, and it counts as seen.
/// Returns the fields that differ; `None` where something newer is known.
pub(crate) fn read_narrowly(
    known: &mut Known,
    read: impl Into<Arc<Resource>>,
    at: Timestamp,
    fence: Fence,
) -> Option<BTreeMap<String, FieldChange>> {
    if known.fence > fence {
        return None;
    }
    let taken = take(known, read.into(), Proven::NOTHING);
    known.sighted(at, fence);
    Some(taken.fields)
}

/// Keeps from `old` the named attributes, and where they are named the state and the tags, that `read` does not show: nobody looked. The state of another life under the
/// same id says nothing of this one.
pub(super) fn keep_unread<'a>(read: &mut Resource, old: &Resource, names: impl IntoIterator<Item = &'a String>) {
    for name in names {
        if name == STATE {
            if !is_another_life(old, read) {
                read.state = read.state.take().or_else(|| old.state.clone());
            }
            continue;
        }
        if name == TAGS && read.tags.is_empty() {
            read.tags.clone_from(&old.tags);
        }
        if let (None, Some(value)) = (read.attributes.get(name), old.attributes.get(name)) {
            read.attributes.insert(name.clone(), value.clone());
        }
    }
}

/// Keeps from `old` what `read` does not show and its listing does not prove absent. The end of a life proves nothing absent: the
/// listing of a terminated machine has lost its facts, and with its interfaces the older of the times that tell of its birth.
fn fill_unproven(read: &mut Resource, old: &Resource, proven: Proven) {
    let is_fading = read.is_fading();
    let proven = if is_fading { Proven::NOTHING } else { proven };
    for (name, value) in &old.attributes {
        let is_proven = match attributes::group(old.kind, name) {
            FactGroup::Own => proven.own,
            FactGroup::Addresses => proven.addresses,
        };
        if !is_proven && read.attributes.get(name).is_none_or(is_nothing) {
            read.attributes.insert(name.clone(), value.clone());
        }
    }
    if proven.own {
        return;
    }
    read.name = read.name.take().or_else(|| old.name.clone());
    read.state = read.state.take().or_else(|| old.state.clone());
    read.created_at = match (read.created_at, old.created_at) {
        (Some(read), Some(old)) if is_fading => Some(read.min(old)),
        (read, old) => read.or(old),
    };
    for (name, value) in &old.tags {
        if !read.tags.contains_key(name) {
            read.tags.insert(name.clone(), value.clone());
        }
    }
    for (name, value) in &old.extra {
        if !read.extra.contains_key(name) {
            read.extra.insert(name.clone(), value.clone());
        }
    }
}

/// Whether a value says "no value": what an unread fact looks like.
pub(super) fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Equality of everything but the time of observation.
fn is_same(a: &Resource, b: &Resource) -> bool {
    // Spelt out, so that a new field has to decide.
    let Resource {
        key,
        kind,
        provider,
        native_id,
        account,
        region,
        name,
        state,
        tags,
        created_at,
        observed_at: _,
        attributes,
        derived,
        extra,
    } = a;
    *kind == b.kind
        && *state == b.state
        && *created_at == b.created_at
        && *derived == b.derived
        && *provider == b.provider
        && *name == b.name
        && *native_id == b.native_id
        && *account == b.account
        && *region == b.region
        && *key == b.key
        && *tags == b.tags
        && *attributes == b.attributes
        && *extra == b.extra
}

/// The fields that differ, without volatile attributes. `null` and "not there" are one.
fn differences(old: &Resource, new: &Resource) -> BTreeMap<String, FieldChange> {
    let mut fields = BTreeMap::new();
    let mut note = |name: String, from: Value, to: Value| {
        if from != to {
            fields.insert(name, FieldChange { from, to });
        }
    };
    let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::String);
    let time = |time: Option<Timestamp>| time.map_or(Value::Null, |time| Value::String(time.to_string()));
    note("kind".to_owned(), old.kind.as_str().into(), new.kind.as_str().into());
    note("native_id".to_owned(), old.native_id.as_str().into(), new.native_id.as_str().into());
    note("account".to_owned(), old.account.as_str().into(), new.account.as_str().into());
    note("region".to_owned(), old.region.as_str().into(), new.region.as_str().into());
    note("name".to_owned(), text(&old.name), text(&new.name));
    note("state".to_owned(), text(&old.state), text(&new.state));
    note("created_at".to_owned(), time(old.created_at), time(new.created_at));
    differing(&old.tags, &new.tags, |name, from, to| {
        let value = |tag: Option<&String>| tag.map_or(Value::Null, |tag| Value::String(tag.clone()));
        note(format!("tags.{name}"), value(from), value(to));
    });
    differing(&old.attributes, &new.attributes, |name, from, to| {
        if !attributes::is_volatile(new.kind, name) {
            note(format!("attributes.{name}"), from.cloned().unwrap_or_default(), to.cloned().unwrap_or_default());
        }
    });
    fields
}

/// Calls back for each name whose value differs between two maps.
pub(super) fn differing<'a, V: PartialEq>(
    old: &'a BTreeMap<String, V>,
    new: &'a BTreeMap<String, V>,
    mut differs: impl FnMut(&'a str, Option<&'a V>, Option<&'a V>),
) {
    for (name, from) in old {
        let to = new.get(name);
        if to != Some(from) {
            differs(name, Some(from), to);
        }
    }
    for (name, to) in new {
        if !old.contains_key(name) {
            differs(name, None, Some(to));
        }
    }
}
