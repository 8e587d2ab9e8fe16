//! Checks a tree against the schema and reports everything that does not fit, with place, expectation and nearest name.
//!
//! It knows the part of JSON Schema that [`super::schema`] makes: `type`, `properties`, `required`,
//! `additionalProperties`, `enum`, `const`, `oneOf` told apart by a constant property, `anyOf` told apart by type,
//! `items`, `minItems`, `uniqueItems`, `minimum`, `maximum`, `$ref`, and our own `x-leaf`, `x-key-leaf`, `x-expected`, `x-help`,
//! `x-bare-help`, `x-null`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value as Json;

use super::diagnostic::{Report, Span, quote, quote_path};
use super::leaf::{self, Problem};
use super::tree::{Entry, Node, Value};

/// More words than these are not listed in a message.
const WORDS_MAX: usize = 8;

/// Checks `root` and returns the part that fits the schema, so that what remains can be checked further even when
/// something else is wrong. Required lists that do not fit are empty in it.
pub(super) fn check(root: &Node, schema: &Json, report: &mut Report) -> Option<Node> {
    let mut homes = Homes::default();
    homes.collect(schema, schema, &Path::default());
    Checker { schema, homes, report }.node(root, schema, &Path::default())
}

/// Where a node is, in words: `targets.cmdb.adopt`. Items of a list go by their name where they have one.
#[derive(Debug, Clone, Default)]
struct Path(String);

impl Path {
    fn key(&self, key: &str) -> Self {
        if self.0.is_empty() { Self(key.to_owned()) } else { Self(format!("{}.{key}", self.0)) }
    }

    fn item(&self, index: usize, node: &Node) -> Self {
        match node.get("name").and_then(Node::text) {
            Some(name) if !name.trim().is_empty() => self.key(name),
            _ => Self(format!("{}[{index}]", self.0)),
        }
    }

    /// ` in …` behind the name of a key.
    fn within(&self) -> String {
        if self.0.is_empty() { String::new() } else { format!(" in {self}") }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("the configuration") } else { f.write_str(&quote_path(&self.0)) }
    }
}

/// Where each key belongs, for keys that stand in the wrong place.
#[derive(Debug, Default)]
struct Homes {
    /// The sections that have it.
    sections: BTreeMap<String, BTreeSet<String>>,
    /// Keys that hold a secret in one of them.
    guarded: BTreeSet<String>,
}

/// The keys of the other kinds of a section, with those kinds as they are written: `kind: client_secret`.
type OtherKinds<'s> = BTreeMap<&'s str, Vec<String>>;

struct Checker<'s, 'r> {
    schema: &'s Json,
    homes: Homes,
    report: &'r mut Report,
}

