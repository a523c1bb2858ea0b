//! The demo graph: its rows, and what its fields answer; the same as `tests/federation/resolvers.mjs`.
//!
//! In: `tests/federation/data.json`. Out: objects that apollo-compiler's executor walks. Not here: which
//! service knows which field (its schema says it), documents, HTTP.

use std::collections::HashMap;
use std::sync::LazyLock;

use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use apollo_compiler::response::{JsonMap, JsonValue};

/// The rows with what finds them.
#[derive(Debug)]
struct Tables {
    users: Vec<JsonMap>,
    products: Vec<JsonMap>,
    bundles: Vec<JsonMap>,
    reviews: Vec<JsonMap>,
    /// Places of rows by `id` or `upc`, whose first letters differ from table to table.
    places: HashMap<String, usize>,
}

/// A file of this repository that is not what it was leaves nothing to measure: that panics.
static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let text = include_str!("../../../tests/federation/data.json");
    let mut tables: HashMap<String, Vec<JsonMap>> =
        serde_json::from_str(text).expect("data.json holds tables");
    let mut table = |name: &str| tables.remove(name).expect("data.json holds every table");
    let (users, products) = (table("users"), table("products"));
    let (bundles, reviews) = (table("bundles"), table("reviews"));
    let mut places = HashMap::new();
    for (rows, key) in [(&users, "id"), (&products, "upc"), (&bundles, "upc"), (&reviews, "id")] {
        places.extend(rows.iter().enumerate().map(|(place, row)| (text_of(row, key), place)));
    }
    Tables { users, products, bundles, reviews, places }
});

/// One object of the graph.
#[derive(Clone, Debug)]
pub(crate) enum Object {
    /// A root type: of a service with this SDL, or of the whole graph.
    Root(&'static str, Option<&'static str>),
    /// What `_service` answers.
    Service(&'static str),
    /// A row, or what a representation says of one.
    Row(&'static str, JsonMap),
}

/// What a field gives.
type Answer<'a> = Result<ResolvedValue<'a>, FieldError>;

impl ObjectValue for Object {
    fn type_name(&self) -> &str {
        match self {
            Object::Root(name, _) | Object::Row(name, _) => name,
            Object::Service(_) => "_Service",
        }
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Answer<'a> {
        match self {
            Object::Root(_, sdl) => root(*sdl, info),
            Object::Service(sdl) => Ok(ResolvedValue::leaf(*sdl)),
            Object::Row(type_name, row) => field(type_name, row, info),
        }
    }
}

/// Fields of `Query` and `Mutation`.
fn root<'a>(sdl: Option<&'static str>, info: &'a ResolveInfo<'a>) -> Answer<'a> {
    let (tables, arguments) = (&*TABLES, info.arguments());
    let first = || usize::try_from(integer(arguments, "first").unwrap_or(0)).unwrap_or(0);
    Ok(match info.field_name() {
        "_service" => ResolvedValue::object(Object::Service(sdl.unwrap_or_default())),
        "_entities" => {
            let given = arguments.get("representations").and_then(JsonValue::as_array);
            let objects = given.into_iter().flatten().map(|one| entity(one, sdl)).collect();
            nullable(objects)
        }
        "me" => ResolvedValue::object(user(&tables.users[0])),
        "user" => ResolvedValue::nullable_object(found(&text_of(arguments, "id"))),
        "product" => ResolvedValue::nullable_object(found(&text_of(arguments, "upc"))),
        "review" => ResolvedValue::nullable_object(found(&text_of(arguments, "id"))),
        "users" => objects(tables.users.iter().take(first()).map(user).collect()),
        "topProducts" => objects(tables.products.iter().take(first()).map(product).collect()),
        "reviews" => objects(tables.reviews.iter().take(first()).map(review).collect()),
        "catalogue" => objects(catalogue().into_iter().take(first()).collect()),
        "archive" => objects((0..first()).map(entry).collect()),
        "feed" => {
            let all = tables.reviews.iter().flat_map(mentions);
            objects(all.take(first()).collect())
        }
        "lowStock" => {
            let low = tables.products.iter().filter(|row| integer(row, "stock") < Some(5));
            // A service has the key and what it needs itself; the whole graph has the row.
            let low = low.map(|row| if sdl.is_some() { known(row) } else { product(row) });
            objects(low.take(first()).collect())
        }
        "addReview" => ResolvedValue::object(new_review(arguments)),
        _ => return Err(Object::Root("Query", sdl).unknown_field_error(info)),
    })
}

