//! `dewpoint sync`, `dewpoint plan` and `dewpoint apply`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::args::{PlanArgs, Selection, SyncArgs};
use super::output::CommandError;
use super::{App, secret_error};
use crate::clock::{Began, RunClock};
use crate::config::{Config, SourceConfig, SourceKind};
use crate::deliver;
use crate::estate::Estate;
use crate::exit::Exit;
use crate::ledger::{Ledger, Mode as Open, RunId};
use crate::model::SourceName;
use crate::plan::{Plan, document, render};
use crate::run::progress::Meter;
use crate::run::report::{self, Failure, Report};
use crate::run::{self, Context, Ended, Mode, Options, RunError, saved, setup};
use crate::told;

impl App {
    /// One sync.
    pub(super) async fn sync(&self, args: SyncArgs) -> Result<u8, CommandError> {
        let config = self.warned_config()?;
        Box::pin(self.sync_with(&config, args)).await.map_err(|error| error.unless(&config.exit_ok))
    }

    async fn sync_with(&self, config: &Config, args: SyncArgs) -> Result<u8, CommandError> {
        let clock = clock(config, &args.selection)?;
        let began = Began::now(clock.as_ref());
        let options =
            Options { approve: args.approve.into_iter().collect(), pause_writes: args.pause_writes, ..self.options(args.selection) };
        let sources = setup::sources(config, &options.sources).map_err(secret_error)?;
        let ledger = self.ledger(config, Open::ReadWrite { create: true }).await?;
        let meter = Meter::new(self.output.progress);
        let context = context(config, &ledger, clock, began, &meter, Mode::Sync);
        let ended = self.told(&context, async {
            let reading = run::read(&context, &sources, &options).await?;
            run::run(&context, &sources, reading, &options, None, &|plan, estate| self.show_plan(plan, estate)).await
        });
        let ended = Box::pin(ended).await;
        ledger.close().await;
        let ended = ended.map_err(run_error)?;
        self.tell(&ended.report)?;
        Ok(ended.code(&config.exit_ok))
    }

    /// What a sync would do.
    pub(super) async fn plan(&self, args: PlanArgs) -> Result<u8, CommandError> {
        let config = self.warned_config()?;
        Box::pin(self.plan_with(&config, args)).await.map_err(|error| error.unless(&config.exit_ok))
    }

    async fn plan_with(&self, config: &Config, args: PlanArgs) -> Result<u8, CommandError> {
        let clock = clock(config, &args.selection)?;
        let began = Began::now(clock.as_ref());
        if args.out.is_some() && !self.has_ledger(config).await? {
            return Err(CommandError::usage("there is no ledger yet, and a saved plan is for the ledger that it was made from").hint(
                "run `dewpoint sync --pause-writes` first, which fills the ledger and sends nothing, or `dewpoint sync`; without `--out` the plan is only shown",
            ));
        }
        let options = Options { verify: args.verify, ..self.options(args.selection) };
        let sources = setup::sources(config, &options.sources).map_err(secret_error)?;
        let ledger = self.ledger(config, Open::Read).await?;
        let meter = Meter::new(self.output.progress);
        let context = context(config, &ledger, clock, began, &meter, Mode::Plan);
        let mut basis = None;
        let text = Mutex::new(String::new());
        let verbose = self.output.verbose > 0;
        let render = |plan: &Plan, estate: &Estate| {
            if !self.output.is_json() {
                *text.lock().unwrap_or_else(PoisonError::into_inner) = render::plan(plan, estate, verbose);
            }
        };
        let ended = async {
            let reading = run::read(&context, &sources, &options).await?;
            basis = args.out.is_some().then(|| saved::Basis::of(&reading));
            run::run(&context, &sources, reading, &options, None, &render).await
        };
        let ended = Box::pin(self.told(&context, ended)).await;
        ledger.close().await;
        let ended = ended.map_err(run_error)?;
        if let (Some(path), Some(basis)) = (&args.out, basis) {
            saved::save(path, &ended.plan, basis)
                .map_err(|error| CommandError::failed(format!("cannot write {}: {error}", path.display())))?;
            self.output.note(&format!("saved the plan as {}; `dewpoint apply` applies it", path.display()));
        }
        let exits = plan_exits(&ended, args.exit_code);
        self.output.answer(&plan_document(&ended), || {
            let plan = text.into_inner().unwrap_or_else(PoisonError::into_inner);
            format!("{plan}{}", report::rest_text(&ended.report, verbose))
        })?;
        self.complain(&ended.report);
        Ok(Exit::code_of(&exits, &config.exit_ok))
    }

