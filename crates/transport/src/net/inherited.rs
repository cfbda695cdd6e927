//! The connection that a plugin inherits from its host.
//!
//! A plain socket for each connection, and no address: the host starts the plugin with a socket as its stdout, in which the end of
//! another socket waits. Over this other socket each side passes the ends of new sockets to the other side. A new socket is a
//! connection to one of the peer's listeners, which have numbers.

use std::{
    collections::HashMap,
    fmt, io,
    pin::Pin,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use rpcplugin_core::Endpoint;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, ReadBuf},
    sync::mpsc,
};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::{
    dial::{Dial, dial},
    pending::make_room,
    stream::Stream,
};
use crate::os::{
    passing::{self, Carrier, PassedSocket, Passing, PassingEnd, Received},
    sockets::UnixStream,
};

/// The connection between a host and a plugin that the plugin has inherited. Cheap to clone.
///
/// As a [`Dial`] it opens streams to [`Endpoint::Inherited`] over itself, and to other endpoints by this machine's sockets. It ends
/// when one of the two processes drops the last clone and the last listener, or exits.
#[derive(Clone)]
pub struct InheritedConnection(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    /// Hands out what the peer passes.
    _task: AbortOnDropHandle<()>,
}

struct Shared {
    passing: Passing,
    listeners: Mutex<Listeners>,
}

/// The listeners of this side, by their numbers.
#[derive(Default)]
struct Listeners {
    streams: HashMap<u32, mpsc::Sender<Stream>>,
    last: u32,
    /// The peer can open no further connection.
    ended: bool,
}

/// The host's offer to a plugin that it is about to start.
///
/// Only Linux has the means. A program that does not know the offer is not disturbed by it: its stdout is a socket in place of a
/// pipe.
#[derive(Debug)]
pub struct InheritedOffer {
    /// The token, for the environment of the plugin.
    pub token: String,
    /// The plugin's stdout. The host's copy of it has to be closed once the plugin is started.
    pub stdout: Stdio,
    /// The end from which the host reads what the plugin prints.
    pub printed: InheritedStdout,
    /// The connection, as far as the plugin takes it.
    pub connection: InheritedConnection,
}

/// The host's end of the stdout of a plugin.
#[derive(Debug)]
pub struct InheritedStdout(UnixStream);

/// A listener behind an inherited connection. Dropping it refuses further connections.
pub(super) struct InheritedListener {
    number: u32,
    streams: mpsc::Receiver<Stream>,
    connection: InheritedConnection,
}

impl InheritedOffer {
    /// Makes an offer.
    ///
    /// # Errors
    /// `Unsupported` on systems other than Linux. Other errors when the system is out of descriptors.
    ///
    /// # Panics
    /// Panics outside a tokio runtime.
    pub fn new() -> io::Result<Self> {
        // Not a secret: it marks the message for the plugin that is started with it.
        let token = format!("{:032x}", fastrand::u128(..));
        let Carrier { stdout, reader, passing } = Carrier::new(&token)?;
        let connection = InheritedConnection::new(passing)?;
        Ok(Self { token, stdout, printed: InheritedStdout(reader), connection })
    }
}

impl InheritedConnection {
    /// Takes the connection that the host of this process has offered with this token, from the stdout of this process. A later
    /// call, and a process that was started by this one, find nothing.
    ///
    /// `None` if there is no such offer: the variable with the token came from another process.
    ///
    /// # Panics
    /// Panics outside a tokio runtime.
    #[must_use]
    pub fn take(token: &str) -> Option<Self> {
        let end = passing::take_from_stdout(token)?;
        Self::new(end)
            .inspect_err(|error| tracing::warn!(%error, "the inherited connection cannot be used"))
            .ok()
    }

    fn new(end: PassingEnd) -> io::Result<Self> {
        let shared = Arc::new(Shared { passing: Passing::new(end)?, listeners: Mutex::default() });
        let task = tokio::spawn(hand_out(Arc::clone(&shared)).in_current_span());
        Ok(Self(Arc::new(Handle { shared, _task: AbortOnDropHandle::new(task) })))
    }

