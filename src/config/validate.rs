//! From the file as written to the file as meant: what no schema can say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use dewpoint_core::lifecycle::Timers;
use dewpoint_core::model::{Kind, attributes};
use dewpoint_core::plan::Limits;
use dewpoint_core::target::{Adopt, Authority, Purge};

use super::check::nearest;
use super::diagnostic::{Report, Span, quote};
use super::leaf::{LedgerAddress, TagName, Written};
use super::raw::{RawAdopt, RawAuthority, RawConfig, RawGuardrails, RawLifecycle, RawOwnership, RawPurge, RawSource, RawTarget, RawTimers};
use super::secret::{Secret, SecretRef};
use super::tree::{Node, Value};
use super::{Config, LedgerConfig, LifecycleConfig, OwnershipConfig, SourceConfig, SourceKind, TargetConfig, TargetKind};

/// Fields of every record besides the attributes of its kind, by our names.
const COMMON_FIELDS: &[&str] = &[
    "account",
    "cost_center",
    "created_at",
    "environment",
    "name",
    "native_id",
    "owner",
    "region",
    "service",
    "stage",
    "state",
    "support_group",
    "tags",
];

/// Turns the raw configuration into the meant one; `root` is the tree it was read from, for the places.
pub(super) fn validate(raw: RawConfig, root: &Node, dir: &Path, report: &mut Report) -> Option<Config> {
    let mut files = Files { dir, seen: BTreeMap::new() };
    let ledger = ledger(&raw, root, &mut files, report);

    let mut sources = Vec::new();
    let mut names = Names::new("source");
    for (raw, node) in raw.sources.into_iter().zip(list(root, "sources")) {
        sources.extend(source(raw, node, &mut names, &mut files, report));
    }
    let mut targets = Vec::new();
    let mut names = Names::new("target");
    for (raw, node) in raw.targets.into_iter().zip(list(root, "targets")) {
        targets.extend(target(raw, node, &mut names, &mut files, report));
    }

    let RawGuardrails { max_retire_percent, max_retire_min, max_retire, max_update_percent, plan_max_age } = raw.guardrails;
    Some(Config {
        file: report.place(root.span.start).file,
        dir: dir.to_owned(),
        ledger: ledger?,
        journal_keep: raw.journal_keep.0.0,
        sources,
        ownership: ownership(raw.ownership, root, report),
        lifecycle: lifecycle(&raw.lifecycle),
        targets,
        guardrails: Limits {
            max_retire_percent,
            max_retire_min,
            max_retire,
            max_update_percent: max_update_percent.0,
            plan_max_age: plan_max_age.0.0,
        },
        exit_ok: raw.exit_ok.into_iter().map(|code| code.0).collect(),
    })
}

fn list<'n>(root: &'n Node, key: &str) -> &'n [Node] {
    root.get(key).map_or(&[], Node::items)
}

fn span(node: &Node, key: &str) -> Span {
    node.get(key).map_or(node.span, |node| node.span)
}

/// Names that were given so far, each with its place.
struct Names {
    what: &'static str,
    seen: BTreeMap<String, Span>,
}

impl Names {
    fn new(what: &'static str) -> Self {
        Self { what, seen: BTreeMap::new() }
    }

    fn add(&mut self, name: &str, span: Span, report: &mut Report) {
        let Some(first) = self.seen.get(name) else {
            self.seen.insert(name.to_owned(), span);
            return;
        };
        let line = first.start.line;
        let text = format!("two {}s are named {}: the first in line {line}", self.what, quote(name));
        let help = format!("the ledger and `--{}` tell them apart by name: give each its own", self.what);
        report.error(span, text).label("again here").other(*first, "first here").help(help);
    }
}

/// Files that are named so far: two of them must not be one.
struct Files<'a> {
    dir: &'a Path,
    seen: BTreeMap<PathBuf, (String, Span)>,
}

impl Files<'_> {
    fn add(&mut self, path: &str, what: String, span: Span, report: &mut Report) -> PathBuf {
        // Joined by components, so that `./a` and `a` are the same; links are not followed, which would be I/O.
        let path: PathBuf = self.dir.join(path).components().collect();
        if let Some((other, first)) = self.seen.get(&path) {
            let text = format!("{what} and {other} (line {}) are the same file", first.start.line);
            report.error(span, text).label("again here").other(*first, "first here").help("give each its own file");
        } else {
            self.seen.insert(path.clone(), (what, span));
        }
        path
    }
}

fn secret(reference: &SecretRef, span: Span, dir: &Path, report: &Report) -> Secret {
    let reference = match reference {
        SecretRef::Env(name) => SecretRef::Env(name.clone()),
        SecretRef::File(path) => SecretRef::File(dir.join(path)),
    };
    Secret { reference, place: report.place(span.start) }
}

