//! Random questions to random rows: a database answers as memory does.

use std::cell::Cell;

use base::Principal;
use base::rng::Rng;
use frame::convert::batch_of;
use frame::{
    Aggregate, BinaryOp, DataType, DateUnit, Expr, Field, Function, GroupBy, GroupKey, LimitBy,
    Measure, MeasureOf, Node, Order, Scan, ScanRequest, UnaryOp, Value, WriteOp,
};

use crate::lab::{Lab, fields, rows, value};

/// Questions of each kind.
const QUESTIONS: u64 = 600;

struct Draw<'a> {
    rng: &'a Rng,
    fields: Vec<Field>,
    /// How many questions were cut by a position.
    paged: Cell<usize>,
}

impl Draw<'_> {
    fn chance(&self, percent: u64) -> bool {
        self.rng.below(100) < percent
    }

    fn one<'b, T>(&self, of: &'b [T]) -> &'b T {
        &of[self.rng.below(of.len() as u64) as usize]
    }

    fn field(&self, wanted: impl Fn(&DataType) -> bool) -> Field {
        let fields: Vec<&Field> =
            self.fields.iter().filter(|field| wanted(&field.data_type)).collect();
        (*self.one(&fields)).clone()
    }

    fn literal(&self, field: &Field) -> Expr {
        Expr::literal(value(self.rng, field), field.data_type.clone())
    }

    fn predicate(&self, depth: u32) -> Expr {
        if depth > 0 && self.chance(45) {
            let (left, right) = (self.predicate(depth - 1), self.predicate(depth - 1));
            return match self.rng.below(3) {
                0 => left.and(right),
                1 => left.predicate(BinaryOp::Or, right),
                _ => Expr::built(Node::Unary(UnaryOp::Not, Box::new(left)), DataType::Boolean),
            };
        }
        let call =
            |function, arguments| Expr::built(Node::Call(function, arguments), DataType::Boolean);
        match self.rng.below(10) {
            0 => {
                let field = self.field(|_| true);
                let op = *self.one(&[UnaryOp::IsNull, UnaryOp::IsNotNull]);
                let column = Expr::field(&field.name, field.data_type);
                Expr::built(Node::Unary(op, Box::new(column)), DataType::Boolean)
            }
            1 => {
                let field = self.field(|data_type| *data_type == DataType::String);
                let functions = [Function::StartsWith, Function::EndsWith, Function::ContainsText];
                let column = Expr::field(&field.name, field.data_type.clone());
                call(*self.one(&functions), vec![column, self.literal(&field)])
            }
            2 => {
                let field = self.field(|data_type| matches!(data_type, DataType::List { .. }));
                let text = self.one(&["a", "B", "ok", "Glad", "none"]);
                let column = Expr::field(&field.name, field.data_type);
                Expr::built(Node::Contains(Box::new(column), Value::from(*text)), DataType::Boolean)
            }
            3 | 4 => {
                let field = self.field(DataType::is_ordered);
                let mut list: Vec<Value> =
                    (0..self.rng.below(4)).map(|_| value(self.rng, &field)).collect();
                if field.data_type == DataType::String && self.chance(30) {
                    list.push(Value::from("nowhere"));
                }
                Expr::field(&field.name, field.data_type).is_in(list)
            }
            5 if self.chance(50) => {
                let (left, right) = (self.field(is_text), self.field(is_text));
                let op = *self.one(&[BinaryOp::Lt, BinaryOp::GtEq, BinaryOp::Eq]);
                Expr::field(&left.name, left.data_type)
                    .predicate(op, Expr::field(&right.name, right.data_type))
            }
            6 if self.chance(50) => {
                // What no column has.
                let name = *self.one(&["mood", "number", "s"]);
                let op = *self.one(&[BinaryOp::Eq, BinaryOp::NotEq, BinaryOp::Lt]);
                let text = *self.one(&["nowhere", "007", "+7", "-0"]);
                Expr::field(name, DataType::String)
                    .predicate(op, Expr::literal(Value::from(text), DataType::String))
            }
            _ => {
                let field = self.field(DataType::is_ordered);
                let ops = [
                    BinaryOp::Eq,
                    BinaryOp::NotEq,
                    BinaryOp::Lt,
                    BinaryOp::LtEq,
                    BinaryOp::Gt,
                    BinaryOp::GtEq,
                ];
                let literal = self.literal(&field);
                Expr::field(&field.name, field.data_type).predicate(*self.one(&ops), literal)
            }
        }
    }

    fn order(&self, names: &[Field], last: &str) -> Vec<Order> {
        let mut order: Vec<Order> = (0..self.rng.below(3))
            .map(|_| Order {
                field: self.one(names).name.clone(),
                descending: self.chance(50),
                nulls_first: self.chance(50),
            })
            .collect();
        if !last.is_empty() {
            order.push(Order::by(last, self.chance(50)));
        }
        order
    }

    fn rows(&self) -> ScanRequest {
        let all: Vec<Field> = self.fields.clone();
        let ordered: Vec<Field> =
            all.iter().filter(|field| field.data_type.is_ordered()).cloned().collect();
        let names = all.iter().filter(|_| self.chance(40)).map(|field| field.name.clone());
        let mut names: Vec<_> = names.collect();
        names.push("id".into());
        names.dedup();
        let mut request = ScanRequest::new("Thing", names, Principal::local());
        request.predicate = self.chance(70).then(|| self.predicate(3));
        request.order = self.order(&ordered, "id");
        request.limit = self.chance(40).then(|| self.rng.below(30) as usize);
        if self.chance(40) {
            let of = |order: &Order| {
                let field = all.iter().find(|field| field.name == order.field).expect("a field");
                value(self.rng, field)
            };
            request.after = Some(request.order.iter().map(of).collect());
            self.paged.set(self.paged.get() + 1);
        } else if self.chance(40) {
            let field = self.one(&ordered).name.clone();
            request.limit_by = Some(LimitBy { field, count: 1 + self.rng.below(3) as usize });
        }
        request
    }

    fn key(&self, name: &str) -> GroupKey {
        let calendar =
            |data_type: &DataType| matches!(data_type, DataType::Date | DataType::DateTime);
        let (field, by) = match self.rng.below(3) {
            0 => (self.field(DataType::is_ordered), GroupBy::Value),
            1 => {
                let field = self.field(calendar);
                let mut units = vec![DateUnit::Year, DateUnit::Month, DateUnit::Day];
                if field.data_type == DataType::DateTime {
                    units.push(DateUnit::Hour);
                }
                (field, GroupBy::Truncated(*self.one(&units)))
            }
            _ => {
                let field = self.field(DataType::is_numeric);
                let width = match &field.data_type {
                    DataType::Float => Value::Float(1.5),
                    DataType::Decimal { scale, .. } => {
                        Value::Decimal { unscaled: 700, scale: *scale }
                    }
                    _ => Value::Int(1 + self.rng.below(4) as i64),
                };
                (field, GroupBy::Bucket(width))
            }
        };
        GroupKey { name: name.into(), input: Expr::field(&field.name, field.data_type), by }
    }

    fn measure(&self, index: u64) -> Measure {
        let of = |wanted: fn(&DataType) -> bool| {
            let field = self.field(wanted);
            Expr::field(&field.name, field.data_type)
        };
        let ordered = |data_type: &DataType| data_type.is_ordered();
        let numeric = |data_type: &DataType| data_type.is_numeric();
        // A sum of the largest numbers of 64 bits is a matter of its own.
        let of = match self.rng.below(8) {
            0 => MeasureOf::Rows,
            1 => MeasureOf::Count(of(|_| true)),
            2 => MeasureOf::CountDistinct(of(ordered)),
            3 => MeasureOf::Sum(of(numeric)),
            4 => MeasureOf::Avg(of(numeric)),
            5 => MeasureOf::Min(of(ordered)),
            6 => MeasureOf::Max(of(ordered)),
            _ => MeasureOf::Percentile(of(numeric), *self.one(&[0.0, 0.25, 0.5, 1.0])),
        };
        Measure { name: format!("m{index}").into(), of }
    }

    fn groups(&self) -> ScanRequest {
        let mut request = ScanRequest::new("Thing", Vec::<&str>::new(), Principal::local());
        request.predicate = self.chance(50).then(|| self.predicate(2));
        let keys = self.rng.below(3);
        let mut asked = Aggregate {
            group: (0..keys).map(|index| self.key(&format!("k{index}"))).collect(),
            measures: (0..1 + self.rng.below(4)).map(|index| self.measure(index)).collect(),
            having: None,
        };
        let columns = asked.columns(&request).expect("columns");
        let ordered: Vec<Field> =
            columns.iter().filter(|field| field.data_type.is_ordered()).cloned().collect();
        if self.chance(30) {
            let field = self.one(&ordered);
            let column = Expr::field(&field.name, field.data_type.clone());
            let test = Node::Unary(UnaryOp::IsNotNull, Box::new(column));
            asked.having = Some(Expr::built(test, DataType::Boolean));
        }
        // Every key is in the order, so that no two groups tie.
        request.order = self.order(&ordered, "");
        let keys = asked.group.iter().map(|key| Order::by(key.name.clone(), self.chance(50)));
        request.order.extend(keys);
        request.limit = self.chance(30).then(|| self.rng.below(9) as usize);
        request.aggregate = Some(asked);
        request
    }
}

