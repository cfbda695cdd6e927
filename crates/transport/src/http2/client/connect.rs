//! How a channel opens streams to its peer.

use std::{sync::Arc, time::Duration};

use crate::{
    net::ConnectError,
    tls::{SecureError, SecureStream},
};

/// Opens secured streams to one peer. A channel calls it for its first connection, and again when a connection has ended.
pub trait Connect: Send + Sync + 'static {
    /// Opens a stream.
    fn connect(&self) -> impl Future<Output = Result<SecureStream, ChannelError>> + Send;
}

impl<C: Connect> Connect for Arc<C> {
    fn connect(&self) -> impl Future<Output = Result<SecureStream, ChannelError>> + Send {
        C::connect(self)
    }
}

/// A connection of a channel could not be opened.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum ChannelError {
    /// No stream to the endpoint could be opened.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Connect(#[from] ConnectError),
    /// The TLS handshake failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Secure(#[from] SecureError),
    /// The peer accepted the connection and did not answer in time.
    #[error("the peer did not answer within {} s", .0.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::transport::peer_timeout),
        help(
            "check that the peer is not stopped, and that it serves gRPC: it accepts connections and does not answer"
        )
    )]
    Timeout(Duration),
    /// The stream carries no HTTP/2.
    #[error("the peer does not speak HTTP/2")]
    #[diagnostic(
        code(rpcplugin::transport::not_http2),
        help(
            "set the same TLS mode and the same multiplexing on host and plugin: a peer that expects one of them closes any other \
             connection"
        )
    )]
    NotHttp2(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The peer closes each connection at once.
    #[error("the peer accepts connections and closes them before it answers a call")]
    #[diagnostic(
        code(rpcplugin::transport::peer_hangs_up),
        help(
            "read the stderr of the peer: another program than a plugin may listen there, or a plugin that expects TLS or multiplexing"
        )
    )]
    HangsUp,
    /// The process of the peer has exited.
    #[error("the process of the peer has exited")]
    #[diagnostic(code(rpcplugin::transport::peer_exited), help("launch the plugin anew"))]
    PeerExited,
    /// Another way of connecting failed.
    #[error("{what}")]
    #[diagnostic(code(rpcplugin::transport::connector_failed), help("see the cause"))]
    Other {
        /// The failure.
        what: &'static str,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
