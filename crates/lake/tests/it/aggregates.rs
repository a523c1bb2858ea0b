//! Groups of rows by the lake and by tables in memory are the same, in both formats, with nulls, NaN,
//! decimals, dates, deleted rows and older states; and a question is one scan.

use base::rng::Rng;
use base::{Clock, Kind, Principal};
use frame::convert::{batch_of, rows_of};
use frame::{
    Aggregate, BinaryOp, DataType, DateUnit, Expr, Field, GroupBy, GroupKey, Measure, MeasureOf,
    MemoryTable, MemoryTables, Order, Scan, ScanRequest, Search, SnapshotRef, Value, Write,
    WriteOp, WriteRequest,
};
use futures::TryStreamExt;
use schema::ObjectType;

use crate::lab::{Lab, batch, bucketed, fields_of, keyed, lance, object, pick, write};

const PRICE: DataType = DataType::Decimal { precision: 12, scale: 2 };
/// So wide that two of the largest overflow.
const WIDE: DataType = DataType::Decimal { precision: 38, scale: 2 };

fn in_lance() -> ObjectType {
    let mut object = sample();
    if let schema::ObjectKind::Table(table) = &mut object.kind {
        table.bucket = None;
    }
    lance(object)
}

fn sample() -> ObjectType {
    let fields = [
        ("id", DataType::String, false),
        ("i", DataType::Int, true),
        ("l", DataType::Long, true),
        ("f", DataType::Float, true),
        ("s", DataType::String, true),
        ("b", DataType::Boolean, true),
        ("n", PRICE, true),
        ("w", WIDE, true),
        ("d", DataType::Date, true),
        ("t", DataType::DateTime, true),
        ("u", DataType::Uuid, true),
    ];
    bucketed(keyed(object("Sample", "samples", &fields), &["id"]), "id", 3)
}

/// Few values, so that groups have several rows; floats whose sums are exact in any order.
fn value(rng: &Rng, data_type: &DataType) -> Value {
    if rng.below(5) == 0 {
        return Value::Null;
    }
    match data_type {
        DataType::Int => Value::Int(*pick(rng, &[0, 1, -1, 7, 12, -300, 2_147_483_647])),
        DataType::Long => Value::Int(*pick(rng, &[0, -3, 9, 1 << 40, i64::MAX, i64::MAX - 1])),
        DataType::Float => Value::Float(*pick(rng, &[0.0, -0.0, 1.0, -1.5, 2.25, 8.5, f64::NAN])),
        DataType::String => Value::from(*pick(rng, &["", "a", "Ab", "äé", "zz top"])),
        DataType::Boolean => Value::Boolean(rng.below(2) == 0),
        DataType::Decimal { precision: 38, scale } => {
            let most = 10_i128.pow(38) - 1;
            let unscaled = *pick(rng, &[0, 5, -5, most / 4, -most / 4, most]);
            Value::Decimal { unscaled, scale: *scale }
        }
        DataType::Decimal { scale, .. } => {
            let unscaled = *pick(rng, &[0, 100, -250, 12_345, 1, 9_999_999_999]);
            Value::Decimal { unscaled, scale: *scale }
        }
        DataType::Date => Value::Date(*pick(rng, &[0, -1, 365, 366, 19_000, -40_000])),
        DataType::DateTime => {
            let micros =
                [0, 1, -1, 1_700_000_000_123_456, 1_700_003_600_000_000, -3_000_000_000_000_000];
            Value::DateTime(*pick(rng, &micros))
        }
        DataType::Uuid => Value::Uuid(uuid::Uuid::from_u128(u128::from(rng.below(3)))),
        other => panic!("no values of {other}"),
    }
}

fn row(rng: &Rng, fields: &[Field]) -> Vec<Value> {
    let id = Value::from(format!("k{}", rng.below(40)).as_str());
    let rest = fields.iter().skip(1).map(|field| value(rng, &field.data_type));
    std::iter::once(id).chain(rest).collect()
}

fn read(field: &Field) -> Expr {
    Expr::field(&field.name, field.data_type.clone())
}

