//! What the lists hold, as far as it is needed: plain data, read item by item.

pub(crate) mod balancing;
pub(crate) mod compute;
pub(crate) mod network;
pub(crate) mod resources;
#[cfg(feature = "compute-types")]
mod typed;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::item::{Item, Refused};

/// One item as it was read.
#[derive(Debug)]
pub(crate) struct Read<T> {
    pub(crate) item: T,
    /// Why it did not fit the published types, and was read leniently: in words.
    pub(crate) misfit: Option<String>,
}

/// Something that a list holds.
pub(crate) trait Wire: Sized {
    /// Whether what there is to say of it stands in its `properties`.
    const HAS_PROPERTIES: bool = true;

    /// Reads it out of JSON of any form. What is not there is left out; only an id has to be there.
    fn lenient(item: Item<'_>) -> Result<Self, Refused>;

    /// Reads one item. Types that are published are tried first.
    fn read(raw: &RawValue) -> Result<Read<Self>, Refused> {
        Ok(Read { item: Self::lenient(Item(&parse(raw)?))?, misfit: None })
    }
}

/// An item as JSON.
pub(crate) fn parse(raw: &RawValue) -> Result<Value, Refused> {
    serde_json::from_str(raw.get()).map_err(|error| Refused::new("", format!("an item is no JSON: {error}")))
}

/// Whether nothing is said of an item but that it is there: its properties are no object. Every kind that is listed has some.
pub(crate) fn is_hollow(raw: &RawValue) -> bool {
    #[derive(serde::Deserialize)]
    struct Properties<'a> {
        #[serde(borrow)]
        properties: Option<&'a RawValue>,
    }
    let properties = serde_json::from_str::<Properties<'_>>(raw.get()).ok().and_then(|item| item.properties);
    !properties.is_some_and(|properties| properties.get().trim_start().starts_with('{'))
}
