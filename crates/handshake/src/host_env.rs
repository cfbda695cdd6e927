//! The environment variables by which a host passes its side of the handshake to a plugin.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    time::Duration,
};

use rpcplugin_core::{AppVersion, MagicCookie, TcpPorts, Versions};

use crate::go_strconv;

/// Names of the environment variables of the handshake.
pub mod variable {
    /// The lowest TCP port on which a plugin may listen.
    pub const MIN_PORT: &str = "PLUGIN_MIN_PORT";
    /// The highest TCP port on which a plugin may listen.
    pub const MAX_PORT: &str = "PLUGIN_MAX_PORT";
    /// The versions of the application's protocol that the host supports, in any order, with commas between them.
    pub const PROTOCOL_VERSIONS: &str = "PLUGIN_PROTOCOL_VERSIONS";
    /// `true` requests multiplexed brokered connections.
    pub const MULTIPLEX_GRPC: &str = "PLUGIN_MULTIPLEX_GRPC";
    /// The host's certificate as PEM. It requests mutual TLS.
    pub const CLIENT_CERT: &str = "PLUGIN_CLIENT_CERT";
    /// The group, by name or number, that may connect to the plugin's sockets.
    pub const UNIX_SOCKET_GROUP: &str = "PLUGIN_UNIX_SOCKET_GROUP";
    /// The directory for all of the plugin's sockets.
    pub const UNIX_SOCKET_DIR: &str = "PLUGIN_UNIX_SOCKET_DIR";
    /// How long a plugin serves while no host is connected to it, such as `60s`. A host sets it only for plugins that cannot
    /// notice its exit: those in containers, in pods and on other machines. It is not one of [`ALL`]: go-plugin does not have it.
    pub const ORPHAN_TIMEOUT: &str = "PLUGIN_ORPHAN_TIMEOUT";
    /// The token of an inherited connection, which the host has put into the socket that is the plugin's stdout. It is not one of
    /// [`ALL`]: go-plugin does not have it.
    pub const STDOUT_CONNECTION: &str = "PLUGIN_STDOUT_CONNECTION";
    /// The host's offer of the lane: see [`LaneOffer`](crate::LaneOffer). It is not one of [`ALL`]: go-plugin does not have it.
    pub const HOST_LANE: &str = "PLUGIN_HOST_LANE";

    /// Every variable of go-plugin's handshake.
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

/// The values that a host passes to a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostEnv {
    /// The versions of the application's protocol that the host supports.
    pub versions: Versions,
    /// The TCP ports on which the plugin may listen.
    pub ports: TcpPorts,
    /// The host's certificate as PEM. With a certificate the host requests mutual TLS.
    pub client_certificate: Option<String>,
    /// Whether the host requests that brokered connections share the main connection's socket.
    pub multiplex: bool,
    /// The directory in which the plugin must create its sockets.
    pub socket_dir: Option<PathBuf>,
    /// The group, by name or number, that may connect to the plugin's sockets.
    pub socket_group: Option<String>,
}

/// The values that a plugin finds in its environment. Each of them may be missing: an old host, or a host in another language, does
/// not set all variables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReceivedEnv {
    /// The versions that the host supports.
    pub versions: Option<Versions>,
    /// The TCP ports on which the plugin may listen.
    pub ports: Option<TcpPorts>,
    /// The host's certificate as unparsed PEM. It requests mutual TLS.
    pub client_certificate: Option<String>,
    /// Whether the host requests multiplexed brokered connections.
    pub multiplex: bool,
    /// The directory in which the plugin must create its sockets.
    pub socket_dir: Option<PathBuf>,
    /// The group that may connect to the sockets.
    pub socket_group: Option<String>,
    /// How long the plugin serves while no host is connected to it. With `None` it serves without a limit.
    pub orphan_timeout: Option<Duration>,
    /// The values that were ignored because they are invalid.
    pub faults: Vec<HostEnvFault>,
}

/// A variable of the handshake with an invalid value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("the host set {variable} to {value:?}, which is not {expected}")]
#[diagnostic(
    code(rpcplugin::handshake::invalid_host_env),
    help("correct the host; the host may also have inherited {variable}: start it without this variable")
)]
pub struct HostEnvFault {
    /// The variable.
    pub variable: &'static str,
    /// The value, shortened.
    pub value: String,
    /// The values that are valid.
    pub expected: &'static str,
}

