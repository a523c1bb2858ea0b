//! What a service says of its messages when it is asked (`grpc.reflection.v1`, or `v1alpha` of servers that
//! know no other): in comes a transport with the names of services, out come their descriptors with all
//! that they import. Questions of one round are one call: their messages are one body, and the server
//! answers each in its order.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use prost::Message;
use prost_reflect::prost_types::FileDescriptorProto;
use schema::protobuf::{self, Descriptors};

use super::frame::{framed, messages};
use crate::transport::{Call, CallError, CallErrorKind, Content, GrpcStatus, Transport};

/// The services of reflection, the one that is preferred first.
const VERSIONS: [&str; 2] = ["v1", "v1alpha"];

/// Files that are read of one service, and rounds of questions.
const MOST_FILES: usize = 1_000;
const MOST_ROUNDS: usize = 50;

/// Why a service does not say what it is.
#[derive(Clone, Debug)]
pub struct Unreflected {
    /// What callers may know.
    pub words: String,
    /// What only the log says.
    pub detail: String,
    /// Whether asking again may help.
    pub retryable: bool,
    /// Whether there is a server of gRPC at all.
    pub is_grpc: bool,
}

impl Unreflected {
    pub(super) fn late(limit: std::time::Duration) -> Self {
        Unreflected {
            words: "it does not say in time what its messages are".to_owned(),
            detail: format!("not within {limit:?}"),
            retryable: true,
            is_grpc: true,
        }
    }
}

/// A question.
#[derive(Clone, PartialEq, Message)]
struct Question {
    #[prost(string, optional, tag = "3")]
    file_by_filename: Option<String>,
    #[prost(string, optional, tag = "4")]
    file_containing_symbol: Option<String>,
    #[prost(string, optional, tag = "7")]
    list_services: Option<String>,
}

/// What is said to a question.
#[derive(Clone, PartialEq, Message)]
struct Said {
    #[prost(message, optional, tag = "4")]
    files: Option<Files>,
    #[prost(message, optional, tag = "6")]
    services: Option<Services>,
    #[prost(message, optional, tag = "7")]
    error: Option<Refused>,
}

#[derive(Clone, PartialEq, Message)]
struct Files {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    file: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct Services {
    #[prost(message, repeated, tag = "1")]
    service: Vec<Named>,
}

#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Refused {
    #[prost(string, tag = "2")]
    message: String,
}

/// Asks a service for the descriptors of these services, or of all that it has. `asker` is a call of
/// whoever needs them: its headers travel.
///
/// # Errors
/// When the service cannot be reached, does not know reflection, or says what cannot be.
pub async fn reflect(
    transport: &Transport,
    asker: &Call,
    services: &[String],
) -> Result<Descriptors, Unreflected> {
    let mut last = None;
    for version in VERSIONS {
        let server = Server { transport, asker, version };
        match server.descriptors(services).await {
            Err(Failed::Unknown(detail)) => last = Some(detail),
            Err(Failed::Told(unreflected)) => return Err(unreflected),
            Ok(descriptors) => return Ok(descriptors),
        }
    }
    Err(Unreflected {
        words: "it does not say what its messages are".to_owned(),
        detail: last.unwrap_or_default(),
        retryable: false,
        is_grpc: true,
    })
}

/// How asking failed.
enum Failed {
    /// The server has no such service of reflection.
    Unknown(String),
    Told(Unreflected),
}

/// A server that is asked in one version.
struct Server<'s> {
    transport: &'s Transport,
    asker: &'s Call,
    version: &'static str,
}

