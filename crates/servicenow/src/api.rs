//! The instance's interfaces, as far as they are used, and what their failures mean to a caller of a target.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dewpoint_core::model::TargetName;
use dewpoint_core::target::TargetError;
use dewpoint_http::{Answer, Repeat, Request};
use dewpoint_target_kit::Caller;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::ire;
use crate::query::Query;

/// Rows of a page. Answers of 8 000 rows were seen cut off; 1 000 to 2 000 are safe.
pub(crate) const PAGE_ROWS: usize = 1000;

/// Requests in one batch. The instance works on them one after the other, within 30 s.
const BATCHED_MAX: usize = 50;

/// How often what a batch left undone is sent again.
const BATCH_ROUNDS_MAX: usize = 5;

/// A row: its columns with raw values. Empty ones are not there.
pub(crate) type Row = BTreeMap<String, String>;

/// One instance.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) caller: Caller,
    /// Our discovery source.
    pub(crate) source: String,
    /// Rate rules that our requests came under so far, with the calls that each allows in an hour.
    rules: Arc<Mutex<BTreeMap<String, u64>>>,
}

/// What rows are asked for.
#[derive(Debug, Clone)]
pub(crate) struct Select<'a> {
    pub(crate) table: &'a str,
    pub(crate) query: Query,
    pub(crate) fields: &'a [&'a str],
}

/// Rows as the Table API gives them: a quota that ends the transaction midway leaves an error beside what there was by then.
#[derive(Deserialize)]
struct Rows {
    result: Option<Vec<RawRow>>,
    error: Option<Said>,
}

/// What an instance says of a failure.
#[derive(Debug, Clone, Deserialize)]
struct Said {
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    detail: Option<String>,
}

impl Said {
    fn words(&self) -> String {
        let words: Vec<&str> = [&self.message, &self.detail].into_iter().flatten().map(String::as_str).collect();
        words.join(": ")
    }
}

struct RawRow(Row);

impl<'de> Deserialize<'de> for RawRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = BTreeMap::<String, Value>::deserialize(deserializer)?;
        Ok(Self(values.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect()))
    }
}

/// A column's value: a text, or with its link a reference. `None` where it is empty.
fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => (!text.is_empty()).then_some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Object(mut parts) => text(parts.remove("value")?),
        Value::Null | Value::Array(_) => None,
    }
}

/// What a class looks like on the instance.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ClassMeta {
    #[serde(default)]
    pub(crate) attributes: Vec<AttributeMeta>,
    #[serde(default)]
    pub(crate) identification_rules: Option<IdentificationMeta>,
}

/// A column of a class.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AttributeMeta {
    pub(crate) element: String,
    /// Its type as the dictionary calls it.
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

impl AttributeMeta {
    /// Whether it holds ids of another table's rows.
    pub(crate) fn is_reference(&self) -> bool {
        self.kind.as_deref() == Some("reference")
    }

    /// Whether it holds mere text.
    pub(crate) fn is_text(&self) -> bool {
        self.kind.as_deref().is_some_and(|kind| kind.starts_with("string"))
    }
}

/// How the instance identifies records of a class.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct IdentificationMeta {
    /// The class that the rule is of: an inherited one searches the records of all its subclasses.
    #[serde(default)]
    pub(crate) applies_to: String,
    #[serde(default)]
    pub(crate) identifiers: Vec<IdentifierMeta>,
}

/// One of its ways.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct IdentifierMeta {
    /// Columns, with commas.
    #[serde(default)]
    pub(crate) attributes: String,
    #[serde(default)]
    active: Option<String>,
}

impl IdentifierMeta {
    pub(crate) fn is_active(&self) -> bool {
        self.active.as_deref() != Some("false")
    }
}

/// A request within a batch.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) method: &'static str,
    /// Path and query.
    pub(crate) url: String,
}

