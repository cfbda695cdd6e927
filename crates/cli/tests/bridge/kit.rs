//! The conformance checks of three hosts, with plugins of three languages behind a bridge.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    bridged::{PROGRAM, run},
    program::{peer, rpcplugin},
    running::{kit, of_the_tests},
};

/// A host, or a plugin: the program and its first arguments.
type Words = Vec<String>;

fn words(parts: &[&Path]) -> Words {
    parts.iter().map(|part| part.to_str().unwrap().to_owned()).collect()
}

fn python(script: &str) -> Option<Words> {
    let python = peer("python", "bin/python")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/python").join(script);
    Some(words(&[&python, &script]))
}

fn host(language: &str) -> Option<Words> {
    match language {
        "rust" => of_the_tests("kit-host").map(|program| words(&[&program])),
        "go" => peer("go", "kit-host").map(|program| words(&[&program])),
        _ => python("kit_host.py"),
    }
}

fn plugin(language: &str) -> Option<Words> {
    match language {
        "rust" => kit().map(|program| words(&[&program])),
        "go" => peer("go", "kit-plugin").map(|program| words(&[&program])),
        _ => python("kit_plugin.py"),
    }
}

/// The names of the checks with this result.
fn names(printed: &str, result: &str) -> BTreeSet<String> {
    let lines = printed.lines().filter_map(|line| line.strip_prefix(result)?.strip_prefix(' '));
    lines.map(|line| line.split([' ', ':']).next().unwrap_or_default().to_owned()).collect()
}

/// What a host found through a bridge.
struct Found {
    passed: BTreeSet<String>,
    skipped: BTreeSet<String>,
}

/// Runs the checks of a host. None may fail, and nothing may be left. Returns `None` if a peer is not there.
#[track_caller]
fn check(of_host: &str, of_plugin: &str, flags: &[&str]) -> Option<Found> {
    let (host, plugin) = (host(of_host)?, plugin(of_plugin)?);
    let mut args = host[1..].to_vec();
    args.push("check".to_owned());
    args.extend(flags.iter().map(|flag| (*flag).to_owned()));
    // Any port: the first one of a range may belong to another test a moment later.
    args.extend(["--", PROGRAM, "bridge", "--listen", "127.0.0.1:0", "--"].map(str::to_owned));
    args.extend(plugin);
    // A plugin on pyvider-rpcplugin leaves its socket.
    let tolerated = |file: &Path| of_plugin == "python" && !file.to_string_lossy().contains("rpcplugin-");
    let ended = run(Path::new(&host[0]), &args, tolerated);
    let failed = names(&ended.printed, "FAIL");
    assert!(failed.is_empty() && ended.status.success(), "{flags:?}: {failed:?}\n{}", ended.printed);
    Some(Found { passed: names(&ended.printed, "PASS"), skipped: names(&ended.printed, "SKIP") })
}

/// The recorded result of a cell without a bridge: the number of checks that pass, and the skipped checks.
fn recorded(cell: &str) -> (usize, BTreeSet<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/results.json");
    let all: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let skipped = all[cell]["skipped"].as_array().unwrap_or_else(|| panic!("{cell} is not recorded"));
    let skipped = skipped.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    (usize::try_from(all[cell]["passed"].as_u64().unwrap()).unwrap(), skipped)
}

/// All checks pass that pass over a Unix socket without a bridge.
#[track_caller]
fn as_without_a_bridge(of_host: &str, of_plugin: &str, security: &str, mux: bool) {
    let mut flags = Vec::new();
    let python = [of_host, of_plugin].contains(&"python");
    flags.extend((security == "auto-mtls").then_some("--auto-mtls"));
    flags.extend(mux.then_some("--mux"));
    flags.extend((!python).then_some("--broker"));
    if of_host == "rust" {
        flags.extend(["--no-others", "--skip=info,test-mode"]);
    }
    flags.extend((of_host == "python").then_some("--net=tcp"));
    let Some(Found { passed, skipped }) = check(of_host, of_plugin, &flags) else { return };
    let cell = format!("{of_host}/{of_plugin}/{security}/unix{}", if mux { "/mux" } else { "" });
    let (count, expected) = recorded(&cell);
    let further: BTreeSet<&str> = skipped.difference(&expected).map(String::as_str).collect();
    assert!(further.iter().all(|name| ABOUT_THE_PROCESS_OR_ITS_SOCKET.contains(name)), "{cell}: {further:?}");
    assert_eq!(passed.len(), count - further.len(), "{cell}: {passed:?}");
}

/// The process that a host starts is the bridge, and its socket is a port.
const ABOUT_THE_PROCESS_OR_ITS_SOCKET: [&str; 4] =
    ["info", "test-mode", "stop-socket-gone", "socket-is-private"];

