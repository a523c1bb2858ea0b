//! Stated bounds: time, bodies, requests at once; and a stop that lets requests finish.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::client::{self, connect, read};
use crate::lab::{Lab, message};

const LIMIT: Duration = Duration::from_secs(20);

/// Sends a question without the last byte of its body: the server has it in flight and waits.
fn begin(lab: &Lab) -> (TcpStream, u8) {
    let request = message(
        "POST /graphql",
        &[("content-type", "application/json")],
        br#"{"query": "{ __typename }"}"#,
    );
    let (last, before) = request.split_last().unwrap();
    let mut stream = connect(lab.address);
    stream.write_all(before).unwrap();
    (stream, *last)
}

/// Waits until so many requests are in flight, the one that asks not counted.
fn wait_for_flights(lab: &Lab, wanted: u32) {
    testkit::wait_for("requests in flight", LIMIT, || {
        let text = lab.get("/metrics").text();
        let line = format!("headwater_requests_in_flight {}\n", wanted + 1);
        text.contains(&line).then_some(())
    });
}

#[track_caller]
fn check(answer: &client::Answer, status: u16, code: &str, words: &str, hint: &str) {
    let error = answer.json();
    assert_eq!((answer.status, error["code"].as_str()), (status, Some(code)), "{error}");
    assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    assert!(error["hint"].as_str().unwrap().contains(hint), "{error}");
}

#[test]
fn a_request_whose_body_never_comes_ends() {
    let lab = Lab::with("[limits]\nrequest_millis = 200");
    let (mut stream, _) = begin(&lab);
    let answer = read(&mut stream).unwrap();
    check(&answer, 503, "LIMIT_EXCEEDED", "longer than 200 ms", "limits.request_millis");
}

#[test]
fn a_question_that_takes_too_long_ends() {
    let lab = Lab::with("[limits]\nrequest_millis = 300");
    let sql = "WITH n AS (SELECT unnest(generate_series(1, 1000000)) AS n) \
        SELECT count(*) FROM n AS a, n AS b WHERE a.n * b.n % 7 = 3";
    let error = lab.call("sql", json!({ "sql": sql })).error();
    assert_eq!(error["code"], "LIMIT_EXCEEDED", "{error}");
    assert!(error["message"].as_str().unwrap().contains("longer than 300 ms"), "{error}");
    lab.assert_healthy();
}

#[test]
fn an_upload_that_stands_still_ends() {
    let lab = Lab::with("[limits]\nrequest_millis = 200");
    let line = "POST /import?options=%7B%22typeName%22%3A%22Item%22%7D";
    let request = message(line, &[], crate::lab::ITEMS.as_bytes());
    let mut stream = connect(lab.address);
    stream.write_all(&request[..request.len() - 5]).unwrap();
    let answer = read(&mut stream).unwrap();
    check(&answer, 503, "UNAVAILABLE", "stood still for 200 ms", "nothing was imported");
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let lab = Lab::with("[limits]\nrequest_body = \"2KiB\"\nupload_body = \"4KiB\"");
    let large = json!({"query": " ".repeat(3000)});
    for path in ["/graphql", "/system", "/operations/sql", "/export"] {
        let answer = lab.post(path, &large);
        check(&answer, 413, "LIMIT_EXCEEDED", "larger than 2.0 KiB", "limits.request_body");
    }
    let upload = lab.import(&json!({"typeName": "Item"}), &[b'a'; 5000]);
    check(&upload, 413, "LIMIT_EXCEEDED", "larger than 4.0 KiB", "limits.upload_body");
    // Without a stated length it is counted as it comes.
    let pieces = format!("1388\r\n{}\r\n0\r\n\r\n", "a".repeat(5000));
    for (path, words) in [
        ("/graphql", "larger than 2.0 KiB"),
        ("/import?options=%7B%22typeName%22%3A%22Item%22%7D", "larger than 4.0 KiB"),
    ] {
        let headers = [
            ("content-length", "-"),
            ("content-type", "application/json"),
            ("transfer-encoding", "chunked"),
        ];
        let answer = lab.send(&format!("POST {path}"), &headers, pieces.as_bytes());
        check(&answer, 413, "LIMIT_EXCEEDED", words, "limits.");
    }
}

#[test]
fn requests_beyond_the_limit_are_told_to_come_back() {
    let lab = Lab::with("[limits]\nconcurrent_requests = 3");
    let mut held: Vec<_> = (0..3).map(|_| begin(&lab)).collect();
    wait_for_flights(&lab, 3);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let answer = lab.call("status", json!({}));
                check(
                    &answer,
                    503,
                    "UNAVAILABLE",
                    "too many requests",
                    "limits.concurrent_requests",
                );
            });
        }
    });
    // Whoever watches over the server gets through, and sees it.
    lab.assert_healthy();
    assert!(lab.get("/metrics").text().contains("headwater_requests_refused_total 20\n"));
    for (stream, last) in &mut held {
        stream.write_all(&[*last]).unwrap();
        assert_eq!(read(stream).unwrap().json()["data"]["__typename"], "Query");
    }
    wait_for_flights(&lab, 0);
    assert_eq!(lab.call("status", json!({})).status, 200);
}

#[test]
fn a_client_that_goes_away_gives_its_place_back() {
    let lab = Lab::with("[limits]\nconcurrent_requests = 1");
    let (stream, _) = begin(&lab);
    wait_for_flights(&lab, 1);
    drop(stream);
    wait_for_flights(&lab, 0);
    assert_eq!(lab.call("status", json!({})).status, 200);
}

#[test]
fn an_answer_that_is_still_being_sent_holds_its_place() {
    let lab = Lab::with("[limits]\nconcurrent_requests = 1");
    let sql =
        "SELECT repeat('x', 1000) || n AS x FROM (SELECT unnest(generate_series(1, 100000)) AS n)";
    let body = json!({"sql": sql, "format": "csv"}).to_string();
    let request = message("POST /export", &[("content-type", "application/json")], body.as_bytes());
    let mut stream = connect(lab.address);
    stream.write_all(&request).unwrap();
    // A hundred megabytes do not fit into the buffers between, so that it goes on until it is read.
    wait_for_flights(&lab, 1);
    assert_eq!(lab.call("status", json!({})).status, 503);
    let answer = read(&mut stream).unwrap();
    assert!(answer.is_whole && answer.body.len() > 100_000_000);
    wait_for_flights(&lab, 0);
    assert_eq!(lab.call("status", json!({})).status, 200);
}

#[test]
fn a_stop_lets_a_running_request_finish_and_takes_no_new_one() {
    let mut lab = Lab::new();
    let address = lab.address;
    let (mut stream, last) = begin(&lab);
    wait_for_flights(&lab, 1);
    let stopped = lab.stop();
    testkit::wait_for("the port to be closed", LIMIT, || {
        TcpStream::connect(address).is_err().then_some(())
    });
    assert!(!stopped.is_finished());
    stream.write_all(&[last]).unwrap();
    assert_eq!(read(&mut stream).unwrap().json()["data"]["__typename"], "Query");
    stopped.join().unwrap().unwrap();
}

#[test]
fn a_stopped_project_can_be_served_again() {
    let mut lab = Lab::new().with_items();
    lab.stop().join().unwrap().unwrap();
    let folder = std::mem::replace(&mut lab.folder, testkit::TempProject::empty());
    drop(lab);
    let again = Lab::open(folder, "", false);
    assert_eq!(again.rows("SELECT count(*) FROM items"), json!([["3"]]));
}
