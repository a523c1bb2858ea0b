//! The schema of the design, as far as it is enforced, compiled into the model.

use std::time::Duration;

use frame::{DataType, Node};
use schema::{FieldKind, Metric, ObjectKind, PartitionTransform, Schema, Sources, TableFormat};

pub(crate) const CATALOG: &str = r#"
extend schema @module(name: "catalog", owner: "catalog")

"A film that people play."
type Film @key(fields: "id")
  @table(format: ICEBERG, plural: "films", bucket: {by: "id", count: 16}, sort: "year desc, title", retain: "30d") {
  id: ID!
  "As it was released."
  title: String! @search
  year: Int
  genres: [String!]!
  price: Decimal @column(name: "price_eur", type: "decimal(10,2)", default: "9.99")
  mood: Mood
  makers: [Maker!]
  poster: Media @media @vector(model: "image-small")
  plot: String @search @vector(model: "text-small", metric: DOT)
  taste: Vector @vector(dimension: 8, metric: L2)
  ageAtRelease: Int @derived(from: "{ year }", expr: "2026 - year")
  isOld: Boolean! @derived(expr: "COALESCE(ageAtRelease > 30, FALSE)")
  similar(first: Int = 10): [Film!]! @nearest(on: "poster") @cost(weight: 3) @listSize(slicingArguments: ["first"])
  premiere: Date @was(name: "released", until: "2027-01-31") @deprecated(reason: "see `year`")
}

enum Mood { "Bright." LIGHT DARK @deprecated }

type Maker { name: String! role: String }
"#;

pub(crate) const PEOPLE: &str = r#"
extend schema @module(name: "people", owner: "accounts")
type User @key(fields: "id") @table(format: ICEBERG, plural: "users", bucket: {by: "id", count: 16}) {
  id: ID!
  email: String
  plays(last: Int = 50): [Play!]! @ref(by: "userId", order: "at desc")
}
type Play @table(format: ICEBERG, plural: "plays", partition: "day(at), truncate(filmId, 4)", bucket: {by: "filmId", count: 16}) @owner(team: "playback") @was(name: "View") {
  userId: ID!  filmId: ID!  at: DateTime!  seconds: Int!  film: Film! @ref(by: "filmId")
}
type Clip @key(fields: "id") @table(format: LANCE) { id: Long! clip: Media! @media }
"#;

pub(crate) fn sources() -> Sources {
    Sources::from_texts([("people.graphql", PEOPLE), ("catalog.graphql", CATALOG)])
}

fn compiled() -> Schema {
    let sources = sources();
    match schema::compile(&sources) {
        Ok(schema) => schema,
        Err(diagnostics) => panic!("{}", diagnostics.render(&sources, false)),
    }
}

#[test]
fn tables_have_their_layout() {
    let schema = compiled();
    let modules: Vec<_> = schema.modules.iter().map(|m| (&*m.name, m.owner.as_str())).collect();
    assert_eq!(modules, [("catalog", "catalog"), ("people", "accounts")]);

    let (_, film) = schema.type_named("Film").unwrap();
    let table = film.table().unwrap();
    assert_eq!((&*table.name, table.plural.as_deref()), ("films", Some("films")));
    assert_eq!(table.format, TableFormat::Iceberg);
    assert_eq!(film.field(table.key[0]).name.as_ref(), "id");
    assert_eq!(table.bucket.as_ref().unwrap().count, 16);
    assert_eq!(table.retain, Some(Duration::from_secs(30 * 86_400)));
    let sort: Vec<_> =
        table.sort.iter().map(|o| (&*film.field(o.field).name, o.descending)).collect();
    assert_eq!(sort, [("year", true), ("title", false)]);

    let (_, play) = schema.type_named("Play").unwrap();
    assert_eq!(play.owner.as_str(), "playback");
    assert_eq!(play.was[0].name.as_ref(), "View");
    let table = play.table().unwrap();
    assert!(table.key.is_empty());
    let partition: Vec<_> = table.partition.iter().map(|part| part.transform).collect();
    assert_eq!(partition, [PartitionTransform::Day, PartitionTransform::Truncate(4)]);

    let (_, clip) = schema.type_named("Clip").unwrap();
    assert_eq!(clip.table().unwrap().name.as_ref(), "clip");
    assert_eq!(schema.table_named("plays").unwrap().1.name.as_ref(), "Play");
    assert_eq!(schema.object(schema.type_named("Maker").unwrap().0).kind, ObjectKind::Embedded);
}

