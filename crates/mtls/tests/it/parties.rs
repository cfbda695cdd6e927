//! Peers without this crate's settings, and the connection between two parties.

use std::path::PathBuf;
use std::sync::Arc;

use p521::ecdsa::signature::hazmat::PrehashSigner;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rpcplugin_mtls::{Identity, MutualTls, PeerCertificate, RootCertificates, Trust, provider};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, Connection, DigitallySignedStruct, DistinguishedName, Error,
    HandshakeKind, ProtocolVersion, ServerConfig, ServerConnection, SignatureAlgorithm, SignatureScheme,
    SupportedProtocolVersion,
};
use sha2::{Digest, Sha256, Sha384, Sha512};

pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS12, &rustls::version::TLS13];

/// The text of a file in `tests/data`.
pub(crate) fn data(name: &str) -> String {
    std::fs::read_to_string(data_path(name)).unwrap()
}

pub(crate) fn data_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

pub(crate) fn pinning(identity: &Identity, peer: &PeerCertificate) -> MutualTls {
    MutualTls::new(identity.clone(), Trust::Pinned(peer.clone())).unwrap()
}

pub(crate) fn trusting(identity: &Identity, bundle: &str) -> MutualTls {
    MutualTls::new(identity.clone(), Trust::Roots(RootCertificates::from_pem(bundle).unwrap())).unwrap()
}

/// The result of a handshake for each side.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) client: Result<(), Error>,
    pub(crate) server: Result<(), Error>,
    pub(crate) version: Option<ProtocolVersion>,
    pub(crate) alpn: Option<Vec<u8>>,
    pub(crate) kind: Option<HandshakeKind>,
    pub(crate) tickets: u32,
}

impl Outcome {
    #[track_caller]
    pub(crate) fn assert_connected(&self) {
        assert!(self.client.is_ok() && self.server.is_ok(), "{self:?}");
        assert_eq!(self.alpn.as_deref(), Some(b"h2".as_slice()));
    }

    #[track_caller]
    pub(crate) fn assert_client_refuses(&self, expected: impl Into<Error>) {
        assert_eq!(self.client, Err(expected.into()), "{self:?}");
        assert!(self.server.is_err(), "the server must not believe in this connection: {self:?}");
    }

    #[track_caller]
    pub(crate) fn assert_server_refuses(&self, expected: impl Into<Error>) {
        assert_eq!(self.server, Err(expected.into()), "{self:?}");
        assert!(self.client.is_err(), "the client must not believe in this connection: {self:?}");
    }
}

/// Passes data between two parties until both are silent.
pub(crate) fn handshake(
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    name: ServerName<'static>,
) -> Outcome {
    let mut client = Connection::from(ClientConnection::new(client, name).unwrap());
    let mut server = Connection::from(ServerConnection::new(server).unwrap());
    let (mut to_client, mut to_server) = (Ok(()), Ok(()));
    while carry(&mut client, &mut server, &mut to_server) | carry(&mut server, &mut client, &mut to_client) {}
    if to_client.is_ok() && to_server.is_ok() {
        assert!(!client.is_handshaking() && !server.is_handshaking(), "a silent, unfinished handshake");
    }
    Outcome {
        client: to_client,
        server: to_server,
        version: client.protocol_version(),
        alpn: client.alpn_protocol().map(<[u8]>::to_vec),
        kind: server.handshake_kind(),
        tickets: match &client {
            Connection::Client(client) => client.tls13_tickets_received(),
            Connection::Server(_) => unreachable!(),
        },
    }
}

/// Passes the data of `from`. Returns whether there was any.
fn carry(from: &mut Connection, to: &mut Connection, outcome: &mut Result<(), Error>) -> bool {
    let mut moved = false;
    while from.wants_write() {
        let mut bytes = Vec::new();
        from.write_tls(&mut bytes).unwrap();
        moved = true;
        let mut rest = bytes.as_slice();
        while outcome.is_ok() && !rest.is_empty() {
            to.read_tls(&mut rest).unwrap();
            *outcome = to.process_new_packets().map(drop);
        }
    }
    moved
}

pub(crate) fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// A peer that presents any certificate and accepts any certificate with a valid handshake signature.
pub(crate) struct OtherPeer {
    presented: Option<Arc<CertifiedKey>>,
    version: &'static SupportedProtocolVersion,
    pub(crate) alpn: Vec<Vec<u8>>,
    pub(crate) hints: Vec<DistinguishedName>,
}

impl OtherPeer {
    /// Presents a chain and signs with a key, which may belong to another certificate.
    pub(crate) fn new(certificates: &str, key: &str, version: &'static SupportedProtocolVersion) -> Self {
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let key = provider().key_provider.load_private_key(key).unwrap();
        Self::presenting(Some(CertifiedKey::new(chain(certificates), key)), version)
    }

