//! Which interface a path names.

use crate::ire::Endpoint;

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Oauth,
    Table { table: String, sys_id: Option<String> },
    Ire(Endpoint),
    Meta { class: String },
    Instance { class: String, rest: Vec<String> },
    Stats { table: String },
    Batch,
    TinyUrl,
    Unknown,
}

impl Route {
    /// The route, and the version where the path names one.
    pub(crate) fn of(path: &str) -> (Self, Option<u8>) {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        if segments == ["oauth_token.do"] {
            return (Self::Oauth, None);
        }
        let ["api", "now", rest @ ..] = segments.as_slice() else { return (Self::Unknown, None) };
        let (version, rest) = match rest {
            ["v1", rest @ ..] => (Some(1), rest),
            ["v2", rest @ ..] => (Some(2), rest),
            rest => (None, rest),
        };
        let route = match rest {
            ["table", table] if !table.is_empty() => Self::Table { table: (*table).to_owned(), sys_id: None },
            ["table", table, sys_id] => Self::Table { table: (*table).to_owned(), sys_id: Some((*sys_id).to_owned()) },
            ["identifyreconcile"] => Endpoint::of(None).map_or(Self::Unknown, Self::Ire),
            ["identifyreconcile", rest] => Endpoint::of(Some(rest)).map_or(Self::Unknown, Self::Ire),
            ["cmdb", "meta", class] => Self::Meta { class: (*class).to_owned() },
            ["cmdb", "instance", class, rest @ ..] => {
                Self::Instance { class: (*class).to_owned(), rest: rest.iter().map(|part| (*part).to_owned()).collect() }
            }
            ["stats", table] => Self::Stats { table: (*table).to_owned() },
            ["batch"] => Self::Batch,
            ["tinyurl"] => Self::TinyUrl,
            _ => Self::Unknown,
        };
        (route, version)
    }

    /// The name of the interface.
    pub(crate) fn api(&self) -> &'static str {
        match self {
            Self::Oauth => "oauth",
            Self::Table { .. } => "table",
            Self::Ire(endpoint) if endpoint.commits => "identifyreconcile",
            Self::Ire(_) => "identifyreconcile_query",
            Self::Meta { .. } => "meta",
            Self::Instance { .. } => "cmdb_instance",
            Self::Stats { .. } => "stats",
            Self::Batch => "batch",
            Self::TinyUrl => "tinyurl",
            Self::Unknown => "unknown",
        }
    }

    /// The table or class in the path.
    pub(crate) fn table(&self) -> Option<&str> {
        match self {
            Self::Table { table, .. } | Self::Stats { table } => Some(table),
            Self::Meta { class } | Self::Instance { class, .. } => Some(class),
            Self::Oauth | Self::Ire(_) | Self::Batch | Self::TinyUrl | Self::Unknown => None,
        }
    }
}
