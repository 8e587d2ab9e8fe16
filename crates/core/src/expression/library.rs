//! The functions that an expression may call: their signatures, and those of our own making.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::common::types::{CelBool, CelInt, CelList, CelString, INT_TYPE, LIST_TYPE, STRING_TYPE};
use cel::common::value::CowVal;
use cel::{Env, ExecutionError};
use jiff::civil;
use jiff::{Timestamp, tz};
use regex::{Regex, RegexBuilder};

use super::types::Type;
use super::values::{self, Boxed};
use super::vocabulary;

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Param {
    Bool,
    Int,
    Double,
    Text,
    Time,
    Duration,
    List,
    Texts,
    Map,
}

use Param::{Bool, Double, Duration, Int, List, Map, Text, Texts, Time};

impl Param {
    fn takes(self, ty: &Type) -> bool {
        match ty {
            Type::Bool => self == Bool,
            Type::Int => self == Int,
            Type::Double => self == Double,
            Type::Text => self == Text,
            Type::Time => self == Time,
            Type::Duration => self == Duration,
            Type::List(item) => self == List || (self == Texts && matches!(**item, Type::Text | Type::Dyn)),
            Type::Map(_) => self == Map,
            Type::Dyn => true,
            Type::Null | Type::Object(_) => false,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Bool => "bool",
            Int => "int",
            Double => "double",
            Text => "string",
            Time => "timestamp",
            Duration => "duration",
            List => "list",
            Texts => "list(string)",
            Map => "map",
        }
    }
}

/// What a function gives.
#[derive(Debug, Clone, Copy)]
pub(super) enum Gives {
    Bool,
    Int,
    Double,
    Text,
    Time,
    Duration,
    Texts,
}

impl From<Gives> for Type {
    fn from(gives: Gives) -> Self {
        match gives {
            Gives::Bool => Self::Bool,
            Gives::Int => Self::Int,
            Gives::Double => Self::Double,
            Gives::Text => Self::Text,
            Gives::Time => Self::Time,
            Gives::Duration => Self::Duration,
            Gives::Texts => Self::List(Box::new(Self::Text)),
        }
    }
}

/// A function. The first parameter of a method is what it is called on.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) is_method: bool,
    pub(super) overloads: &'static [&'static [Param]],
    pub(super) gives: Gives,
}

