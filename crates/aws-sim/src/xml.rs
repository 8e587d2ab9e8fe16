//! XML by building a string: no tree, so that a page of a thousand machines costs what its text costs.

use std::fmt::{Display, Write as _};

use jiff::Timestamp;

/// An XML text in the making.
pub(crate) struct Xml {
    out: String,
}

impl Xml {
    pub(crate) fn new() -> Self {
        Self { out: String::with_capacity(4096) }
    }

    pub(crate) fn into_string(self) -> String {
        self.out
    }

    /// The opening tag of the root element, with its namespace.
    pub(crate) fn root(&mut self, name: &str, namespace: &str) {
        self.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<");
        self.raw(name);
        self.raw(" xmlns=\"");
        self.raw(namespace);
        self.raw("\">");
    }

    pub(crate) fn open(&mut self, name: &str) {
        self.raw("<");
        self.raw(name);
        self.raw(">");
    }

    pub(crate) fn close(&mut self, name: &str) {
        self.raw("</");
        self.raw(name);
        self.raw(">");
    }

    /// An element with other elements in it.
    pub(crate) fn element(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.open(name);
        inside(self);
        self.close(name);
    }

    /// A list: `outer` around one `item` per entry.
    pub(crate) fn list<T>(&mut self, outer: &str, item: &str, entries: impl IntoIterator<Item = T>, mut each: impl FnMut(&mut Self, T)) {
        self.open(outer);
        for entry in entries {
            self.open(item);
            each(self, entry);
            self.close(item);
        }
        self.close(outer);
    }

    /// A list of texts.
    pub(crate) fn texts<T: AsRef<str>>(&mut self, outer: &str, item: &str, entries: impl IntoIterator<Item = T>) {
        self.list(outer, item, entries, |xml, entry| xml.escaped(entry.as_ref()));
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.open(name);
        self.escaped(value);
        self.close(name);
    }

    /// An element that is left out when there is no value or an empty one.
    pub(crate) fn optional<T: AsRef<str>>(&mut self, name: &str, value: Option<T>) {
        if let Some(value) = value
            && !value.as_ref().is_empty()
        {
            self.text(name, value.as_ref());
        }
    }

    /// A number or a truth value: nothing that needs escaping.
    pub(crate) fn plain(&mut self, name: &str, value: impl Display) {
        self.open(name);
        // Writing to a string cannot fail.
        let _ = write!(self.out, "{value}");
        self.close(name);
    }

    pub(crate) fn optional_plain(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.plain(name, value);
        }
    }

    /// A time in UTC with milliseconds.
    pub(crate) fn time(&mut self, name: &str, at: Timestamp) {
        self.open(name);
        let _ = write!(self.out, "{at:.3}");
        self.close(name);
    }

    fn raw(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn escaped(&mut self, text: &str) {
        if text.bytes().all(|byte| byte >= b' ' && !matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'')) {
            return self.raw(text);
        }
        for character in text.chars() {
            match character {
                '&' => self.raw("&amp;"),
                '<' => self.raw("&lt;"),
                '>' => self.raw("&gt;"),
                '"' => self.raw("&quot;"),
                '\'' => self.raw("&#39;"),
                // A parser turns a bare carriage return into a line feed.
                '\r' => self.raw("&#xD;"),
                '\n' | '\t' => self.out.push(character),
                // XML 1.0 cannot hold the other control characters at all.
                control if control < ' ' => self.raw("\u{fffd}"),
                other => self.out.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: &str) {
        let mut xml = Xml::new();
        xml.text("a", value);
        assert_eq!(xml.into_string(), format!("<a>{expected}</a>"));
    }

    #[test]
    fn text_is_escaped() {
        check("plain", "plain");
        check("a<b>&\"c'", "a&lt;b&gt;&amp;&quot;c&#39;");
        check("line\r\nnext", "line&#xD;\nnext");
        check("Zürich\u{1}", "Zürich\u{fffd}");
    }

    #[test]
    fn times_have_milliseconds() {
        let mut xml = Xml::new();
        xml.time("t", "2026-08-01T10:00:00Z".parse().unwrap_or_default());
        assert_eq!(xml.into_string(), "<t>2026-08-01T10:00:00.000Z</t>");
    }
}
