//! What an engine reads from and writes to.

pub(crate) mod grpc;
pub(crate) mod rest;

use async_trait::async_trait;
use base::{Principal, Result};
use frame::{Scan, Value, Write};
use serde_json::Value as Json;

/// Tables that can be read and changed.
pub trait Source: Scan + Write {}

impl<T: Scan + Write> Source for T {}

/// Keeps the bytes of media before the rows that point to them are written.
#[async_trait]
pub trait MediaStore: Send + Sync {
    /// Stores files of an `@media` field and measures them: for each the struct of
    /// `Schema::media_type`, in the order given.
    async fn put_media(
        &self,
        type_name: &str,
        field: &str,
        files: Vec<Vec<u8>>,
    ) -> Result<Vec<Value>>;
}

/// The root type that a field belongs to: two of them may have fields of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Root {
    /// Reads.
    Query,
    /// Changes.
    Mutation,
}

/// Answers the root fields of plain SDL.
#[async_trait]
pub trait RootResolver: Send + Sync {
    /// The value of a root field: objects with a field for each field of their type, `__typename`
    /// where the type is an interface or a union. What the request did not ask for is left out of
    /// the answer.
    async fn resolve(
        &self,
        root: Root,
        field: &str,
        arguments: Json,
        principal: &Principal,
    ) -> Result<Json>;
}
