//! Which CIs nobody owns, and the tags that would tell who does.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::{Fact, Ownership};
use crate::ci::ci;
use crate::estate::{Disposition, Estate, Known, Stage};
use crate::lifecycle::Verdicts;
use crate::model::{Account, Key, Kind, Provider, Region, Resource};

/// Names shorter than this are not taken for each other's slips: one letter is too much of them.
const SLIP_MIN: usize = 4;

/// What is known of the ownership of the CIs. Its serde form is the document of `dewpoint ownership`, without `schema_version`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OwnershipReport {
    /// CIs that can carry tags.
    pub cis: usize,
    /// By fact, how many of them have it.
    pub facts: BTreeMap<Fact, FactReport>,
    /// CIs without an owner that have no tags to name one, by kind: not counted above. Only a rule can give them one.
    pub untaggable: BTreeMap<Kind, usize>,
    /// The CIs without an owner, by account, kind and key.
    pub without_owner: Vec<Unowned>,
}

/// How many CIs have a fact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FactReport {
    /// CIs that have it.
    pub present: usize,
    /// CIs that have not.
    pub missing: usize,
    /// Tags in use that are nearly among those that tell it, by name.
    pub near: Vec<Near>,
}

/// A tag that the configuration does not name, although it nearly does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Near {
    /// The tag as it is used.
    pub tag: String,
    /// The configured name that it is like.
    pub like: String,
    /// CIs that carry it.
    pub cis: usize,
    /// Of these, CIs without the fact: adding the tag would give it to them.
    pub missing: usize,
}

/// A CI without an owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unowned {
    /// Its key.
    pub key: Key,
    /// What it is.
    pub kind: Kind,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Account or subscription.
    pub account: Account,
    /// Region.
    pub region: Region,
    /// The service that it belongs to.
    pub service: Option<String>,
    /// Its tags that are nearly among those that name the owner.
    pub near: Vec<String>,
}

/// Reports on the CIs of these kinds that have a record or will have one and are not retired: what is folded, ignored or waits for its age is none.
/// A fact counts as the record would show it: from tags, from the provider, or set by a rule.
#[must_use]
pub fn report<'a>(estate: &'a Estate, ownership: &'a Ownership, verdicts: &Verdicts, kinds: impl Fn(Kind) -> bool) -> OwnershipReport {
    let mut report = OwnershipReport { facts: Fact::ALL.iter().map(|fact| (*fact, FactReport::default())).collect(), ..Default::default() };
    let mut like = Likeness::new(ownership);
    let mut near: BTreeMap<(Fact, &str), Near> = BTreeMap::new();
    for known in estate.resources.values().filter(|known| kinds(known.resource.kind) && is_ci(known)) {
        let resource = &*known.resource;
        let record = ci(known, known.stage, ownership, verdicts.of(&resource.key));
        let fact = |fact: Fact| record.attributes.get(fact.as_str()).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        if !has_tags(resource) {
            if fact(Fact::Owner).is_none() {
                *report.untaggable.entry(resource.kind).or_default() += 1;
            }
            continue;
        }
        report.cis += 1;
        let mut unowned = Vec::new();
        for (tag, _) in resource.tags.iter().filter(|(_, value)| !value.trim().is_empty()) {
            for (of, name) in like.of(tag) {
                let is_missing = fact(*of).is_none();
                let near =
                    near.entry((*of, tag)).or_insert_with(|| Near { tag: tag.clone(), like: (*name).to_owned(), cis: 0, missing: 0 });
                near.cis += 1;
                near.missing += usize::from(is_missing);
                if *of == Fact::Owner && is_missing {
                    unowned.push(tag.clone());
                }
            }
        }
        for (of, count) in &mut report.facts {
            match fact(*of) {
                Some(_) => count.present += 1,
                None => count.missing += 1,
            }
        }
        if fact(Fact::Owner).is_none() {
            report.without_owner.push(Unowned {
                key: resource.key.clone(),
                kind: resource.kind,
                name: resource.name.clone(),
                account: resource.account.clone(),
                region: resource.region.clone(),
                service: fact(Fact::Service).map(str::to_owned),
                near: unowned,
            });
        }
    }
    for ((fact, _), near) in near {
        report.facts.entry(fact).or_default().near.push(near);
    }
    report.without_owner.sort_by(|a, b| (&a.account, a.kind, &a.key).cmp(&(&b.account, b.kind, &b.key)));
    report
}

