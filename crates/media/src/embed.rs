//! The fourth stage: an image or a text to a vector of fixed length and Euclidean length 1. In: a
//! [`Model`] and a decoded image or a text. Out: the vector. Two models are built in and need no
//! download; any other name is an ONNX file of the user's. Not here: vector search, batching, the
//! network.

mod image_small;
mod onnx;
mod pixels;
mod settings;
mod text_small;
mod wordpiece;

use std::path::Path;

use base::{Error, Kind, Result};

use crate::decode::DecodedImage;

/// What a model embeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// Images.
    Image,
    /// Texts.
    Text,
}

/// The models that need no file: name, dimension, what they accept.
pub const BUILT_IN: &[(&str, usize, Accepts)] = &[
    ("image-small", image_small::DIMENSION, Accepts::Image),
    ("text-small", text_small::DIMENSION, Accepts::Text),
];

/// A model that is ready to embed. It may be shared between threads.
#[derive(Debug)]
pub struct Model {
    name: String,
    engine: Engine,
}

#[derive(Debug)]
enum Engine {
    ImageSmall,
    TextSmall,
    Onnx(Box<onnx::OnnxModel>),
}

impl Model {
    /// Opens a built-in model, or `<folder>/<name>.onnx` with its optional `<name>.json` (see
    /// `docs/reference/models.md`).
    pub fn open(name: &str, folder: Option<&Path>) -> Result<Model> {
        let engine = match name {
            "image-small" => Engine::ImageSmall,
            "text-small" => Engine::TextSmall,
            _ => Engine::Onnx(Box::new(onnx::OnnxModel::open(name, folder)?)),
        };
        Ok(Model { name: name.to_owned(), engine })
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many numbers a vector has.
    pub fn dimension(&self) -> usize {
        match &self.engine {
            Engine::ImageSmall => image_small::DIMENSION,
            Engine::TextSmall => text_small::DIMENSION,
            Engine::Onnx(model) => model.dimension(),
        }
    }

    /// What it embeds.
    pub fn accepts(&self) -> Accepts {
        match &self.engine {
            Engine::ImageSmall => Accepts::Image,
            Engine::TextSmall => Accepts::Text,
            Engine::Onnx(model) => model.accepts(),
        }
    }

    /// The vector of an image.
    pub fn embed_image(&self, image: &DecodedImage) -> Result<Vec<f32>> {
        match &self.engine {
            Engine::ImageSmall => image_small::embed(image),
            Engine::Onnx(model) if model.accepts() == Accepts::Image => model.embed_image(image),
            _ => Err(self.mismatch("images", "texts")),
        }
    }

    /// The vector of a text.
    pub fn embed_text(&self, text: &str) -> Result<Vec<f32>> {
        match &self.engine {
            Engine::TextSmall => Ok(text_small::embed(text)),
            Engine::Onnx(model) if model.accepts() == Accepts::Text => model.embed_text(text),
            _ => Err(self.mismatch("texts", "images")),
        }
    }

    fn mismatch(&self, asked: &str, accepted: &str) -> Error {
        let message = format!("model `{}` does not embed {asked}, only {accepted}", self.name);
        Error::new(Kind::Unsupported, message)
    }
}

/// Brings a vector to Euclidean length 1. One without any length becomes the first axis, so that
/// every vector has a direction and no distance is undefined.
fn normalise(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
    if length > 1e-12 && length.is_finite() {
        vector.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
    } else {
        vector.iter_mut().for_each(|v| *v = 0.0);
        if let Some(first) = vector.first_mut() {
            *first = 1.0;
        }
    }
    vector
}
