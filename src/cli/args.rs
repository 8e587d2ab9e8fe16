//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;

use crate::estate::Stage;
use crate::model::{Digest, Kind, SourceName, TargetName, UnknownWord};

/// Names the configuration file where the command line does not.
pub const CONFIG_VARIABLE: &str = "DEWPOINT_CONFIG";
/// Says the form of the logs where the command line does not.
pub const LOG_FORMAT_VARIABLE: &str = "DEWPOINT_LOG_FORMAT";

/// Keeps a CMDB true about the clouds: pulls AWS and Azure, applies lifecycle rules, pushes reconciled configuration items.
#[derive(Debug, Parser)]
#[command(name = "dewpoint", version, max_term_width = 120, arg_required_else_help = true)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Configuration file; paths inside it are relative to it.
    #[arg(short, long, global = true, env = CONFIG_VARIABLE, default_value = "dewpoint.yaml", value_name = "PATH")]
    pub config: PathBuf,
    /// Form of the answer on standard output; everything else goes to standard error.
    #[arg(long, global = true, value_enum, default_value_t = OutputForm::Text)]
    pub output: OutputForm,
    /// Form of the logs on standard error.
    #[arg(long, global = true, value_enum, env = LOG_FORMAT_VARIABLE, default_value_t = LogForm::Text)]
    pub log_format: LogForm,
    /// More logs and longer lists; twice for still more.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Errors only.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// Form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputForm {
    /// For people.
    Text,
    /// One JSON document with `schema_version`.
    Json,
}

/// Form of the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// One sync: pull, decide, plan, apply.
    Sync(SyncArgs),
    /// What a sync would do, without doing it and without writing to the ledger.
    Plan(PlanArgs),
    /// Apply a saved plan.
    Apply {
        /// The file that `plan --out` wrote.
        file: PathBuf,
    },
    /// Check the configuration, offline.
    Validate,
    /// Check every source, every target and the ledger, online.
    Doctor,
    /// Make what a target needs before anything can be delivered to it.
    Bootstrap {
        /// The target.
        target: TargetName,
        /// Only say what would be made.
        #[arg(long)]
        dry_run: bool,
    },
    /// List CIs.
    List(ListArgs),
    /// Show one CI: attributes, relations, records.
    Show {
        /// A key, or a native id or name that only one resource has.
        key: String,
    },
    /// Say why a resource stands where it stands, and what will happen next.
    Explain {
        /// A key, or a native id or name that only one resource has.
        key: String,
        /// Explain as if it were this time, such as `2026-02-01T00:00:00Z` (RFC 3339), for what was synced by `--at`; only where all sources are
        /// files. Without: now, or the time of the last sync where that is later.
        #[arg(long, value_name = "TIME")]
        at: Option<Timestamp>,
    },
    /// What was seen, decided and delivered about a resource.
    History {
        /// A key, or a native id or name that only one resource has.
        key: String,
    },
    /// What guardrails stopped; without a command, the open holds.
    Holds {
        /// What to do with them.
        #[command(subcommand)]
        command: Option<HoldsCommand>,
    },
    /// Make parked and failed deliveries due at once.
    Retry {
        /// Only these keys; all of them without.
        keys: Vec<String>,
        /// Only this target.
        #[arg(long)]
        target: Option<TargetName>,
        /// List what failed or is parked instead.
        #[arg(long)]
        list: bool,
    },
    /// Past runs; without a command, the latest.
    Runs {
        /// What to do with them.
        #[command(subcommand)]
        command: Option<RunsCommand>,
    },
    /// How each scope was last listed.
    Coverage {
        /// What to do with them.
        #[command(subcommand)]
        command: Option<CoverageCommand>,
    },
    /// Every scope with its source, and what becomes of those that no source covers any more.
    Scopes {
        /// What to do with them.
        #[command(subcommand)]
        command: Option<ScopesCommand>,
    },
    /// Targets: pause, resume, rebind, recover.
    #[command(subcommand)]
    Target(TargetCommand),
    /// Lifecycle rules: show them, test them.
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Who owns what: CIs without an owner, and tags that would tell one.
    Ownership,
    /// Write the inventory as JSON (a valid `file` source) or CSV (for people).
    Export {
        /// Form of the export.
        #[arg(long, value_enum, default_value_t = ExportForm::Json)]
        format: ExportForm,
        /// Where to; standard output without, or with `-`.
        #[arg(short = 'o', long)]
        out: Option<PathBuf>,
    },
    /// The ledger itself.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Print the JSON Schema of the configuration: itself, whatever `--output` says.
    Schema,
    /// Print a completion script: itself, whatever `--output` says.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
}

/// One of the words of a closed set; a slip of the pen is told with the nearest.
fn word<T>(words: impl IntoIterator<Item = &'static str>) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = UnknownWord> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| word.parse::<T>())
}

fn kinds() -> impl TypedValueParser<Value = Kind> {
    word(Kind::ALL.iter().map(|kind| kind.as_str()))
}

fn stages() -> impl TypedValueParser<Value = Stage> {
    word(Stage::ALL.iter().map(|stage| stage.as_str()))
}

/// Which sources and targets take part, and at what time.
#[derive(Debug, Clone, Default, Args)]
pub struct Selection {
    /// Only this source; repeatable.
    #[arg(long = "source", value_name = "NAME")]
    pub sources: Vec<SourceName>,
    /// Only this target; repeatable.
    #[arg(long = "target", value_name = "NAME")]
    pub targets: Vec<TargetName>,
    /// Run as if it were this time, such as `2026-02-01T00:00:00Z` (RFC 3339); only where all sources are files.
    #[arg(long, value_name = "TIME")]
    pub at: Option<Timestamp>,
}

