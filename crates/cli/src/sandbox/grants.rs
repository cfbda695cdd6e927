//! A sandbox as lines of a lock file.

use std::path::{Path, PathBuf};

use rpcplugin::sandbox::{Enforce, Limits, Network, Sandbox, SystemCalls, UnixSockets};

use super::limit::Limit;

/// A sandbox as lines: what it allows, and its limits. Paths below `base` are written relative to it, with `./` at their beginning.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Grants {
    pub(crate) allow: Vec<String>,
    pub(crate) limits: Vec<String>,
    pub(crate) best_effort: bool,
}

/// A line of a lock file describes no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not something that a sandbox allows")]
pub(crate) struct GrantError(String);

impl Grants {
    pub(crate) fn of(sandbox: &Sandbox, base: &Path) -> Self {
        Self {
            allow: sandbox.capabilities().into_iter().map(|line| below(&line, base)).collect(),
            limits: Limit::all_of(sandbox).iter().map(ToString::to_string).collect(),
            best_effort: sandbox.enforcement() == Enforce::BestEffort,
        }
    }

    /// The sandbox that the lines describe.
    ///
    /// # Errors
    /// [`GrantError`] for a line that this program has not written.
    pub(crate) fn sandbox(&self, base: &Path) -> Result<Sandbox, GrantError> {
        let mut sandbox = Sandbox::new();
        let mut network = Network::none();
        let is_all = ALL_NETWORKS.iter().all(|line| self.allow.iter().any(|allowed| allowed == line));
        for line in &self.allow {
            let wrong = || GrantError(line.clone());
            let (what, value) = line.split_once(' ').unwrap_or((line, ""));
            let path = || path(value, base).ok_or_else(wrong);
            let port = |port: &str| port.parse::<u16>().map_err(|_| wrong());
            sandbox = match what {
                "read" => sandbox.read(path()?),
                "write" => sandbox.write(path()?),
                "execute" => sandbox.execute(path()?),
                "environment" if !value.is_empty() => sandbox.environment([value]),
                "system_calls" => {
                    let calls = SystemCalls::ALL.iter().find(|calls| calls.as_str() == value);
                    sandbox.allow(*calls.ok_or_else(wrong)?)
                }
                "unix_sockets" if value == "any" => sandbox.unix_sockets(UnixSockets::Any),
                _ => {
                    network = match (line.as_str(), line.rsplit_once(' ')) {
                        (line, _) if is_all && ALL_NETWORKS.contains(&line) => network,
                        ("udp", _) => network.udp(),
                        (_, Some(("connect tcp", number))) => network.connect([port(number)?]),
                        (_, Some(("listen tcp", number))) => network.listen([port(number)?]),
                        _ => return Err(wrong()),
                    };
                    sandbox
                }
            };
        }
        let mut limits = Limits::new();
        for line in &self.limits {
            limits = line.parse::<Limit>().map_err(|_| GrantError(line.clone()))?.add_to(limits);
        }
        let enforce = if self.best_effort { Enforce::BestEffort } else { Enforce::Fully };
        let network = if is_all { Network::all() } else { network };
        Ok(sandbox.network(network).limits(limits).enforce(enforce))
    }
}

/// Writes the path of a line relative to `base`, if it is below.
fn below(line: &str, base: &Path) -> String {
    let relative = PATHS.iter().find_map(|what| {
        let path = line.strip_prefix(what)?;
        let rest = Path::new(path).strip_prefix(base).ok()?;
        Some(format!("{what}./{}", rest.display()))
    });
    relative.unwrap_or_else(|| line.to_owned())
}

/// The path of a line: absolute, or below `base`.
fn path(text: &str, base: &Path) -> Option<PathBuf> {
    match text.strip_prefix("./") {
        Some("") => Some(base.to_owned()),
        Some(rest) if !rest.split('/').any(|part| part == "..") && !rest.starts_with('/') => {
            Some(base.join(rest))
        }
        None if Path::new(text).is_absolute() && !text.split('/').any(|part| part == "..") => {
            Some(text.into())
        }
        _ => None,
    }
}

/// The grants that name a path.
const PATHS: [&str; 3] = ["read ", "write ", "execute "];

/// The lines of a sandbox with all networks.
const ALL_NETWORKS: [&str; 3] = ["connect tcp all", "listen tcp all", "udp"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_is_the_same_after_a_lock_file() {
        let base = Path::new("/project");
        let limits = Limits::new().memory(3 << 20).open_files(7).core_size(1);
        for network in [Network::none(), Network::all(), Network::none().connect([1, 443]).listen([0]).udp()]
        {
            let sandbox = Sandbox::new()
                .read("/project/data")
                .read("/project")
                .write("/srv/a b")
                .execute("/usr/bin/git")
                .environment(["LANG"])
                .allow(SystemCalls::FileMetadata)
                .unix_sockets(UnixSockets::Any)
                .network(network)
                .limits(limits.clone())
                .enforce(Enforce::BestEffort);
            let grants = Grants::of(&sandbox, base);
            assert!(grants.allow.contains(&"read ./data".to_owned()), "{grants:?}");
            assert_eq!(grants.sandbox(base), Ok(sandbox));
        }
        assert_eq!(Grants::default().sandbox(base), Ok(Sandbox::new()));
    }

    #[test]
    fn a_line_with_another_meaning_is_refused() {
        for wrong in [
            "",
            "read",
            "read data",
            "read ./../etc",
            "read .//etc",
            "write /srv/../etc",
            "connect tcp all",
            "connect tcp 70000",
            "connect 443",
            "system_calls mount",
            "environment",
            "unix_sockets some",
            "everything",
        ] {
            let grants = Grants { allow: vec![wrong.to_owned()], ..Grants::default() };
            assert_eq!(grants.sandbox(Path::new("/p")), Err(GrantError(wrong.to_owned())), "{wrong}");
        }
        let grants = Grants { limits: vec!["memory=x".to_owned()], ..Grants::default() };
        assert!(grants.sandbox(Path::new("/p")).is_err());
    }
}
