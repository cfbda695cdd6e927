//! Sends the messages of a call.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::Reason;
use http_body::Body as _;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Status, body::Body};

use super::wire::WireSend;

/// The messages that a call sends.
pub(super) struct Upload {
    body: Body,
    /// Whether the body has ended.
    ended: bool,
    /// The messages that are sent again.
    again: VecDeque<Bytes>,
    kept: Kept,
    /// The message that waits for room.
    waiting: Option<Bytes>,
    /// The message after it.
    next: Option<Bytes>,
    /// Whether a message has been handed to the connection.
    begun: bool,
}

/// The messages that were taken from the body, in case they must be sent again.
enum Kept {
    All {
        first: Option<Bytes>,
        rest: Vec<Bytes>,
        size: usize,
    },
    /// The messages were too large to keep, or must not be sent a third time.
    Nothing,
}

/// The reason why a call has stopped sending.
pub(super) enum Stopped {
    /// The caller has no more messages, or the peer takes no more.
    Done,
    /// The stream of the caller's messages failed.
    ByCaller(Status),
}

/// The task that sends the rest of a call's messages after the response has begun. Dropping it ends the sending.
pub(super) struct Rest {
    failed: Arc<OnceLock<Status>>,
    task: AbortOnDropHandle<()>,
}

impl Upload {
    pub(super) fn new(body: Body) -> Self {
        Self {
            ended: body.is_end_stream(),
            body,
            again: VecDeque::new(),
            kept: Kept::All { first: None, rest: Vec::new(), size: 0 },
            waiting: None,
            next: None,
            begun: false,
        }
    }

    /// Whether the call has no messages.
    pub(super) fn is_empty(&self) -> bool {
        self.ended && self.again.is_empty()
    }

    /// Starts again with the first message, if that is possible. It is possible once.
    pub(super) fn rewind(&mut self) -> bool {
        match std::mem::replace(&mut self.kept, Kept::Nothing) {
            Kept::All { first, rest, .. } => {
                self.again = first.into_iter().chain(rest).collect();
                (self.waiting, self.next, self.begun) = (None, None, false);
                true
            }
            Kept::Nothing => false,
        }
    }

    /// Sends the messages that are there and have room.
    pub(super) fn poll_send(&mut self, stream: &mut WireSend, cx: &mut Context<'_>) -> Poll<Stopped> {
        for _ in 0..MAX_AT_ONCE {
            if self.waiting.is_none() {
                self.waiting = match self.next.take() {
                    Some(next) => Some(next),
                    None => match ready!(self.poll_next(cx)) {
                        Some(Ok(next)) => Some(next),
                        Some(Err(status)) => return Poll::Ready(Stopped::ByCaller(status)),
                        None => {
                            // The end of the stream follows all messages.
                            let _ = stream.send_data(Bytes::new(), true);
                            return Poll::Ready(Stopped::Done);
                        }
                    },
                };
            }
            // The last message is sent together with the end, so the next message is read ahead.
            let mut last = false;
            if self.next.is_none() {
                match self.poll_next(cx) {
                    Poll::Ready(Some(Ok(next))) => self.next = Some(next),
                    Poll::Ready(Some(Err(status))) => return Poll::Ready(Stopped::ByCaller(status)),
                    Poll::Ready(None) => last = true,
                    Poll::Pending => {}
                }
            }
            let Some(waiting) = &self.waiting else { continue };
            // The first message does not wait for room: a call has room only when its headers are being written, and the
            // message would leave in a write of its own, which wakes the peer once more.
            if self.begun && !waiting.is_empty() && !ready!(stream.poll_room(cx)) {
                // The peer has reset the stream. The response has the reason.
                return Poll::Ready(Stopped::Done);
            }
            let Some(waiting) = self.waiting.take() else { continue };
            self.begun = true;
            if !stream.send_data(waiting, last) || last {
                return Poll::Ready(Stopped::Done);
            }
        }
        // A caller that always has more messages must not keep the response from being read.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        if let Some(again) = self.again.pop_front() {
            return Poll::Ready(Some(Ok(again)));
        }
        while !self.ended {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    // Requests have no trailers.
                    let Ok(data) = frame.into_data() else { continue };
                    if data.is_empty() {
                        continue;
                    }
                    self.kept.keep(&data);
                    return Poll::Ready(Some(Ok(data)));
                }
                Some(Err(status)) => return Poll::Ready(Some(Err(status))),
                None => self.ended = true,
            }
        }
        Poll::Ready(None)
    }

    /// Sends the rest in a new task.
    pub(super) fn send_on(mut self, mut stream: WireSend) -> Rest {
        self.kept = Kept::Nothing;
        let failed = Arc::<OnceLock<Status>>::default();
        let failure = Arc::clone(&failed);
        let task = tokio::spawn(async move {
            let sending = std::future::poll_fn(|cx| {
                if stream.poll_reset(cx).is_ready() {
                    return Poll::Ready(None);
                }
                // If the panic ended the task, both sides would wait for each other.
                let sent = catch_unwind(AssertUnwindSafe(|| self.poll_send(&mut stream, cx)));
                stream.flush();
                match sent {
                    Ok(sent) => match ready!(sent) {
                        Stopped::Done => Poll::Ready(None),
                        Stopped::ByCaller(status) => Poll::Ready(Some(status)),
                    },
                    Err(_) => {
                        Poll::Ready(Some(Status::internal("the stream of the call's messages panicked")))
                    }
                }
            });
            if let Some(status) = sending.await {
                let _ = failure.set(status);
                stream.send_reset(Reason::CANCEL);
            }
        });
        Rest { failed, task: AbortOnDropHandle::new(task) }
    }
}

impl Rest {
    /// The status with which the stream of the caller's messages failed, if it has.
    pub(super) fn failed(&self) -> Option<&Status> {
        self.failed.get()
    }

    /// Lets the task run to the end of the messages or of the stream.
    pub(super) fn go_on(self) {
        drop(self.task.detach());
    }
}

impl Kept {
    fn keep(&mut self, data: &Bytes) {
        let Self::All { first, rest, size } = self else { return };
        *size += data.len();
        if *size > MAX_KEPT {
            *self = Self::Nothing;
        } else if first.is_none() {
            *first = Some(data.clone());
        } else {
            rest.push(data.clone());
        }
    }
}

/// How many messages are sent in one poll.
const MAX_AT_ONCE: usize = 64;

/// How many bytes of sent messages are kept until the response begins.
const MAX_KEPT: usize = 256 << 10;