#[test]
fn fields_have_their_kinds_and_types() {
    let schema = compiled();
    let (film_id, film) = schema.type_named("Film").unwrap();
    let types: Vec<String> = film
        .columns()
        .map(|(field, column)| format!("{} {} {}", field.name, column.column, column.data_type))
        .filter(|text| !text.starts_with("poster"))
        .collect();
    assert_eq!(
        types,
        [
            "id id String",
            "title title String",
            "year year Int",
            "genres genres [String!]",
            "price price_eur Decimal(10, 2)",
            "mood mood String",
            "makers makers [{name: String!, role: String}!]",
            "plot plot String",
            "taste taste Vector(8)",
            "premiere premiere Date"
        ]
    );
    let field = |name: &str| &film.fields[name];
    assert!(field("id").column().unwrap().is_id);
    assert_eq!(field("mood").column().unwrap().enum_name.as_deref(), Some("Mood"));
    assert_eq!(
        field("makers").column().unwrap().embedded,
        Some(schema.type_named("Maker").unwrap().0)
    );
    let default = field("price").column().unwrap().default.as_ref().unwrap();
    let price = frame::Value::Decimal { unscaled: 999, scale: 2 };
    assert_eq!(default.node, Node::Literal(price));
    assert!(
        matches!(&field("poster").kind, FieldKind::Media(c) if c.data_type == Schema::media_type())
    );
    let poster = field("poster").vector.as_ref().unwrap();
    assert_eq!((poster.model.as_deref(), poster.dimension), (Some("image-small"), 256));
    assert_eq!(field("plot").vector.as_ref().unwrap().metric, Metric::Dot);
    assert_eq!(field("taste").vector.as_ref().unwrap().model, None);
    assert!(field("title").search && !field("year").search);

    let FieldKind::Derived(age) = &field("ageAtRelease").kind else { panic!() };
    assert_eq!(age.expr.data_type, DataType::Int);
    assert_eq!(film.field(age.inputs[0]).name.as_ref(), "year");
    let FieldKind::Nearest(nearest) = &field("similar").kind else { panic!() };
    assert_eq!(film.field(nearest.on).name.as_ref(), "poster");
    let similar = field("similar");
    assert_eq!((similar.arguments[0].default, similar.cost.unwrap().weight), (Some(10), 3.0));
    assert_eq!(similar.list_size.as_ref().unwrap().slicing_arguments[0].as_ref(), "first");
    assert_eq!(field("premiere").was[0].until.as_deref(), Some("2027-01-31"));
    assert_eq!(field("premiere").deprecated.as_deref(), Some("see `year`"));

    let (_, play) = schema.type_named("Play").unwrap();
    let FieldKind::Reference(film_ref) = &play.fields["film"].kind else { panic!() };
    assert_eq!((film_ref.target, film_ref.many), (film_id, false));
    assert_eq!(play.field(film_ref.by).name.as_ref(), "filmId");
    let (_, user) = schema.type_named("User").unwrap();
    let FieldKind::Reference(plays) = &user.fields["plays"].kind else { panic!() };
    assert!(plays.many && plays.order[0].descending);
    assert_eq!(play.field(plays.by).name.as_ref(), "userId");
}

#[test]
fn descriptions_and_places_are_kept() {
    let schema = compiled();
    let (_, film) = schema.type_named("Film").unwrap();
    assert_eq!(film.description.as_deref(), Some("A film that people play."));
    assert_eq!(film.place.to_string(), "catalog.graphql:5:6");
    assert_eq!(film.fields["title"].description.as_deref(), Some("As it was released."));
    assert_eq!(film.fields["title"].place.to_string(), "catalog.graphql:9:3");
    let mood = &schema.enums["Mood"];
    assert_eq!(mood.details[0].description.as_deref(), Some("Bright."));
    assert_eq!(mood.details[1].deprecated.as_deref(), Some("No longer supported"));
}

#[test]
fn the_schema_gives_its_sources_back_and_an_empty_one_is_a_schema() {
    assert_eq!(compiled().sources(), sources());
    let empty = schema::compile(&Sources::default()).unwrap();
    assert_eq!(empty.fingerprint, Schema::empty().fingerprint);
    assert_ne!(empty.fingerprint, compiled().fingerprint);
}

#[test]
fn the_canonical_text_compiles_to_the_same_schema() {
    let schema = compiled();
    let text = schema::canonical(&schema);
    let again = match schema::compile(&text) {
        Ok(schema) => schema,
        Err(diagnostics) => panic!("{}", diagnostics.render(&text, false)),
    };
    assert_eq!(again.fingerprint, schema.fingerprint);
    assert_eq!(schema::canonical(&again), text);
}