/// Whether it has a record, or gets one with the next delivery.
fn is_ci(known: &Known) -> bool {
    known.disposition == Disposition::Record && matches!(known.stage, Stage::Active | Stage::Inactive | Stage::Missing)
}

/// Whether its cloud lets people tag it, and tells. AWS has no tags on regions and zones, and those of accounts are not read; what is derived
/// (services, named fleets) has no cloud object to be tagged.
fn has_tags(resource: &Resource) -> bool {
    match resource.kind {
        Kind::Region | Kind::Zone | Kind::Service => false,
        Kind::Account => resource.provider == Provider::Azure,
        _ => !resource.derived,
    }
}

/// Which configured names a tag is like, asked once for each tag in use.
struct Likeness<'a> {
    ownership: &'a Ownership,
    configured: BTreeSet<&'a str>,
    known: BTreeMap<&'a str, Vec<(Fact, &'a str)>>,
}

impl<'a> Likeness<'a> {
    fn new(ownership: &'a Ownership) -> Self {
        let configured = Fact::ALL.iter().flat_map(|fact| &ownership.of(*fact).tags).map(String::as_str).collect();
        Self { ownership, configured, known: BTreeMap::new() }
    }

    /// The facts that it may be meant for, each with the configured name that it is like. A name that is configured is meant as it is.
    fn of(&mut self, tag: &'a str) -> &[(Fact, &'a str)] {
        let Self { ownership, configured, known } = self;
        known.entry(tag).or_insert_with(|| {
            if configured.contains(tag) {
                return Vec::new();
            }
            let like = |fact: &Fact| Some((*fact, ownership.of(*fact).tags.iter().find(|name| is_like(tag, name))?.as_str()));
            Fact::ALL.iter().filter_map(like).collect()
        })
    }
}

