//! Calls and types against what a service of gRPC says of its messages: in come a module's types with
//! their calls and the descriptors, out come faults where a method, a field or a type is not what the
//! module says. Without descriptors nothing is known before the first call.
//!
//! A field may be missing in some of the messages by which its type is answered, but not in all of them:
//! what is not there is null, as everywhere.

mod forms;

use apollo_compiler::Name;
use apollo_compiler::ast::Type as GraphqlType;
use indexmap::{IndexMap, IndexSet};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};

use crate::compile::directives::Applied;
use crate::compile::report::Report;
use crate::diagnostic::Code;
use crate::fetch::template::{Hole, Spread};
use crate::fetch::{Body, Call, Fetch, Fetches, Next, Origin, Pages, Path};
use crate::model::SourceSpec;

use super::call::Scope;
use super::types::{Field, Root, Type, Types};
use forms::{Form, Slot};

/// What of a call the descriptors contradict.
pub(super) fn of_call(
    scope: Scope<'_, '_>,
    applied: Applied<'_>,
    fetch: &Fetch,
    report: &mut Report<'_>,
) {
    let (Some(descriptors), Call::Method(name)) = (&scope.spec.descriptors, &fetch.call) else {
        return;
    };
    let Some(method) = descriptors.method(name) else {
        let known = descriptors.methods();
        report
            .at(Code::Fetch, applied.at_argument("method"), format!("there is no method `{name}`"))
            .did_you_mean(
                name,
                known.iter().map(String::as_str),
                |found| format!("`{found}`"),
                "name a method of the descriptors in full: `package.Service/Method`",
            );
        return;
    };
    if let Err((words, hint)) = streams(scope, fetch, &method) {
        report.at(Code::Fetch, applied.at_argument("method"), words).hint(hint);
        return;
    }
    let mut judge = Judge { scope, applied, report, seen: IndexSet::new() };
    if let Some(body) = &fetch.body {
        judge.request(body, &method.input());
    }
    if let Some(Pages { next: Next::Cursor { parameter, path }, .. }) = &fetch.pages {
        judge.field(&method.input(), parameter, "next");
        judge.path(&method.output(), path, "next");
    }
    judge.answer(fetch, &method);
}

/// Which streams a call may have.
fn streams(
    scope: Scope<'_, '_>,
    fetch: &Fetch,
    method: &MethodDescriptor,
) -> Result<(), (String, &'static str)> {
    let name = method.full_name();
    if method.is_client_streaming() {
        let words = format!("`{name}` takes a stream of messages");
        return Err((words, "only methods that take one message can be called"));
    }
    let is_stream = method.is_server_streaming();
    let is_told = scope.types.root_of(scope.parent.name) == Some(Root::Subscription);
    if is_told && !is_stream {
        let words = format!("`{name}` answers once");
        return Err((words, "a subscription calls a method that answers with a stream"));
    }
    let is_list = scope.field.is_some_and(|field| field.node.ty.is_list());
    let is_plain = fetch.batch.is_none() && fetch.pages.is_none() && fetch.result.0.is_empty();
    if is_stream && !is_told && !(is_list && is_plain) {
        let words = format!("`{name}` answers with a stream of messages");
        return Err((words, "its messages are a list: without `result`, `next` and batches"));
    }
    Ok(())
}

/// One call while it is judged.
struct Judge<'j, 'a, 'd, 'r> {
    scope: Scope<'a, 'd>,
    applied: Applied<'j>,
    report: &'j mut Report<'r>,
    /// Input types that were compared with messages.
    seen: IndexSet<(Name, String)>,
}

impl Judge<'_, '_, '_, '_> {
    fn fault(&mut self, argument: &str, words: String, hint: impl Into<String>) {
        self.report.at(Code::Fetch, self.applied.at_argument(argument), words).hint(hint);
    }

    /// A field of a request, by either of its names.
    fn field(
        &mut self,
        message: &MessageDescriptor,
        name: &str,
        argument: &str,
    ) -> Option<FieldDescriptor> {
        let found = message.fields().find(|it| it.json_name() == name || it.name() == name);
        if found.is_none() {
            self.unknown(message, name, argument);
        }
        found
    }

    fn unknown(&mut self, message: &MessageDescriptor, name: &str, argument: &str) {
        let words = format!("`{}` has no field `{name}`", message.full_name());
        let names: Vec<String> = message.fields().map(|it| it.json_name().to_owned()).collect();
        let diagnostic = self.report.at(Code::Fetch, self.applied.at_argument(argument), words);
        diagnostic.did_you_mean(
            name,
            names.iter().map(String::as_str),
            |found| format!("`{found}`"),
            "name a field of the message, as its JSON has it",
        );
    }

