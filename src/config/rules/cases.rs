//! The file of `dewpoint rules test`: resources, and what the rules should say of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dewpoint_core::estate::{Disposition, Fence, Known, Stage};
use dewpoint_core::model::{Account, Key, Kind, Provider, Region, Resource, attributes};
use dewpoint_core::rules::DEFAULT;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

use super::leaf::{AttributeName, SubjectKey};
use super::raw::AttributeValue;
use crate::config::check::{self, nearest};
use crate::config::diagnostic::{ConfigErrors, Place, Report, Span, quote};
use crate::config::leaf::{AnyDuration, DurationOrNever, Leaf, Problem, Written};
use crate::config::load::{not_text, read, too_large, unreadable};
use crate::config::schema::worked;
use crate::config::tree::{self, Node, Value};

/// Age of a resource whose case says none: old enough for every rule that asks.
const AGE_DEFAULT: Duration = Duration::from_secs(365 * 86_400);

/// The file as written.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RuleTests")]
struct RawCases {
    /// The cases, in any order.
    #[schemars(length(min = 1))]
    cases: Vec<RawCase>,
}

/// One case: a resource, and what the rules should say of it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawCase {
    /// Its name, as the result calls it.
    name: String,
    /// The instant at which the rules are asked.
    #[serde(default = "default_at")]
    at: Written<Instant>,
    /// The resource.
    resource: RawSubject,
    /// The scaling group that it is in; `null` for none.
    #[serde(default)]
    #[schemars(extend("x-null" = true))]
    group: Option<RawSubject>,
    /// What the ledger knows of it; `null` for a resource that is seen for the first time.
    #[serde(default)]
    #[schemars(extend("x-null" = true))]
    ci: Option<RawCi>,
    /// What the rules should say. What is left out is not compared.
    expect: RawExpected,
}

fn default_at() -> Written<Instant> {
    Written(Instant(Timestamp::from_second(1_767_225_600).unwrap_or(Timestamp::UNIX_EPOCH)))
}

/// A resource: its kind, what every kind has, and attributes of its kind by their names.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = attribute_schema(), "x-key-leaf" = SubjectKey::NAME))]
struct RawSubject {
    /// What it is.
    #[serde(default)]
    kind: Option<Written<Kind>>,
    /// Who runs it.
    #[serde(default = "default_provider")]
    provider: Written<Provider>,
    /// Account or subscription.
    #[serde(default = "default_account")]
    account: String,
    /// Region.
    #[serde(default = "default_region")]
    region: String,
    /// The provider's own id.
    #[serde(default)]
    native_id: Option<String>,
    /// Display name.
    #[serde(default)]
    name: Option<String>,
    /// State; of instances `pending`, `running`, `stopping`, `stopped`, `terminated` or `unknown`.
    #[serde(default)]
    state: Option<String>,
    /// How long it has been in that state; without it as long as it lives.
    #[serde(default)]
    state_for: Option<Written<AnyDuration>>,
    /// Its age; without it a year.
    #[serde(default)]
    age: Option<Written<AnyDuration>>,
    /// Its birth, in place of an age.
    #[serde(default)]
    created_at: Option<Written<Instant>>,
    /// Its tags.
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// Fields of [`RawSubject`] that are no attributes.
pub(super) const SUBJECT_FIELDS: &[&str] =
    &["kind", "provider", "account", "region", "native_id", "name", "state", "state_for", "age", "created_at", "tags"];

fn attribute_schema() -> Json {
    serde_json::json!({
        "anyOf": [
            { "type": "string" },
            { "type": "number" },
            { "type": "boolean" },
            { "type": "array", "items": {} },
            { "type": "object", "additionalProperties": {} },
        ],
        "x-expected": "the value of an attribute",
    })
}

fn default_provider() -> Written<Provider> {
    Written(Provider::Aws)
}

fn default_account() -> String {
    "123456789012".to_owned()
}

fn default_region() -> String {
    "eu-west-1".to_owned()
}

/// What the ledger knows of the resource.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawCi {
    /// What the rules decided before.
    disposition: Written<Disposition>,
    /// Where it stands.
    stage: Written<Stage>,
    /// Complete listings in a row without it.
    missing: u32,
    /// The flag that it carries.
    #[schemars(extend("x-null" = true))]
    flag: Option<String>,
}

impl Default for RawCi {
    fn default() -> Self {
        Self { disposition: Written(Disposition::Record), stage: Written(Stage::Active), missing: 0, flag: None }
    }
}

