//! A program that a shell suspends, and continues. No shell of Windows does.

use std::{future::pending, io};

/// What a shell asks of its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(dead_code, reason = "Windows has no such signals")]
pub(crate) enum JobControl {
    Suspend,
    Continued,
}

/// The signals of Unix for jobs. None arrives.
#[derive(Debug)]
pub(crate) struct JobControls;

impl JobControls {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    /// Never resolves.
    pub(crate) async fn next(&mut self) -> JobControl {
        pending().await
    }
}

/// Does nothing.
pub(crate) fn ask_to_suspend() {}

/// Does nothing.
pub(crate) fn suspend() {}