const fn function(name: &'static str, overloads: &'static [&'static [Param]], gives: Gives) -> Function {
    Function { name, is_method: false, overloads, gives }
}

const fn method(name: &'static str, overloads: &'static [&'static [Param]], gives: Gives) -> Function {
    Function { name, is_method: true, overloads, gives }
}

const OF_TIME: &[&[Param]] = &[&[Time], &[Time, Text]];

/// Everything that can be called, apart from operators and macros.
pub(super) const FUNCTIONS: &[Function] = &[
    function("size", &[&[Text], &[List], &[Map]], Gives::Int),
    function("timestamp", &[&[Text], &[Time], &[Int]], Gives::Time),
    function("expiry", &[&[Text]], Gives::Time),
    function("isExpiry", &[&[Text]], Gives::Bool),
    function("duration", &[&[Text], &[Duration]], Gives::Duration),
    function("int", &[&[Text], &[Double], &[Int], &[Time]], Gives::Int),
    function("double", &[&[Text], &[Int], &[Double]], Gives::Double),
    function("string", &[&[Text], &[Int], &[Double], &[Bool], &[Time], &[Duration]], Gives::Text),
    method("size", &[&[Text], &[List], &[Map]], Gives::Int),
    method("contains", &[&[Text, Text]], Gives::Bool),
    method("startsWith", &[&[Text, Text]], Gives::Bool),
    method("endsWith", &[&[Text, Text]], Gives::Bool),
    method("matches", &[&[Text, Text]], Gives::Bool),
    method("lowerAscii", &[&[Text]], Gives::Text),
    method("upperAscii", &[&[Text]], Gives::Text),
    method("trim", &[&[Text]], Gives::Text),
    method("replace", &[&[Text, Text, Text]], Gives::Text),
    method("split", &[&[Text, Text]], Gives::Texts),
    method("join", &[&[Texts], &[Texts, Text]], Gives::Text),
    method("substring", &[&[Text, Int], &[Text, Int, Int]], Gives::Text),
    method("getFullYear", OF_TIME, Gives::Int),
    method("getMonth", OF_TIME, Gives::Int),
    method("getDate", OF_TIME, Gives::Int),
    method("getDayOfMonth", OF_TIME, Gives::Int),
    method("getDayOfWeek", OF_TIME, Gives::Int),
    method("getHours", &[&[Time], &[Time, Text], &[Duration]], Gives::Int),
    method("getMinutes", &[&[Time], &[Time, Text], &[Duration]], Gives::Int),
];

const MACROS: &[(&str, &str)] = &[
    ("exists", "x.exists(item, condition)"),
    ("all", "x.all(item, condition)"),
    ("exists_one", "x.exists_one(item, condition)"),
    ("filter", "x.filter(item, condition)"),
    ("map", "x.map(item, result)"),
    ("has", "has(x.name)"),
];

/// What functions are called in other languages, in small letters, and how to write it here.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (&["lower", "tolower", "lowercase", "tolowercase", "downcase"], "x.lowerAscii()"),
    (&["upper", "toupper", "uppercase", "touppercase", "upcase"], "x.upperAscii()"),
    (&["len", "length", "count"], "size(x)"),
    (&["strip", "trimspace"], "x.trim()"),
    (&["includes", "has", "haskey", "containskey"], "part in x"),
    (&["match", "regex", "regexmatch", "like"], "x.matches(\"pattern\")"),
    (&["any", "some"], "x.exists(item, condition)"),
    (&["every"], "x.all(item, condition)"),
    (&["now", "today"], "now"),
    (&["str", "tostring", "text"], "string(x)"),
    (&["float", "number"], "double(x)"),
    (&["date", "time", "parsedate"], "timestamp(x)"),
];

/// A pattern for texts that a conversion can read.
pub(super) fn form(conversion: &str) -> Option<&'static str> {
    match conversion {
        "duration" => Some("^[0-9]{1,6}[smh]$"),
        "int" => Some("^[0-9]{1,9}$"),
        "double" => Some("^[0-9]{1,9}([.][0-9]+)?$"),
        _ => None,
    }
}

/// Why a call cannot be, and the mend.
pub(super) struct Misuse {
    pub(super) text: String,
    pub(super) help: Option<String>,
}

/// The type that a call gives.
pub(super) fn call(name: &str, target: Option<&Type>, arguments: &[Type]) -> Result<Type, Misuse> {
    let is_method = target.is_some();
    let Some(function) = FUNCTIONS.iter().find(|function| function.name == name && function.is_method == is_method) else {
        return Err(unknown(name, is_method));
    };
    let given: Vec<&Type> = target.into_iter().chain(arguments).collect();
    let fits = |overload: &&[Param]| overload.len() == given.len() && overload.iter().zip(&given).all(|(param, ty)| param.takes(ty));
    if function.overloads.iter().any(fits) {
        return Ok(function.gives.into());
    }
    let written: Vec<String> = function.overloads.iter().map(|overload| signature(function, overload)).collect();
    let help = Some(format!("it is {}", written.join(" or ")));
    let counts = function.overloads.iter().map(|overload| overload.len() - usize::from(is_method));
    let text = if counts.clone().any(|count| count == arguments.len()) {
        let listed: Vec<String> = arguments.iter().map(Type::to_string).collect();
        match target {
            Some(target) if arguments.is_empty() => format!("`{name}` cannot be called on {target}"),
            Some(target) => format!("`{name}` does not go with {target} and ({})", listed.join(", ")),
            None => format!("`{name}` does not take ({})", listed.join(", ")),
        }
    } else {
        let wanted = counts.min().unwrap_or(0);
        let noun = if wanted == 1 { "argument" } else { "arguments" };
        format!("`{name}` takes {wanted} {noun}, not {}", arguments.len())
    };
    Err(Misuse { text, help })
}

