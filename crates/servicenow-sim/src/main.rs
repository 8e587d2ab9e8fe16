//! The simulator as a program of its own.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use dewpoint_servicenow_sim::{Instance, Sim, Start};

/// Simulates a ServiceNow instance: Table API, Identification and Reconciliation API, CMDB Meta, CMDB Instance, aggregates, batch, OAuth.
///
/// The first line on standard output is its address; how to log in and to drive it follows.
#[derive(Debug, Parser)]
#[command(name = "servicenow-sim", version)]
struct Arguments {
    /// The port of the loopback interface; 0 takes any that is free
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Where to listen, in place of a port of the loopback interface
    #[arg(long, value_name = "ADDRESS", conflicts_with = "port")]
    listen: Option<SocketAddr>,
    /// Speak TLS, with a certificate made now
    #[arg(long)]
    tls: bool,
    /// Where to write the certificate to trust; without it a file in the temporary directory
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca_file: Option<PathBuf>,
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
    /// What is drawn by chance is drawn from this
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "servicenow-sim: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), String> {
    let mut instance = match &arguments.instance {
        None if arguments.bare => Instance::bare().with_seed(arguments.seed),
        None => Instance::new().with_seed(arguments.seed),
        Some(path) => {
            let text = std::fs::read(path).map_err(|error| format!("could not read {}: {error}", path.display()))?;
            serde_json::from_slice(&text).map_err(|error| format!("{} is not an instance: {error}", path.display()))?
        }
    };
    for name in &arguments.data_sources {
        instance.add_data_source(name);
    }
    if arguments.client_credentials {
        instance = instance.with_client_credentials();
    }
    let mut start = Start::new(instance);
    start.address = arguments.listen.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, arguments.port).into());
    start.settings.seed = arguments.seed;
    start.tls = arguments.tls;
    let address = start.address;
    let sim = Sim::start_with(start).map_err(|error| format!("could not listen on {address}: {error}"))?;
    let text = introduction(&sim, arguments.ca_file, !arguments.client_credentials)?;
    writeln!(std::io::stdout(), "{}", sim.url()).map_err(|error| error.to_string())?;
    // A program that started it may have read the address and closed the pipe.
    let _ = writeln!(std::io::stdout(), "{text}");
    // Whoever started it ends it.
    loop {
        std::thread::park_timeout(Duration::from_secs(3600));
    }
}

/// How to reach it, and how to log in.
fn introduction(sim: &Sim, ca_file: Option<PathBuf>, is_grant_off: bool) -> Result<String, String> {
    let mut lines = Vec::new();
    if let Some(pem) = sim.authority() {
        let path = ca_file.unwrap_or_else(|| std::env::temp_dir().join(format!("servicenow-sim-{}.pem", std::process::id())));
        std::fs::write(&path, pem).map_err(|error| format!("could not write {}: {error}", path.display()))?;
        lines.push(format!("trust:   {}", path.display()));
    }
    let grant = if is_grant_off { " (the client-credentials grant is off: --client-credentials)" } else { "" };
    lines.push("basic:   integration / integration-password (role itil), admin / admin-password, nobody / nobody-password".to_owned());
    lines.push(format!("oauth:   client-id / client-secret at /oauth_token.do{grant}"));
    lines.push("control: /_sim/health, calls, counters, faults, settings, tables, instance, records, data-sources, advance, …".to_owned());
    Ok(lines.join("\n"))
}
