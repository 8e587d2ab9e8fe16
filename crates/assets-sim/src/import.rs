//! External imports: a mapping, executions, chunks.

use serde::{Deserialize, Serialize};

use crate::site::Secret;

/// An external import source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportSource {
    /// Its id.
    pub id: String,
    /// The schema that it writes into.
    pub schema_id: u64,
    /// Its name.
    pub name: String,
    /// The token for it.
    pub token: Secret,
}

impl ImportSource {
    pub(crate) fn new(id: &str, schema_id: u64, name: &str, token: Secret) -> Self {
        Self { id: id.to_owned(), schema_id, name: name.to_owned(), token }
    }
}
