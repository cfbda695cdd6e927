//! The program's lock file.

#[path = "../../../crates/cli/src/trust/entry.rs"]
mod entry;
#[path = "../../../crates/cli/src/trust/text.rs"]
mod text;

use self::entry::Entry;

/// Reads a lock file, and what is written for it.
///
/// # Panics
/// If the two differ.
pub(crate) fn read_and_write(file: &str) {
    match text::read(file) {
        Ok(plugins) => {
            let written = text::write(&plugins);
            assert_eq!(text::read(&written).as_ref(), Ok(&plugins), "{written}");
        }
        Err(why) => assert!(!why.is_empty()),
    }
}
