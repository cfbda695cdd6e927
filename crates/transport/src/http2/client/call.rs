//! One call on a channel.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use h2::Reason;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Uri,
    header::{CONTENT_TYPE, USER_AGENT},
    uri::{Authority, PathAndQuery, Scheme},
};
use tokio::time::{Instant, sleep_until};
use tonic::{Code, Status, body::Body};

use tower_service::Service;

use super::{
    channel::PluginChannel,
    error_status,
    response::ResponseBody,
    status_details::mend_status,
    upload::{Rest, Stopped, Upload},
    wire::{WireError, WireRecv, WireResponse, WireSend},
};
use crate::call::{Deadline, deadline_exceeded, is_deadline_exceeded, read_timeout, write_timeout};

/// The outcome of a call on a [`PluginChannel`].
pub type CallFuture = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Status>> + Send>>;

impl Service<Request<Body>> for PluginChannel {
    type Response = Response<ResponseBody>;
    type Error = Status;
    type Future = CallFuture;

    /// Always ready: the call itself waits until the connection has room.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> CallFuture {
        Box::pin(call(self.clone(), request))
    }
}

/// Makes a call and returns when its response has begun.
async fn call(channel: PluginChannel, request: Request<Body>) -> Result<Response<ResponseBody>, Status> {
    let Some(left) = read_timeout(request.headers()) else { return respond(channel, request, None).await };
    // There is no deadline beyond the range of the clock.
    let Some(due) = Instant::now().checked_add(left) else { return respond(channel, request, None).await };
    let mut sleep = Box::pin(sleep_until(due));
    let response = tokio::select! {
        biased;
        response = respond(channel, request, Some(due)) => response?,
        () = &mut sleep => return Err(deadline_exceeded()),
    };
    Ok(response.map(|body| body.until(Deadline { due, sleep })))
}

async fn respond(
    channel: PluginChannel,
    mut request: Request<Body>,
    due: Option<Instant>,
) -> Result<Response<ResponseBody>, Status> {
    let left = || due.map(|due| due.saturating_duration_since(Instant::now()));
    let (peer, mut waited) = channel.peer(due, request.headers_mut()).await?;
    let (mut head, mut upload) = Head::of(request)?;
    for _ in 0..ATTEMPTS {
        let connection = match peer.connection.current() {
            Some(connection) => connection,
            None => {
                waited = true;
                match peer.connection.open().await {
                    Ok(connection) => connection,
                    Err(error) => return Err(peer.unreachable(error).await),
                }
            }
        };
        // A call that has waited has less time left.
        if waited && let Some(left) = left() {
            write_timeout(&mut head.headers, left);
        }
        let state = connection.state;
        let mut wire = connection.wire;
        // This fails if the connection has ended, and the call has not been sent then. There is always room for the headers
        // on HTTP/2; on the lane, unless a great many calls are open.
        if let Err(error) = poll_fn(|cx| wire.poll_ready(cx)).await {
            peer.connection.retire(&state, &error, false);
            waited = true;
            continue;
        }
        state.sends();
        let (response, stream) = match wire.send(&head.uri, &head.headers, upload.is_empty()) {
            Ok(sent) => sent,
            Err(error) if error.is_io() || error.is_go_away() => {
                peer.connection.retire(&state, &error, false);
                waited = true;
                continue;
            }
            Err(error) => return Err(Status::internal(format!("the call cannot be sent: {error}"))),
        };
        let (error, sent) = match exchange(response, stream, upload).await {
            Outcome::Response(response, rest) => {
                // Headers that are too long fail this call alone. Dropping the response cancels it.
                if let Some(status) = peer.connection.header_limit().refuse_response(response.headers()) {
                    return Err(status);
                }
                return accept(response, |stream| ResponseBody::new(stream, rest, peer, state));
            }
            Outcome::ByCaller(status) => return Err(status),
            Outcome::Failed(error, upload) => (error, upload),
        };
        upload = sent;
        // A peer that refuses a call has not processed it. The peer may accept it now.
        if error.is_remote()
            && error.reason() == Some(Reason::REFUSED_STREAM)
            && error.is_reset()
            && upload.rewind()
        {
            waited = true;
            continue;
        }
        // A GOAWAY has the id of the last call that the peer processes. This is a later call.
        if error.is_go_away() && error.is_remote() && !state.broke_unused() && upload.rewind() {
            peer.connection.retire(&state, &error, true);
            waited = true;
            continue;
        }
        let status = error_status::status(error, &peer, &state).await;
        return Err(if is_deadline_exceeded(&status, due) { deadline_exceeded() } else { status });
    }
    Err(peer.explained(Status::unavailable("the peer ends its connections before a call can be sent")).await)
}

