//! The suite that every target passes, with tenants that empty what an update does not name and tenants that leave it.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use dewpoint_core::estate::Stage;
use dewpoint_core::model::{Kind, RelationType};
use dewpoint_core::target::{RecordId, Target};
use dewpoint_core::testing::contract::{Rig, Stranger};
use dewpoint_halo_sim::{FieldsUpdate, PostAnswer, Settings};
use serde_json::{Value, json};

use super::rig::{Rig as Instance, id};
use crate::mapping::{ACCOUNT_ID, NATIVE_ID, REGION};

struct HaloRig(Instance);

impl HaloRig {
    async fn wiping() -> Self {
        Self(Instance::new().await)
    }

    /// The most lenient of tenants.
    async fn merging() -> Self {
        let change = |settings: &mut Settings| {
            settings.fields_update = FieldsUpdate::Merge;
            settings.post_answer = PostAnswer::Array;
            settings.fields_need_type = false;
            settings.page_rows_max = 1000;
            settings.unordered_pages = false;
        };
        Self(Instance::with(change).await)
    }
}

fn record(id: i64) -> RecordId {
    RecordId(id.to_string())
}

#[async_trait]
impl Rig for HaloRig {
    fn target(&self) -> &dyn Target {
        &self.0.target
    }

    async fn stranger(&self, Stranger { native_id, account, region, kind }: Stranger<'_>) -> RecordId {
        let name = if kind == Some(Kind::ScalingGroup) { "Scaling Group" } else { "Virtual Machine" };
        let values = [("Name", Some("kept by hand")), (NATIVE_ID, Some(native_id)), (ACCOUNT_ID, account), (REGION, region)];
        let values: Vec<(&str, &str)> = values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        self.0.sim.edit(|tenant| {
            let asset_type = tenant.type_named(name).unwrap();
            let tag = format!("IT-{}", tenant.assets().len());
            record(tenant.insert(asset_type, &tag, &values))
        })
    }

    fn changed(&self) -> (&'static str, Value) {
        ("Size", json!("t3.large"))
    }

    fn emptied(&self) -> &'static str {
        "vCPUs"
    }

    fn native_id_field(&self) -> &'static str {
        NATIVE_ID
    }

    fn stage(&self, stage: Stage) -> Vec<(&'static str, Value)> {
        vec![("Status", json!(if stage == Stage::Retired { "Retired" } else { "Active" }))]
    }

    async fn records(&self) -> BTreeMap<RecordId, BTreeMap<String, Value>> {
        let row = |asset: dewpoint_halo_sim::Asset| {
            let own = [("tag", json!(asset.inventory_number)), ("type", json!(asset.assettype_id)), ("inactive", json!(asset.inactive))];
            let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
            let values = asset.values.into_iter().map(|(field, value)| (field.to_string(), json!(value)));
            (record(asset.id), own.chain(values).collect())
        };
        self.0.sim.assets().into_iter().map(row).collect()
    }

    fn tells_of_edges(&self) -> bool {
        false
    }

    fn notes_edges(&self) -> bool {
        true
    }

    fn keeps_edge_attributes(&self) -> bool {
        false
    }

    async fn erase(&self, from: &RecordId, _relation: RelationType, to: &RecordId) {
        self.0.sim.edit(|tenant| tenant.unrelate(id(from), id(to)));
    }

    async fn draw(&self, from: &RecordId, _relation: RelationType, to: &RecordId) {
        self.0.sim.edit(|tenant| tenant.relate(id(from), id(to), 1));
    }

    async fn edges(&self) -> BTreeSet<(RecordId, RelationType, RecordId)> {
        let edges = self.0.sim.relationships().into_iter();
        edges.map(|edge| (record(edge.parent), RelationType::RoutesTo, record(edge.child))).collect()
    }
}

impl Drop for HaloRig {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.0.sim.unknown_properties().is_empty(), "{:?}", self.0.sim.unknown_properties());
        }
    }
}

mod wiping {
    use super::HaloRig;

    dewpoint_core::suite!(HaloRig::wiping, heartbeats);
}

mod merging {
    use super::HaloRig;

    dewpoint_core::suite!(HaloRig::merging, heartbeats);
}
