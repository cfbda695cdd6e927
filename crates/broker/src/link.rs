//! The stream of messages between two brokers, seen from either side.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use rpcplugin_proto::{ConnInfo, GrpcBroker, GrpcBrokerClient, GrpcBrokerServer};
use rpcplugin_transport::{Services, http2::PluginChannel};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{
    Code, Request, Response, Status, Streaming,
    metadata::{MetadataMap, MetadataValue},
};

use crate::{
    router::{LinkEnd, LinkId, Manner, Reach},
    shared::{Shared, now},
};

/// The service with which a plugin's broker is reached.
pub(crate) fn services(shared: &Arc<Shared>) -> Services {
    let service = Service(Arc::clone(shared));
    Services::new().add(GrpcBrokerServer::new(service).max_decoding_message_size(MAX_MESSAGE))
}

/// Opens a link upon the host's main channel and keeps it for as long as it lasts.
///
/// # Protocol
/// go-plugin `grpc_broker.go` `StartStream`. A Go plugin answers not even with headers until it has something to say.
pub(crate) async fn attach(shared: Arc<Shared>, channel: PluginChannel) -> Detached {
    let link = Link::open(&shared);
    let outgoing = Outgoing::new(&shared, link.id);
    let end = tokio::select! {
        biased;
        () = shared.closed.cancelled() => LinkEnd::Lost,
        end = receive(&shared, link.id, channel, outgoing) => end,
    };
    tracing::debug!(?end, "the broker's stream ended");
    link.close(end);
    if shared.closed.is_cancelled() {
        return Detached::Closed;
    }
    match shared.look(|state| state.router.reach()) {
        Reach::NoBroker => Detached::NoBroker,
        Reach::PeerClosed => Detached::PeerClosed,
        Reach::Up(_) | Reach::Down => Detached::Lost,
    }
}

/// How a stream to a plugin's broker ended, and so whether there is any use in [attaching](crate::Broker::attach) again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Detached {
    /// It broke, or the plugin ended it in order. The next one may last.
    Lost,
    /// The plugin has no broker.
    NoBroker,
    /// The plugin's broker is closed for good.
    PeerClosed,
    /// This side's broker is closed.
    Closed,
}

/// Opens the call and takes in what the plugin says.
async fn receive(shared: &Arc<Shared>, link: LinkId, channel: PluginChannel, outgoing: Outgoing) -> LinkEnd {
    let mut client = GrpcBrokerClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
    let mut incoming = match client.start_stream(Messages(outgoing)).await {
        Ok(response) => {
            let manner = manner(response.metadata(), "server");
            shared.change(|state| state.router.meet(link, manner));
            response.into_inner()
        }
        Err(status) if status.code() == Code::Unimplemented => return LinkEnd::Unimplemented,
        Err(status) => {
            tracing::debug!(error = %status, "the broker's stream could not be opened");
            return LinkEnd::Lost;
        }
    };
    loop {
        match incoming.message().await {
            Ok(Some(message)) => shared.receive(link, message),
            Ok(None) => return LinkEnd::ByPeer,
            Err(status) => {
                tracing::debug!(error = %status, "the broker's stream broke");
                return LinkEnd::Lost;
            }
        }
    }
}

/// How the peer knocks, by the header in which it says who it is.
fn manner(headers: &MetadataMap, header: &str) -> Manner {
    match headers.get(header).and_then(|name| name.to_str().ok()) {
        Some(name) if name.starts_with("rpcplugin/") => Manner::AtOnce,
        _ => Manner::InTurn,
    }
}

/// A link that is closed when this goes.
#[derive(Debug)]
struct Link {
    shared: Arc<Shared>,
    id: LinkId,
}

impl Link {
    fn open(shared: &Arc<Shared>) -> Self {
        let id = shared.change(|state| state.router.open_link(now()));
        Self { shared: Arc::clone(shared), id }
    }

    fn close(&self, end: LinkEnd) {
        self.shared.change(|state| state.router.close_link(self.id, end, now()));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close(LinkEnd::Lost);
    }
}

