//! From the file as written to the file as meant: what no schema can say.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use dewpoint_aws_settings::Regions;
use dewpoint_core::lifecycle::Timers;
use dewpoint_core::plan::Limits;
use dewpoint_core::target::{Adopt, Authority, Purge};

use super::aws::{self, AwsAccount, AwsAccounts, AwsSettings, RawAccount};
use super::azure;
use super::diagnostic::{Report, Span, quote};
use super::haloitsm;
use super::jsm;
use super::leaf::{DurationOrNever, Leaf, LedgerAddress, PositiveDuration, Written, absolute};
use super::ownership;
use super::raw::{
    RawAdopt, RawAuthority, RawConfig, RawGuardrails, RawInclude, RawLifecycle, RawPurge, RawSource, RawTarget, RawTimers, default_ledger,
};
use super::rules::{self, PresetName};
use super::secret::{Secret, SecretRef};
use super::servicenow;
use super::tree::{Node, Value};
use super::{Config, LedgerConfig, LifecycleConfig, SourceConfig, SourceKind, TargetConfig, TargetKind};

/// Checks what only several keys together can get wrong. Works on the tree as written, so that nothing is missed where
/// something else is wrong as well.
pub(super) fn cross_check(root: &Node, dir: &Path, report: &mut Report) {
    let mut files = Files { dir, seen: BTreeMap::new() };
    let mut claims = aws::Claims::default();
    let mut azure_claims = azure::Claims::default();
    ledger_and_password(root, &mut files, report);
    ownership::cross_check(root, report);
    for (list, what) in [("sources", "source"), ("targets", "target")] {
        let mut names: BTreeMap<&str, Span> = BTreeMap::new();
        for node in root.get(list).map_or(&[][..], Node::items) {
            if list == "sources" {
                aws::cross_check(node, &mut claims, report);
                azure::cross_check(node, &mut azure_claims, report);
            }
            let Some((name, node_name)) = node.get("name").and_then(|node| Some((node.text()?, node))) else { continue };
            if let Some(first) = names.get(name) {
                let text = format!("two {what}s are named {}: the first in line {}", quote(name), first.start.line);
                let help = format!("the ledger and `--{what}` tell them apart by name: give each its own");
                report.error(node_name.span, text).again(*first).help(help);
            } else {
                names.insert(name, node_name.span);
            }
            if let Some((path, node)) = node.get("path").and_then(|node| Some((node.text()?, node))) {
                files.add(path, format!("{what} {}", quote(name)), node.span, report);
            }
        }
    }
}

fn ledger_and_password(root: &Node, files: &mut Files<'_>, report: &mut Report) {
    let ledger = root.get("ledger");
    let address = match ledger.and_then(Node::text).map(LedgerAddress::parse) {
        Some(Ok(address)) => address,
        Some(Err(_)) => return,
        None => default_ledger().0,
    };
    let (text, help) = match &address {
        LedgerAddress::Postgres(_) => return,
        LedgerAddress::Sqlite(path) => {
            files.add(path, "the ledger".to_owned(), ledger.map_or(Span::START, |node| node.span), report);
            ("an SQLite ledger has no password", "remove `ledger_password`, or write `ledger: postgres://HOST/DATABASE`")
        }
        LedgerAddress::Secret(_) => (
            "`ledger_password` does not go with a ledger whose whole address is a secret",
            "put the password into the address, or write `ledger: postgres://HOST/DATABASE`",
        ),
    };
    if let Some(entry) = root.entry("ledger_password").filter(|entry| entry.node.value != Value::Null) {
        report.error(entry.key_span, text).help(help);
    }
}

/// Files that are named so far: two of them must not be one.
struct Files<'a> {
    dir: &'a Path,
    seen: BTreeMap<PathBuf, (String, Span)>,
}

impl Files<'_> {
    fn add(&mut self, path: &str, what: String, span: Span, report: &mut Report) {
        match self.seen.entry(absolute(self.dir, path)) {
            Entry::Occupied(first) => {
                let (other, first) = first.get();
                let text = format!("{what} and {other} (line {}) are the same file", first.start.line);
                report.error(span, text).again(*first).help("give each its own file");
            }
            Entry::Vacant(place) => {
                place.insert((what, span));
            }
        }
    }
}

