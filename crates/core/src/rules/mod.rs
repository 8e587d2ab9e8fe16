//! Rules: which resources deserve a record, as what, and under which timers.

mod judge;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

pub use judge::{DEFAULT, Failure, Fleet, GROUP_UNREAD, Verdict};

use crate::expression::Expression;
use crate::lifecycle::Timers;
use crate::model::{Kind, vocabulary};

vocabulary! {
    /// What a rule does with a resource.
    ActionWord, "action" {
        /// A record of its own.
        Record => "record",
        /// No record yet.
        Defer => "defer",
        /// Counted in its fleet.
        Fold => "fold",
        /// No record, no edges.
        Ignore => "ignore",
    }
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Its name, as reports and explanations call it.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// When it speaks.
    pub when: Expression,
    /// What it does; nothing where it only sets.
    pub action: Option<Action>,
    /// What it sets.
    pub set: Settings,
}

/// Where a rule comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A set that Dewpoint ships, by its name.
    Preset(&'static str),
    /// The configuration.
    Configuration,
}

/// What a rule does.
#[derive(Debug)]
pub enum Action {
    /// A record of its own.
    Record,
    /// No record yet; one that exists stays.
    Defer,
    /// Machines only: counted in their scaling group, or in a fleet of this name.
    Fold {
        /// Gives the fleet's name; none for the scaling group that the machine is in.
        into: Option<Box<Expression>>,
    },
    /// No record, no edges.
    Ignore,
}

impl Action {
    /// Its word and its `into`, as written.
    #[must_use]
    pub fn written(&self) -> (ActionWord, Option<&str>) {
        let into = match self {
            Self::Fold { into } => into.as_deref().map(Expression::source),
            Self::Record | Self::Defer | Self::Ignore => None,
        };
        (self.word(), into)
    }

    /// Whether it decides about resources of a kind: only machines are folded.
    #[must_use]
    pub const fn speaks_of(&self, kind: Kind) -> bool {
        match self {
            Self::Record | Self::Defer | Self::Ignore => true,
            Self::Fold { .. } => matches!(kind, Kind::Instance),
        }
    }

    /// Its word in the configuration.
    #[must_use]
    pub const fn word(&self) -> ActionWord {
        match self {
            Self::Record => ActionWord::Record,
            Self::Defer => ActionWord::Defer,
            Self::Fold { .. } => ActionWord::Fold,
            Self::Ignore => ActionWord::Ignore,
        }
    }
}

/// What a rule sets for the resources that it matches; what it leaves out stays as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// See [`Timers::min_age`].
    pub min_age: Option<Duration>,
    /// See [`Timers::confirm_missing`].
    pub confirm_missing: Option<u32>,
    /// See [`Timers::retire_after`].
    pub retire_after: Option<Duration>,
    /// See [`Timers::purge_after`]; `Some(None)` for never.
    pub purge_after: Option<Option<Duration>>,
    /// See [`Timers::min_dwell`].
    pub min_dwell: Option<Duration>,
    /// A word that the record carries.
    pub flag: Option<String>,
    /// Values in place of those that were read.
    pub attributes: BTreeMap<String, Value>,
}

impl Settings {
    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Puts what is set into timers.
    pub fn apply(&self, timers: &mut Timers) {
        let Self { min_age, confirm_missing, retire_after, purge_after, min_dwell, flag: _, attributes: _ } = self;
        let Timers { min_age: age, confirm_missing: count, retire_after: retire, purge_after: purge, min_dwell: dwell } = timers;
        *age = min_age.unwrap_or(*age);
        *count = confirm_missing.unwrap_or(*count);
        *retire = retire_after.unwrap_or(*retire);
        *purge = purge_after.unwrap_or(*purge);
        *dwell = min_dwell.unwrap_or(*dwell);
    }

    /// Whether a timer is set.
    #[must_use]
    pub fn has_timers(&self) -> bool {
        let Self { min_age, confirm_missing, retire_after, purge_after, min_dwell, flag: _, attributes: _ } = self;
        [min_age, retire_after, min_dwell].into_iter().any(Option::is_some) || confirm_missing.is_some() || purge_after.is_some()
    }
}

/// By what is written: the same text means the same.
impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        let Self { name, origin, when, action, set } = self;
        (name, *origin, set) == (&other.name, other.origin, &other.set)
            && when.source() == other.when.source()
            && action.as_ref().map(Action::written) == other.action.as_ref().map(Action::written)
    }
}

/// All rules, in the order in which they are asked: the configuration's own, then those of presets. The first `do` that matches decides, so that the
/// configuration's goes before a preset's. Of what matching rules set, the later goes over the earlier, save that a preset's never goes over
/// the configuration's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules(Arc<[Rule]>);

impl FromIterator<Rule> for Rules {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        Self(rules.into_iter().collect())
    }
}

impl Rules {
    /// The rules in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
