//! The real stderr, written to in whole records and without waiting for ever.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use rpcplugin_hclog::{Level, Record, Sink};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

/// The process's stderr as it was when it started, whatever becomes of file descriptor 2 later.
///
/// A line that cannot be written, because the host is gone, is lost without a word. A host that does not read is waited
/// for once, for a second; until it reads again lines are dropped, and then one says how many.
#[derive(Clone, Debug)]
pub struct RealStderr(Arc<Mutex<Lines>>);

impl RealStderr {
    /// The real stderr. To be called for the first time before a plugin serves.
    ///
    /// # Errors
    /// When the process is out of file descriptors.
    pub fn get() -> io::Result<Self> {
        // A process has one stderr, so this is one of the few things that there may be one of.
        static REAL: OnceLock<RealStderr> = OnceLock::new();
        if let Some(real) = REAL.get() {
            return Ok(real.clone());
        }
        let lines = Lines::to(io::stderr().as_fd().try_clone_to_owned()?);
        Ok(REAL.get_or_init(|| Self(Arc::new(Mutex::new(lines)))).clone())
    }

    pub(crate) fn try_clone_fd(&self) -> io::Result<OwnedFd> {
        self.lock().file.as_fd().try_clone_to_owned()
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for RealStderr {
    fn write_line(&self, line: &[u8]) {
        self.lock().write(line);
    }
}

/// Whole lines on a descriptor that may have no room for them.
#[derive(Debug)]
struct Lines {
    file: File,
    /// Whether a write for which there is no room fails, so that nobody has to ask before.
    fails_when_full: bool,
    /// The end of a line that has been written in part. It goes before anything else.
    rest: Vec<u8>,
    /// Whoever reads has used up the patience, and is not waited for again before there is room.
    stalled: bool,
    /// How many lines have been left out and not been told of.
    dropped: u64,
}

impl Lines {
    fn to(fd: OwnedFd) -> Self {
        let (file, fails_when_full) = match reopened(&fd) {
            Some(again) => (again, true),
            None => (fd, false),
        };
        Self { file: File::from(file), fails_when_full, rest: Vec::new(), stalled: false, dropped: 0 }
    }

    fn write(&mut self, line: &[u8]) {
        let mut wait = Wait::default();
        // A full pipe may still take a few bytes. Only room for a whole page says that somebody reads again.
        if self.stalled && !self.has_room(&mut wait)
            || !(self.finish(&mut wait) && self.confess(&mut wait) && self.begin(line, &mut wait))
        {
            self.dropped += 1;
        }
    }

    /// Writes what is left of the line before. Returns whether the next may follow.
    fn finish(&mut self, wait: &mut Wait) -> bool {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            self.rest = self.put(&rest, wait).to_vec();
        }
        self.rest.is_empty()
    }

    /// Tells what has been left out. Returns whether the next line may follow.
    fn confess(&mut self, wait: &mut Wait) -> bool {
        if self.dropped > 0 {
            let record =
                Record::new(Level::Warn, "the host did not read the plugin's log: records were dropped")
                    .with_module(module_path!())
                    .with_field("dropped", self.dropped);
            if !self.begin(record.to_line().as_bytes(), wait) {
                return false;
            }
            self.dropped = 0;
        }
        self.rest.is_empty()
    }

    /// Writes a line, or its beginning. Returns false if nothing of it could be written.
    fn begin(&mut self, line: &[u8], wait: &mut Wait) -> bool {
        let left = self.put(line, wait);
        if left.len() == line.len() && !line.is_empty() {
            return false;
        }
        self.rest.extend_from_slice(left);
        true
    }

    /// Writes what there is room for within the patience, and returns what is left.
    fn put<'a>(&mut self, mut bytes: &'a [u8], wait: &mut Wait) -> &'a [u8] {
        while !bytes.is_empty() {
            let piece = if self.fails_when_full { bytes } else { &bytes[..bytes.len().min(ATOMIC)] };
            if !self.fails_when_full && !self.has_room(wait) {
                return bytes;
            }
            match self.file.write(piece) {
                Ok(written @ 1..) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.has_room(wait) {
                        return bytes;
                    }
                }
                // Nobody is left to read it.
                Ok(_) | Err(_) => return &[],
            }
        }
        bytes
    }

    /// Waits for room, at most for what is left of the patience.
    fn has_room(&mut self, wait: &mut Wait) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.file.as_fd(), PollFlags::OUT)];
        loop {
            let left = if self.stalled { Duration::ZERO } else { wait.left() };
            match poll(&mut fds, Timespec::try_from(left).ok().as_ref()) {
                Err(Errno::INTR) => {}
                Ok(0) | Err(_) => {
                    self.stalled = true;
                    return false;
                }
                Ok(_) => {
                    self.stalled = false;
                    return true;
                }
            }
        }
    }
}