    /// Where names lead to in an answer, whose JSON has one name for each field.
    fn path(&mut self, message: &MessageDescriptor, path: &Path, argument: &str) -> Option<Slot> {
        let mut slot = Slot::message(message, false);
        for part in &path.0 {
            let Some(message) = slot.as_message() else {
                let words = format!("{} is no message, into which `{part}` could lead", slot.told);
                self.fault(argument, words, "end the path at the value");
                return None;
            };
            let Some(field) = message.fields().find(|it| it.json_name() == part.as_ref()) else {
                self.unknown(&message, part, argument);
                return None;
            };
            slot = Slot::field(&field);
        }
        Some(slot)
    }

    fn request(&mut self, body: &Body, message: &MessageDescriptor) {
        match body {
            Body::Object(members) => self.members(members, message),
            Body::Whole(hole) => {
                let Some(ty) = type_of(self.scope, hole) else { return };
                let slot = Slot::message(message, false);
                self.given(&ty, &slot);
            }
            Body::Plain(_) | Body::Text(_) | Body::List(_) => {
                let words = format!("a request is a `{}`", message.full_name());
                self.fault("body", words, "write an object: `body: {id: \"{id}\"}`");
            }
        }
    }

    fn members(&mut self, members: &[(std::sync::Arc<str>, Body)], message: &MessageDescriptor) {
        for (name, value) in members {
            if let Some(field) = self.field(message, name, "body") {
                self.value(value, &Slot::field(&field));
            }
        }
    }

    /// What is written for a field of a request.
    fn value(&mut self, value: &Body, slot: &Slot) {
        match value {
            Body::Whole(hole) => {
                let Some(mut ty) = type_of(self.scope, hole) else { return };
                let is_argument = self.is_argument(hole);
                if hole.spread != Spread::One && !is_argument && !ty.is_list() {
                    // One call takes the values of many objects.
                    ty = GraphqlType::List(Box::new(ty));
                }
                self.given(&ty, slot);
            }
            Body::List(items) if slot.is_list => {
                let item = slot.item();
                items.iter().for_each(|value| self.value(value, &item));
            }
            Body::Object(members) => match slot.as_message() {
                Some(message) => self.members(members, &message),
                None if slot.takes_any() => {}
                None => self.misfit("object", slot),
            },
            Body::List(_) if !slot.takes_any() => self.misfit("list", slot),
            Body::Text(_) if !slot.takes_text() => self.misfit("text", slot),
            // Numbers and words that stand in the schema are looked at when they are sent.
            Body::List(_) | Body::Text(_) | Body::Plain(_) => {}
        }
    }

    fn misfit(&mut self, what: &str, slot: &Slot) {
        let words = format!("{} is {}, and no {what}", slot.told, slot.words());
        self.fault("body", words, "write a value of the field's type");
    }

    /// A value of a type of the schema for a field of a request.
    fn given(&mut self, ty: &GraphqlType, slot: &Slot) {
        if let Some(message) = slot.as_message()
            && !ty.is_list()
            && let Some(fields) = self.scope.types.input(ty.inner_named_type())
        {
            let name = ty.inner_named_type().clone();
            if !self.seen.insert((name.clone(), message.full_name().to_owned())) {
                return;
            }
            for field in fields {
                let wire = field.directives.get("wire");
                let wire = wire.and_then(|it| it.specified_argument_by_name("name")?.as_str());
                if let Some(found) = self.field(&message, wire.unwrap_or(&field.name), "method") {
                    self.given(&field.ty, &Slot::field(&found));
                }
            }
            return;
        }
        if let Err(words) = forms::given(self.scope.types, ty, slot) {
            let argument = if self.applied.any("body").is_some() { "body" } else { "method" };
            self.fault(argument, words, "give a value of the field's type");
        }
        if slot.is_list && ty.is_list() && slot.item().as_message().is_some() {
            self.given(ty.item_type(), &slot.item());
        }
    }

    fn is_argument(&self, hole: &Hole) -> bool {
        let mut arguments = self.scope.field.iter().flat_map(|field| &field.node.arguments);
        arguments.any(|argument| argument.name == hole.path.first())
    }

    /// What comes, as far as it is told by this call alone.
    fn answer(&mut self, fetch: &Fetch, method: &MethodDescriptor) {
        let Some(slot) = self.path(&method.output(), &fetch.result, "result") else { return };
        if let Some(batch) = &fetch.batch {
            if slot.is_map {
                return;
            }
            if !slot.is_list {
                let words = format!("{} is no list, by whose items objects are known", slot.told);
                let hint = "say by `result` where the list of the objects stands";
                return self.fault("result", words, hint);
            }
            if let Some(message) = slot.item().as_message() {
                self.path(&message, &batch.key, "key");
                if let Some(value) = &batch.value {
                    self.path(&message, value, "value");
                }
            }
        }
    }
}

