//! A simulator of the HaloITSM REST API's assets, for tests and benchmarks.
//!
//! It is a real HTTP server and strict: where the product's behaviour is not known, it does what is harder on a client, and [`Settings`] takes that back. What it
//! serves is a [`Tenant`], plain data that can change while it is served.
//!
//! ```no_run
//! use dewpoint_halo_sim::{Fault, Mishap, Sim, Tenant};
//!
//! let mut tenant = Tenant::new().with_type("Load Balancer", &["Name", "Provider ID"]);
//! let instance = tenant.type_named("cloud instance").unwrap();
//! tenant.insert(instance, "i-0abc", &[("Name", "made by people")]);
//! let sim = Sim::start(tenant).unwrap();
//! sim.faults(vec![Fault::new(Mishap::Reset).operation("asset_post").nth(3).times(1).after_commit()]);
//! // A client with this address, `CLIENT_ID` and `CLIENT_SECRET` finds the asset.
//! let address = sim.url();
//! assert_eq!(sim.find("I-0ABC").len(), 1);
//! assert_eq!(sim.counters().writes, 0);
//! assert!(sim.unknown_properties().is_empty());
//! ```
//!
//! As a program: `cargo run -p dewpoint-halo-sim -- --port 8889 --unthrottled`; it prints its address and how to log in.

mod assets;
mod auth;
mod call;
mod clock;
mod configuration;
mod control;
mod fault;
mod links;
mod log;
mod members;
mod meta;
mod page;
mod parts;
mod people;
mod post;
mod properties;
mod query;
mod render;
mod reply;
mod route;
mod server;
mod settings;
mod sim;
mod store;
mod tenant;
mod throttle;
mod value;

pub use dewpoint_sim_kit::{Clock, Handle, Mishap};
pub use fault::{Effect, Fault};
pub use log::{CallRecord, Counters};
pub use parts::{
    Agent, Application, AssetGroup, AssetType, Client, CustomField, Field, Lookup, RelationshipWrites, Restriction, Secret, Site, Status,
    Team, TypeField, User, Version,
};
pub use reply::Shape;
pub use server::Server;
pub use settings::{
    AddExisting, BatchFailure, FieldsUpdate, LongValues, PostAnswer, RetryAfter, Settings, TenantParameter, Throttle, UnknownId,
};
pub use sim::{Sim, Start};
pub use store::{Asset, Change, Relationship};
pub use tenant::{ACTIVE, CLIENT_ID, CLIENT_SECRET, LOOKUP_TYPES, RETIRED, Tenant, UNKNOWN};
