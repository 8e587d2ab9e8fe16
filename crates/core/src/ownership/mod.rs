//! Who owns a resource and what it belongs to, by its tags.

mod report;

use std::collections::BTreeMap;

pub use report::{FactReport, Near, OwnershipReport, Unowned, report};

use crate::model::vocabulary;

vocabulary! {
    /// A fact about ownership. Its word is the key under `ownership` and the attribute of the CI.
    Fact, "fact about ownership" {
        /// Who owns it.
        Owner => "owner",
        /// The group to call.
        SupportGroup => "support_group",
        /// Who pays for it.
        CostCenter => "cost_center",
        /// What it is for: production, test.
        Environment => "environment",
        /// The application service that it belongs to.
        Service => "service",
    }
}

/// Which tags tell a fact, and what their values mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FactTags {
    /// Names of tags. The first that a resource has, and that is not blank, wins.
    pub tags: Vec<String>,
    /// What values mean; compared trimmed and without regard to case. A value that is not here is taken as it is. What it means is never blank.
    pub values: BTreeMap<String, String>,
}

impl FactTags {
    /// What the tags of a resource tell; trimmed, never blank.
    #[must_use]
    pub fn resolve<'a>(&'a self, tags: &'a BTreeMap<String, String>) -> Option<&'a str> {
        let values = self.tags.iter().filter_map(|name| tags.get(name)).map(|value| value.trim());
        let value = values.into_iter().find(|value| !value.is_empty())?;
        if self.values.is_empty() {
            return Some(value);
        }
        let folded = value.to_lowercase();
        let meaning = self.values.iter().find(|(from, _)| from.trim().to_lowercase() == folded);
        Some(meaning.map_or(value, |(_, meaning)| meaning.trim()))
    }
}

/// Which tags tell of ownership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// The owner.
    pub owner: FactTags,
    /// The support group.
    pub support_group: FactTags,
    /// The cost centre.
    pub cost_center: FactTags,
    /// The environment.
    pub environment: FactTags,
    /// The service.
    pub service: FactTags,
}

impl Default for Ownership {
    fn default() -> Self {
        let tags = |fact: Fact| FactTags { tags: fact.usual_tags().iter().map(|&name| name.to_owned()).collect(), values: BTreeMap::new() };
        Self {
            owner: tags(Fact::Owner),
            support_group: tags(Fact::SupportGroup),
            cost_center: tags(Fact::CostCenter),
            environment: tags(Fact::Environment),
            service: tags(Fact::Service),
        }
    }
}

impl Fact {
    /// The tags that tell it unless the configuration names others.
    #[must_use]
    pub const fn usual_tags(self) -> &'static [&'static str] {
        match self {
            Self::Owner => &["owner", "Owner", "technical-contact"],
            Self::SupportGroup => &["support-group"],
            Self::CostCenter => &["cost-center", "CostCentre"],
            Self::Environment => &["env", "environment"],
            Self::Service => &["service", "application"],
        }
    }
}

impl Ownership {
    /// Which tags tell a fact.
    #[must_use]
    pub const fn of(&self, fact: Fact) -> &FactTags {
        match fact {
            Fact::Owner => &self.owner,
            Fact::SupportGroup => &self.support_group,
            Fact::CostCenter => &self.cost_center,
            Fact::Environment => &self.environment,
            Fact::Service => &self.service,
        }
    }

    /// Every fact that the tags of a resource tell.
    pub fn resolve<'a>(&'a self, tags: &'a BTreeMap<String, String>) -> impl Iterator<Item = (Fact, &'a str)> {
        Fact::ALL.iter().filter_map(|fact| Some((*fact, self.of(*fact).resolve(tags)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[track_caller]
    fn check_with(ownership: &Ownership, tags: &[(&str, &str)], want: &[(Fact, &str)]) {
        let tags = map(tags);
        assert_eq!(ownership.resolve(&tags).collect::<Vec<_>>(), want);
    }

    #[track_caller]
    fn check(tags: &[(&str, &str)], want: &[(Fact, &str)]) {
        check_with(&Ownership::default(), tags, want);
    }

    #[test]
    fn first_hit_wins_and_blank_is_no_hit() {
        check(&[], &[]);
        check(&[("owner", "  "), ("Owner", " ann ")], &[(Fact::Owner, "ann")]);
        check(&[("technical-contact", "bob"), ("owner", "ann")], &[(Fact::Owner, "ann")]);
        check(&[("application", "Shop")], &[(Fact::Service, "Shop")]);
        check(&[("service", ""), ("application", "shop")], &[(Fact::Service, "shop")]);
        check(&[("CostCentre", "42"), ("env", "prod")], &[(Fact::CostCenter, "42"), (Fact::Environment, "prod")]);
    }

    #[test]
    fn values_of_every_fact_are_mapped_without_regard_to_case() {
        let mut ownership = Ownership::default();
        ownership.environment.values = map(&[("prod", "production"), (" PRD ", " production ")]);
        ownership.owner.values = map(&[("ann", "ann@example.com")]);
        ownership.service.values = map(&[("web-shop", "shop")]);
        check_with(&ownership, &[("env", " prd ")], &[(Fact::Environment, "production")]);
        check_with(&ownership, &[("env", "Staging")], &[(Fact::Environment, "Staging")]);
        check_with(&ownership, &[("env", "\t"), ("environment", "prod")], &[(Fact::Environment, "production")]);
        check_with(
            &ownership,
            &[("Owner", "ANN"), ("application", "Web-Shop")],
            &[(Fact::Owner, "ann@example.com"), (Fact::Service, "shop")],
        );
    }
}
