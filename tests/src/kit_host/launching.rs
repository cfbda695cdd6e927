//! The launch of a plugin.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use rpcplugin::{
    Command, Host, LaunchError, MagicCookie, Plugin, Versions,
    config::{EnvPolicy, HostConfig, HostTls},
    docker::Container,
    host::{Checksum, Stdin, SuperviseError, Supervised},
    sandbox::Sandbox,
};

use crate::{
    contract::{self, TlsFiles},
    kit_host::recorder::Recorder,
};

/// A command and the settings of its launch.
#[derive(Debug, Clone)]
pub(crate) struct Launching {
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    /// The container in which the program starts, if it does not start as a child process.
    pub(crate) container: Option<Container>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) env_clear: bool,
    pub(crate) auto_mtls: bool,
    pub(crate) mux: bool,
    /// Whether calls use the lane, if the plugin accepts it.
    pub(crate) lane: bool,
    /// Whether to offer a connection that the plugin inherits.
    pub(crate) inherit: bool,
    pub(crate) versions: Versions,
    /// The directory of the certificates to use instead of AutoMTLS.
    pub(crate) tls_dir: Option<PathBuf>,
    pub(crate) launch_timeout: Duration,
    pub(crate) socket_group: Option<String>,
    /// The checksum that the program must have.
    pub(crate) checksum: Option<Checksum>,
    /// The sandbox of the plugin.
    pub(crate) sandbox: Option<Sandbox>,
}

impl Launching {
    /// This command, with the default settings of the kit.
    pub(crate) fn new(command: Vec<String>) -> Self {
        Self {
            command,
            container: None,
            env: BTreeMap::new(),
            env_clear: false,
            auto_mtls: true,
            mux: false,
            lane: false,
            inherit: false,
            versions: Versions::new(contract::VERSIONS).expect("three versions"),
            tls_dir: None,
            launch_timeout: HostConfig::default().launch_timeout,
            socket_group: None,
            checksum: None,
            sandbox: None,
        }
    }

    /// Launches, with the recorder as an observer.
    pub(crate) async fn launch(&self, recorder: &Recorder) -> Result<Plugin, LaunchError> {
        self.launch_by(self.host(recorder)).await
    }

    /// Launches from this host.
    pub(crate) async fn launch_by(&self, host: Host) -> Result<Plugin, LaunchError> {
        match self.container() {
            Some(container) => host.launch_with(&container).await,
            None => host.launch(self.command()).await,
        }
    }

    /// Launches under supervision, with this many restarts.
    pub(crate) async fn supervise(
        &self,
        max_restarts: u32,
        recorder: &Recorder,
    ) -> Result<Supervised, SuperviseError> {
        let host = self.host(recorder).configure(|config| config.supervision.max_restarts = max_restarts);
        match self.container() {
            Some(container) => host.supervise_with(container).await,
            None => host.supervise(self.command()).await,
        }
    }

    fn container(&self) -> Option<Container> {
        let container = self.container.clone()?.entrypoint(&self.command);
        Some(self.env.iter().fold(container, |container, (name, value)| container.env(name, value)))
    }

    fn command(&self) -> Command {
        let mut words = self.command.iter();
        let mut command =
            Command::new(words.next().map_or("", String::as_str)).args(words).stdin(Stdin::Null);
        for (name, value) in &self.env {
            command = command.env(name, value);
        }
        if let Some(checksum) = &self.checksum {
            command = command.checksum(checksum.clone());
        }
        if let Some(sandbox) = &self.sandbox {
            command = command.sandbox(sandbox.clone());
        }
        if self.env_clear {
            command = command.environment(EnvPolicy::Clear);
        }
        command
    }

    /// The host that launches.
    pub(crate) fn host(&self, recorder: &Recorder) -> Host {
        self.host_with(contract::cookie(), recorder)
    }

    /// The host that launches, with this cookie.
    pub(crate) fn host_with(&self, cookie: MagicCookie, recorder: &Recorder) -> Host {
        Host::new(cookie, self.versions.clone()).observe(recorder.clone()).configure(|config| {
            config.tls = if self.auto_mtls { HostTls::AUTO } else { HostTls::Plaintext };
            config.multiplex = self.mux;
            config.inherit_connection = self.inherit;
            config.lane = self.lane;
            config.launch_timeout = self.launch_timeout;
            config.unix_socket_group.clone_from(&self.socket_group);
            if let Some(dir) = &self.tls_dir {
                let given = TlsFiles::of("host", dir);
                config.tls = HostTls::Given {
                    certificate: given.certificate,
                    private_key: given.private_key,
                    server_roots: Some(given.roots),
                };
            }
        })
    }
}
