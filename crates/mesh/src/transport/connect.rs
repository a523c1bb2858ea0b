//! A new connection to a source: name, TCP, TLS. In: the source's address and whom to trust. Out: a
//! stream of bytes, and which HTTP the server chose. The name is looked up for every connection, so
//! that a service that moves is found again. Not here: HTTP itself (`connection`), keeping (`pool`).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base::{Error, Result};
use http::uri::Scheme;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::address::Address;
use super::settings::{Identity, Protocol, Roots, SourceSettings, TlsSettings};

/// Opens connections to one source.
#[derive(Clone)]
pub(crate) struct Connector {
    tcp: HttpConnector,
    origin: http::Uri,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    protocol: Protocol,
    timeout: Duration,
}

/// The bytes of a connection.
pub(crate) enum Bytestream {
    Plain(TcpStream),
    Sealed(Box<TlsStream<TcpStream>>),
}

/// Which HTTP a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    Http1,
    Http2,
}

impl Connector {
    /// Reads certificates and keys.
    pub(crate) fn new(address: &Address, settings: &SourceSettings) -> Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let tls = match address.scheme == Scheme::HTTPS {
            true => Some(tls(address, settings)?),
            false => None,
        };
        let (protocol, timeout) = (settings.protocol, settings.connect_timeout);
        Ok(Connector { tcp, origin: address.origin(), tls, protocol, timeout })
    }

    /// What every connection will speak, if that is known beforehand.
    pub(crate) fn spoken(&self) -> Option<Spoken> {
        match self.protocol {
            Protocol::Http1 => Some(Spoken::Http1),
            Protocol::Http2 => Some(Spoken::Http2),
            Protocol::Negotiated if self.tls.is_none() => Some(Spoken::Http1),
            Protocol::Negotiated => None,
        }
    }

    /// Opens a connection; the text of an error is for the log.
    pub(crate) async fn connect(&self) -> Result<(Bytestream, Spoken), String> {
        let connected = tokio::time::timeout(self.timeout, self.connected()).await;
        let within = || format!("no connection to {} within {:?}", self.origin, self.timeout);
        connected.unwrap_or_else(|_| Err(within()))
    }

    async fn connected(&self) -> Result<(Bytestream, Spoken), String> {
        let failed = |what: &str, error: &(dyn std::error::Error + 'static)| {
            format!("{what} {}: {}", self.origin, base::error_chain(error).join(": "))
        };
        let tcp = self.tcp.clone().call(self.origin.clone()).await;
        let tcp = tcp.map_err(|error| failed("no connection to", &error))?.into_inner();
        let Some((tls, name)) = &self.tls else {
            return Ok((Bytestream::Plain(tcp), self.spoken().unwrap_or(Spoken::Http1)));
        };
        let sealed = tls.connect(name.clone(), tcp).await;
        let sealed = sealed.map_err(|error| failed("no TLS with", &error))?;
        let is_http2 = sealed.get_ref().1.alpn_protocol() == Some(b"h2");
        match (self.protocol, is_http2) {
            (Protocol::Http2, false) => Err(format!("{} does not offer HTTP/2", self.origin)),
            (_, true) => Ok((Bytestream::Sealed(Box::new(sealed)), Spoken::Http2)),
            (_, false) => Ok((Bytestream::Sealed(Box::new(sealed)), Spoken::Http1)),
        }
    }
}

fn tls(
    address: &Address,
    settings: &SourceSettings,
) -> Result<(TlsConnector, ServerName<'static>)> {
    let mut config = tls_config(&settings.tls)?;
    config.alpn_protocols = match settings.protocol {
        Protocol::Negotiated => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Protocol::Http1 => vec![b"http/1.1".to_vec()],
        Protocol::Http2 => vec![b"h2".to_vec()],
    };
    let host = address.authority.host().trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host.clone()).map_err(|error| {
        Error::invalid(format!("`{host}` cannot stand in a certificate")).caused_by(error)
    })?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

fn tls_config(settings: &TlsSettings) -> Result<ClientConfig> {
    // The provider is named, because a process may hold several.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal("TLS cannot be set up").caused_by(error))?;
    let builder = builder.with_root_certificates(roots(&settings.roots)?);
    match &settings.identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => {
            let (chain, key) = identity_of(identity)?;
            let config = builder.with_client_auth_cert(chain, key);
            config.map_err(|error| {
                Error::invalid("the certificate and its key do not fit together").caused_by(error)
            })
        }
    }
}

fn roots(roots: &Roots) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            // Systems hold certificates that no longer parse; the others still count.
            let (_good, _bad) = store.add_parsable_certificates(found.certs);
        }
        Roots::Pem(pem) => {
            for certificate in certificates(pem)? {
                store.add(certificate).map_err(|error| {
                    Error::invalid("a certificate to trust cannot be read").caused_by(error)
                })?;
            }
        }
    }
    if store.is_empty() {
        return Err(Error::invalid("there is no certificate to trust")
            .hint("give the certificates of the source's authority as PEM"));
    }
    Ok(store)
}

fn identity_of(
    identity: &Identity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let key = PrivateKeyDer::from_pem_slice(identity.key.reveal().as_bytes());
    let key = key.map_err(|error| Error::invalid("the key cannot be read").caused_by(error))?;
    Ok((certificates(&identity.chain)?, key))
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    read.map_err(|error| Error::invalid("a certificate cannot be read").caused_by(error))
}

impl AsyncRead for Bytestream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Bytestream::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Bytestream::Sealed(tls) => Pin::new(tls).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Bytestream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Bytestream::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Bytestream::Sealed(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Bytestream::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Bytestream::Sealed(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Bytestream::Plain(tcp) => tcp.is_write_vectored(),
            Bytestream::Sealed(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Bytestream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Bytestream::Sealed(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Bytestream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Bytestream::Sealed(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
