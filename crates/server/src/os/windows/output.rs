//! A handle to write to whose reader may have stopped reading.

use std::{
    fs::File,
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// How many bytes one write to a pipe takes, where the caller divides: the usual capacity of a pipe.
pub(crate) const PIPE_BUF: usize = 4096;

/// A handle whose reader may have stopped reading. Its user waits for room, and not longer than it wants to.
///
/// Windows shows the room of no pipe, and a write to a full one blocks. A thread writes therefore, and is waited for up to a
/// second. While it is blocked, there is no room.
#[derive(Debug)]
pub(crate) struct Output(Arc<Shared>);

/// What an [`Output`] and its thread share.
#[derive(Debug)]
struct Shared {
    file: File,
    state: Mutex<State>,
    /// Notified when the thread has something to do, and when it has done it.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The bytes that the thread is to write.
    next: Option<Vec<u8>>,
    /// Whether the thread is writing.
    writing: bool,
    started: bool,
    /// Why nothing can be written any more.
    failed: Option<io::ErrorKind>,
    /// The output was dropped. The thread ends after its last write.
    dropped: bool,
}

impl State {
    fn is_busy(&self) -> bool {
        self.writing || self.next.is_some()
    }
}

impl Output {
    /// Writes to this file.
    pub(crate) fn to(file: File) -> Self {
        Self(Arc::new(Shared { file, state: Mutex::default(), changed: Condvar::new() }))
    }

    /// As [`to`](Self::to): each output fails when there is no room.
    pub(crate) fn to_reopened(file: File) -> Self {
        Self::to(file)
    }

    /// Whether a write fails when there is no room.
    pub(crate) fn fails_when_full(&self) -> bool {
        true
    }

    /// Waits until the bytes of the last write have been written, or a write would fail at once.
    ///
    /// # Errors
    /// `TimedOut` after `timeout`.
    pub(crate) fn wait_for_room(&self, timeout: Duration) -> io::Result<()> {
        if self.0.wait_until_written(self.0.lock(), timeout).is_busy() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    /// Duplicates the handle.
    pub(crate) fn try_clone_file(&self) -> io::Result<File> {
        self.0.file.try_clone()
    }
}

impl Write for &Output {
    /// Has all bytes written, and waits for it up to [`TIMEOUT`]. After this time they are still written as soon as there is
    /// room, and further writes fail with `WouldBlock` until then.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        if state.is_busy() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if let Some(kind) = state.failed {
            return Err(kind.into());
        }
        if !state.started {
            let shared = Arc::clone(&self.0);
            let thread = thread::Builder::new().name("rpcplugin-output".to_owned()).stack_size(64 << 10);
            thread.spawn(move || shared.write_all())?;
            state.started = true;
        }
        state.next = Some(bytes.to_vec());
        self.0.changed.notify_all();
        match self.0.wait_until_written(state, TIMEOUT).failed {
            Some(kind) => Err(kind.into()),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.0.lock().dropped = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    /// Writes what comes, until the output is dropped or a write fails.
    fn write_all(&self) {
        loop {
            let idle = |state: &mut State| state.next.is_none() && !state.dropped;
            let mut state =
                self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
            let Some(bytes) = state.next.take() else { return };
            state.writing = true;
            drop(state);
            let written = (&self.file).write_all(&bytes);
            let mut state = self.lock();
            state.writing = false;
            state.failed = written.err().map(|error| error.kind());
            let failed = state.failed.is_some();
            drop(state);
            self.changed.notify_all();
            if failed {
                return;
            }
        }
    }

    fn wait_until_written<'a>(
        &self,
        state: MutexGuard<'a, State>,
        timeout: Duration,
    ) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout_while(state, timeout, |state| state.is_busy());
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics in the middle of a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a write is waited for. A busy host reads within this time.
const TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::os::pipe;

    #[test]
    fn a_full_pipe_has_no_room_until_its_reader_reads() {
        let (mut read, write) = pipe().expect("a pipe");
        let output = Output::to(write);
        let bytes = vec![b'x'; 1 << 20];
        assert_eq!((&output).write(&bytes).expect("handed over"), bytes.len());
        let error = (&output).write(&bytes).expect_err("the pipe is full");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        let error = output.wait_for_room(Duration::ZERO).expect_err("the pipe is full");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let mut all = vec![0; bytes.len()];
        read.read_exact(&mut all).expect("read");
        assert_eq!(all, bytes);
        output.wait_for_room(Duration::from_secs(60)).expect("there is room");
        (&output).write_all(b"y").expect("written");
        drop(output);
        all.clear();
        read.read_to_end(&mut all).expect("the thread has closed the pipe");
        assert_eq!(all, b"y");
    }
}
