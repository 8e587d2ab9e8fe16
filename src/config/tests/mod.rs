//! Tests of the configuration as a whole: bad inputs, the example, random inputs, files.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]

mod bad_aws;
mod bad_azure;
mod bad_halo;
mod bad_input;
mod bad_jsm;
mod bad_servicenow;
mod example;
mod files;
mod meaning;
mod random;

use super::*;

/// The smallest configuration that is valid.
const MINIMAL: &str = "\
sources:
  - name: demo
    kind: file
    path: inventory.json
targets:
  - name: cmdb
    kind: local
    path: cmdb.db
";

const EXAMPLE: &str = include_str!("../../../config/example.yaml");

fn try_load(text: &str) -> Result<Config, ConfigErrors> {
    load_str("dewpoint.yaml", text, Path::new("/etc/dewpoint"))
}

/// Every error as `line:column: text`, with its help below it.
#[track_caller]
fn errors(text: &str) -> String {
    let errors = try_load(text).unwrap_err();
    let lines: Vec<String> = errors
        .errors()
        .iter()
        .map(|error| {
            let help = error.help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default();
            format!("{}:{}: {}{help}", error.line, error.column, error.text)
        })
        .collect();
    lines.join("\n")
}

/// The errors of the minimal configuration with some lines before it.
#[track_caller]
fn errors_with(lines: &str) -> String {
    errors(&format!("{lines}\n{MINIMAL}"))
}

/// The errors of the minimal configuration with some keys added to its only target (line 9 on).
#[track_caller]
fn errors_in_target(lines: &str) -> String {
    errors(&format!("{MINIMAL}{}", indented(lines)))
}

/// The errors of a configuration whose only source is one of AWS with these keys (line 4 on).
#[track_caller]
fn errors_in_aws(lines: &str) -> String {
    errors(&format!("sources:\n  - name: a\n    kind: aws\n{}targets: [{{ name: b, kind: local, path: c.db }}]\n", indented(lines)))
}

/// The errors of a configuration whose only source is one of Azure with these keys (line 4 on).
#[track_caller]
fn errors_in_azure(lines: &str) -> String {
    errors(&format!("sources:\n  - name: a\n    kind: azure\n{}targets: [{{ name: b, kind: local, path: c.db }}]\n", indented(lines)))
}

/// The errors of a configuration whose only target is a ServiceNow instance with these keys (line 5 on).
#[track_caller]
fn errors_in_servicenow(lines: &str) -> String {
    errors(&servicenow(lines))
}

/// A configuration whose only target is a ServiceNow instance with these keys.
fn servicenow(lines: &str) -> String {
    format!("sources: [{{ name: a, kind: file, path: b.json }}]\ntargets:\n  - name: s\n    kind: servicenow\n{}", indented(lines))
}

/// Keys as they stand in an item of `sources` or `targets`.
fn indented(lines: &str) -> String {
    lines.lines().map(|line| format!("    {line}\n")).collect()
}
