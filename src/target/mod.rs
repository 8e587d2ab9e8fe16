//! The targets: the CMDBs that are kept true.

pub use dewpoint_core::target::{
    Adapted, Adopt, Authority, Ci, Delivered, DesiredField, Fingerprint, FoundEdges, FoundRecord, Identity, Operation, Page, Purge,
    RecordId, Retry, Sending, Subject, Target, TargetError, Write,
};

pub mod local;

#[cfg(test)]
pub(crate) mod contract;