    /// Applies a saved plan.
    pub(super) async fn apply(&self, file: &Path) -> Result<u8, CommandError> {
        let config = self.warned_config()?;
        Box::pin(self.apply_with(&config, file)).await.map_err(|error| error.unless(&config.exit_ok))
    }

    async fn apply_with(&self, config: &Config, file: &Path) -> Result<u8, CommandError> {
        // By the real clock: that of its run stands at the plan's time.
        let began = Began::now(&RunClock::new(None));
        // It reads none of them, and asks one only about ends.
        let sources = setup::sources_to_ask(config);
        let ledger = self.ledger(config, Open::ReadWrite { create: false }).await?;
        let meter = Meter::new(self.output.progress);
        let estate = ledger.estate_id().await.map_err(|error| run_error(RunError::Ledger(error)))?;
        let current = ledger.current_fence().await.map_err(|error| run_error(RunError::Ledger(error)))?;
        let saved = saved::load(file, config, &estate, current, Timestamp::now()).map_err(run_error)?;
        // The plan's observations are stored under the plan's own time, so that applying it twice is applying it once.
        let clock = Arc::new(RunClock::new(Some(saved.taken_at)));
        let context = context(config, &ledger, clock, began, &meter, Mode::Sync);
        let options = Options { shows_fields: self.output.verbose > 0, ..Options::default() };
        let show = |plan: &Plan, estate: &Estate| self.show_plan(plan, estate);
        let ended = run::run(&context, &sources, saved.reading, &options, Some(&saved.only), &show);
        let ended = Box::pin(self.told(&context, ended)).await;
        ledger.close().await;
        let mut ended = ended.map_err(run_error)?;
        for skipped in &mut ended.report.skipped {
            if let Some(words) = skipped.parse().ok().and_then(|id| saved.words.get(&id)) {
                skipped.clone_from(words);
            }
        }
        self.tell(&ended.report)?;
        Ok(ended.code(&config.exit_ok))
    }

    fn options(&self, selection: Selection) -> Options {
        Options {
            sources: selection.sources.into_iter().collect(),
            targets: selection.targets.into_iter().collect(),
            approve: BTreeSet::new(),
            pause_writes: false,
            shows_fields: self.output.verbose > 0,
            verify: false,
        }
    }

    /// Waits for a run and gives its leases back, however it ended.
    async fn told<T>(&self, context: &Context<'_>, work: impl Future<Output = Result<T, RunError>>) -> Result<T, RunError> {
        let result = work.await;
        context.release_leases().await;
        result
    }

    fn show_plan(&self, plan: &Plan, estate: &Estate) {
        if !self.output.is_json() {
            self.output.note(&render::plan(plan, estate, self.output.verbose > 0));
        }
    }

    fn tell(&self, report: &Report) -> Result<(), CommandError> {
        self.output.answer(report, || report::text(report, self.output.verbose > 0))?;
        self.complain(report);
        Ok(())
    }

    /// Says on standard error why a run failed that came to a report.
    fn complain(&self, report: &Report) {
        if let Some(Failure { text, hint, .. }) = &report.error {
            let text = told::printable(text);
            self.output.complain(&CommandError { hint: hint.clone(), ..CommandError::failed(text) });
        }
    }
}

fn clock(config: &Config, selection: &Selection) -> Result<Arc<RunClock>, CommandError> {
    if selection.at.is_some() {
        let hint = "a cloud shows the present only; leave `--at` out, or choose file sources with `--source`";
        only_files(config, &selection.sources).map_err(|error| error.hint(hint))?;
    }
    Ok(Arc::new(RunClock::new(selection.at)))
}

