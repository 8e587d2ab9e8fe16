//! What the members that are folded into a fleet tell of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::merge::is_nothing;
use crate::model::{Attributes, Resource};

/// Field of a scaling group's `extra` that says what only its folded members tell of it: values by attribute, of lists the items that the
/// cloud does not show. A listing of the group neither shows nor disproves them.
const ADDED: &str = "added_by_members";

const COUNT: &str = "member_count";
const COUNT_MIN: &str = "member_count_min";
const COUNT_MAX: &str = "member_count_max";
const SPOT_SHARE: &str = "spot_share";

/// Lists of a fleet, each with its members' attribute.
const LISTS: [(&str, &str); 3] = [("images", "image"), ("sizes", "size"), ("zones", "zone")];

/// What the live members of one fleet tell together.
#[derive(Debug, Default)]
pub(super) struct Told {
    lists: BTreeMap<&'static str, BTreeSet<String>>,
    /// Members that no complete listing misses.
    present: u32,
    /// Of these, those that tell how they were bought, and those that are spot.
    bought: u32,
    spot: u32,
}

impl Told {
    /// Takes one member in. One that a listing misses and whose end is not concluded still tells of its kind, but is not counted.
    pub(super) fn add(&mut self, member: &Resource, is_present: bool) {
        let text = |name: &str| member.attributes.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        for (list, name) in LISTS {
            if let Some(text) = text(name) {
                self.lists.entry(list).or_default().insert(text.to_owned());
            }
        }
        if is_present {
            self.present = self.present.saturating_add(1);
            self.bought = self.bought.saturating_add(u32::from(text("purchase").is_some()));
            self.spot = self.spot.saturating_add(u32::from(text("purchase") == Some("spot")));
        }
    }

    /// What this adds to what a fleet says of itself (`own`), and what it added `before`. Where the members' listing is not `proven` whole, the
    /// lists lose nothing and the lowest and highest count are not sampled.
    fn added(&self, own: &Attributes, before: &Attributes, proven: bool) -> Attributes {
        let mut added = Attributes::new();
        for (list, _) in LISTS {
            let mut items = self.lists.get(list).cloned().unwrap_or_default();
            if !proven {
                items.extend(texts(before.get(list)).map(str::to_owned));
            }
            for item in texts(own.get(list)) {
                items.remove(item);
            }
            if !items.is_empty() {
                added.insert(list.to_owned(), Value::Array(items.into_iter().map(Value::String).collect()));
            }
        }
        let mut add = |name: &str, value: Option<Value>| {
            if let (None, Some(value)) = (own.get(name), value) {
                added.insert(name.to_owned(), value);
            }
        };
        add(COUNT, Some(self.present.into()));
        let count = own.get(COUNT).and_then(Value::as_u64).unwrap_or(self.present.into());
        let sampled = |name: &str, pick: fn(u64, u64) -> u64| {
            let last = before.get(name).and_then(Value::as_u64);
            if proven { Some(last.map_or(count, |last| pick(last, count))) } else { last }.map(Value::from)
        };
        add(COUNT_MIN, sampled(COUNT_MIN, u64::min));
        add(COUNT_MAX, sampled(COUNT_MAX, u64::max));
        add(SPOT_SHARE, self.spot_share().map(Value::from));
        added
    }

    /// The share of spot among the members that tell how they were bought. Four decimals: such a number is read back from any ledger as it is.
    fn spot_share(&self) -> Option<f64> {
        (self.bought > 0).then(|| (f64::from(self.spot) / f64::from(self.bought) * 10_000.0).round() / 10_000.0)
    }
}

/// The attributes of a named fleet, which says nothing of itself.
pub(super) fn of_named(told: &Told, before: &Attributes, proven: bool) -> Attributes {
    told.added(&Attributes::new(), before, proven)
}

/// What folding makes of a group that the cloud shows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part<'a> {
    /// These are folded into it.
    Members(&'a Told),
    /// None is left of those that were.
    Emptied,
    /// It has members, and they are not folded into it any more.
    Released,
    /// Whether its members will be folded into it is not decided.
    Undecided,
}

