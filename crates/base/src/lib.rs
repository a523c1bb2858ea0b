//! The ground floor: what every crate of Headwater needs and nothing that only one of them needs.
//!
//! In: nothing. Out: typed ids, one error type with a short list of kinds, principals, named
//! tasks, and a clock and a source of randomness that are passed as values. Not here: Arrow,
//! serialisation formats, any I/O.

pub mod clock;
pub mod error;
pub mod ids;
pub mod principal;
pub mod rng;
pub mod secret;
pub mod size;
pub mod task;

pub use clock::{Clock, Timestamp};
pub use error::{Error, Kind, Place, Result, error_chain};
pub use principal::{Principal, Scope, Team};
pub use secret::Secret;
