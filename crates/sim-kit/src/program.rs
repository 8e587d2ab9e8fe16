//! A simulator as a program of its own.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    handle::{Handle, Start},
    product::Product,
};

/// The options that all simulators have.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The port of the loopback interface; 0 takes any that is free
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Where to listen, in place of a port of the loopback interface
    #[arg(long, value_name = "ADDRESS", conflicts_with = "port")]
    pub listen: Option<SocketAddr>,
    /// Speak TLS, with a certificate made now
    #[arg(long)]
    pub tls: bool,
    /// Speak TLS, and write the certificate to trust there; without it that is a file in the temporary directory
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// What is drawn by chance is drawn from this
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl Options {
    fn address(&self) -> SocketAddr {
        self.listen.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, self.port).into())
    }
}

/// Reads a file of JSON; `what` says what it should be, as in `a world`.
///
/// # Errors
/// When it cannot be read or is something else, in a sentence.
pub fn read_json<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T, String> {
    let text = std::fs::read(path).map_err(|error| format!("could not read {}: {error}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{} is not {what}: {error}", path.display()))
}

/// Starts it where the options say, prints the address, on a line of its own, and then the certificate to trust and `introduction`; serves until Ctrl-C or
/// SIGTERM. It speaks TLS when either the options or `start` say so.
///
/// # Errors
/// When it does not start, the certificate cannot be written, nobody reads the address, or signals cannot be heard, in a sentence.
pub fn serve<P: Product>(mut start: Start<P>, options: &Options, introduction: &[String]) -> Result<(), String> {
    start.address = options.address();
    start.tls |= options.tls || options.ca_file.is_some();
    let sim = Handle::start_with(start).map_err(|error| format!("could not listen on {}: {error}", options.address()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
        // Whoever has read the address finds the file.
        let trust = write_authority(&sim, options)?;
        writeln!(std::io::stdout(), "{}", sim.url()).map_err(|error| error.to_string())?;
        for line in trust.iter().chain(introduction) {
            // A program that started it may have read the address and closed the pipe.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}

fn write_authority<P: Product>(sim: &Handle<P>, options: &Options) -> Result<Option<String>, String> {
    let Some(pem) = sim.authority() else { return Ok(None) };
    let path = options.ca_file.clone().unwrap_or_else(|| std::env::temp_dir().join(format!("{}-{}.pem", P::NAME, std::process::id())));
    std::fs::write(&path, pem).map_err(|error| format!("could not write {}: {error}", path.display()))?;
    Ok(Some(format!("trust:   {}", path.display())))
}

/// The program's end: what went wrong on standard error.
pub fn exit(name: &str, result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "{name}: {why}");
            ExitCode::FAILURE
        }
    }
}
