//! Two implementations say the same: expressions by DataFusion and by the row interpreter, scans by
//! the lake and by tables in memory.

use arrow::array::AsArray;
use arrow::datatypes::Float32Type;
use base::rng::Rng;
use base::{Clock, Principal};
use frame::convert::{batch_of, values_of};
use frame::{
    BinaryOp, DataType, Evaluate, Expr, Field, Function, LimitBy, MemoryTable, MemoryTables, Node,
    Order, RowInterpreter, Scan, ScanRequest, UnaryOp, Value, Write, WriteOp, WriteRequest,
};
use futures::TryStreamExt;
use lake::{Change, DataFusionEvaluator, TableChange};

use crate::lab::{Lab, bucketed, fields_of, info, keyed, object, pick};

const DECIMAL: DataType = DataType::Decimal { precision: 12, scale: 2 };

fn fields() -> Vec<Field> {
    [
        ("i", DataType::Int),
        ("l", DataType::Long),
        ("f", DataType::Float),
        ("s", DataType::String),
        ("b", DataType::Boolean),
        ("d", DataType::Date),
        ("t", DataType::DateTime),
        ("n", DECIMAL),
    ]
    .map(|(name, data_type)| Field::new(name, data_type, true))
    .to_vec()
}

fn value(rng: &Rng, data_type: &DataType) -> Value {
    if rng.below(6) == 0 {
        return Value::Null;
    }
    match data_type {
        DataType::Boolean => Value::Boolean(rng.below(2) == 0),
        DataType::Int => Value::Int(*pick(rng, &[0, 1, -1, 2, 7, 40, -300, 2_147_483_647])),
        DataType::Long => Value::Int(*pick(rng, &[0, 1, -1, 3, 9, 1 << 40, i64::MAX, i64::MIN])),
        DataType::Float => {
            Value::Float(*pick(rng, &[0.0, 1.0, -1.5, 2.5, 0.1, 1e300, -7.25, f64::NAN]))
        }
        DataType::String => {
            Value::from(*pick(rng, &["", "a", "Ab", " b ", "äé", "abcabc", "zz top", "%_"]))
        }
        DataType::Date => Value::Date(*pick(rng, &[0, -1, 365, 19_000, -40_000])),
        DataType::DateTime => {
            Value::DateTime(*pick(rng, &[0, 1, -1, 1_700_000_000_123_456, 86_400_000_000]))
        }
        DataType::Decimal { scale, .. } => {
            Value::Decimal { unscaled: *pick(rng, &[0, 100, -250, 12_345, 1]), scale: *scale }
        }
        other => panic!("no values of {other}"),
    }
}

