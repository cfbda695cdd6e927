//! Connections to a plugin from clients that are not its host.

use std::sync::Arc;

use rpcplugin::{
    PluginChannel,
    tls::{Identity, PeerCertificate, provider},
    transport::{
        SecureStream, Security, Stream,
        http2::{self, ChannelError, Connect},
    },
};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::{
        ResolvesClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
    sign::CertifiedKey,
};
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    address::Address,
    connection::{RESPONSE_TIMEOUT, channel, health, is_response, settings},
};

/// An unauthorized client: a client that is not the plugin's host and can reach its address. It does not verify the plugin.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Impostor {
    /// Uses no TLS.
    PlainText,
    /// Presents no certificate.
    NoCertificate,
    /// Presents an unknown certificate, with its key.
    UnknownCertificate,
    /// Presents the host's certificate from the plugin's environment, without its key.
    HostCertificate,
    /// Presents the plugin's certificate from the handshake line, without its key.
    PluginCertificate,
}

/// Opens a channel as an impostor. Under TLS 1.3 a plugin refuses most impostors at their first call, not at the connection.
pub(crate) async fn impostor_channel(
    impostor: Impostor,
    address: &Address,
    host: &Identity,
    plugin: &PeerCertificate,
) -> Result<PluginChannel, ChannelError> {
    let made = |error: Box<dyn std::error::Error + Send + Sync>| ChannelError::Other {
        what: "the unauthorized client cannot be set up",
        source: error,
    };
    let own = || -> Result<CertifiedKey, Box<dyn std::error::Error + Send + Sync>> {
        let identity = Identity::generate()?;
        let exported = identity.export();
        let key = PrivateKeyDer::from_pem_slice(exported.private_key_pem().as_bytes())?;
        let key = provider().key_provider.load_private_key(key)?;
        Ok(CertifiedKey::new(vec![identity.certificate_der().to_vec().into()], key))
    };
    let presented = match impostor {
        Impostor::PlainText => return channel(address, Security::Plain).await,
        Impostor::NoCertificate => None,
        Impostor::UnknownCertificate => Some(own().map_err(made)?),
        Impostor::HostCertificate => {
            let stolen = host.certificate_der().to_vec().into();
            Some(CertifiedKey { cert: vec![stolen], ..own().map_err(made)? })
        }
        Impostor::PluginCertificate => {
            let stolen = plugin.der().to_vec().into();
            Some(CertifiedKey { cert: vec![stolen], ..own().map_err(made)? })
        }
    };
    let config = unchecked_config(presented).map_err(|error| made(error.into()))?;
    http2::connect(UncheckedServer { address: address.clone(), config }, &settings()).await
}

/// Whether the plugin responds to an impostor's call within [`RESPONSE_TIMEOUT`].
pub(crate) async fn is_served(
    impostor: Impostor,
    address: &Address,
    host: &Identity,
    plugin: &PeerCertificate,
) -> bool {
    let call = async {
        match impostor_channel(impostor, address, host, plugin).await {
            Ok(channel) => is_response(&health(channel, "plugin").await),
            Err(_) => false,
        }
    };
    timeout(RESPONSE_TIMEOUT, call).await.unwrap_or(false)
}

/// Returns the protocol that the plugin selects from `h2` and `http/1.1` by ALPN.
pub(crate) async fn alpn(address: &Address, host: &Identity) -> Result<Option<String>, ChannelError> {
    let exported = host.export();
    let made = |source: Box<dyn std::error::Error + Send + Sync>| ChannelError::Other {
        what: "the host's own key cannot be used",
        source,
    };
    let key = PrivateKeyDer::from_pem_slice(exported.private_key_pem().as_bytes())
        .map_err(|error| made(error.into()))?;
    let key = provider().key_provider.load_private_key(key).map_err(|error| made(error.into()))?;
    let presented = CertifiedKey::new(vec![host.certificate_der().to_vec().into()], key);
    let mut config = unchecked_config(Some(presented)).map_err(|error| made(error.into()))?;
    Arc::make_mut(&mut config).alpn_protocols.push(b"http/1.1".to_vec());
    let stream = UncheckedServer { address: address.clone(), config }.tls().await?;
    let chosen = stream.get_ref().1.alpn_protocol();
    Ok(chosen.map(|chosen| String::from_utf8_lossy(chosen).into_owned()))
}

/// Checks that a certificate is valid for `localhost`, the name that Go hosts verify.
pub(crate) fn names_localhost(certificate: &PeerCertificate) -> Result<(), rustls::Error> {
    let der = CertificateDer::from(certificate.der());
    verify_server_name(&ParsedCertificate::try_from(&der)?, &localhost())
}

