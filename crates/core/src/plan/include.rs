//! Which CIs a target gets at all.

use std::collections::{BTreeMap, BTreeSet};

use super::doubt;
use super::draft::each;
use super::input::Input;
use super::standing::{Evidence, Standing, shown_stage, standing};
use crate::ci::ci;
use crate::estate::Known;
use crate::expression::{EvaluationError, Expression, Subject};
use crate::lifecycle::Verdicts;
use crate::model::{Key, Kind};
use crate::ownership::Ownership;
use crate::target::Ci;

/// Which CIs a target gets.
#[derive(Debug, Clone)]
pub struct Include {
    /// Kinds that it gets.
    pub kinds: BTreeSet<Kind>,
    /// What must hold of a CI ([`crate::expression::Vocabulary::records`]); `None` where its kind decides alone.
    pub when: Option<Expression>,
}

/// By what it says, whatever it was compiled to.
impl PartialEq for Include {
    fn eq(&self, other: &Self) -> bool {
        let source = |include: &Self| include.when.as_ref().map(|when| when.source().to_owned());
        self.kinds == other.kinds && source(self) == source(other)
    }
}

impl Eq for Include {}

/// A CI of which `include.when` could not be asked: what has a live record keeps it, and nothing gets a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unasked {
    /// Why.
    pub text: String,
    /// What to ask first.
    pub hint: Option<String>,
}

/// What `include.when` says of the CIs that a target could get, in one run: asked once of each, so that what changed is seen although the
/// record is as it was delivered. The default takes all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Members {
    /// Those that it does not take, and those that stay what they are.
    by_key: BTreeMap<Key, Answer>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Out,
    /// It rests on what a rule sets that could not be asked, which is told of already.
    Unsure,
    Failed(Unasked),
}

impl Members {
    /// CIs of which `include.when` could not be asked.
    pub fn failures(&self) -> impl Iterator<Item = (&Key, &Unasked)> {
        self.by_key.iter().filter_map(|(key, answer)| match answer {
            Answer::Failed(unasked) => Some((key, unasked)),
            Answer::Out | Answer::Unsure => None,
        })
    }

    /// Whether a CI of an included kind is taken; `is_live` says whether it has a live record.
    pub(super) fn takes(&self, key: &Key, is_live: bool) -> bool {
        match self.by_key.get(key) {
            None => true,
            Some(Answer::Out) => false,
            Some(Answer::Unsure | Answer::Failed(_)) => is_live,
        }
    }

    /// Those that stay what they are, because nobody knows.
    pub(super) fn unsure(&self) -> impl Iterator<Item = &Key> {
        self.by_key.iter().filter(|(_, answer)| **answer != Answer::Out).map(|(key, _)| key)
    }
}

/// Asks `include.when` of every CI that the target has, or would get by its kind. What the input says of members does not count.
///
/// Of what nobody has seen since its record was found ([`crate::estate::Known::recovered`]) too little is known to be asked.
pub fn members(input: &Input<'_>) -> Members {
    let mut members = Members::default();
    let Some(when) = &input.terms.include.when else { return members };
    let by_kind = Input { members: &Members::default(), ..*input };
    let mut has_class: BTreeMap<Kind, bool> = BTreeMap::new();
    each(input, |key, known, row| {
        let kind = known.resource.kind;
        let is_live = row.is_some_and(|row| row.is_live());
        let is_asked = match standing(&by_kind, known, is_live) {
            Standing::Wanted => true,
            Standing::Ended(Evidence::Proposed) => is_live && !known.recovered,
            Standing::Ended(_) | Standing::Undecided => false,
        };
        if !is_asked || has_class.get(&kind) == Some(&false) {
            return;
        }
        let ci = input.ci(known, shown_stage(known));
        if !*has_class.entry(kind).or_insert_with(|| input.terms.target.adapt(&ci).is_some()) {
            return;
        }
        if let Some(answer) = ask(when, &ci, &doubt::others(&ci, &input.verdicts.of(key).unknown)) {
            members.by_key.insert(key.clone(), answer);
        }
    });
    members
}

/// Whether a target takes what is known here, if it gets a record at all; one of which `include.when` cannot be asked gets no new one.
#[must_use]
pub fn takes(include: &Include, known: &Known, ownership: &Ownership, verdicts: &Verdicts) -> bool {
    let verdict = verdicts.of(&known.resource.key);
    let ci = ci(known, shown_stage(known), ownership, verdict);
    let is_taken = |when: &Expression| ask(when, &ci, &doubt::others(&ci, &verdict.unknown)).is_none();
    include.kinds.contains(&known.resource.kind) && include.when.as_ref().is_none_or(is_taken)
}

/// `None` where it is taken. `others` are the CIs that it would be if rules applied that could not be asked.
fn ask(when: &Expression, ci: &Ci, others: &[Ci]) -> Option<Answer> {
    let holds = |ci: &Ci| when.holds(&Subject::of_record(ci));
    let answer = holds(ci);
    if others.iter().any(|other| holds(other).ok() != answer.as_ref().ok().copied()) {
        return Some(Answer::Unsure);
    }
    match answer {
        Ok(true) => None,
        Ok(false) => Some(Answer::Out),
        Err(error) => Some(Answer::Failed(Unasked::new(&error))),
    }
}

impl Unasked {
    fn new(error: &EvaluationError) -> Self {
        Self { text: error.to_string(), hint: error.hint().map(|asked| format!("let `when` ask first: {asked}")) }
    }
}
