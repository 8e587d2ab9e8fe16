//! How the simulator behaves, apart from what is in its world.

use serde::{Deserialize, Serialize};

use crate::{rates::Rates, render::GroupCase};

/// What a list of a provider that is not registered in the subscription gives; Azure's documentation does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unregistered {
    /// 409 `MissingSubscriptionRegistration`.
    #[default]
    Conflict,
    /// An empty list.
    Empty,
}

/// The simulator's settings. Where Azure's behaviour is not known, the default is what is harder on a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Sizes of pages and the secrets of tokens are drawn from this. Simulators with the same seed take each other's tokens.
    pub seed: u64,
    /// The least and the most items on a page; each page has a size of its own in between.
    pub page_items: (usize, usize),
    /// The second page of every list that has more than one is empty, and leads on.
    pub empty_page: bool,
    /// How many calls may be made.
    pub rates: Rates,
    /// How long access tokens live.
    pub token_life_s: u64,
    /// The audiences that Azure Resource Manager takes, without a slash at the end.
    pub audiences: Vec<String>,
    /// Versions later than this, as `2023-12-31`, are not known yet, as in sovereign clouds.
    pub newest_version: Option<String>,
    /// The case of the resource group in ids of machines and scale sets.
    pub vm_case: GroupCase,
    /// What a list of a provider that is not registered gives.
    pub unregistered: Unregistered,
    /// How old the state is that Resource Graph shows.
    pub graph_lag_s: u64,
    /// This share of its rows, 0 to 1, Resource Graph leaves out without saying so.
    pub graph_missing: f64,
    /// The most rows of one answer of Resource Graph, whatever is asked for.
    pub graph_rows_max: usize,
    /// What `X-IDENTITY-HEADER` has to be at the App Service endpoint.
    pub identity_header: String,
    /// The App Service endpoint writes `expires_on` as a date, as it once did, in place of a number.
    pub identity_dates: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            page_items: (50, 250),
            empty_page: true,
            rates: Rates::default(),
            token_life_s: 3600,
            audiences: ["https://management.azure.com", "https://management.core.windows.net"].map(str::to_owned).to_vec(),
            newest_version: None,
            vm_case: GroupCase::Upper,
            unregistered: Unregistered::Conflict,
            graph_lag_s: 0,
            graph_missing: 0.0,
            graph_rows_max: 1000,
            identity_header: "sim-identity-header".to_owned(),
            identity_dates: false,
        }
    }
}
