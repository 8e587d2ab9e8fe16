//! What no schema can say of a ServiceNow target, on the tree as written.

use std::collections::BTreeMap;

use dewpoint_servicenow::{Mapping, STATUS_COLUMNS, Statuses, value_of};

use super::leaf::InstanceUrl;
use crate::config::check::is_meant;
use crate::config::diagnostic::{Report, Span, quote};
use crate::config::leaf::Leaf;
use crate::config::mapped::{RelationKey, check_authority, check_mapping, check_ways};
use crate::config::tree::{Entry, Node, Value};

/// The ways to log in.
const WAYS: &[&str] = &["oauth", "basic", "api_key"];

/// Checks the ServiceNow targets, as written; what is none is left alone.
pub(in crate::config) fn cross_check(root: &Node, source: &str, report: &mut Report) {
    let mut instances: BTreeMap<String, (&str, Span)> = BTreeMap::new();
    for node in root.get("targets").map_or(&[][..], Node::items) {
        if node.get("kind").and_then(Node::text) != Some("servicenow") {
            continue;
        }
        let name = node.get("name").and_then(Node::text).unwrap_or_default();
        if let Some((url, at)) = node.get("url").and_then(|node| Some((InstanceUrl::parse(node.text()?).ok()?, node.span))) {
            if let Some((other, first)) = instances.get(&url.to_string()) {
                let text = format!("targets {} and {} are the same instance", quote(other), quote(name));
                report.error(at, text).again(*first).help("one target writes all that an instance gets");
            } else {
                instances.insert(url.to_string(), (name, at));
            }
        }
        if let Some(auth) = node.get("auth") {
            check_auth(auth, name, report);
        }
        check_mapping(node, name, source, report, value_of);
        if let Ok(mapping) = Mapping::standard() {
            let known = mapping.fields().into_iter().chain(STATUS_COLUMNS.iter().copied());
            let help = "write columns of the instance, such as `owned_by`; one of your own has to be under `mapping`";
            check_authority(node, name, known, ("a column", help), report);
        }
        check_relationships(node, name, report);
        check_statuses(node, name, report);
    }
}

/// A key with something behind it.
fn given<'n>(node: &'n Node, key: &str) -> Option<&'n Entry> {
    node.entry(key).filter(|entry| entry.node.value != Value::Null)
}

fn check_auth(auth: &Node, name: &str, report: &mut Report) {
    check_ways(auth, name, WAYS, "basic: { username: dewpoint, password: env:SNOW_PASSWORD }", report);
    let Some(oauth) = auth.get("oauth") else { return };
    for (key, other) in [("username", "password"), ("password", "username")] {
        if let Some(entry) = given(oauth, key).filter(|_| !is_meant(oauth, other)) {
            let text = format!("`targets.{name}.auth.oauth`: `{key}` needs `{other}`");
            report.error(entry.key_span, text).help(format!("add `{other}`, or leave both out to act as the application's own user"));
        }
    }
}

/// Types of edges whose standard relationship has the edge's start as its parent: another type in its place reads the same way round.
const TURNED_NO_OTHER_WAY: &[&str] = &["member_of", "protected_by", "allows", "routes_to", "depends_on"];

fn check_relationships(node: &Node, name: &str, report: &mut Report) {
    for entry in node.get("relationships").map_or(&[][..], Node::entries) {
        if RelationKey::parse(&entry.key).is_ok() && !TURNED_NO_OTHER_WAY.contains(&entry.key.as_str()) {
            let text = format!(
                "`targets.{name}.relationships`: the relationship of {} cannot be replaced: records are found by it",
                quote(&entry.key)
            );
            report.error(entry.key_span, text).help(format!("there can be others for {}", TURNED_NO_OTHER_WAY.join(", ")));
        }
    }
}

/// What ends has to look so, and names of the life cycle are for those who write it.
fn check_statuses(node: &Node, name: &str, report: &mut Report) {
    let Some(statuses) = node.get("statuses") else { return };
    let number = |stage: &str, column: &str, usual: u32| match statuses.get(stage).and_then(|node| node.get(column)) {
        Some(Node { value: Value::Whole(number), .. }) => u32::try_from(*number).unwrap_or(usual),
        _ => usual,
    };
    let mut meant = Statuses::default();
    for (stage, status) in [("active", &mut meant.active), ("inactive", &mut meant.inactive), ("retired", &mut meant.retired)] {
        status.install_status = number(stage, "install_status", status.install_status);
        status.operational_status = number(stage, "operational_status", status.operational_status);
    }
    if let Err(error) = meant.check() {
        let at = statuses.entry("retired").map_or(statuses.span, |entry| entry.key_span);
        let text = format!("`targets.{name}.statuses`: {error}");
        report.error(at, text).help("give `retired` a value that the others do not have: nothing else tells that a record has ended");
    }
    // Anything else under that key is an error of its own.
    let is_off = node.get("life_cycle").is_none_or(|node| node.value == Value::Flag(false));
    for entry in statuses.entries().iter().flat_map(|entry| entry.node.entries()) {
        if is_off && entry.key.starts_with("life_cycle") {
            let text = format!("`targets.{name}.statuses`: `{}` is not written", entry.key);
            report.warning(entry.key_span, text).help("add `life_cycle: true` to the target");
        }
    }
}
