//! What is wrong with a configuration: every error with its place, as text, as a drawing and as JSON.

use std::fmt;
use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use serde::Serialize;

use super::mask::{LINE_MAX, Masked, mask_urls};

/// Errors kept of one file. A file of a megabyte can hold more than anyone reads.
pub const ERRORS_MAX: usize = 100;

/// Width at which drawn messages are wrapped, in columns.
const WIDTH: usize = 120;

/// A place in a text: line and column count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Position {
    /// The first character of a text.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// From the first character of something to just behind its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: Position,
    pub(super) end: Position,
}

impl Span {
    pub(super) const START: Self = Self { start: Position::START, end: Position::START };
}

/// A place in a configuration file; printed as `file:line:column`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named by who loaded it.
    pub file: String,
    /// Where in it.
    pub position: Position,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.position.line, self.position.column)
    }
}

/// One thing that is wrong in a configuration file, or (as a warning) will hardly be meant. Its texts never hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigError {
    /// The file, as it was named by who loaded it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and what was expected; lower case, no full stop.
    pub text: String,
    /// The way to mend it.
    pub help: Option<String>,
    #[serde(skip)]
    end: Position,
    #[serde(skip)]
    label: &'static str,
    /// Where the first of the two stands that do not go together, such as equal names.
    #[serde(skip)]
    first: Option<Span>,
}

impl ConfigError {
    fn start(&self) -> Position {
        Position { line: self.line, column: self.column }
    }

    pub(super) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn label(&mut self, label: &'static str) -> &mut Self {
        self.label = label;
        self
    }

    /// Of two things that do not go together: the place is that of the second, and the first stands there.
    pub(super) fn again(&mut self, first: Span) -> &mut Self {
        self.label = "again here";
        self.first = Some(first);
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.text)
    }
}

impl std::error::Error for ConfigError {}

/// Everything that is wrong with one configuration, in the order of the file. Never empty.
///
/// Serialises to `{"errors": [{"file", "line", "column", "text", "help"}]}`. `Display` is one line per error,
/// `file:line:column: text`.
#[derive(Clone, Serialize)]
pub struct ConfigErrors {
    errors: Vec<ConfigError>,
    /// The file with its secrets masked, for the drawing; absent when there was nothing to read.
    #[serde(skip)]
    source: Option<Masked>,
    /// How many more there were than are kept.
    #[serde(skip)]
    omitted: usize,
}

impl ConfigErrors {
    /// One error about a file as a whole, with nothing of it to show.
    pub(super) fn about_file(file: &str, position: Position, text: impl Into<String>, help: impl Into<String>) -> Self {
        let mut report = Report::new(file);
        report.error(Span { start: position, end: position }, text).help(help);
        report.into_errors(None)
    }

    /// The errors, in the order of the file; at most [`ERRORS_MAX`].
    #[must_use]
    pub fn errors(&self) -> &[ConfigError] {
        &self.errors
    }

    /// Draws every error with the lines it is about and a `help:` line; what may be a secret is masked.
    ///
    /// `colour` allows ANSI colours; without it the text is plain.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(WIDTH);
        let mut out = String::new();
        for error in &self.errors {
            let drawing = Drawing::new(error, self.source.as_ref());
            let before = out.len();
            if handler.render_report(&mut out, &drawing).is_err() {
                out.truncate(before);
                out.push_str(&error.to_string());
            }
            if !out.ends_with('\n') {
                out.push('\n');
            }
        }
        if self.omitted > 0 {
            out.push_str(&format!("and {} more\n", self.omitted));
        }
        out
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        if self.omitted > 0 {
            write!(f, "\nand {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl fmt::Debug for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigErrors").field("errors", &self.errors).field("omitted", &self.omitted).finish_non_exhaustive()
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects errors, and the places that must not be shown, while a file is read.
#[derive(Debug)]
pub(super) struct Report {
    file: String,
    errors: Vec<ConfigError>,
    warnings: Vec<ConfigError>,
    secrets: Vec<Span>,
}

impl Report {
    pub(super) fn new(file: &str) -> Self {
        Self { file: printable(file, 400), errors: Vec::new(), warnings: Vec::new(), secrets: Vec::new() }
    }

    pub(super) fn error(&mut self, span: Span, text: impl Into<String>) -> &mut ConfigError {
        Self::push(&mut self.errors, &self.file, span, text.into())
    }

    /// Tells of what is allowed and will hardly be meant.
    pub(super) fn warning(&mut self, span: Span, text: impl Into<String>) -> &mut ConfigError {
        Self::push(&mut self.warnings, &self.file, span, text.into())
    }

    fn push<'a>(list: &'a mut Vec<ConfigError>, file: &str, span: Span, text: String) -> &'a mut ConfigError {
        let index = list.len();
        list.push(ConfigError {
            file: file.to_owned(),
            line: span.start.line,
            column: span.start.column,
            text,
            help: None,
            end: span.end,
            label: "here",
            first: None,
        });
        #[expect(clippy::indexing_slicing, reason = "the element was pushed just above")]
        &mut list[index]
    }

