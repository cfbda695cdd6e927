//! Attaching to running plugins, with real processes.
#![cfg(unix)]

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use rpcplugin::host::SetupFault;
use rpcplugin::{
    Command, Endpoint, Exit, Host, MagicCookie, Plugin, Versions,
    broker::ServiceId,
    config::{HostConfig, HostTls, Pem, SecretPem},
    error::PlainReport,
    handshake::{ReattachConfig, ReattachConfigs},
    host::{AttachError, Attachment, Handover, LaunchFault},
    plugin::ServingStatus,
    tls::{Identity, PeerCertificate},
};
use rpcplugin_tests::support::{
    conformance,
    faulty::{faulty, host},
    process::suspend,
    process_tree::{MARK, ProcessTree},
    programs::peer,
    wait::eventually_within,
};

const TIMEOUT: Duration = Duration::from_secs(10);
const PLUGIN: &str = env!("CARGO_BIN_EXE_faulty-plugin");

/// The code of an error.
fn code(error: &dyn miette::Diagnostic) -> String {
    error.code().map(|code| code.to_string()).unwrap_or_default()
}

fn plain() -> Host {
    host(|config| config.tls = HostTls::Plaintext)
}

/// A plugin without TLS, and its reattach configuration.
async fn launched(tree: &ProcessTree) -> (Plugin, ReattachConfig) {
    let plugin = plain().launch(tree.mark(faulty("healthy"))).await.expect("the plugin starts");
    let json = plugin.reattach_config().to_string();
    (plugin, ReattachConfig::parse(&json).expect("a configuration can be parsed"))
}

#[tokio::test]
async fn a_second_host_can_use_and_end_a_plugin() {
    let tree = ProcessTree::new();
    let (first, config) = launched(&tree).await;
    assert_eq!(config.pid, first.pid());

    let second = plain().attach(config.clone()).await.expect("the plugin runs");
    assert_eq!((second.pid(), second.version()), (first.pid(), first.version()));
    assert_eq!(second.ping().await.expect("the plugin is healthy"), ServingStatus::Serving);
    assert_eq!(second.reattach_config(), config);
    drop(second);
    first.ping().await.expect("the plugin runs after its host has disconnected");

    let third = plain().attach(Attachment::from(config).name("kv")).await.expect("the plugin runs");
    assert_eq!(third.name(), "kv");
    assert_eq!(third.shut_down().await, Exit::Ended);
    assert!(first.wait().await.is_success());
    tree.dies_out().await;
}

#[tokio::test]
async fn a_plugin_keeps_its_handshake_line_and_the_duration_of_each_step() {
    let tree = ProcessTree::new();
    let plugin = host(|_| {}).launch(tree.mark(faulty("healthy"))).await.expect("the plugin starts");
    let answer = plugin.handshake_line().expect("the plugin was launched");
    assert_eq!((answer.version, &answer.endpoint), (plugin.version(), plugin.endpoint()));
    assert!(answer.certificate.is_some());
    assert_eq!(answer.certificate.as_deref(), plugin.certificate().map(PeerCertificate::der));
    assert!(plugin.forwards_output() && plugin.serves_broker());
    let steps = plugin.launch_timings();
    let (process, answered) = (steps.process.expect("launched"), steps.handshake.expect("launched"));
    let health = steps.health.expect("the health check was made");
    assert!(process + answered + steps.connection + health <= plugin.launch_time(), "{steps:?}");
    assert!([process, answered, steps.connection, health].iter().all(|step| !step.is_zero()), "{steps:?}");
    plugin.shut_down().await;

    let (first, config) = launched(&tree).await;
    let second = plain().attach(config).await.expect("the plugin runs");
    assert!(second.handshake_line().is_none() && second.certificate().is_none());
    let steps = second.launch_timings();
    assert!(steps.process.is_none() && steps.handshake.is_none() && steps.health.is_some(), "{steps:?}");
    first.shut_down().await;
}

