//! The simulator as a program of its own.

use std::{io::Write as _, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use dewpoint_aws_sim::{
    Rates, Sim, Start,
    world::{Spec, World},
};

/// Simulates the AWS query protocols: EC2, Elastic Load Balancing of both generations, Auto Scaling, STS and Organizations.
///
/// The first line on standard output is the endpoint. Accounts that are generated have the access key `AKIA0000` and their number, with the secret
/// `secret/of+NUMBER`. Everything else is driven over HTTP, below /_sim/.
#[derive(Debug, Parser)]
#[command(name = "aws-sim", version)]
struct Arguments {
    /// Where to listen; port 0 takes any that is free
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
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
    /// What is drawn by chance is drawn from this
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Never answer that there were too many calls
    #[arg(long)]
    no_rate_limits: bool,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "aws-sim: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), String> {
    let mut world = match &arguments.world {
        None => World::new(),
        Some(path) => {
            let text = std::fs::read(path).map_err(|error| format!("could not read {}: {error}", path.display()))?;
            serde_json::from_slice(&text).map_err(|error| format!("{} is not a world: {error}", path.display()))?
        }
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
        seed: arguments.seed,
        ..Spec::default()
    };
    if arguments.world.is_none() || arguments.instances > 0 {
        world.add(&spec);
    }
    let mut start = Start::new(world);
    start.address = arguments.listen;
    start.settings.seed = arguments.seed;
    if arguments.no_rate_limits {
        start.settings.rates = Rates::unlimited();
    }
    let sim = Sim::start_with(start).map_err(|error| format!("could not listen on {}: {error}", arguments.listen))?;
    writeln!(std::io::stdout(), "{}", sim.url()).map_err(|error| error.to_string())?;
    // Whoever started it ends it.
    loop {
        std::thread::park_timeout(Duration::from_secs(3600));
    }
}
