//! The texts that an Azure source is made of: ids, names, addresses, types of resources, versions of APIs.

use std::fmt;

use dewpoint_azure_settings::RESOURCE_TYPES;
use dewpoint_core::model::Account;
use url::Url;

use crate::config::check::nearest;
use crate::config::diagnostic::quote;
use crate::config::leaf::{HttpUrl, Leaf, Problem, text_leaf};
use crate::config::secret::SecretRef;

text_leaf!(TenantName, SubscriptionId, ObjectId, IdentityId, ManagementGroupName, HttpsUrl, AuthorityUrl, ResourceType, ApiVersion);

const GUID_PATTERN: &str = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$";

/// How a GUID is written.
const GUID_HELP: &str = "it is a GUID, such as `11111111-2222-3333-4444-555555555555`";

/// A GUID in the form that Azure writes, in lower case; ids are compared without regard to case.
pub(super) fn guid(text: &str) -> Option<String> {
    let lengths = text.split('-').map(str::len);
    let is_guid = lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    is_guid.then(|| text.to_ascii_lowercase())
}

/// The GUID that a text holds beside something else: braces, or the path before an id.
fn guid_within(text: &str) -> Option<String> {
    text.split(['/', '{', '}']).find_map(guid)
}

/// A tenant: its id, or one of its domain names; in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct TenantName(pub(in crate::config) String);

impl Leaf for TenantName {
    const NAME: &'static str = "azure_tenant";
    const EXPECTED: &'static str = "the id of a tenant, or a domain name such as `contoso.onmicrosoft.com`";
    const PATTERN: Option<&'static str> =
        Some("^([0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|([0-9A-Za-z-]{1,63}\\.)+[A-Za-z][0-9A-Za-z-]{0,62})$");

    fn parse(text: &str) -> Result<Self, Problem> {
        if let Some(id) = guid(text) {
            return Ok(Self(id));
        }
        if is_domain(text) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        let problem = Problem::new(format!("{} is no tenant", quote(text)));
        Err(match guid_within(text) {
            Some(id) => problem.help(format!("write the id alone: `{id}`")),
            None => problem.help("write its id, a GUID, or one of its domain names, such as `contoso.onmicrosoft.com`"),
        })
    }
}

/// Whether this is a domain name of two labels or more, of which the last is no number.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let top = text.rsplit_once('.').map(|(_, top)| top);
    text.len() <= 253 && text.split('.').all(is_label) && top.is_some_and(|top| top.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// Id of a subscription, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct SubscriptionId(pub(in crate::config) Account);

impl Leaf for SubscriptionId {
    const NAME: &'static str = "azure_subscription_id";
    const EXPECTED: &'static str = "the id of a subscription";
    const PATTERN: Option<&'static str> = Some(GUID_PATTERN);

    fn parse(text: &str) -> Result<Self, Problem> {
        if text == "all" {
            let problem = Problem::new("`all` stands in place of a list, not in one");
            return Err(problem.help("write `subscriptions: all`, or take `all` out of the list"));
        }
        let problem = Problem::new(format!("{} is no id of a subscription", quote(text)));
        match (guid(text).and_then(|id| id.parse().ok()), guid_within(text)) {
            (Some(id), _) => Ok(Self(id)),
            (None, Some(id)) => Err(problem.help(format!("write the id alone: `{id}`"))),
            (None, None) => Err(problem.help(format!("{GUID_HELP}, and not the subscription's name"))),
        }
    }
}

/// Id of a principal, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct ObjectId(pub(in crate::config) String);

impl Leaf for ObjectId {
    const NAME: &'static str = "azure_object_id";
    const EXPECTED: &'static str = "the object id of an identity";
    const PATTERN: Option<&'static str> = Some(GUID_PATTERN);

    fn parse(text: &str) -> Result<Self, Problem> {
        guid(text).map(Self).ok_or_else(|| Problem::new(format!("{} is no object id", quote(text))).help(GUID_HELP))
    }
}

/// Id of an application or of an identity, in lower case: as it is, or a reference to it. What else stands there is not repeated: where id and secret
/// were mixed up it is the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) enum ClientId {
    Plain(String),
    Reference(SecretRef),
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(id) => f.write_str(id),
            Self::Reference(reference) => fmt::Display::fmt(reference, f),
        }
    }
}

