//! What became of changes that were sent and never answered: their run was killed, or the reply was lost.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::TargetConfig;
use crate::deliver::{self, HeldLease};
use crate::estate::EstateId;
use crate::exit::Exit;
use crate::ledger::Answer;
use crate::model::{Key, Region};
use crate::plan::{self, Change, ChangeKind, FieldState};
use crate::target::{FoundRecord, Identity, Target};

use super::Context;
use super::ready::{NotReady, Trouble};

/// Looks up the records of changes that are in flight, before anything is planned, and takes what it finds for their answer.
///
/// Nothing is sent again from here: the world may have moved on since, even back, and then the ledger must not believe in a record that
/// is as it was before. Where a look-up cannot tell (edges, and values that a target shows in a form of its own), the row says that
/// nobody knows, and the plan writes what is wanted now.
pub(super) async fn settle(
    context: &Context<'_>,
    configured: &TargetConfig,
    target: &dyn Target,
    lease: &HeldLease,
    estate: &EstateId,
) -> Result<(), Trouble> {
    let in_flight = context.ledger.in_flight(&configured.name).await?;
    if in_flight.is_empty() {
        return Ok(());
    }
    tracing::info!(target.name = %configured.name, changes = in_flight.len(), "Looking up what became of an interrupted run's changes");
    let of_records = || in_flight.iter().map(|sent| &sent.change).filter(|change| change.relation.is_none());
    let identities: Vec<Identity> = of_records()
        .map(|change| Identity {
            key: change.key.clone(),
            kind: change.kind,
            native_id: String::new(),
            account: change.account.clone(),
            region: Region::any(),
        })
        .collect();
    let keys: Vec<Key> = of_records().map(|change| change.key.clone()).collect();
    let before = context.ledger.load_fields(&configured.name, &keys).await?;
    let mut found = BTreeMap::new();
    for (key, answer) in target.find(&identities).await {
        // "Could not look" is not "nothing there": everything stays in flight.
        let records = answer.map_err(|error| Trouble::Target(NotReady::of_target(configured, &error)))?;
        let own = records.into_iter().find(|record| record.external_id.as_ref() == Some(&key) && record.estate.as_ref() == Some(estate));
        found.insert(key, own);
    }
    let nothing = BTreeMap::new();
    let mut notes = Vec::with_capacity(in_flight.len());
    for sent in in_flight {
        let change = &sent.change;
        let answer = match (&change.relation, found.get(&change.key)) {
            (Some(_), _) => Answer::Unknown { fields: None },
            (None, Some(record)) => answer(change, record.as_ref(), before.get(&change.key).unwrap_or(&nothing)),
            (None, None) => {
                let text = "the target gave no answer about a record to which a change may have arrived".to_owned();
                return Err(Trouble::Target(NotReady::new(configured, Exit::Partly, text, Some("run again later".to_owned()))));
            }
        };
        notes.push((sent, answer));
    }
    context.ledger.finish_batch(lease.lease(), &context.run, &notes, context.at()).await?;
    Ok(())
}

/// What the record as it is found says of a change to it.
fn answer(change: &Change, found: Option<&FoundRecord>, before: &BTreeMap<String, FieldState>) -> Answer {
    let done = |record: &FoundRecord| Answer::Done {
        record: record.id.clone(),
        class: record.class.clone(),
        fields: Some(deliver::fields_after(before, change, Some(&record.fields))),
        contributed: change.contributed,
    };
    let unknown = |shown| Answer::Unknown { fields: Some(plan::unsure_fields(before, change, shown)) };
    match (change.change, found) {
        (ChangeKind::Create | ChangeKind::Adopt, Some(record)) => done(record),
        (ChangeKind::Retire, Some(record)) if record.retired => done(record),
        (ChangeKind::Revive, Some(record)) if !record.retired => done(record),
        (ChangeKind::Update, Some(record)) if shows(record, change) => done(record),
        (ChangeKind::Update, Some(record)) => unknown(Some(&record.fields)),
        // A stranger's record to which we contribute does not carry our key.
        (ChangeKind::Update, None) => unknown(None),
        (ChangeKind::Purge, None) => match &change.record {
            Some(record) => Answer::Done { record: record.clone(), class: change.class.clone(), fields: None, contributed: false },
            None => Answer::NotSent,
        },
        (ChangeKind::Create | ChangeKind::Adopt | ChangeKind::Retire | ChangeKind::Revive, _) => Answer::NotSent,
        (ChangeKind::Purge | ChangeKind::Relate | ChangeKind::Unrelate, _) => Answer::NotSent,
    }
}

fn shows(record: &FoundRecord, change: &Change) -> bool {
    change.fields.iter().all(|(name, field)| record.fields.get(name).unwrap_or(&Value::Null) == &field.to)
}
