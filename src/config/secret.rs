//! Secrets: the configuration holds references, the values are read when they are needed.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::diagnostic::Place;
use super::leaf::{Leaf, Problem};

/// Largest secret that is read from a file, in bytes.
pub const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Where a secret is kept, as written: `env:NAME` or `file:PATH`. Holds no secret itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file; one line break at its end does not belong to the secret.
    File(PathBuf),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

const HELP: &str = "write `env:NAME` for an environment variable or `file:PATH` for a file, and put the secret there";

impl Leaf for SecretRef {
    const NAME: &'static str = "secret";
    const EXPECTED: &'static str = "a reference to a secret: `env:NAME` or `file:PATH`";
    const PATTERN: Option<&'static str> = Some("^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$");

    fn parse(text: &str) -> Result<Self, Problem> {
        if let Some(name) = text.strip_prefix("env:") {
            let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Ok(Self::Env(name.to_owned()));
            }
            let problem = Problem::new("no name of an environment variable follows `env:`").secret();
            return Err(problem.help("a name has letters, digits and `_`, for example `env:LEDGER_PASSWORD`"));
        }
        if let Some(path) = text.strip_prefix("file:") {
            if path.trim().is_empty() || path.contains('\0') {
                return Err(Problem::new("no path follows `file:`").secret().help("for example `file:/run/secrets/ledger`"));
            }
            let path = path.strip_prefix("//").filter(|path| path.starts_with('/')).unwrap_or(path);
            return Ok(Self::File(PathBuf::from(path)));
        }
        let problem = Problem::new("a secret must not stand in the configuration").secret();
        Err(match text.strip_prefix('$') {
            Some(_) => problem.help("variables are not expanded: write `env:NAME`"),
            None => problem.help(HELP),
        })
    }
}

impl SecretRef {
    /// A text as a reference, where it begins like one: where a value may stand as well.
    pub(super) fn parse_reference(text: &str) -> Option<Result<Self, Problem>> {
        (text.starts_with("env:") || text.starts_with("file:")).then(|| Self::parse(text))
    }
}

/// A reference to a secret and the place in the configuration where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The key, with its path: `sources.aws.external_id`.
    pub key: String,
    /// Where the secret is kept; a path is absolute.
    pub reference: SecretRef,
    /// Where the reference is written.
    pub place: Place,
}

/// A value that need not be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// As it is.
    Plain(String),
    /// Kept where secrets are.
    Kept(Secret),
}

impl Given {
    /// Reads it.
    ///
    /// # Errors
    /// When where it is kept cannot be read.
    pub fn resolve(&self) -> Result<String, SecretError> {
        match self {
            Self::Plain(value) => Ok(value.clone()),
            Self::Kept(secret) => Ok(secret.resolve()?.expose_secret().to_owned()),
        }
    }
}

/// A secret that cannot be read, or is not what it should be. Never holds its value.
#[derive(Debug, thiserror::Error)]
#[error("{place}: `{key}`: cannot use the secret `{reference}`")]
pub struct SecretError {
    /// The key, with its path.
    pub key: String,
    /// Where the reference is written.
    pub place: Place,
    /// Where the secret should be.
    pub reference: SecretRef,
    /// Why it cannot be read.
    pub source: SecretProblem,
}

