//! Sets of sources made at random: one world of types is dealt out to two, three or four sources,
//! mostly so that they fit together, with slips here and there.

use base::rng::Rng;

use crate::compose::Services;

const IMPORTS: &str = "[\"@key\", \"@external\", \"@requires\", \"@provides\", \"@shareable\", \"@override\", \"@inaccessible\", \"@tag\"]";

/// Entities with the types of their fields.
const ENTITIES: [(&str, &[(&str, &str)]); 3] = [
    (
        "Product",
        &[
            ("sku", "String!"),
            ("name", "String!"),
            ("price", "Money"),
            ("weight", "Int"),
            ("maker", "Maker"),
            ("color", "Color"),
        ],
    ),
    ("Maker", &[("code", "ID!"), ("name", "String"), ("products", "[Product!]"), ("home", "Node")]),
    ("Review", &[("text", "String"), ("product", "Product!"), ("by", "Any"), ("stars", "Int!")]),
];

struct Dealer {
    rng: Rng,
    /// Whether slips are seldom, so that most sets fit together.
    calm: bool,
}

impl Dealer {
    fn chance(&self, percent: u64) -> bool {
        self.rng.below(100) < percent
    }

    fn pick<'t>(&self, from: &[&'t str]) -> &'t str {
        from[self.rng.below(from.len() as u64) as usize]
    }

    /// A slip, of which a calm dealer makes few.
    fn slips(&self, percent: u64) -> bool {
        self.rng.below(100 * if self.calm { 25 } else { 1 }) < percent
    }

    /// A type, seldom another one.
    fn slip(&self, ty: &str) -> String {
        match self.rng.below(if self.calm { 1000 } else { 40 }) {
            0 | 1 => ty.trim_end_matches('!').to_owned(),
            2 => format!("{}!", ty.trim_end_matches('!')),
            3 => "Int".to_owned(),
            _ => ty.to_owned(),
        }
    }

    fn mark(&self) -> &'static str {
        match self.rng.below(if self.calm { 200 } else { 60 }) {
            0 => " @inaccessible",
            1 => " @tag(name: \"x\")",
            2 => " @deprecated(reason: \"old\")",
            _ => "",
        }
    }
}

/// What a source holds, type by type.
#[derive(Default)]
struct Held {
    text: String,
    uses: Vec<&'static str>,
}

/// The set that belongs to a seed.
pub(crate) fn random_sources(seed: u64) -> Services {
    let dealer = Dealer { rng: Rng::seeded(0x5eed_0002 + seed), calm: !seed.is_multiple_of(3) };
    let count = 2 + dealer.rng.below(3) as usize;
    let mut held: Vec<Held> = (0..count).map(|_| Held::default()).collect();
    for (entity, fields) in ENTITIES {
        deal(&dealer, entity, fields, &mut held);
    }
    queries(&dealer, &mut held);
    for source in &mut held {
        small_types(&dealer, source);
    }
    let names = ["a", "b", "c", "d"];
    let named = held.into_iter().zip(names);
    named.map(|(held, name)| (name.to_owned(), finish(&dealer, &held))).collect()
}

fn finish(dealer: &Dealer, held: &Held) -> String {
    if dealer.slips(10) {
        // Version 1 does not know what came with 2.
        let mut text = held.text.clone();
        for word in [" @shareable", " @inaccessible"] {
            text = text.replace(word, "");
        }
        return without_override(&text);
    }
    let version = dealer.pick(&["2.0", "2.3", "2.7"]);
    let mut text = format!(
        "extend schema @link(url: \"https://specs.apollo.dev/federation/v{version}\", import: {IMPORTS})\n{}",
        held.text
    );
    if version == "2.0" {
        text = text.replace(", label: \"percent(5)\"", "");
    }
    text
}

fn without_override(text: &str) -> String {
    let mut kept = String::new();
    for (index, piece) in text.split(" @override(").enumerate() {
        kept += if index == 0 { piece } else { piece.split_once(')').map_or("", |(_, rest)| rest) };
    }
    kept
}

