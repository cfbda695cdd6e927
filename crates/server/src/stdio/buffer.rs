//! A bounded buffer between the plugin that prints and the hosts that read.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::Notify;

/// The stream on which output was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Stdout,
    Stderr,
}

/// The output that was printed and that not every host has read.
///
/// While there is no reader, the oldest output makes room for the newest at once. While there is a reader and the buffer is
/// full, prints block as with a pipe, but only for the timeout: a host that has stopped reading must not stop its plugin.
#[derive(Debug)]
pub(crate) struct CaptureBuffer {
    capacity: usize,
    timeout: Duration,
    state: Mutex<State>,
    /// Notified when output is added, and when the buffer is closed.
    readable: Notify,
    /// Notified when a reader takes output or leaves, when the deadline changes, and when the buffer is closed.
    room: Condvar,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<(Source, Bytes)>,
    /// The number of the oldest chunk.
    first: u64,
    bytes: usize,
    readers: Vec<Position>,
    next_reader: u64,
    dropped: u64,
    /// The moment after which prints wait for no reader, set when the plugin shuts down.
    deadline: Option<Instant>,
    closed: bool,
}

/// The position of one reader.
#[derive(Debug)]
struct Position {
    reader: u64,
    /// The number of the next chunk to read.
    next: u64,
    /// The reader has used up the timeout and not read since. Prints do not wait for this reader.
    stalled: bool,
}

/// Reads the output for one host. When the last reader is dropped, the output that it has not read stays for the next one.
#[derive(Debug)]
pub(crate) struct Reader {
    buffer: Arc<CaptureBuffer>,
    number: u64,
}

impl CaptureBuffer {
    pub(crate) fn new(capacity: usize, timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            capacity,
            timeout,
            state: Mutex::default(),
            readable: Notify::new(),
            room: Condvar::new(),
        })
    }

    /// Adds output. If the buffer is full, blocks until the slowest reader reads. A reader that makes no progress within the
    /// timeout is not waited for until it reads again. Returns how many bytes of output have been dropped since the start.
    pub(crate) fn push(&self, source: Source, data: Bytes) -> u64 {
        let mut state = self.lock();
        let mut deadline = Instant::now() + self.timeout;
        while state.bytes + data.len() > self.capacity && !state.chunks.is_empty() {
            if state.closed {
                return state.dropped;
            }
            let until = state.deadline.map_or(deadline, |last| last.min(deadline));
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.mark_stalled();
            }
            if !state.is_awaited() {
                state.drop_oldest();
                continue;
            }
            let before = state.first;
            state = self.room.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            if state.first != before {
                deadline = Instant::now() + self.timeout;
            }
        }
        if !state.closed {
            state.bytes += data.len();
            state.chunks.push_back((source, data));
        }
        let dropped = state.dropped;
        drop(state);
        self.readable.notify_waiters();
        dropped
    }

    /// Sets the moment after which no print blocks.
    pub(crate) fn set_deadline(&self, deadline: Instant) {
        self.lock().deadline = Some(deadline);
        self.room.notify_all();
    }

    /// Closes the buffer: later output is discarded. Readers get the rest, and then the end.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.readable.notify_waiters();
        self.room.notify_all();
    }

    /// Adds a reader, which begins with the oldest output in the buffer.
    pub(crate) fn attach(self: &Arc<Self>) -> Reader {
        let mut state = self.lock();
        let number = state.next_reader;
        state.next_reader += 1;
        let next = state.first;
        state.readers.push(Position { reader: number, next, stalled: false });
        Reader { buffer: Arc::clone(self), number }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics in the middle of a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn drop_oldest(&mut self) {
        if let Some((_, data)) = self.chunks.pop_front() {
            self.bytes -= data.len();
            self.dropped += data.len() as u64;
            self.first += 1;
        }
        for position in &mut self.readers {
            position.next = position.next.max(self.first);
        }
    }

    /// Returns the readers that have not read the oldest chunk.
    fn behind(&mut self) -> impl Iterator<Item = &mut Position> {
        let first = self.first;
        self.readers.iter_mut().filter(move |position| position.next == first)
    }

    /// Whether a reader that is not stalled has to read before there is room.
    fn is_awaited(&mut self) -> bool {
        self.behind().any(|position| !position.stalled)
    }

    fn mark_stalled(&mut self) {
        self.behind().for_each(|position| position.stalled = true);
    }

    /// Returns the next chunk for a reader.
    fn take(&mut self, reader: u64) -> Option<(Source, Bytes)> {
        let position = self.readers.iter_mut().find(|position| position.reader == reader)?;
        let chunk = self.chunks.get(usize::try_from(position.next - self.first).ok()?)?.clone();
        position.next += 1;
        position.stalled = false;
        self.forget_read();
        Some(chunk)
    }

    /// Removes the chunks that every reader has read. Without a reader, all chunks stay for the next one.
    fn forget_read(&mut self) {
        let slowest = self.readers.iter().map(|position| position.next).min().unwrap_or(self.first);
        while self.first < slowest {
            if let Some((_, data)) = self.chunks.pop_front() {
                self.bytes -= data.len();
            }
            self.first += 1;
        }
    }
}

