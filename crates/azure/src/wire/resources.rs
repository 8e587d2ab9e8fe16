//! Subscriptions, locations, resource groups.
//!
//! Source: Azure Resource Manager REST API reference: Subscriptions (2022-12-01), Resource Groups (2021-04-01).

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::model::{Account, Region};

use super::Wire;
use crate::ids;
use crate::item::{Head, Item, Refused};

/// A subscription as the principal sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) account: Account,
    /// As its id is written.
    pub(crate) native_id: String,
    pub(crate) name: Option<String>,
    /// `enabled`, `warned`, `past_due`, `disabled`, `deleted`, in our spelling.
    pub(crate) state: Option<String>,
    pub(crate) tenant: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
}

impl Subscription {
    /// Whether its provider says that it has ended. What it held may be kept for weeks, but nothing in it can be read.
    pub(crate) fn is_deleted(&self) -> bool {
        self.state.as_deref() == Some("deleted")
    }
}

impl Wire for Subscription {
    const PATHS: &'static [&'static str] = &[];

    fn lenient(item: Item<'_>) -> Result<Self, Refused> {
        let id = item.text("/subscriptionId").or_else(|| item.text("/id")?.rsplit('/').next());
        let account = id.and_then(|id| id.to_lowercase().parse().ok());
        let account = account.ok_or_else(|| Refused::new("", "a subscription has no id"))?;
        let state = item.text("/state").map(|state| if state == "PastDue" { "past_due".to_owned() } else { state.to_lowercase() });
        Ok(Self {
            native_id: format!("/subscriptions/{account}"),
            account,
            name: item.owned("/displayName"),
            state,
            tenant: item.text("/tenantId").map(str::to_lowercase),
            tags: item.tags(),
        })
    }
}

/// A location, as a subscription sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) region: Region,
    pub(crate) display_name: Option<String>,
    /// Whether it is a place: `global` and `europe` are none.
    pub(crate) is_physical: bool,
    /// The physical zone behind each of the subscription's own numbers.
    pub(crate) zones: BTreeMap<String, String>,
}

impl Wire for Location {
    const PATHS: &'static [&'static str] = &[];

    fn lenient(item: Item<'_>) -> Result<Self, Refused> {
        let region = item.text("/name").and_then(ids::location).ok_or_else(|| Refused::new("", "a location has no name"))?;
        let zone = |zone: Item<'_>| Some((zone.owned("/logicalZone")?, zone.owned("/physicalZone")?));
        Ok(Self {
            region,
            display_name: item.owned("/displayName"),
            is_physical: item.text("/metadata/regionType").is_none_or(|kind| kind.eq_ignore_ascii_case("physical")),
            zones: item.items("/availabilityZoneMappings").filter_map(zone).collect(),
        })
    }
}

/// A resource group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) head: Head,
    /// What runs it for its customer, such as a cluster: what is in it is not its customer's work.
    pub(crate) managed_by: Option<String>,
    pub(crate) provisioning: Option<String>,
}

impl Wire for Group {
    fn lenient(item: Item<'_>) -> Result<Self, Refused> {
        Ok(Self {
            head: Head::read(item)?,
            managed_by: item.owned("/managedBy"),
            provisioning: item.owned("/properties/provisioningState"),
        })
    }
}

/// What a role gives at a scope: patterns of actions, and patterns of what they do not include.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Permission {
    actions: BTreeSet<String>,
    not_actions: BTreeSet<String>,
}

impl Permission {
    /// Whether it includes an action. Patterns are compared without regard to case, `*` stands for any text.
    pub(crate) fn gives(&self, action: &str) -> bool {
        let fits = |patterns: &BTreeSet<String>| patterns.iter().any(|pattern| fits(pattern, &action.to_lowercase()));
        fits(&self.actions) && !fits(&self.not_actions)
    }
}

fn fits(pattern: &str, action: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == action };
    let Some(rest) = action.strip_prefix(head) else { return false };
    (0..=rest.len()).filter_map(|at| rest.get(at..)).any(|rest| fits(tail, rest))
}

impl Wire for Permission {
    const PATHS: &'static [&'static str] = &[];

    fn lenient(item: Item<'_>) -> Result<Self, Refused> {
        let patterns = |pointer: &str| item.texts(pointer).map(str::to_lowercase).collect();
        Ok(Self { actions: patterns("/actions"), not_actions: patterns("/notActions") })
    }
}

/// A subscription below a management group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Descendant {
    /// `None` for a management group.
    pub(crate) subscription: Option<Account>,
}

impl Wire for Descendant {
    const PATHS: &'static [&'static str] = &[];

    fn lenient(item: Item<'_>) -> Result<Self, Refused> {
        let kind = item.text("/type").unwrap_or_default().to_lowercase();
        let id = item.text("/id").unwrap_or_default().to_lowercase();
        let is_subscription = kind.ends_with("/subscriptions") || id.starts_with("/subscriptions/");
        if !is_subscription {
            return Ok(Self { subscription: None });
        }
        let account = id.rsplit('/').next().filter(|id| !id.is_empty()).and_then(|id| id.parse().ok());
        account
            .map(|account| Self { subscription: Some(account) })
            .ok_or_else(|| Refused::new("", "a subscription of the management group has no id"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn roles_give_what_their_patterns_match() {
        let gives = |actions: &[&str], not: &[&str], action: &str| {
            let value = json!({"actions": actions, "notActions": not});
            Permission::lenient(Item(&value)).is_ok_and(|permission| permission.gives(action))
        };
        let read = "Microsoft.Compute/virtualMachines/read";
        assert!(gives(&["*/read"], &[], read));
        assert!(gives(&["microsoft.compute/VIRTUALMACHINES/read"], &[], read));
        assert!(gives(&["Microsoft.Compute/*"], &[], read));
        assert!(gives(&["Microsoft.*/virtual*/re*"], &[], read));
        assert!(!gives(&["Microsoft.Compute/*"], &["*/read"], read));
        assert!(!gives(&["Microsoft.Compute/disks/read"], &[], read));
        assert!(!gives(&[], &[], read));
    }

    #[test]
    fn a_subscription_is_folded_and_a_management_group_is_none() {
        let subscription = json!({"subscriptionId": "ABCD", "state": "PastDue", "displayName": "Prod"});
        let read = Subscription::lenient(Item(&subscription));
        assert!(read.is_ok_and(|read| read.account.as_str() == "abcd" && read.state.as_deref() == Some("past_due")));
        assert!(Subscription::lenient(Item(&json!({"displayName": "x"}))).is_err());
        let group = json!({"type": "Microsoft.Management/managementGroups", "id": "/providers/Microsoft.Management/managementGroups/mg"});
        assert!(Descendant::lenient(Item(&group)).is_ok_and(|descendant| descendant.subscription.is_none()));
    }
}