fn key(rng: &Rng, name: &str, fields: &[Field]) -> GroupKey {
    let field = pick(rng, &fields[1..]);
    let units = [DateUnit::Year, DateUnit::Month, DateUnit::Day, DateUnit::Hour];
    let by = match (&field.data_type, rng.below(3)) {
        (_, 0) => GroupBy::Value,
        (DataType::Date, _) => GroupBy::Truncated(*pick(rng, &units[..3])),
        (DataType::DateTime, _) => GroupBy::Truncated(*pick(rng, &units)),
        (DataType::Int | DataType::Long, _) => GroupBy::Bucket(Value::Int(*pick(rng, &[1, 10, 7]))),
        (DataType::Float, _) => GroupBy::Bucket(Value::Float(*pick(rng, &[0.5, 2.0]))),
        (DataType::Decimal { precision: 12, .. }, _) => {
            GroupBy::Bucket(Value::Decimal { unscaled: *pick(rng, &[5, 1]), scale: 1 })
        }
        _ => GroupBy::Value,
    };
    GroupKey { name: name.into(), input: read(field), by }
}

fn measure(rng: &Rng, fields: &[Field]) -> MeasureOf {
    let numbers: Vec<Field> =
        fields.iter().filter(|field| field.data_type.is_numeric()).cloned().collect();
    let of_any = read(pick(rng, fields));
    let of_number = read(pick(rng, &numbers));
    match rng.below(9) {
        0 => MeasureOf::Rows,
        1 => MeasureOf::Count(of_any),
        2 => MeasureOf::CountDistinct(of_any),
        3 => MeasureOf::Min(of_any),
        4 => MeasureOf::Max(of_any),
        5 => MeasureOf::Sum(of_number),
        6 | 7 => MeasureOf::Avg(of_number),
        _ => {
            // Others lie so far apart that a millionth of their distance is a large number.
            let near = numbers.iter().filter(|field| ["f", "n"].contains(&&*field.name));
            let near: Vec<Field> = near.cloned().collect();
            MeasureOf::Percentile(read(pick(rng, &near)), *pick(rng, &[0.0, 0.25, 0.5, 0.95, 1.0]))
        }
    }
}

/// Whether a sum may exceed its type: then the order of having and measures shows.
fn may_fail(aggregate: &Aggregate) -> bool {
    let wide = |measure: &Measure| match &measure.of {
        MeasureOf::Sum(expr) => expr.data_type == WIDE,
        _ => false,
    };
    aggregate.measures.iter().any(wide)
}

fn question(rng: &Rng, fields: &[Field]) -> ScanRequest {
    let group = (0..rng.below(3)).map(|index| key(rng, &format!("key {index}"), fields));
    let measures = (0..=rng.below(4))
        .map(|index| Measure { name: format!("m.{index}").into(), of: measure(rng, fields) });
    let mut aggregate =
        Aggregate { group: group.collect(), measures: measures.collect(), having: None };
    let none: [std::sync::Arc<str>; 0] = [];
    let mut request = ScanRequest::new("Sample", none, Principal::local());
    if rng.below(2) == 0 {
        let field = pick(rng, fields);
        let op = *pick(rng, &[BinaryOp::NotEq, BinaryOp::Lt, BinaryOp::GtEq]);
        let operand = match field.name.as_ref() {
            "id" => Value::from("k2"),
            _ => value(rng, &field.data_type),
        };
        let operand = Expr::literal(operand, field.data_type.clone());
        request.predicate = Some(read(field).predicate(op, operand));
    }
    let by = |name: &std::sync::Arc<str>| Order {
        field: name.clone(),
        descending: rng.below(2) == 0,
        nulls_first: rng.below(2) == 0,
    };
    request.order = aggregate.group.iter().map(|key| by(&key.name)).collect();
    if !may_fail(&aggregate) {
        aggregate.measures.push(Measure { name: "rows".into(), of: MeasureOf::Rows });
        if rng.below(3) == 0 {
            let least = Expr::literal(Value::Int(2), DataType::Long);
            let rows = Expr::field("rows", DataType::Long);
            aggregate.having = Some(rows.predicate(BinaryOp::GtEq, least));
        }
        if rng.below(3) == 0 {
            request.order.insert(0, by(&"rows".into()));
        }
        if rng.below(3) == 0 {
            request.limit = Some(rng.below(5) as usize);
        }
    }
    request.aggregate = Some(aggregate);
    request
}