impl<'s> Checker<'s, '_> {
    fn node(&mut self, node: &Node, schema: &'s Json, path: &Path) -> Option<Node> {
        if matches!(node.value, Value::Refused) {
            return None;
        }
        let schema = resolve(self.schema, schema);
        // `{}`: anything.
        if schema.as_object().is_some_and(serde_json::Map::is_empty) {
            return Some(node.clone());
        }
        if let Some(words) = words(schema) {
            return self.word(node, schema, &words, path);
        }
        if let Some(branches) = schema.get("oneOf").and_then(Json::as_array) {
            return self.tagged(node, branches, path);
        }
        if let Some(branches) = schema.get("anyOf").and_then(Json::as_array) {
            let mut fitting = branches.iter().map(|branch| resolve(self.schema, branch)).filter(|branch| accepts(branch, node));
            return match fitting.next() {
                Some(branch) => self.node(node, branch, path),
                None => self.unexpected(node, schema, path),
            };
        }
        match (schema.get("type").and_then(Json::as_str), &node.value) {
            (Some("object"), Value::Map(entries)) => self.map(node, entries, schema, &OtherKinds::new(), path),
            (Some("array"), Value::List(items)) => self.list(node, items, schema, path),
            (Some("integer"), Value::Whole(whole)) => self.whole(node, *whole, schema, path),
            (Some("string"), Value::Text(text)) => self.text(node, text, schema, path),
            (Some("boolean"), Value::Flag(_)) => Some(node.clone()),
            (Some("number"), _) if node.is_number() => Some(node.clone()),
            _ => self.unexpected(node, schema, path),
        }
    }

    fn unexpected(&mut self, node: &Node, schema: &'s Json, path: &Path) -> Option<Node> {
        let leaf = schema.get("x-leaf").and_then(Json::as_str);
        let is_section_of_secrets = schema.get("type").and_then(Json::as_str) == Some("object") && holds_secret(self.schema, schema);
        if leaf == Some("secret") || is_section_of_secrets {
            self.report.hide(node.span);
        }
        // A bare number or word where a text is needed: what the text would be says more than its type.
        let bare_help = schema.get("x-bare-help").and_then(Json::as_str);
        if let (Some(leaf), Some(text), None) = (leaf, bare(&node.value), bare_help)
            && let Some(Err(problem)) = leaf::try_as(leaf, &text)
        {
            self.problem(node.span, problem, path);
            return None;
        }
        let branches: Vec<&Json> =
            schema.get("anyOf").and_then(Json::as_array).into_iter().flatten().map(|branch| resolve(self.schema, branch)).collect();
        let near = node.text().and_then(|text| {
            let words: Vec<Json> = branches.iter().filter_map(|branch| words(branch)).flatten().collect();
            nearest(text, words.iter().filter_map(Json::as_str)).map(str::to_owned)
        });
        // One item where a list of them is expected: what is wrong with the item comes first.
        let item = std::iter::once(&schema)
            .chain(&branches)
            .find_map(|list| list.get("items")?.get("x-leaf")?.as_str())
            .filter(|_| near.is_none());
        let list_of = match (item, &node.value) {
            (Some(leaf), Value::Text(text)) => leaf::try_as(leaf, text).map(|result| (text, result)),
            _ => None,
        };
        if let Some((_, Err(problem))) = list_of {
            self.problem(node.span, problem, path);
            return None;
        }
        let text = format!("{path}: expected {}, found {}", expected(self.schema, schema), found(schema, &node.value));
        let error = self.report.error(node.span, text);
        match (schema.get("type").and_then(Json::as_str), &node.value) {
            _ if let Some(near) = near => {
                error.help(format!("did you mean `{near}`?"));
            }
            (Some("string"), value) if let Some(bare) = bare(value) => {
                error.help(bare_help.map_or_else(|| format!("put it in quotes: `\"{bare}\"`"), str::to_owned));
            }
            (Some("string"), Value::Map(entries)) if entries.iter().any(|entry| matches!(entry.key.as_str(), "env" | "file")) => {
                error.help("write it without a blank behind the colon: `env:NAME`");
            }
            _ if let Some((text, Ok(()))) = &list_of => {
                error.help(format!("put it in brackets: {}", quote(&format!("[{text}]"))));
            }
            _ if let Some(help) = schema.get("x-help").and_then(Json::as_str) => {
                error.help(help);
            }
            (Some("array" | "object"), _) => {
                if let Some(example) = schema.get("examples").and_then(|examples| examples.get(0)) {
                    error.help(format!("for example `{}`", example.to_string().replace('"', "").replace(',', ", ").replace(':', ": ")));
                }
            }
            (Some("integer"), Value::Text(text)) if text.ends_with('%') => {
                error.help("write the number alone, without `%`");
            }
            _ => {}
        }
        None
    }

    fn problem(&mut self, span: Span, problem: Problem, path: &Path) {
        if problem.secret {
            self.report.hide(span);
        }
        let error = self.report.error(span, format!("{path}: {}", problem.text));
        if let Some(help) = problem.help {
            error.help(help);
        }
    }

    fn text(&mut self, node: &Node, text: &str, schema: &Json, path: &Path) -> Option<Node> {
        match schema.get("x-leaf").and_then(Json::as_str).and_then(|leaf| leaf::try_as(leaf, text)) {
            Some(Err(problem)) => {
                self.problem(node.span, problem, path);
                None
            }
            _ => Some(node.clone()),
        }
    }

    fn whole(&mut self, node: &Node, whole: i128, schema: &'s Json, path: &Path) -> Option<Node> {
        let (least, most) = bounds(schema);
        if (least..=most).contains(&whole) { Some(node.clone()) } else { self.unexpected(node, schema, path) }
    }

    fn word(&mut self, node: &Node, schema: &'s Json, words: &[Json], path: &Path) -> Option<Node> {
        let value = node.to_json();
        if words.contains(&value) {
            return Some(node.clone());
        }
        let help = schema.get("x-help").and_then(Json::as_str).map(str::to_owned);
        let list = any_of(words);
        let expectation = if words.len() <= WORDS_MAX { list.clone() } else { expected(self.schema, schema) };
        let text = format!("{path}: expected {expectation}, found {}", shown(&node.value));
        let error = self.report.error(node.span, text);
        let near = node.text().and_then(|text| nearest(text, words.iter().filter_map(Json::as_str)));
        match (near, help) {
            (Some(near), _) => {
                error.help(format!("did you mean `{near}`?"));
            }
            (None, Some(help)) => {
                error.help(help);
            }
            (None, None) if words.len() > WORDS_MAX => {
                error.help(format!("expected {list}"));
            }
            (None, None) => {}
        }
        None
    }

    /// A mapping whose constant property (`kind`) says which of several it is.
    fn tagged(&mut self, node: &Node, branches: &'s [Json], path: &Path) -> Option<Node> {
        let branches: Vec<(&str, &str, &'s Json)> = branches
            .iter()
            .filter_map(|branch| {
                let branch = resolve(self.schema, branch);
                let tag = branch
                    .get("properties")?
                    .as_object()?
                    .iter()
                    .find_map(|(name, property)| property.get("const").and_then(Json::as_str).map(|word| (name.as_str(), word)))?;
                Some((tag.0, tag.1, branch))
            })
            .collect();
        let (tag, _, first) = branches.first().copied()?;
        let Value::Map(entries) = &node.value else {
            return self.unexpected(node, first, path);
        };
        let words: Vec<Json> = branches.iter().map(|(_, word, _)| Json::from(*word)).collect();
        let Some(entry) = node.entry(tag) else {
            let text = format!("key `{tag}` is missing in {path}: expected {}", any_of(&words));
            let misspelt = entries.iter().find(|entry| nearest(&entry.key, [tag]).is_some());
            let error = self.report.error(misspelt.map_or(opening(node, entries), |entry| entry.key_span), text);
            if let Some(misspelt) = misspelt {
                error.help(format!("did you mean `{tag}` instead of {}?", quote(&misspelt.key)));
            } else {
                error.help(format!("add `{tag}: {}`, for example", words.first().and_then(Json::as_str).unwrap_or_default()));
            }
            self.hide_all(entries);
            return None;
        };
        let branch = branches.iter().find(|(_, word, _)| entry.node.text() == Some(word));
        match branch {
            Some((_, chosen, branch)) => {
                let mut others = OtherKinds::new();
                for (_, word, branch) in branches.iter().filter(|(_, word, _)| word != chosen) {
                    for key in branch.get("properties").and_then(Json::as_object).into_iter().flat_map(serde_json::Map::keys) {
                        others.entry(key).or_default().push(format!("`{tag}: {word}`"));
                    }
                }
                self.map(node, entries, branch, &others, path)
            }
            None => {
                self.word(&entry.node, &Json::Null, &words, &path.key(tag));
                self.hide_all(entries);
                None
            }
        }
    }

    /// Of keys that were not checked nothing is shown: who knows what they hold.
    fn hide_all(&mut self, entries: &[Entry]) {
        for entry in entries.iter().filter(|entry| !matches!(entry.key.as_str(), "name" | "kind")) {
            self.report.hide(entry.node.span);
        }
    }

    /// `others` are keys that would be right if the section were of another kind.
    fn map(&mut self, node: &Node, entries: &[Entry], schema: &'s Json, others: &OtherKinds<'s>, path: &Path) -> Option<Node> {
        let none = serde_json::Map::new();
        let properties = schema.get("properties").and_then(Json::as_object);
        let known: Vec<&str> = properties.unwrap_or(&none).keys().map(String::as_str).collect();
        let any = schema.get("additionalProperties");
        let key_leaf = schema.get("x-key-leaf").and_then(Json::as_str);
        let present: BTreeSet<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        let free: Vec<&str> = known.iter().copied().filter(|key| !present.contains(key)).collect();
        let required: Vec<&str> = schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
        let mut sound = Vec::new();
        let mut meant = BTreeSet::new();
        for entry in entries {
            let path = path.key(&entry.key);
            let property = properties.and_then(|properties| properties.get(&entry.key)).or(any.filter(|any| any.is_object()));
            match property {
                Some(property) => {
                    let key = key_leaf.and_then(|leaf| leaf::try_as(leaf, &entry.key));
                    if matches!(entry.node.value, Value::Null) && property.get("x-null") == Some(&Json::Bool(true)) {
                        sound.push(entry.clone());
                        continue;
                    }
                    if matches!(entry.node.value, Value::Null) {
                        self.no_value(entry, property, required.contains(&entry.key.as_str()), &path);
                        continue;
                    }
                    let key_fits = match key {
                        Some(Err(problem)) => {
                            self.problem(entry.key_span, problem, &path);
                            false
                        }
                        _ => true,
                    };
                    if let Some(node) = self.node(&entry.node, property, &path).filter(|_| key_fits) {
                        sound.push(Entry { node, ..entry.clone() });
                    }
                }
                None => {
                    let near = self.unknown_key(entry, &known, &free, others, &path);
                    let property = near.and_then(|near| properties?.get(near));
                    // Shown only where it is clear what it is: a slip in a secret's key must not print the secret.
                    let open = match property {
                        Some(property) => !holds_secret(self.schema, property),
                        None => self.homes.sections.contains_key(&entry.key) && !self.homes.guarded.contains(&entry.key),
                    };
                    if !open {
                        self.report.hide(entry.node.span);
                    }
                    meant.extend(near);
                }
            }
        }

        let mut whole = true;
        for key in required {
            if sound.iter().any(|entry| entry.key == key) {
                continue;
            }
            let property = properties.and_then(|properties| properties.get(key));
            if !present.contains(key) && !meant.contains(key) {
                let text = format!("key `{key}` is missing{}", path.within());
                let error = self.report.error(opening(node, entries), text);
                error.label("missing here");
                if let Some(description) = property.and_then(|property| property.get("description")).and_then(Json::as_str) {
                    error.help(format!("`{key}`: {}", first_sentence(description)));
                }
            }
            if property.is_some_and(|property| resolve(self.schema, property).get("type") == Some(&Json::from("array"))) {
                let span = node.entry(key).map_or(node.span, |entry| entry.node.span);
                let empty = Node { span, value: Value::List(Vec::new()), style: None };
                sound.push(Entry { key: key.to_owned(), key_span: span, node: empty });
            } else {
                whole = false;
            }
        }
        whole.then_some(Node { span: node.span, value: Value::Map(sound), style: None })
    }

    /// A key with nothing behind it, which YAML calls null.
    fn no_value(&mut self, entry: &Entry, property: &'s Json, required: bool, path: &Path) {
        let text = format!("{path}: expected {}, found nothing", expected(self.schema, property));
        let error = self.report.error(entry.node.span, text);
        if !required {
            let default = property.get("default").is_some();
            error.help(if default { "leave the key out to get its default" } else { "leave the key out if it has no value" });
        }
    }

    /// Reports an unknown key, and returns the key that is meant, if one is near.
    fn unknown_key<'k>(
        &mut self,
        entry: &Entry,
        known: &[&'k str],
        free: &[&'k str],
        others: &OtherKinds<'_>,
        path: &Path,
    ) -> Option<&'k str> {
        let parent = Path(path.0.strip_suffix(&entry.key).unwrap_or_default().trim_end_matches('.').to_owned());
        let near = nearest(&entry.key, free.iter().copied());
        let homes = self.homes.sections.get(&entry.key);
        let text = format!("unknown key {}{}", quote(&entry.key), parent.within());
        let help = if entry.key == "<<" {
            "merge keys are not supported: write the keys out".to_owned()
        } else if let Some(near) = near {
            format!("did you mean `{near}`?")
        } else if let Some(kinds) = others.get(entry.key.as_str()) {
            format!("{} goes with {}", quote(&entry.key), kinds.join(" or "))
        } else if let Some(homes) = homes {
            let homes: Vec<String> = homes.iter().map(|home| format!("`{home}`")).collect();
            format!("{} belongs in {}", quote(&entry.key), homes.join(" or "))
        } else if known.is_empty() {
            "no keys are known here".to_owned()
        } else {
            let known: Vec<String> = known.iter().map(|key| format!("`{key}`")).collect();
            format!("known here: {}", known.join(", "))
        };
        self.report.error(entry.key_span, text).label("not known").help(help);
        near
    }

    fn list(&mut self, node: &Node, items: &[Node], schema: &'s Json, path: &Path) -> Option<Node> {
        let least = schema.get("minItems").and_then(Json::as_u64).unwrap_or(0);
        if u64::try_from(items.len()).is_ok_and(|count| count < least) {
            self.report.error(
                node.span,
                format!("{path} is empty: expected at least {}", if least == 1 { "one".to_owned() } else { least.to_string() }),
            );
            return None;
        }
        let unique = schema.get("uniqueItems") == Some(&Json::Bool(true));
        let mut sound: Vec<Node> = Vec::new();
        let mut seen: BTreeMap<String, Span> = BTreeMap::new();
        for (index, item) in items.iter().enumerate() {
            let item_path = path.item(index, item);
            let checked = match schema.get("items") {
                Some(schema) => self.node(item, schema, &item_path),
                None => Some(item.clone()),
            };
            let Some(checked) = checked else { continue };
            if unique {
                let value = checked.to_json().to_string();
                if let Some(first) = seen.get(&value) {
                    let error = self.report.error(item.span, format!("{path}: {} is listed twice", shown(&item.value)));
                    error.again(*first).help("remove one of the two");
                    continue;
                }
                seen.insert(value, item.span);
            }
            sound.push(checked);
        }
        Some(Node { span: node.span, value: Value::List(sound), style: None })
    }
}

