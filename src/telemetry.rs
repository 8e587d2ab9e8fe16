//! Logs: tracing spans as text or JSON on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// Errors.
    Quiet,
    /// Warnings.
    Normal,
    /// Runs and changes.
    Verbose,
    /// Pages and requests.
    Debug,
}

/// Sets logging up for the process. `RUST_LOG` wins over `verbosity`. A second call changes nothing.
pub fn init(verbosity: Verbosity, json: bool) {
    let default = match verbosity {
        Verbosity::Quiet => "error",
        Verbosity::Normal => "warn",
        Verbosity::Verbose => "info",
        Verbosity::Debug => "info,dewpoint=debug,dewpoint_aws=debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    // A subscriber that is there already (tests, an embedding program) stays.
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}