#[test]
fn fingerprints_of_deployed_schemas_do_not_move() {
    assert_eq!(
        compiled().fingerprint.as_ref(),
        "6358bbbac0cdca8c95bbf53aca8804e8f0570a158a8af48448a261a550befcfd"
    );
    // What `headwater init` writes, as deployed by all who began so.
    let text = r#"extend schema @module(name: "app", owner: "app")

"One note; rename the type, add fields, then run `headwater plan`."
type Note @key(fields: "id") @table(format: ICEBERG, plural: "notes") {
  id: ID!
  title: String! @search
  writtenAt: DateTime
}
"#;
    let schema = schema::compile(&Sources::from_texts([("app.graphql", text)])).unwrap();
    assert!(schema.fingerprint.starts_with("b209f05a40b2"), "{}", schema.fingerprint);
}

#[test]
fn the_fingerprint_sees_changes_and_not_how_they_are_written() {
    let fingerprint = |people: &str, catalog: &str, swap: bool| {
        let names = if swap { ["a.graphql", "b.graphql"] } else { ["b.graphql", "a.graphql"] };
        let sources = Sources::from_texts([(names[0], people), (names[1], catalog)]);
        schema::compile(&sources).unwrap().fingerprint
    };
    let original = fingerprint(PEOPLE, CATALOG, false);
    assert_eq!(original, compiled().fingerprint);
    assert_eq!(fingerprint(PEOPLE, CATALOG, true), original);
    let commented = format!("# hello\n{}", CATALOG.replace("  id: ID!", "  id:\n   ID!,  # key"));
    assert_eq!(fingerprint(PEOPLE, &commented, false), original);
    for (from, to) in [
        ("genres: [String!]!", "genres: [String!]"),
        ("count: 16", "count: 8"),
        ("2026 - year", "2027 - year"),
        ("As it was released.", "As it was."),
        ("LIGHT DARK", "DARK LIGHT"),
        ("weight: 3", "weight: 4"),
    ] {
        let changed = CATALOG.replace(from, to);
        assert_ne!(changed, CATALOG, "{from}");
        assert_ne!(fingerprint(PEOPLE, &changed, false), original, "{from}");
    }
}

const GUARDED: &str = r#"
extend schema @module(name: "people", owner: "accounts")
type User @key(fields: "id") @table @visible(to: ["support"], if: "id = viewer.id OR isPublic") {
  id: ID!
  isPublic: Boolean
  email: String @visible(if: "viewer.team = 'red'") @classified(as: "PII")
  phone: String! @visible(to: ["desk"], else: MASK)
  rank: Int! @scope(to: ["board", "hr"])
}
type Clip @key(fields: "id") @table @scope(to: ["editors"]) { id: Long! }
"#;

#[test]
fn policies_are_written_back_and_change_the_fingerprint() {
    let compile =
        |text: &str| schema::compile(&Sources::from_texts([("people.graphql", text)])).unwrap();
    let original = compile(GUARDED);
    let again = schema::compile(&schema::canonical(&original)).unwrap();
    assert_eq!(again.fingerprint, original.fingerprint);
    let policy = |schema: &Schema| {
        let user = &schema.types["User"];
        let email = &user.fields["email"].policy;
        (
            email.class.clone(),
            email.visible.clone().map(|visible| visible.text),
            user.policy.visible.clone().map(|visible| visible.to),
        )
    };
    assert_eq!(policy(&original).0.as_deref(), Some("PII"));
    assert_eq!(policy(&again).2, policy(&original).2);
    for (from, to) in [
        ("PII", "SECRET"),
        ("OR isPublic", "AND isPublic"),
        ("'red'", "'blue'"),
        ("\"support\"", "\"staff\""),
        ("\"board\", \"hr\"", "\"hr\""),
        (" @scope(to: [\"editors\"])", ""),
        (
            "String! @visible(to: [\"desk\"], else: MASK)",
            "String @visible(to: [\"desk\"], else: ERROR)",
        ),
        ("String! @visible(to: [\"desk\"], else: MASK)", "String @visible(to: [\"desk\"])"),
    ] {
        let changed = GUARDED.replace(from, to);
        assert_ne!(changed, GUARDED, "{from}");
        assert_ne!(compile(&changed).fingerprint, original.fingerprint, "{from}");
    }
}
