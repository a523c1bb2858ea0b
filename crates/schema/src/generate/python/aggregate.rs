//! Dataclasses for groups of a table's rows: `FilmAggregate` and the objects inside it. An answer holds
//! what was asked for, so that every attribute may be absent.

use frame::DataType;
use frame::aggregate::{mean_type, sum_type};

use super::{Attribute, PythonType, attribute_name, dataclass, of_column, plain};
use crate::api::{numeric_columns, ordered_columns};
use crate::model::{ColumnSpec, FieldDef, ObjectType, Schema};

/// The classes of a table's aggregates.
pub(super) fn dataclasses(text: &mut String, schema: &Schema, object: &ObjectType) {
    let name = &object.name;
    let class = |text: &mut String, ending: &str, attributes: &[Attribute]| {
        dataclass(text, &format!("{name}{ending}"), None, attributes);
    };
    let values = of_fields(ordered_columns(object), |column| of_column(schema, column));
    class(text, "AggregateValues", &values);
    let counts = of_fields(ordered_columns(object), |_| plain(&DataType::Long));
    class(text, "AggregateCounts", &counts);
    let number = |data_type: Option<DataType>| plain(&data_type.unwrap_or(DataType::Float));
    let sums = of_fields(numeric_columns(object), |column| number(sum_type(&column.data_type)));
    if !sums.is_empty() {
        class(text, "AggregateSums", &sums);
        let means = |column: &ColumnSpec| number(mean_type(&column.data_type));
        class(text, "AggregateAverages", &of_fields(numeric_columns(object), means));
        let percentiles = of_fields(numeric_columns(object), |_| plain(&DataType::Float));
        class(text, "AggregatePercentiles", &percentiles);
    }
    class(text, "Aggregate", &group(name, !sums.is_empty()));
}

/// The attributes of a group.
fn group(name: &str, has_numbers: bool) -> Vec<Attribute> {
    let of = |ending: &str| PythonType::named(&format!("{name}Aggregate{ending}"));
    let mut attributes = vec![
        optional("keys", of("Values")),
        optional("count", plain(&DataType::Long)),
        optional("countOf", of("Counts")),
        optional("countDistinct", of("Counts")),
        optional("min", of("Values")),
        optional("max", of("Values")),
    ];
    if has_numbers {
        attributes.extend([
            optional("sum", of("Sums")),
            optional("avg", of("Averages")),
            optional("percentile", of("Percentiles")),
        ]);
    }
    attributes
}

fn optional(json: &str, value: PythonType) -> Attribute {
    Attribute {
        name: attribute_name(json),
        json: json.to_owned(),
        description: None,
        value: value.or_none(),
        optional: true,
    }
}

fn of_fields<'a>(
    columns: impl Iterator<Item = (&'a FieldDef, &'a ColumnSpec)>,
    value: impl Fn(&ColumnSpec) -> PythonType,
) -> Vec<Attribute> {
    let mut attributes: Vec<Attribute> = Vec::new();
    for (field, column) in columns {
        let mut attribute = optional(&field.name, value(column));
        while attributes.iter().any(|other| other.name == attribute.name) {
            attribute.name.push('_');
        }
        attributes.push(attribute);
    }
    attributes
}