/// Its answer.
#[derive(Debug, Clone)]
pub(crate) struct PartAnswer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl PartAnswer {
    /// The instance's words for what went wrong.
    pub(crate) fn words(&self) -> String {
        let said = self.body.get("error").and_then(|error| Said::deserialize(error).ok());
        format!("status {}: {}", self.status, said.map(|said| said.words()).unwrap_or_default())
    }
}

#[derive(Serialize)]
struct BatchRequest<'a> {
    batch_request_id: &'a str,
    rest_requests: Vec<Value>,
}

#[derive(Deserialize)]
struct BatchAnswer {
    #[serde(default)]
    serviced_requests: Vec<Serviced>,
}

#[derive(Deserialize)]
struct Serviced {
    id: String,
    status_code: u16,
    #[serde(default)]
    body: Option<String>,
}

#[derive(Deserialize)]
struct Enveloped<T> {
    result: T,
}

impl Api {
    pub(crate) fn new(caller: Caller, source: String) -> Self {
        Self { caller, source, rules: Arc::default() }
    }

    /// The same instance for requests that end before this.
    pub(crate) fn until(&self, deadline: Instant) -> Self {
        Self { caller: self.caller.until(deadline), ..self.clone() }
    }

    pub(crate) fn target(&self) -> &TargetName {
        self.caller.target()
    }

    /// Rate rules that requests came under so far, with the calls that each allows in an hour.
    pub(crate) fn rate_rules(&self) -> BTreeMap<String, u64> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first page of rows, in the order of their ids. Where it hides rows that the user may not see, that is an error.
    pub(crate) async fn page(&self, select: &Select<'_>) -> Result<Vec<Row>, TargetError> {
        let query = select.query.clone().page(None);
        Ok(self.get_rows(select.table, &query, select.fields, PAGE_ROWS).await?.0)
    }

    /// All rows.
    pub(crate) async fn rows(&self, select: &Select<'_>) -> Result<Vec<Row>, TargetError> {
        let mut rows: Vec<Row> = Vec::new();
        self.each_page(select, |page| rows.extend(page)).await?;
        Ok(rows)
    }

    /// All rows, page by page in the order of their ids: each page starts behind the last row of the one before. The end is a page without rows, or one
    /// that shows all that the instance counted behind the page before. Where a page hides rows that the user may not see, that is an error: nothing would tell
    /// them from what is not there.
    pub(crate) async fn each_page(&self, select: &Select<'_>, mut take: impl FnMut(Vec<Row>)) -> Result<(), TargetError> {
        let mut after: Option<String> = None;
        loop {
            let query = select.query.clone().page(after.as_deref());
            let (page, is_last) = self.get_rows(select.table, &query, select.fields, PAGE_ROWS).await?;
            let Some(last) = page.last().and_then(|row| row.get("sys_id")).cloned() else { return Ok(()) };
            if after.as_ref().is_some_and(|after| last <= *after) {
                return Err(self.unreachable("read", format!("its pages of {} do not come to an end", select.table)));
            }
            take(page);
            if is_last {
                return Ok(());
            }
            after = Some(last);
        }
    }

    /// The first of the rows in a query's own order.
    pub(crate) async fn first(&self, table: &str, query: &Query, fields: &[&str]) -> Result<Option<Row>, TargetError> {
        Ok(self.get_rows(table, query, fields, 1).await?.0.into_iter().next())
    }

