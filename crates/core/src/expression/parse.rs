//! From source to syntax tree, within limits, with positions in bytes.

use std::collections::BTreeMap;
use std::ops::Range;

use cel::IdedExpr;
use cel::ParseErrors;
use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, SourceInfo, operators};
use cel::parser::Parser;

use super::Mistake;
use super::vocabulary::{Object, Vocabulary};

/// Longest source, in bytes.
pub(super) const SOURCE_BYTES_MAX: usize = 4096;
/// Most nodes of a syntax tree, not counting what macros add.
pub(super) const NODES_MAX: usize = 500;
/// Deepest syntax tree. The interpreter recurses as deep, in debug builds with some 30 KiB a level: some half of a worker's stack.
pub(super) const DEPTH_MAX: usize = 32;
/// Deepest nesting that the parser itself follows.
const BRACKETS_MAX: u16 = 24;
/// The generated parser takes some 100 KiB of stack a level in debug builds, and a long chain of operators is as deep as it is long.
/// Virtual memory: what is not touched is not used.
const PARSER_STACK_BYTES: usize = 32 << 20;

/// Where the nodes of a syntax tree were written.
#[derive(Debug, Clone, Default)]
pub(super) struct Spans {
    /// By node: its operator or token, in bytes.
    tokens: BTreeMap<u64, Range<usize>>,
}

/// Parses in a thread of its own: the generated parser needs more stack than a worker has, and a panic in it is an answer, not an end.
pub(super) fn parse(source: &str, vocabulary: &Vocabulary) -> Result<(IdedExpr, Spans), Vec<Mistake>> {
    if source.len() > SOURCE_BYTES_MAX {
        let text = format!("an expression has at most {SOURCE_BYTES_MAX} bytes, and this one has {}", source.len());
        return Err(vec![Mistake::new(0..source.len(), text)]);
    }
    if source.trim().is_empty() {
        return Err(vec![Mistake::new(0..source.len(), "an expression is missing").with_help("to match everything, write `true`")]);
    }
    let whole = || 0..source.len();
    let outcome = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("expression parser".to_owned()).stack_size(PARSER_STACK_BYTES);
        thread.spawn_scoped(scope, || parse_here(source, vocabulary)).map(std::thread::ScopedJoinHandle::join)
    });
    match outcome {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(vec![Mistake::new(whole(), "this could not be parsed")]),
        Err(error) => Err(vec![Mistake::new(whole(), format!("this could not be parsed: {error}"))]),
    }
}

fn parse_here(source: &str, vocabulary: &Vocabulary) -> Result<(IdedExpr, Spans), Vec<Mistake>> {
    let parser = Parser::new().max_recursion_depth(BRACKETS_MAX);
    let (tree, info) = parser.parse_with_source_info(source).map_err(|errors| syntax(source, &errors))?;
    let spans = Spans::of(source, &info);
    let whole = || 0..source.len();
    let size = size(&tree);
    if size.nodes > NODES_MAX {
        let text = format!("this expression has {} parts, at most {NODES_MAX} are allowed", size.nodes);
        let help = match vocabulary.main() {
            Object::Record => "let lifecycle rules set an attribute, and read that",
            _ => "split it into several rules",
        };
        return Err(vec![Mistake::new(whole(), text).with_help(help)]);
    }
    if size.depth > DEPTH_MAX {
        let text = format!("this expression is nested {} levels deep, at most {DEPTH_MAX} are allowed", size.depth);
        return Err(vec![Mistake::new(whole(), text).with_help("test for one of many values with `x in [\"a\", \"b\"]`")]);
    }
    Ok((tree, spans))
}

#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    depth: usize,
}

fn size(node: &IdedExpr) -> Size {
    let parts = parts(node).into_iter().map(size);
    let within = parts.fold(Size::default(), |a, b| Size { nodes: a.nodes + b.nodes, depth: a.depth.max(b.depth) });
    // A macro is one node with its range and body: what it expands to is not of the author's making. It costs two levels.
    let levels = if matches!(node.expr, Expr::Comprehension(_)) { 2 } else { 1 };
    Size { nodes: within.nodes + 1, depth: within.depth + levels }
}

/// A node's parts as the author wrote them.
pub(super) fn parts(node: &IdedExpr) -> Vec<&IdedExpr> {
    match &node.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Map(map) => map.entries.iter().flat_map(|entry| entry_parts(&entry.expr)).collect(),
        Expr::Struct(literal) => literal.entries.iter().flat_map(|entry| entry_parts(&entry.expr)).collect(),
        Expr::Comprehension(inner) => {
            std::iter::once(&inner.iter_range).chain(Macro::of(inner).into_iter().flat_map(Macro::bodies)).collect()
        }
    }
}

