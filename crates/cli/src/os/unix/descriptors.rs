//! File descriptors of this process.

use std::fs::File;

use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    stdio::dup2_stdout,
};

/// Raises the limit of open files as far as this user may.
pub(crate) fn allow_many_descriptors() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    // Below the old limit everything works.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Closes stdout for its readers. What is printed afterwards is discarded.
pub(crate) fn close_stdout() {
    if let Ok(null) = File::options().write(true).open("/dev/null") {
        let _ = dup2_stdout(null);
    }
}
