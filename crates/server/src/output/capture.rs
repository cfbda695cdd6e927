//! Standard output and error, captured at the level of file descriptors.

use std::{
    cell::Cell,
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    pipe::{PipeFlags, pipe_with},
    stdio,
};
use tokio::{
    sync::oneshot,
    task::spawn_blocking,
    time::{timeout, timeout_at},
};

use crate::{
    output::buffer::{Output, Source},
    real_stderr::RealStderr,
};

/// File descriptors 1 and 2 lead into an [`Output`] as long as this lives: `println!`, C code and programs that the
/// plugin starts are all seen. Dropping it puts the real ones back.
///
/// A thread of its own reads the pipes. A task would not do: a handler that prints more than a pipe holds would wait
/// for a task that waits for the very thread on which the handler runs.
#[derive(Debug)]
pub(crate) struct Capture {
    stdout: OwnedFd,
    stderr: OwnedFd,
    output: Arc<Output>,
    tee: Tee,
    thread: Option<Thread>,
}

/// What reads the pipes.
#[derive(Debug)]
struct Thread {
    /// Closed to tell it to read what is left and to end.
    stop: OwnedFd,
    /// Closed by its end.
    ended: oneshot::Receiver<()>,
}

/// Whether what is captured goes to the real descriptors too.
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
    pub(crate) fn start(output: Arc<Output>, tee: Tee) -> io::Result<Self> {
        // The logger must hold the real stderr before another takes its number.
        RealStderr::get()?;
        io::stdout().flush()?;
        let stdout = stdio::stdout().try_clone_to_owned()?;
        let stderr = stdio::stderr().try_clone_to_owned()?;
        let (from_stdout, to_stdout) = pipe_with(PipeFlags::CLOEXEC)?;
        let (from_stderr, to_stderr) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC)?;
        let copy = |real: &OwnedFd| match tee {
            Tee::Yes => real.try_clone().map(Copy::to).map(Some),
            Tee::No => Ok(None),
        };
        let pipes = Pipes {
            open: vec![
                Pipe::new(Source::Stdout, from_stdout, copy(&stdout)?),
                Pipe::new(Source::Stderr, from_stderr, copy(&stderr)?),
            ],
            stopped,
            output: Arc::clone(&output),
        };
        let (ends, ended) = oneshot::channel::<()>();
        thread::Builder::new().name("rpcplugin-stdio".to_owned()).stack_size(128 << 10).spawn(move || {
            pipes.forward();
            drop(ends);
        })?;
        let this = Self { stdout, stderr, output, tee, thread: Some(Thread { stop, ended }) };
        // From here on dropping `this` undoes everything.
        stdio::dup2_stdout(&to_stdout)?;
        stdio::dup2_stderr(&to_stderr)?;
        Ok(this)
    }

    /// Lets go of the real stdout for good, unless what is captured is written there too.
    ///
    /// # Protocol
    /// go-plugin 1.6.0 (Terraform 1.11) logs an error when it closes its end of stdout before it has seen the end, which
    /// happens to one process in five whose stdout and stderr end together. A plugin whose stdout ends first is safe.
    pub(crate) fn release_stdout(&mut self) {
        if self.tee == Tee::Yes {
            return;
        }
        if let Ok(null) = File::options().write(true).open("/dev/null") {
            // Failing leaves the real one, which is no worse than it was.
            let _ = rustix::io::dup2(&null, &mut self.stdout);
        }
    }

    /// Puts the real descriptors back, and returns when everything printed before has been handed to the output. Hosts
    /// that are behind are waited for until `last`.
    ///
    /// Programs that the plugin has started may hold the pipes for as long as they like: nothing waits for them.
    pub(crate) async fn finish(&mut self, last: Instant) {
        self.output.hurry(last);
        // Somebody who is held up in a print has the lock that this waits for.
        let flush = spawn_blocking(|| io::stdout().flush());
        let _ = timeout_at(last.into(), flush).await;
        if let Some(Thread { stop, ended }) = self.let_go() {
            drop(stop);
            let left = last.saturating_duration_since(Instant::now()) + LAST_READS;
            let _ = timeout(left, ended).await;
        }
    }

    /// Puts the real descriptors back.
    fn let_go(&mut self) -> Option<Thread> {
        let thread = self.thread.take()?;
        // These cannot fail for descriptors that are open; if they did, prints would go on into the pipes.
        let _ = stdio::dup2_stdout(&self.stdout);
        let _ = stdio::dup2_stderr(&self.stderr);
        Some(thread)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if self.let_go().is_some() {
            self.output.hurry(Instant::now());
        }
    }
}

