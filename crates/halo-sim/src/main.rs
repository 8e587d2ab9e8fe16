//! The simulator as a program of its own.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use dewpoint_halo_sim::{CLIENT_ID, CLIENT_SECRET, RelationshipWrites, Start, Tenant};
use dewpoint_sim_kit::program;

/// The C library's allocator takes a quarter of what a large payload takes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Simulates the REST API of HaloITSM: assets with their configuration, relationships and audit trail, client credentials.
///
/// The first line on standard output is its address; how to log in and to drive it follows.
#[derive(Debug, Parser)]
#[command(name = "halo-sim", version)]
struct Arguments {
    #[command(flatten)]
    options: program::Options,
    /// Let any number of calls in
    #[arg(long)]
    unthrottled: bool,
    /// Be an older version, which knows no lists of relationships to add
    #[arg(long)]
    older: bool,
    /// A tenant as JSON, as `GET /_sim/tenant` gives it
    #[arg(long, value_name = "FILE", conflicts_with = "older")]
    tenant: Option<PathBuf>,
}

fn main() -> ExitCode {
    program::exit("halo-sim", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let options = &arguments.options;
    let mut tenant = match &arguments.tenant {
        None => Tenant::new().with_seed(options.seed),
        Some(path) => program::read_json(path, "a tenant")?,
    };
    if arguments.older {
        tenant = tenant.with_relationships(RelationshipWrites::Replace);
    }
    let name = tenant.name.clone();
    let mut start = Start::new(tenant);
    start.settings.seed = options.seed;
    if arguments.unthrottled {
        start.settings.throttle = None;
    }
    let introduction = [
        format!("oauth:   {CLIENT_ID} / {CLIENT_SECRET} at /auth/token?tenant={name}; a User-Agent is needed"),
        "control: /_sim/health, calls, counters, faults, settings, tenant, assets, relationships, advance, …".to_owned(),
    ];
    program::serve(start, options, &introduction)
}