    /// Rows, and whether the instance counts no more than these.
    async fn get_rows(&self, table: &str, query: &Query, fields: &[&str], limit: usize) -> Result<(Vec<Row>, bool), TargetError> {
        let request = Request::get("/api/now/v2/table")
            .segment(table)
            .query("sysparm_query", query.as_str())
            .query("sysparm_fields", &fields.join(","))
            .query("sysparm_limit", &limit.to_string())
            .query("sysparm_exclude_reference_link", "true")
            .query("sysparm_suppress_pagination_header", "true")
            .operation("table read");
        let answer = self.send(request, "read").await?;
        let rows: Rows = self.json(&answer, "read")?;
        // What came before the quota is no whole answer.
        if let Some(said) = rows.error {
            return Err(self.unreachable("read", format!("table {table} was cut off: {}", said.words())));
        }
        let Some(result) = rows.result else {
            return Err(self.unreachable("read", format!("the answer about table {table} holds no result")));
        };
        // Rows that the user may not see are left out without a word, a whole page of them looks like the end. The count is of all that are found.
        let found: Option<usize> = answer.header("x-total-count").and_then(|count| count.trim().parse().ok());
        let shown = result.len();
        match found.map(|found| found.min(limit)) {
            Some(found) if shown < found => Err(TargetError::Forbidden {
                target: self.target().clone(),
                operation: "read",
                text: format!(
                    "the user may not see {} of {found} rows of `{table}`: give it unrestricted read on what it looks after",
                    found - shown
                ),
            }),
            _ => Ok((result.into_iter().map(|row| row.0).collect(), found == Some(shown))),
        }
    }

    /// How many rows a table has, where the instance says so: the user may lack the right to count.
    pub(crate) async fn count(&self, table: &str) -> Option<u64> {
        #[derive(Deserialize)]
        struct Stats {
            stats: Count,
        }
        #[derive(Deserialize)]
        struct Counted {
            result: Stats,
            // A quota that ends the transaction midway leaves one beside what was counted by then.
            error: Option<Value>,
        }
        #[derive(Deserialize)]
        struct Count {
            count: String,
        }
        let request = Request::get("/api/now/stats").segment(table).query("sysparm_count", "true").operation("count");
        let answer = self.caller.ask(request).await.ok()?;
        let counted: Counted = answer.json().ok()?;
        if counted.error.is_some() { None } else { counted.result.stats.count.parse().ok() }
    }

    /// What a class looks like; `None` where the instance has none of that name.
    pub(crate) async fn class(&self, class: &str) -> Result<Option<ClassMeta>, TargetError> {
        let request = Request::get("/api/now/cmdb/meta").segment(class).operation("class");
        match self.caller.ask(request).await {
            Ok(answer) => Ok(Some(self.json::<Enveloped<ClassMeta>>(&answer, "read the class")?.result)),
            Err(error) if error.outcome() == "not_found" => Ok(None),
            Err(error) => Err(self.caller.failed("read the class", &error)),
        }
    }

    /// Sends a payload to the identification and reconciliation engine.
    ///
    /// What the engine cannot do is not parked: it would be merged with what comes later, when it is stale.
    pub(crate) async fn reconcile(&self, payload: &ire::Payload) -> Result<ire::Report, TargetError> {
        self.engine("/api/now/identifyreconcile/enhanced", "reconcile", payload).await
    }

    /// Asks the engine what it would do with a payload. Nothing is committed.
    pub(crate) async fn identify(&self, payload: &ire::Payload) -> Result<ire::Report, TargetError> {
        self.engine("/api/now/identifyreconcile/queryEnhanced", "identify", payload).await
    }

    async fn engine(&self, path: &str, operation: &'static str, payload: &ire::Payload) -> Result<ire::Report, TargetError> {
        let request = Request::post(path)
            .query("sysparm_data_source", &self.source)
            .query("options", "partial_payloads:false,partial_commits:true,deduplicate_payloads:true,generate_summary:true")
            .json(payload)
            .operation(operation)
            // The caller sends halves of what was not answered: a repeat as a whole would meet the same quota.
            .repeat(if operation == "identify" { Repeat::Safe } else { Repeat::Never });
        let answer = self.send(request, operation).await?;
        // A backlog behind a session is answered 202 and dropped.
        if answer.status() != 200 {
            return Err(self.unreachable(operation, format!("it answered status {} and did nothing", answer.status())));
        }
        Ok(self.json::<Enveloped<ire::Report>>(&answer, operation)?.result)
    }

