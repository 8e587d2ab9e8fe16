//! Logs: tracing spans as text or JSON on standard error.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

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

/// Sets logging up for the process. `RUST_LOG` wins over `verbosity`, save that what may hold secrets is never logged. A second call
/// changes nothing.
pub fn init(verbosity: Verbosity, json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual(verbosity)));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // A subscriber that is there already (tests, an embedding program) stays.
    let _ = subscriber(filter, json, colour, std::io::stderr).try_init();
}

/// What is logged where `RUST_LOG` does not say. What goes wrong in the AWS SDK ends in a receipt, a problem or a finding, in words for
/// people: its own lines about the same are for those who look for a defect.
fn usual(verbosity: Verbosity) -> &'static str {
    match verbosity {
        Verbosity::Quiet => "error,aws_=off,azure_=off,typespec_=off",
        Verbosity::Normal => "warn,aws_=off,azure_=off,typespec_=off",
        Verbosity::Verbose => "info,aws_=off,azure_=off,typespec_=off",
        Verbosity::Debug => "info,dewpoint=debug,dewpoint_aws=debug,dewpoint_azure=debug",
    }
}

fn subscriber<W>(filter: EnvFilter, json: bool, colour: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colour);
    let lines = if json { lines.json().boxed() } else { lines.boxed() };
    // Both filter for all that comes after them, so that what neither wants is not even put together.
    tracing_subscriber::registry().with(filter).with(filter_fn(is_told)).with(lines)
}

/// Crates that send requests, by the beginnings of their names. Below `info` they log whole requests: the session token is a header.
const SENDERS: &[&str] = &["aws_", "hyper", "h2", "reqwest", "rustls"];

fn is_told(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= LevelFilter::INFO || !SENDERS.iter().any(|sender| metadata.target().starts_with(sender))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is logged under these directives.
    fn logged(directives: &str, json: bool, work: impl FnOnce()) -> String {
        let lines = Lines::default();
        let made = lines.clone();
        let subscriber = subscriber(EnvFilter::new(directives), json, false, move || made.clone());
        tracing::subscriber::with_default(subscriber, work);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_aws_sdk_speaks_only_where_it_is_asked_to() {
        for (asked, own, sdk) in [
            (usual(Verbosity::Quiet), &["own error"][..], &[][..]),
            (usual(Verbosity::Normal), &["own error", "own warning"], &[]),
            (usual(Verbosity::Verbose), &["own error", "own warning", "own info"], &[]),
            (usual(Verbosity::Debug), &["own error", "own warning", "own info", "own debug"], &["sdk error", "sdk warning", "sdk info"]),
            ("warn", &["own error", "own warning"], &["sdk error", "sdk warning"]),
        ] {
            let text = logged(asked, false, || {
                tracing::error!(target: "aws_smithy_runtime_api::client::interceptors::context", "sdk error");
                tracing::warn!(target: "aws_config::meta::credentials::chain", "sdk warning");
                tracing::info!(target: "aws_config::sts::assume_role", "sdk info");
                tracing::debug!(target: "aws_sdk_ec2::operation", "sdk debug");
                tracing::error!(target: "dewpoint_aws", "own error");
                tracing::warn!(target: "dewpoint::run", "own warning");
                tracing::info!(target: "dewpoint::cli", "own info");
                tracing::debug!(target: "dewpoint_aws::pull", "own debug");
            });
            let told: Vec<&str> = text.lines().filter_map(|line| Some(line.rsplit_once(": ")?.1)).collect();
            let (told_sdk, told_own): (Vec<&str>, Vec<&str>) = told.into_iter().partition(|line| line.starts_with("sdk"));
            assert_eq!((told_own.as_slice(), told_sdk.as_slice()), (own, sdk), "{asked}");
        }
    }

    #[test]
    fn what_may_hold_secrets_is_not_logged_whatever_is_asked_for() {
        for (asked, json) in [("trace", false), ("trace", true), ("aws_smithy_runtime=trace,hyper_util::client=debug,dewpoint=trace", true)]
        {
            let text = logged(asked, json, || {
                tracing::trace!(target: "aws_smithy_runtime::client::http", "secret 1");
                tracing::debug!(target: "aws_sdk_ec2::operation", "secret 2");
                tracing::debug_span!(target: "aws_config::profile", "secret 3").in_scope(|| tracing::info!(target: "dewpoint", "told 1"));
                tracing::trace!(target: "hyper_util::client::legacy", "secret 4");
                tracing::trace!(target: "h2::codec", "secret 5");
                tracing::debug!(target: "reqwest::connect", "secret 6");
                tracing::warn!(target: "aws_smithy_runtime::client", "told 2");
                tracing::trace!(target: "dewpoint::run", "told 3");
            });
            assert!(!text.contains("secret"), "{text}");
            for told in ["told 1", "told 2", "told 3"] {
                assert!(text.contains(told), "{asked}: {text}");
            }
        }
    }
}
