//! Our classes of API changes are those of GraphQL Inspector.
//!
//! Random APIs are changed at random; both sides classify every pair. Needs `node` and what `npm ci`
//! puts into `tests/inspector`; without them the suite says that it was skipped.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base::rng::Rng;
use schema::diff::{ApiChange, WireEffect, diff_sdl};
use serde_json::{Value, json};

/// The folder with the oracle, when it is installed.
pub(crate) fn oracle() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/inspector");
    let installed = folder.join("node_modules/@graphql-inspector/core/package.json").is_file();
    let node = Command::new("node").arg("--version").output().is_ok();
    if installed && node {
        return Some(folder);
    }
    eprintln!("skipped: tests/inspector is not installed; `cargo xtask setup` installs it");
    None
}

/// What Inspector says of each pair: path and level, the harmless left out.
pub(crate) fn inspected(folder: &Path, pairs: &[(String, String)]) -> Vec<Vec<(String, String)>> {
    let input: Vec<_> = pairs.iter().map(|(old, new)| json!({"old": old, "new": new})).collect();
    let mut child = Command::new("node")
        .arg("classify.mjs")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text = serde_json::to_vec(&input).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&text));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let answers: Vec<Vec<Value>> = serde_json::from_slice(&output.stdout).unwrap();
    let said = |change: &Value| {
        let path = change["path"].as_str().unwrap();
        (coordinate(path), change["level"].as_str().unwrap().to_owned())
    };
    answers.iter().map(|changes| changes.iter().map(said).filter(counts).collect()).collect()
}

/// Inspector names a new argument of a directive by the directive alone.
fn coordinate(path: &str) -> String {
    let end = if path.starts_with('@') { path.find('.') } else { None };
    path[..end.unwrap_or(path.len())].to_owned()
}

/// The one deviation: Inspector calls another deprecation reason dangerous.
fn counts((path, level): &(String, String)) -> bool {
    level != "NON_BREAKING" && !path.ends_with(".@deprecated.reason")
}

pub(crate) fn ours(changes: &[ApiChange]) -> Vec<(String, String)> {
    let level = |effect| match effect {
        WireEffect::Breaking => Some("BREAKING"),
        WireEffect::Dangerous => Some("DANGEROUS"),
        WireEffect::Safe | WireEffect::None => None,
    };
    changes
        .iter()
        .filter_map(|c| Some((coordinate(&c.path), level(c.effect)?.to_owned())))
        .collect()
}

/// A random API: the same seed gives nearly the same API, so that two of them differ in places.
struct Maker {
    rng: Rng,
}

impl Maker {
    fn below(&mut self, limit: u64) -> u64 {
        self.rng.below(limit)
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len() as u64) as usize]
    }

    fn wrapped(&mut self, base: &str) -> String {
        let bang = self.pick(&["", "!"]);
        match self.below(4) {
            0 => format!("[{base}{bang}]{}", self.pick(&["", "!"])),
            _ => format!("{base}{bang}"),
        }
    }

    fn description(&mut self) -> &'static str {
        self.pick(&["", "", "", "\"one\" ", "\"two\" "])
    }

    fn input_value(&mut self, name: &str) -> String {
        let number = self.below(3);
        match self.below(5) {
            0 => format!("{}{name}: Int = {number}", self.description()),
            1 => format!("{name}: {}", self.wrapped("Color")),
            2 => format!("{name}: {}", self.wrapped("Filter")),
            _ => format!("{}{name}: {}", self.description(), self.wrapped("Int")),
        }
    }

    fn field(&mut self, name: &str) -> String {
        let mut arguments = Vec::new();
        for argument in ["x", "y"] {
            if self.below(3) == 0 {
                arguments.push(self.input_value(argument));
            }
        }
        let arguments =
            if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(" ")) };
        let base = self.pick(&["Int", "String", "Thing", "Color", "ID"]);
        let directive = self.pick(&[
            "",
            "",
            "",
            " @deprecated",
            " @deprecated(reason: \"old\")",
            " @cost(weight: 1)",
            " @cost(weight: 2)",
        ]);
        format!("  {}{name}{arguments}: {}{directive}\n", self.description(), self.wrapped(base))
    }

    fn fields(&mut self) -> String {
        let mut text = self.field("always");
        for name in ["a", "b", "c"] {
            if self.below(3) > 0 {
                text += &self.field(name);
            }
        }
        text
    }

    fn api(&mut self) -> String {
        let cost = self.pick(&[
            "weight: Int",
            "weight: Int!",
            "weight: Int, more: Int",
            "weight: Int, must: Int!",
        ]);
        let mut text = format!("directive @cost({cost}) on FIELD_DEFINITION\n");
        text +=
            &format!("type Query {{\n{}}}\ntype Thing {{\n{}}}\n", self.fields(), self.fields());
        text += "enum Color { RED";
        for value in ["GREEN", "BLUE"] {
            if self.below(2) == 0 {
                text += " ";
                text += value;
            }
        }
        text += &format!(" }}\ninput Filter {{ {}", self.input_value("f"));
        if self.below(2) == 0 {
            text += &format!(" {}", self.input_value("g"));
        }
        text += " }\n";
        for name in ["Extra", "Other"] {
            match self.below(4) {
                0 => text += &format!("type {name} {{ x: Int }}\n"),
                1 => text += &format!("scalar {name}\n"),
                2 => text += &format!("union {name} = Thing | Query\n"),
                _ => {}
            }
        }
        text
    }
}

#[test]
fn random_api_changes_have_the_classes_that_inspector_gives_them() {
    let Some(folder) = oracle() else { return };
    let mut maker = Maker { rng: Rng::seeded(0x5eed_0001) };
    let pairs: Vec<_> = (0..300).map(|_| (maker.api(), maker.api())).collect();
    let answers = inspected(&folder, &pairs);
    let mut compared = 0;
    for ((old, new), mut theirs) in pairs.iter().zip(answers) {
        let mut ours = ours(&diff_sdl(old, new).unwrap());
        ours.sort();
        theirs.sort();
        compared += theirs.len();
        assert_eq!(ours, theirs, "ours against inspector's\n--- old\n{old}\n--- new\n{new}");
    }
    assert!(compared > 1000, "only {compared} changes were compared");
}
