//! The options that confine a plugin.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
    str::FromStr,
};

use clap::{Args, builder::PossibleValuesParser};
use rpcplugin::sandbox::{Enforce, Limits, Network, Sandbox, SystemCalls, UnixSockets};

use super::limit::Limit;

/// The sandbox of a plugin. Without `--sandbox` there is no sandbox.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Sandbox options")]
pub(crate) struct SandboxArgs {
    /// Confines the plugin: the kernel refuses what the options below do not allow. Linux only.
    #[arg(long)]
    sandbox: bool,
    /// Allows reading a file, or a directory with all below it.
    #[arg(long, value_name = "PATH", requires = "sandbox", value_parser = existing)]
    allow_read: Vec<PathBuf>,
    /// Allows reading and writing a file, or a directory with all below it.
    #[arg(long, value_name = "PATH", requires = "sandbox", value_parser = existing)]
    allow_write: Vec<PathBuf>,
    /// Allows reading and executing a file, or a directory with all below it. It runs in the same sandbox.
    #[arg(long, value_name = "PATH", requires = "sandbox", value_parser = existing)]
    allow_execute: Vec<PathBuf>,
    /// Allows a network: `all`, a TCP port to connect to such as 443, `listen:PORT`, or `udp`.
    #[arg(long, value_name = "NETWORK", requires = "sandbox", value_delimiter = ',')]
    allow_net: Vec<NetworkRule>,
    /// Passes a variable of this program's environment on to the plugin.
    #[arg(long, value_name = "NAME", requires = "sandbox", value_delimiter = ',', value_parser = variable_name)]
    allow_env: Vec<String>,
    /// Allows connections to every Unix socket of the user, and not only to those of the plugin's own directory.
    #[arg(long, requires = "sandbox")]
    allow_unix_sockets: bool,
    /// Allows a group of system calls.
    #[arg(long, value_name = "GROUP", requires = "sandbox", value_delimiter = ',',
        value_parser = PossibleValuesParser::new(SystemCalls::ALL.iter().map(|calls| calls.as_str())))]
    allow_calls: Vec<String>,
    /// Limits the plugin: memory=512M, files=64, processes=8, cpu=30s, file-size=1G, core=0. With all processes that it starts:
    /// total-memory=1G, total-processes=32.
    #[arg(long, value_name = "LIMIT", requires = "sandbox", value_delimiter = ',')]
    limit: Vec<Limit>,
    /// Makes the control group of the total limits in this one, such as /sys/fs/cgroup/plugins. By default in the group of this program,
    /// if it was delegated.
    #[arg(long, value_name = "PATH", requires = "sandbox")]
    control_group: Option<PathBuf>,
    /// Starts the plugin even if this system cannot enforce all of the sandbox. A warning names what is missing.
    #[arg(long, requires = "sandbox")]
    sandbox_best_effort: bool,
}

/// A value of `--allow-net`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NetworkRule {
    All,
    Udp,
    Connect(u16),
    Listen(u16),
}

impl SandboxArgs {
    /// The sandbox that the options describe. `None` without `--sandbox`.
    pub(crate) fn sandbox(&self) -> Option<Sandbox> {
        if !self.sandbox {
            return None;
        }
        let mut sandbox = Sandbox::new().environment(self.allow_env.iter().cloned()).network(self.network());
        sandbox = self.allow_read.iter().fold(sandbox, Sandbox::read);
        sandbox = self.allow_write.iter().fold(sandbox, Sandbox::write);
        sandbox = self.allow_execute.iter().fold(sandbox, Sandbox::execute);
        if self.allow_unix_sockets {
            sandbox = sandbox.unix_sockets(UnixSockets::Any);
        }
        let is_allowed = |calls: &&SystemCalls| self.allow_calls.iter().any(|name| name == calls.as_str());
        sandbox =
            SystemCalls::ALL.iter().filter(is_allowed).fold(sandbox, |sandbox, calls| sandbox.allow(*calls));
        let limits = self.limit.iter().fold(Limits::new(), |limits, limit| limit.add_to(limits));
        let enforce = if self.sandbox_best_effort { Enforce::BestEffort } else { Enforce::Fully };
        if let Some(group) = &self.control_group {
            sandbox = sandbox.control_group(group);
        }
        Some(sandbox.limits(limits).enforce(enforce))
    }

