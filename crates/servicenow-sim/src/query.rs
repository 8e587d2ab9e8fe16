//! Encoded queries.

use std::{cmp::Ordering, ops::Bound};

use dewpoint_sim_kit::hash::keyed;

use crate::{
    schema::Schema,
    store::{Row, Store},
};

/// Longest first, so that `>=` is not taken for `>`.
const OPERATORS: [(&str, Operator); 19] = [
    ("DOES NOT CONTAIN", Operator::NotLike),
    ("ISNOTEMPTY", Operator::NotEmpty),
    ("STARTSWITH", Operator::StartsWith),
    ("INSTANCEOF", Operator::InstanceOf),
    ("ENDSWITH", Operator::EndsWith),
    ("CONTAINS", Operator::Like),
    ("NOT LIKE", Operator::NotLike),
    ("NOTLIKE", Operator::NotLike),
    ("ANYTHING", Operator::Anything),
    ("ISEMPTY", Operator::Empty),
    ("NOT IN", Operator::NotIn),
    ("LIKE", Operator::Like),
    ("IN", Operator::In),
    ("!=", Operator::NotEqual),
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("=", Operator::Equal),
    (">", Operator::More),
    ("<", Operator::Less),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Like,
    NotLike,
    StartsWith,
    EndsWith,
    In,
    NotIn,
    More,
    AtLeast,
    Less,
    AtMost,
    Empty,
    NotEmpty,
    InstanceOf,
    Anything,
}

#[derive(Clone, Debug)]
struct Condition {
    path: String,
    operator: Operator,
    value: String,
    is_number: bool,
}

/// Any of the sets has to hold, in a set each clause, in a clause any condition.
type Clause = Vec<Condition>;

/// Records with their identifiers.
type Found<'a> = Vec<(&'a String, &'a Row)>;

/// A query that was understood, as far as it could be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    sets: Vec<Vec<Clause>>,
    orders: Vec<(String, bool)>,
    /// What was dropped because it made no sense.
    pub(crate) dropped: Vec<String>,
}

impl Query {
    /// Reads a query about a table. What cannot be read is dropped, as the product does.
    pub(crate) fn parse(schema: &Schema, table: &str, encoded: &str) -> Self {
        let mut query = Self { sets: vec![Vec::new()], ..Self::default() };
        // Whether the clause that an `OR` would belong to was dropped as a whole.
        let mut open_clause = false;
        for term in split(encoded) {
            let term = term.as_str();
            if term.is_empty() || term == "EQ" {
                continue;
            }
            if let Some((path, is_descending)) = order(term) {
                if is_path(schema, table, path) {
                    query.orders.push((path.to_owned(), is_descending));
                } else {
                    query.dropped.push(term.to_owned());
                }
                continue;
            }
            let (term, joins) = match (term.strip_prefix("NQ"), term.strip_prefix("OR")) {
                (Some(rest), _) => {
                    query.sets.push(Vec::new());
                    open_clause = false;
                    (rest, false)
                }
                (None, Some(rest)) => (rest, true),
                (None, None) => (term, false),
            };
            if !joins {
                open_clause = false;
            }
            let Some(condition) = condition(schema, table, term) else {
                query.dropped.push(term.to_owned());
                continue;
            };
            let Some(set) = query.sets.last_mut() else { continue };
            match set.last_mut() {
                Some(clause) if joins && open_clause => clause.push(condition),
                _ => set.push(vec![condition]),
            }
            open_clause = true;
        }
        query
    }

    /// The matching records of a table and of those that extend it, in the order asked for. What the query leaves open is in the order of `chance`.
    pub(crate) fn run<'a>(&self, schema: &Schema, store: &'a Store, table: &str, chance: Option<u64>) -> Vec<(&'a String, &'a Row)> {
        let (mut found, is_family) = self.candidates(schema, store, table);
        found.retain(|(sys_id, row)| (is_family || schema.is_a(&row.table, table)) && self.matches(schema, store, sys_id, row));
        if self.orders.first().is_some_and(|(path, is_descending)| path == "sys_id" && !is_descending) {
            found.sort_by_key(|(sys_id, _)| *sys_id);
            return found;
        }
        if let Some(seed) = chance {
            found.sort_by_cached_key(|(sys_id, _)| keyed(seed, sys_id));
        }
        found.sort_by(|left, right| {
            for (path, is_descending) in &self.orders {
                let ordering = compare(value_at(schema, store, left.0, left.1, path), value_at(schema, store, right.0, right.1, path));
                let ordering = if *is_descending { ordering.reverse() } else { ordering };
                if ordering != Ordering::Equal {
                    return ordering;
                }
            }
            Ordering::Equal
        });
        found
    }

    /// Whether a record is one of those meant.
    pub(crate) fn matches(&self, schema: &Schema, store: &Store, sys_id: &str, row: &Row) -> bool {
        self.sets.iter().any(|set| {
            set.iter().all(|clause| clause.is_empty() || clause.iter().any(|condition| holds(schema, store, sys_id, row, condition)))
        })
    }

    /// Records among which all matching ones are, and whether they are of this table's family for certain.
    fn candidates<'a>(&self, schema: &Schema, store: &'a Store, table: &str) -> (Found<'a>, bool) {
        let row_of = |sys_id: &str| store.rows().get_key_value(sys_id);
        let mut from = "";
        // The indexed clause that leaves the fewest.
        let mut best: Option<(usize, &str, Vec<&str>)> = None;
        if let [set] = self.sets.as_slice() {
            for clause in set {
                let [condition] = clause.as_slice() else { continue };
                let values: Vec<&str> = match condition.operator {
                    Operator::Equal if !is_null(&condition.value) => vec![&condition.value],
                    Operator::In => condition.value.split(',').collect(),
                    Operator::More if condition.path == "sys_id" => {
                        from = from.max(&condition.value);
                        continue;
                    }
                    _ => continue,
                };
                if condition.path == "sys_id" {
                    let mut ids: Vec<&str> = values;
                    ids.sort_unstable();
                    ids.dedup();
                    return (ids.into_iter().filter_map(row_of).collect(), false);
                }
                if Store::is_indexed(&condition.path) {
                    let count = values.iter().map(|value| store.count_having(&condition.path, value)).sum();
                    if best.as_ref().is_none_or(|(fewest, ..)| count < *fewest) {
                        best = Some((count, &condition.path, values));
                    }
                }
            }
        }
        if let Some((_, path, values)) = best {
            let mut rows: Vec<_> = values.into_iter().flat_map(|value| store.having(path, value)).collect();
            rows.sort_by_key(|(sys_id, _)| *sys_id);
            rows.dedup_by_key(|(sys_id, _)| *sys_id);
            return (rows, false);
        }
        let bounds = (Bound::Included(from), Bound::Unbounded);
        let ids = schema.family(table).filter_map(|name| store.ids(name)).flat_map(|ids| ids.range::<str, _>(bounds));
        (ids.filter_map(|sys_id| row_of(sys_id)).collect(), true)
    }
}

