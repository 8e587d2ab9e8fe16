//! What no schema can say of an Azure source, on the tree as written.

use std::collections::BTreeMap;

use super::leaf::{HttpsUrl, ManagementGroupName, SubscriptionId, TenantName};
use super::raw::RawCloud;
use crate::config::check::is_meant;
use crate::config::diagnostic::{Report, Span, quote};
use crate::config::leaf::Leaf;
use crate::config::tree::{Entry, Node, Value};

/// The ways to name an identity.
const IDENTITIES: &[&str] = &["client_id", "object_id", "resource_id"];

/// Where a source stands that reads something: its name, and the place.
type Reader = (String, Span);

/// Which subscriptions sources say they read, and where. Tenants are told apart by Resource Manager's address and their name.
#[derive(Debug, Default)]
pub(in crate::config) struct Claims {
    seen: BTreeMap<(String, Claim), Reader>,
    tenants: BTreeMap<(String, String), Tenant>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Subscription(String),
    /// A management group of a tenant.
    Below(String, String),
}

/// What is read of a tenant.
#[derive(Debug)]
struct Tenant {
    /// By the source that reads all of it, if there is one.
    all: Option<Reader>,
    /// By the source that came first.
    first: Reader,
}

/// What a source reads of a tenant.
enum Reach {
    All,
    Parts(Vec<(Claim, Span)>),
}

impl Claims {
    fn make(&mut self, source: &Node, reach: Reach, report: &mut Report) {
        const HELP: &str =
            "read a subscription by one source: list the subscriptions of each, or name a management group that holds no other's";
        let Some(tenant) = source.get("tenant").and_then(|node| TenantName::parse(node.text()?).ok()) else { return };
        let name = source.get("name").and_then(Node::text).unwrap_or_default();
        let place = resource_manager(source);
        let at = ["subscriptions", "name"].into_iter().find_map(|key| source.get(key)).map_or(source.span, |node| node.span);
        let (is_all, parts) = match reach {
            Reach::All => (true, Vec::new()),
            Reach::Parts(parts) => (false, parts),
        };
        let mut is_told = false;
        for (claim, span) in parts {
            let what = match &claim {
                Claim::Subscription(id) => format!("subscription {id}"),
                Claim::Below(_, group) => format!("what is below the management group {}", quote(group)),
            };
            match self.seen.get(&(place.clone(), claim.clone())) {
                None => drop(self.seen.insert((place.clone(), claim), (name.to_owned(), span))),
                Some((first, _)) if first == name => {}
                Some((first, other)) => {
                    is_told = true;
                    let text = format!("sources {} and {} both read {what}", quote(first), quote(name));
                    report.error(span, text).again(*other).help(HELP);
                }
            }
        }
        let reader = || (name.to_owned(), at);
        let known = self.tenants.entry((place, tenant.0.clone())).or_insert_with(|| Tenant { all: None, first: reader() });
        // One that reads all of a tenant reads what any other reads of it.
        let other = if is_all { Some(&known.first) } else { known.all.as_ref() };
        if let Some((first, other)) = other.filter(|(first, _)| first != name && !is_told) {
            let whole = if is_all { name } else { first };
            let text = format!(
                "sources {} and {} both read tenant {}, of which {} reads all subscriptions",
                quote(first),
                quote(name),
                quote(&tenant.0),
                quote(whole)
            );
            report.error(at, text).again(*other).help(HELP);
        }
        if is_all && known.all.is_none() {
            known.all = Some(reader());
        }
    }
}

/// The address of Resource Manager that a source means.
fn resource_manager(source: &Node) -> String {
    let given = source.get("endpoints").and_then(|node| HttpsUrl::parse(node.get("resource_manager")?.text()?).ok());
    let url = given.map_or_else(|| RawCloud::of(source.get("cloud").and_then(Node::text)).endpoints().resource_manager, |url| url.0);
    url.to_string()
}

/// Checks one source, as written; what is no Azure source is left alone.
pub(in crate::config) fn cross_check(source: &Node, claims: &mut Claims, report: &mut Report) {
    if source.get("kind").and_then(Node::text) != Some("azure") {
        return;
    }
    let path = format!("sources.{}", source.get("name").and_then(Node::text).unwrap_or_default());
    if let Some(credential) = source.get("credential").filter(|node| node.get("kind").and_then(Node::text) == Some("managed_identity")) {
        check_identity(credential, &path, report);
    }
    check_types(source, &path, report);
    if let Some(reach) = reach(source, report) {
        claims.make(source, reach, report);
    }
}

fn check_identity(credential: &Node, path: &str, report: &mut Report) {
    let is_given = |entry: &&Entry| IDENTITIES.contains(&entry.key.as_str()) && entry.node.value != Value::Null;
    let mut given = credential.entries().iter().filter(is_given);
    let Some(first) = given.next() else { return };
    for again in given {
        let text = format!("`{path}.credential`: `{}` and `{}` do not go together", first.key, again.key);
        let error = report.error(again.key_span, text);
        error.again(first.key_span).help("keep one of them: each names an identity by itself");
    }
}

/// A type is one whatever its case.
fn check_types(source: &Node, path: &str, report: &mut Report) {
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    for entry in source.get("api_versions").map_or(&[][..], Node::entries) {
        let folded = entry.key.to_ascii_lowercase();
        let Some(first) = seen.get(&folded) else {
            seen.insert(folded, entry.key_span);
            continue;
        };
        let text = format!("`{path}.api_versions`: {} is there twice: the first in line {}", quote(&entry.key), first.start.line);
        report.error(entry.key_span, text).again(*first).help("remove one of the two");
    }
}

/// What a source reads; `None` where that cannot be told, which is an error of its own.
fn reach(source: &Node, report: &mut Report) -> Option<Reach> {
    let Some(subscriptions) = source.get("subscriptions") else {
        // Behind a slip in the key something else is meant than all.
        return (!is_meant(source, "subscriptions")).then_some(Reach::All);
    };
    match &subscriptions.value {
        Value::Text(word) => (word == "all").then_some(Reach::All),
        Value::Map(_) => {
            let (group, node) = subscriptions
                .get("management_group")
                .and_then(|node| Some((ManagementGroupName::parse(node.text()?).ok()?.0.to_ascii_lowercase(), node)))?;
            let tenant = TenantName::parse(source.get("tenant")?.text()?).ok()?.0;
            Some(Reach::Parts(vec![(Claim::Below(tenant, group), node.span)]))
        }
        Value::List(items) => {
            let mut seen: BTreeMap<String, Span> = BTreeMap::new();
            for node in items {
                let Some(id) = node.text().and_then(|text| SubscriptionId::parse(text).ok()).map(|id| id.to_string()) else { continue };
                if let Some(first) = seen.get(&id) {
                    let error =
                        report.error(node.span, format!("subscription {id} is listed twice: the first in line {}", first.start.line));
                    error.again(*first).help("remove one of the two: a subscription is read once");
                    continue;
                }
                seen.insert(id, node.span);
            }
            Some(Reach::Parts(seen.into_iter().map(|(id, span)| (Claim::Subscription(id), span)).collect()))
        }
        _ => None,
    }
}
