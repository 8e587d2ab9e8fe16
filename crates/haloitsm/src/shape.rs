//! In which form values stand in asset fields: all of them are texts.

use dewpoint_target_kit::{Shape, Standing};
use serde::Deserialize;
use serde_json::Value;

use crate::resolver::Owner;

/// Most that a field takes, in units of UTF-16: what is longer is cut without a word.
///
/// Source: the product's database schema, table `INFO`.
pub(crate) const TEXT_MAX: usize = 4000;

/// In which form a field keeps its value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldShape {
    /// A line; lists are joined with commas.
    #[default]
    Text,
    /// Lines; lists have one entry in each.
    Lines,
    /// The asset's own status, which tells where the resource stands.
    Status,
    /// The asset's own technical owner: an agent, by mail address or name.
    TechnicalOwner,
    /// The asset's own business owner: a user, likewise.
    BusinessOwner,
}

impl Shape for FieldShape {
    fn fit(&self, value: Value) -> Result<Option<Value>, String> {
        let separator = if *self == Self::Lines { "\n" } else { ", " };
        let Some(text) = joined(&value, separator) else { return Ok(None) };
        let fitted = match self {
            Self::Text | Self::TechnicalOwner | Self::BusinessOwner => line(&text),
            Self::Lines => lines(&text),
            // The name of the status that stands for it is the mapping's to put in.
            Self::Status => text,
        };
        Ok((!fitted.is_empty()).then_some(Value::String(fitted)))
    }
}

impl FieldShape {
    /// The part in the asset that somebody has who is named.
    pub(crate) const fn owner(self) -> Option<Owner> {
        match self {
            Self::TechnicalOwner => Some(Owner::Technical),
            Self::BusinessOwner => Some(Owner::Business),
            Self::Text | Self::Lines | Self::Status => None,
        }
    }

    /// Whether it is kept in a field that a type has to have, and not in what every asset has.
    pub(crate) const fn has_field(self) -> bool {
        matches!(self, Self::Text | Self::Lines)
    }

    /// What an asset shows, as [`Shape::fit`] would have it.
    pub(crate) fn shown(self, text: &str) -> Option<Value> {
        let text = if self == Self::Lines { text.replace("\r\n", "\n") } else { text.to_owned() };
        (!text.is_empty()).then_some(Value::String(text))
    }
}

/// The words of the field with the status.
pub(crate) fn standing(word: &str) -> Option<Standing> {
    Standing::ALL.into_iter().find(|standing| standing.as_str() == word)
}

/// Whether a text fits into a field.
pub(crate) fn fits(text: &str) -> bool {
    text.encode_utf16().count() <= TEXT_MAX
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

fn line(text: &str) -> String {
    let plain: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    cut(plain.trim())
}

fn lines(text: &str) -> String {
    let is_kept = |character: &char| *character == '\n' || *character == '\t' || !character.is_control();
    let plain: String = text.replace("\r\n", "\n").chars().filter(is_kept).collect();
    cut(plain.trim())
}

/// The text, with an ellipsis for what does not fit.
fn cut(text: &str) -> String {
    if fits(text) {
        return text.to_owned();
    }
    let mut length = 0;
    let kept: String = text
        .chars()
        .take_while(|character| {
            length += character.len_utf16();
            length < TEXT_MAX
        })
        .collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_brought_into_form() {
        let fit = |shape: FieldShape, value: Value| shape.fit(value).unwrap();
        assert_eq!(fit(FieldShape::Text, json!(["10.0.0.1", "10.0.0.2"])), Some(json!("10.0.0.1, 10.0.0.2")));
        assert_eq!(fit(FieldShape::Text, json!(" a\nb\u{0} ")), Some(json!("a b")));
        assert_eq!(fit(FieldShape::Lines, json!(["a", "b"])), Some(json!("a\nb")));
        assert_eq!(fit(FieldShape::Text, json!(true)), Some(json!("true")));
        for nothing in [json!(null), json!(""), json!([]), json!("  ")] {
            assert_eq!(fit(FieldShape::Text, nothing), None);
        }
    }

    #[test]
    fn long_texts_are_cut_where_characters_end() {
        let whole = "a".repeat(TEXT_MAX);
        assert_eq!(cut(&whole), whole);
        let long = cut(&"🌧".repeat(TEXT_MAX));
        assert_eq!((fits(&long), long.chars().count(), long.chars().last()), (true, TEXT_MAX / 2, Some('…')));
    }
}
