//! The messages and services that go-plugin adds to every plugin: broker, controller and stdio. Beside them, the services of
//! rpcplugin's own [instances](Instances) and [metadata](PluginMetadata).
//!
//! `cargo xtask codegen` generates the code from `proto/plugin/` and `proto/rpcplugin/`. The code is committed, so that a build needs no protobuf
//! compiler. `cargo xtask codegen --check` compares the two. Each service has a client, a trait, and a server for
//! implementations of the trait.
//!
//! The crate is internal. Its API may change with any release.
//!
//! The crate has no behaviour. `rpcplugin-broker` implements brokered connections, `rpcplugin-server` the services of a
//! plugin, and `rpcplugin-client` their clients. The public signatures of other crates do not contain these types.
//!
//! ```
//! use prost::Message;
//! use rpcplugin_proto::ConnInfo;
//!
//! let announced = ConnInfo { service_id: 1, network: "unix".into(), address: "/tmp/p1".into(), knock: None };
//! assert_eq!(ConnInfo::decode(announced.encode_to_vec().as_slice())?, announced);
//! # Ok::<(), prost::DecodeError>(())
//! ```
//!
//! # Invariants
//!
//! - Names, numbers and types are those of go-plugin's `internal/plugin/*.proto`, but for the metadata service, which go-plugin does
//!   not have.
//! - `StdioData::data` is [`bytes::Bytes`](prost::bytes::Bytes), so that forwarded output is not copied.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod generated;
mod redacted;

pub use generated::instances::instances_client::InstancesClient;
pub use generated::instances::instances_server::{Instances, InstancesServer};
pub use generated::instances::{
    CreateInstanceRequest, CreateInstanceResponse, ListInstancesRequest, ListInstancesResponse,
    RemoveInstanceRequest, RemoveInstanceResponse,
};
pub use generated::metadata::plugin_metadata_client::PluginMetadataClient;
pub use generated::metadata::plugin_metadata_server::{PluginMetadata, PluginMetadataServer};
pub use generated::metadata::{GetMetadataRequest, GetMetadataResponse};
pub use generated::plugin::conn_info::Knock;
pub use generated::plugin::grpc_broker_client::GrpcBrokerClient;
pub use generated::plugin::grpc_broker_server::{GrpcBroker, GrpcBrokerServer};
pub use generated::plugin::grpc_controller_client::GrpcControllerClient;
pub use generated::plugin::grpc_controller_server::{GrpcController, GrpcControllerServer};
pub use generated::plugin::grpc_stdio_client::GrpcStdioClient;
pub use generated::plugin::grpc_stdio_server::{GrpcStdio, GrpcStdioServer};
pub use generated::plugin::stdio_data::Channel;
pub use generated::plugin::{ConnInfo, Empty, StdioData};

/// The encoded `FileDescriptorSet` of the metadata service, for gRPC reflection.
pub const METADATA_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/metadata_descriptor.bin");

/// The encoded `FileDescriptorSet` of the three services of go-plugin and their imports, for gRPC reflection.
///
/// # Protocol
///
/// go-plugin embeds the same definitions under `internal/plugin/`. Differs: reflection shows other file names, such as
/// `plugin/grpc_broker.proto`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/plugin_descriptor.bin");