/// Turns the raw configuration into the meant one; `root` is the tree that it was made from, for the places.
pub(super) fn convert(raw: RawConfig, root: &Node, dir: &Path, report: &mut Report) -> Option<Config> {
    let items = |key: &str| root.get(key).map_or(&[][..], Node::items);
    let ledger = match raw.ledger.0 {
        LedgerAddress::Sqlite(path) => LedgerConfig::Sqlite(absolute(dir, path)),
        LedgerAddress::Secret(reference) => LedgerConfig::Secret(secret(reference, root, "ledger", "", dir, report)),
        LedgerAddress::Postgres(url) => {
            let password = raw.ledger_password.map(|reference| secret(reference.0, root, "ledger_password", "", dir, report));
            LedgerConfig::Postgres { url, password }
        }
    };
    let mut sources = Vec::new();
    for (raw, node) in raw.sources.into_iter().zip(items("sources")) {
        sources.push(source(raw, node, dir, report)?);
    }
    let mut targets = Vec::new();
    for (raw, node) in raw.targets.into_iter().zip(items("targets")) {
        targets.push(target(raw, node, dir, report)?);
    }
    let RawGuardrails { max_retire_percent, max_retire_min, max_retire, max_update_percent, plan_max_age } = raw.guardrails;
    Some(Config {
        file: report.place(root.span.start).file,
        dir: dir.to_owned(),
        ledger,
        journal_keep: raw.journal_keep.0.0,
        sources,
        ownership: raw.ownership.into(),
        lifecycle: lifecycle(raw.lifecycle, root, report)?,
        targets,
        guardrails: Limits {
            max_retire_percent,
            max_retire_min,
            max_retire,
            max_update_percent: max_update_percent.0,
            plan_max_age: plan_max_age.0.0,
        },
        exit_ok: raw.exit_ok.into_iter().map(|code| code.0).collect(),
        warnings: Vec::new(),
    })
}

fn span(node: &Node, key: &str) -> Span {
    node.get(key).map_or(node.span, |node| node.span)
}

/// The secret under a key of `node`, which itself is at `path`.
fn secret(reference: SecretRef, node: &Node, key: &str, path: &str, dir: &Path, report: &Report) -> Secret {
    let reference = match reference {
        SecretRef::Env(name) => SecretRef::Env(name),
        SecretRef::File(path) => SecretRef::File(absolute(dir, path)),
    };
    let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    Secret { key: path, reference, place: report.place(span(node, key).start) }
}

/// A name as the model's own type; its syntax is narrower here, so that this does not fail.
fn named<T: FromStr<Err: std::fmt::Display>>(name: &str, span: Span, report: &mut Report) -> Option<T> {
    name.parse().map_err(|error: T::Err| report.error(span, error.to_string()).label("here")).ok()
}

fn source(raw: RawSource, node: &Node, dir: &Path, report: &mut Report) -> Option<SourceConfig> {
    let at = span(node, "name");
    let (name, kind) = match raw {
        RawSource::Aws { name, accounts, role_name, external_id, regions, endpoint_url, timeout, rate } => {
            let path = format!("sources.{}", name.0);
            let settings = AwsSettings {
                accounts: match accounts.map(|accounts| accounts.0) {
                    None => AwsAccounts::Own,
                    Some(None) => AwsAccounts::Organization,
                    Some(Some(listed)) => AwsAccounts::Listed(listed_accounts(listed, node, &path, dir, report)),
                },
                role_name: role_name.0.0,
                external_id: external_id.map(|reference| secret(reference.0, node, "external_id", &path, dir, report)),
                regions: match regions.0 {
                    None => Regions::All,
                    Some(listed) => Regions::Listed(listed.into_iter().map(|region| region.0).collect()),
                },
                endpoint_url: endpoint_url.map(|url| url.0.0),
                timeout: timeout.0.0,
                rates: rate.into(),
            };
            (name, SourceKind::Aws(Box::new(settings)))
        }
        RawSource::Azure { name, tenant, credential, subscriptions, collector, cloud, endpoints, proxy, api_versions, timeout, rate } => {
            let raw =
                azure::RawSettings { tenant, credential, subscriptions, collector, cloud, endpoints, proxy, api_versions, timeout, rate };
            let settings = azure::convert(raw, node, &format!("sources.{}", name.0), dir, report, secret)?;
            (name, SourceKind::Azure(Box::new(settings)))
        }
        RawSource::File { name, path, max_file_bytes } => (name, SourceKind::File { path: absolute(dir, path.0.0), max_file_bytes }),
    };
    Some(SourceConfig { name: named(&name.0.0, at, report)?, place: report.place(at.start), kind })
}

fn listed_accounts(listed: Vec<RawAccount>, source: &Node, path: &str, dir: &Path, report: &Report) -> Vec<AwsAccount> {
    let nodes = source.get("accounts").map_or(&[][..], Node::items);
    let listed = listed.into_iter().zip(nodes).enumerate();
    let account = |(index, (raw, node)): (usize, (RawAccount, &Node))| {
        let path = format!("{path}.accounts[{index}]");
        AwsAccount {
            id: raw.id.0.0,
            role_arn: raw.role_arn.map(|arn| arn.0.0),
            external_id: raw.external_id.map(|reference| secret(reference.0, node, "external_id", &path, dir, report)),
        }
    };
    listed.map(account).collect()
}

/// What all targets have.
struct Common {
    include: RawInclude,
    adopt: RawAdopt,
    authority: BTreeMap<String, RawAuthority>,
    verify_every: Written<DurationOrNever>,
    /// Not there where the target has none.
    heartbeat: Option<Written<DurationOrNever>>,
    max_records: Option<u64>,
    purge: RawPurge,
    batch_size: u32,
    deadline: Written<PositiveDuration>,
}

