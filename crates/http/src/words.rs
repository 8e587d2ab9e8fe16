//! Finding a server's own words in the body of an error.

use serde_json::Value;

/// Finds the words for people in a body; `None` where it has another form. Platforms differ: each client may bring its own.
pub type Words = fn(&[u8]) -> Option<String>;

/// The forms that are common: `error` as a text or with `message` and `detail`, OAuth's `error_description`, `errorMessages` and `errors`,
/// `message`, `Message`, `errorMessage`, or a text alone.
#[must_use]
pub fn common_words(body: &[u8]) -> Option<String> {
    let document: Value = serde_json::from_slice(body).ok()?;
    let mut words = Vec::new();
    match &document {
        Value::String(text) => words.push(text.clone()),
        Value::Object(fields) => {
            match fields.get("error") {
                Some(Value::Object(error)) => {
                    words.extend(["code", "message", "detail"].iter().filter_map(|name| error.get(*name)?.as_str().map(str::to_owned)));
                }
                error => words.extend(error.and_then(Value::as_str).map(str::to_owned)),
            }
            for name in ["error_description", "message", "Message", "errorMessage"] {
                words.extend(fields.get(name).and_then(Value::as_str).map(str::to_owned));
            }
            if let Some(Value::Array(messages)) = fields.get("errorMessages") {
                words.extend(messages.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            if let Some(Value::Object(errors)) = fields.get("errors") {
                words.extend(errors.iter().filter_map(|(field, text)| Some(format!("{field}: {}", text.as_str()?))));
            }
        }
        _ => {}
    }
    words.retain(|word| !word.trim().is_empty());
    words.dedup();
    if words.is_empty() { None } else { Some(words.join(": ")) }
}

/// Whether a body is a web page, by its media type or by how it begins.
pub(crate) fn is_html(content_type: Option<&str>, body: &[u8]) -> bool {
    let named = content_type.is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("text/html") || kind.eq_ignore_ascii_case("application/xhtml+xml")
    });
    let start: Vec<u8> = body.trim_ascii_start().iter().take(14).map(u8::to_ascii_lowercase).collect();
    let looks = start.starts_with(b"<!doctype html") || start.starts_with(b"<html");
    looks || (named && (body.is_empty() || start.starts_with(b"<")))
}

/// The title of a web page; empty where it has none.
pub(crate) fn title(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let lower = text.to_ascii_lowercase();
    let found = lower.find("<title").and_then(|open| {
        let from = open + lower.get(open..)?.find('>')? + 1;
        let to = from + lower.get(from..)?.find("</title")?;
        text.get(from..to)
    });
    found.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_forms_are_read() {
        let check = |body: &str, want: Option<&str>| assert_eq!(common_words(body.as_bytes()).as_deref(), want, "{body}");
        check(
            r#"{"error":{"message":"User Not Authenticated","detail":"Required to provide Auth information"},"status":"failure"}"#,
            Some("User Not Authenticated: Required to provide Auth information"),
        );
        check(r#"{"error":{"message":"Invalid table x","detail":null}}"#, Some("Invalid table x"));
        check(r#"{"error":{"code":"AuthorizationFailed","message":"no role"}}"#, Some("AuthorizationFailed: no role"));
        check(r#"{"error":"invalid_client","error_description":"wrong secret"}"#, Some("invalid_client: wrong secret"));
        check(
            r#"{"errorMessages":["nope"],"errors":{"rlabs-insight-attribute-1":"is required"}}"#,
            Some("nope: rlabs-insight-attribute-1: is required"),
        );
        check(r#"{"ClassName":"System.Exception","Message":"boom"}"#, Some("boom"));
        check(r#""plain""#, Some("plain"));
        check(r#"{"result":[]}"#, None);
        check(r#"{"error":"","message":" "}"#, None);
        check("not json", None);
    }

    #[test]
    fn web_pages_are_recognised() {
        assert!(is_html(Some("text/html; charset=utf-8"), b"<h1>x</h1>"));
        assert!(is_html(None, b"\n <!DOCTYPE html><html>"));
        assert!(is_html(Some("application/json"), b"<HTML lang=en>"));
        assert!(!is_html(Some("text/html"), br#"{"a":1}"#), "JSON with the wrong label is JSON");
        assert!(!is_html(Some("application/xml"), b"<error/>"));
        assert_eq!(title(b"<html><head><TITLE lang=en> Down </TITLE>"), "Down");
        assert_eq!(title(b"<html><title>Down"), "");
        assert_eq!(title("<html>ÄÖ<title>ü</title>".as_bytes()), "ü");
    }
}
