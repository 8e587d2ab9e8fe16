//! What the rules say of one resource.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::{Action, Origin, Rule, Rules};
use crate::estate::Disposition;
use crate::expression::{EvaluationError, Subject};
use crate::lifecycle::{RuleOutcome, Timers};
use crate::model::{Key, Resource};

/// The name of what decides where no rule does.
pub const DEFAULT: &str = "default";

/// Why a rule that asks for the scaling group could not be asked of a machine whose group was not read.
pub const GROUP_UNREAD: &str = "it asks for the scaling group, and whether this is in one was not read";

/// What a machine is folded into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fleet {
    /// The scaling group that it is a member of.
    Group(Key),
    /// A fleet without a cloud object of its own.
    Named(String),
}

/// What the rules say of one resource, before age and dependence are looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What is wanted of it.
    pub disposition: Disposition,
    /// The rule that decided; `default` where none spoke.
    pub rule: Arc<str>,
    /// Whether a rule's `do` matched, so that it does not follow a machine.
    pub is_own: bool,
    /// Its timers.
    pub timers: Arc<Timers>,
    /// Whether a rule set `min_age` for it: then a named fleet waits for it as well.
    pub is_age_set: bool,
    /// Whether a rule set `retire_after` for it: then what its provider says has ended waits as well.
    pub is_retirement_set: bool,
    /// What it is folded into, where it is.
    pub fleet: Option<Fleet>,
    /// A rule's flag.
    pub flag: Option<Arc<str>>,
    /// A rule that could not be asked might set another flag: the last one stays.
    pub is_flag_unknown: bool,
    /// Values in place of those that were read.
    pub attributes: BTreeMap<String, Value>,
    /// Attributes that rules which could not be asked might set, and to what: whether they are among `attributes`, and as what, is not known.
    pub unknown: BTreeMap<String, Vec<Value>>,
    /// A rule that might decide asks for its scaling group, and nobody could read whether it is in one: its disposition stays.
    pub is_group_unread: bool,
    /// A rule that sets something asks for the group, which was not read: what it would set is not known.
    pub is_set_unread: bool,
    /// The first rule that could not be asked, and why. At or before the deciding rule it freezes the resource.
    pub failure: Option<Failure>,
}

impl Verdict {
    /// What is said where no rule speaks: a record, under these timers.
    #[must_use]
    pub fn default_of(timers: Arc<Timers>) -> Self {
        Self {
            disposition: Disposition::Record,
            rule: DEFAULT.into(),
            is_own: false,
            timers,
            is_age_set: false,
            is_retirement_set: false,
            fleet: None,
            flag: None,
            is_flag_unknown: false,
            attributes: BTreeMap::new(),
            unknown: BTreeMap::new(),
            is_group_unread: false,
            is_set_unread: false,
            failure: None,
        }
    }

    /// The same of what is over: what could not be asked about it keeps nothing as it is, and is nobody's trouble.
    #[must_use]
    pub(crate) fn without_failures(self) -> Self {
        Self { failure: None, is_set_unread: false, is_group_unread: false, ..self }
    }

    /// Whether nothing is to be decided about the resource.
    #[must_use]
    pub fn freezes(&self) -> bool {
        self.is_set_unread || self.failure.as_ref().is_some_and(|failure| failure.freezes)
    }
}

/// A rule that could not be asked about a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its name.
    pub rule: String,
    /// Why.
    pub text: String,
    /// How to write the rule so that it can be asked, in words.
    pub hint: Option<String>,
    /// It stands at or before the rule that decides: nothing is decided.
    pub freezes: bool,
}

/// Why a rule could not be asked, and the mend.
struct Unasked {
    text: String,
    hint: Option<String>,
}

impl Unasked {
    fn new(text: &str, hint: &str) -> Self {
        Self { text: text.to_owned(), hint: Some(hint.to_owned()) }
    }

    fn when(error: &EvaluationError) -> Self {
        Self { text: error.to_string(), hint: error.hint().map(|asked| format!("let `when` ask first: {asked}")) }
    }

    /// `into` is only asked where `when` holds.
    fn into(error: &EvaluationError) -> Self {
        Self { text: format!("`into`: {error}"), ..Self::when(error) }
    }
}

