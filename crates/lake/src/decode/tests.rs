//! Whole files through `open` and `decode`: good ones against values, malformed ones against the
//! golden list of their errors in `tests/malformed/decode.txt`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, Int64Array, StringArray, StructArray};
use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use arrow::record_batch::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use base::{Error, Result};
use frame::DataType;
use futures::StreamExt;

use super::shape::{Expect, Part, Shape, Target};
use super::{RawBatch, open};
use crate::source::{Encoding, Epoch, Format, Origin, ReadLimits, ReadOptions, Source};

fn target(name: &str, data_type: DataType, expect: Expect, nullable: bool) -> Target {
    Target {
        name: name.into(),
        aliases: Vec::new(),
        data_type,
        expect,
        nullable,
        default: None,
        media: false,
    }
}

fn scalar(name: &str, data_type: DataType, nullable: bool) -> Target {
    target(name, data_type.clone(), Expect::Scalar(data_type), nullable)
}

fn list(item: DataType, expect: Expect) -> (DataType, Expect) {
    let part = Part { name: "item".into(), expect, nullable: false, data_type: item.clone() };
    (DataType::List { item: Box::new(item), nullable: false }, Expect::List(Box::new(part)))
}

/// `Film`: one field of every kind.
pub(crate) fn film() -> Arc<Shape> {
    let (tags_type, tags) = list(DataType::String, Expect::Scalar(DataType::String));
    let place_fields = vec![
        frame::Field::new("city", DataType::String, false),
        frame::Field::new("zip", DataType::Int, true),
    ];
    let parts = place_fields.iter().map(|field| Part {
        name: field.name.clone(),
        expect: Expect::Scalar(field.data_type.clone()),
        nullable: field.nullable,
        data_type: field.data_type.clone(),
    });
    let parts = parts.collect();
    let kinds: Arc<[Arc<str>]> = vec!["FEATURE".into(), "SHORT".into()].into();
    let decimal = DataType::Decimal { precision: 6, scale: 2 };
    let targets = vec![
        target("id", DataType::String, Expect::Id, false),
        scalar("title", DataType::String, false),
        scalar("releaseYear", DataType::Int, true),
        scalar("views", DataType::Long, true),
        scalar("rating", DataType::Float, true),
        scalar("price", decimal, true),
        scalar("seen", DataType::Boolean, true),
        scalar("released", DataType::Date, true),
        scalar("updatedAt", DataType::DateTime, true),
        scalar("uuid", DataType::Uuid, true),
        scalar("raw", DataType::Bytes, true),
        scalar("extra", DataType::Json, true),
        target("kind", DataType::String, Expect::Enum(kinds), true),
        target("tags", tags_type, tags, true),
        target("place", DataType::Struct(place_fields), Expect::Struct(parts), true),
        target("vector", DataType::Vector { dimension: 2 }, Expect::Vector(2), true),
    ];
    Arc::new(Shape { type_name: "Film".into(), targets, key: vec![0] })
}

fn read(bytes: impl Into<Vec<u8>>, options: &ReadOptions) -> Result<Vec<RawBatch>> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let origin = Origin::Bytes { name: "films".to_owned(), bytes: bytes.into().into() };
        let source = Source::open(origin, options)?;
        let mut batches = open(source, film(), options.clone(), 0, 2).await?;
        let mut read = Vec::new();
        while let Some(batch) = batches.next().await {
            read.push(batch?);
        }
        Ok(read)
    })
}

/// The error that would end a strict import.
fn fault(bytes: impl Into<Vec<u8>>, options: &ReadOptions) -> Error {
    match read(bytes, options) {
        Err(error) => error,
        Ok(batches) => {
            let rejects: Vec<_> = batches.into_iter().flat_map(|batch| batch.rejects).collect();
            rejects.into_iter().next().expect("a fault is found").into_error()
        }
    }
}

fn table(bytes: impl Into<Vec<u8>>, options: &ReadOptions, columns: &[&str]) -> String {
    let batches = read(bytes, options).expect("the file is good");
    let mut picked = Vec::new();
    for raw in batches {
        assert_eq!(raw.rejects, [], "nothing is left out");
        let schema = raw.batch.schema();
        let indices: Vec<_> =
            columns.iter().map(|name| schema.index_of(name).expect("known")).collect();
        picked.push(raw.batch.project(&indices).expect("projected"));
    }
    pretty_format_batches(&picked).expect("printed").to_string()
}

