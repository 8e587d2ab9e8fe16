//! AQL: which objects a query finds, and in which order.

mod parse;
mod run;

use std::collections::HashMap;

use jiff::Timestamp;

use crate::{object::Object, settings::Settings, site::Site};

pub(crate) use run::Search;

/// What a search is made with.
#[derive(Clone, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) settings: &'a Settings,
    /// The account's id or key.
    pub(crate) user: &'a str,
    pub(crate) now: Timestamp,
    /// The schemas that are seen; all when missing.
    pub(crate) schemas: Option<Vec<u64>>,
    /// What is seen in place of the objects that are.
    pub(crate) late: HashMap<u64, Option<&'a Object>>,
    /// What is left to chance is drawn from this.
    pub(crate) chance: u64,
}

/// Whether an object meets a query; it does not where the query makes no sense.
pub(crate) fn is_met(site: &Site, query: &str, object: &Object) -> bool {
    let settings = Settings::default();
    let asker = Asker { settings: &settings, user: "", now: object.updated, schemas: None, late: HashMap::new(), chance: 0 };
    Search::new(site, &asker, query).is_ok_and(|search| search.finds(object))
}
