//! What tests have in hand.

use std::sync::Arc;

use dewpoint_sim_kit::Handle;

use crate::{
    server::Server,
    world::{Change, ChangeError, World},
};

/// A simulator that serves on a port of this machine until it is dropped. What all simulators have, such as `url`, `faults`, `settings`, `calls`, `counters`,
/// `advance`, is at its [`Handle`]; the rest at [`Server`].
pub type Sim = Handle<Server>;

/// How a simulator is started. Whatever its clock, tokens are judged by the machine's own, which goes on, plus what the time was moved by.
pub type Start = dewpoint_sim_kit::Start<Server>;

impl Server {
    /// Reads or changes the world. Calls that are being answered still see the old one.
    pub fn edit<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        self.state().edit(|world, _| change(world))
    }

    /// Makes one change of the world, now.
    ///
    /// # Errors
    /// When what it is about is not there.
    pub fn apply(&self, change: &Change) -> Result<(), ChangeError> {
        self.state().edit(|world, now| world.apply(change, now))
    }

    /// The world as it is.
    pub fn world(&self) -> Arc<World> {
        self.state().estate.world()
    }

    /// Ends all access tokens at once.
    pub fn expire_tokens(&self) {
        self.state().expire_tokens();
    }

    /// A token for Azure Resource Manager, as the token endpoint gives it to this application.
    pub fn token(&self, client: &str) -> String {
        self.state().token(client, "https://management.azure.com")
    }
}
