//! Environment variables that look like settings and are ignored.

use std::fmt;

use super::spelling::distance;
use crate::side::Side;

/// An environment variable that looks like a setting and is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IgnoredVariable {
    /// The variable.
    pub name: String,
    /// Why the variable is ignored.
    pub reason: IgnoredBecause,
}

/// Why an environment variable is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IgnoredBecause {
    /// No setting has this variable. The variable may belong to the application, or its name may have a typo.
    NotASetting {
        /// The variable of a setting with nearly the same name.
        nearest: Option<&'static str>,
    },
    /// Only the other side has this setting.
    OtherSide(Side),
    /// Another variable of the same setting takes precedence.
    OverruledBy(&'static str),
    /// The variable is part of the handshake: a host launched this process.
    Handshake,
    /// The variable has no effect, for this reason.
    WithoutEffect(&'static str),
}

impl IgnoredVariable {
    /// Whether the name is probably a typo: it differs from a setting's variable in one or two letters. Known variables of other
    /// programs are not typos.
    #[must_use]
    pub fn is_typo(&self) -> bool {
        matches!(self.reason, IgnoredBecause::NotASetting { nearest: Some(nearest) } if is_typo(&self.name, nearest))
    }
}

/// Whether one or two letters of a name are left out, added, exchanged or swapped.
fn is_typo(name: &str, meant: &str) -> bool {
    const MOST: usize = 2;
    let own = |name: &str| name.strip_prefix("PLUGIN_").map_or(0, str::len);
    // Two letters turn a short name into another word.
    let most = if own(name) >= 8 { MOST } else { 1 };
    // A number at the end is a sign of another program's variables.
    let numbered = name.trim_end_matches(|c: char| c.is_ascii_digit()) != name;
    own(name) >= 4 && !numbered && distance(name, meant) <= most && !KNOWN_ELSEWHERE.contains(&name)
}

impl fmt::Display for IgnoredVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.reason {
            IgnoredBecause::NotASetting { nearest: None } => write!(f, "{name} is not a setting"),
            IgnoredBecause::NotASetting { nearest: Some(nearest) } => {
                write!(f, "{name} is not a setting; the nearest is {nearest}")
            }
            IgnoredBecause::OtherSide(side) => write!(f, "{name} is a setting of the {side} only"),
            IgnoredBecause::OverruledBy(other) => write!(f, "{name} is ignored because {other} is set"),
            IgnoredBecause::Handshake => {
                write!(f, "{name} is part of the handshake with the host that launched this process")
            }
            IgnoredBecause::WithoutEffect(reason) => write!(f, "{name} has no effect: {reason}"),
        }
    }
}

/// Variables of hosts and tools around go-plugin and pyvider, including cookies.
const KNOWN_ELSEWHERE: [&str; 6] = [
    "PLUGIN_MAGIC_COOKIE",
    "PLUGIN_COOKIE",
    "PLUGIN_PROTOCOL_VERSIONS",
    "PLUGIN_PATH",
    "PLUGIN_LOG",
    "PLUGIN_CLIENT_CERTS",
];
