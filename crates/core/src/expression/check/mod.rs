//! The static checks: names, fields per kind, types, and what would fail on every resource of a kind.

mod doubts;
mod literals;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, ListExpr, LiteralValue, MapExpr, SelectExpr, operators};

use super::facts::{self, Facts};
use super::library::{self, Misuse};
use super::parse::{Macro, Spans};
use super::types::{Type, common, conversion, is_comparable, with_article};
use super::vocabulary::{self, Field, Kinds, Object, Vocabulary, did_you_mean};
use super::{Mistake, Wanted};
use crate::model::{InstanceState, Kind};

/// Macros within one another.
pub(super) const NESTING_MAX: usize = 2;
/// Elements of a list that is written out.
pub(super) const LIST_MAX: usize = 100;

/// What was found in a syntax tree, in the order of the source.
pub(super) struct Findings {
    /// What makes it unusable.
    pub(super) mistakes: Vec<Mistake>,
    /// What fails on some resources, and is hardly meant to.
    pub(super) doubts: Vec<Mistake>,
}

/// Finds all mistakes of a syntax tree, of which some facts are given.
pub(super) fn check(source: &str, tree: &IdedExpr, spans: &Spans, vocabulary: &Vocabulary, wanted: Wanted, given: &Facts) -> Findings {
    let mut checker = Checker {
        source,
        spans,
        vocabulary,
        mistakes: Vec::new(),
        doubts: BTreeMap::new(),
        items: Vec::new(),
        is_condition: wanted != Wanted::Value,
    };
    checker.whole(tree, wanted, given);
    checker.mistakes.sort_by_key(|mistake| (mistake.at.start, mistake.at.end));
    checker.mistakes.dedup();
    let mut doubts: Vec<Mistake> = checker.doubts.into_values().collect();
    doubts.sort_by_key(|doubt| (doubt.at.start, doubt.at.end));
    Findings { mistakes: checker.mistakes, doubts }
}

struct Checker<'c> {
    source: &'c str,
    spans: &'c Spans,
    vocabulary: &'c Vocabulary,
    mistakes: Vec<Mistake>,
    /// By the tag or field that they are about: one is enough for each.
    doubts: BTreeMap<String, Mistake>,
    /// The elements that macros speak about, outermost first.
    items: Vec<(String, Type)>,
    /// Whether it is part of a condition, to which more can be added by `&&`.
    is_condition: bool,
}

/// A value's type, and where it may be absent.
#[derive(Debug, Clone)]
struct Typed {
    ty: Type,
    /// The kinds that have this attribute; the value is null on all others.
    attribute: Option<Kinds>,
    /// `group` or `ci`, which may be null.
    is_nullable_object: bool,
    field: Option<(Object, Field)>,
}

impl From<Type> for Typed {
    fn from(ty: Type) -> Self {
        Self { ty, attribute: None, is_nullable_object: false, field: None }
    }
}