/// `--at` asks that all sources are files: those that are named, or all.
pub(super) fn only_files(config: &Config, named: &[SourceName]) -> Result<(), CommandError> {
    let is_live =
        |source: &&SourceConfig| !matches!(source.kind, SourceKind::File { .. }) && (named.is_empty() || named.contains(&source.name));
    match config.sources.iter().find(is_live) {
        Some(source) => Err(CommandError::usage(format!("`--at` needs all sources to be files, and `{}` is not", source.name))),
        None => Ok(()),
    }
}

fn context<'a>(
    config: &'a Config,
    ledger: &Arc<dyn Ledger>,
    clock: Arc<RunClock>,
    began: Began,
    meter: &'a Meter,
    mode: Mode,
) -> Context<'a> {
    let random: u32 = rand::random();
    Context {
        config,
        ledger: Arc::clone(ledger),
        targets: &setup::target,
        meter,
        interrupt: interrupt(),
        mode,
        run: RunId(format!("{}-{random:08x}", began.at.strftime("%Y%m%dT%H%M%SZ"))),
        began,
        holder: deliver::holder(random),
        leases: std::sync::Mutex::default(),
        clock,
    }
}

/// Turns true at the first Ctrl-C or SIGTERM; the second ends the process at once, which loses nothing that was recorded.
fn interrupt() -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        if signalled().await {
            tracing::warn!("Stopping after the change in hand; once more stops at once");
            sender.send_replace(true);
            signalled().await;
            std::process::exit(i32::from(Exit::Interrupted.code()));
        }
        // Without a signal handler the channel stays open and says nothing.
        std::future::pending::<()>().await;
    });
    receiver
}

async fn signalled() -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return tokio::signal::ctrl_c().await.is_ok() };
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed.is_ok(),
        received = terminate.recv() => received.is_some(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
pub(super) fn run_error(error: RunError) -> CommandError {
    let code = match &error {
        RunError::Ledger(_) => "ledger",
        RunError::Overlap(_) => "overlap",
        RunError::Interrupted => "interrupted",
        RunError::Busy => "busy",
        RunError::NoSuch { .. } => "usage",
        RunError::Refused { .. } => "plan_refused",
    };
    let hint = error.hint();
    CommandError { hint, ..CommandError::of(error.exit(), code, &error) }
}

/// `plan` ends 0 instead of 4 or 6 unless `--exit-code` asks for them.
fn plan_exits(ended: &Ended, exit_code: bool) -> BTreeSet<Exit> {
    let mut exits = ended.exits.clone();
    if !exit_code {
        exits.remove(&Exit::Held);
    } else if !ended.plan.changes.is_empty() {
        exits.insert(Exit::Pending);
    }
    exits
}

fn plan_document(ended: &Ended) -> Value {
    let mut document = serde_json::to_value(document::PlanDocument::new(&ended.plan, &ended.report.receipts)).unwrap_or_default();
    if let Some(fields) = document.as_object_mut() {
        fields.insert("rejected".to_owned(), json!(ended.report.rejected));
        fields.insert("remarks".to_owned(), json!(ended.report.remarks));
        fields.insert("problems".to_owned(), json!(ended.report.problems));
        if !ended.report.verified.is_empty() {
            fields.insert("verified".to_owned(), json!(ended.report.verified));
        }
        if let Some(error) = &ended.report.error {
            fields.insert("error".to_owned(), json!(error));
            fields.insert("errors".to_owned(), json!(ended.report.errors));
        }
    }
    document
}

#[cfg(test)]
mod tests {
    use super::{RunError, run_error};

    #[test]
    fn exit_ok_counts_where_another_sync_holds_the_estate() {
        assert_eq!(run_error(RunError::Busy).unless(&[4].into()).exit_code(), 3);
        assert_eq!(run_error(RunError::Busy).unless(&[3].into()).exit_code(), 0);
    }
}
