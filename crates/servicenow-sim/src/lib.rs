//! A simulator of a ServiceNow instance's CMDB interfaces, for tests and benchmarks.
//!
//! It is a real HTTP server and strict: where the product's behaviour is not known, it does what is harder on a client, and [`Settings`] takes that back. What it
//! serves is an [`Instance`], plain data that can change while it is served, and that is copied as instances are cloned.
//!
//! ```no_run
//! use dewpoint_servicenow_sim::{Fault, Instance, Mishap, Sim};
//!
//! let mut instance = Instance::new().with_data_source("Dewpoint").with_client_credentials();
//! instance.insert("cmdb_ci_vm_instance", &[("name", "made by people"), ("object_id", "i-0abc")]);
//! let sim = Sim::start(instance).unwrap();
//! sim.faults(vec![Fault::new(Mishap::Reset).api("identifyreconcile").nth(3).times(1).after_commit()]);
//! // A client with this address and the user `integration` (password `integration-password`) finds the record.
//! let address = sim.url();
//! assert_eq!(sim.rows("cmdb_ci", "object_id=i-0abc").len(), 1);
//! assert_eq!(sim.counters().writes, 0);
//! ```
//!
//! As a program: `cargo run -p dewpoint-servicenow-sim -- --port 8888 --data-source Dewpoint`, with `--tls` for clients that insist on it; it prints its address,
//! the certificate to trust and how to log in.
//!
//! # What is served
//!
//! | | |
//! |---|---|
//! | `POST /oauth_token.do` | grants `password`, `refresh_token`, and `client_credentials` once it is switched on |
//! | `/api/now[/v1,/v2]/table/TABLE[/SYS_ID]` | encoded queries, pages, display values, writing past the engine |
//! | `POST /api/now/identifyreconcile[/enhanced,/query,/queryEnhanced]` | the identification and reconciliation engine |
//! | `GET /api/now/cmdb/meta/CLASS` | columns and rules of a class |
//! | `/api/now/cmdb/instance/CLASS…` | items with their relations, written through the engine |
//! | `GET /api/now/stats/TABLE` | counts, `sysparm_group_by` |
//! | `POST /api/now/v1/batch`, `POST /api/now/tinyurl` | several requests in one; short URLs |
//!
//! Callers log in with basic authentication, a token or an API key. Tables, classes and rules are those of the base system that a connector of clouds meets, with
//! the store app "CMDB CI Class Models"; [`Instance::bare`] leaves that out, and [`Instance::schema`] can be changed.
//!
//! # What is left out
//! - XML, attachments, import sets, the CMDB ingest interface, views, domains, scripts and business rules, assets and their synchronisation with items.
//! - Of the engine: hybrid rules, conditions of entries, rules of related and lookup rows of an instance's own, data refresh and dynamic reconciliation rules,
//!   additional items that a merged partial payload completes, and the codes `METADATA_RULE_MISSING`, `QUALIFICATION_LOOP`, `TYPE_CONFLICT_IN_QUALIFICATION`,
//!   `RELATION_CHAIN_ENDS_AT_QUALIFIER` and `RECLASSIFICATION_NOT_ALLOWED`. A circle of hosts is `ABANDONED`.
//! - `JOIN` and `RLQUERY` in encoded queries are dropped like any other condition that makes no sense.
//! - Rate limits strike at once; the product counts up to 30 s late, node by node. Their windows can be shorter than the product's hour.
//! - Payloads only meet, and wait for each other's parents, when the engine takes time: [`Settings::ire_item_us`], or is
//!   stopped: [`Settings::hold_engine`].
//! - A data source that is missing on the endpoints that only ask is an error of every item.
//!
//! # Over HTTP
//! Below `/_sim/`, without credentials, with JSON bodies:
//!
//! | | |
//! |---|---|
//! | `GET health` | 204 as soon as it serves |
//! | `GET`, `DELETE calls` | the log of requests ([`CallRecord`]); empties it |
//! | `GET counters` | sums over the same ([`Counters`]) |
//! | `GET`, `PUT`, `DELETE faults` | the list of [`Fault`]s |
//! | `GET`, `PUT settings` | the [`Settings`] |
//! | `GET tables` | all records by table and `sys_id`, without the base system's own |
//! | `GET`, `PUT instance` | the whole [`Instance`], secrets too |
//! | `POST records` | `{"table": …, "values": {…}}` makes a record past all rules, `{"sys_id": …, "values": {…}}` changes one |
//! | `DELETE records/SYS_ID` | deletes one |
//! | `POST data-sources`, `DELETE data-sources/NAME` | `{"name": …}` registers a data source; takes it away |
//! | `PUT properties` | the system properties |
//! | `POST advance` | `{"seconds": 60}` moves the time on |
//! | `POST revoke-tokens`, `POST revoke-access-tokens` | ends all tokens; only the access tokens |
//! | `GET certificate` | the certificate to trust, when it speaks TLS |

mod auth;
mod batch;
mod call;
mod clock;
mod cmdb_instance;
mod control;
mod fault;
mod hash;
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

pub use dewpoint_sim_kit::{Clock, Handle, Mishap};
pub use fault::{Effect, Fault};
pub use instance::{
    ApiKey, CLIENT_CREDENTIALS, INVALID_QUERY_FINDS_NOTHING, Instance, MUTEX_EXPIRATION_S, OauthClient, PASSWORD_GRANT_OFF, RateRule,
    ReconciliationRule, RowRule, SKIP_DUPLICATES, SKIP_DUPLICATES_THRESHOLD, SKIP_SOURCE_MATCHING, Secret, User,
};
pub use log::{CallRecord, Counters};
pub use server::Server;
pub use settings::{FailedOperation, MergeWinner, Settings};
pub use sim::{Sim, Start};
pub use store::Row;