#[tokio::test]
async fn several_configurations_are_named_as_terraform_does() {
    let tree = ProcessTree::new();
    let (first, config) = launched(&tree).await;
    let json = format!(r#"{{"registry.example/acme/kv":{config}}}"#);
    let configs = ReattachConfigs::parse(&json).expect("readable");
    let config = configs.0["registry.example/acme/kv"].clone();
    plain().attach(config).await.expect("the plugin runs").ping().await.expect("the plugin is healthy");
    drop(first);
    tree.dies_out().await;
}

#[tokio::test]
async fn a_pid_that_was_reused_is_never_signalled() {
    let tree = ProcessTree::new();
    let (first, mut config) = launched(&tree).await;
    let mut other = std::process::Command::new("sleep").arg("60").spawn().expect("a process");
    config.pid = rpcplugin::host::Pid::new(other.id());
    let second = plain().attach(config).await.expect("the plugin runs");
    assert_eq!(second.pid(), first.pid(), "the process that listens is the plugin");
    stop(&first);
    assert!(matches!(second.shut_down_within(Duration::from_millis(200)).await, Exit::Killed { .. }));
    assert!(other.try_wait().expect("ours").is_none(), "the other process was signalled");
    other.kill().expect("ours");
    other.wait().expect("ours");
    tree.dies_out().await;
}

/// Suspends a plugin, so that only SIGKILL ends it.
fn stop(plugin: &Plugin) {
    suspend(plugin.pid().expect("the plugin was launched")).expect("the plugin runs");
}

#[tokio::test]
async fn the_exit_of_an_attached_process_is_noticed() {
    let tree = ProcessTree::new();
    let (first, config) = launched(&tree).await;
    let second = plain().attach(config).await.expect("the plugin runs");
    assert_eq!(second.ended(), None);
    first.kill().await;
    tokio::time::timeout(TIMEOUT, second.wait()).await.expect("the exit is noticed");
    assert!(second.ping().await.is_err());
    tree.dies_out().await;
}

#[tokio::test]
async fn an_address_without_a_listener_is_refused_immediately() {
    let tree = ProcessTree::new();
    let (first, config) = launched(&tree).await;
    first.shut_down().await;
    let begun = Instant::now();
    let error = plain().attach(config.clone()).await.expect_err("the plugin has exited");
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(matches!(error, AttachError::NoPlugin { .. }), "{error:?}");
    assert_eq!(code(&error), "rpcplugin::transport::attach_no_plugin");
    let text = PlainReport(&error).to_string();
    assert!(text.contains("there is no plugin at unix:") && text.contains("start the plugin anew"), "{text}");
}

#[tokio::test]
async fn a_plugin_in_test_mode_is_not_shut_down() {
    let tree = ProcessTree::new();
    let (first, mut config) = launched(&tree).await;
    config.test = true;
    let second = plain().attach(config).await.expect("the plugin runs");
    assert_eq!(second.shut_down().await, Exit::Detached);
    first.ping().await.expect("the plugin still runs");
    assert_eq!(first.shut_down().await, Exit::Clean);
}

#[tokio::test]
async fn brokered_sockets_are_in_the_directory_of_the_settings() {
    let tree = ProcessTree::new();
    let (first, config) = launched(&tree).await;
    let dir = tempfile::tempdir_in("/tmp").expect("a directory");
    let here = plain().configure(|config| config.unix_socket_dir = Some(dir.path().to_owned()));
    let second = here.attach(config.clone()).await.expect("the plugin runs");
    assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 1);
    drop(second);
    let other = plain().configure(|config| config.unix_socket_group = Some("no-such-group".into()));
    let error = other.attach(config).await.expect_err("an unknown group");
    assert!(
        matches!(error, AttachError::Refused { source: LaunchFault::Setup(SetupFault::SocketDir(_)), .. }),
        "{error:?}"
    );
    drop(first);
    tree.dies_out().await;
}

#[tokio::test]
async fn versions_and_settings_must_fit() {
    let tree = ProcessTree::new();
    let (first, mut config) = launched(&tree).await;
    let other = || {
        let cookie = MagicCookie::new("FAULTY_PLUGIN", "cookie").expect("a cookie");
        Host::new(cookie, Versions::new([7, 8]).expect("versions"))
    };
    let error = other().attach(config.clone()).await.expect_err("the plugin serves another version");
    assert!(matches!(error, AttachError::Version(_)), "{error:?}");
    assert_eq!(code(&error), "rpcplugin::protocol::attach_version");
    // Go hosts do not store the version.
    config.version = None;
    assert_eq!(other().attach(config.clone()).await.expect("any version is accepted").version(), 8.into());
    let multiplexed = plain().configure(|config| config.multiplex = true);
    let error = multiplexed.attach(config).await.expect_err("a multiplexing host cannot attach");
    assert!(matches!(error, AttachError::Multiplexed), "{error:?}");
    assert_eq!(code(&error), "rpcplugin::config::attach_multiplexed");
    drop(first);
    tree.dies_out().await;
}