fn ledger(raw: &RawConfig, root: &Node, files: &mut Files<'_>, report: &mut Report) -> Option<LedgerConfig> {
    let at = span(root, "ledger");
    let password = raw.ledger_password.as_ref();
    let password_at = span(root, "ledger_password");
    let config = match &raw.ledger.0 {
        LedgerAddress::Sqlite(path) => LedgerConfig::Sqlite(files.add(path, "the ledger".to_owned(), at, report)),
        LedgerAddress::Postgres(url) => {
            let password = password.map(|reference| secret(&reference.0, password_at, files.dir, report));
            return Some(LedgerConfig::Postgres { url: url.clone(), password });
        }
        LedgerAddress::Secret(reference) => LedgerConfig::Secret(secret(reference, at, files.dir, report)),
    };
    if password.is_some() {
        let (text, help) = match config {
            LedgerConfig::Sqlite(_) => ("an SQLite ledger has no password", "remove `ledger_password`"),
            _ => (
                "`ledger_password` does not go with a ledger whose whole address is a secret",
                "put the password into the address, or write `ledger: postgres://HOST/DATABASE`",
            ),
        };
        report.error(password_at, text).help(help);
        return None;
    }
    Some(config)
}

/// A name as the model's own type; its syntax is narrower here, so that this cannot fail.
fn named<T: FromStr<Err: std::fmt::Display>>(name: &str, span: Span, report: &mut Report) -> Option<T> {
    name.parse().map_err(|error: T::Err| report.error(span, error.to_string()).label("here")).ok()
}

fn source(raw: RawSource, node: &Node, names: &mut Names, files: &mut Files<'_>, report: &mut Report) -> Option<SourceConfig> {
    let at = span(node, "name");
    let (name, kind) = match raw {
        RawSource::Aws { name, regions, endpoint_url } => {
            let regions = regions.into_iter().map(|region| region.0).collect();
            (name, SourceKind::Aws { regions, endpoint_url: endpoint_url.map(|url| url.0.0) })
        }
        RawSource::File { name, path, max_file_bytes } => {
            let path = files.add(&path.0.0, format!("source {}", quote(&name.0.0)), span(node, "path"), report);
            (name, SourceKind::File { path, max_file_bytes })
        }
    };
    names.add(&name.0.0, at, report);
    Some(SourceConfig { name: named(&name.0.0, at, report)?, place: report.place(at.start), kind })
}

fn target(raw: RawTarget, node: &Node, names: &mut Names, files: &mut Files<'_>, report: &mut Report) -> Option<TargetConfig> {
    let RawTarget::Local { name, path, include, adopt, authority, verify_every, max_records, purge, batch_size, deadline } = raw;
    let at = span(node, "name");
    names.add(&name.0.0, at, report);
    let path = files.add(&path.0.0, format!("target {}", quote(&name.0.0)), span(node, "path"), report);
    check_fields(&name.0.0, node, report);
    Some(TargetConfig {
        name: named(&name.0.0, at, report)?,
        place: report.place(at.start),
        kind: TargetKind::Local { path },
        include: include.kinds.into_iter().map(|kind| kind.0).collect(),
        adopt: match adopt {
            RawAdopt::Never => Adopt::Never,
            RawAdopt::Match => Adopt::Match,
            RawAdopt::Contribute => Adopt::Contribute,
        },
        authority: authority.into_iter().map(|(field, authority)| (field, authority.into())).collect(),
        verify_every: verify_every.0.0,
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

/// An authority over a field that no record has would be silently without effect.
fn check_fields(target: &str, node: &Node, report: &mut Report) {
    let Some(Value::Map(entries)) = node.get("authority").map(|node| &node.value) else { return };
    let attributes = Kind::ALL.iter().flat_map(|kind| attributes::of(*kind)).map(|attribute| attribute.name);
    let known: Vec<&str> = COMMON_FIELDS.iter().copied().chain(attributes).collect();
    for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
        let text = format!("no record has a field {}: set in `targets.{target}.authority`", quote(&entry.key));
        let error = report.error(entry.key_span, text);
        match nearest(&entry.key, known.iter().copied()) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help("fields are those that `dewpoint show` prints, such as `owner` or `size`"),
        };
    }
}

fn ownership(raw: RawOwnership, root: &Node, report: &mut Report) -> OwnershipConfig {
    let plain = |tags: Vec<Written<TagName>>| tags.into_iter().map(|tag| tag.0.0).collect();
    let values = root.get("ownership").and_then(|node| node.get("environment")).and_then(|node| node.get("values"));
    if let Some(Value::Map(entries)) = values.map(|node| &node.value) {
        for entry in entries.iter().filter(|entry| entry.node.text().is_some_and(|text| text.trim().is_empty())) {
            let text = format!("the environment that {} means is empty", quote(&entry.key));
            report.error(entry.node.span, text).help("write its name, such as `production`, or remove the line");
        }
    }
    OwnershipConfig {
        owner: plain(raw.owner),
        support_group: plain(raw.support_group),
        cost_center: plain(raw.cost_center),
        service: plain(raw.service),
        environment: plain(raw.environment.tags),
        environment_values: raw.environment.values,
    }
}

fn lifecycle(raw: &RawLifecycle) -> LifecycleConfig {
    let RawTimers { min_age, confirm_missing, retire_after, purge_after, min_dwell } = &raw.defaults;
    LifecycleConfig {
        defaults: Timers {
            min_age: min_age.0.0,
            confirm_missing: *confirm_missing,
            retire_after: retire_after.0.0,
            purge_after: purge_after.0.0,
            min_dwell: min_dwell.0.0,
        },
    }
}
