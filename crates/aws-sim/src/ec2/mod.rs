//! EC2.

mod groups;
mod instances;
mod interfaces;
mod network;
mod types;
mod volumes;

use crate::{
    call::{Call, Handler},
    error::ApiError,
    filter::{Filters, Values},
    hash::shuffle,
    service::Service,
    world::{Operator, Tags},
    xml::Xml,
};

/// The actions that are served.
pub(crate) const ACTIONS: &[(&str, Handler)] = &[
    ("DescribeInstances", instances::describe),
    ("DescribeInstanceTypes", types::describe),
    ("DescribeSecurityGroups", groups::describe),
    ("DescribeNetworkInterfaces", interfaces::describe),
    ("DescribeVolumes", volumes::describe),
    ("DescribeVpcs", network::vpcs),
    ("DescribeSubnets", network::subnets),
    ("DescribeAddresses", network::addresses),
    ("DescribeAvailabilityZones", network::zones),
    ("DescribeRegions", network::regions),
];

/// An item of a listing.
trait Row<'a> {
    /// What it is named by in the list of ids.
    fn key(&self) -> &str;

    /// What it stays together with on a page.
    fn together(&self) -> &str {
        self.key()
    }

    fn tags(&self) -> &'a Tags;

    /// What it has under a filter's name, tags apart.
    fn values(&self, filter: &str) -> Values<'a>;
}

/// What is particular to a listing.
struct Spec {
    /// The parameter for explicit ids.
    ids: &'static str,
    /// How an id begins (`i-`). Without it anything is an id.
    prefix: Option<&'static str>,
    malformed: &'static str,
    not_found: &'static str,
    /// The sentence about unknown ids, for one and for several, with `{}` for them.
    unknown: [&'static str; 2],
    filters: &'static [&'static str],
    /// The range of `MaxResults`; none when the action is not paged.
    size: Option<(i64, i64)>,
    /// Whether a larger `MaxResults` is silently cut.
    clamps: bool,
    /// Whether `MaxResults` and ids exclude each other.
    size_or_ids: bool,
}

/// One page of a listing.
struct Listed<T> {
    rows: Vec<T>,
    next: Option<String>,
}

/// Reads ids, filters and paging out of the parameters, refuses the rest of them, and picks the page.
fn list<'a, T: Row<'a>>(call: &mut Call<'_>, spec: &Spec, mut rows: Vec<T>) -> Result<Listed<T>, ApiError> {
    let dry_run = call.params.take_bool("DryRun")?.unwrap_or(false);
    let ids = call.params.take_list(spec.ids);
    let filters = Filters::take(&mut call.params, spec.filters)?;
    let mut size = None;
    if let Some((least, most)) = spec.size {
        size = call
            .take_size("MaxResults", least, if spec.clamps { i64::MAX } else { most })?
            .map(|size| size.min(usize::try_from(most).unwrap_or(usize::MAX)));
        call.params.take("NextToken");
    }
    call.params.finish()?;
    if dry_run {
        return Err(ApiError::new(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set."));
    }
    if spec.size_or_ids && !ids.is_empty() && size.is_some() {
        return Err(ApiError::combination(
            Service::Ec2,
            format!("The parameter {} cannot be used with the parameter maxResults", spec.ids),
        ));
    }
    if !ids.is_empty() {
        rows = by_ids(spec, &ids, rows)?;
    }
    if !filters.is_empty() {
        rows.retain(|row| filters.pass(row.tags(), |name| row.values(name)));
    }
    let (rows, next) = call.page(rows, size.unwrap_or(usize::MAX), |row| (row.together(), row.key()))?;
    Ok(Listed { rows, next })
}

fn by_ids<'a, T: Row<'a>>(spec: &Spec, ids: &[String], mut rows: Vec<T>) -> Result<Vec<T>, ApiError> {
    if let Some(prefix) = spec.prefix {
        let well_formed = |id: &&String| {
            id.strip_prefix(prefix)
                .is_some_and(|digits| matches!(digits.len(), 8 | 17) && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        };
        if let Some(bad) = ids.iter().find(|id| !well_formed(id)) {
            return Err(ApiError::new(400, spec.malformed, format!("Invalid id: \"{bad}\" (expecting \"{prefix}...\")")));
        }
    }
    rows.retain(|row| ids.iter().any(|id| id == row.key()));
    let missing: Vec<&str> = ids.iter().map(String::as_str).filter(|id| !rows.iter().any(|row| row.key() == *id)).collect();
    let [one, several] = spec.unknown;
    match missing.as_slice() {
        [] => Ok(rows),
        [id] => Err(ApiError::new(400, spec.not_found, one.replace("{}", id))),
        ids => Err(ApiError::new(400, spec.not_found, several.replace("{}", &ids.join(", ")))),
    }
}

/// The list of tags, in an order of the listing's own.
fn write_tags(xml: &mut Xml, seed: u64, tags: &Tags) {
    let mut tags: Vec<(&String, &String)> = tags.iter().collect();
    shuffle(seed, &mut tags, |(key, _)| key);
    xml.list("tagSet", "item", tags, |xml, (key, value)| {
        xml.text("key", key);
        xml.text("value", value);
    });
}

fn write_operator(xml: &mut Xml, operator: Option<&Operator>, hidden: bool) {
    xml.element("operator", |xml| {
        xml.plain("managed", operator.is_some());
        if let Some(operator) = operator {
            xml.text("principal", &operator.principal);
            xml.plain("hiddenByDefault", hidden);
        }
    });
}