#[tokio::test]
async fn without_the_identity_a_secured_plugin_cannot_be_attached_to() {
    let tree = ProcessTree::new();
    let plugin = host(|_| {}).launch(tree.mark(faulty("healthy"))).await.expect("the plugin starts");
    let begun = Instant::now();
    let error =
        plain().attach(plugin.reattach_config()).await.expect_err("the plugin requires a certificate");
    assert!(begun.elapsed() < TIMEOUT, "{error:?}");
    assert!(matches!(error, AttachError::Refused { .. }), "{error:?}");
    assert_eq!(code(&error), "rpcplugin::transport::attach_refused");
    plugin.ping().await.expect("the plugin is unharmed");
    drop(plugin);
    tree.dies_out().await;
}

#[tokio::test]
async fn an_incomplete_tls_configuration_is_refused_and_not_plain_text() {
    let tree = ProcessTree::new();
    let (plugin, config) = launched(&tree).await;
    let identity = Identity::generate().expect("made").export();
    let certificate = |config: &mut HostConfig| {
        config.tls = HostTls::Given {
            certificate: Pem::new(identity.certificates_pem()),
            private_key: SecretPem::new(identity.private_key_pem()),
            server_roots: None,
        };
    };
    let authorities = |config: &mut HostConfig| {
        config.tls = HostTls::AutoMtls { server_roots: Some(Pem::new(identity.certificates_pem())) };
    };
    for half in [host(certificate), host(authorities)] {
        let error = half.attach(config.clone()).await.expect_err("half is not enough");
        let AttachError::Refused { source, .. } = error else { panic!("{error:?}") };
        assert_eq!(code(&source), "rpcplugin::security::incomplete_tls");
    }
    drop(plugin);
    tree.dies_out().await;
}

#[tokio::test]
async fn a_secured_plugin_survives_the_upgrade_of_its_host() {
    let tree = ProcessTree::new();
    let old = std::process::Command::new(env!("CARGO_BIN_EXE_doomed-host"))
        .args(["goes-on", PLUGIN])
        .env(MARK, tree.name())
        .stdin(Stdio::null())
        .output()
        .expect("the program is built");
    assert!(old.status.success(), "{}", String::from_utf8_lossy(&old.stderr));
    let json = String::from_utf8(old.stdout).expect("UTF-8");
    assert_eq!(tree.alive().len(), 1, "only the plugin is alive");

    let plugin =
        host(|_| {}).attach(Handover::parse(&json).expect("readable")).await.expect("the plugin runs");
    assert!(plugin.security().is_mutual());
    assert_eq!(tree.alive(), [plugin.pid().map_or(0, u32::from)]);
    assert_eq!(plugin.ping().await.expect("the plugin is healthy"), ServingStatus::Serving);
    let Endpoint::Unix(path) = plugin.endpoint().clone() else { panic!("{plugin:?}") };
    let dir = path.as_path().parent().expect("a directory").to_owned();
    assert!(dir.exists());
    assert_eq!(plugin.shut_down().await, Exit::Ended);
    tree.dies_out().await;
    eventually_within(TIMEOUT, "the first host's directory is removed", || !dir.exists()).await;
}

#[tokio::test]
async fn a_plugin_that_dies_with_its_host_is_not_handed_over() {
    let tree = ProcessTree::new();
    let host = host(|_| {});
    let plugin = host.launch(tree.mark(faulty("healthy"))).await.expect("the plugin starts");
    let config = plugin.reattach_config();
    let error = plugin.hand_over().await.expect_err("the plugin dies with this host");
    assert_eq!(code(&error), "rpcplugin::config::handover_dies_with_host");
    let text = PlainReport(&error).to_string();
    assert!(text.contains("die_with_host = false") && text.contains("PLUGIN_DIE_WITH_HOST"), "{text}");
    let plugin = error.into_plugin();
    assert_eq!(plugin.ping().await.expect("the plugin is unchanged"), ServingStatus::Serving);
    assert_eq!(plugin.reattach_config(), config);
    assert_eq!(plugin.shut_down().await, Exit::Clean);
    // Dropping the error drops the plugin.
    let plugin = host.launch(tree.mark(faulty("healthy"))).await.expect("the plugin starts");
    drop(plugin.hand_over().await.expect_err("the same"));
    tree.dies_out().await;
}

