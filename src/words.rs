//! Small renderings that the command line and reports share.

use dewpoint_core::told;
use serde_json::Value;

/// An error and its causes in one line. A cause that the text ends with already is not said twice.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = inner.source();
    }
    text
}

/// A value as people read it, on one line: texts without quotes, lists with commas.
#[must_use]
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => told::printable(text).into_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            items.iter().map(plain).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::chain;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        #[source]
        cause: Option<Box<Layer>>,
    }

    fn layers(texts: &[&'static str]) -> Layer {
        texts
            .iter()
            .rev()
            .fold(None, |cause, text| Some(Layer { text, cause: cause.map(Box::new) }))
            .unwrap_or(Layer { text: "", cause: None })
    }

    #[test]
    fn a_cause_is_said_once() {
        assert_eq!(chain(&layers(&["no answer", "reset"])), "no answer: reset");
        assert_eq!(chain(&layers(&["database: no room", "no room", "code 13"])), "database: no room: code 13");
    }
}
