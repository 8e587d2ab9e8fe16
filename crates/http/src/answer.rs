//! An answer that is one: whole, within its limits, and of the kind that was asked for.

use std::fmt;

use bytes::Bytes;
use http::HeaderMap;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::error::{Call, HttpError, HttpErrorKind, Instead};
use crate::rate::RateSignal;
use crate::redact::Redactor;
use crate::words::{is_html, title};

/// What a server answered with a status of success. `Debug` shows no body.
#[derive(Clone)]
pub struct Answer {
    pub(crate) call: Box<Call>,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) rate: RateSignal,
    pub(crate) redactor: Redactor,
}

impl Answer {
    /// HTTP status, from 200 to 299. It matters: what was accepted (202) is not done.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// A header as text; `None` where it is missing or no text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body, unpacked.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// What it said about rate limits.
    #[must_use]
    pub fn rate(&self) -> &RateSignal {
        &self.rate
    }

    /// The request that it answers: how often it was sent, whether an earlier attempt may have been carried out, the platform's request id.
    #[must_use]
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`HttpErrorKind::Unexpected`] with the place in the document where it does not fit; [`HttpErrorKind::Empty`], [`HttpErrorKind::NotJson`] or
    /// [`HttpErrorKind::Truncated`] where it is no whole document.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        self.check_kind()?;
        let mut reader = serde_json::Deserializer::from_slice(&self.body);
        let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            self.misfit(&path, error.inner())
        })?;
        reader.end().map_err(|error| self.misfit(".", &error))?;
        Ok(value)
    }

    /// [`Self::json`] of a document that is secret: what does not fit in it is not told.
    pub(crate) fn secret_json<T: DeserializeOwned>(&self, what: &str) -> Result<T, HttpError> {
        self.check_kind()?;
        serde_json::from_slice(&self.body).map_err(|_| self.unexpected(".", &format!("it is not {what}")))
    }

    /// Whether the body is one whole JSON document.
    pub(crate) fn check_json(&self) -> Result<(), HttpError> {
        self.check_kind()?;
        match serde_json::from_slice::<IgnoredAny>(&self.body) {
            Ok(_) => Ok(()),
            Err(error) if error.is_eof() => Err(self.misfit(".", &error)),
            Err(_) => Err(self.error(HttpErrorKind::NotJson { status: self.status, instead: Instead::Other })),
        }
    }

    fn check_kind(&self) -> Result<(), HttpError> {
        if self.body.trim_ascii().is_empty() {
            return Err(self.error(HttpErrorKind::Empty { status: self.status }));
        }
        if is_html(self.header("content-type"), &self.body) {
            let instead = Instead::Html(self.redactor.words(&title(&self.body)));
            return Err(self.error(HttpErrorKind::NotJson { status: self.status, instead }));
        }
        Ok(())
    }

    fn misfit(&self, path: &str, error: &serde_json::Error) -> HttpError {
        if error.is_eof() {
            let text = format!("its JSON ends in the middle, after {} bytes", self.body.len());
            return self.error(HttpErrorKind::Truncated { text });
        }
        self.unexpected(path, &self.redactor.words(&error.to_string()))
    }

    pub(crate) fn unexpected(&self, path: &str, text: &str) -> HttpError {
        self.error(HttpErrorKind::Unexpected { path: path.to_owned(), text: text.to_owned() })
    }

    fn error(&self, kind: HttpErrorKind) -> HttpError {
        HttpError::new(self.call.clone(), kind)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("call", &self.call)
            .field("status", &self.status)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish_non_exhaustive()
    }
}