/// A random expression of a type.
fn expression(rng: &Rng, data_type: &DataType, depth: u32) -> Expr {
    let built = |node| Expr::built(node, data_type.clone());
    if depth == 0 || rng.below(5) == 0 {
        let mut same: Vec<Field> = fields();
        same.retain(|field| field.data_type == *data_type);
        return match (same.is_empty(), rng.below(3)) {
            (false, 0 | 1) => Expr::field(&pick(rng, &same).name, data_type.clone()),
            _ => Expr::literal(value(rng, data_type), data_type.clone()),
        };
    }
    let inner = |data_type: &DataType| expression(rng, data_type, depth - 1);
    let boxed = |data_type: &DataType| Box::new(expression(rng, data_type, depth - 1));
    match rng.below(8) {
        0 => {
            let branches =
                (0..=rng.below(2)).map(|_| (inner(&DataType::Boolean), inner(data_type)));
            let otherwise = (rng.below(2) == 0).then(|| boxed(data_type));
            return built(Node::Case { branches: branches.collect(), otherwise });
        }
        1 => return built(Node::Coalesce(vec![inner(data_type), inner(data_type)])),
        _ => {}
    }
    let call = |function, arguments| built(Node::Call(function, arguments));
    match data_type {
        DataType::Boolean => boolean(rng, depth),
        DataType::Int | DataType::Long => match rng.below(9) {
            0 => built(Node::Unary(UnaryOp::Negate, boxed(data_type))),
            1 if *data_type == DataType::Int => {
                call(Function::Length, vec![inner(&DataType::String)])
            }
            2 if *data_type == DataType::Int => {
                let part = *pick(rng, &[Function::Year, Function::Month, Function::Day]);
                call(part, vec![inner(&DataType::Date)])
            }
            3 if *data_type == DataType::Int => {
                call(Function::DateDiffDays, vec![inner(&DataType::Date), inner(&DataType::Date)])
            }
            4 => call(Function::Least, vec![inner(data_type), inner(data_type)]),
            5 => call(Function::Greatest, vec![inner(data_type), inner(data_type)]),
            _ => {
                let op = *pick(
                    rng,
                    &[
                        BinaryOp::Add,
                        BinaryOp::Subtract,
                        BinaryOp::Multiply,
                        BinaryOp::Divide,
                        BinaryOp::Modulo,
                    ],
                );
                built(Node::Binary(op, boxed(data_type), boxed(data_type)))
            }
        },
        DataType::Float => match rng.below(6) {
            0 => call(Function::Abs, vec![inner(data_type)]),
            1 => call(Function::Floor, vec![inner(data_type)]),
            2 => call(Function::Ceil, vec![inner(data_type)]),
            _ => {
                let op = *pick(rng, &[BinaryOp::Add, BinaryOp::Subtract, BinaryOp::Multiply]);
                built(Node::Binary(op, boxed(data_type), boxed(data_type)))
            }
        },
        DataType::String => match rng.below(6) {
            0 => call(Function::Lower, vec![inner(data_type)]),
            1 => call(Function::Upper, vec![inner(data_type)]),
            2 => call(Function::Trim, vec![inner(data_type)]),
            3 => {
                call(Function::Replace, vec![inner(data_type), inner(data_type), inner(data_type)])
            }
            4 => call(Function::Concat, vec![inner(data_type), inner(data_type)]),
            _ => built(Node::Binary(BinaryOp::Concat, boxed(data_type), boxed(data_type))),
        },
        DataType::Date => call(Function::Date, vec![inner(&DataType::DateTime)]),
        _ => Expr::literal(value(rng, data_type), data_type.clone()),
    }
}

fn boolean(rng: &Rng, depth: u32) -> Expr {
    let built = |node| Expr::built(node, DataType::Boolean);
    let boxed = |data_type: &DataType| Box::new(expression(rng, data_type, depth - 1));
    let types: Vec<DataType> = fields().into_iter().map(|field| field.data_type).collect();
    match rng.below(7) {
        0 => built(Node::Unary(UnaryOp::Not, boxed(&DataType::Boolean))),
        1 => built(Node::Unary(
            *pick(rng, &[UnaryOp::IsNull, UnaryOp::IsNotNull]),
            boxed(pick(rng, &types)),
        )),
        2 => {
            let op = *pick(rng, &[BinaryOp::And, BinaryOp::Or]);
            built(Node::Binary(op, boxed(&DataType::Boolean), boxed(&DataType::Boolean)))
        }
        3 => {
            let part = [Function::StartsWith, Function::EndsWith, Function::ContainsText];
            let text = || expression(rng, &DataType::String, depth - 1);
            built(Node::Call(*pick(rng, &part), vec![text(), text()]))
        }
        4 => {
            let data_type = pick(rng, &types);
            let values = (0..3).map(|_| value(rng, data_type)).filter(|value| !value.is_null());
            let values = values.collect();
            built(Node::InList(boxed(data_type), values))
        }
        _ => {
            let data_type = pick(rng, &types);
            let ops = [
                BinaryOp::Eq,
                BinaryOp::NotEq,
                BinaryOp::Lt,
                BinaryOp::LtEq,
                BinaryOp::Gt,
                BinaryOp::GtEq,
            ];
            built(Node::Binary(*pick(rng, &ops), boxed(data_type), boxed(data_type)))
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(400))]

    #[test]
    fn both_evaluators_give_the_same_value_or_both_fail(seed in 0_u64..1 << 40) {
        let rng = Rng::seeded(seed);
        let fields = fields();
        let row: Vec<Value> = fields.iter().map(|field| value(&rng, &field.data_type)).collect();
        let batch = batch_of(&fields, &[row]).unwrap();
        let wanted = pick(&rng, &fields).data_type.clone();
        let expr = expression(&rng, &wanted, 3);
        let viewer = Principal::local();
        let evaluate = |evaluator: &dyn Evaluate| {
            let array = evaluator.evaluate(&expr, &batch, &viewer).ok()?;
            Some(values_of(array.as_ref(), &wanted).unwrap())
        };
        let (simple, fast) = (evaluate(&RowInterpreter), evaluate(&DataFusionEvaluator));
        proptest::prop_assert_eq!(simple, fast, "{:#?} over {:?}", expr, batch);
    }
}

