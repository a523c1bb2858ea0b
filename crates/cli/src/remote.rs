//! A running server as the target of commands: the operations over HTTP, with their events as JSON
//! lines. Blocking calls on a thread of their own keep the client small.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Arc;

use base::{Error, Kind};
use serde_json::Value;
use server::wire::{ErrorBody, Event, ExportRequest, ImportAnswer, ImportRequest};

use crate::printer::Failure;
use crate::target::Report;

/// Reports that may wait for the terminal.
const REPORTS: usize = 64;

/// A server and how to be let in.
#[derive(Clone)]
pub(crate) struct Remote {
    url: Arc<str>,
    token: Option<Arc<str>>,
    agent: ureq::Agent,
}

impl Remote {
    /// A server at `http://…` or `https://…`.
    pub(crate) fn new(url: &str, token: Option<String>) -> Result<Self, Failure> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Failure::user(
                format!("`{url}` is no address of a server"),
                "write it as `http://127.0.0.1:8080`",
            ));
        }
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        Ok(Remote {
            url: url.trim_end_matches('/').into(),
            token: token.map(Into::into),
            agent: config.into(),
        })
    }

    /// Carries an operation out.
    pub(crate) async fn call(
        &self,
        operation: &'static str,
        request: Value,
        report: Report<'_>,
    ) -> Result<Value, Failure> {
        let body = request.to_string().into_bytes();
        self.events(
            format!("/operations/{operation}"),
            "application/json",
            Body::Bytes(body),
            report,
        )
        .await
    }

    /// Sends a file of this machine to be imported.
    pub(crate) async fn import(
        &self,
        request: ImportRequest,
        report: Report<'_>,
    ) -> Result<ImportAnswer, Failure> {
        let source = request.source.clone();
        let metadata = std::fs::metadata(&source).map_err(|error| {
            Error::from(error).context(format!("failed to open `{}`", source.display()))
        })?;
        if metadata.is_dir() {
            return Err(Failure::user(
                format!(
                    "`{}` is a folder, and only a file can be sent to a server",
                    source.display()
                ),
                "pack it as a zip file and import that",
            ));
        }
        let options = serde_json::to_string(&ImportRequest {
            display_name: source.file_name().map(|name| name.to_string_lossy().into_owned()),
            ..request
        })
        .map_err(|error| Error::internal("failed to write a request").caused_by(error))?;
        let path = format!("/import?options={}", percent_encoded(&options));
        let answer =
            self.events(path, "application/octet-stream", Body::File(source), report).await?;
        serde_json::from_value(answer).map_err(|error| {
            Error::internal("the answer of `import` has another shape").caused_by(error).into()
        })
    }

    /// Writes an export into `sink`.
    pub(crate) async fn export(
        &self,
        request: ExportRequest,
        mut sink: Box<dyn Write + Send>,
    ) -> Result<Option<u64>, Failure> {
        let remote = self.clone();
        base::task::blocking("export over http", move || -> Result<Option<u64>, Failure> {
            let body = serde_json::to_vec(&request)
                .map_err(|error| Error::internal("failed to write a request").caused_by(error))?;
            let mut response = remote.post("/export", "application/json", Body::Bytes(body))?;
            if !response.status().is_success() {
                return Err(refusal(response));
            }
            std::io::copy(&mut response.body_mut().as_reader(), &mut sink).map_err(Error::from)?;
            sink.flush().map_err(Error::from)?;
            // The server streams while it counts.
            Ok(None)
        })
        .await?
    }

    async fn events(
        &self,
        path: String,
        content_type: &'static str,
        body: Body,
        report: Report<'_>,
    ) -> Result<Value, Failure> {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(REPORTS);
        let remote = self.clone();
        let reader = base::task::blocking("call over http", move || {
            remote.read_events(&path, content_type, body, &sender)
        });
        tokio::pin!(reader);
        loop {
            tokio::select! {
                Some(progress) = receiver.recv() => report(progress),
                result = &mut reader => return result?,
            }
        }
    }

    fn read_events(
        &self,
        path: &str,
        content_type: &str,
        body: Body,
        sender: &tokio::sync::mpsc::Sender<server::wire::Progress>,
    ) -> Result<Value, Failure> {
        let mut response = self.post(path, content_type, body)?;
        if !response.status().is_success() {
            return Err(refusal(response));
        }
        for line in BufReader::new(response.body_mut().as_reader()).lines() {
            let line = line.map_err(Error::from)?;
            let event: Event = serde_json::from_str(&line).map_err(|error| {
                Error::new(Kind::Unavailable, "the server answered in another language")
                    .caused_by(error)
            })?;
            match event {
                // A terminal that cannot keep up loses reports, never the answer.
                Event::Progress(progress) => drop(sender.try_send(progress)),
                Event::Done(answer) => return Ok(answer),
                Event::Error(error) => return Err(error.into()),
            }
        }
        Err(Error::new(Kind::Unavailable, "the server hung up before it answered")
            .hint("run the same command again: finished work is not done twice")
            .into())
    }

    fn post(
        &self,
        path: &str,
        content_type: &str,
        body: Body,
    ) -> Result<ureq::http::Response<ureq::Body>, Failure> {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("content-type", content_type)
            .header("x-headwater-client", "cli");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let sent = match body {
            Body::Bytes(bytes) => request.send(&bytes[..]),
            Body::File(path) => {
                let file = std::fs::File::open(&path).map_err(|error| {
                    Error::from(error).context(format!("failed to open `{}`", path.display()))
                })?;
                request.send(file)
            }
        };
        sent.map_err(|error| {
            Error::new(Kind::Unavailable, format!("failed to reach `{}`", self.url))
                .caused_by(error)
                .hint("is `headwater up` running there?")
                .into()
        })
    }
}

enum Body {
    Bytes(Vec<u8>),
    File(std::path::PathBuf),
}

/// What a refused request says; a body that is not ours still shows the status.
fn refusal(mut response: ureq::http::Response<ureq::Body>) -> Failure {
    let status = response.status();
    let mut text = String::new();
    let read = response.body_mut().as_reader().take(1 << 20).read_to_string(&mut text);
    match (read, serde_json::from_str::<ErrorBody>(&text)) {
        (Ok(_), Ok(body)) => body.into(),
        _ => Error::new(Kind::Unavailable, format!("the server answered {status}"))
            .hint("is that address a Headwater server?")
            .into(),
    }
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
