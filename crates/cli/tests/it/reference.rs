//! `docs/reference/cli.md` is what the binary says of itself.

use std::process::Command;

use crate::{binary, root};

#[test]
fn the_reference_says_what_the_help_says() {
    let mut page = String::from("# The command line\n\nMade from `headwater help`; do not edit.\n");
    section(&mut page, &[]);
    for name in subcommands(&[]) {
        section(&mut page, &[&name]);
        for inner in subcommands(&[&name]) {
            section(&mut page, &[&name, &inner]);
        }
    }
    testkit::check(root().join("docs/reference/cli.md"), &page);
}

fn section(page: &mut String, path: &[&str]) {
    let title = [&["headwater"], path].concat().join(" ");
    page.push_str(&format!("\n## `{title}`\n\n```text\n{}\n```\n", help(path)));
}

fn help(path: &[&str]) -> String {
    let output = Command::new(binary())
        .args(path)
        .arg("--help")
        .env("COLUMNS", "100")
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "`{path:?} --help` failed");
    let text = String::from_utf8(output.stdout).expect("help is UTF-8");
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

/// Names in the `Commands:` part of a help text.
fn subcommands(path: &[&str]) -> Vec<String> {
    help(path)
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(ToOwned::to_owned)
        .collect()
}
