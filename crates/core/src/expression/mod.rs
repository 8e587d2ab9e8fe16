//! The expressions of lifecycle rules and mappings: [CEL](https://cel.dev), checked in full before anything is asked.
//!
//! The interpreter underneath checks nothing beforehand and has no limits, so both are done here, on its syntax tree: names, fields per kind,
//! types, functions and their arguments; size, depth, nesting of macros, steps. An expression that compiles fails only where a resource
//! lacks what it asks for, and always ends.

mod check;
mod cost;
mod facts;
mod failure;
mod given;
mod library;
mod parse;
mod quick;
mod subject;
#[cfg(test)]
mod tests;
mod types;
mod values;
mod vocabulary;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, operators};
use cel::common::types::{CelBool, CelNull};
use cel::common::value::Val;
use cel::{IdedExpr, Value};

use self::check::Findings;
use self::cost::{Cost, STEPS_MAX};
use self::facts::Facts;
pub use self::failure::EvaluationError;
use self::given::Given;
use self::parse::Spans;
use self::quick::Quick;
pub use self::subject::Subject;
pub use self::vocabulary::Vocabulary;
use self::vocabulary::{Kinds, Object};
use crate::model::Kind;
use crate::told;

/// A checked expression. Compile it once, evaluate it often.
#[derive(Debug, Clone)]
pub struct Expression {
    source: String,
    tree: IdedExpr,
    spans: Spans,
    quick: Quick,
    given: Given,
    cost: Cost,
    loops: bool,
    asks_group: bool,
    doubts: Vec<Mistake>,
}

/// What an expression must give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// True or false.
    Condition,
    /// A text.
    Text,
    /// The value of a field: a text, a number, true or false, a time, null, or a list or structure of these. Null may be handed on as it is.
    Value,
}

/// A mistake in an expression's source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where, in bytes of the source. Both ends lie on character boundaries; it can be empty at the source's end.
    pub at: Range<usize>,
    /// What is wrong, on one line.
    pub text: String,
    /// The nearest name, or the mend, on one line.
    pub help: Option<String>,
}

impl Mistake {
    /// Text and help may quote the source, whatever stands in it.
    fn new(at: Range<usize>, text: impl AsRef<str>) -> Self {
        Self { at, text: told::printable(text.as_ref()).into_owned(), help: None }
    }

    fn with_help(self, help: impl AsRef<str>) -> Self {
        self.maybe_help(Some(help.as_ref().to_owned()))
    }

    fn maybe_help(self, help: Option<String>) -> Self {
        Self { help: help.map(|help| told::printable(&help).into_owned()), ..self }
    }
}

impl Expression {
    /// Parses and checks an expression.
    ///
    /// # Errors
    /// All its mistakes, in the order of the source, each once. Never empty.
    pub fn compile(source: &str, vocabulary: &Vocabulary, wanted: Wanted) -> Result<Self, Vec<Mistake>> {
        Self::compile_given(source, vocabulary, wanted, &Facts::of_kinds(vocabulary.kinds()))
    }

    /// Parses and checks an expression that is only asked where a condition holds: what the condition tests need not be tested again.
    ///
    /// # Errors
    /// All its mistakes, in the order of the source, each once. Never empty.
    pub fn compile_where(source: &str, vocabulary: &Vocabulary, wanted: Wanted, holds: &Self) -> Result<Self, Vec<Mistake>> {
        let given = Facts::of_kinds(vocabulary.kinds()).and(&Facts::of(&holds.tree, true));
        Self::compile_given(source, vocabulary, wanted, &given)
    }

    fn compile_given(source: &str, vocabulary: &Vocabulary, wanted: Wanted, given: &Facts) -> Result<Self, Vec<Mistake>> {
        let (tree, spans) = parse::parse(source, vocabulary)?;
        let Findings { mut mistakes, doubts } = check::check(source, &tree, &spans, vocabulary, wanted, given);
        let cost = Cost::of(&tree, vocabulary);
        if mistakes.is_empty() && cost.assumed() > STEPS_MAX {
            let text =
                format!("this could take {} steps on one {}, at most {STEPS_MAX} are allowed", cost.assumed(), vocabulary.main().noun());
            mistakes.push(Mistake::new(0..source.len(), text).with_help("do less within macros that stand in one another"));
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self { doubts, ..Self::checked(source, tree, spans, vocabulary, wanted) })
    }

