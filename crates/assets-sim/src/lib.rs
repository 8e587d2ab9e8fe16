//! A simulator of Jira Service Management Assets, Cloud and Data Center, for tests and benchmarks.

mod aql;
mod auth;
mod call;
mod config;
mod control;
mod fault;
mod import;
mod jira;
mod late;
mod log;
mod object;
mod objects;
mod quota;
mod reply;
mod route;
mod schemas;
mod server;
mod settings;
mod show;
mod sim;
mod site;
mod value;

pub use dewpoint_sim_kit::{Clock, Handle, Mishap};
pub use fault::{Effect, Fault};
pub use import::ImportSource;
pub use log::{CallRecord, Counters};
pub use object::{Change, Object};
pub use server::Server;
pub use settings::{Clearing, Limits, Reserved, Settings};
pub use sim::{Sim, Start};
pub use site::{
    ALL_SCOPES, Attribute, Deployment, Form, Icon, Kind, OauthClient, ObjectType, ReferenceType, Role, Schema, Secret, Site, StatusType,
    System, Token, User,
};
