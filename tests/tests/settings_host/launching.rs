//! Settings of a launch.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, Instant},
};

use rpcplugin::{Command, LaunchError, MagicCookie, Plugin, Services, host::Event, pyvider::plugin_client};
use rpcplugin_tests::support::{
    TIMEOUT,
    conformance::plugin,
    scripts::{prints, script},
};
use tokio::time::timeout;
use tonic_health::{ServingStatus, server::health_reporter};

use crate::{
    servers::{Server, SilentSocket},
    support::{config, env, fault_code, healthy_server, launch, plain, with},
};

#[tokio::test]
async fn launch_timeout() {
    let error =
        with(&[("PLUGIN_HANDSHAKE_TIMEOUT", "150ms")]).launch(script("exec sleep 60")).await.unwrap_err();
    assert_eq!(error.fault.to_string(), "the plugin printed no handshake line within 0.15 s");
}

#[tokio::test]
async fn connection_timeout() {
    let silent = SilentSocket::new();
    let begun = Instant::now();
    let launched =
        with(&[("PLUGIN_CONNECTION_TIMEOUT", "100ms")]).launch(prints(&silent.secure_line())).await;
    launched.expect_err("the socket does not speak TLS");
    assert!(begun.elapsed() < Duration::from_secs(15), "without it TLS alone may take 20 s");
}

#[tokio::test]
async fn ready_timeout() {
    let silent = SilentSocket::new();
    let begun = Instant::now();
    let launched = plain(&[("PLUGIN_CHANNEL_READY_TIMEOUT", "100ms")]).launch(prints(&silent.line())).await;
    assert_eq!(fault_code(launched), "rpcplugin::transport::not_ready");
    assert!(begun.elapsed() < TIMEOUT, "without it the start may take a minute");
}

#[tokio::test]
async fn still_waiting_interval() {
    for (every, reported) in [("20ms", true), ("0", false)] {
        let variables = [("PLUGIN_STILL_WAITING_INTERVAL", every), ("PLUGIN_HANDSHAKE_TIMEOUT", "300ms")];
        let host = plain(&variables);
        let mut events = host.events();
        host.launch(script("exec sleep 60")).await.unwrap_err();
        drop(host);
        let mut waited = false;
        while let Some(event) = timeout(TIMEOUT, events.next()).await.unwrap() {
            waited |= matches!(event.event, Event::StillWaiting { .. });
        }
        assert_eq!(waited, reported, "{every}");
    }
}

#[tokio::test]
async fn busy_timeout() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("busy");
    fs::copy("/bin/true", &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let writing = fs::OpenOptions::new().append(true).open(&program).unwrap();
    let launch = async |value| {
        let launched = plain(&[("PLUGIN_BUSY_TIMEOUT", value)]).launch(Command::new(&program)).await;
        fault_code(launched)
    };
    assert_ne!(launch("0").await, "rpcplugin::handshake::exited_early");
    let (ended, ()) = tokio::join!(launch("20s"), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(writing);
    });
    assert_eq!(ended, "rpcplugin::handshake::exited_early", "the program is started when it is closed");
}

#[tokio::test]
async fn health_check() {
    let (reporter, health) = health_reporter();
    reporter.set_service_status("plugin", ServingStatus::NotServing).await;
    let server = Server::new(Services::new().add(health));
    assert_eq!(fault_code(plain(&[]).launch(prints(&server.line)).await), "rpcplugin::protocol::not_healthy");
    plain(&[("PLUGIN_HEALTH_CHECK", "false")]).launch(prints(&server.line)).await.unwrap();
}

#[tokio::test]
async fn stray_lines() {
    let server = healthy_server().await;
    let banner = script(&format!("echo hello; echo '{}'; exec sleep 60", server.line));
    assert_eq!(fault_code(plain(&[]).launch(banner.clone()).await), "rpcplugin::handshake::invalid_line");
    plain(&[("PLUGIN_STRAY_LINES", "1")]).launch(banner).await.unwrap();
}

#[tokio::test]
async fn handshake_line_limit() {
    let server = healthy_server().await;
    let long = format!("{}|false|{}", server.line, "x".repeat(6000));
    plain(&[]).launch(prints(&long)).await.unwrap();
    let launched = plain(&[("PLUGIN_HANDSHAKE_LINE_LIMIT", "4KiB")]).launch(prints(&long)).await;
    assert_eq!(fault_code(launched), "rpcplugin::handshake::line_too_long");
}

#[tokio::test]
async fn inherit_env() {
    for (policy, path, home) in [("inherit", true, true), ("clear", false, false), ("PATH", true, false)] {
        let plugin = launch(&[("PLUGIN_INHERIT_ENV", policy)]).await;
        assert_eq!(env(&plugin, "PATH").await.is_some(), path, "{policy}");
        assert_eq!(env(&plugin, "HOME").await.is_some(), home, "{policy}");
    }
}

/// Launches with the cookie of the settings from a program with another cookie.
async fn launch_with_cookie(key: &str, value: &str) -> Result<Plugin, LaunchError> {
    let config = config(&[("PLUGIN_MAGIC_COOKIE_KEY", key), ("PLUGIN_MAGIC_COOKIE_VALUE", value)]);
    let own = MagicCookie::new("ANOTHER", "cookie").unwrap();
    plugin_client(own, 1, plugin(&[]), config).start().await
}

#[tokio::test]
async fn magic_cookie_key() {
    launch_with_cookie("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance").await.unwrap();
    launch_with_cookie("ANOTHER_KIT_COOKIE", "b1d0c9a6-conformance")
        .await
        .expect_err("the plugin reads another variable");
}

#[tokio::test]
async fn magic_cookie_value() {
    launch_with_cookie("CONFORMANCE_KIT_COOKIE", "something else")
        .await
        .expect_err("the plugin expects another value");
}
