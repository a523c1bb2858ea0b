//! gRPC as services of calls speak it: JSON to messages and back, over the transport that all sources have.
//!
//! ```text
//! descriptors | reflection → methods
//! JSON → message → frame → (transport) → frames → messages → JSON
//! ```
//!
//! In: the name of a method with a request as JSON. Out: the answer as JSON, by the mapping that protobuf
//! itself has, with a value for each field that has a default. Not here: what a call is made of and what its
//! answer is for (`source::rest`), patience with the service (`transport`).

mod frame;
mod mapping;
mod message;
mod methods;
mod reflect;

pub(crate) use frame::{Frames, Unframed, framed, messages};
pub(crate) use message::{encode, json};
pub(crate) use methods::Methods;
pub use reflect::{Unreflected, reflect};
