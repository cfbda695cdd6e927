//! Dialling an endpoint.

use std::io;

use rpcplugin_core::{Endpoint, SocketPath};
use tokio::net::{TcpStream, UnixStream};

use crate::{
    socket::{address, connect_at_once},
    stream::Stream,
};

/// An endpoint did not answer.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot connect to {endpoint}")]
#[diagnostic(
    code(rpcplugin::transport::cannot_dial),
    help("{}", match source.kind() {
        io::ErrorKind::NotFound => "the socket file is gone: the plugin has ended, or something removed its file",
        io::ErrorKind::ConnectionRefused => "nothing listens there: the plugin has ended, or it announced another address",
        io::ErrorKind::PermissionDenied => "this user may not connect: set a socket group that both sides belong to",
        _ => "check that the plugin runs and listens at the address it announced",
    })
)]
pub struct DialError {
    /// Where we tried.
    pub endpoint: Endpoint,
    /// What the operating system says.
    pub source: io::Error,
}

/// Opens a raw stream to `endpoint`.
///
/// # Errors
/// [`DialError`] at once when nothing listens there. There is no deadline: a TCP address that swallows packets is
/// waited for until the caller gives up.
///
/// # Cancel safety
/// Dropping the future abandons the attempt.
pub async fn dial(endpoint: &Endpoint) -> Result<Stream, DialError> {
    let stream = match endpoint {
        Endpoint::Unix(path) => dial_unix(path).await.map(Stream::unix),
        Endpoint::Tcp(address) => TcpStream::connect((address.host(), address.port())).await.map(|stream| {
            // Calls are small; without this Nagle's algorithm delays some by 40 ms. Failing to set it is no fault.
            let _ = stream.set_nodelay(true);
            Stream::Tcp(stream)
        }),
        other => Err(io::Error::new(io::ErrorKind::Unsupported, format!("no way to dial {other}"))),
    };
    stream.map_err(|source| DialError { endpoint: endpoint.clone(), source })
}

async fn dial_unix(path: &SocketPath) -> io::Result<UnixStream> {
    // tokio knows no abstract names.
    if path.abstract_name().is_some() {
        return UnixStream::from_std(connect_at_once(&address(path)?)?);
    }
    UnixStream::connect(path.as_path()).await
}
