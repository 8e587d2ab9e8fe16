//! What the clouds show, and the inventory file that says so.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::model::{Kind, RelationType, attributes};
use serde_json::{Map, Value, json};

use super::story::{Edit, Gap, News, after_beginning};
use crate::support::inventory::{ACCOUNT, REGION};

const SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000001";
const LOCATION: &str = "westeurope";

/// Kinds that are listed in every place of a story.
const LISTED: [Kind; 10] = [
    Kind::Instance,
    Kind::ScalingGroup,
    Kind::NetworkInterface,
    Kind::Volume,
    Kind::PublicAddress,
    Kind::SecurityGroup,
    Kind::LoadBalancer,
    Kind::Pool,
    Kind::Network,
    Kind::Subnet,
];

/// All resources that a story ever showed, by their short names.
#[derive(Debug, Default)]
pub struct Clouds {
    things: BTreeMap<String, Thing>,
    /// Places that were ever listed.
    places: BTreeSet<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    provider: String,
    account: String,
    region: String,
}

#[derive(Debug)]
struct Thing {
    kind: Kind,
    /// Name in the cloud.
    named: String,
    is_there: bool,
    /// `provider`, `account`, `region`, `resource_group`, `id`, `name`, `state`, `born`, `tags`.
    fields: Map<String, Value>,
    attributes: Map<String, Value>,
    /// By relation, the short names of what they lead to, with attributes.
    edges: BTreeMap<RelationType, BTreeMap<String, Map<String, Value>>>,
}

/// A scope: place and kind.
type Scope = (Place, Kind);

const FIELDS: [&str; 9] = ["provider", "account", "region", "resource_group", "id", "name", "state", "born", "tags"];

/// What a short name says of the kind, and what is left of it. An instance needs no kind.
fn kind_of(name: &str) -> Result<(Kind, &str), String> {
    match name.split_once('/') {
        None => Ok((Kind::Instance, name)),
        Some((word, rest)) => match word.parse() {
            Ok(kind) => Ok((kind, rest)),
            Err(_) => Err(format!("`{word}` in `{name}` is no kind")),
        },
    }
}

impl Thing {
    fn new(name: &str) -> Result<Self, String> {
        let (kind, named) = kind_of(name)?;
        let mut thing =
            Self { kind, named: named.to_owned(), is_there: true, fields: Map::new(), attributes: Map::new(), edges: BTreeMap::new() };
        if kind == Kind::Instance {
            thing.fields.insert("state".to_owned(), json!("running"));
            thing.attributes.insert("size".to_owned(), json!("t3.micro"));
        }
        Ok(thing)
    }

    fn take(&mut self, news: &Map<String, Value>) -> Result<(), String> {
        self.is_there = true;
        for (key, value) in news {
            if key == "ends_with" {
                let attributes = json!({ "delete_on_termination": true });
                let ends = ends(value)?.into_keys().map(|end| (end, attributes.as_object().cloned().unwrap_or_default()));
                self.edges.insert(RelationType::AttachedTo, ends.collect());
            } else if let Ok(relation) = key.parse::<RelationType>() {
                self.edges.insert(relation, ends(value)?);
            } else if FIELDS.contains(&key.as_str()) {
                lay(&mut self.fields, key, value);
            } else if attributes::find(self.kind, key).is_some() {
                lay(&mut self.attributes, key, value);
            } else {
                let known = attributes::of(self.kind).iter().map(|attribute| attribute.name);
                let known: Vec<&str> = FIELDS.into_iter().chain(["ends_with"]).chain(known).collect();
                return Err(format!("unknown key `{key}`: expected a relation or one of {}", known.join(", ")));
            }
        }
        Ok(())
    }

