//! A host with the conformance plugins, and a directory for their sockets.

use std::fs;

use rpcplugin::{Command, Host, Plugin, Versions, host::Stdin};
use rpcplugin_tests::{
    contract::cookie,
    support::{TIMEOUT, conformance, programs},
};
use tempfile::TempDir;

/// A host that puts the sockets of its plugins below one directory.
pub(crate) struct TestHost {
    pub(crate) host: Host,
    sockets: TempDir,
}

impl TestHost {
    pub(crate) fn new() -> Self {
        Self::configured(|host| host)
    }

    /// A host with other protocol versions than the conformance plugins have.
    pub(crate) fn with_versions(versions: [u32; 2]) -> Self {
        let usual = Self::new();
        let host = Host::new(cookie(), Versions::new(versions).unwrap());
        let dir = usual.sockets.path().to_owned();
        Self { host: host.configure(|config| config.unix_socket_dir = Some(dir)), ..usual }
    }

    pub(crate) fn configured(change: impl FnOnce(Host) -> Host) -> Self {
        // In `/tmp`, because the path of a socket must be short.
        let sockets = TempDir::new_in("/tmp").unwrap();
        let host = conformance::host().configure(|config| {
            config.unix_socket_dir = Some(sockets.path().to_owned());
            config.grace = TIMEOUT;
            config.shutdown_timeout = TIMEOUT;
        });
        Self { host: change(host), sockets }
    }

    pub(crate) async fn launch(&self, command: Command) -> Plugin {
        self.host.launch(command).await.unwrap()
    }

    /// Whether the sockets of all plugins have been removed.
    pub(crate) fn is_clean(&self) -> bool {
        fs::read_dir(self.sockets.path()).unwrap().next().is_none()
    }
}

/// The hostile plugin with this fault.
pub(crate) fn hostile(fault: &str) -> Command {
    Command::new(programs::program("hostile-plugin")).stdin(Stdin::Null).env("HOSTILE", fault)
}

/// The conformance plugin in another language, if it is built.
pub(crate) fn peer(language: &str) -> Option<Command> {
    let mut words = programs::conformance_plugin(language)?.into_iter();
    Some(Command::new(words.next()?).args(words).stdin(Stdin::Null))
}
