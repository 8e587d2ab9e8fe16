//! Keys as unique attributes hold them.

use dewpoint_core::model::Key;

use crate::shape::TEXT_MAX;

/// Hexadecimal digits of the digest that stands for a key's end.
const DIGEST_DIGITS: usize = 40;

/// The text of our external id for a key: the key itself where it fits, else its beginning and a digest of the whole.
pub(crate) fn external_id(key: &Key) -> String {
    let text = key.as_str();
    if text.chars().count() <= TEXT_MAX {
        return text.to_owned();
    }
    let digest = blake3::hash(text.as_bytes()).to_hex();
    let beginning: String = text.chars().take(TEXT_MAX - DIGEST_DIGITS - 1).collect();
    format!("{beginning}~{}", digest.get(..DIGEST_DIGITS).unwrap_or_default())
}

/// Whether the text does not hold the whole key.
pub(crate) fn is_shortened(key: &Key) -> bool {
    key.as_str().chars().count() > TEXT_MAX
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn long_keys_differ_by_their_ends() {
        let key = |end: &str| format!("azure:/subscriptions/{}/{end}", "a".repeat(300)).parse::<Key>().unwrap();
        let (one, other) = (external_id(&key("one")), external_id(&key("other")));
        assert_eq!((one.chars().count(), other.chars().count()), (TEXT_MAX, TEXT_MAX));
        assert_ne!(one, other);
        assert_eq!(one, external_id(&key("one")));
        let short: Key = "aws:arn:aws:ec2:eu-west-1:123456789012:instance/i-0001".parse().unwrap();
        assert_eq!(external_id(&short), short.as_str());
    }
}
