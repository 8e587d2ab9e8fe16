//! Saved plans: a plan with what it rests on, so that `apply` needs no clouds and repeats no decision blindly.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::clock::later;
use crate::config::Config;
use crate::estate::{Estate, EstateId, Fence};
use crate::inventory::Coverage;
use crate::model::{Account, EdgeId, Key, Receipt, Region, Relation, RelationType, Resource, Scope};
use crate::plan::Plan;
use crate::source::{Pull, Remark};

use super::{Only, Reading, RunError};

/// Version of the file's form.
const SCHEMA_VERSION: u32 = 1;

/// Largest saved plan that is read, in bytes.
const BYTES_MAX: u64 = 8 << 30;

/// How far ahead a saved plan's time may lie: machines' clocks differ. What it holds is stored under that time, and timers go by it.
const SKEW_MAX: Duration = Duration::from_secs(300);

/// The file that `plan --out` writes and `apply` reads.
#[derive(Debug, Serialize, Deserialize)]
struct File {
    schema_version: u32,
    plan: Plan,
    coverage: Coverage,
    receipts: Vec<(Scope, Receipt)>,
    resources: Vec<Arc<Resource>>,
    relations: Vec<Relation>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    unread: BTreeMap<Key, BTreeSet<String>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    unread_edges: BTreeMap<Key, BTreeSet<RelationType>>,
    off: Vec<((Account, Region), String)>,
    exhaustive: bool,
    remarks: Vec<Remark>,
}

/// What a plan rests on, kept aside while the flow consumes the pull.
#[derive(Debug)]
pub struct Basis {
    pull: Pull,
    coverage: Coverage,
}

impl Basis {
    /// Of a reading.
    #[must_use]
    pub fn of(reading: &Reading) -> Self {
        Self { pull: reading.pull.clone(), coverage: reading.coverage.clone() }
    }
}

/// Writes a plan with its basis; the file appears whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn save(path: &Path, plan: &Plan, basis: Basis) -> std::io::Result<()> {
    let Basis { pull, coverage } = basis;
    let file = File {
        schema_version: SCHEMA_VERSION,
        plan: plan.clone(),
        coverage,
        receipts: pull.receipts.iter().map(|(scope, receipt)| (scope.clone(), receipt.clone())).collect(),
        resources: pull.resources.into_values().collect(),
        relations: pull.relations.into_values().collect(),
        unread: pull.unread,
        unread_edges: pull.unread_edges,
        off: pull.off.into_iter().collect(),
        exhaustive: pull.exhaustive,
        remarks: pull.remarks,
    };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut out = NamedTempFile::new_in(folder)?;
    let mut buffer = std::io::BufWriter::new(out.as_file_mut());
    serde_json::to_writer(&mut buffer, &file)?;
    buffer.flush()?;
    drop(buffer);
    out.as_file().sync_all()?;
    out.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A saved plan, ready to be applied.
#[derive(Debug)]
pub struct Saved {
    /// When it was made, by its run's clock.
    pub taken_at: Timestamp,
    /// What it rests on, under its own fence: anything read since wins.
    pub reading: Reading,
    /// What of it may be applied.
    pub only: Only,
    /// Its changes in words, by identity, to name those that no longer fit.
    pub words: BTreeMap<crate::plan::ChangeId, String>,
}

/// The fence under which a saved plan's observations are stored.
///
/// Plans between two syncs note one number. Where what is known under it is of a later plan that was applied first, this one's
/// observations stand behind it, level with the sync before both.
#[must_use]
pub fn fence(noted: Fence, taken_at: Timestamp, estate: &Estate) -> Fence {
    let is_behind = estate.scopes.values().any(|known| known.fence == noted && known.at > taken_at);
    if is_behind { Fence(noted.0.saturating_sub(1)) } else { noted }
}

/// Reads a saved plan and checks that it may still be applied here.
///
/// # Errors
/// [`RunError::Refused`] when it cannot be read, is of another estate, of a newer ledger or of another configuration, too old, or from the future.
pub fn load(path: &Path, config: &Config, estate: &EstateId, current: Fence, now: Timestamp) -> Result<Saved, RunError> {
    let refuse = |text: String, hint| RunError::Refused { text: format!("{}: {text}", path.display()), hint };
    let again = "make a new plan with `dewpoint plan --out`";
    let metadata = std::fs::metadata(path).map_err(|error| refuse(format!("cannot be read: {error}"), again))?;
    if !metadata.is_file() || metadata.len() > BYTES_MAX {
        return Err(refuse("is no saved plan".to_owned(), "give the file that `dewpoint plan --out FILE` wrote"));
    }
    let file = std::fs::File::open(path).map_err(|error| refuse(format!("cannot be read: {error}"), again))?;
    let file: File = serde_json::from_reader(std::io::BufReader::new(file)).map_err(|error| {
        tracing::debug!(%error, "The file is no saved plan");
        refuse("is no saved plan".to_owned(), "give the file that `dewpoint plan --out FILE` wrote")
    })?;
    if file.schema_version != SCHEMA_VERSION {
        return Err(refuse(format!("was written in form {}, this Dewpoint reads form {SCHEMA_VERSION}", file.schema_version), again));
    }
    let plan = file.plan;
    if plan.estate != *estate {
        return Err(refuse("was made for another estate (another ledger)".to_owned(), "apply it where it was made, or make a new plan"));
    }
    // A plan lies between the sync that drew the last number and the next.
    if plan.fence.0 > current.0.saturating_mul(2).saturating_add(1) {
        return Err(refuse("was made with a newer ledger than this one, which was put back from a backup since".to_owned(), again));
    }
    if plan.config != config.digest().to_string() {
        return Err(refuse("was made under another configuration".to_owned(), again));
    }
    if plan.taken_at > later(now, SKEW_MAX) {
        return Err(refuse(
            format!("is from {}, which lies ahead", plan.taken_at),
            "check the clocks of the machines that plan and apply, then make a new plan with `dewpoint plan --out`",
        ));
    }
    if later(plan.taken_at, config.guardrails.plan_max_age) < now {
        return Err(refuse(format!("is from {}, older than `plan_max_age` allows", plan.taken_at), again));
    }
    let mut pull = Pull {
        exhaustive: file.exhaustive,
        remarks: file.remarks,
        unread: file.unread,
        unread_edges: file.unread_edges,
        ..Pull::default()
    };
    pull.off = file.off.into_iter().collect();
    for (scope, receipt) in file.receipts {
        pull.receipts.add(scope, receipt)?;
    }
    pull.resources = file.resources.into_iter().map(|resource| (resource.key.clone(), resource)).collect();
    pull.relations = file.relations.into_iter().map(|relation| (relation.id(), relation)).collect::<BTreeMap<EdgeId, Relation>>();
    let only = plan.changes.iter().map(|change| (change.id, change.revision)).collect();
    let words = plan
        .changes
        .iter()
        .map(|change| {
            let what = change
                .relation
                .as_ref()
                .map_or_else(|| change.key.to_string(), |edge| format!("{} {} {}", edge.from, edge.relation, edge.to));
            (change.id, format!("{}: {} {what}", change.target, change.change))
        })
        .collect();
    let fence: Fence = plan.fence;
    Ok(Saved { taken_at: plan.taken_at, reading: Reading { pull, coverage: file.coverage, fence, failed: Vec::new() }, only, words })
}
