//! The original stderr, written to in whole records and without blocking for long.

use std::{
    fs::File,
    io::{self, Write as _},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use rpcplugin_hclog::{Level, Record, Sink};

use crate::os::{self, Output};

/// The process's stderr as it was at the start, whatever file descriptor 2 becomes later.
///
/// A write waits up to a second for a host that does not read. After that, lines are dropped at once until the host reads
/// again. One record then reports how many lines were dropped. If the host has exited, lines are discarded.
#[derive(Clone, Debug)]
pub struct OriginalStderr(Arc<Mutex<Lines>>);

impl OriginalStderr {
    /// Returns the original stderr. Call this once before the plugin serves: the first call duplicates the descriptor.
    ///
    /// # Errors
    /// When the process is out of file descriptors.
    pub fn get() -> io::Result<Self> {
        // A process has one stderr.
        static ORIGINAL: OnceLock<OriginalStderr> = OnceLock::new();
        if let Some(original) = ORIGINAL.get() {
            return Ok(original.clone());
        }
        let lines = Lines::to(Output::to_reopened(os::clone_stderr()?));
        Ok(ORIGINAL.get_or_init(|| Self(Arc::new(Mutex::new(lines)))).clone())
    }

    pub(crate) fn try_clone_file(&self) -> io::Result<File> {
        self.lock().output.try_clone_file()
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for OriginalStderr {
    fn write_line(&self, line: &[u8]) {
        self.lock().write(line);
    }
}

/// Writes whole lines to a descriptor that may be full.
#[derive(Debug)]
struct Lines {
    output: Output,
    /// The rest of a line that was written in part. It is written before anything else.
    rest: Vec<u8>,
    /// The reader has used up the timeout. No write waits again until there is room.
    stalled: bool,
    /// How many lines were dropped and not yet reported.
    dropped: u64,
}

impl Lines {
    fn to(output: Output) -> Self {
        Self { output, rest: Vec::new(), stalled: false, dropped: 0 }
    }

    fn write(&mut self, line: &[u8]) {
        let mut wait = Wait::default();
        // A full pipe may still accept a few bytes. Only room for a whole page shows that the reader reads again.
        if self.stalled && !self.has_room(&mut wait)
            || !(self.finish(&mut wait) && self.report_dropped(&mut wait) && self.begin(line, &mut wait))
        {
            self.dropped += 1;
        }
    }

    /// Writes the rest of the previous line. Returns whether the next line may follow.
    fn finish(&mut self, wait: &mut Wait) -> bool {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            self.rest = self.put(&rest, wait).to_vec();
        }
        self.rest.is_empty()
    }

    /// Reports how many lines were dropped. Returns whether the next line may follow.
    fn report_dropped(&mut self, wait: &mut Wait) -> bool {
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

    /// Writes a line, or its beginning. Returns `false` if nothing of the line could be written.
    fn begin(&mut self, line: &[u8], wait: &mut Wait) -> bool {
        let left = self.put(line, wait);
        if left.len() == line.len() && !line.is_empty() {
            return false;
        }
        self.rest.extend_from_slice(left);
        true
    }

    /// Writes as much as there is room for within the timeout. Returns the rest.
    fn put<'a>(&mut self, mut bytes: &'a [u8], wait: &mut Wait) -> &'a [u8] {
        let fails_when_full = self.output.fails_when_full();
        while !bytes.is_empty() {
            let piece = if fails_when_full { bytes } else { &bytes[..bytes.len().min(os::PIPE_BUF)] };
            if !fails_when_full && !self.has_room(wait) {
                return bytes;
            }
            match (&self.output).write(piece) {
                Ok(written @ 1..) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.has_room(wait) {
                        return bytes;
                    }
                }
                // The reader has closed its end.
                Ok(_) | Err(_) => return &[],
            }
        }
        bytes
    }

    /// Waits for room for the rest of the timeout.
    fn has_room(&mut self, wait: &mut Wait) -> bool {
        loop {
            let left = if self.stalled { Duration::ZERO } else { wait.left() };
            match self.output.wait_for_room(left) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                room => {
                    self.stalled = room.is_err();
                    return room.is_ok();
                }
            }
        }
    }
}

/// How long one line has waited since the first time that there was no room.
#[derive(Default)]
struct Wait(Option<Instant>);

impl Wait {
    fn left(&mut self) -> Duration {
        let since = *self.0.get_or_insert_with(Instant::now);
        TIMEOUT.saturating_sub(since.elapsed())
    }
}

/// How long a line waits for room. A busy host reads within this time.
const TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// Lines to a pipe that was reopened, and to one that was not.
    fn both_ways() -> [(File, Lines); 2] {
        [Output::to_reopened, Output::to].map(|output| {
            let (read, write) = os::pipe().unwrap();
            (read, Lines::to(output(write)))
        })
    }

    fn line(number: usize, length: usize) -> Vec<u8> {
        let mut line = Record::new(Level::Info, "x".repeat(length)).with_field("number", number).to_line();
        line.shrink_to_fit();
        line.into_bytes()
    }

    #[test]
    fn whole_lines_are_dropped_and_counted_when_the_host_does_not_read() {
        for (mut read, mut lines) in both_ways() {
            // Longer than PIPE_BUF, and not a divisor of the pipe's capacity.
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
            // Each line counts, written or dropped.
            let mut written = 50;
            while lines.dropped > 0 || !lines.rest.is_empty() {
                lines.write(&line(written, 1));
                written += 1;
            }
            drop(lines);
            let all = reader.join().unwrap();
            let records: Vec<serde_json::Value> =
                all.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
            let reported: u64 = records.iter().filter_map(|record| record["dropped"].as_u64()).sum();
            let came = records.iter().filter(|record| record.get("number").is_some()).count();
            assert!(reported >= dropped);
            assert_eq!(came + usize::try_from(reported).unwrap(), written);
        }
    }

    #[test]
    fn a_pipe_without_a_reader_drops_and_counts_no_line() {
        for (read, mut lines) in both_ways() {
            drop(read);
            lines.write(&line(0, 1));
            assert_eq!((lines.dropped, lines.rest.len()), (0, 0));
        }
    }
}
