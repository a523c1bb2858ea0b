//! Changed rows of a table as events: what is asked of each is fetched for all of them at once.

use std::sync::Arc;

use arrow::array::RecordBatch;
use schema::TypeId;

use super::Session;
use super::rows::{RowSet, attach_wrapped, wrapped};
use crate::plan::PlannedField;

/// Events of one kind.
pub(crate) struct Events {
    /// Whether the rows went.
    pub(crate) went: bool,
    /// A row an event, with the key; of rows that went nothing else.
    pub(crate) batch: RecordBatch,
    /// For each field of the selection: the rows, where it asks for them.
    pub(crate) nodes: Vec<Option<RowSet>>,
}

/// One of them.
pub(crate) struct Event {
    pub(crate) events: Arc<Events>,
    pub(crate) row: usize,
    /// After which snapshot one goes on.
    pub(crate) snapshot: i64,
}

impl Events {
    /// Fetches what a field asks of rows.
    pub(crate) async fn fetch(
        session: &Session<'_>,
        field: &PlannedField,
        id: TypeId,
        went: bool,
        batch: RecordBatch,
    ) -> Events {
        let nodes = match field.selection() {
            Some(selection) if !went => {
                let asked = vec![wrapped(session, selection)];
                attach_wrapped(session, asked, id, &batch, None).await.pop()
            }
            _ => None,
        };
        Events { went, batch, nodes: nodes.unwrap_or_default() }
    }
}
