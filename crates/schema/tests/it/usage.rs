//! Whom a change hurts, by what was asked.

use schema::load::Sources;
use schema::plan::plan;
use schema::usage::{Operation, Usage, Weights, weigh};
use schema::{Schema, compile};

const OLD: &str = "
    enum Kind { LONG SHORT }
    type Film @key(fields: \"id\") @table {
      id: ID!
      title: String!
      note: String
      kind: Kind
      director: Person @ref(by: \"directorId\")
      directorId: ID
    }
    type Person @key(fields: \"id\") @table(plural: \"people\") { id: ID! name: String! }
";

fn schema_of(text: &str) -> Schema {
    let text = format!("extend schema @module(name: \"catalog\", owner: \"core\")\n{text}");
    let sources = Sources::from_texts([("catalog.graphql", text)]);
    compile(&sources).unwrap_or_else(|faults| panic!("{}", faults.render(&sources, false)))
}

fn asked(client: &str, operation: &str, requests: u64, coordinates: &[&str]) -> Operation {
    let (client, version) = client.split_once(' ').unwrap_or((client, ""));
    Operation {
        client: client.into(),
        version: version.into(),
        operation: operation.into(),
        requests,
        days_ago: 0,
        coordinates: coordinates.iter().map(|one| (*one).to_owned()).collect(),
    }
}

fn usage() -> Usage {
    let operations = vec![
        asked("web 3.1", "Home", 1200, &["Query.films", "Film.note", "Film.title"]),
        asked("web 3.1", "Titles", 4, &["Query.films", "Film.note"]),
        asked("web 3.0", "", 1, &["Query.films", "Film.title", "Film.kind", "Kind"]),
        asked("etl", "", 7, &["Query.films", "Query.films.where", "FilmWhere", "Film.id"]),
        asked(
            "app",
            "Add",
            3,
            &["Mutation.createFilm", "Mutation.createFilm.input", "FilmInput.id"],
        ),
        asked("people", "", 9, &["Query.people", "Person.name", "Query.people.first"]),
    ];
    Usage { operations, days: 30 }
}

/// The change of a path from the old text to the new one, as it is told.
fn told(new: &str, path: &str) -> Option<String> {
    let (old, new) = (schema_of(OLD), schema_of(new));
    let plan = plan(&old, &new).unwrap();
    let weights = weigh(&old, &new, &usage());
    assert_eq!(weights.of.len(), plan.changes.len());
    let position = plan.changes.iter().position(|change| change.path == path);
    let position = position.unwrap_or_else(|| panic!("{:#?}", plan.changes));
    let told = weights.told(position);
    if let Some(told) = &told {
        assert!(plan.render_weighed(false, &weights).contains(told));
    }
    told
}

#[test]
fn a_field_that_goes_is_weighed_by_those_who_read_it_or_may_filter_by_it() {
    let told = told(&OLD.replace("note: String\n", ""), "Film.note");
    let expected = "used: 1,211 requests in 30 days by web 3.1 (Home, Titles), etl";
    assert_eq!(told.as_deref(), Some(expected));
}

#[test]
fn a_value_that_goes_is_weighed_by_those_who_may_see_or_give_it() {
    let told = told(&OLD.replace("LONG SHORT", "LONG"), "Kind.SHORT");
    // `FilmWhere` in a variable may hold it.
    assert_eq!(told.as_deref(), Some("used: 8 requests in 30 days by etl, web 3.0"));
}

#[test]
fn what_must_be_given_from_now_on_is_weighed_by_all_who_give_something() {
    let new = OLD.replace("note: String\n", "note: String!\n");
    let told = told(&new, "Film.note").unwrap();
    assert!(told.contains("app (Add)"), "{told}");
    assert!(!told.contains("people"), "{told}");
}

#[test]
fn what_nobody_used_is_said_to_be_unused_and_what_hurts_nobody_is_not_told() {
    let new = OLD.replace("name: String! }", "name: String! nick: String }");
    assert_eq!(told(&new, "Person.nick"), None);
    let with = OLD.replace("name: String! }", "name: String! nick: String }");
    let (old, new) = (schema_of(&with), schema_of(OLD));
    let weights = weigh(&old, &new, &usage());
    let plan = plan(&old, &new).unwrap();
    let position = plan.changes.iter().position(|change| change.path == "Person.nick").unwrap();
    assert_eq!(weights.told(position).as_deref(), Some("used: by nobody in 30 days"));
    assert!(!weights.is_used(position));
    // Without statistics nothing is known to be unused.
    let nothing = weigh(&old, &new, &Usage::default());
    assert!(nothing.is_used(position));
    assert_eq!(nothing.told(position), None);
}

#[test]
fn a_type_that_goes_is_weighed_by_all_who_use_anything_of_it() {
    let new = OLD.replace("director: Person @ref(by: \"directorId\")\n", "").replace(
        "type Person @key(fields: \"id\") @table(plural: \"people\") { id: ID! name: String! }",
        "",
    );
    assert_eq!(told(&new, "Person").as_deref(), Some("used: 9 requests in 30 days by people"));
}

#[test]
fn weights_of_nothing_say_nothing() {
    assert_eq!(Weights::default().told(0), None);
}
