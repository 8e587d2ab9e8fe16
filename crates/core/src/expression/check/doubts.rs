//! What is allowed, and fails on some resources without being meant to.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, LiteralValue};

use super::{Checker, Typed};
use crate::expression::Mistake;
use crate::expression::facts::{self, Facts, Form};
use crate::expression::library;
use crate::expression::types::Type;
use crate::expression::vocabulary::{self, Field, Object};

impl Checker<'_> {
    /// A tag that is read where nothing has asked whether it is there: that fails on every resource without it.
    pub(super) fn doubt_tag(&mut self, node: &IdedExpr, container: &IdedExpr, key: &str, here: &Facts) {
        let Some(tag) = facts::tag(container, key).filter(|tag| !here.present.contains(tag)) else { return };
        let (at, tags) = (self.span(node), self.written(container).to_owned());
        let all = match self.vocabulary.main() {
            Object::Record => "every record",
            _ => "everything",
        };
        let text = format!("`{}` fails on {all} without the tag {key:?}", self.written(node));
        let test = self.guarded(&format!("{key:?} in {tags}"));
        let doubt = Mistake::new(at, text).with_help(format!("ask for the tag first: `{test}`"));
        self.doubt(tag, doubt);
    }

    /// A field that is worked with where it may be null and nothing has asked whether it is: that fails on every resource without it.
    pub(super) fn doubt_field(&mut self, node: &IdedExpr, path: String, typed: &Typed, here: &Facts) {
        let Some((object, field)) = typed.field else { return };
        let Some(place) = vocabulary::is_null_where(object, field, here.kinds) else { return };
        let asked = format!("ask for it first: `{}`", self.guarded(&format!("{path} != null")));
        let help = match (object, field) {
            (Object::Resource, Field::CreatedAt) => format!("{asked}; or take `resource.age`, which everything has"),
            _ if typed.ty == Type::Bool => format!("write `{path} == true`"),
            _ => asked,
        };
        let text = match object {
            Object::Record => format!("`{path}` is null {place}, and this fails on every record without it"),
            _ => format!("`{path}` is null {place}, and this fails there"),
        };
        let doubt = Mistake::new(self.span(node), text).with_help(help);
        self.doubt(path, doubt);
    }

    /// A tag's value that is read as a time, a duration or a number, where nothing has asked whether it is one: people write anything into tags.
    pub(super) fn doubt_reading(&mut self, node: &IdedExpr, call: &CallExpr, here: &Facts) {
        let ([argument], None) = (call.args.as_slice(), &call.target) else { return };
        let Some(value) = facts::value(argument) else { return };
        let tag = self.written(argument).to_owned();
        let name = call.func_name.as_str();
        let pattern = library::form(name).unwrap_or_default();
        let asked = || (Form::Pattern, format!("ask for its form first: `{tag}.matches(\"{pattern}\") && …`"));
        let (what, (form, help)) = match name {
            "timestamp" => (
                "no time with seconds and offset",
                (Form::Pattern, format!("write `isExpiry({tag}) && expiry({tag})`, which takes dates as people write them")),
            ),
            "expiry" => ("no date or time", (Form::Expiry, format!("ask for it first: `isExpiry({tag}) && …`"))),
            "duration" => ("no duration", asked()),
            "int" => ("no whole number", asked()),
            "double" => ("no number", asked()),
            _ => return,
        };
        // A text that `isExpiry` takes may still be no time in full, and a pattern may be any.
        if here.formed.contains(&(form, value.clone())) || here.formed.contains(&(Form::Pattern, value.clone())) {
            return;
        }
        let text = format!("`{}` fails where the tag's value is {what}", self.written(node));
        self.doubt(format!("{}({value})", call.func_name), Mistake::new(self.span(node), text).with_help(help));
    }

    /// An element of a list attribute that may have fewer.
    pub(super) fn doubt_element(&mut self, node: &IdedExpr, container: &IdedExpr, index: &IdedExpr, here: &Facts) {
        let Some(path) = facts::path(container) else { return };
        let last = match facts::literal(index) {
            Some(LiteralValue::Int(index)) => u64::try_from(*index.inner()).unwrap_or_default(),
            _ => 0,
        };
        if here.lengths.get(&path).is_some_and(|length| *length > last) {
            return;
        }
        // One doubt tells of both.
        let is_null_doubted = self.doubts.remove(&path).is_some();
        let (or_null, asked) = if is_null_doubted { (" or null", format!("{path} != null && ")) } else { ("", String::new()) };
        let text = format!("`{}` fails where the list is shorter{or_null}", self.written(node));
        let help = format!("ask for its length first: `{asked}size({path}) > {last} && …`");
        self.doubt(path, Mistake::new(self.span(container), text).with_help(help));
    }

    fn doubt(&mut self, path: String, doubt: Mistake) {
        let first = self.doubts.entry(path).or_insert_with(|| doubt.clone());
        if doubt.at.start < first.at.start {
            *first = doubt;
        }
    }
}
