//! A story as it is written: steps, each with what changed in the clouds and what must hold then. `tests/scenarios/README.md` describes the form.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::tree::{self, Fault, Fields, Node};

/// When every story begins.
const BEGINNING: &str = "2026-03-01T00:00:00Z";

#[derive(Debug)]
pub struct Story {
    pub title: String,
    pub settings: Settings,
    pub steps: Vec<Step>,
}

/// Parts of the configuration, as they stand in it.
#[derive(Debug, Default)]
pub struct Settings {
    /// `lifecycle`, `guardrails`, `ownership`.
    pub keys: BTreeMap<&'static str, Value>,
    /// Keys of the target.
    pub cmdb: Option<Value>,
    /// Name of the source.
    pub source: Option<String>,
    /// Texts among the warnings that the rules are meant to give.
    pub warned: Option<Vec<String>>,
}

#[derive(Debug)]
pub struct Step {
    pub line: usize,
    pub at: Timestamp,
    /// As written.
    pub at_text: String,
    pub settings: Settings,
    pub clouds: Vec<Edit>,
    pub gaps: Vec<Gap>,
    /// Command lines of people, before the sync.
    pub people: Vec<String>,
    pub then: Then,
}

/// What is new about one resource.
#[derive(Debug)]
pub struct Edit {
    pub line: usize,
    pub name: String,
    pub news: News,
}

#[derive(Debug)]
pub enum News {
    Gone,
    /// Its fields, laid over those it had.
    Fields(Map<String, Value>),
}

/// A listing that was not complete.
#[derive(Debug)]
pub struct Gap {
    pub line: usize,
    /// `None`: every kind but accounts.
    pub kind: Option<String>,
    /// Region, account or both; none: the usual ones.
    pub place: Vec<String>,
    pub outcome: String,
    /// Resources that were read all the same.
    pub read: Vec<String>,
}

/// What must hold after the sync. What is not said must be as it was.
#[derive(Debug)]
pub struct Then {
    pub exit: i32,
    pub records: Vec<(String, usize, Record)>,
    pub edges: Option<Vec<Edge>>,
    pub deferred: Option<u64>,
    pub folded: Option<u64>,
    pub ignored: Option<u64>,
    pub held: Vec<String>,
    pub sent: Option<BTreeMap<String, u64>>,
    pub says: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Record {
    /// `live`, `retired` or `none`.
    pub is: Option<String>,
    pub fields: BTreeMap<String, Value>,
}

#[derive(Debug, Clone)]
pub struct Edge {
    pub line: usize,
    pub from: String,
    pub relation: String,
    pub to: String,
    /// Attributes that it must have, beside others.
    pub fields: BTreeMap<String, Value>,
}

impl Story {
    /// Reads a story; the fault begins with the line.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let root = tree::parse(text)?;
        let mut fields = root.fields()?;
        let title = fields.need("story")?.text()?;
        let settings = Settings::read(&mut fields)?;
        let steps = fields.need("steps")?.items()?.into_iter().map(Step::read).collect::<Result<Vec<_>, _>>()?;
        fields.done()?;
        Ok(Self { title, settings, steps })
    }
}

impl Settings {
    fn read(fields: &mut Fields<'_>) -> Result<Self, Fault> {
        let mut settings = Self::default();
        for key in ["lifecycle", "guardrails", "ownership"] {
            if let Some(node) = fields.take(key) {
                settings.keys.insert(key, node.json());
            }
        }
        settings.cmdb = fields.take("cmdb").map(Node::json);
        settings.source = fields.take("source").map(Node::text).transpose()?;
        settings.warned = fields.take("warned").map(texts).transpose()?;
        Ok(settings)
    }

    /// Lays later settings over these, each as a whole.
    pub fn lay(&mut self, over: &Self) {
        self.keys.extend(over.keys.iter().map(|(key, value)| (*key, value.clone())));
        self.cmdb = over.cmdb.clone().or(self.cmdb.take());
        self.source = over.source.clone().or(self.source.take());
        self.warned = over.warned.clone().or(self.warned.take());
    }
}