fn sample() -> schema::ObjectType {
    let fields = [
        ("id", DataType::String, false),
        ("i", DataType::Int, true),
        ("f", DataType::Float, true),
        ("s", DataType::String, true),
        ("t", DataType::DateTime, true),
    ];
    bucketed(keyed(object("Sample", "samples", &fields), &["id"]), "id", 3)
}

fn sample_row(rng: &Rng) -> Vec<Value> {
    let mut row = vec![Value::from(format!("k{}", rng.below(12)).as_str())];
    let types = [DataType::Int, DataType::Float, DataType::String, DataType::DateTime];
    row.extend(types.iter().map(|data_type| value(rng, data_type)));
    row
}

fn condition(rng: &Rng, fields: &[Field], depth: u32) -> Expr {
    if depth > 0 && rng.below(2) == 0 {
        let op = *pick(rng, &[BinaryOp::And, BinaryOp::Or]);
        let (left, right) = (condition(rng, fields, depth - 1), condition(rng, fields, depth - 1));
        return left.predicate(op, right);
    }
    let field = pick(rng, fields);
    let read = Expr::field(&field.name, field.data_type.clone());
    let operand = |rng: &Rng| match field.name.as_ref() {
        "id" => Value::from(format!("k{}", rng.below(14)).as_str()),
        _ => value(rng, &field.data_type),
    };
    if rng.below(3) == 0 {
        let values: Vec<Value> = (0..3).map(|_| operand(rng)).filter(|v| !v.is_null()).collect();
        return read.is_in(values);
    }
    let op = *pick(rng, &[BinaryOp::Eq, BinaryOp::NotEq, BinaryOp::Lt, BinaryOp::GtEq]);
    read.predicate(op, Expr::literal(operand(rng), field.data_type.clone()))
}

fn question(rng: &Rng, fields: &[Field]) -> ScanRequest {
    let names = fields.iter().map(|field| field.name.clone());
    let mut request = ScanRequest::new("Sample", names, Principal::local());
    if rng.below(3) > 0 {
        request.predicate = Some(condition(rng, fields, 2));
    }
    let by = |rng: &Rng, name: &str| Order {
        field: name.into(),
        descending: rng.below(2) == 0,
        nulls_first: rng.below(2) == 0,
    };
    let first = pick(rng, fields).name.clone();
    request.order = vec![by(rng, &first)];
    if first.as_ref() != "id" {
        request.order.push(by(rng, "id"));
    }
    if rng.below(3) == 0 {
        let row = sample_row(rng);
        let position = |order: &Order| {
            let index = fields.iter().position(|field| field.name == order.field).unwrap();
            row[index].clone()
        };
        request.after = Some(request.order.iter().map(position).collect());
    }
    if rng.below(4) == 0 {
        let field = pick(rng, fields).name.clone();
        request.limit_by = Some(LimitBy { field, count: 1 + rng.below(3) as usize });
    }
    if rng.below(3) == 0 {
        request.limit = Some(rng.below(6) as usize);
    }
    request
}

