//! The one way to write a schema down: in comes a compiled schema, out comes its SDL in an order and
//! spacing that do not depend on how it was written, and the fingerprint of that text. Compiling
//! the text gives the same schema again.

use std::fmt::Write;

use frame::DataType;

use crate::expression;
use crate::graph::SourceKind;
use crate::load::Sources;
use crate::model::{
    ColumnSpec, EnumType, EventProtocol, FieldDef, FieldKind, Metric, Module, ObjectKind,
    ObjectType, OrderBy, PartitionField, PartitionTransform, Schema, SourceSpec, TableFormat,
    TableSpec, Was,
};
use crate::policy::{Otherwise, Policy};

use super::sdl;
use super::source::{breaker_text, time_text};

/// BLAKE3 of the canonical text, in hex.
pub fn fingerprint(schema: &Schema) -> std::sync::Arc<str> {
    let mut hasher = blake3::Hasher::new();
    for source in canonical(schema).files {
        hasher.update(source.text.as_bytes());
    }
    hasher.finalize().to_hex().as_str().into()
}

/// The canonical text: one file a module, in the order of the modules' names; types in the order of
/// their names, fields as they were declared, because their order is that of the columns.
pub fn canonical(schema: &Schema) -> Sources {
    let mut modules: Vec<(usize, &Module)> = schema.modules.iter().enumerate().collect();
    modules.sort_by(|a, b| a.1.name.cmp(&b.1.name));
    let enum_modules = EnumModules::of(schema);
    Sources::from_texts(modules.into_iter().map(|(index, module)| {
        (format!("{}.graphql", module.name), module_text(schema, index, module, &enum_modules))
    }))
}

/// Enums belong to no module in the model: they are written into that of the file they stand in.
struct EnumModules(Vec<usize>);

impl EnumModules {
    fn of(schema: &Schema) -> Self {
        let module = |enumeration: &EnumType| {
            schema.modules.iter().position(|m| *m.file == *enumeration.place.file).unwrap_or(0)
        };
        EnumModules(schema.enums.values().map(module).collect())
    }
}

fn module_text(
    schema: &Schema,
    index: usize,
    module: &Module,
    enum_modules: &EnumModules,
) -> String {
    let header = format!(
        "extend schema @module(name: {}, owner: {})",
        quoted(&module.name),
        quoted(module.owner.as_str())
    );
    if let Some(service) = schema.services.iter().find(|service| service.module == index) {
        return header + &source_text(&service.source) + "\n" + &sdl::canonical(&service.sdl);
    }
    let mut text = header + "\n";
    let mut enums: Vec<&EnumType> = schema
        .enums
        .values()
        .zip(&enum_modules.0)
        .filter_map(|(enumeration, module)| (*module == index).then_some(enumeration))
        .collect();
    enums.sort_by(|a, b| a.name.cmp(&b.name));
    for enumeration in enums {
        text.push('\n');
        enum_text(enumeration, &mut text);
    }
    let mut types: Vec<&ObjectType> =
        schema.types.values().filter(|object| object.module == index).collect();
    types.sort_by(|a, b| a.name.cmp(&b.name));
    for object in types {
        text.push('\n');
        Writer { schema, module, object }.object(&mut text);
    }
    text
}

/// Values are written out also where they are the usual ones, which may change.
fn source_text(source: &SourceSpec) -> String {
    let ttl = source.ttl.map(|ttl| format!(", ttl: {}", quoted(&time_text(ttl))));
    // A database knows no retries, and a service does not ask whether it may be written to.
    let retry = match source.kind {
        SourceKind::Postgres => String::new(),
        _ => format!(", retry: {}", source.retry),
    };
    let write = if source.write { ", write: true" } else { "" };
    let on_error = source.on_error.map(|on_error| format!(", onError: {}", on_error.as_str()));
    // The descriptors themselves, whatever files they are in, and how these are laid out.
    let descriptors = source.descriptors.as_ref();
    let descriptors = descriptors.map(|it| format!(", descriptors: {}", quoted(&it.inline())));
    let events = match source.events.protocol {
        EventProtocol::Sse => "",
        EventProtocol::WebSocket => ", events: WEBSOCKET",
    };
    let path = source.events.path.as_deref();
    let path = path.map(|path| format!(", eventsPath: {}", quoted(path)));
    format!(
        " @source(name: {}, kind: {}, url: {}, timeout: {}{retry}, breaker: {}{}{}{write}{}{events}{})",
        quoted(&source.name),
        source.kind.as_str(),
        quoted(&source.url),
        quoted(&time_text(source.timeout)),
        quoted(&breaker_text(source.breaker)),
        ttl.unwrap_or_default(),
        on_error.unwrap_or_default(),
        descriptors.unwrap_or_default(),
        path.unwrap_or_default(),
    )
}

