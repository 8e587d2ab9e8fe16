//! What the simulators have in common, whatever they simulate: an HTTP server that breaks on demand, a clock that tests move, faults by script, token
//! buckets, a log of calls, and the controls to drive all of it from a test or over HTTP.
//!
//! A simulator implements [`Product`]: what it serves, how it answers a request, and what of it can be controlled beside what all have. [`Handle::start`] puts
//! it on a port. Its own faults are [`Rule`]s, with a [`Timing`]; what may befall any answer on its way is a [`Mishap`]. The tests of this crate hold a small
//! one, whole.
//!
//! Every simulator is driven over HTTP below `/_sim/`, without credentials, with JSON bodies, by this:
//!
//! | | |
//! |---|---|
//! | `GET health` | 204 as soon as it serves |
//! | `GET`, `DELETE calls` | the log of calls; empties it, and the sums |
//! | `GET counters` | sums over the same |
//! | `GET`, `PUT`, `DELETE faults` | the list of faults |
//! | `GET`, `PUT settings` | the settings |
//! | `POST advance` | `{"seconds": 60}` moves the time on |
//! | `GET certificate` | the certificate to trust, when it speaks TLS |

mod bucket;
mod calls;
pub mod clock;
pub mod control;
mod fault;
pub mod form;
mod handle;
pub mod hash;
mod http;
mod message;
mod mishap;
mod past;
mod product;
pub mod program;
pub mod testing;
mod tls;

pub use bucket::{Bucket, Level};
pub use calls::{Counters, Log, Record};
pub use clock::Clock;
pub use fault::{Rule, Script, Timing};
pub use handle::{Handle, Start};
pub use jiff::Timestamp;
pub use message::{Delivery, Outcome, Request, Response, reason};
pub use mishap::{Mishap, part};
pub use past::Past;
pub use product::{Common, Product};
