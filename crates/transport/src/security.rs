//! Who may speak on a stream.

use std::{io, time::Duration};

use rpcplugin_core::Endpoint;
use rpcplugin_mtls::{Identity, MutualTls, Trust};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, rustls};

use crate::{
    dial::dial,
    stream::{SecureStream, Stream},
};

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

/// Whether what listens at `endpoint` speaks TLS, whomever it accepts: it answers the beginning of a TLS handshake in kind.
///
/// That takes one connection, which is closed again. What does not answer within two seconds counts as no.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub async fn speaks_tls(endpoint: &Endpoint) -> bool {
    let asking = async {
        // It trusts itself alone, so that no peer is taken for one that was agreed upon.
        let identity = Identity::generate().ok()?;
        let trust = Trust::Pinned(identity.peer_certificate());
        let tls = MutualTls::new(identity, trust).ok()?;
        let stream = dial(endpoint).await.ok()?;
        let refused = Security::Mutual(tls).client(stream).await.err()?;
        let fault = refused.0.get_ref()?.downcast_ref::<rustls::Error>()?;
        Some(!matches!(fault, rustls::Error::InvalidMessage(_)))
    };
    timeout(ANSWER, asking).await.ok().flatten().unwrap_or(false)
}

/// How long a peer may take to answer the beginning of a handshake.
const ANSWER: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn a_peer_of_tls_is_known_by_its_answer() {
        let asked = async |answer: Option<&'static [u8]>| {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("bound").to_string();
            let endpoint = Endpoint::parse("tcp", &address).expect("an address");
            let identity = Identity::generate().expect("an identity");
            let trust = Trust::Pinned(identity.peer_certificate());
            let tls = Security::Mutual(MutualTls::new(identity, trust).expect("settings"));
            let answering = async {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                match answer {
                    Some(bytes) => {
                        let _ = stream.read(&mut [0; 1024]).await;
                        let _ = stream.write_all(bytes).await;
                    }
                    None => drop(tls.server(Stream::Tcp(stream)).await),
                }
            };
            tokio::join!(speaks_tls(&endpoint), answering).0
        };
        assert!(asked(None).await, "with certificates of its own");
        assert!(asked(Some(&[21, 3, 3, 0, 2, 2, 40])).await, "an alert is an answer");
        // The settings with which an HTTP/2 server begins, words of HTTP/1, and a hang-up.
        assert!(!asked(Some(&[0, 0, 0, 4, 0, 0, 0, 0, 0])).await);
        assert!(!asked(Some(b"HTTP/1.1 400 Bad Request\r\n\r\n")).await);
        assert!(!asked(Some(b"")).await);
    }
}
