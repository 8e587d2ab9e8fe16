//! The Table API and the aggregates over it.

mod display;
mod read;
pub(crate) mod value;
mod write;

use serde_json::Value;

use crate::{
    call::Call,
    reply::{ApiError, Reply},
};

/// Answers `/api/now[/VERSION]/table/TABLE[/SYS_ID]`.
pub(crate) fn answer(call: &mut Call<'_>, method: &str, table: &str, sys_id: Option<&str>, version: Option<u8>) -> Result<Reply, ApiError> {
    if !call.instance.schema.tables.contains_key(table) {
        return Err(ApiError::no_table(table));
    }
    match (method, sys_id) {
        ("GET", None) => read::list(call, table, version),
        ("GET", Some(sys_id)) => read::one(call, table, sys_id),
        ("POST", None) => write::create(call, table),
        ("PATCH" | "PUT", Some(sys_id)) => write::update(call, table, sys_id),
        ("DELETE", Some(sys_id)) => write::delete(call, table, sys_id),
        _ => Err(ApiError::method()),
    }
}

/// Answers `GET /api/now[/VERSION]/stats/TABLE`.
pub(crate) fn stats(call: &Call<'_>, table: &str) -> Result<Reply, ApiError> {
    if !call.instance.schema.tables.contains_key(table) {
        return Err(ApiError::no_table(table));
    }
    read::stats(call, table)
}

/// A record as the Table API shows it with the parameters of the call.
pub(crate) fn record(call: &Call<'_>, table: &str, sys_id: &str) -> Value {
    read::record(call, table, sys_id)
}
