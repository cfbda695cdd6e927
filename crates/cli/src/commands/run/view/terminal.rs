//! The terminal while the view has it: its modes, what is written to it, and its keys.
//!
//! A thread writes, so that a terminal that takes nothing holds up neither signals nor the plugin.

use std::{
    io::{self, Write as _},
    panic,
    sync::{
        Arc, Once,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use terminal_size::{Height, Width, terminal_size_of};
use tokio::sync::mpsc;

use super::screen::Size;
use crate::{
    os::{Key, Keys, enter_raw_mode, leave_raw_mode},
    ui::row::sent,
};

/// The terminal. Dropping this restores it.
#[derive(Debug)]
pub(super) struct Terminal {
    rows: Option<SyncSender<Screen>>,
    /// Disconnected when the thread that writes has ended.
    written: Receiver<()>,
    /// Disconnected when the thread that reads keys has ended.
    read: Receiver<()>,
    has_failed: Arc<AtomicBool>,
    ends: Arc<AtomicBool>,
}

/// Rows to write, and whether nothing of the rows before is on the screen any more.
struct Screen {
    rows: Vec<String>,
    is_new: bool,
}

impl Terminal {
    /// Takes the terminal: another screen, and each key at once. Returns the keys too.
    ///
    /// # Errors
    /// The terminal does not let its modes be changed.
    pub(super) fn take(styles: bool) -> io::Result<(Self, mpsc::Receiver<Key>)> {
        restore_on_panic();
        enter().inspect_err(|_| leave())?;
        let (rows, to_write) = sync_channel(1);
        let ((writes, written), (reads, read)) = (sync_channel::<()>(0), sync_channel::<()>(0));
        let has_failed = Arc::new(AtomicBool::new(false));
        let ends = Arc::new(AtomicBool::new(false));
        let this =
            Self { rows: Some(rows), written, read, has_failed: has_failed.clone(), ends: ends.clone() };
        thread::Builder::new().name("view-writer".to_owned()).spawn(move || {
            let _writes = writes;
            write_all(&to_write, styles, &has_failed);
        })?;
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
    pub(super) fn write(&self, rows: Vec<String>, is_new: bool) -> bool {
        let Some(sender) = &self.rows else { return true };
        match sender.try_send(Screen { rows, is_new }) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// Whether the terminal is gone.
    pub(super) fn is_gone(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// Whether another part of the program has restored the terminal, because it panicked.
    pub(super) fn is_lost() -> bool {
        !IS_TAKEN.load(Ordering::SeqCst)
    }

    /// Gives the terminal back until [`resume`](Self::resume).
    pub(super) fn pause() {
        leave();
    }

    /// Takes the terminal again.
    pub(super) fn resume() {
        // A shell has set its own modes in between, or nothing if the program was stopped without a word.
        IS_TAKEN.store(false, Ordering::SeqCst);
        leave_raw_mode();
        for _ in 0..RETRIES {
            match enter() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        self.rows = None;
        match self.written.recv_timeout(WRITING) {
            // A terminal that takes nothing gets its modes back and no text.
            Err(RecvTimeoutError::Timeout) => {
                leave_raw_mode();
                IS_TAKEN.store(false, Ordering::SeqCst);
            }
            _ => leave(),
        }
        // The next program on the terminal gets its keys.
        let _ = self.read.recv_timeout(READING);
    }
}

/// Writes rows until there are no more.
fn write_all(rows: &Receiver<Screen>, styles: bool, has_failed: &AtomicBool) {
    let mut shown: Vec<String> = Vec::new();
    while let Ok(Screen { rows, is_new }) = rows.recv() {
        if is_new {
            shown.clear();
        }
        let rows: Vec<String> = rows.iter().map(|row| sent(row, styles)).collect();
        if write(&shown, &rows).is_err() {
            has_failed.store(true, Ordering::Relaxed);
            return;
        }
        shown = rows;
    }
}

/// Writes the rows that are not shown already.
fn write(shown: &[String], rows: &[String]) -> io::Result<()> {
    let mut bytes = BEGIN_UPDATE.to_owned();
    if shown.is_empty() {
        bytes += CLEAR;
    }
    for (at, row) in rows.iter().enumerate() {
        if shown.get(at) != Some(row) {
            bytes += &format!("\u{1b}[{};1H{CLEAR_ROW}{row}", at + 1);
        }
    }
    bytes += END_UPDATE;
    print(&bytes)
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

fn enter() -> io::Result<()> {
    enter_raw_mode()?;
    IS_TAKEN.store(true, Ordering::SeqCst);
    print(&format!("{OTHER_SCREEN}{HIDE_CURSOR}{NO_WRAP}"))
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Restores the terminal, once.
fn leave() {
    if IS_TAKEN.swap(false, Ordering::SeqCst) {
        let _ = print(&format!("{WRAP}{SHOW_CURSOR}{MAIN_SCREEN}"));
        leave_raw_mode();
    }
}

/// Restores the terminal before the text of a panic is printed.
fn restore_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            leave();
            before(info);
        }));
    });
}

/// Whether the terminal has the modes of the view.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// How long the last rows may take to be written.
const WRITING: Duration = Duration::from_secs(1);

/// How long the thread that reads keys may take to end.
const READING: Duration = Duration::from_millis(500);

/// How often a terminal is tried again that cannot be read.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// How often a signal may interrupt a change of the terminal's modes.
const RETRIES: usize = 10;

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
