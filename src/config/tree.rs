//! YAML into a tree whose every node knows its place.
//!
//! A small part of YAML is enough for a configuration: mappings with plain keys, lists, scalars of the core schema.
//! Aliases (and with them merge keys) and tags are refused: they hide what is configured, and an alias of an alias
//! of an alias is how a small file becomes a large one.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::diagnostic::{Position, Report, Span, quote};

/// Deepest nesting of lists and mappings.
pub(super) const DEPTH_MAX: usize = 32;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
    /// How a scalar is written; `None` for what is none.
    pub(super) style: Option<ScalarStyle>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Flag(bool),
    Whole(i128),
    Decimal(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// An error is reported for it already.
    Refused,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) node: Node,
}

impl Node {
    /// The value of a mapping's key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.node)
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The keys of a mapping, with what is behind them.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is a number that JSON has.
    pub(super) fn is_number(&self) -> bool {
        matches!(self.value, Value::Whole(_) | Value::Decimal(_)) && self.to_json().is_number()
    }

    /// The tree without its places. A number that JSON does not have (infinite, none at all, beyond 64 bits) becomes the text of it: as null it
    /// would look like nothing.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null | Value::Refused => serde_json::Value::Null,
            Value::Flag(flag) => (*flag).into(),
            Value::Whole(whole) => serde_json::Number::from_i128(*whole).map_or_else(|| whole.to_string().into(), Into::into),
            Value::Decimal(decimal) => serde_json::Number::from_f64(*decimal).map_or_else(|| decimal.to_string().into(), Into::into),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect(),
        }
    }
}

/// Reads one YAML document. `None` when the text is no YAML, which is then reported; a document without content is a
/// null node.
pub(super) fn parse(text: &str, report: &mut Report) -> Option<Node> {
    let mut reader = Reader { parser: Parser::new_from_str(text), report, depth: 0 };
    let result = reader.document();
    match result {
        Ok(node) => Some(node),
        Err(Stop::Syntax(error)) => {
            let position = position(error.marker());
            let help = match error.info() {
                info if info.contains("mapping values") => {
                    "check the indentation; a text with `: ` in it needs quotes, and a reference has no blank: `env:NAME`"
                }
                info if info.contains("anchor") => "aliases (`*name`) are not supported; put a text that begins with `*` or `&` in quotes",
                _ => "check the indentation, the quotes, and the blank after each `:`",
            };
            report.error(Span { start: position, end: position }, format!("not valid YAML: {}", error.info())).help(help);
            None
        }
        Err(Stop::Reported) => None,
    }
}

/// Why reading ended before the end.
enum Stop {
    Syntax(ScanError),
    Reported,
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        Self::Syntax(error)
    }
}

struct Reader<'a, 'r> {
    parser: Parser<'a, StrInput<'a>>,
    report: &'r mut Report,
    depth: usize,
}

