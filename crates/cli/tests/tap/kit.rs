//! The conformance checks of three hosts, with plugins of three languages behind a tap.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    bridged::{PROGRAM, run},
    peers::{host, plugin},
    program::rpcplugin,
};

/// The names of the checks with this result.
fn names(printed: &str, result: &str) -> BTreeSet<String> {
    let lines = printed.lines().filter_map(|line| line.strip_prefix(result)?.strip_prefix(' '));
    lines.map(|line| line.split([' ', ':']).next().unwrap_or_default().to_owned()).collect()
}

/// Runs the checks of a host with a plugin behind a tap. None may fail, and nothing may be left. Returns the number of checks that passed,
/// the names of those that were skipped, and what was shown. Returns `None` if a peer is not there.
#[track_caller]
fn check(of_host: &str, of_plugin: &str, flags: &[&str]) -> Option<(usize, BTreeSet<String>, String)> {
    check_with(of_host, of_plugin, flags, &[], &[])
}

/// As [`check`], with further arguments of the tap and of the plugin.
#[track_caller]
fn check_with(
    of_host: &str,
    of_plugin: &str,
    flags: &[&str],
    of_tap: &[&str],
    further: &[&str],
) -> Option<(usize, BTreeSet<String>, String)> {
    let (host, plugin) = (host(of_host)?, plugin(of_plugin)?);
    let shown = tempfile::tempdir().unwrap();
    let file = shown.path().join("shown");
    let mut args = host[1..].to_vec();
    args.push("check".to_owned());
    args.extend(flags.iter().map(|flag| (*flag).to_owned()));
    args.extend(["--", PROGRAM, "tap", "--output"].map(str::to_owned));
    args.push(file.to_str().unwrap().to_owned());
    args.extend(of_tap.iter().chain(&["--"]).map(|word| (*word).to_owned()));
    args.extend(plugin);
    args.extend(further.iter().map(|word| (*word).to_owned()));
    // A plugin on pyvider-rpcplugin leaves its socket.
    let tolerated = |file: &Path| of_plugin == "python" && file.to_string_lossy().contains("/pyvider-");
    let ended = run(Path::new(&host[0]), &args, tolerated);
    let failed = names(&ended.printed, "FAIL");
    assert!(failed.is_empty() && ended.status.success(), "{flags:?}: {failed:?}\n{}", ended.printed);
    let shown = fs::read_to_string(&file).unwrap();
    Some((names(&ended.printed, "PASS").len(), names(&ended.printed, "SKIP"), shown))
}

/// The recorded result of a cell without a tap: the number of checks that pass, and the skipped checks.
fn recorded(cell: &str) -> (usize, BTreeSet<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/results.json");
    let all: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let skipped = all[cell]["skipped"].as_array().unwrap_or_else(|| panic!("{cell} is not recorded"));
    let skipped = skipped.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    (usize::try_from(all[cell]["passed"].as_u64().unwrap()).unwrap(), skipped)
}

/// All checks pass that pass without a tap, and the brokered connections are shown.
#[track_caller]
fn as_without_a_tap(of_host: &str, of_plugin: &str, security: &str, mux: bool) {
    let mut flags = Vec::new();
    let python = [of_host, of_plugin].contains(&"python");
    flags.extend((security == "auto-mtls").then_some("--auto-mtls"));
    flags.extend(mux.then_some("--mux"));
    flags.extend((!python).then_some("--broker"));
    if of_host == "rust" {
        flags.extend(["--no-others", "--skip=info,test-mode"]);
    }
    let Some((passed, skipped, shown)) = check(of_host, of_plugin, &flags) else { return };
    let cell = format!("{of_host}/{of_plugin}/{security}/unix{}", if mux { "/mux" } else { "" });
    let (count, expected) = recorded(&cell);
    let further: BTreeSet<&str> = skipped.difference(&expected).map(String::as_str).collect();
    // The process that the host starts is the tap.
    assert!(further.iter().all(|name| ["info", "test-mode"].contains(name)), "{cell}: {further:?}");
    assert_eq!(passed, count - further.len(), "{cell}");
    shows_the_conversation(&shown, !python);
}

