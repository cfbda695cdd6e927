//! A plugin in Rust or Go, launched in one mode, and operations on it.

use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use rpcplugin::{
    Command, Exit, Plugin, PluginChannel, Services,
    broker::{Broker, HOST_SERVICES, ServiceHandle, ServiceId},
    config::HostTls,
    host::Stdin,
};
use rpcplugin_tests::{
    pb::{
        CallbackRequest, CallbackResponse, CloseRequest, GreetRequest, InfoRequest, OpenSubRequest,
        TicksRequest, TransformRequest, TransformResponse,
        host_calls_server::{HostCalls, HostCallsServer},
        kit_client::KitClient,
        sub_client::SubClient,
    },
    support::{TIMEOUT, conformance, programs},
};
use tempfile::TempDir;
use tonic::{Request, Response, Status};

/// The kind of connection between host and plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mode {
    pub(crate) mutual: bool,
    pub(crate) multiplexed: bool,
}

pub(crate) const MODES: [Mode; 4] = [
    Mode { mutual: false, multiplexed: false },
    Mode { mutual: true, multiplexed: false },
    Mode { mutual: false, multiplexed: true },
    Mode { mutual: true, multiplexed: true },
];

/// The library of the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Rust,
    Go,
}

/// A running plugin.
pub(crate) struct Subject {
    pub(crate) peer: Peer,
    pub(crate) mode: Mode,
    pub(crate) plugin: Plugin,
    sockets: TempDir,
}

/// Launches a plugin in every mode, and checks each, all at the same time.
pub(crate) async fn in_every_mode(peer: Peer, check: impl AsyncFn(&Subject)) {
    let Some(program) = peer.program() else { return };
    let checks = MODES.map(async |mode| {
        let subject = Subject::launch(peer, mode, &program).await;
        check(&subject).await;
        subject.stop().await;
    });
    join_all(checks).await;
}

impl Peer {
    /// The conformance plugin, if it is built.
    pub(crate) fn program(self) -> Option<PathBuf> {
        match self {
            Self::Rust => Some(programs::program("kit-plugin")),
            Self::Go => programs::peer("go", "kit-plugin"),
        }
    }
}

impl Subject {
    /// A plugin whose host serves `HostCalls`.
    pub(crate) async fn launch(peer: Peer, mode: Mode, program: &Path) -> Self {
        // In `/tmp`, because the path of a socket must be short.
        let sockets = TempDir::new_in("/tmp").unwrap();
        let host = conformance::host()
            .configure(|config| {
                config.tls = if mode.mutual { HostTls::AUTO } else { HostTls::Plaintext };
                config.multiplex = mode.multiplexed;
                config.unix_socket_dir = Some(sockets.path().to_owned());
                config.grace = TIMEOUT;
                config.shutdown_timeout = TIMEOUT;
            })
            .callbacks_with(|caller| host_calls(&caller.broker));
        let plugin = host.launch(Command::new(program).stdin(Stdin::Null)).await.unwrap();
        assert_eq!(plugin.security().is_mutual(), mode.mutual);
        Self { peer, mode, plugin, sockets }
    }

    pub(crate) fn kit(&self) -> KitClient<PluginChannel> {
        KitClient::new(self.plugin.channel()).max_decoding_message_size(usize::MAX)
    }

    /// The number of brokered connections that may be made at the same time. go-plugin assigns the streams of a multiplexed
    /// connection in the order of their arrival, and requires that they are made one after the other.
    pub(crate) fn at_once(&self) -> usize {
        match (self.peer, self.mode.multiplexed) {
            (Peer::Go, true) => 1,
            (Peer::Go, false) => 16,
            (Peer::Rust, _) => 64,
        }
    }

    pub(crate) async fn serve_host_calls(&self) -> ServiceHandle {
        self.plugin.broker().serve(host_calls(self.plugin.broker())).await.unwrap()
    }