fn resolve<'s>(root: &'s Json, mut schema: &'s Json) -> &'s Json {
    // Bounded, so that a reference to itself cannot hang.
    for _ in 0..8 {
        let target = schema.get("$ref").and_then(Json::as_str).and_then(|name| name.strip_prefix('#'));
        match target.and_then(|pointer| root.pointer(pointer)) {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

/// The constants of a schema that is nothing but a choice of constants.
fn words(schema: &Json) -> Option<Vec<Json>> {
    if let Some(words) = schema.get("enum").and_then(Json::as_array) {
        return Some(words.clone());
    }
    if let Some(word) = schema.get("const") {
        return Some(vec![word.clone()]);
    }
    let branches = schema.get("oneOf").and_then(Json::as_array)?;
    let mut all = Vec::new();
    for branch in branches {
        all.extend(branch.get("enum").and_then(Json::as_array).cloned().or_else(|| Some(vec![branch.get("const")?.clone()]))?);
    }
    Some(all)
}

/// Whether a key's value can be, or can hold, a secret.
fn holds_secret(root: &Json, property: &Json) -> bool {
    let property = resolve(root, property);
    let lists = ["anyOf", "oneOf"].into_iter().filter_map(|keyword| property.get(keyword)?.as_array()).flatten();
    let parts = property.get("properties").and_then(Json::as_object).into_iter().flat_map(|properties| properties.values());
    matches!(
        property.get("x-leaf").and_then(Json::as_str),
        Some("secret" | "ledger" | "http_url" | "https_url" | "azure_authority" | "instance_url" | "name_or_reference" | "azure_client_id")
    ) || lists.chain(parts).chain(property.get("items")).any(|part| holds_secret(root, part))
}

/// Whether a node is of the type of one branch of `anyOf`.
fn accepts(branch: &Json, node: &Node) -> bool {
    match (words(branch), branch.get("type").and_then(Json::as_str), &node.value) {
        (Some(words), _, _) => words.contains(&node.to_json()),
        (_, Some("integer"), Value::Whole(_))
        | (_, Some("string"), Value::Text(_))
        | (_, Some("array"), Value::List(_))
        | (_, Some("object"), Value::Map(_))
        | (_, Some("boolean"), Value::Flag(_)) => true,
        (_, Some("number"), _) => node.is_number(),
        _ => false,
    }
}

/// Least and most of a whole number.
fn bounds(schema: &Json) -> (i128, i128) {
    let bound = |keyword: &str| schema.get(keyword).and_then(Json::as_number).and_then(serde_json::Number::as_i128);
    let (least, most) = match schema.get("format").and_then(Json::as_str) {
        Some("uint8") => (0, u8::MAX.into()),
        Some("uint16") => (0, u16::MAX.into()),
        Some("uint32") => (0, u32::MAX.into()),
        Some("uint64") => (0, u64::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    };
    (bound("minimum").unwrap_or(least), bound("maximum").unwrap_or(most))
}

/// What a schema expects, as a noun phrase.
fn expected(root: &Json, schema: &Json) -> String {
    let schema = resolve(root, schema);
    if let Some(expected) = schema.get("x-expected").and_then(Json::as_str) {
        return expected.to_owned();
    }
    if let Some(words) = words(schema) {
        return any_of(&words);
    }
    if let Some(branches) = schema.get("anyOf").and_then(Json::as_array) {
        let branches: Vec<String> = branches.iter().map(|branch| expected(root, branch)).collect();
        return branches.join(" or ");
    }
    match schema.get("type").and_then(Json::as_str) {
        Some("integer") => match bounds(schema) {
            (least, most) if most == i128::from(u64::MAX) => format!("a whole number, at least {least}"),
            (least, most) => format!("a whole number from {least} to {most}"),
        },
        Some("number") => "a number".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("string") => "a text".to_owned(),
        Some("array") => "a list".to_owned(),
        Some("object") => "a mapping".to_owned(),
        // One of several kinds.
        None if schema.get("oneOf").is_some() => "a mapping".to_owned(),
        _ => "something else".to_owned(),
    }
}

/// `a`, `b` or `c`.
fn any_of(words: &[Json]) -> String {
    let words: Vec<String> = words.iter().map(|word| word.as_str().map_or_else(|| word.to_string(), |word| format!("`{word}`"))).collect();
    match words.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

/// What stands there; a text only where a number is expected: elsewhere it may be anything, a secret too.
fn found(schema: &Json, value: &Value) -> String {
    let number = schema.get("anyOf").is_some() || schema.get("type") == Some(&Json::from("integer"));
    match value {
        Value::Text(_) if !number => "a text".to_owned(),
        value => shown(value),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null | Value::Refused => "nothing".to_owned(),
        Value::Flag(flag) => format!("`{flag}`"),
        Value::Whole(whole) => whole.to_string(),
        Value::Decimal(decimal) => decimal.to_string(),
        Value::Text(text) if text.contains("://") => "a URL".to_owned(),
        Value::Text(text) => quote(text),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
    }
}

/// A scalar that YAML does not take for a text, as the text it could be.
fn bare(value: &Value) -> Option<String> {
    match value {
        Value::Flag(flag) => Some(flag.to_string()),
        Value::Whole(whole) => Some(whole.to_string()),
        Value::Decimal(decimal) => Some(decimal.to_string()),
        Value::Null | Value::Text(_) | Value::List(_) | Value::Map(_) | Value::Refused => None,
    }
}

/// Where a mapping begins, to point at when something is missing in it.
fn opening(node: &Node, entries: &[Entry]) -> Span {
    match entries.first() {
        Some(first) if first.key_span.start.line == node.span.start.line => Span { start: node.span.start, end: first.key_span.end },
        _ => Span { start: node.span.start, end: node.span.start },
    }
}

fn first_sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.split_once(". ").map_or(text.as_str(), |(first, _)| first).trim_end_matches('.').to_owned()
}

/// Whether a key is written, or a slip of the pen that is an error of its own, with the same mend.
pub(super) fn is_meant(node: &Node, key: &'static str) -> bool {
    node.entries().iter().any(|entry| nearest(&entry.key, [key]).is_some())
}

/// The nearest of several names, if one is near enough to be a slip of the pen.
pub(super) fn nearest<'n>(text: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // Distance costs the product of the lengths; nobody's slip is this long.
    if text.len() > 100 {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace(['-', ' '], "_");
    let wanted = plain(text);
    let distance = |name: &&'n str| strsim::osa_distance(&wanted, &plain(name));
    let best = names.into_iter().map(|name| (distance(&name), name)).min()?;
    let far = best.1.len().min(wanted.len()).div_ceil(3).min(3);
    (best.0 <= far).then_some(best.1)
}

impl Homes {
    /// Collects, for every key of the schema, the sections that have it.
    fn collect(&mut self, root: &Json, schema: &Json, path: &Path) {
        let schema = resolve(root, schema);
        for (key, property) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
            let home = if path.0.is_empty() { "the top level".to_owned() } else { path.0.clone() };
            self.sections.entry(key.clone()).or_default().insert(home);
            if holds_secret(root, property) {
                self.guarded.insert(key.clone());
            }
            self.collect(root, property, &path.key(key));
        }
        if let Some(items) = schema.get("items") {
            self.collect(root, items, &Path(format!("{}[]", path.0)));
        }
        let branches = ["oneOf", "anyOf"].into_iter().filter_map(|keyword| schema.get(keyword)?.as_array()).flatten();
        for branch in branches {
            self.collect(root, branch, path);
        }
    }
}
