//! Operations over several services: their calls, and that the answers are those of one service that
//! has everything.

mod cases;
pub(crate) mod graph;
mod interpreter;
mod noted;
mod plans;
pub(crate) mod random;
mod service;
mod world;