fn signature(function: &Function, overload: &[Param]) -> String {
    let listed = |params: &[Param]| params.iter().map(|param| param.as_str()).collect::<Vec<_>>().join(", ");
    match overload.split_first() {
        Some((target, rest)) if function.is_method => format!("`{}.{}({})`", target.as_str(), function.name, listed(rest)),
        _ => format!("`{}({})`", function.name, listed(overload)),
    }
}

/// The misuse of a macro's name: the parser takes what fits for the macro, and leaves the rest as a call.
pub(super) fn not_a_macro(name: &str) -> Option<Misuse> {
    let (_, form) = MACROS.iter().find(|(known, _)| *known == name)?;
    Some(Misuse { text: format!("`{name}` is not written so"), help: Some(format!("it is `{form}`")) })
}

/// A call of what is no function, or not in this way.
pub(super) fn unknown(name: &str, is_method: bool) -> Misuse {
    if FUNCTIONS.iter().any(|function| function.name == name) {
        let help = if is_method { format!("write `{name}(x)`") } else { format!("write `x.{name}(…)`") };
        return Misuse { text: format!("`{name}` is not called this way"), help: Some(help) };
    }
    let names = FUNCTIONS.iter().map(|function| function.name).chain(MACROS.iter().map(|(name, _)| *name));
    let plain = name.to_ascii_lowercase().replace('_', "");
    let elsewhere = ELSEWHERE.iter().find(|(names, _)| names.contains(&plain.as_str())).map(|(_, ours)| format!("it is `{ours}` here"));
    Misuse { text: format!("unknown function `{name}`"), help: elsewhere.or_else(|| vocabulary::did_you_mean(name, names)) }
}

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    // No container, no optional values: a name means one thing.
    let mut environment = Env::default().with_optional_support(false).with_stdlib();
    let of_text = |count: usize| (0..count).map(|_| STRING_TYPE).collect::<Vec<_>>();
    let added = [
        environment.add_overload("expiry", "dewpoint_expiry", of_text(1), expiry_of),
        environment.add_overload("isExpiry", "dewpoint_is_expiry", of_text(1), is_expiry),
        environment.add_member_overload("matches", "dewpoint_matches", STRING_TYPE, of_text(1), matches),
        environment.add_member_overload("lowerAscii", "dewpoint_lower", STRING_TYPE, of_text(0), lower),
        environment.add_member_overload("upperAscii", "dewpoint_upper", STRING_TYPE, of_text(0), upper),
        environment.add_member_overload("trim", "dewpoint_trim", STRING_TYPE, of_text(0), trim),
        environment.add_member_overload("replace", "dewpoint_replace", STRING_TYPE, of_text(2), replace),
        environment.add_member_overload("split", "dewpoint_split", STRING_TYPE, of_text(1), split),
        environment.add_member_overload("join", "dewpoint_join", LIST_TYPE, of_text(0), join),
        environment.add_member_overload("join", "dewpoint_join_with", LIST_TYPE, of_text(1), join),
        environment.add_member_overload("substring", "dewpoint_substring", STRING_TYPE, vec![INT_TYPE], substring),
        environment.add_member_overload("substring", "dewpoint_substring_to", STRING_TYPE, vec![INT_TYPE, INT_TYPE], substring),
    ];
    debug_assert!(added.iter().all(Result::is_ok), "a function of ours has a namesake in the standard library");
    Arc::new(environment)
});

/// The functions as the interpreter finds them.
pub(super) fn environment() -> Arc<Env> {
    Arc::clone(&ENVIRONMENT)
}

/// Longest text that `replace` and `join` make, in bytes: they alone can make a text longer than all that was written and read for it.
const MADE_BYTES_MAX: usize = 64 << 10;

/// Largest compiled pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Compiled patterns kept per thread.
const PATTERNS_KEPT: usize = 256;

type Answer<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

fn argument<'x>(arguments: &'x [CowVal<'_, '_>], at: usize) -> &'x str {
    arguments.get(at).and_then(|argument| values::text(argument.as_ref())).unwrap_or_default()
}

