//! Stdout and stderr, captured at the level of file descriptors.

use std::{
    cell::Cell,
    fs::File,
    io::{self, Read as _, Write as _},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{
    sync::oneshot,
    task::spawn_blocking,
    time::{timeout, timeout_at},
};

use super::{
    buffer::{CaptureBuffer, Source},
    original_stderr::OriginalStderr,
};
use crate::os::{self, Output};

/// While this lives, file descriptors 1 and 2 are pipes that lead into a [`CaptureBuffer`]: the output of `println!`, of C
/// code and of programs that the plugin starts is captured. Dropping it restores the original descriptors.
///
/// A thread reads the pipes. A task could not: a handler that prints more than a pipe holds would block the thread on which
/// that task has to run.
#[derive(Debug)]
pub(crate) struct Capture {
    stdout: File,
    stderr: File,
    buffer: Arc<CaptureBuffer>,
    tee: Tee,
    thread: Option<Thread>,
}

/// The thread that reads the pipes.
#[derive(Debug)]
struct Thread {
    /// Dropped to make the thread read what is left and end.
    stop: Stop,
    /// Closed when the thread ends.
    ended: oneshot::Receiver<()>,
}

/// A pipe that stops the thread, by a byte and by its end: [`os::readable`] may see only bytes.
#[derive(Debug)]
struct Stop {
    write: File,
    /// Kept, so that the byte is no broken pipe after the thread has ended.
    _read: Arc<File>,
}

impl Drop for Stop {
    fn drop(&mut self) {
        // A pipe that is open has room for a byte.
        let _ = self.write.write_all(&[0]);
    }
}

/// Whether captured output is written to the original descriptors too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tee {
    Yes,
    No,
}

impl Capture {
    /// Captures from now on.
    ///
    /// # Errors
    /// When the process is out of file descriptors or threads. Nothing is captured then.
    pub(crate) fn start(buffer: Arc<CaptureBuffer>, tee: Tee) -> io::Result<Self> {
        // The logger must duplicate the original stderr before descriptor 2 is replaced.
        OriginalStderr::get()?;
        io::stdout().flush()?;
        let stdout = os::clone_stdout()?;
        let stderr = os::clone_stderr()?;
        let (from_stdout, to_stdout) = os::pipe()?;
        let (from_stderr, to_stderr) = os::pipe()?;
        let (stopped, write) = os::pipe()?;
        let stopped = Arc::new(stopped);
        let stop = Stop { write, _read: Arc::clone(&stopped) };
        let copy = |original: &File| match tee {
            Tee::Yes => original.try_clone().map(Copy::to).map(Some),
            Tee::No => Ok(None),
        };
        let pipes = Pipes {
            open: vec![
                Pipe::new(Source::Stdout, from_stdout, copy(&stdout)?),
                Pipe::new(Source::Stderr, from_stderr, copy(&stderr)?),
            ],
            stopped,
            buffer: Arc::clone(&buffer),
        };
        let (ends, ended) = oneshot::channel::<()>();
        thread::Builder::new().name("rpcplugin-stdio".to_owned()).stack_size(128 << 10).spawn(move || {
            pipes.forward();
            drop(ends);
        })?;
        let this = Self { stdout, stderr, buffer, tee, thread: Some(Thread { stop, ended }) };
        // From here on, dropping `this` undoes everything.
        os::replace_stdout(&to_stdout)?;
        os::replace_stderr(&to_stderr)?;
        Ok(this)
    }

    /// Closes the original stdout, unless captured output is written there too. It cannot be restored after this.
    ///
    /// # Protocol
    /// go-plugin 1.6.0 (Terraform 1.11) logs an error when it closes its end of stdout before it has read the end of the
    /// stream. This happens with one process in five whose stdout and stderr end together. A plugin whose stdout ends first
    /// avoids it.
    pub(crate) fn release_stdout(&mut self) {
        if self.tee == Tee::Yes {
            return;
        }
        if let Ok(null) = os::open_null() {
            self.stdout = null;
        }
    }

    /// Restores the original descriptors. Returns when everything that was printed before is in the buffer. Waits for slow
    /// hosts until `deadline`.
    ///
    /// Programs that the plugin has started may keep the pipes open. Their end is not waited for.
    pub(crate) async fn finish(&mut self, deadline: Instant) {
        self.buffer.set_deadline(deadline);
        // A thread that is blocked in a print holds the lock that the flush needs.
        let flush = spawn_blocking(|| io::stdout().flush());
        let _ = timeout_at(deadline.into(), flush).await;
        if let Some(Thread { stop, ended }) = self.restore() {
            drop(stop);
            let left = deadline.saturating_duration_since(Instant::now()) + LAST_READS;
            let _ = timeout(left, ended).await;
        }
    }

