//! Resource Graph: queries over an index that may be late.

mod kql;
mod rows;

use std::{cmp::Reverse, collections::BTreeMap};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dewpoint_sim_kit::{
    Response,
    hash::{keyed, mix, share},
};
use kql::{Condition, Operator, Path, Query};
use rows::Row;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    access::is_below_group,
    arm::{Call, ok, spoil},
    error::ApiError,
    fault::Effect,
    world::{Subscription, World},
};

/// The most subscriptions of one query.
const SUBSCRIPTIONS_MAX: usize = 1000;
/// The most management groups of one query.
const GROUPS_MAX: usize = 10;
const TOP_DEFAULT: usize = 100;
const TOP_MAX: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    subscriptions: Option<Vec<String>>,
    management_groups: Option<Vec<String>>,
    query: String,
    options: Option<Options>,
    facets: Option<Vec<Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Options {
    #[serde(rename = "$top")]
    top: Option<usize>,
    #[serde(rename = "$skip")]
    skip: Option<usize>,
    #[serde(rename = "$skipToken")]
    skip_token: Option<String>,
    result_format: Option<String>,
    allow_partial_scopes: Option<bool>,
    authorization_scope_filter: Option<String>,
}

/// Where a query stands: how many rows went out, and the page that is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    rows: usize,
    page: u32,
}

impl Position {
    fn write(self, binding: u64) -> String {
        let text = format!("{}|{}", self.rows, self.page);
        STANDARD.encode(json!({"at": text, "for": format!("{:016x}", keyed(binding, &text))}).to_string())
    }

    fn read(token: &str) -> Option<(Self, String, String)> {
        let value: Value = serde_json::from_slice(&STANDARD.decode(token).ok()?).ok()?;
        let text = value.get("at")?.as_str()?.to_owned();
        let (rows, page) = text.split_once('|')?;
        let position = Self { rows: rows.parse().ok()?, page: page.parse().ok()? };
        Some((position, text, value.get("for")?.as_str()?.to_owned()))
    }
}

/// The page that a query is about, from 1.
pub(crate) fn page_of(body: &[u8]) -> u32 {
    let body: Option<Body> = serde_json::from_slice(body).ok();
    let token = body.and_then(|body| body.options?.skip_token);
    token.and_then(|token| Position::read(&token)).map_or(1, |(position, ..)| position.page)
}

fn bad_request(code: &str, why: &str) -> ApiError {
    ApiError::new(400, "BadRequest", "Please provide below info when asking for support: see the details.").detail(code, why)
}

fn bad_query(why: &str) -> ApiError {
    bad_request(
        "InvalidQuery",
        "Query is invalid. Please refer to the documentation for the Azure Resource Graph service and fix the error before retrying.",
    )
    .detail("ParserFailure", why)
}

/// Answers a query.
pub(crate) fn answer(call: &Call<'_>) -> Result<Response, ApiError> {
    call.query.only(&[])?;
    let body: Body = serde_json::from_slice(&call.request.body).map_err(|error| bad_request("InvalidRequestBody", &error.to_string()))?;
    let options = body.options.unwrap_or_default();
    if body.facets.is_some_and(|facets| !facets.is_empty()) {
        return Err(bad_request("InvalidFacet", "facets are not supported here"));
    }
    let known_filters = ["AtScopeAndBelow", "AtScopeAndAbove", "AtScopeExact", "AtScopeAboveAndBelow"];
    if options.authorization_scope_filter.as_ref().is_some_and(|filter| !known_filters.contains(&filter.as_str())) {
        return Err(bad_request("InvalidScopeFilter", "authorizationScopeFilter is not known"));
    }
    let as_table = match options.result_format.as_deref() {
        None | Some("objectArray") => false,
        Some("table") => true,
        Some(_) => return Err(bad_request("InvalidResultFormat", "resultFormat has to be objectArray or table")),
    };
    let top = options.top.unwrap_or(TOP_DEFAULT);
    if top == 0 || top > TOP_MAX {
        return Err(bad_request("InvalidTop", "$top has to be between 1 and 1000"));
    }
    let top = top.min(call.settings.graph_rows_max.max(1));
    let query = Query::parse(&body.query).map_err(|why| bad_query(&why))?;

    let (estate, snapshot) = call.server.state().graph_estate();
    let (world, index) = estate.look();
    let subscriptions =
        scope(call, world, body.subscriptions.as_deref(), body.management_groups.as_deref(), options.allow_partial_scopes == Some(true))?;
    let scope_text: Vec<&str> = subscriptions.iter().map(|found| found.id.as_str()).collect();
    let binding = keyed(keyed(31, &body.query), &scope_text.join(","));
    let position = match &options.skip_token {
        None => Position { rows: options.skip.unwrap_or_default(), page: 1 },
        Some(token) => match Position::read(token) {
            Some((position, text, mac)) if mac == format!("{:016x}", keyed(binding, &text)) => position,
            _ => return Err(bad_request("InvalidSkipToken", "$skipToken is not of this query")),
        },
    };

    let mut rows = rows::rows(query.table, world, index, call.caller, &subscriptions);
    // What comes first and only leaves rows out is done first: the rest is dearer.
    let columns = table_columns();
    let filters = query.operators.iter().take_while(|operator| matches!(operator, Operator::Where(_))).count();
    let (filters, operators) = query.operators.split_at_checked(filters).unwrap_or_default();
    for filter in filters {
        if let Operator::Where(conditions) = filter {
            keep(&mut rows, &columns, conditions)?;
        }
    }
    let (seed, missing) = (call.settings.seed, call.settings.graph_missing);
    rows.retain(|row| missing <= 0.0 || share(seed, keyed(41, row.id())) >= missing);
    // Without an order of the query's own every answer has another one.
    rows.sort_by_cached_key(|row| keyed(mix(seed ^ u64::from(position.page)), row.id()));
    let result = run(operators, columns, rows)?;
    let total = result.rows.len();
    let page: Vec<&Shown> = result.rows.iter().skip(position.rows).take(top).collect();
    let reached = position.rows + page.len();
    let mut answer = json!({
        "totalRecords": total,
        "count": page.len(),
        "resultTruncated": if reached < total && !result.goes_on { "true" } else { "false" },
        "facets": [],
    });
    let mut data: Vec<Value> = page.into_iter().map(|row| Value::Object(row.show(&result.columns))).collect();
    spoil(&mut data, call.effect);
    if reached < total && result.goes_on {
        let next = match call.effect {
            Some(Effect::RepeatNextLink) => position,
            Some(Effect::LoopNextLink) => Position { rows: 0, page: 1 },
            _ => Position { rows: reached, page: position.page.saturating_add(1) },
        };
        crate::render::put(&mut answer, "$skipToken", Some(next.write(binding)));
    }
    let data = if as_table { table(&result.columns, &data) } else { json!(data) };
    crate::render::put(&mut answer, "data", Some(data));
    Ok(ok(&answer).header("x-ms-arg-snapshot-timestamp", snapshot.to_string()))
}

