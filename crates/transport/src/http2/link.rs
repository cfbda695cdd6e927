//! The connection to one peer, opened again when it is over.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::watch, time::timeout};
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Channel;

use crate::{
    http2::{
        Settings,
        blocks::HeaderLimit,
        connect::{Connect, ConnectError},
        connection::{Connection, Fate},
        tonic_channel,
    },
    stream::SecureStream,
};

/// The connection to one peer.
pub(super) struct Link {
    way: Arc<dyn Way>,
    settings: Arc<Settings>,
    state: Mutex<State>,
}

/// [`Connect`] without its type.
pub(super) trait Way: Send + Sync + 'static {
    fn open(self: Arc<Self>) -> Opening;
}

pub(super) type Opening = Pin<Box<dyn Future<Output = Result<SecureStream, ConnectError>> + Send>>;

enum State {
    /// There is no connection. The last one may have come to nothing.
    Down { last: Option<Arc<Fate>> },
    /// One is being opened, whoever waits for it.
    Opening { outcome: watch::Receiver<Option<Opened>>, _task: AbortOnDropHandle<()> },
    /// There is one, which may be over.
    Up(Connection),
}

type Opened = Result<Connection, Arc<ConnectError>>;

impl<C: Connect> Way for C {
    fn open(self: Arc<Self>) -> Opening {
        Box::pin(async move { self.connect().await })
    }
}

impl Link {
    /// A link that opens its connection when it is needed.
    pub(super) fn lazy(connect: impl Connect, settings: &Settings) -> Self {
        Self::new(Arc::new(connect), settings, State::Down { last: None })
    }

    /// A link that has a connection.
    pub(super) async fn open(connect: impl Connect, settings: &Settings) -> Result<Self, ConnectError> {
        let way: Arc<dyn Way> = Arc::new(connect);
        let connection = open(Arc::clone(&way), settings).await?;
        Ok(Self::new(way, settings, State::Up(connection)))
    }

    fn new(way: Arc<dyn Way>, settings: &Settings, state: State) -> Self {
        Self { way, settings: Arc::new(settings.clone()), state: Mutex::new(state) }
    }

    /// The connection, if it need not be opened. It may be over.
    pub(super) fn up(&self) -> Option<Connection> {
        match &*self.lock() {
            State::Up(connection) => Some(connection.clone()),
            _ => None,
        }
    }

    /// A connection that is not known to be over.
    pub(super) async fn open_connection(&self) -> Opened {
        if let Some(Connection { mut send, fate }) = self.up() {
            match poll_fn(|cx| send.poll_ready(cx)).await {
                Ok(()) => return Ok(Connection { send, fate }),
                Err(error) => self.retire(&fate, &error, false),
            };
        }
        self.opened().await
    }

    /// The connection; opens one if there is none. All calls that wait for it have the same outcome.
    pub(super) async fn opened(&self) -> Opened {
        let mut outcome = match self.opening()? {
            Ok(connection) => return Ok(connection),
            Err(outcome) => outcome,
        };
        let opened = outcome.wait_for(Option::is_some).await.ok().and_then(|opened| opened.clone());
        // The runtime that opened it is going down.
        let opened = opened.unwrap_or_else(|| {
            let source = "the runtime ends".into();
            Err(Arc::new(ConnectError::Other { what: "no connection was opened", source }))
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

    /// The connection, or what will tell of it.
    fn opening(&self) -> Result<Result<Connection, watch::Receiver<Option<Opened>>>, Arc<ConnectError>> {
        let mut state = self.lock();
        match &mut *state {
            State::Up(connection) => return Ok(Ok(connection.clone())),
            State::Opening { outcome, .. } => {
                // A failure that all who waited for it did not live to see is none for calls that come later.
                let failed = matches!(&*outcome.borrow(), Some(Err(_)));
                if !failed {
                    return Ok(Err(outcome.clone()));
                }
            }
            // It is forgotten, so that the next call may try again.
            State::Down { last } => {
                if last.take().is_some_and(|last| last.came_to_nothing()) {
                    return Err(Arc::new(ConnectError::HangsUp));
                }
            }
        }
        let (tell, outcome) = watch::channel(None);
        let (way, settings) = (Arc::clone(&self.way), Arc::clone(&self.settings));
        // In a task of its own: a call that is given up meanwhile leaves it to those that wait, and to the next.
        let task = tokio::spawn(async move {
            let opened = open(way, &settings).await.map_err(Arc::new);
            tell.send_replace(Some(opened));
        });
        *state = State::Opening { outcome: outcome.clone(), _task: AbortOnDropHandle::new(task) };
        Ok(Err(outcome))
    }

    /// Takes no more calls to a connection that is over. Whether the peer hung up before it answered any; a call that is
    /// `told` so makes it forgotten.
    pub(super) fn retire(&self, fate: &Arc<Fate>, error: &h2::Error, told: bool) -> bool {
        fate.failed(error);
        let came_to_nothing = fate.came_to_nothing();
        let mut state = self.lock();
        if matches!(&*state, State::Up(connection) if Arc::ptr_eq(&connection.fate, fate)) {
            *state = State::Down { last: (!told).then(|| Arc::clone(fate)) };
        }
        came_to_nothing
    }

    /// How long the headers of an answer may be.
    pub(super) fn header_limit(&self) -> HeaderLimit {
        HeaderLimit::new(self.settings.max_headers)
    }

    /// The largest message that an answer may have.
    pub(super) fn max_message(&self) -> Option<u64> {
        self.settings.max_receive_message_size
    }

    /// Opens another stream to the peer.
    pub(super) fn stream(&self) -> Opening {
        Arc::clone(&self.way).open()
    }

    /// tonic's own channel to the same peer, with a connection of its own.
    pub(super) fn tonic_channel(&self) -> Channel {
        let way = Arc::clone(&self.way);
        tonic_channel::lazy(move || Arc::clone(&way).open(), &self.settings)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a stream and an HTTP/2 connection upon it.
async fn open(way: Arc<dyn Way>, settings: &Settings) -> Result<Connection, ConnectError> {
    let deadline = settings.handshake_timeout;
    let opening = async {
        let stream = way.open().await?;
        Connection::open(stream, settings).await.map_err(|error| ConnectError::NotHttp2(error.into()))
    };
    timeout(deadline, opening).await.unwrap_or(Err(ConnectError::Silent(deadline)))
}