/// Whether two names differ in case, in `-`, `_`, `.`, `:` and blanks, and by one slip of the pen at most.
fn is_like(tag: &str, name: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', '.', ':', ' '], "");
    let (tag, name) = (plain(tag), plain(name));
    if tag == name {
        return !tag.is_empty();
    }
    let lengths = [tag.chars().count(), name.chars().count()];
    // Distance costs the product of the lengths; one slip changes the length by one at most.
    let [shorter, longer] = [lengths.iter().min(), lengths.iter().max()].map(|length| length.copied().unwrap_or_default());
    shorter >= SLIP_MIN && longer - shorter <= 1 && strsim::osa_distance(&tag, &name) == 1
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::estate::Fence;
    use crate::expression::{Expression, Vocabulary, Wanted};
    use crate::lifecycle::{Policy, Timers};
    use crate::rules::{Origin, Rule, Settings};
    use crate::testing::{minute, resource, scope};

    #[track_caller]
    fn check_like(tag: &str, name: &str, want: bool) {
        assert_eq!(is_like(tag, name), want, "{tag} {name}");
        assert_eq!(is_like(name, tag), want, "{name} {tag}");
    }

    #[test]
    fn names_are_alike_but_for_case_separators_and_one_slip() {
        check_like("OWNER", "owner", true);
        check_like("cost_center", "cost-center", true);
        check_like("Cost Center", "cost-center", true);
        check_like("CostCenter", "cost-center", true);
        check_like("cost:centre", "CostCentre", true);
        check_like("onwer", "owner", true);
        check_like("owners", "owner", true);
        check_like("ovner", "owner", true);
        check_like("oner", "owner", true);
        check_like("Env", "env", true);
        check_like("end", "env", false);
        check_like("name", "owner", false);
        check_like("ownership", "owner", false);
        check_like("--", "_", false);
    }

    fn known(kind: Kind, name: &str, tags: &[(&str, &str)]) -> Known {
        let tags = tags.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut known = Known::new(Resource { tags, ..resource(&scope("1", "eu", kind), name) }, minute(0), Fence(2));
        (known.disposition, known.stage) = (Disposition::Record, Stage::Active);
        known
    }

    fn told(estate: impl IntoIterator<Item = Known>) -> OwnershipReport {
        let estate =
            Estate { resources: estate.into_iter().map(|known| (known.resource.key.clone(), known)).collect(), ..Estate::default() };
        report(&estate, &Ownership::default(), &Verdicts::uniform(&Timers::default()), |kind| kind != Kind::Volume)
    }

    #[test]
    fn records_that_can_carry_tags_are_counted() {
        let off = |mut known: Known, disposition, stage| {
            (known.disposition, known.stage) = (disposition, stage);
            known
        };
        let derived = |name: &str| {
            let mut known = known(Kind::ScalingGroup, name, &[]);
            known.resource = Resource { derived: true, ..(*known.resource).clone() }.into();
            known
        };
        let report = told([
            known(Kind::Instance, "i-1", &[("owner", "ann"), ("env", "prod")]),
            known(Kind::Instance, "i-2", &[("owner", " "), ("service", "shop")]),
            off(known(Kind::Instance, "i-3", &[]), Disposition::Record, Stage::Inactive),
            off(known(Kind::Instance, "i-4", &[]), Disposition::Record, Stage::Missing),
            off(known(Kind::Instance, "i-5", &[]), Disposition::Record, Stage::Retired),
            off(known(Kind::Instance, "i-6", &[]), Disposition::Fold, Stage::Active),
            off(known(Kind::Instance, "i-7", &[]), Disposition::Defer, Stage::Deferred),
            known(Kind::Volume, "vol-1", &[]),
            known(Kind::Region, "eu", &[]),
            derived("nodes"),
        ]);
        assert_eq!(report.cis, 4);
        let counts: Vec<_> = report.facts.iter().map(|(fact, count)| (fact.as_str(), count.present, count.missing)).collect();
        let want = [("owner", 1, 3), ("support_group", 0, 4), ("cost_center", 0, 4), ("environment", 1, 3), ("service", 1, 3)];
        assert_eq!(counts, want);
        assert_eq!(report.untaggable, BTreeMap::from([(Kind::Region, 1), (Kind::ScalingGroup, 1)]));
        let without: Vec<_> = report.without_owner.iter().map(|ci| (ci.key.as_str().rsplit('/').next(), ci.service.as_deref())).collect();
        assert_eq!(without, [(Some("i-2"), Some("shop")), (Some("i-3"), None), (Some("i-4"), None)]);
    }

    #[test]
    fn tags_that_are_nearly_configured_are_told_with_what_they_would_give() {
        let report = told([
            known(Kind::Instance, "i-1", &[("owner", "ann"), ("OWNER", "bob")]),
            known(Kind::Instance, "i-2", &[("OWNER", "bob"), ("onwer", "bob")]),
            known(Kind::Instance, "i-3", &[("OWNER", ""), ("Service", "shop")]),
        ]);
        let near = |fact: Fact| -> Vec<_> {
            let near = report.facts.get(&fact).into_iter().flat_map(|fact| &fact.near);
            near.map(|near| (near.tag.as_str(), near.like.as_str(), near.cis, near.missing)).collect()
        };
        assert_eq!(near(Fact::Owner), [("OWNER", "owner", 2, 1), ("onwer", "owner", 1, 1)]);
        assert_eq!(near(Fact::Service), [("Service", "service", 1, 1)]);
        assert_eq!(report.without_owner.iter().map(|ci| ci.near.concat()).collect::<Vec<_>>(), ["OWNERonwer", ""]);
    }

    #[test]
    fn an_owner_that_a_rule_sets_is_an_owner() {
        let known = known(Kind::Instance, "i-1", &[]);
        let key = known.resource.key.clone();
        let estate = Estate { resources: BTreeMap::from([(key, known)]), ..Estate::default() };
        let when = Expression::compile("true", &Vocabulary::rules(), Wanted::Condition).unwrap();
        let set = Settings { attributes: BTreeMap::from([("owner".to_owned(), Value::from("platform"))]), ..Settings::default() };
        let rule = Rule { name: "r".to_owned(), origin: Origin::Configuration, when, action: None, set };
        let policy = Policy { rules: [rule].into_iter().collect(), ..Policy::default() };
        let report = report(&estate, &Ownership::default(), &policy.verdicts(&estate, minute(1)), |_| true);
        assert_eq!((report.cis, report.without_owner.len()), (1, 0));
    }
}
