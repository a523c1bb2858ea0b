//! `@key` and `@table`: in come their arguments and the columns of the type, out come the key and
//! the layout of the table.

use frame::{DataType, Span};

use crate::diagnostic::Code;
use crate::expression::{self, ExpressionError, PartitionItem};
use crate::model::{
    Bucket, FieldId, OrderBy, PartitionField, PartitionTransform, TableFormat, TableSpec,
};

use super::build::{Draft, field_named};
use super::declare::{Declared, Field, Object};
use super::derived::inside;
use super::directives::{Applied, Text};
use super::names;
use super::reference::unknown_field_at;
use super::report::{Report, Spot};

/// How many buckets a table may have.
const BUCKETS: std::ops::RangeInclusive<i64> = 1..=4096;

/// `@key(fields:)`; empty when there is none or it is wrong.
pub(crate) fn key(
    index: usize,
    object: &Object<'_>,
    draft: &Draft,
    report: &mut Report<'_>,
) -> Vec<FieldId> {
    let Some(applied) = object.directives.get("key") else { return Vec::new() };
    if !object.is_table() {
        report
            .at(Code::Key, applied.at(), format!("`{}` has a key but is no table", object.name()))
            .hint("add `@table`");
        return Vec::new();
    }
    let Some(text) = applied.text("fields") else { return Vec::new() };
    let mut key = Vec::new();
    let mut right = true;
    for word in words(text.value) {
        let name = &text.value[word.start..word.end];
        let at = inside(text, word, report);
        match key_field(index, object, name, draft) {
            Ok(id) if key.contains(&id) => {
                report.add(Code::Key, at, format!("the key names `{name}` twice"));
                right = false;
            }
            Ok(id) => key.push(id),
            Err(fault) => {
                right = false;
                fault.report(object, name, at, report);
            }
        }
    }
    if key.is_empty() && right {
        report
            .at(Code::Key, text.at, "the key names no field")
            .hint("write `@key(fields: \"id\")`");
    }
    if right { key } else { Vec::new() }
}

/// Names with spaces (or commas) between them.
fn words(text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        let between = c.is_whitespace() || c == ',';
        match (start, between) {
            (None, false) => start = Some(at),
            (Some(from), true) => {
                found.push(Span { start: from, end: at });
                start = None;
            }
            _ => {}
        }
    }
    found
}

enum KeyFault {
    Unknown,
    NotStored,
    Nullable,
    Type(String),
    /// The field is wrong itself, which has been said.
    Said,
}

impl KeyFault {
    fn report(self, object: &Object<'_>, name: &str, at: Spot, report: &mut Report<'_>) {
        match self {
            KeyFault::Unknown => unknown_field_at(object, name, at, report),
            KeyFault::NotStored => {
                report
                    .add(Code::Key, at, format!("`{name}` is not stored"))
                    .hint("a key names stored fields");
            }
            KeyFault::Nullable => {
                let ty = object.fields.get(name).map(|field| field.node.ty.to_string());
                report
                    .add(Code::Key, at, format!("`{name}` may be null, and a key may not"))
                    .hint(format!("write `{name}: {}!`", ty.unwrap_or_default()));
            }
            KeyFault::Type(shown) => {
                report
                    .add(Code::Key, at, format!("a key cannot be {shown}"))
                    .hint("a key is ID, String, Int, Long, Decimal, UUID, Date, DateTime, Boolean or an enum");
            }
            KeyFault::Said => {}
        }
    }
}

fn key_field(
    index: usize,
    object: &Object<'_>,
    name: &str,
    draft: &Draft,
) -> Result<FieldId, KeyFault> {
    let (position, id, _) = field_named(object, name).ok_or(KeyFault::Unknown)?;
    let field = &object.fields[position];
    let Some(column) = draft.column(index, position) else {
        let making = ["ref", "nearest", "derived"];
        let not_stored = making.iter().any(|making| field.directives.has(making));
        return Err(if not_stored { KeyFault::NotStored } else { KeyFault::Said });
    };
    let exact = column.data_type.is_ordered()
        && !matches!(column.data_type, DataType::Float | DataType::Bytes);
    if !exact {
        return Err(KeyFault::Type(shown(field)));
    }
    if !field.node.ty.is_non_null() {
        return Err(KeyFault::Nullable);
    }
    Ok(id)
}