fn entry_parts(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
        EntryExpr::StructField(field) => vec![&field.value],
    }
}

/// A macro, told from what it expanded to.
#[derive(Clone, Copy)]
pub(super) enum Macro<'e> {
    /// `exists`, `all` and `exists_one`: a condition for each element.
    Test(&'e IdedExpr),
    /// `filter`, and `map` with a condition and a result.
    Pick(&'e IdedExpr, &'e IdedExpr),
    /// `map`: a result for each element.
    Map(&'e IdedExpr),
}

impl<'e> Macro<'e> {
    pub(super) fn of(inner: &'e ComprehensionExpr) -> Option<Self> {
        let Expr::Call(step) = &inner.loop_step.expr else { return None };
        let appended = |node: &'e IdedExpr| match &node.expr {
            Expr::Call(add) => match add.args.as_slice() {
                [_, item] => match &item.expr {
                    Expr::List(items) => items.elements.first(),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        };
        match (step.args.as_slice(), &inner.accu_init.expr) {
            ([condition, item, _], Expr::List(_)) => appended(item).map(|item| Self::Pick(condition, item)),
            ([condition, _, _], Expr::Literal(_)) => Some(Self::Test(condition)),
            ([_, _], Expr::List(_)) => appended(&inner.loop_step).map(Self::Map),
            ([_, condition], Expr::Literal(_)) => Some(Self::Test(condition)),
            _ => None,
        }
    }

    /// What is evaluated for each element.
    pub(super) fn bodies(self) -> impl Iterator<Item = &'e IdedExpr> {
        let (first, second) = match self {
            Self::Test(body) | Self::Map(body) => (body, None),
            Self::Pick(condition, item) => (condition, Some(item)),
        };
        std::iter::once(first).chain(second)
    }
}

impl Spans {
    fn of(source: &str, info: &SourceInfo) -> Self {
        // The parser counts in bytes, to the last byte that belongs to a token.
        let end = |last: usize| (last + 1..=source.len()).find(|at| source.is_char_boundary(*at)).unwrap_or(source.len());
        // Ids count up from one, a macro's expansion included.
        let mut tokens = BTreeMap::new();
        let mut unknown = 0;
        for id in 1_u64.. {
            match info.offset_for(id) {
                Some((start, last)) => {
                    let start = (start as usize).min(source.len());
                    if source.is_char_boundary(start) {
                        tokens.insert(id, start..end(last as usize).max(start));
                    }
                }
                None if unknown > 16 => break,
                None => unknown += 1,
            }
        }
        Self { tokens }
    }

    /// All that a node was written as, brackets around its parts included.
    pub(super) fn of_node(&self, source: &str, node: &IdedExpr) -> Range<usize> {
        balanced(source, self.of_tokens(source, node))
    }

    fn of_tokens(&self, source: &str, node: &IdedExpr) -> Range<usize> {
        let token = self.tokens.get(&node.id).cloned();
        let within = parts(node).into_iter().map(|part| self.of_node(source, part));
        let mut span =
            token.clone().into_iter().chain(within).reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..source.len());
        let Some(token) = token else { return span };
        let bracket = matches!(source.get(token.clone()), Some("[" | "{" | "("));
        if bracket {
            span.end = span.end.max(closing(source, token.start));
        }
        let name = match &node.expr {
            Expr::Call(call) if bracket => call.func_name.as_str(),
            Expr::Struct(literal) => literal.type_name.as_str(),
            Expr::Select(select) if select.test => operators::HAS,
            Expr::Select(_) => {
                span.end = span.end.max(self.of_name(source, node).end);
                return span;
            }
            _ => return span,
        };
        span.start = span.start.min(before_word(source, token.start, name));
        span
    }

    /// The name of a called function, or the name of a selected field.
    pub(super) fn of_name(&self, source: &str, node: &IdedExpr) -> Range<usize> {
        let Some(token) = self.tokens.get(&node.id).cloned() else { return 0..source.len() };
        match &node.expr {
            // The token of a `has(…)` is its bracket: the name is looked for behind the operand.
            Expr::Select(select) => {
                let operand = self.of_node(source, &select.operand).end;
                let dot = after_word(source, operand, ".");
                let end = after_word(source, dot, &select.field);
                end.saturating_sub(select.field.len()).max(dot)..end
            }
            Expr::Call(call) if source.get(token.clone()) == Some("(") => {
                let start = before_word(source, token.start, &call.func_name);
                start..(start + call.func_name.len()).min(token.start.max(start))
            }
            _ => token,
        }
    }
}

