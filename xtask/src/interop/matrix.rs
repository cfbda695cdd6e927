//! Which host meets which plugin, and how they talk: every combination, and what peers cannot do of it.

use std::fmt;

use crate::toolchain::Tool;

/// Who wrote a program. One side of each cell is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Language {
    Rust,
    Go,
    Python,
}

/// How the connection is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    Plain,
    AutoMtls,
    /// Certificates from files, which both sides are told of.
    Given(Keys),
}

/// The keys of given certificates, those of the authority included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Keys {
    P256,
    P384,
    P521,
    Rsa,
}

/// What the plugin listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    Unix,
    Tcp,
}

/// One run of a host's checks against a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) host: Language,
    pub(super) plugin: Language,
    pub(super) security: Security,
    pub(super) network: Network,
    pub(super) mux: bool,
}

/// Whether two programs can talk in a cell's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ability {
    Works,
    /// The peer does not take part, which shows when it is tried: the host's output has this sign.
    Refused {
        sign: &'static str,
        why: &'static str,
    },
    /// The peer has nothing by which it could be asked to.
    Absent {
        why: &'static str,
    },
}

/// Every combination, in the order of the table.
pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for (host, plugin) in pairs() {
        for network in Network::ALL {
            for security in Security::ALL {
                for mux in [false, true] {
                    cells.push(Cell { host, plugin, security, network, mux });
                }
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
    /// The one in which our host checks itself too.
    pub(super) const FIRST: Self = Self {
        host: Language::Rust,
        plugin: Language::Rust,
        security: Security::Plain,
        network: Network::Unix,
        mux: false,
    };

    /// Whether the two can, as the peers behave.
    pub(super) fn ability(self) -> Ability {
        if self.plugin == Language::Go && self.network == Network::Tcp {
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
        if self.security == Security::Given(Keys::P521) && !self.both(|side| side != Language::Python) {
            return Ability::Refused {
                sign: "SSL_ERROR_SSL",
                why: "BoringSSL, the TLS library of Python's gRPC, has no P-521 signatures: the connection fails",
            };
        }
        Ability::Works
    }

    /// Whether this holds for host and plugin.
    pub(super) fn both(self, has: fn(Language) -> bool) -> bool {
        has(self.host) && has(self.plugin)
    }
}

impl Language {
    pub(super) const ALL: [Self; 3] = [Self::Rust, Self::Go, Self::Python];

    /// The toolchain that its programs need, beyond the one that runs us.
    pub(super) fn tool(self) -> Option<Tool> {
        match self {
            Self::Rust => None,
            Self::Go => Some(Tool::Go),
            Self::Python => Some(Tool::Python),
        }
    }

    /// pyvider.rpcplugin's broker does not serve connections.
    pub(super) fn brokers(self) -> bool {
        self != Self::Python
    }
}

impl Security {
    pub(super) const ALL: [Self; 6] = [
        Self::Plain,
        Self::AutoMtls,
        Self::Given(Keys::P256),
        Self::Given(Keys::P384),
        Self::Given(Keys::P521),
        Self::Given(Keys::Rsa),
    ];

    /// The kind of the certificates' keys, if certificates are given.
    pub(super) fn given(self) -> Option<Keys> {
        match self {
            Self::Given(keys) => Some(keys),
            Self::Plain | Self::AutoMtls => None,
        }
    }

    /// As a heading.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::AutoMtls => "AutoMTLS",
            Self::Given(Keys::P256) => "P-256",
            Self::Given(Keys::P384) => "P-384",
            Self::Given(Keys::P521) => "P-521",
            Self::Given(Keys::Rsa) => "RSA",
        }
    }
}

impl Keys {
    /// As the Go host's `certs --keys` takes it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::P521 => "p521",
            Self::Rsa => "rsa",
        }
    }
}

impl Network {
    pub(super) const ALL: [Self; 2] = [Self::Unix, Self::Tcp];

    /// As the programs' `--net` takes it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unix => "unix",
            Self::Tcp => "tcp",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rust => "rust",
            Self::Go => "go",
            Self::Python => "python",
        })
    }
}

impl Cell {
    /// How the two talk, in one word per axis.
    pub(super) fn mode(&self) -> String {
        let security = match self.security {
            Security::Plain => "plain",
            Security::AutoMtls => "auto-mtls",
            Security::Given(keys) => keys.name(),
        };
        let mux = if self.mux { " mux" } else { "" };
        format!("{security} {}{mux}", self.network.name())
    }
}

/// The name of a cell: host, plugin and mode, `go/rust/auto-mtls/tcp`.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.host, self.plugin, self.mode().replace(' ', "/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_has_every_way_of_talking() {
        let cells = cells();
        assert_eq!(cells.len(), 5 * 6 * 2 * 2);
        let working = |host, plugin| {
            let of_pair = cells.iter().filter(|cell| (cell.host, cell.plugin) == (host, plugin));
            of_pair.filter(|cell| cell.ability() == Ability::Works).count()
        };
        assert_eq!(working(Language::Rust, Language::Rust), 24);
        assert_eq!(working(Language::Go, Language::Rust), 24);
        assert_eq!(working(Language::Rust, Language::Go), 12);
        assert_eq!(working(Language::Rust, Language::Python), 10);
        assert_eq!(working(Language::Python, Language::Rust), 10);
    }

    #[test]
    fn names_are_what_the_filter_looks_in() {
        let cells = cells();
        assert!(cells.iter().any(|cell| cell.to_string() == "rust/go/p521/unix/mux"));
        assert!(cells.iter().any(|cell| cell.to_string() == "go/rust/auto-mtls/tcp"));
    }
}