/// What the rules should say.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct RawExpected {
    /// The disposition; `frozen` where a rule should fail.
    disposition: Option<RawOutcome>,
    /// The scaling group (name, id or key) or the named fleet that it is folded into; `null` for none.
    #[serde(deserialize_with = "present")]
    #[schemars(extend("x-null" = true))]
    fleet: Option<Option<String>>,
    /// The rule that decides; `default` where none should.
    rule: Option<String>,
    /// The flag; `null` for none.
    #[serde(deserialize_with = "present")]
    #[schemars(extend("x-null" = true))]
    flag: Option<Option<String>>,
    /// Timers.
    timers: RawTimersExpected,
    /// Attributes that rules set.
    attributes: BTreeMap<String, AttributeValue>,
}

/// Tells `null` from what is not there.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

/// Expected timers; those that are left out are not compared.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawTimersExpected {
    /// Instances younger than this are deferred.
    min_age: Option<Written<AnyDuration>>,
    /// Complete listings without a resource before its record may be retired.
    confirm_missing: Option<u32>,
    /// How long a resource must not have been seen before its record may be retired.
    retire_after: Option<Written<AnyDuration>>,
    /// How long after its delivered retirement a record is removed.
    purge_after: Option<Written<DurationOrNever>>,
    /// Least time between two changes of a resource's disposition.
    min_dwell: Option<Written<AnyDuration>>,
}

/// An expected disposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum RawOutcome {
    /// A record of its own.
    Record,
    /// No record yet.
    Defer,
    /// Counted in its fleet.
    Fold,
    /// No record, no edges.
    Ignore,
    /// A rule at or before the deciding one fails.
    Frozen,
}

/// An instant, RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instant(Timestamp);

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Leaf for Instant {
    const NAME: &'static str = "instant";
    const EXPECTED: &'static str = "an instant such as `2026-01-02T03:04:05Z`";

    fn parse(text: &str) -> Result<Self, Problem> {
        text.parse().map(Self).map_err(|_| Problem::new(format!("expected {}, found {}", Self::EXPECTED, quote(text))))
    }
}

/// Tries a text as an instant, for [`crate::config::leaf::try_as`].
pub(in crate::config) fn try_instant(leaf: &str, text: &str) -> Option<Result<(), Problem>> {
    (leaf == Instant::NAME).then(|| Instant::parse(text).map(drop))
}

static SCHEMA: LazyLock<Json> =
    LazyLock::new(|| worked(SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<RawCases>()));

/// One case, ready to be asked about.
#[derive(Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Where it is written.
    pub place: Place,
    /// The instant at which the rules are asked.
    pub at: Timestamp,
    /// The resource.
    pub known: Known,
    /// Its scaling group.
    pub group: Option<Resource>,
    /// Whether the ledger knows it already.
    pub has_ci: bool,
    /// What the rules should say.
    pub expected: Expected,
}

/// What the rules should say; what is `None` is not compared.
#[derive(Debug, Default)]
pub struct Expected {
    /// A disposition, or `frozen`.
    pub disposition: Option<&'static str>,
    /// The fleet, by name, id or key.
    pub fleet: Option<Option<String>>,
    /// The deciding rule.
    pub rule: Option<String>,
    /// The flag.
    pub flag: Option<Option<String>>,
    /// See [`dewpoint_core::lifecycle::Timers::min_age`].
    pub min_age: Option<Duration>,
    /// See [`dewpoint_core::lifecycle::Timers::confirm_missing`].
    pub confirm_missing: Option<u32>,
    /// See [`dewpoint_core::lifecycle::Timers::retire_after`].
    pub retire_after: Option<Duration>,
    /// See [`dewpoint_core::lifecycle::Timers::purge_after`].
    pub purge_after: Option<Option<Duration>>,
    /// See [`dewpoint_core::lifecycle::Timers::min_dwell`].
    pub min_dwell: Option<Duration>,
    /// Attributes that rules set.
    pub attributes: BTreeMap<String, Json>,
}

/// Reads the cases in a file. `rules` are the names of the rules that can be expected.
///
/// # Errors
/// Everything that is wrong with the file, at once.
pub fn load_cases(path: &Path, rules: &BTreeSet<&str>) -> Result<Vec<Case>, ConfigErrors> {
    let name = path.display().to_string();
    let bytes = read(path).map_err(|error| unreadable(&name, &error, "name the file with the cases: `dewpoint rules test FILE`"))?;
    if let Some(errors) = too_large(&name, &bytes) {
        return Err(errors);
    }
    cases_of_bytes(&name, &bytes, rules)
}

/// Reads the cases that are at hand as bytes, as they stand in their file. `name` stands for the file in messages.
///
/// # Errors
/// Everything that is wrong with them, at once.
pub fn cases_of_bytes(name: &str, bytes: &[u8], rules: &BTreeSet<&str>) -> Result<Vec<Case>, ConfigErrors> {
    let text = std::str::from_utf8(bytes).map_err(|error| not_text(name, bytes, error.valid_up_to()))?;
    cases(name, text, rules)
}

