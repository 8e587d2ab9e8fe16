//! Asking the engine before it is told: of whole batches, and of creates that it could take for what stands there.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::model::Key;
use dewpoint_core::target::{Foreseen, Identity, Operation, RecordId, TargetError, Would};
use jiff::SignedDuration;
use serde_json::Value;

use super::Batch;
use crate::ire::{self, Outcome, Report};
use crate::mapping::TAGS;
use crate::payload::{Draft, Place};
use crate::rules::{Criteria, Facts};

/// How long an answer about whose records stand there holds. Large plans are sent for longer.
const ASKED_LATELY: SignedDuration = SignedDuration::from_mins(1);

impl Batch<'_> {
    /// Asks once more for strangers' records, of creates that were not asked about lately: the engine would take them for ours.
    pub(super) async fn find_again(&mut self) -> Result<(), TargetError> {
        let now = self.reader.api.caller.clock().now();
        let mut open: BTreeMap<Key, usize> = BTreeMap::new();
        let mut stale: Vec<Identity> = Vec::new();
        for (number, write) in self.writes.iter().enumerate() {
            let Operation::Create { native_id, fields, .. } = &write.operation else { continue };
            if !self.is_open(number) || self.standing(&write.key).is_some() {
                continue;
            }
            if open.insert(write.key.clone(), number).is_none()
                && self.reader.book.asked(&write.key).is_none_or(|(at, _)| now.duration_since(at) >= ASKED_LATELY)
            {
                let (account, region) = (write.place.account.clone(), write.place.region.clone());
                let name = fields.get("name").and_then(Value::as_str).unwrap_or(native_id).to_owned();
                stale.push(Identity {
                    key: write.key.clone(),
                    kind: write.kind,
                    native_id: native_id.clone(),
                    name,
                    account,
                    region,
                    record: None,
                });
            }
        }
        if !stale.is_empty() {
            for (key, records) in self.reader.find(&stale).await? {
                if let (Err(error), Some(number)) = (records, open.get(&key)) {
                    self.answer(*number, Err(error));
                }
            }
        }
        for (key, number) in open {
            if let (true, Some((_, Some(stranger)))) = (self.is_open(number), self.reader.book.asked(&key)) {
                let text = format!(
                    "record {} stands there by now, and somebody else made it: the instance keeps one record for an id, so set `adopt`, or have one of the two removed",
                    stranger.0
                );
                self.reject(number, text);
            }
        }
        Ok(())
    }

    /// Asks what the instance would do with it all, as far as its engine can be asked: nothing is committed.
    pub(crate) async fn foresee(mut self) -> Result<Vec<Option<Foreseen>>, TargetError> {
        self.foreseen = Some(vec![None; self.writes.len()]);
        self.ask().await?;
        self.check();
        self.ask_others().await?;
        self.reconcile().await?;
        let refused = |error: TargetError| match error {
            TargetError::Rejected { text, .. } => Some(Foreseen { would: Would::Refuse, record: None, text: Some(text) }),
            _ => None,
        };
        let foreseen = self.foreseen.into_iter().flatten().zip(self.answers);
        Ok(foreseen.map(|(foreseen, answer)| foreseen.or_else(|| refused(answer?.err()?))).collect())
    }

    /// What the instance makes of the classes that are written to.
    pub(super) async fn facts(&self) -> Result<Facts, TargetError> {
        let mut classes = BTreeMap::new();
        for (_, write) in self.writes.iter().enumerate().filter(|(number, _)| self.is_open(*number)) {
            if let Some(class) = self.class_written(write) {
                classes.insert(class, write.kind);
            }
        }
        self.learnt.rules.facts(self.reader.api, self.reader.mapping, classes).await
    }

    /// Refuses creates that the instance would take for what stands there, or for one another. Says whether there are any.
    pub(super) async fn refuse_mistaken(&mut self, draft: &Draft, facts: &Facts, report: &Report) -> Result<bool, TargetError> {
        let mut met: Vec<(usize, RecordId)> = Vec::new();
        let mut texts: Vec<(usize, String)> = Vec::new();
        let mut twins: BTreeMap<(&str, &Criteria, Vec<&str>), Vec<usize>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (number, place) in &draft.written {
            let Place::Item(place) = *place else { continue };
            let Some(item) = draft.payload.items.get(place).filter(|item| item.is_new() && seen.insert(place)) else { continue };
            if let Some(Ok((ire::Operation::Update | ire::Operation::NoChange, Some(record)))) = report.item(place).map(Outcome::would) {
                met.push((*number, RecordId(record.to_owned())));
            }
            // The engine works through a payload item by item, and what it does not commit it cannot meet again.
            for criteria in facts.own_rules(&item.class_name).into_iter().flatten() {
                let values: Option<Vec<&str>> = criteria.iter().map(|column| item.values.get(column).map(String::as_str)).collect();
                if let Some(values) = values.filter(|values| values.iter().all(|value| !value.is_empty())) {
                    twins.entry((item.class_name.as_str(), criteria, values)).or_default().push(*number);
                }
            }
        }
        let key = |number: &usize| self.writes.get(*number).map(|write| write.key.to_string());
        for ((_, criteria, _), numbers) in &twins {
            for number in numbers.iter().filter(|_| numbers.len() > 1) {
                let others: Vec<String> = numbers.iter().filter(|other| *other != number).filter_map(key).collect();
                texts.push((*number, format!("the same as {}, which has the same {}", others.join(", "), criteria.join(" and "))));
            }
        }
        self.reader.ask_marks(met.iter().map(|(_, record)| record)).await?;
        for (number, record) in met {
            let Some(write) = self.writes.get(number) else { continue };
            match self.reader.book.mark(&record) {
                Some(mark) if mark.key == write.key && mark.estate == *self.sending.estate => {}
                Some(mark) => texts.push((number, format!("record {}, which stands for {}", record.0, mark.key))),
                None => texts.push((number, format!("record {}, which somebody else made", record.0))),
            }
        }
        let is_any = !texts.is_empty();
        for (number, text) in texts {
            let class = self.writes.get(number).map(|write| &write.operation);
            let class = if let Some(Operation::Create { class, .. }) = class { class.as_str() } else { "cmdb_ci" };
            self.reject(
                number,
                format!("by its identification rules for `{class}` the instance would take it for {text}: map the kind to a class that `object_id` identifies, or change the rule"),
            );
        }
        Ok(is_any)
    }

    pub(super) fn foresee_one(&self, number: usize, place: Place, report: &Report) -> Option<Foreseen> {
        let (outcome, is_edge) = match place {
            Place::Item(place) => (report.item(place)?, false),
            Place::Relation(place) => (report.relation(place)?, true),
        };
        Some(match outcome.would() {
            // What it waits for is told by that.
            Err(failure) if failure.is_consequence() => return None,
            Err(failure) => Foreseen { would: Would::Refuse, record: None, text: Some(failure.text) },
            Ok((operation, record)) => {
                let record = record.filter(|_| !is_edge).map(|id| RecordId(id.to_owned()));
                let would = match operation {
                    ire::Operation::Insert => Would::Create,
                    ire::Operation::Update => Would::Update,
                    // Tags are rows beside the record: no operation of it tells of them.
                    ire::Operation::NoChange if self.is_more_than_columns(number) => Would::Update,
                    ire::Operation::NoChange => Would::Nothing,
                };
                Foreseen { would, record, text: None }
            }
        })
    }

    /// Whether a write changes what hangs on a record.
    fn is_more_than_columns(&self, number: usize) -> bool {
        match self.writes.get(number).map(|write| &write.operation) {
            Some(Operation::Update { fields, take_over, .. }) => *take_over || fields.contains_key(TAGS),
            _ => false,
        }
    }
}
