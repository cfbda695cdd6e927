//! What becomes of a plugin's broker when its host goes and another comes.

use std::{path::Path, process::Stdio, time::Duration};

use rpcplugin::{
    Attachment, Endpoint, Host, MagicCookie, Plugin, ServiceId,
    broker::{AcceptError, DialError, Unreachable},
    config::HostTls,
    handshake::HandshakeLine,
};
use rpcplugin_tests::pb::{CallbackRequest, InfoRequest, kit_client::KitClient};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};
use tonic::Status;

use crate::subject::{OFFERED, PATIENCE, Peer, host_calls};

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
async fn the_dead_broker_of_a_go_plugin_is_told_at_once() {
    let Some(program) = Peer::Go.program() else { return };
    let process = Process::start(&program).await;
    let first = process.attach(&host()).await;
    callback(&first).await.unwrap();
    drop(first);

    let told = async {
        loop {
            let plugin = process.attach(&host()).await;
            // It accepts the stream, and ends it at the first message, for which a host that attaches sees by itself.
            let ended = match plugin.broker().serve(host_calls(plugin.broker())).await {
                Ok(mut served) => timeout(Duration::from_secs(1), served.finished()).await,
                Err(error) => Ok(Err(error)),
            };
            match ended {
                Ok(Err(AcceptError::Unreachable(Unreachable::PeerClosed))) => return plugin,
                // The plugin may still be taking leave of its first host.
                Err(_) => {}
                Ok(other) => panic!("{other:?}"),
            }
        }
    };
    let plugin = timeout(PATIENCE, told).await.expect("it is found out");
    let error = plugin.broker().dial(ServiceId(1)).await.expect_err("nobody will ever answer");
    assert!(matches!(error, DialError::Unreachable(Unreachable::PeerClosed)), "{error:?}");
    let help = miette::Diagnostic::help(&error).map(|help| help.to_string()).unwrap_or_default();
    assert!(help.contains("start the plugin anew"), "{help}");
    KitClient::new(plugin.channel()).info(InfoRequest {}).await.expect("it is alive otherwise");
}

/// A host in plain text that waits long enough for a busy machine.
fn host() -> Host {
    let cookie = MagicCookie::new("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance").unwrap();
    Host::new(cookie, 1).configure(|config| {
        config.tls = HostTls::Plaintext;
        config.broker_timeout = PATIENCE;
    })
}

/// A plugin that was started by hand, so that hosts can come and go. It is killed in the end.
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
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
        Self { endpoint: HandshakeLine::parse(&line).unwrap().endpoint, _child: child }
    }

    async fn attach(&self, host: &Host) -> Plugin {
        host.attach(Attachment::new(self.endpoint.clone(), 1)).await.unwrap()
    }
}

/// Serves something and has the plugin call it.
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
