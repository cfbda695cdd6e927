//! The task that owns the connection, and what it shares with the handles.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::Error;
use crate::frame::HEADER_LEN;
use crate::state::{Event, Frame, SessionState};

/// What the driver, the session's handles and its streams have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    inner: Mutex<Inner>,
    /// A stream waits to be accepted, or none ever will.
    pub(crate) acceptable: Notify,
    /// A stream may be opened, or none ever may.
    pub(crate) openable: Notify,
    /// Frames have been written, or none ever will.
    pub(crate) written: Notify,
}

/// The state machine, and who waits for it. The lock is held for single steps only, never while waiting.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) state: SessionState,
    /// The streams that the application holds, and their waiting tasks.
    pub(crate) streams: HashMap<u32, StreamWakers>,
    /// No handle is left that could open or accept a stream.
    pub(crate) abandoned: bool,
    /// How many frames without data have been written and flushed.
    pub(crate) control_written: u64,
    /// Who waits for the end of a stream to be among them.
    closers: Vec<Waker>,
    driver: Option<Waker>,
}

impl Inner {
    /// Wakes this task when more has been written, a stream is reset, or the session ends.
    pub(crate) fn wake_closer(&mut self, waker: &Waker) {
        if !self.closers.iter().any(|closer| closer.will_wake(waker)) {
            self.closers.push(waker.clone());
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct StreamWakers {
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
}

/// A future that carries the session until it ends.
///
/// It ends when the connection does, or soon after the session has been closed.
pub(crate) struct Driver<T> {
    /// Taken at the end, so that the connection is gone before anybody hears of it.
    connection: Option<T>,
    shared: Arc<Shared>,
    closed: watch::Sender<Option<Error>>,
    read_buffer: BytesMut,
    batch: Batch,
    /// Runs until the earliest deadline that was known when it was set.
    timer: Option<Pin<Box<Sleep>>>,
    /// Set when nothing more can be written: what the peer has sent before is still read.
    broken: Option<Error>,
    /// Set when the session has ended or the connection is broken: how long the rest may take.
    ending: Option<Ending>,
}

/// The last steps of a session: what is queued leaves, then this side's bytes end, then the peer's are awaited.
#[derive(Clone, Copy)]
struct Ending {
    deadline: Instant,
    shut_down: bool,
}

/// Whether a step could go on at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Again,
    Waits,
}

impl Shared {
    pub(crate) fn new(state: SessionState) -> Self {
        Self {
            inner: Mutex::new(Inner {
                state,
                streams: HashMap::new(),
                abandoned: false,
                control_written: 0,
                closers: Vec::new(),
                driver: None,
            }),
            acceptable: Notify::new(),
            openable: Notify::new(),
            written: Notify::new(),
        }
    }

    /// Looks at the state, or changes it in a way that concerns nobody else.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock was held cannot have left it worse than any other moment of the session.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, then wakes whoever is concerned: the driver if it has something to do.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        self.change_and_wake(change, |inner| {
            let unused = inner.abandoned && inner.streams.is_empty();
            let concerned = inner.state.has_output() || inner.state.reason().is_some() || unused;
            if concerned { inner.driver.take() } else { None }
        })
    }

    /// The same for the driver, which need not wake itself.
    fn drive<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        self.change_and_wake(change, |_| None)
    }

    fn change_and_wake<R>(
        &self,
        change: impl FnOnce(&mut Inner) -> R,
        driver: impl FnOnce(&mut Inner) -> Option<Waker>,
    ) -> R {
        let mut wakers = Vec::new();
        let mut inner = self.lock();
        let result = change(&mut inner);
        self.deliver_events(&mut inner, &mut wakers);
        if inner.state.is_aborted() {
            wakers.append(&mut inner.closers);
        }
        let driver = driver(&mut inner);
        drop(inner);
        wakers.into_iter().chain(driver).for_each(Waker::wake);
        result
    }

    /// Has the driver look at the state, since a deadline may have come nearer.
    pub(crate) fn wake_driver(&self) {
        let driver = self.lock().driver.take();
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Finds out whom the latest events concern.
    fn deliver_events(&self, inner: &mut Inner, wakers: &mut Vec<Waker>) {
        while let Some(event) = inner.state.next_event() {
            match event {
                Event::Opened(_) => self.acceptable.notify_one(),
                Event::Openable => self.openable.notify_one(),
                Event::GoingAway => self.openable.notify_waiters(),
                Event::Data(id) | Event::Finished(id) => {
                    wakers.extend(inner.streams.get_mut(&id).and_then(|stream| stream.reader.take()));
                }
                Event::Writable(id) => {
                    wakers.extend(inner.streams.get_mut(&id).and_then(|stream| stream.writer.take()));
                }
                Event::Reset(id) => {
                    wakers.append(&mut inner.closers);
                    if let Some(stream) = inner.streams.get_mut(&id) {
                        wakers.extend(stream.reader.take());
                        wakers.extend(stream.writer.take());
                    }
                }
                Event::Ended => {
                    wakers.append(&mut inner.closers);
                    for stream in inner.streams.values_mut() {
                        wakers.extend(stream.reader.take());
                        wakers.extend(stream.writer.take());
                    }
                    self.acceptable.notify_waiters();
                    self.openable.notify_waiters();
                    self.written.notify_waiters();
                }
            }
        }
    }
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
        // Reading comes before the clock: an answer that has arrived counts even if this task was late.
        let mut read = Step::Waits;
        for _ in 0..READS_AT_ONCE {
            // Whoever asks for so much reads the answers, before it may ask for more.
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

    /// Reads once, and gives what came to the state machine.
    fn read(&mut self, cx: &mut Context<'_>) -> io::Result<Step> {
        let Some(connection) = self.connection.as_mut() else { return Ok(Step::Waits) };
        if self.read_buffer.capacity() < READ_AT_LEAST {
            // Takes the same memory again unless a stream still holds a piece of it.
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

    /// Writes one batch of frames, or as much of it as the connection takes.
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

    /// Sets the timer to the next deadline, and does what is due.
    fn keep_time(&mut self, cx: &mut Context<'_>) {
        loop {
            let due = match self.ending {
                Some(ending) => Some(ending.deadline),
                None => self.shared.lock().state.next_deadline().map(Instant::from_std),
            };
            let Some(due) = due else { return };
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            // A timer that runs out too early costs one look here; setting it anew for each change would cost more.
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

    /// Carries a session that has ended to the end of its connection: the last frames first, then the end of this
    /// side's bytes, then the end of the peer's.
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
            // The timer has to learn of the deadline.
            return Ok(Step::Again);
        };
        if !ending.shut_down && !has_output && self.batch.is_empty() {
            // Closing with unread bytes could make the operating system throw away the last frames, so the peer's
            // end is awaited.
            ending.shut_down = Pin::new(connection).poll_shutdown(cx)?.is_ready();
        }
        Ok(Step::Waits)
    }

    /// Ends the session at once; the connection is closed.
    fn stop(&mut self, reason: Error) {
        self.connection = None;
        let reason = self.broken.take().unwrap_or(reason);
        self.shared.drive(|inner| inner.state.abort(reason));
    }

    /// Notes who is to be woken when there is something to do, and whether the session has reached its end.
    fn look(&self, cx: &Context<'_>) -> bool {
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
        if this.look(cx) {
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
        // Only a runtime that stops drops the task before the session has ended.
        self.shared.drive(|inner| inner.state.abort(Error::Closed));
        let reason = self.shared.lock().state.reason().cloned();
        tracing::debug!(reason = reason.as_ref().map(tracing::field::display), "multiplexed session ended");
        self.closed.send_replace(reason);
    }
}

/// Frames on their way into the connection, many in one call.
#[derive(Default)]
struct Batch {
    /// For connections that take several buffers at once.
    frames: VecDeque<Frame>,
    /// How much of the first frame has been written.
    offset: usize,
    /// For others: frames copied together.
    flat: BytesMut,
    /// The number of the last frame without data in the batch, until that is known to be written.
    control: Option<u64>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.control.is_none()
    }

    fn is_written(&self) -> bool {
        self.frames.is_empty() && self.flat.is_empty()
    }

    /// Takes the next frames; false if there are none.
    fn fill(&mut self, shared: &Shared, vectored: bool) -> bool {
        let control = shared.drive(|inner| {
            let mut bytes = 0;
            while bytes < BATCH_BYTES
                && self.frames.len() < BATCH_FRAMES
                && let Some(frame) = inner.state.next_frame()
            {
                bytes += HEADER_LEN + frame.payload.len();
                self.frames.push_back(frame);
            }
            inner.state.control_taken()
        });
        if self.frames.is_empty() {
            return false;
        }
        if !vectored {
            for frame in self.frames.drain(..) {
                self.flat.extend_from_slice(&frame.header);
                self.flat.extend_from_slice(&frame.payload);
            }
        }
        self.control = Some(control);
        true
    }

    /// Writes once.
    fn poll_write<T: AsyncWrite>(
        &mut self,
        connection: Pin<&mut T>,
        cx: &mut Context<'_>,
    ) -> io::Result<Poll<()>> {
        let written = if self.flat.is_empty() {
            let mut slices = [IoSlice::new(&[]); 2 * BATCH_FRAMES];
            let mut count = 0;
            let mut skip = self.offset;
            for frame in &self.frames {
                for part in [&frame.header[..], &frame.payload[..]] {
                    let skipped = skip.min(part.len());
                    skip -= skipped;
                    if skipped < part.len() {
                        slices[count] = IoSlice::new(&part[skipped..]);
                        count += 1;
                    }
                }
            }
            connection.poll_write_vectored(cx, &slices[..count])?
        } else {
            connection.poll_write(cx, &self.flat)?
        };
        match written {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(0) => Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(bytes) => {
                self.advance(bytes);
                Ok(Poll::Ready(()))
            }
        }
    }

    fn advance(&mut self, bytes: usize) {
        if !self.flat.is_empty() {
            self.flat.advance(bytes);
            return;
        }
        self.offset += bytes;
        while let Some(frame) = self.frames.front()
            && self.offset >= HEADER_LEN + frame.payload.len()
        {
            self.offset -= HEADER_LEN + frame.payload.len();
            self.frames.pop_front();
        }
    }

    /// Everything has been written and flushed.
    fn finish(&mut self, shared: &Shared) {
        if let Some(control) = self.control.take() {
            let mut inner = shared.lock();
            if inner.control_written != control {
                inner.control_written = control;
                let closers = std::mem::take(&mut inner.closers);
                drop(inner);
                shared.written.notify_waiters();
                closers.into_iter().for_each(Waker::wake);
            }
        }
    }
}

/// A process that ends takes its sockets with it, and the next read or write here fails with one of two errors.
fn connection_error(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Error::PeerClosed,
        _ => Error::Io(Arc::new(error)),
    }
}

/// How much is read at once.
const READ_BUFFER: usize = 64 * 1024;

/// Less room than this is not worth a system call.
const READ_AT_LEAST: usize = 16 * 1024;

/// How much is written at once, unless the last frame is longer.
const BATCH_BYTES: usize = 256 * 1024;
const BATCH_FRAMES: usize = 64;

/// How much may be read before writing has its turn: as much as a batch.
const READS_AT_ONCE: usize = 4;

/// How many turns of reading and writing before other tasks have theirs.
const ROUNDS: usize = 8;

/// How long the last frames of a session may take, and the peer's answer to the end of this side.
const ENDING: Duration = Duration::from_secs(1);
