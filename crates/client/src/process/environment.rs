//! The environment of a plugin's process.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
};

use rpcplugin_config::EnvPolicy;

use crate::os::{self, VariableName};

/// Returns the plugin's environment: inherited variables, then those of the handshake, then those of the command.
pub(super) fn environment(
    inherited: impl Iterator<Item = (OsString, OsString)>,
    policy: &EnvPolicy,
    offer: &[(String, Option<OsString>)],
    own: &BTreeMap<OsString, Option<OsString>>,
) -> HashMap<VariableName, OsString> {
    let passed = inherited.map(|(name, value)| (VariableName::from(name), value));
    let mut environment: HashMap<_, _> = passed.filter(|(name, _)| passes(policy, name)).collect();
    let offered = offer.iter().map(|(name, value)| (VariableName::from(&**name), value.clone()));
    let own = own.iter().map(|(name, value)| (VariableName::from(name.clone()), value.clone()));
    for (name, value) in offered.chain(own) {
        match value {
            Some(value) => environment.insert(name, value),
            None => environment.remove(&name),
        };
    }
    environment
}

/// Whether a plugin inherits this variable of the host.
fn passes(policy: &EnvPolicy, name: &VariableName) -> bool {
    match policy {
        EnvPolicy::Clear => os::is_always_inherited(name),
        EnvPolicy::Only(names) => {
            names.iter().any(|passed| *name == **passed) || os::is_always_inherited(name)
        }
        // The handshake removes each variable that it does not set, so that only secrets are left out here.
        _ => PRIVATE_KEY.iter().all(|secret| *name != **secret),
    }
}

/// The variables in which a host that is configured by its environment has its private key. Plugins do not inherit them.
const PRIVATE_KEY: [&str; 2] = ["PLUGIN_CLIENT_KEY", "PLUGIN_CLIENT_KEY_FILE"];

#[cfg(test)]
mod tests {
    use rpcplugin_core::{MagicCookie, TcpPorts, Versions};
    use rpcplugin_handshake::HostEnv;

    use super::*;
    use crate::command::Command;

    fn given(policy: &EnvPolicy, command: &Command) -> HashMap<VariableName, OsString> {
        let offer = HostEnv {
            versions: Versions::from(3),
            ports: TcpPorts::GO_DEFAULT,
            client_certificate: None,
            multiplex: false,
            socket_dir: None,
            socket_group: None,
        };
        let cookie = MagicCookie::new("COOKIE", "value").expect("valid");
        let inherited = [
            ("PATH", "/bin"),
            ("HOME", "/home"),
            ("PLUGIN_CLIENT_CERT", "made for another"),
            ("PLUGIN_MULTIPLEX_GRPC", "true"),
            ("PLUGIN_CLIENT_KEY", "secret"),
            ("PLUGIN_CLIENT_KEY_FILE", "/secret"),
            ("PLUGIN_LOG_LEVEL", "debug"),
        ];
        let inherited = inherited.into_iter().map(|(name, value)| (name.into(), value.into()));
        environment(inherited, policy, &offer.to_env(&cookie), &command.env)
    }

    fn value<'e>(environment: &'e HashMap<VariableName, OsString>, name: &str) -> Option<&'e str> {
        environment.get(&VariableName::from(name)).and_then(|value| value.to_str())
    }

    #[test]
    fn handshake_variables_of_the_host_never_reach_its_plugin() {
        let environment = given(&EnvPolicy::Inherit, &Command::new("p"));
        assert_eq!(value(&environment, "PATH"), Some("/bin"));
        assert_eq!(value(&environment, "COOKIE"), Some("value"));
        assert_eq!(value(&environment, "PLUGIN_PROTOCOL_VERSIONS"), Some("3"));
        assert_eq!(value(&environment, "PLUGIN_LOG_LEVEL"), Some("debug"), "settings are inherited");
        let removed =
            ["PLUGIN_CLIENT_CERT", "PLUGIN_MULTIPLEX_GRPC", "PLUGIN_CLIENT_KEY", "PLUGIN_CLIENT_KEY_FILE"];
        for name in removed {
            assert_eq!(value(&environment, name), None, "{name}");
        }
    }

    #[test]
    fn variables_of_the_command_replace_all_others() {
        let command = Command::new("p").env("PATH", "/opt").env("PLUGIN_MIN_PORT", "1").env_remove("HOME");
        let environment = given(&EnvPolicy::Inherit, &command);
        assert_eq!(value(&environment, "PATH"), Some("/opt"));
        assert_eq!(value(&environment, "PLUGIN_MIN_PORT"), Some("1"));
        assert_eq!(value(&environment, "HOME"), None);
    }

    #[test]
    fn a_policy_limits_what_is_inherited() {
        let environment = given(&EnvPolicy::Only(vec!["HOME".into()]), &Command::new("p"));
        assert_eq!((value(&environment, "HOME"), value(&environment, "PATH")), (Some("/home"), None));
        let environment = given(&EnvPolicy::Clear, &Command::new("p").env("A", "b"));
        assert_eq!((value(&environment, "HOME"), value(&environment, "A")), (None, Some("b")));
        assert_eq!(value(&environment, "COOKIE"), Some("value"));
    }
}
