//! How a process ended, read from its exit status. The system ends a process that failed with a status of its own.

use std::process::ExitStatus;

use crate::os::signal::Signal;

/// The exit status of a process that this library killed. Bit 29 marks a status that is not one of the system's.
pub(super) const KILLED: u32 = 0xE000_0009;

/// The exit status of a process that Ctrl-C, Ctrl-Break or the closing of its console ended, because it did not handle
/// them (`STATUS_CONTROL_C_EXIT`).
pub(super) const CONTROL_C_EXIT: u32 = 0xC000_013A;

/// The signal that ended a process on other systems in the same way: SIGKILL for a process that this library killed, and
/// SIGTERM for a process that was asked to end and did not handle it. A program that exits with one of these two statuses
/// by itself cannot be distinguished.
pub(crate) fn signal_of(status: ExitStatus) -> Option<Signal> {
    match status.code()?.cast_unsigned() {
        KILLED => Some(Signal::KILL),
        CONTROL_C_EXIT => Some(Signal::TERM),
        _ => None,
    }
}

/// An exit status of the system as text: in hexadecimal, with what it means where that is known. `None` for a status that
/// a program chose.
pub(crate) fn describe_status(status: i32) -> Option<String> {
    let status = status.cast_unsigned();
    let meaning = match status {
        // Statuses of the system have the severity error, and not the bit of a customer.
        0xC000_0005 => "access to memory that is not its own",
        0xC000_0006 => "a page of its file could not be read",
        0xC000_0017 => "out of memory",
        0xC000_001D => "an instruction that the processor does not know",
        0xC000_0025 => "an exception after which it could not go on",
        0xC000_007B => "a library is built for another processor",
        0xC000_0094 => "a division by zero",
        0xC000_00FD => "stack overflow",
        0xC000_0135 => "a library that it needs is missing",
        0xC000_0138 | 0xC000_0139 => "a function that it needs is missing in a library",
        0xC000_0142 => "a library that it needs could not be initialized",
        0xC000_0374 => "its heap is corrupt",
        0xC000_0409 => "ended itself after a fault that it found",
        0xC000_0000..=0xCFFF_FFFF => return Some(format!("{status:#010X}")),
        _ => return None,
    };
    Some(format!("{status:#010X} ({meaning})"))
}

#[cfg(test)]
mod tests {
    use std::os::windows::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn statuses_of_the_host_read_as_signals() {
        let signal = |status| signal_of(ExitStatus::from_raw(status));
        assert_eq!(signal(KILLED), Some(Signal::KILL));
        assert_eq!(signal(CONTROL_C_EXIT), Some(Signal::TERM));
        assert_eq!((signal(0), signal(1), signal(0xC000_0005)), (None, None, None));
    }

    #[test]
    fn statuses_of_the_system_have_their_meaning() {
        let described = |status: u32| describe_status(status.cast_signed());
        assert_eq!(described(0xC000_00FD).as_deref(), Some("0xC00000FD (stack overflow)"));
        assert_eq!(described(0xC000_0001).as_deref(), Some("0xC0000001"));
        for chosen in [0, 3, 255, u32::MAX, KILLED] {
            assert_eq!(described(chosen), None);
        }
    }
}
