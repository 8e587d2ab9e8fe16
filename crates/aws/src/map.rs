//! What the mappings share: keys, tags, attributes, and the odd item.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::GroupIdentifier;
use aws_smithy_types::DateTime;
use dewpoint_core::model::{Account, Attributes, InvalidKey, Key, Kind, Provider, Region, Relation, RelationType, Resource};
pub(crate) use dewpoint_core::source::facts::{Addresses, Facts, Refused, edge, filled};
use jiff::Timestamp;
use serde_json::Map;

/// Where and when something is listed.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// `aws`, `aws-cn`, `aws-us-gov` …, from the caller's own ARN.
    pub(crate) partition: String,
    pub(crate) account: Account,
    pub(crate) region: Region,
    pub(crate) observed_at: Timestamp,
}

impl Place {
    /// Key of an EC2 resource of an account here; `path` is `instance/i-…` and the like.
    pub(crate) fn key_of(&self, account: &str, path: &str) -> Result<Key, InvalidKey> {
        Key::aws(&format!("arn:{}:ec2:{}:{account}:{path}", self.partition, self.region))
    }

    /// Key of an EC2 resource of the listed account.
    ///
    /// Answers name networks, subnets and groups by id alone. In a shared network these belong to another account, and the key
    /// is not the one their owner's listing will show.
    pub(crate) fn key(&self, path: &str) -> Result<Key, InvalidKey> {
        self.key_of(self.account.as_str(), path)
    }

    /// Key of the region itself.
    pub(crate) fn region_key(&self) -> Result<Key, InvalidKey> {
        self.key(&format!("region/{}", self.region))
    }

    /// Key of a zone.
    pub(crate) fn zone(&self, name: &str) -> Result<Key, InvalidKey> {
        self.key(&format!("availability-zone/{name}"))
    }

    /// Key of a network.
    pub(crate) fn network(&self, id: Option<&str>) -> Result<Option<Key>, InvalidKey> {
        filled(id).map(|id| self.key(&format!("vpc/{id}"))).transpose()
    }

    /// Key of a subnet.
    pub(crate) fn subnet(&self, id: Option<&str>) -> Result<Option<Key>, InvalidKey> {
        filled(id).map(|id| self.key(&format!("subnet/{id}"))).transpose()
    }

    /// Whether something belongs to another account, given its owner as AWS names it.
    pub(crate) fn is_foreign(&self, owner: Option<&str>) -> bool {
        filled(owner).is_some_and(|owner| owner != self.account.as_str())
    }

    /// A resource of the listed account, so far without state, birth and attributes.
    pub(crate) fn resource(&self, kind: Kind, key: Key, native_id: &str, tags: BTreeMap<String, String>) -> Resource {
        let mut resource = Resource {
            key,
            kind,
            provider: Provider::Aws,
            native_id: native_id.to_owned(),
            account: self.account.clone(),
            region: self.region.clone(),
            name: None,
            state: None,
            tags: BTreeMap::new(),
            created_at: None,
            observed_at: Some(self.observed_at),
            attributes: Attributes::new(),
            derived: false,
            extra: Map::new(),
        };
        set_tags(&mut resource, tags);
        resource
    }
}

/// Gives a resource its tags, and the name among them if it has none yet.
pub(crate) fn set_tags(resource: &mut Resource, tags: BTreeMap<String, String>) {
    let name = tags.get("Name").filter(|name| !name.trim().is_empty());
    resource.name = resource.name.take().or_else(|| name.cloned());
    resource.tags = tags;
}

/// Tags by key, from any service's pairs. A tag without a value has the empty one.
pub(crate) fn tags<'a>(pairs: impl IntoIterator<Item = (Option<&'a str>, Option<&'a str>)>) -> BTreeMap<String, String> {
    pairs.into_iter().filter_map(|(key, value)| Some((key?.to_owned(), value.unwrap_or_default().to_owned()))).collect()
}

/// Tags of EC2.
pub(crate) fn ec2_tags(tags_of: &[aws_sdk_ec2::types::Tag]) -> BTreeMap<String, String> {
    tags(tags_of.iter().map(|tag| (tag.key(), tag.value())))
}

/// What one answer held.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) resources: Vec<Resource>,
    pub(crate) relations: Vec<Relation>,
    /// Attributes that were not read of resources that were.
    pub(crate) unread: BTreeMap<Key, BTreeSet<String>>,
    /// Items that cannot be taken, each with what is the matter. One of them makes the listing incomplete.
    pub(crate) refused: Vec<Refused>,
    /// How many items were left out because another account owns and lists them.
    pub(crate) foreign: u64,
    /// Owners of what other accounts share with this one, by the path in their key.
    pub(crate) owners: BTreeMap<String, String>,
}

impl Found {
    /// Takes a mapped item, or what is wrong with it.
    pub(crate) fn take(&mut self, mapped: Result<(Resource, Vec<Relation>), Refused>) {
        match mapped {
            Ok((resource, relations)) => {
                self.resources.push(resource);
                self.relations.extend(relations);
            }
            Err(refused) => self.refused.push(refused),
        }
    }

    /// Leaves an item of another account to that account's listing, and remembers whose it is.
    pub(crate) fn leave(&mut self, path: String, owner: Option<&str>) {
        self.foreign += 1;
        self.owners.insert(path, filled(owner).unwrap_or_default().to_owned());
    }
}

/// The name and the ARN of something that cannot be taken without both.
pub(crate) fn name_and_arn<'a>(what: &str, name: Option<&'a str>, arn: Option<&'a str>) -> Result<(&'a str, &'a str), Refused> {
    match (filled(name), filled(arn)) {
        (Some(name), Some(arn)) => Ok((name, arn)),
        (None, Some(arn)) => Err(Refused::new(arn, format!("the {what} {arn} has no name"))),
        (name, None) => {
            let name = name.unwrap_or_default();
            Err(Refused::new(name, format!("the {what} `{name}` has no ARN")))
        }
    }
}

/// An instant of the SDK's as one of ours.
pub(crate) fn instant(time: Option<&DateTime>) -> Option<Timestamp> {
    let time = time?;
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

/// Id of something within an item. An item without it is not whole: leaving the part out would take its edge away.
pub(crate) fn part_id<'a>(item: &str, part: &str, id: Option<&'a str>) -> Result<&'a str, Refused> {
    filled(id).ok_or_else(|| Refused::new(item, format!("a {part} of {item} has no id")))
}

/// Ids of the security groups of an item.
pub(crate) fn group_ids<'a>(item: &str, groups: &'a [GroupIdentifier]) -> Result<BTreeSet<&'a str>, Refused> {
    groups.iter().map(|group| part_id(item, "security group", group.group_id())).collect()
}

/// Edges to the security groups that protect something.
pub(crate) fn protected_by(place: &Place, from: &Key, groups: BTreeSet<&str>) -> Result<Vec<Relation>, InvalidKey> {
    groups
        .into_iter()
        .map(|id| Ok(edge(from, RelationType::ProtectedBy, place.key(&format!("security-group/{id}"))?, Attributes::new())))
        .collect()
}
