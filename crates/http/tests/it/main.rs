//! The client against a server that sends any bytes it is told to, and the parts that need no server.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod answers;
mod auth;
mod breaker;
mod budget;
mod places;
mod repeats;
mod secrets;
mod support;
mod time;
mod transport;
