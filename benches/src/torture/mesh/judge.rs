//! Whether an answer is right while a service fails: what others say is whole, and who fails is named.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::source::{FILMS, Fault};

/// An answer while every service is well.
pub(crate) fn whole(answer: &Value) -> Result<()> {
    ensure!(answer.get("errors").is_none(), "an answer of services that are well: {answer}");
    ensure!(stars(answer)?.into_iter().all(|known| known), "stars are missing: {answer}");
    Ok(())
}

/// An answer while the stars fail in this way, or are left alone for it.
pub(crate) fn partial(answer: &Value, fault: Fault) -> Result<()> {
    if fault == Fault::Slow {
        return whole(answer);
    }
    ensure!(
        !stars(answer)?.into_iter().any(|known| known),
        "stars in spite of {fault:?}: {answer}"
    );
    let errors = answer["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    ensure!(!errors.is_empty(), "nothing is said of {fault:?}: {answer}");
    for error in errors {
        let told = &error["extensions"];
        ensure!(told["source"] == "stars", "another source is named for {fault:?}: {error}");
        ensure!(told["owner"] == "stars-team", "another owner is named for {fault:?}: {error}");
        if let Some(code) = fault.code() {
            // Once the breaker is open, the source is unavailable, whatever it would do.
            let fits = told["code"] == code || told["code"] == "UNAVAILABLE" && fault.opens();
            ensure!(fits, "the code of {fault:?} is not {code}: {error}");
        }
    }
    Ok(())
}

/// Which films have stars; everything else must be there.
fn stars(answer: &Value) -> Result<Vec<bool>> {
    let films = answer["data"]["films"].as_array().map(Vec::as_slice).unwrap_or_default();
    ensure!(films.len() == FILMS, "films are missing: {answer}");
    let mut known = Vec::new();
    for (number, film) in films.iter().enumerate() {
        let mut expected = json!({"id": format!("f{number}"), "title": format!("title {number}"), "price": number, "stars": number});
        known.push(!film["stars"].is_null());
        if film["stars"].is_null() {
            expected["stars"] = Value::Null;
        }
        ensure!(*film == expected, "a film is {film}, not {expected}: {answer}");
    }
    Ok(known)
}
