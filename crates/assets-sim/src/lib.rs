//! A simulator of Jira Service Management Assets, Cloud and Data Center, for tests and benchmarks.
//!
//! It is a real HTTP server and strict: where the product's behaviour is not known, it does what is harder on a client, and [`Settings`] takes that back. What it
//! serves is a [`Site`], plain data that can change while it is served.
//!
//! ```no_run
//! use dewpoint_assets_sim::{Attribute, Fault, Mishap, Sim, Site};
//!
//! let mut site = Site::new().with_schema("CLOUD");
//! let schema = site.schema("CLOUD").unwrap().id;
//! let machine = site.add_type(schema, "Machine", None);
//! site.add_attribute(machine, Attribute::text("Provider ID").unique());
//! site.insert(machine, &[("Name", "made by people"), ("Provider ID", "i-0abc")]);
//! let sim = Sim::start(site).unwrap();
//! sim.faults(vec![Fault::new(Mishap::Reset).operation("object_create").nth(3).times(1).after_commit()]);
//! // A client with this address, the user `integration@example.com` and the API token `integration-token` finds the object.
//! let address = sim.url();
//! assert_eq!(sim.rows("Machine").len(), 1);
//! assert_eq!(sim.counters().writes, 0);
//! ```
//!
//! As a program: `cargo run -p dewpoint-assets-sim -- --port 8889 --schema CLOUD`, with `--data-center` for the other product and `--tls` for clients that
//! insist on it; it prints its address and how to log in.
//!
//! # What is served
//!
//! One address is both the site and `api.atlassian.com`.
//!
//! | on Cloud | |
//! |---|---|
//! | `GET /rest/servicedeskapi/assets/workspace` | discovery |
//! | `/jsm/assets/workspace/{ws}/v1/…`, `/gateway/api/jsm/…` | objects, AQL, schemas, types, attributes, statuses, imports, by API token |
//! | `/ex/jira/{cloudId}/…` | the same by OAuth 2.0 and tokens with scopes |
//! | `/jsm/assets/v1/imports/info` | external imports, by the token of an import source |
//! | `GET /oauth/token/accessible-resources` | the site's id, for who has a token of OAuth 2.0 |
//! | `POST /oauth/token` | grants `client_credentials` and `refresh_token`, whose token is good once |
//! | `/rest/api/3/serverInfo`, `myself`, `user/search`, `groups/picker`, `/_edge/tenant_info` | what of Jira a connector needs |
//!
//! | on Data Center ([`Site::data_center`]) | |
//! |---|---|
//! | `/rest/assets/1.0/…` | the same without imports, ids as numbers, searches by `GET /aql/objects` and `POST /object/navlist/aql`, by personal access token |
//! | `/rest/api/2/serverInfo`, `myself`, `user/search`, `groups/picker` | as above |
//!
//! AQL has attributes, keywords, all operators, brackets, `AND`, `OR`, `NOT`, dots, `objectTypeAndChildren`, `object HAVING inboundReferences(…)` and
//! `outboundReferences(…)`, `now()`, `currentUser()` and `ORDER BY`. What has no value is neither equal nor unequal to anything.
//!
//! Not documented, and therefore as hard as it may be: names of new types are unique ([`Site::name_is_unique`]), statuses go by id, an import loses references
//! to what is not there without a word, several values come back in an order of their own. A setting or a field of the site takes each back.
//!
//! # What is left out
//! - Icons as pictures, avatars, comments, attachments, tickets (no object has any), object type properties, roles over HTTP, labels of reference types.
//! - The attribute types project, version, Confluence, and functions of AQL that ask Jira (`connectedTickets`, `user`, `group`, `currentProject`, …).
//! - Imports other than external ones, schedules of imports; mappings know no icons. Data Center: bulk archiving, reindexing, statistics.
//! - Errors are recognised by their status and form; their words are this crate's own, with the fragments in them that clients look for.
//!
//! # Over HTTP
//! Below `/_sim/`, without credentials, with JSON bodies, beside what all simulators have (`health`, `calls`, `counters`, `faults`, `settings`, `advance`,
//! `certificate`):
//!
//! | | |
//! |---|---|
//! | `GET objects` | all objects by key, as people see them |
//! | `POST objects` | `{"type_id": …, "values": [["Name", "web"], …]}` makes an object past all rules, `{"id": …, "values": …}` changes one |
//! | `DELETE objects/ID` | deletes one |
//! | `GET`, `PUT site` | the whole [`Site`], secrets too |
//! | `POST revoke-tokens` | ends all OAuth access tokens |

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
pub use import::{Execution, ImportSource, Missing};
pub use log::{CallRecord, Counters};
pub use object::{Change, Object};
pub use server::Server;
pub use settings::{Clearing, Limits, Reserved, Settings};
pub use sim::{Sim, Start};
pub use site::{
    ALL_SCOPES, Attribute, Deployment, Form, Icon, Kind, OauthClient, ObjectType, ReferenceType, Role, Schema, Secret, Site, StatusType,
    System, Token, User,
};
