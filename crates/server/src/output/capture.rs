//! Standard output and error, captured at the level of file descriptors.

use std::{
    cell::Cell,
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
    thread,
    time::Duration,
};

use bytes::Bytes;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    pipe::{PipeFlags, pipe_with},
    stdio,
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
    /// Closed to tell the thread to read what is left and to end.
    stop: Option<OwnedFd>,
    thread: Option<thread::JoinHandle<()>>,
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
        let real = match tee {
            Tee::Yes => Some((Copy::to(stdout.try_clone()?), Copy::to(stderr.try_clone()?))),
            Tee::No => None,
        };
        let pipes = Pipes {
            stdout: File::from(from_stdout),
            stderr: File::from(from_stderr),
            stopped,
            output: Arc::clone(&output),
            real,
        };
        let thread = thread::Builder::new()
            .name("rpcplugin-stdio".to_owned())
            .stack_size(128 << 10)
            .spawn(move || pipes.forward())?;
        let this = Self { stdout, stderr, output, tee, stop: Some(stop), thread: Some(thread) };
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

    /// Puts the real descriptors back, and returns when everything printed before has been handed to the output.
    pub(crate) fn finish(&mut self) {
        let Some(stop) = self.stop.take() else { return };
        self.output.hurry();
        let _ = io::stdout().flush();
        // These cannot fail for descriptors that are open; if they did, prints would go on into the pipes.
        let _ = stdio::dup2_stdout(&self.stdout);
        let _ = stdio::dup2_stderr(&self.stderr);
        drop(stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The reading ends, owned by the thread.
struct Pipes {
    stdout: File,
    stderr: File,
    stopped: OwnedFd,
    output: Arc<Output>,
    /// The real descriptors, if they get everything too.
    real: Option<(Copy, Copy)>,
}

impl Pipes {
    fn forward(self) {
        let mut buffer = vec![0; READ_SIZE];
        let mut warned = false;
        // A pipe ends when nobody has its writing end: not before the real descriptors are back.
        let (mut out_open, mut err_open, mut stopping) = (true, true, false);
        while out_open || err_open {
            // While stopping, only what is there already counts: a program that the plugin started may keep its end.
            let mut fds = [
                PollFd::from_borrowed_fd(self.stdout.as_fd(), wanted(out_open)),
                PollFd::from_borrowed_fd(self.stderr.as_fd(), wanted(err_open)),
                PollFd::from_borrowed_fd(self.stopped.as_fd(), wanted(!stopping)),
            ];
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            match poll(&mut fds, stopping.then_some(&at_once)) {
                Ok(0) => break,
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => break,
            }
            let [stdout, stderr, stopped] = fds.map(|fd| !fd.revents().is_empty());
            let before = warned;
            if stdout && out_open {
                out_open = self.pass_on(Source::Stdout, &self.stdout, &mut buffer, &mut warned);
            }
            if stderr && err_open {
                err_open = self.pass_on(Source::Stderr, &self.stderr, &mut buffer, &mut warned);
            }
            if warned && !before {
                tracing::warn!("the host does not read the plugin's output: the oldest is being dropped");
            }
            stopping |= stopped;
        }
    }

    /// Hands on what one pipe has. Returns whether it is still open.
    fn pass_on(&self, source: Source, mut pipe: &File, buffer: &mut [u8], dropping: &mut bool) -> bool {
        let read = match pipe.read(buffer) {
            Ok(0) => return false,
            Ok(read) => read,
            Err(error) => return error.kind() == io::ErrorKind::Interrupted,
        };
        if let Some((stdout, stderr)) = &self.real {
            let real = if source == Source::Stdout { stdout } else { stderr };
            real.write(&buffer[..read]);
        }
        let data = Bytes::copy_from_slice(&buffer[..read]);
        for start in (0..read).step_by(CHUNK_SIZE) {
            let chunk = data.slice(start..read.min(start + CHUNK_SIZE));
            *dropping |= self.output.push(source, chunk) > 0;
        }
        true
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

/// What to poll for: nothing at all on a descriptor that is done with.
fn wanted(open: bool) -> PollFlags {
    if open { PollFlags::IN } else { PollFlags::empty() }
}

/// What fits at once into a pipe that has room: `PIPE_BUF`.
const ATOMIC: usize = 4096;

/// Long enough for a pager to be noticed by the person before it.
const COPY_PATIENCE: Duration = Duration::from_secs(2);

/// The default capacity of a pipe on Linux.
const READ_SIZE: usize = 64 << 10;

/// What Go's plugins send at most in one message, and Terraform shows of one.
const CHUNK_SIZE: usize = 1024;
