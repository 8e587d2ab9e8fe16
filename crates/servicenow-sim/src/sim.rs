//! What tests have in hand.

use dewpoint_sim_kit::Handle;

use crate::{instance::Instance, server::Server, store::Row};

/// A simulator that serves on a port of this machine until it is dropped. What all simulators have, such as `url`, `faults`, `settings`, `calls`, `counters`,
/// `advance`, is at its [`Handle`]; the rest at [`Server`].
pub type Sim = Handle<Server>;

/// How a simulator is started.
pub type Start = dewpoint_sim_kit::Start<Server>;

impl Server {
    /// Reads or changes the instance: records, shape, users, properties, rules.
    pub fn edit<T>(&self, change: impl FnOnce(&mut Instance) -> T) -> T {
        change(&mut self.state().instance)
    }

    /// A copy of the instance as it is, to put back with [`Server::restore`] or to start another simulator with, as a clone.
    pub fn snapshot(&self) -> Instance {
        self.state().instance.clone()
    }

    /// Puts another instance in the place of this one.
    pub fn restore(&self, instance: Instance) {
        self.state().instance = instance;
    }

    /// The records of a table, with those that extend it, that an encoded query finds, by `sys_id`.
    pub fn rows(&self, table: &str, query: &str) -> Vec<(String, Row)> {
        self.state().instance.find(table, query)
    }

    /// Ends all tokens at once, refresh tokens too.
    pub fn revoke_tokens(&self) {
        self.state().tokens.revoke_all();
    }

    /// Ends all access tokens; refresh tokens live.
    pub fn revoke_access_tokens(&self) {
        self.state().tokens.revoke_access();
    }
}
