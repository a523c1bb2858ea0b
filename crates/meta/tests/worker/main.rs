//! A process that writes to a metadata database until it is done or killed. In: a database URL, a
//! topic and a count. Out: one line for every write that was acknowledged. Not here: any judgement;
//! the tests compare the lines with the database.

use std::io::Write;

use base::{Error, Result};
use futures::FutureExt;
use meta::{Database, Tx};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, topic, count] = arguments.as_slice() else {
        return Err(Error::invalid("usage: meta-worker URL TOPIC COUNT"));
    };
    let count: i64 = count.parse().map_err(|error| Error::invalid("bad count").caused_by(error))?;
    let database = Database::open(url).await?;
    for number in 0..count {
        let topic = topic.clone();
        let counter = database.write(move |tx| note(tx, topic.clone(), number).boxed()).await?;
        // A line is the acknowledgement, so it must be out before the next write begins.
        let mut output = std::io::stdout().lock();
        writeln!(output, "{number} {counter}")?;
        output.flush()?;
    }
    Ok(())
}

/// Counts a change and records which write it was, in one transaction.
async fn note(tx: &mut Tx, topic: String, number: i64) -> Result<i64> {
    let counter = meta::changes::bump(tx, "shared").await?;
    meta::changes::bump(tx, &topic).await?;
    tx.execute(
        "INSERT INTO test_writes (topic, number, counter) VALUES ($1, $2, $3)",
        &[topic.into(), number.into(), counter.into()],
    )
    .await?;
    Ok(counter)
}
