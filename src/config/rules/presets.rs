//! Rule sets that come with the program: files in the language of the configuration, read by the same code.

use std::sync::LazyLock;

use dewpoint_core::rules::Origin;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};

use super::raw::RawRule;
use super::{PlacedRule, check_list, convert_list};
use crate::config::check;
use crate::config::diagnostic::{ConfigErrors, Report};
use crate::config::schema::worked;
use crate::config::tree::{self, Node};

macro_rules! presets {
    ($($name:literal),+ $(,)?) => {
        /// Name and text of each, in the order of their names.
        const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../../config/presets/", $name, ".yaml")))),+];
    };
}

presets!("batch", "databricks", "emr", "expiry-tag", "image-builders", "kubernetes-nodes", "long-stopped", "scaling-group-members", "spot",);

/// The names of all presets.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// Everything that a preset's file holds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Preset")]
struct RawPreset {
    /// The rules, in their order.
    rules: Vec<RawRule>,
}

static SCHEMA: LazyLock<serde_json::Value> =
    LazyLock::new(|| worked(SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<RawPreset>()));

/// The rules of a preset.
///
/// # Errors
/// What is wrong with its file: a slip of ours, which a test over all presets finds.
pub(super) fn load(name: &'static str) -> Result<Vec<PlacedRule>, ConfigErrors> {
    let text = FILES.iter().find(|(preset, _)| *preset == name).map_or("", |(_, text)| text);
    let mut report = Report::new(&format!("config/presets/{name}.yaml"));
    let rules = tree::parse(text, &mut report).and_then(|root| {
        let nodes = root.get("rules").map_or(&[][..], Node::items);
        check_list(nodes, text, &[], &mut report);
        let sound = check::check(&root, &SCHEMA, &mut report)?;
        let raw: RawPreset = serde_json::from_value(sound.to_json()).ok()?;
        let nodes = sound.get("rules").map_or(&[][..], Node::items);
        convert_list(raw.rules, nodes, Origin::Preset(name), &report)
    });
    match rules {
        Some(rules) if report.is_empty() => Ok(rules),
        _ => Err(report.into_errors(Some(text))),
    }
}

#[cfg(test)]
pub(super) fn text(name: &str) -> &'static str {
    FILES.iter().find(|(preset, _)| *preset == name).map_or("", |(_, text)| text)
}
