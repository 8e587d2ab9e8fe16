//! How resources and times are told to people, everywhere alike.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::estate::Estate;
use crate::model::Key;

/// A time without its fraction of a second, which helps nobody who reads it.
#[must_use]
pub fn time(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// The last part of a key: `i-0abc` of an instance's ARN, the name of an Azure resource.
#[must_use]
pub fn short(key: &Key) -> &str {
    let text = key.as_str();
    text.rsplit(['/', ':']).find(|part| !part.is_empty()).unwrap_or(text)
}

/// A resource by its name and the last part of its key: `shop-web-1 (i-0abc)`, or the latter alone where the name says no more.
#[must_use]
pub fn name(name: Option<&str>, key: &Key) -> String {
    let short = short(key);
    match name {
        Some(name) if !name.trim().is_empty() && !name.eq_ignore_ascii_case(short) => format!("{} ({short})", printable(name)),
        _ => short.to_owned(),
    }
}

/// [`name`] of a resource that the estate may know.
#[must_use]
pub fn known(estate: &Estate, key: &Key) -> String {
    name(estate.resources.get(key).and_then(|known| known.resource.name.as_deref()), key)
}

/// [`known`], with its kind.
#[must_use]
pub fn known_with_kind(estate: &Estate, key: &Key) -> String {
    match estate.resources.get(key) {
        Some(known) => format!("{} {}", known.resource.kind, name(known.resource.name.as_deref(), key)),
        None => short(key).to_owned(),
    }
}

/// A number with its word: `1 delivery`, `2 deliveries`.
#[must_use]
pub fn count(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

/// A text from outside on one line: control characters, which could move the cursor or colour the terminal, are spelt out.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: Option<&str>, key: &str, want: &str) {
        assert_eq!(name(given, &key.parse().unwrap()), want);
    }

    #[test]
    fn a_resource_is_told_by_name_and_short_id() {
        let instance = "aws:arn:aws:ec2:eu-west-1:123456789012:instance/i-1";
        check(Some("web"), instance, "web (i-1)");
        check(Some("I-1"), instance, "i-1");
        check(Some(" "), instance, "i-1");
        check(None, instance, "i-1");
        check(Some("bad\nname\u{1b}[31m"), instance, "bad\\nname\\u{1b}[31m (i-1)");
        check(Some("Shop"), "service:shop", "shop");
        check(None, "azure:/subscriptions/s/resourcegroups/rg/providers/p/t/vm-1", "vm-1");
    }

    #[test]
    fn a_time_is_told_to_the_second() {
        assert_eq!(time("2026-01-01T00:00:00.999999Z".parse().unwrap()).to_string(), "2026-01-01T00:00:00Z");
    }
}
