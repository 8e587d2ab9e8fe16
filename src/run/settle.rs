//! What became of changes that were sent and never answered: their run was killed, or the reply was lost.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::config::TargetConfig;
use crate::deliver::{self, HeldLease};
use crate::estate::EstateId;
use crate::exit::Exit;
use crate::ledger::{Answer, InFlight};
use crate::model::{Key, Region};
use crate::plan::{self, Change, ChangeKind, FieldState};
use crate::target::{Addressed, FoundRecord, Identity, Operation, Place, Sending, Target, Write};

use super::Context;
use super::ready::{NotReady, Trouble};

/// Looks up the records of changes that are in flight, before anything is planned, and takes what it finds for their answer.
///
/// Nothing is changed again from here: the world may have moved on since, even back, and then the ledger must not believe in a record that
/// is as it was before. Where a look-up cannot tell (edges, and values that a target shows in a form of its own), the row says that
/// nobody knows, and the plan writes what is wanted now. Only a retirement that shows is brought to its end.
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
            name: String::new(),
            account: change.account.clone(),
            region: Region::any(),
            // It may be known by nothing else: a target may leave people's own id on what was taken over.
            record: change.record.clone(),
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
    let unfinished = finish_retirements(context, configured, target, lease, estate, &in_flight, &found).await?;
    let nothing = BTreeMap::new();
    let mut notes = Vec::with_capacity(in_flight.len());
    for sent in in_flight {
        let change = &sent.change;
        let answer = match (&change.relation, found.get(&change.key)) {
            (Some(_), _) => Answer::Unknown { fields: None },
            (None, _) if unfinished.contains(&change.key) => Answer::NotSent,
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

/// Sends retirements that show once more: a server does them step by step, and one that was cut off in the middle has the mark already, and the edges still.
/// Gives the keys of those that the target refuses now.
async fn finish_retirements(
    context: &Context<'_>,
    configured: &TargetConfig,
    target: &dyn Target,
    lease: &HeldLease,
    estate: &EstateId,
    in_flight: &[InFlight],
    found: &BTreeMap<Key, Option<FoundRecord>>,
) -> Result<BTreeSet<Key>, Trouble> {
    let mut unfinished = BTreeSet::new();
    if target.ends_with_sender() {
        return Ok(unfinished);
    }
    let write = |change: &Change| {
        let record = found.get(&change.key)?.as_ref().filter(|record| record.retired && change.change == ChangeKind::Retire)?;
        let fields = change.fields.iter().map(|(name, field)| (name.clone(), field.to.clone())).collect();
        let operation = Operation::Update {
            record: Addressed { record: record.id.clone(), carries: record.external_id.clone() },
            class: record.class.clone(),
            fields,
            before: BTreeMap::new(),
            retired: Some(true),
            take_over: false,
        };
        let place = Place { account: change.account.clone(), region: Region::any(), seen_at: None, hosts: Vec::new() };
        Some(Write { key: change.key.clone(), kind: change.kind, place, operation })
    };
    let writes: Vec<Write> = in_flight.iter().filter_map(|sent| write(&sent.change)).collect();
    for batch in writes.chunks(target.batch_size().max(1)) {
        let sending = Sending { estate, at: context.at(), deadline: lease.deadline() };
        let answers = target.apply(batch, &sending).await.map_err(|error| Trouble::Target(NotReady::of_target(configured, &error)))?;
        let refused = batch.iter().zip(answers).filter(|(_, answer)| answer.is_err());
        unfinished.extend(refused.map(|(write, _)| write.key.clone()));
    }
    Ok(unfinished)
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
