//! What tests of hosts need: shell scripts as plugins, and the certainty that nothing stays behind.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rpcplugin::{Command, Host, LaunchError, MagicCookie, config::HostConfig, error::PlainReport};

/// A variable in the environment of everything that one test starts.
pub(crate) const MARK: &str = "RPCPLUGIN_TEST_MARK";

/// A host of the faulty plugin and of scripts, which end within seconds whatever happens.
pub(crate) fn host(change: impl FnOnce(&mut HostConfig)) -> Host {
    let cookie = MagicCookie::new("FAULTY_PLUGIN", "cookie").expect("a key and a value");
    Host::new(cookie, 1)
        .configure(|config| {
            config.launch_timeout = Duration::from_secs(20);
            config.http2.handshake_timeout = Duration::from_secs(5);
        })
        .configure(change)
}

/// A plugin whose program is a shell script.
pub(crate) fn script(text: &str) -> Command {
    Command::new("/bin/sh").arg("-c").arg(text)
}

/// A plugin made with this library, which does what `fault` says.
pub(crate) fn faulty(fault: &str) -> Command {
    Command::new(env!("CARGO_BIN_EXE_faulty-plugin")).arg(fault)
}

/// Everything that one test starts, known by a variable in its environment.
pub(crate) struct Brood(String);

impl Brood {
    pub(crate) fn new() -> Self {
        use std::hash::{BuildHasher as _, RandomState};
        Self(format!("{:x}-{:x}", std::process::id(), RandomState::new().hash_one(0)))
    }

    pub(crate) fn mark(&self, command: Command) -> Command {
        command.env(MARK, &self.0)
    }

    /// What the variable holds.
    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// Kills what is left.
    pub(crate) fn kill(&self) {
        for pid in self.alive() {
            let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
            let _ = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL));
        }
    }

    /// The processes that are alive. Zombies count: they have to be reaped.
    pub(crate) fn alive(&self) -> Vec<u32> {
        let mark = format!("{MARK}={}", self.0);
        processes()
            .filter(|pid| {
                let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
            })
            .collect()
    }

    /// Waits until nothing is left.
    pub(crate) async fn dies_out(&self) {
        eventually(Duration::from_secs(5), "everything that was started has ended", || {
            self.alive().is_empty()
        })
        .await;
    }
}

/// A test that fails leaves nothing behind either.
impl Drop for Brood {
    fn drop(&mut self) {
        self.kill();
    }
}

/// All processes of this machine.
pub(crate) fn processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The children of this process, zombies among them.
pub(crate) fn children() -> Vec<u32> {
    let me = std::process::id();
    processes().filter(|pid| parent(*pid) == Some(me)).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Waits until `holds`, and fails the test if that takes longer than `patience`.
#[track_caller]
pub(crate) fn eventually(
    patience: Duration,
    what: &'static str,
    mut holds: impl FnMut() -> bool,
) -> impl Future<Output = ()> {
    let deadline = Instant::now() + patience;
    let caller = std::panic::Location::caller();
    async move {
        while !holds() {
            assert!(Instant::now() < deadline, "{caller}: not within {patience:?}: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Launches what cannot be launched, within the time it may take, and makes sure that nothing is left.
pub(crate) async fn refused(host: &Host, command: Command, within: Duration) -> LaunchError {
    let brood = Brood::new();
    let begun = Instant::now();
    let error = match host.launch(brood.mark(command)).await {
        Err(error) => error,
        Ok(plugin) => panic!("it started: {plugin:?}"),
    };
    let took = begun.elapsed();
    assert!(took < within, "it took {took:?}: {error:?}");
    brood.dies_out().await;
    error
}

/// An error as the end of a program shows it. The test fails unless all `parts` are in it.
#[track_caller]
pub(crate) fn says(error: &LaunchError, parts: &[&str]) -> String {
    let text = PlainReport(error).to_string();
    for part in parts {
        assert!(text.contains(part), "it does not say {part:?}:\n{text}");
    }
    text
}

/// Where a peer in another language is, if it has been built. A peer that is required must be there.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
pub(crate) fn peer(language: &str, path: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.join("target/interop").join(path);
    if target.exists() {
        return Some(target);
    }
    let required =
        std::env::vars().any(|(name, value)| name == "RPCPLUGIN_REQUIRE" && value.contains(language));
    assert!(!required, "{} is required and missing", target.display());
    println!("skipped: there is no {}", target.display());
    None
}
