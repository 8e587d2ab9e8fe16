//! Reference columns: people write a mail address, a name or a code, the instance wants the id of a row.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use dewpoint_core::target::TargetError;
use serde::Deserialize;

use crate::api::{Api, Select};
use crate::ire::is_sys_id;
use crate::query::{Query, can_be_asked, can_be_listed, lists};

/// How a text becomes the id of a row of another table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The table.
    pub table: String,
    /// Columns to look the text up in: the first that has it decides.
    pub by: Vec<String>,
}

/// As people are told of it.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` by {}", self.table, self.by.join(" or "))
    }
}

/// Columns of `cmdb` and `cmdb_ci`, which every class has, that hold ids of rows of one table.
///
/// Sources: ServiceNow, "Configuration Item \[cmdb_ci\] class" and "Base Configuration Item \[cmdb\] class" (CMDB table property descriptions).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WellKnown {
    columns: Vec<String>,
    table: String,
    by: Vec<String>,
}

impl WellKnown {
    /// The references by their columns.
    pub(crate) fn by_column(all: &[Self]) -> BTreeMap<String, Reference> {
        let of_one = |one: &Self| {
            let reference = Reference { table: one.table.clone(), by: one.by.clone() };
            one.columns.iter().map(move |column| (column.clone(), reference.clone())).collect::<Vec<_>>()
        };
        all.iter().flat_map(of_one).collect()
    }
}

/// What was resolved since the target was made; `None` for what nothing, or more than one row, stands for.
#[derive(Debug, Default)]
pub(crate) struct References(Mutex<BTreeMap<(Reference, String), Option<String>>>);

/// Ids of the rows that texts stand for.
#[derive(Debug, Default)]
pub(crate) struct Resolved(BTreeMap<(Reference, String), String>);

impl Resolved {
    pub(crate) fn get(&self, (reference, text): &(&Reference, &str)) -> Option<&str> {
        self.0.get(&((*reference).clone(), (*text).to_owned())).map(String::as_str)
    }
}

impl References {
    /// The same where what nothing stood for is asked for again. An id is no text that stands for one: where it was left, that had another reason.
    pub(crate) async fn resolve_anew(&self, api: &Api, wanted: &BTreeSet<(&Reference, &str)>) -> Result<Resolved, TargetError> {
        let wanted = wanted.iter().copied().filter(|(_, text)| !is_sys_id(text)).collect();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, id| id.is_some());
        self.resolve(api, &wanted).await
    }

    /// Ids for these texts, as far as the instance has exactly one row for each.
    pub(crate) async fn resolve(&self, api: &Api, wanted: &BTreeSet<(&Reference, &str)>) -> Result<Resolved, TargetError> {
        let mut open: BTreeMap<&Reference, BTreeSet<&str>> = BTreeMap::new();
        {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for (reference, text) in wanted {
                if !known.contains_key(&((*reference).clone(), (*text).to_owned())) {
                    open.entry(reference).or_default().insert(text);
                }
            }
        }
        for (reference, texts) in open {
            let found = look_up(api, reference, &texts).await?;
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for text in texts {
                known.insert((reference.clone(), text.to_owned()), found.get(text).cloned());
            }
        }
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let resolved = wanted.iter().filter_map(|(reference, text)| {
            let name = ((*reference).clone(), (*text).to_owned());
            let id = known.get(&name)?.clone()?;
            Some((name, id))
        });
        Ok(Resolved(resolved.collect()))
    }
}

/// The only row that has a text in one of the columns; the first column that has it decides. Letter case does not matter: mail addresses are written in any.
async fn look_up(api: &Api, reference: &Reference, texts: &BTreeSet<&str>) -> Result<HashMap<String, String>, TargetError> {
    let mut found: HashMap<String, String> =
        texts.iter().filter(|text| is_sys_id(text)).map(|text| ((*text).to_owned(), (*text).to_owned())).collect();
    let mut ambiguous: BTreeSet<&str> = BTreeSet::new();
    for column in &reference.by {
        let open = texts.iter().copied().filter(|text| can_be_asked(text) && !found.contains_key(*text) && !ambiguous.contains(text));
        let (listed, single): (Vec<&str>, Vec<&str>) = open.partition(|text| can_be_listed(text));
        let queries = lists(listed).into_iter().map(|list| Query::all().any_of(column, list.iter().copied()));
        let queries: Vec<Query> = queries.chain(single.into_iter().map(|text| Query::all().equals(column, text))).collect();
        let mut rows: HashMap<String, BTreeSet<String>> = HashMap::new();
        for query in queries {
            let shown = match api.rows(&Select { table: &reference.table, query, fields: &["sys_id", column.as_str()] }).await {
                Ok(shown) => shown,
                // People and groups are often shown in part only. What cannot be resolved is left as it is, and stops nothing.
                Err(TargetError::Forbidden { .. } | TargetError::Rejected { .. }) => continue,
                Err(error) => return Err(error),
            };
            for mut row in shown {
                if let (Some(id), Some(value)) = (row.remove("sys_id"), row.remove(column)) {
                    rows.entry(value.to_lowercase()).or_default().insert(id);
                }
            }
        }
        for text in texts {
            let ids = rows.get(&text.to_lowercase()).filter(|_| !found.contains_key(*text));
            match ids.map(|ids| (ids.len(), ids.first())) {
                Some((1, Some(id))) => drop(found.insert((*text).to_owned(), id.clone())),
                // What the next column says of it is said of somebody else.
                Some((2.., _)) => drop(ambiguous.insert(text)),
                _ => {}
            }
        }
    }
    Ok(found)
}
