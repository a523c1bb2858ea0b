//! Models: the built-in ones, and ONNX files that are made here, protobuf byte by byte.

use base::Kind;
use image::{DynamicImage, ImageFormat};
use media::{Accepts, BUILT_IN, DecodedImage, Limits, Model, decode};
use std::fs;

use crate::samples::{encode, gradient};

/// A protobuf field that holds bytes: texts and messages.
fn bytes(field: u64, body: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(body.len() as u64), body.to_vec()].concat()
}

/// A protobuf field that holds a number.
fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

const FLOAT: u64 = 1;
const INT64: u64 = 7;

/// An input or output: name, element type, sizes (0: any).
fn value(name: &str, kind: u64, shape: &[u64]) -> Vec<u8> {
    let sizes: Vec<u8> = shape
        .iter()
        .map(|&size| bytes(1, &if size == 0 { bytes(2, b"any") } else { number(1, size) }))
        .collect::<Vec<_>>()
        .concat();
    let tensor = [number(1, kind), bytes(2, &sizes)].concat();
    [bytes(1, name.as_bytes()), bytes(2, &bytes(1, &tensor))].concat()
}

/// A constant of floats.
fn constant(name: &str, shape: &[u64], values: &[f32]) -> Vec<u8> {
    let sizes: Vec<u8> = shape.iter().flat_map(|&size| number(1, size)).collect();
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    [sizes, number(2, FLOAT), bytes(8, name.as_bytes()), bytes(9, &raw)].concat()
}

fn node(operator: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|name| bytes(1, name.as_bytes())).collect();
    let attributes: Vec<u8> = attributes.iter().flat_map(|body| bytes(5, body)).collect();
    [
        inputs,
        bytes(2, output.as_bytes()),
        bytes(3, output.as_bytes()),
        bytes(4, operator.as_bytes()),
        attributes,
    ]
    .concat()
}

/// An attribute that is a whole number.
fn whole(name: &str, value: u64) -> Vec<u8> {
    [bytes(1, name.as_bytes()), number(3, value), number(20, 2)].concat()
}

fn model(nodes: &[Vec<u8>], constants: &[Vec<u8>], inputs: &[Vec<u8>], output: &[u8]) -> Vec<u8> {
    let field = |number: u64, items: &[Vec<u8>]| {
        items.iter().flat_map(|i| bytes(number, i)).collect::<Vec<u8>>()
    };
    let graph = [
        field(1, nodes),
        bytes(2, b"graph"),
        field(5, constants),
        field(11, inputs),
        bytes(12, output),
    ]
    .concat();
    [number(1, 8), bytes(7, &graph), bytes(8, &number(2, 13))].concat()
}

/// Averages each channel: `[1, 3, h, w]` to `[1, 3, 1, 1]`.
fn average_model(side: u64) -> Vec<u8> {
    model(
        &[node("GlobalAveragePool", &["picture"], "vector", &[])],
        &[],
        &[value("picture", FLOAT, &[0, 3, side, side])],
        &value("vector", FLOAT, &[0, 3, 1, 1]),
    )
}

/// Looks each token up in a table of six two-number rows, and leaves the pooling to us.
fn lookup_model() -> Vec<u8> {
    let table = [0.0, 0.0, 9.0, 9.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0];
    model(
        &[node("Gather", &["table", "input_ids"], "rows", &[whole("axis", 0)])],
        &[constant("table", &[6, 2], &table)],
        &[value("input_ids", INT64, &[0, 0])],
        &value("rows", FLOAT, &[0, 0, 2]),
    )
}

fn plain(color: [u8; 3]) -> DecodedImage {
    DecodedImage::new(5, 7, false, color.repeat(35)).expect("fits")
}

fn likeness(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

#[track_caller]
fn refused(result: base::Result<impl std::fmt::Debug>, kind: Kind, part: &str) {
    let error = result.expect_err("must be refused");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(part), "{error}");
}

#[test]
fn built_in_models_are_what_their_table_says() {
    for (name, dimension, accepts) in BUILT_IN {
        let model = Model::open(name, None).expect("built in");
        assert_eq!(
            (model.name(), model.dimension(), model.accepts()),
            (*name, *dimension, *accepts)
        );
        let vector = match accepts {
            Accepts::Image => model.embed_image(&plain([1, 2, 3])),
            Accepts::Text => model.embed_text("a text"),
        };
        let vector = vector.expect("embeds what it accepts");
        assert_eq!(vector.len(), *dimension);
        assert!((likeness(&vector, &vector) - 1.0).abs() < 1e-4);
    }
    let text = Model::open("text-small", None).expect("built in");
    refused(
        text.embed_image(&plain([0; 3])),
        Kind::Unsupported,
        "model `text-small` does not embed images, only texts",
    );
}