/// Why a secret cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretProblem {
    /// The environment variable does not exist.
    #[error("the environment variable is not set")]
    NotSet,
    /// There is a value, but nothing in it.
    #[error("the value is empty")]
    Empty,
    /// The value is no text.
    #[error("the value is not UTF-8 text")]
    NotText,
    /// The file is larger than [`SECRET_BYTES_MAX`].
    #[error("the file is larger than {SECRET_BYTES_MAX} bytes")]
    TooLarge,
    /// The value is a text, but not of the form that is needed.
    #[error("the value is no {0}")]
    Unfit(&'static str),
    /// The file cannot be read.
    #[error("the file cannot be read")]
    File(#[source] io::Error),
}

impl SecretError {
    /// What the operator can do.
    #[must_use]
    pub fn hint(&self) -> String {
        match (&self.reference, &self.source) {
            (_, SecretProblem::Unfit(expected)) => format!("what belongs into `{}`: {expected}", self.reference),
            (SecretRef::Env(name), _) => format!("set the environment variable `{name}` for this process"),
            (SecretRef::File(path), SecretProblem::File(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
                format!("let the user that runs dewpoint read `{}`", path.display())
            }
            (SecretRef::File(path), _) => format!("put the secret, and nothing else, into `{}`", path.display()),
        }
    }
}

impl Secret {
    /// Reads the secret, now.
    ///
    /// # Errors
    /// [`SecretError`] with reference and place when there is no such variable or file, or nothing usable in it.
    pub fn resolve(&self) -> Result<SecretString, SecretError> {
        self.resolve_from(|name| env::var_os(name))
    }

    /// As [`Secret::resolve`], with the environment handed in.
    fn resolve_from(&self, variable: impl Fn(&str) -> Option<OsString>) -> Result<SecretString, SecretError> {
        let value = match &self.reference {
            SecretRef::Env(name) => {
                variable(name).ok_or(SecretProblem::NotSet).and_then(|value| value.into_string().map_err(|_| SecretProblem::NotText))
            }
            SecretRef::File(path) => read(path),
        };
        value
            .and_then(|value| if value.is_empty() { Err(SecretProblem::Empty) } else { Ok(SecretString::from(value)) })
            .map_err(|source| self.error(source))
    }

    pub(super) fn error(&self, source: SecretProblem) -> SecretError {
        SecretError { key: self.key.clone(), place: self.place.clone(), reference: self.reference.clone(), source }
    }
}

fn read(path: &Path) -> Result<String, SecretProblem> {
    let file = File::open(path).map_err(SecretProblem::File)?;
    let mut bytes = Vec::new();
    file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(SecretProblem::File)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > SECRET_BYTES_MAX) {
        return Err(SecretProblem::TooLarge);
    }
    let mut text = String::from_utf8(bytes).map_err(|_| SecretProblem::NotText)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failing test may panic")]

    use super::*;
    use crate::config::diagnostic::Position;

    fn secret(reference: SecretRef) -> Secret {
        let place = Place { file: "dewpoint.yaml".to_owned(), position: Position { line: 3, column: 18 } };
        Secret { key: "ledger_password".to_owned(), reference, place }
    }

    #[test]
    fn variables_are_read_when_asked_for() {
        let secret = secret(SecretRef::Env("PG".to_owned()));
        let value = secret.resolve_from(|name| (name == "PG").then(|| "hunter2".into())).unwrap();
        assert_eq!(value.expose_secret(), "hunter2");
        assert!(!format!("{value:?}").contains("hunter2"));
    }

    #[test]
    fn a_missing_variable_names_reference_and_place() {
        let error = secret(SecretRef::Env("PG".to_owned())).resolve_from(|_| None).unwrap_err();
        assert_eq!(error.to_string(), "dewpoint.yaml:3:18: `ledger_password`: cannot use the secret `env:PG`");
        assert_eq!(error.source.to_string(), "the environment variable is not set");
        assert_eq!(error.hint(), "set the environment variable `PG` for this process");
    }

    #[test]
    fn a_file_is_read_without_its_last_line_break() {
        let folder = tempfile::tempdir().unwrap();
        for (content, expected) in [("a b\n", Ok("a b")), ("a\r\n", Ok("a")), ("a\n\n", Ok("a\n")), ("\n", Err("the value is empty"))] {
            let path = folder.path().join("secret");
            std::fs::write(&path, content).unwrap();
            let result = secret(SecretRef::File(path)).resolve();
            match expected {
                Ok(value) => assert_eq!(result.unwrap().expose_secret(), value),
                Err(problem) => assert_eq!(result.unwrap_err().source.to_string(), problem),
            }
        }
        let error = secret(SecretRef::File(folder.path().join("absent"))).resolve().unwrap_err();
        assert_eq!(error.source.to_string(), "the file cannot be read");
    }

    #[test]
    fn a_literal_is_never_repeated() {
        for literal in ["hunter2", "$HUNTER2", "env:hunter2!", "12345", ""] {
            let problem = SecretRef::parse(literal).unwrap_err();
            assert!(problem.secret);
            assert!(!format!("{problem:?}").contains("hunter2"));
        }
    }
}
