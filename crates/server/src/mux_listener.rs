//! The one connection of a multiplexing host.

use std::collections::VecDeque;

use rpcplugin_broker::{Broker, MainStreams};
use rpcplugin_transport::{Listen, Newcomer, Stream, yamux};
use tokio::task::{AbortHandle, JoinSet};
use tracing::Instrument as _;

use crate::own_transport::AnyListener;

/// The streams of the one connection that a multiplexing host makes.
///
/// # Protocol
/// go-plugin `internal/grpcmux/grpc_server_muxer.go`. Differs: the connection that counts is the first on which a stream is
/// opened, so one that says nothing, such as a probe's, holds up no host; there is no deadline of five seconds, since the
/// death of the host is noticed otherwise.
pub(crate) struct MuxListener {
    /// Gone once a host is connected, and its file with it: no other will be let in.
    listener: Option<AnyListener>,
    /// Connections on which no stream has been opened. They end by themselves when nobody answers on them.
    silent: JoinSet<Option<yamux::Session>>,
    /// Their tasks, the oldest first.
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
            // It has said nothing for longest, and must not keep the host out.
            oldest.abort();
        }
        let newcomer = Newcomer::new(&stream);
        let kept = newcomer.clone();
        let session = yamux::Session::server(stream, yamux::Config::default());
        let opened = async move {
            let opened = session.acceptable().await.then_some(session);
            if opened.is_some() {
                kept.proven();
            }
            opened
        };
        let task = self.silent.spawn(opened.in_current_span());
        newcomer.closes_with(task.clone());
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
                // Neither is a listener left nor a connection.
                else => return None,
            }
        }
    }
}

/// Connections on which no stream has been opened, at most: the oldest makes room. yamux gives up on one in less than a
/// minute.
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
        connections.send(Stream::other(far)).await.expect("somebody listens");
        near
    }

    #[tokio::test]
    async fn connections_that_say_nothing_hold_up_no_host() {
        let (connections, mut listener) = listener();
        let mut silent = connect(&connections).await;
        drop(connect(&connections).await);
        let host = yamux::Session::client(connect(&connections).await, yamux::Config::default());
        let talking = async {
            let mut stream = host.open().await.expect("opened");
            stream.write_all(b"hello").await.expect("written");
            let mut accepted = listener.accept().await.expect("a stream");
            let mut heard = [0; 5];
            accepted.read_exact(&mut heard).await.expect("read");
            assert_eq!(&heard, b"hello");
            // Nobody else is let in any more.
            let mut rest = Vec::new();
            silent.read_to_end(&mut rest).await.expect("closed in order");
            assert!(connections.is_closed());
            // The session of the host is the last.
            host.close().await;
            assert!(listener.accept().await.is_none());
        };
        timeout(Duration::from_secs(60), talking).await.expect("nobody waits for the silent one");
    }

    #[tokio::test]
    async fn a_listener_that_has_had_its_last_connection_is_not_over_before_that_is() {
        let (connections, mut listener) = listener();
        let host = connect(&connections).await;
        drop(connections);
        drop(host);
        assert!(timeout(Duration::from_secs(60), listener.accept()).await.expect("it ends").is_none());
    }
}
