//! Non-interference: random documents of callers who may not see everything.
//!
//! In: a seed. Out: documents over all names of the schema, hidden ones too, and their answers from two
//! databases that differ in what these callers may not see. Equal bytes, and as many scans.

use base::Principal;
use base::rng::Rng;

use super::{Database, caller, read};

const DOCUMENTS: usize = 300;

const FIELDS: [&str; 25] = [
    "id",
    "name",
    "team",
    "salary",
    "bonus",
    "yearly",
    "note",
    "home { city }",
    "face",
    "phone",
    "nick",
    "iban",
    "badge",
    "desk { id }",
    "dial",
    "bank",
    "turn",
    "letters { id body mark person { id salary } }",
    "letters(first: 1, orderBy: [{mark: DESC}]) { id }",
    "letters(where: {mark: {gte: 3}}) { id personId }",
    // Names that only some callers know come seldom: a document with one of them is refused whole.
    "rank",
    "level",
    "boss { id }",
    "alike { id }",
    "role",
];

const WANTED: [&str; 17] = [
    "salary: {gt: 1000}",
    "salary: {isNull: false}",
    "bonus: {lt: 9102}",
    "bonus: {isNull: true}",
    "note: {contains: \"o\"}",
    "home: {city: {ne: \"Atown1\"}}",
    "home: {isNull: true}",
    "face: {isNull: true}",
    "phone: {contains: \"*\"}",
    "nick: {isNull: true}",
    "nick: {ne: \"***\"}",
    "iban: {gt: \"DE\"}",
    "badge: {lt: 9803}",
    "team: {eq: \"red\"}",
    "name: {startsWith: \"A\"}",
    "rank: {gt: 9203}",
    "bossId: {eq: \"u1\"}",
];

const ORDERS: [&str; 7] = [
    "name: DESC",
    "team: ASC",
    "id: DESC",
    "team: DESC",
    "salary: DESC",
    "bonus: ASC",
    "rank: ASC",
];

const MEASURES: [&str; 8] = [
    "count",
    "min { name }",
    "countDistinct { team }",
    "max { team }",
    "sum { salary }",
    "max { bonus }",
    "countOf { rank }",
    "avg { salary }",
];

const WORDS: [&str; 6] = ["plums", "geese", "open", "Bob", "plum* OR open", "geese -all"];

struct Drawer<'r>(&'r Rng);

