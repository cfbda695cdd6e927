//! The broker of a plugin whose host disconnects and another attaches.

use std::{path::Path, process::Stdio, time::Duration};

use rpcplugin::{
    Endpoint, Host, Plugin,
    broker::{AcceptError, DialError, ServiceId, Unreachable},
    config::HostTls,
    handshake::HandshakeLine,
    host::Attachment,
};
use rpcplugin_tests::{
    contract::cookie,
    pb::{CallbackRequest, InfoRequest, kit_client::KitClient},
    support::TIMEOUT,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};
use tonic::Status;

use crate::subject::{OFFERED, Peer, host_calls};

#[tokio::test]
async fn the_broker_of_a_rust_plugin_serves_one_host_after_another() {
    let process = Process::start(&Peer::Rust.program().unwrap()).await;
    for _ in 0..3 {
        let host = host().callbacks_with(|caller| host_calls(&caller.broker));
        let plugin = process.attach(&host).await;
        callback(&plugin).await.unwrap();
        call_back(&plugin, OFFERED).await.unwrap();
    }
}

#[tokio::test]
async fn the_dead_broker_of_a_go_plugin_is_reported_immediately() {
    let Some(program) = Peer::Go.program() else { return };
    let process = Process::start(&program).await;
    let first = process.attach(&host()).await;
    callback(&first).await.unwrap();
    drop(first);

    let noticed = async {
        loop {
            let plugin = process.attach(&host()).await;
            // The plugin accepts the stream, and ends it at the first message.
            let ended = match plugin.broker().serve(host_calls(plugin.broker())).await {
                Ok(mut served) => timeout(Duration::from_secs(1), served.finished()).await,
                Err(error) => Ok(Err(error)),
            };
            match ended {
                Ok(Err(AcceptError::Unreachable(Unreachable::PeerClosed))) => return plugin,
                // The plugin may not have noticed that its first host is gone.
                Err(_) => {}
                Ok(other) => panic!("{other:?}"),
            }
        }
    };
    let plugin = timeout(TIMEOUT, noticed).await.expect("the dead broker is noticed");
    let error = plugin.broker().dial(ServiceId(1)).await.expect_err("the broker is dead");
    assert!(matches!(error, DialError::Unreachable(Unreachable::PeerClosed)), "{error:?}");
    let help = miette::Diagnostic::help(&error).map(|help| help.to_string()).unwrap_or_default();
    assert!(help.contains("launch the plugin again"), "{help}");
    KitClient::new(plugin.channel()).info(InfoRequest {}).await.expect("the plugin is alive");
}

/// A host in plain text with a timeout for a busy machine.
fn host() -> Host {
    Host::new(cookie(), 1).configure(|config| {
        config.tls = HostTls::Plaintext;
        config.broker_timeout = TIMEOUT;
    })
}

/// A plugin without a host, to which hosts attach. Dropping it kills the plugin.
struct Process {
    endpoint: Endpoint,
    _child: Child,
}

impl Process {
    async fn start(program: &Path) -> Self {
        let mut child = Command::new(program)
            .env("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance")
            .env("PLUGIN_PROTOCOL_VERSIONS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(TIMEOUT, lines.next_line()).await.unwrap().unwrap().unwrap();
        Self { endpoint: HandshakeLine::parse(&line).unwrap().endpoint, _child: child }
    }

    async fn attach(&self, host: &Host) -> Plugin {
        host.attach(Attachment::new(self.endpoint.clone(), 1)).await.unwrap()
    }
}

/// Serves `HostCalls`, and makes the plugin call it.
async fn callback(plugin: &Plugin) -> Result<(), Status> {
    let served = plugin.broker().serve(host_calls(plugin.broker())).await.unwrap();
    call_back(plugin, served.id()).await?;
    served.stop().await;
    Ok(())
}

async fn call_back(plugin: &Plugin, id: ServiceId) -> Result<(), Status> {
    let request = CallbackRequest { broker_id: id.0, calls: 1, ..CallbackRequest::default() };
    KitClient::new(plugin.channel()).callback(request).await.map(drop)
}
