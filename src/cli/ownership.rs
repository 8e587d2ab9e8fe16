//! `dewpoint ownership`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;

use super::output::CommandError;
use super::{App, kinds, ledger_error, table};
use crate::lifecycle::Policy;
use crate::model::{Account, Kind};
use crate::ownership::{self, Fact, OwnershipReport, Unowned};
use crate::told;

/// CIs of one kind in one account that are listed without `-v`.
const LISTED_MAX: usize = 5;

/// Accounts that are listed without `-v`.
const ACCOUNTS_MAX: usize = 10;

impl App {
    /// Says how many CIs have an owner, and which have none.
    pub(super) async fn ownership(&self) -> Result<(), CommandError> {
        let (config, ledger) = self.reading().await?;
        let estate = ledger.load_estate().await.map_err(ledger_error)?.estate;
        let policy = Policy { timers: config.lifecycle.defaults.clone(), rules: config.lifecycle.rules.clone() };
        let verdicts = policy.verdicts(&estate, Timestamp::now());
        let is_wanted = |kind: Kind| config.targets.iter().any(|target| target.include.kinds.contains(&kind));
        let report = ownership::report(&estate, &config.ownership, &verdicts, is_wanted);
        self.output.answer(&report, || match estate.resources.is_empty() {
            true => "nothing is known yet: `dewpoint sync` reads the sources".to_owned(),
            false => text(&report, self.output.verbose > 0),
        })
    }
}

fn text(report: &OwnershipReport, verbose: bool) -> String {
    let mut rows = vec![["FACT", "PRESENT", "MISSING"].map(str::to_owned).to_vec()];
    rows.extend(report.facts.iter().map(|(fact, count)| vec![fact.to_string(), count.present.to_string(), count.missing.to_string()]));
    let cis = told::count(report.cis, "CI", "CIs");
    let mut text = match report.without_owner.len() {
        0 if report.cis == 0 => "no CI can carry tags\n".to_owned(),
        0 => format!("{cis}, all with an owner\n\n{}", table(&rows)),
        without => format!("{cis}, {without} without an owner\n\n{}", table(&rows)),
    };
    text.push_str(&near_text(report));
    if !report.untaggable.is_empty() {
        let of: Vec<String> = report.untaggable.iter().map(|(kind, count)| format!("{count} {}", kinds(*kind, *count))).collect();
        let _ = writeln!(
            text,
            "\nnot counted: {}, which carry no tags; a rule can give them an owner (`set: {{ attributes: {{ owner: … }} }}`)",
            of.join(", ")
        );
    }
    text.push_str(&list_text(&report.without_owner, verbose));
    text
}

/// Tags that the configuration nearly names: those that would tell the most first.
fn near_text(report: &OwnershipReport) -> String {
    let mut text = String::new();
    let near = |fact: &Fact| report.facts.get(fact).map(|fact| fact.near.as_slice()).unwrap_or_default();
    for fact in Fact::ALL {
        let mut near: Vec<_> = near(fact).iter().collect();
        near.sort_by_key(|near| (Reverse(near.missing), &near.tag));
        for near in near {
            if text.is_empty() {
                text.push_str("\ntags that are nearly those of the configuration, and count for nothing:\n");
            }
            let _ = writeln!(
                text,
                "  `{}` is like `{}` in `ownership.{fact}`: on {}, {} without {fact}",
                told::printable(&near.tag),
                told::printable(&near.like),
                told::count(near.cis, "CI", "CIs"),
                near.missing,
            );
        }
    }
    text
}

/// The CIs without an owner by account and kind, the account with the most first.
fn list_text(without: &[Unowned], verbose: bool) -> String {
    let mut accounts: BTreeMap<&Account, BTreeMap<Kind, Vec<&Unowned>>> = BTreeMap::new();
    for ci in without {
        accounts.entry(&ci.account).or_default().entry(ci.kind).or_default().push(ci);
    }
    let mut accounts: Vec<_> = accounts.into_iter().map(|(account, of)| (of.values().map(Vec::len).sum::<usize>(), account, of)).collect();
    accounts.sort_by_key(|(count, account, _)| (Reverse(*count), *account));
    let shown = if verbose { accounts.len() } else { accounts.len().min(ACCOUNTS_MAX) };
    let mut text = String::new();
    for (_, account, of) in accounts.iter().take(shown) {
        let _ = writeln!(text, "\nwithout an owner in account {account}");
        for (kind, cis) in of {
            let _ = writeln!(text, "  {} {}", cis.len(), kinds(*kind, cis.len()));
            let listed = if verbose { cis.len() } else { cis.len().min(LISTED_MAX) };
            for ci in cis.iter().take(listed) {
                let service = ci.service.as_ref().map(|service| format!(", service {}", told::printable(service))).unwrap_or_default();
                let near: String = ci.near.iter().map(|tag| format!(", has `{}`", told::printable(tag))).collect();
                let _ = writeln!(text, "    {} in {}{service}{near}", told::name(ci.name.as_deref(), &ci.key), ci.region);
            }
            if cis.len() > listed {
                let _ = writeln!(text, "    … and {} more (`-v` shows all)", cis.len() - listed);
            }
        }
    }
    let rest = accounts.get(shown..).unwrap_or_default();
    if !rest.is_empty() {
        let count: usize = rest.iter().map(|(count, ..)| count).sum();
        let _ = writeln!(text, "\n… and {count} in {} (`-v` shows all)", told::count(rest.len(), "more account", "more accounts"));
    }
    text
}
