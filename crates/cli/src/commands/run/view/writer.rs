//! The one place that writes to the terminal: a thread, so that a terminal that takes nothing blocks no other.
//!
//! What is wanted last is written next. Who wants it waits for a limited time.

use std::{
    io::{self, Write},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What the terminal is to show, for the thread in [`run`](Self::run).
#[derive(Debug)]
pub(super) struct Writer {
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Debug)]
struct Work {
    /// Whether the view has the terminal, or gets it.
    is_taken: bool,
    /// Whether the sequences that take the terminal are still to be written.
    is_entering: bool,
    /// Whether these sequences were written, or a part, and not yet those that give it back.
    is_entered: bool,
    rows: Option<Screen>,
    is_writing: bool,
    has_failed: bool,
    ends: bool,
}

/// Rows to write, and whether nothing of the rows before is on the screen any more.
#[derive(Debug)]
struct Screen {
    rows: Vec<String>,
    is_new: bool,
}

/// What is written at once.
enum Part {
    Enter,
    Leave,
    Rows(Screen),
}

impl Writer {
    pub(super) const fn new() -> Self {
        let work = Work {
            is_taken: false,
            is_entering: false,
            is_entered: false,
            rows: None,
            is_writing: false,
            has_failed: false,
            ends: false,
        };
        Self { work: Mutex::new(work), changed: Condvar::new() }
    }

    /// Has the other screen shown, and waits until it is, at most for this time. Does the same again for a terminal that is taken.
    pub(super) fn enter(&self, limit: Duration) {
        let mut work = self.lock();
        (work.is_taken, work.is_entering, work.rows) = (true, true, None);
        self.changed.notify_all();
        self.wait(work, limit, |work| work.is_entering || work.is_writing);
    }

    /// Has the main screen shown, and waits until it is, at most for this time. Rows that are not written yet are not written any more.
    pub(super) fn leave(&self, limit: Duration) {
        let mut work = self.lock();
        (work.is_taken, work.is_entering, work.rows) = (false, false, None);
        self.changed.notify_all();
        self.wait(work, limit, |work| work.is_entered || work.is_writing);
    }

    /// Has the rows written. Returns false if others wait to be written, or if the view does not have the terminal. `is_new` writes each
    /// row, and not only the changed ones.
    pub(super) fn draw(&self, rows: Vec<String>, is_new: bool) -> bool {
        let mut work = self.lock();
        if !work.is_taken || work.rows.is_some() || work.has_failed {
            return false;
        }
        work.rows = Some(Screen { rows, is_new });
        self.changed.notify_all();
        true
    }

    /// Ends the thread when it has written what is wanted. Rows are not.
    pub(super) fn end(&self) {
        let mut work = self.lock();
        (work.rows, work.ends) = (None, true);
        self.changed.notify_all();
    }

    /// Whether the view has the terminal.
    pub(super) fn is_taken(&self) -> bool {
        self.lock().is_taken
    }

    /// Whether the terminal could not be written.
    pub(super) fn has_failed(&self) -> bool {
        self.lock().has_failed
    }

    /// Whether the terminal takes nothing, so that another text would wait for it too.
    pub(super) fn is_stuck(&self) -> bool {
        let work = self.lock();
        work.is_writing && !work.has_failed
    }

    /// Writes what is wanted, until the [end](Self::end) or an error.
    pub(super) fn run(&self, to: &mut impl Write) {
        let mut shown = Vec::new();
        while let Some(part) = self.next() {
            let is_written = match part {
                Part::Enter => {
                    shown.clear();
                    print(to, &format!("{OTHER_SCREEN}{HIDE_CURSOR}{NO_WRAP}"))
                }
                Part::Leave => print(to, &format!("{WRAP}{SHOW_CURSOR}{MAIN_SCREEN}")),
                Part::Rows(Screen { rows, is_new }) => {
                    if is_new {
                        shown.clear();
                    }
                    let changes = changes(&shown, &rows);
                    shown = rows;
                    print(to, &changes)
                }
            };
            let mut work = self.lock();
            work.is_writing = false;
            work.has_failed |= is_written.is_err();
            self.changed.notify_all();
        }
    }

