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
    let mut kept: Vec<i32> = inherited.iter().copied().filter(|number| *number > STDERR).collect();
    kept.sort_unstable();
    let mut first = STDERR + 1;
    for kept in kept.into_iter().chain([i32::MAX]) {
        if first < kept && !mark_range(first, kept - 1) {
            // Kernels before Linux 5.11, and filters around the host, do not know the call.
            return one_by_one(inherited);
        }
        first = kept.saturating_add(1);
    }
    Ok(())
}

/// Marks the open descriptors from `first` to `last`. Whether the kernel can do this.
fn mark_range(first: i32, last: i32) -> bool {
    // SAFETY: The call takes three numbers and no pointers. It closes nothing with this flag, and marks descriptors of which all but the
    // named ones are to have the mark.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_CLOEXEC) };
    done == 0
}

fn one_by_one(inherited: &[i32]) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsRawFd as _};

    use super::*;

    #[test]
    fn both_ways_mark_all_descriptors_but_the_named_ones() {
        for mark in [close_on_exec, one_by_one] {
            let files = [(); 3].map(|()| {
                let file = File::open("/dev/null").expect("it exists");
                fcntl_setfd(&file, FdFlags::empty()).expect("it is open");
                file
            });
            mark(&[files[1].as_raw_fd(), 1]).expect("possible");
            let marked = files
                .each_ref()
                .map(|file| fcntl_getfd(file).expect("it is open").contains(FdFlags::CLOEXEC));
            assert_eq!(marked, [true, false, true]);
        }
    }
}
