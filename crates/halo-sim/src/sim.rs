//! What tests have in hand.

use std::collections::BTreeMap;

use dewpoint_sim_kit::{Handle, Product as _};

use crate::{
    server::Server,
    store::{Asset, Relationship},
    tenant::Tenant,
};

/// A simulator that serves on a port of this machine until it is dropped. What all simulators have, such as `url`, `faults`, `settings`, `calls`, `counters`,
/// `advance`, is at its [`Handle`]; the rest at [`Server`].
pub type Sim = Handle<Server>;

/// How a simulator is started.
pub type Start = dewpoint_sim_kit::Start<Server>;

impl Server {
    /// Reads or changes the tenant, past all rules, as people do.
    pub fn edit<T>(&self, change: impl FnOnce(&mut Tenant) -> T) -> T {
        self.state().edit(change)
    }

    /// A copy of the tenant as it is.
    pub fn snapshot(&self) -> Tenant {
        self.state().tenant.clone()
    }

    /// Puts another tenant in the place of this one. Tokens live on.
    pub fn restore(&self, tenant: Tenant) {
        self.state().tenant = tenant;
    }

    /// All assets, by their ids.
    pub fn assets(&self) -> Vec<Asset> {
        self.state().tenant.assets().into_iter().cloned().collect()
    }

    /// The assets with this tag, without regard to case.
    pub fn find(&self, tag: &str) -> Vec<Asset> {
        self.state().tenant.find(tag).into_iter().cloned().collect()
    }

    /// All relationships, by parent and child.
    pub fn relationships(&self) -> Vec<Relationship> {
        self.state().tenant.relationships()
    }

    /// What was posted and went nowhere without a word, and how often, since the start or the last reset of the calls
    /// (see [`CallRecord::unknown_properties`](crate::CallRecord::unknown_properties)).
    pub fn unknown_properties(&self) -> BTreeMap<String, u64> {
        self.common(|common| common.log.sums.unknown_properties.clone())
    }

    /// Ends all tokens at once.
    pub fn expire_tokens(&self) {
        self.state().tokens.revoke_all();
    }
}
