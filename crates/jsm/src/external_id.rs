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
    distinct_id(key)
}

/// The text for a key where another one, that differs from it by case alone, has the usual one: sites take the two for the same.
pub(crate) fn distinct_id(key: &Key) -> String {
    let text = key.as_str();
    let beginning: String = text.chars().take(TEXT_MAX - DIGEST_DIGITS - 1).collect();
    format!("{beginning}~{}", digest(text))
}

/// The key that an external id stands for; `noted` is the whole key as the note has it, which counts for nothing beside another's external id: people make
/// new objects from copies of old ones.
pub(crate) fn key_of(shown: &str, noted: Option<&str>) -> Option<Key> {
    let whole = noted.and_then(|text| text.parse::<Key>().ok());
    let stands_for = |key: &Key| external_id(key) == shown || distinct_id(key) == shown;
    whole.filter(stands_for).or_else(|| (!has_digest(shown)).then(|| shown.parse().ok()).flatten())
}

/// Whether the text does not hold the whole key.
pub(crate) fn is_shortened(text: &str, key: &Key) -> bool {
    text != key.as_str()
}

fn has_digest(text: &str) -> bool {
    let is_one = |end: &str| end.len() == DIGEST_DIGITS && end.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.rsplit_once('~').is_some_and(|(_, end)| is_one(end))
}

fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().chars().take(DIGEST_DIGITS).collect()
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

    #[test]
    fn a_noted_key_counts_beside_its_own_external_id_only() {
        let long: Key = format!("azure:/subscriptions/{}/one", "a".repeat(300)).parse().unwrap();
        let fleet = |name: &str| format!("fleet:aws:123456789012:eu-west-1:{name}").parse::<Key>().unwrap();
        let (short, other) = (fleet("payments"), fleet("Payments"));
        assert_eq!(key_of(&external_id(&long), Some(long.as_str())), Some(long.clone()));
        assert_eq!(key_of(&external_id(&long), None), None);
        assert_eq!(key_of(&external_id(&long), Some(short.as_str())), None);
        assert_eq!(key_of(short.as_str(), Some(long.as_str())), Some(short.clone()));
        assert_eq!(key_of(&distinct_id(&other), Some(other.as_str())), Some(other.clone()));
        assert_ne!(distinct_id(&other).to_lowercase(), distinct_id(&short).to_lowercase());
    }
}
