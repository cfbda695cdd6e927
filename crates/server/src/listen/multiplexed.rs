//! The listener for the one connection of a multiplexing host.

use std::collections::VecDeque;

use rpcplugin_broker::{Broker, MainStreams};
use rpcplugin_transport::{Listen, PendingConnection, Stream, yamux};
use tokio::task::{AbortHandle, JoinSet};
use tracing::Instrument as _;

use super::custom::AnyListener;

/// Accepts the streams of the one connection that a multiplexing host makes.
///
/// # Protocol
/// go-plugin `internal/grpcmux/grpc_server_muxer.go`. Differs: the host's connection is the first on which a stream is opened,
/// so a silent connection, such as a probe, does not keep the host out. There is no timeout of five seconds, because the exit
/// of the host is detected by other means.
pub(crate) struct MuxListener {
    /// `None` once a host is connected: the socket is closed and its file removed, so that no other host can connect.
    listener: Option<AnyListener>,
    /// Connections on which no stream has been opened. yamux ends a connection whose peer does not respond.
    silent: JoinSet<Option<yamux::Session>>,
    /// The tasks of the silent connections, the oldest first.
    oldest: VecDeque<AbortHandle>,
    main: Option<MainStreams>,
    broker: Broker,
}

impl MuxListener {
    pub(crate) fn new(listener: AnyListener, broker: Broker) -> Self {
        Self { listener: Some(listener), silent: JoinSet::new(), oldest: VecDeque::new(), main: None, broker }
    }

    fn connected(&mut self, stream: Stream) {
        self.oldest.retain(|task| !task.is_finished());
        if self.oldest.len() >= MAX_SILENT
            && let Some(oldest) = self.oldest.pop_front()
        {
            // The connection that has been silent for longest must not keep the host out.
            oldest.abort();
        }
        let newcomer = PendingConnection::new(&stream);
        let kept = newcomer.clone();
        let session = yamux::Session::server(stream, yamux::Config::default());
        let opened = async move {
            let opened = session.acceptable().await.then_some(session);
            if opened.is_some() {
                kept.called();
            }
            opened
        };
        let task = self.silent.spawn(opened.in_current_span());
        newcomer.set_task(task.clone());
        self.oldest.push_back(task);
    }
}

impl Listen for MuxListener {
    async fn accept(&mut self) -> Option<Stream> {
        loop {
            if let Some(main) = &mut self.main {
                return main.accept().await;
            }
            let takes_more = self.listener.is_some();
            let more = async {
                match &mut self.listener {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(opened) = self.silent.join_next() => if let Ok(Some(session)) = opened {
                    self.listener = None;
                    self.silent.abort_all();
                    self.main = Some(self.broker.start_session(session));
                },
                stream = more, if takes_more => match stream {
                    Some(stream) => self.connected(stream),
                    None => self.listener = None,
                },
                // There is neither a listener nor a connection any more.
                else => return None,
            }
        }
    }
}

/// How many silent connections there may be. The oldest makes room for the next. yamux ends a silent connection in less than
/// a minute.
const MAX_SILENT: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rpcplugin_broker::{BrokerSettings, Role};
    use rpcplugin_transport::Security;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        sync::mpsc,
        time::timeout,
    };

    use super::*;

    struct Incoming(mpsc::Receiver<Stream>);

    impl Listen for Incoming {
        async fn accept(&mut self) -> Option<Stream> {
            self.0.recv().await
        }
    }

    fn listener() -> (mpsc::Sender<Stream>, MuxListener) {
        let (connections, incoming) = mpsc::channel(8);
        let broker = Broker::multiplexed(Role::Plugin, BrokerSettings::new(Security::Plain));
        (connections, MuxListener::new(AnyListener::new(Incoming(incoming)), broker))
    }

    async fn connect(connections: &mpsc::Sender<Stream>) -> DuplexStream {
        let (near, far) = duplex(1 << 16);
        connections.send(Stream::other(far)).await.expect("the listener lives");
        near
    }

    #[tokio::test]
    async fn silent_connections_do_not_keep_the_host_out() {
        let (connections, mut listener) = listener();
        let mut silent = connect(&connections).await;
        drop(connect(&connections).await);
        let host = yamux::Session::client(connect(&connections).await, yamux::Config::default());
        let talking = async {
            let mut stream = host.open().await.expect("opened");
            stream.write_all(b"hello").await.expect("written");
            let mut accepted = listener.accept().await.expect("a stream");
            let mut read = [0; 5];
            accepted.read_exact(&mut read).await.expect("read");
            assert_eq!(&read, b"hello");
            // No other connection is accepted any more.
            let mut rest = Vec::new();
            silent.read_to_end(&mut rest).await.expect("closed cleanly");
            assert!(connections.is_closed());
            // The session of the host is the last one.
            host.close().await;
            assert!(listener.accept().await.is_none());
        };
        timeout(Duration::from_secs(60), talking).await.expect("the silent connection is not waited for");
    }

    #[tokio::test]
    async fn a_listener_that_is_closed_ends_when_its_last_connection_has_ended() {
        let (connections, mut listener) = listener();
        let host = connect(&connections).await;
        drop(connections);
        drop(host);
        assert!(timeout(Duration::from_secs(60), listener.accept()).await.expect("it ends").is_none());
    }
}
