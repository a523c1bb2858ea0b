//! Descriptors of gRPC as data: the module that is proposed for each `.proto` of `tests/grpc`, and that it
//! compiles with the same descriptors.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schema::Sources;
use schema::propose::service::{ServiceFacts, from_descriptors};
use schema::protobuf::{Descriptors, text_of_set};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/grpc")
}

fn described(name: &str) -> Descriptors {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/grpc");
    let mut texts: HashMap<String, Arc<str>> = HashMap::new();
    for folder in [folder(), shared] {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("a file").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.ends_with(".proto") {
                texts.insert(name, std::fs::read_to_string(path).expect("a text").into());
            }
        }
    }
    Descriptors::of_protos(name, texts).unwrap_or_else(|fault| panic!("{fault:?}"))
}

/// What is proposed for a file, which must compile.
fn check(name: &str) {
    let facts =
        ServiceFacts { name: "films".to_owned(), url: "http://films.test:50051/".to_owned() };
    let descriptors = described(name);
    let proposed = from_descriptors(&facts, &descriptors, "films.binpb").expect("a proposal");
    testkit::golden::check(folder().join(name).with_extension("graphql"), &proposed.text);
    let set = text_of_set(descriptors.bytes());
    let files = [("films.graphql", proposed.text.as_str()), ("films.binpb", set.as_str())];
    let sources = Sources::from_texts(files);
    let compiled = schema::compile(&sources)
        .unwrap_or_else(|found| panic!("{name}\n{}", found.render(&sources, false)));
    // So do the texts that are deployed.
    assert_eq!(compiled.sources(), sources);
    // The canonical text says all of it again, without the file.
    let canonical = schema::canonical(&compiled);
    assert_eq!(canonical.files.len(), 1);
    let again = schema::compile(&canonical).expect("a canonical text compiles");
    assert_eq!(again.fingerprint, compiled.fingerprint);
    assert_eq!(again.services[0].source.descriptors.as_ref(), Some(&descriptors));
}

#[test]
fn proposed_modules_are_golden_and_compile() {
    check("films.proto");
    check("names.proto");
}

#[test]
fn a_service_without_a_method_that_can_be_called_is_refused() {
    let texts = HashMap::from([(
        "up.proto".to_owned(),
        "syntax = \"proto3\"; message A {} service Up { rpc Load(stream A) returns (A); }".into(),
    )]);
    let descriptors = Descriptors::of_protos("up.proto", texts).expect("descriptors");
    let facts = ServiceFacts { name: "up".to_owned(), url: "http://up.test".to_owned() };
    let refused = from_descriptors(&facts, &descriptors, "up.binpb").expect_err("must be refused");
    assert_eq!(refused.message(), "the service has no method that can be called");
}