impl Checker<'_> {
    fn span(&self, node: &IdedExpr) -> Range<usize> {
        self.spans.of_node(self.source, node)
    }

    fn name_span(&self, node: &IdedExpr) -> Range<usize> {
        self.spans.of_name(self.source, node)
    }

    fn written(&self, node: &IdedExpr) -> &str {
        self.source.get(self.span(node)).unwrap_or_default()
    }

    fn mistake(&mut self, at: Range<usize>, text: impl AsRef<str>, help: Option<String>) {
        self.mistakes.push(Mistake::new(at, text).maybe_help(help));
    }

    /// The type of a part whose value must be there: null would fail at run time.
    fn strict(&mut self, node: &IdedExpr, here: &Facts) -> Type {
        let typed = self.infer(node, here);
        self.must_be_there(node, &typed, here);
        typed.ty
    }

    fn must_be_there(&mut self, node: &IdedExpr, typed: &Typed, here: &Facts) {
        let Some(path) = facts::path(node) else { return };
        if here.present.contains(&path) {
            return;
        }
        if typed.is_nullable_object {
            self.null_object(node, &path);
        }
        let Some(kinds) = typed.attribute.filter(|kinds| !here.kinds.lies_in(*kinds)) else {
            self.doubt_field(node, path, typed, here);
            return;
        };
        let missing = here.kinds.and(kinds.not());
        let text = format!("`{path}` has no value on {}, and this would fail there", some_kinds(missing));
        let first = if here.kinds.and(kinds).is_empty() { kinds } else { here.kinds.and(kinds) };
        let main = self.vocabulary.main().name();
        let test = match first.iter().collect::<Vec<_>>().as_slice() {
            [only] => format!("{main}.kind == \"{only}\""),
            several => {
                let words: Vec<String> = several.iter().map(|kind| format!("\"{kind}\"")).collect();
                format!("{main}.kind in [{}]", words.join(", "))
            }
        };
        self.mistake(self.span(node), text, Some(format!("say which kind: {}", self.guarded(&test))));
    }

    fn null_object(&mut self, node: &IdedExpr, name: &str) {
        let when = if name == "ci" { "for what was not known before this run" } else { "for what is in no scaling group" };
        self.mistake(
            self.span(node),
            format!("`{name}` is null {when}, and this would fail there"),
            Some(format!("say `{name} != null && …`")),
        );
    }

    fn infer(&mut self, node: &IdedExpr, here: &Facts) -> Typed {
        match &node.expr {
            Expr::Unspecified => {
                self.mistake(self.span(node), "something is missing here", None);
                Type::Dyn.into()
            }
            Expr::Literal(literal) => self.literal(node, literal).into(),
            Expr::Ident(name) => self.variable(node, name, here),
            Expr::Select(select) => self.select(node, select, here),
            Expr::List(list) => self.list(node, list, here).into(),
            Expr::Map(map) => self.map(node, map, here).into(),
            Expr::Struct(_) => {
                self.mistake(self.span(node), "there are no message types here", None);
                Type::Dyn.into()
            }
            Expr::Call(call) => self.call(node, call, here).into(),
            Expr::Comprehension(inner) => self.comprehension(node, inner, here).into(),
        }
    }

    fn literal(&mut self, node: &IdedExpr, literal: &LiteralValue) -> Type {
        match literal {
            LiteralValue::Boolean(_) => Type::Bool,
            LiteralValue::Int(_) => Type::Int,
            LiteralValue::Double(_) => Type::Double,
            LiteralValue::String(_) => Type::Text,
            LiteralValue::Null => Type::Null,
            LiteralValue::UInt(_) => {
                self.mistake(self.span(node), "there are no unsigned numbers here", Some("leave out the `u`".to_owned()));
                Type::Int
            }
            LiteralValue::Bytes(_) => {
                self.mistake(self.span(node), "there are no byte strings here", Some("leave out the `b`".to_owned()));
                Type::Text
            }
        }
    }

    fn variable(&mut self, node: &IdedExpr, name: &str, here: &Facts) -> Typed {
        if let Some((_, ty)) = self.items.iter().rev().find(|(item, _)| item == name) {
            return ty.clone().into();
        }
        let Some(ty) = self.vocabulary.variable(name) else {
            let known: Vec<String> = self.items.iter().map(|(item, _)| item.clone()).collect();
            let mut names: Vec<&str> = self.vocabulary.names().collect();
            names.extend(known.iter().map(String::as_str));
            let main = self.vocabulary.main();
            let instead = self.vocabulary.instead_of(name).map(str::to_owned);
            let of_main = vocabulary::typed_field(main, name).map(|_| format!("write `{}.{name}`", main.name()));
            let help = instead.or(of_main).or_else(|| did_you_mean(name, names));
            let help = help
                .or_else(|| Some(format!("there are {}; a text stands in quotes", self.vocabulary.names().collect::<Vec<_>>().join(", "))));
            self.mistake(self.span(node), format!("unknown name `{name}`"), help);
            return Type::Dyn.into();
        };
        let is_nullable_object = matches!(ty, Type::Object(object) if object.is_nullable()) && !here.present.contains(name);
        Typed { is_nullable_object, ..ty.clone().into() }
    }

    fn select(&mut self, node: &IdedExpr, select: &SelectExpr, here: &Facts) -> Typed {
        let operand = self.strict(&select.operand, here);
        let typed = match &operand {
            Type::Object(object) => self.field(node, *object, select, here),
            Type::Map(value) => {
                if !select.test {
                    self.doubt_tag(node, &select.operand, &select.field, here);
                }
                Typed::from(value.as_ref().clone())
            }
            Type::Dyn => Type::Dyn.into(),
            other => {
                self.mistake(self.span(node), format!("{} has no fields", with_article(other)), None);
                Type::Dyn.into()
            }
        };
        if select.test { Type::Bool.into() } else { typed }
    }

    fn field(&mut self, node: &IdedExpr, object: Object, select: &SelectExpr, here: &Facts) -> Typed {
        let name = select.field.as_str();
        let Some(found) = vocabulary::typed_field(object, name) else {
            let owner = object.name();
            // A tag is the likeliest thing to be looked for among the fields.
            let is_of = |other: Object| vocabulary::typed_field(other, name).is_some();
            let elsewhere = match object {
                Object::Resource | Object::Group if is_of(Object::Ci) => Some(format!("`{name}` is a field of `ci`")),
                Object::Record if is_of(Object::Ci) || is_of(Object::Resource) => Some(format!("only lifecycle rules know `{name}`")),
                _ => None,
            };
            let help = elsewhere.or_else(|| did_you_mean(name, vocabulary::field_names(object)));
            let help = help.or_else(|| (object != Object::Ci).then(|| format!("a tag is written `{owner}.tags[\"{name}\"]`")));
            self.mistake(self.name_span(node), format!("`{owner}` has no field `{name}`"), help);
            return Type::Dyn.into();
        };
        if object.is_of_any_kind() && !here.kinds.is_empty() && here.kinds.and(found.kinds).is_empty() {
            let text = format!("`{name}` is an attribute of {}, and this is about {}", found.kinds, some_kinds(here.kinds));
            let help = match object == Object::Resource && found.kinds == Kinds::one(Kind::ScalingGroup) {
                true => Some(format!("for an instance's group, write `group.{name}`")),
                false => None,
            };
            self.mistake(self.name_span(node), text, help);
            return found.ty.into();
        }
        let attribute = matches!(found.field, Field::Attribute(..)).then_some(found.kinds).filter(|_| object.is_of_any_kind());
        Typed { attribute, is_nullable_object: false, field: Some((object, found.field)), ty: found.ty }
    }

    fn list(&mut self, node: &IdedExpr, list: &ListExpr, here: &Facts) -> Type {
        if list.elements.len() > LIST_MAX {
            self.mistake(
                self.span(node),
                format!("a list has at most {LIST_MAX} elements, and this one has {}", list.elements.len()),
                None,
            );
        }
        let types: Vec<Type> = list.elements.iter().map(|element| self.infer(element, here).ty).collect();
        Type::List(Box::new(common(types)))
    }

    fn map(&mut self, node: &IdedExpr, map: &MapExpr, here: &Facts) -> Type {
        if map.entries.len() > LIST_MAX {
            self.mistake(self.span(node), format!("a map has at most {LIST_MAX} entries, and this one has {}", map.entries.len()), None);
        }
        let mut types = Vec::new();
        let mut keys = BTreeSet::new();
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else { continue };
            match facts::literal(&entry.key) {
                Some(LiteralValue::String(key)) if keys.insert(key.inner().to_owned()) => {}
                Some(LiteralValue::String(_)) => self.mistake(self.span(&entry.key), "this key stands here twice", None),
                _ => self.mistake(self.span(&entry.key), "a key is a text in quotes", None),
            }
            types.push(self.infer(&entry.value, here).ty);
        }
        Type::Map(Box::new(common(types)))
    }

    fn call(&mut self, node: &IdedExpr, call: &CallExpr, here: &Facts) -> Type {
        let name = call.func_name.as_str();
        if call.target.is_some() {
            return self.function(node, call, here);
        }
        match (name, call.args.as_slice()) {
            (operators::LOGICAL_AND, [left, right]) => {
                let (of_left, of_right) = (Facts::of(left, true), Facts::of(right, true));
                self.condition(left, &here.and(&of_right));
                self.condition(right, &here.and(&of_left));
                Type::Bool
            }
            (operators::LOGICAL_OR, [left, right]) => {
                let (of_left, of_right) = (Facts::of(left, false), Facts::of(right, false));
                self.condition(left, &here.and(&of_right));
                self.condition(right, &here.and(&of_left));
                Type::Bool
            }
            (operators::LOGICAL_NOT, [inner]) => {
                self.condition(inner, here);
                Type::Bool
            }
            (operators::CONDITIONAL, [condition, yes, no]) => self.choice(node, (condition, yes, no), here, Self::strict),
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => self.equality(node, left, right, here),
            (operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS, [left, right]) => {
                self.ordering(node, left, right, here)
            }
            (operators::IN, [item, container]) => self.membership(node, item, container, here),
            (operators::INDEX, [container, index]) => self.index(node, container, index, here),
            (operators::ADD | operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO, [left, right]) => {
                let (left, right) = (self.strict(left, here), self.strict(right, here));
                self.arithmetic(node, name, &left, &right)
            }
            (operators::NEGATE, [inner]) => match self.strict(inner, here) {
                ty @ (Type::Int | Type::Double | Type::Dyn) => ty,
                other => {
                    self.mistake(self.span(node), format!("{} has no negative", with_article(&other)), None);
                    Type::Dyn
                }
            },
            _ => self.function(node, call, here),
        }
    }

    fn condition(&mut self, node: &IdedExpr, here: &Facts) {
        let outer = std::mem::replace(&mut self.is_condition, true);
        let ty = self.strict(node, here);
        self.is_condition = outer;
        if !matches!(ty, Type::Bool | Type::Dyn) {
            self.mistake(self.span(node), format!("true or false is wanted here, and this is {}", with_article(&ty)), None);
        }
    }

    fn equality(&mut self, node: &IdedExpr, left: &IdedExpr, right: &IdedExpr, here: &Facts) -> Type {
        let (of_left, of_right) = (self.infer(left, here), self.infer(right, here));
        let is_whole = |ty: &Type| matches!(ty, Type::Map(_) | Type::Object(_));
        if is_whole(&of_left.ty) && is_whole(&of_right.ty) {
            self.mistake(self.span(node), "maps and objects cannot be compared as a whole", Some("compare their fields".to_owned()));
        } else if is_comparable(&of_left.ty, &of_right.ty) {
            self.word(&of_left, right, here);
            self.word(&of_right, left, here);
        } else {
            self.incomparable(node, "are never equal", (left, &of_left.ty), (right, &of_right.ty));
        }
        Type::Bool
    }

    fn incomparable(&mut self, node: &IdedExpr, how: &str, left: (&IdedExpr, &Type), right: (&IdedExpr, &Type)) {
        let help = conversion(left.1, right.1, self.written(right.0)).or_else(|| conversion(right.1, left.1, self.written(left.0)));
        self.mistake(self.span(node), format!("{} and {} {how}", with_article(left.1), with_article(right.1)), help);
    }

    /// A field with a closed set of words, against a literal that is none of them.
    fn word(&mut self, typed: &Typed, other: &IdedExpr, here: &Facts) {
        let (Some((object, field)), Some(LiteralValue::String(word))) = (typed.field, facts::literal(other)) else { return };
        let is_instance = object.is_of_any_kind() && here.kinds == Kinds::one(Kind::Instance);
        let words = match field {
            Field::State if is_instance => Some(InstanceState::ALL.iter().map(|state| state.as_str()).collect()),
            field => vocabulary::words(field),
        };
        let Some(words) = words.filter(|words| !words.contains(&word.inner())) else { return };
        let what = match field {
            Field::Kind => "kind",
            Field::Provider => "provider",
            Field::Stage => "stage",
            Field::Disposition => "disposition",
            _ => "state of an instance",
        };
        let help = did_you_mean(word.inner(), words.iter().copied()).unwrap_or_else(|| format!("one of {}", words.join(", ")));
        self.mistake(self.span(other), format!("`{}` is no {what}", word.inner()), Some(help));
    }

    fn ordering(&mut self, node: &IdedExpr, left: &IdedExpr, right: &IdedExpr, here: &Facts) -> Type {
        let (of_left, of_right) = (self.strict(left, here), self.strict(right, here));
        let is_number = |ty: &Type| matches!(ty, Type::Int | Type::Double | Type::Dyn);
        let has_order = |ty: &Type| matches!(ty, Type::Text | Type::Time | Type::Duration | Type::Dyn);
        let is_fine =
            (is_number(&of_left) && is_number(&of_right)) || (has_order(&of_left) && (of_left == of_right || of_right == Type::Dyn));
        let is_fine = is_fine || (of_left == Type::Dyn && has_order(&of_right));
        if !is_fine {
            self.incomparable(node, "have no order", (left, &of_left), (right, &of_right));
        }
        Type::Bool
    }

    fn membership(&mut self, node: &IdedExpr, item: &IdedExpr, container: &IdedExpr, here: &Facts) -> Type {
        let of_item = self.infer(item, here);
        let of_container = self.strict(container, here);
        match &of_container {
            Type::List(element) => {
                if !is_comparable(&of_item.ty, element) {
                    let text = format!("{} is never in {}", with_article(&of_item.ty), with_article(&of_container));
                    self.mistake(self.span(node), text, None);
                }
                if let Expr::List(list) = &container.expr {
                    for element in &list.elements {
                        self.word(&of_item, element, here);
                    }
                }
            }
            Type::Map(_) => {
                self.must_be_there(item, &of_item, here);
                if !matches!(of_item.ty, Type::Text | Type::Dyn) {
                    self.mistake(self.span(item), format!("a key is a string, and this is {}", with_article(&of_item.ty)), None);
                }
            }
            Type::Dyn => {}
            other => {
                let help = (*other == Type::Text).then(|| "to look for a text in a text: `text.contains(part)`".to_owned());
                self.mistake(self.span(container), format!("`in` looks into a list or a map, and this is {}", with_article(other)), help);
            }
        }
        Type::Bool
    }

    fn index(&mut self, node: &IdedExpr, container: &IdedExpr, index: &IdedExpr, here: &Facts) -> Type {
        let (of_container, of_index) = (self.strict(container, here), self.strict(index, here));
        if let (Type::Map(_), Some(LiteralValue::String(key))) = (&of_container, facts::literal(index)) {
            self.doubt_tag(node, container, key.inner(), here);
        }
        let (gives, wanted) = match &of_container {
            Type::Map(value) => (value.as_ref().clone(), Some(Type::Text)),
            Type::List(element) => {
                self.doubt_element(node, container, index, here);
                (element.as_ref().clone(), Some(Type::Int))
            }
            Type::Dyn => (Type::Dyn, None),
            other => {
                let text = format!("{} cannot be looked into with `[…]`", with_article(other));
                self.mistake(self.span(node), text, None);
                return Type::Dyn;
            }
        };
        if let Some(wanted) = wanted.filter(|wanted| of_index != *wanted && of_index != Type::Dyn) {
            let text = format!(
                "{} is looked into with {}, and this is {}",
                with_article(&of_container),
                with_article(&wanted),
                with_article(&of_index)
            );
            self.mistake(self.span(index), text, None);
        }
        gives
    }

    fn arithmetic(&mut self, node: &IdedExpr, operator: &str, left: &Type, right: &Type) -> Type {
        use Type::{Double, Duration, Dyn, Int, List, Text, Time};
        let gives = match (operator, left, right) {
            (_, Dyn, _) | (_, _, Dyn) => Some(Dyn),
            (operators::MODULO, Double, Double) => None,
            (_, Int, Int) => Some(Int),
            (_, Double, Double) => Some(Double),
            (operators::ADD, Text, Text) => Some(Text),
            (operators::ADD, List(a), List(b)) if is_comparable(a, b) => {
                Some(List(Box::new(common(vec![a.as_ref().clone(), b.as_ref().clone()]))))
            }
            (operators::ADD, Time, Duration) | (operators::ADD, Duration, Time) | (operators::SUBSTRACT, Time, Duration) => Some(Time),
            (operators::ADD | operators::SUBSTRACT, Duration, Duration) | (operators::SUBSTRACT, Time, Time) => Some(Duration),
            _ => None,
        };
        gives.unwrap_or_else(|| {
            let sign = operator.trim_matches('_');
            let help = match (left, right) {
                (Int, Double) | (Double, Int) => Some("make the whole number a decimal by `double(…)`".to_owned()),
                (Text, Int | Double | Time | Duration) | (Int | Double | Time | Duration, Text) => {
                    Some("make it a text by `string(…)`".to_owned())
                }
                (Duration, Int) | (Int, Duration) => Some("write the duration out, such as `duration(\"90m\")`".to_owned()),
                _ => None,
            };
            self.mistake(self.span(node), format!("`{sign}` does not go with {} and {}", with_article(left), with_article(right)), help);
            Dyn
        })
    }

    fn function(&mut self, node: &IdedExpr, call: &CallExpr, here: &Facts) -> Type {
        // The arguments of a macro that is none speak of an element that there is not.
        if let Some(Misuse { text, help }) = library::not_a_macro(&call.func_name) {
            self.mistake(self.span(node), text, help);
            return Type::Dyn;
        }
        let before = self.mistakes.len();
        let target = call.target.as_deref().map(|target| self.strict(target, here));
        if !library::is_known(&call.func_name) {
            let Misuse { text, help } = library::unknown(&call.func_name, target.is_some());
            self.mistake(self.name_span(node), text, help);
            return Type::Dyn;
        }
        let arguments: Vec<Type> = call.args.iter().map(|argument| self.strict(argument, here)).collect();
        match library::call(&call.func_name, target.as_ref(), &arguments) {
            Ok(gives) => {
                // What went wrong within is told already.
                if self.mistakes.len() == before {
                    self.literals(node, call);
                    self.doubt_reading(node, call, here);
                }
                gives
            }
            Err(Misuse { text, help }) => {
                self.mistake(self.span(node), text, help);
                library::gives(&call.func_name).unwrap_or(Type::Dyn)
            }
        }
    }

    fn comprehension(&mut self, node: &IdedExpr, inner: &ComprehensionExpr, here: &Facts) -> Type {
        let range = self.strict(&inner.iter_range, here);
        if !self.is_bounded(&inner.iter_range) {
            let text = "a macro goes over a field (tags, a list) or a list written out";
            self.mistake(self.span(&inner.iter_range), text, None);
        }
        if self.items.len() >= NESTING_MAX {
            self.mistake(self.span(node), format!("macros stand at most {NESTING_MAX} deep in one another"), None);
            return Type::Dyn;
        }
        let element = match &range {
            Type::List(element) => element.as_ref().clone(),
            Type::Map(_) => Type::Text,
            Type::Dyn => Type::Dyn,
            other => {
                self.mistake(
                    self.span(&inner.iter_range),
                    format!("a macro goes over a list or a map, and this is {}", with_article(other)),
                    None,
                );
                Type::Dyn
            }
        };
        let item = &inner.iter_var;
        if self.vocabulary.variable(item).is_some() || self.items.iter().any(|(name, _)| name == item) || item.starts_with('.') {
            self.mistake(self.span(node), format!("`{item}` is taken: an element needs a name of its own"), None);
        }
        let Some(form) = Macro::of(inner) else {
            self.mistake(self.span(node), "this macro is not known", None);
            return Type::Dyn;
        };
        self.items.push((item.clone(), element));
        let gives = match form {
            Macro::Test(condition) => {
                self.condition(condition, here);
                Type::Bool
            }
            Macro::Map(result) => Type::List(Box::new(self.infer(result, here).ty)),
            Macro::Pick(condition, result) => {
                self.condition(condition, here);
                Type::List(Box::new(self.infer(result, &here.and(&Facts::of(condition, true))).ty))
            }
        };
        self.items.pop();
        gives
    }

    /// Whether a macro may go over it: its length is that of a field, or of what is written out.
    fn is_bounded(&self, range: &IdedExpr) -> bool {
        match &range.expr {
            Expr::List(_) => true,
            Expr::Select(select) if !select.test => {
                matches!(&select.operand.expr, Expr::Ident(name) if self.vocabulary.object(name).is_some())
            }
            Expr::Comprehension(inner) => matches!(inner.accu_init.expr, Expr::List(_)) && self.is_bounded(&inner.iter_range),
            _ => false,
        }
    }
}

/// Kinds in words, as few as tell it.
fn some_kinds(kinds: Kinds) -> String {
    let words: Vec<&str> = kinds.iter().map(Kind::as_str).collect();
    match words.as_slice() {
        [first, second, _, rest @ ..] if !rest.is_empty() => format!("{first}, {second} and {} other kinds", words.len() - 2),
        _ => kinds.to_string(),
    }
}