struct UncheckedServer {
    address: Address,
    config: Arc<ClientConfig>,
}

impl UncheckedServer {
    async fn tls(&self) -> Result<TlsStream<Stream>, ChannelError> {
        let stream = self.address.dial().await?;
        let connecting = TlsConnector::from(Arc::clone(&self.config)).connect(localhost(), stream);
        connecting
            .await
            .map_err(|error| ChannelError::Other { what: "the TLS handshake failed", source: error.into() })
    }
}

impl Connect for UncheckedServer {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        Ok(Security::Plain.client(Stream::other(self.tls().await?)).await?)
    }
}

/// Returns a configuration that accepts any server, and presents a certificate even without its key.
fn unchecked_config(presented: Option<CertifiedKey>) -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = provider();
    let verifier = Arc::new(NoVerification(provider.signature_verification_algorithms));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match presented {
        None => builder.with_no_client_auth(),
        Some(presented) => builder.with_client_cert_resolver(Arc::new(Presents(Arc::new(presented)))),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct Presents(Arc<CertifiedKey>);

impl ResolvesClientCert for Presents {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Accepts any certificate of a server.
#[derive(Debug)]
struct NoVerification(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for NoVerification {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// The server name that go-plugin's hosts use under TLS.
fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("`localhost` is a DNS name")
}

#[cfg(test)]
mod tests {
    use rpcplugin::{
        Endpoint,
        tls::{MutualTls, Trust},
    };
    use rustls::{
        DistinguishedName, ServerConfig,
        server::danger::{ClientCertVerified, ClientCertVerifier},
    };
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// Checks the certificate, but not the proof of its key.
    #[derive(Debug)]
    struct Careless(CertificateDer<'static>, WebPkiSupportedAlgorithms);

    impl ClientCertVerifier for Careless {
        fn root_hint_subjects(&self) -> &[DistinguishedName] {
            &[]
        }

        fn verify_client_cert(
            &self,
            presented: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: UnixTime,
        ) -> Result<ClientCertVerified, rustls::Error> {
            if *presented == self.0 {
                Ok(ClientCertVerified::assertion())
            } else {
                Err(rustls::Error::General("unknown certificate".to_owned()))
            }
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.1.supported_schemes()
        }
    }

    /// Whether a server with this configuration accepts the impostor.
    async fn accepts(
        impostor: Impostor,
        host: &Identity,
        plugin: &Identity,
        server: Arc<ServerConfig>,
    ) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::parse("tcp", &listener.local_addr().unwrap().to_string()).unwrap();
        let address = Address::from(&endpoint);
        let accepted = async {
            let (stream, _) = listener.accept().await.unwrap();
            TlsAcceptor::from(server).accept(stream).await.is_ok()
        };
        let certificate = plugin.peer_certificate();
        let (accepted, _) = tokio::join!(accepted, impostor_channel(impostor, &address, host, &certificate));
        accepted
    }

    #[tokio::test]
    async fn copied_certificates_deceive_only_servers_that_do_not_check_the_key() {
        let (host, plugin) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let careful = MutualTls::new(plugin.clone(), Trust::Pinned(host.peer_certificate())).unwrap();
        let exported = plugin.export();
        let key = PrivateKeyDer::from_pem_slice(exported.private_key_pem().as_bytes()).unwrap();
        let careless = |trusted: &Identity| {
            let trusted = CertificateDer::from(trusted.certificate_der().to_vec());
            let verifier = Arc::new(Careless(trusted, provider().signature_verification_algorithms));
            let config = ServerConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_client_cert_verifier(verifier)
                .with_single_cert(vec![plugin.certificate_der().to_vec().into()], key.clone_key());
            Arc::new(config.unwrap())
        };
        for (impostor, deceived) in [
            (Impostor::HostCertificate, Some(&host)),
            (Impostor::PluginCertificate, Some(&plugin)),
            (Impostor::UnknownCertificate, None),
            (Impostor::NoCertificate, None),
            (Impostor::PlainText, None),
        ] {
            assert!(!accepts(impostor, &host, &plugin, careful.server_config()).await, "{impostor:?}");
            let trusted = deceived.unwrap_or(&host);
            let is_accepted = accepts(impostor, &host, &plugin, careless(trusted)).await;
            assert_eq!(is_accepted, deceived.is_some(), "{impostor:?}");
        }
    }
}