impl Leaf for ClientId {
    const NAME: &'static str = "azure_client_id";
    const EXPECTED: &'static str = "a client id, or a reference to it: `env:NAME` or `file:PATH`";
    const PATTERN: Option<&'static str> = Some("^([0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$");

    fn parse(text: &str) -> Result<Self, Problem> {
        if let Some(reference) = SecretRef::parse_reference(text) {
            return reference.map(Self::Reference);
        }
        if text.starts_with('$') {
            return Err(Problem::new("variables are not expanded").secret().help("write `env:NAME`"));
        }
        let problem = || Problem::new("this is no client id").secret();
        guid(text).map(Self::Plain).ok_or_else(|| problem().help(format!("{GUID_HELP}, or a reference to one: `env:NAME` or `file:PATH`")))
    }
}

/// Resource id of a user-assigned identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct IdentityId(pub(in crate::config) String);

impl Leaf for IdentityId {
    const NAME: &'static str = "azure_identity_id";
    const EXPECTED: &'static str = "the resource id of a user-assigned identity";
    const PATTERN: Option<&'static str> =
        Some("^/[Ss][Uu][Bb][Ss][Cc][Rr][Ii][Pp][Tt][Ii][Oo][Nn][Ss]/[0-9A-Fa-f-]{36}/[^/]+/[^/]+/[^/]+/[^/]+/[^/]+/[^/]+$");

    fn parse(text: &str) -> Result<Self, Problem> {
        let parts: Vec<&str> = text.split('/').collect();
        let is_id = match parts.as_slice() {
            ["", subscriptions, id, groups, group, providers, namespace, kind, name] => {
                let fixed = [
                    (subscriptions, "subscriptions"),
                    (groups, "resourceGroups"),
                    (providers, "providers"),
                    (namespace, "Microsoft.ManagedIdentity"),
                    (kind, "userAssignedIdentities"),
                ];
                let is_name = |name: &str| !name.is_empty() && !name.chars().any(|c| c.is_control() || c.is_whitespace());
                fixed.iter().all(|(part, word)| part.eq_ignore_ascii_case(word)) && guid(id).is_some() && is_name(group) && is_name(name)
            }
            _ => false,
        };
        if is_id {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::new(format!("{} is no resource id of a user-assigned identity", quote(text)));
        Err(problem
            .help("it looks like `/subscriptions/ID/resourceGroups/GROUP/providers/Microsoft.ManagedIdentity/userAssignedIdentities/NAME`"))
    }
}

/// Longest name of a management group, in characters.
const MANAGEMENT_GROUP_MAX: usize = 90;

/// Name of a management group: the last part of its id.
///
/// Source: Azure Resource Manager documentation, "Naming rules and restrictions for Azure resources".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct ManagementGroupName(pub(in crate::config) String);

impl Leaf for ManagementGroupName {
    const NAME: &'static str = "azure_management_group";
    const EXPECTED: &'static str = "the name of a management group";
    const PATTERN: Option<&'static str> = Some("^[0-9A-Za-z]([0-9A-Za-z_.()-]{0,88}[0-9A-Za-z_()-])?$");

    fn parse(text: &str) -> Result<Self, Problem> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '(' | ')');
        let is_name = (1..=MANAGEMENT_GROUP_MAX).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && !text.ends_with('.')
            && text.chars().all(fits);
        if is_name {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::new(format!("{} is no name of a management group", quote(text)));
        Err(match text.rsplit_once('/').and_then(|(_, name)| Self::parse(name).ok()) {
            Some(name) => problem.help(format!("write the name alone: `{name}`")),
            None => problem.help("write its id as the portal shows it, and not its display name: 1 to 90 letters, digits and `-_.()`"),
        })
    }
}

/// A web address that nobody can listen in on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct HttpsUrl(pub(in crate::config) Url);

const HTTPS_PATTERN: &str = "^https://[^@\\s]+$";

impl Leaf for HttpsUrl {
    const NAME: &'static str = "https_url";
    const EXPECTED: &'static str = "an address such as `https://management.azure.com`";
    const PATTERN: Option<&'static str> = Some(HTTPS_PATTERN);

