//! The texts a configuration is made of: names, durations, paths, URLs. Each is parsed once, by [`Leaf::parse`], which
//! serves the validator (with the place), the deserialiser and the published schema alike.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dewpoint_core::model::{Kind, Region, attributes};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::aws::{AccountId, RoleArn, RoleName};
use super::azure::{
    ApiVersion, AuthorityUrl, ClientId, HttpsUrl, IdentityId, ManagementGroupName, ObjectId, ResourceType, SubscriptionId, TenantName,
};
use super::check::nearest;
use super::diagnostic::quote;
use super::haloitsm::{AssetField, HaloName, HaloTenant, Scopes};
use super::jsm::{AssetsAttribute, ObjectTypeName, SchemaKey, StatusName};
use super::mapped::{KindKey, NameOrRef, RelationKey, ValueText};
use super::ownership::Meaning;
use super::proxy::ProxyAddress;
use super::rules::{self, AttributeName, ExpressionText, Flag, PresetName, RecordCondition, RuleName, SubjectKey};
use super::secret::SecretRef;
use super::servicenow::{ClassName, ColumnName, DiscoverySource, InstanceUrl, LifeCycleName, LookUpColumn, RelationshipType, TableName};

/// Longest duration that is taken: a hundred years. What is longer is meant as `never`, or a slip.
const DURATION_MAX: Duration = Duration::from_secs(36_500 * DAY_S);

const DAY_S: u64 = 86_400;

/// Units of a duration, longest first, in seconds.
const UNITS: &[(&str, u64)] = &[("w", 7 * DAY_S), ("d", DAY_S), ("h", 3600), ("m", 60), ("s", 1)];

/// Why a text is not what its key needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Lower case, no full stop, without the key; never holds the text when `secret` is set.
    pub(super) text: String,
    pub(super) help: Option<String>,
    /// The text may hold a secret: it must not be shown.
    pub(super) secret: bool,
}

impl Problem {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), help: None, secret: false }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}

/// A value that is written as one text.
pub(super) trait Leaf: Sized + fmt::Display {
    /// Its name in the schema's `x-leaf`, by which the validator finds the parser again.
    const NAME: &'static str;
    /// What is expected, as a noun phrase.
    const EXPECTED: &'static str;
    /// A regular expression for editors; the parser decides.
    const PATTERN: Option<&'static str> = None;
    /// The mend where the text was written so that YAML takes it for something else, if quotes alone are not all.
    const BARE_HELP: Option<&'static str> = None;

    fn parse(text: &str) -> Result<Self, Problem>;

    /// All possible texts, where they can be listed.
    fn words() -> Vec<&'static str> {
        Vec::new()
    }
}

/// Shows leaves that hold one thing as that.
macro_rules! text_leaf {
    ($($name:ident),+ $(,)?) => {$(
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }
    )+};
}

pub(super) use text_leaf;

text_leaf!(Name, TagName, FieldName, FilePath, HttpUrl);

/// A leaf as a field of the raw configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Written<T>(pub(super) T);

impl<T: Leaf> Serialize for Written<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: Leaf> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        T::parse(&text).map(Self).map_err(|problem| serde::de::Error::custom(problem.text))
    }
}

impl<T: Leaf> JsonSchema for Written<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({ "type": "string", "x-leaf": T::NAME, "x-expected": T::EXPECTED });
        if let Some(pattern) = T::PATTERN {
            schema.insert("pattern".to_owned(), pattern.into());
        }
        if let Some(help) = T::BARE_HELP {
            schema.insert("x-bare-help".to_owned(), help.into());
        }
        if !T::words().is_empty() {
            schema.insert("enum".to_owned(), T::words().into());
        }
        schema
    }
}