async fn rows_of(source: &dyn Scan, request: ScanRequest, fields: &[Field]) -> Vec<Vec<Value>> {
    let batches: Vec<_> = source.scan(request).await.unwrap().try_collect().await.unwrap();
    let rows = batches.iter().map(|batch| frame::convert::rows_of(batch, fields).unwrap());
    rows.flatten().collect()
}

#[tokio::test]
async fn scans_of_the_lake_equal_scans_of_tables_in_memory() {
    let seed = 20_261_123;
    let rng = Rng::seeded(seed);
    let lab = Lab::new(vec![sample()]).await;
    let fields = fields_of(&sample());
    let memory = MemoryTables::new(Clock::system());
    memory.add(MemoryTable::new("Sample", fields.clone(), &["id"]).unwrap());
    let model = async |op| {
        let table = "Sample".into();
        let principal = Principal::local();
        memory.write(WriteRequest { table, op, idempotency_key: None, principal }).await.unwrap();
    };
    for round in 0..6 {
        let mut rows: Vec<Vec<Value>> = (0..=rng.below(6)).map(|_| sample_row(&rng)).collect();
        rows.sort();
        rows.dedup_by(|left, right| left[0] == right[0]);
        let staged = lab.stage("Sample", &rows).await;
        let gone = vec![Value::from(format!("k{}", rng.below(12)).as_str())];
        for change in [Change::Upsert(staged), Change::Delete(vec![gone.clone()])] {
            let changes = vec![TableChange { type_name: "Sample".into(), change }];
            lab.lake.commit(changes, info("round")).await.unwrap();
        }
        model(WriteOp::Upsert(vec![batch_of(&fields, &rows).unwrap()])).await;
        model(WriteOp::Delete(vec![gone])).await;
        for asked in 0..25 {
            let request = question(&rng, &fields);
            let ours = rows_of(&lab.lake, request.clone(), &fields).await;
            let theirs = rows_of(&memory, request.clone(), &fields).await;
            assert_eq!(ours, theirs, "seed {seed}, round {round}, question {asked}: {request:#?}");
            let counts = (
                lab.lake.count(request.clone()).await.unwrap(),
                memory.count(request).await.unwrap(),
            );
            assert_eq!(counts.0, counts.1);
        }
    }
}

fn spots() -> schema::ObjectType {
    let fields = [
        ("id", DataType::String, false),
        ("i", DataType::Int, true),
        ("place", DataType::Vector { dimension: 2 }, true),
    ];
    let mut object = bucketed(keyed(object("Spot", "spots", &fields), &["id"]), "id", 3);
    let spec = schema::VectorSpec { model: None, dimension: 2, metric: schema::Metric::L2 };
    object.fields.get_mut("place").unwrap().vector = Some(spec);
    object
}

/// Places lie on a small grid, so that many rows share one.
fn place(rng: &Rng) -> Vec<f32> {
    vec![rng.below(4) as f32, rng.below(4) as f32]
}

/// The rows that are alive, by id: `i` and the place.
type Spots = std::collections::BTreeMap<String, (Option<i64>, Option<Vec<f32>>)>;

/// The distances of the nearest rows to a query, nearest first.
fn nearest(
    spots: &Spots,
    query: &[f32],
    own: Option<&str>,
    i: Option<i64>,
    count: usize,
) -> Vec<f32> {
    let wanted = spots
        .iter()
        .filter(|(id, (value, _))| own != Some(id.as_str()) && i.is_none_or(|i| *value == Some(i)));
    let far = |place: &Vec<f32>| place.iter().zip(query).map(|(a, b)| (a - b).powi(2)).sum();
    let mut far: Vec<f32> = wanted.filter_map(|(_, (_, place))| place.as_ref().map(far)).collect();
    far.sort_by(f32::total_cmp);
    far.truncate(count);
    far
}

