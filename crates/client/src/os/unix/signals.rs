//! The numbers and names of signals.

use std::borrow::Cow;

use nix::libc;

pub(in crate::os) const KILL: i32 = libc::SIGKILL;
pub(in crate::os) const TERM: i32 = libc::SIGTERM;
pub(in crate::os) const ABORT: i32 = libc::SIGABRT;
pub(in crate::os) const SEGV: i32 = libc::SIGSEGV;
pub(in crate::os) const STOP: i32 = libc::SIGSTOP;
pub(in crate::os) const TSTP: i32 = libc::SIGTSTP;
pub(in crate::os) const TTIN: i32 = libc::SIGTTIN;
pub(in crate::os) const TTOU: i32 = libc::SIGTTOU;

/// The name of the signal with this number.
pub(in crate::os) fn name(number: i32) -> Option<Cow<'static, str>> {
    if let Ok(known) = nix::sys::signal::Signal::try_from(number) {
        return Some(known.as_str().into());
    }
    match number.saturating_sub(FIRST_REAL_TIME) {
        0 if cfg!(target_os = "linux") => Some("SIGRTMIN".into()),
        n @ 1..=30 if cfg!(target_os = "linux") => Some(format!("SIGRTMIN+{n}").into()),
        _ => None,
    }
}

/// The first of Linux's 31 real-time signals as the C library counts them. The two before it belong to the library.
const FIRST_REAL_TIME: i32 = 34;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_of_this_system_have_names() {
        assert_eq!(name(libc::SIGPROF).as_deref(), Some("SIGPROF"));
        assert_eq!(name(99), None);
    }

    #[test]
    fn real_time_signals_are_counted_from_the_first() {
        if cfg!(target_os = "linux") {
            let names = [33, 34, 40, 64, 65].map(name);
            let names = names.each_ref().map(Option::as_deref);
            assert_eq!(names, [None, Some("SIGRTMIN"), Some("SIGRTMIN+6"), Some("SIGRTMIN+30"), None]);
        }
    }
}
