//! Which class a kind's records have, and how their fields are filled.
//!
//! A target's standard sheet is data. The configuration can put another class, other fields and other values in place of its parts, in the same language.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::estate::Stage;
use dewpoint_core::expression::{EvaluationError, Expression, Mistake, Subject, Vocabulary, Wanted};
use dewpoint_core::model::Kind;
use dewpoint_core::target::{Adapted, Authority, Ci, DesiredField};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// In which form a target keeps a field's value.
pub trait Shape: Clone + std::fmt::Debug + Default + DeserializeOwned {
    /// The value in the target's own form; `None` where there is nothing to write.
    ///
    /// # Errors
    /// Why it does not fit, in a sentence: the field is then left as it is.
    fn fit(&self, value: Value) -> Result<Option<Value>, String>;

    /// All that it consists of, as a text that another one does not have.
    fn digest_part(&self) -> String {
        format!("{self:?}")
    }
}

/// One field.
#[derive(Debug, Clone)]
pub struct Field<S> {
    /// What is written.
    pub value: FieldValue,
    /// Who may write it, and when.
    pub authority: Authority,
    /// Moves without a cause.
    pub volatile: bool,
    /// The target identifies the record by it.
    pub identifying: bool,
    /// In which form.
    pub shape: S,
}

/// What is written to a field.
#[derive(Debug, Clone)]
pub enum FieldValue {
    /// A CEL expression over `ci`.
    Expression(Box<Expression>),
    /// What no expression can say.
    BuiltIn(BuiltIn),
}

/// Values that no expression can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuiltIn {
    /// How many network interfaces are attached.
    InterfaceCount,
    /// How many volumes are attached.
    VolumeCount,
    /// Size of these volumes, in GiB.
    VolumeGib,
    /// Tags, a line each, `name=value`, in order.
    TagLines,
    /// Where the resource stands: one of the words of [`Standing`].
    Standing,
}

/// Where a resource stands, as far as a record's status tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It runs, or is there without running or not.
    Active,
    /// A machine that is stopped.
    Inactive,
    /// It has ended.
    Retired,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Active, Self::Inactive, Self::Retired];

    /// Where the resource of a CI stands. A machine that listings miss stands as it was last seen.
    #[must_use]
    pub fn of(ci: &Ci) -> Self {
        match ci.stage {
            Stage::Retired => Self::Retired,
            Stage::Inactive => Self::Inactive,
            Stage::Missing if ci.state.as_deref() == Some("stopped") => Self::Inactive,
            _ => Self::Active,
        }
    }

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Retired => "retired",
        }
    }
}

/// The sheet of one target, checked.
#[derive(Debug, Clone)]
pub struct Sheet<S> {
    kinds: BTreeMap<Kind, Class<S>>,
}

#[derive(Debug, Clone)]
struct Class<S> {
    name: String,
    fields: BTreeMap<String, Field<S>>,
}

/// What the configuration puts in place of the standard sheet's part for one kind.
#[derive(Debug, Clone)]
pub struct Override<S> {
    /// Another class.
    pub class: Option<String>,
    /// Fields and what is written to them.
    pub fields: BTreeMap<String, OwnField<S>>,
}

impl<S> Default for Override<S> {
    fn default() -> Self {
        Self { class: None, fields: BTreeMap::new() }
    }
}

/// Two of the same text do the same.
impl<S: PartialEq> PartialEq for Override<S> {
    fn eq(&self, other: &Self) -> bool {
        let same = |(name, own): (&String, &OwnField<S>)| {
            other.fields.get(name).is_some_and(|field| field.value.source() == own.value.source() && field.shape == own.shape)
        };
        self.class == other.class && self.fields.len() == other.fields.len() && self.fields.iter().all(same)
    }
}

impl<S: Eq> Eq for Override<S> {}

/// What is written to a field in place of what the standard sheet writes there.
#[derive(Debug, Clone)]
pub struct OwnField<S> {
    /// The value ([`value_of`]).
    pub value: Expression,
    /// Its form; that of the standard field of this name unless said.
    pub shape: Option<S>,
}

/// A standard sheet that does not have its own form. A defect of the program.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the standard mapping cannot be read: {text}")]
pub struct SheetError {
    /// What is wrong.
    pub text: String,
}

