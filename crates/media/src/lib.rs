//! Media: bytes in, values out.
//!
//! ```text
//! bytes → sniff → Format → decode → DecodedImage → measure → Measured → embed → Vec<f32>
//! ```
//!
//! In: the bytes of one image (or a text, for text models) and [`Limits`]. Out: what the image is,
//! its measures, a thumbnail, an embedding; or an error that names the reason. Everything is
//! synchronous and bounded: no stage allocates more than the limits allow, and a decoder that
//! panics is an error like any other. Not here: tables, the network, video and audio.

pub mod decode;
pub mod duplicates;
pub mod embed;
pub mod limits;
pub mod measure;
pub mod sniff;

pub use decode::{Decoded, DecodedImage, decode};
pub use duplicates::{duplicates, hamming_distance};
pub use embed::{Accepts, BUILT_IN, Model};
pub use limits::Limits;
pub use measure::{Measured, measure};
pub use sniff::{Format, sniff};