/// What the thread owns.
struct Pipes {
    /// Those that somebody can still write to. A pipe that has ended would be reported by every poll.
    open: Vec<Pipe>,
    stopped: OwnedFd,
    output: Arc<Output>,
}

/// The reading end of one.
struct Pipe {
    source: Source,
    end: File,
    /// The real descriptor, if it gets everything too.
    copy: Option<Copy>,
    /// How much of it is still read once everybody has been told to stop.
    left: usize,
}

impl Pipes {
    fn forward(mut self) {
        let mut buffer = vec![0; READ_SIZE];
        let (mut stopping, mut warned) = (false, false);
        // A pipe ends when nobody has its writing end: not before the real descriptors are back, unless the plugin has
        // put something else in its place.
        while !self.open.is_empty() {
            let Some(ready) = self.wait(stopping) else { break };
            let mut dropping = warned;
            let mut ready = ready.into_iter();
            self.open.retain_mut(|pipe| {
                !ready.next().unwrap_or(false)
                    || pipe.pass_on(&self.output, &mut buffer, stopping, &mut dropping)
            });
            if dropping && !warned {
                tracing::warn!("the host does not read the plugin's output: the oldest is being dropped");
            }
            warned = dropping;
            stopping |= ready.next().unwrap_or(false);
        }
    }

    /// Waits for something to read, and tells which of the open pipes have it, and at last whether to stop. Once stopping,
    /// only what is there already counts, since a program that the plugin started may keep its end.
    fn wait(&self, stopping: bool) -> Option<Vec<bool>> {
        let pipes = self.open.iter().map(|pipe| pipe.end.as_fd());
        let stopped = (!stopping).then_some(self.stopped.as_fd());
        let mut fds: Vec<_> =
            pipes.chain(stopped).map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        loop {
            match poll(&mut fds, stopping.then_some(&at_once)) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(0) | Err(_) => return None,
                Ok(_) => return Some(fds.iter().map(|fd| !fd.revents().is_empty()).collect()),
            }
        }
    }
}

impl Pipe {
    fn new(source: Source, end: OwnedFd, copy: Option<Copy>) -> Self {
        Self { source, end: File::from(end), copy, left: LAST_BYTES }
    }

    /// Hands on what the pipe has. Returns whether there may be more.
    fn pass_on(&mut self, output: &Output, buffer: &mut [u8], stopping: bool, dropping: &mut bool) -> bool {
        let read = match self.end.read(buffer) {
            Ok(0) => return false,
            Ok(read) => read,
            Err(error) => return error.kind() == io::ErrorKind::Interrupted,
        };
        if let Some(copy) = &self.copy {
            copy.write(&buffer[..read]);
        }
        let data = Bytes::copy_from_slice(&buffer[..read]);
        for start in (0..read).step_by(CHUNK_SIZE) {
            let chunk = data.slice(start..read.min(start + CHUNK_SIZE));
            *dropping |= output.push(self.source, chunk) > 0;
        }
        if stopping {
            self.left = self.left.saturating_sub(read);
        }
        self.left > 0
    }
}

/// One of the real descriptors, for what goes there too. Whoever reads it may be slow, but not stop: then what comes is
/// left out until there is room again, because hosts wait for the same output.
struct Copy {
    real: File,
    stalled: Cell<bool>,
}

impl Copy {
    fn to(real: OwnedFd) -> Self {
        Self { real: File::from(real), stalled: Cell::new(false) }
    }

    fn write(&self, data: &[u8]) {
        for piece in data.chunks(ATOMIC) {
            let patience = if self.stalled.get() { Duration::ZERO } else { COPY_PATIENCE };
            let patience = Timespec::try_from(patience).ok();
            let mut fds = [PollFd::from_borrowed_fd(self.real.as_fd(), PollFlags::OUT)];
            self.stalled.set(poll(&mut fds, patience.as_ref()) == Ok(0));
            if !self.stalled.get() {
                // Somebody who has gone is no reason to stop.
                let _ = (&self.real).write_all(piece);
            }
        }
    }
}

/// What fits at once into a pipe that has room: `PIPE_BUF`.
const ATOMIC: usize = 4096;

/// Long enough for a pager to be noticed by the person before it.
const COPY_PATIENCE: Duration = Duration::from_secs(2);

/// What may have been printed before the end: as much as the largest pipe that an ordinary user may have. A program that
/// goes on printing is cut off.
const LAST_BYTES: usize = 1 << 20;

/// For reading what the pipes hold, when no host has to be waited for.
const LAST_READS: Duration = Duration::from_millis(100);

/// The default capacity of a pipe on Linux.
const READ_SIZE: usize = 64 << 10;

/// What Go's plugins send at most in one message, and Terraform shows of one.
const CHUNK_SIZE: usize = 1024;
