//! A gRPC channel upon outgoing streams.

use std::{sync::Arc, time::Duration};

use crate::{
    dial::DialError,
    http2::{Settings, channel::PluginChannel, link::Link},
    security::SecureError,
    stream::SecureStream,
};

/// A way to open secured streams to one peer: called for the first, and again whenever the last one broke.
pub trait Connect: Send + Sync + 'static {
    /// Opens a stream.
    fn connect(&self) -> impl Future<Output = Result<SecureStream, ConnectError>> + Send;
}

impl<C: Connect> Connect for Arc<C> {
    fn connect(&self) -> impl Future<Output = Result<SecureStream, ConnectError>> + Send {
        C::connect(self)
    }
}

/// No channel could be opened.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum ConnectError {
    /// The endpoint does not answer.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Dial(#[from] DialError),
    /// The peer is not the one that was agreed upon.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Secure(#[from] SecureError),
    /// The peer accepted the connection and then kept silent.
    #[error("the peer did not answer within {} s", .0.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::transport::silent_peer),
        help(
            "the peer accepts connections but does not serve them: it may be stopped, or serve something else"
        )
    )]
    Silent(Duration),
    /// The stream carries no HTTP/2.
    #[error("the peer does not speak HTTP/2")]
    #[diagnostic(
        code(rpcplugin::transport::not_http2),
        help(
            "host and plugin have to agree on TLS and on multiplexing: a peer that expects either and gets neither \
             hangs up"
        )
    )]
    NotHttp2(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The peer hangs up as soon as it is connected to.
    #[error("the peer accepts connections and hangs up before it answers a call")]
    #[diagnostic(
        code(rpcplugin::transport::hangs_up),
        help(
            "something else than a plugin may listen there, or one that expects TLS or multiplexing and gets neither: \
             see what it writes on stderr"
        )
    )]
    HangsUp,
    /// Another way of connecting failed.
    #[error("{what}")]
    #[diagnostic(code(rpcplugin::transport::other), help("the cause says more"))]
    Other {
        /// What failed.
        what: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Opens a connection and a channel upon it. The channel opens another when this one is over and a further call is made.
///
/// # Errors
/// [`ConnectError`] when the stream cannot be opened or the peer speaks no HTTP/2. There is no certainty yet that the
/// peer accepts *us*: a TLS 1.3 client learns that with its first call.
///
/// # Cancel safety
/// Dropping the future closes what was opened.
pub async fn connect(connector: impl Connect, settings: &Settings) -> Result<PluginChannel, ConnectError> {
    Ok(PluginChannel::upon(Link::open(connector, settings).await?))
}

/// A channel that opens its connection with the first call.
#[must_use]
pub fn connect_lazy(connector: impl Connect, settings: &Settings) -> PluginChannel {
    PluginChannel::upon(Link::lazy(connector, settings))
}
