//! Why an evaluation failed, in the words of who wrote the expression.

use cel::common::ast::{Expr, operators};
use cel::common::types::{CelBool, CelNull};
use cel::{Context, ExecutionError, IdedExpr, Value};

use super::facts;
use super::library;
use super::parse::{Spans, parts};
use super::values;

/// An expression that failed on a resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct EvaluationError {
    text: String,
    hint: Option<String>,
}

impl EvaluationError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), hint: None }
    }

    /// A part of the expression has no value: what asks for it.
    pub(super) fn null(part: &str, text: String) -> Self {
        Self { text, hint: Some(format!("`{part} != null && …`")) }
    }

    /// What to ask first, so that it does not fail: a piece of an expression in backquotes.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Finds the part that failed, by evaluating the parts again, and says what it lacks.
    pub(super) fn of(source: &str, tree: &IdedExpr, spans: &Spans, context: &Context<'_, '_>, error: &ExecutionError) -> Self {
        let culprit = culprit(tree, context);
        let own = Value::resolve_val(culprit, context).err();
        let error = own.as_ref().unwrap_or(error);
        reason(source, culprit, spans, context, error)
    }
}

/// The smallest part that fails by itself. Inside a macro nothing can be evaluated apart from its element: the macro is the part then.
fn culprit<'e>(node: &'e IdedExpr, context: &Context<'_, '_>) -> &'e IdedExpr {
    let fails = |node: &&IdedExpr| Value::resolve_val(node, context).is_err();
    let within = match &node.expr {
        Expr::Comprehension(inner) => Some(&inner.iter_range).filter(|range| fails(range)),
        Expr::Call(call) if call.func_name == operators::CONDITIONAL => match call.args.as_slice() {
            [condition, yes, no] => {
                let branch = match Value::resolve_val(condition, context) {
                    Err(_) => condition,
                    Ok(value) if value.downcast_ref::<CelBool>().is_some_and(|flag| *flag.inner()) => yes,
                    Ok(_) => no,
                };
                Some(branch).filter(|branch| fails(branch))
            }
            _ => None,
        },
        _ => parts(node).into_iter().find(fails),
    };
    within.map_or(node, |within| culprit(within, context))
}

fn reason(source: &str, node: &IdedExpr, spans: &Spans, context: &Context<'_, '_>, error: &ExecutionError) -> EvaluationError {
    let told = |text: String, hint: Option<String>| EvaluationError { text, hint };
    let written = |node: &IdedExpr| source.get(spans.of_node(source, node)).unwrap_or("the expression").to_owned();
    let is_null = |part: &&IdedExpr| Value::resolve_val(part, context).is_ok_and(|value| value.downcast_ref::<CelNull>().is_some());
    if let ExecutionError::NoSuchKey(key) = error {
        let container = match &node.expr {
            Expr::Select(select) => Some(&*select.operand),
            Expr::Call(call) => call.args.first(),
            _ => None,
        };
        if let Some(path) = container.and_then(facts::path) {
            return match path.strip_suffix(".tags") {
                Some(owner) => told(format!("{owner} has no tag `{key}`"), Some(format!("`{:?} in {path} && …`", key.to_string()))),
                None => told(format!("{path} has no entry `{key}`"), None),
            };
        }
        return told(format!("`{}` has no entry `{key}`", written(node)), None);
    }
    let is_strict = match &node.expr {
        Expr::Call(call) => !matches!(call.func_name.as_str(), operators::EQUALS | operators::NOT_EQUALS),
        Expr::Select(_) | Expr::Comprehension(_) => true,
        _ => false,
    };
    let candidates = if matches!(node.expr, Expr::Comprehension(_)) { parts(node).into_iter().take(1).collect() } else { parts(node) };
    if let Some(part) = candidates.into_iter().filter(|_| is_strict).find(is_null) {
        return match facts::path(part) {
            Some(object) if !object.contains('.') => EvaluationError::null(&object, format!("{object} is null")),
            Some(path) => EvaluationError::null(&path, format!("{path} has no value")),
            None => EvaluationError::null(&written(part), format!("`{}` has no value", written(part))),
        };
    }
    let hint = asking(node, &written);
    let reason = match conversion(node, context) {
        Some(text) => format!("{:?}: {}", text.chars().take(80).collect::<String>(), library::told(error)),
        None => library::told(error),
    };
    match (facts::path(node), error) {
        (Some(path), ExecutionError::FunctionError { .. }) => told(format!("{path} {reason}"), hint),
        _ => told(format!("`{}`: {reason}", written(node)), hint),
    }
}

/// What asks whether a text can be read as what it is read as, or whether a list is long enough.
fn asking(node: &IdedExpr, written: &impl Fn(&IdedExpr) -> String) -> Option<String> {
    let Expr::Call(call) = &node.expr else { return None };
    match (call.func_name.as_str(), call.args.as_slice()) {
        ("timestamp" | "expiry", [text]) => Some(format!("`isExpiry({text}) && expiry({text})`", text = written(text))),
        (operators::INDEX, [list, index]) => Some(format!("`size({}) > {} && …`", written(list), written(index))),
        (name, [text]) => library::form(name).map(|pattern| format!("`{}.matches(\"{pattern}\") && …`", written(text))),
        _ => None,
    }
}

/// The text that a conversion could not read.
fn conversion(node: &IdedExpr, context: &Context<'_, '_>) -> Option<String> {
    let Expr::Call(call) = &node.expr else { return None };
    match (call.func_name.as_str(), call.args.as_slice()) {
        ("timestamp" | "duration" | "int" | "double", [argument]) => {
            Value::resolve_val(argument, context).ok().and_then(|value| values::text(value.as_ref()).map(str::to_owned))
        }
        _ => None,
    }
}
