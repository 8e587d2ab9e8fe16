//! What is allowed, and fails on some resources without being meant to.

use cel::IdedExpr;

use super::{Checker, Typed};
use crate::expression::Mistake;
use crate::expression::facts::{self, Facts};
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

    fn doubt(&mut self, path: String, doubt: Mistake) {
        let first = self.doubts.entry(path).or_insert_with(|| doubt.clone());
        if doubt.at.start < first.at.start {
            *first = doubt;
        }
    }
}