fn default() -> ReadOptions {
    ReadOptions::default()
}

#[test]
fn a_csv_file_is_read_into_every_type() {
    let text = "\u{feff}ID,title,release_year,views,rating,price,seen,released,updated_at,uuid,raw,extra,kind,tags,place,vector\r\n\
        1,\"Heat, \"\"the\"\" film\",1995,9223372036854775807,8.3,12.50,yes,1995-12-15,2026-11-23 08:00:00,67e55044-10b1-426f-9247-bb680e5fe0c8,aGk=,\"{\"\"a\"\": 1}\",FEATURE,Action|Crime,\"{\"\"city\"\": \"\"LA\"\"}\",\"[1, 2.5]\"\r\n\
        b,\"\",,,,,,,,,,,,,,\r\n";
    let columns = [
        "id",
        "title",
        "releaseYear",
        "views",
        "price",
        "seen",
        "updatedAt",
        "extra",
        "tags",
        "place",
        "vector",
    ];
    let expected = "\
+----+------------------+-------------+---------------------+-------+------+----------------------+----------+-----------------+-------------------+------------+
| id | title            | releaseYear | views               | price | seen | updatedAt            | extra    | tags            | place             | vector     |
+----+------------------+-------------+---------------------+-------+------+----------------------+----------+-----------------+-------------------+------------+
| 1  | Heat, \"the\" film | 1995        | 9223372036854775807 | 12.50 | true | 2026-11-23T08:00:00Z | {\"a\": 1} | [Action, Crime] | {city: LA, zip: } | [1.0, 2.5] |
| b  |                  |             |                     |       |      |                      |          |                 |                   |            |
+----+------------------+-------------+---------------------+-------+------+----------------------+----------+-----------------+-------------------+------------+";
    assert_eq!(table(text, &default(), &columns), expected);
}

#[test]
fn json_lines_and_arrays_are_read_alike() {
    let one = r#"{"id": 1, "title": "H\u00e9at", "views": "12", "price": 0.10, "updatedAt": 881250949, "tags": ["a", "b"], "place": {"city": "LA", "zip": 9}, "extra": [1, "x"]}"#;
    let two = r#"{"title": "b", "id": "x", "extra": "text"}"#;
    let columns = ["id", "title", "views", "price", "updatedAt", "tags", "place", "extra"];
    let lines = table(format!("{one}\n\n{two}\n"), &default(), &columns);
    let array = table(format!("[{one},\n{two}]"), &default(), &columns);
    assert_eq!(lines, array);
    assert!(lines.contains("1997-12-04T15:55:49Z") && lines.contains("Héat"), "{lines}");
    assert!(lines.contains("\"text\"") && lines.contains("[1, \"x\"]"), "{lines}");
}

#[test]
fn options_say_what_content_does_not() {
    let columns = Some(["id", "_", "released", "title"].map(str::to_owned).to_vec());
    let options = ReadOptions {
        columns,
        date_format: Some("%d-%b-%Y".to_owned()),
        encoding: Encoding::Latin1,
        ..default()
    };
    let shown = table(
        b"1|x|01-Jan-1995|Caf\xe9\n2|y||5\" pipe\n".as_slice(),
        &ReadOptions { plain_quotes: true, ..options },
        &["id", "released", "title"],
    );
    assert!(shown.contains("1995-01-01") && shown.contains("Café") && shown.contains("5\" pipe"));
    let options = ReadOptions {
        epoch: Some(Epoch::Seconds),
        nulls: vec!["NA".to_owned()],
        ignore_unknown: true,
        ..default()
    };
    let shown = table(
        "id,title,updatedAt,other,views\n1,a,881250949,z,NA\n",
        &options,
        &["updatedAt", "views"],
    );
    assert!(shown.contains("1997-12-04T15:55:49Z"), "{shown}");
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields =
        columns.iter().map(|(name, array)| ArrowField::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, columns.into_iter().map(|(_, array)| array).collect())
        .expect("batch")
}

fn text(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn parquet(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("writer");
    writer.write(batch).expect("written");
    writer.close().expect("closed");
    bytes
}

fn arrow_file(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).expect("writer");
    writer.write(batch).expect("written");
    writer.into_inner().expect("closed")
}

fn arrow_stream(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("writer");
    writer.write(batch).expect("written");
    writer.into_inner().expect("closed")
}