/// The columns and the rows of an answer, or the message of its failure.
type Answer = (Vec<Field>, Result<Vec<Vec<Value>>, String>);

async fn ask(source: &dyn Scan, request: ScanRequest) -> Answer {
    let columns = request.aggregate.as_ref().unwrap().columns(&request).unwrap();
    let answer = async {
        let batches: Vec<_> = source.scan(request).await?.try_collect().await?;
        Ok::<_, base::Error>(batches)
    };
    let rows = match answer.await {
        Ok(batches) => {
            let rows = batches.iter().flat_map(|batch| {
                for (column, field) in columns.iter().zip(batch.schema().fields()) {
                    assert_eq!(column.to_arrow(), **field);
                }
                rows_of(batch, &columns).unwrap()
            });
            Ok(rows.collect())
        }
        Err(error) => {
            assert_eq!(error.kind(), Kind::InvalidInput, "{error}");
            Err(error.to_string())
        }
    };
    (columns, rows)
}

/// Percentiles may differ by a millionth of what lies between two values, other floats by nothing.
fn is_same(aggregate: &Aggregate, column: usize, left: &Value, right: &Value) -> bool {
    let measure = column.checked_sub(aggregate.group.len()).map(|at| &aggregate.measures[at].of);
    match (measure, left, right) {
        (_, Value::Float(left), Value::Float(right)) if left.is_nan() && right.is_nan() => true,
        (Some(MeasureOf::Percentile(of, _)), Value::Float(left), Value::Float(right)) => {
            // Floats of the test are at most ten apart, decimals a hundred million.
            let apart = if of.data_type == DataType::Float { 10.0 } else { 1e8 };
            (left - right).abs() <= apart * 1.1e-6
        }
        _ => left == right,
    }
}

fn assert_same(request: &ScanRequest, ours: &Answer, theirs: &Answer, of: &str) {
    let aggregate = request.aggregate.as_ref().unwrap();
    let told = || format!("{of}\n{request:#?}\nlake   {:?}\nmemory {:?}", ours.1, theirs.1);
    match (&ours.1, &theirs.1) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(ours.len(), theirs.len(), "{}", told());
            for (ours, theirs) in ours.iter().zip(theirs) {
                let mut pairs = ours.iter().zip(theirs).enumerate();
                let same = pairs.all(|(at, (ours, theirs))| is_same(aggregate, at, ours, theirs));
                assert!(same, "{}", told());
            }
        }
        (ours, theirs) => assert_eq!(ours, theirs, "{}", told()),
    }
}

