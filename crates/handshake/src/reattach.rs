//! The data by which a host attaches to a plugin that it did not launch.

use std::{collections::BTreeMap, fmt};

use rpcplugin_core::{AppVersion, Endpoint, EndpointError, Pid};
use serde::{Deserialize, Serialize};

/// The endpoint, version and pid of a running plugin, which take the place of the handshake when a host attaches.
///
/// [`Display`](fmt::Display) writes one line of JSON, and [`parse`](Self::parse) reads it.
///
/// # Protocol
/// go-plugin's `ReattachConfig`, in the JSON form that Terraform's `TF_REATTACH_PROVIDERS` made common:
/// `{"Protocol":"grpc","ProtocolVersion":6,"Pid":12345,"Test":true,"Addr":{"Network":"unix","String":"/tmp/p"}}`.
/// As in Go, parsing ignores unknown members and takes missing ones as zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReattachConfig {
    /// The version of the application's protocol that the plugin serves. `None` if it is not recorded: a Go host writes 0.
    pub version: Option<AppVersion>,
    /// The endpoint on which the plugin listens.
    pub endpoint: Endpoint,
    /// The pid of the plugin's process. `None` if the host cannot see the process.
    pub pid: Option<Pid>,
    /// Whether the plugin runs in test mode: a host that detaches leaves it running, and the plugin does not exit with the host.
    pub test: bool,
}

/// Several plugins to attach to, by name: the value of `TF_REATTACH_PROVIDERS` and similar variables.
///
/// [`Display`](fmt::Display) writes one line of JSON, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReattachConfigs(pub BTreeMap<String, ReattachConfig>);

/// The text is not a reattach configuration.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum ReattachError {
    /// The text is not JSON of the right form.
    #[error("the reattach configuration cannot be read")]
    #[diagnostic(
        code(rpcplugin::handshake::reattach_unreadable),
        help("copy the whole JSON object that the plugin printed")
    )]
    Unreadable(#[source] serde_json::Error),
    /// The plugin speaks net/rpc: `Protocol` is `netrpc`, or empty, which means the same.
    #[error("the plugin to attach to speaks {protocol:?}, not gRPC")]
    #[diagnostic(
        code(rpcplugin::handshake::reattach_not_grpc),
        help("set `Protocol` to \"grpc\"; a host cannot attach to a plugin that speaks net/rpc")
    )]
    NotGrpc {
        /// The value of `Protocol`. Empty means net/rpc.
        protocol: String,
    },
    /// The address is missing or invalid.
    #[error("the address of the plugin to attach to cannot be dialled")]
    #[diagnostic(
        code(rpcplugin::handshake::reattach_address),
        help("give `Addr` a `Network`, \"unix\" or \"tcp\", and the address as `String`")
    )]
    Address(#[source] EndpointError),
}

impl ReattachConfig {
    /// Parses the configuration of one plugin.
    ///
    /// # Errors
    /// [`ReattachError`] if the text is not JSON, is not of a gRPC plugin, or has no valid address.
    pub fn parse(json: &str) -> Result<Self, ReattachError> {
        serde_json::from_str::<Wire>(json).map_err(ReattachError::Unreadable)?.read()
    }
}

impl ReattachConfigs {
    /// Parses the configurations of several plugins by name.
    ///
    /// # Errors
    /// [`ReattachError`] if one of them cannot be parsed.
    pub fn parse(json: &str) -> Result<Self, ReattachError> {
        let wire: BTreeMap<String, Wire> = serde_json::from_str(json).map_err(ReattachError::Unreadable)?;
        let read = wire.into_iter().map(|(name, wire)| wire.read().map(|config| (name, config)));
        read.collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for ReattachConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_json(f, &Wire::from(self))
    }
}

impl fmt::Display for ReattachConfigs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wire: BTreeMap<_, _> = self.0.iter().map(|(name, config)| (name, Wire::from(config))).collect();
        write_json(f, &wire)
    }
}

/// The members as they are spelled in JSON.
#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Wire {
    protocol: String,
    protocol_version: u32,
    pid: u32,
    test: bool,
    addr: Addr,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Addr {
    network: String,
    string: String,
}