impl Step {
    fn read(node: &Node) -> Result<Self, Fault> {
        let mut fields = node.fields()?;
        let at = fields.need("at")?;
        let (at_text, at) = (at.text()?, instant(at)?);
        let settings = Settings::read(&mut fields)?;
        let clouds = fields.take("clouds").map(edits).transpose()?.unwrap_or_default();
        let gaps = fields.take("gaps").map(gaps).transpose()?.unwrap_or_default();
        let people = fields.take("people").map(texts).transpose()?.unwrap_or_default();
        let then = fields.need("then")?;
        let then = Then::read(then)?;
        fields.done()?;
        Ok(Self { line: node.line, at, at_text, settings, clouds, gaps, people, then })
    }
}

fn texts(node: &Node) -> Result<Vec<String>, Fault> {
    node.items()?.into_iter().map(Node::text).collect()
}

fn edits(node: &Node) -> Result<Vec<Edit>, Fault> {
    let mut edits = Vec::new();
    for (written, node) in node.entries()? {
        for (name, number) in expand(written).or_else(|fault| node.fail(fault))? {
            let news = match node.word() {
                Some("gone") => News::Gone,
                Some(state) => News::Fields([("state".to_owned(), state.into())].into_iter().collect()),
                None if node.is_null() => News::Fields(Map::new()),
                None => match numbered(node.json(), &number) {
                    Value::Object(fields) => News::Fields(fields),
                    _ => return node.fail(format!("`{written}` must be `gone`, a state, or a mapping")),
                },
            };
            edits.push(Edit { line: node.line, name, news });
        }
    }
    Ok(edits)
}

fn gaps(node: &Node) -> Result<Vec<Gap>, Fault> {
    let gap = |(scope, node): &(String, Node)| {
        let (kind, place) = scope.split_once('@').map_or((scope.as_str(), Vec::new()), |(kind, place)| (kind, place.split('/').collect()));
        let mut gap = Gap {
            line: node.line,
            kind: (kind != "all").then(|| kind.to_owned()),
            place: place.into_iter().map(str::to_owned).collect(),
            outcome: String::new(),
            read: Vec::new(),
        };
        if let Some(outcome) = node.word() {
            gap.outcome = outcome.to_owned();
        } else {
            let mut fields = node.fields()?;
            gap.outcome = fields.need("outcome")?.text()?;
            gap.read = fields.take("read").map(names).transpose()?.unwrap_or_default();
            fields.done()?;
        }
        Ok(gap)
    };
    node.entries()?.iter().map(gap).collect()
}

fn names(node: &Node) -> Result<Vec<String>, Fault> {
    let mut names = Vec::new();
    for written in texts(node)? {
        names.extend(expand(&written).or_else(|fault| node.fail(fault))?.into_iter().map(|(name, _)| name));
    }
    Ok(names)
}

impl Then {
    fn read(node: &Node) -> Result<Self, Fault> {
        let mut fields = node.fields()?;
        let count = |node: Option<&Node>| node.map(Node::count).transpose();
        let exit = i32::try_from(count(fields.take("exit"))?.unwrap_or(0)).unwrap_or(i32::MAX);
        let records = fields.take("records").map(records).transpose()?.unwrap_or_default();
        let edges = fields.take("edges").map(edges).transpose()?;
        let deferred = count(fields.take("deferred"))?;
        let folded = count(fields.take("folded"))?;
        let ignored = count(fields.take("ignored"))?;
        let held = fields.take("held").map(names).transpose()?.unwrap_or_default();
        let sent = match fields.take("sent") {
            Some(node) if node.word() == Some("nothing") => Some(BTreeMap::new()),
            Some(node) => Some(node.entries()?.iter().map(|(word, node)| Ok((word.clone(), node.count()?))).collect::<Result<_, Fault>>()?),
            None => None,
        };
        let says = fields.take("says").map(texts).transpose()?.unwrap_or_default();
        fields.done()?;
        Ok(Self { exit, records, edges, deferred, folded, ignored, held, sent, says })
    }
}