#[test]
fn a_rust_host_and_a_go_plugin() {
    as_without_a_bridge("rust", "go", "plain", false);
}

#[test]
fn a_rust_host_and_a_go_plugin_under_auto_mtls() {
    as_without_a_bridge("rust", "go", "auto-mtls", false);
}

#[test]
fn a_rust_host_and_a_go_plugin_that_multiplex_under_auto_mtls() {
    as_without_a_bridge("rust", "go", "auto-mtls", true);
}

#[test]
fn a_rust_host_and_a_rust_plugin_that_multiplex_under_auto_mtls() {
    as_without_a_bridge("rust", "rust", "auto-mtls", true);
}

#[test]
fn a_rust_host_and_a_python_plugin_under_auto_mtls() {
    as_without_a_bridge("rust", "python", "auto-mtls", false);
}

#[test]
fn a_go_host_and_a_rust_plugin_under_auto_mtls() {
    as_without_a_bridge("go", "rust", "auto-mtls", false);
}

#[test]
fn a_go_host_and_a_rust_plugin_that_multiplex() {
    as_without_a_bridge("go", "rust", "plain", true);
}

#[test]
fn a_python_host_and_a_rust_plugin_under_auto_mtls() {
    as_without_a_bridge("python", "rust", "auto-mtls", false);
}

/// These have no recorded results: neither side is of this library.
///
/// A deadline is not checked between grpcio and grpc-go. grpc-go resets a call at its deadline, and grpcio reports CANCELLED
/// if the reset arrives before its own timer fires, without a bridge too (6 of 90 runs on a busy machine).
#[test]
fn hosts_and_plugins_of_other_languages() {
    for (of_host, of_plugin, flags, least) in [
        ("go", "go", &["--broker"][..], 25),
        ("go", "go", &["--broker", "--auto-mtls"], 25),
        ("go", "go", &["--broker", "--auto-mtls", "--mux"], 25),
        ("python", "go", &["--net=tcp", "--skip=sigterm,deadline"], 24),
    ] {
        let Some(found) = check(of_host, of_plugin, flags) else { continue };
        assert!(found.passed.len() >= least, "{of_host} {of_plugin}: {:?}", found.passed);
    }
}

/// Runs `rpcplugin conformance` with a plugin behind a bridge. Returns the findings: name, level and result.
fn conformance(args: &[&str], plugin: &Words) -> Vec<(String, String, String)> {
    let all =
        ["conformance", "--json", "--preset", "kit", "--jobs", "4"].iter().chain(args).map(PathBuf::from);
    let bridge = ["--", PROGRAM, "bridge", "--"].map(PathBuf::from);
    let json = rpcplugin(all.chain(bridge).chain(plugin.iter().map(PathBuf::from))).json();
    let findings = json["findings"].as_array().unwrap_or_else(|| panic!("{json}"));
    let text = |finding: &Value, member: &str| finding[member].as_str().unwrap().to_owned();
    findings.iter().map(|found| (text(found, "name"), text(found, "level"), text(found, "result"))).collect()
}

#[test]
fn plugins_behind_a_bridge_conform() {
    for language in ["go", "rust"] {
        let Some(plugin) = plugin(language) else { continue };
        let findings = conformance(&[], &plugin);
        let failed: Vec<_> = findings.iter().filter(|(_, _, result)| result == "fail").collect();
        assert!(failed.is_empty(), "{language}: {failed:?}");
        for name in [
            "cookie-missing",
            "line-form",
            "mtls-serves",
            "mtls-refuses-unknown",
            "mtls-refuses-plain",
            "plain-serves",
            "broker",
            "stdio",
            "large-message",
            "probe-closed",
            "probe-silent",
            "many-connections",
            "shutdown",
            "mux",
            "mux-mtls",
            "socket-gone",
            "tcp-loopback",
            "tcp-ports",
        ] {
            let result =
                findings.iter().find(|(found, ..)| found == name).map(|(_, _, result)| result.as_str());
            assert_eq!(result, Some("pass"), "{language}: {name}");
        }
    }
}

/// pyvider's plugins break the same rules as without a bridge, and no other.
#[test]
fn a_python_plugin_behind_a_bridge_conforms_as_far_as_it_does_without() {
    let Some(plugin) = plugin("python") else { return };
    let only = "cookie-missing,line-form,mtls-serves,mtls-refuses-unknown,mtls-refuses-plain,plain-serves,shutdown,tcp";
    let findings = conformance(&["--only", only], &plugin);
    let failed: Vec<_> =
        findings.iter().filter(|(_, _, result)| result == "fail").map(|(name, ..)| name.as_str()).collect();
    assert_eq!(failed, ["mtls-refuses-unknown"], "{findings:?}");
}
