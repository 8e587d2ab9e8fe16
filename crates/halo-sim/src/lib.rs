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
//!
//! # What is served
//! Paths are taken without regard to case.
//!
//! | | |
//! |---|---|
//! | `POST /auth/token?tenant=` | client credentials, scopes, tokens that end by the simulator's clock |
//! | `GET /api/authinfo`, `/api/InstanceInfo`, `/api/swagger` | where to log in; the version; what this version knows, with the published names and types |
//! | `/api/Asset` | lists by pages and by count, single ones with their relationships, `POST` of arrays, `DELETE`, `NextTag` |
//! | `GET /api/AssetChange` | the audit trail: a row for each field that a `POST` changed |
//! | `/api/AssetType`, `AssetGroup`, `Field`, `FieldInfo`, `Status`, `Lookup`, `Client`, `Site` | lists, single ones, `POST`, `DELETE` |
//! | `GET /api/Users`, `Agent`, `Agent/me`, `Team` | who owns what, by name or mail (`search`) |
//!
//! # Who calls
//! A [`Tenant`] has the application [`CLIENT_ID`] with [`CLIENT_SECRET`], which may do everything; an [`Application`] can have less: scopes, an agent to act as, no
//! right to edit, delete or configure, some asset types alone. Every call needs a `User-Agent`, and counts for the rate limit, the one for a token too.
//!
//! # What is odd
//! - Pages need `pageinate=true`, are capped without a word, and overlap unless `order=id` is given. Without pages `record_count` tells of the rows at hand.
//! - `includeinactive=true` alone lists what is inactive alone. Parameters that do not exist are ignored; values of others that do not fit their type are 400.
//! - What has no value is not there: members without text, `value` of a field. Unset dates are `1900-01-01T00:00:00`, and no time names a zone.
//! - `field_id` and other ids on asset types, and `client_id` of a site, are numbers like `101.0`; `keyfield_id` is a row of the type, no field.
//! - `fields` of an update wipe the fields that they do not name. Site names that nothing has are filed under Unknown, owners that there are not are nobody.
//!   Fields that the type does not have, names that no schema has and values that a lookup does not have go nowhere: [`Server::unknown_properties`] tells of them.
//! - A key field of a type shows as `key_field`; writing that does nothing. `third_party_id_string` is not kept.
//! - Relationships are `add_`, `edit_` and `delete_` lists of `{"id", "relationship_id"}` for `child_assets`, `parent_assets` and `sibling_assets`; older versions
//!   ([`RelationshipWrites`]) know none, or replace all there are by `child_assets`. Their names are a lookup, to be found by name among those that lookup 11 lists.
//! - `/api/Status` has the statuses of tickets, with the same ids; those of assets come with `type=asset`, with an asset (`includeallowedstatus`), or with a type
//!   that allows only some (`includedetails`).
//!
//! # What is known, and from where
//! Names and types of properties are the vendor's, from public copies of its OpenAPI description. That nulls are left out, that ids are decimal numbers, that
//! rows of the audit trail are under `changehistory`, `NextTag`'s members, a bare id's refusal (`{"id": ["The value 'x' is not valid."]}`) and the shapes of
//! errors have been seen on tenants by others. Messages but for the two of the rate limit and of tags, the numbers of lookups and the names of relationships are
//! made up. The rest is what the vendor's guides say, or the harder of what may be.
//!
//! # What is left out
//! - Other grants than client credentials; tickets, services, software, contracts, users of assets, attachments, templates, automations.
//! - `_validateonly`, `_donotvalidate`, `_isimport`, the `_match_` members, `matching_field` and `ExternalLink`: they are known and do nothing.
//! - The parameters `advanced_search`, `activeinactive`, `columns_id`, `includechildren`, `user_id`, `order2` and on; `includehierarchy` and what it adds; counts of
//!   related assets. Orders other than by id, tag, key field, site, type, status or time of change are no order.
//! - Relationships leave no row in the audit trail. `POST` of configuration that fails keeps the elements before.
//!
//! # Over HTTP
//! Below `/_sim/`, without credentials, with JSON bodies:
//!
//! | | |
//! |---|---|
//! | `GET health` | 204 as soon as it serves |
//! | `GET`, `DELETE calls` | the log of calls ([`CallRecord`]); empties it |
//! | `GET counters` | sums over the same ([`Counters`]) |
//! | `GET`, `PUT`, `DELETE faults` | the list of [`Fault`]s |
//! | `GET`, `PUT settings` | the [`Settings`] |
//! | `GET`, `PUT tenant` | the whole [`Tenant`], secrets too |
//! | `GET assets`, `GET relationships` | all of them |
//! | `POST assets` | `{"type": "Server", "tag": …, "values": {"Name": …}}` makes an asset past all rules, `{"id": …, "values": {…}}` changes one |
//! | `DELETE assets/ID` | deletes one |
//! | `POST`, `DELETE relationships` | `{"parent": …, "child": …, "relationship_id": …}` past all rules |
//! | `GET unknown-properties` | what was posted and went nowhere, and how often |
//! | `POST expire-tokens` | ends all tokens |
//! | `POST advance` | `{"seconds": 60}` moves the time on |
//! | `GET certificate` | the certificate to trust, when it speaks TLS |

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