impl HostEnv {
    /// Returns the changes to the plugin's environment: each variable of the handshake and of the cookie with its value, or with
    /// `None` if it must be removed.
    ///
    /// A variable without a value is removed because a host that is itself a plugin has inherited the variables of its own
    /// handshake. A Go host, for example, crashes if its plugin prints a certificate although the host requested no TLS.
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
        let handshake = variable::ALL.iter().map(|name| (*name).to_owned()).zip(values);
        // The cookie comes last. If its name is also a variable of the handshake, the plugin needs the cookie more.
        handshake.chain([(cookie.key().to_owned(), Some(cookie.value().into()))]).collect()
    }
}

impl ReceivedEnv {
    /// Reads the variables through `lookup`. An empty variable counts as not set, as in Go.
    ///
    /// The call never fails. Invalid values are left out and listed in [`faults`](Self::faults). A certificate is never left out,
    /// because without it the plugin would serve in plain text.
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
        // A certificate is never left out: the plugin would serve in plain text. Bytes that are not UTF-8 are harmless in a
        // comment beside the certificate. Elsewhere the parser of the certificate reports them.
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
        let orphan_timeout = lookup(variable::ORPHAN_TIMEOUT)
            .filter(|value| !value.is_empty())
            .and_then(|value| read_orphan_timeout(&value, &mut faults));
        Self {
            versions,
            ports,
            client_certificate,
            multiplex,
            socket_dir,
            socket_group,
            orphan_timeout,
            faults,
        }
    }
}

impl HostEnvFault {
    fn new(variable: &'static str, value: &OsStr, expected: &'static str) -> Self {
        let value = value.to_string_lossy().chars().take(80).collect();
        Self { variable, value, expected }
    }
}

/// Ignores invalid elements, as Go does: a host may offer versions of a later form.
fn read_versions(list: &str, faults: &mut Vec<HostEnvFault>) -> Option<Versions> {
    let mut versions = Vec::new();
    for element in list.split(',') {
        match go_strconv::integer(element).and_then(|number| u32::try_from(number).ok()) {
            Some(number) => versions.push(AppVersion(number)),
            None => faults.push(HostEnvFault::new(
                variable::PROTOCOL_VERSIONS,
                OsStr::new(element),
                "a list of numbers with commas between them",
            )),
        }
    }
    Versions::new(versions).ok()
}

