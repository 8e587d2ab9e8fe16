//! What no schema can say of a target of HaloITSM, on the tree as written.

use std::collections::BTreeMap;

use dewpoint_haloitsm::{Mapping, reserved, value_of};

use crate::config::diagnostic::{Report, Span, quote};
use crate::config::leaf::{HttpUrl, Leaf};
use crate::config::mapped::{check_address, check_authority, check_mapping, check_spelling};
use crate::config::tree::Node;

/// Checks the targets of HaloITSM, as written; what is none is left alone.
pub(in crate::config) fn cross_check(root: &Node, source: &str, report: &mut Report) {
    let mut tenants: BTreeMap<String, (&str, Span)> = BTreeMap::new();
    for node in root.get("targets").map_or(&[][..], Node::items) {
        if node.get("kind").and_then(Node::text) != Some("haloitsm") {
            continue;
        }
        let name = node.get("name").and_then(Node::text).unwrap_or_default();
        if let Some((HttpUrl(url), at)) = node.get("url").and_then(|node| Some((HttpUrl::parse(node.text()?).ok()?, node.span))) {
            if url.path() != "/" {
                let text = format!("`targets.{name}.url`: {} is a page of the tenant, and not its address", quote(url.path()));
                report
                    .error(at, text)
                    .help("write the address alone, such as `https://example.haloitsm.com`: the API lies behind it at `/api`");
            }
            let place = url.as_str().trim_end_matches('/').to_owned();
            if let Some((other, first)) = tenants.get(&place) {
                let text = format!("targets {} and {} are the same tenant", quote(other), quote(name));
                report.error(at, text).again(*first).help("one target writes all that a tenant gets");
            } else {
                tenants.insert(place, (name, at));
            }
        }
        for key in ["url", "auth_url"] {
            check_address(node, name, key, report);
        }
        check_mapping(node, name, source, report, value_of);
        check_owners(node, name, report);
        if let Ok(mapping) = Mapping::standard() {
            let help = "write asset fields, such as `Support Group`; one of your own has to be under `mapping`";
            check_authority(node, name, mapping.names(), ("an asset field", help), report);
            let own = mapping.names().into_iter().filter(|field| reserved(field).is_none()).collect();
            check_spelling(node, name, &own, "Halo tells no fields apart by case", report);
        }
    }
}

/// An asset has one owner of each sort.
fn check_owners(node: &Node, name: &str, report: &mut Report) {
    for entry in node.get("mapping").map_or(&[][..], Node::entries) {
        let mut owners: BTreeMap<&str, Span> = BTreeMap::new();
        for field in entry.node.get("fields").map_or(&[][..], Node::entries) {
            let Some(shape) = field.node.get("type").and_then(Node::text).filter(|shape| shape.ends_with("_owner")) else { continue };
            match owners.get(shape) {
                Some(first) => {
                    let path = format!("`targets.{name}.mapping.{}.fields.{}`", entry.key, field.key);
                    let text = format!("{path}: another field is the asset's `{shape}` already");
                    report.error(field.key_span, text).again(*first).help("keep one of them");
                }
                None => drop(owners.insert(shape, field.key_span)),
            }
        }
    }
}
