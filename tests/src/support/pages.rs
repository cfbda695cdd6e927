//! The pages of the documentation.

use std::path::Path;

/// Fails the test unless a page of the guide contains these lines.
#[track_caller]
pub fn shown(page: &str, lines: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/guide").join(page);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(lines), "{page} does not show:\n{lines}");
}