/// Says that a field is not stored; of one that is wrong itself that has been said already.
fn not_stored(field: &Field<'_>, at: Spot, code: Code, report: &mut Report<'_>) {
    let making = ["ref", "nearest", "derived"].into_iter();
    if let Some(making) = making.into_iter().find(|making| field.directives.has(making)) {
        report
            .add(code, at, format!("`{}` has `@{making}`: it is not stored", field.name()))
            .hint("name a stored field");
    }
}

/// A field's type as the schema says it, without what it says of null.
fn shown(field: &Field<'_>) -> String {
    field.node.ty.to_string().trim_end_matches('!').to_owned()
}

/// `@table` of one type.
pub(crate) fn layout(
    index: usize,
    object: &Object<'_>,
    draft: &Draft,
    report: &mut Report<'_>,
) -> Option<TableSpec> {
    if object.elsewhere {
        return Some(elsewhere(object, draft.keys[index].clone()));
    }
    let applied = object.directives.get("table")?;
    let format = match applied.choice("format") {
        Some("LANCE") => TableFormat::Lance,
        _ => TableFormat::Iceberg,
    };
    let stored = draft.columns[index].iter().flatten().count();
    if stored == 0 && !object.fields.values().any(|field| field.directives.broken) {
        report
            .at(
                Code::EmptyDefinition,
                object.at(),
                format!("table `{}` has no stored field", object.name()),
            )
            .hint("a table has at least one field that is not derived or a reference");
    }
    if format == TableFormat::Lance {
        iceberg_only(applied, report);
    }
    let plural = applied.text("plural");
    if let Some(plural) = plural {
        names::identifier("a table", plural.value, report.spot(plural.at), report);
    }
    let name =
        plural.map_or_else(|| names::snake_case(object.name()), |plural| plural.value.to_owned());
    let relation = applied.text("name").filter(|name| names::relation(*name, report));
    let layout = Layout { index, object, applied, draft };
    Some(TableSpec {
        format,
        name: name.into(),
        plural: plural.map(|plural| plural.value.into()),
        relation: relation.map(|relation| relation.value.into()),
        elsewhere: false,
        key: draft.keys[index].clone(),
        bucket: layout.bucket(report),
        partition: layout.partition(report),
        sort: layout.sort(report),
        retain: retain(applied, report),
    })
}

/// What is known of rows that another source has.
fn elsewhere(object: &Object<'_>, key: Vec<FieldId>) -> TableSpec {
    TableSpec {
        format: TableFormat::Iceberg,
        name: names::snake_case(object.name()).into(),
        plural: None,
        relation: None,
        elsewhere: true,
        key,
        bucket: None,
        partition: Vec::new(),
        sort: Vec::new(),
        retain: None,
    }
}

fn iceberg_only(applied: Applied<'_>, report: &mut Report<'_>) {
    for argument in ["bucket", "partition", "sort"] {
        let at = applied.at_argument(argument);
        if at != applied.at() {
            report
                .at(Code::NotEnforced, at, format!("a LANCE table has no `{argument}`"))
                .hint("take it out, or use `format: ICEBERG`");
        }
    }
}

fn retain(applied: Applied<'_>, report: &mut Report<'_>) -> Option<std::time::Duration> {
    let text = applied.text("retain")?;
    let retain = base::size::parse_duration(text.value).filter(|retain| !retain.is_zero());
    if retain.is_none() {
        report
            .at(Code::Retain, text.at, format!("`{}` is no duration", text.value))
            .hint("write `30d`, `12h`, `8w` or `7y`");
    }
    retain
}

