//! In which form values stand in attributes: what may be written, and what an object shows.
//!
//! Sources: Atlassian, "Attribute types in Assets" and "Recommended data structure for Assets" (limits), Assets REST API, "Object" (forms of values).

use std::net::IpAddr;

use dewpoint_target_kit::{Shape, Standing};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

use crate::object::ShownValue;

/// Most characters of a text attribute. Data Center takes 450; records that move between both must not differ.
pub(crate) const TEXT_MAX: usize = 255;

/// Most characters of a text area that is written: beyond that they are advised against.
const TEXT_AREA_MAX: usize = 5000;

/// In which form an attribute keeps its value.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributeShape {
    /// A line of at most 255 characters; lists are joined with commas.
    #[default]
    Text,
    /// Lines; lists have one entry in each.
    TextArea,
    /// A whole number of 32 bits.
    Integer,
    /// A number.
    Double,
    /// `true` or `false`.
    Boolean,
    /// A day.
    Date,
    /// An instant.
    DateTime,
    /// A URL by `http` or `https`.
    Url,
    /// A mail address.
    Email,
    /// An IP address.
    IpAddress,
    /// One of the attribute's options.
    Select,
    /// A user of Jira, by mail address, name or account id.
    User,
    /// A group of Jira, by name.
    Group,
    /// The status that tells where the resource stands.
    Lifecycle,
    /// Another object, which a text stands for.
    Object(Reference),
}

/// Which objects a text stands for one of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Name of their object type.
    #[serde(rename = "type")]
    pub object_type: String,
    /// Attributes to look the text up in: the first that has it decides.
    pub by: Vec<String>,
}

impl Shape for AttributeShape {
    fn fit(&self, value: Value) -> Result<Option<Value>, String> {
        let separator = if *self == Self::TextArea { "\n" } else { ", " };
        let Some(text) = joined(&value, separator) else { return Ok(None) };
        let fitted = match self {
            Self::Text => line(&text),
            Self::TextArea => lines(&text),
            Self::Integer => return whole(&text).map(Some),
            Self::Double => return number(&text).map(Some),
            Self::Boolean => match text.as_str() {
                "true" | "false" => text,
                _ => return Err(format!("`{}` is neither true nor false", shortened(&text))),
            },
            Self::Date => text.parse::<Date>().map_err(|_| format!("`{}` is no day", shortened(&text)))?.to_string(),
            Self::DateTime => date_time(text.parse().map_err(|_| format!("`{}` is no instant", shortened(&text)))?),
            Self::Url => match text.split_once("://") {
                Some(("http" | "https", _)) if text.chars().count() <= TEXT_MAX => text,
                _ => return Err(format!("`{}` is no URL that Assets takes", shortened(&text))),
            },
            Self::Email => match text.split_once('@') {
                Some((user, host)) if !user.is_empty() && !host.is_empty() && !text.contains(char::is_whitespace) => text,
                _ => return Err(format!("`{}` is no mail address", shortened(&text))),
            },
            Self::IpAddress => text.parse::<IpAddr>().map_err(|_| format!("`{}` is no IP address", shortened(&text)))?.to_string(),
            Self::Select | Self::User | Self::Group | Self::Object(_) => line(&text),
            // The name of the status that stands for it is the target's to put in.
            Self::Lifecycle => text,
        };
        Ok((!fitted.is_empty()).then_some(Value::String(fitted)))
    }
}

impl AttributeShape {
    /// What an object shows in an attribute, as [`Shape::fit`] would have it; `None` where it shows nothing.
    pub(crate) fn shown(&self, values: &[ShownValue]) -> Option<Value> {
        let texts: Vec<&str> = values.iter().filter_map(|value| self.text_of(value)).collect();
        let text = match self {
            Self::TextArea => texts.join("\n"),
            _ => texts.join(", "),
        };
        // What people wrote in another form is shown as it is.
        let as_written = |fitted: Option<Value>| fitted.or_else(|| Some(Value::String(text.clone())));
        match self {
            _ if text.is_empty() => None,
            Self::Integer => as_written(whole(&text).ok()),
            Self::Double => as_written(number(&text).ok()),
            Self::DateTime => as_written(text.parse().ok().map(|at| Value::String(date_time(at)))),
            Self::TextArea => Some(Value::String(text.replace("\r\n", "\n"))),
            _ => Some(Value::String(text)),
        }
    }

