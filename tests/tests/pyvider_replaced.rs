//! A pyvider plugin that is configured by nothing but environment variables behaves the same when it is replaced by a
//! plugin of this library with the same variables.
//!
//! Needs the Python of `cargo xtask interop`; without it the tests are skipped with a word, and fail where
//! `RPCPLUGIN_REQUIRE` names python.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/signals.rs"]
mod signals;
#[path = "settings/support.rs"]
#[expect(dead_code, reason = "the tests of settings need more of it")]
mod support;

use std::{fs, path::Path, time::Duration};

use rpcplugin::{
    Command, ExitReason, LaunchError, LaunchFault, Plugin, Stdin,
    config::{HostConfig, HostTls, Pem, SecretPem},
    mtls::Identity,
};
use rpcplugin_tests::pb::{InfoRequest, SleepRequest};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::timeout;
use tonic::Code;

use crate::support::{PATIENCE, client, code, host};

/// What the operator of either plugin sets.
const COOKIE: [(&str, &str); 2] = [
    ("PLUGIN_MAGIC_COOKIE_KEY", "CONFORMANCE_KIT_COOKIE"),
    ("PLUGIN_MAGIC_COOKIE_VALUE", "b1d0c9a6-conformance"),
];

/// The plugin of pyvider, if its Python is there.
#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a test's own switch, and what it does")]
fn pyvider() -> Option<Command> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = tests.join("../target/interop/python/bin/python");
    if python.exists() {
        return Some(Command::new(python).arg(tests.join("interop/python/env_plugin.py")));
    }
    let required = std::env::var("RPCPLUGIN_REQUIRE").unwrap_or_default();
    assert!(!required.contains("python"), "python is required, and there is no {}", python.display());
    println!("skipped: there is no {} (cargo xtask interop makes it)", python.display());
    None
}

fn ours() -> Command {
    Command::new(env!("CARGO_BIN_EXE_settings-plugin"))
}

/// Launches pyvider's plugin and ours with the same variables. None where there is no Python.
async fn both(
    variables: &[(&str, &str)],
    change: impl Fn(&mut HostConfig),
) -> Option<[Result<Plugin, LaunchError>; 2]> {
    let launch = |command: Command| {
        let variables = COOKIE.iter().chain(variables);
        let command =
            variables.fold(command.stdin(Stdin::Null), |command, (name, value)| command.env(name, value));
        let host = host().configure(&change);
        Box::pin(async move { host.launch(command).await })
    };
    let (theirs, own) = tokio::join!(launch(pyvider()?), launch(ours()));
    Some([theirs, own])
}

/// As [`both`], where both have to start.
async fn pair(variables: &[(&str, &str)]) -> Option<[Plugin; 2]> {
    Some(both(variables, |_| {}).await?.map(Result::unwrap))
}

/// What a host can see of a plugin without calling its own services.
#[derive(Debug, PartialEq)]
struct Facts {
    network: &'static str,
    version: u32,
    mutual: bool,
    healthy: bool,
}

async fn facts(plugin: &Plugin) -> Facts {
    Facts {
        network: plugin.endpoint().network(),
        version: plugin.version().0,
        mutual: plugin.security().is_mutual(),
        healthy: plugin.ping().await.is_ok(),
    }
}

#[tokio::test]
async fn what_a_host_sees_is_the_same() {
    let usual = || Facts { network: "unix", version: 3, mutual: true, healthy: true };
    for (variables, expected) in [
        (&[][..], usual()),
        (&[("PLUGIN_SERVER_TRANSPORTS", "tcp")][..], Facts { network: "tcp", ..usual() }),
        (&[("PLUGIN_SERVER_TRANSPORTS", "unix,tcp")][..], usual()),
        (&[("SUPPORTED_PROTOCOL_VERSIONS", "1,2")][..], Facts { version: 2, ..usual() }),
        (&[("PLUGIN_HEALTH_SERVICE_ENABLED", "no")][..], Facts { healthy: false, ..usual() }),
    ] {
        let Some([theirs, own]) = pair(variables).await else { return };
        assert_eq!(facts(&theirs).await, expected, "pyvider, {variables:?}");
        assert_eq!(facts(&own).await, expected, "rpcplugin, {variables:?}");
        for plugin in [&theirs, &own] {
            assert_eq!(code(client(plugin).info(InfoRequest {}).await), Code::Ok);
        }
    }
}

