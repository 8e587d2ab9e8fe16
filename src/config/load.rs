//! From a file, or a text, to a configuration.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::Config;
use super::check;
use super::diagnostic::{ConfigErrors, Position, Report, Span};
use super::haloitsm;
use super::jsm;
use super::rules;
use super::schema::WORKING;
use super::servicenow;
use super::tree::{self, Value};
use super::validate::{convert, cross_check};

/// Largest configuration file that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What to do where there is no configuration.
const MISSING_HELP: &str = "name the configuration with `--config PATH` or DEWPOINT_CONFIG; `config/example.yaml` shows every key";

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads and validates the configuration in a file. Relative paths in it are relative to its folder.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    let name = path.display().to_string();
    let bytes = read(path).map_err(|error| unreadable(&name, &error, MISSING_HELP))?;
    if let Some(errors) = too_large(&name, &bytes) {
        return Err(errors);
    }
    let absolute = std::path::absolute(path).map_err(|error| unreadable(&name, &error, MISSING_HELP))?;
    load_bytes(&name, &bytes, absolute.parent().unwrap_or(Path::new("/")))
}

/// Validates a configuration that is at hand as bytes, as they stand in its file. `name` stands for the file in messages; relative paths
/// are resolved against `dir`.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load_bytes(name: &str, bytes: &[u8], dir: &Path) -> Result<Config, ConfigErrors> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| not_text(name, bytes, error.valid_up_to()))?;
    load_str(name, text, dir)
}

/// The bytes of a file; one more than are taken, where there are more.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The error about a file of more than [`FILE_BYTES_MAX`] bytes.
pub(super) fn too_large(name: &str, bytes: &[u8]) -> Option<ConfigErrors> {
    let is_too_large = u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_BYTES_MAX);
    let text = format!("the file is larger than {FILE_BYTES_MAX} bytes");
    is_too_large.then(|| ConfigErrors::about_file(name, Position::START, text, "is it a configuration, and not an inventory?"))
}

/// `missing_help` is for a file that is not there.
pub(super) fn unreadable(name: &str, error: &io::Error, missing_help: &str) -> ConfigErrors {
    let (text, help) = match error.kind() {
        io::ErrorKind::NotFound => ("there is no such file".to_owned(), missing_help),
        io::ErrorKind::IsADirectory => ("this is a folder: expected a file".to_owned(), "name the file in it, such as `dewpoint.yaml`"),
        io::ErrorKind::PermissionDenied => {
            ("no permission to read the file".to_owned(), "let the user that runs dewpoint read it, and its folders")
        }
        _ => (format!("cannot read the file: {error}"), "check the disk and the path"),
    };
    ConfigErrors::about_file(name, Position::START, text, help)
}

pub(super) fn not_text(name: &str, bytes: &[u8], valid: usize) -> ConfigErrors {
    let before = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default());
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let position =
        Position { line: before.matches('\n').count() + 1, column: before.get(line_start..).map_or(0, |line| line.chars().count()) + 1 };
    let text = format!("not UTF-8 text: byte {valid} (counted from 0) cannot be read");
    let help = if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        "it seems to be UTF-16: save it as UTF-8"
    } else {
        "save it as UTF-8"
    };
    ConfigErrors::about_file(name, position, text, help)
}

/// Validates a configuration that is at hand as text. `name` stands for the file in messages; relative paths are
/// resolved against `dir`.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load_str(name: &str, text: &str, dir: &Path) -> Result<Config, ConfigErrors> {
    let mut report = Report::new(name);
    let config = read_text(text, dir, &mut report);
    match config {
        Some(config) if report.is_empty() => Ok(Config { warnings: report.into_warnings(), ..config }),
        _ => Err(report.into_errors(Some(text))),
    }
}

fn read_text(text: &str, dir: &Path, report: &mut Report) -> Option<Config> {
    let root = tree::parse(text, report)?;
    if matches!(root.value, Value::Null) {
        let error = report.error(Span::START, "the configuration is empty: expected at least `sources` and `targets`");
        error.help("`config/example.yaml` shows every key");
        return None;
    }
    cross_check(&root, dir, report);
    rules::cross_check(&root, text, report);
    servicenow::cross_check(&root, text, report);
    jsm::cross_check(&root, text, report);
    haloitsm::cross_check(&root, text, report);
    let sound = check::check(&root, &WORKING, report)?;
    match serde_json::from_value(sound.to_json()) {
        Ok(raw) => convert(raw, &sound, dir, report),
        Err(error) => {
            // The schema is made from the same types, so that this is a slip of ours; it must not pass for valid.
            if report.is_empty() {
                report.error(Span::START, format!("the configuration cannot be read: {error}"));
            }
            None
        }
    }
}