fn deal(dealer: &Dealer, entity: &'static str, fields: &[(&str, &'static str)], held: &mut [Held]) {
    let count = held.len() as u64;
    let own_key = fields[0].0;
    let mut bodies: Vec<Option<String>> = vec![None; held.len()];
    for body in &mut bodies {
        if dealer.calm || dealer.chance(75) {
            *body = Some(String::new());
        }
    }
    let keyed = !dealer.slips(15);
    for (name, ty) in fields {
        let shared = dealer.chance(15);
        let home = dealer.rng.below(count) as usize;
        for (source, body) in bodies.iter_mut().enumerate() {
            let Some(body) = body else { continue };
            let has = source == home || (shared && dealer.chance(60)) || dealer.slips(4);
            if !has {
                continue;
            }
            held[source].uses.push(ty);
            let share = if shared && !dealer.slips(6) { " @shareable" } else { "" };
            let over = match dealer.rng.below(if dealer.calm { 400 } else { 50 }) {
                0 => " @override(from: \"a\")",
                1 => " @override(from: \"b\")",
                2 => " @override(from: \"b\", label: \"percent(5)\")",
                _ => "",
            };
            let arguments = match dealer.rng.below(if shared && dealer.calm { 600 } else { 30 }) {
                0 => "(first: Int)",
                1 => "(first: Int = 3)",
                2 => "(color: Color)",
                3 => "(filter: Filter)",
                _ => "",
            };
            if arguments.contains("Color") {
                held[source].uses.push("Color");
            }
            if arguments.contains("Filter") {
                held[source].uses.push("Filter");
            }
            let provides = match *ty {
                "Maker" if dealer.slips(20) => " @provides(fields: \"name\")",
                "Product!" if dealer.slips(20) => " @provides(fields: \"weight\")",
                _ => "",
            };
            *body += &format!(
                "  {name}{arguments}: {}{share}{over}{provides}{}\n",
                dealer.slip(ty),
                dealer.mark()
            );
        }
    }
    for (source, body) in bodies.into_iter().enumerate() {
        let Some(mut body) = body else { continue };
        let mut head = String::from(if dealer.slips(8) { "extend type " } else { "type " });
        head += entity;
        let id = !dealer.slips(10);
        if id {
            body += "  id: ID!\n";
        }
        let keys = match dealer.rng.below(if dealer.calm { 200 } else { 10 }) {
            _ if !keyed => "",
            0 => " @key(fields: \"id\", resolvable: false)",
            1 if body.contains(&format!("  {own_key}:")) => "own",
            2 => "",
            3 => " @key(fields: \"id\") @key(fields: \"__typename id\")",
            _ => " @key(fields: \"id\")",
        };
        let key =
            if keys == "own" { format!(" @key(fields: \"{own_key}\")") } else { keys.to_owned() };
        if !id && key.contains("id") {
            body += "  id: ID!\n";
        }
        if entity == "Product" {
            body += &externals(dealer, &body);
        }
        if body.is_empty() {
            continue;
        }
        let text = format!("{head}{key} {{\n{body}}}\n");
        held[source].uses.push(entity);
        held[source].text += &text;
    }
}

/// Fields that another source has to give, with something that needs them.
fn externals(dealer: &Dealer, body: &str) -> String {
    let has =
        |name: &str| body.contains(&format!("  {name}:")) || body.contains(&format!("  {name}("));
    if has("weight") || !dealer.slips(20) {
        return String::new();
    }
    match dealer.rng.below(4) {
        0 => "  weight: Int @external\n".to_owned(),
        1 => format!(
            "  weight: Int @external\n  cost{}: Int @requires(fields: \"weight\")\n",
            dealer.rng.below(2)
        ),
        2 => format!(
            "  weight: Int @external\n  cost{}: Int @requires(fields: \"weight\") @shareable\n",
            dealer.rng.below(2)
        ),
        _ => format!(
            "  weight: {} @external\n  cost2: Int @requires(fields: \"weight\")\n",
            dealer.slip("Int")
        ),
    }
}