/// Arguments of `sync`.
#[derive(Debug, Clone, Default, Args)]
pub struct SyncArgs {
    /// Sources, targets, time.
    #[command(flatten)]
    pub selection: Selection,
    /// Approve a hold, also one that only `plan` has shown; repeatable.
    #[arg(long = "approve", value_name = "HOLD")]
    pub approve: Vec<Digest>,
    /// Pull, decide and remember, but send nothing to any target.
    #[arg(long)]
    pub pause_writes: bool,
}

/// Arguments of `plan`.
#[derive(Debug, Clone, Default, Args)]
pub struct PlanArgs {
    /// Sources, targets, time.
    #[command(flatten)]
    pub selection: Selection,
    /// End with 6 when changes are pending, 4 when something is held, 3 when scopes are missing.
    #[arg(long)]
    pub exit_code: bool,
    /// Ask the targets what they would do, and set it beside the plan: ServiceNow through its query endpoint, which commits nothing.
    #[arg(long)]
    pub verify: bool,
    /// Save the plan with what it rests on, for `dewpoint apply`.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Arguments of `list`.
#[derive(Debug, Clone, Default, Args)]
pub struct ListArgs {
    /// Only these kinds.
    #[arg(long, value_name = "KIND", value_parser = kinds())]
    pub kind: Vec<Kind>,
    /// Only these stages.
    #[arg(long, value_name = "STAGE", value_parser = stages())]
    pub stage: Vec<Stage>,
    /// Only these accounts.
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Vec<String>,
    /// Only with this tag: `KEY` or `KEY=VALUE`; repeatable, all must fit.
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
}

/// Commands of `holds`.
#[derive(Debug, Subcommand)]
pub enum HoldsCommand {
    /// Open holds.
    List {
        /// What people rejected instead, as long as that stands.
        #[arg(long)]
        rejected: bool,
    },
    /// One hold with its changes.
    Show {
        /// The hold.
        id: Digest,
    },
    /// Let its changes go in the next sync; takes a rejection back.
    Approve {
        /// The hold.
        id: Digest,
    },
    /// Silence its changes until their resources are observed anew.
    Reject {
        /// The hold.
        id: Digest,
    },
}

/// Runs that `dewpoint runs` lists unless told otherwise.
pub const RUNS_LISTED: u32 = 20;

/// Commands of `runs`.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// The latest runs.
    List {
        /// How many.
        #[arg(long, default_value_t = RUNS_LISTED, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// One run's report.
    Show {
        /// The run; the latest without.
        run: Option<String>,
    },
}

/// Commands of `coverage`.
#[derive(Debug, Subcommand)]
pub enum CoverageCommand {
    /// The last receipt of each scope.
    Show,
    /// Accept the gaps that stand, so that they no longer end a sync with 3. Their CIs stay frozen.
    Accept {
        /// Only this account.
        #[arg(long)]
        account: Option<String>,
        /// Only this region.
        #[arg(long)]
        region: Option<String>,
        /// Only this kind.
        #[arg(long, value_parser = kinds())]
        kind: Option<Kind>,
        /// Take acceptances back instead.
        #[arg(long)]
        undo: bool,
    },
}

/// Commands of `scopes`.
#[derive(Debug, Subcommand)]
pub enum ScopesCommand {
    /// Every scope, with its source and what it holds.
    List,
    /// Propose to retire what an orphaned scope holds: the next sync makes a hold of it.
    Retire {
        /// The account.
        #[arg(long)]
        account: String,
        /// Only this region.
        #[arg(long)]
        region: Option<String>,
        /// Only this kind.
        #[arg(long, value_parser = kinds())]
        kind: Option<Kind>,
    },
}

/// Commands of `target`.
#[derive(Debug, Subcommand)]
pub enum TargetCommand {
    /// Plan and report it, but send nothing.
    Pause {
        /// The target.
        name: TargetName,
    },
    /// Send again.
    Resume {
        /// The target.
        name: TargetName,
    },
    /// The same CMDB has a new address.
    Rebind {
        /// The target.
        name: TargetName,
    },
    /// Rebuild the map of its records from the target itself, then create what is missing.
    Recover {
        /// The target.
        name: TargetName,
    },
}

/// Commands of `rules`.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// The rules in the order in which they are asked, presets unrolled, each with where it comes from.
    Show,
    /// Ask the rules about the resources in a file, and compare with what is expected there; ends with 1 when something differs.
    Test {
        /// The file with the cases.
        file: PathBuf,
    },
    /// What the rules would have made of what was seen: replays the ledger's journal through them, guardrails aside. Writes nothing.
    Backtest {
        /// From when on: a duration before the last sync, such as `14d`, or a time, such as `2026-02-01T00:00:00Z` (RFC 3339).
        #[arg(long, default_value = "14d", value_name = "SINCE")]
        since: Since,
        /// The same through this configuration's rules, timers and ownership as well, and what would have differed.
        #[arg(long, value_name = "FILE")]
        against: Option<PathBuf>,
    },
}

/// The start of a stretch of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// So long before the last sync.
    Before(std::time::Duration),
    /// A time.
    At(Timestamp),
}

impl std::str::FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(at) => Ok(Self::At(at)),
            Err(_) => crate::config::parse_duration(text).map(Self::Before),
        }
    }
}

/// Form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportForm {
    /// The inventory format.
    Json,
    /// A table for people.
    Csv,
}

/// Commands of `ledger`.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Check its integrity.
    Check,
    /// Remove what is older than `journal_keep`.
    Prune,
    /// Write a consistent copy.
    Backup {
        /// The new file.
        file: PathBuf,
    },
}