/// A group that the cloud shows as it is with what its members tell. Where their listing is not `proven` whole, nothing is taken from it.
pub(super) fn of_group(group: &Resource, part: Part<'_>, proven: bool) -> Resource {
    let mut group = group.clone();
    let before = take_added(&mut group);
    let added = match part {
        Part::Members(told) => told.added(&group.attributes, &before, proven),
        Part::Emptied if proven => emptied(&group.attributes, before),
        Part::Released if proven => Attributes::new(),
        Part::Emptied | Part::Released | Part::Undecided => before,
    };
    put_added(&mut group, added);
    group
}

/// A named fleet without members, whose listing proves that.
pub(super) fn of_emptied(fleet: &Resource) -> Resource {
    Resource { attributes: emptied(&Attributes::new(), fleet.attributes.clone()), ..fleet.clone() }
}

/// What the last members of a fleet added, now that there are none: they are counted no more, and what they were describes it still. A fleet that
/// is scaled to nothing every night would otherwise change twice a day.
fn emptied(own: &Attributes, before: Attributes) -> Attributes {
    let counts = Told::default().added(own, &before, true);
    before.into_iter().chain(counts).collect()
}

/// Whether folded members add something to what a resource says of itself.
pub(super) fn adds_to(resource: &Resource) -> bool {
    resource.extra.contains_key(ADDED)
}

/// A resource as the cloud shows it, without what folded members add to it.
pub(crate) fn without_added(resource: &Arc<Resource>) -> Arc<Resource> {
    if !adds_to(resource) {
        return Arc::clone(resource);
    }
    let mut own = Resource::clone(resource);
    let _ = take_added(&mut own);
    own.into()
}

/// Keeps in a read of a group what its members added to what is known of it.
pub(super) fn keep_added(read: &mut Resource, known: &Resource, proven: bool) {
    // A file says what members added where it was written.
    let _ = take_added(read);
    let mut added = added_to(known);
    added.retain(|name, value| {
        let own = read.attributes.get(name);
        let Value::Array(_) = value else { return own.is_none() };
        // What nobody looked at stays as it was known, members' part and all.
        if !proven && own.is_none_or(is_nothing) {
            if let Some(merged) = known.attributes.get(name) {
                read.attributes.insert(name.clone(), without(merged, value));
            }
            return true;
        }
        *value = without(value, own.unwrap_or(&Value::Null));
        !is_nothing(value)
    });
    put_added(read, added);
}

fn added_to(resource: &Resource) -> Attributes {
    let fields = resource.extra.get(ADDED).and_then(Value::as_object);
    fields.map(|fields| fields.clone().into_iter().collect()).unwrap_or_default()
}

/// Takes what members added out of a resource again.
fn take_added(resource: &mut Resource) -> Attributes {
    let added = added_to(resource);
    resource.extra.remove(ADDED);
    for (name, value) in &added {
        let Some(merged) = resource.attributes.get_mut(name) else { continue };
        if value.is_array() {
            *merged = without(merged, value);
        }
        if !value.is_array() || is_nothing(merged) {
            resource.attributes.remove(name);
        }
    }
    added
}

fn put_added(resource: &mut Resource, added: Attributes) {
    for (name, value) in &added {
        let merged = if value.is_array() {
            let items: BTreeSet<&str> = texts(resource.attributes.get(name)).chain(texts(Some(value))).collect();
            items.into_iter().collect()
        } else {
            value.clone()
        };
        resource.attributes.insert(name.clone(), merged);
    }
    if !added.is_empty() {
        resource.extra.insert(ADDED.to_owned(), Value::Object(added.into_iter().collect::<Map<_, _>>()));
    }
}

fn without(list: &Value, gone: &Value) -> Value {
    let gone: BTreeSet<&str> = texts(Some(gone)).collect();
    texts(Some(list)).filter(|item| !gone.contains(item)).collect()
}

fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}