impl<'r> Drawer<'r> {
    fn one<'a>(&self, of: &[&'a str]) -> &'a str {
        of[self.0.below(of.len() as u64) as usize]
    }

    /// One of a list whose last `rare` items come seldom.
    fn seldom<'a>(&self, of: &[&'a str], rare: usize) -> &'a str {
        let whole = self.0.below(12) == 0;
        self.one(if whole { of } else { &of[..of.len() - rare] })
    }

    fn chance(&self, of: u64) -> bool {
        self.0.below(of) == 0
    }

    fn wanted(&self) -> String {
        let one = || self.seldom(&WANTED, 2);
        match self.0.below(4) {
            0 => format!("{{{}}}", one()),
            1 => format!("{{not: {{{}}}}}", one()),
            2 => format!("{{or: [{{{}}}, {{{}}}]}}", one(), one()),
            _ => format!("{{and: [{{{}}}, {{not: {{{}}}}}]}}", one(), one()),
        }
    }

    fn fields(&self) -> String {
        let mut fields = vec!["id"];
        for _ in 0..=self.0.below(5) {
            let field = self.seldom(&FIELDS, 5);
            let name = |field: &str| field.split([' ', '(']).next().unwrap_or_default().to_owned();
            if !fields.iter().any(|known| name(known) == name(field)) {
                fields.push(field);
            }
        }
        fields.join(" ")
    }

    fn people(&self) -> String {
        let mut arguments = Vec::new();
        if self.chance(2) {
            arguments.push(format!("where: {}", self.wanted()));
        }
        if self.chance(2) {
            arguments.push(format!("orderBy: [{{{}}}]", self.seldom(&ORDERS, 3)));
        }
        if self.chance(4) {
            arguments.push(format!("search: \"{}\"", self.one(&WORDS)));
        }
        if self.chance(2) {
            arguments.push(format!("first: {}", 1 + self.0.below(4)));
        }
        let page = self.one(&["", " totalCount", " pageInfo { endCursor hasNextPage }"]);
        format!("people{} {{ nodes {{ {} }}{page} }}", bracketed(&arguments), self.fields())
    }

    fn letters(&self) -> String {
        let mut arguments = Vec::new();
        if self.chance(2) {
            let wanted = ["mark: {gt: 1}", "body: {contains: \"e\"}", "personId: {ne: \"u2\"}"];
            arguments.push(format!("where: {{{}}}", self.one(&wanted)));
        }
        if self.chance(2) {
            let order = self.one(&["mark: DESC", "body: ASC", "personId: ASC"]);
            arguments.push(format!("orderBy: [{{{order}}}]"));
        }
        if self.chance(2) {
            arguments.push(format!("search: \"{}\"", self.one(&WORDS)));
        }
        let score = if self.chance(10) { " edges { score }" } else { "" };
        let fields = "id body mark person { id name salary letters { id } }";
        format!("letters{} {{ nodes {{ {fields} }} totalCount{score} }}", bracketed(&arguments))
    }

    fn groups(&self) -> String {
        let keys = ["team: VALUE", "name: VALUE", "salary: {}", "bonus: {bucket: 10}"];
        let mut arguments = vec![format!("groupBy: [{{{}}}]", self.seldom(&keys, 2))];
        if self.chance(2) {
            arguments.push(format!("where: {}", self.wanted()));
        }
        if self.chance(3) {
            let having = ["count: {gt: 1}", "max: {name: {gt: \"B\"}}", "sum: {salary: {gt: 1}}"];
            arguments.push(format!("having: {{{}}}", self.seldom(&having, 1)));
        }
        let measure = self.seldom(&MEASURES, 4);
        format!("peopleAggregate{} {{ keys {{ team }} {measure} }}", bracketed(&arguments))
    }

    fn document(&self) -> String {
        let mut roots = Vec::new();
        for alias in ["a", "b"].iter().take(1 + self.0.below(2) as usize) {
            let root = match self.0.below(8) {
                0..=3 => self.people(),
                4 | 5 => self.letters(),
                6 => self.groups(),
                _ => format!("person(id: \"u{}\") {{ {} }}", 1 + self.0.below(6), self.fields()),
            };
            roots.push(format!("{alias}: {root}"));
        }
        if self.chance(20) {
            roots.push("audits { totalCount }".to_owned());
        }
        if self.chance(10) {
            roots.push("events(first: 3) { nodes { kind count } totalCount }".to_owned());
        }
        format!("{{ {} }}", roots.join(" "))
    }
}

fn bracketed(arguments: &[String]) -> String {
    if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) }
}

#[tokio::test]
async fn what_is_held_back_changes_no_answer() {
    let [one, other] = Database::pair(&read("schema.graphql")).await;
    let rng = Rng::seeded(1);
    let callers = [caller("u2", &[]), caller("u9", &["unknown"])];
    let (mut answered, mut told) = (0, 0);
    for number in 0..DOCUMENTS {
        let document = Drawer(&rng).document();
        for who in &callers {
            let answer = one.ask(&document, who).await;
            let scans = one.asked();
            assert_eq!(answer, other.ask(&document, who).await, "{number}: {document}");
            assert_eq!(scans, other.asked(), "{number}: {document}");
            answered += usize::from(answer.starts_with("{\"data\":{"));
        }
        let all = Principal::local();
        told += usize::from(one.ask(&document, &all).await != other.ask(&document, &all).await);
        one.asked();
        other.asked();
    }
    // The property is empty when everything is refused, or when there is nothing to be told.
    assert!(answered > DOCUMENTS / 2, "only {answered} documents were answered");
    assert!(told > DOCUMENTS / 2, "only {told} documents tell whoever sees everything");
}