/// The type of the value that a hole is filled with.
fn type_of(scope: Scope<'_, '_>, hole: &Hole) -> Option<GraphqlType> {
    let first = hole.path.first();
    let mut arguments = scope.field.iter().flat_map(|field| &field.node.arguments);
    if let Some(argument) = arguments.find(|argument| argument.name == first) {
        let mut ty = (*argument.ty).clone();
        for part in hole.path.0.iter().skip(1) {
            let fields = scope.types.input(ty.inner_named_type())?;
            ty = (*fields.iter().find(|it| it.name == part.as_ref())?.ty).clone();
        }
        return Some(ty);
    }
    let mut parent = Some(scope.parent);
    let mut ty = None;
    for part in &hole.path.0 {
        let found = parent?.fields.iter().find(|(name, _)| name.as_str() == part.as_ref());
        let (_, field) = found?;
        ty = Some(field.node.ty.clone());
        parent = scope.types.get(field.named());
    }
    ty
}

/// What of all types the descriptors contradict.
pub(super) fn of_types(
    types: &Types<'_>,
    spec: &SourceSpec,
    fetches: &Fetches,
    report: &mut Report<'_>,
) {
    let Some(descriptors) = &spec.descriptors else { return };
    let mut answered = Answered { types, fetches, messages: IndexMap::new(), faults: Vec::new() };
    for (name, of) in &fetches.types {
        let Some(found) = types.get(name) else { continue };
        let method = |fetch: &Fetch| match &fetch.call {
            Call::Method(name) => descriptors.method(name),
            Call::Http { .. } => None,
        };
        for entity in &of.entities {
            if let Some(method) = method(&entity.fetch) {
                answered.object(found, &entity.fetch, &method);
            }
        }
        for (field, source) in &of.fields {
            let field = found.fields.iter().find(|(name, _)| **name == field);
            if let (Some((_, field)), Origin::Call(fetch)) = (field, &source.origin)
                && let Some(method) = method(fetch)
            {
                answered.field(found, field, fetch, &method, &source.wire);
            }
        }
    }
    answered.missing();
    for (at, words, hint) in answered.faults {
        report.at(Code::Fetch, at, words).hint(hint);
    }
}

type Faults = Vec<(Option<apollo_compiler::parser::SourceSpan>, String, String)>;

/// By which messages the types of a module are answered.
struct Answered<'a, 'd> {
    types: &'a Types<'d>,
    fetches: &'a Fetches,
    messages: IndexMap<Name, Vec<MessageDescriptor>>,
    faults: Faults,
}

impl Answered<'_, '_> {
    /// Where in an answer the value stands; what is wrong with the way has been said.
    fn slot(fetch: &Fetch, method: &MethodDescriptor) -> Option<Slot> {
        let is_list = method.is_server_streaming() && fetch.result.0.is_empty();
        let mut slot = Slot::message(&method.output(), is_list);
        for part in &fetch.result.0 {
            slot = Slot::field(&slot.as_message()?.fields().find(|it| it.json_name() == &**part)?);
        }
        let Some(batch) = &fetch.batch else { return Some(slot) };
        slot = slot.item();
        for part in batch.value.iter().flat_map(|path| &path.0) {
            slot = Slot::field(&slot.as_message()?.fields().find(|it| it.json_name() == &**part)?);
        }
        Some(slot)
    }

    fn object(&mut self, found: &Type<'_>, fetch: &Fetch, method: &MethodDescriptor) {
        let Some(slot) = Self::slot(fetch, method) else { return };
        match slot.as_message() {
            Some(message) => self.add(found.name, message),
            None => {
                let words = format!("{} is no object, but {}", slot.told, slot.words());
                let hint = "say by `result` where the object stands".to_owned();
                self.faults.push((found.at, words, hint));
            }
        }
    }

