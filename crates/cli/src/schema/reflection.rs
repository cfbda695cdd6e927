//! Descriptions of services and messages from the plugin's gRPC reflection.
//!
//! The reflection service has the versions `v1` and `v1alpha`. Their messages have the same encoding, so one set of types serves both.
//! Number, size and time are limited. The part before a limit is used.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use prost_reflect::DescriptorPool;
use rpcplugin::PluginChannel;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::{
    ExtensionRequest, ServerReflectionRequest, ServerReflectionResponse,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::{
    check::join,
    descriptor::{self, Field, File, Message},
    pool::LeftOut,
};

/// The result of a plugin's reflection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reflection {
    Served {
        /// The version of the reflection service.
        version: &'static str,
        services: Vec<String>,
        /// The limit that was reached, as a sentence.
        bound: Option<String>,
    },
    /// The plugin has no reflection.
    Absent,
    /// The plugin's reflection fails, for this reason.
    Failed(String),
}

/// The descriptions that the plugin sends.
#[derive(Debug)]
pub(super) struct PluginFiles {
    pub(super) reflection: Reflection,
    pub(super) files: Vec<File>,
    pub(super) left_out: Vec<LeftOut>,
    /// The reasons why the plugin sends no file for a service.
    pub(super) without_file: BTreeMap<String, String>,
}

/// The limits of reflection.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    services: usize,
    files: usize,
    /// The maximum size of a response, in bytes.
    answer: usize,
    /// The maximum size of all files, in bytes.
    size: usize,
    /// The maximum number of messages, fields and other parts in all files.
    parts: usize,
    /// The maximum number of extensions of a message.
    extensions: usize,
    failures: usize,
    time: Duration,
}

/// Limits above the needs of real plugins, and below the memory of a machine.
const BOUNDS: Bounds = Bounds {
    services: 10_000,
    files: 4_000,
    answer: 16 << 20,
    size: 32 << 20,
    parts: 200_000,
    extensions: 1_000,
    failures: 16,
    time: Duration::from_secs(10),
};

/// Requests the plugin's services with all of their types. A plugin without reflection is not an error.
pub(super) async fn fetch(channel: &PluginChannel) -> PluginFiles {
    fetch_within(channel, BOUNDS).await
}

async fn fetch_within(channel: &PluginChannel, bounds: Bounds) -> PluginFiles {
    let deadline = Instant::now() + bounds.time;
    let mut reflection = Reflection::Absent;
    for version in ["v1", "v1alpha"] {
        let mut conversation = Conversation::new(channel, version, bounds, deadline);
        match conversation.request(MessageRequest::ListServices(String::new())).await {
            Ok(MessageResponse::ListServicesResponse(listed)) => {
                let mut services: Vec<String> =
                    listed.service.into_iter().map(|service| service.name).collect();
                services.sort();
                services.dedup();
                if services.len() > bounds.services {
                    conversation.stop(&format!("has more than {} services", bounds.services));
                    services.truncate(bounds.services);
                }
                conversation.describe(&services).await;
                return conversation.into_files(version, services);
            }
            Ok(MessageResponse::ErrorResponse(error)) => {
                reflection = Reflection::Failed(error.error_message);
                break;
            }
            Ok(_) => {
                reflection = Reflection::Failed("the plugin does not list its services".to_owned());
                break;
            }
            Err(Failure::Status(status)) if status.code() == Code::Unimplemented => {}
            Err(Failure::Status(status)) => {
                reflection = Reflection::Failed(status_text(&status));
                break;
            }
            Err(Failure::Bound) => {
                let why = conversation.bound.unwrap_or_default();
                reflection = Reflection::Failed(why.replacen("the reflection of the plugin", "it", 1));
                break;
            }
        }
    }
    PluginFiles { reflection, files: Vec::new(), left_out: Vec::new(), without_file: BTreeMap::new() }
}

/// A conversation with the reflection service.
struct Conversation {
    channel: PluginChannel,
    path: PathAndQuery,
    open: Option<(mpsc::Sender<ServerReflectionRequest>, Streaming<ServerReflectionResponse>)>,
    bounds: Bounds,
    deadline: Instant,
    /// Google's files, which are not requested.
    own: DescriptorPool,
    files: BTreeMap<String, File>,
    left_out: BTreeMap<String, String>,
    without_file: BTreeMap<String, String>,
    /// The imports to request, and all imports that were ever in this list.
    imports: VecDeque<String>,
    asked: BTreeSet<String>,
    size: usize,
    parts: usize,
    failures: usize,
    /// The limit that was reached.
    bound: Option<String>,
}

