//! Models of the user's: `<folder>/<name>.onnx`, run by tract on the processor. In: the folder and
//! a name; then decoded images or texts. Out: vectors. Input shapes are made concrete when the model
//! is opened, and one blank input is run, so that a model that cannot work is refused at once. Not
//! here: downloading, training, accelerators.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::{Error, Kind, Result};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::DimLike;

use crate::decode::DecodedImage;
use crate::embed::pixels::PixelInput;
use crate::embed::settings::{Pooling, Settings};
use crate::embed::wordpiece::WordPiece;
use crate::embed::{Accepts, BUILT_IN, normalise};

/// Models beyond this are refused before they are read.
const MAX_MODEL_BYTES: u64 = 2 << 30;

/// An ONNX model, ready to run.
#[derive(Debug)]
pub(super) struct OnnxModel {
    name: String,
    plan: Arc<TypedRunnableModel>,
    front: Front,
    pooling: Pooling,
    dimension: usize,
}

/// What turns an image or a text into the model's inputs.
#[derive(Debug)]
enum Front {
    Image(PixelInput),
    Text { tokens: WordPiece, inputs: Vec<(TokenInput, DatumType)>, length: usize },
}

/// The inputs that BERT-like models have.
#[derive(Clone, Copy, Debug)]
enum TokenInput {
    Ids,
    Mask,
    Types,
}

impl OnnxModel {
    pub(super) fn open(name: &str, folder: Option<&Path>) -> Result<OnnxModel> {
        let path = locate(name, folder)?;
        let settings = Settings::read(&path.with_extension("json"))?;
        let vocabulary = WordPiece::find(&path, &settings)?;
        let accepts = match (settings.accepts, &vocabulary) {
            (Some(said), _) => said.into(),
            (None, Some(_)) => Accepts::Text,
            (None, None) => Accepts::Image,
        };
        let failed = |error: String| {
            Error::new(Kind::Unsupported, format!("model `{name}` cannot be run: {error}"))
                .hint("its operators, inputs and outputs must be those that docs/reference/models.md names")
        };
        let prepared =
            guarded(|| prepare(&path, &settings, accepts, vocabulary)).map_err(failed)?;
        let (plan, front) = prepared;
        let pooling = settings.pooling;
        let mut model = OnnxModel { name: name.to_owned(), plan, front, pooling, dimension: 0 };
        model.dimension = model.probe()?.len();
        Ok(model)
    }

    pub(super) fn dimension(&self) -> usize {
        self.dimension
    }

    pub(super) fn accepts(&self) -> Accepts {
        match self.front {
            Front::Image(_) => Accepts::Image,
            Front::Text { .. } => Accepts::Text,
        }
    }

    pub(super) fn embed_image(&self, image: &DecodedImage) -> Result<Vec<f32>> {
        let Front::Image(input) = &self.front else {
            return Err(Error::internal("an image was given to a model of texts"));
        };
        let (shape, values) = input.values(image)?;
        self.run(|| Ok(tvec!(Tensor::from_shape(&shape, &values)?.into())), None)
    }

    pub(super) fn embed_text(&self, text: &str) -> Result<Vec<f32>> {
        let Front::Text { tokens, inputs, length } = &self.front else {
            return Err(Error::internal("a text was given to a model of images"));
        };
        let ids = tokens.encode(text, *length);
        let real = ids.len();
        let tensors = || {
            inputs.iter().map(|(input, kind)| token_tensor(*input, *kind, &ids, *length)).collect()
        };
        self.run(tensors, Some(real))
    }

    fn probe(&self) -> Result<Vec<f32>> {
        match self.accepts() {
            Accepts::Image => self.embed_image(&DecodedImage::new(1, 1, false, vec![128; 3])?),
            Accepts::Text => self.embed_text("a"),
        }
    }

    /// Runs the model once; `real` is how many tokens are not padding.
    fn run(
        &self,
        inputs: impl Fn() -> TractResult<TVec<TValue>>,
        real: Option<usize>,
    ) -> Result<Vec<f32>> {
        let output = guarded(|| {
            let outputs = self.plan.run(inputs()?)?;
            let output = outputs.first().ok_or_else(|| TractError::msg("it gives no output"))?;
            let floats = output.cast_to::<f32>()?;
            let values = floats.try_as_plain_ram()?.as_slice::<f32>()?.to_vec();
            Ok((output.shape().to_vec(), values))
        });
        let failed =
            |error| Error::new(Kind::Unsupported, format!("model `{}` failed: {error}", self.name));
        let (shape, values) = output.map_err(failed)?;
        let pooled = pool(&shape, &values, self.pooling, real).ok_or_else(|| {
            let message = format!(
                "model `{}` gives an output of shape {shape:?}, which is no vector",
                self.name
            );
            Error::new(Kind::Unsupported, message)
                .hint("name another `output` in the model's settings")
        })?;
        if pooled.iter().any(|value| !value.is_finite()) {
            return Err(Error::invalid(format!(
                "model `{}` gives a vector that is not finite",
                self.name
            )));
        }
        Ok(normalise(pooled))
    }
}