/// A string as SDL writes it.
fn quoted(text: &str) -> String {
    // A JSON string is a GraphQL string: the same escapes, and others are written as they are.
    serde_json::Value::from(text).to_string()
}

fn described(description: Option<&str>, indent: &str, text: &mut String) {
    if let Some(description) = description {
        let _ = writeln!(text, "{indent}{}", quoted(description));
    }
}

fn deprecated(reason: Option<&str>) -> String {
    reason.map(|reason| format!(" @deprecated(reason: {})", quoted(reason))).unwrap_or_default()
}

fn enum_text(enumeration: &EnumType, text: &mut String) {
    described(enumeration.description.as_deref(), "", text);
    let _ = writeln!(text, "enum {} {{", enumeration.name);
    for (index, value) in enumeration.values.iter().enumerate() {
        let details = enumeration.details.get(index);
        described(details.and_then(|value| value.description.as_deref()), "  ", text);
        let reason = details.and_then(|value| value.deprecated.as_deref());
        let _ = writeln!(text, "  {value}{}", deprecated(reason));
    }
    text.push_str("}\n");
}

fn was_text(was: &[Was]) -> String {
    let one = |was: &Was| match &was.until {
        Some(until) => format!(" @was(name: {}, until: {})", quoted(&was.name), quoted(until)),
        None => format!(" @was(name: {})", quoted(&was.name)),
    };
    was.iter().map(one).collect()
}

struct Writer<'s> {
    schema: &'s Schema,
    module: &'s Module,
    object: &'s ObjectType,
}

