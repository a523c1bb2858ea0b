//! What changes from run to run. In: output of a command. Out: the same text with times, ids,
//! ports, durations, sizes and folders replaced by names. Not here: running the command
//! (`transcript`).

use std::sync::OnceLock;

use regex::Regex;

/// Replacements, tried in this order; the first ones are the most specific.
const RULES: &[(&str, &str)] = &[
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "[ID]"),
    (r"\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?: ?UTC|Z|[+-]\d{2}:\d{2})?", "[TIME]"),
    (r"\b(127\.0\.0\.1|localhost|\[::1\]):\d{1,5}\b", "$1:[PORT]"),
    (r"\b\d{15,}\b", "[NUMBER]"),
    (r"\b[0-9a-f]{16,}\b", "[HASH]"),
    (r"\b[\d,.]+ (rows|files|images)/s\b", "[RATE] $1/s"),
    (r"\b\d[\d,.]* (?:B|KiB|MiB|GiB|TiB)/s\b", "[RATE]"),
    (r"\b\d[\d,.]* (?:B|KiB|MiB|GiB|TiB)\b", "[SIZE]"),
    (r"\b\d[\d,.]* ?(?:ns|µs|ms|s)\b", "[DURATION]"),
];

/// Replaces what changes from run to run.
#[derive(Debug)]
pub struct Redactor {
    folders: Vec<(String, &'static str)>,
    extra: Vec<(Regex, String)>,
}

impl Redactor {
    /// Replaces `folder` too.
    pub fn new(folder: &std::path::Path) -> Self {
        let mut folders = vec![(folder.display().to_string(), "[FOLDER]")];
        // The folder may stand behind a link (as `/tmp` does on some systems).
        if let Ok(real) = folder.canonicalize() {
            folders.insert(0, (real.display().to_string(), "[FOLDER]"));
        }
        Redactor { folders, extra: Vec::new() }
    }

    /// Adds a rule that is tried before the usual ones.
    pub fn rule(&mut self, pattern: &str, replacement: &str) -> Result<(), String> {
        let pattern =
            Regex::new(pattern).map_err(|error| format!("bad pattern `{pattern}`: {error}"))?;
        self.extra.push((pattern, replacement.to_owned()));
        Ok(())
    }

    /// The text without what changes.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (folder, name) in &self.folders {
            text = text.replace(folder, name);
        }
        let extra = self.extra.iter().map(|(pattern, name)| (pattern, name.as_str()));
        let usual = usual().iter().map(|(pattern, name)| (pattern, *name));
        for (pattern, name) in extra.chain(usual) {
            text = pattern.replace_all(&text, name).into_owned();
        }
        text
    }
}

fn usual() -> &'static [(Regex, &'static str)] {
    static USUAL: OnceLock<Vec<(Regex, &'static str)>> = OnceLock::new();
    USUAL.get_or_init(|| {
        let compile = |(pattern, name): &(&str, &'static str)| {
            (Regex::new(pattern).expect("the patterns are constant"), *name)
        };
        RULES.iter().map(compile).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volatile_parts_are_named_and_the_rest_stays() {
        let mut redactor = Redactor::new(std::path::Path::new("/tmp/nowhere"));
        redactor.rule(r"build \d+", "build [N]").unwrap();
        for (text, expected) in [
            ("in /tmp/nowhere/a.csv", "in [FOLDER]/a.csv"),
            ("run 67e55044-10b1-426f-9247-bb680e5fe0c8", "run [ID]"),
            ("at 2026-11-23T08:00:00.25Z and 2026-11-23 08:00:00 UTC", "at [TIME] and [TIME]"),
            ("released 1979-05-25", "released 1979-05-25"),
            ("http://127.0.0.1:40123/", "http://127.0.0.1:[PORT]/"),
            ("snapshot 3051729675574597004", "snapshot [NUMBER]"),
            (
                "1,682 rows in 12 ms (140,166 rows/s, 3.1 MiB/s)",
                "1,682 rows in [DURATION] ([RATE] rows/s, [RATE])",
            ),
            ("wrote 1.5 KiB in 0.2s", "wrote [SIZE] in [DURATION]"),
            ("build 7 of 3 files", "build [N] of 3 files"),
        ] {
            assert_eq!(redactor.redact(text), expected);
        }
    }
}
