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

/// How a simulator is started. Whatever its clock, signatures are judged by the machine's own, since clients sign by it.
pub type Start = dewpoint_sim_kit::Start<Server>;

impl Server {
    /// Reads or changes the world. Calls that are being answered still see the old one.
    pub fn edit<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        self.state().edit(|world, _| change(world))
    }

    /// Changes an account's region, as [`Server::edit`] does; made if it is not there.
    pub fn edit_region<T>(&self, account: &str, region: &str, change: impl FnOnce(&mut crate::world::Region) -> T) -> T {
        self.edit(|world| change(world.account(account).region(region)))
    }

    /// Makes one change of the world, now.
    ///
    /// # Errors
    /// When what it is about is not there.
    pub fn apply(&self, change: &Change) -> Result<(), ChangeError> {
        self.state().edit(|world, now| world.apply(change, now))
    }

    /// Terminates an instance; see [`Region::terminate`](crate::world::Region::terminate).
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn terminate(&self, account: &str, region: &str, instance: &str) -> Result<(), ChangeError> {
        self.apply(&Change::Terminate { account: account.to_owned(), region: region.to_owned(), instance: instance.to_owned() })
    }

    /// The world as it is.
    pub fn world(&self) -> Arc<World> {
        Arc::clone(&self.state().world)
    }

    /// Ends all temporary credentials at once.
    pub fn expire_sessions(&self) {
        self.state().sessions.expire();
    }
}
