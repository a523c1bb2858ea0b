//! GraphQL over tables and services: one document in, the bytes of one answer out.
//!
//! ```text
//! text → parse → Document → validate → ValidDocument → plan → Plan → fetch → RowSets → merge → Links → respond → Response
//! ```
//!
//! In: a central schema with anything that can be scanned and written, or plain SDL with a resolver
//! of root fields, or a composed graph with services; then requests. Out: responses as GraphQL over
//! HTTP carries them. A plan is made once a document and kept; every level of a query is one scan
//! however many parents it has, and of the objects that a service adds to, one call. Not
//! here: HTTP towards clients, authentication, tables (`lake`). How services are called over HTTP is in
//! [`transport`]. What is deferred comes in parts after the first answer, where the client takes parts
//! ([`Engine::deliver`]).

mod api_schema;
pub mod documents;
mod engine;
mod error;
mod exact;
mod fetch;
mod incremental;
mod input;
mod limits;
mod merge;
mod parse;
mod plan;
mod policy;
pub mod record;
mod respond;
mod source;
mod subscribe;
mod tape;
mod terms;
pub mod transport;
mod usage;
mod validate;

pub use engine::{Engine, Request, Response, Settings};
pub use error::{GraphqlError, PathPart};
pub use exact::json as exact_json;
pub use fetch::service::{CallError, InProcess, Remote, Service, ServiceCall, Told};
pub use incremental::{Answer, Part, Parts};
pub use limits::Limits;
pub use record::{Record, Recorder};
pub use source::grpc::{Unreflected, reflect};
pub use source::rest::Rest;
pub use source::{MediaStore, Root, RootResolver, Source};
pub use subscribe::Subscription;
pub use terms::Terms;
pub use usage::Usage;
