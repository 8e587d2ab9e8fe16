//! The text of a configuration file as it may be shown: whatever may be a secret is masked.
//!
//! Two nets, because a drawn error also shows the lines around it: places that validation found to hold a secret,
//! and, also where the file is not even YAML, values of keys that sound like secrets and passwords in URLs.

use std::ops::Range;
use std::sync::Arc;

use super::diagnostic::{Position, Span};

/// Longest line that is shown, in characters.
pub(super) const LINE_MAX: usize = 300;

const MASK: char = '*';

/// Parts of a key's name that promise a secret behind it.
const SECRET_WORDS: &[&str] =
    &["password", "passwd", "passphrase", "secret", "token", "api_key", "apikey", "api-key", "private_key", "access_key", "external_id"];

/// A text with its secrets masked, character by character, so that lines and columns stay what they were.
#[derive(Debug, Clone)]
pub(super) struct Masked {
    text: Arc<str>,
    /// Byte at which each line starts.
    starts: Vec<usize>,
}

impl Masked {
    pub(super) fn new(source: &str, secrets: &[Span]) -> Self {
        let mut lines: Vec<Vec<char>> = lines(source).map(|line| line.chars().map(shown).collect()).collect();
        for secret in secrets {
            mask_span(&mut lines, *secret);
        }
        mask_by_name(&mut lines);
        for line in &mut lines {
            mask_urls(line);
        }

        let mut text = String::with_capacity(source.len());
        let mut starts = Vec::with_capacity(lines.len());
        for line in &lines {
            starts.push(text.len());
            text.extend(line.iter().take(LINE_MAX));
            if line.len() > LINE_MAX {
                text.push('…');
            }
            text.push('\n');
        }
        Self { text: text.into(), starts }
    }

    pub(super) fn text(&self) -> Arc<str> {
        self.text.clone()
    }

    /// The bytes of the masked text that a span of the source covers; never more than the rest of its first line.
    pub(super) fn bytes(&self, span: Span) -> Range<usize> {
        let (Some(start), line) = self.line(span.start.line) else {
            return self.text.len()..self.text.len();
        };
        let offset = |column: usize| {
            let behind = line.char_indices().map(|(byte, _)| byte).nth(column.saturating_sub(1));
            start + behind.unwrap_or(line.len())
        };
        let from = offset(span.start.column);
        let to = if span.end.line > span.start.line { start + line.trim_end().len() } else { offset(span.end.column) };
        from..to.max(from)
    }

    fn line(&self, number: usize) -> (Option<usize>, &str) {
        let start = number.checked_sub(1).and_then(|index| self.starts.get(index)).copied();
        let line = start.and_then(|start| self.text.get(start..)).and_then(|rest| rest.split('\n').next());
        (start, line.unwrap_or_default())
    }
}

/// Lines as YAML breaks them: at CR LF, LF and a lone CR.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        match current.find(['\n', '\r']) {
            None => {
                rest = None;
                Some(current)
            }
            Some(at) => {
                let (line, tail) = current.split_at(at);
                rest = tail.strip_prefix("\r\n").or_else(|| tail.get(1..));
                Some(line)
            }
        }
    })
}

fn shown(c: char) -> char {
    if c.is_control() && c != '\t' { '\u{fffd}' } else { c }
}

fn mask_span(lines: &mut [Vec<char>], span: Span) {
    let Position { line: first, column: from } = span.start;
    let Position { line: last, column: to } = span.end;
    for number in first..=last {
        let Some(line) = number.checked_sub(1).and_then(|index| lines.get_mut(index)) else { continue };
        let start = if number == first { from.saturating_sub(1) } else { 0 };
        let end = if number == last { to.saturating_sub(1).min(line.len()) } else { line.len() };
        mask(line, start..end);
    }
}

fn mask(line: &mut [char], range: Range<usize>) {
    for c in line.get_mut(range).into_iter().flatten() {
        if !c.is_whitespace() {
            *c = MASK;
        }
    }
}

