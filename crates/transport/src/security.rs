//! Who may speak on a stream.

use std::io;

use rpcplugin_mtls::MutualTls;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::stream::{SecureStream, Stream};

/// How every stream between two peers is secured: the main connection and all that are brokered over it.
///
/// There is no mode in which one side is authenticated and the other is not.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Security {
    /// Nobody is authenticated: whoever can reach the endpoint may speak.
    Plain,
    /// Both sides are, by what was agreed in the handshake or given beforehand.
    Mutual(MutualTls),
}

/// A stream could not be secured.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("the TLS handshake failed")]
#[diagnostic(
    code(rpcplugin::security::tls_handshake),
    help(
        "host and plugin have to agree: both with TLS, each trusting the other's certificate; a peer that speaks \
         plain HTTP/2, or one in between that swapped a certificate, ends here"
    )
)]
pub struct SecureError(#[source] pub io::Error);

impl Security {
    /// Whether both sides are authenticated.
    #[must_use]
    pub fn is_mutual(&self) -> bool {
        matches!(self, Self::Mutual(_))
    }

    /// Secures a stream that we dialled.
    ///
    /// # Errors
    /// [`SecureError`] when the peer is not the one that was agreed upon, or does not speak TLS.
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream.
    pub async fn client(&self, stream: Stream) -> Result<SecureStream, SecureError> {
        match self {
            Self::Plain => Ok(SecureStream::plain(stream)),
            Self::Mutual(tls) => TlsConnector::from(tls.client_config())
                .connect(tls.server_name(), stream)
                .await
                .map(SecureStream::tls)
                .map_err(SecureError),
        }
    }

    /// Secures a stream that we accepted.
    ///
    /// # Errors
    /// As [`client`](Self::client).
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream.
    pub async fn server(&self, stream: Stream) -> Result<SecureStream, SecureError> {
        match self {
            Self::Plain if stream.is_unix() => Ok(SecureStream::filtered(stream)),
            Self::Plain => Ok(SecureStream::plain(stream)),
            Self::Mutual(tls) => TlsAcceptor::from(tls.server_config())
                .accept(stream)
                .await
                .map(SecureStream::tls)
                .map_err(SecureError),
        }
    }
}
