//! Process ids.

use std::{fmt, num::NonZeroU32};

/// The id of a process. It is never 0.
///
/// An unknown process is `None` in an `Option<Pid>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(NonZeroU32);

impl Pid {
    /// The pid with this number. `None` for 0, which is not the id of a process.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The pid of this process.
    ///
    /// # Panics
    /// Never: the system gives no process the id 0.
    #[must_use]
    pub fn current() -> Self {
        Self::new(std::process::id()).expect("the id of a running process is not 0")
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl From<NonZeroU32> for Pid {
    fn from(number: NonZeroU32) -> Self {
        Self(number)
    }
}

impl From<Pid> for u32 {
    fn from(pid: Pid) -> Self {
        pid.get()
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_not_a_pid() {
        assert_eq!(Pid::new(0), None);
        assert_eq!(Pid::new(7).map(|pid| (pid.get(), pid.to_string())), Some((7, "7".to_owned())));
        assert_eq!(u32::from(Pid::current()), std::process::id());
    }
}
