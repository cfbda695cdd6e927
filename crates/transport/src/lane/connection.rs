//! A connection: the state of its calls together with the stream under it.
//!
//! A caller writes its frames into the output under a lock, and to the stream as well if no other caller is likely to write in the
//! same moment. So a call needs no task but that of its caller and the one that reads.

use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use bytes::BytesMut;
use tokio_util::io::poll_read_buf;

use super::{
    core::{Closing, Core, Role},
    error::LaneError,
    frame::Hello,
};
use crate::{meter::LaneCounts, net::Io};

/// A connection, shared by its task and the handles of its calls.
pub(super) struct Shared(Mutex<Inner>);

struct Inner {
    core: Core,
    /// `None` after the end.
    io: Option<Box<dyn Io>>,
    input: BytesMut,
    /// The task of the connection.
    driver: Option<Waker>,
    /// Whether the task has been asked to write.
    write_requested: bool,
    /// Whether the task has let other callers add their frames before it writes.
    write_deferred: bool,
    /// Whether the stream has bytes that it may not have passed on, as TLS does.
    unflushed: bool,
    /// How many callers the last read has woken.
    woken: usize,
    /// How often callers have written since the last read.
    writes: u32,
}

/// The task's side of a connection. Dropping it ends the connection.
pub(super) struct Driver(Arc<Shared>);

impl Shared {
    /// Makes a connection over a stream. `input` was read from the stream before.
    pub(super) fn new(
        io: Box<dyn Io>,
        input: BytesMut,
        role: Role,
        own: Hello,
        counts: Option<LaneCounts>,
    ) -> (Arc<Self>, Driver) {
        let inner = Inner {
            core: Core::new(role, own, counts),
            io: Some(io),
            input,
            driver: None,
            write_requested: false,
            write_deferred: false,
            unflushed: false,
            woken: 0,
            writes: 0,
        };
        let shared = Arc::new(Self(Mutex::new(inner)));
        (Arc::clone(&shared), Driver(shared))
    }

    /// Uses the state of the connection. Nothing is written.
    pub(super) fn with<R>(&self, use_core: impl FnOnce(&mut Core) -> R) -> R {
        let mut inner = self.lock();
        let result = use_core(&mut inner.core);
        inner.notice_idle();
        inner.wake();
        result
    }

    /// Uses the state of the connection, and then writes the frames that are there.
    pub(super) fn with_write<R>(&self, use_core: impl FnOnce(&mut Core) -> R) -> R {
        let mut inner = self.lock();
        let result = use_core(&mut inner.core);
        inner.write_as_caller();
        inner.notice_idle();
        inner.wake();
        result
    }

    /// Wakes the task of the connection.
    pub(super) fn wake_driver(&self) {
        let driver = self.lock().driver.clone();
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Releases the lock and wakes those that wait.
trait Wake {
    fn wake(self);
}

impl Wake for MutexGuard<'_, Inner> {
    fn wake(mut self) {
        if self.core.wake.is_empty() {
            return;
        }
        let mut wakers = std::mem::take(&mut self.core.wake);
        drop(self);
        wakers.drain(..).for_each(Waker::wake);
    }
}

impl Inner {
    /// Wakes the task if the last call has ended and the connection is to close then.
    fn notice_idle(&mut self) {
        if std::mem::take(&mut self.core.idle) && self.core.closes_when_idle() {
            self.core.wake.extend(self.driver.clone());
        }
    }

