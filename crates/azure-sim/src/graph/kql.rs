//! The part of the query language that a collector needs. Everything else is refused, as a query that cannot be read is.

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Resources,
    ComputeResources,
    ResourceContainers,
}

/// A column, or a field inside of one.
pub(super) type Path = Vec<String>;

/// How values are compared. Where `folds`, in whatever case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) path: Path,
    pub(super) values: Vec<String>,
    pub(super) folds: bool,
    pub(super) negated: bool,
}

/// What stands between two bars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Where(Vec<Condition>),
    Project(Vec<(String, Path)>),
    Extend(Vec<(String, Path)>),
    /// By which columns, and whether upwards.
    Order(Vec<(Path, bool)>),
    Limit(usize),
    Count,
    /// `summarize count() by` these.
    CountBy(Vec<(String, Path)>),
}

/// A query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) table: Table,
    pub(super) operators: Vec<Operator>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(&'static str),
}

/// What the language has beside words and texts, the longer ones first.
const SIGNS: [&str; 11] = ["=~", "==", "!=", "!~", "=", "|", ",", "(", ")", ".", "~"];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some(comment) = rest.strip_prefix("//") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after).trim_start();
            continue;
        }
        if first == '\'' || first == '"' {
            let inside = rest.get(1..).unwrap_or_default();
            let (text, after) = inside.split_once(first).ok_or("a text does not end")?;
            if text.contains('\\') {
                return Err("escapes in texts are not supported".to_owned());
            }
            tokens.push(Token::Text(text.to_owned()));
            rest = after.trim_start();
            continue;
        }
        if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            tokens.push(Token::Word(word.to_owned()));
            rest = after.trim_start();
            continue;
        }
        let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign)).ok_or_else(|| format!("the token '{first}' is unexpected"))?;
        tokens.push(Token::Sign(sign));
        rest = rest.get(sign.len()..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
}

impl Parser {
    fn takes(&mut self, sign: &str) -> bool {
        self.tokens.next_if(|token| matches!(token, Token::Sign(found) if *found == sign)).is_some()
    }

    fn takes_word(&mut self, word: &str) -> bool {
        self.tokens.next_if(|token| matches!(token, Token::Word(found) if found == word)).is_some()
    }

    fn need(&mut self, sign: &str) -> Result<(), String> {
        if self.takes(sign) { Ok(()) } else { Err(format!("'{sign}' is missing{}", self.here())) }
    }

    fn need_word(&mut self, word: &str) -> Result<(), String> {
        if self.takes_word(word) { Ok(()) } else { Err(format!("'{word}' is missing{}", self.here())) }
    }

    fn here(&mut self) -> String {
        match self.tokens.peek() {
            None => " at the end".to_owned(),
            Some(Token::Word(word) | Token::Text(word)) => format!(" at '{word}'"),
            Some(Token::Sign(sign)) => format!(" at '{sign}'"),
        }
    }

    fn word(&mut self) -> Result<String, String> {
        match self.tokens.next() {
            Some(Token::Word(word)) => Ok(word),
            _ => Err("a name is missing".to_owned()),
        }
    }

    fn text(&mut self) -> Result<String, String> {
        match self.tokens.next() {
            Some(Token::Text(text)) => Ok(text),
            _ => Err("a text is missing".to_owned()),
        }
    }

