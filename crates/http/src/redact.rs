//! Taking secrets out of what servers say, before anybody reads it.

use std::sync::LazyLock;

use regex::Regex;
use secrecy::{ExposeSecret, SecretString};

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";

/// Longest text of a server's that is passed on, in characters.
const WORDS_CHARS_MAX: usize = 300;

/// Secrets shorter than this are not looked for: they would match everywhere and hide what is said.
const SECRET_BYTES_MIN: usize = 4;

/// Knows the secrets of one request, and what secrets look like in general.
#[derive(Debug, Clone, Default)]
pub(crate) struct Redactor(Vec<SecretString>);

impl Redactor {
    /// Looks for these secrets, also in the forms in which they travel.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let mut needles: Vec<String> = Vec::new();
        for secret in secrets {
            let plain = secret.expose_secret();
            let in_form: String = url::form_urlencoded::byte_serialize(plain.as_bytes()).collect();
            let in_json = serde_json::to_string(plain).unwrap_or_default();
            let in_json = in_json.trim_matches('"').to_owned();
            needles.extend([plain.to_owned(), in_form.replace('+', "%20"), in_form, in_json]);
        }
        needles.retain(|needle| needle.len() >= SECRET_BYTES_MIN);
        // The longest first: one may be part of another.
        needles.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        needles.dedup();
        Self(needles.into_iter().map(SecretString::from).collect())
    }

    /// A text from outside for people to read: on one line, cut to size, without secrets.
    pub(crate) fn words(&self, text: &str) -> String {
        let mut clean = self.clean(text);
        clean = clean.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut words = String::new();
        for word in clean.split_whitespace() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(word);
        }
        match words.char_indices().nth(WORDS_CHARS_MAX) {
            Some((end, _)) => format!("{}…", words.get(..end).unwrap_or_default()),
            None => words,
        }
    }

    /// The text without secrets.
    fn clean(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for needle in &self.0 {
            clean = clean.replace(needle.expose_secret(), REDACTED);
        }
        for shape in SHAPES.iter() {
            clean = shape.replace_all(&clean, format!("${{keep}}{REDACTED}")).into_owned();
        }
        clean
    }
}

/// What secrets look like, whoever's they are. `keep` is what stays in front of them.
static SHAPES: LazyLock<Vec<Regex>> = LazyLock::new(|| SHAPE_TEXTS.iter().filter_map(|shape| Regex::new(shape).ok()).collect());

const SHAPE_TEXTS: [&str; 4] = [
    // The value of an Authorization header.
    r"(?i)(?P<keep>\b(?:bearer|basic)\s+)[a-z0-9+/=._~-]{8,}",
    // A JSON web token.
    r"(?P<keep>)\beyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]+)*",
    // A field named as secrets are, in JSON, in a form or query, or as a header.
    r#"(?i)(?P<keep>"?\b(?:client_secret|client_assertion|access_token|refresh_token|id_token|password|x-sn-apikey|api[_-]?key|set-cookie|cookie|authorization)"?\s*[:=]\s*"?)(?:[^\s"'&,;}\[]|\[(?:[^r]|r[^e]))[^\s"'&,;}]*"#,
    // User and password of a URL.
    r"(?i)(?P<keep>\bhttps?://)[^/\s@]+@",
];

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_a_pattern() {
        assert_eq!(SHAPES.len(), SHAPE_TEXTS.len());
        for shape in SHAPE_TEXTS {
            Regex::new(shape).unwrap();
        }
    }

    #[test]
    fn known_secrets_go_in_whatever_form_they_travelled() {
        let secret = SecretString::from("p\"ss w&rd/ü");
        let redactor = Redactor::new([&secret]);
        for text in [
            "said p\"ss w&rd/ü twice",
            r#"said p\"ss w&rd/ü twice"#,
            "said p%22ss+w%26rd%2F%C3%BC twice",
            "said p%22ss%20w%26rd%2F%C3%BC twice",
        ] {
            assert_eq!(redactor.words(text), "said [redacted] twice", "{text}");
        }
    }

    #[test]
    fn what_looks_like_a_secret_goes_too() {
        let redactor = Redactor::default();
        let check = |text: &str, want: &str| assert_eq!(redactor.words(text), want);
        check("Authorization: Bearer abcdef123456 is bad", "Authorization: [redacted] [redacted] is bad");
        check("token eyJhbGciOi.eyJzdWIi.sig here", "token [redacted] here");
        check(r#"{"client_secret":"hunter22","x":1}"#, r#"{"client_secret":"[redacted]","x":1}"#);
        check("grant_type=password&password=hunter22&x=1", "grant_type=password&password=[redacted]&x=1");
        check("see https://u:p@host/x", "see https://[redacted]host/x");
        check("x-sn-apikey: k123", "x-sn-apikey: [redacted]");
        check("Rate limit of 100 requests per hour for Table API exceeded", "Rate limit of 100 requests per hour for Table API exceeded");
        check("the basic idea of a bearer token", "the basic idea of a bearer token");
    }

    #[test]
    fn words_are_one_short_line() {
        let redactor = Redactor::default();
        assert_eq!(redactor.words(" a\r\nb\u{1b}[31m\tc "), "a b [31m c");
        let long = redactor.words(&"ü".repeat(1000));
        assert_eq!(long.chars().count(), WORDS_CHARS_MAX + 1);
    }

    #[test]
    fn short_secrets_do_not_hide_everything() {
        let redactor = Redactor::new([&SecretString::from("a")]);
        assert_eq!(redactor.words("a cat sat"), "a cat sat");
    }
}
