//! Settings of how plugins end.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use rpcplugin::{
    Exit, Services,
    host::{ChildProcess, LaunchEnvironment, LaunchFault, Runner, StartedProcess},
};
use rpcplugin_tests::support::{
    TIMEOUT,
    process::{is_alive, send, suspend},
    scripts::{prints, script},
    wait::eventually,
};
use rustix::process::Signal;
use tokio::time::timeout;
use tonic_health::{ServingStatus, server::health_reporter};

use crate::{
    servers::{Server, StubbornController},
    support::{env, healthy_server, launch, plain, with},
};

#[tokio::test]
async fn grace() {
    for (grace, at_least) in [("0", Duration::ZERO), ("2500ms", Duration::from_millis(2500))] {
        let server = healthy_server().await;
        let plugin =
            plain(&[("PLUGIN_STOP_GRACE_PERIOD", grace)]).launch(prints(&server.line)).await.unwrap();
        let Exit::Killed { after, .. } = plugin.shut_down().await else {
            panic!("the plugin ignores the shutdown")
        };
        // The default is two seconds.
        assert!(after >= at_least && (after < Duration::from_secs(2) || !at_least.is_zero()), "{after:?}");
    }
}

#[tokio::test]
async fn shutdown_timeout() {
    let (reporter, health) = health_reporter();
    reporter.set_service_status("plugin", ServingStatus::Serving).await;
    let controller = StubbornController::default();
    let server = Server::new(Services::new().add(health).add(controller.clone()));
    let variables = [("PLUGIN_SHUTDOWN_TIMEOUT", "50ms"), ("PLUGIN_STOP_GRACE_PERIOD", "30s")];
    let plugin = plain(&variables).launch(prints(&server.line)).await.unwrap();
    let pid = plugin.pid().unwrap();
    let stopping = tokio::spawn(plugin.shut_down());
    timeout(TIMEOUT, controller.cancelled.notified()).await.expect("the call was cancelled");
    assert!(is_alive(pid), "long before the plugin is killed");
    stopping.abort();
}

#[tokio::test]
async fn terminate_after() {
    let server = healthy_server().await;
    let polite = format!("trap 'exit 0' TERM; echo '{}'; while :; do sleep 0.02; done", server.line);
    let stop = async |variables: &[(&str, &str)]| {
        plain(variables).launch(script(&polite)).await.unwrap().shut_down().await
    };
    let short = ("PLUGIN_STOP_GRACE_PERIOD", "300ms");
    assert!(matches!(stop(&[short]).await, Exit::Killed { signal: rpcplugin::host::Signal::KILL, .. }));
    let long = ("PLUGIN_STOP_GRACE_PERIOD", "30s");
    assert_eq!(stop(&[long, ("PLUGIN_TERMINATE_AFTER", "50ms")]).await, Exit::Clean);
}

