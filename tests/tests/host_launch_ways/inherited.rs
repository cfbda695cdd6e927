//! The connection that a plugin inherits from its host.

use std::{collections::BTreeSet, fs, process::Stdio, time::Duration};

use miette::Diagnostic as _;
use rpcplugin::{
    Command, Endpoint, Exit, Host, LaunchError, MagicCookie, Plugin,
    config::{HostConfig, HostTls},
    host::{AttachError, Stdin},
};
use rpcplugin_tests::{
    pb::{GreetRequest, sub_client::SubClient},
    support::{faulty, process_tree::ProcessTree, programs::peer, scripts::script},
};

use tokio::time::timeout;

use crate::support::TIMEOUT;

const SUBJECT: &str = env!("CARGO_BIN_EXE_plugin-subject");

/// A host that offers a connection.
fn host(change: impl FnOnce(&mut HostConfig)) -> Host {
    let cookie = MagicCookie::new("PLUGIN_SUBJECT", "yes").expect("a key and a value");
    Host::new(cookie, 1).configure(|config| config.inherit_connection = true).configure(change)
}

/// Makes the plugin run a command, over this many brokered connections in turn.
async fn run(plugin: &Plugin, command: &str, brokered: usize) -> String {
    let greet = |channel, name: &str| {
        let request = GreetRequest { name: name.to_owned() };
        async move { SubClient::new(channel).greet(request).await.expect("the plugin runs").into_inner().text }
    };
    let mut channel = plugin.channel();
    for _ in 0..brokered {
        let id: u32 = greet(channel, "serve").await.parse().expect("an id");
        channel = plugin.broker().dial(id.into()).await.expect("it is served");
    }
    greet(channel, command).await
}

fn inherits(plugin: &Plugin) -> bool {
    *plugin.endpoint() == Endpoint::Inherited(0)
}

/// The sockets of a process.
fn sockets(pid: u32) -> BTreeSet<String> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("the process runs");
    let files = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    files.map(|file| file.display().to_string()).filter(|file| file.starts_with("socket:")).collect()
}

/// The sockets in the output of `ls -l /proc/self/fd`.
fn listed(listing: &str) -> BTreeSet<String> {
    listing.split_whitespace().filter(|word| word.starts_with("socket:")).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_plugin_serves_on_it_and_no_other_process_has_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let list = dir.path().join("list");
    let plugin = host(|_| {}).launch(Command::new(SUBJECT).stdin(Stdin::Null)).await.expect("it starts");
    assert!(inherits(&plugin) && !plugin.security().is_mutual(), "{plugin:?}");
    let facts = run(&plugin, "facts", 0).await;
    assert!(facts.contains("inherited: true") && facts.contains("mutual_tls: false"), "{facts}");
    assert_eq!(run(&plugin, "you", 3).await, "hello you");

    let (own, its) = (sockets(std::process::id()), sockets(plugin.pid().expect("a process").get()));
    assert!(own.len() > 2 && its.len() > 2, "{own:?} {its:?}");
    let mut ls = std::process::Command::new("ls");
    let listing = ls.args(["-l", "/proc/self/fd"]).stdin(Stdio::null()).output().expect("it runs").stdout;
    assert_eq!(listed(&String::from_utf8_lossy(&listing)).intersection(&own).count(), 0);
    run(&plugin, &format!("child ls -l /proc/self/fd > {}", list.display()), 0).await;
    let listing = fs::read_to_string(&list).expect("the child has written it");
    assert!(listing.contains("null"), "{listing}");
    assert_eq!(listed(&listing), BTreeSet::new());
    assert_eq!(plugin.shut_down().await, Exit::Clean);
}

#[tokio::test]
async fn without_capture_the_stdout_of_a_child_leads_to_no_connection() {
    let dir = tempfile::tempdir().expect("a directory");
    let line = dir.path().join("line");
    let command = Command::new(SUBJECT).stdin(Stdin::Null).env("PLUGIN_CAPTURE_OUTPUT", "false");
    let plugin = host(|_| {}).launch(command).await.expect("it starts");
    assert!(inherits(&plugin));
    // The child has the variable of its parent, and the same stdout.
    let child = format!(
        "child {SUBJECT} & p=$!; until ls $PLUGIN_UNIX_SOCKET_DIR/plugin*; do sleep 0.05; done 2>/dev/null >{}; kill $p; wait",
        line.display()
    );
    run(&plugin, &child, 0).await;
    let listens = fs::read_to_string(&line).expect("written");
    assert!(listens.contains("/plugin"), "the child listens at a path: {listens:?}");
    assert_eq!(run(&plugin, "you", 1).await, "hello you");
    assert_eq!(plugin.shut_down().await, Exit::Clean);
}

#[tokio::test]
async fn scripts_pass_it_on_and_a_pipe_in_between_does_not() {
    for (text, inherited) in [
        (format!("exec {SUBJECT}"), true),
        (format!("{SUBJECT}; exit $?"), true),
        (format!("{SUBJECT} | cat"), false),
        (format!("PLUGIN_STDOUT_CONNECTION= exec {SUBJECT}"), false),
        (format!("PLUGIN_STDOUT_CONNECTION=0 exec {SUBJECT}"), false),
        (format!("PLUGIN_STDOUT_CONNECTION={} exec {SUBJECT}", "0".repeat(32)), false),
        (format!("PLUGIN_STDOUT_CONNECTION={} exec {SUBJECT}", "x".repeat(100_000)), false),
        (format!("unset PLUGIN_STDOUT_CONNECTION; exec {SUBJECT}"), false),
    ] {
        let what = &text[..text.len().min(80)];
        let plugin = host(|_| {}).launch(script(&text).stdin(Stdin::Null)).await.expect(what);
        // Without it the connection is as secure as it is without the offer.
        assert_eq!((inherits(&plugin), plugin.security().is_mutual()), (inherited, !inherited), "{what}");
        assert_eq!(run(&plugin, "you", 1).await, "hello you", "{what}");
        assert!(matches!(plugin.shut_down().await, Exit::Clean), "{what}");
    }
}