fn text_value<'b, 'v>(text: String) -> CowVal<'b, 'v> {
    CowVal::owned(CelString::from(text))
}

#[expect(clippy::needless_pass_by_value, reason = "the interpreter's signature")]
fn lower<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    Ok(text_value(argument(&arguments, 0).to_ascii_lowercase()))
}

#[expect(clippy::needless_pass_by_value, reason = "the interpreter's signature")]
fn upper<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    Ok(text_value(argument(&arguments, 0).to_ascii_uppercase()))
}

#[expect(clippy::needless_pass_by_value, reason = "the interpreter's signature")]
fn trim<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    Ok(text_value(argument(&arguments, 0).trim().to_owned()))
}

#[expect(clippy::needless_pass_by_value, reason = "the interpreter's signature")]
fn replace<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let (text, from, to) = (argument(&arguments, 0), argument(&arguments, 1), argument(&arguments, 2));
    let found = if to.len() > from.len() { text.matches(from).count() } else { 0 };
    let longest = found.saturating_mul(to.len() - from.len().min(to.len())).saturating_add(text.len());
    if longest > MADE_BYTES_MAX.max(text.len()) {
        return Err(ExecutionError::function_error("replace", "the result would be longer than 64 KiB"));
    }
    Ok(text_value(text.replace(from, to)))
}

#[expect(clippy::needless_pass_by_value, reason = "the interpreter's signature")]
fn split<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let (text, at) = (argument(&arguments, 0), argument(&arguments, 1));
    let part = |part: &str| -> Boxed<'v> { Box::new(CelString::from(part.to_owned())) };
    // As the language's own extension: nothing to split at gives the characters.
    let parts: Vec<Boxed<'v>> = if at.is_empty() {
        text.chars().map(|character| part(character.encode_utf8(&mut [0; 4]))).collect()
    } else {
        text.split(at).map(part).collect()
    };
    Ok(CowVal::owned(CelList::from(parts)))
}

/// The texts of a list in one, with nothing or a text between them.
#[expect(clippy::needless_pass_by_value, reason = "the interpreter's signature")]
fn join<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let between = argument(&arguments, 1);
    let mut joined = String::new();
    let mut items = arguments.first().and_then(|list| list.as_iterable()).map(cel::common::traits::Iterable::iter);
    let mut is_first = true;
    while let Some(item) = items.as_mut().and_then(|items| items.next()) {
        let text = values::text(item).ok_or_else(|| ExecutionError::function_error("join", "the list does not hold texts alone"))?;
        joined.push_str(if is_first { "" } else { between });
        joined.push_str(text);
        is_first = false;
        if joined.len() > MADE_BYTES_MAX {
            return Err(ExecutionError::function_error("join", "the result would be longer than 64 KiB"));
        }
    }
    Ok(text_value(joined))
}

/// The characters of a text from one position to before another, or to its end. As the language's own extension: both count from 0, and lie in the
/// text.
#[expect(clippy::needless_pass_by_value, reason = "the interpreter's signature")]
fn substring<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let text = argument(&arguments, 0);
    let offset = |at: i64| {
        let at = usize::try_from(at).ok()?;
        text.char_indices().map(|(offset, _)| offset).chain([text.len()]).nth(at)
    };
    let given = |at: usize| arguments.get(at).and_then(|argument| argument.downcast_ref::<CelInt>()).map(|number| *number.inner());
    let from = given(1).and_then(offset);
    let to = given(2).map_or(Some(text.len()), offset);
    match from.zip(to).and_then(|(from, to)| text.get(from..to)) {
        Some(part) => Ok(text_value(part.to_owned())),
        None => Err(ExecutionError::function_error("substring", "the text has no such part")),
    }
}

/// Compiles a pattern, within limits.
pub(super) fn pattern(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX).build()
}

thread_local! {
    static PATTERNS: RefCell<HashMap<String, Regex>> = RefCell::new(HashMap::new());
}

