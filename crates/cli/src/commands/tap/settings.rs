//! What a host passes to a tap in the environment, and what the plugin gets in its place.

use std::{collections::HashMap, ffi::OsString, path::PathBuf, time::Duration};

use rpcplugin::{
    config::{ConfigError, Loader},
    handshake::{HostEnvFault, ReceivedEnv, variable},
    tls::{Identity, PeerCertificate},
};

/// What a host passes to a tap.
#[derive(Debug)]
pub(super) struct Settings {
    /// The directory for sockets.
    pub(super) socket_dir: Option<PathBuf>,
    /// Whether the host requests multiplexing.
    pub(super) multiplex: bool,
    /// Whether the plugin ends with its host.
    pub(super) exit_with_host: bool,
    /// How long the plugin runs without a connected host. `None`: any time.
    pub(super) orphan_timeout: Option<Duration>,
    /// The certificate of the host, if it requests AutoMTLS.
    pub(super) client_certificate: Option<PeerCertificate>,
}

impl Settings {
    /// Reads the variables of the handshake, and the settings of plugins that a tap follows for its plugin.
    ///
    /// A certificate that cannot be read is left to the plugin.
    pub(super) fn read(environment: &HashMap<OsString, OsString>) -> Result<Self, SettingsError> {
        let value = |name: &str| environment.get(&OsString::from(name)).cloned();
        let received = ReceivedEnv::from_env(value);
        if let Some(fault) = received.faults.iter().find(|fault| fault.variable == variable::ORPHAN_TIMEOUT) {
            return Err(fault.clone().into());
        }
        // The plugin judges its other settings.
        let followed = value(EXIT_WITH_HOST).map(|value| (EXIT_WITH_HOST, value));
        Ok(Self {
            socket_dir: received.socket_dir,
            multiplex: received.multiplex,
            exit_with_host: Loader::new().env(followed).plugin()?.exit_with_host,
            orphan_timeout: received.orphan_timeout,
            client_certificate: received
                .client_certificate
                .and_then(|pem| PeerCertificate::from_pem(&pem).ok()),
        })
    }
}

/// Returns the changes to the plugin's environment. All other variables are inherited.
pub(super) fn for_plugin(dir: PathBuf, identity: Option<&Identity>) -> Vec<(String, Option<OsString>)> {
    let mut changes = vec![
        // Only this program connects to the plugin's sockets.
        (variable::UNIX_SOCKET_DIR.to_owned(), Some(dir.into())),
        (variable::UNIX_SOCKET_GROUP.to_owned(), None),
        // The connection that the host offers would pass this program by.
        (variable::STDOUT_CONNECTION.to_owned(), None),
    ];
    if let Some(identity) = identity {
        changes.push((variable::CLIENT_CERT.to_owned(), Some(identity.certificate_pem().into())));
    }
    changes
}

/// The environment cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(super) enum SettingsError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Variable(#[from] HostEnvFault),
}

/// The variable of the setting `exit_with_host`.
const EXIT_WITH_HOST: &str = "PLUGIN_EXIT_WITH_HOST";
