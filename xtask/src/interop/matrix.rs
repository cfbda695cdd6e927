//! Which host meets which plugin, and how they talk.

use std::fmt;
use std::path::PathBuf;

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
    Given,
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

/// What the matrix covers beyond the main job.
#[derive(Debug, Default)]
pub(super) struct Extent {
    pub(super) broker: bool,
    pub(super) mux: bool,
    pub(super) tls_dir: Option<PathBuf>,
}

/// All cells that both ends can do, in the order they run.
pub(super) fn cells(extent: &Extent) -> Vec<Cell> {
    let securities: &[Security] = match extent.tls_dir {
        Some(_) => &[Security::Plain, Security::AutoMtls, Security::Given],
        None => &[Security::Plain, Security::AutoMtls],
    };
    let muxes: &[bool] = if extent.mux { &[false, true] } else { &[false] };

    let mut cells = Vec::new();
    for (host, plugin) in pairs() {
        for &security in securities {
            for network in [Network::Unix, Network::Tcp] {
                for &mux in muxes {
                    cells.push(Cell { host, plugin, security, network, mux });
                }
            }
        }
    }
    cells.retain(|cell| cell.is_possible());
    cells
}

/// Every pair with Rust on one side.
fn pairs() -> impl Iterator<Item = (Language, Language)> {
    let all = Language::ALL.into_iter();
    all.flat_map(|host| Language::ALL.map(|plugin| (host, plugin)))
        .filter(|(host, plugin)| *host == Language::Rust || *plugin == Language::Rust)
}

impl Cell {
    /// Whether both ends have what the cell is about.
    fn is_possible(self) -> bool {
        let both = |has: fn(Language) -> bool| has(self.host) && has(self.plugin);
        (self.network == Network::Unix || self.plugin.listens_on_tcp())
            && (!self.mux || both(Language::multiplexes))
            && (self.security != Security::Given || both(Language::takes_certificates))
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

    /// go-plugin listens on TCP on Windows only.
    fn listens_on_tcp(self) -> bool {
        self != Self::Go
    }

    /// pyvider.rpcplugin has no multiplexing.
    fn multiplexes(self) -> bool {
        self != Self::Python
    }

    /// The Python programs know AutoMTLS only.
    fn takes_certificates(self) -> bool {
        self != Self::Python
    }

    /// pyvider.rpcplugin's broker does not serve connections.
    pub(super) fn brokers(self) -> bool {
        self != Self::Python
    }
}

impl Network {
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
            Security::Given => "given-certificates",
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
    fn the_main_matrix_has_every_pair_and_mode() {
        let cells = cells(&Extent::default());
        let count =
            |host, plugin| cells.iter().filter(|cell| (cell.host, cell.plugin) == (host, plugin)).count();
        assert_eq!(count(Language::Rust, Language::Rust), 4);
        assert_eq!(count(Language::Rust, Language::Go), 2);
        assert_eq!(count(Language::Go, Language::Rust), 4);
        assert_eq!(count(Language::Rust, Language::Python), 4);
        assert_eq!(count(Language::Python, Language::Rust), 4);
        assert_eq!(cells.len(), 18);
    }

    #[test]
    fn further_axes_add_cells_where_both_ends_can() {
        let extent = Extent { mux: true, tls_dir: Some("certificates".into()), ..Extent::default() };
        let cells = cells(&extent);
        assert!(cells.iter().any(|cell| cell.to_string() == "rust/go/given-certificates/unix/mux"));
        assert!(cells.iter().all(|cell| !cell.mux || (cell.host.multiplexes() && cell.plugin.multiplexes())));
    }
}
