//! Plan to rows: every root field is fetched, queries at once, mutations one after the other.
//!
//! In: a plan with the values of its variables. Out: for each root field what it holds: JSON of a
//! plain engine, or sets of rows with the links between them. A level of references is one scan,
//! however many parents it has. Not here: the links' making (`merge`), the answer's text (`respond`).

mod aggregate;
mod by_key;
mod connection;
pub(crate) mod cursor;
pub(crate) mod derived;
pub(crate) mod entities;
mod event;
mod filter;
mod introspect;
pub(crate) mod later;
mod mutation;
mod reference;
mod rows;
pub(crate) mod service;
mod values;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::{Error, Kind, Principal, Result, Scope, Timestamp};
use frame::SnapshotRef;
use futures::future::{join, join_all};
use http::HeaderMap;
use schema::{ObjectType, Schema, TypeId};
use serde_json::Value as Json;

pub(crate) use aggregate::{GroupSlot, Groups, Place, measured};
pub(crate) use connection::{Connection, ConnectionSlot};
pub(crate) use entities::Entities;
pub(crate) use event::{Event, Events};
pub(crate) use introspect::introspect;
use later::Later;
pub(crate) use mutation::Change;
pub(crate) use rows::{LinkedRows, Links, RowSet, Slot, Wrapped, key_columns, wanted_columns};
pub(crate) use values::value;

use crate::engine::{Data, Engine, Request};
use crate::error::{GraphqlError, is_for_operators};
use crate::input::Variables;
use crate::plan::arguments::ArgumentValues;
use crate::plan::{Backend, Plan, PlannedField, Resolve};
use crate::record::Recorder;
use crate::respond::leaves_data;
use crate::source::{Root, Source};

/// One request while it runs.
pub(crate) struct Session<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) plan: &'a Plan,
    pub(crate) variables: Variables,
    pub(crate) principal: Principal,
    pub(crate) headers: Arc<HeaderMap>,
    pub(crate) recorder: Recorder,
    rows: AtomicUsize,
    /// Of an answer in parts: what is fetched later.
    pub(crate) later: Option<Later<'a>>,
}

/// What a root field holds.
pub(crate) enum RootValue {
    /// Left out by `@skip` or `@include`.
    Absent,
    Typename,
    /// A value of a plain engine, still to be projected.
    Json(Json),
    /// A value that is the answer as it stands.
    Answer(Json),
    Row(Option<RowSet>),
    Connection(Box<Connection>),
    Groups(Box<Groups>),
    Change(Box<Change>),
    Event(Event),
    Entities(Box<Entities>),
    Failed(GraphqlError),
}

/// Fetches all root fields; of a mutation those up to the first that takes all data with it.
pub(crate) async fn fetch(session: &Session<'_>) -> Vec<RootValue> {
    let fields = &session.plan.root.fields;
    if session.plan.is_mutation {
        let mut values = Vec::with_capacity(fields.len());
        for field in fields {
            let value = root(session, field).await;
            // Where the whole answer is null, changes that were not begun are not made.
            let goes_on = leaves_data(session, field, &value);
            values.push(value);
            if !goes_on {
                break;
            }
        }
        return values;
    }
    roots(session, None).await
}

/// Fetches the root fields of a query that begin a stage, or those that begin none.
pub(crate) async fn roots(session: &Session<'_>, stage: Option<usize>) -> Vec<RootValue> {
    let fields = &session.plan.root.fields;
    let is_wanted = |field: &PlannedField| session.stage(field) == stage;
    let others = fields.iter().map(|field| async {
        match field.resolve {
            Resolve::ByKey(_) => RootValue::Absent,
            _ if !is_wanted(field) => RootValue::Absent,
            _ => root(session, field).await,
        }
    });
    let by_key = by_key::by_key(session, fields, &is_wanted);
    let (mut by_key, mut values) = join(by_key, join_all(others)).await;
    for (position, value) in values.iter_mut().enumerate() {
        if let Some(found) = by_key.remove(&position) {
            *value = found;
        }
    }
    values
}

