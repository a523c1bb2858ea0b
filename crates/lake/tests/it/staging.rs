//! Staging: partitions, order, statistics, refusals.

use base::Kind;
use frame::{DataType, Value};
use lake::{Change, TableChange};

use crate::lab::{self, Lab, batch, info, play, row};

fn day(day: i64, seconds: i64) -> Vec<Value> {
    vec!["f".into(), Value::DateTime(day * 86_400_000_000 + seconds), Value::Int(seconds)]
}

#[tokio::test]
async fn rows_are_cut_by_day_and_sorted_in_each_file() {
    let lab = Lab::new(vec![play()]).await;
    let rows = [day(2, 9), day(1, 5), day(2, 3), day(1, 7), day(3, 1)];
    let staged = lab.stage("Play", &rows).await;
    assert_eq!((staged.data.len(), staged.rows), (3, 5));
    let change = TableChange { type_name: "Play".into(), change: Change::Append(staged) };
    let snapshots = lab.lake.commit(vec![change], info("test")).await.unwrap();
    assert_eq!((snapshots[0].rows, snapshots[0].files), (5, 3));
    let table = lab.lake.table("Play").await.unwrap();
    let snapshot = table.iceberg().unwrap().current_snapshot().cloned();
    let read = lab::rows_at(&lab.lake, "Play", snapshot.as_deref()).await;
    assert_eq!(read, [day(1, 5), day(1, 7), day(2, 3), day(2, 9), day(3, 1)]);
}

#[tokio::test]
async fn files_say_their_counts_and_bounds() {
    let lab = Lab::new(vec![play()]).await;
    let mut empty = day(1, 0);
    empty[2] = Value::Null;
    let staged = lab.stage("Play", &[day(1, 5), empty, day(1, 7)]).await;
    let file = &staged.data[0];
    assert_eq!(file.value_counts()[&3], 3);
    assert_eq!(file.null_value_counts()[&3], 1);
    assert_eq!(file.lower_bounds()[&3].to_string(), "5");
    assert_eq!(file.upper_bounds()[&3].to_string(), "7");
    assert_eq!(file.lower_bounds()[&1].to_string(), "\"f\"");
}

#[tokio::test]
async fn a_required_field_without_a_value_is_refused_with_its_row() {
    let lab = Lab::new(vec![lab::film()]).await;
    let mut stage = lab.lake.stage("Film").await.unwrap();
    let good = batch(&lab.lake, "Film", &[row("a", "A", 1), row("b", "B", 2)]);
    stage.write(good.clone()).await.unwrap();
    let without_title = good.project(&[0, 2]).unwrap();
    let refused = stage.write(without_title).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::InvalidInput);
    assert_eq!(refused.to_string(), "field `Film.title` is required, but row 3 has no value");
}

#[tokio::test]
async fn every_type_of_the_schema_survives_its_way_through_files() {
    let types = [
        ("boolean", DataType::Boolean, Value::Boolean(true)),
        ("int", DataType::Int, Value::Int(-7)),
        ("long", DataType::Long, Value::Int(1 << 40)),
        ("float", DataType::Float, Value::Float(1.5)),
        (
            "decimal",
            DataType::Decimal { precision: 20, scale: 3 },
            Value::Decimal { unscaled: 12345, scale: 3 },
        ),
        ("text", DataType::String, "héllo".into()),
        ("bytes", DataType::Bytes, Value::Bytes(vec![0, 255].into())),
        ("date", DataType::Date, Value::Date(-1)),
        ("at", DataType::DateTime, Value::DateTime(-1)),
        ("uuid", DataType::Uuid, Value::Uuid(uuid::Uuid::from_u128(7))),
        ("json", DataType::Json, Value::Json("{}".into())),
    ];
    let fields: Vec<_> =
        types.iter().map(|(name, data_type, _)| (*name, data_type.clone(), true)).collect();
    let lab = Lab::new(vec![lab::object("Thing", "things", &fields)]).await;
    let full: Vec<Value> = types.iter().map(|(_, _, value)| value.clone()).collect();
    let empty = vec![Value::Null; types.len()];
    let staged = lab.stage("Thing", &[full.clone(), empty.clone()]).await;
    let change = TableChange { type_name: "Thing".into(), change: Change::Append(staged) };
    lab.lake.commit(vec![change], info("test")).await.unwrap();
    assert_eq!(lab.rows("Thing").await, [full, empty]);
}