    /// A column, a field inside of one, or either as text.
    fn path(&mut self) -> Result<Path, String> {
        let first = self.word()?;
        if first == "tostring" && self.takes("(") {
            let path = self.path()?;
            self.need(")")?;
            return Ok(path);
        }
        let mut path = vec![first];
        while self.takes(".") {
            path.push(self.word()?);
        }
        Ok(path)
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        let mut items = vec![item(self)?];
        while self.takes(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// `NAME`, `NAME = PATH`, or a path, which is named after its parts.
    fn column(&mut self) -> Result<(String, Path), String> {
        let path = self.path()?;
        let name = path.join("_");
        if self.takes("=") { Ok((name, self.path()?)) } else { Ok((name, path)) }
    }

    fn condition(&mut self) -> Result<Condition, String> {
        let path = self.path()?;
        for (sign, folds, negated) in [("=~", true, false), ("==", false, false), ("!~", true, true), ("!=", false, true)] {
            if self.takes(sign) {
                return Ok(Condition { path, values: vec![self.text()?], folds, negated });
            }
        }
        self.need_word("in")?;
        let folds = self.takes("~");
        self.need("(")?;
        let values = self.list(Self::text)?;
        self.need(")")?;
        Ok(Condition { path, values, folds, negated: false })
    }

    fn order(&mut self) -> Result<(Path, bool), String> {
        let path = self.path()?;
        // Downwards, where nothing is said.
        let up = self.takes_word("asc");
        if !up {
            self.takes_word("desc");
        }
        Ok((path, up))
    }

    fn operator(&mut self) -> Result<Operator, String> {
        let name = self.word()?;
        match name.as_str() {
            "where" => {
                let mut conditions = vec![self.condition()?];
                while self.takes_word("and") {
                    conditions.push(self.condition()?);
                }
                Ok(Operator::Where(conditions))
            }
            "project" => self.list(Self::column).map(Operator::Project),
            "extend" => self.list(Self::column).map(Operator::Extend),
            "order" | "sort" => {
                self.need_word("by")?;
                self.list(Self::order).map(Operator::Order)
            }
            "limit" | "take" => {
                let number = self.word()?;
                number.parse().map(Operator::Limit).map_err(|_| format!("'{number}' is no number"))
            }
            "count" => Ok(Operator::Count),
            "summarize" => {
                self.need_word("count")?;
                self.need("(")?;
                self.need(")")?;
                self.need_word("by")?;
                self.list(Self::column).map(Operator::CountBy)
            }
            other => Err(format!("the operator '{other}' is not supported")),
        }
    }
}

impl Query {
    /// Reads a query.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { tokens: tokens(text)?.into_iter().peekable() };
        let name = parser.word()?;
        let tables = [
            ("resources", Table::Resources),
            ("computeresources", Table::ComputeResources),
            ("resourcecontainers", Table::ResourceContainers),
        ];
        let (_, table) = tables
            .into_iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known))
            .ok_or_else(|| format!("the table '{name}' is not known"))?;
        let mut operators = Vec::new();
        while parser.takes("|") {
            operators.push(parser.operator()?);
        }
        match parser.tokens.peek() {
            None => Ok(Self { table, operators }),
            Some(_) => Err(format!("something is unexpected{}", parser.here())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        text.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn a_collectors_query_is_read() {
        let text = "Resources\n| where type in~ ('microsoft.compute/disks', \"b\") and subscriptionId == 's' // why\n\
                    | project id, tags, power = tostring(properties.extended.code) | order by id asc";
        let conditions = vec![
            Condition {
                path: path("type"),
                values: vec!["microsoft.compute/disks".to_owned(), "b".to_owned()],
                folds: true,
                negated: false,
            },
            Condition { path: path("subscriptionId"), values: vec!["s".to_owned()], folds: false, negated: false },
        ];
        let project = ["id", "tags"].map(|name| (name.to_owned(), path(name))).into_iter();
        let project = project.chain([("power".to_owned(), path("properties.extended.code"))]).collect();
        let operators = vec![Operator::Where(conditions), Operator::Project(project), Operator::Order(vec![(path("id"), true)])];
        assert_eq!(Query::parse(text), Ok(Query { table: Table::Resources, operators }));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in [
            "",
            "SecurityResources",
            "Resources | where name contains 'x'",
            "Resources | where type =~ x",
            "Resources | project",
            "Resources | order id",
            "Resources | join (Resources) on id",
            "Resources | where type =~ 'x' or type =~ 'y'",
            "Resources project id",
            "Resources | where type =~ 'x",
            "Resources | limit many",
            "Resources | where type in~ ()",
            "Resources | project id;",
        ] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
    }
}
