//! The simulator over its socket, as a client that does only what a test says sees it, and as Azure's Python SDKs do.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod access;
mod clients;
mod faults;
mod graph;
mod identity;
mod limits;
mod lists;
mod odd;
mod strict;
mod support;
