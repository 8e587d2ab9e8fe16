//! AQL as text, read into an expression.

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    /// What objects have to meet; anything when missing.
    pub(crate) expression: Option<Expression>,
    /// By what they are ordered, and whether the other way round.
    pub(crate) order: Vec<(Vec<String>, bool)>,
}

/// What objects have to meet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    Test { path: Vec<String>, operator: Operator, is_negated: bool, operand: Operand },
    Having { is_negated: bool, direction: Direction, inner: Option<Box<Expression>> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    Same,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
    StartsWith,
    EndsWith,
    In,
    Empty,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Inbound,
    Outbound,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    None,
    Text(String),
    Texts(Vec<String>),
    /// `now(…)`, with its offset in seconds.
    Now(i64),
    CurrentUser,
    /// `objectTypeAndChildren("…")`.
    TypeAndBelow(String),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Sign(&'static str),
}

const SIGNS: [&str; 11] = ["==", "!=", "<=", ">=", "=", "<", ">", "(", ")", ",", "."];
/// Brackets within brackets: more would exhaust the stack.
const DEPTH_MAX: usize = 100;

/// Reads a query.
///
/// # Errors
/// When it is none, with the reason.
pub(crate) fn parse(text: &str) -> Result<Query, String> {
    let mut parser = Parser { tokens: lex(text)?, at: 0, depth: 0 };
    let expression = if parser.at_end() || parser.is_word(0, "order") { None } else { Some(parser.or()?) };
    let order = parser.order()?;
    match parser.peek() {
        None => Ok(Query { expression, order }),
        Some(token) => Err(format!("unexpected {}", spell(token))),
    }
}

fn lex(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '"' || first == '\'' {
            let (quoted, after) = quoted(rest.get(1..).unwrap_or_default(), first)?;
            tokens.push(Token::Quoted(quoted));
            rest = after;
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            rest = rest.get(sign.len()..).unwrap_or_default();
        } else if is_word(first) {
            let end = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            tokens.push(Token::Word(word.to_owned()));
            rest = after;
        } else {
            return Err(format!("unexpected character {first}"));
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '-' | '/' | '@' | '#' | '$' | '*' | '+' | '%' | '&')
}

/// Text up to its end, and what follows.
fn quoted(text: &str, quote: char) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some((_, escaped)) if escaped == '\\' || escaped == quote => value.push(escaped),
                Some((_, escaped)) => return Err(format!("unknown escape \\{escaped}")),
                None => break,
            },
            _ if letter == quote => return Ok((value, text.get(at + letter.len_utf8()..).unwrap_or_default())),
            _ => value.push(letter),
        }
    }
    Err("a text does not end".to_owned())
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn at_end(&self) -> bool {
        self.peek().is_none()
    }

    /// Whether the token so many on is this word.
    fn is_word(&self, ahead: usize, wanted: &str) -> bool {
        matches!(self.tokens.get(self.at + ahead), Some(Token::Word(word)) if word.eq_ignore_ascii_case(wanted))
    }

    fn is_sign(&self, ahead: usize, wanted: &str) -> bool {
        matches!(self.tokens.get(self.at + ahead), Some(Token::Sign(sign)) if *sign == wanted)
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let is_there = self.is_word(0, wanted);
        self.at += usize::from(is_there);
        is_there
    }

    fn take_sign(&mut self, wanted: &str) -> bool {
        let is_there = self.is_sign(0, wanted);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.take_sign(sign) { Ok(()) } else { Err(format!("expected {sign}, found {}", self.found())) }
    }

    fn found(&self) -> String {
        self.peek().map_or_else(|| "the end".to_owned(), spell)
    }

    fn or(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("too many brackets".to_owned());
        }
        let mut terms = vec![self.and()?];
        while self.take_word("or") {
            terms.push(self.and()?);
        }
        self.depth -= 1;
        Ok(one_or(terms, Expression::Or))
    }

    fn and(&mut self) -> Result<Expression, String> {
        let mut terms = vec![self.term()?];
        while self.take_word("and") {
            terms.push(self.term()?);
        }
        Ok(one_or(terms, Expression::And))
    }

    fn term(&mut self) -> Result<Expression, String> {
        let mut is_negated = false;
        while self.take_word("not") {
            is_negated = !is_negated;
        }
        let term = if self.take_sign("(") {
            let inner = self.or()?;
            self.expect(")")?;
            inner
        } else {
            self.test()?
        };
        Ok(if is_negated { Expression::Not(Box::new(term)) } else { term })
    }

    fn test(&mut self) -> Result<Expression, String> {
        let is_object = self.is_word(0, "object") && (self.is_word(1, "having") || (self.is_word(1, "not") && self.is_word(2, "having")));
        if is_object {
            self.at += 1;
            let is_negated = self.take_word("not");
            self.take_word("having");
            return self.having(is_negated);
        }
        let path = self.path()?;
        let (operator, is_negated) = self.operator()?;
        let operand = match operator {
            Operator::Empty => Operand::None,
            Operator::In => self.list()?,
            _ => self.value()?,
        };
        Ok(Expression::Test { path, operator, is_negated, operand })
    }

    fn having(&mut self, is_negated: bool) -> Result<Expression, String> {
        let direction = if self.take_word("inboundReferences") || self.take_word("inR") {
            Direction::Inbound
        } else if self.take_word("outboundReferences") || self.take_word("outR") {
            Direction::Outbound
        } else {
            return Err(format!("unknown function {}", self.found()));
        };
        self.expect("(")?;
        let inner = if self.is_sign(0, ")") { None } else { Some(Box::new(self.or()?)) };
        self.expect(")")?;
        Ok(Expression::Having { is_negated, direction, inner })
    }

    fn path(&mut self) -> Result<Vec<String>, String> {
        let mut path = vec![self.name()?];
        while self.take_sign(".") {
            path.push(self.name()?);
        }
        Ok(path)
    }

    fn name(&mut self) -> Result<String, String> {
        let name = match self.peek() {
            Some(Token::Word(word)) if !is_reserved(word) => word.clone(),
            Some(Token::Quoted(text)) => text.clone(),
            _ => return Err(format!("expected an attribute, found {}", self.found())),
        };
        self.at += 1;
        Ok(name)
    }

    fn operator(&mut self) -> Result<(Operator, bool), String> {
        let signs = [
            ("==", Operator::Same, false),
            ("!=", Operator::Equal, true),
            ("<=", Operator::LessOrEqual, false),
            (">=", Operator::GreaterOrEqual, false),
            ("=", Operator::Equal, false),
            ("<", Operator::Less, false),
            (">", Operator::Greater, false),
        ];
        for (sign, operator, is_negated) in signs {
            if self.take_sign(sign) {
                return Ok((operator, is_negated));
            }
        }
        if self.take_word("is") {
            let is_negated = self.take_word("not");
            return if self.take_word("empty") { Ok((Operator::Empty, is_negated)) } else { Err("expected EMPTY".to_owned()) };
        }
        let is_negated = self.take_word("not");
        let words =
            [("like", Operator::Like), ("startswith", Operator::StartsWith), ("endswith", Operator::EndsWith), ("in", Operator::In)];
        for (word, operator) in words {
            if self.take_word(word) {
                return Ok((operator, is_negated));
            }
        }
        Err(format!("expected an operator, found {}", self.found()))
    }

    fn value(&mut self) -> Result<Operand, String> {
        if self.is_sign(1, "(") {
            return self.function();
        }
        self.literal().map(Operand::Text)
    }

    fn function(&mut self) -> Result<Operand, String> {
        let Some(Token::Word(name)) = self.peek() else { return Err(format!("expected a function, found {}", self.found())) };
        let name = name.to_ascii_lowercase();
        self.at += 1;
        self.expect("(")?;
        let argument = if self.is_sign(0, ")") { None } else { Some(self.literal()?) };
        self.expect(")")?;
        match (name.as_str(), argument) {
            ("now", None) => Ok(Operand::Now(0)),
            ("now", Some(offset)) => seconds(&offset).map(Operand::Now).ok_or_else(|| format!("now cannot be moved by {offset}")),
            ("currentuser", None) => Ok(Operand::CurrentUser),
            ("objecttypeandchildren", Some(name)) => Ok(Operand::TypeAndBelow(name)),
            _ => Err(format!("unknown function {name}")),
        }
    }

    /// A text, a word or a number, which may have a point.
    fn literal(&mut self) -> Result<String, String> {
        let literal = match self.peek() {
            Some(Token::Word(word)) if !is_reserved(word) => word.clone(),
            Some(Token::Quoted(text)) => {
                let text = text.clone();
                self.at += 1;
                return Ok(text);
            }
            _ => return Err(format!("expected a value, found {}", self.found())),
        };
        self.at += 1;
        let is_number = |text: &str| text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
        if is_number(&literal)
            && self.is_sign(0, ".")
            && let Some(Token::Word(fraction)) = self.tokens.get(self.at + 1)
            && is_number(fraction)
        {
            let number = format!("{literal}.{fraction}");
            self.at += 2;
            return Ok(number);
        }
        Ok(literal)
    }

    fn list(&mut self) -> Result<Operand, String> {
        if !self.is_sign(0, "(") {
            let function = self.function()?;
            return if matches!(function, Operand::TypeAndBelow(_)) { Ok(function) } else { Err("expected a list".to_owned()) };
        }
        self.expect("(")?;
        let mut values = vec![self.literal()?];
        while self.take_sign(",") {
            values.push(self.literal()?);
        }
        self.expect(")")?;
        Ok(Operand::Texts(values))
    }

    fn order(&mut self) -> Result<Vec<(Vec<String>, bool)>, String> {
        let mut order = Vec::new();
        if !self.take_word("order") {
            return Ok(order);
        }
        if !self.take_word("by") {
            return Err("expected BY".to_owned());
        }
        loop {
            let path = self.path()?;
            let is_descending = self.take_word("desc");
            if !is_descending {
                self.take_word("asc");
            }
            order.push((path, is_descending));
            if !self.take_sign(",") {
                return Ok(order);
            }
        }
    }
}

