//! The terminal while the view has it: its modes and its keys. A [writer](super::writer) writes to it.

use std::{
    io::{self, IsTerminal as _},
    panic,
    sync::{
        Arc, Once,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    thread,
    time::Duration,
};

use terminal_size::{Height, Width, terminal_size_of};
use tokio::sync::mpsc;

use super::{screen::Size, writer::Writer};
use crate::{
    os::{Key, Keys, enter_raw_mode, leave_raw_mode},
    ui::row::sent,
};

/// The terminal. Dropping this restores it.
#[derive(Debug)]
pub(super) struct Terminal {
    styles: bool,
    /// Disconnected when the thread that reads keys has ended.
    read: Receiver<()>,
    ends: Arc<AtomicBool>,
}

impl Terminal {
    /// Takes the terminal: another screen, and each key at once. Returns the keys too.
    ///
    /// # Errors
    /// The terminal does not let its modes be changed.
    pub(super) fn take(styles: bool) -> io::Result<(Self, mpsc::Receiver<Key>)> {
        restore_on_panic();
        enter_raw_mode()?;
        let (reads, read) = sync_channel::<()>(0);
        let ends = Arc::new(AtomicBool::new(false));
        let this = Self { styles, read, ends: ends.clone() };
        thread::Builder::new().name("view-writer".to_owned()).spawn(|| WRITER.run(&mut io::stdout()))?;
        WRITER.enter(WRITING);
        let (pressed, keys) = mpsc::channel(64);
        thread::Builder::new().name("view-keys".to_owned()).spawn(move || {
            let _reads = reads;
            read_keys(&pressed, &ends);
        })?;
        Ok((this, keys))
    }

    /// The size of the terminal.
    pub(super) fn size() -> Size {
        let (Width(columns), Height(rows)) =
            terminal_size_of(io::stdout()).unwrap_or((Width(80), Height(24)));
        Size { columns: columns.into(), rows: rows.into() }
    }

    /// Writes the rows. Returns whether the terminal has room for them. `is_new` writes each row, and not only the changed ones.
    pub(super) fn write(&self, rows: &[String], is_new: bool) -> bool {
        WRITER.draw(rows.iter().map(|row| sent(row, self.styles)).collect(), is_new)
    }

    /// Whether the terminal is gone, or another part of the program has restored it, because it panicked.
    pub(super) fn is_lost() -> bool {
        WRITER.has_failed() || !WRITER.is_taken()
    }

    /// Whether a text on stderr would wait without end, because the terminal takes nothing.
    pub(super) fn is_stuck() -> bool {
        WRITER.is_stuck() && io::stderr().is_terminal()
    }

    /// Gives the terminal back until [`resume`](Self::resume).
    pub(super) fn pause() {
        leave();
    }

    /// Takes the terminal again.
    pub(super) fn resume() {
        // A shell has set its own modes in between, or nothing if the program was stopped without a word.
        leave_raw_mode();
        for _ in 0..RETRIES {
            match enter_raw_mode() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
                Ok(()) => return WRITER.enter(WRITING),
            }
        }
        WRITER.leave(WRITING);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        leave();
        WRITER.end();
        // The next program on the terminal gets its keys.
        let _ = self.read.recv_timeout(READING);
    }
}

/// Reads keys until the view ends.
fn read_keys(pressed: &mpsc::Sender<Key>, ends: &AtomicBool) {
    let mut keys = Keys::default();
    while !ends.load(Ordering::Relaxed) {
        match keys.next() {
            Ok(Some(key)) if pressed.blocking_send(key).is_err() => return,
            Ok(_) => {}
            // A terminal that is gone ends the view in other ways. One that other processes have comes back.
            Err(_) => thread::sleep(RETRY_INTERVAL),
        }
    }
}

/// Restores the terminal. A terminal that takes nothing gets its modes back, and the text when it takes some again.
fn leave() {
    leave_raw_mode();
    WRITER.leave(WRITING);
}

/// Restores the terminal before the text of a panic is printed.
fn restore_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            leave();
            if !Terminal::is_stuck() {
                before(info);
            }
        }));
    });
}

/// The writer of this process's terminal, which the hook for panics needs too.
static WRITER: Writer = Writer::new();

/// How long the terminal may take for another screen.
const WRITING: Duration = Duration::from_secs(1);

/// How long the thread that reads keys may take to end.
const READING: Duration = Duration::from_millis(500);

/// How often a terminal is tried again that cannot be read.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// How often a signal may interrupt a change of the terminal's modes.
const RETRIES: usize = 10;