    /// Restores the original descriptors.
    fn restore(&mut self) -> Option<Thread> {
        let thread = self.thread.take()?;
        // These do not fail for descriptors that are open. If they did, prints would go on into the pipes.
        let _ = os::replace_stdout(&self.stdout);
        let _ = os::replace_stderr(&self.stderr);
        Some(thread)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if self.restore().is_some() {
            self.buffer.set_deadline(Instant::now());
        }
    }
}

/// The pipes, owned by the thread.
struct Pipes {
    /// The pipes that have not ended. `poll` would report an ended pipe each time.
    open: Vec<Pipe>,
    /// Has a byte, and ends, when the thread is to stop.
    stopped: Arc<File>,
    buffer: Arc<CaptureBuffer>,
}

/// The reading end of one pipe.
struct Pipe {
    source: Source,
    end: File,
    /// The original descriptor, if captured output is written there too.
    copy: Option<Copy>,
    /// How many bytes are still read once the thread is stopping.
    left: usize,
}

impl Pipes {
    fn forward(mut self) {
        let mut chunk = vec![0; READ_SIZE];
        let (mut stopping, mut warned) = (false, false);
        // A pipe ends when its last writing end is closed. This is after the original descriptors are back, unless the
        // plugin itself has replaced them.
        while !self.open.is_empty() {
            let Some(ready) = self.wait(stopping) else { break };
            let mut dropping = warned;
            let mut ready = ready.into_iter();
            self.open.retain_mut(|pipe| {
                !ready.next().unwrap_or(false)
                    || pipe.forward(&self.buffer, &mut chunk, stopping, &mut dropping)
            });
            if dropping && !warned {
                tracing::warn!("the host does not read the plugin's output: the oldest is being dropped");
            }
            warned = dropping;
            stopping |= ready.next().unwrap_or(false);
        }
    }

    /// Waits until a pipe can be read. Returns which of the open pipes can, and as the last item whether the thread is to stop.
    /// Once the thread is stopping, this does not wait: a program that the plugin started may keep its end open.
    fn wait(&self, stopping: bool) -> Option<Vec<bool>> {
        let pipes = self.open.iter().map(|pipe| &pipe.end);
        let stopped = (!stopping).then_some(&*self.stopped);
        os::readable(pipes.chain(stopped), stopping.then_some(Duration::ZERO))
    }
}

impl Pipe {
    fn new(source: Source, end: File, copy: Option<Copy>) -> Self {
        Self { source, end, copy, left: LAST_BYTES }
    }

    /// Forwards what the pipe holds. Returns whether there may be more.
    fn forward(
        &mut self,
        buffer: &CaptureBuffer,
        chunk: &mut [u8],
        stopping: bool,
        dropping: &mut bool,
    ) -> bool {
        let read = match self.end.read(chunk) {
            // On Windows a write of no bytes can be read, too.
            Ok(0) => return !os::is_ended(&self.end),
            Ok(read) => read,
            Err(error) => return error.kind() == io::ErrorKind::Interrupted,
        };
        if let Some(copy) = &self.copy {
            copy.write(&chunk[..read]);
        }
        let data = Bytes::copy_from_slice(&chunk[..read]);
        for start in (0..read).step_by(CHUNK_SIZE) {
            let chunk = data.slice(start..read.min(start + CHUNK_SIZE));
            *dropping |= buffer.push(self.source, chunk) > 0;
        }
        if stopping {
            self.left = self.left.saturating_sub(read);
        }
        self.left > 0
    }
}

/// One of the original descriptors, to which captured output is written too. Its reader may be slow. If the reader stops,
/// output is left out until there is room again, because hosts wait for the same output.
struct Copy {
    original: Output,
    stalled: Cell<bool>,
}

impl Copy {
    fn to(original: File) -> Self {
        Self { original: Output::to(original), stalled: Cell::new(false) }
    }

    fn write(&self, data: &[u8]) {
        for piece in data.chunks(os::PIPE_BUF) {
            let timeout = if self.stalled.get() { Duration::ZERO } else { COPY_TIMEOUT };
            let room = self.original.wait_for_room(timeout);
            self.stalled.set(room.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut));
            if !self.stalled.get() {
                // If the reader has closed its end, hosts still get the output.
                let _ = (&self.original).write_all(piece);
            }
        }
    }
}

/// How long one piece waits for the reader of an original descriptor: long enough for a person to notice a pager.
const COPY_TIMEOUT: Duration = Duration::from_secs(2);

/// How many bytes of a pipe are read after the end: the largest capacity that an unprivileged user can set. A program that
/// goes on printing is cut off.
const LAST_BYTES: usize = 1 << 20;

/// How long the thread has to read what the pipes hold when it does not wait for a host.
const LAST_READS: Duration = Duration::from_millis(100);

/// How many bytes one read takes: the default capacity of a pipe on Linux.
const READ_SIZE: usize = 64 << 10;

/// How many bytes one message carries at most, as in Go's plugins. Terraform shows no more of one message.
const CHUNK_SIZE: usize = 1024;
