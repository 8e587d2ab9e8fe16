//! Configurations in files: those that cannot be read, and paths.

use std::fs;

use insta::assert_snapshot;

use super::super::{FILE_BYTES_MAX, LedgerConfig, SourceKind, load};
use super::MINIMAL;

/// The errors of a file with that content, its folder replaced by `…`.
#[track_caller]
fn errors_of(content: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dewpoint.yaml");
    fs::write(&path, content).unwrap();
    let errors = load(&path).unwrap_err();
    let help = errors.errors().first().unwrap().help.clone().unwrap();
    format!("{errors}\nhelp: {help}").replace(&folder.path().display().to_string(), "…")
}

#[test]
fn files_that_are_no_text() {
    assert_snapshot!(errors_of(b"sources:\n  - name: \xff\n"), @r#"
    …/dewpoint.yaml:2:11: not UTF-8 text: byte 19 (counted from 0) cannot be read
    help: save it as UTF-8
    "#);
    assert_snapshot!(errors_of(b"\xff\xfes\0o\0"), @r#"
    …/dewpoint.yaml:1:1: not UTF-8 text: byte 0 (counted from 0) cannot be read
    help: it seems to be UTF-16: save it as UTF-8
    "#);
    assert_snapshot!(errors_of(b""), @r#"
    …/dewpoint.yaml:1:1: the configuration is empty: expected at least `sources` and `targets`
    help: `config/example.yaml` shows every key
    "#);
    assert_snapshot!(errors_of(&vec![b'#'; usize::try_from(FILE_BYTES_MAX).unwrap() + 1]), @r#"
    …/dewpoint.yaml:1:1: the file is larger than 1048576 bytes
    help: is it a configuration, and not an inventory?
    "#);
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let shown = |path: &std::path::Path| {
        let errors = load(path).unwrap_err();
        errors.render(false).replace(&folder.path().display().to_string(), "…")
    };
    assert_snapshot!(shown(&folder.path().join("absent.yaml")), @r#"
    × …/absent.yaml:1:1: there is no such file
    help: name the configuration with `--config PATH` or DEWPOINT_CONFIG; `config/example.yaml` shows every key
    "#);
    assert_snapshot!(shown(folder.path()), @r#"
    × …:1:1: this is a folder: expected a file
    help: name the file in it, such as `dewpoint.yaml`
    "#);
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dewpoint.yaml");
    fs::write(&path, format!("\u{feff}{MINIMAL}")).unwrap();
    load(&path).unwrap();
}

#[test]
fn paths_are_relative_to_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dewpoint.yaml");
    fs::write(&path, MINIMAL).unwrap();
    let config = load(&path).unwrap();
    assert_eq!(config.dir, folder.path());
    assert_eq!(config.ledger, LedgerConfig::Sqlite(folder.path().join("dewpoint.db")));
    let SourceKind::File { path, .. } = &config.sources.first().unwrap().kind else { panic!("no file source") };
    assert_eq!(path, &folder.path().join("inventory.json"));
}
