//! Variables that look like settings and have no part in a configuration.

use std::fmt;

use super::spelling::distance;
use crate::side::Side;

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
    pub fn is_typo(&self) -> bool {
        matches!(self.reason, IgnoredBecause::NotASetting { nearest: Some(nearest) } if is_typo(&self.name, nearest))
    }
}

/// Whether one name is the other with a letter or two left out, added, exchanged or swapped.
fn is_typo(name: &str, meant: &str) -> bool {
    const MOST: usize = 2;
    let own = |name: &str| name.strip_prefix("PLUGIN_").map_or(0, str::len);
    // In a short name two letters make another word.
    let most = if own(name) >= 8 { MOST } else { 1 };
    // With a number at its end it is one of several that another program has.
    let numbered = name.trim_end_matches(|c: char| c.is_ascii_digit()) != name;
    own(name) >= 4 && !numbered && distance(name, meant) <= most && !KNOWN_ELSEWHERE.contains(&name)
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

/// Variables that hosts and tools around go-plugin and pyvider use, cookies among them.
const KNOWN_ELSEWHERE: [&str; 6] = [
    "PLUGIN_MAGIC_COOKIE",
    "PLUGIN_COOKIE",
    "PLUGIN_PROTOCOL_VERSIONS",
    "PLUGIN_PATH",
    "PLUGIN_LOG",
    "PLUGIN_CLIENT_CERTS",
];