/// How often a call is tried on connections that have ended before the call was sent.
const ATTEMPTS: usize = 10;

/// The outcome of a call on one connection.
enum Outcome {
    /// The response has begun. Some messages of the call may still be unsent.
    Response(Response<WireRecv>, Option<Rest>),
    /// The stream of the caller's messages failed.
    ByCaller(Status),
    Failed(WireError, Upload),
}

/// Sends the messages of a call until its response begins.
async fn exchange(mut response: WireResponse, stream: WireSend, mut upload: Upload) -> Outcome {
    let mut stream = (!upload.is_empty()).then_some(stream);
    let responded = poll_fn(|cx| {
        if let Some(sending) = &mut stream
            && let Poll::Ready(stopped) = upload.poll_send(sending, cx)
        {
            if let Stopped::ByCaller(status) = stopped {
                return Poll::Ready(Err(status));
            }
            stream = None;
        }
        Pin::new(&mut response).poll(cx).map(Ok)
    });
    match responded.await {
        Ok(Ok(response)) => Outcome::Response(response, stream.map(|stream| upload.send_on(stream))),
        Ok(Err(error)) => Outcome::Failed(error, upload),
        // Dropping the stream cancels the call.
        Err(status) => Outcome::ByCaller(status),
    }
}

/// Returns a gRPC response, or the status for any other response.
fn accept(
    response: Response<WireRecv>,
    body: impl FnOnce(WireRecv) -> ResponseBody,
) -> Result<Response<ResponseBody>, Status> {
    let (mut parts, stream) = response.into_parts();
    mend_status(&mut parts.headers);
    if !parts.headers.contains_key("grpc-status") {
        let kind = parts.headers.get(CONTENT_TYPE);
        let grpc = kind.is_none_or(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        if parts.status != StatusCode::OK || !grpc {
            return Err(not_grpc(parts.status, kind));
        }
    }
    Ok(Response::from_parts(parts, body(stream)))
}

/// Returns the status for a response that is not gRPC.
///
/// # Protocol
/// gRPC `http-grpc-status-mapping.md`.
fn not_grpc(status: StatusCode, kind: Option<&HeaderValue>) -> Status {
    let code = match status {
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    };
    let kind = kind.map(|kind| format!(" and the content type {kind:?}")).unwrap_or_default();
    Status::new(code, format!("the response is not gRPC: it has the HTTP status {status}{kind}"))
}

/// The headers of a call.
struct Head {
    uri: Uri,
    headers: HeaderMap,
}

impl Head {
    fn of(request: Request<Body>) -> Result<(Self, Upload), Status> {
        let (parts, body) = request.into_parts();
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(Scheme::HTTP);
        // The authority that Go hosts send under TLS. Servers ignore it.
        uri.authority = Some(Authority::from_static("localhost"));
        uri.path_and_query =
            Some(parts.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")));
        let uri = Uri::from_parts(uri)
            .map_err(|error| Status::internal(format!("the call has no valid path: {error}")))?;
        let mut headers = parts.headers;
        let own = HeaderValue::from_static(USER_AGENT_NAME);
        // The user agent of the caller comes first.
        let name = match headers.get(USER_AGENT) {
            None => own,
            Some(caller) => {
                let name = [caller.as_bytes(), b" ", own.as_bytes()].concat();
                HeaderValue::from_bytes(&name).unwrap_or(own)
            }
        };
        headers.insert(USER_AGENT, name);
        Ok((Self { uri, headers }, Upload::new(body)))
    }
}

const USER_AGENT_NAME: &str = concat!("rpcplugin/", env!("CARGO_PKG_VERSION"));