/// Tries a text as the leaf of that name. `None` when there is no such leaf.
pub(super) fn try_as(leaf: &str, text: &str) -> Option<Result<(), Problem>> {
    fn attempt<T: Leaf>(text: &str) -> Result<(), Problem> {
        T::parse(text).map(drop)
    }
    let attempt = match leaf {
        Name::NAME => attempt::<Name>,
        Kind::NAME => attempt::<Kind>,
        Region::NAME => attempt::<Region>,
        TagName::NAME => attempt::<TagName>,
        Meaning::NAME => attempt::<Meaning>,
        FieldName::NAME => attempt::<FieldName>,
        FilePath::NAME => attempt::<FilePath>,
        HttpUrl::NAME => attempt::<HttpUrl>,
        LedgerAddress::NAME => attempt::<LedgerAddress>,
        SecretRef::NAME => attempt::<SecretRef>,
        AnyDuration::NAME => attempt::<AnyDuration>,
        PositiveDuration::NAME => attempt::<PositiveDuration>,
        DurationOrNever::NAME => attempt::<DurationOrNever>,
        AccountId::NAME => attempt::<AccountId>,
        RoleName::NAME => attempt::<RoleName>,
        RoleArn::NAME => attempt::<RoleArn>,
        CallTimeout::NAME => attempt::<CallTimeout>,
        TenantName::NAME => attempt::<TenantName>,
        SubscriptionId::NAME => attempt::<SubscriptionId>,
        ManagementGroupName::NAME => attempt::<ManagementGroupName>,
        ClientId::NAME => attempt::<ClientId>,
        ObjectId::NAME => attempt::<ObjectId>,
        IdentityId::NAME => attempt::<IdentityId>,
        HttpsUrl::NAME => attempt::<HttpsUrl>,
        AuthorityUrl::NAME => attempt::<AuthorityUrl>,
        ResourceType::NAME => attempt::<ResourceType>,
        ApiVersion::NAME => attempt::<ApiVersion>,
        RuleName::NAME => attempt::<RuleName>,
        ExpressionText::NAME => attempt::<ExpressionText>,
        RecordCondition::NAME => attempt::<RecordCondition>,
        Flag::NAME => attempt::<Flag>,
        PresetName::NAME => attempt::<PresetName>,
        AttributeName::NAME => attempt::<AttributeName>,
        SubjectKey::NAME => attempt::<SubjectKey>,
        InstanceUrl::NAME => attempt::<InstanceUrl>,
        AssetField::NAME => attempt::<AssetField>,
        AssetsAttribute::NAME => attempt::<AssetsAttribute>,
        HaloName::NAME => attempt::<HaloName>,
        HaloTenant::NAME => attempt::<HaloTenant>,
        Scopes::NAME => attempt::<Scopes>,
        ObjectTypeName::NAME => attempt::<ObjectTypeName>,
        SchemaKey::NAME => attempt::<SchemaKey>,
        StatusName::NAME => attempt::<StatusName>,
        NameOrRef::NAME => attempt::<NameOrRef>,
        DiscoverySource::NAME => attempt::<DiscoverySource>,
        ClassName::NAME => attempt::<ClassName>,
        ColumnName::NAME => attempt::<ColumnName>,
        TableName::NAME => attempt::<TableName>,
        LookUpColumn::NAME => attempt::<LookUpColumn>,
        ValueText::NAME => attempt::<ValueText>,
        RelationshipType::NAME => attempt::<RelationshipType>,
        LifeCycleName::NAME => attempt::<LifeCycleName>,
        ProxyAddress::NAME => attempt::<ProxyAddress>,
        KindKey::NAME => attempt::<KindKey>,
        RelationKey::NAME => attempt::<RelationKey>,
        _ => return rules::try_instant(leaf, text),
    };
    Some(attempt(text))
}

/// Name of a source or target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(pub(super) String);

impl Leaf for Name {
    const NAME: &'static str = "name";
    const EXPECTED: &'static str = "a name such as `prod-eu`";
    const PATTERN: Option<&'static str> = Some("^[a-z0-9][a-z0-9_-]{0,62}$");

    fn parse(text: &str) -> Result<Self, Problem> {
        let first = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        let rest = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'));
        if first && rest && text.len() <= 63 {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::new(format!("{} is no name", quote(text)));
        Err(problem.help("a name has 1 to 63 lower-case letters, digits, `-` and `_`, and begins with a letter or digit"))
    }
}

impl Leaf for Kind {
    const NAME: &'static str = "kind";
    const EXPECTED: &'static str = "a resource kind";

    fn parse(text: &str) -> Result<Self, Problem> {
        text.parse().map_err(|_| Problem::new(format!("{} is no resource kind", quote(text))))
    }

    fn words() -> Vec<&'static str> {
        Self::ALL.iter().map(|kind| kind.as_str()).collect()
    }
}

/// Name of a tag in a cloud.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TagName(pub(super) String);

impl Leaf for TagName {
    const NAME: &'static str = "tag_name";
    const EXPECTED: &'static str = "the name of a tag";
    const PATTERN: Option<&'static str> = Some(r"\S");

