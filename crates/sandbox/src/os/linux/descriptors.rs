//! Open descriptors of the host.
#![expect(
    unsafe_code,
    reason = "descriptors that other parts of the process own are known by their numbers only"
)]

use std::{io, os::fd::BorrowedFd};

use rustix::io::{Errno, FdFlags, fcntl_getfd, fcntl_setfd};

/// Marks all descriptors of this process but the standard ones and `inherited` as close-on-exec, so that no plugin inherits them.
///
/// Descriptors that Rust opens have the mark. Others come from a library, or from the program that started the host.
pub(super) fn close_on_exec(inherited: &[i32]) -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if number <= STDERR || inherited.contains(&number) {
            continue;
        }
        // SAFETY: The number was open a moment ago. If its owner has closed it since, the calls fail, or they mark another
        // descriptor, which does no harm: nothing is read, written or closed.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        match fcntl_getfd(descriptor) {
            Ok(flags) if flags.contains(FdFlags::CLOEXEC) => {}
            Ok(flags) => fcntl_setfd(descriptor, flags | FdFlags::CLOEXEC)?,
            Err(Errno::BADF) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

const STDERR: i32 = 2;
