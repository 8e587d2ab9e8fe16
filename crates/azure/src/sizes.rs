//! Sizes of machines: what a name stands for.
//!
//! Source: Azure Compute REST API reference (2021-07-01): Resource Skus - List.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock};

use dewpoint_core::model::{Account, Region};

use crate::action::SIZES;
use crate::arm::Calls;
use crate::error::Fault;
use crate::item::{Item, Refused};
use crate::listing::list;
use crate::wire::Wire;

/// What a size has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) vcpus: Option<i64>,
    pub(crate) memory_mib: Option<i64>,
    pub(crate) architecture: Option<String>,
}

/// The sizes seen so far, by name. A size is the same in all subscriptions and locations.
#[derive(Debug, Default)]
pub(crate) struct Sizes(RwLock<BTreeMap<String, Size>>);

/// One row of the list of what can be had.
struct Sku {
    name: String,
    size: Option<Size>,
}

impl Wire for Sku {
    const PATHS: &'static [&'static str] = &[];

    fn lenient(item: Item<'_>) -> Result<Self, Refused> {
        let name = item.text("/name").ok_or_else(|| Refused::new("", "a size has no name"))?.to_lowercase();
        let is_machine = item.text("/resourceType").is_some_and(|kind| kind.eq_ignore_ascii_case("virtualMachines"));
        let capability = |wanted: &str| {
            let mut found = item.items("/capabilities").filter(|one| one.text("/name") == Some(wanted));
            found.find_map(|one| one.text("/value"))
        };
        let size = is_machine.then(|| Size {
            // A size with fewer vCPUs than its family tells those that are to be had apart.
            vcpus: capability("vCPUsAvailable").or_else(|| capability("vCPUs")).and_then(|text| text.parse().ok()),
            memory_mib: capability("MemoryGB").and_then(mebibytes),
            architecture: capability("CpuArchitectureType").map(architecture),
        });
        Ok(Self { name, size })
    }
}

/// Gibibytes in words (`0.5`, `11400`) as mebibytes.
fn mebibytes(text: &str) -> Option<i64> {
    let gibibytes: f64 = text.parse().ok()?;
    let mebibytes = (gibibytes * 1024.0).round();
    // No machine has more than a pebibyte; below that the conversion is exact.
    #[expect(clippy::cast_possible_truncation, reason = "checked to be a small whole number")]
    (0.0..=1_073_741_824.0).contains(&mebibytes).then_some(mebibytes as i64)
}

/// As AWS spells it.
fn architecture(text: &str) -> String {
    match text.to_lowercase().as_str() {
        "x64" => "x86_64".to_owned(),
        other => other.to_owned(),
    }
}

impl Sizes {
    /// What a size has; `None` where nobody knows.
    pub(crate) fn get(&self, name: &str) -> Option<Size> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&name.to_lowercase()).cloned()
    }

    /// Asks for the sizes that are not known yet, location by location: a list holds all of a location's.
    pub(crate) async fn learn(&self, calls: &Calls<'_>, account: &Account, wanted: &BTreeSet<(Region, String)>) -> Result<(), Fault> {
        let mut asked: BTreeSet<&Region> = BTreeSet::new();
        for (region, name) in wanted {
            if region.is_any() || self.get(name).is_some() || !asked.insert(region) {
                continue;
            }
            let path = format!("/subscriptions/{account}/providers/{}", SIZES.resource_type);
            let request = calls.get(SIZES, &path).query("$filter", &format!("location eq '{region}'"));
            let listed = list::<Sku>(calls, SIZES, Some(account), request).await;
            let sizes = listed.items.into_iter().filter_map(|sku| Some((sku.name, sku.size?)));
            self.0.write().unwrap_or_else(PoisonError::into_inner).extend(sizes);
            if let Some(fault) = listed.fault {
                return Err(fault);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_whole_mebibytes() {
        assert_eq!(
            ["0.5", "8", "11400", "x", "-1", "NaN", "1e300"].map(mebibytes),
            [Some(512), Some(8192), Some(11_673_600), None, None, None, None]
        );
    }
}
