//! The rules of Landlock: paths, TCP ports, signals and abstract sockets.

use std::{io, os::fd::AsFd as _, path::Path};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, PathFd, PathFdError,
    RulesetAttr as _, RulesetCreatedAttr as _, Scope,
};

use super::support::strict;
use crate::{
    error::SandboxFault,
    network::{Network, Ports, UnixSockets},
    program::Program,
    sandbox::Sandbox,
};

/// The rules for one launch, with their paths open.
#[derive(Debug)]
pub(super) struct PathRules {
    abi: u32,
    rules: Vec<(PathFd, BitFlags<AccessFs>)>,
    network: Network,
    /// Whether connections to Unix sockets are restricted to paths.
    resolves_unix: bool,
}

impl PathRules {
    pub(super) fn new(
        sandbox: &Sandbox,
        program: &Program,
        socket_dir: &Path,
        abi: u32,
    ) -> Result<Self, SandboxFault> {
        let resolves_unix = abi >= RESOLVES_UNIX && sandbox.unix_sockets == UnixSockets::Directory;
        let mut rules = Self { abi, rules: Vec::new(), network: sandbox.network.clone(), resolves_unix };
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let execute = read | AccessFs::Execute;
        let write = rules.handled() & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock);
        for path in program.files() {
            rules.allow(path, execute)?;
        }
        for path in program.directories() {
            rules.allow_existing(path, read)?;
        }
        for path in ALWAYS_READ.iter().chain(if sandbox.network.is_none() { &[][..] } else { NETWORK_FILES })
        {
            rules.allow_existing(Path::new(path), read)?;
        }
        rules.allow_existing(Path::new("/dev/null"), AccessFs::ReadFile | AccessFs::WriteFile)?;
        rules.allow(socket_dir, write)?;
        for (paths, access) in [(&sandbox.read, read), (&sandbox.write, write), (&sandbox.execute, execute)] {
            for path in paths {
                rules.allow(path, access)?;
            }
        }
        Ok(rules)
    }

    /// Restricts the calling thread.
    pub(super) fn restrict_this_thread(&self) -> io::Result<()> {
        let mut ruleset = strict().handle_access(self.handled()).map_err(io::Error::other)?;
        if self.abi >= 4 {
            let mut handled = BitFlags::EMPTY;
            for (ports, access) in self.ports() {
                if *ports != Ports::All {
                    handled |= access;
                }
            }
            if !handled.is_empty() {
                ruleset = ruleset.handle_access(handled).map_err(io::Error::other)?;
            }
        }
        if self.abi >= 6 {
            ruleset = ruleset.scope(Scope::Signal | Scope::AbstractUnixSocket).map_err(io::Error::other)?;
        }
        let mut created = ruleset.create().map_err(io::Error::other)?;
        for (path, access) in &self.rules {
            created = created.add_rule(PathBeneath::new(path.as_fd(), *access)).map_err(io::Error::other)?;
        }
        if self.abi >= 4 {
            for (ports, access) in self.ports() {
                let Ports::Only(ports) = ports else { continue };
                for port in ports {
                    created = created.add_rule(NetPort::new(*port, access)).map_err(io::Error::other)?;
                }
            }
        }
        created.restrict_self().map_err(io::Error::other)?;
        Ok(())
    }

    /// Allows access to a path that has to exist.
    fn allow(&mut self, path: &Path, access: impl Into<BitFlags<AccessFs>>) -> Result<(), SandboxFault> {
        let fault = |source| SandboxFault::Path { path: path.to_owned(), source };
        let opened = PathFd::new(path).map_err(|error| match error {
            PathFdError::OpenCall { source, .. } => fault(source),
            other => fault(io::Error::other(other)),
        })?;
        let is_dir = rustix::fs::fstat(&opened)
            .map(|file| rustix::fs::FileType::from_raw_mode(file.st_mode).is_dir())
            .map_err(|error| fault(error.into()))?;
        let allowed = access.into() & self.handled();
        let allowed = if is_dir { allowed } else { allowed & AccessFs::from_file(ABI::V9) };
        if !allowed.is_empty() {
            self.rules.push((opened, allowed));
        }
        Ok(())
    }

    /// Allows access to a path if there is one.
    fn allow_existing(
        &mut self,
        path: &Path,
        access: impl Into<BitFlags<AccessFs>>,
    ) -> Result<(), SandboxFault> {
        match self.allow(path, access) {
            Err(SandboxFault::Path { .. }) => Ok(()),
            done => done,
        }
    }

    /// The accesses that the rules decide on. All others are not restricted.
    fn handled(&self) -> BitFlags<AccessFs> {
        let abi = match self.abi {
            0 => ABI::Unsupported,
            1 => ABI::V1,
            2 => ABI::V2,
            3 | 4 => ABI::V3,
            5..RESOLVES_UNIX => ABI::V5,
            _ if self.resolves_unix => ABI::V9,
            _ => ABI::V5,
        };
        AccessFs::from_all(abi)
    }

    fn ports(&self) -> [(&Ports, AccessNet); 2] {
        [(&self.network.connect, AccessNet::ConnectTcp), (&self.network.listen, AccessNet::BindTcp)]
    }
}

/// The ABI from which on connections to Unix sockets are restricted by path.
pub(super) const RESOLVES_UNIX: u32 = 9;

/// What every program may read: sources of randomness and the time zone.
const ALWAYS_READ: &[&str] =
    &["/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/etc/localtime", "/usr/share/zoneinfo"];

/// What name resolution and TLS read.
const NETWORK_FILES: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls",
    "/etc/pki/ca-trust",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];
