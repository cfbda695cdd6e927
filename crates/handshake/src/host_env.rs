//! The offer: what a host tells a plugin through its environment.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use rpcplugin_core::{AppVersion, MagicCookie, TcpPorts, Versions};

use crate::go_strconv;

/// Names of the environment variables that carry an offer.
pub mod variable {
    /// The lowest TCP port a plugin may listen on.
    pub const MIN_PORT: &str = "PLUGIN_MIN_PORT";
    /// The highest TCP port a plugin may listen on.
    pub const MAX_PORT: &str = "PLUGIN_MAX_PORT";
    /// The application's protocol versions that the host speaks, with commas between, in any order.
    pub const PROTOCOL_VERSIONS: &str = "PLUGIN_PROTOCOL_VERSIONS";
    /// A true value asks for brokered connections over one socket.
    pub const MULTIPLEX_GRPC: &str = "PLUGIN_MULTIPLEX_GRPC";
    /// The host's one-time certificate as PEM: asks for mutual TLS.
    pub const CLIENT_CERT: &str = "PLUGIN_CLIENT_CERT";
    /// The group, by name or number, that may connect to the plugin's sockets.
    pub const UNIX_SOCKET_GROUP: &str = "PLUGIN_UNIX_SOCKET_GROUP";
    /// The directory for all of the plugin's sockets.
    pub const UNIX_SOCKET_DIR: &str = "PLUGIN_UNIX_SOCKET_DIR";

    /// Every variable of an offer.
    pub const ALL: [&str; 7] = [
        MIN_PORT,
        MAX_PORT,
        PROTOCOL_VERSIONS,
        MULTIPLEX_GRPC,
        CLIENT_CERT,
        UNIX_SOCKET_GROUP,
        UNIX_SOCKET_DIR,
    ];
}

/// What a host offers the plugin that it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostEnv {
    /// The versions of the application's protocol that the host speaks.
    pub versions: Versions,
    /// The TCP ports on which the plugin may listen, should it choose TCP.
    pub ports: TcpPorts,
    /// The host's one-time certificate as PEM; with it the host asks for mutual TLS.
    pub client_certificate: Option<String>,
    /// Whether brokered connections shall share the main connection's socket.
    pub multiplex: bool,
    /// The directory in which the plugin shall make its sockets.
    pub socket_dir: Option<PathBuf>,
    /// The group, by name or number, that may connect to the plugin's sockets.
    pub socket_group: Option<String>,
}

/// What a plugin finds in its environment. Every part may be missing: a host may be old, or not written in Go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReceivedEnv {
    /// The versions that the host speaks, if it named any that can be read.
    pub versions: Option<Versions>,
    /// The TCP ports on which to listen, if the host named them.
    pub ports: Option<TcpPorts>,
    /// The host's certificate as PEM, unread: asks for mutual TLS.
    pub client_certificate: Option<String>,
    /// Whether the host asks for one socket for everything.
    pub multiplex: bool,
    /// The directory in which to make sockets.
    pub socket_dir: Option<PathBuf>,
    /// The group that may connect to the sockets.
    pub socket_group: Option<String>,
    /// What could not be read and was passed over.
    pub faults: Vec<HostEnvFault>,
}

/// A part of an offer that a plugin cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("the host set {variable} to {value:?}, which is not {expected}")]
#[diagnostic(
    code(rpcplugin::handshake::offer_unreadable),
    help(
        "the host has to be corrected; start it without {variable} in its own environment to see if it was inherited"
    )
)]
pub struct HostEnvFault {
    /// The variable.
    pub variable: &'static str,
    /// What it held, shortened.
    pub value: String,
    /// What belongs there.
    pub expected: &'static str,
}

impl HostEnv {
    /// The changes to the plugin's environment that carry this offer and the cookie: each variable with the value
    /// to set, or `None` where it has to be removed.
    ///
    /// Every variable of an offer is named. One that is not set is removed, because a host that is itself a plugin
    /// carries the offer made to *it*: a certificate inherited by a plugin from which nobody asked for TLS makes a
    /// Go host crash.
    #[must_use]
    pub fn to_env(&self, cookie: &MagicCookie) -> Vec<(String, Option<OsString>)> {
        let (min, max) = self.ports.numbers().into_inner();
        let values: [Option<OsString>; variable::ALL.len()] = [
            Some(min.to_string().into()),
            Some(max.to_string().into()),
            Some(self.versions.to_string().into()),
            self.multiplex.then(|| "true".into()),
            self.client_certificate.clone().map(Into::into),
            self.socket_group.clone().map(Into::into),
            self.socket_dir.clone().map(Into::into),
        ];
        let offer = variable::ALL.iter().map(|name| (*name).to_owned()).zip(values);
        // The cookie comes last: should an application name its cookie like a variable of the offer, the plugin
        // would not even start without it.
        offer.chain([(cookie.key().to_owned(), Some(cookie.value().into()))]).collect()
    }
}

