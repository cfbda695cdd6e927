//! Warnings about variables whose names are probably typos.

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
    sync::{Mutex, PoisonError},
};

use super::ignored::IgnoredVariable;

/// Logs a warning for each probable typo, once in a process.
pub(super) fn warn(ignored: &[IgnoredVariable]) {
    static WARNED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    for typo in ignored.iter().filter(|variable| variable.is_typo()) {
        let is_new = WARNED.lock().unwrap_or_else(PoisonError::into_inner).insert(typo.name.clone());
        if !is_new {
            continue;
        }
        if tracing::dispatcher::has_been_set() {
            tracing::warn!(variable = typo.name, "{typo}");
        } else {
            // A failed write to stderr is ignored. The host of a plugin parses the level of the line.
            let _ = io::stderr().write_all(format!("[WARN] {typo}\n").as_bytes());
        }
    }
}
