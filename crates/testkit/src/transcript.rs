//! Transcripts: whole sessions of a command line as data. In: a text file with commands and what
//! they print. Out: a verdict, or, with `BLESS=1`, a rewritten file. Not here: what is redacted
//! (`redact`).
//!
//! ```text
//! # A comment. The next line adds a rule for what changes from run to run.
//! #redact version \d+ => version [N]
//!
//! $ cat > films.csv <<END
//! > id,title
//! > END
//! $ headwater import films.csv
//! what the command printed
//! ! what it printed on standard error
//! ? 1
//! ```
//!
//! `$` starts a command, `>` continues it, `!` marks standard error, and `?` an exit status that is
//! not zero. A line of output that starts with one of these is written with a backslash before it.
//! Commands run one after another in one temporary folder, in a shell that finds the binary first.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::golden;
use crate::redact::Redactor;

/// How long one command may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(120);

/// A command and the lines before it.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    before: Vec<String>,
    command: String,
}

/// A transcript without its outputs.
#[derive(Debug, PartialEq, Eq)]
struct Script {
    steps: Vec<Step>,
    after: Vec<String>,
}

/// Runs every `*.txt` of `folder` with `binary` and compares.
///
/// # Panics
/// When one of them prints something else than it says, with the differences of all, or when the
/// folder has none.
#[track_caller]
pub fn check_folder(binary: &Path, folder: &Path) {
    let files = transcripts(folder)
        .unwrap_or_else(|error| panic!("failed to list `{}`: {error}", folder.display()));
    assert!(!files.is_empty(), "`{}` has no transcripts", folder.display());
    let differences: Vec<String> =
        files.iter().filter_map(|file| run(binary, file).err()).collect();
    assert!(
        differences.is_empty(),
        "{} of {} transcripts differ\n{}",
        differences.len(),
        files.len(),
        differences.join("\n")
    );
}

/// Runs one transcript and compares.
///
/// # Panics
/// When it prints something else than it says.
#[track_caller]
pub fn check(binary: &Path, file: &Path) {
    if let Err(difference) = run(binary, file) {
        panic!("{difference}");
    }
}

fn run(binary: &Path, file: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("failed to read `{}`: {error}", file.display()))?;
    let actual = replay(binary, &text).map_err(|error| format!("{}: {error}", file.display()))?;
    golden::compare(file, &actual)
}

/// Runs the commands of a transcript; gives the transcript with what they really print.
pub fn replay(binary: &Path, text: &str) -> Result<String, String> {
    let script = parse(text)?;
    let folder = tempfile::Builder::new().prefix("headwater-").tempdir();
    let folder = folder.map_err(|error| format!("failed to make a folder: {error}"))?;
    let mut redactor = Redactor::new(folder.path());
    for line in script.steps.iter().flat_map(|step| &step.before).chain(&script.after) {
        add_rule(&mut redactor, line)?;
    }
    let mut actual = String::new();
    for step in &script.steps {
        push_lines(&mut actual, "", &step.before);
        let mut prefix = "$ ";
        for line in step.command.lines() {
            let shown = if line.is_empty() { prefix.trim_end() } else { prefix };
            push_lines(&mut actual, shown, &[line]);
            prefix = "> ";
        }
        let output = execute(binary, folder.path(), &step.command)?;
        actual.push_str(&render(&redactor, &output));
    }
    push_lines(&mut actual, "", &script.after);
    Ok(actual)
}

fn transcripts(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Blank and comment lines that follow a blank line belong to the next command; everything else
/// between commands is output.
fn parse(text: &str) -> Result<Script, String> {
    let mut script = Script { steps: Vec::new(), after: Vec::new() };
    let mut between: Vec<String> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(command) = line.strip_prefix("$ ") {
            let before = std::mem::take(&mut between);
            script.steps.push(Step { before, command: command.to_owned() });
        } else if let Some(more) = line.strip_prefix("> ").or((line == ">").then_some("")) {
            let step = script.steps.last_mut().filter(|_| between.is_empty());
            let step = step.ok_or_else(|| format!("line {number} continues no command"))?;
            step.command.push('\n');
            step.command.push_str(more);
        } else if script.steps.is_empty() || is_between(line, &between) {
            between.push(line.to_owned());
        } else {
            between.clear();
        }
    }
    script.after = between;
    Ok(script)
}

fn is_between(line: &str, between: &[String]) -> bool {
    line.is_empty() || (line.starts_with('#') && !between.is_empty())
}