async fn root(session: &Session<'_>, field: &PlannedField) -> RootValue {
    if !field.when.hold(&session.variables) {
        return RootValue::Absent;
    }
    match &field.resolve {
        Resolve::Typename => RootValue::Typename,
        resolve => {
            let value = Box::pin(resolved(session, field, resolve)).await;
            value.unwrap_or_else(|error| RootValue::Failed(session.blame(field, &error)))
        }
    }
}

async fn resolved(
    session: &Session<'_>,
    field: &PlannedField,
    resolve: &Resolve,
) -> Result<RootValue> {
    if *resolve == Resolve::Introspection {
        return Ok(RootValue::Answer(introspect(session, field)?));
    }
    let arguments = session.arguments(field)?;
    match resolve {
        Resolve::Fingerprint => {
            Ok(RootValue::Answer(Json::from(session.schema()?.fingerprint.as_ref())))
        }
        Resolve::List(id) => {
            let connection = connection::connection(session, field, *id, &arguments).await?;
            Ok(RootValue::Connection(Box::new(connection)))
        }
        Resolve::Entities => {
            Ok(RootValue::Entities(Box::new(entities::entities(session, field).await?)))
        }
        Resolve::Aggregate(id) => {
            let groups = aggregate::aggregate(session, field, *id, &arguments).await?;
            Ok(RootValue::Groups(Box::new(groups)))
        }
        Resolve::Mutate(change) => {
            session.principal.require(Scope::Write)?;
            let change = mutation::change(session, field, *change, &arguments).await?;
            Ok(RootValue::Change(Box::new(change)))
        }
        _ => match &session.engine.data {
            Data::Plain(resolver) => {
                let root = if session.plan.is_mutation { Root::Mutation } else { Root::Query };
                let arguments = Json::Object(arguments.values);
                resolver
                    .resolve(root, &field.name, arguments, &session.principal)
                    .await
                    .map(RootValue::Json)
            }
            Data::Tables(_) | Data::Services(_) => {
                Err(Error::internal(format!("nothing stands behind `{}`", field.name)))
            }
        },
    }
}

impl<'a> Session<'a> {
    /// A request that has not started.
    pub(crate) fn new(
        engine: &'a Engine,
        plan: &'a Plan,
        variables: Variables,
        request: Request,
    ) -> Self {
        let Request { principal, headers, recorder, .. } = request;
        let (rows, later) = (AtomicUsize::new(0), None);
        Session { engine, plan, variables, principal, headers, recorder, rows, later }
    }

    /// Of an answer in parts: the stage of fetching that begins with a field.
    fn stage(&self, field: &PlannedField) -> Option<usize> {
        self.later.as_ref()?.schedule.later(field)
    }

    /// The values of a field's arguments.
    pub(crate) fn arguments(&self, field: &PlannedField) -> Result<ArgumentValues> {
        field.arguments.values(&self.engine.api_schema, &self.variables).map_err(Error::invalid)
    }

    fn source(&self) -> Result<&dyn Source> {
        match &self.engine.data {
            Data::Tables(source) => Ok(source.as_ref()),
            _ => Err(Error::internal("this engine has no tables")),
        }
    }

    pub(crate) fn schema(&self) -> Result<&Schema> {
        match &self.engine.backend {
            Backend::Tables { schema, .. } => Ok(schema),
            _ => Err(Error::internal("this engine has no central schema")),
        }
    }

    fn object(&self, id: TypeId) -> Result<&ObjectType> {
        Ok(self.schema()?.object(id))
    }

