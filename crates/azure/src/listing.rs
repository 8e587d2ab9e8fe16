//! Lists page by page and item by item, to their end or to where they broke.

use std::collections::{HashMap, HashSet};

use dewpoint_core::model::Account;
use dewpoint_http::{Answer, Request};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::action::Action;
use crate::arm::Calls;
use crate::error::{Fault, Reason};
use crate::item::Refused;
use crate::wire::{Read, Wire, known};

/// Most pages of one list: a hundred thousand items where pages are as small as they were ever seen.
const PAGES_MAX: usize = 2000;

/// What one list held.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    pub(crate) items: Vec<T>,
    /// Items that cannot be taken. One of them makes the list incomplete.
    pub(crate) refused: Vec<Refused>,
    /// Items that did not fit the published types and were read leniently: their ids, with why.
    pub(crate) misfits: Vec<Refused>,
    /// The first thing that went wrong; `None` when everything was read to its end and every item could be taken.
    pub(crate) fault: Option<Fault>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { items: Vec::new(), refused: Vec::new(), misfits: Vec::new(), fault: None }
    }
}

impl<T> Listed<T> {
    /// Adds another list of the same kind.
    pub(crate) fn extend(&mut self, other: Self) {
        self.items.extend(other.items);
        self.refused.extend(other.refused);
        self.misfits.extend(other.misfits);
        self.fault = self.fault.take().or(other.fault);
    }

    /// Ends a list: items that could not be taken make it incomplete.
    pub(crate) fn judge(&mut self, action: Action) {
        if let (None, Some(first)) = (&self.fault, self.refused.iter().min()) {
            let text = format!("{} items could not be taken; the first: {}", self.refused.len(), first.text);
            self.fault = Some(Fault::truncated(action, text));
        }
    }

    /// The same list of something else.
    pub(crate) fn map<U>(self, map: impl FnMut(T) -> U) -> Listed<U> {
        let Self { items, refused, misfits, fault } = self;
        Listed { items: items.into_iter().map(map).collect(), refused, misfits, fault }
    }
}

/// A page, its items unread.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    value: Vec<&'a RawValue>,
    #[serde(rename = "nextLink")]
    next_link: Option<String>,
}

/// Reads a whole list. What was read before a fault comes back beside it.
///
/// A page may be short or empty and still lead on. `nextLink` is followed as it was given, to the configured origin only: the client sees to that, and sends
/// nothing elsewhere.
///
/// Source: github.com/Azure/azure-resource-manager-rpc, "Paging".
pub(crate) async fn list<T: Wire>(calls: &Calls<'_>, action: Action, account: Option<&Account>, first: Request) -> Listed<T> {
    let mut listed = Listed::default();
    listed.fault = pages(calls, action, account, first, &mut listed).await.err();
    listed.judge(action);
    listed
}

/// The list of a type in a whole subscription. A provider that is not registered there has nothing to list.
pub(crate) async fn list_all<T: Wire>(calls: &Calls<'_>, action: Action, account: &Account, first: Request) -> Listed<T> {
    let listed = list(calls, action, Some(account), first).await;
    match &listed.fault {
        Some(fault) if fault.reason == Reason::Unregistered => {
            tracing::info!(action = action.name, "Nothing to list: {fault}");
            Listed::default()
        }
        _ => listed,
    }
}

async fn pages<T: Wire>(
    calls: &Calls<'_>,
    action: Action,
    account: Option<&Account>,
    first: Request,
    listed: &mut Listed<T>,
) -> Result<(), Fault> {
    let mut seen: HashSet<String> = HashSet::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut request = first;
    for number in 1..=PAGES_MAX {
        let answer = match calls.send(action, account, request).await {
            Ok(answer) => answer,
            Err(fault) if number == 1 => return Err(fault),
            Err(fault) => return Err(fault.after_a_page(number)),
        };
        let next = take_page(action, number, &answer, listed, &mut places)?;
        tracing::debug!(action = action.name, page = number, items = listed.items.len(), "Read a page");
        let Some(next) = next else { return Ok(()) };
        if !seen.insert(next.clone()) {
            return Err(Fault::truncated(action, format!("page {number} leads back to a page that was read before")));
        }
        request = Request::follow(&next);
    }
    Err(Fault::truncated(action, format!("more than {PAGES_MAX} pages")))
}

/// Takes the items of a page, and returns where the next one is. `places` says which items there are by their folded ids.
fn take_page<T: Wire>(
    action: Action,
    number: usize,
    answer: &Answer,
    listed: &mut Listed<T>,
    places: &mut HashMap<String, usize>,
) -> Result<Option<String>, Fault> {
    let page: Page<'_> =
        serde_json::from_slice(answer.body()).map_err(|error| Fault::truncated(action, format!("page {number} is no list: {error}")))?;
    for raw in page.value {
        take_item(raw, T::read(raw), listed, places);
    }
    Ok(page.next_link.filter(|link| !link.trim().is_empty()))
}

/// Takes one item as it was read. Pages of a list that changes meanwhile can overlap: an item that comes again takes the place of the older view, which
/// `places` tells by id.
pub(crate) fn take_item<T: Wire>(
    raw: &RawValue,
    read: Result<Read<T>, Refused>,
    listed: &mut Listed<T>,
    places: &mut HashMap<String, usize>,
) {
    let Read { item, misfit } = match read {
        Ok(read) => read,
        Err(refused) => return listed.refused.push(refused),
    };
    let id = id_of(raw);
    let item = match known(raw, item) {
        Ok(item) => item,
        Err(refused) => return listed.refused.push(refused),
    };
    if let Some(why) = misfit {
        listed.misfits.push(Refused::new(&id, format!("it does not fit the published type: {why}")));
    }
    let place = places.entry(fold(&id)).or_insert(listed.items.len());
    match listed.items.get_mut(*place).filter(|_| !id.is_empty()) {
        Some(older) => *older = item,
        None => listed.items.push(item),
    }
}

/// An id as it is compared.
fn fold(id: &str) -> String {
    id.trim_end_matches('/').to_lowercase()
}

/// The id of an item, to speak of it.
fn id_of(raw: &RawValue) -> String {
    #[derive(Deserialize)]
    struct Id {
        id: Option<String>,
    }
    serde_json::from_str::<Id>(raw.get()).ok().and_then(|item| item.id).unwrap_or_default()
}
