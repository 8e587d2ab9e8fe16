//! The command line: arguments in, exit code out. One file per command.

pub mod args;
mod backtest;
mod bootstrap;
mod coverage;
mod doctor;
mod explain;
mod export;
mod holds;
mod ledger;
mod list;
pub mod output;
mod ownership;
mod rules;
mod runs;
mod scopes;
mod show;
mod sync;
mod target;
mod validate;

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use clap::{CommandFactory, FromArgMatches};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tokio::signal::unix::SignalKind;

use self::args::{
    CONFIG_VARIABLE, Cli, Command, CoverageCommand, Global, HoldsCommand, LOG_FORMAT_VARIABLE, LogForm, RUNS_LISTED, RunsCommand,
    ScopesCommand,
};
use self::output::{CommandError, Output, write_out};
use crate::clock::RunClock;
use crate::config::{self, Config, ConfigErrors, LedgerLocation, SecretError};
use crate::deliver;
use crate::exit::Exit;
use crate::ledger::{Ledger, LedgerAddress, LedgerError, Mode};
use crate::model::{Key, Kind};
use crate::run::{self, RunError};
use crate::telemetry::{self, Verbosity};

/// The signal that a write beyond `RLIMIT_FSIZE` raises; the number is that of Linux and the BSDs (signal(7)).
const SIGXFSZ: i32 = 25;

/// What a command has at hand.
pub struct App {
    global: Global,
    output: Output,
}

/// Runs the program with these arguments and returns the exit code.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match parse(&args) {
        Ok(cli) => cli,
        Err(error) => return usage(&args, &error),
    };
    let verbosity = match (cli.global.quiet, cli.global.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, 0) => Verbosity::Normal,
        (false, 1) => Verbosity::Verbose,
        (false, _) => Verbosity::Debug,
    };
    telemetry::init(verbosity, cli.global.log_format == LogForm::Json);
    let app = App { output: Output::new(&cli.global), global: cli.global };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            app.output.error(&CommandError::failed(format!("cannot start: {error}")));
            return Exit::Failed.code();
        }
    };
    let code = match runtime.block_on(Box::pin(app.run(cli.command))) {
        Ok(code) => code,
        Err(error) => {
            app.output.error(&error);
            error.exit_code()
        }
    };
    // A source that still waits for the network must not keep the process alive.
    runtime.shutdown_background();
    code
}

