//! Who owns a resource, by its tags.

use std::collections::BTreeMap;

/// Which tags tell of ownership. Of each list the first tag that is there and not blank wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// Tags that name the owner.
    pub owner: Vec<String>,
    /// Tags that name the support group.
    pub support_group: Vec<String>,
    /// Tags that name the cost centre.
    pub cost_center: Vec<String>,
    /// Tags that name the service.
    pub service: Vec<String>,
    /// Tags that name the environment.
    pub environment_tags: Vec<String>,
    /// Words for environments, by the tag's value; compared without regard to case. A value that is not here is taken as it is.
    pub environment_values: BTreeMap<String, String>,
}

impl Default for Ownership {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            owner: names(&["owner", "Owner", "technical-contact"]),
            support_group: names(&["support-group"]),
            cost_center: names(&["cost-center", "CostCentre"]),
            service: names(&["service", "application"]),
            environment_tags: names(&["env", "environment"]),
            environment_values: [("prod", "production"), ("prd", "production")].map(|(from, to)| (from.to_owned(), to.to_owned())).into(),
        }
    }
}

/// What the tags tell; trimmed, never blank.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnershipFacts {
    /// Owner.
    pub owner: Option<String>,
    /// Support group.
    pub support_group: Option<String>,
    /// Cost centre.
    pub cost_center: Option<String>,
    /// Environment, in the configured word.
    pub environment: Option<String>,
    /// Service, in the tag's spelling.
    pub service: Option<String>,
}

impl Ownership {
    /// What the tags of a resource tell.
    #[must_use]
    pub fn resolve(&self, tags: &BTreeMap<String, String>) -> OwnershipFacts {
        let environment = first_hit(&self.environment_tags, tags).map(|value| {
            let mapped = self.environment_values.iter().find(|(from, _)| from.trim().to_lowercase() == value.to_lowercase());
            mapped.map_or(value, |(_, to)| to).to_owned()
        });
        let fact = |names| first_hit(names, tags).map(str::to_owned);
        OwnershipFacts {
            owner: fact(&self.owner),
            support_group: fact(&self.support_group),
            cost_center: fact(&self.cost_center),
            environment,
            service: fact(&self.service),
        }
    }

    /// The service that the tags name, trimmed.
    #[must_use]
    pub fn service<'a>(&self, tags: &'a BTreeMap<String, String>) -> Option<&'a str> {
        first_hit(&self.service, tags)
    }
}

fn first_hit<'a>(names: &[String], tags: &'a BTreeMap<String, String>) -> Option<&'a str> {
    names.iter().filter_map(|name| tags.get(name)).map(|value| value.trim()).find(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tags: &[(&str, &str)], want: &OwnershipFacts) {
        let tags = tags.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(Ownership::default().resolve(&tags), *want);
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn first_hit_wins_and_blank_is_no_hit() {
        let none = OwnershipFacts::default();
        check(&[], &none);
        check(&[("owner", "  "), ("Owner", " ann ")], &OwnershipFacts { owner: some("ann"), ..none.clone() });
        check(&[("technical-contact", "bob"), ("owner", "ann")], &OwnershipFacts { owner: some("ann"), ..none.clone() });
        check(&[("application", "Shop")], &OwnershipFacts { service: some("Shop"), ..none.clone() });
        check(&[("service", ""), ("application", "shop")], &OwnershipFacts { service: some("shop"), ..none.clone() });
        check(&[("CostCentre", "42")], &OwnershipFacts { cost_center: some("42"), ..none });
    }

    #[test]
    fn environments_are_mapped_without_regard_to_case() {
        let environment = |word| OwnershipFacts { environment: some(word), ..OwnershipFacts::default() };
        check(&[("env", " PRD ")], &environment("production"));
        check(&[("env", "Staging")], &environment("Staging"));
        check(&[("env", "\t"), ("environment", "prod")], &environment("production"));
    }
}
