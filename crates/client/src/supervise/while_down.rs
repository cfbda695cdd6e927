//! What happens to calls while a supervised plugin is down.

use std::time::Duration;

/// The treatment of calls that are made while a supervised plugin is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhileDown {
    /// Calls wait for the next generation, up to this long and up to their own deadline. The default, with 30 s.
    Wait(Duration),
    /// Calls fail at once with UNAVAILABLE.
    Fail,
}

impl Default for WhileDown {
    fn default() -> Self {
        Self::Wait(Duration::from_secs(30))
    }
}
