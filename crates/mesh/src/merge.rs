//! Rows to links: which rows of a scan belong to which parents.
//!
//! In: the keys of parents and the batch that one scan gave for all of them. Out: for each parent
//! the positions of its rows. Not here: scanning.

use std::collections::HashMap;

use arrow::array::Array;
use base::Result;
use frame::convert::values_of;
use frame::{DataType, Value};

/// The positions of the rows that belong to each parent.
pub(crate) type Targets = Vec<Vec<u32>>;

/// The distinct keys, in the order of their first parent, without nulls.
pub(crate) fn distinct(keys: &[Value]) -> Vec<Value> {
    let mut seen = std::collections::HashSet::with_capacity(keys.len());
    keys.iter().filter(|key| !key.is_null() && seen.insert(*key)).cloned().collect()
}

/// Joins by value: the rows whose `column` holds a parent's key, in the order of the rows.
pub(crate) fn by_value(
    parents: &[Value],
    column: &dyn Array,
    data_type: &DataType,
) -> Result<Targets> {
    let mut rows: HashMap<Value, Vec<u32>> = HashMap::new();
    for (row, value) in values_of(column, data_type)?.into_iter().enumerate() {
        rows.entry(value).or_default().push(row as u32);
    }
    // A null key refers to nothing, even where the column has nulls too.
    rows.remove(&Value::Null);
    Ok(parents.iter().map(|key| rows.get(key).cloned().unwrap_or_default()).collect())
}

/// Joins by position: the rows whose `queries` value is the position of a parent's key in `asked`.
pub(crate) fn by_query(parents: &[Value], asked: &[Value], queries: &[u32]) -> Targets {
    let positions: HashMap<&Value, usize> =
        asked.iter().enumerate().map(|(position, key)| (key, position)).collect();
    let mut rows: Targets = vec![Vec::new(); asked.len()];
    for (row, query) in queries.iter().enumerate() {
        if let Some(rows) = rows.get_mut(*query as usize) {
            rows.push(row as u32);
        }
    }
    let of_parent = |key| positions.get(key).map_or_else(Vec::new, |at| rows[*at].clone());
    parents.iter().map(of_parent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use frame::convert::array_of;

    #[test]
    fn rows_find_their_parents_and_nulls_find_none() {
        let column =
            array_of(&["b".into(), "a".into(), "b".into(), Value::Null], &DataType::String);
        let column = column.expect("text");
        let parents: Vec<Value> = vec!["a".into(), Value::Null, "b".into(), "a".into(), "z".into()];
        let targets = by_value(&parents, &column, &DataType::String).expect("text");
        assert_eq!(targets, [vec![1], vec![], vec![0, 2], vec![1], vec![]]);
        assert_eq!(distinct(&parents), ["a".into(), "b".into(), "z".into()]);
    }

    #[test]
    fn neighbours_find_the_parents_that_asked() {
        let parents: Vec<Value> = vec!["x".into(), "y".into(), "x".into()];
        let asked = distinct(&parents);
        assert_eq!(by_query(&parents, &asked, &[1, 0, 1]), [vec![1], vec![0, 2], vec![1]]);
    }
}
