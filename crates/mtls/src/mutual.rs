//! TLS settings that authenticate both sides.

use std::fmt;
use std::sync::Arc;

use miette::Diagnostic;
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::ServerName;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ServerConfig};
use thiserror::Error;

use crate::identity::Identity;
use crate::peer::PeerCertificate;
use crate::provider::{provider, verifies_p521};
use crate::trust::Trust;
use crate::verifier::{PeerVerifier, Pinned, Roots};

/// The TLS settings of one side, for dialling and for listening.
///
/// The settings support TLS 1.2 and 1.3 with the application protocol `h2`. They always present the identity's certificate and require a
/// certificate of the peer. Sessions are never resumed, so that every connection proves both keys. Cloning is cheap.
///
/// # Protocol
///
/// The two identities authenticate every connection of a session, including brokered connections, in both roles (go-plugin `client.go`
/// and `server.go`, tag v1.8.0). Differs: the certificate is pinned and does not serve as an authority.
#[derive(Clone)]
pub struct MutualTls {
    identity: Identity,
    trust: Trust,
    server_name: ServerName<'static>,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl MutualTls {
    /// Creates settings that present `identity` and accept the certificates of `trust`. The server name is `localhost`.
    ///
    /// # Errors
    ///
    /// [`TlsError::Roots`] or [`TlsError::Versions`] if rustls refuses the settings. [`TlsError::P521NotBuilt`] for a pinned certificate
    /// with a P-521 key, without the features `p521` and `aws-lc-rs`.
    pub fn new(identity: Identity, trust: Trust) -> Result<Self, TlsError> {
        let provider = provider();
        let algorithms = provider.signature_verification_algorithms;
        let (client, server) = match &trust {
            Trust::Pinned(certificate) => {
                check_key(certificate, &algorithms)?;
                let verifier = PeerVerifier::new(Pinned(certificate.clone()), algorithms);
                configs(&identity, &provider, Arc::new(verifier))?
            }
            Trust::Roots(roots) => {
                let verifier = PeerVerifier::new(Roots::new(roots.clone(), &provider)?, algorithms);
                configs(&identity, &provider, Arc::new(verifier))?
            }
        };
        Ok(Self { identity, trust, server_name: localhost(), client, server })
    }

    /// Sets the server name for dialling: a DNS name or an IP address.
    ///
    /// With [`Trust::Roots`] the server's certificate must carry the name. With [`Trust::Pinned`] the name is only sent to the server.
    ///
    /// # Errors
    ///
    /// [`TlsError::ServerName`] if `name` is neither a DNS name nor an IP address.
    pub fn with_server_name(self, name: impl Into<String>) -> Result<Self, TlsError> {
        let name = name.into();
        let server_name = ServerName::try_from(name.clone()).map_err(|_| TlsError::ServerName { name })?;
        Ok(Self { server_name, ..self })
    }

    /// The identity that the settings present.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The certificates that the settings accept.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The settings for dialling. Use them with [`server_name`](Self::server_name).
    #[must_use]
    pub fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }

    /// The settings for listening.
    #[must_use]
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// The server name for dialling.
    #[must_use]
    pub fn server_name(&self) -> ServerName<'static> {
        self.server_name.clone()
    }
}

impl fmt::Debug for MutualTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MutualTls")
            .field("identity", &self.identity)
            .field("trust", &self.trust)
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

