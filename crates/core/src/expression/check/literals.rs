//! What literals tell before anything is asked.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue};

use super::Checker;
use crate::expression::{facts, library};

impl Checker<'_> {
    /// What the literals of a call tell before anything is asked: patterns, times, durations, time zones.
    pub(super) fn literals(&mut self, node: &IdedExpr, call: &CallExpr) {
        let text = |node: &IdedExpr| match facts::literal(node) {
            Some(LiteralValue::String(text)) => Some(text.inner().to_owned()),
            _ => None,
        };
        match (call.func_name.as_str(), call.args.as_slice()) {
            ("matches", [pattern]) => match text(pattern) {
                Some(written) => {
                    if let Err(error) = library::pattern(&written) {
                        let reason = error.to_string();
                        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                        self.mistake(self.span(pattern), format!("this pattern cannot be used: {reason}"), None);
                    }
                }
                None => self.mistake(
                    self.span(pattern),
                    "a pattern is a text in quotes",
                    Some("to look for a value: `text.contains(value)`".to_owned()),
                ),
            },
            ("replace", [from, _]) if text(from).is_none_or(|from| from.is_empty()) => {
                self.mistake(self.span(from), "what is replaced is a text in quotes, not empty", None);
            }
            (name, [zone]) if call.target.is_some() && name.starts_with("get") => match text(zone) {
                Some(_) => {
                    let mut probe = call.clone();
                    let epoch = IdedExpr { id: 0, expr: Expr::Literal(LiteralValue::Int(0.into())) };
                    let epoch = CallExpr { func_name: "timestamp".to_owned(), target: None, args: vec![epoch] };
                    probe.target = Some(Box::new(IdedExpr { id: 0, expr: Expr::Call(epoch) }));
                    self.folded(zone, &IdedExpr { id: 0, expr: Expr::Call(probe) });
                }
                None => self.mistake(
                    self.span(zone),
                    "a time zone is a text in quotes",
                    Some("such as \"Europe/Berlin\" or \"+02:00\"".to_owned()),
                ),
            },
            ("timestamp" | "expiry" | "duration" | "int" | "double", [argument]) if facts::literal(argument).is_some() => {
                self.folded(argument, node);
            }
            _ => {}
        }
    }

    /// Evaluates what rests on literals alone.
    fn folded(&mut self, at: &IdedExpr, node: &IdedExpr) {
        if let Err(error) = library::fold(node) {
            let help = match &node.expr {
                Expr::Call(call) if call.func_name == "duration" => Some("such as \"90s\", \"15m\" or \"36h\""),
                Expr::Call(call) if call.func_name == "timestamp" => Some("such as \"2026-11-30T18:00:00Z\""),
                _ => None,
            };
            self.mistake(
                self.span(at),
                format!("`{}` cannot be read: {}", self.written(at), library::told(&error)),
                help.map(str::to_owned),
            );
        }
    }
}
