//! Proposed modules: one as written down, and the property that all of them compile.

use frame::{DataType, Field};
use proptest::prelude::*;
use schema::compile;
use schema::load::Sources;
use schema::propose::{ColumnProfile, FileKind, FileProfile, Proposal, Sketch, propose};

fn column(header: &str, data_type: Option<DataType>, values: &[&str]) -> ColumnProfile {
    let mut sketch = Sketch::default();
    values.iter().filter(|value| !value.is_empty()).for_each(|value| sketch.insert(value));
    let lengths = || values.iter().map(|value| value.chars().count() as u64);
    ColumnProfile {
        header: header.into(),
        data_type,
        nulls: values.iter().filter(|value| value.is_empty()).count() as u64,
        sketch,
        min: values.iter().min().map(|value| (*value).into()),
        max: values.iter().max().map(|value| (*value).into()),
        longest: lengths().max().unwrap_or(0),
        characters: lengths().sum(),
        with_spaces: values.iter().filter(|value| value.contains(' ')).count() as u64,
        ascending: values.is_sorted(),
    }
}

fn file(name: &str, rows: u64, bytes: u64, columns: Vec<ColumnProfile>) -> FileProfile {
    FileProfile { file: name.into(), kind: FileKind::Rows, rows, bytes, columns }
}

/// A proposal compiles without a single finding.
fn assert_compiles(proposal: &Proposal) {
    let sources = Sources::from_texts([("data.graphql", proposal.text.as_str())]);
    if let Err(faults) = compile(&sources) {
        panic!("{}\n{}", faults.render(&sources, false), proposal.text);
    }
}

#[test]
fn films_and_ratings_are_recognised() {
    let int = || Some(DataType::Int);
    let text = || Some(DataType::String);
    let movies = file(
        "ml/movies.csv",
        4,
        200,
        vec![
            column("movieId", int(), &["1", "2", "3", "4"]),
            column("Title", text(), &["Toy Story (1995)", "Heat (1995)", "Ran (1985)", "M (1931)"]),
            column(
                "release date",
                Some(DataType::Date),
                &["1995-01-01", "1995-12-15", "", "1931-05-11"],
            ),
            column("notes", None, &["", "", "", ""]),
        ],
    );
    let users = file(
        "ml/users.jsonl",
        3,
        100,
        vec![
            column("id", int(), &["7", "8", "9"]),
            column(
                "address",
                Some(DataType::Struct(vec![
                    Field::new("zip code", DataType::String, true),
                    Field::new(
                        "tags",
                        DataType::List { item: Box::new(DataType::String), nullable: false },
                        false,
                    ),
                ])),
                &["{}", "{}", "{}"],
            ),
            column(
                "price",
                Some(DataType::Decimal { precision: 9, scale: 2 }),
                &["1.10", "2.20", "3.30"],
            ),
        ],
    );
    let ratings = file(
        "ml/ratings.csv",
        2_000_000,
        1 << 30,
        vec![
            column("userId", int(), &["7", "8", "9", "7", "7"]),
            column("movieId", int(), &["1", "1", "2", "3", "3"]),
            column("rating", Some(DataType::Float), &["3.5", "4", "5", "1", "2"]),
            column(
                "at",
                Some(DataType::DateTime),
                &["2019-01-01T00:00:00Z", "2020-01-01T00:00:00Z"],
            ),
        ],
    );
    let photos = FileProfile {
        file: "ml/posters/".into(),
        kind: FileKind::Images { in_folders: true },
        rows: 20,
        bytes: 5 << 20,
        columns: Vec::new(),
    };
    let proposal = propose(&[movies, users, ratings, photos]);
    assert_compiles(&proposal);
    insta::assert_snapshot!(proposal.text);
    let types: Vec<_> = proposal.types.iter().map(|found| found.type_name.as_str()).collect();
    assert_eq!(types, ["Movie", "User", "Rating", "Poster"]);
    let (_, field) = &proposal.types[0].fields[2];
    assert_eq!(field, "releaseDate");
}