    /// Keeps what stands there out of everything that is printed.
    pub(super) fn hide(&mut self, span: Span) {
        self.secrets.push(span);
    }

    pub(super) fn place(&self, position: Position) -> Place {
        Place { file: self.file.clone(), position }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// The warnings, in the order of the file; at most [`ERRORS_MAX`].
    pub(super) fn into_warnings(mut self) -> Vec<ConfigError> {
        self.warnings.sort_by(|a, b| (a.start(), &a.text).cmp(&(b.start(), &b.text)));
        self.warnings.truncate(ERRORS_MAX);
        self.warnings
    }

    pub(super) fn into_errors(mut self, source: Option<&str>) -> ConfigErrors {
        self.errors.sort_by(|a, b| (a.start(), &a.text).cmp(&(b.start(), &b.text)));
        self.errors.dedup();
        let omitted = self.errors.len().saturating_sub(ERRORS_MAX);
        self.errors.truncate(ERRORS_MAX);
        ConfigErrors { errors: self.errors, source: source.map(|text| Masked::new(text, &self.secrets)), omitted }
    }
}

/// A text of the file as it may be printed: quoted, without control characters and passwords in URLs, cut to a readable
/// length.
pub(super) fn quote(text: &str) -> String {
    let mut text: Vec<char> = text.chars().collect();
    mask_urls(&mut text);
    format!("`{}`", printable(&text.into_iter().collect::<String>(), 60))
}

/// As [`quote`], for the path of a key, whose end tells most.
pub(super) fn quote_path(path: &str) -> String {
    format!("`{}`", printable(path, 300))
}

fn printable(text: &str, length_max: usize) -> String {
    let mut out: String = text.chars().take(length_max).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(length_max).is_some() {
        out.push('…');
    }
    out
}

struct Drawing<'a> {
    error: &'a ConfigError,
    source: Option<NamedSource<Arc<str>>>,
    labels: Vec<LabeledSpan>,
}

impl<'a> Drawing<'a> {
    fn new(error: &'a ConfigError, masked: Option<&'a Masked>) -> Self {
        let mut labels = Vec::new();
        // A line too long to show is cut; what lies behind the cut is told by its numbers alone.
        let masked = masked.filter(|_| error.column <= LINE_MAX);
        if let Some(masked) = masked {
            let range = masked.bytes(Span { start: error.start(), end: error.end });
            labels.push(LabeledSpan::new_primary_with_span(Some(error.label.to_owned()), range));
            if let Some(span) = error.first {
                labels.push(LabeledSpan::new_with_span(Some("first here".to_owned()), masked.bytes(span)));
            }
        }
        Self { error, source: masked.map(|masked| NamedSource::new(&error.file, masked.text())), labels }
    }
}

impl fmt::Debug for Drawing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.error, f)
    }
}

impl fmt::Display for Drawing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without a drawing the header with file, line and column is missing.
        if self.source.is_some() { f.write_str(&self.error.text) } else { fmt::Display::fmt(self.error, f) }
    }
}

impl std::error::Error for Drawing<'_> {}

impl miette::Diagnostic for Drawing<'_> {
    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.error.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}