async fn check(object: ObjectType, seed: u64) {
    let rng = Rng::seeded(seed);
    let fields = fields_of(&object);
    let lab = Lab::new(vec![object]).await;
    let memory = MemoryTables::new(Clock::system());
    memory.add(MemoryTable::new("Sample", fields.clone(), &["id"]).unwrap());
    let model = async |op| {
        let table = "Sample".into();
        let principal = Principal::local();
        memory.write(WriteRequest { table, op, idempotency_key: None, principal }).await.unwrap();
    };
    let (mut states, mut failures, mut groups) = (Vec::new(), 0, 0);
    for round in 0..5 {
        let mut rows: Vec<Vec<Value>> = (0..rng.below(20)).map(|_| row(&rng, &fields)).collect();
        rows.sort();
        rows.dedup_by(|left, right| left[0] == right[0]);
        let gone: Vec<Vec<Value>> = (0..rng.below(4))
            .map(|_| vec![Value::from(format!("k{}", rng.below(40)).as_str())])
            .collect();
        if !rows.is_empty() {
            let upsert = WriteOp::Upsert(vec![batch(&lab.lake, "Sample", &rows)]);
            for op in [upsert, WriteOp::Delete(gone.clone())] {
                write(&lab.lake, "Sample", op).await.unwrap();
            }
            model(WriteOp::Upsert(vec![batch_of(&fields, &rows).unwrap()])).await;
            model(WriteOp::Delete(gone)).await;
        }
        states.push((
            lab.lake.snapshot("Sample").await.unwrap(),
            memory.snapshot("Sample").await.unwrap(),
        ));
        for asked in 0..40 {
            let mut request = question(&rng, &fields);
            let mut model = request.clone();
            if rng.below(4) == 0 {
                let (in_lake, in_memory) = *pick(&rng, &states);
                request.at = Some(SnapshotRef::Id(in_lake));
                model.at = Some(SnapshotRef::Id(in_memory));
            }
            let of = format!("seed {seed}, round {round}, question {asked}");
            let theirs = ask(&memory, model.clone()).await;
            let ours = ask(&lab.lake, request.clone()).await;
            assert_same(&request, &ours, &theirs, &of);
            failures += usize::from(theirs.1.is_err());
            let Ok(rows) = &theirs.1 else { continue };
            groups += rows.len();
            // The next page begins after any group.
            let (false, Some(after)) = (request.order.is_empty(), rows.get(rows.len() / 2)) else {
                continue;
            };
            let place = |order: &Order| {
                let named = theirs.0.iter().position(|column| column.name == order.field);
                after[named.unwrap()].clone()
            };
            let position: Vec<Value> = request.order.iter().map(place).collect();
            let next = ScanRequest { after: Some(position.clone()), ..request };
            let model = ScanRequest { after: Some(position), ..model };
            let (ours, theirs) = (ask(&lab.lake, next.clone()).await, ask(&memory, model).await);
            assert_same(&next, &ours, &theirs, &of);
        }
    }
    assert!(groups > 200, "only {groups} groups were compared");
    assert!(failures > 0, "no sum was too large");
}

#[tokio::test]
async fn groups_of_iceberg_tables_are_those_of_tables_in_memory() {
    for seed in 0..4 {
        check(sample(), seed).await;
    }
}

#[tokio::test]
async fn groups_of_lance_tables_are_those_of_tables_in_memory() {
    for seed in 10..13 {
        check(in_lance(), seed).await;
    }
}

async fn filled(object: ObjectType, rows: usize) -> Lab {
    let fields = fields_of(&object);
    let lab = Lab::new(vec![object]).await;
    let rng = Rng::seeded(7);
    let rows: Vec<Vec<Value>> = (0..rows)
        .map(|id| {
            let mut row = row(&rng, &fields);
            row[0] = Value::from(format!("k{id}").as_str());
            row
        })
        .collect();
    let upsert = WriteOp::Upsert(vec![batch(&lab.lake, "Sample", &rows)]);
    write(&lab.lake, "Sample", upsert).await.unwrap();
    lab
}

fn named(name: &str) -> Expr {
    let fields = fields_of(&sample());
    read(fields.iter().find(|field| field.name.as_ref() == name).unwrap())
}

fn asked(group: &[&str], measures: Vec<MeasureOf>) -> ScanRequest {
    let group = group.iter().map(|name| GroupKey {
        name: (*name).into(),
        input: named(name),
        by: GroupBy::Value,
    });
    let measures = measures
        .into_iter()
        .enumerate()
        .map(|(index, of)| Measure { name: format!("m{index}").into(), of });
    let having = Expr::field("m0", DataType::Long)
        .predicate(BinaryOp::Gt, Expr::literal(Value::Int(0), DataType::Long));
    let aggregate =
        Aggregate { group: group.collect(), measures: measures.collect(), having: Some(having) };
    let none: [std::sync::Arc<str>; 0] = [];
    let request = ScanRequest::new("Sample", none, Principal::local());
    ScanRequest {
        aggregate: Some(aggregate),
        order: vec![Order::by("m0", true)],
        limit: Some(3),
        predicate: Some(
            named("i").predicate(BinaryOp::GtEq, Expr::literal(Value::Int(0), DataType::Int)),
        ),
        ..request
    }
}