/// Why there is no response.
enum Failure {
    Status(Status),
    /// A limit was reached. No further request is made.
    Bound,
}

impl Conversation {
    fn new(channel: &PluginChannel, version: &str, bounds: Bounds, deadline: Instant) -> Self {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        Self {
            channel: channel.clone(),
            path: path.parse().expect("letters, dots and slashes make a path"),
            open: None,
            bounds,
            deadline,
            own: DescriptorPool::global(),
            files: BTreeMap::new(),
            left_out: BTreeMap::new(),
            without_file: BTreeMap::new(),
            imports: VecDeque::new(),
            asked: BTreeSet::new(),
            size: 0,
            parts: 0,
            failures: 0,
            bound: None,
        }
    }

    fn into_files(self, version: &'static str, services: Vec<String>) -> PluginFiles {
        PluginFiles {
            reflection: Reflection::Served { version, services, bound: self.bound },
            files: self.files.into_values().collect(),
            left_out: self.left_out.into_iter().map(|(file, why)| LeftOut { file, why }).collect(),
            without_file: self.without_file,
        }
    }

    /// Records the limit that was reached. `what` continues "the reflection of the plugin".
    fn stop(&mut self, what: &str) {
        self.bound
            .get_or_insert_with(|| format!("the reflection of the plugin {what}, and the rest was not read"));
    }

    /// Requests the files of all services, their imports, and the extensions of their messages.
    async fn describe(&mut self, services: &[String]) {
        for service in services {
            // A service without a description is shown by its name.
            let request = MessageRequest::FileContainingSymbol(service.clone());
            match self.collect(request).await {
                Ok(None) => {}
                Ok(Some(why)) => _ = self.without_file.insert(service.clone(), why),
                Err(Failure::Status(status)) => {
                    self.without_file.insert(service.clone(), status_text(&status));
                }
                Err(Failure::Bound) => return,
            }
        }
        // Each stops at a limit. The part before the limit is kept.
        let _ = self.collect_imports().await;
        let _ = self.collect_extensions().await;
        let _ = self.collect_imports().await;
    }

    /// Requests the imports of the files until all are there. A missing import is reported where it is used.
    async fn collect_imports(&mut self) -> Result<(), Failure> {
        while let Some(name) = self.imports.pop_front() {
            if self.files.contains_key(&name) || self.own.get_file_by_name(&name).is_some() {
                continue;
            }
            match self.collect(MessageRequest::FileByFilename(name)).await {
                Ok(_) | Err(Failure::Status(_)) => {}
                Err(Failure::Bound) => return Err(Failure::Bound),
            }
        }
        Ok(())
    }

    /// Requests the extensions of messages with extension ranges.
    async fn collect_extensions(&mut self) -> Result<(), Failure> {
        let (mut extendable, mut known) = (Vec::new(), BTreeSet::new());
        for file in self.files.values() {
            note_extensions(&file.extension, &mut known);
            for message in &file.message {
                note_extendable(message, &file.package, &mut extendable, &mut known);
            }
        }
        for name in extendable {
            let numbers = match self.request(MessageRequest::AllExtensionNumbersOfType(name.clone())).await {
                Ok(MessageResponse::AllExtensionNumbersResponse(numbers)) => numbers.extension_number,
                Ok(_) => continue,
                // The plugin does not support the request.
                Err(failure) => return Err(failure),
            };
            let is_new = |number: &i32| !known.contains(&(name.clone(), *number));
            let new: BTreeSet<i32> = numbers.into_iter().filter(is_new).collect();
            if new.len() > self.bounds.extensions {
                self.stop(&format!("has more than {} extensions of {name}", self.bounds.extensions));
                return Err(Failure::Bound);
            }
            for extension_number in new {
                let request = ExtensionRequest { containing_type: name.clone(), extension_number };
                self.collect(MessageRequest::FileContainingExtension(request)).await?;
            }
        }
        Ok(())
    }

    /// Requests files and keeps them. Returns the reason if no file came.
    async fn collect(&mut self, request: MessageRequest) -> Result<Option<String>, Failure> {
        match self.request(request).await? {
            MessageResponse::FileDescriptorResponse(answer) => {
                for bytes in answer.file_descriptor_proto {
                    self.take(&bytes)?;
                }
                Ok(None)
            }
            MessageResponse::ErrorResponse(error) => Ok(Some(error.error_message)),
            _ => Ok(Some("the plugin sends an unexpected response".to_owned())),
        }
    }