/// The model's file. A name is a plain file name, so that it cannot reach out of the folder.
fn locate(name: &str, folder: Option<&Path>) -> Result<PathBuf> {
    let built_in =
        BUILT_IN.iter().map(|(name, ..)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let plain = !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && !name.starts_with('.');
    if !plain {
        return Err(Error::invalid(format!("`{name}` is no name of a model"))
            .hint("use letters, digits, `-`, `_` and `.`"));
    }
    let missing = |place: String| {
        Error::not_found(format!("there is no model `{name}`"))
            .hint(format!("built in are {built_in}; others are ONNX files: {place}"))
    };
    let folder = folder.ok_or_else(|| missing("no folder of models is set".to_owned()))?;
    // `with_extension` would cut a version off a name such as `clip-v1.2`.
    let path = folder.join(format!("{name}.onnx"));
    let length = std::fs::metadata(&path)
        .map_err(|_| missing(format!("`{}` is missing", path.display())))?
        .len();
    if length > MAX_MODEL_BYTES {
        let message =
            format!("model `{name}` is larger than {}", base::size::format_bytes(MAX_MODEL_BYTES));
        return Err(Error::new(Kind::LimitExceeded, message));
    }
    Ok(path)
}

/// Runs code of the inference library: its errors and panics become text.
fn guarded<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("{error:#}").replace('\n', " ")),
        Err(_) => Err("the inference library panicked".to_owned()),
    }
}

/// Loads the model, fixes its inputs, optimises it.
fn prepare(
    path: &Path,
    settings: &Settings,
    accepts: Accepts,
    vocabulary: Option<WordPiece>,
) -> TractResult<(Arc<TypedRunnableModel>, Front)> {
    let mut model = onnx().with_ignore_output_shapes(true).model_for_path(path)?;
    if let Some(output) = &settings.output {
        model.select_outputs_by_name([output])?;
    }
    let front = match (accepts, vocabulary) {
        (Accepts::Image, _) => image_front(&mut model, settings)?,
        (Accepts::Text, Some(tokens)) => text_front(&mut model, settings, tokens)?,
        (Accepts::Text, None) => {
            return Err(TractError::msg(
                "it takes text but has no `.vocab.txt` or `.tokenizer.json`",
            ));
        }
    };
    Ok((model.into_optimized()?.into_runnable()?, front))
}

/// The sizes of an input that the model fixes, as far as it does.
fn fixed_shape(model: &InferenceModel, input: usize) -> TractResult<Vec<Option<usize>>> {
    let fact = model.input_fact(input)?;
    Ok(fact.shape.dims().map(|dim| dim.concretize().and_then(|dim| dim.to_usize().ok())).collect())
}

fn image_front(model: &mut InferenceModel, settings: &Settings) -> TractResult<Front> {
    if model.input_outlets()?.len() != 1 {
        return Err(TractError::msg("it must have one input, the picture"));
    }
    let input = PixelInput::new(&fixed_shape(model, 0)?, settings);
    model.set_input_fact(0, f32::fact(input.shape()).into())?;
    Ok(Front::Image(input))
}

fn text_front(
    model: &mut InferenceModel,
    settings: &Settings,
    tokens: WordPiece,
) -> TractResult<Front> {
    let fixed = fixed_shape(model, 0)?.get(1).copied().flatten();
    let length = settings.max_tokens.or(fixed).unwrap_or(128);
    let mut inputs = Vec::new();
    for (index, outlet) in model.input_outlets()?.to_vec().into_iter().enumerate() {
        let name = model.node(outlet.node).name.to_lowercase();
        let input = match name.as_str() {
            name if name.contains("mask") => TokenInput::Mask,
            name if name.contains("type") || name.contains("segment") => TokenInput::Types,
            _ => TokenInput::Ids,
        };
        let kind = model.input_fact(index)?.datum_type.concretize().unwrap_or(i64::datum_type());
        model.set_input_fact(index, kind.fact([1, length]).into())?;
        inputs.push((input, kind));
    }
    Ok(Front::Text { tokens, inputs, length })
}

fn token_tensor(
    input: TokenInput,
    kind: DatumType,
    ids: &[i64],
    length: usize,
) -> TractResult<TValue> {
    let mut values = vec![0i64; length];
    for (value, id) in values.iter_mut().zip(ids) {
        *value = match input {
            TokenInput::Ids => *id,
            TokenInput::Mask => 1,
            TokenInput::Types => 0,
        };
    }
    let tensor = Tensor::from_shape(&[1, length], &values)?;
    Ok(tensor.cast_to_dt(kind)?.into_owned().into())
}

/// One vector out of an output. `[1, d]` and `[d]` are one already; of `[1, n, d]` the rows are
/// pooled (of a text, those of real tokens); of `[1, c, h, w]` each channel is averaged.
fn pool(
    shape: &[usize],
    values: &[f32],
    pooling: Pooling,
    real: Option<usize>,
) -> Option<Vec<f32>> {
    let one = shape.first() == Some(&1) && !values.is_empty();
    match *shape {
        [_] if !values.is_empty() => Some(values.to_vec()),
        [_, _] if one => Some(values.to_vec()),
        [_, _, dimension] if one && pooling == Pooling::Cls => Some(values[..dimension].to_vec()),
        [_, rows, dimension] if one => {
            let rows = real.unwrap_or(rows).clamp(1, rows);
            let column = |at: usize| values[at..].iter().step_by(dimension).take(rows).sum::<f32>();
            Some((0..dimension).map(|at| column(at) / rows as f32).collect())
        }
        [_, channels, height, width] if one => {
            let area = height * width;
            let mean = |channel: &[f32]| channel.iter().sum::<f32>() / area as f32;
            Some(values.chunks_exact(area).take(channels).map(mean).collect())
        }
        _ => None,
    }
}
