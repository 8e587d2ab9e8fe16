//! Asset tags (`inventory_number`) as external ids: readable, short, and another one for each key.

use dewpoint_core::model::Key;

/// Most characters of the readable part.
const READABLE_MAX: usize = 40;

/// Hexadecimal digits of the digest that tells keys with the same readable part apart.
const DIGEST_DIGITS: usize = 12;

/// The tag of a key's asset: the last part of the key in plain characters, and a digest of the whole.
pub(crate) fn tag(key: &Key) -> String {
    let text = key.as_str();
    let last = text.rsplit(['/', ':']).find(|part| !part.is_empty()).unwrap_or(text);
    let plain = |character: char| if character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.') { character } else { '-' };
    let readable: String = last.chars().take(READABLE_MAX).map(plain).collect();
    let digest = blake3::hash(text.as_bytes()).to_hex();
    format!("{readable}~{}", digest.get(..DIGEST_DIGITS).unwrap_or_default())
}

/// A name or tag as HaloITSM compares it: without regard to case and to blanks around it.
pub(crate) fn folded(text: &str) -> String {
    text.trim().to_lowercase()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, readable: &str) {
        let key: Key = key.parse().unwrap();
        let tag = tag(&key);
        let (found, digest) = tag.split_once('~').unwrap();
        assert_eq!((found, digest.len()), (readable, DIGEST_DIGITS), "{tag}");
    }

    #[test]
    fn tags_can_be_read() {
        check("aws:arn:aws:ec2:eu-west-1:123456789012:instance/i-0001", "i-0001");
        check("aws:arn:aws:sns:eu-west-1:123456789012:topic", "topic");
        check("azure:/subscriptions/1/resourceGroups/Gr ü/providers/Microsoft.Compute/virtualMachines/vm (1)", "vm--1-");
        check("service:shop", "shop");
        check(&format!("service:{}", "a".repeat(100)), &"a".repeat(READABLE_MAX));
    }

    #[test]
    fn the_same_name_elsewhere_has_another_tag() {
        let tag = |account: &str| tag(&format!("aws:arn:aws:ec2:eu-west-1:{account}:instance/i-0001").parse().unwrap());
        assert_ne!(tag("123456789012"), tag("123456789013"));
        assert_eq!(tag("123456789012"), tag("123456789012"));
    }
}
