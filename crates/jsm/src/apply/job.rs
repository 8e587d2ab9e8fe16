//! What is done with one object by one request.

use std::collections::BTreeMap;

use dewpoint_core::model::Key;

/// An object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum On {
    /// One that stands there, by id.
    Standing(String),
    /// One that the batch makes.
    New(Key),
}

/// A part of it, with the number of its write.
#[derive(Debug)]
pub(super) enum Change {
    /// Makes or updates the object.
    Write(usize),
    /// Removes it.
    Purge(usize),
    /// Has it refer to another.
    Relate(usize, On),
    /// Has it refer to another no more.
    Unrelate(usize, String),
    /// Has it refer to none of these any more, which writes retired, by their ids.
    Forget(BTreeMap<String, usize>),
}

impl Change {
    /// The writes that it is part of.
    pub(super) fn numbers(&self) -> Vec<usize> {
        match self {
            Self::Write(number) | Self::Purge(number) | Self::Relate(number, _) | Self::Unrelate(number, _) => vec![*number],
            Self::Forget(retired) => retired.values().copied().collect(),
        }
    }
}

/// All of it.
pub(super) struct Job {
    pub(super) on: On,
    pub(super) changes: Vec<Change>,
}

impl Job {
    pub(super) fn new(on: On, change: Change) -> Self {
        Self { on, changes: vec![change] }
    }

    /// Whether it changes nothing but what the object refers to.
    pub(super) fn is_of_edges(&self) -> bool {
        self.changes.iter().all(|change| !matches!(change, Change::Write(_) | Change::Purge(_)))
    }

    /// What has to be done with before it: itself, and new objects that it refers to.
    pub(super) fn waits_for(&self) -> impl Iterator<Item = &On> {
        let others = self.changes.iter().filter_map(|change| match change {
            Change::Relate(_, other) => Some(other),
            _ => None,
        });
        std::iter::once(&self.on).chain(others)
    }
}