    fn checked(source: &str, mut tree: IdedExpr, spans: Spans, vocabulary: &Vocabulary, wanted: Wanted) -> Self {
        let cost = Cost::of(&tree, vocabulary);
        ask_for_values(&mut tree, vocabulary);
        Self {
            source: source.to_owned(),
            quick: if wanted == Wanted::Condition { Quick::of(&tree, vocabulary) } else { Quick::Ask },
            given: if wanted == Wanted::Value { Given::of(&tree, vocabulary) } else { Given::Ask },
            loops: cost.loops(),
            cost,
            asks_group: asks_group(&tree),
            tree,
            spans,
            doubts: Vec::new(),
        }
    }

    /// Without the checks, for tests of what comes after them.
    #[cfg(test)]
    fn unchecked(source: &str, vocabulary: &Vocabulary, wanted: Wanted) -> Option<Self> {
        let (tree, spans) = parse::parse(source, vocabulary).ok()?;
        Some(Self::checked(source, tree, spans, vocabulary, wanted))
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What is allowed and will hardly be meant, in the order of the source: tags that are read, and fields that are worked with and may be null (a name,
    /// a birth, most attributes), without having been asked for. That fails on everything that lacks them. To ask whether a field equals something
    /// never fails.
    ///
    /// Asked for is a tag where `"name" in x.tags` or `has(x.tags.name)` must hold for the place to be reached or to count: in the same `&&`, as the
    /// condition of a `? :`, negated in the same `||`. For a field, that is `has(x.field)`, or a comparison with null or a value. A tag whose name is not
    /// written out is never doubted, nor what every listing of the kinds in question gives.
    ///
    /// Likewise a tag's value that is read as a time, duration or number without `isExpiry` or a pattern before it, and an element of a list attribute
    /// that nothing asked to be long enough (by `size`, or `in`).
    #[must_use]
    pub fn doubts(&self) -> &[Mistake] {
        &self.doubts
    }

    /// Whether it can hold of machines alone: it asks for their kind, or for the scaling group, which nothing else has.
    #[must_use]
    pub fn holds_of_machines_only(&self) -> bool {
        let facts = Facts::of(&self.tree, true);
        facts.kinds.lies_in(Kinds::one(Kind::Instance)) || is_in_group(&facts)
    }

    /// Whether it can hold of no machine.
    #[must_use]
    pub fn holds_of_no_machine(&self) -> bool {
        Facts::of(&self.tree, true).kinds.lies_in(Kinds::one(Kind::Instance).not())
    }

    /// Whether it can hold only of what is in a scaling group.
    #[must_use]
    pub fn holds_in_groups_only(&self) -> bool {
        let facts = Facts::of(&self.tree, true);
        facts.kinds.is_empty() || is_in_group(&facts)
    }

    /// Whether it speaks of the scaling group.
    #[must_use]
    pub const fn asks_group(&self) -> bool {
        self.asks_group
    }

    /// Whether the condition holds of a subject.
    ///
    /// # Errors
    /// [`EvaluationError`] where the subject lacks what the condition asks for.
    pub fn holds(&self, subject: &Subject<'_>) -> Result<bool, EvaluationError> {
        match self.quick.answer_about(subject.view()) {
            Some(answer) => Ok(answer),
            None => self.interpreted(subject),
        }
    }

    /// [`Self::holds`] by the interpreter alone.
    fn interpreted(&self, subject: &Subject<'_>) -> Result<bool, EvaluationError> {
        self.evaluate(subject, "true or false", |value| value.downcast_ref::<CelBool>().map(|flag| *flag.inner()))
    }

    /// The text that the expression makes of a subject.
    ///
    /// # Errors
    /// [`EvaluationError`] where the subject lacks what the expression asks for, or the result is null.
    pub fn text(&self, subject: &Subject<'_>) -> Result<String, EvaluationError> {
        self.evaluate(subject, "a text", |value| values::text(value).map(str::to_owned))
    }

    /// The value that the expression, compiled as [`Wanted::Value`], makes of a subject. Times are RFC 3339 texts in UTC, whole numbers stay whole; null
    /// is a value.
    ///
    /// # Errors
    /// [`EvaluationError`] where the subject lacks what the expression asks for, or the result is nothing that can be written: a duration, a number
    /// without end.
    pub fn value(&self, subject: &Subject<'_>) -> Result<serde_json::Value, EvaluationError> {
        match self.given.of_subject(subject.view()) {
            Some(value) => Ok(value),
            None => self.interpreted_value(subject),
        }
    }

    /// [`Self::value`] by the interpreter alone.
    fn interpreted_value(&self, subject: &Subject<'_>) -> Result<serde_json::Value, EvaluationError> {
        self.evaluate(subject, "what can be written", given::json)
    }

    fn evaluate<T>(&self, subject: &Subject<'_>, wanted: &str, take: impl Fn(&dyn Val) -> Option<T>) -> Result<T, EvaluationError> {
        if self.loops && self.cost.actual(subject.view()) > STEPS_MAX {
            let noun = subject.view().noun();
            let text = format!("the lists of this {noun} are too long for `{}`: more than {STEPS_MAX} steps", self.source);
            return Err(EvaluationError::new(text));
        }
        let context = subject.context();
        // No way to make the interpreter panic is known. Should there be one, it freezes a resource and does not end a run.
        let outcome = catch_unwind(AssertUnwindSafe(|| Value::resolve_val(&self.tree, context)));
        let value = outcome
            .map_err(|_| EvaluationError::new(format!("`{}` cannot be evaluated", self.source)))?
            .map_err(|error| EvaluationError::of(&self.source, &self.tree, &self.spans, context, &error))?;
        take(value.as_ref()).ok_or_else(|| {
            let is_null = value.downcast_ref::<CelNull>().is_some();
            match facts::path(&self.tree).filter(|_| is_null) {
                Some(path) => EvaluationError::null(&path, format!("{path} has no value")),
                None if is_null => EvaluationError::new(format!("`{}` has no value", self.source)),
                None => EvaluationError::new(format!("`{}` gave {} and not {wanted}", self.source, value.get_type().name())),
            }
        })
    }
}

fn is_in_group(facts: &Facts) -> bool {
    facts.present.iter().any(|path| path.split(['.', '[']).next() == Some(Object::Group.name()))
}

fn asks_group(tree: &IdedExpr) -> bool {
    tree.references().has_variable(Object::Group.name())
}

/// `has(resource.name)` asks for a value: every field is there, and may be null. (Of a map, `has` asks for the key.)
fn ask_for_values(node: &mut IdedExpr, vocabulary: &Vocabulary) {
    let of_part = |part: &mut IdedExpr| ask_for_values(part, vocabulary);
    match &mut node.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Call(call) => call.target.as_deref_mut().into_iter().chain(&mut call.args).for_each(of_part),
        Expr::List(list) => list.elements.iter_mut().for_each(of_part),
        Expr::Select(select) => {
            of_part(&mut select.operand);
            let is_field = matches!(&select.operand.expr, Expr::Ident(name) if vocabulary.object(name).is_some());
            if select.test && is_field {
                select.test = false;
                let null = IdedExpr { id: node.id, expr: Expr::Literal(LiteralValue::Null) };
                let field = std::mem::take(node);
                let call = CallExpr { func_name: operators::NOT_EQUALS.to_owned(), target: None, args: vec![field, null] };
                *node = IdedExpr { id: call.args.first().map_or(0, |field| field.id), expr: Expr::Call(call) };
            }
        }
        Expr::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    of_part(&mut entry.key);
                    of_part(&mut entry.value);
                }
            }
        }
        Expr::Struct(_) => {}
        Expr::Comprehension(inner) => {
            of_part(&mut inner.iter_range);
            of_part(&mut inner.loop_step);
        }
    }
}
