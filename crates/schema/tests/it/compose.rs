//! Composition as data: every file below `tests/compose` holds some sources and what comes of them,
//! the API or the diagnostics. `BLESS=1` writes what comes of them now.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use base::Team;
use schema::compose::{Composition, SourceSdl, Subgraph, compose, read};
use schema::diagnostic::code::COMPOSITION;
use schema::graph::SourceKind;
use schema::{Diagnostics, Sources};

/// Sources by name.
pub(crate) type Services = Vec<(String, String)>;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose")
}

/// A file: its words, its sources, and what is expected of them.
pub(crate) struct Case {
    pub(crate) path: PathBuf,
    head: String,
    pub(crate) services: Services,
}

impl Case {
    pub(crate) fn name(&self) -> String {
        self.path.file_stem().unwrap().to_string_lossy().into_owned()
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "graphql"));
    paths.sort();
    paths.into_iter().map(case).collect()
}

/// A line `#> source NAME` begins a source, `#> accepted` or `#> refused` what is expected.
fn case(path: PathBuf) -> Case {
    let text = std::fs::read_to_string(&path).unwrap();
    let (mut head, mut services) = (String::new(), Services::new());
    for part in text.split_inclusive('\n') {
        if let Some(name) = part.strip_prefix("#> source ") {
            services.push((name.trim().to_owned(), String::new()));
        } else if part.starts_with("#> ") {
            break;
        } else if let Some((_, sdl)) = services.last_mut() {
            sdl.push_str(part);
        } else {
            head.push_str(part);
        }
    }
    Case { path, head, services }
}

fn source(name: &str, sdl: &str) -> SourceSdl {
    SourceSdl {
        name: name.into(),
        kind: SourceKind::GraphQl,
        url: format!("http://{name}").into(),
        owner: Team::new("team"),
        file: format!("{name}.graphql").into(),
        text: sdl.into(),
    }
}

/// Reads and composes; when a source cannot be read, what is wrong with all of them.
pub(crate) fn composed(services: &Services) -> Composition {
    let mut subgraphs: Vec<Subgraph> = Vec::new();
    let mut diagnostics = Diagnostics::default();
    for (name, sdl) in services {
        match read(&source(name, sdl)) {
            Ok(subgraph) => subgraphs.push(subgraph),
            Err(faults) => diagnostics.items.extend(faults.items),
        }
    }
    if !diagnostics.items.is_empty() {
        return Composition { graph: None, diagnostics };
    }
    compose(&subgraphs)
}

fn shown(services: &Services, composition: &Composition) -> String {
    let texts = services.iter().map(|(name, sdl)| (format!("{name}.graphql"), sdl.clone()));
    let sources = Sources::from_texts(texts);
    let said = composition.diagnostics.render(&sources, false);
    match &composition.graph {
        Some(graph) if said.is_empty() => format!("#> accepted\n{}", graph.api),
        Some(graph) => format!("#> accepted\n{}\n#> warnings\n{said}", graph.api),
        None => format!("#> refused\n{said}"),
    }
}

#[test]
fn every_case_composes_as_written_down() {
    let cases = cases();
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let mut text = case.head.clone();
        for (name, sdl) in &case.services {
            text += &format!("#> source {name}\n{sdl}");
        }
        text += &shown(&case.services, &composed(&case.services));
        wrong.extend(testkit::golden::compare(&case.path, &text).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_fault_says_where_and_what_to_do() {
    for case in cases() {
        for item in composed(&case.services).diagnostics.items {
            let at = format!("{}: {item:?}", case.name());
            assert!(!item.place.file.is_empty() && !item.message.ends_with('.'), "{at}");
            assert!(item.hint.is_some(), "{at}");
            let whole = ["NO_QUERIES", "INVALID_SUBGRAPH_NAME"].contains(&item.code.as_str());
            assert!(whole || item.place.line > 0, "{at}");
            assert!(item.also.iter().all(|also| also.place.line > 0), "{at}");
        }
    }
}

#[test]
fn every_code_of_composition_has_a_case() {
    let mut seen = BTreeSet::new();
    for case in cases() {
        let found = composed(&case.services).diagnostics;
        seen.extend(found.items.iter().map(|item| item.code.as_str()));
    }
    let all = COMPOSITION.iter().map(|entry| entry.name);
    let missing: Vec<_> = all.filter(|name| !seen.contains(name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

/// A graph of many types over many sources, each type an entity of three of them.
fn large(types: usize, sources: usize) -> Services {
    let mut texts = vec![
        String::from(
            "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.3\", import: [\"@key\", \"@shareable\"])\n"
        );
        sources
    ];
    for number in 0..types {
        for turn in 0..3 {
            let text = &mut texts[(number + turn) % sources];
            *text += &format!("type T{number} @key(fields: \"id\") {{ id: ID!");
            for field in 0..8 {
                *text += &format!(" f{turn}x{field}: Int");
            }
            if turn == 0 {
                *text += &format!(" next: T{}", (number + sources) % types);
            }
            *text += " }\n";
        }
    }
    for (number, text) in texts.iter_mut().enumerate() {
        *text += &format!("type Query {{ start{number}: T{number} }}\n");
    }
    let named = texts.into_iter().enumerate();
    named.map(|(number, text)| (format!("s{number}"), text)).collect()
}

#[test]
fn a_thousand_types_over_twenty_sources_compose() {
    let services = large(1000, 20);
    let begun = Instant::now();
    let found = composed(&services);
    let graph = found.graph.unwrap_or_else(|| panic!("{}", found.diagnostics));
    let taken = begun.elapsed();
    assert_eq!(graph.types.len(), 1001);
    assert_eq!(graph.types["T7"].fields["f1x3"].len(), 1);
    eprintln!("1,000 types over 20 sources: {taken:?}");
}
