//! Inventories for tests, built by hand so that each test shows what it rests on.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

pub const ACCOUNT: &str = "123456789012";
pub const REGION: &str = "eu-west-1";

/// An inventory in the making. Scopes are complete unless said otherwise, and counts are filled in.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    resources: Vec<Value>,
    relations: Vec<Value>,
    receipts: BTreeMap<(String, String, String), String>,
}

/// Key of an AWS resource in [`ACCOUNT`] and [`REGION`].
pub fn key(kind: &str, native_id: &str) -> String {
    format!("aws:arn:aws:ec2:{REGION}:{ACCOUNT}:{}/{native_id}", kind.replace('_', "-"))
}

pub fn instance_key(native_id: &str) -> String {
    key("instance", native_id)
}

impl Inventory {
    /// Nothing, with complete receipts for instances and security groups.
    pub fn new() -> Self {
        Self::default().scope("instance", "complete").scope("security_group", "complete")
    }

    /// Sets how the listing of a kind in [`REGION`] ended.
    pub fn scope(self, kind: &str, outcome: &str) -> Self {
        self.scope_in(REGION, kind, outcome)
    }

    pub fn scope_in(mut self, region: &str, kind: &str, outcome: &str) -> Self {
        self.receipts.insert((ACCOUNT.to_owned(), region.to_owned(), kind.to_owned()), outcome.to_owned());
        self
    }

    /// Takes a receipt away.
    pub fn without_scope(mut self, kind: &str) -> Self {
        self.receipts.retain(|(_, _, other), _| other != kind);
        self
    }

    /// A running instance, born long ago, with these fields laid over it.
    pub fn instance(self, native_id: &str, over: Value) -> Self {
        self.resource("instance", native_id, json!({ "state": "running", "attributes": { "size": "t3.micro" } }), over)
    }

    /// `n` running instances `i-000…`.
    pub fn instances(self, n: usize) -> Self {
        (0..n).fold(self, |inventory, i| inventory.instance(&format!("i-{i:04}"), json!({})))
    }

    pub fn group(self, native_id: &str, over: Value) -> Self {
        self.resource("security_group", native_id, json!({ "attributes": { "rules": [] } }), over)
    }

    /// A resource of any kind, with these fields laid over it.
    pub fn resource(mut self, kind: &str, native_id: &str, base: Value, over: Value) -> Self {
        let mut resource = json!({
            "key": key(kind, native_id), "kind": kind, "provider": "aws", "native_id": native_id, "account": ACCOUNT, "region": REGION,
            "name": native_id, "tags": {}, "created_at": "2026-01-01T00:00:00Z", "observed_at": "2026-02-01T00:00:00Z",
        });
        merge(&mut resource, base);
        merge(&mut resource, over);
        self.resources.push(resource);
        self
    }

    /// Any resource, as it is.
    pub fn raw(mut self, resource: Value) -> Self {
        self.resources.push(resource);
        self
    }

    pub fn relation(self, relation: &str, from: &str, to: &str) -> Self {
        self.relation_with(relation, from, to, &json!({}))
    }

    pub fn relation_with(mut self, relation: &str, from: &str, to: &str, attributes: &Value) -> Self {
        self.relations.push(json!({ "type": relation, "from": from, "to": to, "attributes": attributes }));
        self
    }

    /// Without the resources of these native ids, and without edges that start there.
    pub fn without(mut self, native_ids: &[&str]) -> Self {
        let gone = |id: &str| native_ids.contains(&id);
        self.resources.retain(|resource| !gone(resource["native_id"].as_str().unwrap()));
        self.relations.retain(|relation| !native_ids.iter().any(|id| relation["from"].as_str().unwrap().ends_with(&format!("/{id}"))));
        self
    }

    pub fn value(&self) -> Value {
        let count = |region: &str, kind: &str| self.resources.iter().filter(|r| r["region"] == region && r["kind"] == kind).count();
        let receipts: Vec<Value> = self
            .receipts
            .iter()
            .map(|((account, region, kind), outcome)| {
                let mut receipt = json!({ "source": "estate", "provider": "aws", "account": account, "region": region, "kind": kind, "outcome": outcome });
                if outcome == "complete" {
                    receipt["count"] = json!(count(region, kind));
                }
                receipt
            })
            .collect();
        json!({ "schema_version": 1, "taken_at": "2026-02-01T00:00:00Z", "receipts": receipts, "resources": self.resources, "relations": self.relations })
    }
}

impl fmt::Display for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.value())
    }
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
