//! The channel for clients that another version of tonic generated.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tonic::{Status, body::Body};
use tower_service::Service;

use super::{channel::PluginChannel, response::ResponseBody};

/// A [`PluginChannel`] for generated clients of any version of tonic since 0.12. Cheap to clone.
///
/// A [`PluginChannel`] takes the requests of one version of tonic, and its errors are statuses of the same version. Other
/// versions read such errors as UNKNOWN. This channel takes requests with any body. It has no errors of its own: a call that
/// fails has a response with the status, as if the peer had sent it.
///
/// ```
/// # mod old {
/// #     pub struct KvClient<C>(pub C);
/// #     impl<C> KvClient<C> {
/// #         pub fn new(channel: C) -> Self {
/// #             Self(channel)
/// #         }
/// #     }
/// # }
/// # use rpcplugin_transport::http2::PluginChannel;
/// # fn example(channel: PluginChannel) {
/// // `old` has the code that an older tonic generated.
/// let client = old::KvClient::new(channel.any_body());
/// # }
/// ```
///
/// The sources of a status, such as `PluginExited`, do not pass through a response. Its code, message and details do.
#[derive(Clone, Debug)]
pub struct AnyBodyChannel(PluginChannel);

/// The outcome of a call on an [`AnyBodyChannel`].
pub type AnyBodyFuture = Pin<Box<dyn Future<Output = Result<Response<InfallibleBody>, Infallible>> + Send>>;

/// The body of a response on an [`AnyBodyChannel`]. A response that breaks off ends with the status in its trailers.
#[derive(Debug, Default)]
pub struct InfallibleBody(Option<ResponseBody>);

impl PluginChannel {
    /// Returns this channel for clients that another version of tonic generated.
    #[must_use]
    pub fn any_body(self) -> AnyBodyChannel {
        AnyBodyChannel(self)
    }
}

impl<B> Service<Request<B>> for AnyBodyChannel
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<InfallibleBody>;
    type Error = Infallible;
    type Future = AnyBodyFuture;

    /// Always ready, as a [`PluginChannel`] is.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> AnyBodyFuture {
        let call = self.0.call(request.map(Body::new));
        Box::pin(async move {
            Ok(match call.await {
                Ok(response) => response.map(|body| InfallibleBody(Some(body))),
                Err(status) => status.into_http(),
            })
        })
    }
}

impl http_body::Body for InfallibleBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        Poll::Ready(match ready!(Pin::new(body).poll_frame(cx)) {
            Some(Ok(frame)) => Some(Ok(frame)),
            Some(Err(status)) => {
                self.0 = None;
                Some(Ok(Frame::trailers(trailers(&status))))
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // This fails if the message cannot be a header's value. The code is written before the message.
    let _ = status.add_header(&mut trailers);
    trailers
}