/// The end of a word that follows a position, over white space.
fn after_word(source: &str, from: usize, word: &str) -> usize {
    let rest = source.get(from..).unwrap_or_default();
    let trimmed = rest.trim_start();
    if trimmed.starts_with(word) { from + (rest.len() - trimmed.len()) + word.len() } else { from }
}

/// The start of a word that ends before a position, over white space.
fn before_word(source: &str, to: usize, word: &str) -> usize {
    let before = source.get(..to).unwrap_or_default().trim_end();
    if before.ends_with(word) { before.len() - word.len() } else { to }
}

/// Takes in the brackets around the first and the last part: the parser keeps no trace of them.
fn balanced(source: &str, mut span: Range<usize>) -> Range<usize> {
    let (mut unopened, mut unclosed) = (0_usize, 0_usize);
    for (_, character) in outside_texts(source.get(span.clone()).unwrap_or_default()) {
        match character {
            '(' => unclosed += 1,
            ')' if unclosed > 0 => unclosed -= 1,
            ')' => unopened += 1,
            _ => {}
        }
    }
    for _ in 0..unclosed {
        span.end = after_word(source, span.end, ")");
    }
    for _ in 0..unopened {
        span.start = before_word(source, span.start, "(");
    }
    span
}

/// The end of the bracket that opens at a position, strings left out; the position after it where none closes it.
fn closing(source: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, character) in outside_texts(source.get(open..).unwrap_or_default()) {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return open + at + 1;
                }
            }
            _ => {}
        }
    }
    (open + 1).min(source.len())
}

/// The characters that stand outside of quotes. Good enough for marking a place: a raw text that ends in a backslash misleads it.
fn outside_texts(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quote: Option<char> = None;
    let mut escaped = false;
    text.char_indices().filter(move |(_, character)| {
        match (quote, *character) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), close) if open == close => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(*character),
            (None, _) => return true,
        }
        false
    })
}

/// The parser's first error in words: one slip makes the generated parser stumble over and over.
fn syntax(source: &str, errors: &ParseErrors) -> Vec<Mistake> {
    // What the generated parser says comes before what was made of its broken tree.
    let first = errors.errors.iter().find(|error| error.msg.starts_with("Syntax error")).or(errors.errors.first());
    let mistake = first.map(|error| one_error(source, error.pos, &error.msg));
    vec![mistake.unwrap_or_else(|| Mistake::new(0..source.len(), "this could not be parsed"))]
}

fn one_error(source: &str, (line, column): (isize, isize), message: &str) -> Mistake {
    let start = position(source, line, column);
    let rest = source.get(start..).unwrap_or_default();
    let word: usize = rest.chars().take_while(|character| character.is_alphanumeric() || *character == '_').map(char::len_utf8).sum();
    let at = start..start + if word > 0 { word } else { rest.chars().next().map_or(0, char::len_utf8) };
    let found = source.get(at.clone()).unwrap_or_default();
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    if message.contains("Recursion limit") {
        return Mistake::new(at, format!("more than {BRACKETS_MAX} brackets in one another"));
    }
    if rest.trim().is_empty() {
        return Mistake::new(at, "the expression ends too early");
    }
    let text = match found {
        "\"" | "'" => "this text has no end, or holds an escape that CEL does not know".to_owned(),
        _ if message.starts_with("argument must be a simple name") => "a macro's first argument is the name for an element".to_owned(),
        _ if message.starts_with("invalid argument to has()") => "`has` takes a field, such as `has(x.name)`".to_owned(),
        _ if message.starts_with("reserved identifier") => format!("`{found}` is a reserved word of CEL"),
        _ if message.starts_with("invalid") => format!("{message}: `{found}`"),
        _ if message.starts_with("unsupported syntax") => message.replace('\'', "`"),
        _ if message.starts_with("token recognition") => format!("`{found}` means nothing here"),
        _ => format!("`{found}` is not expected here"),
    };
    let mend = match found.to_lowercase().as_str() {
        "=" => Some("to compare, write `==`"),
        "and" | "&" => Some("write `&&`"),
        "or" | "|" => Some("write `||`"),
        "not" => Some("write `!`"),
        "\"" | "'" => Some("a backslash in a pattern is written `\\\\`, or the text raw: r\"\\d+\""),
        _ => None,
    };
    let mistake = Mistake::new(at, text);
    match mend {
        Some(mend) => mistake.with_help(mend),
        None => mistake,
    }
}

/// A line and a column (in characters, from one) as an offset in bytes.
fn position(source: &str, line: isize, column: isize) -> usize {
    let line = usize::try_from(line).unwrap_or(1).max(1) - 1;
    let column = usize::try_from(column).unwrap_or(1).max(1) - 1;
    let start: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = source.get(start..).unwrap_or_default();
    start + rest.chars().take(column).map(char::len_utf8).sum::<usize>()
}