fn table(columns: &[(String, Path)], data: &[Value]) -> Value {
    let kind = |name: &str| match data.iter().find_map(|row| row.get(name).filter(|value| !value.is_null())) {
        Some(Value::Object(_) | Value::Array(_)) => "object",
        Some(Value::Number(_)) => "integer",
        Some(Value::Bool(_)) => "boolean",
        _ => "string",
    };
    let names: Vec<&String> = match data.first() {
        Some(Value::Object(row)) if columns.is_empty() => row.keys().collect(),
        _ => columns.iter().map(|(name, _)| name).collect(),
    };
    let head: Vec<Value> = names.iter().map(|name| json!({"name": name, "type": kind(name)})).collect();
    let rows: Vec<Vec<Value>> =
        data.iter().map(|row| names.iter().map(|name| row.get(*name).cloned().unwrap_or_default()).collect()).collect();
    json!({"columns": head, "rows": rows})
}

/// The subscriptions that a query is about.
fn scope<'w>(
    call: &Call<'_>,
    world: &'w World,
    subscriptions: Option<&[String]>,
    groups: Option<&[String]>,
    partial: bool,
) -> Result<Vec<&'w Subscription>, ApiError> {
    let readable = |found: &&Subscription| found.foreign_tenant.is_none() && call.caller.sees(world, found);
    let all = || world.subscriptions.values().filter(readable);
    match (subscriptions.filter(|ids| !ids.is_empty()), groups.filter(|names| !names.is_empty())) {
        (Some(_), Some(_)) => Err(bad_request("InvalidScope", "subscriptions and managementGroups exclude each other")),
        (None, None) => Ok(all().collect()),
        (None, Some(names)) => {
            if names.len() > GROUPS_MAX {
                return Err(bad_request("TooManyManagementGroups", "at most 10 management groups can be asked"));
            }
            if let Some(name) = names.iter().find(|name| !world.management_groups.contains_key(*name) && **name != world.tenant) {
                return Err(ApiError::new(
                    403,
                    "AuthorizationFailed",
                    format!("The management group '{name}' cannot be read or is not there."),
                ));
            }
            Ok(all().filter(|found| names.iter().any(|name| is_below_group(world, found, name))).collect())
        }
        (Some(ids), None) => {
            if ids.len() > SUBSCRIPTIONS_MAX {
                return Err(bad_request("TooManySubscriptions", "at most 1000 subscriptions can be asked"));
            }
            let mut found = Vec::new();
            for id in ids {
                match world.find(id).filter(readable) {
                    Some(one) => found.push(one),
                    None if partial => {}
                    None => return Err(call.caller.denied("Microsoft.Resources/subscriptions/read", &format!("/subscriptions/{id}"))),
                }
            }
            if found.is_empty() {
                return Err(bad_request("NoValidSubscriptionsInQueryRequest", "there is no subscription that can be read"));
            }
            Ok(found)
        }
    }
}