/// The cases in a text.
pub(super) fn cases(name: &str, text: &str, rules: &BTreeSet<&str>) -> Result<Vec<Case>, ConfigErrors> {
    let mut report = Report::new(name);
    let cases = tree::parse(text, &mut report).and_then(|root| {
        if root.value == Value::Null {
            report.error(Span::START, "the file is empty: expected `cases`");
            return None;
        }
        let nodes = root.get("cases").map_or(&[][..], Node::items);
        for node in nodes {
            check_case(node, rules, &mut report);
        }
        let sound = check::check(&root, &SCHEMA, &mut report)?;
        let raw = serde_json::from_value::<RawCases>(sound.to_json());
        match raw {
            Ok(raw) => {
                let nodes = sound.get("cases").map_or(&[][..], Node::items);
                raw.cases.into_iter().zip(nodes).map(|(raw, node)| case(raw, node, &mut report)).collect::<Option<Vec<_>>>()
            }
            Err(error) if report.is_empty() => {
                report.error(Span::START, format!("the cases cannot be read: {error}"));
                None
            }
            Err(_) => None,
        }
    });
    match cases {
        Some(cases) if report.is_empty() => Ok(cases),
        _ => Err(report.into_errors(Some(text))),
    }
}

/// What no schema can say.
fn check_case(node: &Node, rules: &BTreeSet<&str>, report: &mut Report) {
    if let Some(resource) = node.get("resource") {
        if let Value::Map(entries) = &resource.value
            // A misspelt key is told of by the schema.
            && entries.iter().all(|entry| entry.key != "kind" && SubjectKey::parse(&entry.key).is_ok())
        {
            report.error(resource.span, "key `kind` is missing in the resource").help("add `kind: instance`, for example");
        }
        check_subject(resource, resource.get("kind").and_then(|kind| kind.text()?.parse().ok()), report);
    }
    if let Some(group) = node.get("group") {
        check_subject(group, Some(Kind::ScalingGroup), report);
        if let Some(kind) = group.get("kind").filter(|kind| kind.text() != Some(Kind::ScalingGroup.as_str())) {
            report.error(kind.span, "a group is a `scaling_group`").help("leave `kind` out");
        }
    }
    let Some(expect) = node.get("expect") else { return };
    if matches!(&expect.value, Value::Map(entries) if entries.is_empty()) {
        report.error(expect.span, "the case expects nothing").help("write what the rules should say, such as `{ disposition: record }`");
    }
    if let Some((rule, at)) = expect.get("rule").and_then(|rule| Some((rule.text()?, rule.span)))
        && rule != DEFAULT
        && !rules.contains(rule)
    {
        let error = report.error(at, format!("no rule is named {}", quote(rule)));
        match nearest(rule, rules.iter().copied().chain([DEFAULT])) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help("`dewpoint rules show` lists the rules; `default` is what decides where none of them does"),
        };
    }
    if let Some(Value::Map(entries)) = expect.get("attributes").map(|attributes| &attributes.value) {
        for entry in entries {
            if let Err(Problem { text, help, .. }) = AttributeName::parse(&entry.key) {
                let error = report.error(entry.key_span, text);
                error.help = help;
            }
        }
    }
}

fn check_subject(node: &Node, kind: Option<Kind>, report: &mut Report) {
    let Value::Map(entries) = &node.value else { return };
    if let (Some(age), true) = (node.entry("age"), node.get("created_at").is_some()) {
        report.error(age.key_span, "`age` and `created_at` say the same").help("remove one of the two");
    }
    let Some(kind) = kind else { return };
    for entry in entries.iter().filter(|entry| !SUBJECT_FIELDS.contains(&entry.key.as_str())) {
        // A name that no kind has is the schema's to tell.
        let Ok(SubjectKey(name)) = SubjectKey::parse(&entry.key) else { continue };
        if attributes::find(kind, &name).is_none() {
            let near = nearest(&name, attributes::of(kind).iter().map(|attribute| attribute.name));
            let error = report.error(entry.key_span, format!("kind {kind} has no attribute `{name}`"));
            if let Some(near) = near {
                error.help(format!("did you mean `{near}`?"));
            }
        } else if let Err(wrong) = attributes::canonical(kind, &name, entry.node.to_json()) {
            report.error(entry.node.span, wrong.to_string());
        }
    }
}