    /// Keeps a new file.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let name = descriptor::name(bytes).unwrap_or_default();
        if self.files.contains_key(&name) || self.left_out.contains_key(&name) {
            return Ok(());
        }
        self.size = self.size.saturating_add(bytes.len());
        self.parts = self.parts.saturating_add(descriptor::parts(bytes));
        if self.files.len() + self.left_out.len() >= self.bounds.files {
            self.stop(&format!("has more than {} files", self.bounds.files));
        } else if self.size > self.bounds.size {
            self.stop(&format!("has files of more than {} MiB", self.bounds.size >> 20));
        } else if self.parts > self.bounds.parts {
            self.stop(&format!(
                "has files with more than {} messages, fields and other parts",
                self.bounds.parts
            ));
        }
        if self.bound.is_some() {
            return Err(Failure::Bound);
        }
        match File::read(bytes) {
            Ok(file) => {
                let new = file.dependency.iter().filter(|name| self.asked.insert((*name).clone())).cloned();
                self.imports.extend(new);
                self.files.insert(file.name.clone(), file);
            }
            Err((name, why)) => _ = self.left_out.insert(name, why),
        }
        Ok(())
    }

    /// Makes a request. After an error the next request opens a new stream.
    async fn request(&mut self, request: MessageRequest) -> Result<MessageResponse, Failure> {
        if self.bound.is_some() {
            return Err(Failure::Bound);
        }
        let answer = timeout_at(self.deadline, self.exchange(request)).await;
        let status = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(status)) => status,
            Err(_) => {
                self.stop(&format!("took longer than {} s", self.bounds.time.as_secs()));
                return Err(Failure::Bound);
            }
        };
        self.open = None;
        self.failures += 1;
        if status.message().contains(TOO_LARGE) {
            self.stop(&format!("has a response of more than {} MiB", self.bounds.answer >> 20));
            return Err(Failure::Bound);
        }
        if self.failures > self.bounds.failures {
            self.stop(&format!(
                "failed more than {} times, the last time with {:?}",
                self.bounds.failures,
                status_text(&status)
            ));
        }
        Err(Failure::Status(status))
    }

    async fn exchange(&mut self, request: MessageRequest) -> Result<MessageResponse, Status> {
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
        let gone = || Status::unavailable("the reflection service ended");
        let answers = match &mut self.open {
            Some((requests, answers)) => {
                requests.send(request).await.map_err(|_| gone())?;
                answers
            }
            None => {
                // Some servers respond to the call only after the first request.
                let (requests, receiver) = mpsc::channel(1);
                requests.send(request).await.map_err(|_| gone())?;
                let channel = self.channel.clone();
                let mut client =
                    tonic::client::Grpc::new(channel).max_decoding_message_size(self.bounds.answer);
                client.ready().await.map_err(|error| Status::from_error(error.into()))?;
                let stream = tonic::Request::new(ReceiverStream::new(receiver));
                let codec = ProstCodec::<ServerReflectionRequest, ServerReflectionResponse>::default();
                let answers = client.streaming(stream, self.path.clone(), codec).await?.into_inner();
                &mut self.open.insert((requests, answers)).1
            }
        };
        answers.message().await?.and_then(|answer| answer.message_response).ok_or_else(gone)
    }
}

/// Returns the message of a status, or its code if the message is empty.
fn status_text(status: &Status) -> String {
    match status.message() {
        "" => format!("{:?}", status.code()),
        message => message.to_owned(),
    }
}

/// Collects the names of messages with extension ranges, except Google's, and the extensions in messages.
fn note_extendable(
    message: &Message,
    scope: &str,
    found: &mut Vec<String>,
    known: &mut BTreeSet<(String, i32)>,
) {
    let name = join(scope, &message.name);
    note_extensions(&message.extension, known);
    for nested in &message.nested {
        note_extendable(nested, &name, found, known);
    }
    if !message.extension_range.is_empty() && !name.starts_with("google.protobuf.") {
        found.push(name);
    }
}

/// Collects the numbers of extensions, by message.
fn note_extensions(extensions: &[Field], known: &mut BTreeSet<(String, i32)>) {
    known.extend(extensions.iter().map(|one| (one.extendee.trim_start_matches('.').to_owned(), one.number)));
}

/// The text of tonic's error for a response above the limit.
const TOO_LARGE: &str = "decoded message length too large";
