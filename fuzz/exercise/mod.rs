//! What is done with an input, whoever made it: libFuzzer (`fuzz_targets`) or proptest (`tests/it/fuzz`). Each takes any bytes and panics when a
//! promise is broken; that it ends is for its caller to watch.

pub mod configuration;
pub mod inventory;
pub mod rules;
pub mod seeds;

use dewpoint::config::{ConfigError, ConfigErrors};

/// What is wrong with a file is told in every form that there is, and soundly.
fn tell(errors: &ConfigErrors) {
    assert!(!errors.errors().is_empty(), "refused, and nobody says why");
    errors.errors().iter().for_each(tell_one);
    let plain = errors.render(false);
    assert!(!plain.is_empty() && !errors.to_string().is_empty());
    assert!(!plain.contains('\u{1b}'), "colour, or the file's own control characters, in a plain text");
    assert!(!errors.render(true).is_empty());
    serde_json::to_string(errors).expect("errors are JSON");
}

/// One error, or a warning: on its lines, at a place.
fn tell_one(error: &ConfigError) {
    assert!(error.line >= 1 && error.column >= 1, "places count from 1: {error:?}");
    let help = error.help.as_deref().unwrap_or_default();
    assert!(!error.to_string().contains('\u{1b}') && !help.contains('\u{1b}'), "the file's own control characters: {error:?}");
}
