//! How a plugin is launched.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use rpcplugin::{
    Command, Host, LaunchError, Plugin, Versions,
    config::{EnvPolicy, HostConfig},
};

use crate::{
    facts::{self, Given},
    kit_host::recorder::Recorder,
};

/// What is launched, and how.
#[derive(Debug, Clone)]
pub(crate) struct Launching {
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) env_clear: bool,
    pub(crate) auto_mtls: bool,
    pub(crate) mux: bool,
    pub(crate) versions: Versions,
    /// Where certificates are that take the place of AutoMTLS.
    pub(crate) tls_dir: Option<PathBuf>,
    pub(crate) start_deadline: Duration,
    pub(crate) socket_group: Option<String>,
}

impl Launching {
    /// This command, as the kit's peers are launched by default.
    pub(crate) fn new(command: Vec<String>) -> Self {
        Self {
            command,
            env: BTreeMap::new(),
            env_clear: false,
            auto_mtls: true,
            mux: false,
            versions: Versions::new(facts::VERSIONS).expect("there are three"),
            tls_dir: None,
            start_deadline: HostConfig::default().start_deadline,
            socket_group: None,
        }
    }

    /// Launches, with everything that happens told to the recorder.
    pub(crate) async fn launch(&self, recorder: &Recorder) -> Result<Plugin, LaunchError> {
        self.launch_by(self.host(recorder)).await
    }

    /// Launches from a host of the caller's making.
    pub(crate) async fn launch_by(&self, host: Host) -> Result<Plugin, LaunchError> {
        let mut words = self.command.iter();
        let mut command =
            Command::new(words.next().map_or("", String::as_str)).args(words).stdin(rpcplugin::Stdin::Null);
        for (name, value) in &self.env {
            command = command.env(name, value);
        }
        if self.env_clear {
            command = command.environment(EnvPolicy::Clear);
        }
        host.launch(command).await
    }

    /// The host that launches.
    pub(crate) fn host(&self, recorder: &Recorder) -> Host {
        Host::new(facts::cookie(), self.versions.clone()).observe(recorder.clone()).configure(|config| {
            config.auto_mtls = self.auto_mtls;
            config.multiplex = self.mux;
            config.start_deadline = self.start_deadline;
            config.unix_socket_group.clone_from(&self.socket_group);
            if let Some(dir) = &self.tls_dir {
                let given = Given::of("host", dir);
                config.certificate = Some(given.certificate);
                config.private_key = Some(given.private_key);
                config.server_authorities = Some(given.authorities);
            }
        })
    }
}
