//! The connection to one peer, which is opened again after its end.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::watch, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{
    connect::{ChannelError, Connect},
    connection::{Connection, ConnectionState},
    wire::WireError,
};
use crate::{frames::HeaderLimit, http2::settings::Settings, tls::SecureStream};

/// The connection to one peer. It is opened when a call needs it, and again after its end.
pub(super) struct Reconnect {
    connector: Arc<dyn DynConnect>,
    settings: Arc<Settings>,
    state: Mutex<State>,
}

/// [`Connect`] as a trait object.
trait DynConnect: Send + Sync + 'static {
    fn open(self: Arc<Self>) -> OpenStream;
}

/// The future of a stream that is being opened.
pub(super) type OpenStream = Pin<Box<dyn Future<Output = Result<SecureStream, ChannelError>> + Send>>;

enum State {
    /// There is no connection. `last` is the previous connection if it may have broken unused.
    Down { last: Option<Arc<ConnectionState>> },
    /// A connection is being opened. All calls that need it wait for its outcome.
    Opening { outcome: watch::Receiver<Option<Opened>>, _task: AbortOnDropHandle<()> },
    /// There is a connection. It may have ended.
    Up(Connection),
}

type Opened = Result<Connection, Arc<ChannelError>>;

impl<C: Connect> DynConnect for C {
    fn open(self: Arc<Self>) -> OpenStream {
        Box::pin(async move { self.connect().await })
    }
}

impl Reconnect {
    /// Makes a peer connection that opens its connection with the first call.
    pub(super) fn lazy(connector: impl Connect, settings: &Settings) -> Self {
        Self::new(Arc::new(connector), settings, State::Down { last: None })
    }

    /// Opens a connection.
    pub(super) async fn connect(connector: impl Connect, settings: &Settings) -> Result<Self, ChannelError> {
        let connector: Arc<dyn DynConnect> = Arc::new(connector);
        let connection = open(Arc::clone(&connector), settings).await?;
        Ok(Self::new(connector, settings, State::Up(connection)))
    }

    fn new(connector: Arc<dyn DynConnect>, settings: &Settings, state: State) -> Self {
        Self { connector, settings: Arc::new(settings.clone()), state: Mutex::new(state) }
    }

    /// The connection, if there is one. It may have ended.
    pub(super) fn current(&self) -> Option<Connection> {
        match &*self.lock() {
            State::Up(connection) => Some(connection.clone()),
            _ => None,
        }
    }

    /// Returns a connection that is not known to have ended.
    pub(super) async fn ready(&self) -> Opened {
        if let Some(Connection { mut wire, state }) = self.current() {
            match poll_fn(|cx| wire.poll_ready(cx)).await {
                Ok(()) => return Ok(Connection { wire, state }),
                Err(error) => self.retire(&state, &error, false),
            };
        }
        self.open().await
    }

    /// Returns the connection. Opens a connection if there is no current one. All calls that wait for a connection have the same outcome.
    pub(super) async fn open(&self) -> Opened {
        let mut outcome = match self.start_opening()? {
            Ok(connection) => return Ok(connection),
            Err(outcome) => outcome,
        };
        let opened = outcome.wait_for(Option::is_some).await.ok().and_then(|opened| opened.clone());
        // There is no outcome when the runtime of the opening task shuts down.
        let opened = opened.unwrap_or_else(|| {
            let source = "the runtime shuts down".into();
            Err(Arc::new(ChannelError::Other { what: "no connection was opened", source }))
        });
        let mut state = self.lock();
        if matches!(&*state, State::Opening { outcome: this, .. } if this.same_channel(&outcome)) {
            *state = match &opened {
                Ok(connection) => State::Up(connection.clone()),
                Err(_) => State::Down { last: None },
            };
        }
        drop(state);
        opened
    }

    /// Returns the connection, or the receiver of its outcome.
    fn start_opening(
        &self,
    ) -> Result<Result<Connection, watch::Receiver<Option<Opened>>>, Arc<ChannelError>> {
        let mut state = self.lock();
        match &mut *state {
            State::Up(connection) => return Ok(Ok(connection.clone())),
            State::Opening { outcome, .. } => {
                // A failure is left here when all calls that waited for it were dropped. It does not count for later calls.
                let failed = matches!(&*outcome.borrow(), Some(Err(_)));
                if !failed {
                    return Ok(Err(outcome.clone()));
                }
            }
            // The previous connection is forgotten, so that the next call tries again.
            State::Down { last } => {
                if last.take().is_some_and(|last| last.broke_unused()) {
                    return Err(Arc::new(ChannelError::HangsUp));
                }
            }
        }
        let (sender, outcome) = watch::channel(None);
        let (connector, settings) = (Arc::clone(&self.connector), Arc::clone(&self.settings));
        // In a task of its own, because the call that starts it may be dropped while other calls wait for it.
        let task = tokio::spawn(async move {
            let opened = open(connector, &settings).await.map_err(Arc::new);
            sender.send_replace(Some(opened));
        });
        *state = State::Opening { outcome: outcome.clone(), _task: AbortOnDropHandle::new(task) };
        Ok(Err(outcome))
    }

    /// Gives a connection that has ended no further calls. Returns whether it broke before the peer had answered a call
    /// on it. With `reported`, the caller fails a call for that, and the next call tries again.
    pub(super) fn retire(&self, ended: &Arc<ConnectionState>, error: &WireError, reported: bool) -> bool {
        ended.note_error(error);
        let broke_unused = ended.broke_unused();
        let mut state = self.lock();
        if matches!(&*state, State::Up(connection) if Arc::ptr_eq(&connection.state, ended)) {
            *state = State::Down { last: (!reported).then(|| Arc::clone(ended)) };
        }
        broke_unused
    }

    /// The limit on the headers of a response.
    pub(super) fn header_limit(&self) -> HeaderLimit {
        HeaderLimit::new(self.settings.max_headers)
    }

    /// The largest message of a response.
    pub(super) fn max_message(&self) -> Option<u64> {
        self.settings.max_receive_message_size
    }

    /// Opens another stream to the peer.
    #[cfg(feature = "tonic-channel")]
    pub(super) fn open_stream(&self) -> OpenStream {
        Arc::clone(&self.connector).open()
    }

    #[cfg(feature = "tonic-channel")]
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a stream and starts HTTP/2 on it.
async fn open(connector: Arc<dyn DynConnect>, settings: &Settings) -> Result<Connection, ChannelError> {
    let limit = settings.handshake_timeout;
    let opening = async {
        let stream = connector.open().await?;
        Connection::open(stream, settings).await.map_err(|error| ChannelError::NotHttp2(error.into_boxed()))
    };
    let exited = async {
        match &settings.peer_exit {
            Some(exit) => exit.cancelled().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        // Another process may hold the socket open, and never answer.
        () = exited => Err(ChannelError::PeerExited),
        opened = timeout(limit, opening) => opened.unwrap_or(Err(ChannelError::Timeout(limit))),
    }
}