/// What this side sends on a link. Ends when the link does, or the broker closes.
struct Outgoing {
    shared: Arc<Shared>,
    link: LinkId,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Runs until there is something to send even if nothing happens.
    timer: Option<Pin<Box<Sleep>>>,
    is_up: bool,
}

impl Outgoing {
    fn new(shared: &Arc<Shared>, link: LinkId) -> Self {
        let closed = Box::pin(shared.closed.clone().cancelled_owned());
        Self { shared: Arc::clone(shared), link, closed, timer: None, is_up: false }
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<ConnInfo>> {
        if self.closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        if !self.is_up {
            // Somebody reads: from now on messages arrive.
            self.is_up = true;
            self.shared.change(|state| state.router.link_up(self.link));
        }
        loop {
            let next = self.shared.look(|state| match state.router.next_message(self.link, now()) {
                Some(message) => Next::Message(message),
                None if state.router.has_link(self.link) => {
                    state.writers.insert(self.link, cx.waker().clone());
                    Next::Nothing(state.router.next_deadline())
                }
                None => Next::End,
            });
            let deadline = match next {
                Next::Message(message) => {
                    let knock = message.knock.is_some();
                    tracing::trace!(service.id = message.service_id, knock, "message sent");
                    return Poll::Ready(Some(message));
                }
                Next::Nothing(deadline) => deadline,
                Next::End => return Poll::Ready(None),
            };
            self.timer = deadline.map(|deadline| Box::pin(sleep_until(Instant::from_std(deadline))));
            // Once the time has come there is a message, or a later time.
            if self.timer.as_mut().is_none_or(|timer| timer.as_mut().poll(cx).is_pending()) {
                return Poll::Pending;
            }
        }
    }
}

/// What a link has to send.
enum Next {
    Message(ConnInfo),
    /// Nothing until something happens, or until this time.
    Nothing(Option<std::time::Instant>),
    End,
}

/// The host's half of a link.
struct Messages(Outgoing);

impl Stream for Messages {
    type Item = ConnInfo;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ConnInfo>> {
        self.0.poll_message(cx)
    }
}

/// What a plugin registers. Every stream that a host opens is a link of its own, so the broker lives as long as the
/// plugin does.
///
/// # Protocol
/// Differs: the broker of a Go plugin is dead once its first stream has ended.
struct Service(Arc<Shared>);

#[tonic::async_trait]
impl GrpcBroker for Service {
    type StartStreamStream = Exchange;

    async fn start_stream(
        &self,
        request: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<Exchange>, Status> {
        if self.0.closed.is_cancelled() {
            return Err(Status::unavailable("the plugin is shutting down"));
        }
        let link = Link::open(&self.0);
        let manner = manner(request.metadata(), "user-agent");
        self.0.change(|state| state.router.meet(link.id, manner));
        let outgoing = Outgoing::new(&self.0, link.id);
        let mut response = Response::new(Exchange { link, outgoing, incoming: request.into_inner() });
        response.metadata_mut().insert("server", MetadataValue::from_static(THIS_SERVER));
        Ok(response)
    }
}

/// The plugin's half of a link: what it sends, and in passing, what it receives. Being read drives both, so a host that
/// does not read is not read from.
struct Exchange {
    link: Link,
    outgoing: Outgoing,
    incoming: Streaming<ConnInfo>,
}

impl Stream for Exchange {
    type Item = Result<ConnInfo, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Poll::Ready(message) = self.outgoing.poll_message(cx) {
                return Poll::Ready(message.map(Ok));
            }
            match Pin::new(&mut self.incoming).poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(message))) => {
                    self.link.shared.receive(self.link.id, message);
                }
                Poll::Ready(Some(Err(status))) => {
                    tracing::debug!(error = %status, "the broker's stream broke");
                    return Poll::Ready(None);
                }
                Poll::Ready(None) => {
                    self.link.close(LinkEnd::ByPeer);
                    return Poll::Ready(None);
                }
            }
        }
    }
}

/// What a plugin says of itself to its host; a host says it as its user agent.
const THIS_SERVER: &str = concat!("rpcplugin/", env!("CARGO_PKG_VERSION"));

/// The largest message of a broker. Real ones have some hundred bytes.
const MAX_MESSAGE: usize = 64 << 10;
