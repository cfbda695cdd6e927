//! Warnings of variables whose names are almost those of settings.

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
    sync::{Mutex, PoisonError},
};

use super::ignored::IgnoredVariable;

/// Warns of each slip that this process has not been warned of.
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
            // Nothing can be done if stderr is closed. A host reads the level of its plugin's line.
            let _ = io::stderr().write_all(format!("[WARN] {typo}\n").as_bytes());
        }
    }
}