#[test]
fn values_that_do_not_overlap_are_no_reference() {
    let films = |values: &[&str]| {
        let ids = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
        propose(&[
            file("films.csv", 10, 1, vec![column("id", Some(DataType::Int), &ids)]),
            file(
                "plays.csv",
                values.len() as u64,
                1,
                vec![
                    column("filmId", Some(DataType::Int), values),
                    column("n", Some(DataType::Float), values),
                ],
            ),
        ])
        .text
        .contains("@ref")
    };
    assert!(films(&["1", "2", "2"]));
    assert!(films(&["1", "2", "3", "4", "5", "6", "7", "8", "9", "11"]), "nine of ten");
    assert!(!films(&["1", "2", "3", "4", "5", "6", "7", "8", "12", "11"]), "eight of ten");
}

fn any_type() -> impl Strategy<Value = Option<DataType>> {
    let leaf = prop_oneof![
        Just(DataType::Boolean),
        Just(DataType::Int),
        Just(DataType::Long),
        Just(DataType::Float),
        (0_u8..40, 0_u8..40).prop_map(|(precision, scale)| DataType::Decimal { precision, scale }),
        Just(DataType::String),
        Just(DataType::Bytes),
        Just(DataType::Date),
        Just(DataType::DateTime),
        Just(DataType::Uuid),
        Just(DataType::Json),
        (0_u32..20_000).prop_map(|dimension| DataType::Vector { dimension }),
    ];
    let nested = leaf.prop_recursive(6, 24, 4, |inner| {
        prop_oneof![
            (inner.clone(), any::<bool>())
                .prop_map(|(item, nullable)| DataType::List { item: Box::new(item), nullable }),
            prop::collection::vec((any_name(), inner, any::<bool>()), 0..4).prop_map(|fields| {
                let field = |(name, data_type, nullable): (String, DataType, bool)| {
                    Field::new(name, data_type, nullable)
                };
                DataType::Struct(fields.into_iter().map(field).collect())
            }),
        ]
    });
    prop::option::weighted(0.9, nested)
}

/// Names as they stand in files: good ones, ones that the API uses itself, and anything at all.
fn any_name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "id",
        "ID",
        "Id",
        "film_id",
        "filmId",
        "userId",
        "title",
        "and",
        "or",
        "not",
        "asOf",
        "key",
        "__typename",
        "class",
        "type",
        "input",
        "films",
        "film",
        "create",
        "1st",
        "ü",
        "",
        " ",
    ]);
    prop_oneof![3 => known.prop_map(str::to_owned), 1 => "\\PC{0,40}"]
}

fn any_file_name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "films.csv",
        "film.csv",
        "Films.json",
        "users.csv",
        "user_films.csv",
        "query.csv",
        "filmWhere.csv",
        "film_input.csv",
        "data.csv",
        "sheep.csv",
        "media.csv",
        "string.csv",
        "page_info.csv",
        "createFilm.csv",
        "film_list.csv",
        "a\nb.csv",
        ".csv",
    ]);
    prop_oneof![3 => known.prop_map(str::to_owned), 1 => "\\PC{0,80}"]
}

fn any_column() -> impl Strategy<Value = ColumnProfile> {
    let values = prop::collection::vec("[0-9]{0,2}", 0..12);
    (any_name(), any_type(), values, any::<bool>(), 0_u64..60).prop_map(
        |(header, data_type, values, dates, spaces)| {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let mut made = column(&header, data_type, &values);
            made.with_spaces = spaces;
            if dates {
                made.min = Some("2020-01-01".into());
                made.max = Some("2024-01-01".into());
            }
            made
        },
    )
}

fn any_file() -> impl Strategy<Value = FileProfile> {
    let columns = prop::collection::vec(any_column(), 0..6);
    let kind = prop_oneof![
        5 => Just(FileKind::Rows),
        1 => any::<bool>().prop_map(|in_folders| FileKind::Images { in_folders }),
    ];
    let rows = prop_oneof![0_u64..13, Just(5_000_000_u64)];
    (any_file_name(), kind, rows, 0_u64..(1 << 40), columns).prop_map(
        |(name, kind, rows, bytes, columns)| FileProfile {
            file: name.into(),
            kind,
            rows,
            bytes,
            columns,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_proposal_compiles(files in prop::collection::vec(any_file(), 1..5)) {
        prop_assume!(files.iter().any(|file| !file.columns.is_empty() || file.kind != FileKind::Rows));
        assert_compiles(&propose(&files));
    }
}