    /// Counts rows that were read against the limit of the request.
    fn charge(&self, rows: usize) -> Result<()> {
        let limit = self.engine.settings.limits.rows;
        let read = self.rows.fetch_add(rows, Ordering::Relaxed) + rows;
        if read > limit {
            return Err(Error::new(
                Kind::LimitExceeded,
                format!("the request reads more than {limit} rows"),
            )
            .hint("ask for fewer rows with `first`"));
        }
        Ok(())
    }

    /// The error of a field, with the table behind it and who owns it.
    pub(crate) fn blame(&self, field: &PlannedField, error: &Error) -> GraphqlError {
        let id = match &field.resolve {
            Resolve::ByKey(id)
            | Resolve::List(id)
            | Resolve::Aggregate(id)
            | Resolve::Changed(id) => Some(*id),
            Resolve::Mutate(change) => Some(change.type_id),
            Resolve::One(id, reference) | Resolve::Many(id, reference) => {
                self.target(*id, *reference)
            }
            Resolve::Derived(id, _)
            | Resolve::Nearest(id, _)
            | Resolve::Neighbours(id, _)
            | Resolve::Media(id, _) => Some(*id),
            _ => None,
        };
        match id {
            Some(id) => self.blame_table(field, id, error),
            None => self.told(field, error),
        }
    }

    /// What callers may know of an error; the log has the rest.
    fn told(&self, field: &PlannedField, error: &Error) -> GraphqlError {
        let found = GraphqlError::from(error).located(&field.locations);
        match is_for_operators(error.kind()) {
            true => self.referred(field, found, &base::error_chain(error).join(": ")),
            false => found,
        }
    }

    /// The error of a field behind which stands this type.
    fn blame_table(&self, field: &PlannedField, id: TypeId, error: &Error) -> GraphqlError {
        let found = self.told(field, error);
        match self.object(id) {
            Ok(object) => {
                let found = found.with("owner", object.owner.as_str());
                let table = object.table().map(|table| table.name.as_ref());
                table.map_or(found.clone(), |table| found.with("table", table))
            }
            Err(_) => found,
        }
    }

    /// Logs what callers may not know, and tells them under which reference.
    pub(crate) fn referred(
        &self,
        field: &PlannedField,
        error: GraphqlError,
        cause: &str,
    ) -> GraphqlError {
        let reference = self.engine.settings.rng.uuid().to_string();
        tracing::error!(reference, field = %format!("{}.{}", field.parent, field.name), "{cause}");
        error
            .with("reference", reference)
            .with("hint", "the server's log has the cause under this reference")
    }

    fn target(&self, id: TypeId, field: schema::FieldId) -> Option<TypeId> {
        match &self.object(id).ok()?.field(field).kind {
            schema::FieldKind::Reference(reference) => Some(reference.target),
            _ => None,
        }
    }
}

/// The state that `asOf` names.
fn as_of(arguments: &ArgumentValues) -> Result<Option<SnapshotRef>> {
    let Some(Json::Object(state)) = arguments.get("asOf") else { return Ok(None) };
    let given: Vec<(&String, &Json)> = state.iter().filter(|(_, value)| !value.is_null()).collect();
    let [(name, value)] = given.as_slice() else {
        return Err(Error::invalid("`asOf` takes exactly one of `time` and `snapshot`"));
    };
    let data_type = match name.as_str() {
        "time" => frame::DataType::DateTime,
        _ => frame::DataType::Long,
    };
    let value = values::value(&data_type, value)
        .map_err(|error| Error::invalid(format!("`asOf.{name}`: {error}")))?;
    Ok(match value {
        frame::Value::DateTime(micros) => Some(SnapshotRef::Time(Timestamp::from_micros(micros))),
        frame::Value::Int(id) => Some(SnapshotRef::Id(id)),
        _ => None,
    })
}

/// The state in which referenced tables are read: a time holds for all tables, a snapshot only for
/// its own.
fn state_of_references(at: Option<SnapshotRef>) -> Option<SnapshotRef> {
    at.filter(|at| matches!(at, SnapshotRef::Time(_)))
}
