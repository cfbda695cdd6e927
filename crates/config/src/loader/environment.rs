//! Settings from environment variables, and the variables that are ignored.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

use super::{
    ignored::{IgnoredBecause, IgnoredVariable},
    names::Names,
    redacted::Redacted,
    spelling::nearest,
    tree::Tree,
};
use crate::{
    catalog::settings,
    error::{Fault, FaultKind, Origin},
    schema::Setting,
    side::Side,
    tables::legacy_settings,
    value::FILE_SCHEME,
};

/// The settings from the environment.
pub(super) struct Environment {
    pub(super) tree: Tree,
    /// The variable that sets each setting.
    pub(super) chosen: BTreeMap<&'static str, &'static str>,
    pub(super) ignored: Vec<IgnoredVariable>,
}

/// Reads the settings from the variables. `has_key` states whether another layer sets a private key.
pub(super) fn read(
    names: &Names,
    variables: &BTreeMap<OsString, Redacted<OsString>>,
    has_key: bool,
    faults: &mut Vec<Fault>,
) -> Environment {
    let mut environment = Environment { tree: Tree::default(), chosen: BTreeMap::new(), ignored: Vec::new() };
    let value =
        |name: &str| variables.get(OsStr::new(name)).map(|value| &value.0).filter(|value| !value.is_empty());
    let has_key = has_key || PRIVATE_KEY.iter().any(|name| value(name).is_some());
    let is_handshake = |name: &str| match names.side() {
        Side::Plugin => HANDSHAKE.contains(&name),
        Side::Host => {
            // A host that is itself a plugin inherits the variables of its own handshake. Hosts of Go and of this library always
            // set the versions. A host of pyvider sets only its certificate.
            let is_plugin = value(VERSIONS).is_some();
            HANDSHAKE.contains(&name) && is_plugin || name == CERTIFICATE && !has_key
        }
    };

    for setting in names.settings() {
        for name in setting.env.iter().copied() {
            let Some(text) = value(name) else { continue };
            if is_handshake(name) {
                environment.ignore(name, IgnoredBecause::Handshake);
            } else if let Some(other) = environment.chosen.get(&*setting.name) {
                environment.ignore(name, IgnoredBecause::OverruledBy(other));
            } else if let Some(text) = text.to_str() {
                environment.chosen.insert(&setting.name, name);
                environment.tree.insert(&setting.name, &in_full(name, text));
            } else {
                let kind = FaultKind::NotUnicode { setting: setting.name.clone() };
                faults.push(Fault::new(kind, Origin::Variable(name.to_owned())));
            }
        }
    }

    for legacy in legacy_settings() {
        let Some(text) = value(legacy.env) else { continue };
        match legacy.refuse(legacy.env, &text.to_string_lossy()) {
            Some(kind) => faults.push(Fault::new(kind, Origin::Variable(legacy.env.to_owned()))),
            None => environment.ignore(legacy.env, IgnoredBecause::WithoutEffect(legacy.reason)),
        }
    }

    for name in variables.keys().filter_map(|name| name.to_str()) {
        let ours = |setting: &&Setting| setting.env.contains(&name);
        let known = names.settings().any(|setting| ours(&setting))
            || legacy_settings().iter().any(|legacy| legacy.env == name)
            || HANDSHAKE.contains(&name)
            || name == CONFIG_FILE;
        if known {
            continue;
        }
        if let Some(setting) = settings().iter().find(ours) {
            environment.ignore(name, IgnoredBecause::OtherSide(setting.side));
        } else if name.starts_with("PLUGIN_") {
            let known = names.settings().flat_map(|setting| setting.env).copied();
            environment.ignore(name, IgnoredBecause::NotASetting { nearest: nearest(name, known) });
        }
    }
    environment
}

impl Environment {
    fn ignore(&mut self, name: &str, reason: IgnoredBecause) {
        self.ignored.push(IgnoredVariable { name: name.to_owned(), reason });
    }
}

/// The text as a file would have it: with the unit, or the `file://`, that the variable's name implies.
fn in_full(name: &str, text: &str) -> String {
    let number = text.trim();
    if name.ends_with("_MS") && number.chars().all(|c| c.is_ascii_digit() || c == '.') {
        format!("{number}ms")
    } else if name.ends_with("_FILE") && !text.starts_with(FILE_SCHEME) {
        format!("{FILE_SCHEME}{text}")
    } else {
        text.to_owned()
    }
}

/// The variables of the handshake, which go-plugin names, and the three of this library. A host has settings with the same
/// variables.
const HANDSHAKE: [&str; 10] = [
    "PLUGIN_MIN_PORT",
    "PLUGIN_MAX_PORT",
    VERSIONS,
    "PLUGIN_MULTIPLEX_GRPC",
    CERTIFICATE,
    "PLUGIN_UNIX_SOCKET_GROUP",
    "PLUGIN_UNIX_SOCKET_DIR",
    "PLUGIN_ORPHAN_TIMEOUT",
    "PLUGIN_STDOUT_CONNECTION",
    "PLUGIN_HOST_LANE",
];
const VERSIONS: &str = "PLUGIN_PROTOCOL_VERSIONS";
const CERTIFICATE: &str = "PLUGIN_CLIENT_CERT";

/// The variables of a host's private key.
const PRIVATE_KEY: [&str; 2] = ["PLUGIN_CLIENT_KEY", "PLUGIN_CLIENT_KEY_FILE"];

/// The variable that names a configuration file.
pub(super) const CONFIG_FILE: &str = "PLUGIN_CONFIG_FILE";

/// The configuration file that a variable names.
pub(super) fn named_file(variables: &BTreeMap<OsString, Redacted<OsString>>) -> Option<&OsStr> {
    variables.get(OsStr::new(CONFIG_FILE)).map(|path| &*path.0).filter(|path| !path.is_empty())
}

/// The fault of a configuration file that a variable names, for a program that is built without files.
#[cfg(any(test, not(feature = "config-file")))]
pub(super) fn refused_file(variables: &BTreeMap<OsString, Redacted<OsString>>) -> Option<Fault> {
    named_file(variables)
        .map(|_| Fault::new(FaultKind::FilesNotBuilt, Origin::Variable(CONFIG_FILE.to_owned())))
}

#[cfg(test)]
mod tests {
    use miette::Diagnostic as _;

    use super::*;

    #[test]
    fn a_configuration_file_needs_its_feature() {
        let refused =
            |value: &str| refused_file(&BTreeMap::from([(CONFIG_FILE.into(), Redacted(value.into()))]));
        assert!(refused("").is_none(), "an empty variable counts as not set");
        let fault = refused("plugin.toml").expect("the file would have no effect");
        assert_eq!(
            fault.to_string(),
            "PLUGIN_CONFIG_FILE: this program is built without configuration files"
        );
        assert_eq!(fault.code().expect("a code").to_string(), "rpcplugin::config::files_not_built");
        assert!(fault.help().expect("help").to_string().contains("`config-file`"));
    }
}
