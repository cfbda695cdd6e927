//! Faults of the security of the connection.

use miette::Diagnostic;
use rpcplugin_mtls::{IdentityError, PeerCertificateError, PemError, TlsError};

/// The connection cannot be secured as the host and the plugin want it.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum SecurityFault {
    /// The host requires mutual TLS, and the plugin sent no certificate.
    #[error("the plugin does not use mutual TLS, which this host asks for")]
    #[diagnostic(
        code(rpcplugin::security::plugin_ignored_mtls),
        help("build the plugin with a library that knows AutoMTLS, or knowingly switch it off in the host")
    )]
    IgnoredMtls,
    /// The plugin's socket speaks TLS with certificates that this host has no counterpart for.
    #[error("the plugin secures its socket with certificates of its own, and this host has none for it")]
    #[diagnostic(
        code(rpcplugin::security::own_certificates),
        help(
            "give the host what goes with the plugin's certificates: certificate, private_key and server_roots; \
             AutoMTLS does not reach a plugin that brings its own (go-plugin: TLSProvider)"
        )
    )]
    OwnCertificates,
    /// The plugin sent a certificate, and this host does not use TLS.
    #[error("the plugin sent a certificate, and this host does not use TLS")]
    #[diagnostic(
        code(rpcplugin::security::unexpected_certificate),
        help("switch AutoMTLS on in the host, or the plugin's own certificate off")
    )]
    UnexpectedCertificate,
    /// The host has an identity or roots, but not both. An attachment has no handshake by which the host could learn
    /// the rest.
    #[error("the TLS settings of the host are incomplete for an attachment")]
    #[diagnostic(
        code(rpcplugin::security::incomplete_tls),
        help(
            "set certificate, private_key and server_roots together, or set none of them to speak plain text with a \
             plugin in test mode; a handover has the security of its launch in it"
        )
    )]
    IncompleteTls,
    /// The certificate field of the handshake line is not a valid certificate.
    #[error("the certificate of the plugin cannot be used")]
    #[diagnostic(code(rpcplugin::security::plugin_certificate))]
    Certificate(
        #[from]
        #[diagnostic_source]
        PeerCertificateError,
    ),
    /// The host's certificate or its private key cannot be used.
    #[error("the certificate or the private key of the host cannot be used")]
    #[diagnostic(code(rpcplugin::security::host_identity))]
    Identity(
        #[from]
        #[diagnostic_source]
        IdentityError,
    ),
    /// The host's roots cannot be read, or all of them are out of date.
    #[error("the roots of the host (server_roots) cannot be used")]
    #[diagnostic(code(rpcplugin::security::host_roots))]
    Roots(
        #[from]
        #[diagnostic_source]
        PemError,
    ),
    /// TLS cannot be set up with these certificates.
    #[error("TLS cannot be set up")]
    #[diagnostic(code(rpcplugin::security::tls_settings))]
    Tls(
        #[from]
        #[diagnostic_source]
        TlsError,
    ),
}
