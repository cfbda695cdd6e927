//! What a host passes to a bridge in the environment.

use std::{collections::HashMap, ffi::OsString, path::PathBuf, time::Duration};

use rpcplugin::{
    config::{ConfigError, Loader},
    handshake::{HostEnvFault, ReceivedEnv, TcpPorts, variable},
};

/// What a host passes to a bridge in the environment. The plugin gets the same variables.
#[derive(Debug)]
pub(super) struct Settings {
    /// The ports on which to listen, or why they are unusable.
    pub(super) ports: Result<TcpPorts, HostEnvFault>,
    /// The directory for sockets on the machine of the host.
    pub(super) socket_dir: Option<PathBuf>,
    /// Whether the host requests multiplexing.
    pub(super) multiplex: bool,
    /// Whether the host requests mutual TLS.
    pub(super) mutual_tls: bool,
    /// Whether the plugin ends with its host.
    pub(super) exit_with_host: bool,
    /// How long the plugin runs without a connected host, or why that is unreadable. `None`: any time.
    pub(super) orphan_timeout: Result<Option<Duration>, HostEnvFault>,
}

impl Settings {
    /// Reads the variables of the handshake, and the setting of plugins that a bridge follows for its plugin.
    ///
    /// # Errors
    /// Fails if that setting is invalid.
    pub(super) fn read(environment: &HashMap<OsString, OsString>) -> Result<Self, ConfigError> {
        let value = |name: &str| environment.get(&OsString::from(name)).cloned();
        let received = ReceivedEnv::from_env(value);
        let fault =
            |names: &[&str]| received.faults.iter().find(|fault| names.contains(&fault.variable)).cloned();
        let ports = fault(&[variable::MIN_PORT, variable::MAX_PORT]);
        let orphan_timeout = fault(&[variable::ORPHAN_TIMEOUT]);
        // The plugin judges its other settings.
        let followed = value(EXIT_WITH_HOST).map(|value| (EXIT_WITH_HOST, value));
        Ok(Self {
            ports: ports.map_or_else(|| Ok(received.ports.unwrap_or(TcpPorts::Any)), Err),
            socket_dir: received.socket_dir,
            multiplex: received.multiplex,
            mutual_tls: received.client_certificate.is_some(),
            exit_with_host: Loader::new().env(followed).plugin()?.exit_with_host,
            orphan_timeout: orphan_timeout.map_or(Ok(received.orphan_timeout), Err),
        })
    }
}

/// The variable of the setting `exit_with_host`.
const EXIT_WITH_HOST: &str = "PLUGIN_EXIT_WITH_HOST";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Settings::read(&variables.collect())
    }

    #[test]
    fn without_variables_any_port_is_good_and_nothing_ends_the_plugin_but_its_host() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.ports, Ok(TcpPorts::Any));
        assert!(!settings.multiplex && !settings.mutual_tls && settings.exit_with_host, "{settings:?}");
        assert_eq!(settings.orphan_timeout, Ok(None));
    }

    #[test]
    fn the_variables_of_a_host_are_read() {
        let settings = read(&[
            ("PLUGIN_MIN_PORT", "7400"),
            ("PLUGIN_MAX_PORT", "7410"),
            ("PLUGIN_MULTIPLEX_GRPC", "true"),
            ("PLUGIN_CLIENT_CERT", "a certificate"),
            ("PLUGIN_EXIT_WITH_HOST", "false"),
            ("PLUGIN_ORPHAN_TIMEOUT", "90s"),
            ("PLUGIN_LOG_LEVEL", "of another library"),
        ]);
        let settings = settings.unwrap();
        assert_eq!(settings.ports.map(TcpPorts::numbers), Ok(7400..=7410));
        assert!(settings.multiplex && settings.mutual_tls && !settings.exit_with_host);
        assert_eq!(settings.orphan_timeout, Ok(Some(Duration::from_secs(90))));
    }

    #[test]
    fn invalid_values_are_refused_by_name() {
        let error = read(&[("PLUGIN_EXIT_WITH_HOST", "perhaps")]).unwrap_err();
        assert!(error.to_string().contains("PLUGIN_EXIT_WITH_HOST"), "{error}");
        let settings =
            read(&[("PLUGIN_MIN_PORT", "9"), ("PLUGIN_MAX_PORT", "8"), ("PLUGIN_ORPHAN_TIMEOUT", "soon")])
                .unwrap();
        assert_eq!(settings.ports.unwrap_err().variable, "PLUGIN_MIN_PORT");
        assert_eq!(settings.orphan_timeout.unwrap_err().variable, "PLUGIN_ORPHAN_TIMEOUT");
    }
}