    /// At most 512 characters, the longest that Azure takes (AWS: 128).
    fn parse(text: &str) -> Result<Self, Problem> {
        if text.trim().is_empty() {
            return Err(Problem::new("the name of a tag is empty"));
        }
        if text.chars().count() > 512 || text.chars().any(char::is_control) {
            let problem = Problem::new(format!("{} cannot be the name of a tag", quote(text)));
            return Err(problem.help("a tag's name has at most 512 characters and no control characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Fields of every record besides the attributes of its kind, by our names.
const COMMON_FIELDS: &[&str] = &[
    "account",
    "cost_center",
    "created_at",
    "environment",
    "name",
    "native_id",
    "owner",
    "region",
    "service",
    "stage",
    "state",
    "support_group",
    "tags",
];

/// Name of a field of records. One that no record has would be silently without effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldName(String);

impl Leaf for FieldName {
    const NAME: &'static str = "field";
    const EXPECTED: &'static str = "the name of a field, such as `owner`";

    fn parse(text: &str) -> Result<Self, Problem> {
        let attributes = Kind::ALL.iter().flat_map(|kind| attributes::of(*kind)).map(|attribute| attribute.name);
        let known: Vec<&str> = COMMON_FIELDS.iter().copied().chain(attributes).collect();
        if known.contains(&text) {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::new(format!("no record has a field {}", quote(text)));
        Err(match nearest(text, known) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("fields are those that `dewpoint show` prints, such as `owner` or `size`"),
        })
    }
}

/// Path of a file, relative to the configuration's folder or absolute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FilePath(pub(super) String);

impl Leaf for FilePath {
    const NAME: &'static str = "path";
    const EXPECTED: &'static str = "the path of a file";
    const PATTERN: Option<&'static str> = Some(r"\S");

    fn parse(text: &str) -> Result<Self, Problem> {
        if text.trim().is_empty() {
            return Err(Problem::new("the path is empty"));
        }
        if text.contains('\0') {
            return Err(Problem::new("a path cannot hold a NUL character"));
        }
        if text.contains("://") {
            let problem = Problem::new("expected the path of a file, found a URL").secret();
            return Err(problem.help("write a path: absolute, or relative to this file's folder"));
        }
        if text.starts_with("~/") {
            let problem = Problem::new(format!("`~` is not expanded, found {}", quote(text)));
            return Err(problem.help("write an absolute path, or one relative to this file's folder"));
        }
        if text.ends_with('/') {
            return Err(Problem::new(format!("{} is a folder: expected the path of a file", quote(text))));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A path from the configuration's folder. Joined by components, so that `./a` and `a` are the same; links are not followed, which would be I/O.
pub(super) fn absolute(dir: &Path, path: impl AsRef<Path>) -> PathBuf {
    dir.join(path).components().collect()
}

/// A web address without user name or password.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HttpUrl(pub(super) Url);

impl Leaf for HttpUrl {
    const NAME: &'static str = "http_url";
    const EXPECTED: &'static str = "an address such as `http://127.0.0.1:5000`";
    const PATTERN: Option<&'static str> = Some("^https?://[^@\\s]+$");

    fn parse(text: &str) -> Result<Self, Problem> {
        if text.contains('@') {
            let problem = Problem::new("a user name or password in a URL is refused").secret();
            return Err(problem.help("remove everything between `://` and `@`; credentials have keys or the environment of their own"));
        }
        let secret_if_query = |problem: Problem| if text.contains('?') { problem.secret() } else { problem };
        if !text.starts_with("http://") && !text.starts_with("https://") {
            let problem = Problem::new("expected a URL that begins with `http://` or `https://`");
            return Err(secret_if_query(problem.help("for example `http://127.0.0.1:5000`")));
        }
        let url = Url::parse(text).map_err(|error| secret_if_query(Problem::new(format!("not a URL: {error}"))))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Problem::new("expected a URL without `?` and `#`").secret());
        }
        Ok(Self(url))
    }
}

/// Where the ledger is, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LedgerAddress {
    /// Path of an SQLite file.
    Sqlite(String),
    /// A PostgreSQL URL without password.
    Postgres(Url),
    /// The whole address is a secret.
    Secret(SecretRef),
}

impl fmt::Display for LedgerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{path}"),
            Self::Postgres(url) => fmt::Display::fmt(url, f),
            Self::Secret(reference) => fmt::Display::fmt(reference, f),
        }
    }
}

const PASSWORD_HELP: &str =
    "write the password as `ledger_password: env:NAME` (or `file:PATH`), or the whole address as `ledger: env:NAME`";

impl Leaf for LedgerAddress {
    const NAME: &'static str = "ledger";
    const EXPECTED: &'static str = "`sqlite://PATH`, `postgres://HOST/DATABASE`, `env:NAME` or `file:PATH`";
    const PATTERN: Option<&'static str> = Some("^(sqlite://.|postgres(ql)?://.|env:.|file:.)");

    fn parse(text: &str) -> Result<Self, Problem> {
        if let Some(reference) = SecretRef::parse_reference(text) {
            return reference.map(Self::Secret);
        }
        Self::parse_plain(text)
    }
}

impl LedgerAddress {
    fn parse_plain(text: &str) -> Result<Self, Problem> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            return sqlite_path(path).map(|path| Self::Sqlite(path.to_owned()));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return postgres_url(text).map(Self::Postgres);
        }
        let problem = Problem::new(format!("expected {}", Self::EXPECTED)).secret();
        Err(match text.split_once(':') {
            Some(("sqlite", _)) => problem.help("two slashes follow the colon: `sqlite://dewpoint.db`"),
            Some(_) => problem,
            None => problem.help("a file is written as `sqlite://dewpoint.db`"),
        })
    }
}

