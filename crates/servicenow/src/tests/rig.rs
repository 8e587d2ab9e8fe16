//! An instance with the target that writes to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dewpoint_core::estate::{EstateId, Stage};
use dewpoint_core::model::{Attributes, EdgeId, Key, Kind, Provider, RelationType};
use dewpoint_core::target::{
    Addressed, Adopt, Ci, Delivered, End, FoundRecord, Host, Identity, Operation, Place, RecordId, Sending, Target, TargetError, Write,
};
use dewpoint_servicenow_sim::{Instance, Sim};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::{Auth, BaseUrl, Connection, Mapping, NoMeter, Plaintext, Proxies, Rate, ServiceNowConfig, ServiceNowTarget, SystemClock};

pub(super) const ACCOUNT: &str = "123456789012";
pub(super) const REGION: &str = "eu-west-1";

pub(super) struct Rig {
    pub(super) sim: Sim,
    pub(super) target: ServiceNowTarget,
}

/// The machine's clock, but nobody waits by it: pauses between attempts take no time.
#[derive(Debug)]
struct Hurried(SystemClock);

#[async_trait::async_trait]
impl crate::Clock for Hurried {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
    async fn sleep(&self, _: Duration) {
        tokio::task::yield_now().await;
    }
}

pub(super) fn config(sim: &Sim) -> ServiceNowConfig {
    ServiceNowConfig {
        connection: Connection {
            target: "snow".parse().unwrap(),
            timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(600),
            ca_pem: None,
            proxies: Proxies::default(),
            meter: Arc::new(NoMeter),
            clock: Arc::new(Hurried(SystemClock::new())),
        },
        url: BaseUrl::parse(&sim.url(), Plaintext::Loopback).unwrap(),
        auth: Auth::Basic { username: "integration".to_owned(), password: SecretString::from("integration-password") },
        discovery_source: "Dewpoint".to_owned(),
        mapping: Arc::new(Mapping::standard().unwrap()),
        authority: BTreeMap::new(),
        adopt: Adopt::Never,
        batch_size: 200,
        rate: Rate::per_second(1000.0),
    }
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::over(Instance::new().with_data_source("Dewpoint"))
    }

    pub(super) fn over(instance: Instance) -> Self {
        let sim = Sim::start(instance).unwrap();
        let target = ServiceNowTarget::new(&config(&sim)).unwrap();
        Self { sim, target }
    }

    /// The same instance as another process sees it.
    pub(super) fn anew(&mut self) {
        self.target = ServiceNowTarget::new(&config(&self.sim)).unwrap();
    }

    pub(super) async fn try_send(&self, second: i64, batch: &[Write]) -> Result<Vec<Result<Delivered, TargetError>>, TargetError> {
        self.send_as("ours", second, batch).await
    }

    pub(super) async fn send_as(
        &self,
        who: &str,
        second: i64,
        batch: &[Write],
    ) -> Result<Vec<Result<Delivered, TargetError>>, TargetError> {
        let estate = EstateId(who.to_owned());
        let sending = Sending { estate: &estate, at: at(second), deadline: Instant::now() + Duration::from_secs(60) };
        let answers = self.target.apply(batch, &sending).await?;
        assert_eq!(answers.len(), batch.len(), "one answer for each write");
        Ok(answers)
    }

    /// Sends what must go through, and gives the records written.
    pub(super) async fn send(&self, second: i64, batch: &[Write]) -> Vec<RecordId> {
        let answers = self.try_send(second, batch).await.unwrap();
        answers.into_iter().map(|answer| answer.unwrap().record).collect()
    }

    pub(super) async fn find(&self, ci: &Ci) -> Vec<FoundRecord> {
        self.target.find(&[identity(ci)]).await.remove(&ci.key).expect("an answer for each identity").unwrap()
    }

    pub(super) async fn read_all(&self) -> Vec<FoundRecord> {
        let mut records = Vec::new();
        let mut after = None;
        loop {
            let page = self.target.read(after.as_deref()).await.unwrap();
            records.extend(page.records);
            match page.next {
                Some(next) => after = Some(next),
                None => return records,
            }
        }
    }

    /// The desired fields of a CI.
    pub(super) fn fields(&self, ci: &Ci) -> (String, BTreeMap<String, Value>) {
        let adapted = self.target.adapt(ci).expect("the kind has a class");
        (adapted.class, adapted.fields.into_iter().map(|(name, field)| (name, field.value)).collect())
    }

    pub(super) fn create(&self, ci: &Ci) -> Write {
        self.create_beside(ci, Vec::new())
    }

    pub(super) fn create_beside(&self, ci: &Ci, hosts: Vec<Host>) -> Write {
        let (class, fields) = self.fields(ci);
        let operation = Operation::Create { class, native_id: ci.native_id.clone(), fields };
        Write { key: ci.key.clone(), kind: ci.kind, place: Place { hosts, ..place(ci) }, operation }
    }

    pub(super) fn update(&self, ci: &Ci, record: &RecordId, retired: Option<bool>, fields: &[(&str, Value)]) -> Write {
        let (class, _) = self.fields(ci);
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let operation = Operation::Update { record: ours(ci, record), class, fields, before: BTreeMap::new(), retired, take_over: false };
        Write { key: ci.key.clone(), kind: ci.kind, place: place(ci), operation }
    }

    pub(super) fn take_over(&self, ci: &Ci, record: &RecordId) -> Write {
        let (class, fields) = self.fields(ci);
        let record = Addressed { record: record.clone(), carries: None };
        let operation = Operation::Update { record, class, fields, before: BTreeMap::new(), retired: None, take_over: true };
        Write { key: ci.key.clone(), kind: ci.kind, place: place(ci), operation }
    }

    /// Rows of a table as (column, value) of the named columns, in order.
    pub(super) fn rows(&self, table: &str, query: &str, columns: &[&str]) -> Vec<Vec<String>> {
        let mut rows: Vec<Vec<String>> = self
            .sim
            .rows(table, query)
            .into_iter()
            .map(|(_, row)| columns.iter().map(|column| row.values.get(*column).cloned().unwrap_or_default()).collect())
            .collect();
        rows.sort();
        rows
    }

    /// All relations, as (parent's name, type, child's name).
    pub(super) fn relations(&self) -> Vec<(String, String, String)> {
        let name = |id: &str, table: &str| {
            let rows = self.sim.rows(table, &format!("sys_id={id}"));
            rows.first().and_then(|(_, row)| row.values.get("name").cloned()).unwrap_or_else(|| format!("? {id}"))
        };
        let mut relations: Vec<(String, String, String)> = self
            .sim
            .rows("cmdb_rel_ci", "")
            .into_iter()
            .map(|(_, row)| {
                let value = |column: &str| row.values.get(column).cloned().unwrap_or_default();
                (name(&value("parent"), "cmdb_ci"), name(&value("type"), "cmdb_rel_type"), name(&value("child"), "cmdb_ci"))
            })
            .collect();
        relations.sort();
        relations
    }
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000 + second).unwrap()
}