/// The value of a field of a kind's records, from its text.
///
/// # Errors
/// All mistakes in it.
pub fn value_of(kind: Kind, source: &str) -> Result<Expression, Vec<Mistake>> {
    Expression::compile(source, &Vocabulary::records_of(kind), Wanted::Value)
}

/// A sheet as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound = "S: Shape")]
struct Written<S> {
    /// Fields of all kinds.
    every: BTreeMap<String, WrittenField<S>>,
    kinds: BTreeMap<String, WrittenClass<S>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound = "S: Shape")]
struct WrittenClass<S> {
    class: String,
    #[serde(default)]
    fields: BTreeMap<String, WrittenField<S>>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, bound = "S: Shape")]
struct WrittenField<S> {
    value: Option<String>,
    built_in: Option<BuiltIn>,
    /// The word of an [`Authority`].
    authority: Option<String>,
    #[serde(default)]
    volatile: bool,
    #[serde(default)]
    identifying: bool,
    #[serde(default, rename = "as")]
    shape: S,
}

impl<S: Shape> Sheet<S> {
    /// A standard sheet with what the configuration puts in place of its parts.
    ///
    /// # Errors
    /// [`SheetError`], which no release should show.
    pub fn new(standard: Value, overrides: &BTreeMap<Kind, Override<S>>) -> Result<Self, SheetError> {
        let flaw = |text: String| SheetError { text };
        let written: Written<S> = serde_json::from_value(standard).map_err(|error| flaw(error.to_string()))?;
        let mut kinds = BTreeMap::new();
        for (word, class) in written.kinds {
            let kind: Kind = word.parse().map_err(|error: dewpoint_core::model::UnknownWord| flaw(error.to_string()))?;
            let mut fields = BTreeMap::new();
            for (name, field) in written.every.iter().map(|(name, field)| (name.clone(), field.clone())).chain(class.fields) {
                fields.insert(name.clone(), checked(kind, &name, field)?);
            }
            let own = overrides.get(&kind);
            for (name, OwnField { value, shape }) in own.iter().flat_map(|own| &own.fields) {
                let before = fields.remove(name);
                let field = Field {
                    value: FieldValue::Expression(Box::new(value.clone())),
                    authority: before.as_ref().map_or(Authority::Owned, |field| field.authority),
                    volatile: before.as_ref().is_some_and(|field| field.volatile),
                    identifying: before.as_ref().is_some_and(|field| field.identifying),
                    shape: shape.clone().or_else(|| before.map(|field| field.shape)).unwrap_or_default(),
                };
                fields.insert(name.clone(), field);
            }
            let name = own.and_then(|own| own.class.clone()).unwrap_or(class.class);
            kinds.insert(kind, Class { name, fields });
        }
        Ok(Self { kinds })
    }

    /// The class of a kind's records; `None` where it has none.
    #[must_use]
    pub fn class(&self, kind: Kind) -> Option<&str> {
        self.kinds.get(&kind).map(|class| class.name.as_str())
    }

    /// The kinds that have records, with their classes.
    pub fn classes(&self) -> impl Iterator<Item = (Kind, &str)> {
        self.kinds.iter().map(|(kind, class)| (*kind, class.name.as_str()))
    }

    /// The kinds whose records are of a class: the configuration may give several one.
    pub fn kinds_of(&self, class: &str) -> impl Iterator<Item = Kind> {
        self.classes().filter(move |(_, name)| *name == class).map(|(kind, _)| kind)
    }

    /// The fields of a kind's records.
    pub fn fields(&self, kind: Kind) -> impl Iterator<Item = (&str, &Field<S>)> {
        self.kinds.get(&kind).into_iter().flat_map(|class| &class.fields).map(|(name, field)| (name.as_str(), field))
    }

    /// A field of a kind's records.
    #[must_use]
    pub fn field(&self, kind: Kind, name: &str) -> Option<&Field<S>> {
        self.kinds.get(&kind)?.fields.get(name)
    }

    /// The field of this name in records of a class, of whichever kind.
    #[must_use]
    pub fn field_of(&self, class: &str, name: &str) -> Option<&Field<S>> {
        self.kinds_of(class).find_map(|kind| self.field(kind, name))
    }