    /// Writes at once if this caller is likely to be the only one. Otherwise the task writes the frames of all callers together.
    fn write_as_caller(&mut self) {
        let Some(driver) = self.driver.as_ref().filter(|_| !self.core.output.is_empty()) else { return };
        let alone = self.woken <= 1 && self.writes < ALONE && self.core.output.len() <= SMALL;
        if alone && !self.write_requested {
            self.writes += 1;
            let driver = driver.clone();
            if let Poll::Ready(Err(error)) = self.poll_write(&mut Context::from_waker(&driver)) {
                self.core.end(error.into());
                self.core.wake.push(driver);
            }
        } else if !self.write_requested {
            self.write_requested = true;
            let driver = driver.clone();
            self.core.wake.push(driver);
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(io) = &mut self.io else { return Poll::Ready(Ok(())) };
        if self.core.output.is_empty() && !self.unflushed {
            return Poll::Ready(Ok(()));
        }
        self.unflushed = true;
        loop {
            let written = self.core.output.poll_write(&mut **io, cx, |bytes| {
                if let Some(counts) = &self.core.counts {
                    counts.bytes_sent(bytes);
                }
            });
            // Data that had no room has some now.
            self.core.pump_queue();
            ready!(written)?;
            if self.core.output.is_empty() {
                break;
            }
        }
        self.core.written();
        (self.write_requested, self.write_deferred) = (false, false);
        ready!(Pin::new(&mut **io).poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    /// Reads what has arrived. Completes with false at the end of the stream.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, LaneError>> {
        let Some(io) = &mut self.io else { return Poll::Ready(Ok(false)) };
        if !self.core.may_read() {
            // The task goes on when its output has been written.
            return Poll::Pending;
        }
        if self.input.capacity() - self.input.len() < LEAST_ROOM {
            self.input.reserve(INPUT);
        }
        let read = ready!(poll_read_buf(Pin::new(&mut **io), cx, &mut self.input));
        if let Some(counts) = &self.core.counts {
            match &read {
                Ok(1..) => {}
                _ => counts.hung_up(),
            }
        }
        let read = read?;
        if read == 0 {
            return Poll::Ready(Ok(false));
        }
        if let Some(counts) = &self.core.counts {
            counts.bytes_received(read);
        }
        self.receive()?;
        Poll::Ready(Ok(true))
    }

    /// Handles the frames that have been read.
    fn receive(&mut self) -> Result<(), LaneError> {
        let before = self.core.wake.len();
        let received = self.core.receive(&mut self.input);
        self.woken = self.core.wake.len() - before + self.core.accepted.len();
        self.writes = 0;
        if let Err(error) = &received {
            self.core.accuse(error);
        }
        received
    }
}

impl Driver {
    /// Reads until nothing more has arrived, or calls have to be served. Completes at the end of the stream.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LaneError>> {
        for _ in 0..READS {
            let mut inner = self.0.lock();
            if !inner.driver.as_ref().is_some_and(|driver| driver.will_wake(cx.waker())) {
                inner.driver = Some(cx.waker().clone());
            }
            let read = inner.poll_read(cx);
            let is_served = !inner.core.accepted.is_empty();
            inner.wake();
            match read {
                Poll::Ready(Ok(true)) if is_served => return Poll::Pending,
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        // Other tasks have their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Handles what was read before the connection was made.
    pub(super) fn receive_first(&mut self) -> Result<(), LaneError> {
        let mut inner = self.0.lock();
        let (read, received) = (inner.input.len(), inner.receive());
        if let Some(counts) = &inner.core.counts {
            counts.bytes_received(read);
        }
        inner.wake();
        received
    }

    /// Writes what there is. Completes when all is written, or when callers are about to add more.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.lock();
        if inner.write_requested && !inner.write_deferred {
            inner.write_deferred = true;
            drop(inner);
            // The callers that are ready run first.
            cx.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        drop(inner);
        self.poll_write_now(cx)
    }

    /// Writes what there is.
    pub(super) fn poll_write_now(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.lock();
        let could_read = inner.core.may_read();
        let written = inner.poll_write(cx);
        if !could_read && inner.core.may_read() {
            cx.waker().wake_by_ref();
        }
        inner.wake();
        written
    }

    /// Writes what there is, and closes the stream for writing.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.lock();
        let written = inner.poll_write(cx);
        let shut_down = match (written, &mut inner.io) {
            (Poll::Ready(Ok(())), Some(io)) => Pin::new(&mut **io).poll_shutdown(cx),
            (written, _) => written,
        };
        inner.wake();
        shut_down
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// Ends the connection for this reason.
    pub(super) fn end(&mut self, error: LaneError) {
        let mut inner = self.0.lock();
        inner.core.end(error);
        inner.io = None;
        inner.input = BytesMut::new();
        inner.wake();
    }

    /// Whether the peer has announced its limits.
    pub(super) fn is_open(&self) -> bool {
        self.0.lock().core.peer.is_some()
    }

    /// Whether a drained server has nothing left to do.
    pub(super) fn is_drained(&self) -> bool {
        let inner = self.0.lock();
        inner.core.closing == Closing::Final && inner.core.calls.is_empty() && inner.core.output.is_empty()
    }

    /// Whether a client has nothing left to do, now or ever.
    pub(super) fn is_done(&self) -> bool {
        let inner = self.0.lock();
        inner.core.closes_when_idle() && inner.core.calls.is_empty() && inner.core.output.is_empty()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.end(LaneError::io(io::ErrorKind::BrokenPipe, "the connection was closed"));
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// How many callers in a row may write by themselves, without an answer in between.
const ALONE: u32 = 4;

/// More bytes than this are written by the task.
const SMALL: usize = 32 << 10;

/// How often the task reads before other tasks have their turn.
const READS: usize = 16;

/// How many bytes are read at once.
const INPUT: usize = 64 << 10;

/// Below this room a new buffer is made. A buffer is kept as long as any of its bytes, so most of it is used.
const LEAST_ROOM: usize = 8 << 10;
