//! Random documents: the types of a client take every answer of an engine to them.

use std::cell::RefCell;

use mesh::documents::DocumentFile;
use proptest::prelude::*;
use schema::generate::client::{self as generated, Client, Sending, Shape};

use super::accept::accept;
use super::{compile, model};
use crate::random::{SDL, Subject};

/// What the documents of a run had, so that the property is known to say something.
#[derive(Default)]
struct Seen {
    variants: usize,
    optional: usize,
    fragments: usize,
    objects: usize,
}

impl Seen {
    fn note(&mut self, client: &Client) {
        let any = |is: &dyn Fn(&Shape) -> bool| usize::from(client.shapes.iter().any(is));
        self.variants += any(&|shape| !shape.variants.is_empty());
        self.optional += any(&|shape| shape.base.fields.iter().any(|field| field.optional));
        self.fragments += any(&|shape| !shape.base.fragments.is_empty());
    }
}

fn check(subject: &Subject, seed: u64, seen: &mut Seen) -> Result<(), String> {
    let (text, variables) = subject.document(seed);
    let text = match text.strip_prefix("query") {
        Some(rest) => format!("query Drawn{rest}"),
        None => format!("query Drawn {text}"),
    };
    let file = DocumentFile { name: "drawn".to_owned(), text: text.clone() };
    let client = model(SDL, &[file], Sending::Text);
    let operation = &client.operations[0];
    let answer = subject.answer(seed, &operation.text, &variables);
    seen.note(&client);
    if answer["data"].is_null() {
        return Ok(());
    }
    seen.objects += usize::from(answer["data"].to_string().contains("__typename"));
    accept(&client, operation.shape, &answer["data"]).map_err(|error| {
        format!("{error}: seed {seed}\n{text}\n{}\n{variables:?}\n{answer}", operation.text)
    })
}

#[test]
fn the_types_of_random_documents_take_their_answers() {
    let subject = Subject::new(false);
    let seen = RefCell::new(Seen::default());
    proptest!(ProptestConfig::with_cases(600), |(seed in any::<u64>())| {
        let checked = check(&subject, seed, &mut seen.borrow_mut());
        prop_assert!(checked.is_ok(), "{}", checked.unwrap_err());
    });
    let seen = seen.into_inner();
    for (what, count) in [
        ("variants", seen.variants),
        ("optional fields", seen.optional),
        ("fragments", seen.fragments),
        ("objects that say their type", seen.objects),
    ] {
        assert!(count >= 20, "only {count} documents with {what}");
    }
}

/// One program of many random documents, each with fragments of its own.
fn program(subject: &Subject, seeds: std::ops::Range<u64>) -> Client {
    let draw = |seed: u64| {
        let (mut text, _) = subject.document(seed);
        for (fragment, name) in ["a", "b", "c", "d"].iter().enumerate() {
            for before in ["...F", "fragment F"] {
                let from = format!("{before}{fragment} ");
                text = text.replace(&from, &format!("{before}{name}{seed} "));
            }
        }
        let rest = text.strip_prefix("query").unwrap_or(&text);
        DocumentFile { name: format!("{seed}"), text: format!("query Drawn{seed} {rest}") }
    };
    let files: Vec<DocumentFile> = seeds.map(draw).collect();
    model(SDL, &files, Sending::Text)
}

#[test]
fn what_is_generated_for_random_documents_compiles() {
    let client = program(&Subject::new(false), 0..30);
    assert!(client.fragments.len() > 10 && client.shapes.len() > 100);
    let workshop = tempfile::tempdir().expect("a folder");
    for file in [generated::typescript(&client), generated::python(&client)].concat() {
        std::fs::write(workshop.path().join(&file.path), &file.text).expect("written");
    }
    // What each program needs is there; that it compiles is all that is asked of it.
    for (name, text) in [
        ("node.d.ts", ""),
        ("package.json", "{\"type\": \"module\"}"),
        ("check.ts", "import { Client } from \"./operations.js\";\nvoid Client;\n"),
        ("check.py", "import operations\n\noperations.Client(\"http://nowhere\")\n"),
    ] {
        std::fs::write(workshop.path().join(name), text).expect("written");
    }
    compile::typescript(workshop.path());
    compile::python(workshop.path());
}
