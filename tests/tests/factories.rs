//! Hosts and plugins with the names of pyvider.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::Ipv4Addr;

use rpcplugin::{
    Endpoint, Exit, MagicCookie, Serve, Services,
    config::{HostConfig, PluginConfig},
    handshake::ReceivedEnv,
    host::Pid,
    pyvider::{ServerTransport, basic_protocol, plugin_client, plugin_protocol, plugin_server, with_plugin},
};
use rpcplugin_tests::{
    contract::cookie,
    pb::InfoRequest,
    support::{
        TIMEOUT,
        conformance::{client, code, host, plugin},
        process::is_alive,
        wait::eventually,
    },
};

#[tokio::test]
async fn a_scope_always_shuts_the_plugin_down() {
    let (pid, exit) = with_plugin(&host(), plugin(&[]), async |plugin| plugin.pid().unwrap()).await.unwrap();
    assert!(!is_alive(pid), "{exit}");

    // Also when the work in the scope fails or is cancelled.
    let failing =
        with_plugin(&host(), plugin(&[]), async |plugin| Err::<(), Pid>(plugin.pid().unwrap())).await;
    assert!(!is_alive(failing.unwrap().0.unwrap_err()));
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let cancelled = tokio::spawn(async move {
        let work = async |plugin: &rpcplugin::Plugin| {
            sender.send(plugin.pid().unwrap()).unwrap();
            std::future::pending::<()>().await;
        };
        let _ = with_plugin(&host(), plugin(&[]), work).await;
    });
    let pid = tokio::time::timeout(TIMEOUT, receiver).await.unwrap().unwrap();
    cancelled.abort();
    eventually("the plugin is gone", || !is_alive(pid)).await;
    assert!(with_plugin(&host(), rpcplugin::Command::new("/nowhere"), async |_| ()).await.is_err());
}

#[tokio::test]
async fn a_client_starts_its_plugin_again() {
    let client_of = plugin_client(cookie(), 2, plugin(&[]), HostConfig::default());
    let (first, second) = (client_of.start().await.unwrap(), client_of.start().await.unwrap());
    assert_ne!(first.pid(), second.pid());
    assert_eq!(code(client(&first).info(InfoRequest {}).await), tonic::Code::Ok);
    let exit = first.shut_down().await;
    assert_eq!(exit, Exit::Clean);
    assert_eq!(second.ended(), None);
    let (version, _) = client_of.with(async |plugin| plugin.version()).await.unwrap();
    assert_eq!(version.0, 2);
}

#[tokio::test]
async fn a_client_uses_the_cookie_of_the_settings() {
    let mut config = HostConfig::default();
    config.magic_cookie = Some(MagicCookie::new("OTHER", "cookie").unwrap());
    let refused = plugin_client(cookie(), 1, plugin(&[]), config).start().await;
    assert!(refused.is_err(), "the plugin knows another cookie");
}

async fn announced(serve: Serve) -> Endpoint {
    serve.bind(&ReceivedEnv::default()).await.unwrap().handshake_line().endpoint.clone()
}

#[tokio::test]
async fn a_server_listens_on_the_given_transport() {
    let server = |transport, change: fn(&mut PluginConfig)| {
        let mut config = PluginConfig::default();
        change(&mut config);
        plugin_server(cookie(), basic_protocol(1), transport, config)
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let unix = server(ServerTransport::Unix(Some(path.clone())), |_| {});
    assert_eq!(announced(unix).await.address(), path.display().to_string());
    assert_eq!(announced(server(ServerTransport::Unix(None), |_| {})).await.network(), "unix");
    let tcp = server(ServerTransport::Tcp(Ipv4Addr::LOCALHOST.into(), 0), |_| {});
    assert_eq!(announced(tcp).await.network(), "tcp");
    let configured = server(ServerTransport::Configured, |config| {
        config.transports = vec![rpcplugin::config::TransportKind::Tcp];
    });
    assert_eq!(announced(configured).await.network(), "tcp");
}

#[tokio::test]
async fn a_protocol_makes_its_services_once() {
    let (_, health) = tonic_health::server::health_reporter();
    let protocol = plugin_protocol(4, move |context| {
        assert_eq!(context.version.0, 4);
        Services::new().add(health.clone())
    });
    let serve = plugin_server(cookie(), protocol, ServerTransport::Unix(None), PluginConfig::default());
    let bound = serve.bind(&ReceivedEnv::default()).await.unwrap();
    assert_eq!(bound.handshake_line().version.0, 4);
}
