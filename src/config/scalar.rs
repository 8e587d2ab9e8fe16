//! Where the characters of a text stand in the file.
//!
//! A value that is a language of its own (a rule's condition) can be wrong at any of its characters. YAML folds lines, takes indentation away and
//! resolves escapes, so that the place in the value is not the place in the file. This walks through the text as it is written, by the rules of
//! YAML 1.2 for its style, and notes where each character of the value comes from. It is done for mistakes only.

use std::ops::Range;

use saphyr_parser::ScalarStyle;

use super::diagnostic::{Position, Span};
use super::mask::lines;
use super::tree::Node;

/// A character of the value and where it begins; `None` for one that is written as an escape.
type Placed = (Option<char>, Position);

/// A character of the file, line breaks as `\n`.
type Written = (char, Position);

/// Where the bytes of a text value stand in `source`, the file that `node` was read from. For what is no text the node's own place.
pub(super) fn locate(source: &str, node: &Node, bytes: &Range<usize>) -> Span {
    let placed = node.text().and_then(|value| Some((value, place(source, node, value)?)));
    let Some((value, placed)) = placed else { return node.span };
    let index = |byte: usize| value.char_indices().take_while(|(at, _)| *at < byte).count();
    let (from, to) = (index(bytes.start), index(bytes.end));
    let start = start_of(&placed, from).unwrap_or(node.span.start);
    Span { start, end: start_of(&placed, to).filter(|end| *end > start).unwrap_or(start) }
}

/// Where a character begins; for one behind the last, where that ends.
fn start_of(placed: &[Placed], index: usize) -> Option<Position> {
    let behind = |(c, at): &Placed| Position { column: at.column + if c.is_some() { 1 } else { 2 }, ..*at };
    placed.get(index).map(|(_, at)| *at).or_else(|| placed.last().map(behind))
}

/// The characters of the value with their places. `None` where they do not give the value, so that no wrong place is told.
fn place(source: &str, node: &Node, value: &str) -> Option<Vec<Placed>> {
    let style = node.style?;
    let written = written(source, node.span);
    let placed = match style {
        ScalarStyle::Plain => {
            let within = written.iter().take_while(|(_, at)| *at < node.span.end).count();
            flow(written.get(..within)?, style)
        }
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => flow(written.get(1..)?, style),
        ScalarStyle::Literal | ScalarStyle::Folded => block(&written, value, style == ScalarStyle::Folded)?,
    };
    let same =
        placed.len() == value.chars().count() && placed.iter().zip(value.chars()).all(|((c, _), wanted)| c.is_none_or(|c| c == wanted));
    same.then_some(placed)
}

/// The file from the start of a span to the end of the line that it ends in.
fn written(source: &str, span: Span) -> Vec<Written> {
    let mut written = Vec::new();
    let numbered = (1..).zip(lines(source)).skip(span.start.line.saturating_sub(1));
    for (line, text) in numbered.take_while(|(line, _)| *line <= span.end.line) {
        let from = if line == span.start.line { span.start.column } else { 1 };
        let columns = (1..).zip(text.chars()).skip(from.saturating_sub(1));
        written.extend(columns.map(|(column, c)| (c, Position { line, column })));
        written.push(('\n', Position { line, column: text.chars().count() + 1 }));
    }
    written
}

