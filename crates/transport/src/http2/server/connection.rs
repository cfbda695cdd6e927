//! One HTTP/2 connection from a peer.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::server::{Builder, Handshake, SendResponse};
use http::Request;
use tracing::{Instrument as _, Span};

use super::{batch::Batch, linger::Linger, request::Frames, response::Call};
use crate::{
    awake::Awake,
    call::Responder,
    frames::{HeaderBlocks, HeaderLimit},
    http2::settings::Settings,
    io::Inspected,
    meter::Metered,
    net::PendingConnection,
    service::Services,
    tls::SecureStream,
};

/// A connection, from the preface to its end. It resolves when the connection has closed. Dropping it closes the
/// connection at once, and its calls end.
pub(super) struct Connection {
    stage: Stage,
    calls: Calls,
    /// Whether the shutdown has begun.
    ends: bool,
}

type Io = Inspected<HeaderBlocks<Metered<Awake<SecureStream>>>, Linger>;

enum Stage {
    Handshake(Handshake<Io, Bytes>),
    Open(h2::server::Connection<Io, Bytes>),
}

/// The calls of a connection.
struct Calls {
    responder: Responder,
    pending: PendingConnection,
    span: Span,
    batch: Batch,
}

impl Connection {
    /// Starts HTTP/2 on a stream. Calls run within the current span.
    pub(super) fn new(
        stream: Metered<Awake<SecureStream>>,
        settings: &Settings,
        services: Services,
        pending: PendingConnection,
    ) -> Self {
        let headers = HeaderLimit::new(settings.max_headers);
        let stream = HeaderBlocks::server(stream, settings.max_frame, headers);
        let handshake = builder(settings, headers).handshake(Inspected::new(stream, Linger::default()));
        let responder = Responder::new(services, headers);
        Self {
            stage: Stage::Handshake(handshake),
            calls: Calls { responder, pending, span: Span::current(), batch: Batch::default() },
            ends: false,
        }
    }

    /// Sends GOAWAY. The connection closes when its calls have ended.
    pub(super) fn shut_down(&mut self) {
        self.ends = true;
        if let Stage::Open(connection) = &mut self.stage {
            connection.graceful_shutdown();
        }
    }
}

impl Future for Connection {
    type Output = Result<(), h2::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { stage, calls, ends } = &mut *self;
        if calls.batch.waits() {
            // The task goes behind the tasks of the calls.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            match stage {
                Stage::Handshake(handshake) => {
                    let mut connection = ready!(Pin::new(handshake).poll(cx))?;
                    if *ends {
                        connection.graceful_shutdown();
                    }
                    *stage = Stage::Open(connection);
                }
                Stage::Open(connection) => match connection.poll_accept(cx) {
                    Poll::Ready(Some(Ok((request, respond)))) => calls.start(request, respond),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                    Poll::Ready(None) => return Poll::Ready(Ok(())),
                    Poll::Pending => {
                        calls.batch.all_started();
                        return Poll::Pending;
                    }
                },
            }
        }
    }
}

impl Calls {
    /// Starts a call in a task of its own, so that a handler that takes long delays no other call. The task ends with the
    /// stream of the call, at the latest with the connection.
    fn start(&mut self, request: Request<h2::RecvStream>, respond: SendResponse<Bytes>) {
        self.pending.called();
        let responding = self.responder.respond(request.map(Frames::new));
        tokio::spawn(Call::new(respond, responding, self.batch.start()).instrument(self.span.clone()));
    }
}

fn builder(settings: &Settings, headers: HeaderLimit) -> Builder {
    let mut builder = Builder::new();
    builder
        .initial_window_size(settings.stream_window)
        .initial_connection_window_size(settings.connection_window)
        .max_frame_size(settings.max_frame)
        .max_header_list_size(headers.for_stack())
        .max_send_buffer_size(SEND_BUFFER)
        // Frames for calls that were refused, and calls that are cancelled before they were started, are common on a
        // busy machine. By default 1024 of the former or 20 of the latter end the connection, and with it the plugin.
        // Those defaults protect servers from untrusted clients.
        .max_local_error_reset_streams(None)
        .max_pending_accept_reset_streams(MAX_CANCELLED);
    // There is no limit on concurrent calls: gRPC has its own. With a limit the next call would wait without notice.
    builder
}

/// How many bytes of its messages a response hands over before they are written.
const SEND_BUFFER: usize = 400 << 10;

/// How many calls that were cancelled before they were started may be kept.
const MAX_CANCELLED: usize = 1 << 16;
