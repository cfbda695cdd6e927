//! What happens to calls while a supervised plugin is down.

use std::time::Duration;

/// What happens to calls while a supervised plugin is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhileDown {
    /// They wait for the next generation, as long as their own deadline allows, and no longer than this. The default,
    /// with 30 s.
    Wait(Duration),
    /// They fail at once with UNAVAILABLE.
    Fail,
}

impl Default for WhileDown {
    fn default() -> Self {
        Self::Wait(Duration::from_secs(30))
    }
}
