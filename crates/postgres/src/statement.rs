//! A statement while it is written: its text and the arguments that its places hold. Whatever came from a
//! question is an argument; the text has names of the catalog, numbers of our own and fixed words only.

use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgTypeInfo};
use sqlx::{Arguments, Postgres, Type};

/// An argument as it travels; nothing for null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Argument {
    /// The number of its type.
    pub(crate) oid: u32,
    /// Its binary form.
    pub(crate) bytes: Option<Vec<u8>>,
}

/// A statement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statement {
    /// The text so far.
    pub(crate) text: String,
    arguments: Vec<Argument>,
}

impl Statement {
    /// Goes on with fixed words.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// The place of an argument, as the text writes it.
    pub(crate) fn place(&mut self, argument: Argument) -> String {
        self.arguments.push(argument);
        format!("${}", self.arguments.len())
    }

    /// The arguments for the driver.
    pub(crate) fn bound(&self) -> Result<PgArguments, BoxDynError> {
        let mut bound = PgArguments::default();
        for argument in &self.arguments {
            Arguments::add(&mut bound, argument.clone())?;
        }
        Ok(bound)
    }
}

impl Type<Postgres> for Argument {
    fn type_info() -> PgTypeInfo {
        // Each argument says its own; this one is never asked for.
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl Encode<'_, Postgres> for Argument {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Ok(match &self.bytes {
            Some(bytes) => {
                buffer.extend_from_slice(bytes);
                IsNull::No
            }
            None => IsNull::Yes,
        })
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(Oid(self.oid)))
    }

    fn size_hint(&self) -> usize {
        self.bytes.as_ref().map_or(0, Vec::len)
    }
}

/// A name as a statement writes it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
