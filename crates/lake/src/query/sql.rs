//! Read-only SQL over the tables of both formats.
//!
//! In: one statement. Out: a stream of batches. Schemas are the modules of the central schema, tables
//! have their plural names, and since those are unique a bare name is enough. Not here: changes of
//! data or tables, which are refused with the command that makes them.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use base::{Error, Kind, Place, Principal, Result, Scope};
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
    SchemaProvider, TableProvider,
};
use datafusion::common::{Result as DfResult, TableReference};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::sqlparser::ast::Statement as SqlStatement;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::displayable;
use datafusion::prelude::SQLOptions;
use datafusion::sql::parser::{DFParser, Statement};
use frame::{BatchStream, SnapshotRef};
use futures::StreamExt;
use schema::{ObjectType, Schema, Sight};

use super::engine::View;
use super::failure::{self, QUERY};
use super::suggest::did_you_mean;
use crate::{Lake, Table};

/// The schema that a bare table name is looked up in.
const DEFAULT_SCHEMA: &str = "main";

/// How a statement is run.
#[derive(Clone, Debug)]
pub struct SqlOptions {
    /// An older state of every table that the statement names.
    pub at: Option<SnapshotRef>,
    /// Rows that are given at most; without it, more rows than `Limits::rows` are an error.
    pub row_limit: Option<usize>,
    /// Who asks.
    pub principal: Principal,
}

impl SqlOptions {
    /// The present, as many rows as the lake's limit allows.
    pub fn new(principal: Principal) -> Self {
        SqlOptions { at: None, row_limit: None, principal }
    }
}

/// What a statement gives.
pub struct SqlAnswer {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows, as they are computed.
    pub stream: BatchStream,
}

impl std::fmt::Debug for SqlAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqlAnswer").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// The type behind a table that the schema made.
fn type_of<'s>(schema: &'s Schema, table: &Table) -> Option<&'s ObjectType> {
    let named = schema.table_named(&table.name).filter(|_| table.is_owned());
    named.map(|(_, object, _)| object)
}

/// Whether a caller does not know of a table.
fn is_hidden(schema: &Schema, table: &Table, who: &Principal) -> bool {
    type_of(schema, table).is_some_and(|object| object.policy.sight(who) == Sight::Hidden)
}

impl Lake {
    /// Runs one reading statement.
    pub async fn sql(&self, text: &str, options: SqlOptions) -> Result<SqlAnswer> {
        options.principal.require(Scope::Read)?;
        let (state, plan) = self.plan_sql(text, options.at, &options.principal).await?;
        let plan = limited(plan, options.row_limit)?;
        let (schema, stream) = self.inner.query.run(&state, &plan).await?;
        let stream = match options.row_limit {
            Some(_) => stream,
            None => bounded(stream, self.inner.config.limits.rows),
        };
        Ok(SqlAnswer { schema, stream })
    }

    /// How a statement would be run: what is asked of the tables, and how they are read.
    pub async fn explain_sql(&self, text: &str, options: SqlOptions) -> Result<String> {
        options.principal.require(Scope::Read)?;
        let (state, plan) = self.plan_sql(text, options.at, &options.principal).await?;
        let optimized = state.optimize(&plan).map_err(failure::of_query)?;
        let physical = state.create_physical_plan(&plan).await.map_err(failure::of_query)?;
        let physical = displayable(physical.as_ref()).indent(false);
        Ok(format!("question\n{}\n\nplan\n{physical}", optimized.display_indent()))
    }

