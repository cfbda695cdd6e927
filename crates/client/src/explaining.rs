//! A channel whose calls say how the plugin ended, if that is why they fail.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use rpcplugin_transport::http2::drop_malformed_details;
use tokio::time::Instant;
use tonic::{Code, Status, body::Body, transport::Channel};
use tower_service::Service;

use crate::{deadline::deadline, ended::explain, exit::ExitReason, identity::PluginId, process::ProcessEnd};

/// A channel to one plugin process for generated clients: `KvClient::new(plugin.explaining_channel())`. Cheap to clone.
///
/// A call that fails because its connection broke fails with a status that says how the plugin's process ended, as
/// [`Plugin::explain`](crate::Plugin::explain) describes it. What the plugin itself answers stays as it is.
#[derive(Clone)]
pub struct ExplainingChannel {
    channel: Channel,
    plugin: PluginId,
    end: ProcessEnd,
}

/// The outcome of a call upon a channel of this crate.
pub type CallFuture = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

impl ExplainingChannel {
    pub(crate) fn new(channel: Channel, plugin: PluginId, end: ProcessEnd) -> Self {
        Self { channel, plugin, end }
    }

    /// Which plugin this leads to, and which process.
    #[must_use]
    pub fn plugin(&self) -> &PluginId {
        &self.plugin
    }

    /// How the process ended, if it has.
    pub(crate) fn ended(&self) -> Option<ExitReason> {
        self.end.now()
    }

    /// The channel itself, without explanations.
    pub(crate) fn plain(&self) -> &Channel {
        &self.channel
    }

    pub(crate) async fn send(mut self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let due = deadline(request.headers()).and_then(|left| Instant::now().checked_add(left));
        let sent = async {
            std::future::poll_fn(|cx| self.channel.poll_ready(cx)).await?;
            self.channel.call(request).await
        };
        match sent.await {
            Ok(mut response) => {
                drop_malformed_details(response.headers_mut());
                let explaining = |body| ExplainingBody::new(body, self.plugin, self.end, due);
                Ok(response.map(|body| Body::new(explaining(body))))
            }
            Err(error) => {
                let status = Status::from_error(Box::new(error));
                // A deadline that has passed says nothing of the process.
                if is_late(&status, due) {
                    return Err(late());
                }
                Err(explain(status, &self.plugin, self.end.wait()).await)
            }
        }
    }
}

impl Service<Request<Body>> for ExplainingChannel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = CallFuture;

    /// Always ready: the call itself waits until the connection has room.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> CallFuture {
        Box::pin(self.clone().send(request))
    }
}

/// Whether a call failed because the deadline that was set with its request has passed: tonic, and a peer that gives the
/// call up, both say that it was cancelled.
fn is_late(status: &Status, due: Option<Instant>) -> bool {
    status.code() == Code::Cancelled && due.is_some_and(|due| due <= Instant::now())
}

/// What gRPC calls that.
fn late() -> Status {
    Status::deadline_exceeded("the call's deadline has passed")
}

impl fmt::Debug for ExplainingChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExplainingChannel").field("plugin", &self.plugin).finish_non_exhaustive()
    }
}

/// The answer of a plugin that may die before it is complete.
struct ExplainingBody {
    body: Body,
    /// Taken when the answer breaks off.
    end: Option<(PluginId, ProcessEnd)>,
    /// The call's deadline.
    due: Option<Instant>,
    explaining: Option<Pin<Box<dyn Future<Output = Status> + Send>>>,
}

impl ExplainingBody {
    fn new(body: Body, plugin: PluginId, end: ProcessEnd, due: Option<Instant>) -> Self {
        Self { body, end: Some((plugin, end)), due, explaining: None }
    }
}

impl http_body::Body for ExplainingBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.explaining.is_none() {
            let status = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Err(status)) if is_late(&status, this.due) => return Poll::Ready(Some(Err(late()))),
                Some(Err(status)) => status,
                Some(Ok(mut frame)) => {
                    frame.trailers_mut().map(drop_malformed_details);
                    return Poll::Ready(Some(Ok(frame)));
                }
                None => return Poll::Ready(None),
            };
            let Some((plugin, end)) = this.end.take() else { return Poll::Ready(Some(Err(status))) };
            this.explaining = Some(Box::pin(async move { explain(status, &plugin, end.wait()).await }));
        }
        let Some(explaining) = &mut this.explaining else { return Poll::Ready(None) };
        let status = ready!(explaining.as_mut().poll(cx));
        this.explaining = None;
        Poll::Ready(Some(Err(status)))
    }

    fn is_end_stream(&self) -> bool {
        self.explaining.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
