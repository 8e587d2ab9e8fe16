//! The suite that every target passes.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use dewpoint_assets_sim::Site;
use dewpoint_core::estate::Stage;
use dewpoint_core::model::{Kind, RelationType};
use dewpoint_core::target::{RecordId, Target};
use dewpoint_core::testing::contract::{Rig, Stranger};
use serde_json::{Value, json};

use super::rig::Rig as Instance;
use crate::mapping::{ACCOUNT_ID, NATIVE_ID, REGION};

struct JsmRig(Instance);

impl JsmRig {
    async fn cloud() -> Self {
        Self(Instance::over(Site::new()).await)
    }

    async fn data_center() -> Self {
        Self(Instance::over(Site::data_center()).await)
    }
}

/// The attribute that holds the suite's edges, on the record where they end.
const ROUTED_FROM: &str = "Routed From";

#[async_trait]
impl Rig for JsmRig {
    fn target(&self) -> &dyn Target {
        &self.0.target
    }

    async fn stranger(&self, Stranger { native_id, account, region, kind }: Stranger<'_>) -> RecordId {
        let name = if kind == Some(Kind::ScalingGroup) { "Scaling Group" } else { "Virtual Machine" };
        let values = [("Name", Some("kept by hand")), (NATIVE_ID, Some(native_id)), (ACCOUNT_ID, account), (REGION, region)];
        let values: Vec<(&str, &str)> = values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let id = self.0.sim.edit(|site| {
            let object_type = site.type_named(name).unwrap().id;
            site.insert(object_type, &values)
        });
        RecordId(id.to_string())
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
        vec![("Lifecycle", json!(if stage == Stage::Retired { "Retired" } else { "Active" }))]
    }

    async fn records(&self) -> BTreeMap<RecordId, BTreeMap<String, Value>> {
        self.0.sim.edit(|site| {
            let row =
                |object| site.row(object).into_iter().filter(|(name, _)| name != "Updated").map(|(name, values)| (name, json!(values)));
            site.objects().map(|object| (RecordId(object.id.to_string()), row(object).collect())).collect()
        })
    }

    fn keeps_edge_attributes(&self) -> bool {
        false
    }

    async fn erase(&self, from: &RecordId, _relation: RelationType, to: &RecordId) {
        self.0.sim.edit(|site| {
            let others = routed_from(site, to);
            assert!(others.contains(&from.0), "{others:?}");
            let left: Vec<(&str, &str)> =
                others.iter().filter(|other| **other != from.0).map(|other| (ROUTED_FROM, other.as_str())).collect();
            let left = if left.is_empty() { vec![(ROUTED_FROM, "")] } else { left };
            site.change(to.0.parse().unwrap(), &left);
        });
    }

    async fn draw(&self, from: &RecordId, _relation: RelationType, to: &RecordId) {
        self.0.sim.edit(|site| {
            let mut others = routed_from(site, to);
            others.insert(from.0.clone());
            let all: Vec<(&str, &str)> = others.iter().map(|other| (ROUTED_FROM, other.as_str())).collect();
            site.change(to.0.parse().unwrap(), &all);
        });
    }

    async fn edges(&self) -> BTreeSet<(RecordId, RelationType, RecordId)> {
        self.0.sim.edit(|site| {
            let ids: Vec<RecordId> = site.objects().map(|object| RecordId(object.id.to_string())).collect();
            let edges = ids.iter().flat_map(|to| routed_from(site, to).into_iter().map(|from| (RecordId(from), to.clone())));
            edges.map(|(from, to)| (from, RelationType::RoutesTo, to)).collect()
        })
    }
}

fn routed_from(site: &Site, record: &RecordId) -> BTreeSet<String> {
    let Some(object) = site.find(&record.0) else { return BTreeSet::new() };
    let Some(attribute) = site.attribute(object.type_id, ROUTED_FROM) else { return BTreeSet::new() };
    object.values(attribute.id).iter().cloned().collect()
}

mod cloud {
    use super::JsmRig;

    dewpoint_core::suite!(JsmRig::cloud, heartbeats);
}

mod data_center {
    use super::JsmRig;

    dewpoint_core::suite!(JsmRig::data_center, heartbeats);
}
