//! A bounded buffer between a plugin that prints and hosts that may or may not read.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::Notify;

/// Where something was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Stdout,
    Stderr,
}

/// What was printed and not yet read by every host.
///
/// Without a reader the oldest output makes room for the newest at once: nobody may ever come. With one, whoever
/// prints is held up while the buffer is full, as a pipe would do, but only for so long: a host that has stopped
/// reading must not stop its plugin.
#[derive(Debug)]
pub(crate) struct Output {
    capacity: usize,
    patience: Duration,
    state: Mutex<State>,
    /// Something came, or nothing will come any more.
    readable: Notify,
    /// A reader took something, came or left.
    room: Condvar,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<(Source, Bytes)>,
    /// The number of the chunk in front.
    first: u64,
    bytes: usize,
    readers: Vec<Place>,
    next_reader: u64,
    dropped: u64,
    /// Until when readers are waited for at all, because the plugin is ending.
    last: Option<Instant>,
    closed: bool,
}

/// How far one reader has come.
#[derive(Debug)]
struct Place {
    reader: u64,
    /// The number of its next chunk.
    next: u64,
    /// It has used up the patience, and not read since: it is not waited for again.
    stalled: bool,
}

/// One host's place in the output. Dropping it leaves what it has not read for the next.
#[derive(Debug)]
pub(crate) struct Reader {
    output: Arc<Output>,
    number: u64,
}

impl Output {
    pub(crate) fn new(capacity: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            capacity,
            patience,
            state: Mutex::default(),
            readable: Notify::new(),
            room: Condvar::new(),
        })
    }

    /// Adds what was printed. Blocks while a reader is behind, but for no longer than the patience without any
    /// progress; after that, not for this reader until it reads again. Returns how many bytes of output have been
    /// dropped since the start.
    pub(crate) fn push(&self, source: Source, data: Bytes) -> u64 {
        let mut state = self.lock();
        let mut deadline = Instant::now() + self.patience;
        while state.bytes + data.len() > self.capacity && !state.chunks.is_empty() {
            if state.closed {
                return state.dropped;
            }
            let until = state.last.map_or(deadline, |last| last.min(deadline));
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.give_up();
            }
            if !state.is_awaited() {
                state.drop_oldest();
                continue;
            }
            let before = state.first;
            state = self.room.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            if state.first != before {
                deadline = Instant::now() + self.patience;
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

    /// Nobody who prints is held up beyond this moment.
    pub(crate) fn hurry(&self, last: Instant) {
        self.lock().last = Some(last);
        self.room.notify_all();
    }

    /// Nothing more will be printed. Readers get what there is, and then the end.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.readable.notify_waiters();
        self.room.notify_all();
    }

    /// A new reader, from the oldest output that is kept.
    pub(crate) fn attach(self: &Arc<Self>) -> Reader {
        let mut state = self.lock();
        let number = state.next_reader;
        state.next_reader += 1;
        let next = state.first;
        state.readers.push(Place { reader: number, next, stalled: false });
        Reader { output: Arc::clone(self), number }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics while it holds the lock half-way through a change.
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
        for place in &mut self.readers {
            place.next = place.next.max(self.first);
        }
    }

    /// The readers that have not read the oldest chunk.
    fn behind(&mut self) -> impl Iterator<Item = &mut Place> {
        let first = self.first;
        self.readers.iter_mut().filter(move |place| place.next == first)
    }

    /// Whether there is room only once a reader has read, and that is to be expected.
    fn is_awaited(&mut self) -> bool {
        self.behind().any(|place| !place.stalled)
    }

    fn give_up(&mut self) {
        self.behind().for_each(|place| place.stalled = true);
    }

    /// The next chunk for a reader.
    fn take(&mut self, reader: u64) -> Option<(Source, Bytes)> {
        let place = self.readers.iter_mut().find(|place| place.reader == reader)?;
        let chunk = self.chunks.get(usize::try_from(place.next - self.first).ok()?)?.clone();
        place.next += 1;
        place.stalled = false;
        self.forget_read();
        Some(chunk)
    }

    /// What every reader has is done with; without a reader everything is kept for the next.
    fn forget_read(&mut self) {
        let slowest = self.readers.iter().map(|place| place.next).min().unwrap_or(self.first);
        while self.first < slowest {
            if let Some((_, data)) = self.chunks.pop_front() {
                self.bytes -= data.len();
            }
            self.first += 1;
        }
    }
}

