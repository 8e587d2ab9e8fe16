//! What only several keys of an AWS source together can get wrong.

use std::collections::BTreeMap;

use super::leaf::{AccountId, RoleArn};
use crate::config::check::is_meant;
use crate::config::diagnostic::{Report, Span, quote};
use crate::config::leaf::Leaf;
use crate::config::tree::{Node, Value};

/// Which accounts sources say they read, and where.
#[derive(Debug, Default)]
pub(in crate::config) struct Claims(BTreeMap<(String, Claim), (String, Span)>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// The account of the credentials, which all sources share; an organization holds it as well.
    Caller,
    Account(String),
}

impl Claims {
    /// Two sources that read one account, each some of its regions, would each speak for the account: neither knows what the other left out.
    fn make(&mut self, source: &Node, claim: Claim, span: Span, report: &mut Report) {
        let text = |key: &str| source.get(key).and_then(Node::text).unwrap_or_default().to_owned();
        let (name, endpoint_url) = (text("name"), text("endpoint_url"));
        let Some((first, place)) = self.0.get(&(endpoint_url.clone(), claim.clone())) else {
            self.0.insert((endpoint_url, claim), (name, span));
            return;
        };
        if *first == name {
            return;
        }
        let account = match claim {
            Claim::Caller => "the account of the credentials".to_owned(),
            Claim::Account(id) => format!("account {id}"),
        };
        let text = format!("sources {} and {} both read {account}", quote(first), quote(&name));
        let help = "read an account by one source, with all the `regions` that are wanted";
        report.error(span, text).again(*place).help(help);
    }
}

/// Checks one source, as written; what is no AWS source is left alone.
pub(in crate::config) fn cross_check(source: &Node, claims: &mut Claims, report: &mut Report) {
    if source.get("kind").and_then(Node::text) != Some("aws") {
        return;
    }
    let has_accounts = is_meant(source, "accounts");
    if !has_accounts {
        for key in ["role_name", "external_id"] {
            if let Some(entry) = source.entry(key).filter(|entry| entry.node.value != Value::Null) {
                let text = format!("`{key}` does nothing without `accounts`: the account of the credentials is read without a role");
                report.error(entry.key_span, text).help(format!("add `accounts: organization` or a list of accounts, or remove `{key}`"));
            }
        }
    }
    match source.get("accounts") {
        None if has_accounts => {}
        None => claims.make(source, Claim::Caller, source.get("name").map_or(source.span, |name| name.span), report),
        Some(accounts) if accounts.text() == Some("organization") => claims.make(source, Claim::Caller, accounts.span, report),
        Some(_) => {}
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
            error.again(*first).help("remove one of the two: an account is read once");
            continue;
        }
        claims.make(source, Claim::Account(id.clone()), node.span, report);
        seen.insert(id, node.span);
    }
}
