//! Credentials that stay as they are: none, user and password, an API key, a token from elsewhere.

use std::fmt;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::{Authenticator, Credentials};
use crate::build_error::BuildError;
use crate::error::HttpError;

/// No credentials.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAuth;

#[async_trait]
impl Authenticator for NoAuth {
    async fn credentials(&self, _: Timestamp) -> Result<Credentials, HttpError> {
        Ok(Credentials::default())
    }
}

/// One header, always the same. `Debug` shows its name.
#[derive(Clone)]
pub struct Fixed(Credentials);

impl Fixed {
    /// `Authorization: Basic …` (RFC 7617, in UTF-8).
    ///
    /// # Errors
    /// [`BuildError::Header`] where the user has a colon, which would end it early.
    pub fn basic(user: &str, password: &SecretString) -> Result<Self, BuildError> {
        if user.contains(':') {
            return Err(BuildError::Header { what: "user name" });
        }
        let encoded = SecretString::from(STANDARD.encode(format!("{user}:{}", password.expose_secret())));
        Self::authorization("password", "Basic", &encoded, password)
    }

    /// `Authorization: Bearer …`, with a token that somebody else renews.
    ///
    /// # Errors
    /// [`BuildError::Header`] where the token has characters that a header cannot carry.
    pub fn bearer(token: &SecretString) -> Result<Self, BuildError> {
        Self::authorization("token", "Bearer", token, token)
    }

    /// A header of the platform's own, such as `x-sn-apikey`.
    ///
    /// # Errors
    /// [`BuildError::Header`] where the value has characters that a header cannot carry.
    pub fn header(name: HeaderName, secret: &SecretString) -> Result<Self, BuildError> {
        Self::new("API key", name, secret.expose_secret(), vec![secret.clone()])
    }

    fn authorization(what: &'static str, scheme: &str, value: &SecretString, secret: &SecretString) -> Result<Self, BuildError> {
        let text = SecretString::from(format!("{scheme} {}", value.expose_secret()));
        Self::new(what, AUTHORIZATION, text.expose_secret(), vec![secret.clone(), value.clone()])
    }

    fn new(what: &'static str, name: HeaderName, value: &str, secrets: Vec<SecretString>) -> Result<Self, BuildError> {
        let value = HeaderValue::from_str(value).map_err(|_| BuildError::Header { what })?;
        Ok(Self(Credentials::header(name, value, secrets, 0)))
    }
}

impl fmt::Debug for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fixed({})", self.0.header.as_ref().map_or("", |(name, _)| name.as_str()))
    }
}

#[async_trait]
impl Authenticator for Fixed {
    async fn credentials(&self, _: Timestamp) -> Result<Credentials, HttpError> {
        Ok(self.0.clone())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn value(auth: Result<Fixed, BuildError>) -> String {
        auth.unwrap().0.header.unwrap().1.to_str().unwrap().to_owned()
    }

    #[test]
    fn headers_are_as_their_schemes_have_them() {
        let secret = SecretString::from("open sesame");
        assert_eq!(value(Fixed::basic("Aladdin", &secret)), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(value(Fixed::bearer(&SecretString::from("abc"))), "Bearer abc");
        assert_eq!(value(Fixed::header(HeaderName::from_static("x-sn-apikey"), &SecretString::from("k"))), "k");
    }

    #[test]
    fn what_a_header_cannot_carry_is_refused_without_being_shown() {
        let bad = SecretString::from("se\ncret");
        for error in [Fixed::bearer(&bad).unwrap_err(), Fixed::basic("a:b", &bad).unwrap_err()] {
            assert!(!error.to_string().contains("cret"), "{error}");
        }
        assert!(Fixed::basic("a", &bad).is_ok(), "encoded, anything goes");
    }

    #[test]
    fn debug_shows_no_secret() {
        let auth = Fixed::basic("user-name", &SecretString::from("pass-word")).unwrap();
        let text = format!("{auth:?} {:?} {:?}", auth.0, auth.0.header);
        assert!(text.contains("authorization") && !text.contains("pass-word") && !text.contains("dXNlci1"), "{text}");
    }
}