impl Wire {
    fn read(self) -> Result<ReattachConfig, ReattachError> {
        if self.protocol != GRPC {
            return Err(ReattachError::NotGrpc { protocol: self.protocol });
        }
        let endpoint =
            Endpoint::parse(&self.addr.network, &self.addr.string).map_err(ReattachError::Address)?;
        let version = Some(self.protocol_version).filter(|version| *version != 0).map(AppVersion);
        Ok(ReattachConfig { version, endpoint, pid: Pid::new(self.pid), test: self.test })
    }
}

impl From<&ReattachConfig> for Wire {
    fn from(config: &ReattachConfig) -> Self {
        Self {
            protocol: GRPC.to_owned(),
            protocol_version: config.version.map_or(0, |version| version.0),
            pid: config.pid.map_or(0, Pid::get),
            test: config.test,
            addr: Addr { network: config.endpoint.network().to_owned(), string: config.endpoint.address() },
        }
    }
}

fn write_json(f: &mut fmt::Formatter<'_>, value: &impl Serialize) -> fmt::Result {
    f.write_str(&serde_json::to_string(value).map_err(|_| fmt::Error)?)
}

const GRPC: &str = "grpc";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TERRAFORMS: &str = r#"{"Protocol":"grpc","ProtocolVersion":6,"Pid":12345,"Test":true,"Addr":{"Network":"unix","String":"/tmp/plugin12345"}}"#;

    fn terraforms() -> ReattachConfig {
        ReattachConfig {
            version: Some(AppVersion(6)),
            endpoint: Endpoint::parse("unix", "/tmp/plugin12345").expect("a path"),
            pid: Pid::new(12345),
            test: true,
        }
    }

    #[test]
    fn the_form_is_that_of_terraform() {
        assert_eq!(terraforms().to_string(), TERRAFORMS);
        assert_eq!(ReattachConfig::parse(TERRAFORMS).expect("readable"), terraforms());
    }

    #[test]
    fn unknown_members_are_ignored_and_missing_ones_are_none() {
        let json = r#" {"Protocol":"grpc","Later":[1],"Addr":{"Network":"tcp","String":"127.0.0.1:80"}} "#;
        let config = ReattachConfig::parse(json).expect("readable");
        assert_eq!((config.version, config.pid, config.test), (None, None, false));
    }

    #[test]
    fn several_plugins_have_names() {
        let json = format!(r#"{{"example.org/a/kv":{TERRAFORMS}}}"#);
        let configs = ReattachConfigs::parse(&json).expect("readable");
        assert_eq!(configs.0.get("example.org/a/kv"), Some(&terraforms()));
        assert_eq!(configs.to_string(), json);
    }

    #[test]
    fn unusable_configurations_are_refused() {
        assert!(matches!(ReattachConfig::parse("TF_REATTACH"), Err(ReattachError::Unreadable(_))));
        assert!(matches!(ReattachConfig::parse(r#"{"Pid":-1}"#), Err(ReattachError::Unreadable(_))));
        let netrpc = TERRAFORMS.replace(r#""grpc""#, r#""""#);
        assert!(matches!(ReattachConfig::parse(&netrpc), Err(ReattachError::NotGrpc { .. })));
        let nowhere = TERRAFORMS.replace("/tmp/plugin12345", "");
        assert!(matches!(ReattachConfig::parse(&nowhere), Err(ReattachError::Address(_))));
        assert!(matches!(ReattachConfigs::parse("[]"), Err(ReattachError::Unreadable(_))));
    }

    proptest! {
        #[test]
        fn parsing_what_was_written_gives_the_same_value(
            version in prop::option::of(1..=u32::MAX),
            path in "/[ -{}~]{1,80}",
            pid in prop::option::of(1..u32::MAX),
            test in any::<bool>(),
        ) {
            let endpoint = Endpoint::parse("unix", &path).expect("a path");
            let config = ReattachConfig {
                version: version.map(AppVersion),
                endpoint,
                pid: pid.and_then(Pid::new),
                test,
            };
            prop_assert_eq!(ReattachConfig::parse(&config.to_string()).expect("readable"), config);
        }

        #[test]
        fn parsing_never_panics(text in ".{0,200}") {
            let _ = (ReattachConfig::parse(&text), ReattachConfigs::parse(&text));
        }
    }
}