/// An error of TLS settings.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum TlsError {
    /// The name is neither a DNS name nor an IP address.
    #[error("`{name}` is neither a DNS name nor an IP address")]
    #[diagnostic(
        code(rpcplugin::security::tls_server_name),
        help("give the name in the server's certificate, without a port")
    )]
    ServerName {
        /// The name.
        name: String,
    },
    /// rustls cannot use the roots.
    #[error("the roots cannot be used")]
    #[diagnostic(code(rpcplugin::security::tls_roots), help("replace the bundle of trusted certificates"))]
    Roots {
        /// The error of rustls.
        #[from]
        source: VerifierBuilderError,
    },
    /// The certificate of the peer has a P-521 key, and this program is built without P-521.
    #[error("the certificate of the peer has a P-521 key, and this program is built without P-521")]
    #[diagnostic(
        code(rpcplugin::security::tls_p521_not_built),
        help(
            "enable the feature `p521` of rpcplugin in this program: peers that are built on go-plugin have such keys"
        )
    )]
    P521NotBuilt,
    /// The crypto provider supports neither TLS 1.2 nor TLS 1.3.
    #[error("the crypto provider supports neither TLS 1.2 nor TLS 1.3")]
    #[diagnostic(
        code(rpcplugin::security::tls_versions),
        help("build this program with the feature `ring` or `aws-lc-rs` of rpcplugin")
    )]
    Versions {
        /// The error of rustls.
        source: rustls::Error,
    },
}

fn configs<V>(
    identity: &Identity,
    provider: &Arc<CryptoProvider>,
    verifier: Arc<V>,
) -> Result<(Arc<ClientConfig>, Arc<ServerConfig>), TlsError>
where
    V: ServerCertVerifier + ClientCertVerifier + 'static,
{
    // The certificate is presented whatever the peer's hint is: Go servers send hints of their own roots.
    let presented = Arc::new(SingleCertAndKey::from(identity.certified_key()));

    let mut client = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|source| TlsError::Versions { source })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::<V>::clone(&verifier))
        .with_client_cert_resolver(Arc::<SingleCertAndKey>::clone(&presented));
    client.alpn_protocols = vec![HTTP2.to_vec()];
    client.resumption = Resumption::disabled();

    let mut server = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|source| TlsError::Versions { source })?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(presented);
    server.alpn_protocols = vec![HTTP2.to_vec()];
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;

    Ok((Arc::new(client), Arc::new(server)))
}

/// Refuses a certificate whose handshakes would fail without a cause that a user understands.
fn check_key(certificate: &PeerCertificate, algorithms: &WebPkiSupportedAlgorithms) -> Result<(), TlsError> {
    if verifies_p521(algorithms) || !certificate.has_p521_key() {
        Ok(())
    } else {
        Err(TlsError::P521NotBuilt)
    }
}

/// The name that go-plugin dials and that every ephemeral certificate carries.
fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("`localhost` is a valid DNS name")
}

/// The application protocol. grpc-go refuses connections without it since 1.67.
const HTTP2: &[u8] = b"h2";

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "ring")]
    #[test]
    fn a_peer_on_p521_is_refused_by_name_in_a_build_without_p521() {
        let ring = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        let pinned = |pem| PeerCertificate::from_pem(pem).expect("a certificate");
        let go = pinned(include_str!("../tests/data/go-plugin-p521.cert.pem"));
        let error = check_key(&go, &ring).expect_err("ring lacks P-521");
        assert_eq!(error.code().expect("a code").to_string(), "rpcplugin::security::tls_p521_not_built");
        assert!(error.help().expect("help").to_string().contains("`p521`"));
        check_key(&pinned(include_str!("../tests/data/p384.cert.pem")), &ring).expect("ring has P-384");
        let built = verifies_p521(&provider().signature_verification_algorithms);
        assert_eq!(check_key(&go, &provider().signature_verification_algorithms).is_ok(), built);
    }

    #[test]
    fn errors_of_a_broken_build_have_codes() {
        let check = |error: TlsError, code: &str| {
            assert_eq!(error.code().expect("a code").to_string(), code);
            assert!(error.help().is_some());
        };
        check(VerifierBuilderError::NoRootAnchors.into(), "rpcplugin::security::tls_roots");
        let source = rustls::Error::General("no version".to_owned());
        check(TlsError::Versions { source }, "rpcplugin::security::tls_versions");
    }
}
