//! The targets: the CMDBs that are kept true.

pub use dewpoint_core::target::{
    Acquaintance, Adapted, Addressed, Adopt, Authority, Beat, Ci, Delivered, DesiredField, End, Fingerprint, Foreseen, Foresight,
    FoundEdges, FoundRecord, Host, HostEdge, Identity, Operation, Page, Place, Purge, RecordId, Retry, Sample, Sending, Side, Step,
    StepOutcome, Subject, Target, TargetError, Together, Would, Write,
};

pub mod local;