    /// Listens under this number, or under the next free one.
    pub(super) fn listen(&self, number: Option<u32>) -> InheritedListener {
        let (sender, streams) = mpsc::channel(BACKLOG);
        let mut listeners = self.0.shared.listeners();
        let number = number.unwrap_or_else(|| listeners.next_number());
        if !listeners.ended {
            listeners.streams.insert(number, sender);
        }
        drop(listeners);
        InheritedListener { number, streams, connection: self.clone() }
    }

    /// Opens a stream to a listener of the peer.
    async fn open(&self, number: u32) -> io::Result<Stream> {
        let (mut stream, far) = passing::connected()?;
        self.0.shared.passing.send(number, far).await?;
        // The plugin itself listens for as long as it serves, and its first connection is part of each launch: there the round trip
        // is saved.
        if number != MAIN && stream.read_u8().await.is_err() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        Ok(Stream::unix(stream))
    }
}

impl Dial for InheritedConnection {
    async fn dial(&self, endpoint: &Endpoint) -> io::Result<Stream> {
        match endpoint {
            Endpoint::Inherited(number) => self.open(*number).await,
            other => dial(other).await.map_err(|error| error.source),
        }
    }
}

impl Shared {
    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        // Every step leaves the map consistent.
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a socket to the listener with this number. Dropping the socket refuses the connection.
    fn hand_to(&self, number: u32, socket: PassedSocket) -> io::Result<()> {
        let Some(listener) = self.listeners().streams.get(&number).cloned() else {
            tracing::debug!(number, "a connection was refused: it has no listener");
            return Ok(());
        };
        let Ok(place) = listener.try_reserve() else {
            tracing::debug!(number, "a connection was refused: its listener has too many waiting");
            return Ok(());
        };
        if number != MAIN {
            socket.acknowledge()?;
        }
        place.send(Stream::unix(socket.into_stream()?));
        Ok(())
    }
}

impl Listeners {
    fn next_number(&mut self) -> u32 {
        loop {
            self.last = self.last.wrapping_add(1);
            if self.last != MAIN && !self.streams.contains_key(&self.last) {
                return self.last;
            }
        }
    }
}

/// Hands out what the peer passes, until the peer has closed its end.
async fn hand_out(shared: Arc<Shared>) {
    loop {
        match shared.passing.receive().await {
            Ok(Received::Socket(number, socket)) => {
                if let Err(error) = shared.hand_to(number, socket) {
                    tracing::debug!(number, %error, "a connection was refused");
                }
            }
            Ok(Received::Lost) => {
                make_room().await;
            }
            Ok(Received::End) => break,
            Err(error) => {
                tracing::debug!(%error, "the inherited connection has broken");
                break;
            }
        }
    }
    let mut listeners = shared.listeners();
    listeners.ended = true;
    // Their listeners end.
    listeners.streams.clear();
}

impl InheritedListener {
    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint::Inherited(self.number)
    }

    /// Returns the next stream, or `None` when the connection has ended.
    pub(super) async fn accept(&mut self) -> Option<Stream> {
        self.streams.recv().await
    }
}

impl Drop for InheritedListener {
    fn drop(&mut self) {
        self.connection.0.shared.listeners().streams.remove(&self.number);
    }
}

/// A plugin that has not taken the offer leaves it unread when it exits. Linux reports this as a reset.
impl AsyncRead for InheritedStdout {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.get_mut().0).poll_read(cx, buf) {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => Poll::Ready(Ok(())),
            other => other,
        }
    }
}

impl fmt::Debug for InheritedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InheritedConnection")
    }
}

impl fmt::Debug for InheritedListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InheritedListener({})", self.number)
    }
}

/// The number of the plugin's own listener.
pub(super) const MAIN: u32 = 0;

