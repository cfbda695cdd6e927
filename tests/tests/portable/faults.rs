//! Launches that fail: each names its fault and leaves no process.

use std::time::Duration;

use miette::Diagnostic as _;
use rpcplugin::{
    Command, Host, LaunchError,
    host::{ExitReason, HandshakeFault, LaunchFault},
};

use crate::support::{Watch, command, faulty, faulty_host, host, hostile};

#[tokio::test]
async fn a_panic_is_the_reason_of_a_failed_launch() {
    let error = refused(&faulty_host(), faulty("panics")).await;
    assert!(error.to_string().contains("it panicked: \"there is no configuration "), "{error}");
    let status = ExitReason::Status(101);
    let exited = matches!(&error.fault, LaunchFault::Handshake(HandshakeFault::ExitedEarly(reason)) if *reason == status);
    assert!(exited, "{error:?}");
}

#[tokio::test]
async fn a_wrong_cookie_is_refused() {
    let error = refused(&faulty_host(), faulty("healthy").env("FAULTY_PLUGIN", "another")).await;
    let status = ExitReason::Status(1);
    let refused = matches!(&error.fault, LaunchFault::Handshake(HandshakeFault::CookieRefused(reason)) if *reason == status);
    assert!(refused, "{error:?}");
    assert_eq!(code(&error), "rpcplugin::handshake::cookie_refused");
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("no-such-plugin");
    for program in [missing.as_path(), "no-such-plugin-anywhere".as_ref()] {
        let error = refused(&host(), command(program)).await;
        assert_eq!(code(&error), "rpcplugin::transport::plugin_not_found", "{error:?}");
        assert!(error.to_string().contains("no-such-plugin"), "{error}");
    }
}

/// The launch takes its whole timeout, in which the process has time to connect.
#[tokio::test]
async fn a_plugin_that_prints_no_line_is_killed_at_the_timeout() {
    let watch = Watch::new().await;
    let host = host().configure(|config| config.launch_timeout = Duration::from_secs(10));
    let command = hostile(&format!("held:{}", watch.address));
    let (error, process) = tokio::join!(refused(&host, command), watch.process());
    assert_eq!(code(&error), "rpcplugin::handshake::timeout", "{error:?}");
    process.ends("the plugin").await;
}

async fn refused(host: &Host, command: Command) -> LaunchError {
    match host.launch(command).await {
        Err(error) => error,
        Ok(plugin) => panic!("the plugin started: {plugin:?}"),
    }
}

fn code(error: &LaunchError) -> String {
    error.fault.code().map(|code| code.to_string()).unwrap_or_default()
}
