//! The plugin side with hosts of other implementations: go-plugin, and pyvider on the C core of gRPC.
//!
//! `cargo xtask interop` builds the hosts. If a host is missing, its tests print that and pass, unless `RPCPLUGIN_REQUIRE`
//! names its language.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use rpcplugin_tests::support::{
    process::{is_alive, send},
    programs::{self, peer},
    wait::eventually,
};
use rustix::process::Signal;

use crate::subject::{ended, entries};

const KIT_PLUGIN: &str = env!("CARGO_BIN_EXE_kit-plugin");

/// Checks in which the plugin exits abruptly, and leaves its socket.
const SKIP_ABRUPT: [&str; 2] = ["--skip", "exit,panic"];

/// Runs a host to its end with a new temporary directory. It must succeed and leave nothing.
#[track_caller]
fn succeeds(command: &mut Command) {
    let left = leftovers_of(command);
    assert!(left.is_empty(), "{left:?} is left");
}

/// Runs a host to its end with a new temporary directory. It must succeed. Returns the files that are left.
#[track_caller]
fn leftovers_of(command: &mut Command) -> Vec<PathBuf> {
    let tmp = tempfile::Builder::new().prefix("rp").tempdir().unwrap();
    let output = command.env("TMPDIR", tmp.path()).stdin(Stdio::null()).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    entries(tmp.path())
}

fn go(args: &[&str]) -> Option<Command> {
    let mut command = Command::new(peer("go", "kit-host")?);
    command.args(args);
    Some(command)
}

fn python(args: &[&str]) -> Option<Command> {
    let [python, host] = programs::python("kit_host.py")?;
    let mut command = Command::new(python);
    command.arg(host).args(args).env("PYTHONDONTWRITEBYTECODE", "1");
    Some(command)
}

#[test]
fn go_hosts_pass_all_checks_in_plain_text_and_under_mtls() {
    for flags in [&["check", "--broker"][..], &["check", "--broker", "--auto-mtls"]] {
        let Some(mut host) = go(flags) else { return };
        succeeds(host.args(SKIP_ABRUPT).arg("--").arg(KIT_PLUGIN));
    }
}

#[test]
fn go_hosts_see_how_a_plugin_exits_and_panics() {
    let Some(mut host) = go(&["check", "--only", "exit,panic", "--"]) else { return };
    // The socket of a process that exits abruptly stays.
    leftovers_of(host.arg(KIT_PLUGIN));
}

#[test]
fn go_hosts_pass_all_checks_over_tcp() {
    let Some(mut host) = go(&["check", "--broker", "--auto-mtls", "--"]) else { return };
    succeeds(host.arg(KIT_PLUGIN).args(["--net", "tcp"]));
}

#[test]
fn go_hosts_pass_all_checks_on_one_multiplexed_connection() {
    for flags in [&["check", "--broker", "--mux"][..], &["check", "--broker", "--mux", "--auto-mtls"]] {
        let Some(mut host) = go(flags) else { return };
        succeeds(host.arg("--").arg(KIT_PLUGIN));
    }
}

#[test]
fn go_hosts_with_given_certificates_are_trusted_by_their_root() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut certs) = go(&["certs"]) else { return };
    succeeds(certs.arg(dir.path()));
    let Some(mut host) = go(&["check", "--broker", "--tls-dir"]) else { return };
    succeeds(
        host.arg(dir.path()).args(SKIP_ABRUPT).arg("--").arg(KIT_PLUGIN).arg("--tls-dir").arg(dir.path()),
    );
}

#[test]
fn python_hosts_pass_all_checks_in_plain_text_and_under_mtls() {
    // Over a Unix socket, these hosts send the percent-encoded path as `:authority`, which is not valid for Rust's HTTP/2.
    for flags in [&["check", "--net", "unix"][..], &["check", "--net", "unix", "--auto-mtls"]] {
        let Some(mut host) = python(flags) else { return };
        succeeds(host.args(["--skip", "exit-status,panic"]).arg("--").arg(KIT_PLUGIN));
    }
}

#[test]
fn python_hosts_pass_all_checks_over_tcp() {
    for flags in [&["check", "--net", "tcp"][..], &["check", "--net", "tcp", "--auto-mtls"]] {
        let Some(mut host) = python(flags) else { return };
        succeeds(host.arg("--").arg(KIT_PLUGIN).args(["--net", "tcp"]));
    }
}

#[tokio::test]
async fn the_plugin_exits_when_a_go_host_is_killed() {
    use std::io::BufRead as _;
    let tmp = tempfile::Builder::new().prefix("rp").tempdir().unwrap();
    for flags in [&["hold"][..], &["hold", "--auto-mtls"], &["hold", "--mux"]] {
        let Some(mut host) = go(flags) else { return };
        let mut host = host
            .arg("--")
            .arg(KIT_PLUGIN)
            .env("TMPDIR", tmp.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufReader::new(host.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let held: serde_json::Value = serde_json::from_str(&line).unwrap();
        let plugin = u32::try_from(held["pid"].as_u64().unwrap()).unwrap();
        let socket = PathBuf::from(held["addr"].as_str().unwrap());
        send(host.id(), Signal::KILL);
        ended(&mut host).await;
        let died = std::time::Instant::now();
        eventually("the plugin is gone", || !is_alive(plugin)).await;
        assert!(died.elapsed() < std::time::Duration::from_secs(2), "{:?}", died.elapsed());
        assert!(!socket.exists() && entries(tmp.path()).is_empty());
    }
}

#[tokio::test]
async fn go_hosts_attach_one_after_the_other_with_broker_and_stdio() {
    use std::io::BufRead as _;
    let tmp = tempfile::Builder::new().prefix("rp").tempdir().unwrap();
    if peer("go", "kit-host").is_none() {
        return;
    }
    let mut plugin = Command::new(KIT_PLUGIN);
    plugin.arg("--test-mode").env("TMPDIR", tmp.path());
    plugin.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut plugin = KillOnDrop(plugin.spawn().unwrap());
    let mut stdout = std::io::BufReader::new(plugin.0.stdout.take().unwrap());
    let mut json = String::new();
    stdout.read_line(&mut json).unwrap();
    for _ in 0..3 {
        let Some(mut host) = go(&["reattach", "--calls", "--broker", json.trim()]) else { return };
        succeeds(&mut host);
    }
}

struct KillOnDrop(std::process::Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