    fn field(
        &mut self,
        parent: &Type<'_>,
        field: &Field<'_>,
        fetch: &Fetch,
        method: &MethodDescriptor,
        wire: &str,
    ) {
        let is_told = self.types.root_of(parent.name) == Some(Root::Subscription);
        let Some(mut slot) = Self::slot(fetch, method) else { return };
        if slot.is_list && method.is_server_streaming() && !is_told && !field.node.ty.is_list() {
            // That it is a stream has been said.
            return;
        }
        if is_told && fetch.result.0.is_empty() {
            // Each message is an event.
            slot.is_list = false;
        }
        let ty = &field.node.ty;
        // An item of a batch is one of a list, or the value itself.
        let is_item = fetch.batch.is_some() && ty.is_list() && !slot.is_list;
        let ty = if is_item { ty.item_type() } else { ty };
        if slot.is_empty() {
            // That all is well and nothing is said is `true`.
            let fine = ty.inner_named_type() == "Boolean" && !ty.is_list();
            if !fine {
                let words = format!("{} says nothing", slot.told);
                self.faults.push((field.at(), words, "make the field a `Boolean`".to_owned()));
            }
            return;
        }
        let is_leaf = self.types.get(ty.inner_named_type()).is_none();
        let member = slot.as_message().filter(|_| is_leaf && !ty.is_list());
        let member = member.and_then(|message| message.fields().find(|it| it.json_name() == wire));
        let slot = member.map_or(slot, |member| Slot::field(&member));
        self.compare(field, ty, &slot);
    }

    fn compare(&mut self, field: &Field<'_>, ty: &GraphqlType, slot: &Slot) {
        if let Err(words) = forms::taken(self.types, ty, slot) {
            let hint = "give the field the type of what comes".to_owned();
            self.faults.push((field.at(), words, hint));
            return;
        }
        let named = ty.inner_named_type();
        if let (Some(found), Form::Message(message)) =
            (self.types.get(named).map(|it| it.name.clone()), slot.form())
        {
            self.add(&found, message);
        }
    }

    /// A type is answered by a message, and so are those that it holds.
    fn add(&mut self, name: &Name, message: MessageDescriptor) {
        let known = self.messages.entry(name.clone()).or_default();
        if known.contains(&message) {
            return;
        }
        known.push(message.clone());
        let (types, fetches) = (self.types, self.fetches);
        let Some(found) = types.get(name) else { return };
        for (name, source) in fetches.types.get(name).iter().flat_map(|of| &of.fields) {
            let field = found.fields.iter().find(|(known, _)| **known == name);
            let Some((_, field)) = field.filter(|_| source.origin == Origin::Parent) else {
                continue;
            };
            let there = message.fields().find(|it| it.json_name() == source.wire.as_ref());
            if let Some(there) = there {
                self.compare(field, &field.node.ty, &Slot::field(&there));
            }
        }
    }

    /// Fields that none of the messages has.
    fn missing(&mut self) {
        let (types, fetches) = (self.types, self.fetches);
        for (name, messages) in &self.messages {
            let (Some(found), Some(of)) = (types.get(name), fetches.types.get(name)) else {
                continue;
            };
            for (field, source) in &of.fields {
                let is_there = |message: &MessageDescriptor| {
                    message.fields().any(|it| it.json_name() == source.wire.as_ref())
                };
                let node = found.fields.iter().find(|(known, _)| **known == field);
                let Some((_, node)) = node.filter(|_| source.origin == Origin::Parent) else {
                    continue;
                };
                let comes_with_key = found.is_key(field) && !of.entities.is_empty();
                if node.is_external || comes_with_key || messages.iter().any(is_there) {
                    continue;
                }
                let (words, hint) = absent(name, field, &source.wire, messages);
                self.faults.push((node.at(), words, hint));
            }
        }
    }
}

fn absent(
    name: &Name,
    field: &Name,
    wire: &str,
    messages: &[MessageDescriptor],
) -> (String, String) {
    let told: Vec<String> =
        messages.iter().map(|message| format!("`{}`", message.full_name())).collect();
    let words =
        format!("`{name}.{field}` comes from nowhere: {} has no `{wire}`", told.join(" or "));
    let fields: Vec<FieldDescriptor> = messages.iter().flat_map(|it| it.fields()).collect();
    if let Some(same) = fields.iter().find(|it| it.name() == wire) {
        let hint = format!("its name in JSON is `{0}`: `@wire(name: \"{0}\")`", same.json_name());
        return (words, hint);
    }
    let names = fields.iter().map(FieldDescriptor::json_name);
    let close = crate::diagnostic::suggest::closest(wire, names);
    let hint = close.map_or_else(
        || {
            "give the field a `@fetch` or the name that the message has: `@wire(name: \"…\")`"
                .into()
        },
        |found| format!("did you mean `@wire(name: \"{found}\")`?"),
    );
    (words, hint)
}

/// Whether a kind is a message of the service's own, and no value of JSON.
fn own_message(kind: &Kind) -> Option<MessageDescriptor> {
    kind.as_message()
        .filter(|message| !message.full_name().starts_with("google.protobuf."))
        .cloned()
}
