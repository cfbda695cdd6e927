//! `ServeError`: why a plugin cannot serve.

use std::{fmt, io};

use miette::Diagnostic;
use rpcplugin_broker::BoxError;
use rpcplugin_config::ConfigError;
use rpcplugin_core::{PlainReport, Versions, VersionsError};
use rpcplugin_handshake::{CookieRefused, HostEnvFault};
use rpcplugin_mtls::{IdentityError, PeerCertificateError, PemError, TlsError};
use rpcplugin_transport::{BindError, SocketDirError};

/// The plugin cannot serve. Nothing has been printed on stdout, except to a host that has exited.
///
/// [`Debug`] prints the same text as [`PlainReport`], so that a `main` that returns this error prints a readable report.
#[derive(thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum ServeError {
    /// The plugin was not launched by a host with its magic cookie.
    #[error(transparent)]
    #[diagnostic(transparent)]
    NotLaunchedByHost(#[from] CookieRefused),
    /// `Serve::main` was called within a tokio runtime.
    #[error("`Serve::main` makes a runtime, and was called within another one")]
    #[diagnostic(
        code(rpcplugin::config::nested_runtime),
        help("await `Serve::run` there, or call `Serve::main` from a `fn main` that is not async")
    )]
    NestedRuntime,
    /// The plugin has no version.
    #[error("the plugin serves no version")]
    #[diagnostic(
        code(rpcplugin::config::nothing_served),
        help("give `Serve` at least one version with its services")
    )]
    NothingServed(#[from] VersionsError),
    /// The configuration allows no version that the plugin has.
    #[error("the configuration allows the versions {allowed}, and the plugin has {has}")]
    #[diagnostic(
        code(rpcplugin::config::nothing_supported),
        help("set SUPPORTED_PROTOCOL_VERSIONS to versions that the plugin has, or unset it")
    )]
    NothingSupported {
        /// The versions that the plugin has.
        has: Versions,
        /// The versions that the configuration allows.
        allowed: Versions,
    },
    /// The plugin's configuration has faults.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Config(#[from] ConfigError),
    /// The configuration sets a rate limit, and this program is built without rate limits.
    #[error("the configuration sets a rate limit, and this plugin is built without rate limits")]
    #[diagnostic(
        code(rpcplugin::config::rate_limit_not_built),
        help("unset the rate limit, or enable the feature `rate-limit` of rpcplugin in the plugin")
    )]
    RateLimitNotBuilt,
    /// The host's certificate is not valid. Without a valid certificate the plugin cannot verify the host.
    #[error("the host's certificate cannot be read")]
    #[diagnostic(
        code(rpcplugin::security::host_certificate),
        help(
            "in the host, set PLUGIN_CLIENT_CERT to one X.509 certificate of version 3 as PEM, or unset it"
        )
    )]
    HostCertificate(#[from] PeerCertificateError),
    /// The host requests mutual TLS, which is off in the plugin's configuration.
    #[error("the host requests mutual TLS, which is off in this plugin's configuration")]
    #[diagnostic(
        code(rpcplugin::security::mtls_refused),
        help("set PLUGIN_AUTO_MTLS=true for the plugin, or launch it without AutoMTLS")
    )]
    MtlsRefused,
    /// The plugin has roots to verify hosts by, and the host has no certificate.
    #[error("the plugin has roots to verify its host by, and the host has no certificate")]
    #[diagnostic(
        code(rpcplugin::security::host_without_certificate),
        help(
            "launch the plugin with AutoMTLS; or set PLUGIN_SERVER_CERT and PLUGIN_SERVER_KEY too, for hosts whose \
             certificates these roots issued; or unset PLUGIN_CLIENT_ROOT_CERTS"
        )
    )]
    HostWithoutCertificate,
    /// The configured certificate or its key cannot be used.
    #[error("{given} cannot be used")]
    #[diagnostic(code(rpcplugin::security::server_certificate))]
    ServerCertificate {
        /// The certificate and its key: their files, or the settings that hold them.
        given: String,
        /// The cause.
        #[diagnostic_source]
        source: IdentityError,
    },
    /// The configured roots cannot be read, or no certificate among them is within its dates.
    #[error("the roots in {roots} cannot be used")]
    #[diagnostic(code(rpcplugin::security::client_roots))]
    ClientRoots {
        /// The file of the roots, or the setting that holds them.
        roots: String,
        /// The cause.
        #[diagnostic_source]
        source: PemError,
    },
    /// The ephemeral identity cannot be made.
    #[error("the plugin cannot make its ephemeral identity")]
    #[diagnostic(code(rpcplugin::security::ephemeral_identity))]
    EphemeralIdentity(
        #[source]
        #[diagnostic_source]
        IdentityError,
    ),
    /// TLS cannot be set up with the certificates.
    #[error("TLS cannot be set up")]
    #[diagnostic(code(rpcplugin::security::plugin_tls_settings))]
    Tls(
        #[from]
        #[diagnostic_source]
        TlsError,
    ),
    /// The host's port range is not valid.
    #[error("the host's port range cannot be used")]
    #[diagnostic(
        code(rpcplugin::handshake::host_ports),
        help(
            "in the host, correct PLUGIN_MIN_PORT and PLUGIN_MAX_PORT; or give the plugin a port of its own"
        )
    )]
    HostPorts(
        #[source]
        #[diagnostic_source]
        HostEnvFault,
    ),
    /// The socket cannot be made.
    #[error("the plugin cannot listen")]
    #[diagnostic(code(rpcplugin::transport::cannot_listen))]
    Bind(
        #[from]
        #[diagnostic_source]
        BindError,
    ),
    /// There is no directory for the plugin's sockets.
    #[error("the plugin has no directory for its sockets")]
    #[diagnostic(code(rpcplugin::transport::no_plugin_socket_dir))]
    SocketDir(
        #[from]
        #[diagnostic_source]
        SocketDirError,
    ),
    /// The plugin's custom transport cannot listen.
    #[error("the plugin's custom transport cannot listen")]
    #[diagnostic(
        code(rpcplugin::transport::custom_transport),
        help("read the cause; only the author of the plugin can correct it")
    )]
    CustomTransport(#[source] BoxError),
    /// The configuration allows no transport that this system has.
    #[error("the plugin's configuration allows no transport that this system has")]
    #[diagnostic(
        code(rpcplugin::config::no_transport),
        help("add `tcp` to PLUGIN_SERVER_TRANSPORTS; on Linux and macOS `unix` works too")
    )]
    NoTransport,
    /// The handshake line cannot be printed.
    #[error("the handshake line cannot be printed")]
    #[diagnostic(
        code(rpcplugin::handshake::cannot_announce),
        help("in the host, keep the plugin's stdout open until one line has been read")
    )]
    Announce(#[source] io::Error),
    /// Stdout and stderr cannot be captured, or signals cannot be caught.
    #[error("the plugin's process cannot be prepared")]
    #[diagnostic(
        code(rpcplugin::transport::process_setup),
        help("raise the limits on file descriptors and threads")
    )]
    Process(#[source] io::Error),
}

impl fmt::Debug for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&PlainReport(self), f)
    }
}
