//! What calls are made on: HTTP/2 or the lane, with one set of operations.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client::SendRequest};
use http::{HeaderMap, Method, Request, Response, Uri, Version, uri::PathAndQuery};

use crate::lane::{LaneClient, LaneError, LaneRecv, LaneResponse, LaneSend};

/// Makes calls on one connection.
#[derive(Clone)]
pub(super) enum Wire {
    Http2(SendRequest<Bytes>),
    Lane(LaneClient),
}

/// A call whose response has not begun.
pub(super) enum WireResponse {
    Http2(h2::client::ResponseFuture),
    Lane(LaneResponse),
}

/// Sends the messages of a call.
pub(super) enum WireSend {
    Http2(SendStream<Bytes>),
    Lane(LaneSend),
}

/// Receives the messages of a response.
pub(super) enum WireRecv {
    Http2(RecvStream),
    Lane(LaneRecv),
}

/// An error of a call or of its connection.
#[derive(Debug)]
pub(super) enum WireError {
    Http2(h2::Error),
    Lane(LaneError),
}

impl Wire {
    /// Waits until the headers of another call may be sent.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        Poll::Ready(match self {
            Self::Http2(send) => ready!(send.poll_ready(cx)).map_err(WireError::Http2),
            Self::Lane(lane) => ready!(lane.poll_ready(cx)).map_err(WireError::Lane),
        })
    }

    /// Sends the headers of a call. On the lane they leave when the response is polled.
    pub(super) fn send(
        &mut self,
        uri: &Uri,
        headers: &HeaderMap,
        end: bool,
    ) -> Result<(WireResponse, WireSend), WireError> {
        match self {
            Self::Http2(send) => {
                let mut request = Request::new(());
                *request.method_mut() = Method::POST;
                *request.uri_mut() = uri.clone();
                *request.version_mut() = Version::HTTP_2;
                *request.headers_mut() = headers.clone();
                let (response, stream) = send.send_request(request, end).map_err(WireError::Http2)?;
                Ok((WireResponse::Http2(response), WireSend::Http2(stream)))
            }
            Self::Lane(lane) => {
                let root = PathAndQuery::from_static("/");
                let path = uri.path_and_query().unwrap_or(&root);
                let (response, stream) = lane.send_request(path, headers, end).map_err(WireError::Lane)?;
                Ok((WireResponse::Lane(response), WireSend::Lane(stream)))
            }
        }
    }
}

impl Future for WireResponse {
    type Output = Result<Response<WireRecv>, WireError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.get_mut() {
            Self::Http2(response) => ready!(Pin::new(response).poll(cx))
                .map(|response| response.map(WireRecv::Http2))
                .map_err(WireError::Http2),
            Self::Lane(response) => ready!(Pin::new(response).poll(cx))
                .map(|response| response.map(WireRecv::Lane))
                .map_err(WireError::Lane),
        })
    }
}

impl WireSend {
    /// Hands data over. Returns false if the call takes none.
    pub(super) fn send_data(&mut self, data: Bytes, end: bool) -> bool {
        match self {
            Self::Http2(stream) => stream.send_data(data, end).is_ok(),
            Self::Lane(stream) => stream.send_data(data, end),
        }
    }

    /// Sends what was handed over. HTTP/2 does this by itself.
    pub(super) fn flush(&mut self) {
        if let Self::Lane(stream) = self {
            stream.flush();
        }
    }

    /// Waits for a little room: what has no room is kept by the connection. Completes with false if the peer takes no more.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        match self {
            Self::Http2(stream) => {
                if stream.capacity() == 0 {
                    stream.reserve_capacity(1);
                }
                while stream.capacity() == 0 {
                    match ready!(stream.poll_capacity(cx)) {
                        Some(Ok(_)) => {}
                        // The peer has reset the stream. The response has the reason.
                        Some(Err(_)) | None => return Poll::Ready(false),
                    }
                }
                Poll::Ready(true)
            }
            Self::Lane(stream) => stream.poll_room(cx).map(|room| room.is_some()),
        }
    }

    /// Waits until the peer has reset the call, or the connection has ended.
    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Http2(stream) => stream.poll_reset(cx).map(|_| ()),
            Self::Lane(stream) => stream.poll_reset(cx),
        }
    }

    pub(super) fn send_reset(&mut self, reason: Reason) {
        match self {
            Self::Http2(stream) => stream.send_reset(reason),
            Self::Lane(stream) => stream.send_reset(reason),
        }
    }
}

impl WireRecv {
    /// The next data. The peer may send as much again.
    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, WireError>>> {
        match self {
            Self::Http2(stream) => Poll::Ready(match ready!(stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    let _ = stream.flow_control().release_capacity(data.len());
                    Some(Ok(data))
                }
                Some(Err(error)) => Some(Err(WireError::Http2(error))),
                None => None,
            }),
            Self::Lane(stream) => {
                stream.poll_data(cx).map(|data| data.map(|data| data.map_err(WireError::Lane)))
            }
        }
    }

    /// The trailers, after the data.
    pub(super) fn poll_trailers(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<HeaderMap>, WireError>> {
        match self {
            Self::Http2(stream) => stream.poll_trailers(cx).map_err(WireError::Http2),
            Self::Lane(stream) => Poll::Ready(Ok(stream.take_trailers())),
        }
    }

    /// Whether nothing is left to be received.
    pub(super) fn is_end_stream(&self) -> bool {
        match self {
            Self::Http2(stream) => stream.is_end_stream(),
            Self::Lane(stream) => stream.is_end_stream(),
        }
    }
}

impl WireError {
    /// Whether a frame of the peer has caused the error.
    pub(super) fn is_remote(&self) -> bool {
        match self {
            Self::Http2(error) => error.is_remote(),
            Self::Lane(error) => error.is_remote(),
        }
    }

    /// Whether the error is of one call.
    pub(super) fn is_reset(&self) -> bool {
        match self {
            Self::Http2(error) => error.is_reset(),
            Self::Lane(error) => error.is_reset(),
        }
    }

    /// Whether a GOAWAY has ended the connection.
    pub(super) fn is_go_away(&self) -> bool {
        match self {
            Self::Http2(error) => error.is_go_away(),
            Self::Lane(error) => error.is_go_away(),
        }
    }

    /// Whether this side has found a fault of the peer.
    pub(super) fn is_library(&self) -> bool {
        match self {
            Self::Http2(error) => error.is_library(),
            Self::Lane(error) => error.is_library(),
        }
    }

    pub(super) fn get_io(&self) -> Option<&std::io::Error> {
        match self {
            Self::Http2(error) => error.get_io(),
            Self::Lane(error) => error.get_io(),
        }
    }

    pub(super) fn is_io(&self) -> bool {
        self.get_io().is_some()
    }

    /// The code of HTTP/2, which the lane uses too.
    pub(super) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Http2(error) => error.reason(),
            Self::Lane(error) => error.reason(),
        }
    }

    /// The error as the cause of a connection that could not be opened.
    pub(super) fn into_boxed(self) -> Box<dyn std::error::Error + Send + Sync> {
        match self {
            Self::Http2(error) => error.into(),
            Self::Lane(error) => error.into(),
        }
    }

    /// The error as the source of a status.
    pub(super) fn into_source(self) -> Arc<dyn std::error::Error + Send + Sync> {
        match self {
            Self::Http2(error) => Arc::new(error),
            Self::Lane(error) => Arc::new(error),
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http2(error) => error.fmt(f),
            Self::Lane(error) => error.fmt(f),
        }
    }
}
