//! The simulator as a program of its own.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use dewpoint_servicenow_sim::{Instance, Start};
use dewpoint_sim_kit::program;

/// The C library's allocator takes a quarter of what a large payload takes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Simulates a ServiceNow instance: Table API, Identification and Reconciliation API, CMDB Meta, CMDB Instance, aggregates, batch, OAuth.
///
/// The first line on standard output is its address; how to log in and to drive it follows.
#[derive(Debug, Parser)]
#[command(name = "servicenow-sim", version)]
struct Arguments {
    #[command(flatten)]
    options: program::Options,
    /// Data sources that are registered
    #[arg(long = "data-source", value_name = "NAME")]
    data_sources: Vec<String>,
    /// Switch the client-credentials grant on, which is off on a new instance
    #[arg(long)]
    client_credentials: bool,
    /// Leave the store app "CMDB CI Class Models" out
    #[arg(long)]
    bare: bool,
    /// An instance as JSON, as `GET /_sim/instance` gives it
    #[arg(long, value_name = "FILE", conflicts_with = "bare")]
    instance: Option<PathBuf>,
}

fn main() -> ExitCode {
    program::exit("servicenow-sim", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let options = &arguments.options;
    let mut instance = match &arguments.instance {
        None if arguments.bare => Instance::bare().with_seed(options.seed),
        None => Instance::new().with_seed(options.seed),
        Some(path) => program::read_json(path, "an instance")?,
    };
    for name in &arguments.data_sources {
        instance.add_data_source(name);
    }
    if arguments.client_credentials {
        instance = instance.with_client_credentials();
    }
    let mut start = Start::new(instance);
    start.settings.seed = options.seed;
    let grant = if arguments.client_credentials { "" } else { " (the client-credentials grant is off: --client-credentials)" };
    let introduction = [
        "basic:   integration / integration-password (role itil), admin / admin-password, nobody / nobody-password".to_owned(),
        format!("oauth:   client-id / client-secret at /oauth_token.do{grant}"),
        "control: /_sim/health, calls, counters, faults, settings, tables, instance, records, data-sources, advance, …".to_owned(),
    ];
    program::serve(start, options, &introduction)
}
