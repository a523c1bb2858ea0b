//! "Did you mean": in come a word and the words that would have been right, out comes the nearest
//! one, if it is near enough to be a slip of the fingers.

/// The candidate nearest to `written`, when at most a third of its letters differ.
pub fn closest<'c>(
    written: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    // Names are short; a very long word is no slip, and comparing it would cost its square.
    if written.len() > 100 {
        return None;
    }
    let lower = written.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= 100)
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            *distance <= written.chars().count().max(candidate.chars().count()) / 3
        })
        .min_by_key(|(distance, candidate)| (*distance, *candidate))
        .map(|(_, candidate)| candidate)
}

/// Insertions, removals, replacements and swaps of neighbours that lead from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let words = ["table", "key", "nearest", "listSize"];
        let found = |word| closest(word, words);
        assert_eq!(found("tabel"), Some("table"));
        assert_eq!(found("Key"), Some("key"));
        assert_eq!(found("neerst"), Some("nearest"));
        assert_eq!(found("listsize"), Some("listSize"));
        assert_eq!(found("sealed"), None);
        assert_eq!([found("k"), closest("x", ["y"])], [None, None]);
    }
}
