//! Several sources' pulls made one.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::{Outcome, Overlap, Scope, SourceName};
use crate::source::{Pull, Remark, SourceError};

/// What became of each configured source in one run: what tells `skipped`, `failed` and `orphaned` scopes apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Coverage {
    /// Every configured source, by name.
    pub sources: BTreeMap<SourceName, SourceCoverage>,
}

/// What became of one source in one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceCoverage {
    /// Left out by `--source`.
    Skipped,
    /// Nothing at all could be read from it.
    Failed {
        /// How the listings of its scopes ended by that.
        outcome: Outcome,
        /// In words, without secrets.
        error: String,
    },
    /// It was pulled.
    Read {
        /// Whether it knew all its accounts and regions.
        exhaustive: bool,
        /// The scopes it gave receipts for (whatever source label those carry).
        scopes: BTreeSet<Scope>,
    },
}

impl Coverage {
    /// Whether every configured source listed its accounts and regions, so that a scope without a receipt is covered by none.
    #[must_use]
    pub fn is_exhaustive(&self) -> bool {
        self.sources.values().all(|source| matches!(source, SourceCoverage::Read { exhaustive: true, .. }))
    }

    /// The configured source of each scope that was read.
    pub(super) fn by_scope(&self) -> BTreeMap<&Scope, &SourceName> {
        let mut by_scope = BTreeMap::new();
        for (name, source) in &self.sources {
            if let SourceCoverage::Read { scopes, .. } = source {
                by_scope.extend(scopes.iter().map(|scope| (scope, name)));
            }
        }
        by_scope
    }
}

/// Makes one pull of those of several sources. `pulls` has the answer of each source that was asked, `configured` names all there are.
///
/// A key that two sources show (which their receipts forbid, unless one has no receipt for it) is taken from the first source by name,
/// with a remark.
///
/// # Errors
/// [`Overlap`] when two sources cover one scope.
pub fn gather(
    pulls: BTreeMap<SourceName, Result<Pull, SourceError>>,
    configured: impl IntoIterator<Item = SourceName>,
) -> Result<(Pull, Coverage), Overlap> {
    let mut coverage = Coverage { sources: configured.into_iter().map(|name| (name, SourceCoverage::Skipped)).collect() };
    let mut all = Pull::default();
    for (name, pull) in pulls {
        let became = match pull {
            Ok(pull) => {
                let scopes = pull.receipts.iter().map(|(scope, _)| scope.clone()).collect();
                let became = SourceCoverage::Read { exhaustive: pull.exhaustive, scopes };
                add(&mut all, pull, &name).map_err(|overlap| by_configured_names(overlap, &name, &coverage))?;
                became
            }
            Err(error) => SourceCoverage::Failed { outcome: error.outcome(), error: error.to_string() },
        };
        coverage.sources.insert(name, became);
    }
    all.exhaustive = coverage.is_exhaustive();
    Ok((all, coverage))
}

/// An overlap in the words of the configuration: a receipt in a file names the source that listed it once, not the one that reads the file.
fn by_configured_names(overlap: Overlap, second: &SourceName, coverage: &Coverage) -> Overlap {
    let alike = |scope: &Scope| Scope { region: overlap.scope.region.clone(), ..scope.clone() } == overlap.scope;
    let clashes =
        |scope: &Scope| alike(scope) && (scope.region == overlap.scope.region || scope.region.is_any() || overlap.scope.region.is_any());
    let reads = |became: &SourceCoverage| matches!(became, SourceCoverage::Read { scopes, .. } if scopes.iter().any(clashes));
    let first = coverage.sources.iter().find(|(_, became)| reads(became)).map(|(name, _)| name.clone());
    Overlap { first_source: first.unwrap_or_else(|| overlap.first_source.clone()), second_source: second.clone(), scope: overlap.scope }
}

fn add(all: &mut Pull, pull: Pull, name: &SourceName) -> Result<(), Overlap> {
    for (scope, receipt) in pull.receipts.iter() {
        all.receipts.add(scope.clone(), receipt.clone())?;
    }
    all.remarks.extend(pull.remarks);
    all.unread.extend(pull.unread);
    all.unread_edges.extend(pull.unread_edges);
    all.off.extend(pull.off);
    if all.resources.is_empty() && all.relations.is_empty() {
        all.resources = pull.resources;
        all.relations = pull.relations;
        return Ok(());
    }
    for (key, resource) in pull.resources {
        match all.resources.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(resource);
            }
            Entry::Occupied(entry) => {
                let text = format!("source `{name}` shows it as well; the first source by name is taken");
                all.remarks.push(Remark { subject: entry.key().to_string(), text });
            }
        }
    }
    for (id, relation) in pull.relations {
        all.relations.entry(id).or_insert(relation);
    }
    Ok(())
}
