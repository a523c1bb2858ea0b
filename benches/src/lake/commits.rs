//! How long a mutation of one row takes until it is durable, against PyIceberg's append of one row.

use std::time::Instant;

use anyhow::{Context, Result};
use base::Principal;
use frame::{DataType, Field, Value, Write, WriteOp, WriteRequest};
use serde_json::json;

use crate::measure::{Row, quantile};
use crate::peer::Peer;
use crate::{Arguments, project};

const SDL: &str = r#"extend schema @module(name: "bench", owner: "bench")
type Account @key(fields: "id") @table(format: ICEBERG, plural: "accounts", bucket: { by: "id", count: 4 }) {
  id: Long!
  amount: Long!
}
"#;

pub(crate) async fn run(arguments: &Arguments) -> Result<Vec<Row>> {
    let folder = arguments.folder.join("accounts");
    project::make(&folder, SDL)?;
    let lake = project::open(&folder, SDL).await?;
    let warehouse = arguments.folder.join("accounts-peer");
    project::clear(&warehouse)?;
    let given = json!({ "warehouse": warehouse }).to_string();
    let mut peer = Peer::start(arguments, "commits_pyiceberg.py", &[&given])?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for index in 0..if arguments.quick { 20 } else { 200 } {
        let started = Instant::now();
        lake.write(upsert(index)?).await?;
        ours.push(started.elapsed().as_secs_f64() * 1000.0);
        if let Some(peer) = &mut peer {
            let found = peer.ask(&json!({ "id": index }))?;
            theirs.push(found["milliseconds"].as_f64().context("a peer gave no time")?);
        }
    }
    let name = peer.map_or_else(String::new, |peer| peer.name.clone());
    let theirs = (!theirs.is_empty()).then(|| quantile(theirs, 0.5));
    Ok(vec![
        Row::cost("commit of one row, SQLite and local files, p50", quantile(ours, 0.5), "ms")
            .against(&name, theirs, 1.0),
    ])
}

fn upsert(id: i64) -> Result<WriteRequest> {
    let fields =
        [Field::new("id", DataType::Long, false), Field::new("amount", DataType::Long, false)];
    let batch = frame::convert::batch_of(&fields, &[[Value::Int(id), Value::Int(1)]])?;
    Ok(WriteRequest {
        table: "Account".into(),
        op: WriteOp::Upsert(vec![batch]),
        idempotency_key: None,
        principal: Principal::local(),
    })
}
