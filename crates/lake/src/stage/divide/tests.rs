//! Columns of every kind, divided into runs, against picking the rows one by one.

use std::sync::Arc;

use arrow::array::{
    BooleanArray, FixedSizeBinaryArray, Float64Array, Int32Array, LargeBinaryArray, ListArray,
    StringArray, TimestampMicrosecondArray,
};
use base::rng::Rng;

use super::*;

/// A batch with a column of each way of copying; with `nulls` a third of the values are absent.
fn batch(rng: &Rng, rows: usize, nulls: bool) -> RecordBatch {
    let drawn: Vec<Option<i32>> = (0..rows)
        .map(|_| (!nulls || rng.below(3) > 0).then(|| rng.below(1000) as i32 - 500))
        .collect();
    let numbers = Int32Array::from(drawn.clone());
    let times = drawn.iter().map(|value| value.map(i64::from));
    let times = times.collect::<TimestampMicrosecondArray>().with_timezone("+00:00");
    let floats: Float64Array = drawn.iter().map(|value| value.map(f64::from)).collect();
    let words =
        drawn.iter().map(|value| value.map(|value| "word ".repeat(value.rem_euclid(4) as usize)));
    let words: Vec<Option<String>> = words.collect();
    let texts: StringArray = words.iter().map(Option::as_deref).collect();
    let bytes: LargeBinaryArray =
        words.iter().map(|word| word.as_deref().map(str::as_bytes)).collect();
    let truths: BooleanArray = drawn.iter().map(|value| value.map(|value| value > 0)).collect();
    let ids = drawn.iter().map(|value| value.map(|value| value.to_le_bytes()));
    let ids = FixedSizeBinaryArray::try_from_sparse_iter_with_size(ids, 4).unwrap();
    let lists = drawn
        .iter()
        .map(|value| value.map(|value| vec![Some(value); value.rem_euclid(3) as usize]));
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(lists);
    let columns: [(&str, ArrayRef); 8] = [
        ("numbers", Arc::new(numbers)),
        ("times", Arc::new(times)),
        ("floats", Arc::new(floats)),
        ("texts", Arc::new(texts)),
        ("bytes", Arc::new(bytes)),
        ("truths", Arc::new(truths)),
        ("ids", Arc::new(ids)),
        ("lists", Arc::new(lists)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[test]
fn rows_are_copied_as_picking_them_one_by_one_would() {
    let rng = Rng::seeded(11);
    for round in 0..60 {
        let runs = 1 + rng.below(5) as usize;
        let sizes: Vec<usize> = (0..1 + rng.below(4)).map(|_| rng.below(40) as usize).collect();
        // Slices, because arrays that begin in the middle of their buffers are copied otherwise.
        let batches: Vec<RecordBatch> = sizes
            .iter()
            .map(|rows| batch(&rng, rows + 3, round % 2 == 0).slice(3, *rows))
            .collect();
        let number = |_| match rng.below(runs as u64 + 1) as u32 {
            number if number as usize == runs => GONE,
            number => number,
        };
        let numbers: Vec<Vec<u32>> =
            sizes.iter().map(|rows| (0..*rows).map(number).collect()).collect();
        let runs = Runs::new(numbers, runs);
        let found = runs.columns(batches.clone()).unwrap();
        for (column, width) in (0..batches[0].num_columns()).zip(1..) {
            let arrays: Vec<ArrayRef> =
                batches.iter().map(|batch| Arc::clone(batch.column(column))).collect();
            let expected = runs.others(&arrays).unwrap();
            for (run, expected) in found.iter().zip(&expected) {
                assert_eq!(run.len(), 8);
                assert_eq!(&run[column], expected, "round {round}, column {width}");
            }
        }
    }
}
