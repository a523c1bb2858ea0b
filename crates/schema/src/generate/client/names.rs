//! Names of types in a generated module, each of them once.
//!
//! In: a client, the names that the language and the module take for themselves, and how the language
//! writes a type. Out: a name for every type of the API, operation, fragment and shape. Types of the API
//! come first, then fragments, then operations, so that what a document adds takes no name away.

use std::collections::{HashMap, HashSet};

use super::{Client, Shape, TypeOf};

/// The names of a module.
pub(super) struct Names {
    types: HashMap<String, String>,
    shapes: Vec<ShapeNames>,
    operations: Vec<OperationNames>,
}

/// The names of one shape.
#[derive(Clone, Default)]
pub(super) struct ShapeNames {
    /// The type as a whole.
    pub(super) whole: String,
    /// Each variant, where there are any.
    pub(super) variants: Vec<String>,
    /// The base, where there are variants beside it.
    pub(super) base: String,
}

/// The names of one operation.
#[derive(Clone, Default)]
pub(super) struct OperationNames {
    /// The value or type that stands for it.
    pub(super) operation: String,
    /// Its variables.
    pub(super) variables: String,
}

struct Taken {
    taken: HashSet<String>,
    style: fn(&str) -> String,
}

impl Taken {
    /// A name like this one that nothing else has.
    fn take(&mut self, wanted: &str) -> String {
        let mut name = (self.style)(wanted);
        while !self.taken.insert(name.clone()) {
            name.push('_');
        }
        name
    }
}

impl Names {
    pub(super) fn of(client: &Client, reserved: &[&str], style: fn(&str) -> String) -> Names {
        let taken = reserved.iter().map(|name| (*name).to_owned()).collect();
        let mut taken = Taken { taken, style };
        let of_api = client.inputs.iter().map(|input| &input.name);
        let of_api = of_api.chain(client.enums.iter().map(|found| &found.name));
        let of_api = of_api.chain(client.scalars.iter().map(|found| &found.name));
        let types = of_api.map(|name| (name.clone(), taken.take(name))).collect();
        let mut shapes = vec![ShapeNames::default(); client.shapes.len()];
        for fragment in &client.fragments {
            shapes[fragment.shape].whole = taken.take(&fragment.name);
        }
        let operations = client.operations.iter().map(|operation| {
            let name = pascal(&operation.name);
            let whole = &mut shapes[operation.shape].whole;
            if whole.is_empty() {
                *whole = taken.take(&format!("{name}Data"));
            }
            OperationNames {
                operation: taken.take(&format!("{name}Operation")),
                variables: taken.take(&format!("{name}Variables")),
            }
        });
        let operations = operations.collect();
        for (names, shape) in shapes.iter_mut().zip(&client.shapes) {
            name_shape(names, shape, &mut taken);
        }
        Names { types, shapes, operations }
    }

    /// The name of a type of the API.
    pub(super) fn of_type<'a>(&'a self, name: &'a str) -> &'a str {
        self.types.get(name).map_or(name, String::as_str)
    }

    /// The names of a shape.
    pub(super) fn of_shape(&self, shape: usize) -> &ShapeNames {
        &self.shapes[shape]
    }

    /// The names of an operation, by its position.
    pub(super) fn of_operation(&self, operation: usize) -> &OperationNames {
        &self.operations[operation]
    }
}

fn name_shape(names: &mut ShapeNames, shape: &Shape, taken: &mut Taken) {
    let path: String = shape.path.iter().map(|part| pascal(part)).collect();
    if names.whole.is_empty() {
        names.whole = taken.take(&path);
    }
    if shape.variants.is_empty() {
        return;
    }
    let variants = shape.variants.iter();
    let variants = variants.map(|variant| taken.take(&format!("{path}On{}", variant.types[0])));
    names.variants = variants.collect();
    names.base = taken.take(&format!("{path}Other"));
}

/// `home_page` → `HomePage`.
pub(super) fn pascal(name: &str) -> String {
    let mut out = String::new();
    for part in name.split('_') {
        let mut letters = part.chars();
        out.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        // `SCIENCE_FICTION` is shouted, `HTTPStatus` is not.
        let is_shouted = !part.chars().any(|letter| letter.is_ascii_lowercase());
        match is_shouted && part.len() > 1 && name == name.to_ascii_uppercase() {
            true => out.push_str(&letters.as_str().to_ascii_lowercase()),
            false => out.push_str(letters.as_str()),
        }
    }
    // What is left all in capitals, as of `aB`, would be read as one word.
    if out.len() > 1 && !out.contains(|letter: char| letter.is_ascii_lowercase()) {
        out = out[..1].to_owned() + &out[1..].to_ascii_lowercase();
    }
    // `_1` has no letter to begin with.
    match out.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
        true => out,
        false => format!("V{out}"),
    }
}

/// `filmId` → `film_id`.
pub(super) fn snake(name: &str) -> String {
    let mut snake = String::new();
    let mut lower_before = false;
    for letter in name.trim_start_matches('_').chars() {
        if letter.is_ascii_uppercase() && lower_before {
            snake.push('_');
        }
        lower_before = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        if letter != '_' || !snake.ends_with('_') {
            snake.push(letter.to_ascii_lowercase());
        }
    }
    snake
}

/// `Home_page` → `homePage`.
pub(super) fn camel(name: &str) -> String {
    let name = pascal(name);
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// Names inside one object or class, each once.
#[derive(Default)]
pub(super) struct Members {
    taken: HashSet<String>,
}

impl Members {
    /// Without those that are taken already.
    pub(super) fn beside(taken: &[&str]) -> Members {
        Members { taken: taken.iter().map(|name| (*name).to_owned()).collect() }
    }

    /// A name like this one that no other member has.
    pub(super) fn take(&mut self, wanted: String) -> String {
        // What is a number of underscores only has no name in snake case.
        let mut name = if wanted.is_empty() { "field".to_owned() } else { wanted };
        while !self.taken.insert(name.clone()) {
            name.push('_');
        }
        name
    }
}

/// The lines of a description, and why something should not be used any more.
pub(super) fn remarks(description: Option<&str>, deprecated: Option<&str>) -> Vec<String> {
    let lines = description.unwrap_or_default().trim().lines().map(|line| line.trim().to_owned());
    lines.chain(deprecated.map(|reason| format!("@deprecated {}", one_line(reason)))).collect()
}

/// A text without line ends.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The input objects that stand directly in an input object, not in a list.
pub(super) fn directly(of: &TypeOf) -> Option<&str> {
    match of {
        TypeOf::Input(name) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_languages_write_them() {
        let all =
            ["home_page", "SCIENCE_FICTION", "HTTPStatus", "filmId", "__Type", "x", "aB", "_1"];
        assert_eq!(
            all.map(pascal),
            ["HomePage", "ScienceFiction", "HTTPStatus", "FilmId", "Type", "X", "Ab", "V1"]
        );
        assert_eq!(
            ["filmId", "__typename", "URL", "home__Page"].map(snake),
            ["film_id", "typename", "url", "home_page"]
        );
        assert_eq!(["Home", "home_page"].map(camel), ["home", "homePage"]);
    }
}