struct Layout<'d, 'a> {
    index: usize,
    object: &'d Object<'a>,
    applied: Applied<'a>,
    draft: &'d Draft,
}

impl<'a> Layout<'_, 'a> {
    /// A stored field of the table; says so when it is none.
    fn stored(
        &self,
        text: Text<'a>,
        span: Span,
        code: Code,
        report: &mut Report<'_>,
    ) -> Option<(FieldId, &DataType, String)> {
        let name = text.value.get(span.start..span.end).unwrap_or_default();
        let at = inside(text, span, report);
        let Some((position, id, _)) = field_named(self.object, name) else {
            unknown_field_at(self.object, name, at, report);
            return None;
        };
        let Some(column) = self.draft.column(self.index, position) else {
            not_stored(&self.object.fields[position], at, code, report);
            return None;
        };
        Some((id, &column.data_type, shown(&self.object.fields[position])))
    }

    fn bucket(&self, report: &mut Report<'_>) -> Option<Bucket> {
        let by = self.applied.inner_text("bucket", "by")?;
        let (count, count_at) = self.applied.inner_int("bucket", "count")?;
        let whole = Span { start: 0, end: by.value.len() };
        let (id, data_type, shown) = self.stored(by, whole, Code::Bucket, report)?;
        let hashable = matches!(
            data_type,
            DataType::Int
                | DataType::Long
                | DataType::Decimal { .. }
                | DataType::String
                | DataType::Bytes
                | DataType::Date
                | DataType::DateTime
                | DataType::Uuid
        );
        if !hashable {
            report
                .at(Code::Bucket, by.at, format!("a bucket cannot hash {shown}"))
                .hint("name a field of type ID, String, Int, Long, Decimal, Date, DateTime, UUID or Bytes");
            return None;
        }
        if !BUCKETS.contains(&count) {
            report
                .at(Code::Bucket, count_at, format!("a table cannot have {count} buckets"))
                .hint("1 to 4096; 16 is right for most tables");
            return None;
        }
        Some(Bucket { by: id, count: u32::try_from(count).ok()? })
    }

    fn partition(&self, report: &mut Report<'_>) -> Vec<PartitionField> {
        let Some(text) = self.applied.text("partition") else { return Vec::new() };
        let items = match expression::parse_partition(text.value) {
            Ok(items) => items,
            Err(error) => {
                short_form(text, error, Code::Partition, report);
                return Vec::new();
            }
        };
        let mut fields: Vec<PartitionField> = Vec::new();
        for item in items {
            let Some((id, data_type, shown)) =
                self.stored(text, item.span, Code::Partition, report)
            else {
                continue;
            };
            let Some(transform) = transform(text, &item, data_type, &shown, report) else {
                continue;
            };
            let field = PartitionField { field: id, transform };
            if fields.contains(&field) {
                let at = inside(text, item.span, report);
                report.add(Code::Partition, at, "the partition says this twice");
                continue;
            }
            fields.push(field);
        }
        fields
    }

    fn sort(&self, report: &mut Report<'_>) -> Vec<OrderBy> {
        let Some(text) = self.applied.text("sort") else { return Vec::new() };
        order_of(self, text, report).unwrap_or_default()
    }
}

const TRANSFORMS: [&str; 5] = ["year", "month", "day", "hour", "truncate"];