impl Server<'_> {
    async fn descriptors(&self, services: &[String]) -> Result<Descriptors, Failed> {
        let services = match services {
            [] => self.services().await?,
            known => known.to_vec(),
        };
        let first = services
            .into_iter()
            .map(|name| Question { file_containing_symbol: Some(name), ..Question::default() });
        let mut questions: Vec<Question> = first.collect();
        let mut files: BTreeMap<String, FileDescriptorProto> = BTreeMap::new();
        let mut bytes = 0;
        for _ in 0..MOST_ROUNDS {
            if questions.is_empty() {
                let files = files.into_values().collect();
                return Descriptors::of_files(files)
                    .map_err(|fault| wrong("what it says of its messages cannot be", fault.words));
            }
            let said = self.round(&questions).await?;
            // A service that the server does not have any more is no reason to know none of the others.
            let mut refused = None;
            for (question, said) in questions.iter().zip(said) {
                match said.error {
                    Some(error) if question.file_containing_symbol.is_some() => {
                        refused = Some(error)
                    }
                    Some(error) => {
                        return Err(wrong("it does not know its own messages", error.message));
                    }
                    None => add(said, &mut files, &mut bytes)?,
                }
            }
            if let (Some(error), true) = (refused, files.is_empty()) {
                return Err(wrong("it does not know its own messages", error.message));
            }
            questions = missing(&files);
        }
        Err(wrong("its messages have too many files", format!("more than {MOST_ROUNDS} rounds")))
    }

    /// The names of its services, but for those that every server may have.
    async fn services(&self) -> Result<Vec<String>, Failed> {
        let question = Question { list_services: Some("*".to_owned()), ..Question::default() };
        let said = self.round(&[question]).await?;
        let services = said.into_iter().filter_map(|said| said.services);
        let names = services.flat_map(|services| services.service).map(|service| service.name);
        let names: Vec<String> = names
            .filter(|name| !protobuf::MACHINERY.iter().any(|start| name.starts_with(start)))
            .collect();
        match names.is_empty() {
            true => Err(wrong("it has no services", "the list is empty".to_owned())),
            false => Ok(names),
        }
    }

    /// Asks questions; an answer for each.
    async fn round(&self, questions: &[Question]) -> Result<Vec<Said>, Failed> {
        let answer = self.transport.call(&self.call(questions)).await;
        let answer = answer.map_err(|error| unreached(&error))?;
        let status = crate::transport::grpc_status(&answer.headers, answer.trailers.as_ref());
        match status {
            Some((GrpcStatus::Ok, _)) => {}
            Some((GrpcStatus::Unimplemented, words)) => return Err(Failed::Unknown(words)),
            Some((status, words)) => {
                return Err(wrong(&format!("it refuses to say what it is: {status}"), words));
            }
            None => return Err(wrong("its answer is broken", "no status".to_owned())),
        }
        let limit = self.transport.answer_bytes();
        let messages = messages(answer.body, &answer.headers, limit).await;
        let messages =
            messages.map_err(|error| wrong("its answer is broken", format!("{error:?}")))?;
        if messages.len() != questions.len() {
            let detail = format!("{} answers to {}", messages.len(), questions.len());
            return Err(wrong("its answer is broken", detail));
        }
        let said = messages.into_iter().map(Said::decode);
        said.collect::<Result<_, _>>()
            .map_err(|error| wrong("its answer is broken", error.to_string()))
    }

    fn call(&self, questions: &[Question]) -> Call {
        let target =
            format!("/grpc.reflection.{}.ServerReflection/ServerReflectionInfo", self.version);
        let mut call = Call::get(target, self.asker.principal.clone());
        call.method = Method::POST;
        call.client_headers = self.asker.client_headers.clone();
        call.deadline = self.asker.deadline;
        call.content = Content::Grpc;
        call.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        let frames = questions.iter().map(|question| framed(&question.encode_to_vec()));
        call.body = frames.collect::<Vec<_>>().concat().into();
        call
    }
}

fn add(
    said: Said,
    files: &mut BTreeMap<String, FileDescriptorProto>,
    total: &mut usize,
) -> Result<(), Failed> {
    for bytes in said.files.into_iter().flat_map(|files| files.file) {
        *total += bytes.len();
        if *total > protobuf::MAX_BYTES {
            let detail = format!("more than {} bytes", protobuf::MAX_BYTES);
            return Err(wrong("what it says of its messages is too long", detail));
        }
        let file = FileDescriptorProto::decode(bytes);
        let file = file.map_err(|error| wrong("its answer is broken", error.to_string()))?;
        files.insert(file.name().to_owned(), file);
    }
    match files.len() > MOST_FILES {
        true => Err(wrong("its messages have too many files", format!("more than {MOST_FILES}"))),
        false => Ok(()),
    }
}

/// Imports that are not there yet.
fn missing(files: &BTreeMap<String, FileDescriptorProto>) -> Vec<Question> {
    let imports = files.values().flat_map(|file| &file.dependency);
    let mut names: Vec<&String> = imports.filter(|name| !files.contains_key(*name)).collect();
    names.sort();
    names.dedup();
    let question =
        |name: &String| Question { file_by_filename: Some(name.clone()), ..Question::default() };
    names.into_iter().map(question).collect()
}

fn wrong(words: &str, detail: String) -> Failed {
    let words = words.to_owned();
    Failed::Told(Unreflected { words, detail, retryable: false, is_grpc: true })
}

fn unreached(error: &CallError) -> Failed {
    Failed::Told(Unreflected {
        words: error.to_string(),
        detail: error.detail.clone(),
        retryable: error.retryable,
        is_grpc: matches!(error.kind, CallErrorKind::Grpc(_)),
    })
}
