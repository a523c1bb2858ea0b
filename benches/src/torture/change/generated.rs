//! Clients that are generated from the versions of the schema, and run.
//!
//! In: a project whose schema folder has a version. Out: its TypeScript client, as JavaScript, which
//! reads, lists and writes rows and prints what it got; that must be what the version gives. It needs
//! Node.js, and esbuild from the packages of `web`. Not here: what TypeScript says of the types.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use super::versions::{Known, Row, Version};
use crate::node::headwater;

/// What runs a client: the module, the server, and what to ask; it prints the answers or the error.
const RUN: &str = r#"import { pathToFileURL } from "node:url";
const [module, url, asked] = process.argv.slice(2);
const { Client } = await import(pathToFileURL(module).href);
const client = new Client({ url });
const answers = [];
try {
  for (const { method, given, select } of JSON.parse(asked)) answers.push(await client[method](given, select));
  console.log(JSON.stringify({ answers }));
} catch (error) {
  console.log(JSON.stringify({ error: JSON.stringify(error.errors ?? error.message) }));
}
"#;

/// The clients of a project.
pub(super) struct Generated {
    folder: PathBuf,
}

impl Generated {
    /// Clients below a project's folder.
    pub(super) fn new(project: &Path) -> Result<Generated> {
        let folder = project.join("clients");
        fs::create_dir(&folder)?;
        fs::write(folder.join("run.mjs"), RUN)?;
        Ok(Generated { folder })
    }

    /// Generates the client of the version that the schema folder has.
    pub(super) fn make(&self, project: &Path, version: usize) -> Result<()> {
        let out = self.folder.join(version.to_string());
        headwater(project, &["generate", "typescript", "--out", &out.display().to_string()])?;
        let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/node_modules");
        let mut esbuild = Command::new(packages.join(".bin/esbuild"));
        esbuild.arg(out.join("client.ts"));
        esbuild.arg(format!("--outfile={}", self.module(version).display()));
        let output = esbuild.args(["--format=esm", "--log-level=error"]).output();
        let output = output.context("failed to run esbuild: `cargo xtask setup` installs it")?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "the client of version {} is broken: {words}",
            version + 1
        );
        Ok(())
    }

    fn module(&self, version: usize) -> PathBuf {
        self.folder.join(version.to_string()).join("client.mjs")
    }

    /// Runs the client of a version, which must get what the version gives; without `writes` it only
    /// reads.
    pub(super) fn check(
        &self,
        address: &str,
        version: &Version,
        number: usize,
        writes: bool,
    ) -> Result<()> {
        let mut asked = Vec::new();
        let mut wanted = Vec::new();
        for known in &version.types {
            let row = Row::new("s1".to_owned(), 1);
            let own = match writes {
                true => Row::new(format!("g{number}"), 7 + number as i64),
                false => row.clone(),
            };
            let (name, one) = (known.kind.name(), known.kind.one());
            let select = selection(known);
            let key = |row: &Row| json!({ known.key: known.key_of(row) });
            asked.push(json!({ "method": one, "given": key(&row), "select": select }));
            wanted.push(known.answer(&row));
            if writes {
                let method = format!("upsert{name}");
                let input = json!({ "input": known.input(&own) });
                let node = json!({ "node": select });
                asked.push(json!({ "method": method, "given": input, "select": node }));
                wanted.push(json!({ "node": known.answer(&own) }));
            }
            let filter = json!({ "where": { known.key: { "eq": known.key_of(&own) } } });
            let nodes = json!({ "nodes": select });
            asked.push(json!({ "method": format!("{one}s"), "given": filter, "select": nodes }));
            wanted.push(json!({ "nodes": [known.answer(&own)] }));
        }
        let got = self.run(address, number, &Value::from(asked))?;
        let wanted = json!({ "answers": wanted });
        ensure!(got == wanted, "the client of version {} got {got}, not {wanted}", number + 1);
        Ok(())
    }

    /// Runs the client of a version that is no longer served, which must be refused in words.
    pub(super) fn check_refused(
        &self,
        address: &str,
        version: &Version,
        number: usize,
    ) -> Result<()> {
        let known = version.types.first().context("a version has no type")?;
        let key = json!({ known.key: known.key_of(&Row::new("s1".to_owned(), 1)) });
        let asked =
            json!([{ "method": known.kind.one(), "given": key, "select": selection(known) }]);
        let got = self.run(address, number, &asked)?;
        let words = got["error"].as_str().unwrap_or_default();
        ensure!(
            words.contains("generate the client again"),
            "the client of version {}, which is not served any more, got {got}",
            number + 1
        );
        Ok(())
    }

    fn run(&self, address: &str, number: usize, asked: &Value) -> Result<Value> {
        let mut node = Command::new("node");
        node.arg(self.folder.join("run.mjs")).arg(self.module(number));
        node.arg(format!("http://{address}/graphql")).arg(asked.to_string());
        let output = node.output().context("failed to run Node.js")?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the client of version {}: {words}", number + 1);
        serde_json::from_slice(&output.stdout).context("a generated client printed no JSON")
    }
}

/// What a generated client is asked for: all fields but where a picture is to be had.
fn selection(known: &Known) -> Value {
    let below = |names: &str| {
        let names = names.split_whitespace().filter(|name| !["{", "}", "url"].contains(name));
        Value::Object(names.map(|name| (name.to_owned(), json!(true))).collect::<Map<_, _>>())
    };
    let fields = known.fields.iter().map(|field| {
        let select = if field.below.is_empty() { json!(true) } else { below(field.below) };
        (field.name.to_owned(), select)
    });
    Value::Object(fields.collect())
}
