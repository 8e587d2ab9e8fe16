//! The suite that every target passes.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use dewpoint_core::model::{Kind, RelationType};
use dewpoint_core::target::{RecordId, Target};
use dewpoint_core::testing::contract::{ACCOUNT, Rig, Stranger};
use serde_json::{Value, json};

use super::rig::Rig as Instance;

struct SnowRig(Instance);

impl SnowRig {
    async fn new() -> Self {
        Self(Instance::new())
    }

    /// The record of an account or a datacenter that people keep.
    fn place(&self, table: &str, id: &str, values: &[(&str, &str)], on: Option<&str>) -> String {
        self.0.sim.edit(|instance| {
            let found = instance.find(table, &format!("object_id={id}"));
            let hosted =
                |record: &str| on.is_none_or(|on| !instance.find("cmdb_rel_ci", &format!("parent={record}^child={on}")).is_empty());
            if let Some((record, _)) = found.into_iter().find(|(record, _)| hosted(record)) {
                return record;
            }
            let all: Vec<(&str, &str)> = values.iter().copied().chain([("name", id), ("object_id", id)]).collect();
            let record = instance.insert(table, &all);
            if let (Some(on), Some(kind)) = (on, instance.relation_type("Hosted on::Hosts")) {
                instance.insert("cmdb_rel_ci", &[("parent", &record), ("child", on), ("type", &kind)]);
            }
            record
        })
    }

    fn type_of(&self, name: &str) -> String {
        self.0.sim.edit(|instance| instance.relation_type(name)).unwrap()
    }
}

/// Columns that the instance itself keeps.
const OWN: &[&str] = &[
    "discovery_source",
    "first_discovered",
    "last_discovered",
    "sys_created_by",
    "sys_created_on",
    "sys_mod_count",
    "sys_updated_by",
    "sys_updated_on",
];

#[async_trait]
impl Rig for SnowRig {
    fn target(&self) -> &dyn Target {
        &self.0.target
    }

    /// An account or a region is told by what the record is hosted on.
    async fn stranger(&self, Stranger { native_id, account, region, kind }: Stranger<'_>) -> RecordId {
        let class = match kind {
            Some(Kind::ScalingGroup) => "cmdb_ci_instance_scale_set",
            _ => "cmdb_ci_vm_instance",
        };
        let record = self.0.sim.edit(|instance| instance.insert(class, &[("name", "kept by hand"), ("object_id", native_id)]));
        if account.is_some() || region.is_some() {
            let account = account.unwrap_or(ACCOUNT);
            let account = self.place("cmdb_ci_cloud_service_account", account, &[("account_id", account), ("datacenter_type", "x")], None);
            let region = region.unwrap_or("eu-west-1");
            let datacenter = self.place("cmdb_ci_aws_datacenter", region, &[("region", region)], Some(&account));
            let kind = self.type_of("Hosted on::Hosts");
            self.0.sim.edit(|instance| instance.insert("cmdb_rel_ci", &[("parent", &record), ("child", &datacenter), ("type", &kind)]));
        }
        RecordId(record)
    }

    fn changed(&self) -> (&'static str, Value) {
        ("model_number", json!("t3.large"))
    }

    fn emptied(&self) -> &'static str {
        "cpus"
    }

    fn native_id_field(&self) -> &'static str {
        "object_id"
    }

    /// Those of the suite's CIs: accounts and datacenters are what they are identified beside.
    async fn records(&self) -> BTreeMap<RecordId, BTreeMap<String, Value>> {
        let classes = ["cmdb_ci_vm_instance", "cmdb_ci_instance_scale_set"];
        let rows = classes.into_iter().flat_map(|class| self.0.sim.rows(class, ""));
        let values = |values: BTreeMap<String, String>| {
            values.into_iter().filter(|(name, _)| !OWN.contains(&name.as_str())).map(|(name, value)| (name, Value::from(value))).collect()
        };
        rows.map(|(id, row)| (RecordId(id), values(row.values))).collect()
    }

    fn keeps_edge_attributes(&self) -> bool {
        false
    }

    async fn erase(&self, from: &RecordId, _relation: RelationType, to: &RecordId) {
        let kind = self.type_of("Depends on::Used by");
        let query = format!("parent={}^child={}^type={kind}", from.0, to.0);
        let rows = self.0.sim.rows("cmdb_rel_ci", &query);
        assert_eq!(rows.len(), 1, "{query}");
        self.0.sim.edit(|instance| instance.delete(&rows[0].0));
    }

    async fn draw(&self, from: &RecordId, _relation: RelationType, to: &RecordId) {
        let kind = self.type_of("Depends on::Used by");
        self.0.sim.edit(|instance| instance.insert("cmdb_rel_ci", &[("parent", &from.0), ("child", &to.0), ("type", &kind)]));
    }

    /// All but what records are hosted on.
    async fn edges(&self) -> BTreeSet<(RecordId, RelationType, RecordId)> {
        let kind = self.type_of("Depends on::Used by");
        let rows = self.0.sim.rows("cmdb_rel_ci", &format!("type={kind}"));
        let end = |values: &BTreeMap<String, String>, name: &str| RecordId(values.get(name).cloned().unwrap_or_default());
        rows.into_iter().map(|(_, row)| (end(&row.values, "parent"), RelationType::RoutesTo, end(&row.values, "child"))).collect()
    }
}

// Not `strangers_are_found_as_their_provider_compares_ids`: an instance's queries tell letter cases apart. The id is asked for as Azure writes it and in
// small letters.
dewpoint_core::suite!(SnowRig::new:
    create_is_idempotent, a_record_shows_what_was_sent, one_bad_write_stops_no_other, fields_are_changed_and_emptied_one_by_one,
    retire_revive_purge, other_estates_are_left_alone, strangers_are_found_and_left_alone,
    strangers_that_say_that_they_are_something_else_are_not_found, a_stranger_that_was_referred_to_is_found_under_any_name,
    strangers_are_adopted, a_record_takes_a_new_key,
    a_record_that_is_not_the_one_meant_is_left_alone, edges_are_idempotent, a_full_read_tells_of_our_edges, a_full_read_lacks_an_edge_that_people_removed,
    reads_go_to_the_end_in_a_stable_order, find_answers_every_identity, odd_values_come_back_as_they_went,
    nothing_is_sent_after_the_deadline, a_heartbeat_moves_one_time_and_no_time_back, a_heartbeat_goes_to_the_record_that_is_meant,
);
