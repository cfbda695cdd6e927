//! A plugin of this library can replace a pyvider plugin that takes its settings from environment variables: with the same
//! variables, it behaves the same.
//!
//! The tests need the Python of `cargo xtask interop`. Without it, they are skipped, which is printed. They fail if
//! `RPCPLUGIN_REQUIRE` names python.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, time::Duration};

use rpcplugin::host::HandshakeFault;
use rpcplugin::{
    Command, LaunchError, Plugin,
    config::{HostConfig, HostTls, Pem, SecretPem},
    host::{ExitReason, LaunchFault, Stdin},
    tls::Identity,
};
use rpcplugin_tests::{
    pb::{InfoRequest, SleepRequest},
    support::{
        TIMEOUT,
        conformance::{client, code, host, plugin},
        process::send,
        programs::python,
        signals,
    },
};
use rustix::process::Signal;
use tokio::time::timeout;
use tonic::Code;

/// The cookie in the settings of both plugins.
const COOKIE: [(&str, &str); 2] = [
    ("PLUGIN_MAGIC_COOKIE_KEY", "CONFORMANCE_KIT_COOKIE"),
    ("PLUGIN_MAGIC_COOKIE_VALUE", "b1d0c9a6-conformance"),
];

/// The plugin of pyvider, if its Python is built.
fn pyvider() -> Option<Command> {
    let [python, script] = python("env_plugin.py")?;
    Some(Command::new(python).arg(script))
}

/// Launches the plugins of pyvider and of this library with the same variables. `None` without Python.
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
    let (theirs, own) = tokio::join!(launch(pyvider()?), launch(plugin(&[])));
    Some([theirs, own])
}

/// As [`both`]. Both plugins must start.
async fn pair(variables: &[(&str, &str)]) -> Option<[Plugin; 2]> {
    Some(both(variables, |_| {}).await?.map(|launched| launched.unwrap()))
}

/// The properties of a plugin that a host sees without calls to its services.
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
async fn a_host_sees_no_difference() {
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
            matches!(&fault, LaunchFault::Handshake(HandshakeFault::ExitedEarly(reason)) | LaunchFault::Handshake(HandshakeFault::CookieRefused(reason)) if *reason == ended),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn the_shutdown_file_ends_both() {
    let directory = tempfile::tempdir().unwrap();
    let stop = directory.path().join("stop");
    // Each plugin has its own file, because it removes the file.
    for number in [0, 1] {
        let path = stop.with_extension(number.to_string());
        let Some(pair) = pair(&[("PLUGIN_SHUTDOWN_FILE_PATH", path.to_str().unwrap())]).await else { return };
        let plugin = pair.into_iter().nth(number).unwrap();
        fs::write(&path, "").unwrap();
        assert_eq!(timeout(TIMEOUT, plugin.wait()).await.unwrap(), ExitReason::Status(0));
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn an_interrupt_is_ignored_or_not() {
    signals::reset_ignored();
    for (ignore, stays) in [("true", true), ("false", false)] {
        let Some(pair) = pair(&[("PLUGIN_IGNORE_SIGINT", ignore)]).await else { return };
        for plugin in pair {
            send(plugin.pid().unwrap(), Signal::INT);
            if stays {
                assert!(plugin.ping().await.is_ok());
            } else {
                timeout(TIMEOUT, plugin.wait()).await.unwrap();
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
            plugin.shut_down_within(TIMEOUT).await;
            assert_eq!(code(sleeping.await.unwrap()) == Code::Ok, finishes, "{grace}");
        }
    }
}

#[tokio::test]
async fn given_certificates_are_mutual() {
    let (host, plugin, unknown) =
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
    for (identity, accepted) in [(&host, true), (&unknown, false)] {
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
            assert_eq!(launched.is_ok(), accepted, "{launched:?}");
        }
    }
}
