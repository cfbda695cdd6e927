//! What a host has to know to attach to a plugin that it did not start.

use std::{collections::BTreeMap, fmt};

use rpcplugin_core::{AppVersion, Endpoint, EndpointError, Pid};
use serde::{Deserialize, Serialize};

/// Where and how a running plugin is reached: what stands in for the handshake when a host attaches to it.
///
/// [`Display`](fmt::Display) writes it as one line of JSON, [`parse`](Self::parse) reads that.
///
/// # Protocol
/// go-plugin's `ReattachConfig`, in the JSON form that Terraform's `TF_REATTACH_PROVIDERS` made common:
/// `{"Protocol":"grpc","ProtocolVersion":6,"Pid":12345,"Test":true,"Addr":{"Network":"unix","String":"/tmp/p"}}`.
/// As Go does, reading passes over members that it does not know and takes missing ones for zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReattachConfig {
    /// The version of the application's protocol that the plugin serves. `None` where it was not written down: a Go host writes 0.
    pub version: Option<AppVersion>,
    /// Where the plugin listens.
    pub endpoint: Endpoint,
    /// The pid of the plugin's process. `None` if the host cannot see the process.
    pub pid: Option<Pid>,
    /// Whether the plugin runs in test mode: a host that detaches leaves it running, and the plugin does not exit with the host.
    pub test: bool,
}

/// Several plugins to attach to, each under a name: the value of `TF_REATTACH_PROVIDERS` and variables like it.
///
/// [`Display`](fmt::Display) writes one line of JSON, in the order of the names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReattachConfigs(pub BTreeMap<String, ReattachConfig>);

/// The text does not tell how to attach to a plugin.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum ReattachError {
    /// The text is no JSON of the right shape.
    #[error("the reattach configuration cannot be read")]
    #[diagnostic(
        code(rpcplugin::handshake::reattach_unreadable),
        help("it has to be the JSON object that the plugin printed, copied whole")
    )]
    Unreadable(#[source] serde_json::Error),
    /// The plugin speaks net/rpc: it says so, or it says nothing, which means the same.
    #[error("the plugin to attach to speaks {protocol:?}, not gRPC")]
    #[diagnostic(
        code(rpcplugin::handshake::reattach_not_grpc),
        help("`Protocol` has to be \"grpc\"; a plugin that speaks net/rpc cannot be attached to")
    )]
    NotGrpc {
        /// What it says; empty means net/rpc.
        protocol: String,
    },
    /// There is no such address.
    #[error("the plugin to attach to has no address that can be dialled")]
    #[diagnostic(
        code(rpcplugin::handshake::reattach_address),
        help("`Addr` needs a `Network`, \"unix\" or \"tcp\", and the address as `String`")
    )]
    Address(#[source] EndpointError),
}

impl ReattachConfig {
    /// Reads one plugin's configuration.
    ///
    /// # Errors
    /// [`ReattachError`] when it is not JSON, not of a gRPC plugin, or without an address.
    pub fn parse(json: &str) -> Result<Self, ReattachError> {
        serde_json::from_str::<Wire>(json).map_err(ReattachError::Unreadable)?.read()
    }
}

impl ReattachConfigs {
    /// Reads the configurations of several plugins by their names.
    ///
    /// # Errors
    /// [`ReattachError`] when one of them cannot be read.
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

/// The members as they are spelled on the wire.
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
    fn speaks_the_form_that_terraform_reads() {
        assert_eq!(terraforms().to_string(), TERRAFORMS);
        assert_eq!(ReattachConfig::parse(TERRAFORMS).expect("readable"), terraforms());
    }

    #[test]
    fn passes_over_what_it_does_not_know_and_does_without_the_rest() {
        let json = r#" {"Protocol":"grpc","Later":[1],"Addr":{"Network":"tcp","String":"127.0.0.1:80"}} "#;
        let config = ReattachConfig::parse(json).expect("readable");
        assert_eq!((config.version, config.pid, config.test), (None, None, false));
    }

    #[test]
    fn names_several_plugins() {
        let json = format!(r#"{{"example.org/a/kv":{TERRAFORMS}}}"#);
        let configs = ReattachConfigs::parse(&json).expect("readable");
        assert_eq!(configs.0.get("example.org/a/kv"), Some(&terraforms()));
        assert_eq!(configs.to_string(), json);
    }

    #[test]
    fn refuses_what_nobody_could_attach_to() {
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
        fn reading_what_was_written_gives_the_same(
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
        fn reading_is_total(text in ".{0,200}") {
            let _ = (ReattachConfig::parse(&text), ReattachConfigs::parse(&text));
        }
    }
}
