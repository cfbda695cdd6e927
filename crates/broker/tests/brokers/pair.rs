//! The broker of a host and the broker of a plugin in one process.

use std::{net::Ipv4Addr, path::PathBuf, time::Duration};

use rpcplugin_broker::{Broker, BrokerSettings, DisconnectReason, ListenAt, Role};
use rpcplugin_core::Endpoint;
use rpcplugin_mtls::{Identity, MutualTls, Trust};
use rpcplugin_transport::{
    Listen, Listener, SecureStream, Security, Services, SocketDir, Stream, dial,
    http2::{self, ChannelError, Connect, PluginChannel, Serving},
    yamux,
};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic_health::{
    pb::{HealthCheckRequest, health_client::HealthClient},
    server::health_reporter,
};

/// The four kinds of connections between a host and a plugin.
pub(crate) const KINDS: [Kind; 4] = [
    Kind { multiplexed: false, mutual: false },
    Kind { multiplexed: false, mutual: true },
    Kind { multiplexed: true, mutual: false },
    Kind { multiplexed: true, mutual: true },
];

#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) multiplexed: bool,
    pub(crate) mutual: bool,
}

/// Runs a test with all four kinds concurrently.
pub(crate) async fn in_each<F: Future<Output = ()> + Send + 'static>(test: impl Fn(Kind) -> F) {
    let mut running: JoinSet<()> = KINDS.into_iter().map(test).collect();
    while let Some(done) = running.join_next().await {
        done.expect("no panic");
    }
}

/// Both brokers, attached to each other.
pub(crate) struct Pair {
    pub(crate) host: Broker,
    pub(crate) plugin: Broker,
    /// The host's main channel.
    pub(crate) main: PluginChannel,
    /// The directory of the sockets, in direct mode. On Windows it stays empty.
    pub(crate) dir: Option<SocketDir>,
    pub(crate) attached: JoinHandle<DisconnectReason>,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
    session: Option<yamux::Session>,
}

impl Pair {
    pub(crate) async fn new(kind: Kind) -> Self {
        Self::with(kind, |_| {}).await
    }

    /// A pair with settings that `change` has changed.
    pub(crate) async fn with(kind: Kind, change: impl Fn(&mut BrokerSettings)) -> Self {
        let (host_security, plugin_security) = securities(kind.mutual);
        let settings = |security: &Security| {
            let mut settings = BrokerSettings::new(security.clone());
            change(&mut settings);
            settings
        };
        let (host_settings, plugin_settings) = (settings(&host_security), settings(&plugin_security));
        let shutdown = CancellationToken::new();
        let serve = |services| Serving::new(services, plugin_security.clone(), shutdown.clone());
        if kind.multiplexed {
            let host = Broker::multiplexed(Role::Host, host_settings);
            let plugin = Broker::multiplexed(Role::Plugin, plugin_settings);
            let (near, far) = tokio::io::duplex(1 << 20);
            let session = yamux::Session::client(near, yamux::Config::default());
            drop(host.start_session(session.clone()));
            let main = plugin.start_session(yamux::Session::server(far, yamux::Config::default()));
            let serving = tokio::spawn(http2::serve(main, serve(plugin.services())));
            let connect = Streams { host: host.clone(), security: host_security };
            let main = http2::connect(connect, &http2::Settings::default()).await.expect("connected");
            let attached = attach(&host, &main);
            Self { host, plugin, main, dir: None, attached, shutdown, serving, session: Some(session) }
        } else {
            let dir = SocketDir::private(None).expect("a directory");
            let host = Broker::direct(Role::Host, host_settings, listen_at(&dir));
            let plugin = Broker::direct(Role::Plugin, plugin_settings, listen_at(&dir));
            let listener = listener(&dir).await;
            let connect = Socket { endpoint: listener.endpoint().clone(), security: host_security };
            let serving = tokio::spawn(http2::serve(listener, serve(plugin.services())));
            let main = http2::connect(connect, &http2::Settings::default()).await.expect("connected");
            let attached = attach(&host, &main);
            Self { host, plugin, main, dir: Some(dir), attached, shutdown, serving, session: None }
        }
    }

    /// Another main channel of a multiplexing host, without its broker.
    pub(crate) async fn another_main(&self) -> PluginChannel {
        let connect = Bare(self.session.clone().expect("multiplexed"));
        http2::connect(connect, &http2::Settings::default()).await.expect("connected")
    }

    /// Each side as the acceptor and the other as the dialer.
    pub(crate) fn directions(&self) -> [(&Broker, &Broker); 2] {
        [(&self.host, &self.plugin), (&self.plugin, &self.host)]
    }