/// Fields of rows. Those that are not computed are what the row says, or null.
fn field<'a>(type_name: &str, row: &'a JsonMap, info: &'a ResolveInfo<'a>) -> Answer<'a> {
    let name = info.field_name();
    Ok(match (type_name, name) {
        ("User", "reviews") => objects(reviews_where("author", &text_of(row, "id"))),
        ("Product", "reviews") => {
            let first = integer(info.arguments(), "first").unwrap_or(0);
            let mut all = reviews_where("product", &text_of(row, "upc"));
            all.truncate(usize::try_from(first).unwrap_or(0));
            objects(all)
        }
        ("Review", "author") => ResolvedValue::nullable_object(found(&text_of(row, "author"))),
        ("Review", "product") => ResolvedValue::nullable_object(found(&text_of(row, "product"))),
        ("Review", "mentions") => objects(mentions(row)),
        ("Bundle", "products") => objects(named(row, "products")),
        ("Product", "dimensions") => ResolvedValue::nullable_object(dimensions(row)),
        ("Product", "inStock") => ResolvedValue::leaf(integer(row, "stock") > Some(0)),
        ("Product", "shippingEstimate") => shipping(row).map_or_else(ResolvedValue::null, leaf),
        ("Product", "fits") => fits(row).map_or_else(ResolvedValue::null, ResolvedValue::leaf),
        _ => plain(row.get(name)),
    })
}

/// The object that a representation names. The inventory knows of products only their stock: what its
/// fields require comes with the representation, or is absent.
fn entity(representation: &JsonValue, sdl: Option<&'static str>) -> Option<Object> {
    let given = representation.as_object()?;
    let key = match text_of(given, "__typename").as_str() {
        "Product" | "Bundle" => text_of(given, "upc"),
        _ => text_of(given, "id"),
    };
    let Object::Row(type_name, row) = found(&key)? else { return None };
    if !sdl.is_some_and(|sdl| sdl.contains("shippingEstimate")) {
        return Some(Object::Row(type_name, row));
    }
    let mut fields = given.clone();
    fields.insert("stock", row.get("stock").cloned()?);
    Some(Object::Row(type_name, fields))
}

fn found(key: &str) -> Option<Object> {
    let (tables, place) = (&*TABLES, *TABLES.places.get(key)?);
    match key.as_bytes().first()? {
        b'u' => tables.users.get(place).map(user),
        b'p' => tables.products.get(place).map(product),
        b'b' => tables.bundles.get(place).map(bundle),
        _ => tables.reviews.get(place).map(review),
    }
}

fn user(row: &JsonMap) -> Object {
    Object::Row("User", row.clone())
}

fn product(row: &JsonMap) -> Object {
    Object::Row("Product", row.clone())
}

fn bundle(row: &JsonMap) -> Object {
    Object::Row("Bundle", row.clone())
}

fn review(row: &JsonMap) -> Object {
    Object::Row("Review", row.clone())
}

/// A product as the inventory knows it.
fn known(row: &JsonMap) -> Object {
    let kept = |name: &'static str| Some((name, row.get(name)?.clone()));
    Object::Row("Product", ["upc", "stock"].into_iter().filter_map(kept).map(pair).collect())
}

fn pair(
    (name, value): (&str, JsonValue),
) -> (apollo_compiler::response::serde_json_bytes::ByteString, JsonValue) {
    (name.into(), value)
}

/// A bundle after every four products.
fn catalogue() -> Vec<Object> {
    let mut all = Vec::new();
    for (index, row) in TABLES.products.iter().enumerate() {
        all.push(product(row));
        if index % 4 == 3 {
            all.extend(TABLES.bundles.get(index / 4).map(bundle));
        }
    }
    all
}

