//! How long a mutation of one row takes until it is durable, against PyIceberg's append of one row.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use base::Principal;
use frame::{DataType, Field, Write, WriteOp, WriteRequest};
use lake::Lake;
use lake::store::open_s3;
use serde_json::{Value, json};
use testkit::{Postgres, Seaweed, seaweed};

use crate::measure::{Row, quantile};
use crate::peer::Peer;
use crate::{Arguments, program, project, s3};

const SDL: &str = r#"extend schema @module(name: "bench", owner: "bench")
type Account @key(fields: "id") @table(format: ICEBERG, plural: "accounts", bucket: { by: "id", count: 4 }) {
  id: Long!
  amount: Long!
}
"#;

/// Where both sides keep their tables.
enum Place {
    Local,
    /// The addresses of a database, a bucket and its server.
    Servers {
        metadata: String,
        bucket: String,
        endpoint: String,
    },
}

impl Place {
    /// The real servers; nothing when they are not installed.
    fn servers() -> Option<Place> {
        let (postgres, seaweed) = (Postgres::shared()?, Seaweed::shared()?);
        Some(Place::Servers {
            metadata: postgres.new_database(),
            bucket: seaweed.new_bucket(),
            endpoint: seaweed.endpoint(),
        })
    }

    fn title(&self) -> &'static str {
        match self {
            Place::Local => "commit of one row, SQLite and local files, p50",
            Place::Servers { .. } => "commit of one row, Postgres and S3, p50",
        }
    }

    fn settings(&self) -> String {
        match self {
            Place::Local => String::new(),
            Place::Servers { metadata, bucket, endpoint } => format!(
                "[storage]\nmetadata = \"{metadata}\"\nobjects = \"s3://{bucket}/ours\"\n\n\
                 [storage.s3]\nendpoint = \"{endpoint}\"\n"
            ),
        }
    }

    async fn lake(&self, folder: &Path) -> Result<Lake> {
        match self {
            Place::Local => project::open(folder, SDL).await,
            Place::Servers { metadata, bucket, endpoint } => {
                let objects =
                    open_s3(&format!("s3://{bucket}/ours"), &s3::options(endpoint)).await?;
                project::open_over(objects, metadata, SDL).await
            }
        }
    }

    /// The same for the peer: a catalog and a warehouse of its own.
    fn given(&self, warehouse: &Path) -> Value {
        match self {
            Place::Local => json!({
                "catalog": format!("sqlite:///{}/catalog.db", warehouse.display()),
                "warehouse": format!("file://{}", warehouse.display()),
            }),
            Place::Servers { metadata, bucket, endpoint } => json!({
                "catalog": metadata.replacen("postgres://", "postgresql+psycopg2://", 1),
                "warehouse": format!("s3://{bucket}/theirs"),
                "s3.endpoint": endpoint,
                "s3.access-key-id": seaweed::KEY_ID,
                "s3.secret-access-key": seaweed::KEY,
                "s3.region": "us-east-1",
            }),
        }
    }
}

pub(crate) async fn run(arguments: &Arguments) -> Result<Vec<Row>> {
    let mut rows = vec![compare(arguments, &Place::Local).await?];
    match Place::servers() {
        Some(servers) => rows.push(compare(arguments, &servers).await?),
        None => eprintln!("PostgreSQL or SeaweedFS is not installed: no row for them"),
    }
    Ok(rows)
}

async fn compare(arguments: &Arguments, place: &Place) -> Result<Row> {
    let folder = arguments.folder.join("accounts");
    project::clear(&folder)?;
    fs::write(folder.join("headwater.toml"), place.settings())?;
    project::add_schema(&folder, SDL)?;
    let keys = [("AWS_ACCESS_KEY_ID", seaweed::KEY_ID), ("AWS_SECRET_ACCESS_KEY", seaweed::KEY)];
    let apply = program::command(&folder, &["apply", "--yes", "--quiet"])?.envs(keys).output()?;
    ensure!(apply.status.success(), "apply: {}", String::from_utf8_lossy(&apply.stderr));
    let lake = place.lake(&folder).await?;
    let warehouse = arguments.folder.join("accounts-peer");
    project::clear(&warehouse)?;
    let given = place.given(&warehouse).to_string();
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
    Ok(Row::cost(place.title(), quantile(ours, 0.5), "ms").against(&name, theirs, 1.0))
}

fn upsert(id: i64) -> Result<WriteRequest> {
    let fields =
        [Field::new("id", DataType::Long, false), Field::new("amount", DataType::Long, false)];
    let batch =
        frame::convert::batch_of(&fields, &[[frame::Value::Int(id), frame::Value::Int(1)]])?;
    Ok(WriteRequest {
        table: "Account".into(),
        op: WriteOp::Upsert(vec![batch]),
        idempotency_key: None,
        principal: Principal::local(),
    })
}
