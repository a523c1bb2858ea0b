//! The API of a hand-made schema: its golden SDL, that it is valid GraphQL, its map and its clashes.

use base::{Place, Team};
use frame::{DataType, Expr, Value};
use indexmap::IndexMap;

use super::*;
use crate::{
    Argument, ColumnSpec, Derived, EnumType, EnumValue, FieldDef, ListSize, NearestSpec,
    ObjectKind, OrderBy, Policy, Reference, TableFormat, TableSpec, Was,
};

fn place() -> Place {
    Place { file: "catalog.graphql".to_owned(), line: 1, column: 1 }
}

fn column(data_type: DataType) -> ColumnSpec {
    ColumnSpec {
        column: "c".into(),
        data_type,
        enum_name: None,
        embedded: None,
        is_id: false,
        default: None,
    }
}

fn field(name: &str, kind: FieldKind, nullable: bool) -> FieldDef {
    FieldDef {
        name: name.into(),
        description: None,
        kind,
        nullable,
        arguments: Vec::new(),
        was: Vec::new(),
        search: false,
        vector: None,
        cost: None,
        list_size: None,
        deprecated: None,
        policy: Policy::default(),
        place: place(),
    }
}

fn stored(name: &str, data_type: DataType, nullable: bool) -> FieldDef {
    field(name, FieldKind::Column(column(data_type)), nullable)
}

fn id(name: &str) -> FieldDef {
    let column = ColumnSpec { is_id: true, ..column(DataType::String) };
    field(name, FieldKind::Column(column), false)
}

fn object(name: &str, kind: ObjectKind, fields: Vec<FieldDef>) -> ObjectType {
    ObjectType {
        name: name.into(),
        description: None,
        module: 0,
        owner: Team::new("catalog"),
        kind,
        fields: fields.into_iter().map(|field| (field.name.clone(), field)).collect(),
        was: Vec::new(),
        policy: Policy::default(),
        place: place(),
    }
}

fn table(plural: Option<&str>, key: &[u32]) -> ObjectKind {
    ObjectKind::Table(TableSpec {
        format: TableFormat::Iceberg,
        name: plural.unwrap_or("t").into(),
        plural: plural.map(Into::into),
        relation: None,
        elsewhere: false,
        key: key.iter().map(|id| FieldId(*id)).collect(),
        bucket: None,
        partition: Vec::new(),
        sort: Vec::new(),
        retain: None,
    })
}

fn film() -> ObjectType {
    let genres = ColumnSpec {
        enum_name: Some("Genre".into()),
        ..column(DataType::List { item: Box::new(DataType::String), nullable: false })
    };
    let studio = ColumnSpec {
        embedded: Some(TypeId(2)),
        ..column(DataType::Struct(vec![frame::Field::new("city", DataType::String, true)]))
    };
    let year = Expr::field("year", DataType::Int);
    let age =
        Expr::literal(Value::Int(2026), DataType::Int).predicate(frame::BinaryOp::Subtract, year);
    let age = Expr { data_type: DataType::Int, ..age };
    let derived = Derived {
        inputs: vec![FieldId(2)],
        expr: age,
        text: "2026 - year".into(),
        beyond: None,
        propagates: false,
    };
    let mut title = stored("title", DataType::String, false);
    title.search = true;
    title.description = Some("What the poster \"says\"".into());
    title.was = vec![Was { name: "name".into(), until: Some("2027-03-01".into()) }];
    let mut similar = field("similar", FieldKind::Nearest(NearestSpec { on: FieldId(5) }), false);
    similar.arguments = vec![Argument { name: "first".into(), default: Some(10) }];
    similar.cost = Some(crate::Cost { weight: 3.0 });
    similar.list_size = Some(ListSize {
        slicing_arguments: vec!["first".into()],
        require_one_slicing_argument: true,
        ..ListSize::default()
    });
    let mut film = object(
        "Film",
        table(Some("films"), &[0]),
        vec![
            id("id"),
            title,
            stored("year", DataType::Int, true),
            field("genres", FieldKind::Column(genres), false),
            field("studio", FieldKind::Column(studio), true),
            field("poster", FieldKind::Media(column(Schema::media_type())), true),
            field("age", FieldKind::Derived(derived), true),
            similar,
            field(
                "plays",
                FieldKind::Reference(Reference {
                    target: TypeId(1),
                    by: FieldId(0),
                    many: true,
                    order: vec![OrderBy { field: FieldId(1), descending: true }],
                }),
                false,
            ),
        ],
    );
    film.was = vec![Was { name: "Movie".into(), until: Some("2027-03-01".into()) }];
    film.description = Some("A film.\nShown in cinemas.".into());
    film
}

