//! Names: files become types, headers become fields.
//!
//! In: file names and headers as people write them. Out: GraphQL names, and the words that names
//! are made of, so that `Film ID`, `film_id` and `filmId` are known to be the same. Not here:
//! whether a name is still free.

/// The longest name: what every SQL database takes, less what a suffix needs.
const LONGEST: usize = 56;

/// The words of a name: split at signs, and where small letters or digits meet capitals.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    let mut before = ' ';
    let letters: Vec<char> = name.chars().collect();
    for (position, letter) in letters.iter().enumerate() {
        if !letter.is_ascii_alphanumeric() {
            open = false;
            before = ' ';
            continue;
        }
        let after = letters.get(position + 1).copied().unwrap_or(' ');
        let begins_word = letter.is_ascii_uppercase()
            && (before.is_ascii_lowercase()
                || before.is_ascii_digit()
                || (before.is_ascii_uppercase() && after.is_ascii_lowercase()));
        if !open || begins_word {
            words.push(String::new());
            open = true;
        }
        if let Some(word) = words.last_mut() {
            word.push(letter.to_ascii_lowercase());
        }
        before = *letter;
    }
    words
}

/// The words of a file's name, without folders and extensions.
pub(super) fn file_words(file: &str) -> Vec<String> {
    let name = file.trim_end_matches('/').rsplit(['/', '\\']).next().unwrap_or(file);
    let stem = name.split('.').find(|part| !part.is_empty()).unwrap_or(name);
    words(stem)
}

/// `filmId`.
pub(super) fn camel(words: &[String]) -> String {
    let mut name = String::new();
    for word in words {
        if name.is_empty() { name.push_str(word) } else { name.push_str(&capital(word)) }
    }
    shortened(name, "column")
}

/// `FilmRating`.
pub(super) fn pascal(words: &[String]) -> String {
    shortened(words.iter().map(|word| capital(word)).collect(), "Table")
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// Names begin with a letter and end somewhere.
fn shortened(name: String, otherwise: &str) -> String {
    let mut name = match name.chars().next() {
        Some(first) if first.is_ascii_alphabetic() => name,
        Some(_) => format!("{otherwise}{name}"),
        None => otherwise.to_owned(),
    };
    name.truncate(LONGEST);
    name
}

/// The words of one thing, from the words of many: the last word is singularised.
pub(super) fn singular(words: &[String]) -> Vec<String> {
    let mut words = words.to_vec();
    if let Some(last) = words.last_mut() {
        *last = singular_word(last);
    }
    words
}

fn singular_word(word: &str) -> String {
    const IRREGULAR: [(&str, &str); 8] = [
        ("people", "person"),
        ("children", "child"),
        ("men", "man"),
        ("women", "woman"),
        ("mice", "mouse"),
        ("indices", "index"),
        ("movies", "movie"),
        ("cookies", "cookie"),
    ];
    const SAME: [&str; 7] = ["news", "series", "species", "status", "data", "media", "address"];
    if let Some((_, one)) = IRREGULAR.iter().find(|(many, _)| *many == word) {
        return (*one).to_owned();
    }
    if SAME.contains(&word) || word.len() < 3 {
        return word.to_owned();
    }
    if let Some(stem) = word.strip_suffix("ies") {
        return format!("{stem}y");
    }
    for ending in ["ches", "shes", "xes", "zes", "sses"] {
        if word.ends_with(ending) {
            return word[..word.len() - 2].to_owned();
        }
    }
    let singular_already = word.ends_with("ss") || word.ends_with("us") || word.ends_with("is");
    match word.strip_suffix('s') {
        Some(stem) if !singular_already => stem.to_owned(),
        _ => word.to_owned(),
    }
}

/// The words of many things, from the words of one.
pub(super) fn plural(words: &[String]) -> Vec<String> {
    let mut words = words.to_vec();
    if let Some(last) = words.last_mut() {
        *last = match last.as_str() {
            "person" => "people".to_owned(),
            "child" => "children".to_owned(),
            word if word.ends_with(['s', 'x', 'z'])
                || word.ends_with("ch")
                || word.ends_with("sh") =>
            {
                format!("{word}es")
            }
            word => match word.strip_suffix('y') {
                Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
                _ => format!("{word}s"),
            },
        };
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_have_the_same_words() {
        for name in ["filmId", "film_id", "Film ID", "film-id", "FilmID", " film.id "] {
            assert_eq!(words(name), ["film", "id"], "{name}");
        }
        assert_eq!(words("HTTPServer2Go"), ["http", "server2", "go"]);
        assert_eq!(words("Größe"), ["gr", "e"]);
    }

    #[test]
    fn files_become_types() {
        let named = |file: &str| pascal(&singular(&file_words(file)));
        let names = [
            "data/movies.csv",
            "film_ratings.jsonl.gz",
            "categories.tsv",
            "2020.csv",
            "ü.csv",
            "photos/",
        ];
        let named = names.map(named);
        assert_eq!(named, ["Movie", "FilmRating", "Category", "Table2020", "Table", "Photo"]);
    }

    #[test]
    fn many_of_one_is_one_of_many() {
        for word in ["film", "category", "box", "church", "day", "person", "rating"] {
            let one = vec![word.to_owned()];
            assert_eq!(singular(&plural(&one)), one, "{word}");
        }
    }
}
