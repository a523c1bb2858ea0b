//! The expression language: what is accepted and with which type, and that printing and reading
//! are each other's inverse.

use frame::{DataType, Expr, Field, Node, Span};
use proptest::prelude::*;
use schema::expression::{Scope, fields_read, is_nullable, parse, parse_as, print};

fn scope() -> Scope {
    let point = DataType::Struct(vec![
        Field::new("x", DataType::Float, false),
        Field::new("case", DataType::Int, true),
    ]);
    let decimal = DataType::Decimal { precision: 10, scale: 2 };
    Scope::new(vec![
        Field::new("i", DataType::Int, false),
        Field::new("n", DataType::Int, true),
        Field::new("l", DataType::Long, true),
        Field::new("f", DataType::Float, true),
        Field::new("d", decimal, true),
        Field::new("s", DataType::String, false),
        Field::new("b", DataType::Boolean, true),
        Field::new("day", DataType::Date, true),
        Field::new("at", DataType::DateTime, true),
        Field::new("u", DataType::Uuid, true),
        Field::new(
            "tags",
            DataType::List { item: Box::new(DataType::String), nullable: false },
            false,
        ),
        Field::new("p", point, false),
        Field::new("end", DataType::Int, true),
    ])
    .with_viewer()
}

/// The expression with its places taken out: printing moves them.
fn placeless(mut expr: Expr) -> Expr {
    fn clear(expr: &mut Expr) {
        expr.span = Span::default();
        match &mut expr.node {
            Node::Literal(_) | Node::Field(_) | Node::Viewer(_) => {}
            Node::Unary(_, a) | Node::Cast(a) | Node::InList(a, _) | Node::Contains(a, _) => {
                clear(a)
            }
            Node::Binary(_, a, b) => {
                clear(a);
                clear(b);
            }
            Node::Case { branches, otherwise } => {
                for (when, then) in branches {
                    clear(when);
                    clear(then);
                }
                otherwise.iter_mut().for_each(|part| clear(part));
            }
            Node::Coalesce(parts) | Node::Call(_, parts) => parts.iter_mut().for_each(clear),
        }
    }
    clear(&mut expr);
    expr
}

fn check(text: &str, printed: &str, data_type: &str) {
    let expr = parse(text, &scope()).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
    assert_eq!(print(&expr), printed, "{text}");
    assert_eq!(expr.data_type.to_string(), data_type, "{text}");
    let again = parse(printed, &scope()).unwrap_or_else(|errors| panic!("{printed}: {errors:?}"));
    assert_eq!(placeless(again), placeless(expr), "{text}");
}

#[test]
fn operators_bind_as_in_sql() {
    check("1 + 2 * 3 - 4", "(1 + (2 * 3)) - 4", "Int");
    check("i - n - i", "(i - n) - i", "Int");
    check("NOT b AND b OR b", "((NOT b) AND b) OR b", "Boolean");
    check("!b && i == n", "(NOT b) AND (i = n)", "Boolean");
    check("NOT i = n", "NOT (i = n)", "Boolean");
    check("-i * -2", "(-(i)) * -2", "Int");
    check("s || 'x' = 'y' || s", "(s || 'x') = ('y' || s)", "Boolean");
    check("i != 1 or i <> 2", "(i <> 1) OR (i <> 2)", "Boolean");
    check("- CAST(2147483648 AS Long)", "CAST(-2147483648 AS Long)", "Long");
    check("- - 5", "5", "Int");
    check("-(-2147483648)", "-(-2147483648)", "Int");
    check("(1 + 2) * 3", "(1 + 2) * 3", "Int");
}

#[test]
fn numbers_widen_by_themselves_and_constants_take_the_type_beside_them() {
    check("i + l", "CAST(i AS Long) + l", "Long");
    check("l + 1", "l + CAST(1 AS Long)", "Long");
    check("1 / f", "1.0 / f", "Float");
    check("5000000000", "5000000000", "Long");
    check("-2147483648", "-2147483648", "Int");
    check("d + 1", "d + CAST('1.00' AS Decimal(10, 2))", "Decimal(11, 2)");
    check("d * 0.5", "d * CAST('0.50' AS Decimal(10, 2))", "Decimal(20, 4)");
    check("d > i", "CAST(d AS Decimal(12, 2)) > CAST(i AS Decimal(12, 2))", "Boolean");
    check("day >= '2024-02-29'", "day >= DATE '2024-02-29'", "Boolean");
    check("at < '2024-01-01'", "at < TIMESTAMP '2024-01-01T00:00:00.000000Z'", "Boolean");
    check("coalesce(n, 1.5)", "COALESCE(CAST(n AS Float), 1.5)", "Float");
    check("coalesce(null, n)", "COALESCE(CAST(NULL AS Int), n)", "Int");
}

