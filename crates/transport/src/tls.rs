//! Authentication of the two ends of a stream.

use std::{fmt, io, time::Duration};

use bytes::Bytes;
use rpcplugin_core::Endpoint;
use rpcplugin_mtls::{Identity, MutualTls, PeerCertificate, Trust};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream, rustls};

use crate::{
    frames::AuthorityRewrite,
    io::{Inspected, Replayed, dispatch_io},
    net::{Dialer, Stream},
};

/// How all streams between two peers are secured: the main connection and the brokered connections.
///
/// Either both sides are authenticated, or neither side is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Security {
    /// Neither side is authenticated. Every process that can reach the endpoint may connect.
    Plain,
    /// Both sides are authenticated by certificates, which were given or agreed upon in the handshake.
    Mutual(MutualTls),
}

/// A stream that has passed [`Security`]: its peer is authenticated, unless the security is [`Plain`](Security::Plain).
#[derive(Debug)]
pub struct SecureStream(Inner);

enum Inner {
    Plain(Stream),
    /// A plain Unix socket, to which a host built on gRPC's C core may connect.
    Rewritten(Inspected<Stream, AuthorityRewrite>),
    Tls(Box<TlsStream<Stream>>),
    /// A stream whose first bytes were read before.
    Replayed(Box<Replayed<SecureStream>>),
}

/// The TLS handshake on a stream failed.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("the TLS handshake failed")]
#[diagnostic(
    code(rpcplugin::security::tls_handshake_failed),
    help(
        "set TLS on both sides, with certificates that the other side trusts: this error also comes from a peer that speaks plain \
         HTTP/2, and from a certificate that was replaced on the way"
    )
)]
pub struct SecureError(#[source] pub io::Error);

impl Security {
    /// Whether both sides are authenticated.
    #[must_use]
    pub fn is_mutual(&self) -> bool {
        matches!(self, Self::Mutual(_))
    }

    /// Secures a stream that this side has opened.
    ///
    /// # Errors
    /// [`SecureError`] when the certificate of the peer is not trusted, or when the peer does not speak TLS.
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

    /// Secures a stream that this side has accepted.
    ///
    /// # Errors
    /// As [`client`](Self::client).
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream.
    pub async fn server(&self, stream: Stream) -> Result<SecureStream, SecureError> {
        match self {
            Self::Plain if stream.is_unix() => Ok(SecureStream::rewritten(stream)),
            Self::Plain => Ok(SecureStream::plain(stream)),
            Self::Mutual(tls) => TlsAcceptor::from(tls.server_config())
                .accept(stream)
                .await
                .map(SecureStream::tls)
                .map_err(SecureError),
        }
    }
}

impl SecureStream {
    fn plain(stream: Stream) -> Self {
        Self(Inner::Plain(stream))
    }

    fn rewritten(stream: Stream) -> Self {
        Self(Inner::Rewritten(Inspected::new(stream, AuthorityRewrite::default())))
    }

    fn tls(stream: impl Into<TlsStream<Stream>>) -> Self {
        Self(Inner::Tls(Box::new(stream.into())))
    }

    /// Returns the stream with bytes as they arrive, and whether they were rewritten for HTTP/2 until now. Nothing may have been read.
    pub(crate) fn unchanged(self) -> (Self, bool) {
        match self.0 {
            Inner::Rewritten(stream) => (Self::plain(stream.into_inner()), true),
            _ => (self, false),
        }
    }

    /// Lets `first` be read before the bytes of the stream. With `rewrite`, a plain stream is rewritten for HTTP/2 again.
    pub(crate) fn replaying(self, first: Bytes, rewrite: bool) -> Self {
        match self.0 {
            Inner::Plain(stream) if rewrite => Self::rewritten(Stream::other(Replayed::new(stream, first))),
            inner => Self(Inner::Replayed(Box::new(Replayed::new(Self(inner), first)))),
        }
    }

    /// Whether both sides of this stream are authenticated.
    #[must_use]
    pub fn is_mutual(&self) -> bool {
        match &self.0 {
            Inner::Tls(_) => true,
            Inner::Replayed(stream) => stream.inner().is_mutual(),
            Inner::Plain(_) | Inner::Rewritten(_) => false,
        }
    }

    /// The certificate by which the peer is authenticated.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<PeerCertificate> {
        let stream = match &self.0 {
            Inner::Tls(stream) => stream,
            Inner::Replayed(stream) => return stream.inner().peer_certificate(),
            Inner::Plain(_) | Inner::Rewritten(_) => return None,
        };
        let leaf = stream.get_ref().1.peer_certificates()?.first()?;
        PeerCertificate::from_der(leaf.as_ref()).ok()
    }
}

dispatch_io!(SecureStream, this => this.0, Inner { Plain, Rewritten, Tls, Replayed });

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(stream) => f.debug_tuple("Plain").field(stream).finish(),
            Self::Rewritten(_) => f.write_str("Rewritten"),
            Self::Tls(_) => f.write_str("Tls"),
            Self::Replayed(stream) => stream.inner().fmt(f),
        }
    }
}

/// Whether the listener that `dialer` reaches at `endpoint` speaks TLS, with any certificates. A listener that replies to the beginning of a
/// TLS handshake with TLS speaks it.
///
/// This opens one connection and closes it again. Returns false if there is no reply within two seconds.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub async fn speaks_tls(dialer: &Dialer, endpoint: &Endpoint) -> bool {
    let handshake = async {
        // The identity trusts only itself, so that no peer passes.
        let identity = Identity::generate().ok()?;
        let trust = Trust::Pinned(identity.peer_certificate());
        let tls = MutualTls::new(identity, trust).ok()?;
        let stream = dialer.dial(endpoint).await.ok()?;
        let refused = Security::Mutual(tls).client(stream).await.err()?;
        let fault = refused.0.get_ref()?.downcast_ref::<rustls::Error>()?;
        Some(!matches!(fault, rustls::Error::InvalidMessage(_)))
    };
    timeout(REPLY_TIMEOUT, handshake).await.ok().flatten().unwrap_or(false)
}

/// How long a peer may take to reply to the beginning of a handshake.
const REPLY_TIMEOUT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn a_peer_that_speaks_tls_is_detected_by_its_reply() {
        let detected = async |reply: Option<&'static [u8]>| {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("bound").to_string();
            let endpoint = Endpoint::parse("tcp", &address).expect("an address");
            let identity = Identity::generate().expect("an identity");
            let trust = Trust::Pinned(identity.peer_certificate());
            let tls = Security::Mutual(MutualTls::new(identity, trust).expect("settings"));
            let replying = async {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                match reply {
                    Some(bytes) => {
                        let _ = stream.read(&mut [0; 1024]).await;
                        let _ = stream.write_all(bytes).await;
                    }
                    None => drop(tls.server(Stream::Tcp(stream)).await),
                }
            };
            let dialer = Dialer::sockets();
            tokio::join!(speaks_tls(&dialer, &endpoint), replying).0
        };
        assert!(detected(None).await, "with certificates of its own");
        assert!(detected(Some(&[21, 3, 3, 0, 2, 2, 40])).await, "an alert is a reply");
        // The first SETTINGS frame of an HTTP/2 server, a response of HTTP/1, and a closed connection.
        assert!(!detected(Some(&[0, 0, 0, 4, 0, 0, 0, 0, 0])).await);
        assert!(!detected(Some(b"HTTP/1.1 400 Bad Request\r\n\r\n")).await);
        assert!(!detected(Some(b"")).await);
    }
}