fn entry(index: usize) -> Object {
    let tables = &*TABLES;
    let text = |row: &JsonMap, name| row.get(name).cloned().unwrap_or(JsonValue::Null);
    let bodies = (0..3).map(|k| &tables.reviews[(index + k) % tables.reviews.len()]);
    let bodies: Vec<String> = bodies.map(|row| text_of(row, "body")).collect();
    let tags = (0..index % 4).map(|k| &tables.users[(index + k) % tables.users.len()]);
    let fields = [
        ("id", format!("e{index}").into()),
        ("title", text(&tables.products[index % tables.products.len()], "name")),
        ("text", bodies.join(" ").into()),
        ("size", (index * 37 % 1000).into()),
        ("tags", JsonValue::Array(tags.map(|row| text(row, "name")).collect())),
    ];
    Object::Row("Entry", fields.into_iter().map(pair).collect())
}

fn new_review(arguments: &JsonMap) -> Object {
    let argument = |name| arguments.get(name).cloned().unwrap_or(JsonValue::Null);
    let fields = [
        ("id", "r-new".into()),
        ("body", argument("body")),
        ("stars", 5.into()),
        ("author", "u0".into()),
        ("product", argument("upc")),
        ("mentions", JsonValue::Array(Vec::new())),
    ];
    Object::Row("Review", fields.into_iter().map(pair).collect())
}

fn reviews_where(field: &str, key: &str) -> Vec<Object> {
    let wanted = |row: &&JsonMap| row.get(field).and_then(JsonValue::as_str) == Some(key);
    TABLES.reviews.iter().filter(wanted).map(review).collect()
}

fn mentions(row: &JsonMap) -> Vec<Object> {
    named(row, "mentions")
}

/// The objects whose keys a row lists.
fn named(row: &JsonMap, field: &str) -> Vec<Object> {
    let keys = row.get(field).and_then(JsonValue::as_array).into_iter().flatten();
    keys.filter_map(|key| found(key.as_str()?)).collect()
}

fn dimensions(row: &JsonMap) -> Option<Object> {
    if let Some(given) = row.get("dimensions") {
        return Some(Object::Row("Dimensions", given.as_object()?.clone()));
    }
    let side = |name: &'static str| Some((name, row.get(name)?.clone()));
    let sides = [side("width")?, side("height")?];
    Some(Object::Row("Dimensions", sides.into_iter().map(pair).collect()))
}

fn shipping(row: &JsonMap) -> Option<i64> {
    let (price, weight) = (integer(row, "price")?, integer(row, "weight")?);
    Some(if price > 1000 { 0 } else { weight / 2 })
}

fn fits(row: &JsonMap) -> Option<bool> {
    let Object::Row(_, sides) = dimensions(row)? else { return None };
    Some(integer(&sides, "width")? * integer(&sides, "height")? <= 6000)
}

/// What a row says itself.
fn plain<'a>(value: Option<&JsonValue>) -> ResolvedValue<'a> {
    match value {
        Some(JsonValue::Array(items)) => {
            ResolvedValue::list(items.clone().into_iter().map(ResolvedValue::Leaf))
        }
        Some(value) => ResolvedValue::Leaf(value.clone()),
        None => ResolvedValue::null(),
    }
}

fn leaf<'a>(value: i64) -> ResolvedValue<'a> {
    ResolvedValue::leaf(value)
}

fn objects<'a>(all: Vec<Object>) -> ResolvedValue<'a> {
    ResolvedValue::list(all.into_iter().map(ResolvedValue::object))
}

fn nullable<'a>(all: Vec<Option<Object>>) -> ResolvedValue<'a> {
    ResolvedValue::list(all.into_iter().map(ResolvedValue::nullable_object))
}

fn integer(map: &JsonMap, name: &str) -> Option<i64> {
    map.get(name).and_then(JsonValue::as_i64)
}

fn text_of(map: &JsonMap, name: &str) -> String {
    map.get(name).and_then(JsonValue::as_str).unwrap_or_default().to_owned()
}
