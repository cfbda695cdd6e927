//! Text that is not shown.

/// Text that may be secret. `Debug` does not show it.
#[derive(Clone)]
pub(super) struct Redacted<T>(pub(super) T);

impl<T> std::fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}
