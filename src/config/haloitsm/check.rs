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
        if let Ok(mapping) = Mapping::standard() {
            let help = "write asset fields, such as `Support Group`; one of your own has to be under `mapping`";
            check_authority(node, name, mapping.names(), ("an asset field", help), report);
            let own = mapping.names().into_iter().filter(|field| reserved(field).is_none()).collect();
            check_spelling(node, name, &own, "Halo tells no fields apart by case", report);
        }
    }
}
