//! Identity of resources.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::kind::Provider;

/// Identity of one resource, in canonical form.
///
/// Forms: `aws:arn:<partition>:<service>:<region>:<account>:<resource>` (case kept: ARNs are case-sensitive),
/// `azure:/subscriptions/<id>…` (folded to lower case: Azure compares resource ids without regard to case),
/// `fleet:<provider>:<account>:<region>:<name>` and `service:<name>` (trimmed and case-folded) for derived resources.
///
/// Sources: AWS General Reference, "Amazon Resource Names"; Azure Resource Manager, "Resource ID".
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a key: {reason}")]
pub struct InvalidKey {
    /// The text as given, cut to a readable length.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Longest key taken, in bytes. ARNs end at 2 048 characters and Azure ids are shorter.
pub const KEY_BYTES_MAX: usize = 4096;

impl Key {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Key of an AWS resource from its ARN.
    ///
    /// # Errors
    /// [`InvalidKey`] when the text is no ARN.
    pub fn aws(arn: &str) -> Result<Self, InvalidKey> {
        format!("aws:{arn}").parse()
    }

    /// Key of an Azure resource from its resource id, in any case.
    ///
    /// # Errors
    /// [`InvalidKey`] when the text is no resource id.
    pub fn azure(resource_id: &str) -> Result<Self, InvalidKey> {
        format!("azure:{resource_id}").parse()
    }

    /// Key of a service by its name, trimmed and case-folded. `None` for a blank name.
    #[must_use]
    pub fn service(name: &str) -> Option<Self> {
        let name = name.trim().to_lowercase();
        (!name.is_empty() && !name.chars().any(char::is_control)).then(|| Self(format!("service:{name}").into()))
    }

    /// Key of a named fleet. `None` for a name that is blank or holds control characters, for an account or region that the key could not
    /// tell from its neighbours, and for what is too long together.
    #[must_use]
    pub fn fleet(provider: Provider, account: &Account, region: &Region, name: &str) -> Option<Self> {
        if account.as_str().contains(':') || region.as_str().contains(':') {
            return None;
        }
        format!("fleet:{provider}:{account}:{region}:{}", name.trim()).parse().ok()
    }

    /// What the key of a named fleet says; `None` for any other key.
    #[must_use]
    pub fn as_fleet(&self) -> Option<FleetName<'_>> {
        let mut parts = self.0.strip_prefix("fleet:")?.splitn(4, ':');
        let provider = parts.next()?.parse().ok()?;
        let (account, region) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        parts.next().filter(|name| !name.trim().is_empty()).map(|name| FleetName { provider, account, region, name })
    }

    /// The provider that the key belongs to; `Any` for services.
    #[must_use]
    pub fn provider(&self) -> Provider {
        match self.0.split(':').next() {
            Some("aws") => Provider::Aws,
            Some("azure") => Provider::Azure,
            Some("fleet") => self.0.split(':').nth(1).and_then(|p| p.parse().ok()).unwrap_or(Provider::Any),
            _ => Provider::Any,
        }
    }

    /// Whether the key names a derived resource (named fleet, service), which no cloud lists.
    #[must_use]
    pub fn is_derived(&self) -> bool {
        self.0.starts_with("fleet:") || self.0.starts_with("service:")
    }
}

/// The parts of a named fleet's key. All its members lie in its account and region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetName<'a> {
    /// Provider of its members.
    pub provider: Provider,
    /// Account of its members.
    pub account: Account,
    /// Region of its members.
    pub region: Region,
    /// Its name; may hold colons.
    pub name: &'a str,
}

impl FromStr for Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let fail = |reason| Err(InvalidKey { text: text.chars().take(200).collect(), reason });
        if text.len() > KEY_BYTES_MAX {
            return fail("it is longer than 4096 bytes");
        }
        if text.chars().any(char::is_control) {
            return fail("it contains a control character");
        }
        if text.trim() != text {
            return fail("it starts or ends with white space");
        }
        match text.split_once(':') {
            Some(("aws", arn)) => match check_arn(arn) {
                Ok(()) => Ok(Self(text.into())),
                Err(reason) => fail(reason),
            },
            Some(("azure", id)) => match check_azure_id(id) {
                Ok(()) => Ok(Self(text.to_lowercase().trim_end_matches('/').into())),
                Err(reason) => fail(reason),
            },
            Some(("fleet", _)) => {
                let key = Self(text.into());
                let is_whole = key.as_fleet().is_some();
                if is_whole { Ok(key) } else { fail("a fleet's key is `fleet:<provider>:<account>:<region>:<name>`") }
            }
            Some(("service", name)) => match Self::service(name) {
                Some(key) => Ok(key),
                None => fail("a service's key is `service:<name>`"),
            },
            _ => fail("a key starts with `aws:arn:`, `azure:/subscriptions/`, `fleet:` or `service:`"),
        }
    }
}

fn check_arn(arn: &str) -> Result<(), &'static str> {
    let mut parts = arn.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    if next() != "arn" {
        return Err("an AWS key is `aws:arn:<partition>:<service>:<region>:<account>:<resource>`");
    }
    if !next().starts_with("aws") {
        return Err("the partition of its ARN does not start with `aws`");
    }
    if next().is_empty() {
        return Err("its ARN names no service");
    }
    next();
    next();
    if next().is_empty() {
        return Err("its ARN names no resource");
    }
    Ok(())
}

fn check_azure_id(id: &str) -> Result<(), &'static str> {
    let mut parts = id.split('/');
    if parts.next() != Some("") || !parts.next().is_some_and(|word| word.eq_ignore_ascii_case("subscriptions")) {
        return Err("an Azure key is `azure:/subscriptions/<id>/…`");
    }
    if parts.next().is_none_or(str::is_empty) {
        return Err("it names no subscription");
    }
    let rest = id.trim_end_matches('/');
    if rest.contains("//") {
        return Err("it has an empty segment");
    }
    Ok(())
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A short text that names an account, region, source or target: never blank, no white space or control characters.
macro_rules! name {
    ($(#[$meta:meta])* $name:ident, $what:literal) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if text.is_empty() || text.len() > 256 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
                    return Err(InvalidName { what: $what, text: text.chars().take(200).collect() });
                }
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// A text that cannot be an account, region, source or target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}: it must be 1 to 256 bytes without white space or control characters")]
pub struct InvalidName {
    /// What it was to name.
    pub what: &'static str,
    /// The text as given, cut to a readable length.
    pub text: String,
}

name! {
    /// AWS account id or Azure subscription id; `*` for resources that lie across accounts.
    Account, "account"
}
name! {
    /// AWS region or Azure location; `*` where an API has no region.
    Region, "region"
}
name! {
    /// Name of a configured source.
    SourceName, "source name"
}
name! {
    /// Name of a configured target.
    TargetName, "target name"
}

impl Region {
    /// Whether this is `*`: an API without regions, or a listing over all of them.
    #[must_use]
    pub fn is_any(&self) -> bool {
        &*self.0 == "*"
    }

    /// The region `*`.
    #[must_use]
    pub fn any() -> Self {
        Self("*".into())
    }
}

impl Account {
    /// The account `*`, of resources derived across accounts.
    #[must_use]
    pub fn any() -> Self {
        Self("*".into())
    }
}
