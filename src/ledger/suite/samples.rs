//! Small, invented values.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::estate::{Disposition, Estate, Fence, FieldChange, Known, KnownEdge, KnownScope, Stage};
use crate::ledger::{Answer, Lease, Leasing, Ledger, RunId};
use crate::model::{Digest, EdgeId, Key, Kind, Outcome, Provider, Receipt, RelationType, Resource, Scope, TargetName};
use crate::plan::{Change, ChangeKind, Counted, FieldState, Reason, Tally};
use crate::target::RecordId;

pub(super) const TTL: std::time::Duration = std::time::Duration::from_secs(30);

/// 2026-01-02 and so many seconds.
pub(super) fn at(seconds: i64) -> Timestamp {
    "2026-01-02T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

pub(crate) fn run() -> RunId {
    RunId("run-1".to_owned())
}

pub(crate) fn target() -> TargetName {
    "cmdb".parse().unwrap()
}

pub(super) fn key(n: u32) -> Key {
    Key::aws(&format!("arn:aws:ec2:eu-west-1:123456789012:instance/i-{n:04x}")).unwrap()
}

pub(super) fn digest(n: u32) -> Digest {
    Digest::of_json(&n).unwrap()
}

pub(super) fn resource(n: u32) -> Resource {
    Resource {
        key: key(n),
        kind: Kind::Instance,
        provider: Provider::Aws,
        native_id: format!("i-{n:04x}"),
        account: "123456789012".parse().unwrap(),
        region: "eu-west-1".parse().unwrap(),
        name: Some(format!("web-{n}")),
        state: Some("running".to_owned()),
        tags: BTreeMap::new(),
        created_at: None,
        observed_at: None,
        attributes: BTreeMap::new(),
        derived: false,
        extra: serde_json::Map::new(),
    }
}

pub(super) fn known(resource: Resource, fence: i64, seen: Timestamp) -> Known {
    Known {
        digest: resource.digest().unwrap(),
        resource: resource.into(),
        fence: Fence(fence),
        news_fence: Fence(fence),
        first_seen: seen,
        last_seen: seen,
        missing: 0,
        disposition: Disposition::Record,
        disposition_since: seen,
        stage: Stage::Active,
        stage_since: seen,
        end: None,
        life_since: seen,
        state_since: seen,
        flag: None,
        recovered: false,
    }
}

pub(super) fn edge(from: u32, to: u32) -> EdgeId {
    EdgeId { from: key(from), relation: RelationType::ProtectedBy, to: key(to) }
}

pub(super) fn known_edge(fence: i64) -> KnownEdge {
    KnownEdge { attributes: BTreeMap::new(), derived: false, extra: serde_json::Map::new(), fence: Fence(fence) }
}

pub(super) fn scope(region: &str) -> Scope {
    Scope { provider: Provider::Aws, account: "123456789012".parse().unwrap(), region: region.parse().unwrap(), kind: Kind::Instance }
}

pub(super) fn known_scope(fence: i64, seen: Timestamp) -> KnownScope {
    let source: crate::model::SourceName = "aws".parse().unwrap();
    KnownScope {
        receipt: Receipt {
            source: source.clone(),
            outcome: Outcome::Complete,
            count: Some(2),
            error: None,
            extra: [("batch".to_owned(), serde_json::json!(7))].into_iter().collect(),
        },
        source,
        fence: Fence(fence),
        at: seen,
        complete_at: Some(seen),
        complete_fence: Fence(fence),
        accepted: None,
        retire: false,
        emptied: false,
    }
}

/// An estate of these resources, all to be written.
pub(super) fn estate(resources: impl IntoIterator<Item = Known>) -> Estate {
    let mut estate = Estate::default();
    for known in resources {
        estate.dirty.resources.insert(known.resource.key.clone());
        estate.resources.insert(known.resource.key.clone(), known);
    }
    estate
}

pub(crate) fn change(n: u32, kind: ChangeKind) -> Change {
    let field = FieldChange { from: json!(null), to: json!(format!("web-{n}")) };
    Change {
        id: Digest::of_json(&(n, kind)).unwrap(),
        target: target(),
        key: key(n),
        kind: Kind::Instance,
        account: "123456789012".parse().unwrap(),
        class: "vm".to_owned(),
        change: kind,
        fields: [("name".to_owned(), field)].into(),
        relation: None,
        record: None,
        revision: 0,
        fence: Fence(7),
        identifying: false,
        people: std::collections::BTreeSet::new(),
        recreates: false,
        contributed: false,
        gives_way_to: std::collections::BTreeSet::new(),
        reason: Reason { rule: "default".to_owned(), text: "it is there".to_owned() },
        basis: digest(n),
    }
}

pub(super) fn edge_change(from: u32, to: u32, kind: ChangeKind) -> Change {
    Change {
        id: Digest::of_json(&(from, to, kind)).unwrap(),
        relation: Some(edge(from, to)),
        fields: BTreeMap::new(),
        ..change(from, kind)
    }
}

pub(super) fn tally(change: &Change, at: Timestamp) -> Tally {
    Tally { change: Counted::Retire, id: change.id, kind: change.kind, account: change.account.clone(), at }
}

pub(super) fn fields(value: &str) -> BTreeMap<String, FieldState> {
    let state = FieldState::delivered(json!(value), false);
    // Emptied by us: not the same as never written.
    let emptied = FieldState { echoed: Some(json!(null)), rests: true, ..FieldState::delivered(json!(null), false) };
    [("name".to_owned(), state), ("owner".to_owned(), emptied)].into()
}

pub(super) fn done(n: u32) -> Answer {
    Answer::Done { record: RecordId(format!("rec-{n}")), class: "vm".to_owned(), fields: Some(fields("web")), contributed: false }
}

pub(super) fn failed(attempts: u32, parked: bool) -> Answer {
    Answer::Failed { error: "the name is taken".to_owned(), attempts, next_try_at: Some(at(60)), parked, answered: true }
}

pub(super) async fn lease(ledger: &dyn Ledger, holder: &str, now: Timestamp) -> Lease {
    match ledger.acquire_lease(&target(), holder, TTL, now).await.unwrap() {
        Leasing::Granted(lease) => lease,
        Leasing::Held { holder, .. } => panic!("the lease is with {holder}"),
    }
}

/// Sends changes and writes their answers.
pub(super) async fn deliver(ledger: &dyn Ledger, lease: &Lease, answers: Vec<(Change, Answer)>, now: Timestamp) {
    let changes: Vec<Change> = answers.iter().map(|(change, _)| change.clone()).collect();
    ledger.begin_batch(lease, &run(), &changes, &[], now).await.unwrap();
    let sent = ledger.in_flight(&target()).await.unwrap();
    let answers: Vec<_> = sent.into_iter().zip(answers.into_iter().map(|(_, answer)| answer)).collect();
    ledger.finish_batch(lease, &run(), &answers, now).await.unwrap();
}