impl Writer<'_> {
    fn object(&self, text: &mut String) {
        let object = self.object;
        described(object.description.as_deref(), "", text);
        let _ = write!(text, "type {}", object.name);
        if object.owner != self.module.owner {
            let _ = write!(text, " @owner(team: {})", quoted(object.owner.as_str()));
        }
        if let ObjectKind::Table(table) = &object.kind {
            self.table(table, text);
        }
        text.push_str(&policy_text(&object.policy));
        let _ = writeln!(text, "{} {{", was_text(&object.was));
        for field in object.fields.values() {
            self.field(field, text);
        }
        text.push_str("}\n");
    }

    fn name(&self, id: crate::model::FieldId) -> &str {
        &self.object.field(id).name
    }

    fn table(&self, table: &TableSpec, text: &mut String) {
        if !table.key.is_empty() {
            let names: Vec<&str> = table.key.iter().map(|id| self.name(*id)).collect();
            let _ = write!(text, " @key(fields: {})", quoted(&names.join(" ")));
        }
        let format = match table.format {
            TableFormat::Iceberg => "ICEBERG",
            TableFormat::Lance => "LANCE",
        };
        let _ = write!(text, " @table(format: {format}");
        if let Some(plural) = &table.plural {
            let _ = write!(text, ", plural: {}", quoted(plural));
        }
        if let Some(relation) = &table.relation {
            let _ = write!(text, ", name: {}", quoted(relation));
        }
        if let Some(bucket) = &table.bucket {
            let by = quoted(self.name(bucket.by));
            let _ = write!(text, ", bucket: {{by: {by}, count: {}}}", bucket.count);
        }
        if !table.partition.is_empty() {
            let parts: Vec<String> = table.partition.iter().map(|p| self.partition(p)).collect();
            let _ = write!(text, ", partition: {}", quoted(&parts.join(", ")));
        }
        if !table.sort.is_empty() {
            let _ = write!(text, ", sort: {}", quoted(&order_text(self.object, &table.sort)));
        }
        if let Some(retain) = table.retain {
            let millis = retain.as_millis();
            let shown = if millis % 1000 == 0 {
                format!("{}s", millis / 1000)
            } else {
                format!("{millis}ms")
            };
            let _ = write!(text, ", retain: {}", quoted(&shown));
        }
        text.push(')');
    }

    fn partition(&self, part: &PartitionField) -> String {
        let name = self.name(part.field);
        match part.transform {
            PartitionTransform::Identity => name.to_owned(),
            PartitionTransform::Year => format!("year({name})"),
            PartitionTransform::Month => format!("month({name})"),
            PartitionTransform::Day => format!("day({name})"),
            PartitionTransform::Hour => format!("hour({name})"),
            PartitionTransform::Truncate(width) => format!("truncate({name}, {width})"),
        }
    }

    fn field(&self, field: &FieldDef, text: &mut String) {
        described(field.description.as_deref(), "  ", text);
        let _ = write!(text, "  {}", field.name);
        if !field.arguments.is_empty() {
            let arguments: Vec<String> = field
                .arguments
                .iter()
                .map(|argument| match argument.default {
                    Some(default) => format!("{}: Int = {default}", argument.name),
                    None => format!("{}: Int", argument.name),
                })
                .collect();
            let _ = write!(text, "({})", arguments.join(", "));
        }
        let bang = if field.nullable { "" } else { "!" };
        let _ = write!(text, ": {}{bang}", self.type_text(field));
        self.directives(field, text);
        text.push('\n');
    }

    fn type_text(&self, field: &FieldDef) -> String {
        match &field.kind {
            FieldKind::Media(_) => "Media".to_owned(),
            FieldKind::Column(column) => self.column_type(column, &column.data_type),
            FieldKind::Derived(derived) => api_type(&derived.expr.data_type),
            FieldKind::Nearest(_) => format!("[{}!]", self.object.name),
            FieldKind::Reference(reference) => {
                let name = &self.schema.object(reference.target).name;
                if reference.many { format!("[{name}!]") } else { name.to_string() }
            }
        }
    }

    fn column_type(&self, column: &ColumnSpec, data_type: &DataType) -> String {
        if let DataType::List { item, nullable } = data_type {
            let bang = if *nullable { "" } else { "!" };
            return format!("[{}{bang}]", self.column_type(column, item));
        }
        match (&column.enum_name, column.embedded) {
            (Some(name), _) => name.to_string(),
            (_, Some(id)) => self.schema.object(id).name.to_string(),
            _ if column.is_id => "ID".to_owned(),
            _ => api_type(data_type),
        }
    }

    fn directives(&self, field: &FieldDef, text: &mut String) {
        if let Some(column) = field.column() {
            column_text(field, column, text);
        }
        match &field.kind {
            FieldKind::Column(_) => {}
            FieldKind::Media(_) => text.push_str(" @media"),
            FieldKind::Reference(reference) => {
                let target = self.schema.object(reference.target);
                let holder = if reference.many { target } else { self.object };
                let _ = write!(text, " @ref(by: {}", quoted(&holder.field(reference.by).name));
                if !reference.order.is_empty() {
                    let order = quoted(&order_text(target, &reference.order));
                    let _ = write!(text, ", order: {order}");
                }
                text.push(')');
            }
            FieldKind::Derived(derived) => {
                // What reads fields of its row by their names alone needs no fragment.
                let from = derived.beyond.as_ref().filter(|_| derived.inputs.is_empty());
                let from = from.map(|beyond| format!("from: {}, ", quoted(&beyond.from)));
                let from = from.unwrap_or_default();
                let expr = quoted(&expression::print(&derived.expr));
                let otherwise = if derived.propagates { ", onError: PROPAGATE" } else { "" };
                let _ = write!(text, " @derived({from}expr: {expr}{otherwise})");
            }
            FieldKind::Nearest(nearest) => {
                let _ = write!(text, " @nearest(on: {})", quoted(self.name(nearest.on)));
            }
        }
        more_directives(field, text);
    }
}