/// The value at the end of a path of references.
pub(crate) fn value_at<'a>(schema: &Schema, store: &'a Store, sys_id: &'a str, row: &'a Row, path: &str) -> &'a str {
    match path.split_once('.') {
        None if path == "sys_id" => sys_id,
        None => row.get(path),
        Some((column, rest)) => {
            let is_reference = schema.column(&row.table, column).is_some_and(|column| column.reference.is_some());
            match store.rows().get_key_value(row.get(column)) {
                Some((sys_id, row)) if is_reference => value_at(schema, store, sys_id, row, rest),
                _ => "",
            }
        }
    }
}

/// Whether a path leads to a column.
pub(crate) fn is_path(schema: &Schema, table: &str, path: &str) -> bool {
    match path.split_once('.') {
        None => schema.column(table, path).is_some(),
        Some((column, rest)) => {
            schema.column(table, column).and_then(|column| column.reference.as_deref()).is_some_and(|target| is_path(schema, target, rest))
        }
    }
}

/// Terms, with `^^` for a caret that belongs to a value.
fn split(encoded: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut characters = encoded.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '^' && characters.next_if_eq(&'^').is_none() {
            terms.push(String::new());
            continue;
        }
        if let Some(term) = terms.last_mut() {
            term.push(character);
        }
    }
    terms
}

fn order(term: &str) -> Option<(&str, bool)> {
    term.strip_prefix("ORDERBYDESC").map(|path| (path, true)).or_else(|| term.strip_prefix("ORDERBY").map(|path| (path, false)))
}

fn condition(schema: &Schema, table: &str, term: &str) -> Option<Condition> {
    let end =
        term.find(|character: char| !(character.is_ascii_lowercase() || character.is_ascii_digit() || matches!(character, '_' | '.')));
    let (path, rest) = term.split_at(end?);
    let (operator, value) = OPERATORS.into_iter().find_map(|(text, operator)| rest.strip_prefix(text).map(|value| (operator, value)))?;
    if !is_path(schema, table, path) {
        return None;
    }
    let is_number = !path.contains('.') && schema.column(table, path).is_some_and(|column| column.kind == "integer");
    Some(Condition { path: path.to_owned(), operator, value: value.to_owned(), is_number })
}

fn holds(schema: &Schema, store: &Store, sys_id: &str, row: &Row, condition: &Condition) -> bool {
    let found = value_at(schema, store, sys_id, row, &condition.path);
    let wanted = condition.value.as_str();
    let ordering = || if condition.is_number { compare(found, wanted) } else { found.cmp(wanted) };
    match condition.operator {
        Operator::Equal if is_null(wanted) => found.is_empty(),
        Operator::NotEqual if is_null(wanted) => !found.is_empty(),
        Operator::Equal => found == wanted,
        Operator::NotEqual => found != wanted,
        Operator::Like => found.contains(wanted),
        Operator::NotLike => !found.contains(wanted),
        Operator::StartsWith => found.starts_with(wanted),
        Operator::EndsWith => found.ends_with(wanted),
        Operator::In => wanted.split(',').any(|wanted| wanted == found),
        Operator::NotIn => !wanted.split(',').any(|wanted| wanted == found),
        Operator::More => !found.is_empty() && ordering() == Ordering::Greater,
        Operator::AtLeast => !found.is_empty() && ordering() != Ordering::Less,
        Operator::Less => !found.is_empty() && ordering() == Ordering::Less,
        Operator::AtMost => !found.is_empty() && ordering() != Ordering::Greater,
        Operator::Empty => found.is_empty(),
        Operator::NotEmpty => !found.is_empty(),
        Operator::InstanceOf => schema.is_a(found, wanted),
        Operator::Anything => true,
    }
}

fn is_null(value: &str) -> bool {
    value.is_empty() || value == "NULL"
}

/// Numbers by size, everything else by its characters.
fn compare(left: &str, right: &str) -> Ordering {
    match (left.parse::<i64>(), right.parse::<i64>()) {
        (Ok(left), Ok(right)) => left.cmp(&right),
        _ => left.cmp(right),
    }
}
