//! What every interface is given.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{auth::Caller, instance::Instance, reply::ApiError, settings::Settings};

/// A request that was let in, and the instance it is about.
pub(crate) struct Call<'a> {
    pub(crate) instance: &'a mut Instance,
    pub(crate) settings: &'a Settings,
    pub(crate) caller: &'a Caller,
    pub(crate) now: Timestamp,
    /// `https://host:port`, as the client spells it.
    pub(crate) base_url: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a BTreeMap<String, String>,
    pub(crate) body: &'a [u8],
    /// What is left to chance in this request is drawn from this.
    pub(crate) chance: u64,
}

impl Call<'_> {
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// Case does not matter: pysnow sends `True`.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.parameter(name).eq_ignore_ascii_case("true")
    }

    /// Whether the table's rules let the caller read.
    pub(crate) fn check_read(&self, table: &str) -> Result<(), ApiError> {
        let allowed = match group(table) {
            Group::Cmdb => self.caller.has(&["itil", "asset", "cmdb_read"]),
            Group::Open => true,
            Group::Engine => self.caller.has(&["itil", "asset"]),
            Group::Admin => self.caller.has(&[]),
        };
        if allowed { Ok(()) } else { Err(ApiError::new(403, "Insufficient rights to query records", None)) }
    }

    /// Whether the table's rules let the caller write.
    pub(crate) fn check_write(&self, table: &str) -> Result<(), ApiError> {
        let allowed = match group(table) {
            Group::Cmdb => self.caller.has(&["itil", "asset"]),
            Group::Open | Group::Engine | Group::Admin => self.caller.has(&[]),
        };
        let detail = format!("ACL Exception: access to table {table} denied due to security constraints");
        if allowed { Ok(()) } else { Err(ApiError::new(403, "Operation Failed", Some(&detail))) }
    }
}

enum Group {
    Cmdb,
    /// Read by everybody, written by administrators.
    Open,
    /// What the engine keeps of its own.
    Engine,
    Admin,
}

fn group(table: &str) -> Group {
    match table {
        "sys_properties" => Group::Admin,
        "sys_object_source"
        | "sys_rel_source"
        | "cmdb_ire_partial_payloads"
        | "cmdb_ire_incomplete_payloads"
        | "reconcile_duplicate_task" => Group::Engine,
        _ if table.starts_with("cmdb") || table.starts_with("alm_") => Group::Cmdb,
        _ => Group::Open,
    }
}
