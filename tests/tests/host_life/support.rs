//! Hosts, plugins, and looking at processes from outside.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rpcplugin::{Command, Host, MagicCookie, Plugin, PluginChannel, Versions, host::Stdin};
use rpcplugin_tests::pb::kit_client::KitClient;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// As long as anything here may take on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A host whose plugins' sockets are all below one directory.
pub(crate) struct Place {
    pub(crate) host: Host,
    sockets: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::configured(|host| host)
    }

    /// A host of other protocol versions than the conformance plugins have.
    pub(crate) fn with_versions(versions: [u32; 2]) -> Self {
        let place = Self::new();
        let cookie = MagicCookie::new("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance").unwrap();
        let host = Host::new(cookie, Versions::new(versions).unwrap());
        let dir = place.sockets.path().to_owned();
        Self { host: host.configure(|config| config.unix_socket_dir = Some(dir)), ..place }
    }

    pub(crate) fn configured(change: impl FnOnce(Host) -> Host) -> Self {
        // Short, since the path of a socket has to be.
        let sockets = TempDir::new_in("/tmp").unwrap();
        let cookie = MagicCookie::new("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance").unwrap();
        let host = Host::new(cookie, Versions::new([1, 2, 3]).unwrap()).configure(|config| {
            config.unix_socket_dir = Some(sockets.path().to_owned());
            config.grace = PATIENCE;
            config.shutdown_timeout = PATIENCE;
        });
        Self { host: change(host), sockets }
    }

    pub(crate) async fn launch(&self, command: Command) -> Plugin {
        self.host.launch(command).await.unwrap()
    }

    /// Whether nothing is left of any plugin's sockets.
    pub(crate) fn is_tidy(&self) -> bool {
        fs::read_dir(self.sockets.path()).unwrap().next().is_none()
    }
}

/// The conformance plugin.
pub(crate) fn kit() -> Command {
    Command::new(env!("CARGO_BIN_EXE_kit-plugin")).stdin(Stdin::Null)
}

/// The conformance plugin with a vice.
pub(crate) fn hostile(vice: &str) -> Command {
    Command::new(env!("CARGO_BIN_EXE_hostile-plugin")).stdin(Stdin::Null).env("HOSTILE", vice)
}

pub(crate) fn client(plugin: &Plugin) -> KitClient<PluginChannel> {
    KitClient::new(plugin.channel())
}

/// The conformance plugin in another language, if it is there.
///
/// # Panics
/// When it is not there and `RPCPLUGIN_REQUIRE` names the language.
#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a test's own switch, and what it does")]
pub(crate) fn peer(language: &str) -> Option<Command> {
    let interop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop").join(language);
    let (program, script) = match language {
        "go" => (interop.join("kit-plugin"), None),
        _ => (interop.join("bin/python"), Some(python_kit())),
    };
    if program.exists() {
        return Some(Command::new(program).args(script).stdin(Stdin::Null));
    }
    let required = std::env::var("RPCPLUGIN_REQUIRE").unwrap_or_default();
    assert!(
        !required.contains(language),
        "the {language} peer is required and not there: {}",
        program.display()
    );
    println!("skipped: there is no {} (cargo xtask interop builds it)", program.display());
    None
}

fn python_kit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/python/kit_plugin.py")
}

pub(crate) fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// The state of a process as a letter: `Z` is a zombie. None when it is gone.
pub(crate) fn process_state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything, also brackets.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The processes whose process group is this.
pub(crate) fn group(leader: u32) -> Vec<u32> {
    let pids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let group = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(2)?.parse().ok());
        group == Some(leader)
    })
    .collect()
}

/// Waits until the condition holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until the process is gone, also as a zombie.
#[track_caller]
pub(crate) fn eventually_gone(pid: u32) {
    eventually(&format!("process {pid} is gone"), || process_state(pid).is_none());
}