#[test]
fn parquet_and_arrow_are_read_alike() {
    let batch = batch(vec![
        ("title", text(&[Some("a"), Some("b")])),
        ("id", Arc::new(Int64Array::from(vec![1, 2]))),
        ("release_year", Arc::new(Float64Array::from(vec![Some(1995.0), None]))),
        ("tags", text(&[Some("x|y"), None])),
        ("kind", text(&[None, Some("SHORT")])),
        ("updatedAt", Arc::new(Int64Array::from(vec![881_250_949, 0]))),
    ]);
    let columns = ["id", "title", "releaseYear", "tags", "kind", "updatedAt"];
    let shown = table(parquet(&batch), &default(), &columns);
    assert!(
        shown.contains("| 1  | a     | 1995        | [x, y] |       | 1997-12-04T15:55:49Z |"),
        "{shown}"
    );
    assert_eq!(table(arrow_file(&batch), &default(), &columns), shown);
    assert_eq!(table(arrow_stream(&batch), &default(), &columns), shown);
}

#[test]
fn packed_files_are_read_alike() {
    use std::io::Write;
    let text = "id,title\n1,a\n";
    let plain = table(text, &default(), &["id", "title"]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).expect("packed");
    assert_eq!(table(gzip.finish().expect("packed"), &default(), &["id", "title"]), plain);
    let zstd = zstd::encode_all(text.as_bytes(), 1).expect("packed");
    assert_eq!(table(zstd, &default(), &["id", "title"]), plain);
    assert_eq!(table(zip(&[("films.csv", text.as_bytes())]), &default(), &["id", "title"]), plain);
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).expect("entry");
        writer.write_all(bytes).expect("written");
    }
    writer.finish().expect("closed").into_inner()
}

#[test]
fn good_records_stay_when_bad_ones_are_left_out() {
    let text = "id,title,views\n1,a,1\n2,b,x\n,c,3\n4,d,4\n5,e\n";
    let batches = read(text, &default()).expect("read");
    let [raw] = batches.as_slice() else { panic!("one batch") };
    assert_eq!((raw.rows, raw.batch.num_rows()), (5, 2));
    assert_eq!(raw.kept.as_deref(), Some([1, 4].as_slice()));
    let rejects = raw.rejects.iter().map(|reject| {
        (reject.row, reject.place.line, reject.kind.as_str(), reject.original.as_str())
    });
    let expected = [(2, 3, "type", "2,b,x"), (3, 4, "missing", ",c,3"), (5, 6, "ragged", "5,e")];
    assert_eq!(rejects.collect::<Vec<_>>(), expected);
}

#[test]
fn rows_before_the_resumed_one_are_passed_over() {
    let text: String = std::iter::once("id,title\n".to_owned())
        .chain((1..=100).map(|i| format!("{i},t\n")))
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("runtime");
    let first = runtime.block_on(async {
        let limits = ReadLimits { rows: 7, ..ReadLimits::default() };
        let options = ReadOptions { limits, ..default() };
        let origin = Origin::Bytes { name: "f".to_owned(), bytes: text.into() };
        let source = Source::open(origin, &options).expect("opened");
        let mut batches = open(source, film(), options, 40, 2).await.expect("open");
        let mut numbers = Vec::new();
        while let Some(batch) = batches.next().await {
            let batch = batch.expect("read");
            let ids = arrow::array::AsArray::as_string::<i32>(batch.batch.column(0)).clone();
            for row in 0..ids.len() {
                assert_eq!(ids.value(row), batch.row_number(row).to_string());
                numbers.push(batch.row_number(row));
            }
        }
        numbers
    });
    assert_eq!(first, (41..=100).collect::<Vec<_>>());
}

/// Each class of malformed input with its bytes.
fn malformed() -> Vec<Malformed> {
    let mut cases = Vec::new();
    let mut add = |name, bytes: &[u8]| cases.push((name, bytes.to_vec(), default()));
    malformed_text(&mut add);
    malformed_json(&mut add);
    malformed_packed(&mut add);
    malformed_by_options(&mut cases);
    cases
}

