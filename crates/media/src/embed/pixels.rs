//! A decoded image as the input of an ONNX model. In: the shape that the model fixes, the user's
//! settings, and an image. Out: floats in the model's layout.

use base::Result;

use crate::decode::DecodedImage;
use crate::embed::settings::{Channels, Fit, Layout, Settings};
use crate::measure::{cropped, flatten, stretched};

/// How images are laid out for one model.
#[derive(Clone, Debug)]
pub(super) struct PixelInput {
    height: usize,
    width: usize,
    channels: usize,
    layout: Layout,
    order: Channels,
    fit: Fit,
    scale: f32,
    mean: [f32; 3],
    std: [f32; 3],
}

impl PixelInput {
    /// Settings come first, then what the model's input says, then the common case.
    pub(super) fn new(fixed: &[Option<usize>], settings: &Settings) -> Self {
        let at = |axis: usize| fixed.get(axis).copied().flatten();
        let few = |axis: usize| at(axis).is_some_and(|size| size == 1 || size == 3);
        let guess = if !few(1) && few(3) { Layout::Nhwc } else { Layout::Nchw };
        let layout = settings.layout.unwrap_or(guess);
        let (channel, row, column) = match layout {
            Layout::Nchw => (1, 2, 3),
            Layout::Nhwc => (3, 1, 2),
        };
        let [height, width] =
            settings.size.unwrap_or([at(row).unwrap_or(224), at(column).unwrap_or(224)]);
        PixelInput {
            height,
            width,
            channels: if at(channel) == Some(1) { 1 } else { 3 },
            layout,
            order: settings.channels,
            fit: settings.fit,
            scale: settings.scale.unwrap_or(1.0 / 255.0),
            mean: settings.mean.unwrap_or([0.485, 0.456, 0.406]),
            std: settings.std.unwrap_or([0.229, 0.224, 0.225]),
        }
    }

    /// The tensor's shape: one image.
    pub(super) fn shape(&self) -> [usize; 4] {
        match self.layout {
            Layout::Nchw => [1, self.channels, self.height, self.width],
            Layout::Nhwc => [1, self.height, self.width, self.channels],
        }
    }

    /// The tensor's shape and values for an image.
    pub(super) fn values(&self, image: &DecodedImage) -> Result<([usize; 4], Vec<f32>)> {
        let (width, height) = (self.width as u32, self.height as u32);
        let sized = match self.fit {
            Fit::Stretch => stretched(image, width, height)?,
            Fit::Crop => cropped(image, width, height)?,
        };
        let flat = flatten(&sized)?;
        let pixels: Vec<[f32; 3]> = flat.pixels().chunks_exact(3).map(|p| self.pixel(p)).collect();
        let channels = 0..self.channels;
        let values = match self.layout {
            Layout::Nchw => channels.flat_map(|c| pixels.iter().map(move |p| p[c])).collect(),
            Layout::Nhwc => pixels.iter().flat_map(|p| &p[..self.channels]).copied().collect(),
        };
        Ok((self.shape(), values))
    }

    /// One pixel, ordered and normalised; for a model of one channel, its luma in the first place.
    fn pixel(&self, rgb: &[u8]) -> [f32; 3] {
        let mut values = [rgb[0], rgb[1], rgb[2]].map(|value| f32::from(value) * self.scale);
        if self.channels == 1 {
            values[0] = 0.299 * values[0] + 0.587 * values[1] + 0.114 * values[2];
        }
        if self.order == Channels::Bgr && self.channels == 3 {
            values.swap(0, 2);
        }
        std::array::from_fn(|channel| (values[channel] - self.mean[channel]) / self.std[channel])
    }
}
