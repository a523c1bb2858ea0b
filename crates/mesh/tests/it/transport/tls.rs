//! `https`: certificates are looked at, and the server chooses between HTTP/1.1 and HTTP/2.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh::transport::{CallErrorKind, Protocol, Roots, SourceSettings};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::server::{Peer, Server, json};
use super::{pass, query, transport};

/// A server for `localhost` that offers these protocols, and the certificate to trust.
async fn start(offered: &'static [&'static str]) -> (Server, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])
        .expect("it goes well in a test");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("it goes well in a test")
        .with_no_client_auth();
    let mut config = config
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("it goes well in a test");
    config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let mut server = Server::start(move |peer: Peer| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(peer.into_stream()).await else { return };
            match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => speak_http2(stream).await,
                _ => speak_http1(stream).await,
            }
        }
    })
    .await;
    server.url = server.url.replace("http://127.0.0.1", "https://localhost");
    (server, made.cert.pem())
}

async fn speak_http1(mut stream: TlsStream<TcpStream>) {
    let mut head = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        head.push(byte);
        if head.ends_with(b"\r\n\r\n") {
            stream.write_all(json("1").as_bytes()).await.expect("it goes well in a test");
            stream.flush().await.expect("it goes well in a test");
            head.clear();
        }
    }
}

async fn speak_http2(stream: TlsStream<TcpStream>) {
    let mut connection = h2::server::handshake(stream).await.expect("it goes well in a test");
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let head = http::Response::builder().header("content-type", "application/json");
        let mut stream = respond
            .send_response(head.body(()).expect("it goes well in a test"), false)
            .expect("it goes well in a test");
        stream.send_data(Bytes::from_static(b"2"), true).expect("it goes well in a test");
    }
}

/// Which HTTP is spoken, or how it fails.
async fn check(
    offered: &'static [&'static str],
    change: impl FnOnce(&mut SourceSettings, String),
    expected: Result<&str, CallErrorKind>,
) {
    let (server, certificate) = start(offered).await;
    let source = transport(&server.url, |settings| change(settings, certificate));
    for _ in 0..3 {
        let found = source.call(&query()).await;
        let found = found
            .map(|answer| String::from_utf8(answer.body.to_vec()).expect("it goes well in a test"));
        let kinds = found.as_deref().map_err(|error| error.kind);
        assert_eq!(kinds, expected, "{found:?}");
    }
    if expected.is_ok() {
        assert_eq!(server.accepted(), 1, "the connection is kept");
    }
}

fn trusting(settings: &mut SourceSettings, certificate: String) {
    settings.tls.roots = Roots::Pem(certificate);
}

#[tokio::test]
async fn the_server_chooses_which_http_is_spoken() {
    check(&["h2", "http/1.1"], trusting, Ok("2")).await;
    check(&["http/1.1"], trusting, Ok("1")).await;
    check(&[], trusting, Ok("1")).await;
    let only_http1 = |settings: &mut SourceSettings, certificate| {
        settings.protocol = Protocol::Http1;
        trusting(settings, certificate);
    };
    check(&["h2", "http/1.1"], only_http1, Ok("1")).await;
    let only_http2 = |settings: &mut SourceSettings, certificate| {
        settings.protocol = Protocol::Http2;
        trusting(settings, certificate);
    };
    check(&[], only_http2, Err(CallErrorKind::Connect)).await;
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let trusting_another = |settings: &mut SourceSettings, _| {
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        trusting(settings, other.cert.pem());
    };
    check(&["h2"], trusting_another, Err(CallErrorKind::Connect)).await;
    let (mut server, certificate) = start(&["h2"]).await;
    server.url = server.url.replace("localhost", "127.0.0.1");
    let source = transport(&server.url, |settings| trusting(settings, certificate));
    let error = source.call(&query()).await.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Connect, "the name is looked at too");
}

#[tokio::test]
async fn a_server_that_never_shakes_hands_is_left_at_the_connect_timeout() {
    let (tell, mut told) = tokio::sync::mpsc::channel(1);
    let mut server = Server::start(move |mut peer: Peer| {
        let tell = tell.clone();
        async move {
            tell.send("reached").await.unwrap();
            peer.gone().await;
            tell.send("left alone").await.unwrap();
        }
    })
    .await;
    server.url = server.url.replace("http://", "https://");
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let source = transport(&server.url, |settings| {
        settings.tls.roots = Roots::Pem(other.cert.pem());
        settings.connect_timeout = Duration::from_secs(5);
        settings.retry.most = 0;
    });
    let call = query();
    let (error, ()) = tokio::join!(source.call(&call), async {
        assert_eq!(told.recv().await, Some("reached"));
        pass(Duration::from_secs(5)).await;
    });
    let error = error.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Connect);
    assert_eq!(error.detail, format!("no connection to {}/ within 5s", server.url));
    assert_eq!(told.recv().await, Some("left alone"));
}
