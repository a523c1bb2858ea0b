//! Random documents: the types of a client take every answer of an engine to them.

use std::cell::RefCell;

use mesh::documents::DocumentFile;
use proptest::prelude::*;
use schema::generate::client::{Client, Sending, Shape};

use super::accept::accept;
use super::model;
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
    let subject = Subject::new();
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