impl Reader {
    /// Returns the next output, or `None` when the buffer is closed and read.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Option<(Source, Bytes)> {
        loop {
            let readable = self.buffer.readable.notified();
            {
                let mut state = self.buffer.lock();
                if let Some(chunk) = state.take(self.number) {
                    self.buffer.room.notify_all();
                    return Some(chunk);
                }
                if state.closed {
                    return None;
                }
            }
            readable.await;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.buffer.lock();
        state.readers.retain(|position| position.reader != self.number);
        state.forget_read();
        drop(state);
        self.buffer.room.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(buffer: &CaptureBuffer, text: &'static str) -> u64 {
        buffer.push(Source::Stdout, Bytes::from_static(text.as_bytes()))
    }

    async fn next(reader: &mut Reader) -> Option<Bytes> {
        reader.next().await.map(|(_, data)| data)
    }

    #[tokio::test]
    async fn the_newest_output_is_kept_while_there_is_no_reader() {
        let buffer = CaptureBuffer::new(6, Duration::from_secs(3600));
        assert_eq!(text(&buffer, "abc"), 0);
        assert_eq!(text(&buffer, "def"), 0);
        assert_eq!(text(&buffer, "ghi"), 3, "the oldest made room, at once");
        let mut reader = buffer.attach();
        assert_eq!(next(&mut reader).await.as_deref(), Some(&b"def"[..]));
        buffer.close();
        assert_eq!(next(&mut reader).await.as_deref(), Some(&b"ghi"[..]));
        assert_eq!(next(&mut reader).await, None);
    }

    #[tokio::test]
    async fn every_reader_gets_all_output_and_the_next_one_the_rest() {
        let buffer = CaptureBuffer::new(100, Duration::from_secs(3600));
        let (mut one, mut two) = (buffer.attach(), buffer.attach());
        text(&buffer, "a");
        text(&buffer, "b");
        assert_eq!(next(&mut one).await.as_deref(), Some(&b"a"[..]));
        assert_eq!(next(&mut two).await.as_deref(), Some(&b"a"[..]));
        drop(one);
        drop(two);
        let mut three = buffer.attach();
        assert_eq!(next(&mut three).await.as_deref(), Some(&b"b"[..]));
    }

    #[tokio::test]
    async fn a_print_waits_for_a_slow_reader_and_nothing_is_dropped() {
        let buffer = CaptureBuffer::new(2, Duration::from_secs(3600));
        let mut reader = buffer.attach();
        let writer = std::thread::spawn({
            let buffer = Arc::clone(&buffer);
            move || (0..100).map(|_| text(&buffer, "x")).max()
        });
        for _ in 0..100 {
            assert!(next(&mut reader).await.is_some());
        }
        assert_eq!(writer.join().expect("no panic"), Some(0));
    }

    #[test]
    fn output_is_dropped_when_a_reader_makes_no_progress_within_the_timeout() {
        let buffer = CaptureBuffer::new(2, Duration::ZERO);
        let _reader = buffer.attach();
        let dropped = (0..100).map(|_| text(&buffer, "x")).max();
        assert_eq!(dropped, Some(98));
    }

    #[test]
    fn prints_wait_once_for_a_reader_that_has_stalled() {
        let timeout = Duration::from_millis(50);
        let buffer = CaptureBuffer::new(2, timeout);
        let _reader = buffer.attach();
        let begin = Instant::now();
        let dropped = (0..100).map(|_| text(&buffer, "x")).max();
        assert_eq!(dropped, Some(98));
        assert!(begin.elapsed() < 10 * timeout, "{:?}", begin.elapsed());
    }

    #[tokio::test]
    async fn prints_do_not_wait_again_for_a_stalled_reader_while_another_one_reads() {
        let timeout = Duration::from_millis(100);
        let buffer = CaptureBuffer::new(2, timeout);
        let (_stalled, mut reader) = (buffer.attach(), buffer.attach());
        let begin = Instant::now();
        for _ in 0..100 {
            text(&buffer, "x");
            assert!(next(&mut reader).await.is_some());
        }
        assert!(begin.elapsed() < 20 * timeout, "{:?}", begin.elapsed());
    }

    #[tokio::test]
    async fn output_that_only_a_dropped_reader_has_not_read_is_removed() {
        let buffer = CaptureBuffer::new(2, Duration::from_secs(3600));
        let (dropped, mut reader) = (buffer.attach(), buffer.attach());
        text(&buffer, "x");
        text(&buffer, "x");
        assert!(next(&mut reader).await.is_some());
        assert!(next(&mut reader).await.is_some());
        drop(dropped);
        assert_eq!(text(&buffer, "x"), 0, "no output that a reader needs was dropped");
    }

    #[test]
    fn prints_do_not_block_after_the_deadline() {
        let buffer = CaptureBuffer::new(2, Duration::from_secs(3600));
        let _reader = buffer.attach();
        let writer = std::thread::spawn({
            let buffer = Arc::clone(&buffer);
            move || (0..100).map(|_| text(&buffer, "x")).max()
        });
        buffer.set_deadline(Instant::now());
        assert_eq!(writer.join().expect("no panic"), Some(98));
    }

    #[test]
    fn a_chunk_larger_than_the_buffer_passes() {
        let buffer = CaptureBuffer::new(2, Duration::ZERO);
        assert_eq!(text(&buffer, "much too long"), 0);
        assert_eq!(buffer.lock().chunks.len(), 1);
    }
}