impl<'a> Reader<'a, '_> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Stop> {
        match self.parser.next_event() {
            Some(event) => {
                let (event, span) = event?;
                Ok((event, Span { start: position(&span.start), end: position(&span.end) }))
            }
            None => Ok((Event::StreamEnd, Span::START)),
        }
    }

    fn document(&mut self) -> Result<Node, Stop> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => {
                    return Ok(root.unwrap_or(Node { span: Span::START, value: Value::Null, style: None }));
                }
                Event::DocumentStart(_) if root.is_some() => {
                    let error = self.report.error(span, "a second YAML document starts here: expected one");
                    error.help("remove the `---`, or put the other document into its own file");
                    return Err(Stop::Reported);
                }
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
                event => root = Some(self.node(event, span)?),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Stop> {
        let style = if let Event::Scalar(_, style, ..) = &event { Some(*style) } else { None };
        let value = match event {
            Event::Scalar(text, style, _, tag) => self.scalar(&text, style, tag.as_deref(), span),
            Event::SequenceStart(_, tag) => {
                self.enter(span)?;
                let (items, end) = self.list()?;
                self.depth -= 1;
                let value = if self.tagged(tag.as_deref(), span) { Value::Refused } else { Value::List(items) };
                return Ok(Node { span: Span { start: span.start, end }, value, style: None });
            }
            Event::MappingStart(_, tag) => {
                self.enter(span)?;
                let (entries, end) = self.map()?;
                self.depth -= 1;
                let value = if self.tagged(tag.as_deref(), span) { Value::Refused } else { Value::Map(entries) };
                return Ok(Node { span: Span { start: span.start, end }, value, style: None });
            }
            Event::Alias(_) => {
                let error = self.report.error(span, "aliases (`*name`) are not supported");
                error.help("write the value out in each place");
                Value::Refused
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => Value::Null,
        };
        Ok(Node { span, value, style })
    }

    fn enter(&mut self, span: Span) -> Result<(), Stop> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            self.report.error(span, format!("nested too deeply: at most {DEPTH_MAX} levels are read"));
            return Err(Stop::Reported);
        }
        Ok(())
    }

    fn list(&mut self) -> Result<(Vec<Node>, Position), Stop> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::SequenceEnd | Event::StreamEnd => return Ok((items, span.end)),
                event => items.push(self.node(event, span)?),
            }
        }
    }

    fn map(&mut self) -> Result<(Vec<Entry>, Position), Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: BTreeMap<String, Span> = BTreeMap::new();
        loop {
            let (event, key_span) = self.next()?;
            let key = match event {
                Event::MappingEnd | Event::StreamEnd => return Ok((entries, key_span.end)),
                Event::Scalar(text, _, _, tag) => {
                    let refused = self.tagged(tag.as_deref(), key_span);
                    (!refused).then(|| text.into_owned())
                }
                event => {
                    let key = self.node(event, key_span)?;
                    if !matches!(key.value, Value::Refused) {
                        self.report.error(key_span, "expected a plain text as key");
                    }
                    None
                }
            };
            let (event, span) = self.next()?;
            let mut node = self.node(event, span)?;
            let Some(key) = key else { continue };
            if matches!(node.value, Value::Null) && node.span.start == node.span.end {
                // Nothing is written there: the key is what can be pointed at.
                node.span = key_span;
            }
            if let Some(first) = seen.get(&key) {
                let text = format!("key {} is written twice: first in line {}", quote(&key), first.start.line);
                let error = self.report.error(key_span, text);
                error.again(*first).help("remove one of the two");
                continue;
            }
            seen.insert(key.clone(), key_span);
            entries.push(Entry { key, key_span, node });
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Value {
        if self.tagged(tag, span) {
            Value::Refused
        } else if style == ScalarStyle::Plain {
            plain(text)
        } else {
            Value::Text(text.to_owned())
        }
    }

    fn tagged(&mut self, tag: Option<&Tag>, span: Span) -> bool {
        if tag.is_some() {
            let error = self.report.error(span, "tags (`!name`) are not supported");
            error.help("remove the tag; put the value in quotes to make it a text");
        }
        tag.is_some()
    }
}

fn position(marker: &Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col() + 1 }
}

/// A plain scalar by the core schema of YAML 1.2 (<https://yaml.org/spec/1.2.2/#103-core-schema>).
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Flag(true),
        "false" | "False" | "FALSE" => return Value::Flag(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Decimal(f64::NAN),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Value::Decimal(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    let radix = |prefix: &str, radix: u32| {
        let digits = text.strip_prefix(prefix)?;
        digits.chars().all(|c| c.is_digit(radix)).then(|| i128::from_str_radix(digits, radix).ok()).flatten()
    };
    if let Some(whole) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Value::Whole(whole);
    }
    if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.chars().any(|c| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'))
    {
        if let Ok(whole) = text.parse::<i128>() {
            return Value::Whole(whole);
        }
        if let Ok(decimal) = text.parse::<f64>() {
            return Value::Decimal(decimal);
        }
    }
    Value::Text(text.to_owned())
}
