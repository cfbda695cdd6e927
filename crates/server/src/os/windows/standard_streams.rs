//! Stdout and stderr: the standard handles, which Rust reads at each write, and the descriptors 1 and 2 of the C runtime.
#![expect(
    unsafe_code,
    reason = "the standard library can replace neither a standard handle nor a descriptor"
)]

use std::{
    fs::File,
    io,
    os::windows::io::{AsHandle as _, AsRawHandle as _, BorrowedHandle, IntoRawHandle as _},
};

use libc::{c_int, close, dup2, get_osfhandle, open_osfhandle};
use windows_sys::Win32::{
    Foundation::HANDLE,
    System::Console::{STD_ERROR_HANDLE, STD_HANDLE, STD_OUTPUT_HANDLE, SetStdHandle},
};

use super::pipes::open_null;

/// Returns a duplicate of the handle that is stdout now.
pub(crate) fn clone_stdout() -> io::Result<File> {
    clone(io::stdout().as_handle())
}

/// Returns a duplicate of the handle that is stderr now.
pub(crate) fn clone_stderr() -> io::Result<File> {
    clone(io::stderr().as_handle())
}

/// Makes stdout a duplicate of `file`, for Rust and for C.
pub(crate) fn replace_stdout(file: &File) -> io::Result<()> {
    replace(1, STD_OUTPUT_HANDLE, file)
}

/// Makes stderr a duplicate of `file`, for Rust and for C.
pub(crate) fn replace_stderr(file: &File) -> io::Result<()> {
    replace(2, STD_ERROR_HANDLE, file)
}

/// A process without a console may have no stdout.
fn clone(stream: BorrowedHandle<'_>) -> io::Result<File> {
    if stream.as_raw_handle().is_null() { open_null() } else { Ok(stream.try_clone_to_owned()?.into()) }
}

/// Replaces a descriptor, and the standard handle by the handle of this descriptor.
///
/// The C runtime owns that handle, and closes it when the descriptor is replaced again: nothing is leaked, and the standard
/// handle is open at each moment but the one within `dup2`. A program that is started inherits the handle, as on Unix.
fn replace(descriptor: c_int, standard: STD_HANDLE, file: &File) -> io::Result<()> {
    let given = file.try_clone()?;
    // SAFETY: the handle is open, and is this function's own.
    let opened = unsafe { open_osfhandle(given.as_raw_handle() as isize, libc::O_TEXT) };
    if opened < 0 {
        return Err(io::Error::other("the C runtime has no descriptor left"));
    }
    // The new descriptor owns the handle.
    let _ = given.into_raw_handle();
    // SAFETY: both are descriptors, and no Rust code owns `descriptor`.
    let replaced = unsafe { dup2(opened, descriptor) };
    // SAFETY: the descriptor was opened above, and is not used after this.
    unsafe { close(opened) };
    if replaced < 0 {
        return Err(io::Error::other("the C runtime cannot replace a descriptor"));
    }
    // SAFETY: the descriptor was opened by `dup2`.
    let handle = unsafe { get_osfhandle(descriptor) };
    // SAFETY: the handle stays open until the descriptor is replaced, and then this function replaces the standard handle too.
    if unsafe { SetStdHandle(standard, handle as HANDLE) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write};

    use super::*;
    use crate::os::pipe;

    fn print_from_c(descriptor: c_int, text: &str) {
        let length = text.len().try_into().expect("a short text");
        // SAFETY: the text has this length.
        let written = unsafe { libc::write(descriptor, text.as_ptr().cast(), length) };
        assert!(written > 0, "{}", io::Error::last_os_error());
    }

    #[track_caller]
    fn check(
        rust: &mut impl Write,
        c: c_int,
        clone: fn() -> io::Result<File>,
        replace: fn(&File) -> io::Result<()>,
    ) {
        rust.flush().expect("flushed");
        let original = clone().expect("there is one");
        for _ in 0..3 {
            let (mut read, write) = pipe().expect("a pipe");
            replace(&write).expect("replaced");
            drop(write);
            rust.write_all(b"from Rust\n").expect("written");
            rust.flush().expect("flushed");
            print_from_c(c, "from C\n");
            replace(&original).expect("restored");
            let mut all = String::new();
            read.read_to_string(&mut all).expect("the pipe has no other writer");
            assert_eq!(all, "from Rust\nfrom C\r\n");
        }
    }

    #[test]
    fn what_rust_and_c_code_print_goes_to_the_replacement() {
        // Other tests, and what runs the tests, wait while the streams are locked.
        check(&mut io::stdout().lock(), 1, clone_stdout, replace_stdout);
        check(&mut io::stderr().lock(), 2, clone_stderr, replace_stderr);
    }
}
