//! A simulator of Azure Resource Manager and what belongs to it, for tests and benchmarks.
//!
//! It is a real HTTP server and strict: tokens are judged, `api-version`s and options that a call does not have are refused, pages are uneven, roles filter lists
//! without a word, calls are limited as Azure limits them. Where Azure's behaviour is not known, it does what is harder on a client. What it serves is a
//! [`world::World`], plain data that can change while it is served.
//!
//! ```no_run
//! use dewpoint_azure_sim::{Effect, Fault, Sim, world::{Change, World}};
//!
//! let mut world = World::new();
//! let subscription = world.subscription("prod");
//! let mut group = subscription.group("rg-app", "westeurope");
//! let pool = group.load_balancer("front").pool("web", 443, 8443).pool_id("web");
//! let web = group.vm("web-1").size("Standard_D4s_v5").tag("env", "prod").pool(&pool).public_ip("198.51.100.7").id();
//! group.uniform_set("workers", 3).spot();
//! let sim = Sim::start(world).unwrap();
//! sim.faults(vec![Fault::new(Effect::ProviderError).operation("virtualMachines.list").page(3)]);
//! // A client with this address as endpoint and as authority, which trusts `authority`, finds the machine.
//! let (address, authority) = (sim.url(), sim.authority());
//! sim.apply(&Change::Move { id: web, group: "rg-other".to_owned() }).unwrap();
//! assert_eq!(sim.calls().len(), 0);
//! ```
//!
//! As a program: `cargo run -p dewpoint-azure-sim -- --port 4443 --subscriptions 3 --vms 2000`; it prints its address, the certificate to trust and how to log in.
//! It speaks TLS unless told not to (`Start::tls`, `--plain`): Azure's clients send no token without.
//!
//! # What is served
//!
//! | | |
//! |---|---|
//! | `POST /TENANT/oauth2/v2.0/token` | client credentials with a secret, an assertion signed by a registered certificate (RS256, PS256), or another issuer's token; errors with their AADSTS numbers |
//! | `/common/discovery/instance`, `/TENANT/v2.0/.well-known/openid-configuration` | what MSAL asks first |
//! | `GET /metadata/identity/oauth2/token` | the instance metadata service |
//! | `GET /msi/token` | `$IDENTITY_ENDPOINT` of App Service and Container Apps; `$IDENTITY_HEADER` is [`Settings::identity_header`] |
//! | `GET /metadata/endpoints` | what a cloud of its own says of itself |
//! | `/subscriptions`, `/tenants`, `/subscriptions/ID`, its `locations`, `resourcegroups`, `resources`, permissions | |
//! | `/providers/Microsoft.Management/managementGroups/NAME`, its `descendants` | |
//! | virtual machines | all and per group, `statusOnly=true`, `$filter` by flexible scale set, with `$expand=instanceView` only then; single, with `$expand`; `instanceView` |
//! | scale sets | uniform ones' `virtualMachines` (`$expand=instanceView`), single instances, `networkInterfaces`, `publicipaddresses` |
//! | disks, network interfaces, network and application security groups, virtual networks, public addresses, load balancers, application gateways | all, per group, single |
//! | `Microsoft.Compute/skus` | `$filter=location eq 'westeurope'` |
//! | `POST /providers/Microsoft.ResourceGraph/resources` | `Resources`, `ComputeResources`, `ResourceContainers` with `where` (`==`, `=~`, `!=`, `!~`, `in`, `in~`, joined by `and`), `project`, `extend`, `order by`, `limit`, `count`, `summarize count() by` |
//!
//! # Who calls
//! A world has the tenant [`world::TENANT`] and the application [`world::CLIENT`] with the secret [`world::CLIENT_SECRET`], a reader of everything.
//! [`World::application`](world::World::application) makes and changes others: roles at any scope, secrets that end, certificates, federated issuers, managed
//! identities. Tokens need no memory: simulators with the same [`Settings::seed`] and tenant take each other's, so that one in plain HTTP can stand in for the
//! metadata service beside one that speaks TLS.
//!
//! # What is odd as at Azure
//! - The resource group is in capitals in ids of machines ([`Settings::vm_case`]), as it was made in those of interfaces, in small letters in Resource Graph, and in
//!   any case in `managedBy` of disks and `virtualMachine` of interfaces.
//! - The second page of a list with several is empty; `nextLink` of a last page is missing, null or empty, by kind; links have `:443` where the caller named no port.
//! - A `Deleting` machine is listed and not found by itself; some items with `statusOnly=true` have no `vmId`; disks can have `null` tags; interfaces of uniform
//!   sets have neither type nor location.
//! - The subscription's own count of calls, the network provider's and compute's are kept apart ([`Rates`]).
//! - Resource Graph can be late ([`Settings::graph_lag_s`]) and leave rows out without saying so ([`Settings::graph_missing`]).
//!
//! # What is left out
//! - Anything that writes, `$batch`, `useResourceGraph=true`, `$select` and `$filter` on instances of scale sets, backend health, peerings, other providers, private
//!   links, extensions of machines, other filters than those named.
//! - Of the query language all else, and facets. A query that uses them is refused as one that cannot be read.
//! - `/subscriptions/ID/resources` is never late; at Azure it comes out of a cache.
//! - Any subscription is at any region: limits are not counted by region.
//! - Roles are evaluated by action and scope alone: no deny assignments, no conditions, no delay until they are seen.
//! - Tokens are signed by a secret of the simulator's: clients are not meant to read them.
//! - What a list of an unregistered provider answers is not known ([`Unregistered`]).
//!
//! # Over HTTP
//! Below `/_sim/`, without credentials, with JSON bodies:
//!
//! | | |
//! |---|---|
//! | `GET health` | 204 as soon as it serves |
//! | `GET`, `DELETE calls` | the log of calls ([`CallRecord`]); empties it |
//! | `GET counters` | sums over the same ([`Counters`]); an operation is `virtualMachines.list` |
//! | `GET`, `PUT`, `DELETE faults` | the list of [`Fault`]s |
//! | `GET`, `PUT world` | the whole [`world::World`], secrets too |
//! | `POST generate` | adds what a [`world::Spec`] says |
//! | `POST changes` | a list of [`world::Change`]s, made in order up to the first that cannot be |
//! | `GET`, `PUT settings` | the [`Settings`] |
//! | `POST advance` | `{"seconds": 60}` moves the time on |
//! | `POST expire-tokens` | ends all access tokens |
//! | `GET certificate` | the certificate to trust, when it speaks TLS |

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
pub use dewpoint_sim_kit::{Bucket, Clock, Counters, Handle, Mishap};
pub use fault::{Effect, Fault};
pub use rates::Rates;
pub use render::GroupCase;
pub use server::Server;
pub use settings::{Settings, Unregistered};
pub use sim::{Sim, Start};
