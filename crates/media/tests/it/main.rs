//! Integration tests of `media`: honest images of every format, hostile ones with golden reasons,
//! memory that stays within its limits, models. All images are made by the code in `samples`.

mod decoding;
mod hostile;
mod measuring;
mod memory;
mod models;
mod samples;
