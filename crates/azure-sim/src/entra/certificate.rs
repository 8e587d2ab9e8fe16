//! What is needed of a certificate: its thumbprints, and whether its key signed something.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{digest, signature};

/// A certificate with an RSA key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    der: Vec<u8>,
    /// As `RSAPublicKey` of PKCS#1.
    key: Vec<u8>,
}

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const VERSION: u8 = 0xa0;

impl Certificate {
    /// The first certificate of a PEM file; `None` when there is none, or none that can be read.
    pub(super) fn parse(pem: &str) -> Option<Self> {
        let inside = pem.split_once("-----BEGIN CERTIFICATE-----")?.1.split_once("-----END CERTIFICATE-----")?.0;
        let text: String = inside.split_whitespace().collect();
        let der = STANDARD.decode(text).ok()?;
        let key = public_key(&der)?.to_vec();
        Some(Self { der, key })
    }

    /// As `x5t` has it.
    pub(super) fn thumbprint_sha1(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.der))
    }

    /// As `x5t#S256` has it.
    pub(super) fn thumbprint_sha256(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &self.der))
    }

    /// Whether its key signed a message. Entra takes RS256 and PS256.
    pub(super) fn signed(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &dyn signature::VerificationAlgorithm = match algorithm {
            "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
            "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
            _ => return false,
        };
        signature::UnparsedPublicKey::new(algorithm, &self.key).verify(message, signature).is_ok()
    }
}

/// The key inside of a certificate. Source: RFC 5280, section 4.1.
fn public_key(der: &[u8]) -> Option<&[u8]> {
    let (_, certificate, _) = element(der)?;
    let (_, mut fields, _) = element(certificate)?;
    let (tag, _, rest) = element(fields)?;
    if tag == VERSION {
        fields = rest;
    }
    // Serial number, signature algorithm, issuer, validity, subject.
    for _ in 0..5 {
        fields = element(fields)?.2;
    }
    let (tag, info, _) = element(fields)?;
    let (_, _, after_algorithm) = element(info)?;
    let (inner, bits, _) = element(after_algorithm)?;
    // The first byte counts unused bits, of which there are none.
    let key = bits.strip_prefix(&[0])?;
    (tag == SEQUENCE && inner == BIT_STRING).then_some(key)
}

/// The tag and the content of the first element, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    let mut length = usize::from(*first);
    if *first & 0x80 != 0 {
        let (bytes, after) = rest.split_at_checked(usize::from(*first & 0x7f))?;
        if bytes.len() > 4 {
            return None;
        }
        length = bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte));
        rest = after;
    }
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_none() {
        let pem = |text: &str| format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
        for text in ["", "AAAA", "MIIB", "not base64"] {
            assert_eq!(Certificate::parse(&pem(text)), None, "{text}");
        }
        assert_eq!(Certificate::parse("MIIB"), None);
    }
}