#[tokio::test]
async fn neighbours_are_those_that_comparing_all_rows_finds() {
    let seed = 20_261_123;
    let rng = Rng::seeded(seed);
    let lab = Lab::new(vec![spots()]).await;
    let mut spots = Spots::new();
    for round in 0..8 {
        let mut rows: Vec<Vec<Value>> = Vec::new();
        for key in 0..40 {
            if rng.below(3) > 0 {
                continue;
            }
            let (id, i) = (format!("k{key}"), (rng.below(5) > 0).then(|| rng.below(3) as i64));
            let at = (rng.below(6) > 0).then(|| place(&rng));
            rows.push(vec![
                Value::from(id.as_str()),
                i.map_or(Value::Null, Value::Int),
                at.clone().map_or(Value::Null, |at| Value::Vector(at.into())),
            ]);
            spots.insert(id, (i, at));
        }
        let gone = format!("k{}", rng.below(40));
        spots.remove(&gone);
        let delete = Change::Delete(vec![vec![Value::from(gone.as_str())]]);
        for change in [Change::Upsert(lab.stage("Spot", &rows).await), delete] {
            let changes = vec![TableChange { type_name: "Spot".into(), change }];
            lab.lake.commit(changes, info("round")).await.unwrap();
        }
        for asked in 0..25 {
            let own = pick(&rng, &spots.keys().cloned().collect::<Vec<_>>()).clone();
            let by_row = rng.below(2) == 0;
            let query = match (by_row, &spots[&own].1) {
                (false, _) => place(&rng),
                (true, Some(place)) => place.clone(),
                (true, None) => continue,
            };
            let i = (rng.below(2) == 0).then(|| rng.below(4) as i64);
            let count = 1 + rng.below(12) as usize;
            let mut request = ScanRequest::new("Spot", ["i", "id"], Principal::local());
            request.predicate = i.map(|i| {
                let wanted = Expr::literal(Value::Int(i), DataType::Int);
                Expr::field("i", DataType::Int).predicate(BinaryOp::Eq, wanted)
            });
            request.nearest = Some(frame::Nearest {
                field: "place".into(),
                query: match by_row {
                    true => frame::NearestQuery::Rows(vec![Value::from(own.as_str())]),
                    false => frame::NearestQuery::Vectors(vec![query.clone()]),
                },
                count,
                exact: rng.below(2) == 0,
            });
            if rng.below(3) == 0 {
                // With an order the question is planned.
                request.order =
                    vec![Order { field: "id".into(), descending: false, nulls_first: true }];
            }
            let batches: Vec<_> =
                lab.lake.scan(request.clone()).await.unwrap().try_collect().await.unwrap();
            let mut found = Vec::new();
            for batch in &batches {
                let ids = values_of(batch.column(1).as_ref(), &DataType::String).unwrap();
                let far = batch.column(2).as_primitive::<Float32Type>().values();
                for (id, far) in ids.iter().zip(far) {
                    let (value, at) = &spots[id.as_str().unwrap()];
                    let Some(at) = at else { panic!("`{id:?}` is nowhere") };
                    let expected: f32 = at.iter().zip(&query).map(|(a, b)| (a - b).powi(2)).sum();
                    assert!((far - expected).abs() < 1e-6 && i.is_none_or(|i| *value == Some(i)));
                    assert!(!by_row || id.as_str() != Some(own.as_str()));
                    found.push(*far);
                }
            }
            found.sort_by(f32::total_cmp);
            let expected = nearest(&spots, &query, by_row.then_some(&own), i, count);
            assert_eq!(
                found, expected,
                "seed {seed}, round {round}, question {asked}: {request:#?}"
            );
        }
    }
}