    /// Makes the plugin call the service of the host with this id.
    pub(crate) async fn call_back(&self, id: ServiceId, calls: u32) -> Result<CallbackResponse, Status> {
        let request = CallbackRequest { broker_id: id.0, calls, data: b"forwards".to_vec(), nested: false };
        let answer = self.kit().callback(request).await?.into_inner();
        assert!(answer.results.iter().all(|result| *result == b"sdrawrof"[..]), "{answer:?}");
        assert_eq!(answer.results.len(), calls as usize);
        Ok(answer)
    }

    /// Serves `HostCalls`, makes the plugin call it, and stops serving it.
    pub(crate) async fn callback(&self) {
        let served = self.serve_host_calls().await;
        self.call_back(served.id(), 1).await.unwrap();
        served.stop().await;
    }

    /// Makes the plugin serve a `Sub`.
    pub(crate) async fn open_sub(&self, label: &str) -> ServiceId {
        let request = OpenSubRequest { label: label.to_owned() };
        ServiceId(self.kit().open_sub(request).await.unwrap().get_ref().broker_id)
    }

    /// Dials a `Sub`, and checks its label.
    pub(crate) async fn dial_sub(&self, id: ServiceId, label: &str) -> SubClient<PluginChannel> {
        let mut sub = SubClient::new(self.plugin.broker().dial(id).await.unwrap());
        let greeting = sub.greet(GreetRequest { name: "you".to_owned() }).await.unwrap();
        assert_eq!(greeting.get_ref().text, format!("hello you from {label}"));
        sub
    }

    /// Makes the plugin serve a `Sub`, calls it, and closes it.
    pub(crate) async fn sub(&self, label: &str) {
        let mut sub = self.dial_sub(self.open_sub(label).await, label).await;
        sub.close(CloseRequest {}).await.unwrap();
    }

    /// Checks that calls and brokered connections work, in both directions.
    pub(crate) async fn is_usable(&self) {
        self.kit().info(InfoRequest {}).await.unwrap();
        self.callback().await;
        self.sub("afterwards").await;
    }

    /// Shuts the plugin down. It must exit by itself, and neither side may leave a socket.
    pub(crate) async fn stop(self) {
        let exit = self.plugin.shut_down().await;
        assert!(matches!(exit, Exit::Clean), "{:?}: {exit:?}", self.mode);
        let left: Vec<_> = self.sockets.path().read_dir().unwrap().collect();
        assert!(left.is_empty(), "{:?}: {left:?} is left", self.mode);
    }
}

/// Reads a stream of this many messages on a brokered connection.
pub(crate) async fn ticks(sub: &mut SubClient<PluginChannel>, n: i64) -> Vec<i64> {
    let mut stream = sub.ticks(TicksRequest { n }).await.unwrap().into_inner();
    let mut values = Vec::new();
    while let Some(tick) = stream.message().await.unwrap() {
        values.push(tick.value);
    }
    values
}

/// `HostCalls`, which dials back through this broker.
pub(crate) fn host_calls(broker: &Broker) -> Services {
    let calls = HostCallsServer::new(Reversing { broker: broker.clone() });
    Services::new().add(calls.max_decoding_message_size(usize::MAX))
}

/// Answers with the reversed data, and with the greeting of the plugin's `Sub` if there is one.
struct Reversing {
    broker: Broker,
}

#[tonic::async_trait]
impl HostCalls for Reversing {
    async fn transform(
        &self,
        request: Request<TransformRequest>,
    ) -> Result<Response<TransformResponse>, Status> {
        let TransformRequest { seq, data, dial_back_id } = request.into_inner();
        let mut greeting = String::new();
        if dial_back_id != 0 {
            let channel = self.broker.dial(ServiceId(dial_back_id)).await;
            let channel = channel.map_err(|error| Status::unavailable(error.to_string()))?;
            let answer = SubClient::new(channel).greet(GreetRequest { name: "host".to_owned() }).await?;
            greeting = answer.into_inner().text;
        }
        let data: Vec<u8> = data.iter().rev().copied().collect();
        Ok(Response::new(TransformResponse { seq: seq + 1, data: data.into(), greeting }))
    }
}

/// The id of the services of the host.
pub(crate) const OFFERED: ServiceId = HOST_SERVICES;