#[test]
fn special_forms_are_read() {
    check("i BETWEEN 1 AND 2", "(i >= 1) AND (i <= 2)", "Boolean");
    check("i NOT BETWEEN 1 AND 2 AND b", "(NOT ((i >= 1) AND (i <= 2))) AND b", "Boolean");
    check("s IN ('a', 'it''s')", "s IN ('a', 'it''s')", "Boolean");
    check("i NOT IN (1, 2)", "NOT (i IN (1, 2))", "Boolean");
    check("l IN (1)", "l IN (CAST(1 AS Long))", "Boolean");
    check("n IS NOT NULL", "n IS NOT NULL", "Boolean");
    check("CASE i WHEN 1 THEN 'a' ELSE s END", "CASE WHEN i = 1 THEN 'a' ELSE s END", "String");
    check(
        "case when b then 1 when b then null end",
        "CASE WHEN b THEN 1 WHEN b THEN CAST(NULL AS Int) END",
        "Int",
    );
    check("cast(s as int)", "CAST(s AS Int)", "Int");
    check("cast('12' as int)", "12", "Int");
    check("contains(tags, 'new')", "contains(tags, 'new')", "Boolean");
    check("contains(s, 'new')", "contains(s, 'new')", "Boolean");
    check("self.end + p.case + p.x", "CAST(self.end + p.case AS Float) + p.x", "Float");
    check("viewer.id = s", "viewer.id = s", "Boolean");
    check("year(at) - YEAR(day)", "year(at) - year(day)", "Int");
    check("least(i, l, 3)", "least(CAST(i AS Long), l, CAST(3 AS Long))", "Long");
}

#[test]
fn nullability_follows_the_operands() {
    let nullable = |text: &str| is_nullable(&parse(text, &scope()).unwrap(), &scope());
    for text in ["n", "i + n", "CASE WHEN b THEN 1 END", "COALESCE(n, l)", "p.case"] {
        assert!(nullable(text), "{text}");
    }
    for text in
        ["i", "n IS NULL", "COALESCE(n, 1)", "p.x", "least(n, 1)", "concat(s, CAST(n AS String))"]
    {
        assert!(!nullable(text), "{text}");
    }
}

#[test]
fn the_fields_that_are_read_are_known() {
    let expr = parse("CASE WHEN b THEN p.x + i ELSE f END + i", &scope()).unwrap();
    assert_eq!(fields_read(&expr), ["b", "p", "i", "f"]);
}

#[test]
fn a_wanted_type_widens_and_never_narrows() {
    let wanted =
        |text: &str, data_type: &DataType| parse_as(text, &scope(), data_type).map(|e| print(&e));
    assert_eq!(wanted("i", &DataType::Float).unwrap(), "CAST(i AS Float)");
    assert_eq!(wanted("'2024-01-01'", &DataType::Date).unwrap(), "DATE '2024-01-01'");
    assert!(wanted("f", &DataType::Int).is_err());
    assert!(wanted("s", &DataType::Int).is_err());
}

#[test]
fn every_form_of_the_reference_page_is_read() {
    let poster = schema::Schema::media_type();
    let scope = Scope::new(vec![
        Field::new("year", DataType::Int, true),
        Field::new("title", DataType::String, false),
        Field::new("poster", poster, true),
    ]);
    for (form, example) in schema::expression::FORMS {
        assert!(parse(example, &scope).is_ok(), "{form}: {:?}", parse(example, &scope));
    }
}

/// A row of the scope, for computing.
fn row_value(path: &[String], _: &DataType) -> base::Result<frame::Value> {
    use frame::Value;
    Ok(match path[0].as_str() {
        "i" => Value::Int(-7),
        "n" => Value::Int(3),
        "l" => Value::Int(5_000_000_000),
        "f" => Value::Float(0.25),
        "s" => Value::from("text"),
        "b" => Value::Boolean(true),
        "day" => Value::Date(19_782),
        "at" => Value::DateTime(1_709_208_000_000_000),
        "p" if path[1] == "x" => Value::Float(1.5),
        _ => Value::Null,
    })
}