    pub(crate) fn with(identity: &Identity, version: &'static SupportedProtocolVersion) -> Self {
        let exported = identity.export();
        Self::new(exported.certificates_pem(), exported.private_key_pem(), version)
    }

    /// A peer with a copied certificate and the key of another one.
    pub(crate) fn with_copied_certificate(
        of: &Identity,
        with: &Identity,
        version: &'static SupportedProtocolVersion,
    ) -> Self {
        Self::new(&of.certificate_pem(), with.export().private_key_pem(), version)
    }

    /// Presents the certificate of a go-plugin process and signs with the pure-Rust P-521 implementation.
    pub(crate) fn go_plugin(scheme: SignatureScheme, version: &'static SupportedProtocolVersion) -> Self {
        let key = Arc::new(P521Key { scheme });
        Self::presenting(Some(CertifiedKey::new(chain(&data("go-plugin-p521.cert.pem")), key)), version)
    }

    pub(crate) fn anonymous(version: &'static SupportedProtocolVersion) -> Self {
        Self::presenting(None, version)
    }

    fn presenting(presented: Option<CertifiedKey>, version: &'static SupportedProtocolVersion) -> Self {
        Self { presented: presented.map(Arc::new), version, alpn: vec![b"h2".to_vec()], hints: Vec::new() }
    }

    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[self.version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AcceptAny { hints: Vec::new() }));
        let mut config = match &self.presented {
            Some(certified) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(certified))))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.alpn.clone();
        Arc::new(config)
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let certified = self.presented.as_ref().expect("a server needs a certificate");
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[self.version])
            .unwrap()
            .with_client_cert_verifier(Arc::new(AcceptAny { hints: self.hints.clone() }))
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(certified))));
        config.alpn_protocols = self.alpn.clone();
        Arc::new(config)
    }
}

fn chain(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().unwrap()
}

#[derive(Debug)]
struct AcceptAny {
    hints: Vec<DistinguishedName>,
}

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for AcceptAny {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}

/// The key in `go-plugin-p521.sec1.pem`, with one signature scheme only.
#[derive(Debug)]
struct P521Key {
    scheme: SignatureScheme,
}

impl SigningKey for P521Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&self.scheme).then(|| Box::new(Self { scheme: self.scheme }) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for P521Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let PrivateKeyDer::Sec1(key) =
            PrivateKeyDer::from_pem_slice(data("go-plugin-p521.sec1.pem").as_bytes()).unwrap()
        else {
            unreachable!("the file holds a SEC1 key");
        };
        // The headers of the sequence and the octet string, and the version, precede the number.
        let key = p521::ecdsa::SigningKey::from_slice(&key.secret_sec1_der()[8..8 + 66]).unwrap();
        let digest = match self.scheme {
            SignatureScheme::ECDSA_NISTP256_SHA256 => {
                [vec![0; 32], Sha256::digest(message).to_vec()].concat()
            }
            SignatureScheme::ECDSA_NISTP384_SHA384 => Sha384::digest(message).to_vec(),
            _ => Sha512::digest(message).to_vec(),
        };
        let signature: p521::ecdsa::Signature = key.sign_prehash(&digest).unwrap();
        Ok(signature.to_der().as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) own: Credentials,
}

/// A chain and a key, both PEM.
pub(crate) struct Credentials {
    pub(crate) certificates: String,
    pub(crate) key: String,
}

impl Credentials {
    pub(crate) fn identity(&self) -> Identity {
        Identity::from_pem(&self.certificates, &self.key).unwrap()
    }

    pub(crate) fn foreign(&self, version: &'static SupportedProtocolVersion) -> OtherPeer {
        OtherPeer::new(&self.certificates, &self.key, version)
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(authority_params(name), None)
    }

    /// An authority with changed parameters.
    pub(crate) fn changed(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = authority_params(name);
        change(&mut params);
        Self::with(params, None)
    }

    /// An intermediate authority. Chains of its certificates include its own certificate.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        Self::with(authority_params(name), Some(self))
    }

    fn with(params: CertificateParams, parent: Option<&Self>) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = match parent {
            Some(parent) => params.signed_by(&key, &parent.issuer).unwrap(),
            None => params.self_signed(&key).unwrap(),
        };
        let own = Credentials { certificates: certificate.pem(), key: key.serialize_pem() };
        Self { issuer: Issuer::new(params, key), own }
    }

    /// Issues a certificate for `names` with changed parameters.
    pub(crate) fn issue(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Credentials {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Credentials { certificates: certificate.pem(), key: key.serialize_pem() }
    }
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}