    async fn plan_sql(
        &self,
        text: &str,
        at: Option<SnapshotRef>,
        who: &Principal,
    ) -> Result<(SessionState, LogicalPlan)> {
        let statement = reading_statement(text)?;
        let state = self.inner.query.session();
        let references = state.resolve_table_references(&statement).map_err(failure::of_query)?;
        let schema = self.schema();
        let mut tables = self.tables().await?;
        tables.retain(|table| !is_hidden(&schema, table, who));
        if !all_owned(&statement, &references, &tables) {
            tables.extend(self.foreign_as_tables().await?);
        }
        let needed = needed_tables(text, &statement, &references, &tables)?;
        for table in tables.iter().filter(|table| needed.contains(&name_of(table))) {
            if let Some(object) = type_of(&schema, table) {
                schema.require_whole(object, who, "SQL")?;
            }
        }
        let catalog = self.catalog_of(&tables, &needed, at).await?;
        let state =
            SessionStateBuilder::new_from_existing(state).with_catalog_list(catalog).build();
        let plan = state.statement_to_plan(statement).await.map_err(failure::of_query)?;
        let only_reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false);
        only_reads.with_allow_statements(false).verify_plan(&plan).map_err(|_| refused("this"))?;
        Ok((state, plan))
    }

    async fn catalog_of(
        &self,
        tables: &[Arc<Table>],
        needed: &HashSet<TableName>,
        at: Option<SnapshotRef>,
    ) -> Result<Arc<dyn CatalogProviderList>> {
        let schema = self.schema();
        let mut schemas: HashMap<Arc<str>, LakeSchema> = HashMap::new();
        schemas.insert(DEFAULT_SCHEMA.into(), LakeSchema::default());
        for module in &schema.modules {
            schemas.entry(Arc::clone(&module.name)).or_default();
        }
        for table in tables.iter().filter(|table| needed.contains(&name_of(table))) {
            // A change of columns makes no snapshot, so that the present is not the last snapshot's.
            let view = if at.is_some() { View::OfSnapshot } else { View::Current };
            let provider = self.provider(table, at, view).await?;
            let module = schemas.entry(Arc::clone(&table.namespace)).or_default();
            module.listed.push(table.name.as_ref().to_owned());
            module.tables.insert(table.name.as_ref().to_owned(), Arc::clone(&provider));
            // What other tools made never hides, nor is taken for, what the schema made.
            if !table.is_owned() {
                continue;
            }
            let bare = schemas.entry(DEFAULT_SCHEMA.into()).or_default();
            bare.tables.insert(table.name.as_ref().to_owned(), provider);
        }
        let catalog = MemoryCatalogProvider::new();
        let mut schemas: Vec<_> = schemas.into_iter().collect();
        schemas.sort_by(|left, right| left.0.cmp(&right.0));
        for (name, provider) in schemas {
            catalog.register_schema(&name, Arc::new(provider)).map_err(failure::of_query)?;
        }
        let list = MemoryCatalogProviderList::new();
        list.register_catalog("lake".to_owned(), Arc::new(catalog));
        Ok(Arc::new(list))
    }
}

/// The one statement of the text, when it only reads.
fn reading_statement(text: &str) -> Result<Statement> {
    let mut statements = DFParser::parse_sql(text).map_err(failure::of_query)?;
    let statement = statements
        .pop_front()
        .ok_or_else(|| Error::invalid("there is no statement to run").hint("try `SELECT 1`"))?;
    if !statements.is_empty() {
        return Err(Error::invalid("one statement at a time, please")
            .hint("run each statement with a call of its own"));
    }
    check_reads(&statement)?;
    Ok(statement)
}

fn check_reads(statement: &Statement) -> Result<()> {
    match statement {
        Statement::Explain(explain) => check_reads(&explain.statement),
        Statement::Statement(inner) => match inner.as_ref() {
            SqlStatement::Query(_)
            | SqlStatement::ExplainTable { .. }
            | SqlStatement::ShowTables { .. }
            | SqlStatement::ShowColumns { .. } => Ok(()),
            SqlStatement::Explain { statement, .. } => {
                check_reads(&Statement::Statement(statement.clone()))
            }
            other => Err(refused(other.to_string().split(' ').next().unwrap_or("this"))),
        },
        other => Err(refused(other.to_string().split(' ').next().unwrap_or("this"))),
    }
}

fn refused(verb: &str) -> Error {
    let hint = match verb {
        "CREATE" | "ALTER" | "DROP" => {
            "tables follow the central schema: edit it, then `headwater plan` and `headwater apply`"
        }
        "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "TRUNCATE" => {
            "change rows with a GraphQL mutation, or many at once with `headwater import`"
        }
        "COPY" => {
            "write query results with `headwater sql --format`, or tables with `headwater export`"
        }
        _ => "only `SELECT`, `EXPLAIN`, `DESCRIBE` and `SHOW TABLES` are offered",
    };
    Error::new(Kind::Unsupported, format!("SQL only reads here, and `{verb}` does not")).hint(hint)
}

/// A table's namespace and its name.
type TableName = (Arc<str>, Arc<str>);

fn name_of(table: &Table) -> TableName {
    (Arc::clone(&table.namespace), Arc::clone(&table.name))
}

/// Whether a statement names tables of the central schema and nothing else.
fn all_owned(statement: &Statement, references: &[TableReference], tables: &[Arc<Table>]) -> bool {
    let owned = |reference: &TableReference| {
        tables.iter().any(|table| {
            table.name.as_ref() == reference.table()
                && reference.schema().is_none_or(|schema| schema == table.namespace.as_ref())
        })
    };
    !shows_tables(statement) && references.iter().all(owned)
}