    fn parse(text: &str) -> Result<Self, Problem> {
        https(text, "for example `https://management.azure.com`").map(Self)
    }
}

/// Address of an authority that issues tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct AuthorityUrl(pub(in crate::config) Url);

impl Leaf for AuthorityUrl {
    const NAME: &'static str = "azure_authority";
    const EXPECTED: &'static str = "an address such as `https://login.microsoftonline.com`";
    const PATTERN: Option<&'static str> = Some(HTTPS_PATTERN);

    fn parse(text: &str) -> Result<Self, Problem> {
        const EXAMPLE: &str = "for example `https://login.microsoftonline.com`; the tenant has a key of its own";
        let url = https(text, EXAMPLE)?;
        if url.path() == "/" { Ok(Self(url)) } else { Err(Problem::new("the address of an authority has no path").help(EXAMPLE)) }
    }
}

fn https(text: &str, example: &str) -> Result<Url, Problem> {
    if text.starts_with("http://") && !text.contains(['@', '?']) {
        let problem = Problem::new("this is plain http: tokens would travel in the clear");
        return Err(problem.help("use https, for emulators too, with their authority's certificate as `ca_file`"));
    }
    let HttpUrl(url) = HttpUrl::parse(text).map_err(|problem| match problem.help.as_deref() {
        Some(help) if help.contains("127.0.0.1") => {
            Problem { text: "expected a URL that begins with `https://`".to_owned(), help: Some(example.to_owned()), ..problem }
        }
        _ => problem,
    })?;
    Ok(url)
}

/// A type of resource as a key: `Microsoft.Compute/virtualMachines`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct ResourceType(pub(in crate::config) String);

impl Leaf for ResourceType {
    const NAME: &'static str = "azure_resource_type";
    const EXPECTED: &'static str = "a type of resource such as `Microsoft.Compute/virtualMachines`";
    const PATTERN: Option<&'static str> = Some("^[A-Za-z][A-Za-z0-9]*(\\.[A-Za-z0-9]+)+(/[A-Za-z][A-Za-z0-9]*)+$");

    /// Namespace, and the type below it, of what the source asks for, which may be a child of another: `Microsoft.Compute/virtualMachineScaleSets/virtualMachines`.
    fn parse(text: &str) -> Result<Self, Problem> {
        let is_word =
            |word: &str| word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_type = text.split_once('/').is_some_and(|(namespace, types)| {
            let company = namespace.split_once('.').map(|(company, _)| company);
            company.is_some_and(is_word) && namespace.split('.').all(is_part) && types.split('/').all(is_word)
        });
        if !is_type {
            let problem = Problem::new(format!("{} is no type of resource", quote(text)));
            return Err(problem.help("write it as ids have it, with its namespace: `Microsoft.Compute/virtualMachines`"));
        }
        if RESOURCE_TYPES.iter().any(|known| known.eq_ignore_ascii_case(text)) {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::new(format!("Dewpoint asks for nothing of the type {}", quote(text)));
        Err(match nearest(text, RESOURCE_TYPES) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("leave it out: versions are set for what is read, such as `Microsoft.Compute/virtualMachines`"),
        })
    }
}

/// Version of an API: a date, and for some a word behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct ApiVersion(pub(in crate::config) String);

impl Leaf for ApiVersion {
    const NAME: &'static str = "azure_api_version";
    const EXPECTED: &'static str = "a version such as `2024-07-01`";
    const PATTERN: Option<&'static str> = Some("^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(-preview)?$");

    fn parse(text: &str) -> Result<Self, Problem> {
        let date = text.strip_suffix("-preview").unwrap_or(text);
        // The reader of dates takes other forms as well, such as one without hyphens.
        let is_date =
            date.len() == "2024-07-01".len() && date.split('-').map(str::len).eq([4, 2, 2]) && date.parse::<jiff::civil::Date>().is_ok();
        if is_date {
            return Ok(Self(text.to_owned()));
        }
        let problem = Problem::new(format!("{} is no version of an API", quote(text)));
        Err(problem.help("a version is a date, `2024-07-01`, or one with `-preview` behind it"))
    }
}
