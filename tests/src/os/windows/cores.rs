//! Running a program on given cores only.

use std::{ffi::OsString, io};

use super::unsupported;

/// Fails: only Linux keeps a program on given cores here.
pub(crate) fn run_on(_: &[usize], _: &[OsString]) -> io::Error {
    unsupported("Windows keeps no program on given cores")
}