fn one_or(mut terms: Vec<Expression>, many: impl FnOnce(Vec<Expression>) -> Expression) -> Expression {
    match (terms.len(), terms.pop()) {
        (1, Some(term)) => term,
        (_, Some(last)) => {
            terms.push(last);
            many(terms)
        }
        (_, None) => many(terms),
    }
}

/// Words that have to be quoted to be names or values.
fn is_reserved(word: &str) -> bool {
    ["and", "or", "not", "in", "like", "is", "empty", "having", "order", "by", "startswith", "endswith"]
        .iter()
        .any(|reserved| word.eq_ignore_ascii_case(reserved))
}

/// An offset such as `-1d` or `2h 15m`.
fn seconds(text: &str) -> Option<i64> {
    let mut total = 0_i64;
    let mut sign = 1;
    for part in text.split_whitespace() {
        let (number, unit) = part.split_at(part.find(|letter: char| letter.is_ascii_alphabetic())?);
        if number.starts_with('-') {
            sign = -1;
        }
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 7 * 86_400,
            _ => return None,
        };
        total = total.checked_add(number.trim_start_matches(['-', '+']).parse::<i64>().ok()?.checked_mul(unit)?)?;
    }
    Some(sign * total)
}

fn spell(token: &Token) -> String {
    match token {
        Token::Word(word) => word.clone(),
        Token::Quoted(text) => format!("\"{text}\""),
        Token::Sign(sign) => (*sign).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(path: &[&str], operator: Operator, is_negated: bool, operand: Operand) -> Expression {
        Expression::Test { path: path.iter().map(|name| (*name).to_owned()).collect(), operator, is_negated, operand }
    }

    fn text(text: &str) -> Operand {
        Operand::Text(text.to_owned())
    }

    #[track_caller]
    fn check(query: &str, expected: Expression) {
        assert_eq!(parse(query), Ok(Query { expression: Some(expected), order: Vec::new() }), "{query}");
    }

    #[test]
    fn queries_are_read() {
        use Operator::{Empty, EndsWith, Equal, Greater, In, Like, Same};
        check("Name = web", test(&["Name"], Equal, false, text("web")));
        check(r#""Provider ID" == "a \"b\" \\c""#, test(&["Provider ID"], Same, false, text(r#"a "b" \c"#)));
        check("Name != x", test(&["Name"], Equal, true, text("x")));
        check("Cores > 1.5", test(&["Cores"], Greater, false, text("1.5")));
        check("Name NOT LIKE 'x'", test(&["Name"], Like, true, text("x")));
        check("Name endsWith x", test(&["Name"], EndsWith, false, text("x")));
        check("Name is not EMPTY", test(&["Name"], Empty, true, Operand::None));
        let list = || Operand::Texts(vec!["a".to_owned(), "b".to_owned()]);
        check("Key IN (a, \"b\")", test(&["Key"], In, false, list()));
        check("Key not in (a,b)", test(&["Key"], In, true, list()));
        check("Created < now(\"-1d 2h\")", test(&["Created"], Operator::Less, false, Operand::Now(-93_600)));
        check("objectType IN objectTypeAndChildren(\"X\")", test(&["objectType"], In, false, Operand::TypeAndBelow("X".to_owned())));
        check("\"Security Groups\".Name = web", test(&["Security Groups", "Name"], Equal, false, text("web")));
        let one = |name| test(&[name], Equal, false, text("1"));
        let all = Expression::Or(vec![one("a"), Expression::And(vec![one("b"), Expression::Not(Box::new(one("c")))])]);
        check("a = 1 OR b = 1 AND NOT c = 1", all);
        check("(a = 1 or b = 1) and c = 1", Expression::And(vec![Expression::Or(vec![one("a"), one("b")]), one("c")]));
        let having = |is_negated, direction, inner| Expression::Having { is_negated, direction, inner };
        check("object having inboundReferences(a = 1)", having(false, Direction::Inbound, Some(Box::new(one("a")))));
        check("object not having outR()", having(true, Direction::Outbound, None));
        assert_eq!(
            parse("order by Key desc, Name"),
            Ok(Query { expression: None, order: vec![(vec!["Key".to_owned()], true), (vec!["Name".to_owned()], false)] })
        );
    }

    #[test]
    fn what_is_no_query_is_refused() {
        for query in [
            "objectType = \"Instance",
            "Name =",
            "Name web",
            "= web",
            "Name = a b",
            "Provider ID = x",
            "Name IN ()",
            "Name IN (a,)",
            "Name IN a",
            "(Name = a",
            "Name = a)",
            "Name = a AND",
            "AND Name = a",
            "Name is",
            "Name = arn:aws:x",
            "Name = nosuch(1)",
            "inboundReferences(Name = a)",
            "object having nosuch()",
            "Name = a ORDER Key",
            "Name = a ORDER BY",
            r#"Name = "a\d""#,
            "Name = a; Name = b",
            &"(".repeat(100_000),
        ] {
            assert!(parse(query).is_err(), "{query}");
        }
    }
}