/// Operators of a plan that read the table.
fn sources(plan: &str) -> usize {
    let reads = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("DataSourceExec") || line.starts_with("Lance")
    };
    plan.lines().filter(reads).count()
}

#[tokio::test]
async fn however_much_is_measured_the_table_is_read_once() {
    let measures = || {
        vec![
            MeasureOf::Rows,
            MeasureOf::Sum(named("l")),
            MeasureOf::Avg(named("l")),
            MeasureOf::Avg(named("n")),
            MeasureOf::Min(named("f")),
            MeasureOf::CountDistinct(named("t")),
            MeasureOf::Percentile(named("f"), 0.5),
            MeasureOf::Percentile(named("f"), 0.9),
        ]
    };
    for object in [sample(), in_lance()] {
        let lab = filled(object, 300).await;
        let plan = lab.lake.explain_scan(asked(&["s", "d"], measures())).await.unwrap();
        assert_eq!(sources(&plan), 1, "{plan}");
        let rows = ask(&lab.lake, asked(&["s", "d"], measures())).await.1.unwrap();
        assert_eq!(rows.len(), 3);
    }
}

#[tokio::test]
async fn groups_by_a_text_that_files_hold_by_codes_are_found_by_codes() {
    let lab = filled(sample(), 4000).await;
    let measures = || vec![MeasureOf::Rows, MeasureOf::Sum(named("i")), MeasureOf::Max(named("t"))];
    let plan = lab.lake.explain_scan(asked(&["s"], measures())).await.unwrap();
    assert!(plan.contains("GroupByCodesExec: by=[s"), "{plan}");
    assert_eq!(sources(&plan), 1, "{plan}");
    let memory = MemoryTables::new(Clock::system());
    let fields = fields_of(&sample());
    memory.add(MemoryTable::new("Sample", fields.clone(), &["id"]).unwrap());
    let rows = lab.rows("Sample").await;
    let op = WriteOp::Upsert(vec![batch_of(&fields, &rows).unwrap()]);
    let (table, principal) = ("Sample".into(), Principal::local());
    memory.write(WriteRequest { table, op, idempotency_key: None, principal }).await.unwrap();
    let mut request = asked(&["s"], measures());
    request.order.push(Order::by("s", false));
    let (ours, theirs) =
        (ask(&lab.lake, request.clone()).await, ask(&memory, request.clone()).await);
    assert_same(&request, &ours, &theirs, "by codes");
}

#[tokio::test]
async fn all_rows_that_a_search_finds_are_grouped() {
    let mut object = sample();
    object.fields.get_mut("s").unwrap().search = true;
    let fields = fields_of(&object);
    let lab = filled(object, 300).await;
    let memory = MemoryTables::new(Clock::system());
    let table = MemoryTable::new("Sample", fields.clone(), &["id"]).unwrap();
    memory.add(table.searchable("s").unwrap());
    let rows = lab.rows("Sample").await;
    let op = WriteOp::Upsert(vec![batch_of(&fields, &rows).unwrap()]);
    let (table, principal) = ("Sample".into(), Principal::local());
    memory.write(WriteRequest { table, op, idempotency_key: None, principal }).await.unwrap();
    let measures = || vec![MeasureOf::Rows, MeasureOf::Sum(named("i")), MeasureOf::Max(named("t"))];
    for group in [&[][..], &["d"], &["s", "b"]] {
        for limit in [None, Some(1)] {
            let mut request = asked(group, measures());
            request.order = group.iter().map(|name| Order::by(*name, false)).collect();
            request.search = Some(Search { fields: Vec::new(), text: "zz OR ab".into() });
            request.limit = limit;
            let (ours, theirs) =
                (ask(&lab.lake, request.clone()).await, ask(&memory, request.clone()).await);
            assert!(!theirs.1.as_ref().unwrap().is_empty());
            assert_same(&request, &ours, &theirs, "a search");
        }
    }
}
