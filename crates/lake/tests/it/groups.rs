//! Grouping by a text column that files hold by codes gives what grouping by its texts gives.

use arrow::array::AsArray;
use arrow::record_batch::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use base::Principal;
use base::rng::Rng;
use frame::{DataType, Value};
use futures::TryStreamExt;
use lake::{Change, Lake, SqlOptions, TableChange};

use crate::lab::{Lab, bucketed, info, keyed, object};

/// What is asked of each group.
const FUNCTIONS: &str = "count(*) AS n, count(amount) AS k, sum(amount) AS total, avg(amount) AS mean, \
                         min(kind) AS least, max(share) AS most, \
                         count(*) FILTER (WHERE amount > 3) AS some";

async fn lab() -> Lab {
    let fields = [
        ("id", DataType::Long, false),
        ("country", DataType::String, true),
        ("kind", DataType::String, false),
        ("amount", DataType::Long, true),
        ("share", DataType::Float, false),
    ];
    let event = keyed(object("Event", "events", &fields), &["id"]);
    Lab::new(vec![bucketed(event, "id", 3)]).await
}

/// Some rows, with countries from a window of their own, so that dictionaries differ.
fn rows(rng: &Rng, from: i64, count: i64) -> Vec<Vec<Value>> {
    let (first, countries) = (rng.below(30), 1 + rng.below(12));
    let row = |id| {
        let country = match rng.below(9) {
            0 => Value::Null,
            _ => format!("land {}", first + rng.below(countries)).as_str().into(),
        };
        let amount = match rng.below(7) {
            0 => Value::Null,
            _ => Value::Int(rng.below(9) as i64),
        };
        let kind = ["big", "small"][rng.below(2) as usize].into();
        vec![Value::Int(id), country, kind, amount, Value::Float(rng.below(100) as f64)]
    };
    (from..from + count).map(row).collect()
}

async fn commit(lab: &Lab, change: Change) {
    let changes = vec![TableChange { type_name: "Event".into(), change }];
    lab.lake.commit(changes, info("events")).await.unwrap();
}

async fn sql(lake: &Lake, text: &str) -> Vec<RecordBatch> {
    let answer = lake.sql(text, SqlOptions::new(Principal::local())).await.unwrap();
    answer.stream.try_collect().await.unwrap()
}

async fn plan(lake: &Lake, text: &str) -> String {
    let batches = sql(lake, &format!("EXPLAIN {text}")).await;
    let plans =
        batches.iter().flat_map(|batch| batch.column(1).as_string::<i32>().iter().flatten());
    plans.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn groups_by_codes_are_those_by_text() {
    for seed in 0..4 {
        let (rng, lab) = (Rng::seeded(seed), lab().await);
        let mut next = 0;
        for _ in 0..1 + rng.below(4) {
            let count = 3000 + rng.below(9000) as i64;
            let staged = lab.stage("Event", &rows(&rng, next, count)).await;
            commit(&lab, Change::Upsert(staged)).await;
            next += count;
        }
        if rng.below(2) == 0 {
            let gone = (0..200).map(|_| vec![Value::Int(rng.below(next as u64) as i64)]);
            commit(&lab, Change::Delete(gone.collect())).await;
        }
        for wanted in
            ["", "WHERE amount >= 4", "WHERE share < 0", "WHERE kind = 'big' OR amount = 1"]
        {
            let by_codes = format!(
                "SELECT country, {FUNCTIONS} FROM events {wanted} GROUP BY country ORDER BY country"
            );
            let by_texts = format!(
                "SELECT country, {FUNCTIONS} FROM (SELECT concat(country, '') AS c, * FROM events) e \
                 {wanted} GROUP BY country, c ORDER BY country"
            );
            let codes = plan(&lab.lake, &by_codes).await;
            assert!(codes.contains("GroupByCodesExec: by=[country"), "{codes}");
            let texts = plan(&lab.lake, &by_texts).await;
            assert!(!texts.contains("GroupByCodesExec"), "{texts}");
            let found =
                pretty_format_batches(&sql(&lab.lake, &by_codes).await).unwrap().to_string();
            let right =
                pretty_format_batches(&sql(&lab.lake, &by_texts).await).unwrap().to_string();
            assert_eq!(found, right, "seed {seed}: {by_codes}");
        }
    }
}

/// What codes do not serve is planned as ever: a function of the column, a filter on it, texts that
/// hardly repeat.
#[tokio::test]
async fn other_groups_are_planned_as_ever() {
    let lab = lab().await;
    let mut all = rows(&Rng::seeded(1), 0, 30_000);
    for row in &mut all {
        let Value::Int(id) = row[0] else { panic!("an id") };
        row[2] = format!("kind of {id}").as_str().into();
    }
    let staged = lab.stage("Event", &all).await;
    commit(&lab, Change::Upsert(staged)).await;
    for text in [
        "SELECT country, max(country) FROM events GROUP BY country",
        "SELECT country, count(*) FROM events WHERE country > 'land' GROUP BY country",
        "SELECT country, kind, count(*) FROM events GROUP BY country, kind",
        "SELECT kind, count(*) FROM events GROUP BY kind",
        "SELECT amount, count(*) FROM events GROUP BY amount",
        "SELECT DISTINCT kind FROM events",
    ] {
        let planned = plan(&lab.lake, text).await;
        assert!(!planned.contains("GroupByCodesExec"), "{text}\n{planned}");
        assert!(!sql(&lab.lake, text).await.is_empty(), "{text}");
    }
}