/// The command line as meant. A variable that is set to nothing is not set.
fn parse(args: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    for (argument, variable) in [("config", CONFIG_VARIABLE), ("log_format", LOG_FORMAT_VARIABLE)] {
        if std::env::var_os(variable).is_some_and(|value| value.is_empty()) {
            command = command.mut_arg(argument, |argument| argument.env(None));
        }
    }
    let mut matches = command.try_get_matches_from_mut(args)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// Clap's own errors: help and version are answers, the rest is exit code 2, with a document where one was asked for.
fn usage(args: &[OsString], error: &clap::Error) -> u8 {
    if !error.use_stderr() {
        let _ = error.print();
        return Exit::Done.code();
    }
    let json = args.windows(2).any(|pair| matches!(pair, [flag, form] if flag == "--output" && form == "json"))
        || args.iter().any(|arg| arg == "--output=json");
    if json {
        let rendered = error.render().to_string();
        let text = rendered.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Output::json().error(&CommandError { rendered: Some(rendered), ..CommandError::usage(text) });
    } else {
        let _ = error.print();
    }
    Exit::Usage.code()
}

impl App {
    async fn run(&self, command: Command) -> Result<u8, CommandError> {
        // With a handler in place a file-size limit is an error of the write that meets it, like a full disk, and not the end of the process.
        let _file_size_limit = tokio::signal::unix::signal(SignalKind::from_raw(SIGXFSZ));
        self.dispatch(command).await
    }

    async fn dispatch(&self, command: Command) -> Result<u8, CommandError> {
        let done = |()| Exit::Done.code();
        match command {
            Command::Sync(args) => Box::pin(self.sync(args)).await,
            Command::Plan(args) => Box::pin(self.plan(args)).await,
            Command::Apply { file } => Box::pin(self.apply(&file)).await,
            Command::Validate => self.validate().map(done),
            Command::Doctor => self.doctor().await,
            Command::Bootstrap { target, dry_run } => self.bootstrap(&target, dry_run).await,
            Command::List(args) => self.list(args).await.map(done),
            Command::Show { key } => self.show(&key).await.map(done),
            Command::Explain { key, at } => self.explain(&key, at).await.map(done),
            Command::History { key } => self.history(&key).await.map(done),
            Command::Holds { command } => self.holds(command.unwrap_or(HoldsCommand::List { rejected: false })).await.map(done),
            Command::Retry { keys, target, list } => self.retry(&keys, target, list).await.map(done),
            Command::Runs { command } => self.runs(command.unwrap_or(RunsCommand::List { limit: RUNS_LISTED })).await.map(done),
            Command::Coverage { command } => self.coverage(command.unwrap_or(CoverageCommand::Show)).await.map(done),
            Command::Scopes { command } => self.scopes(command.unwrap_or(ScopesCommand::List)).await.map(done),
            Command::Target(command) => self.target(command).await,
            Command::Rules(command) => self.rules(&command).await,
            Command::Ownership => self.ownership().await.map(done),
            Command::Export { format, out } => self.export(format, out.as_deref()).await.map(done),
            Command::Ledger(command) => self.ledger_command(command).await,
            Command::Schema => write_out(&format!("{:#}\n", config::schema())).map(done),
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Cli::command(), "dewpoint", &mut script);
                write_out(&String::from_utf8_lossy(&script)).map(done)
            }
        }
    }

    /// The configuration, or every error in it.
    fn config(&self) -> Result<Config, CommandError> {
        config::load(&self.global.config).map_err(|errors| config_errors(&errors, "configuration", self.output.colour))
    }

    /// [`Self::config`] for what acts by it: logs what will hardly be meant in it.
    fn warned_config(&self) -> Result<Config, CommandError> {
        let config = self.config()?;
        warn_of(&config);
        Ok(config)
    }

    async fn ledger(&self, config: &Config, mode: Mode) -> Result<Arc<dyn Ledger>, CommandError> {
        crate::ledger::open(&address(config)?, mode).await.map(Arc::from).map_err(ledger_error)
    }

    async fn has_ledger(&self, config: &Config) -> Result<bool, CommandError> {
        crate::ledger::exists(&address(config)?).await.map_err(ledger_error)
    }

    /// The configuration and the ledger, for commands that only read.
    async fn reading(&self) -> Result<(Config, Arc<dyn Ledger>), CommandError> {
        let config = self.config()?;
        let ledger = self.ledger(&config, Mode::Read).await?;
        Ok((config, ledger))
    }

    /// The configuration and the ledger, for commands that write to one that exists.
    async fn writing(&self) -> Result<(Config, Arc<dyn Ledger>), CommandError> {
        let config = self.config()?;
        let ledger = self.ledger(&config, Mode::ReadWrite { create: false }).await?;
        Ok((config, ledger))
    }
}

/// Logs what will hardly be meant in a configuration.
fn warn_of(config: &Config) {
    for warning in &config.warnings {
        let help = warning.help.as_deref().unwrap_or_default();
        tracing::warn!(config.file = %warning.file, config.line = warning.line, config.column = warning.column, help, "{warning}");
    }
}

/// All errors of a file, as the user sees them.
fn config_errors(errors: &ConfigErrors, code: &'static str, colour: bool) -> CommandError {
    let first = errors.errors().first().map(ToString::to_string).unwrap_or_default();
    let more = errors.errors().len().saturating_sub(1);
    let text = if more == 0 { first } else { format!("{first} (and {more} more)") };
    CommandError {
        errors: errors.errors().iter().filter_map(|error| serde_json::to_value(error).ok()).collect::<Vec<Value>>(),
        rendered: Some(errors.render(colour)),
        ..CommandError::new(Exit::Usage, code, text)
    }
}

