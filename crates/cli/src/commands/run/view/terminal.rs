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

use crossterm::{
    cursor::{Hide, MoveTo, Show},
    event::{self, Event, KeyEvent, KeyEventKind},
    execute, queue,
    style::Print,
    terminal::{
        self, BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap,
        EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    },
};
use tokio::sync::mpsc;

use super::screen::Size;
use crate::ui::row::sent;

/// What a person does at the terminal.
#[derive(Debug, Clone, Copy)]
pub(super) enum Input {
    Key(KeyEvent),
    Resized,
}

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
    pub(super) fn take(styles: bool) -> io::Result<(Self, mpsc::Receiver<Input>)> {
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
        let (inputs, keys) = mpsc::channel(64);
        thread::Builder::new().name("view-keys".to_owned()).spawn(move || {
            let _reads = reads;
            read_keys(&inputs, &ends);
        })?;
        Ok((this, keys))
    }

    /// The size of the terminal.
    pub(super) fn size() -> Size {
        let (columns, rows) = terminal::size().unwrap_or((80, 24));
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
        let _ = terminal::disable_raw_mode();
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
                let _ = terminal::disable_raw_mode();
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
    let mut bytes = Vec::new();
    queue!(bytes, BeginSynchronizedUpdate)?;
    if shown.is_empty() {
        queue!(bytes, Clear(ClearType::All))?;
    }
    for (at, row) in rows.iter().enumerate() {
        if shown.get(at) != Some(row) {
            let at = u16::try_from(at).unwrap_or(u16::MAX);
            queue!(bytes, MoveTo(0, at), Clear(ClearType::CurrentLine), Print(row))?;
        }
    }
    queue!(bytes, EndSynchronizedUpdate)?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&bytes)?;
    stdout.flush()
}

/// Reads keys until the view ends.
fn read_keys(inputs: &mpsc::Sender<Input>, ends: &AtomicBool) {
    while !ends.load(Ordering::Relaxed) {
        let event = match event::poll(KEY_INTERVAL) {
            Ok(true) => event::read(),
            Ok(false) => continue,
            Err(error) => Err(error),
        };
        let input = match event {
            Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => Input::Key(key),
            Ok(Event::Resize(..)) => Input::Resized,
            Ok(_) => continue,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // Signals still end the view.
            Err(_) => return,
        };
        if inputs.blocking_send(input).is_err() {
            return;
        }
    }
}

fn enter() -> io::Result<()> {
    terminal::enable_raw_mode()?;
    IS_TAKEN.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen, Hide, DisableLineWrap)
}

/// Restores the terminal, once.
fn leave() {
    if IS_TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(io::stdout(), EnableLineWrap, Show, LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
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

/// How often the end of the view is looked for while no key comes.
const KEY_INTERVAL: Duration = Duration::from_millis(100);

/// How often a signal may interrupt a change of the terminal's modes.
const RETRIES: usize = 10;
