//! Which subscriptions are read.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_azure_settings::Subscriptions;
use dewpoint_core::model::Account;
use futures::StreamExt;
use serde_json::value::RawValue;

use crate::action::{MANAGEMENT_GROUP, SUBSCRIPTIONS};
use crate::arm::Calls;
use crate::error::{Fault, Reason};
use crate::listing::list as pages;
use crate::wire::Wire;
use crate::wire::resources::{Descendant, Subscription};

/// Subscriptions that are asked for one by one at the same time.
const AT_ONCE: usize = 8;

/// One subscription that is to be read.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) account: Account,
    /// What the platform says of it, where it says anything.
    pub(crate) subscription: Option<Subscription>,
    /// Why nothing is known of it.
    fault: Option<Fault>,
}

impl Member {
    fn seen(subscription: Subscription) -> Self {
        Self { account: subscription.account.clone(), subscription: Some(subscription), fault: None }
    }

    /// The subscription, where it can be read. One that is disabled can be: it is only that nothing in it may be changed.
    ///
    /// Source: Azure, "Azure subscription states".
    pub(crate) fn readable(&self) -> Result<&Subscription, Fault> {
        match (&self.subscription, &self.fault) {
            (_, Some(fault)) => Err(fault.clone()),
            (Some(subscription), None) if subscription.is_deleted() => {
                Err(Fault::new(Reason::Disabled, SUBSCRIPTIONS, format!("the subscription {} is deleted", self.account)))
            }
            (Some(subscription), None) => Ok(subscription),
            (None, None) => Err(not_seen(&self.account)),
        }
    }
}

fn not_seen(account: &Account) -> Fault {
    Fault::new(Reason::Denied, SUBSCRIPTIONS, format!("the identity does not see the subscription {account}"))
}

/// The subscriptions that are to be read, in the order of their ids.
///
/// # Errors
/// Where it cannot be known which they are. An identity that sees none may have lost its role, and a management group that has none may have been emptied by
/// mistake, so that these are errors as well.
pub(crate) async fn list(which: &Subscriptions, calls: &Calls<'_>) -> Result<Vec<Member>, Fault> {
    match which {
        Subscriptions::All => {
            let visible = visible(calls).await?;
            if visible.is_empty() {
                let text = "the identity sees no subscription at all: it has no role, or had one that is gone";
                return Err(Fault::new(Reason::Denied, SUBSCRIPTIONS, text));
            }
            Ok(visible.into_values().map(Member::seen).collect())
        }
        Subscriptions::Listed(accounts) => Ok(each(accounts, calls).await),
        Subscriptions::ManagementGroup(name) => {
            let (wanted, visible) = futures::join!(Box::pin(below(name, calls)), Box::pin(visible(calls)));
            let (wanted, mut visible) = (wanted?, visible?);
            if wanted.is_empty() {
                let text = format!("the management group `{name}` has no subscription below it");
                return Err(Fault::new(Reason::Failed, MANAGEMENT_GROUP, text));
            }
            let member = |account: Account| match visible.remove(&account) {
                Some(subscription) => Member::seen(subscription),
                None => Member { fault: Some(not_seen(&account)), account, subscription: None },
            };
            Ok(wanted.into_iter().map(member).collect())
        }
    }
}

/// All subscriptions that the identity sees.
async fn visible(calls: &Calls<'_>) -> Result<BTreeMap<Account, Subscription>, Fault> {
    let listed = pages::<Subscription>(calls, SUBSCRIPTIONS, None, calls.get(SUBSCRIPTIONS, "/subscriptions")).await;
    match listed.fault {
        Some(fault) => Err(fault),
        None => Ok(listed.items.into_iter().map(|subscription| (subscription.account.clone(), subscription)).collect()),
    }
}

/// The subscriptions below a management group, at any depth.
///
/// Source: Azure Management Groups REST API reference (2020-05-01), Get Descendants.
async fn below(name: &str, calls: &Calls<'_>) -> Result<BTreeSet<Account>, Fault> {
    let request = calls.get(MANAGEMENT_GROUP, "/providers/Microsoft.Management/managementGroups").segment(name).segment("descendants");
    let listed = pages::<Descendant>(calls, MANAGEMENT_GROUP, None, request).await;
    match listed.fault {
        Some(fault) => Err(fault),
        None => Ok(listed.items.into_iter().filter_map(|descendant| descendant.subscription).collect()),
    }
}

/// Subscriptions one by one, so that each says for itself why it cannot be read.
async fn each(accounts: &BTreeSet<Account>, calls: &Calls<'_>) -> Vec<Member> {
    let read = |account: Account| async move {
        let request = calls.get(SUBSCRIPTIONS, &format!("/subscriptions/{account}"));
        let read = calls.send(SUBSCRIPTIONS, Some(&account), request).await.and_then(|answer| {
            let unfit = |text: String| Fault::truncated(SUBSCRIPTIONS, text);
            let raw: Box<RawValue> = answer.json().map_err(|error| unfit(error.to_string()))?;
            Subscription::read(&raw).map_err(|refused| unfit(refused.text))
        });
        match read {
            Ok(read) if read.item.account == account => Member::seen(read.item),
            Ok(read) => {
                let text = format!("asked for {account}, Azure tells of {}", read.item.account);
                Member { account, subscription: None, fault: Some(Fault::truncated(SUBSCRIPTIONS, text)) }
            }
            Err(fault) => Member { account, subscription: None, fault: Some(fault) },
        }
    };
    futures::stream::iter(accounts.iter().cloned()).map(|account| Box::pin(read(account))).buffered(AT_ONCE).collect().await
}