/// Changes the estate while no sync works on it.
async fn alone<T>(ledger: &Arc<dyn Ledger>, work: impl Future<Output = Result<T, LedgerError>>) -> Result<T, CommandError> {
    let clock = Arc::new(RunClock::new(None));
    run::alone(ledger, clock, &deliver::holder(rand::random()), work).await.map_err(|error| match error {
        RunError::Ledger(error) => ledger_error(error),
        error => sync::run_error(error),
    })
}

/// The ledger's address; the configuration has checked its form, save where the whole of it is a secret.
fn address(config: &Config) -> Result<LedgerAddress, CommandError> {
    match config.ledger_location().map_err(secret_error)? {
        LedgerLocation::Sqlite(path) => Ok(LedgerAddress::Sqlite { path }),
        LedgerLocation::Postgres(url) => LedgerAddress::parse(url.expose_secret(), Path::new(""), None)
            .map_err(|error| CommandError::of(Exit::Usage, "ledger", &error).hint("write it as `postgres://user@host:5432/database`")),
    }
}

/// A secret that cannot be used, as the user sees it.
#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
fn secret_error(error: SecretError) -> CommandError {
    CommandError::of(Exit::Usage, "secret", &error).hint(error.hint())
}

/// A failure of the ledger, as the user sees it.
#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
fn ledger_error(error: LedgerError) -> CommandError {
    let hint = error.hint();
    let exit = if matches!(error, LedgerError::Unsupported { .. }) { Exit::Usage } else { Exit::Failed };
    let shown = CommandError::of(exit, "ledger", &error);
    match hint {
        Some(hint) => shown.hint(hint),
        None => shown,
    }
}

/// The one resource that a text names: a key, or a native id or name that only one has.
async fn resolve(ledger: &dyn Ledger, text: &str) -> Result<Key, CommandError> {
    const CANDIDATES_MAX: u32 = 20;
    if let Ok(key) = text.parse::<Key>()
        && ledger.resource(&key).await.map_err(ledger_error)?.is_some()
    {
        return Ok(key);
    }
    let mut found = ledger.search(text, CANDIDATES_MAX).await.map_err(ledger_error)?;
    // What has ended answers only where nothing that lives does: a machine that moved has left its name to its new key.
    if found.iter().any(|candidate| candidate.is_live) {
        found.retain(|candidate| candidate.is_live);
    }
    match found.as_slice() {
        [] => Err(CommandError::usage(format!("nothing is known under `{text}`")).hint("`dewpoint list` shows what is known")),
        [one] => Ok(one.key.clone()),
        many => {
            let at_least = if many.len() < CANDIDATES_MAX as usize { "" } else { "at least " };
            let mut error = CommandError::usage(format!("`{text}` names {at_least}{} resources", many.len())).hint("give one of the keys");
            let names: Vec<String> = many.iter().map(|candidate| format!("\n  {} ({})", candidate.key, candidate.kind)).collect();
            error.rendered = Some(format!("error: {}:{}", error.text, names.concat()));
            error.errors = many
                .iter()
                .map(|candidate| serde_json::json!({ "key": candidate.key, "kind": candidate.kind, "name": candidate.name }))
                .collect();
            Err(error)
        }
    }
}

/// A table for people: columns padded to their widest cell, no borders.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default())
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// `instances` for 2, `instance` for 1.
fn kinds(kind: Kind, count: usize) -> String {
    let word = kind.as_str().replace('_', " ");
    match (count, word.strip_suffix('y')) {
        (1, _) => word,
        (_, Some(stem)) => format!("{stem}ies"),
        (_, None) if word.ends_with('s') => format!("{word}es"),
        (_, None) => format!("{word}s"),
    }
}