/// Later hosts do not remove the directory of a plugin that was handed over.
#[tokio::test]
async fn the_directory_of_a_plugin_that_was_handed_over_stays_while_it_runs() {
    let tree = ProcessTree::new();
    let dir = tempfile::TempDir::new_in("/tmp").expect("a directory");
    let old = std::process::Command::new(env!("CARGO_BIN_EXE_doomed-host"))
        .args(["goes-on", PLUGIN])
        .env(MARK, tree.name())
        .env("TMPDIR", dir.path())
        .stdin(Stdio::null())
        .output()
        .expect("the program is built");
    let json = String::from_utf8(old.stdout).expect("UTF-8");
    let left = || std::fs::read_dir(dir.path()).expect("readable").count();
    assert_eq!(left(), 1, "{}", String::from_utf8_lossy(&old.stderr));
    let next = host(|config| config.unix_socket_dir = Some(dir.path().to_owned()));
    let other = next.launch(tree.mark(faulty("healthy"))).await.expect("the plugin starts");
    assert_eq!(other.shut_down().await, Exit::Clean);
    let plugin =
        host(|_| {}).attach(Handover::parse(&json).expect("readable")).await.expect("the plugin runs");
    assert_eq!(plugin.shut_down().await, Exit::Ended);
    tree.dies_out().await;
    eventually_within(TIMEOUT, "the directory is removed", || left() == 0).await;
}

#[tokio::test]
async fn a_handover_does_not_show_its_key() {
    let tree = ProcessTree::new();
    let host = host(|config| config.die_with_host = false);
    let plugin = host.launch(tree.mark(faulty("healthy"))).await.expect("the plugin starts");
    let handover = plugin.hand_over().await.expect("the plugin may outlive this host");
    assert!(handover.to_json().contains("PRIVATE KEY"));
    assert!(!format!("{handover:?}").contains("PRIVATE KEY"));
    let plugin =
        host.attach(Handover::parse(&handover.to_json()).expect("readable")).await.expect("the plugin runs");
    assert_eq!(plugin.shut_down().await, Exit::Ended);
    tree.dies_out().await;

    let part = |from: &str, to: &str| {
        let json = handover.to_json().replace(from, to);
        code(&Handover::parse(&json).expect_err("a part of it is broken"))
    };
    assert_eq!(part("HostKey", "NoKey"), "rpcplugin::handshake::handover_unreadable");
    assert_eq!(part("BEGIN PRIVATE KEY", "BEGIN ANYTHING"), "rpcplugin::security::handover_identity");
    let certificate = r#""PluginCertificate":"-----BEGIN CERTIFICATE"#;
    assert_eq!(
        part(certificate, r#""PluginCertificate":"none"#),
        "rpcplugin::security::handover_certificate"
    );
    assert!(Handover::parse("{}").is_err() && Handover::parse("nonsense").is_err());
}

fn kit_host() -> Host {
    conformance::host().configure(|config| config.tls = HostTls::Plaintext)
}

#[tokio::test]
async fn over_tcp_the_process_is_the_owner_of_the_port() {
    let tree = ProcessTree::new();
    let command = Command::new(env!("CARGO_BIN_EXE_kit-plugin")).args(["--net", "tcp"]);
    let first = kit_host().launch(tree.mark(command)).await.expect("the plugin starts");
    let mut config = first.reattach_config();
    assert!(matches!(config.endpoint, Endpoint::Tcp(_)));
    let second = kit_host().attach(config.clone()).await.expect("the plugin runs");
    assert_eq!(second.pid(), first.pid());
    config.pid = Some(rpcplugin::host::Pid::current());
    let third = kit_host().attach(config.clone()).await.expect("the plugin runs");
    assert_eq!(third.pid(), None, "this process does not listen there");
    let address = Attachment::new(config.endpoint, 3);
    let fourth = kit_host().attach(address).await.expect("an address is enough");
    stop(&first);
    let exit = fourth.shut_down_within(Duration::from_millis(200)).await;
    assert_eq!(exit, Exit::StillRunning, "a process that is not known cannot be killed");
    first.kill().await;
    tree.dies_out().await;
}

#[tokio::test]
async fn the_dead_broker_of_a_go_plugin_is_reported() {
    let Some(program) = peer("go", "kit-plugin") else { return };
    let tree = ProcessTree::new();
    let first = kit_host().launch(tree.mark(Command::new(program))).await.expect("the plugin starts");
    let config = first.reattach_config();
    // The broker ends with the stream of the first host.
    first.broker().close();
    tokio::time::sleep(Duration::from_millis(200)).await;

    let second = kit_host().attach(config).await.expect("the plugin runs");
    second.ping().await.expect("the plugin is healthy");
    let begun = Instant::now();
    let error = second.broker().dial(ServiceId(7)).await.expect_err("the broker of the plugin is dead");
    assert!(begun.elapsed() < Duration::from_secs(8), "{error:?}");
    let text = PlainReport(&error).to_string();
    assert!(text.contains("peer's broker is closed") || text.contains("announced no address"), "{text}");
    assert_eq!(second.shut_down().await, Exit::Ended);
    first.wait().await;
    tree.dies_out().await;
}
