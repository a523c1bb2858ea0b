//! Services of calls: what is asked of them over HTTP, and what comes of their answers.

mod cases;
mod faults;
mod lab;
mod random;
