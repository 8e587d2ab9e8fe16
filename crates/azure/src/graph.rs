//! The Resource Graph collector: the same lists out of an index over all subscriptions, for a fraction of the calls.
//!
//! What the index shows is taken. What it leaves out may be late, or lost: [`Source::lists_late`](dewpoint_core::source::Source::lists_late) says so, and an
//! absence in it is looked up in Azure Resource Manager before it counts. Subscriptions, locations, permissions and the public addresses of uniform scale
//! sets are read there in any case.
//!
//! Source: Azure Resource Graph, "Work with large data sets", "Guidance for throttled requests", "Table and resource type reference"; REST API reference
//! (2022-10-01), Resources.

use std::collections::{BTreeMap, HashMap, HashSet};

use dewpoint_core::model::Account;
use futures::{FutureExt, StreamExt, join};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::SUBSCRIPTIONS_AT_ONCE;
use crate::action::{self, Action, GRAPH};
use crate::arm::Calls;
use crate::error::{Fault, Reason};
use crate::ids;
use crate::item::{Item, Refused};
use crate::listing::{Listed, take_item};
use crate::lists::{Listing, Lists};
use crate::wire::compute::{Machine, SetMachine, power};
use crate::wire::{Read, Wire};

/// Subscriptions asked about at once.
///
/// Source: Azure Resource Graph documentation, "Guidance for throttled requests", which advises batches of a hundred.
pub(crate) const SUBSCRIPTIONS_PER_QUERY: usize = 100;

/// How often one question is put anew to halves of the subscriptions, to find those that it is refused for.
const HALVINGS_MAX: usize = 20;

/// Rows asked for at once, the most that there are.
const ROWS_PER_PAGE: usize = 1000;

/// Most pages of one query: five million rows.
const PAGES_MAX: usize = 5000;

/// One query: a table, and the type of its rows.
#[derive(Debug, Clone, Copy)]
struct Query {
    table: &'static str,
    row: &'static str,
    /// The action by which a role shows such rows.
    action: Action,
}

const fn resources(row: &'static str, action: Action) -> Query {
    Query { table: "Resources", row, action }
}

const fn of_compute(row: &'static str, action: Action) -> Query {
    Query { table: "ComputeResources", row, action }
}

const MACHINES: Query = resources("microsoft.compute/virtualmachines", action::MACHINES);
const SETS: Query = resources("microsoft.compute/virtualmachinescalesets", action::SETS);
const SET_MACHINES: Query = of_compute("microsoft.compute/virtualmachinescalesets/virtualmachines", action::SET_MACHINES);
const SET_INTERFACES: Query =
    of_compute("microsoft.compute/virtualmachinescalesets/virtualmachines/networkinterfaces", action::SET_INTERFACE_ROWS);
const DISKS: Query = resources("microsoft.compute/disks", action::DISKS);
const INTERFACES: Query = resources("microsoft.network/networkinterfaces", action::INTERFACES);
const NETWORKS: Query = resources("microsoft.network/virtualnetworks", action::NETWORKS);
const SECURITY_GROUPS: Query = resources("microsoft.network/networksecuritygroups", action::SECURITY_GROUPS);
const ADDRESSES: Query = resources("microsoft.network/publicipaddresses", action::ADDRESSES);
const BALANCERS: Query = resources("microsoft.network/loadbalancers", action::BALANCERS);
const GATEWAYS: Query = resources("microsoft.network/applicationgateways", action::GATEWAYS);
const GROUPS: Query =
    Query { table: "ResourceContainers", row: "microsoft.resources/subscriptions/resourcegroups", action: action::GROUPS };

/// An answer.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(rename = "totalRecords")]
    total: Option<u64>,
    /// `"true"` or `"false"`.
    #[serde(rename = "resultTruncated")]
    is_truncated: Option<Value>,
    #[serde(rename = "$skipToken")]
    skip_token: Option<String>,
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

impl Answer<'_> {
    fn is_truncated(&self) -> bool {
        match &self.is_truncated {
            Some(Value::String(word)) => word.eq_ignore_ascii_case("true"),
            Some(Value::Bool(is)) => *is,
            _ => false,
        }
    }
}

/// What a query showed, by subscription.
type BySubscription<T> = BTreeMap<Account, Listed<T>>;

/// Where in its list an item of an id stands.
type Places = HashMap<String, usize>;

/// A machine with its power state, which the index keeps in a place of its own.
struct Powered<T>(T);

impl Wire for Powered<Machine> {
    fn lenient(item: Item<'_>) -> Result<Self, Refused> {
        Machine::lenient(item).map(|machine| Self(told(machine, item)))
    }

