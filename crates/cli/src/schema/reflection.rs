//! Descriptions of services from the plugin itself.
//!
//! gRPC's reflection service exists as `v1` and, older, as `v1alpha`. Their messages are the same on the wire, so one
//! set of types asks either.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use prost::Message as _;
use prost_reflect::DescriptorPool;
use prost_types::FileDescriptorProto;
use rpcplugin::PluginChannel;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse, server_reflection_request::MessageRequest,
    server_reflection_response::MessageResponse,
};

use super::{Origin, Schema};

/// Asks the plugin for its services, and for everything that they are made of. A plugin that does not know the question
/// has told nothing, and that is no error.
pub(super) async fn ask(channel: &PluginChannel) -> Schema {
    for version in ["v1", "v1alpha"] {
        match timeout(PATIENCE, Asking::new(channel, version).all()).await {
            Ok(Ok((services, pool))) => {
                return Schema { origin: Origin::Reflection(version), services, pool };
            }
            Ok(Err(status)) if status.code() == Code::Unimplemented => {}
            // Whatever else is wrong with its reflection, the plugin may be called all the same.
            Ok(Err(_)) | Err(_) => break,
        }
    }
    Schema { origin: Origin::Nowhere, services: Vec::new(), pool: DescriptorPool::global() }
}

/// One conversation with the reflection service.
struct Asking {
    channel: PluginChannel,
    path: PathAndQuery,
    open: Option<(mpsc::Sender<ServerReflectionRequest>, Streaming<ServerReflectionResponse>)>,
}

impl Asking {
    fn new(channel: &PluginChannel, version: &str) -> Self {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let path = path.parse().expect("letters, dots and slashes make a path");
        Self { channel: channel.clone(), path, open: None }
    }

    /// The names of all services, and the descriptions of all that can be described.
    async fn all(mut self) -> Result<(Vec<String>, DescriptorPool), Status> {
        let listed = self.ask(MessageRequest::ListServices(String::new())).await?;
        let MessageResponse::ListServicesResponse(listed) = listed else {
            return Err(Status::unimplemented("no list of services came"));
        };
        let mut services: Vec<String> = listed.service.into_iter().map(|service| service.name).collect();
        services.sort();
        let mut files = BTreeMap::new();
        for service in &services {
            // A service without a description, such as one made by hand, is shown by its name.
            let request = MessageRequest::FileContainingSymbol(service.clone());
            self.collect(request, &mut files).await?;
        }
        self.collect_imports(&mut files).await?;
        Ok((services, pool(files)))
    }

    /// Asks for what the files import, until nothing new comes.
    async fn collect_imports(
        &mut self,
        files: &mut BTreeMap<String, FileDescriptorProto>,
    ) -> Result<(), Status> {
        let mut asked = BTreeSet::new();
        loop {
            let imports = files.values().flat_map(|file| &file.dependency);
            let missing: Vec<String> = imports.filter(|name| !files.contains_key(*name)).cloned().collect();
            let new: Vec<String> = missing.into_iter().filter(|name| asked.insert(name.clone())).collect();
            if new.is_empty() {
                return Ok(());
            }
            for name in new {
                self.collect(MessageRequest::FileByFilename(name), files).await?;
            }
        }
    }

    async fn collect(
        &mut self,
        request: MessageRequest,
        files: &mut BTreeMap<String, FileDescriptorProto>,
    ) -> Result<(), Status> {
        if let MessageResponse::FileDescriptorResponse(answer) = self.ask(request).await? {
            for bytes in answer.file_descriptor_proto {
                if let Ok(file) = FileDescriptorProto::decode(bytes.as_slice()) {
                    files.insert(file.name().to_owned(), file);
                }
            }
        }
        Ok(())
    }

