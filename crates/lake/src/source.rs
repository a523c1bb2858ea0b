//! Files as they come: what they are by their content, and how their bytes are read.
//!
//! ```text
//! path | `-` | bytes → open (sniff) → Source → fingerprint, reader, images → decode
//! ```
//!
//! In: what the user named, and [`ReadOptions`]. Out: a [`Source`] whose format is known from its
//! content, never from its name. Not here: records and values (`decode`).

pub mod archive;
pub mod dialect;
mod fingerprint;
pub mod images;
pub mod open;
pub mod options;
pub mod sniff;
pub mod text;

pub use open::{Origin, Source};
pub use options::{Encoding, Epoch, Format, ReadLimits, ReadOptions};