/// Masks what stands behind `password:` and its like, and the deeper lines that follow, unless it is a reference.
fn mask_by_name(lines: &mut [Vec<char>]) {
    let mut inside: Option<usize> = None;
    for line in lines {
        let Some(indent) = line.iter().position(|c| !c.is_whitespace()) else { continue };
        if let Some(outer) = inside {
            if indent > outer {
                let from = indent + prefix_length(line.get(indent..).unwrap_or_default());
                if !is_reference(line.get(from..).unwrap_or_default()) {
                    let end = line.len();
                    mask(line, indent..end);
                }
                continue;
            }
            inside = None;
        }
        let mut from = indent;
        while let Some((key_end, value)) = next_key(line, from) {
            let name: String = line.get(from..key_end).unwrap_or_default().iter().collect::<String>().to_lowercase();
            let name = name.rsplit([',', '{', '[', ' ']).find(|part| !part.is_empty()).unwrap_or_default();
            if SECRET_WORDS.iter().any(|word| name.contains(word)) {
                let rest = line.get(value..).unwrap_or_default();
                if !is_reference(rest) {
                    inside = Some(indent);
                    let end = line.len();
                    mask(line, value..end);
                    break;
                }
            }
            from = value.max(key_end + 1);
        }
    }
}

/// The next `:` that ends a key, and where its value starts.
fn next_key(line: &[char], from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    loop {
        at += line.get(at..)?.iter().position(|c| *c == ':')?;
        let before_is_quote = at > 0 && matches!(line.get(at - 1), Some('"' | '\''));
        match line.get(at + 1) {
            None => return Some((at, at + 1)),
            Some(c) if c.is_whitespace() || before_is_quote => {
                let blanks = line.get(at + 1..)?.iter().take_while(|c| c.is_whitespace()).count();
                return Some((at, at + 1 + blanks));
            }
            Some(_) => at += 1,
        }
    }
}

/// Length of the `- ` before a list item.
fn prefix_length(text: &[char]) -> usize {
    text.iter().take_while(|c| matches!(c, '-' | ' ' | '[' | '"' | '\'')).count()
}

fn is_reference(text: &[char]) -> bool {
    let text: String = text.iter().take(LINE_MAX).collect();
    let text = text.trim_start_matches(['"', '\'', '[', ' ']);
    text.starts_with("env:") || text.starts_with("file:") || text.starts_with('#')
}

/// Masks user and password in `scheme://user:password@host`, and a `password=` among a URL's parameters.
pub(super) fn mask_urls(line: &mut [char]) {
    if let (Some(scheme), Some(end)) = (find(line, 0, "://"), line.iter().rposition(|c| *c == '@')) {
        mask(line, scheme + "://".len()..end);
    }
    let mut from = 0;
    while let Some(at) = find(line, from, "password=") {
        let start = at + "password=".len();
        let rest = line.get(start..).unwrap_or_default();
        let length = rest.iter().position(|c| matches!(c, '&' | ' ' | '"' | '\'')).unwrap_or(rest.len());
        mask(line, start..start + length);
        from = start + length;
    }
}

/// Where a text of ASCII letters begins in a line, whatever its case.
fn find(line: &[char], from: usize, text: &str) -> Option<usize> {
    let found = |window: &[char]| window.iter().zip(text.chars()).all(|(c, wanted)| c.to_ascii_lowercase() == wanted);
    line.get(from..)?.windows(text.len()).position(found).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, shown: &str) {
        assert_eq!(Masked::new(source, &[]).text().trim_end_matches('\n'), shown);
    }

    #[test]
    fn values_of_keys_that_sound_like_secrets_are_masked() {
        check("password: hunter2", "password: *******");
        check("a: { client_id: x, client_secret: hunter2 }", "a: { client_id: x, client_secret: ******* *");
        check("\"api_key\":\"hunter2\"", "\"api_key\":*********");
        check("token: |\n  hunter2\n  more\nname: x", "token: *\n  *******\n  ****\nname: x");
    }

    #[test]
    fn references_and_other_values_stay() {
        check("ledger_password: env:PG\npath: x", "ledger_password: env:PG\npath: x");
        check("secrets:\n  - env:A\n  - hunter2\nname: y", "secrets:\n  - env:A\n  * *******\nname: y");
        check("name: secretary", "name: secretary");
    }

    #[test]
    fn passwords_in_urls_are_masked() {
        check("ledger: postgres://me:hunter2@db/x", "ledger: postgres://**********@db/x");
        check("ledger: postgres://db/x?password=hunter2&a=b", "ledger: postgres://db/x?password=*******&a=b");
        check("endpoint_url: http://127.0.0.1:5000", "endpoint_url: http://127.0.0.1:5000");
    }

    #[test]
    fn control_characters_are_not_passed_on() {
        check("a: \u{1b}[31m\r\nb: 1\rc", "a: \u{fffd}[31m\nb: 1\nc");
    }
}
