//! Small schemas at the edge of what is allowed, which must be accepted.

use schema::{Severity, Sources};

fn check(body: &str) -> schema::Schema {
    let text = format!("extend schema @module(name: \"m\", owner: \"t\")\n{body}");
    let sources = Sources::from_texts([("m.graphql", text)]);
    let found = schema::inspect(&sources);
    let errors =
        found.diagnostics.items.iter().filter(|item| item.severity() == Severity::Error).count();
    assert_eq!(errors, 0, "{}", found.diagnostics.render(&sources, false));
    let schema = found.schema.unwrap();
    // Whatever is accepted can be written down and read again.
    let canonical = schema::canonical(&schema);
    let again = schema::compile(&canonical)
        .unwrap_or_else(|found| panic!("{}", found.render(&canonical, false)));
    assert_eq!(again.fingerprint, schema.fingerprint);
    schema
}

#[test]
fn a_type_may_refer_to_itself_and_two_types_to_each_other() {
    check(
        r#"type A @key(fields: "id") @table { id: ID! parentId: ID parent: A @ref(by: "parentId") children: [A!]! @ref(by: "parentId") bId: Long! b: B! @ref(by: "bId") }
           type B @key(fields: "id") @table { id: Long! manyA: [A!] @ref(by: "bId", order: "id desc") }"#,
    );
}

#[test]
fn every_scalar_may_be_stored() {
    let schema = check(
        r#"scalar DateTime
           enum E { X Y }
           type T @key(fields: "a, b") @table { a: UUID! b: E! c: Boolean d: Int e: Long f: Float
             g: Decimal @column(type: "Decimal( 38 , 0 )") h: Date i: DateTime j: Bytes k: JSON
             l: Vector @column(type: "vector(3)") m: [E] n: [ID!]! }"#,
    );
    assert_eq!(schema.type_named("T").unwrap().1.table().unwrap().key.len(), 2);
}

#[test]
fn defaults_are_constants_of_the_columns_type() {
    check(
        r#"enum E { X Y }
           type T @table { a: Int! @column(default: "1 + 2") b: E @column(default: "'Y'")
             c: Date @column(default: "'2024-02-29'") d: Long @column(default: "-5000000000")
             e: Float @column(default: "1") f: Boolean! @column(default: "NOT FALSE")
             g: String @column(default: "NULL") h: String @column(default: "'it''s'") }"#,
    );
}

#[test]
fn derived_fields_read_media_embedded_objects_and_each_other() {
    check(
        r#"type P { x: Float! y: Float }
           type T @table { p: P! m: Media @media n: Int! tags: [String!]!
             ratio: Float @derived(expr: "m.width / CAST(m.height AS Float)")
             money: Decimal! @derived(expr: "n * CAST('1.19' AS Decimal(4, 2))")
             far: Boolean! @derived(expr: "p.x > 10")
             tagged: Boolean! @derived(expr: "contains(tags, 'new') OR far")
             text: String! @derived(expr: "concat(CAST(n AS String), ' ', CAST(ratio AS String))") }"#,
    );
}

#[test]
fn weights_are_numbers_or_their_text_and_strings_may_be_blocks() {
    let schema = check(
        "type T @key(fields: \"id\") @table { id: ID! a: Int @cost(weight: \"2.5\")\n d: Int @derived(expr: \"\"\"\n  a +\n  1\n  \"\"\") }",
    );
    let (_, object) = schema.type_named("T").unwrap();
    assert_eq!(object.fields["a"].cost.unwrap().weight, 2.5);
}

#[test]
fn the_examples_compile_without_a_warning() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut found = 0;
    for example in std::fs::read_dir(examples).unwrap() {
        let folder = example.unwrap().path().join("schema");
        if folder.is_dir() {
            found += 1;
            let sources = schema::read_folder(&folder).unwrap();
            let inspection = schema::inspect(&sources);
            let said = inspection.diagnostics.render(&sources, false);
            assert!(inspection.schema.is_some() && said.is_empty(), "{said}");
        }
    }
    assert!(found > 0);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let text = "extend schema @module(name: \"m\", owner: \"t\")\n\"A film.\"\ntype T @table {\n  a: Int\n}\n";
    let of = |text: String| {
        let sources = Sources::from_texts([("m.graphql", text)]);
        match schema::compile(&sources) {
            Ok(schema) => schema.fingerprint,
            Err(found) => panic!("{}", found.render(&sources, false)),
        }
    };
    let plain = of(text.to_owned());
    assert_eq!(of(format!("\u{feff}{text}")), plain);
    assert_eq!(of(text.replace('\n', "\r\n")), plain);
}

#[test]
fn a_refused_schema_is_an_error_of_the_house() {
    let error = |body: &str| {
        let text = format!("extend schema @module(name: \"m\", owner: \"t\")\n{body}");
        base::Error::from(schema::compile(&Sources::from_texts([("m.graphql", text)])).unwrap_err())
    };
    let unknown = error("type T @tabel { a: Int }\ntype U @tabel { a: Int }");
    assert_eq!(unknown.kind(), base::Kind::InvalidInput);
    assert_eq!(unknown.message(), "unknown directive `@tabel` (and 1 more errors)");
    assert_eq!(unknown.place().unwrap().to_string(), "m.graphql:2:9");
    assert_eq!(unknown.hint_text(), Some("did you mean `@table`?"));
    assert_eq!(error("type T @table @sealed { a: Int }").kind(), base::Kind::Unsupported);
}
