//! A simulator of the AWS query protocols, for tests and benchmarks.
//!
//! It is a real HTTP server and strict: signatures are checked, parameters that an action does not have are refused, pages have their ranges, tokens end, calls are
//! limited as AWS limits them. What it serves is a [`world::World`], plain data that can change while it is served.
//!
//! ```no_run
//! use dewpoint_aws_sim::{Fault, Mishap, Sim, world::World};
//!
//! let mut world = World::new().with_regions(&["eu-west-1"]);
//! let region = world.account("111111111111").region("eu-west-1");
//! region.group("web").allow("tcp", 443, "0.0.0.0/0");
//! let web = region.instance("web-1").of_type("m7g.large").groups(&["web"]).elastic_ip("198.51.100.7").id();
//! let sim = Sim::start(world).unwrap();
//! sim.faults(vec![Fault::new(Mishap::CutBody { share: 0.5 }).action("DescribeInstances").page(2)]);
//! // A client with this endpoint and the account's key finds the machine.
//! let endpoint = sim.url();
//! sim.terminate("111111111111", "eu-west-1", &web).unwrap();
//! assert_eq!(sim.calls().len(), 0);
//! ```
//!
//! # What is served
//!
//! | service | version | actions |
//! |---|---|---|
//! | `ec2` | 2016-11-15 | `DescribeAddresses`, `DescribeAvailabilityZones`, `DescribeInstanceTypes`, `DescribeInstances`, `DescribeNetworkInterfaces`, `DescribeRegions`, `DescribeSecurityGroups`, `DescribeSubnets`, `DescribeVolumes`, `DescribeVpcs` |
//! | `elbv2` | 2015-12-01 | `DescribeListeners`, `DescribeLoadBalancers`, `DescribeRules`, `DescribeTags`, `DescribeTargetGroups`, `DescribeTargetHealth` |
//! | `elb` | 2012-06-01 | `DescribeInstanceHealth`, `DescribeLoadBalancers`, `DescribeTags` |
//! | `autoscaling` | 2011-01-01 | `DescribeAutoScalingGroups` |
//! | `sts` | 2011-06-15 | `AssumeRole`, `GetCallerIdentity` |
//! | `organizations` | 2016-11-28 | `DescribeOrganization`, `ListAccounts` |
//!
//! # Who calls
//! Each account that [`World::account`](world::World::account) makes has one access key, `AKIA` and the account's number to sixteen digits, with the secret
//! `secret/of+NUMBER`. Roles are made by [`Account::role`](world::Account::role). Account, region and service come from the signature.
//!
//! # What differs from AWS
//! - The sizes of the buckets other than EC2's are guesses, since AWS does not publish them; [`Rates`] sets them or takes them away.
//! - Other actions are unknown, `DescribeSecurityGroupRules` among them: rules have no identifiers, and what one permits is read from its group.
//! - Only the filters listed in the code of each action are known, all of them real; AWS has more.
//! - `DescribeNetworkInterfaces` lists any number of interfaces in one answer; AWS refuses when there are many.
//! - With [`Settings::lag_s`] the whole of EC2, Elastic Load Balancing and Auto Scaling is as late as that, evenly; at AWS each answer is late by chance. A single thing
//!   that a single listing misses is [`Effect::MissItem`].
//! - Terminated instances keep their tags until [`world::Change::DropTags`] takes them; at AWS they may lose them at any time.
//! - There is no authorization by policy apart from trusts of roles, [`world::Denial`] and [`Effect::Deny`]. Service control policies exist as denials of a whole
//!   account only: there are no organizational units, no allow lists, and no conditions but the region.
//! - EC2 answers a signature that is more than five minutes off with `RequestExpired`. Its reference speaks of fifteen minutes, and clients report `AuthFailure`.
//!
//! # Over HTTP
//! Below `/_sim/`, without a signature, with JSON bodies:
//!
//! | | |
//! |---|---|
//! | `GET health` | 204 as soon as it serves |
//! | `GET`, `DELETE calls` | the log of calls ([`CallRecord`]); empties it |
//! | `GET counters` | sums over the same ([`Counters`]); an operation is `ec2:DescribeVpcs` |
//! | `GET`, `PUT`, `DELETE faults` | the list of [`Fault`]s |
//! | `GET`, `PUT world` | the whole [`world::World`] |
//! | `POST generate` | adds what a [`world::Spec`] says |
//! | `POST changes` | a list of [`world::Change`]s, made in order up to the first that cannot be |
//! | `GET`, `PUT settings` | the [`Settings`] |
//! | `POST advance` | `{"seconds": 60}` moves the time on |
//! | `POST expire-sessions` | ends all temporary credentials |
//! | `GET certificate` | the certificate to trust, when it speaks TLS |

mod autoscaling;
mod call;
mod calls;
mod control;
mod ec2;
mod elb;
mod elbv2;
mod error;
mod fault;
mod filter;
mod hash;
mod organizations;
mod page;
mod params;
mod rates;
mod server;
mod service;
mod settings;
mod sigv4;
mod sim;
mod sts;
#[cfg(test)]
mod tests;
pub mod world;
mod xml;

pub use calls::CallRecord;
pub use dewpoint_sim_kit::{Bucket, Clock, Counters, Handle, Mishap};
pub use fault::{Effect, Fault};
pub use rates::Rates;
pub use server::Server;
pub use service::Service;
pub use settings::Settings;
pub use sim::{Sim, Start};
