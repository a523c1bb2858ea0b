//! Tables of a real Postgres database: that they answer as tables in memory do, and what they refuse.

mod agreement;
mod faults;
mod lab;