#[tokio::test]
async fn a_wrong_cookie_ends_both_with_status_1() {
    let Some(launched) = both(&[("PLUGIN_MAGIC_COOKIE_VALUE", "another")], |_| {}).await else { return };
    for launched in launched {
        let fault = launched.unwrap_err().fault;
        let ended = ExitReason::Status(1);
        assert!(
            matches!(fault, LaunchFault::Handshake(rpcplugin::host::HandshakeFault::ExitedEarly(reason)) | LaunchFault::Handshake(rpcplugin::host::HandshakeFault::CookieRefused(reason)) if reason == ended),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn the_shutdown_file_ends_both() {
    let directory = tempfile::tempdir().unwrap();
    let stop = directory.path().join("stop");
    // Each gets a file of its own, since it removes it.
    for number in [0, 1] {
        let path = stop.with_extension(number.to_string());
        let Some(pair) = pair(&[("PLUGIN_SHUTDOWN_FILE_PATH", path.to_str().unwrap())]).await else { return };
        let plugin = pair.into_iter().nth(number).unwrap();
        fs::write(&path, "").unwrap();
        assert_eq!(timeout(PATIENCE, plugin.wait()).await.unwrap(), ExitReason::Status(0));
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn an_interrupt_is_ignored_or_not() {
    signals::not_ignored();
    for (ignore, stays) in [("true", true), ("false", false)] {
        let Some(pair) = pair(&[("PLUGIN_IGNORE_SIGINT", ignore)]).await else { return };
        for plugin in pair {
            let pid = Pid::from_raw(i32::try_from(plugin.pid().unwrap().get()).unwrap()).unwrap();
            kill_process(pid, Signal::INT).unwrap();
            if stays {
                assert!(plugin.ping().await.is_ok());
            } else {
                timeout(PATIENCE, plugin.wait()).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn calls_have_the_grace_period() {
    for (grace, finishes) in [("10", true), ("0.05", false)] {
        let Some(pair) = pair(&[("PLUGIN_GRPC_GRACE_PERIOD", grace)]).await else { return };
        for plugin in pair {
            let mut kit = client(&plugin);
            let mut other = kit.clone();
            let sleeping = tokio::spawn(async move { kit.sleep(SleepRequest { ms: 1500 }).await });
            while other.info(InfoRequest {}).await.unwrap().get_ref().calls < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            plugin.shut_down_within(PATIENCE).await;
            assert_eq!(code(sleeping.await.unwrap()) == Code::Ok, finishes, "{grace}");
        }
    }
}

#[tokio::test]
async fn given_certificates_are_mutual() {
    let (host, plugin, stranger) =
        (Identity::generate().unwrap(), Identity::generate().unwrap(), Identity::generate().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        format!("file://{}", path.display())
    };
    let exported = plugin.export();
    let certificate = file("plugin.pem", exported.certificates_pem());
    let key = file("plugin.key", exported.private_key_pem());
    let authorities = file("hosts.pem", &host.certificate_pem());
    let variables = [
        ("PLUGIN_SERVER_CERT", &*certificate),
        ("PLUGIN_SERVER_KEY", &*key),
        ("PLUGIN_CLIENT_ROOT_CERTS", &*authorities),
    ];
    for (identity, welcome) in [(&host, true), (&stranger, false)] {
        let launched = both(&variables, |config| {
            let own = identity.export();
            config.tls = HostTls::Given {
                certificate: Pem::new(own.certificates_pem()),
                private_key: SecretPem::new(own.private_key_pem()),
                server_roots: Some(Pem::new(plugin.certificate_pem())),
            };
        });
        let Some(launched) = launched.await else { return };
        for launched in launched {
            assert_eq!(launched.is_ok(), welcome, "{launched:?}");
        }
    }
}