/// Texts of expressions of a type, mostly right ones.
fn text_of(kind: &'static str, depth: u32) -> BoxedStrategy<String> {
    let leaf: BoxedStrategy<String> = match kind {
        "number" => prop_oneof![
            prop::sample::select(vec!["i", "n", "l", "f", "self.end", "p.x", "p.case"])
                .prop_map(str::to_owned),
            (-100_i64..100).prop_map(|n| n.to_string()),
            any::<i64>().prop_map(|n| n.to_string()),
            (-1e6..1e6_f64).prop_map(|n| format!("{n:?}")),
        ]
        .boxed(),
        "text" => prop_oneof![
            Just("s".to_owned()),
            Just("viewer.team".to_owned()),
            "[a-z'é ]{0,4}".prop_map(|text| format!("'{}'", text.replace('\'', "''"))),
        ]
        .boxed(),
        "time" => prop::sample::select(vec![
            "day",
            "date(at)",
            "DATE '2024-02-29'",
            "CAST(at AS Date)",
            "'1999-12-31'",
        ])
        .prop_map(str::to_owned)
        .boxed(),
        _ => prop::sample::select(vec!["b", "TRUE", "false", "n IS NULL"])
            .prop_map(str::to_owned)
            .boxed(),
    };
    if depth == 0 {
        return leaf;
    }
    let (number, text, time, truth) = (
        text_of("number", depth - 1),
        text_of("text", depth - 1),
        text_of("time", depth - 1),
        text_of("truth", depth - 1),
    );
    let own = text_of(kind, depth - 1);
    let shared = prop_oneof![
        (truth.clone(), own.clone(), own.clone())
            .prop_map(|(c, a, b)| format!("CASE WHEN {c} THEN {a} ELSE {b} END")),
        (own.clone(), own.clone()).prop_map(|(a, b)| format!("COALESCE({a}, {b})")),
        own.clone().prop_map(|a| format!("COALESCE(NULL, {a})")),
    ];
    let special = match kind {
        "number" => prop_oneof![
            (number.clone(), prop::sample::select(vec!["+", "-", "*", "/", "%"]), number.clone())
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            number.clone().prop_map(|a| format!("- {a}")),
            number.clone().prop_map(|a| format!("abs({a})")),
            (number.clone(), number.clone()).prop_map(|(a, b)| format!("greatest({a}, {b})")),
            text.prop_map(|a| format!("length({a})")),
            time.prop_map(|a| format!("year({a})")),
            number.prop_map(|a| format!("CAST({a} AS Long)")),
        ]
        .boxed(),
        "text" => prop_oneof![
            (text.clone(), text.clone()).prop_map(|(a, b)| format!("{a} || {b}")),
            (text.clone(), number.clone())
                .prop_map(|(a, n)| format!("substring({a}, CAST({n} AS Int), 2)")),
            number.prop_map(|a| format!("CAST({a} AS String)")),
            text.prop_map(|a| format!("upper({a})")),
        ]
        .boxed(),
        "time" => time.prop_map(|a| format!("least({a}, day)")).boxed(),
        _ => prop_oneof![
            (
                number.clone(),
                prop::sample::select(vec!["=", "<>", "<", ">=", "!="]),
                number.clone()
            )
                .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (truth.clone(), prop::sample::select(vec!["AND", "OR", "="]), truth.clone())
                .prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
            truth.prop_map(|a| format!("NOT {a}")),
            (number.clone(), number.clone(), number)
                .prop_map(|(a, b, c)| format!("{a} BETWEEN {b} AND {c}")),
            text.clone().prop_map(|a| format!("{a} IN ('x', '')")),
            time.prop_map(|a| format!("{a} > '2024-01-01'")),
            text.prop_map(|a| format!("starts_with({a}, 'x')")),
        ]
        .boxed(),
    };
    prop_oneof![1 => leaf, 2 => shared, 4 => special].boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn printing_and_reading_are_inverse(
        text in prop::sample::select(vec!["number", "text", "time", "truth"])
            .prop_flat_map(|kind| text_of(kind, 3)),
    ) {
        if let Ok(expr) = parse(&text, &scope()) {
            let printed = print(&expr);
            let again = parse(&printed, &scope());
            prop_assert!(again.is_ok(), "{} → {}: {:?}", text, printed, again);
            prop_assert_eq!(placeless(again.unwrap()), placeless(expr), "{} → {}", text, printed);
        }
    }

    #[test]
    fn what_is_typed_computes_to_a_value_of_its_type(
        text in prop::sample::select(vec!["number", "text", "time", "truth"])
            .prop_flat_map(|kind| text_of(kind, 3)),
    ) {
        use frame::Value;
        let Ok(expr) = parse(&text, &scope()) else { return Ok(()) };
        let viewer = base::Principal::local();
        match frame::RowInterpreter.evaluate_row(&expr, &row_value, &viewer) {
            Ok(value) => {
                let fits = matches!(
                    (&value, &expr.data_type),
                    (Value::Null, _)
                        | (Value::Int(_), DataType::Int | DataType::Long)
                        | (Value::Float(_), DataType::Float)
                        | (Value::Boolean(_), DataType::Boolean)
                        | (Value::String(_), DataType::String)
                        | (Value::Date(_), DataType::Date)
                );
                prop_assert!(fits, "{} gives {:?}, not {}", text, value, expr.data_type);
                let nullable = is_nullable(&expr, &scope());
                prop_assert!(nullable || value != Value::Null, "{} is null", text);
            }
            Err(error) => prop_assert_eq!(error.kind(), base::Kind::InvalidInput, "{}: {}", text, error),
        }
    }

    #[test]
    fn any_text_is_answered(text in "[ -~é'\"]{0,40}") {
        let _ = parse(&text, &scope());
    }
}

#[test]
fn most_texts_of_the_property_are_right() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let right = (0..200)
        .filter(|_| {
            let text = text_of("truth", 2).new_tree(&mut runner).unwrap().current();
            parse(&text, &scope()).is_ok()
        })
        .count();
    assert!(right > 120, "{right} of 200");
}
