//! Random documents over tables in memory: their parts make the answer in one piece.

use base::Principal;
use base::rng::Rng;
use mesh::{Request, Settings};

use super::{Seen, compare};
use crate::fixture::fixture_with;

/// Draws documents over the films.
struct Draw(Rng);

impl Draw {
    fn one(&self, of: &[&'static str]) -> &'static str {
        of[self.0.below(of.len() as u64) as usize]
    }

    fn chance(&self, percent: u64) -> bool {
        self.0.below(100) < percent
    }

    /// A selection set on a type, in which fragments are deferred here and there.
    fn set(&self, on: &str, depth: usize) -> String {
        let count = 1 + self.0.below(4);
        let all: Vec<String> = (0..count)
            .map(|_| match self.0.below(4) {
                0 if depth > 0 => format!("... {} {}", self.defer(), self.set(on, depth - 1)),
                _ => self.field(on, depth),
            })
            .collect();
        format!("{{ {} }}", all.join(" "))
    }

    fn defer(&self) -> String {
        match self.0.below(4) {
            0 => String::new(),
            1 => format!("@defer(label: \"l{}\")", self.0.below(1 << 40)),
            _ => "@defer".to_owned(),
        }
    }

    /// A list, under a name of its own where it is streamed.
    fn list(&self, name: &str, on: &str, depth: usize) -> String {
        if self.chance(50) {
            return format!("{name} {}", self.set(on, depth));
        }
        let stream = self.one(&["@stream", "@stream(initialCount: 1)", "@stream(initialCount: 2)"]);
        format!("s{}: {name} {stream} {}", self.0.below(1 << 40), self.set(on, depth))
    }

    fn field(&self, on: &str, depth: usize) -> String {
        let leaf = match on {
            "Query" => "__typename",
            "Film" => self.one(&["id", "title", "year", "genres", "stars", "decade", "perYear"]),
            "Person" => self.one(&["id", "name", "born"]),
            "Play" => self.one(&["seconds", "at"]),
            "FilmConnection" => self.one(&["totalCount", "pageInfo { hasNextPage }"]),
            "Edge" => "cursor",
            _ => "__typename",
        };
        if depth == 0 || self.chance(40) {
            return leaf.to_owned();
        }
        let depth = depth - 1;
        match (on, self.0.below(4)) {
            ("Query", 0 | 1) => {
                let films = self.one(&[
                    "films",
                    "few: films(first: 2)",
                    "none: films(where: {year: {eq: 1}})",
                ]);
                format!("{films} {}", self.set("FilmConnection", depth))
            }
            ("Query", 2) => format!("film(id: \"f1\") {}", self.set("Film", depth)),
            ("Query", _) => format!("p2: person(id: \"p2\") {}", self.set("Person", depth)),
            ("FilmConnection", 0 | 1) => self.list("nodes", "Film", depth),
            ("FilmConnection", _) => format!("edges {}", self.set("Edge", depth)),
            ("Edge", _) => format!("node {}", self.set("Film", depth)),
            ("Film", 0) => self.list("plays", "Play", depth),
            ("Film", 1) => self.list("similar", "Film", depth),
            ("Film", _) => format!("director {}", self.set("Person", depth)),
            ("Person", _) => self.list("films", "Film", depth),
            ("Play", 0 | 1) => format!("film {}", self.set("Film", depth)),
            ("Play", _) => format!("user {}", self.set("Person", depth)),
            _ => leaf.to_owned(),
        }
    }
}

#[test]
fn parts_of_random_documents_over_tables_make_the_answer_in_one_piece() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let settings = Settings { incremental: true, ..Settings::default() };
    let fixture = runtime.block_on(fixture_with(settings));
    let (rng, mut seen) = (Rng::seeded(20_261_130), Seen::default());
    for _ in 0..300 {
        let seed = rng.next_u64();
        let draw = Draw(Rng::seeded(seed));
        let text = draw.set("Query", 6);
        let request = Request::new(&text, Principal::local());
        let compared = compare(&runtime, &fixture.engine, request, &mut seen);
        assert!(compared.is_ok(), "seed {seed}: {}", compared.unwrap_err());
    }
    seen.check(80, true);
}
