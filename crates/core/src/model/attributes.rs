//! The attributes of each kind: type, evidence, and whether they move without a cause.

use serde_json::Value;

use super::kind::{Kind, RelationType};

/// The attribute that tells one life under an id from the next.
pub const LIFE: &str = "life";

/// Form of an attribute's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Text.
    Text,
    /// Whole number, not negative.
    Count,
    /// Whole number or decimal.
    Number,
    /// `true` or `false`.
    Flag,
    /// RFC 3339 instant.
    Time,
    /// List of texts without an order of its own; kept sorted, without doubles.
    Texts,
    /// Structured value, compared as a whole.
    Structure,
}

/// Which listing proves a group of attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FactGroup {
    /// The listing of the resource's own kind.
    Own,
    /// The listing of network interfaces where there is a receipt for it, else that of the resource's own kind.
    Addresses,
}

/// One attribute of a kind.
#[derive(Debug, Clone, Copy)]
pub struct Attribute {
    /// Name, as in files, rules and mappings.
    pub name: &'static str,
    /// Form of its value.
    pub shape: Shape,
    /// Which listing proves it.
    pub group: FactGroup,
    /// Moves without a cause: stored and reported, delivered with the next change, never a reason for one.
    pub volatile: bool,
    /// Every listing that a cloud completes gives it, of everything of the kind. A file may leave it out all the same, and what Dewpoint derives
    /// mostly has none.
    pub always: bool,
}

const fn own(name: &'static str, shape: Shape) -> Attribute {
    Attribute { name, shape, group: FactGroup::Own, volatile: false, always: false }
}

const fn volatile(name: &'static str, shape: Shape) -> Attribute {
    Attribute { name, shape, group: FactGroup::Own, volatile: true, always: false }
}

/// What both clouds give of everything of a kind. Sources: for AWS, `crates/aws/src/kinds` makes it whatever the answer holds, or the API references
/// (EC2: Instance, Volume, Vpc, Subnet; Auto Scaling: AutoScalingGroup; Elastic Load Balancing: LoadBalancer) know no case without it; for Azure,
/// the REST references of Compute and Network, where the property is required or filled in by the service.
const fn always(name: &'static str, shape: Shape) -> Attribute {
    Attribute { name, shape, group: FactGroup::Own, volatile: false, always: true }
}

const fn address(name: &'static str, shape: Shape) -> Attribute {
    Attribute { name, shape, group: FactGroup::Addresses, volatile: false, always: false }
}

use Shape::{Count, Flag, Structure, Text, Texts, Time};

const ACCOUNT: &[Attribute] =
    &[own("email_domain", Text), own("organization", Text), own("management_account", Text), own("joined_at", Time)];
const REGION: &[Attribute] = &[own("display_name", Text)];
const ZONE: &[Attribute] = &[own("zone_id", Text)];
const RESOURCE_GROUP: &[Attribute] = &[own("provisioning_state", Text)];
const NETWORK: &[Attribute] = &[always("cidrs", Texts), own("is_default", Flag)];
const SUBNET: &[Attribute] =
    &[always("cidrs", Texts), own("zone", Text), always("network", Text), own("is_default", Flag), volatile("free_addresses", Count)];
const SECURITY_GROUP: &[Attribute] = &[
    own("description", Text),
    own("network", Text),
    always("rules", Structure),
    own("rules_digest", Text),
    always("open_to_world", Texts),
];
const INSTANCE: &[Attribute] = &[
    always("size", Text),
    own("vcpus", Count),
    own("memory_mib", Count),
    always("purchase", Text),
    own("image", Text),
    always("os_family", Text),
    own("architecture", Text),
    own("zone", Text),
    own("network", Text),
    own("subnet", Text),
    own("launched_at", Time),
    own("tenancy", Text),
    own("provider_state", Text),
    own("instance_profile", Text),
    own("launched_by", Text),
    own("managed_by", Text),
    own("serial_number", Text),
    own(LIFE, Text),
    address("private_addresses", Texts),
    address("public_addresses", Texts),
    address("macs", Texts),
    address("private_dns_name", Text),
    address("public_dns_name", Text),
];
const SCALING_GROUP: &[Attribute] = &[
    always("min_size", Count),
    always("max_size", Count),
    always("desired_size", Count),
    own("zones", Texts),
    own("sizes", Texts),
    own("images", Texts),
    own("orchestration", Text),
    own("launch_template", Text),
    volatile("member_count", Count),
    volatile("member_count_min", Count),
    volatile("member_count_max", Count),
    volatile("spot_share", Shape::Number),
];
const NETWORK_INTERFACE: &[Attribute] = &[
    own("interface_type", Text),
    own("description", Text),
    own("mac", Text),
    always("private_addresses", Texts),
    always("public_addresses", Texts),
    own("private_dns_name", Text),
    own("public_dns_name", Text),
    own("network", Text),
    own("subnet", Text),
    own("zone", Text),
    own("managed_by", Text),
    own("delete_on_termination", Flag),
];
const VOLUME: &[Attribute] = &[
    always("size_gib", Count),
    always("volume_type", Text),
    own("iops", Count),
    always("encrypted", Flag),
    own("zone", Text),
    own("snapshot", Text),
];
const PUBLIC_ADDRESS: &[Attribute] = &[own("address", Text), own("allocation", Text), own("dns_name", Text)];
const LOAD_BALANCER: &[Attribute] = &[
    always("balancer_type", Text),
    own("scheme", Text),
    own("dns_name", Text),
    own("hosted_zone", Text),
    own("network", Text),
    own("zones", Texts),
    own("addresses", Texts),
    always("listeners", Structure),
];
const POOL: &[Attribute] = &[
    own("protocol", Text),
    own("port", Count),
    own("member_type", Text),
    own("network", Text),
    own("health_check", Structure),
    volatile("unresolved_members", Texts),
    volatile("member_count", Count),
    volatile("healthy_count", Count),
];
const SERVICE: &[Attribute] = &[volatile("member_count", Count)];

