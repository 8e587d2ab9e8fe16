//! A simulator of a ServiceNow instance's CMDB interfaces, for tests and benchmarks.

mod auth;
mod batch;
mod call;
mod clock;
mod cmdb_instance;
mod control;
mod fault;
mod hash;
mod http;
mod instance;
mod ire;
mod log;
mod meta;
mod query;
mod quota;
mod reply;
mod route;
pub mod schema;
mod server;
mod settings;
mod sim;
mod store;
mod strike;
mod table;
mod tls;

pub use clock::Clock;
pub use fault::{Effect, Fault};
pub use instance::{
    ApiKey, CLIENT_CREDENTIALS, INVALID_QUERY_FINDS_NOTHING, Instance, MUTEX_EXPIRATION_S, OauthClient, PASSWORD_GRANT_OFF, RateRule,
    ReconciliationRule, RowRule, SKIP_DUPLICATES, SKIP_DUPLICATES_THRESHOLD, SKIP_SOURCE_MATCHING, Secret, User,
};
pub use log::{CallRecord, Counters};
pub use settings::{FailedOperation, MergeWinner, Settings};
pub use sim::{Sim, Start};
pub use store::Row;
