//! What the whole of an expression must give, and what guards its parts.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, operators};

use super::Checker;
use crate::expression::facts::Facts;
use crate::expression::types::{Type, common, is_comparable, with_article};
use crate::expression::{Mistake, Wanted};

impl Checker<'_> {
    /// Checks the whole, and that it gives what is wanted.
    pub(super) fn whole(&mut self, tree: &IdedExpr, wanted: Wanted, given: &Facts) {
        let result = if wanted == Wanted::Value { self.handed_on(tree, given) } else { self.strict(tree, given) };
        let (is_fine, what, help) = match wanted {
            Wanted::Condition => (result == Type::Bool, "a condition gives true or false", None),
            Wanted::Text => (result == Type::Text, "this must give a text", Some("a number or time becomes a text by `string(…)`")),
            Wanted::Value => {
                let (is_fine, help) = match unwritable(&result) {
                    None => (true, None),
                    Some(Type::Duration) => {
                        (false, Some("write a duration as a text by `string(…)`, or in a unit, such as `x.getHours()`"))
                    }
                    Some(_) => (false, Some("name one of its fields")),
                };
                (is_fine, "this must give what a field can hold", help)
            }
        };
        if !is_fine && result != Type::Dyn {
            let mistake = Mistake::new(0..self.source.len(), format!("{what}, and this gives {}", with_article(&result)));
            self.mistakes.push(mistake.maybe_help(help.map(str::to_owned)));
        }
    }

    /// How a test is put before what it guards.
    pub(super) fn guarded(&self, test: &str) -> String {
        if self.is_condition { format!("{test} && …") } else { format!("{test} ? … : null") }
    }

    /// The type of a value that nothing is done with but to hand it on: it may be null.
    fn handed_on(&mut self, node: &IdedExpr, here: &Facts) -> Type {
        match &node.expr {
            Expr::Call(CallExpr { func_name, args, .. }) if func_name == operators::CONDITIONAL => match args.as_slice() {
                [condition, yes, no] => self.choice(node, (condition, yes, no), here, Self::handed_on),
                _ => self.infer(node, here).ty,
            },
            _ => self.infer(node, here).ty,
        }
    }

    /// The type of `condition ? yes : no`.
    pub(super) fn choice(
        &mut self,
        node: &IdedExpr,
        (condition, yes, no): (&IdedExpr, &IdedExpr, &IdedExpr),
        here: &Facts,
        branch: impl Fn(&mut Self, &IdedExpr, &Facts) -> Type,
    ) -> Type {
        self.condition(condition, here);
        let yes = branch(self, yes, &here.and(&Facts::of(condition, true)));
        let no = branch(self, no, &here.and(&Facts::of(condition, false)));
        if !is_comparable(&yes, &no) {
            self.mistake(self.span(node), format!("this gives {} or {}", with_article(&yes), with_article(&no)), None);
        }
        common(vec![yes, no])
    }
}

/// What of a value no field can hold: a duration, which tells no unit, and an object as a whole.
fn unwritable(ty: &Type) -> Option<&Type> {
    match ty {
        Type::Duration | Type::Object(_) => Some(ty),
        Type::List(item) | Type::Map(item) => unwritable(item),
        Type::Bool | Type::Int | Type::Double | Type::Text | Type::Time | Type::Null | Type::Dyn => None,
    }
}
