//! `[graphql]`: what one request may ask for, who is told about the types, what a client may spend, and
//! which documents are answered.
//!
//! In: the section of `headwater.toml`. Out: [`Graphql`], and the [`mesh::Limits`] that it stands for. The
//! defaults suit an endpoint that anybody can reach; `docs/reference/security.md` says why each is what
//! it is.

use std::time::Duration;

use serde::Deserialize;

use super::{Size, Span};

/// How `/graphql` is served.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Graphql {
    /// Lexical tokens of a document.
    pub tokens: usize,
    /// Nested selection sets.
    pub depth: usize,
    /// Fields with an alias.
    pub aliases: usize,
    /// Fields after fragments are spread.
    pub fields: usize,
    /// Selections that are looked at to make a plan.
    pub selections: usize,
    /// Static cost of one operation.
    pub cost: f64,
    /// Items of one list in the value of a variable, and values that one filter compares with.
    pub input_items: usize,
    /// Nested lists and objects in the value of a variable.
    pub input_depth: usize,
    /// Rows of one page, and of one list of references.
    pub page: usize,
    /// Rows read for one request.
    pub rows: usize,
    /// Rows in one mutation.
    pub written_rows: usize,
    /// Rows that a page of a type without a key may lie behind.
    pub offset: usize,
    /// Calls of services for one request.
    pub calls: usize,
    /// Bytes of one answer of a service.
    pub answer_bytes: Size,
    /// Objects and lists within one another in an answer of a service.
    pub answer_depth: usize,
    /// Changes of a table that may wait for a slow subscriber.
    pub queue: usize,
    /// Streams and WebSockets of a node, together.
    pub subscriptions: usize,
    /// Operations on one WebSocket at once.
    pub connection_subscriptions: usize,
    /// How long a WebSocket may run nothing.
    pub socket_idle: Span,
    /// How often a stream says that it is alive, and its caller is looked at again.
    pub heartbeat: Span,
    /// Items of `errors`.
    pub errors: usize,
    /// Bytes of an answer.
    pub response_bytes: Size,
    /// Bytes of a request's body; `limits.request_body` holds, too.
    pub request_bytes: Size,
    /// Time for one request.
    pub time: Span,
    /// Prepared plans that are kept.
    pub plans: usize,
    /// Fields of all plans that are kept, together.
    pub plan_fields: usize,
    /// Who may ask for the types of the API.
    pub introspection: Audience,
    /// Who is told which name was probably meant.
    pub suggestions: Audience,
    /// Which documents are answered.
    pub documents: Documents,
    /// Whether it is counted who asks what: changes are weighed by it.
    pub usage: bool,
    /// Bytes of documents that clients sent once and then name by their hash; with 0 none are kept.
    pub persisted_bytes: Size,
    /// What a client may spend.
    pub budget: Budget,
}

/// What one client may spend: each request costs 1 and the static cost of its operation.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// What comes in, a second; with 0 nobody has a budget.
    pub a_second: f64,
    /// What can be saved up, and so be spent at once.
    pub saved: f64,
    /// Clients whose budgets are kept apart.
    pub clients: usize,
}

/// To whom something is offered.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Audience {
    /// To everybody.
    All,
    /// To whoever sent a token, and to the owner of the machine.
    SignedIn,
    /// To nobody.
    Off,
}

/// Which documents are answered.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Documents {
    /// All.
    Off,
    /// All; those that are not registered are logged and counted.
    Report,
    /// Those that are registered.
    Enforce,
}

