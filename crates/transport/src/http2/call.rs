//! One call upon a channel.

use std::{future::poll_fn, pin::Pin, task::Poll};

use bytes::Bytes;
use h2::{Reason, SendStream, client::ResponseFuture};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{CONTENT_TYPE, USER_AGENT},
    uri::{Authority, PathAndQuery, Scheme},
};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::{Code, Status, body::Body};

use crate::http2::{
    broken,
    channel::PluginChannel,
    checked::mend_status,
    deadline::{deadline, set_deadline},
    response::ResponseBody,
    upload::{Rest, Stopped, Upload},
};

/// When a call has to be at its end.
pub(super) struct Deadline {
    pub(super) due: Instant,
    pub(super) sleep: Pin<Box<Sleep>>,
}

/// Makes a call, and returns when its answer has begun.
pub(super) async fn call(
    channel: PluginChannel,
    request: Request<Body>,
) -> Result<Response<ResponseBody>, Status> {
    let Some(left) = deadline(request.headers()) else { return answer(channel, request, None).await };
    // Beyond what the clock can tell there is no deadline.
    let Some(due) = Instant::now().checked_add(left) else { return answer(channel, request, None).await };
    let mut sleep = Box::pin(sleep_until(due));
    let response = tokio::select! {
        biased;
        response = answer(channel, request, Some(due)) => response?,
        () = &mut sleep => return Err(late()),
    };
    Ok(response.map(|body| body.until(Deadline { due, sleep })))
}

/// What gRPC calls a deadline that has passed.
pub(super) fn late() -> Status {
    Status::deadline_exceeded("the call's deadline has passed")
}

/// Whether a call failed because its deadline has passed: a peer that gives the call up for that says that it was cancelled.
pub(super) fn is_late(status: &Status, due: Option<Instant>) -> bool {
    status.code() == Code::Cancelled && due.is_some_and(|due| due <= Instant::now())
}

async fn answer(
    channel: PluginChannel,
    request: Request<Body>,
    due: Option<Instant>,
) -> Result<Response<ResponseBody>, Status> {
    let left = || due.map(|due| due.saturating_duration_since(Instant::now()));
    let (line, mut waited) = channel.line(due).await?;
    let (mut head, mut upload) = Head::of(request)?;
    for _ in 0..ATTEMPTS {
        let connection = match line.link.up() {
            Some(connection) => connection,
            None => {
                waited = true;
                match line.link.opened().await {
                    Ok(connection) => connection,
                    Err(error) => return Err(line.unreachable(error).await),
                }
            }
        };
        // What has waited has that much less left.
        if waited && let Some(left) = left() {
            set_deadline(&mut head.headers, left);
        }
        let fate = connection.fate;
        let mut send = connection.send;
        // It fails if the connection is over, and this call has not been sent then. There is always room for the headers.
        if let Err(error) = poll_fn(|cx| send.poll_ready(cx)).await {
            line.link.retire(&fate, &error, false);
            waited = true;
            continue;
        }
        let (response, stream) = match send.send_request(head.request(), upload.is_empty()) {
            Ok(sent) => sent,
            Err(error) if error.is_io() || error.is_go_away() => {
                line.link.retire(&fate, &error, false);
                waited = true;
                continue;
            }
            Err(error) => return Err(Status::internal(format!("the call cannot be sent: {error}"))),
        };
        let (error, sent) = match exchange(response, stream, upload).await {
            Outcome::Response(response, rest) => {
                // Headers that are longer than allowed fail this call alone: dropping it cancels it.
                if let Some(status) = line.link.header_limit().refuse_answer(response.headers()) {
                    return Err(status);
                }
                return accept(response, |stream| ResponseBody::new(stream, rest, line, fate));
            }
            Outcome::ByCaller(status) => return Err(status),
            Outcome::Failed(error, upload) => (error, upload),
        };
        upload = sent;
        // A peer that refuses a call has not looked at it. This one may take it now.
        if error.is_remote()
            && error.reason() == Some(Reason::REFUSED_STREAM)
            && error.is_reset()
            && upload.rewind()
        {
            waited = true;
            continue;
        }
        // A peer that goes away names the last call that it looks at: this is one of those after it.
        if error.is_go_away() && error.is_remote() && !fate.came_to_nothing() && upload.rewind() {
            line.link.retire(&fate, &error, true);
            waited = true;
            continue;
        }
        let status = broken::status(error, &line, &fate).await;
        return Err(if is_late(&status, due) { late() } else { status });
    }
    Err(line.explained(Status::unavailable("the peer ends its connections before a call can be sent")).await)
}

/// How often a call is tried on connections of which each was over before the call was sent.
const ATTEMPTS: usize = 10;

/// What became of a call on one connection.
enum Outcome {
    /// The answer has begun; some of the call may still be on its way.
    Response(Response<h2::RecvStream>, Option<Rest>),
    /// The caller's messages failed.
    ByCaller(Status),
    Failed(h2::Error, Upload),
}

/// Sends the messages of a call until its answer begins.
async fn exchange(mut response: ResponseFuture, stream: SendStream<Bytes>, mut upload: Upload) -> Outcome {
    let mut stream = (!upload.is_empty()).then_some(stream);
    let answered = poll_fn(|cx| {
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
    match answered.await {
        Ok(Ok(response)) => Outcome::Response(response, stream.map(|stream| upload.send_on(stream))),
        Ok(Err(error)) => Outcome::Failed(error, upload),
        // Dropping the stream cancels the call.
        Err(status) => Outcome::ByCaller(status),
    }
}

/// An answer that is one, or the status that stands for what it is.
fn accept(
    response: Response<h2::RecvStream>,
    body: impl FnOnce(h2::RecvStream) -> ResponseBody,
) -> Result<Response<ResponseBody>, Status> {
    let (mut parts, stream) = response.into_parts();
    mend_status(&mut parts.headers);
    if !parts.headers.contains_key("grpc-status") {
        let kind = parts.headers.get(CONTENT_TYPE);
        let grpc = kind.is_none_or(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        if parts.status != StatusCode::OK || !grpc {
            return Err(no_grpc(parts.status, kind));
        }
    }
    Ok(Response::from_parts(parts, body(stream)))
}

/// The status for an answer that is no gRPC.
///
/// # Protocol
/// gRPC `http-grpc-status-mapping.md`.
fn no_grpc(status: StatusCode, kind: Option<&HeaderValue>) -> Status {
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
    Status::new(code, format!("the answer is no gRPC: it has the HTTP status {status}{kind}"))
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
        // The authority that Go hosts send under TLS. No server looks at it.
        uri.authority = Some(Authority::from_static("localhost"));
        uri.path_and_query =
            Some(parts.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")));
        let uri = Uri::from_parts(uri)
            .map_err(|error| Status::internal(format!("the call has no valid path: {error}")))?;
        let mut headers = parts.headers;
        let own = HeaderValue::from_static(USER_AGENT_NAME);
        // What the caller calls itself comes first.
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

    fn request(&self) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.headers.clone();
        request
    }
}

const USER_AGENT_NAME: &str = concat!("rpcplugin/", env!("CARGO_PKG_VERSION"));
