//! The words of the estate: resources, relations, scopes, receipts, and the evidence between them. No I/O, no vendor's field names.

pub mod attributes;
mod digest;
mod evidence;
mod key;
mod kind;
mod relation;
mod resource;
pub mod rules;
mod scope;

pub use digest::{Digest, InvalidDigest};
pub use evidence::proving_scope;
pub use key::{Account, FleetName, InvalidKey, InvalidName, KEY_BYTES_MAX, Key, Region, SourceName, TargetName};
pub(crate) use kind::vocabulary;
pub use kind::{InstanceState, Kind, Provider, RelationType, UnknownWord};
pub use relation::{EdgeId, Relation};
pub use resource::{Attributes, Resource, Vital};
pub use scope::{Outcome, Overlap, Receipt, Receipts, Scope};