impl Default for Graphql {
    fn default() -> Self {
        let limits = mesh::Limits::default();
        Graphql {
            tokens: limits.tokens,
            depth: limits.depth,
            aliases: limits.aliases,
            fields: limits.fields,
            selections: limits.selections,
            cost: limits.cost,
            input_items: limits.input_items,
            input_depth: limits.input_depth,
            page: limits.page,
            rows: limits.rows,
            written_rows: limits.written_rows,
            offset: limits.offset,
            calls: limits.calls,
            answer_bytes: Size(limits.answer_bytes as u64),
            answer_depth: limits.answer_depth,
            queue: limits.queue,
            subscriptions: 10_000,
            connection_subscriptions: 100,
            socket_idle: Span(Duration::from_secs(60)),
            heartbeat: Span(Duration::from_secs(12)),
            errors: limits.errors,
            response_bytes: Size(limits.response_bytes as u64),
            request_bytes: Size(1 << 20),
            time: Span(limits.time),
            plans: limits.plans,
            plan_fields: limits.plan_fields,
            introspection: Audience::SignedIn,
            suggestions: Audience::SignedIn,
            documents: Documents::Off,
            usage: true,
            persisted_bytes: Size(8 << 20),
            budget: Budget::default(),
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Budget { a_second: 200_000.0, saved: 2_000_000.0, clients: 10_000 }
    }
}

impl Audience {
    /// Whether it is offered to a caller.
    pub(crate) fn has(self, is_known: bool) -> bool {
        match self {
            Audience::All => true,
            Audience::SignedIn => is_known,
            Audience::Off => false,
        }
    }
}

impl Graphql {
    /// The bounds that the engine keeps. Every field is named, so that a new limit must find its setting.
    pub(crate) fn limits(&self) -> mesh::Limits {
        mesh::Limits {
            tokens: self.tokens,
            depth: self.depth,
            aliases: self.aliases,
            fields: self.fields,
            selections: self.selections,
            cost: self.cost,
            input_items: self.input_items,
            input_depth: self.input_depth,
            page: self.page,
            rows: self.rows,
            written_rows: self.written_rows,
            offset: self.offset,
            calls: self.calls,
            answer_bytes: usize::try_from(self.answer_bytes.0).unwrap_or(usize::MAX),
            answer_depth: self.answer_depth,
            queue: self.queue,
            errors: self.errors,
            response_bytes: usize::try_from(self.response_bytes.0).unwrap_or(usize::MAX),
            time: self.time.0,
            plans: self.plans,
            plan_fields: self.plan_fields,
        }
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        let counts = [
            ("tokens", self.tokens),
            ("depth", self.depth),
            ("fields", self.fields),
            ("selections", self.selections),
            ("input_items", self.input_items),
            ("input_depth", self.input_depth),
            ("calls", self.calls),
            ("answer_depth", self.answer_depth),
            ("page", self.page),
            ("rows", self.rows),
            ("written_rows", self.written_rows),
            ("queue", self.queue),
            ("connection_subscriptions", self.connection_subscriptions),
            ("errors", self.errors),
            ("budget.clients", self.budget.clients),
        ];
        if let Some((name, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(format!("`graphql.{name}` must be at least 1"));
        }
        let amounts = [
            ("cost", self.cost),
            ("budget.a_second", self.budget.a_second),
            ("budget.saved", self.budget.saved),
        ];
        let is_amount = |amount: f64| amount.is_finite() && amount >= 0.0;
        if let Some((name, _)) = amounts.into_iter().find(|(_, amount)| !is_amount(*amount)) {
            return Err(format!("`graphql.{name}` must be a number from 0"));
        }
        if self.answer_bytes.0 < 1 << 10 {
            return Err("`graphql.answer_bytes` must be at least `1KiB`".to_owned());
        }
        if self.response_bytes.0 < 1 << 10 || self.request_bytes.0 < 1 << 10 {
            return Err("`graphql.response_bytes` and `graphql.request_bytes` must be at least \
                        `1KiB`"
                .to_owned());
        }
        if self.heartbeat.0 < Duration::from_millis(1) {
            return Err("`graphql.heartbeat` must be at least `1ms`".to_owned());
        }
        if self.time.0 < Duration::from_millis(1) {
            return Err("`graphql.time` must be at least `1ms`".to_owned());
        }
        Ok(())
    }
}
