//! A story's YAML as a tree that knows its lines, and the reading of mappings in which no key is overlooked.

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};
use serde_json::Value;

/// What is wrong, with the line.
pub type Fault = String;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct Node {
    pub line: usize,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Reads one document.
pub fn parse(text: &str) -> Result<Node, Fault> {
    let mut parser = Parser::new_from_str(text);
    loop {
        let (event, line) = next(&mut parser)?;
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
            Event::StreamEnd => return Err("1: the file is empty".to_owned()),
            event => return node(&mut parser, event, line),
        }
    }
}

fn next<'a>(parser: &mut Parser<'a, StrInput<'a>>) -> Result<(Event<'a>, usize), Fault> {
    match parser.next_event() {
        Some(Ok((event, span))) => Ok((event, span.start.line())),
        Some(Err(error)) => Err(format!("{}: {}", error.marker().line(), error.info())),
        None => Ok((Event::StreamEnd, 0)),
    }
}

fn node<'a>(parser: &mut Parser<'a, StrInput<'a>>, event: Event<'a>, line: usize) -> Result<Node, Fault> {
    let content = match event {
        Event::Scalar(text, ScalarStyle::Plain, ..) => Content::Scalar(plain(&text)),
        Event::Scalar(text, ..) => Content::Scalar(Value::String(text.into_owned())),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                match next(parser)? {
                    (Event::SequenceEnd, _) => break Content::List(items),
                    (event, line) => items.push(node(parser, event, line)?),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut entries: Vec<(String, Node)> = Vec::new();
            loop {
                let (event, line) = next(parser)?;
                let key = match event {
                    Event::MappingEnd => break Content::Map(entries),
                    Event::Scalar(key, ..) => key.into_owned(),
                    _ => return Err(format!("{line}: a key must be a plain text")),
                };
                if entries.iter().any(|(other, _)| *other == key) {
                    return Err(format!("{line}: key `{key}` is written twice"));
                }
                let (event, at) = next(parser)?;
                let mut value = node(parser, event, at)?;
                value.line = line;
                entries.push((key, value));
            }
        }
        _ => return Err(format!("{line}: aliases and tags are not read here")),
    };
    Ok(Node { line, content })
}

/// A plain scalar: what JSON takes for a number or a word of its own, else a text.
fn plain(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_) | Value::Null)) => value,
        _ if text.is_empty() || text == "~" => Value::Null,
        _ => Value::String(text.to_owned()),
    }
}

impl Node {
    pub fn fail<T>(&self, text: impl std::fmt::Display) -> Result<T, Fault> {
        Err(format!("{}: {text}", self.line))
    }

    pub fn is_null(&self) -> bool {
        matches!(self.content, Content::Scalar(Value::Null))
    }

    /// Without the lines.
    pub fn json(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => items.iter().map(Self::json).collect(),
            Content::Map(entries) => entries.iter().map(|(key, node)| (key.clone(), node.json())).collect(),
        }
    }

    /// A scalar as it is written, quotes aside.
    pub fn text(&self) -> Result<String, Fault> {
        match &self.content {
            Content::Scalar(Value::String(text)) => Ok(text.clone()),
            Content::Scalar(value) if !value.is_null() => Ok(value.to_string()),
            _ => self.fail("expected a text"),
        }
    }

    /// The text of a scalar; `None` for anything else.
    pub fn word(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    pub fn count(&self) -> Result<u64, Fault> {
        match self.json().as_u64() {
            Some(count) => Ok(count),
            None => self.fail("expected a whole number"),
        }
    }

    /// The items of a list; a single value stands for a list of one.
    pub fn items(&self) -> Result<Vec<&Self>, Fault> {
        match &self.content {
            Content::List(items) => Ok(items.iter().collect()),
            Content::Scalar(value) if !value.is_null() => Ok(vec![self]),
            _ => self.fail("expected a list"),
        }
    }

    pub fn entries(&self) -> Result<&[(String, Self)], Fault> {
        match &self.content {
            Content::Map(entries) => Ok(entries),
            Content::Scalar(Value::Null) => Ok(&[]),
            _ => self.fail("expected a mapping"),
        }
    }

    /// The mapping, to be read key by key.
    pub fn fields(&self) -> Result<Fields<'_>, Fault> {
        Ok(Fields { line: self.line, entries: self.entries()?.iter().map(|(key, node)| (key.as_str(), node)).collect(), known: Vec::new() })
    }
}

/// What has not been read yet of a mapping.
pub struct Fields<'a> {
    line: usize,
    entries: Vec<(&'a str, &'a Node)>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// A key's value, where it is written.
    pub fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.push(key);
        let at = self.entries.iter().position(|(other, _)| *other == key)?;
        Some(self.entries.remove(at).1)
    }

    pub fn need(&mut self, key: &'static str) -> Result<&'a Node, Fault> {
        self.take(key).ok_or_else(|| format!("{}: `{key}` is missing", self.line))
    }

    /// What is left, for a mapping whose other keys are names.
    pub fn rest(self) -> Vec<(&'a str, &'a Node)> {
        self.entries
    }

    /// Ends the reading.
    pub fn done(self) -> Result<(), Fault> {
        match self.entries.first() {
            None => Ok(()),
            Some((key, node)) => node.fail(format!("unknown key `{key}`: expected {}", self.known.join(", "))),
        }
    }
}
