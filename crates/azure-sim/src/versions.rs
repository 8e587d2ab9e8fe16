//! The `api-version`s that each kind of call takes.
//!
//! Those of the notes that Dewpoint is written from, those that Azure's Python SDKs ask for, and some in between, all of them published in
//! github.com/Azure/azure-rest-api-specs. Real services know more.

use crate::{
    error::ApiError,
    kind::Kind,
    route::{OfSet, Route},
};

const SUBSCRIPTIONS: &[&str] = &["2020-01-01", "2021-01-01", "2022-12-01"];
const RESOURCES: &[&str] = &["2020-06-01", "2021-04-01", "2022-09-01", "2024-03-01", "2025-04-01"];
const COMPUTE: &[&str] = &[
    "2021-03-01",
    "2021-07-01",
    "2022-11-01",
    "2023-03-01",
    "2023-09-01",
    "2024-03-01",
    "2024-07-01",
    "2024-11-01",
    "2025-04-01",
    "2026-04-01",
];
const DISKS: &[&str] = &["2020-12-01", "2022-07-02", "2023-10-02", "2024-03-02", "2025-01-02", "2026-03-02"];
const SKUS: &[&str] = &["2019-04-01", "2021-07-01"];
const NETWORK: &[&str] = &["2021-02-01", "2022-07-01", "2023-09-01", "2024-03-01", "2024-05-01", "2025-01-01", "2026-03-01"];
const SET_NETWORK: &[&str] = &["2017-03-30", "2018-10-01"];
const MANAGEMENT: &[&str] = &["2020-05-01", "2021-04-01", "2023-04-01"];
const PERMISSIONS: &[&str] = &["2018-07-01", "2022-04-01"];
const GRAPH: &[&str] = &["2021-03-01", "2022-10-01", "2024-04-01"];
/// The first version of compute that filters machines by their scale set.
const SET_FILTER_SINCE: &str = "2023-03-01";

fn of(route: &Route) -> &'static [&'static str] {
    match route {
        Route::Subscriptions | Route::Tenants | Route::Subscription(_) | Route::Locations(_) => SUBSCRIPTIONS,
        Route::Groups(_) | Route::Group(..) | Route::Resources(_) => RESOURCES,
        Route::Permissions(_) => PERMISSIONS,
        Route::Skus(_) => SKUS,
        Route::Descendants(_) | Route::ManagementGroup(_) => MANAGEMENT,
        Route::Graph => GRAPH,
        Route::List { kind: Kind::Disk, .. } | Route::Get { kind: Kind::Disk, .. } => DISKS,
        Route::List { kind, .. } | Route::Get { kind, .. } if kind.namespace() == "Microsoft.Network" => NETWORK,
        Route::OfSet { what: OfSet::Nics | OfSet::VmNics(_) | OfSet::PublicIps, .. } => SET_NETWORK,
        Route::List { .. } | Route::Get { .. } | Route::InstanceView { .. } | Route::OfSet { .. } => COMPUTE,
    }
}

/// Whether a version lists machines by their scale set.
pub(crate) fn filters_by_set(version: &str) -> bool {
    version >= SET_FILTER_SINCE
}

/// The version that came with a call.
pub(crate) fn given(version: Option<&str>) -> Result<&str, ApiError> {
    version.filter(|version| !version.is_empty()).ok_or_else(|| {
        let message = "The api-version query parameter (?api-version=) is required for all requests.";
        ApiError::new(400, "MissingApiVersionParameter", message)
    })
}

/// Judges the version that came with a call.
pub(crate) fn check(route: &Route, version: Option<&str>, newest: Option<&str>) -> Result<(), ApiError> {
    let version = given(version)?;
    let known: Vec<&str> = of(route).iter().copied().filter(|known| newest.is_none_or(|newest| *known <= newest)).collect();
    if known.contains(&version) {
        return Ok(());
    }
    let supported = known.join(", ");
    let anywhere = [SUBSCRIPTIONS, RESOURCES, COMPUTE, DISKS, SKUS, NETWORK, SET_NETWORK, MANAGEMENT, PERMISSIONS, GRAPH];
    match route.namespace() {
        Some(namespace) if anywhere.iter().any(|versions| versions.contains(&version)) => Err(ApiError::new(
            400,
            "NoRegisteredProviderFound",
            format!(
                "No registered resource provider found for location '' and API version '{version}' for type '{}' of '{namespace}'. \
                 The supported api-versions are '{supported}'.",
                route.operation().split('.').next().unwrap_or_default()
            ),
        )),
        _ => Err(ApiError::new(
            400,
            "InvalidApiVersionParameter",
            format!("The api-version '{version}' is invalid. The supported versions are '{supported}'."),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_judged() {
        let list = Route::List { kind: Kind::Vm, subscription: "s".to_owned(), group: None };
        let code = |route: &Route, version: Option<&str>, newest| check(route, version, newest).err().map(|error| error.code);
        assert_eq!(code(&list, Some("2024-07-01"), None), None);
        assert_eq!(code(&list, None, None).as_deref(), Some("MissingApiVersionParameter"));
        assert_eq!(code(&list, Some("2018-10-01"), None).as_deref(), Some("NoRegisteredProviderFound"));
        assert_eq!(code(&list, Some("2024-07"), None).as_deref(), Some("InvalidApiVersionParameter"));
        assert_eq!(code(&list, Some("2024-07-01"), Some("2024-06-30")).as_deref(), Some("NoRegisteredProviderFound"));
        assert_eq!(code(&Route::Subscriptions, Some("2024-07-01"), None).as_deref(), Some("InvalidApiVersionParameter"));
    }
}
