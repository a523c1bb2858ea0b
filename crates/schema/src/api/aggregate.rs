//! Aggregates of a table: one root field, and for each type what its groups are asked by and say.
//!
//! In: a table's type. Out: its part of the SDL, the names that it takes, and what its object types
//! stand for. Not here: how rows are grouped (`frame::aggregate`), values of arguments (`mesh`).

use frame::DataType;
use frame::aggregate::{mean_type, sum_type};

use super::input::{Filter, UsedFilters, field_lines, filter_name, scalar_filter};
use super::names::Naming;
use super::root::as_of;
use super::sdl::{describe, graphql_type, is_searchable, slices};
use super::{ApiObject, DEFAULT_PAGE};
use crate::{ColumnSpec, FieldDef, ObjectType, Schema, TypeId};

/// What an object type says of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregatePart {
    /// `FilmAggregate`: one group.
    Group,
    /// `FilmAggregateValues`: values of the fields themselves.
    Values,
    /// `FilmAggregateCounts`: how many.
    Counts,
    /// `FilmAggregateSums`.
    Sums,
    /// `FilmAggregateAverages`.
    Averages,
    /// `FilmAggregatePercentiles`.
    Percentiles,
}

impl AggregatePart {
    /// All parts with the endings of their types' names.
    pub const ALL: [(&'static str, AggregatePart); 6] = [
        ("Aggregate", AggregatePart::Group),
        ("AggregateValues", AggregatePart::Values),
        ("AggregateCounts", AggregatePart::Counts),
        ("AggregateSums", AggregatePart::Sums),
        ("AggregateAverages", AggregatePart::Averages),
        ("AggregatePercentiles", AggregatePart::Percentiles),
    ];
}

/// Endings of the names of the types that only arguments use.
const INPUTS: [&str; 10] = [
    "GroupBy",
    "AggregateOrderBy",
    "NumberOrderBy",
    "PercentileOrderBy",
    "Having",
    "HavingValues",
    "HavingCounts",
    "HavingSums",
    "HavingAverages",
    "HavingPercentiles",
];
/// The ending of the input that says of which percentile.
const PERCENTILE: &str = "HavingPercentile";

/// The endings of the names of all types that aggregates add to a table's type.
pub(crate) fn type_endings() -> impl Iterator<Item = &'static str> {
    let parts = AggregatePart::ALL.into_iter().map(|(ending, _)| ending);
    parts.chain(INPUTS).chain([PERCENTILE])
}

/// The object types of a table's aggregates, with what they stand for.
pub(super) fn objects(name: &str, id: TypeId) -> impl Iterator<Item = (String, ApiObject)> {
    let parts = AggregatePart::ALL.into_iter();
    parts.map(move |(ending, part)| (format!("{name}{ending}"), ApiObject::Aggregate(id, part)))
}

/// The fields that rows can be grouped by, and that have a least value.
pub fn ordered_columns(object: &ObjectType) -> impl Iterator<Item = (&FieldDef, &ColumnSpec)> {
    let ordered = |column: &ColumnSpec| column.data_type.is_ordered();
    object.columns().filter(move |(field, column)| ordered(column) && field.is_whole())
}

/// The fields that can be added up.
pub fn numeric_columns(object: &ObjectType) -> impl Iterator<Item = (&FieldDef, &ColumnSpec)> {
    let numeric = |column: &ColumnSpec| column.data_type.is_numeric();
    object.columns().filter(move |(field, column)| numeric(column) && field.is_whole())
}

fn has_numbers(object: &ObjectType) -> bool {
    numeric_columns(object).next().is_some()
}

/// The field of `Query`.
pub(super) fn root_field(
    out: &mut String,
    schema: &Schema,
    object: &ObjectType,
    naming: &Naming,
    note: &str,
) {
    let name = &object.name;
    let search = if is_searchable(object) { ", search: String" } else { "" };
    let text = format!(
        "What is measured of all wanted `{name}`, or of each group of them when `groupBy` is given. \
         Without `first` all groups come, and more than the limit of a page are an error."
    );
    describe(out, "  ", Some(&text));
    out.push_str(&format!(
        "  {}(where: {name}Where{search}{}, groupBy: [{name}GroupBy!], having: {name}Having, \
         orderBy: [{name}AggregateOrderBy!], first: Int): [{name}Aggregate!]{note}{}\n",
        naming.aggregate(),
        as_of(schema),
        slices(&["first"], &[], &format!("assumedSize: {DEFAULT_PAGE}, "))
    ));
}