/// A row on its way out: of a table, or counted.
enum Shown<'a> {
    Row(Row<'a>),
    Counted(Map<String, Value>),
}

impl Shown<'_> {
    fn show(&self, columns: &[(String, Path)]) -> Map<String, Value> {
        match self {
            Self::Counted(row) => row.clone(),
            Self::Row(row) => columns.iter().map(|(name, path)| (name.clone(), row.get(path))).collect(),
        }
    }
}

struct Answered<'a> {
    rows: Vec<Shown<'a>>,
    columns: Vec<(String, Path)>,
    /// Whether a token leads on: only with ids, and neither counted nor limited.
    goes_on: bool,
}

fn table_columns() -> Vec<(String, Path)> {
    rows::COLUMNS.into_iter().map(|name| (name.to_owned(), vec![name.to_owned()])).collect()
}

/// Leaves out the rows for which a condition does not hold.
fn keep(rows: &mut Vec<Row<'_>>, columns: &[(String, Path)], conditions: &[Condition]) -> Result<(), ApiError> {
    for condition in conditions {
        let path = resolve(columns, &condition.path)?;
        rows.retain(|row| holds(condition, &row.get(&path)));
    }
    Ok(())
}

fn run<'a>(operators: &[Operator], mut columns: Vec<(String, Path)>, mut rows: Vec<Row<'a>>) -> Result<Answered<'a>, ApiError> {
    let mut limited = false;
    for (at, operator) in operators.iter().enumerate() {
        match operator {
            Operator::Where(conditions) => keep(&mut rows, &columns, conditions)?,
            Operator::Project(wanted) => columns = renamed(&columns, wanted)?,
            Operator::Extend(wanted) => {
                let more = renamed(&columns, wanted)?;
                columns.retain(|(name, _)| !more.iter().any(|(new, _)| new == name));
                columns.extend(more);
            }
            Operator::Order(by) => {
                for (path, up) in by.iter().rev() {
                    let path = resolve(&columns, path)?;
                    let text = |row: &Row<'_>| text_of(&row.get(&path));
                    if *up {
                        rows.sort_by_cached_key(text);
                    } else {
                        rows.sort_by_cached_key(|row| Reverse(text(row)));
                    }
                }
            }
            Operator::Limit(most) => {
                rows.truncate(*most);
                limited = true;
            }
            Operator::Count | Operator::CountBy(_) if at + 1 < operators.len() => {
                return Err(bad_query("nothing can follow an aggregation here"));
            }
            Operator::Count => {
                let row = [("Count".to_owned(), json!(rows.len()))].into_iter().collect();
                return Ok(Answered { rows: vec![Shown::Counted(row)], columns: Vec::new(), goes_on: false });
            }
            Operator::CountBy(wanted) => {
                let wanted = renamed(&columns, wanted)?;
                let mut counts: BTreeMap<Vec<String>, (Map<String, Value>, u64)> = BTreeMap::new();
                for row in &rows {
                    let values: Map<String, Value> = wanted.iter().map(|(name, path)| (name.clone(), row.get(path))).collect();
                    let key = values.values().map(text_of).collect();
                    counts.entry(key).or_insert((values, 0)).1 += 1;
                }
                let rows = counts
                    .into_values()
                    .map(|(mut row, count)| {
                        row.insert("count_".to_owned(), json!(count));
                        Shown::Counted(row)
                    })
                    .collect();
                return Ok(Answered { rows, columns: Vec::new(), goes_on: false });
            }
        }
    }
    let has_id = columns.iter().any(|(name, path)| name == "id" && path.as_slice() == ["id"]);
    Ok(Answered { rows: rows.into_iter().map(Shown::Row).collect(), columns, goes_on: has_id && !limited })
}

/// What a path is called in the table itself.
fn resolve(columns: &[(String, Path)], path: &[String]) -> Result<Path, ApiError> {
    let (first, fields) = path.split_first().ok_or_else(|| bad_query("a column is missing"))?;
    let (_, column) = columns.iter().find(|(name, _)| name == first).ok_or_else(|| {
        bad_query(&format!("'where', 'project' or 'order' operator: failed to resolve column or scalar expression named '{first}'"))
    })?;
    Ok(column.iter().chain(fields).cloned().collect())
}

fn renamed(columns: &[(String, Path)], wanted: &[(String, Path)]) -> Result<Vec<(String, Path)>, ApiError> {
    wanted.iter().map(|(name, path)| resolve(columns, path).map(|path| (name.clone(), path))).collect()
}

fn holds(condition: &Condition, value: &Value) -> bool {
    let found = text_of(value);
    let same = |wanted: &String| if condition.folds { wanted.eq_ignore_ascii_case(&found) } else { *wanted == found };
    condition.values.iter().any(same) != condition.negated
}

/// A value as it is compared and ordered.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
