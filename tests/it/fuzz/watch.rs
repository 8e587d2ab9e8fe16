//! Runs an input where it can be watched.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Longest that one input may take before it counts as a hang. No limit of speed: the slowest input that is made here takes a second.
const LIMIT: Duration = Duration::from_secs(20);

/// Does `exercise` with the bytes, and says how it failed. The bytes are kept in a file until then: for one that takes the whole process with it.
pub fn watched(name: &str, bytes: Vec<u8>, exercise: fn(&[u8])) -> Result<(), String> {
    watched_for(LIMIT, name, bytes, exercise)
}

pub fn watched_for(limit: Duration, name: &str, bytes: Vec<u8>, exercise: fn(&[u8])) -> Result<(), String> {
    let file: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}-{}", std::process::id()));
    std::fs::write(&file, &bytes).map_err(|error| format!("{}: {error}", file.display()))?;
    let (done, wait) = channel();
    let worker = std::thread::spawn(move || {
        exercise(&bytes);
        // Nobody waits any more where it took too long.
        let _ = done.send(());
    });
    let problem = match wait.recv_timeout(limit) {
        Ok(()) => {
            std::fs::remove_file(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            return Ok(());
        }
        Err(RecvTimeoutError::Timeout) => format!("no answer after {limit:?}"),
        Err(RecvTimeoutError::Disconnected) => {
            worker.join().map_or_else(|panic| text(panic.as_ref()), |()| "it ended without an answer".to_owned())
        }
    };
    Err(format!("{problem} (its bytes: {})", file.display()))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_else(|| "it panicked without words".to_owned())
}