/// The path in `sqlite://PATH`.
pub(super) fn sqlite_path(path: &str) -> Result<&str, Problem> {
    if path.contains(":memory:") {
        let problem = Problem::new("the ledger cannot live in memory: it must outlast the run");
        return Err(problem.help("name a file: `sqlite://dewpoint.db`"));
    }
    if path.contains(['?', '#', '\0']) {
        return Err(Problem::new("the path of an SQLite ledger takes no options").help("name a file: `sqlite://dewpoint.db`"));
    }
    if path.trim().is_empty() || path.ends_with('/') {
        return Err(Problem::new("the address of the ledger names no file").help("name a file: `sqlite://dewpoint.db`"));
    }
    Ok(path)
}

fn postgres_url(text: &str) -> Result<Url, Problem> {
    let refused = || Problem::new("a password in a URL is refused").secret().help(PASSWORD_HELP);
    // Looked for in the text as well: a password with odd characters is no valid URL, but it is a password.
    let authority = text.split_once("://").map_or("", |(_, rest)| rest);
    if authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) {
        return Err(refused());
    }
    let url = Url::parse(text).map_err(|error| {
        let problem = Problem::new(format!("not a URL: {error}")).secret();
        problem.help("expected `postgres://HOST/DATABASE` or `postgres://USER@HOST:PORT/DATABASE`")
    })?;
    if url.password().is_some() || url.query_pairs().any(|(name, _)| name.to_ascii_lowercase().contains("password")) {
        return Err(refused());
    }
    if url.host_str().is_none_or(str::is_empty) && !url.query_pairs().any(|(name, _)| name == "host") {
        return Err(Problem::new("the address of the ledger names no host").help("expected `postgres://HOST/DATABASE`"));
    }
    Ok(url)
}

pub(super) fn parse_duration(text: &str) -> Result<Duration, Problem> {
    let what = quote(text);
    let units = "units are `s`, `m`, `h`, `d` and `w`";
    if matches!(text, "never" | "off") {
        return Err(Problem::new(format!("{what} is not possible here: expected a duration such as `15m`")));
    }
    if let Some(rest) = text.strip_prefix('-').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
        let problem = Problem::new(format!("a duration cannot be negative, found {what}"));
        return Err(problem.help(format!("write {}", quote(rest))));
    }
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Problem::new(format!("expected a duration such as `15m`, found {what}")).help(units));
    }
    let mut rest = text;
    let mut units_left = UNITS;
    let mut seconds: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let unit_length = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_length);
        rest = tail;
        if number.is_empty() || unit.starts_with(['.', ',']) {
            let problem = Problem::new(format!("a duration is made of whole numbers, found {what}"));
            return Err(problem.help("use a smaller unit: `90m` instead of one and a half hours"));
        }
        if unit.is_empty() {
            let problem = Problem::new(format!("duration {what} has no unit"));
            return Err(problem.help(format!("{units}: write {} for minutes, for example", quote(&format!("{text}m")))));
        }
        let Some(at) = units_left.iter().position(|(name, _)| *name == unit) else {
            let problem = Problem::new(match UNITS.iter().any(|(name, _)| *name == unit) {
                true => format!("the units of duration {what} are not in order, longest first"),
                false => format!("duration {what} has the unknown unit {}", quote(unit.trim())),
            });
            let near = UNITS.iter().find(|(name, _)| !unit.trim().is_empty() && unit.trim().to_lowercase().starts_with(name));
            return Err(match near {
                Some((name, _)) if *name != unit => problem.help(format!("write `{number}{name}`; {units}")),
                _ => problem.help(units),
            });
        };
        let factor = units_left.get(at).map_or(0, |(_, factor)| *factor);
        units_left = units_left.get(at + 1..).unwrap_or_default();
        // A sum that does not fit is longer than the longest, too.
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        seconds = part.and_then(|part| seconds.checked_add(part)).unwrap_or(u64::MAX);
    }
    let duration = Duration::from_secs(seconds);
    if duration > DURATION_MAX {
        return Err(Problem::new(format!("duration {what} is longer than a hundred years")));
    }
    Ok(duration)
}

