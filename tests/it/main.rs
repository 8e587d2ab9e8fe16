//! Tests of the program as its user runs it: arguments in; exit code, standard output, ledger and CMDB out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(unreachable_pub, missing_docs, reason = "nobody links to a test")]

mod support;

mod assets;
mod aws;
mod azure;
mod backtest;
mod bad_input;
mod commands;
mod ends;
mod fuzz;
mod guardrails;
mod halo;
mod kill;
mod layers;
mod moto;
mod properties;
mod quickstart;
mod recovery;
mod rules;
mod scenarios;
mod scripts;
mod servicenow;
mod targets;
