//! Settings of the connections between host and plugin.

use std::{fs, os::unix::fs::PermissionsExt as _};

use rpcplugin::{Plugin, PluginChannel, broker::ServiceId, config::HostTls, transport::LANE_VERSION};
use rpcplugin_tests::{
    pb::{BigPayloadRequest, EchoRequest, kit_client::KitClient},
    support::{
        TIMEOUT,
        conformance::{client, code, plugin},
        scripts::prints,
    },
};
use tokio::time::timeout;
use tonic::Code;

use crate::support::{env, fault_code, launch, with};

#[tokio::test]
async fn transports() {
    let launched = with(&[("PLUGIN_CLIENT_TRANSPORTS", "tcp")]).launch(plugin(&[])).await;
    assert!(launched.is_err(), "it listens on a Unix socket");
    let tcp = plugin(&[("PLUGIN_SERVER_TRANSPORTS", "tcp")]);
    assert!(with(&[("PLUGIN_CLIENT_TRANSPORTS", "tcp")]).launch(tcp).await.is_ok());
}

#[tokio::test]
async fn multiplex() {
    assert_eq!(env(&launch(&[]).await, "PLUGIN_MULTIPLEX_GRPC").await, None);
    let plugin = launch(&[("PLUGIN_MULTIPLEX_GRPC", "true")]).await;
    assert_eq!(env(&plugin, "PLUGIN_MULTIPLEX_GRPC").await.as_deref(), Some("true"));
    let multiplexing =
        with(&[("PLUGIN_MULTIPLEX_GRPC", "true")]).configure(|config| config.tls = HostTls::Plaintext);
    assert_eq!(
        fault_code(multiplexing.launch(prints("1|1|unix|/p|grpc|")).await),
        "rpcplugin::protocol::no_multiplexing"
    );
}

#[tokio::test]
async fn inherit_connection() {
    assert_eq!(launch(&[]).await.endpoint().network(), "unix");
    let plugin = launch(&[("PLUGIN_INHERIT_CONNECTION", "true")]).await;
    let offered = cfg!(target_os = "linux");
    assert_eq!(plugin.endpoint().network(), if offered { "inherited" } else { "unix" });
    assert_eq!(env(&plugin, "PLUGIN_STDOUT_CONNECTION").await.is_some(), offered);
}

#[tokio::test]
async fn lane() {
    let announced = |plugin: &Plugin| plugin.handshake_line().expect("launched").lane;
    assert_eq!(announced(&launch(&[]).await), Some(LANE_VERSION));
    assert_eq!(announced(&launch(&[("PLUGIN_LANE", "false")]).await), None);
}

/// The TCP port of a plugin whose host has this port range.
async fn port(min: &str, max: &str) -> u16 {
    let host = with(&[("PLUGIN_MIN_PORT", min), ("PLUGIN_MAX_PORT", max)]);
    let plugin = host.launch(plugin(&[("PLUGIN_SERVER_TRANSPORTS", "tcp")])).await.unwrap();
    plugin.endpoint().address().rsplit_once(':').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn min_port() {
    assert!(port("23456", "25000").await >= 23456);
}

#[tokio::test]
async fn max_port() {
    assert!((5000..6000).contains(&port("5000", "5999").await));
}

#[tokio::test]
async fn unix_socket_dir() {
    let directory = tempfile::TempDir::new_in("/tmp").unwrap();
    let plugin = launch(&[("PLUGIN_UNIX_SOCKET_DIR", directory.path().to_str().unwrap())]).await;
    assert!(plugin.endpoint().address().starts_with(directory.path().to_str().unwrap()));
}

#[tokio::test]
async fn unix_socket_group() {
    let mode = |plugin: &Plugin| {
        fs::metadata(plugin.endpoint().address().as_ref() as &str).unwrap().permissions().mode() & 0o777
    };
    let own = rustix::process::getegid().as_raw().to_string();
    assert_eq!(mode(&launch(&[]).await), 0o600);
    assert_eq!(mode(&launch(&[("PLUGIN_UNIX_SOCKET_GROUP", &own)]).await), 0o660);
}

/// A client with the message limits of its host.
fn limited(plugin: &Plugin) -> KitClient<PluginChannel> {
    let limits = plugin.message_limits();
    client(plugin).max_decoding_message_size(limits.receive).max_encoding_message_size(limits.send)
}

#[tokio::test]
async fn max_receive_message_size() {
    let big = BigPayloadRequest { n: 2000, seed: 0 };
    assert_eq!(code(limited(&launch(&[]).await).big_payload(big).await), Code::Ok);
    let plugin = launch(&[("PLUGIN_GRPC_MAX_RECEIVE_MESSAGE_SIZE", "1KiB")]).await;
    assert_eq!(code(limited(&plugin).big_payload(big).await), Code::ResourceExhausted);
}

#[tokio::test]
async fn max_send_message_size() {
    let big = || EchoRequest { data: vec![0; 2000].into() };
    assert_eq!(code(limited(&launch(&[]).await).echo(big()).await), Code::Ok);
    let plugin = launch(&[("PLUGIN_GRPC_MAX_SEND_MESSAGE_SIZE", "1KiB")]).await;
    assert_ne!(code(limited(&plugin).echo(big()).await), Code::Ok);
}

#[tokio::test]
async fn broker_timeout() {
    let plugin = launch(&[("PLUGIN_BROKER_TIMEOUT", "30ms")]).await;
    let error = timeout(TIMEOUT, plugin.broker().dial(ServiceId(777))).await.unwrap().unwrap_err();
    assert!(error.to_string().ends_with("within 0.03 s"), "{error}");
}