    /// Waits for the next part.
    fn next(&self) -> Option<Part> {
        let mut work = self.lock();
        loop {
            let part = if work.has_failed {
                return None;
            } else if work.is_entering {
                (work.is_entering, work.is_entered) = (false, true);
                Part::Enter
            } else if work.is_entered && !work.is_taken {
                work.is_entered = false;
                Part::Leave
            } else if let Some(rows) = work.rows.take() {
                Part::Rows(rows)
            } else if work.ends {
                return None;
            } else {
                work = self.changed.wait(work).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            work.is_writing = true;
            return Some(part);
        }
    }

    /// Waits while this holds for a terminal that can be written, at most for this time.
    fn wait(&self, work: MutexGuard<'_, Work>, limit: Duration, holds: impl Fn(&Work) -> bool) {
        let _ = self.changed.wait_timeout_while(work, limit, |work| !work.has_failed && holds(work));
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns what writes the rows that are not shown already.
fn changes(shown: &[String], rows: &[String]) -> String {
    let mut text = BEGIN_UPDATE.to_owned();
    if shown.is_empty() {
        text += CLEAR;
    }
    for (at, row) in rows.iter().enumerate() {
        if shown.get(at) != Some(row) {
            text += &format!("\u{1b}[{};1H{CLEAR_ROW}{row}", at + 1);
        }
    }
    text + END_UPDATE
}

fn print(to: &mut impl Write, text: &str) -> io::Result<()> {
    to.write_all(text.as_bytes())?;
    to.flush()
}

// Sequences of xterm that the terminals of today know: DEC private modes 7, 25, 1049 and 2026, and ECMA-48's ED and EL.
const OTHER_SCREEN: &str = "\u{1b}[?1049h";
const MAIN_SCREEN: &str = "\u{1b}[?1049l";
const HIDE_CURSOR: &str = "\u{1b}[?25l";
const SHOW_CURSOR: &str = "\u{1b}[?25h";
const NO_WRAP: &str = "\u{1b}[?7l";
const WRAP: &str = "\u{1b}[?7h";
const BEGIN_UPDATE: &str = "\u{1b}[?2026h";
const END_UPDATE: &str = "\u{1b}[?2026l";
const CLEAR: &str = "\u{1b}[2J";
const CLEAR_ROW: &str = "\u{1b}[2K";

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc::{Receiver, SyncSender, sync_channel},
        thread,
    };

    use super::*;

    /// A terminal whose writes wait until the test takes them.
    struct Slow(SyncSender<String>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8_lossy(bytes).into_owned();
            self.0.send(text).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Ends the thread of a test that fails too.
    struct Ending<'a>(&'a Writer);

    impl Drop for Ending<'_> {
        fn drop(&mut self) {
            self.0.end();
        }
    }

    /// Runs the thread, and returns what the rest of the test has left on the terminal.
    fn written(test: impl FnOnce(&Writer, &Receiver<String>)) -> Vec<String> {
        let writer = Writer::new();
        let (send, terminal) = sync_channel(0);
        thread::scope(|scope| {
            scope.spawn(|| writer.run(&mut Slow(send)));
            // The thread also ends when the terminal is dropped.
            let terminal = terminal;
            let ending = Ending(&writer);
            test(&writer, &terminal);
            drop(ending);
            terminal.iter().collect()
        })
    }

    fn rows(text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }

    #[test]
    fn rows_that_wait_are_not_written_after_the_terminal_is_given_back() {
        let rest = written(|writer, terminal| {
            writer.enter(Duration::ZERO);
            assert!(terminal.recv().unwrap().contains(OTHER_SCREEN));
            assert!(writer.draw(rows("first"), true));
            // The thread has taken the first rows when others are accepted.
            while !writer.draw(rows("second"), false) {
                thread::yield_now();
            }
            assert!(!writer.draw(rows("third"), false));
            // The terminal takes nothing, and neither this nor the end waits for it.
            writer.leave(Duration::ZERO);
            assert!(writer.is_stuck() && !writer.is_taken());
            assert!(!writer.draw(rows("fourth"), true));
        });
        assert_eq!(rest.len(), 2, "{rest:?}");
        assert!(rest[0].contains("first"), "{rest:?}");
        assert_eq!(rest[1], "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l");
    }

    #[test]
    fn a_terminal_that_is_taken_again_gets_all_rows() {
        let rest = written(|writer, terminal| {
            for _ in 0..2 {
                writer.enter(Duration::ZERO);
                assert!(terminal.recv().unwrap().contains(OTHER_SCREEN));
                assert!(writer.draw(rows("same"), false));
                assert!(terminal.recv().unwrap().contains("same"));
                writer.leave(Duration::ZERO);
                assert!(terminal.recv().unwrap().contains(MAIN_SCREEN));
            }
            // Nothing is given back twice.
            writer.leave(Duration::MAX);
            assert!(!writer.is_stuck());
        });
        assert_eq!(rest, [""; 0]);
    }

    #[test]
    fn nothing_waits_for_a_terminal_that_is_gone() {
        let rest = written(|writer, terminal| {
            writer.enter(Duration::ZERO);
            terminal.recv().unwrap();
        });
        assert_eq!(rest, [""; 0]);
        let writer = Writer::new();
        let (send, receive) = sync_channel(0);
        drop(receive);
        thread::scope(|scope| {
            scope.spawn(|| writer.run(&mut Slow(send)));
            writer.enter(Duration::MAX);
            assert!(writer.has_failed() && !writer.is_stuck());
            assert!(!writer.draw(rows("row"), true));
            writer.leave(Duration::MAX);
        });
    }
}
