//! The simulator as a program of its own.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use dewpoint_azure_sim::{
    Rates, Start,
    world::{CLIENT, CLIENT_SECRET, Spec, TENANT, World},
};
use dewpoint_sim_kit::program;

/// Simulates Azure: Resource Manager, Entra's token endpoint, managed identities, Resource Graph.
///
/// It speaks TLS, because Azure's clients send no token without; `--plain` takes that back. The first line on standard output is its address, for the Resource
/// Manager endpoint and for the authority; how to log in and to drive it follows.
#[derive(Debug, Parser)]
#[command(name = "azure-sim", version)]
struct Arguments {
    #[command(flatten)]
    options: program::Options,
    /// Speak plain HTTP, as the endpoints of managed identities do
    #[arg(long, conflicts_with_all = ["tls", "ca_file"])]
    plain: bool,
    /// A world as JSON, as `GET /_sim/world` gives it
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// Subscriptions to generate
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    subscriptions: usize,
    /// Machines to generate in all, instances of scale sets among them
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    vms: usize,
    /// Never answer that there were too many calls
    #[arg(long)]
    no_rate_limits: bool,
}

fn main() -> ExitCode {
    program::exit("azure-sim", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let options = &arguments.options;
    let mut world: World = match &arguments.world {
        None => World::new(),
        Some(path) => program::read_json(path, "a world")?,
    };
    if arguments.world.is_none() || arguments.vms > 0 {
        world.add(&Spec { subscriptions: arguments.subscriptions, vms: arguments.vms, seed: options.seed });
    }
    let mut start = Start::new(world);
    start.tls = !arguments.plain;
    start.settings.seed = options.seed;
    if arguments.no_rate_limits {
        start.settings.rates = Rates::unlimited();
    }
    let introduction = [
        format!("tenant:  {TENANT}"),
        format!("client:  {CLIENT} / {CLIENT_SECRET}"),
        "control: /_sim/health, calls, counters, faults, settings, world, generate, changes, expire-tokens, advance, …".to_owned(),
    ];
    program::serve(start, options, &introduction)
}