/// In the longest unit that says it in one number; days from two on (`24h`, but `7d`).
pub(super) fn write_duration(duration: Duration, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let seconds = duration.as_secs();
    let fitting = [("d", DAY_S, 2), ("h", 3600, 1), ("m", 60, 1)];
    let unit = fitting.into_iter().find(|(_, factor, least)| seconds.is_multiple_of(*factor) && seconds / factor >= *least);
    match unit {
        Some((unit, factor, _)) => write!(f, "{}{unit}", seconds / factor),
        None => write!(f, "{seconds}s"),
    }
}

/// A duration, zero included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AnyDuration(pub(super) Duration);

impl fmt::Display for AnyDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_duration(self.0, f)
    }
}

impl Leaf for AnyDuration {
    const NAME: &'static str = "duration";
    const EXPECTED: &'static str = "a duration such as `15m`";
    const PATTERN: Option<&'static str> = Some("^([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$");

    fn parse(text: &str) -> Result<Self, Problem> {
        parse_duration(text).map(Self)
    }
}

/// A duration longer than zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PositiveDuration(pub(super) Duration);

impl fmt::Display for PositiveDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_duration(self.0, f)
    }
}

impl Leaf for PositiveDuration {
    const NAME: &'static str = "positive_duration";
    const EXPECTED: &'static str = AnyDuration::EXPECTED;
    const PATTERN: Option<&'static str> = AnyDuration::PATTERN;

    fn parse(text: &str) -> Result<Self, Problem> {
        match parse_duration(text)? {
            Duration::ZERO => Err(Problem::new(format!("expected a duration longer than zero, found {}", quote(text)))),
            duration => Ok(Self(duration)),
        }
    }
}

/// A duration longer than zero, or `never`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DurationOrNever(pub(super) Option<Duration>);

impl fmt::Display for DurationOrNever {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(duration) => write_duration(duration, f),
            None => f.write_str("never"),
        }
    }
}

impl Leaf for DurationOrNever {
    const NAME: &'static str = "duration_or_never";
    const EXPECTED: &'static str = "a duration such as `90d`, or `never`";
    const PATTERN: Option<&'static str> = Some("^(never|([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?)$");

    fn parse(text: &str) -> Result<Self, Problem> {
        if text == "never" {
            return Ok(Self(None));
        }
        let mend = |problem: Problem| match problem.help {
            Some(help) => Problem { help: Some(format!("{help}; or `never`")), ..problem },
            None => problem.help("or write `never`"),
        };
        PositiveDuration::parse(text).map(|duration| Self(Some(duration.0))).map_err(mend)
    }
}

/// Longest time for a call: one second to one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CallTimeout(pub(super) Duration);

impl CallTimeout {
    const LEAST: Duration = Duration::from_secs(1);
    const MOST: Duration = Duration::from_secs(3600);
}

impl fmt::Display for CallTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_duration(self.0, f)
    }
}

impl Leaf for CallTimeout {
    const NAME: &'static str = "call_timeout";
    const EXPECTED: &'static str = "a duration such as `3m`";
    const PATTERN: Option<&'static str> = AnyDuration::PATTERN;

    fn parse(text: &str) -> Result<Self, Problem> {
        let duration = parse_duration(text)?;
        if (Self::LEAST..=Self::MOST).contains(&duration) {
            return Ok(Self(duration));
        }
        Err(Problem::new(format!("expected a duration from 1s to 1h, found {}", quote(text))))
    }
}
