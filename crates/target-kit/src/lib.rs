//! What the targets behind REST APIs have in common: how a CMDB is connected to ([`Connection`]), how it is called and what its failures mean ([`Caller`]), and how the fields of its records are
//! filled, as data that the configuration can put other data in place of ([`Sheet`]), whether records are the ones that a write means ([`check`]), and
//! heartbeats as writes ([`Sightings`]).

mod addressed;
mod caller;
mod connection;
mod sheet;
mod sightings;

pub use addressed::{Carried, check, says_the_same};
pub use caller::Caller;
pub use connection::Connection;
pub use sheet::{BuiltIn, Field, FieldValue, Override, OwnField, Shape, Sheet, SheetError, Standing, value_of};
pub use sightings::{Sightings, requests_within};
