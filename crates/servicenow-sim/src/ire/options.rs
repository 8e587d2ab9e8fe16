//! The query parameter `options`.

use crate::reply::ApiError;

/// What an enhanced payload may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) partial_payloads: bool,
    pub(crate) partial_commits: bool,
    pub(crate) deduplicate_payloads: bool,
    pub(crate) generate_summary: bool,
}

impl Options {
    /// What the plain endpoints do.
    pub(crate) const PLAIN: Self =
        Self { partial_payloads: false, partial_commits: false, deduplicate_payloads: false, generate_summary: false };

    /// Reads `name:value,name:value`. Anything else is a 500.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let mut options = Self { partial_payloads: true, partial_commits: true, deduplicate_payloads: true, generate_summary: false };
        for chunk in text.split(',').filter(|_| !text.is_empty()) {
            let bad = || ApiError::new(500, "Error processing the options", Some(&format!("Chunk [{chunk}] is not a valid entry")));
            let (name, value) = chunk.split_once(':').ok_or_else(bad)?;
            let value = match value {
                "true" => true,
                "false" => false,
                _ => return Err(bad()),
            };
            match name {
                "partial_payloads" => options.partial_payloads = value,
                "partial_commits" => options.partial_commits = value,
                "deduplicate_payloads" => options.deduplicate_payloads = value,
                "generate_summary" => options.generate_summary = value,
                _ => return Err(bad()),
            }
        }
        if options.partial_payloads {
            options.partial_commits = true;
            options.deduplicate_payloads = true;
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: [bool; 4]) {
        let [partial_payloads, partial_commits, deduplicate_payloads, generate_summary] = expected;
        let expected = Options { partial_payloads, partial_commits, deduplicate_payloads, generate_summary };
        assert_eq!(Options::parse(text), Ok(expected), "{text}");
    }

    #[test]
    fn options_have_defaults() {
        check("", [true, true, true, false]);
        check("generate_summary:true", [true, true, true, true]);
        check("partial_payloads:false,partial_commits:false", [false, false, true, false]);
        // The first forces the next two on.
        check("partial_payloads:true,partial_commits:false,deduplicate_payloads:false", [true, true, true, false]);
    }

    #[test]
    fn malformed_options_are_refused() {
        for text in ["partial", "partial_payloads:maybe", "colour:true", "partial_payloads:true,"] {
            assert_eq!(Options::parse(text).map_err(|error| error.status), Err(500), "{text}");
        }
        let detail = Options::parse("partial").map_err(|error| error.detail);
        assert_eq!(detail, Err(Some("Chunk [partial] is not a valid entry".to_owned())));
    }
}
