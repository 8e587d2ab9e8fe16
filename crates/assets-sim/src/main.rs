//! The simulator as a program of its own.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use dewpoint_assets_sim::{Settings, Site, Start};
use dewpoint_sim_kit::program;

/// Many small values: the C library's allocator takes longer.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Simulates Jira Service Management Assets, Cloud or Data Center: workspace, schemas, objects, AQL, imports, and what of Jira a connector needs.
///
/// The first line on standard output is its address; how to log in and to drive it follows.
#[derive(Debug, Parser)]
#[command(name = "assets-sim", version)]
struct Arguments {
    #[command(flatten)]
    options: program::Options,
    /// Data Center in place of Cloud
    #[arg(long)]
    data_center: bool,
    /// Object schemas that are there, by their keys
    #[arg(long = "schema", value_name = "KEY")]
    schemas: Vec<String>,
    /// Without rate limits
    #[arg(long)]
    unlimited: bool,
    /// A site as JSON, as `GET /_sim/site` gives it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data_center", "schemas"])]
    site: Option<PathBuf>,
}

fn main() -> ExitCode {
    program::exit("assets-sim", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let options = &arguments.options;
    let mut site = match &arguments.site {
        Some(path) => program::read_json(path, "a site")?,
        None if arguments.data_center => Site::data_center().with_seed(options.seed),
        None => Site::new().with_seed(options.seed),
    };
    for key in &arguments.schemas {
        site = site.with_schema(key);
    }
    let log_in = match site.deployment {
        dewpoint_assets_sim::Deployment::Cloud => [
            "basic:   integration@example.com / integration-token; admin@, developer@, reader@, nobody@ likewise".to_owned(),
            "oauth:   client-id / client-secret at /oauth/token, below /ex/jira/{cloudId}".to_owned(),
        ],
        dewpoint_assets_sim::Deployment::DataCenter => {
            ["bearer:  integration-token; admin-, developer-, reader-, nobody-token likewise".to_owned(), "basic:   off".to_owned()]
        }
    };
    let mut start = Start::new(site);
    start.settings.seed = options.seed;
    if arguments.unlimited {
        start.settings = Settings { ..start.settings }.without_limits();
    }
    let mut introduction = log_in.to_vec();
    introduction.push("control: /_sim/health, calls, counters, faults, settings, site, objects, advance, …".to_owned());
    program::serve(start, options, &introduction)
}
