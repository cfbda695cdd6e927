//! What becomes of a plugin's broker when its host goes and another comes.

use std::{path::Path, process::Stdio, time::Duration};

use rpcplugin::{
    Endpoint, ServiceId,
    broker::{Broker, BrokerSettings, DialError, Place, ServeError, Side, Unreachable},
    handshake::Answer,
    transport::{
        SecureStream, Security, SocketDir, dial,
        http2::{self, Connect, ConnectError},
    },
};
use rpcplugin_tests::pb::{CallbackRequest, kit_client::KitClient};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    task::JoinHandle,
    time::timeout,
};
use tonic::transport::Channel;

use crate::subject::{PATIENCE, Peer, host_calls};

#[tokio::test]
async fn the_broker_of_a_rust_plugin_serves_one_host_after_another() {
    let plugin = Process::start(&Peer::Rust.program().unwrap()).await;
    for _ in 0..3 {
        let host = Attached::to(&plugin).await;
        host.callback().await.unwrap();
        host.leave().await;
    }
}

#[tokio::test]
async fn the_dead_broker_of_a_go_plugin_is_told_at_once() {
    let Some(program) = Peer::Go.program() else { return };
    let plugin = Process::start(&program).await;
    let first = Attached::to(&plugin).await;
    first.callback().await.unwrap();
    first.leave().await;

    let second = Attached::to(&plugin).await;
    // It accepts the stream, and ends it at the first message: until then nobody can know.
    let mut served = second.broker.serve(host_calls(&second.broker)).await.unwrap();
    let error = timeout(PATIENCE, served.finished()).await.unwrap().expect_err("nobody will ever call");
    assert!(matches!(error, ServeError::Unreachable(Unreachable::PeerClosed)), "{error:?}");
    let error = second.broker.dial(ServiceId(1)).await.expect_err("nobody will ever answer");
    assert!(matches!(error, DialError::Unreachable(Unreachable::PeerClosed)), "{error:?}");
    let help = miette::Diagnostic::help(&error).map(|help| help.to_string()).unwrap_or_default();
    assert!(help.contains("start the plugin anew"), "{help}");
    second.leave().await;
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
        Self { endpoint: Answer::parse(&line).unwrap().endpoint, _child: child }
    }
}

/// A host that has come to a plugin.
struct Attached {
    broker: Broker,
    main: Channel,
    stream: JoinHandle<()>,
}

impl Attached {
    async fn to(plugin: &Process) -> Self {
        let settings = http2::Settings::default();
        let main = http2::connect(Plain(plugin.endpoint.clone()), &settings).await.unwrap();
        let place = Place::Unix(SocketDir::private(None).unwrap());
        let mut settings = BrokerSettings::new(Security::Plain);
        settings.patience = Duration::from_secs(20);
        let broker = Broker::direct(Side::Host, settings, place);
        let stream = tokio::spawn(broker.attach(main.clone()));
        Self { broker, main, stream }
    }

    async fn callback(&self) -> Result<(), tonic::Status> {
        let served = self.broker.serve(host_calls(&self.broker)).await.unwrap();
        let request = CallbackRequest { broker_id: served.id().0, calls: 1, ..CallbackRequest::default() };
        KitClient::new(self.main.clone()).callback(request).await?;
        served.stop().await;
        Ok(())
    }

    async fn leave(self) {
        self.broker.close();
        drop(self.main);
        timeout(PATIENCE, self.stream).await.unwrap().unwrap();
    }
}

struct Plain(Endpoint);

impl Connect for Plain {
    async fn connect(&self) -> Result<SecureStream, ConnectError> {
        Ok(Security::Plain.client(dial(&self.0).await?).await?)
    }
}
