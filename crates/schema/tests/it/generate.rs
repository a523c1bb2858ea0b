//! What is generated compiles and runs.

use std::path::Path;
use std::process::{Command, Output};

use schema::generate::{GeneratedFile, ddl, python, typescript, typescript_api};

use crate::inspector::oracle;
use crate::random::{Maker, compiled};

/// Compiles TypeScript files with the strictest settings and gives the folder with the JavaScript.
fn compiled_typescript(oracle: &Path, files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    std::fs::write(folder.path().join("package.json"), "{\"type\": \"module\"}").unwrap();
    let names = files.iter().map(|(name, _)| *name);
    let output = Command::new("node")
        .arg(oracle.join("node_modules/typescript/bin/tsc").canonicalize().unwrap())
        .args(["--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes"])
        .args(["--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom,dom.iterable"])
        .args(names.filter(|name| name.ends_with(".ts")))
        .current_dir(folder.path())
        .output()
        .unwrap();
    succeeded(&output);
    folder
}

fn succeeded(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn a_client_for_plain_sdl_compiles_and_its_answers_are_typed() {
    let Some(oracle) = oracle() else { return };
    let api = typescript_api(include_str!("client.graphql")).unwrap();
    let folder =
        compiled_typescript(&oracle, &[("api.ts", &api), ("client.ts", include_str!("client.ts"))]);
    let output = Command::new("node").arg("client.js").current_dir(folder.path()).output().unwrap();
    succeeded(&output);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "client works\n");
}

#[test]
fn what_is_said_of_the_values_of_an_enum_stands_in_the_client() {
    let sdl = "type Query { a: Color  b: Size }  enum Size { LARGE SMALL }
        enum Color { \"Like blood.\" RED  BLUE @deprecated(reason: \"too cold\") GREEN }";
    let api = typescript_api(sdl).unwrap();
    let wanted = "export type Color =\n  /** Like blood. */\n  | \"RED\"\n  \
        /** @deprecated too cold */\n  | \"BLUE\"\n  | \"GREEN\";\n";
    assert!(api.contains(wanted), "{api}");
    assert!(api.contains("export type Size = \"LARGE\" | \"SMALL\";\n"), "{api}");
}

#[test]
fn unions_are_refused() {
    let error = typescript_api("type Query { a: U } type A { x: Int } union U = A").unwrap_err();
    assert_eq!(error.kind(), base::Kind::Unsupported);
}

const SHOP: &str = include_str!("shop.graphql");

fn text(files: &[GeneratedFile], path: &str) -> String {
    files.iter().find(|file| file.path == path).unwrap().text.clone()
}

/// Fingerprints follow the canonical text, which is none of this suite's business.
fn without_fingerprint(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.contains(" Schema "));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn generated_files_are_as_written_down_and_stable() {
    let schema = compiled(SHOP);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/shop");
    let files = [typescript(&schema), python(&schema), ddl(&schema)].concat();
    let again = compiled(SHOP);
    assert_eq!(files, [typescript(&again), python(&again), ddl(&again)].concat());
    for file in files {
        assert!(file.text.contains(schema.fingerprint.as_ref()), "{} names no schema", file.path);
        testkit::golden::check(folder.join(&file.path), &without_fingerprint(&file.text));
    }
}

/// Runs a Python program beside the generated rows.
fn run_python(rows: &str, program: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rows.py"), rows).unwrap();
    std::fs::write(folder.path().join("program.py"), program).unwrap();
    let run = |arguments: &[&str]| {
        let output =
            Command::new("python3").args(arguments).current_dir(folder.path()).output().unwrap();
        succeeded(&output);
    };
    run(&["-m", "py_compile", "rows.py"]);
    run(&["program.py"]);
}

#[test]
fn python_rows_survive_a_round_trip() {
    run_python(&text(&python(&compiled(SHOP)), "rows.py"), include_str!("round_trip.py"));
}

#[test]
fn generated_python_of_random_schemas_compiles() {
    for seed in 0..4 {
        let schema = compiled(&Maker::seeded(seed).model().sdl());
        run_python(&text(&python(&schema), "rows.py"), "import rows\n");
    }
}

#[test]
fn names_that_the_languages_use_themselves_do_no_harm() {
    let schema = compiled(include_str!("clashing.graphql"));
    run_python(
        &text(&python(&schema), "rows.py"),
        "from rows import Enum_, Kind, Client\nassert Kind.mro_.value == 'mro'\nassert Client.from_json({'id': '1', 'class': 'x', 'kind': 'value'}).class_ == 'x'\n",
    );
    let Some(oracle) = oracle() else { return };
    let client = text(&typescript(&schema), "client.ts");
    let program = "import { Client, type Client_, type Kind } from \"./client.js\";\n\
                   const row: Pick<Client_, \"id\"> = { id: \"1\" };\n\
                   const kind: Kind = \"mro\";\nconsole.log(new Client({ url: row.id }) !== undefined, kind);\n";
    // Random schemas come along: starting the compiler costs more than reading them.
    let random = |seed| {
        let schema = compiled(&Maker::seeded(seed).model().sdl());
        text(&typescript(&schema), "client.ts")
    };
    let (one, two) = (random(1), random(2));
    let files = [
        ("client.ts", client.as_str()),
        ("program.ts", program),
        ("one.ts", one.as_str()),
        ("two.ts", two.as_str()),
    ];
    compiled_typescript(&oracle, &files);
}