impl ReceivedEnv {
    /// Reads the offer that `lookup` finds. An empty variable counts as absent, as it does in Go.
    ///
    /// Never fails: what cannot be read is left out and listed in [`faults`](Self::faults). A certificate that is there is
    /// never left out, because without it the plugin would do without TLS.
    pub fn from_env(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let mut faults = Vec::new();
        let mut text = |name: &'static str| {
            let value = lookup(name).filter(|value| !value.is_empty())?;
            match value.into_string() {
                Ok(text) => Some(text),
                Err(value) => {
                    faults.push(HostEnvFault::new(name, &value, "UTF-8"));
                    None
                }
            }
        };
        let versions = text(variable::PROTOCOL_VERSIONS);
        let (min, max) = (text(variable::MIN_PORT), text(variable::MAX_PORT));
        let multiplex = text(variable::MULTIPLEX_GRPC);
        // Never left out when it is there: that would pass for a host that asks for no TLS. Bytes that are not UTF-8 do no
        // harm in a comment beside the certificate, and spoil it anywhere else, which whoever reads it will say.
        let client_certificate = lookup(variable::CLIENT_CERT)
            .filter(|value| !value.is_empty())
            .map(|value| value.to_string_lossy().into_owned());
        let socket_group = text(variable::UNIX_SOCKET_GROUP);
        let versions = versions.and_then(|list| read_versions(&list, &mut faults));
        let ports = read_ports(min.as_deref(), max.as_deref(), &mut faults);
        let multiplex = multiplex.is_some_and(|value| {
            go_strconv::boolean(&value).unwrap_or_else(|| {
                faults.push(HostEnvFault::new(variable::MULTIPLEX_GRPC, OsStr::new(&value), "true or false"));
                false
            })
        });
        let socket_dir = lookup(variable::UNIX_SOCKET_DIR).filter(|dir| !dir.is_empty()).map(PathBuf::from);
        Self { versions, ports, client_certificate, multiplex, socket_dir, socket_group, faults }
    }
}

impl HostEnvFault {
    fn new(variable: &'static str, value: &OsStr, expected: &'static str) -> Self {
        let value = value.to_string_lossy().chars().take(80).collect();
        Self { variable, value, expected }
    }
}

/// Go passes over what it cannot read in the list, and so do we: a host may offer versions of a later kind.
fn read_versions(list: &str, faults: &mut Vec<HostEnvFault>) -> Option<Versions> {
    let mut versions = Vec::new();
    for element in list.split(',') {
        match go_strconv::integer(element).and_then(|number| u32::try_from(number).ok()) {
            Some(number) => versions.push(AppVersion(number)),
            None => faults.push(HostEnvFault::new(
                variable::PROTOCOL_VERSIONS,
                OsStr::new(element),
                "a list of numbers with commas between",
            )),
        }
    }
    Versions::new(versions).ok()
}

