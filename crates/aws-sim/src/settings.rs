//! How the simulator behaves, apart from what is in its world.

use serde::{Deserialize, Serialize};

use crate::rates::Rates;

/// The simulator's settings. The defaults are AWS's behaviour, without its delays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The order of listings and the secrets of tokens and sessions are drawn from this.
    pub seed: u64,
    /// How long a page's token can be used.
    pub token_life_s: u64,
    /// How long terminated instances are shown.
    pub terminated_shown_s: u64,
    /// How old the state is that EC2, Elastic Load Balancing and Auto Scaling show: a new machine is not found and a change not seen for so long.
    pub lag_s: u64,
    /// The most items on a page, whatever the caller asks for: AWS gives up to what is asked for, and sometimes fewer.
    pub page_items_max: Option<usize>,
    /// How long temporary credentials live, whatever the caller asks for.
    pub session_life_s: Option<u64>,
    /// How far the server's clock is ahead (or, negative, behind): its `Date` and its judgement of signatures.
    pub clock_ahead_s: i64,
    /// How many calls may be made.
    pub rates: Rates,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            token_life_s: 3600,
            terminated_shown_s: 3600,
            lag_s: 0,
            page_items_max: None,
            session_life_s: None,
            clock_ahead_s: 0,
            rates: Rates::default(),
        }
    }
}
