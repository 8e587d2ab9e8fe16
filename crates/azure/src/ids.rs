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

/// What stands before a segment of an id, as key: the network of a subnet, the interface of an IP configuration. `None` where the segment is not in it.
pub(crate) fn before(key: &Key, segment: &str) -> Option<Key> {
    let path = path(key);
    let at = path.find(segment)?;
    Key::azure(path.get(..at)?).ok()
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
        assert_eq!(before(&key(&format!("{nic}/ipConfigurations/a")), "/ipconfigurations/"), Some(key(nic)));
        assert_eq!(before(&key(nic), "/ipconfigurations/"), None);
    }

    #[test]
    fn locations_have_one_spelling() {
        assert_eq!(location("West Europe").unwrap().as_str(), "westeurope");
        assert_eq!(location("westeurope").unwrap().as_str(), "westeurope");
        assert_eq!(location(" "), None);
    }
}
