//! Files in and out: `/import` and `/export`.

use std::io::Write;
use std::net::Shutdown;

use serde_json::{Value, json};

use crate::client;
use crate::lab::{ITEMS, Lab, encoded, message};

fn options() -> Value {
    json!({"typeName": "Item", "displayName": "items.csv"})
}

fn export(lab: &Lab, request: &Value) -> client::Answer {
    lab.post("/export", request)
}

#[test]
fn an_upload_is_imported_once() {
    let lab = Lab::new();
    let answer = lab.import(&options(), ITEMS.as_bytes());
    let done = answer.done();
    assert_eq!((&done["rows"], &done["alreadyImported"]), (&json!(3), &json!(false)), "{done}");
    let again = lab.import(&options(), ITEMS.as_bytes()).done();
    assert_eq!(again["alreadyImported"], true, "{again}");
    assert_eq!(
        lab.rows("SELECT id, name, price FROM items ORDER BY id")[2],
        json!(["c", "table, round", 99.25])
    );
    assert_eq!(uploads_left(&lab), 0);
}

fn uploads_left(lab: &Lab) -> usize {
    std::fs::read_dir(lab.folder.path().join(".headwater/uploads")).unwrap().count()
}

#[test]
fn an_upload_with_a_faulty_row_imports_nothing_and_says_where() {
    let lab = Lab::new();
    let file = format!("{ITEMS}d,desk,dear\n");
    let error = lab.import(&options(), file.as_bytes()).error();
    assert_eq!(error["code"], "INVALID_INPUT", "{error}");
    assert_eq!(
        error["place"].as_str().map(|place| place.starts_with("items.csv:5")),
        Some(true),
        "{error}"
    );
    assert!(!error.to_string().contains("uploads"), "{error}");
    assert_eq!(lab.rows("SELECT count(*) FROM items"), json!([["0"]]));
    assert_eq!(uploads_left(&lab), 0);
}

#[test]
fn faulty_rows_that_are_allowed_are_counted_by_reason() {
    let lab = Lab::new();
    let file = format!("{ITEMS}d,desk,dear\n,nameless,1\n");
    let mut wanted = options();
    wanted["maxErrors"] = json!(2);
    let done = lab.import(&wanted, file.as_bytes()).done();
    assert_eq!((&done["rows"], &done["rejected"]), (&json!(3), &json!(2)), "{done}");
    let by_reason = done["rejectedByReason"].as_array().unwrap();
    let sum: u64 = by_reason.iter().map(|pair| pair[1].as_u64().unwrap()).sum();
    assert_eq!(sum, 2, "{done}");
}

