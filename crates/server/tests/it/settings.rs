//! Malformed settings as data: `tests/malformed/settings`, in the form that `malformed` describes.
//! The lines of a case are the text of a `headwater.toml`; it is refused when it is read, or when
//! a project is opened or served with it. Not here: good settings.

use base::Result;
use server::{Project, Settings};
use testkit::TempProject;

use crate::lab::runtime;
use crate::malformed::{Case, check_folder, push};

#[test]
fn every_malformed_setting_has_its_words() {
    let runtime = runtime();
    check_folder("settings", (8, 25), |case| {
        let folder = TempProject::empty().file("headwater.toml", case.input.join("\n"));
        let error = runtime.block_on(started(&folder)).expect_err(&case.title);
        described(&error, case, &folder.path().display().to_string())
    });
}

async fn started(folder: &TempProject) -> Result<()> {
    let settings = Settings::read(folder.path())?;
    let project = Project::open(folder.path(), settings).await?;
    let serving = server::serve(project).await?;
    serving.stop().await
}

fn described(error: &base::Error, case: &Case, folder: &str) -> Vec<String> {
    let mut lines = vec![error.kind().code().to_owned()];
    let chain = base::error_chain(error);
    for (index, text) in chain.iter().enumerate() {
        let prefix = if index == 0 { "" } else { "because: " };
        push(&mut lines, prefix, &text.replace(folder, "FOLDER"));
    }
    if let Some(place) = error.place() {
        lines.push(format!("place: {place}"));
    }
    if let Some(hint) = error.hint_text() {
        lines.push(format!("hint: {hint}"));
    }
    assert!(lines.len() > 1 && lines[0] != "INTERNAL", "`{}`: {error}", case.title);
    lines
}

#[test]
fn a_settings_file_that_is_no_text_is_refused() {
    let folder = TempProject::empty().file("headwater.toml", b"schema = \"\xff\"");
    let error = Settings::read(folder.path()).expect_err("no UTF-8");
    assert!(error.message().contains("headwater.toml"), "{error}");
}

#[test]
fn the_longest_settings_file_is_refused_without_a_hang() {
    let deep = format!("a = {}", "[".repeat(100_000));
    let wide = format!("schema = \"{}\"\nx = 1", "y".repeat(1 << 20));
    for text in [deep, wide] {
        Settings::parse(&text, "headwater.toml").expect_err("it is no good");
    }
}
