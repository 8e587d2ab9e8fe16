//! Resource ids. They are compared without regard to case, and the same resource comes back in another case from another call.
//!
//! Source: Azure Resource Manager, "Resource ID" and "Naming rules".

use dewpoint_core::model::{Account, InvalidKey, Key, Region};

/// A resource id as a list showed it, with the key that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResourceId {
    /// As it was shown, without a slash at its end.
    pub(crate) text: String,
    pub(crate) key: Key,
}

impl ResourceId {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidKey> {
        let text = text.trim_end_matches('/');
        Ok(Self { text: text.to_owned(), key: Key::azure(text)? })
    }

    /// The last segment.
    pub(crate) fn name(&self) -> &str {
        self.text.rsplit('/').next().unwrap_or_default()
    }

    /// Key of the resource group that it lies in; `None` for what lies in none.
    pub(crate) fn group(&self) -> Option<Key> {
        let path = path(&self.key);
        let end = path.match_indices('/').nth(4).map_or(path.len(), |(at, _)| at);
        let is_inside = path.split('/').nth(3) == Some("resourcegroups") && end < path.len();
        if is_inside { Key::azure(path.get(..end)?).ok() } else { None }
    }
}

/// A key's resource id, folded.
pub(crate) fn path(key: &Key) -> &str {
    key.as_str().strip_prefix("azure:").unwrap_or_default()
}

/// The subscription that a key lies in.
pub(crate) fn subscription(key: &Key) -> Option<Account> {
    path(key).split('/').nth(2)?.parse().ok()
}

/// Where the pairs of type and name begin behind the provider of an id: `/subscriptions/S/resourcegroups/G/providers/N/` stands before them. A group may
/// be called as a type is, so that nothing before counts.
const FIRST_TYPE: usize = 7;

/// The types of an id, each with the place in the path where it begins: `virtualmachinescalesets`, and below it `virtualmachines`.
fn types(path: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    let segments = path.split('/').map(move |segment| {
        let begin = at;
        at += segment.len() + 1;
        (begin, segment)
    });
    let is_provided = path.split('/').nth(FIRST_TYPE - 2) == Some("providers");
    segments.skip(if is_provided { FIRST_TYPE } else { usize::MAX }).step_by(2)
}

/// What stands before a type in an id, as key: the network before `subnets`, the interface before `ipconfigurations`. `None` where the type is not in it.
pub(crate) fn before(key: &Key, kind: &str) -> Option<Key> {
    let path = path(key);
    let (at, _) = types(path).find(|(_, found)| *found == kind)?;
    Key::azure(path.get(..at)?).ok()
}

/// Whether something is of a type, or a part of such: `microsoft.compute/disks`.
pub(crate) fn is_of(key: &Key, kind: &str) -> bool {
    let mut segments = path(key).split('/').skip(FIRST_TYPE - 2);
    let found = [segments.next(), segments.next(), segments.next()];
    kind.split_once('/').is_some_and(|(provider, kind)| found == [Some("providers"), Some(provider), Some(kind)])
}

/// The uniform scale set that something is an instance of, or hangs on an instance of.
pub(crate) fn set_of(key: &Key) -> Option<Key> {
    if is_of(key, "microsoft.compute/virtualmachinescalesets") { before(key, "virtualmachines") } else { None }
}

/// Key of a subscription itself.
pub(crate) fn account_key(account: &Account) -> Result<Key, InvalidKey> {
    Key::azure(&format!("/subscriptions/{account}"))
}

/// Key of a location, which each subscription has for itself.
pub(crate) fn region_key(account: &Account, region: &Region) -> Result<Key, InvalidKey> {
    Key::azure(&format!("/subscriptions/{account}/locations/{region}"))
}

/// Key of an availability zone. Its number means another place in each subscription.
pub(crate) fn zone_key(account: &Account, region: &Region, zone: &str) -> Result<Key, InvalidKey> {
    Key::azure(&format!("/subscriptions/{account}/locations/{region}/zones/{zone}"))
}

/// A zone's name as people read it: `westeurope-1`.
pub(crate) fn zone_name(region: &Region, zone: &str) -> String {
    format!("{region}-{zone}")
}

/// A location's name out of `westeurope` and out of "West Europe", which older answers have.
pub(crate) fn location(text: &str) -> Option<Region> {
    text.to_lowercase().split_whitespace().collect::<String>().parse().ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_in_any_case() {
        let id = ResourceId::parse("/SUBSCRIPTIONS/S/resourceGroups/RG-App/providers/Microsoft.Compute/virtualMachines/Web-1/").unwrap();
        assert_eq!(id.name(), "Web-1");
        assert_eq!(id.text, "/SUBSCRIPTIONS/S/resourceGroups/RG-App/providers/Microsoft.Compute/virtualMachines/Web-1");
        assert_eq!(id.group().unwrap().as_str(), "azure:/subscriptions/s/resourcegroups/rg-app");
        assert_eq!(subscription(&id.key).unwrap().as_str(), "s");
        let group = ResourceId::parse("/subscriptions/s/resourceGroups/rg").unwrap();
        assert_eq!(group.group(), None);
        assert_eq!(ResourceId::parse("/subscriptions/s/locations/westeurope").unwrap().group(), None);
    }

    #[test]
    fn what_stands_before_a_segment_is_a_resource() {
        let key = |text: &str| Key::azure(text).unwrap();
        let nic = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkInterfaces/n";
        assert_eq!(before(&key(&format!("{nic}/ipConfigurations/a")), "ipconfigurations"), Some(key(nic)));
        assert_eq!(before(&key(nic), "ipconfigurations"), None);
        assert_eq!(before(&key("/subscriptions/s"), "subscriptions"), None);
    }

    #[test]
    fn a_group_may_be_called_as_a_type_is() {
        let key = |text: &str| Key::azure(text).unwrap();
        for group in ["virtualMachines", "virtualMachineScaleSets", "providers", "subnets", "networkInterfaces"] {
            let compute = format!("/subscriptions/s/resourceGroups/{group}/providers/Microsoft.Compute");
            let set = format!("{compute}/virtualMachineScaleSets/virtualMachines");
            assert_eq!(set_of(&key(&format!("{set}/virtualMachines/0/networkInterfaces/virtualMachines"))), Some(key(&set)));
            assert_eq!(set_of(&key(&set)), None);
            assert_eq!(set_of(&key(&format!("{compute}/virtualMachines/virtualMachineScaleSets"))), None);
            assert!(is_of(&key(&set), "microsoft.compute/virtualmachinescalesets"));
            assert!(!is_of(&key(&set), "microsoft.compute/virtualmachines"));
        }
    }

    #[test]
    fn locations_have_one_spelling() {
        assert_eq!(location("West Europe").unwrap().as_str(), "westeurope");
        assert_eq!(location("westeurope").unwrap().as_str(), "westeurope");
        assert_eq!(location(" "), None);
    }
}