#[test]
fn an_upload_that_breaks_off_imports_nothing() {
    let lab = Lab::new();
    let line = format!("POST /import?options={}", encoded(&options().to_string()));
    let whole = message(&line, &[], ITEMS.as_bytes());
    for cut in [1, 10, ITEMS.len() - 1] {
        let mut stream = client::connect(lab.address);
        stream.write_all(&whole[..whole.len() - cut]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        if let Some(answer) = client::read(&mut stream) {
            let error = answer.error();
            assert_eq!(error["message"], "the upload ended before its end", "{error}");
        }
    }
    assert_eq!(lab.rows("SELECT count(*) FROM items"), json!([["0"]]));
    testkit::wait_for("the spooled pieces to be gone", std::time::Duration::from_secs(10), || {
        (uploads_left(&lab) == 0).then_some(())
    });
}

#[test]
fn an_upload_cannot_name_files_of_the_server() {
    let lab = Lab::new();
    let stolen = lab.folder.write("secret.csv", "id,name,price\nx,secret,1\n");
    let rejects = lab.folder.path().join("rejects.csv");
    let mut wanted = options();
    wanted["source"] = json!(stolen);
    wanted["rejects"] = json!(rejects);
    wanted["maxErrors"] = json!(1);
    let file = format!("{ITEMS}d,desk,dear\n");
    let done = lab.import(&wanted, file.as_bytes()).done();
    assert_eq!((&done["rows"], &done["rejects"]), (&json!(3), &Value::Null), "{done}");
    assert!(!rejects.try_exists().unwrap());
    assert_eq!(lab.rows("SELECT count(*) FROM items WHERE id = 'x'"), json!([["0"]]));
}

#[test]
fn bad_options_are_refused_before_anything_is_read() {
    let lab = Lab::new();
    for (wanted, words) in [
        (json!({"typeName": "Item", "mode": "sideways"}), "no import mode `sideways`"),
        (json!({"typeName": "Nobody"}), "Nobody"),
        (json!({"typeName": "Item", "format": "docx"}), "no format `docx`"),
        (json!({"typeName": "Item", "delimiter": "ö"}), "`ö` is no ASCII character"),
        (json!({"typeName": "Item", "encoding": "ebcdic"}), "no encoding `ebcdic`"),
        (json!({"typeName": "Item", "maxErrors": -1}), "invalid value: integer `-1`"),
        (json!({"typeName": "Item", "modus": "append"}), "modus"),
    ] {
        let error = lab.import(&wanted, ITEMS.as_bytes()).error();
        let said = format!("{} {}", error["message"], error["causes"]);
        assert!(said.contains(words), "{wanted}: {error}");
    }
}

#[test]
fn a_table_is_exported_in_every_format() {
    let lab = Lab::new().with_items();
    let table = |format| export(&lab, &json!({"typeName": "Item", "format": format}));
    let csv = table("csv");
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let mut lines: Vec<String> = csv.text().lines().map(str::to_owned).collect();
    lines[1..].sort();
    assert_eq!(lines, ["id,name,price", "a,lamp,12.5", "b,chair,40", "c,\"table, round\",99.25"]);
    let mut rows: Vec<Value> =
        table("jsonl").text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    rows.sort_by_key(|row| row["id"].to_string());
    assert_eq!(rows[0], json!({"id": "a", "name": "lamp", "price": 12.5}));
    let parquet = table("parquet").body;
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    assert!(table("arrow").body.starts_with(b"ARROW1"));
    assert!(table("tsv").text().contains("a\tlamp\t12.5"));
}

#[test]
fn what_was_exported_can_be_imported() {
    let lab = Lab::new().with_items();
    let other = Lab::new();
    for format in ["csv", "jsonl", "parquet", "arrow"] {
        let body = export(&lab, &json!({"typeName": "Item", "format": format})).body;
        let wanted = json!({"typeName": "Item", "mode": "replace", "displayName": format});
        assert_eq!(other.import(&wanted, &body).done()["rows"], 3, "{format}");
        let rows = "SELECT id, name, price FROM items ORDER BY id";
        assert_eq!(other.rows(rows), lab.rows(rows), "{format}");
    }
}

#[test]
fn the_answer_of_a_query_is_exported() {
    let lab = Lab::new().with_items();
    let request = json!({"sql": "SELECT count(*) AS n FROM items", "format": "csv"});
    assert_eq!(export(&lab, &request).text(), "n\n3\n");
    // More than one piece, so that the body is streamed.
    let many = json!({"sql": "SELECT unnest(generate_series(1, 200000)) AS n", "format": "csv"});
    let answer = export(&lab, &many);
    assert!(answer.is_whole);
    assert_eq!(answer.text().lines().count(), 200_001);
    assert!(answer.text().ends_with("\n200000\n"));
}

#[test]
fn a_bad_export_is_refused_with_words() {
    let lab = Lab::new();
    for (request, status, words) in [
        (json!({"typeName": "Item", "format": "docx"}), 400, "no export format `docx`"),
        (json!({"typeName": "Item"}), 400, "no export format"),
        (json!({"format": "csv"}), 400, "either a type or `sql`"),
        (json!({"typeName": "Item", "sql": "SELECT 1", "format": "csv"}), 400, "either"),
        (json!({"typeName": "Nobody", "format": "csv"}), 404, "Nobody"),
        (json!({"typeName": "Item", "format": "csv", "at": "yore"}), 400, "`yore` is neither"),
        (json!({"sql": "SELEC 1", "format": "csv"}), 400, "SELEC"),
        (json!({"sql": "DROP TABLE items", "format": "csv"}), 400, ""),
        (json!({"typ": "Item"}), 400, "unknown field `typ`"),
    ] {
        let answer = export(&lab, &request);
        let error = answer.error();
        assert_eq!(answer.status, status, "{request}: {error}");
        let said = format!("{} {}", error["message"], error["causes"]);
        assert!(said.contains(words), "{request}: {error}");
    }
}

#[test]
fn an_export_that_fails_under_way_is_not_taken_for_whole() {
    let lab = Lab::new();
    let sql = "SELECT 1 / (150000 - n) AS x FROM (SELECT unnest(generate_series(1, 200000)) AS n)";
    let body = json!({"sql": sql, "format": "csv"}).to_string();
    let request = message("POST /export", &[("content-type", "application/json")], body.as_bytes());
    // The connection may break before or after the head was sent.
    if let Some(answer) = client::exchange(lab.address, &request) {
        assert!(!answer.is_whole || answer.status >= 400, "{} bytes came", answer.body.len());
    }
    lab.assert_healthy();
}