    fn field<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or(default)
    }

    fn is_azure(&self) -> bool {
        self.field("provider", "aws") == "azure"
    }

    fn place(&self) -> Place {
        let (account, region) = if self.is_azure() { (SUBSCRIPTION, LOCATION) } else { (ACCOUNT, REGION) };
        let (account, region) = match self.kind {
            Kind::Account => (self.named.as_str(), "*"),
            _ => (self.field("account", account), self.field("region", region)),
        };
        Place { provider: self.field("provider", "aws").to_owned(), account: account.to_owned(), region: region.to_owned() }
    }

    /// The id that the cloud gives it.
    fn native_id(&self) -> String {
        let id = self.field("id", &self.named);
        if !self.is_azure() {
            return id.to_owned();
        }
        let Place { account, .. } = self.place();
        if self.kind == Kind::Account {
            return format!("/subscriptions/{account}");
        }
        let group = self.field("resource_group", "main");
        let class = match self.kind {
            Kind::Instance => "Microsoft.Compute/virtualMachines",
            Kind::ScalingGroup => "Microsoft.Compute/virtualMachineScaleSets",
            Kind::Volume => "Microsoft.Compute/disks",
            Kind::NetworkInterface => "Microsoft.Network/networkInterfaces",
            Kind::SecurityGroup => "Microsoft.Network/networkSecurityGroups",
            Kind::LoadBalancer => "Microsoft.Network/loadBalancers",
            _ => "Dewpoint.Test/things",
        };
        format!("/subscriptions/{account}/resourceGroups/{group}/providers/{class}/{id}")
    }

    fn key(&self) -> String {
        let id = self.native_id();
        if self.is_azure() {
            return format!("azure:{}", id.to_lowercase());
        }
        let Place { account, region, .. } = self.place();
        let (service, resource) = match self.kind {
            Kind::Account => return format!("aws:arn:aws:iam::{account}:root"),
            Kind::ScalingGroup => ("autoscaling", format!("autoScalingGroup:1:autoScalingGroupName/{id}")),
            Kind::LoadBalancer => ("elasticloadbalancing", format!("loadbalancer/app/{id}/1")),
            Kind::Pool => ("elasticloadbalancing", format!("targetgroup/{id}/1")),
            Kind::PublicAddress => ("ec2", format!("elastic-ip/{id}")),
            kind => ("ec2", format!("{}/{id}", kind.as_str().replace('_', "-"))),
        };
        format!("aws:arn:aws:{service}:{region}:{account}:{resource}")
    }

    fn is_ended(&self) -> bool {
        self.field("state", "") == "terminated"
    }

    fn resource(&self) -> Result<Value, String> {
        let place = self.place();
        let born = self.fields.get("born").map_or_else(
            || Some("-30d".to_owned()),
            |born| match born {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            },
        );
        let mut resource = json!({
            "key": self.key(), "kind": self.kind, "provider": place.provider, "native_id": self.native_id(), "account": place.account,
            "region": place.region, "name": self.field("name", &self.named), "tags": self.fields.get("tags").cloned().unwrap_or(json!({})),
            "attributes": self.attributes,
        });
        if let Some(born) = born {
            resource["created_at"] = json!(after_beginning(&born)?.to_string());
        }
        if let Some(state) = self.fields.get("state") {
            resource["state"] = state.clone();
        }
        Ok(resource)
    }
}

/// Lays a value over what was there; a mapping key by key, `null` takes away.
fn lay(into: &mut Map<String, Value>, key: &str, value: &Value) {
    match (into.get_mut(key), value) {
        // A resource without a time of birth is something to tell.
        (_, Value::Null) if key != "born" => drop(into.remove(key)),
        (Some(Value::Object(into)), Value::Object(news)) => news.iter().for_each(|(key, value)| lay(into, key, value)),
        _ => drop(into.insert(key.to_owned(), value.clone())),
    }
}