/// The tables that the statement needs, by name; unknown ones are an error with a place.
fn needed_tables(
    text: &str,
    statement: &Statement,
    references: &[TableReference],
    tables: &[Arc<Table>],
) -> Result<HashSet<TableName>> {
    let mut needed = HashSet::new();
    for reference in references {
        if reference.schema() == Some("information_schema") {
            return Ok(tables.iter().map(|table| name_of(table)).collect());
        }
        let found = tables.iter().find(|table| {
            let by_name = |schema: Option<&str>| schema.is_none_or(|name| name == DEFAULT_SCHEMA);
            table.name.as_ref() == reference.table()
                && (reference.schema() == Some(table.namespace.as_ref())
                    || table.is_owned() && by_name(reference.schema()))
        });
        let Some(table) = found else { return Err(no_table(text, reference, tables)) };
        needed.insert(name_of(table));
    }
    if shows_tables(statement) {
        needed.extend(tables.iter().map(|table| name_of(table)));
    }
    Ok(needed)
}

fn shows_tables(statement: &Statement) -> bool {
    match statement {
        Statement::Statement(inner) => !matches!(inner.as_ref(), SqlStatement::Query(_)),
        _ => false,
    }
}

fn no_table(text: &str, reference: &TableReference, tables: &[Arc<Table>]) -> Error {
    let error = Error::not_found(format!("there is no table `{reference}`"));
    let error = match place_of(text, reference.table()) {
        Some(place) => error.at(place),
        None => error,
    };
    let names = || tables.iter().map(|table| table.name.as_ref());
    match did_you_mean(reference.table(), names()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`SHOW TABLES` lists them"),
    }
}

/// Where a name first stands in the text as a word of its own.
fn place_of(text: &str, name: &str) -> Option<Place> {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    let (start, _) = text.match_indices(name).find(|(start, _)| {
        !text[..*start].ends_with(is_letter) && !text[start + name.len()..].starts_with(is_letter)
    })?;
    let before = &text[..start];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Some(Place { file: QUERY.to_owned(), line, column })
}

fn limited(plan: LogicalPlan, row_limit: Option<usize>) -> Result<LogicalPlan> {
    let explains = matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_));
    let Some(rows) = row_limit.filter(|_| !explains) else { return Ok(plan) };
    let limited = LogicalPlanBuilder::from(plan).limit(0, Some(rows));
    limited.and_then(LogicalPlanBuilder::build).map_err(failure::of_query)
}

/// The stream, ended by an error when it gives more rows than the limit.
pub(crate) fn bounded(stream: BatchStream, limit: u64) -> BatchStream {
    let mut given = 0_u64;
    Box::pin(stream.map(move |batch| {
        let batch = batch?;
        given += batch.num_rows() as u64;
        if given > limit {
            return Err(Error::new(
                Kind::LimitExceeded,
                format!("the answer has more than {} rows", base::size::format_count(limit)),
            )
            .hint("ask for fewer rows with a limit, or export the table"));
        }
        Ok(batch)
    }))
}

/// The tables of one module, or under [`DEFAULT_SCHEMA`] those of all.
#[derive(Debug, Default)]
struct LakeSchema {
    listed: Vec<String>,
    tables: HashMap<String, Arc<dyn TableProvider>>,
}

#[async_trait]
impl SchemaProvider for LakeSchema {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn table_names(&self) -> Vec<String> {
        let mut names = self.listed.clone();
        names.sort();
        names
    }

    async fn table(&self, name: &str) -> DfResult<Option<Arc<dyn TableProvider>>> {
        Ok(self.tables.get(name).cloned())
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_change_anything_are_refused_by_name() {
        let check = |text: &str| reading_statement(text).err().map(|error| error.to_string());
        assert_eq!(check("SELECT 1"), None);
        assert_eq!(check("EXPLAIN SELECT 1"), None);
        assert_eq!(check("SHOW TABLES"), None);
        for (verb, text) in [
            ("INSERT", "INSERT INTO films VALUES (1)"),
            ("DROP", "DROP TABLE films"),
            ("CREATE", "CREATE TABLE x AS SELECT 1"),
            ("CREATE", "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc'"),
            ("COPY", "COPY films TO '/tmp/x.csv'"),
            ("UPDATE", "EXPLAIN UPDATE films SET id = 1"),
            ("SET", "SET x = 1"),
        ] {
            let expected = format!("SQL only reads here, and `{verb}` does not");
            assert_eq!(check(text), Some(expected), "{text}");
        }
        assert_eq!(check("SELECT 1; SELECT 2").as_deref(), Some("one statement at a time, please"));
    }

    #[test]
    fn syntax_errors_have_a_place() {
        let error = reading_statement("SELECT *\nFORM films").expect_err("no SQL");
        let place = error.place().expect("a place");
        assert_eq!((place.line, place.column), (2, 1));
    }

    #[test]
    fn names_are_found_as_whole_words() {
        let place = place_of("SELECT filmsy\n  FROM films", "films").expect("found");
        assert_eq!((place.line, place.column), (2, 8));
    }
}
