//! The stream of messages between two brokers, for the host and for the plugin.

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
    router::{KnockPolicy, LinkEnd, LinkId, Reachability},
    shared::{Shared, now},
};

/// The service of a plugin's broker.
pub(crate) fn services(shared: &Arc<Shared>) -> Services {
    let service = Service(Arc::clone(shared));
    Services::new().add(GrpcBrokerServer::new(service).max_decoding_message_size(MAX_MESSAGE))
}

/// Opens a link on the host's main channel, and returns how it ended.
///
/// # Protocol
/// go-plugin `grpc_broker.go` `StartStream`. A plugin in Go sends no headers before its first message.
pub(crate) async fn attach(shared: Arc<Shared>, channel: PluginChannel) -> DisconnectReason {
    let link = OpenLink::new(&shared);
    let outgoing = Outgoing::new(&shared, link.id);
    let end = tokio::select! {
        biased;
        () = shared.closed.cancelled() => LinkEnd::Lost,
        end = receive(&shared, link.id, channel, outgoing) => end,
    };
    tracing::debug!(?end, "the broker's stream ended");
    link.close(end);
    if shared.closed.is_cancelled() {
        return DisconnectReason::Closed;
    }
    match shared.look(|state| state.router.reachability()) {
        Reachability::NoBroker => DisconnectReason::NoBroker,
        Reachability::PeerClosed => DisconnectReason::PeerClosed,
        Reachability::Up(_) | Reachability::Down => DisconnectReason::Lost,
    }
}

/// How the stream to a plugin's broker ended. Only after [`Lost`](Self::Lost) it is of use to
/// [attach](crate::Broker::attach) again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The stream broke, or the plugin ended it without an error. Another stream may last.
    Lost,
    /// The plugin has no broker.
    NoBroker,
    /// The plugin's broker is closed, and does not open again.
    PeerClosed,
    /// This side's broker is closed.
    Closed,
}

/// Opens the stream and receives the plugin's messages.
async fn receive(shared: &Arc<Shared>, link: LinkId, channel: PluginChannel, outgoing: Outgoing) -> LinkEnd {
    let mut client = GrpcBrokerClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
    let mut incoming = match client.start_stream(Messages(outgoing)).await {
        Ok(response) => {
            let policy = policy(response.metadata(), "server");
            shared.change(|state| state.router.set_policy(link, policy));
            response.into_inner()
        }
        Err(status) if status.code() == Code::Unimplemented => return LinkEnd::Unimplemented,
        Err(status) => {
            tracing::debug!(error = %status, "the broker's stream cannot be opened");
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

/// Returns how the peer knocks, by the header that names its implementation.
fn policy(headers: &MetadataMap, header: &str) -> KnockPolicy {
    match headers.get(header).and_then(|name| name.to_str().ok()) {
        Some(name) if name.starts_with("rpcplugin/") => KnockPolicy::Concurrent,
        _ => KnockPolicy::Serial,
    }
}

/// A link that is closed on drop.
#[derive(Debug)]
struct OpenLink {
    shared: Arc<Shared>,
    id: LinkId,
}

impl OpenLink {
    fn new(shared: &Arc<Shared>) -> Self {
        let id = shared.change(|state| state.router.open_link(now()));
        Self { shared: Arc::clone(shared), id }
    }

    fn close(&self, end: LinkEnd) {
        self.shared.change(|state| state.router.close_link(self.id, end, now()));
    }
}

impl Drop for OpenLink {
    fn drop(&mut self) {
        self.close(LinkEnd::Lost);
    }
}

/// The messages that this side sends on a link. Ends when the link ends or the broker closes.
struct Outgoing {
    shared: Arc<Shared>,
    link: LinkId,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Runs until the router's next deadline.
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
            // The first poll: from now on messages are sent.
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
            // At the deadline there is a message, or a later deadline.
            if self.timer.as_mut().is_none_or(|timer| timer.as_mut().poll(cx).is_pending()) {
                return Poll::Pending;
            }
        }
    }
}

/// The next step of a link.
enum Next {
    Message(ConnInfo),
    /// No message before the next event or this deadline.
    Nothing(Option<std::time::Instant>),
    End,
}

/// The host's side of a link.
struct Messages(Outgoing);

impl Stream for Messages {
    type Item = ConnInfo;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ConnInfo>> {
        self.0.poll_message(cx)
    }
}

/// The service that a plugin registers. Every stream that a host opens is a new link, so that the broker lives as long as
/// the plugin.
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
        let link = OpenLink::new(&self.0);
        let policy = policy(request.metadata(), "user-agent");
        self.0.change(|state| state.router.set_policy(link.id, policy));
        let outgoing = Outgoing::new(&self.0, link.id);
        let mut response = Response::new(Exchange { link, outgoing, incoming: request.into_inner() });
        response.metadata_mut().insert("server", MetadataValue::from_static(THIS_SERVER));
        Ok(response)
    }
}

/// The plugin's side of a link: the messages that it sends. Polling it also receives messages, so that nothing is read
/// from a host that does not read.
struct Exchange {
    link: OpenLink,
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

/// How a plugin names its implementation to the host. A host does it in the user agent.
const THIS_SERVER: &str = concat!("rpcplugin/", env!("CARGO_PKG_VERSION"));

/// The largest message of a broker in bytes. Real messages have a few hundred bytes.
const MAX_MESSAGE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_peers_of_rpcplugin_knock_concurrently() {
        for (name, expected) in [
            (None, KnockPolicy::Serial),
            (Some(&b"grpc-go/1.70.0"[..]), KnockPolicy::Serial),
            (Some(b"like rpcplugin/1.0.0"), KnockPolicy::Serial),
            (Some(b"\xff"), KnockPolicy::Serial),
            (Some(THIS_SERVER.as_bytes()), KnockPolicy::Concurrent),
            (Some(b"rpcplugin/9.0.0 tonic/1"), KnockPolicy::Concurrent),
        ] {
            let mut headers = MetadataMap::new();
            if let Some(name) = name {
                headers.insert("user-agent", MetadataValue::try_from(name).expect("a value"));
            }
            assert_eq!(policy(&headers, "user-agent"), expected, "{name:?}");
            assert_eq!(policy(&headers, "server"), KnockPolicy::Serial, "another header");
        }
    }
}
