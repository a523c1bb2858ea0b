//! Random bytes as requests never bring the server down. In: a seed. Out: a server that is well.

use base::rng::Rng;

use crate::client::send_and_hang_up;
use crate::lab::Lab;

const REQUESTS: usize = 500;

/// Pieces of real requests, so that noise gets past the first line now and then.
const PIECES: &[&[u8]] = &[
    b"POST /graphql HTTP/1.1\r\n",
    b"POST /operations/sql HTTP/1.1\r\n",
    b"POST /import?options={\"typeName\":\"Item\"} HTTP/1.1\r\n",
    b"GET / HTTP/1.1\r\n",
    b"GET /media/Item/photo/%ff%00 HTTP/1.1\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"host: 127.0.0.1\r\n",
    b"content-type: application/json\r\n",
    b"content-length: 18446744073709551616\r\n",
    b"content-length: 20\r\n",
    b"transfer-encoding: chunked\r\n",
    b"authorization: Bearer hw_",
    b"expect: 100-continue\r\n",
    b"\r\n",
    b"{\"query\": \"{ items { nodes { id } } }\"}",
    b"ffffffffffffffff\r\n",
];

fn noise(rng: &Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..=rng.below(12) {
        if rng.below(3) > 0 {
            let piece = PIECES[usize::try_from(rng.below(PIECES.len() as u64)).unwrap()];
            bytes.extend_from_slice(piece);
        } else {
            let mut random = vec![0; usize::try_from(rng.below(64)).unwrap()];
            rng.fill(&mut random);
            bytes.extend(random);
        }
    }
    // Now and then one bit is wrong.
    if rng.below(2) == 0 && !bytes.is_empty() {
        let place = usize::try_from(rng.below(bytes.len() as u64)).unwrap();
        bytes[place] ^= 1 << rng.below(8);
    }
    bytes
}

#[test]
fn noise_never_brings_the_server_down() {
    let lab = Lab::new();
    let rng = Rng::seeded(0x4ead_3a7e);
    for number in 0..REQUESTS {
        let answer = send_and_hang_up(lab.address, &noise(&rng));
        let text = String::from_utf8_lossy(&answer);
        assert!(!text.starts_with("HTTP/1.1 500"), "request {number}: {text}");
        if number % 50 == 0 {
            lab.assert_healthy();
        }
    }
    lab.assert_healthy();
    assert_eq!(lab.rows("SELECT count(*) FROM items"), serde_json::json!([["0"]]));
}
