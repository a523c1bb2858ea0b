//! The schema crate as its callers use it.

mod generate;
mod inspector;
