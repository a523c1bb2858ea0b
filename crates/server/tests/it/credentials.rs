//! Credentials that the catalog lends, as a client of S3 uses them: for an hour, for one table, and
//! never mixed. In: a lent answer. Out: what the S3 subset says. Not here: how tools use them
//! (`tests/tools`), which cannot turn a clock.

use base::Timestamp;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStoreExt, RetryConfig};
use serde_json::{Value, json};

use crate::lab::{Lab, runtime};

/// One hour, for which credentials are good.
const HOUR: i64 = 3600 * 1_000_000;

/// Credentials for the files of `items`, and the present metadata file of the table.
fn lent(lab: &Lab) -> (Value, Path) {
    let vended = [("x-iceberg-access-delegation", "vended-credentials")];
    let table = lab.send("GET /iceberg/v1/namespaces/shop/tables/items", &vended, b"").json();
    let location = table["metadata-location"].as_str().unwrap();
    let path = Path::from(location.strip_prefix("s3://headwater/").unwrap());
    (table["config"].clone(), path)
}

/// Amazon's protocol with these credentials, asked once.
fn client(lab: &Lab, config: &Value) -> AmazonS3 {
    let part = |name: &str| config[name].as_str().unwrap().to_owned();
    AmazonS3Builder::new()
        .with_endpoint(lab.url().trim_end_matches('/'))
        .with_bucket_name("headwater")
        .with_region("us-east-1")
        .with_access_key_id(part("s3.access-key-id"))
        .with_secret_access_key(part("s3.secret-access-key"))
        .with_token(part("s3.session-token"))
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .build()
        .unwrap()
}

/// What the subset says to a read that it refuses.
fn refused(lab: &Lab, config: &Value, path: &Path) -> String {
    let read = runtime().block_on(async { client(lab, config).get(path).await });
    let error = read.expect_err("refused");
    base::error_chain(&error).join(": ")
}

fn read(lab: &Lab, config: &Value, path: &Path) -> usize {
    runtime().block_on(async {
        client(lab, config).get(path).await.unwrap().bytes().await.unwrap().len()
    })
}

#[test]
fn credentials_end_with_their_hour_and_new_ones_begin() {
    let lab = Lab::new().with_items();
    let (first, path) = lent(&lab);
    let issued = lab.clock.now();
    assert!(read(&lab, &first, &path) > 100);
    lab.clock.advance(HOUR - 1);
    assert!(read(&lab, &first, &path) > 100);
    lab.clock.advance(1);
    assert_eq!(lab.clock.now(), Timestamp::from_micros(issued.as_micros() + HOUR));
    let said = refused(&lab, &first, &path);
    assert!(said.contains("ExpiredToken") && said.contains("load the table again"), "{said}");
    let (second, path) = lent(&lab);
    assert!(read(&lab, &second, &path) > 100);
}

#[test]
fn credentials_of_another_project_and_mixed_ones_are_no_credentials() {
    let (lab, other) = (Lab::new().with_items(), Lab::new().with_items());
    let (mine, path) = lent(&lab);
    let (theirs, _) = lent(&other);
    let said = refused(&lab, &theirs, &path);
    assert!(said.contains("SignatureDoesNotMatch"), "{said}");
    let mut mixed = mine.clone();
    mixed["s3.session-token"] = theirs["s3.session-token"].clone();
    let said = refused(&lab, &mixed, &path);
    assert!(said.contains("InvalidToken") && said.contains("of this project"), "{said}");
    let (again, _) = lent(&lab);
    mixed["s3.session-token"] = again["s3.session-token"].clone();
    let said = refused(&lab, &mixed, &path);
    assert!(said.contains("InvalidToken") && said.contains("another access key"), "{said}");
    assert!(read(&lab, &mine, &path) > 100);
}

#[test]
fn a_signature_is_made_for_the_table_that_the_address_names() {
    let lab = Lab::new().with_items();
    let (_, path) = lent(&lab);
    let signing = [("x-iceberg-access-delegation", "remote-signing")];
    let table = lab.send("GET /iceberg/v1/namespaces/shop/tables/items", &signing, b"").json();
    let endpoint = table["config"]["s3.signer.endpoint"].as_str().unwrap();
    assert_eq!(endpoint, "v1/namespaces/shop/tables/items/sign");
    let sign = |endpoint: &str, key: &str, headers: &[(&str, &str)]| {
        let uri = format!("http://127.0.0.1/headwater/{key}");
        let body = json!({ "method": "GET", "region": "us-east-1", "uri": uri, "headers": {} });
        let headers = [&[("content-type", "application/json")], headers].concat();
        lab.send(&format!("POST /iceberg/{endpoint}"), &headers, body.to_string().as_bytes())
    };
    assert_eq!(sign(endpoint, path.as_ref(), &[]).status, 200);
    for key in ["shop/items", "shop/items-other/data/a.parquet", "_foreign/free/t/data/a.parquet"] {
        let said = sign(endpoint, key, &[]);
        assert_eq!(
            (said.status, &said.json()["error"]["type"]),
            (403, &json!("ForbiddenException"))
        );
    }
    // A table that is staged is nowhere to be found; its folder goes along, for its maker alone.
    let made = lab.post("/iceberg/v1/namespaces", &json!({ "namespace": ["free"] }));
    assert_eq!(made.status, 200);
    let field = json!({ "id": 1, "name": "id", "required": true, "type": "long" });
    let schema = json!({ "type": "struct", "schema-id": 0, "fields": [field] });
    let staged = json!({ "name": "t", "stage-create": true, "schema": schema }).to_string();
    let headers = [("content-type", "application/json"), signing[0]];
    let staged = lab.send("POST /iceberg/v1/namespaces/free/tables", &headers, staged.as_bytes());
    let staged = staged.json();
    let folder = staged["metadata"]["location"].as_str().unwrap();
    let key = format!("{}/data/a.parquet", folder.strip_prefix("s3://headwater/").unwrap());
    let endpoint = staged["config"]["s3.signer.endpoint"].as_str().unwrap();
    assert_eq!(sign(endpoint, &key, &[]).status, 200);
    assert_eq!(sign(endpoint, path.as_ref(), &[]).status, 403);
    let other = format!("Bearer {}", lab.token("write"));
    let said = sign(endpoint, &key, &[("authorization", &other)]);
    assert_eq!(said.status, 403);
    assert!(said.text().contains("another caller"), "{}", said.text());
    lab.clock.advance(HOUR);
    assert_eq!(sign(endpoint, &key, &[]).json()["error"]["type"], "NotAuthorizedException");
}
