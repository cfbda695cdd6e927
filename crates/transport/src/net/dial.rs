//! Connecting to an endpoint.

use std::io;

use rpcplugin_core::Endpoint;
use tokio::net::TcpStream;

use super::stream::Stream;
use crate::os::sockets;

/// No stream to an endpoint could be opened.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot connect to {endpoint}")]
#[diagnostic(
    code(rpcplugin::transport::cannot_connect),
    help("{}", match source.kind() {
        io::ErrorKind::NotFound => "check that the plugin runs: its socket file does not exist",
        io::ErrorKind::ConnectionRefused => "check that the plugin runs and that this is the address that it announced: nothing listens there",
        io::ErrorKind::PermissionDenied => "set `PLUGIN_UNIX_SOCKET_GROUP` to a group of both sides: this user may not connect",
        _ => "check that the plugin runs and listens at the address that it announced",
    })
)]
pub struct ConnectError {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The error of the operating system.
    pub source: io::Error,
}

/// Opens a raw stream to `endpoint`.
///
/// # Errors
/// [`ConnectError`] at once when nothing listens there. There is no timeout: the caller must give up on a TCP address
/// that drops packets.
///
/// # Cancel safety
/// Dropping the future closes the socket.
pub async fn dial(endpoint: &Endpoint) -> Result<Stream, ConnectError> {
    let stream = match endpoint {
        Endpoint::Unix(path) => sockets::dial(path).await.map(Stream::unix),
        Endpoint::Tcp(address) => TcpStream::connect((address.host(), address.port())).await.map(|stream| {
            // Calls are small: Nagle's algorithm would delay some by 40 ms. A failure makes calls slower only.
            let _ = stream.set_nodelay(true);
            Stream::Tcp(stream)
        }),
        other => {
            Err(io::Error::new(io::ErrorKind::Unsupported, format!("unknown kind of endpoint: {other}")))
        }
    };
    stream.map_err(|source| ConnectError { endpoint: endpoint.clone(), source })
}
