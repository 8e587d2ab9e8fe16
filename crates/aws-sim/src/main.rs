//! The simulator as a program of its own.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use dewpoint_aws_sim::{
    Rates, Start,
    world::{Spec, World},
};
use dewpoint_sim_kit::program;

/// Simulates the AWS query protocols: EC2, Elastic Load Balancing of both generations, Auto Scaling, STS and Organizations.
///
/// The first line on standard output is the endpoint. Accounts that are generated have the access key `AKIA0000` and their number, with the secret
/// `secret/of+NUMBER`. Everything else is driven over HTTP, below /_sim/.
#[derive(Debug, Parser)]
#[command(name = "aws-sim", version)]
struct Arguments {
    #[command(flatten)]
    options: program::Options,
    /// A world as JSON, as `GET /_sim/world` gives it
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// The account to generate into
    #[arg(long, default_value = "111111111111", value_name = "ID")]
    account: String,
    /// The region to generate into
    #[arg(long, default_value = "eu-west-1")]
    region: String,
    /// Instances to generate
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    instances: usize,
    /// Security groups to generate
    #[arg(long, default_value_t = 10, value_name = "COUNT")]
    groups: usize,
    /// Interfaces per generated instance
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    interfaces_per: usize,
    /// Volumes per generated instance
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    volumes_per: usize,
    /// Application and network balancers to generate, each with a target group
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    balancers: usize,
    /// Classic balancers to generate
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    classic_balancers: usize,
    /// Scaling groups to generate
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    scaling_groups: usize,
    /// Never answer that there were too many calls
    #[arg(long)]
    no_rate_limits: bool,
}

fn main() -> ExitCode {
    program::exit("aws-sim", run(Arguments::parse()))
}

fn run(arguments: Arguments) -> Result<(), String> {
    let options = &arguments.options;
    let mut world: World = match &arguments.world {
        None => World::new(),
        Some(path) => program::read_json(path, "a world")?,
    };
    let spec = Spec {
        account: arguments.account,
        region: arguments.region,
        instances: arguments.instances,
        groups: arguments.groups,
        interfaces_per: arguments.interfaces_per,
        volumes_per: arguments.volumes_per,
        balancers: arguments.balancers,
        classic_balancers: arguments.classic_balancers,
        scaling_groups: arguments.scaling_groups,
        seed: options.seed,
        ..Spec::default()
    };
    if arguments.world.is_none() || arguments.instances > 0 {
        world.add(&spec);
    }
    let mut start = Start::new(world);
    start.settings.seed = options.seed;
    if arguments.no_rate_limits {
        start.settings.rates = Rates::unlimited();
    }
    program::serve(start, options, &[])
}