/// The language's `matches`, with the patterns kept: compiling one costs a hundred times what a match does.
#[expect(clippy::needless_pass_by_value, reason = "the interpreter's signature")]
fn matches<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let (text, wanted) = (argument(&arguments, 0), argument(&arguments, 1));
    let is_match = PATTERNS.with_borrow_mut(|patterns| {
        if let Some(pattern) = patterns.get(wanted) {
            return Ok(pattern.is_match(text));
        }
        let compiled = pattern(wanted).map_err(|error| ExecutionError::function_error("matches", error))?;
        let is_match = compiled.is_match(text);
        if patterns.len() >= PATTERNS_KEPT {
            patterns.clear();
        }
        patterns.insert(wanted.to_owned(), compiled);
        Ok::<_, ExecutionError>(is_match)
    })?;
    Ok(CowVal::owned(CelBool::from(is_match)))
}

#[expect(clippy::needless_pass_by_value, reason = "the interpreter's signature")]
fn expiry_of<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let text = argument(&arguments, 0);
    let time = expiry(text).and_then(values::timestamp);
    let told: String = text.chars().take(80).collect();
    time.map(CowVal::owned).ok_or_else(|| ExecutionError::function_error("expiry", format!("{told:?} is no date or time")))
}

/// Whether `expiry` can read a text: it never fails.
#[expect(clippy::needless_pass_by_value, reason = "the interpreter's signature")]
fn is_expiry<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    Ok(CowVal::owned(CelBool::from(expiry(argument(&arguments, 0)).is_some())))
}

/// An instant in the forms that people write into tags: RFC 3339 with or without seconds, with a space for the `T`, without an offset (UTC
/// then); a plain date (its midnight, UTC); seconds since the epoch (ten digits). Nothing else: a guess at `03/04/26` would end machines. Nor
/// years that CEL has not (0).
pub(super) fn expiry(text: &str) -> Option<Timestamp> {
    written(text).filter(|time| values::timestamp(*time).is_some())
}

fn written(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Timestamp::from_second(text.parse().ok()?).ok();
    }
    // What follows reads years of four digits only: jiff's own reading of, say, week dates or `20261130` is a guess as well.
    let is_date = |text: &str| {
        text.len() >= 10
            && text
                .bytes()
                .take(10)
                .zip("dddd-dd-dd".bytes())
                .all(|(byte, form)| if form == b'd' { byte.is_ascii_digit() } else { byte == form })
    };
    if !is_date(text) || text.contains('[') {
        return None;
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    let zulu = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let time: civil::DateTime = if zulu.len() == 10 && zulu == text {
        zulu.parse::<civil::Date>().ok()?.to_datetime(civil::Time::midnight())
    } else if zulu.len() > 10 && !zulu.get(10..).unwrap_or_default().contains(['+', '-']) {
        zulu.parse().ok()?
    } else {
        return None;
    };
    time.to_zoned(tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// Whether a value is an error of the expression itself: tells `timestamp("2026-13-01")` before anything is asked.
pub(super) fn fold(node: &cel::IdedExpr) -> Result<Boxed<'static>, ExecutionError> {
    let context = cel::Context::with_env(environment());
    let value = cel::Value::resolve(node, &context)?;
    value.try_into()
}

/// The interpreter's errors in plain words.
pub(super) fn told(error: &ExecutionError) -> String {
    match error {
        ExecutionError::FunctionError { function, message } => match function.as_str() {
            "duration" => "it is no duration".to_owned(),
            "timestamp" => "it is no RFC 3339 time".to_owned(),
            _ => message.lines().next().unwrap_or_default().to_owned(),
        },
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "division by zero".to_owned(),
        ExecutionError::Overflow(..) => "the result is too large".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "the list is not that long".to_owned(),
        other => other.to_string(),
    }
}

/// Whether there is a function or method of that name.
pub(super) fn is_known(name: &str) -> bool {
    FUNCTIONS.iter().any(|function| function.name == name)
}

/// What the function of that name gives, however it was called.
pub(super) fn gives(name: &str) -> Option<Type> {
    FUNCTIONS.iter().find(|function| function.name == name).map(|function| function.gives.into())
}
