//! What differs between two texts. In: expected and actual. Out: a unified diff of lines, or
//! nothing when they are equal. Not here: reading files (`golden`).

/// Unchanged lines shown around a change.
const CONTEXT: usize = 3;

/// One line of the difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edit<'a> {
    Same(&'a str),
    Removed(&'a str),
    Added(&'a str),
}

/// The difference in unified form (`-` expected, `+` actual), or `None` when there is none.
pub fn unified(expected: &str, actual: &str) -> Option<String> {
    if expected == actual {
        return None;
    }
    let edits = edits(&lines(expected), &lines(actual));
    let mut text = String::from("--- expected\n+++ actual\n");
    let mut skipped = false;
    for (index, edit) in edits.iter().enumerate() {
        if !near_a_change(&edits, index) {
            skipped = true;
            continue;
        }
        if std::mem::take(&mut skipped) || text.ends_with("actual\n") {
            text.push_str(&format!("@@ line {} @@\n", expected_line(&edits, index)));
        }
        let (sign, line) = match edit {
            Edit::Same(line) => (' ', line),
            Edit::Removed(line) => ('-', line),
            Edit::Added(line) => ('+', line),
        };
        text.push_str(&format!("{sign}{line}\n"));
    }
    Some(text)
}

/// Splits so that a missing last newline shows as a difference.
fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.split('\n').collect();
    match lines.last() {
        Some(&"") => drop(lines.pop()),
        _ => lines.push("\\ no newline at the end"),
    }
    lines
}

fn near_a_change(edits: &[Edit<'_>], index: usize) -> bool {
    let from = index.saturating_sub(CONTEXT);
    let until = (index + CONTEXT + 1).min(edits.len());
    edits[from..until].iter().any(|edit| !matches!(edit, Edit::Same(_)))
}

fn expected_line(edits: &[Edit<'_>], index: usize) -> usize {
    1 + edits[..index].iter().filter(|edit| !matches!(edit, Edit::Added(_))).count()
}

/// The longest common subsequence by dynamic programming; equal ends are cut off first, which
/// keeps the table small for files that differ in one place.
fn edits<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Edit<'a>> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b);
    let tail = tail.count();
    let mut edits: Vec<Edit<'a>> = old[..head].iter().map(|line| Edit::Same(line)).collect();
    edits.extend(middle(&old[head..old.len() - tail], &new[head..new.len() - tail]));
    edits.extend(old[old.len() - tail..].iter().map(|line| Edit::Same(line)));
    edits
}

fn middle<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Edit<'a>> {
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            common[i][j] = match a == b {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut edits = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            edits.push(Edit::Same(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            edits.push(Edit::Removed(old[i]));
            i += 1;
        } else {
            edits.push(Edit::Added(new[j]));
            j += 1;
        }
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_no_difference() {
        assert_eq!(unified("a\nb\n", "a\nb\n"), None);
    }

    #[test]
    fn a_changed_line_stands_in_its_context() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let new = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n";
        assert_eq!(
            unified(old, new).expect("they differ"),
            "--- expected\n+++ actual\n@@ line 2 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
        );
    }

    #[test]
    fn a_missing_last_newline_is_a_difference() {
        assert_eq!(
            unified("a\n", "a").expect("they differ"),
            "--- expected\n+++ actual\n@@ line 1 @@\n a\n+\\ no newline at the end\n"
        );
    }
}