fn records(node: &Node) -> Result<Vec<(String, usize, Record)>, Fault> {
    let mut records = Vec::new();
    for (written, node) in node.entries()? {
        let mut record = Record { is: None, fields: BTreeMap::new() };
        if let Some(word) = node.word() {
            record.is = Some(word.to_owned());
        } else {
            let mut fields = node.fields()?;
            record.is = fields.take("is").map(Node::text).transpose()?;
            record.fields = fields.rest().into_iter().map(|(name, node)| (name.to_owned(), node.json())).collect();
        }
        if let Some(word) = record.is.as_deref().filter(|word| !["live", "retired", "none"].contains(word)) {
            return node.fail(format!("a record is `live`, `retired` or `none`, not `{word}`"));
        }
        for (name, number) in expand(written).or_else(|fault| node.fail(fault))? {
            let fields = record.fields.iter().map(|(field, value)| (field.clone(), numbered(value.clone(), &number))).collect();
            records.push((name, node.line, Record { is: record.is.clone(), fields }));
        }
    }
    Ok(records)
}

/// `FROM relation TO`, in a list, or in a mapping to attributes.
fn edges(node: &Node) -> Result<Vec<Edge>, Fault> {
    let written: Vec<(String, usize, BTreeMap<String, Value>)> = match node.items() {
        Ok(items) => items.into_iter().map(|item| Ok((item.text()?, item.line, BTreeMap::new()))).collect::<Result<_, Fault>>()?,
        Err(_) => {
            let attributes = |node: &Node| Ok::<_, Fault>(node.entries()?.iter().map(|(name, node)| (name.clone(), node.json())).collect());
            node.entries()?.iter().map(|(text, node)| Ok((text.clone(), node.line, attributes(node)?))).collect::<Result<_, Fault>>()?
        }
    };
    let mut edges = Vec::new();
    for (text, line, fields) in written {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [from, relation, to] = words[..] else { return Err(format!("{line}: an edge is `FROM relation TO`, not `{text}`")) };
        let fail = |fault| format!("{line}: {fault}");
        for (from, number) in expand(from).map_err(fail)? {
            for (to, _) in expand(&to.replace('#', &number)).map_err(fail)? {
                edges.push(Edge { line, from: from.clone(), relation: relation.to_owned(), to, fields: fields.clone() });
            }
        }
    }
    Ok(edges)
}

/// `web-1..3` as `web-1`, `web-2`, `web-3`, each with its number; any other name as it is.
pub fn expand(written: &str) -> Result<Vec<(String, String)>, String> {
    let Some((head, tail)) = written.split_once("..") else { return Ok(vec![(written.to_owned(), String::new())]) };
    let stem = head.trim_end_matches(|c: char| c.is_ascii_digit());
    let rest = tail.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = |text: &str| text.parse::<u32>().map_err(|_| format!("`{written}` is no range such as `web-1..3`"));
    let (first, last) = (number(&head[stem.len()..])?, number(&tail[..tail.len() - rest.len()])?);
    if first > last {
        return Err(format!("`{written}` counts backwards"));
    }
    Ok((first..=last).map(|n| (format!("{stem}{n}{rest}"), n.to_string())).collect())
}

/// With its number in place of each `#`, in keys too.
fn numbered(value: Value, number: &str) -> Value {
    if number.is_empty() {
        return value;
    }
    match value {
        Value::String(text) => Value::String(text.replace('#', number)),
        Value::Array(items) => items.into_iter().map(|item| numbered(item, number)).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key.replace('#', number), numbered(value, number))).collect(),
        other => other,
    }
}

fn instant(node: &Node) -> Result<Timestamp, Fault> {
    after_beginning(&node.text()?).or_else(|fault| node.fail(fault))
}

/// The instant that lies so long after the beginning: `0`, `90m`, `2d 30m`, `-1h`.
pub fn after_beginning(text: &str) -> Result<Timestamp, String> {
    let fault = || format!("`{text}` is no time since the beginning such as `0`, `90m`, `2d 30m` or `-1h`");
    let (sign, rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let mut seconds = 0_i64;
    for part in rest.split_whitespace() {
        let mut part = part;
        while !part.is_empty() && part != "0" {
            let unit = part.find(|c: char| !c.is_ascii_digit()).ok_or_else(fault)?;
            let length = match part.as_bytes()[unit] {
                b's' => 1,
                b'm' => 60,
                b'h' => 3600,
                b'd' => 86_400,
                _ => return Err(fault()),
            };
            seconds += part[..unit].parse::<i64>().map_err(|_| fault())? * length;
            part = &part[unit + 1..];
        }
    }
    let beginning: Timestamp = BEGINNING.parse().map_err(|_| fault())?;
    beginning.checked_add(SignedDuration::from_secs(sign * seconds)).map_err(|_| fault())
}
