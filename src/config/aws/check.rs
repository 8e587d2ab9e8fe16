//! What only several keys of an AWS source together can get wrong.

use std::collections::BTreeMap;

use super::leaf::{AccountId, RoleArn};
use crate::config::check::nearest;
use crate::config::diagnostic::{Report, Span, quote};
use crate::config::leaf::Leaf;
use crate::config::tree::{Node, Value};

/// Checks one source, as written; what is no AWS source is left alone.
pub(in crate::config) fn cross_check(source: &Node, report: &mut Report) {
    let Value::Map(entries) = &source.value else { return };
    if source.get("kind").and_then(Node::text) != Some("aws") {
        return;
    }
    // A slip in the key is an error of its own, with the same mend.
    let is_given = |key: &'static str| entries.iter().any(|entry| nearest(&entry.key, [key]).is_some());
    if !is_given("accounts") {
        for key in ["role_name", "external_id"] {
            if let Some(entry) = source.entry(key).filter(|entry| entry.node.value != Value::Null) {
                let text = format!("`{key}` does nothing without `accounts`: the account of the credentials is read without a role");
                report.error(entry.key_span, text).help(format!("add `accounts: organization` or a list of accounts, or remove `{key}`"));
            }
        }
    }
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    for account in source.get("accounts").map_or(&[][..], Node::items) {
        let Some((id, node)) = account.get("id").and_then(|node| Some((AccountId::parse(node.text()?).ok()?.to_string(), node))) else {
            continue;
        };
        if let Some((arn, node)) = account.get("role_arn").and_then(|node| Some((RoleArn::parse(node.text()?).ok()?, node)))
            && arn.account() != id
        {
            let text = format!("the role {} belongs to account {}, not to {id}", quote(&arn.0), arn.account());
            report.error(node.span, text).help(format!("write the ARN of a role in account {id}, or mend the `id`"));
        }
        if let Some(first) = seen.get(&id) {
            let error = report.error(node.span, format!("account {id} is listed twice: the first in line {}", first.start.line));
            error.label("again here").other(*first, "first here").help("remove one of the two: an account is read once");
            continue;
        }
        seen.insert(id, node.span);
    }
}
