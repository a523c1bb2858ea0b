//! The list of a client's documents, in the form in which Apollo's tools write it and
//! `headwater documents register` reads it.

use serde_json::json;

use super::Client;

/// All operations with their ids and texts.
pub fn manifest(client: &Client) -> String {
    let operations = client.operations.iter().map(|operation| {
        json!({
            "id": operation.id,
            "name": operation.name,
            "type": operation.kind.word(),
            "body": operation.text,
        })
    });
    let list = json!({
        "format": "apollo-persisted-query-manifest",
        "version": 1,
        "operations": operations.collect::<Vec<_>>(),
    });
    format!("{list:#}\n")
}
