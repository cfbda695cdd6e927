//! `attach` with a handshake line.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{
    program::{eventually, peer, rpcplugin},
    running::kit,
};

/// A conformance plugin that was started without a host.
struct ByHand {
    child: Child,
    line: String,
}

impl ByHand {
    fn start(kit: &Path, args: &[&Path], env: &[(&str, &str)]) -> Self {
        let mut child = Command::new(kit)
            .args(args)
            .env("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance")
            .env("PLUGIN_PROTOCOL_VERSIONS", "2,3")
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, line: line.trim().to_owned() }
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kits() -> impl Iterator<Item = PathBuf> {
    [kit(), peer("go", "kit-plugin")].into_iter().flatten()
}

/// Writes certificates, and returns the paths of `host.pem`, `host.key` and `ca.pem`.
fn certificates(dir: &Path) -> Option<[String; 3]> {
    let made = Command::new(peer("go", "kit-host")?).arg("certs").arg(dir).output().unwrap();
    assert!(made.status.success());
    Some(["host.pem", "host.key", "ca.pem"].map(|name| dir.join(name).to_str().unwrap().to_owned()))
}

#[test]
fn a_plugin_is_attached_to_by_its_handshake_line() {
    for kit in kits() {
        let mut plugin = ByHand::start(&kit, &[], &[]);
        let line = plugin.line.clone();
        assert!(line.starts_with("1|3|"), "{line}");
        let facts = rpcplugin(["--json", "attach", &line]).ended_with(0).json();
        assert_eq!(facts["protocol"]["app"], 3);
        assert_eq!(facts["process"]["pid"], plugin.child.id());
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("kv.line");
        std::fs::write(&file, format!("{line}\nand {{other}} text\n")).unwrap();
        let info = rpcplugin(["attach", file.to_str().unwrap(), "call", "Info"]).ended_with(0).json();
        assert_eq!(info["pid"], plugin.child.id().to_string());
        rpcplugin(["attach", &line, "stop"]).ended_with(0).prints(&["the plugin "]);
        eventually(|| plugin.child.try_wait().unwrap());
        rpcplugin(["attach", &line]).ended_with(3).prints(&["there is no plugin at"]);
    }
}

#[test]
fn certificates_secure_a_plugin_with_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let Some([cert, key, ca]) = certificates(dir.path()) else { return };
    for kit in kits() {
        let plugin = ByHand::start(&kit, &[Path::new("--tls-dir"), dir.path()], &[]);
        let secured = ["--json", "attach", &plugin.line, "--cert", &cert, "--key", &key, "--ca", &ca];
        let facts = rpcplugin(secured).ended_with(0).json();
        assert_eq!(facts["security"]["trust"], "authorities");
        rpcplugin(["attach", &plugin.line])
            .ended_with(3)
            .prints(&["rpcplugin::security::attach_without_identity", "use --cert, --key and --ca"]);
    }
}

#[test]
fn a_line_of_auto_mtls_needs_the_key_of_its_client() {
    let dir = tempfile::tempdir().unwrap();
    let Some([cert, key, ca]) = certificates(dir.path()) else { return };
    let pem = std::fs::read_to_string(&cert).unwrap();
    for kit in kits() {
        let plugin = ByHand::start(&kit, &[], &[("PLUGIN_CLIENT_CERT", &pem)]);
        let error = rpcplugin(["--json", "attach", &plugin.line]).ended_with(2).json();
        assert_eq!(error["error"]["code"], "rpcplugin::security::line_of_auto_mtls");
        assert!(error["error"]["help"].as_str().unwrap().contains("--cert, --key and --ca"), "{error}");
        let secured = ["--json", "attach", &plugin.line, "--cert", &cert, "--key", &key, "--ca", &ca];
        let facts = rpcplugin(secured).ended_with(0).json();
        assert_eq!(facts["security"]["trust"], "pinned");
    }
}

#[test]
fn a_line_that_cannot_be_used_is_an_error() {
    for kit in kits() {
        let plugin = ByHand::start(&kit, &[], &[("PLUGIN_MULTIPLEX_GRPC", "true")]);
        rpcplugin(["attach", &plugin.line])
            .ended_with(2)
            .prints(&["rpcplugin::protocol::line_of_multiplexing", "PLUGIN_MULTIPLEX_GRPC"]);
    }
    let unreadable = format!("1|1|unix|/tmp/x|grpc|{}", "?".repeat(60));
    for (line, code) in [
        ("1|1|unix|/tmp/x|netrpc|", "rpcplugin::protocol::net_rpc"),
        ("2|1|unix|/tmp/x|grpc|", "rpcplugin::handshake::core_version"),
        ("1|x|unix|/tmp/x|grpc|", "rpcplugin::handshake::version_unreadable"),
        (&*unreadable, "rpcplugin::security::certificate_unreadable"),
    ] {
        let error = rpcplugin(["--json", "attach", line]).ended_with(2).json();
        assert_eq!(error["error"]["code"], code, "{line}");
    }
}
