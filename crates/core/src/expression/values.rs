//! The model's values as the interpreter sees them: read when asked for, borrowed where that can be.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::OnceLock;

use cel::ExecutionError;
use cel::common::traits::{Container, Indexer, Iterable, Iterator as CelIterator, Sizer};
use cel::common::types::{
    CelBool, CelDouble, CelDuration, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelTimestamp, MAP_TYPE, Type,
};
use cel::common::value::{CowVal, Val};
use chrono::{DateTime, TimeDelta};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::subject::{Fact, View};
use super::vocabulary::{self, Object};

/// Any value of the interpreter's.
pub(super) type Boxed<'v> = Box<dyn Val + 'v>;

static OBJECT: Type = Type::new_unspecified_type("object");

/// `resource`, `group` or `ci`.
#[derive(Clone, Copy)]
pub(super) struct Thing<'a> {
    pub(super) view: View<'a>,
    pub(super) object: Object,
}

impl fmt::Debug for Thing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?}", self.object.name(), self.view)
    }
}

impl Val for Thing<'_> {
    fn get_type(&self) -> &Type {
        &OBJECT
    }

    fn cel_type() -> &'static Type {
        &OBJECT
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Boxed<'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }
}

impl Indexer for Thing<'_> {
    fn get<'b, 'v>(&'b self, index: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        count_step();
        let name = text(index).unwrap_or_default();
        let field = vocabulary::field(self.object, name).ok_or_else(|| ExecutionError::no_such_key(name))?;
        let fact = self.view.fact(self.object, field).unwrap_or(Fact::Null);
        boxed(fact).map(CowVal::Owned).map_err(|wanted| ExecutionError::function_error(name, format!("is not {wanted}")))
    }

    fn steal<'v>(self: Box<Self>, index: &dyn Val) -> Result<Boxed<'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(index).map(CowVal::into_owned)
    }
}

/// Tags, looked up in the resource's own map.
struct Tags<'a> {
    tags: &'a BTreeMap<String, String>,
    /// For walking over them, which hands out references.
    keys: OnceLock<Vec<CelString<'a>>>,
}

impl fmt::Debug for Tags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.tags).finish()
    }
}

impl<'a> Val for Tags<'a> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Boxed<'v>
    where
        Self: 'v,
    {
        Box::new(Tags { tags: self.tags, keys: OnceLock::new() })
    }
}

impl Container for Tags<'_> {
    fn contains(&self, key: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(text(key).is_some_and(|key| self.tags.contains_key(key)))
    }
}

impl Indexer for Tags<'_> {
    fn get<'b, 'v>(&'b self, index: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        count_step();
        let key = text(index).unwrap_or_default();
        let value = self.tags.get(key).ok_or_else(|| ExecutionError::no_such_key(key))?;
        Ok(CowVal::owned(CelString::from(value.as_str())))
    }

    fn steal<'v>(self: Box<Self>, index: &dyn Val) -> Result<Boxed<'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(index).map(CowVal::into_owned)
    }
}

impl<'a> Iterable for Tags<'a> {
    fn iter<'b, 'v>(&'b self) -> Box<dyn CelIterator<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        let keys = self.keys.get_or_init(|| self.tags.keys().map(|key| CelString::from(key.as_str())).collect());
        Box::new(Keys(keys.iter()))
    }
}

impl Sizer for Tags<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.tags.len()).unwrap_or(i64::MAX))
    }
}

struct Keys<'b, 'a>(std::slice::Iter<'b, CelString<'a>>);

impl<'b, 'v, 'a: 'v> CelIterator<'b, 'v> for Keys<'b, 'a> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        count_step();
        self.0.next().map(|key| key as &(dyn Val + 'v))
    }
}

/// The text of a value, if it is one.
pub(super) fn text<'b>(value: &'b (dyn Val + '_)) -> Option<&'b str> {
    value.downcast_ref::<CelString<'_>>().map(CelString::inner)
}

/// `resource`, `group` or `ci` as a variable.
pub(super) fn boxed_object<'a>(view: View<'a>, object: Object) -> Boxed<'a> {
    match view.object(object) {
        Some(Fact::Object(thing)) => Box::new(thing),
        _ => Box::new(CelNull),
    }
}

/// The interpreter's form of a value; what it ought to be where it is not that.
pub(super) fn boxed<'v>(fact: Fact<'v>) -> Result<Boxed<'v>, &'static str> {
    Ok(match fact {
        Fact::Null => Box::new(CelNull),
        Fact::Bool(flag) => Box::new(CelBool::from(flag)),
        Fact::Int(number) => Box::new(CelInt::from(number)),
        Fact::Double(number) => Box::new(CelDouble::from(number)),
        Fact::Text(text) => Box::new(CelString::from(text)),
        Fact::Time(time) => Box::new(timestamp(time).ok_or("a time between the years 1 and 9999")?),
        Fact::Duration(duration) => Box::new(duration_of(duration).ok_or("a duration that can be told")?),
        Fact::Texts(items) => Box::new(list(items)),
        Fact::Tags(tags) => Box::new(Tags { tags, keys: OnceLock::new() }),
        Fact::Structure(value) => structure(value),
        Fact::Object(thing) => Box::new(thing),
        Fact::Odd(wanted) => return Err(wanted),
    })
}

fn list(items: &[Value]) -> CelList<'_> {
    CelList::from(items.iter().map(structure).collect::<Vec<_>>())
}

fn structure(value: &Value) -> Boxed<'_> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(flag) => Box::new(CelBool::from(*flag)),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Box::new(CelInt::from(whole)),
            None => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Array(items) => Box::new(list(items)),
        Value::Object(entries) => {
            let entries: HashMap<CelMapKey<'_>, Boxed<'_>> =
                entries.iter().map(|(key, value)| (CelMapKey::from(key.as_str()), structure(value))).collect();
            Box::new(CelMap::from(entries))
        }
    }
}

/// The interpreter's form of an instant; `None` outside of what CEL can tell.
pub(super) fn timestamp(time: Timestamp) -> Option<CelTimestamp> {
    let nanos = time.as_nanosecond();
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).ok()?;
    let rest = u32::try_from(nanos.rem_euclid(1_000_000_000)).ok()?;
    let time = DateTime::from_timestamp(seconds, rest)?;
    (1..=9999).contains(&chrono::Datelike::year(&time)).then(|| CelTimestamp::from(time.fixed_offset()))
}

/// Our form of the interpreter's instant.
pub(super) fn instant(value: &dyn Val) -> Option<Timestamp> {
    let time = value.downcast_ref::<CelTimestamp>()?.inner();
    Timestamp::new(time.timestamp(), i32::try_from(time.timestamp_subsec_nanos()).ok()?).ok()
}

fn duration_of(duration: SignedDuration) -> Option<CelDuration> {
    let whole = TimeDelta::try_seconds(duration.as_secs())?;
    whole.checked_add(&TimeDelta::nanoseconds(i64::from(duration.subsec_nanos()))).map(CelDuration::from)
}

/// Our form of the interpreter's duration.
pub(super) fn interval(value: &dyn Val) -> Option<SignedDuration> {
    let duration = value.downcast_ref::<CelDuration>()?.inner();
    Some(SignedDuration::new(duration.num_seconds(), duration.subsec_nanos()))
}

#[cfg(test)]
thread_local! {
    /// How often the interpreter read a field or took an element, in tests.
    pub(super) static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
fn count_step() {
    STEPS.with(|steps| steps.set(steps.get() + 1));
}

#[cfg(not(test))]
const fn count_step() {}