/// Where edges lead: a name, a list of names, or a mapping from names to attributes. Names may be ranges.
fn ends(value: &Value) -> Result<BTreeMap<String, Map<String, Value>>, String> {
    let written: Vec<(&str, Map<String, Value>)> = match value {
        Value::Null => Vec::new(),
        Value::String(name) => vec![(name, Map::new())],
        Value::Array(names) => names.iter().filter_map(Value::as_str).map(|name| (name, Map::new())).collect(),
        Value::Object(names) => names.iter().map(|(name, value)| (name.as_str(), value.as_object().cloned().unwrap_or_default())).collect(),
        other => return Err(format!("`{other}` is no name of a resource")),
    };
    let mut ends = BTreeMap::new();
    for (name, attributes) in written {
        ends.extend(super::story::expand(name)?.into_iter().map(|(name, _)| (name, attributes.clone())));
    }
    Ok(ends)
}

impl Clouds {
    /// Takes in what is new. The fault begins with the line.
    pub fn take(&mut self, edits: &[Edit]) -> Result<(), String> {
        for edit in edits {
            let fail = |fault: String| format!("{}: {}: {fault}", edit.line, edit.name);
            match &edit.news {
                News::Gone => match self.things.get_mut(&edit.name) {
                    Some(thing) => thing.is_there = false,
                    None => return Err(fail("it is gone before it was there".to_owned())),
                },
                News::Fields(fields) => {
                    if !self.things.contains_key(&edit.name) {
                        self.things.insert(edit.name.clone(), Thing::new(&edit.name).map_err(fail)?);
                    }
                    let Some(thing) = self.things.get_mut(&edit.name) else { continue };
                    thing.take(fields).map_err(fail)?;
                    if thing.kind != Kind::Account {
                        self.places.insert(thing.place());
                    }
                }
            }
        }
        // An edge to what no story names is a slip of the pen.
        for (name, thing) in &self.things {
            if let Some(end) = thing.edges.values().flat_map(BTreeMap::keys).find(|end| !self.things.contains_key(*end)) {
                return Err(format!("{}: {name}: `{end}` was never shown", edits.first().map_or(0, |edit| edit.line)));
            }
        }
        Ok(())
    }

    /// The key of a short name: of something shown, of a service (`service/NAME`) or of a named fleet (`fleet/NAME`).
    pub fn key(&self, name: &str) -> Result<String, String> {
        if let Some(thing) = self.things.get(name) {
            return Ok(thing.key());
        }
        match name.split_once('/') {
            Some(("service", service)) => Ok(format!("service:{service}")),
            Some(("fleet", fleet)) => Ok(format!("fleet:aws:{ACCOUNT}:{REGION}:{fleet}")),
            _ => Err(format!("`{name}` was never shown")),
        }
    }

    /// The short name of a key, or the key.
    pub fn name(&self, key: &str) -> String {
        let shown = self.things.iter().find(|(_, thing)| thing.key() == key).map(|(name, _)| name.clone());
        let derived = || {
            let fleet = key.strip_prefix(&format!("fleet:aws:{ACCOUNT}:{REGION}:")).map(|name| format!("fleet/{name}"));
            fleet.or_else(|| key.strip_prefix("service:").map(|name| format!("service/{name}")))
        };
        shown.or_else(derived).unwrap_or_else(|| key.to_owned())
    }

    /// Whether a cloud has it: a machine's own parts go with it.
    fn is_shown(&self, thing: &Thing) -> bool {
        let machines = thing.edges.get(&RelationType::AttachedTo).into_iter().flatten();
        let mut ends_with = machines.filter(|(_, attributes)| attributes.get("delete_on_termination") == Some(&json!(true)));
        thing.is_there && ends_with.all(|(machine, _)| self.things.get(machine).is_some_and(|thing| thing.is_there && !thing.is_ended()))
    }