    fn read(raw: &RawValue) -> Result<Read<Self>, Refused> {
        let Read { item, misfit } = Machine::read(raw)?;
        Ok(Read { item: Self(told(item, Item(&crate::wire::parse(raw)?))), misfit })
    }
}

impl Wire for Powered<SetMachine> {
    fn lenient(item: Item<'_>) -> Result<Self, Refused> {
        SetMachine::lenient(item).map(|machine| Self(SetMachine(told(machine.0, item))))
    }

    fn read(raw: &RawValue) -> Result<Read<Self>, Refused> {
        let Read { item, misfit } = SetMachine::read(raw)?;
        Ok(Read { item: Self(SetMachine(told(item.0, Item(&crate::wire::parse(raw)?)))), misfit })
    }
}

fn told(machine: Machine, item: Item<'_>) -> Machine {
    let code = item.text("/properties/extended/instanceView/powerState/code");
    Machine { power: machine.power.or_else(|| power(code.into_iter())), ..machine }
}

/// Reads all subscriptions, and what the index does not have of each.
pub(crate) async fn read(calls: &Calls<'_>, accounts: &[Account]) -> BTreeMap<Account, Lists> {
    let mut lists: BTreeMap<Account, Lists> = accounts.iter().map(|account| (account.clone(), Lists::default())).collect();
    for chunk in accounts.chunks(SUBSCRIPTIONS_PER_QUERY) {
        let index = Index { calls, accounts: chunk };
        let machines = async { join!(index.rows::<Powered<Machine>>(MACHINES), index.rows(DISKS), index.rows(SETS)) }.boxed();
        let members = async { join!(index.rows::<Powered<SetMachine>>(SET_MACHINES), index.rows(SET_INTERFACES)) }.boxed();
        let network =
            async { join!(index.rows(INTERFACES), index.rows(NETWORKS), index.rows(SECURITY_GROUPS), index.rows(ADDRESSES)) }.boxed();
        let balancing = async { join!(index.rows(BALANCERS), index.rows(GATEWAYS), index.rows(GROUPS)) }.boxed();
        let (machines, members, network, balancing) = join!(machines, members, network, balancing);
        let (mut machines, mut disks, mut sets) = machines;
        let (mut set_machines, mut set_interfaces) = members;
        let (mut interfaces, mut networks, mut security_groups, mut addresses) = network;
        let (mut balancers, mut gateways, mut groups) = balancing;
        for account in chunk {
            let Some(lists) = lists.get_mut(account) else { continue };
            lists.machines = take(&mut machines, account).map(|machine| machine.0);
            lists.disks = take(&mut disks, account);
            lists.sets = take(&mut sets, account);
            lists.set_machines = take(&mut set_machines, account).map(|machine| machine.0.0);
            lists.set_interfaces = take(&mut set_interfaces, account);
            lists.interfaces = take(&mut interfaces, account);
            lists.networks = take(&mut networks, account);
            lists.security_groups = take(&mut security_groups, account);
            lists.addresses = take(&mut addresses, account);
            lists.balancers = take(&mut balancers, account);
            lists.gateways = take(&mut gateways, account);
            lists.groups = take(&mut groups, account);
        }
    }
    let rest = lists.iter_mut().map(|(account, lists)| rest(calls, account, lists).boxed());
    let rest: Vec<_> = rest.collect();
    futures::stream::iter(rest).buffer_unordered(SUBSCRIPTIONS_AT_ONCE).collect::<Vec<()>>().await;
    lists
}

fn take<T>(lists: &mut BySubscription<T>, account: &Account) -> Listed<T> {
    lists.remove(account).unwrap_or_default()
}

/// What the index does not have of a subscription.
async fn rest(calls: &Calls<'_>, account: &Account, lists: &mut Lists) {
    let listing = Listing { calls, account };
    lists.locations = listing.locations().await;
    let bound = |nic: &&crate::wire::network::Interface| nic.configurations.iter().any(|one| one.public_address.is_some());
    let sets = lists.set_interfaces.items.iter().filter(bound).filter_map(|nic| ids::set_of(&nic.head.id.key));
    let sets: std::collections::BTreeSet<_> = sets.collect();
    lists.set_addresses.fault.clone_from(&lists.set_interfaces.fault);
    for set in sets {
        lists.set_addresses.extend(listing.addresses_of(&set).await);
    }
}

/// The index, over some subscriptions.
struct Index<'a> {
    calls: &'a Calls<'a>,
    accounts: &'a [Account],
}

