//! A plugin to start, with the environment that a host would set.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    path::PathBuf,
    time::Duration,
};

use rpcplugin::{
    MagicCookie, Versions,
    handshake::{HostEnv, TcpPorts, variable},
    host::{LaunchEnvironment, LaunchFault, Runner as _, StartFault},
    sandbox::Sandbox,
    transport::Security,
};
use tempfile::TempDir;

use super::process::{Process, SpawnError};
use crate::{os, runner::AnyRunner};

/// A plugin, and what it needs to start.
#[derive(Debug, Clone)]
pub(crate) struct PluginUnderTest {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) cookie: MagicCookie,
    /// Cookies of other kinds of plugin. They are also in `env`.
    pub(crate) further_cookies: &'static [(&'static str, &'static str)],
    /// Whether the plugin accepts any value of the cookie.
    pub(crate) any_cookie_value: bool,
    pub(crate) versions: Versions,
    /// Further variables. They override all others.
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) dir: Option<PathBuf>,
    /// The runner that starts the plugin elsewhere, in a sandbox, or with a verified file. `None` for a plain child process.
    pub(crate) runner: Option<AnyRunner>,
    /// The limit for the handshake line.
    pub(crate) start_timeout: Duration,
    pub(crate) tls: OwnTls,
}

/// Certificates that a plugin does not get from the handshake (go-plugin: `TLSProvider`).
#[derive(Debug, Clone)]
pub(crate) enum OwnTls {
    /// The plugin has no certificates. Without AutoMTLS it serves in plain text.
    None,
    /// The plugin has certificates, and `--cert`, `--key` and `--ca` are missing.
    Missing,
    /// The plugin has certificates. Connections use this security.
    Given(Security),
}

/// A start of the plugin. By default the environment is that of a Go host without AutoMTLS and multiplexing.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    plugin: &'a PluginUnderTest,
    environment: BTreeMap<OsString, Option<OsString>>,
}

impl PluginUnderTest {
    /// The sandbox of the plugin, if it is a child process. `None` for a plugin without one.
    pub(crate) fn sandbox(&self) -> Option<&Sandbox> {
        self.runner.as_ref().filter(|runner| runner.is_child()).and_then(|runner| runner.sandbox())
    }

    /// Returns a start in plain text, with the cookie and all versions.
    pub(crate) fn start(&self) -> Start<'_> {
        let host = HostEnv {
            versions: self.versions.clone(),
            ports: TcpPorts::GO_DEFAULT,
            client_certificate: None,
            multiplex: false,
            socket_dir: None,
            socket_group: None,
        };
        let protocol = host.to_env(&self.cookie).into_iter().map(|(name, value)| (name.into(), value));
        let own = self.env.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
        Start { plugin: self, environment: protocol.chain(own).collect() }
    }
}

impl Start<'_> {
    /// Returns the limit for the handshake line.
    pub(crate) fn start_timeout(&self) -> Duration {
        self.plugin.start_timeout
    }

    pub(crate) fn set(mut self, name: impl AsRef<OsStr>, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.as_ref().to_owned(), Some(value.into()));
        self
    }

    pub(crate) fn unset(mut self, name: impl AsRef<OsStr>) -> Self {
        self.environment.insert(name.as_ref().to_owned(), None);
        self
    }

    /// Sets another value of the cookie, or removes the cookie.
    pub(crate) fn cookie(mut self, value: Option<&str>) -> Self {
        let PluginUnderTest { cookie, further_cookies, .. } = self.plugin;
        let further = further_cookies.iter().map(|(key, _)| *key);
        for key in std::iter::once(cookie.key()).chain(further) {
            self = match value {
                None => self.unset(key),
                Some(value) => self.set(key, value),
            };
        }
        self
    }

    /// Sets this text as the list of versions.
    pub(crate) fn versions(self, list: &str) -> Self {
        self.set(variable::PROTOCOL_VERSIONS, list)
    }

    /// Sets a host's certificate, which requests AutoMTLS.
    pub(crate) fn certificate(self, pem: String) -> Self {
        self.set(variable::CLIENT_CERT, pem)
    }

    /// Requests multiplexing.
    pub(crate) fn multiplexed(self) -> Self {
        self.set(variable::MULTIPLEX_GRPC, "true")
    }

    /// Starts the process, with a temporary directory of its own.
    pub(crate) async fn spawn(self) -> Result<Process, SpawnError> {
        let tmp = tempfile::Builder::new().prefix("rpcplugin-").tempdir()?;
        self.spawn_in(tmp).await
    }

    /// Starts the process with this temporary directory, which is removed with it.
    pub(crate) async fn spawn_in(self, tmp: TempDir) -> Result<Process, SpawnError> {
        let PluginUnderTest { program, args, runner, .. } = self.plugin;
        if let Some(runner) = runner {
            // A host names the directory, which a runner mounts.
            let given = self.environment.get(OsStr::new(variable::UNIX_SOCKET_DIR)).cloned().flatten();
            let named = given.clone().filter(|dir| !dir.is_empty());
            let socket_dir = named.unwrap_or_else(|| tmp.path().as_os_str().to_owned());
            let limit = self.plugin.start_timeout;
            let mut environment = LaunchEnvironment::new(&socket_dir);
            let start = match runner.is_child() {
                // A sandbox names another one.
                true => os::TEMPORARY_DIRECTORY.iter().fold(self, |start, name| start.set(name, tmp.path())),
                false => self,
            };
            // A check can name another directory to a plugin on this machine, or none.
            let socket_dir = given.filter(|_| runner.is_child()).unwrap_or(socket_dir);
            environment.handshake_env = start
                .set(variable::UNIX_SOCKET_DIR, socket_dir)
                .environment
                .into_iter()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
                .collect();
            let started = tokio::time::timeout(limit, Process::start(runner, &environment, tmp)).await;
            return Ok(started.unwrap_or_else(|_| Err(LaunchFault::Start(StartFault::Timeout(limit))))?);
        }
        let mut command = std::process::Command::new(program);
        command.args(args);
        Ok(self.spawn_as(command, tmp)?)
    }

    /// Starts the process as the child of another, which writes the pid into `pid_file`.
    pub(crate) fn spawn_below_a_parent(
        self,
        pid_file: &std::path::Path,
        tmp: TempDir,
    ) -> io::Result<Process> {
        let PluginUnderTest { program, args, .. } = self.plugin;
        self.spawn_as(os::below_a_parent(program, args, pid_file)?, tmp)
    }

    fn spawn_as(self, mut command: std::process::Command, tmp: TempDir) -> io::Result<Process> {
        command.envs(os::TEMPORARY_DIRECTORY.iter().map(|variable| (variable, tmp.path())));
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(dir) = &self.plugin.dir {
            command.current_dir(dir);
        }
        Process::spawn(command, tmp)
    }
}