/// What a policy says, as directives.
pub(crate) fn policy_text(policy: &Policy) -> String {
    let mut text = String::new();
    let list = |names: &[std::sync::Arc<str>]| {
        names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
    };
    if !policy.scope.is_empty() {
        let _ = write!(text, " @scope(to: [{}])", list(&policy.scope));
    }
    if let Some(visible) = &policy.visible {
        let to = (!visible.to.is_empty()).then(|| format!("to: [{}]", list(&visible.to)));
        let when = visible.when.as_ref();
        let when = when.map(|expr| format!("if: {}", quoted(&expression::print(expr))));
        let otherwise = (visible.otherwise != Otherwise::Null)
            .then(|| format!("else: {}", visible.otherwise.name()));
        let parts: Vec<String> = to.into_iter().chain(when).chain(otherwise).collect();
        let _ = write!(text, " @visible({})", parts.join(", "));
    }
    if let Some(class) = &policy.class {
        let _ = write!(text, " @classified(as: {})", quoted(class));
    }
    text
}

fn column_text(field: &FieldDef, column: &ColumnSpec, text: &mut String) {
    let mut arguments = Vec::new();
    if column.column != field.name {
        arguments.push(format!("name: {}", quoted(&column.column)));
    }
    let item = match &column.data_type {
        DataType::List { item, .. } => item,
        other => other,
    };
    match item {
        DataType::Decimal { precision, scale } => {
            arguments.push(format!("type: \"decimal({precision},{scale})\""));
        }
        DataType::Vector { dimension } => arguments.push(format!("type: \"vector({dimension})\"")),
        _ => {}
    }
    if let Some(default) = &column.default {
        arguments.push(format!("default: {}", quoted(&expression::print(default))));
    }
    if !arguments.is_empty() {
        let _ = write!(text, " @column({})", arguments.join(", "));
    }
}

fn more_directives(field: &FieldDef, text: &mut String) {
    if field.search {
        text.push_str(" @search");
    }
    if let Some(vector) = &field.vector {
        let metric = match vector.metric {
            Metric::L2 => "L2",
            Metric::Cosine => "COSINE",
            Metric::Dot => "DOT",
        };
        let model = vector.model.as_ref().map(|model| format!("model: {}, ", quoted(model)));
        let model = model.unwrap_or_default();
        let _ = write!(text, " @vector({model}dimension: {}, metric: {metric})", vector.dimension);
    }
    if let Some(cost) = field.cost {
        let _ = write!(text, " @cost(weight: \"{}\")", cost.weight);
    }
    if let Some(size) = &field.list_size {
        let names: Vec<String> = size.slicing_arguments.iter().map(|name| quoted(name)).collect();
        let mut arguments = Vec::new();
        if let Some(assumed) = size.assumed_size {
            arguments.push(format!("assumedSize: {assumed}"));
        }
        if !names.is_empty() {
            arguments.push(format!("slicingArguments: [{}]", names.join(", ")));
        }
        let one = size.require_one_slicing_argument;
        arguments.push(format!("requireOneSlicingArgument: {one}"));
        let _ = write!(text, " @listSize({})", arguments.join(", "));
    }
    text.push_str(&policy_text(&field.policy));
    text.push_str(&was_text(&field.was));
    text.push_str(&deprecated(field.deprecated.as_deref()));
}

/// A type by its name in the API; digits and lengths are said by `@column`.
fn api_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Decimal { .. } => "Decimal".to_owned(),
        DataType::Vector { .. } => "Vector".to_owned(),
        other => other.to_string(),
    }
}

fn order_text(object: &ObjectType, order: &[OrderBy]) -> String {
    let one = |order: &OrderBy| {
        let name = &object.field(order.field).name;
        if order.descending { format!("{name} desc") } else { name.to_string() }
    };
    order.iter().map(one).collect::<Vec<_>>().join(", ")
}