fn add_rule(redactor: &mut Redactor, line: &str) -> Result<(), String> {
    let Some(rule) = line.strip_prefix("#redact ") else { return Ok(()) };
    let (pattern, replacement) =
        rule.split_once(" => ").ok_or_else(|| format!("a rule without ` => `: {line}"))?;
    redactor.rule(pattern, replacement)
}

fn execute(binary: &Path, folder: &Path, command: &str) -> Result<Output, String> {
    let child = Command::new("/bin/sh")
        .args(["-c", command])
        .current_dir(folder)
        .env_clear()
        .env("PATH", search_path(binary)?)
        .env("HOME", folder)
        .envs([("NO_COLOR", "1"), ("COLUMNS", "100"), ("TZ", "UTC"), ("LANG", "C.UTF-8")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("failed to start a shell: {error}"))?;
    wait_within(child, command)
}

/// Reads both outputs on threads of their own, so that a full pipe cannot stop the command, and
/// kills it when it takes too long.
fn wait_within(mut child: std::process::Child, command: &str) -> Result<Output, String> {
    let gather = |pipe: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                drop(pipe.read_to_end(&mut bytes));
            }
            bytes
        })
    };
    let stdout = gather(child.stdout.take().map(|pipe| Box::new(pipe) as _));
    let stderr = gather(child.stderr.take().map(|pipe| Box::new(pipe) as _));
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        if started.elapsed() > COMMAND_LIMIT {
            drop(child.kill());
            return Err(format!("no end within {COMMAND_LIMIT:?}: {command}"));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let collect = |thread: std::thread::JoinHandle<Vec<u8>>| thread.join().unwrap_or_default();
    Ok(Output { status, stdout: collect(stdout), stderr: collect(stderr) })
}

fn search_path(binary: &Path) -> Result<OsString, String> {
    let own = binary.parent().ok_or("the binary has no folder")?.to_owned();
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths([own].into_iter().chain(std::env::split_paths(&inherited)))
        .map_err(|error| error.to_string())
}

fn render(redactor: &Redactor, output: &Output) -> String {
    let stdout = redactor.redact(&String::from_utf8_lossy(&output.stdout));
    let stderr = redactor.redact(&String::from_utf8_lossy(&output.stderr));
    let mut text = String::new();
    for line in stdout.trim_end().lines().map(str::trim_end) {
        // A comment sign after an empty line would read as the start of the next command.
        let is_special = line.starts_with(['$', '>', '!', '?', '\\', '#']);
        push_lines(&mut text, if is_special { "\\" } else { "" }, &[line]);
    }
    for line in stderr.trim_end().lines().map(str::trim_end) {
        push_lines(&mut text, if line.is_empty() { "!" } else { "! " }, &[line]);
    }
    match output.status.code() {
        Some(0) => {}
        Some(code) => push_lines(&mut text, "? ", &[code.to_string()]),
        None => push_lines(&mut text, "? ", &["killed"]),
    }
    text
}

fn push_lines(text: &mut String, prefix: &str, lines: &[impl AsRef<str>]) {
    for line in lines {
        text.push_str(prefix);
        text.push_str(line.as_ref());
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell command stands in for the binary; the transcript replays to itself.
    #[track_caller]
    fn check_replays(text: &str) {
        assert_eq!(replay(Path::new("/bin/sh"), text).unwrap(), text);
    }

    #[test]
    fn a_true_transcript_replays_to_itself() {
        check_replays(
            "# Files stay from command to command.\n\n$ cat > a.csv <<END\n> id\n> $x\n> END\n$ cat a.csv\nid\n\n\
             # Errors and statuses are told apart.\n$ echo out; echo err >&2; exit 3\nout\n! err\n? 3\n",
        );
    }

    #[test]
    fn blank_lines_inside_an_output_stay() {
        check_replays("$ printf 'a\\n\\nb\\n'\na\n\nb\n\n$ true\n");
    }

    #[test]
    fn lines_that_look_like_marks_are_escaped() {
        check_replays("$ printf '$ a\\n! b\\n# c\\n'\n\\$ a\n\\! b\n\\# c\n");
    }

    #[test]
    fn what_changes_is_redacted() {
        check_replays(
            "#redact pid \\d+ => pid [PID]\n$ echo \"pid $$ took 12 ms in $PWD\"\npid [PID] took [DURATION] in [FOLDER]\n",
        );
    }

    #[test]
    fn a_false_transcript_is_told_from_what_came_out() {
        let actual = replay(Path::new("/bin/sh"), "$ echo new\nold\n? 1\n").unwrap();
        assert_eq!(actual, "$ echo new\nnew\n");
    }

    #[test]
    fn a_continuation_without_a_command_is_refused() {
        assert_eq!(parse("> x\n").unwrap_err(), "line 1 continues no command");
    }
}
