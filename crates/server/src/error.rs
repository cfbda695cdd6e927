//! Why a plugin did not serve.

use std::{fmt, io};

use miette::Diagnostic;
use rpcplugin_config::ConfigError;
use rpcplugin_core::{PlainReport, Versions, VersionsError};
use rpcplugin_handshake::{CookieRefused, HostEnvFault};
use rpcplugin_mtls::{IdentityError, PeerCertificateError, PemError, TlsError};
use rpcplugin_transport::{BindError, SocketDirError};

use crate::own_transport::BoxError;

/// Why a plugin did not serve. Nothing has been printed on stdout then, but by a host that is gone.
///
/// [`Debug`] explains as [`PlainReport`] does, so that a `main` which returns this error ends with words for a person.
#[derive(thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum ServeError {
    /// No host that knows this plugin started it.
    #[error(transparent)]
    #[diagnostic(transparent)]
    NotStartedByHost(#[from] CookieRefused),
    /// The plugin was to make a runtime of its own on a thread that serves one already.
    #[error("`Serve::main` makes a runtime of its own, and was called within one")]
    #[diagnostic(
        code(rpcplugin::config::runtime_within),
        help(
            "call `run().await` or `run_to_exit().await` there, or let an ordinary `fn main` call `Serve::main`"
        )
    )]
    RuntimeWithin,
    /// The plugin serves no version at all.
    #[error("the plugin serves nothing")]
    #[diagnostic(
        code(rpcplugin::config::nothing_served),
        help("give `Serve` at least one version with its services before it runs")
    )]
    NothingServed(#[from] VersionsError),
    /// The configuration does not allow any version that the plugin has.
    #[error("the configuration allows the versions {allowed}, and the plugin has {has}")]
    #[diagnostic(
        code(rpcplugin::config::nothing_supported),
        help("set SUPPORTED_PROTOCOL_VERSIONS to versions that the plugin has, or not at all")
    )]
    NothingSupported {
        /// What the plugin has.
        has: Versions,
        /// What the configuration allows.
        allowed: Versions,
    },
    /// The plugin's configuration has faults.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Config(#[from] ConfigError),
    /// The host's certificate cannot be read. Serving without it would mean trusting anybody, or nobody.
    #[error("the host's certificate cannot be read")]
    #[diagnostic(
        code(rpcplugin::security::host_certificate),
        help(
            "the host has to put one X.509 certificate of version 3 as PEM into PLUGIN_CLIENT_CERT, or not set it at all"
        )
    )]
    HostCertificate(#[from] PeerCertificateError),
    /// The host asks for mutual TLS and this plugin is configured to refuse that.
    #[error("the host asks for mutual TLS, and this plugin is configured without it")]
    #[diagnostic(
        code(rpcplugin::security::mtls_refused),
        help("set PLUGIN_AUTO_MTLS=true for the plugin, or have the host start it without AutoMTLS")
    )]
    MtlsRefused,
    /// Authorities were given, and the host has not offered any certificate that they could have signed.
    #[error("authorities are given to verify hosts by, and this host offers no certificate")]
    #[diagnostic(
        code(rpcplugin::security::unproven_host),
        help(
            "set PLUGIN_SERVER_CERT and PLUGIN_SERVER_KEY too, for hosts with a certificate of these authorities; or unset \
             PLUGIN_CLIENT_ROOT_CERTS and have the host start the plugin with AutoMTLS"
        )
    )]
    UnprovenHost,
    /// A certificate or key that was given cannot be used.
    #[error("{given} cannot be used")]
    #[diagnostic(code(rpcplugin::security::given_certificates))]
    GivenIdentity {
        /// The certificate and its key, by their files or the settings that hold them.
        given: String,
        /// Why.
        #[diagnostic_source]
        source: IdentityError,
    },
    /// The authorities that were given cannot be read, or none of them is within its dates.
    #[error("the authorities in {authorities} cannot be used")]
    #[diagnostic(code(rpcplugin::security::given_authorities))]
    GivenAuthorities {
        /// Their file, or the setting that holds them.
        authorities: String,
        /// Why.
        #[diagnostic_source]
        source: PemError,
    },
    /// No one-time identity could be made.
    #[error("the plugin cannot make its one-time identity")]
    #[diagnostic(code(rpcplugin::security::identity))]
    Identity(
        #[source]
        #[diagnostic_source]
        IdentityError,
    ),
    /// The certificates make no TLS settings.
    #[error("TLS cannot be set up")]
    #[diagnostic(code(rpcplugin::security::tls_settings))]
    Tls(
        #[from]
        #[diagnostic_source]
        TlsError,
    ),
    /// The host's ports cannot be used.
    #[error("the host named no usable TCP port")]
    #[diagnostic(
        code(rpcplugin::handshake::ports),
        help("correct PLUGIN_MIN_PORT and PLUGIN_MAX_PORT, or give the plugin a port of its own")
    )]
    Ports(
        #[source]
        #[diagnostic_source]
        HostEnvFault,
    ),
    /// No socket could be had.
    #[error("the plugin cannot listen")]
    #[diagnostic(code(rpcplugin::transport::cannot_listen))]
    Bind(
        #[from]
        #[diagnostic_source]
        BindError,
    ),
    /// There is no place for a socket.
    #[error("there is no place for sockets")]
    #[diagnostic(code(rpcplugin::transport::no_socket_dir))]
    SocketDir(
        #[from]
        #[diagnostic_source]
        SocketDirError,
    ),
    /// The transport that the plugin brought along does not listen.
    #[error("the plugin's own transport does not listen")]
    #[diagnostic(
        code(rpcplugin::transport::own),
        help("the cause says more; it is the plugin author's to mend")
    )]
    OwnTransport(#[source] BoxError),
    /// The plugin's configuration allows no transport that this platform has.
    #[error("the plugin's configuration allows no transport")]
    #[diagnostic(
        code(rpcplugin::config::no_transport),
        help("allow `unix` or `tcp` in PLUGIN_SERVER_TRANSPORTS")
    )]
    NoTransport,
    /// The handshake line could not be printed.
    #[error("the handshake line cannot be printed")]
    #[diagnostic(
        code(rpcplugin::handshake::cannot_announce),
        help("the host has to keep the plugin's stdout open until it has read one line")
    )]
    Announce(#[source] io::Error),
    /// Standard output and error could not be captured, or signals not be caught.
    #[error("the plugin's process cannot be prepared")]
    #[diagnostic(
        code(rpcplugin::transport::process),
        help("the system is out of file descriptors or threads: raise its limits")
    )]
    Process(#[source] io::Error),
}

impl fmt::Debug for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&PlainReport(self), f)
    }
}
