//! Serves a connection on the lane.
//!
//! A call whose answers are known to be ready at once is answered by the task of the connection, so that the answer leaves in one
//! write and no other task is woken. All other calls run in tasks of their own, beside each other.

use std::{
    collections::HashMap,
    future::poll_fn,
    io::ErrorKind,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use http::Request;
use tokio::{task::JoinSet, time::timeout};
use tracing::{Instrument as _, Span};

use super::{lane_call::LaneCall, serving::Serving};
use crate::{
    call::Responder,
    frames::HeaderLimit,
    lane::{LaneError, LaneRecv, LaneSend, LaneServer},
    net::PendingConnection,
};

/// A connection and the calls on it.
struct LaneConnection {
    server: LaneServer,
    responder: Responder,
    pending: PendingConnection,
    /// The calls in tasks of their own. They end with the connection.
    calls: JoinSet<()>,
    speeds: HashMap<String, Arc<Speed>>,
    span: Span,
    /// Whether everything is done, and the stream is being closed.
    closing: bool,
}

/// How fast the last calls of one method were answered.
#[derive(Debug, Default)]
struct Speed {
    /// How many calls in a row were answered at once.
    at_once: AtomicU32,
}

/// Serves the calls of a connection until the peer closes it, or until it is drained.
pub(super) async fn serve(
    server: LaneServer,
    serving: &Serving,
    pending: &PendingConnection,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let headers = HeaderLimit::new(serving.settings.max_headers);
    let mut connection = LaneConnection {
        server,
        responder: Responder::new(serving.services.clone(), headers),
        pending: pending.clone(),
        calls: JoinSet::new(),
        speeds: HashMap::new(),
        span: Span::current(),
        closing: false,
    };
    tokio::select! {
        done = poll_fn(|cx| connection.poll(cx)) => return Ok(done?),
        () = serving.shutdown.cancelled() => {}
    }
    connection.server.close();
    match timeout(serving.grace, poll_fn(|cx| connection.poll(cx))).await {
        Ok(done) => Ok(done?),
        Err(_) => Err("calls were still in flight after the grace period and were cancelled".into()),
    }
}

impl LaneConnection {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LaneError>> {
        while !self.closing {
            match self.server.poll_accept(cx) {
                Poll::Ready(Ok(Some((request, send)))) => {
                    self.pending.called();
                    self.call(request, send);
                    if self.server.has_more() {
                        continue;
                    }
                    while self.calls.try_join_next().is_some() {}
                    // Answers that are ready leave before the next call is waited for.
                    if let Poll::Ready(Err(error)) = self.server.poll_write_now(cx) {
                        return Poll::Ready(Err(error.into()));
                    }
                }
                Poll::Ready(Ok(None)) if self.server.has_calls() => {
                    let what = "the peer hung up during calls";
                    return Poll::Ready(Err(std::io::Error::new(ErrorKind::UnexpectedEof, what).into()));
                }
                Poll::Ready(Ok(None)) => self.closing = true,
                Poll::Ready(Err(error)) => {
                    // The peer learns its fault, if there is room.
                    let _ = self.server.poll_write_now(cx);
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => {
                    if let Poll::Ready(Err(error)) = self.server.poll_write(cx) {
                        return Poll::Ready(Err(error.into()));
                    }
                    if !self.server.is_drained() {
                        return Poll::Pending;
                    }
                    self.closing = true;
                }
            }
        }
        let _ = ready!(self.server.poll_shutdown(cx));
        Poll::Ready(Ok(()))
    }

    /// Serves a call, here or in a task of its own.
    fn call(&mut self, request: Request<LaneRecv>, send: LaneSend) {
        let speed = self.speed(request.uri().path());
        let call = LaneCall::new(&self.responder, request, send).run().instrument(self.span.clone());
        let Some(speed) = speed else {
            self.calls.spawn(call);
            return;
        };
        let mut call = Box::pin(call);
        if speed.at_once.load(Relaxed) < TRUSTED {
            self.calls.spawn(async move {
                // The first poll says how fast the method is.
                let first = poll_fn(|cx| Poll::Ready(speed.measure(|| call.as_mut().poll(cx)))).await;
                if first.is_pending() {
                    call.await;
                }
            });
            return;
        }
        let mut cx = Context::from_waker(Waker::noop());
        // A panic must not end the connection. Dropping the call resets it.
        let polled = catch_unwind(AssertUnwindSafe(|| speed.measure(|| call.as_mut().poll(&mut cx))));
        if let Ok(Poll::Pending) = polled {
            self.calls.spawn(call);
        }
    }

    /// The speed of a method. `None` if too many methods are known.
    fn speed(&mut self, path: &str) -> Option<Arc<Speed>> {
        if let Some(speed) = self.speeds.get(path) {
            return Some(Arc::clone(speed));
        }
        // A peer may call any number of methods that do not exist.
        (self.speeds.len() < MAX_METHODS).then(|| Arc::clone(self.speeds.entry(path.to_owned()).or_default()))
    }
}

impl Speed {
    /// Polls a call for the first time and takes note of how it went.
    fn measure(&self, poll: impl FnOnce() -> Poll<()>) -> Poll<()> {
        let begun = Instant::now();
        let polled = poll();
        if polled.is_ready() && begun.elapsed() < AT_ONCE {
            let known = self.at_once.load(Relaxed);
            self.at_once.store(known.saturating_add(1).min(TRUSTED), Relaxed);
        } else {
            self.at_once.store(0, Relaxed);
        }
        polled
    }
}

/// A call that is answered faster than this takes less time than the start of a task on another core.
const AT_ONCE: Duration = Duration::from_micros(50);

/// After so many fast calls in a row, the next ones are answered by the task of the connection. A slow call begins the count anew.
const TRUSTED: u32 = 16;

/// The speeds of so many methods are known.
const MAX_METHODS: usize = 256;
