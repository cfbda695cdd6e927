//! Settings from environment variables, and which variables are none.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
};

use super::{CONFIG_FILE, Secret, tree::Tree};
use crate::{
    error::{Fault, FaultKind, Origin},
    names::{Names, distance, nearest, retired},
    setting::{Setting, Side, settings},
    value::FILE_SCHEME,
};

/// A variable that has no part in a configuration although it looks as if it were meant for one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IgnoredVariable {
    /// The variable.
    pub name: String,
    /// Why it has no part.
    pub reason: IgnoredBecause,
}

/// Why a variable has no part in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IgnoredBecause {
    /// There is no setting of this name; the application may know it. The nearest variable is there in case it is a
    /// slip.
    NotASetting {
        /// A variable with nearly the same name.
        nearest: Option<&'static str>,
    },
    /// It is a setting of the other side only.
    OtherSide(Side),
    /// Another variable for the same setting counts more.
    OverruledBy(&'static str),
    /// This process was itself started by a host, and the variable is part of what that host offers.
    Offer,
    /// Nothing here does what it says.
    WithoutEffect(&'static str),
}

impl IgnoredVariable {
    /// Whether this is most likely a setting's variable with a slip in its name: it differs in very few letters. The variables
    /// of other programs that are known are never taken for slips.
    #[must_use]
    pub fn is_slip(&self) -> bool {
        matches!(self.reason, IgnoredBecause::NotASetting { nearest: Some(nearest) } if is_slip(&self.name, nearest))
    }
}

/// Whether one name is the other with a letter or two left out, added, exchanged or swapped.
fn is_slip(name: &str, meant: &str) -> bool {
    const MOST: usize = 2;
    let own = |name: &str| name.strip_prefix("PLUGIN_").map_or(0, str::len);
    // In a short name two letters make another word.
    let most = if own(name) >= 8 { MOST } else { 1 };
    // With a number at its end it is one of several that another program has.
    let numbered = name.trim_end_matches(|c: char| c.is_ascii_digit()) != name;
    own(name) >= 4 && !numbered && distance(name, meant) <= most && !KNOWN_ELSEWHERE.contains(&name)
}

/// What the environment says.
pub(super) struct Environment {
    pub(super) tree: Tree,
    /// The variable from which each setting was taken.
    pub(super) chosen: BTreeMap<&'static str, &'static str>,
    pub(super) ignored: Vec<IgnoredVariable>,
}

/// Takes the settings from the variables. `has_key` says whether a private key is set elsewhere.
pub(super) fn read(
    names: &Names,
    variables: &BTreeMap<OsString, Secret<OsString>>,
    has_key: bool,
    faults: &mut Vec<Fault>,
) -> Environment {
    let mut environment = Environment { tree: Tree::default(), chosen: BTreeMap::new(), ignored: Vec::new() };
    let value =
        |name: &str| variables.get(OsStr::new(name)).map(|value| &value.0).filter(|value| !value.is_empty());
    let has_key = has_key || PRIVATE_KEY.iter().any(|name| value(name).is_some());
    let is_offer = |name: &str| match names.side() {
        Side::Plugin => OFFER.contains(&name),
        Side::Host => {
            // A host that is itself a plugin carries the offer that was made to it. Go's hosts, and ours, always
            // name versions in an offer; one of pyvider does not, but sends nothing else than its certificate.
            let is_plugin = value(VERSIONS).is_some();
            OFFER.contains(&name) && is_plugin || name == CERTIFICATE && !has_key
        }
    };

    for setting in names.settings() {
        for name in setting.env.iter().copied() {
            let Some(text) = value(name) else { continue };
            if is_offer(name) {
                environment.ignore(name, IgnoredBecause::Offer);
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

    for retired in retired() {
        let Some(text) = value(retired.env) else { continue };
        match retired.refuse(retired.env, &text.to_string_lossy()) {
            Some(kind) => faults.push(Fault::new(kind, Origin::Variable(retired.env.to_owned()))),
            None => environment.ignore(retired.env, IgnoredBecause::WithoutEffect(retired.reason)),
        }
    }

    for name in variables.keys().filter_map(|name| name.to_str()) {
        let ours = |setting: &&Setting| setting.env.contains(&name);
        let known = names.settings().any(|setting| ours(&setting))
            || retired().iter().any(|retired| retired.env == name)
            || OFFER.contains(&name)
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

impl fmt::Display for IgnoredVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.reason {
            IgnoredBecause::NotASetting { nearest: None } => write!(f, "{name} is no setting"),
            IgnoredBecause::NotASetting { nearest: Some(nearest) } => {
                write!(f, "{name} is no setting; {nearest} is")
            }
            IgnoredBecause::OtherSide(side) => write!(f, "{name} is a setting of a {side} only"),
            IgnoredBecause::OverruledBy(other) => write!(f, "{name} does not count, because {other} is set"),
            IgnoredBecause::Offer => write!(f, "{name} is part of a host's offer to this process"),
            IgnoredBecause::WithoutEffect(reason) => write!(f, "{name} has no effect: {reason}"),
        }
    }
}

/// The text as it would stand in a file: with the unit, or the mark of a file, that the variable's name implies.
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

/// The variables by which a host makes its offer, go-plugin's names. They are the handshake's business; here they
/// matter because a host has settings of the same names.
const OFFER: [&str; 7] = [
    "PLUGIN_MIN_PORT",
    "PLUGIN_MAX_PORT",
    VERSIONS,
    "PLUGIN_MULTIPLEX_GRPC",
    CERTIFICATE,
    "PLUGIN_UNIX_SOCKET_GROUP",
    "PLUGIN_UNIX_SOCKET_DIR",
];
/// Variables that hosts and tools around go-plugin and pyvider use, cookies among them.
const KNOWN_ELSEWHERE: [&str; 6] = [
    "PLUGIN_MAGIC_COOKIE",
    "PLUGIN_COOKIE",
    "PLUGIN_PROTOCOL_VERSIONS",
    "PLUGIN_PATH",
    "PLUGIN_LOG",
    "PLUGIN_CLIENT_CERTS",
];
const VERSIONS: &str = "PLUGIN_PROTOCOL_VERSIONS";
const CERTIFICATE: &str = "PLUGIN_CLIENT_CERT";

/// The variables of a host's private key.
const PRIVATE_KEY: [&str; 2] = ["PLUGIN_CLIENT_KEY", "PLUGIN_CLIENT_KEY_FILE"];
