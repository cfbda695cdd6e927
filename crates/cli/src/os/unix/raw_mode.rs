//! A terminal that passes each key on at once.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use rustix::{
    stdio::stdin,
    termios::{OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr},
};

/// Makes the terminal on stdin pass each key on, without echo and signals. A read waits a tenth of a second for a key. Waiting with
/// `poll` would not do on macOS, which has no `poll` for terminals.
///
/// # Errors
/// Stdin is not a terminal, or belongs to other processes now.
pub(crate) fn enter_raw_mode() -> io::Result<()> {
    let before = tcgetattr(stdin())?;
    let mut raw = before.clone();
    raw.make_raw();
    raw.special_codes[SpecialCodeIndex::VMIN] = 0;
    raw.special_codes[SpecialCodeIndex::VTIME] = 1;
    tcsetattr(stdin(), OptionalActions::Now, &raw)?;
    *lock() = Some(before);
    Ok(())
}

/// Gives the terminal the modes back that it had before.
pub(crate) fn leave_raw_mode() {
    if let Some(before) = lock().take() {
        // A terminal that is gone has no modes.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
    }
}

fn lock() -> std::sync::MutexGuard<'static, Option<Termios>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The modes before.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);