/// The encoded `FileDescriptorSet` of the service [`Instances`], for gRPC reflection.
pub const INSTANCES_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/instances_descriptor.bin");

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;

    /// Checks that the value is encoded as these bytes, and that the bytes are decoded as this value.
    #[track_caller]
    fn check<M: std::fmt::Debug + Message + Default + PartialEq>(value: &M, hex: &str) {
        let encoded: String = value.encode_to_vec().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(encoded, hex);
        assert_eq!(M::decode(value.encode_to_vec().as_slice()).unwrap(), *value);
    }

    fn address(service_id: u32, network: &str, address: &str) -> ConnInfo {
        ConnInfo { service_id, network: network.to_owned(), address: address.to_owned(), knock: None }
    }

    fn knock(service_id: u32, knock: Knock) -> ConnInfo {
        ConnInfo { service_id, knock: Some(knock), ..ConnInfo::default() }
    }

    #[test]
    fn addresses_have_the_bytes_that_go_sends() {
        check(&address(1, "unix", "/tmp/p1"), "08011204756e69781a072f746d702f7031");
        check(&address(2, "tcp", "127.0.0.1:10000"), "080212037463701a0f3132372e302e302e313a3130303030");
    }

    #[test]
    fn knocks_have_the_bytes_that_go_sends() {
        check(&knock(1, Knock { knock: true, ..Knock::default() }), "080122020801");
        check(&knock(1, Knock { knock: true, ack: true, ..Knock::default() }), "0801220408011001");
        check(
            &knock(1, Knock { knock: true, ack: true, error: "no listener for id 1".to_owned() }),
            "0801221a080110011a146e6f206c697374656e657220666f722069642031",
        );
    }

    #[test]
    fn output_has_the_bytes_that_go_sends() {
        let hi = |channel: Channel| StdioData { channel: channel.into(), data: "hi\n".into() };
        check(&hi(Channel::Stdout), "0801120368690a");
        check(&hi(Channel::Stderr), "0802120368690a");
        check(&Empty {}, "");
    }

    #[test]
    fn metadata_has_the_bytes_that_docs_metadata_shows() {
        let metadata = GetMetadataResponse {
            name: "weather".to_owned(),
            version: "1.2.0".to_owned(),
            build: [("commit".to_owned(), "3f1c".to_owned())].into(),
            capabilities: vec!["alerts".to_owned()],
            minimum_host_version: Some("2.0.0".to_owned()),
        };
        check(
            &metadata,
            "0a07776561746865721205312e322e301a0e0a06636f6d6d69741204336631632206616c657274732a05322e302e30",
        );
        check(&GetMetadataResponse::default(), "");
        let set = FileDescriptorSet::decode(METADATA_DESCRIPTOR_SET).unwrap();
        let service = &set.file[0].service[0];
        let path = format!("/{}.{}/{}", set.file[0].package(), service.name(), service.method[0].name());
        assert_eq!(path, "/rpcplugin.v1.PluginMetadata/GetMetadata");
        assert_eq!(
            path.trim_start_matches('/').split('/').next(),
            Some(generated::metadata::plugin_metadata_server::SERVICE_NAME)
        );
    }

    #[test]
    fn the_descriptor_set_has_the_methods_that_peers_call() {
        let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let mut methods = Vec::new();
        for file in set.file.iter().filter(|file| file.package() == "plugin") {
            for service in &file.service {
                for method in &service.method {
                    let stream = |streams: bool| if streams { "stream " } else { "" };
                    methods.push(format!(
                        "/plugin.{}/{} {}{} -> {}{}",
                        service.name(),
                        method.name(),
                        stream(method.client_streaming()),
                        method.input_type(),
                        stream(method.server_streaming()),
                        method.output_type(),
                    ));
                }
            }
        }
        methods.sort();
        assert_eq!(
            methods,
            [
                "/plugin.GRPCBroker/StartStream stream .plugin.ConnInfo -> stream .plugin.ConnInfo",
                "/plugin.GRPCController/Shutdown .plugin.Empty -> .plugin.Empty",
                "/plugin.GRPCStdio/StreamStdio .google.protobuf.Empty -> stream .plugin.StdioData",
            ]
        );
        // Reflection needs the imports too.
        assert!(set.file.iter().any(|file| file.name() == "google/protobuf/empty.proto"));
    }

    #[test]
    fn instances_have_the_bytes_of_the_wire() {
        let create = CreateInstanceRequest {
            id: "a".to_owned(),
            configuration: b"{}".to_vec(),
            content_type: "x/y".to_owned(),
        };
        check(&create, "0a016112027b7d1a03782f79");
        check(&RemoveInstanceRequest { id: "a".to_owned(), grace_ms: 300 }, "0a016110ac02");
        check(&RemoveInstanceResponse { in_use: true }, "0801");
        check(&ListInstancesResponse { ids: vec!["a".to_owned(), "b".to_owned()] }, "0a01610a0162");
        assert!(FileDescriptorSet::decode(INSTANCES_DESCRIPTOR_SET).is_ok());
    }

    #[test]
    fn a_configuration_is_not_shown() {
        let configuration = b"secret".to_vec();
        let create = CreateInstanceRequest { configuration, ..CreateInstanceRequest::default() };
        let shown = format!("{create:?}");
        assert!(shown.contains("6 bytes") && !shown.contains("115"), "{shown}");
    }

    #[test]
    fn services_have_the_names_of_the_wire() {
        assert_eq!(generated::instances::instances_server::SERVICE_NAME, "rpcplugin.v1.Instances");
        assert_eq!(generated::plugin::grpc_broker_server::SERVICE_NAME, "plugin.GRPCBroker");
        assert_eq!(generated::plugin::grpc_controller_server::SERVICE_NAME, "plugin.GRPCController");
        assert_eq!(generated::plugin::grpc_stdio_server::SERVICE_NAME, "plugin.GRPCStdio");
    }
}
