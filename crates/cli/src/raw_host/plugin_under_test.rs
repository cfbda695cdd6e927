//! A plugin's process as the protocol sees it: an environment, a line, bytes. There is no host library in between that
//! would be kinder than the protocol, or stricter.

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
    transport::Security,
};
use tempfile::TempDir;

use super::process::Process;

/// A program that is taken for a plugin, and what it needs to be told to start.
#[derive(Debug, Clone)]
pub(crate) struct PluginUnderTest {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) cookie: MagicCookie,
    /// Cookies of other kinds of plugin, which are among `env`.
    pub(crate) further_cookies: &'static [(&'static str, &'static str)],
    /// Plugins of its ecosystem accept any value of the cookie.
    pub(crate) any_cookie_value: bool,
    pub(crate) versions: Versions,
    /// Variables of its environment besides, which win over all others.
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) dir: Option<PathBuf>,
    /// How long it may take to start.
    pub(crate) start_timeout: Duration,
    pub(crate) tls: OwnTls,
}

/// TLS that a plugin has from elsewhere than the handshake (go-plugin: `TLSProvider`).
#[derive(Debug, Clone)]
pub(crate) enum OwnTls {
    /// It has none: without an offer it serves in plain text.
    None,
    /// It has, and what goes with its certificates was not given.
    Missing,
    /// It has, and is reached so.
    Given(Security),
}

/// A start of the subject. What is not said is said as a Go host says it that has neither AutoMTLS nor multiplexing.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    subject: &'a PluginUnderTest,
    environment: BTreeMap<OsString, Option<OsString>>,
}

impl PluginUnderTest {
    /// A start in plain text, with the cookie and all versions.
    pub(crate) fn start(&self) -> Start<'_> {
        let offer = HostEnv {
            versions: self.versions.clone(),
            ports: TcpPorts::GO_DEFAULT,
            client_certificate: None,
            multiplex: false,
            socket_dir: None,
            socket_group: None,
        };
        let offered = offer.to_env(&self.cookie).into_iter().map(|(name, value)| (name.into(), value));
        let own = self.env.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
        Start { subject: self, environment: offered.chain(own).collect() }
    }
}

impl Start<'_> {
    /// How long the line may be waited for.
    pub(crate) fn start_timeout(&self) -> Duration {
        self.subject.start_timeout
    }

    pub(crate) fn set(mut self, name: impl AsRef<OsStr>, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.as_ref().to_owned(), Some(value.into()));
        self
    }

    pub(crate) fn unset(mut self, name: impl AsRef<OsStr>) -> Self {
        self.environment.insert(name.as_ref().to_owned(), None);
        self
    }

    /// Without any cookie, or with another value of it.
    pub(crate) fn cookie(mut self, value: Option<&str>) -> Self {
        let PluginUnderTest { cookie, further_cookies, .. } = self.subject;
        let further = further_cookies.iter().map(|(key, _)| *key);
        for key in std::iter::once(cookie.key()).chain(further) {
            self = match value {
                None => self.unset(key),
                Some(value) => self.set(key, value),
            };
        }
        self
    }

    /// With this list of versions, as it stands.
    pub(crate) fn versions(self, list: &str) -> Self {
        self.set(variable::PROTOCOL_VERSIONS, list)
    }

    /// With a host's certificate, which asks for mutual TLS.
    pub(crate) fn certificate(self, pem: String) -> Self {
        self.set(variable::CLIENT_CERT, pem)
    }

    /// Asked to carry everything on one connection.
    pub(crate) fn multiplexed(self) -> Self {
        self.set(variable::MULTIPLEX_GRPC, "true")
    }

    /// Starts the process, with a temporary directory of its own.
    pub(crate) fn spawn(self) -> io::Result<Process> {
        let tmp = tempfile::Builder::new().prefix("rpcplugin-").tempdir()?;
        self.spawn_in(tmp)
    }

    /// Starts the process with this temporary directory, which goes with it.
    pub(crate) fn spawn_in(self, tmp: TempDir) -> io::Result<Process> {
        let PluginUnderTest { program, args, .. } = self.subject;
        let mut command = std::process::Command::new(program);
        command.args(args);
        self.spawn_as(command, tmp)
    }

    /// Starts the process by way of a shell that is its parent, and that writes the process's number into `pid_file`.
    pub(crate) fn spawn_below_a_shell(self, pid_file: &std::path::Path, tmp: TempDir) -> io::Result<Process> {
        let PluginUnderTest { program, args, .. } = self.subject;
        let mut command = std::process::Command::new("/bin/sh");
        command.arg("-c").arg(SHELL).arg("sh").arg(pid_file).arg(program).args(args);
        self.spawn_as(command, tmp)
    }

    fn spawn_as(self, mut command: std::process::Command, tmp: TempDir) -> io::Result<Process> {
        command.env("TMPDIR", tmp.path());
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(dir) = &self.subject.dir {
            command.current_dir(dir);
        }
        Process::spawn(command, tmp)
    }
}

/// Starts a program in the background, and waits for it.
const SHELL: &str = r#"file=$1; shift; "$@" & echo $! > "$file"; wait"#;
