//! Sockets that are passed from process to process, which do not exist here.

use std::{io, process::Stdio};

use crate::os::sockets::UnixStream;

/// There is no value of it here.
#[derive(Debug)]
pub(crate) enum Passing {}

/// There is no value of it here.
#[derive(Debug)]
pub(crate) enum PassingEnd {}

/// There is no value of it here.
#[derive(Debug)]
pub(crate) enum PassedSocket {}

#[derive(Debug)]
#[expect(dead_code, reason = "nothing is received here")]
pub(crate) enum Received {
    Socket(u32, PassedSocket),
    Lost,
    End,
}

#[derive(Debug)]
pub(crate) struct Carrier {
    pub(crate) stdout: Stdio,
    pub(crate) reader: UnixStream,
    pub(crate) passing: PassingEnd,
}

impl Carrier {
    pub(crate) fn new(_: &str) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

pub(crate) fn take_from_stdout(_: &str) -> Option<PassingEnd> {
    None
}

pub(crate) fn connected() -> io::Result<(UnixStream, PassedSocket)> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Passing {
    pub(crate) fn new(end: PassingEnd) -> io::Result<Self> {
        match end {}
    }

    pub(crate) async fn send(&self, _: u32, _: PassedSocket) -> io::Result<()> {
        match *self {}
    }

    pub(crate) async fn receive(&self) -> io::Result<Received> {
        match *self {}
    }
}

impl PassedSocket {
    pub(crate) fn acknowledge(&self) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn into_stream(self) -> io::Result<UnixStream> {
        match self {}
    }
}