fn is_text(data_type: &DataType) -> bool {
    *data_type == DataType::String
}

/// Whether two answers are one, but for the last digits of what is divided, and for the spacing of JSON.
fn same(there: &[Vec<Value>], here: &[Vec<Value>]) -> bool {
    let near = |left: f64, right: f64| {
        left == right
            || (left.is_nan() && right.is_nan())
            || (left - right).abs() <= 1e-9 * left.abs().max(right.abs())
    };
    let alike = |(left, right): (&Value, &Value)| match (left, right) {
        (Value::Float(left), Value::Float(right)) => near(*left, *right),
        (left, right) => left == right,
    };
    there.len() == here.len()
        && there
            .iter()
            .zip(here)
            .all(|(left, right)| left.len() == right.len() && left.iter().zip(right).all(alike))
}

/// Compares two answers; gives how many rows they have, unless both places refuse.
async fn compare(lab: &Lab, request: ScanRequest, what: &str) -> Option<usize> {
    let there = rows(&lab.database, request.clone()).await;
    let here = rows(&lab.memory, request.clone()).await;
    match (there, here) {
        (Ok(there), Ok(here)) if same(&there, &here) => Some(here.len()),
        // What fails here fails there, in words that may differ.
        (Err(there), Err(here)) if there.kind() == here.kind() => None,
        (there, here) => panic!("{what}\n{request:#?}\ndatabase {there:?}\nmemory {here:?}"),
    }
}