/// How long one line has been waiting, from the first time that there was no room.
#[derive(Default)]
struct Wait(Option<Instant>);

impl Wait {
    fn left(&mut self) -> Duration {
        let since = *self.0.get_or_insert_with(Instant::now);
        PATIENCE.saturating_sub(since.elapsed())
    }
}

/// The same pipe once more, so that writes to it fail when it is full. The other description of it is shared with whoever
/// else has this stderr, who would not expect that of it.
#[cfg(target_os = "linux")]
fn reopened(fd: &OwnedFd) -> Option<OwnedFd> {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{FileType, Mode, OFlags};

    let mode = rustix::fs::fstat(fd).ok()?.st_mode;
    if FileType::from_raw_mode(mode) != FileType::Fifo {
        return None;
    }
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    rustix::fs::open(path, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn reopened(_: &OwnedFd) -> Option<OwnedFd> {
    None
}

/// Long enough for a host that is busy.
const PATIENCE: Duration = Duration::from_secs(1);

/// What fits at once into a pipe that has room, as systems have in common that want more than POSIX: `PIPE_BUF`.
const ATOMIC: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;

    /// With and without a second description of the pipe.
    fn both() -> [(File, Lines); 2] {
        [true, false].map(|again| {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
            let mut lines = Lines::to(write.try_clone().unwrap());
            if !again {
                (lines.file, lines.fails_when_full) = (File::from(write), false);
            }
            (File::from(read), lines)
        })
    }

    fn line(number: usize, length: usize) -> Vec<u8> {
        let mut line = Record::new(Level::Info, "x".repeat(length)).with_field("number", number).to_line();
        line.shrink_to_fit();
        line.into_bytes()
    }

    #[test]
    fn what_is_not_read_is_dropped_in_whole_lines_and_counted() {
        for (mut read, mut lines) in both() {
            // Longer than what a pipe takes at once, and no divisor of its capacity.
            for number in 0..50 {
                lines.write(&line(number, 7000));
            }
            let dropped = lines.dropped;
            assert!(dropped > 30, "{dropped} were dropped");
            let reader = std::thread::spawn(move || {
                let mut all = String::new();
                read.read_to_string(&mut all).unwrap();
                all
            });
            // Dropped or not, it is one more: what is full now may be read a moment later.
            let mut written = 50;
            while lines.dropped > 0 || !lines.rest.is_empty() {
                lines.write(&line(written, 1));
                written += 1;
            }
            drop(lines);
            let all = reader.join().unwrap();
            let records: Vec<serde_json::Value> =
                all.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
            let told: u64 = records.iter().filter_map(|record| record["dropped"].as_u64()).sum();
            let came = records.iter().filter(|record| record.get("number").is_some()).count();
            assert!(told >= dropped);
            assert_eq!(came + usize::try_from(told).unwrap(), written);
        }
    }

    #[test]
    fn nobody_who_reads_is_nothing() {
        for (read, mut lines) in both() {
            drop(read);
            lines.write(&line(0, 1));
            assert_eq!((lines.dropped, lines.rest.len()), (0, 0));
        }
    }
}
