//! What a command says: its answer on standard output, everything else on standard error.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};

use serde::Serialize;
use serde_json::{Value, json};

use super::args::{Global, OutputForm};
use crate::exit::Exit;
use crate::words::chain;

/// Version of every JSON document on standard output.
pub const SCHEMA_VERSION: u32 = 1;

/// Where a command speaks.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    form: OutputForm,
    quiet: bool,
    /// How often `-v` was given.
    pub verbose: u8,
    /// Whether standard error may be coloured.
    pub colour: bool,
    /// Whether progress may be drawn.
    pub progress: bool,
}

impl Output {
    /// From the command line and the surroundings: colour and progress only where a terminal listens.
    #[must_use]
    pub fn new(global: &Global) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            form: global.output,
            quiet: global.quiet,
            verbose: global.verbose,
            colour,
            progress: terminal && !global.quiet && global.verbose == 0,
        }
    }

    /// For errors in a command line that asked for JSON.
    #[must_use]
    pub fn json() -> Self {
        Self { form: OutputForm::Json, quiet: false, verbose: 0, colour: false, progress: false }
    }

    /// Whether one JSON document is wanted.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.form == OutputForm::Json
    }

    /// Gives the answer: `document` as JSON with its `schema_version`, or `text`.
    ///
    /// # Errors
    /// When standard output cannot be written (a closed pipe counts as written).
    pub fn answer<T: Serialize>(&self, document: &T, text: impl FnOnce() -> String) -> Result<(), CommandError> {
        if self.is_json() {
            let value = serde_json::to_value(document)
                .map_err(|error| CommandError::failed(format!("cannot write the answer as JSON: {error}")))?;
            self.document(value)
        } else {
            let mut text = text();
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            write_out(&text)
        }
    }

    fn document(&self, value: Value) -> Result<(), CommandError> {
        let mut document = json!({ "schema_version": SCHEMA_VERSION });
        match (document.as_object_mut(), value) {
            (Some(whole), Value::Object(fields)) => whole.extend(fields),
            (Some(whole), other) => {
                whole.insert("value".to_owned(), other);
            }
            (None, _) => {}
        }
        write_out(&format!("{document:#}\n"))
    }

    /// A line for people on standard error, not with `-q`.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            write_err(text.trim_end());
        }
    }

    /// Tells of a failure on standard error only, where an answer on standard output says the rest.
    pub fn complain(&self, error: &CommandError) {
        write_err(&error.render(self.colour));
    }

    /// Tells of a failure: on standard error with its hint and, with `--output json`, as a document on standard output.
    pub fn error(&self, error: &CommandError) {
        self.complain(error);
        if self.is_json() {
            let document = json!({ "error": error.document(), "errors": error.errors });
            // What failed is told on standard error already, also when standard output is closed.
            let _ = self.document(document);
        }
    }
}

/// Why a command did not do its work, as the user sees it.
#[derive(Debug, Clone)]
pub struct CommandError {
    /// How the process ends.
    pub exit: Exit,
    /// Whether the configuration takes that for success (`exit_ok`).
    pub excused: bool,
    /// A word for programs.
    pub code: &'static str,
    /// What went wrong: the error and its causes.
    pub text: String,
    /// The next step.
    pub hint: Option<String>,
    /// All errors, where there are several (configuration).
    pub errors: Vec<Value>,
    /// A rendering with source lines, for terminals; replaces `text` on standard error.
    pub rendered: Option<String>,
}

impl CommandError {
    /// A plain failure: exit code 1.
    #[must_use]
    pub fn failed(text: impl Into<String>) -> Self {
        Self::new(Exit::Failed, "failed", text)
    }

    /// A mistake in the command line: exit code 2.
    #[must_use]
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", text)
    }

    /// Any other.
    #[must_use]
    pub fn new(exit: Exit, code: &'static str, text: impl Into<String>) -> Self {
        Self { exit, excused: false, code, text: text.into(), hint: None, errors: Vec::new(), rendered: None }
    }

    /// With the next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Excused where the configuration takes its exit code for success.
    #[must_use]
    pub fn unless(mut self, ok: &BTreeSet<u8>) -> Self {
        self.excused = ok.contains(&self.exit.code());
        self
    }

    /// The code for the operating system.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.excused { Exit::Done.code() } else { self.exit.code() }
    }

    /// From an error with its causes.
    #[must_use]
    pub fn of(exit: Exit, code: &'static str, error: &dyn std::error::Error) -> Self {
        Self::new(exit, code, chain(error))
    }

    /// Its form in documents.
    #[must_use]
    pub fn document(&self) -> Value {
        json!({ "code": self.code, "text": self.text, "hint": self.hint })
    }

    fn render(&self, colour: bool) -> String {
        let mut text = match &self.rendered {
            Some(rendered) => rendered.trim_end().to_owned(),
            None if colour => format!("\u{1b}[1;31merror:\u{1b}[0m {}", self.text),
            None => format!("error: {}", self.text),
        };
        if let Some(hint) = &self.hint {
            text.push_str(if colour { "\n\u{1b}[1;36mhint:\u{1b}[0m " } else { "\nhint: " });
            text.push_str(hint);
        }
        text
    }
}

/// Writes to standard output. A reader that went away (`dewpoint list | head`) is no failure.
///
/// # Errors
/// When it cannot be written for another reason, such as a full disk.
pub fn write_out(text: &str) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CommandError::failed(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

fn write_err(text: &str) {
    // Standard error is where failures are told: there is nowhere to tell that it failed.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
