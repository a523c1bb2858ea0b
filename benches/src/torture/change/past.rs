//! What the tables were before each change, read after it: a snapshot that was noted then must give
//! the values of then, to clients of the new version and, while it is served, of the old one.
//!
//! In: versions, one after the other. Out: nothing, or which snapshot is not what it was. Each has a
//! row of its own that every change of the schema is preceded by a change of. Not here: the present
//! (`load`).

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::connection::Connection;
use super::load::{check, one, upsert};
use super::versions::{Row, Version};

/// The row that is changed before each change of the schema.
const ID: &str = "past";

/// A state of a table, and what it holds of the row.
struct State {
    snapshot: String,
    row: Row,
    /// The version that was deployed then.
    version: usize,
}

/// The states that were noted, for each type.
pub(super) struct Past {
    address: String,
    states: Vec<Vec<State>>,
}

impl Past {
    pub(super) fn new(address: &str) -> Past {
        Past { address: address.to_owned(), states: Vec::new() }
    }

    /// How many states are noted.
    pub(super) fn len(&self) -> usize {
        self.states.iter().map(Vec::len).sum()
    }

    /// Changes the row of each type by the deployed version, and notes the state.
    pub(super) async fn note(&mut self, versions: &[Version], deployed: usize) -> Result<()> {
        // A server lets connections go that are not used for long.
        let mut connection = Connection::open(&self.address).await?;
        for (index, known) in versions[deployed].types.iter().enumerate() {
            let row = Row::new(ID.to_owned(), deployed as i64 * 1_000_003);
            let question = upsert(known, &row);
            let answer = connection.ask(deployed + 1, &question).await?;
            let made = &answer["data"][format!("upsert{}", known.kind.name())]["snapshot"];
            let snapshot =
                made.as_str().with_context(|| format!("{question}: {answer}"))?.to_owned();
            if self.states.len() <= index {
                self.states.push(Vec::new());
            }
            self.states[index].push(State { snapshot, row, version: deployed });
        }
        Ok(())
    }

    /// Reads every state that was noted, as a client of a version, while another one is deployed. A
    /// state of before a move of the rows must be refused in words.
    pub(super) async fn check(
        &self,
        versions: &[Version],
        version: usize,
        deployed: usize,
    ) -> Result<()> {
        let mut connection = Connection::open(&self.address).await?;
        let moved = (0..=deployed).rfind(|number| versions[*number].moves).unwrap_or(0);
        for (states, known) in self.states.iter().zip(&versions[version].types) {
            for state in states {
                let question = one(known, &known.key_of(&state.row), Some(&state.snapshot));
                let answer = connection.ask(version + 1, &question).await?;
                let then = &versions[state.version].what;
                let checked = match state.version < moved {
                    true => check_refused(&question, &answer),
                    false => check(known, &question, answer, Some(&state.row)).map(|_| ()),
                };
                checked.with_context(|| format!("the state before what followed `{then}`"))?;
            }
        }
        Ok(())
    }
}

fn check_refused(question: &Value, answer: &Value) -> Result<()> {
    let words = answer["errors"].to_string();
    ensure!(words.contains("has no such snapshot"), "{question}: {answer}");
    Ok(())
}