#[tokio::test]
async fn random_questions_are_answered_as_memory_answers_them() {
    let seed = std::env::var_os("SEED").and_then(|seed| seed.to_str()?.parse().ok()).unwrap_or(11);
    let rng = Rng::seeded(seed);
    let Some(lab) = Lab::filled(&rng, 160).await else { return };
    let draw = Draw { rng: &rng, fields: fields(), paged: Cell::new(0) };
    let (mut answered, mut found) = (0, 0);
    for number in 0..QUESTIONS {
        let what = format!("question {number} of seed {seed}");
        let request = draw.rows();
        if number % 5 == 0 && request.limit_by.is_none() {
            let there = lab.database.count(request.clone()).await.expect("a count");
            assert_eq!(there, lab.memory.count(request.clone()).await.expect("a count"), "{what}");
        }
        for request in [request, draw.groups()] {
            if let Some(rows) = compare(&lab, request, &what).await {
                answered += 1;
                found += rows;
            }
        }
    }
    assert!(draw.paged.get() > 120, "only {} pages", draw.paged.get());
    // A property of refusals would say nothing.
    assert!(answered > 1_100, "only {answered} answers");
    assert!(found > 5_000, "only {found} rows");
}

#[tokio::test]
async fn changes_leave_the_rows_that_memory_has() {
    let rng = Rng::seeded(5);
    let Some(lab) = Lab::filled(&rng, 20).await else { return };
    let all = fields();
    for _ in 0..40 {
        let id = |rng: &Rng| rng.below(30) as i64;
        let row = |id: i64, fields: &[Field]| -> Vec<Value> {
            let values = fields.iter().map(|field| match field.name.as_ref() {
                "id" => Value::Int(id),
                _ => value(&rng, field),
            });
            values.collect()
        };
        let op = match rng.below(3) {
            0 => {
                let first = id(&rng);
                let rows = [row(first, &all), row(first + 1, &all)];
                WriteOp::Upsert(vec![batch_of(&all, &rows).expect("a batch")])
            }
            1 => {
                let some = [all[0].clone(), all[5].clone(), all[16].clone(), all[17].clone()];
                let known =
                    rows(&lab.memory, ScanRequest::new("Thing", ["id"], Principal::local()));
                let known = known.await.expect("rows");
                let Value::Int(id) = known[rng.below(known.len() as u64) as usize][0] else {
                    panic!("an id is a number");
                };
                WriteOp::Update(vec![batch_of(&some, &[row(id, &some)]).expect("a batch")])
            }
            _ => WriteOp::Delete(vec![vec![Value::Int(id(&rng))], vec![Value::Int(id(&rng))]]),
        };
        // Two keys that are one are one row less in memory and in the database alike.
        lab.write(op).await;
        let names = all.iter().map(|field| field.name.clone());
        let mut request = ScanRequest::new("Thing", names, Principal::local());
        request.order = vec![Order::by("id", false)];
        assert!(compare(&lab, request, "after a change").await.is_some());
    }
}
