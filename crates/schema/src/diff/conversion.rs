//! Whether stored values of one type can become values of another.
//!
//! In: two types with their nullability. Out: a [`Conversion`]. Not here: converting anything; the
//! lake checks every row before it rewrites one.

use frame::{DataType, Field};

/// How stored values of one type become values of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// They are the same.
    Same,
    /// Every value is a value of the new type already: no file changes.
    Widen,
    /// Most values have a counterpart: every row is checked, then rewritten. `loses` names nested
    /// fields that the new type no longer has.
    Convert {
        /// Nested fields whose values are given up, as dotted paths.
        loses: Vec<String>,
    },
    /// No value has a counterpart, or none can be made up; says why.
    Impossible(String),
}

impl Conversion {
    fn convert() -> Conversion {
        Conversion::Convert { loses: Vec::new() }
    }

    /// Both must happen.
    fn and(self, other: Conversion) -> Conversion {
        use Conversion::{Convert, Impossible, Same, Widen};
        match (self, other) {
            (Impossible(why), _) | (_, Impossible(why)) => Impossible(why),
            (Convert { loses: mut first }, Convert { loses: second }) => {
                first.extend(second);
                Convert { loses: first }
            }
            (Convert { loses }, _) | (_, Convert { loses }) => Convert { loses },
            (Widen, _) | (_, Widen) => Widen,
            (Same, Same) => Same,
        }
    }
}

/// How values of `old` become values of `new`, nullability included.
pub fn conversion(old: (&DataType, bool), new: (&DataType, bool)) -> Conversion {
    nullability(old.1, new.1).and(of_type(old.0, new.0))
}

fn nullability(old: bool, new: bool) -> Conversion {
    match (old, new) {
        (false, true) => Conversion::Widen,
        (true, false) => Conversion::convert(),
        _ => Conversion::Same,
    }
}

fn of_type(old: &DataType, new: &DataType) -> Conversion {
    use DataType::{
        Bytes, Date, DateTime, Decimal, Int, Json, List, Long, String, Struct, Uuid, Vector,
    };
    if old == new {
        return Conversion::Same;
    }
    match (old, new) {
        (Int, Long) => Conversion::Widen,
        (Decimal { precision: from, scale: a }, Decimal { precision: to, scale: b })
            if a == b && from <= to =>
        {
            Conversion::Widen
        }
        (List { item: from, nullable: a }, List { item: to, nullable: b }) => {
            inside(conversion((from, *a), (to, *b)))
        }
        (Struct(from), Struct(to)) => of_struct(from, to),
        (Vector { dimension: from }, Vector { dimension: to }) => {
            Conversion::Impossible(format!("a vector of {from} numbers cannot become one of {to}"))
        }
        (from, to) if from.is_numeric() && to.is_numeric() => Conversion::convert(),
        (Date, DateTime) | (DateTime, Date) => Conversion::convert(),
        // Text can be read as, and written from, every type with one written form.
        (String, to) if has_written_form(to) => Conversion::convert(),
        (from, String) if has_written_form(from) => Conversion::convert(),
        (Bytes | Json | Uuid, _) | (_, _) => {
            Conversion::Impossible(format!("a value of `{old}` cannot become one of `{new}`"))
        }
    }
}

/// Inside lists and objects the new type is the files' type, so that what would widen is rewritten.
fn inside(item: Conversion) -> Conversion {
    if item == Conversion::Widen { Conversion::convert() } else { item }
}

fn has_written_form(data_type: &DataType) -> bool {
    use DataType::{Boolean, Date, DateTime, Json, Uuid};
    data_type.is_numeric() || matches!(data_type, Boolean | Date | DateTime | Uuid | Json)
}

/// Nested fields are matched by name.
fn of_struct(old: &[Field], new: &[Field]) -> Conversion {
    let mut all = if old.iter().map(|f| &f.name).eq(new.iter().map(|f| &f.name)) {
        Conversion::Same
    } else {
        Conversion::convert()
    };
    for field in new {
        let before = old.iter().find(|before| before.name == field.name);
        all = all.and(match before {
            Some(before) => nested(before, field),
            None if field.nullable => Conversion::convert(),
            None => Conversion::Impossible(format!(
                "the nested field `{}` is required, and stored values have none",
                field.name
            )),
        });
    }
    let gone = old.iter().filter(|before| !new.iter().any(|field| field.name == before.name));
    let loses: Vec<_> = gone.map(|field| field.name.to_string()).collect();
    if loses.is_empty() { all } else { all.and(Conversion::Convert { loses }) }
}

fn nested(old: &Field, new: &Field) -> Conversion {
    let found = conversion((&old.data_type, old.nullable), (&new.data_type, new.nullable));
    match found {
        Conversion::Convert { loses } => Conversion::Convert {
            loses: loses.iter().map(|path| format!("{}.{path}", new.name)).collect(),
        },
        other => inside(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(old: DataType, new: DataType) -> Conversion {
        conversion((&old, false), (&new, false))
    }

    #[test]
    fn only_what_every_value_already_is_widens() {
        let decimal = |precision, scale| DataType::Decimal { precision, scale };
        assert_eq!(between(DataType::Int, DataType::Long), Conversion::Widen);
        assert_eq!(between(decimal(5, 2), decimal(9, 2)), Conversion::Widen);
        assert_eq!(between(decimal(5, 2), decimal(9, 3)), Conversion::convert());
        assert_eq!(between(DataType::Long, DataType::Int), Conversion::convert());
        assert_eq!(between(DataType::Int, DataType::Float), Conversion::convert());
    }

    #[test]
    fn nullability_counts_on_its_own() {
        let text = DataType::String;
        assert_eq!(conversion((&text, false), (&text, true)), Conversion::Widen);
        assert_eq!(conversion((&text, true), (&text, false)), Conversion::convert());
    }

    #[test]
    fn what_has_no_written_form_stays_what_it_is() {
        let impossible = |old, new| matches!(between(old, new), Conversion::Impossible(_));
        assert!(impossible(DataType::Bytes, DataType::String));
        assert!(impossible(DataType::Boolean, DataType::Int));
        assert!(impossible(DataType::Vector { dimension: 2 }, DataType::Vector { dimension: 3 }));
        let list = DataType::List { item: Box::new(DataType::Int), nullable: false };
        assert!(impossible(DataType::Int, list));
    }

    #[test]
    fn nested_fields_that_go_are_named() {
        let field = |name, nullable| Field::new(name, DataType::Int, nullable);
        let old = DataType::Struct(vec![
            field("a", false),
            Field::new("in", DataType::Struct(vec![field("b", true), field("c", true)]), true),
        ]);
        let new = DataType::Struct(vec![
            field("a", false),
            Field::new("in", DataType::Struct(vec![field("c", true)]), true),
        ]);
        assert_eq!(
            between(old.clone(), new.clone()),
            Conversion::Convert { loses: vec!["in.b".to_owned()] }
        );
        assert_eq!(between(new, old), Conversion::convert());
    }
}
