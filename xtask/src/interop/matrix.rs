//! The cells: every combination of host, plugin and mode, and the limits of the peers.

use std::fmt;

/// The language of a program. One side of each cell is Rust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Language {
    Rust,
    Go,
    Python,
}

/// How the connection is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Security {
    /// In the name of the cell. Of given certificates it is the kind of all keys, as `certs --keys` of the Go host takes it.
    pub(super) name: &'static str,
    /// In the heading of the README's table.
    pub(super) title: &'static str,
    /// Whether both sides are given certificates from files.
    pub(super) is_given: bool,
}

pub(super) const SECURITIES: [Security; 6] = [
    Security { name: "plain", title: "plain", is_given: false },
    Security { name: "auto-mtls", title: "AutoMTLS", is_given: false },
    Security { name: "p256", title: "P-256", is_given: true },
    Security { name: "p384", title: "P-384", is_given: true },
    Security { name: "p521", title: "P-521", is_given: true },
    Security { name: "rsa", title: "RSA", is_given: true },
];

/// Where the plugin listens, as the programs' `--net` takes it.
pub(super) const NETWORKS: [&str; 2] = ["unix", "tcp"];

/// One run of a host's checks against a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) host: Language,
    pub(super) plugin: Language,
    pub(super) security: Security,
    pub(super) network: &'static str,
    pub(super) mux: bool,
}

/// Whether host and plugin can communicate in the mode of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ability {
    Works,
    /// The peer refuses. The cell runs, and the output of the host has this sign.
    Refused {
        sign: &'static str,
        why: &'static str,
    },
    /// The peer has no option for it. The cell does not run.
    Absent {
        why: &'static str,
    },
}

/// Checks that fail with every plugin on a library, and why. Found with pyvider-rpcplugin 0.5.5; to be looked at again
/// with the next version in `requirements.txt`.
const LIMITS: [(Language, &str, &str); 2] = [
    (
        Language::Python,
        "stdio",
        "a pyvider-rpcplugin plugin keeps its stdio stream open and never sends on it",
    ),
    (Language::Python, "reflection", "a pyvider-rpcplugin plugin has no reflection service"),
];

/// Every combination, in the order of the table.
pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for (host, plugin) in pairs() {
        for network in NETWORKS {
            for security in SECURITIES {
                let cell = |mux| Cell { host, plugin, security, network, mux };
                cells.extend([cell(false), cell(true)]);
            }
        }
    }
    cells
}

/// Every pair with Rust on one side.
pub(super) fn pairs() -> impl Iterator<Item = (Language, Language)> {
    let all = Language::ALL.into_iter();
    all.flat_map(|host| Language::ALL.map(|plugin| (host, plugin)))
        .filter(|(host, plugin)| *host == Language::Rust || *plugin == Language::Rust)
}

impl Cell {
    /// The cell in which the Rust host runs the checks that need no peer.
    pub(super) const FIRST: Self = Self {
        host: Language::Rust,
        plugin: Language::Rust,
        security: SECURITIES[0],
        network: NETWORKS[0],
        mux: false,
    };

    /// Whether host and plugin can, as the peers behave.
    pub(super) fn ability(self) -> Ability {
        if self.plugin == Language::Go && self.network == "tcp" {
            return Ability::Absent { why: "go-plugin plugins listen on TCP on Windows only" };
        }
        if self.mux && self.host == Language::Python {
            return Ability::Absent { why: "pyvider-rpcplugin hosts cannot ask for multiplexing" };
        }
        if self.mux && self.plugin == Language::Python {
            return Ability::Refused {
                sign: "the plugin cannot multiplex",
                why: "pyvider-rpcplugin plugins do not multiplex: the launch is refused",
            };
        }
        if self.security.name == "p521" && self.has_python() {
            return Ability::Refused {
                sign: "SSL_ERROR_SSL",
                why: "BoringSSL, the TLS library of Python's gRPC, has no P-521 signatures: the connection fails",
            };
        }
        Ability::Works
    }

    pub(super) fn has_python(self) -> bool {
        [self.host, self.plugin].contains(&Language::Python)
    }

    /// Why this check cannot pass in this cell, if that is known.
    pub(super) fn limit(self, check: &str) -> Option<&'static str> {
        let limit = LIMITS.iter().find(|(plugin, name, _)| *plugin == self.plugin && *name == check);
        limit.map(|(_, _, why)| *why)
    }

    /// Security, network and multiplexing, in one word for each.
    pub(super) fn mode(self) -> String {
        format!("{} {}{}", self.security.name, self.network, if self.mux { " mux" } else { "" })
    }

    pub(super) fn pair(self) -> String {
        format!("{} host, {} plugin", self.host, self.plugin)
    }
}

impl Language {
    pub(super) const ALL: [Self; 3] = [Self::Rust, Self::Go, Self::Python];
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{self:?}").to_lowercase())
    }
}

/// The name of a cell: host, plugin and mode, `go/rust/auto-mtls/tcp`.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}/{}", self.host, self.plugin, self.mode().replace(' ', "/")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_has_every_mode() {
        let cells = cells();
        assert_eq!(cells.len(), 5 * 6 * 2 * 2);
        let working = |host, plugin| {
            let of_pair = cells.iter().filter(|cell| (cell.host, cell.plugin) == (host, plugin));
            of_pair.filter(|cell| cell.ability() == Ability::Works).count()
        };
        assert_eq!(
            pairs().map(|(host, plugin)| working(host, plugin)).collect::<Vec<_>>(),
            [24, 12, 10, 24, 10]
        );
        for name in ["rust/go/p521/unix/mux", "go/rust/auto-mtls/tcp"] {
            assert!(cells.iter().any(|cell| cell.to_string() == name), "{name}");
        }
    }
}