    /// The inventory file. Every kind is listed completely in every place that a story has named, save for the gaps.
    pub fn inventory(&self, gaps: &[Gap]) -> Result<String, String> {
        let mut outcomes: BTreeMap<Scope, (String, &[String])> = BTreeMap::new();
        let usual = Place { provider: "aws".to_owned(), account: ACCOUNT.to_owned(), region: REGION.to_owned() };
        let first = self.places.is_empty().then_some(usual.clone());
        for place in self.places.iter().cloned().chain(first) {
            outcomes.extend(LISTED.into_iter().map(|kind| ((place.clone(), kind), ("complete".to_owned(), &[][..]))));
        }
        for thing in self.things.values().filter(|thing| thing.kind == Kind::Account) {
            outcomes.insert((thing.place(), Kind::Account), ("complete".to_owned(), &[]));
        }
        for gap in gaps {
            let fail = |text: &str| Err(format!("{}: {text}", gap.line));
            let kind: Option<Kind> = match gap.kind.as_deref().map(str::parse) {
                None => None,
                Some(Ok(kind)) => Some(kind),
                Some(Err(_)) => return fail("a gap is `KIND`, `all`, `KIND@REGION`, `KIND@ACCOUNT` or `KIND@ACCOUNT/REGION`"),
            };
            let is_meant = |(place, of): &Scope| {
                let is_there = |part: &String| *part == place.region || *part == place.account;
                let is_place = if gap.place.is_empty() { *place == usual } else { gap.place.iter().all(is_there) };
                is_place && kind.map_or(*of != Kind::Account, |kind| kind == *of)
            };
            let mut meant = outcomes.iter_mut().filter(|(scope, _)| is_meant(scope)).peekable();
            if meant.peek().is_none() {
                return fail("nothing is listed there");
            }
            meant.for_each(|(_, outcome)| *outcome = (gap.outcome.clone(), &gap.read));
        }
        self.document(&outcomes)
    }

    fn document(&self, outcomes: &BTreeMap<Scope, (String, &[String])>) -> Result<String, String> {
        let is_read = |name: &String, thing: &Thing| match outcomes.get(&(thing.place(), thing.kind)) {
            Some((outcome, read)) => outcome == "complete" || read.contains(name),
            None => false,
        };
        let mut counts: BTreeMap<Scope, u64> = BTreeMap::new();
        let (mut resources, mut relations) = (Vec::new(), Vec::new());
        for (_, thing) in self.things.iter().filter(|(name, thing)| self.is_shown(thing) && is_read(name, thing)) {
            resources.push(thing.resource()?);
            *counts.entry((thing.place(), thing.kind)).or_default() += 1;
        }
        for (from, thing) in self.things.iter().filter(|(_, thing)| self.is_shown(thing) && !thing.is_ended()) {
            let edges =
                thing.edges.iter().flat_map(|(relation, ends)| ends.iter().map(move |(to, attributes)| (*relation, to, attributes)));
            for (relation, to, attributes) in edges {
                let Some(end) = self.things.get(to).filter(|end| self.is_shown(end) && !end.is_ended()) else { continue };
                // Whoever lists the edge says it: a group its members, anything else what it leads to.
                let is_told = if relation == RelationType::MemberOf { is_read(to, end) } else { is_read(from, thing) };
                if is_told {
                    relations.push(json!({ "type": relation, "from": thing.key(), "to": end.key(), "attributes": attributes }));
                }
            }
        }
        let receipt = |(scope, (outcome, _)): (&Scope, &(String, &[String]))| {
            let (place, kind) = scope;
            let mut receipt = json!({
                "source": "estate", "provider": place.provider, "account": place.account, "region": place.region, "kind": kind, "outcome": outcome,
            });
            if outcome == "complete" {
                receipt["count"] = json!(counts.get(scope).copied().unwrap_or(0));
            }
            receipt
        };
        let receipts: Vec<Value> = outcomes.iter().filter(|(_, (outcome, _))| outcome != "unlisted").map(receipt).collect();
        let document = json!({ "schema_version": 1, "receipts": receipts, "resources": resources, "relations": relations });
        Ok(document.to_string())
    }
}
