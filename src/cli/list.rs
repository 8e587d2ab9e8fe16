//! `dewpoint list`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::args::ListArgs;
use super::output::CommandError;
use super::{App, kinds, ledger_error, table};
use crate::estate::{Disposition, Known, Stage};
use crate::model::{Key, Kind};
use crate::told;

#[derive(Serialize)]
struct Document {
    cis: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    key: Key,
    kind: Kind,
    name: Option<String>,
    stage: Stage,
    disposition: Disposition,
}

impl App {
    /// Lists CIs that fit every filter, sorted by kind and key.
    pub(super) async fn list(&self, args: ListArgs) -> Result<(), CommandError> {
        let (_, ledger) = self.reading().await?;
        let recorded = ledger.recorded().await.map_err(ledger_error)?;
        // What waits for its age, is folded or ignored is no CI; asked for by its stage, it is listed all the same.
        let is_ci = |key: &Key, known: &Known| {
            known.disposition == Disposition::Record || recorded.contains(key) || args.stage.contains(&known.stage)
        };
        let estate = ledger.load_estate().await.map_err(ledger_error)?.estate;
        let nothing_known = estate.resources.is_empty();
        let mut cis: Vec<Line> = estate
            .resources
            .into_iter()
            .filter(|(key, known)| fits(known, &args) && is_ci(key, known))
            .map(|(key, known)| Line {
                key,
                kind: known.resource.kind,
                name: known.resource.name.clone(),
                stage: known.stage,
                disposition: known.disposition,
            })
            .collect();
        cis.sort_by(|a, b| (a.kind, &a.key).cmp(&(b.kind, &b.key)));
        let document = Document { cis };
        self.output.answer(&document, || match nothing_known {
            true => "nothing is known yet: `dewpoint sync` reads the sources".to_owned(),
            false => text(&document.cis),
        })
    }
}

fn fits(known: &Known, args: &ListArgs) -> bool {
    let resource = &known.resource;
    (args.kind.is_empty() || args.kind.contains(&resource.kind))
        && (args.stage.is_empty() || args.stage.contains(&known.stage))
        && (args.account.is_empty() || args.account.iter().any(|account| account == resource.account.as_str()))
        && args.tag.iter().all(|wanted| match wanted.split_once('=') {
            Some((key, value)) => resource.tags.get(key).is_some_and(|have| have == value),
            None => resource.tags.contains_key(wanted),
        })
}

fn text(cis: &[Line]) -> String {
    let mut rows = vec![["KIND", "STAGE", "DISPOSITION", "NAME", "KEY"].map(str::to_owned).to_vec()];
    rows.extend(cis.iter().map(|line| {
        let name = told::printable(line.name.as_deref().unwrap_or("-")).into_owned();
        vec![line.kind.to_string(), line.stage.to_string(), line.disposition.to_string(), name, line.key.to_string()]
    }));
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    for line in cis {
        *counts.entry(line.kind).or_default() += 1;
    }
    let summary: Vec<String> = counts.into_iter().map(|(kind, count)| format!("{count} {}", kinds(kind, count))).collect();
    match summary.is_empty() {
        true => "nothing is known that fits\n".to_owned(),
        false => format!("{}\n{}\n", table(&rows), summary.join(", ")),
    }
}