fn target(raw: RawTarget, node: &Node, dir: &Path, report: &mut Report) -> Option<TargetConfig> {
    let at = span(node, "name");
    let (name, kind, common) = match raw {
        RawTarget::Local { name, path, include, adopt, authority, verify_every, max_records, purge, batch_size, deadline } => {
            let common = Common { include, adopt, authority, verify_every, heartbeat: None, max_records, purge, batch_size, deadline };
            (name, TargetKind::Local { path: absolute(dir, path.0.0) }, common)
        }
        RawTarget::ServiceNow {
            name,
            url,
            auth,
            discovery_source,
            include,
            adopt,
            authority,
            mapping,
            relationships,
            statuses,
            life_cycle,
            verify_every,
            heartbeat,
            max_records,
            purge,
            rate,
            batch_size,
            deadline,
            timeout,
            ca_file,
            proxy,
        } => {
            let raw = servicenow::RawSettings {
                url,
                auth,
                discovery_source,
                mapping,
                relationships,
                statuses,
                life_cycle,
                rate,
                timeout,
                ca_file,
                proxy,
            };
            let settings = servicenow::convert(raw, node, &format!("targets.{}", name.0), dir, report, secret)?;
            let common =
                Common { include, adopt, authority, verify_every, heartbeat: Some(heartbeat), max_records, purge, batch_size, deadline };
            (name, TargetKind::ServiceNow(Box::new(settings)), common)
        }
        RawTarget::Jsm {
            name,
            url,
            deployment,
            api_base,
            auth,
            schema,
            include,
            adopt,
            authority,
            mapping,
            statuses,
            verify_every,
            heartbeat,
            max_records,
            purge,
            rate,
            import,
            batch_size,
            index_lag,
            deadline,
            timeout,
            ca_file,
            proxy,
        } => {
            let raw = jsm::RawSettings {
                url,
                deployment,
                api_base,
                auth,
                schema,
                mapping,
                statuses,
                rate,
                import,
                index_lag,
                timeout,
                ca_file,
                proxy,
            };
            let settings = jsm::convert(raw, node, &format!("targets.{}", name.0), dir, report, secret)?;
            let common =
                Common { include, adopt, authority, verify_every, heartbeat: Some(heartbeat), max_records, purge, batch_size, deadline };
            (name, TargetKind::Jsm(Box::new(settings)), common)
        }
        RawTarget::Halo {
            name,
            url,
            auth_url,
            tenant,
            auth,
            client,
            site,
            include,
            adopt,
            authority,
            mapping,
            statuses,
            verify_every,
            heartbeat,
            max_records,
            purge,
            rate,
            batch_size,
            deadline,
            timeout,
            ca_file,
            proxy,
        } => {
            let raw = haloitsm::RawSettings { url, auth_url, tenant, auth, client, site, mapping, statuses, rate, timeout, ca_file, proxy };
            let settings = haloitsm::convert(raw, node, &format!("targets.{}", name.0), dir, report, secret)?;
            let common =
                Common { include, adopt, authority, verify_every, heartbeat: Some(heartbeat), max_records, purge, batch_size, deadline };
            (name, TargetKind::Halo(Box::new(settings)), common)
        }
    };
    let Common { include, adopt, authority, verify_every, heartbeat, max_records, purge, batch_size, deadline } = common;
    Some(TargetConfig {
        name: named(&name.0.0, at, report)?,
        place: report.place(at.start),
        kind,
        include: include.meant()?,
        adopt: match adopt {
            RawAdopt::Never => Adopt::Never,
            RawAdopt::Match => Adopt::Match,
            RawAdopt::Contribute => Adopt::Contribute,
        },
        authority: authority.into_iter().map(|(field, authority)| (field, authority.into())).collect(),
        verify_every: verify_every.0.0,
        heartbeat: heartbeat.and_then(|heartbeat| heartbeat.0.0),
        max_records,
        purge: match purge {
            RawPurge::Keep => Purge::Keep,
            RawPurge::Delete => Purge::Delete,
        },
        batch_size,
        deadline: deadline.0.0,
    })
}

impl From<RawAuthority> for Authority {
    fn from(raw: RawAuthority) -> Self {
        match raw {
            RawAuthority::Owned => Self::Owned,
            RawAuthority::Initial => Self::Initial,
            RawAuthority::IfEmpty => Self::IfEmpty,
            RawAuthority::Report => Self::Report,
            RawAuthority::Transition => Self::Transition,
        }
    }
}

fn lifecycle(raw: RawLifecycle, root: &Node, report: &mut Report) -> Option<LifecycleConfig> {
    let RawTimers { min_age, confirm_missing, retire_after, purge_after, min_dwell } = raw.defaults;
    let presets: Vec<PresetName> = raw.presets.into_iter().map(|preset| preset.0).collect();
    let (rules, places) = rules::convert(&presets, raw.rules, root.get("lifecycle"), report)?;
    Some(LifecycleConfig {
        defaults: Timers {
            min_age: min_age.0.0,
            confirm_missing,
            retire_after: retire_after.0.0,
            purge_after: purge_after.0.0,
            min_dwell: min_dwell.0.0,
        },
        rules,
        places,
    })
}
