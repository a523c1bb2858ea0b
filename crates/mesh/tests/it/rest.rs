//! Services of calls: what is asked of them over HTTP, and what comes of their answers.

pub(crate) mod cases;
mod faults;
pub(crate) mod lab;
mod random;