fn case(raw: RawCase, node: &Node, report: &mut Report) -> Option<Case> {
    let at = raw.at.0.0;
    let place = report.place(node.get("name").map_or(node.span, |name| name.span).start);
    let subject = node.get("resource")?;
    let state_for = raw.resource.state_for.as_ref().map(|time| time.0.0);
    let kind = raw.resource.kind.as_ref().map(|kind| kind.0)?;
    let resource = resource(raw.resource, kind, subject, at, report)?;
    let group = match (raw.group, node.get("group")) {
        (Some(group), Some(node)) => Some(self::resource(group, Kind::ScalingGroup, node, at, report)?),
        _ => None,
    };
    let born = resource.created_at.unwrap_or(at);
    let first_seen = if raw.ci.is_some() { born } else { at };
    let mut known = Known::new(Arc::new(resource), first_seen, Fence(1));
    known.last_seen = at;
    known.state_since = state_for.map_or(born, |time| before(at, time));
    let has_ci = raw.ci.is_some();
    if let Some(ci) = raw.ci {
        known.disposition = ci.disposition.0;
        known.stage = ci.stage.0;
        known.missing = ci.missing;
        known.flag = ci.flag;
    }
    Some(Case { name: raw.name, place, at, known, group, has_ci, expected: expected(raw.expect) })
}

fn expected(raw: RawExpected) -> Expected {
    let disposition = raw.disposition.map(|outcome| match outcome {
        RawOutcome::Record => Disposition::Record.as_str(),
        RawOutcome::Defer => Disposition::Defer.as_str(),
        RawOutcome::Fold => Disposition::Fold.as_str(),
        RawOutcome::Ignore => Disposition::Ignore.as_str(),
        RawOutcome::Frozen => FROZEN,
    });
    Expected {
        disposition,
        fleet: raw.fleet,
        rule: raw.rule,
        flag: raw.flag,
        min_age: raw.timers.min_age.map(|time| time.0.0),
        confirm_missing: raw.timers.confirm_missing,
        retire_after: raw.timers.retire_after.map(|time| time.0.0),
        purge_after: raw.timers.purge_after.map(|time| time.0.0),
        min_dwell: raw.timers.min_dwell.map(|time| time.0.0),
        attributes: raw.attributes.into_iter().map(|(name, value)| (name, value.0)).collect(),
    }
}

/// The word for a resource that a failing rule freezes.
pub const FROZEN: &str = "frozen";

fn before(at: Timestamp, time: Duration) -> Timestamp {
    SignedDuration::try_from(time).ok().and_then(|time| at.checked_sub(time).ok()).unwrap_or(Timestamp::MIN)
}

fn resource(raw: RawSubject, kind: Kind, node: &Node, at: Timestamp, report: &mut Report) -> Option<Resource> {
    let RawSubject { kind: _, provider, account, region, native_id, name, state, state_for: _, age, created_at, tags } = raw;
    let provider = provider.0;
    let id = native_id.clone().or_else(|| name.clone()).unwrap_or_else(|| format!("the-{}", kind.as_str().replace('_', "-")));
    let key = match provider {
        Provider::Azure => Key::azure(&format!("/subscriptions/{account}/resourceGroups/tests/providers/{kind}/{id}")),
        Provider::Aws | Provider::Any => Key::aws(&format!("arn:aws:ec2:{region}:{account}:{}/{id}", kind.as_str().replace('_', "-"))),
    };
    let span = |key: &str| node.get(key).map_or(node.span, |node| node.span);
    let mut told = |key: &str, error: &dyn fmt::Display| {
        report.error(span(key), error.to_string());
    };
    let key = key.map_err(|error| told(if node.get("native_id").is_some() { "native_id" } else { "name" }, &error)).ok();
    let account: Option<Account> = account.parse().map_err(|error| told("account", &error)).ok();
    let region: Option<Region> = region.parse().map_err(|error| told("region", &error)).ok();
    let created_at = created_at.map_or_else(|| before(at, age.map_or(AGE_DEFAULT, |age| age.0.0)), |time| time.0.0);
    let Value::Map(entries) = &node.value else { return None };
    let own = entries.iter().filter(|entry| !SUBJECT_FIELDS.contains(&entry.key.as_str()));
    let attributes = own.filter_map(|entry| Some((entry.key.clone(), attributes::canonical(kind, &entry.key, entry.node.to_json()).ok()?)));
    Some(Resource {
        key: key?,
        kind,
        provider,
        native_id: id,
        account: account?,
        region: region?,
        name,
        state: state.or_else(|| (kind == Kind::Instance).then(|| "running".to_owned())),
        tags,
        created_at: Some(created_at),
        observed_at: None,
        attributes: attributes.collect(),
        derived: false,
        extra: serde_json::Map::new(),
    })
}
