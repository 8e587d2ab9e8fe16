//! Logging in by certificate: an assertion that is signed with its key, by `ring`.
//!
//! Source: Microsoft identity platform, "Application authentication certificate credentials"; RFC 7515, RFC 7518 §3.5.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dewpoint_http::Clock;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PSS_SHA256, RsaKeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

/// How long an assertion is good for, in seconds.
const LIFETIME_S: i64 = 600;
/// How long before now it begins to be, in seconds: clocks differ.
const LEEWAY_S: i64 = 60;

/// Why a certificate cannot be used. Never holds any of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCertificate {
    /// There is none.
    #[error("there is no certificate in it; it holds `-----BEGIN CERTIFICATE-----` and `-----BEGIN PRIVATE KEY-----`")]
    NoCertificate,
    /// There is no key, or one that is encrypted.
    #[error("there is no private key in it that can be read; it holds `-----BEGIN PRIVATE KEY-----`, not encrypted")]
    NoKey,
    /// The key is none that Entra takes.
    #[error("its private key cannot be used: {why}; Entra takes RSA keys of 2048 bits and more")]
    Key {
        /// What is wrong.
        why: String,
    },
}

/// Signs assertions of an application.
pub(crate) struct Assertion {
    client_id: String,
    /// The token endpoint's address.
    audience: String,
    thumbprint: String,
    key: RsaKeyPair,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assertion").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl Assertion {
    /// Reads a certificate and its key from PEM; of several certificates the first is the application's.
    pub(crate) fn new(client_id: &str, audience: &str, pem: &SecretString, clock: Arc<dyn Clock>) -> Result<Self, InvalidCertificate> {
        let pem = pem.expose_secret().as_bytes();
        let certificate = CertificateDer::pem_slice_iter(pem).next().and_then(Result::ok).ok_or(InvalidCertificate::NoCertificate)?;
        let unusable = |error: ring::error::KeyRejected| InvalidCertificate::Key { why: error.to_string() };
        let key = match PrivateKeyDer::from_pem_slice(pem).map_err(|_| InvalidCertificate::NoKey)? {
            PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).map_err(unusable)?,
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()).map_err(unusable)?,
            _ => return Err(InvalidCertificate::Key { why: "it is no RSA key".to_owned() }),
        };
        Ok(Self {
            client_id: client_id.to_owned(),
            audience: audience.to_owned(),
            thumbprint: URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificate)),
            key,
            clock,
        })
    }

    fn sign(&self) -> Result<String, InvalidCertificate> {
        let now = self.clock.now().as_second();
        let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint});
        let claims = json!({
            "aud": self.audience,
            "iss": self.client_id,
            "sub": self.client_id,
            "jti": format!("{:032x}", fastrand::u128(..)),
            "iat": now,
            "nbf": now.saturating_sub(LEEWAY_S),
            "exp": now.saturating_add(LIFETIME_S),
        });
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PSS_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| InvalidCertificate::Key { why: "it does not sign".to_owned() })?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        self.sign().map_err(|error| azure_core::Error::new(azure_core::error::ErrorKind::Credential, error))
    }
}
