//! One call on a connection: its response is awaited and sent.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, SendStream, server::SendResponse};
use http::{
    HeaderMap, HeaderName, Response,
    header::{CONNECTION, TE, TRANSFER_ENCODING, UPGRADE},
};
use http_body::Body as _;
use rpcplugin_core::causes;
use tonic::Status;

use super::batch::Young;
use crate::call::{HandlerBody, Responding};

/// A call until the last frame of its response has been handed to the connection, or the peer has reset the call. Dropping
/// it earlier cancels the call.
pub(super) struct Call {
    respond: SendResponse<Bytes>,
    stage: Stage,
    /// Until the first poll.
    young: Option<Young>,
}

enum Stage {
    Responding(Responding),
    Sending(Sending),
}

/// A response whose headers have been sent.
struct Sending {
    body: HandlerBody,
    stream: SendStream<Bytes>,
    /// The data that wait for room, and whether they are the last.
    waiting: Option<(Bytes, bool)>,
}

/// Why a call ends before its response is complete.
enum Broken {
    /// The peer has reset the call, or the connection has ended.
    ByPeer,
    /// The response cannot be sent. The call is reset with this code.
    Here(Reason),
}

impl Call {
    pub(super) fn new(respond: SendResponse<Bytes>, responding: Responding, young: Young) -> Self {
        Self { respond, stage: Stage::Responding(responding), young: Some(young) }
    }

    fn poll_stages(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        loop {
            match &mut self.stage {
                Stage::Responding(responding) => {
                    let Poll::Ready(response) = Pin::new(responding).poll(cx) else {
                        // The handler is dropped when the peer cancels the call.
                        return self.respond.poll_reset(cx).map(|_| Err(Broken::ByPeer));
                    };
                    let (head, body) = response.into_parts();
                    let mut head = Response::from_parts(head, ());
                    remove_connection_headers(head.headers_mut());
                    let ends = body.is_end_stream();
                    let sent = self.respond.send_response(head, ends);
                    let stream = sent.map_err(|error| Broken::here(&error))?;
                    if ends {
                        return Poll::Ready(Ok(()));
                    }
                    self.stage = Stage::Sending(Sending { body, stream, waiting: None });
                }
                Stage::Sending(sending) => return sending.poll_send(cx),
            }
        }
    }
}

/// Resolves when nothing is left to do.
impl Future for Call {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let polled = self.poll_stages(cx);
        self.young = None;
        if let Err(Broken::Here(reason)) = ready!(polled) {
            self.respond.send_reset(reason);
        }
        Poll::Ready(())
    }
}

impl Sending {
    /// Sends the frames that are there and have room.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        for _ in 0..MAX_AT_ONCE {
            if self.stream.poll_reset(cx).is_ready() {
                return Poll::Ready(Err(Broken::ByPeer));
            }
            if let Some((data, last)) = self.waiting.take() {
                if !data.is_empty() && !self.poll_room(cx)? {
                    self.waiting = Some((data, last));
                    return Poll::Pending;
                }
                self.stream.send_data(data, last).map_err(|error| Broken::here(&error))?;
                if last {
                    return Poll::Ready(Ok(()));
                }
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.waiting = Some((data, self.body.is_end_stream())),
                    Err(frame) => {
                        let Ok(trailers) = frame.into_trailers() else { continue };
                        let sent = self.stream.send_trailers(trailers);
                        return Poll::Ready(sent.map_err(|error| Broken::here(&error)));
                    }
                },
                Some(Err(status)) => return Poll::Ready(Err(Broken::Here(reason_of(&status)))),
                None => {
                    let sent = self.stream.send_data(Bytes::new(), true);
                    return Poll::Ready(sent.map_err(|error| Broken::here(&error)));
                }
            }
        }
        // A handler that always has more messages must not keep other tasks of its thread from running.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Returns whether there is room for data. A little room suffices: the rest waits in the connection.
    ///
    /// Room is reserved for data that are there. Room that a silent stream reserves would be missing to other streams.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Result<bool, Broken> {
        if self.stream.capacity() > 0 {
            return Ok(true);
        }
        self.stream.reserve_capacity(1);
        while self.stream.capacity() == 0 {
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Err(Broken::ByPeer),
                Poll::Pending => return Ok(false),
            }
        }
        Ok(true)
    }
}

impl Broken {
    /// The response cannot be sent: it has headers that HTTP/2 does not allow, or the stream is gone.
    fn here(error: &h2::Error) -> Self {
        tracing::debug!(error = %error, "a response cannot be sent");
        Self::Here(Reason::INTERNAL_ERROR)
    }
}

/// The code with which a call is reset whose body failed.
fn reason_of(status: &Status) -> Reason {
    let error = causes(status).find_map(|cause| cause.downcast_ref::<h2::Error>());
    error.and_then(h2::Error::reason).unwrap_or(Reason::INTERNAL_ERROR)
}

/// Removes the headers that HTTP/2 does not allow, of services that were made for HTTP/1.
///
/// # Protocol
/// RFC 9113, 8.2.2.
fn remove_connection_headers(headers: &mut HeaderMap) {
    for name in [TE, TRANSFER_ENCODING, UPGRADE, KEEP_ALIVE, PROXY_CONNECTION] {
        headers.remove(name);
    }
    // The value names further headers of this kind.
    if let Some(named) = headers.remove(CONNECTION) {
        for name in named.to_str().unwrap_or_default().split(',') {
            headers.remove(name.trim());
        }
    }
}

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// How many frames are sent in one poll.
const MAX_AT_ONCE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_a_connection_are_removed() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "x-one, x-two"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("keep-alive", "5"),
            ("proxy-connection", "close"),
            ("te", "gzip"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("grpc-status", "0"),
        ] {
            headers.insert(HeaderName::from_static(name), value.parse().expect("a value"));
        }
        remove_connection_headers(&mut headers);
        let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["grpc-status"]);
    }
}