/// How many connections may wait for one listener. A socket of the system has 4096 such places.
const BACKLOG: usize = 1024;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::time::Duration;

    use tokio::{io::AsyncWriteExt as _, time::timeout};

    use super::*;
    use crate::{Dialer, Listen as _, Listener};

    fn both() -> (InheritedConnection, InheritedConnection) {
        let (host, plugin) = PassingEnd::both().expect("descriptors");
        let connection = |end| InheritedConnection::new(end).expect("descriptors");
        (connection(host), connection(plugin))
    }

    async fn passes(mut from: Stream, mut to: Stream) {
        from.write_all(b"hello").await.expect("written");
        from.shutdown().await.expect("shut down");
        let mut read = String::new();
        to.read_to_string(&mut read).await.expect("read");
        assert_eq!(read, "hello");
    }

    async fn kind_of_failure(connection: &InheritedConnection, number: u32) -> io::ErrorKind {
        let opened =
            timeout(Duration::from_secs(60), connection.open(number)).await.expect("it fails at once");
        opened.expect_err("it has no listener").kind()
    }

    #[tokio::test]
    async fn each_side_reaches_the_listeners_of_the_other() {
        let (host, plugin) = both();
        let mut main = Listener::inherited_main(&plugin);
        assert_eq!(*main.endpoint(), Endpoint::Inherited(0));
        let dialled = Dialer::new(host.clone()).dial(main.endpoint()).await.expect("it listens");
        passes(dialled, main.accept().await.expect("a stream")).await;
        // Streams and listeners do not meet, and the numbers of the two sides are independent.
        for (dialling, listening) in [(&host, &plugin), (&plugin, &host)] {
            let mut listeners = [Listener::inherited_other(listening), Listener::inherited_other(listening)];
            for listener in listeners.iter_mut().rev() {
                let endpoint = listener.endpoint().clone();
                let (dialled, accepted) = tokio::join!(dialling.dial(&endpoint), listener.accept());
                passes(accepted.expect("a stream"), dialled.expect("it listens")).await;
            }
        }
    }

    #[tokio::test]
    async fn a_listener_that_is_gone_refuses() {
        let (host, plugin) = both();
        assert_eq!(kind_of_failure(&host, 1).await, io::ErrorKind::ConnectionRefused);
        let listener = Listener::inherited_other(&plugin);
        let mut waiting = Vec::new();
        for _ in 0..100 {
            waiting.push(host.dial(listener.endpoint()).await.expect("there is room"));
        }
        drop(listener);
        assert_eq!(kind_of_failure(&host, 1).await, io::ErrorKind::ConnectionRefused);
        // Those that waited have ended.
        let mut read = Vec::new();
        for mut stream in waiting {
            stream.read_to_end(&mut read).await.expect("closed");
        }
        assert!(read.is_empty());
        // Others are not disturbed.
        let mut other = Listener::inherited_other(&plugin);
        assert_eq!(*other.endpoint(), Endpoint::Inherited(2));
        let (dialled, accepted) = tokio::join!(host.open(2), other.accept());
        passes(dialled.expect("it listens"), accepted.expect("a stream")).await;
    }

    #[tokio::test]
    async fn the_end_of_one_side_ends_the_listeners_of_the_other() {
        let (host, plugin) = both();
        let mut main = Listener::inherited_main(&plugin);
        drop(host);
        assert!(timeout(Duration::from_secs(60), main.accept()).await.expect("it ends").is_none());
        assert!(Listener::inherited_other(&plugin).accept().await.is_none(), "no further one can be reached");
        assert_eq!(kind_of_failure(&plugin, MAIN).await, io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn other_messages_are_passed_over() {
        let (host, plugin) = PassingEnd::both().expect("descriptors");
        for message in [&b"x"[..], &[0; 4], &[0; 5], &[0; 4096]] {
            host.send_raw(message).expect("there is room");
        }
        let [host, plugin] = [host, plugin].map(|end| InheritedConnection::new(end).expect("descriptors"));
        let mut main = Listener::inherited_main(&plugin);
        let (dialled, accepted) = tokio::join!(host.open(MAIN), main.accept());
        passes(dialled.expect("it listens"), accepted.expect("a stream")).await;
    }

    #[tokio::test]
    async fn an_offer_that_is_not_taken_disturbs_neither_side() {
        let offer = InheritedOffer::new().expect("descriptors");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "echo hello"]).stdout(offer.stdout).stdin(Stdio::null());
        let mut child = command.spawn().expect("started");
        drop(command);
        let (mut printed, mut line) = (offer.printed, String::new());
        printed.read_to_string(&mut line).await.expect("the reset counts as the end");
        assert_eq!(line, "hello\n");
        assert!(child.wait().expect("a child").success());
        // The end that waited in it is closed with it.
        assert!(Listener::inherited_main(&offer.connection).accept().await.is_none());
        assert_eq!(kind_of_failure(&offer.connection, MAIN).await, io::ErrorKind::BrokenPipe);
    }
}