/// The types of a table's aggregates.
pub(super) fn aggregate_types(out: &mut String, object: &ObjectType, used: &mut UsedFilters) {
    group_type(out, object);
    group_input(out, object);
    order_inputs(out, object);
    having_inputs(out, object, used);
}

/// The API's spelling of a measure.
fn spelt(data_type: Option<DataType>) -> String {
    data_type.map_or_else(String::new, |data_type| graphql_type(&data_type, None, None))
}

fn sum_of(_: &FieldDef, column: &ColumnSpec) -> String {
    spelt(sum_type(&column.data_type))
}

fn mean_of(_: &FieldDef, column: &ColumnSpec) -> String {
    spelt(mean_type(&column.data_type))
}

/// `FilmAggregate` and the objects inside it.
fn group_type(out: &mut String, object: &ObjectType) {
    let name = &object.name;
    let numbers = has_numbers(object);
    let text = format!("A group of `{name}`, and what is measured of its rows.");
    describe(out, "", Some(&text));
    out.push_str(&format!("type {name}Aggregate {{\n"));
    let values = format!("{name}AggregateValues!");
    let counts = format!("{name}AggregateCounts!");
    let mut fields = vec![
        ("keys", values.clone(), "What the rows of the group share: the fields of `groupBy`."),
        ("count", "Long!".to_owned(), "Rows of the group."),
        ("countOf", counts.clone(), "Rows that have a value."),
        ("countDistinct", counts, "Different values."),
        ("min", values.clone(), "The least values; null when no row has one."),
        ("max", values, "The greatest values; null when no row has one."),
    ];
    if numbers {
        let of = |ending: &str| format!("{name}Aggregate{ending}!");
        fields.extend([
            ("sum", of("Sums"), "The sums of the values; null when no row has one."),
            ("avg", of("Averages"), "The means of the values; null when no row has one."),
            (
                "percentile(p: Float!)",
                of("Percentiles"),
                "The value below which the share `p` of the values lies, from 0 to 1, interpolated \
                 between its two neighbours; null when no row has one.",
            ),
        ]);
    }
    for (field, field_type, text) in fields {
        describe(out, "  ", Some(text));
        out.push_str(&format!("  {field}: {field_type}\n"));
    }
    out.push_str("}\n\n");
    let value =
        |_: &FieldDef, column: &ColumnSpec| graphql_type(&column.data_type, Some(column), None);
    let long = |_: &FieldDef, _: &ColumnSpec| "Long".to_owned();
    let float = |_: &FieldDef, _: &ColumnSpec| "Float".to_owned();
    of_fields(out, object, "type", "AggregateValues", ordered_columns(object), value);
    of_fields(out, object, "type", "AggregateCounts", ordered_columns(object), long);
    if numbers {
        of_fields(out, object, "type", "AggregateSums", numeric_columns(object), sum_of);
        of_fields(out, object, "type", "AggregateAverages", numeric_columns(object), mean_of);
        of_fields(out, object, "type", "AggregatePercentiles", numeric_columns(object), float);
    }
}

/// A type with one field for each of these columns.
fn of_fields<'a>(
    out: &mut String,
    object: &ObjectType,
    kind: &str,
    ending: &str,
    columns: impl Iterator<Item = (&'a FieldDef, &'a ColumnSpec)>,
    type_of: impl Fn(&FieldDef, &ColumnSpec) -> String,
) {
    let name = &object.name;
    let text = match ending {
        "AggregateValues" => format!("Values of the fields of `{name}`."),
        "AggregateCounts" => format!("A count for each field of `{name}`."),
        "AggregateSums" => format!("A sum for each numeric field of `{name}`."),
        "AggregateAverages" => format!("A mean for each numeric field of `{name}`."),
        "AggregatePercentiles" => format!("A percentile for each numeric field of `{name}`."),
        "NumberOrderBy" => format!("One numeric field of `{name}`: exactly one is given."),
        _ => format!("Conditions on measures of `{name}`: all given ones hold."),
    };
    describe(out, "", Some(&text));
    out.push_str(&format!("{kind} {name}{ending} {{\n"));
    for (field, column) in columns {
        field_lines(out, field, &type_of(field, column));
    }
    out.push_str("}\n\n");
}