impl Index<'_> {
    /// The rows of a query. What goes wrong goes wrong for every subscription that was asked about, but for a refusal, which one of them may have brought
    /// about: the others are asked for without it.
    async fn rows<T: Wire>(&self, query: Query) -> BySubscription<T> {
        let mut found = BySubscription::new();
        let mut open = vec![self.accounts];
        let mut halvings = 0;
        while let Some(accounts) = open.pop() {
            let mut read = accounts.iter().map(|account| (account.clone(), Listed::default())).collect();
            let fault = self.pages(query, accounts, &mut read).await.err();
            let is_refused = fault.as_ref().is_some_and(|fault| matches!(fault.reason, Reason::Denied | Reason::Disabled | Reason::Unfit));
            if is_refused && accounts.len() > 1 && halvings < HALVINGS_MAX {
                halvings += 1;
                let (first, second) = accounts.split_at(accounts.len() / 2);
                open.extend([second, first]);
                continue;
            }
            for listed in read.values_mut() {
                listed.fault.clone_from(&fault);
            }
            found.extend(read);
        }
        for listed in found.values_mut() {
            listed.judge(query.action);
        }
        found
    }

    async fn pages<T: Wire>(&self, query: Query, accounts: &[Account], found: &mut BySubscription<T>) -> Result<(), Fault> {
        // A page leads on only where ids are among the columns, and pages fit together only in a fixed order.
        let text = format!(
            "{} | where type =~ '{}' | project id, name, type, location, tags, zones, sku, managedBy, properties | order by id asc",
            query.table, query.row
        );
        let accounts: Vec<&str> = accounts.iter().map(Account::as_str).collect();
        let truncated = |text: String| Fault::truncated(query.action, format!("Resource Graph: {text}"));
        let mut seen: HashSet<String> = HashSet::new();
        let mut token: Option<String> = None;
        let mut places = Places::new();
        let mut shown = 0_u64;
        for number in 1..=PAGES_MAX {
            let mut options = json!({ "$top": ROWS_PER_PAGE, "resultFormat": "objectArray", "allowPartialScopes": false });
            if let (Some(token), Some(options)) = (&token, options.as_object_mut()) {
                options.insert("$skipToken".to_owned(), Value::String(token.clone()));
            }
            let body = json!({ "subscriptions": accounts, "query": text, "options": options });
            let request = self.calls.post(GRAPH, "/providers/Microsoft.ResourceGraph/resources").json(&body);
            let sent = self.calls.send(GRAPH, None, request).await;
            let sent = sent.map_err(|fault| if number == 1 { fault } else { fault.after_a_page(number) });
            // Whoever reads the receipt looks for the kind's action.
            let answer = sent.map_err(|fault| Fault { operation: query.action.name, ..fault })?;
            let page: Answer<'_> =
                serde_json::from_slice(answer.body()).map_err(|error| truncated(format!("page {number} is no answer: {error}")))?;
            for raw in &page.data {
                shown += 1;
                take_row(raw, found, &mut places).map_err(|refused| truncated(refused.text))?;
            }
            let next = page.skip_token.clone().filter(|token| !token.is_empty());
            match next {
                Some(next) if !seen.insert(next.clone()) => {
                    return Err(truncated(format!("page {number} leads back to a page that was read before")));
                }
                Some(next) => token = Some(next),
                None if page.is_truncated() => return Err(truncated("the answer is cut, and names no next page".to_owned())),
                None => match page.total {
                    Some(total) if total != shown => return Err(truncated(format!("{shown} of {total} rows were shown"))),
                    _ => return Ok(()),
                },
            }
        }
        Err(truncated(format!("more than {PAGES_MAX} pages")))
    }
}

/// Takes a row into its subscription's list. Columns without a value are none.
fn take_row<T: Wire>(raw: &RawValue, found: &mut BySubscription<T>, places: &mut Places) -> Result<(), Refused> {
    let mut value = crate::wire::parse(raw)?;
    if let Some(columns) = value.as_object_mut() {
        columns.retain(|_, value| !value.is_null() && value.as_str() != Some(""));
    }
    let id = Item(&value).text("/id").and_then(|id| dewpoint_core::model::Key::azure(id).ok());
    let account = id.as_ref().and_then(ids::subscription);
    let Some(listed) = account.and_then(|account| found.get_mut(&account)) else {
        return Err(Refused::new("", "a row belongs to no subscription that was asked about"));
    };
    let raw = serde_json::value::to_raw_value(&value).map_err(|error| Refused::new("", error.to_string()))?;
    take_item(&raw, T::read(&raw), listed, places);
    Ok(())
}