impl Reader {
    /// The next output, or `None` when there will be no more.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Option<(Source, Bytes)> {
        loop {
            let readable = self.output.readable.notified();
            {
                let mut state = self.output.lock();
                if let Some(chunk) = state.take(self.number) {
                    self.output.room.notify_all();
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
        let mut state = self.output.lock();
        state.readers.retain(|place| place.reader != self.number);
        state.forget_read();
        drop(state);
        self.output.room.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(output: &Output, text: &'static str) -> u64 {
        output.push(Source::Stdout, Bytes::from_static(text.as_bytes()))
    }

    async fn next(reader: &mut Reader) -> Option<Bytes> {
        reader.next().await.map(|(_, data)| data)
    }

    #[tokio::test]
    async fn keeps_the_newest_while_nobody_reads() {
        let output = Output::new(6, Duration::from_secs(3600));
        assert_eq!(text(&output, "abc"), 0);
        assert_eq!(text(&output, "def"), 0);
        assert_eq!(text(&output, "ghi"), 3, "the oldest made room, at once");
        let mut reader = output.attach();
        assert_eq!(next(&mut reader).await.as_deref(), Some(&b"def"[..]));
        output.close();
        assert_eq!(next(&mut reader).await.as_deref(), Some(&b"ghi"[..]));
        assert_eq!(next(&mut reader).await, None);
    }

    #[tokio::test]
    async fn every_reader_gets_everything_and_the_next_one_the_rest() {
        let output = Output::new(100, Duration::from_secs(3600));
        let (mut one, mut two) = (output.attach(), output.attach());
        text(&output, "a");
        text(&output, "b");
        assert_eq!(next(&mut one).await.as_deref(), Some(&b"a"[..]));
        assert_eq!(next(&mut two).await.as_deref(), Some(&b"a"[..]));
        drop(one);
        drop(two);
        let mut three = output.attach();
        assert_eq!(next(&mut three).await.as_deref(), Some(&b"b"[..]));
    }

    #[tokio::test]
    async fn a_slow_reader_holds_up_the_writer_and_loses_nothing() {
        let output = Output::new(2, Duration::from_secs(3600));
        let mut reader = output.attach();
        let writer = std::thread::spawn({
            let output = Arc::clone(&output);
            move || (0..100).map(|_| text(&output, "x")).max()
        });
        for _ in 0..100 {
            assert!(next(&mut reader).await.is_some());
        }
        assert_eq!(writer.join().expect("no panic"), Some(0));
    }

    #[test]
    fn a_reader_that_has_stopped_reading_is_waited_for_only_so_long() {
        let output = Output::new(2, Duration::ZERO);
        let _reader = output.attach();
        let dropped = (0..100).map(|_| text(&output, "x")).max();
        assert_eq!(dropped, Some(98));
    }

    #[test]
    fn a_stalled_reader_is_waited_for_once() {
        let patience = Duration::from_millis(50);
        let output = Output::new(2, patience);
        let _reader = output.attach();
        let begin = Instant::now();
        let dropped = (0..100).map(|_| text(&output, "x")).max();
        assert_eq!(dropped, Some(98));
        assert!(begin.elapsed() < 10 * patience, "{:?}", begin.elapsed());
    }

    #[tokio::test]
    async fn one_that_reads_does_not_bring_back_the_wait_for_one_that_has_stalled() {
        let patience = Duration::from_millis(100);
        let output = Output::new(2, patience);
        let (_stalled, mut reader) = (output.attach(), output.attach());
        let begin = Instant::now();
        for _ in 0..100 {
            text(&output, "x");
            assert!(next(&mut reader).await.is_some());
        }
        assert!(begin.elapsed() < 20 * patience, "{:?}", begin.elapsed());
    }

    #[tokio::test]
    async fn one_that_leaves_takes_along_what_only_it_had_not_read() {
        let output = Output::new(2, Duration::from_secs(3600));
        let (gone, mut reader) = (output.attach(), output.attach());
        text(&output, "x");
        text(&output, "x");
        assert!(next(&mut reader).await.is_some());
        assert!(next(&mut reader).await.is_some());
        drop(gone);
        assert_eq!(text(&output, "x"), 0, "nothing was dropped, for nobody lacks it");
    }

    #[test]
    fn an_ending_plugin_waits_for_nobody() {
        let output = Output::new(2, Duration::from_secs(3600));
        let _reader = output.attach();
        let writer = std::thread::spawn({
            let output = Arc::clone(&output);
            move || (0..100).map(|_| text(&output, "x")).max()
        });
        output.hurry(Instant::now());
        assert_eq!(writer.join().expect("no panic"), Some(98));
    }

    #[test]
    fn a_chunk_larger_than_the_buffer_still_passes() {
        let output = Output::new(2, Duration::ZERO);
        assert_eq!(text(&output, "much too long"), 0);
        assert_eq!(output.lock().chunks.len(), 1);
    }
}