fn read_ports(min: Option<&str>, max: Option<&str>, faults: &mut Vec<HostEnvFault>) -> Option<TcpPorts> {
    if min.is_none() && max.is_none() {
        return None;
    }
    let mut read = |name, text: Option<&str>| match text {
        None => Some(0),
        Some(text) => {
            let port = go_strconv::integer(text).and_then(|number| u16::try_from(number).ok());
            if port.is_none() {
                faults.push(HostEnvFault::new(name, OsStr::new(text), "a port from 0 to 65535"));
            }
            port
        }
    };
    let (min, max) = (read(variable::MIN_PORT, min)?, read(variable::MAX_PORT, max)?);
    let range = TcpPorts::between(min, max);
    if range.is_err() {
        let value = format!("{min}, with {} {max}", variable::MAX_PORT);
        faults.push(HostEnvFault::new(
            variable::MIN_PORT,
            OsStr::new(&value),
            "the lower end of the range of ports",
        ));
    }
    range.ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn received(pairs: &[(&str, &str)]) -> ReceivedEnv {
        ReceivedEnv::from_env(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn an_empty_environment_is_an_offer_of_nothing() {
        assert_eq!(received(&[]), ReceivedEnv::default());
        let empty: Vec<_> = variable::ALL.iter().map(|name| (*name, "")).collect();
        assert_eq!(received(&empty), ReceivedEnv::default());
    }

    #[test]
    fn unreadable_versions_are_passed_over() {
        let offer = received(&[(variable::PROTOCOL_VERSIONS, "x,2, 3,-1,+4,01")]);
        assert_eq!(offer.versions, Versions::new([4, 2, 1]).ok());
        let faults: Vec<_> = offer.faults.iter().map(|fault| fault.value.as_str()).collect();
        assert_eq!(faults, ["x", " 3", "-1"]);
        assert_eq!(received(&[(variable::PROTOCOL_VERSIONS, "x")]).versions, None);
    }

    #[test]
    fn multiplexing_is_on_only_where_go_reads_true() {
        for (text, on, faults) in [("true", true, 0), ("1", true, 0), ("false", false, 0), ("yes", false, 1)]
        {
            let offer = received(&[(variable::MULTIPLEX_GRPC, text)]);
            assert_eq!((offer.multiplex, offer.faults.len()), (on, faults), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_certificate_is_never_left_out() {
        use std::os::unix::ffi::OsStringExt as _;
        let latin = OsString::from_vec(b"# Z\xfcrich\n-----BEGIN".to_vec());
        let offer = ReceivedEnv::from_env(|name| (name == variable::CLIENT_CERT).then(|| latin.clone()));
        assert_eq!(offer.client_certificate.as_deref(), Some("# Z\u{fffd}rich\n-----BEGIN"));
        assert_eq!(offer.faults, []);
    }

    #[test]
    fn ports_that_make_no_range_are_a_fault() {
        let ports = |min, max| received(&[(variable::MIN_PORT, min), (variable::MAX_PORT, max)]);
        assert_eq!(ports("10000", "25000").ports, Some(TcpPorts::GO_DEFAULT));
        assert_eq!(ports("", "1").ports, Some(TcpPorts::Any));
        for (min, max) in [("5", "4"), ("x", "4"), ("1", "70000"), ("7", "")] {
            let offer = ports(min, max);
            assert_eq!((offer.ports, offer.faults.len()), (None, 1), "{min} {max}");
        }
    }

    proptest! {
        /// What one side writes, the other reads.
        #[test]
        fn an_offer_survives_the_environment(
            versions in prop::collection::vec(any::<u32>(), 1..8),
            (min, max) in any::<(u16, u16)>(),
            certificate in prop::option::of("[ -~\n]{1,80}"),
            multiplex in any::<bool>(),
            dir in prop::option::of("/[a-z]{1,20}"),
            group in prop::option::of("[a-z0-9]{1,8}"),
        ) {
            let offer = HostEnv {
                versions: Versions::new(versions).expect("not empty"),
                ports: TcpPorts::between(min.min(max), min.max(max)).expect("in order"),
                client_certificate: certificate,
                multiplex,
                socket_dir: dir.map(Into::into),
                socket_group: group,
            };
            let cookie = MagicCookie::new("COOKIE", "value").expect("valid");
            // A host that is itself a plugin has other values of all these variables in its own environment.
            let mut env: HashMap<String, OsString> =
                variable::ALL.iter().map(|name| ((*name).to_owned(), "inherited".into())).collect();
            for (name, value) in offer.to_env(&cookie) {
                match value {
                    Some(value) => env.insert(name, value),
                    None => env.remove(&name),
                };
            }
            prop_assert_eq!(env.get("COOKIE"), Some(&OsString::from("value")));
            let received = ReceivedEnv::from_env(|name| env.get(name).cloned());
            prop_assert_eq!(received, ReceivedEnv {
                versions: Some(offer.versions),
                ports: Some(offer.ports),
                client_certificate: offer.client_certificate,
                multiplex: offer.multiplex,
                socket_dir: offer.socket_dir,
                socket_group: offer.socket_group,
                faults: Vec::new(),
            });
        }

        #[test]
        fn reading_is_total(values in prop::collection::vec(".{0,40}", variable::ALL.len())) {
            let pairs: Vec<_> = variable::ALL.iter().copied().zip(values.iter().map(String::as_str)).collect();
            let _ = received(&pairs);
        }
    }
}