fn queries(dealer: &Dealer, held: &mut [Held]) {
    for (source, holder) in held.iter_mut().enumerate() {
        let mut body = String::new();
        for (field, ty) in [
            ("product", "Product"),
            ("makers", "[Maker!]"),
            ("reviews", "[Review]"),
            ("any", "Any"),
            ("node", "Node"),
            ("paint", "Color"),
        ] {
            let base = ty.trim_matches(['[', ']', '!']);
            let known = holder.uses.contains(&base) || !ENTITIES.iter().any(|(e, _)| *e == base);
            if !known || !dealer.chance(30) {
                continue;
            }
            let (name, share) = match dealer.rng.below(if dealer.calm { 400 } else { 10 }) {
                0 => (field.to_owned(), ""),
                1 | 2 => (field.to_owned(), " @shareable"),
                _ => (format!("{field}{source}"), ""),
            };
            let argument = match field {
                "paint" => "(like: Color)",
                "reviews" => "(filter: Filter)",
                _ => "",
            };
            holder.uses.push(ty);
            if !argument.is_empty() {
                holder.uses.extend(["Color", "Filter"]);
            }
            body += &format!("  {name}{argument}: {ty}{share}{}\n", dealer.mark());
        }
        if !body.is_empty() {
            holder.text += &format!("type Query {{\n{body}}}\n");
        }
    }
}

/// The types that the fields dealt so far speak of.
fn small_types(dealer: &Dealer, held: &mut Held) {
    let uses = |held: &Held, name: &str| {
        held.uses.iter().any(|used| used.trim_matches(['[', ']', '!']) == name)
    };
    for (entity, _) in ENTITIES {
        if uses(held, entity) && !held.text.contains(&format!("type {entity} ")) {
            held.text +=
                &format!("type {entity} @key(fields: \"id\", resolvable: false) {{ id: ID! }}\n");
        }
    }
    if uses(held, "Money") {
        let cents = if dealer.slips(15) { " cents: Int" } else { "" };
        let share = if !dealer.slips(10) { " @shareable" } else { "" };
        held.text += &format!("type Money{share} {{ amount: Int!{cents} }}\n");
    }
    if uses(held, "Any") {
        let members: Vec<&str> = ["Product", "Maker", "Review"]
            .into_iter()
            .filter(|name| held.text.contains(&format!("type {name} ")))
            .filter(|_| dealer.chance(80))
            .collect();
        if members.is_empty() {
            held.text += "union Any = Nobody\ntype Nobody @shareable { x: Int }\n";
        } else {
            held.text += &format!("union Any = {}\n", members.join(" | "));
        }
    }
    if uses(held, "Node") {
        let more = if dealer.slips(15) { " name: String" } else { "" };
        held.text += &format!("interface Node {{ id: ID!{more} }}\n");
        if !more.is_empty() {
            held.text += "type Thing implements Node @key(fields: \"id\") { id: ID! name: String @shareable }\n";
        } else if dealer.chance(50) {
            held.text += "type Thing implements Node @key(fields: \"id\") { id: ID! }\n";
        }
    }
    if uses(held, "Filter") {
        let inputs = match dealer.rng.below(if dealer.calm { 100 } else { 8 }) {
            0 => "min: Int!",
            1 => "min: Int max: Int!",
            2 => "min: Int = 1",
            3 => "min: Int color: Color",
            4 => "most: Int",
            _ => "min: Int max: Int",
        };
        held.text += &format!("input Filter {{ {inputs} }}\n");
        if inputs.contains("Color") {
            held.uses.push("Color");
        }
    }
    if uses(held, "Color") {
        let values =
            if dealer.slips(40) { dealer.pick(&["RED", "RED GREEN BLUE"]) } else { "RED GREEN" };
        held.text += &format!("enum Color {{ {values} }}\n");
    }
}