fn schema() -> Schema {
    let play = object(
        "Play",
        table(None, &[]),
        vec![
            id("filmId"),
            stored("at", DataType::DateTime, false),
            stored("price", DataType::Decimal { precision: 10, scale: 2 }, true),
        ],
    );
    let studio =
        object("Studio", ObjectKind::Embedded, vec![stored("city", DataType::String, true)]);
    let types = [film(), play, studio];
    let genre = EnumType {
        name: "Genre".into(),
        description: None,
        values: vec!["DRAMA".into(), "COMEDY".into()],
        details: vec![
            EnumValue { description: Some("Nobody laughs.".into()), deprecated: None },
            EnumValue { description: None, deprecated: Some("seldom \"good\"".into()) },
        ],
        place: place(),
    };
    Schema {
        modules: Vec::new(),
        types: types.into_iter().map(|object| (object.name.clone(), object)).collect(),
        enums: IndexMap::from([(genre.name.clone(), genre)]),
        services: Vec::new(),
        graph: None,
        holder: crate::Holder::Lake,
        fingerprint: "f".into(),
    }
}

#[test]
fn the_api_of_a_schema_is_golden() {
    insta::assert_snapshot!(api_sdl(&schema()));
}

#[test]
fn the_api_is_valid_graphql() {
    for schema in [schema(), Schema { types: IndexMap::new(), ..schema() }] {
        let sdl = api_sdl(&schema);
        if let Err(errors) = apollo_compiler::Schema::parse_and_validate(sdl, "api.graphql") {
            panic!("{}", errors.errors);
        }
    }
}

#[test]
fn names_of_the_api_lead_back_to_the_model() {
    let api = Api::new(&schema());
    assert_eq!(api.query("film"), Some(QueryField::ByKey(TypeId(0))));
    assert_eq!(api.query("movie"), Some(QueryField::ByKey(TypeId(0))));
    assert_eq!(api.root_until("movie").map(|until| &**until), Some("2027-03-01"));
    assert_eq!((api.root_until("films"), api.root_until("createFilms")), (None, None));
    assert_eq!(api.query("playList"), Some(QueryField::List(TypeId(1))));
    assert_eq!(api.query("play"), None);
    assert_eq!(api.query("filmsAggregate"), Some(QueryField::Aggregate(TypeId(0))));
    assert_eq!(api.query("playListAggregate"), Some(QueryField::Aggregate(TypeId(1))));
    let sums = ApiObject::Aggregate(TypeId(1), AggregatePart::Sums);
    assert_eq!(api.object("PlayAggregateSums"), Some(sums));
    let many = MutationField { type_id: TypeId(1), verb: Verb::Append, many: true };
    assert_eq!(api.mutation("appendPlayList"), Some(many));
    assert_eq!(api.mutation("createPlay"), None);
    assert_eq!(api.object("FilmNeighbour"), Some(ApiObject::Neighbour(TypeId(0))));
    let similar = api.field(TypeId(0), "similarEdges").expect("a sibling");
    assert!(similar.neighbours);
    let name = api.field(TypeId(0), "name").expect("an earlier name");
    assert_eq!((name.field, name.until.as_deref()), (FieldId(1), Some("2027-03-01")));
}

/// The messages of the clashes of a schema with these types.
fn check(types: Vec<ObjectType>, expected: &[&str]) {
    let types = types.into_iter().map(|object| (object.name.clone(), object)).collect();
    let found = clashes(&Schema { types, ..schema() });
    assert_eq!(found.iter().map(|clash| clash.message.as_str()).collect::<Vec<_>>(), expected);
}

#[test]
fn clashing_names_are_found() {
    check(vec![film()], &[]);
    check(
        vec![
            film(),
            object("FilmEdge", ObjectKind::Embedded, vec![stored("x", DataType::Int, true)]),
        ],
        &["the API of `Film` needs the type `FilmEdge`, which is taken by `FilmEdge`"],
    );
    check(
        vec![
            film(),
            object("FilmHaving", ObjectKind::Embedded, vec![stored("x", DataType::Int, true)]),
        ],
        &["the API of `Film` needs the type `FilmHaving`, which is taken by `FilmHaving`"],
    );
    check(
        vec![film(), object("Play", table(Some("filmsAggregate"), &[]), vec![id("filmId")])],
        &["the API of `Play` needs the query field `filmsAggregate`, which is taken by `Film`"],
    );
    check(
        vec![object("PageInfo", ObjectKind::Embedded, vec![stored("or", DataType::Int, true)])],
        &[
            "the type name `PageInfo` is taken by every API",
            "the API uses the name `or` in `PageInfo` itself",
        ],
    );
    check(
        vec![
            object("Film", table(Some("person"), &[0]), vec![id("id")]),
            object("Person", table(None, &[0]), vec![id("asOf")]),
        ],
        &[
            "a key field cannot be called `asOf`: it is an argument",
            "the API of `Person` needs the query field `person`, which is taken by `Film`",
            "the API of `Person` needs the mutation field `createPerson`, which is taken by `Film`",
            "the API of `Person` needs the mutation field `upsertPerson`, which is taken by `Film`",
            "the API of `Person` needs the mutation field `updatePerson`, which is taken by `Film`",
            "the API of `Person` needs the mutation field `deletePerson`, which is taken by `Film`",
        ],
    );
}
