//! What the engine knows of each item while it works.

use super::request::Item;

/// A code with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Finding {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// One try to find the record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) identifier: String,
    pub(crate) result: &'static str,
    pub(crate) attributes: Vec<String>,
    pub(crate) table: String,
    pub(crate) info: String,
}

/// Where the record stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Located {
    /// Nothing is known yet, or it failed.
    #[default]
    Nowhere,
    /// There is none: it is to be made, with this identifier.
    New(String),
    Found(String),
}

/// What becomes of an item that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Stored, to be merged with a later payload.
    Partial,
    /// Stored, never to be looked at again.
    Incomplete,
    /// Reported, no more.
    #[default]
    Failed,
}

/// An item of the payload, or several that are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    pub(crate) item: Item,
    /// The places in the payload.
    pub(crate) indices: Vec<usize>,
    pub(crate) located: Located,
    /// The place of the host among all work.
    pub(crate) host: Option<usize>,
    pub(crate) error: Option<Finding>,
    pub(crate) fate: Fate,
    /// It was put aside, and looks clean: what is wrong stands among its warnings.
    pub(crate) looks_clean: bool,
    pub(crate) warnings: Vec<Finding>,
    pub(crate) info: Vec<Finding>,
    pub(crate) attempts: Vec<Attempt>,
    /// The identification entry that decided.
    pub(crate) entry: Option<String>,
    /// Other records that matched too.
    pub(crate) duplicates: Vec<String>,
    pub(crate) masked: Vec<String>,
    /// Stored partial payloads that were merged into it.
    pub(crate) merged: Vec<String>,
    /// Where it was parked.
    pub(crate) parked: Vec<String>,
    pub(crate) operation: &'static str,
    pub(crate) related: Vec<Related>,
    /// Whether it was written.
    pub(crate) is_committed: bool,
}

/// A row that goes with an item.
#[derive(Clone, Debug)]
pub(crate) struct Related {
    pub(crate) class: String,
    pub(crate) indices: Vec<(usize, usize)>,
    pub(crate) operation: &'static str,
    pub(crate) sys_id: Option<String>,
    pub(crate) error: Option<Finding>,
    pub(crate) internal_id: Option<String>,
}

impl Work {
    pub(crate) fn new(item: Item, index: usize) -> Self {
        Self { item, indices: vec![index], ..Self::default() }
    }

    /// Notes an error; the first one stands.
    pub(crate) fn fail(&mut self, code: &'static str, message: impl Into<String>) {
        if self.error.is_none() {
            self.error = Some(Finding::new(code, message));
        }
    }

    /// The identifier of the record that was found or is to be made.
    pub(crate) fn sys_id(&self) -> Option<&str> {
        match &self.located {
            Located::New(sys_id) | Located::Found(sys_id) => Some(sys_id),
            Located::Nowhere => None,
        }
    }
}

/// A relation of the payload, or several that are the same.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) indices: Vec<usize>,
    pub(crate) operation: &'static str,
    pub(crate) sys_id: Option<String>,
    pub(crate) error: Option<Finding>,
    pub(crate) is_parked: bool,
}
