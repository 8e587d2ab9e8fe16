//! The targets: the CMDBs that are kept true.

pub use dewpoint_core::target::{
    Acquaintance, Adapted, Addressed, Adopt, Authority, Beat, Ci, Delivered, DesiredField, End, Fingerprint, Foreseen, Foresight,
    FoundEdges, FoundRecord, Host, HostEdge, Identity, Operation, Page, Place, Purge, RecordId, Retry, Sample, Sending, Step, StepOutcome,
    Subject, Target, TargetError, Would, Write,
};

pub mod local;