#[tokio::test]
async fn a_plugin_with_a_place_or_an_identity_of_its_own_does_not_take_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("socket");
    let subject = || Command::new(SUBJECT).stdin(Stdin::Null);
    for command in [
        subject().env("PLUGIN_SERVER_UNIX_SOCKET_PATH", &path),
        subject().arg("--own-socket").arg(dir.path().join("own")),
        subject().env("PLUGIN_SERVER_TRANSPORTS", "tcp"),
    ] {
        let plugin = host(|_| {}).launch(command.clone()).await.expect("it starts");
        assert!(!inherits(&plugin) && plugin.security().is_mutual(), "{command:?}");
        plugin.shut_down().await;
    }
    // A plugin that refuses AutoMTLS refuses it here too.
    let refused = host(|_| {}).launch(subject().env("PLUGIN_AUTO_MTLS", "false")).await;
    assert!(refused.is_err_and(|error| !error.facts().stderr.is_empty()));
    let plain = host(|config| config.tls = HostTls::Plaintext);
    let plugin = plain.launch(subject().env("PLUGIN_AUTO_MTLS", "false")).await.expect("it starts");
    assert!(inherits(&plugin));
    plugin.shut_down().await;
}

#[tokio::test]
async fn plugins_in_go_are_not_disturbed() {
    let Some(program) = peer("go", "kit-plugin") else { return };
    let host = rpcplugin_tests::support::conformance::host();
    let host = host.configure(|config| config.inherit_connection = true);
    let plugin = host.launch(Command::new(program).stdin(Stdin::Null)).await.expect("it starts");
    assert!(matches!(plugin.endpoint(), Endpoint::Unix(_)) && plugin.security().is_mutual());
    // What has not been taken from its stdout is no fault at its end.
    assert_eq!(plugin.shut_down().await, Exit::Clean);
}

#[tokio::test]
async fn a_plugin_on_it_is_not_attached_to_and_one_that_may_be_handed_over_listens() {
    let subject = || Command::new(SUBJECT).stdin(Stdin::Null);
    let plugin = host(|_| {}).launch(subject()).await.expect("it starts");
    let error = host(|_| {}).attach(plugin.reattach_config()).await.expect_err("it does not listen");
    assert!(matches!(error, AttachError::Inherited), "{error:?}");
    assert_eq!(error.code().expect("a code").to_string(), "rpcplugin::transport::attach_inherited");
    plugin.shut_down().await;

    let tree = ProcessTree::new();
    let lasting = host(|config| config.die_with_host = false);
    let plugin = lasting.launch(tree.mark(subject())).await.expect("it starts");
    assert!(!inherits(&plugin) && plugin.security().is_mutual());
    let handover = plugin.hand_over().await.expect("it may outlive its host");
    let attachment = rpcplugin::host::Handover::parse(&handover.to_json()).expect("whole");
    let next = host(|_| {}).attach(attachment).await.expect("it runs");
    assert_eq!(run(&next, "you", 1).await, "hello you");
    // A host that attaches does not know the status.
    assert_eq!(next.shut_down().await, Exit::Ended);
    tree.dies_out().await;
}

#[tokio::test]
async fn a_false_claim_to_have_taken_it_is_refused_or_ends_with_a_timeout() {
    let code = |error: LaunchError| error.fault.code().expect("a code").to_string();
    let claims = |number: u32| script(&format!("echo '1|1|inherited|{number}|grpc'; exec sleep 60"));
    let none = faulty::host(|_| {});
    let error = faulty::refused(&none, claims(0), TIMEOUT).await;
    assert_eq!(code(error), "rpcplugin::transport::not_allowed");
    let short = faulty::host(|config| {
        (config.inherit_connection, config.launch_timeout) = (true, Duration::from_secs(1));
    });
    for number in [0, 7] {
        let error = faulty::refused(&short, claims(number), TIMEOUT).await;
        assert_eq!(code(error), "rpcplugin::transport::not_ready");
    }
    // A certificate has no meaning there.
    let certified = format!("echo '1|1|inherited|0|grpc|{}'; exec sleep 60", "YWJj".repeat(20));
    let error = faulty::refused(&short, script(&certified), TIMEOUT).await;
    assert_eq!(code(error), "rpcplugin::security::unexpected_certificate");
}

#[tokio::test]
async fn a_killed_plugin_ends_calls_and_brokered_connections_at_once() {
    let plugin = host(|_| {}).launch(Command::new(SUBJECT).stdin(Stdin::Null)).await.expect("it starts");
    assert_eq!(run(&plugin, "you", 1).await, "hello you");
    let channel = plugin.channel();
    let sleeping = tokio::spawn(async move {
        SubClient::new(channel).greet(GreetRequest { name: "sleep 60000".to_owned() }).await
    });
    assert!(matches!(plugin.kill().await, Exit::Killed { .. }));
    let ended = timeout(TIMEOUT, sleeping).await.expect("the call ends with the plugin");
    assert!(ended.expect("no panic").is_err());
}