#[test]
fn a_model_is_shared_between_threads() {
    let model = Model::open("image-small", None).expect("built in");
    let model = &model;
    let embed = move |shade: u8| model.embed_image(&plain([shade, 9, 200])).expect("embeds");
    let alone: Vec<Vec<f32>> = (0..4).map(embed).collect();
    let together: Vec<Vec<f32>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|shade| scope.spawn(move || embed(shade))).collect();
        threads.into_iter().map(|thread| thread.join().expect("ends")).collect()
    });
    assert_eq!(alone, together);
}

#[test]
fn image_small_sees_what_looks_alike() {
    let model = Model::open("image-small", None).expect("built in");
    let picture = DynamicImage::ImageRgba8(gradient(80, 60));
    let embed = |picture: &DynamicImage, format| {
        let decoded = decode(&encode(picture, format), &Limits::default()).expect("honest");
        model.embed_image(&decoded.image).expect("embeds")
    };
    let original = embed(&picture, ImageFormat::Png);
    let smaller =
        embed(&picture.resize(40, 30, image::imageops::FilterType::Triangle), ImageFormat::Png);
    let turned = embed(&picture.rotate90(), ImageFormat::Png);
    assert!(likeness(&original, &smaller) > 0.95, "{}", likeness(&original, &smaller));
    assert!(likeness(&original, &smaller) > likeness(&original, &turned) + 0.05);
}

#[test]
fn an_onnx_image_model_runs_as_its_settings_say() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("average.onnx"), average_model(8)).expect("written");
    let settings = r#"{"scale": 1, "mean": [0, 0, 0], "std": [1, 1, 1]}"#;
    fs::write(folder.path().join("average.json"), settings).expect("written");
    let model = Model::open("average", Some(folder.path())).expect("opens");
    assert_eq!((model.dimension(), model.accepts()), (3, Accepts::Image));
    let vector = model.embed_image(&plain([30, 0, 40])).expect("embeds");
    assert!(
        (vector[0] - 0.6).abs() < 1e-5 && vector[1].abs() < 1e-5 && (vector[2] - 0.8).abs() < 1e-5,
        "{vector:?}"
    );
    let bgr =
        r#"{"channels": "bgr", "scale": 1, "mean": [0, 0, 0], "std": [1, 1, 1], "fit": "crop"}"#;
    fs::write(folder.path().join("average.json"), bgr).expect("written");
    let vector = Model::open("average", Some(folder.path()))
        .and_then(|m| m.embed_image(&plain([30, 0, 40])));
    assert!((vector.expect("embeds")[0] - 0.8).abs() < 1e-5);
    refused(
        model.embed_text("x"),
        Kind::Unsupported,
        "model `average` does not embed texts, only images",
    );
}

#[test]
fn an_onnx_text_model_pools_its_real_tokens() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("lookup.onnx"), lookup_model()).expect("written");
    fs::write(folder.path().join("lookup.vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\nsea\nland")
        .expect("written");
    let model = Model::open("lookup", Some(folder.path())).expect("opens");
    assert_eq!((model.dimension(), model.accepts()), (2, Accepts::Text));
    // Padding looks up row 0 and unknown words row 1; only `sea` and `land` have a direction here.
    let vector = model.embed_text("Sea land sea sea").expect("embeds");
    assert!((vector[0] / vector[1] - 3.0).abs() < 1e-4, "{vector:?}");
}

#[test]
fn models_that_cannot_work_are_refused_when_they_are_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let write =
        |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).expect("written");
    let open = |name: &str| Model::open(name, Some(folder.path()));
    refused(open("clip"), Kind::NotFound, "there is no model `clip`");
    refused(Model::open("clip", None), Kind::NotFound, "there is no model `clip`");
    refused(open("../clip"), Kind::InvalidInput, "`../clip` is no name of a model");
    write("noise.onnx", b"this is not protobuf at all");
    refused(open("noise"), Kind::Unsupported, "model `noise` cannot be run");
    let strange = model(
        &[node("NoSuchOperator", &["picture"], "vector", &[])],
        &[],
        &[value("picture", FLOAT, &[1, 3, 8, 8])],
        &value("vector", FLOAT, &[1, 3]),
    );
    write("strange.onnx", &strange);
    refused(open("strange"), Kind::Unsupported, "model `strange` cannot be run");
    write("average.onnx", &average_model(8));
    write("average.json", br#"{"meen": [0, 0, 0]}"#);
    refused(open("average"), Kind::InvalidInput, "unknown field `meen`");
    write("average.json", br#"{"size": [0, 9]}"#);
    refused(open("average"), Kind::InvalidInput, "`size` must lie between 1 and 2048");
    write("average.json", br#"{"output": "nowhere"}"#);
    refused(open("average"), Kind::Unsupported, "model `average` cannot be run");
    write("average.json", br#"{"accepts": "text"}"#);
    refused(open("average"), Kind::Unsupported, "has no `.vocab.txt` or `.tokenizer.json`");
}