    fn network(&self) -> Network {
        self.allow_net.iter().fold(Network::none(), |network, rule| match rule {
            // This is more than all other rules together.
            _ if self.allow_net.contains(&NetworkRule::All) => Network::all(),
            NetworkRule::All => Network::all(),
            NetworkRule::Udp => network.udp(),
            NetworkRule::Connect(port) => network.connect([*port]),
            NetworkRule::Listen(port) => network.listen([*port]),
        })
    }
}

impl FromStr for NetworkRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (listens, port) = text.strip_prefix("listen:").map_or((false, text), |port| (true, port));
        match (text, port.parse()) {
            ("all", _) => Ok(Self::All),
            ("udp", _) => Ok(Self::Udp),
            (_, Ok(port)) if listens => Ok(Self::Listen(port)),
            (_, Ok(port)) => Ok(Self::Connect(port)),
            _ => Err("expected all, udp, a port such as 443, or listen:PORT".to_owned()),
        }
    }
}

/// Reads a path that a grant names: absolute, and without links. A grant of a link would change with the link.
fn existing(text: &str) -> Result<PathBuf, String> {
    match resolved(Path::new(text)) {
        Ok(path) if path.to_str().is_some() => Ok(path),
        Ok(_) => Err("the path is not UTF-8".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The path without links and `..`. The kernel opens it at the launch.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Ok(path) => Ok(path),
        // A path of a lock file may be missing on this machine: the launch reports it.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !has_parent(path) => {
            std::path::absolute(path)
        }
        Err(error) => Err(error),
    }
}

fn has_parent(path: &Path) -> bool {
    path.components().any(|component| component == Component::ParentDir)
}

fn variable_name(text: &str) -> Result<String, String> {
    match text.is_empty() || text.contains(['=', '\0']) {
        true => Err("expected the name of a variable".to_owned()),
        false => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        sandbox: SandboxArgs,
    }

    fn sandbox(args: &[&str]) -> Result<Option<Sandbox>, clap::Error> {
        let line = <Line as clap::Parser>::try_parse_from(["test"].iter().chain(args))?;
        Ok(line.sandbox.sandbox())
    }

    #[test]
    fn options_describe_a_sandbox() {
        assert_eq!(sandbox(&[]).unwrap(), None);
        assert_eq!(sandbox(&["--sandbox"]).unwrap(), Some(Sandbox::new()));
        let all = "--sandbox --allow-read / --allow-write /tmp/../tmp --allow-execute /usr --allow-net 443,udp,listen:0 \
                   --allow-env LANG,TZ --allow-unix-sockets --allow-calls io_uring --limit memory=1M,files=9 \
                   --control-group /sys/fs/cgroup/kv --sandbox-best-effort";
        let found = sandbox(&all.split_whitespace().collect::<Vec<_>>()).unwrap().unwrap();
        let expected = [
            "connect tcp 443",
            "environment LANG",
            "environment TZ",
            "execute /usr",
            "listen tcp 0",
            "read /",
            "system_calls io_uring",
            "udp",
            "unix_sockets any",
            "write /tmp",
        ];
        assert_eq!(found.capabilities(), expected);
        assert_eq!(
            (found.resource_limits().memory, found.resource_limits().open_files),
            (Some(1 << 20), Some(9))
        );
        assert_eq!(found.enforcement(), Enforce::BestEffort);
        let all = sandbox(&["--sandbox", "--allow-net", "1,all,listen:2"]).unwrap().unwrap();
        assert_eq!(all.network_allowed(), &Network::all());
    }

    #[test]
    fn grants_without_a_sandbox_and_unusable_ones_are_refused() {
        for wrong in [
            "--allow-read /",
            "--limit memory=1",
            "--sandbox --allow-net 70000",
            "--sandbox --allow-net listen:x",
            "--sandbox --allow-env A=b",
            "--sandbox --allow-calls mount",
            "--sandbox --allow-read /nothing/../etc",
        ] {
            assert!(sandbox(&wrong.split_whitespace().collect::<Vec<_>>()).is_err(), "{wrong}");
        }
    }
}
