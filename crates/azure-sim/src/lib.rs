//! A simulator of Azure Resource Manager and what belongs to it, for tests and benchmarks.

mod access;
mod arm;
mod calls;
mod control;
mod entra;
mod error;
mod fault;
mod graph;
mod ids;
mod index;
mod kind;
mod page;
mod query;
mod rates;
mod render;
mod route;
mod server;
mod settings;
mod sim;
mod versions;
pub mod world;

pub use calls::CallRecord;
pub use dewpoint_sim_kit::{Clock, Counters, Handle, Mishap};
pub use fault::{Effect, Fault};
pub use rates::{Bucket, Rates};
pub use render::GroupCase;
pub use settings::{Settings, Unregistered};
pub use sim::{Sim, Start};