#[tokio::test]
async fn drain_timeout() {
    let server = healthy_server().await;
    // A process outside the process group of the plugin keeps the pipes open. It prints the line, so that it has left the group
    // before the group is killed.
    let leaves = format!(r#"setsid sh -c 'echo "$1"; exec sleep 10' sh '{}' & exec sleep 60"#, server.line);
    for (drain, at_least) in [("50ms", Duration::ZERO), ("3s", Duration::from_secs(3))] {
        let variables = [("PLUGIN_DRAIN_TIMEOUT", drain), ("PLUGIN_STOP_GRACE_PERIOD", "0")];
        let plugin = plain(&variables).launch(script(&leaves)).await.unwrap();
        let begun = Instant::now();
        plugin.shut_down().await;
        assert!(begun.elapsed() >= at_least, "{:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(3) || !at_least.is_zero(), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn admin_timeout() {
    let plugin = launch(&[("PLUGIN_ADMIN_TIMEOUT", "60ms")]).await;
    suspend(plugin.pid().unwrap()).unwrap();
    let late = plugin.ping().await.unwrap_err();
    assert_eq!(late.to_string(), "the plugin did not answer within 0.06 s");
}

#[tokio::test]
async fn die_with_host() {
    for (value, dies) in [("true", true), ("false", false)] {
        let mut host = std::process::Command::new(env!("CARGO_BIN_EXE_settings-host"))
            .arg(env!("CARGO_BIN_EXE_settings-plugin"))
            .env("PLUGIN_DIE_WITH_HOST", value)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(host.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let pid: u32 = line.trim().parse().unwrap();
        host.kill().unwrap();
        host.wait().unwrap();
        if dies {
            eventually("the plugin ends with its host", || !is_alive(pid)).await;
        } else {
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert!(is_alive(pid));
            send(pid, Signal::KILL);
        }
    }
}

#[tokio::test]
async fn orphan_grace() {
    let dir = tempfile::tempdir().unwrap();
    // Two hooks: a short one, and one that takes longer than any test.
    for (value, hook_after, runs) in [("20s", "300", true), ("300ms", "600000", false), ("0", "300", false)] {
        let hook = dir.path().join("hook");
        let mut host = std::process::Command::new(env!("CARGO_BIN_EXE_mortal-host"))
            .arg(env!("CARGO_BIN_EXE_plugin-subject"))
            .args(["--hook-after", hook_after, "--hook"])
            .arg(&hook)
            .env("MORTAL_HOST_COOKIE", "PLUGIN_SUBJECT=yes")
            .env("PLUGIN_GRPC_GRACE_PERIOD", "600")
            .env("PLUGIN_ORPHAN_GRACE", value)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(host.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let pid: u32 = line.trim().parse().unwrap();
        host.kill().unwrap();
        host.wait().unwrap();
        eventually("the plugin ends with its host", || !is_alive(pid)).await;
        assert_eq!(hook.exists(), runs, "{value}");
        let _ = fs::remove_file(hook);
    }
}

/// A runner that reports what a plugin elsewhere would have in its environment, and starts none.
struct Elsewhere(std::sync::Mutex<Option<LaunchEnvironment>>);

impl Runner for &Elsewhere {
    type Process = ChildProcess;

    fn program(&self) -> std::path::PathBuf {
        "elsewhere".into()
    }

    async fn start(
        &self,
        environment: &LaunchEnvironment,
    ) -> Result<StartedProcess<ChildProcess>, LaunchFault> {
        *self.0.lock().unwrap() = Some(environment.clone());
        Err(LaunchFault::runner("nothing is started"))
    }
}

#[tokio::test]
async fn orphan_timeout() {
    let offered = async |variables: &[(&str, &str)]| {
        let elsewhere = Elsewhere(std::sync::Mutex::default());
        with(variables).launch_with(&&elsewhere).await.unwrap_err();
        let environment = elsewhere.0.lock().unwrap().take().unwrap();
        let value = |name: &str| {
            let variables = environment.remote_env();
            let value = variables.iter().find(|(known, _)| known == name)?.1.to_str()?.to_owned();
            Some(value)
        };
        assert!(value("PLUGIN_PROTOCOL_VERSIONS").is_some() && value("PLUGIN_UNIX_SOCKET_DIR").is_some());
        value("PLUGIN_ORPHAN_TIMEOUT")
    };
    assert_eq!(offered(&[]).await.as_deref(), Some("60s"));
    assert_eq!(offered(&[("PLUGIN_ORPHAN_TIMEOUT", "1.5s")]).await.as_deref(), Some("1500ms"));
    assert_eq!(offered(&[("PLUGIN_ORPHAN_TIMEOUT", "0")]).await, None);
    // Its plugins are meant to outlive it.
    assert_eq!(offered(&[("PLUGIN_DIE_WITH_HOST", "false")]).await, None);

    // Child processes notice the exit of their host.
    let plugin = launch(&[("PLUGIN_ORPHAN_TIMEOUT", "30s")]).await;
    assert_eq!(env(&plugin, "PLUGIN_ORPHAN_TIMEOUT").await, None);
}