pub(super) fn place(ci: &Ci) -> Place {
    Place { account: ci.account.clone(), region: ci.region.clone(), seen_at: None, hosts: Vec::new() }
}

pub(super) fn identity(ci: &Ci) -> Identity {
    Identity {
        key: ci.key.clone(),
        kind: ci.kind,
        native_id: ci.native_id.clone(),
        name: ci.name.clone(),
        account: ci.account.clone(),
        region: ci.region.clone(),
        record: None,
    }
}

pub(super) fn ours(ci: &Ci, record: &RecordId) -> Addressed {
    Addressed { record: record.clone(), carries: Some(ci.key.clone()) }
}

/// A machine.
pub(super) fn machine(number: usize) -> Ci {
    let native_id = format!("i-{number:04}");
    Ci {
        key: Key::aws(&format!("arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{native_id}")).unwrap(),
        kind: Kind::Instance,
        provider: Provider::Aws,
        account: ACCOUNT.parse().unwrap(),
        region: REGION.parse().unwrap(),
        native_id,
        name: format!("web-{number}"),
        state: Some("running".to_owned()),
        stage: Stage::Active,
        attributes: attributes(&json!({"size": "t3.micro", "vcpus": 2, "memory_mib": 1024, "private_addresses": ["10.0.0.5"]})),
        tags: [("env".to_owned(), "prod".to_owned())].into(),
        created_at: None,
        attached: None,
    }
}

/// Anything else.
pub(super) fn thing(kind: Kind, path: &str, native_id: &str, of: &Value) -> Ci {
    let key = Key::aws(&format!(
        "arn:aws:{}:{REGION}:{ACCOUNT}:{path}",
        if path.contains("oadbalanc") || path.contains("targetgroup") { "elasticloadbalancing" } else { "ec2" }
    ));
    Ci {
        key: key.unwrap(),
        kind,
        native_id: native_id.to_owned(),
        name: native_id.to_owned(),
        state: None,
        attributes: attributes(of),
        tags: BTreeMap::new(),
        ..machine(0)
    }
}

pub(super) fn attributes(of: &Value) -> Attributes {
    of.as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

pub(super) fn edge(from: &Ci, relation: RelationType, to: &Ci) -> EdgeId {
    EdgeId { from: from.key.clone(), relation, to: to.key.clone() }
}

/// An edge between two records, or between what the batch makes where there is none.
pub(super) fn relate(
    (from, from_record): (&Ci, Option<&RecordId>),
    relation: RelationType,
    (to, to_record): (&Ci, Option<&RecordId>),
) -> Write {
    let end = |ci: &Ci, record: Option<&RecordId>| record.map_or_else(|| End::Made(ci.key.clone()), |record| End::Stands(ours(ci, record)));
    let operation = Operation::Relate {
        edge: edge(from, relation, to),
        from: end(from, from_record),
        to: end(to, to_record),
        to_kind: to.kind,
        attributes: Attributes::new(),
    };
    Write { key: from.key.clone(), kind: from.kind, place: place(from), operation }
}

pub(super) fn unrelate((from, from_record): (&Ci, &RecordId), relation: RelationType, (to, to_record): (&Ci, &RecordId)) -> Write {
    let operation =
        Operation::Unrelate { edge: edge(from, relation, to), from: ours(from, from_record), to: ours(to, to_record), to_kind: to.kind };
    Write { key: from.key.clone(), kind: from.kind, place: place(from), operation }
}

pub(super) fn purge(ci: &Ci, record: &RecordId) -> Write {
    Write { key: ci.key.clone(), kind: ci.kind, place: place(ci), operation: Operation::Purge { record: ours(ci, record) } }
}