    /// The sockets of brokered services.
    pub(crate) fn sockets(&self) -> Vec<PathBuf> {
        let dir = self.dir.as_ref().expect("direct mode");
        let entries = std::fs::read_dir(dir.path()).expect("readable");
        let sockets = entries.map(|entry| entry.expect("an entry")).filter(is_socket);
        let mut paths: Vec<_> = sockets.map(|entry| entry.path()).collect();
        // The first is the main socket.
        paths.sort_by_key(|path| path.metadata().and_then(|file| file.created()).ok());
        paths.into_iter().skip(1).collect()
    }

    /// Ends the multiplexed session.
    pub(crate) async fn end_session(&self) {
        self.session.as_ref().expect("multiplexed").close().await;
    }

    /// Closes both brokers and the main connection, and waits for their end.
    pub(crate) async fn close(self) {
        self.host.close();
        self.plugin.close();
        self.attached.await.expect("no panic");
        self.shutdown.cancel();
        drop(self.main);
        if let Some(session) = self.session {
            session.close().await;
        }
        self.serving.await.expect("no panic");
    }
}

/// Where the services of a direct broker listen: in the directory, or on a port if this system has no Unix sockets.
pub(crate) fn listen_at(dir: &SocketDir) -> ListenAt {
    if cfg!(unix) {
        ListenAt::Unix(dir.clone())
    } else {
        ListenAt::Tcp { host: Ipv4Addr::LOCALHOST.into(), ports: 0..=0 }
    }
}

/// The main listener of a plugin, at the same kind of endpoint.
pub(crate) async fn listener(dir: &SocketDir) -> Listener {
    let bound = if cfg!(unix) {
        Listener::unix_in(dir)
    } else {
        Listener::tcp(Ipv4Addr::LOCALHOST.into(), 0..=0).await
    };
    bound.expect("bound")
}

/// Whether the entry of a directory is the file of a socket.
pub(crate) fn is_socket(entry: &std::fs::DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| !kind.is_file() && !kind.is_dir() && !kind.is_symlink())
}

fn attach(host: &Broker, main: &PluginChannel) -> JoinHandle<DisconnectReason> {
    tokio::spawn(host.attach(main.clone()))
}

/// The security of a host and of a plugin that trust each other.
pub(crate) fn securities(mutual: bool) -> (Security, Security) {
    if !mutual {
        return (Security::Plain, Security::Plain);
    }
    let identities = [Identity::generate().expect("made"), Identity::generate().expect("made")];
    let trusting = |own: &Identity, peer: &Identity| {
        let trust = Trust::Pinned(peer.peer_certificate());
        Security::Mutual(MutualTls::new(own.clone(), trust).expect("settings"))
    };
    (trusting(&identities[0], &identities[1]), trusting(&identities[1], &identities[0]))
}

/// Connects to a plugin that listens on a socket.
pub(crate) struct Socket {
    pub(crate) endpoint: Endpoint,
    pub(crate) security: Security,
}

impl Connect for Socket {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        Ok(self.security.client(dial(&self.endpoint).await?).await?)
    }
}

/// Connects to a plugin that multiplexes, with a stream without a knock.
struct Streams {
    host: Broker,
    security: Security,
}

impl Connect for Streams {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        let stream = self
            .host
            .open_main_stream()
            .await
            .map_err(|source| ChannelError::Other { what: "no stream", source: source.into() })?;
        Ok(self.security.client(stream).await?)
    }
}

/// Opens a stream of the session, without the broker.
struct Bare(yamux::Session);

impl Connect for Bare {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        let stream = self.0.open().await.expect("the session is open");
        Ok(Security::Plain.client(Stream::other(stream)).await?)
    }
}

/// A service with a name, so that a connection to another service is noticed.
pub(crate) async fn named(name: &str) -> Services {
    let (reporter, server) = health_reporter();
    reporter.set_service_status(name, tonic_health::ServingStatus::Serving).await;
    Services::new().add(server)
}

/// Calls the service. Fails if the service has another name.
pub(crate) async fn ask(channel: PluginChannel, name: &str) -> Result<(), Status> {
    let request = HealthCheckRequest { service: name.to_owned() };
    HealthClient::new(channel).check(request).await.map(drop)
}

/// A listener for streams that are secured already.
pub(crate) struct Secured(pub(crate) tokio::sync::mpsc::Receiver<SecureStream>);

impl Listen for Secured {
    async fn accept(&mut self) -> Option<Stream> {
        self.0.recv().await.map(Stream::other)
    }
}

/// Waits until a condition holds. Panics after ten seconds.
#[track_caller]
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    let waiting = async move {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let what = what.to_owned();
    async move {
        let done = tokio::time::timeout(Duration::from_secs(10), waiting).await;
        assert!(done.is_ok(), "not within ten seconds: {what}");
    }
}

/// Returns the number of tasks of the runtime.
pub(crate) fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}