    async fn ask(&mut self, request: MessageRequest) -> Result<MessageResponse, Status> {
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
        let gone = || Status::unavailable("the reflection service ended");
        let answers = match &mut self.open {
            Some((requests, answers)) => {
                requests.send(request).await.map_err(|_| gone())?;
                answers
            }
            None => {
                // Some servers answer the call itself only after the first request.
                let (requests, receiver) = mpsc::channel(1);
                requests.send(request).await.map_err(|_| gone())?;
                let channel = self.channel.clone();
                let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(usize::MAX);
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

/// Puts files together, as far as they go together: what they import and nobody has sent is taken from Google's own
/// where it is one of those.
fn pool(files: BTreeMap<String, FileDescriptorProto>) -> DescriptorPool {
    let mut pool = DescriptorPool::global();
    let mut waiting: Vec<_> =
        files.into_values().filter(|file| pool.get_file_by_name(file.name()).is_none()).collect();
    loop {
        let before = waiting.len();
        waiting.retain(|file| {
            let complete = file.dependency.iter().all(|name| pool.get_file_by_name(name).is_some());
            !(complete && pool.add_file_descriptor_proto(file.clone()).is_ok())
        });
        if waiting.len() == before {
            return pool;
        }
    }
}

/// How long a plugin may take to describe itself.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use rpcplugin::{
        Attachment, Host, MagicCookie, Services,
        transport::{Listener, Security, SocketDir, http2},
    };
    use tonic_reflection::server::Builder;

    use super::*;

    /// What is told of a plugin that serves these, and nothing else.
    async fn told_by(services: Services) -> Schema {
        let dir = SocketDir::private(None).unwrap();
        let listener = Listener::unix_in(&dir).unwrap();
        let endpoint = listener.endpoint().clone();
        let serving = http2::Serving::new(services, Security::Plain, Default::default());
        let server = tokio::spawn(http2::serve(listener, serving));
        let host = Host::new(MagicCookie::new("REFLECTION", "test").unwrap(), 1);
        let plugin = host.attach(Attachment::new(endpoint, 1)).await.unwrap();
        let schema = ask(&plugin.channel()).await;
        // It serves neither, and says so in its own time.
        timeout(PATIENCE, async {
            while plugin.forwards_output() || plugin.serves_broker() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        server.abort();
        schema
    }

    fn describing() -> Builder<'static> {
        Builder::configure()
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
    }

    #[tokio::test]
    async fn both_versions_of_the_service_are_asked() {
        let new = told_by(Services::new().add(describing().build_v1().unwrap())).await;
        assert_eq!(new.origin, Origin::Reflection("v1"));
        let old = told_by(Services::new().add(describing().build_v1alpha().unwrap())).await;
        assert_eq!(old.origin, Origin::Reflection("v1alpha"));
        for schema in [new, old] {
            let service = schema.service("grpc.reflection.v1.ServerReflection").unwrap();
            assert_eq!(service.methods().count(), 1, "{:?}", schema.services);
        }
        let none = told_by(Services::new()).await;
        assert_eq!((none.origin, none.services.len()), (Origin::Nowhere, 0));
    }

    #[test]
    fn files_come_in_any_order_and_what_is_missing_is_left_out() {
        let file = |name: &str, imports: &[&str], message: &str| FileDescriptorProto {
            name: Some(name.to_owned()),
            package: Some("p".to_owned()),
            dependency: imports.iter().map(|import| (*import).to_owned()).collect(),
            message_type: vec![prost_types::DescriptorProto {
                name: Some(message.to_owned()),
                ..Default::default()
            }],
            ..Default::default()
        };
        let files = [
            file("a.proto", &["b.proto", "google/protobuf/empty.proto"], "A"),
            file("b.proto", &[], "B"),
            file("c.proto", &["nowhere.proto"], "C"),
        ];
        let pool = pool(files.into_iter().map(|file| (file.name().to_owned(), file)).collect());
        let known = |name: &str| pool.get_message_by_name(name).is_some();
        assert!(known("p.A") && known("p.B") && !known("p.C") && known("google.protobuf.Empty"));
    }
}
