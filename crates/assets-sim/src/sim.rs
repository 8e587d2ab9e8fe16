//! What tests have in hand.

use std::collections::BTreeMap;

use dewpoint_sim_kit::Handle;

use crate::{object::Object, server::Server, site::Site};

/// A simulator that serves on a port of this machine until it is dropped. What all simulators have, such as `url`, `faults`, `settings`, `calls`, `counters`,
/// `advance`, is at its [`Handle`]; the rest at [`Server`].
pub type Sim = Handle<Server>;

/// How a simulator is started.
pub type Start = dewpoint_sim_kit::Start<Server>;

impl Server {
    /// Reads or changes the site: people, configuration, objects.
    pub fn edit<T>(&self, change: impl FnOnce(&mut Site) -> T) -> T {
        let mut state = self.state();
        state.watch();
        let result = change(&mut state.site);
        state.settle();
        result
    }

    /// A copy of the site as it is, to put back with [`Server::restore`] or to start another simulator with.
    pub fn snapshot(&self) -> Site {
        self.state().site.clone()
    }

    /// Puts another site in the place of this one.
    pub fn restore(&self, site: Site) {
        self.state().site = site;
    }

    /// An object by its number or key, as it is now.
    pub fn find(&self, id_or_key: &str) -> Option<Object> {
        self.state().site.find(id_or_key).cloned()
    }

    /// All objects, as they are now, by number.
    pub fn objects(&self) -> Vec<Object> {
        self.state().site.objects().cloned().collect()
    }

    /// The objects of a type as people see them: values by the attribute's name.
    pub fn rows(&self, type_name: &str) -> Vec<BTreeMap<String, Vec<String>>> {
        self.state().site.rows(type_name)
    }

    /// Ends all OAuth access tokens; refresh tokens live.
    pub fn revoke_tokens(&self) {
        self.state().tokens.revoke_all();
    }
}