    fn text_of<'v>(&self, value: &'v ShownValue) -> Option<&'v str> {
        match self {
            Self::User => value.account.as_deref().or(value.value.as_deref()),
            Self::Group => value.group.as_deref().or(value.value.as_deref()),
            Self::Lifecycle => value.status.as_ref().map(|status| status.name.as_str()).or(value.value.as_deref()),
            Self::Object(_) => value.referenced.as_deref().or(value.value.as_deref()),
            _ => value.value.as_deref(),
        }
    }
}

/// An instant in the form that attributes have it: in UTC, to the millisecond.
pub(crate) fn date_time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The words of the lifecycle attribute.
pub(crate) fn standing(word: &str) -> Option<Standing> {
    Standing::ALL.into_iter().find(|standing| standing.as_str() == word)
}

/// A value as one text; `None` where there is none.
fn joined(value: &Value, separator: &str) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().filter_map(|item| joined(item, separator)).collect();
            (!texts.is_empty()).then(|| texts.join(separator))
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Some(value.to_string()),
    }
}

/// A text as an attribute of one line keeps it.
pub(crate) fn line(text: &str) -> String {
    let plain: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    cut(plain.trim(), TEXT_MAX)
}

fn lines(text: &str) -> String {
    let is_kept = |character: &char| *character == '\n' || *character == '\t' || !character.is_control();
    let plain: String = text.replace("\r\n", "\n").chars().filter(is_kept).collect();
    cut(plain.trim(), TEXT_AREA_MAX)
}

/// The text, with an ellipsis for what goes beyond so many characters.
fn cut(text: &str, characters_max: usize) -> String {
    if text.chars().count() <= characters_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(characters_max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

fn whole(text: &str) -> Result<Value, String> {
    match text.parse::<i32>() {
        Ok(number) => Ok(Value::String(number.to_string())),
        Err(_) => Err(format!("`{}` does not fit into a whole number of 32 bits", shortened(text))),
    }
}

fn number(text: &str) -> Result<Value, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Value::String(number.to_string())),
        _ => Err(format!("`{}` is no number", shortened(text))),
    }
}

fn shortened(text: &str) -> String {
    cut(text, 60)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    fn fit(shape: &AttributeShape, value: Value) -> Option<Value> {
        shape.fit(value).unwrap()
    }

    #[test]
    fn values_are_brought_into_form() {
        use AttributeShape::{Boolean, DateTime, Double, Integer, Text, TextArea};
        assert_eq!(fit(&Text, json!(["10.0.0.1", "10.0.0.2"])), Some(json!("10.0.0.1, 10.0.0.2")));
        assert_eq!(fit(&Text, json!(" a\nb\u{0} ")), Some(json!("a b")));
        assert_eq!(fit(&TextArea, json!(["a", "b"])), Some(json!("a\nb")));
        assert_eq!(fit(&Integer, json!(7)), Some(json!("7")));
        assert_eq!(fit(&Double, json!(0.5)), Some(json!("0.5")));
        assert_eq!(fit(&Boolean, json!(true)), Some(json!("true")));
        assert_eq!(fit(&DateTime, json!("2026-01-02T03:04:05+01:00")), Some(json!("2026-01-02T02:04:05.000Z")));
        for nothing in [json!(null), json!(""), json!([]), json!("  ")] {
            assert_eq!(fit(&Text, nothing), None);
        }
    }

    #[test]
    fn what_does_not_fit_is_said_so() {
        for (shape, value) in [
            (AttributeShape::Integer, json!(u64::MAX)),
            (AttributeShape::Url, json!("ftp://example.com")),
            (AttributeShape::Email, json!("team-a")),
            (AttributeShape::IpAddress, json!("10.0.0.0/8")),
            (AttributeShape::Date, json!("tomorrow")),
        ] {
            assert!(shape.fit(value).is_err(), "{shape:?}");
        }
    }

    #[test]
    fn long_texts_are_cut_where_characters_end() {
        let fitted = fit(&AttributeShape::Text, json!("🌧".repeat(300))).unwrap();
        let text = fitted.as_str().unwrap();
        assert_eq!((text.chars().count(), text.chars().last()), (TEXT_MAX, Some('…')));
        assert_eq!(fit(&AttributeShape::Text, json!("a".repeat(255))), Some(json!("a".repeat(255))));
    }
}