/// Reads a duration. 0 stands for no limit.
fn read_orphan_timeout(value: &OsStr, faults: &mut Vec<HostEnvFault>) -> Option<Duration> {
    match value.to_str().and_then(go_strconv::duration) {
        Some(timeout) => Some(timeout).filter(|timeout| !timeout.is_zero()),
        None => {
            faults.push(HostEnvFault::new(
                variable::ORPHAN_TIMEOUT,
                value,
                "a duration, such as 60s or 1m30s",
            ));
            None
        }
    }
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
    fn an_empty_environment_has_no_values() {
        assert_eq!(received(&[]), ReceivedEnv::default());
        let empty: Vec<_> = variable::ALL.iter().map(|name| (*name, "")).collect();
        assert_eq!(received(&empty), ReceivedEnv::default());
    }

    #[test]
    fn invalid_versions_are_ignored() {
        let received_env = received(&[(variable::PROTOCOL_VERSIONS, "x,2, 3,-1,+4,01")]);
        assert_eq!(received_env.versions, Versions::new([4, 2, 1]).ok());
        let faults: Vec<_> = received_env.faults.iter().map(|fault| fault.value.as_str()).collect();
        assert_eq!(faults, ["x", " 3", "-1"]);
        assert_eq!(received(&[(variable::PROTOCOL_VERSIONS, "x")]).versions, None);
    }

    #[test]
    fn multiplexing_is_on_only_where_go_reads_true() {
        for (text, on, faults) in [("true", true, 0), ("1", true, 0), ("false", false, 0), ("yes", false, 1)]
        {
            let received_env = received(&[(variable::MULTIPLEX_GRPC, text)]);
            assert_eq!((received_env.multiplex, received_env.faults.len()), (on, faults), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_certificate_is_never_left_out() {
        use std::os::unix::ffi::OsStringExt as _;
        let latin = OsString::from_vec(b"# Z\xfcrich\n-----BEGIN".to_vec());
        let received_env =
            ReceivedEnv::from_env(|name| (name == variable::CLIENT_CERT).then(|| latin.clone()));
        assert_eq!(received_env.client_certificate.as_deref(), Some("# Z\u{fffd}rich\n-----BEGIN"));
        assert_eq!(received_env.faults, []);
    }

    #[test]
    fn ports_that_are_not_a_range_are_a_fault() {
        let ports = |min, max| received(&[(variable::MIN_PORT, min), (variable::MAX_PORT, max)]);
        assert_eq!(ports("10000", "25000").ports, Some(TcpPorts::GO_DEFAULT));
        assert_eq!(ports("", "1").ports, Some(TcpPorts::Any));
        for (min, max) in [("5", "4"), ("x", "4"), ("1", "70000"), ("7", "")] {
            let received_env = ports(min, max);
            assert_eq!((received_env.ports, received_env.faults.len()), (None, 1), "{min} {max}");
        }
    }

    #[test]
    fn an_orphan_timeout_is_a_duration_and_0_is_none() {
        let read = |text| received(&[(variable::ORPHAN_TIMEOUT, text)]);
        for (text, timeout) in [
            ("60s", Some(60_000)),
            ("1m30s", Some(90_000)),
            ("300ms", Some(300)),
            ("1.5", Some(1500)),
            (".5", Some(500)),
            ("0.5h.5s", Some(1_800_500)),
            ("1.s", Some(1000)),
            ("1000us1000\u{b5}s1000\u{3bc}s1000000ns", Some(4)),
            ("0", None),
            ("0s", None),
            ("", None),
        ] {
            let received_env = read(text);
            assert_eq!(received_env.orphan_timeout, timeout.map(Duration::from_millis), "{text}");
            assert_eq!(received_env.faults, [], "{text}");
        }
        for text in
            ["soon", "-1s", "10 s", "1h-1m", "99999999999999999999h", "1e300", "s", ".", "1.2.3", ".s"]
        {
            let received_env = read(text);
            assert_eq!((received_env.orphan_timeout, received_env.faults.len()), (None, 1), "{text}");
        }
    }

    proptest! {
        /// The plugin reads the values that the host wrote.
        #[test]
        fn values_pass_through_the_environment_unchanged(
            versions in prop::collection::vec(any::<u32>(), 1..8),
            (min, max) in any::<(u16, u16)>(),
            certificate in prop::option::of("[ -~\n]{1,80}"),
            multiplex in any::<bool>(),
            dir in prop::option::of("/[a-z]{1,20}"),
            group in prop::option::of("[a-z0-9]{1,8}"),
        ) {
            let host_env = HostEnv {
                versions: Versions::new(versions).expect("not empty"),
                ports: TcpPorts::between(min.min(max), min.max(max)).expect("in order"),
                client_certificate: certificate,
                multiplex,
                socket_dir: dir.map(Into::into),
                socket_group: group,
            };
            let cookie = MagicCookie::new("COOKIE", "value").expect("valid");
            // A host that is itself a plugin has inherited other values of these variables.
            let mut env: HashMap<String, OsString> =
                variable::ALL.iter().map(|name| ((*name).to_owned(), "inherited".into())).collect();
            for (name, value) in host_env.to_env(&cookie) {
                match value {
                    Some(value) => env.insert(name, value),
                    None => env.remove(&name),
                };
            }
            prop_assert_eq!(env.get("COOKIE"), Some(&OsString::from("value")));
            let received = ReceivedEnv::from_env(|name| env.get(name).cloned());
            prop_assert_eq!(received, ReceivedEnv {
                versions: Some(host_env.versions),
                ports: Some(host_env.ports),
                client_certificate: host_env.client_certificate,
                multiplex: host_env.multiplex,
                socket_dir: host_env.socket_dir,
                socket_group: host_env.socket_group,
                orphan_timeout: None,
                faults: Vec::new(),
            });
        }

        #[test]
        fn reading_never_panics(values in prop::collection::vec(".{0,40}", variable::ALL.len())) {
            let pairs: Vec<_> = variable::ALL.iter().copied().zip(values.iter().map(String::as_str)).collect();
            let _ = received(&pairs);
        }
    }
}
