//! What is allowed, and fails on some resources without being meant to.

use cel::IdedExpr;

use super::Checker;
use crate::expression::Mistake;
use crate::expression::facts::{self, Facts};

impl Checker<'_> {
    /// A tag that is read where nothing has asked whether it is there: that fails on every resource without it.
    pub(super) fn doubt_tag(&mut self, node: &IdedExpr, container: &IdedExpr, key: &str, here: &Facts) {
        let Some(tag) = facts::tag(container, key).filter(|tag| !here.present.contains(tag)) else { return };
        let (at, tags) = (self.span(node), self.written(container).to_owned());
        let text = format!("`{}` fails on everything without the tag {key:?}", self.written(node));
        let doubt = Mistake::new(at, text).with_help(format!("ask for the tag first: `{key:?} in {tags} && …`"));
        self.doubt(tag, doubt);
    }

    /// A name that is worked with where nothing has asked whether there is one: that fails on every resource without it.
    pub(super) fn doubt_name(&mut self, node: &IdedExpr, path: String) {
        let text = format!("`{path}` is null where nobody gave a name, and this fails there");
        let doubt = Mistake::new(self.span(node), text).with_help(format!("ask for it first: `{path} != null && …`"));
        self.doubt(path, doubt);
    }

    fn doubt(&mut self, path: String, doubt: Mistake) {
        let first = self.doubts.entry(path).or_insert_with(|| doubt.clone());
        if doubt.at.start < first.at.start {
            *first = doubt;
        }
    }
}