#[track_caller]
fn shows_the_conversation(shown: &str, broker: bool) {
    for text in
        ["plugin ← handshake: version ", " conformance.v1.Kit/Echo call", "plugin ← exited: exit status 0"]
    {
        assert!(shown.contains(text), "{text}");
    }
    for text in [
        // The plugin calls the host, and the host calls a brokered service of the plugin.
        "conformance.v1.HostCalls/Transform call",
        "conformance.v1.Sub/Greet call",
    ] {
        assert_eq!(shown.contains(text), broker, "{text}");
    }
    assert!(!shown.contains("cannot be read") && !shown.contains("are not shown"));
}

#[test]
fn a_rust_host_and_a_go_plugin() {
    as_without_a_tap("rust", "go", "plain", false);
}

#[test]
fn a_rust_host_and_a_go_plugin_under_auto_mtls() {
    as_without_a_tap("rust", "go", "auto-mtls", false);
}

#[test]
fn a_rust_host_and_a_go_plugin_that_multiplex_under_auto_mtls() {
    as_without_a_tap("rust", "go", "auto-mtls", true);
}

#[test]
fn a_rust_host_and_a_rust_plugin_that_multiplex_under_auto_mtls() {
    as_without_a_tap("rust", "rust", "auto-mtls", true);
}

#[test]
fn a_rust_host_and_a_python_plugin_under_auto_mtls() {
    as_without_a_tap("rust", "python", "auto-mtls", false);
}

#[test]
fn a_go_host_and_a_rust_plugin_under_auto_mtls() {
    as_without_a_tap("go", "rust", "auto-mtls", false);
}

#[test]
fn a_go_host_and_a_rust_plugin_that_multiplex() {
    as_without_a_tap("go", "rust", "plain", true);
}

/// These have no recorded results: neither side is of this library.
#[test]
fn hosts_and_plugins_of_other_languages() {
    for (of_host, of_plugin, flags, least) in [
        ("go", "go", &["--broker"][..], 33),
        ("go", "go", &["--broker", "--auto-mtls"], 34),
        ("go", "go", &["--broker", "--mux"], 31),
        ("go", "go", &["--broker", "--auto-mtls", "--mux"], 31),
    ] {
        let Some((passed, _, shown)) = check(of_host, of_plugin, flags) else { continue };
        assert!(passed >= least, "{of_host} {of_plugin} {flags:?}: {passed}");
        shows_the_conversation(&shown, true);
    }
}

/// A tap with certificates of the same authority, and one without: there the bytes pass.
#[test]
fn certificates_of_the_peers_are_given_to_the_tap_or_pass_it() {
    let Some(host) = host("go") else { return };
    let dir = tempfile::tempdir().unwrap();
    let certs = Command::new(&host[0]).arg("certs").arg(dir.path()).status().unwrap();
    assert!(certs.success());
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let files = ["host.pem", "host.key", "ca.pem", "plugin.pem", "plugin.key", "ca.pem"].map(file);
    let flags = ["--cert", "--key", "--ca", "--host-cert", "--host-key", "--host-ca"];
    let of_tap: Vec<&str> = flags.into_iter().zip(&files).flat_map(|(flag, file)| [flag, file]).collect();
    let tls_dir = format!("--tls-dir={}", dir.path().display());
    let further = [tls_dir.as_str()];
    let Some((passed, _, shown)) = check_with("go", "go", &["--broker", &tls_dir], &of_tap, &further) else {
        return;
    };
    assert!(passed >= 33 && shown.contains(", given certificates"), "{passed}");
    shows_the_conversation(&shown, true);
    let Some((passed, _, shown)) = check_with("go", "go", &[&tls_dir], &[], &further) else { return };
    assert!(passed >= 20, "{passed}");
    assert!(shown.contains("cannot be read") && !shown.contains("Echo"), "{shown}");
}

/// Runs `rpcplugin conformance` with a plugin behind a tap. No rule is broken that a plugin has to keep.
#[test]
fn plugins_behind_a_tap_conform() {
    for language in ["go", "rust"] {
        let Some(plugin) = plugin(language) else { continue };
        let words = [
            "conformance",
            "--json",
            "--preset",
            "kit",
            "--jobs",
            "4",
            "--",
            PROGRAM,
            "tap",
            "-o",
            "/dev/null",
            "--",
        ];
        let json = rpcplugin(words.into_iter().map(str::to_owned).chain(plugin)).json();
        let findings = json["findings"].as_array().unwrap_or_else(|| panic!("{json}"));
        let failed: Vec<_> = findings.iter().filter(|found| found["result"] == "fail").collect();
        assert!(
            findings.len() > 30 && failed.iter().all(|found| found["name"] == "socket-group"),
            "{failed:#?}"
        );
    }
}