    /// Every name that a field has in records of any kind: what an authority can speak of.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        self.kinds.values().flat_map(|class| class.fields.keys()).map(String::as_str).collect()
    }

    /// Whether a field tells how much is attached to a machine.
    #[must_use]
    pub fn counts_attached(&self) -> bool {
        let counts = |field: &Field<S>| {
            matches!(field.value, FieldValue::BuiltIn(BuiltIn::InterfaceCount | BuiltIn::VolumeCount | BuiltIn::VolumeGib))
        };
        self.kinds.values().flat_map(|class| class.fields.values()).any(counts)
    }

    /// All that decides what a CI becomes, as texts in an order of their own.
    pub fn digest_parts(&self) -> impl Iterator<Item = String> {
        let field = |name: &String, field: &Field<S>| {
            let value = match &field.value {
                FieldValue::Expression(expression) => expression.source().to_owned(),
                FieldValue::BuiltIn(built_in) => format!("{built_in:?}"),
            };
            let Field { authority, volatile, identifying, shape, .. } = field;
            format!("{name}\n{value}\n{authority} {volatile} {identifying}\n{}", shape.digest_part())
        };
        self.kinds.iter().flat_map(move |(kind, class)| {
            std::iter::once(format!("{kind} {}", class.name)).chain(class.fields.iter().map(move |(name, own)| field(name, own)))
        })
    }

    /// The record of a CI. `None` where its kind has no class. Fields whose value fails, or does not fit, are left out and named.
    #[must_use]
    pub fn adapt(&self, ci: &Ci, authority: &BTreeMap<String, Authority>) -> Option<Adapted> {
        let class = self.kinds.get(&ci.kind)?;
        let subject = Subject::of_record(ci);
        let mut adapted = Adapted { class: class.name.clone(), fields: BTreeMap::new(), failed: BTreeMap::new() };
        for (name, field) in &class.fields {
            match given(field, ci, &subject).map_err(|error| error.to_string()).and_then(|value| field.shape.fit(value)) {
                Ok(None) => {}
                Ok(Some(value)) => {
                    let authority = authority.get(name).copied().unwrap_or(field.authority);
                    let desired = DesiredField { value, authority, volatile: field.volatile, identifying: field.identifying };
                    adapted.fields.insert(name.clone(), desired);
                }
                Err(why) => drop(adapted.failed.insert(name.clone(), why)),
            }
        }
        Some(adapted)
    }
}

fn given<S>(field: &Field<S>, ci: &Ci, subject: &Subject<'_>) -> Result<Value, EvaluationError> {
    let attached = ci.attached.unwrap_or_default();
    let built_in = match &field.value {
        FieldValue::Expression(expression) => return expression.value(subject),
        FieldValue::BuiltIn(built_in) => built_in,
    };
    Ok(match built_in {
        BuiltIn::InterfaceCount => attached.interfaces.into(),
        BuiltIn::VolumeCount => attached.volumes.into(),
        BuiltIn::VolumeGib => attached.volume_gib.into(),
        BuiltIn::TagLines => {
            let lines: Vec<String> = ci.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
            lines.join("\n").into()
        }
        BuiltIn::Standing => Standing::of(ci).as_str().into(),
    })
}

fn checked<S>(kind: Kind, name: &str, field: WrittenField<S>) -> Result<Field<S>, SheetError> {
    let flaw = |text: &str| SheetError { text: format!("{kind}.{name}: {text}") };
    let WrittenField { value, built_in, authority, volatile, identifying, shape } = field;
    let value = match (value, built_in) {
        (Some(source), None) => FieldValue::Expression(Box::new(
            value_of(kind, &source).map_err(|mistakes| flaw(mistakes.first().map_or("", |mistake| mistake.text.as_str())))?,
        )),
        (None, Some(built_in)) => FieldValue::BuiltIn(built_in),
        _ => return Err(flaw("it has no value, or two")),
    };
    let authority = match authority {
        None => Authority::Owned,
        Some(word) => word.parse().map_err(|_| flaw("it has no such authority"))?,
    };
    Ok(Field { value, authority, volatile, identifying, shape })
}
