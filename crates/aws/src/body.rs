//! Guards against answers that were cut off on the way.
//!
//! A body with status 200 that ends early, with a length that fits, passes the SDK's XML reader as a shorter list without an
//! error. So the raw body is checked before the SDK's answer is believed.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Fails every call whose successful answer is not a whole XML document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WholeBody;

/// An answer without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CutBody {
    #[error("the body could not be inspected")]
    Unseen,
    #[error("the body is no XML document")]
    NoDocument,
    #[error("the body ends before its closing tag")]
    NoEnd,
}

impl Intercept for WholeBody {
    fn name(&self) -> &'static str {
        "WholeBody"
    }

    // The body is read into memory during deserialisation: earlier hooks would see only a stream. An error here replaces
    // whatever the SDK made of the body.
    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        // A body that could not be read to its announced end is an error of the SDK's own, which it retries.
        if !response.status().is_success() || context.output_or_error().is_err_and(|error| error.is_response_error()) {
            return Ok(());
        }
        let body = response.body().bytes().ok_or(CutBody::Unseen)?;
        Ok(check(body)?)
    }
}

/// Whether a body is one XML document from its root's opening tag to its closing tag.
pub(crate) fn check(body: &[u8]) -> Result<(), CutBody> {
    let text = body.trim_ascii();
    let Some(root) = root_name(text) else { return Err(CutBody::NoDocument) };
    let Some(rest) = text.strip_suffix(b">") else { return Err(CutBody::NoEnd) };
    let rest = rest.trim_ascii_end();
    let closed = rest.strip_suffix(root).is_some_and(|before| before.ends_with(b"</"));
    // `<DescribeRegionsResponse/>`: an empty root is its own end.
    let empty = rest.ends_with(b"/") && only_root(rest);
    if closed || empty { Ok(()) } else { Err(CutBody::NoEnd) }
}

/// Name of the first element, past the XML declaration and comments.
fn root_name(text: &[u8]) -> Option<&[u8]> {
    let start = root_start(text)?;
    let name = text.get(start + 1..)?;
    let end = name.iter().position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/'))?;
    name.get(..end).filter(|name| !name.is_empty())
}

/// Where the first element begins, past the XML declaration and comments.
fn root_start(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let skip = rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        let rest = rest.get(skip..)?;
        at += skip;
        let close: &[u8] = match rest {
            [b'<', b'?', ..] => b"?>",
            [b'<', b'!', b'-', b'-', ..] => b"-->",
            [b'<', first, ..] if first.is_ascii_alphabetic() || *first == b'_' => return Some(at),
            _ => return None,
        };
        at += rest.windows(close.len()).position(|window| window == close)? + close.len();
    }
}

/// Whether the document holds no further element than its root.
fn only_root(text: &[u8]) -> bool {
    root_start(text).and_then(|start| text.get(start + 1..)).is_some_and(|rest| !rest.contains(&b'<'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn expect(body: &str, outcome: Result<(), CutBody>) {
        assert_eq!(check(body.as_bytes()), outcome, "{body}");
    }

    #[test]
    fn whole_documents_pass() {
        expect("<A><b/></A>", Ok(()));
        expect("<?xml version=\"1.0\"?>\n<!-- x --><A xmlns=\"u\"><b>1</b></A >\n", Ok(()));
        expect("<A/>", Ok(()));
        expect("<A xmlns='u' />", Ok(()));
    }

    #[test]
    fn every_prefix_of_a_document_is_refused() {
        let body = "<?xml version=\"1.0\"?><AResponse><set><item><id>A</id></item><item/></set><nextToken/></AResponse>";
        for end in 0..body.len() {
            assert!(check(body.get(..end).unwrap_or_default().as_bytes()).is_err(), "cut at {end}");
        }
        expect(body, Ok(()));
    }

    #[test]
    fn other_ends_are_refused() {
        expect("", Err(CutBody::NoDocument));
        expect("{}", Err(CutBody::NoDocument));
        expect("<A><b></A><", Err(CutBody::NoEnd));
        expect("<A><AA></AA>", Err(CutBody::NoEnd));
        expect("<A></A>trailing", Err(CutBody::NoEnd));
        expect("<A><b/>", Err(CutBody::NoEnd));
    }
}