/// The attributes of a kind, by kind.
#[must_use]
pub const fn of(kind: Kind) -> &'static [Attribute] {
    match kind {
        Kind::Account => ACCOUNT,
        Kind::Region => REGION,
        Kind::Zone => ZONE,
        Kind::ResourceGroup => RESOURCE_GROUP,
        Kind::Network => NETWORK,
        Kind::Subnet => SUBNET,
        Kind::SecurityGroup => SECURITY_GROUP,
        Kind::Instance => INSTANCE,
        Kind::ScalingGroup => SCALING_GROUP,
        Kind::NetworkInterface => NETWORK_INTERFACE,
        Kind::Volume => VOLUME,
        Kind::PublicAddress => PUBLIC_ADDRESS,
        Kind::LoadBalancer => LOAD_BALANCER,
        Kind::Pool => POOL,
        Kind::Service => SERVICE,
    }
}

/// The table's row for an attribute; `None` for one that the kind does not know.
#[must_use]
pub fn find(kind: Kind, name: &str) -> Option<&'static Attribute> {
    of(kind).iter().find(|attribute| attribute.name == name)
}

/// Which listing proves an attribute. Unknown attributes are the resource's own.
#[must_use]
pub fn group(kind: Kind, name: &str) -> FactGroup {
    find(kind, name).map_or(FactGroup::Own, |attribute| attribute.group)
}

/// Whether an attribute moves without a cause.
#[must_use]
pub fn is_volatile(kind: Kind, name: &str) -> bool {
    find(kind, name).is_some_and(|attribute| attribute.volatile)
}

/// Whether an edge's attribute moves without a cause.
#[must_use]
pub fn is_volatile_on_edge(relation: RelationType, name: &str) -> bool {
    matches!((relation, name), (RelationType::RoutesTo, "health"))
}

/// A value that does not have the shape its attribute asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("attribute `{name}` of kind {kind} must be {wanted}")]
pub struct WrongShape {
    /// The kind.
    pub kind: Kind,
    /// The attribute.
    pub name: String,
    /// What its value must be, in words.
    pub wanted: &'static str,
}

/// Brings a value into the canonical form of its attribute: lists sorted and without doubles. `null` stands for "no value" and passes.
///
/// # Errors
/// [`WrongShape`] when the value cannot be one of that attribute.
pub fn canonical(kind: Kind, name: &str, value: Value) -> Result<Value, WrongShape> {
    let Some(attribute) = find(kind, name) else { return Ok(value) };
    let fail = |wanted| Err(WrongShape { kind, name: name.to_owned(), wanted });
    match (attribute.shape, value) {
        (_, Value::Null) => Ok(Value::Null),
        (Text, value @ Value::String(_)) | (Flag, value @ Value::Bool(_)) | (Structure, value) => Ok(value),
        (Count, value) if value.is_u64() => Ok(value),
        (Shape::Number, value) if value.is_number() => Ok(value),
        (Time, Value::String(text)) => match text.parse::<jiff::Timestamp>() {
            Ok(time) => Ok(Value::String(time.to_string())),
            Err(_) => fail("an RFC 3339 time, such as \"2026-01-02T03:04:05Z\""),
        },
        (Texts, Value::Array(items)) => {
            let mut texts = Vec::with_capacity(items.len());
            for item in items {
                match item {
                    Value::String(text) => texts.push(text),
                    _ => return fail("a list of texts"),
                }
            }
            texts.sort_unstable();
            texts.dedup();
            Ok(Value::Array(texts.into_iter().map(Value::String).collect()))
        }
        (Text, _) => fail("a text"),
        (Count, _) => fail("a whole number, not negative"),
        (Shape::Number, _) => fail("a number"),
        (Flag, _) => fail("`true` or `false`"),
        (Time, _) => fail("an RFC 3339 time, such as \"2026-01-02T03:04:05Z\""),
        (Texts, _) => fail("a list of texts"),
    }
}