/// A verdict in the making.
struct Making<'a> {
    timers: Timers,
    has_timers: bool,
    decided: Option<(&'a Rule, Disposition, Option<Fleet>)>,
    /// Rules whose `set` applies, and those that could not be asked whether it does.
    setting: Vec<(&'a Rule, Applies)>,
    verdict: Verdict,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Applies {
    Known,
    Unknown,
}

impl Rules {
    /// Asks the rules about one resource, in their order: the first `do` that matches decides, every `set` that matches applies, later ones over
    /// earlier ones and the configuration's over those of presets. `trace` hears of each rule, and why one could not be asked.
    pub fn judge<'a>(
        &'a self,
        subject: &Subject<'_>,
        default: &Verdict,
        mut trace: impl FnMut(&'a Rule, RuleOutcome, Option<&str>),
    ) -> Verdict {
        let mut making =
            Making { timers: (*default.timers).clone(), has_timers: false, decided: None, setting: Vec::new(), verdict: default.clone() };
        for rule in self.iter() {
            let outcome = match rule.when.holds(subject) {
                _ if making.is_unread(rule, subject) => Err(GROUP_UNREAD.to_owned()),
                Ok(true) => making.take(rule, subject),
                Ok(false) => Ok(RuleOutcome::NotMatched),
                Err(error) => Err(making.fail(rule, Unasked::when(&error))),
            };
            match outcome {
                Ok(outcome) => trace(rule, outcome, None),
                Err(text) => trace(rule, RuleOutcome::Failed, Some(&text)),
            }
        }
        making.finish()
    }
}

impl<'a> Making<'a> {
    /// Whether a rule that might decide, or set something, cannot be asked, because its subject's group was not read. Nothing decides after one that
    /// might.
    fn is_unread(&mut self, rule: &'a Rule, subject: &Subject<'_>) -> bool {
        if !subject.is_group_unread() || !rule.when.asks_group() {
            return false;
        }
        let might_decide = self.decided.is_none() && rule.action.is_some();
        self.verdict.is_group_unread |= might_decide;
        // A timer that might be longer must not run out as the shorter one. Of anything else what was known stays.
        self.verdict.is_set_unread |= rule.set.has_timers();
        self.setting.push((rule, Applies::Unknown));
        might_decide || !rule.set.is_empty()
    }

    fn take(&mut self, rule: &'a Rule, subject: &Subject<'_>) -> Result<RuleOutcome, String> {
        // Only machines are folded. What else the rule sets applies to every kind that it matches.
        let action = rule.action.as_ref().filter(|action| subject.resource().is_some_and(|resource| action.speaks_of(resource.kind)));
        if action.is_none() && rule.set.is_empty() {
            return Ok(RuleOutcome::NotMatched);
        }
        if let (Some(action), None) = (action, &self.decided) {
            match decide(action, subject) {
                Ok((disposition, fleet)) => self.decided = Some((rule, disposition, fleet)),
                Err(unasked) => return Err(self.fail(rule, unasked)),
            }
        }
        self.setting.push((rule, Applies::Known));
        Ok(RuleOutcome::Matched)
    }

    fn set(&mut self, rule: &Rule) {
        rule.set.apply(&mut self.timers);
        self.has_timers |= rule.set.has_timers();
        self.verdict.is_age_set |= rule.set.min_age.is_some();
        self.verdict.is_retirement_set |= rule.set.retire_after.is_some();
        if let Some(flag) = &rule.set.flag {
            self.verdict.flag = Some(flag.as_str().into());
            self.verdict.is_flag_unknown = false;
        }
        self.verdict.unknown.retain(|name, _| !rule.set.attributes.contains_key(name));
        self.verdict.attributes.extend(rule.set.attributes.iter().map(|(name, value)| (name.clone(), value.clone())));
    }

    fn doubt(&mut self, rule: &Rule) {
        self.verdict.is_flag_unknown |= rule.set.flag.is_some();
        for (name, value) in &rule.set.attributes {
            self.verdict.unknown.entry(name.clone()).or_default().push(value.clone());
        }
    }

    /// Notes that a rule could not be asked, and gives back why.
    fn fail(&mut self, rule: &'a Rule, Unasked { text, hint }: Unasked) -> String {
        self.setting.push((rule, Applies::Unknown));
        let freezes = self.decided.is_none();
        self.verdict.failure.get_or_insert_with(|| Failure { rule: rule.name.clone(), text: text.clone(), hint, freezes });
        text
    }

    fn finish(mut self) -> Verdict {
        // Presets first: what the configuration's own rules set goes over them.
        let (presets, own): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.setting).into_iter().partition(|(rule, _)| rule.origin != Origin::Configuration);
        for (rule, applies) in presets.into_iter().chain(own) {
            match applies {
                Applies::Known => self.set(rule),
                Applies::Unknown => self.doubt(rule),
            }
        }
        let Self { timers, has_timers, decided, setting: _, mut verdict } = self;
        if has_timers {
            verdict.timers = Arc::new(timers);
        }
        // What a rule before it might have decided instead is not known: neither is this.
        if let Some((rule, disposition, fleet)) = decided.filter(|_| !verdict.is_group_unread && !verdict.freezes()) {
            verdict.rule = rule.name.as_str().into();
            verdict.disposition = disposition;
            verdict.fleet = fleet;
            verdict.is_own = true;
        }
        verdict
    }
}

fn can_be_fleet(machine: &Resource, name: &str) -> bool {
    Key::fleet(machine.provider, &machine.account, &machine.region, name).is_some()
}

/// What an action comes to for a resource of a kind that it speaks of.
fn decide(action: &Action, subject: &Subject<'_>) -> Result<(Disposition, Option<Fleet>), Unasked> {
    let fold = |fleet| Ok((Disposition::Fold, Some(fleet)));
    match action {
        Action::Record => Ok((Disposition::Record, None)),
        Action::Defer => Ok((Disposition::Defer, None)),
        Action::Ignore => Ok((Disposition::Ignore, None)),
        Action::Fold { into: Some(into) } => match into.text(subject).map_err(|error| Unasked::into(&error))?.trim() {
            "" => Err(Unasked::new("`into` gives an empty name", "let `when` hold only where the name is not empty")),
            name if !subject.resource().is_some_and(|machine| can_be_fleet(machine, name)) => {
                let text = "`into` gives a name that no fleet can have: it is too long, or has control characters";
                Err(Unasked::new(text, "let `when` hold only where the name can be one"))
            }
            name => fold(Fleet::Named(name.to_owned())),
        },
        Action::Fold { into: None } => match subject.group() {
            Some(group) => fold(Fleet::Group(group.key.clone())),
            None => {
                let hint = "let `when` ask for the group first: `group != null && …`; or name a fleet by `into`";
                Err(Unasked::new("it is in no scaling group, and the rule has no `into`", hint))
            }
        },
    }
}
