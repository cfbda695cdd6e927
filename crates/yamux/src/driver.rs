//! The task that owns the connection.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::batch::Batch;
use crate::error::Error;
use crate::shared::Shared;

/// The future that runs a session.
///
/// It completes when the connection ends, or soon after the session has been closed.
pub(crate) struct Driver<T> {
    /// Taken at the end, so that the connection is closed before the end is reported.
    connection: Option<T>,
    shared: Arc<Shared>,
    closed: watch::Sender<Option<Error>>,
    read_buffer: BytesMut,
    batch: Batch,
    /// Fires at the earliest deadline that was known when the timer was set.
    timer: Option<Pin<Box<Sleep>>>,
    /// The error after which nothing more can be written. Bytes that the peer has sent before are still read.
    broken: Option<Error>,
    /// The last steps, once the session has ended or the connection is broken.
    ending: Option<Ending>,
}

/// The last steps of a session: write the queued frames, shut down writing, wait for the end of the peer's bytes.
#[derive(Clone, Copy)]
struct Ending {
    deadline: Instant,
    shut_down: bool,
}

/// Whether a step can be repeated at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Again,
    Waits,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Driver<T> {
    pub(crate) fn new(connection: T, shared: Arc<Shared>, closed: watch::Sender<Option<Error>>) -> Self {
        Self {
            connection: Some(connection),
            shared,
            closed,
            read_buffer: BytesMut::new(),
            batch: Batch::default(),
            timer: None,
            broken: None,
            ending: None,
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> io::Result<Step> {
        // Reading comes before the clock: a reply that has arrived counts even if this task was late.
        let mut read = Step::Waits;
        for _ in 0..READS_AT_ONCE {
            // A peer must take the replies that it has caused before it may cause more.
            if self.broken.is_none() && self.shared.lock().state.must_drain_replies() {
                break;
            }
            read = self.read(cx)?;
            if read == Step::Waits {
                break;
            }
        }
        self.keep_time(cx);
        let written = self.write(cx).unwrap_or_else(|error| {
            self.broken = Some(connection_error(error));
            self.ending = Some(Ending { deadline: Instant::now() + ENDING, shut_down: true });
            // The next turn reads, and sets the timer.
            Step::Again
        });
        let ended = self.end(cx)?;
        Ok(if [read, written, ended].contains(&Step::Again) { Step::Again } else { Step::Waits })
    }

    /// Reads once and passes the bytes to the state machine.
    fn read(&mut self, cx: &mut Context<'_>) -> io::Result<Step> {
        let Some(connection) = self.connection.as_mut() else { return Ok(Step::Waits) };
        if self.read_buffer.capacity() < READ_AT_LEAST {
            // This reuses the same memory unless a stream still holds a piece of it.
            self.read_buffer.reserve(READ_BUFFER);
        }
        match pin!(connection.read_buf(&mut self.read_buffer)).poll(cx) {
            Poll::Pending => Ok(Step::Waits),
            Poll::Ready(Ok(0)) => {
                self.stop(Error::PeerClosed);
                Ok(Step::Waits)
            }
            Poll::Ready(Ok(_)) => {
                let bytes = self.read_buffer.split().freeze();
                let now = Instant::now().into_std();
                self.shared.drive(|inner| inner.state.receive(bytes, now));
                Ok(Step::Again)
            }
            Poll::Ready(Err(error)) => Err(error),
        }
    }

    /// Writes one batch of frames, or the part of the batch that the connection takes.
    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<Step> {
        let Some(connection) = self.connection.as_mut() else { return Ok(Step::Waits) };
        if self.broken.is_some() {
            return Ok(Step::Waits);
        }
        if self.batch.is_empty() && !self.batch.fill(&self.shared, connection.is_write_vectored()) {
            return Ok(Step::Waits);
        }
        while !self.batch.is_written() {
            if self.batch.poll_write(Pin::new(&mut *connection), cx)?.is_pending() {
                return Ok(Step::Waits);
            }
        }
        if Pin::new(connection).poll_flush(cx)?.is_pending() {
            return Ok(Step::Waits);
        }
        self.batch.finish(&self.shared);
        Ok(Step::Again)
    }

    /// Sets the timer to the next deadline and does what is due.
    fn keep_time(&mut self, cx: &mut Context<'_>) {
        loop {
            let due = match self.ending {
                Some(ending) => Some(ending.deadline),
                None => self.shared.lock().state.next_deadline().map(Instant::from_std),
            };
            let Some(due) = due else { return };
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            // A timer that fires too early costs one check here. Setting it again for each change would cost more.
            if timer.deadline() > due {
                timer.as_mut().reset(due);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return;
            }
            let now = Instant::now();
            if let Some(ending) = self.ending
                && ending.deadline <= now
            {
                self.stop(Error::PeerClosed);
                return;
            }
            self.shared.drive(|inner| inner.state.tick(now.into_std()));
            if let Some(timer) = &mut self.timer {
                let next = self.shared.lock().state.next_deadline().map(Instant::from_std);
                match next {
                    Some(next) => timer.as_mut().reset(next),
                    None => self.timer = None,
                }
            }
        }
    }

    /// Ends the connection of a session that has ended: writes the last frames, shuts down writing, then waits for the
    /// end of the peer's bytes.
    fn end(&mut self, cx: &mut Context<'_>) -> io::Result<Step> {
        let (ended, aborted, has_output) = {
            let state = &self.shared.lock().state;
            (state.reason().is_some(), state.is_aborted(), state.has_output())
        };
        if aborted {
            self.connection = None;
        }
        let Some(connection) = self.connection.as_mut() else { return Ok(Step::Waits) };
        if !ended {
            return Ok(Step::Waits);
        }
        let Some(ending) = &mut self.ending else {
            self.ending = Some(Ending { deadline: Instant::now() + ENDING, shut_down: false });
            // The next turn sets the timer to the new deadline.
            return Ok(Step::Again);
        };
        if !ending.shut_down && !has_output && self.batch.is_empty() {
            // Closing with unread bytes could make the operating system discard the last frames, so the end of the peer's
            // bytes is awaited.
            ending.shut_down = Pin::new(connection).poll_shutdown(cx)?.is_ready();
        }
        Ok(Step::Waits)
    }

    /// Ends the session at once and closes the connection.
    fn stop(&mut self, reason: Error) {
        self.connection = None;
        let reason = self.broken.take().unwrap_or(reason);
        self.shared.drive(|inner| inner.state.abort(reason));
    }

    /// Registers this task to be woken. Returns whether the session has no user left and must be closed.
    fn register(&self, cx: &Context<'_>) -> bool {
        let mut inner = self.shared.lock();
        if !inner.driver.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            inner.driver = Some(cx.waker().clone());
        }
        inner.state.reason().is_none() && inner.abandoned && inner.streams.is_empty()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Future for Driver<T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.register(cx) {
            this.shared.drive(|inner| inner.state.close());
        }
        for _ in 0..ROUNDS {
            let step = this.turn(cx).unwrap_or_else(|error| {
                this.stop(connection_error(error));
                Step::Waits
            });
            if this.connection.is_none() {
                return Poll::Ready(());
            }
            if step == Step::Waits {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T> Drop for Driver<T> {
    fn drop(&mut self) {
        self.connection = None;
        // The task is dropped before the session has ended only when its runtime shuts down.
        self.shared.drive(|inner| inner.state.abort(Error::Closed));
        let reason = self.shared.lock().state.reason().cloned();
        tracing::debug!(reason = reason.as_ref().map(tracing::field::display), "multiplexed session ended");
        self.closed.send_replace(reason);
    }
}

/// Classifies an error of the connection. When the process of the peer ends, reads and writes fail with one of two errors.
fn connection_error(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Error::PeerClosed,
        _ => Error::Io(Arc::new(error)),
    }
}

/// How many bytes are read at once.
const READ_BUFFER: usize = 64 * 1024;

/// A read buffer with less room than this is extended.
const READ_AT_LEAST: usize = 16 * 1024;

/// How many reads precede a write. Together they read as much as a batch writes.
const READS_AT_ONCE: usize = 4;

/// How many turns of reading and writing the task takes before it yields to other tasks.
const ROUNDS: usize = 8;

/// How long the last steps of a session may take.
const ENDING: Duration = Duration::from_secs(1);
