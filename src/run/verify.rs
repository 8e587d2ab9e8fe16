//! `plan --verify`: what the targets themselves say that they would do, beside what is planned.

use std::collections::BTreeMap;
use std::time::Instant;

use super::report::{DifferenceDocument, Problem, Verified};
use super::{Context, Ended, Stand, about, stand::Standing};
use crate::deliver::{Difference, Rehearsal, Rehearsed};
use crate::estate::EstateId;
use crate::exit::Exit;
use crate::model::{Key, TargetName};
use crate::plan::Change;
use crate::source::Remark;

/// What became of the question to one target; `None` where it has no interface for it.
pub(super) type Answers = BTreeMap<TargetName, Option<Rehearsed>>;

/// Asks every target about its part of a plan. Nothing is sent to be done.
pub(super) async fn verify(
    context: &Context<'_>,
    stand: &Stand,
    standings: &mut [Standing<'_>],
    own: &EstateId,
    changes: &[Change],
) -> Answers {
    let mut by_target: BTreeMap<TargetName, Vec<Change>> = BTreeMap::new();
    for change in changes {
        by_target.entry(change.target.clone()).or_default().push(change.clone());
    }
    let asked = standings.iter_mut().map(|standing| {
        let name = standing.ready.configured.name.clone();
        let changes = by_target.remove(&name).unwrap_or_default();
        async move {
            let state = standing.take_state();
            let hosts = about::Hosts::of(&stand.estate, standing.ready.target.as_ref());
            let about = |key: &Key| hosts.about(&stand.estate, key);
            let rehearsal = Rehearsal {
                target: standing.ready.target.as_ref(),
                estate: standing.ready.row.estate.as_ref().unwrap_or(own),
                at: context.at(),
                deadline: Instant::now() + standing.ready.configured.deadline,
                about: &about,
            };
            (name, rehearsal.rehearse(&changes, state).await)
        }
    });
    futures::future::join_all(asked).await.into_iter().collect()
}

/// Puts the answers beside the plan. Where a target would do something else, the plan is not to be relied on.
pub(super) fn note(ended: &mut Ended, answers: Answers) {
    for (name, rehearsed) in answers {
        let Some(Rehearsed { agreed, unasked, differences, stopped }) = rehearsed else {
            let text = "it cannot be asked what it would do: the plan stands as Dewpoint sees it".to_owned();
            ended.report.remarks.push(Remark { subject: name.to_string(), text });
            continue;
        };
        if !differences.is_empty() || stopped.is_some() {
            ended.exits.insert(Exit::Partly);
        }
        if let Some(error) = stopped {
            let text = format!("{error}; the plan was verified in part only");
            ended.report.problems.push(Problem { subject: name.to_string(), text, hint: error.hint() });
        }
        let differences = differences.into_iter().map(|Difference { key, relation, change, foreseen }| DifferenceDocument {
            key,
            relation,
            planned: change,
            would: foreseen.would,
            record: foreseen.record,
            text: foreseen.text,
        });
        ended.report.verified.insert(name, Verified { agreed, unasked, differences: differences.collect() });
    }
}
