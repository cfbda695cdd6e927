//! Unix sockets, which do not exist here.

use std::{
    io,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use rpcplugin_core::SocketPath;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::no_unix_sockets;

/// Whether this system has Unix sockets.
pub(crate) const AVAILABLE: bool = false;

/// The connection of a Unix socket. There is no value of it on Windows.
#[derive(Debug)]
pub enum UnixStream {}

/// The listener of a Unix socket. There is no value of it on Windows.
#[derive(Debug)]
pub(crate) enum UnixListener {}

pub(crate) async fn dial(_: &SocketPath) -> io::Result<UnixStream> {
    Err(no_unix_sockets())
}

pub(crate) fn listen_closed(_: &SocketPath) -> io::Result<UnixListener> {
    Err(no_unix_sockets())
}

pub(crate) fn refuses_connections(_: &Path) -> io::Result<bool> {
    Err(no_unix_sockets())
}

pub(crate) fn is_listened_in(_: &Path) -> bool {
    true
}

pub(crate) fn enlarge_send_buffer(stream: &UnixStream) {
    match *stream {}
}

/// Nothing: a connection whose peer's machine is silent ends when the system gives up sending.
pub(crate) fn end_after_silence(_: &TcpStream, _: Duration) -> io::Result<()> {
    Ok(())
}

impl UnixListener {
    pub(crate) async fn accept(&self) -> io::Result<(UnixStream, ())> {
        match *self {}
    }
}

impl AsyncRead for UnixStream {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }
}

impl AsyncWrite for UnixStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        match *self {}
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }
}
