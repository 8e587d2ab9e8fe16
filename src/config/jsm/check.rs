//! What no schema can say of a target of Jira Service Management, on the tree as written.

use std::collections::BTreeMap;

use dewpoint_jsm::{Mapping, RESERVED, Statuses, value_of};

use crate::config::check::is_meant;
use crate::config::diagnostic::{Report, Span, quote};
use crate::config::leaf::{HttpUrl, Leaf};
use crate::config::mapped::{check_address, check_authority, check_mapping, check_spelling, check_ways};
use crate::config::tree::{Node, Value};

/// The ways to log in.
const WAYS: &[&str] = &["basic", "oauth", "token"];

/// Checks the targets of Jira Service Management, as written; what is none is left alone.
pub(in crate::config) fn cross_check(root: &Node, source: &str, report: &mut Report) {
    let mut schemas: BTreeMap<(String, String), (&str, Span)> = BTreeMap::new();
    for node in root.get("targets").map_or(&[][..], Node::items) {
        if node.get("kind").and_then(Node::text) != Some("jsm") {
            continue;
        }
        let name = node.get("name").and_then(Node::text).unwrap_or_default();
        let url = node.get("url").and_then(|node| Some((HttpUrl::parse(node.text()?).ok()?, node.span)));
        if let (Some((HttpUrl(url), at)), Some(schema)) = (url, node.get("schema").and_then(Node::text)) {
            if url.path() != "/" && node.get("deployment").and_then(Node::text) != Some("data_center") {
                let text = format!("`targets.{name}.url`: {} is a page of the site, and not its address", quote(url.path()));
                report.error(at, text).help("write the address alone, such as `https://example.atlassian.net`");
            }
            let place = (url.as_str().trim_end_matches('/').to_owned(), schema.to_owned());
            if let Some((other, first)) = schemas.get(&place) {
                let text = format!("targets {} and {} are the same schema of one site", quote(other), quote(name));
                report.error(at, text).again(*first).help("one target writes all that a schema gets");
            } else {
                schemas.insert(place, (name, at));
            }
        }
        if let Some(auth) = node.get("auth") {
            check_ways(auth, name, WAYS, "basic: { username: bot@example.com, password: env:ATLASSIAN_TOKEN }", report);
            check_product(auth, node, name, report);
        }
        if node.get("deployment").and_then(Node::text) == Some("data_center")
            && let Some(entry) = node.entry("import").filter(|entry| entry.node.value != Value::Null)
        {
            let text = format!("`targets.{name}.import`: Data Center has no imports by an interface");
            report.error(entry.key_span, text).help("take it out: objects are made one by one");
        }
        if let Some(keeps) =
            node.get("import").and_then(|import| import.get("keeps_missing")).filter(|keeps| keeps.value == Value::Flag(false))
        {
            let text = format!("`targets.{name}.import.keeps_missing`: an import would delete the objects that it does not show");
            let help =
                "set the import source to ignore missing objects, in the mapping of each type, and write `true`; or take `import` out";
            report.error(keeps.span, text).help(help);
        }
        for key in ["url", "api_base"] {
            check_address(node, name, key, report);
        }
        check_mapping(node, name, source, report, value_of);
        if let Ok(mapping) = Mapping::standard() {
            let help = "write attributes of the schema, such as `Support Group`; one of your own has to be under `mapping`";
            check_authority(node, name, mapping.names(), ("an attribute", help), report);
            let own = mapping.names().into_iter().filter(|name| !RESERVED.contains(name)).collect();
            check_spelling(node, name, &own, "Assets tells no attributes apart by case", report);
        }
        check_fields(node, name, report);
        check_statuses(node, name, report);
    }
}

/// What one product has and the other has not.
fn check_product(auth: &Node, node: &Node, name: &str, report: &mut Report) {
    let is_data_center = node.get("deployment").and_then(Node::text) == Some("data_center");
    let (way, other) = if is_data_center { ("oauth", "token") } else { ("token", "basic") };
    if let Some(entry) = auth.entry(way).filter(|entry| entry.node.value != Value::Null) {
        let product = if is_data_center { "Data Center" } else { "Cloud" };
        let text = format!("`targets.{name}.auth`: `{way}` is not taken by {product}");
        let help = if is_data_center {
            format!("write `{other}: env:NAME`")
        } else {
            format!("write `{other}` with an API token, or `deployment: data_center`")
        };
        report.error(entry.key_span, text).help(help);
    }
}

/// A type beside a reference would say the same thing twice.
fn check_fields(node: &Node, name: &str, report: &mut Report) {
    let mappings = node.get("mapping").map_or(&[][..], Node::entries);
    let fields = mappings.iter().filter_map(|entry| Some((&entry.key, entry.node.get("fields")?)));
    for (kind, field) in fields.flat_map(|(kind, fields)| fields.entries().iter().map(move |field| (kind, field))) {
        if is_meant(&field.node, "type")
            && let Some(entry) = field.node.entry("reference").filter(|entry| entry.node.value != Value::Null)
        {
            let text = format!("`targets.{name}.mapping.{kind}.fields.{}`: `type` and `reference` do not go together", field.key);
            report.error(entry.key_span, text).help("keep `reference`: the attribute holds objects then");
        }
    }
}

/// What ends has to look so.
fn check_statuses(node: &Node, name: &str, report: &mut Report) {
    let Some(statuses) = node.get("statuses") else { return };
    let usual = Statuses::default();
    let named = |key: &str, usual: String| statuses.get(key).and_then(Node::text).map_or(usual, str::to_owned);
    let retired = named("retired", usual.retired);
    if [named("active", usual.active), named("inactive", usual.inactive)].contains(&retired) {
        let at = statuses.entry("retired").map_or(statuses.span, |entry| entry.key_span);
        let text = format!("`targets.{name}.statuses`: {} is also the status of what has not ended", quote(&retired));
        report.error(at, text).help("give `retired` a name that the others do not have: nothing else tells that a resource has ended");
    }
}
