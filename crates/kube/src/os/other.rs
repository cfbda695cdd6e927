//! Systems that are not asked.

/// Not known.
pub(crate) fn machine() -> Option<String> {
    None
}

/// Not known.
pub(crate) fn start_time(_: u32) -> Option<u64> {
    None
}
