//! What a user may say about an ONNX model in `<name>.json`. In: the file's text, or nothing. Out:
//! [`Settings`], all optional; what is not said is read from the model or has a sane default. An
//! unknown key is an error, because a misspelt one would silently change every vector.

use std::path::Path;

use base::{Error, Place, Result};
use serde::Deserialize;

use crate::embed::Accepts;

/// The keys of `<name>.json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Settings {
    /// `image` or `text`; default: text when there is a vocabulary beside the model.
    pub(super) accepts: Option<AcceptsName>,
    /// The output that holds the vector; default: the first.
    pub(super) output: Option<String>,
    /// How an output with an axis beside the vector's becomes one vector.
    #[serde(default)]
    pub(super) pooling: Pooling,
    /// Height and width of the input; default: the model's own, else 224 x 224.
    pub(super) size: Option<[usize; 2]>,
    /// Order of axes; default: read from the model's input, else `nchw`.
    pub(super) layout: Option<Layout>,
    /// Order of channels.
    #[serde(default)]
    pub(super) channels: Channels,
    /// Whether the picture is stretched to the size or cut to its middle.
    #[serde(default)]
    pub(super) fit: Fit,
    /// A pixel of 0 to 255 is multiplied by this first; default 1/255.
    pub(super) scale: Option<f32>,
    /// Then this is subtracted, by channel; default: ImageNet's.
    pub(super) mean: Option<[f32; 3]>,
    /// Then it is divided by this, by channel; default: ImageNet's.
    pub(super) std: Option<[f32; 3]>,
    /// Tokens in a text, longer ones are cut; default: the model's own, else 128.
    pub(super) max_tokens: Option<usize>,
    /// Whether texts are lowercased and lose their accents; default: what the tokenizer says, else
    /// true.
    pub(super) lowercase: Option<bool>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AcceptsName {
    Image,
    Text,
}

impl From<AcceptsName> for Accepts {
    fn from(name: AcceptsName) -> Accepts {
        match name {
            AcceptsName::Image => Accepts::Image,
            AcceptsName::Text => Accepts::Text,
        }
    }
}

/// How several vectors become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Pooling {
    /// Their mean; of a text, over its real tokens only.
    #[default]
    Mean,
    /// The first: the `[CLS]` token.
    Cls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Layout {
    Nchw,
    Nhwc,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Channels {
    #[default]
    Rgb,
    Bgr,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Fit {
    #[default]
    Stretch,
    Crop,
}

impl Settings {
    /// Reads the file; one that does not exist is all defaults.
    pub(super) fn read(path: &Path) -> Result<Settings> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Settings::default());
            }
            Err(error) => {
                return Err(
                    Error::from(error).context(format!("failed to read `{}`", path.display()))
                );
            }
        };
        let settings: Settings = serde_json::from_str(&text).map_err(|error| {
            let place = Place {
                file: path.display().to_string(),
                line: error.line(),
                column: error.column(),
            };
            Error::invalid(format!("the settings of a model are wrong: {error}")).at(place)
        })?;
        settings.check(path)
    }

    fn check(self, path: &Path) -> Result<Settings> {
        let wrong = |what: &str| {
            let place = Place { file: path.display().to_string(), line: 0, column: 0 };
            Err(Error::invalid(format!("the settings of a model are wrong: {what}")).at(place))
        };
        if self.size.is_some_and(|size| size.iter().any(|side| !(1..=2048).contains(side))) {
            return wrong("`size` must lie between 1 and 2048");
        }
        if self.max_tokens.is_some_and(|count| !(2..=8192).contains(&count)) {
            return wrong("`maxTokens` must lie between 2 and 8192");
        }
        if self.std.is_some_and(|std| std.contains(&0.0)) {
            return wrong("`std` must not contain 0");
        }
        Ok(self)
    }
}