/// `input FilmGroupBy`.
fn group_input(out: &mut String, object: &ObjectType) {
    let name = &object.name;
    let text = format!("One thing that `{name}` are grouped by: exactly one field is given.");
    describe(out, "", Some(&text));
    out.push_str(&format!("input {name}GroupBy {{\n"));
    for (field, column) in ordered_columns(object) {
        let kind = match &column.data_type {
            DataType::Date => "GroupByDate",
            DataType::DateTime => "GroupByDateTime",
            numeric if numeric.is_numeric() => "GroupByNumber",
            _ => "GroupByValue",
        };
        field_lines(out, field, kind);
    }
    out.push_str("}\n\n");
}

/// `input FilmAggregateOrderBy` and the inputs inside it.
fn order_inputs(out: &mut String, object: &ObjectType) {
    let name = &object.name;
    let text = format!("One sort key of groups of `{name}`: exactly one measure of one field.");
    describe(out, "", Some(&text));
    out.push_str(&format!("input {name}AggregateOrderBy {{\n"));
    out.push_str(&format!("  keys: {name}OrderBy\n  count: SortDirection\n"));
    for measure in ["countOf", "countDistinct", "min", "max"] {
        out.push_str(&format!("  {measure}: {name}OrderBy\n"));
    }
    if !has_numbers(object) {
        out.push_str("}\n\n");
        return;
    }
    out.push_str(&format!("  sum: {name}NumberOrderBy\n  avg: {name}NumberOrderBy\n"));
    out.push_str(&format!("  percentile: {name}PercentileOrderBy\n}}\n\n"));
    let direction = |_: &FieldDef, _: &ColumnSpec| "SortDirection".to_owned();
    of_fields(out, object, "input", "NumberOrderBy", numeric_columns(object), direction);
    describe(out, "", Some(&format!("A percentile of a field of `{name}` to sort by.")));
    out.push_str(&format!(
        "input {name}PercentileOrderBy {{\n  p: Float!\n  of: {name}NumberOrderBy!\n}}\n\n"
    ));
}

/// `input FilmHaving` and the inputs inside it.
fn having_inputs(out: &mut String, object: &ObjectType, used: &mut UsedFilters) {
    let name = &object.name;
    let numbers = has_numbers(object);
    describe(
        out,
        "",
        Some(&format!("Which groups of `{name}` are wanted: all given conditions hold.")),
    );
    out.push_str(&format!("input {name}Having {{\n"));
    out.push_str(&format!("  and: [{name}Having!]\n  or: [{name}Having!]\n  not: {name}Having\n"));
    out.push_str("  count: LongWhere\n");
    let mut measures = vec![
        ("countOf", "HavingCounts"),
        ("countDistinct", "HavingCounts"),
        ("min", "HavingValues"),
        ("max", "HavingValues"),
    ];
    if numbers {
        let of_numbers =
            [("sum", "HavingSums"), ("avg", "HavingAverages"), ("percentile", PERCENTILE)];
        measures.extend(of_numbers);
    }
    for (measure, ending) in measures {
        out.push_str(&format!("  {measure}: {name}{ending}\n"));
    }
    out.push_str("}\n\n");
    used.insert(("Long".to_owned(), Filter::Ordered));
    for (_, column) in ordered_columns(object) {
        used.extend(scalar_filter(column));
    }
    for (field, column) in numeric_columns(object) {
        let scalars = [sum_of(field, column), mean_of(field, column), "Float".to_owned()];
        used.extend(scalars.map(|scalar| (scalar, Filter::Ordered)));
    }
    let condition = |_: &FieldDef, column: &ColumnSpec| {
        scalar_filter(column)
            .map_or_else(String::new, |(scalar, filter)| filter_name(&scalar, filter))
    };
    let on = |scalar: String| filter_name(&scalar, Filter::Ordered);
    let ordered = || ordered_columns(object);
    of_fields(out, object, "input", "HavingValues", ordered(), condition);
    of_fields(out, object, "input", "HavingCounts", ordered(), |_, _| on("Long".to_owned()));
    if !numbers {
        return;
    }
    let numeric = || numeric_columns(object);
    of_fields(out, object, "input", "HavingSums", numeric(), |f, c| on(sum_of(f, c)));
    of_fields(out, object, "input", "HavingAverages", numeric(), |f, c| on(mean_of(f, c)));
    of_fields(out, object, "input", "HavingPercentiles", numeric(), |_, _| on("Float".to_owned()));
    describe(out, "", Some(&format!("Conditions on a percentile of fields of `{name}`.")));
    out.push_str(&format!(
        "input {name}{PERCENTILE} {{\n  p: Float!\n  of: {name}HavingPercentiles!\n}}\n\n"
    ));
}