fn transform(
    text: Text<'_>,
    item: &PartitionItem,
    data_type: &DataType,
    shown: &str,
    report: &mut Report<'_>,
) -> Option<PartitionTransform> {
    use DataType as T;
    use PartitionTransform as P;
    let Some((name, span)) = &item.transform else {
        let plain = data_type.is_ordered() && !matches!(data_type, T::Float | T::Bytes);
        if !plain {
            let at = inside(text, item.span, report);
            report
                .add(Code::Partition, at, format!("a table cannot be partitioned by {shown}"))
                .hint("use a field with few values, or a part of a date: `day(at)`");
            return None;
        }
        return Some(P::Identity);
    };
    let at = inside(text, *span, report);
    if !TRANSFORMS.contains(&name.as_str()) {
        let diagnostic = report.add(Code::Partition, at, format!("unknown partition `{name}`"));
        if name == "bucket" {
            diagnostic
                .hint("buckets have an argument of their own: `bucket: {by: \"id\", count: 16}`");
        } else {
            diagnostic.did_you_mean(
                name,
                TRANSFORMS,
                |found| format!("`{found}`"),
                "a partition is a field, or `year`, `month`, `day`, `hour` or `truncate` of one",
            );
        }
        return None;
    }
    if let (Some((_, width)), true) = (item.width, name != "truncate") {
        let at = inside(text, width, report);
        report.add(Code::Partition, at, format!("`{name}` takes no number"));
        return None;
    }
    let (right, takes) = match name.as_str() {
        "hour" => (*data_type == T::DateTime, "a DateTime"),
        "truncate" => (
            matches!(data_type, T::Int | T::Long | T::String | T::Decimal { .. }),
            "a String, Int, Long or Decimal",
        ),
        _ => (matches!(data_type, T::Date | T::DateTime), "a Date or DateTime"),
    };
    if !right {
        let at = inside(text, item.span, report);
        report.add(Code::Partition, at, format!("`{name}` takes {takes}, not {shown}"));
        return None;
    }
    Some(match name.as_str() {
        "year" => P::Year,
        "month" => P::Month,
        "day" => P::Day,
        "hour" => P::Hour,
        _ => match item.width.map(|(width, _)| u32::try_from(width)) {
            Some(Ok(width @ 1..=1_000_000)) => P::Truncate(width),
            _ => {
                report
                    .add(Code::Partition, at, "`truncate` needs a width of at least 1")
                    .hint(format!("write `truncate({}, 4)`", item.field));
                return None;
            }
        },
    })
}

/// An order over the fields of a table.
pub(crate) fn order(
    target: usize,
    text: Text<'_>,
    declared: &Declared<'_>,
    draft: &Draft,
    report: &mut Report<'_>,
) -> Option<Vec<OrderBy>> {
    let object = &declared.objects[target];
    let applied = object.directives.get("table")?;
    order_of(&Layout { index: target, object, applied, draft }, text, report)
}

fn order_of<'a>(
    layout: &Layout<'_, '_>,
    text: Text<'a>,
    report: &mut Report<'_>,
) -> Option<Vec<OrderBy>> {
    let items = match expression::parse_order(text.value) {
        Ok(items) => items,
        Err(error) => {
            short_form(text, error, Code::Sort, report);
            return None;
        }
    };
    let mut order: Vec<OrderBy> = Vec::new();
    let mut right = true;
    for item in items {
        let object = layout.object;
        let at = inside(text, item.span, report);
        let Some((position, id, _)) = field_named(object, &item.field) else {
            unknown_field_at(object, &item.field, at, report);
            right = false;
            continue;
        };
        let field = &object.fields[position];
        let Some(column) = layout.draft.column(layout.index, position) else {
            not_stored(field, at, Code::Sort, report);
            right = false;
            continue;
        };
        if !column.data_type.is_ordered() {
            let words = format!("values of type {} have no order", shown(field));
            report.add(Code::Sort, at, words);
            right = false;
            continue;
        }
        if order.iter().any(|earlier| earlier.field == id) {
            report.add(Code::Sort, at, format!("the order names `{}` twice", item.field));
            right = false;
            continue;
        }
        order.push(OrderBy { field: id, descending: item.descending });
    }
    right.then_some(order)
}

/// A fault in `partition` or `order`, under the code of its argument.
fn short_form(text: Text<'_>, error: ExpressionError, code: Code, report: &mut Report<'_>) {
    let spot = inside(text, error.span, report);
    let example = match code {
        Code::Partition => "write `day(at), country`",
        _ => "write `at desc, id`",
    };
    let hint = error.hint.clone().unwrap_or_else(|| example.to_owned());
    report.add(code, spot, error.message).hint(hint);
}