    /// Sends several requests as few. One answer each, in their order; those that the instance did not get to after some rounds fail the whole.
    pub(crate) async fn batch(&self, parts: &[Part], repeat: Repeat) -> Result<Vec<PartAnswer>, TargetError> {
        let mut answers: Vec<Option<PartAnswer>> = vec![None; parts.len()];
        for _ in 0..BATCH_ROUNDS_MAX {
            let open: Vec<usize> =
                answers.iter().enumerate().filter(|(_, answer)| answer.is_none()).map(|(at, _)| at).take(BATCHED_MAX).collect();
            if open.is_empty() {
                break;
            }
            self.batch_round(parts, &open, repeat, &mut answers).await?;
        }
        let whole: Option<Vec<PartAnswer>> = answers.into_iter().collect();
        whole.ok_or_else(|| self.unreachable("batch", "it did not get to the end of a batch of requests".to_owned()))
    }

    async fn batch_round(
        &self,
        parts: &[Part],
        open: &[usize],
        repeat: Repeat,
        answers: &mut [Option<PartAnswer>],
    ) -> Result<(), TargetError> {
        let rest_requests = open.iter().filter_map(|at| Some((at, parts.get(*at)?))).map(|(at, part)| {
            json!({
                "id": at.to_string(),
                "method": part.method,
                "url": part.url,
                "headers": [{"name": "Accept", "value": "application/json"}],
                "exclude_response_headers": true,
            })
        });
        let body = BatchRequest { batch_request_id: "dewpoint", rest_requests: rest_requests.collect() };
        let request = Request::post("/api/now/v1/batch").json(&body).operation("batch").repeat(repeat);
        let answer: BatchAnswer = self.json(&self.send(request, "batch").await?, "batch")?;
        for serviced in answer.serviced_requests {
            let Some(slot) = serviced.id.parse::<usize>().ok().and_then(|at| answers.get_mut(at)) else { continue };
            let body = serviced.body.and_then(|body| STANDARD.decode(body).ok());
            let body = body.filter(|body| !body.is_empty()).and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
            *slot = Some(PartAnswer { status: serviced.status_code, body });
        }
        Ok(())
    }

    /// Removes rows; one that is not there is a success. One answer each.
    pub(crate) async fn delete(&self, rows: &[(String, String)]) -> Result<Vec<Result<(), TargetError>>, TargetError> {
        let mut results = Vec::with_capacity(rows.len());
        for chunk in rows.chunks(BATCHED_MAX) {
            let parts: Vec<Part> =
                chunk.iter().map(|(table, sys_id)| Part { method: "DELETE", url: format!("/api/now/v2/table/{table}/{sys_id}") }).collect();
            // Removing what is gone already is no harm.
            for answer in self.batch(&parts, Repeat::Safe).await? {
                results.push(match answer.status {
                    200..=299 | 404 => Ok(()),
                    401 => Err(TargetError::Credentials { target: self.target().clone(), text: answer.words() }),
                    403 => Err(TargetError::Forbidden { target: self.target().clone(), operation: "remove a row", text: answer.words() }),
                    _ => Err(self.rejected(answer.words())),
                });
            }
        }
        Ok(results)
    }

    pub(crate) async fn send(&self, request: Request, operation: &'static str) -> Result<Answer, TargetError> {
        let answer = self.caller.send(request, operation).await?;
        let rule = answer.rate().limit.zip(answer.rate().rule.clone());
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.extend(rule.map(|(limit, rule)| (rule, limit)));
        drop(rules);
        Ok(answer)
    }

    fn json<T: DeserializeOwned>(&self, answer: &Answer, operation: &'static str) -> Result<T, TargetError> {
        self.caller.json(answer, operation)
    }

    pub(crate) fn unreachable(&self, operation: &'static str, text: String) -> TargetError {
        self.caller.unreachable(operation, text)
    }

    pub(crate) fn rejected(&self, text: String) -> TargetError {
        self.caller.rejected(text)
    }
}