/// A name, the bytes and how they are read.
type Malformed = (&'static str, Vec<u8>, ReadOptions);

fn malformed_text(add: &mut dyn FnMut(&'static str, &[u8])) {
    add("empty file", b"");
    add("only blank lines", b" \n\n");
    add("binary data", b"\x01\x02\0\x03\xff");
    add("an xz archive", b"\xfd7zXZ\0....");
    add("an SQLite database", b"SQLite format 3\0....");
    add("double colon", b"1::Heat::1995\n2::Alien::1979\n");
    add("csv: unknown column", b"id,title,releaseYaer\n1,a,1995\n");
    add("csv: doubled column", b"id,title,title\n1,a,b\n");
    add("csv: two spellings of a column", b"id,title,release_year,releaseYear\n1,a,1,2\n");
    add("csv: required column missing", b"id,releaseYear\n1,1995\n");
    add("csv: no header, other width", b"1,2,3\n4,5,6\n");
    add("csv: too few values", b"id,title\n1,a\n2\n");
    add("csv: too many values", b"id,title\n1,a,b\n");
    add("csv: stray quote", b"id,title\n1,5\" pipe\n");
    add("csv: text after a closing quote", b"id,title\n1,\"a\"b\n");
    add("csv: quote never closed", b"id,title\n1,\"a\n2,b\n");
    add("csv: quote in the header never closed", b"id,\"title\n1,a\n");
    add("csv: not UTF-8", b"id,title\n1,Am\xe9lie\n");
    add("csv: integer", b"id,title,releaseYear\n1,a,MCMXCV\n");
    add("csv: integer with thousands", b"id,title,views\n1,a,\"1,000\"\n");
    add("csv: integer with a fraction", b"id,title,views\n1,a,1.5\n");
    add("csv: integer out of range", b"id,title,releaseYear\n1,a,2147483648\n");
    add("csv: float with a comma", b"id;title;rating\n1;a;8,3\n");
    add("csv: float out of range", b"id,title,rating\n1,a,1e999\n");
    add("csv: decimal too fine", b"id,title,price\n1,a,1.005\n");
    add("csv: decimal too large", b"id,title,price\n1,a,10000\n");
    add("csv: boolean", b"id,title,seen\n1,a,maybe\n");
    add("csv: date", b"id,title,released\n1,a,15/12/1995\n");
    add("csv: date that does not exist", b"id,title,released\n1,a,1995-02-30\n");
    add("csv: time as a number", b"id,title,updatedAt\n1,a,881250949\n");
    add("csv: uuid", b"id,title,uuid\n1,a,67e55044\n");
    add("csv: base64", b"id,title,raw\n1,a,%%%\n");
    add("csv: json", b"id,title,extra\n1,a,{x}\n");
    add("csv: enum in another case", b"id,title,kind\n1,a,short\n");
    add("csv: list item", b"id,title,vector\n1,a,1|x\n");
    add("csv: vector of another size", b"id,title,vector\n1,a,\"[1, 2, 3]\"\n");
    add("csv: required value missing", b"id,title\n1,a\n,b\n");
    add("csv: required text empty", b"id,title\n1,\n");
    add("csv: fault after a quoted line end", b"id,title,views\n1,\"a\nb\",x\n");
    add("tsv: integer", b"id\ttitle\tviews\n1\ta\tx\n");
}

fn malformed_json(add: &mut dyn FnMut(&'static str, &[u8])) {
    add("jsonl: cut off", b"{\"id\": 1, \"title\": \"a\"}\n{\"id\": 2, \"tit\n");
    add("jsonl: single quotes", b"{\"id\": 1, \"title\": \"a\"}\n{'id': 2}\n");
    add("jsonl: NaN", b"{\"id\": 1, \"title\": \"a\", \"rating\": NaN}\n");
    add("jsonl: trailing comma", b"{\"id\": 1, \"title\": \"a\",}\n");
    add("jsonl: not an object", b"{\"id\": 1, \"title\": \"a\"}\n[1, 2]\n");
    add(
        "jsonl: two objects on a line",
        b"{\"id\": 1, \"title\": \"a\"} {\"id\": 2, \"title\": \"b\"}\n",
    );
    add("jsonl: doubled name", b"{\"id\": 1, \"title\": \"a\", \"title\": \"b\"}\n");
    add("jsonl: unknown name", b"{\"id\": 1, \"titel\": \"a\"}\n");
    add("jsonl: required value null", b"{\"id\": 1, \"title\": null}\n");
    add("jsonl: number where text is", b"{\"id\": 1, \"title\": 5}\n");
    add("jsonl: object where text is", b"{\"id\": 1, \"title\": {}}\n");
    add("jsonl: item of a list", b"{\"id\": 1, \"title\": \"a\", \"tags\": [\"x\", 5]}\n");
    add(
        "jsonl: part of an object",
        b"{\"id\": 1, \"title\": \"a\", \"place\": {\"city\": \"LA\", \"zip\": \"x\"}}\n",
    );
    add(
        "jsonl: unknown part",
        b"{\"id\": 1, \"title\": \"a\", \"place\": {\"city\": \"LA\", \"zap\": 1}}\n",
    );
    add("jsonl: bad escape", b"{\"id\": 1, \"title\": \"\\q\"}\n");
    add(
        "jsonl: nested too deeply",
        format!(
            "{{\"id\": 1, \"title\": \"a\", \"extra\": {}{}}}\n",
            "[".repeat(80),
            "]".repeat(80)
        )
        .as_bytes(),
    );
    add("json: array never closed", b"[{\"id\": 1, \"title\": \"a\"},");
}

fn malformed_packed(add: &mut dyn FnMut(&'static str, &[u8])) {
    let good = batch(vec![("id", text(&[Some("1")])), ("title", text(&[Some("a")]))]);
    let packed = parquet(&good);
    add("parquet: cut short", &packed[..packed.len() / 2]);
    let mut broken = packed.clone();
    let end = broken.len() - 20;
    broken[end..end + 8].fill(0xff);
    add("parquet: footer overwritten", &broken);
    let wrong = batch(vec![("id", text(&[Some("1")])), ("title", text(&[None]))]);
    add("parquet: required value null", &parquet(&wrong));
    let wrong = batch(vec![
        ("id", text(&[Some("1"), Some("2")])),
        ("title", text(&[Some("a"), Some("b")])),
        ("release_year", Arc::new(Int64Array::from(vec![1, 1 << 40]))),
    ]);
    add("parquet: integer out of range", &parquet(&wrong));
    let inner = StructArray::from(vec![(
        Arc::new(ArrowField::new("x", ArrowType::Utf8, true)),
        text(&[Some("1")]),
    )]);
    let wrong = batch(vec![("id", text(&[Some("1")])), ("title", Arc::new(inner))]);
    add("parquet: struct where text is", &parquet(&wrong));
    let wrong = batch(vec![("id", text(&[Some("1")])), ("name", text(&[Some("a")]))]);
    add("parquet: unknown column", &parquet(&wrong));
    let file = arrow_file(&good);
    add("arrow: cut short", &file[..file.len() / 2]);
    let stream = arrow_stream(&good);
    add("arrow stream: cut short", &stream[..stream.len() / 3]);
    add("gzip: cut short", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b]);
    add("zstd: damaged", &[0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff, 0xff, 0xff, 0xff]);
    add("zip: damaged", b"PK\x03\x04 and nothing else");
    add("zip: no files", &zip(&[]));
    add("zip: several files of data", &zip(&[("a.csv", b"a,b\n"), ("b.csv", b"a,b\n")]));
    add("zip: a workbook", &zip(&[("xl/workbook.xml", b"<x/>"), ("a.xml", b"<x/>")]));
    add("zip: an archive in it", &zip(&[("a.zip", &zip(&[("a.csv", b"a\n")]))]));
}

fn malformed_by_options(cases: &mut Vec<Malformed>) {
    let limits = ReadLimits { record: 1 << 10, ..ReadLimits::default() };
    let long = format!("id,title\n1,{}\n", "x".repeat(2 << 20));
    cases.push(("csv: record too long", long.into_bytes(), ReadOptions { limits, ..default() }));
    let columns = Some(vec!["id".to_owned()]);
    cases.push((
        "csv: other number of columns named",
        b"1,a\n".to_vec(),
        ReadOptions { columns, ..default() },
    ));
    let format = Some(Format::Parquet);
    cases.push((
        "csv read as parquet",
        b"id,title\n1,a\n".to_vec(),
        ReadOptions { format, ..default() },
    ));
}

#[test]
fn malformed_inputs_get_their_golden_errors() {
    let mut found = String::new();
    for (name, bytes, options) in malformed() {
        let error = fault(bytes, &options);
        let place = error.place().map_or("nowhere".to_owned(), ToString::to_string);
        let hint = error.hint_text().map_or(String::new(), |hint| format!("\n  hint: {hint}"));
        found.push_str(&format!(
            "{name}\n  {place}: {}{hint}\n",
            base::error_chain(&error).join(": ")
        ));
    }
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/malformed/decode.txt");
    let expected = std::fs::read_to_string(golden).unwrap_or_default();
    if expected != found {
        let actual = std::env::temp_dir().join("decode.actual.txt");
        std::fs::write(&actual, &found).expect("written");
        panic!("the errors are not those of {golden}; what was found is in {}", actual.display());
    }
}

mod round_trips {
    use arrow::array::AsArray;
    use futures::stream;
    use proptest::prelude::*;

    use super::*;
    use crate::export::{ExportFormat, ExportSink, Rows, write};

    /// One row of `Film` as JSON, which is the simple reference that everything must come back to.
    fn row() -> impl Strategy<Value = serde_json::Value> {
        let text = "[a-z\"',;|\\t\\n\\r\\\\ é🎬{}\\[\\]]{0,6}";
        let float = prop_oneof![
            any::<f32>().prop_filter("finite", |f| f.is_finite()).prop_map(f64::from),
            Just(0.1),
            Just(-0.0)
        ];
        let first = (
            text,
            proptest::option::of(any::<i32>()),
            proptest::option::of(any::<i64>()),
            proptest::option::of(float),
            proptest::option::of(-999_999_i64..999_999),
            proptest::option::of(any::<bool>()),
        );
        let second = (
            proptest::option::of(-200_000_i64..200_000),
            proptest::option::of(proptest::collection::vec(text, 0..3)),
            proptest::option::of(text),
            proptest::option::of(any::<u128>()),
            proptest::option::of((any::<f32>(), any::<i16>())),
            proptest::option::of(proptest::collection::vec(any::<u8>(), 0..4)),
        );
        (first, second).prop_map(|((title, year, views, rating, price, seen), (day, tags, city, uuid, vector, raw))| {
            use base64::Engine;
            let mut row = serde_json::json!({"id": format!("k{title}"), "title": title, "releaseYear": year, "views": views, "rating": rating, "seen": seen, "tags": tags});
            row["price"] = price.map(|cents| serde_json::Value::from(format!("{}{}.{:02}", if cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100))).into();
            row["updatedAt"] = day.map(|day| base::Timestamp::from_micros(day * 86_400_000_000 + 1_000_001).to_string()).into();
            row["released"] = day.map(|day| base::Timestamp::from_micros(day * 86_400_000_000).to_string()[..10].to_owned()).into();
            row["place"] = city.map(|city| serde_json::json!({"city": city, "zip": year})).into();
            row["uuid"] = uuid.map(|uuid| uuid::Uuid::from_u128(uuid).to_string()).into();
            row["vector"] = vector.map(|(a, b)| serde_json::json!([if a.is_finite() { a } else { 1.5 }, b])).into();
            row["raw"] = raw.map(|raw| base64::engine::general_purpose::STANDARD.encode(raw)).into();
            row["extra"] = serde_json::json!({"x": [1, null, "ü"]});
            row["kind"] = seen.map(|seen| if seen { "SHORT" } else { "FEATURE" }).into();
            row
        })
    }

    fn export(batch: &RecordBatch, format: ExportFormat) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("out");
        let types = film().targets.iter().map(|target| Some(target.data_type.clone())).collect();
        let stream = Box::pin(stream::iter([Ok(batch.clone())]));
        let rows = Rows { schema: batch.schema(), types, stream };
        let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("runtime");
        let report =
            runtime.block_on(write(rows, format, ExportSink::File(path.clone()), &mut |_| ()));
        let bytes = std::fs::read(&path).expect("exported");
        assert_eq!(report.expect("exported").bytes, bytes.len() as u64);
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_format_reads_back_what_it_wrote(rows in proptest::collection::vec(row(), 1..5)) {
            let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
            let first = read(lines, &default()).expect("read");
            prop_assert_eq!(&first[0].rejects, &[]);
            let batch = &first[0].batch;
            for (name, format) in ExportFormat::NAMES {
                let again = read(export(batch, format), &default()).expect(name);
                prop_assert_eq!(&again[0].rejects, &[], "{}", name);
                prop_assert_eq!(&again[0].batch, batch, "{}", name);
            }
            let titles = batch.column_by_name("title").expect("title").as_string::<i32>();
            prop_assert_eq!(titles.value(0), rows[0]["title"].as_str().expect("text"));
        }
    }
}