/// Plain and quoted texts, from behind the opening quote.
fn flow(written: &[Written], style: ScalarStyle) -> Vec<Placed> {
    use ScalarStyle::{DoubleQuoted, SingleQuoted};
    let mut placed = Vec::new();
    let mut rest = written;
    loop {
        rest = match (style, rest) {
            (_, []) | (DoubleQuoted, [('"', _), ..]) => return placed,
            (_, [(' ' | '\t' | '\n', _), ..]) => {
                let (run, mut rest) = blanks(rest);
                let mut run = run.to_vec();
                // The parser reads on behind a comment that a tab goes before.
                while let (ScalarStyle::Plain, [('#', _), ..]) = (style, rest) {
                    let comment = rest.iter().take_while(|(c, _)| *c != '\n').count();
                    let (more, behind) = blanks(rest.get(comment..).unwrap_or_default());
                    run.extend_from_slice(more);
                    rest = behind;
                }
                fold(&run, &mut placed);
                rest
            }
            (SingleQuoted, [('\'', at), ('\'', _), rest @ ..]) => {
                placed.push((Some('\''), *at));
                rest
            }
            (SingleQuoted, [('\'', _), ..]) => return placed,
            (DoubleQuoted, [('\\', _), ('\n', _), rest @ ..]) => {
                let (run, rest) = blanks(rest);
                placed.extend(run.iter().filter(|(c, _)| *c == '\n').map(|(c, at)| (Some(*c), *at)));
                rest
            }
            (DoubleQuoted, [('\\', at), (letter, _), rest @ ..]) => {
                placed.push((None, *at));
                let digits = match letter {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                rest.get(digits..).unwrap_or_default()
            }
            (_, [(c, at), rest @ ..]) => {
                placed.push((Some(*c), *at));
                rest
            }
        };
    }
}

fn blanks(written: &[Written]) -> (&[Written], &[Written]) {
    let length = written.iter().take_while(|(c, _)| matches!(c, ' ' | '\t' | '\n')).count();
    written.split_at(length)
}

/// White space within a line stays; one line break is a blank, of several all but the first stay.
fn fold(run: &[Written], placed: &mut Vec<Placed>) {
    let breaks: Vec<Position> = run.iter().filter(|(c, _)| *c == '\n').map(|(_, at)| *at).collect();
    match breaks.as_slice() {
        [] => placed.extend(run.iter().map(|(c, at)| (Some(*c), *at))),
        [only] => placed.push((Some(' '), *only)),
        [_, rest @ ..] => placed.extend(rest.iter().map(|at| (Some('\n'), *at))),
    }
}

/// Literal and folded blocks, from the first character of their first line that is not empty.
fn block(written: &[Written], value: &str, is_folded: bool) -> Option<Vec<Placed>> {
    let (_, first) = written.first()?;
    // Empty lines before it are not in its span; nothing else can begin with a line break.
    let mut placed: Vec<Placed> = value.chars().take_while(|c| *c == '\n').map(|c| (Some(c), *first)).collect();
    if placed.len() == value.len() {
        return Some(placed);
    }
    let mut rest = written;
    let mut breaks: Vec<Position> = Vec::new();
    let mut is_after_indented = false;
    while let Some((c, _)) = rest.first().filter(|(c, at)| *c != '\n' && at.column == first.column) {
        let is_indented = matches!(c, ' ' | '\t');
        match breaks.as_slice() {
            [only] if is_folded && !is_after_indented && !is_indented => placed.push((Some(' '), *only)),
            [_, rest @ ..] if is_folded && !is_after_indented && !is_indented => placed.extend(rest.iter().map(|at| (Some('\n'), *at))),
            all => placed.extend(all.iter().map(|at| (Some('\n'), *at))),
        }
        breaks.clear();
        is_after_indented = is_indented;
        let length = rest.iter().take_while(|(c, _)| *c != '\n').count();
        let (line, behind) = rest.split_at(length);
        placed.extend(line.iter().map(|(c, at)| (Some(*c), *at)));
        rest = behind;
        loop {
            let indent = rest.iter().take_while(|(c, at)| *c == ' ' && at.column < first.column).count();
            rest = rest.get(indent..).unwrap_or_default();
            match rest {
                [('\n', at), behind @ ..] => {
                    breaks.push(*at);
                    rest = behind;
                }
                _ => break,
            }
        }
    }
    // How many line breaks stay at the end is for the block's header to say.
    let end = breaks.first().copied().unwrap_or(*first);
    placed.extend(value.chars().skip(placed.len()).map(|_| (Some('\n'), end)));
    Some(placed)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a failing test may panic")]

    use proptest::prelude::*;

    use super::super::diagnostic::Report;
    use super::super::tree;
    use super::*;

    fn read(source: &str) -> Option<Node> {
        let mut report = Report::new("test.yaml");
        tree::parse(source, &mut report)
    }

    /// The place of `bad` in the value of `k`, as `line:column-line:column`.
    fn placed(source: &str, bad: &str) -> String {
        let root = read(source).unwrap();
        let node = root.get("k").or_else(|| root.items().first()).unwrap();
        let from = node.text().unwrap().find(bad).unwrap_or_else(|| panic!("{:?} has no {bad:?}", node.value));
        let Span { start, end } = locate(source, node, &(from..from + bad.len()));
        format!("{}:{}-{}:{}", start.line, start.column, end.line, end.column)
    }

    #[track_caller]
    fn check(source: &str, bad: &str, place: &str) {
        assert_eq!(placed(source, bad), place, "in {source}");
        // Line breaks of other systems count the same.
        assert_eq!(placed(&source.replace('\n', "\r\n"), bad), place, "with CR LF");
        assert_eq!(placed(&source.replace('\n', "\r"), bad), place, "with CR");
    }

    #[test]
    fn plain() {
        check("k: a == bad", "bad", "1:9-1:12");
        check("k:   a == bad   # bad\nb: c\n", "bad", "1:11-1:14");
        check("k: a\n   == bad\n", "bad", "2:7-2:10");
        check("k:\n  a  ==\n\n    b\n  and bad\nl: m\n", "bad", "5:7-5:10");
        check("- bad\n", "bad", "1:3-1:6");
        check("{ k: a bad , l: m }", "bad", "1:8-1:11");
        check("k: é→ bad\n", "bad", "1:7-1:10");
    }

    #[test]
    fn single_quoted() {
        check("k: 'a == bad'\n", "bad", "1:10-1:13");
        check("k: 'it''s bad'\n", "bad", "1:11-1:14");
        check("k: 'a''b'\n", "'b", "1:6-1:9");
        check("k: '  a\n\n  b\n     bad'\n", "bad", "4:6-4:9");
        check("{ k: 'bad', l: m }", "bad", "1:7-1:10");
    }

    #[test]
    fn double_quoted() {
        check("k: \"a == bad\"\n", "bad", "1:10-1:13");
        check("k: \"\\\"x\\\" == bad\"\n", "bad", "1:14-1:17");
        check("k: \"\\\"bad\\\"\"\n", "\"bad\"", "1:5-1:12");
        check("k: \"\\x41\\u00e9\\U0001F600bad\"\n", "bad", "1:25-1:28");
        check("k: \"a \\\n     b\\t\n  \\ bad\"\n", "bad", "3:5-3:8");
        check("k: \"a \\\n\n  bad\"\n", "bad", "3:3-3:6");
        check("k: \"a\n\n\n  bad\"\n", "bad", "4:3-4:6");
        check("k: \"\\\\bad\"\n", "bad", "1:7-1:10");
    }

    #[test]
    fn literal_blocks() {
        check("k: |\n  a ==\n  bad\n", "bad", "3:3-3:6");
        check("k: |\n  a ==\n    bad\nl: m\n", "bad", "3:5-3:8");
        check("k: |-  # why\n\n\n  a ==\n\n  bad\n\n\nl: m\n", "bad", "6:3-6:6");
        check("k: |1\n  bad\n", "bad", "2:3-2:6");
        check("k: |+\n  bad\n\n\n", "bad", "2:3-2:6");
        check("- |\n bad", "bad", "2:2-2:5");
        check("k: |\n  \"é\" == bad\n", "bad", "2:10-2:13");
    }

    #[test]
    fn folded_blocks() {
        check("k: >\n  a ==\n  bad\n", "bad", "3:3-3:6");
        check("k: >-\n\n  a\n\n\n  ==\n    deeper\n  bad\n", "bad", "8:3-8:6");
        check("k: >2\n    a\n   b\n  c\n  bad\nl: m\n", "bad", "5:3-5:6");
        check("k: >+\n  bad\n\n\n", "bad", "2:3-2:6");
    }

    #[test]
    fn the_end_of_a_text() {
        for (source, place) in
            [("k: a ==\n", "1:8"), ("k: 'a =='\n", "1:9"), ("k: \"a ==\"\n", "1:9"), ("k: |-\n  a ==\n", "2:7"), ("k: |\n  a ==\n", "2:7")]
        {
            let root = read(source).unwrap();
            let node = root.get("k").unwrap();
            let length = node.text().unwrap().trim_end().len();
            let Span { start, end } = locate(source, node, &(length..length));
            assert_eq!((format!("{}:{}", start.line, start.column).as_str(), start), (place, end), "{source}");
        }
    }

    #[test]
    fn comments_within() {
        check("k: a\n\t# why\n  bad\n", "bad", "3:3-3:6");
    }

    #[test]
    fn what_is_no_text_has_its_own_place() {
        let root = read("k: true\n").unwrap();
        let node = root.get("k").unwrap();
        assert_eq!(locate("k: true\n", node, &(0..1)), node.span);
    }

    /// Pieces from which scalars of all styles are made.
    fn piece() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "a", "b", "é", "😀", " ", "  ", "\t", "\n", "\n  ", "\n   ", "\n\n  ", "\r\n  ", "''", "\\\"", "\\\\", "\\n", "\\t", "\\x41",
            "\\u00e9", "\\\n  ", "\\ ", "#", ":", "==", "(", "|",
        ])
    }

    proptest! {
        /// Whatever the parser makes of a text, each of its characters is found.
        #[test]
        fn every_character_of_every_text_is_found(
            pieces in prop::collection::vec(piece(), 0..24),
            style in prop::sample::select(vec!["%", "'%'", "\"%\"", "|\n  %", ">\n  %", "|-\n  %", ">+\n  %", "|1\n  %", ">2\n  %", "|\n\n\n  %\n"]),
            tail in prop::sample::select(vec!["", "\n", "\nl: m\n", "\n\n\n", "\n  \n"]),
        ) {
            let source = format!("k: {}{tail}", style.replace('%', &pieces.concat()));
            let Some(root) = read(&source) else { return Ok(()) };
            let Some(node) = root.get("k") else { return Ok(()) };
            let Some(value) = node.text() else { return Ok(()) };
            let placed = place(&source, node, value);
            prop_assert!(placed.is_some(), "{source:?} gives {value:?}");
            let by_line: Vec<Vec<char>> = lines(&source).map(|line| line.chars().collect()).collect();
            for ((c, at), wanted) in placed.unwrap().iter().zip(value.chars()) {
                let there = by_line[at.line - 1].get(at.column - 1).copied();
                match c {
                    Some(c) if !c.is_whitespace() => prop_assert_eq!(there, Some(wanted), "{:?}", source),
                    Some(_) => {}
                    None => prop_assert_eq!(there, Some('\\'), "{:?}", source),
                }
            }
        }
    }
}
